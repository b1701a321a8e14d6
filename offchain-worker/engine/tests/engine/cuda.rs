//! The card's engine, on a driver that runs its kernels on the CPU.

use cairn_engine::{open, Cuda, Device, Engine, EngineError, State, Version};
use cairn_primitives::Uid;
use cairn_trainer::cuda::{compile::SOURCES, libraries::Library, CudaOptions};
use cuda_on_cpu::Fake;

use crate::{
    fixture::{config, sequences, slices},
    rounds::{
        checked, contribute, contribution_of, cpu, header, held, including, start, train,
        train_while,
    },
};

pub fn driver() -> &'static Fake {
    let sources = SOURCES.iter();
    let fake = cuda_on_cpu::driver(sources.map(|source| (source.name, source.kernels)));
    Library::Nvrtc
        .require()
        .expect("NVRTC is needed to test the CUDA backend: run `make cuda-tools`");
    fake
}

/// With nothing loaded.
pub fn engine() -> Box<dyn Engine> {
    driver();
    Box::new(Cuda::new(&config(), CudaOptions::default()).unwrap())
}

fn loaded() -> Box<dyn Engine> {
    let mut engine = engine();
    engine.load(State::new(start())).unwrap();
    engine
}

#[test]
fn open_gives_the_engine_of_the_device() {
    driver();
    let (engine, reason) = open(Device::Cpu, &config(), 1).unwrap();
    assert_eq!(engine.name(), cairn_engine::CPU);
    assert!(reason.is_none());
    let (engine, reason) = open(Device::Auto, &config(), 1).unwrap();
    assert_ne!(engine.name(), cairn_engine::CPU);
    assert!(reason.is_none());
    let error = open(Device::Cuda(3), &config(), 1).err().unwrap();
    assert!(matches!(error, EngineError::Unavailable(_)), "{error}");
    assert!(open(Device::Cpu, &config(), 0).is_err());
}

#[test]
fn without_a_card_auto_takes_the_cpu_and_says_why() {
    let fake = driver();
    fake.version(12_040);
    let opened = open(Device::Auto, &config(), 1);
    fake.version(13_000);
    let (engine, reason) = opened.unwrap();
    assert_eq!(engine.name(), cairn_engine::CPU);
    assert!(reason.unwrap().to_string().contains("12.4"));
}

/// Relative distance of two vectors.
pub fn distance(a: &[f32], b: &[f32]) -> f64 {
    let square = |x: f64| x * x;
    let difference: f64 = a.iter().zip(b).map(|(a, b)| square(f64::from(a - b))).sum();
    let size: f64 = b.iter().map(|b| square(f64::from(*b))).sum();
    (difference / size).sqrt()
}

#[test]
fn a_round_is_the_cpus_within_the_rounding_of_bfloat16() {
    let (mut card, mut reference) = (loaded(), cpu());
    reference.load(State::new(start())).unwrap();
    let (got, want) = (
        train(card.as_mut(), Uid(1), 0),
        train(reference.as_mut(), Uid(1), 0),
    );
    assert_eq!(got.tokens, want.tokens);
    for (got, want) in got.losses.iter().zip(&want.losses) {
        assert!((got - want).abs() < 0.02 * want, "{got} {want}");
    }
    let root = card.root(Version::Held).unwrap();
    for (engine, trained) in [(&mut card, got), (&mut reference, want)] {
        engine
            .contribution(header(Uid(1), 0, root.0, &trained))
            .unwrap();
        engine.keep().unwrap();
    }
    let (got, want) = (held(card.as_ref()), held(reference.as_ref()));
    assert_eq!(got.parameters, want.parameters);
    let sent = |state: State| state.sent.unwrap().optimizer;
    let (got, want) = (sent(got), sent(want));
    assert_eq!(got.step, want.step);
    let apart = (distance(&got.m, &want.m), distance(&got.v, &want.v));
    assert!(apart.0 < 0.05 && apart.1 < 0.05, "{apart:?}");
}

#[test]
fn a_contribution_is_measured_on_the_bits_of_the_cpus_outer_step() {
    let file = checked(&config(), &contribution_of(Uid(4)));
    let sequences = sequences(3, 0, 0);
    let sequences = slices(&sequences);
    let mut reference = cpu();
    reference.load(State::new(start())).unwrap();
    let moved = reference.settle(&including(&[(Uid(4), 1, file.clone())]));
    reference.keep().unwrap();

    // The card measures the moved parameters as they are …
    let mut card = engine();
    assert_eq!(card.load(held(reference.as_ref())).unwrap(), moved.unwrap());
    card.settle(&including(&[])).unwrap();
    card.keep().unwrap();
    let want = card.measure(None, &sequences, &mut || true).unwrap();
    // … and as the contribution makes them of the first.
    card.load(State::new(start())).unwrap();
    card.settle(&including(&[])).unwrap();
    card.keep().unwrap();
    let base = card.measure(None, &sequences, &mut || true).unwrap();
    for _ in 0..2 {
        let got = card.measure(Some(&file), &sequences, &mut || true).unwrap();
        assert_eq!(got, want);
        assert_ne!(got, base);
        let again = card.measure(None, &sequences, &mut || true).unwrap();
        assert_eq!(again, base);
    }
    // And as a round makes them of it, whichever was measured before.
    let mut card = loaded();
    card.settle(&including(&[(Uid(4), 1, file.clone())]))
        .unwrap();
    card.keep().unwrap();
    for _ in 0..2 {
        let settled = card.measure_settled(&sequences, &mut || true).unwrap();
        assert_eq!(settled, want);
        let before = card.measure(None, &sequences, &mut || true).unwrap();
        assert_eq!(before, base);
    }
    let losses = reference.measure(None, &sequences, &mut || true).unwrap();
    for (got, want) in base.unwrap().iter().zip(losses.unwrap()) {
        assert!((got - want).abs() < 0.01, "{got} {want}");
    }
}

#[test]
fn the_base_follows_the_state_however_training_and_measuring_take_turns() {
    let file = checked(&config(), &contribution_of(Uid(4)));
    let sequences = sequences(3, 0, 0);
    let measure = |engine: &mut dyn Engine| {
        let losses = engine.measure(None, &slices(&sequences), &mut || true);
        losses.unwrap().unwrap()
    };
    let mut card = loaded();
    card.settle(&including(&[(Uid(4), 1, file.clone())]))
        .unwrap();
    card.keep().unwrap();
    let first = measure(card.as_mut());
    // Training uses the memory in which the base was.
    contribute(card.as_mut(), Uid(1), 1);
    assert_eq!(measure(card.as_mut()), first);
    card.keep().unwrap();
    card.settle(&including(&[])).unwrap();
    card.keep().unwrap();
    let second = measure(card.as_mut());
    assert_ne!(first, second);

    let mut fresh = engine();
    fresh.load(held(card.as_ref())).unwrap();
    fresh.settle(&including(&[])).unwrap();
    fresh.keep().unwrap();
    assert_eq!(measure(fresh.as_mut()), second);
}

#[test]
fn a_lost_card_costs_the_round_and_nothing_else() {
    let fake = driver();
    let want = contribute(loaded().as_mut(), Uid(1), 0);
    let mut card = loaded();
    let before = held(card.as_ref());
    for launches in [0, 40] {
        fake.fail_after(launches);
        let error = train_while(card.as_mut(), Uid(1), 0, &mut |_| true);
        fake.fail_after(-1);
        let error = error.unwrap_err();
        assert!(matches!(error, EngineError::DeviceLost(_)), "{error}");
        assert!(error.is_device_fault());
        assert_eq!(held(card.as_ref()), before);
        assert!(card.state(Version::Pending).is_err());
    }

    // In the middle of what comes behind the steps.
    let trained = train(card.as_mut(), Uid(1), 0);
    let root = card.root(Version::Held).unwrap();
    fake.fail_after(0);
    let error = card.contribution(header(Uid(1), 0, root.0, &trained));
    fake.fail_after(-1);
    assert!(error.unwrap_err().is_device_fault());
    assert_eq!(held(card.as_ref()), before);
    assert!(card.keep().is_err());

    // The next try opens it anew.
    assert_eq!(contribute(card.as_mut(), Uid(1), 0), want);
    card.keep().unwrap();
    card.settle(&including(&[])).unwrap();
    card.keep().unwrap();
    let sequences = sequences(3, 0, 0);
    let sequences = slices(&sequences);
    let before = card.measure(None, &sequences, &mut || true).unwrap();
    fake.fail_after(3);
    let error = card.measure(None, &sequences, &mut || true);
    fake.fail_after(-1);
    assert!(error.unwrap_err().is_device_fault());
    let after = card.measure(None, &sequences, &mut || true).unwrap();
    assert_eq!(after, before);
}

#[test]
fn a_card_that_stays_lost_needs_another_process_and_loses_no_state() {
    // A card that no other test uses.
    const BROKEN: i32 = 50;
    let fake = driver();
    fake.cards(BROKEN + 1);
    let (mut card, _) = open(Device::Cuda(BROKEN as usize), &config(), 1).unwrap();
    card.load(State::new(start())).unwrap();
    let before = held(card.as_ref());
    fake.broken(BROKEN, true);
    let mut fault = || train_while(card.as_mut(), Uid(1), 0, &mut |_| true).unwrap_err();
    let first = fault();
    assert!(matches!(first, EngineError::DeviceLost(_)), "{first}");
    // Another round would not go better.
    let then = fault();
    assert!(matches!(then, EngineError::Broken(_)), "{then}");
    assert!(!then.is_device_fault() && then.to_string().contains("started again"));
    assert_eq!(held(card.as_ref()), before);
    // To a process that begins, it is a device that it cannot have.
    let error = open(Device::Cuda(BROKEN as usize), &config(), 1)
        .err()
        .unwrap();
    assert!(matches!(error, EngineError::Unavailable(_)), "{error}");
    fake.broken(BROKEN, false);
}

#[test]
fn too_little_memory_is_told_apart_and_costs_the_round_only() {
    let fake = driver();
    let mut card = loaded();
    let before = held(card.as_ref());
    // Enough for what is there, not for a batch.
    fake.memory(1 << 20);
    let error = train_while(card.as_mut(), Uid(1), 0, &mut |_| true);
    fake.memory(8 << 30);
    let error = error.unwrap_err();
    assert!(matches!(error, EngineError::OutOfMemory(_)), "{error}");
    assert!(error.is_device_fault());
    assert_eq!(held(card.as_ref()), before);
    contribute(card.as_mut(), Uid(1), 0);
}
