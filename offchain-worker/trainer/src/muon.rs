//! Muon (Jordan and others 2024, kellerjordan.github.io/posts/muon) on the matrices of the blocks, to the bit.
//!
//! Of a matrix with gradient G, clipped as all others are, momentum M and step X:
//!
//! 1. M ← μ·M + (1 − μ)·G, and X₀ = μ·M + (1 − μ)·G, which is Nesterov's;
//! 2. X₁ = X₀ · 1/(‖X₀‖ + 10⁻⁷), the norm in `f64` as that of a gradient;
//! 3. five times: S = X·Xᵀ (of a matrix with more rows than columns Xᵀ·X), P = b·S + c·S·S, X ← a·X + P·X (X·P),
//!    after which all singular values that were not tiny lie near one;
//! 4. W ← W·(1 − rate·decay) − rate·rms·√(the longer side)·X.
//!
//! Products follow the rule of the module `gemm`, everything else is separate multiplications and additions in `f32` on
//! each element; so neither threads nor vectors change a bit. An orthogonal matrix of full rank has elements whose
//! root mean square is one over the root of its longer side: step 4 makes it `rms`, about that of an AdamW step, so
//! that both live with one learning rate and one weight decay (Liu and others 2025, arXiv 2502.16982).

use std::ops::Range;

use cairn_primitives::{InnerOptimizer, Layout, Muon};
use rayon::prelude::*;

use crate::gemm::{parallel_product, parallel_square, Matrix, Start};
use crate::optimizer::{learning_rate, norm, AdamState, Update};

/// Iterations of step 3.
pub(crate) const ITERATIONS: usize = 5;
/// a, b and c: those of the method's author, whose iteration brings singular values between 0.7 and 1.2.
const A: f32 = 3.4445;
const B: f32 = -4.7750;
const C: f32 = 2.0315;
/// Added to the norm, so that a momentum of zero has a step of zero.
const TINY: f64 = 1e-7;
/// Elements per task.
const BLOCK: usize = 16_384;

/// A tensor in the flat vector.
pub(crate) struct Piece {
    range: Range<usize>,
    /// Elements of a row; none of a vector.
    columns: Option<usize>,
    is_of_a_block: bool,
}

/// The tensors of a layout.
pub(crate) fn pieces(layout: &Layout) -> Vec<Piece> {
    let piece = |(tensor, range): (&cairn_primitives::Tensor, Range<usize>)| Piece {
        range,
        columns: match tensor.shape[..] {
            [_, columns] => Some(columns as usize),
            _ => None,
        },
        is_of_a_block: tensor.is_of_a_block(),
    };
    layout.ranges().map(piece).collect()
}

/// Buffers for one matrix at a time; those of the largest stay.
#[derive(Default)]
pub(crate) struct Scratch {
    step: Vec<f32>,
    next: Vec<f32>,
    square: Vec<f32>,
    product: Vec<f32>,
    norm_blocks: Vec<f64>,
}

impl Scratch {
    /// Bytes that the buffers take.
    pub fn bytes(&self) -> usize {
        let all = [&self.step, &self.next, &self.square, &self.product];
        let numbers: usize = all.iter().map(|buffer| buffer.capacity()).sum();
        4 * numbers + 8 * self.norm_blocks.capacity()
    }
}

/// One step of all parameters: Muon's of the blocks' matrices, AdamW's of all others.
pub(crate) struct Both {
    adam: Update,
    momentum: f32,
    /// Learning rate times root mean square, to be multiplied by the root of a matrix's longer side.
    rate: f64,
}

impl Both {
    /// The step after `done` steps, for AdamW's `adam`.
    pub fn new(adam: Update, optimizer: &InnerOptimizer, muon: &Muon, done: u64) -> Both {
        Both {
            adam,
            momentum: muon.momentum.to_f32(),
            rate: learning_rate(optimizer, done) * muon.rms.to_f64(),
        }
    }

    /// Updates parameters and moments; of the second there are those of AdamW's tensors, without gaps.
    pub fn apply(
        &self,
        parameters: &mut [f32],
        state: &mut AdamState,
        gradient: &[f32],
        pieces: &[Piece],
        scratch: &mut Scratch,
    ) {
        let mut second = &mut state.v[..];
        for piece in pieces {
            let at = piece.range.clone();
            let parameters = &mut parameters[at.clone()];
            let (first, gradient) = (&mut state.m[at.clone()], &gradient[at]);
            match piece.columns {
                Some(columns) if piece.is_of_a_block => {
                    self.matrix(parameters, first, gradient, columns, scratch);
                }
                columns => {
                    let all = std::mem::take(&mut second);
                    let (own, rest) = all.split_at_mut(parameters.len());
                    let tensors = [(parameters.len(), columns.is_some())];
                    self.adam.apply(parameters, first, own, gradient, &tensors);
                    second = rest;
                }
            }
        }
    }

    fn matrix(
        &self,
        parameters: &mut [f32],
        momentum: &mut [f32],
        gradient: &[f32],
        columns: usize,
        scratch: &mut Scratch,
    ) {
        scratch.step.resize(gradient.len(), 0.0);
        let (decay, clip) = (self.momentum, self.adam.clip());
        let tasks = (
            scratch.step.par_chunks_mut(BLOCK),
            momentum.par_chunks_mut(BLOCK),
            gradient.par_chunks(BLOCK),
        );
        tasks
            .into_par_iter()
            .for_each(|(step, momentum, gradient)| nesterov(step, momentum, gradient, decay, clip));
        orthogonalise(columns, scratch);
        let longer = columns.max(gradient.len() / columns);
        let rate = (self.rate * (longer as f64).sqrt()) as f32;
        let tasks = (
            parameters.par_chunks_mut(BLOCK),
            scratch.step.par_chunks(BLOCK),
        );
        let kept = self.adam.kept();
        tasks
            .into_par_iter()
            .for_each(|(parameters, step)| descend(parameters, step, kept, rate));
    }
}

/// Steps 2 and 3 on the rows of `scratch.step`.
fn orthogonalise(columns: usize, scratch: &mut Scratch) {
    let Scratch {
        step,
        next,
        square,
        product,
        norm_blocks,
    } = scratch;
    let scale = (1.0 / (norm(step, norm_blocks) + TINY)) as f32;
    next.resize(step.len(), 0.0);
    scaled(step, scale, next);
    std::mem::swap(step, next);
    let rows = step.len() / columns;
    let side = rows.min(columns);
    square.resize(side * side, 0.0);
    product.resize(side * side, 0.0);
    for _ in 0..ITERATIONS {
        let x = Matrix::new(step, columns);
        parallel_square(if rows <= columns { x } else { x.t() }, square);
        parallel_square(Matrix::new(square, side), product);
        let tasks = (product.par_chunks_mut(BLOCK), square.par_chunks(BLOCK));
        tasks
            .into_par_iter()
            .for_each(|(product, square)| polynomial(product, square));
        scaled(step, A, next);
        let (x, p) = (Matrix::new(step, columns), Matrix::new(product, side));
        let (left, right) = if rows <= columns { (p, x) } else { (x, p) };
        parallel_product(left, right, next, Start::Present);
        std::mem::swap(step, next);
    }
}

/// `to` = `from` · `factor`.
fn scaled(from: &[f32], factor: f32, to: &mut [f32]) {
    let tasks = (to.par_chunks_mut(BLOCK), from.par_chunks(BLOCK));
    tasks
        .into_par_iter()
        .for_each(|(to, from)| multiply(to, from, factor));
}

wide! {
    fn nesterov(step: &mut [f32], momentum: &mut [f32], gradient: &[f32], decay: f32, clip: f32) {
        for ((x, m), g) in step.iter_mut().zip(momentum).zip(gradient) {
            let new = (1.0 - decay) * (g * clip);
            *m = decay * *m + new;
            *x = decay * *m + new;
        }
    }
}

wide! {
    fn multiply(to: &mut [f32], from: &[f32], factor: f32) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = from * factor;
        }
    }
}

wide! {
    /// b·S + c·S·S, of which `product` has S·S.
    fn polynomial(product: &mut [f32], square: &[f32]) {
        for (p, s) in product.iter_mut().zip(square) {
            *p = B * s + C * *p;
        }
    }
}

wide! {
    fn descend(parameters: &mut [f32], step: &[f32], kept: f32, rate: f32) {
        for (w, x) in parameters.iter_mut().zip(step) {
            *w = *w * kept - rate * x;
        }
    }
}

/// What step 3 makes of a matrix, for tests and studies: `rows` of `columns` elements in place, on the threads of the
/// current pool.
pub fn orthogonal(matrix: &mut Vec<f32>, columns: usize) {
    let mut scratch = Scratch {
        step: std::mem::take(matrix),
        ..Scratch::default()
    };
    orthogonalise(columns, &mut scratch);
    *matrix = scratch.step;
}
