//! The gated feed-forward unit (Shazeer 2020, arXiv 2002.05202): silu(gate) · up, silu(x) = x/(1 + e⁻ˣ).
//!
//! Rows hold gate and up side by side, since one product makes both.

use rayon::prelude::*;

use crate::math::sigmoid;

/// Rows of 2·`width` in, rows of `width` out.
pub fn forward(gate_up: &[f32], width: usize, hidden: &mut [f32]) {
    let rows = hidden
        .par_chunks_exact_mut(width)
        .zip(gate_up.par_chunks_exact(2 * width));
    rows.with_min_len(8)
        .for_each(|(hidden, gate_up)| row(gate_up, hidden));
}

/// Replaces gate and up by their gradients, given that of the output.
pub fn backward(dhidden: &[f32], width: usize, gate_up: &mut [f32]) {
    let rows = gate_up
        .par_chunks_exact_mut(2 * width)
        .zip(dhidden.par_chunks_exact(width));
    rows.with_min_len(8)
        .for_each(|(gate_up, dhidden)| row_backward(dhidden, gate_up));
}

wide! {
    fn row(gate_up: &[f32], hidden: &mut [f32]) {
        let (gate, up) = gate_up.split_at(hidden.len());
        for ((h, g), u) in hidden.iter_mut().zip(gate).zip(up) {
            *h = *g * sigmoid(*g) * u;
        }
    }
}

wide! {
    fn row_backward(dhidden: &[f32], gate_up: &mut [f32]) {
        let (gate, up) = gate_up.split_at_mut(dhidden.len());
        for ((dh, g), u) in dhidden.iter().zip(gate).zip(up) {
            let s = sigmoid(*g);
            let silu = *g * s;
            let slope = s + silu * (1.0 - s);
            (*g, *u) = (dh * *u * slope, dh * silu);
        }
    }
}
