//! What validators said of miners, and what a validator has to know to say it.

use alloc::vec::Vec;
use codec::{Decode, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

use crate::{BlockNumber, EpochIndex, Served, Uid, H256};

/// A validator's commitment to scores that nobody can read yet.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo, Serialize, Deserialize,
)]
pub struct ScoresCommit {
    /// The number of the epoch before which it was made; the scores can be revealed between this one and
    /// the next.
    pub epoch: EpochIndex,
    /// [`crate::scores_hash`] of the row.
    pub hash: H256,
    /// The block at which it was made.
    pub at: BlockNumber,
    /// Whether the scores were revealed.
    pub revealed: bool,
}

/// The scores of a validator that count now, and the evidence that it says they follow from.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct ValidatorScores<AccountId> {
    /// Its number.
    pub uid: Uid,
    /// Its key.
    pub hotkey: AccountId,
    /// The block at which it chose them.
    pub set_at: BlockNumber,
    /// The scores, ascending by uid, in any scale.
    pub scores: Vec<(Uid, u16)>,
    /// What it committed to with them; none if it set them in the open.
    pub evidence: Option<EvidenceCommit>,
}

/// What a validator committed to together with a row of scores, and serves once the row is revealed.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct EvidenceCommit {
    /// The number of the epoch before which it was made.
    pub epoch: EpochIndex,
    /// The file of evidence.
    pub file: Served,
}

/// What a validator has to know to set its scores.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct Scoring {
    /// Whether scores are committed and revealed rather than set in the open.
    pub commit_reveal: bool,
    /// The number of the next epoch: what is committed now is committed before it.
    pub epoch: EpochIndex,
    /// The block at which that epoch is due.
    pub due: BlockNumber,
    /// Blocks between two rows of scores, or two commitments.
    pub rate_limit: BlockNumber,
    /// The validator's commitments, at most one for each of the last two epochs, ascending.
    pub commits: Vec<ScoresCommit>,
}
