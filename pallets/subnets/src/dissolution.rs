//! The end of a subnet: it stops, waits, gives everything back, and is gone.

use alloc::vec::Vec;
use cairn_primitives::{
    traits::{Dissolve, OnMember},
    Netuid,
};
use frame_support::{defensive, weights::Weight};
use sp_runtime::{ArithmeticError, DispatchResult};

use crate::{
    pallet::{
        AuditWindow, Config, Dissolving, Error, Event, HyperparametersSetAt, Members, Netuids,
        Pallet, RegistrationQuote, RulesOf, Subnets, Swaps, Uids,
    },
    weights::WeightInfo,
};

impl<T: Config> Pallet<T> {
    /// Stops a subnet, which the caller knows to be there, and sets the block from which on it gives everything
    /// back.
    pub(crate) fn start_dissolution(netuid: Netuid) -> DispatchResult {
        let h = Self::rules(netuid).ok_or(Error::<T>::UnknownSubnet)?;
        let notice = h.unbonding_period.max(AuditWindow::<T>::get());
        let from = Self::now()
            .checked_add(notice)
            .ok_or(ArithmeticError::Overflow)?;
        // Nothing changes any more, not even what was announced.
        Self::keep_only(netuid, h)?;
        Netuids::<T>::mutate(|netuids| netuids.retain(|other| *other != netuid));
        Dissolving::<T>::insert(netuid, from);
        Self::deposit_event(Event::SubnetDissolving { netuid, from });
        T::Dissolve::on_dissolving(netuid);
        Ok(())
    }

    /// Gives at most `limit` things of one subnet back.
    pub(crate) fn dissolve_some(limit: u32) -> Weight {
        let now = Self::now();
        let mut looked_at = 0u32;
        let due = Dissolving::<T>::iter().find(|(_, from)| {
            looked_at = looked_at.saturating_add(1);
            *from <= now
        });
        let look = T::WeightInfo::look_for_dissolving(looked_at);
        let Some((netuid, _)) = due else {
            return look;
        };
        let mut done = T::Dissolve::dissolve(netuid, limit).min(limit);
        if done < limit {
            done = done.saturating_add(Self::empty_seats(netuid, limit.saturating_sub(done)));
        }
        if done < limit {
            Self::forget(netuid);
        }
        look.saturating_add(T::WeightInfo::dissolve(done.saturating_add(1)))
    }

    /// Takes at most `limit` members off their seats, and says how many.
    fn empty_seats(netuid: Netuid, limit: u32) -> u32 {
        // Looked for once: each search from the front would pass by all that is gone already.
        let some: Vec<_> = Members::<T>::iter_prefix(netuid)
            .take(limit as usize)
            .collect();
        let mut done = 0u32;
        for (uid, member) in some {
            let seats = Subnets::<T>::mutate(netuid, |subnet| {
                let subnet = subnet.as_mut()?;
                Self::unseat(netuid, uid, subnet, &member.hotkey).ok()
            });
            if seats.is_none() {
                defensive!("a subnet that is being dissolved does not count its members");
                Members::<T>::remove(netuid, uid);
                Swaps::<T>::remove(netuid, uid);
                Uids::<T>::remove(netuid, &member.hotkey);
                T::OnMember::on_left(netuid, uid, &member.hotkey);
            }
            done = done.saturating_add(1);
        }
        done
    }

    /// Removes the last of a subnet.
    fn forget(netuid: Netuid) {
        Subnets::<T>::remove(netuid);
        RulesOf::<T>::remove(netuid);
        HyperparametersSetAt::<T>::remove(netuid);
        RegistrationQuote::<T>::remove(netuid);
        Dissolving::<T>::remove(netuid);
        Self::deposit_event(Event::SubnetDissolved { netuid });
    }
}
