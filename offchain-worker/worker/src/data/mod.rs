//! From a text file to what a run trains on: documents, tokenizer, token shards.

mod corpus;
mod prepare;
mod tokenizer;

pub use corpus::{Corpus, SEPARATOR};
pub use prepare::{prepare, Prepared};
pub use tokenizer::{end_of_document, parse, read, train, END};
