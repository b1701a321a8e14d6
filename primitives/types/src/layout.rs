//! How a model's parameters lie in one flat vector.

use alloc::{format, string::String, vec, vec::Vec};
use codec::{Decode, Encode};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

use crate::{blake2_256, ModelShape, H256};

/// One tensor of a model.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct Tensor {
    /// Its name, as Hugging Face's Llama calls it.
    pub name: String,
    /// One or two dimensions, rows first.
    pub shape: Vec<u32>,
}

impl Tensor {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().map(|n| *n as usize).product()
    }

    /// Whether the tensor has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A model's tensors in canonical order; tensor *i* begins where tensor *i* − 1 ends.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Layout(pub Vec<Tensor>);

impl Layout {
    /// The layout of a Llama-style decoder. Canonical order: embedding, then layer by layer (input norm,
    /// q, k, v, o, post-attention norm, gate, up, down), final norm, and the head unless it is tied.
    /// Matrices are `[out, in]`, as in PyTorch.
    pub fn of(shape: &ModelShape) -> Layout {
        let (d, ffn) = (shape.d_model, shape.ffn);
        let kv = shape.head_dim() * u32::from(shape.kv_heads);
        let tensor = |name: String, shape: &[u32]| Tensor {
            name,
            shape: shape.to_vec(),
        };
        let mut tensors = vec![tensor(
            "model.embed_tokens.weight".into(),
            &[shape.vocabulary, d],
        )];
        for layer in 0..shape.layers {
            let named = |part: &str| format!("model.layers.{layer}.{part}.weight");
            tensors.extend([
                tensor(named("input_layernorm"), &[d]),
                tensor(named("self_attn.q_proj"), &[d, d]),
                tensor(named("self_attn.k_proj"), &[kv, d]),
                tensor(named("self_attn.v_proj"), &[kv, d]),
                tensor(named("self_attn.o_proj"), &[d, d]),
                tensor(named("post_attention_layernorm"), &[d]),
                tensor(named("mlp.gate_proj"), &[ffn, d]),
                tensor(named("mlp.up_proj"), &[ffn, d]),
                tensor(named("mlp.down_proj"), &[d, ffn]),
            ]);
        }
        tensors.push(tensor("model.norm.weight".into(), &[d]));
        if !shape.tied_embeddings {
            tensors.push(tensor("lm_head.weight".into(), &[shape.vocabulary, d]));
        }
        Layout(tensors)
    }

    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        self.0.iter().map(Tensor::len).sum()
    }

    /// Tensors with the range that each takes in the flat vector.
    pub fn ranges(&self) -> impl Iterator<Item = (&Tensor, core::ops::Range<usize>)> {
        self.0.iter().scan(0usize, |offset, tensor| {
            let start = *offset;
            *offset += tensor.len();
            Some((tensor, start..*offset))
        })
    }

    /// What identifies the layout in a contribution's header: `blake2_256` of its SCALE encoding.
    pub fn hash(&self) -> H256 {
        blake2_256(&self.encode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covenant_72b_has_the_parameters_that_its_paper_states() {
        let shape = ModelShape {
            layers: 80,
            d_model: 8_192,
            heads: 64,
            kv_heads: 8,
            ffn: 28_672,
            vocabulary: 262_144,
            context: 2_048,
            rope_theta: 500_000,
            tied_embeddings: false,
        };
        assert_eq!(Layout::of(&shape).parameters(), 72_747_327_488);
        assert_eq!(shape.parameters(), Some(72_747_327_488));
        let tied = ModelShape {
            tied_embeddings: true,
            ..shape.clone()
        };
        let tied_parameters = Layout::of(&tied).parameters() as u64;
        assert_eq!(tied.parameters(), Some(tied_parameters));
        let absurd = ModelShape {
            d_model: u32::MAX,
            ffn: u32::MAX,
            layers: u16::MAX,
            ..shape
        };
        assert_eq!(absurd.parameters(), None);
    }
}
