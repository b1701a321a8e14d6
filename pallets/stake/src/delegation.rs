//! Stake that comes, goes, waits and changes hands.

use alloc::vec::Vec;
use cairn_primitives::{Balance, BlockNumber, Netuid};
use frame_support::{ensure, storage::with_storage_layer, traits::Get};
use share_pool::{Holding, Pool};
use sp_runtime::{DispatchError, DispatchResult};

use crate::{
    ledger::{minus, plus, Pools},
    pallet::{Config, Error, Event, Pallet, Positions},
    types::{Position, Unbonding},
};

/// Where released stake goes: a subnet and hotkey, or `None` for the account.
type Destination<AccountId> = Option<(Netuid, AccountId)>;

impl<T: Config> Pallet<T> {
    /// Enters stake of at most `amount` pebble, and returns how much that was. The caller takes it from an account
    /// or a ledger.
    pub(crate) fn stake_on(
        coldkey: &T::AccountId,
        netuid: Netuid,
        hotkey: &T::AccountId,
        amount: Balance,
    ) -> Result<Balance, DispatchError> {
        let mut pools = Pools::load::<T>(netuid, hotkey);
        let mut position = Positions::<T>::get((coldkey, netuid, hotkey));
        let paid = pools
            .staked
            .deposit(&mut position.staked, amount)
            .map_err(Error::<T>::from)?;
        pools.save::<T>(netuid, hotkey)?;
        Self::save_position(coldkey, netuid, hotkey, position);
        Ok(paid)
    }

    /// Makes stake stop counting and puts it into the queue.
    pub(crate) fn start_withdrawal(
        coldkey: T::AccountId,
        netuid: Netuid,
        hotkey: T::AccountId,
        amount: Option<Balance>,
        moves_to: Destination<T::AccountId>,
    ) -> DispatchResult {
        let release_at = Self::release_at(netuid)?;
        let mut pools = Pools::load::<T>(netuid, &hotkey);
        let mut position = Positions::<T>::get((&coldkey, netuid, &hotkey));
        let amount = Self::ensure_can_part_with(&pools.staked, &position.staked, amount)?;
        ensure!(
            moves_to.is_none() || amount >= T::MinimumAmount::get(),
            Error::<T>::AmountTooSmall
        );
        let amount = pools
            .staked
            .withdraw(&mut position.staked, amount)
            .map_err(Error::<T>::from)?;
        let entry = Self::queue_entry(&mut position, release_at, &moves_to)?;
        let entered = pools
            .unbonding
            .deposit(&mut entry.shares, amount)
            .map_err(Error::<T>::from)?;
        // A share of what never grows is cheaper than a pebble, so that all of it goes in.
        ensure!(entered == amount, Error::<T>::PoolOutOfRange);
        pools.save::<T>(netuid, &hotkey)?;
        Self::save_position(&coldkey, netuid, &hotkey, position);
        Self::deposit_event(Event::StakeUnbonding {
            coldkey,
            netuid,
            hotkey,
            amount,
            release_at,
            moves_to,
        });
        Ok(())
    }

    /// Pays out what is released, and says how many entries of the queue that were.
    pub(crate) fn finish_withdrawals(
        coldkey: T::AccountId,
        netuid: Netuid,
        hotkey: T::AccountId,
    ) -> Result<u32, DispatchError> {
        let mut position = Positions::<T>::get((&coldkey, netuid, &hotkey));
        ensure!(!position.unbonding.is_empty(), Error::<T>::NoStakeUnbonding);
        let released = take_released(&mut position, Self::now());
        ensure!(!released.is_empty(), Error::<T>::StakeLocked);
        let entries = u32::try_from(released.len()).unwrap_or(u32::MAX);
        let mut pools = Pools::load::<T>(netuid, &hotkey);
        let paid: Vec<_> = released
            .into_iter()
            .map(|mut entry| {
                let amount = pools.unbonding.withdraw_all(&mut entry.shares);
                (amount, entry.moves_to)
            })
            .collect();
        pools.save::<T>(netuid, &hotkey)?;
        Self::save_position(&coldkey, netuid, &hotkey, position);
        let mut amount: Balance = 0;
        for (part, moves_to) in paid {
            let rest = match moves_to {
                Some(to) => Self::arrive(&coldkey, (netuid, &hotkey), to, part),
                None => part,
            };
            amount = plus(amount, rest)?;
        }
        if amount > 0 {
            Self::return_to_account(&coldkey, amount)?;
            Self::deposit_event(Event::StakeWithdrawn {
                coldkey,
                netuid,
                hotkey,
                amount,
            });
        }
        Ok(entries)
    }

    /// Stakes what was to move where it was to go, and returns what of it could not: all, if that hotkey no
    /// longer takes stake.
    fn arrive(
        coldkey: &T::AccountId,
        (netuid, hotkey): (Netuid, &T::AccountId),
        (to_netuid, to_hotkey): (Netuid, T::AccountId),
        amount: Balance,
    ) -> Balance {
        let staked = with_storage_layer(|| {
            Self::ensure_can_add(to_netuid, &to_hotkey, amount)?;
            Self::ensure_takes_stake_of(coldkey, &to_hotkey)?;
            Self::stake_on(coldkey, to_netuid, &to_hotkey, amount)
        });
        let Ok(staked) = staked else {
            return amount;
        };
        Self::deposit_event(Event::StakeMoved {
            coldkey: coldkey.clone(),
            netuid,
            hotkey: hotkey.clone(),
            to_netuid,
            to_hotkey,
            amount: staked,
        });
        amount.saturating_sub(staked)
    }

    /// Hands stake to another coldkey, and returns how much.
    pub(crate) fn hand_over(
        from: &T::AccountId,
        to: &T::AccountId,
        netuid: Netuid,
        hotkey: &T::AccountId,
        amount: Option<Balance>,
    ) -> Result<Balance, DispatchError> {
        let pool = Pools::load::<T>(netuid, hotkey).staked;
        let mut giver = Positions::<T>::get((from, netuid, hotkey));
        let mut taker = Positions::<T>::get((to, netuid, hotkey));
        let amount = Self::ensure_can_part_with(&pool, &giver.staked, amount)?;
        let amount = pool
            .transfer(&mut giver.staked, &mut taker.staked, amount)
            .map_err(Error::<T>::from)?;
        ensure!(
            pool.worth(&taker.staked) >= T::MinimumAmount::get(),
            Error::<T>::AmountTooSmall
        );
        Self::save_position(from, netuid, hotkey, giver);
        Self::save_position(to, netuid, hotkey, taker);
        Ok(amount)
    }

    /// The amount that a holding is to lose: all of it, if nothing else is said. What it keeps must be worth
    /// keeping.
    fn ensure_can_part_with(
        pool: &Pool,
        holding: &Holding,
        amount: Option<Balance>,
    ) -> Result<Balance, DispatchError> {
        let worth = pool.worth(holding);
        let amount = match amount {
            Some(amount) => amount,
            None => worth,
        };
        ensure!(amount > 0 || worth == 0, Error::<T>::AmountIsZero);
        ensure!(amount > 0 && amount <= worth, Error::<T>::NotEnoughStake);
        let left = minus(worth, amount)?;
        ensure!(
            left == 0 || left >= T::MinimumAmount::get(),
            Error::<T>::RemainderTooSmall
        );
        Ok(amount)
    }

    /// The entry of a position's queue for this release and destination: one that is there, or a new one.
    fn queue_entry<'a>(
        position: &'a mut Position<T::AccountId>,
        release_at: BlockNumber,
        moves_to: &Destination<T::AccountId>,
    ) -> Result<&'a mut Unbonding<T::AccountId>, DispatchError> {
        let queue = &mut position.unbonding;
        let same = |entry: &Unbonding<T::AccountId>| {
            entry.release_at == release_at && entry.moves_to == *moves_to
        };
        let index = match queue.iter().position(same) {
            Some(index) => index,
            None => {
                let entry = Unbonding {
                    shares: Holding::default(),
                    release_at,
                    moves_to: moves_to.clone(),
                };
                queue
                    .try_push(entry)
                    .map_err(|_| Error::<T>::UnbondingQueueFull)?;
                queue.len().saturating_sub(1)
            }
        };
        queue
            .get_mut(index)
            .ok_or_else(|| Error::<T>::UnbondingQueueFull.into())
    }
}

/// Takes the entries that are released out of a position's queue.
fn take_released<AccountId: Clone>(
    position: &mut Position<AccountId>,
    now: BlockNumber,
) -> Vec<Unbonding<AccountId>> {
    let is_released = |entry: &Unbonding<AccountId>| entry.release_at <= now;
    let released = position
        .unbonding
        .iter()
        .filter(|entry| is_released(entry))
        .cloned()
        .collect();
    position.unbonding.retain(|entry| !is_released(entry));
    released
}
