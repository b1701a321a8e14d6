//! How a round's contributions are measured: on which sequences, in which order, and what is left when time runs out.
//!
//! The losses of the same sequences are compared before and after an outer step with one contribution alone:
//! sequences that its maker had to train on, and sequences that nobody had. All have their turn with a first piece of
//! both before anyone has a second, and whoever is decided has no further one. Who missed the round needs no
//! measuring. What has not a whole piece when time runs out is not measured, and what has is.
//!
//! If the run has a text that miners do not have, a piece of that goes with each piece of unassigned sequences.

use cairn_primitives::{Hotkey, MicroNats, SealedRoot, Uid, H256};
use cairn_protocol::{exam, limits::EXAM_PIECE, unseen};

use crate::{
    scoring::{gains, Evidence, Outcome},
    validator::{Found, Measurement},
};

/// Sequences of each kind that a contribution is measured on at a time.
pub const PIECE: usize = EXAM_PIECE as usize;

/// What the file of a contribution says, and how it is beside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// Inner steps that its maker claims to have made.
    pub inner_steps: u32,
    /// Contributions of the round that resemble each other, this one included.
    pub alike: u16,
    /// Whether it resembles what the round before changed.
    pub repeats: bool,
}

/// Losses that are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The sealed root of the contribution after whose outer step they are; none: on the parameters as the round began.
    pub contribution: Option<SealedRoot>,
    /// The numbers of the sequences.
    pub sequences: Vec<u64>,
    /// After those, sequences of the text that miners do not have, by their numbers there.
    pub unseen: Vec<u64>,
}

/// One contribution under measurement.
#[derive(Clone, Debug)]
struct Trial {
    uid: Uid,
    hotkey: Hotkey,
    sealed_root: SealedRoot,
    file: File,
    /// Sequences that its maker had to train on.
    own: Vec<u64>,
    /// Losses of the next piece of them as the round began.
    own_before: Option<Vec<f32>>,
    /// Those of the first piece.
    first_before: Vec<f32>,
    pieces: usize,
    is_done: bool,
    assigned: Vec<f32>,
    unassigned: Vec<f32>,
    unseen: Vec<f32>,
}

/// A round under measurement.
#[derive(Clone, Debug)]
pub struct Measuring {
    measurement: Measurement,
    /// Sequences that nobody had to train on.
    free: Vec<u64>,
    /// Their losses as the round began, as far as they were needed.
    before: Vec<f32>,
    /// Sequences of the text that miners do not have.
    unseen: Vec<u64>,
    /// Their losses as the round began, as far as they were needed.
    unseen_before: Vec<f32>,
    trials: Vec<Trial>,
    /// Whose turn it is.
    turn: usize,
    /// Of whom there is nothing to measure.
    rest: Vec<Evidence>,
}

/// A piece of a list of sequences; shorter at its end.
fn piece(sequences: &[u64], number: usize) -> &[u64] {
    let begin = number.saturating_mul(PIECE).min(sequences.len());
    let end = begin.saturating_add(PIECE).min(sequences.len());
    sequences.get(begin..end).unwrap_or_default()
}

impl Trial {
    /// Whether another piece has nothing to add.
    fn is_enough(&self, free: &[u64]) -> bool {
        let is_over =
            piece(&self.own, self.pieces).is_empty() || piece(free, self.pieces).is_empty();
        is_over || exam::is_decided(&self.assigned, &self.unassigned)
    }
}

impl Measuring {
    /// Begins; half of what nobody trained on is drawn by the salt that this validator committed to. The text that
    /// miners do not have has so many sequences, none in a run without one. `file` gives what a contribution's file
    /// says; one that it does not know is not measured.
    pub fn new(
        measurement: Measurement,
        unseen: u64,
        file: impl Fn(SealedRoot) -> Option<File>,
    ) -> Measuring {
        let plan = &measurement.plan;
        let most = plan.most_windows();
        let seeds = exam::seeds(measurement.exam, Some(measurement.salt));
        let free = plan.sample_unassigned(&seeds, most);
        let unseen = unseen::sample(&seeds, unseen, most);
        let (mut trials, mut rest) = (Vec::new(), Vec::new());
        for subject in &measurement.subjects {
            let (uid, hotkey) = (subject.uid, subject.hotkey);
            let found = match subject.found {
                Found::Good(root) => file(root)
                    .map(|file| (root, file))
                    .ok_or(Outcome::Unmeasured),
                Found::Missed => Err(Outcome::Missed),
            };
            match found {
                Err(outcome) => rest.push(evidence(&measurement, uid, hotkey, outcome)),
                Ok((sealed_root, file)) => trials.push(Trial {
                    uid,
                    hotkey,
                    sealed_root,
                    file,
                    own: plan.sample_assigned(
                        measurement.exam,
                        subject.slot,
                        file.inner_steps,
                        most,
                    ),
                    own_before: None,
                    first_before: Vec::new(),
                    pieces: 0,
                    // Without unassigned text there is nothing to be shown.
                    is_done: free.is_empty(),
                    assigned: Vec::new(),
                    unassigned: Vec::new(),
                    unseen: Vec::new(),
                }),
            }
        }
        Measuring {
            measurement,
            free,
            before: Vec::new(),
            unseen,
            unseen_before: Vec::new(),
            trials,
            turn: 0,
            rest,
        }
    }

    /// Whose turn it is, if anybody is left.
    fn current(&self) -> Option<&Trial> {
        self.trials.get(self.turn).filter(|trial| !trial.is_done)
    }

    /// The losses that are needed next; `None` when all is measured.
    pub fn next(&self) -> Option<Ask> {
        let trial = self.current()?;
        let (own, free) = (
            piece(&trial.own, trial.pieces),
            piece(&self.free, trial.pieces),
        );
        let unseen = piece(&self.unseen, trial.pieces).to_vec();
        let ask = |contribution, sequences, unseen| Ask {
            contribution,
            sequences,
            unseen,
        };
        Some(if self.is_new_to(trial) {
            ask(None, free.to_vec(), unseen)
        } else if trial.own_before.is_none() {
            ask(None, own.to_vec(), Vec::new())
        } else {
            ask(Some(trial.sealed_root), [own, free].concat(), unseen)
        })
    }

    /// Whether the losses as the round began of a trial's next unassigned piece are not known.
    fn is_new_to(&self, trial: &Trial) -> bool {
        self.before.len() <= trial.pieces.saturating_mul(PIECE)
    }

    /// Takes the losses that [`Measuring::next`] asked for.
    pub fn take(&mut self, losses: Vec<f32>) {
        let Some(trial) = self.current() else {
            return;
        };
        let free = piece(&self.free, trial.pieces).len();
        if self.is_new_to(trial) {
            let (free, unseen) = losses.split_at(free.min(losses.len()));
            self.before.extend(free);
            self.unseen_before.extend(unseen);
            return;
        }
        let begin = trial.pieces.saturating_mul(PIECE);
        let before = self.before.get(begin..).unwrap_or_default();
        let unseen_before = self.unseen_before.get(begin..).unwrap_or_default();
        let Some(trial) = self.trials.get_mut(self.turn) else {
            return;
        };
        let Some(own_before) = trial.own_before.take() else {
            if trial.pieces == 0 {
                trial.first_before.clone_from(&losses);
            }
            trial.own_before = Some(losses);
            return;
        };
        let (own, others) = losses.split_at(own_before.len().min(losses.len()));
        let (free, unseen) = others.split_at(free.min(others.len()));
        trial.assigned.extend(gains(&own_before, own));
        trial.unassigned.extend(gains(before, free));
        trial.unseen.extend(gains(unseen_before, unseen));
        trial.pieces = trial.pieces.saturating_add(1);
        trial.is_done = trial.is_enough(&self.free);
        self.pass_on();
    }

    /// The next one whose turn it is.
    fn pass_on(&mut self) {
        let (until, after) = self
            .trials
            .split_at(self.turn.saturating_add(1).min(self.trials.len()));
        let next = |trials: &[Trial]| trials.iter().position(|trial| !trial.is_done);
        self.turn = match next(after) {
            Some(ahead) => until.len().saturating_add(ahead),
            None => next(until).unwrap_or(self.trials.len()),
        };
    }

    /// How many contributions have no piece measured yet.
    pub fn left(&self) -> usize {
        let trials = self.trials.iter();
        trials
            .filter(|trial| trial.pieces == 0 && !trial.is_done)
            .count()
    }

    /// Whose contributions the round included, and its exam: what a witness is of.
    pub fn asked(&self) -> (Vec<Uid>, H256) {
        (self.measurement.included.clone(), self.measurement.exam)
    }

    /// The mean loss of the parameters with which the round began, on what a witness is of; `None` if some of that was
    /// not measured, or if it is no loss ([`exam::mean_loss`]).
    pub fn loss(&self) -> Option<MicroNats> {
        let included = || self.measurement.included.iter();
        let of = |uid: &Uid| self.trials.iter().find(|trial| trial.uid == *uid);
        let is_measured = |uid: &Uid| of(uid).is_some_and(|trial| trial.pieces > 0);
        if !included().all(is_measured) {
            return None;
        }
        let measured = included().filter_map(of);
        exam::mean_loss(measured.flat_map(|trial| trial.first_before.iter().copied()))
    }

    /// What was found so far. To be asked for when all is measured, or when time has run out.
    pub fn finish(mut self) -> Vec<Evidence> {
        let of = self.measurement.plan.inner_steps();
        for trial in std::mem::take(&mut self.trials) {
            let outcome = match trial.pieces {
                0 if !trial.is_done => Outcome::Unmeasured,
                _ => Outcome::Measured {
                    steps: trial.file.inner_steps,
                    of,
                    alike: trial.file.alike,
                    repeats: trial.file.repeats,
                    assigned: trial.assigned,
                    unassigned: trial.unassigned,
                    unseen: trial.unseen,
                },
            };
            let found = evidence(&self.measurement, trial.uid, trial.hotkey, outcome);
            self.rest.push(found);
        }
        self.rest
    }
}

fn evidence(measurement: &Measurement, uid: Uid, hotkey: Hotkey, outcome: Outcome) -> Evidence {
    Evidence {
        round: measurement.round,
        uid,
        hotkey,
        outcome,
    }
}
