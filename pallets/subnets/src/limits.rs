//! Between what limits a subnet's owner may set its hyperparameters.
//!
//! The limits keep a subnet's work per block bounded, its prices above zero and every period short enough to
//! end within a year; they judge no policy. `bonds_penalty` may be anything.

use cairn_primitives::{
    Balance, BlockNumber, Hyperparameters, Nano, CRN, MAX_MEMBERS, MAX_VALIDATORS,
};
use core::ops::RangeInclusive;
use frame_support::ensure;

use crate::pallet::{AuditWindow, Config, Error};

/// Blocks between two epochs.
pub const TEMPO: RangeInclusive<BlockNumber> = 5..=50_400;
/// Longest immunity, activity cutoff, unbonding and half-life: a year of blocks of 6 s.
pub const MAX_PERIOD: BlockNumber = 5_256_000;
/// Largest stake or bond that can be asked for, and highest price: all that will ever be issued.
pub const MAX_AMOUNT: Balance = 21_000_000 * CRN;
/// Lowest price of a seat, in pebble: below it, rounding would keep a sale from raising the price.
pub const MIN_PRICE: Balance = 1_000;
/// By how much a sale may multiply the price of a seat.
pub const PRICE_FACTOR: RangeInclusive<Nano> = Nano(1_000_000_000)..=Nano(10_000_000_000);
/// Largest `bonds_moving_average`: a bond that never changes.
pub const MAX_BONDS_MOVING_AVERAGE: u32 = 1_000_000;

/// Whether all hyperparameters are within their limits; an error for each group of them.
pub fn check<T: Config>(h: &Hyperparameters) -> Result<(), Error<T>> {
    ensure!(TEMPO.contains(&h.tempo), Error::<T>::TempoOutOfRange);
    ensure!(seats_fit(h), Error::<T>::SeatsOutOfRange);
    ensure!(periods_fit(h), Error::<T>::PeriodOutOfRange);
    ensure!(
        h.unbonding_period >= h.tempo.max(AuditWindow::<T>::get()),
        Error::<T>::UnbondingTooShort
    );
    ensure!(consensus_fits(h), Error::<T>::ConsensusOutOfRange);
    ensure!(stakes_fit(h), Error::<T>::StakeOutOfRange);
    ensure!(prices_fit(h), Error::<T>::PriceOutOfRange);
    Ok(())
}

/// At least one seat, at least one validator, no more validators than seats.
fn seats_fit(h: &Hyperparameters) -> bool {
    (1..=MAX_MEMBERS).contains(&h.max_members.into())
        && (1..=MAX_VALIDATORS).contains(&h.max_validators.into())
        && h.max_validators <= h.max_members
}

/// Immunity may be none; the others last at least a block.
fn periods_fit(h: &Hyperparameters) -> bool {
    h.immunity_period <= MAX_PERIOD
        && (1..=MAX_PERIOD).contains(&h.activity_cutoff)
        && (1..=MAX_PERIOD).contains(&h.unbonding_period)
}

/// With a kappa of zero any single validator would be the consensus; rates lie between their ends.
fn consensus_fits(h: &Hyperparameters) -> bool {
    h.kappa >= 1
        && h.bonds_moving_average <= MAX_BONDS_MOVING_AVERAGE
        && h.liquid_alpha_low <= h.liquid_alpha_high
}

/// Nobody validates with nothing at stake; a miner's bond may be waived.
fn stakes_fit(h: &Hyperparameters) -> bool {
    (1..=MAX_AMOUNT).contains(&h.min_validator_stake) && h.min_miner_bond <= MAX_AMOUNT
}

/// The price has room between its ends and can move.
fn prices_fit(h: &Hyperparameters) -> bool {
    (MIN_PRICE..=h.max_registration_price).contains(&h.min_registration_price)
        && h.max_registration_price <= MAX_AMOUNT
        && (1..=MAX_PERIOD).contains(&h.registration_half_life)
        && PRICE_FACTOR.contains(&h.registration_price_factor)
}
