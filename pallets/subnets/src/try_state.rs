//! What is always true of the pallet's storage.

use alloc::collections::BTreeMap;
use cairn_primitives::{Netuid, MAX_MEMBERS};
use frame_support::{ensure, traits::Get};
use sp_runtime::TryRuntimeError;

use crate::{
    limits,
    pallet::{
        Coldkeys, Config, CreationQuote, Hotkeys, HyperparametersSetAt, LastNetuid, Members,
        Netuids, Pallet, RegistrationQuote, RulesOf, Subnets, Swaps, Uids,
    },
    Subnet,
};

impl<T: Config> Pallet<T> {
    /// Checks that
    ///
    /// * every subnet has a record, hyperparameters within their limits and a quote, and its netuid was sold; it is
    ///   in the list of those at work, or being dissolved;
    /// * every record counts its members, and the maps between uids and hotkeys are inverse;
    /// * members know their hotkeys' coldkeys, and the maps between coldkeys and hotkeys are inverse;
    /// * every hotkey holds a system reference for each of its seats;
    /// * nothing is dated in the future.
    ///
    /// Errors: the first of these that does not hold.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        let netuids = Self::all_netuids();
        let records = netuids.len();
        ensure!(
            Subnets::<T>::count() <= T::MaxSubnets::get(),
            "more subnets than allowed"
        );
        ensure!(
            netuids
                .windows(2)
                .all(|pair| matches!(pair, [a, b] if a < b)),
            "a subnet is listed twice"
        );
        ensure!(
            Netuids::<T>::get().is_sorted(),
            "the subnets at work are not in order"
        );
        ensure!(
            Subnets::<T>::iter_keys().count() == records
                && usize::try_from(Subnets::<T>::count()) == Ok(records),
            "subnets do not match their list"
        );
        ensure!(
            RulesOf::<T>::iter_keys().count() == records,
            "hyperparameters of an unknown subnet"
        );
        ensure!(
            RegistrationQuote::<T>::iter_keys().count() == records,
            "a price of an unknown subnet"
        );
        for (netuid, at) in HyperparametersSetAt::<T>::iter() {
            ensure!(
                Subnets::<T>::contains_key(netuid),
                "a change of an unknown subnet"
            );
            ensure!(at <= Self::now(), "a change in the future");
        }
        let now = Self::now();
        let dated = CreationQuote::<T>::get().is_none_or(|quote| quote.at <= now);
        ensure!(dated, "a subnet was sold in the future");
        let mut seats = 0usize;
        for netuid in netuids {
            seats = seats.saturating_add(Self::check_subnet(netuid)?.into());
        }
        ensure!(
            Members::<T>::iter_keys().count() == seats,
            "members of an unknown subnet"
        );
        for (netuid, uid, swap) in Swaps::<T>::iter() {
            let member = Members::<T>::get(netuid, uid).ok_or("a swap of no member")?;
            ensure!(
                member.hotkey != swap.to,
                "a member is to have the hotkey that it has"
            );
        }
        ensure!(
            Uids::<T>::iter_keys().count() == seats,
            "uids and members do not match"
        );
        Self::check_ownership()?;
        Self::check_references()
    }

    /// Checks one subnet and returns how many members it has.
    fn check_subnet(netuid: Netuid) -> Result<u16, TryRuntimeError> {
        let now = Self::now();
        ensure!(
            (Netuid(1)..=LastNetuid::<T>::get()).contains(&netuid),
            "a netuid that was never sold"
        );
        let subnet = Subnets::<T>::get(netuid).ok_or("a listed subnet has no record")?;
        let rules = RulesOf::<T>::get(netuid).ok_or("a subnet has no hyperparameters")?;
        let quote = RegistrationQuote::<T>::get(netuid).ok_or("a subnet has no price")?;
        limits::check::<T>(&rules.present)?;
        if let Some(announced) = rules.announced {
            limits::check::<T>(&announced.rules)?;
            ensure!(
                subnet.was_joined,
                "rules were announced where there is nobody to tell"
            );
        }
        ensure!(
            subnet.was_joined || subnet.members == 0,
            "a subnet with members that nobody joined"
        );
        ensure!(
            subnet.created_at <= now && quote.at <= now,
            "a subnet is dated in the future"
        );
        Self::check_members(netuid, &subnet)?;
        Ok(subnet.members)
    }

    /// Checks the members of one subnet.
    fn check_members(netuid: Netuid, subnet: &Subnet<T::AccountId>) -> Result<(), TryRuntimeError> {
        let mut seats = 0u16;
        for (uid, member) in Members::<T>::iter_prefix(netuid) {
            ensure!(u32::from(uid.get()) < MAX_MEMBERS, "a uid is out of range");
            ensure!(
                Uids::<T>::get(netuid, &member.hotkey) == Some(uid),
                "uids and members are not inverse"
            );
            ensure!(
                Coldkeys::<T>::get(&member.hotkey) == Some(member.coldkey),
                "a member's coldkey is not its hotkey's"
            );
            ensure!(
                member.registered_at <= Self::now(),
                "a member came in the future"
            );
            ensure!(
                member.role_set_at.is_none_or(|at| at <= Self::now()),
                "a role was chosen in the future"
            );
            seats = seats.saturating_add(1);
        }
        ensure!(
            seats == subnet.members,
            "a subnet does not count its members"
        );
        Ok(())
    }

    /// Checks that the maps between coldkeys and hotkeys are inverse.
    fn check_ownership() -> Result<(), TryRuntimeError> {
        let mut hotkeys = 0usize;
        for (hotkey, coldkey) in Coldkeys::<T>::iter() {
            ensure!(
                Hotkeys::<T>::contains_key(&coldkey, &hotkey),
                "a coldkey does not list its hotkey"
            );
            hotkeys = hotkeys.saturating_add(1);
        }
        ensure!(
            Hotkeys::<T>::iter_keys().count() == hotkeys,
            "a coldkey lists a foreign hotkey"
        );
        Ok(())
    }

    /// Checks that the system pallet counts at least one reference for each seat of a hotkey.
    fn check_references() -> Result<(), TryRuntimeError> {
        let mut seats = BTreeMap::<T::AccountId, u32>::new();
        for member in Members::<T>::iter_values() {
            let count = seats.entry(member.hotkey).or_default();
            *count = count.saturating_add(1);
        }
        for (hotkey, count) in seats {
            ensure!(
                frame_system::Pallet::<T>::sufficients(&hotkey) >= count,
                "a member's hotkey lacks a system reference"
            );
        }
        Ok(())
    }
}
