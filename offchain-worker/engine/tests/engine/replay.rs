//! Inner steps that are traced can be made again, and no others pass for them.

use cairn_engine::{AdamState, Engine, EngineError, Settlement, State, Trained, Version};
use cairn_gradient::{decode_header, Header};
use cairn_primitives::{Carried, Uid};
use cairn_protocol::{
    trace,
    verdict::{check_carried, Last, Refusal},
};
use cairn_trainer::Trainer;

use crate::{
    by_hand::traced,
    fixture::{config, sequences, slices},
    rounds::{checked, contribute, cpu, held, including, loaded, start, train},
};

/// The state after so many steps of the first round of a member, made by the trainer alone.
fn after(uid: u16, steps: u32) -> State {
    let config = config();
    let mut trainer = Trainer::new(&config.model, 1).unwrap();
    let (mut parameters, mut adam) = (start(), AdamState::new(start().len()));
    for step in 0..steps {
        let batch = sequences(uid, 0, step);
        let made = trainer.step(&mut parameters, &mut adam, &config.inner, &slices(&batch));
        made.unwrap();
    }
    State {
        optimizer: Some(adam),
        ..State::new(parameters)
    }
}

/// Replays steps of the first round of a member, as if its sequences were those of `uid`.
fn replay(
    engine: &mut dyn Engine,
    before: &State,
    uid: u16,
    steps: std::ops::Range<u32>,
) -> Result<cairn_primitives::H256, EngineError> {
    let all: Vec<Vec<Vec<u32>>> = (0..3).map(|step| sequences(uid, 0, step)).collect();
    let after = engine.replay(before.clone(), steps, &mut |step| slices(&all[step as usize]))?;
    Ok(after.traced().hash())
}

/// An engine, what it traced in a round, and the header of its contribution, which is kept.
fn traced_round(mut engine: Box<dyn Engine>) -> (Box<dyn Engine>, Trained, Header) {
    let trained = train(engine.as_mut(), Uid(1), 0);
    engine.discard();
    let file = contribute(engine.as_mut(), Uid(1), 0);
    engine.keep().unwrap();
    (engine, trained, decode_header(&file).unwrap())
}

#[test]
fn honest_steps_lead_to_the_states_that_were_traced() {
    for engine in loaded() {
        let before = held(engine.as_ref());
        let (mut engine, trained, header) = traced_round(engine);
        // Of three steps the states 0, 2 and 3.
        assert_eq!(trained.trace.len(), 3);
        let shown = trace::proof(&trained.trace, 1).unwrap();
        assert!(trace::opens(
            header.work.trace,
            3,
            1,
            trained.trace[1],
            &shown
        ));
        assert_eq!(header.work.engine, engine.class());
        let kept = held(engine.as_ref());
        assert_eq!(
            replay(engine.as_mut(), &before, 1, 0..0).unwrap(),
            trained.trace[0]
        );
        assert_eq!(
            replay(engine.as_mut(), &before, 1, 0..2).unwrap(),
            trained.trace[1]
        );
        assert_eq!(
            replay(engine.as_mut(), &before, 1, 0..3).unwrap(),
            trained.trace[2]
        );
        assert_eq!(held(engine.as_ref()), kept);
    }
}

#[test]
fn one_step_is_replayed_from_the_state_before_it() {
    let mut engine = cpu();
    engine.load(State::new(start())).unwrap();
    let (mut engine, trained, _) = traced_round(engine);
    let (second, third) = (after(1, 2), after(1, 3));
    let adam = |state: &State| state.optimizer.clone().unwrap();
    assert_eq!(traced(&second.parameters, &adam(&second)), trained.trace[1]);
    let led_to = replay(engine.as_mut(), &second, 1, 2..3).unwrap();
    assert_eq!(led_to, trained.trace[2]);
    assert_eq!(led_to, traced(&third.parameters, &adam(&third)));
}

#[test]
fn other_work_does_not_lead_there() {
    let mut engine = cpu();
    engine.load(State::new(start())).unwrap();
    let (mut engine, trained, _) = traced_round(engine);
    let honest = after(1, 2);
    type Tamper = fn(&mut State);
    let spoils: [Tamper; 4] = [
        |state| state.parameters[7] = state.parameters[7].next_up(),
        |state| state.optimizer.as_mut().unwrap().m[7] *= 1.001,
        |state| state.optimizer.as_mut().unwrap().v[7] *= 1.001,
        |state| state.optimizer.as_mut().unwrap().step += 1,
    ];
    for spoil in spoils {
        let mut other = honest.clone();
        spoil(&mut other);
        assert_ne!(
            replay(engine.as_mut(), &other, 1, 2..3).unwrap(),
            trained.trace[2]
        );
    }
    // Other data, another step, one step left out.
    assert_ne!(
        replay(engine.as_mut(), &honest, 2, 2..3).unwrap(),
        trained.trace[2]
    );
    assert_ne!(
        replay(engine.as_mut(), &honest, 1, 1..2).unwrap(),
        trained.trace[2]
    );
    assert_ne!(
        replay(engine.as_mut(), &after(1, 1), 1, 2..3).unwrap(),
        trained.trace[2]
    );
}

#[test]
fn a_member_goes_on_from_where_its_included_contribution_ended() {
    for engine in loaded() {
        let (mut engine, _, first) = traced_round(engine);
        assert!(first.work.before.is_zero());
        assert_eq!(check_carried(&first, &Last::Nothing), Ok(()));
        let settlement = Settlement {
            is_included: true,
            ..including(&[])
        };
        engine.settle(&settlement).unwrap();
        engine.keep().unwrap();
        let file = contribute(engine.as_mut(), Uid(1), 0);
        engine.discard();
        let second = decode_header(&file).unwrap();
        assert_eq!(second.work.before, first.after());
        assert_eq!(second.work.before.steps, 3);
        assert_eq!(check_carried(&second, &Last::Ended(first.after())), Ok(()));
        let other = Carried {
            steps: 4,
            ..first.after()
        };
        assert_eq!(
            check_carried(&second, &Last::Ended(other)),
            Err(Refusal::Carried)
        );
    }
}

#[test]
fn the_norm_of_a_round_is_that_of_its_contributions_and_stays_through_null_rounds() {
    for mut engine in loaded() {
        let engine = engine.as_mut();
        let file = checked(&config(), &contribute(engine, Uid(1), 0));
        engine.discard();
        assert_eq!(engine.norm(Version::Held).unwrap(), None);
        engine
            .settle(&including(&[(Uid(1), 1, file.clone())]))
            .unwrap();
        assert_eq!(engine.norm(Version::Held).unwrap(), None);
        assert_eq!(engine.norm(Version::Pending).unwrap(), Some(file.norm()));
        engine.keep().unwrap();
        engine.settle(&including(&[])).unwrap();
        engine.keep().unwrap();
        assert_eq!(held(engine).norm, Some(file.norm()));
        let state = held(engine);
        engine.load(state).unwrap();
        assert_eq!(engine.norm(Version::Held).unwrap(), Some(file.norm()));
    }
}

#[test]
fn a_replay_waits_for_steps_and_fits_the_model() {
    for mut engine in loaded() {
        let engine = engine.as_mut();
        let short = State::new(vec![0.5; start().len() - 1]);
        let refused = replay(engine, &short, 1, 0..1);
        assert!(matches!(refused, Err(EngineError::Foreign(_))));
        train(engine, Uid(1), 0);
        let refused = replay(engine, &State::new(start()), 1, 0..1);
        assert!(matches!(refused, Err(EngineError::OutOfTurn { .. })));
    }
}
