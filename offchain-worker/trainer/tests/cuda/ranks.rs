//! Steps that several cards make together, beside those of one. Cards that a test breaks are used by no other.

use std::time::Duration;

use cairn_gradient::{select, SparseTensor};
use cairn_primitives::{Compression, Layout, Nano};
use cairn_trainer::{
    cuda::{CudaError, CudaOptions, CudaTrainer, Sending},
    initial_parameters, AdamState, TrainerError,
};

use crate::{
    fake::cards,
    training::{distance, optimizer, shape, slices, windows},
};

/// How far losses, the way of the parameters and the moments may be from one card's, relatively. Sums are added in
/// another order, and some numbers are then rounded to another bfloat16.
const LOSSES: f32 = 1e-4;
const WAY: f64 = 2e-2;
const MOMENTS: f64 = 1e-2;

/// Sequences of each step: as many as ranks, fewer, more, and numbers that cannot be shared out evenly.
const COUNTS: [usize; 6] = [4, 3, 1, 4, 2, 4];

/// `ranks` cards from one on.
fn from(ordinal: usize, ranks: usize) -> CudaOptions {
    CudaOptions {
        ordinal,
        others: ranks - 1,
        ..CudaOptions::default()
    }
}

fn opened(options: CudaOptions) -> CudaTrainer {
    CudaTrainer::new(&shape(), options).unwrap()
}

fn fresh() -> (Vec<f32>, AdamState) {
    let start = initial_parameters(&shape(), 5);
    let adam = AdamState::new(start.len());
    (start, adam)
}

/// Where steps led, and the loss before each.
type Led = (Vec<f32>, Vec<f32>, AdamState);

/// The steps with these numbers.
fn led(
    card: &mut CudaTrainer,
    (params, adam): (&[f32], &AdamState),
    steps: std::ops::Range<usize>,
) -> Led {
    let mut under_way = card.begin(params, adam).unwrap();
    let losses = steps.map(|step| {
        let windows = windows(step as u64);
        let windows = slices(&windows);
        let some = &windows[..COUNTS[step]];
        under_way.step(&optimizer(), some).unwrap()
    });
    let losses = losses.collect();
    let (params, adam) = under_way.finish().unwrap();
    (losses, params, adam)
}

fn all_steps(options: CudaOptions) -> Led {
    let (start, adam) = fresh();
    led(&mut opened(options), (&start, &adam), 0..COUNTS.len())
}

fn assert_near(got: &Led, want: &Led) {
    for (got, want) in got.0.iter().zip(&want.0) {
        assert!((got - want).abs() < LOSSES * want, "{got} {want}");
    }
    let start = fresh().0;
    let way = |led: &Led| -> Vec<f32> { led.1.iter().zip(&start).map(|(a, b)| a - b).collect() };
    let apart = distance(&way(got), &way(want));
    assert!(apart < WAY, "way: {apart}");
    let (got, want) = (&got.2, &want.2);
    assert_eq!(got.step, want.step);
    let apart = (distance(&got.m, &want.m), distance(&got.v, &want.v));
    assert!(apart.0 < MOMENTS && apart.1 < MOMENTS, "moments: {apart:?}");
}

#[test]
fn ranks_make_the_steps_of_one_card_and_the_same_bits_again() {
    let (fake, _) = cards(3);
    let one = all_steps(from(0, 1));
    let mut all = vec![one.clone()];
    for ranks in [2, 3] {
        fake.seed(0);
        let made = all_steps(from(0, ranks));
        assert_near(&made, &one);
        // Once more, with the first rank's blocks in another order, and with parts of shards that cross alone.
        fake.seed(2);
        for crossing in [None, Some(1_001)] {
            let options = CudaOptions {
                crossing,
                ..from(0, ranks)
            };
            assert_eq!(all_steps(options), made, "{ranks} ranks, {crossing:?}");
        }
        all.push(made);
    }
    // Bits are of a number of ranks: nobody may take one for the other.
    assert!(all[0] != all[1] && all[1] != all[2]);
    // What was learnt is more than the tolerance.
    let losses = &one.0;
    assert!(losses[5] < 0.98 * losses[0], "{losses:?}");
}

#[test]
fn what_they_are_says_how_many() {
    cards(3);
    let one = opened(from(2, 1)).card().unwrap();
    assert_eq!(opened(from(0, 3)).card(), Some(format!("3x {one}")));
}

#[test]
fn state_is_the_same_for_any_number_of_ranks() {
    cards(3);
    let (start, adam) = fresh();
    let half = led(&mut opened(from(0, 2)), (&start, &adam), 0..3);
    let (_, params, adam) = half;
    assert!(adam.m.iter().any(|number| *number != 0.0));
    // What is put on the cards comes back as it was, however it is cut there.
    for ranks in [1, 2, 3] {
        let mut card = opened(from(0, ranks));
        let steps = card.begin(&params, &adam).unwrap();
        assert_eq!(steps.finish().unwrap(), (params.clone(), adam.clone()));
    }
    // And goes on with another number of ranks.
    let same = led(&mut opened(from(0, 2)), (&params, &adam), 3..6);
    for ranks in [1, 3] {
        assert_near(
            &led(&mut opened(from(0, ranks)), (&params, &adam), 3..6),
            &same,
        );
    }
    // Going on where steps ended is not going on with steps.
    let mut whole = opened(from(0, 2));
    let (start, fresh) = fresh();
    let whole = led(&mut whole, (&start, &fresh), 0..6);
    assert_eq!((whole.1, whole.2), (same.1, same.2));
}

#[test]
fn what_is_sent_has_the_bits_of_the_cpu_and_measuring_those_of_one_card() {
    cards(2);
    let (start, adam) = fresh();
    let layout = Layout::of(&shape());
    let compression = Compression {
        kept_per_block: 64,
        error_decay: Nano(950_000_000),
        turn: None,
    };
    let mut card = opened(from(0, 2));
    for round in 0..2 {
        let (_, after, moments) = led(&mut card, (&start, &adam), 0..2);
        let before: Vec<f32> = start.iter().map(|number| number * 0.999).collect();
        let steps = card.steps().unwrap();
        let feedback = vec![1e-4; start.len()];
        let sending = steps.select(&before, &feedback, &compression).unwrap();
        let Sending {
            selected,
            error,
            adam,
        } = sending;
        assert_eq!(adam, moments, "round {round}");
        let delta: Vec<f32> = before.iter().zip(&after).map(|(a, b)| a - b).collect();
        let mut left = feedback;
        let want = select(&layout, &compression, &delta, &mut left).unwrap();
        let want: Vec<_> = want.iter().map(SparseTensor::selected).cloned().collect();
        assert_eq!(selected, want);
        assert_eq!(error, left);
        // What is measured takes the same memory as what is sent.
        let windows = windows(9);
        let windows = slices(&windows);
        let losses = opened(from(1, 1)).losses(&after, &windows).unwrap();
        assert_eq!(card.losses(&after, &windows).unwrap(), losses);
        let mut trial = card.trial(&after).unwrap();
        assert_eq!(trial.losses(&windows).unwrap(), losses);
    }
}

/// One step that fails on cards that are in order after `mend`: no state is lost, and the next step is that of cards
/// where nothing went wrong. Gives the error.
fn failing(card: &mut CudaTrainer, break_it: impl Fn(), mend: impl Fn()) -> CudaError {
    let (start, state) = fresh();
    let step = |card: &mut CudaTrainer| {
        let (mut params, mut adam) = (start.clone(), state.clone());
        let windows = windows(0);
        let made = card.step(&mut params, &mut adam, &optimizer(), &slices(&windows));
        made.map(|loss| (loss, params, adam))
    };
    let want = step(card).unwrap();
    break_it();
    let error = step(card).unwrap_err();
    mend();
    assert!(card.steps().is_none());
    assert_eq!(step(card).unwrap(), want);
    let TrainerError::Cuda(error) = error else {
        panic!("{error}");
    };
    let text = error.to_string();
    assert!(!text.contains('\n') && text.contains(';'), "{text}");
    error
}

/// The card that an error is of, and what it is.
fn of_card(error: CudaError) -> (usize, CudaError) {
    match error {
        CudaError::OnCard { ordinal, error } => (ordinal, *error),
        other => panic!("{other}"),
    }
}

#[test]
fn a_rank_whose_card_is_lost_stops_all_and_loses_no_state() {
    let (fake, _) = cards(11);
    let mut card = opened(from(8, 3));
    for (lost, launches) in [(9, 0), (9, 7), (10, 25), (8, 3)] {
        let break_it = || {
            fake.fail_card_after(lost, launches);
        };
        let mend = || {
            fake.fail_card_after(lost, -1);
        };
        let (ordinal, error) = of_card(failing(&mut card, break_it, mend));
        assert_eq!(ordinal, lost as usize, "{error}");
        assert!(error.is_lost(), "{error}");
    }
}

#[test]
fn a_rank_without_memory_stops_all() {
    let (fake, _) = cards(14);
    let mut card = opened(from(12, 2));
    let (start, adam) = fresh();
    let mut steps = card.begin(&start, &adam).unwrap();
    // Of the first rank, whose thread this is.
    fake.memory(0);
    let windows = windows(0);
    let error = steps.step(&optimizer(), &slices(&windows)).unwrap_err();
    fake.memory(8 << 30);
    let TrainerError::Cuda(error) = error else {
        panic!("{error}");
    };
    let (ordinal, error) = of_card(error);
    assert_eq!(ordinal, 12);
    assert!(matches!(error, CudaError::OutOfMemory { .. }), "{error}");
    // The cards were closed: whoever goes on would have other numbers.
    assert!(steps.step(&optimizer(), &slices(&windows)).is_err());
    let mut steps = card.begin(&start, &adam).unwrap();
    steps.step(&optimizer(), &slices(&windows)).unwrap();
}

#[test]
fn ranks_do_not_wait_for_ever_for_one_that_says_nothing() {
    let (_, nccl) = cards(19);
    let (start, adam) = fresh();
    let windows = windows(0);
    // Of a step of three ranks each sends two parts of its gradient, two reports and two shards.
    for sends in [0, 3, 5] {
        let options = CudaOptions {
            deadline: Some(Duration::from_millis(10)),
            ..from(16, 3)
        };
        let mut card = opened(options);
        let (mut params, mut state) = (start.clone(), adam.clone());
        nccl.mute(17, sends);
        let error = card.step(&mut params, &mut state, &optimizer(), &slices(&windows));
        nccl.mend(17);
        let TrainerError::Cuda(error) = error.unwrap_err() else {
            panic!("another error");
        };
        let (_, error) = of_card(error);
        let CudaError::Late { doing, .. } = &error else {
            panic!("{error}");
        };
        // Later ones may be late for other reasons on a busy machine.
        if sends == 0 {
            assert_eq!(*doing, "adding up gradients of several GPUs");
        }
        assert_eq!((&params, &state), (&start, &adam));
        assert!(card.steps().is_none());
    }
    // With time enough, and nothing lost, they come.
    let mut card = opened(from(16, 3));
    let mut steps = card.begin(&start, &adam).unwrap();
    steps.step(&optimizer(), &slices(&windows)).unwrap();
}

#[test]
fn a_communicator_that_fails_is_told_apart() {
    let (_, nccl) = cards(22);
    let mut card = opened(from(20, 2));
    let error = failing(
        &mut card,
        || {
            nccl.fail(21, 2, 6);
        },
        || {
            nccl.mend(21);
        },
    );
    let (ordinal, error) = of_card(error);
    assert_eq!(ordinal, 21);
    let is_right =
        matches!(&error, CudaError::Nccl { status: 6, said, .. } if said.contains("remote"));
    assert!(is_right, "{error}");
}

#[test]
fn what_nccl_takes_of_a_card_is_taken_when_cards_are_opened() {
    const BYTES: u64 = 48 << 20;
    let (fake, nccl) = cards(27);
    // Of the first rank, whose thread this is, for each of two others.
    let taken = |bytes| {
        nccl.connection(bytes);
        opened(from(24, 3)).memory_taken().unwrap() as u64
    };
    assert_eq!(taken(BYTES) - taken(0), 2 * BYTES);
    // A card where nothing is left for it is not opened.
    let without = taken(0);
    fake.memory(without + BYTES);
    nccl.connection(BYTES);
    let error = CudaTrainer::new(&shape(), from(24, 3)).err().unwrap();
    fake.memory(8 << 30);
    nccl.connection(0);
    let (ordinal, error) = of_card(error);
    assert_eq!(ordinal, 24);
    let is_right = matches!(
        &error,
        CudaError::Nccl {
            doing: "connecting GPUs",
            ..
        }
    );
    assert!(is_right, "{error}");
}

#[test]
fn a_gradient_that_is_not_finite_changes_no_weight_on_any_rank() {
    cards(3);
    let (mut start, adam) = fresh();
    start[100] = f32::INFINITY;
    let mut card = opened(from(0, 3));
    let mut steps = card.begin(&start, &adam).unwrap();
    let windows = windows(0);
    let windows = slices(&windows);
    for _ in 0..2 {
        let error = steps.step(&optimizer(), &windows).unwrap_err();
        assert!(matches!(error, TrainerError::NotFinite { .. }), "{error}");
    }
    assert_eq!(steps.finish().unwrap(), (start, adam));
}

#[test]
fn cards_that_are_not_there_or_unlike_are_refused() {
    let (fake, _) = cards(2);
    let open = |options| CudaTrainer::new(&shape(), options).err().unwrap();
    let (ordinal, error) = of_card(open(from(1, 2)));
    assert_eq!(ordinal, 2);
    assert!(matches!(error, CudaError::NoCard { .. }), "{error}");
    fake.cards(64);
    let error = open(from(62, 2));
    assert!(
        matches!(error, CudaError::Unlike { first: 62, .. }),
        "{error}"
    );
    assert!(error.to_string().contains(';'), "{error}");
}
