//! What a worker shows to Prometheus: `--metrics` serves it at `/metrics`, and at `/healthz` whether the chain moves.
//!
//! Nothing is measured twice. Roles report what they do anyway, as [`Progress`], [`Status`] and lines of the ledger;
//! [`Metrics`] takes note of it, and of what only the driver knows: how long a job took and how it failed. Machines
//! and rules know nothing of any of this.
//!
//! [`book`] is the list of all metrics: names, kinds, what they mean. [`pulse`] says whether the chain moves, [`site`]
//! serves both, [`disk`] looks at the room that is left. Who looks on beside Prometheus is told in [`note`]s.

pub mod book;
pub mod disk;
pub mod note;
pub mod pulse;
pub mod site;

use std::{
    path::Path,
    sync::{Mutex, OnceLock, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use cairn_chain::RunInfo;
use cairn_primitives::{BlockNumber, Finding, Netuid, Phase};

use self::{
    book::Book,
    note::{Note, Onlooker, Timer},
    pulse::{Health, Pulse},
};
use crate::roles::{ledger::Line, progress::Progress, Status};

/// A part of a worker's work that takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Asking the chain.
    Look,
    /// Getting a transaction into a block.
    Send,
    /// Making a contribution.
    Train,
    /// Bringing a file of another member.
    Fetch,
    /// Opening and checking a contribution.
    Open,
    /// Measuring a round's contributions.
    Measure,
    /// Replaying what is audited.
    Audit,
    /// Making what an audit asks for.
    Serve,
    /// The outer step.
    Apply,
    /// Putting parameters in force.
    Keep,
    /// Getting parameters for who comes late.
    Join,
}

impl Stage {
    /// Its label.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Look => "look",
            Stage::Send => "send",
            Stage::Train => "train",
            Stage::Fetch => "fetch",
            Stage::Open => "open",
            Stage::Measure => "measure",
            Stage::Audit => "audit",
            Stage::Serve => "serve",
            Stage::Apply => "apply",
            Stage::Keep => "keep",
            Stage::Join => "join",
        }
    }
}

/// What went wrong and is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// A look at the chain.
    Look,
    /// A transaction.
    Send,
    /// Inner steps: the device, or numbers that are none.
    Engine,
    /// A file of another member did not come.
    Fetch,
    /// A file did not go into the own store.
    Publish,
    /// The outer step.
    Apply,
    /// Getting parameters for who comes late.
    Join,
    /// A replay.
    Audit,
}

impl Failed {
    /// All of them: each is there from the beginning, with a count of 0.
    pub const ALL: [Failed; 8] = [
        Failed::Look,
        Failed::Send,
        Failed::Engine,
        Failed::Fetch,
        Failed::Publish,
        Failed::Apply,
        Failed::Join,
        Failed::Audit,
    ];

    /// Its label.
    pub const fn name(self) -> &'static str {
        match self {
            Failed::Look => "look",
            Failed::Send => "send",
            Failed::Engine => "engine",
            Failed::Fetch => "fetch",
            Failed::Publish => "publish",
            Failed::Apply => "apply",
            Failed::Join => "join",
            Failed::Audit => "audit",
        }
    }
}

/// Where a file came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// The own store.
    FromStore,
    /// Endpoints of other members.
    FromMembers,
}

/// The metrics of one worker.
pub struct Metrics {
    book: Book,
    pulse: Mutex<Pulse>,
    disks: Mutex<disk::Places>,
    onlooker: OnceLock<Onlooker>,
}

impl Metrics {
    /// Those of a worker of this kind, `miner` or `validator`, in a subnet.
    ///
    /// # Errors
    /// If a name in [`book`] is none, or is there twice.
    pub fn new(role: &str, netuid: Netuid) -> Result<Metrics, prometheus::Error> {
        Ok(Metrics {
            book: Book::new(role, netuid)?,
            pulse: Mutex::default(),
            disks: Mutex::default(),
            onlooker: OnceLock::new(),
        })
    }

    /// From now on an onlooker is told of all that is noted here. There is one at most: a second one is told nothing.
    pub fn tell(&self, onlooker: Onlooker) {
        let _ = self.onlooker.set(onlooker);
    }

    fn note(&self, note: &Note<'_>) {
        if let Some(onlooker) = self.onlooker.get() {
            onlooker(note);
        }
    }

    /// All of them, as Prometheus reads them.
    ///
    /// # Errors
    /// If they cannot be written as text.
    pub fn exposition(&self) -> Result<String, prometheus::Error> {
        prometheus::TextEncoder::new().encode_to_string(&self.book.registry.gather())
    }

    /// Whether the chain moves.
    pub fn health(&self, now: Instant) -> Health {
        self.pulse().health(now)
    }

    /// The chain got further than ever before: to this block.
    pub fn beat(&self, block: BlockNumber, now: Instant, date: SystemTime) {
        self.pulse().beat(block, now);
        self.book.best_block.set(block.into());
        let since = date.duration_since(UNIX_EPOCH);
        let seconds = since.map_or(0.0, |since| since.as_secs_f64());
        self.book.last_block_timestamp_seconds.set(seconds);
        self.note(&Note::Beat(block));
    }

    /// Takes note of what a role said.
    pub fn said(&self, progress: &Progress) {
        let book = &self.book;
        match progress {
            Progress::Trained {
                steps,
                tokens,
                last_loss,
                bytes,
                ..
            } => {
                book.inner_steps_total.inc_by((*steps).into());
                book.trained_tokens_total.inc_by(*tokens);
                book.loss_nats.set((*last_loss).into());
                book.sent("contribution", *bytes);
            }
            Progress::AuditServed { bytes, .. } => book.sent("audit", *bytes),
            Progress::Refused { .. } => book.refused_contributions_total.inc(),
            Progress::Scored { measured, .. } => {
                book.measured_contributions_total.inc_by(*measured as u64);
            }
            Progress::VerdictRevealed { finding, .. } => {
                let finding = match finding {
                    Finding::Passed => "passed",
                    Finding::Failed => "failed",
                };
                book.verdicts_total.with_label_values(&[finding]).inc();
            }
            Progress::ScoresSet { scores, .. } | Progress::ScoresRevealed { scores, .. } => {
                book.show_scores(scores);
            }
            Progress::Waiting { .. } => book.idle.set(1),
            _ => {}
        }
        self.note(&Note::Said(progress));
    }

    /// Takes note of an inner step: its number within the round, from 0, of so many, and the mean loss before it.
    pub fn stepped(&self, step: u32, of: u32, loss: f32) {
        let done = step.saturating_add(1);
        self.note(&Note::Stepped { done, of, loss });
    }

    /// Takes note of inner steps that were made again to serve what was audited.
    pub fn made_again(&self, steps: u64) {
        self.book.replayed_steps_total.inc_by(steps);
    }

    /// Takes note of a look at the chain, and of where the worker stands after it.
    pub fn looked(&self, status: &Status, run: &RunInfo) {
        let book = &self.book;
        book.round.set(status.round.into());
        book.chain_round.set(run.round.round.into());
        book.idle.set(status.idle.is_some().into());
        let name = |phase| match phase {
            Phase::Train => "train",
            Phase::Reveal => "reveal",
            Phase::Attest => "attest",
            Phase::Settle => "settle",
        };
        for phase in [Phase::Train, Phase::Reveal, Phase::Attest, Phase::Settle] {
            let is_now = phase == run.round.phase;
            let gauge = book.phase.with_label_values(&[name(phase)]);
            gauge.set(is_now.into());
        }
        self.note(&Note::Looked(status, run));
    }

    /// Takes note of a settled round.
    pub fn settled(&self, line: &Line) {
        let book = &self.book;
        book.settled_rounds_total.inc();
        if line.contributions == 0 {
            book.null_rounds_total.inc();
        }
        if line.committed {
            book.committed_rounds_total.inc();
        }
        if line.included {
            book.included_rounds_total.inc();
        }
        self.note(&Note::Settled(line));
        self.paid(line);
    }

    /// Takes note of what a line of the ledger says was earned.
    pub fn paid(&self, line: &Line) {
        let earned = i64::try_from(line.earned).unwrap_or(i64::MAX);
        self.book.earned_pebbles.set(earned);
        let share = f64::from(line.incentive) / f64::from(u16::MAX);
        self.book.share_ratio.set(share);
    }

    /// Measures a stage until what is given is dropped.
    #[must_use = "dropped at once it measures nothing"]
    pub fn time(&self, stage: Stage) -> Timer {
        self.note(&Note::Began(stage));
        let stages = &self.book.stage_duration_seconds;
        let measured = stages.with_label_values(&[stage.name()]).start_timer();
        Timer::new(measured, stage, self.onlooker.get().cloned())
    }

    /// Something went wrong and is tried again.
    pub fn failed(&self, what: Failed) {
        let failures = &self.book.failures_total;
        failures.with_label_values(&[what.name()]).inc();
    }

    /// A file came.
    pub fn fetched(&self, from: Came, bytes: u64) {
        let from = match from {
            Came::FromStore => "store",
            Came::FromMembers => "members",
        };
        let fetched = &self.book.fetched_bytes_total;
        fetched.with_label_values(&[from]).inc_by(bytes);
        self.note(&Note::Fetched(bytes));
    }

    /// How many endpoints of others are open, and how many are passed over for a while.
    pub fn sources(&self, open: usize, passed_over: usize) {
        for (state, count) in [("open", open), ("passed_over", passed_over)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.book.sources.with_label_values(&[state]).set(count);
        }
        self.note(&Note::Sources { open, passed_over });
    }

    /// A notice was posted, or was given up.
    pub fn notified(&self, is_posted: bool) {
        let outcome = if is_posted { "posted" } else { "lost" };
        self.book.notices_total.with_label_values(&[outcome]).inc();
    }

    /// From now on, the room on the disk of this directory is shown under this name.
    pub fn watch_disk(&self, name: &'static str, directory: &Path) {
        let mut disks = self.disks.lock().unwrap_or_else(PoisonError::into_inner);
        disks.insert(name, directory.to_path_buf());
    }

    fn pulse(&self) -> std::sync::MutexGuard<'_, Pulse> {
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
