//! The head and its cross-entropy, some rows at a time, so that the logits of a whole batch never exist.

use rayon::prelude::*;

use crate::gemm::{parallel_product, Matrix, Start};
use crate::math::{exp_sum, max};

/// Rows whose logits exist at once: a multiple of the blocks in which the inner dimension of a product is summed,
/// so that the weight's gradient has the bits that one product over all rows would have.
pub const ROWS: usize = 512;

/// Where the gradients go.
pub struct Gradients<'a> {
    /// Of the rows that the head was given.
    pub rows: &'a mut [f32],
    /// Of its weight.
    pub weight: &'a mut [f32],
    /// Whether that of the weight is overwritten or added to.
    pub start: Start,
}

/// The head's weight, `[vocabulary, width]`, and the number of tokens in the mean: its gradient is wanted.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// `[vocabulary, width]`.
    pub weight: Matrix<'a>,
    /// Width of a row.
    pub width: usize,
    /// Size of the vocabulary.
    pub vocabulary: usize,
    /// Tokens over which the loss is averaged: those of the whole batch.
    pub tokens: usize,
}

impl Head<'_> {
    /// The cross-entropy of each row with its target, and the gradients of the mean if wanted.
    ///
    /// `logits` has room for [`ROWS`] rows of the vocabulary.
    pub fn cross_entropy(
        self,
        x: &[f32],
        targets: &[u32],
        logits: &mut [f32],
        losses: &mut [f32],
        mut gradients: Option<Gradients>,
    ) {
        let (width, vocabulary) = (self.width, self.vocabulary);
        let share = 1.0 / self.tokens as f32;
        let blocks = x
            .chunks(ROWS * width)
            .zip(targets.chunks(ROWS))
            .zip(losses.chunks_mut(ROWS));
        for (i, ((x, targets), losses)) in blocks.enumerate() {
            let x = Matrix::new(x, width);
            let logits = &mut logits[..targets.len() * vocabulary];
            parallel_product(x, self.weight.t(), logits, Start::Zero);
            let rows = logits
                .par_chunks_exact_mut(vocabulary)
                .zip(targets)
                .zip(losses);
            rows.with_min_len(8).for_each(|((logits, target), loss)| {
                *loss = row(logits, *target as usize, share);
            });
            if let Some(gradients) = &mut gradients {
                let from = i * ROWS * width;
                let rows = &mut gradients.rows[from..from + targets.len() * width];
                let dlogits = Matrix::new(logits, vocabulary);
                parallel_product(dlogits, self.weight, rows, Start::Zero);
                let start = if i == 0 {
                    gradients.start
                } else {
                    Start::Present
                };
                parallel_product(dlogits.t(), x, gradients.weight, start);
            }
        }
    }
}

wide! {
    /// Returns the cross-entropy and replaces the logits by `share` of its gradient.
    fn row(logits: &mut [f32], target: usize, share: f32) -> f32 {
        let max = max(logits);
        let above = logits[target] - max;
        let sum = exp_sum(logits, max, 1.0);
        let rate = share / sum;
        for x in logits.iter_mut() {
            *x *= rate;
        }
        logits[target] -= share;
        libm::logf(sum) - above
    }
}
