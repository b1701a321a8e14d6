//! The file of the contribution that is not settled yet. A copy lies beside the state, so that a store that lost the
//! file gets it again: from the commitment until the round is settled, at each block.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicU32, Ordering},
        Arc,
    },
};

use bytes::Bytes;
use cairn_primitives::{Netuid, Round, SealedRoot};
use cairn_round::miner::Intent;
use cairn_store::{paths, Store};
use tokio::task::spawn_blocking;

use super::Outcome;
use crate::metrics::Failed;
use crate::roles::{
    driver::{Desk, Ended, Jobs},
    state::SharedState,
};

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

    /// Stores it for the first time, and says how that went.
    pub fn store<C: Clone + Send + Sync + 'static>(
        &self,
        desk: &Desk<C>,
        jobs: &mut Jobs<Outcome>,
    ) {
        let (own, desk) = (self.clone(), desk.clone());
        jobs.spawn(async move {
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

    /// Looks whether the store that has had the file still has it, and publishes it again if not. One look at a time:
    /// who asks while there is one has it followed by another.
    pub fn tend<C: Clone + Send + Sync + 'static>(&self, desk: &Desk<C>, jobs: &mut Jobs<Outcome>) {
        if !self.is_stored {
            return;
        }
        if self.asked.fetch_add(1, Ordering::AcqRel) > 0 {
            return;
        }
        let (own, desk) = (self.clone(), desk.clone());
        jobs.spawn(async move {
            loop {
                let asked = own.asked.load(Ordering::Acquire);
                if let Err(why) = own.repair(&desk.run.store).await {
                    tracing::warn!(
                        "round {} · {why}; trying again with the next block",
                        own.round
                    );
                    desk.metrics().failed(Failed::Publish);
                }
                let answered =
                    own.asked
                        .compare_exchange(asked, 0, Ordering::AcqRel, Ordering::Acquire);
                if answered.is_ok() {
                    break;
                }
            }
            Ok(Ended::Nothing)
        });
    }

    async fn repair(&self, store: &Store) -> Result<(), String> {
        match store
            .holds_blob(&self.prefix, self.root.bytes(), self.length)
            .await
        {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            // A store that does not answer has lost nothing yet.
            Err(error) => {
                tracing::debug!("whether the store has the contribution: {error}");
                return Ok(());
            }
        }
        let lost = format!("{} no longer has the contribution", store.url());
        if !self.copy.exists() {
            return Err(format!("{lost}, and {} is gone, too", self.copy.display()));
        }
        let published = store.publish(&self.prefix, self.copy.as_path()).await;
        match published {
            Ok(root) if root == *self.root.bytes() => {
                tracing::warn!("round {} · {lost}: it is published again", self.round);
                Ok(())
            }
            Ok(_) => Err(format!("{lost}, and {} is damaged", self.copy.display())),
            Err(error) => Err(format!("{lost}: {error}")),
        }
    }
}
