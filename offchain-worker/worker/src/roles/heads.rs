//! The best and the finalised block as they move.

use std::time::Duration;

use cairn_chain::{Block, BlockStream, ChainError};
use futures::StreamExt;
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use super::{chain::Chain, RoleError};

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
const SILENCE: Duration = Duration::from_secs(60);

/// Follows a chain. Blocks that come faster than they are looked at are passed over.
pub struct HeadFollower {
    seen: watch::Receiver<Seen>,
    tasks: [JoinHandle<()>; 2],
}

impl HeadFollower {
    /// Begins to follow.
    pub fn new(chain: &impl Chain) -> HeadFollower {
        let (sender, seen) = watch::channel(Seen::default());
        let follow = |stream: BlockStream, is_best: bool| {
            tokio::spawn(forward(stream, sender.clone(), is_best))
        };
        let tasks = [
            follow(chain.best_blocks(), true),
            follow(chain.finalized_blocks(), false),
        ];
        HeadFollower { seen, tasks }
    }

    /// Waits for the next change and gives both heads.
    ///
    /// # Errors
    /// What cannot be waited out: the node is on another chain, or of another release.
    pub async fn next(&mut self) -> Result<Heads, RoleError> {
        loop {
            match timeout(SILENCE, self.seen.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(RoleError::Broken("nobody follows the chain".into())),
                Err(_) => {
                    self.say_silence();
                    continue;
                }
            }
            let seen = self.seen.borrow_and_update().clone();
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
    fn say_silence(&self) {
        let best = self.seen.borrow().best.map(|block| block.number);
        let last = best.map_or("no block at all".into(), |best| {
            format!("none since block {best}")
        });
        tracing::warn!(
            "no new block for {} s, {last}: see whether the node is in sync and its authorities are up; waiting",
            SILENCE.as_secs()
        );
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
