//! Root-mean-square normalisation (Zhang and Sennrich 2019, arXiv 1910.07467): y = w · x / √(mean x² + ε).

use rayon::prelude::*;

use crate::math::{dot, dot3};

/// ε, as Llama has it.
const EPSILON: f32 = 1e-5;
/// Rows of which the weight's gradient is summed before the sums are added; part of the arithmetic.
pub const ROWS: usize = 32;

/// Normalises the rows of `x` into `y` and keeps 1/√(mean x² + ε) of each in `rates`.
pub fn forward(x: &[f32], weight: &[f32], y: &mut [f32], rates: &mut [f32]) {
    let block = ROWS * weight.len();
    let outputs = y.par_chunks_mut(block).zip(rates.par_chunks_mut(ROWS));
    outputs
        .zip(x.par_chunks(block))
        .for_each(|((y, rates), x)| rows(x, weight, y, rates));
}

/// Adds the gradient of `x` to `dx` and puts that of the weight into `dweight`.
///
/// `partial` holds a row of the width for each [`ROWS`] rows of `x`.
pub fn backward(
    dy: &[f32],
    x: &[f32],
    weight: &[f32],
    rates: &[f32],
    dx: &mut [f32],
    partial: &mut [f32],
    dweight: &mut [f32],
) {
    let width = weight.len();
    let block = ROWS * width;
    let outputs = dx.par_chunks_mut(block).zip(partial.par_chunks_mut(width));
    let inputs = dy
        .par_chunks(block)
        .zip(x.par_chunks(block))
        .zip(rates.par_chunks(ROWS));
    outputs
        .zip(inputs)
        .for_each(|((dx, partial), ((dy, x), rates))| {
            rows_backward(dy, x, weight, rates, dx, partial);
        });
    dweight.fill(0.0);
    for partial in partial.chunks_exact(width) {
        dweight
            .iter_mut()
            .zip(partial)
            .for_each(|(sum, part)| *sum += part);
    }
}

/// Rows of `partial` that [`backward`] needs.
pub fn partials(rows: usize) -> usize {
    rows.div_ceil(ROWS)
}

wide! {
    fn rows(x: &[f32], weight: &[f32], y: &mut [f32], rates: &mut [f32]) {
        let width = weight.len();
        for ((x, y), rate) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)).zip(rates) {
            *rate = 1.0 / (dot(x, x) / width as f32 + EPSILON).sqrt();
            for ((y, x), w) in y.iter_mut().zip(x).zip(weight) {
                *y = x * *rate * w;
            }
        }
    }
}

wide! {
    fn rows_backward(
        dy: &[f32],
        x: &[f32],
        weight: &[f32],
        rates: &[f32],
        dx: &mut [f32],
        partial: &mut [f32],
    ) {
        let width = weight.len();
        partial.fill(0.0);
        let rows = dy.chunks_exact(width).zip(x.chunks_exact(width)).zip(rates);
        for (((dy, x), rate), dx) in rows.zip(dx.chunks_exact_mut(width)) {
            let pull = rate * rate * rate * (dot3(dy, weight, x) / width as f32);
            let row = dy.iter().zip(x).zip(weight).zip(dx).zip(partial.iter_mut());
            for ((((dy, x), w), dx), partial) in row {
                *dx += rate * (w * dy) - pull * x;
                *partial += dy * (x * rate);
            }
        }
    }
}
