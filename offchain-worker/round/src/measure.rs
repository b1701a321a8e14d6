//! How a round's contributions are measured: on which sequences, in which order, and what is left when time runs out.
//!
//! The losses of the same sequences are compared before and after an outer step with one contribution alone: sequences
//! that its maker had to train on, and sequences that nobody had, the same ones for all. Who missed the round needs no
//! measuring. What is half measured when time runs out is not evidence.

use std::collections::VecDeque;

use cairn_primitives::H256;
use cairn_protocol::limits::VALUE_WINDOWS;

use crate::{
    scoring::{gains, Evidence, Outcome},
    validator::{Measurement, Subject},
};

/// Sequences of each kind that a contribution is measured on.
pub const SEQUENCES: u64 = VALUE_WINDOWS;

/// What the file of a contribution says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// Inner steps that its maker claims to have made.
    pub inner_steps: u32,
    /// Digest of its values, whoever sent them.
    pub values: H256,
}

/// Losses that are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The sealed root of the contribution after whose outer step they are; none: on the parameters as the round began.
    pub contribution: Option<H256>,
    /// The numbers of the sequences.
    pub sequences: Vec<u64>,
}

/// One contribution under measurement.
#[derive(Clone, Debug)]
struct Trial {
    subject: Subject,
    sealed_root: H256,
    first_seen: u32,
    file: File,
}

/// A round under measurement.
#[derive(Clone, Debug)]
pub struct Measuring {
    measurement: Measurement,
    unassigned: Vec<u64>,
    waiting: VecDeque<Trial>,
    /// Losses of the unassigned sequences as the round began.
    before: Option<Vec<f32>>,
    /// Those of the first trial: own before, own after, unassigned after.
    taken: Vec<Vec<f32>>,
    evidence: Vec<Evidence>,
}

impl Measuring {
    /// Begins. `file` gives what a contribution's file says; one that it does not know is left out.
    pub fn new(measurement: Measurement, file: impl Fn(H256) -> Option<File>) -> Measuring {
        let (mut waiting, mut missed) = (VecDeque::new(), Vec::new());
        for subject in &measurement.subjects {
            match subject.contribution {
                None => missed.push(evidence(&measurement, subject, Outcome::Missed)),
                Some((sealed_root, first_seen)) => {
                    waiting.extend(file(sealed_root).map(|file| Trial {
                        subject: subject.clone(),
                        sealed_root,
                        first_seen,
                        file,
                    }))
                }
            }
        }
        Measuring {
            unassigned: measurement.plan.sample_unassigned(SEQUENCES),
            measurement,
            waiting,
            before: None,
            taken: Vec::new(),
            evidence: missed,
        }
    }

    /// The losses that are needed next; `None` when all is measured.
    pub fn next(&self) -> Option<Ask> {
        let trial = self.waiting.front()?;
        if self.before.is_none() {
            return Some(Ask {
                contribution: None,
                sequences: self.unassigned.clone(),
            });
        }
        let contribution = (!self.taken.is_empty()).then_some(trial.sealed_root);
        let sequences = match self.taken.len() {
            0 | 1 => self.measurement.plan.sample_assigned(
                trial.subject.slot,
                trial.file.inner_steps,
                SEQUENCES,
            ),
            _ => self.unassigned.clone(),
        };
        Some(Ask {
            contribution,
            sequences,
        })
    }

    /// Takes the losses that [`Measuring::next`] asked for.
    pub fn take(&mut self, losses: Vec<f32>) {
        let Some(before) = &self.before else {
            self.before = Some(losses);
            return;
        };
        self.taken.push(losses);
        if let [own_before, own_after, others_after] = self.taken.as_slice() {
            if let Some(trial) = self.waiting.pop_front() {
                let outcome = Outcome::Measured {
                    values: trial.file.values,
                    committed_at: trial.first_seen,
                    assigned: gains(own_before, own_after),
                    unassigned: gains(before, others_after),
                };
                let found = evidence(&self.measurement, &trial.subject, outcome);
                self.evidence.push(found);
            }
            self.taken.clear();
        }
    }

    /// How many contributions are not measured yet.
    pub fn left(&self) -> usize {
        self.waiting.len()
    }

    /// What was found so far. To be asked for when all is measured, or when time has run out.
    pub fn finish(self) -> Vec<Evidence> {
        self.evidence
    }
}

fn evidence(measurement: &Measurement, subject: &Subject, outcome: Outcome) -> Evidence {
    Evidence {
        round: measurement.round,
        uid: subject.uid,
        hotkey: subject.hotkey,
        outcome,
    }
}
