//! Positions whose shares a slash of everything has voided: they are worth nothing, and go when there is time.

use alloc::vec::Vec;
use cairn_primitives::Netuid;
use frame_support::weights::Weight;
use share_pool::Holding;

use crate::{
    ledger::Pools,
    pallet::{Backers, Config, Pallet, Positions, Voided},
    types::Position,
    WeightInfo,
};

/// Positions that are looked at in a block, at most.
pub const SWEPT_PER_BLOCK: u32 = 16;

impl<T: Config> Pallet<T> {
    /// Looks at as many positions as there is room for, and returns what that weighs.
    pub(crate) fn sweep_within(room: Weight) -> Weight {
        let fits = |count: &u32| T::WeightInfo::sweep(*count).all_lte(room);
        match (0..=SWEPT_PER_BLOCK).rev().find(fits) {
            Some(most) => T::WeightInfo::sweep(Self::sweep(most)),
            None => Weight::zero(),
        }
    }

    /// Removes void shares from positions on one hotkey, of which it looks at `most` at most, and says how many
    /// that were. A hotkey is done with when there were fewer.
    pub(crate) fn sweep(most: u32) -> u32 {
        let Some((netuid, hotkey, last)) = Voided::<T>::iter().next() else {
            return 0;
        };
        let backers: Vec<T::AccountId> = match last {
            Some(last) => {
                let key = Backers::<T>::hashed_key_for((netuid, &hotkey, last));
                Backers::<T>::iter_key_prefix_from((netuid, &hotkey), key)
                    .take(most as usize)
                    .collect()
            }
            None => Backers::<T>::iter_key_prefix((netuid, &hotkey))
                .take(most as usize)
                .collect(),
        };
        let pools = Pools::load::<T>(netuid, &hotkey);
        for coldkey in &backers {
            Self::drop_void_shares(coldkey, netuid, &hotkey, &pools);
        }
        let looked_at = u32::try_from(backers.len()).unwrap_or(u32::MAX);
        match backers.last() {
            Some(coldkey) if looked_at == most => {
                Voided::<T>::insert(netuid, &hotkey, Some(coldkey))
            }
            _ if most > 0 => Voided::<T>::remove(netuid, &hotkey),
            _ => {}
        }
        looked_at
    }

    fn drop_void_shares(
        coldkey: &T::AccountId,
        netuid: Netuid,
        hotkey: &T::AccountId,
        pools: &Pools,
    ) {
        let before = Positions::<T>::get((coldkey, netuid, hotkey));
        let mut after: Position<T::AccountId> = before.clone();
        if pools.staked.shares_of(&after.staked) == 0 {
            after.staked = Holding::default();
        }
        let counts = |shares: &Holding| pools.unbonding.shares_of(shares) > 0;
        after.unbonding.retain(|entry| counts(&entry.shares));
        if after != before {
            Self::save_position(coldkey, netuid, hotkey, after);
        }
    }
}
