//! Contributions made and applied by the card's kernels have the bits of the CPU's.

use cairn_gradient::{compress, outer_step, Contribution, Header};
use cairn_primitives::{Compression, Layout, Nano, OuterStep, Tensor, Uid};
use cairn_trainer::cuda::{
    contribution::{Contributions, Sent, Share},
    Device,
};

use crate::fake::driver;

/// Whole blocks, blocks cut off at both edges, a vector, and a tensor of few elements.
fn layout() -> Layout {
    let tensor = |name: &str, shape: &[u32]| Tensor {
        name: name.into(),
        shape: shape.to_vec(),
    };
    Layout(vec![
        tensor("matrix", &[70, 130]),
        tensor("vector", &[5000]),
        tensor("small", &[3]),
        tensor("column", &[65, 1]),
    ])
}

/// Numbers of which many are equal in magnitude.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let x = ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * 0.01;
        match state >> 33 & 7 {
            0 => (x * 500.0).round() / 500.0,
            1 => 0.0,
            _ => x * x * x * 1e4,
        }
    };
    (0..count).map(|_| next()).collect()
}

fn compression(kept_per_block: u16) -> Compression {
    Compression {
        kept_per_block,
        error_decay: Nano(950_000_000),
    }
}

fn header(layout: &Layout) -> Header {
    Header {
        netuid: 1,
        round: 2,
        hotkey: [3; 32],
        parent_root: cairn_primitives::H256([4; 32]),
        layout_hash: layout.hash(),
        inner_steps: 5,
        tokens: 6,
        mean_loss: 7.0,
    }
}

/// What the CPU makes of the same, and the error feedback after it.
fn on_the_cpu(layout: &Layout, kept: u16, delta: &[f32], error: &mut [f32]) -> Contribution {
    compress(layout, &compression(kept), delta, error, header(layout))
        .unwrap()
        .0
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn a_contribution_has_the_cpus_bits() {
    let layout = layout();
    let n = layout.parameters();
    for (seed, kept) in [(0, 64), (1, 64), (2, 1), (3, 700), (4, 4096)] {
        driver().seed(seed);
        let device = Device::open(0, 16).unwrap();
        let (before, after) = (numbers(n, seed), numbers(n, seed + 10));
        let delta: Vec<f32> = before.iter().zip(&after).map(|(a, b)| a - b).collect();
        let mut want_error = numbers(n, seed + 20);
        let mut error = want_error.clone();
        on_the_cpu(&layout, kept, &delta, &mut want_error);
        let beta = compression(kept).error_decay.to_f32();
        let contributions = Contributions::new(&device, &layout, kept.into()).unwrap();
        let accumulated: Vec<f32> = error
            .iter()
            .zip(&delta)
            .map(|(e, d)| beta * e + d)
            .collect();
        let sent = contributions
            .compress(&before, &after, &mut error, beta)
            .unwrap()
            .unwrap();
        assert_eq!(
            bits(&error),
            bits(&want_error),
            "{kept} kept, schedule {seed}"
        );
        // What was sent is what is missing.
        for ((_, range), sent) in layout.ranges().zip(&sent) {
            let mut left = accumulated[range.clone()].to_vec();
            for (index, value) in sent.indices.iter().zip(&sent.values) {
                left[*index as usize] -= value;
            }
            assert_eq!(bits(&left), bits(&error[range]));
            assert!(sent.indices.is_sorted_by(|a, b| a < b));
        }
    }
}

#[test]
fn the_outer_step_has_the_cpus_bits() {
    driver().seed(5);
    let layout = layout();
    let n = layout.parameters();
    let device = Device::open(0, 16).unwrap();
    let contributions = Contributions::new(&device, &layout, 700).unwrap();
    // The same magnitudes with other signs: all norms are equal, and nothing is clipped.
    let magnitudes = numbers(n, 40);
    let (mut theirs, mut ours): (Vec<(Uid, Contribution)>, Vec<Vec<Sent>>) = Default::default();
    for uid in 0..3u16 {
        let signs = numbers(n, 50 + u64::from(uid));
        let delta: Vec<f32> = magnitudes
            .iter()
            .zip(&signs)
            .map(|(x, s)| x.copysign(*s))
            .collect();
        let (mut one, mut other) = (vec![0.0; n], vec![0.0; n]);
        theirs.push((uid, on_the_cpu(&layout, 700, &delta, &mut one)));
        let zeros = vec![0.0; n];
        let beta = compression(700).error_decay.to_f32();
        let sent = contributions
            .compress(&delta, &zeros, &mut other, beta)
            .unwrap();
        ours.push(sent.unwrap());
    }
    for rho in [0, 500_000_000, 1_000_000_000] {
        let outer = OuterStep {
            learning_rate: Nano(900_000_000),
            rho: Nano(rho),
        };
        let mut want = numbers(n, 60);
        let mut theta = want.clone();
        outer_step(&mut want, &layout, &theirs, &outer).unwrap();
        let clips = vec![1.0; layout.0.len()];
        let shares: Vec<Share> = ours
            .iter()
            .map(|tensors| Share {
                tensors,
                clips: &clips,
            })
            .collect();
        let least = (rho * 3).div_ceil(1_000_000_000) as u32;
        contributions
            .apply(&mut theta, &shares, least, outer.learning_rate.to_f32())
            .unwrap();
        assert_eq!(bits(&theta), bits(&want), "ρ = {rho} · 10⁻⁹");
    }
}

#[test]
fn what_is_not_finite_is_not_sent_and_changes_nothing() {
    driver();
    let layout = layout();
    let n = layout.parameters();
    let device = Device::open(0, 16).unwrap();
    let contributions = Contributions::new(&device, &layout, 64).unwrap();
    let (mut before, after, error) = (numbers(n, 1), numbers(n, 2), numbers(n, 3));
    before[9_000] = f32::INFINITY;
    let mut left = error.clone();
    let sent = contributions
        .compress(&before, &after, &mut left, 1.0)
        .unwrap();
    assert_eq!(sent, None);
    assert_eq!(left, error);
}
