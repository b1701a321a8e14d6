//! The gated feed-forward unit (Shazeer 2020, arXiv 2002.05202): silu(gate) · up, silu(x) = x/(1 + e⁻ˣ).
//!
//! Rows hold gate and up side by side, since one product makes both. The functions take some rows, in this
//! thread.

use crate::math::{sigmoid, LANES};

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
            let (dh, rest) = dhidden.as_chunks::<LANES>();
            let (h, h_rest) = hidden.as_chunks_mut::<LANES>();
            let (g, g_rest) = gate.as_chunks_mut::<LANES>();
            let (u, u_rest) = up.as_chunks_mut::<LANES>();
            for (((dh, h), g), u) in dh.iter().zip(h).zip(g).zip(u) {
                for i in 0..LANES {
                    (h[i], g[i], u[i]) = slopes(dh[i], g[i], u[i]);
                }
            }
            for (((dh, h), g), u) in rest.iter().zip(h_rest).zip(g_rest).zip(u_rest) {
                (*h, *g, *u) = slopes(*dh, *g, *u);
            }
        }
    }
}

/// silu(gate) · up, and the gradients of gate and up.
#[inline(always)]
fn slopes(dh: f32, gate: f32, up: f32) -> (f32, f32, f32) {
    let s = sigmoid(gate);
    let silu = gate * s;
    let slope = s + silu * (1.0 - s);
    (silu * up, dh * up * slope, dh * silu)
}
