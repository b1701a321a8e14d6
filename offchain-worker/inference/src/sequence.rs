//! One text, as far as a model has read it.

use cairn_primitives::ModelShape;
use cairn_trainer::{cuda::CudaText, kernels::Kept};

/// One text, as far as a model has read it: the keys and values of its tokens, and the logits after the last.
pub struct Sequence {
    pub(crate) shape: ModelShape,
    pub(crate) room: usize,
    pub(crate) length: usize,
    /// Keys and values on the CPU.
    pub(crate) layers: Vec<Kept>,
    /// The same on a card, if that is where it is.
    pub(crate) text: Option<CudaText>,
    pub(crate) logits: Vec<f32>,
    pub(crate) rows: Rows,
}

/// Buffers of a pass, one row per token.
#[derive(Default)]
pub(crate) struct Rows {
    /// The residual stream.
    pub stream: Vec<f32>,
    /// It, normalised.
    pub normed: Vec<f32>,
    /// What normalising divides by.
    pub rates: Vec<f32>,
    /// Queries, keys and values.
    pub qkv: Vec<f32>,
    /// Attention's output.
    pub mixed: Vec<f32>,
    /// Gate and up.
    pub gate_up: Vec<f32>,
    /// The feed-forward unit's output before its projection.
    pub hidden: Vec<f32>,
}

impl Sequence {
    pub(crate) fn new(shape: &ModelShape, room: usize) -> Sequence {
        let kept = || Kept::new(shape.kv_heads.into(), shape.head_dim() as usize, room);
        Sequence {
            layers: (0..shape.layers).map(|_| kept()).collect(),
            ..Sequence::empty(shape, room)
        }
    }

    pub(crate) fn on_card(shape: &ModelShape, room: usize, text: CudaText) -> Sequence {
        Sequence {
            text: Some(text),
            ..Sequence::empty(shape, room)
        }
    }

    fn empty(shape: &ModelShape, room: usize) -> Sequence {
        Sequence {
            shape: shape.clone(),
            room,
            length: 0,
            layers: Vec::new(),
            text: None,
            logits: Vec::new(),
            rows: Rows::default(),
        }
    }

    /// Tokens that were read.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Tokens that there is room for, those that were read included.
    pub fn room(&self) -> usize {
        self.room
    }

    /// The logits after the last token, one for each token of the vocabulary; none before the first.
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// Bytes of the keys and values.
    pub fn bytes(&self) -> usize {
        let layers: usize = self.layers.iter().map(Kept::bytes).sum();
        layers + self.text.as_ref().map_or(0, CudaText::bytes)
    }
}
