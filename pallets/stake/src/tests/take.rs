//! What a hotkey's coldkey takes: raised slowly, lowered at once.

use crate::{mock::*, Error, Event};
use frame_support::{assert_noop, assert_ok, dispatch::DispatchResult};

fn set(take: u16) -> DispatchResult {
    Stake::set_take(RuntimeOrigin::signed(ALICE), ALICE_HOT, take)
}

#[test]
fn it_is_at_the_cap_until_it_is_set() {
    ExtBuilder::default().build_and_execute(|| {
        assert_eq!(Stake::take_of(&ALICE_HOT), MAX_TAKE);
        assert_ok!(set(100));
        assert_eq!(
            events(),
            [Event::TakeSet {
                hotkey: ALICE_HOT,
                take: 100
            }]
        );
        assert_eq!(Stake::take_of(&ALICE_HOT), 100);
        assert_eq!(Stake::take_of(&ALICE_HOT_2), MAX_TAKE);
    });
}

#[test]
fn it_is_capped() {
    ExtBuilder::default().build_and_execute(|| {
        for take in [MAX_TAKE + 1, u16::MAX] {
            assert_noop!(set(take), Error::<Test>::TakeTooHigh);
        }
        assert_noop!(set(MAX_TAKE), Error::<Test>::TakeUnchanged);
    });
}

#[test]
fn it_is_lowered_at_any_time() {
    ExtBuilder::default().build_and_execute(|| {
        for take in [5_000, 4_999, 0] {
            assert_ok!(set(take));
        }
        assert_noop!(set(0), Error::<Test>::TakeUnchanged);
    });
}

#[test]
fn it_is_raised_by_a_step_after_a_wait() {
    ExtBuilder::default().build_and_execute(|| {
        assert_ok!(set(0));
        // Lowering and raising again is raising.
        assert_noop!(set(1), Error::<Test>::TakeRaisedTooSoon);
        System::set_block_number(TAKE_INTERVAL);
        assert_noop!(set(TAKE_STEP), Error::<Test>::TakeRaisedTooSoon);
        System::set_block_number(1 + TAKE_INTERVAL);
        assert_noop!(set(TAKE_STEP + 1), Error::<Test>::TakeStepTooLarge);
        assert_ok!(set(TAKE_STEP));
        assert_noop!(set(TAKE_STEP + 1), Error::<Test>::TakeRaisedTooSoon);
        assert_ok!(set(TAKE_STEP - 1));
        System::set_block_number(1 + 2 * TAKE_INTERVAL);
        assert_ok!(set(2 * TAKE_STEP - 1));
    });
}

#[test]
fn only_the_hotkeys_coldkey_sets_it() {
    ExtBuilder::default().build_and_execute(|| {
        for stranger in [BOB, CAROL, ALICE_HOT] {
            assert_noop!(
                Stake::set_take(RuntimeOrigin::signed(stranger), ALICE_HOT, 0),
                Error::<Test>::NotHotkeysColdkey
            );
        }
        assert_noop!(
            Stake::set_take(RuntimeOrigin::signed(ALICE), 99, 0),
            Error::<Test>::UnknownHotkey
        );
    });
}
