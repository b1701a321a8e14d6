//! Training on an NVIDIA card, in the same binary that trains without one.
//!
//! # How it is built
//!
//! NVIDIA's libraries are opened when a card is asked for ([`libraries`]); without them every call is an error of
//! one line that says what to install. The kernels are sources in `kernels/`, one per subject, which NVRTC
//! compiles for the card's own architecture at first use ([`compile`]); their machine code is kept in a cache.
//! Linear layers are cuBLASLt's ([`gemm`]); everything else is ours.
//!
//! [`CudaTrainer`] has the surface of the CPU's [`Trainer`](crate::Trainer). A step is recorded as a CUDA graph the
//! second time it is computed and replayed from then on, so that a small model does not wait for launches.
//!
//! A round ends on the card, too: [`Steps::select`] chooses and rounds what is sent of a round's steps, in the bits of
//! the crate `cairn-gradient`, which then only has to encode it; and a [`Trial`] measures what contributions make of
//! parameters that stay where they are. The two crates do not know each other; both know `cairn_primitives::blocks`.
//!
//! # What can be relied on
//!
//! - No kernel uses atomics, every reduction has a fixed order, and each product keeps the algorithm that was
//!   chosen for it: on one model of card and one version of driver, NVRTC and cuBLAS, the same call gives the
//!   same bits. Between models of card, and between a card and the CPU, results agree within the rounding of
//!   bfloat16; [`selftest`] compares them.
//! - The card works on copies. If it fails, the caller's parameters and moments are what they were.
//!
//! # How it is proven without a card
//!
//! `tests/cuda-on-cpu` is a CUDA driver that runs these sources on the CPU: the tests drive the whole of this
//! module through it, and the kernels through schedules that bring missing barriers to light. `docs/gpu.md` says
//! what that proves, and what it cannot.

pub mod compile;
pub mod contribution;
pub mod device;
pub mod error;
pub mod gemm;
mod graph;
pub mod libraries;
mod muon;
mod nccl;
mod open;
mod ops;
mod pass;
mod peak;
mod plan;
mod ranks;
mod reader;
pub mod selftest;
mod trainer;
mod trial;

use std::path::PathBuf;

pub use device::{Card, Device};
pub use error::{CudaError, Version};
pub use muon::iteration_bytes;
pub use ranks::CROSSING;
pub use reader::{CudaReader, CudaText};
pub use trainer::{CudaOptions, CudaTrainer, Sending, Steps};
pub use trial::Trial;

/// Where compiled kernels and fetched libraries are: `CAIRN_CACHE`, else `~/.cache/cairn`.
pub fn cache_directory() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/cairn"));
    std::env::var_os("CAIRN_CACHE")
        .map(PathBuf::from)
        .or_else(home)
        .unwrap_or_else(|| std::env::temp_dir().join("cairn"))
}
