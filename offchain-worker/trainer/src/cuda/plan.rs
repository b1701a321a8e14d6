//! What a model and a batch need of the card.

use std::ops::Range;

use cairn_primitives::{Layout, Matrices, ModelShape};
use half::bf16;

use super::{
    device::{Buffer, Device},
    error::CudaError,
    ops::{Heads, Piece, ROWS_PER_PARTIAL, SQUARES_PER_BLOCK},
};
use crate::{model::Model, rope::Angles};

/// Numbers of the flat vector that one block of AdamW updates.
const PIECE: usize = 16_384;
/// Bytes of logits, as floats, that exist at once.
const LOGIT_BYTES: usize = 128 << 20;

/// A model, if the kernels can compute it: they move eight numbers at once.
///
/// # Errors
///
/// [`CudaError::Shape`] says why not.
pub fn model(shape: &ModelShape) -> Result<Model, CudaError> {
    check(shape).map_err(|reason| CudaError::Shape { reason })?;
    Ok(Model::new(shape))
}

impl Heads {
    /// How a model's attention heads lie in windows of `length` tokens.
    pub fn of(model: &Model, length: usize) -> Heads {
        let width = model.width / model.queries;
        Heads {
            length: length as u32,
            queries: model.queries as u32,
            keys: model.keys as u32,
            width: width as u32,
            scale: (1.0 / (width as f64).sqrt()) as f32,
        }
    }
}

/// Rows whose logits exist at once, of `rows`.
pub fn logit_rows(model: &Model, rows: usize) -> usize {
    (LOGIT_BYTES / 4 / model.vocabulary).clamp(1, rows)
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

/// What AdamW steps of a shard of the flat vector, cut for it; matrices decay, vectors do not. Second moments lie
/// without gaps.
pub fn pieces(layout: &Layout, shard: &Range<usize>, matrices: &Matrices) -> Vec<Piece> {
    let (mut pieces, mut second) = (Vec::new(), 0);
    let all = layout.ranges();
    for (tensor, range) in all.filter(|(tensor, _)| matrices.has_second_moment(tensor)) {
        let decays = u32::from(tensor.shape.len() == 2);
        let (start, end) = (range.start.max(shard.start), range.end.min(shard.end));
        for start in (start..end).step_by(PIECE) {
            let length = PIECE.min(end - start);
            pieces.push(Piece {
                start: start as u64,
                moments: (start - shard.start) as u64,
                second,
                length: length as u32,
                decays,
            });
            second += length as u64;
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
        let qkv = Heads::of(model, self.length).row();
        let stats = self.windows * self.length * model.queries;
        let layer = rows * (4 * d + 2 * (3 * d + qkv + 3 * f) + 8) + 4 * stats;
        let layers = if self.recompute {
            1
        } else {
            model.layers.len()
        };
        let streams = 4 * rows * d * (model.layers.len() + 2);
        let backward = rows * (4 * d + 2 * (3 * d + qkv + f)) + 4 * stats;
        let logits = logit_rows(model, rows) * model.vocabulary * 6;
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
        let row = Heads::of(model, batch.length).row();
        let stats = batch.rows() * model.queries;
        let mut angles = Angles::default();
        angles.reach(batch.length, model.width / model.queries, model.rope_theta);
        let chunk = logit_rows(model, rows) * model.vocabulary;
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
            cosines: device.uploaded(&angles.cos, what)?,
            sines: device.uploaded(&angles.sin, what)?,
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
