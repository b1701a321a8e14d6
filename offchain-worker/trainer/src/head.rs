//! The head and its cross-entropy, some rows at a time, so that the logits of a whole batch never exist.

use std::cell::Cell;

use rayon::prelude::*;

use crate::gemm::{is_packed_whole, parallel_product, share, Matrix, Right, Start};
use crate::math::{exp_sum, max, sum_of_exp};

/// Rows whose logits exist at once: a multiple of the blocks in which the inner dimension of a product is summed,
/// so that the weight's gradient has the bits that one product over all rows would have.
pub const ROWS: usize = 512;

thread_local! {
    /// The weight, packed for all rows of the pass that this thread deals out.
    static PACKED: Cell<Right> = const { Cell::new(Right::EMPTY) };
}

/// Where the gradients go.
pub struct Gradients<'a> {
    /// Of the rows that the head was given.
    pub rows: &'a mut [f32],
    /// Of its weight.
    pub weight: &'a mut [f32],
    /// Whether that of the weight is overwritten or added to.
    pub start: Start<'a>,
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
        gradients: Option<Gradients>,
    ) {
        if !is_packed_whole(self.width * self.vocabulary) {
            return self.in_blocks(None, x, targets, logits, losses, gradients);
        }
        let mut packed = PACKED.take();
        packed.pack(self.weight.t());
        self.in_blocks(Some(&packed), x, targets, logits, losses, gradients);
        PACKED.set(packed);
    }

    /// The same with the weight packed for all blocks of rows, or for each block anew.
    pub fn in_blocks(
        self,
        packed: Option<&Right>,
        x: &[f32],
        targets: &[u32],
        logits: &mut [f32],
        losses: &mut [f32],
        mut gradients: Option<Gradients>,
    ) {
        let (width, vocabulary) = (self.width, self.vocabulary);
        let after = gradients.as_ref().map(|_| 1.0 / self.tokens as f32);
        let blocks = x
            .chunks(ROWS * width)
            .zip(targets.chunks(ROWS))
            .zip(losses.chunks_mut(ROWS));
        for (i, ((x, targets), losses)) in blocks.enumerate() {
            let x = Matrix::new(x, width);
            let logits = &mut logits[..targets.len() * vocabulary];
            match packed {
                Some(packed) => packed_rows(packed, x, targets, logits, losses, after),
                None => {
                    parallel_product(x, self.weight.t(), logits, Start::Zero);
                    let rows = (logits.par_chunks_exact_mut(vocabulary), targets, losses);
                    rows.into_par_iter()
                        .with_min_len(8)
                        .for_each(|(logits, target, loss)| {
                            *loss = loss_of(logits, *target, after);
                        });
                }
            }
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

/// The cross-entropy of rows of `x`; a task takes some from their product to their losses, while they are in its cache.
fn packed_rows(
    packed: &Right,
    x: Matrix,
    targets: &[u32],
    logits: &mut [f32],
    losses: &mut [f32],
    after: Option<f32>,
) {
    let (rows, vocabulary) = (share(targets.len()), logits.len() / targets.len().max(1));
    let tasks = (
        logits.par_chunks_mut((rows * vocabulary).max(1)),
        targets.par_chunks(rows),
        losses.par_chunks_mut(rows),
    );
    let tasks = tasks.into_par_iter().with_max_len(1).enumerate();
    tasks.for_each(|(i, (logits, targets, losses))| {
        let x = x.rows(i * rows, targets.len());
        packed.product(x, logits, vocabulary, Start::Zero);
        let each = logits.chunks_exact_mut(vocabulary).zip(targets);
        for ((logits, target), loss) in each.zip(losses) {
            *loss = loss_of(logits, *target, after);
        }
    });
}

/// The cross-entropy of a row. If it is one of a mean whose gradient is wanted, of which it has this share, that takes
/// the place of the logits.
fn loss_of(logits: &mut [f32], target: u32, share: Option<f32>) -> f32 {
    match share {
        Some(share) => row(logits, target as usize, share),
        None => loss(logits, target as usize),
    }
}

wide! {
    /// The cross-entropy alone: the bits of [`row`].
    fn loss(logits: &[f32], target: usize) -> f32 {
        let max = max(logits);
        let above = logits[target] - max;
        libm::logf(sum_of_exp(logits, max, 1.0)) - above
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
