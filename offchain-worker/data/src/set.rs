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

/// A data set that is put together shard by shard: beside its tokens the file of one shard is held.
#[derive(Clone, Debug)]
pub struct DataSetMaker<'a> {
    manifest: &'a Manifest,
    data: DataSet,
    /// Shards that were taken, of [`Manifest::shards`].
    taken: usize,
}

impl<'a> DataSetMaker<'a> {
    /// Of a manifest; no shard was taken yet.
    pub fn new(manifest: &'a Manifest) -> DataSetMaker<'a> {
        DataSetMaker {
            manifest,
            data: DataSet {
                vocabulary: manifest.vocabulary,
                train: Vec::new(),
                heldout: Vec::new(),
            },
            taken: 0,
        }
    }

    /// The shard that is to be taken next; none if all were.
    pub fn wanted(&self) -> Option<&'a ShardInfo> {
        self.manifest.shards().nth(self.taken)
    }

    /// Takes the file of the shard that is [wanted](DataSetMaker::wanted); nothing if none is.
    ///
    /// # Errors
    ///
    /// [`DataError::Root`] if the file is another one, and what else may be wrong with a shard.
    pub fn take(&mut self, file: &[u8]) -> Result<(), DataError> {
        let Some(shard) = self.wanted() else {
            return Ok(());
        };
        let mut tokens = self.manifest.read(shard, file)?;
        match self.taken < self.manifest.train.len() {
            true => self.data.train.append(&mut tokens),
            false => self.data.heldout.append(&mut tokens),
        }
        self.taken = self.taken.saturating_add(1);
        Ok(())
    }

    /// What came of all shards that were taken.
    pub fn finish(self) -> DataSet {
        self.data
    }
}

impl DataSet {
    /// Puts the data set together from its shards' files, which `file` gives by their root.
    ///
    /// # Errors
    ///
    /// [`DataError::Missing`] if there is no file for a shard, and those of [`DataSetMaker::take`].
    pub fn new<Bytes: AsRef<[u8]>>(
        manifest: &Manifest,
        mut file: impl FnMut(H256) -> Option<Bytes>,
    ) -> Result<DataSet, DataError> {
        let mut data = DataSetMaker::new(manifest);
        while let Some(shard) = data.wanted() {
            let root = shard.root;
            let bytes = file(root).ok_or(DataError::Missing { root })?;
            data.take(bytes.as_ref())?;
        }
        Ok(data.finish())
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
