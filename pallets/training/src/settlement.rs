//! The end of a round: its root goes into the lineage, and what it includes makes the next parameters.

use cairn_primitives::{
    traits::{Audits, Incentives},
    BlockNumber, ModelRoot, Netuid, Round, RunConfig, H256,
};
use cairn_protocol::{
    exam,
    settlement::{settle, Room},
};
use codec::Encode;
use frame_support::{traits::Randomness, BoundedVec};

use crate::{
    Ancestor, Config, Contributions, Event, Lineage, Pallet, Run, Settlement, Settlements, Tallies,
};

impl<T: Config> Pallet<T> {
    /// Settles the run's current round. Says how many contributions were looked at, and what went into the lineage.
    pub(crate) fn settle(
        netuid: Netuid,
        round: Round,
        run: &mut Run,
        config: &RunConfig,
        now: BlockNumber,
    ) -> (u32, Ancestor) {
        let tally = Tallies::<T>::get(netuid, round);
        let room = Room {
            most: config.max_contributors,
            exam: Self::draw_exam(netuid, round),
        };
        let settled = settle(
            &tally,
            run.expected_root,
            Self::root_before(netuid, round, config),
            room,
            &T::Audits::proven(netuid),
            |uid| Contributions::<T>::get((netuid, round, uid)),
            |uid| T::Incentives::incentive(netuid, uid),
        );
        if let Some(expected) = settled.refused_for {
            Self::deposit_event(Event::RootRefused {
                netuid,
                round,
                model_root: settled.ancestor.model_root,
                expected,
            });
        }
        let root = settled.ancestor.final_root();
        let hotkeys = settled.included.iter().map(|one| (one.uid, &one.hotkey));
        Self::record((netuid, round), config, root, hotkeys);
        Lineage::<T>::insert(netuid, round, settled.ancestor.clone());
        run.expected_root = settled.expected;
        run.undecided = match settled.ancestor.is_final {
            true => 0,
            false => run.undecided.saturating_add(1),
        };
        let uids = settled.included.iter().map(|one| one.uid).collect();
        let settlement = Settlement {
            settled_at: now,
            included: BoundedVec::truncate_from(settled.included),
            exam: room.exam,
            attesting_stake: tally.attesting_stake,
            total_stake: tally.total_stake,
        };
        Settlements::<T>::insert(netuid, round, settlement);
        Self::deposit_event(Event::RoundSettled {
            netuid,
            round,
            included: uids,
        });
        let looked_at = u32::try_from(tally.support.len()).unwrap_or(u32::MAX);
        (looked_at, settled.ancestor)
    }

    /// The final root of the round before, if contributions to this one are made from those parameters.
    pub(crate) fn root_before(
        netuid: Netuid,
        round: Round,
        config: &RunConfig,
    ) -> Option<ModelRoot> {
        let before = round.checked_sub(1).filter(|_| config.overlaps())?;
        Lineage::<T>::get(netuid, before)?.final_root()
    }

    /// What a round's contributions are measured on, and what decides between makers that earned the same, from
    /// randomness of a block after all reveals.
    fn draw_exam(netuid: Netuid, round: Round) -> H256 {
        let (randomness, _) = T::Randomness::random(&(b"cairn/exam", netuid, round).encode());
        exam::exam(netuid, round, randomness)
    }
}
