//! What validators do in a round: attest.

use cairn_primitives::{Netuid, Round, Verdicts, H256};
use cairn_protocol::attestation;
use sp_runtime::{DispatchError, DispatchResult};

use cairn_primitives::Balance;

use crate::{
    Attestation, Attestations, Config, Error, Event, MemberOfRound, Pallet, Tallies, Tally,
    Validator,
};

impl<T: Config> Pallet<T> {
    /// Whether `who` can attest this now: as which validator, and the tally to which it adds.
    pub(crate) fn check_attest(
        who: &T::AccountId,
        netuid: Netuid,
        round: Round,
        verdicts: &Verdicts,
        model_root: H256,
    ) -> Result<(Validator<T::AccountId>, Tally), Error<T>> {
        let (snapshot, phase) = Self::current(netuid, round)?;
        let tally = Tallies::<T>::get(netuid, round);
        let validator = snapshot
            .validators
            .into_iter()
            .find(|validator| validator.hotkey == *who && !tally.departed.contains(validator.uid))
            .ok_or(Error::<T>::NotAValidatorOfThisRound)?;
        let attested = Attestations::<T>::contains_key((netuid, round, validator.uid));
        attestation::check(phase, attested, &tally, model_root, verdicts)?;
        Ok((validator, tally))
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
        Attestations::<T>::insert(at, attestation);
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
            attestation::Refusal::TooLate => Error::TooLateToAttest,
            attestation::Refusal::AlreadyAttested => Error::AlreadyAttested,
            attestation::Refusal::ZeroRoot => Error::ZeroModelRoot,
            attestation::Refusal::Unrevealed => Error::VerdictOnUnrevealed,
        }
    }
}
