//! Between what limits a subnet's owner may set its hyperparameters: those of [`cairn_primitives::limits`], and the
//! chain's audit window.

use cairn_primitives::{Group, Hyperparameters};

use crate::pallet::{AuditWindow, Config, Error};

/// Whether all hyperparameters are within their limits; an error for each group of them.
pub fn check<T: Config>(h: &Hyperparameters) -> Result<(), Error<T>> {
    h.check(AuditWindow::<T>::get())
        .map_err(|fault| match fault.group {
            Group::Tempo => Error::TempoOutOfRange,
            Group::Seats => Error::SeatsOutOfRange,
            Group::Period => Error::PeriodOutOfRange,
            Group::Unbonding => Error::UnbondingTooShort,
            Group::Consensus => Error::ConsensusOutOfRange,
            Group::Stake => Error::StakeOutOfRange,
            Group::Price => Error::PriceOutOfRange,
        })
}
