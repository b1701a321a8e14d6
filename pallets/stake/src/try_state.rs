//! What is always true of the pallet's storage.

use alloc::collections::BTreeMap;
use cairn_primitives::{traits::Membership, Balance, Netuid};
use frame_support::ensure;
use sp_runtime::TryRuntimeError;

use crate::{
    pallet::{Bonds, Config, Pallet, StakeOn, SubnetBonds, SubnetStake, TotalBonded, TotalStaked},
    Bond,
};

impl<T: Config> Pallet<T> {
    /// Checks that
    ///
    /// * the stakes on a subnet's hotkeys add up to its stake, and these to the total;
    /// * the bonds that count add up to each subnet's, and with those that are unbonding to the total;
    /// * nothing is kept for what is zero, a block of release only for what is unbonding;
    /// * a bond counts only while its hotkey has a seat, and every hotkey has a coldkey that can take it back.
    ///
    /// Errors: the first of these that does not hold.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        Self::check_stakes()?;
        Self::check_bonds()
    }

    fn check_stakes() -> Result<(), TryRuntimeError> {
        let mut sums = Sums::default();
        for (netuid, hotkey, stake) in StakeOn::<T>::iter() {
            ensure!(stake > 0, "a stake of zero is kept");
            ensure!(
                T::Members::coldkey(&hotkey).is_some(),
                "stake on a hotkey without coldkey"
            );
            sums.add(netuid, stake)?;
        }
        ensure!(
            sums.total == TotalStaked::<T>::get(),
            "stakes do not add up to the total"
        );
        ensure!(
            sums.equal(SubnetStake::<T>::iter()),
            "stakes do not add up to the stake of their subnet"
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
