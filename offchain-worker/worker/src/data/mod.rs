//! From a text file to what a run trains on: documents, tokenizer, token shards.

mod corpus;
mod file;
mod prepare;
mod tokenizer;

#[cfg(test)]
mod tokenizer_tests;

pub use corpus::{Corpus, SEPARATOR};
pub(crate) use prepare::check_window;
pub use prepare::{prepare, Prepared};
pub use tokenizer::{train, TextTokenizer, END};
