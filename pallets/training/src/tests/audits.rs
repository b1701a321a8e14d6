//! What the audits pallet is told, and what follows from what it tells.

use cairn_primitives::{
    traits::{Attendance, Work},
    AuditRules, ModelRoot, Nano, Uid, H256,
};
use frame_support::{assert_noop, assert_ok};

use crate::{mock::*, Attended, Clearing, Error, Event, Rounds};

/// What was told of the settlement in this block: seed, included, validators.
fn settled() -> (H256, Vec<Uid>, Vec<Uid>) {
    let told = World::told();
    let mut settled = told.into_iter().filter_map(|one| match one {
        Told::Settled(_, seed, included, validators) => Some((seed, included, validators)),
        _ => None,
    });
    settled.next().expect("a round was settled")
}

fn miners() -> Vec<Uid> {
    let round = Training::run_info(NET).expect("there is a run").round.round;
    let snapshot = Rounds::<Test>::get(NET, round).expect("it is kept");
    let mut miners: Vec<Uid> = snapshot.miners.iter().map(|(uid, _)| *uid).collect();
    miners.sort_unstable();
    miners
}

#[test]
fn what_a_round_included_is_told_with_its_validators_and_a_seed_of_its_own() {
    ExtBuilder::usual().execute(|| {
        whole_round(&[Uid(10), Uid(11)], &[Uid(0), Uid(1), Uid(2)], ROOT);
        let (first, included, validators) = settled();
        assert_eq!(
            (included, validators),
            ([10, 11].map(Uid).to_vec(), [0, 1, 2].map(Uid).to_vec())
        );
        let exam = Training::settled(NET, 0).expect("it was settled").exam;
        assert_ne!(first, exam);
        whole_round(
            &[Uid(10)],
            &[Uid(0), Uid(1), Uid(2)],
            ModelRoot(H256([8; 32])),
        );
        assert_ne!(settled().0, first);
    });
}

#[test]
fn who_left_audits_nothing() {
    ExtBuilder::usual().execute(|| {
        let start = start();
        for uid in [10, 11] {
            assert_ok!(commit(NET, 0, Uid(uid), ROOT));
        }
        run_to(start + 4);
        for uid in [10, 11] {
            assert_ok!(reveal(NET, 0, Uid(uid)));
        }
        run_to(start + 8);
        for uid in 0..3 {
            assert_ok!(attest(NET, 0, Uid(uid), &[Uid(10), Uid(11)], ROOT));
        }
        World::leave(NET, Uid(1));
        World::leave(NET, Uid(11));
        run_to(start + ROUND);
        let (_, included, validators) = settled();
        assert_eq!(
            (included, validators),
            (vec![Uid(10)], [0, 2].map(Uid).to_vec())
        );
    });
}

#[test]
fn a_null_round_is_not_told() {
    ExtBuilder::usual().execute(|| {
        whole_round(&[], &[Uid(0), Uid(1), Uid(2)], ROOT);
        assert_eq!(World::told(), []);
    });
}

#[test]
fn a_run_that_audits_nothing_tells_nothing() {
    let mut config = config();
    config.audits.rate = 0;
    let builder = ExtBuilder::default().subnet(NET).validators(NET, &[100]);
    builder.miners(NET, 1).run(NET, config).execute(|| {
        whole_round(&[Uid(10)], &[Uid(0)], ROOT);
        assert_eq!(World::told(), []);
    });
}

#[test]
fn rules_for_audits_have_bounds() {
    ExtBuilder::default().subnet(NET).execute(|| {
        for audits in [
            AuditRules {
                rate: 65_537,
                ..config().audits
            },
            AuditRules {
                auditors: 4,
                ..config().audits
            },
            AuditRules {
                blocks: 11,
                ..config().audits
            },
            AuditRules {
                tolerance: AuditRules::MAX_TOLERANCE + 1,
                ..config().audits
            },
            AuditRules {
                card_bond: 0,
                ..config().audits
            },
        ] {
            let mut config = config();
            config.audits = audits;
            let refused = Error::<Test>::ImpossibleAudits;
            assert_noop!(Training::start_run(by(owner(NET)), NET, config), refused);
        }
        // Of which a card's steps could not be told.
        let mut config = config();
        config.audits.tolerance = AuditRules::USUAL_TOLERANCE;
        config.inner.beta2 = Nano(810_000_000);
        let refused = Error::<Test>::ImpossibleAudits;
        assert_noop!(Training::start_run(by(owner(NET)), NET, config), refused);
    });
}

#[test]
fn whose_work_was_false_is_not_expected_until_it_is_back() {
    ExtBuilder::usual().execute(|| {
        Training::on_false_work(NET, Uid(10), &hotkey(NET, Uid(10)));
        let absent = Event::MemberAbsent {
            netuid: NET,
            uid: Uid(10),
        };
        assert_eq!(events().pop(), Some(absent.clone()));
        // Twice is not more, and who took over the uid has done nothing.
        Training::on_false_work(NET, Uid(10), &hotkey(NET, Uid(10)));
        Training::on_false_work(NET, Uid(11), &stranger());
        assert_eq!(events().into_iter().filter(|one| *one == absent).count(), 1);
        whole_round(&[Uid(11), Uid(12)], &[Uid(0), Uid(1), Uid(2)], ROOT);
        assert_eq!(miners(), [Uid(11), Uid(12)]);
        assert_ok!(Training::here(by(hotkey(NET, Uid(10))), NET));
        whole_round(
            &[Uid(11), Uid(12)],
            &[Uid(0), Uid(1), Uid(2)],
            ModelRoot(H256([8; 32])),
        );
        assert_eq!(miners(), [10, 11, 12].map(Uid));
    });
}

/// It commits in the round in which it is found out, which is no proof of anything.
#[test]
fn to_commit_in_the_round_does_not_bring_it_back() {
    ExtBuilder::usual().execute(|| {
        assert_ok!(commit(NET, 0, Uid(10), ROOT));
        Training::on_false_work(NET, Uid(10), &hotkey(NET, Uid(10)));
        whole_round(&[Uid(11), Uid(12)], &[Uid(0), Uid(1), Uid(2)], ROOT);
        assert_eq!(miners(), [Uid(11), Uid(12)]);
    });
}

#[test]
fn a_missed_audit_counts_as_a_missed_round() {
    ExtBuilder::usual().execute(|| {
        whole_round(&[Uid(10)], &[Uid(0), Uid(1), Uid(2)], ROOT);
        let of = |uid: u16| {
            let attended = Attended::<Test>::get(NET).expect("a round was final");
            attended.0.get(&Uid(uid)).map(|one| one.attended())
        };
        assert_eq!(of(1), Some((1, 1)));
        Training::on_missed_audit(NET, Uid(1), &hotkey(NET, Uid(1)));
        Training::on_missed_audit(NET, Uid(1), &hotkey(NET, Uid(1)));
        Training::on_missed_audit(NET, Uid(2), &stranger());
        assert_eq!(
            (of(0), of(1), of(2)),
            (Some((1, 1)), Some((0, 1)), Some((1, 1)))
        );
    });
}

#[test]
fn a_run_is_cleared_once_its_audits_are() {
    ExtBuilder::usual().execute(|| {
        whole_round(&[Uid(10)], &[Uid(0), Uid(1), Uid(2)], ROOT);
        World::told();
        World::with_open_audits(300);
        assert_ok!(Training::stop_run(by(owner(NET)), NET));
        assert_eq!(World::told(), [Told::Stopped]);
        for _ in 0..2 {
            next_block();
            assert!(Clearing::<Test>::contains_key(NET));
            assert_eq!(World::told(), []);
        }
        next_block();
        assert!(!Clearing::<Test>::contains_key(NET));
        assert_eq!(World::told(), [Told::Forgotten(0), Told::Forgotten(1)]);
    });
}

#[test]
fn who_is_in_question_when_a_run_is_stopped_was_not_included() {
    for (proven, included) in [
        (None, vec![Uid(10), Uid(11)]),
        (Some(vec![Uid(11), Uid(12)]), vec![Uid(11)]),
        (Some(vec![]), vec![]),
    ] {
        ExtBuilder::usual().execute(|| {
            whole_round(&[Uid(10), Uid(11)], &[Uid(0), Uid(1), Uid(2)], ROOT);
            World::with_proven(proven);
            assert_ok!(Training::stop_run(by(owner(NET)), NET));
            let left = || Training::included(NET).uids().collect::<Vec<_>>();
            assert_eq!(left(), included);
            // Nor in the tempos after it.
            Training::on_epoch(NET);
            assert_eq!(left(), included);
        });
    }
}

#[test]
fn what_is_no_longer_kept_is_told() {
    ExtBuilder::usual().execute(|| {
        for number in 0..3 {
            whole_round(&[], &[Uid(0), Uid(1), Uid(2)], ROOT);
            let forgotten = if number == 2 {
                vec![Told::Forgotten(0)]
            } else {
                vec![]
            };
            assert_eq!(World::told(), forgotten);
        }
    });
}
