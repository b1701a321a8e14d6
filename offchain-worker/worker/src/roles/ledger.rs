//! Logs that only grow: one JSON value a line.
//!
//! `ledger.jsonl` has a line for each settled round: what this worker did in it and what came of it.
//! A validator's `evidence.jsonl` has what it measured; its scores are a pure function of that.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Seek, SeekFrom, Write},
    marker::PhantomData,
    path::{Path, PathBuf},
};

use cairn_primitives::{Balance, ModelRoot, Round};
use serde::{de::DeserializeOwned, Deserialize, Serialize};

use super::RoleError;

/// What a worker did in a round and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The round.
    pub round: Round,
    /// Contributions that it included.
    pub contributions: u16,
    /// Whether this worker had committed to a contribution, or had attested.
    pub committed: bool,
    /// Whether its contribution was included.
    pub included: bool,
    /// Its incentive in the last epoch before the round was settled, of 65,535: the network's score.
    pub incentive: u16,
    /// What it had earned by then, in pebble.
    #[serde(with = "cairn_primitives::api::pebble")]
    pub earned: Balance,
    /// Root of the parameters after the round.
    pub model_root: ModelRoot,
}

/// A log of `T`.
pub struct Log<T> {
    path: PathBuf,
    file: File,
    entries: PhantomData<T>,
}

impl<T: Serialize + DeserializeOwned> Log<T> {
    /// Opens a log, making it if need be, and hands each entry to `each`. A last line that was cut off by a
    /// crash is removed.
    ///
    /// # Errors
    /// [`RoleError::Log`].
    pub fn open(path: &Path, mut each: impl FnMut(T)) -> Result<Log<T>, RoleError> {
        let failed = |source| RoleError::Log {
            path: path.to_path_buf(),
            source,
        };
        let options = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .clone();
        let mut file = options.open(path).map_err(failed)?;
        let mut whole = 0u64;
        let mut reader = BufReader::new(&mut file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line).map_err(failed)?;
            let entry = line.strip_suffix(b"\n").map(serde_json::from_slice::<T>);
            match entry {
                Some(Ok(entry)) => each(entry),
                // A line of another release, or damaged: what follows is still good.
                Some(Err(error)) => {
                    tracing::warn!(
                        "{}: a line cannot be read ({error}); left out",
                        path.display()
                    );
                }
                None => break,
            }
            whole = whole.saturating_add(length as u64);
        }
        drop(reader);
        file.set_len(whole)
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .map_err(failed)?;
        Ok(Log {
            path: path.to_path_buf(),
            file,
            entries: PhantomData,
        })
    }

    /// Adds entries.
    ///
    /// # Errors
    /// [`RoleError::Log`].
    pub fn append<'a>(&mut self, entries: impl IntoIterator<Item = &'a T>) -> Result<(), RoleError>
    where
        T: 'a,
    {
        let path = self.path.clone();
        let failed = |source| RoleError::Log { path, source };
        let mut text = Vec::new();
        for entry in entries {
            if let Err(error) = serde_json::to_writer(&mut text, entry) {
                return Err(failed(io::Error::from(error)));
            }
            text.push(b'\n');
        }
        self.file.write_all(&text).map_err(failed)
    }
}

/// The ledger and its sums.
pub struct Ledger {
    log: Log<Line>,
    /// Rounds in which the worker committed, or attested.
    pub committed: u32,
    /// Rounds that included its contribution.
    pub included: u32,
}

impl Ledger {
    /// Opens the ledger. `last` is the line that belongs to the state on disk: if a crash kept it out, it is
    /// added now.
    ///
    /// # Errors
    /// [`RoleError::Log`].
    pub fn open(directory: &Path, last: Option<&Line>) -> Result<Ledger, RoleError> {
        let (mut committed, mut included, mut newest) = (0, 0, None);
        let log = Log::open(&directory.join("ledger.jsonl"), |line: Line| {
            committed += u32::from(line.committed);
            included += u32::from(line.included);
            newest = newest.max(Some(line.round));
        })?;
        let mut ledger = Ledger {
            log,
            committed,
            included,
        };
        match last {
            Some(line) if newest < Some(line.round) => ledger.append(line)?,
            _ => {}
        }
        Ok(ledger)
    }

    /// Adds a line.
    ///
    /// # Errors
    /// [`RoleError::Log`].
    pub fn append(&mut self, line: &Line) -> Result<(), RoleError> {
        self.committed += u32::from(line.committed);
        self.included += u32::from(line.included);
        self.log.append([line])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(round: Round, included: bool) -> Line {
        Line {
            round,
            contributions: 2,
            committed: true,
            included,
            incentive: 9,
            earned: u64::MAX,
            model_root: ModelRoot::from([1; 32]),
        }
    }

    fn read(path: &Path) -> Vec<Line> {
        let mut lines = Vec::new();
        Log::open(path, |line| lines.push(line)).expect("room");
        lines
    }

    #[test]
    fn a_line_that_was_cut_off_is_removed_and_the_log_goes_on() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ledger.jsonl");
        let mut log = Log::<Line>::open(&path, |_| {}).expect("room");
        log.append(&[line(0, true), line(1, false)]).expect("room");
        let whole = std::fs::read(&path).expect("there");
        std::fs::write(&path, &whole[..whole.len() - 9]).expect("room");
        let mut log = Log::<Line>::open(&path, |_| {}).expect("room");
        log.append([&line(2, true)]).expect("room");
        assert_eq!(read(&path), [line(0, true), line(2, true)]);
    }

    #[test]
    fn the_ledger_adds_up_and_makes_up_for_a_crash() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut ledger = Ledger::open(directory.path(), None).expect("room");
        ledger.append(&line(0, true)).expect("room");
        drop(ledger);
        // Round 1 was on disk, but its line was not written.
        let ledger = Ledger::open(directory.path(), Some(&line(1, false))).expect("room");
        assert_eq!((ledger.committed, ledger.included), (2, 1));
        drop(ledger);
        let ledger = Ledger::open(directory.path(), Some(&line(1, false))).expect("room");
        assert_eq!((ledger.committed, ledger.included), (2, 1));
    }
}
