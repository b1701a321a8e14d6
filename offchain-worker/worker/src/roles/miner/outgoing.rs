//! The file of the contribution that is not settled yet. A copy lies beside the state, so that a store that lost or
//! changed the file gets it again: from the commitment until the round is settled, at each block.

use std::{
    fs::File,
    future::Future,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicU32, AtomicU8, Ordering},
        Arc, Mutex,
    },
};

use bytes::Bytes;
use cairn_primitives::{BlockNumber, Netuid, Phase, Round, SealedRoot};
use cairn_round::miner::Intent;
use cairn_store::{paths, Store, StoreError};
use tokio::task::spawn_blocking;

use super::Outcome;
use crate::metrics::Failed;
use crate::roles::{
    driver::{Desk, Ended, Jobs},
    jobs::publishing,
    look::Looked,
    setup::locked,
    state::SharedState,
};

/// A file of at most so many bytes is read with each block where the store is a directory: a longer one would keep the
/// disk busy all the time.
const READ_EACH_BLOCK: u64 = 64 << 20;

/// How often it is tried to read a file at one moment. A store that asks money for what it sends may end each time.
const MOST_READS: u8 = 2;

/// The most blocks from a publication that came to nothing to the next one.
const LONGEST_PAUSE: BlockNumber = 8;

/// What a member has to see to while its contribution is open.
#[derive(Clone)]
pub(super) struct Outgoing {
    round: Round,
    prefix: String,
    root: SealedRoot,
    length: u64,
    copy: PathBuf,
    /// Whether the store has had it.
    is_stored: bool,
    /// Whether it was on the disk when this process began.
    is_of_before: bool,
    /// How often a look was asked for since none was under way; 0: none is now.
    asked: Arc<AtomicU32>,
    reads: Arc<Reads>,
    pause: Arc<Mutex<Pause>>,
}

/// What makes it worth reading every byte in the store again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// The commitment is in a block: others begin to fetch.
    Committed = 1,
    /// Keys are revealed: what is wrong from here on costs the round.
    Revealing = 2,
}

/// For which moments the bytes in the store were read. A store may put others in their place at the same length, which
/// no look at lengths sees; but a store that asks money for what it sends is not read with each block.
#[derive(Debug, Default)]
struct Reads {
    reached: AtomicU8,
    done: AtomicU8,
    /// How often it came to nothing since it was done last.
    tries: AtomicU8,
}

impl Reads {
    /// Whether that is new; then what came to nothing before does not count.
    fn reach(&self, moment: Moment) -> bool {
        let moment = moment as u8;
        let is_new = self.reached.fetch_max(moment, Ordering::AcqRel) < moment;
        if is_new {
            self.tries.store(0, Ordering::Release);
        }
        is_new
    }

    /// What to pass to [`Reads::are_done`] once every byte is read; `None` if lengths are enough.
    fn due(&self, with_each_block: bool) -> Option<u8> {
        let reached = self.reached.load(Ordering::Acquire);
        let is_due = reached > self.done.load(Ordering::Acquire);
        (is_due || with_each_block).then_some(reached)
    }

    fn are_done(&self, reached: u8) {
        self.done.fetch_max(reached, Ordering::AcqRel);
        self.tries.store(0, Ordering::Release);
    }

    /// The store did not send all of them. After [`MOST_READS`] times that is as good as done.
    fn are_not_done(&self, reached: u8) {
        let before = self.tries.fetch_add(1, Ordering::AcqRel);
        if before.saturating_add(1) >= MOST_READS {
            self.are_done(reached);
        }
    }
}

/// For how many blocks nothing is published again. What the store takes and does not give back as it was is sent whole
/// each time: first at once or with the next block, then after two, four, and eight.
#[derive(Debug, Default)]
struct Pause {
    /// The newest block.
    block: BlockNumber,
    /// Blocks until it is over.
    left: BlockNumber,
    /// How long the next one is.
    next: BlockNumber,
}

impl Pause {
    /// The chain is at this block. Whether the pause is over.
    fn is_over_at(&mut self, block: BlockNumber) -> bool {
        if block != self.block {
            // Not each block is looked at, and some are taken back.
            let passed = block.saturating_sub(self.block).max(1);
            self.block = block;
            self.left = self.left.saturating_sub(passed);
        }
        self.left == 0
    }

    /// A publication came to nothing. Whether the next one may begin at once.
    fn failed(&mut self) -> bool {
        self.left = self.next;
        self.next = self.next.saturating_mul(2).clamp(2, LONGEST_PAUSE);
        self.left == 0
    }

    /// One went well.
    fn worked(&mut self) {
        (self.left, self.next) = (0, 0);
    }
}

/// Why the store does not have the file as it was.
#[derive(Debug)]
struct Lost {
    why: String,
    /// Whether it took all of it, and did not keep it.
    was_sent: bool,
}

impl Lost {
    /// The file cannot be sent.
    fn unsent(why: String) -> Lost {
        let was_sent = false;
        Lost { why, was_sent }
    }

    /// It was to be published again, and so that ended. What is published is read back in the end.
    fn published(lost: &str, error: &StoreError) -> Lost {
        Lost {
            why: format!("{lost}: {error}"),
            was_sent: matches!(
                error,
                StoreError::Damaged { .. } | StoreError::NotFound { .. }
            ),
        }
    }
}

/// Puts a copy of a sealed file beside the state, in place of all others but those that are open.
///
/// # Errors
/// Those of the disk.
pub(super) async fn keep_copy(
    state: SharedState,
    root: SealedRoot,
    sealed: Bytes,
) -> io::Result<()> {
    let work = move || {
        let directory = state.outgoing();
        let open = state.lock().map_err(io::Error::other)?.open_roots();
        let kept: Vec<PathBuf> = open.iter().map(|root| place(&directory, root)).collect();
        std::fs::create_dir_all(&directory)?;
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            if !kept.contains(&path) {
                std::fs::remove_file(path)?;
            }
        }
        let mut file = File::create(place(&directory, &root))?;
        file.write_all(&sealed)?;
        // Where rounds overlap nothing else has it when the intent is on the disk.
        file.sync_all()?;
        File::open(&directory)?.sync_all()
    };
    spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn place(directory: &Path, root: &SealedRoot) -> PathBuf {
    directory.join(blake3::Hash::from(*root.bytes()).to_hex().as_str())
}

impl Outgoing {
    /// That of an intent, whose copy is in this directory if there is one.
    pub fn of(intent: &Intent, netuid: Netuid, directory: &Path) -> Outgoing {
        let root = intent.commitment.sealed_root;
        Outgoing {
            round: intent.round,
            prefix: paths::contributions(netuid.get(), intent.round),
            root,
            length: intent.commitment.length,
            copy: place(directory, &root),
            is_stored: true,
            is_of_before: false,
            asked: Arc::default(),
            reads: Arc::default(),
            pause: Arc::default(),
        }
    }

    /// The same of one that is not known to be stored.
    pub fn not_stored(self) -> Outgoing {
        let is_stored = false;
        Outgoing { is_stored, ..self }
    }

    /// This one is stored, if it is it.
    pub fn note_stored(&mut self, root: SealedRoot) {
        self.is_stored |= root == self.root;
    }

    /// The same of one that this process found on the disk: whether it is stored and committed to is not known.
    pub fn of_before(self) -> Outgoing {
        let is_of_before = true;
        Outgoing {
            is_of_before,
            ..self.not_stored()
        }
    }

    /// Whether it may have been committed to: what is made here is stored first.
    pub fn may_be_committed(&self) -> bool {
        self.is_stored || self.is_of_before
    }

    /// The round that it was made for.
    pub fn round(&self) -> Round {
        self.round
    }

    /// Takes note of how far its round is.
    pub fn looked(&self, looked: &Looked) {
        let view = &looked.view;
        let mut committed = view.contributions.iter().map(|seen| &seen.commitment);
        if view.round.round != self.round || !committed.any(|one| one.sealed_root == self.root) {
            return;
        }
        self.reach(Moment::Committed);
        if view.round.timetable().next_phase(looked.block) != Phase::Train {
            self.reach(Moment::Revealing);
        }
    }

    fn reach(&self, moment: Moment) {
        // Others fetch it from now on: nothing is put off.
        if self.reads.reach(moment) && moment == Moment::Revealing {
            locked(&self.pause).worked();
        }
    }

    /// Stores it for the first time, and says how that went.
    pub fn store<C: Clone + Send + Sync + 'static>(
        &self,
        desk: &Desk<C>,
        jobs: &mut Jobs<Outcome>,
    ) {
        let (own, desk) = (self.clone(), desk.clone());
        let moves = publishing(own.length);
        jobs.spawn_moving("storing a contribution", moves, async move {
            let stored = own.publish(&desk.run.store).await;
            if let Err(why) = &stored {
                let round = own.round;
                tracing::warn!("round {round} · {why}; trying again with the next block");
                desk.metrics().failed(Failed::Publish);
            }
            // It may be committed to then: the intent is on the disk first, with what is carried on.
            let state = desk.state.clone();
            spawn_blocking(move || state.written()).await??;
            Ok(Ended::Own(Outcome::Stored(own.root, stored.is_ok())))
        });
    }

    /// Publishes the copy, unless the store has it and every byte of it is good.
    async fn publish(&self, store: &Store) -> Result<(), String> {
        let check = store.check_blob(&self.prefix, self.root.bytes(), self.length);
        if check.await.is_ok() {
            return Ok(());
        }
        let published = store.publish(&self.prefix, self.copy.as_path()).await;
        match published {
            Ok(root) if root == *self.root.bytes() => Ok(()),
            Ok(_) => Err(format!("{} is damaged", self.copy.display())),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Looks whether the store that has had the file still has it as it was, and publishes it again if not. One look at
    /// a time: who asks while there is one has it followed by another.
    pub fn tend<C: Clone + Send + Sync + 'static>(&self, desk: &Desk<C>, jobs: &mut Jobs<Outcome>) {
        if !self.is_due(desk.heads.best.number) {
            return;
        }
        let (own, desk) = (self.clone(), desk.clone());
        jobs.spawn_beside(async move {
            let failed = || desk.metrics().failed(Failed::Publish);
            own.see_to(|| own.repair(&desk.run.store), failed).await;
            Ok(Ended::Nothing)
        });
    }

    /// Asks for a look at this block. Whether it is to begin now.
    fn is_due(&self, block: BlockNumber) -> bool {
        self.is_stored
            && locked(&self.pause).is_over_at(block)
            && self.asked.fetch_add(1, Ordering::AcqRel) == 0
    }

    /// Looks for as long as that is asked for.
    async fn see_to<F>(&self, repair: impl Fn() -> F, failed: impl Fn())
    where
        F: Future<Output = Result<(), Lost>>,
    {
        loop {
            let asked = self.asked.load(Ordering::Acquire);
            if let Err(Lost { why, was_sent }) = repair().await {
                failed();
                let goes_on = !was_sent || locked(&self.pause).failed();
                let when = match goes_on {
                    true => "with the next block",
                    false => "after some blocks",
                };
                tracing::warn!("round {} · {why}; trying again {when}", self.round);
                if !goes_on {
                    self.asked.store(0, Ordering::Release);
                    return;
                }
            }
            let answered =
                self.asked
                    .compare_exchange(asked, 0, Ordering::AcqRel, Ordering::Acquire);
            if answered.is_ok() {
                return;
            }
        }
    }

    /// What [`Reads::due`] says in this store.
    fn reads_now(&self, store: &Store) -> Option<u8> {
        let is_at_hand = store.directory().is_some() && self.length <= READ_EACH_BLOCK;
        self.reads.due(is_at_hand)
    }

    async fn repair(&self, store: &Store) -> Result<(), Lost> {
        let due = self.reads_now(store);
        let read = || {
            due.into_iter()
                .for_each(|reached| self.reads.are_done(reached))
        };
        let lost = match self.fault(store, due.is_some()).await {
            Ok(None) => {
                read();
                return Ok(());
            }
            Ok(Some(fault)) => format!("{} {fault}", store.url()),
            // A store that does not answer has lost nothing yet.
            Err(error) => {
                tracing::debug!("whether the store has the contribution: {error}");
                due.into_iter()
                    .for_each(|reached| self.reads.are_not_done(reached));
                return Ok(());
            }
        };
        if !self.copy.exists() {
            let why = format!("{lost}, and {} is gone, too", self.copy.display());
            return Err(Lost::unsent(why));
        }
        let published = store.publish(&self.prefix, self.copy.as_path()).await;
        match published {
            Ok(root) if root == *self.root.bytes() => {
                // What is published is read back.
                read();
                locked(&self.pause).worked();
                tracing::warn!("round {} · {lost}: it is published again", self.round);
                Ok(())
            }
            Ok(_) => {
                let why = format!("{lost}, and {} is damaged", self.copy.display());
                Err(Lost::unsent(why))
            }
            Err(error) => Err(Lost::published(&lost, &error)),
        }
    }

    /// What is wrong with the file in the store, by every byte of it or by its length; `None` if nothing is.
    async fn fault(&self, store: &Store, reads: bool) -> Result<Option<&'static str>, StoreError> {
        const GONE: &str = "no longer has the contribution";
        let (prefix, root) = (&self.prefix, self.root.bytes());
        if !reads {
            let is_there = store.holds_blob(prefix, root, self.length).await?;
            return Ok((!is_there).then_some(GONE));
        }
        match store.check_blob(prefix, root, self.length).await {
            Ok(()) => Ok(None),
            Err(StoreError::NotFound { .. }) => Ok(Some(GONE)),
            Err(StoreError::Damaged { .. }) => Ok(Some("has other bytes than the contribution's")),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
#[path = "outgoing_tests.rs"]
mod tests;
