//! The file format, described byte by byte in `docs/contribution-format.md`.

mod block;
mod decode;
mod encode;
mod header;
mod inspect;
mod read;
mod rice;
mod size;

pub use decode::{decode, verify, DecodeError, TensorFault, Verified};
pub use encode::{encode, EncodeError, Writer};
pub use header::{decode_header, HEADER_LENGTH, MAGIC, VERSION, VERSION_OF_ALL};
pub use inspect::{inspect, TensorSummary};
pub use read::{ReadError, Reader};
pub use rice::Code;
pub use size::max_encoded_len;

#[cfg(test)]
pub(crate) use decode::decode_part_at;

/// A tensor's part without the length before it, made at a level of SIMD.
#[cfg(test)]
pub(crate) fn encode_part_at(simd: crate::simd::Simd, tensor: &crate::SparseTensor) -> Vec<u8> {
    let (parameters, bits) = encode::encode_part_at(simd, tensor);
    [&parameters.to_bytes()[..], bits.bytes()].concat()
}

/// The most bytes of a tensor's part, without the length before it.
const MAX_PART: u64 = u32::MAX as u64;
/// The most bytes that a part's length takes.
const MAX_LENGTH_BYTES: usize = 5;
