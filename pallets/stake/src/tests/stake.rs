//! Stake that comes.

use crate::{mock::*, Error, Event};
use cairn_primitives::{
    traits::{Ledgers, Stakes},
    Netuid, CRN,
};
use frame_support::{assert_noop, assert_ok, dispatch::DispatchResult};
use sp_runtime::TokenError;

fn add(netuid: Netuid, hotkey: u64, amount: u64) -> DispatchResult {
    Stake::add_stake(RuntimeOrigin::signed(ALICE), netuid, hotkey, amount)
}

#[test]
fn stake_leaves_the_account_and_enters_the_ledger() {
    ExtBuilder::default().build_and_execute(|| {
        let issuance = Balances::total_issuance();
        assert_ok!(add(Netuid(1), ALICE_HOT, 7 * CRN));
        assert_eq!(
            events(),
            [Event::StakeAdded {
                coldkey: ALICE,
                netuid: Netuid(1),
                hotkey: ALICE_HOT,
                amount: 7 * CRN
            }]
        );
        assert_eq!(Balances::free_balance(ALICE), FUNDS - 7 * CRN);
        assert_eq!(Balances::total_issuance(), issuance - 7 * CRN);
        assert_eq!(
            <Stake as Stakes<u64>>::stake(Netuid(1), &ALICE_HOT),
            7 * CRN
        );
        assert_eq!(<Stake as Stakes<u64>>::subnet_stake(Netuid(1)), 7 * CRN);
        assert_eq!((Stake::total_staked(), Stake::total_bonded()), (7 * CRN, 0));
    });
}

#[test]
fn stakes_are_kept_by_hotkey_and_subnet_and_added_up() {
    let builder = ExtBuilder::default()
        .stake(Netuid(1), ALICE_HOT, CRN)
        .stake(Netuid(1), BOB_HOT, 2 * CRN);
    builder
        .stake(Netuid(2), ALICE_HOT, 4 * CRN)
        .stake(Netuid(1), ALICE_HOT, 8 * CRN)
        .build_and_execute(|| {
            assert_eq!(
                <Stake as Stakes<u64>>::stake(Netuid(1), &ALICE_HOT),
                9 * CRN
            );
            assert_eq!(
                <Stake as Stakes<u64>>::stake(Netuid(2), &ALICE_HOT),
                4 * CRN
            );
            assert_eq!(<Stake as Stakes<u64>>::stake(Netuid(2), &BOB_HOT), 0);
            assert_eq!(<Stake as Stakes<u64>>::subnet_stake(Netuid(1)), 11 * CRN);
            assert_eq!(<Stake as Stakes<u64>>::subnet_stake(Netuid(2)), 4 * CRN);
            assert_eq!(Stake::total_staked(), 15 * CRN);
        });
}

#[test]
fn an_amount_has_a_minimum() {
    ExtBuilder::default().build_and_execute(|| {
        assert_noop!(add(Netuid(1), ALICE_HOT, 0), Error::<Test>::AmountIsZero);
        assert_noop!(
            add(Netuid(1), ALICE_HOT, MINIMUM - 1),
            Error::<Test>::AmountTooSmall
        );
        assert_ok!(add(Netuid(1), ALICE_HOT, MINIMUM));
    });
}

#[test]
fn the_account_keeps_the_existential_deposit() {
    ExtBuilder::default().build_and_execute(|| {
        let most = FUNDS - EXISTENTIAL_DEPOSIT;
        for more in [most + 1, u64::MAX] {
            assert_noop!(
                add(Netuid(1), ALICE_HOT, more),
                TokenError::FundsUnavailable
            );
        }
        assert_ok!(add(Netuid(1), ALICE_HOT, most));
        assert_eq!(Balances::free_balance(ALICE), EXISTENTIAL_DEPOSIT);
    });
}

#[test]
fn a_pool_that_slashes_have_all_but_emptied_takes_no_more() {
    ExtBuilder::default()
        .stake(Netuid(1), ALICE_HOT, FUNDS - CRN)
        .build_and_execute(|| {
            let bob = || RuntimeOrigin::signed(BOB);
            let add = || Stake::add_stake(bob(), Netuid(1), ALICE_HOT, 200 * CRN);
            let leave_a_pebble = || {
                let stake = <Stake as Stakes<u64>>::stake(Netuid(1), &ALICE_HOT);
                slash(Netuid(1), ALICE_HOT, stake - 1);
            };
            leave_a_pebble();
            assert_ok!(add());
            leave_a_pebble();
            assert_noop!(add(), Error::<Test>::PoolOutOfRange);
            // Who is in gets what it earns, and out.
            assert_ok!(reward(Netuid(1), ALICE_HOT, CRN));
            assert!(staked(BOB, Netuid(1), ALICE_HOT) > 0);
            assert_ok!(Stake::remove_stake(bob(), Netuid(1), ALICE_HOT, None));
        });
}
