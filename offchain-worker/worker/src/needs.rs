//! What a run takes of those who take part, in bytes, by arithmetic: nothing is allocated.
//!
//! Counted are the vectors of the model's length, which at any size worth asking about are nearly all of it, and what
//! the layers keep. docs/trainer.md states each figure and what was measured beside it.

use cairn_primitives::{AuditRules, Layout, Matrices, RunConfig, Tensor};
use cairn_protocol::trace;
use cairn_trainer::{
    config::Needs,
    cuda::{iteration_bytes, CROSSING},
};
use serde::Serialize;

/// Bytes of a number.
const NUMBER: u64 = 4;
/// Bytes of what stands for a traced state: three hashes, and how many steps were done.
pub const TRACED_HEAD: u64 = 3 * 32 + 8;

/// Something that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// What it is.
    pub what: &'static str,
    /// Its bytes.
    pub bytes: u64,
}

/// The vectors of a run's model, in bytes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vectors {
    /// Parameters; a gradient, a first moment and an error feedback have as many.
    pub parameters: u64,
    /// The second moment.
    pub second: u64,
}

impl Vectors {
    /// Of a run.
    pub fn of(config: &RunConfig) -> Vectors {
        let layout = Layout::of(&config.model);
        let bytes = |numbers: usize| (numbers as u64).saturating_mul(NUMBER);
        Vectors {
            parameters: bytes(layout.parameters()),
            second: bytes(config.inner.matrices.second_moments(&layout)),
        }
    }

    /// So many vectors as long as the parameters, and so many second moments.
    pub fn sum(self, parameters: u64, seconds: u64) -> u64 {
        let parameters = self.parameters.saturating_mul(parameters);
        parameters.saturating_add(self.second.saturating_mul(seconds))
    }

    /// A member's state: parameters, both moments, error feedback.
    pub fn state(self) -> u64 {
        self.sum(3, 1)
    }

    /// Parameters and moments, as steps change them and an audit looks at them.
    pub fn steps(self) -> u64 {
        self.sum(2, 1)
    }

    /// What is served for an audit of a round's last steps, none of which is its first: the state before them, where the
    /// run admits cards the one after them, and the parameters and the error feedback that the file was made of.
    pub fn served(self, rules: &AuditRules) -> u64 {
        let before = self.sum(4, 1);
        match rules.admits_cards() {
            false => before,
            true => before.saturating_add(self.steps()),
        }
    }
}

/// Bytes on the disk of a round's traced states, as a miner keeps them: those between its steps have their vectors, and
/// where the run admits cards that after the last one, too. None in a run that does not audit.
pub fn traced(config: &RunConfig) -> u64 {
    if config.audits.rate == 0 {
        return 0;
    }
    let states = trace::count(config.inner.steps.into(), config.inner.trace_every);
    let without = if config.audits.admits_cards() { 1 } else { 2 };
    let vectors = Vectors::of(config).steps();
    let vectors = vectors.saturating_add(traced_course(config));
    let full = u64::from(states.saturating_sub(without));
    let heads = u64::from(states).saturating_mul(TRACED_HEAD);
    vectors.saturating_mul(full).saturating_add(heads)
}

/// Bytes at most of how a round's steps had come to a traced state: hashes, lengths, a loss of each step, a hash of each
/// state, and a number before each list.
pub fn traced_course(config: &RunConfig) -> u64 {
    let steps = u64::from(config.inner.steps);
    let states = trace::count(config.inner.steps.into(), config.inner.trace_every);
    let lists = steps
        .saturating_mul(NUMBER)
        .saturating_add(u64::from(states).saturating_mul(32));
    lists.saturating_add(2 * 32 + 3 * 8 + 2 * 4)
}

/// What a miner holds at most while it trains and makes its contribution. What is written to the disk meanwhile is
/// written out of these vectors, and is on the disk before others take their place; but steps change what they go on
/// from, so of what is traced for audits a state is copied. `elsewhere`: the steps are made by an engine in another
/// program, which has gradient and activations.
pub fn mining(config: &RunConfig, elsewhere: bool) -> Vec<Held> {
    let vectors = Vectors::of(config);
    let mut held = vec![
        Held {
            what: "state: parameters, moments, error feedback",
            bytes: vectors.state(),
        },
        Held {
            what: "the same of its steps, and of what is sent of them",
            bytes: vectors.state(),
        },
    ];
    if config.audits.rate > 0 {
        held.push(Held {
            what: "a traced state that waits for the disk",
            bytes: vectors.steps(),
        });
    }
    if !elsewhere {
        held.push(Held {
            what: "gradient",
            bytes: vectors.parameters,
        });
        held.push(layers(config));
    }
    held
}

/// What a miner holds at most while it makes again what an audit drew, the last of its steps, and puts together what it
/// serves. `elsewhere`: on cards, which have gradient and activations.
pub fn serving(config: &RunConfig, elsewhere: bool) -> Vec<Held> {
    let vectors = Vectors::of(config);
    // A state goes once it is put as bytes. Where that after the steps is served, too, the first is there twice beside
    // it, and then the second.
    let states = match config.audits.admits_cards() {
        false => 2,
        true => 3,
    };
    let mut held = vec![
        Held {
            what: "state, and moments and error feedback of what was sent",
            bytes: vectors.state().saturating_add(vectors.steps()),
        },
        Held {
            what: "the state with which the round began",
            bytes: vectors.state(),
        },
        Held {
            what: "parameters and moments before the last steps, and after them",
            bytes: vectors.steps().saturating_mul(states),
        },
    ];
    if !elsewhere {
        held.push(Held {
            what: "gradient",
            bytes: vectors.parameters,
        });
        held.push(layers(config));
    }
    held
}

/// What a validator holds at most while it measures contributions, or applies a round.
pub fn measuring(config: &RunConfig) -> Vec<Held> {
    let vectors = Vectors::of(config);
    vec![
        Held {
            what: "parameters of the round, and of the one before it",
            bytes: vectors.sum(2, 0),
        },
        Held {
            what: "parameters with a contribution, or after the next round",
            bytes: vectors.parameters,
        },
    ]
}

/// What a validator holds at most while it audits a round's last steps.
pub fn auditing(config: &RunConfig) -> Vec<Held> {
    let vectors = Vectors::of(config);
    vec![
        Held {
            what: "parameters of the round, and of the one before it",
            bytes: vectors.sum(2, 0),
        },
        Held {
            what: "what is served, as numbers",
            bytes: vectors.served(&config.audits),
        },
        Held {
            what: "parameters and moments of its steps",
            bytes: vectors.steps(),
        },
        Held {
            what: "gradient",
            bytes: vectors.parameters,
        },
        layers(config),
    ]
}

/// What the layers keep of a step on the CPU for its backward pass, and the logits that exist at once.
pub fn layers(config: &RunConfig) -> Held {
    let inner = &config.inner;
    let length = usize::try_from(inner.sequence_length).unwrap_or(usize::MAX);
    let needs = Needs::of(&config.model, usize::from(inner.sequences), length);
    Held {
        what: "what the layers keep of a step, and logits",
        bytes: needs.activations.saturating_add(needs.logits),
    }
}

/// What the first of so many cards holds while PyTorch makes a step, one sequence at a time with `--recompute`.
pub fn card(config: &RunConfig, cards: u32) -> Vec<Held> {
    let layout = Layout::of(&config.model);
    let shard = rows(&layout, 0, cards).saturating_mul(NUMBER);
    let length = usize::try_from(config.inner.sequence_length).unwrap_or(usize::MAX);
    let needs = Needs::of(&config.model, 1, length);
    let logits = u64::from(config.inner.sequence_length)
        .saturating_mul(config.model.vocabulary.into())
        .saturating_mul(NUMBER);
    vec![
        Held {
            what: "its rows of parameters",
            bytes: shard,
        },
        Held {
            what: "its rows of the gradient",
            bytes: shard,
        },
        Held {
            what: "its rows of both moments",
            bytes: shard.saturating_mul(2),
        },
        Held {
            what: "gathered: embedding, head, and two layers",
            bytes: gathered(&layout).saturating_mul(NUMBER),
        },
        Held {
            what: "what the layers keep of a sequence",
            bytes: needs.activations_recomputed,
        },
        Held {
            what: "logits of a sequence, their logarithms and gradient",
            bytes: logits.saturating_mul(3),
        },
    ]
}

/// What each of so many cards holds while cairn itself makes a step on them, one sequence at a time. What NCCL takes for
/// itself is not in it: that is its own choice, and known when cards are opened.
pub fn own_card(config: &RunConfig, cards: u32) -> Vec<Held> {
    let mut held = resident(config, cards);
    let length = usize::try_from(config.inner.sequence_length).unwrap_or(usize::MAX);
    let needs = Needs::of(&config.model, 1, length);
    held.push(Held {
        what: "what the layers keep of a sequence",
        bytes: needs.activations_recomputed,
    });
    held
}

/// What the first of several holds while it makes what is sent of a round's steps; the layers keep nothing then.
pub fn first_card(config: &RunConfig, cards: u32) -> Vec<Held> {
    let mut held = resident(config, cards);
    held.push(Held {
        what: "error feedback",
        bytes: Vectors::of(config).parameters,
    });
    held
}

/// What stays on each of so many cards of cairn's own engine: of the moments a shard, of all else everything.
fn resident(config: &RunConfig, cards: u32) -> Vec<Held> {
    let vectors = Vectors::of(config);
    let all = vectors.parameters;
    let shard_of = |bytes: u64| bytes.div_ceil(u64::from(cards.max(1)));
    let shard = shard_of(all);
    let mut held = vec![
        Held {
            what: "parameters, and a rounded copy",
            bytes: all.saturating_add(all.div_ceil(2)),
        },
        Held {
            what: "gradient",
            bytes: all,
        },
        Held {
            what: "its shard of both moments",
            bytes: shard.saturating_add(shard_of(vectors.second)),
        },
    ];
    if let Matrices::Muon(_) = config.inner.matrices {
        held.push(Held {
            what: "Muon's iteration on the largest matrix",
            bytes: iteration_bytes(&Layout::of(&config.model)),
        });
    }
    if cards > 1 {
        let most = NUMBER.saturating_mul(CROSSING as u64);
        let others = u64::from(cards.saturating_sub(1));
        held.push(Held {
            what: "gradients that come from other cards",
            bytes: shard.min(most).saturating_mul(others),
        });
    }
    held
}

/// Numbers in the rows of rank `rank` of `ranks`: each has as many rows of each tensor as the first, but the last ones.
fn rows(layout: &Layout, rank: u64, ranks: u32) -> u64 {
    let of = |tensor: &Tensor| {
        let all = tensor.shape.first().copied().map_or(0, u64::from);
        let each = all.div_ceil(u64::from(ranks.max(1)));
        let begin = each.saturating_mul(rank).min(all);
        let own = begin.saturating_add(each).min(all).saturating_sub(begin);
        let columns = tensor.shape.get(1).copied().map_or(1, u64::from);
        own.saturating_mul(columns)
    };
    layout.0.iter().map(of).fold(0, u64::saturating_add)
}

/// Numbers that are whole on each card for some time: all that is of no layer, the layer that computes, and the next.
fn gathered(layout: &Layout) -> u64 {
    let sum = |prefix: &str, is_in: bool| {
        let tensors = layout.0.iter();
        let found = tensors.filter(|tensor| tensor.name.starts_with(prefix) == is_in);
        let lengths = found.map(|tensor| tensor.len() as u64);
        lengths.fold(0, u64::saturating_add)
    };
    let (outside, layer) = (sum("model.layers.", false), sum("model.layers.0.", true));
    outside.saturating_add(layer.saturating_mul(2))
}

/// The sum of all.
pub fn total(held: &[Held]) -> u64 {
    held.iter().map(|it| it.bytes).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use cairn_engine::{Cpu, Engine, Order, State, Version};
    use cairn_primitives::Muon;
    use cairn_trainer::{config::named, initial_parameters};

    use super::*;

    fn small() -> RunConfig {
        let mut config = crate::run_file::example();
        config.inner.sequences = 1;
        config.inner.sequence_length = 16;
        config
    }

    fn bytes(vector: &[f32]) -> u64 {
        4 * vector.len() as u64
    }

    fn of_state(state: &State) -> u64 {
        let optimizer = state.optimizer.as_ref().expect("it has stepped");
        bytes(&state.parameters) + bytes(&optimizer.m) + bytes(&optimizer.v)
    }

    /// What an engine holds after a step is what is said, vector by vector.
    #[test]
    fn vectors_are_as_long_as_those_of_an_engine() {
        for matrices in [Matrices::AdamW, Matrices::Muon(Muon::default())] {
            let mut config = small();
            config.inner.matrices = matrices;
            let vectors = Vectors::of(&config);
            let mut engine = Cpu::new(&config, 1).unwrap();
            let parameters = initial_parameters(&config.model, 1);
            assert_eq!(bytes(&parameters), vectors.parameters);
            let before = State::new(parameters);
            engine.load(before.clone()).unwrap();
            let sequence: Vec<u32> = (0..17).collect();
            let mut sequences = |_: u32| vec![sequence.as_slice()];
            let after = engine.replay(&before, 0..1, &mut sequences).unwrap();
            assert_eq!(of_state(&after), vectors.steps(), "{matrices:?}");
            assert_eq!(vectors.state() - vectors.steps(), vectors.parameters);
            let order = Order {
                round: 0,
                uid: cairn_primitives::Uid(0),
                steps: 1,
            };
            let trained = engine.train(&order, &mut sequences, &mut |_| true);
            assert_eq!(trained.unwrap().unwrap().steps(), 1);
            let held = engine.state(Version::Held).unwrap();
            assert_eq!(bytes(&held.parameters), vectors.parameters);
        }
    }

    #[test]
    fn ranks_have_all_rows_once_and_the_first_has_the_most() {
        let layout = Layout::of(&named("tiny").unwrap());
        let all = layout.parameters() as u64;
        for ranks in [1, 2, 3, 7, 2_000] {
            let each: Vec<u64> = (0..u64::from(ranks))
                .map(|rank| rows(&layout, rank, ranks))
                .collect();
            assert_eq!(each.iter().sum::<u64>(), all, "{ranks}");
            assert_eq!(each.iter().max(), each.first(), "{ranks}");
        }
    }

    /// Bytes per parameter, where nothing but vectors counts: 36 and 72 of a miner, 12 and 44 of a validator; 84 and 56
    /// where cards are admitted. Of a miner that trains 48 where work is audited.
    #[test]
    fn each_role_holds_so_many_vectors() {
        let mut config = small();
        config.model = named("1b").unwrap();
        let parameters = config.model.parameters().unwrap();
        let layers = layers(&config).bytes;
        config.audits.rate = 1;
        assert_eq!(total(&mining(&config, false)) - layers, 48 * parameters);
        config.audits.rate = 0;
        assert_eq!(total(&mining(&config, false)) - layers, 36 * parameters);
        assert_eq!(total(&mining(&config, true)), 32 * parameters);
        assert_eq!(total(&serving(&config, false)) - layers, 72 * parameters);
        assert_eq!(total(&serving(&config, true)), 68 * parameters);
        assert_eq!(total(&measuring(&config)), 12 * parameters);
        assert_eq!(total(&auditing(&config)) - layers, 44 * parameters);
        (config.audits.rate, config.audits.tolerance) = (1, 1);
        assert_eq!(total(&serving(&config, false)) - layers, 84 * parameters);
        assert_eq!(total(&auditing(&config)) - layers, 56 * parameters);
    }

    /// Bytes per parameter: 18 on a card alone, 10 + 8/N on each of N. From each of the others come 16 MiB.
    #[test]
    fn cards_of_cairns_own_share_moments_only() {
        let mut config = small();
        config.model = named("8b").unwrap();
        let parameters = config.model.parameters().unwrap();
        for (cards, halves) in [(1, 36), (2, 28), (4, 24), (8, 22)] {
            let kept = total(&resident(&config, cards));
            let coming = u64::from(cards - 1) << 24;
            assert_eq!(2 * (kept - coming), halves * parameters, "{cards}");
            let first = total(&first_card(&config, cards));
            assert_eq!(first - kept, 4 * parameters);
            assert!(total(&own_card(&config, cards)) > kept);
        }
    }

    /// Muon's matrices have no second moment there either, and the largest of them is stepped in memory of its own.
    #[test]
    fn a_card_holds_less_of_muons_moments() {
        let mut config = small();
        config.model = named("8b").unwrap();
        let adamws = total(&resident(&config, 1));
        config.inner.matrices = Matrices::Muon(Muon::default());
        let vectors = Vectors::of(&config);
        let model = &config.model;
        let largest = u64::from(model.d_model) * u64::from(model.ffn);
        let square = u64::from(model.d_model).pow(2);
        let less = vectors.parameters - vectors.second;
        let iteration = 6 * largest + 8 * square;
        assert_eq!(total(&resident(&config, 1)), adamws - less + iteration);
        assert!(iteration < less);
    }

    #[test]
    fn cards_share_what_is_trained() {
        let mut config = small();
        config.model = named("covenant-72b").unwrap();
        let of = |cards, what: &str| {
            let held = card(&config, cards);
            held.iter().find(|it| it.what == what).unwrap().bytes
        };
        let parameters = config.model.parameters().unwrap();
        assert_eq!(of(1, "its rows of parameters"), 4 * parameters);
        // Every dimension of its tensors is a multiple of eight.
        assert_eq!(of(8, "its rows of both moments"), parameters);
        // Embedding and head of 262,144 times 8,192 numbers, the last norm, two layers of 80.
        let outside = 2 * 262_144 * 8_192 + 8_192;
        let layer = (parameters - outside) / 80;
        let whole = of(8, "gathered: embedding, head, and two layers");
        assert_eq!(whole, 4 * (outside + 2 * layer));
    }
}
