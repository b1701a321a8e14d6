//! What is always true of the pallet's storage.

use alloc::collections::BTreeMap;
use cairn_primitives::{traits::Membership, Balance, Netuid};
use frame_support::{ensure, traits::Get};
use share_pool::{Holding, Pool};
use sp_runtime::TryRuntimeError;

use crate::{
    ledger::Pools,
    pallet::{
        Backers, Bonds, Config, Pallet, Positions, StakePools, SubnetBonds, SubnetStake, Takes,
        TotalBonded, TotalStaked, TotalUnbonding, UnbondingPools, Voided,
    },
    types::{Bond, Unbonding},
};

/// A hotkey in a subnet.
type Place<AccountId> = (Netuid, AccountId);

impl<T: Config> Pallet<T> {
    /// Checks that
    ///
    /// * every share of a pool is in one position, and positions together are worth what the pool is, less at most
    ///   a pebble each;
    /// * the pools of stake that counts add up to each subnet's stake, and all pools to the totals;
    /// * nothing is kept for what is empty, and positions are found in both orders;
    /// * who holds void shares is on the way to losing them;
    /// * the bonds that count add up to each subnet's, and with those that are unbonding to the total;
    /// * a block of release is kept only for what is unbonding;
    /// * a bond counts only while its hotkey has a seat, and every hotkey has a coldkey that can take it back;
    /// * no take is set in the future.
    ///
    /// Errors: the first of these that does not hold.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        Self::check_pools()?;
        Self::check_voided()?;
        Self::check_totals()?;
        Self::check_bonds()?;
        Self::check_takes()
    }

    fn check_pools() -> Result<(), TryRuntimeError> {
        let mut staked = Shares::<T::AccountId>::new(StakePools::<T>::iter())?;
        let mut unbonding = Shares::<T::AccountId>::new(UnbondingPools::<T>::iter())?;
        let mut positions = 0usize;
        for ((coldkey, netuid, hotkey), position) in Positions::<T>::iter() {
            ensure!(
                !position.is_empty(),
                "a position with nothing in it is kept"
            );
            ensure!(
                Backers::<T>::contains_key((netuid, &hotkey, &coldkey)),
                "a hotkey does not list its backer"
            );
            let place = (netuid, hotkey);
            staked.hold(&place, &position.staked)?;
            for entry in &position.unbonding {
                ensure!(!entry.shares.is_empty(), "a withdrawal of nothing is kept");
                unbonding.hold(&place, &entry.shares)?;
            }
            positions = positions.saturating_add(1);
        }
        ensure!(
            Backers::<T>::iter_keys().count() == positions,
            "a hotkey lists a backer that is none"
        );
        staked.check()?;
        unbonding.check()
    }

    fn check_voided() -> Result<(), TryRuntimeError> {
        for ((_, netuid, hotkey), position) in Positions::<T>::iter() {
            let pools = Pools::load::<T>(netuid, &hotkey);
            let void =
                |pool: &Pool, shares: &Holding| !shares.is_empty() && pool.shares_of(shares) == 0;
            let leaving = |entry: &Unbonding<_>| void(&pools.unbonding, &entry.shares);
            ensure!(
                Voided::<T>::contains_key(netuid, &hotkey)
                    || !void(&pools.staked, &position.staked)
                        && !position.unbonding.iter().any(leaving),
                "void shares are kept for good"
            );
        }
        for (netuid, hotkey, _) in Voided::<T>::iter() {
            ensure!(
                StakePools::<T>::contains_key(netuid, &hotkey)
                    || UnbondingPools::<T>::contains_key(netuid, &hotkey),
                "void shares of a pool that is none"
            );
        }
        Ok(())
    }

    fn check_totals() -> Result<(), TryRuntimeError> {
        let mut staked = Sums::default();
        for (netuid, _, pool) in StakePools::<T>::iter() {
            staked.add(netuid, pool.value())?;
        }
        ensure!(
            staked.total == TotalStaked::<T>::get(),
            "stakes do not add up to the total"
        );
        ensure!(
            staked.equal(SubnetStake::<T>::iter()),
            "stakes do not add up to the stake of their subnet"
        );
        let mut unbonding = Sums::default();
        for (netuid, _, pool) in UnbondingPools::<T>::iter() {
            unbonding.add(netuid, pool.value())?;
        }
        ensure!(
            unbonding.total == TotalUnbonding::<T>::get(),
            "stakes that are being withdrawn do not add up to their total"
        );
        Ok(())
    }

    fn check_bonds() -> Result<(), TryRuntimeError> {
        let (mut active, mut total) = (Sums::default(), Sums::default());
        for (netuid, hotkey, bond) in Bonds::<T>::iter() {
            ensure!(bond != Bond::default(), "a bond of zero is kept");
            ensure!(
                (bond.unbonding > 0) == (bond.release_at > 0),
                "a release without a bond, or a bond without a release"
            );
            ensure!(
                bond.active == 0 || T::Members::uid(netuid, &hotkey).is_some(),
                "the bond of a hotkey without a seat counts"
            );
            ensure!(
                T::Members::coldkey(&hotkey).is_some(),
                "the bond of a hotkey without coldkey"
            );
            active.add(netuid, bond.active)?;
            total.add(netuid, bond.active)?;
            total.add(netuid, bond.unbonding)?;
        }
        ensure!(
            total.total == TotalBonded::<T>::get(),
            "bonds do not add up to the total"
        );
        ensure!(
            active.equal(SubnetBonds::<T>::iter()),
            "bonds do not add up to the bonds of their subnet"
        );
        Ok(())
    }

    fn check_takes() -> Result<(), TryRuntimeError> {
        for (hotkey, take) in Takes::<T>::iter() {
            ensure!(
                T::Members::coldkey(&hotkey).is_some(),
                "the take of a hotkey without coldkey"
            );
            ensure!(take.set_at <= Self::now(), "a take was set in the future");
            ensure!(
                take.share <= T::MaxTake::get(),
                "a take is above the highest"
            );
        }
        Ok(())
    }
}

/// Pools, with how many shares positions have of them and what these are worth.
struct Shares<AccountId>(BTreeMap<Place<AccountId>, (Pool, u128, u128, u128)>);

impl<AccountId: Ord + Clone> Shares<AccountId> {
    fn new(
        pools: impl Iterator<Item = (Netuid, AccountId, Pool)>,
    ) -> Result<Shares<AccountId>, TryRuntimeError> {
        let mut shares = BTreeMap::new();
        for (netuid, hotkey, pool) in pools {
            ensure!(!pool.is_new(), "a pool that was never used is kept");
            ensure!(
                pool.is_empty() == (pool.value() == 0),
                "a pool has shares and no value, or value and no shares"
            );
            shares.insert((netuid, hotkey), (pool, 0, 0, 0));
        }
        Ok(Shares(shares))
    }

    fn hold(&mut self, place: &Place<AccountId>, holding: &Holding) -> Result<(), TryRuntimeError> {
        if holding.is_empty() {
            return Ok(());
        }
        let (pool, shares, worth, holders) = self
            .0
            .get_mut(place)
            .ok_or("shares of a pool that is none")?;
        *shares = shares
            .checked_add(pool.shares_of(holding))
            .ok_or("more shares than there can be")?;
        *worth = worth.saturating_add(pool.worth(holding).into());
        *holders = holders.saturating_add(1);
        Ok(())
    }

    fn check(self) -> Result<(), TryRuntimeError> {
        for (pool, shares, worth, holders) in self.0.into_values() {
            ensure!(
                shares == pool.shares(),
                "the shares in positions are not those of the pool"
            );
            let value = u128::from(pool.value());
            ensure!(
                worth <= value && value <= worth.saturating_add(holders),
                "positions are not worth what their pool is"
            );
        }
        Ok(())
    }
}

/// Sums of amounts.
#[derive(Default)]
struct Sums {
    total: Balance,
    by_subnet: BTreeMap<Netuid, Balance>,
}

impl Sums {
    fn add(&mut self, netuid: Netuid, amount: Balance) -> Result<(), TryRuntimeError> {
        let subnet = self.by_subnet.entry(netuid).or_default();
        *subnet = subnet
            .checked_add(amount)
            .ok_or("the sum of a subnet overflows")?;
        self.total = self
            .total
            .checked_add(amount)
            .ok_or("the sum of all overflows")?;
        Ok(())
    }

    /// Whether the sums of subnets are these, where none is the same as zero.
    fn equal(&self, sums: impl Iterator<Item = (Netuid, Balance)>) -> bool {
        let kept: BTreeMap<_, _> = sums.filter(|(_, sum)| *sum > 0).collect();
        let ours = self.by_subnet.iter().filter(|(_, sum)| **sum > 0);
        ours.map(|(netuid, sum)| (*netuid, *sum)).eq(kept)
    }
}
