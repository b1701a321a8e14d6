//! What a subnet is paid for: kept for the emissions pallet, by the rules of [`cairn_protocol::emission`].

use alloc::{collections::BTreeMap, vec::Vec};
use cairn_primitives::{
    traits::{Membership, Work},
    Balance, ModelRoot, Netuid, Round, RunConfig, Uid, Verdicts, Witness,
};
use cairn_protocol::{
    attestation::{asks_for_witness, decisive_witness},
    emission::is_work,
};

use crate::{
    AbsencesOf, Ancestor, Attended, Attestations, Config, Lineage, Pallet, Records, Rounds, Tallies,
};

/// What is asked of a validator of a settled round.
struct Seat<AccountId> {
    uid: Uid,
    hotkey: AccountId,
    /// What it attested counts, in pebble.
    stake: Balance,
    /// Whether it attested the final root, and opened what it called good.
    has_attested: bool,
    /// What it gave as a witness, if it attested.
    witness: Option<Witness>,
}

impl<AccountId> Seat<AccountId> {
    /// Whether it attended, where this witness decides.
    fn has_attended(&self, decisive: Option<Witness>) -> bool {
        self.has_attested && (decisive.is_none() || self.witness == decisive)
    }
}

impl<T: Config> Pallet<T> {
    /// Writes down that a round was settled: with which final root, if any, and what it included.
    pub(crate) fn record<'a>(
        (netuid, round): (Netuid, Round),
        config: &RunConfig,
        root: Option<ModelRoot>,
        included: impl Iterator<Item = (Uid, &'a T::AccountId)> + Clone,
    ) where
        T::AccountId: 'a,
    {
        let seats = root.map_or_else(Vec::new, |root| Self::seats(netuid, round, root));
        let contributors = included
            .clone()
            .filter_map(|(_, hotkey)| T::Membership::coldkey(hotkey));
        let attesters = seats.iter().filter(|seat| seat.has_attested);
        let attesters = attesters.filter_map(|seat| T::Membership::coldkey(&seat.hotkey));
        let is_work = is_work(contributors, attesters);
        let mut record = Records::<T>::get(netuid).unwrap_or_default();
        record.settled(is_work, included.map(|(uid, _)| uid));
        Records::<T>::insert(netuid, record);
        if root.is_some() {
            let decisive = Self::decisive(config, &seats);
            Self::note_loss(netuid, round, decisive);
            let seats: Vec<(Uid, bool)> = seats
                .iter()
                .map(|seat| (seat.uid, seat.has_attended(decisive)))
                .collect();
            let mut attended = Attended::<T>::get(netuid).unwrap_or_default();
            attended.note(&seats);
            Attended::<T>::insert(netuid, attended);
        }
    }

    /// The witness that decides who of these attended; none in a run that does not audit, where nobody is asked for it.
    fn decisive(config: &RunConfig, seats: &[Seat<T::AccountId>]) -> Option<Witness> {
        if !asks_for_witness(&config.audits) {
            return None;
        }
        let said = seats.iter();
        decisive_witness(said.filter_map(|seat| Some((seat.witness?, seat.stake))))
    }

    /// Keeps the loss that a round's decisive witness states, with the root of the round before: it is of those
    /// parameters.
    fn note_loss(netuid: Netuid, round: Round, decisive: Option<Witness>) {
        let loss = decisive.and_then(|witness| witness.stated_loss());
        let (Some(before), Some(_)) = (round.checked_sub(1), loss) else {
            return;
        };
        if let Some(ancestor) = Lineage::<T>::get(netuid, before) {
            Lineage::<T>::insert(netuid, before, Ancestor { loss, ..ancestor });
        }
    }

    /// The validators of a round that have not left, and whether they attested this root and opened what they called
    /// good, as far as that was found out.
    fn seats(netuid: Netuid, round: Round, root: ModelRoot) -> Vec<Seat<T::AccountId>> {
        let Some(snapshot) = Rounds::<T>::get(netuid, round) else {
            return Vec::new();
        };
        let tally = Tallies::<T>::get(netuid, round);
        let broken = tally.found_broken();
        let there = snapshot
            .validators
            .into_iter()
            .filter(|one| !tally.departed.contains(one.uid));
        there
            .map(|validator| {
                let statement = Attestations::<T>::get((netuid, round, validator.uid));
                let attested = statement.as_ref().and_then(|one| one.attestation());
                Seat {
                    uid: validator.uid,
                    hotkey: validator.hotkey,
                    stake: validator.stake,
                    has_attested: attested.is_some_and(|one| {
                        one.model_root == root && one.called_unseen(&broken).is_none()
                    }),
                    witness: attested.map(|one| one.witness),
                }
            })
            .collect()
    }

    /// Takes a member that left out of what is kept of its subnet.
    pub(crate) fn forget(netuid: Netuid, uid: Uid) {
        if let Some(mut record) = Records::<T>::get(netuid) {
            record.leaves(uid);
            Records::<T>::insert(netuid, record);
        }
        if let Some(mut attended) = Attended::<T>::get(netuid) {
            attended.0.remove(&uid);
            Attended::<T>::insert(netuid, attended);
        }
    }
}

impl<T: Config> Work for Pallet<T> {
    fn claims(netuid: Netuid) -> bool {
        Records::<T>::get(netuid).is_some_and(|record| record.claims())
    }

    fn included(netuid: Netuid) -> Verdicts {
        Records::<T>::get(netuid)
            .unwrap_or_default()
            .included()
            .clone()
    }

    fn attended(netuid: Netuid) -> BTreeMap<Uid, (u32, u32)> {
        let attended = Attended::<T>::get(netuid).unwrap_or_default();
        attended
            .0
            .iter()
            .map(|(uid, one)| (*uid, one.attended()))
            .collect()
    }

    fn counted(netuid: Netuid, stakes: Vec<(Uid, Balance)>) -> BTreeMap<Uid, Balance> {
        let absences = AbsencesOf::<T>::get(netuid);
        let weigh = |(uid, stake): (Uid, Balance)| {
            let absence = absences.get(&uid).copied().unwrap_or_default();
            Some((uid, absence.weight(stake)?))
        };
        stakes.into_iter().filter_map(weigh).collect()
    }

    fn on_epoch(netuid: Netuid) {
        if let Some(mut record) = Records::<T>::get(netuid) {
            record.epoch();
            Records::<T>::insert(netuid, record);
        }
    }
}
