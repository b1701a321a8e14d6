//! A model's sizes, where its weights lie, and what a batch needs of the card's memory.

use std::ops::Range;

use cairn_primitives::{Layout, ModelShape};
use half::bf16;

use super::{
    device::{Buffer, Device},
    error::CudaError,
    ops::{Heads, Piece, ROWS_PER_PARTIAL, SQUARES_PER_BLOCK},
};

/// Numbers of the flat vector that one block of AdamW updates.
const PIECE: usize = 16_384;
/// Bytes of logits, as floats, that exist at once.
const LOGIT_BYTES: usize = 128 << 20;

/// Where a layer's weights lie in the flat vector; q, k and v are one matrix here, and gate and up another.
#[derive(Clone, Debug)]
pub struct Layer {
    pub attention_norm: Range<usize>,
    pub qkv: Range<usize>,
    pub output: Range<usize>,
    pub feed_norm: Range<usize>,
    pub gate_up: Range<usize>,
    pub down: Range<usize>,
}

/// A model's sizes, and where its weights lie.
#[derive(Clone, Debug)]
pub struct Model {
    pub width: usize,
    pub ffn: usize,
    pub vocabulary: usize,
    pub rope_theta: u32,
    pub queries: usize,
    pub keys: usize,
    pub parameters: usize,
    pub embedding: Range<usize>,
    pub layers: Vec<Layer>,
    pub norm: Range<usize>,
    /// The embedding's range if they share weights.
    pub head: Range<usize>,
    pub pieces: Vec<Piece>,
}

impl Model {
    /// Looks up where the weights of a model of this shape lie.
    ///
    /// # Errors
    ///
    /// [`CudaError::Shape`] if the kernels cannot compute it: they move eight numbers at once.
    pub fn new(shape: &ModelShape) -> Result<Model, CudaError> {
        check(shape).map_err(|reason| CudaError::Shape { reason })?;
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
        Ok(Model {
            width: shape.d_model as usize,
            ffn: shape.ffn as usize,
            vocabulary: shape.vocabulary as usize,
            rope_theta: shape.rope_theta,
            queries: shape.heads.into(),
            keys: shape.kv_heads.into(),
            parameters: layout.parameters(),
            embedding,
            layers,
            norm,
            head,
            pieces: pieces(&layout),
        })
    }

    /// How the attention heads lie in windows of `length` tokens.
    pub fn heads(&self, length: usize) -> Heads {
        let width = self.width / self.queries;
        Heads {
            length: length as u32,
            queries: self.queries as u32,
            keys: self.keys as u32,
            width: width as u32,
            scale: (1.0 / (width as f64).sqrt()) as f32,
        }
    }

    /// Rows whose logits exist at once, of `rows`.
    pub fn logit_rows(&self, rows: usize) -> usize {
        (LOGIT_BYTES / 4 / self.vocabulary).clamp(1, rows)
    }
}

fn check(shape: &ModelShape) -> Result<(), &'static str> {
    crate::trainer::check_shape(shape)?;
    let width = shape.head_dim();
    if [shape.d_model, shape.ffn, shape.vocabulary, width]
        .iter()
        .any(|size| !size.is_multiple_of(8))
    {
        return Err("width, FFN, vocabulary and head width must be multiples of 8");
    }
    match Heads::kernel_width(width as usize) {
        Some(_) => Ok(()),
        None => Err("its heads are wider than 128"),
    }
}

/// The range that consecutive ranges cover.
fn join<const N: usize>(ranges: [Range<usize>; N]) -> Range<usize> {
    let start = ranges.first().map_or(0, |range| range.start);
    let end = ranges.last().map_or(0, |range| range.end);
    start..end
}

/// The flat vector cut for AdamW; matrices decay, vectors do not.
fn pieces(layout: &Layout) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (tensor, range) in layout.ranges() {
        let decays = u32::from(tensor.shape.len() == 2);
        for start in range.clone().step_by(PIECE) {
            let length = PIECE.min(range.end - start) as u32;
            let start = start as u64;
            pieces.push(Piece {
                start,
                length,
                decays,
            });
        }
    }
    pieces
}

/// How many windows of how many tokens are computed at once, and what is kept of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Windows computed at once.
    pub windows: usize,
    /// Tokens of a window that are fed in.
    pub length: usize,
    /// Keep only each layer's input, and compute the rest again on the way back.
    pub recompute: bool,
}

impl Batch {
    /// Rows of a matrix that has one per token.
    pub fn rows(&self) -> usize {
        self.windows * self.length
    }

    /// Bytes of [`Buffers`] for this batch.
    pub fn bytes(&self, model: &Model) -> usize {
        let (rows, d, f) = (self.rows(), model.width, model.ffn);
        let qkv = model.heads(self.length).row();
        let stats = self.windows * self.length * model.queries;
        let layer = rows * (4 * d + 2 * (3 * d + qkv + 3 * f) + 8) + 4 * stats;
        let layers = if self.recompute {
            1
        } else {
            model.layers.len()
        };
        let streams = 4 * rows * d * (model.layers.len() + 2);
        let backward = rows * (4 * d + 2 * (3 * d + qkv + f)) + 4 * stats;
        let logits = model.logit_rows(rows) * model.vocabulary * 6;
        layers * layer + streams + backward + logits + 32 * rows
    }
}

/// What a layer's forward pass leaves for its backward pass; one row per token.
pub struct Activations {
    pub attended: Buffer<bf16>,
    pub attended_rates: Buffer<f32>,
    /// Queries, keys and values, the first two turned.
    pub qkv: Buffer<bf16>,
    pub lse: Buffer<f32>,
    pub mixed: Buffer<bf16>,
    /// The residual stream between attention and feed-forward.
    pub middle: Buffer<f32>,
    pub fed: Buffer<bf16>,
    pub fed_rates: Buffer<f32>,
    /// Gate and up; the backward pass turns them into their gradients.
    pub gate_up: Buffer<bf16>,
    pub hidden: Buffer<bf16>,
}

/// All memory of a pass over one batch.
pub struct Buffers {
    pub tokens: Buffer<u32>,
    pub targets: Buffer<u32>,
    /// Positions sorted by token, where each token's begin, and the number of tokens: for the embedding.
    pub order: Buffer<u32>,
    pub starts: Buffer<u32>,
    pub buckets: Buffer<u32>,
    pub cosines: Buffer<f32>,
    pub sines: Buffer<f32>,
    /// The residual stream before each layer, and after the last.
    pub inputs: Vec<Buffer<f32>>,
    /// One per layer, or one in all if they are computed again.
    pub layers: Vec<Activations>,
    /// What a block adds to the stream; backwards, the rounded gradient of the stream.
    pub branch: Buffer<bf16>,
    pub last: Buffer<bf16>,
    pub last_rates: Buffer<f32>,
    pub logits: Buffer<f32>,
    pub dlogits: Buffer<bf16>,
    pub losses: Buffer<f32>,
    pub dstream: Buffer<f32>,
    pub dblock: Buffer<bf16>,
    pub dqkv: Buffer<bf16>,
    pub dhidden: Buffer<bf16>,
    pub delta: Buffer<f32>,
    pub partial: Buffer<f32>,
}

impl Buffers {
    /// Reserves it.
    ///
    /// # Errors
    ///
    /// [`CudaError::OutOfMemory`] if the card has not enough.
    pub fn new(device: &Device, model: &Model, batch: Batch) -> Result<Buffers, CudaError> {
        let (rows, d, f) = (batch.rows(), model.width, model.ffn);
        let row = model.heads(batch.length).row();
        let stats = batch.rows() * model.queries;
        let (cosines, sines) = angles(model, batch.length);
        let chunk = model.logit_rows(rows) * model.vocabulary;
        let layer = || -> Result<Activations, CudaError> {
            let what = "keeping a layer's activations";
            Ok(Activations {
                attended: device.buffer(rows * d, what)?,
                attended_rates: device.buffer(rows, what)?,
                qkv: device.buffer(rows * row, what)?,
                lse: device.buffer(stats, what)?,
                mixed: device.buffer(rows * d, what)?,
                middle: device.buffer(rows * d, what)?,
                fed: device.buffer(rows * d, what)?,
                fed_rates: device.buffer(rows, what)?,
                gate_up: device.buffer(rows * 2 * f, what)?,
                hidden: device.buffer(rows * f, what)?,
            })
        };
        let kept = if batch.recompute {
            1
        } else {
            model.layers.len()
        };
        let what = "a training step's buffers";
        let rows_of = |width: usize| device.buffer(rows * width, what);
        Ok(Buffers {
            tokens: device.buffer(rows, what)?,
            targets: device.buffer(rows, what)?,
            order: device.buffer(rows, what)?,
            starts: device.buffer(rows + 1, what)?,
            buckets: device.buffer(1, what)?,
            cosines: device.uploaded(&cosines, what)?,
            sines: device.uploaded(&sines, what)?,
            inputs: (0..=model.layers.len())
                .map(|_| device.buffer(rows * d, what))
                .collect::<Result<_, _>>()?,
            layers: (0..kept).map(|_| layer()).collect::<Result<_, _>>()?,
            branch: rows_of(d)?,
            last: rows_of(d)?,
            last_rates: device.buffer(rows, what)?,
            logits: device.buffer(chunk, what)?,
            dlogits: device.buffer(chunk, what)?,
            losses: device.buffer(rows, what)?,
            dstream: device.buffer(rows * d, what)?,
            dblock: rows_of(d)?,
            dqkv: rows_of(row)?,
            dhidden: rows_of(f)?,
            delta: device.buffer(stats, what)?,
            partial: device.buffer(rows.div_ceil(ROWS_PER_PARTIAL) * d, what)?,
        })
    }

    /// Copies windows to the card: what is fed in, what should come out, and the order of the tokens.
    ///
    /// # Errors
    ///
    /// [`CudaError::Lost`] if the card does not answer.
    pub fn load(&mut self, device: &Device, windows: &[&[u32]]) -> Result<(), CudaError> {
        let (mut tokens, mut targets) = (Vec::new(), Vec::new());
        for window in windows {
            if let (Some((_, after)), Some((_, before))) =
                (window.split_first(), window.split_last())
            {
                tokens.extend_from_slice(before);
                targets.extend_from_slice(after);
            }
        }
        let (order, starts) = sorted(&tokens);
        device.upload(&tokens, &mut self.tokens)?;
        device.upload(&targets, &mut self.targets)?;
        device.upload(&order, &mut self.order)?;
        device.upload(&[starts.len() as u32 - 1], &mut self.buckets)?;
        device.upload(&starts, &mut self.starts)
    }
}

/// Numbers that [`Device::norm`] needs for `parameters` numbers.
pub fn norm_partials(parameters: usize) -> usize {
    parameters.div_ceil(SQUARES_PER_BLOCK)
}

/// Positions sorted by their tokens, those of one token in order, and where each token's begin; at the end, where
/// the last one's end.
pub fn sorted(tokens: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let mut order: Vec<u32> = (0..tokens.len() as u32).collect();
    order.sort_by_key(|position| tokens[*position as usize]);
    let token = |at: usize| tokens[order[at] as usize];
    let mut starts: Vec<u32> = (0..order.len())
        .filter(|at| *at == 0 || token(*at) != token(at - 1))
        .map(|at| at as u32)
        .collect();
    starts.push(tokens.len() as u32);
    (order, starts)
}

/// Cosines and sines of position·base^(−2i/width), as the CPU has them.
pub fn angles(model: &Model, length: usize) -> (Vec<f32>, Vec<f32>) {
    let width = model.width / model.queries;
    let angle = |position: usize, i: usize| {
        let power = -2.0 * i as f64 / width as f64;
        position as f64 * libm::pow(f64::from(model.rope_theta), power)
    };
    let all = (0..length).flat_map(|position| (0..width / 2).map(move |i| angle(position, i)));
    all.map(|angle| (libm::cos(angle) as f32, libm::sin(angle) as f32))
        .unzip()
}
