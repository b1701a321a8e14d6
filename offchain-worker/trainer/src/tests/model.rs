//! The whole model against its reference, and whether it learns.

use super::{
    assert_gradient, assert_near, lively_parameters, optimizer, reference, slices, small, tiny,
    wide, windows,
};
use crate::{config, initial_parameters, AdamState, Settings, Trainer};

fn check_gradient(tied: bool) {
    let shape = tiny(tied);
    let params = lively_parameters(&shape);
    let windows = windows(2, 7, shape.vocabulary, 1);
    let windows = slices(&windows);
    let mut trainer = Trainer::new(&shape, 1).unwrap();
    let (loss, gradient) = trainer.gradient(&params, &windows).unwrap();
    let loss_at = |params: &[f64]| reference::mean_loss(&shape, params, &windows);
    assert_near("loss", &[loss], &[loss_at(&wide(&params))]);
    assert_gradient("gradient", gradient, &wide(&params), loss_at);
}

#[test]
fn the_gradient_is_that_of_the_reference_with_a_tied_head() {
    check_gradient(true);
}

#[test]
fn the_gradient_is_that_of_the_reference_with_a_head_of_its_own() {
    check_gradient(false);
}

#[test]
fn losses_are_those_of_the_reference() {
    // Sequences of more than one block of queries, more rows than one block of logits.
    let shape = small();
    let params = initial_parameters(&shape, 3);
    let windows = windows(3, 129, shape.vocabulary, 2);
    let windows = slices(&windows);
    let ours = Trainer::new(&shape, 2)
        .unwrap()
        .losses(&params, &windows)
        .unwrap();
    let theirs = reference::losses(&shape, &wide(&params), &windows);
    let means: Vec<f64> = theirs
        .chunks(128)
        .map(|loss| loss.iter().sum::<f64>() / 128.0)
        .collect();
    assert_near("losses", &ours, &means);
}

#[test]
fn an_untrained_model_knows_nothing() {
    let shape = small();
    let windows = windows(2, 65, shape.vocabulary, 2);
    let mut trainer = Trainer::new(&shape, 1).unwrap();
    let loss = trainer
        .losses(&initial_parameters(&shape, 3), &slices(&windows))
        .unwrap();
    let uniform = f64::from(shape.vocabulary).ln();
    assert!(
        loss.iter()
            .all(|loss| (f64::from(*loss) - uniform).abs() < 0.1),
        "{loss:?}"
    );
}

#[test]
fn a_small_batch_is_learned_by_heart() {
    let shape = tiny(true);
    let windows = windows(2, 17, shape.vocabulary, 1);
    let windows = slices(&windows);
    let mut trainer = Trainer::new(&shape, 1).unwrap();
    let mut params = initial_parameters(&shape, 1);
    let mut adam = AdamState::new(params.len());
    let mut optimizer = optimizer(16);
    optimizer.learning_rate = super::nano(0.02);
    optimizer.total_steps = 200;
    let first = trainer
        .step(&mut params, &mut adam, &optimizer, &windows)
        .unwrap();
    for _ in 0..199 {
        trainer
            .step(&mut params, &mut adam, &optimizer, &windows)
            .unwrap();
    }
    let last = trainer.losses(&params, &windows).unwrap();
    assert!((f64::from(first) - 11f64.ln()).abs() < 0.1, "{first}");
    assert!(last.iter().all(|loss| *loss < 0.3), "{last:?}");
    assert_eq!(adam.step, 200);
}

/// What is promised beforehand is what is allocated, but for buffers of one layer and of the packed parameters.
#[test]
fn memory_is_as_announced() {
    let shape = config::named("tiny").unwrap();
    let params = initial_parameters(&shape, 1);
    let windows = windows(8, 129, shape.vocabulary, 1);
    let needs = config::Needs::of(&shape, 8, 128);
    for recompute in [false, true] {
        let settings = Settings {
            recompute,
            windows_at_once: None,
        };
        let mut trainer = Trainer::new(&shape, 1).unwrap().with_settings(settings);
        trainer.gradient(&params, &slices(&windows)).unwrap();
        let activations = match recompute {
            true => needs.activations_recomputed,
            false => needs.activations,
        };
        let found = trainer.buffer_bytes() as u64;
        let announced = needs.gradient + needs.logits + activations;
        let (d, ffn) = (128, 384);
        let layer = 4 * (8 * 128 * (7 * d + 2 * d + ffn) + 4 * d * d + 3 * d * ffn);
        assert!(
            found > announced && found < announced + layer + 100_000,
            "{found} for {announced}"
        );
    }
}

#[test]
fn logits_are_those_behind_the_losses() {
    let shape = tiny(false);
    let params = lively_parameters(&shape);
    let tokens: Vec<u32> = (0..9).map(|i| i * 5 % 11).collect();
    let mut trainer = Trainer::new(&shape, 1).unwrap();
    let logits = trainer.logits(&params, &tokens[..8]).unwrap();
    let losses = reference::cross_entropy(&wide(&logits), &tokens[1..]);
    let mean = losses.iter().sum::<f64>() / 8.0;
    let expected = trainer.losses(&params, &[&tokens]).unwrap();
    assert_near("losses", &expected, &[mean]);
}
