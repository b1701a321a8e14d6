//! What the pallet keeps.

use cairn_primitives::{Balance, BlockNumber, Hyperparameters, Role};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// A subnet.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Subnet<AccountId> {
    /// The coldkey that owns it.
    pub owner: AccountId,
    /// The block at which it was created.
    pub created_at: BlockNumber,
    /// Number of members.
    pub members: u16,
    /// Whether anybody has ever had a seat: from then on rules change with notice.
    pub was_joined: bool,
}

/// A member of a subnet.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Member<AccountId> {
    /// The key that signs its work.
    pub hotkey: AccountId,
    /// The key that owns what it earns.
    pub coldkey: AccountId,
    /// The block at which it took its seat.
    pub registered_at: BlockNumber,
    /// What it is there for.
    pub role: Role,
    /// The block at which its coldkey last chose another role; `None` if never.
    pub role_set_at: Option<BlockNumber>,
}

/// A hotkey that a member is to have.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Swap<AccountId> {
    /// The hotkey.
    pub to: AccountId,
    /// The block from which on it can take the place of the present one.
    pub from: BlockNumber,
}

/// The rules of a subnet.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Rules {
    /// Those that hold until others do.
    pub present: Hyperparameters,
    /// Those that were announced.
    pub announced: Option<Announced>,
}

impl Rules {
    /// Rules that hold, and none that will.
    pub fn only(present: Hyperparameters) -> Rules {
        Rules {
            present,
            announced: None,
        }
    }

    /// Those that hold in block `now`.
    pub fn at(self, now: BlockNumber) -> Hyperparameters {
        match self.announced {
            Some(announced) if announced.from <= now => announced.rules,
            _ => self.present,
        }
    }

    /// Those that do not hold yet in block `now`.
    pub fn to_come(self, now: BlockNumber) -> Option<Announced> {
        self.announced.filter(|announced| announced.from > now)
    }
}

/// Rules that will hold.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Announced {
    /// The block from which on they hold.
    pub from: BlockNumber,
    /// The rules.
    pub rules: Hyperparameters,
}

/// A price as it stood right after a sale.
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
)]
pub struct Quote {
    /// The price, in pebble.
    pub price: Balance,
    /// The block of the sale.
    pub at: BlockNumber,
}
