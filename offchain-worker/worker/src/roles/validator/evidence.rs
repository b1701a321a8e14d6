//! Files of evidence: written beside the state when scores are chosen, and put into the store once these are revealed.
//!
//! Nobody may have a file before, since the scores follow from it. Its root is hidden by the same salt as the scores.
//! Nor before the round is over that comes after the newest one in it: the gains of that one are what validators attest
//! then to show that they measured. What the store did not take is tried again with the next block. Who has lost its
//! file reveals its scores all the same, and can serve nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use cairn_primitives::{EpochIndex, Netuid, Round, Served, H256};
use cairn_round::{
    hidden_row::{revealed, HiddenRow, Scoring},
    scoring::EvidenceFile,
};
use cairn_store::{paths, Store, StoreError};

use super::Outcome;
use crate::{
    metrics::Failed,
    roles::{
        driver::{Desk, Ended, Jobs},
        setup::locked,
        state::StateError,
    },
};

/// Epochs of which a store keeps files: those of the scores that count, and of some before them.
pub(crate) const KEPT_EPOCHS: EpochIndex = 8;

/// The files of this validator.
pub(super) struct Drawer {
    directory: PathBuf,
    /// Of which rows the file is not known to be in the store, though they are revealed; and the newest round in it.
    due: BTreeMap<(EpochIndex, H256), Round>,
    /// The current round.
    round: Round,
    /// Which are there, or on their way.
    given: Arc<Mutex<BTreeSet<H256>>>,
}

impl Drawer {
    /// Below a worker's state directory.
    pub fn beside(state: &Path) -> Drawer {
        Drawer {
            directory: state.join("evidence"),
            due: BTreeMap::new(),
            round: 0,
            given: Arc::default(),
        }
    }

    /// Where the files lie.
    pub fn directory(&self) -> PathBuf {
        self.directory.clone()
    }

    /// Takes note of what the chain has seen revealed by this round.
    pub fn note(&mut self, kept: &[HiddenRow], voting: &Scoring, round: Round) {
        self.round = round;
        let out = revealed(kept, &voting.commits).filter(|row| row.evidence.length > 0);
        let given = locked(&self.given);
        let out = out.filter(|row| !given.contains(&row.evidence.root));
        self.due
            .extend(out.map(|row| ((row.epoch, row.evidence.root), row.round)));
    }

    /// Takes out what is due and may be had by now.
    fn ready(&mut self) -> Vec<(EpochIndex, H256)> {
        let now = self.round;
        let due = std::mem::take(&mut self.due).into_iter();
        let (ready, early): (BTreeMap<_, _>, BTreeMap<_, _>) =
            due.partition(|(_, newest)| newest.saturating_add(1) < now);
        self.due = early;
        ready.into_keys().collect()
    }

    /// Puts into the store what is due.
    pub fn tend<C: Clone + Send + Sync + 'static>(
        &mut self,
        desk: &Desk<C>,
        jobs: &mut Jobs<Outcome>,
    ) {
        for (epoch, root) in self.ready() {
            if !locked(&self.given).insert(root) {
                continue;
            }
            let (desk, given) = (desk.clone(), self.given.clone());
            let file = place(&self.directory, root);
            jobs.spawn(async move {
                let (store, netuid) = (&desk.run.store, desk.run.netuid);
                match publish(store, netuid, (epoch, root), &file).await {
                    Ok(()) => tracing::info!("the evidence of epoch {epoch} is served"),
                    Err(Unserved::Lost(why)) => {
                        tracing::warn!("the evidence of epoch {epoch} cannot be served: {why}");
                        desk.metrics().failed(Failed::Publish);
                    }
                    Err(Unserved::Later(why)) => {
                        tracing::warn!("the evidence of epoch {epoch} is not served yet: {why}");
                        desk.metrics().failed(Failed::Publish);
                        // The next look finds it due again.
                        locked(&given).remove(&root);
                    }
                }
                Ok(Ended::Nothing)
            });
        }
    }
}

/// Why a file is not in the store.
#[derive(Debug)]
enum Unserved {
    /// The file is not there as it was hidden: it would be in vain to try again.
    Lost(String),
    /// The store did not take it.
    Later(StoreError),
}

/// Puts a file into the store, and removes those of epochs long before.
async fn publish(
    store: &Store,
    netuid: Netuid,
    (epoch, root): (EpochIndex, H256),
    file: &Path,
) -> Result<(), Unserved> {
    let prefix = paths::evidence(netuid.get(), epoch);
    match store.publish(&prefix, file).await {
        Ok(found) if found == root.0 => {}
        Ok(_) => return Err(Unserved::Lost(format!("{} is damaged", file.display()))),
        Err(error @ StoreError::Unreadable { .. }) => {
            return Err(Unserved::Lost(error.to_string()))
        }
        Err(error) => return Err(Unserved::Later(error)),
    }
    if let Err(error) = forget(store, netuid, epoch.saturating_sub(KEPT_EPOCHS)).await {
        tracing::debug!("old evidence stays: {error}");
    }
    Ok(())
}

/// Removes the files of epochs before this one.
async fn forget(store: &Store, netuid: Netuid, oldest: EpochIndex) -> Result<(), StoreError> {
    for entry in store.list(&paths::all_evidence(netuid.get())).await? {
        let epoch = paths::epoch_of(netuid.get(), &entry.path);
        if epoch.is_some_and(|epoch| epoch < oldest) {
            store.delete(&entry.path).await?;
        }
    }
    Ok(())
}

fn place(directory: &Path, root: H256) -> PathBuf {
    directory.join(blake3::Hash::from(root.0).to_hex().as_str())
}

/// Writes a file where nobody else has it, and gives what is committed to. It is on the disk then.
///
/// # Errors
/// Those of the disk.
pub(super) fn hide(directory: &Path, file: &EvidenceFile) -> Result<Served, StateError> {
    let bytes = file.to_bytes();
    let root = H256(*blake3::hash(&bytes).as_bytes());
    let place = place(directory, root);
    // An earlier row can have the same file: it is whole at any instant.
    let part = directory.join("part");
    let written = fs::create_dir_all(directory).and_then(|()| {
        let mut file = File::create(&part)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&part, &place)?;
        File::open(directory)?.sync_all()
    });
    written.map_err(|source| StateError::Io {
        doing: "write",
        path: place,
        source,
    })?;
    Ok(Served {
        root,
        length: bytes.len() as u64,
    })
}

/// Removes the files of all rows but these: they cannot be revealed any more, or were long ago.
pub(super) fn tidy(directory: &Path, rows: &[HiddenRow]) -> io::Result<()> {
    let kept: BTreeSet<PathBuf> = rows
        .iter()
        .map(|row| place(directory, row.evidence.root))
        .collect();
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        // Beside a file on its way into the store lies its outboard.
        if !kept.contains(&path.with_extension("")) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::{Hotkey, Secret, Uid};
    use cairn_round::hidden_row::Committed;

    const NETUID: Netuid = Netuid(7);

    fn file(epoch: EpochIndex) -> EvidenceFile {
        EvidenceFile::new((NETUID, epoch, Hotkey(H256([1; 32]))), 3, &[], &[])
    }

    fn row(epoch: EpochIndex, evidence: Served) -> HiddenRow {
        let voter = (NETUID, Hotkey(H256([1; 32])));
        let salt = Secret::new([epoch as u8; 32]);
        HiddenRow::new(voter, 3, epoch, vec![(Uid(2), 9)], evidence, salt)
    }

    fn voting(row: &HiddenRow, revealed: bool) -> Scoring {
        Scoring {
            commit_reveal: true,
            epoch: row.epoch + 1,
            due: 100,
            rate_limit: 1,
            commits: vec![Committed {
                epoch: row.epoch,
                hash: row.hash,
                at: 4,
                revealed,
            }],
        }
    }

    #[test]
    fn a_file_is_due_once_its_row_is_revealed_and_not_before() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut drawer = Drawer::beside(directory.path());
        let served = hide(&drawer.directory(), &file(4)).expect("room");
        let rows = [row(4, served)];
        drawer.note(&rows, &voting(&rows[0], false), 5);
        assert!(drawer.ready().is_empty());
        // Its newest round is 3: what shows in round 4 that who attests has measured follows from it.
        drawer.note(&rows, &voting(&rows[0], true), 4);
        assert!(drawer.ready().is_empty());
        // The epoch in which it can be told that it is revealed may be over by then.
        drawer.note(&[], &voting(&rows[0], true), 5);
        assert_eq!(drawer.ready(), [(4, served.root)]);
        // Once it is on its way it is not due any more.
        locked(&drawer.given).insert(served.root);
        drawer.note(&rows, &voting(&rows[0], true), 5);
        assert!(drawer.ready().is_empty());
    }

    #[test]
    fn files_of_rows_that_can_still_matter_stay() {
        let directory = tempfile::tempdir().expect("a directory");
        let drawer = Drawer::beside(directory.path()).directory();
        tidy(&drawer, &[]).expect("there is nothing");
        let served = [4, 5, 6].map(|epoch| hide(&drawer, &file(epoch)).expect("room"));
        let outboards = served.map(|one| place(&drawer, one.root).with_extension("outboard"));
        for outboard in &outboards {
            fs::write(outboard, b"hashes").expect("room");
        }
        tidy(&drawer, &[row(5, served[1]), row(6, served[2])]).expect("room");
        let is_there = served.map(|one| place(&drawer, one.root).is_file());
        assert_eq!(is_there, [false, true, true]);
        assert_eq!(outboards.map(|path| path.is_file()), is_there);
    }

    #[tokio::test]
    async fn what_is_served_is_what_was_hidden_and_old_epochs_go() {
        let directory = tempfile::tempdir().expect("a directory");
        let drawer = Drawer::beside(directory.path()).directory();
        let store = Store::create_in(&directory.path().join("store")).expect("room");
        let (old, new) = (2, 2 + KEPT_EPOCHS + 1);
        let mut served = Vec::new();
        for epoch in [old, new] {
            let one = hide(&drawer, &file(epoch)).expect("room");
            let hidden = place(&drawer, one.root);
            let published = publish(&store, NETUID, (epoch, one.root), &hidden).await;
            published.expect("room");
            served.push((paths::evidence(NETUID.get(), epoch), one));
        }
        let get = |(prefix, one): (String, Served)| {
            let store = store.clone();
            async move { store.get_blob(&prefix, &one.root.0, one.length).await }
        };
        let newest = get(served.pop().expect("two")).await.expect("served");
        assert_eq!(EvidenceFile::from_bytes(&newest), Ok(file(new)));
        let gone = get(served.pop().expect("two")).await;
        assert!(matches!(gone, Err(StoreError::NotFound { .. })), "{gone:?}");
        // What was changed on the disk is not served as what was committed to.
        let one = hide(&drawer, &file(3)).expect("room");
        let hidden = place(&drawer, one.root);
        fs::write(&hidden, b"other").expect("room");
        let published = publish(&store, NETUID, (3, one.root), &hidden).await;
        assert!(matches!(&published, Err(Unserved::Lost(why)) if why.contains("damaged")));
        // Nor is there anything to serve where it is gone.
        fs::remove_file(&hidden).expect("there");
        let published = publish(&store, NETUID, (3, one.root), &hidden).await;
        assert!(matches!(published, Err(Unserved::Lost(_))));
    }
}
