//! The end of a subnet: its pots go to whom they belong, a bounded number of items at a time.
//!
//! What the pots hold was issued for work that no epoch will weigh any more, so it is shared out as the last
//! one did: the miners' pot by incentive, the validators' by dividends, into the stake that the stake pallet
//! returns afterwards; the owner's pot goes to the owner. Miners whose work was in question when the run was stopped
//! have no incentive any more. What has nobody that it belongs to, or cannot be delivered, is burned.

use cairn_primitives::{
    traits::{Dissolve, Membership, OnBurned, Stakes},
    Balance, Netuid,
};
use frame_support::defensive;

use crate::{
    accrual::share,
    pallet::{
        Bonds, Closing, Commits, Config, Earned, Emitting, Event, MemberHistory, MemberRecords,
        Pallet, SubnetHistory, SubnetLedgers, TotalPots, Votes, Wages,
    },
    types::MemberRecord,
};

impl<T: Config> Dissolve for Pallet<T> {
    /// Adds up what the members' shares are shares of: at most [`cairn_primitives::MAX_MEMBERS`] reads.
    fn on_dissolving(netuid: Netuid) {
        let add = |(miners, validators): (u32, u32), record: MemberRecord| {
            // 256 times 65,535 at most.
            (
                miners.saturating_add(record.incentive.into()),
                validators.saturating_add(record.dividends.into()),
            )
        };
        let sums = MemberRecords::<T>::iter_prefix_values(netuid).fold((0, 0), add);
        Closing::<T>::insert(netuid, sums);
    }

    /// An item is a member that is paid what was withheld or its part, the pots that are closed, or an entry that is
    /// removed.
    fn dissolve(netuid: Netuid, limit: u32) -> u32 {
        let mut done = 0u32;
        while done < limit {
            let more = Self::pay_out_wages(netuid)
                || Self::pay_out_a_member(netuid)
                || Self::close_pots(netuid)
                || Self::remove_an_entry(netuid);
            if !more {
                break;
            }
            done = done.saturating_add(1);
        }
        done
    }
}

impl<T: Config> Pallet<T> {
    /// Pays a member what is withheld of it: what was in question went when the run was stopped. Whether there was one.
    fn pay_out_wages(netuid: Netuid) -> bool {
        let Some(uid) = Wages::<T>::iter_key_prefix(netuid).next() else {
            return false;
        };
        let (Some(mut ledger), Some(hotkey)) = (
            SubnetLedgers::<T>::get(netuid),
            T::Membership::hotkey(netuid, uid),
        ) else {
            Wages::<T>::remove(netuid, uid);
            return true;
        };
        Self::settle_wages(&mut ledger, (netuid, uid, &hotkey), None);
        SubnetLedgers::<T>::insert(netuid, ledger);
        true
    }

    /// Pays a member its part of the pots. Whether there was one.
    fn pay_out_a_member(netuid: Netuid) -> bool {
        let Some((uid, record)) = MemberRecords::<T>::drain_prefix(netuid).next() else {
            return false;
        };
        let (Some(mut ledger), Some(hotkey)) = (
            SubnetLedgers::<T>::get(netuid),
            T::Membership::hotkey(netuid, uid),
        ) else {
            return true;
        };
        let (miners, validators) = Closing::<T>::get(netuid);
        let before = ledger.pots;
        let part = share(before.miners, record.incentive.into(), miners.into());
        let as_miner = Self::pay(netuid, &hotkey, part, &mut ledger.pots.miners, |amount| {
            Self::pay_coldkey(&hotkey, amount)
        });
        let part = share(
            before.validators,
            record.dividends.into(),
            validators.into(),
        );
        let pot = &mut ledger.pots.validators;
        let as_validator = Self::pay(netuid, &hotkey, part, pot, |amount| {
            T::Stakes::reward(netuid, &hotkey, amount)
        });
        // What is left of the pots is for those that are left.
        let left = (
            miners.saturating_sub(record.incentive.into()),
            validators.saturating_sub(record.dividends.into()),
        );
        Closing::<T>::insert(netuid, left);
        let paid = before.checked_sub(&ledger.pots).unwrap_or_default();
        Self::book(netuid, &mut ledger, paid);
        SubnetLedgers::<T>::insert(netuid, ledger);
        if as_miner > 0 || as_validator > 0 {
            Self::deposit_event(Event::Paid {
                netuid,
                uid,
                hotkey,
                as_miner,
                as_validator,
            });
        }
        true
    }

    /// Pays the owner and burns what is left. Whether the pots were open.
    fn close_pots(netuid: Netuid) -> bool {
        let Some(mut ledger) = SubnetLedgers::<T>::take(netuid) else {
            return false;
        };
        let before = ledger.pots;
        let owners = before.owner;
        Self::pay_owner(netuid, &mut ledger, owners);
        let paid = before.checked_sub(&ledger.pots).unwrap_or_default();
        Self::book(netuid, &mut ledger, paid);
        let burned = ledger.pots.total().unwrap_or_default();
        Self::burn_from_pots(netuid, burned);
        Closing::<T>::remove(netuid);
        Self::deposit_event(Event::PotsClosed {
            netuid,
            owner: paid.owner,
            burned,
        });
        true
    }

    /// Burns what a subnet's pots held; its ledger has it no more.
    pub(crate) fn burn_from_pots(netuid: Netuid, amount: Balance) {
        TotalPots::<T>::mutate(|pots| match pots.checked_sub(amount) {
            Some(rest) => *pots = rest,
            None => {
                defensive!("more is burned than the pots held", (netuid, amount));
            }
        });
        <Self as OnBurned>::on_burned(amount);
    }

    /// Removes an entry of what is kept of a subnet. Whether there was one.
    fn remove_an_entry(netuid: Netuid) -> bool {
        Votes::<T>::drain_prefix(netuid).next().is_some()
            || Bonds::<T>::drain_prefix(netuid).next().is_some()
            || Commits::<T>::drain_prefix((netuid,)).next().is_some()
            || SubnetHistory::<T>::drain_prefix(netuid).next().is_some()
            || MemberHistory::<T>::drain_prefix((netuid,)).next().is_some()
            || Earned::<T>::drain_prefix(netuid).next().is_some()
            || Emitting::<T>::take(netuid).is_some()
    }
}
