//! Stake that moves to another hotkey or subnet: it waits on the way.

use crate::{mock::*, Error, Event};
use cairn_primitives::{
    traits::{Ledgers, Stakes},
    Netuid, CRN,
};
use frame_support::{assert_noop, assert_ok, dispatch::DispatchResult};

fn move_to(netuid: Netuid, hotkey: u64, amount: impl Into<Option<u64>>) -> DispatchResult {
    Stake::move_stake(
        RuntimeOrigin::signed(CAROL),
        Netuid(1),
        ALICE_HOT,
        netuid,
        hotkey,
        amount.into(),
    )
}

fn withdraw() {
    assert_ok!(Stake::withdraw_stake(
        RuntimeOrigin::signed(CAROL),
        Netuid(1),
        ALICE_HOT
    ));
}

fn with_stake(test: impl FnOnce()) {
    ExtBuilder::default()
        .delegate(CAROL, Netuid(1), ALICE_HOT, 5 * CRN)
        .build_and_execute(test);
}

#[test]
fn it_counts_nowhere_until_it_is_released_and_then_there() {
    with_stake(|| {
        assert_ok!(move_to(Netuid(2), BOB_HOT, 2 * CRN));
        let release_at = 1 + PERIOD;
        assert_eq!(
            events(),
            [Event::StakeUnbonding {
                coldkey: CAROL,
                netuid: Netuid(1),
                hotkey: ALICE_HOT,
                amount: 2 * CRN,
                release_at,
                moves_to: Some((Netuid(2), BOB_HOT))
            }]
        );
        let counting = || {
            let stake = <Stake as Stakes<u64>>::stake;
            (stake(Netuid(1), &ALICE_HOT), stake(Netuid(2), &BOB_HOT))
        };
        assert_eq!(counting(), (3 * CRN, 0));
        System::set_block_number(release_at);
        withdraw();
        assert_eq!(
            events(),
            [Event::StakeMoved {
                coldkey: CAROL,
                netuid: Netuid(1),
                hotkey: ALICE_HOT,
                to_netuid: Netuid(2),
                to_hotkey: BOB_HOT,
                amount: 2 * CRN
            }]
        );
        assert_eq!(counting(), (3 * CRN, 2 * CRN));
        assert_eq!(staked(CAROL, Netuid(2), BOB_HOT), 2 * CRN);
        assert_eq!(Balances::free_balance(CAROL), FUNDS - 5 * CRN);
    });
}

#[test]
fn it_answers_for_the_hotkey_that_it_leaves() {
    with_stake(|| {
        assert_ok!(move_to(Netuid(2), BOB_HOT, None));
        assert_eq!(slash(Netuid(1), ALICE_HOT, 3 * CRN), 3 * CRN);
        System::set_block_number(1 + PERIOD);
        withdraw();
        assert_eq!(staked(CAROL, Netuid(2), BOB_HOT), 2 * CRN);
    });
}

#[test]
fn if_nobody_sits_there_any_more_it_goes_to_the_account() {
    with_stake(|| {
        assert_ok!(move_to(Netuid(2), BOB_HOT, 2 * CRN));
        Seats::leave(Netuid(2), BOB_HOT);
        System::set_block_number(1 + PERIOD);
        withdraw();
        assert_eq!(Balances::free_balance(CAROL), FUNDS - 3 * CRN);
        assert_eq!(Stake::total_unbonding(), 0);
    });
}

#[test]
fn what_is_left_of_it_is_too_little_to_stake_and_goes_to_the_account() {
    with_stake(|| {
        assert_ok!(move_to(Netuid(2), BOB_HOT, None));
        slash(Netuid(1), ALICE_HOT, 5 * CRN - MINIMUM + 1);
        System::set_block_number(1 + PERIOD);
        withdraw();
        assert_eq!(staked(CAROL, Netuid(2), BOB_HOT), 0);
        assert_eq!(Balances::free_balance(CAROL), FUNDS - 5 * CRN + MINIMUM - 1);
    });
}

#[test]
fn moves_and_withdrawals_of_one_block_are_kept_apart() {
    with_stake(|| {
        assert_ok!(move_to(Netuid(2), BOB_HOT, CRN));
        assert_ok!(move_to(Netuid(2), ALICE_HOT, CRN));
        assert_ok!(move_to(Netuid(2), ALICE_HOT, CRN));
        assert_ok!(Stake::remove_stake(
            RuntimeOrigin::signed(CAROL),
            Netuid(1),
            ALICE_HOT,
            Some(CRN)
        ));
        assert_eq!(waiting(CAROL, Netuid(1), ALICE_HOT).len(), 3);
        System::set_block_number(1 + PERIOD);
        withdraw();
        assert_eq!(staked(CAROL, Netuid(2), BOB_HOT), CRN);
        assert_eq!(staked(CAROL, Netuid(2), ALICE_HOT), 2 * CRN);
        assert_eq!(Balances::free_balance(CAROL), FUNDS - 4 * CRN);
    });
}

#[test]
fn where_it_goes_is_checked() {
    with_stake(|| {
        assert_noop!(move_to(Netuid(1), ALICE_HOT, CRN), Error::<Test>::SamePlace);
        assert_noop!(
            move_to(Netuid(3), ALICE_HOT, CRN),
            Error::<Test>::UnknownSubnet
        );
        assert_noop!(move_to(Netuid(2), 99, CRN), Error::<Test>::NotMember);
        assert_noop!(move_to(Netuid(2), BOB_HOT, 0), Error::<Test>::AmountIsZero);
        assert_noop!(
            move_to(Netuid(2), BOB_HOT, 1),
            Error::<Test>::AmountTooSmall
        );
        assert_noop!(
            move_to(Netuid(2), BOB_HOT, 5 * CRN + 1),
            Error::<Test>::NotEnoughStake
        );
        assert_noop!(
            move_to(Netuid(2), BOB_HOT, 5 * CRN - 1),
            Error::<Test>::RemainderTooSmall
        );
        Seats::dissolve(Netuid(2));
        assert_noop!(
            move_to(Netuid(2), BOB_HOT, CRN),
            Error::<Test>::SubnetDissolving
        );
    });
}
