//! What miners do in a round: commit, then reveal.
//!
//! Each call is a check, which only reads, and a note, which only writes. The check alone decides
//! whether a call is free of fees, so a call is free exactly when it will succeed.

use cairn_primitives::{
    traits::Membership, BlockNumber, Commitment, ContributionKey, Hotkey, Netuid, Round, Uid,
};
use cairn_protocol::{
    commitment,
    eligibility::member_of,
    phase::{RoundStage, Timetable},
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

    /// The current round, if that is `round`, and when it is.
    pub(crate) fn current(
        netuid: Netuid,
        round: Round,
    ) -> Result<(Snapshot<T::AccountId>, Timetable), Error<T>> {
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
        Ok((snapshot, Timetable(run.times)))
    }

    /// The uid of the round's miner `who`, unless it left.
    fn miner_of(
        snapshot: &Snapshot<T::AccountId>,
        netuid: Netuid,
        round: Round,
        who: &T::AccountId,
    ) -> Result<Uid, Error<T>> {
        let miners = snapshot.miners.iter().map(|(uid, hotkey)| (*uid, hotkey));
        let departed = Tallies::<T>::get(netuid, round).departed;
        member_of(miners, &departed, who).ok_or(Error::<T>::NotAMinerOfThisRound)
    }

    /// Whether `who` can make this commitment now: its uid, and what is to be kept.
    pub(crate) fn check_commit(
        who: &T::AccountId,
        netuid: Netuid,
        round: Round,
        commitment: &Commitment,
    ) -> Result<(Uid, Contribution<T::AccountId>), Error<T>> {
        let (snapshot, times) = Self::current(netuid, round)?;
        let phase = times.phase(Self::now());
        let uid = Self::miner_of(&snapshot, netuid, round, who)?;
        let known = Contributions::<T>::get((netuid, round, uid));
        let contribution = commitment::commit(
            phase,
            known.as_ref(),
            who.clone(),
            commitment.clone(),
            T::MaxContributionBytes::get(),
        )?;
        Ok((uid, contribution))
    }

    /// Writes down a checked commitment.
    pub(crate) fn note_commitment(at: MemberOfRound, contribution: Contribution<T::AccountId>) {
        let (netuid, round, uid) = at;
        Contributions::<T>::insert(at, contribution);
        Self::comes(at, RoundStage::Commit);
        Self::deposit_event(Event::Committed { netuid, round, uid });
    }

    /// Whether `who` can reveal this key now: its uid, and what is to be kept.
    pub(crate) fn check_reveal(
        who: &T::AccountId,
        netuid: Netuid,
        round: Round,
        key: &ContributionKey,
    ) -> Result<(Uid, Contribution<T::AccountId>), Error<T>> {
        let (snapshot, times) = Self::current(netuid, round)?;
        let phase = times.phase(Self::now());
        let uid = Self::miner_of(&snapshot, netuid, round, who)?;
        let known = Contributions::<T>::get((netuid, round, uid));
        let revealed = commitment::reveal(phase, known, (netuid, round, &Hotkey::of(who)), *key)?;
        Ok((uid, revealed))
    }

    /// Writes down a checked key.
    pub(crate) fn note_key(
        at: MemberOfRound,
        contribution: Contribution<T::AccountId>,
    ) -> DispatchResult {
        let (netuid, round, uid) = at;
        Tallies::<T>::try_mutate(netuid, round, |tally| {
            // A snapshot has no more miners than the tally has room for.
            tally.reveal(uid).map_err(|_| DispatchError::Exhausted)
        })?;
        Contributions::<T>::insert(at, contribution);
        Self::comes(at, RoundStage::Reveal);
        Self::deposit_event(Event::Revealed { netuid, round, uid });
        Ok(())
    }
}

impl<T> From<commitment::Refusal> for Error<T> {
    fn from(refusal: commitment::Refusal) -> Self {
        match refusal {
            commitment::Refusal::TooLateToCommit => Error::TooLateToCommit,
            commitment::Refusal::AlreadyCommitted => Error::AlreadyCommitted,
            commitment::Refusal::Empty => Error::EmptyContribution,
            commitment::Refusal::TooLong => Error::ContributionTooLong,
            commitment::Refusal::ZeroHash => Error::ZeroHash,
            commitment::Refusal::TooEarlyToReveal => Error::TooEarlyToReveal,
            commitment::Refusal::TooLateToReveal => Error::TooLateToReveal,
            commitment::Refusal::NotCommitted => Error::NotCommitted,
            commitment::Refusal::AlreadyRevealed => Error::AlreadyRevealed,
            commitment::Refusal::WrongKey => Error::WrongKey,
        }
    }
}
