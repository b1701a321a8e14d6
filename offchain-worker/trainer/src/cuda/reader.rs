//! Reading texts on a card, some tokens at a time: the keys and values of what was read stay there.
//!
//! What is rounded where is as in training. Products with few rows may be computed by other algorithms than with many,
//! so logits agree within the rounding of bfloat16 however the tokens are cut into pieces, and not to the bit.

use std::ops::Range;

use cairn_primitives::ModelShape;
use half::bf16;

use super::{
    device::{Buffer, Device, Ptr},
    error::CudaError,
    gemm::{Form, Out, Sizes},
    ops::Heads,
    plan,
};
use crate::{
    model::{Layer, Model},
    rope::Angles,
    TrainerError,
};

/// Tokens that are read at once.
const AT_ONCE: usize = 128;
/// Rows of which the logits exist at once.
const LOGITS: usize = 16;

type Done = Result<(), CudaError>;

/// A model's parameters on a card, to read texts with. Memory is given back before the card is closed: fields are
/// dropped in order.
pub struct CudaReader {
    values: Buffer<f32>,
    rounded: Buffer<bf16>,
    rows: Rows,
    model: Model,
    device: Device,
}

/// Keys and values of one text, as far as it was read.
pub struct CudaText {
    /// Of each layer.
    kept: Vec<Pair>,
    room: usize,
    length: usize,
}

/// Keys and values of a layer.
struct Pair {
    keys: Buffer<bf16>,
    values: Buffer<bf16>,
}

impl CudaText {
    /// Bytes of the keys and values.
    pub fn bytes(&self) -> usize {
        let numbers = self
            .kept
            .iter()
            .map(|pair| pair.keys.len() + pair.values.len());
        std::mem::size_of::<bf16>() * numbers.sum::<usize>()
    }
}

/// Memory of a pass, one row for each token that is read at once, and the angles of all positions.
struct Rows {
    tokens: Buffer<u32>,
    cosines: Buffer<f32>,
    sines: Buffer<f32>,
    stream: Buffer<f32>,
    normed: Buffer<bf16>,
    rates: Buffer<f32>,
    qkv: Buffer<bf16>,
    mixed: Buffer<bf16>,
    branch: Buffer<bf16>,
    gate_up: Buffer<bf16>,
    hidden: Buffer<bf16>,
    logits: Buffer<f32>,
}

impl Rows {
    fn new(device: &Device, model: &Model, context: usize) -> Result<Rows, CudaError> {
        let mut angles = Angles::default();
        angles.reach(context, model.width / model.queries, model.rope_theta);
        let what = "reading a text";
        let rows_of = |width: usize| device.buffer(AT_ONCE * width, what);
        Ok(Rows {
            tokens: device.buffer(AT_ONCE, what)?,
            cosines: device.uploaded(&angles.cos, what)?,
            sines: device.uploaded(&angles.sin, what)?,
            stream: device.buffer(AT_ONCE * model.width, what)?,
            normed: rows_of(model.width)?,
            rates: device.buffer(AT_ONCE, what)?,
            qkv: rows_of(Heads::of(model, 1).row())?,
            mixed: rows_of(model.width)?,
            branch: rows_of(model.width)?,
            gate_up: rows_of(2 * model.ffn)?,
            hidden: rows_of(model.ffn)?,
            logits: device.buffer(LOGITS * model.vocabulary, what)?,
        })
    }
}

impl CudaReader {
    /// Puts a model of this shape on card `ordinal`: six bytes a parameter.
    ///
    /// # Errors
    ///
    /// [`TrainerError`] if there are not as many parameters as the shape has, or [`TrainerError::Cuda`], which says
    /// what is missing.
    pub fn new(
        shape: &ModelShape,
        parameters: &[f32],
        ordinal: usize,
    ) -> Result<CudaReader, TrainerError> {
        let model = plan::model(shape)?;
        let (expected, found) = (model.parameters, parameters.len());
        if expected != found {
            return Err(TrainerError::Length {
                what: "the vector of parameters",
                expected,
                found,
            });
        }
        let head_width = Heads::kernel_width(model.width / model.queries);
        let head_width = head_width.ok_or(CudaError::Shape {
            reason: "its heads are wider than 128",
        })?;
        let device = Device::open(ordinal, head_width)?;
        let values = device.uploaded(parameters, "the parameters")?;
        let rounded = device.buffer(found, "the parameters' rounded copy")?;
        device.round(rounded.ptr(), values.ptr(), found)?;
        let rows = Rows::new(&device, &model, shape.context as usize)?;
        device.synchronize("copying the parameters")?;
        Ok(CudaReader {
            values,
            rounded,
            rows,
            model,
            device,
        })
    }

    /// The card's name.
    pub fn card(&self) -> &str {
        &self.device.card().name
    }

    /// Bytes of the parameters as they are kept.
    pub fn bytes(&self) -> usize {
        4 * self.values.len() + 2 * self.rounded.len()
    }

    /// An empty text with room for `room` tokens.
    ///
    /// # Errors
    ///
    /// [`CudaError::OutOfMemory`] if the card has not enough.
    ///
    /// # Panics
    ///
    /// If that is more than the model's context.
    pub fn text(&self, room: usize) -> Result<CudaText, CudaError> {
        let head = self.model.width / self.model.queries;
        let context = self.rows.cosines.len() / (head / 2);
        assert!(room <= context, "a text longer than the model's context");
        let numbers = room * self.model.keys * head;
        let of_layer = |_: &Layer| -> Result<Pair, CudaError> {
            let what = "a text's keys and values";
            Ok(Pair {
                keys: self.device.buffer(numbers, what)?,
                values: self.device.buffer(numbers, what)?,
            })
        };
        let kept = self.model.layers.iter().map(of_layer);
        Ok(CudaText {
            kept: kept.collect::<Result<_, _>>()?,
            room,
            length: 0,
        })
    }

    /// Reads tokens, which are of the vocabulary and within the text's room, and calls `each` with the logits after
    /// each of them, or, unless `all` are wanted, after the last.
    ///
    /// # Errors
    ///
    /// [`CudaError`] if the card fails. The text is as it was then.
    ///
    /// # Panics
    ///
    /// If a token is none of the vocabulary's, or there is no room for all.
    pub fn read(
        &mut self,
        text: &mut CudaText,
        tokens: &[u32],
        all: bool,
        each: &mut dyn FnMut(&[f32]),
    ) -> Result<(), CudaError> {
        let vocabulary = self.model.vocabulary;
        let known = |token: &u32| (*token as usize) < vocabulary;
        assert!(tokens.iter().all(known), "a token beyond the vocabulary");
        let before = text.length;
        assert!(tokens.len() <= text.room - before, "a text without room");
        let read = self.pieces(text, tokens, all, each);
        if read.is_err() {
            text.length = before;
        }
        read
    }

    fn pieces(
        &mut self,
        text: &mut CudaText,
        tokens: &[u32],
        all: bool,
        each: &mut dyn FnMut(&[f32]),
    ) -> Result<(), CudaError> {
        self.device.bind()?;
        let mut left = tokens.len();
        for piece in tokens.chunks(AT_ONCE) {
            self.pass(text, piece)?;
            left -= piece.len();
            let from = match all {
                true => 0,
                false if left == 0 => piece.len() - 1,
                false => continue,
            };
            for start in (from..piece.len()).step_by(LOGITS) {
                let logits = self.logits(start, LOGITS.min(piece.len() - start))?;
                for row in logits.chunks_exact(self.model.vocabulary) {
                    each(row);
                }
            }
        }
        Ok(())
    }

    /// Runs the layers for some tokens, and leaves their streams, normalised for the head.
    fn pass(&mut self, text: &mut CudaText, tokens: &[u32]) -> Done {
        self.device.upload(tokens, &mut self.rows.tokens)?;
        let (model, rows, count) = (&self.model, &self.rows, tokens.len());
        let table = self.values.at(model.embedding.start);
        let (stream, given) = (rows.stream.ptr(), rows.tokens.ptr());
        self.device
            .embedding_forward(stream, table, given, count, model.width)?;
        let mut branch = Ptr::NULL;
        for (layer, pair) in model.layers.iter().zip(&text.kept) {
            self.normalise(branch, &layer.attention_norm, count)?;
            self.layer(layer, pair, text.length, count)?;
            branch = rows.branch.ptr();
        }
        self.normalise(branch, &model.norm, count)?;
        text.length += count;
        Ok(())
    }

    /// Adds a branch to the stream, if there is one, and normalises it.
    fn normalise(&self, branch: Ptr<bf16>, weight: &Range<usize>, count: usize) -> Done {
        let stream = self.rows.stream.ptr();
        self.device.residual_norm_forward(
            stream,
            self.rows.normed.ptr(),
            self.rows.rates.ptr(),
            stream,
            branch,
            self.values.at(weight.start),
            count,
            self.model.width,
        )
    }

    /// A layer from its normalised input to what its feed-forward unit adds to the stream, for `count` tokens from
    /// position `first` on.
    fn layer(&self, layer: &Layer, pair: &Pair, first: usize, count: usize) -> Done {
        let (device, rows, width) = (&self.device, &self.rows, self.model.width);
        let heads = Heads::of(&self.model, count);
        let angles = first * heads.width as usize / 2;
        let (cosines, sines) = (rows.cosines.at(angles), rows.sines.at(angles));
        let (qkv, kept) = (rows.qkv.ptr(), (pair.keys.ptr(), pair.values.ptr()));
        self.linear(&rows.qkv, &rows.normed, &layer.qkv, width, count)?;
        device.rotate(qkv, cosines, sines, &heads, 1, 1.0)?;
        device.keep_rows(kept, qkv, count, first, &heads)?;
        device.attend_kept(rows.mixed.ptr(), qkv, kept, count, first, &heads)?;
        self.linear(&rows.branch, &rows.mixed, &layer.output, width, count)?;
        self.normalise(rows.branch.ptr(), &layer.feed_norm, count)?;
        self.linear(&rows.gate_up, &rows.normed, &layer.gate_up, width, count)?;
        device.swiglu_forward(rows.hidden.ptr(), rows.gate_up.ptr(), count, self.model.ffn)?;
        let ffn = self.model.ffn;
        self.linear(&rows.branch, &rows.hidden, &layer.down, ffn, count)
    }

    /// `y` = `x`·Wᵀ with rows of `inner` numbers in `x` and the weight at `at`.
    fn linear(
        &self,
        y: &Buffer<bf16>,
        x: &Buffer<bf16>,
        at: &Range<usize>,
        inner: usize,
        count: usize,
    ) -> Done {
        let sizes = Sizes {
            m: count,
            n: at.len() / inner,
            k: inner,
        };
        let (weight, out) = (self.rounded.at(at.start), Out::Rounded(y.ptr()));
        let gemm = &self.device.gemm;
        gemm.product(Form::RightTransposed, sizes, x.ptr(), weight, out)
    }

    /// The logits after `count` of the tokens that were read last, from number `from` of these on.
    fn logits(&self, from: usize, count: usize) -> Result<Vec<f32>, CudaError> {
        let (model, rows) = (&self.model, &self.rows);
        let sizes = Sizes {
            m: count,
            n: model.vocabulary,
            k: model.width,
        };
        let (x, weight) = (
            rows.normed.at(from * model.width),
            self.rounded.at(model.head.start),
        );
        let out = Out::Floats(rows.logits.ptr());
        self.device
            .gemm
            .product(Form::RightTransposed, sizes, x, weight, out)?;
        let mut logits = vec![0.0; count * model.vocabulary];
        self.device.download_first(&rows.logits, &mut logits)?;
        Ok(logits)
    }
}
