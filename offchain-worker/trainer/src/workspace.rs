//! The buffers of a pass, kept from call to call so that a step allocates nothing after the first.
//!
//! Nothing in them is read before it has been written in the same call.

use std::cell::Cell;
use std::ops::Range;

use crate::attention::Heads;
use crate::gemm::{Buffer, Right};
use crate::model::Model;
use crate::rope::Angles;
use crate::{head, norm};

/// How many windows of how many tokens are computed at once.
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

    /// Rows of a task: a multiple of the blocks in which a norm's gradient is summed, such that the thread with
    /// the most has as few as possible; of several such numbers the largest.
    pub fn chunk(&self) -> usize {
        let threads = rayon::current_num_threads();
        let most = |chunk: &usize| self.rows().div_ceil(*chunk).div_ceil(threads) * chunk;
        let chunks = (1..=5).rev().map(|blocks| blocks * norm::ROWS);
        chunks.min_by_key(most).unwrap_or(norm::ROWS)
    }
}

/// What is kept of a forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing: only losses are wanted.
    Nothing,
    /// Each layer's input; the backward pass computes the rest of the layer again.
    Inputs,
    /// All that the backward pass needs.
    All,
}

impl Keep {
    /// How many sets of activations there are; layer *i* uses set *i* mod this.
    pub fn sets(self, depth: usize) -> usize {
        match self {
            Keep::All => depth,
            Keep::Nothing | Keep::Inputs => 1,
        }
    }

    /// How many residual streams there are; layer *i* reads stream *i* mod this and writes the next. Where nothing is
    /// kept there is one, which is stepped in place.
    pub fn streams(self, depth: usize) -> usize {
        match self {
            Keep::Nothing => 1,
            Keep::Inputs | Keep::All => depth + 1,
        }
    }
}

/// What a layer's forward pass leaves for its backward pass besides its input; one row per token.
#[derive(Default)]
pub struct Activations {
    /// The attention norm's rates.
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
    /// The feed-forward norm's rates.
    pub fed_rates: Vec<f32>,
    /// Gate and up; the backward pass turns them into their gradients.
    pub gate_up: Vec<f32>,
}

/// What the backward pass needs; one row per token.
#[derive(Default)]
pub struct Backward {
    /// The gradient of the residual stream that leaves a layer, later of the one that enters it.
    pub stream: Vec<f32>,
    /// That of the stream in the middle of a layer.
    pub middle: Vec<f32>,
    /// That of the head's input, later of attention's output.
    pub block: Vec<f32>,
    /// That of queries, keys and values.
    pub qkv: Vec<f32>,
    /// The feed-forward unit's output before its projection, computed again.
    pub hidden: Vec<f32>,
    /// Normalised rows, computed again.
    pub normed: Vec<f32>,
    /// Sums of blocks of rows, for the norms' parameters.
    pub partial: Vec<f32>,
    /// The gradient of the embedding's rows as they were looked up, of the whole step.
    pub lookups: Vec<f32>,
}

/// A layer's matrices, packed for the products of one pass.
#[derive(Default)]
pub struct Packed {
    /// For queries, keys and values.
    pub qkv: Right,
    /// For attention's output.
    pub output: Right,
    /// For gate and up.
    pub gate_up: Right,
    /// For the feed-forward unit's output.
    pub down: Right,
}

/// All buffers of a pass.
#[derive(Default)]
pub struct Workspace {
    /// What is fed in, of the whole call.
    pub inputs: Vec<u32>,
    /// What should come out, likewise.
    pub targets: Vec<u32>,
    /// The cross-entropy of each token, likewise.
    pub losses: Vec<f32>,
    /// Residual streams.
    pub streams: Vec<Vec<f32>>,
    /// Activations.
    pub layers: Vec<Activations>,
    /// The residual stream after the last norm.
    pub last: Vec<f32>,
    /// The last norm's rates.
    pub last_rates: Vec<f32>,
    /// Logits of a block of rows.
    pub logits: Vec<f32>,
    /// Rotations of all positions.
    pub angles: Angles,
    /// The layer's parameters at hand.
    pub packed: Packed,
    /// Gradients.
    pub backward: Backward,
}

/// Gives a buffer `n` elements.
fn fit(buffer: &mut Vec<f32>, n: usize) {
    buffer.resize(n, 0.0);
}

/// Gives a list at least `n` entries.
fn reach<T: Default>(list: &mut Vec<T>, n: usize) {
    if list.len() < n {
        list.resize_with(n, T::default);
    }
}

impl Workspace {
    /// Makes the buffers for a batch.
    pub fn fit(&mut self, model: &Model, batch: Batch, keep: Keep) {
        let (rows, width) = (batch.rows(), model.width);
        let heads = model.heads(batch);
        let (sets, streams) = (keep.sets(model.depth()), keep.streams(model.depth()));
        reach(&mut self.layers, sets);
        for layer in self.layers.iter_mut().take(sets) {
            layer.fit(model, &heads, rows, keep);
        }
        reach(&mut self.streams, streams);
        for stream in self.streams.iter_mut().take(streams) {
            fit(stream, rows * width);
        }
        fit(&mut self.last, rows * width);
        fit(&mut self.last_rates, rows);
        fit(&mut self.logits, rows.min(head::ROWS) * model.vocabulary);
        self.angles
            .reach(batch.length, heads.width, model.rope_theta);
        if keep != Keep::Nothing {
            self.backward.fit(model, &heads, rows, self.inputs.len());
        }
    }

    /// Splits windows into what is fed in and what should come out, and makes room for their losses.
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
        fit(&mut self.losses, self.inputs.len());
    }

    /// Bytes that all buffers take.
    pub fn bytes(&self) -> usize {
        let streams: usize = self.streams.iter().map(Vec::capacity).sum();
        let layers: usize = self.layers.iter().map(Activations::numbers).sum();
        let own = [&self.losses, &self.last, &self.last_rates, &self.logits];
        let tokens = self.inputs.capacity() + self.targets.capacity();
        let own: usize = own.iter().map(|buffer| buffer.capacity()).sum();
        let Packed {
            qkv,
            output,
            gate_up,
            down,
        } = &self.packed;
        let packed: usize = [qkv, output, gate_up, down]
            .iter()
            .map(|w| w.numbers())
            .sum();
        4 * (streams + layers + own + tokens + packed + self.backward.numbers())
    }
}

impl Activations {
    fn fit(&mut self, model: &Model, heads: &Heads, rows: usize, keep: Keep) {
        fit(&mut self.mixed, rows * model.width);
        for stats in [&mut self.maxima, &mut self.rates] {
            fit(stats, rows * heads.queries);
        }
        fit(&mut self.attended_rates, rows);
        fit(&mut self.fed_rates, rows);
        fit(&mut self.qkv, rows * heads.row());
        if keep != Keep::Nothing {
            fit(&mut self.middle, rows * model.width);
            fit(&mut self.gate_up, rows * 2 * model.ffn);
        }
    }

    /// Numbers in all buffers.
    pub fn numbers(&self) -> usize {
        let all = [
            &self.attended_rates,
            &self.qkv,
            &self.maxima,
            &self.rates,
            &self.mixed,
            &self.middle,
            &self.fed_rates,
            &self.gate_up,
        ];
        all.iter().map(|buffer| buffer.capacity()).sum()
    }
}

impl Backward {
    fn fit(&mut self, model: &Model, heads: &Heads, rows: usize, tokens: usize) {
        let width = model.width;
        for stream in [
            &mut self.stream,
            &mut self.middle,
            &mut self.block,
            &mut self.normed,
        ] {
            fit(stream, rows * width);
        }
        fit(&mut self.qkv, rows * heads.row());
        fit(&mut self.hidden, rows * model.ffn);
        fit(&mut self.partial, norm::partials(rows) * width);
        fit(&mut self.lookups, tokens * width);
    }

    fn numbers(&self) -> usize {
        let all = [
            &self.stream,
            &self.middle,
            &self.block,
            &self.qkv,
            &self.hidden,
            &self.normed,
            &self.partial,
            &self.lookups,
        ];
        all.iter().map(|buffer| buffer.capacity()).sum()
    }
}

thread_local! {
    /// Rows that live within a task.
    static ROWS: Cell<[Buffer; 3]> = const { Cell::new([Buffer::EMPTY; 3]) };
}

/// Gives `compute` up to three buffers of this thread with room for as many numbers.
pub fn with_rows<const N: usize>(sizes: [usize; N], compute: impl FnOnce([&mut [f32]; N])) {
    const { assert!(N <= 3, "a thread has three buffers") };
    let mut buffers = ROWS.replace([Buffer::EMPTY; 3]);
    let mut each = buffers.iter_mut();
    compute(sizes.map(|size| match each.next() {
        Some(buffer) => {
            buffer.reach(size);
            &mut buffer.numbers()[..size]
        }
        None => &mut [],
    }));
    ROWS.set(buffers);
}

/// The tokens of each part of a batch that is computed at once.
pub fn parts(tokens: usize, at_once: usize) -> impl Iterator<Item = Range<usize>> {
    (0..tokens)
        .step_by(at_once.max(1))
        .map(move |start| start..tokens.min(start + at_once))
}
