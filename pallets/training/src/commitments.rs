//! What miners do in a round: commit, then reveal.
//!
//! Each call is a check, which only reads, and a note, which only writes. The check alone decides
//! whether a call is free of fees, so a call is free exactly when it will succeed.

use cairn_primitives::{
    key_hash, traits::Membership, BlockNumber, Commitment, ContributionKey, Netuid, Phase, Round,
    Uid,
};
use frame_support::{ensure, traits::Get};
use sp_runtime::{traits::SaturatedConversion, DispatchError, DispatchResult};

use crate::{
    Config, Contribution, Contributions, Error, Event, MemberOfRound, Pallet, Rounds, Runs,
    Snapshot, Tallies,
};

impl<T: Config> Pallet<T> {
    /// The present block.
    pub(crate) fn now() -> BlockNumber {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }

    /// The current round, if that is `round`, and its phase.
    pub(crate) fn current(
        netuid: Netuid,
        round: Round,
    ) -> Result<(Snapshot<T::AccountId>, Phase), Error<T>> {
        let run = Runs::<T>::get(netuid).ok_or_else(|| {
            if T::Membership::is_dissolving(netuid) {
                Error::<T>::SubnetDissolving
            } else {
                Error::<T>::NoRun
            }
        })?;
        let current = run.round.ok_or(Error::<T>::RunNotBegun)?;
        ensure!(current == round, Error::<T>::NotTheCurrentRound);
        let snapshot = Rounds::<T>::get(netuid, round).ok_or(Error::<T>::NotTheCurrentRound)?;
        let phase = snapshot.phases.at(snapshot.start, Self::now());
        Ok((snapshot, phase))
    }

    /// The uid of the round's miner `who`, unless it left.
    fn miner_of(
        snapshot: &Snapshot<T::AccountId>,
        netuid: Netuid,
        round: Round,
        who: &T::AccountId,
    ) -> Result<Uid, Error<T>> {
        let miner = snapshot.miners.iter().find(|(_, hotkey)| hotkey == who);
        let (uid, _) = miner.ok_or(Error::<T>::NotAMinerOfThisRound)?;
        let left = Tallies::<T>::get(netuid, round).departed.contains(*uid);
        ensure!(!left, Error::<T>::NotAMinerOfThisRound);
        Ok(*uid)
    }

    /// Whether `who` can make this commitment now: its uid.
    pub(crate) fn check_commit(
        who: &T::AccountId,
        netuid: Netuid,
        round: Round,
        commitment: &Commitment,
    ) -> Result<Uid, Error<T>> {
        let (snapshot, phase) = Self::current(netuid, round)?;
        let uid = Self::miner_of(&snapshot, netuid, round, who)?;
        ensure!(phase == Phase::Train, Error::<T>::TooLateToCommit);
        let committed = Contributions::<T>::contains_key((netuid, round, uid));
        ensure!(!committed, Error::<T>::AlreadyCommitted);
        ensure!(commitment.length > 0, Error::<T>::EmptyContribution);
        let longest = T::MaxContributionBytes::get();
        ensure!(
            commitment.length <= longest,
            Error::<T>::ContributionTooLong
        );
        let Commitment {
            parent_root,
            sealed_root,
            key_hash,
            ..
        } = commitment;
        let zero = [parent_root, sealed_root, key_hash]
            .iter()
            .any(|hash| hash.is_zero());
        ensure!(!zero, Error::<T>::ZeroHash);
        Ok(uid)
    }

    /// Writes down a checked commitment.
    pub(crate) fn note_commitment(who: T::AccountId, at: MemberOfRound, commitment: Commitment) {
        let (netuid, round, uid) = at;
        let contribution = Contribution {
            hotkey: who,
            commitment,
            key: None,
        };
        Contributions::<T>::insert(at, contribution);
        Self::deposit_event(Event::Committed { netuid, round, uid });
    }

    /// Whether `who` can reveal this key now: its uid and what it committed to.
    pub(crate) fn check_reveal(
        who: &T::AccountId,
        netuid: Netuid,
        round: Round,
        key: &ContributionKey,
    ) -> Result<(Uid, Contribution<T::AccountId>), Error<T>> {
        let (snapshot, phase) = Self::current(netuid, round)?;
        let uid = Self::miner_of(&snapshot, netuid, round, who)?;
        ensure!(phase != Phase::Train, Error::<T>::TooEarlyToReveal);
        ensure!(phase == Phase::Reveal, Error::<T>::TooLateToReveal);
        let contribution =
            Contributions::<T>::get((netuid, round, uid)).ok_or(Error::<T>::NotCommitted)?;
        ensure!(contribution.key.is_none(), Error::<T>::AlreadyRevealed);
        let hash = key_hash(netuid, round, who.as_ref(), key);
        ensure!(
            hash == contribution.commitment.key_hash,
            Error::<T>::WrongKey
        );
        Ok((uid, contribution))
    }

    /// Writes down a checked key.
    pub(crate) fn note_key(
        at: MemberOfRound,
        contribution: Contribution<T::AccountId>,
        key: ContributionKey,
    ) -> DispatchResult {
        let (netuid, round, uid) = at;
        Tallies::<T>::try_mutate(netuid, round, |tally| {
            // A snapshot has no more miners than the tally has room for.
            tally
                .support
                .try_insert(uid, 0)
                .map_err(|_| DispatchError::Exhausted)
        })?;
        Contributions::<T>::insert(
            at,
            Contribution {
                key: Some(key),
                ..contribution
            },
        );
        Self::deposit_event(Event::Revealed { netuid, round, uid });
        Ok(())
    }
}
