//! The buffers of a pass, kept from call to call so that a step allocates nothing after the first.
//!
//! Nothing in them is read before it has been written in the same call.

use crate::attention::Heads;
use crate::model::Model;
use crate::rope::Angles;
use crate::{head, norm};

/// How many windows of how many tokens a call has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Number of windows.
    pub windows: usize,
    /// Tokens of a window that are fed in: one fewer than it has.
    pub length: usize,
}

impl Batch {
    /// Rows of a matrix that has one per token.
    pub fn rows(&self) -> usize {
        self.windows * self.length
    }
}

/// What a layer's forward pass leaves for its backward pass; one row per token.
#[derive(Default)]
pub struct Activations {
    /// The residual stream as it comes in.
    pub input: Vec<f32>,
    /// The same, normalised.
    pub attended: Vec<f32>,
    /// The norm's rates.
    pub attended_rates: Vec<f32>,
    /// Queries, keys and values, the first two rotated.
    pub qkv: Vec<f32>,
    /// Largest scores, by window, head and position.
    pub maxima: Vec<f32>,
    /// One over the sums of exponentials, likewise.
    pub rates: Vec<f32>,
    /// Attention's output before its projection.
    pub mixed: Vec<f32>,
    /// The residual stream between attention and feed-forward.
    pub middle: Vec<f32>,
    /// The same, normalised.
    pub fed: Vec<f32>,
    /// The norm's rates.
    pub fed_rates: Vec<f32>,
    /// Gate and up; the backward pass turns them into their gradients.
    pub gate_up: Vec<f32>,
    /// The feed-forward unit's output before its projection.
    pub hidden: Vec<f32>,
}

/// Gradients on their way back; one row per token.
#[derive(Default)]
pub struct Backward {
    /// Of the residual stream.
    pub stream: Vec<f32>,
    /// Of what a block is given or gives: one row of the stream's width.
    pub block: Vec<f32>,
    /// Of queries, keys and values.
    pub qkv: Vec<f32>,
    /// Of the feed-forward unit's output.
    pub hidden: Vec<f32>,
    /// Sums of blocks of rows, for the norms' weights.
    pub partial: Vec<f32>,
}

/// All buffers of a pass.
#[derive(Default)]
pub struct Workspace {
    /// What is fed in.
    pub inputs: Vec<u32>,
    /// What should come out.
    pub targets: Vec<u32>,
    /// The residual stream.
    pub stream: Vec<f32>,
    /// The residual stream after the last norm.
    pub last: Vec<f32>,
    /// The last norm's rates.
    pub last_rates: Vec<f32>,
    /// One per layer to train, one in all to measure.
    pub layers: Vec<Activations>,
    /// Gradients.
    pub backward: Backward,
    /// Logits of a block of rows.
    pub logits: Vec<f32>,
    /// The cross-entropy of each token.
    pub losses: Vec<f32>,
    /// What attention needs for itself.
    pub scratch: Vec<f32>,
    /// Rotations of all positions.
    pub angles: Angles,
}

/// Gives a buffer `n` elements.
fn fit(buffer: &mut Vec<f32>, n: usize) {
    buffer.resize(n, 0.0);
}

impl Workspace {
    /// Makes the buffers for a batch, with `layers` sets of activations.
    pub fn fit(&mut self, model: &Model, batch: Batch, layers: usize) {
        let (rows, width) = (batch.rows(), model.width);
        let heads = model.heads(batch);
        if self.layers.len() < layers {
            self.layers.resize_with(layers, Activations::default);
        }
        for layer in self.layers.iter_mut().take(layers) {
            layer.fit(model, &heads, rows);
        }
        fit(&mut self.stream, rows * width);
        fit(&mut self.last, rows * width);
        fit(&mut self.last_rates, rows);
        fit(&mut self.logits, rows.min(head::ROWS) * model.vocabulary);
        fit(&mut self.losses, rows);
        fit(&mut self.scratch, batch.windows * heads.scratch());
        self.angles
            .reach(batch.length, heads.width, model.rope_theta);
    }

    /// Makes the buffers of the backward pass, too.
    pub fn fit_backward(&mut self, model: &Model, batch: Batch) {
        let (rows, width) = (batch.rows(), model.width);
        let backward = &mut self.backward;
        fit(&mut backward.stream, rows * width);
        fit(&mut backward.block, rows * width);
        fit(&mut backward.qkv, rows * model.heads(batch).row());
        fit(&mut backward.hidden, rows * model.ffn);
        fit(&mut backward.partial, norm::partials(rows) * width);
    }

    /// Splits windows into what is fed in and what should come out.
    pub fn load(&mut self, windows: &[&[u32]]) {
        self.inputs.clear();
        self.targets.clear();
        for window in windows {
            if let (Some((_, targets)), Some((_, inputs))) =
                (window.split_first(), window.split_last())
            {
                self.inputs.extend_from_slice(inputs);
                self.targets.extend_from_slice(targets);
            }
        }
    }
}

impl Activations {
    fn fit(&mut self, model: &Model, heads: &Heads, rows: usize) {
        for stream in [
            &mut self.input,
            &mut self.attended,
            &mut self.mixed,
            &mut self.middle,
            &mut self.fed,
        ] {
            fit(stream, rows * model.width);
        }
        for stats in [&mut self.maxima, &mut self.rates] {
            fit(stats, rows * heads.queries);
        }
        fit(&mut self.attended_rates, rows);
        fit(&mut self.fed_rates, rows);
        fit(&mut self.qkv, rows * heads.row());
        fit(&mut self.gate_up, rows * 2 * model.ffn);
        fit(&mut self.hidden, rows * model.ffn);
    }
}
