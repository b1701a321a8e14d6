//! Members that leave, or sign with another hotkey: what the old one named goes.

use cairn_primitives::{traits::OnMember, Netuid, Uid};
use frame_support::dispatch::DispatchClass;

use crate::{Config, Endpoints, Pallet, WeightInfo};

impl<T: Config> OnMember<T::AccountId> for Pallet<T> {
    fn on_left(netuid: Netuid, uid: Uid, _: &T::AccountId) {
        let weight = T::WeightInfo::on_left();
        frame_system::Pallet::<T>::register_extra_weight_unchecked(weight, DispatchClass::Normal);
        Endpoints::<T>::remove(netuid, uid);
    }

    fn on_swapped(netuid: Netuid, uid: Uid, old: &T::AccountId, _: &T::AccountId) {
        Self::on_left(netuid, uid, old);
    }
}
