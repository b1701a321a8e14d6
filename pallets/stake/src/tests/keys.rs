//! Who may do what.

use crate::{mock::*, Error};
use cairn_primitives::{Netuid, CRN};
use frame_support::{assert_noop, assert_ok, dispatch::DispatchResult};
use sp_runtime::DispatchError;

type Calls<const N: usize> = [Box<dyn FnOnce() -> DispatchResult>; N];

/// The calls of a hotkey's own coldkey, on subnet 1.
fn owners(origin: RuntimeOrigin, hotkey: u64) -> Calls<4> {
    let [a, b, c, d] = [(); 4].map(|()| origin.clone());
    [
        Box::new(move || Stake::add_bond(a, Netuid(1), hotkey, CRN)),
        Box::new(move || Stake::unbond(b, Netuid(1), hotkey)),
        Box::new(move || Stake::withdraw_bond(c, Netuid(1), hotkey)),
        Box::new(move || Stake::set_take(d, hotkey, 1)),
    ]
}

/// Everybody's calls, on subnet 1.
fn everybodys(origin: RuntimeOrigin, hotkey: u64) -> Calls<5> {
    let [a, b, c, d, e] = [(); 5].map(|()| origin.clone());
    [
        Box::new(move || Stake::add_stake(a, Netuid(1), hotkey, CRN)),
        Box::new(move || Stake::remove_stake(b, Netuid(1), hotkey, None)),
        Box::new(move || {
            let done = Stake::withdraw_stake(c, Netuid(1), hotkey);
            done.map(|_| ()).map_err(|error| error.error)
        }),
        Box::new(move || Stake::move_stake(d, Netuid(1), hotkey, Netuid(2), hotkey, None)),
        Box::new(move || Stake::transfer_stake(e, DAVE, Netuid(1), hotkey, None)),
    ]
}

#[test]
fn only_a_hotkeys_own_coldkey_bonds_and_takes() {
    let builder = ExtBuilder::default().stake(Netuid(1), ALICE_HOT, 5 * CRN);
    builder
        .bond(Netuid(1), ALICE_HOT, 5 * CRN)
        .balance(ALICE_HOT, FUNDS)
        .build_and_execute(|| {
            for stranger in [BOB, ALICE_HOT, CAROL] {
                for call in owners(RuntimeOrigin::signed(stranger), ALICE_HOT) {
                    assert_noop!(call(), Error::<Test>::NotHotkeysColdkey);
                }
            }
        });
}

#[test]
fn a_hotkey_that_nobody_registered_is_unknown() {
    ExtBuilder::default().build_and_execute(|| {
        for call in owners(RuntimeOrigin::signed(ALICE), 99) {
            assert_noop!(call(), Error::<Test>::UnknownHotkey);
        }
    });
}

#[test]
fn every_call_is_signed() {
    ExtBuilder::default().build_and_execute(|| {
        for call in owners(RuntimeOrigin::root(), ALICE_HOT) {
            assert_noop!(call(), DispatchError::BadOrigin);
        }
        for call in everybodys(RuntimeOrigin::root(), ALICE_HOT) {
            assert_noop!(call(), DispatchError::BadOrigin);
        }
    });
}

#[test]
fn only_members_of_known_subnets_are_bonded_for() {
    ExtBuilder::default().build_and_execute(|| {
        let alice = || RuntimeOrigin::signed(ALICE);
        let add = |netuid| Stake::add_bond(alice(), netuid, ALICE_HOT, CRN);
        assert_noop!(add(Netuid(3)), Error::<Test>::UnknownSubnet);
        Seats::leave(Netuid(1), ALICE_HOT);
        assert_noop!(add(Netuid(1)), Error::<Test>::NotMember);
        assert_ok!(add(Netuid(2)));
    });
}
