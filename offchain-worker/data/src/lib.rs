//! What text is on disk, and how it becomes tokens.
//!
//! A [`Corpus`] is documents in one file. A [`TextTokenizer`] maps text to tokens and back, exactly; [`Encoded`] is a
//! corpus as tokens. These are [`cut`] into [shards](Shard). A [`Manifest`] lists the BLAKE3 root of each, the size of
//! the vocabulary and the tokenizer's root; the run's configuration on chain holds the root of the manifest file.
//! A data set is published once and never changes. So whoever reads the chain can check every byte that it trains on.
//!
//! The training shards, in the manifest's order, are one stream of tokens. Window *i* begins at token
//! *i·length* and has *length* + 1 tokens: its last is only predicted, and is the next window's first. Shards
//! held out are a stream of their own, which nobody trains on. A [`DataSet`] has both, and gives windows.
//! A manifest may also name the relays by which the run's peers reach each other.
//!
//! A manifest may name one shard more, which miners do not have: [`UnseenText`]. It is in no store and no data set.
//!
//! Nothing here knows a store or a model: files come and go as bytes, and windows are slices of tokens.

mod corpus;
mod encode;
mod error;
mod file;
mod manifest;
mod relays;
mod root;
mod set;
mod shard;
mod text_error;
mod tokenizer;
mod unseen;

#[cfg(test)]
mod set_tests;
#[cfg(test)]
mod tokenizer_tests;

pub use corpus::{Corpus, SEPARATOR};
pub use encode::{cut, Encoded};
pub use error::DataError;
pub use manifest::{Manifest, ShardInfo, MAX_MANIFEST_BYTES};
pub use relays::{check_relays, MAX_RELAYS, MAX_RELAY_BYTES};
pub use root::root;
pub use set::{windows, DataSet, DataSetMaker};
pub use shard::{Shard, TokenWidth, HEADER_BYTES};
pub use text_error::{CorpusError, TokenizerError};
pub use tokenizer::{train_tokenizer, TextTokenizer, END};
pub use unseen::UnseenText;
