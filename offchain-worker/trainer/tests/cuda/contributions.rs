//! Contributions made and applied by the card's kernels have the bits of the CPU's.

use cairn_gradient::{compress, encode, outer_step, Contribution, Header, SparseTensor, Work};
use cairn_primitives::{
    blocks::{Kept, Turn},
    Compression, Layout, ModelRoot, Nano, Netuid, OuterStep, Selected, Tensor, Uid,
};
use cairn_trainer::{
    cuda::{
        contribution::{Contributions, OuterRule, Share},
        CudaOptions, CudaTrainer, Device,
    },
    initial_parameters, AdamState, TrainerError,
};

use crate::{
    fake::driver,
    training::{optimizer, shape, slices, windows},
};

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
        turn: None,
    }
}

fn header(layout: &Layout) -> Header {
    Header {
        netuid: Netuid(1),
        round: 2,
        hotkey: [3; 32].into(),
        parent_root: ModelRoot(cairn_primitives::H256([4; 32])),
        layout_hash: layout.hash(),
        inner_steps: 5,
        tokens: 6,
        mean_loss: 7.0,
        work: Work::default(),
    }
}

/// All values whose turn it is.
fn turn((number, of): (u8, u8)) -> Compression {
    let turn = Some(Turn { number, of });
    Compression {
        turn,
        ..compression(4_096)
    }
}

fn kept(compression: &Compression) -> Kept {
    Kept::of(compression).unwrap()
}

/// What the CPU makes of the same, and the error feedback after it.
fn on_the_cpu(
    layout: &Layout,
    compression: &Compression,
    delta: &[f32],
    error: &mut [f32],
) -> Contribution {
    let made = compress(layout, compression, delta, error, header(layout));
    made.unwrap().0
}

/// What the card selected, as the codec has it.
fn sparse(layout: &Layout, compression: &Compression, selected: &[Selected]) -> Vec<SparseTensor> {
    assert_eq!(selected.len(), layout.0.len());
    let tensors = layout.0.iter().zip(selected);
    tensors
        .map(|(tensor, sent)| {
            SparseTensor::from_selected(tensor, compression, sent.clone()).unwrap()
        })
        .collect()
}

/// What the codec has, as the card takes it.
fn selected(contribution: &Contribution) -> Vec<&Selected> {
    let tensors = contribution.tensors.iter();
    tensors.map(SparseTensor::selected).collect()
}

fn difference(before: &[f32], after: &[f32]) -> Vec<f32> {
    before.iter().zip(after).map(|(a, b)| a - b).collect()
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn a_contribution_has_the_cpus_bits() {
    let layout = layout();
    let n = layout.parameters();
    let runs = [64, 64, 1, 700, 4_096].map(compression).into_iter();
    let runs = runs.chain([(0, 4), (1, 4), (3, 4), (1, 3), (2, 3), (1, 2)].map(turn));
    for (seed, compression) in (0..).zip(runs) {
        driver().seed(seed);
        let device = Device::open(0, 16).unwrap();
        let (before, after) = (numbers(n, seed), numbers(n, seed + 10));
        let mut want_error = numbers(n, seed + 20);
        let on_card = |numbers: &[f32]| device.uploaded(numbers, "a test").unwrap();
        let error = on_card(&want_error);
        let want = on_the_cpu(
            &layout,
            &compression,
            &difference(&before, &after),
            &mut want_error,
        );
        let contributions = Contributions::new(&device, &layout, kept(&compression)).unwrap();
        let beta = compression.error_decay.to_f32();
        let (before, after) = (on_card(&before), on_card(&after));
        let sent = contributions.select(&device, &before, &after, &error, beta);
        let sent = sparse(&layout, &compression, &sent.unwrap().unwrap());
        assert_eq!(sent, want.tensors, "{compression:?}, schedule {seed}");
        let error = device.downloaded(&error).unwrap();
        assert_eq!(bits(&error), bits(&want_error), "{compression:?}");
    }
}

#[test]
fn the_outer_step_has_the_cpus_bits() {
    let layout = layout();
    let n = layout.parameters();
    for (seed, rho) in [(5, 0), (6, 500_000_000), (7, 1_000_000_000)] {
        driver().seed(seed);
        let device = Device::open(0, 16).unwrap();
        let contributions = Contributions::new(&device, &layout, Kept::Largest(700)).unwrap();
        // The same magnitudes with other signs: all norms are equal, and nothing is clipped.
        let magnitudes = numbers(n, 40);
        // 3, 2 and 5 over their common divisor.
        let trusts = [6, 4, 10u16];
        let theirs: Vec<(Uid, u16, Contribution)> = (0..3u16)
            .map(|uid| {
                let signs = numbers(n, 50 + u64::from(uid));
                let with_signs = magnitudes.iter().zip(&signs).map(|(x, s)| x.copysign(*s));
                let delta: Vec<f32> = with_signs.collect();
                let sent = on_the_cpu(&layout, &compression(700), &delta, &mut vec![0.0; n]);
                (Uid(uid), trusts[usize::from(uid)], sent)
            })
            .collect();
        let outer = OuterStep {
            learning_rate: Nano(900_000_000),
            rho: Nano(rho),
            clip: OuterStep::USUAL_CLIP,
            combine: Default::default(),
        };
        let mut want = numbers(n, 60);
        let theta = device.uploaded(&want, "a test").unwrap();
        outer_step(&mut want, &layout, &theirs, &outer).unwrap();
        let ours: Vec<Vec<&Selected>> = theirs.iter().map(|(.., one)| selected(one)).collect();
        let factors = [3, 2, 5u16].map(|trust| (trust, vec![f32::from(trust); layout.0.len()]));
        let shares: Vec<Share> = ours
            .iter()
            .zip(&factors)
            .map(|(tensors, (trust, factors))| Share {
                tensors,
                factors,
                trust: *trust,
            })
            .collect();
        let rule = OuterRule {
            least: (rho * 10).div_ceil(1_000_000_000).max(1) as u32,
            rate: outer.learning_rate.to_f32(),
        };
        contributions.step(&device, &theta, &shares, rule).unwrap();
        let theta = device.downloaded(&theta).unwrap();
        assert_eq!(bits(&theta), bits(&want), "ρ = {rho} · 10⁻⁹");
        // What belongs to another layout is refused.
        let (other, wrong) = (
            Share {
                tensors: &ours[0][1..],
                ..shares[0]
            },
            Share {
                factors: &factors[0].1[1..],
                ..shares[0]
            },
        );
        for share in [other, wrong] {
            let refused = contributions.step(
                &device,
                &device.uploaded(&want, "a test").unwrap(),
                &[share],
                rule,
            );
            assert!(refused.is_err());
        }
    }
}

/// Two steps on the card from `start`, before what became of them leaves it.
fn two_steps<T>(start: &[f32], then: impl FnOnce(cairn_trainer::cuda::Steps) -> T) -> T {
    let mut card = CudaTrainer::new(&shape(), CudaOptions::default()).unwrap();
    let mut steps = card.begin(start, &AdamState::new(start.len())).unwrap();
    for step in 0..2 {
        let windows = windows(step);
        steps.step(&optimizer(), &slices(&windows)).unwrap();
    }
    then(steps)
}

/// From a miner's steps to the file: what the card selects is what the CPU makes of the same parameters.
#[test]
fn a_round_on_the_card_ends_in_the_bytes_that_the_cpu_would_have_sent() {
    driver();
    let (layout, start) = (Layout::of(&shape()), initial_parameters(&shape(), 3));
    let (compression, header) = (compression(64), header(&layout));
    let before = numbers(start.len(), 70);
    let (after, adam) = two_steps(&start, |steps| steps.finish().unwrap());
    let delta = difference(&start, &after);
    let mut error = before.clone();
    let (_, file) = compress(&layout, &compression, &delta, &mut error, header.clone()).unwrap();

    let (sending, copied) = two_steps(&start, |steps| {
        let earlier = driver().copied();
        let sending = steps.select(&start, &before, &compression);
        (sending.unwrap(), driver().copied() - earlier)
    });
    // Moments and error feedback come back, neither parameters nor pseudo-gradient.
    let dense = 4 * start.len() as u64;
    assert!(
        (3 * dense..3 * dense + dense / 8).contains(&copied),
        "{copied}"
    );
    let tensors = sparse(&layout, &compression, &sending.selected);
    let contribution = Contribution { header, tensors };
    assert_eq!(encode(&contribution, &layout, &compression).unwrap(), file);
    assert_eq!(bits(&sending.error), bits(&error));
    assert_eq!(sending.adam, adam);
}

#[test]
fn what_is_not_finite_is_not_sent_and_is_named() {
    driver();
    let (layout, start) = (Layout::of(&shape()), initial_parameters(&shape(), 3));
    let (tensor, range) = layout.ranges().nth(2).unwrap();
    let mut damaged = vec![0.0; start.len()];
    damaged[range.start + 5] = f32::INFINITY;
    let error = two_steps(&start, |steps| {
        steps.select(&start, &damaged, &compression(64))
    });
    match error {
        Err(TrainerError::Unsendable {
            tensor: name,
            index: 5,
        }) => assert_eq!(name, tensor.name),
        other => panic!("{other:?}"),
    }
    let short = two_steps(&start, |steps| {
        steps.select(&start, &damaged[1..], &compression(64))
    });
    assert!(matches!(short, Err(TrainerError::Length { .. })));
}

/// A contribution tried out on the card gives the parameters, and so the losses, of the CPU's outer step.
#[test]
fn a_trial_measures_the_parameters_that_the_outer_step_makes() {
    driver();
    let (layout, start) = (Layout::of(&shape()), initial_parameters(&shape(), 4));
    let delta = numbers(start.len(), 80);
    let contribution = on_the_cpu(
        &layout,
        &compression(64),
        &delta,
        &mut vec![0.0; start.len()],
    );
    let outer = OuterStep {
        learning_rate: Nano(700_000_000),
        rho: Nano::ONE,
        clip: OuterStep::USUAL_CLIP,
        combine: Default::default(),
    };
    let mut moved = start.clone();
    let alone = [(Uid(0), 1, contribution)];
    let sent = selected(&alone[0].2);
    outer_step(&mut moved, &layout, &alone, &outer).unwrap();
    let batch = windows(0);
    let mut card = CudaTrainer::new(&shape(), CudaOptions::default()).unwrap();
    let at_first = card.losses(&start, &slices(&batch)).unwrap();
    let afterwards = card.losses(&moved, &slices(&batch)).unwrap();
    assert_ne!(at_first, afterwards);

    let factors = vec![1.0; layout.0.len()];
    let share = Share {
        tensors: &sent,
        factors: &factors,
        trust: 1,
    };
    let rule = OuterRule {
        rate: outer.learning_rate.to_f32(),
        least: 1,
    };
    let mut trial = card.trial(&start).unwrap();
    assert_eq!(trial.losses(&slices(&batch)).unwrap(), at_first);
    // Each begins with the parameters that were given.
    for _ in 0..2 {
        trial.step(Kept::Largest(64), &[share], rule).unwrap();
        assert_eq!(trial.losses(&slices(&batch)).unwrap(), afterwards);
    }
    trial.step(Kept::Largest(64), &[], rule).unwrap();
    assert_eq!(trial.losses(&slices(&batch)).unwrap(), at_first);
}

#[test]
fn a_card_lost_while_selecting_or_measuring_is_an_error_and_no_other_parameters() {
    let fake = driver();
    let start = initial_parameters(&shape(), 5);
    let zeros = vec![0.0; start.len()];
    let lost = two_steps(&start, |steps| {
        fake.fail_after(0);
        steps.select(&start, &zeros, &compression(64))
    });
    fake.fail_after(-1);
    assert!(matches!(lost, Err(TrainerError::Cuda(error)) if error.is_lost()));
    let batch = windows(0);
    let mut card = CudaTrainer::new(&shape(), CudaOptions::default()).unwrap();
    let mut trial = card.trial(&start).unwrap();
    fake.fail_after(3);
    assert!(trial.losses(&slices(&batch)).is_err());
    fake.fail_after(-1);
    assert!(trial.losses(&slices(&batch)).is_err());
    assert!(card.losses(&start, &slices(&batch)).is_ok());
}
