//! What the pallet keeps.

use cairn_primitives::{Balance, BlockNumber, Netuid};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{traits::ConstU32, BoundedVec};
use scale_info::TypeInfo;
use share_pool::Holding;

/// The most withdrawals that a position can wait for at a time.
pub const MAX_UNBONDING: u32 = 8;

/// What a coldkey has on one hotkey in one subnet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Position<AccountId> {
    /// Its shares of the hotkey's stake that counts.
    pub staked: Holding,
    /// What it waits for, in the order in which it was asked for.
    pub unbonding: BoundedVec<Unbonding<AccountId>, ConstU32<MAX_UNBONDING>>,
}

impl<AccountId> Default for Position<AccountId> {
    fn default() -> Self {
        Position {
            staked: Holding::default(),
            unbonding: BoundedVec::new(),
        }
    }
}

impl<AccountId> Position<AccountId> {
    /// Whether there is nothing in it to keep.
    pub fn is_empty(&self) -> bool {
        self.staked.is_empty() && self.unbonding.is_empty()
    }
}

/// Stake that is being withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Unbonding<AccountId> {
    /// Shares of the hotkey's stake that is being withdrawn.
    pub shares: Holding,
    /// The block from which on it can be withdrawn.
    pub release_at: BlockNumber,
    /// The subnet and hotkey on which it is staked then; `None` if it goes to the account.
    pub moves_to: Option<(Netuid, AccountId)>,
}

/// A hotkey's bond in a subnet.
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
pub struct Bond {
    /// What counts, in pebble.
    pub active: Balance,
    /// What was asked back and no longer counts, in pebble.
    pub unbonding: Balance,
    /// The block from which on `unbonding` can be withdrawn; 0 while there is none.
    pub release_at: BlockNumber,
}

/// What a hotkey's coldkey takes of its dividends before those who stake on it get theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Take {
    /// The share, of 65,535.
    pub share: u16,
    /// The block at which it was set.
    pub set_at: BlockNumber,
}
