//! A round that is drawn and has not begun.

use alloc::vec::Vec;
use codec::{Decode, Encode};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

use crate::{Round, Uid, H256};

/// A round that has not begun, of a run whose rounds overlap: who has to train on what in it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct NextRound<AccountId> {
    /// Its number.
    pub round: Round,
    /// Drawn from the chain's randomness when the round before began.
    pub seed: H256,
    /// Which pass over the data.
    pub pass: u32,
    /// Position in that pass at which the round's data begins.
    pub cursor: u64,
    /// The miners in the order of their slots. Who can no longer mine when the round begins has no part in it.
    pub miners: Vec<(Uid, AccountId)>,
}
