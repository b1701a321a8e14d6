//! Miners' bonds.

use cairn_primitives::{traits::OnMember, Balance, Netuid, Uid};
use frame_support::{defensive, ensure};
use sp_runtime::{DispatchError, DispatchResult};

use crate::{
    ledger::{minus, plus},
    pallet::{Bonds, Config, Error, Event, Pallet, SubnetBonds, TotalBonded},
    types::Bond,
};

impl<T: Config> Pallet<T> {
    /// Enters a bond that counts. The caller has taken it from an account.
    pub(crate) fn increase_bond(
        netuid: Netuid,
        hotkey: &T::AccountId,
        amount: Balance,
    ) -> DispatchResult {
        let mut bond = Bonds::<T>::get(netuid, hotkey);
        bond.active = plus(bond.active, amount)?;
        Self::save_bond(netuid, hotkey, bond)
    }

    /// Makes the whole bond of a hotkey stop counting and sets the block of its release.
    pub(crate) fn start_unbonding(netuid: Netuid, hotkey: &T::AccountId) -> DispatchResult {
        let mut bond = Bonds::<T>::get(netuid, hotkey);
        let amount = bond.active;
        ensure!(amount > 0, Error::<T>::NothingBonded);
        let release_at = Self::release_at(netuid)?;
        bond.active = 0;
        bond.unbonding = plus(bond.unbonding, amount)?;
        // The period may have been made shorter since the first part was asked for.
        bond.release_at = bond.release_at.max(release_at);
        Self::save_bond(netuid, hotkey, bond)?;
        Self::deposit_event(Event::Unbonding {
            netuid,
            hotkey: hotkey.clone(),
            amount,
            release_at: bond.release_at,
        });
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

    /// Strikes out what was unbonding. The caller gives it to an account.
    pub(crate) fn release_bond(netuid: Netuid, hotkey: &T::AccountId) -> DispatchResult {
        let bond = Bonds::<T>::get(netuid, hotkey);
        let rest = Bond {
            active: bond.active,
            ..Bond::default()
        };
        Self::save_bond(netuid, hotkey, rest)
    }

    /// Writes a bond, and the totals with it.
    pub(crate) fn save_bond(netuid: Netuid, hotkey: &T::AccountId, bond: Bond) -> DispatchResult {
        let before = Bonds::<T>::get(netuid, hotkey);
        let subnet = minus(SubnetBonds::<T>::get(netuid), before.active)?;
        let subnet = plus(subnet, bond.active)?;
        let total = minus(TotalBonded::<T>::get(), before.total()?)?;
        let total = plus(total, bond.total()?)?;
        SubnetBonds::<T>::insert(netuid, subnet);
        TotalBonded::<T>::put(total);
        if bond == Bond::default() {
            Bonds::<T>::remove(netuid, hotkey);
        } else {
            Bonds::<T>::insert(netuid, hotkey, bond);
        }
        Ok(())
    }
}

impl Bond {
    /// What counts and what does not, in pebble.
    pub(crate) fn total(&self) -> Result<Balance, DispatchError> {
        Ok(plus(self.active, self.unbonding)?)
    }
}

/// A hotkey that lost its seat, be it to another hotkey, does not mine: its bond is on its way back.
impl<T: Config> OnMember<T::AccountId> for Pallet<T> {
    fn on_swapped(netuid: Netuid, uid: Uid, old: &T::AccountId, _: &T::AccountId) {
        Self::on_left(netuid, uid, old);
    }

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
