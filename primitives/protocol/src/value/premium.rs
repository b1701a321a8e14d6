//! Whether a miner trained on its own assignment: proven over rounds, not presumed.

use super::Estimate;

/// Up to here a premium proves nothing, in standard errors.
const NOTHING: f64 = 1.0;
/// From here on it proves all.
const PROVEN: f64 = 3.0;
/// From here on a premium is beyond doubt: it takes more than a few rounds without one to lose what it proves.
const SURE: f64 = 6.0;
/// What counts of a newcomer, which had no time to prove anything.
const GRACE: f64 = 0.5;

/// The premium of some rounds in standard errors: the sum of by how much assigned windows gained more than unassigned
/// ones, over the root of the sum of squared errors. Zero if nothing was measured.
pub fn premium(rounds: impl IntoIterator<Item = Estimate>) -> f64 {
    let mut all = Estimate::default();
    for round in rounds {
        all.mean += round.mean;
        all.squared_error += round.squared_error;
    }
    if all.squared_error > 0.0 {
        all.mean / all.error()
    } else {
        0.0
    }
}

/// Which share of a miner's gains counts if its premium is `own` and the highest of all is `best`.
///
/// While nobody has proven anything the test cannot tell honest miners from others, and who has proven nothing counts
/// for at most half, the less the more the best one has.
pub fn factor(own: f64, best: f64, is_new: bool) -> f64 {
    let proven = ((own - NOTHING) / (PROVEN - NOTHING)).clamp(0.0, 1.0);
    let doubt = (1.0 - best / PROVEN).clamp(0.0, 1.0);
    let without = if is_new { GRACE } else { GRACE * doubt };
    // Of two numbers of which neither is no number.
    if proven > without {
        proven
    } else {
        without
    }
}

/// Whether a premium is so far above what proves all that one round more need not be known as well.
pub fn is_sure(premium: f64) -> bool {
    premium >= SURE
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round(mean: f64, error: f64) -> Estimate {
        Estimate {
            mean,
            squared_error: error * error,
        }
    }

    #[test]
    fn premiums_add_up_over_rounds() {
        assert!((premium([round(0.02, 0.02)]) - 1.0).abs() < 1e-9);
        assert!((premium([round(0.02, 0.02); 16]) - 4.0).abs() < 1e-9);
        assert_eq!(premium([]), 0.0);
        assert_eq!(
            [PROVEN, 5.9, 6.0, f64::NAN].map(is_sure),
            [false, false, true, false]
        );
    }

    #[test]
    fn what_is_proven_counts_and_what_is_not_does_not() {
        let of = |own| factor(own, 5.0, false);
        assert_eq!(
            [-1.0, 1.0, 2.0, 3.0, 9.0].map(of),
            [0.0, 0.0, 0.5, 1.0, 1.0]
        );
    }

    #[test]
    fn a_newcomer_counts_half_until_it_has_proven_more() {
        let of = |own| factor(own, 5.0, true);
        assert_eq!([-9.0, 2.0, 2.5, 3.0].map(of), [0.5, 0.5, 0.75, 1.0]);
    }

    #[test]
    fn where_nobody_has_proven_anything_nobody_goes_empty() {
        assert_eq!(factor(0.2, 0.2, false), 0.5 * (1.0 - 0.2 / 3.0));
        assert_eq!(factor(0.2, 1.5, false), 0.25);
        assert_eq!(factor(0.2, 3.0, false), 0.0);
    }

    proptest! {
        #[test]
        fn a_factor_is_a_share_and_grows_with_what_is_proven(
            own in -9.0f64..9.0, more in 0.0f64..9.0, best in -9.0f64..20.0, is_new: bool,
        ) {
            let (less, greater) = (factor(own, best, is_new), factor(own + more, best, is_new));
            prop_assert!((0.0..=1.0).contains(&less) && less <= greater);
            prop_assert!(factor(own, best, false) <= factor(own, best, true));
        }
    }
}
