//! A real model of some thousand parameters, trained by `cairn-trainer` on one thread, on text that is made from the seed
//! and in which there is something to learn: the next token mostly follows from the last two.

use cairn_gradient::model_root;
use cairn_primitives::{InnerOptimizer, ModelShape, Nano, RunConfig, H256};
use cairn_trainer::{initial_weights, Trainer, TrainerError};

use super::{cost::nano, run_of, Costs, Engine, Steps, HELD_OUT};
use crate::rng::Rng;

const VOCABULARY: u32 = 32;
const LENGTH: u32 = 16;

/// The model, its trainer and its text.
pub struct Tiny {
    run: RunConfig,
    costs: Costs,
    initial: Vec<f32>,
    tokens: Vec<u32>,
    trainer: Trainer,
}

impl Tiny {
    /// A model with so many windows of text.
    ///
    /// # Errors
    /// [`TrainerError`] if this machine cannot train.
    pub fn new(rng: Rng, windows: u64, costs: Costs) -> Result<Tiny, TrainerError> {
        let model = ModelShape {
            layers: 1,
            d_model: 16,
            heads: 2,
            kv_heads: 1,
            ffn: 32,
            vocabulary: VOCABULARY,
            context: LENGTH,
            rope_theta: 10_000,
            tied_embeddings: true,
        };
        let initial = initial_weights(&model, 1);
        let trainer = Trainer::new(&model, 1)?;
        Ok(Tiny {
            run: run(model, windows, model_root(&initial)),
            costs,
            initial,
            tokens: text(rng, (windows + HELD_OUT) * u64::from(LENGTH) + 1),
            trainer,
        })
    }
}

/// Text by two tables that the seed draws: six of ten tokens follow from the last one, two from the last two, and the rest
/// come from a few frequent ones.
fn text(rng: Rng, length: u64) -> Vec<u32> {
    let mut draw = rng.fork("tables");
    let vocabulary = u64::from(VOCABULARY);
    let mut token = || draw.below(vocabulary) as u32;
    let after_one: Vec<u32> = (0..VOCABULARY).map(|_| token()).collect();
    let after_two: Vec<u32> = (0..VOCABULARY * VOCABULARY).map(|_| token()).collect();
    let mut draw = rng.fork("text");
    let (mut before, mut last) = (0u32, 0u32);
    let next = |_| {
        let next = match draw.below(10) {
            0..6 => after_one.get(last as usize).copied(),
            6..8 => after_two
                .get((before * VOCABULARY + last) as usize)
                .copied(),
            _ => None,
        };
        let rare = draw.below(vocabulary) * draw.below(vocabulary) / vocabulary;
        (before, last) = (last, next.unwrap_or(rare as u32));
        last
    };
    (0..length).map(next).collect()
}

fn run(model: ModelShape, windows: u64, initial_root: H256) -> RunConfig {
    let inner = InnerOptimizer {
        steps: 8,
        sequences: 16,
        sequence_length: LENGTH,
        learning_rate: nano(6_000_000),
        final_rate: Nano::ONE,
        warmup_steps: 0,
        total_steps: 1_000,
        beta1: nano(900_000_000),
        beta2: nano(950_000_000),
        epsilon: nano(10),
        weight_decay: nano(0),
        clip_norm: Nano::ONE,
    };
    run_of(model, windows, initial_root, inner, 512)
}

/// The tokens of some windows.
fn windows_of<'a>(tokens: &'a [u32], windows: &[u64]) -> Vec<&'a [u32]> {
    let length = LENGTH as usize;
    let window = |number: &u64| {
        let first = *number as usize * length;
        tokens.get(first..=first + length)
    };
    windows.iter().filter_map(window).collect()
}

impl Engine for Tiny {
    fn run(&self) -> &RunConfig {
        &self.run
    }

    fn costs(&self) -> Costs {
        self.costs
    }

    fn initial(&self) -> Vec<f32> {
        self.initial.clone()
    }

    fn step(&mut self, steps: &mut Steps, windows: &[u64]) -> f32 {
        let windows = windows_of(&self.tokens, windows);
        let (values, adam) = (&mut steps.values, &mut steps.adam);
        let step = self.trainer.step(values, adam, &self.run.inner, &windows);
        // A step that cannot be done leaves everything as it was; its loss is one that a header can carry.
        step.unwrap_or(f32::MAX)
    }

    fn losses(&mut self, values: &[f32], windows: &[u64]) -> Vec<f32> {
        let found = self
            .trainer
            .losses(values, &windows_of(&self.tokens, windows));
        found.unwrap_or_else(|_| vec![f32::NAN; windows.len()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_something_to_learn_in_the_text() {
        let tokens = text(Rng::new(5), 20_000);
        let mut follows = std::collections::BTreeMap::<(u32, u32), u32>::new();
        for pair in tokens.windows(2) {
            *follows.entry((pair[0], pair[1])).or_default() += 1;
        }
        let best: u32 = (0..VOCABULARY)
            .filter_map(|last| {
                (0..VOCABULARY)
                    .filter_map(|next| follows.get(&(last, next)))
                    .max()
            })
            .sum();
        assert!(best > 10_000, "{best} of 20,000 follow from the last token");
    }
}
