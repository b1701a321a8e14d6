//! What every engine promises of its verbs.

use std::io;

use cairn_engine::{AdamState, EngineError, Part, Settlement, Shared, State, Version};
use cairn_gradient::model_root;
use cairn_primitives::{Layout, Uid};

use crate::{
    fixture::{config, sequences, slices},
    rounds::{
        checked, contribute, contribution_of, engines, header, held, including, loaded, order,
        start, train, train_while,
    },
};

fn is_out_of_turn<T>(result: Result<T, EngineError>) -> bool {
    matches!(result, Err(EngineError::OutOfTurn { .. }))
}

#[test]
fn before_a_state_is_loaded_only_load_works() {
    for mut engine in engines() {
        let engine = engine.as_mut();
        assert!(is_out_of_turn(engine.root(Version::Held)));
        assert!(is_out_of_turn(engine.state(Version::Held)));
        assert!(is_out_of_turn(train_while(engine, Uid(1), 0, &mut |_| {
            true
        })));
        assert!(is_out_of_turn(engine.settle(&including(&[]))));
        assert!(is_out_of_turn(engine.keep()));
        assert!(is_out_of_turn(engine.measure(None, &[], &mut || true)));
        assert!(is_out_of_turn(engine.measure_settled(&[], &mut || true)));
        engine.discard();
        engine.forget_base();
        let root = engine.load(State::new(start())).unwrap();
        assert_eq!(root, model_root(&start()));
        assert_eq!(engine.root(Version::Held).unwrap(), root);
    }
}

#[test]
fn a_state_of_another_model_is_refused_and_the_one_before_stays() {
    let short = || vec![0.5; start().len() - 1];
    let with_moments = |m: Vec<f32>, v: Vec<f32>| State {
        optimizer: Some(AdamState { m, v, step: 3 }),
        ..State::new(start())
    };
    for mut engine in loaded() {
        let before = held(engine.as_ref());
        let wrong = [
            State::new(short()),
            with_moments(short(), start()),
            with_moments(start(), short()),
            State {
                feedback: Some(short()),
                ..State::new(start())
            },
        ];
        for state in wrong {
            let refused = engine.load(state);
            assert!(matches!(refused, Err(EngineError::Foreign(_))));
            assert_eq!(held(engine.as_ref()), before);
        }
    }
}

#[test]
fn what_a_contribution_left_waits_for_its_round_when_it_is_kept_and_not_before() {
    for mut engine in loaded() {
        let engine = engine.as_mut();
        let before = held(engine);
        let file = contribute(engine, Uid(1), 0);
        assert_eq!(held(engine), before);
        engine.discard();
        assert!(is_out_of_turn(engine.keep()));
        assert!(is_out_of_turn(engine.root(Version::Sent)));
        assert_eq!(held(engine), before);

        assert_eq!(contribute(engine, Uid(1), 0), file);
        assert!(is_out_of_turn(engine.root(Version::Sent)));
        let pending = engine.state(Version::Pending).unwrap();
        engine.keep().unwrap();
        let after = held(engine);
        let sent = after.sent.clone().unwrap();
        assert_eq!(Some(&sent.optimizer), pending.optimizer.as_ref());
        assert_eq!(Some(&sent.feedback), pending.feedback.as_ref());
        assert_eq!(
            State {
                sent: None,
                ..after
            },
            before
        );
        assert_eq!(engine.optimizer_steps(Version::Held).unwrap(), 0);
        assert_eq!(engine.optimizer_steps(Version::Sent).unwrap(), 3);
        assert!(sent.feedback.iter().any(|rest| *rest != 0.0));
        assert!(is_out_of_turn(engine.keep()));
    }
}

#[test]
fn a_settled_round_changes_the_state_when_it_is_kept_and_leaves_a_base() {
    let file = checked(&config(), &contribution_of(Uid(4)));
    for mut engine in loaded() {
        let engine = engine.as_mut();
        let before = held(engine);
        let included = [(Uid(4), 1, file.clone())];
        let root = engine.settle(&including(&included)).unwrap();
        assert_eq!(held(engine), before);
        assert!(is_out_of_turn(engine.root(Version::Base)));
        assert_eq!(engine.root(Version::Pending).unwrap(), root);
        engine.discard();
        assert!(is_out_of_turn(engine.root(Version::Pending)));

        assert_eq!(engine.settle(&including(&included)).unwrap(), root);
        engine.keep().unwrap();
        assert_eq!(engine.root(Version::Held).unwrap(), root);
        assert_ne!(held(engine).parameters, before.parameters);
        let base = engine.state(Version::Base).unwrap();
        assert_eq!(base.parameters, before.parameters);

        // A null round leaves parameters, which are the base of the next.
        assert_eq!(engine.settle(&including(&[])).unwrap(), root);
        engine.keep().unwrap();
        assert_eq!(engine.root(Version::Base).unwrap(), root);
        engine.forget_base();
        assert!(is_out_of_turn(engine.root(Version::Base)));
    }
}

#[test]
fn the_outer_step_has_the_same_bits_on_every_engine() {
    let files = [1, 2, 3].map(|uid| {
        (
            Uid(uid),
            10 * uid,
            checked(&config(), &contribution_of(Uid(uid))),
        )
    });
    let roots: Vec<_> = loaded()
        .iter_mut()
        .map(|engine| engine.settle(&including(&files)).unwrap())
        .collect();
    assert!(roots.windows(2).all(|pair| pair[0] == pair[1]), "{roots:?}");
}

#[test]
fn what_was_included_goes_on_and_what_was_not_is_as_if_it_had_not_been() {
    for is_included in [true, false] {
        for mut engine in loaded() {
            let engine = engine.as_mut();
            let before = held(engine);
            contribute(engine, Uid(1), 0);
            engine.keep().unwrap();
            let sent = held(engine).sent.unwrap();
            let settlement = Settlement {
                is_included,
                ..including(&[])
            };
            engine.settle(&settlement).unwrap();
            engine.discard();
            assert_eq!(held(engine).sent.as_ref(), Some(&sent));
            engine.settle(&settlement).unwrap();
            let pending = engine.state(Version::Pending).unwrap();
            engine.keep().unwrap();
            assert_eq!(held(engine), pending);
            let want = match is_included {
                true => State {
                    optimizer: Some(sent.optimizer),
                    feedback: Some(sent.feedback),
                    ..before
                },
                false => before,
            };
            assert_eq!(pending, want);
        }
    }
}

#[test]
fn a_state_that_was_read_and_loaded_elsewhere_goes_on_with_equal_bits() {
    let file = checked(&config(), &contribution_of(Uid(4)));
    for (mut one, mut other) in loaded().into_iter().zip(engines()) {
        contribute(one.as_mut(), Uid(1), 0);
        one.keep().unwrap();
        let included = [(Uid(4), 1, file.clone())];
        let settlement = Settlement {
            is_included: true,
            ..including(&included)
        };
        one.settle(&settlement).unwrap();
        one.keep().unwrap();
        contribute(one.as_mut(), Uid(1), 1);
        one.keep().unwrap();
        other.load(held(one.as_ref())).unwrap();
        let files = [&mut one, &mut other].map(|engine| contribute(engine.as_mut(), Uid(1), 1));
        assert_eq!(files[0], files[1]);
        one.keep().unwrap();
        other.keep().unwrap();
        assert_eq!(held(one.as_ref()), held(other.as_ref()));
    }
}

#[test]
fn before_each_step_is_asked_whether_there_is_time() {
    for mut engine in loaded() {
        let engine = engine.as_mut();
        let none = train_while(engine, Uid(1), 0, &mut |_| false).unwrap();
        assert_eq!(none, None);
        // Nothing is pending: others may go on.
        let mut asked = Vec::new();
        let trained = train_while(engine, Uid(1), 0, &mut |done| {
            asked.push(done.copied());
            asked.len() <= 2
        });
        let trained = trained.unwrap().unwrap();
        assert_eq!((trained.steps(), trained.tokens), (2, 2 * 4 * 24));
        let numbers: Vec<_> = asked
            .iter()
            .map(|done| done.map(|done| done.step))
            .collect();
        assert_eq!(numbers, [None, Some(0), Some(1)]);
        let losses: Vec<f32> = asked.iter().flatten().map(|done| done.loss).collect();
        assert_eq!(losses, trained.losses);
        engine.discard();

        // After the last step it is told, too.
        let mut told = 0;
        let all = train_while(engine, Uid(1), 0, &mut |_| {
            told += 1;
            true
        });
        assert_eq!((all.unwrap().unwrap().steps(), told), (3, 4));
    }
}

#[test]
fn a_step_that_cannot_be_made_leaves_the_state_as_it_was() {
    let unknown_token = vec![vec![1_000u32; 25]; 4];
    let good = sequences(1, 0, 0);
    for mut engine in loaded().into_iter().take(3) {
        let engine = engine.as_mut();
        let before = held(engine);
        let mut of_step = |step: u32| slices(if step == 2 { &unknown_token } else { &good });
        let failed = engine.train(&order(0), &mut of_step, &mut |_| true);
        assert!(matches!(failed, Err(EngineError::Foreign(_))));
        assert_eq!(held(engine), before);
        assert!(is_out_of_turn(engine.state(Version::Pending)));
        contribute(engine, Uid(1), 0);
    }
}

#[test]
fn training_that_diverges_leaves_the_state_as_it_was() {
    for mut engine in engines().into_iter().take(3) {
        let engine = engine.as_mut();
        let mut state = State::new(start());
        state.parameters[40] = f32::INFINITY;
        let root = engine.load(state).unwrap();
        let error = train_while(engine, Uid(1), 0, &mut |_| true).unwrap_err();
        assert!(matches!(error, EngineError::NotFinite { .. }), "{error}");
        assert!(error.is_divergence() && !error.is_device_fault());
        assert_eq!(engine.root(Version::Held).unwrap(), root);
    }
}

#[test]
fn what_cannot_be_sent_is_named_and_nothing_is_kept_of_it() {
    let layout = Layout::of(&config().model);
    let (tensor, range) = layout.ranges().nth(2).unwrap();
    for mut engine in engines() {
        let engine = engine.as_mut();
        let mut damaged = vec![0.0; start().len()];
        damaged[range.start + 5] = f32::INFINITY;
        let state = State {
            feedback: Some(damaged),
            ..State::new(start())
        };
        let root = engine.load(state.clone()).unwrap();
        let trained = train(engine, Uid(1), 0);
        let error = engine.contribution(header(Uid(1), 0, root.0, &trained));
        match error.unwrap_err() {
            error @ EngineError::Unsendable { index: 5, .. } => {
                assert!(error.to_string().contains(&tensor.name) && error.is_divergence());
            }
            other => panic!("{other}"),
        }
        assert_eq!(held(engine), state);
        assert!(is_out_of_turn(engine.keep()));
    }
}

#[test]
fn verbs_out_of_turn_are_refused_and_change_nothing() {
    let file = checked(&config(), &contribution_of(Uid(4)));
    for mut engine in loaded() {
        let engine = engine.as_mut();
        let root = engine.root(Version::Held).unwrap();
        engine.settle(&including(&[])).unwrap();
        engine.keep().unwrap();
        let trained = train(engine, Uid(1), 0);
        let good = header(Uid(1), 0, root.0, &trained);
        assert!(is_out_of_turn(engine.keep()));
        assert!(is_out_of_turn(train_while(engine, Uid(1), 0, &mut |_| {
            true
        })));
        assert!(is_out_of_turn(engine.settle(&including(&[(
            Uid(4),
            1,
            file.clone()
        )]))));
        let sequences = sequences(1, 0, 0);
        let measured = engine.measure(None, &slices(&sequences), &mut || true);
        assert!(is_out_of_turn(measured));
        let measured = engine.measure_settled(&slices(&sequences), &mut || true);
        assert!(is_out_of_turn(measured));
        let mut wrong = [good.clone(), good.clone(), good.clone()];
        wrong[0].round = 1;
        wrong[1].inner_steps += 1;
        wrong[2].parent_root.0 .0[0] ^= 1;
        for header in wrong {
            assert!(is_out_of_turn(engine.contribution(header)));
        }
        // The steps are still there.
        engine.contribution(good.clone()).unwrap();
        assert!(is_out_of_turn(engine.contribution(good)));
        assert!(is_out_of_turn(engine.settle(&including(&[]))));
        // What is pending can wait while others are measured.
        let measured = engine.measure(Some(&file), &slices(&sequences), &mut || true);
        assert_eq!(measured.unwrap().unwrap().len(), 4);
        engine.keep().unwrap();
    }
}

#[test]
fn measuring_breaks_off_between_pieces() {
    let sequences: Vec<Vec<u32>> = (0..5).flat_map(|step| sequences(3, 0, step)).collect();
    let sequences = slices(&sequences);
    for mut engine in loaded() {
        engine.settle(&including(&[])).unwrap();
        engine.keep().unwrap();
        let mut left = 1;
        let losses = engine.measure(None, &sequences, &mut || {
            left -= 1;
            left >= 0
        });
        assert_eq!(losses.unwrap(), None);
        // 20 sequences in pieces of 8, or of 16: asked a second time, and no more.
        assert_eq!(left, -1);
        let losses = engine.measure_settled(&sequences, &mut || false);
        assert_eq!(losses.unwrap(), None);
        let all = engine.measure(None, &sequences, &mut || true).unwrap();
        assert_eq!(all.unwrap().len(), 20);
    }
}

#[test]
fn a_contribution_is_measured_on_no_other_parameters_than_it_was_made_from() {
    let file = checked(&config(), &contribution_of(Uid(4)));
    let text = sequences(3, 0, 0);
    for mut engine in loaded() {
        let included = [(Uid(4), 1, file.clone())];
        engine.settle(&including(&included)).unwrap();
        engine.keep().unwrap();
        let measured = engine.measure(Some(&file), &slices(&text), &mut || true);
        assert!(measured.unwrap().is_some());
        engine.settle(&including(&[])).unwrap();
        engine.keep().unwrap();
        let refused = engine.measure(Some(&file), &slices(&text), &mut || true);
        assert!(matches!(refused, Err(EngineError::Foreign(_))));
    }
}

#[test]
fn a_snapshot_says_what_is_there_and_gives_on_what_the_sink_says() {
    for mut engine in loaded() {
        let engine = engine.as_mut();
        let mut count = 0;
        let mut sink = |piece: &[f32]| {
            count += piece.len();
            Ok(())
        };
        let part = Part::Parameters;
        assert!(engine.snapshot(Version::Held, part, &mut sink).unwrap());
        assert_eq!(count, start().len());
        for part in [Part::FirstMoment, Part::SecondMoment, Part::Feedback] {
            let there = engine.snapshot(Version::Held, part, &mut |_| Ok(()));
            assert!(!there.unwrap(), "{part:?}");
        }
        let full = |_: &[f32]| Err(io::Error::from(io::ErrorKind::StorageFull));
        let refused = engine.snapshot(Version::Held, part, &mut { full });
        let said = |error: &io::Error| error.kind() == io::ErrorKind::StorageFull;
        assert!(matches!(refused, Err(EngineError::Sink(error)) if said(&error)));
    }
}

/// So that it can be written to a disk meanwhile.
#[test]
fn what_is_shared_stays_while_the_engine_goes_on() {
    let parts = [
        Part::Parameters,
        Part::FirstMoment,
        Part::SecondMoment,
        Part::Feedback,
    ];
    for mut engine in loaded() {
        let engine = engine.as_mut();
        let first = engine.shared(Version::Held, Part::FirstMoment);
        assert!(first.unwrap().is_none(), "nothing was trained");
        contribute(engine, Uid(1), 0);
        let left = engine.state(Version::Pending).unwrap();
        let optimizer = left.optimizer.expect("steps were made");
        let feedback = left.feedback.expect("something was sent");
        let expected = [left.parameters, optimizer.m, optimizer.v, feedback];
        let shared = parts.map(|part| engine.shared(Version::Pending, part));
        let shared = shared.map(|part| part.unwrap().expect("it has all parts"));
        let content = |shared: &[Shared]| -> Vec<Vec<f32>> {
            let vectors = shared.iter().map(|vector| vector.numbers().to_vec());
            vectors.collect()
        };
        assert_eq!(content(&shared), expected);
        engine.keep().unwrap();
        // Nothing is copied: what is shared is what the engine holds.
        for (part, shared) in parts.iter().zip(&shared) {
            let again = engine.shared(Version::Sent, *part).unwrap();
            let again = again.expect("it has all parts");
            assert!(std::ptr::eq(again.numbers(), shared.numbers()), "{part:?}");
        }
        // All of it is replaced.
        let others = [(Uid(4), 1, checked(&config(), &contribution_of(Uid(4))))];
        for (round, included) in [(1, &others[..]), (2, &others[..0])] {
            let settled = Settlement {
                is_included: true,
                ..including(included)
            };
            engine.settle(&settled).unwrap();
            engine.keep().unwrap();
            contribute(engine, Uid(1), round);
            engine.keep().unwrap();
        }
        let now = engine.state(Version::Held).unwrap();
        assert_ne!(now.parameters, expected[0]);
        assert_ne!(now.feedback.as_ref(), Some(&expected[3]));
        assert_eq!(content(&shared), expected);
    }
}
