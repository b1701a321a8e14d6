//! The forward pass.
//!
//! A layer is two halves around attention; in each half a task takes some rows through everything from norm to
//! residual connection, so that they stay in its cache.

use std::ops::Range;

use rayon::prelude::*;

use crate::attention::Heads;
use crate::gemm::{Matrix, Start};
use crate::head::Head;
use crate::model::Model;
use crate::workspace::{with_rows, Activations, Batch, Keep, Packed, Workspace};
use crate::{embedding, norm, swiglu};

impl Model {
    /// Number of layers.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// How the attention heads of a batch lie.
    pub fn heads(&self, batch: Batch) -> Heads {
        let width = self.width / self.queries;
        Heads {
            queries: self.queries,
            keys: self.keys,
            width,
            length: batch.length,
        }
    }

    /// The head, for a mean over `tokens` tokens.
    pub fn head<'a>(&self, params: &'a [f32], tokens: usize) -> Head<'a> {
        Head {
            weight: Matrix::new(&params[self.head.clone()], self.width),
            width: self.width,
            vocabulary: self.vocabulary,
            tokens,
        }
    }

    /// Runs the layers for the tokens `part` of those in `work.inputs` and leaves the normalised residual stream in
    /// `work.last`.
    pub fn forward(
        &self,
        params: &[f32],
        batch: Batch,
        part: &Range<usize>,
        keep: Keep,
        work: &mut Workspace,
    ) {
        let table = &params[self.embedding.clone()];
        let tokens = &work.inputs[part.clone()];
        embedding::forward(tokens, table, &mut work.streams[0], self.width);
        for i in 0..self.depth() {
            self.attend(i, params, batch, keep, work);
            match keep {
                Keep::Nothing => self.feed_in_place(i, params, batch, work),
                Keep::Inputs | Keep::All => {
                    self.feed(i, params, batch, keep, Output::Wanted, work);
                }
            }
        }
        let stream = &work.streams[self.depth() % keep.streams(self.depth())];
        let (weight, chunk) = (&params[self.norm.clone()], batch.chunk());
        (
            stream.par_chunks(chunk * self.width),
            work.last.par_chunks_mut(chunk * self.width),
            work.last_rates.par_chunks_mut(chunk),
        )
            .into_par_iter()
            .with_max_len(1)
            .for_each(|(x, y, rates)| norm::forward(x, weight, y, rates));
    }

    /// The first half of layer `i`, and attention.
    pub fn attend(&self, i: usize, params: &[f32], batch: Batch, keep: Keep, work: &mut Workspace) {
        let (layer, width, chunk) = (&self.layers[i], self.width, batch.chunk());
        let heads = self.heads(batch);
        let (row, rotated) = (heads.row(), (heads.queries + heads.keys) * heads.width);
        let input = &work.streams[i % keep.streams(self.depth())];
        let acts = &mut work.layers[i % keep.sets(self.depth())];
        work.packed
            .qkv
            .pack(Matrix::new(&params[layer.qkv.clone()], width).t());
        let (qkv, angles) = (&work.packed.qkv, &work.angles);
        let weight = &params[layer.attention_norm.clone()];
        (
            input.par_chunks(chunk * width),
            acts.qkv.par_chunks_mut(chunk * row),
            acts.attended_rates.par_chunks_mut(chunk),
        )
            .into_par_iter()
            .with_max_len(1)
            .enumerate()
            .for_each(|(at, (input, to, rates))| {
                with_rows([input.len()], |[normed]| {
                    norm::forward(input, weight, normed, rates);
                    qkv.product(Matrix::new(normed, width), to, row, Start::Zero);
                    angles.turn_batch(to, row, rotated, at * chunk, batch.length);
                });
            });
        let Activations {
            qkv,
            mixed,
            maxima,
            rates,
            ..
        } = acts;
        heads.forward(qkv, mixed, maxima, rates);
    }

    /// The second half of layer `i`; its output only if it is wanted.
    pub fn feed(
        &self,
        i: usize,
        params: &[f32],
        batch: Batch,
        keep: Keep,
        output: Output,
        work: &mut Workspace,
    ) {
        let (layer, width, ffn) = (&self.layers[i], self.width, self.ffn);
        let (chunk, streams) = (batch.chunk(), keep.streams(self.depth()));
        let acts = &mut work.layers[i % keep.sets(self.depth())];
        // There are at least two streams.
        let Ok([input, next]) = work
            .streams
            .get_disjoint_mut([i % streams, (i + 1) % streams])
        else {
            return;
        };
        self.pack_feed(i, params, output, &mut work.packed);
        let (packed, weight): (&Packed, _) = (&work.packed, &params[layer.feed_norm.clone()]);
        (
            input.par_chunks(chunk * width),
            acts.mixed.par_chunks(chunk * width),
            acts.middle.par_chunks_mut(chunk * width),
            acts.fed_rates.par_chunks_mut(chunk),
            acts.gate_up.par_chunks_mut(chunk * 2 * ffn),
            next.par_chunks_mut(chunk * width),
        )
            .into_par_iter()
            .with_max_len(1)
            .for_each(|(input, mixed, middle, rates, gate_up, next)| {
                let rows = rates.len();
                with_rows([input.len(), rows * ffn], |[normed, hidden]| {
                    let mixed = Matrix::new(mixed, width);
                    packed
                        .output
                        .product(mixed, middle, width, Start::From(input));
                    norm::forward(middle, weight, normed, rates);
                    let normed = Matrix::new(normed, width);
                    packed
                        .gate_up
                        .product(normed, gate_up, 2 * ffn, Start::Zero);
                    if output == Output::Wanted {
                        swiglu::forward(gate_up, ffn, hidden);
                        let hidden = Matrix::new(hidden, ffn);
                        packed
                            .down
                            .product(hidden, next, width, Start::From(middle));
                    }
                });
            });
    }

    /// The same where nothing is kept: the residual stream is stepped in place, and gate and up are gone with the task
    /// that made them, before they leave its cache.
    fn feed_in_place(&self, i: usize, params: &[f32], batch: Batch, work: &mut Workspace) {
        let (layer, width, ffn, chunk) = (&self.layers[i], self.width, self.ffn, batch.chunk());
        let (acts, stream) = (&mut work.layers[0], &mut work.streams[0]);
        self.pack_feed(i, params, Output::Wanted, &mut work.packed);
        let (packed, weight): (&Packed, _) = (&work.packed, &params[layer.feed_norm.clone()]);
        (
            stream.par_chunks_mut(chunk * width),
            acts.mixed.par_chunks(chunk * width),
            acts.fed_rates.par_chunks_mut(chunk),
        )
            .into_par_iter()
            .with_max_len(1)
            .for_each(|(stream, mixed, rates)| {
                let sizes = [stream.len(), rates.len() * 2 * ffn, rates.len() * ffn];
                with_rows(sizes, |[normed, gate_up, hidden]| {
                    let mixed = Matrix::new(mixed, width);
                    packed.output.product(mixed, stream, width, Start::Present);
                    norm::forward(stream, weight, normed, rates);
                    let normed = Matrix::new(normed, width);
                    packed
                        .gate_up
                        .product(normed, gate_up, 2 * ffn, Start::Zero);
                    swiglu::forward(gate_up, ffn, hidden);
                    let hidden = Matrix::new(hidden, ffn);
                    packed.down.product(hidden, stream, width, Start::Present);
                });
            });
    }

    /// Packs what the second half of layer `i` multiplies with.
    fn pack_feed(&self, i: usize, params: &[f32], output: Output, packed: &mut Packed) {
        let layer = &self.layers[i];
        let matrix = |at: &Range<usize>, inner| Matrix::new(&params[at.clone()], inner).t();
        packed.output.pack(matrix(&layer.output, self.width));
        packed.gate_up.pack(matrix(&layer.gate_up, self.width));
        if output == Output::Wanted {
            packed.down.pack(matrix(&layer.down, self.ffn));
        }
    }

    /// The cross-entropy of each token of `part`, into `work.losses`, given what [`Model::forward`] left.
    pub fn losses(&self, params: &[f32], part: &Range<usize>, work: &mut Workspace) {
        self.head(params, part.len()).cross_entropy(
            &work.last,
            &work.targets[part.clone()],
            &mut work.logits,
            &mut work.losses[part.clone()],
            None,
        );
    }
}

/// Whether a layer's output is wanted, or only what its backward pass needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// It is.
    Wanted,
    /// It is known already.
    Known,
}
