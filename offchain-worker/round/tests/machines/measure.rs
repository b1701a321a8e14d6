//! The order in which contributions are measured, and when one is measured enough.

use cairn_primitives::{Hotkey, ModelRoot, Netuid, RunConfig, SealedRoot, Uid, H256};
use cairn_protocol::{assignment::Plan, exam::seeds, unseen};
use cairn_round::{
    measure::{Ask, File, Measuring, PIECE},
    scoring::{Evidence, Outcome},
    validator::{Found, Measurement, Subject},
};

use crate::{
    common::exam_of,
    parameters::{data, run},
};

fn root(byte: u8) -> SealedRoot {
    SealedRoot(H256::repeat_byte(byte))
}

/// Rounds of four steps of this many windows for three miners each, on so many windows in all.
fn plan(sequences: u16, windows: u64) -> Plan {
    let mut config = RunConfig {
        max_contributors: 16,
        ..run()
    };
    (config.inner.steps, config.inner.sequences) = (4, sequences);
    config.data.windows = windows;
    Plan::new(Netuid(7), &config, data(3))
}

const SALT: H256 = H256([8; 32]);

fn measuring(plan: Plan, subjects: &[(Uid, bool)]) -> Measuring {
    measuring_on(plan, subjects, 0)
}

/// Beside a text of so many sequences that miners do not have.
fn measuring_on(plan: Plan, subjects: &[(Uid, bool)], unseen: u64) -> Measuring {
    let subject = |(slot, (uid, is_good)): (u64, &(Uid, bool))| Subject {
        slot,
        uid: *uid,
        hotkey: Hotkey(H256::repeat_byte(uid.get() as u8)),
        found: match is_good {
            true => Found::Good(root(100 + uid.get() as u8)),
            false => Found::Missed,
        },
    };
    let measurement = Measurement {
        round: 3,
        root: ModelRoot(H256::repeat_byte(3)),
        plan,
        exam: exam_of(3),
        salt: SALT,
        included: subjects
            .iter()
            .filter_map(|(uid, is_good)| is_good.then_some(*uid))
            .collect(),
        subjects: (0..).zip(subjects).map(subject).collect(),
        before: Vec::new(),
    };
    let file = |sealed_root: SealedRoot| {
        (sealed_root != root(109)).then_some(File {
            inner_steps: 4,
            alike: 1,
            repeats: false,
        })
    };
    Measuring::new(measurement, unseen, file)
}

fn uids(evidence: &[Evidence]) -> Vec<Uid> {
    evidence.iter().map(|one| one.uid).collect()
}

/// The gains that a measurement found, on assigned and on unassigned windows.
fn found(evidence: &Evidence) -> (&[f32], &[f32]) {
    match &evidence.outcome {
        Outcome::Measured {
            assigned,
            unassigned,
            ..
        } => (assigned, unassigned),
        other => panic!("it was not measured: {other:?}"),
    }
}

/// Measures all; `loss` gives a loss by contribution, and by its place in what was asked.
fn measure(measuring: &mut Measuring, loss: impl Fn(Option<SealedRoot>, usize) -> f32) -> Vec<Ask> {
    let mut asks = Vec::new();
    while let Some(ask) = measuring.next() {
        let asked = ask.sequences.len() + ask.unseen.len();
        let losses = (0..asked).map(|at| loss(ask.contribution, at));
        measuring.take(losses.collect());
        asks.push(ask);
        assert!(asks.len() < 1_000, "it never ends");
    }
    asks
}

#[test]
fn all_have_a_first_piece_before_anyone_has_a_second() {
    let plan = plan(64, 4_000);
    let mut measuring = measuring(
        plan.clone(),
        &[(Uid(1), true), (Uid(2), false), (Uid(5), true)],
    );
    // The same gain everywhere: nothing is ever decided about who trained on what.
    let gain = |contribution: Option<SealedRoot>, at: usize| match contribution {
        Some(_) => 1.0 + (at % 2) as f32,
        None => 2.0,
    };
    let asks = measure(&mut measuring, gain);
    let contributions: Vec<_> = asks.iter().map(|ask| ask.contribution).collect();
    let (one, five) = (Some(root(101)), Some(root(105)));
    let piece = [None, None, one, None, five];
    assert_eq!(contributions, [piece, piece].concat());
    // A quarter of what a miner trains on, in two pieces.
    let own = plan.sample_assigned(exam_of(3), 0, 4, 64);
    let free = plan.sample_unassigned(&seeds(exam_of(3), Some(SALT)), 64);
    assert_eq!(asks[0].sequences, free[..PIECE]);
    assert_eq!(asks[1].sequences, own[..PIECE]);
    assert_eq!(asks[2].sequences, [&own[..PIECE], &free[..PIECE]].concat());
    assert_eq!(asks[5].sequences, free[PIECE..]);
    assert_eq!(asks[7].sequences, [&own[PIECE..], &free[PIECE..]].concat());
    let all = measuring.finish();
    assert_eq!(uids(&all), [2, 1, 5].map(Uid));
    assert_eq!(all[0].outcome, Outcome::Missed);
    let (assigned, unassigned) = found(&all[1]);
    assert_eq!((assigned.len(), unassigned.len()), (64, 64));
    assert!(assigned
        .iter()
        .zip([1.0, 0.0].iter().cycle())
        .all(|(a, b)| a == b));
}

/// The loss that goes with a witness is of the first piece that each included miner had to train on, before any step.
#[test]
fn the_stated_loss_is_of_the_first_own_piece_of_all_that_was_included() {
    let subjects = [(Uid(1), true), (Uid(2), false), (Uid(5), true)];
    let mut all = measuring(plan(64, 4_000), &subjects);
    let mut asks = 0;
    while let Some(ask) = all.next() {
        // Twice unassigned ones, then each one's own and the same after its step, as in the test above.
        let before = [9.0, 3.0, 3.0, 4.0, 4.0, 9.0, 7.0, 7.0, 7.0, 7.0][asks];
        let loss = |at: usize| match ask.contribution {
            Some(_) if at < PIECE => before - (at % 2) as f32,
            Some(_) => 9.0 - (at % 2) as f32,
            None => before,
        };
        all.take((0..ask.sequences.len()).map(loss).collect());
        asks += 1;
        // Means of 3 and 4, from when the second one has its first piece on.
        let expected = (asks > 4).then_some(3_500_000);
        assert_eq!(all.loss(), expected, "after {asks}");
    }
    assert_eq!(asks, 10, "second pieces change nothing");
    let mut unknown = measuring(plan(64, 4_000), &[(Uid(9), true), (Uid(1), true)]);
    while let Some(ask) = unknown.next() {
        unknown.take(vec![1.0; ask.sequences.len()]);
    }
    assert_eq!(unknown.loss(), None, "a file that is gone");
}

#[test]
fn a_piece_of_the_text_that_miners_do_not_have_goes_with_each_unassigned_one() {
    let (plan, windows) = (plan(64, 4_000), 2_000);
    let all = [(Uid(1), true), (Uid(5), true)];
    let mut measuring = measuring_on(plan.clone(), &all, windows);
    // As much on own windows as on unassigned ones, so that nothing is decided, and more on unseen ones: they are last.
    let gain = |contribution: Option<SealedRoot>, at: usize| match contribution {
        Some(_) => 9.0 - (at / (2 * PIECE)) as f32 - (at % 2) as f32 * 0.5,
        None => 9.0,
    };
    let asks = measure(&mut measuring, gain);
    let seeds = seeds(exam_of(3), Some(SALT));
    let free = plan.sample_unassigned(&seeds, 64);
    let unseen = unseen::sample(&seeds, windows, 64);
    assert_eq!(
        (asks[0].sequences.as_slice(), asks[0].unseen.as_slice()),
        (&free[..PIECE], &unseen[..PIECE])
    );
    assert!(asks[1].unseen.is_empty(), "losses of a miner's own windows");
    assert_eq!(asks[2].unseen, unseen[..PIECE]);
    assert_eq!(asks[4].unseen, unseen[..PIECE]);
    assert_eq!(asks[5].unseen, unseen[PIECE..]);
    for one in measuring.finish() {
        let Outcome::Measured {
            assigned,
            unassigned,
            unseen,
            ..
        } = one.outcome
        else {
            panic!("it was not measured");
        };
        for (gains, base) in [(assigned, 0.0), (unassigned, 0.0), (unseen, 1.0)] {
            assert_eq!(gains.len(), 2 * PIECE);
            let expected = [base, base + 0.5];
            assert!(gains
                .iter()
                .zip(expected.iter().cycle())
                .all(|(a, b)| a == b));
        }
    }
}

#[test]
fn who_is_decided_has_no_second_piece() {
    let mut measuring = measuring(plan(64, 4_000), &[(Uid(1), true), (Uid(5), true)]);
    // The first one gained much more on its own windows, which come first.
    let gain = |contribution: Option<SealedRoot>, at: usize| match contribution {
        Some(one) if one == root(101) && at < PIECE => 0.5 + (at % 2) as f32 * 0.1,
        Some(_) => 1.0 + (at % 2) as f32 * 0.1,
        None => 2.0,
    };
    let asks = measure(&mut measuring, gain);
    let of = |root| {
        asks.iter()
            .filter(|ask| ask.contribution == Some(root))
            .count()
    };
    assert_eq!((of(root(101)), of(root(105))), (1, 2));
    let all = measuring.finish();
    assert_eq!(found(&all[0]).0.len(), PIECE);
    assert_eq!(found(&all[1]).0.len(), 2 * PIECE);
}

#[test]
fn what_has_no_whole_piece_when_time_runs_out_is_unmeasured_and_what_has_is_not() {
    let mut measuring = measuring(
        plan(64, 4_000),
        &[(Uid(1), true), (Uid(2), false), (Uid(5), true)],
    );
    for _ in 0..4 {
        let ask = measuring.next().expect("there is more");
        measuring.take(vec![1.0; ask.sequences.len()]);
    }
    assert_eq!(measuring.left(), 1);
    let all = measuring.finish();
    assert_eq!(uids(&all), [2, 1, 5].map(Uid));
    assert_eq!(found(&all[1]).0.len(), PIECE);
    assert_eq!(all[2].outcome, Outcome::Unmeasured);
}

#[test]
fn a_file_that_is_gone_is_unmeasured_and_nothing_to_measure_asks_for_nothing() {
    let mut unknown = measuring(plan(64, 4_000), &[(Uid(9), true), (Uid(1), true)]);
    unknown.take(vec![1.0; PIECE]);
    assert_eq!(unknown.next().and_then(|ask| ask.contribution), None);
    assert_eq!(unknown.left(), 1);
    let all = unknown.finish();
    assert_eq!(uids(&all), [Uid(9), Uid(1)]);
    assert_eq!(all[0].outcome, Outcome::Unmeasured);
    assert_eq!(measuring(plan(64, 4_000), &[(Uid(1), false)]).next(), None);
}

#[test]
fn without_unassigned_text_nothing_is_measured_and_nothing_is_shown() {
    // Three miners train on all there is.
    let measuring = measuring(plan(64, 768), &[(Uid(1), true), (Uid(5), true)]);
    assert_eq!((measuring.next(), measuring.left()), (None, 0));
    for one in measuring.finish() {
        assert_eq!(found(&one), (&[][..], &[][..]));
    }
}

#[test]
fn a_validators_own_half_is_not_anothers() {
    let plan = plan(64, 4_000);
    let of = |salt| plan.sample_unassigned(&seeds(exam_of(3), Some(H256::repeat_byte(salt))), 64);
    let (one, other) = (of(1), of(2));
    let both = one.iter().filter(|window| other.contains(window)).count();
    assert!((32..40).contains(&both), "{both}");
}
