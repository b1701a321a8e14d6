//! What a card serves passes a CPU within the run's tolerance, and what a cheat serves under a card's name does not.

use cairn_engine::{
    audit::{distances, find, open, Audited, Traced},
    AdamState, Cpu, Engine, State,
};
use cairn_gradient::{decode_header, Header};
use cairn_primitives::{
    AuditRules, Carried, EngineClass, Finding, Layout, RunConfig, Uid, Work, H256,
};
use cairn_protocol::{
    audit::{Opened, Proof},
    tolerance::Distances,
    trace,
};
use cairn_trainer::idle_steps;
use codec::Encode;
use proptest::prelude::*;

use crate::{
    fixture::{compression_of, config, sequences, slices},
    rounds::{contribute, cpu, held, start, train},
};

/// Steps of a round, of which the first two are an interval.
const STEPS: u32 = 3;
const INTERVAL: u32 = 2;

/// The run, with a tolerance.
fn tolerant(tolerance: u16) -> RunConfig {
    let mut config = config();
    config.audits = AuditRules {
        rate: AuditRules::EACH,
        tolerance,
        ..config.audits
    };
    config
}

/// What a CPU finds, by this tolerance.
fn found(
    tolerance: u16,
    (header, file): (&Header, &[u8]),
    drawn: u32,
    blob: &[u8],
) -> Option<Finding> {
    let (config, layout) = (tolerant(tolerance), Layout::of(&config().model));
    let audited = Audited {
        header,
        file,
        compression: &compression_of(0),
        config: &config,
        layout: &layout,
        drawn,
    };
    let mut auditor = cpu();
    auditor.load(State::new(start())).unwrap();
    let all: Vec<Vec<Vec<u32>>> = (0..STEPS).map(|step| sequences(1, 0, step)).collect();
    let mut of_step = |step: u32| slices(&all[step as usize]);
    find(auditor.as_mut(), &audited, blob, &mut of_step).unwrap()
}

#[test]
fn a_cards_steps_pass_a_cpu_and_its_file_is_made_of_what_it_served() {
    for mut card in [crate::cuda::engine(), crate::cards::engine()] {
        card.load(State::new(start())).unwrap();
        let trained = train(card.as_mut(), Uid(1), 0);
        card.discard();
        let file = contribute(card.as_mut(), Uid(1), 0);
        card.keep().unwrap();
        let header = decode_header(&file).unwrap();
        assert!(header.work.engine.is_card());
        let traced = Traced {
            steps: STEPS,
            states: &trained.trace,
            every: config().inner.trace_every,
        };
        let all: Vec<Vec<Vec<u32>>> = (0..STEPS).map(|step| sequences(1, 0, step)).collect();
        let before = held(card.as_ref());
        for drawn in 0..2 {
            let mut of_step = |step: u32| slices(&all[step as usize]);
            let blob = open(card.as_mut(), before.clone(), traced, drawn, &mut of_step);
            let blob = blob.unwrap().unwrap();
            let usual = AuditRules::USUAL_TOLERANCE;
            let find = |tolerance| found(tolerance, (&header, &file), drawn, &blob);
            assert_eq!(find(usual), Some(Finding::Passed));
            assert_eq!(find(1), Some(Finding::Failed), "its bits are others");
            assert_eq!(find(0), None, "such a run admits no card");
            let mut other = file.clone();
            *other.last_mut().unwrap() ^= 1;
            let of_another = found(usual, (&header, &other), drawn, &blob);
            let is_last = drawn == 1;
            assert_eq!(of_another == Some(Finding::Failed), is_last);
            assert_eq!(
                found(usual, (&header, &file), drawn + 1, &blob),
                Some(Finding::Failed)
            );
        }
    }
}

/// What is served of the first interval, under a card's name, by who says that it ended so.
struct Served {
    header: Header,
    blob: Vec<u8>,
}

impl Served {
    fn of(end: &State) -> Served {
        Served::between(&State::new(start()), end)
    }

    fn between(begin: &State, end: &State) -> Served {
        let (first, last) = (begin.traced(), end.traced());
        let states = [first.hash(), last.hash(), H256::repeat_byte(3)];
        let proof = |number| Proof::try_from(trace::proof(&states, number).unwrap()).unwrap();
        let opened = Opened {
            begin: first,
            end: last,
            begin_proof: proof(0),
            end_proof: proof(1),
        };
        let engine = EngineClass::cuda("a card");
        let header = Header {
            inner_steps: STEPS,
            parent_root: cairn_gradient::model_root(&begin.parameters),
            work: Work {
                engine,
                before: Carried {
                    first_moment: first.first_moment,
                    second_moment: first.second_moment,
                    feedback: H256::zero(),
                    steps: first.steps,
                },
                trace: trace::root(&states),
                ..Work::default()
            },
            ..crate::rounds::header(Uid(1), 0, H256::zero(), &crate::rounds::untrained())
        };
        let mut blob = opened.encode();
        for state in [begin, end] {
            let moments = state.optimizer.iter().filter(|one| one.step > 0);
            let moments = moments.flat_map(|one| [&one.m, &one.v]);
            for vector in [&state.parameters].into_iter().chain(moments) {
                blob.extend(vector.iter().flat_map(|number| number.to_le_bytes()));
            }
        }
        Served { header, blob }
    }

    fn found(&self, tolerance: u16) -> Option<Finding> {
        found(tolerance, (&self.header, &[]), 0, &self.blob)
    }
}

/// Steps on a CPU in such a run, on this text of each step.
fn made(
    config: &RunConfig,
    begin: &State,
    steps: u32,
    text: impl Fn(u32) -> Vec<Vec<u32>>,
) -> State {
    let mut engine = Cpu::new(config, 1).unwrap();
    let first = u32::try_from(begin.traced().steps).unwrap();
    let all: Vec<Vec<Vec<u32>>> = (0..first + steps).map(text).collect();
    let mut of_step = |step: u32| slices(&all[step as usize]);
    engine
        .replay(begin, first..first + steps, &mut of_step)
        .unwrap()
}

fn assigned(step: u32) -> Vec<Vec<u32>> {
    sequences(1, 0, step)
}

fn honest() -> State {
    made(&config(), &State::new(start()), INTERVAL, assigned)
}

/// The state that steps without gradients lead to.
fn idle() -> State {
    let layout = Layout::of(&config().model);
    let mut state = State::new(start());
    let mut optimizer = AdamState::of(&layout, &config().inner);
    idle_steps(
        &layout,
        &config().inner,
        &mut state.parameters,
        &mut optimizer,
        INTERVAL,
    );
    state.optimizer = Some(optimizer);
    state
}

/// Changes vectors of an honest end: parameters, first and second moment.
fn changed(change: impl Fn(&mut [f32], &mut [f32], &mut [f32])) -> State {
    let mut state = honest();
    let optimizer = state.optimizer.as_mut().unwrap();
    change(&mut state.parameters, &mut optimizer.m, &mut optimizer.v);
    state
}

/// Whose gradients of one layer are zero.
fn frozen() -> State {
    let (layout, idle) = (Layout::of(&config().model), idle());
    let still = idle.optimizer.unwrap();
    changed(|parameters, m, v| {
        let is_frozen = |name: &str| name.starts_with("model.layers.0.");
        for (_, range) in layout
            .ranges()
            .filter(|(tensor, _)| is_frozen(&tensor.name))
        {
            parameters[range.clone()].copy_from_slice(&idle.parameters[range.clone()]);
            m[range.clone()].copy_from_slice(&still.m[range.clone()]);
            v[range.clone()].copy_from_slice(&still.v[range]);
        }
    })
}

/// With noise of a part of what changed in a vector.
fn noisy(vector: &mut [f32], idle: &[f32], part: f32) {
    let pairs = vector.iter_mut().zip(idle).enumerate();
    for (at, (number, idle)) in pairs {
        let sign = if at % 2 == 0 { 1.0 } else { -1.0 };
        *number += sign * part * (*number - idle);
    }
}

/// What cheats say that they came to.
fn cheats() -> Vec<(&'static str, State)> {
    let (begin, run) = (State::new(start()), config());
    let of_text = |text: fn(u32) -> Vec<Vec<u32>>| made(&run, &begin, INTERVAL, text);
    let mut short = config();
    short.inner.sequence_length /= 2;
    let mut slow = config();
    slow.inner.learning_rate.0 /= 2;
    let cut = |step: u32| {
        let half = short.inner.sequence_length as usize + 1;
        let cut = |one: Vec<u32>| one[..half].to_vec();
        assigned(step).into_iter().map(cut).collect()
    };
    let mut left_out = made(&run, &begin, 1, assigned);
    left_out.optimizer.as_mut().unwrap().step = INTERVAL.into();
    let still = idle().optimizer.unwrap();
    vec![
        (
            "half of the batch",
            of_text(|step| assigned(step)[..2].to_vec()),
        ),
        (
            "a sequence less",
            of_text(|step| assigned(step)[..3].to_vec()),
        ),
        ("other text", of_text(|step| sequences(2, 0, step))),
        ("the first step's text again", of_text(|_| assigned(0))),
        ("half of the context", made(&short, &begin, INTERVAL, cut)),
        (
            "half of the learning rate",
            made(&slow, &begin, INTERVAL, assigned),
        ),
        ("a step left out", left_out),
        ("nothing done", idle()),
        ("a layer frozen", frozen()),
        (
            "noise in the first moment",
            changed(|_, m, _| noisy(m, &still.m, 0.1)),
        ),
        (
            "noise in the second moment",
            changed(|_, _, v| noisy(v, &still.v, 0.3)),
        ),
        (
            "noise in the parameters",
            changed(|w, _, _| noisy(w, &idle().parameters, 0.5)),
        ),
        (
            "a second moment that is gone",
            changed(|_, _, v| v.fill(0.0)),
        ),
        ("one that is below zero", changed(|_, _, v| v[7] = -1e-12)),
        ("no number", changed(|w, _, _| w[3] = f32::NAN)),
        ("no number in a moment", changed(|_, m, _| m[3] = f32::NAN)),
        ("an infinite one", changed(|_, _, v| v[3] = f32::INFINITY)),
        ("one that is too large", changed(|w, _, _| w[3] = f32::MAX)),
    ]
}

#[test]
fn every_cheat_fails_at_the_largest_tolerance_too() {
    let honest = Served::of(&honest());
    assert_eq!(honest.found(1), Some(Finding::Passed));
    assert_eq!(honest.found(0), None);
    for (name, end) in cheats() {
        let served = Served::of(&end);
        for tolerance in [AuditRules::USUAL_TOLERANCE, AuditRules::MAX_TOLERANCE] {
            assert_eq!(served.found(tolerance), Some(Finding::Failed), "{name}");
        }
    }
}

/// A state that claims many steps, with moments of its last parameter that are said.
fn begun(first: f32, second: f32) -> State {
    let layout = Layout::of(&config().model);
    let mut optimizer = AdamState::of(&layout, &config().inner);
    optimizer.step = 40;
    optimizer.m.fill(1e-4);
    optimizer.v.fill(1e-6);
    *optimizer.m.last_mut().unwrap() = first;
    *optimizer.v.last_mut().unwrap() = second;
    State {
        optimizer: Some(optimizer),
        ..State::new(start())
    }
}

/// The interval's steps from there, as an auditor makes them.
fn made_from(begin: &State) -> State {
    let all: Vec<Vec<Vec<u32>>> = (0..INTERVAL).map(assigned).collect();
    let mut of_step = |step: u32| slices(&all[step as usize]);
    let mut engine = Cpu::new(&config(), 1).unwrap();
    engine.replay(begin, 0..INTERVAL, &mut of_step).unwrap()
}

/// How far a served end is from an auditor's.
fn far(begin: &State, end: &State) -> Distances {
    let (config, layout) = (config(), Layout::of(&config().model));
    let states = (&made_from(begin), end);
    distances((&config, &layout), begin.clone(), INTERVAL, states)
}

#[test]
fn a_planted_moment_hides_no_parameters() {
    let usual = AuditRules::USUAL_TOLERANCE;
    // Moments that gradients can have led to, and honest steps from there.
    let begin = begun(1e-4, 1e-6);
    let end = made_from(&begin);
    assert_eq!(
        Served::between(&begin, &end).found(1),
        Some(Finding::Passed)
    );
    for (first, second, hides) in [(1e-4, 1e-6, false), (1e-2, 0.0, true)] {
        // No parameter moved, but for the one with these moments.
        let begin = begun(first, second);
        let mut end = made_from(&begin);
        let moved = *end.parameters.last().unwrap();
        end.parameters.clone_from(&begin.parameters);
        *end.parameters.last_mut().unwrap() = moved;
        let found = far(&begin, &end);
        assert_eq!(found.are_within(usual), hides, "{found:?}");
        let served = Served::between(&begin, &end);
        assert_eq!(served.found(usual), Some(Finding::Failed));
    }
}

#[test]
fn nor_may_a_served_end_have_one() {
    let mut end = honest();
    let optimizer = end.optimizer.as_mut().unwrap();
    let squares = optimizer.m.iter().map(|m| f64::from(*m).powi(2));
    let length = squares.sum::<f64>().sqrt();
    let at = (0..optimizer.v.len()).min_by(|a, b| optimizer.v[*a].total_cmp(&optimizer.v[*b]));
    let at = at.unwrap();
    optimizer.m[at] = (length / 50.0) as f32;
    optimizer.v[at] = 0.0;
    let found = far(&State::new(start()), &end);
    assert!(found.are_within(AuditRules::USUAL_TOLERANCE), "{found:?}");
    let served = Served::of(&end).found(AuditRules::USUAL_TOLERANCE);
    assert_eq!(served, Some(Finding::Failed));
}

#[test]
fn without_gradients_matrices_decay_and_old_moments_go_on() {
    let (before, after) = (start(), idle());
    let layout = Layout::of(&config().model);
    for (tensor, range) in layout.ranges() {
        let pairs = before[range.clone()].iter().zip(&after.parameters[range]);
        let decays = tensor.shape.len() == 2;
        for (before, after) in pairs {
            assert_eq!(after.abs() < before.abs(), decays && *before != 0.0);
        }
    }
    let still = after.optimizer.unwrap();
    assert_eq!(still.step, u64::from(INTERVAL));
    assert!(still.m.iter().chain(&still.v).all(|number| *number == 0.0));
    // Behind honest steps the first moment moves on, and both shrink by their decay.
    let (mut state, layout) = (honest(), &layout);
    let mut optimizer = state.optimizer.take().unwrap();
    let (m, v) = (optimizer.m.clone(), optimizer.v.clone());
    let honest = state.parameters.clone();
    idle_steps(
        layout,
        &config().inner,
        &mut state.parameters,
        &mut optimizer,
        1,
    );
    assert_ne!(state.parameters, honest);
    let [beta1, beta2] = [config().inner.beta1, config().inner.beta2].map(|beta| beta.to_f32());
    assert!(m
        .iter()
        .zip(&optimizer.m)
        .all(|(was, is)| *is == beta1 * was));
    assert!(v
        .iter()
        .zip(&optimizer.v)
        .all(|(was, is)| *is == beta2 * was));
}

#[test]
fn noise_below_the_tolerance_passes() {
    let (still, idle) = (idle().optimizer.unwrap(), idle());
    let small = changed(|w, m, v| {
        noisy(m, &still.m, 0.01);
        noisy(v, &still.v, 0.01);
        noisy(w, &idle.parameters, 0.1);
    });
    let served = Served::of(&small);
    assert_eq!(
        served.found(AuditRules::USUAL_TOLERANCE),
        Some(Finding::Passed)
    );
    assert_eq!(
        served.found(AuditRules::USUAL_TOLERANCE / 4),
        Some(Finding::Failed)
    );
}

#[test]
fn without_the_vectors_of_its_end_nothing_is_a_cards() {
    let mut served = Served::of(&honest());
    let vectors = 3 * 4 * start().len();
    served.blob.truncate(served.blob.len() - vectors);
    assert_eq!(
        served.found(AuditRules::MAX_TOLERANCE),
        Some(Finding::Failed)
    );
    // The same is what a CPU serves, which is judged to the bit.
    served.header.work.engine = EngineClass::CPU;
    assert_eq!(
        served.found(AuditRules::MAX_TOLERANCE),
        Some(Finding::Passed)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// One bit of what is served, or its end, and it fails; nothing that is served stops an auditor.
    #[test]
    fn whatever_else_is_served_fails(at in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<bool>()) {
        let mut served = Served::of(&honest());
        let at = at.index(served.blob.len());
        let longer = [&served.blob[..], &[0]].concat();
        if cut {
            served.blob.truncate(at);
        } else {
            served.blob[at] ^= 1 << bit;
        }
        prop_assert_eq!(served.found(AuditRules::MAX_TOLERANCE), Some(Finding::Failed));
        served.blob = longer;
        prop_assert_eq!(served.found(AuditRules::MAX_TOLERANCE), Some(Finding::Failed));
    }
}
