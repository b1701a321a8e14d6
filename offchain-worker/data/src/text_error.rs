//! Why text cannot be used, or not with a tokenizer.

use std::{io, path::PathBuf};

use crate::{corpus::MAX_CORPUS_BYTES, file::ENDS};

/// Why there is no corpus.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// The file cannot be read.
    #[error("cannot read the corpus {}: {source}; name a text file, or one compressed with zstd, with --corpus", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not text.
    #[error("the corpus {} is not text in UTF-8, or is damaged; convert it, for instance with `iconv -t UTF-8`; if it is compressed with zstd, its name must end in .zst", .path.display())]
    NoText {
        /// The file.
        path: PathBuf,
    },
    /// The file is larger than what is read into memory.
    #[error("the corpus {} has more than {MAX_CORPUS_BYTES} bytes; prepare it in parts", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Compressed text that cannot be read.
    #[error("the corpus is damaged: {source}; compress text in UTF-8 with zstd")]
    Damaged {
        /// What is wrong with it.
        source: io::Error,
    },
    /// A share that is none, or all.
    #[error("{share} of the documents cannot be held out; give a share above 0 and below 1, such as 0.05")]
    Share {
        /// The share that was to be held out.
        share: f64,
    },
    /// Nothing but blanks.
    #[error("the corpus has no text: it is empty or blank; name a file with at least two documents, separated by the byte 0x1e")]
    Blank,
    /// One document, which would be held out.
    #[error("a corpus of one document leaves nothing to train on (blank ones do not count); separate its documents with the byte 0x1e")]
    OneDocument,
    /// All documents would be held out.
    #[error("to hold out {share} of {documents} documents leaves nothing to train on; hold out a smaller share, or add documents")]
    NothingLeft {
        /// The share that was to be held out.
        share: f64,
        /// Documents there are.
        documents: usize,
    },
    /// The text of a file cannot be used.
    #[error("{}: {source}", .path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<CorpusError>,
    },
}

/// Why a tokenizer cannot be used, or not for a text.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The file cannot be read.
    #[error("cannot read the tokenizer {}: {source}; name a tokenizer.json, or make one with `cairn data tokenizer`", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What the file holds cannot be used.
    #[error("{}: {source}", .path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<TokenizerError>,
    },
    /// Not in the format of a tokenizer.
    #[error("not a tokenizer ({reason}); make one with `cairn data tokenizer`")]
    NoTokenizer {
        /// What is wrong with it.
        reason: String,
    },
    /// A tokenizer without a token.
    #[error("the tokenizer has no tokens; make one with `cairn data tokenizer`")]
    NoTokens,
    /// A token with two numbers.
    #[error("the tokenizer's token `{name}` has two ids, {first} and {second}; give it one, or use another tokenizer")]
    TwoIds {
        /// The token.
        name: String,
        /// One number of it.
        first: u32,
        /// The other.
        second: u32,
    },
    /// A number with two tokens.
    #[error("the tokenizer's tokens `{first}` and `{second}` both have the id {id}; give each its own, or use another tokenizer")]
    TwoTokens {
        /// The number.
        id: u32,
        /// One token of it.
        first: String,
        /// The other.
        second: String,
    },
    /// Numbers that are not 0 to N - 1.
    #[error("the tokenizer's {count} ids have a gap: {missing} is missing, the largest is {largest} (`{name}`); number its tokens 0 to {}, or use another tokenizer", .count.saturating_sub(1))]
    Gap {
        /// How many there are.
        count: u64,
        /// The first that is missing.
        missing: u32,
        /// The largest.
        largest: u32,
        /// Its token.
        name: String,
    },
    /// No token that ends a document.
    #[error("the tokenizer has no token that ends a document; it needs one of {}", ENDS.join(", "))]
    NoEnd,
    /// A token that is read with another number than the file gives it.
    #[error("the tokenizer's added token `{name}` has the id {id} in the file, but is read as {}; number added tokens after the model's, without a gap", number(.found))]
    Moved {
        /// The token.
        name: String,
        /// Its number in the file.
        id: u64,
        /// The number that it gets.
        found: Option<u32>,
    },
    /// A vocabulary that a byte-level tokenizer cannot have.
    #[error("a byte-level vocabulary cannot have {found} tokens; give 257 (256 bytes and the end of a document) to 65536")]
    Vocabulary {
        /// Tokens that were asked for.
        found: usize,
    },
    /// No tokenizer can be made of the corpus.
    #[error("the tokenizer could not be trained: {reason}; check the corpus")]
    NotTrained {
        /// What stood in the way.
        reason: String,
    },
    /// The tokenizer fails on a text.
    #[error("the text cannot be encoded: {reason}; {}", remedy(.parts))]
    NotEncoded {
        /// What stood in the way.
        reason: String,
        /// How the tokenizer changes text.
        parts: String,
    },
    /// The tokenizer gave tokens for fewer texts than it was given.
    #[error("a document was lost; {}", remedy(.parts))]
    Lost {
        /// How the tokenizer changes text.
        parts: String,
    },
    /// The tokenizer fails on tokens.
    #[error("the tokens cannot be decoded: {reason}; {}", remedy(.parts))]
    NotDecoded {
        /// What stood in the way.
        reason: String,
        /// How the tokenizer changes text.
        parts: String,
    },
    /// Text that becomes a token with a meaning of its own.
    #[error("document {document}, {place}: this text becomes the token {token}, `{name}`; take it out of the text, or use another tokenizer")]
    Reserved {
        /// The document, counted from 1.
        document: usize,
        /// Where in it, and what is there.
        place: String,
        /// The token.
        token: u32,
        /// Its name.
        name: String,
    },
    /// Text that does not come back from its tokens.
    #[error("document {document}, {place}: this text does not come back from the tokenizer, but {back}; {}", remedy(.parts))]
    Changed {
        /// The document, counted from 1.
        document: usize,
        /// Where in it, and what is there.
        place: String,
        /// What comes back instead.
        back: String,
        /// How the tokenizer changes text.
        parts: String,
    },
}

fn number(found: &Option<u32>) -> String {
    found.map_or("none".into(), |id| id.to_string())
}

fn remedy(parts: &str) -> String {
    format!(
        "use a tokenizer that keeps text, as `cairn data tokenizer` makes them (this one: {parts})"
    )
}
