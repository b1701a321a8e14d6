//! A run that is followed: newer parameters take the place of those that are served.

use std::{future::Future, sync::Arc, time::Duration};

use cairn_primitives::ModelRoot;
use tokio::{
    sync::watch,
    time::{interval_at, Instant, MissedTickBehavior},
};

use super::{Loaded, Origin};
use crate::{error::Failure, output};

/// What could not be read is tried again after this time: the store may not have answered.
const AGAIN: Duration = Duration::from_secs(3_600);

/// Where a run's newest parameters are found.
pub trait Source: Send + Sync + 'static {
    /// The root of the newest parameters, if they are newer than those with the root `held`. They are not read.
    ///
    /// # Errors
    /// If the chain or the store does not answer.
    fn newer_than(
        &self,
        held: ModelRoot,
    ) -> impl Future<Output = Result<Option<ModelRoot>, Failure>> + Send;

    /// The newest that can be read, ready to be used.
    ///
    /// # Errors
    /// If there are none.
    fn load(&self) -> impl Future<Output = Result<Loaded, Failure>> + Send;
}

/// What a look for newer parameters came to.
#[derive(Debug)]
pub enum Looked {
    /// There are none.
    Same,
    /// They have taken over.
    Newer(Origin),
    /// They are there and are not served, or nobody knows whether they are: the model stays as it is.
    Kept(Failure),
}

impl Looked {
    /// What is said of it: nothing if nothing has changed.
    fn tell(&self) {
        match self {
            Looked::Same => {}
            Looked::Newer(origin) => output::say(&format!("cairn: now {origin}")),
            Looked::Kept(failure) => tracing::warn!("{failure}; the model stays as it is"),
        }
    }
}

/// Looks for newer parameters, and hands them to the server when they are ready.
pub struct Follower<S> {
    source: S,
    models: watch::Sender<Arc<Loaded>>,
    /// What could not be read, and since when: it is passed over for a while.
    passed: Option<(ModelRoot, Instant)>,
}

impl<S: Source> Follower<S> {
    /// Of a source, for the server that watches `models`.
    pub fn new(source: S, models: watch::Sender<Arc<Loaded>>) -> Follower<S> {
        Follower {
            source,
            models,
            passed: None,
        }
    }

    /// Looks every so often, without an end, and says what came of it.
    pub async fn follow(mut self, every: Duration) {
        let first = Instant::now().checked_add(every);
        let mut ticks = interval_at(first.unwrap_or_else(Instant::now), every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look().await.tell();
        }
    }

    /// Looks once.
    pub async fn look(&mut self) -> Looked {
        self.replaced().await.unwrap_or_else(Looked::Kept)
    }

    async fn replaced(&mut self) -> Result<Looked, Failure> {
        let held = self.models.borrow().origin.clone();
        self.passed = self.passed.filter(|(_, since)| since.elapsed() < AGAIN);
        let passed = self.passed.map(|(root, _)| root);
        let newer = self.source.newer_than(held.model_root).await?;
        let Some(newer) = newer.filter(|newer| Some(*newer) != passed) else {
            return Ok(Looked::Same);
        };
        let found = self.source.load().await;
        let is_newest = |found: &Loaded| found.origin.model_root == newer;
        let is_newest = found.as_ref().is_ok_and(is_newest);
        if !is_newest {
            self.passed = Some((newer, Instant::now()));
        }
        let loaded = found?;
        let origin = loaded.origin.clone();
        let (root, round) = (origin.model_root, origin.round);
        // Where the newest cannot be read, one before it may still be newer than what is held.
        if is_newest || (root != held.model_root && round > held.round) {
            self.models.send_replace(Arc::new(loaded));
            return Ok(Looked::Newer(origin));
        }
        let what = format!("the newest parameters, with root {newer:?}, cannot be read");
        Err(Failure::new(what, "see what the store has of them"))
    }
}
