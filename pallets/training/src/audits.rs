//! What the audits pallet is told of a settled round, and what it tells of members.

use alloc::vec::Vec;
use cairn_primitives::{
    traits::{Attendance, Audits, Membership, Settled},
    Netuid, Round, RunConfig, Uid, H256,
};
use cairn_protocol::audit;
use codec::Encode;
use frame_support::{
    defensive,
    traits::{Get, Randomness},
    weights::Weight,
};

use crate::{Absence, AbsencesOf, Attended, Config, Event, Pallet, Rounds, Settlements, Tallies};

impl<T: Config> Pallet<T> {
    /// Lets some of what a settled round included be audited. What the draw costs is the audits pallet's to add.
    pub(crate) fn tell_audits(netuid: Netuid, round: Round, config: &RunConfig) -> Weight {
        let reads = T::DbWeight::get().reads(3);
        let settlement = Settlements::<T>::get(netuid, round);
        let (Some(settlement), Some(snapshot)) = (settlement, Rounds::<T>::get(netuid, round))
        else {
            return reads;
        };
        if config.audits.rate == 0 || settlement.included.is_empty() {
            return reads;
        }
        let departed = Tallies::<T>::get(netuid, round).departed;
        let included = settlement.included.into_iter();
        let included: Vec<_> = included.map(|one| (one.uid, one.hotkey)).collect();
        let validators = snapshot.validators.into_iter();
        let validators: Vec<_> = validators
            .filter(|one| !departed.contains(one.uid))
            .map(|one| (one.uid, one.hotkey, one.stake))
            .collect();
        T::Audits::on_settled(Settled {
            netuid,
            round,
            seed: Self::draw_audits(netuid, round),
            rules: config.audits,
            max_contributors: config.max_contributors,
            parameters: config.model.parameters().unwrap_or(u64::MAX),
            included: &included,
            validators: &validators,
        });
        reads
    }

    /// What a round's audits are drawn from, from randomness of a block after all reveals.
    fn draw_audits(netuid: Netuid, round: Round) -> H256 {
        let (randomness, _) = T::Randomness::random(&(b"cairn/audits", netuid, round).encode());
        audit::seed(netuid, round, randomness)
    }

    /// Whether a member has its seat under this hotkey.
    pub(crate) fn is_still(netuid: Netuid, uid: Uid, hotkey: &T::AccountId) -> bool {
        T::Membership::hotkey(netuid, uid).as_ref() == Some(hotkey)
    }
}

impl<T: Config> Attendance<T::AccountId> for Pallet<T> {
    /// Event: [`Event::MemberAbsent`], if it was expected.
    fn on_false_work(netuid: Netuid, uid: Uid, hotkey: &T::AccountId) {
        if !Self::is_still(netuid, uid, hotkey) || !crate::Runs::<T>::contains_key(netuid) {
            return;
        }
        AbsencesOf::<T>::mutate(netuid, |absences| {
            let known = absences.get(&uid).copied().unwrap_or_default();
            if !known.is_expected() {
                return;
            }
            let out: Absence = known.out();
            match absences.try_insert(uid, out) {
                Ok(_) => Self::deposit_event(Event::MemberAbsent { netuid, uid }),
                Err(_) => {
                    defensive!("more members than there can be");
                }
            }
        });
    }

    fn on_missed_audit(netuid: Netuid, uid: Uid, hotkey: &T::AccountId) {
        if !Self::is_still(netuid, uid, hotkey) {
            return;
        }
        Attended::<T>::mutate_extant(netuid, |attended| {
            if let Some(attendance) = attended.0.get_mut(&uid) {
                attendance.miss();
            }
        });
    }
}
