//! What the display knows. Pure: whoever tells it something says what time it is.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use cairn_chain::RunInfo;
use cairn_primitives::{BlockNumber, Finding, Netuid, Phase, Round, RoundTimes, Uid};
use cairn_protocol::phase::Timetable;

use super::ask::{Asked, Money};
use crate::{
    metrics::{note::Note, Stage},
    roles::{
        idle::{has_begun, Part},
        ledger::Line,
        progress::Progress,
        Status,
    },
};

/// Rounds that are remembered: more than a terminal has columns.
const ROUNDS: usize = 512;

/// Something that a worker does once in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// A miner made its contribution.
    Trained,
    /// It committed to it; or a validator to what it attests.
    Committed,
    /// A miner revealed its key.
    Revealed,
    /// A validator attested.
    Attested,
}

impl Mark {
    /// Those of a role, in order.
    pub fn of(part: Part) -> &'static [Mark] {
        match part {
            Part::Miner => &[Mark::Trained, Mark::Committed, Mark::Revealed],
            Part::Validator => &[Mark::Committed, Mark::Attested],
        }
    }

    /// What is done.
    pub fn name(self) -> &'static str {
        match self {
            Mark::Trained => "train",
            Mark::Committed => "commit",
            Mark::Revealed => "reveal",
            Mark::Attested => "attest",
        }
    }
}

/// What is known of a round.
#[derive(Clone, Debug, Default)]
pub struct RoundNotes {
    /// What was done in it.
    pub marks: BTreeSet<Mark>,
    /// The mean loss of its last inner step, in nats per token, if this worker trained.
    pub loss: Option<f32>,
    /// Whether this worker's contribution was included, once the round is settled.
    pub own: Option<bool>,
    /// Whose contributions were included, once it is settled.
    pub included: Option<Vec<Uid>>,
}

/// Inner steps of a round.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    /// Those that are made.
    pub done: u32,
    /// Those that the round has.
    pub of: u32,
    /// The mean loss before the last one, in nats per token.
    pub loss: f32,
    /// How many were made when one was first seen, and when that was.
    first: (u32, Instant),
    /// When the last one was made.
    last: Instant,
}

impl Steps {
    /// Steps in a second; `None` before two of them were seen.
    pub fn per_second(&self) -> Option<f64> {
        let (before, since) = self.first;
        let steps = self.done.saturating_sub(before);
        let seconds = self.last.saturating_duration_since(since).as_secs_f64();
        (steps > 0 && seconds > 0.0).then(|| f64::from(steps) / seconds)
    }
}

/// The run and its current round, as far as it is shown.
#[derive(Clone, Debug)]
pub struct RunNotes {
    /// The run's name, as it is on chain.
    pub name: String,
    /// The current round; `None` before the first one.
    pub round: Option<Round>,
    /// When it is.
    pub times: RoundTimes,
    /// Tokens of an inner step.
    pub tokens_per_step: u64,
    /// Miners of the round.
    pub miners: usize,
    /// Its validators.
    pub validators: usize,
    /// Those of them that attested.
    pub attested: usize,
}

impl RunNotes {
    fn of(run: &RunInfo) -> RunNotes {
        let (inner, round) = (&run.config.inner, &run.round);
        let sequences = u64::from(inner.sequences);
        RunNotes {
            name: run.config.name.to_text(),
            round: has_begun(run).then_some(round.round),
            times: round.times,
            tokens_per_step: sequences.saturating_mul(inner.sequence_length.into()),
            miners: round.miners.len(),
            validators: round.validators.len(),
            attested: round.validators.iter().filter(|one| one.attested).count(),
        }
    }
}

/// Where the current round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The round.
    pub round: Round,
    /// The phase of the last block.
    pub phase: Phase,
    /// Blocks of the phase that are over.
    pub over: BlockNumber,
    /// Blocks until the next one begins, if nothing ends this one sooner.
    pub left: BlockNumber,
    /// The time that takes, if it is known how long a block takes.
    pub time_left: Option<Duration>,
}

/// All that is known.
#[derive(Clone, Debug)]
pub struct Board {
    /// The role.
    pub part: Part,
    /// The subnet.
    pub netuid: Netuid,
    /// The member's number, once it is known.
    pub uid: Option<Uid>,
    /// The run, once it was looked at.
    pub run: Option<RunNotes>,
    /// The highest block, and when it came.
    pub block: Option<(BlockNumber, Instant)>,
    /// How long a block takes, once the chain said so.
    pub block_time: Option<Duration>,
    /// Why there is nothing to do, if so.
    pub idle: Option<String>,
    /// What it waits for, if it drains.
    pub draining: Option<String>,
    /// The last rounds.
    pub rounds: BTreeMap<Round, RoundNotes>,
    /// Inner steps of the contribution that is made, or was made last.
    pub steps: Option<Steps>,
    /// What is being done, and since when.
    pub busy: BTreeMap<&'static str, VecDeque<Instant>>,
    /// Rounds in which this worker committed, or attested.
    pub committed: u32,
    /// Rounds that included its contribution.
    pub included: u32,
    /// The last measurement of a round: which, how many were measured, of how many miners.
    pub measured: Option<(Round, usize, usize)>,
    /// Scores that were set last.
    pub scores: Vec<(Uid, u16)>,
    /// Audits that passed, and that did not.
    pub audits: (u32, u32),
    /// Endpoints of others that are open, and that are passed over.
    pub sources: (usize, usize),
    /// Bytes put into the own store.
    pub sent: u64,
    /// Bytes of files of others.
    pub fetched: u64,
    /// What the member has, once it is known.
    pub money: Option<Money>,
}

impl Board {
    /// Of a worker about which nothing is known yet.
    pub fn new(part: Part, netuid: Netuid) -> Board {
        Board {
            part,
            netuid,
            uid: None,
            run: None,
            block: None,
            block_time: None,
            idle: None,
            draining: None,
            rounds: BTreeMap::new(),
            steps: None,
            busy: BTreeMap::new(),
            committed: 0,
            included: 0,
            measured: None,
            scores: Vec::new(),
            audits: (0, 0),
            sources: (0, 0),
            sent: 0,
            fetched: 0,
            money: None,
        }
    }

    /// Takes in what the metrics took note of.
    pub fn see(&mut self, note: &Note<'_>, now: Instant) {
        match *note {
            Note::Beat(block) => self.block = Some((block, now)),
            Note::Said(progress) => self.said(progress),
            Note::Stepped { done, of, loss } => self.stepped((done, of), loss, now),
            Note::Looked(status, run) => self.looked(status, run),
            Note::Settled(line) => self.settled(line),
            Note::Began(stage) => self.began(stage, now),
            Note::Ended(stage) => self.ended(stage),
            Note::Fetched(bytes) => self.fetched = self.fetched.saturating_add(bytes),
            Note::Sources { open, passed_over } => self.sources = (open, passed_over),
        }
    }

    /// Takes in what the chain was asked for.
    pub fn know(&mut self, asked: Asked) {
        self.block_time = Some(asked.block_time);
        self.money = asked.money;
    }

    /// Where the current round is, as far as blocks and the clock tell.
    pub fn place(&self, now: Instant) -> Option<Place> {
        let run = self.run.as_ref()?;
        let (round, (block, came)) = (run.round?, self.block?);
        let (times, timetable) = (run.times, Timetable(run.times));
        let phase = timetable.phase(block);
        let first = match phase {
            Phase::Train => times.start,
            Phase::Reveal => times.reveal,
            Phase::Attest => times.attest,
            Phase::Settle => times.due,
        };
        let left = timetable.end_of(phase).saturating_sub(block);
        let ago = now.saturating_duration_since(came);
        let lasts = self.block_time.map(|block| block.saturating_mul(left));
        Some(Place {
            round,
            phase,
            over: block.saturating_sub(first),
            left,
            time_left: lasts.map(|lasts| lasts.saturating_sub(ago)),
        })
    }

    /// Tokens in a second, as far as inner steps were seen.
    pub fn tokens_per_second(&self) -> Option<f64> {
        let tokens = self.run.as_ref()?.tokens_per_step;
        Some(self.steps.as_ref()?.per_second()? * tokens as f64)
    }

    /// The last round of which it is known how it ended.
    pub fn last_settled(&self) -> Option<(Round, &RoundNotes)> {
        let mut newest_first = self.rounds.iter().rev();
        let found = newest_first.find(|(_, notes)| notes.included.is_some());
        found.map(|(round, notes)| (*round, notes))
    }

    fn round(&mut self, round: Round) -> &mut RoundNotes {
        if self.rounds.len() >= ROUNDS && !self.rounds.contains_key(&round) {
            self.rounds.pop_first();
        }
        self.rounds.entry(round).or_default()
    }

    fn mark(&mut self, round: Round, mark: Mark) {
        self.round(round).marks.insert(mark);
    }

    fn said(&mut self, progress: &Progress) {
        match progress {
            Progress::Waiting { reason, .. } | Progress::Idle { reason, .. } => {
                self.idle = Some(reason.clone());
            }
            Progress::Draining { .. } | Progress::Drained => {
                self.draining = Some(progress.to_string());
            }
            Progress::AnotherRun { .. } => *self = self.of_another_run(),
            Progress::Trained {
                round,
                last_loss,
                bytes,
                ..
            } => {
                self.sent = self.sent.saturating_add(*bytes);
                self.round(*round).loss = Some(*last_loss);
                self.mark(*round, Mark::Trained);
            }
            Progress::Committed { round, .. } | Progress::AttestationCommitted { round } => {
                self.mark(*round, Mark::Committed);
            }
            Progress::Revealed { round } => self.mark(*round, Mark::Revealed),
            Progress::Attested { round, .. } => self.mark(*round, Mark::Attested),
            Progress::Settled {
                round, included, ..
            } => self.round(*round).included = Some(included.clone()),
            Progress::Scored {
                round,
                measured,
                miners,
            } => self.measured = Some((*round, *measured, *miners)),
            Progress::AuditServed { bytes, .. } => self.sent = self.sent.saturating_add(*bytes),
            Progress::VerdictRevealed { finding, .. } => self.audited(*finding),
            Progress::ScoresSet { scores, .. } | Progress::ScoresRevealed { scores, .. } => {
                self.scores.clone_from(scores);
            }
            Progress::Ready { .. }
            | Progress::Refused { .. }
            | Progress::Back { .. }
            | Progress::Serving { .. }
            | Progress::VerdictCommitted { .. }
            | Progress::ScoresCommitted { .. } => {}
        }
    }

    fn audited(&mut self, finding: Finding) {
        let (passed, failed) = &mut self.audits;
        match finding {
            Finding::Passed => *passed = passed.saturating_add(1),
            Finding::Failed => *failed = failed.saturating_add(1),
        }
    }

    /// What is still so when another run has begun.
    fn of_another_run(&self) -> Board {
        Board {
            uid: self.uid,
            block: self.block,
            block_time: self.block_time,
            busy: self.busy.clone(),
            sources: self.sources,
            sent: self.sent,
            fetched: self.fetched,
            money: self.money,
            ..Board::new(self.part, self.netuid)
        }
    }

    fn stepped(&mut self, (done, of): (u32, u32), loss: f32, now: Instant) {
        let before = self.steps.filter(|steps| steps.done < done);
        self.steps = Some(Steps {
            done,
            of,
            loss,
            first: before.map_or((done, now), |steps| steps.first),
            last: now,
        });
    }

    fn looked(&mut self, status: &Status, run: &RunInfo) {
        self.uid = status.uid.or(self.uid);
        self.idle.clone_from(&status.idle);
        (self.committed, self.included) = (status.rounds_committed, status.rounds_included);
        self.run = Some(RunNotes::of(run));
    }

    fn settled(&mut self, line: &Line) {
        self.round(line.round).own = Some(line.included);
        if let Some(money) = &mut self.money {
            money.earned = money.earned.max(line.earned);
        }
    }

    fn began(&mut self, stage: Stage, now: Instant) {
        if stage == Stage::Train {
            self.steps = None;
        }
        self.busy.entry(stage.name()).or_default().push_back(now);
    }

    /// Of several that are alike, the one is over that began first: which it was is not said.
    fn ended(&mut self, stage: Stage) {
        if let Some(since) = self.busy.get_mut(stage.name()) {
            since.pop_front();
            if since.is_empty() {
                self.busy.remove(stage.name());
            }
        }
    }
}
