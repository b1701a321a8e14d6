//! The two roots that the chain records: of sealed files, and of parameters.

use cairn_primitives::{ModelRoot, SealedRoot, H256};

/// Below this many bytes, spreading the hash over threads costs more than it saves.
const WORTH_SPREADING: usize = 1 << 18;
/// Elements that are turned into bytes at a time on machines with another byte order.
#[cfg(not(target_endian = "little"))]
const PIECE: usize = 1 << 20;

/// BLAKE3 of a sealed file: what the chain and the store know it by.
pub fn sealed_root(bytes: &[u8]) -> SealedRoot {
    let mut hasher = blake3::Hasher::new();
    update(&mut hasher, bytes);
    SealedRoot::from(*hasher.finalize().as_bytes())
}

/// BLAKE3 of a vector's little-endian bytes: what a header says of moments and of the error feedback.
pub fn vector_hash(vector: &[f32]) -> H256 {
    model_root(vector).get()
}

/// BLAKE3 of the little-endian bytes of a model's flat parameters: equal on all machines whose parameters are
/// equal to the bit.
pub fn model_root(theta: &[f32]) -> ModelRoot {
    let mut hasher = RootHasher::default();
    hasher.update(theta);
    hasher.finish()
}

/// [`model_root`] of parameters that come piece by piece, in order; how they are cut does not matter. Long pieces
/// are hashed on all threads of rayon's pool.
#[derive(Clone, Debug, Default)]
pub struct RootHasher(blake3::Hasher);

impl RootHasher {
    /// Takes the next parameters.
    pub fn update(&mut self, theta: &[f32]) {
        #[cfg(target_endian = "little")]
        update(&mut self.0, bytemuck::cast_slice(theta));
        #[cfg(not(target_endian = "little"))]
        for piece in theta.chunks(PIECE) {
            let bytes: Vec<u8> = piece.iter().flat_map(|value| value.to_le_bytes()).collect();
            update(&mut self.0, &bytes);
        }
    }

    /// The root of all that were taken.
    pub fn finish(&self) -> ModelRoot {
        ModelRoot::from(*self.0.finalize().as_bytes())
    }
}

/// Hashes the next bytes, on several threads if that pays.
pub(crate) fn update(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    if bytes.len() < WORTH_SPREADING {
        hasher.update(bytes);
    } else {
        hasher.update_rayon(bytes);
    }
}
