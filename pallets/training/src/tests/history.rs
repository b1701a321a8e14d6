//! History is bounded.

use cairn_primitives::{Netuid, Uid};
use frame_support::{assert_noop, assert_ok};

use crate::{
    mock::*, Attestations, Contributions, Error, Event, Lineage, Rounds, Settlements, Tallies,
};

#[test]
fn the_last_rounds_are_kept_and_older_ones_go() {
    ExtBuilder::usual().execute(|| {
        for _ in 0..9 {
            whole_round(&[Uid(10), Uid(11)], &[0, 1, 2].map(Uid), ROOT);
            Training::do_try_state().unwrap();
        }
        // Round 9 is the current one: 7, 8, 9 are kept, and of 7 and 8 there are contributions.
        let mut rounds: Vec<_> = Rounds::<Test>::iter_key_prefix(NET).collect();
        rounds.sort_unstable();
        assert_eq!(rounds, [7, 8, 9]);
        assert_eq!(Tallies::<Test>::iter().count(), 3);
        assert_eq!(Settlements::<Test>::iter().count(), 2);
        assert_eq!(Contributions::<Test>::iter().count(), 4);
        assert_eq!(Attestations::<Test>::iter().count(), 6);
        assert_eq!(Training::run_info(NET).unwrap().oldest_round, 7);
        assert!(Training::settled(NET, 6).is_none() && Training::settled(NET, 7).is_some());
    });
}

#[test]
fn the_lineage_is_kept_longer() {
    ExtBuilder::usual().execute(|| {
        for _ in 0..9 {
            whole_round(&[Uid(10)], &[0, 1, 2].map(Uid), ROOT);
        }
        let rounds: Vec<_> = Training::lineage(NET, 0)
            .iter()
            .map(|entry| entry.round)
            .collect();
        assert_eq!(rounds, [4, 5, 6, 7, 8]);
        assert_eq!(Lineage::<Test>::iter().count(), 5);
    });
}

#[test]
fn another_subnets_history_is_its_own() {
    let built = ExtBuilder::usual()
        .subnet(Netuid(2))
        .validators(Netuid(2), &[100])
        .miners(Netuid(2), 1);
    built.run(Netuid(2), config()).execute(|| {
        for _ in 0..4 {
            whole_round(&[Uid(10)], &[0, 1, 2].map(Uid), ROOT);
        }
        assert_eq!(Rounds::<Test>::iter_key_prefix(Netuid(2)).count(), 3);
        assert_ok!(Training::stop_run(by(owner(NET)), NET));
        next_block();
        assert_eq!(Rounds::<Test>::iter_key_prefix(NET).count(), 0);
        assert_eq!(Rounds::<Test>::iter_key_prefix(Netuid(2)).count(), 3);
        assert_eq!(Lineage::<Test>::iter_key_prefix(Netuid(2)).count(), 4);
    });
}

#[test]
fn a_large_stopped_run_is_removed_over_several_blocks() {
    let stakes = [100; 40];
    let mut plenty = config();
    plenty.data.windows = 1_000;
    let mut built = ExtBuilder::default().subnet(NET).validators(NET, &stakes);
    for uid in (40..140).map(Uid) {
        built = built.miner(NET, uid);
    }
    built.run(NET, plenty).execute(|| {
        let miners: Vec<Uid> = (40..140).map(Uid).collect();
        for _ in 0..3 {
            whole_round(&miners, &[Uid(0), Uid(1)], ROOT);
        }
        assert_ok!(Training::stop_run(by(owner(NET)), NET));
        let mut blocks = 0;
        while !events().contains(&Event::RunCleared { netuid: NET }) {
            let again = Training::start_run(by(owner(NET)), NET, config());
            assert_noop!(again, Error::<Test>::RunBeingCleared);
            let before = Contributions::<Test>::iter().count();
            next_block();
            Training::do_try_state().unwrap();
            assert!(
                before - Contributions::<Test>::iter().count() <= 100,
                "a round a block"
            );
            blocks += 1;
        }
        assert!(blocks >= 3, "{blocks}");
        assert_eq!(Contributions::<Test>::iter().count(), 0);
        assert_eq!(Attestations::<Test>::iter().count(), 0);
    });
}
