//! Which root is final, and whose parameters contradict it.
//!
//! The lineage has an entry for each round: the root of the parameters with which it began, as its validators attested
//! it. A root is final if at least half of the stake attested, at least two thirds of what attested gave this root, and
//! it does not contradict what the chain knows: the first parameters have the configured root, and the parameters after
//! a null round are those before it. Whoever attested another root than the final one of its round loses by it.

use alloc::vec::Vec;
use cairn_primitives::{Balance, MicroNats, ModelRoot, Round};
use codec::{Decode, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

use crate::{
    attestation::Tally,
    limits::{LOST_BLOCK_PERCENT, LOST_ROOT_PERCENT},
};

/// An entry of the lineage: the root of the parameters with which a round began. Stake is in pebble.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Ancestor {
    /// The root with the most stake behind it; of equals the smallest; zero if nobody attested.
    pub model_root: ModelRoot,
    /// Stake that attested this root.
    pub attested_stake: Balance,
    /// Stake that attested any root.
    pub attesting_stake: Balance,
    /// Stake that could have attested.
    pub total_stake: Balance,
    /// Whether the chain takes it for the parameters' root.
    pub is_final: bool,
    /// The mean loss of the parameters, once the next round is settled and if more than half of its attesting stake
    /// stated the same ([`crate::attestation::decisive_witness`]).
    pub loss: Option<MicroNats>,
}

impl Tally {
    /// The root with the most stake behind it and that stake; of equals the smallest root.
    pub fn leading_root(&self) -> Option<(ModelRoot, Balance)> {
        let mut leading: Option<(ModelRoot, Balance)> = None;
        for (root, stake) in self.roots.iter() {
            if leading.is_none_or(|(_, most)| *stake > most) {
                leading = Some((*root, *stake));
            }
        }
        leading
    }

    /// Whether a quorum attested, and two thirds of it agree on the leading root.
    fn is_agreed(&self) -> bool {
        let leading = self.leading_root().map_or(0, |(_, stake)| stake);
        self.has_quorum() && self.is_two_thirds(leading)
    }
}

impl Ancestor {
    /// The entry that a round's attestations make; `expected` is the root that the chain knows its parameters to have.
    pub fn of(expected: Option<ModelRoot>, tally: &Tally) -> Ancestor {
        let (model_root, attested_stake) = tally.leading_root().unwrap_or_default();
        let fits = expected.is_none_or(|expected| expected == model_root);
        Ancestor {
            model_root,
            attested_stake,
            attesting_stake: tally.attesting_stake,
            total_stake: tally.total_stake,
            is_final: fits && tally.is_agreed(),
            loss: None,
        }
    }

    /// The root, if the chain takes it for the parameters'.
    pub fn final_root(&self) -> Option<ModelRoot> {
        self.is_final.then_some(self.model_root)
    }

    /// The root that was expected, if a quorum agreed on another one.
    pub fn refused_for(&self, expected: Option<ModelRoot>, tally: &Tally) -> Option<ModelRoot> {
        expected.filter(|_| tally.is_agreed() && !self.is_final)
    }

    /// The root that the next round's parameters must have, where the chain knows it: nobody has attested new ones yet,
    /// and those of a null round are what they were.
    pub fn expected_next(
        &self,
        expected: Option<ModelRoot>,
        has_included: bool,
    ) -> Option<ModelRoot> {
        match has_included {
            true => None,
            false => self.final_root().or(expected),
        }
    }
}

/// What each validator loses of what stands behind its hotkey, in percent, now that `decided` is final: nothing is
/// said of those who attested it. `said` has each attestation's validator, root, and all the stake on it in pebble,
/// leaked or not.
///
/// A root with more than a third of that stake could have held the run up, and costs more.
pub fn penalties<T: Clone>(decided: ModelRoot, said: &[(T, ModelRoot, Balance)]) -> Vec<(T, u8)> {
    let stake = |of: Option<ModelRoot>| {
        let those = said
            .iter()
            .filter(|(_, root, _)| of.is_none_or(|of| of == *root));
        those.fold(0u128, |sum, (_, _, stake)| {
            sum.saturating_add(u128::from(*stake))
        })
    };
    let all = stake(None);
    let percent = |root| match stake(Some(root)).saturating_mul(3) > all {
        true => LOST_BLOCK_PERCENT,
        false => LOST_ROOT_PERCENT,
    };
    let lost = said.iter().filter(|(_, root, _)| *root != decided);
    lost.map(|(who, root, _)| (who.clone(), percent(*root)))
        .collect()
}

/// So many percent of `amount` pebble, rounded down.
pub fn percent_of(amount: Balance, percent: u8) -> Balance {
    let part = u128::from(amount)
        .saturating_mul(u128::from(percent.min(100)))
        .checked_div(100);
    part.and_then(|part| Balance::try_from(part).ok())
        .unwrap_or(0)
}

/// The final root that parameters of `round` with the root `held` contradict, if there is one. `finals` are final
/// entries of the lineage; where none is of this round, the chain has not decided.
pub fn contradiction(
    round: Round,
    held: ModelRoot,
    finals: impl IntoIterator<Item = (Round, ModelRoot)>,
) -> Option<ModelRoot> {
    finals
        .into_iter()
        .find(|(of, _)| *of == round)
        .map(|(_, root)| root)
        .filter(|root| *root != held)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attestation::tests::{attestation, root, tally};
    use proptest::prelude::*;

    #[test]
    fn of_equal_stakes_the_smallest_root_leads() {
        let mut tally = tally(&[4], &[]);
        assert_eq!(tally.leading_root(), None);
        for (number, stake) in [(3, 2), (2, 2), (9, 1)] {
            tally.add(&attestation(number, &[]), stake).expect("fits");
        }
        assert_eq!(tally.leading_root(), Some((root(2), 2)));
    }

    #[test]
    fn what_the_chain_knows_cannot_be_voted_away() {
        let mut tally = tally(&[4], &[]);
        tally.add(&attestation(3, &[]), 4).expect("it fits");
        assert_eq!(Ancestor::of(None, &tally).final_root(), Some(root(3)));
        assert_eq!(
            Ancestor::of(Some(root(3)), &tally).final_root(),
            Some(root(3))
        );
        let refused = Ancestor::of(Some(root(4)), &tally);
        assert_eq!(refused.final_root(), None);
        assert_eq!(refused.refused_for(Some(root(4)), &tally), Some(root(4)));
        let next = |ancestor: &Ancestor, included| ancestor.expected_next(Some(root(4)), included);
        assert_eq!(next(&refused, false), Some(root(4)));
    }

    #[test]
    fn after_new_parameters_nothing_is_expected() {
        let mut tally = tally(&[4], &[]);
        tally.add(&attestation(3, &[]), 4).expect("it fits");
        let ancestor = Ancestor::of(None, &tally);
        assert_eq!(ancestor.expected_next(None, true), None);
        assert_eq!(ancestor.expected_next(None, false), Some(root(3)));
    }

    #[test]
    fn parameters_contradict_only_what_is_decided() {
        let finals = [(3, root(1)), (5, root(2))];
        assert_eq!(contradiction(3, root(1), finals), None);
        assert_eq!(contradiction(4, root(9), finals), None);
        assert_eq!(contradiction(5, root(1), finals), Some(root(2)));
    }

    #[test]
    fn a_root_that_loses_costs_one_percent_and_ten_if_it_could_hold_the_run_up() {
        let said = [(0, root(1), 66), (1, root(2), 17), (2, root(2), 17)];
        assert_eq!(penalties(root(1), &said), [(1, 10), (2, 10)]);
        let said = [(0, root(1), 67), (1, root(2), 17), (2, root(3), 16)];
        assert_eq!(penalties(root(1), &said), [(1, 1), (2, 1)]);
        // A third is not more than a third.
        let said = [(0, root(1), 2), (1, root(2), 1)];
        assert_eq!(penalties(root(1), &said), [(1, 1)]);
        assert_eq!(percent_of(1_050, 1), 10);
        assert_eq!(percent_of(u64::MAX, 100), u64::MAX);
    }

    proptest! {
        #[test]
        fn nobody_who_agrees_is_punished(
            said in prop::collection::vec((1u8..5, 0u64..100), 0..30), decided in 1u8..5,
        ) {
            let said: Vec<(usize, ModelRoot, u64)> =
                said.into_iter().enumerate().map(|(at, (number, stake))| (at, root(number), stake)).collect();
            let found = penalties(root(decided), &said);
            let lost: Vec<usize> =
                said.iter().filter(|(_, said, _)| *said != root(decided)).map(|(at, ..)| *at).collect();
            prop_assert_eq!(found.iter().map(|(at, _)| *at).collect::<Vec<_>>(), lost);
            prop_assert!(found.iter().all(|(_, percent)| [1, 10].contains(percent)));
        }

        #[test]
        fn a_final_root_has_two_thirds_of_half(
            votes in prop::collection::vec((1u8..4, 1u64..100), 0..8), absent in 0u64..400, expected in 0u8..4,
        ) {
            let attesting: u64 = votes.iter().map(|(_, stake)| stake).sum();
            let mut tally = tally(&[attesting, absent], &[]);
            for (number, stake) in &votes {
                tally.add(&attestation(*number, &[]), *stake).expect("it fits");
            }
            let expected = (expected > 0).then(|| root(expected));
            let ancestor = Ancestor::of(expected, &tally);
            let behind = |root: ModelRoot| {
                let mine = votes.iter().filter(|(number, _)| super::super::attestation::tests::root(*number) == root);
                mine.map(|(_, stake)| *stake).sum::<u64>()
            };
            if let Some(final_root) = ancestor.final_root() {
                prop_assert!(3 * behind(final_root) >= 2 * attesting);
                prop_assert!(2 * attesting >= attesting + absent);
                prop_assert!(expected.is_none_or(|expected| expected == final_root));
                // Two roots cannot both be final.
                prop_assert!((1..4).map(root).all(|other| other == final_root || 3 * behind(other) < 2 * attesting));
            }
            // A refusal and a final root exclude each other.
            prop_assert!(ancestor.refused_for(expected, &tally).is_none() || !ancestor.is_final);
        }
    }
}
