//! Against JAX and PyTorch: `fixtures/README.md` says how the files were made.

use cairn_primitives::{Layout, ModelShape};
use safetensors::SafeTensors;

use super::{nano, optimizer, slices};
use crate::{config, AdamState, Trainer};

/// The model of `scripts/fixtures/jax_gradient.py`.
fn two_layers() -> ModelShape {
    ModelShape {
        layers: 2,
        d_model: 32,
        heads: 4,
        kv_heads: 2,
        ffn: 48,
        vocabulary: 40,
        context: 70,
        rope_theta: 10_000,
        tied_embeddings: false,
    }
}

fn read<const N: usize, T>(file: &SafeTensors, name: &str, number: fn([u8; N]) -> T) -> Vec<T> {
    let tensor = file.tensor(name).unwrap();
    let bytes = tensor.data().chunks_exact(N);
    bytes
        .map(|bytes| number(bytes.try_into().unwrap()))
        .collect()
}

/// Loss within 1e-6, each tensor's gradient within 2e-5 of its largest element.
#[test]
fn loss_and_gradient_are_those_of_jax() {
    let bytes = include_bytes!("../../fixtures/two-layers.safetensors");
    let file = SafeTensors::deserialize(bytes).unwrap();
    let parameters = read(&file, "weights", f32::from_le_bytes);
    let gradient = read(&file, "gradient", f32::from_le_bytes);
    let loss = read(&file, "loss", f64::from_le_bytes)[0];
    let tokens = read(&file, "windows", u32::from_le_bytes);
    let windows: Vec<&[u32]> = tokens.chunks_exact(71).collect();

    let shape = two_layers();
    let mut trainer = Trainer::new(&shape, 2).unwrap();
    let (ours, found) = trainer.gradient(&parameters, &windows).unwrap();
    assert!(
        (f64::from(ours) / loss - 1.0).abs() < 1e-6,
        "{ours} for {loss}"
    );
    for (tensor, range) in Layout::of(&shape).ranges() {
        let (ours, theirs) = (&found[range.clone()], &gradient[range]);
        let largest = theirs.iter().fold(0f32, |largest, x| largest.max(x.abs()));
        assert!(largest > 0.0, "{}", tensor.name);
        for (ours, theirs) in ours.iter().zip(theirs) {
            let error = (ours - theirs).abs();
            assert!(
                error < 2e-5 * largest,
                "{}: {ours} for {theirs}",
                tensor.name
            );
        }
    }
}

/// A linear congruential generator (Knuth's MMIX), its upper 31 bits.
fn generator(seed: u64) -> impl FnMut() -> u32 {
    let mut state = seed;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    }
}

fn torch_parameters(shape: &ModelShape) -> Vec<f32> {
    let layout = Layout::of(shape);
    let mut parameters = vec![1.0; layout.parameters()];
    let mut next = generator(1);
    for (tensor, range) in layout.ranges() {
        if tensor.shape.len() == 2 {
            let scale = f64::from(1 << 30);
            let number = |next: u32| ((f64::from(next) - scale) / scale * 0.03464) as f32;
            parameters[range]
                .iter_mut()
                .for_each(|w| *w = number(next()));
        }
    }
    parameters
}

fn torch_windows(step: u64, vocabulary: u32) -> Vec<Vec<u32>> {
    let mut next = generator(1000 + step);
    let mut window = || {
        let mut tokens = vec![next() % vocabulary];
        for _ in 0..64 {
            tokens.push((tokens[tokens.len() - 1] * 5 + 17 + next() % 4) % vocabulary);
        }
        tokens
    };
    (0..4).map(|_| window()).collect()
}

/// The mean loss of the batch stays within 0.05 % of PyTorch's at every one of 200 steps, in which it falls from ln
/// 1024 to 5.1: rounding differs, and training magnifies it.
#[test]
fn two_hundred_steps_go_as_in_pytorch() {
    #[derive(serde::Deserialize)]
    struct File {
        losses: Vec<f64>,
    }
    let file: File =
        serde_json::from_str(include_str!("../../fixtures/torch-losses.json")).unwrap();
    let shape = config::named("tiny").unwrap();
    let mut optimizer = optimizer(64);
    (optimizer.warmup_steps, optimizer.total_steps) = (20, 200);
    (optimizer.learning_rate, optimizer.final_rate) = (nano(3e-3), nano(0.1));
    let mut parameters = torch_parameters(&shape);
    let mut adam = AdamState::new(parameters.len());
    let mut trainer = Trainer::new(&shape, 2).unwrap();
    let mut worst = 0f64;
    for (step, theirs) in file.losses.iter().enumerate() {
        let windows = torch_windows(step as u64, shape.vocabulary);
        let ours = trainer
            .step(&mut parameters, &mut adam, &optimizer, &slices(&windows))
            .unwrap();
        let error = (f64::from(ours) / theirs - 1.0).abs();
        worst = worst.max(error);
        assert!(error < 5e-4, "step {step}: {ours} for {theirs}");
    }
    println!("largest deviation: {worst:.1e}");
    assert_eq!(file.losses.len(), 200);
    assert!((file.losses[0] - 1024f64.ln()).abs() < 0.05);
    assert!(file.losses[199] < file.losses[0] - 1.5);
}
