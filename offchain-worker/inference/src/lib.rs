//! Text from a model, token by token, on the CPU or on an NVIDIA card.
//!
//! - [`Model`] holds a model's parameters as they are read fastest, and computes logits;
//! - [`Sequence`] holds what is known of one text so far: the keys and values of its tokens;
//! - [`Generation`] goes on with a prompt, a step at a time, and never waits for anybody;
//! - [`Sampling`] says how a token is chosen; [`scores`] are the log-probabilities of tokens;
//! - [`files`] reads what `cairn run export` wrote, [`gguf`] writes what llama.cpp loads.
//!
//! The arithmetic on the CPU is that of `cairn-trainer`, in its order: logits have the same bits as those of
//! [`Trainer::logits`](cairn_trainer::Trainer::logits), however the tokens are cut into pieces and whatever the
//! number of threads. So a text that is generated can be checked by whoever has the parameters. A card's logits agree
//! with them within the rounding of bfloat16.

mod cpu;
mod error;
pub mod files;
mod generation;
pub mod gguf;
mod model;
mod sampling;
pub mod scores;
mod sequence;
mod weights;
mod weights_file;

pub use error::InferenceError;
pub use generation::{Finish, Generation, Order, Scored, Step};
pub use model::{Model, CPU};
pub use sampling::{Sampler, Sampling};
pub use sequence::Sequence;
