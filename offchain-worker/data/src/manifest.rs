//! What a data set consists of.

use cairn_primitives::H256;
use serde::{Deserialize, Serialize};

use crate::{
    relays::check_relays,
    root::{check_root, root},
    shard::{file_length, Shard, TokenWidth},
    DataError,
};

/// Version of the format.
const VERSION: u32 = 1;
/// The largest manifest that is read, in bytes: room for some 40,000 shards.
pub const MAX_MANIFEST_BYTES: usize = 4 << 20;

/// The list of a data set's shards: a JSON file in one canonical form, so that one content has one root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the format, 1.
    version: u32,
    /// What the data set is called, where it is from, what its licence is: for people.
    pub description: String,
    /// Number of tokens in the vocabulary; every token is below it.
    pub vocabulary: u32,
    /// Bytes per token in the shards, 2 or 4.
    pub token_bytes: u32,
    /// BLAKE3 of the tokenizer's file.
    pub tokenizer: H256,
    /// URLs of the relays by which the run's peers reach each other, at most [`crate::MAX_RELAYS`]; not in the file if
    /// there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relays: Vec<String>,
    /// Shards to train on, in the order of their tokens.
    pub train: Vec<ShardInfo>,
    /// Shards that nobody trains on.
    pub heldout: Vec<ShardInfo>,
    /// The shard that miners do not have, and no store: [`crate::UnseenText`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<ShardInfo>,
}

/// A shard as its manifest knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardInfo {
    /// BLAKE3 of the file.
    pub root: H256,
    /// Number of tokens in it.
    pub tokens: u64,
}

/// The version alone, to tell an unknown version from an unreadable file.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Manifest {
    /// A manifest without shards, for the narrowest tokens that hold the vocabulary.
    pub fn new(description: &str, vocabulary: u32, tokenizer: H256) -> Manifest {
        Manifest {
            version: VERSION,
            description: description.into(),
            vocabulary,
            token_bytes: TokenWidth::of(vocabulary).bytes(),
            tokenizer,
            relays: Vec::new(),
            train: Vec::new(),
            heldout: Vec::new(),
            unseen: None,
        }
    }

    /// The file's bytes: pretty-printed JSON with fields in the order above, and a newline at the end.
    ///
    /// # Errors
    ///
    /// [`DataError`] if such a file would not be read again: too large, an impossible vocabulary, an empty shard, a
    /// relay that is none.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DataError> {
        self.check()?;
        let mut bytes = serde_json::to_vec_pretty(self).map_err(form)?;
        bytes.push(b'\n');
        check_size(&bytes)?;
        Ok(bytes)
    }

    /// Reads the file, in the form that [`Manifest::to_bytes`] gives it and no other.
    ///
    /// # Errors
    ///
    /// [`DataError`] says what is wrong with it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Manifest, DataError> {
        check_size(bytes)?;
        let Versioned { version } = serde_json::from_slice(bytes).map_err(form)?;
        if version != VERSION {
            let found = version;
            return Err(DataError::Version {
                what: "manifest",
                expected: VERSION,
                found,
            });
        }
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(form)?;
        if manifest.to_bytes()? != bytes {
            return Err(DataError::ManifestNotCanonical);
        }
        Ok(manifest)
    }

    /// Reads the file after checking that it is the one of that root.
    ///
    /// # Errors
    ///
    /// [`DataError::Root`] if it is not; else as [`Manifest::from_bytes`].
    pub fn from_verified(bytes: &[u8], root: H256) -> Result<Manifest, DataError> {
        check_size(bytes)?;
        check_root("manifest", root, bytes)?;
        Manifest::from_bytes(bytes)
    }

    /// BLAKE3 of the file, which goes into the run's configuration.
    ///
    /// # Errors
    ///
    /// As [`Manifest::to_bytes`].
    pub fn root(&self) -> Result<H256, DataError> {
        Ok(root(&self.to_bytes()?))
    }

    /// All shards that a store has: those to train on, then those held out.
    pub fn shards(&self) -> impl Iterator<Item = &ShardInfo> {
        self.train.iter().chain(&self.heldout)
    }

    /// Length of a shard's file in bytes, which bounds what has to be fetched.
    pub fn file_length(&self, shard: &ShardInfo) -> u64 {
        file_length(
            TokenWidth::from_bytes(self.token_bytes).unwrap_or(TokenWidth::Four),
            shard.tokens,
        )
    }

    /// Reads the file of a shard after checking its root, its size and each of its tokens.
    pub(super) fn read(&self, info: &ShardInfo, bytes: &[u8]) -> Result<Vec<u32>, DataError> {
        check_root("shard", info.root, bytes)?;
        let shard = Shard::from_bytes(bytes)?;
        let (found, found_bytes) = (shard.tokens.len() as u64, shard.width.bytes());
        let (expected, expected_bytes) = (info.tokens, self.token_bytes);
        if (found, found_bytes) != (expected, expected_bytes) {
            let root = info.root;
            return Err(DataError::Mismatch {
                root,
                expected,
                expected_bytes,
                found,
                found_bytes,
            });
        }
        let outside = shard
            .tokens
            .iter()
            .position(|token| *token >= self.vocabulary);
        if let Some((position, token)) = outside.and_then(|at| Some((at, *shard.tokens.get(at)?))) {
            let largest = self.vocabulary.saturating_sub(1);
            return Err(DataError::Token {
                token,
                position: position as u64,
                largest,
            });
        }
        Ok(shard.tokens)
    }

    fn check(&self) -> Result<(), DataError> {
        let (vocabulary, bytes) = (self.vocabulary, self.token_bytes);
        let largest = TokenWidth::from_bytes(bytes)?.largest();
        if vocabulary == 0 || vocabulary.saturating_sub(1) > largest {
            return Err(DataError::Vocabulary { vocabulary, bytes });
        }
        check_relays(&self.relays)?;
        let mut all = self.shards().chain(&self.unseen);
        if let Some(ShardInfo { root, .. }) = all.find(|shard| shard.tokens == 0) {
            return Err(DataError::Empty { root: *root });
        }
        let unseen = self.unseen.map(|unseen| unseen.root);
        match unseen.filter(|root| self.shards().any(|shard| shard.root == *root)) {
            Some(root) => Err(DataError::Seen { root }),
            None => Ok(()),
        }
    }
}

impl ShardInfo {
    /// What a manifest says of a shard's file.
    ///
    /// # Errors
    ///
    /// [`DataError`] if the bytes are not a shard.
    pub fn of(bytes: &[u8]) -> Result<ShardInfo, DataError> {
        let tokens = Shard::from_bytes(bytes)?.tokens.len() as u64;
        Ok(ShardInfo {
            root: root(bytes),
            tokens,
        })
    }
}

fn check_size(bytes: &[u8]) -> Result<(), DataError> {
    let found = bytes.len();
    if found > MAX_MANIFEST_BYTES {
        return Err(DataError::ManifestSize { found });
    }
    Ok(())
}

fn form(error: serde_json::Error) -> DataError {
    DataError::ManifestForm {
        reason: error.to_string(),
    }
}
