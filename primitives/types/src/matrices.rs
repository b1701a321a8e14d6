//! How a run steps the matrices of its model's blocks.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

use crate::{Layout, Nano, Tensor};

/// What steps the matrices of the blocks. Embedding, head and norms are AdamW's in any case.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Matrices {
    /// AdamW, as it does all others.
    #[default]
    AdamW,
    /// Muon: momentum whose singular values are brought near one.
    Muon(Muon),
}

/// Muon's numbers; learning rate, schedule, clipping and weight decay are those of the inner optimizer.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(deny_unknown_fields, default)]
pub struct Muon {
    /// Decay of the momentum, which is Nesterov's.
    pub momentum: Nano,
    /// Root mean square of a full-rank matrix's step, in learning rates.
    pub rms: Nano,
}

impl Default for Muon {
    /// Momentum 0.95, and the root mean square that AdamW's steps have, about 0.2 (arXiv 2502.16982).
    fn default() -> Muon {
        Muon {
            momentum: Nano(950_000_000),
            rms: Nano(200_000_000),
        }
    }
}

impl Matrices {
    /// Whether its numbers can be: a momentum below 1, and a root mean square above 0 and at most 1.
    pub fn is_possible(&self) -> bool {
        match self {
            Matrices::AdamW => true,
            Matrices::Muon(muon) => {
                muon.momentum < Nano::ONE && muon.rms > Nano(0) && muon.rms <= Nano::ONE
            }
        }
    }

    /// Whether it keeps a second moment of this tensor's elements.
    pub fn has_second_moment(&self, tensor: &Tensor) -> bool {
        match self {
            Matrices::AdamW => true,
            Matrices::Muon(_) => !tensor.is_of_a_block(),
        }
    }

    /// Numbers of the optimizer's second moment: one for each element of the tensors that AdamW steps, in the layout's
    /// order without gaps.
    pub fn second_moments(&self, layout: &Layout) -> usize {
        let tensors = layout.0.iter();
        let adams = tensors.filter(|tensor| self.has_second_moment(tensor));
        adams.map(Tensor::len).sum()
    }
}

impl Tensor {
    /// Whether it is a matrix of a block: not embedding, not head, no norm.
    pub fn is_of_a_block(&self) -> bool {
        self.shape.len() == 2 && self.name.starts_with("model.layers.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelShape;

    const MUON: Matrices = Matrices::Muon(Muon {
        momentum: Nano(950_000_000),
        rms: Nano(200_000_000),
    });

    #[test]
    fn embedding_head_and_norms_keep_a_second_moment() {
        let shape = ModelShape {
            layers: 2,
            d_model: 4,
            heads: 2,
            kv_heads: 1,
            ffn: 3,
            vocabulary: 5,
            context: 8,
            rope_theta: 10_000,
            tied_embeddings: false,
        };
        let layout = Layout::of(&shape);
        assert_eq!(Matrices::AdamW.second_moments(&layout), layout.parameters());
        // Embedding and head of 20, five norms of 4.
        assert_eq!(MUON.second_moments(&layout), 60);
        let of_blocks = layout.0.iter().filter(|tensor| tensor.is_of_a_block());
        assert_eq!(of_blocks.count(), 14);
    }

    #[test]
    fn numbers_out_of_range_are_impossible() {
        let with = |momentum, rms| {
            Matrices::Muon(Muon {
                momentum: Nano(momentum),
                rms: Nano(rms),
            })
        };
        assert!(Matrices::AdamW.is_possible() && MUON.is_possible());
        assert_eq!(MUON, Matrices::Muon(Muon::default()));
        assert!(with(0, 1_000_000_000).is_possible());
        assert!(!with(1_000_000_000, 1).is_possible());
        assert!(!with(0, 0).is_possible());
        assert!(!with(0, 1_000_000_001).is_possible());
    }

    #[test]
    fn it_is_written_as_people_write_it() {
        let read = |text: &str| serde_json::from_str::<Matrices>(text);
        assert_eq!(read(r#""adamw""#).unwrap(), Matrices::AdamW);
        assert_eq!(read(r#"{"muon":{}}"#).unwrap(), MUON);
        assert!(read(r#"{"muon":{"nesterov":true}}"#).is_err());
        assert!(read(r#""sgd""#).is_err());
    }

    #[test]
    fn on_chain_it_takes_a_byte_or_seventeen() {
        assert_eq!(Matrices::AdamW.encode(), [0]);
        let bytes = [
            &[1][..],
            &950_000_000u64.to_le_bytes(),
            &200_000_000u64.to_le_bytes(),
        ];
        assert_eq!(MUON.encode(), bytes.concat());
    }
}
