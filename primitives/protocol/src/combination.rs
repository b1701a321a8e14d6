//! What an included contribution counts in the next parameters.
//!
//! By trust, or by trust times tokens, as the run's configuration says. All inner steps of a run have the same number
//! of tokens, so steps are what is counted: those that a contribution's header declares, which [`verdict`] bounds by
//! those of a round. Audits bear them out: whoever declares steps that it did not make is found where the interval lies
//! among these. So steps count in full only of makers that are [proven](crate::wages). What others declare counts up
//! to the middle of what the proven ones of the round did, weighted by trust, as norms are.
//!
//! Counts are integers of 16 bits, so that sums of them stay within what the outer step adds up exactly. Where all
//! made the same number of steps they are the trusts.
//!
//! [`verdict`]: crate::verdict

use alloc::vec::Vec;

use cairn_primitives::{Combination, Standing};

/// What is known of an included contribution: from the chain, and from its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brought {
    /// What the settlement says of it.
    pub standing: Standing,
    /// Inner steps that its header declares.
    pub steps: u32,
}

/// What each contribution of a round counts beside the others, in the same order; never 0, if no trust is.
pub fn counts(combine: Combination, brought: &[Brought]) -> Vec<u16> {
    match combine {
        Combination::Trust => brought.iter().map(|one| one.standing.trust).collect(),
        Combination::Tokens => by_tokens(brought),
    }
}

fn by_tokens(brought: &[Brought]) -> Vec<u16> {
    // Of nobody's steps an audit has borne anything out: all count as if they had made the same number.
    let bound = middle_of_proven(brought).unwrap_or(0);
    let steps = |one: &Brought| match one.standing.is_proven {
        true => one.steps,
        false => one.steps.min(bound),
    };
    let most = brought.iter().map(steps).max().unwrap_or(0);
    let counted = brought.iter();
    counted
        .map(|one| share_of(one.standing.trust, steps(one), most))
        .collect()
}

/// The least number of steps such that proven makers with no more have half of their trust; `None` if nobody is proven.
fn middle_of_proven(brought: &[Brought]) -> Option<u32> {
    let proven = brought.iter().filter(|one| one.standing.is_proven);
    let mut proven: Vec<(u32, u64)> = proven
        .map(|one| (one.steps, u64::from(one.standing.trust)))
        .collect();
    proven.sort_unstable();
    let all: u64 = proven.iter().map(|(_, trust)| *trust).sum();
    let mut up_to = 0u64;
    for (steps, trust) in proven {
        up_to = up_to.saturating_add(trust);
        if up_to.saturating_mul(2) >= all {
            return Some(steps);
        }
    }
    None
}

/// `steps` of `most` of a trust, to the nearest integer, halves up, and 1 at least; all of it if nobody made a step.
fn share_of(trust: u16, steps: u32, most: u32) -> u16 {
    let (whole, most) = (u64::from(trust), u64::from(most));
    let product = whole.saturating_mul(u64::from(steps));
    let nearest = product.saturating_add(most / 2).checked_div(most);
    let count = nearest.map_or(whole, |count| count.max(1).min(whole));
    u16::try_from(count).unwrap_or(trust)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(trust: u16, is_proven: bool, steps: u32) -> Brought {
        let standing = Standing { trust, is_proven };
        Brought { standing, steps }
    }

    fn by_tokens_of(brought: &[Brought]) -> Vec<u16> {
        counts(Combination::Tokens, brought)
    }

    #[test]
    fn by_trust_steps_do_not_matter() {
        let brought = [one(65_535, true, 30), one(700, false, 1)];
        assert_eq!(counts(Combination::Trust, &brought), [65_535, 700]);
    }

    #[test]
    fn a_count_is_the_part_of_the_trust_that_the_steps_are_of_the_most() {
        let brought = [
            one(65_535, true, 30),
            one(60_000, true, 20),
            one(5, true, 15),
            one(4, true, 1),
            one(9, true, 0),
        ];
        // 2.5 is 3, and neither 0.13 nor nothing is below 1
        assert_eq!(by_tokens_of(&brought), [65_535, 40_000, 3, 1, 1]);
    }

    #[test]
    fn who_is_not_proven_counts_up_to_the_middle_of_those_who_are() {
        let proven = [one(100, true, 10), one(100, true, 20), one(100, true, 40)];
        let beside = |newcomer| {
            let all = by_tokens_of(&[&proven[..], &[newcomer]].concat());
            assert_eq!(all[..3], [25, 50, 100]);
            all[3]
        };
        assert_eq!(beside(one(100, false, 40)), 50);
        assert_eq!(beside(one(100, false, u32::MAX)), 50);
        assert_eq!(beside(one(100, false, 10)), 25);
        assert_eq!(beside(one(100, true, 30)), 75);
    }

    #[test]
    fn the_middle_is_one_of_trust_and_not_of_heads() {
        let middle = |brought: &[Brought]| middle_of_proven(brought);
        assert_eq!(middle(&[]), None);
        assert_eq!(middle(&[one(9, false, 5)]), None);
        let seats = [one(1, true, 0), one(1, true, 0), one(9, true, 30)];
        assert_eq!(middle(&seats), Some(30));
        // of two halves the lower
        assert_eq!(middle(&[one(5, true, 9), one(5, true, 3)]), Some(3));
    }

    #[test]
    fn where_nobody_is_proven_or_made_a_step_trust_decides() {
        let nobody = [one(900, false, 30), one(30, false, 3)];
        assert_eq!(by_tokens_of(&nobody), [900, 30]);
        let nothing = [one(900, true, 0), one(30, true, 0)];
        assert_eq!(by_tokens_of(&nothing), [900, 30]);
        assert!(by_tokens_of(&[]).is_empty());
    }

    fn any_brought() -> impl Strategy<Value = Brought> {
        let steps = prop_oneof![0u32..40, Just(65_535), any::<u32>()];
        (1u16.., any::<bool>(), steps)
            .prop_map(|(trust, is_proven, steps)| one(trust, is_proven, steps))
    }

    proptest! {
        #[test]
        fn no_count_is_nothing_or_above_the_trust(brought in prop::collection::vec(any_brought(), 0..=256)) {
            let found = by_tokens_of(&brought);
            prop_assert_eq!(found.len(), brought.len());
            for (count, one) in found.iter().zip(&brought) {
                prop_assert!((1..=one.standing.trust).contains(count));
            }
            // somebody counts in full, and all together can be added up exactly in `f32`
            let is_whole = |(count, one): (&u16, &Brought)| *count == one.standing.trust;
            prop_assert!(brought.is_empty() || found.iter().zip(&brought).any(is_whole));
            prop_assert!(found.iter().copied().map(u64::from).sum::<u64>() < 1 << 24);
        }

        #[test]
        fn the_order_of_contributions_is_irrelevant(
            (all, shuffled) in prop::collection::vec(any_brought(), 0..20)
                .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        ) {
            let of = |brought: &[Brought]| {
                let known = brought.iter().map(|one| (one.standing.trust, one.standing.is_proven, one.steps));
                let mut pairs: Vec<_> = known.zip(by_tokens_of(brought)).collect();
                pairs.sort();
                pairs
            };
            prop_assert_eq!(of(&all), of(&shuffled));
        }

        #[test]
        fn the_same_number_of_steps_gives_the_trusts(
            standings in prop::collection::vec((1u16.., any::<bool>()), 0..20), steps: u32,
        ) {
            let brought: Vec<Brought> =
                standings.into_iter().map(|(trust, is_proven)| one(trust, is_proven, steps)).collect();
            prop_assert_eq!(by_tokens_of(&brought), counts(Combination::Trust, &brought));
        }

        #[test]
        fn to_declare_more_without_proof_is_no_use(
            proven in prop::collection::vec((1u16.., 0u32..100), 1..10), trust in 1u16.., steps in 0u32..100,
        ) {
            let proven: Vec<Brought> = proven.into_iter().map(|(trust, steps)| one(trust, true, steps)).collect();
            let middle = middle_of_proven(&proven).unwrap();
            let beside = |steps| by_tokens_of(&[&proven[..], &[one(trust, false, steps)]].concat());
            let bounded = beside(steps.min(middle));
            prop_assert_eq!(beside(steps), bounded.clone());
            // and the proven ones have what they have among themselves
            prop_assert_eq!(&bounded[..proven.len()], &by_tokens_of(&proven)[..]);
        }

        #[test]
        fn counts_are_trust_times_steps_but_for_half_of_one(
            brought in prop::collection::vec((1u16.., 1u32..=65_535), 1..20),
        ) {
            let brought: Vec<Brought> = brought.into_iter().map(|(trust, steps)| one(trust, true, steps)).collect();
            let most = u64::from(brought.iter().map(|one| one.steps).max().unwrap());
            for (count, one) in by_tokens_of(&brought).into_iter().zip(&brought) {
                let product = u64::from(one.standing.trust) * u64::from(one.steps);
                let off = (u64::from(count) * most).abs_diff(product);
                prop_assert!(2 * off <= most || count == 1);
            }
        }
    }
}
