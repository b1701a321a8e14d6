//! What a round includes.
//!
//! Included are the revealed contributions that began from the final root, or from the base ([`overlap::base`]) where
//! rounds overlap, and that at least two thirds of the attesting stake found good: those with the best incentive
//! first, up to the most that the run takes. Among equals the lot decides, from the round's exam, so that no number is
//! an advantage. If there is no final root, or nothing qualifies, the round is null and the parameters stay.
//!
//! Each has its *trust*, with which it counts in the next parameters: in proportion to what its maker earned in the
//! last epoch. Those whose makers have earned nothing have together at most a tenth, however many they are. Beside it
//! stands whether the maker is proven, for runs in which tokens [count](crate::combination), too.

use core::cmp::Reverse;

use alloc::vec::Vec;
use cairn_primitives::{blake2_256, Balance, ModelRoot, Standing, Uid, Verdicts, H256};
use codec::{Decode, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

use crate::{
    attestation::Tally,
    commitment::Contribution,
    limits::{MOST_TRUST, NEWCOMERS_SHARE, TRUST_RANGE},
    lineage::Ancestor,
    overlap,
};

/// A contribution that a round includes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Included<AccountId> {
    /// Whose it is.
    pub uid: Uid,
    /// With which hotkey.
    pub hotkey: AccountId,
    /// How far it is trusted, and whether its maker is proven.
    pub standing: Standing,
}

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

/// How many contributions a round takes, and what the lot among makers that earned the same follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The most that it includes.
    pub most: u16,
    /// Its [exam](crate::exam::exam), which nobody knew while there was still something to be done for it.
    pub exam: H256,
}

impl Room {
    /// What a contribution has drawn: the lowest comes first.
    fn lot(&self, uid: Uid) -> H256 {
        blake2_256(&(b"cairn/included", self.exam, uid).encode())
    }
}

/// How a round ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled<AccountId> {
    /// What the lineage gets.
    pub ancestor: Ancestor,
    /// The root that was expected, if two thirds attested another one.
    pub refused_for: Option<ModelRoot>,
    /// Whose contributions make the next parameters, ascending by uid. Empty in a null round.
    pub included: Vec<Included<AccountId>>,
    /// The root that the next round's parameters must have, where the chain knows it.
    pub expected: Option<ModelRoot>,
}

/// Settles a round: `expected` is the root that its parameters must have, where the chain knows it; `before` the final
/// root of the round before, if that is what contributions are made from ([`overlap::base`]); `room` how many
/// contributions it takes; `proven` are the members of whose work an audit has passed. What a member revealed, and
/// its incentive in the last epoch, are asked for only where they matter.
pub fn settle<AccountId>(
    tally: &Tally,
    expected: Option<ModelRoot>,
    before: Option<ModelRoot>,
    room: Room,
    proven: &Verdicts,
    contribution: impl Fn(Uid) -> Option<Contribution<AccountId>>,
    incentive: impl Fn(Uid) -> u16,
) -> Settled<AccountId> {
    let ancestor = Ancestor::of(expected, tally);
    let included = match ancestor.final_root() {
        Some(root) => {
            let base = overlap::base(root, before);
            include(tally, base, room, proven, contribution, incentive)
        }
        None => Vec::new(),
    };
    Settled {
        refused_for: ancestor.refused_for(expected, tally),
        expected: ancestor.expected_next(expected, !included.is_empty()),
        ancestor,
        included,
    }
}

/// The contributions that a round with the base `base` includes, ascending by uid.
fn include<AccountId>(
    tally: &Tally,
    base: ModelRoot,
    room: Room,
    proven: &Verdicts,
    contribution: impl Fn(Uid) -> Option<Contribution<AccountId>>,
    incentive: impl Fn(Uid) -> u16,
) -> Vec<Included<AccountId>> {
    let mut good: Vec<(u16, Uid, AccountId)> = tally
        .support
        .iter()
        .filter(|(_, support)| tally.is_two_thirds(**support))
        .filter_map(|(uid, _)| Some((*uid, contribution(*uid)?)))
        .filter(|(_, contribution)| contribution.commitment.parent_root == base)
        .map(|(uid, contribution)| (incentive(uid), uid, contribution.hotkey))
        .collect();
    let most = usize::from(room.most);
    if good.len() > most {
        good.sort_by_cached_key(|(incentive, uid, _)| (Reverse(*incentive), room.lot(*uid)));
        good.truncate(most);
        good.sort_by_key(|(_, uid, _)| *uid);
    }
    let incentives: Vec<u16> = good.iter().map(|(incentive, ..)| *incentive).collect();
    let trusts = trusts(&incentives);
    let found = good.into_iter().zip(trusts);
    found
        .map(|((_, uid, hotkey), trust)| {
            let is_proven = proven.contains(uid);
            let standing = Standing { trust, is_proven };
            Included {
                uid,
                hotkey,
                standing,
            }
        })
        .collect()
}

/// What each contribution counts whose maker had this incentive in the last epoch.
///
/// The best earner's counts [`MOST_TRUST`], those of others in proportion to what they earned, and at least one part
/// in [`TRUST_RANGE`] of that. Those of makers that earned nothing count as much as the least of these could, and
/// together at most one part in [`NEWCOMERS_SHARE`] of all. If nobody earned anything, all count alike.
pub fn trusts(incentives: &[u16]) -> Vec<u16> {
    let best = u64::from(incentives.iter().copied().max().unwrap_or(0));
    let most = u64::from(MOST_TRUST);
    let least = most.checked_div(u64::from(TRUST_RANGE)).unwrap_or(0);
    let earned = |incentive: u16| {
        let part = u64::from(incentive).saturating_mul(most);
        part.checked_div(best).map(|part| part.max(least))
    };
    let paid = || incentives.iter().filter(|incentive| **incentive > 0);
    let all: u64 = paid().filter_map(|incentive| earned(*incentive)).sum();
    let newcomers = incentives.len().saturating_sub(paid().count());
    let newcomers = u64::try_from(newcomers).unwrap_or(u64::MAX);
    let share = all
        .checked_div(NEWCOMERS_SHARE.saturating_sub(1))
        .and_then(|share| share.checked_div(newcomers));
    let newcomer = share.unwrap_or(0).min(least);
    let trust = |incentive: u16| match (incentive, earned(incentive)) {
        (_, None) => most,
        (0, Some(_)) => newcomer.max(1),
        (_, Some(trust)) => trust,
    };
    let trusts = incentives.iter().map(|incentive| trust(*incentive));
    trusts
        .map(|trust| u16::try_from(trust).unwrap_or(MOST_TRUST))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attestation::tests::{attestation, root, tally};
    use cairn_primitives::{Commitment, SealedRoot};
    use proptest::prelude::*;

    fn from(parent: u8) -> impl Fn(Uid) -> Option<Contribution<Uid>> {
        move |uid| {
            Some(Contribution {
                hotkey: uid,
                commitment: Commitment {
                    parent_root: root(parent),
                    sealed_root: SealedRoot::from([90; 32]),
                    length: 1,
                    key_hash: root(91).0,
                },
                key: Some([0; 32]),
            })
        }
    }

    /// Room for so many; the lots are those of this exam.
    fn room(most: u16, exam: u8) -> Room {
        let exam = H256([exam; 32]);
        Room { most, exam }
    }

    fn uids(settled: &Settled<Uid>) -> Vec<Uid> {
        settled.included.iter().map(|one| one.uid).collect()
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
    fn with_too_many_the_best_incentive_is_taken_then_the_lot_decides() {
        let mut tally = tally(&[9], &[1, 2, 3, 4].map(Uid));
        tally
            .add(&attestation(1, &[1, 2, 3, 4].map(Uid)), 9)
            .expect("it fits");
        let incentive = |uid| if uid == Uid(4) { 7 } else { 5 };
        let mut left_out = [0u32; 3];
        for exam in 0..=255 {
            let settled = settle(
                &tally,
                None,
                None,
                room(3, exam),
                &Verdicts::default(),
                from(1),
                incentive,
            );
            let taken = uids(&settled);
            assert_eq!((taken.len(), taken[2], settled.expected), (3, Uid(4), None));
            let out = [1, 2, 3].map(|uid| !taken.contains(&Uid(uid)));
            for (times, is_out) in left_out.iter_mut().zip(out) {
                *times += u32::from(is_out);
            }
        }
        // 85 each, give or take six standard deviations.
        assert!(
            left_out.iter().all(|times| (40..=130).contains(times)),
            "{left_out:?}"
        );
    }

    #[test]
    fn trust_follows_what_was_earned() {
        assert!(trusts(&[]).is_empty());
        assert_eq!(trusts(&[0, 0, 0]), [65_535; 3]);
        assert_eq!(
            trusts(&[1_000, 500, 1]),
            [65_535, 32_767, 4_095],
            "a sixteenth at least"
        );
        assert_eq!(trusts(&[1_000, 0]), [65_535, 4_095], "one newcomer");
        // Ten newcomers share what is a tenth of all: 7,281 beside 65,535.
        let mut many = vec![0; 10];
        many.push(9);
        let found = trusts(&many);
        assert_eq!(found[10], 65_535);
        assert!(found[..10].iter().all(|trust| *trust == 728));
    }

    #[test]
    fn what_is_included_carries_its_trust_and_whether_its_maker_is_proven() {
        let mut tally = tally(&[9], &[Uid(1), Uid(2)]);
        tally
            .add(&attestation(1, &[Uid(1), Uid(2)]), 9)
            .expect("it fits");
        let incentive = |uid| if uid == Uid(2) { 7 } else { 0 };
        let proven = Verdicts::from_uids([0, 1].map(Uid));
        let settled = settle(&tally, None, None, room(3, 0), &proven, from(1), incentive);
        let included = settled.included.into_iter();
        let found: Vec<(Uid, Standing)> = included.map(|one| (one.uid, one.standing)).collect();
        let standing = |trust, is_proven| Standing { trust, is_proven };
        let (new, best) = (standing(4_095, true), standing(65_535, false));
        assert_eq!(found, [(Uid(1), new), (Uid(2), best)]);
    }

    #[test]
    fn what_began_elsewhere_is_not_included_and_a_null_round_keeps_its_root() {
        let mut tally = tally(&[9], &[Uid(1)]);
        tally.add(&attestation(1, &[Uid(1)]), 9).expect("it fits");
        let none = Verdicts::default();
        let settled = settle(&tally, None, None, room(8, 0), &none, from(2), |_| 0);
        assert!(settled.included.is_empty());
        assert_eq!(settled.expected, Some(root(1)));
    }

    #[test]
    fn where_rounds_overlap_what_began_from_the_base_is_included_and_nothing_else() {
        let mut tally = tally(&[9], &[Uid(1)]);
        tally.add(&attestation(5, &[Uid(1)]), 9).expect("it fits");
        let made_from = |parent, before: Option<u8>| {
            let (none, before) = (Verdicts::default(), before.map(root));
            let settled = settle(&tally, None, before, room(8, 0), &none, from(parent), |_| 0);
            assert_eq!(settled.ancestor.final_root(), Some(root(5)));
            uids(&settled)
        };
        assert_eq!(made_from(4, Some(4)), [Uid(1)]);
        assert!(made_from(5, Some(4)).is_empty());
        // The round before has no final root: nothing changed since.
        assert_eq!(made_from(5, None), [Uid(1)]);
        assert!(made_from(4, None).is_empty());
    }

    #[test]
    fn without_a_quorum_nothing_is_included_and_the_root_stays_expected() {
        let mut tally = tally(&[9, 10], &[Uid(1)]);
        tally.add(&attestation(1, &[Uid(1)]), 9).expect("it fits");
        let settled = settle(
            &tally,
            Some(root(1)),
            None,
            room(8, 0),
            &Verdicts::default(),
            from(1),
            |_| 0,
        );
        assert!(settled.included.is_empty() && !settled.ancestor.is_final);
        assert_eq!(settled.expected, Some(root(1)));
    }

    #[test]
    fn two_thirds_for_another_root_than_expected_are_refused() {
        let mut tally = tally(&[9], &[Uid(1)]);
        tally.add(&attestation(1, &[Uid(1)]), 9).expect("it fits");
        let settled = settle(
            &tally,
            Some(root(2)),
            None,
            room(8, 0),
            &Verdicts::default(),
            from(1),
            |_| 0,
        );
        assert_eq!(settled.refused_for, Some(root(2)));
        assert!(settled.included.is_empty());
        assert_eq!(settled.expected, Some(root(2)));
    }

    proptest! {
        #[test]
        fn trust_is_never_nothing_and_newcomers_have_a_tenth(
            incentives in prop::collection::vec(prop_oneof![Just(0u16), 1u16..], 0..=256),
        ) {
            let found = trusts(&incentives);
            prop_assert_eq!(found.len(), incentives.len());
            prop_assert!(found.iter().all(|trust| *trust > 0));
            let sum = |is_new: bool| -> u64 {
                let those = incentives.iter().zip(&found).filter(|(incentive, _)| (**incentive == 0) == is_new);
                those.map(|(_, trust)| u64::from(*trust)).sum()
            };
            if sum(false) > 0 {
                prop_assert!(10 * sum(true) <= sum(true) + sum(false));
            }
            let mut pairs: Vec<(u16, u16)> = incentives.into_iter().zip(found).collect();
            pairs.sort();
            prop_assert!(pairs.is_sorted_by_key(|(_, trust)| *trust), "more was earned, and less is trusted");
        }

        #[test]
        fn the_order_of_contributions_is_irrelevant(
            (all, shuffled) in prop::collection::vec(0u16..40, 0..20)
                .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        ) {
            let of = |incentives: &[u16]| {
                let mut pairs: Vec<(u16, u16)> =
                    incentives.iter().copied().zip(trusts(incentives)).collect();
                pairs.sort();
                pairs
            };
            prop_assert_eq!(of(&all), of(&shuffled));
        }

        #[test]
        fn what_is_included_had_two_thirds_and_was_the_best(
            votes in prop::collection::vec((prop::collection::vec((0u16..12).prop_map(Uid), 0..12), 1u64..100), 1..6),
            incentives in prop::collection::vec(0u16..5, 12), most in 0u16..14, exam: u8,
        ) {
            let stakes: Vec<u64> = votes.iter().map(|(_, stake)| *stake).collect();
            let all: Vec<Uid> = (0..12).map(Uid).collect();
            let mut tally = tally(&stakes, &all);
            for (good, stake) in &votes {
                tally.add(&attestation(1, good), *stake).expect("it fits");
            }
            let incentive = |uid: Uid| incentives[uid.index()];
            let (none, room) = (Verdicts::default(), room(most, exam));
            let settled = settle(&tally, Some(root(1)), None, room, &none, from(1), incentive);
            let included = uids(&settled);
            prop_assert!(included.is_sorted() && included.len() <= usize::from(most));
            let good = |uid: &Uid| tally.is_two_thirds(tally.support[uid]);
            prop_assert!(included.iter().all(good));
            let left: Vec<&Uid> = all.iter().filter(|uid| good(uid) && !included.contains(uid)).collect();
            prop_assert!(left.is_empty() || included.len() == usize::from(most));
            for uid in left {
                let rank = |uid: Uid| (Reverse(incentive(uid)), room.lot(uid));
                prop_assert!(included.iter().all(|taken| rank(*taken) < rank(*uid)));
            }
        }
    }
}
