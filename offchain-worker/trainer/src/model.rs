//! The decoder: where its weights lie, its forward pass and its backward pass.
//!
//! In [`Layout`], q, k and v lie one after the other, and so do gate and up: each group is one matrix here,
//! and one product does the work of three or two.

use std::ops::Range;

use cairn_primitives::{Layout, ModelShape};

use crate::attention::Heads;
use crate::gemm::{parallel_product, Matrix, Start};
use crate::head::{self, Gradients};
use crate::rope::Turn;
use crate::workspace::{Activations, Backward, Batch, Workspace};
use crate::{embedding, norm, swiglu};

/// Where a layer's weights lie in the flat vector.
struct Layer {
    attention_norm: Range<usize>,
    qkv: Range<usize>,
    output: Range<usize>,
    feed_norm: Range<usize>,
    gate_up: Range<usize>,
    down: Range<usize>,
}

/// A model's sizes, and where its weights lie in the flat vector.
pub struct Model {
    /// Width of the residual stream.
    pub width: usize,
    /// Width of the feed-forward unit.
    pub ffn: usize,
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    /// Base of the rotary positions.
    pub rope_theta: u32,
    queries: usize,
    keys: usize,
    embedding: Range<usize>,
    layers: Vec<Layer>,
    norm: Range<usize>,
    /// The embedding's range if they share weights.
    head: Range<usize>,
}

impl Model {
    /// Looks up where the weights of a model of this shape lie.
    pub fn new(shape: &ModelShape) -> Model {
        let layout = Layout::of(shape);
        let mut ranges = layout.ranges().map(|(_, range)| range);
        // Layout and model both follow the shape, so there is a tensor for each call.
        let mut next = || ranges.next().unwrap_or_default();
        let embedding = next();
        let layers = (0..shape.layers).map(|_| Layer {
            attention_norm: next(),
            qkv: join([next(), next(), next()]),
            output: next(),
            feed_norm: next(),
            gate_up: join([next(), next()]),
            down: next(),
        });
        let layers = layers.collect();
        let norm = next();
        let head = if shape.tied_embeddings {
            embedding.clone()
        } else {
            next()
        };
        Model {
            width: shape.d_model as usize,
            ffn: shape.ffn as usize,
            vocabulary: shape.vocabulary as usize,
            rope_theta: shape.rope_theta,
            queries: shape.heads.into(),
            keys: shape.kv_heads.into(),
            embedding,
            layers,
            norm,
            head,
        }
    }

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

    /// Runs the layers and leaves the normalised residual stream in `work.last`. To train, each layer keeps its
    /// activations; to measure, all layers use the first one's buffers.
    pub fn forward(&self, params: &[f32], batch: Batch, training: bool, work: &mut Workspace) {
        let heads = self.heads(batch);
        let table = &params[self.embedding.clone()];
        embedding::forward(&work.inputs, table, &mut work.stream, self.width);
        for (i, layer) in self.layers.iter().enumerate() {
            let acts = &mut work.layers[if training { i } else { 0 }];
            std::mem::swap(&mut acts.input, &mut work.stream);
            let weight = &params[layer.attention_norm.clone()];
            norm::forward(
                &acts.input,
                weight,
                &mut acts.attended,
                &mut acts.attended_rates,
            );
            let qkv = Matrix::new(&params[layer.qkv.clone()], self.width);
            let rows = Matrix::new(&acts.attended, self.width);
            parallel_product(rows, qkv.t(), &mut acts.qkv, Start::Zero);
            let rotated = (heads.queries + heads.keys) * heads.width;
            work.angles.rotate(
                &mut acts.qkv,
                heads.row(),
                rotated,
                batch.length,
                Turn::Forward,
            );
            let Activations {
                qkv,
                mixed,
                maxima,
                rates,
                ..
            } = acts;
            heads.forward(qkv, mixed, maxima, rates, &mut work.scratch);
            acts.middle.copy_from_slice(&acts.input);
            self.add_projection(params, &layer.output, &acts.mixed, &mut acts.middle);

            let weight = &params[layer.feed_norm.clone()];
            norm::forward(&acts.middle, weight, &mut acts.fed, &mut acts.fed_rates);
            let gate_up = Matrix::new(&params[layer.gate_up.clone()], self.width);
            let rows = Matrix::new(&acts.fed, self.width);
            parallel_product(rows, gate_up.t(), &mut acts.gate_up, Start::Zero);
            swiglu::forward(&acts.gate_up, self.ffn, &mut acts.hidden);
            work.stream.copy_from_slice(&acts.middle);
            self.add_projection(params, &layer.down, &acts.hidden, &mut work.stream);
        }
        let weight = &params[self.norm.clone()];
        norm::forward(&work.stream, weight, &mut work.last, &mut work.last_rates);
    }

    /// Adds the projection of a block's rows to the residual stream.
    fn add_projection(&self, params: &[f32], at: &Range<usize>, rows: &[f32], stream: &mut [f32]) {
        let inner = at.len() / self.width;
        let weight = Matrix::new(&params[at.clone()], inner);
        parallel_product(Matrix::new(rows, inner), weight.t(), stream, Start::Present);
    }

    /// The cross-entropy of each token, into `work.losses`.
    pub fn losses(&self, params: &[f32], work: &mut Workspace) {
        let weight = Matrix::new(&params[self.head.clone()], self.width);
        let sizes = (self.width, self.vocabulary);
        let Workspace {
            last,
            targets,
            logits,
            losses,
            ..
        } = work;
        head::cross_entropy(last, weight, sizes, targets, logits, losses, None);
    }

    /// The same, and the gradient of their mean for every weight, given what [`Model::forward`] left.
    pub fn backward(
        &self,
        params: &[f32],
        batch: Batch,
        work: &mut Workspace,
        gradient: &mut [f32],
    ) {
        let Workspace {
            inputs,
            targets,
            stream,
            last,
            last_rates,
            layers,
            ..
        } = work;
        let Workspace {
            backward,
            logits,
            losses,
            scratch,
            angles,
            ..
        } = work;
        let weight = Matrix::new(&params[self.head.clone()], self.width);
        let sizes = (self.width, self.vocabulary);
        let to = Gradients {
            rows: &mut backward.block,
            weight: &mut gradient[self.head.clone()],
        };
        head::cross_entropy(last, weight, sizes, targets, logits, losses, Some(to));
        let mut weights = Weights {
            values: params,
            gradient,
        };
        backward.stream.fill(0.0);
        weights.norm_backward(&self.norm, stream, last_rates, backward);

        let heads = self.heads(batch);
        let rotated = (heads.queries + heads.keys) * heads.width;
        for (layer, acts) in self.layers.iter().zip(layers.iter_mut()).rev() {
            self.feed_backward(layer, acts, backward, &mut weights);
            let Backward {
                stream, block, qkv, ..
            } = &mut *backward;
            weights.matrix_backward(&layer.output, self.width, stream, &acts.mixed, block);
            let Activations {
                mixed,
                maxima,
                rates,
                ..
            } = &*acts;
            heads.backward(block, &acts.qkv, mixed, maxima, rates, qkv, scratch);
            angles.rotate(qkv, heads.row(), rotated, batch.length, Turn::Back);
            weights.matrix_backward(&layer.qkv, self.width, qkv, &acts.attended, block);
            let rates = &acts.attended_rates;
            weights.norm_backward(&layer.attention_norm, &acts.input, rates, backward);
        }
        let table = &mut weights.gradient[self.embedding.clone()];
        if self.head != self.embedding {
            table.fill(0.0);
        }
        embedding::backward(inputs, &backward.stream, table, self.width);
    }

    /// Back through the feed-forward unit: adds to the residual stream's gradient.
    fn feed_backward(
        &self,
        layer: &Layer,
        acts: &mut Activations,
        backward: &mut Backward,
        weights: &mut Weights,
    ) {
        let Backward {
            stream,
            hidden,
            block,
            ..
        } = backward;
        weights.matrix_backward(&layer.down, self.ffn, stream, &acts.hidden, hidden);
        swiglu::backward(hidden, self.ffn, &mut acts.gate_up);
        weights.matrix_backward(&layer.gate_up, self.width, &acts.gate_up, &acts.fed, block);
        weights.norm_backward(&layer.feed_norm, &acts.middle, &acts.fed_rates, backward);
    }
}

/// All weights and their gradients.
struct Weights<'a> {
    values: &'a [f32],
    gradient: &'a mut [f32],
}

impl Weights<'_> {
    /// Back through y = x·Wᵀ with the weight at `at` and rows of `inner` in x: given the gradient of y, that of
    /// the weight, and that of x into `dx`.
    fn matrix_backward(
        &mut self,
        at: &Range<usize>,
        inner: usize,
        dy: &[f32],
        x: &[f32],
        dx: &mut [f32],
    ) {
        let weight = Matrix::new(&self.values[at.clone()], inner);
        let dy = Matrix::new(dy, at.len() / inner);
        let dweight = &mut self.gradient[at.clone()];
        parallel_product(dy.t(), Matrix::new(x, inner), dweight, Start::Zero);
        parallel_product(dy, weight, dx, Start::Zero);
    }

    /// Back through the norm at `at` of `x`, from the block's gradient: adds to that of the stream.
    fn norm_backward(
        &mut self,
        at: &Range<usize>,
        x: &[f32],
        rates: &[f32],
        backward: &mut Backward,
    ) {
        let (weight, dweight) = (&self.values[at.clone()], &mut self.gradient[at.clone()]);
        let Backward {
            stream,
            block,
            partial,
            ..
        } = backward;
        norm::backward(block, x, weight, rates, stream, partial, dweight);
    }
}

/// The range that consecutive ranges cover.
fn join<const N: usize>(ranges: [Range<usize>; N]) -> Range<usize> {
    let start = ranges.first().map_or(0, |range| range.start);
    let end = ranges.last().map_or(0, |range| range.end);
    start..end
}
