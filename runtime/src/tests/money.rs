//! Whatever moves, issued stays the sum of where it is.

use cairn_primitives::{Netuid, Role, Uid, CRN};
use frame_support::{assert_noop, assert_ok, traits::Contains};
use sp_keyring::Sr25519Keyring::{Alice, Bob, Eve};
use sp_runtime::traits::Dispatchable;

use super::chain::{genesis, on, register, Chain};
use crate::{
    audit, governance::filter::Allowed, presets, readers, AccountId, Balances, RuntimeCall,
    RuntimeOrigin, System,
};

fn alice() -> AccountId {
    Alice.to_account_id()
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
            register(Netuid(1), Bob, Role::Validator, &alice()),
            RuntimeCall::Stake(pallet_stake::Call::add_stake {
                netuid: Netuid(1),
                hotkey: hotkey.clone(),
                amount: 1_000 * CRN,
            }),
        ];
        for call in calls {
            assert_ok!(call.dispatch(signed()));
        }
        assert_eq!(readers::issuance().stakes, 1_000 * CRN);
        let member = readers::member(Netuid(1), &hotkey).expect("registered");
        assert_eq!((member.uid, member.stake), (Uid(0), 1_000 * CRN));
        assert_eq!(readers::account(&alice())[0].stake, 1_000 * CRN);
        let free = Balances::free_balance(alice());
        let back = pallet_stake::Call::remove_stake {
            netuid: Netuid(1),
            hotkey: hotkey.clone(),
            amount: None,
        };
        assert_ok!(RuntimeCall::Stake(back).dispatch(signed()));
        let issuance = readers::issuance();
        assert_eq!((issuance.stakes, issuance.unbonding), (0, 1_000 * CRN));
        let position = readers::position(&alice(), Netuid(1), &hotkey).expect("it waits");
        System::set_block_number(position.unbonding[0].release_at);
        let withdraw = pallet_stake::Call::withdraw_stake {
            netuid: Netuid(1),
            hotkey,
        };
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
        assert!(!Allowed::contains(&burn));
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
fn a_pebble_from_nowhere_is_found() {
    on(presets::DEVELOPMENT_PRESET, || {
        let right = pallet_emissions::Issued::<crate::Runtime>::get();
        pallet_emissions::Issued::<crate::Runtime>::put(right + 1);
        assert!(audit::money().is_err() && audit::everything().is_err());
        pallet_emissions::Issued::<crate::Runtime>::put(right);
    });
}

#[test]
#[should_panic(expected = "the books are wrong")]
fn every_block_compares() {
    let mut chain = Chain::new(&genesis(presets::DEVELOPMENT_PRESET));
    let _ = chain.block(|| pallet_emissions::Issued::<crate::Runtime>::put(1));
}
