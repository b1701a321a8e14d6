//! Who may do what.

use crate::{mock::*, Error};
use cairn_primitives::CRN;
use frame_support::{assert_noop, assert_ok, dispatch::DispatchResult};
use sp_runtime::DispatchError;

/// Every call, on subnet 1, with an amount of one CRN.
fn calls(origin: RuntimeOrigin, hotkey: u64) -> [Box<dyn FnOnce() -> DispatchResult>; 5] {
    let origins = [(); 5].map(|()| origin.clone());
    let [a, b, c, d, e] = origins;
    [
        Box::new(move || Stake::add_stake(a, 1, hotkey, CRN)),
        Box::new(move || Stake::remove_stake(b, 1, hotkey, CRN)),
        Box::new(move || Stake::add_bond(c, 1, hotkey, CRN)),
        Box::new(move || Stake::unbond(d, 1, hotkey)),
        Box::new(move || Stake::withdraw_bond(e, 1, hotkey)),
    ]
}

#[test]
fn only_a_hotkeys_own_coldkey_moves_anything() {
    let builder = ExtBuilder::default().stake(1, ALICE_HOT, 5 * CRN);
    builder
        .bond(1, ALICE_HOT, 5 * CRN)
        .balance(ALICE_HOT, FUNDS)
        .build_and_execute(|| {
            for stranger in [BOB, ALICE_HOT] {
                for call in calls(RuntimeOrigin::signed(stranger), ALICE_HOT) {
                    assert_noop!(call(), Error::<Test>::NotHotkeysColdkey);
                }
            }
        });
}

#[test]
fn a_hotkey_that_nobody_registered_is_unknown() {
    ExtBuilder::default().build_and_execute(|| {
        for call in calls(RuntimeOrigin::signed(ALICE), 99) {
            assert_noop!(call(), Error::<Test>::UnknownHotkey);
        }
    });
}

#[test]
fn every_call_is_signed() {
    ExtBuilder::default().build_and_execute(|| {
        for call in calls(RuntimeOrigin::root(), ALICE_HOT) {
            assert_noop!(call(), DispatchError::BadOrigin);
        }
    });
}

#[test]
fn only_members_are_added_to() {
    ExtBuilder::default().build_and_execute(|| {
        Seats::leave(1, ALICE_HOT);
        let alice = || RuntimeOrigin::signed(ALICE);
        for netuid in [1, 3] {
            assert_noop!(
                Stake::add_stake(alice(), netuid, ALICE_HOT, CRN),
                Error::<Test>::NotMember
            );
            assert_noop!(
                Stake::add_bond(alice(), netuid, ALICE_HOT, CRN),
                Error::<Test>::NotMember
            );
        }
        assert_ok!(Stake::add_stake(alice(), 2, ALICE_HOT, CRN));
    });
}
