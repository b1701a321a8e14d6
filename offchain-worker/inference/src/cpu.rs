//! A model on the CPU.

use cairn_primitives::{Layout, ModelShape};
use cairn_trainer::kernels::{self, gate, normalise, Angles, Kept, Layer, Start};
use rayon::prelude::*;

use crate::{
    sequence::{Rows, Sequence},
    weights::Weights,
    InferenceError,
};

/// Tokens that are read at once: buffers grow with it, and who shares a model waits as long.
pub(crate) const AT_ONCE: usize = 128;
/// Rows of which the logits exist at once.
const LOGITS: usize = 16;
/// Multiply-adds of attention below which a second thread is not worth it.
const ALONE: usize = 1 << 16;

/// A model's parameters, packed for reading a few tokens at a time, and threads of its own to do it.
///
/// Nothing in it changes, so several sequences may use it at once.
pub(crate) struct Cpu {
    shape: ModelShape,
    embedding: Vec<f32>,
    layers: Vec<Packed>,
    norm: Vec<f32>,
    head: Weights,
    angles: Angles,
    pool: rayon::ThreadPool,
}

/// A layer.
struct Packed {
    attention_norm: Vec<f32>,
    qkv: Weights,
    output: Weights,
    feed_norm: Vec<f32>,
    gate_up: Weights,
    down: Weights,
}

impl Packed {
    fn new(params: &[f32], layer: &Layer, width: usize, ffn: usize) -> Packed {
        let pack =
            |range: &std::ops::Range<usize>, inputs| Weights::pack(&params[range.clone()], inputs);
        Packed {
            attention_norm: params[layer.attention_norm.clone()].to_vec(),
            qkv: pack(&layer.qkv, width),
            output: pack(&layer.output, width),
            feed_norm: params[layer.feed_norm.clone()].to_vec(),
            gate_up: pack(&layer.gate_up, width),
            down: pack(&layer.down, ffn),
        }
    }

    fn weights(&self) -> [&Weights; 4] {
        [&self.qkv, &self.output, &self.gate_up, &self.down]
    }
}

impl Cpu {
    /// The model of this shape with these parameters, in the order of [`Layout`], computed by `threads` threads.
    /// The parameters are copied.
    ///
    /// # Errors
    ///
    /// [`InferenceError`] if CPU, shape, number of parameters or number of threads do not suit.
    pub fn new(shape: &ModelShape, params: &[f32], threads: usize) -> Result<Cpu, InferenceError> {
        kernels::check(shape)?;
        let (expected, found) = (Layout::of(shape).parameters(), params.len());
        if expected != found {
            return Err(InferenceError::Length { expected, found });
        }
        let pool = pool(threads)?;
        let places = kernels::Model::new(shape);
        let (width, ffn) = (places.width, places.ffn);
        let mut angles = Angles::default();
        angles.reach(
            shape.context as usize,
            shape.head_dim() as usize,
            shape.rope_theta,
        );
        let (layers, head) = pool.install(|| {
            let layers = places.layers.iter();
            let layers = layers.map(|layer| Packed::new(params, layer, width, ffn));
            let head = Weights::pack(&params[places.head.clone()], width);
            (layers.collect(), head)
        });
        Ok(Cpu {
            shape: shape.clone(),
            embedding: params[places.embedding.clone()].to_vec(),
            layers,
            norm: params[places.norm.clone()].to_vec(),
            head,
            angles,
            pool,
        })
    }

    /// Bytes of the parameters as they are kept.
    pub fn bytes(&self) -> usize {
        let layers = self.layers.iter().flat_map(Packed::weights);
        let weights: usize = layers.map(Weights::bytes).sum();
        4 * self.embedding.len() + weights + self.head.bytes()
    }

    /// Reads tokens that were checked, and leaves the logits after the last in the sequence.
    pub fn feed(&self, sequence: &mut Sequence, tokens: &[u32]) {
        self.pool.install(|| {
            for tokens in tokens.chunks(AT_ONCE) {
                self.pass(sequence, tokens);
            }
            let width = self.shape.d_model as usize;
            let from = sequence.rows.stream.len().saturating_sub(width);
            self.head(&mut sequence.rows, from, 1, &mut sequence.logits);
        });
    }

    /// Reads tokens that were checked, and calls `each` with the logits after each of them, in order.
    pub fn feed_each(
        &self,
        sequence: &mut Sequence,
        tokens: &[u32],
        mut each: impl FnMut(&[f32]) + Send,
    ) {
        let (width, vocabulary) = (self.shape.d_model as usize, self.shape.vocabulary as usize);
        let mut room = Vec::new();
        self.pool.install(|| {
            for tokens in tokens.chunks(AT_ONCE) {
                self.pass(sequence, tokens);
                for from in (0..tokens.len()).step_by(LOGITS) {
                    let rows = LOGITS.min(tokens.len() - from);
                    self.head(&mut sequence.rows, from * width, rows, &mut room);
                    room.chunks_exact(vocabulary).for_each(&mut each);
                }
            }
        });
        let last = room.len().saturating_sub(vocabulary);
        sequence.logits.clear();
        sequence.logits.extend_from_slice(&room[last..]);
    }

    /// Runs the layers for tokens that were checked, and leaves their residual streams.
    fn pass(&self, sequence: &mut Sequence, tokens: &[u32]) {
        let Sequence {
            length,
            layers,
            rows,
            ..
        } = sequence;
        rows.fit(&self.shape, tokens.len());
        let width = self.shape.d_model as usize;
        for (token, row) in tokens.iter().zip(rows.stream.chunks_exact_mut(width)) {
            row.copy_from_slice(&self.embedding[*token as usize * width..][..width]);
        }
        for (layer, kept) in self.layers.iter().zip(layers) {
            self.attend(layer, kept, *length, rows);
            self.feed_forward(layer, rows);
        }
        *length += tokens.len();
    }

    /// The first half of a layer, for tokens from position `first` on.
    fn attend(&self, layer: &Packed, kept: &mut Kept, first: usize, rows: &mut Rows) {
        let (heads, width) = (
            usize::from(self.shape.kv_heads),
            self.shape.head_dim() as usize,
        );
        let (queries, keys) = (self.shape.d_model as usize, heads * width);
        let row = queries + 2 * keys;
        normalise(
            &rows.stream,
            &layer.attention_norm,
            &mut rows.normed,
            &mut rows.rates,
        );
        layer.qkv.apply(&rows.normed, &mut rows.qkv, Start::Zero);
        self.angles
            .turn_batch(&mut rows.qkv, row, queries + keys, first, usize::MAX);
        for (i, row) in rows.qkv.chunks_exact(row).enumerate() {
            let (keys, values) = row[queries..].split_at(keys);
            kept.put(first + i, keys, values);
        }
        let (group, kept) = (queries / heads, &*kept);
        let count = rows.qkv.len() / row;
        let task = |i: usize, output: &mut [f32]| {
            let (token, head) = (i / heads, i % heads);
            let queries = &rows.qkv[token * row + head * group..][..group];
            kept.attend(head, queries, first + token + 1, output);
        };
        if count * queries * (first + count) < ALONE {
            let tasks = rows.mixed.chunks_exact_mut(group).enumerate();
            tasks.for_each(|(i, output)| task(i, output));
        } else {
            let tasks = rows.mixed.par_chunks_exact_mut(group).enumerate();
            tasks.for_each(|(i, output)| task(i, output));
        }
        layer
            .output
            .apply(&rows.mixed, &mut rows.stream, Start::Present);
    }

    /// The second half of a layer.
    fn feed_forward(&self, layer: &Packed, rows: &mut Rows) {
        normalise(
            &rows.stream,
            &layer.feed_norm,
            &mut rows.normed,
            &mut rows.rates,
        );
        layer
            .gate_up
            .apply(&rows.normed, &mut rows.gate_up, Start::Zero);
        gate(&rows.gate_up, self.shape.ffn as usize, &mut rows.hidden);
        layer
            .down
            .apply(&rows.hidden, &mut rows.stream, Start::Present);
    }

    /// The logits of `count` rows of the stream from number `from` on.
    fn head(&self, rows: &mut Rows, from: usize, count: usize, logits: &mut Vec<f32>) {
        let (width, vocabulary) = (self.shape.d_model as usize, self.shape.vocabulary as usize);
        let stream = &rows.stream[from..][..count * width];
        let normed = &mut rows.normed[..count * width];
        normalise(stream, &self.norm, normed, &mut rows.rates);
        logits.resize(count * vocabulary, 0.0);
        self.head.apply(normed, logits, Start::Zero);
    }
}

impl Rows {
    /// Gives the buffers `count` rows.
    fn fit(&mut self, shape: &ModelShape, count: usize) {
        let (width, ffn) = (shape.d_model as usize, shape.ffn as usize);
        let keys = usize::from(shape.kv_heads) * shape.head_dim() as usize;
        for (buffer, numbers) in [
            (&mut self.stream, width),
            (&mut self.normed, width),
            (&mut self.rates, 1),
            (&mut self.qkv, width + 2 * keys),
            (&mut self.mixed, width),
            (&mut self.gate_up, 2 * ffn),
            (&mut self.hidden, ffn),
        ] {
            buffer.resize(count * numbers, 0.0);
        }
    }
}

fn pool(threads: usize) -> Result<rayon::ThreadPool, InferenceError> {
    let refused = |reason: String| InferenceError::Threads { threads, reason };
    if threads == 0 {
        return Err(refused("none".into()));
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("inference-{i}"))
        .build()
        .map_err(|error| refused(error.to_string()))
}
