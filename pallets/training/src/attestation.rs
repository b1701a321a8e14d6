//! What validators do in a round: attest.

use cairn_primitives::{Netuid, Phase, Round, Verdicts, H256};
use frame_support::ensure;
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
        state_root: H256,
    ) -> Result<(Validator<T::AccountId>, Tally), Error<T>> {
        let (snapshot, phase) = Self::current(netuid, round)?;
        let tally = Tallies::<T>::get(netuid, round);
        let validator = snapshot
            .validators
            .into_iter()
            .find(|validator| validator.hotkey == *who && !tally.departed.contains(validator.uid))
            .ok_or(Error::<T>::NotAValidatorOfThisRound)?;
        ensure!(
            !matches!(phase, Phase::Train | Phase::Reveal),
            Error::<T>::TooEarlyToAttest
        );
        ensure!(phase == Phase::Attest, Error::<T>::TooLateToAttest);
        let attested = Attestations::<T>::contains_key((netuid, round, validator.uid));
        ensure!(!attested, Error::<T>::AlreadyAttested);
        ensure!(!state_root.is_zero(), Error::<T>::ZeroStateRoot);
        let known = |uid| tally.support.contains_key(&uid) || tally.departed.contains(uid);
        ensure!(verdicts.uids().all(known), Error::<T>::VerdictOnUnrevealed);
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
        let state_root = attestation.state_root;
        tally
            .add(&attestation, stake)
            .ok_or(DispatchError::Exhausted)?;
        Tallies::<T>::insert(netuid, round, tally);
        Attestations::<T>::insert(at, attestation);
        Self::deposit_event(Event::Attested {
            netuid,
            round,
            uid,
            state_root,
        });
        Ok(())
    }
}

impl Tally {
    /// Adds a vote of `stake`. `None` if the sums overflow or there is no room for the root, which
    /// cannot be: there are no more roots than validators, and no more stake than tokens.
    pub(crate) fn add(&mut self, vote: &Attestation, stake: Balance) -> Option<()> {
        let behind_root = self.roots.get(&vote.state_root).copied().unwrap_or(0);
        let behind_root = behind_root.checked_add(stake)?;
        self.roots.try_insert(vote.state_root, behind_root).ok()?;
        self.attesting_stake = self.attesting_stake.checked_add(stake)?;
        for uid in vote.verdicts.uids() {
            if let Some(support) = self.support.get_mut(&uid) {
                *support = support.checked_add(stake)?;
            }
        }
        Some(())
    }

    /// Takes back a vote of `stake` that was added before. `None` if it was not.
    pub(crate) fn take_back(&mut self, vote: &Attestation, stake: Balance) -> Option<()> {
        let behind_root = self.roots.get_mut(&vote.state_root)?;
        *behind_root = behind_root.checked_sub(stake)?;
        if *behind_root == 0 {
            self.roots.remove(&vote.state_root);
        }
        self.attesting_stake = self.attesting_stake.checked_sub(stake)?;
        for uid in vote.verdicts.uids() {
            if let Some(support) = self.support.get_mut(&uid) {
                *support = support.checked_sub(stake)?;
            }
        }
        Some(())
    }
}
