//! The best and the finalised block as they move.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use cairn_chain::{Block, BlockStream, ChainError};
use cairn_primitives::BlockNumber;
use futures::StreamExt;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{timeout, Instant},
};

use super::{chain::Chain, RoleError};
use crate::{
    metrics::{pulse::STILL, Metrics},
    supervisor,
};

/// Where the chain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// The best block: what to act on.
    pub best: Block,
    /// The finalised block: what cannot be undone.
    pub finalized: Block,
}

/// What has been seen so far.
#[derive(Clone, Debug, Default)]
struct Seen {
    best: Option<Block>,
    finalized: Option<Block>,
    failed: Option<ChainError>,
}

/// After this time without a new block, that is said, and again after as long.
const SILENCE: Duration = STILL;

/// The highest block seen. Nodes that stand still at different blocks, or one that goes to and fro between two forks,
/// move heads and still get nowhere.
#[derive(Default)]
struct Highest(BlockNumber);

impl Highest {
    /// Whether the chain got further than ever before.
    fn rises(&mut self, seen: &Seen) -> bool {
        let heads = [seen.best, seen.finalized].into_iter().flatten();
        let highest = heads.map(|block| block.number).max().unwrap_or_default();
        let rises = highest > self.0;
        self.0 = self.0.max(highest);
        rises
    }
}

/// For how long no head has moved. Pure: it is told what time it is.
struct Silence {
    /// When a head moved, or following began.
    since: Instant,
    /// How often it was said that none moves.
    said: u32,
    /// After this time it is too long.
    limit: Duration,
}

impl Silence {
    fn new(now: Instant, limit: Duration) -> Silence {
        Silence {
            since: now,
            said: 0,
            limit,
        }
    }

    /// A head moved.
    fn broken(&mut self, now: Instant) {
        *self = Silence::new(now, self.limit);
    }

    /// How long to wait until there is something to say.
    fn wait(&self, now: Instant) -> Duration {
        let next = SILENCE.saturating_mul(self.said.saturating_add(1));
        next.min(self.limit)
            .saturating_sub(now.saturating_duration_since(self.since))
    }

    /// That it goes on is said: how long it is, and whether that is too long.
    fn lasts(&mut self, now: Instant) -> (Duration, bool) {
        self.said = self.said.saturating_add(1);
        let silent = now.saturating_duration_since(self.since);
        (silent, silent >= self.limit)
    }
}

/// Follows a chain. Blocks that come faster than they are looked at are passed over.
pub struct HeadFollower {
    seen: watch::Receiver<Seen>,
    silence: Silence,
    highest: Highest,
    has_risen: bool,
    metrics: Option<Arc<Metrics>>,
    tasks: [JoinHandle<()>; 2],
}

impl HeadFollower {
    /// Begins to follow, until there is no new block for `limit`.
    pub fn new(chain: &impl Chain, limit: Duration) -> HeadFollower {
        let (sender, seen) = watch::channel(Seen::default());
        let follow = |stream: BlockStream, is_best: bool| {
            tokio::spawn(forward(stream, sender.clone(), is_best))
        };
        let tasks = [
            follow(chain.best_blocks(), true),
            follow(chain.finalized_blocks(), false),
        ];
        HeadFollower {
            seen,
            silence: Silence::new(Instant::now(), limit),
            highest: Highest::default(),
            has_risen: false,
            metrics: None,
            tasks,
        }
    }

    /// Has it shown how far the chain is.
    pub fn shown(mut self, metrics: &Arc<Metrics>) -> HeadFollower {
        self.metrics = Some(metrics.clone());
        self
    }

    /// Waits for the next change and gives both heads.
    ///
    /// # Errors
    /// What cannot be waited out: the node is on another chain, or of another release; [`RoleError::NoBlocks`].
    pub async fn next(&mut self) -> Result<Heads, RoleError> {
        loop {
            let wait = self.silence.wait(Instant::now());
            match timeout(wait, self.seen.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(RoleError::Broken("nobody follows the chain".into())),
                Err(_) => {
                    self.stands_still()?;
                    continue;
                }
            }
            let seen = self.seen.borrow_and_update().clone();
            if self.highest.rises(&seen) {
                let now = Instant::now();
                self.silence.broken(now);
                self.has_risen = true;
                if let Some(metrics) = &self.metrics {
                    metrics.beat(self.highest.0, now.into_std(), SystemTime::now());
                }
            }
            match seen {
                Seen {
                    failed: Some(error),
                    ..
                } => return Err(error.into()),
                Seen {
                    best: Some(best),
                    finalized: Some(finalized),
                    ..
                } => {
                    return Ok(Heads { best, finalized });
                }
                _ => {}
            }
        }
    }
}

impl HeadFollower {
    /// Both heads as they are by now, without waiting for a change; `None` if one is not known yet.
    pub fn now(&self) -> Option<Heads> {
        let seen = self.seen.borrow();
        Some(Heads {
            best: seen.best?,
            finalized: seen.finalized?,
        })
    }

    /// After this time without a new block following ends.
    pub fn limit(&self) -> Duration {
        self.silence.limit
    }

    /// Whether the chain got further than ever before since this was asked last. A supervisor is told by whoever asks,
    /// once it has seen that its own work goes on, too.
    pub fn has_risen(&mut self) -> bool {
        std::mem::take(&mut self.has_risen)
    }

    /// Tells a supervisor that the chain moves and the worker with it.
    pub fn is_alive(&self) {
        supervisor::alive(&format!("at block {}", self.highest.0));
    }

    /// Says that there was no block for a while, or that it was too long.
    fn stands_still(&mut self) -> Result<(), RoleError> {
        let best = self.seen.borrow().best.map(|block| block.number);
        let (silent, is_too_long) = self.silence.lasts(Instant::now());
        if is_too_long {
            return Err(RoleError::NoBlocks {
                seconds: silent.as_secs(),
                last: best,
            });
        }
        let last = best.map_or("no block at all".into(), |best| {
            format!("none since block {best}")
        });
        tracing::warn!(
            "no new block for {} s, {last}: see whether the node is in sync and its authorities are up; waiting",
            silent.as_secs()
        );
        // Waiting is not hanging.
        supervisor::alive("waiting for a new block");
        Ok(())
    }
}

impl Drop for HeadFollower {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn forward(mut stream: BlockStream, seen: watch::Sender<Seen>, is_best: bool) {
    while let Some(next) = stream.next().await {
        match next {
            Ok(block) => seen.send_modify(|seen| {
                let head = if is_best {
                    &mut seen.best
                } else {
                    &mut seen.finalized
                };
                *head = Some(block);
            }),
            Err(error) if error.is_transient() => {
                tracing::warn!("{error}; waiting for it to come back");
            }
            Err(error) => {
                seen.send_modify(|seen| seen.failed = Some(error));
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roles::testing::SimChain;

    #[tokio::test(start_paused = true)]
    async fn a_chain_that_stands_still_ends_who_follows_it() {
        let (chain, limit) = (SimChain::empty(), Duration::from_secs(600));
        let mut follower = HeadFollower::new(&chain, limit);
        let begun = Instant::now();
        let heads = follower.next().await.expect("it has a block");
        assert!(follower.has_risen() && !follower.has_risen());
        let last = heads.best.number;
        let expected = |error: RoleError| match error {
            RoleError::NoBlocks { seconds, last } => (seconds, last),
            other => panic!("{other}"),
        };
        // The head that finality moves is no new block.
        let error = loop {
            match follower.next().await {
                Ok(again) => assert_eq!(again, heads),
                Err(error) => break error,
            }
        };
        let said = error.to_string();
        assert!(
            said.contains("no new block for 600 s, none since block"),
            "{said}"
        );
        assert!(!said.contains('\n'));
        assert_eq!(expected(error), (600, Some(last)));
        assert!(begun.elapsed() >= limit, "no sooner");
        assert!(!follower.has_risen());
    }

    #[test]
    fn two_nodes_that_stand_still_get_nowhere() {
        let at = |best: u32, finalized: u32| {
            let block = |number| Block {
                number,
                hash: cairn_primitives::H256::repeat_byte(number as u8),
            };
            Seen {
                best: Some(block(best)),
                finalized: Some(block(finalized)),
                failed: None,
            }
        };
        let mut highest = Highest::default();
        assert!(!highest.rises(&Seen::default()));
        assert!(highest.rises(&at(7, 5)));
        for _ in 0..3 {
            assert!(!highest.rises(&at(6, 5)));
            assert!(!highest.rises(&at(7, 6)));
        }
        assert!(highest.rises(&at(8, 6)));
    }

    #[test]
    fn a_silence_is_told_every_minute_and_ends_at_its_limit() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let mut silence = Silence::new(begin, Duration::from_secs(150));
        // A job that ends in between takes nothing from the time.
        assert_eq!(silence.wait(after(20)), Duration::from_secs(40));
        assert_eq!(silence.lasts(after(60)), (Duration::from_secs(60), false));
        assert_eq!(silence.wait(after(60)), Duration::from_secs(60));
        assert_eq!(silence.lasts(after(120)), (Duration::from_secs(120), false));
        assert_eq!(silence.wait(after(120)), Duration::from_secs(30));
        assert_eq!(silence.lasts(after(150)), (Duration::from_secs(150), true));
        silence.broken(after(151));
        assert_eq!(silence.wait(after(151)), Duration::from_secs(60));
        assert!(!silence.lasts(after(300)).1);
        assert!(silence.lasts(after(301)).1);
    }
}
