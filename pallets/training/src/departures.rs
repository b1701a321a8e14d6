//! Members that leave, or are replaced, in the middle of a round, and subnets that end in one.
//!
//! The snapshot stays as it is, since slots are positions in it; the tally notes who is gone. A miner
//! takes its contribution with it, a validator what it said and its part of the stake that could attest.
//! Whoever takes over the uid takes part from the next round on.

use cairn_primitives::{
    traits::{Dissolve, Membership, OnMember},
    Netuid, Role, Round, Uid,
};
use frame_support::{defensive, dispatch::DispatchClass};

use crate::{
    Absence, AbsencesOf, Attended, Attestations, Clearing, Config, Contributions, EndedRuns, Event,
    Pallet, Records, Rounds, Runs, Statement, Tallies, Tally, WeightInfo,
};

impl<T: Config> Dissolve for Pallet<T> {
    /// The run stops, and its round with it. What that costs beyond a subnet without one is added to the block's
    /// weight.
    fn on_dissolving(netuid: Netuid) {
        if let Some(run) = Runs::<T>::take(netuid) {
            let weight = T::WeightInfo::stop_run().saturating_add(Self::remembering());
            frame_system::Pallet::<T>::register_extra_weight_unchecked(
                weight,
                DispatchClass::Normal,
            );
            Self::close_run(netuid, run);
        }
    }

    /// The hook removes what a stopped run left: until it has, there is more to come. Then what stayed of it
    /// goes with the subnet.
    fn dissolve(netuid: Netuid, limit: u32) -> u32 {
        if Clearing::<T>::contains_key(netuid) {
            return limit;
        }
        let parts: [fn(Netuid) -> bool; 3] = [
            |netuid| EndedRuns::<T>::take(netuid).is_some(),
            |netuid| Records::<T>::take(netuid).is_some(),
            |netuid| Attended::<T>::take(netuid).is_some(),
        ];
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let removed = parts.iter().filter(|remove| remove(netuid)).take(most);
        u32::try_from(removed.count()).unwrap_or(limit)
    }
}

impl<T: Config> OnMember<T::AccountId> for Pallet<T> {
    /// The new hotkey takes part from the next round on; what the old one said in this one is void. What the member
    /// missed, held up or attended stays with it. A miner counts as left out, too: else another hotkey would be as good
    /// as another seat, where slots are scarce.
    fn on_swapped(netuid: Netuid, uid: Uid, old: &T::AccountId, _: &T::AccountId) {
        Self::leave_round(netuid, uid, old);
        let has_begun = Runs::<T>::get(netuid).is_some_and(|run| run.round.is_some());
        if !has_begun || T::Membership::role(netuid, uid) != Some(Role::Miner) {
            return;
        }
        let noted = AbsencesOf::<T>::mutate(netuid, |absences| {
            let known: Absence = absences.get(&uid).copied().unwrap_or_default();
            absences.try_insert(uid, known.included(false))
        });
        if noted.is_err() {
            defensive!("more members than there can be");
        }
    }

    fn on_left(netuid: Netuid, uid: Uid, hotkey: &T::AccountId) {
        Self::forget(netuid, uid);
        AbsencesOf::<T>::mutate_extant(netuid, |absences| {
            absences.remove(&uid);
        });
        Self::leave_round(netuid, uid, hotkey);
    }
}

impl<T: Config> Pallet<T> {
    /// A hotkey has no part in the round in progress any more: what it said in it is void.
    fn leave_round(netuid: Netuid, uid: Uid, hotkey: &T::AccountId) {
        let Some(round) = Runs::<T>::get(netuid).and_then(|run| run.round) else {
            return;
        };
        let Some(snapshot) = Rounds::<T>::get(netuid, round) else {
            return;
        };
        let mut tally = Tallies::<T>::get(netuid, round);
        if tally.departed.contains(uid) {
            return;
        }
        let is_left = |member: Uid, key: &T::AccountId| member == uid && key == hotkey;
        let validator = snapshot
            .validators
            .iter()
            .find(|v| is_left(v.uid, &v.hotkey));
        if let Some(validator) = validator {
            Self::drop_attestation(netuid, round, uid, validator.stake, &mut tally);
        } else if snapshot
            .miners
            .iter()
            .any(|(member, key)| is_left(*member, key))
        {
            Self::drop_contribution(netuid, round, uid, &mut tally);
        } else {
            return;
        }
        Tallies::<T>::insert(netuid, round, tally);
        Self::leaves(netuid, uid);
    }

    fn drop_attestation(netuid: Netuid, round: Round, uid: Uid, stake: u64, tally: &mut Tally) {
        let statement = Attestations::<T>::take((netuid, round, uid));
        let attestation = statement.as_ref().and_then(Statement::attestation);
        let left = tally.validator_leaves(uid, stake, attestation);
        if left.is_err() {
            defensive!("an attestation was not in the tally");
        }
        if statement.is_some() {
            Self::deposit_event(Event::AttestationDropped { netuid, round, uid });
        }
    }

    fn drop_contribution(netuid: Netuid, round: Round, uid: Uid, tally: &mut Tally) {
        tally.miner_leaves(uid);
        if Contributions::<T>::take((netuid, round, uid)).is_some() {
            Self::deposit_event(Event::ContributionDropped { netuid, round, uid });
        }
    }
}
