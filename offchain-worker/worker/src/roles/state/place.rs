//! Where state lies, and what lies there.
//!
//! Unless a person names a directory, each chain, subnet, run and hotkey has one of its own, so that a second run on a
//! subnet, or a new chain on the same machine, begins with nothing: `GENESIS/NETUID-BLOCK-HASH-HOTKEY`, with the block
//! in which the run was started. A development chain has the same genesis each time; that block it has not.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use cairn_chain::AccountId;
use cairn_primitives::{BlockNumber, Hotkey, Netuid, H256};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::files::{Identity, LOCK, MANIFEST, MAX_MANIFEST};

/// The most state directories that are listed.
const MAX_KEPT: usize = 10_000;

/// Where a worker keeps its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatePlace {
    /// In this directory, which a person named: for one run only.
    Named(PathBuf),
    /// In a directory of its own for each run, below this one.
    Under(PathBuf),
}

impl StatePlace {
    /// Below `~/.cairn/state`.
    pub fn default_directory() -> PathBuf {
        let home = std::env::var_os("HOME")
            .map(PathBuf::from)
            .unwrap_or_default();
        home.join(".cairn/state")
    }

    /// The directory of this state.
    pub fn of(&self, identity: &Identity) -> PathBuf {
        match self {
            StatePlace::Named(directory) => directory.clone(),
            StatePlace::Under(root) => root.join(short(&identity.genesis)).join(format!(
                "{}-{}-{}-{}",
                identity.netuid,
                identity.started_at,
                short(&identity.started_in),
                AccountId(*identity.hotkey.bytes())
            )),
        }
    }

    /// The block in which the last run was started of which there is state: on a chain with this genesis, on this subnet,
    /// of this hotkey.
    pub fn newest_run(
        &self,
        (genesis, netuid, hotkey): (H256, Netuid, Hotkey),
    ) -> Option<BlockNumber> {
        let places = match self {
            StatePlace::Named(directory) => vec![directory.clone()],
            StatePlace::Under(root) => directories(root),
        };
        // One for each chain, but for what older releases wrote.
        let all = places.into_iter().flat_map(|place| {
            let below = directories(&place);
            std::iter::once(place).chain(below)
        });
        let found = all.take(MAX_KEPT);
        let found = found.filter_map(|place| identity(&place.join(MANIFEST)));
        let own =
            found.filter(|it| (it.genesis, it.netuid, it.hotkey) == (genesis, netuid, hotkey));
        own.map(|identity| identity.started_at).max()
    }

    /// Whether the next run of the subnet has a directory, too.
    pub fn has_room_for_another_run(&self) -> bool {
        matches!(self, StatePlace::Under(_))
    }
}

fn short(hash: &impl AsRef<[u8]>) -> String {
    hex::encode(hash).chars().take(8).collect()
}

/// A state directory that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// The directory.
    pub path: PathBuf,
    /// Whose state it is; none if its manifest cannot be read.
    pub identity: Option<Identity>,
    /// Bytes of its files.
    pub bytes: u64,
    /// Whether a worker uses it now.
    pub in_use: bool,
}

/// The state directories below `root`, ascending by path. Nothing is changed.
pub fn kept(root: &Path) -> Vec<Kept> {
    let mut found = Vec::new();
    for directory in directories(root) {
        // Older releases had them one level up.
        match Kept::look(&directory) {
            Some(kept) => found.push(kept),
            None => found.extend(directories(&directory).iter().filter_map(|d| Kept::look(d))),
        }
        if found.len() >= MAX_KEPT {
            break;
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn directories(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    // A link may lead out of the place: it is nobody's state.
    let own = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    own.map(|entry| entry.path()).take(MAX_KEPT).collect()
}

impl Kept {
    /// The state in this directory; `None` if there is none.
    fn look(path: &Path) -> Option<Kept> {
        let manifest = path.join(MANIFEST);
        if !manifest.is_file() && !path.join(LOCK).is_file() {
            return None;
        }
        // Beside its pieces it has directories of files, such as traced states.
        let places = std::iter::once(path.to_path_buf()).chain(directories(path));
        let files = places.flat_map(|place| fs::read_dir(place).into_iter().flatten().flatten());
        let known = files.filter_map(|file| file.metadata().ok());
        let bytes = known.filter(fs::Metadata::is_file).fold(0, sum);
        Some(Kept {
            identity: identity(&manifest),
            bytes,
            in_use: in_use(path),
            path: path.to_path_buf(),
        })
    }

    /// Removes it, unless a worker uses it.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove(&self) -> std::io::Result<()> {
        if in_use(&self.path) {
            let why = "a worker uses it";
            return Err(std::io::Error::new(std::io::ErrorKind::ResourceBusy, why));
        }
        fs::remove_dir_all(&self.path)?;
        // The chain's directory goes with the last of its runs; one that is not empty stays.
        if let Some(parent) = self.path.parent() {
            let _ = fs::remove_dir(parent);
        }
        Ok(())
    }
}

fn sum(sum: u64, file: fs::Metadata) -> u64 {
    sum.saturating_add(file.len())
}

/// Whose state a manifest says that it is.
fn identity(manifest: &Path) -> Option<Identity> {
    #[derive(Deserialize)]
    struct Head {
        identity: Identity,
    }
    if fs::metadata(manifest).ok()?.len() > MAX_MANIFEST {
        return None;
    }
    let head: Head = serde_json::from_slice(&fs::read(manifest).ok()?).ok()?;
    Some(head.identity)
}

/// Whether somebody holds the lock.
fn in_use(path: &Path) -> bool {
    let Ok(file) = File::options().write(true).open(path.join(LOCK)) else {
        return false;
    };
    Flock::lock(file, FlockArg::LockExclusiveNonblock).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roles::state::{Change, StateDir};
    use cairn_primitives::ModelRoot;
    use cairn_round::Held;

    fn identity(genesis: u8, netuid: Netuid, started_at: u32, started_in: u8) -> Identity {
        Identity {
            genesis: H256([genesis; 32]),
            netuid,
            started_at,
            started_in: H256([started_in; 32]),
            initial_root: ModelRoot(H256([3; 32])),
            hotkey: Hotkey(H256([4; 32])),
        }
    }

    fn save(place: &StatePlace, identity: Identity) -> StateDir {
        let mut state = StateDir::open(&place.of(&identity), identity).expect("room");
        let held = Held {
            round: 1,
            root: ModelRoot::zero(),
        };
        let change = Change {
            held: Some(held),
            parameters: Some(vec![0.0].into()),
            ..Change::default()
        };
        state.save(&change).expect("room");
        state
    }

    #[test]
    fn each_chain_subnet_run_and_hotkey_has_a_directory_of_its_own() {
        let place = StatePlace::Under("/state".into());
        let mut other = identity(1, Netuid(1), 5, 2);
        other.hotkey = Hotkey(H256([9; 32]));
        let directories: std::collections::BTreeSet<PathBuf> = [
            identity(1, Netuid(1), 5, 2),
            // another chain, subnet, run, and a chain that began again with the same genesis
            identity(7, Netuid(1), 5, 2),
            identity(1, Netuid(2), 5, 2),
            identity(1, Netuid(1), 6, 2),
            identity(1, Netuid(1), 5, 7),
            other,
        ]
        .iter()
        .map(|identity| place.of(identity))
        .collect();
        assert_eq!(directories.len(), 6);
        let first = directories
            .iter()
            .next()
            .expect("six")
            .display()
            .to_string();
        assert!(
            first.starts_with("/state/01010101/1-5-02020202-5"),
            "{first}"
        );
        let named = StatePlace::Named("/mine".into());
        assert_eq!(named.of(&identity(1, Netuid(1), 5, 2)), Path::new("/mine"));
    }

    #[test]
    fn the_newest_run_is_that_of_the_same_chain_subnet_and_hotkey() {
        let root = tempfile::tempdir().expect("room");
        let under = StatePlace::Under(root.path().into());
        let own = (H256([1; 32]), Netuid(1), Hotkey(H256([4; 32])));
        assert_eq!(under.newest_run(own), None);
        let mut other = identity(1, Netuid(1), 99, 2);
        other.hotkey = Hotkey(H256([9; 32]));
        for identity in [
            identity(1, Netuid(1), 5, 2),
            identity(1, Netuid(1), 7, 3),
            identity(8, Netuid(1), 99, 2),
            identity(1, Netuid(2), 99, 2),
            other,
        ] {
            drop(save(&under, identity));
        }
        assert_eq!(under.newest_run(own), Some(7));
        // As older releases had it.
        let old = StatePlace::Named(root.path().join("1-4"));
        drop(save(&old, identity(1, Netuid(1), 8, 2)));
        assert_eq!(under.newest_run(own), Some(8));
        assert_eq!(old.newest_run(own), Some(8));
        assert_eq!(
            StatePlace::Named(root.path().join("none")).newest_run(own),
            None
        );
    }

    #[test]
    fn what_is_kept_is_listed_and_removed_unless_it_is_in_use() {
        let root = tempfile::tempdir().expect("room");
        assert_eq!(kept(&root.path().join("none")), []);
        let place = StatePlace::Under(root.path().into());
        let used = save(&place, identity(1, Netuid(1), 5, 2));
        let traces = StateDir::traces_in(used.directory());
        fs::create_dir(&traces).expect("room");
        fs::write(traces.join("4-1.bin"), [0; 100_000]).expect("room");
        drop(save(&place, identity(1, Netuid(1), 9, 2)));
        // As older releases had it.
        let old = StatePlace::Named(root.path().join("1-5Grw"));
        drop(save(&old, identity(1, Netuid(3), 9, 2)));
        fs::create_dir(root.path().join("somebody's")).expect("room");

        let found = kept(root.path());
        let netuids: Vec<_> = found
            .iter()
            .map(|kept| kept.identity.as_ref().map(|identity| identity.netuid))
            .collect();
        assert_eq!(netuids, [1, 1, 3].map(|netuid| Some(Netuid(netuid))));
        assert_eq!(
            found.iter().map(|k| k.in_use).collect::<Vec<_>>(),
            [true, false, false]
        );
        assert!(found.iter().all(|kept| kept.bytes > 4));
        assert!(found[0].bytes > 100_000 && found[1].bytes < 100_000);

        assert!(found[0].remove().is_err());
        found[1].remove().expect("nobody uses it");
        found[2].remove().expect("nobody uses it");
        assert_eq!(kept(root.path()).len(), 1);
        drop(used);
        kept(root.path())[0]
            .remove()
            .expect("nobody uses it any more");
        let left: Vec<_> = fs::read_dir(root.path())
            .expect("there")
            .flatten()
            .collect();
        assert_eq!(left.len(), 1, "what is no state stays, and nothing else");
    }
}
