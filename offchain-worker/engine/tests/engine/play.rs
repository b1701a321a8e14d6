//! Whatever is asked of an engine in whatever order: only `keep` changes the state, and makes it what was pending.

use std::sync::OnceLock;

use cairn_engine::{Engine, Order, Sent, Settlement, State, Version};
use cairn_primitives::{ModelRoot, Uid};
use proptest::prelude::*;

use crate::{
    fixture::{config, sequences, slices},
    rounds::{checked, contribution_of, cost, header, held, including, start, train_while},
};

#[derive(Clone, Copy, Debug)]
enum Verb {
    Train { steps: usize },
    TrainOnNothing,
    Contribute { right: bool },
    Settle { included: bool, back: bool },
    Keep,
    Discard,
    ForgetBase,
    Measure,
    LoadShort,
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        3 => (0usize..4).prop_map(|steps| Verb::Train { steps }),
        1 => Just(Verb::TrainOnNothing),
        4 => any::<bool>().prop_map(|right| Verb::Contribute { right }),
        3 => any::<(bool, bool)>().prop_map(|(included, back)| Verb::Settle { included, back }),
        5 => Just(Verb::Keep),
        2 => Just(Verb::Discard),
        1 => Just(Verb::ForgetBase),
        1 => Just(Verb::Measure),
        1 => Just(Verb::LoadShort),
    ]
}

/// What a role remembers.
#[derive(Default)]
struct Role {
    trained: Option<cairn_engine::Trained>,
    file: Option<Vec<u8>>,
    /// Whether what it did last that is to be kept was to settle a round.
    settles: bool,
}

/// Whether the verb was done.
fn play(engine: &mut dyn Engine, role: &mut Role, others: &[u8], verb: Verb) -> bool {
    match verb {
        Verb::Train { steps } => {
            let mut asked = 0;
            let trained = train_while(engine, Uid(1), 0, &mut |_| {
                asked += 1;
                asked <= steps
            });
            match trained {
                Ok(trained) => {
                    role.trained = trained.or(role.trained.take());
                    true
                }
                Err(_) => false,
            }
        }
        Verb::TrainOnNothing => {
            let order = Order {
                round: 0,
                uid: Uid(0),
                steps: 2,
            };
            let nothing = engine.train(&order, &mut |_| Vec::new(), &mut |_| true);
            nothing.is_ok()
        }
        Verb::Contribute { right } => {
            let Some(trained) = &role.trained else {
                return false;
            };
            let root = match right {
                true => engine.root(Version::Held).unwrap(),
                false => ModelRoot::zero(),
            };
            let made = engine.contribution(header(Uid(1), 0, root.0, trained));
            role.settles &= made.is_err();
            role.file = made.ok().or(role.file.take());
            role.file.is_some()
        }
        Verb::Settle { included, back } => {
            let included = match included {
                true => vec![(Uid(4), 1, checked(&config(), others))],
                false => Vec::new(),
            };
            let settlement = Settlement {
                is_included: back,
                ..including(&included)
            };
            let settled = engine.settle(&settlement).is_ok();
            role.settles |= settled;
            settled
        }
        Verb::Keep => engine.keep().is_ok(),
        Verb::Discard => {
            engine.discard();
            true
        }
        Verb::ForgetBase => {
            engine.forget_base();
            true
        }
        Verb::Measure => {
            let text = sequences(2, 0, 0);
            engine.measure(None, &slices(&text), &mut || true).is_ok()
        }
        Verb::LoadShort => engine.load(State::new(vec![0.0; 3])).is_ok(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn only_keep_changes_the_state(verbs in prop::collection::vec(verb(), 1..40)) {
        static OTHERS: OnceLock<Vec<u8>> = OnceLock::new();
        let others = OTHERS.get_or_init(|| contribution_of(Uid(4)));
        let (mut engine, mut role) = (cost(), Role::default());
        engine.load(State::new(start())).unwrap();
        for verb in verbs {
            let engine = engine.as_mut();
            let before = held(engine);
            let pending = engine.state(Version::Pending).ok();
            let done = play(engine, &mut role, others, verb);
            let after = held(engine);
            match verb {
                Verb::Keep => {
                    prop_assert_eq!(done, pending.is_some());
                    let after_all = match (pending, role.settles) {
                        (Some(pending), true) => pending,
                        (Some(pending), false) => State {
                            sent: pending.optimizer.zip(pending.feedback).map(
                                |(optimizer, feedback)| Sent { optimizer, feedback }
                            ),
                            ..before
                        },
                        (None, _) => before,
                    };
                    prop_assert_eq!(after, after_all);
                }
                Verb::TrainOnNothing | Verb::LoadShort => {
                    prop_assert!(!done);
                    prop_assert_eq!(after, before);
                }
                _ => prop_assert_eq!(after, before),
            }
            let root = cairn_gradient::model_root(&held(engine).parameters);
            prop_assert_eq!(engine.root(Version::Held).unwrap(), root);
        }
    }
}
