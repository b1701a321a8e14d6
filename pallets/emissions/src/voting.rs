//! Which scores a validator may set.

use alloc::vec::Vec;

use cairn_primitives::{
    traits::{Membership, Stakes},
    Hyperparameters, Netuid, Uid,
};
use cairn_protocol::eligibility::may_validate;
use frame_support::ensure;

use crate::{
    pallet::{Config, Error, Pallet, Votes},
    types::{Row, Vote},
};

impl<T: Config> Pallet<T> {
    /// The uid of a hotkey that may validate in a subnet, and the subnet's hyperparameters.
    pub(crate) fn check_validator(
        hotkey: &T::AccountId,
        netuid: Netuid,
    ) -> Result<(Uid, Hyperparameters), Error<T>> {
        let hyperparameters =
            T::Membership::hyperparameters(netuid).ok_or(Error::<T>::UnknownSubnet)?;
        ensure!(
            !T::Membership::is_dissolving(netuid),
            Error::<T>::SubnetDissolving
        );
        let uid = T::Membership::uid(netuid, hotkey).ok_or(Error::<T>::NotMember)?;
        let role = T::Membership::role(netuid, uid).ok_or(Error::<T>::NotMember)?;
        let stake = T::Stakes::stake(netuid, hotkey);
        ensure!(
            may_validate(&hyperparameters, role, stake),
            Error::<T>::NotAValidator
        );
        Ok((uid, hyperparameters))
    }

    /// Whether `hotkey` may set these scores in the open now: its uid, and the vote as it is kept.
    pub(crate) fn check_vote(
        hotkey: &T::AccountId,
        netuid: Netuid,
        scores: &Row,
    ) -> Result<(Uid, Vote), Error<T>> {
        let (uid, hyperparameters) = Self::check_validator(hotkey, netuid)?;
        ensure!(!hyperparameters.commit_reveal, Error::<T>::CommitRevealOn);
        let now = Self::now();
        let last = Votes::<T>::get(netuid, uid).map(|vote| vote.set_at);
        ensure!(Self::rested(last, now), Error::<T>::TooSoon);
        Ok((
            uid,
            Vote {
                set_at: now,
                scores: Self::check_row(netuid, uid, scores)?,
                evidence: None,
            },
        ))
    }

    /// The row in ascending order and without zeros.
    pub(crate) fn check_row(netuid: Netuid, own: Uid, scores: &Row) -> Result<Row, Error<T>> {
        let mut sorted: Vec<(Uid, u16)> = scores.to_vec();
        sorted.sort_unstable_by_key(|cell| cell.0);
        let twice = sorted
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if a.0 == b.0));
        ensure!(!twice, Error::<T>::DuplicateUid);
        for (uid, _) in &sorted {
            ensure!(*uid != own, Error::<T>::SelfScore);
            ensure!(
                T::Membership::hotkey(netuid, *uid).is_some(),
                Error::<T>::NoSuchUid
            );
        }
        sorted.retain(|cell| cell.1 > 0);
        ensure!(!sorted.is_empty(), Error::<T>::NoScores);
        // Not longer than what came in.
        Row::try_from(sorted).map_err(|_| Error::<T>::DuplicateUid)
    }
}
