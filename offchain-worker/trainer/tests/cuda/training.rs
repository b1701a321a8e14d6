//! Whole training steps on the card against the CPU's.

use cairn_primitives::{InnerOptimizer, ModelShape, Nano};
use cairn_trainer::{
    cuda::{CudaOptions, CudaTrainer},
    initial_parameters, AdamState, Trainer,
};

use crate::fake::driver;

pub fn shape() -> ModelShape {
    ModelShape {
        layers: 2,
        d_model: 32,
        heads: 4,
        kv_heads: 2,
        ffn: 64,
        vocabulary: 64,
        context: 72,
        rope_theta: 10_000,
        tied_embeddings: false,
    }
}

pub fn optimizer() -> InnerOptimizer {
    InnerOptimizer {
        steps: 1,
        sequences: 4,
        sequence_length: 24,
        learning_rate: Nano(10_000_000),
        final_rate: Nano(100_000_000),
        warmup_steps: 2,
        total_steps: 40,
        beta1: Nano(900_000_000),
        beta2: Nano(950_000_000),
        epsilon: Nano(10),
        weight_decay: Nano(100_000_000),
        clip_norm: Nano(1_000_000_000),
        trace_every: 1,
        matrices: Default::default(),
    }
}

/// Windows of a text that can be learnt: each token follows from the one before, with some noise.
pub fn windows(step: u64) -> Vec<Vec<u32>> {
    let window = |number: u64| {
        let mut token = (step * 4 + number) * 7 % 64;
        let next = |i: u64| {
            token = (token * 5 + 3 + (i + step) % 2) % 64;
            token as u32
        };
        (0..25).map(next).collect()
    };
    (0..4).map(window).collect()
}

pub fn slices(windows: &[Vec<u32>]) -> Vec<&[u32]> {
    windows.iter().map(Vec::as_slice).collect()
}

fn card(options: CudaOptions) -> CudaTrainer {
    CudaTrainer::new(&shape(), options).unwrap()
}

/// Relative distance of two vectors.
pub fn distance(a: &[f32], b: &[f32]) -> f64 {
    let square = |x: f64| x * x;
    let difference: f64 = a.iter().zip(b).map(|(a, b)| square(f64::from(a - b))).sum();
    let size: f64 = b.iter().map(|b| square(f64::from(*b))).sum();
    (difference / size).sqrt()
}

#[test]
fn losses_and_gradient_are_the_cpus_within_rounding() {
    driver();
    let params = initial_parameters(&shape(), 3);
    let windows = windows(0);
    let windows = slices(&windows);
    let mut cpu = Trainer::new(&shape(), 1).unwrap();
    let mut card = card(CudaOptions::default());
    let (want, got) = (
        cpu.losses(&params, &windows).unwrap(),
        card.losses(&params, &windows).unwrap(),
    );
    for (want, got) in want.iter().zip(&got) {
        assert!((want - got).abs() < 0.01, "{want} {got}");
    }
    let (want_loss, want) = cpu.gradient(&params, &windows).unwrap();
    let (got_loss, got) = card.gradient(&params, &windows).unwrap();
    assert!(
        (want_loss - got_loss).abs() < 0.01,
        "{want_loss} {got_loss}"
    );
    assert!(distance(got, want) < 0.02, "{}", distance(got, want));
}

#[test]
fn a_run_of_steps_learns_as_the_cpu_does() {
    driver();
    let (optimizer, start) = (optimizer(), initial_parameters(&shape(), 4));
    let mut cpu = Trainer::new(&shape(), 1).unwrap();
    let mut card = card(CudaOptions::default());
    let (mut params, mut adam) = (start.clone(), AdamState::new(start.len()));
    let mut steps = card.begin(&start, &adam).unwrap();
    let mut losses = Vec::new();
    for step in 0..20 {
        let windows = windows(step);
        let windows = slices(&windows);
        let want = cpu
            .step(&mut params, &mut adam, &optimizer, &windows)
            .unwrap();
        let got = steps.step(&optimizer, &windows).unwrap();
        assert!(
            (want - got).abs() < 0.02 * want,
            "step {step}: {want} {got}"
        );
        losses.push(got);
    }
    assert!(losses[19] < 0.75 * losses[0], "{losses:?}");
    let (got, got_adam) = steps.finish().unwrap();
    assert_eq!(got_adam.step, 20);
    // The same way, in another arithmetic.
    let moved = |to: &[f32]| -> Vec<f32> { to.iter().zip(&start).map(|(a, b)| a - b).collect() };
    let apart = distance(&moved(&got), &moved(&params));
    assert!(apart < 0.25, "{apart}");
}

/// Parameters and moments after three steps.
fn three_steps(options: CudaOptions) -> (Vec<f32>, AdamState) {
    let start = initial_parameters(&shape(), 5);
    let adam = AdamState::new(start.len());
    let mut card = card(options);
    let mut steps = card.begin(&start, &adam).unwrap();
    for step in 0..3 {
        let windows = windows(step);
        steps.step(&optimizer(), &slices(&windows)).unwrap();
    }
    steps.finish().unwrap()
}

#[test]
fn the_schedule_changes_no_bit() {
    driver();
    let in_order = three_steps(CudaOptions::default());
    for seed in [1, 2, 3] {
        driver().seed(seed);
        assert_eq!(
            three_steps(CudaOptions::default()),
            in_order,
            "schedule {seed}"
        );
    }
}

#[test]
fn computing_activations_again_changes_no_bit() {
    driver();
    let kept = three_steps(CudaOptions::default());
    let options = CudaOptions {
        recompute: true,
        ..CudaOptions::default()
    };
    assert_eq!(three_steps(options), kept);
}

#[test]
fn a_batch_in_parts_has_the_gradient_of_the_whole() {
    driver();
    let params = initial_parameters(&shape(), 6);
    let windows = windows(1);
    let windows = slices(&windows);
    let gradient = |windows_at_once| {
        let options = CudaOptions {
            windows_at_once,
            ..CudaOptions::default()
        };
        let mut card = card(options);
        let (loss, gradient) = card.gradient(&params, &windows).unwrap();
        (loss, gradient.to_vec())
    };
    let (whole_loss, whole) = gradient(None);
    for at_once in [1, 2, 3] {
        let (loss, parts) = gradient(Some(at_once));
        assert!((loss - whole_loss).abs() < 1e-5);
        assert!(
            distance(&parts, &whole) < 1e-5,
            "{}",
            distance(&parts, &whole)
        );
    }
}

#[test]
fn a_step_is_the_same_whether_recorded_or_not() {
    driver();
    // Recorded from the second step on; `step` of a fresh trainer records nothing.
    let (params, adam) = three_steps(CudaOptions::default());
    let mut again = (
        initial_parameters(&shape(), 5),
        AdamState::new(params.len()),
    );
    for step in 0..3 {
        let windows = windows(step);
        let mut fresh = card(CudaOptions::default());
        fresh
            .step(&mut again.0, &mut again.1, &optimizer(), &slices(&windows))
            .unwrap();
    }
    assert_eq!(again, (params, adam));
}
