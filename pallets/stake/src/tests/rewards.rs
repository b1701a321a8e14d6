use crate::{mock::*, Error};
use cairn_primitives::{
    traits::{Ledgers, Stakes},
    CRN,
};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::ArithmeticError;

#[test]
fn a_reward_adds_to_the_stake_and_touches_no_account() {
    ExtBuilder::default()
        .stake(1, ALICE_HOT, 5 * CRN)
        .build_and_execute(|| {
            let issuance = Balances::total_issuance();
            assert_ok!(reward(1, ALICE_HOT, 7));
            assert_eq!(<Stake as Stakes<u64>>::stake(1, &ALICE_HOT), 5 * CRN + 7);
            assert_eq!(<Stake as Stakes<u64>>::subnet_stake(1), 5 * CRN + 7);
            assert_eq!(Stake::total_staked(), 5 * CRN + 7);
            assert_eq!(Balances::total_issuance(), issuance);
            assert_ok!(Stake::remove_stake(
                RuntimeOrigin::signed(ALICE),
                1,
                ALICE_HOT,
                5 * CRN + 7
            ));
            assert_eq!(Balances::free_balance(ALICE), FUNDS + 7);
        });
}

#[test]
fn a_hotkey_that_has_left_is_still_rewarded() {
    ExtBuilder::default().build_and_execute(|| {
        Seats::leave(1, ALICE_HOT);
        assert_ok!(reward(1, ALICE_HOT, 7));
        assert_eq!(<Stake as Stakes<u64>>::stake(1, &ALICE_HOT), 7);
    });
}

#[test]
fn a_reward_of_nothing_leaves_no_trace() {
    ExtBuilder::default().build_and_execute(|| {
        assert_ok!(reward(1, ALICE_HOT, 0));
        assert!(!crate::StakeOn::<Test>::contains_key(1, ALICE_HOT));
    });
}

#[test]
fn nobody_could_take_back_what_a_stranger_was_rewarded() {
    ExtBuilder::default().build_and_execute(|| {
        assert_noop!(reward(1, 99, 7), Error::<Test>::UnknownHotkey);
    });
}

#[test]
fn an_overflow_is_an_error_that_changes_nothing() {
    ExtBuilder::default()
        .stake(1, ALICE_HOT, CRN)
        .build_and_execute(|| {
            assert_noop!(reward(1, BOB_HOT, u64::MAX), ArithmeticError::Overflow);
        });
}
