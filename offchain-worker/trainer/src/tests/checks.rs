//! What is refused, the schedule, and the arithmetic of AdamW.

use cairn_primitives::{Layout, ModelShape, Nano};

use super::{nano, numbers, optimizer, slices, tiny, windows};
use crate::optimizer::{learning_rate, norm, Update};
use crate::{initial_parameters, AdamState, StateError, Trainer, TrainerError};

fn shape_error(change: impl Fn(&mut ModelShape)) -> String {
    let mut shape = tiny(true);
    change(&mut shape);
    Trainer::new(&shape, 1)
        .err()
        .expect("an impossible shape")
        .to_string()
}

#[test]
fn impossible_shapes_are_refused() {
    assert!(shape_error(|s| s.layers = 0).contains("a size is zero"));
    assert!(shape_error(|s| s.rope_theta = 0).contains("a size is zero"));
    assert!(shape_error(|s| s.heads = 5).contains("`heads` does not divide `d_model`"));
    assert!(shape_error(|s| s.kv_heads = 2).contains("`kv_heads` does not divide `heads`"));
    assert!(shape_error(|s| s.d_model = 9).contains("the width of a head is odd"));
    assert!(shape_error(|s| s.d_model = 3 * 258).contains("a head is wider than 256"));
    let huge = |s: &mut ModelShape| (s.d_model, s.vocabulary) = (3 << 30, u32::MAX);
    assert!(shape_error(huge).contains("too many"));
}

#[test]
fn no_threads_are_refused() {
    let error = Trainer::new(&tiny(true), 0).err().unwrap();
    assert!(
        matches!(error, TrainerError::Threads { threads: 0, .. }),
        "{error}"
    );
}

#[test]
fn windows_that_do_not_fit_are_refused() {
    let shape = tiny(true);
    let mut trainer = Trainer::new(&shape, 1).unwrap();
    let params = initial_parameters(&shape, 1);
    let mut error = |windows: &[&[u32]]| trainer.losses(&params, windows).unwrap_err();
    assert!(matches!(error(&[]), TrainerError::NoWindows));
    assert!(matches!(
        error(&[&[1]]),
        TrainerError::Context {
            found: 1,
            context: 80
        }
    ));
    assert!(matches!(
        error(&[&[]]),
        TrainerError::Context { found: 0, .. }
    ));
    assert!(matches!(
        error(&[&[1; 82]]),
        TrainerError::Context { found: 82, .. }
    ));
    let other = error(&[&[1, 2, 3], &[1, 2]]);
    assert!(matches!(
        other,
        TrainerError::Window {
            window: 1,
            expected: 3,
            found: 2
        }
    ));
    let token = error(&[&[1, 2, 3], &[1, 2, 11]]).to_string();
    assert!(
        token.starts_with("window 1 has token 11 at 2, the vocabulary ends at 11;"),
        "{token}"
    );
    assert_eq!(trainer.losses(&params, &[&[1; 81]]).unwrap().len(), 1);
}

#[test]
fn a_step_that_is_refused_changes_nothing() {
    let shape = tiny(true);
    let mut trainer = Trainer::new(&shape, 1).unwrap();
    let mut params = initial_parameters(&shape, 1);
    let (before, mut adam) = (params.clone(), AdamState::new(params.len()));
    let good = windows(2, 9, 11, 1);
    let good = slices(&good);
    let mut step = |params: &mut [f32], adam: &mut AdamState, length, windows: &[&[u32]]| {
        trainer
            .step(params, adam, &optimizer(length), windows)
            .unwrap_err()
    };
    let error = step(&mut params, &mut adam, 7, &good);
    assert!(
        matches!(
            error,
            TrainerError::Window {
                window: 0,
                expected: 8,
                found: 9
            }
        ),
        "{error}"
    );
    let error = step(&mut params[1..], &mut adam, 8, &good);
    assert!(
        matches!(
            error,
            TrainerError::Length {
                what: "the vector of parameters",
                ..
            }
        ),
        "{error}"
    );
    let error = step(&mut params, &mut AdamState::new(3), 8, &good);
    assert!(
        matches!(error, TrainerError::Length { found: 3, .. }),
        "{error}"
    );
    let mut nothing = params.clone();
    nothing[0] = f32::NAN;
    let error = step(&mut nothing, &mut adam, 8, &[&[0; 9]]);
    assert!(matches!(error, TrainerError::NotFinite { .. }), "{error}");
    assert_eq!(nothing[1..], before[1..]);
    assert!((params, adam) == (before.clone(), AdamState::new(before.len())));
}

#[test]
fn the_learning_rate_at_its_knots() {
    let mut optimizer = optimizer(8);
    let near = |rate: f64, expected: f64| assert!((rate - expected).abs() < 1e-15, "{rate}");
    near(learning_rate(&optimizer, 0), 3e-3 / 4.0);
    near(learning_rate(&optimizer, 3), 3e-3);
    near(learning_rate(&optimizer, 4), 3e-3);
    near(learning_rate(&optimizer, 52), 3e-3 * 0.55);
    near(learning_rate(&optimizer, 100), 3e-4);
    near(learning_rate(&optimizer, u64::MAX), 3e-4);
    optimizer.warmup_steps = 0;
    near(learning_rate(&optimizer, 0), 3e-3);
    (optimizer.warmup_steps, optimizer.total_steps) = (10, 5);
    near(learning_rate(&optimizer, 9), 3e-3);
    near(learning_rate(&optimizer, 10), 3e-4);
}

/// Three updates of one element against AdamW written out in `f64`.
fn check_adam(decays: bool) {
    let optimizer = optimizer(8);
    let (mut w, mut m, mut v) = ([0.5f32], [0f32], [0f32]);
    let (mut w64, mut m64, mut v64) = (0.5f64, 0f64, 0f64);
    for (done, g) in [(0, 0.3f32), (1, -4.0), (2, 0.01)] {
        let norm = f64::from(g.abs());
        let update = Update::new(&optimizer, done, norm);
        update.apply(&mut w, &mut m, &mut v, &[g], &[(1, decays)]);
        let (t, rate) = (done as i32 + 1, learning_rate(&optimizer, done));
        let g = f64::from(g) * (1.0 / norm).min(1.0);
        m64 = 0.9 * m64 + 0.1 * g;
        v64 = 0.95 * v64 + 0.05 * g * g;
        let (mean, square) = (m64 / (1.0 - 0.9f64.powi(t)), v64 / (1.0 - 0.95f64.powi(t)));
        w64 -= if decays { rate * 0.1 * w64 } else { 0.0 };
        w64 -= rate * mean / (square.sqrt() + 1e-8);
        assert!((f64::from(w[0]) - w64).abs() < 1e-6, "{} for {w64}", w[0]);
    }
}

#[test]
fn adam_clips_corrects_and_decays() {
    check_adam(true);
    check_adam(false);
}

#[test]
fn only_matrices_decay() {
    let shape = tiny(true);
    let mut params = initial_parameters(&shape, 1);
    let before = params.clone();
    let mut optimizer = optimizer(8);
    // So small a rate of Adam itself that only decay is seen.
    (optimizer.learning_rate, optimizer.weight_decay) = (Nano::ONE, nano(0.5));
    (optimizer.epsilon, optimizer.warmup_steps) = (nano(1e9), 0);
    let windows = windows(2, 9, 11, 1);
    let mut adam = AdamState::new(params.len());
    let mut trainer = Trainer::new(&shape, 1).unwrap();
    trainer
        .step(&mut params, &mut adam, &optimizer, &slices(&windows))
        .unwrap();
    for (tensor, range) in Layout::of(&shape).ranges() {
        let share = if tensor.shape.len() == 2 { 0.5 } else { 1.0 };
        let kept = |i: usize| (params[i] - share * before[i]).abs() < 1e-6;
        assert!(range.clone().all(kept), "{}", tensor.name);
    }
}

#[test]
fn the_norm_is_euclids() {
    let gradient = numbers(10_000, 1);
    let expected = gradient
        .iter()
        .map(|x| f64::from(*x).powi(2))
        .sum::<f64>()
        .sqrt();
    assert!((norm(&gradient, &mut Vec::new()) - expected).abs() < 1e-9);
}

#[test]
fn a_saved_state_survives_the_journey() {
    let state = AdamState {
        m: numbers(33, 1),
        v: numbers(33, 2),
        step: 1 << 40,
    };
    assert_eq!(AdamState::from_bytes(&state.to_bytes()).unwrap(), state);
    let empty = AdamState::new(0);
    assert_eq!(AdamState::from_bytes(&empty.to_bytes()).unwrap(), empty);
}

#[test]
fn a_damaged_state_is_refused() {
    let good = AdamState {
        m: numbers(3, 1),
        v: numbers(3, 2),
        step: 7,
    }
    .to_bytes();
    let refused = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        AdamState::from_bytes(&bytes).unwrap_err()
    };
    assert_eq!(refused(0), StateError::Magic);
    assert_eq!(refused(8), StateError::Version { found: 3 });
    assert_eq!(refused(12), StateError::Checksum);
    assert_eq!(
        refused(20),
        StateError::Length {
            expected: 88,
            found: 92
        }
    );
    assert_eq!(refused(38), StateError::Checksum);
    assert_eq!(refused(91), StateError::Checksum);
    for length in 0..good.len() {
        assert!(AdamState::from_bytes(&good[..length]).is_err(), "{length}");
    }
    assert!(AdamState::from_bytes(&[&good[..], &[0]].concat()).is_err());
}
