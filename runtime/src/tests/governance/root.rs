//! Every call of the runtime, tried as root and as each track.
//!
//! A call is made from zeros: what matters is whether its origin is refused, which calls ask first.

use std::collections::BTreeSet;

use codec::Decode;
use frame_support::{
    storage::with_transaction_unchecked,
    traits::{GetCallMetadata, GetCallName},
};
use serde_json::Value;
use sp_runtime::{
    traits::{Dispatchable, TrailingZeroInput},
    DispatchError, MultiAddress, TransactionOutcome,
};

use super::{people, upgrades, Actor, COUNCIL};
use crate::{tests::chain::Chain, Runtime, RuntimeCall, RuntimeEvent, RuntimeOrigin, System};

/// Who has the sudo key, where there is one.
const KEY: Actor = Actor(5);

/// A call's name: `Pallet::call`.
pub fn name(call: &RuntimeCall) -> String {
    let named = call.get_call_metadata();
    format!("{}::{}", named.pallet_name, named.function_name)
}

/// Every call of the runtime, with zeros for what it is given.
pub fn every_call() -> Vec<RuntimeCall> {
    let indices = (0..=u8::MAX).flat_map(|pallet| (0..=u8::MAX).map(move |call| (pallet, call)));
    let made = indices.filter_map(|(pallet, call)| {
        let bytes = [[pallet, call, 0], [pallet, call, 1]];
        bytes
            .iter()
            .find_map(|bytes| RuntimeCall::decode(&mut TrailingZeroInput::new(bytes)).ok())
    });
    made.collect()
}

#[test]
fn every_call_is_made() {
    let made: BTreeSet<String> = every_call().iter().map(name).collect();
    for pallet in RuntimeCall::get_module_names() {
        for call in RuntimeCall::get_call_names(pallet) {
            assert!(
                made.contains(&format!("{pallet}::{call}")),
                "{pallet}::{call}"
            );
        }
    }
    assert!(made.len() > 120, "{}", made.len());
    let system = frame_system::Call::<Runtime>::get_call_names();
    assert!(system.contains(&"kill_prefix"));
}

/// Whether an error says that the origin may not.
fn is_refused(error: &DispatchError) -> bool {
    let filtered: DispatchError = frame_system::Error::<Runtime>::CallFiltered.into();
    let require_sudo: DispatchError = pallet_sudo::Error::<Runtime>::RequireSudo.into();
    [DispatchError::BadOrigin, filtered, require_sudo]
        .iter()
        .any(|refusal| super::without_words(*refusal) == super::without_words(*error))
}

/// What a call made by the sudo key came to.
fn by_sudo(call: RuntimeCall) -> Result<(), DispatchError> {
    let sudo: RuntimeCall = pallet_sudo::Call::sudo {
        call: Box::new(call),
    }
    .into();
    System::reset_events();
    let sent = sudo.dispatch(RuntimeOrigin::signed(KEY.account()));
    sent.map_err(|failed| failed.error)?;
    let events = super::events();
    let said = events.into_iter().find_map(|event| match event {
        RuntimeEvent::Sudo(pallet_sudo::Event::Sudid { sudo_result }) => Some(sudo_result),
        _ => None,
    });
    said.expect("it says what came of it")
}

/// The calls that root reaches through a sudo key, by name.
pub fn reached_by_root() -> BTreeSet<String> {
    let mut genesis = people();
    genesis["sudo"]["key"] = serde_json::to_value(KEY.account()).expect("plain");
    reached(genesis, by_sudo)
}

/// The calls that an origin reaches, by name.
pub fn reached_by(origin: impl Into<RuntimeOrigin>) -> BTreeSet<String> {
    let origin: RuntimeOrigin = origin.into();
    reached(people(), |call| {
        let sent = call.dispatch(origin.clone());
        sent.map(|_| ()).map_err(|failed| failed.error)
    })
}

/// The calls that all of the council reaches, by name.
pub fn reached_by_the_council() -> BTreeSet<String> {
    type Votes =
        pallet_collective::RawOrigin<crate::AccountId, crate::configs::governance::CouncilInstance>;
    let all = COUNCIL.len() as u32;
    reached_by(Votes::Members(all, all))
}

fn reached(
    genesis: Value,
    send: impl Fn(RuntimeCall) -> Result<(), DispatchError>,
) -> BTreeSet<String> {
    let mut state = upgrades::state(genesis, 1);
    state.execute_with(|| {
        System::set_block_number(1);
        let calls = every_call().into_iter();
        let reached = calls.filter(|call| {
            let result =
                with_transaction_unchecked(|| TransactionOutcome::Rollback(send(call.clone())));
            result.map_or_else(|error| !is_refused(&error), |()| true)
        });
        reached.map(|call| name(&call)).collect()
    })
}

/// Calls that carry another: whoever makes one has no more power than it had, and what they carry is looked at.
fn wrap(call: RuntimeCall) -> Vec<RuntimeCall> {
    use pallet_multisig::Call as Multisig;
    use pallet_scheduler::Call as Scheduler;
    use pallet_utility::Call as Utility;
    let boxed = || Box::new(call.clone());
    let account = || MultiAddress::Id(Actor(1).account());
    vec![
        Utility::batch {
            calls: vec![call.clone()],
        }
        .into(),
        Utility::batch_all {
            calls: vec![call.clone()],
        }
        .into(),
        Utility::force_batch {
            calls: vec![call.clone()],
        }
        .into(),
        Utility::as_derivative {
            index: 0,
            call: boxed(),
        }
        .into(),
        Utility::with_weight {
            call: boxed(),
            weight: Default::default(),
        }
        .into(),
        Utility::if_else {
            main: boxed(),
            fallback: boxed(),
        }
        .into(),
        pallet_proxy::Call::proxy {
            real: account(),
            force_proxy_type: None,
            call: boxed(),
        }
        .into(),
        pallet_proxy::Call::proxy_announced {
            delegate: account(),
            real: account(),
            force_proxy_type: None,
            call: boxed(),
        }
        .into(),
        Multisig::as_multi_threshold_1 {
            other_signatories: vec![],
            call: boxed(),
        }
        .into(),
        Multisig::as_multi {
            threshold: 2,
            other_signatories: vec![],
            maybe_timepoint: None,
            call: boxed(),
            max_weight: Default::default(),
        }
        .into(),
        pallet_recovery::Call::control_inherited_account {
            recovered: account(),
            call: boxed(),
        }
        .into(),
        RuntimeCall::Council(pallet_collective::Call::execute {
            proposal: boxed(),
            length_bound: 0,
        }),
        RuntimeCall::Council(pallet_collective::Call::propose {
            threshold: 1,
            proposal: boxed(),
            length_bound: 0,
        }),
        Scheduler::schedule {
            when: 1,
            maybe_periodic: None,
            priority: 0,
            call: boxed(),
        }
        .into(),
        Scheduler::schedule_named {
            id: [0; 32],
            when: 1,
            maybe_periodic: None,
            priority: 0,
            call: boxed(),
        }
        .into(),
        Scheduler::schedule_after {
            after: 1,
            maybe_periodic: None,
            priority: 0,
            call: boxed(),
        }
        .into(),
        Scheduler::schedule_named_after {
            id: [0; 32],
            after: 1,
            maybe_periodic: None,
            priority: 0,
            call: boxed(),
        }
        .into(),
        pallet_sudo::Call::sudo { call: boxed() }.into(),
        pallet_sudo::Call::sudo_unchecked_weight {
            call: boxed(),
            weight: Default::default(),
        }
        .into(),
    ]
}

#[test]
fn what_nobody_may_cannot_be_carried_by_another_call() {
    use crate::governance::filter::Allowed;
    use frame_support::traits::Contains;
    let mut chain = Chain::new(&people());
    chain.ask(|| {
        let harmless: RuntimeCall = frame_system::Call::remark { remark: vec![] }.into();
        let kill: RuntimeCall = frame_system::Call::kill_storage { keys: vec![] }.into();
        assert!(Allowed::contains(&harmless) && !Allowed::contains(&kill));
        for (good, bad) in wrap(harmless).into_iter().zip(wrap(kill)) {
            assert!(Allowed::contains(&good), "{good:?}");
            assert!(!Allowed::contains(&bad), "{bad:?}");
            for (good, bad) in wrap(good).into_iter().zip(wrap(bad)) {
                assert!(Allowed::contains(&good), "{good:?}");
                assert!(!Allowed::contains(&bad), "{bad:?}");
            }
        }
    });
}

#[test]
fn root_sets_no_rules_of_a_subnet_that_somebody_has_joined() {
    use cairn_primitives::{Hyperparameters, Netuid, Role};
    use frame_support::assert_ok;
    let mut genesis = people();
    genesis["sudo"]["key"] = serde_json::to_value(KEY.account()).expect("plain");
    let mut chain = Chain::new(&genesis);
    let netuid = Netuid(1);
    let owner = || RuntimeOrigin::signed(Actor(0).account());
    let calls = || -> [RuntimeCall; 2] {
        let hyperparameters = Hyperparameters::default();
        let set = pallet_subnets::Call::set_hyperparameters {
            netuid,
            hyperparameters,
        };
        [
            set.into(),
            pallet_subnets::Call::dissolve_subnet { netuid }.into(),
        ]
    };
    let tried = chain.block(|| {
        let max_price = u64::MAX;
        let create = pallet_subnets::Call::create_subnet { max_price };
        assert_ok!(RuntimeCall::from(create).dispatch(owner()));
        let [set, _] = calls();
        assert_ok!(by_sudo(set));
        let register = pallet_subnets::Call::register {
            netuid,
            hotkey: Actor(7).account(),
            role: Role::Miner,
            max_price,
            signature: Actor(7).registers(netuid, &Actor(0).account()),
        };
        assert_ok!(RuntimeCall::from(register).dispatch(owner()));
        for call in calls() {
            let refused = by_sudo(call).expect_err("somebody has joined");
            assert!(is_refused(&refused), "{refused:?}");
        }
    });
    tried.expect("the books are right");
}

/// Every call that has a field of the runtime's calls is one that the filter looks into, or nobody may make.
#[test]
fn no_call_that_carries_another_is_overlooked() {
    use frame_support::traits::Contains;
    use scale_info::{MetaType, Registry, TypeDef};
    let mut registry = Registry::new();
    let id = registry.register_type(&MetaType::new::<RuntimeCall>()).id;
    let types: scale_info::PortableRegistry = registry.into();
    let TypeDef::Variant(pallets) = &types.resolve(id).expect("it is there").type_def else {
        panic!("calls are an enumeration");
    };
    let harmless: RuntimeCall = frame_system::Call::remark { remark: vec![] }.into();
    let known: BTreeSet<String> = wrap(harmless).iter().map(name).collect();
    let mut chain = Chain::new(&people());
    for pallet in &pallets.variants {
        let of = pallet.fields[0].ty.id;
        let TypeDef::Variant(calls) = &types.resolve(of).expect("it is there").type_def else {
            panic!("a pallet's calls are an enumeration");
        };
        for call in &calls.variants {
            let names = call
                .fields
                .iter()
                .filter_map(|field| field.type_name.as_deref());
            let carries =
                names.filter(|name| name.contains("RuntimeCall") || name.contains("Proposal>"));
            if carries.count() == 0 {
                continue;
            }
            let name = format!("{}::{}", pallet.name, call.name);
            let made = every_call()
                .into_iter()
                .find(|made| self::name(made) == name);
            let made = made.expect("every call is made");
            let is_forbidden = chain.ask(|| !crate::governance::filter::Allowed::contains(&made));
            assert!(
                known.contains(&name) || is_forbidden,
                "{name} carries a call"
            );
        }
    }
}
