//! What the pallet keeps.

use cairn_primitives::{Balance, BlockNumber, Uid, MAX_MEMBERS};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{traits::ConstU32, BoundedVec};
use scale_info::TypeInfo;

/// A row of weights or bonds: uid and value, strictly ascending by uid, no value zero.
pub type Row = BoundedVec<(Uid, u16), ConstU32<MAX_MEMBERS>>;

/// What a subnet was issued and has not paid yet, in pebble.
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
)]
pub struct Pots {
    /// For the subnet's owner.
    pub owner: Balance,
    /// For miners, by incentive.
    pub miners: Balance,
    /// For validators, by dividends.
    pub validators: Balance,
}

impl Pots {
    /// The shares of owner, miners and validators, of 100.
    pub const SPLIT: (u8, u8, u8) = (18, 41, 41);

    /// An amount split between the three, to the pebble: what rounding leaves goes to the validators.
    pub fn of(amount: Balance) -> Pots {
        // A share of at most 100 % of a u64 is a u64 again.
        let share = |percent: u8| (u128::from(amount) * u128::from(percent) / 100) as Balance;
        let (owner, miners) = (share(Self::SPLIT.0), share(Self::SPLIT.1));
        Pots {
            owner,
            miners,
            validators: amount - owner - miners,
        }
    }

    /// The three together; `None` if that is more than a balance can be.
    pub fn total(&self) -> Option<Balance> {
        self.owner
            .checked_add(self.miners)?
            .checked_add(self.validators)
    }

    /// Both pots added; `None` if that is more than a balance can be.
    pub fn checked_add(&self, other: &Pots) -> Option<Pots> {
        let sum = Pots {
            owner: self.owner.checked_add(other.owner)?,
            miners: self.miners.checked_add(other.miners)?,
            validators: self.validators.checked_add(other.validators)?,
        };
        sum.total().map(|_| sum)
    }
}

/// A subnet's emission.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct SubnetLedger {
    /// Waiting to be paid.
    pub pots: Pots,
    /// Moving average of the stake on the subnet's hotkeys, in units of 2⁻³² pebble.
    pub stake_average: u128,
    /// The block from which the tempo to the next epoch counts: when the last one was due.
    pub tempo_from: BlockNumber,
    /// The block of the last epoch; before the first, the block that saw the subnet first.
    pub last_epoch: BlockNumber,
    /// Paid since the subnet was created.
    pub paid: Balance,
    /// Of it, to the owner.
    pub paid_to_owner: Balance,
}

impl SubnetLedger {
    /// The ledger of a subnet that was first seen at block `now`.
    pub fn new(now: BlockNumber) -> SubnetLedger {
        SubnetLedger {
            pots: Pots::default(),
            stake_average: 0,
            tempo_from: now,
            last_epoch: now,
            paid: 0,
            paid_to_owner: 0,
        }
    }

    /// The block at which the next epoch is due, with a tempo of at least one block.
    pub fn due(&self, tempo: BlockNumber) -> BlockNumber {
        self.tempo_from.saturating_add(tempo.max(1))
    }
}

/// The weights that a validator set.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Vote {
    /// The block at which it set them.
    pub set_at: BlockNumber,
    /// The weights, in any scale: an epoch looks at their proportions.
    pub weights: Row,
}

/// What the last epoch made of a member, and what it earned since it came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct MemberRecord {
    /// Share as a miner, of 65,535.
    pub incentive: u16,
    /// Share as a validator, of 65,535.
    pub dividends: u16,
    /// What the last epoch paid it, in pebble.
    pub last_paid: Balance,
    /// What it was paid since it came, in pebble.
    pub earned: Balance,
}
