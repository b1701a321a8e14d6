//! Members that change their hotkey: announced, after a while done, and until then cancelled.

use cairn_primitives::{traits::OnMember, BlockNumber, Netuid, Uid};
use cairn_protocol::notice;
use frame_support::ensure;
use sp_runtime::{ArithmeticError, DispatchError, DispatchResult};

use crate::{
    pallet::{Coldkeys, Config, Error, Event, Hotkeys, Members, Pallet, Swaps, Uids},
    Swap,
};

impl<T: Config> Pallet<T> {
    /// The hotkey that a member is to have, and the block from which on it can.
    pub fn swap(netuid: Netuid, uid: Uid) -> Option<Swap<T::AccountId>> {
        Swaps::<T>::get(netuid, uid)
    }

    /// Whether a hotkey has no seat on a subnet and may get one of `coldkey`'s.
    pub(crate) fn ensure_may_sit(
        netuid: Netuid,
        hotkey: &T::AccountId,
        coldkey: &T::AccountId,
    ) -> DispatchResult {
        ensure!(
            !Uids::<T>::contains_key(netuid, hotkey),
            Error::<T>::AlreadyMember
        );
        let owner = Coldkeys::<T>::get(hotkey);
        ensure!(
            owner.is_none_or(|owner| owner == *coldkey),
            Error::<T>::NotHotkeysColdkey
        );
        Ok(())
    }

    /// Notes that a member is to have the hotkey `to`, which agreed, and gives the block from which on it can.
    pub(crate) fn note_swap(
        netuid: Netuid,
        uid: Uid,
        to: T::AccountId,
    ) -> Result<BlockNumber, DispatchError> {
        ensure!(
            !Swaps::<T>::contains_key(netuid, uid),
            Error::<T>::SwapAnnounced
        );
        let rules = Self::rules(netuid).ok_or(Error::<T>::UnknownSubnet)?;
        let from = notice::swap_from(Self::now(), &rules).ok_or(ArithmeticError::Overflow)?;
        Swaps::<T>::insert(netuid, uid, Swap { to, from });
        Ok(from)
    }

    /// Gives a member the hotkey that was announced for it, if it is time.
    pub(crate) fn do_swap(
        netuid: Netuid,
        uid: Uid,
        coldkey: T::AccountId,
        old: T::AccountId,
    ) -> DispatchResult {
        let Swap { to: new, from } =
            Swaps::<T>::get(netuid, uid).ok_or(Error::<T>::NoSwapAnnounced)?;
        ensure!(Self::now() >= from, Error::<T>::SwapTooSoon);
        Self::ensure_may_sit(netuid, &new, &coldkey)?;
        let mut member = Members::<T>::get(netuid, uid).ok_or(Error::<T>::NotMember)?;
        member.hotkey = new.clone();
        Swaps::<T>::remove(netuid, uid);
        Members::<T>::insert(netuid, uid, member);
        Uids::<T>::remove(netuid, &old);
        Uids::<T>::insert(netuid, &new, uid);
        Coldkeys::<T>::insert(&new, &coldkey);
        Hotkeys::<T>::insert(&coldkey, &new, ());
        frame_system::Pallet::<T>::inc_sufficients(&new);
        Self::deposit_event(Event::HotkeySwapped {
            netuid,
            uid,
            old: old.clone(),
            new: new.clone(),
        });
        T::OnMember::on_swapped(netuid, uid, &old, &new);
        // Afterwards, as when a member leaves.
        frame_system::Pallet::<T>::dec_sufficients(&old);
        Ok(())
    }
}
