//! What a source can do wrong.

use std::time::Duration;

/// Why a source did not bring what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It does not have the file.
    #[error("it does not have {path}")]
    Absent {
        /// The file.
        path: String,
    },
    /// It sent other bytes than the root names.
    #[error("it sent wrong bytes for {path}, in the 16 KiB at byte {at}")]
    Lied {
        /// The file.
        path: String,
        /// Where the group begins in the file.
        at: u64,
    },
    /// Its file has another length.
    #[error("its {path} has {found} bytes instead of {expected}")]
    WrongLength {
        /// The file.
        path: String,
        /// Bytes that it says there are.
        found: u64,
        /// Bytes that there should be.
        expected: u64,
    },
    /// It did not bring a group in time.
    #[error("it brought nothing whole in {} s", .deadline.as_secs_f32())]
    Stalled {
        /// How long it was given.
        deadline: Duration,
    },
    /// Its answer ended too early.
    #[error("its answer ended at byte {at}")]
    Cut {
        /// The next byte that was wanted.
        at: u64,
    },
    /// It does not answer requests for a part of a file.
    #[error("it does not serve parts of files: a server for it must know ranges")]
    NoRanges,
    /// It does not let this reader in.
    #[error("it does not let this reader in: check the credentials, or ask its owner to make it readable")]
    Refused,
    /// Its address is not one that a chain may send us to.
    #[error("{why}")]
    Forbidden {
        /// Which address, and why.
        why: String,
    },
    /// Anything else.
    #[error("{why}")]
    Failed {
        /// What was said.
        why: String,
    },
}

impl Fault {
    /// Whether asking again is of no use.
    pub fn is_final(&self) -> bool {
        !matches!(
            self,
            Fault::Stalled { .. } | Fault::Cut { .. } | Fault::Failed { .. }
        )
    }
}
