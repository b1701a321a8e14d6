//! What validators do in a round: commit to what they attest, then attest.

use cairn_primitives::{Balance, Hotkey, Netuid, Round, H256};
use cairn_protocol::{
    attestation,
    phase::{Attesting, RoundStage},
};
use sp_runtime::{DispatchError, DispatchResult};

use crate::{
    Attestation, Attestations, Config, Error, Event, MemberOfRound, Pallet, Statement, Tallies,
    Tally, Validator,
};

/// A validator of the current round, and how far it and the round have come.
struct Standing<AccountId> {
    validator: Validator<AccountId>,
    attesting: Attesting,
    said: Option<Statement>,
    tally: Tally,
}

impl<T: Config> Pallet<T> {
    fn standing(
        who: &T::AccountId,
        netuid: Netuid,
        round: Round,
    ) -> Result<Standing<T::AccountId>, Error<T>> {
        let (snapshot, times) = Self::current(netuid, round)?;
        let attesting = times.attesting(Self::now());
        let tally = Tallies::<T>::get(netuid, round);
        let validator = snapshot
            .validators
            .into_iter()
            .find(|validator| validator.hotkey == *who && !tally.departed.contains(validator.uid))
            .ok_or(Error::<T>::NotAValidatorOfThisRound)?;
        Ok(Standing {
            said: Attestations::<T>::get((netuid, round, validator.uid)),
            validator,
            attesting,
            tally,
        })
    }

    /// Whether `who` can commit to this now: its uid in the round, and what is to be kept.
    pub(crate) fn check_commit_attestation(
        who: &T::AccountId,
        netuid: Netuid,
        round: Round,
        hash: H256,
    ) -> Result<(MemberOfRound, Statement), Error<T>> {
        let standing = Self::standing(who, netuid, round)?;
        let said = attestation::commit(standing.attesting, standing.said.as_ref(), hash)?;
        Ok(((netuid, round, standing.validator.uid), said))
    }

    /// Writes down a checked commitment to an attestation.
    pub(crate) fn note_commit_attestation(at: MemberOfRound, said: Statement) {
        let (netuid, round, uid) = at;
        Attestations::<T>::insert(at, said);
        Self::comes(at, RoundStage::Bind);
        Self::deposit_event(Event::AttestationCommitted { netuid, round, uid });
    }

    /// Whether `who` can attest this now: as which validator, and the tally to which it adds.
    pub(crate) fn check_attest(
        who: &T::AccountId,
        netuid: Netuid,
        round: Round,
        attestation: &Attestation,
    ) -> Result<(Validator<T::AccountId>, Tally), Error<T>> {
        let standing = Self::standing(who, netuid, round)?;
        let hotkey = Hotkey::of(who);
        let at = (netuid, round, &hotkey);
        attestation::check(standing.attesting, standing.said.as_ref(), at, attestation)?;
        Ok((standing.validator, standing.tally))
    }

    /// Writes down a checked attestation that counts `stake`.
    pub(crate) fn note_attestation(
        at: MemberOfRound,
        stake: Balance,
        mut tally: Tally,
        attestation: Attestation,
    ) -> DispatchResult {
        let (netuid, round, uid) = at;
        let model_root = attestation.model_root;
        tally
            .add(&attestation, stake)
            .map_err(|_| DispatchError::Exhausted)?;
        Tallies::<T>::insert(netuid, round, tally);
        Attestations::<T>::insert(at, Statement::Attested(attestation));
        Self::comes(at, RoundStage::Open);
        Self::deposit_event(Event::Attested {
            netuid,
            round,
            uid,
            model_root,
        });
        Ok(())
    }
}

impl<T> From<attestation::Refusal> for Error<T> {
    fn from(refusal: attestation::Refusal) -> Self {
        match refusal {
            attestation::Refusal::TooEarly => Error::TooEarlyToAttest,
            attestation::Refusal::TooLateToCommit => Error::TooLateToCommit,
            attestation::Refusal::TooLate => Error::TooLateToAttest,
            attestation::Refusal::AlreadyCommitted => Error::AlreadyCommitted,
            attestation::Refusal::NotCommitted => Error::NotCommitted,
            attestation::Refusal::AlreadyAttested => Error::AlreadyAttested,
            attestation::Refusal::ZeroHash => Error::ZeroHash,
            attestation::Refusal::ZeroRoot => Error::ZeroModelRoot,
            attestation::Refusal::Torn => Error::GoodAndBroken,
            attestation::Refusal::WrongHash => Error::NotAsCommitted,
        }
    }
}
