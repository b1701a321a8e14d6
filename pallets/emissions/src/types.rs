//! What the pallet keeps.

use cairn_primitives::{
    api::EvidenceCommit, Balance, BlockNumber, EpochIndex, Pots, Uid, MAX_MEMBERS,
};
use cairn_protocol::emission::Late;
use codec::{Decode, Encode, MaxEncodedLen};
use frame_support::{traits::ConstU32, BoundedVec};
use scale_info::TypeInfo;

/// A row of scores or bonds: uid and value, strictly ascending by uid, no value zero.
pub type Row = BoundedVec<(Uid, u16), ConstU32<MAX_MEMBERS>>;

/// A subnet's emission.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct SubnetLedger {
    /// Waiting to be paid.
    pub pots: Pots,
    /// What of them waited for scores, and is paid bit by bit.
    pub late: Late,
    /// What miners earned and do not have yet, beside the pots: the sum of what is withheld of each.
    pub withheld: Balance,
    /// Moving average of the stake on the subnet's hotkeys, in units of 2⁻³² pebble.
    pub stake_average: u128,
    /// The block from which the tempo to the next epoch counts: when the last one was due.
    pub tempo_from: BlockNumber,
    /// The block of the last epoch; before the first, the block that saw the subnet first.
    pub last_epoch: BlockNumber,
    /// Epochs so far: the number of the next one.
    pub epochs: EpochIndex,
    /// Paid since the subnet was created.
    pub paid: Pots,
}

impl SubnetLedger {
    /// The ledger of a subnet that was first seen at block `now`.
    pub fn new(now: BlockNumber) -> SubnetLedger {
        SubnetLedger {
            pots: Pots::default(),
            late: Late::default(),
            withheld: 0,
            stake_average: 0,
            tempo_from: now,
            last_epoch: now,
            epochs: 0,
            paid: Pots::default(),
        }
    }

    /// The pots, with what is withheld in that of the miners. `None` if that is more than a balance can be.
    pub fn waiting(&self) -> Option<Pots> {
        self.pots.checked_add(&Pots {
            miners: self.withheld,
            ..Pots::default()
        })
    }

    /// The block at which the next epoch is due, with a tempo of at least one block.
    pub fn due(&self, tempo: BlockNumber) -> BlockNumber {
        self.tempo_from.saturating_add(tempo.max(1))
    }
}

/// The scores that a validator set.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Vote {
    /// The block at which it chose them: at which it set or, before revealing, committed to them.
    pub set_at: BlockNumber,
    /// The scores, in any scale: an epoch looks at their proportions.
    pub scores: Row,
    /// The file of evidence that was committed to with them; none of scores that were set in the open.
    pub evidence: Option<EvidenceCommit>,
}

/// What the last epoch made of a member, and what it earned since it came. Amounts are in pebble.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct MemberRecord {
    /// Share as a miner, of 65,535.
    pub incentive: u16,
    /// Share as a validator, of 65,535.
    pub dividends: u16,
    /// What the last epoch gave it as a miner, paid or withheld.
    pub last_as_miner: Balance,
    /// What the last epoch paid it as a validator.
    pub last_as_validator: Balance,
    /// What it was paid as a miner since it came.
    pub earned_as_miner: Balance,
    /// What it was paid as a validator since it came.
    pub earned_as_validator: Balance,
}

impl MemberRecord {
    /// What the last epoch gave it. Both parts come out of pots that are a balance together.
    pub fn last_paid(&self) -> Balance {
        self.last_as_miner.saturating_add(self.last_as_validator)
    }

    /// What it was paid since it came. Both are part of what was ever issued.
    pub fn earned(&self) -> Balance {
        self.earned_as_miner
            .saturating_add(self.earned_as_validator)
    }
}
