//! The answers of the runtime API. A subnet without a run has none: what a stopped run left is not
//! shown.

use alloc::vec::Vec;
use cairn_primitives::{
    api::{
        Attester, ContributionInfo, EndedRun, FinalRoot, LineageEntry, NextRound, RoundInfo,
        RunInfo, SettledRound,
    },
    traits::Membership,
    Netuid, Phase, Round, RoundTimes, RunConfig, Uid, H256,
};
use cairn_protocol::limits::LINEAGE_PER_ANSWER;

use crate::{
    AbsencesOf, Assignments, Attestations, Clearing, Config, Configs, Contributions, EndedRuns,
    Lineage, Pallet, Rounds, Run, Runs, Settlements, Statement, Tallies, Turnouts, Validator,
};

/// Whether there is a value at this key. It is read, not only asked for: a light client, which runs these answers on
/// proofs, cannot follow a proof that a long value exists.
pub(crate) fn is_kept(key: &[u8]) -> bool {
    frame_support::storage::unhashed::get_raw(key).is_some()
}

impl<T: Config> Pallet<T> {
    /// The subnet's run.
    ///
    /// While it waits for its first miner and validator, its round is round 0 in the settle phase,
    /// beginning in the next block, with a zero seed and nobody in it.
    pub fn run_info(netuid: Netuid) -> Option<RunInfo<T::AccountId>> {
        let run = Runs::<T>::get(netuid)?;
        let config = Configs::<T>::get(netuid)?;
        let round = match run.round {
            Some(round) => Self::round_info(netuid, round)?,
            None => Self::round_to_come(&run),
        };
        Some(RunInfo {
            next: Self::next_round_info(netuid, &config),
            config,
            started_at: run.started_at,
            round,
            oldest_round: run.oldest_round,
            absent: Self::absent(netuid),
            unawaited: Self::unawaited(netuid),
        })
    }

    /// What is drawn of the next round already.
    fn next_round_info(netuid: Netuid, config: &RunConfig) -> Option<NextRound<T::AccountId>> {
        let known = match config.overlaps() {
            true => Assignments::<T>::get(netuid)?,
            false => return None,
        };
        Some(NextRound {
            round: known.round,
            seed: known.seed,
            pass: known.pass,
            cursor: known.cursor,
            miners: known.miners.into_inner(),
        })
    }

    /// The subnet's last stopped run.
    pub fn ended_run(netuid: Netuid) -> Option<EndedRun> {
        let ended = EndedRuns::<T>::get(netuid)?;
        let roots = ended.roots.into_iter();
        Some(EndedRun {
            config: ended.config,
            started_at: ended.started_at,
            stopped_at: ended.stopped_at,
            round: ended.round,
            final_roots: roots
                .map(|(round, model_root)| FinalRoot { round, model_root })
                .collect(),
        })
    }

    /// Whether what the subnet's last run left is still being removed.
    pub fn is_clearing(netuid: Netuid) -> bool {
        Clearing::<T>::get(netuid).is_some()
    }

    /// A round that is still kept. Validators that left meanwhile are not in it; miners that left keep
    /// their place, since slots are positions.
    pub fn round_info(netuid: Netuid, round: Round) -> Option<RoundInfo<T::AccountId>> {
        Self::if_kept(netuid, round)?;
        let snapshot = Rounds::<T>::get(netuid, round)?;
        let departed = Tallies::<T>::get(netuid, round).departed;
        let times = Self::times(netuid, round)?;
        let phase = match Runs::<T>::get(netuid)?.round == Some(round) {
            true => times.phase(Self::now()),
            false => Phase::Settle,
        };
        let validators = snapshot
            .validators
            .into_iter()
            .filter(|v| !departed.contains(v.uid));
        Some(RoundInfo {
            round,
            times: times.0,
            phase,
            seed: snapshot.seed,
            pass: snapshot.pass,
            cursor: snapshot.cursor,
            miners: snapshot.miners.into_inner(),
            validators: validators
                .map(|validator| Self::attester(netuid, round, validator))
                .collect(),
            base: Configs::<T>::get(netuid)
                .and_then(|config| Self::root_before(netuid, round, &config)),
        })
    }

    fn attester(
        netuid: Netuid,
        round: Round,
        validator: Validator<T::AccountId>,
    ) -> Attester<T::AccountId> {
        let said = Attestations::<T>::get((netuid, round, validator.uid));
        let committed = match &said {
            Some(Statement::Committed(hash)) => Some(*hash),
            _ => None,
        };
        Attester {
            uid: validator.uid,
            hotkey: validator.hotkey,
            stake: validator.stake,
            attested: said.is_some() && committed.is_none(),
            committed,
        }
    }

    /// The members that are not expected, ascending by uid.
    fn absent(netuid: Netuid) -> Vec<(Uid, T::AccountId)> {
        let absences = AbsencesOf::<T>::get(netuid).into_iter();
        let gone = absences.filter(|(_, absence)| !absence.is_expected());
        Self::named(netuid, gone.map(|(uid, _)| uid))
    }

    /// The members for which the current round does not wait, ascending by uid.
    fn unawaited(netuid: Netuid) -> Vec<(Uid, T::AccountId)> {
        let departed = Runs::<T>::get(netuid)
            .and_then(|run| run.round)
            .map(|round| Tallies::<T>::get(netuid, round).departed)
            .unwrap_or_default();
        let unawaited = Turnouts::<T>::get(netuid).unawaited;
        let here = unawaited.uids().filter(|uid| !departed.contains(*uid));
        Self::named(netuid, here)
    }

    fn named(netuid: Netuid, uids: impl Iterator<Item = Uid>) -> Vec<(Uid, T::AccountId)> {
        uids.filter_map(|uid| Some((uid, T::Membership::hotkey(netuid, uid)?)))
            .collect()
    }

    /// The commitments of a round, ascending by uid.
    pub fn contributions(netuid: Netuid, round: Round) -> Vec<ContributionInfo<T::AccountId>> {
        if Self::if_kept(netuid, round).is_none() {
            return Vec::new();
        }
        let tally = Tallies::<T>::get(netuid, round);
        let mut all: Vec<_> = Contributions::<T>::iter_prefix((netuid, round))
            .map(|(uid, contribution)| ContributionInfo {
                uid,
                hotkey: contribution.hotkey,
                commitment: contribution.commitment,
                key: contribution.key,
                support: tally.support.get(&uid).copied().unwrap_or(0),
            })
            .collect();
        all.sort_by_key(|contribution| contribution.uid);
        all
    }

    /// How a round ended; `None` while it has not, or if it is no longer kept.
    pub fn settled(netuid: Netuid, round: Round) -> Option<SettledRound> {
        Self::if_kept(netuid, round)?;
        let settlement = Settlements::<T>::get(netuid, round)?;
        let included = || settlement.included.iter();
        Some(SettledRound {
            round,
            settled_at: settlement.settled_at,
            included: included().map(|one| one.uid).collect(),
            trust: included().map(|one| one.standing.trust).collect(),
            proven: included()
                .filter(|one| one.standing.is_proven)
                .map(|one| one.uid)
                .collect(),
            exam: settlement.exam,
            attesting_stake: settlement.attesting_stake,
            total_stake: settlement.total_stake,
        })
    }

    /// At most 256 entries of the lineage, from round `from` on, or from the oldest one kept.
    pub fn lineage(netuid: Netuid, from: Round) -> Vec<LineageEntry> {
        let Some(run) = Runs::<T>::get(netuid) else {
            return Vec::new();
        };
        let first = from.max(run.oldest_root);
        (first..run.round.unwrap_or(0))
            .take(usize::try_from(LINEAGE_PER_ANSWER).unwrap_or(usize::MAX))
            .filter_map(|round| {
                let ancestor = Lineage::<T>::get(netuid, round)?;
                Some(LineageEntry {
                    round,
                    model_root: ancestor.model_root,
                    attested_stake: ancestor.attested_stake,
                    attesting_stake: ancestor.attesting_stake,
                    total_stake: ancestor.total_stake,
                    is_final: ancestor.is_final,
                    loss: ancestor.loss,
                })
            })
            .collect()
    }

    fn if_kept(netuid: Netuid, round: Round) -> Option<()> {
        let run = Runs::<T>::get(netuid)?;
        (round >= run.oldest_round && Some(round) <= run.round).then_some(())
    }

    fn round_to_come(run: &Run) -> RoundInfo<T::AccountId> {
        RoundInfo {
            round: 0,
            times: RoundTimes {
                start: Self::now().saturating_add(1),
                ..RoundTimes::default()
            },
            phase: Phase::Settle,
            seed: H256::zero(),
            pass: run.pass,
            cursor: run.cursor,
            miners: Vec::new(),
            validators: Vec::new(),
            base: None,
        }
    }
}
