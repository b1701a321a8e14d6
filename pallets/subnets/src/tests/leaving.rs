use crate::{mock::*, Error, Event};
use cairn_primitives::traits::Membership;
use frame_support::{assert_noop, assert_ok};
use sp_runtime::DispatchError;

#[test]
fn a_coldkey_takes_its_hotkey_off_the_seat() {
    ExtBuilder::default()
        .subnet()
        .member(1, ALICE, 20)
        .build_and_execute(|| {
            assert_ok!(Subnets::leave(RuntimeOrigin::signed(ALICE), 1, 20));
            assert_eq!(
                events(),
                [Event::MemberLeft {
                    netuid: 1,
                    uid: 0,
                    hotkey: 20
                }]
            );
            assert_eq!(Notes::take(), [Note::Left(1, 0, 20)]);
            assert_eq!(members(1), []);
            assert_eq!(<Subnets as Membership<u64>>::uid(1, &20), None);
            assert_eq!(Subnets::subnet(1).unwrap().members, 0);
            assert!(!System::account_exists(&20));
        });
}

#[test]
fn a_hotkey_keeps_its_references_for_its_other_seats() {
    let builder = ExtBuilder::default().subnet().subnet();
    builder
        .member(1, ALICE, 20)
        .member(2, ALICE, 20)
        .build_and_execute(|| {
            assert_ok!(Subnets::leave(RuntimeOrigin::signed(ALICE), 1, 20));
            assert_eq!(System::sufficients(&20), 1);
            assert_eq!(members(2), [(0, 20)]);
        });
}

#[test]
fn nobody_else_does() {
    ExtBuilder::default()
        .subnet()
        .subnet()
        .member(1, ALICE, 20)
        .build_and_execute(|| {
            let leave =
                |who, netuid, hotkey| Subnets::leave(RuntimeOrigin::signed(who), netuid, hotkey);
            assert_noop!(leave(BOB, 1, 20), Error::<Test>::NotHotkeysColdkey);
            assert_noop!(leave(20, 1, 20), Error::<Test>::NotHotkeysColdkey);
            assert_noop!(leave(ALICE, 1, 21), Error::<Test>::NotMember);
            assert_noop!(leave(ALICE, 2, 20), Error::<Test>::NotMember);
            assert_noop!(leave(ALICE, 3, 20), Error::<Test>::UnknownSubnet);
            assert_noop!(
                Subnets::leave(RuntimeOrigin::root(), 1, 20),
                DispatchError::BadOrigin
            );
        });
}
