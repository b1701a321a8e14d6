//! The end of a subnet.

use cairn_primitives::{traits::Dissolve, Balance, Netuid, Uid, CRN};
use frame_support::assert_noop;

use crate::{
    mock::*, Bonds, Closing, Commits, Earned, Error, Event, Issued, MemberHistory, MemberRecords,
    SubnetHistory, SubnetLedgers, TotalPots, Votes,
};

/// The subnet is no longer at work, but still there.
fn begin(netuid: Netuid) {
    World::change_subnet(netuid, |subnet| subnet.dissolving = true);
    <Emissions as Dissolve>::on_dissolving(netuid);
}

/// Goes on to the end, so many items at a time; the number of pieces.
fn finish(netuid: Netuid, limit: u32) -> u32 {
    let mut pieces = 1;
    while <Emissions as Dissolve>::dissolve(netuid, limit) == limit {
        Emissions::do_try_state().unwrap();
        pieces += 1;
    }
    pieces
}

fn is_gone(netuid: Netuid) -> bool {
    SubnetLedgers::<Test>::get(netuid).is_none()
        && Votes::<Test>::iter_prefix(netuid).next().is_none()
        && Bonds::<Test>::iter_prefix(netuid).next().is_none()
        && Commits::<Test>::iter_prefix((netuid,)).next().is_none()
        && MemberRecords::<Test>::iter_prefix(netuid).next().is_none()
        && SubnetHistory::<Test>::iter_prefix(netuid).next().is_none()
        && MemberHistory::<Test>::iter_prefix((netuid,))
            .next()
            .is_none()
        && Earned::<Test>::iter_prefix(netuid).next().is_none()
        && !Closing::<Test>::contains_key(netuid)
}

fn balance(account: AccountId) -> Balance {
    Balances::free_balance(account)
}

fn stake(uid: Uid) -> Balance {
    TheWorld::get().subnets[&Netuid(1)].stakes[&hotkey(Netuid(1), uid)]
}

#[test]
fn the_pots_go_by_the_last_epochs_shares_and_what_is_nobodys_is_burned() {
    ExtBuilder::usual().build_and_execute(|| {
        vote(Netuid(1), Uid(0), &[(Uid(2), 3), (Uid(3), 1)]);
        vote(Netuid(1), Uid(1), &[(Uid(2), 3), (Uid(3), 1)]);
        // In the middle of a tempo.
        run_to(17);
        let pots = SubnetLedgers::<Test>::get(Netuid(1)).unwrap().pots;
        assert_eq!(pots.miners, 1_025_000_001);
        let miner = balance(coldkey(hotkey(Netuid(1), Uid(2))));
        let validator = stake(Uid(0));
        let dividends =
            [0, 1].map(|uid| u64::from(Emissions::member(Netuid(1), Uid(uid)).dividends));
        let owned = balance(owner(Netuid(1)));
        let issued = Issued::<Test>::get();
        System::reset_events();
        begin(Netuid(1));
        finish(Netuid(1), 100);
        // 49,151 of 65,534; what rounding leaves is for who is paid last.
        assert_eq!(
            balance(coldkey(hotkey(Netuid(1), Uid(2)))) - miner,
            768_757_822
        );
        let exact = pots.validators * dividends[0] / (dividends[0] + dividends[1]);
        assert!((exact..exact + 2).contains(&(stake(Uid(0)) - validator)));
        assert_eq!(balance(owner(Netuid(1))) - owned, pots.owner);
        let burned = issued - Issued::<Test>::get();
        assert!(burned < 10, "{burned}");
        let closed = Event::PotsClosed {
            netuid: Netuid(1),
            owner: pots.owner,
            burned,
        };
        assert_eq!(events().last(), Some(&closed));
        assert_eq!(TotalPots::<Test>::get(), 0);
        assert!(is_gone(Netuid(1)));
    });
}

#[test]
fn it_comes_to_the_same_in_pieces_of_any_size() {
    let ends = [1, 2, 3, 7, 1_000].map(|limit| {
        let mut end = Vec::new();
        ExtBuilder::usual().build_and_execute(|| {
            vote(Netuid(1), Uid(0), &[(Uid(2), 3), (Uid(3), 1)]);
            vote(Netuid(1), Uid(1), &[(Uid(2), 1), (Uid(3), 1)]);
            run_to(35);
            begin(Netuid(1));
            let pieces = finish(Netuid(1), limit);
            assert!(limit > 100 || pieces > 1);
            assert!(is_gone(Netuid(1)));
            end = (0..4)
                .map(|uid| balance(coldkey(hotkey(Netuid(1), Uid(uid)))))
                .chain([
                    stake(Uid(0)),
                    stake(Uid(1)),
                    balance(owner(Netuid(1))),
                    Issued::<Test>::get(),
                ])
                .collect();
        });
        end
    });
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
}

#[test]
fn an_idle_subnets_pots_are_burned_but_for_the_owners() {
    ExtBuilder::usual().build_and_execute(|| {
        run_to(15);
        let issued = Issued::<Test>::get();
        let pots = SubnetLedgers::<Test>::get(Netuid(1)).unwrap().pots;
        begin(Netuid(1));
        finish(Netuid(1), 10);
        assert_eq!(
            Issued::<Test>::get(),
            issued - pots.miners - pots.validators
        );
        assert!(is_gone(Netuid(1)));
    });
}

#[test]
fn what_cannot_be_delivered_is_burned() {
    ExtBuilder::usual()
        .poor_miner(Netuid(1), Uid(4))
        .build_and_execute(|| {
            vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
            run_to(15);
            World::change_subnet(Netuid(1), |subnet| subnet.takes_rewards = false);
            let (issued, staked) = (Issued::<Test>::get(), stake(Uid(0)));
            let pots = SubnetLedgers::<Test>::get(Netuid(1)).unwrap().pots;
            begin(Netuid(1));
            finish(Netuid(1), 10);
            assert_eq!(stake(Uid(0)), staked);
            assert_eq!(Issued::<Test>::get(), issued - pots.validators);
        });
}

#[test]
fn nothing_new_begins_on_a_subnet_that_ends() {
    ExtBuilder::usual()
        .subnet(Netuid(2))
        .validator(Netuid(2), Uid(0), 5 * CRN)
        .build_and_execute(|| {
            vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
            run_to(15);
            begin(Netuid(1));
            let before = SubnetLedgers::<Test>::get(Netuid(1)).unwrap();
            let signed = || RuntimeOrigin::signed(hotkey(Netuid(1), Uid(0)));
            let scores: crate::Row = vec![(Uid(2), 1)].try_into().unwrap();
            let nothing = cairn_primitives::Served {
                root: Default::default(),
                length: 0,
            };
            assert_noop!(
                Emissions::set_scores(signed(), Netuid(1), scores.clone()),
                Error::<Test>::SubnetDissolving
            );
            assert_noop!(
                Emissions::commit_scores(signed(), Netuid(1), 1, Default::default()),
                Error::<Test>::SubnetDissolving
            );
            assert_noop!(
                Emissions::reveal_scores(signed(), Netuid(1), 0, scores, nothing, [0; 32]),
                Error::<Test>::SubnetDissolving
            );
            // Its epoch would be at block 22; nor is anything issued to it.
            run_to(23);
            assert_eq!(SubnetLedgers::<Test>::get(Netuid(1)).unwrap(), before);
            finish(Netuid(1), 5);
            run_to(30);
            assert!(is_gone(Netuid(1)));
        });
}
