//! Stages of a round that end when all that they are for has been done.
//!
//! The current round's times are kept with the run, since they move; the snapshot has those that it has at the longest.

use cairn_primitives::{traits::Incentives, Netuid, Round, Uid, Verdicts};
use cairn_protocol::{
    attendance::Absence,
    phase::{RoundStage, Timetable},
    turnout::Member,
};
use frame_support::{traits::Get, weights::Weight};

use crate::{
    AbsencesOf, Agenda, Config, MemberOfRound, Pallet, Rounds, Run, Runs, Snapshot, Turnout,
    Turnouts,
};

impl<T: Config> Pallet<T> {
    /// When a round is that is still kept: the current one by what has been done in it, an earlier one at the longest.
    pub fn times(netuid: Netuid, round: Round) -> Option<Timetable> {
        let run = Runs::<T>::get(netuid)?;
        match run.round == Some(round) {
            true => Some(Timetable(run.times)),
            false => Some(Rounds::<T>::get(netuid, round)?.limits()),
        }
    }

    /// What following whoever does its part costs.
    pub(crate) fn coming() -> Weight {
        T::DbWeight::get().reads_writes(2, 4)
    }

    /// For whom a round waits that begins with this snapshot, `departed` having no part.
    pub(crate) fn expect_turnout(
        netuid: Netuid,
        snapshot: &Snapshot<T::AccountId>,
        departed: &Verdicts,
    ) {
        let absences = AbsencesOf::<T>::get(netuid);
        let known = |uid: Uid| absences.get(&uid).copied().unwrap_or_default();
        let is_awaited = |uid: Uid| Absence::is_awaited(&known(uid));
        let miners = snapshot.miners.iter();
        let miners = miners.filter(|(uid, _)| !departed.contains(*uid));
        let has_earned = |uid: Uid| T::Incentives::incentive(netuid, uid) > 0;
        let miners = miners.map(|(uid, _)| Member::miner(*uid, is_awaited(*uid), has_earned(*uid)));
        let validators = snapshot.validators.iter().map(|one| Member {
            uid: one.uid,
            is_awaited: is_awaited(one.uid),
            weight: one.stake,
        });
        let turnout = Turnout::new(&snapshot.phases, miners, validators);
        Turnouts::<T>::insert(netuid, turnout);
    }

    /// A member of the current round has done its part of a stage.
    pub(crate) fn comes(at: MemberOfRound, stage: RoundStage) {
        let (netuid, _, uid) = at;
        Self::follow_turnout(netuid, |turnout, times| {
            turnout.comes(uid, stage, Self::now(), times)
        });
    }

    /// A member of the current round has left it.
    pub(crate) fn leaves(netuid: Netuid, uid: Uid) {
        Self::follow_turnout(netuid, |turnout, times| {
            turnout.leaves(uid, Self::now(), times)
        });
    }

    fn follow_turnout(netuid: Netuid, after: impl FnOnce(&mut Turnout, Timetable) -> Timetable) {
        let Some(mut run) = Runs::<T>::get(netuid) else {
            return;
        };
        let before = Timetable(run.times);
        let after = Turnouts::<T>::mutate(netuid, |turnout| after(turnout, before));
        if after != before {
            Self::move_round(netuid, &mut run, after);
            Runs::<T>::insert(netuid, run);
        }
    }

    /// Puts a run's round on the agenda at other times.
    fn move_round(netuid: Netuid, run: &mut Run, times: Timetable) {
        if run.times.due != times.due() {
            Agenda::<T>::remove(run.times.due, netuid);
            Agenda::<T>::insert(times.due(), netuid, ());
        }
        run.times = times.0;
    }
}
