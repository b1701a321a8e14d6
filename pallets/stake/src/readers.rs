//! What anyone may ask.

use alloc::vec::Vec;
use cairn_primitives::{
    api,
    traits::{self, Ledgers, Stakes},
    Balance, Netuid,
};
use sp_runtime::DispatchError;

use crate::{
    ledger::Pools,
    pallet::{
        Bonds, Config, Pallet, Positions, RefusesForeign, StakePools, SubnetBonds, SubnetStake,
        TotalBonded, TotalStaked, TotalUnbonding, UnbondingPools,
    },
    types::{Bond, Position},
};

impl<T: Config> Pallet<T> {
    /// The bonds of a subnet that count, in pebble.
    pub fn subnet_bonds(netuid: Netuid) -> Balance {
        SubnetBonds::<T>::get(netuid)
    }

    /// The bond of a hotkey: what counts, what is being withdrawn, and when it is released.
    pub fn bond_of(netuid: Netuid, hotkey: &T::AccountId) -> Bond {
        Bonds::<T>::get(netuid, hotkey)
    }

    /// Whether others than its coldkey may stake on a hotkey.
    pub fn takes_foreign_stake(hotkey: &T::AccountId) -> bool {
        !RefusesForeign::<T>::contains_key(hotkey)
    }

    /// Stake on a hotkey that is being withdrawn, all its stakers together, in pebble.
    pub fn unbonding_stake(netuid: Netuid, hotkey: &T::AccountId) -> Balance {
        UnbondingPools::<T>::get(netuid, hotkey).value()
    }

    /// A position as others see it: in pebble.
    fn describe(
        netuid: Netuid,
        hotkey: T::AccountId,
        position: Position<T::AccountId>,
    ) -> api::Position<T::AccountId> {
        let pools = Pools::load::<T>(netuid, &hotkey);
        let unbonding = position.unbonding.into_iter();
        api::Position {
            netuid,
            staked: pools.staked.worth(&position.staked),
            unbonding: unbonding
                .map(|entry| api::UnbondingStake {
                    amount: pools.unbonding.worth(&entry.shares),
                    release_at: entry.release_at,
                    moves_to: entry.moves_to,
                })
                .collect(),
            take: Self::take_of(&hotkey),
            hotkey,
        }
    }
}

impl<T: Config> Stakes<T::AccountId> for Pallet<T> {
    fn stake(netuid: Netuid, hotkey: &T::AccountId) -> Balance {
        StakePools::<T>::get(netuid, hotkey).value()
    }

    fn subnet_stake(netuid: Netuid) -> Balance {
        SubnetStake::<T>::get(netuid)
    }

    fn bond(netuid: Netuid, hotkey: &T::AccountId) -> Balance {
        Bonds::<T>::get(netuid, hotkey).active
    }

    /// Errors: [`Error::UnknownHotkey`](crate::Error::UnknownHotkey) for a hotkey without a coldkey, since nobody
    /// could ever take such stake back.
    fn reward(netuid: Netuid, hotkey: &T::AccountId, amount: Balance) -> Result<(), DispatchError> {
        match amount {
            0 => Ok(()),
            amount => Self::add_dividend(netuid, hotkey, amount),
        }
    }
}

impl<T: Config> Ledgers for Pallet<T> {
    fn total_staked() -> Balance {
        TotalStaked::<T>::get()
    }

    fn total_unbonding() -> Balance {
        TotalUnbonding::<T>::get()
    }

    fn total_bonded() -> Balance {
        TotalBonded::<T>::get()
    }
}

impl<T: Config> traits::Positions<T::AccountId> for Pallet<T> {
    fn positions(
        coldkey: &T::AccountId,
        after: Option<(Netuid, T::AccountId)>,
        limit: u32,
    ) -> Vec<api::Position<T::AccountId>> {
        let positions = match after {
            Some((netuid, hotkey)) => {
                let from = Positions::<T>::hashed_key_for((coldkey, netuid, hotkey));
                Positions::<T>::iter_prefix_from((coldkey,), from)
            }
            None => Positions::<T>::iter_prefix((coldkey,)),
        };
        positions
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .map(|((netuid, hotkey), position)| Self::describe(netuid, hotkey, position))
            .collect()
    }

    fn position(
        coldkey: &T::AccountId,
        netuid: Netuid,
        hotkey: &T::AccountId,
    ) -> Option<api::Position<T::AccountId>> {
        let position = Positions::<T>::try_get((coldkey, netuid, hotkey)).ok()?;
        Some(Self::describe(netuid, hotkey.clone(), position))
    }

    fn take(hotkey: &T::AccountId) -> u16 {
        Self::take_of(hotkey)
    }
}
