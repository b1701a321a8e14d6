//! The file of finished cells: one line of JSON each.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

use crate::{cell::Cell, train::Finished};

/// The lines of a file, each of which is JSON.
///
/// # Errors
/// If it cannot be read, or a line is not what it should be.
pub fn lines<T: DeserializeOwned>(path: &Path) -> io::Result<Vec<T>> {
    let read = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| {
            let place = format!("{}, line {}: {error}", path.display(), number + 1);
            io::Error::new(io::ErrorKind::InvalidData, place)
        })
    };
    let text = fs::read_to_string(path)?;
    text.lines().enumerate().map(read).collect()
}

/// What has been computed.
pub struct Record {
    path: PathBuf,
    cells: Vec<Finished>,
}

impl Record {
    /// Reads a file of finished cells; one that is not there has none.
    ///
    /// # Errors
    /// If it cannot be read, or has a line that is no finished cell.
    pub fn open(path: &Path) -> io::Result<Record> {
        let cells = match lines(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            cells => cells?,
        };
        Ok(Record {
            path: path.to_owned(),
            cells,
        })
    }

    /// Whether a cell is finished.
    pub fn has(&self, cell: &Cell) -> bool {
        self.of(cell).is_some()
    }

    /// How a cell ended, if it did.
    pub fn of(&self, cell: &Cell) -> Option<&Finished> {
        let name = cell.name();
        self.cells.iter().find(|finished| finished.name == name)
    }

    /// All finished cells, in the order in which they ended.
    pub fn cells(&self) -> &[Finished] {
        &self.cells
    }

    /// Appends a finished cell.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&mut self, finished: Finished) -> io::Result<()> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let line = serde_json::to_string(&finished)?;
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)?;
        writeln!(file, "{line}")?;
        self.cells.push(finished);
        Ok(())
    }
}
