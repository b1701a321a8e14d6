//! Why the files of a data set cannot be used.

use cairn_primitives::H256;

use crate::{MAX_MANIFEST_BYTES, MAX_RELAYS};

/// Why the files of a data set cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// The file is another one than its name says.
    #[error("{what} {root:?} is damaged: its bytes have the root {found:?}; fetch it again")]
    Root {
        /// What the file should be.
        what: &'static str,
        /// The root by which it was asked for.
        root: H256,
        /// The root it has.
        found: H256,
    },
    /// The manifest is too large to be read.
    #[error(
        "manifest of {found} bytes, the limit is {MAX_MANIFEST_BYTES}; use fewer and larger shards"
    )]
    ManifestSize {
        /// Bytes it has.
        found: usize,
    },
    /// The manifest does not have the form of one.
    #[error("manifest cannot be read: {reason}; prepare the data again")]
    ManifestForm {
        /// What is wrong, and where.
        reason: String,
    },
    /// The manifest is written otherwise than this program writes it.
    #[error("manifest is not in its canonical form; prepare the data again")]
    ManifestNotCanonical,
    /// Made by another version.
    #[error("{what} of version {found}, this program reads {expected}; use the version of `cairn` that made it")]
    Version {
        /// Manifest or shard.
        what: &'static str,
        /// The version that this program reads.
        expected: u32,
        /// The version it has.
        found: u32,
    },
    /// More relays than a run may have.
    #[error("{found} relays in a manifest, the limit is {MAX_RELAYS}; name fewer")]
    Relays {
        /// How many there are.
        found: usize,
    },
    /// A relay that is none, or is named twice.
    #[error("relay {number} of the manifest cannot be used: {why}; write https://HOST")]
    Relay {
        /// Which of them, from 1.
        number: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The vocabulary is empty or too large for the width of tokens.
    #[error("a vocabulary of {vocabulary} tokens does not fit tokens of {bytes} bytes; prepare the data again")]
    Vocabulary {
        /// Tokens in the vocabulary.
        vocabulary: u32,
        /// Bytes per token.
        bytes: u32,
    },
    /// Not a shard at all.
    #[error("not a shard of tokens: its first bytes are wrong; check the manifest")]
    Magic,
    /// A width that tokens cannot have.
    #[error("shard with {found} bytes per token, possible are 2 and 4; prepare the data again")]
    Width {
        /// The width it states.
        found: u32,
    },
    /// The shard is cut off or too long.
    #[error("shard of {found} bytes where its header asks for {expected}; fetch it again")]
    Length {
        /// Bytes that a shard with such a header has, or that a header has.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// The shard is another one than the manifest describes.
    #[error("shard {root:?} has {found} tokens of {found_bytes} bytes, its manifest says {expected} of {expected_bytes}; prepare the data again")]
    Mismatch {
        /// The shard.
        root: H256,
        /// Tokens by the manifest.
        expected: u64,
        /// Bytes per token by the manifest.
        expected_bytes: u32,
        /// Tokens it has.
        found: u64,
        /// Bytes per token it has.
        found_bytes: u32,
    },
    /// A token that the model does not know, or that does not fit its width.
    #[error("token {token} at {position} of a shard, the largest possible is {largest}; prepare the data with the run's tokenizer")]
    Token {
        /// The token.
        token: u32,
        /// Where in the shard.
        position: u64,
        /// The largest that could stand there.
        largest: u32,
    },
    /// The manifest lists a shard without a token.
    #[error("shard {root:?} has no tokens; prepare the data again")]
    Empty {
        /// The shard.
        root: H256,
    },
    /// What miners are not to have is a shard that all have.
    #[error("shard {root:?} is the one that miners do not have, and one that all have; prepare the data again with another text")]
    Seen {
        /// The shard.
        root: H256,
    },
    /// The manifest names no text that miners do not have.
    #[error("the manifest names no text that miners do not have; prepare the data again with one")]
    NoUnseen,
    /// A shard of the manifest was not given.
    #[error("shard {root:?} is missing; fetch it from the run's store")]
    Missing {
        /// The shard.
        root: H256,
    },
}
