//! The jobs under way, and since when. What waits for a job that never ends would wait for ever, while blocks come and
//! all looks well: so one that takes longer than any of use could ends the role with an error.

use std::{collections::HashMap, future::Future, time::Duration};

use cairn_primitives::{BlockNumber, RunConfig};
use tokio::{
    task::{Id, JoinSet},
    time::Instant,
};

use super::{driver::Ended, RoleError};

/// Rounds, at their longest, that a job may take. Who takes longer has missed three in a row, and has no part in the
/// next one anyway.
const ROUNDS: BlockNumber = 3;
/// Times that an audit has: to serve, to replay, and to reveal what was found.
const AUDIT_STAGES: BlockNumber = 3;

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
            _ => config.audits.blocks.saturating_mul(AUDIT_STAGES),
        };
        Patience {
            time,
            blocks: rounds.saturating_add(audit),
        }
    }
}

/// What stores and members are given for so many files of so many bytes each, one after the other.
pub(super) fn moving(files: u64, bytes: u64) -> Duration {
    let each = Duration::from_secs(60).saturating_add(Duration::from_secs(bytes >> 20));
    each.saturating_mul(u32::try_from(files).unwrap_or(u32::MAX))
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

    /// The same of one that moves files, for which it is given this time ([`moving`]).
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
    use cairn_primitives::AuditRules;

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
        assert_eq!(Patience::of(&config, MINUTES).blocks, rounds + 120);
    }
}
