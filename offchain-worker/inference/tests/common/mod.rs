//! Models of odd numbers, for tests.

use cairn_primitives::{Layout, ModelShape};

/// Numbers in −1..1 from a linear congruential generator.
pub fn numbers(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(n).collect()
}

/// Parameters large enough that every part of the model has an effect: those of matrices within ±`spread`.
pub fn parameters(shape: &ModelShape, spread: f32) -> Vec<f32> {
    let layout = Layout::of(shape);
    let mut parameters = numbers(layout.parameters(), 5);
    for (tensor, range) in layout.ranges() {
        let vector = tensor.shape.len() == 1;
        for x in &mut parameters[range] {
            *x = if vector { 1.0 + 0.5 * *x } else { spread * *x };
        }
    }
    parameters
}
