//! Files of evidence: written beside the state when scores are chosen, and put into the store once these are revealed.
//!
//! Nobody may have a file before, since the scores follow from it. Its root is hidden by the same salt as the scores.
//! Nor before the round is over that comes after the newest one in it: the gains of that one are what validators attest
//! then to show that they measured. Until it is served a mark lies beside it, for its row may be forgotten by then: a
//! restart finds it due. What the store did not take is tried again with the next block. Who has lost its file reveals
//! its scores all the same, and can serve nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
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

/// The most files that wait for the store: one of each epoch that it keeps.
const MOST_DUE: usize = KEPT_EPOCHS as usize;
/// Extension of the mark beside a file whose row is revealed.
const REVEALED: &str = "revealed";

/// A file, by the epoch of its row and its root.
type Id = (EpochIndex, H256);

/// The files of this validator. Clones share what is known of them.
#[derive(Clone)]
pub(super) struct Drawer {
    directory: PathBuf,
    /// Of which rows the file is not known to be in the store, though they are revealed; and the newest round in it.
    due: Arc<Mutex<BTreeMap<Id, Round>>>,
    /// The current round.
    round: Round,
    /// Which are there, on their way, or lost.
    given: Arc<Mutex<BTreeSet<H256>>>,
}

impl Drawer {
    /// Below a worker's state directory. What is marked there is due.
    pub fn beside(state: &Path) -> Drawer {
        let directory = state.join("evidence");
        Drawer {
            due: Arc::new(Mutex::new(marked(&directory))),
            directory,
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
        let (mut due, given) = (locked(&self.due), locked(&self.given));
        for row in out.filter(|row| !given.contains(&row.evidence.root)) {
            let (epoch, root) = (row.epoch, row.evidence.root);
            if due.insert((epoch, root), row.round).is_some() {
                continue;
            }
            let mark = place(&self.directory, root).with_extension(REVEALED);
            if let Err(error) = File::create(mark) {
                tracing::warn!("a restart may lose the evidence of epoch {epoch}: {error}");
            }
        }
        while due.len() > MOST_DUE {
            due.pop_first();
        }
    }

    /// What is due, may be had by now and is not on its way. It is from then on.
    fn ready(&self) -> Vec<Id> {
        let (due, mut given) = (locked(&self.due), locked(&self.given));
        due.iter()
            .filter(|(_, newest)| newest.saturating_add(1) < self.round)
            .map(|(id, _)| *id)
            .filter(|(_, root)| given.insert(*root))
            .collect()
    }

    /// Puts into the store what is due.
    pub fn tend<C: Clone + Send + Sync + 'static>(&self, desk: &Desk<C>, jobs: &mut Jobs<Outcome>) {
        for id in self.ready() {
            let (desk, drawer, epoch) = (desk.clone(), self.clone(), id.0);
            jobs.spawn_beside(async move {
                match drawer.serve(&desk.run.store, desk.run.netuid, id).await {
                    Ok(()) => tracing::info!("the evidence of epoch {epoch} is served"),
                    Err(Unserved::Lost(why)) => {
                        tracing::warn!("the evidence of epoch {epoch} cannot be served: {why}");
                        desk.metrics().failed(Failed::Publish);
                    }
                    Err(Unserved::Later(why)) => {
                        tracing::warn!("the evidence of epoch {epoch} is not served yet: {why}");
                        desk.metrics().failed(Failed::Publish);
                    }
                }
                Ok(Ended::Nothing)
            });
        }
    }

    /// Puts one into the store. What that did not take stays due.
    async fn serve(&self, store: &Store, netuid: Netuid, id: Id) -> Result<(), Unserved> {
        let file = place(&self.directory, id.1);
        let served = publish(store, netuid, id, &file).await;
        if matches!(served, Err(Unserved::Later(_))) {
            locked(&self.given).remove(&id.1);
        } else {
            locked(&self.due).remove(&id);
        }
        served
    }

    /// Removes the files of all rows but these, if they are not due: they cannot be revealed any more, or are served.
    pub fn tidy(&self, rows: &[HiddenRow]) -> io::Result<()> {
        let due: Vec<H256> = locked(&self.due).keys().map(|(_, root)| *root).collect();
        let rows = rows.iter().map(|row| row.evidence.root);
        let kept: BTreeSet<PathBuf> = rows
            .chain(due)
            .map(|root| place(&self.directory, root))
            .collect();
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            // Beside a file lie its mark and, on its way into the store, its outboard.
            if !kept.contains(&path.with_extension("")) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// The files beside which there is a mark, and the newest round in each.
fn marked(directory: &Path) -> BTreeMap<Id, Round> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let marks = paths.filter(|path| path.extension() == Some(OsStr::new(REVEALED)));
    // Those that were served since the last row was hidden are there, too.
    marks
        .take(2 * MOST_DUE)
        .filter_map(|mark| {
            let path = mark.with_extension("");
            let bytes = fs::read(&path).ok()?;
            let Ok(file) = EvidenceFile::from_bytes(&bytes) else {
                tracing::warn!("{} is damaged: it cannot be served", path.display());
                return None;
            };
            Some(((file.epoch, root_of(&bytes)), file.round))
        })
        .collect()
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
    (epoch, root): Id,
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

fn root_of(bytes: &[u8]) -> H256 {
    H256(*blake3::hash(bytes).as_bytes())
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
    let root = root_of(&bytes);
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
        drawer.note(&rows, &voting(&rows[0], true), 5);
        assert!(drawer.ready().is_empty());
    }

    #[test]
    fn files_of_rows_that_can_still_matter_stay() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = Drawer::beside(directory.path());
        let drawer = files.directory();
        files.tidy(&[]).expect("there is nothing");
        let served = [4, 5, 6].map(|epoch| hide(&drawer, &file(epoch)).expect("room"));
        let outboards = served.map(|one| place(&drawer, one.root).with_extension("outboard"));
        for outboard in &outboards {
            fs::write(outboard, b"hashes").expect("room");
        }
        files
            .tidy(&[row(5, served[1]), row(6, served[2])])
            .expect("room");
        let is_there = served.map(|one| place(&drawer, one.root).is_file());
        assert_eq!(is_there, [false, true, true]);
        assert_eq!(outboards.map(|path| path.is_file()), is_there);
    }

    #[test]
    fn a_restart_loses_no_file_that_is_held_back() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut drawer = Drawer::beside(directory.path());
        let served = [4, 5].map(|epoch| hide(&drawer.directory(), &file(epoch)).expect("room"));
        let rows = [row(4, served[0]), row(5, served[1])];
        drawer.note(&rows, &voting(&rows[0], true), 4);
        // By now the first row is forgotten, and the second is not revealed.
        let mut drawer = Drawer::beside(directory.path());
        let (kept, voting) = (&rows[1..], voting(&rows[1], false));
        drawer.note(kept, &voting, 4);
        assert!(drawer.ready().is_empty());
        drawer.tidy(kept).expect("room");
        let mut drawer = Drawer::beside(directory.path());
        drawer.note(kept, &voting, 5);
        assert_eq!(drawer.ready(), [(4, served[0].root)]);
    }

    #[tokio::test]
    async fn what_the_store_did_not_take_is_tried_again_though_its_row_is_forgotten() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut drawer = Drawer::beside(directory.path());
        let served = hide(&drawer.directory(), &file(4)).expect("room");
        let (rows, id) = ([row(4, served)], (4, served.root));
        let voting = voting(&rows[0], true);
        drawer.note(&rows, &voting, 5);
        let at = directory.path().join("store");
        let store = Store::create_in(&at).expect("room");
        // A file lies where the store has a directory.
        let in_the_way = at.join("evidence");
        fs::write(&in_the_way, b"").expect("room");
        assert_eq!(drawer.ready(), [id]);
        let late = drawer.serve(&store, NETUID, id).await;
        assert!(matches!(late, Err(Unserved::Later(_))), "{late:?}");
        drawer.tidy(&[]).expect("room");
        drawer.note(&[], &voting, 5);
        assert_eq!(drawer.ready(), [id]);
        fs::remove_file(in_the_way).expect("there");
        drawer.serve(&store, NETUID, id).await.expect("room");
        // What is served is not due any more, nor needed here.
        drawer.note(&rows, &voting, 5);
        assert!(drawer.ready().is_empty());
        drawer.tidy(&[]).expect("room");
        let left = fs::read_dir(drawer.directory()).expect("there").count();
        assert_eq!(left, 0);
    }

    #[test]
    fn of_what_a_store_never_takes_the_newest_is_due() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut drawer = Drawer::beside(directory.path());
        let epochs = 1..=2 * KEPT_EPOCHS;
        for epoch in epochs.clone() {
            let served = Served {
                root: H256([epoch as u8; 32]),
                length: 1,
            };
            let rows = [row(epoch, served)];
            drawer.note(&rows, &voting(&rows[0], true), 5);
        }
        let due: Vec<EpochIndex> = drawer.ready().into_iter().map(|id| id.0).collect();
        assert_eq!(due, epochs.skip(MOST_DUE).collect::<Vec<_>>());
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
