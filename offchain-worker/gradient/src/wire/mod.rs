//! The file format, described byte by byte in `docs/contribution-format.md`.

mod block;
mod decode;
mod encode;
mod header;
mod inspect;
mod read;
mod rice;
mod size;

pub use decode::{decode, DecodeError, TensorFault};
pub use encode::{encode, EncodeError, Writer};
pub use header::{decode_header, HEADER_LENGTH, MAGIC, VERSION};
pub use inspect::{inspect, TensorSummary};
pub use read::{ReadError, Reader};
pub use rice::Code;
pub use size::max_encoded_len;

/// The most bytes of a tensor's part, without the length before it.
const MAX_PART: u64 = u32::MAX as u64;
/// The most bytes that a part's length takes.
const MAX_LENGTH_BYTES: usize = 5;
