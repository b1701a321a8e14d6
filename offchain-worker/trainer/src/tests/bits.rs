//! The promise that the same arguments give the same bits.
//!
//! The hashes are part of it: if one of them changes, so does what every miner computes. To record them anew
//! after a change that is meant, run `cargo test -p cairn-trainer bits` and take what the failures print; then
//! see that another machine, best one with AVX-512, agrees.

use cairn_primitives::{Layout, ModelShape};

use super::{optimizer, slices, small, tiny, windows};
use crate::{initial_parameters, AdamState, Settings, Trainer, TrainerError};

fn hash(numbers: &[f32]) -> String {
    assert!(numbers.iter().all(|x| x.is_finite()));
    let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    blake3::hash(&bytes).to_string()
}

/// Parameters, losses and state after some steps on `threads` threads.
fn train(
    shape: &ModelShape,
    threads: usize,
    steps: u64,
    length: usize,
) -> (Vec<f32>, Vec<f32>, AdamState) {
    let mut trainer = Trainer::new(shape, threads).unwrap();
    let mut params = initial_parameters(shape, 42);
    let mut adam = AdamState::new(params.len());
    let optimizer = optimizer(length as u32);
    let step = |i| {
        let windows = windows(5, length + 1, shape.vocabulary, i);
        trainer
            .step(&mut params, &mut adam, &optimizer, &slices(&windows))
            .unwrap()
    };
    let losses = (0..steps).map(step).collect();
    (params, losses, adam)
}

#[test]
fn initial_parameters_are_these() {
    let recorded = "675d3e6f2bb2ef1b0389c773c4104f716a462909bbe1c25b97313cf3547c7ba5";
    assert_eq!(hash(&initial_parameters(&tiny(false), 42)), recorded);
}

/// Asserts the hash of the parameters after some steps, on one thread and on two.
fn assert_hash(shape: &ModelShape, steps: u64, length: usize, recorded: &str) {
    for threads in [1, 2] {
        let found = hash(&train(shape, threads, steps, length).0);
        assert_eq!(found, recorded, "{threads} threads, {}", crate::simd());
    }
}

#[test]
fn parameters_after_some_steps_are_these() {
    let recorded = "ac06a4e59dd33f73076361b1832516292f2eef9fe49944cd8b4340525b1ecd79";
    assert_hash(&tiny(false), 3, 70, recorded);
}

#[test]
fn parameters_after_a_step_are_these() {
    let recorded = "c4919d5be1bbf70fcb7fa72f1fc64fe532479fc75b095eef5a585650cd7f6fd8";
    assert_hash(&small(), 1, 128, recorded);
}

#[test]
fn parameters_after_fifty_steps_are_these() {
    let recorded = "d988e64add65f1948832ed7dac759fc85618b70ae6844f8cd7cf65b49d1810f5";
    assert_hash(&small(), 50, 128, recorded);
}

#[test]
fn the_environment_can_switch_avx512_off() {
    if std::env::var_os("CAIRN_SIMD").is_some_and(|simd| simd == "avx2") {
        assert_eq!(crate::simd(), "avx2");
    }
}

/// This program once more, with AVX-512 switched off: the same hashes.
#[test]
fn avx512_changes_no_bit() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .env("CAIRN_SIMD", "avx2")
        .args(["--exact", "--test-threads=1"])
        .args(
            [
                "parameters_after_a_step_are_these",
                "parameters_after_fifty_steps_are_these",
            ]
            .map(test),
        )
        .args([test("the_environment_can_switch_avx512_off")])
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("3 passed"), "{printed}");
}

/// The full name of a test of this file.
fn test(name: &str) -> String {
    format!("tests::bits::{name}")
}

#[test]
fn threads_change_no_bit() {
    let one = train(&small(), 1, 5, 100);
    assert!(train(&small(), 3, 5, 100) == one);
    let lengths = Layout::of(&small())
        .0
        .iter()
        .map(|tensor| tensor.len())
        .sum::<usize>();
    assert_eq!(one.0.len(), lengths);
}

/// Loss and gradient of eight windows of 64 tokens.
fn gradient(shape: &ModelShape, settings: Settings) -> (u32, Vec<f32>) {
    let windows = windows(8, 65, shape.vocabulary, 3);
    let mut trainer = Trainer::new(shape, 2).unwrap().with_settings(settings);
    let params = initial_parameters(shape, 1);
    let (loss, gradient) = trainer.gradient(&params, &slices(&windows)).unwrap();
    (loss.to_bits(), gradient.to_vec())
}

#[test]
fn recomputation_and_accumulation_change_no_bit() {
    for tied_embeddings in [true, false] {
        let shape = ModelShape {
            layers: 3,
            tied_embeddings,
            ..small()
        };
        let plain = gradient(&shape, Settings::default());
        for recompute in [false, true] {
            for windows_at_once in [None, Some(4), Some(8), Some(100)] {
                let settings = Settings {
                    recompute,
                    windows_at_once,
                };
                assert!(gradient(&shape, settings) == plain, "{settings:?}");
            }
        }
    }
}

#[test]
fn parts_that_would_change_bits_are_refused() {
    let shape = small();
    let params = initial_parameters(&shape, 1);
    let windows = windows(8, 65, shape.vocabulary, 3);
    for windows_at_once in [0, 1, 3, 5] {
        let settings = Settings {
            recompute: false,
            windows_at_once: Some(windows_at_once),
        };
        let mut trainer = Trainer::new(&shape, 1).unwrap().with_settings(settings);
        let error = trainer.gradient(&params, &slices(&windows)).unwrap_err();
        assert!(
            matches!(error, TrainerError::Accumulation { multiple: 4, .. }),
            "{error}"
        );
    }
}

#[test]
fn what_was_computed_before_changes_no_bit() {
    let shape = small();
    let params = initial_parameters(&shape, 1);
    let (short, long) = (windows(7, 12, 300, 1), windows(2, 129, 300, 2));
    let fresh = Trainer::new(&shape, 1)
        .unwrap()
        .gradient(&params, &slices(&long))
        .unwrap()
        .1
        .to_vec();
    let mut trainer = Trainer::new(&shape, 1).unwrap();
    trainer.gradient(&params, &slices(&short)).unwrap();
    trainer.losses(&params, &slices(&long)).unwrap();
    trainer
        .losses(&initial_parameters(&shape, 2), &slices(&short))
        .unwrap();
    assert!(trainer.gradient(&params, &slices(&long)).unwrap().1 == fresh);
}

#[test]
fn a_windows_loss_does_not_depend_on_the_others() {
    let shape = small();
    let params = initial_parameters(&shape, 1);
    let mut trainer = Trainer::new(&shape, 2).unwrap();
    // More tokens than are taken at once.
    let windows = windows(50, 100, shape.vocabulary, 1);
    let together = trainer.losses(&params, &slices(&windows)).unwrap();
    for (window, loss) in windows.iter().zip(&together).step_by(7) {
        let alone = trainer.losses(&params, &[window]).unwrap();
        assert_eq!(alone[0].to_bits(), loss.to_bits());
    }
}

#[test]
fn losses_alone_have_the_bits_of_those_with_a_gradient() {
    let shape = small();
    let params = initial_parameters(&shape, 1);
    let windows = windows(3, 129, shape.vocabulary, 1);
    for threads in 1..=2 {
        let mut trainer = Trainer::new(&shape, threads).unwrap();
        for window in &windows {
            let kept = trainer.gradient(&params, &[window]).unwrap().0;
            let alone = trainer.losses(&params, &[window]).unwrap();
            assert_eq!(alone[0].to_bits(), kept.to_bits());
        }
    }
}

#[test]
fn a_state_that_was_saved_goes_on_with_the_same_bits() {
    let shape = tiny(true);
    let straight = train(&shape, 1, 4, 9);
    let (mut params, _, adam) = train(&shape, 1, 2, 9);
    let mut adam = AdamState::from_bytes(&adam.to_bytes()).unwrap();
    let mut trainer = Trainer::new(&shape, 1).unwrap();
    for i in 2..4 {
        let windows = windows(5, 10, shape.vocabulary, i);
        trainer
            .step(&mut params, &mut adam, &optimizer(9), &slices(&windows))
            .unwrap();
    }
    assert!((params, adam) == (straight.0, straight.2));
}

#[test]
fn initial_parameters_are_normal_ones_and_scaled_by_depth() {
    let shape = small();
    let parameters = initial_parameters(&shape, 9);
    for (tensor, range) in Layout::of(&shape).ranges() {
        let (values, n) = (&parameters[range], tensor.len() as f64);
        let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
        let deviation = (values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / n).sqrt();
        let residual = tensor.name.contains("o_proj") || tensor.name.contains("down_proj");
        let expected = match tensor.shape.len() {
            1 => 1.0,
            _ if residual => 0.01,
            _ => 0.02,
        };
        assert!(
            (deviation / expected - 1.0).abs() < 0.06,
            "{}: {deviation}",
            tensor.name
        );
        assert!(
            tensor.shape.len() == 1 || mean.abs() < 0.1 * expected,
            "{}: {mean}",
            tensor.name
        );
    }
    assert_ne!(parameters, initial_parameters(&shape, 10));
}
