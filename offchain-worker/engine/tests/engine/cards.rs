//! The engine of several cards, with threads as ranks. Cards that a test breaks are used by no other.

use cairn_engine::{open, Cuda, Device, Engine, EngineError, State, Version};
use cairn_primitives::Uid;
use cairn_trainer::cuda::{compile::SOURCES, CudaOptions};

use crate::{
    cuda::{distance, driver},
    fixture::config,
    rounds::{contribute, held, including, start, train, train_while},
};

/// So many cards from one on.
fn cards(ordinal: usize, count: usize) -> Box<dyn Engine> {
    let sources = SOURCES.iter().map(|source| (source.name, source.kernels));
    driver().cards(64);
    cuda_on_cpu::nccl(sources);
    let options = CudaOptions {
        ordinal,
        others: count - 1,
        ..CudaOptions::default()
    };
    Box::new(Cuda::new(&config(), options).unwrap())
}

/// With nothing loaded.
pub fn engine() -> Box<dyn Engine> {
    cards(0, 3)
}

fn loaded(ordinal: usize, count: usize, state: State) -> Box<dyn Engine> {
    let mut engine = cards(ordinal, count);
    engine.load(state).unwrap();
    engine
}

#[test]
fn they_are_opened_together_and_others_are_told_how_many() {
    drop(engine());
    let (one, _) = open(Device::Cuda(0), &config(), 1).unwrap();
    let device = "cuda:1-2".parse::<Device>().unwrap();
    let (two, reason) = open(device, &config(), 1).unwrap();
    assert!(reason.is_none());
    assert_eq!(two.name(), format!("2x {}", one.name()));
    assert_eq!(two.class().text(), format!("cuda 2x {}", one.name()));
    driver();
    let error = open(device, &config(), 1).err().unwrap();
    assert!(matches!(error, EngineError::Unavailable(_)), "{error}");
    assert!(error.to_string().contains("GPU 1"), "{error}");
}

#[test]
fn a_round_is_that_of_one_card_within_rounding_and_repeats_its_bits() {
    let make = |count| {
        let mut engine = loaded(0, count, State::new(start()));
        let trained = train(engine.as_mut(), Uid(1), 0);
        engine.discard();
        let file = contribute(engine.as_mut(), Uid(1), 0);
        engine.keep().unwrap();
        (trained, file, held(engine.as_ref()).sent.unwrap())
    };
    let one = make(1);
    for count in [2, 3] {
        let made = make(count);
        assert_eq!(make(count), made);
        assert_eq!(made.0.tokens, one.0.tokens);
        for (got, want) in made.0.losses.iter().zip(&one.0.losses) {
            assert!((got - want).abs() < 1e-4 * want, "{got} {want}");
        }
        let (got, want) = (&made.2.optimizer, &one.2.optimizer);
        let apart = (distance(&got.m, &want.m), distance(&got.v, &want.v));
        assert!(apart.0 < 1e-2 && apart.1 < 1e-2, "{apart:?}");
    }
}

#[test]
fn a_member_comes_back_with_another_number_of_cards() {
    let mut two = loaded(0, 2, State::new(start()));
    contribute(two.as_mut(), Uid(1), 0);
    two.keep().unwrap();
    let settlement = cairn_engine::Settlement {
        is_included: true,
        ..including(&[])
    };
    two.settle(&settlement).unwrap();
    two.keep().unwrap();
    let state = held(two.as_ref());
    assert!(state.optimizer.as_ref().unwrap().step > 0);
    let want = train(two.as_mut(), Uid(1), 1);
    for count in [1, 3] {
        let mut engine = loaded(0, count, state.clone());
        assert_eq!(held(engine.as_ref()), state);
        let got = train(engine.as_mut(), Uid(1), 1);
        for (got, want) in got.losses.iter().zip(&want.losses) {
            assert!((got - want).abs() < 1e-4 * want, "{got} {want}");
        }
    }
}

#[test]
fn a_lost_rank_costs_the_round_and_nothing_else() {
    let mut engine = loaded(40, 2, State::new(start()));
    let fake = driver();
    fake.cards(64);
    let want = contribute(engine.as_mut(), Uid(1), 0);
    engine.discard();
    let before = held(engine.as_ref());
    for launches in [0, 30] {
        fake.fail_card_after(41, launches);
        let error = train_while(engine.as_mut(), Uid(1), 0, &mut |_| true);
        fake.fail_card_after(41, -1);
        let error = error.unwrap_err();
        assert!(matches!(error, EngineError::DeviceLost(_)), "{error}");
        assert!(error.to_string().contains("GPU 41"), "{error}");
        assert_eq!(held(engine.as_ref()), before);
        assert!(engine.state(Version::Pending).is_err());
    }
    // The next try opens them anew.
    assert_eq!(contribute(engine.as_mut(), Uid(1), 0), want);
}
