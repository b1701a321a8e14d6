//! The CUDA backend on a machine without a card: the real host code, the real NVRTC, the kernels' own sources,
//! and a driver that runs them on the CPU (`tests/cuda-on-cpu`).

mod bench;
mod compiling;
mod contributions;
mod fake;
mod faults;
mod kernels;
mod muon;
mod ranks;
mod training;
