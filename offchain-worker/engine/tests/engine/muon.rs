//! A run whose matrices are Muon's: rounds, restarts, audits, and who refuses it.

use std::ops::Range;

use cairn_engine::{
    audit::{find, open, Audited, Traced},
    cost::Cost,
    Arithmetic, Copied, Cpu, Cuda, Device, Elsewhere, Engine, EngineError, Origin, Settlement,
    State, Version,
};
use cairn_gradient::{decode_header, model_root, Header};
use cairn_primitives::{
    AuditRules, EngineClass, Finding, Layout, Matrices, Muon, Nano, RunConfig, Uid, H256,
};
use cairn_trainer::{cuda::CudaOptions, AdamState, Trainer};

use crate::{
    by_hand::traced,
    cuda::{distance, driver},
    fixture::{compression_of, config, sequences, slices},
    rounds::{checked, contribute, cpu, held, start, train, COSTS},
};

/// Steps of a round.
const STEPS: u32 = 3;

fn with_muon(muon: Muon) -> RunConfig {
    let mut config = config();
    config.inner.matrices = Matrices::Muon(muon);
    config
}

fn muon() -> RunConfig {
    with_muon(Muon::default())
}

fn engine_of(config: &RunConfig) -> Box<dyn Engine> {
    let mut engine = Cpu::new(config, 1).unwrap();
    engine.load(State::new(start())).unwrap();
    Box::new(engine)
}

/// The state after steps of a member in the first round, by the trainer alone.
fn stepped(config: &RunConfig, before: &State, steps: Range<u32>) -> State {
    let mut trainer = Trainer::new(&config.model, 2).unwrap();
    let layout = Layout::of(&config.model);
    let fresh = || AdamState::of(&layout, &config.inner);
    let mut adam = before.optimizer.clone().unwrap_or_else(fresh);
    let mut parameters = before.parameters.clone();
    for step in steps {
        let batch = sequences(1, 0, step);
        let made = trainer.step(&mut parameters, &mut adam, &config.inner, &slices(&batch));
        made.unwrap();
    }
    State {
        optimizer: Some(adam),
        ..State::new(parameters)
    }
}

/// A member's first round: its engine, what it traced, and its file, which is kept.
fn round(config: &RunConfig) -> (Box<dyn Engine>, Vec<H256>, Vec<u8>) {
    let mut engine = engine_of(config);
    let trained = train(engine.as_mut(), Uid(1), 0);
    engine.discard();
    let file = contribute(engine.as_mut(), Uid(1), 0);
    engine.keep().unwrap();
    (engine, trained.trace, file)
}

/// What a miner of a run serves for the interval that was drawn.
fn served(config: &RunConfig, trace: &[H256], drawn: u32) -> Vec<u8> {
    let all: Vec<Vec<Vec<u32>>> = (0..STEPS).map(|step| sequences(1, 0, step)).collect();
    let traced = Traced {
        steps: STEPS,
        states: trace,
        every: config.inner.trace_every,
    };
    let mut of_step = |step: u32| slices(&all[step as usize]);
    let mut engine = engine_of(config);
    let before = State::new(start());
    open(engine.as_mut(), before, traced, drawn, &mut of_step)
        .unwrap()
        .unwrap()
}

/// What an auditor of the run finds.
fn found(
    config: &RunConfig,
    (header, file): (&Header, &[u8]),
    drawn: u32,
    blob: &[u8],
) -> Option<Finding> {
    let layout = Layout::of(&config.model);
    let audited = Audited {
        header,
        file,
        compression: &compression_of(0),
        config,
        layout: &layout,
        drawn,
    };
    let all: Vec<Vec<Vec<u32>>> = (0..STEPS).map(|step| sequences(1, 0, step)).collect();
    let mut of_step = |step: u32| slices(&all[step as usize]);
    let mut engine = engine_of(config);
    find(engine.as_mut(), &audited, blob, &mut of_step).unwrap()
}

#[test]
fn a_header_binds_muons_states() {
    let (engine, trace, file) = round(&muon());
    let header = decode_header(&file).unwrap();
    let end = stepped(&muon(), &State::new(start()), 0..STEPS);
    let adam = end.optimizer.as_ref().unwrap();
    assert_eq!(trace.last(), Some(&traced(&end.parameters, adam)));
    let after = header.work.after;
    assert_eq!(after.first_moment, model_root(&adam.m).0);
    assert_eq!(after.second_moment, model_root(&adam.v).0);
    assert_eq!(header.work.engine, EngineClass::CPU);
    // Embedding, head and norms have a second moment, and nothing else.
    let second = engine.state(Version::Sent).unwrap().optimizer.unwrap().v;
    let layout = Layout::of(&muon().model);
    assert_eq!(second.len(), muon().inner.matrices.second_moments(&layout));
    assert!(second.len() < layout.parameters() / 2);
    // AdamW goes elsewhere from the same text.
    assert_ne!(round(&config()).1.last(), trace.last());
}

#[test]
fn a_member_that_starts_again_goes_on_with_the_same_bits() {
    let included = |engine: &mut dyn Engine, file: &[u8]| {
        let with = [(Uid(1), 1, checked(&muon(), file))];
        engine
            .settle(&Settlement {
                included: &with,
                is_included: true,
            })
            .unwrap();
        engine.keep().unwrap();
    };
    let (mut engine, _, file) = round(&muon());
    let saved = held(engine.as_ref());
    assert!(saved.sent.is_some());
    included(engine.as_mut(), &file);
    let straight = contribute(engine.as_mut(), Uid(1), 1);
    let mut again: Box<dyn Engine> = Box::new(Cpu::new(&muon(), 2).unwrap());
    again.load(saved).unwrap();
    included(again.as_mut(), &file);
    assert_eq!(contribute(again.as_mut(), Uid(1), 1), straight);
    let header = decode_header(&straight).unwrap();
    assert_eq!(header.work.before.steps, u64::from(STEPS));
}

#[test]
fn an_honest_miners_audit_passes() {
    let (_, trace, file) = round(&muon());
    let header = decode_header(&file).unwrap();
    let of = (&header, file.as_slice());
    let numbers = |config: &RunConfig, blob: &[u8]| {
        let layout = Layout::of(&config.model);
        let second = config.inner.matrices.second_moments(&layout);
        assert!(blob.len() >= 4 * (2 * layout.parameters() + second));
        blob.len()
    };
    for drawn in 0..2 {
        let blob = served(&muon(), &trace, drawn);
        assert_eq!(found(&muon(), of, drawn, &blob), Some(Finding::Passed));
        let other = drawn + 1;
        assert_eq!(found(&muon(), of, other, &blob), Some(Finding::Failed));
    }
    // What is served is shorter than AdamW's.
    let (_, adams, _) = round(&config());
    let (short, long) = (served(&muon(), &trace, 1), served(&config(), &adams, 1));
    assert!(numbers(&muon(), &short) < numbers(&config(), &long));
}

/// Cheats serve states that they had, in a form that opens; the steps between them are not the run's.
#[test]
fn a_cheats_audit_fails() {
    let cheap = Muon {
        momentum: Nano(0),
        ..Muon::default()
    };
    let large = Muon {
        rms: Nano(400_000_000),
        ..Muon::default()
    };
    for cheat in [with_muon(cheap), with_muon(large)] {
        let (_, trace, file) = round(&cheat);
        let header = decode_header(&file).unwrap();
        let of = (&header, file.as_slice());
        for drawn in 0..2 {
            let blob = served(&cheat, &trace, drawn);
            assert_eq!(found(&cheat, of, drawn, &blob), Some(Finding::Passed));
            assert_eq!(found(&muon(), of, drawn, &blob), Some(Finding::Failed));
        }
    }
    // AdamW's states are not even of the length that the run's have.
    let (_, trace, file) = round(&config());
    let header = decode_header(&file).unwrap();
    let (blob, of) = (served(&config(), &trace, 1), (&header, file.as_slice()));
    assert_eq!(found(&muon(), of, 1, &blob), Some(Finding::Failed));
}

#[test]
fn any_other_momentum_leads_elsewhere() {
    let first = stepped(&muon(), &State::new(start()), 0..2);
    let end = stepped(&muon(), &first, 2..STEPS).traced().hash();
    let layout = Layout::of(&muon().model);
    let (_, of_a_block) = layout
        .ranges()
        .find(|(tensor, _)| tensor.is_of_a_block())
        .unwrap();
    let mut other = first;
    let moment = &mut other.optimizer.as_mut().unwrap().m[of_a_block.start];
    *moment = moment.next_up();
    let mut engine = engine_of(&muon());
    let all: Vec<Vec<Vec<u32>>> = (0..STEPS).map(|step| sequences(1, 0, step)).collect();
    let mut of_step = |step: u32| slices(&all[step as usize]);
    let led = engine.replay(&other, 2..STEPS, &mut of_step).unwrap();
    assert_ne!(led.traced().hash(), end);
}

#[test]
fn a_state_of_the_other_optimizer_is_foreign() {
    let (engine, ..) = round(&muon());
    let error = cpu().load(held(engine.as_ref())).unwrap_err();
    let said = error.to_string();
    assert!(matches!(error, EngineError::Foreign(_)), "{said}");
    assert!(said.contains("second moment"), "{said}");
}

#[test]
fn the_cost_model_has_states_of_the_same_lengths() {
    let mut engine = Cost::new(&muon(), COSTS, 5);
    engine.load(State::new(start())).unwrap();
    contribute(&mut engine, Uid(1), 0);
    engine.keep().unwrap();
    let left = engine.state(Version::Sent).unwrap().optimizer.unwrap();
    let fresh = AdamState::of(&Layout::of(&muon().model), &muon().inner);
    assert_eq!((left.m.len(), left.v.len()), (fresh.m.len(), fresh.v.len()));
    assert_eq!(left.step, u64::from(STEPS));
}

/// What makes steps elsewhere, and here is never asked to.
struct Unasked;

impl Arithmetic for Unasked {
    fn name(&self) -> String {
        "unasked".into()
    }

    fn class(&self) -> EngineClass {
        EngineClass::process("unasked")
    }

    fn begin(&mut self, _: &Origin) -> Result<(), EngineError> {
        Err(EngineError::Unavailable("never".into()))
    }

    fn step(&mut self, _: f64, _: &[&[u32]]) -> Result<f32, EngineError> {
        Err(EngineError::Unavailable("never".into()))
    }

    fn copied(&mut self) -> Result<Copied, EngineError> {
        Err(EngineError::Unavailable("never".into()))
    }

    fn finish(&mut self, _: &cairn_protocol::trace::State) -> Result<(), EngineError> {
        Err(EngineError::Unavailable("never".into()))
    }

    fn forget(&mut self) {}
}

#[test]
fn engines_without_muon_refuse_the_run_and_say_what_to_do() {
    driver().cards(2);
    let several = CudaOptions {
        others: 1,
        ..CudaOptions::default()
    };
    let cards = Cuda::new(&muon(), several).err().unwrap();
    let two = Device::Cards { first: 0, count: 2 };
    let opened = cairn_engine::open(two, &muon(), 1).err().unwrap();
    let away = Elsewhere::new(&muon(), 1, Unasked).err().unwrap();
    for error in [cards, opened, away] {
        let said = error.to_string();
        assert!(matches!(error, EngineError::Matrices { .. }), "{said}");
        assert!(
            said.contains("--device cpu") && said.contains("one GPU"),
            "{said}"
        );
        // Trying again would not help.
        assert!(!error.is_device_fault());
    }
    let (engine, reason) = cairn_engine::open(Device::Auto, &muon(), 1).unwrap();
    assert!(engine.class().is_card() && reason.is_none());
}

/// On one card, with nothing loaded.
fn on_card() -> Box<dyn Engine> {
    driver();
    Box::new(Cuda::new(&muon(), CudaOptions::default()).unwrap())
}

#[test]
fn a_cards_round_is_the_cpus_within_rounding() {
    let mut rounds = Vec::new();
    for mut engine in [on_card(), engine_of(&muon())] {
        engine.load(State::new(start())).unwrap();
        let trained = train(engine.as_mut(), Uid(1), 0);
        engine.discard();
        let file = contribute(engine.as_mut(), Uid(1), 0);
        engine.keep().unwrap();
        let sent = engine.state(Version::Sent).unwrap().optimizer.unwrap();
        rounds.push((trained.losses, decode_header(&file).unwrap(), sent));
    }
    let [(losses, header, sent), (want_losses, _, want)] = &rounds[..] else {
        panic!("two rounds");
    };
    for (got, want) in losses.iter().zip(want_losses) {
        assert!((got - want).abs() < 0.01 * want, "{got} {want}");
    }
    assert_eq!((sent.step, sent.v.len()), (want.step, want.v.len()));
    let apart = (distance(&sent.m, &want.m), distance(&sent.v, &want.v));
    assert!(apart.0 < 0.03 && apart.1 < 0.03, "{apart:?}");
    // The header binds what comes back, and says what made it.
    assert!(header.work.engine.is_card());
    assert_eq!(header.work.after.first_moment, model_root(&sent.m).0);
    assert_eq!(header.work.after.second_moment, model_root(&sent.v).0);
}

#[test]
fn a_member_with_a_card_that_starts_again_goes_on_with_the_same_bits() {
    let mut card = on_card();
    card.load(State::new(start())).unwrap();
    let trained = train(card.as_mut(), Uid(1), 0);
    card.discard();
    let file = contribute(card.as_mut(), Uid(1), 0);
    card.keep().unwrap();
    let saved = held(card.as_ref());
    let mut ends = Vec::new();
    let mut again = on_card();
    again.load(saved).unwrap();
    for mut engine in [card, again] {
        let with = [(Uid(1), 1, checked(&muon(), &file))];
        let settlement = Settlement {
            included: &with,
            is_included: true,
        };
        engine.settle(&settlement).unwrap();
        engine.keep().unwrap();
        ends.push(contribute(engine.as_mut(), Uid(1), 1));
    }
    assert_eq!(ends[0], ends[1]);
    assert_eq!(
        decode_header(&ends[0]).unwrap().work.before.steps,
        u64::from(STEPS)
    );
    // What was traced is made again, from the beginning and from the state between.
    let all: Vec<Vec<Vec<u32>>> = (0..STEPS).map(|step| sequences(1, 0, step)).collect();
    let mut of_step = |step: u32| slices(&all[step as usize]);
    let (mut card, before) = (on_card(), State::new(start()));
    let middle = card.replay(&before, 0..2, &mut of_step).unwrap();
    assert_eq!(middle.traced().hash(), trained.trace[1]);
    let end = card.replay(&middle, 2..STEPS, &mut of_step).unwrap();
    assert_eq!(Some(&end.traced().hash()), trained.trace.last());
}

/// Nothing was measured of how far a card's steps of Muon lie from a CPU's, so who would judge them finds nothing.
#[test]
fn a_cards_steps_of_muon_are_not_judged_within_a_tolerance() {
    let mut config = muon();
    (config.audits.rate, config.audits.tolerance) = (AuditRules::EACH, AuditRules::USUAL_TOLERANCE);
    assert!(config.audits.admits_cards() && !AuditRules::tells(&config.inner));
    let mut card = on_card();
    card.load(State::new(start())).unwrap();
    let file = contribute(card.as_mut(), Uid(1), 0);
    let header = decode_header(&file).unwrap();
    let (_, trace, _) = round(&muon());
    let blob = served(&muon(), &trace, 1);
    assert_eq!(found(&config, (&header, &file), 1, &blob), None);
}
