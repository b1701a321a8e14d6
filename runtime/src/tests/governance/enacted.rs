//! What each track opens, and that it opens nothing else.

use cairn_primitives::{Netuid, CRN, H256};
use sp_runtime::{traits::Dispatchable, DispatchError};

use super::{people, COUNCIL};
use crate::{
    configs::governance::ScheduledWeight,
    governance::{
        rules::{self, Rule, Rules},
        Call, Error, Origin,
    },
    tests::chain::Chain,
    Runtime, RuntimeCall, RuntimeOrigin,
};

/// Calls that governance enacts, each by the tracks that may.
fn enacted() -> Vec<(RuntimeCall, Vec<Origin>)> {
    let code_hash = H256([1; 32]);
    let index = 7;
    let seats = pallet_collective::Call::set_members {
        new_members: vec![COUNCIL[0].account()],
        prime: None,
        old_count: 3,
    };
    let emits = pallet_emissions::Call::set_emitting {
        netuid: Netuid(1),
        emits: true,
    };
    let rule = Rule::ScoresRateLimit(20);
    vec![
        (RuntimeCall::Emissions(emits), vec![Origin::Emission]),
        (Call::set_rule { rule }.into(), vec![Origin::Rules]),
        (RuntimeCall::Council(seats), vec![Origin::Council]),
        (
            Call::authorize_upgrade { code_hash }.into(),
            vec![Origin::Upgrade, Origin::Repair],
        ),
        (Call::cancel { index }.into(), vec![Origin::Cancel]),
        (
            pallet_referenda::Call::cancel { index }.into(),
            vec![Origin::Cancel],
        ),
        (
            pallet_referenda::Call::kill { index }.into(),
            vec![Origin::Cancel],
        ),
        (
            crate::authorities::Call::add {
                authority: COUNCIL[0].account(),
            }
            .into(),
            vec![Origin::Authorities],
        ),
        (
            crate::authorities::Call::remove {
                authority: COUNCIL[0].account(),
            }
            .into(),
            vec![Origin::Authorities],
        ),
        (
            Call::restart_finality {
                after: 10,
                last_final: 0,
                set: 0,
            }
            .into(),
            vec![Origin::Repair],
        ),
        (Call::endorse_upgrade { code_hash }.into(), vec![]),
    ]
}

#[test]
fn each_track_opens_its_own_calls() {
    let mut chain = Chain::new(&people());
    for (call, may) in enacted() {
        for origin in Origin::ALL {
            let result = chain.ask(|| call.clone().dispatch(RuntimeOrigin::from(origin)));
            let error = result.err().map(|failed| failed.error);
            let is_open = error != Some(DispatchError::BadOrigin);
            assert_eq!(is_open, may.contains(&origin), "{call:?} by {origin:?}");
        }
    }
}

#[test]
fn what_is_enacted_fits_into_what_the_scheduler_has_of_a_block() {
    use frame_support::{dispatch::GetDispatchInfo, traits::Get};
    use pallet_scheduler::WeightInfo;
    type Tasks = <Runtime as pallet_scheduler::Config>::WeightInfo;
    let tasks: u32 = <Runtime as pallet_scheduler::Config>::MaxScheduledPerBlock::get();
    let room = ScheduledWeight::get()
        .saturating_sub(Tasks::service_agendas_base())
        .saturating_sub(Tasks::service_agenda_base(tasks))
        .saturating_sub(Tasks::service_task_fetched(32 * 1024))
        .saturating_sub(Tasks::execute_dispatch_unsigned());
    let index = 7;
    let alarms = [
        pallet_referenda::Call::nudge_referendum { index }.into(),
        pallet_referenda::Call::one_fewer_deciding { track: 0 }.into(),
    ];
    let mut chain = Chain::new(&people());
    let enacted = enacted().into_iter().map(|(call, _)| call);
    for call in enacted.chain(alarms) {
        let weight = chain.ask(|| call.get_dispatch_info().call_weight);
        assert!(
            2 * weight.ref_time() < room.ref_time(),
            "{call:?}: {weight} of {room}"
        );
    }
}

#[test]
fn a_rule_stays_within_its_limits() {
    let limits: [(Rule, Rule, Rule, Rule); 4] = [
        (
            Rule::CreationPriceFloor(CRN - 1),
            Rule::CreationPriceFloor(*rules::CREATION_PRICE_FLOOR.start()),
            Rule::CreationPriceFloor(*rules::CREATION_PRICE_FLOOR.end()),
            Rule::CreationPriceFloor(10_000 * CRN + 1),
        ),
        (
            Rule::CreationPriceDecay(rules::CREATION_PRICE_DECAY.start() - 1),
            Rule::CreationPriceDecay(*rules::CREATION_PRICE_DECAY.start()),
            Rule::CreationPriceDecay(*rules::CREATION_PRICE_DECAY.end()),
            Rule::CreationPriceDecay(rules::CREATION_PRICE_DECAY.end() + 1),
        ),
        (
            Rule::HyperparametersRateLimit(599),
            Rule::HyperparametersRateLimit(600),
            Rule::HyperparametersRateLimit(*rules::HYPERPARAMETERS_RATE_LIMIT.end()),
            Rule::HyperparametersRateLimit(rules::HYPERPARAMETERS_RATE_LIMIT.end() + 1),
        ),
        (
            Rule::ScoresRateLimit(0),
            Rule::ScoresRateLimit(1),
            Rule::ScoresRateLimit(100),
            Rule::ScoresRateLimit(101),
        ),
    ];
    assert!(Rules::default().are_allowed());
    let mut chain = Chain::new(&people());
    for (below, least, most, above) in limits {
        for rule in [below, above] {
            let refused = chain.ask(|| {
                let call: RuntimeCall = Call::set_rule { rule }.into();
                call.dispatch(RuntimeOrigin::from(Origin::Rules))
            });
            let error = refused.expect_err("it is out of range").error;
            assert_eq!(error, Error::<Runtime>::RuleOutOfRange.into());
        }
        for rule in [least, most] {
            chain.ask(|| {
                let call: RuntimeCall = Call::set_rule { rule }.into();
                assert!(call.dispatch(RuntimeOrigin::from(Origin::Rules)).is_ok());
                let current = crate::governance::CurrentRules::<Runtime>::get();
                assert!(current.each().contains(&rule));
                assert!(crate::Governance::do_try_state().is_ok());
            });
        }
    }
}

#[test]
fn the_pallets_ask_for_the_rules_that_hold() {
    use frame_support::traits::Get;
    let mut chain = Chain::new(&people());
    chain.ask(|| {
        crate::governance::CurrentRules::<Runtime>::put(Rules {
            creation_price_floor: 1,
            creation_price_decay: 2,
            hyperparameters_rate_limit: 3,
            scores_rate_limit: 4,
        });
        type Subnets = Runtime;
        assert_eq!(
            <Subnets as pallet_subnets::Config>::CreationPriceFloor::get(),
            1
        );
        assert_eq!(
            <Subnets as pallet_subnets::Config>::CreationPriceDecay::get(),
            2
        );
        let limit: u32 = <Subnets as pallet_subnets::Config>::HyperparametersRateLimit::get();
        assert_eq!(limit, 3);
        let limit: u32 = <Subnets as pallet_emissions::Config>::ScoresRateLimit::get();
        assert_eq!(limit, 4);
        let found = crate::Governance::do_try_state().expect_err("they are out of range");
        assert_eq!(found, "a rule is outside of its limits".into());
    });
}
