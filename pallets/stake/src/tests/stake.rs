use crate::{mock::*, Error, Event};
use cairn_primitives::{
    traits::{Ledgers, Stakes},
    CRN,
};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::TokenError;

fn add(netuid: u16, hotkey: u64, amount: u64) -> Result<(), sp_runtime::DispatchError> {
    Stake::add_stake(RuntimeOrigin::signed(ALICE), netuid, hotkey, amount)
}

fn remove(netuid: u16, hotkey: u64, amount: u64) -> Result<(), sp_runtime::DispatchError> {
    Stake::remove_stake(RuntimeOrigin::signed(ALICE), netuid, hotkey, amount)
}

#[test]
fn stake_leaves_the_account_and_enters_the_ledger() {
    ExtBuilder::default().build_and_execute(|| {
        let issuance = Balances::total_issuance();
        assert_ok!(add(1, ALICE_HOT, 7 * CRN));
        assert_eq!(
            events(),
            [Event::StakeAdded {
                netuid: 1,
                hotkey: ALICE_HOT,
                amount: 7 * CRN
            }]
        );
        assert_eq!(Balances::free_balance(ALICE), FUNDS - 7 * CRN);
        assert_eq!(Balances::total_issuance(), issuance - 7 * CRN);
        assert_eq!(<Stake as Stakes<u64>>::stake(1, &ALICE_HOT), 7 * CRN);
        assert_eq!(<Stake as Stakes<u64>>::subnet_stake(1), 7 * CRN);
        assert_eq!((Stake::total_staked(), Stake::total_bonded()), (7 * CRN, 0));
    });
}

#[test]
fn stakes_are_kept_by_hotkey_and_subnet_and_added_up() {
    let builder = ExtBuilder::default()
        .stake(1, ALICE_HOT, CRN)
        .stake(1, BOB_HOT, 2 * CRN);
    builder
        .stake(2, ALICE_HOT, 4 * CRN)
        .stake(1, ALICE_HOT, 8 * CRN)
        .build_and_execute(|| {
            assert_eq!(<Stake as Stakes<u64>>::stake(1, &ALICE_HOT), 9 * CRN);
            assert_eq!(<Stake as Stakes<u64>>::stake(2, &ALICE_HOT), 4 * CRN);
            assert_eq!(<Stake as Stakes<u64>>::stake(2, &BOB_HOT), 0);
            assert_eq!(<Stake as Stakes<u64>>::subnet_stake(1), 11 * CRN);
            assert_eq!(<Stake as Stakes<u64>>::subnet_stake(2), 4 * CRN);
            assert_eq!(Stake::total_staked(), 15 * CRN);
        });
}

#[test]
fn stake_comes_back_at_once() {
    ExtBuilder::default()
        .stake(1, ALICE_HOT, 7 * CRN)
        .build_and_execute(|| {
            assert_ok!(remove(1, ALICE_HOT, 3 * CRN));
            assert_eq!(
                events(),
                [Event::StakeRemoved {
                    netuid: 1,
                    hotkey: ALICE_HOT,
                    amount: 3 * CRN
                }]
            );
            assert_eq!(Balances::free_balance(ALICE), FUNDS - 4 * CRN);
            assert_eq!(<Stake as Stakes<u64>>::stake(1, &ALICE_HOT), 4 * CRN);
            assert_ok!(remove(1, ALICE_HOT, 4 * CRN));
            assert_eq!(Balances::free_balance(ALICE), FUNDS);
            assert_eq!(Stake::total_staked(), 0);
            assert!(!crate::StakeOn::<Test>::contains_key(1, ALICE_HOT));
        });
}

#[test]
fn an_amount_has_a_minimum_when_it_comes_and_none_when_it_goes() {
    ExtBuilder::default().build_and_execute(|| {
        for amount in [0, MINIMUM - 1] {
            assert_noop!(add(1, ALICE_HOT, amount), Error::<Test>::AmountTooSmall);
        }
        assert_ok!(add(1, ALICE_HOT, MINIMUM));
        assert_noop!(remove(1, ALICE_HOT, 0), Error::<Test>::AmountTooSmall);
        assert_ok!(remove(1, ALICE_HOT, 1));
    });
}

#[test]
fn nobody_removes_more_than_there_is() {
    let builder = ExtBuilder::default()
        .stake(1, ALICE_HOT, CRN)
        .stake(2, ALICE_HOT_2, CRN);
    builder.build_and_execute(|| {
        assert_noop!(remove(1, ALICE_HOT, CRN + 1), Error::<Test>::NotEnoughStake);
        assert_noop!(remove(1, ALICE_HOT_2, 1), Error::<Test>::NotEnoughStake);
        assert_noop!(remove(2, ALICE_HOT, 1), Error::<Test>::NotEnoughStake);
        assert_noop!(remove(9, ALICE_HOT, 1), Error::<Test>::NotEnoughStake);
    });
}

#[test]
fn the_account_keeps_the_existential_deposit() {
    ExtBuilder::default().build_and_execute(|| {
        let most = FUNDS - EXISTENTIAL_DEPOSIT;
        assert_noop!(add(1, ALICE_HOT, most + 1), TokenError::FundsUnavailable);
        assert_noop!(add(1, ALICE_HOT, u64::MAX), TokenError::FundsUnavailable);
        assert_ok!(add(1, ALICE_HOT, most));
        assert_eq!(Balances::free_balance(ALICE), EXISTENTIAL_DEPOSIT);
    });
}

#[test]
fn an_account_that_is_gone_takes_no_dust() {
    ExtBuilder::default()
        .stake(1, ALICE_HOT, CRN)
        .build_and_execute(|| {
            let all = Balances::free_balance(ALICE);
            let origin = RuntimeOrigin::signed(ALICE);
            assert_ok!(Balances::transfer_allow_death(origin, BOB, all));
            assert_noop!(
                remove(1, ALICE_HOT, EXISTENTIAL_DEPOSIT - 1),
                TokenError::BelowMinimum
            );
            assert_ok!(remove(1, ALICE_HOT, CRN));
            assert_eq!(Balances::free_balance(ALICE), CRN);
        });
}
