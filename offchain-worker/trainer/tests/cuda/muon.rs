//! Steps whose matrices are Muon's, on the card against the CPU's.

use cairn_gradient::{select, SparseTensor};
use cairn_primitives::{Compression, InnerOptimizer, Layout, Matrices, ModelShape, Muon, Nano};
use cairn_trainer::{
    cuda::{iteration_bytes, CudaError, CudaOptions, CudaTrainer, Sending},
    initial_parameters, AdamState, Trainer, TrainerError,
};

use crate::{
    fake::{cards, driver},
    training::{self, distance, slices, windows},
};

/// How far losses, the way of the parameters and the moments may be from the CPU's after [`STEPS`] steps, relatively.
const LOSSES: f32 = 0.01;
const WAY: f64 = 0.1;
const MOMENTS: f64 = 0.03;
const STEPS: u64 = 8;

/// Of its matrices some have more rows than columns, some fewer, and some (keys and values) half as many.
fn shape(tied: bool) -> ModelShape {
    ModelShape {
        tied_embeddings: tied,
        ..training::shape()
    }
}

fn muon() -> Matrices {
    Matrices::Muon(Muon::default())
}

fn optimizer() -> InnerOptimizer {
    InnerOptimizer {
        matrices: muon(),
        ..training::optimizer()
    }
}

fn card(tied: bool) -> CudaTrainer {
    let options = CudaOptions {
        matrices: muon(),
        ..CudaOptions::default()
    };
    CudaTrainer::new(&shape(tied), options).unwrap()
}

fn fresh(tied: bool) -> (Vec<f32>, AdamState) {
    let shape = shape(tied);
    let adam = AdamState::of(&Layout::of(&shape), &optimizer());
    (initial_parameters(&shape, 4), adam)
}

/// Steps on a card: the loss before each, and what became of parameters and state.
fn on_card(
    card: &mut CudaTrainer,
    (params, adam): (&[f32], &AdamState),
    steps: std::ops::Range<u64>,
) -> (Vec<f32>, Vec<f32>, AdamState) {
    let mut under_way = card.begin(params, adam).unwrap();
    let losses = steps.map(|step| {
        let windows = windows(step);
        under_way.step(&optimizer(), &slices(&windows)).unwrap()
    });
    let losses = losses.collect();
    let (params, adam) = under_way.finish().unwrap();
    (losses, params, adam)
}

/// The same on the CPU, in place.
fn on_cpu(
    tied: bool,
    params: &mut [f32],
    adam: &mut AdamState,
    steps: std::ops::Range<u64>,
) -> Vec<f32> {
    let mut cpu = Trainer::new(&shape(tied), 1).unwrap();
    let losses = steps.map(|step| {
        let windows = windows(step);
        let made = cpu.step(params, adam, &optimizer(), &slices(&windows));
        made.unwrap()
    });
    losses.collect()
}

fn moved(to: &[f32], from: &[f32]) -> Vec<f32> {
    to.iter().zip(from).map(|(to, from)| to - from).collect()
}

#[test]
fn steps_are_the_cpus_within_rounding() {
    for tied in [true, false] {
        driver();
        let (start, begun) = fresh(tied);
        let (losses, got, got_adam) = on_card(&mut card(tied), (&start, &begun), 0..STEPS);
        let (mut params, mut adam) = (start.clone(), begun);
        let want = on_cpu(tied, &mut params, &mut adam, 0..STEPS);
        let apart = losses.iter().zip(&want).map(|(a, b)| (a - b).abs() / b);
        let apart = apart.fold(0f32, f32::max);
        println!(
            "losses {apart:.1e}, from {} to {}",
            want[0],
            want[want.len() - 1]
        );
        assert!(apart < LOSSES, "losses: {apart}");
        // What was learnt is more than the tolerance.
        assert!(want[want.len() - 1] < 0.9 * want[0], "{want:?}");
        let mut furthest = 0f64;
        for (tensor, at) in Layout::of(&shape(tied)).ranges() {
            let way = |to: &[f32]| moved(&to[at.clone()], &start[at.clone()]);
            let apart = distance(&way(&got), &way(&params));
            furthest = furthest.max(apart);
            assert!(apart < WAY, "the way of {}: {apart}", tensor.name);
        }
        assert_eq!((got_adam.step, got_adam.v.len()), (STEPS, adam.v.len()));
        let apart = (
            distance(&got_adam.m, &adam.m),
            distance(&got_adam.v, &adam.v),
        );
        println!(
            "way {furthest:.1e}, moments {:.1e} and {:.1e}",
            apart.0, apart.1
        );
        assert!(apart.0 < MOMENTS && apart.1 < MOMENTS, "moments: {apart:?}");
    }
}

/// Each of the card's steps from where the CPU is: what one step's rounding makes of it, and whether a state goes on.
#[test]
fn a_step_goes_on_from_the_cpus_state() {
    driver();
    let (mut params, mut adam) = fresh(false);
    let mut card = card(false);
    for step in 0..4 {
        let before = params.clone();
        let (_, got, got_adam) = on_card(&mut card, (&params, &adam), step..step + 1);
        on_cpu(false, &mut params, &mut adam, step..step + 1);
        let apart = distance(&moved(&got, &before), &moved(&params, &before));
        println!("step {step}: {apart:.1e}");
        assert!(apart < WAY, "step {step}: {apart}");
        let apart = (
            distance(&got_adam.m, &adam.m),
            distance(&got_adam.v, &adam.v),
        );
        assert!(
            apart.0 < MOMENTS && apart.1 < MOMENTS,
            "step {step}: {apart:?}"
        );
        assert_eq!(got_adam.step, adam.step);
    }
}

#[test]
fn a_schedule_changes_no_bit_and_a_recorded_graph_neither() {
    driver();
    let (start, begun) = fresh(false);
    let in_order = on_card(&mut card(false), (&start, &begun), 0..4);
    for seed in [1, 2] {
        driver().seed(seed);
        let again = on_card(&mut card(false), (&start, &begun), 0..4);
        assert_eq!(again, in_order, "schedule {seed}");
    }
    // Steps are replayed from the third on; a fresh card's first is not even recorded.
    driver();
    let (mut params, mut adam) = (start, begun);
    for step in 0..4 {
        let windows = windows(step);
        let mut fresh = card(false);
        let made = fresh.step(&mut params, &mut adam, &optimizer(), &slices(&windows));
        assert_eq!(made.unwrap(), in_order.0[step as usize]);
    }
    assert_eq!((params, adam), (in_order.1, in_order.2));
}

#[test]
fn state_comes_back_as_it_was_put_and_goes_on_with_the_same_bits() {
    driver();
    let (start, begun) = fresh(true);
    let straight = on_card(&mut card(true), (&start, &begun), 0..4);
    let (_, params, adam) = on_card(&mut card(true), (&start, &begun), 0..2);
    assert!(adam.v.len() < adam.m.len() && adam.m.iter().any(|number| *number != 0.0));
    // By way of a file, and of another card.
    let adam = AdamState::from_bytes(&adam.to_bytes()).unwrap();
    let mut other = card(true);
    let steps = other.begin(&params, &adam).unwrap();
    assert_eq!(steps.finish().unwrap(), (params.clone(), adam.clone()));
    let (_, got, got_adam) = on_card(&mut other, (&params, &adam), 2..4);
    assert_eq!((got, got_adam), (straight.1, straight.2));
}

#[test]
fn what_is_not_finite_changes_nothing() {
    driver();
    let (start, begun) = fresh(false);
    let mut card = card(false);
    let (_, mut params, adam) = on_card(&mut card, (&start, &begun), 0..3);
    let layout = Layout::of(&shape(false));
    let (_, of_block) = layout
        .ranges()
        .find(|(tensor, _)| tensor.is_of_a_block())
        .unwrap();
    params[of_block.start] = f32::INFINITY;
    // By launches and by a graph that was recorded when all was well, alike.
    for card in [&mut self::card(false), &mut card] {
        let mut steps = card.begin(&params, &adam).unwrap();
        let windows = windows(0);
        for _ in 0..2 {
            let error = steps.step(&optimizer(), &slices(&windows)).unwrap_err();
            assert!(matches!(error, TrainerError::NotFinite { .. }), "{error}");
        }
        assert_eq!(steps.finish().unwrap(), (params.clone(), adam.clone()));
    }
}

#[test]
fn what_is_sent_has_the_cpus_bits_and_moments_come_with_it() {
    driver();
    let (start, begun) = fresh(false);
    let layout = Layout::of(&shape(false));
    let compression = Compression {
        kept_per_block: 64,
        error_decay: Nano(950_000_000),
        turn: None,
    };
    let mut card = card(false);
    let mut of_rounds = Vec::new();
    for _ in 0..2 {
        let (_, after, moments) = on_card(&mut card, (&start, &begun), 0..3);
        let feedback = vec![1e-4; start.len()];
        let steps = card.steps().unwrap();
        let sending = steps.select(&start, &feedback, &compression).unwrap();
        let Sending {
            selected,
            error,
            adam,
        } = sending.clone();
        assert_eq!(adam, moments);
        let mut left = feedback;
        let want = select(&layout, &compression, &moved(&start, &after), &mut left).unwrap();
        let want: Vec<_> = want.iter().map(SparseTensor::selected).cloned().collect();
        assert_eq!((selected, error), (want, left));
        of_rounds.push(sending);
    }
    // What selecting leaves in the memory of the moments is not gone on from.
    assert_eq!(of_rounds[0], of_rounds[1]);
}

#[test]
fn clipping_is_the_cpus() {
    driver();
    let (start, begun) = fresh(false);
    let inner = InnerOptimizer {
        clip_norm: Nano(10_000_000),
        ..optimizer()
    };
    let windows = windows(0);
    let mut adam = begun.clone();
    let mut params = start.clone();
    card(false)
        .step(&mut params, &mut adam, &inner, &slices(&windows))
        .unwrap();
    let (mut want_params, mut want) = (start, begun);
    let mut cpu = Trainer::new(&shape(false), 1).unwrap();
    cpu.step(&mut want_params, &mut want, &inner, &slices(&windows))
        .unwrap();
    // (1 − μ) times what is left of the gradient, of which matrices have most.
    let size = want
        .m
        .iter()
        .map(|m| f64::from(*m).powi(2))
        .sum::<f64>()
        .sqrt();
    assert!(size < 0.1 * 0.01 && size > 0.04 * 0.01, "{size}");
    assert!(distance(&adam.m, &want.m) < 0.02);
}

#[test]
fn several_cards_refuse_it() {
    cards(2);
    let options = CudaOptions {
        others: 1,
        matrices: muon(),
        ..CudaOptions::default()
    };
    let error = CudaTrainer::new(&shape(false), options).err().unwrap();
    assert!(matches!(error, CudaError::Matrices { ranks: 2 }), "{error}");
    let text = error.to_string();
    assert!(!text.contains('\n') && text.contains("one GPU"), "{text}");
    let both = CudaOptions {
        matrices: Matrices::AdamW,
        ..options
    };
    assert!(CudaTrainer::new(&shape(false), both).is_ok());
}

#[test]
fn the_state_and_the_steps_of_another_optimizer_are_refused() {
    driver();
    let (start, muons) = fresh(false);
    let adams = AdamState::new(start.len());
    let mut adamw = CudaTrainer::new(&shape(false), CudaOptions::default()).unwrap();
    let is_second = |error: TrainerError| match error {
        TrainerError::Length { what, .. } => assert!(what.contains("second moment"), "{what}"),
        error => panic!("{error}"),
    };
    let mut muon = card(false);
    is_second(muon.begin(&start, &adams).err().unwrap());
    is_second(adamw.begin(&start, &muons).err().unwrap());
    let windows = windows(0);
    let windows = slices(&windows);
    let mut steps = muon.begin(&start, &muons).unwrap();
    is_second(steps.step(&training::optimizer(), &windows).unwrap_err());
    assert_eq!(steps.finish().unwrap(), (start.clone(), muons));
    let mut steps = adamw.begin(&start, &adams).unwrap();
    is_second(steps.step(&optimizer(), &windows).unwrap_err());
    assert_eq!(steps.finish().unwrap(), (start, adams));
}

#[test]
fn a_card_that_is_lost_in_mid_step_loses_no_state() {
    let fake = driver();
    let (start, begun) = fresh(true);
    let (_, params, adam) = on_card(&mut card(true), (&start, &begun), 0..2);
    let batch = windows(2);
    let mut card = card(true);
    let step = |card: &mut CudaTrainer| {
        let (mut params, mut adam) = (params.clone(), adam.clone());
        let made = card.step(&mut params, &mut adam, &optimizer(), &slices(&batch));
        (made.map_err(|error| error.to_string()), params, adam)
    };
    let want = step(&mut card);
    assert!(want.0.is_ok());
    // Of Muon's launches there are more than of all others.
    for launches in [60, 120, 180] {
        fake.fail_after(launches);
        let (made, same, state) = step(&mut card);
        fake.fail_after(-1);
        assert!(made.unwrap_err().contains("lost"), "after {launches}");
        assert_eq!((&same, &state), (&params, &adam));
        assert_eq!(step(&mut card), want);
    }
}

#[test]
fn memory_is_that_of_the_moments_there_are_and_of_an_iteration() {
    driver();
    let shape = shape(false);
    let taken = |matrices| {
        let options = CudaOptions {
            matrices,
            ..CudaOptions::default()
        };
        let mut card = CudaTrainer::new(&shape, options).unwrap();
        card.memory_taken().unwrap() as i64
    };
    let layout = Layout::of(&shape);
    let seconds = |matrices: Matrices| 4 * matrices.second_moments(&layout) as i64;
    let fewer = seconds(Matrices::AdamW) - seconds(muon());
    // The largest are 64 by 32: 6 bytes an element, and 8 of a square of the shorter side.
    let iteration = iteration_bytes(&layout) as i64;
    assert_eq!(iteration, 6 * 64 * 32 + 8 * 32 * 32);
    let more = taken(muon()) - taken(Matrices::AdamW) + fewer - iteration;
    // Its numbers and a norm, less the list of pieces that are not AdamW's.
    assert!(more.abs() < 1_024, "{more}");
}
