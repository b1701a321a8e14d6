//! What past epochs made of subnets and their members.
//!
//! The last [`HISTORY_EPOCHS`] epochs are kept in rings: a map keyed by the epoch's number modulo that many,
//! of which an epoch overwrites one entry. An epoch that gave a member nothing writes nothing for it, so an
//! entry counts only if its epoch is among the last ones. Nor does a new member inherit: entries of epochs
//! before it came are its predecessor's, and are overwritten in time.

use alloc::vec::Vec;

use cairn_primitives::{
    api::{EpochPage, MemberEpoch, SubnetEpoch},
    traits::Membership,
    EpochIndex, Netuid, Uid, HISTORY_EPOCHS,
};

use crate::pallet::{Config, MemberHistory, Pallet, SubnetHistory, SubnetLedgers};

/// Where an epoch is in a ring.
pub(crate) fn slot(epoch: EpochIndex) -> u8 {
    // A remainder by 64.
    (epoch % HISTORY_EPOCHS) as u8
}

impl<T: Config> Pallet<T> {
    /// Writes down what an epoch made of a member, unless that is nothing.
    pub(crate) fn remember_member(netuid: Netuid, uid: Uid, outcome: MemberEpoch) {
        let shares = (outcome.incentive, outcome.dividends);
        if shares != (0, 0) || (outcome.as_miner, outcome.as_validator) != (0, 0) {
            MemberHistory::<T>::insert((netuid, uid, slot(outcome.epoch)), outcome);
        }
    }

    /// Writes down what an epoch had and did.
    pub(crate) fn remember_subnet(netuid: Netuid, epoch: SubnetEpoch) {
        SubnetHistory::<T>::insert(netuid, slot(epoch.epoch), epoch);
    }

    /// At most `limit` of the epochs of a subnet that are kept, from number `from` on. `None` if there is no
    /// such subnet.
    pub fn subnet_history(
        netuid: Netuid,
        from: EpochIndex,
        limit: u32,
    ) -> Option<EpochPage<SubnetEpoch>> {
        T::Membership::hyperparameters(netuid)?;
        Some(Self::page(netuid, from, limit, |epoch| {
            SubnetHistory::<T>::get(netuid, slot(epoch)).filter(|entry| entry.epoch == epoch)
        }))
    }

    /// At most `limit` of the epochs that are kept, from number `from` on, in which a member had a share or
    /// was paid. `None` if there is no such member.
    pub fn member_history(
        netuid: Netuid,
        uid: Uid,
        from: EpochIndex,
        limit: u32,
    ) -> Option<EpochPage<MemberEpoch>> {
        let since = T::Membership::registered_at(netuid, uid)?;
        Some(Self::page(netuid, from, limit, |epoch| {
            MemberHistory::<T>::get((netuid, uid, slot(epoch)))
                .filter(|entry| entry.epoch == epoch && entry.block > since)
        }))
    }

    /// A page of what `read` finds, over at most [`HISTORY_EPOCHS`] epochs.
    fn page<E>(
        netuid: Netuid,
        from: EpochIndex,
        limit: u32,
        read: impl Fn(EpochIndex) -> Option<E>,
    ) -> EpochPage<E> {
        let end = SubnetLedgers::<T>::get(netuid).map_or(0, |ledger| ledger.epochs);
        let first = from.max(end.saturating_sub(HISTORY_EPOCHS));
        let limit = limit.clamp(1, HISTORY_EPOCHS) as usize;
        let mut found = (first..end).filter_map(|epoch| Some((epoch, read(epoch)?)));
        let epochs: Vec<E> = found.by_ref().take(limit).map(|(_, entry)| entry).collect();
        let next = found.next().map(|(epoch, _)| epoch);
        EpochPage { epochs, next }
    }
}
