//! The decoder's backward pass.
//!
//! Mirrors the forward pass: a task takes some rows through all that works row by row; the parameters' gradients,
//! which are sums over all rows, follow as products of their own.

use std::ops::Range;

use rayon::prelude::*;

use crate::attention::Kept;
use crate::forward::Output;
use crate::gemm::{parallel_product, Matrix, Start};
use crate::head::Gradients;
use crate::model::{Layer, Model};
use crate::workspace::{with_rows, Backward, Batch, Keep, Workspace};
use crate::{embedding, norm, swiglu};

/// All parameters and their gradients.
struct Parameters<'a> {
    values: &'a [f32],
    gradient: &'a mut [f32],
    /// Whether gradients are overwritten or added to.
    start: Start<'a>,
}

impl Parameters<'_> {
    /// The gradient of the matrix at `at` in y = x·Wᵀ, with rows of `inner` in x, given that of y.
    fn matrix(&mut self, at: &Range<usize>, inner: usize, dy: &[f32], x: &[f32]) {
        let dy = Matrix::new(dy, at.len() / inner);
        let to = &mut self.gradient[at.clone()];
        parallel_product(dy.t(), Matrix::new(x, inner), to, self.start);
    }

    /// The gradient of a norm's weight from sums of blocks of rows.
    fn norm(&mut self, at: &Range<usize>, partial: &[f32]) {
        let to = &mut self.gradient[at.clone()];
        if matches!(self.start, Start::Zero) {
            to.fill(0.0);
        }
        norm::add_partials(partial, to);
    }
}

impl Model {
    /// The cross-entropy of each token of `part`, into `work.losses`, and the gradient of the mean over all tokens in
    /// `work.inputs` for every weight, given what [`Model::forward`] left: what these tokens have in it. That of the
    /// embedding's rows is left in `work.backward.lookups` for [`Model::finish`].
    pub fn backward(
        &self,
        params: &[f32],
        batch: Batch,
        part: &Range<usize>,
        keep: Keep,
        work: &mut Workspace,
        gradient: &mut [f32],
    ) {
        let start = match part.start {
            0 => Start::Zero,
            _ => Start::Present,
        };
        let to = Gradients {
            rows: &mut work.backward.block,
            weight: &mut gradient[self.head.clone()],
            start,
        };
        self.head(params, work.inputs.len()).cross_entropy(
            &work.last,
            &work.targets[part.clone()],
            &mut work.logits,
            &mut work.losses[part.clone()],
            Some(to),
        );
        let mut parameters = Parameters {
            values: params,
            gradient,
            start,
        };
        self.last_norm_backward(batch, keep, work, &mut parameters);
        for i in (0..self.depth()).rev() {
            if keep == Keep::Inputs {
                self.attend(i, params, batch, keep, work);
                self.feed(i, params, batch, keep, Output::Known, work);
            }
            self.feed_backward(i, batch, keep, work, &mut parameters);
            self.attend_backward(i, batch, keep, work, &mut parameters);
        }
        let Backward {
            stream, lookups, ..
        } = &mut work.backward;
        lookups[part.start * self.width..part.end * self.width].copy_from_slice(stream);
    }

    /// Adds the gradient of the embedding's rows, of all tokens of the step in their order.
    pub fn finish(&self, work: &Workspace, gradient: &mut [f32]) {
        let table = &mut gradient[self.embedding.clone()];
        if self.head != self.embedding {
            table.fill(0.0);
        }
        embedding::backward(&work.inputs, &work.backward.lookups, table, self.width);
    }

    fn last_norm_backward(
        &self,
        batch: Batch,
        keep: Keep,
        work: &mut Workspace,
        parameters: &mut Parameters,
    ) {
        let (width, chunk) = (self.width, batch.chunk());
        let Backward {
            stream,
            middle,
            block,
            partial,
            ..
        } = &mut work.backward;
        // Nothing comes past the last norm.
        middle.fill(0.0);
        let weight = &parameters.values[self.norm.clone()];
        let x = &work.streams[self.depth() % keep.streams(self.depth())];
        (
            block.par_chunks(chunk * width),
            x.par_chunks(chunk * width),
            work.last_rates.par_chunks(chunk),
            middle.par_chunks(chunk * width),
            stream.par_chunks_mut(chunk * width),
            partial.par_chunks_mut(norm::partials(chunk) * width),
        )
            .into_par_iter()
            .with_max_len(1)
            .for_each(|(dy, x, rates, past, dx, partial)| {
                let given = norm::Given {
                    dy,
                    x,
                    weight,
                    rates,
                    past,
                };
                norm::backward(&given, dx, partial);
            });
        parameters.norm(&self.norm, partial);
    }

    /// Back through the second half of layer `i`: from the gradient of the layer's output to that of the stream in
    /// its middle and of attention's output.
    fn feed_backward(
        &self,
        i: usize,
        batch: Batch,
        keep: Keep,
        work: &mut Workspace,
        parameters: &mut Parameters,
    ) {
        let (layer, width, ffn): (&Layer, _, _) = (&self.layers[i], self.width, self.ffn);
        let chunk = batch.chunk();
        let acts = &mut work.layers[i % keep.sets(self.depth())];
        let matrix = |at: &Range<usize>, inner| Matrix::new(&parameters.values[at.clone()], inner);
        work.packed.down.pack(matrix(&layer.down, ffn));
        work.packed.gate_up.pack(matrix(&layer.gate_up, width));
        work.packed.output.pack(matrix(&layer.output, width));
        let (packed, weight) = (&work.packed, &parameters.values[layer.feed_norm.clone()]);
        let Backward {
            stream,
            middle,
            block,
            hidden,
            normed,
            partial,
            ..
        } = &mut work.backward;
        (
            stream.par_chunks(chunk * width),
            acts.middle.par_chunks(chunk * width),
            acts.fed_rates.par_chunks(chunk),
            acts.gate_up.par_chunks_mut(chunk * 2 * ffn),
            hidden.par_chunks_mut(chunk * ffn),
            normed.par_chunks_mut(chunk * width),
            middle.par_chunks_mut(chunk * width),
            block.par_chunks_mut(chunk * width),
            partial.par_chunks_mut(norm::partials(chunk) * width),
        )
            .into_par_iter()
            .with_max_len(1)
            .for_each(
                |(dout, x, rates, gate_up, hidden, normed, dmiddle, dmixed, partial)| {
                    with_rows([x.len(), hidden.len()], |[dy, dhidden]| {
                        let from = Matrix::new(dout, width);
                        packed.down.product(from, dhidden, ffn, Start::Zero);
                        swiglu::backward(dhidden, ffn, gate_up, hidden);
                        let from = Matrix::new(gate_up, 2 * ffn);
                        packed.gate_up.product(from, dy, width, Start::Zero);
                        norm::again(x, weight, rates, normed);
                        let given = norm::Given {
                            dy,
                            x,
                            weight,
                            rates,
                            past: dout,
                        };
                        norm::backward(&given, dmiddle, partial);
                        let from = Matrix::new(dmiddle, width);
                        packed.output.product(from, dmixed, width, Start::Zero);
                    });
                },
            );
        parameters.matrix(&layer.down, ffn, stream, hidden);
        parameters.matrix(&layer.gate_up, width, &acts.gate_up, normed);
        parameters.matrix(&layer.output, width, middle, &acts.mixed);
        parameters.norm(&layer.feed_norm, partial);
    }

    /// Back through attention and the first half of layer `i`: to the gradient of the layer's input.
    fn attend_backward(
        &self,
        i: usize,
        batch: Batch,
        keep: Keep,
        work: &mut Workspace,
        parameters: &mut Parameters,
    ) {
        let (layer, width, chunk): (&Layer, _, _) = (&self.layers[i], self.width, batch.chunk());
        let heads = self.heads(batch);
        let input = &work.streams[i % keep.streams(self.depth())];
        let acts = &work.layers[i % keep.sets(self.depth())];
        let Backward {
            stream,
            middle,
            block,
            qkv,
            normed,
            partial,
            ..
        } = &mut work.backward;
        let kept = Kept {
            qkv: &acts.qkv,
            output: &acts.mixed,
            maxima: &acts.maxima,
            rates: &acts.rates,
        };
        heads.backward(block, kept, &work.angles, qkv);
        work.packed
            .qkv
            .pack(Matrix::new(&parameters.values[layer.qkv.clone()], width));
        let (packed, weight) = (
            &work.packed.qkv,
            &parameters.values[layer.attention_norm.clone()],
        );
        (
            qkv.par_chunks(chunk * heads.row()),
            input.par_chunks(chunk * width),
            acts.attended_rates.par_chunks(chunk),
            middle.par_chunks(chunk * width),
            normed.par_chunks_mut(chunk * width),
            stream.par_chunks_mut(chunk * width),
            partial.par_chunks_mut(norm::partials(chunk) * width),
        )
            .into_par_iter()
            .with_max_len(1)
            .for_each(|(dqkv, x, rates, past, normed, dx, partial)| {
                with_rows([x.len()], |[dy]| {
                    let from = Matrix::new(dqkv, heads.row());
                    packed.product(from, dy, width, Start::Zero);
                    norm::again(x, weight, rates, normed);
                    let given = norm::Given {
                        dy,
                        x,
                        weight,
                        rates,
                        past,
                    };
                    norm::backward(&given, dx, partial);
                });
            });
        parameters.matrix(&layer.qkv, width, qkv, normed);
        parameters.norm(&layer.attention_norm, partial);
    }
}
