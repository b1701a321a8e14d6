//! What a subnet was issued, by whom it is for.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

use crate::{api::pebble, Balance};

/// Amounts for a subnet's owner, its miners and its validators, in pebble.
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
pub struct Pots {
    /// For the subnet's owner.
    #[serde(with = "pebble")]
    pub owner: Balance,
    /// For miners, by incentive.
    #[serde(with = "pebble")]
    pub miners: Balance,
    /// For validators, by dividends.
    #[serde(with = "pebble")]
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

    /// Both added; `None` if that is more than a balance can be.
    pub fn checked_add(&self, other: &Pots) -> Option<Pots> {
        let sum = Pots {
            owner: self.owner.checked_add(other.owner)?,
            miners: self.miners.checked_add(other.miners)?,
            validators: self.validators.checked_add(other.validators)?,
        };
        sum.total().map(|_| sum)
    }

    /// What is left of the three after `other` was taken out; `None` if one holds less.
    pub fn checked_sub(&self, other: &Pots) -> Option<Pots> {
        Some(Pots {
            owner: self.owner.checked_sub(other.owner)?,
            miners: self.miners.checked_sub(other.miners)?,
            validators: self.validators.checked_sub(other.validators)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_in_the_split() {
        for amount in [0, 1, 99, 100, 101, 999_999_999, u64::MAX] {
            assert_eq!(Pots::of(amount).total(), Some(amount));
        }
        let pots = Pots::of(1_000);
        assert_eq!((pots.owner, pots.miners, pots.validators), (180, 410, 410));
    }

    #[test]
    fn what_does_not_fit_is_none() {
        let full = Pots::of(u64::MAX);
        assert_eq!(full.checked_add(&Pots::of(100)), None);
        assert_eq!(Pots::of(1).checked_sub(&Pots::of(100)), None);
        assert_eq!(full.checked_sub(&full), Some(Pots::default()));
    }
}
