mod bits;
mod checks;
mod fixtures;
mod model;
mod muon;
mod operators;
mod reference;

use cairn_primitives::{InnerOptimizer, Layout, ModelShape, Nano};

/// Two layers, grouped queries, and no size that is a multiple of a vector's.
fn tiny(tied_embeddings: bool) -> ModelShape {
    ModelShape {
        layers: 2,
        d_model: 12,
        heads: 3,
        kv_heads: 1,
        ffn: 10,
        vocabulary: 11,
        context: 80,
        rope_theta: 100,
        tied_embeddings,
    }
}

/// The model of the devnet, with fewer layers.
fn small() -> ModelShape {
    ModelShape {
        layers: 2,
        d_model: 64,
        heads: 4,
        kv_heads: 2,
        ffn: 96,
        vocabulary: 300,
        context: 128,
        rope_theta: 500_000,
        tied_embeddings: true,
    }
}

fn nano(value: f64) -> Nano {
    Nano::from_f64(value).unwrap()
}

fn optimizer(sequence_length: u32) -> InnerOptimizer {
    InnerOptimizer {
        steps: 20,
        sequences: 4,
        sequence_length,
        learning_rate: nano(3e-3),
        final_rate: nano(0.1),
        warmup_steps: 4,
        total_steps: 100,
        beta1: nano(0.9),
        beta2: nano(0.95),
        epsilon: nano(1e-8),
        weight_decay: nano(0.1),
        clip_norm: nano(1.0),
        trace_every: 1,
        matrices: Default::default(),
    }
}

/// Numbers in −1..1 from a linear congruential generator.
fn numbers(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(n).collect()
}

/// Windows of tokens below `vocabulary`.
fn windows(count: usize, tokens: usize, vocabulary: u32, seed: u64) -> Vec<Vec<u32>> {
    let token = |x: &f32| ((f64::from(*x) + 1.0) / 2.0 * f64::from(vocabulary)) as u32;
    let all: Vec<u32> = numbers(count * tokens, seed).iter().map(token).collect();
    all.chunks(tokens).map(|window| window.to_vec()).collect()
}

fn slices(windows: &[Vec<u32>]) -> Vec<&[u32]> {
    windows.iter().map(Vec::as_slice).collect()
}

/// Parameters large enough that every part of the model has an effect.
fn lively_parameters(shape: &ModelShape) -> Vec<f32> {
    let layout = Layout::of(shape);
    let mut parameters: Vec<f32> = numbers(layout.parameters(), 5)
        .iter()
        .map(|x| 0.7 * x)
        .collect();
    for (tensor, range) in layout.ranges() {
        if tensor.shape.len() == 1 {
            parameters[range]
                .iter_mut()
                .for_each(|w| *w = 1.0 + 0.5 * *w);
        }
    }
    parameters
}

fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|x| f64::from(*x)).collect()
}

/// Asserts that `ours` are the derivatives of `loss` at `at`, by central differences.
fn assert_gradient(name: &str, ours: &[f32], at: &[f64], loss: impl Fn(&[f64]) -> f64) {
    assert_eq!(ours.len(), at.len(), "{name}");
    let step = 1e-5;
    let mut moved = at.to_vec();
    let mut slope = |i: usize| {
        moved[i] = at[i] + step;
        let above = loss(&moved);
        moved[i] = at[i] - step;
        let below = loss(&moved);
        moved[i] = at[i];
        (above - below) / (2.0 * step)
    };
    let slopes: Vec<f64> = (0..at.len()).map(&mut slope).collect();
    let largest = slopes
        .iter()
        .fold(0f64, |largest, slope| largest.max(slope.abs()));
    assert!(largest > 0.0, "{name}: the loss does not depend on it");
    for (i, (ours, slope)) in ours.iter().zip(&slopes).enumerate() {
        let error = (f64::from(*ours) - slope).abs();
        assert!(
            error < 2e-5 * largest,
            "{name}[{i}]: {ours} for {slope}, largest {largest}"
        );
    }
}

/// Asserts that numbers are the same but for rounding.
fn assert_near(name: &str, ours: &[f32], expected: &[f64]) {
    assert_eq!(ours.len(), expected.len(), "{name}");
    let largest = expected
        .iter()
        .fold(0f64, |largest, x| largest.max(x.abs()));
    for (i, (ours, expected)) in ours.iter().zip(expected).enumerate() {
        let error = (f64::from(*ours) - expected).abs();
        assert!(
            error < 5e-6 * largest,
            "{name}[{i}]: {ours} for {expected}, largest {largest}"
        );
    }
}
