//! From scores to the row that a validator sets on chain.

use alloc::{collections::BTreeMap, vec::Vec};
use cairn_primitives::{Hotkey, Uid, MAX_MEMBERS};

/// The row that follows from `scores`, which are by uid and hotkey: the scores of those that are still members, but not
/// the validator's own. `None` if nobody has shown its worth: then the row on chain stays.
pub fn row(
    scores: &BTreeMap<(Uid, Hotkey), f64>,
    members: impl IntoIterator<Item = (Uid, Hotkey)>,
    own: Hotkey,
) -> Option<Vec<(Uid, u16)>> {
    let present = members
        .into_iter()
        .filter(|(_, hotkey)| *hotkey != own)
        .filter_map(|member| Some((member.0, *scores.get(&member)?)));
    Some(proportions(present)).filter(|row| !row.is_empty())
}

/// Numbers in proportion to `scores`: the highest becomes 65,535, the others their share of it, rounded to
/// nearest. What is not positive, or rounds to zero, is left out. Ascending by uid, each uid once, at most
/// [`MAX_MEMBERS`] of them.
pub fn proportions(scores: impl IntoIterator<Item = (Uid, f64)>) -> Vec<(Uid, u16)> {
    let mut positive: Vec<(Uid, f64)> = scores
        .into_iter()
        .filter(|(uid, score)| {
            u32::from(uid.get()) < MAX_MEMBERS && score.is_finite() && *score > 0.0
        })
        .collect();
    positive.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
    positive.dedup_by_key(|(uid, _)| *uid);
    let highest = positive
        .iter()
        .fold(0.0f64, |highest, (_, score)| highest.max(*score));
    positive
        .into_iter()
        .map(|(uid, score)| {
            (
                uid,
                libm::round(score / highest * f64::from(u16::MAX)) as u16,
            )
        })
        .filter(|(_, weight)| *weight > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use cairn_primitives::H256;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scores_are_proportional() {
        assert_eq!(
            proportions([(Uid(4), 1.0), (Uid(2), 0.5), (Uid(9), 0.0)]),
            [(Uid(2), 32_768), (Uid(4), 65_535)]
        );
    }

    #[test]
    fn nothing_good_means_no_scores() {
        assert!(proportions([
            (Uid(1), 0.0),
            (Uid(2), -1.0),
            (Uid(3), f64::NAN),
            (Uid(4), f64::INFINITY)
        ])
        .is_empty());
    }

    #[test]
    fn a_speck_is_left_out() {
        assert_eq!(
            proportions([(Uid(1), 1e-9), (Uid(2), 1.0)]),
            [(Uid(2), 65_535)]
        );
    }

    fn hotkey(uid: Uid) -> Hotkey {
        Hotkey(H256::from_low_u64_be(u64::from(uid.get())))
    }

    #[test]
    fn whoever_left_is_in_no_row_and_nobody_is_in_its_own() {
        let scores = [(1, 2.0), (2, 1.0), (3, 4.0)]
            .map(|(uid, score)| ((Uid(uid), hotkey(Uid(uid))), score));
        let scores: BTreeMap<_, _> = scores.into();
        let of = |members: &[(Uid, Hotkey)], own| row(&scores, members.iter().copied(), own);
        let all = [1, 2, 3].map(Uid).map(|uid| (uid, hotkey(uid)));
        assert_eq!(
            of(&all, hotkey(Uid(3))),
            Some(vec![(Uid(1), 65_535), (Uid(2), 32_768)])
        );
        // The uid has passed to somebody else.
        let replaced = [(Uid(1), hotkey(Uid(9))), (Uid(2), hotkey(Uid(2)))];
        assert_eq!(of(&replaced, hotkey(Uid(3))), Some(vec![(Uid(2), 65_535)]));
        assert_eq!(of(&[(Uid(3), hotkey(Uid(3)))], hotkey(Uid(3))), None);
    }

    proptest! {
        #[test]
        fn a_row_is_of_members_with_a_score(
            scores in prop::collection::btree_map((0u16..30).prop_map(Uid), 0.0f64..9.0, 0..30),
            members in prop::collection::btree_set((0u16..30).prop_map(Uid), 0..30), own in (0u16..30).prop_map(Uid),
        ) {
            let scores: BTreeMap<(Uid, Hotkey), f64> =
                scores.into_iter().map(|(uid, score)| ((uid, hotkey(uid)), score)).collect();
            let found = row(&scores, members.iter().map(|uid| (*uid, hotkey(*uid))), hotkey(own));
            for (uid, _) in found.into_iter().flatten() {
                prop_assert!(uid != own && members.contains(&uid));
                prop_assert!(scores[&(uid, hotkey(uid))] > 0.0);
            }
        }


        #[test]
        fn scores_are_ascending_bounded_and_one_is_full(
            scores in prop::collection::vec(((0u16..300).prop_map(Uid), 1e-6f64..10.0), 1..400)
        ) {
            let found = proportions(scores.clone());
            prop_assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0));
            prop_assert!(found.len() <= MAX_MEMBERS as usize);
            let any_member = scores.iter().any(|(uid, _)| u32::from(uid.get()) < MAX_MEMBERS);
            prop_assert_eq!(found.iter().any(|(_, weight)| *weight == u16::MAX), any_member);
        }
    }
}
