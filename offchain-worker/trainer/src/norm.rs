//! Root-mean-square normalisation (Zhang and Sennrich 2019, arXiv 1910.07467): y = w · x / √(mean x² + ε).
//!
//! The functions take some rows, in this thread.

use crate::math::{dot, dot3};

/// ε, as Llama has it.
pub const EPSILON_F64: f64 = 1e-5;
const EPSILON: f32 = EPSILON_F64 as f32;
/// Rows of which the weight's gradient is summed before the sums are added; part of the arithmetic.
pub const ROWS: usize = 32;

wide! {
    /// Normalises the rows of `x` into `y` and keeps 1/√(mean x² + ε) of each in `rates`.
    pub fn forward(x: &[f32], weight: &[f32], y: &mut [f32], rates: &mut [f32]) {
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
    /// The same `y` from the rates that were kept.
    pub fn again(x: &[f32], weight: &[f32], rates: &[f32], y: &mut [f32]) {
        let width = weight.len();
        for ((x, y), rate) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)).zip(rates) {
            for ((y, x), w) in y.iter_mut().zip(x).zip(weight) {
                *y = x * *rate * w;
            }
        }
    }
}

/// What the backward pass is given.
pub struct Given<'a> {
    /// The gradient of the normalised rows.
    pub dy: &'a [f32],
    /// What was normalised.
    pub x: &'a [f32],
    /// The norm's weight.
    pub weight: &'a [f32],
    /// What [`forward`] kept.
    pub rates: &'a [f32],
    /// The gradient that comes to `x` past the norm, along the residual connection.
    pub past: &'a [f32],
}

wide! {
    /// Puts the gradient of `x` into `dx`, and for each [`ROWS`] rows the weight's into a row of `partial`.
    pub fn backward(g: &Given, dx: &mut [f32], partial: &mut [f32]) {
        let width = g.weight.len();
        let inputs = g.dy.chunks_exact(width).zip(g.x.chunks_exact(width)).zip(g.rates);
        let outputs = g.past.chunks_exact(width).zip(dx.chunks_exact_mut(width));
        for (i, (((dy, x), rate), (past, dx))) in inputs.zip(outputs).enumerate() {
            let partial = &mut partial[i / ROWS * width..][..width];
            if i % ROWS == 0 {
                partial.fill(0.0);
            }
            let pull = rate * rate * rate * (dot3(dy, g.weight, x) / width as f32);
            let row = dy.iter().zip(x).zip(g.weight).zip(past).zip(dx).zip(partial);
            for (((((dy, x), w), past), dx), partial) in row {
                *dx = past + (rate * (w * dy) - pull * x);
                *partial += dy * (x * rate);
            }
        }
    }
}

/// Adds the partial sums to the weight's gradient, in order.
pub fn add_partials(partial: &[f32], dweight: &mut [f32]) {
    for partial in partial.chunks_exact(dweight.len()) {
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
