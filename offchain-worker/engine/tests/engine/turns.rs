//! A run in which members take turns: each sends the values whose turn it has, and nobody else's are taken for them.

use std::sync::Arc;

use cairn_engine::{
    audit::{find, open, Audited, Traced},
    Cpu, Cuda, Engine, Order, State, Version,
};
use cairn_gradient::Checked;
use cairn_primitives::{CompressionSchedule, Finding, Layout, Nano, RunConfig, Uid};
use cairn_trainer::cuda::CudaOptions;

use crate::{
    cuda::driver,
    fixture::{config, sequences, slices},
    rounds::{checked_of, header, held, including, start},
};

/// Steps of a round.
const STEPS: u32 = 3;
const TURNS: u8 = 4;

fn in_turns() -> RunConfig {
    let mut config = config();
    config.compression = CompressionSchedule {
        kept_per_block: 4_096,
        error_decay: Nano(0),
        final_error_decay: None,
        turns: TURNS,
    };
    config.outer.rho = Nano(250_000_000);
    config
}

fn loaded(mut engine: Box<dyn Engine>) -> Box<dyn Engine> {
    engine.load(State::new(start())).unwrap();
    engine
}

fn cpu() -> Box<dyn Engine> {
    loaded(Box::new(Cpu::new(&in_turns(), 1).unwrap()))
}

fn card() -> Box<dyn Engine> {
    driver();
    loaded(Box::new(
        Cuda::new(&in_turns(), CudaOptions::default()).unwrap(),
    ))
}

/// What a member sends in the first round, with the states that it traced; it made the steps on the data of member 1.
fn sent(engine: &mut dyn Engine, uid: Uid) -> (Vec<u8>, Vec<cairn_primitives::H256>) {
    let all: Vec<Vec<Vec<u32>>> = (0..STEPS).map(|step| sequences(1, 0, step)).collect();
    let mut of_step = |step: u32| slices(&all[step as usize]);
    let order = Order {
        round: 0,
        uid,
        steps: STEPS,
    };
    let trained = engine.train(&order, &mut of_step, &mut |_| true);
    let trained = trained.unwrap().unwrap();
    let root = engine.root(Version::Held).unwrap();
    let header = header(uid, 0, root.0, &trained);
    (engine.contribution(header).unwrap(), trained.trace)
}

/// The values that a contribution moves, by their place among all parameters.
fn places(checked: &Checked) -> Vec<usize> {
    let layout = Layout::of(&in_turns().model);
    let contribution = checked.decode(&layout).unwrap();
    let tensors = layout.ranges().zip(&contribution.tensors);
    tensors
        .flat_map(|((_, range), sent)| sent.values().map(move |(at, _)| range.start + at as usize))
        .collect()
}

#[test]
fn members_send_all_values_together_and_none_twice() {
    for engine in [cpu, card] {
        let mut all = Vec::new();
        for uid in (5..9).map(Uid) {
            let (file, _) = sent(engine().as_mut(), uid);
            all.extend(places(&checked_of(&in_turns(), uid, &file)));
        }
        let count = start().len();
        // Vectors are shorter than a block, and none as short as there are turns.
        assert_eq!(all.len(), count);
        all.sort_unstable();
        assert!(all.into_iter().eq(0..count));
    }
}

#[test]
fn a_card_tries_out_what_others_sent_in_their_turn() {
    let text = sequences(2, 0, 0);
    let losses = |engine: &mut dyn Engine, sent: Option<&Checked>| {
        let measured = engine.measure(sent, &slices(&text), &mut || true);
        measured.unwrap().unwrap()
    };
    let (mut on_cpu, mut on_card) = (cpu(), card());
    for engine in [&mut on_cpu, &mut on_card] {
        engine.settle(&including(&[])).unwrap();
        engine.keep().unwrap();
    }
    let base = losses(on_cpu.as_mut(), None);
    for uid in [Uid(0), Uid(3)] {
        let (file, _) = sent(cpu().as_mut(), uid);
        let checked = checked_of(&in_turns(), uid, &file);
        let want = losses(on_cpu.as_mut(), Some(&checked));
        assert_ne!(want, base);
        let found = losses(on_card.as_mut(), Some(&checked));
        let pairs = want.iter().zip(&found);
        assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-3));
    }
}

/// Members 1 and 2 leave the values of the other two where they are.
#[test]
fn what_nobody_sent_stays() {
    let mut engine = cpu();
    let made: Vec<(Uid, u16, Arc<Checked>)> = [Uid(1), Uid(2)]
        .map(|uid| {
            let (file, _) = sent(cpu().as_mut(), uid);
            (uid, 1, checked_of(&in_turns(), uid, &file))
        })
        .into();
    engine.settle(&including(&made)).unwrap();
    engine.keep().unwrap();
    let after = held(engine.as_ref()).parameters;
    let moved: Vec<usize> = made.iter().flat_map(|(.., one)| places(one)).collect();
    for (at, (before, after)) in start().iter().zip(&after).enumerate() {
        assert!(moved.contains(&at) || before == after, "{at}");
    }
    let count = start().iter().zip(&after).filter(|(a, b)| a != b).count();
    assert!(count > moved.len() / 2 && moved.len() < start().len() * 6 / 10);
}

#[test]
fn an_auditor_replays_the_turn_too() {
    let (config, layout) = (in_turns(), Layout::of(&in_turns().model));
    let uid = Uid(1);
    let (file, trace) = sent(cpu().as_mut(), uid);
    let all: Vec<Vec<Vec<u32>>> = (0..STEPS).map(|step| sequences(1, 0, step)).collect();
    let traced = Traced {
        steps: STEPS,
        states: &trace,
        every: config.inner.trace_every,
    };
    for drawn in [0, 1] {
        let mut of_step = |step: u32| slices(&all[step as usize]);
        let before = State::new(start());
        let blob = open(cpu().as_mut(), before, traced, drawn, &mut of_step);
        let blob = blob.unwrap().unwrap();
        let own = checked_of(&config, uid, &file);
        let audited = Audited::new(&own, &config, &layout, drawn);
        let found = find(cpu().as_mut(), &audited, &blob, &mut of_step);
        assert_eq!(found.unwrap(), Some(Finding::Passed));
        // The file as if it were of another turn: only the last interval has the file.
        let others = config.compression_of(Uid(2), 0);
        let misread = Audited {
            compression: &others,
            ..audited
        };
        let found = find(cpu().as_mut(), &misread, &blob, &mut of_step);
        let expected = if drawn == 0 {
            Finding::Passed
        } else {
            Finding::Failed
        };
        assert_eq!(found.unwrap(), Some(expected));
    }
}
