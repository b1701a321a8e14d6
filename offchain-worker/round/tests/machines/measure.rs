//! The order in which contributions are measured, and when one is measured enough.

use cairn_primitives::{Hotkey, ModelRoot, Netuid, RunConfig, SealedRoot, Uid, H256};
use cairn_protocol::{
    assignment::Plan,
    exam::seeds,
    limits::{EXAM_LOSS, EXAM_PIECE, EXAM_STEP},
    unseen,
};
use cairn_round::{
    measure::{Ask, File, Measuring, On},
    scoring::{Evidence, Outcome},
    validator::{Found, Measurement, Subject},
};

use crate::{
    common::exam_of,
    parameters::{data, run},
};

/// Sequences of each kind in a first piece, and in those after it.
const FIRST: usize = EXAM_PIECE as usize;
const NEXT: usize = EXAM_STEP as usize;

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
    measuring_with(plan, subjects, unseen, SALT)
}

fn measuring_with(plan: Plan, subjects: &[(Uid, bool)], unseen: u64, salt: H256) -> Measuring {
    begun(measurement(plan, subjects, salt), unseen)
}

/// Of those who are good, each with as much trust as another.
fn measurement(plan: Plan, subjects: &[(Uid, bool)], salt: H256) -> Measurement {
    let subject = |(slot, (uid, is_good)): (u64, &(Uid, bool))| Subject {
        slot,
        uid: *uid,
        hotkey: Hotkey(H256::repeat_byte(uid.get() as u8)),
        found: match is_good {
            true => Found::Good(root(100 + uid.get() as u8)),
            false => Found::Missed,
        },
    };
    Measurement {
        round: 3,
        root: ModelRoot(H256::repeat_byte(3)),
        plan,
        exam: exam_of(3),
        salt,
        included: subjects
            .iter()
            .filter_map(|(uid, is_good)| is_good.then_some(*uid))
            .collect(),
        trusts: subjects
            .iter()
            .filter_map(|(_, is_good)| is_good.then_some(1))
            .collect(),
        subjects: (0..).zip(subjects).map(subject).collect(),
        before: Vec::new(),
    }
}

fn begun(measurement: Measurement, unseen: u64) -> Measuring {
    let file = |sealed_root: SealedRoot| {
        (sealed_root != root(109)).then_some(File {
            inner_steps: 4,
            alike: 1,
            repeats: false,
            is_proven: sealed_root == root(107),
        })
    };
    Measuring::new(measurement, unseen, file)
}

fn uids(evidence: &[Evidence]) -> Vec<Uid> {
    evidence.iter().map(|one| one.uid).collect()
}

/// What a measurement found on assigned and on unassigned windows, and of the settled parameters.
fn found(evidence: &Evidence) -> (&[f32], &[f32], &[f32]) {
    match &evidence.outcome {
        Outcome::Measured {
            assigned,
            unassigned,
            settled,
            ..
        } => (assigned, unassigned, settled),
        other => panic!("it was not measured: {other:?}"),
    }
}

/// Measures all; `loss` gives a loss by the parameters, and by its place in what was asked.
fn measure(measuring: &mut Measuring, loss: impl Fn(On, usize) -> f32) -> Vec<Ask> {
    let mut asks = Vec::new();
    while let Some(ask) = measuring.next() {
        let asked = ask.sequences.len() + ask.unseen.len();
        let losses = (0..asked).map(|at| loss(ask.on, at));
        measuring.take(losses.collect());
        asks.push(ask);
        assert!(asks.len() < 1_000, "it never ends");
    }
    asks
}

/// Of whatever is asked of a contribution every second loss is lower by 1: nothing is ever decided.
fn undecided(on: On, at: usize) -> f32 {
    match on {
        On::Before => 3.0,
        On::Settled => 2.0,
        On::Alone(_) => 1.0 + (at % 2) as f32,
    }
}

/// As in a run that does not audit: nobody's trust is given.
#[test]
fn without_trusts_nothing_is_held_against_the_settled_parameters() {
    let subjects = [(Uid(1), true), (Uid(5), true)];
    let with = |trusts: Vec<u16>| {
        let mut measuring = begun(
            Measurement {
                trusts,
                ..measurement(plan(64, 4_000), &subjects, SALT)
            },
            0,
        );
        let asks = measure(&mut measuring, undecided);
        let asks_settled = asks.iter().any(|ask| ask.on == On::Settled);
        let evidence = measuring.finish();
        let has_settled = evidence.iter().any(|one| !found(one).2.is_empty());
        (asks_settled, has_settled)
    };
    assert_eq!(with(Vec::new()), (false, false));
    assert_eq!(with(vec![1, 1]), (true, true));
}

#[test]
fn all_have_a_first_piece_before_anyone_has_a_second() {
    let plan = plan(64, 4_000);
    let subjects = [(Uid(1), true), (Uid(2), false), (Uid(5), true)];
    let mut measuring = measuring(plan.clone(), &subjects);
    let asks = measure(&mut measuring, undecided);
    let on: Vec<On> = asks.iter().map(|ask| ask.on).collect();
    let (one, five) = (On::Alone(root(101)), On::Alone(root(105)));
    let piece = [On::Before, On::Settled, On::Settled, one, five];
    // A quarter of what a miner trains on: 8 and fourteen times 4.
    assert_eq!(on, piece.repeat(15));
    let seeds = |salt| seeds(exam_of(3), salt);
    let free = plan.sample_unassigned(&seeds(Some(SALT)), 64);
    let stated = plan.sample_unassigned(&seeds(None), EXAM_LOSS);
    let own = |slot| plan.sample_assigned(exam_of(3), slot, 4, 64);
    let (first, third) = (own(0), own(2));
    let others = stated.iter().filter(|one| !free[..FIRST].contains(one));
    let others: Vec<u64> = others.copied().collect();
    assert_eq!(asks[0].sequences, [&free[..FIRST], &others].concat());
    assert_eq!(asks[1].sequences, free[..FIRST]);
    assert_eq!(
        asks[2].sequences,
        [&first[..FIRST], &third[..FIRST]].concat()
    );
    assert_eq!(
        asks[3].sequences,
        [&first[..FIRST], &free[..FIRST]].concat()
    );
    assert_eq!(
        asks[4].sequences,
        [&third[..FIRST], &free[..FIRST]].concat()
    );
    // What is known is not asked for again.
    let next = FIRST..FIRST + NEXT;
    let fresh = free[next.clone()]
        .iter()
        .filter(|one| !stated.contains(one));
    assert_eq!(asks[5].sequences, fresh.copied().collect::<Vec<_>>());
    assert_eq!(asks[6].sequences, free[next.clone()]);
    assert_eq!(
        asks[9].sequences,
        [&third[next.clone()], &free[next]].concat()
    );
    let all = measuring.finish();
    assert_eq!(uids(&all), [2, 1, 5].map(Uid));
    assert_eq!(all[0].outcome, Outcome::Missed);
    let (assigned, unassigned, settled) = found(&all[1]);
    assert_eq!([assigned.len(), unassigned.len(), settled.len()], [64; 3]);
    let alternate = |gains: &[f32], first: f32| {
        let expected = [first, first - 1.0];
        gains
            .iter()
            .zip(expected.iter().cycle())
            .all(|(a, b)| a == b)
    };
    assert!(alternate(assigned, 1.0) && alternate(unassigned, 2.0));
    assert!(settled.iter().all(|gain| *gain == 1.0));
}

/// What a round made of one contribution is that contribution, so it is held against the parameters before.
#[test]
fn what_is_alone_is_held_against_the_parameters_with_which_the_round_began() {
    let mut alone = measuring(plan(64, 4_000), &[(Uid(1), true), (Uid(2), false)]);
    let asks = measure(&mut alone, undecided);
    assert!(asks.iter().all(|ask| ask.on != On::Settled));
    assert_eq!(asks[1].on, On::Before);
    let all = alone.finish();
    let (assigned, unassigned, settled) = found(&all[1]);
    assert_eq!((assigned.len(), unassigned.len()), (64, 64));
    assert!(settled.is_empty());
    assert_eq!(assigned[..2], [2.0, 1.0]);
}

/// The loss that goes with a witness is of windows that follow from the exam alone, before any step.
#[test]
fn the_stated_loss_is_of_unassigned_sequences_that_all_have_in_common() {
    let subjects = [(Uid(1), true), (Uid(2), false), (Uid(5), true)];
    let stated = |salt: u8| {
        let mut all = measuring_with(plan(64, 4_000), &subjects, 0, H256::repeat_byte(salt));
        assert_eq!(all.loss(), None);
        while let Some(ask) = all.next() {
            let losses = ask.sequences.iter().map(|one| match ask.on {
                On::Before => 1.0 + (one % 7) as f32,
                _ => 0.5,
            });
            all.take(losses.collect());
        }
        all.loss()
    };
    let plan = plan(64, 4_000);
    let all = plan.sample_unassigned(&seeds(exam_of(3), None), EXAM_LOSS);
    let mean = all.iter().map(|one| 1.0 + (one % 7) as f64).sum::<f64>() / all.len() as f64;
    let expected = Some((mean * 1_000_000.0).round() as u32);
    assert_eq!([1, 2].map(stated), [expected; 2]);
    let mut unsaid = measuring(plan, &subjects);
    unsaid.take(vec![1.0; 3]);
    assert_eq!(unsaid.loss(), None);
}

#[test]
fn a_piece_of_the_text_that_miners_do_not_have_goes_with_each_unassigned_one() {
    let (plan, windows) = (plan(64, 4_000), 2_000);
    let all = [(Uid(1), true), (Uid(5), true)];
    let mut measuring = measuring_on(plan.clone(), &all, windows);
    let mut asks = Vec::new();
    while let Some(ask) = measuring.next() {
        // As much on own windows as on unassigned ones, so that nothing is decided, and more on unseen ones.
        let text = (0..ask.sequences.len()).map(|at| undecided(ask.on, at));
        let unseen = (0..ask.unseen.len()).map(|at| {
            undecided(ask.on, at)
                - match ask.on {
                    On::Before => 0.0,
                    _ => 1.0,
                }
        });
        measuring.take(text.chain(unseen).collect());
        asks.push(ask);
    }
    let unseen = unseen::sample(&seeds(exam_of(3), Some(SALT)), windows, 64);
    let of = |ask: usize| asks[ask].unseen.as_slice();
    assert_eq!(of(0), &unseen[..FIRST]);
    assert!(of(1).is_empty() && of(2).is_empty());
    assert_eq!((of(3), of(4)), (&unseen[..FIRST], &unseen[..FIRST]));
    assert_eq!(of(5), &unseen[FIRST..FIRST + NEXT]);
    for one in measuring.finish() {
        let Outcome::Measured {
            unassigned, unseen, ..
        } = one.outcome
        else {
            panic!("it was not measured");
        };
        assert_eq!((unassigned.len(), unseen.len()), (64, 64));
        assert!(unassigned
            .iter()
            .zip(&unseen)
            .all(|(free, unseen)| unseen - free == 1.0));
    }
}

#[test]
fn who_is_decided_has_no_second_piece() {
    let mut measuring = measuring(plan(64, 4_000), &[(Uid(1), true), (Uid(5), true)]);
    // The first one gained much more on its own windows, which come first; the other one as much on all.
    let loss = |on, at: usize| match on {
        On::Alone(one) if one == root(101) && at < FIRST => 0.5 + (at % 2) as f32 * 0.1,
        On::Alone(_) => 1.0 + (at % 2) as f32 * 0.1,
        On::Before => 2.0,
        On::Settled => 1.5,
    };
    let asks = measure(&mut measuring, loss);
    let of = |root| asks.iter().filter(|ask| ask.on == On::Alone(root)).count();
    assert_eq!((of(root(101)), of(root(105))), (1, 15));
    let all = measuring.finish();
    assert_eq!(found(&all[0]).0.len(), FIRST);
    assert_eq!(found(&all[1]).0.len(), 64);
}

#[test]
fn whose_premium_is_beyond_doubt_has_no_second_piece() {
    let mut measuring = measuring(plan(64, 4_000), &[(Uid(7), true), (Uid(5), true)]);
    let loss = |on, at: usize| match on {
        On::Alone(_) => 1.0 + (at % 2) as f32 * 0.1,
        On::Before => 2.0,
        On::Settled => 1.5,
    };
    measure(&mut measuring, loss);
    let all = measuring.finish();
    assert_eq!(
        (found(&all[0]).0.len(), found(&all[1]).0.len()),
        (FIRST, 64)
    );
}

/// Where windows differ much, and contributions little on the same window.
#[test]
fn what_differs_little_from_the_settled_parameters_has_no_second_piece() {
    let mut measuring = measuring(plan(64, 4_000), &[(Uid(1), true), (Uid(5), true)]);
    let hard = |window: u64| (window % 5) as f32 * 0.1;
    let mut asked = 0;
    while let Some(ask) = measuring.next() {
        let losses = ask
            .sequences
            .iter()
            .enumerate()
            .map(|(at, window)| match ask.on {
                On::Before => 3.0,
                On::Settled => 2.0 - hard(*window),
                On::Alone(_) => 2.01 - hard(*window) + (at % 2) as f32 * 0.02,
            });
        measuring.take(losses.collect());
        asked += ask.sequences.len();
    }
    // 8 and what else the loss is stated on, 8 of the settled parameters, then each one's own twice, and 8 others.
    assert_eq!(asked, FIRST + 28 + FIRST + 2 * 3 * FIRST);
    for one in measuring.finish() {
        assert_eq!(found(&one).0.len(), FIRST);
    }
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
    assert_eq!(found(&all[1]).0.len(), FIRST);
    assert_eq!(all[2].outcome, Outcome::Unmeasured);
}

#[test]
fn a_file_that_is_gone_is_unmeasured_and_nothing_to_measure_asks_for_nothing() {
    let mut unknown = measuring(plan(64, 4_000), &[(Uid(9), true), (Uid(1), true)]);
    unknown.take(vec![1.0; FIRST]);
    assert_eq!(unknown.next().map(|ask| ask.on), Some(On::Settled));
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
        assert_eq!(found(&one), (&[][..], &[][..], &[][..]));
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
