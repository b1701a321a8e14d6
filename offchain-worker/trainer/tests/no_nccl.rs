//! Several cards on a machine without NCCL. A process of its own: in the other tests' there is one.

use cairn_primitives::ModelShape;
use cairn_trainer::cuda::{
    compile::SOURCES, libraries::Library, CudaError, CudaOptions, CudaTrainer,
};

#[test]
fn several_cards_want_nccl_and_one_does_not() {
    let sources = SOURCES.iter().map(|source| (source.name, source.kernels));
    cuda_on_cpu::driver(sources).cards(2);
    let nvrtc = Library::Nvrtc.require();
    nvrtc.expect("NVRTC is needed to test the CUDA backend: run `make cuda-tools`");
    if Library::Nccl.require().is_ok() {
        return; // The machine's own, which would not know these cards.
    }
    let shape = ModelShape {
        layers: 1,
        d_model: 16,
        heads: 1,
        kv_heads: 1,
        ffn: 32,
        vocabulary: 64,
        context: 8,
        rope_theta: 10_000,
        tied_embeddings: true,
    };
    let options = |others| CudaOptions {
        others,
        ..CudaOptions::default()
    };
    assert!(CudaTrainer::new(&shape, options(0)).is_ok());
    let error = CudaTrainer::new(&shape, options(1)).err().unwrap();
    assert!(matches!(error, CudaError::NoNccl), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("libnccl.so.2") && !text.contains('\n'),
        "{text}"
    );
}
