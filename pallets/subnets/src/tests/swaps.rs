//! A member that gets another hotkey.

use crate::{mock::*, Error, Event, Swap, Swaps};
use cairn_primitives::{traits::Membership, Netuid, Role, Uid};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::DispatchResult;

/// What unbonds for 100 blocks, with a member of ALICE's.
fn with_member() -> ExtBuilder {
    let builder = ExtBuilder::default()
        .subnet_with(|h| (h.tempo, h.activity_cutoff, h.unbonding_period) = (20, 40, 100));
    builder.member(Netuid(1), ALICE, 20)
}

fn announce(who: AccountId, to: AccountId) -> DispatchResult {
    let signature = signature(to, Netuid(1), who);
    Subnets::announce_swap(RuntimeOrigin::signed(who), Netuid(1), 20, to, signature)
}

fn finish(who: AccountId) -> DispatchResult {
    Subnets::finish_swap(RuntimeOrigin::signed(who), Netuid(1), 20)
}

fn cancel(who: AccountId) -> DispatchResult {
    Subnets::cancel_swap(RuntimeOrigin::signed(who), Netuid(1), 20)
}

#[test]
fn it_keeps_its_seat_its_role_and_its_age() {
    with_member().build_and_execute(|| {
        let alice = || RuntimeOrigin::signed(ALICE);
        assert_ok!(Subnets::set_role(alice(), Netuid(1), 20, Role::Validator));
        events();
        System::set_block_number(10);
        assert_ok!(announce(ALICE, 21));
        assert_eq!(
            events(),
            [Event::SwapAnnounced {
                netuid: Netuid(1),
                uid: Uid(0),
                hotkey: 20,
                to: 21,
                from: 110
            }]
        );
        assert_eq!(members(Netuid(1)), [(Uid(0), 20)]);
        let before = Subnets::member(Netuid(1), Uid(0)).unwrap();
        System::set_block_number(109);
        assert_noop!(finish(ALICE), Error::<Test>::SwapTooSoon);
        System::set_block_number(110);
        assert_ok!(finish(ALICE));
        assert_eq!(
            events(),
            [Event::HotkeySwapped {
                netuid: Netuid(1),
                uid: Uid(0),
                old: 20,
                new: 21
            }]
        );
        assert_eq!(Notes::take(), [Note::Swapped(Netuid(1), Uid(0), 20, 21)]);
        let expected = crate::Member {
            hotkey: 21,
            ..before
        };
        assert_eq!(Subnets::member(Netuid(1), Uid(0)), Some(expected));
        assert_eq!(<Subnets as Membership<u64>>::uid(Netuid(1), &20), None);
        assert_eq!(<Subnets as Membership<u64>>::coldkey(&21), Some(ALICE));
        assert_eq!((System::sufficients(&20), System::sufficients(&21)), (0, 1));
        assert_eq!(Swaps::<Test>::iter().count(), 0);
        // The old one is still ALICE's, and may come back.
        assert_ok!(register(ALICE, Netuid(1), 20, u64::MAX));
    });
}

#[test]
fn its_coldkey_may_think_better_of_it() {
    with_member().build_and_execute(|| {
        assert_noop!(cancel(ALICE), Error::<Test>::NoSwapAnnounced);
        assert_ok!(announce(ALICE, 21));
        assert_noop!(announce(ALICE, 22), Error::<Test>::SwapAnnounced);
        assert_noop!(cancel(BOB), Error::<Test>::NotHotkeysColdkey);
        events();
        assert_ok!(cancel(ALICE));
        assert_eq!(
            events(),
            [Event::SwapCancelled {
                netuid: Netuid(1),
                uid: Uid(0)
            }]
        );
        System::set_block_number(500);
        assert_noop!(finish(ALICE), Error::<Test>::NoSwapAnnounced);
        assert_ok!(announce(ALICE, 22));
        assert_eq!(
            Subnets::swap(Netuid(1), Uid(0)),
            Some(Swap { to: 22, from: 600 })
        );
    });
}

#[test]
fn both_the_coldkey_and_the_new_hotkey_have_to_agree() {
    let builder = with_member()
        .member(Netuid(1), BOB, 30)
        .member(Netuid(1), ALICE, 40);
    builder.build_and_execute(|| {
        assert_noop!(announce(BOB, 21), Error::<Test>::NotHotkeysColdkey);
        let forged = signature(ALICE, Netuid(1), ALICE);
        let alice = || RuntimeOrigin::signed(ALICE);
        assert_noop!(
            Subnets::announce_swap(alice(), Netuid(1), 20, 21, forged),
            Error::<Test>::BadHotkeySignature
        );
        for taken in [20, 30, 40] {
            assert_noop!(announce(ALICE, taken), Error::<Test>::AlreadyMember);
        }
        assert_ok!(Subnets::leave(RuntimeOrigin::signed(BOB), Netuid(1), 30));
        assert_noop!(announce(ALICE, 30), Error::<Test>::NotHotkeysColdkey);
        let of = |netuid, hotkey| {
            let signature = signature(21, netuid, ALICE);
            Subnets::announce_swap(alice(), netuid, hotkey, 21, signature)
        };
        assert_noop!(of(Netuid(1), 99), Error::<Test>::NotMember);
        assert_noop!(of(Netuid(2), 20), Error::<Test>::UnknownSubnet);
    });
}

#[test]
fn whose_the_new_hotkey_is_and_where_it_sits_is_looked_at_again() {
    with_member().build_and_execute(|| {
        assert_ok!(announce(ALICE, 21));
        assert_ok!(register(BOB, Netuid(1), 21, u64::MAX));
        System::set_block_number(200);
        assert_noop!(finish(ALICE), Error::<Test>::AlreadyMember);
        assert_ok!(Subnets::leave(RuntimeOrigin::signed(BOB), Netuid(1), 21));
        assert_noop!(finish(ALICE), Error::<Test>::NotHotkeysColdkey);
        assert_noop!(finish(BOB), Error::<Test>::NotHotkeysColdkey);
    });
}

#[test]
fn it_goes_with_the_seat() {
    with_member().build_and_execute(|| {
        assert_ok!(announce(ALICE, 21));
        assert_ok!(Subnets::leave(RuntimeOrigin::signed(ALICE), Netuid(1), 20));
        assert_eq!(Swaps::<Test>::iter().count(), 0);
        assert_ok!(register(ALICE, Netuid(1), 20, u64::MAX));
        assert_ok!(announce(ALICE, 21));
        assert_ok!(Subnets::dissolve_subnet(
            RuntimeOrigin::signed(OWNER),
            Netuid(1)
        ));
        System::set_block_number(500);
        for error in [finish(ALICE), cancel(ALICE), announce(ALICE, 22)] {
            assert_eq!(error, Err(Error::<Test>::SubnetDissolving.into()));
        }
    });
}
