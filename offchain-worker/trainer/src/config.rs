//! Named model shapes, and what training one takes: parameters, memory, operations.
//!
//! All of it is computed from the shape; nothing is allocated.

use cairn_primitives::{Layout, ModelShape};
use serde::Serialize;

use crate::head;

/// Names of the configurations, smallest first.
pub const NAMES: [&str; 6] = ["tiny", "10m", "100m", "1b", "8b", "covenant-72b"];

/// The shape of that name:
///
/// | name | layers | width | heads (keys) | feed-forward | vocabulary | what it is |
/// |---|---|---|---|---|---|---|
/// | `tiny` | 4 | 128 | 4 (2) | 384 | 1,024 | the devnet's model |
/// | `10m` | 6 | 320 | 5 (5) | 896 | 4,096 | trains on a laptop |
/// | `100m` | 12 | 768 | 12 (4) | 2,048 | 16,384 | trains on a workstation |
/// | `1b` | 16 | 2,048 | 32 (8) | 8,192 | 128,256 | Llama 3.2 1B, without its scaling of rotations |
/// | `8b` | 32 | 4,096 | 32 (8) | 14,336 | 128,256 | Llama 3 8B |
/// | `covenant-72b` | 80 | 8,192 | 64 (8) | 28,672 | 262,144 | Covenant-72B |
///
/// The first four share the embedding's parameters with the head. The context is what the model was first trained
/// with, and rotary positions have the base 500,000.
pub fn named(name: &str) -> Option<ModelShape> {
    let (layers, d_model, heads, kv_heads, ffn, vocabulary, context) = match name {
        "tiny" => (4, 128, 4, 2, 384, 1_024, 128),
        "10m" => (6, 320, 5, 5, 896, 4_096, 2_048),
        "100m" => (12, 768, 12, 4, 2_048, 16_384, 2_048),
        "1b" => (16, 2_048, 32, 8, 8_192, 128_256, 8_192),
        "8b" => (32, 4_096, 32, 8, 14_336, 128_256, 8_192),
        "covenant-72b" => (80, 8_192, 64, 8, 28_672, 262_144, 2_048),
        _ => return None,
    };
    Some(ModelShape {
        layers,
        d_model,
        heads,
        kv_heads,
        ffn,
        vocabulary,
        context,
        rope_theta: 500_000,
        tied_embeddings: !matches!(name, "8b" | "covenant-72b"),
    })
}

/// What a training step of `windows` windows of `length` predicted tokens takes. Bytes are those of the CPU
/// backend, where every number has four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Needs {
    /// Number of parameters.
    pub parameters: u64,
    /// Floating-point operations of a training step per token: two for each multiply-add, three forward
    /// passes' worth for forward and backward; what is computed a second time is not counted.
    pub flops_per_token: u64,
    /// Bytes of the parameters.
    pub parameter_bytes: u64,
    /// Bytes of the gradient.
    pub gradient: u64,
    /// Bytes of AdamW's two moments.
    pub moments: u64,
    /// Bytes of what the layers keep from the forward pass for the backward pass.
    pub activations: u64,
    /// The same if each layer keeps only its input and computes the rest again.
    pub activations_recomputed: u64,
    /// Bytes of the logits that exist at once.
    pub logits: u64,
}

impl Needs {
    /// What it takes. Sizes beyond 64 bits are cut to the largest that fits.
    pub fn of(shape: &ModelShape, windows: usize, length: usize) -> Needs {
        let cut = |n: u128| u64::try_from(n).unwrap_or(u64::MAX);
        let parameters = Layout::of(shape).parameters() as u128;
        let (windows, length) = (windows as u128, length as u128);
        let tokens = windows * length;
        let layers = u128::from(shape.layers);
        let (kept, input) = (u128::from(kept_per_token(shape)), u128::from(shape.d_model));
        let block = tokens.min(head::ROWS as u128);
        Needs {
            parameters: cut(parameters),
            flops_per_token: cut(3 * forward_flops_per_token(shape, length)),
            parameter_bytes: cut(4 * parameters),
            gradient: cut(4 * parameters),
            moments: cut(8 * parameters),
            activations: cut(4 * tokens * layers * kept),
            activations_recomputed: cut(4 * tokens * (layers * input + kept)),
            logits: cut(4 * block * u128::from(shape.vocabulary)),
        }
    }
}

/// Numbers that a layer keeps of each token: its input, queries, keys and values, attention's output and
/// statistics, the stream before the feed-forward unit, gate and up, and the two norms' rates.
pub(crate) fn kept_per_token(shape: &ModelShape) -> u64 {
    let heads = u64::from(shape.heads) + 2 * u64::from(shape.kv_heads);
    let streams = 3 * u64::from(shape.d_model) + 2 * u64::from(shape.ffn);
    streams + heads * u64::from(shape.head_dim()) + 2 * u64::from(shape.heads) + 2
}

/// Two operations for each element of each matrix, the head's included, and for each of the scores, of which a
/// causal model needs (`length` + 1)/2 per token and head, twice.
fn forward_flops_per_token(shape: &ModelShape, length: u128) -> u128 {
    let (d, ffn) = (u128::from(shape.d_model), u128::from(shape.ffn));
    let width = u128::from(shape.head_dim());
    let kv = width * u128::from(shape.kv_heads);
    let matrices = 2 * d * d + 2 * kv * d + 3 * d * ffn;
    let scores = u128::from(shape.heads) * width * (length + 1);
    let layers = u128::from(shape.layers);
    2 * (layers * (matrices + scores) + u128::from(shape.vocabulary) * d)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(name: &str) -> u64 {
        Needs::of(&named(name).unwrap(), 1, 1).parameters
    }

    #[test]
    fn the_parameters_are_those_that_their_makers_state() {
        assert_eq!(parameters("1b"), 1_235_814_400);
        assert_eq!(parameters("8b"), 8_030_261_248);
        assert_eq!(parameters("covenant-72b"), 72_747_327_488);
    }

    #[test]
    fn every_name_has_a_shape_and_the_names_ascend() {
        let sizes: Vec<u64> = NAMES.iter().map(|name| parameters(name)).collect();
        assert!(sizes.is_sorted(), "{sizes:?}");
        assert_eq!(named("2b"), None);
    }

    /// By hand: one layer of width 4, one head, feed-forward 3, vocabulary 5, two tokens.
    #[test]
    fn operations_and_bytes_by_hand() {
        let shape = ModelShape {
            layers: 1,
            d_model: 4,
            heads: 1,
            kv_heads: 1,
            ffn: 3,
            vocabulary: 5,
            context: 8,
            rope_theta: 10_000,
            tied_embeddings: true,
        };
        let needs = Needs::of(&shape, 1, 2);
        // Four matrices of 16 elements, three of 12, scores and mixing over 1.5 keys on average, a head of 20.
        assert_eq!(needs.flops_per_token, 3 * 2 * (64 + 36 + 2 * 6 + 20));
        assert_eq!(needs.parameters, 20 + 4 + 64 + 4 + 36 + 4);
        assert_eq!((needs.parameter_bytes, needs.moments), (528, 1056));
        // Three streams of 4, gate and up of 3 each, rows of 12, two statistics, two rates.
        assert_eq!(needs.activations, 4 * 2 * (12 + 6 + 12 + 2 + 2));
        assert_eq!(needs.activations_recomputed, 4 * 2 * (4 + 34));
        assert_eq!(needs.logits, 4 * 2 * 5);
    }

    #[test]
    fn sizes_beyond_64_bits_are_cut() {
        let mut shape = named("8b").unwrap();
        (shape.layers, shape.ffn) = (u16::MAX, u32::MAX / 2);
        assert_eq!(Needs::of(&shape, usize::MAX, 1).activations, u64::MAX);
    }
}
