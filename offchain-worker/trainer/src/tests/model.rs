//! The whole model against its reference, and whether it learns.

use super::{
    assert_gradient, assert_near, lively_weights, optimizer, reference, slices, small, tiny, wide,
    windows,
};
use crate::{initial_weights, AdamState, Trainer};

fn check_gradient(tied: bool) {
    let shape = tiny(tied);
    let params = lively_weights(&shape);
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
    let params = initial_weights(&shape, 3);
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
        .losses(&initial_weights(&shape, 3), &slices(&windows))
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
    let mut params = initial_weights(&shape, 1);
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
