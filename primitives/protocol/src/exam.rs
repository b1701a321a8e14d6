//! What a contribution is measured on, and when that is enough.
//!
//! The chain draws a round's exam when it settles the round: nobody knows it while there is still something to be done
//! for it. Half of the unassigned windows follow from that alone, so that validators can be compared; the other half
//! follow from a salt that each validator keeps to itself, so that who draws the exam does not know all of it.

use alloc::{collections::BTreeSet, vec::Vec};
use core::ops::Range;

use cairn_primitives::{
    blake2_256, AuditRules, Combination, MicroNats, Nano, Netuid, OuterStep, Round, Uid, Witness,
    H256,
};
use codec::Encode;

use crate::limits::{EXAM_FLOOR, EXAM_PIECE, EXAM_SHARE, EXAM_STEP, VALUE_WINDOWS};
use crate::value::{mean, premium_of, Evidence, Outcome};

/// Standard errors from zero at which a question is decided.
pub const DECISIVE: f64 = 4.0;
/// A gain is known well enough when its standard error is at most this share of it.
pub const PRECISION: f64 = 0.1;

/// The exam of a round, from the chain's randomness after its reveals.
pub fn exam(netuid: Netuid, round: Round, randomness: H256) -> H256 {
    blake2_256(&(b"cairn/exam", netuid, round, randomness).encode())
}

/// Whether contributions of such a run are held against the settled parameters. Only where work is audited: an
/// accomplice could unlearn what somebody claims. And only where these are the mean over all contributions by trust:
/// else there could be more of a contribution in them than is [counted on](Trial::part), up to all of it.
pub fn is_beside(audits: &AuditRules, outer: &OuterStep) -> bool {
    audits.rate > 0 && outer.rho == Nano::ONE && outer.combine == Combination::Trust
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
/// in a round: so many that measuring costs at most a part of what training did, but [`EXAM_FLOOR`] at least.
pub fn most_windows(per_miner: u64) -> u64 {
    let share = per_miner.checked_div(EXAM_SHARE).unwrap_or(0);
    share.clamp(EXAM_FLOOR, VALUE_WINDOWS)
}

/// The places of the windows of a piece: the first is long enough to prove something, later ones are shorter.
pub fn piece(number: usize) -> Range<usize> {
    let size = |windows: u64| usize::try_from(windows).unwrap_or(usize::MAX);
    let (first, step) = (size(EXAM_PIECE), size(EXAM_STEP));
    let begin = |later: usize| first.saturating_add(later.saturating_mul(step));
    match number.checked_sub(1) {
        None => 0..first,
        Some(later) => begin(later)..begin(later.saturating_add(1)),
    }
}

/// The fewest windows that a round of such a run leaves to nobody: twice as many as a contribution is measured on. So
/// there is always an exam, and what a validator draws for itself need not be what all have in common.
pub fn least_free(per_miner: u64) -> u64 {
    most_windows(per_miner).saturating_mul(2)
}

/// What was measured of a contribution so far.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    /// By how much it is better than the settled parameters on assigned windows; than those with which the round began,
    /// if `settled` is empty.
    pub assigned: &'a [f32],
    /// What it gained on unassigned ones.
    pub unassigned: &'a [f32],
    /// What the settled parameters gained on those.
    pub settled: &'a [f32],
    /// Its part in them, from 0 to 1. As much of its premium is theirs, too.
    pub part: f64,
    /// Whether the rounds before say beyond doubt that its maker trains on its own data.
    pub is_proven: bool,
    /// The most windows of each kind that it is measured on.
    pub most: u64,
}

impl Trial<'_> {
    /// Whether it decides what the contribution was worth, so that no further piece need be measured: it did harm; or
    /// it is clear by how much it helped, and its maker's premium is beyond doubt, or it is clear on which kind it did
    /// better, or as well known how much better it did as `most` windows would say by themselves.
    pub fn is_decided(&self) -> bool {
        let piece = usize::try_from(EXAM_PIECE).unwrap_or(usize::MAX);
        if self.assigned.len().min(self.unassigned.len()) < piece {
            return false;
        }
        let premium = premium_of(self.assigned, self.unassigned, self.settled);
        let (Some(gain), Some(premium)) = (mean(self.unassigned), premium) else {
            // What is not a number will not become one.
            return true;
        };
        let does_harm = gain.mean < -DECISIVE * gain.error();
        let is_told_apart = libm::fabs(premium.mean) >= DECISIVE * premium.error();
        let is_precise = gain.error() <= PRECISION * gain.mean;
        // Of gains by themselves, of which both kinds differ about as much from window to window.
        let alone = 2.0 * gain.squared_error * self.unassigned.len() as f64 / self.most as f64;
        let own = (1.0 - self.part).clamp(0.0, 1.0);
        let is_as_good = !self.settled.is_empty() && premium.squared_error <= own * own * alone;
        does_harm || (is_precise && (self.is_proven || is_told_apart || is_as_good))
    }
}

/// Micro-nats in a nat.
const MICROS: f64 = 1_000_000.0;

/// The mean of losses in nats per token, each of as many tokens, in micro-nats per token: each is rounded to whole ones
/// (halves away from zero), then their mean, halves up. So it does not depend on the order in which they are added.
///
/// `None` if there are none, if one is negative or no number, or if the mean is no positive number that fits.
pub fn mean_loss(losses: impl IntoIterator<Item = f32>) -> Option<MicroNats> {
    let (mut sum, mut count) = (0u64, 0u64);
    for loss in losses {
        let micros = libm::round(f64::from(loss) * MICROS);
        if !(0.0..=f64::from(MicroNats::MAX)).contains(&micros) {
            return None;
        }
        // A whole number from 0 to what fits, as was just asked.
        sum = sum.checked_add(micros as u64)?;
        count = count.checked_add(1)?;
    }
    let mean = sum
        .checked_mul(2)?
        .checked_add(count)?
        .checked_div(count.checked_mul(2)?)?;
    MicroNats::try_from(mean).ok().filter(|mean| *mean > 0)
}

/// What shows that a validator measured a round: the hash of by how much each contribution that it `included` was
/// better on the first piece of assigned windows, and the mean [`loss`](mean_loss) of the parameters with which the
/// round began on unassigned windows. All these follow from the exam alone, and a CPU computes the same bits
/// everywhere, so all who measured have the same. `None` if one of them was not measured, or there is nothing to
/// measure any on.
pub fn witness(
    (netuid, round): (Netuid, Round),
    exam: H256,
    included: &[Uid],
    evidence: &[Evidence],
    loss: Option<MicroNats>,
) -> Option<Witness> {
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
    Some(Witness {
        gains: blake2_256(&(b"cairn/witness", netuid, round, exam, gains).encode()),
        loss: loss.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{beyond, testing::of_gains};
    use proptest::prelude::*;

    /// So many gains, evenly within ±`spread` of `mean`.
    fn gains(mean: f32, spread: f32, count: usize) -> Vec<f32> {
        let at = |i: usize| mean + spread * (2.0 * (i as f32 + 0.5) / count as f32 - 1.0);
        (0..count).map(at).collect()
    }

    #[test]
    fn contributions_are_held_against_a_mean_by_trust_of_work_that_is_audited() {
        let beside = |rate, rho, combine| {
            let audits = AuditRules {
                rate,
                ..AuditRules::default()
            };
            let learning_rate = Nano::ONE;
            let outer = OuterStep {
                learning_rate,
                rho,
                clip: OuterStep::USUAL_CLIP,
                combine,
            };
            is_beside(&audits, &outer)
        };
        assert!(beside(1, Nano::ONE, Combination::Trust));
        assert!(!beside(0, Nano::ONE, Combination::Trust));
        assert!(!beside(1, Nano::ONE, Combination::Tokens));
        assert!(!beside(1, Nano(999_999_999), Combination::Trust));
    }

    #[test]
    fn all_who_measured_have_one_witness_and_nobody_else_has_it() {
        let measured = |uid: u16, first: f32, count: usize| {
            let gains = [vec![first; count], vec![0.5; count], Vec::new()];
            of_gains(3, Uid(uid), gains)
        };
        let of = |evidence: &[Evidence]| {
            let included = [1, 4].map(Uid);
            witness((Netuid(1), 3), H256([9; 32]), &included, evidence, Some(7))
        };
        let some = of(&[measured(1, 0.1, 32), measured(4, 0.2, 32)]);
        assert_eq!(some.and_then(|some| some.stated_loss()), Some(7));
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
        let nobody = witness((Netuid(1), 3), H256([9; 32]), &[], &more, Some(7));
        assert_eq!(nobody, None);
    }

    /// What is no number has many bits, and one gain: none of them makes another witness.
    #[test]
    fn a_ruined_contribution_has_one_witness_whatever_its_losses_are() {
        let of = |before: f32, after: f32| {
            let assigned = crate::value::gains(&[before; 32], &[after; 32]);
            assert!(assigned.iter().all(|gain| gain.is_finite()));
            let evidence = Evidence {
                round: 3,
                uid: Uid(1),
                hotkey: cairn_primitives::Hotkey(H256([7; 32])),
                outcome: Outcome::Measured {
                    steps: 8,
                    of: 8,
                    alike: 1,
                    repeats: false,
                    assigned,
                    unassigned: vec![0.5; 32],
                    settled: Vec::new(),
                    unseen: Vec::new(),
                },
            };
            witness((Netuid(1), 3), H256([9; 32]), &[Uid(1)], &[evidence], None)
        };
        let other = f32::from_bits(f32::NAN.to_bits() ^ 1);
        assert!(other.is_nan() && of(5.0, f32::NAN).is_some());
        for after in [-f32::NAN, other, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(of(5.0, after), of(5.0, f32::NAN), "{after}");
            assert_eq!(of(after, 5.0), of(5.0, f32::NAN), "{after} before");
        }
        assert_ne!(of(5.0, 4.5), of(5.0, f32::NAN));
    }

    #[test]
    fn a_mean_loss_is_in_whole_micro_nats() {
        let of = |losses: &[f32]| mean_loss(losses.iter().copied());
        assert_eq!(of(&[5.5, 4.5]), Some(5_000_000));
        // 1 and 2 make 1.5, which is 2; 1, 1 and 2 make 1.
        assert_eq!(of(&[0.000_001, 0.000_002]), Some(2));
        assert_eq!(of(&[0.000_001, 0.000_001, 0.000_002]), Some(1));
        assert_eq!(of(&[0.25, 0.0]), Some(125_000));
        for nothing in [&[0.0][..], &[], &[1.0, -0.5], &[f32::NAN], &[5_000.0]] {
            assert_eq!(of(nothing), None, "{nothing:?}");
        }
    }

    /// Whether these decide, of one that has a quarter of the settled parameters.
    fn is_decided(assigned: &[f32], unassigned: &[f32], settled: &[f32]) -> bool {
        Trial {
            assigned,
            unassigned,
            settled,
            part: 0.25,
            is_proven: false,
            most: 80,
        }
        .is_decided()
    }

    #[test]
    fn what_helps_most_where_it_trained_is_decided_by_one_piece() {
        let (own, free) = (gains(0.5, 0.1, 8), gains(0.3, 0.1, 8));
        assert!(is_decided(&own, &free, &[]));
        assert!(!is_decided(&own[1..], &free, &[]));
    }

    #[test]
    fn what_helps_the_same_everywhere_takes_all_pieces_if_there_is_nothing_to_hold_it_against() {
        assert!(!is_decided(
            &gains(0.2, 0.1, 128),
            &gains(0.2, 0.1, 128),
            &[]
        ));
    }

    /// As good as 80 windows say by themselves is what differs about a quarter as much on 8 windows, or half as much on
    /// 32; of its part in the settled parameters a contribution does not differ from them.
    #[test]
    fn what_is_known_as_well_as_most_windows_would_say_is_decided() {
        let decided = |share: f32, count: usize| {
            // Evenly spread, in another order.
            let settled = gains(0.3, 0.1, count);
            let apart: Vec<f32> = (0..count)
                .map(|i| gains(0.0, 0.1 * share, count)[i * 3 % count])
                .collect();
            let free: Vec<f32> = settled.iter().zip(&apart).map(|(a, b)| a + b).collect();
            is_decided(&apart, &free, &settled)
        };
        assert_eq!(
            [0.2, 0.24, 0.4, 0.5].map(|share| decided(share, 8)),
            [true, true, false, false]
        );
        assert_eq!(
            [0.4, 0.45, 0.8].map(|share| decided(share, 32)),
            [true, true, false]
        );
        let (settled, apart) = (gains(0.3, 0.1, 8), gains(0.0, 0.02, 8));
        let free: Vec<f32> = settled.iter().zip(&apart).map(|(a, b)| a + b).collect();
        let of = |part| {
            let (assigned, unassigned, settled, most) = (&apart[..], &free[..], &settled[..], 80);
            let trial = Trial {
                assigned,
                unassigned,
                settled,
                part,
                is_proven: false,
                most,
            };
            trial.is_decided()
        };
        assert_eq!(
            [0.0, 0.3, 0.6, 1.0, 9.0].map(of),
            [true, true, false, false, false]
        );
    }

    #[test]
    fn pieces_follow_one_another_and_the_first_is_the_longest() {
        assert_eq!([0, 1, 2, 9].map(piece), [0..8, 8..12, 12..16, 40..44]);
        assert!(piece(usize::MAX).is_empty());
    }

    #[test]
    fn harm_is_decided_at_once_and_so_is_ruin() {
        assert!(is_decided(
            &gains(-0.2, 0.1, 16),
            &gains(-0.2, 0.1, 16),
            &[]
        ));
        assert!(is_decided(&[f32::NAN; 16], &[0.1; 16], &[0.1; 16]));
    }

    #[test]
    fn an_imprecise_gain_is_not_decided() {
        let settled = gains(0.2, 1.0, 32);
        assert!(!is_decided(&gains(3.0, 0.1, 32), &settled, &[]));
        assert!(!is_decided(&gains(0.0, 0.1, 32), &settled, &settled));
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
        #[test]
        fn a_mean_loss_depends_on_no_order_and_is_near_the_mean(
            (losses, shuffled) in prop::collection::vec(0.01f32..20.0, 1..200)
                .prop_flat_map(|losses| (Just(losses.clone()), Just(losses).prop_shuffle())),
        ) {
            let found = mean_loss(losses.iter().copied());
            prop_assert_eq!(found, mean_loss(shuffled));
            let sum: f64 = losses.iter().map(|loss| f64::from(*loss)).sum();
            let exact = sum / losses.len() as f64 * MICROS;
            prop_assert!(found.is_some_and(|found| (f64::from(found) - exact).abs() <= 1.1));
        }

        // Symmetric in the sign of the premium: who stops early learns nothing in favour of anybody.
        #[test]
        fn stopping_favours_neither_kind(off in -0.2f32..0.2, spread in 0.01f32..0.5) {
            let free = gains(0.2, spread, 64);
            let settled = gains(0.2, spread / 2.0, 64);
            for (off, settled) in [(off, &[][..]), (off / 9.0, &settled)] {
                let beside = mean(&beyond(&free, settled)).map_or(0.0, |one| one.mean as f32);
                let own = gains(beside + off, spread, 64);
                let mirrored = gains(beside - off, spread, 64);
                prop_assert_eq!(is_decided(&own, &free, settled), is_decided(&mirrored, &free, settled));
            }
        }
    }
}
