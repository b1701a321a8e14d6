//! What must hold of the runtime as a whole.

use cairn_primitives::{api::Issuance, CRN};
use frame_support::{
    assert_noop, assert_ok,
    genesis_builder_helper::build_state,
    traits::{Contains, InstanceFilter},
};
use serde_json::Value;
use sp_io::TestExternalities;
use sp_keyring::Sr25519Keyring::{Alice, Bob, Eve};
use sp_runtime::traits::Dispatchable;

use crate::{
    configs::{accounts::ProxyKind, system::KeepsIssuance},
    presets, readers, AccountId, Balances, RuntimeCall, RuntimeGenesisConfig, RuntimeOrigin,
    System,
};

/// Lays a preset over the default genesis, as a node does.
fn lay_over(base: &mut Value, patch: Value) {
    match (base, patch) {
        (Value::Object(base), Value::Object(patch)) => {
            for (key, value) in patch {
                lay_over(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, patch) => *base = patch,
    }
}

/// Runs a test on the genesis of a preset.
fn on(preset: &str, test: impl FnOnce()) {
    let patch = presets::get(&preset.into()).expect("the preset exists");
    let patch = serde_json::from_slice(&patch).expect("presets are JSON");
    let mut genesis = serde_json::to_value(RuntimeGenesisConfig::default()).expect("plain data");
    lay_over(&mut genesis, patch);
    TestExternalities::default().execute_with(|| {
        build_state::<RuntimeGenesisConfig>(genesis.to_string().into_bytes())
            .expect("the preset builds");
        System::set_block_number(1);
        test();
        let Issuance {
            issued,
            balances,
            stakes,
            unbonding,
            bonds,
            pots,
        } = readers::issuance();
        assert_eq!(issued, balances + stakes + unbonding + bonds + pots);
    });
}

fn alice() -> AccountId {
    Alice.to_account_id()
}

#[test]
fn every_preset_builds_and_its_money_adds_up() {
    for name in presets::names() {
        on(name.as_ref(), || {
            assert_eq!(readers::issuance().issued, 600_000 * CRN);
            assert_eq!(
                pallet_session::Validators::<crate::Runtime>::get()[0],
                alice()
            );
        });
    }
    assert_eq!(presets::get(&"nowhere".into()), None);
}

#[test]
fn a_development_chain_is_faster() {
    let length = crate::block_time::Milliseconds::<crate::Runtime>::get;
    on(presets::DEVELOPMENT_PRESET, || assert_eq!(length(), 2_000));
    on(presets::LOCAL_PRESET, || assert_eq!(length(), 6_000));
}

#[test]
fn what_a_subnet_costs_is_burned_on_both_sides_of_the_ledger() {
    on(presets::DEVELOPMENT_PRESET, || {
        let before = readers::issuance();
        let price = readers::creation_price();
        let create = pallet_subnets::Call::create_subnet { max_price: price };
        assert_ok!(RuntimeCall::Subnets(create).dispatch(RuntimeOrigin::signed(alice())));
        let after = readers::issuance();
        assert_eq!(after.issued, before.issued - price);
        assert_eq!(after.balances, before.balances - price);
        assert_eq!(readers::subnets().len(), 1);
    });
}

#[test]
fn stake_moves_between_ledgers_and_back() {
    on(presets::DEVELOPMENT_PRESET, || {
        let signed = || RuntimeOrigin::signed(alice());
        let hotkey = Bob.to_account_id();
        let max_price = u64::MAX;
        let calls = [
            RuntimeCall::Subnets(pallet_subnets::Call::create_subnet { max_price }),
            RuntimeCall::Subnets(pallet_subnets::Call::register {
                netuid: 1,
                hotkey: hotkey.clone(),
                max_price,
            }),
            RuntimeCall::Stake(pallet_stake::Call::add_stake {
                netuid: 1,
                hotkey: hotkey.clone(),
                amount: 1_000 * CRN,
            }),
        ];
        for call in calls {
            assert_ok!(call.dispatch(signed()));
        }
        assert_eq!(readers::issuance().stakes, 1_000 * CRN);
        let member = readers::member(1, &hotkey).expect("registered");
        assert_eq!((member.uid, member.stake), (0, 1_000 * CRN));
        assert_eq!(readers::account(&alice())[0].stake, 1_000 * CRN);
        let free = Balances::free_balance(alice());
        let back = pallet_stake::Call::remove_stake {
            netuid: 1,
            hotkey: hotkey.clone(),
            amount: None,
        };
        assert_ok!(RuntimeCall::Stake(back).dispatch(signed()));
        let issuance = readers::issuance();
        assert_eq!((issuance.stakes, issuance.unbonding), (0, 1_000 * CRN));
        let position = readers::position(&alice(), 1, &hotkey).expect("it waits");
        System::set_block_number(position.unbonding[0].release_at);
        let withdraw = pallet_stake::Call::withdraw_stake { netuid: 1, hotkey };
        assert_ok!(RuntimeCall::Stake(withdraw).dispatch(signed()));
        assert_eq!(Balances::free_balance(alice()), free + 1_000 * CRN);
        assert!(readers::positions(&alice(), None).is_empty());
    });
}

#[test]
fn nobody_can_burn_behind_the_ledgers_back() {
    on(presets::DEVELOPMENT_PRESET, || {
        let burn = RuntimeCall::Balances(pallet_balances::Call::burn {
            value: CRN,
            keep_alive: true,
        });
        assert!(!KeepsIssuance::contains(&burn));
        assert_noop!(
            burn.dispatch(RuntimeOrigin::signed(alice())),
            frame_system::Error::<crate::Runtime>::CallFiltered
        );
    });
}

#[test]
fn dust_leaves_both_sides_of_the_ledger() {
    on(presets::DEVELOPMENT_PRESET, || {
        // Not Alice: an authority's account cannot be emptied.
        let eve = Eve.to_account_id();
        let whole = Balances::free_balance(&eve);
        let send = RuntimeCall::Balances(pallet_balances::Call::transfer_allow_death {
            dest: Bob.to_account_id().into(),
            value: whole - 1,
        });
        assert_ok!(send.dispatch(RuntimeOrigin::signed(eve)));
        assert_eq!(readers::issuance().issued, 600_000 * CRN - 1);
    });
}

#[test]
fn a_proxy_may_do_what_its_kind_says_and_no_more() {
    let transfer = RuntimeCall::Balances(pallet_balances::Call::transfer_all {
        dest: alice().into(),
        keep_alive: false,
    });
    let stake = RuntimeCall::Stake(pallet_stake::Call::unbond {
        netuid: 1,
        hotkey: alice(),
    });
    let stop = RuntimeCall::Training(pallet_training::Call::stop_run { netuid: 1 });
    // Who may only stake cannot give stake away, nor set what others pay.
    let give = RuntimeCall::Stake(pallet_stake::Call::transfer_stake {
        to: Bob.to_account_id(),
        netuid: 1,
        hotkey: alice(),
        amount: None,
    });
    let take = RuntimeCall::Stake(pallet_stake::Call::set_take {
        hotkey: alice(),
        take: 0,
    });
    let end = RuntimeCall::Subnets(pallet_subnets::Call::dissolve_subnet { netuid: 1 });
    for call in [&give, &take, &end] {
        assert!(!ProxyKind::Staking.filter(call) && !ProxyKind::Ownership.filter(call));
        assert!(!ProxyKind::Registration.filter(call) && ProxyKind::Any.filter(call));
    }
    let kinds = [
        ProxyKind::Staking,
        ProxyKind::Registration,
        ProxyKind::Ownership,
    ];
    assert!(kinds.iter().all(|kind| !kind.filter(&transfer)));
    assert!(ProxyKind::Staking.filter(&stake) && !ProxyKind::Staking.filter(&stop));
    assert!(ProxyKind::Ownership.filter(&stop) && !ProxyKind::Ownership.filter(&stake));
    assert!(ProxyKind::Any.filter(&transfer) && ProxyKind::Any.is_superset(&ProxyKind::Staking));
    assert!(!ProxyKind::Staking.is_superset(&ProxyKind::Any));
}
