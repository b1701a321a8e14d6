//! Punishment: the bond pays first, then all who stake on the hotkey in proportion.

use cairn_primitives::{
    traits::{OnBurned, Slashing},
    Balance, Netuid,
};
use frame_support::{
    defensive,
    storage::with_storage_layer,
    traits::{fungible::Mutate, Get},
};
use sp_runtime::DispatchError;

use crate::{
    ledger::{minus, plus, Pools},
    pallet::{Bonds, Config, Event, Pallet, Voided},
    types::Bond,
};

impl<T: Config> Slashing<T::AccountId> for Pallet<T> {
    /// The reporter's share is rounded down, and burned with the rest if there is no reporter or if it is too
    /// little to open the reporter's account. Event: [`Event::Slashed`], if anything was taken.
    fn slash(
        netuid: Netuid,
        hotkey: &T::AccountId,
        amount: Balance,
        reporter: Option<&T::AccountId>,
    ) -> Balance {
        Self::in_whole(|| {
            let bond = Self::take_bond(netuid, hotkey, amount)?;
            let stake = Self::slash_stake(netuid, hotkey, minus(amount, bond)?)?;
            let reporters = reporter.map(core::slice::from_ref);
            Self::share_out(netuid, hotkey, (bond, stake), reporters.unwrap_or_default())
        })
    }

    /// As [`Slashing::slash`]; what does not divide among the reporters is burned.
    fn slash_bond(netuid: Netuid, hotkey: &T::AccountId, reporters: &[T::AccountId]) -> Balance {
        Self::in_whole(|| {
            let bond = Self::take_bond(netuid, hotkey, Balance::MAX)?;
            Self::share_out(netuid, hotkey, (bond, 0), reporters)
        })
    }
}

impl<T: Config> Pallet<T> {
    /// A slash, or nothing of it; what it took.
    fn in_whole(slash: impl FnOnce() -> Result<Balance, DispatchError>) -> Balance {
        with_storage_layer(slash).unwrap_or_else(|error| {
            defensive!("a slash does not fit the ledgers", error);
            0
        })
    }

    /// Gives the reporters their share of what was taken of bond and stake, and burns the rest.
    fn share_out(
        netuid: Netuid,
        hotkey: &T::AccountId,
        (bond, stake): (Balance, Balance),
        reporters: &[T::AccountId],
    ) -> Result<Balance, DispatchError> {
        let taken = plus(bond, stake)?;
        if taken == 0 {
            return Ok(0);
        }
        let share = T::ReporterShare::get().mul_floor(taken);
        let count = Balance::try_from(reporters.len()).unwrap_or(Balance::MAX);
        let each = share.checked_div(count).unwrap_or(0);
        let mut rewarded = 0;
        for reporter in reporters {
            if T::Currency::mint_into(reporter, each).is_ok() {
                rewarded = plus(rewarded, each)?;
            }
        }
        T::OnBurned::on_burned(minus(taken, rewarded)?);
        Self::deposit_event(Event::Slashed {
            netuid,
            hotkey: hotkey.clone(),
            bond,
            stake,
            rewarded,
        });
        Ok(taken)
    }

    /// Takes from a bond: from what counts first, then from what is being withdrawn.
    fn take_bond(
        netuid: Netuid,
        hotkey: &T::AccountId,
        amount: Balance,
    ) -> Result<Balance, DispatchError> {
        let bond = Bonds::<T>::get(netuid, hotkey);
        let active = bond.active.min(amount);
        let unbonding = bond.unbonding.min(minus(amount, active)?);
        let taken = plus(active, unbonding)?;
        if taken == 0 {
            return Ok(0);
        }
        let left = minus(bond.unbonding, unbonding)?;
        let rest = Bond {
            active: minus(bond.active, active)?,
            unbonding: left,
            release_at: if left > 0 { bond.release_at } else { 0 },
        };
        Self::save_bond(netuid, hotkey, rest)?;
        Ok(taken)
    }

    /// Takes from the stake on a hotkey, in proportion from what counts and from what is being withdrawn.
    fn slash_stake(
        netuid: Netuid,
        hotkey: &T::AccountId,
        amount: Balance,
    ) -> Result<Balance, DispatchError> {
        let mut pools = Pools::load::<T>(netuid, hotkey);
        let (staked, unbonding) = (pools.staked.value(), pools.unbonding.value());
        let all = plus(staked, unbonding)?;
        let taken = amount.min(all);
        if taken == 0 {
            return Ok(0);
        }
        let from_unbonding = u128::from(taken)
            .checked_mul(unbonding.into())
            .and_then(|product| product.checked_div(all.into()))
            .and_then(|part| Balance::try_from(part).ok())
            .unwrap_or_default();
        // Rounded up, what counts still holds it: of both together no more is taken than there is.
        let from_staked = minus(taken, from_unbonding)?.min(staked);
        let from_unbonding = minus(taken, from_staked)?;
        let taken = plus(
            pools.staked.slash(from_staked),
            pools.unbonding.slash(from_unbonding),
        )?;
        let voided = (staked > 0 && pools.staked.is_empty())
            || (unbonding > 0 && pools.unbonding.is_empty());
        pools.save::<T>(netuid, hotkey)?;
        if voided {
            Voided::<T>::insert(netuid, hotkey, None::<T::AccountId>);
        }
        Ok(taken)
    }
}
