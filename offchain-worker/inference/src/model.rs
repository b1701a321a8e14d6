//! A model that is used: on the CPU, or on a card.

use std::sync::{Mutex, PoisonError};

use cairn_primitives::{Layout, ModelShape};
use cairn_trainer::{cuda::CudaReader, TrainerError};

use crate::{cpu::Cpu, InferenceError, Sequence};

/// A model's parameters, where they are read from fastest, and what computes with them.
///
/// Nothing in it changes, so several sequences may use it at once; on a card they take turns.
pub struct Model {
    shape: ModelShape,
    on: On,
}

/// What [`Model::device`] is on the CPU.
pub const CPU: &str = "cpu";

/// What computes.
enum On {
    Cpu(Box<Cpu>),
    Card(Box<Mutex<CudaReader>>),
}

impl Model {
    /// The model of this shape with these parameters, in the order of [`Layout`], computed by `threads` threads of the
    /// CPU. The parameters are copied.
    ///
    /// # Errors
    ///
    /// [`InferenceError`] if CPU, shape, number of parameters or number of threads do not suit.
    pub fn new(
        shape: &ModelShape,
        params: &[f32],
        threads: usize,
    ) -> Result<Model, InferenceError> {
        Ok(Model {
            shape: shape.clone(),
            on: On::Cpu(Box::new(Cpu::new(shape, params, threads)?)),
        })
    }

    /// The same on an NVIDIA card, with bfloat16 where training has it: six bytes a parameter. Its logits are near those
    /// of the CPU, and have other bits on another model of card.
    ///
    /// # Errors
    ///
    /// [`InferenceError`] if card, shape or number of parameters do not suit.
    pub fn on_card(
        shape: &ModelShape,
        params: &[f32],
        ordinal: usize,
    ) -> Result<Model, InferenceError> {
        let (expected, found) = (Layout::of(shape).parameters(), params.len());
        if expected != found {
            return Err(InferenceError::Length { expected, found });
        }
        let reader = CudaReader::new(shape, params, ordinal)?;
        Ok(Model {
            shape: shape.clone(),
            on: On::Card(Box::new(Mutex::new(reader))),
        })
    }

    /// Its shape.
    pub fn shape(&self) -> &ModelShape {
        &self.shape
    }

    /// What computes: the card's name, or [`CPU`].
    pub fn device(&self) -> String {
        match &self.on {
            On::Cpu(_) => CPU.into(),
            On::Card(reader) => locked(reader, |reader| reader.card().into()),
        }
    }

    /// Bytes of the parameters as they are kept.
    pub fn bytes(&self) -> usize {
        match &self.on {
            On::Cpu(cpu) => cpu.bytes(),
            On::Card(reader) => locked(reader, |reader| reader.bytes()),
        }
    }

    /// An empty sequence with room for `room` tokens.
    ///
    /// # Errors
    ///
    /// [`InferenceError::Full`] if that is more than the model's context; [`InferenceError::Unsuitable`] if a card has
    /// no memory for it.
    pub fn sequence(&self, room: usize) -> Result<Sequence, InferenceError> {
        let context = self.shape.context as usize;
        if room > context {
            let (tokens, room) = (room, context);
            return Err(InferenceError::Full { tokens, room });
        }
        match &self.on {
            On::Cpu(_) => Ok(Sequence::new(&self.shape, room)),
            On::Card(reader) => {
                let text = locked(reader, |reader| reader.text(room));
                let text = text.map_err(TrainerError::Cuda)?;
                Ok(Sequence::on_card(&self.shape, room, text))
            }
        }
    }

    /// Reads tokens, and gives the logits after the last.
    ///
    /// # Errors
    ///
    /// [`InferenceError`] if there are no tokens, if one is none of the model's, if they are more than the sequence has
    /// room for, or if a card fails. Nothing has been read then.
    pub fn feed<'s>(
        &self,
        sequence: &'s mut Sequence,
        tokens: &[u32],
    ) -> Result<&'s [f32], InferenceError> {
        self.check(sequence, tokens)?;
        match &self.on {
            On::Cpu(cpu) => cpu.feed(sequence, tokens),
            On::Card(reader) => read(reader, sequence, tokens, None)?,
        }
        Ok(&sequence.logits)
    }

    /// Reads tokens, and calls `each` with the logits after each of them, in order.
    ///
    /// # Errors
    ///
    /// As [`Model::feed`].
    pub fn feed_each(
        &self,
        sequence: &mut Sequence,
        tokens: &[u32],
        mut each: impl FnMut(&[f32]) + Send,
    ) -> Result<(), InferenceError> {
        self.check(sequence, tokens)?;
        match &self.on {
            On::Cpu(cpu) => {
                cpu.feed_each(sequence, tokens, each);
                Ok(())
            }
            On::Card(reader) => read(reader, sequence, tokens, Some(&mut each)),
        }
    }

    /// Whether these tokens can be read.
    pub(crate) fn check(&self, sequence: &Sequence, tokens: &[u32]) -> Result<(), InferenceError> {
        let is_of_card = matches!(self.on, On::Card(_));
        if sequence.shape != self.shape || sequence.text.is_some() != is_of_card {
            return Err(InferenceError::Sequence);
        }
        if tokens.is_empty() {
            return Err(InferenceError::EmptyPrompt);
        }
        let vocabulary = self.shape.vocabulary;
        let unknown = |(_, token): &(usize, &u32)| **token >= vocabulary;
        if let Some((place, token)) = tokens.iter().enumerate().find(unknown) {
            let token = *token;
            return Err(InferenceError::Token {
                place,
                token,
                vocabulary,
            });
        }
        let (tokens, room) = (sequence.length.saturating_add(tokens.len()), sequence.room);
        match tokens > room {
            true => Err(InferenceError::Full { tokens, room }),
            false => Ok(()),
        }
    }
}

/// Does something with a card, in its turn.
fn locked<T>(reader: &Mutex<CudaReader>, work: impl FnOnce(&mut CudaReader) -> T) -> T {
    work(&mut reader.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What is called with the logits after a token.
type Each<'a> = &'a mut dyn FnMut(&[f32]);

/// Reads tokens that were checked on a card, and calls `each`, if it is there, with the logits after each of them.
fn read(
    reader: &Mutex<CudaReader>,
    sequence: &mut Sequence,
    tokens: &[u32],
    mut each: Option<Each<'_>>,
) -> Result<(), InferenceError> {
    let Some(text) = &mut sequence.text else {
        return Err(InferenceError::Sequence);
    };
    let (all, mut last) = (each.is_some(), Vec::new());
    let mut take = |logits: &[f32]| {
        if let Some(each) = &mut each {
            each(logits);
        }
        last.clear();
        last.extend_from_slice(logits);
    };
    locked(reader, |reader| reader.read(text, tokens, all, &mut take))
        .map_err(TrainerError::Cuda)?;
    sequence.logits = last;
    sequence.length += tokens.len();
    Ok(())
}
