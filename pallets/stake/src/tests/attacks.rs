//! What somebody might try.

use crate::{mock::*, Error, MAX_UNBONDING};
use cairn_primitives::{
    traits::{Ledgers, Stakes},
    Netuid, CRN,
};
use frame_support::{assert_noop, assert_ok};

/// Dividends are paid once in as many blocks.
const TEMPO: u32 = 50;
/// Each time as many.
const DIVIDEND: u64 = 10 * CRN;

/// In just before each epoch that can be reached, and out just after it: what is locked in between earns less than
/// what stays.
#[test]
fn staking_for_the_moment_of_an_epoch_earns_less_than_staking() {
    let builder = ExtBuilder::default()
        .delegate(CAROL, Netuid(1), ALICE_HOT, 100 * CRN)
        .balance(DAVE, 101 * CRN);
    builder.build_and_execute(|| {
        assert_ok!(Stake::set_take(RuntimeOrigin::signed(ALICE), ALICE_HOT, 0));
        let dave = || RuntimeOrigin::signed(DAVE);
        let mut epochs_with_dave = 0;
        for epoch in 1..=20u32 {
            System::set_block_number(epoch * TEMPO - 1);
            let _ = Stake::withdraw_stake(dave(), Netuid(1), ALICE_HOT);
            let free = Balances::free_balance(DAVE) - CRN.min(Balances::free_balance(DAVE));
            if free > 0 {
                assert_ok!(Stake::add_stake(dave(), Netuid(1), ALICE_HOT, free));
                epochs_with_dave += 1;
            }
            System::set_block_number(epoch * TEMPO);
            assert_ok!(reward(Netuid(1), ALICE_HOT, DIVIDEND));
            System::set_block_number(epoch * TEMPO + 1);
            let _ = Stake::remove_stake(dave(), Netuid(1), ALICE_HOT, None);
        }
        System::set_block_number(20 * TEMPO + PERIOD + 1);
        assert_ok!(Stake::withdraw_stake(dave(), Netuid(1), ALICE_HOT));
        // PERIOD is two tempos: he makes it to every third epoch only, so that who stays earns more than twice.
        assert_eq!(epochs_with_dave, 7);
        let gain = Balances::free_balance(DAVE) - 101 * CRN;
        let honest = staked(CAROL, Netuid(1), ALICE_HOT) - 100 * CRN;
        assert!(honest > 2 * gain, "{gain} against {honest}");
    });
}

/// The same with moves: stake on the way to the next epoch is on no hotkey.
#[test]
fn moving_from_epoch_to_epoch_counts_once_at_most() {
    ExtBuilder::default()
        .delegate(DAVE, Netuid(1), ALICE_HOT, 100 * CRN)
        .build_and_execute(|| {
            let dave = || RuntimeOrigin::signed(DAVE);
            let counts = || {
                let stake = <Stake as Stakes<u64>>::stake;
                stake(Netuid(1), &ALICE_HOT)
                    + stake(Netuid(2), &BOB_HOT)
                    + stake(Netuid(1), &BOB_HOT)
            };
            assert_ok!(Stake::move_stake(
                dave(),
                Netuid(1),
                ALICE_HOT,
                Netuid(2),
                BOB_HOT,
                None
            ));
            for block in 2..=PERIOD {
                System::set_block_number(block);
                assert_eq!(counts(), 0);
                assert_noop!(
                    Stake::withdraw_stake(dave(), Netuid(1), ALICE_HOT),
                    Error::<Test>::StakeLocked
                );
            }
            System::set_block_number(1 + PERIOD);
            assert_ok!(Stake::withdraw_stake(dave(), Netuid(1), ALICE_HOT));
            assert_eq!(counts(), 100 * CRN);
        });
}

/// Ten thousand who stake the least that can be staked: a dividend and a slash cost what they cost with one, and
/// nobody loses more than a pebble to rounding.
#[test]
fn dust_staking_ten_thousand_times_slows_nothing_down() {
    const CROWD: u64 = 10_000;
    let crowd = 100_000..100_000 + CROWD;
    let mut builder = ExtBuilder::default().stake(Netuid(1), ALICE_HOT, 100 * CRN);
    for who in crowd.clone() {
        builder = builder
            .balance_of_another(who, MINIMUM + EXISTENTIAL_DEPOSIT)
            .delegate(who, Netuid(1), ALICE_HOT, MINIMUM);
    }
    builder.build_and_execute(|| {
        let positions = || {
            let all = crate::Positions::<Test>::iter().collect::<Vec<_>>();
            cairn_primitives::blake2_256(&codec::Encode::encode(&all))
        };
        assert_ok!(Stake::set_take(RuntimeOrigin::signed(ALICE), ALICE_HOT, 0));
        let before = positions();
        assert_ok!(reward(Netuid(1), ALICE_HOT, 110 * CRN));
        slash(Netuid(1), ALICE_HOT, 110 * CRN);
        assert_eq!(positions(), before, "no position was written");
        let (first, last) = (crowd.start, crowd.end - 1);
        for who in [first, last] {
            assert!(staked(who, Netuid(1), ALICE_HOT).abs_diff(MINIMUM) <= 1);
            let origin = RuntimeOrigin::signed(who);
            assert_noop!(
                Stake::add_stake(origin.clone(), Netuid(1), ALICE_HOT, 1),
                Error::<Test>::AmountTooSmall
            );
            assert_noop!(
                Stake::remove_stake(origin, Netuid(1), ALICE_HOT, Some(1)),
                Error::<Test>::RemainderTooSmall
            );
        }
        assert!(staked(ALICE, Netuid(1), ALICE_HOT).abs_diff(100 * CRN) <= 1);
    });
}

/// Who fills its queue is in nobody's way but its own, and only until the first release.
#[test]
fn filling_the_unbonding_queue_stops_nobody() {
    let builder = ExtBuilder::default().delegate(CAROL, Netuid(1), ALICE_HOT, 100 * CRN);
    builder
        .delegate(DAVE, Netuid(1), ALICE_HOT, 10 * CRN)
        .build_and_execute(|| {
            let carol = || RuntimeOrigin::signed(CAROL);
            for block in 1..=MAX_UNBONDING {
                System::set_block_number(block);
                assert_ok!(Stake::remove_stake(
                    carol(),
                    Netuid(1),
                    ALICE_HOT,
                    Some(MINIMUM)
                ));
            }
            for block in MAX_UNBONDING + 1..PERIOD {
                System::set_block_number(block);
                assert_noop!(
                    Stake::remove_stake(carol(), Netuid(1), ALICE_HOT, Some(MINIMUM)),
                    Error::<Test>::UnbondingQueueFull
                );
            }
            assert_ok!(Stake::remove_stake(
                RuntimeOrigin::signed(DAVE),
                Netuid(1),
                ALICE_HOT,
                None
            ));
            assert_ok!(reward(Netuid(1), ALICE_HOT, CRN));
            assert_eq!(slash(Netuid(1), ALICE_HOT, CRN), CRN);
            System::set_block_number(1 + PERIOD);
            assert_ok!(Stake::withdraw_stake(carol(), Netuid(1), ALICE_HOT));
            assert_ok!(Stake::remove_stake(
                carol(),
                Netuid(1),
                ALICE_HOT,
                Some(MINIMUM)
            ));
        });
}

/// Whoever takes over a seat has its own stake and bond, and those that were there leave with their hotkey.
#[test]
fn a_newcomer_inherits_neither_stake_nor_bond() {
    let builder = ExtBuilder::default()
        .stake(Netuid(1), ALICE_HOT, 5 * CRN)
        .bond(Netuid(1), ALICE_HOT, 6 * CRN);
    builder.build_and_execute(|| {
        Seats::leave(Netuid(1), ALICE_HOT);
        Seats::sit(Netuid(1), BOB, 21);
        let counting = |hotkey: u64| {
            (
                <Stake as Stakes<u64>>::stake(Netuid(1), &hotkey),
                <Stake as Stakes<u64>>::bond(Netuid(1), &hotkey),
            )
        };
        assert_eq!(counting(21), (0, 0));
        // The hotkey itself comes back to its stake, but its bond is on its way home.
        Seats::sit(Netuid(1), ALICE, ALICE_HOT);
        assert_eq!(counting(ALICE_HOT), (5 * CRN, 0));
    });
}

/// Neither leaving the seat, nor asking everything back, nor giving it away saves anybody from a slash.
#[test]
fn nobody_escapes_a_slash() {
    let builder = ExtBuilder::default()
        .stake(Netuid(1), ALICE_HOT, 5 * CRN)
        .bond(Netuid(1), ALICE_HOT, 6 * CRN);
    builder
        .delegate(CAROL, Netuid(1), ALICE_HOT, 7 * CRN)
        .build_and_execute(|| {
            Seats::leave(Netuid(1), ALICE_HOT);
            let alice = RuntimeOrigin::signed(ALICE);
            assert_ok!(Stake::remove_stake(alice, Netuid(1), ALICE_HOT, None));
            let carol = RuntimeOrigin::signed(CAROL);
            assert_ok!(Stake::transfer_stake(
                carol,
                BOB,
                Netuid(1),
                ALICE_HOT,
                None
            ));
            assert_eq!(slash(Netuid(1), ALICE_HOT, u64::MAX), 18 * CRN);
            assert_eq!(
                (
                    Stake::total_staked(),
                    Stake::total_unbonding(),
                    Stake::total_bonded()
                ),
                (0, 0, 0)
            );
        });
}

/// A first staker cannot make a share so dear that rounding eats what the next one brings.
#[test]
fn the_first_staker_takes_nothing_from_the_next() {
    ExtBuilder::default()
        .stake(Netuid(1), ALICE_HOT, MINIMUM)
        .build_and_execute(|| {
            assert_ok!(reward(Netuid(1), ALICE_HOT, MINIMUM << 30));
            let carol = RuntimeOrigin::signed(CAROL);
            assert_ok!(Stake::add_stake(carol, Netuid(1), ALICE_HOT, 10 * CRN));
            let paid = FUNDS - Balances::free_balance(CAROL);
            assert!(staked(CAROL, Netuid(1), ALICE_HOT) + 1 >= paid);
        });
}
