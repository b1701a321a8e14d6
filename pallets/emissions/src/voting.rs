//! Which weights a validator may set.

use alloc::vec::Vec;

use cairn_primitives::{
    traits::{Membership, Stakes},
    Netuid, Uid,
};
use frame_support::{ensure, traits::Get};

use crate::{
    pallet::{Config, Error, Pallet, Votes},
    types::{Row, Vote},
};

impl<T: Config> Pallet<T> {
    /// Whether `hotkey` may set these weights now: its uid, and the vote as it is kept.
    pub(crate) fn check_vote(
        hotkey: &T::AccountId,
        netuid: Netuid,
        weights: &Row,
    ) -> Result<(Uid, Vote), Error<T>> {
        let hyperparameters =
            T::Membership::hyperparameters(netuid).ok_or(Error::<T>::NoSuchSubnet)?;
        let uid = T::Membership::uid(netuid, hotkey).ok_or(Error::<T>::NotAMember)?;
        let enough = hyperparameters.min_validator_stake.max(1);
        ensure!(
            T::Stakes::stake(netuid, hotkey) >= enough,
            Error::<T>::NotAValidator
        );
        let now = Self::now();
        if let Some(last) = Votes::<T>::get(netuid, uid) {
            let next = last.set_at.saturating_add(T::WeightsRateLimit::get());
            ensure!(now >= next, Error::<T>::TooSoon);
        }
        Ok((
            uid,
            Vote {
                set_at: now,
                weights: Self::check_row(netuid, uid, weights)?,
            },
        ))
    }

    /// The row in ascending order and without zeros.
    fn check_row(netuid: Netuid, own: Uid, weights: &Row) -> Result<Row, Error<T>> {
        let mut sorted: Vec<(Uid, u16)> = weights.to_vec();
        sorted.sort_unstable_by_key(|cell| cell.0);
        let twice = sorted
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if a.0 == b.0));
        ensure!(!twice, Error::<T>::DuplicateUid);
        for (uid, _) in &sorted {
            ensure!(*uid != own, Error::<T>::SelfWeight);
            ensure!(
                T::Membership::hotkey(netuid, *uid).is_some(),
                Error::<T>::NoSuchUid
            );
        }
        sorted.retain(|cell| cell.1 > 0);
        ensure!(!sorted.is_empty(), Error::<T>::NoWeights);
        // Not longer than what came in.
        Row::try_from(sorted).map_err(|_| Error::<T>::DuplicateUid)
    }
}
