//! By what a run's contributions are combined, and what the chain says of each for that.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// What decides how much each contribution counts in the next parameters. The rule is `combination` of
/// `cairn-protocol`.
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
pub enum Combination {
    /// Trust alone.
    #[default]
    Trust,
    /// Trust times the tokens that it was trained on, as far as audits bear them out.
    Tokens,
}

impl Combination {
    /// In words, to follow "combined by".
    pub fn in_words(&self) -> &'static str {
        match self {
            Combination::Trust => "trust",
            Combination::Tokens => "trust and tokens",
        }
    }
}

/// What a settlement says of an included contribution and its maker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Standing {
    /// How far the contribution is trusted beside the others of its round; never 0.
    pub trust: u16,
    /// Whether an audit had found its maker's work to be what it claimed, when the round was settled.
    pub is_proven: bool,
}
