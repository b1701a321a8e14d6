//! How a round's contributions are measured: on which sequences, in which order, and what is left when time runs out.
//!
//! The losses of the same sequences are compared after an outer step with one contribution alone and with the
//! parameters that the round made of all: sequences that its maker had to train on, and sequences that nobody had. How
//! much there is to be gained on a sequence is about the same for all contributions, so what is left of that comparison
//! differs little from sequence to sequence, and a few are enough. What nobody had to train on is measured with the
//! parameters with which the round began as well, since a gain is what counts.
//!
//! All have their turn with a first piece of both before anyone has a second, and whoever is decided has no further
//! one. Who missed the round needs no measuring. What has not a whole piece when time runs out is not measured, and
//! what has is.
//!
//! Where a round made less than two contributions one, the settled parameters say nothing, and where work is not
//! audited somebody could spoil them for another: then sequences that the maker had to train on are compared with the
//! parameters with which the round began.
//!
//! If the run has a text that miners do not have, a piece of that goes with each piece of unassigned sequences.

use std::collections::BTreeMap;

use cairn_primitives::{Hotkey, MicroNats, SealedRoot, Uid, H256};
use cairn_protocol::{exam, limits::EXAM_LOSS, unseen};

use crate::{
    scoring::{gains, Evidence, Outcome},
    validator::{Found, Measurement},
};

/// Contributions whose own sequences are measured at once with the parameters that they are held against, so that an
/// engine need not change parameters for each.
const AT_ONCE: usize = 8;

/// What the file of a contribution says, and how it is beside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// Inner steps that its maker claims to have made.
    pub inner_steps: u32,
    /// Contributions of the round that resemble each other, this one included.
    pub alike: u16,
    /// Whether it resembles what the round before changed.
    pub repeats: bool,
    /// Whether the rounds before say beyond doubt that its maker trains on its own data.
    pub is_proven: bool,
}

/// Parameters on which losses are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// Those with which the round began.
    Before,
    /// Those with which it ended.
    Settled,
    /// Those with which it began, after an outer step with the contribution of this sealed root alone.
    Alone(SealedRoot),
}

/// Losses that are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// On which parameters.
    pub on: On,
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
    /// Its part in the settled parameters.
    part: f64,
    /// Sequences that its maker had to train on.
    own: Vec<u64>,
    /// Losses of the next piece of them, that it is held against.
    own_beside: Option<Vec<f32>>,
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
    /// Those on which the loss is stated with which the round began.
    stated: Vec<u64>,
    /// Losses as the round began, as far as they were needed.
    before: BTreeMap<u64, f32>,
    /// Whether contributions are held against the settled parameters: those are made of more than one.
    is_joint: bool,
    /// What they gained on the first unassigned sequences, as far as it was needed.
    settled: Vec<f32>,
    /// Sequences of the text that miners do not have.
    unseen: Vec<u64>,
    /// Their losses as the round began, as far as they were needed.
    unseen_before: BTreeMap<u64, f32>,
    trials: Vec<Trial>,
    /// Whose turn it is.
    turn: usize,
    /// Of whom there is nothing to measure.
    rest: Vec<Evidence>,
}

/// A piece of a list; shorter at its end.
fn piece<T>(all: &[T], number: usize) -> &[T] {
    let places = exam::piece(number);
    let end = places.end.min(all.len());
    all.get(places.start.min(end)..end).unwrap_or_default()
}

impl Trial {
    /// Whether another piece has nothing to add.
    fn is_enough(&self, free: &[u64], settled: &[f32], most: u64) -> bool {
        let is_over =
            piece(&self.own, self.pieces).is_empty() || piece(free, self.pieces).is_empty();
        let so_far = exam::Trial {
            assigned: &self.assigned,
            unassigned: &self.unassigned,
            settled: settled.get(..self.unassigned.len()).unwrap_or_default(),
            part: self.part,
            is_proven: self.file.is_proven,
            most,
        };
        is_over || so_far.is_decided()
    }
}

/// Those whose loss is not known, each once.
fn unknown<'a>(losses: &BTreeMap<u64, f32>, all: impl Iterator<Item = &'a u64>) -> Vec<u64> {
    let mut unknown: Vec<u64> = Vec::new();
    for sequence in all {
        if !losses.contains_key(sequence) && !unknown.contains(sequence) {
            unknown.push(*sequence);
        }
    }
    unknown
}

/// Their losses.
fn known(losses: &BTreeMap<u64, f32>, all: &[u64]) -> Vec<f32> {
    let loss = |sequence: &u64| losses.get(sequence).copied().unwrap_or(f32::NAN);
    all.iter().map(loss).collect()
}

/// Takes their losses. What was not said is no number, and not asked for again.
fn know(losses: &mut BTreeMap<u64, f32>, all: Vec<u64>, said: &[f32]) {
    let said = said.iter().copied().chain(std::iter::repeat(f32::NAN));
    losses.extend(all.into_iter().zip(said));
}

/// The part of who has this trust in what those with these made together.
fn part(measurement: &Measurement, uid: Uid) -> f64 {
    let trusts = || measurement.included.iter().zip(&measurement.trusts);
    let own = trusts().find(|(of, _)| **of == uid);
    let all: u64 = trusts().map(|(_, trust)| u64::from(*trust)).sum();
    own.map_or(0.0, |(_, trust)| f64::from(*trust) / all.max(1) as f64)
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
        let stated = plan.sample_unassigned(&exam::seeds(measurement.exam, None), EXAM_LOSS);
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
                    part: part(&measurement, uid),
                    own: plan.sample_assigned(
                        measurement.exam,
                        subject.slot,
                        file.inner_steps,
                        most,
                    ),
                    own_beside: None,
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
            is_joint: measurement.trusts.len() > 1,
            measurement,
            free,
            stated,
            before: BTreeMap::new(),
            settled: Vec::new(),
            unseen,
            unseen_before: BTreeMap::new(),
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
        let number = trial.pieces;
        let (own, free) = (piece(&trial.own, number), piece(&self.free, number));
        let unseen = piece(&self.unseen, number).to_vec();
        let ask = |on, sequences, unseen| Ask {
            on,
            sequences,
            unseen,
        };
        let (unknown, unknown_unseen) = self.unknown_before(number);
        Some(if !unknown.is_empty() || !unknown_unseen.is_empty() {
            ask(On::Before, unknown, unknown_unseen)
        } else if self.lacks_settled(number) {
            ask(On::Settled, free.to_vec(), Vec::new())
        } else if trial.own_beside.is_none() {
            let all = self.waiting(number).map(|(_, own)| own);
            ask(self.beside(), all.collect::<Vec<_>>().concat(), Vec::new())
        } else {
            ask(On::Alone(trial.sealed_root), [own, free].concat(), unseen)
        })
    }

    /// Those that lack losses that their next piece of own sequences is held against, by their places, and that piece:
    /// the one whose turn it is, and some that come after.
    fn waiting(&self, number: usize) -> impl Iterator<Item = (usize, &[u64])> {
        let trials = self.trials.iter().enumerate().skip(self.turn);
        let waiting = trials.filter(move |(_, trial)| {
            !trial.is_done && trial.pieces == number && trial.own_beside.is_none()
        });
        waiting
            .map(move |(place, trial)| (place, piece(&trial.own, number)))
            .take(AT_ONCE)
    }

    /// What is compared on sequences that a maker had to train on.
    fn beside(&self) -> On {
        match self.is_joint {
            true => On::Settled,
            false => On::Before,
        }
    }

    /// The unassigned and unseen sequences of a piece whose losses as the round began are not known; with the first
    /// piece also those on which the loss is stated.
    fn unknown_before(&self, number: usize) -> (Vec<u64>, Vec<u64>) {
        let stated = self.stated.iter().filter(|_| number == 0);
        let free = piece(&self.free, number).iter().chain(stated);
        let unseen = piece(&self.unseen, number).iter();
        (
            unknown(&self.before, free),
            unknown(&self.unseen_before, unseen),
        )
    }

    /// Whether it is not known what the settled parameters gained on a piece, where that counts.
    fn lacks_settled(&self, number: usize) -> bool {
        let known = self.settled.get(exam::piece(number).start..);
        self.is_joint && known.is_none_or(<[f32]>::is_empty)
    }

    /// Takes the losses that [`Measuring::next`] asked for.
    pub fn take(&mut self, losses: Vec<f32>) {
        let Some(number) = self.current().map(|trial| trial.pieces) else {
            return;
        };
        let (unknown, unknown_unseen) = self.unknown_before(number);
        if !unknown.is_empty() || !unknown_unseen.is_empty() {
            let (free, unseen) = losses.split_at(unknown.len().min(losses.len()));
            know(&mut self.before, unknown, free);
            know(&mut self.unseen_before, unknown_unseen, unseen);
            return;
        }
        let before = known(&self.before, piece(&self.free, number));
        if self.lacks_settled(number) {
            let mut found = gains(&before, &losses);
            found.resize(before.len(), 0.0);
            self.settled.extend(found);
            return;
        }
        if self
            .current()
            .is_some_and(|trial| trial.own_beside.is_none())
        {
            return self.take_beside(number, &losses);
        }
        self.take_alone(number, &before, &losses);
    }

    /// Takes what own sequences are held against.
    fn take_beside(&mut self, number: usize, losses: &[f32]) {
        let waiting = self.waiting(number);
        let waiting: Vec<(usize, usize)> = waiting.map(|(place, own)| (place, own.len())).collect();
        let mut left = losses;
        for (place, count) in waiting {
            let (own, others) = left.split_at(count.min(left.len()));
            if let Some(trial) = self.trials.get_mut(place) {
                trial.own_beside = Some(own.to_vec());
            }
            left = others;
        }
    }

    /// Takes those after an outer step with the contribution whose turn it is.
    fn take_alone(&mut self, number: usize, before: &[f32], losses: &[f32]) {
        let unseen_before = known(&self.unseen_before, piece(&self.unseen, number));
        let most = self.measurement.plan.most_windows();
        let Some(trial) = self.trials.get_mut(self.turn) else {
            return;
        };
        let Some(own_beside) = trial.own_beside.take() else {
            return;
        };
        let (own, others) = losses.split_at(own_beside.len().min(losses.len()));
        let (free, unseen) = others.split_at(before.len().min(others.len()));
        trial.assigned.extend(gains(&own_beside, own));
        trial.unassigned.extend(gains(before, free));
        trial.unseen.extend(gains(&unseen_before, unseen));
        trial.pieces = trial.pieces.saturating_add(1);
        trial.is_done = trial.is_enough(&self.free, &self.settled, most);
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

    /// The mean loss of the parameters with which the round began, on unassigned sequences that follow from the exam
    /// alone; `None` if it was not measured, or if it is no loss ([`exam::mean_loss`]).
    pub fn loss(&self) -> Option<MicroNats> {
        let losses = self.stated.iter().map(|sequence| self.before.get(sequence));
        let losses: Option<Vec<f32>> = losses.map(|loss| loss.copied()).collect();
        exam::mean_loss(losses?)
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
                    settled: self
                        .settled
                        .get(..trial.unassigned.len())
                        .unwrap_or_default()
                        .to_vec(),
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
