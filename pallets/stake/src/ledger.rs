//! Pools, positions and totals: whatever changes a pool changes the totals with it.

use cairn_primitives::{traits::Membership, Balance, BlockNumber, Netuid};
use frame_support::{
    ensure,
    traits::{
        fungible::Mutate,
        tokens::{Fortitude, Precision, Preservation},
        Get,
    },
};
use frame_system::{ensure_signed, pallet_prelude::OriginFor};
use share_pool::Pool;
use sp_runtime::{traits::UniqueSaturatedInto, ArithmeticError, DispatchError, DispatchResult};

use crate::{
    pallet::{
        Backers, Config, Error, Pallet, Positions, StakePools, SubnetStake, TotalStaked,
        TotalUnbonding, UnbondingPools,
    },
    types::Position,
};

/// The two pools behind a hotkey, as they were read. Nothing is written before [`Pools::save`].
pub(crate) struct Pools {
    /// Stake that counts.
    pub staked: Pool,
    /// Stake that is being withdrawn.
    pub unbonding: Pool,
    before: (Pool, Pool),
}

impl Pools {
    /// Reads the pools of a hotkey.
    pub(crate) fn load<T: Config>(netuid: Netuid, hotkey: &T::AccountId) -> Pools {
        let staked = StakePools::<T>::get(netuid, hotkey);
        let unbonding = UnbondingPools::<T>::get(netuid, hotkey);
        Pools {
            staked,
            unbonding,
            before: (staked, unbonding),
        }
    }

    /// Writes the pools that have changed, and the totals by as much.
    pub(crate) fn save<T: Config>(self, netuid: Netuid, hotkey: &T::AccountId) -> DispatchResult {
        let (staked, unbonding) = self.before;
        if self.staked != staked {
            let moved = |sum| moved(sum, staked.value(), self.staked.value());
            let subnet = moved(SubnetStake::<T>::get(netuid))?;
            let total = moved(TotalStaked::<T>::get())?;
            SubnetStake::<T>::insert(netuid, subnet);
            TotalStaked::<T>::put(total);
            if self.staked.is_new() {
                StakePools::<T>::remove(netuid, hotkey);
            } else {
                StakePools::<T>::insert(netuid, hotkey, self.staked);
            }
        }
        if self.unbonding != unbonding {
            let total = TotalUnbonding::<T>::get();
            TotalUnbonding::<T>::put(moved(total, unbonding.value(), self.unbonding.value())?);
            if self.unbonding.is_new() {
                UnbondingPools::<T>::remove(netuid, hotkey);
            } else {
                UnbondingPools::<T>::insert(netuid, hotkey, self.unbonding);
            }
        }
        Ok(())
    }
}

/// A sum of which one part was `before` and is `after`.
fn moved(sum: Balance, before: Balance, after: Balance) -> Result<Balance, ArithmeticError> {
    plus(minus(sum, before)?, after)
}

/// The sum, or an error.
pub(crate) fn plus(a: Balance, b: Balance) -> Result<Balance, ArithmeticError> {
    a.checked_add(b).ok_or(ArithmeticError::Overflow)
}

/// The difference, or an error.
pub(crate) fn minus(a: Balance, b: Balance) -> Result<Balance, ArithmeticError> {
    a.checked_sub(b).ok_or(ArithmeticError::Underflow)
}

impl<T> From<share_pool::Error> for Error<T> {
    fn from(error: share_pool::Error) -> Self {
        use share_pool::Error as Pool;
        match error {
            Pool::Nothing => Error::AmountIsZero,
            Pool::NotEnough | Pool::NoShares => Error::NotEnoughStake,
            Pool::LessThanAShare => Error::LessThanAShare,
            Pool::Overflow => Error::PoolOutOfRange,
        }
    }
}

impl<T: Config> Pallet<T> {
    /// The current block. Cairn counts blocks in 32 bits: enough for 816 years of 6 s.
    pub(crate) fn now() -> BlockNumber {
        frame_system::Pallet::<T>::block_number().unique_saturated_into()
    }

    /// The block at which what is asked back now is released.
    pub(crate) fn release_at(netuid: Netuid) -> Result<BlockNumber, DispatchError> {
        let h = T::Members::hyperparameters(netuid).ok_or(Error::<T>::UnknownSubnet)?;
        Self::now()
            .checked_add(h.unbonding_period)
            .ok_or_else(|| ArithmeticError::Overflow.into())
    }

    /// Writes a position; one in which nothing is left goes.
    pub(crate) fn save_position(
        coldkey: &T::AccountId,
        netuid: Netuid,
        hotkey: &T::AccountId,
        position: Position<T::AccountId>,
    ) {
        if position.is_empty() {
            Positions::<T>::remove((coldkey, netuid, hotkey));
            Backers::<T>::remove((netuid, hotkey, coldkey));
        } else {
            Positions::<T>::insert((coldkey, netuid, hotkey), position);
            Backers::<T>::insert((netuid, hotkey, coldkey), ());
        }
    }
}

/// Who may do what.
impl<T: Config> Pallet<T> {
    /// The signer, if the hotkey is its own.
    pub(crate) fn ensure_coldkey(
        origin: OriginFor<T>,
        hotkey: &T::AccountId,
    ) -> Result<T::AccountId, DispatchError> {
        let who = ensure_signed(origin)?;
        let coldkey = T::Members::coldkey(hotkey).ok_or(Error::<T>::UnknownHotkey)?;
        ensure!(coldkey == who, Error::<T>::NotHotkeysColdkey);
        Ok(who)
    }

    /// Whether there is such a subnet, and it goes on.
    pub(crate) fn ensure_open(netuid: Netuid) -> DispatchResult {
        ensure!(
            T::Members::owner(netuid).is_some(),
            Error::<T>::UnknownSubnet
        );
        ensure!(
            !T::Members::is_dissolving(netuid),
            Error::<T>::SubnetDissolving
        );
        Ok(())
    }

    /// Whether a hotkey may be staked or bonded on.
    pub(crate) fn ensure_takes_stake(netuid: Netuid, hotkey: &T::AccountId) -> DispatchResult {
        Self::ensure_open(netuid)?;
        ensure!(
            T::Members::uid(netuid, hotkey).is_some(),
            Error::<T>::NotMember
        );
        Ok(())
    }

    /// Whether a coldkey may stake on a hotkey: its own always may.
    pub(crate) fn ensure_takes_stake_of(
        coldkey: &T::AccountId,
        hotkey: &T::AccountId,
    ) -> DispatchResult {
        ensure!(
            Self::takes_foreign_stake(hotkey)
                || T::Members::coldkey(hotkey).as_ref() == Some(coldkey),
            Error::<T>::ForeignStakeRefused
        );
        Ok(())
    }

    /// Whether `amount` may be staked or bonded on a hotkey.
    pub(crate) fn ensure_can_add(
        netuid: Netuid,
        hotkey: &T::AccountId,
        amount: Balance,
    ) -> DispatchResult {
        Self::ensure_takes_stake(netuid, hotkey)?;
        ensure!(amount > 0, Error::<T>::AmountIsZero);
        ensure!(
            amount >= T::MinimumAmount::get(),
            Error::<T>::AmountTooSmall
        );
        Ok(())
    }
}

/// Between accounts and this pallet's ledgers.
impl<T: Config> Pallet<T> {
    /// Takes tokens out of an account; the caller enters them in a ledger. They are not destroyed, so nobody is
    /// told that they were burned.
    pub(crate) fn take_from_account(who: &T::AccountId, amount: Balance) -> DispatchResult {
        T::Currency::burn_from(
            who,
            amount,
            Preservation::Preserve,
            Precision::Exact,
            Fortitude::Polite,
        )?;
        Ok(())
    }

    /// Puts tokens, which the caller takes out of a ledger, into an account.
    pub(crate) fn return_to_account(who: &T::AccountId, amount: Balance) -> DispatchResult {
        T::Currency::mint_into(who, amount)?;
        Ok(())
    }
}
