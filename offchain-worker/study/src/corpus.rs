//! The corpus as windows of tokens.

use std::path::Path;

use cairn_data::{Corpus, Encoded, TextTokenizer};

use crate::Failed;

/// Predicted tokens of a window.
pub const LENGTH: usize = 128;
/// Share of the documents that nobody trains on.
const HELD_OUT: f64 = 0.05;
/// Windows on which the loss is measured in the end.
const MEASURED: usize = 512;

/// Tokens to train on, and tokens to measure with.
pub struct Text {
    training: Vec<u32>,
    held_out: Vec<u32>,
}

impl Text {
    /// Reads `sotu.txt.zst` and `tokenizer.json` of a directory.
    pub fn read(directory: &Path) -> Result<Text, Failed> {
        let corpus = Corpus::read(&directory.join("sotu.txt.zst"), HELD_OUT)?;
        let tokenizer = TextTokenizer::read(&directory.join("tokenizer.json"))?;
        let encoded = Encoded::of(&corpus, &tokenizer, |_| ())?;
        Ok(Text::of(encoded.train, encoded.heldout))
    }

    /// Text of tokens; a window of each at least.
    pub fn of(training: Vec<u32>, held_out: Vec<u32>) -> Text {
        Text { training, held_out }
    }

    /// The training window of a number; numbers wrap, and neighbours lie far apart.
    pub fn window(&self, number: usize) -> &[u32] {
        let count = (self.training.len() - 1) / LENGTH;
        // a prime that is no divisor of the count visits every window once in a pass
        let at = number.wrapping_mul(1_000_003) % count * LENGTH;
        &self.training[at..at + LENGTH + 1]
    }

    /// The windows on which the loss is measured, spread over the text held out.
    pub fn measured(&self) -> Vec<&[u32]> {
        let count = (self.held_out.len() - 1) / LENGTH;
        let step = (count / MEASURED).max(1);
        (0..count)
            .step_by(step)
            .take(MEASURED)
            .map(|window| &self.held_out[window * LENGTH..window * LENGTH + LENGTH + 1])
            .collect()
    }
}
