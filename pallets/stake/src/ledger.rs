//! Moves between accounts, stakes and bonds. Each keeps the totals equal to the sums.

use cairn_primitives::{
    traits::{Ledgers, Membership, OnMember, Stakes},
    Balance, BlockNumber, Netuid, Uid,
};
use frame_support::{
    defensive, ensure,
    traits::{
        fungible::Mutate,
        tokens::{Fortitude, Precision, Preservation},
        Get,
    },
};
use frame_system::{ensure_signed, pallet_prelude::OriginFor};
use sp_runtime::{traits::UniqueSaturatedInto, ArithmeticError, DispatchError, DispatchResult};

use crate::{
    pallet::{
        Bonds, Config, Error, Event, Pallet, StakeOn, SubnetBonds, SubnetStake, TotalBonded,
        TotalStaked,
    },
    Bond,
};

/// What anyone may ask, besides [`Stakes`] and [`Ledgers`].
impl<T: Config> Pallet<T> {
    /// The bonds of a subnet that count, in pebble.
    pub fn subnet_bonds(netuid: Netuid) -> Balance {
        SubnetBonds::<T>::get(netuid)
    }

    /// The bond of a hotkey: what counts, what is being withdrawn, and when it is released.
    pub fn bond_of(netuid: Netuid, hotkey: &T::AccountId) -> Bond {
        Bonds::<T>::get(netuid, hotkey)
    }

    /// The current block. Cairn counts blocks in 32 bits: enough for 816 years of 6 s.
    pub(crate) fn now() -> BlockNumber {
        frame_system::Pallet::<T>::block_number().unique_saturated_into()
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

    /// Whether `amount` may be staked or bonded on a hotkey.
    pub(crate) fn ensure_can_add(
        netuid: Netuid,
        hotkey: &T::AccountId,
        amount: Balance,
    ) -> DispatchResult {
        ensure!(
            T::Members::uid(netuid, hotkey).is_some(),
            Error::<T>::NotMember
        );
        ensure!(
            amount >= T::MinimumAmount::get().max(1),
            Error::<T>::AmountTooSmall
        );
        Ok(())
    }

    /// What can be withdrawn of a hotkey's bond.
    pub(crate) fn releasable(
        netuid: Netuid,
        hotkey: &T::AccountId,
    ) -> Result<Balance, DispatchError> {
        let bond = Bonds::<T>::get(netuid, hotkey);
        ensure!(bond.unbonding > 0, Error::<T>::NothingUnbonding);
        ensure!(Self::now() >= bond.release_at, Error::<T>::BondLocked);
        Ok(bond.unbonding)
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

/// The ledgers.
impl<T: Config> Pallet<T> {
    /// Enters stake. The caller has taken it from an account or a pot.
    pub(crate) fn increase_stake(
        netuid: Netuid,
        hotkey: &T::AccountId,
        amount: Balance,
    ) -> DispatchResult {
        let stake = plus(StakeOn::<T>::get(netuid, hotkey), amount)?;
        let subnet = plus(SubnetStake::<T>::get(netuid), amount)?;
        let total = plus(TotalStaked::<T>::get(), amount)?;
        StakeOn::<T>::insert(netuid, hotkey, stake);
        SubnetStake::<T>::insert(netuid, subnet);
        TotalStaked::<T>::put(total);
        Ok(())
    }

    /// Strikes stake out. The caller gives it to an account.
    pub(crate) fn decrease_stake(
        netuid: Netuid,
        hotkey: &T::AccountId,
        amount: Balance,
    ) -> DispatchResult {
        let stake = minus(StakeOn::<T>::get(netuid, hotkey), amount)?;
        let subnet = minus(SubnetStake::<T>::get(netuid), amount)?;
        let total = minus(TotalStaked::<T>::get(), amount)?;
        if stake == 0 {
            StakeOn::<T>::remove(netuid, hotkey);
        } else {
            StakeOn::<T>::insert(netuid, hotkey, stake);
        }
        SubnetStake::<T>::insert(netuid, subnet);
        TotalStaked::<T>::put(total);
        Ok(())
    }

    /// Enters a bond that counts. The caller has taken it from an account.
    pub(crate) fn increase_bond(
        netuid: Netuid,
        hotkey: &T::AccountId,
        amount: Balance,
    ) -> DispatchResult {
        let mut bond = Bonds::<T>::get(netuid, hotkey);
        bond.active = plus(bond.active, amount)?;
        let subnet = plus(SubnetBonds::<T>::get(netuid), amount)?;
        let total = plus(TotalBonded::<T>::get(), amount)?;
        Bonds::<T>::insert(netuid, hotkey, bond);
        SubnetBonds::<T>::insert(netuid, subnet);
        TotalBonded::<T>::put(total);
        Ok(())
    }

    /// Makes the whole bond of a hotkey stop counting and sets the block of its release.
    pub(crate) fn start_unbonding(netuid: Netuid, hotkey: &T::AccountId) -> DispatchResult {
        let mut bond = Bonds::<T>::get(netuid, hotkey);
        let amount = bond.active;
        ensure!(amount > 0, Error::<T>::NothingBonded);
        let h = T::Members::hyperparameters(netuid).ok_or(Error::<T>::UnknownSubnet)?;
        let release_at = Self::now()
            .checked_add(h.unbonding_period)
            .ok_or(ArithmeticError::Overflow)?;
        bond.active = 0;
        bond.unbonding = plus(bond.unbonding, amount)?;
        // The period may have been made shorter since the first part was asked for.
        bond.release_at = bond.release_at.max(release_at);
        let subnet = minus(SubnetBonds::<T>::get(netuid), amount)?;
        Bonds::<T>::insert(netuid, hotkey, bond);
        SubnetBonds::<T>::insert(netuid, subnet);
        Self::deposit_event(Event::Unbonding {
            netuid,
            hotkey: hotkey.clone(),
            amount,
            release_at: bond.release_at,
        });
        Ok(())
    }

    /// Strikes out what was unbonding. The caller gives it to an account.
    pub(crate) fn release_bond(netuid: Netuid, hotkey: &T::AccountId) -> DispatchResult {
        let bond = Bonds::<T>::get(netuid, hotkey);
        let total = minus(TotalBonded::<T>::get(), bond.unbonding)?;
        if bond.active == 0 {
            Bonds::<T>::remove(netuid, hotkey);
        } else {
            Bonds::<T>::insert(
                netuid,
                hotkey,
                Bond {
                    active: bond.active,
                    ..Bond::default()
                },
            );
        }
        TotalBonded::<T>::put(total);
        Ok(())
    }
}

/// The sum, or an error.
fn plus(a: Balance, b: Balance) -> Result<Balance, ArithmeticError> {
    a.checked_add(b).ok_or(ArithmeticError::Overflow)
}

/// The difference, or an error.
fn minus(a: Balance, b: Balance) -> Result<Balance, ArithmeticError> {
    a.checked_sub(b).ok_or(ArithmeticError::Underflow)
}

impl<T: Config> Stakes<T::AccountId> for Pallet<T> {
    fn stake(netuid: Netuid, hotkey: &T::AccountId) -> Balance {
        StakeOn::<T>::get(netuid, hotkey)
    }

    fn subnet_stake(netuid: Netuid) -> Balance {
        SubnetStake::<T>::get(netuid)
    }

    fn bond(netuid: Netuid, hotkey: &T::AccountId) -> Balance {
        Bonds::<T>::get(netuid, hotkey).active
    }

    /// Errors: [`Error::UnknownHotkey`] for a hotkey without a coldkey, since nobody could ever take such stake
    /// back.
    fn reward(netuid: Netuid, hotkey: &T::AccountId, amount: Balance) -> Result<(), DispatchError> {
        if amount == 0 {
            return Ok(());
        }
        ensure!(
            T::Members::coldkey(hotkey).is_some(),
            Error::<T>::UnknownHotkey
        );
        Self::increase_stake(netuid, hotkey, amount)
    }
}

impl<T: Config> Ledgers for Pallet<T> {
    fn total_staked() -> Balance {
        TotalStaked::<T>::get()
    }

    fn total_unbonding() -> Balance {
        0
    }

    fn total_bonded() -> Balance {
        TotalBonded::<T>::get()
    }
}

/// A hotkey that lost its seat does not mine: its bond is on its way back.
impl<T: Config> OnMember<T::AccountId> for Pallet<T> {
    fn on_left(netuid: Netuid, _uid: Uid, hotkey: &T::AccountId) {
        if Bonds::<T>::get(netuid, hotkey).active == 0 {
            return;
        }
        if let Err(error) = Self::start_unbonding(netuid, hotkey) {
            defensive!(
                "the bond of a member that left could not be released",
                error
            );
        }
    }
}
