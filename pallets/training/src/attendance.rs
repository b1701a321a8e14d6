//! What follows from a settled round for those who had a part in it: who is missed, whose stake leaks, who is slashed;
//! and the call of those who are back.

use alloc::vec::Vec;
use cairn_primitives::{
    traits::{Membership, Slashing, Stakes},
    Balance, BlockNumber, ModelRoot, Netuid, Round, Uid, Verdicts,
};
use cairn_protocol::{
    limits::LOST_ROOT_PERCENT,
    lineage::{penalties, percent_of},
};
use frame_support::{defensive, ensure, weights::Weight};

use crate::{
    Absence, AbsencesOf, Ancestor, Attestations, Config, Contributions, Error, Event, Pallet,
    Rounds, Run, Runs, Settlements, Snapshot, Statement, Tallies, Turnouts, Validator, WeightInfo,
};

/// A validator that did not leave, and what it attested.
pub(crate) struct Said<AccountId> {
    pub(crate) validator: Validator<AccountId>,
    /// The root.
    pub(crate) root: Option<ModelRoot>,
    /// The maker of what it called good and was found broken.
    pub(crate) unseen: Option<Uid>,
}

impl<T: Config> Pallet<T> {
    /// Whether `who` is a member that is not expected: its uid, and what is to be kept of it.
    pub(crate) fn check_here(
        who: &T::AccountId,
        netuid: Netuid,
    ) -> Result<(Uid, Absence), Error<T>> {
        ensure!(Runs::<T>::contains_key(netuid), Error::<T>::NoRun);
        let uid = T::Membership::uid(netuid, who).ok_or(Error::<T>::NotAMember)?;
        let known = AbsencesOf::<T>::get(netuid).get(&uid).copied();
        let back = known.unwrap_or_default().back();
        Ok((uid, back.ok_or(Error::<T>::NotAbsent)?))
    }

    /// Writes down that a member is back.
    pub(crate) fn note_here(netuid: Netuid, uid: Uid, back: Absence) {
        AbsencesOf::<T>::mutate(netuid, |absences| {
            if let Some(absence) = absences.get_mut(&uid) {
                *absence = back;
            }
        });
        Self::deposit_event(Event::MemberBack { netuid, uid });
    }

    /// Draws the consequences of a round that was settled: `expected` is the root that the chain knew it to have, and
    /// `ancestor` what went into the lineage.
    pub(crate) fn draw_consequences(
        netuid: Netuid,
        round: Round,
        run: &Run,
        expected: Option<ModelRoot>,
        ancestor: &Ancestor,
    ) -> Weight {
        let Some(snapshot) = Rounds::<T>::get(netuid, round) else {
            return T::WeightInfo::attend(0);
        };
        let members = snapshot
            .miners
            .len()
            .saturating_add(snapshot.validators.len());
        let said = Self::note_attendance(netuid, round, run, expected, ancestor, snapshot);
        let slashed = match ancestor.final_root() {
            Some(decided) => Self::slash_lost_roots(netuid, round, decided, &said)
                .saturating_add(Self::slash_unseen(netuid, round, decided, &said)),
            None => 0,
        };
        T::WeightInfo::attend(u32::try_from(members).unwrap_or(u32::MAX))
            .saturating_add(T::WeightInfo::slash_lost_roots(slashed))
    }

    /// Notes who missed a settled round, who was left out of it, and whose stake leaks, and gives what the validators
    /// said.
    pub(crate) fn note_attendance(
        netuid: Netuid,
        round: Round,
        run: &Run,
        expected: Option<ModelRoot>,
        ancestor: &Ancestor,
        snapshot: Snapshot<T::AccountId>,
    ) -> Vec<Said<T::AccountId>> {
        let tally = Tallies::<T>::get(netuid, round);
        let (departed, broken) = (&tally.departed, tally.found_broken());
        let included = Self::included_in(netuid, round);
        let turnout = Turnouts::<T>::get(netuid);
        let known = AbsencesOf::<T>::get(netuid);
        let mut absences = known.clone();
        let mut note = |uid: Uid, after: Absence| {
            let before = absences.remove(&uid).unwrap_or_default();
            if !after.is_nothing() && absences.try_insert(uid, after).is_err() {
                defensive!("more members than there can be");
            }
            if before.is_expected() && !after.is_expected() {
                Self::deposit_event(Event::MemberAbsent { netuid, uid });
            }
        };
        let before = |uid: Uid| known.get(&uid).copied().unwrap_or_default();
        for (uid, hotkey) in &snapshot.miners {
            let mut after = before(*uid);
            if !departed.contains(*uid) {
                let committed = Contributions::<T>::contains_key((netuid, round, *uid));
                after = after.after(committed);
                after = after.waited(turnout.held_up(*uid), committed);
            } else if !Self::has_seat(netuid, snapshot.start, *uid, hotkey) {
                continue;
            }
            if ancestor.is_final {
                after = after.included(included.contains(*uid));
            }
            note(*uid, after);
        }
        let (decided, led) = (
            ancestor.final_root(),
            expected.unwrap_or(ancestor.model_root),
        );
        let mut said = Vec::new();
        for validator in snapshot.validators {
            let uid = validator.uid;
            if departed.contains(uid) {
                continue;
            }
            let statement = Attestations::<T>::get((netuid, round, uid));
            let attestation = statement.as_ref().and_then(Statement::attestation);
            let root = attestation.map(|attestation| attestation.model_root);
            let unseen = attestation.and_then(|attestation| attestation.called_unseen(&broken));
            let after = before(uid).after(root.is_some());
            let after = after.waited(turnout.held_up(uid), root.is_some());
            note(uid, after.leak(decided, led, run.undecided, root));
            said.push(Said {
                validator,
                root,
                unseen,
            });
        }
        AbsencesOf::<T>::insert(netuid, absences);
        said
    }

    /// Whose contributions a settled round included.
    fn included_in(netuid: Netuid, round: Round) -> Verdicts {
        let settlement = Settlements::<T>::get(netuid, round);
        let included = settlement.iter().flat_map(|settled| &settled.included);
        Verdicts::from_uids(included.map(|one| one.uid))
    }

    /// Whether a miner of a round that began in block `start` has the seat that it had then, under the same hotkey.
    fn has_seat(netuid: Netuid, start: BlockNumber, uid: Uid, hotkey: &T::AccountId) -> bool {
        let came = T::Membership::registered_at(netuid, uid);
        Self::is_still(netuid, uid, hotkey) && came.is_some_and(|came| came < start)
    }

    /// Slashes those who attested another root than the final one, and says how many.
    pub(crate) fn slash_lost_roots(
        netuid: Netuid,
        round: Round,
        decided: ModelRoot,
        said: &[Said<T::AccountId>],
    ) -> u32 {
        let attested = said.iter().filter_map(|one| {
            let (validator, root) = (&one.validator, one.root?);
            Some(((validator, root), root, validator.all_stake()))
        });
        let attested: Vec<_> = attested.collect();
        let mut slashed = 0u32;
        for ((validator, model_root), percent) in penalties(decided, &attested) {
            Self::deposit_event(Event::RootLost {
                netuid,
                round,
                uid: validator.uid,
                model_root,
                slashed: Self::take(netuid, &validator.hotkey, percent),
            });
            slashed = slashed.saturating_add(1);
        }
        slashed
    }

    /// Slashes those who attested the final root and called good what was found broken, as if their root had lost, and
    /// says how many. Whose root lost has been slashed for this round.
    fn slash_unseen(
        netuid: Netuid,
        round: Round,
        decided: ModelRoot,
        said: &[Said<T::AccountId>],
    ) -> u32 {
        let mut slashed = 0u32;
        for one in said.iter().filter(|one| one.root == Some(decided)) {
            let Some(maker) = one.unseen else {
                continue;
            };
            Self::deposit_event(Event::CalledUnseen {
                netuid,
                round,
                uid: one.validator.uid,
                maker,
                slashed: Self::take(netuid, &one.validator.hotkey, LOST_ROOT_PERCENT),
            });
            slashed = slashed.saturating_add(1);
        }
        slashed
    }

    /// Takes so many percent of what stands behind a hotkey, and says how much that was, in pebble.
    fn take(netuid: Netuid, hotkey: &T::AccountId, percent: u8) -> Balance {
        let behind =
            T::Stakes::stake(netuid, hotkey).saturating_add(T::Stakes::bond(netuid, hotkey));
        T::Slashing::slash(netuid, hotkey, percent_of(behind, percent), None)
    }
}
