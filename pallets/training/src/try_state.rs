//! What always holds, after every block.

use alloc::{collections::BTreeMap, vec::Vec};
use cairn_primitives::{key_hash, traits::Membership, Balance, Hotkey, Netuid, Round, Uid};
use cairn_protocol::{
    assignment,
    emission::{ATTENDANCE_ROUNDS, HELD_TEMPOS},
    limits::{MISSED_ROUNDS, UNAWAITED_ROUNDS},
    phase::{floor, RoundStage, Timetable},
    turnout::Coming,
};
use frame_support::{ensure, traits::Get};
use sp_runtime::TryRuntimeError;

use crate::{
    AbsencesOf, Agenda, Assignments, Attended, Attestations, Clearing, Config, Configs,
    Contributions, EndedRuns, Included, Lineage, NextDue, Pallet, Records, Rounds, Run, Runs,
    Settlements, Snapshot, Statement, Tallies, Tally, Turnouts, Waiting,
};

type Checked = Result<(), TryRuntimeError>;

impl<T: Config> Pallet<T> {
    /// Checks everything that the pallet promises of its storage.
    pub fn do_try_state() -> Checked {
        for (netuid, run) in Runs::<T>::iter() {
            Self::check_run(netuid, &run)?;
            for round in run
                .round
                .map(|current| run.oldest_round..=current)
                .into_iter()
                .flatten()
            {
                Self::check_round(netuid, round, &run)?;
            }
        }
        Self::check_agenda()?;
        Self::check_ended()?;
        Self::check_records()?;
        Self::check_nothing_is_lost()
    }

    fn check_run(netuid: Netuid, run: &Run) -> Checked {
        let config = Configs::<T>::get(netuid).ok_or("a run has no configuration")?;
        ensure!(config.check().is_ok(), "a run's configuration cannot be");
        ensure!(
            assignment::room(&config) > 0,
            "a run's data has no room for a miner"
        );
        ensure!(
            !Clearing::<T>::contains_key(netuid),
            "a run began before the last was cleared"
        );
        ensure!(
            Waiting::<T>::contains_key(netuid) == run.round.is_none(),
            "waiting is wrong"
        );
        let Some(current) = run.round else {
            return Ok(());
        };
        ensure!(
            Agenda::<T>::contains_key(run.times.due, netuid),
            "a run is not on the agenda"
        );
        let rounds = current.saturating_sub(run.oldest_round).saturating_add(1);
        ensure!(
            rounds <= T::HistoryRounds::get(),
            "too many rounds are kept"
        );
        let roots = current.saturating_sub(run.oldest_root);
        ensure!(roots <= T::LineageRounds::get(), "too many roots are kept");
        let kept = |round: &Round| (run.oldest_root..current).contains(round);
        let lineage: Vec<Round> = Lineage::<T>::iter_key_prefix(netuid).collect();
        ensure!(
            lineage.iter().all(kept),
            "a root outside the history is kept"
        );
        ensure!(
            u32::try_from(lineage.len()) == Ok(roots),
            "a root is missing"
        );
        Self::check_losses(netuid, current)?;
        let ahead = Assignments::<T>::get(netuid).map(|assignment| assignment.round);
        let next = current.checked_add(1).filter(|_| config.overlaps());
        ensure!(ahead == next, "another round is drawn ahead than the next");
        Self::check_undecided(netuid, run, current)?;
        Self::check_turnout(netuid, run, current)?;
        Self::check_absences(netuid, current)
    }

    /// A loss was stated in the settled round after its own, which has a final root.
    fn check_losses(netuid: Netuid, current: Round) -> Checked {
        for (round, ancestor) in Lineage::<T>::iter_prefix(netuid) {
            let Some(loss) = ancestor.loss else {
                continue;
            };
            let next = round.saturating_add(1);
            let is_decided = Lineage::<T>::get(netuid, next).is_some_and(|next| next.is_final);
            ensure!(
                loss > 0 && next < current && is_decided,
                "a loss that nobody can have stated"
            );
        }
        Ok(())
    }

    /// The round takes no longer than it may and no less than it must, and waits for who has not come.
    fn check_turnout(netuid: Netuid, run: &Run, current: Round) -> Checked {
        let snapshot = Rounds::<T>::get(netuid, current).ok_or("a kept round has no snapshot")?;
        let (times, limits) = (Timetable(run.times), snapshot.limits());
        ensure!(
            times.start() == limits.start(),
            "a round's first block has moved"
        );
        for stage in RoundStage::ALL {
            let (first, end) = times.bounds(stage);
            ensure!(
                end <= limits.bounds(stage).1
                    && end.saturating_sub(first) >= floor(&snapshot.phases, stage),
                "a stage is longer or shorter than it can be"
            );
        }
        let turnout = Turnouts::<T>::get(netuid);
        let departed = Tallies::<T>::get(netuid, current).departed;
        let stages = [
            &turnout.commit,
            &turnout.reveal,
            &turnout.bind,
            &turnout.open,
        ];
        for stage in stages {
            let here = |uid: Uid| !departed.contains(uid);
            ensure!(
                stage.awaited.uids().chain(stage.others.uids()).all(here),
                "a round waits for who has left"
            );
            ensure!(
                stage.awaited.count() <= stage.all,
                "a stage misses more than it waits for"
            );
        }
        let all = |stage: &Coming| -> Vec<Uid> {
            stage.awaited.uids().chain(stage.others.uids()).collect()
        };
        let has_committed = |uid: Uid| Contributions::<T>::contains_key((netuid, current, uid));
        ensure!(
            !all(&turnout.commit).into_iter().any(has_committed),
            "a round waits for who has committed"
        );
        ensure!(
            all(&turnout.reveal).into_iter().all(has_committed),
            "a round waits for a key of nothing"
        );
        let said = |uid| Attestations::<T>::get((netuid, current, uid));
        ensure!(
            !all(&turnout.bind)
                .into_iter()
                .any(|uid| said(uid).is_some()),
            "a round waits for who has committed to what it attests"
        );
        let is_committed = |uid| matches!(said(uid), Some(Statement::Committed(_)));
        ensure!(
            all(&turnout.open).into_iter().all(is_committed),
            "a round waits for an attestation of nothing"
        );
        Ok(())
    }

    /// The rounds since the last final root are counted.
    fn check_undecided(netuid: Netuid, run: &Run, current: Round) -> Checked {
        let is_final = |round| Lineage::<T>::get(netuid, round).is_some_and(|one| one.is_final);
        let first = current.saturating_sub(run.undecided);
        ensure!(
            run.undecided <= current && !(first.max(run.oldest_root)..current).any(is_final),
            "a round with a final root counts as one without"
        );
        let before = first
            .checked_sub(1)
            .filter(|round| *round >= run.oldest_root);
        ensure!(
            before.is_none_or(is_final),
            "a round without a final root is not counted"
        );
        Ok(())
    }

    /// What is remembered of members is of members, and no more than a run can have brought.
    fn check_absences(netuid: Netuid, current: Round) -> Checked {
        for (uid, absence) in AbsencesOf::<T>::get(netuid) {
            ensure!(
                T::Membership::hotkey(netuid, uid).is_some(),
                "an absence outlived its member"
            );
            ensure!(!absence.is_nothing(), "an absence of nothing");
            let rounds = current.min(u8::MAX.into());
            ensure!(
                absence.missed <= MISSED_ROUNDS,
                "more was missed than ends what is expected"
            );
            ensure!(
                absence.unawaited <= UNAWAITED_ROUNDS,
                "nobody waits for it longer than ever"
            );
            ensure!(
                u32::from(absence.halved) <= rounds,
                "more has leaked than there was time for"
            );
        }
        Ok(())
    }

    fn check_round(netuid: Netuid, round: Round, run: &Run) -> Checked {
        let snapshot = Rounds::<T>::get(netuid, round).ok_or("a kept round has no snapshot")?;
        ensure!(
            Tallies::<T>::contains_key(netuid, round),
            "a kept round has no tally"
        );
        let tally = Tallies::<T>::get(netuid, round);
        Self::check_contributions(netuid, round, &snapshot, &tally)?;
        Self::check_tally(netuid, round, &snapshot, &tally)?;
        Self::check_settlement(netuid, round, run, &tally)
    }

    fn check_contributions(
        netuid: Netuid,
        round: Round,
        snapshot: &Snapshot<T::AccountId>,
        tally: &Tally,
    ) -> Checked {
        let mut revealed = 0usize;
        for (uid, contribution) in Contributions::<T>::iter_prefix((netuid, round)) {
            let miner = (uid, contribution.hotkey.clone());
            ensure!(
                snapshot.miners.contains(&miner),
                "a commitment of somebody who is no miner"
            );
            ensure!(
                !tally.departed.contains(uid),
                "a commitment of somebody who left"
            );
            let commitment = &contribution.commitment;
            ensure!(
                commitment.length <= T::MaxContributionBytes::get(),
                "a commitment too long"
            );
            let known = tally.support.contains_key(&uid);
            ensure!(
                known == contribution.key.is_some(),
                "the tally and the keys disagree"
            );
            if let Some(key) = &contribution.key {
                let hash = key_hash(netuid, round, &Hotkey::of(&contribution.hotkey), key);
                ensure!(
                    hash == commitment.key_hash,
                    "a key is not the one committed to"
                );
                revealed = revealed.saturating_add(1);
            }
        }
        ensure!(
            revealed == tally.support.len(),
            "support for what was not revealed"
        );
        Ok(())
    }

    fn check_tally(
        netuid: Netuid,
        round: Round,
        snapshot: &Snapshot<T::AccountId>,
        tally: &Tally,
    ) -> Checked {
        let present = snapshot
            .validators
            .iter()
            .filter(|v| !tally.departed.contains(v.uid));
        let stakes: BTreeMap<Uid, Balance> = present.map(|v| (v.uid, v.stake)).collect();
        let total = stakes
            .values()
            .fold(0, |sum: Balance, stake| sum.saturating_add(*stake));
        ensure!(
            total == tally.total_stake,
            "the total stake is not that of the validators"
        );
        let mut again = Tally {
            departed: tally.departed.clone(),
            total_stake: total,
            ..Tally::default()
        };
        for uid in tally.support.keys() {
            ensure!(
                again.support.try_insert(*uid, 0).is_ok(),
                "support for too many"
            );
        }
        for (uid, said) in Attestations::<T>::iter_prefix((netuid, round)) {
            let stake = stakes
                .get(&uid)
                .ok_or("a statement of somebody who is no validator")?;
            match said {
                Statement::Committed(hash) => {
                    ensure!(!hash.is_zero(), "a commitment to what was never computed");
                }
                Statement::Attested(attestation) => again
                    .add(&attestation, *stake)
                    .map_err(|_| "the attestations overflow")?,
            }
        }
        ensure!(
            again == *tally,
            "the tally is not the sum of the attestations"
        );
        ensure!(
            tally.attesting_stake <= tally.total_stake,
            "more stake attested than there is"
        );
        let most = tally.support.values().max().copied().unwrap_or(0);
        ensure!(
            most <= tally.attesting_stake,
            "more support than attesting stake"
        );
        Ok(())
    }

    fn check_settlement(netuid: Netuid, round: Round, run: &Run, tally: &Tally) -> Checked {
        let settlement = Settlements::<T>::get(netuid, round);
        ensure!(
            settlement.is_some() == (run.round > Some(round)),
            "settled too early or not"
        );
        let Some(settlement) = settlement else {
            return Ok(());
        };
        let included: Vec<Uid> = settlement.included.iter().map(|one| one.uid).collect();
        ensure!(included.is_sorted(), "the included are not in order");
        let broken = tally.found_broken();
        ensure!(
            !included.iter().any(|uid| broken.contains(*uid)),
            "included though it was found broken"
        );
        for Included {
            uid,
            hotkey,
            standing,
        } in &settlement.included
        {
            ensure!(standing.trust > 0, "included for nothing");
            let support = tally.support.get(uid).ok_or("included, but not revealed")?;
            ensure!(tally.is_two_thirds(*support), "included without support");
            let contribution = Contributions::<T>::get((netuid, round, *uid));
            let same = contribution.is_some_and(|contribution| contribution.hotkey == *hotkey);
            ensure!(same, "included under another's name");
        }
        ensure!(
            included.is_empty() || tally.has_quorum(),
            "included without a quorum"
        );
        Ok(())
    }

    fn check_ended() -> Checked {
        for (netuid, ended) in EndedRuns::<T>::iter() {
            let owned = T::Membership::owner(netuid).is_some();
            ensure!(owned, "an ended run outlived its subnet");
            ensure!(
                ended.config.check().is_ok(),
                "an ended run's configuration cannot be"
            );
            ensure!(
                ended.started_at <= ended.stopped_at,
                "a run ended before it began"
            );
            let rounds: Vec<Round> = ended.roots.iter().map(|(round, _)| *round).collect();
            let descending = rounds.iter().rev().is_sorted();
            ensure!(descending, "an ended run's roots are not in order");
            let last = ended.round.unwrap_or(0);
            let within = rounds.iter().all(|round| *round <= last);
            ensure!(within, "an ended run has a root of a round that never was");
        }
        Ok(())
    }

    /// What a subnet is paid for belongs to its members.
    fn check_records() -> Checked {
        for (netuid, record) in Records::<T>::iter() {
            let is_member = |uid: Uid| T::Membership::hotkey(netuid, uid).is_some();
            let tempos = [&record.now, &record.last];
            ensure!(
                tempos
                    .iter()
                    .all(|tempo| tempo.included.uids().all(is_member)),
                "somebody who left counts as included"
            );
            ensure!(record.held <= HELD_TEMPOS, "a tempo is held for too long");
        }
        for (netuid, attended) in Attended::<T>::iter() {
            for (uid, one) in attended.0.iter() {
                let is_member = T::Membership::hotkey(netuid, *uid).is_some();
                ensure!(is_member, "attendance of who is no member");
                let (attested, rounds) = one.attended();
                ensure!(
                    rounds > 0 && rounds <= ATTENDANCE_ROUNDS.into() && attested <= rounds,
                    "attendance in rounds that were not"
                );
            }
        }
        Ok(())
    }

    fn check_agenda() -> Checked {
        for (block, netuid, ()) in Agenda::<T>::iter() {
            let run = Runs::<T>::get(netuid).ok_or("no run is on the agenda")?;
            ensure!(
                run.times.due == block && run.round.is_some(),
                "the agenda has a wrong block"
            );
            let next = NextDue::<T>::get().unwrap_or(0);
            ensure!(block >= next, "the agenda has been passed over");
        }
        let runs = Runs::<T>::iter_keys().count();
        ensure!(
            Configs::<T>::iter_keys().count() == runs,
            "a configuration without a run"
        );
        for netuid in AbsencesOf::<T>::iter_keys() {
            ensure!(Runs::<T>::contains_key(netuid), "absences without a run");
        }
        for netuid in Turnouts::<T>::iter_keys() {
            let has_begun = Runs::<T>::get(netuid).is_some_and(|run| run.round.is_some());
            ensure!(has_begun, "a turnout without a round");
        }
        for netuid in Assignments::<T>::iter_keys() {
            let has_begun = Runs::<T>::get(netuid).is_some_and(|run| run.round.is_some());
            ensure!(has_begun, "a round is drawn ahead of none");
        }
        for netuid in Waiting::<T>::iter_keys() {
            ensure!(Runs::<T>::contains_key(netuid), "no run is waiting");
        }
        Ok(())
    }

    /// Every item belongs to a round that will be removed one day.
    fn check_nothing_is_lost() -> Checked {
        let kept = |netuid, round| match (Runs::<T>::get(netuid), Clearing::<T>::get(netuid)) {
            (Some(run), _) => round >= run.oldest_round && Some(round) <= run.round,
            (_, Some(remains)) => (remains.next..remains.end).contains(&round),
            _ => false,
        };
        let lost = "something is kept of a round that is gone";
        ensure!(Rounds::<T>::iter_keys().all(|(n, r)| kept(n, r)), lost);
        ensure!(Tallies::<T>::iter_keys().all(|(n, r)| kept(n, r)), lost);
        ensure!(Settlements::<T>::iter_keys().all(|(n, r)| kept(n, r)), lost);
        ensure!(
            Contributions::<T>::iter_keys().all(|(n, r, _)| kept(n, r)),
            lost
        );
        ensure!(
            Attestations::<T>::iter_keys().all(|(n, r, _)| kept(n, r)),
            lost
        );
        let owned = |netuid| Runs::<T>::contains_key(netuid) || Clearing::<T>::contains_key(netuid);
        ensure!(
            Lineage::<T>::iter_keys().all(|(netuid, _)| owned(netuid)),
            lost
        );
        Ok(())
    }
}
