//! The file format, described byte by byte in `docs/contribution-format.md`.

mod decode;
mod encode;
mod header;
mod size;

pub use decode::{decode, DecodeError, TensorFault};
pub use encode::{encode, BlockFault, EncodeError};
pub use header::{decode_header, HEADER_LENGTH, MAGIC, VERSION};
pub use size::max_encoded_len;

/// Bytes of one entry of the table of tensor lengths.
const LENGTH_BYTES: usize = 4;
/// Bits that a block takes before its values: its two levels.
const LEVEL_BITS: u64 = 2 * crate::level::Level::BITS as u64;
/// Bits of a value behind its gap: sign and magnitude.
const VALUE_BITS: u64 = 2;
