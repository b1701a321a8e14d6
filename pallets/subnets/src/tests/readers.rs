use crate::mock::*;
use cairn_primitives::{traits::Membership, Netuid, Uid};

#[test]
fn members_are_found_by_uid_and_by_hotkey() {
    let builder = ExtBuilder::default().subnet().subnet();
    builder
        .member(Netuid(2), ALICE, 20)
        .member(Netuid(2), BOB, 30)
        .build_and_execute(|| {
            let list = <Subnets as Membership<u64>>::members;
            assert_eq!(list(Netuid(2)), [(Uid(0), 20), (Uid(1), 30)]);
            assert_eq!((list(Netuid(1)), list(Netuid(9))), (vec![], vec![]));
            assert_eq!(
                <Subnets as Membership<u64>>::hotkey(Netuid(2), Uid(1)),
                Some(30)
            );
            assert_eq!(
                <Subnets as Membership<u64>>::hotkey(Netuid(2), Uid(2)),
                None
            );
            assert_eq!(<Subnets as Membership<u64>>::coldkey(&30), Some(BOB));
            assert_eq!(<Subnets as Membership<u64>>::coldkey(&31), None);
            assert_eq!(
                <Subnets as Membership<u64>>::registered_at(Netuid(2), Uid(0)),
                Some(1)
            );
            assert_eq!(<Subnets as Membership<u64>>::owner(Netuid(2)), Some(OWNER));
            assert_eq!(<Subnets as Membership<u64>>::owner(Netuid(3)), None);
            assert_eq!(
                <Subnets as Membership<u64>>::netuids(),
                [Netuid(1), Netuid(2)]
            );
        });
}

#[test]
fn a_coldkeys_hotkeys_are_listed_page_by_page() {
    let mut builder = ExtBuilder::default().subnet();
    for hotkey in 20..25 {
        builder = builder.member(Netuid(1), ALICE, hotkey);
    }
    builder.build_and_execute(|| {
        let all = Subnets::hotkeys(&ALICE, None, 100);
        let mut hotkeys = all.clone();
        hotkeys.sort_unstable();
        assert_eq!(hotkeys, [20, 21, 22, 23, 24]);
        for limit in 1..=5 {
            let mut pages = Vec::new();
            while pages.len() < all.len() {
                let page = Subnets::hotkeys(&ALICE, pages.last(), limit);
                assert_eq!(page.len(), limit.min(all.len() - pages.len()));
                pages.extend(page);
            }
            assert_eq!(pages, all);
        }
        assert!(Subnets::hotkeys(&ALICE, all.last(), 2).is_empty());
        assert!(Subnets::hotkeys(&BOB, None, 2).is_empty());
    });
}

#[test]
fn prices_of_what_is_not_there_are_not_there() {
    ExtBuilder::default().build_and_execute(|| {
        assert_eq!(Subnets::price(Netuid(1)), None);
        assert_eq!(Subnets::subnet(Netuid(1)), None);
        assert_eq!(Subnets::member(Netuid(1), Uid(0)), None);
    });
}
