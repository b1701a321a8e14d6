//! What can be wrong with a key or its file.

/// Why there is no key. No variant holds anything of a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A secret URI, phrase or seed that is none.
    #[error("{why}")]
    Invalid {
        /// What is wrong with it.
        why: &'static str,
    },
    /// More bytes than any key file has.
    #[error("a key file has at most {} KiB, and this has more: name a key file", crate::MAX_FILE / 1_024)]
    TooLong,
    /// It is no key file.
    #[error("this is no key file ({why}): give the JSON that polkadot.js exports, or a key file of Bittensor")]
    NotAKeyFile {
        /// What is missing or wrong.
        why: &'static str,
    },
    /// It is a key file of a kind that cannot be used here.
    #[error("{what} cannot be used here: {remedy}")]
    Unsupported {
        /// What it is.
        what: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// It asks for more work or memory than stock wallets do.
    #[error("the file asks for scrypt with N {n}, r {r}, p {p}, as no stock wallet does: do not trust it")]
    Cost {
        /// Memory and work.
        n: u32,
        /// Size of a block.
        r: u32,
        /// How often.
        p: u32,
    },
    /// There is a passphrase on it, and none was given.
    #[error("the key is encrypted: give its passphrase")]
    Encrypted,
    /// The passphrase does not open it.
    #[error("the passphrase is wrong, or the file is damaged: try again, or take the file from a backup")]
    WrongPassphrase,
    /// It states an address, a public key or another secret that does not belong to its key.
    #[error(
        "the file's {field} is not that of its key: it was changed by somebody, do not use it"
    )]
    Mismatch {
        /// Which field.
        field: &'static str,
    },
    /// A passphrase that must not be used for a new file.
    #[error("{why}")]
    BadPassphrase {
        /// What is wrong with it, and what would be better.
        why: &'static str,
    },
    /// There is not enough memory to make the key of a passphrase.
    #[error(
        "opening this file takes {mib} MiB of memory, and there is less: stop something else first"
    )]
    Memory {
        /// How much.
        mib: usize,
    },
    /// The system gave no random numbers.
    #[error("the system gives no random numbers: try again")]
    NoRandomness,
}
