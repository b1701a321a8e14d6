//! The end of a round: which root is final, and which contributions make the next weights.

use core::cmp::Reverse;

use alloc::vec::Vec;
use cairn_primitives::{traits::Incentives, BlockNumber, Netuid, Round, Uid, H256};
use frame_support::BoundedVec;

use crate::{
    Ancestor, Config, Contributions, Event, Lineage, Pallet, Run, Settlement, Settlements, Tallies,
    Tally,
};

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
        let final_root = Self::extend_lineage(netuid, round, run.expected_root, &tally);
        let included = match final_root {
            Some(root) => Self::select(netuid, round, root, &tally, max_contributors),
            None => Vec::new(),
        };
        if !included.is_empty() {
            // Weights that nobody has attested yet.
            run.expected_root = None;
        } else if final_root.is_some() {
            run.expected_root = final_root;
        }
        let uids = included.iter().map(|(uid, _)| *uid).collect();
        let settlement = Settlement {
            settled_at: now,
            included: BoundedVec::truncate_from(included),
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

    /// Writes down the root with which the round began, and returns it if it is final.
    fn extend_lineage(
        netuid: Netuid,
        round: Round,
        expected: Option<H256>,
        tally: &Tally,
    ) -> Option<H256> {
        let ancestor = Self::ancestor(expected, tally);
        let state_root = ancestor.state_root;
        let refused = expected.filter(|_| Self::is_agreed(&ancestor, tally) && !ancestor.is_final);
        if let Some(expected) = refused {
            Self::deposit_event(Event::RootRefused {
                netuid,
                round,
                state_root,
                expected,
            });
        }
        let final_root = ancestor.final_root();
        Lineage::<T>::insert(netuid, round, ancestor);
        final_root
    }

    /// The entry of the lineage that a round's attestations make.
    pub(crate) fn ancestor(expected: Option<H256>, tally: &Tally) -> Ancestor {
        let (state_root, attested_stake) = tally.leading_root().unwrap_or_default();
        let mut ancestor = Ancestor {
            state_root,
            attested_stake,
            attesting_stake: tally.attesting_stake,
            total_stake: tally.total_stake,
            is_final: false,
        };
        let fits = expected.is_none_or(|expected| expected == state_root);
        ancestor.is_final = fits && Self::is_agreed(&ancestor, tally);
        ancestor
    }

    fn is_agreed(ancestor: &Ancestor, tally: &Tally) -> bool {
        tally.has_quorum() && tally.is_two_thirds(ancestor.attested_stake)
    }

    /// The contributions that a round includes, ascending by uid: those that began from `root` and have
    /// two thirds of the attesting stake behind them, best incentive first, then lowest uid, at most
    /// `most`.
    fn select(
        netuid: Netuid,
        round: Round,
        root: H256,
        tally: &Tally,
        most: u16,
    ) -> Vec<(Uid, T::AccountId)> {
        let mut good: Vec<(Reverse<u16>, Uid, T::AccountId)> = tally
            .support
            .iter()
            .filter(|(_, support)| tally.is_two_thirds(**support))
            .filter_map(|(uid, _)| Some((*uid, Contributions::<T>::get((netuid, round, *uid))?)))
            .filter(|(_, contribution)| contribution.commitment.parent_root == root)
            .map(|(uid, contribution)| {
                (
                    Reverse(T::Incentives::incentive(netuid, uid)),
                    uid,
                    contribution.hotkey,
                )
            })
            .collect();
        good.sort_by_key(|(incentive, uid, _)| (*incentive, *uid));
        good.truncate(usize::from(most));
        good.sort_by_key(|(_, uid, _)| *uid);
        good.into_iter()
            .map(|(_, uid, hotkey)| (uid, hotkey))
            .collect()
    }
}
