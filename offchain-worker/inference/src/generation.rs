//! A prompt that is gone on with, a step at a time.

use crate::{
    cpu::AT_ONCE,
    sampling::{Sampler, Sampling},
    scores::Scores,
    InferenceError, Model, Sequence,
};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Order {
    /// The tokens to go on from, at least one.
    pub prompt: Vec<u32>,
    /// Tokens to choose at most.
    pub most: usize,
    /// How they are chosen.
    pub sampling: Sampling,
    /// The token that ends a text.
    pub end: Option<u32>,
    /// Log-probabilities are wanted, with so many of the likeliest tokens at each place.
    pub scores: Option<usize>,
    /// Those of the prompt's tokens are wanted, too.
    pub score_prompt: bool,
}

/// A token of the text, with what the model thought of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// The token.
    pub token: u32,
    /// The natural logarithm of its probability after what comes before it; `None` for a text's first token, and
    /// where it was not asked for.
    pub logprob: Option<f64>,
    /// The likeliest tokens at its place, the likeliest first, as many as were asked for.
    pub likeliest: Vec<(u32, f64)>,
}

/// What a step did.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Some of the prompt was read. The tokens, if their scores were asked for.
    Read(Vec<Scored>),
    /// A token was chosen; the one that ends the text is one, too.
    Chose(Scored),
    /// There is nothing more to do.
    Done(Finish),
}

/// Why a text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model ended it.
    End,
    /// It has as many tokens as were asked for, or as the model's context holds.
    Length,
}

/// A text that is being made.
pub struct Generation {
    order: Order,
    sampler: Sampler,
    sequence: Sequence,
    /// Tokens chosen so far.
    chosen: usize,
    /// The last of them.
    last: Option<u32>,
}

impl Generation {
    /// Begins. Nothing is computed yet.
    ///
    /// # Errors
    ///
    /// [`InferenceError`] if the prompt is empty, longer than the model's context, or has a token that is none of
    /// the model's, or if the sampling has no meaning.
    pub fn new(model: &Model, order: Order) -> Result<Generation, InferenceError> {
        let context = model.shape().context as usize;
        if order.prompt.is_empty() {
            return Err(InferenceError::EmptyPrompt);
        }
        if order.prompt.len() > context {
            let (tokens, room) = (order.prompt.len(), context);
            return Err(InferenceError::Full { tokens, room });
        }
        // The last token that is chosen is not read.
        let more = order.most.saturating_sub(1);
        let room = order.prompt.len().saturating_add(more).min(context);
        let sequence = model.sequence(room)?;
        model.check(&sequence, &order.prompt)?;
        Ok(Generation {
            sampler: Sampler::new(order.sampling)?,
            sequence,
            chosen: 0,
            last: None,
            order,
        })
    }

    /// Tokens of the prompt.
    pub fn prompt(&self) -> &[u32] {
        &self.order.prompt
    }

    /// Tokens chosen so far.
    pub fn chosen(&self) -> usize {
        self.chosen
    }

    /// Reads the next piece of the prompt, or chooses the next token. `model` is the one that it was begun with.
    ///
    /// # Errors
    ///
    /// [`InferenceError`] if the model is another one or its logits are no numbers.
    pub fn step(&mut self, model: &Model) -> Result<Step, InferenceError> {
        if self.sequence.len() < self.order.prompt.len() {
            return self.read(model).map(Step::Read);
        }
        if let Some(finish) = self.finish() {
            return Ok(Step::Done(finish));
        }
        if let Some(last) = self.last {
            model.feed(&mut self.sequence, &[last])?;
        }
        let logits = self.sequence.logits();
        let token = self.sampler.choose(logits)?;
        self.chosen = self.chosen.saturating_add(1);
        self.last = Some(token);
        let scored = score(Some(logits), token, self.order.scores);
        Ok(Step::Chose(scored))
    }

    fn finish(&self) -> Option<Finish> {
        if self.last.is_some() && self.last == self.order.end {
            return Some(Finish::End);
        }
        let full = self.last.is_some() && self.sequence.len() >= self.sequence.room();
        (full || self.chosen >= self.order.most).then_some(Finish::Length)
    }

    fn read(&mut self, model: &Model) -> Result<Vec<Scored>, InferenceError> {
        let from = self.sequence.len();
        let until = self.order.prompt.len().min(from.saturating_add(AT_ONCE));
        let tokens = self.order.prompt.get(from..until).unwrap_or_default();
        let Some(count) = self.order.scores.filter(|_| self.order.score_prompt) else {
            model.feed(&mut self.sequence, tokens)?;
            return Ok(Vec::new());
        };
        let before = (from > 0).then(|| self.sequence.logits());
        let first = tokens.iter().take(1);
        let mut scored: Vec<Scored> = first
            .map(|token| score(before, *token, Some(count)))
            .collect();
        let mut next = tokens.iter().skip(1);
        let each = |logits: &[f32]| {
            let token = next.next();
            scored.extend(token.map(|token| score(Some(logits), *token, Some(count))));
        };
        model.feed_each(&mut self.sequence, tokens, each)?;
        // What is no number cannot be written down for others.
        match scored
            .iter()
            .flat_map(|one| one.logprob)
            .all(f64::is_finite)
        {
            true => Ok(scored),
            false => Err(InferenceError::NotFinite),
        }
    }
}

/// What logits say of a token, if that is wanted.
fn score(logits: Option<&[f32]>, token: u32, wanted: Option<usize>) -> Scored {
    let (Some(logits), Some(count)) = (logits, wanted) else {
        return Scored {
            token,
            logprob: None,
            likeliest: Vec::new(),
        };
    };
    let scores = Scores::of(logits);
    Scored {
        token,
        logprob: scores.of_token(token),
        likeliest: scores.likeliest(count),
    }
}
