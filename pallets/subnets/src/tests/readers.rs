use crate::mock::*;
use cairn_primitives::traits::Membership;

#[test]
fn members_are_found_by_uid_and_by_hotkey() {
    let builder = ExtBuilder::default().subnet().subnet();
    builder
        .member(2, ALICE, 20)
        .member(2, BOB, 30)
        .build_and_execute(|| {
            let list = <Subnets as Membership<u64>>::members;
            assert_eq!(list(2), [(0, 20), (1, 30)]);
            assert_eq!((list(1), list(9)), (vec![], vec![]));
            assert_eq!(<Subnets as Membership<u64>>::hotkey(2, 1), Some(30));
            assert_eq!(<Subnets as Membership<u64>>::hotkey(2, 2), None);
            assert_eq!(<Subnets as Membership<u64>>::coldkey(&30), Some(BOB));
            assert_eq!(<Subnets as Membership<u64>>::coldkey(&31), None);
            assert_eq!(<Subnets as Membership<u64>>::registered_at(2, 0), Some(1));
            assert_eq!(<Subnets as Membership<u64>>::owner(2), Some(OWNER));
            assert_eq!(<Subnets as Membership<u64>>::owner(3), None);
            assert_eq!(<Subnets as Membership<u64>>::netuids(), [1, 2]);
        });
}

#[test]
fn a_coldkeys_hotkeys_are_listed_up_to_a_limit() {
    let mut builder = ExtBuilder::default().subnet();
    for hotkey in 20..25 {
        builder = builder.member(1, ALICE, hotkey);
    }
    builder.build_and_execute(|| {
        let mut hotkeys = Subnets::hotkeys(&ALICE, 100);
        hotkeys.sort_unstable();
        assert_eq!(hotkeys, [20, 21, 22, 23, 24]);
        assert_eq!(Subnets::hotkeys(&ALICE, 2).len(), 2);
        assert!(Subnets::hotkeys(&BOB, 2).is_empty());
    });
}

#[test]
fn prices_of_what_is_not_there_are_not_there() {
    ExtBuilder::default().build_and_execute(|| {
        assert_eq!(Subnets::price(1), None);
        assert_eq!(Subnets::subnet(1), None);
        assert_eq!(Subnets::member(1, 0), None);
    });
}
