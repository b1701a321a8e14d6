//! The driver of `tests/cuda-on-cpu`, with the trainer's kernels.

use cairn_trainer::cuda::{
    compile::{Source, SOURCES},
    libraries::Library,
};
pub use cuda_on_cpu::{Fake, FakeNccl};

/// Kernels with faults, to see that they are found.
pub const PLANTED: Source = Source {
    name: cuda_on_cpu::PLANTED.0,
    text: cuda_on_cpu::PLANTED_SOURCE,
    options: &[],
    kernels: cuda_on_cpu::PLANTED.1,
};

/// The driver, with a schedule in order.
pub fn driver() -> &'static Fake {
    let fake = cuda_on_cpu::driver(SOURCES.iter().map(|source| (source.name, source.kernels)));
    Library::Nvrtc
        .require()
        .expect("NVRTC is needed to test the CUDA backend: run `make cuda-tools`");
    fake
}

/// The driver with so many cards for the calling thread, and an NCCL that joins them.
pub fn cards(cards: i32) -> (&'static Fake, &'static FakeNccl) {
    let sources = SOURCES.iter().map(|source| (source.name, source.kernels));
    (driver().cards(cards), cuda_on_cpu::nccl(sources))
}
