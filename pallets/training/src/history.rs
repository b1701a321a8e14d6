//! What is removed when. Everything is found by keys that the snapshot names, so nothing is searched
//! for.

use cairn_primitives::{traits::Audits, ModelRoot, Netuid, Round, RunConfig};
use frame_support::{traits::Get, weights::Weight, BoundedVec};

use crate::{
    Ancestor, Attestations, Clearing, Config, Contributions, Ended, EndedRuns, Event, Lineage,
    Pallet, Rounds, Run, Settlements, Tallies, WeightInfo, ENDED_ROUNDS,
};

/// Rounds by which the history may shrink in one transition: more than one lets it catch up when a
/// runtime upgrade shortens it.
const ROUNDS_PER_TRANSITION: u32 = 2;
/// Storage items of stopped runs after which a block stops removing more of them.
const CLEARED_PER_BLOCK: u32 = 128;

impl<T: Config> Pallet<T> {
    /// Removes what has become too old now that `current` begins, and says how many items that were.
    pub(crate) fn prune(netuid: Netuid, current: Round, run: &mut Run) -> u32 {
        let mut items = 0u32;
        let too_old = |oldest: Round, kept: Round| oldest.saturating_add(kept) <= current;
        for _ in 0..ROUNDS_PER_TRANSITION {
            if too_old(run.oldest_round, T::HistoryRounds::get()) {
                items = items.saturating_add(Self::remove_round(netuid, run.oldest_round));
                run.oldest_round = run.oldest_round.saturating_add(1);
            }
            // The current round has no entry in the lineage yet.
            if too_old(run.oldest_root, T::LineageRounds::get().saturating_add(1)) {
                Lineage::<T>::remove(netuid, run.oldest_root);
                items = items.saturating_add(1);
                run.oldest_root = run.oldest_root.saturating_add(1);
            }
        }
        items
    }

    /// Keeps what is needed to find and check the parameters of a run that ends.
    pub(crate) fn remember(netuid: Netuid, run: &Run, config: RunConfig) {
        let ended = Ended {
            config,
            started_at: run.started_at,
            stopped_at: Self::now(),
            round: run.round,
            roots: BoundedVec::truncate_from(Self::last_roots(netuid, run).collect()),
        };
        EndedRuns::<T>::insert(netuid, ended);
    }

    /// What [`Pallet::remember`] costs beyond a run's end as it was measured.
    pub(crate) fn remembering() -> Weight {
        // Read beside the roots: the tally, who was included of late, and in audits what has passed and what is open.
        // Written: the ended run, who was included, absences, turnout, what was drawn ahead, and in audits what has
        // passed and that it ended.
        T::DbWeight::get().reads_writes(u64::from(ENDED_ROUNDS).saturating_add(4), 7)
    }

    /// The final roots of the run's last rounds, the newest first. That of the current round is known if
    /// nothing was included in the one before, or if its validators have agreed already.
    fn last_roots(netuid: Netuid, run: &Run) -> impl Iterator<Item = (Round, ModelRoot)> {
        let current = run.round.unwrap_or(0);
        let root = match run.round {
            Some(round) => {
                let tally = Tallies::<T>::get(netuid, round);
                Ancestor::of(run.expected_root, &tally)
                    .final_root()
                    .or(run.expected_root)
            }
            None => run.expected_root,
        };
        let oldest = run
            .oldest_root
            .max(current.saturating_sub(ENDED_ROUNDS.saturating_sub(1)));
        let settled = (oldest..current).rev().filter_map(move |round| {
            let root = Lineage::<T>::get(netuid, round)?.final_root()?;
            Some((round, root))
        });
        root.map(|root| (current, root)).into_iter().chain(settled)
    }

    /// Removes some of what stopped runs left: at most [`CLEARED_PER_BLOCK`] items and one round more.
    pub(crate) fn clear_some() -> Weight {
        let Some((netuid, mut remains)) = Clearing::<T>::iter().next() else {
            return Weight::zero();
        };
        let mut items = T::Audits::clear(netuid, CLEARED_PER_BLOCK);
        while remains.next < remains.end && items < CLEARED_PER_BLOCK {
            let round = Self::remove_round(netuid, remains.next);
            Lineage::<T>::remove(netuid, remains.next);
            items = items.saturating_add(round).saturating_add(1);
            remains.next = remains.next.saturating_add(1);
        }
        if remains.next < remains.end {
            Clearing::<T>::insert(netuid, remains);
        } else {
            Clearing::<T>::remove(netuid);
            Self::deposit_event(Event::RunCleared { netuid });
        }
        T::WeightInfo::prune(items.saturating_add(1))
    }

    /// Removes all of a round but its root, and says how many items that were.
    pub(crate) fn remove_round(netuid: Netuid, round: Round) -> u32 {
        let Some(snapshot) = Rounds::<T>::take(netuid, round) else {
            return 0;
        };
        Tallies::<T>::remove(netuid, round);
        Settlements::<T>::remove(netuid, round);
        let mut items = T::Audits::forget(netuid, round).saturating_add(3);
        for (uid, _) in &snapshot.miners {
            items = items.saturating_add(1);
            Contributions::<T>::remove((netuid, round, *uid));
        }
        for validator in &snapshot.validators {
            items = items.saturating_add(1);
            Attestations::<T>::remove((netuid, round, validator.uid));
        }
        items
    }
}
