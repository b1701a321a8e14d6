//! The end of a round: its root goes into the lineage, and what it includes makes the next weights.

use cairn_primitives::{traits::Incentives, BlockNumber, Netuid, Round};
use cairn_protocol::settlement::settle;
use frame_support::BoundedVec;

use crate::{Config, Contributions, Event, Lineage, Pallet, Run, Settlement, Settlements, Tallies};

impl<T: Config> Pallet<T> {
    /// Settles the run's current round and says how many contributions were looked at.
    pub(crate) fn settle(
        netuid: Netuid,
        round: Round,
        run: &mut Run,
        max_contributors: u16,
        now: BlockNumber,
    ) -> u32 {
        let tally = Tallies::<T>::get(netuid, round);
        let settled = settle(
            &tally,
            run.expected_root,
            max_contributors,
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
        Lineage::<T>::insert(netuid, round, settled.ancestor);
        run.expected_root = settled.expected;
        let uids = settled.included.iter().map(|(uid, _)| *uid).collect();
        let settlement = Settlement {
            settled_at: now,
            included: BoundedVec::truncate_from(settled.included),
            attesting_stake: tally.attesting_stake,
            total_stake: tally.total_stake,
        };
        Settlements::<T>::insert(netuid, round, settlement);
        Self::deposit_event(Event::RoundSettled {
            netuid,
            round,
            included: uids,
        });
        u32::try_from(tally.support.len()).unwrap_or(u32::MAX)
    }
}
