//! The gated feed-forward unit (Shazeer 2020, arXiv 2002.05202): silu(gate) · up, silu(x) = x/(1 + e⁻ˣ).
//!
//! Rows hold gate and up side by side, since one product makes both. The functions take some rows, in this
//! thread.

use crate::math::sigmoid;

wide! {
    /// Rows of 2·`width` in, rows of `width` out.
    pub fn forward(gate_up: &[f32], width: usize, hidden: &mut [f32]) {
        let rows = hidden.chunks_exact_mut(width).zip(gate_up.chunks_exact(2 * width));
        for (hidden, gate_up) in rows {
            let (gate, up) = gate_up.split_at(width);
            for ((h, g), u) in hidden.iter_mut().zip(gate).zip(up) {
                *h = *g * sigmoid(*g) * u;
            }
        }
    }
}

wide! {
    /// Replaces gate and up by their gradients, given that of the output, and computes the output again.
    pub fn backward(dhidden: &[f32], width: usize, gate_up: &mut [f32], hidden: &mut [f32]) {
        let outputs = gate_up.chunks_exact_mut(2 * width).zip(hidden.chunks_exact_mut(width));
        for (dhidden, (gate_up, hidden)) in dhidden.chunks_exact(width).zip(outputs) {
            let (gate, up) = gate_up.split_at_mut(width);
            for (((dh, h), g), u) in dhidden.iter().zip(hidden).zip(gate).zip(up) {
                let s = sigmoid(*g);
                let silu = *g * s;
                *h = silu * *u;
                let slope = s + silu * (1.0 - s);
                (*g, *u) = (dh * *u * slope, dh * silu);
            }
        }
    }
}
