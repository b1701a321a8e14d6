//! Stake that goes, after it has waited.

use crate::{mock::*, Error, Event, Positions, MAX_UNBONDING};
use cairn_primitives::{
    traits::{Ledgers, Stakes},
    Netuid, CRN,
};
use frame_support::{assert_noop, assert_ok, dispatch::DispatchResult};
use sp_runtime::TokenError;

fn remove(amount: impl Into<Option<u64>>) -> DispatchResult {
    Stake::remove_stake(
        RuntimeOrigin::signed(ALICE),
        Netuid(1),
        ALICE_HOT,
        amount.into(),
    )
}

fn withdraw() -> DispatchResult {
    Stake::withdraw_stake(RuntimeOrigin::signed(ALICE), Netuid(1), ALICE_HOT)
        .map(|_| ())
        .map_err(|error| error.error)
}

#[test]
fn stake_stops_counting_at_once_and_comes_back_after_the_period() {
    ExtBuilder::default()
        .stake(Netuid(1), ALICE_HOT, 7 * CRN)
        .build_and_execute(|| {
            assert_ok!(remove(3 * CRN));
            let release_at = 1 + PERIOD;
            assert_eq!(
                events(),
                [Event::StakeUnbonding {
                    coldkey: ALICE,
                    netuid: Netuid(1),
                    hotkey: ALICE_HOT,
                    amount: 3 * CRN,
                    release_at,
                    moves_to: None
                }]
            );
            assert_eq!(
                <Stake as Stakes<u64>>::stake(Netuid(1), &ALICE_HOT),
                4 * CRN
            );
            assert_eq!(<Stake as Stakes<u64>>::subnet_stake(Netuid(1)), 4 * CRN);
            assert_eq!(
                (Stake::total_staked(), Stake::total_unbonding()),
                (4 * CRN, 3 * CRN)
            );
            assert_eq!(
                waiting(ALICE, Netuid(1), ALICE_HOT),
                [(3 * CRN, release_at)]
            );
            assert_eq!(Balances::free_balance(ALICE), FUNDS - 7 * CRN);

            System::set_block_number(release_at - 1);
            assert_noop!(withdraw(), Error::<Test>::StakeLocked);
            System::set_block_number(release_at);
            assert_ok!(withdraw());
            assert_eq!(
                events(),
                [Event::StakeWithdrawn {
                    coldkey: ALICE,
                    netuid: Netuid(1),
                    hotkey: ALICE_HOT,
                    amount: 3 * CRN
                }]
            );
            assert_eq!(Balances::free_balance(ALICE), FUNDS - 4 * CRN);
            assert_eq!(Stake::total_unbonding(), 0);
        });
}

#[test]
fn all_of_it_leaves_nothing_behind() {
    ExtBuilder::default()
        .stake(Netuid(1), ALICE_HOT, 7 * CRN)
        .build_and_execute(|| {
            assert_ok!(reward(Netuid(1), ALICE_HOT, 13));
            assert_ok!(remove(None));
            assert_eq!(Stake::total_staked(), 0);
            System::set_block_number(1 + PERIOD);
            assert_ok!(withdraw());
            assert_eq!(Balances::free_balance(ALICE), FUNDS + 13);
            assert_eq!(Positions::<Test>::iter_keys().count(), 0);
            assert_eq!(crate::Backers::<Test>::iter_keys().count(), 0);
            assert_eq!(crate::StakePools::<Test>::iter_keys().count(), 0);
            assert_eq!(crate::UnbondingPools::<Test>::iter_keys().count(), 0);
        });
}

#[test]
fn nobody_takes_nothing_or_more_than_there_is() {
    let builder = ExtBuilder::default()
        .stake(Netuid(1), ALICE_HOT, CRN)
        .stake(Netuid(2), ALICE_HOT_2, CRN);
    builder.build_and_execute(|| {
        let take = |netuid, hotkey, amount| {
            Stake::remove_stake(RuntimeOrigin::signed(ALICE), netuid, hotkey, amount)
        };
        let not_enough = || Error::<Test>::NotEnoughStake;
        assert_noop!(remove(0), Error::<Test>::AmountIsZero);
        for amount in [Some(CRN + 1), Some(u64::MAX)] {
            assert_noop!(remove(amount), not_enough());
        }
        for amount in [Some(1), None] {
            assert_noop!(take(Netuid(1), ALICE_HOT_2, amount), not_enough());
            assert_noop!(take(Netuid(2), ALICE_HOT, amount), not_enough());
            assert_noop!(
                take(Netuid(9), ALICE_HOT, amount),
                Error::<Test>::UnknownSubnet
            );
        }
        assert_noop!(withdraw(), Error::<Test>::NoStakeUnbonding);
    });
}

#[test]
fn what_is_left_is_nothing_or_worth_keeping() {
    ExtBuilder::default()
        .stake(Netuid(1), ALICE_HOT, CRN)
        .build_and_execute(|| {
            for amount in [CRN - 1, CRN - MINIMUM + 1] {
                assert_noop!(remove(amount), Error::<Test>::RemainderTooSmall);
            }
            assert_ok!(remove(CRN - MINIMUM));
            assert_ok!(remove(MINIMUM));
        });
}

#[test]
fn withdrawals_of_one_block_are_one_and_the_queue_is_bounded() {
    ExtBuilder::default()
        .stake(Netuid(1), ALICE_HOT, 100 * CRN)
        .build_and_execute(|| {
            for block in 1..=MAX_UNBONDING {
                System::set_block_number(block);
                assert_ok!(remove(CRN));
                assert_ok!(remove(CRN));
            }
            assert_eq!(
                waiting(ALICE, Netuid(1), ALICE_HOT).len(),
                usize::try_from(MAX_UNBONDING).unwrap()
            );
            System::set_block_number(MAX_UNBONDING + 1);
            assert_noop!(remove(CRN), Error::<Test>::UnbondingQueueFull);
            // Nobody else is in the way.
            assert_ok!(Stake::add_stake(
                RuntimeOrigin::signed(CAROL),
                Netuid(1),
                ALICE_HOT,
                CRN
            ));
            assert_ok!(Stake::remove_stake(
                RuntimeOrigin::signed(CAROL),
                Netuid(1),
                ALICE_HOT,
                None
            ));
            // What is released makes room; the rest stays.
            System::set_block_number(2 + PERIOD);
            assert_ok!(withdraw());
            assert_eq!(Balances::free_balance(ALICE), FUNDS - 96 * CRN);
            assert_ok!(remove(CRN));
            assert_eq!(waiting(ALICE, Netuid(1), ALICE_HOT).len(), 7);
        });
}

#[test]
fn a_shorter_period_holds_for_what_is_asked_for_afterwards() {
    ExtBuilder::default()
        .stake(Netuid(1), ALICE_HOT, 5 * CRN)
        .build_and_execute(|| {
            assert_ok!(remove(CRN));
            Seats::set_unbonding_period(10);
            assert_ok!(remove(2 * CRN));
            System::set_block_number(11);
            assert_ok!(withdraw());
            assert_eq!(Balances::free_balance(ALICE), FUNDS - 3 * CRN);
            assert_eq!(waiting(ALICE, Netuid(1), ALICE_HOT), [(CRN, 1 + PERIOD)]);
            assert_noop!(withdraw(), Error::<Test>::StakeLocked);
        });
}

#[test]
fn what_waits_earns_nothing() {
    let builder = ExtBuilder::default().stake(Netuid(1), ALICE_HOT, 5 * CRN);
    builder
        .delegate(CAROL, Netuid(1), ALICE_HOT, 5 * CRN)
        .build_and_execute(|| {
            assert_ok!(remove(None));
            assert_ok!(reward(Netuid(1), ALICE_HOT, CRN));
            assert_eq!(
                waiting(ALICE, Netuid(1), ALICE_HOT),
                [(5 * CRN, 1 + PERIOD)]
            );
        });
}

#[test]
fn an_account_that_is_gone_takes_no_dust() {
    ExtBuilder::default()
        .stake(Netuid(1), ALICE_HOT, CRN)
        .build_and_execute(|| {
            let all = Balances::free_balance(ALICE);
            let origin = RuntimeOrigin::signed(ALICE);
            assert_ok!(Balances::transfer_allow_death(origin, BOB, all));
            assert_ok!(remove(EXISTENTIAL_DEPOSIT - 1));
            System::set_block_number(1 + PERIOD);
            assert_noop!(withdraw(), TokenError::BelowMinimum);
            assert_ok!(remove(None));
            System::set_block_number(1 + 2 * PERIOD);
            assert_ok!(withdraw());
            assert_eq!(Balances::free_balance(ALICE), CRN);
        });
}
