//! The jobs under way, and since when. What waits for a job that never ends would wait for ever, while blocks come and
//! all looks well: so one that takes longer than any of use could ends the role with an error.

use std::{collections::HashMap, future::Future, time::Duration};

use cairn_primitives::{AuditRules, BlockNumber, ModelRoot, Round, RunConfig};
use cairn_protocol::limits::{CHECKPOINT_ATTEMPTS, MOST_SOURCES};
use cairn_round::{
    machine::{Gone, Kind, Lack},
    Held,
};
use tokio::{
    task::{Id, JoinSet},
    time::Instant,
};

use super::{apply::AtHand, join::WINDOWS, keep::Kept, look::Looked, RoleError};

/// Rounds, at their longest, that a job may take. Who takes longer has missed three in a row, and has no part in the
/// next one anyway.
const ROUNDS: BlockNumber = 3;

/// How long jobs may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patience {
    /// At least so long, beside what stores and members are given for the files that a job moves.
    pub time: Duration,
    /// At least so many blocks, of those that were seen: while a machine sleeps none are.
    pub blocks: BlockNumber,
}

impl Patience {
    /// That of a worker in a run. A replay may last for as long as an audit does, and others wait for the engine
    /// meanwhile.
    pub fn of(config: &RunConfig, time: Duration) -> Patience {
        let rounds = config.phases.round().saturating_mul(ROUNDS);
        let audit = match config.audits.rate {
            0 => 0,
            _ => config.audits.blocks.saturating_mul(AuditRules::STAGES),
        };
        Patience {
            time,
            blocks: rounds.saturating_add(audit),
        }
    }
}

/// Operations, each with a deadline, by which a file of another member comes: from the own store, from those who have
/// it, into the own store and from there.
const FETCHES: u64 = 8;
/// The same of a file that is published: it is looked for, sent with its outboard, and read back.
const PUBLISHES: u64 = 4;

/// What sending a transaction takes at most, beside the time that every job has: it waits for those of its account whose
/// turn comes first, of which there are few, and each has a deadline.
pub(super) const SENDING: Duration = Duration::from_secs(16 * 120);

/// What fetching takes at most of so many files of others, of so many bytes each.
pub(super) fn fetching(files: u64, bytes: u64) -> Duration {
    moving(files.saturating_mul(FETCHES), bytes)
}

/// What publishing a file of so many bytes takes at most.
pub(super) fn publishing(bytes: u64) -> Duration {
    moving(PUBLISHES, bytes)
}

/// What getting a checkpoint of so many bytes takes at most: each member that is asked may lie of all that are tried.
pub(super) fn joining(bytes: u64) -> Duration {
    let tries = (CHECKPOINT_ATTEMPTS as u64).saturating_mul(MOST_SOURCES as u64 + 1);
    moving(tries.saturating_mul(WINDOWS), bytes)
}

/// What stores and members are given for so many operations, one after the other, that move so many bytes each.
fn moving(operations: u64, bytes: u64) -> Duration {
    let each = Duration::from_secs(60).saturating_add(Duration::from_secs(bytes >> 20));
    each.saturating_mul(u32::try_from(operations).unwrap_or(u32::MAX))
}

/// What a job brought.
pub(super) enum Ended<O> {
    Looked(Box<Looked>),
    Gone(Gone),
    NotLooked,
    Explained(Lack, String),
    /// What a worker that drains owes, said.
    Told(BlockNumber),
    /// A worker that drains has no run any more.
    Drained,
    /// Nothing that anybody waits for.
    Nothing,
    Sent(Kind, Option<BlockNumber>),
    Applied(Round, ModelRoot, AtHand),
    /// And why.
    NotApplied(Round, String),
    Kept(Box<Kept>),
    /// What was kept up to this round is on the disk, too.
    Written(Round),
    Joined(Held),
    NotJoined,
    /// What later rounds included is here, as far as it was to be had.
    CaughtUp,
    Own(O),
}

/// A job that somebody waits for.
#[derive(Clone, Copy)]
struct Begun {
    what: &'static str,
    at: Instant,
    /// Blocks that had been seen.
    blocks: BlockNumber,
    /// For the files that it moves.
    moves: Duration,
}

/// The jobs under way.
pub(super) struct Jobs<O> {
    all: JoinSet<Result<Ended<O>, RoleError>>,
    begun: HashMap<Id, Begun>,
    /// Blocks that were seen.
    blocks: BlockNumber,
}

impl<O> Default for Jobs<O> {
    fn default() -> Self {
        Jobs {
            all: JoinSet::new(),
            begun: HashMap::new(),
            blocks: 0,
        }
    }
}

impl<O: Send + 'static> Jobs<O> {
    /// Begins a job: `what` it is, as the beginning of a sentence.
    pub fn spawn(
        &mut self,
        what: &'static str,
        job: impl Future<Output = Result<Ended<O>, RoleError>> + Send + 'static,
    ) {
        self.spawn_moving(what, Duration::ZERO, job);
    }

    /// The same of one that moves files, for which it is given this time, as [`fetching`] and its like say.
    pub fn spawn_moving(
        &mut self,
        what: &'static str,
        moves: Duration,
        job: impl Future<Output = Result<Ended<O>, RoleError>> + Send + 'static,
    ) {
        let begun = Begun {
            what,
            at: Instant::now(),
            blocks: self.blocks,
            moves,
        };
        let id = self.all.spawn(job).id();
        self.begun.insert(id, begun);
    }

    /// Begins one that nobody waits for, however long it takes.
    pub fn spawn_beside(
        &mut self,
        job: impl Future<Output = Result<Ended<O>, RoleError>> + Send + 'static,
    ) {
        self.all.spawn(job);
    }

    /// What the next one brought that ends; `None` if there is none.
    pub async fn next(&mut self) -> Option<Result<Ended<O>, RoleError>> {
        let (id, ended) = match self.all.join_next_with_id().await? {
            Ok(ended) => ended,
            Err(error) => (error.id(), Err(error.into())),
        };
        self.begun.remove(&id);
        Some(ended)
    }

    /// A new block was seen.
    pub fn block(&mut self) {
        self.blocks = self.blocks.saturating_add(1);
    }

    /// Makes sure that none takes longer than it may.
    ///
    /// # Errors
    /// [`RoleError::Stuck`], with the one that was begun first.
    pub fn check(&self, patience: Patience, now: Instant) -> Result<(), RoleError> {
        let passed = |job: &Begun| now.saturating_duration_since(job.at);
        let seen = |job: &Begun| self.blocks.saturating_sub(job.blocks);
        let late = self.begun.values().filter(|&job| {
            let time = patience.time.saturating_add(job.moves);
            passed(job) >= time && seen(job) >= patience.blocks
        });
        match late.min_by_key(|job| job.at) {
            None => Ok(()),
            Some(job) => Err(RoleError::Stuck {
                what: job.what,
                seconds: passed(job).as_secs(),
                blocks: seen(job),
            }),
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::roles::testing::{config, PHASES};

    const MINUTES: Duration = Duration::from_secs(600);
    const PATIENCE: Patience = Patience {
        time: MINUTES,
        blocks: 30,
    };

    async fn ends() -> Result<Ended<()>, RoleError> {
        Ok(Ended::Nothing)
    }

    async fn panics() -> Result<Ended<()>, RoleError> {
        panic!("as a test wants it")
    }

    /// Why a worker ends with these jobs, so long after now.
    fn found(jobs: &Jobs<()>, after: Duration) -> Option<String> {
        let checked = jobs.check(PATIENCE, Instant::now() + after);
        checked.err().map(|error| error.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_does_not_end_is_named_once_time_and_blocks_are_over() {
        let mut jobs = Jobs::default();
        jobs.spawn("a look", std::future::pending());
        jobs.spawn_beside(std::future::pending());
        let almost = MINUTES - Duration::from_nanos(1);
        // A machine that slept, or a node that brings a thousand blocks at once.
        assert_eq!(found(&jobs, 2 * MINUTES), None);
        (0..30).for_each(|_| jobs.block());
        assert_eq!(found(&jobs, almost), None, "blocks are fast here");
        let why = found(&jobs, MINUTES).expect("both are over");
        assert!(why.starts_with("a look does not end"), "{why}");
        assert!(why.contains("600 s and 30 blocks") && why.contains("--stall-after"));
        assert!(!why.contains('\n'));
    }

    #[tokio::test(start_paused = true)]
    async fn what_ends_or_moves_files_or_is_waited_for_by_nobody_is_not_late() {
        let mut jobs = Jobs::default();
        jobs.spawn("one that ends", ends());
        jobs.spawn_moving("a long file", moving(2, 3 << 30), std::future::pending());
        jobs.spawn_beside(std::future::pending());
        (0..30).for_each(|_| jobs.block());
        assert!(found(&jobs, MINUTES).is_some(), "it has not ended yet");
        assert!(matches!(jobs.next().await, Some(Ok(Ended::Nothing))));
        assert_eq!(found(&jobs, MINUTES), None);
        let files = Duration::from_secs(2 * (60 + 3_072));
        assert_eq!(
            found(&jobs, MINUTES + files - Duration::from_nanos(1)),
            None
        );
        let why = found(&jobs, MINUTES + files).expect("even that is over");
        assert!(why.starts_with("a long file"), "{why}");
    }

    #[tokio::test]
    async fn a_job_that_panics_is_no_longer_under_way() {
        let mut jobs: Jobs<()> = Jobs::default();
        jobs.spawn("one that panics", panics());
        let ended = jobs.next().await;
        assert!(matches!(ended, Some(Err(RoleError::Broken(_)))));
        assert!(jobs.begun.is_empty());
        assert!(jobs.next().await.is_none());
    }

    #[test]
    fn a_replay_has_the_time_of_an_audit_beside_three_rounds() {
        let mut config = config();
        let rounds = 3 * PHASES.round();
        assert_eq!(Patience::of(&config, MINUTES).blocks, rounds);
        config.audits = AuditRules {
            rate: 1,
            blocks: 40,
            ..AuditRules::default()
        };
        assert_eq!(Patience::of(&config, MINUTES).blocks, rounds + 200);
    }
}
