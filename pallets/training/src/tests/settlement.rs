//! Quorums, finality, who is included, null rounds.

use std::collections::BTreeSet;

use cairn_primitives::{Balance, ModelRoot, Standing, Uid, H256};
use frame_support::assert_ok;

use crate::{mock::*, Event, Included, Settlements};

const OTHER: ModelRoot = ModelRoot(H256([9; 32]));

/// What one validator attests.
type Vote<'a> = (Uid, &'a [Uid], ModelRoot);

/// The first round with validators of these stakes, three miners that start from [`ROOT`] and reveal,
/// and these votes; then looks at the settlement in the next round's first block.
fn settle(stakes: &[Balance], votes: &[Vote], look: impl FnOnce()) {
    let built = ExtBuilder::default()
        .subnet(NET)
        .validators(NET, stakes)
        .miners(NET, 3);
    built.run(NET, config()).execute(|| {
        for uid in [10, 11, 12] {
            assert_ok!(commit(NET, 0, Uid(uid), ROOT));
        }
        run_to(6);
        for uid in [10, 11, 12] {
            assert_ok!(reveal(NET, 0, Uid(uid)));
        }
        run_to(10);
        for (uid, good, root) in votes {
            assert_ok!(attest(NET, 0, *uid, good, *root));
        }
        run_to(2 + ROUND);
        look();
    });
}

fn included(round: u32) -> Vec<Uid> {
    Training::settled(NET, round)
        .expect("the round is settled")
        .included
}

fn is_final(round: u32) -> bool {
    Training::lineage(NET, round)
        .first()
        .expect("the root is kept")
        .is_final
}

#[test]
fn a_settled_round_names_its_contributors_and_its_root() {
    settle(
        &[100, 100],
        &[
            (Uid(0), &[Uid(10), Uid(12)], ROOT),
            (Uid(1), &[Uid(10), Uid(12)], ROOT),
        ],
        || {
            let settled = Event::RoundSettled {
                netuid: NET,
                round: 0,
                included: vec![Uid(10), Uid(12)],
            };
            assert_eq!(events().first(), Some(&settled));
            let settlement = Settlements::<Test>::get(NET, 0).unwrap();
            let included = |uid| Included {
                uid,
                hotkey: hotkey(NET, uid),
                standing: Standing {
                    trust: u16::MAX,
                    is_proven: false,
                },
            };
            assert_eq!(
                settlement.included.to_vec(),
                [included(Uid(10)), included(Uid(12))]
            );
            assert_eq!(settlement.settled_at, 12);
            let entry = Training::lineage(NET, 0).remove(0);
            assert_eq!(
                (entry.round, entry.model_root, entry.is_final),
                (0, ROOT, true)
            );
            assert_eq!(
                (
                    entry.attested_stake,
                    entry.attesting_stake,
                    entry.total_stake
                ),
                (200, 200, 200)
            );
        },
    );
}

#[test]
fn exactly_two_thirds_of_the_attesting_stake_include() {
    settle(
        &[200, 100],
        &[(Uid(0), &[Uid(10)], ROOT), (Uid(1), &[], ROOT)],
        || {
            assert_eq!(included(0), [Uid(10)]);
        },
    );
}

#[test]
fn a_pebble_below_two_thirds_does_not_include() {
    settle(
        &[1_999, 1_001],
        &[(Uid(0), &[Uid(10)], ROOT), (Uid(1), &[Uid(11)], ROOT)],
        || {
            assert!(is_final(0));
            assert!(included(0).is_empty());
        },
    );
}

#[test]
fn exactly_two_thirds_make_a_root_final() {
    settle(
        &[200, 100],
        &[(Uid(0), &[Uid(10)], ROOT), (Uid(1), &[Uid(10)], OTHER)],
        || {
            assert!(is_final(0));
            assert_eq!(included(0), [Uid(10)]);
        },
    );
}

#[test]
fn a_pebble_below_two_thirds_leaves_a_root_open_and_the_round_null() {
    settle(
        &[1_999, 1_001],
        &[(Uid(0), &[Uid(10)], ROOT), (Uid(1), &[Uid(10)], OTHER)],
        || {
            let entry = Training::lineage(NET, 0).remove(0);
            assert_eq!(
                (entry.model_root, entry.attested_stake, entry.is_final),
                (ROOT, 1_999, false)
            );
            assert!(included(0).is_empty());
        },
    );
}

#[test]
fn half_of_the_stake_is_a_quorum() {
    settle(&[100, 100], &[(Uid(0), &[Uid(10)], ROOT)], || {
        assert!(is_final(0));
        assert_eq!(included(0), [Uid(10)]);
    });
}

#[test]
fn a_pebble_below_half_is_none() {
    settle(&[1_000, 1_001], &[(Uid(0), &[Uid(10)], ROOT)], || {
        assert!(!is_final(0));
        assert!(included(0).is_empty());
    });
}

#[test]
fn the_largest_stakes_do_not_overflow() {
    let most = Balance::MAX / 3;
    settle(
        &[most, most, most],
        &[
            (Uid(0), &[Uid(10)], ROOT),
            (Uid(1), &[Uid(10)], ROOT),
            (Uid(2), &[], ROOT),
        ],
        || {
            assert_eq!(included(0), [Uid(10)]);
        },
    );
}

#[test]
fn without_a_vote_the_round_is_null_and_its_root_unknown() {
    settle(&[100], &[], || {
        let entry = Training::lineage(NET, 0).remove(0);
        assert_eq!(
            (entry.model_root, entry.is_final),
            (ModelRoot::zero(), false)
        );
        assert_eq!((entry.attesting_stake, entry.total_stake), (0, 100));
        let settled = Event::RoundSettled {
            netuid: NET,
            round: 0,
            included: vec![],
        };
        assert_eq!(events().first(), Some(&settled));
    });
}

#[test]
fn a_contribution_from_other_parameters_is_out() {
    ExtBuilder::usual().execute(|| {
        assert_ok!(commit(NET, 0, Uid(10), OTHER));
        assert_ok!(commit(NET, 0, Uid(11), ROOT));
        run_to(6);
        assert_ok!(reveal(NET, 0, Uid(10)));
        assert_ok!(reveal(NET, 0, Uid(11)));
        run_to(10);
        for uid in [0, 1, 2] {
            assert_ok!(attest(NET, 0, Uid(uid), &[Uid(10), Uid(11)], ROOT));
        }
        run_to(2 + ROUND);
        assert_eq!(included(0), [Uid(11)]);
    });
}

#[test]
fn what_was_not_revealed_is_out() {
    ExtBuilder::usual().execute(|| {
        assert_ok!(commit(NET, 0, Uid(10), ROOT));
        assert_ok!(commit(NET, 0, Uid(11), ROOT));
        run_to(6);
        assert_ok!(reveal(NET, 0, Uid(11)));
        run_to(10);
        for uid in [0, 1, 2] {
            assert_ok!(attest(NET, 0, Uid(uid), &[Uid(11)], ROOT));
        }
        run_to(2 + ROUND);
        assert_eq!(included(0), [Uid(11)]);
    });
}

#[test]
fn the_first_root_is_the_configured_one() {
    let votes: [Vote; 2] = [(Uid(0), &[Uid(10)], OTHER), (Uid(1), &[Uid(10)], OTHER)];
    settle(&[100, 100], &votes, || {
        assert!(!is_final(0));
        assert!(included(0).is_empty());
        let (model_root, expected) = (OTHER, ROOT);
        let refused = Event::RootRefused {
            netuid: NET,
            round: 0,
            model_root,
            expected,
        };
        assert_eq!(events().first(), Some(&refused));
        // It stays the configured one until something is included.
        whole_round(&[Uid(10)], &[Uid(0), Uid(1)], OTHER);
        assert!(!is_final(1));
        whole_round(&[Uid(10)], &[Uid(0), Uid(1)], ROOT);
        assert!(is_final(2));
        assert_eq!(included(2), [Uid(10)]);
    });
}

#[test]
fn after_a_round_with_contributions_any_root_can_be_the_next() {
    ExtBuilder::usual().execute(|| {
        whole_round(&[Uid(10)], &[0, 1, 2].map(Uid), ROOT);
        whole_round(&[Uid(10), Uid(11)], &[0, 1, 2].map(Uid), OTHER);
        assert!(is_final(1));
        assert_eq!(included(1), [Uid(10), Uid(11)]);
    });
}

#[test]
fn after_a_null_round_the_root_is_the_one_before() {
    ExtBuilder::usual().execute(|| {
        whole_round(&[Uid(10)], &[0, 1, 2].map(Uid), ROOT);
        // Round 1: OTHER is final, nothing is included. Round 2: nobody attests.
        whole_round(&[], &[0, 1, 2].map(Uid), OTHER);
        assert!(is_final(1));
        whole_round(&[Uid(10)], &[], OTHER);
        // Round 3: θ cannot have changed.
        let wrong = ModelRoot(H256([4; 32]));
        whole_round(&[Uid(10)], &[0, 1, 2].map(Uid), wrong);
        assert_eq!((is_final(3), included(3)), (false, vec![]));
        let refused = Event::RootRefused {
            netuid: NET,
            round: 3,
            model_root: wrong,
            expected: OTHER,
        };
        assert_eq!(events().first(), Some(&refused));
        whole_round(&[Uid(10)], &[0, 1, 2].map(Uid), OTHER);
        assert_eq!((is_final(4), included(4)), (true, vec![Uid(10)]));
    });
}

#[test]
fn a_root_that_was_never_final_stays_unknown_over_null_rounds() {
    ExtBuilder::usual().execute(|| {
        whole_round(&[Uid(10)], &[0, 1, 2].map(Uid), ROOT);
        whole_round(&[Uid(10)], &[], OTHER);
        whole_round(&[Uid(10)], &[0, 1, 2].map(Uid), OTHER);
        assert_eq!(
            (is_final(1), is_final(2), included(2)),
            (false, true, vec![Uid(10)])
        );
    });
}

#[test]
fn of_equal_roots_the_smallest_leads() {
    settle(
        &[100, 100],
        &[(Uid(0), &[], OTHER), (Uid(1), &[], ROOT)],
        || {
            let entry = Training::lineage(NET, 0).remove(0);
            assert_eq!(
                (entry.model_root, entry.attested_stake, entry.is_final),
                (ROOT, 100, false)
            );
        },
    );
}

#[test]
fn when_there_are_too_many_the_best_incentive_goes_first_then_the_lot_decides() {
    let mut narrow = config();
    narrow.max_contributors = 3;
    let built = ExtBuilder::default()
        .subnet(NET)
        .validators(NET, &[100])
        .miners(NET, 6);
    built.run(NET, narrow).execute(|| {
        World::change(NET, |subnet| {
            subnet.members.get_mut(&Uid(15)).unwrap().incentive = 900;
            subnet.members.get_mut(&Uid(13)).unwrap().incentive = 500;
        });
        let mut drawn = BTreeSet::new();
        for round in 0..8 {
            whole_round(&(10..16).map(Uid).collect::<Vec<_>>(), &[Uid(0)], ROOT);
            let settled = Training::settled(NET, round).expect("the round is settled");
            let taken: BTreeSet<Uid> = settled.included.iter().copied().collect();
            let best = [13, 15].map(Uid);
            assert!(taken.len() == 3 && best.iter().all(|uid| taken.contains(uid)));
            drawn.extend(taken.into_iter().filter(|uid| !best.contains(uid)));
            // What was earned counts 9 to 5; who earned nothing has a sixteenth of the most.
            let mut trust = settled.trust;
            trust.sort_unstable();
            assert_eq!(trust, [4_095, 36_408, 65_535]);
        }
        assert!(drawn.len() > 1, "it was {drawn:?} each time");
    });
}

#[test]
fn who_is_proven_when_the_round_is_settled_stands_beside_it() {
    ExtBuilder::usual().execute(|| {
        World::with_proven(Some(vec![Uid(9), Uid(11)]));
        whole_round(&[Uid(10), Uid(11)], &[Uid(0), Uid(1), Uid(2)], ROOT);
        // What comes later changes nothing of it.
        World::with_proven(Some(vec![Uid(10)]));
        let settled = Training::settled(NET, 0).expect("the round is settled");
        assert_eq!(settled.included, [Uid(10), Uid(11)]);
        assert_eq!(settled.proven, [Uid(11)]);
        let standing = |is_proven| Standing {
            trust: u16::MAX,
            is_proven,
        };
        let standings: Vec<(Uid, Standing)> = settled.standings().collect();
        let expected = [(Uid(10), standing(false)), (Uid(11), standing(true))];
        assert_eq!(standings, expected);
    });
}
