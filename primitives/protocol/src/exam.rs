//! What a contribution is measured on, and when that is enough.
//!
//! The chain draws a round's exam when it settles the round: nobody knows it while there is still something to be done
//! for it. Half of the unassigned windows follow from that alone, so that validators can be compared; the other half
//! follow from a salt that each validator keeps to itself, so that who draws the exam does not know all of it.

use alloc::{collections::BTreeSet, vec::Vec};
use cairn_primitives::{blake2_256, Netuid, Round, Uid, H256};
use codec::Encode;

use crate::limits::{EXAM_PIECE, EXAM_SHARE, VALUE_WINDOWS};
use crate::value::{difference, mean, Evidence, Outcome};

/// Standard errors from zero at which a question is decided.
pub const DECISIVE: f64 = 4.0;
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

/// At most `count` windows, each once: in turn from what `draw` makes of the seed that all have in common, and of the
/// validator's own.
pub(crate) fn in_turn(seeds: &Seeds, count: u64, draw: impl Fn(H256) -> Vec<u64>) -> Vec<u64> {
    let common = draw(seeds.common);
    let Some(own) = seeds.own else {
        return common;
    };
    let mut own = draw(own).into_iter();
    let (mut taken, mut seen) = (Vec::new(), BTreeSet::new());
    for window in common.into_iter().flat_map(|one| [Some(one), own.next()]) {
        let fresh = window.filter(|window| seen.insert(*window));
        taken.extend(fresh);
    }
    taken.truncate(usize::try_from(count).unwrap_or(usize::MAX));
    taken
}

/// The most windows of each kind that a contribution is measured on, of a run in which a miner trains on `per_miner`
/// in a round: so many that measuring costs at most a part of what training did, but two pieces at least.
pub fn most_windows(per_miner: u64) -> u64 {
    let share = per_miner.checked_div(EXAM_SHARE).unwrap_or(0);
    share.clamp(EXAM_PIECE.saturating_mul(2), VALUE_WINDOWS)
}

/// The fewest windows that a round of such a run leaves to nobody: twice as many as a contribution is measured on. So
/// there is always an exam, and what a validator draws for itself need not be what all have in common.
pub fn least_free(per_miner: u64) -> u64 {
    most_windows(per_miner).saturating_mul(2)
}

/// Whether gains on assigned and unassigned windows decide what a contribution was worth, so that no further piece need
/// be measured: it did harm; or it is clear on which kind it did better, and by how much it helped.
pub fn is_decided(assigned: &[f32], unassigned: &[f32]) -> bool {
    let piece = usize::try_from(EXAM_PIECE).unwrap_or(usize::MAX);
    if assigned.len().min(unassigned.len()) < piece {
        return false;
    }
    let (Some(gain), Some(premium)) = (mean(unassigned), difference(assigned, unassigned)) else {
        // What is not a number will not become one.
        return true;
    };
    let does_harm = gain.mean < -DECISIVE * gain.error();
    let is_told_apart = libm::fabs(premium.mean) >= DECISIVE * premium.error();
    let is_precise = gain.error() <= PRECISION * gain.mean;
    does_harm || (is_told_apart && is_precise)
}

/// What shows that a validator measured a round: the hash of the gains on the first piece of assigned windows of each
/// contribution that it `included`. These windows follow from the exam alone, and a CPU computes the same bits
/// everywhere, so all who measured have the same. `None` if one of them was not measured, or there is nothing to measure any on.
pub fn witness(
    (netuid, round): (Netuid, Round),
    exam: H256,
    included: &[Uid],
    evidence: &[Evidence],
) -> Option<H256> {
    let gains = |uid: &Uid| {
        let mut found = evidence.iter();
        let found = found.find(|one| one.round == round && one.uid == *uid)?;
        let Outcome::Measured { assigned, .. } = &found.outcome else {
            return None;
        };
        let piece = usize::try_from(EXAM_PIECE).unwrap_or(usize::MAX);
        let bits: Vec<u32> = assigned
            .iter()
            .take(piece)
            .map(|gain| gain.to_bits())
            .collect();
        Some((*uid, bits))
    };
    let gains: Option<Vec<(Uid, Vec<u32>)>> = included.iter().map(gains).collect();
    let gains = gains.filter(|gains| gains.iter().any(|(_, bits)| !bits.is_empty()))?;
    Some(blake2_256(
        &(b"cairn/witness", netuid, round, exam, gains).encode(),
    ))
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

    #[test]
    fn all_who_measured_have_one_witness_and_nobody_else_has_it() {
        let measured = |uid: u16, first: f32, count: usize| Evidence {
            round: 3,
            uid: Uid(uid),
            hotkey: cairn_primitives::Hotkey(H256([7; 32])),
            outcome: Outcome::Measured {
                steps: 8,
                of: 8,
                alike: 1,
                repeats: false,
                assigned: vec![first; count],
                unassigned: vec![0.5; count],
                unseen: Vec::new(),
            },
        };
        let of = |evidence: &[Evidence]| {
            let included = [1, 4].map(Uid);
            witness((Netuid(1), 3), H256([9; 32]), &included, evidence)
        };
        let some = of(&[measured(1, 0.1, 32), measured(4, 0.2, 32)]);
        assert!(some.is_some());
        // More pieces, other miners and another order are no difference.
        let more = [
            measured(4, 0.2, 64),
            measured(2, 9.0, 32),
            measured(1, 0.1, 32),
        ];
        assert_eq!(of(&more), some);
        assert_ne!(of(&[measured(1, 0.1, 32), measured(4, 0.3, 32)]), some);
        assert_eq!(of(&[measured(1, 0.1, 32)]), None);
        let mut missed = [measured(1, 0.1, 32), measured(4, 0.2, 32)];
        missed[1].outcome = Outcome::Unmeasured;
        assert_eq!(of(&missed), None);
        assert_eq!(witness((Netuid(1), 3), H256([9; 32]), &[], &more), None);
    }

    #[test]
    fn what_helps_most_where_it_trained_is_decided_by_one_piece() {
        assert!(is_decided(&gains(0.3, 0.1, 32), &gains(0.2, 0.1, 32)));
        assert!(!is_decided(&gains(0.3, 0.1, 31), &gains(0.2, 0.1, 32)));
    }

    #[test]
    fn what_helps_the_same_everywhere_takes_all_pieces() {
        assert!(!is_decided(&gains(0.2, 0.1, 128), &gains(0.2, 0.1, 128)));
    }

    #[test]
    fn harm_is_decided_at_once_and_so_is_ruin() {
        assert!(is_decided(&gains(-0.2, 0.1, 32), &gains(-0.2, 0.1, 32)));
        assert!(is_decided(&[f32::NAN; 32], &[0.1; 32]));
    }

    #[test]
    fn an_imprecise_gain_is_not_decided() {
        assert!(!is_decided(&gains(3.0, 0.1, 32), &gains(0.2, 1.0, 32)));
    }

    #[test]
    fn windows_cost_a_part_of_the_training_and_are_bounded() {
        assert_eq!([0, 40, 320, 10_000].map(most_windows), [64, 64, 80, 128]);
        assert_eq!([0, 40, 320, 10_000].map(least_free), [128, 128, 160, 256]);
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
        fn stopping_favours_neither_kind(off in -0.2f32..0.2, spread in 0.01f32..0.5) {
            let free = gains(0.2, spread, 64);
            let own = gains(0.2 + off, spread, 64);
            let mirrored = gains(0.2 - off, spread, 64);
            prop_assert_eq!(is_decided(&own, &free), is_decided(&mirrored, &free));
        }
    }
}
