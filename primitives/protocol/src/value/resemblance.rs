//! Which contributions resemble each other more than honest ones do.
//!
//! Two miners that train from the same parameters on different text find directions that have something in common,
//! and more of it the earlier in a run. What that is in a round, the lower half of its pairs says: its median, and
//! five times its median deviation. Not all pairs, since of ten copies among fourteen half of the pairs are pairs of
//! copies. Two bounds hold whatever they say: below [`FLOOR`] nothing is a copy, so that a round of few and even
//! pairs makes none of honest miners; above [`CEILING`] all is, so that copies in a great majority do not pass for
//! what is usual. Where members take turns only two of the same turn can be compared. Those pairs are too few to say
//! what is usual, and one that repeats the last round is in many of them: then only [`CEILING`] holds.

use alloc::{vec, vec::Vec};

/// What honest contributions may have in common in any case: their cosine.
pub const FLOOR: f64 = 0.5;
/// What they never have.
pub const CEILING: f64 = 0.9;
/// Median deviations above the median from which on a cosine is not that of honest contributions.
const DEVIATIONS: f64 = 5.0;
/// What a median deviation is taken for at least: few pairs may happen to be even.
const LEAST_DEVIATION: f64 = 0.03;

/// The cosine above which two contributions are not both honest, of the cosines of a round.
pub fn bound(cosines: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = cosines
        .iter()
        .copied()
        .filter(|one| one.is_finite())
        .collect();
    sorted.sort_by(f64::total_cmp);
    let lower = sorted.len().div_ceil(2);
    sorted.truncate(lower);
    let Some(usual) = median(&sorted) else {
        return CEILING;
    };
    let mut deviations: Vec<f64> = sorted.iter().map(|one| libm::fabs(one - usual)).collect();
    deviations.sort_by(f64::total_cmp);
    let deviation = median(&deviations).unwrap_or_default();
    (usual + DEVIATIONS * deviation.max(LEAST_DEVIATION)).clamp(FLOOR, CEILING)
}

/// The lower median of numbers in ascending order.
fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len().checked_sub(1)?.checked_div(2)?;
    sorted.get(middle).copied()
}

/// Of each of `count` contributions, how many of them are one group with it, itself included. `pairs` are the cosines
/// of two each, by their place; whoever resembles one of a group belongs to it. Pairs that are not there cannot be
/// compared.
pub fn alike(count: usize, pairs: &[(usize, usize, f64)]) -> Vec<u16> {
    let all = count.saturating_mul(count.saturating_sub(1)) / 2;
    let bound = match pairs.len() < all {
        true => CEILING,
        false => bound(
            &pairs
                .iter()
                .map(|(_, _, cosine)| *cosine)
                .collect::<Vec<_>>(),
        ),
    };
    let mut groups: Vec<usize> = (0..count).collect();
    for (one, other, cosine) in pairs {
        let found = groups.get(*one).copied().zip(groups.get(*other).copied());
        if let Some((one, other)) = found.filter(|_| *cosine > bound) {
            let joined = one.min(other);
            for group in &mut groups {
                if *group == one || *group == other {
                    *group = joined;
                }
            }
        }
    }
    let mut sizes = vec![0u16; count];
    for group in &groups {
        if let Some(size) = sizes.get_mut(*group) {
            *size = size.saturating_add(1);
        }
    }
    let size = |group: &usize| sizes.get(*group).copied().unwrap_or(1);
    groups.iter().map(size).collect()
}

/// Of each contribution, whether it resembles what the round before changed more than honest ones do, from its cosine
/// with that.
pub fn repeats(cosines: &[f64]) -> Vec<bool> {
    let bound = bound(cosines);
    cosines.iter().map(|cosine| *cosine > bound).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All pairs of `count`, of which the first `copies` are copies of each other.
    fn pairs(count: usize, copies: usize, honest: f64) -> Vec<(usize, usize, f64)> {
        let cosine = |one: usize, other: usize| match other < copies {
            true => 0.99,
            // Honest ones differ a little.
            false => honest + ((one * 7 + other * 5) % 11) as f64 * 0.002,
        };
        let of = |one| (one + 1..count).map(move |other| (one, other, cosine(one, other)));
        (0..count).flat_map(of).collect()
    }

    #[test]
    fn honest_ones_are_each_alone() {
        for (count, honest) in [(2, 0.3), (3, 0.6), (5, 0.1), (20, 0.7)] {
            assert_eq!(alike(count, &pairs(count, 0, honest)), vec![1; count]);
        }
        assert_eq!(alike(1, &[]), [1]);
        assert!(alike(0, &[]).is_empty());
    }

    #[test]
    fn copies_are_found_few_or_many() {
        for (count, copies) in [(2, 2), (5, 2), (14, 10), (30, 28)] {
            let found = alike(count, &pairs(count, copies, 0.4));
            let expected: Vec<u16> = (0..count)
                .map(|one| if one < copies { copies as u16 } else { 1 })
                .collect();
            assert_eq!(found, expected);
        }
    }

    /// What is usual in some pairs would make copies of the two honest ones.
    #[test]
    fn of_pairs_that_are_not_all_there_only_the_ceiling_is_asked() {
        let some = [(0, 1, 0.77), (2, 3, 0.6), (2, 4, 0.61), (3, 4, 0.95)];
        assert!(bound(&some.map(|(_, _, cosine)| cosine)) < 0.77);
        assert_eq!(alike(5, &some), [1, 1, 1, 2, 2]);
    }

    #[test]
    fn who_resembles_one_of_a_group_belongs_to_it() {
        let chain = [
            (0, 1, 0.99),
            (1, 2, 0.99),
            (0, 2, 0.4),
            (0, 3, 0.1),
            (1, 3, 0.1),
            (2, 3, 0.1),
        ];
        assert_eq!(alike(4, &chain), [3, 3, 3, 1]);
    }

    #[test]
    fn places_that_are_not_there_are_passed_over() {
        assert_eq!(alike(2, &[(0, 9, 0.99), (7, 8, 0.99)]), [1, 1]);
    }

    #[test]
    fn what_repeats_the_last_round_is_found() {
        assert_eq!(
            repeats(&[0.2, 0.25, 0.9, 0.22]),
            [false, false, true, false]
        );
        assert_eq!(repeats(&[0.97]), [true]);
        assert_eq!(repeats(&[0.3, 0.3]), [false, false]);
    }

    proptest! {
        #[test]
        fn the_order_of_pairs_is_irrelevant(
            (pairs, shuffled) in prop::collection::vec((0usize..8, 0usize..8, 0.0f64..1.0), 0..30)
                .prop_flat_map(|pairs| (Just(pairs.clone()), Just(pairs).prop_shuffle()))
        ) {
            prop_assert_eq!(alike(8, &pairs), alike(8, &shuffled));
        }

        #[test]
        fn groups_are_whole(pairs in prop::collection::vec((0usize..8, 0usize..8, 0.0f64..1.0), 0..30)) {
            let found = alike(8, &pairs);
            for size in 1..=8u16 {
                let of_size = found.iter().filter(|one| **one == size).count();
                prop_assert_eq!(of_size % usize::from(size), 0);
            }
        }

        #[test]
        fn a_bound_is_within_its_bounds(cosines in prop::collection::vec(-1.0f64..1.0, 0..30)) {
            prop_assert!((FLOOR..=CEILING).contains(&bound(&cosines)));
        }
    }
}
