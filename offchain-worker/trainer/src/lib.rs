//! Trains a Llama-style language model on the CPU, with the same bits on every machine.
//!
//! # What it is for
//!
//! A miner of Cairn takes the parameters that everybody holds, runs a number of AdamW steps on the text that
//! the chain assigned to it, and hands in the difference. A validator measures by how much that difference
//! lowers the loss. Both use this crate:
//!
//! - [`initial_parameters`] makes the first parameters of a run from a seed;
//! - [`Trainer::step`] is one inner step: forward, backward, clipping, AdamW or [`muon`];
//! - [`Trainer::losses`] is the forward pass alone: the mean cross-entropy of each window;
//! - [`config`] names model shapes and says what training one takes, [`mod@bench`] measures it;
//! - [`hugging_face`] writes parameters as other programs read them;
//! - [`kernels`] are the parts of the forward pass, for who runs a model token by token.
//!
//! Text comes as windows of tokens, `&[&[u32]]`; nothing here knows the files that they were cut out of (`cairn-data`).
//!
//! Parameters are one flat vector of `f32` in the order of [`Layout`](cairn_primitives::Layout), since that is
//! what the rest of the project compresses, hashes and adds up.
//!
//! # The same bits everywhere
//!
//! Whoever replays a miner's steps must come to the miner's parameters exactly, or an honest miner could be
//! taken for a cheat. Floating-point addition depends on its order, so every order is fixed here:
//!
//! - A product of matrices is, for each of its elements, a chain of fused multiply-adds over the inner
//!   dimension in blocks of 256, and the block sums are added in order (module `gemm`).
//! - A sum along a row runs in 16 lanes that are folded in halves; a sum over rows runs in blocks of 32
//!   rows, added in index order (modules `math` and `norm`).
//! - A query's exponentials are added in the order of the keys, and what its scores add to the gradients of keys
//!   and values comes in blocks of 64 queries (module `attention`).
//! - Muon's products are such products, and its norm is summed as the gradient's (module [`muon`]).
//! - Threads divide outputs among themselves, never a sum.
//! - `exp` is a polynomial of fused multiply-adds; `ln`, `sin`, `cos` and `pow` are those of the
//!   `libm` crate. The platform's own versions choose their code by the CPU.
//!
//! Any x86-64 machine with AVX2 and FMA (the level x86-64-v3) gives these bits, with any number of threads
//! and with AVX-512 or without. Others are turned away by [`Trainer::new`]. Tests pin hashes of parameters.
//!
//! # On a card
//!
//! [`cuda`] trains the same model on an NVIDIA card, in other bits; [`engine`] is one surface over both.
//!
//! # The model
//!
//! Root-mean-square normalisation, rotary positions (the two halves of a head are rotated against each
//! other, as Hugging Face's Llama has it), grouped-query attention, SwiGLU, residual connections, and a head
//! that may share the embedding's parameters. The backward pass is written by hand and checked against finite
//! differences of a plain `f64` model in the tests.

#[macro_use]
mod cpu;
mod attention;
mod backward;
pub mod bench;
mod cached;
pub mod config;
pub mod cuda;
mod embedding;
pub mod engine;
mod forward;
mod gemm;
mod head;
pub mod hugging_face;
mod init;
pub mod kernels;
mod math;
mod model;
pub mod muon;
mod norm;
pub mod optimizer;
mod rope;
mod swiglu;
mod trainer;
mod windows;
mod workspace;

#[cfg(test)]
mod tests;

pub use cpu::{check_cpu, simd};
pub use init::initial_parameters;
pub use optimizer::{idle_steps, AdamState, StateError};
pub use trainer::{Settings, Trainer, TrainerError};
