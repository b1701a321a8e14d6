//! What a text that miners do not have says of a gain.
//!
//! A run may have one: its manifest names it, and only validators are given its bytes. Contributions are measured on
//! windows of it beside the others. It is another text than the one that is trained on, so how much of a gain is there
//! is compared with how much of others' gains is. So it takes nothing from anybody that it is a hard text, or an easy
//! one; and who knows it can gain as much on it as he likes, and has no more for it than all of his gain.

use alloc::vec::Vec;
use cairn_primitives::{blake2_256, H256};
use codec::Encode;

use crate::{
    assignment::permute,
    exam::{in_turn, Seeds},
    limits::{EXAM_LEAST, UNSEEN_LEAST},
    value::mean,
};

/// Whether a text of so many windows is long enough.
pub fn is_long_enough(windows: u64) -> bool {
    windows >= UNSEEN_LEAST
}

/// At most `count` of the text's `windows`, each once: in turn from the exam that all have in common and from the
/// validator's own.
pub fn sample(seeds: &Seeds, windows: u64, count: u64) -> Vec<u64> {
    in_turn(seeds, count, |seed| drawn(seed, windows, count))
}

/// At most `count` of the text's `windows`, drawn from `seed`.
fn drawn(seed: H256, windows: u64, count: u64) -> Vec<u64> {
    let draw = blake2_256(&(b"cairn/unseen", seed).encode());
    (0..count.min(windows))
        .map(|index| permute(draw, windows, index))
        .collect()
}

/// What a contribution gained on the text, in nats per token; none if too few windows of it were measured.
pub fn gain(unseen: &[f32]) -> Option<f64> {
    let least = usize::try_from(EXAM_LEAST).unwrap_or(usize::MAX);
    let found = mean(unseen).filter(|_| unseen.len() >= least);
    found.map(|found| found.mean)
}

/// What of a gain is there on the text, if there is a gain and it was measured on the text.
pub fn ratio(gain: f64, unseen: Option<f64>) -> Option<f64> {
    unseen.filter(|_| gain > 0.0).map(|unseen| unseen / gain)
}

/// The usual ratio of a round, from each ratio and what its gain counts: the lowest one at which half of what counts
/// has this one or a lower one. None if it is not above zero: then the text says nothing.
pub fn usual(mut ratios: Vec<(f64, f64)>) -> Option<f64> {
    ratios.retain(|(_, counts)| *counts > 0.0);
    ratios.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)));
    let half = ratios.iter().map(|(_, counts)| counts).sum::<f64>() / 2.0;
    let mut so_far = 0.0f64;
    let middle = ratios.into_iter().find(|(_, counts)| {
        so_far += counts;
        so_far >= half
    });
    middle.map(|(ratio, _)| ratio).filter(|ratio| *ratio > 0.0)
}

/// From which part of the usual ratio on a gain counts in full. Ratios of honest miners differ, too, and what is taken
/// from the lower ones goes to whoever knows the text: so nothing is taken from those near the usual one.
const SLACK: f64 = 0.5;

/// The share of a gain that counts: all of it from half of the usual ratio on, in proportion below, nothing where there
/// is none on the text.
pub fn holds(ratio: Option<f64>, usual: Option<f64>) -> f64 {
    match (ratio, usual) {
        (Some(ratio), Some(usual)) => (ratio / usual / SLACK).clamp(0.0, 1.0),
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeSet, vec};

    use cairn_primitives::{Round, Uid};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        exam,
        value::{
            accounts, advice, scores,
            testing::{around, key, of_gains},
            Account, Advice, Evidence,
        },
    };

    const EXAM: H256 = H256([9; 32]);

    /// An honest miner's evidence of a round, with these gains on unassigned and on unseen windows.
    fn measured(round: Round, uid: u16, gain: f32, unseen: f32) -> Evidence {
        let gains = [around(gain + 0.02), around(gain), around(unseen)];
        of_gains(round, Uid(uid), gains)
    }

    /// Eight rounds of miners that gain 0.2 each, and so much on the unseen text.
    fn rounds(unseen: &[f32]) -> Vec<Evidence> {
        let of = |round| {
            let miners = (1..).zip(unseen);
            miners.map(move |(uid, unseen)| measured(round, uid, 0.2, *unseen))
        };
        (0..8).flat_map(of).collect()
    }

    fn shares(log: &[Evidence]) -> Vec<f64> {
        scores(log, 7).into_values().collect()
    }

    fn account(log: &[Evidence], uid: u16) -> Account {
        accounts(log, 7)[&(Uid(uid), key(Uid(uid)))].clone()
    }

    fn near(one: &[f64], other: &[f64]) -> bool {
        let mut pairs = one.iter().zip(other);
        one.len() == other.len() && pairs.all(|(one, other)| (one - other).abs() < 0.005)
    }

    #[test]
    fn half_of_the_windows_are_common_and_half_a_validators_own() {
        let of = |salt: u8| -> BTreeSet<u64> {
            let seeds = exam::seeds(EXAM, Some(H256([salt; 32])));
            sample(&seeds, 2_000, 64).into_iter().collect()
        };
        let (one, other) = (of(1), of(2));
        assert_eq!((one.len(), other.len()), (64, 64));
        let common = sample(&exam::seeds(EXAM, None), 2_000, 30);
        let is_common = |window: &u64| one.contains(window) && other.contains(window);
        assert!(common.iter().all(is_common));
        assert!(one.intersection(&other).count() < 40);
    }

    #[test]
    fn a_hard_text_and_an_easy_one_change_nothing() {
        let equal = [1.0 / 3.0; 3];
        for unseen in [0.02, 0.2, 0.4] {
            assert!(near(&shares(&rounds(&[unseen; 3])), &equal), "{unseen}");
        }
    }

    #[test]
    fn a_text_on_which_most_gain_nothing_says_nothing() {
        let log = rounds(&[-0.1, -0.01, 0.5]);
        assert!(near(&shares(&log), &[1.0 / 3.0; 3]));
        assert_eq!(account(&log, 1).rounds[0].holds, 1.0);
    }

    #[test]
    fn who_knows_the_text_has_no_more_for_it() {
        let log = rounds(&[0.1, 0.1, 0.9]);
        assert!(near(&shares(&log), &[1.0 / 3.0; 3]));
    }

    #[test]
    fn ratios_that_differ_as_those_of_honest_miners_do_take_nothing() {
        let log = rounds(&[0.06, 0.08, 0.1, 0.12, 0.15]);
        assert!(near(&shares(&log), &[0.2; 5]));
    }

    #[test]
    fn a_gain_that_does_not_hold_counts_as_far_as_it_does() {
        // An eighth of what is usual.
        let log = rounds(&[0.1, 0.1, 0.012]);
        assert!(near(&shares(&log), &[4.0 / 9.0, 4.0 / 9.0, 1.0 / 9.0]));
        let part = account(&log, 3).rounds[0];
        assert!((part.holds - 0.25).abs() < 0.02, "{}", part.holds);
        let told = advice(&account(&log, 3));
        assert!(told.contains(&Advice::Memorised(8)), "{told:?}");
        assert!(advice(&account(&log, 1)).is_empty());
        let none = rounds(&[0.1, 0.1, -0.3]);
        assert!(near(&shares(&none), &[0.5, 0.5, 0.0]));
    }

    #[test]
    fn what_counts_nothing_has_no_say_in_what_is_usual() {
        let say = |counts| usual(vec![(0.5, 1.0), (9.0, counts), (9.0, counts)]);
        assert_eq!((say(0.0), say(1.0)), (Some(0.5), Some(9.0)));
        assert_eq!(usual(Vec::new()), None);
        assert_eq!(usual(vec![(0.5, 0.0)]), None);
    }

    #[test]
    fn too_few_windows_of_the_text_say_nothing() {
        let gains = around(0.1);
        assert_eq!(gain(&gains[..7]), None);
        assert!(gain(&gains[..8]).is_some());
        assert_eq!(gain(&[f32::NAN; 32]), None);
        assert_eq!(holds(ratio(0.2, None), Some(0.5)), 1.0);
        assert_eq!(ratio(0.0, Some(0.1)), None);
    }

    proptest! {
        #[test]
        fn windows_are_drawn_once_and_are_the_texts(
            exam: [u8; 32], salt: Option<[u8; 32]>, windows in 0u64..3_000, count in 0u64..200,
        ) {
            let drawn = sample(&exam::seeds(H256(exam), salt.map(H256)), windows, count);
            let once: BTreeSet<u64> = drawn.iter().copied().collect();
            prop_assert_eq!(drawn.len() as u64, count.min(windows));
            prop_assert_eq!(once.len(), drawn.len());
            prop_assert!(drawn.iter().all(|window| *window < windows));
        }

        // Who has less than half of what counts cannot choose what the others are held against beyond what they have.
        #[test]
        fn one_of_three_equals_cannot_lower_what_the_others_have(known in 0.0f32..2.0) {
            let found = shares(&rounds(&[0.1, 0.1, known]));
            prop_assert!(found[0] >= 1.0 / 3.0 - 1e-6 && found[1] >= 1.0 / 3.0 - 1e-6);
        }

        #[test]
        fn a_higher_gain_on_the_text_never_lowers_a_score(
            unseen in prop::collection::vec(-0.2f32..0.4, 1..6), more in 0.0f32..0.5,
        ) {
            let before = shares(&rounds(&unseen));
            let mut better = unseen;
            better[0] += more;
            prop_assert!(shares(&rounds(&better))[0] >= before[0] - 1e-6);
        }

        #[test]
        fn what_counts_is_a_share_and_the_order_is_irrelevant(
            (ratios, shuffled) in prop::collection::vec((-1.0f64..2.0, 0.0f64..1.0), 0..12)
                .prop_flat_map(|ratios| (Just(ratios.clone()), Just(ratios).prop_shuffle())),
            own in -1.0f64..2.0,
        ) {
            let found = usual(ratios);
            prop_assert_eq!(found, usual(shuffled));
            prop_assert!((0.0..=1.0).contains(&holds(Some(own), found)));
        }
    }
}
