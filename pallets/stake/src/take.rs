//! Dividends: the take of the hotkey's coldkey, and what all its stakers share.

use cairn_primitives::{traits::Membership, Balance, BlockNumber, Netuid};
use frame_support::{ensure, traits::Get};
use share_pool::Error as PoolError;
use sp_runtime::DispatchResult;

use crate::{
    ledger::{minus, Pools},
    pallet::{Config, Error, Event, Pallet, Positions, Takes},
    types::Take,
};

/// What takes are parts of.
const WHOLE: u16 = u16::MAX;

impl<T: Config> Pallet<T> {
    /// The share of its dividends that a hotkey's coldkey takes, of 65,535.
    pub fn take_of(hotkey: &T::AccountId) -> u16 {
        // The cap may have been lowered since it was set.
        let most = T::MaxTake::get();
        Takes::<T>::get(hotkey).map_or(most, |take| take.share.min(most))
    }

    /// The block from which on a hotkey's take can be raised; `None` if it can be now.
    pub fn take_can_rise_from(hotkey: &T::AccountId) -> Option<BlockNumber> {
        let set_at = Takes::<T>::get(hotkey)?.set_at;
        let from = set_at.saturating_add(T::TakeInterval::get());
        (Self::now() < from).then_some(from)
    }

    /// The highest take that a hotkey's coldkey can set now: one step up, or what it is, or less.
    pub fn highest_take_now(hotkey: &T::AccountId) -> u16 {
        let current = Self::take_of(hotkey);
        match Self::take_can_rise_from(hotkey) {
            Some(_) => current,
            None => current
                .saturating_add(T::TakeStep::get())
                .min(T::MaxTake::get()),
        }
    }

    /// Sets a take, if it may be set now.
    pub(crate) fn change_take(hotkey: &T::AccountId, share: u16) -> DispatchResult {
        ensure!(share <= T::MaxTake::get(), Error::<T>::TakeTooHigh);
        let now = Self::now();
        let current = Self::take_of(hotkey);
        ensure!(share != current, Error::<T>::TakeUnchanged);
        if let Some(step) = share.checked_sub(current) {
            ensure!(step <= T::TakeStep::get(), Error::<T>::TakeStepTooLarge);
            ensure!(
                Self::take_can_rise_from(hotkey).is_none(),
                Error::<T>::TakeRaisedTooSoon
            );
        }
        Takes::<T>::insert(hotkey, Take { share, set_at: now });
        Ok(())
    }

    /// Adds a dividend to a hotkey's pool. The caller takes it from a pot.
    pub(crate) fn add_dividend(
        netuid: Netuid,
        hotkey: &T::AccountId,
        amount: Balance,
    ) -> DispatchResult {
        let coldkey = T::Members::coldkey(hotkey).ok_or(Error::<T>::UnknownHotkey)?;
        let mut pools = Pools::load::<T>(netuid, hotkey);
        let pool = &mut pools.staked;
        let taken = match pool.is_empty() {
            // Nobody stands behind it: its coldkey is the one who earned it.
            true => amount,
            false => part(amount, Self::take_of(hotkey)),
        };
        let shared = minus(amount, taken)?;
        if shared > 0 {
            pool.reward(shared).map_err(Error::<T>::from)?;
        }
        if taken > 0 {
            let mut position = Positions::<T>::get((&coldkey, netuid, hotkey));
            let paid = match pool.deposit(&mut position.staked, taken) {
                Ok(paid) => paid,
                // Too little for a share, or a pool that takes no more: everybody shares it.
                Err(PoolError::LessThanAShare | PoolError::Overflow) => 0,
                Err(error) => return Err(Error::<T>::from(error).into()),
            };
            let rest = minus(taken, paid)?;
            if rest > 0 {
                pool.reward(rest).map_err(Error::<T>::from)?;
            }
            if paid > 0 {
                Self::save_position(&coldkey, netuid, hotkey, position);
                Self::deposit_event(Event::TakePaid {
                    coldkey,
                    netuid,
                    hotkey: hotkey.clone(),
                    amount: paid,
                });
            }
        }
        pools.save::<T>(netuid, hotkey)
    }
}

/// A share of an amount, rounded down.
fn part(amount: Balance, share: u16) -> Balance {
    u128::from(amount)
        .checked_mul(share.into()) // Below 2⁸⁰.
        .and_then(|product| product.checked_div(WHOLE.into()))
        .and_then(|part| Balance::try_from(part).ok())
        .unwrap_or_default()
}
