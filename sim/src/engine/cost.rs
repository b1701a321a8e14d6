//! A bowl in place of a model: the loss of a window is the squared distance from a bottom that lies a little elsewhere for
//! each window. So training makes it better, training on a window makes that window a little better than others, and all
//! costs virtual time only. For studies of scale, of crashes and of the chain.

use cairn_gradient::model_root;
use cairn_primitives::{InnerOptimizer, ModelShape, Nano, RunConfig, H256};
use cairn_trainer::initial_weights;

use super::{run_of, Costs, Engine, Steps};
use crate::rng::Rng;

/// How far the first parameters are from the bottom, in each coordinate.
const DISTANCE: f64 = 0.1;
/// How far a window's bottom is from that of all.
const SPREAD: f64 = 0.03;
/// Nats for a squared distance of one, twice.
const STEEPNESS: f64 = 20.0;
/// The loss at the bottom, in nats.
const LEAST: f64 = 1.0;
/// How far an inner step goes towards the bottom of its windows.
const RATE: f64 = 0.03;

/// The bowl.
pub struct Cost {
    run: RunConfig,
    costs: Costs,
    initial: Vec<f32>,
    bottom: Vec<f64>,
    rng: Rng,
}

/// A number of a configuration.
pub(super) fn nano(billionths: u64) -> Nano {
    Nano(billionths)
}

impl Cost {
    /// A bowl with so many windows.
    pub fn new(rng: Rng, windows: u64, costs: Costs) -> Cost {
        let model = ModelShape {
            layers: 1,
            d_model: 2,
            heads: 1,
            kv_heads: 1,
            ffn: 1,
            vocabulary: 2,
            context: 2,
            rope_theta: 10_000,
            tied_embeddings: true,
        };
        let initial = initial_weights(&model, 1);
        let mut draw = rng.fork("bottom");
        let bottom = initial
            .iter()
            .map(|value| f64::from(*value) + DISTANCE * draw.normal())
            .collect();
        Cost {
            run: run(model, windows, model_root(&initial)),
            costs,
            initial,
            bottom,
            rng,
        }
    }

    fn bottom_of(&self, window: u64) -> impl Iterator<Item = f64> + '_ {
        let mut rng = self.rng.fork_at("window", window);
        // A cheap draw of mean 0: windows are drawn anew each time they are looked at.
        self.bottom
            .iter()
            .map(move |bottom| bottom + SPREAD * 3.46 * (rng.unit() - 0.5))
    }

    fn loss(&self, values: &[f32], window: u64) -> f64 {
        let pairs = values.iter().zip(self.bottom_of(window));
        let squares: f64 = pairs
            .map(|(value, bottom)| (f64::from(*value) - bottom).powi(2))
            .sum();
        LEAST + STEEPNESS / 2.0 * squares
    }
}

/// A run of this engine.
fn run(model: ModelShape, windows: u64, initial_root: H256) -> RunConfig {
    let inner = InnerOptimizer {
        steps: 4,
        sequences: 8,
        sequence_length: 2,
        learning_rate: nano(30_000_000),
        final_rate: Nano::ONE,
        warmup_steps: 0,
        total_steps: 1_000,
        beta1: nano(0),
        beta2: nano(0),
        epsilon: nano(1),
        weight_decay: nano(0),
        clip_norm: Nano::ONE,
    };
    run_of(model, windows, initial_root, inner, 2_048)
}

impl Engine for Cost {
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
        let count = windows.len().max(1) as f64;
        let loss: f64 = windows
            .iter()
            .map(|window| self.loss(&steps.values, *window))
            .sum();
        let mut target = vec![0.0; steps.values.len()];
        for window in windows {
            for (sum, bottom) in target.iter_mut().zip(self.bottom_of(*window)) {
                *sum += bottom;
            }
        }
        for (value, sum) in steps.values.iter_mut().zip(target) {
            let towards = sum / count - f64::from(*value);
            *value = (f64::from(*value) + RATE * towards) as f32;
        }
        steps.adam.step += 1;
        (loss / count) as f32
    }

    fn losses(&mut self, values: &[f32], windows: &[u64]) -> Vec<f32> {
        let loss = |window: &u64| self.loss(values, *window) as f32;
        windows.iter().map(loss).collect()
    }
}
