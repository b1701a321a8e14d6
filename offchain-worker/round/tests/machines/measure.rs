//! The order in which contributions are measured.

use cairn_primitives::{Uid, H256};
use cairn_round::{
    measure::{File, Measuring, SEQUENCES},
    scoring::{Evidence, Outcome},
    validator::{Measurement, Subject},
};

use crate::common::plan;

fn root(byte: u8) -> H256 {
    H256::repeat_byte(byte)
}

fn measuring(subjects: &[(Uid, bool)]) -> Measuring {
    let subject = |(slot, (uid, is_good)): (u64, &(Uid, bool))| Subject {
        slot,
        uid: *uid,
        hotkey: root(*uid as u8),
        contribution: is_good.then_some((root(100 + *uid as u8), 7)),
    };
    let measurement = Measurement {
        round: 3,
        root: root(3),
        plan: plan(3),
        subjects: (0..).zip(subjects).map(subject).collect(),
    };
    let file = |sealed_root: H256| {
        (sealed_root != root(109)).then_some(File {
            inner_steps: 2,
            values: sealed_root,
        })
    };
    Measuring::new(measurement, file)
}

fn uids(evidence: &[Evidence]) -> Vec<Uid> {
    evidence.iter().map(|one| one.uid).collect()
}

#[test]
fn each_contribution_is_measured_before_and_after_on_its_own_and_on_nobodys_sequences() {
    let mut measuring = measuring(&[(1, true), (2, false), (5, true)]);
    let mut asks = Vec::new();
    while let Some(ask) = measuring.next() {
        let loss = if ask.contribution.is_some() { 1.0 } else { 1.5 };
        measuring.take(vec![loss; ask.sequences.len()]);
        asks.push(ask);
    }
    let contributions: Vec<_> = asks.iter().map(|ask| ask.contribution).collect();
    let (one, five) = (Some(root(101)), Some(root(105)));
    assert_eq!(contributions, [None, None, one, one, None, five, five]);
    assert_eq!(asks[0].sequences.len(), SEQUENCES as usize);
    assert_eq!(asks[0].sequences, asks[3].sequences);
    assert_eq!(asks[1].sequences, asks[2].sequences);
    assert_eq!(asks[3].sequences, asks[6].sequences);
    assert_ne!(asks[2].sequences, asks[5].sequences);
    // Two steps of three sequences.
    assert_eq!(asks[1].sequences.len(), 6);
    let found = measuring.finish();
    assert_eq!(uids(&found), [2, 1, 5]);
    assert_eq!(found[0].outcome, Outcome::Missed);
    let Outcome::Measured {
        assigned,
        unassigned,
        ..
    } = &found[1].outcome
    else {
        panic!("it was measured");
    };
    assert_eq!((assigned.len(), unassigned.len()), (6, SEQUENCES as usize));
    assert!(assigned.iter().chain(unassigned).all(|gain| *gain == 0.5));
}

#[test]
fn what_is_half_measured_when_time_runs_out_is_no_evidence() {
    let mut measuring = measuring(&[(1, true), (2, false), (5, true)]);
    for _ in 0..5 {
        let ask = measuring.next().expect("there is more");
        measuring.take(vec![1.0; ask.sequences.len()]);
    }
    assert_eq!(measuring.left(), 1);
    assert_eq!(uids(&measuring.finish()), [2, 1]);
}

#[test]
fn a_file_that_is_gone_is_left_out_and_nothing_to_measure_asks_for_nothing() {
    let mut unknown = measuring(&[(9, true), (1, true)]);
    unknown.take(vec![1.0; 32]);
    assert_eq!(unknown.next().and_then(|ask| ask.contribution), None);
    assert_eq!(unknown.left(), 1);
    assert_eq!(measuring(&[(1, false)]).next(), None);
    assert_eq!(uids(&measuring(&[(1, false)]).finish()), [1]);
}
