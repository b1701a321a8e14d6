use crate::{mock::*, Error, Event};
use cairn_primitives::{traits::Membership, Netuid, Uid};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::DispatchError;

#[test]
fn a_coldkey_takes_its_hotkey_off_the_seat() {
    ExtBuilder::default()
        .subnet()
        .member(Netuid(1), ALICE, 20)
        .build_and_execute(|| {
            assert_ok!(Subnets::leave(RuntimeOrigin::signed(ALICE), Netuid(1), 20));
            assert_eq!(
                events(),
                [Event::MemberLeft {
                    netuid: Netuid(1),
                    uid: Uid(0),
                    hotkey: 20
                }]
            );
            assert_eq!(Notes::take(), [Note::Left(Netuid(1), Uid(0), 20)]);
            assert_eq!(members(Netuid(1)), []);
            assert_eq!(<Subnets as Membership<u64>>::uid(Netuid(1), &20), None);
            assert_eq!(Subnets::subnet(Netuid(1)).unwrap().members, 0);
            assert!(!System::account_exists(&20));
        });
}

#[test]
fn a_hotkey_keeps_its_references_for_its_other_seats() {
    let builder = ExtBuilder::default().subnet().subnet();
    builder
        .member(Netuid(1), ALICE, 20)
        .member(Netuid(2), ALICE, 20)
        .build_and_execute(|| {
            assert_ok!(Subnets::leave(RuntimeOrigin::signed(ALICE), Netuid(1), 20));
            assert_eq!(System::sufficients(&20), 1);
            assert_eq!(members(Netuid(2)), [(Uid(0), 20)]);
        });
}

#[test]
fn nobody_else_does() {
    ExtBuilder::default()
        .subnet()
        .subnet()
        .member(Netuid(1), ALICE, 20)
        .build_and_execute(|| {
            let leave =
                |who, netuid, hotkey| Subnets::leave(RuntimeOrigin::signed(who), netuid, hotkey);
            assert_noop!(leave(BOB, Netuid(1), 20), Error::<Test>::NotHotkeysColdkey);
            assert_noop!(leave(20, Netuid(1), 20), Error::<Test>::NotHotkeysColdkey);
            assert_noop!(leave(ALICE, Netuid(1), 21), Error::<Test>::NotMember);
            assert_noop!(leave(ALICE, Netuid(2), 20), Error::<Test>::NotMember);
            assert_noop!(leave(ALICE, Netuid(3), 20), Error::<Test>::UnknownSubnet);
            assert_noop!(
                Subnets::leave(RuntimeOrigin::root(), Netuid(1), 20),
                DispatchError::BadOrigin
            );
        });
}
