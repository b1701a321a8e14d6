//! The head and its cross-entropy, some rows at a time, so that the logits of a whole batch never exist.

use rayon::prelude::*;

use crate::gemm::{parallel_product, Matrix, Start};
use crate::math::{exp_sum, max};

/// Rows whose logits exist at once. The inner dimension of a product is summed in blocks of as many, so the
/// weight's gradient has the bits that one product over all rows would have.
pub const ROWS: usize = 256;

/// Where the gradients go.
pub struct Gradients<'a> {
    /// Of the rows that the head was given.
    pub rows: &'a mut [f32],
    /// Of its weight, overwritten.
    pub weight: &'a mut [f32],
}

/// The cross-entropy of each row with its target, and the gradients of the mean over all rows if wanted.
///
/// `weight` is `[vocabulary, width]`; `logits` has room for [`ROWS`] rows of the vocabulary.
pub fn cross_entropy(
    x: &[f32],
    weight: Matrix,
    (width, vocabulary): (usize, usize),
    targets: &[u32],
    logits: &mut [f32],
    losses: &mut [f32],
    mut gradients: Option<Gradients>,
) {
    let share = 1.0 / targets.len() as f32;
    let blocks = x
        .chunks(ROWS * width)
        .zip(targets.chunks(ROWS))
        .zip(losses.chunks_mut(ROWS));
    for (i, ((x, targets), losses)) in blocks.enumerate() {
        let x = Matrix::new(x, width);
        let logits = &mut logits[..targets.len() * vocabulary];
        parallel_product(x, weight.t(), logits, Start::Zero);
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
            parallel_product(dlogits, weight, rows, Start::Zero);
            let start = if i == 0 { Start::Zero } else { Start::Present };
            parallel_product(dlogits.t(), x, gradients.weight, start);
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
