//! The text that miners do not have.

use std::fmt;

use crate::{
    set::{window, windows},
    DataError, Manifest,
};

/// The text that a run's manifest names and only validators have: one shard, checked against the manifest.
///
/// It gives windows to measure on and nothing else. There is no way from here back to a file, so nothing that holds it
/// can serve it, and it is never shown.
pub struct UnseenText {
    tokens: Vec<u32>,
}

impl fmt::Debug for UnseenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnseenText").finish_non_exhaustive()
    }
}

impl UnseenText {
    /// Reads the shard's file.
    ///
    /// # Errors
    ///
    /// [`DataError::NoUnseen`] if the manifest names none, [`DataError::Root`] if the file is another one, and what
    /// else may be wrong with a shard.
    pub fn new(manifest: &Manifest, bytes: &[u8]) -> Result<UnseenText, DataError> {
        let info = manifest.unseen.ok_or(DataError::NoUnseen)?;
        let tokens = manifest.read(&info, bytes)?;
        Ok(UnseenText { tokens })
    }

    /// Number of whole windows of `sequence_length` tokens and the one after; 0 for a length of 0.
    pub fn windows(&self, sequence_length: u32) -> u64 {
        windows(self.tokens.len() as u64, sequence_length)
    }

    /// Window `index`: `sequence_length` + 1 tokens from token `index`·`sequence_length` on. `None` if there is no
    /// such window.
    pub fn window(&self, index: u64, sequence_length: u32) -> Option<&[u32]> {
        window(&self.tokens, index, sequence_length)
    }
}
