//! A decoder's sizes, and where its parameters lie in the flat vector.
//!
//! In [`Layout`], q, k and v lie one after the other, and so do gate and up: each group is one matrix here,
//! and one product does the work of three or two.

use std::ops::Range;

use cairn_primitives::{Layout, ModelShape};

/// Where a layer's parameters lie in the flat vector.
pub struct Layer {
    /// The norm before attention.
    pub attention_norm: Range<usize>,
    /// Projections to queries, keys and values.
    pub qkv: Range<usize>,
    /// Projection of attention's output.
    pub output: Range<usize>,
    /// The norm before the feed-forward unit.
    pub feed_norm: Range<usize>,
    /// Projections to gate and up.
    pub gate_up: Range<usize>,
    /// Projection of the feed-forward unit's output.
    pub down: Range<usize>,
}

/// A model's sizes, and where its parameters lie.
pub struct Model {
    /// Width of the residual stream.
    pub width: usize,
    /// Width of the feed-forward unit.
    pub ffn: usize,
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    /// Base of the rotary positions.
    pub rope_theta: u32,
    /// Query heads.
    pub queries: usize,
    /// Key heads, and value heads.
    pub keys: usize,
    /// Numbers in the flat vector.
    pub parameters: usize,
    /// Where the embedding lies.
    pub embedding: Range<usize>,
    /// Where each layer lies.
    pub layers: Vec<Layer>,
    /// Where the last norm's weight lies.
    pub norm: Range<usize>,
    /// Where the head lies: the embedding's range if they share parameters.
    pub head: Range<usize>,
}

impl Model {
    /// Looks up where the parameters of a model of this shape lie.
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
            parameters: layout.parameters(),
            embedding,
            layers,
            norm,
            head,
        }
    }
}

/// The range that consecutive ranges cover.
fn join<const N: usize>(ranges: [Range<usize>; N]) -> Range<usize> {
    let start = ranges.first().map_or(0, |range| range.start);
    let end = ranges.last().map_or(0, |range| range.end);
    start..end
}
