//! What a contribution is measured on, and when that is enough.
//!
//! The chain draws a round's exam when it settles the round: nobody knows it while there is still something to be done
//! for it. Half of the unassigned windows follow from that alone, so that validators can be compared; the other half
//! follow from a salt that each validator keeps to itself, so that who draws the exam does not know all of it.

use cairn_primitives::{blake2_256, Netuid, Round, H256};
use codec::Encode;

use crate::limits::{EXAM_PIECE, EXAM_PIECES, EXAM_SHARE, VALUE_WINDOWS};
use crate::value::{difference, mean, Estimate};

/// Standard errors from zero at which a question is decided.
pub const DECISIVE: f64 = 4.0;
/// Standard errors from zero at which a miner's premium over rounds is decided: so many more than a full score takes
/// that luck takes nobody there.
pub const SETTLED: f64 = 6.0;
/// A gain is known well enough when its standard error is at most this share of it.
pub const PRECISION: f64 = 0.1;

/// The exam of a round, from the chain's randomness after its reveals.
pub fn exam(netuid: Netuid, round: Round, randomness: H256) -> H256 {
    blake2_256(&(b"cairn/exam", netuid, round, randomness).encode())
}

/// What windows are drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seeds {
    /// The exam that all have in common.
    pub common: H256,
    /// The validator's own part of it; none: everything is drawn from the common one.
    pub own: Option<H256>,
}

/// The seeds of a validator that has committed to this salt, or to none.
pub fn seeds(exam: H256, salt: Option<H256>) -> Seeds {
    Seeds {
        common: exam,
        own: salt.map(|salt| own_exam(exam, salt)),
    }
}

/// A validator's own part of an exam.
pub fn own_exam(exam: H256, salt: H256) -> H256 {
    blake2_256(&(b"cairn/own-exam", exam, salt).encode())
}

/// The most windows of each kind that a contribution is measured on, of a run in which a miner trains on `per_miner`
/// in a round: so many that measuring costs at most a part of what training did, but four pieces at least.
pub fn most_windows(per_miner: u64) -> u64 {
    let share = per_miner.checked_div(EXAM_SHARE).unwrap_or(0);
    share.clamp(EXAM_PIECE.saturating_mul(EXAM_PIECES), VALUE_WINDOWS)
}

/// Whether gains on assigned and unassigned windows decide what a contribution was worth, so that no further piece need
/// be measured: it did harm; or it is clear on which kind it did better, and by how much it helped. The first is clear
/// by itself, or with what its maker's contributions proved in the rounds `before` that count with this one, as
/// [`crate::value::proven`] adds it up.
pub fn is_decided(assigned: &[f32], unassigned: &[f32], before: Estimate) -> bool {
    let piece = usize::try_from(EXAM_PIECE).unwrap_or(usize::MAX);
    if assigned.len().min(unassigned.len()) < piece {
        return false;
    }
    let (Some(gain), Some(premium)) = (mean(unassigned), difference(assigned, unassigned)) else {
        // What is not a number will not become one.
        return true;
    };
    let is_far = |of: Estimate, errors: f64| libm::fabs(of.mean) >= errors * of.error();
    let does_harm = gain.mean < -DECISIVE * gain.error();
    let is_told_apart = is_far(premium, DECISIVE) || is_far(before.and(premium), SETTLED);
    let is_precise = gain.error() <= PRECISION * gain.mean;
    does_harm || (is_told_apart && is_precise)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// So many gains, evenly within ±`spread` of `mean`.
    fn gains(mean: f32, spread: f32, count: usize) -> Vec<f32> {
        let at = |i: usize| mean + spread * (2.0 * (i as f32 + 0.5) / count as f32 - 1.0);
        (0..count).map(at).collect()
    }

    const NOTHING: Estimate = Estimate {
        mean: 0.0,
        squared_error: 0.0,
    };

    /// What was proven before: a premium, and by how many errors it is above zero.
    fn proven(mean: f64, errors: f64) -> Estimate {
        let error = mean / errors;
        Estimate {
            mean,
            squared_error: error * error,
        }
    }

    #[test]
    fn what_helps_most_where_it_trained_is_decided_by_one_piece() {
        assert!(is_decided(&gains(0.3, 0.1, 32), &gains(0.2, 0.1, 32), NOTHING));
        let few = EXAM_PIECE as usize - 1;
        let one = (&gains(0.9, 0.1, few), &gains(0.2, 0.01, few));
        assert!(!is_decided(one.0, one.1, NOTHING));
    }

    #[test]
    fn what_helps_the_same_everywhere_takes_all_pieces() {
        assert!(!is_decided(&gains(0.2, 0.1, 128), &gains(0.2, 0.1, 128), NOTHING));
    }

    #[test]
    fn what_was_proven_before_decides_with_it_and_a_gain_must_be_precise_still() {
        let same = gains(0.2, 0.1, 16);
        assert!(!is_decided(&same, &same, NOTHING));
        assert!(is_decided(&same, &same, proven(0.5, 30.0)));
        assert!(is_decided(&same, &same, proven(-0.5, -30.0)));
        assert!(!is_decided(&same, &same, proven(0.1, 5.9)));
        let vague = gains(0.2, 1.0, 16);
        assert!(!is_decided(&vague, &vague, proven(9.0, 30.0)));
    }

    #[test]
    fn harm_is_decided_at_once_and_so_is_ruin() {
        assert!(is_decided(&gains(-0.2, 0.1, 32), &gains(-0.2, 0.1, 32), NOTHING));
        assert!(is_decided(&[f32::NAN; 32], &[0.1; 32], NOTHING));
    }

    #[test]
    fn an_imprecise_gain_is_not_decided() {
        assert!(!is_decided(&gains(3.0, 0.1, 32), &gains(0.2, 1.0, 32), NOTHING));
    }

    #[test]
    fn windows_cost_a_part_of_the_training_and_are_bounded() {
        assert_eq!([0, 40, 320, 10_000].map(most_windows), [64, 64, 80, 128]);
    }

    #[test]
    fn each_salt_has_an_exam_of_its_own() {
        let exam = H256([1; 32]);
        let of = |byte| seeds(exam, Some(H256([byte; 32])));
        assert_ne!(of(1).own, of(2).own);
        assert_eq!(of(1).common, seeds(exam, None).common);
        assert_eq!(seeds(exam, None).own, None);
    }

    proptest! {
        // Symmetric in the sign of the premium: who stops early learns nothing in favour of anybody.
        #[test]
        fn stopping_favours_neither_kind(off in -0.2f32..0.2, spread in 0.01f32..0.5, before in -0.2f64..0.2) {
            let free = gains(0.2, spread, 64);
            let own = gains(0.2 + off, spread, 64);
            let mirrored = gains(0.2 - off, spread, 64);
            let before = [before, -before].map(|mean| Estimate { mean, squared_error: 1e-4 });
            prop_assert_eq!(is_decided(&own, &free, before[0]), is_decided(&mirrored, &free, before[1]));
        }
    }
}
