//! A subnet that is dissolved: everything goes back to whom it belongs, a bounded number of items at a time.

use cairn_primitives::{
    traits::{Dissolve, Membership, OnBurned},
    Balance, Netuid,
};
use frame_support::{defensive, storage::with_storage_layer};
use sp_runtime::DispatchResult;

use crate::{
    ledger::{plus, Pools},
    pallet::{
        Backers, Bonds, Config, Error, Event, Pallet, Positions, StakePools, SubnetBonds,
        SubnetStake, UnbondingPools, Voided,
    },
    types::Bond,
};

impl<T: Config> Dissolve for Pallet<T> {
    /// An item is a position or a bond that is given back, or the pools of a hotkey, which
    /// are removed.
    fn dissolve(netuid: Netuid, limit: u32) -> u32 {
        let mut done = 0u32;
        while done < limit {
            let more = Self::return_a_position(netuid)
                || Self::return_a_bond(netuid)
                || Self::remove_a_pool(netuid);
            if !more {
                SubnetStake::<T>::remove(netuid);
                SubnetBonds::<T>::remove(netuid);
                break;
            }
            done = done.saturating_add(1);
        }
        done
    }
}

impl<T: Config> Pallet<T> {
    /// Gives one position back, with what is being withdrawn of it. Whether there was one.
    fn return_a_position(netuid: Netuid) -> bool {
        let Some((hotkey, coldkey)) = Backers::<T>::iter_key_prefix((netuid,)).next() else {
            return false;
        };
        let returned = with_storage_layer(|| Self::return_position(&coldkey, netuid, &hotkey));
        if let Err(error) = returned {
            defensive!("a position does not fit the ledgers", error);
            // Better to lose the record than never to end.
            Self::save_position(&coldkey, netuid, &hotkey, Default::default());
        }
        true
    }

    fn return_position(
        coldkey: &T::AccountId,
        netuid: Netuid,
        hotkey: &T::AccountId,
    ) -> DispatchResult {
        let mut position = Positions::<T>::take((coldkey, netuid, hotkey));
        Backers::<T>::remove((netuid, hotkey, coldkey));
        let mut pools = Pools::load::<T>(netuid, hotkey);
        let mut amount = pools.staked.withdraw_all(&mut position.staked);
        for mut entry in position.unbonding {
            amount = plus(amount, pools.unbonding.withdraw_all(&mut entry.shares))?;
        }
        pools.save::<T>(netuid, hotkey)?;
        if Self::give_back(coldkey, amount) {
            Self::deposit_event(Event::StakeReturned {
                coldkey: coldkey.clone(),
                netuid,
                hotkey: hotkey.clone(),
                amount,
            });
        }
        Ok(())
    }

    /// Gives one bond back. Whether there was one.
    fn return_a_bond(netuid: Netuid) -> bool {
        let Some((hotkey, bond)) = Bonds::<T>::iter_prefix(netuid).next() else {
            return false;
        };
        let returned = with_storage_layer(|| -> DispatchResult {
            let coldkey = T::Members::coldkey(&hotkey).ok_or(Error::<T>::UnknownHotkey)?;
            let amount = bond.total()?;
            Self::save_bond(netuid, &hotkey, Bond::default())?;
            if Self::give_back(&coldkey, amount) {
                Self::deposit_event(Event::BondReturned {
                    netuid,
                    hotkey: hotkey.clone(),
                    amount,
                });
            }
            Ok(())
        });
        if let Err(error) = returned {
            defensive!("a bond does not fit the ledgers", error);
            Bonds::<T>::remove(netuid, &hotkey);
        }
        true
    }

    /// Removes the pools of a hotkey, in which nothing is left. Whether there were any.
    fn remove_a_pool(netuid: Netuid) -> bool {
        let staked = || StakePools::<T>::iter_key_prefix(netuid).next();
        let unbonding = || UnbondingPools::<T>::iter_key_prefix(netuid).next();
        let Some(hotkey) = staked().or_else(unbonding) else {
            return false;
        };
        StakePools::<T>::remove(netuid, &hotkey);
        UnbondingPools::<T>::remove(netuid, &hotkey);
        Voided::<T>::remove(netuid, &hotkey);
        true
    }

    /// Puts an amount into an account, or burns it if it is too little to open the account with. Whether anything
    /// arrived.
    fn give_back(account: &T::AccountId, amount: Balance) -> bool {
        if amount == 0 {
            return false;
        }
        if Self::return_to_account(account, amount).is_ok() {
            return true;
        }
        T::OnBurned::on_burned(amount);
        Self::deposit_event(Event::ReturnBurned {
            account: account.clone(),
            amount,
        });
        false
    }
}
