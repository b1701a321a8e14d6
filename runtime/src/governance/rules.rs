//! The numbers that a referendum may set, each between limits that only a new runtime changes.

use cairn_primitives::{Balance, BlockNumber, CRN};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::ops::RangeInclusive;
use frame_support::traits::Get;
use scale_info::TypeInfo;

use super::{tracks::DAY, CurrentRules};
use crate::Runtime;

/// All of them, as they hold now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Rules {
    /// What a subnet costs at least, in pebble.
    pub creation_price_floor: Balance,
    /// Blocks in which the price of a subnet falls back to the floor.
    pub creation_price_decay: BlockNumber,
    /// Blocks from one change of a subnet's hyperparameters to the next.
    pub hyperparameters_rate_limit: BlockNumber,
    /// Blocks from a validator's scores to its next ones.
    pub scores_rate_limit: BlockNumber,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            creation_price_floor: 100 * CRN,
            creation_price_decay: 14 * DAY,
            // Two tempos, by default: whoever votes sees the rules of an epoch before it.
            hyperparameters_rate_limit: 720,
            scores_rate_limit: 10,
        }
    }
}

/// One of them, and what it shall be.
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
pub enum Rule {
    /// What a subnet costs at least, in pebble.
    CreationPriceFloor(Balance),
    /// Blocks in which the price of a subnet falls back to the floor.
    CreationPriceDecay(BlockNumber),
    /// Blocks from one change of a subnet's hyperparameters to the next.
    HyperparametersRateLimit(BlockNumber),
    /// Blocks from a validator's scores to its next ones.
    ScoresRateLimit(BlockNumber),
}

/// Between a CRN and 10,000.
pub const CREATION_PRICE_FLOOR: RangeInclusive<Balance> = CRN..=10_000 * CRN;
/// Between a day and 90.
pub const CREATION_PRICE_DECAY: RangeInclusive<BlockNumber> = DAY..=90 * DAY;
/// Between an hour and a week.
pub const HYPERPARAMETERS_RATE_LIMIT: RangeInclusive<BlockNumber> = 600..=7 * DAY;
/// Between a block and ten minutes.
pub const SCORES_RATE_LIMIT: RangeInclusive<BlockNumber> = 1..=100;

impl Rule {
    /// Whether it is within its limits.
    pub fn is_allowed(&self) -> bool {
        match self {
            Rule::CreationPriceFloor(price) => CREATION_PRICE_FLOOR.contains(price),
            Rule::CreationPriceDecay(blocks) => CREATION_PRICE_DECAY.contains(blocks),
            Rule::HyperparametersRateLimit(blocks) => HYPERPARAMETERS_RATE_LIMIT.contains(blocks),
            Rule::ScoresRateLimit(blocks) => SCORES_RATE_LIMIT.contains(blocks),
        }
    }
}

impl Rules {
    /// Sets one.
    pub fn set(&mut self, rule: Rule) {
        match rule {
            Rule::CreationPriceFloor(price) => self.creation_price_floor = price,
            Rule::CreationPriceDecay(blocks) => self.creation_price_decay = blocks,
            Rule::HyperparametersRateLimit(blocks) => self.hyperparameters_rate_limit = blocks,
            Rule::ScoresRateLimit(blocks) => self.scores_rate_limit = blocks,
        }
    }

    /// Each of them.
    pub fn each(&self) -> [Rule; 4] {
        [
            Rule::CreationPriceFloor(self.creation_price_floor),
            Rule::CreationPriceDecay(self.creation_price_decay),
            Rule::HyperparametersRateLimit(self.hyperparameters_rate_limit),
            Rule::ScoresRateLimit(self.scores_rate_limit),
        ]
    }

    /// Whether all are within their limits.
    pub fn are_allowed(&self) -> bool {
        self.each().iter().all(Rule::is_allowed)
    }
}

/// The least price of a subnet, for the pallet that asks for it.
pub struct CreationPriceFloor;

impl Get<Balance> for CreationPriceFloor {
    fn get() -> Balance {
        CurrentRules::<Runtime>::get().creation_price_floor
    }
}

/// How fast that price falls.
pub struct CreationPriceDecay;

impl Get<BlockNumber> for CreationPriceDecay {
    fn get() -> BlockNumber {
        CurrentRules::<Runtime>::get().creation_price_decay
    }
}

/// How often an owner may change its subnet.
pub struct HyperparametersRateLimit;

impl Get<BlockNumber> for HyperparametersRateLimit {
    fn get() -> BlockNumber {
        CurrentRules::<Runtime>::get().hyperparameters_rate_limit
    }
}

/// How often a validator may score.
pub struct ScoresRateLimit;

impl Get<BlockNumber> for ScoresRateLimit {
    fn get() -> BlockNumber {
        CurrentRules::<Runtime>::get().scores_rate_limit
    }
}
