//! Bulk files: flat little-endian numbers in a directory of both sides.
//!
//! A file is made here, as long as it is to be, and read through the handle that it was made with: so a program can
//! neither put another file in its place nor, since nothing is mapped here, end this process by cutting it off.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{FileExt, PermissionsExt},
    path::{Path, PathBuf},
};

use cairn_engine::{EngineError, Outside};
use tempfile::TempDir;

use crate::ProcessError;

/// Parameters, either way.
pub const PARAMETERS: &str = "parameters.f32";
/// The first moment, either way.
pub const FIRST: &str = "first.f32";
/// The second moment, either way.
pub const SECOND: &str = "second.f32";
/// The tokens of a step.
pub const TOKENS: &str = "tokens.u32";
/// Where rank 0 comes to.
pub const SOCKET: &str = "socket";

/// Numbers that are converted at once.
const PIECE: usize = 1 << 16;

/// The directory, which is nobody else's to read and goes with this.
pub struct Bulk {
    directory: TempDir,
}

impl Bulk {
    /// In the system's temporary directory, or below another.
    pub fn new(below: Option<&Path>) -> io::Result<Bulk> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("cairn-engine-");
        builder.permissions(fs::Permissions::from_mode(0o700));
        let directory = match below {
            Some(below) => builder.tempdir_in(below)?,
            None => builder.tempdir()?,
        };
        Ok(Bulk { directory })
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where the socket is.
    pub fn socket(&self) -> PathBuf {
        self.directory().join(SOCKET)
    }

    /// Writes numbers for the program to read.
    pub fn write<T: Copy>(
        &self,
        name: &'static str,
        numbers: &[T],
        bytes: fn(T) -> [u8; 4],
    ) -> Result<(), ProcessError> {
        let write = || -> io::Result<()> {
            let mut file = self.make(name)?;
            let mut piece = Vec::with_capacity(4 * PIECE);
            for numbers in numbers.chunks(PIECE) {
                piece.clear();
                numbers
                    .iter()
                    .for_each(|number| piece.extend_from_slice(&bytes(*number)));
                file.write_all(&piece)?;
            }
            Ok(())
        };
        write().map_err(|error| ProcessError::Bulk { file: name, error })
    }

    /// Makes a file for the program to fill with so many numbers.
    pub fn to_fill(&self, name: &'static str, numbers: usize) -> Result<ToFill, ProcessError> {
        let numbers = numbers as u64;
        let make = || -> io::Result<File> {
            let file = self.make(name)?;
            file.set_len(numbers.saturating_mul(4))?;
            Ok(file)
        };
        let file = make().map_err(|error| ProcessError::Bulk { file: name, error })?;
        Ok(ToFill {
            name,
            file,
            numbers,
        })
    }

    /// A new file in place of the one of that name.
    fn make(&self, name: &str) -> io::Result<File> {
        let path = self.directory().join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = File::options();
        options.read(true).write(true).create_new(true).open(path)
    }

    /// Removes what takes memory or disk between rounds.
    pub fn clear(&self) {
        for name in [PARAMETERS, FIRST, SECOND, TOKENS] {
            // what is not there needs no removing
            let _ = fs::remove_file(self.directory().join(name));
        }
    }
}

/// A file that the program is to fill.
pub struct ToFill {
    name: &'static str,
    file: File,
    numbers: u64,
}

impl ToFill {
    /// What the program filled, which still has its length.
    pub fn filled(self) -> Result<Filled, ProcessError> {
        let (file, expected) = (self.name, self.numbers.saturating_mul(4));
        let found = match self.file.metadata() {
            Ok(about) => about.len(),
            Err(error) => return Err(ProcessError::Bulk { file, error }),
        };
        if found != expected {
            let what = format!("{found} bytes where {expected} were expected");
            let error = io::Error::new(io::ErrorKind::InvalidData, what);
            return Err(ProcessError::Bulk { file, error });
        }
        Ok(Filled(self))
    }
}

/// A file that the program filled. It is read where that is asked for, and is gone with this once its name is removed.
pub struct Filled(ToFill);

impl Outside for Filled {
    fn numbers(&self) -> u64 {
        self.0.numbers
    }

    fn read(&self, from: u64, bytes: &mut [u8]) -> Result<(), EngineError> {
        let read = self.0.file.read_exact_at(bytes, from.saturating_mul(4));
        let file = self.0.name;
        Ok(read.map_err(|error| ProcessError::Bulk { file, error })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_cut_off_once_it_was_filled_is_an_error() {
        let bulk = Bulk::new(None).unwrap();
        let to_fill = bulk.to_fill(FIRST, 16).unwrap();
        let path = bulk.directory().join(FIRST);
        fs::write(&path, [1u8; 64]).unwrap();
        let filled = to_fill.filled().unwrap();
        let mut room = [0u8; 8];
        filled.read(14, &mut room).unwrap();
        assert_eq!(room, [1; 8]);
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(60).unwrap();
        let error = filled.read(14, &mut room).unwrap_err();
        assert!(error.is_device_fault(), "{error}");
        assert!(error.to_string().contains(FIRST), "{error}");
    }
}
