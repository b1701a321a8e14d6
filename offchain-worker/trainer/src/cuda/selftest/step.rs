//! A whole model: its gradient against the CPU's, AdamW to the bit, and a step of Muon.

use cairn_primitives::{InnerOptimizer, Layout, ModelShape, Nano};

use super::{
    lab::{error, wide, Outcome},
    muon, Settings,
};
use crate::{
    cuda::trainer::{update, CudaOptions, CudaTrainer},
    initial_parameters, AdamState, Trainer, TrainerError,
};

/// The relative error of a tensor's gradient, as a whole. Activations are rounded to 2⁻⁹ some ten times on their way.
const GRADIENT: f64 = 0.03;
/// The relative error of the loss.
const LOSS: f64 = 0.01;

/// A model of two layers, with everything that a large one has.
pub fn shape() -> ModelShape {
    ModelShape {
        layers: 2,
        d_model: 64,
        heads: 4,
        kv_heads: 2,
        ffn: 96,
        vocabulary: 128,
        context: 96,
        rope_theta: 10_000,
        tied_embeddings: true,
    }
}

/// An optimizer that clips nothing, so that the update does not depend on the last bit of a norm.
fn optimizer() -> InnerOptimizer {
    InnerOptimizer {
        steps: 1,
        sequences: 3,
        sequence_length: 80,
        learning_rate: Nano(10_000_000),
        final_rate: Nano(100_000_000),
        warmup_steps: 2,
        total_steps: 100,
        beta1: Nano(900_000_000),
        beta2: Nano(950_000_000),
        epsilon: Nano(10),
        weight_decay: Nano(100_000_000),
        clip_norm: Nano(u64::MAX / 4),
        trace_every: 1,
        matrices: Default::default(),
    }
}

/// Compares loss, gradient and update.
pub fn compare(settings: Settings) -> Result<Vec<Outcome>, TrainerError> {
    let (shape, optimizer) = (shape(), optimizer());
    let windows = windows(&shape, 3, 81, settings.seed);
    let windows: Vec<&[u32]> = windows.iter().map(Vec::as_slice).collect();
    let mut params = initial_parameters(&shape, settings.seed);
    let mut cpu = Trainer::new(&shape, 1)?;
    let options = CudaOptions {
        ordinal: settings.ordinal,
        ..CudaOptions::default()
    };
    let mut card = CudaTrainer::new(&shape, options)?;
    let (want_loss, want) = cpu.gradient(&params, &windows)?;
    let (got_loss, got) = card.gradient(&params, &windows)?;
    let got = got.to_vec();
    let mut outcomes = vec![
        outcome(
            "loss of a model",
            error([f64::from(got_loss)], &[want_loss.into()]),
            LOSS,
        ),
        outcome(
            "gradient of a model",
            worst_tensor(&shape, &got, want),
            GRADIENT,
        ),
    ];
    let mut adam = AdamState::new(params.len());
    let mut expected = params.clone();
    card.step(&mut params, &mut adam, &optimizer, &windows)?;
    adamw(&shape, &optimizer, &mut expected, &got);
    let same = params
        .iter()
        .zip(&expected)
        .all(|(a, b)| a.to_bits() == b.to_bits());
    outcomes.push(outcome(
        "adamw",
        if same {
            0.0
        } else {
            error(wide(&params), &wide(&expected))
        },
        0.0,
    ));
    outcomes.extend(muon::steps(&shape, &optimizer, &windows, settings)?);
    Ok(outcomes)
}

/// What was found, without a time.
pub fn outcome(name: &'static str, error: f64, tolerance: f64) -> Outcome {
    Outcome {
        name,
        error,
        tolerance,
        seconds: None,
        share_of_peak: None,
    }
}

/// Random windows of tokens.
fn windows(shape: &ModelShape, count: usize, tokens: usize, seed: u64) -> Vec<Vec<u32>> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % u64::from(shape.vocabulary)) as u32
    };
    (0..count)
        .map(|_| (0..tokens).map(|_| next()).collect())
        .collect()
}

/// The largest relative error of a tensor's numbers, in Euclidean norm.
pub fn worst_tensor(shape: &ModelShape, got: &[f32], want: &[f32]) -> f64 {
    let layout = Layout::of(shape);
    let errors = layout.ranges().map(|(_, at)| {
        let (got, want) = (&got[at.clone()], &want[at]);
        let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
        let difference = got.iter().zip(want).map(|(a, b)| f64::from(a - b));
        let error = norm(&mut { difference }) / norm(&mut want.iter().map(|x| f64::from(*x)));
        if error.is_nan() {
            f64::INFINITY
        } else {
            error
        }
    });
    errors.fold(0.0, f64::max)
}

/// The first step of AdamW, operation by operation as the CPU's, on the card's own gradient.
fn adamw(shape: &ModelShape, optimizer: &InnerOptimizer, params: &mut [f32], gradient: &[f32]) {
    let u = update(optimizer, 0);
    for (tensor, at) in Layout::of(shape).ranges() {
        let kept = if tensor.shape.len() == 2 { u.kept } else { 1.0 };
        for i in at {
            let g = gradient[i];
            let m = u.beta1 * 0.0 + (1.0 - u.beta1) * g;
            let v = u.beta2 * 0.0 + (1.0 - u.beta2) * (g * g);
            params[i] = params[i] * kept - u.rate * m / ((v * u.correction).sqrt() + u.epsilon);
        }
    }
}
