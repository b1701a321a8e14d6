//! Miners that leave, or sign with another hotkey, while they are audited.
//!
//! A hotkey has no money: its account is there because a member has it. So it is held until the audit ends.

use cairn_primitives::{traits::OnMember, Netuid, Uid};
use cairn_protocol::wages::Judged;
use frame_support::dispatch::DispatchClass;

use crate::{Config, Counts, OpenAudits, Pallet, Passes, WeightInfo};

impl<T: Config> OnMember<T::AccountId> for Pallet<T> {
    /// A successor has still to prove its work.
    fn on_left(netuid: Netuid, uid: Uid, hotkey: &T::AccountId) {
        Passes::<T>::mutate_extant(netuid, |passed| passed.note(uid, Judged::default()));
        Self::hold(netuid, uid, hotkey);
    }

    /// The member, and what it has proven, stays.
    fn on_swapped(netuid: Netuid, uid: Uid, old: &T::AccountId, _: &T::AccountId) {
        Self::hold(netuid, uid, old);
    }
}

impl<T: Config> Pallet<T> {
    fn hold(netuid: Netuid, uid: Uid, hotkey: &T::AccountId) {
        let weight = T::WeightInfo::on_left();
        frame_system::Pallet::<T>::register_extra_weight_unchecked(weight, DispatchClass::Normal);
        for round in Counts::<T>::get(netuid).keys() {
            let id = (netuid, *round, uid);
            let known = OpenAudits::<T>::get(id);
            let found = known.filter(|one| one.hotkey == *hotkey && !one.is_held);
            if let Some(mut audit) = found {
                frame_system::Pallet::<T>::inc_sufficients(hotkey);
                audit.is_held = true;
                OpenAudits::<T>::insert(id, audit);
            }
        }
    }
}
