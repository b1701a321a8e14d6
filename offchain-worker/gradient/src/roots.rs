//! The two roots that the chain records: of sealed files, and of weights.

use cairn_primitives::H256;

/// Below this many bytes, spreading the hash over threads costs more than it saves.
const WORTH_SPREADING: usize = 1 << 18;
/// Elements that are turned into bytes at a time.
const PIECE: usize = 1 << 20;

/// BLAKE3 of a sealed file: what the chain and the store know it by.
pub fn sealed_root(bytes: &[u8]) -> H256 {
    let mut hasher = blake3::Hasher::new();
    update(&mut hasher, bytes);
    H256(*hasher.finalize().as_bytes())
}

/// BLAKE3 of the little-endian bytes of a model's flat parameters: equal on all machines whose weights are
/// equal to the bit.
pub fn state_root(theta: &[f32]) -> H256 {
    let mut hasher = blake3::Hasher::new();
    let mut bytes = Vec::with_capacity(4 * theta.len().min(PIECE));
    for piece in theta.chunks(PIECE) {
        bytes.clear();
        bytes.extend(piece.iter().flat_map(|value| value.to_le_bytes()));
        update(&mut hasher, &bytes);
    }
    H256(*hasher.finalize().as_bytes())
}

fn update(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    if bytes.len() < WORTH_SPREADING {
        hasher.update(bytes);
    } else {
        hasher.update_rayon(bytes);
    }
}
