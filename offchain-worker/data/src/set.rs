//! The tokens of a data set, and windows cut out of them.

use cairn_primitives::H256;

use crate::{DataError, Manifest, ShardInfo};

/// A data set in memory, every shard of it checked against the manifest.
#[derive(Clone, Debug)]
pub struct DataSet {
    vocabulary: u32,
    train: Vec<u32>,
    heldout: Vec<u32>,
}

impl DataSet {
    /// Puts the data set together from its shards' files, which `file` gives by their root.
    ///
    /// # Errors
    ///
    /// [`DataError::Missing`] if there is no file for a shard, [`DataError::Root`] if the file is another one,
    /// and what else may be wrong with a shard.
    pub fn new<Bytes: AsRef<[u8]>>(
        manifest: &Manifest,
        mut file: impl FnMut(H256) -> Option<Bytes>,
    ) -> Result<DataSet, DataError> {
        let mut stream = |shards: &[ShardInfo]| -> Result<Vec<u32>, DataError> {
            let mut tokens = Vec::new();
            for shard in shards {
                let root = shard.root;
                let bytes = file(root).ok_or(DataError::Missing { root })?;
                tokens.append(&mut manifest.read(shard, bytes.as_ref())?);
            }
            Ok(tokens)
        };
        let (train, heldout) = (stream(&manifest.train)?, stream(&manifest.heldout)?);
        Ok(DataSet {
            vocabulary: manifest.vocabulary,
            train,
            heldout,
        })
    }

    /// Number of tokens in the vocabulary.
    pub fn vocabulary(&self) -> u32 {
        self.vocabulary
    }

    /// Tokens to train on.
    pub fn train_tokens(&self) -> u64 {
        self.train.len() as u64
    }

    /// Tokens held out.
    pub fn heldout_tokens(&self) -> u64 {
        self.heldout.len() as u64
    }

    /// Number of whole training windows of `sequence_length` tokens and the one after; 0 for a length of 0.
    pub fn windows(&self, sequence_length: u32) -> u64 {
        windows(self.train_tokens(), sequence_length)
    }

    /// Training window `index`: `sequence_length` + 1 tokens from token `index`·`sequence_length` on. `None` if
    /// there is no such window.
    pub fn window(&self, index: u64, sequence_length: u32) -> Option<&[u32]> {
        window(&self.train, index, sequence_length)
    }

    /// Number of whole windows held out.
    pub fn heldout_windows(&self, sequence_length: u32) -> u64 {
        windows(self.heldout_tokens(), sequence_length)
    }

    /// Window `index` of the tokens held out, likewise.
    pub fn heldout_window(&self, index: u64, sequence_length: u32) -> Option<&[u32]> {
        window(&self.heldout, index, sequence_length)
    }
}

/// Number of whole windows of `length` tokens, and the one after, in a stream of `tokens`; 0 for a length of 0.
pub fn windows(tokens: u64, length: u32) -> u64 {
    tokens
        .saturating_sub(1)
        .checked_div(length.into())
        .unwrap_or(0)
}

/// Window `index` of a stream of tokens; `None` if there is no such window.
pub(super) fn window(tokens: &[u32], index: u64, length: u32) -> Option<&[u32]> {
    if index >= windows(tokens.len() as u64, length) {
        return None;
    }
    let start = usize::try_from(index.checked_mul(length.into())?).ok()?;
    let end = start.checked_add(length as usize)?.checked_add(1)?;
    tokens.get(start..end)
}
