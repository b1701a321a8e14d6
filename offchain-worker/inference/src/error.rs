//! Why nothing can be computed.

use cairn_trainer::TrainerError;

/// Why nothing can be computed. A sequence is as it was before when one of these is returned.
#[derive(Debug, thiserror::Error)]
pub enum InferenceError {
    /// The CPU or the model's shape cannot be used.
    #[error(transparent)]
    Unsuitable(#[from] TrainerError),
    /// No threads to compute with, or the system gave none.
    #[error(
        "cannot compute with {threads} threads: {reason}; ask for at least 1 and at most the CPU's"
    )]
    Threads {
        /// Threads asked for.
        threads: usize,
        /// What stood in the way.
        reason: String,
    },
    /// A vector does not belong to this model.
    #[error("there are {found} parameters where the model has {expected}; check which run they are from")]
    Length {
        /// The model's parameters.
        expected: usize,
        /// Numbers that were given.
        found: usize,
    },
    /// A prompt without tokens.
    #[error("the prompt is empty; give at least one token")]
    EmptyPrompt,
    /// A token that the model does not know.
    #[error("token {token} at place {place} is none of the model's {vocabulary}; give tokens of its tokenizer")]
    Token {
        /// Its place among the tokens that were given.
        place: usize,
        /// The token.
        token: u32,
        /// Tokens in the vocabulary.
        vocabulary: u32,
    },
    /// More tokens than there is room for.
    #[error("{tokens} tokens are more than the {room} that there is room for; shorten the text")]
    Full {
        /// Tokens of the text with those that were given.
        tokens: usize,
        /// Tokens that there is room for.
        room: usize,
    },
    /// A setting of sampling that has no meaning.
    #[error("{setting} is {found}; it must be {expected}")]
    Sampling {
        /// Its name.
        setting: &'static str,
        /// What was given.
        found: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// The model is broken: its logits are no numbers.
    #[error("the model's logits are not finite; use another checkpoint")]
    NotFinite,
    /// A sequence of another model.
    #[error("the sequence belongs to a model of another shape; begin a new one")]
    Sequence,
}
