//! What happens when something is missing or breaks: a typed error of one line, and no lost state.

use cairn_primitives::ModelShape;
use cairn_trainer::{
    cuda::{Card, CudaError, CudaOptions, CudaTrainer},
    initial_parameters, AdamState, TrainerError,
};

use crate::{
    fake::driver,
    training::{optimizer, shape, slices, windows},
};

fn opened(options: CudaOptions) -> Result<CudaTrainer, CudaError> {
    CudaTrainer::new(&shape(), options)
}

fn one_line(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    assert!(!text.contains('\n') && text.contains(';'), "{text}");
    text
}

#[test]
fn the_card_is_described() {
    driver();
    let cards = Card::all().unwrap();
    assert_eq!(cards.len(), 1);
    assert_eq!(cards[0].arch(), "sm_90");
}

#[test]
fn a_card_that_is_not_there_is_named() {
    driver();
    let options = CudaOptions {
        ordinal: 3,
        ..CudaOptions::default()
    };
    let error = opened(options).err().unwrap();
    assert!(matches!(
        error,
        CudaError::NoCard {
            ordinal: 3,
            count: 1
        }
    ));
    one_line(&error);
}

#[test]
fn an_old_driver_is_told_apart() {
    let fake = driver();
    fake.version(12_040);
    let error = opened(CudaOptions::default()).err().unwrap();
    fake.version(13_000);
    assert!(matches!(error, CudaError::OldDriver { .. }), "{error}");
    assert!(one_line(&error).contains("12.4"));
}

#[test]
fn a_model_that_no_kernel_fits_is_refused() {
    driver();
    for (d_model, heads) in [(320, 2), (24, 2)] {
        let shape = ModelShape {
            d_model,
            heads,
            ..shape()
        };
        let error = CudaTrainer::new(&shape, CudaOptions::default())
            .err()
            .unwrap();
        assert!(matches!(error, CudaError::Shape { .. }), "{error}");
    }
}

#[test]
fn too_little_memory_is_an_error_with_figures_and_changes_nothing() {
    let fake = driver();
    // Enough for cuBLASLt's workspace, not for the model.
    fake.memory((32 << 20) + 1000);
    let error = opened(CudaOptions::default()).err().unwrap();
    fake.memory(8 << 30);
    assert!(matches!(error, CudaError::OutOfMemory { .. }), "{error}");
    assert!(one_line(&error).contains("MiB"));

    // Enough for the model, not for a batch.
    let start = initial_parameters(&shape(), 1);
    let adam = AdamState::new(start.len());
    let mut card = opened(CudaOptions::default()).unwrap();
    let (mut params, mut state) = (start.clone(), adam.clone());
    fake.memory(0);
    let windows = windows(0);
    let error = card.step(&mut params, &mut state, &optimizer(), &slices(&windows));
    fake.memory(8 << 30);
    assert!(
        matches!(
            error,
            Err(TrainerError::Cuda(CudaError::OutOfMemory { .. }))
        ),
        "{error:?}"
    );
    assert_eq!((&params, &state), (&start, &adam));
    card.step(&mut params, &mut state, &optimizer(), &slices(&windows))
        .unwrap();
}

#[test]
fn a_batch_that_does_not_fit_is_computed_in_parts() {
    let fake = driver();
    let params = initial_parameters(&shape(), 1);
    let windows = windows(0);
    let gradient = |memory: u64| {
        fake.memory(8 << 30);
        let mut card = opened(CudaOptions::default()).unwrap();
        // What is in use already, and little more.
        fake.memory((32 << 20) + memory);
        let result = card
            .gradient(&params, &slices(&windows))
            .map(|(loss, _)| loss);
        fake.memory(8 << 30);
        result
    };
    let enough = gradient(4 << 20).unwrap();
    let little = gradient(1_000_000).unwrap();
    assert!((enough - little).abs() < 1e-5, "{enough} {little}");
}

#[test]
fn a_card_lost_in_mid_step_loses_no_state_and_can_come_back() {
    let fake = driver();
    let start = initial_parameters(&shape(), 2);
    let adam = AdamState::new(start.len());
    let batch = windows(0);
    let mut card = opened(CudaOptions::default()).unwrap();
    for launches in [0, 1, 7, 20] {
        let (mut params, mut state) = (start.clone(), adam.clone());
        fake.fail_after(launches);
        let error = card
            .step(&mut params, &mut state, &optimizer(), &slices(&batch))
            .unwrap_err();
        fake.fail_after(-1);
        let TrainerError::Cuda(lost) = &error else {
            panic!("{error}");
        };
        assert!(lost.is_lost() && one_line(lost).contains("lost"), "{lost}");
        assert_eq!((&params, &state), (&start, &adam));
        // The next call opens the card again.
        card.step(&mut params, &mut state, &optimizer(), &slices(&batch))
            .unwrap();
        assert_ne!(params, start);
    }
}

/// A card that no other test uses.
const BROKEN: i32 = 30;

#[test]
fn a_card_that_stays_lost_asks_for_another_process() {
    let fake = driver();
    fake.cards(BROKEN + 1);
    let start = initial_parameters(&shape(), 2);
    let adam = AdamState::new(start.len());
    let batch = windows(0);
    let mut card = opened(CudaOptions {
        ordinal: BROKEN as usize,
        ..CudaOptions::default()
    })
    .unwrap();
    let (mut params, mut state) = (start.clone(), adam.clone());
    let mut step = || {
        let made = card.step(&mut params, &mut state, &optimizer(), &slices(&batch));
        match made {
            Ok(_) => None,
            Err(TrainerError::Cuda(error)) => Some(error),
            Err(error) => panic!("{error}"),
        }
    };
    fake.broken(BROKEN, true);
    assert!(step().unwrap().is_lost());
    for _ in 0..2 {
        let error = step().unwrap();
        assert!(matches!(error, CudaError::Broken { .. }), "{error}");
        assert!(one_line(&error).contains("started again"), "{error}");
    }
    fake.broken(BROKEN, false);
    // Memory may be there again later, in the same process.
    fake.memory(1 << 20);
    let error = step().unwrap();
    assert!(matches!(error, CudaError::OutOfMemory { .. }), "{error}");
    // Where there is not even enough for a context, the driver says so, too.
    fake.memory(0);
    let error = step().unwrap();
    assert!(matches!(error, CudaError::Driver { .. }), "{error}");
    fake.memory(8 << 30);
    assert!(step().is_none());
    assert_ne!(params, start);
}

#[test]
fn steps_after_a_loss_are_refused() {
    let fake = driver();
    let start = initial_parameters(&shape(), 2);
    let mut card = opened(CudaOptions::default()).unwrap();
    let mut steps = card.begin(&start, &AdamState::new(start.len())).unwrap();
    let batch = windows(0);
    steps.step(&optimizer(), &slices(&batch)).unwrap();
    fake.fail_after(3);
    assert!(steps.step(&optimizer(), &slices(&batch)).is_err());
    fake.fail_after(-1);
    // A card opened anew would have other parameters.
    assert!(steps.step(&optimizer(), &slices(&batch)).is_err());
    assert!(steps.finish().is_err());
}

#[test]
fn a_gradient_that_is_not_finite_changes_no_weight() {
    driver();
    let mut start = initial_parameters(&shape(), 2);
    let adam = AdamState::new(start.len());
    start[100] = f32::INFINITY;
    let mut card = opened(CudaOptions::default()).unwrap();
    let (mut params, mut state) = (start.clone(), adam.clone());
    let batch = windows(0);
    let error = card.step(&mut params, &mut state, &optimizer(), &slices(&batch));
    assert!(
        matches!(error, Err(TrainerError::NotFinite { .. })),
        "{error:?}"
    );
    assert_eq!((params, state), (start, adam));
}
