//! What a miner contributes in a round, and how contributions become the next model.
//!
//! A miner begins a round with the parameters θ that everybody holds, trains for a while, and is left with a
//! *pseudo-gradient* Δ = θ − θ′, as long as the model itself. Sending that would take longer than the
//! training did. So, as in SparseLoCo (arXiv 2508.15706), it sends little and remembers the rest:
//!
//! 1. [`compress`] adds Δ to what earlier rounds left unsent (*error feedback*, decayed by β), cuts every
//!    tensor into blocks of 4,096 elements, keeps the few largest of each block and rounds those to a sign
//!    and one of two magnitudes. What was not said stays in the error feedback: nothing is lost, it is late.
//! 2. The result is a file of about 1/215 of the model's size, in a strict format: one content has one
//!    encoding, and [`decode`] names the fault of every other sequence of bytes. The format is described
//!    byte by byte in `docs/contribution-format.md`.
//! 3. [`seal`] encrypts the file with a key that the miner reveals only after everybody has committed;
//!    [`sealed_root`] is the name under which chain and store know it; [`open`] undoes it.
//! 4. [`outer_step`] turns the contributions that the chain settled on into the next θ. It is defined down
//!    to the rounding, so all machines get the same bits, and [`model_root`] is how they compare.
//! 5. Before that each of them is taken through [`checked::check`]: it must be what its miner owes.
//! 6. Whoever was not included goes on from the error feedback before it: nobody can say then that its was another.
//! 7. [`resemblance`] is what contributions have in common, by which copies are told.
//!
//! These functions hold a whole model. Each is made of parts that hold one tensor at a time, for models that do not
//! fit otherwise: [`Compressor`] and [`Writer`], [`Opened`] and [`Reader`], [`StreamedStep`] and [`RootHasher`].
//! [`vector_hash_in_parts`] is for a vector that is not even held by tensors, [`read_vector`] and [`VectorMaker`] for
//! one that comes from a file: then a model is held once.
//!
//! Nothing here knows of chains, networks or clocks. Work is spread over rayon's current thread pool; no
//! result depends on how many threads that has, nor on the CPU's SIMD.

mod bits;
mod blocks;
mod candidates;
pub mod checked;
mod compress;
mod contribution;
mod level;
mod many;
mod outer;
mod parts;
#[cfg(test)]
mod plain_tests;
mod resemblance;
mod roots;
mod seal;
mod select;
mod simd;
#[cfg(test)]
mod simd_tests;
mod sparse;
mod sums;
mod vector;
mod wire;

pub use blocks::{Kept, LayoutError, Turn, BLOCK, BLOCK_SIDE};
pub use checked::Checked;
pub use compress::{compress, put_back, select, CompressError, Compressor, StripCompressor};
pub use contribution::{Contribution, Header, MismatchError, Work};
pub use outer::{
    outer_step, outer_step_and_root, OuterStepError, Stepped, StreamError, StreamedStep,
};
pub use parts::vector_hash_in_parts;
pub use resemblance::{resemblance, Resemblance};
pub use roots::{model_root, sealed_root, vector_hash, RootHasher};
pub use seal::{open, seal, Opened};
pub use simd::without_avx512;
pub use sparse::{BlockFault, SparseError, SparseTensor};
pub use vector::{bytes_in_place, read_vector, vector_hash_of_bytes, VectorMaker, READ_AT_ONCE};
pub use wire::{
    decode, decode_header, encode, inspect, max_encoded_len, verify, Code, DecodeError,
    EncodeError, ReadError, Reader, TensorFault, TensorSummary, Verified, Writer, HEADER_LENGTH,
    MAGIC, VERSION, VERSION_OF_ALL,
};
