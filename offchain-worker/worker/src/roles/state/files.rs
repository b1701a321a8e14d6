//! Pieces and the manifest on disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use cairn_engine::Shared;
use cairn_gradient::{read_vector, vector_hash};
use cairn_primitives::{BlockNumber, Hotkey, ModelRoot, Netuid, H256};
use nix::fcntl::{Flock, FlockArg};
use serde::{de::DeserializeOwned, Deserialize, Serialize};

/// Version of the manifest.
const VERSION: u32 = 3;
/// The manifest's name.
pub(super) const MANIFEST: &str = "manifest.json";
/// The lock's name.
pub const LOCK: &str = "lock";
/// Numbers that are turned into bytes at a time.
const PIECE: usize = 1 << 18;
/// The most bytes that a manifest can have.
pub(super) const MAX_MANIFEST: u64 = 1 << 20;

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The system refused something.
    #[error(
        "cannot {doing} {} ({source}): free disk space or make it accessible, then start again", .path.display()
    )]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else has it.
    #[error("the state directory {} is in use by another process: stop that one first, because two workers with one key conflict", .path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// It belongs to something else.
    #[error("the state directory {} belongs to another {what}: name another --state-dir, or leave it out to have one for each run", .path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// It was changed from outside, or the disk is failing.
    #[error("{} is damaged ({why}): remove the state directory to join afresh; only the round it was in is lost", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl StateError {
    /// The same, for another who has to know.
    pub(super) fn again(&self) -> StateError {
        match self {
            StateError::Io {
                doing,
                path,
                source,
            } => StateError::Io {
                doing,
                path: path.clone(),
                source: io::Error::new(source.kind(), source.to_string()),
            },
            StateError::InUse { path } => StateError::InUse { path: path.clone() },
            StateError::Foreign { path, what } => StateError::Foreign {
                path: path.clone(),
                what,
            },
            StateError::Damaged { path, why } => StateError::Damaged {
                path: path.clone(),
                why: why.clone(),
            },
        }
    }
}

/// Whose state it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Block 0 of the chain.
    pub genesis: H256,
    /// The subnet.
    pub netuid: Netuid,
    /// The block in which the run was started.
    pub started_at: BlockNumber,
    /// That block's hash, which tells chains apart that have the same genesis; zero in what older releases wrote.
    #[serde(default)]
    pub started_in: H256,
    /// The run's first parameters.
    pub initial_root: ModelRoot,
    /// The worker's public key.
    pub hotkey: Hotkey,
}

/// A file that holds a piece.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Piece {
    file: String,
    length: u64,
    root: H256,
}

/// What the manifest says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest<Meta> {
    version: u32,
    identity: Identity,
    generation: u64,
    pieces: BTreeMap<String, Piece>,
    meta: Meta,
}

/// What becomes of a piece.
#[derive(Clone, Debug)]
pub(super) enum New {
    /// It has this content.
    Bytes(Vec<u8>),
    /// It has these numbers, as little-endian bytes. They are not copied.
    Numbers(Shared),
    /// It is what the piece of this name was, which is gone then.
    Was(&'static str),
    /// It is what the piece of this name is, too.
    Is(&'static str),
    /// It is gone.
    Gone,
}

/// One change of the directory. A change of state is a list of these; it has happened when the rename has.
#[derive(Debug)]
enum Step {
    /// Write a whole file and see it onto the disk.
    Write(PathBuf, Vec<u8>),
    /// The same of numbers.
    WriteNumbers(PathBuf, Shared),
    /// Have the content of the first under the second name, too.
    Link(PathBuf, PathBuf),
    /// Put the first in place of the second.
    Rename(PathBuf, PathBuf),
    /// Remove a file that nothing names.
    Remove(PathBuf),
}

impl Step {
    fn run(&self) -> Result<(), StateError> {
        match self {
            Step::Write(path, bytes) => write(path, |file| file.write_all(bytes)),
            Step::WriteNumbers(path, vector) => {
                write(path, |file| write_numbers(file, vector.numbers()))
            }
            Step::Link(from, to) => link(from, to).map_err(failed("write", to)),
            Step::Rename(from, to) => {
                fs::rename(from, to).map_err(failed("replace", to))?;
                // The rename is on the disk when the directory is.
                let directory = to.parent().unwrap_or(Path::new("."));
                File::open(directory)
                    .and_then(|directory| directory.sync_all())
                    .map_err(failed("write", directory))
            }
            // A file that stays is removed by the next start.
            Step::Remove(path) => {
                let _ = fs::remove_file(path);
                Ok(())
            }
        }
    }
}

/// A state directory that this process has to itself.
pub(super) struct Files<Meta> {
    directory: PathBuf,
    identity: Identity,
    current: Option<Manifest<Meta>>,
    /// Of the newest change that was begun, even if that failed: no name is written twice.
    begun: u64,
    _lock: Flock<File>,
}

impl<Meta: Clone + Serialize + DeserializeOwned> Files<Meta> {
    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Opens the directory, making it if need be.
    pub fn open(directory: &Path, identity: Identity) -> Result<Files<Meta>, StateError> {
        fs::create_dir_all(directory).map_err(failed("make", directory))?;
        let lock = lock(directory)?;
        let current = read_manifest::<Meta>(directory)?;
        if let Some(manifest) = &current {
            check_identity(directory, &manifest.identity, &identity)?;
        }
        let files = Files {
            directory: directory.to_path_buf(),
            identity,
            begun: current.as_ref().map_or(0, |manifest| manifest.generation),
            current,
            _lock: lock,
        };
        files.sweep()?;
        Ok(files)
    }

    /// What the manifest says; `None` in a new directory.
    pub fn meta(&self) -> Option<&Meta> {
        self.current.as_ref().map(|manifest| &manifest.meta)
    }

    /// Whether there is a piece of that name.
    pub fn has(&self, name: &str) -> bool {
        let manifest = self.current.as_ref();
        manifest.is_some_and(|manifest| manifest.pieces.contains_key(name))
    }

    /// Reads a piece; `None` if there is none of that name.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        let Some((piece, path)) = self.piece(name) else {
            return Ok(None);
        };
        let bytes = fs::read(&path).map_err(failed("read", &path))?;
        if bytes.len() as u64 != piece.length || digest(&bytes) != piece.root {
            return Err(damaged(path));
        }
        Ok(Some(bytes))
    }

    /// Reads a piece that is numbers, some of them at a time: in memory they are once. `None` if there is none of that
    /// name.
    pub fn numbers(&self, name: &str) -> Result<Option<Vec<f32>>, StateError> {
        let Some((piece, path)) = self.piece(name) else {
            return Ok(None);
        };
        let file = File::open(&path).map_err(failed("read", &path))?;
        let length = file.metadata().map_err(failed("read", &path))?.len();
        if length != piece.length {
            return Err(damaged(path));
        }
        let (numbers, root) = read_vector(file, length).map_err(failed("read", &path))?;
        match root == piece.root {
            true => Ok(Some(numbers)),
            false => Err(damaged(path)),
        }
    }

    /// A piece, and where it lies.
    fn piece(&self, name: &str) -> Option<(&Piece, PathBuf)> {
        let piece = self.current.as_ref()?.pieces.get(name)?;
        Some((piece, self.directory.join(&piece.file)))
    }

    /// Changes pieces, keeps the others, and says `meta` of them, all at once.
    pub fn change(&mut self, pieces: Vec<(&str, New)>, meta: Meta) -> Result<(), StateError> {
        let (next, steps) = self.plan(pieces, meta)?;
        self.begun = next.generation;
        for step in &steps {
            step.run()?;
        }
        self.current = Some(next);
        Ok(())
    }

    fn plan(
        &self,
        pieces: Vec<(&str, New)>,
        meta: Meta,
    ) -> Result<(Manifest<Meta>, Vec<Step>), StateError> {
        let before = self.current.as_ref();
        let generation = self.begun.saturating_add(1);
        let mut next = Manifest {
            version: VERSION,
            identity: self.identity.clone(),
            generation,
            pieces: before
                .map(|manifest| manifest.pieces.clone())
                .unwrap_or_default(),
            meta,
        };
        let (mut steps, mut removals) = (Vec::new(), Vec::new());
        for (name, new) in pieces {
            let old = next.pieces.remove(name);
            removals.extend(old.map(|piece| Step::Remove(self.directory.join(piece.file))));
            let file = format!("{name}-{generation}.bin");
            let path = self.directory.join(&file);
            let piece = match new {
                New::Bytes(bytes) => {
                    let (length, root) = (bytes.len() as u64, digest(&bytes));
                    steps.push(Step::Write(path, bytes));
                    Some(Piece { file, length, root })
                }
                New::Numbers(vector) => {
                    let numbers = vector.numbers();
                    let (length, root) = (size_of_val(numbers) as u64, vector_hash(numbers));
                    steps.push(Step::WriteNumbers(path, vector));
                    Some(Piece { file, length, root })
                }
                New::Is(other) => next.pieces.get(other).cloned().map(|piece| {
                    steps.push(Step::Link(self.directory.join(&piece.file), path));
                    Piece { file, ..piece }
                }),
                New::Was(other) => next.pieces.remove(other),
                New::Gone => None,
            };
            if let Some(piece) = piece {
                next.pieces.insert(name.to_string(), piece);
            }
        }
        let path = self.directory.join(MANIFEST);
        let temporary = path.with_extension("new");
        let bytes = serde_json::to_vec_pretty(&next).map_err(|error| StateError::Io {
            doing: "describe",
            path: path.clone(),
            source: error.into(),
        })?;
        steps.push(Step::Write(temporary.clone(), bytes));
        steps.push(Step::Rename(temporary, path));
        steps.extend(removals);
        Ok((next, steps))
    }

    /// Removes pieces that a change left behind when it was cut off.
    fn sweep(&self) -> Result<(), StateError> {
        let named: BTreeSet<&str> = self
            .current
            .iter()
            .flat_map(|manifest| manifest.pieces.values())
            .map(|piece| piece.file.as_str())
            .collect();
        let entries = fs::read_dir(&self.directory).map_err(failed("read", &self.directory))?;
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if (name.ends_with(".bin") && !named.contains(&*name)) || name == "manifest.new" {
                Step::Remove(entry.path()).run()?;
            }
        }
        Ok(())
    }
}

/// A piece's file is another one.
fn damaged(path: PathBuf) -> StateError {
    let why = "its content is not what the manifest says".into();
    StateError::Damaged { path, why }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_path_buf();
    move |source| StateError::Io {
        doing,
        path,
        source,
    }
}

/// Writes a whole file and sees it onto the disk.
fn write(path: &Path, content: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), StateError> {
    let write = || {
        let mut file = fresh(path)?;
        content(&mut file)?;
        file.sync_all()
    };
    write().map_err(failed("write", path))
}

/// An empty file. What a change left there that was cut off may be another file's content, too: only the name goes.
fn fresh(path: &Path) -> io::Result<File> {
    let _ = fs::remove_file(path);
    File::options().write(true).create_new(true).open(path)
}

/// Writes numbers as little-endian bytes, a piece at a time.
pub(super) fn write_numbers(file: &mut File, numbers: &[f32]) -> io::Result<()> {
    let mut bytes = vec![[0u8; 4]; PIECE.min(numbers.len())];
    for piece in numbers.chunks(PIECE) {
        for (place, number) in bytes.iter_mut().zip(piece) {
            *place = number.to_le_bytes();
        }
        let filled = bytes.get(..piece.len()).unwrap_or_default();
        file.write_all(filled.as_flattened())?;
    }
    Ok(())
}

/// Gives a file that no longer changes another name, or copies it where files have one name only.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    let _ = fs::remove_file(to);
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    let mut copy = fresh(to)?;
    io::copy(&mut File::open(from)?, &mut copy)?;
    copy.sync_all()
}

/// BLAKE3, on all threads of rayon's pool.
fn digest(bytes: &[u8]) -> H256 {
    let mut hasher = blake3::Hasher::new();
    hasher.update_rayon(bytes);
    H256(*hasher.finalize().as_bytes())
}

fn lock(directory: &Path) -> Result<Flock<File>, StateError> {
    let path = directory.join(LOCK);
    let file = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .map_err(failed("open", &path))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| StateError::InUse {
        path: directory.to_path_buf(),
    })
}

fn read_manifest<Meta: DeserializeOwned>(
    directory: &Path,
) -> Result<Option<Manifest<Meta>>, StateError> {
    let path = directory.join(MANIFEST);
    let damaged = |why: String| StateError::Damaged {
        path: path.clone(),
        why,
    };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", &path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_MANIFEST)
        .read_to_end(&mut bytes)
        .map_err(failed("read", &path))?;
    let manifest: Manifest<Meta> =
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if manifest.version != VERSION {
        return Err(damaged(format!(
            "version {}, expected {VERSION}",
            manifest.version
        )));
    }
    // The names go into paths.
    let plain = |piece: &Piece| !piece.file.contains(['/', '\\']) && piece.file.ends_with(".bin");
    if !manifest.pieces.values().all(plain) {
        return Err(damaged("it names files elsewhere".into()));
    }
    Ok(Some(manifest))
}

fn check_identity(path: &Path, found: &Identity, expected: &Identity) -> Result<(), StateError> {
    let differs = [
        (found.genesis != expected.genesis, "chain"),
        (found.hotkey != expected.hotkey, "hotkey"),
        (found.netuid != expected.netuid, "subnet"),
        (
            (found.started_at, found.initial_root) != (expected.started_at, expected.initial_root),
            "run of this subnet",
        ),
        (
            !found.started_in.is_zero() && found.started_in != expected.started_in,
            "chain that had the same genesis",
        ),
    ];
    match differs.into_iter().find(|(differs, _)| *differs) {
        Some((_, what)) => Err(StateError::Foreign {
            path: path.to_path_buf(),
            what,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
