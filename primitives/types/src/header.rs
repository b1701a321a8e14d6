//! What a contribution says of itself.

use crate::{Netuid, Round, H256};

/// The head of a contribution's file.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The subnet that it is for.
    pub netuid: Netuid,
    /// The round that it is for.
    pub round: Round,
    /// The hotkey of the miner that made it.
    pub hotkey: [u8; 32],
    /// Model root of the weights that the miner began with.
    pub parent_root: H256,
    /// [`crate::Layout::hash`] of the model.
    pub layout_hash: H256,
    /// Inner steps that were done.
    pub inner_steps: u32,
    /// Tokens that were trained on.
    pub tokens: u64,
    /// Mean cross-entropy over those steps, in nats; finite and not negative.
    pub mean_loss: f32,
}

impl Header {
    /// Whether the mean loss is one: finite, and without a sign (not even that of −0).
    pub fn has_a_loss(&self) -> bool {
        self.mean_loss.is_finite() && self.mean_loss.is_sign_positive()
    }
}
