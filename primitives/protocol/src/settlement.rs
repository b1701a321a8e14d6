//! What a round includes.
//!
//! Included are the revealed contributions that began from the final root and that at least two thirds of the attesting
//! stake found good: those with the best incentive first, then the lowest uid, up to the most that the run takes. If
//! there is no final root, or nothing qualifies, the round is null and the parameters stay.

use core::cmp::Reverse;

use alloc::vec::Vec;
use cairn_primitives::{Balance, Uid, H256};

use crate::{attestation::Tally, commitment::Contribution, lineage::Ancestor};

impl Tally {
    /// Whether at least half of the stake that could attest did, and any did.
    pub fn has_quorum(&self) -> bool {
        let twice = u128::from(self.attesting_stake).saturating_mul(2);
        self.attesting_stake > 0 && twice >= u128::from(self.total_stake)
    }

    /// Whether `stake`, in pebble, is at least two thirds of the attesting stake, and not nothing.
    pub fn is_two_thirds(&self, stake: Balance) -> bool {
        let (stake, attesting) = (u128::from(stake), u128::from(self.attesting_stake));
        stake > 0 && stake.saturating_mul(3) >= attesting.saturating_mul(2)
    }
}

/// How a round ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled<AccountId> {
    /// What the lineage gets.
    pub ancestor: Ancestor,
    /// The root that was expected, if two thirds attested another one.
    pub refused_for: Option<H256>,
    /// Whose contributions make the next parameters, ascending by uid. Empty in a null round.
    pub included: Vec<(Uid, AccountId)>,
    /// The root that the next round's parameters must have, where the chain knows it.
    pub expected: Option<H256>,
}

/// Settles a round: `expected` is the root that its parameters must have, where the chain knows it, and `most` how many
/// contributions a round takes. What a member revealed, and its incentive in the last epoch, are asked for only where
/// they matter.
pub fn settle<AccountId>(
    tally: &Tally,
    expected: Option<H256>,
    most: u16,
    contribution: impl Fn(Uid) -> Option<Contribution<AccountId>>,
    incentive: impl Fn(Uid) -> u16,
) -> Settled<AccountId> {
    let ancestor = Ancestor::of(expected, tally);
    let included = match ancestor.final_root() {
        Some(root) => include(tally, root, most, contribution, incentive),
        None => Vec::new(),
    };
    Settled {
        refused_for: ancestor.refused_for(expected, tally),
        expected: ancestor.expected_next(expected, !included.is_empty()),
        ancestor,
        included,
    }
}

/// The contributions that a round with the final root `root` includes, ascending by uid.
fn include<AccountId>(
    tally: &Tally,
    root: H256,
    most: u16,
    contribution: impl Fn(Uid) -> Option<Contribution<AccountId>>,
    incentive: impl Fn(Uid) -> u16,
) -> Vec<(Uid, AccountId)> {
    let mut good: Vec<(Reverse<u16>, Uid, AccountId)> = tally
        .support
        .iter()
        .filter(|(_, support)| tally.is_two_thirds(**support))
        .filter_map(|(uid, _)| Some((*uid, contribution(*uid)?)))
        .filter(|(_, contribution)| contribution.commitment.parent_root == root)
        .map(|(uid, contribution)| (Reverse(incentive(uid)), uid, contribution.hotkey))
        .collect();
    good.sort_by_key(|(incentive, uid, _)| (*incentive, *uid));
    good.truncate(usize::from(most));
    good.sort_by_key(|(_, uid, _)| *uid);
    good.into_iter()
        .map(|(_, uid, hotkey)| (uid, hotkey))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attestation::tests::{attestation, root, tally};
    use cairn_primitives::Commitment;
    use proptest::prelude::*;

    fn from(parent: u8) -> impl Fn(Uid) -> Option<Contribution<Uid>> {
        move |uid| {
            Some(Contribution {
                hotkey: uid,
                commitment: Commitment {
                    parent_root: root(parent),
                    sealed_root: root(90),
                    length: 1,
                    key_hash: root(91),
                },
                key: Some([0; 32]),
            })
        }
    }

    fn uids(settled: &Settled<Uid>) -> Vec<Uid> {
        settled.included.iter().map(|(uid, _)| *uid).collect()
    }

    #[test]
    fn half_of_the_stake_is_a_quorum_and_a_pebble_less_is_not() {
        let mut tally = tally(&[500, 501], &[]);
        assert!(!tally.has_quorum());
        tally.add(&attestation(1, &[]), 500).expect("it fits");
        assert!(!tally.has_quorum());
        tally.add(&attestation(1, &[]), 1).expect("it fits");
        assert!(tally.has_quorum());
        assert!(!Tally::default().has_quorum());
    }

    #[test]
    fn two_thirds_are_enough_and_a_pebble_less_is_not() {
        let mut tally = tally(&[300], &[]);
        tally.add(&attestation(1, &[]), 300).expect("it fits");
        assert!(tally.is_two_thirds(200) && !tally.is_two_thirds(199));
        assert!(!Tally::default().is_two_thirds(0));
    }

    #[test]
    fn with_too_many_the_best_incentive_is_taken_then_the_lowest_uid() {
        let mut tally = tally(&[9], &[1, 2, 3, 4]);
        tally
            .add(&attestation(1, &[1, 2, 3, 4]), 9)
            .expect("it fits");
        let incentive = |uid| if uid == 4 { 7 } else { 5 };
        let settled = settle(&tally, None, 3, from(1), incentive);
        assert_eq!(uids(&settled), [1, 2, 4]);
        assert_eq!(settled.expected, None);
    }

    #[test]
    fn what_began_elsewhere_is_not_included_and_a_null_round_keeps_its_root() {
        let mut tally = tally(&[9], &[1]);
        tally.add(&attestation(1, &[1]), 9).expect("it fits");
        let settled = settle(&tally, None, 8, from(2), |_| 0);
        assert!(settled.included.is_empty());
        assert_eq!(settled.expected, Some(root(1)));
    }

    #[test]
    fn without_a_quorum_nothing_is_included_and_the_root_stays_expected() {
        let mut tally = tally(&[9, 10], &[1]);
        tally.add(&attestation(1, &[1]), 9).expect("it fits");
        let settled = settle(&tally, Some(root(1)), 8, from(1), |_| 0);
        assert!(settled.included.is_empty() && !settled.ancestor.is_final);
        assert_eq!(settled.expected, Some(root(1)));
    }

    #[test]
    fn two_thirds_for_another_root_than_expected_are_refused() {
        let mut tally = tally(&[9], &[1]);
        tally.add(&attestation(1, &[1]), 9).expect("it fits");
        let settled = settle(&tally, Some(root(2)), 8, from(1), |_| 0);
        assert_eq!(settled.refused_for, Some(root(2)));
        assert!(settled.included.is_empty());
        assert_eq!(settled.expected, Some(root(2)));
    }

    proptest! {
        #[test]
        fn what_is_included_had_two_thirds_and_was_the_best(
            votes in prop::collection::vec((prop::collection::vec(0u16..12, 0..12), 1u64..100), 1..6),
            incentives in prop::collection::vec(0u16..5, 12), most in 0u16..14,
        ) {
            let stakes: Vec<u64> = votes.iter().map(|(_, stake)| *stake).collect();
            let all: Vec<Uid> = (0..12).collect();
            let mut tally = tally(&stakes, &all);
            for (good, stake) in &votes {
                tally.add(&attestation(1, good), *stake).expect("it fits");
            }
            let incentive = |uid: Uid| incentives[usize::from(uid)];
            let settled = settle(&tally, Some(root(1)), most, from(1), incentive);
            let included = uids(&settled);
            prop_assert!(included.is_sorted() && included.len() <= usize::from(most));
            let good = |uid: &Uid| tally.is_two_thirds(tally.support[uid]);
            prop_assert!(included.iter().all(good));
            let left: Vec<&Uid> = all.iter().filter(|uid| good(uid) && !included.contains(uid)).collect();
            prop_assert!(left.is_empty() || included.len() == usize::from(most));
            for uid in left {
                let rank = |uid: Uid| (Reverse(incentive(uid)), uid);
                prop_assert!(included.iter().all(|taken| rank(*taken) < rank(*uid)));
            }
        }
    }
}
