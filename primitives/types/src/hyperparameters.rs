//! What a subnet's owner may set.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

use crate::{Balance, BlockNumber, Nano, CRN};

/// A subnet's hyperparameters, set as one value by its owner.
#[derive(
    Clone,
    Debug,
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
#[serde(deny_unknown_fields)]
pub struct Hyperparameters {
    /// Blocks between two epochs.
    pub tempo: BlockNumber,
    /// The most members; at most [`crate::MAX_MEMBERS`].
    pub max_members: u16,
    /// The most validators that vote in an epoch; at most [`crate::MAX_VALIDATORS`].
    pub max_validators: u16,
    /// Blocks during which a new member cannot be replaced.
    pub immunity_period: BlockNumber,
    /// Blocks after which a validator that set no scores no longer counts.
    pub activity_cutoff: BlockNumber,
    /// Share of stake that must support a score, of 65,535.
    pub kappa: u16,
    /// Share of the old bond that an epoch keeps, of 1,000,000.
    pub bonds_moving_average: u32,
    /// How far bonds follow clipped scores, of 65,535.
    pub bonds_penalty: u16,
    /// How bonds are kept, and what they pay.
    pub bonds_rule: BondsRule,
    /// Whether each bond moves at a rate of its own, the faster the further its validator stands from
    /// consensus, instead of keeping `bonds_moving_average`.
    pub liquid_alpha: bool,
    /// The slowest of these rates, of 65,535.
    pub liquid_alpha_low: u16,
    /// The fastest of these rates, of 65,535.
    pub liquid_alpha_high: u16,
    /// How sharply these rates change about the middle, in hundredths.
    pub liquid_alpha_steepness: u16,
    /// Whether scores are set by commit and reveal, so that nobody can copy them, rather than in the open.
    pub commit_reveal: bool,
    /// Least stake on a hotkey for it to validate.
    #[serde(with = "crate::api::pebble")]
    pub min_validator_stake: Balance,
    /// Least bond of a hotkey for it to be assigned data.
    #[serde(with = "crate::api::pebble")]
    pub min_miner_bond: Balance,
    /// Blocks that a bond stays locked after its owner asked for it.
    pub unbonding_period: BlockNumber,
    /// Lowest price of a uid.
    #[serde(with = "crate::api::pebble")]
    pub min_registration_price: Balance,
    /// Highest price of a uid.
    #[serde(with = "crate::api::pebble")]
    pub max_registration_price: Balance,
    /// Blocks in which the price of a uid falls by half.
    pub registration_half_life: BlockNumber,
    /// By how much a sale multiplies the price of a uid.
    pub registration_price_factor: Nano,
}

/// How an epoch keeps the bonds of validators in miners, and what they pay.
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
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum BondsRule {
    /// A bond is a share in a miner, bought with stake times score.
    Yuma2,
    /// A bond is the average of a score; stake counts when dividends are drawn.
    Yuma3,
}

impl Default for Hyperparameters {
    fn default() -> Self {
        Hyperparameters {
            tempo: 360,
            max_members: 256,
            max_validators: 64,
            immunity_period: 5_000,
            activity_cutoff: 720,
            kappa: 32_767,
            bonds_moving_average: 900_000,
            bonds_penalty: 65_535,
            bonds_rule: BondsRule::Yuma3,
            liquid_alpha: false,
            liquid_alpha_low: 45_875,
            liquid_alpha_high: 58_982,
            liquid_alpha_steepness: 1_000,
            commit_reveal: true,
            min_validator_stake: 100 * CRN,
            min_miner_bond: 10 * CRN,
            unbonding_period: 7_200,
            min_registration_price: CRN / 1_000,
            max_registration_price: 100 * CRN,
            registration_half_life: 360,
            registration_price_factor: Nano(1_260_000_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_json_an_amount_is_a_string_and_a_number_is_read_as_well() {
        let json = serde_json::to_value(Hyperparameters::default()).expect("plain data");
        for name in [
            "min_validator_stake",
            "min_miner_bond",
            "min_registration_price",
            "max_registration_price",
        ] {
            assert!(json[name].is_string(), "{name}: {}", json[name]);
        }
        assert_eq!(json["min_miner_bond"], "10000000000");
        let mut changed = json.clone();
        changed["min_miner_bond"] = 5.into();
        let read: Hyperparameters = serde_json::from_value(changed).expect("a number is read");
        assert_eq!(read.min_miner_bond, 5);
        let read: Hyperparameters = serde_json::from_value(json).expect("its own");
        assert_eq!(read, Hyperparameters::default());
    }
}
