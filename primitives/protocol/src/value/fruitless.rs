//! Whose contribution to a round helped so little that the next one is not good.
//!
//! Before anybody has earned anything all contributions count alike, and nobody has lost a bond yet. What a validator
//! measured of the round before is then all that tells work from noise.

use alloc::vec::Vec;
use cairn_primitives::{Hotkey, Round, Uid};

use super::{gain::is_clear, mean, Estimate, Evidence, Outcome};
use crate::{exam::DECISIVE, limits::EXAM_LEAST};

/// A gain that is not clear of zero is at least one part in so many of the usual one.
pub const UNCLEAR_PARTS: u16 = 8;
/// Any gain is at least one part in so many of the usual one.
pub const GAIN_PARTS: u16 = 64;

/// What was measured of one contribution.
struct Tried {
    uid: Uid,
    hotkey: Hotkey,
    /// The gain on windows that nobody had to train on.
    gain: Estimate,
    /// The share of a round's inner steps that was declared.
    share: f64,
}

/// Whose contributions to `round` helped too little, of all that were measured on enough windows that nobody had to
/// train on. Of its own a maker has as few as it likes: they follow from the steps that it declares. `included` are
/// those of which the round's next parameters were made.
///
/// They are held against the *usual* gain: the highest that half of what was included reached. If that is not clear of
/// zero nobody is named. Whoever gained clearly is named only below a 64th of it, so that others cannot have it named
/// by gaining more; whoever did not is named below an 8th. Of fewer declared steps the square of their share is asked:
/// in a warm-up half of the steps go a quarter as far.
pub fn fruitless(round: Round, included: &[Uid], evidence: &[Evidence]) -> Vec<Hotkey> {
    let of_round = evidence.iter().filter(|one| one.round == round);
    let tried: Vec<Tried> = of_round.filter_map(tried).collect();
    let Some(usual) = usual(&tried, included) else {
        return Vec::new();
    };
    let helped = |one: &&Tried| {
        let parts = match is_clear(&one.gain) {
            true => GAIN_PARTS,
            false => UNCLEAR_PARTS,
        };
        one.gain.mean * f64::from(parts) >= usual * one.share * one.share
    };
    let named = tried.iter().filter(|one| !helped(one));
    named.map(|one| one.hotkey).collect()
}

fn tried(one: &Evidence) -> Option<Tried> {
    let Outcome::Measured {
        steps,
        of,
        unassigned,
        ..
    } = &one.outcome
    else {
        return None;
    };
    let least = usize::try_from(EXAM_LEAST).unwrap_or(usize::MAX);
    let gain = mean(unassigned).filter(|_| unassigned.len() >= least)?;
    let whole = f64::from((*of).max(1));
    Some(Tried {
        uid: one.uid,
        hotkey: one.hotkey,
        gain,
        share: f64::from((*steps).min(*of)) / whole,
    })
}

/// The highest gain that half of what was included reached, if it is clear. What was not measured reached nothing.
fn usual(tried: &[Tried], included: &[Uid]) -> Option<f64> {
    let half = included.len().checked_sub(1)?.checked_div(2)?;
    let counting = tried.iter().filter(|one| included.contains(&one.uid));
    let mut gains: Vec<Estimate> = counting.map(|one| one.gain).collect();
    gains.sort_by(|a, b| b.mean.total_cmp(&a.mean));
    let usual = gains.get(half)?;
    (usual.mean > DECISIVE * usual.error()).then_some(usual.mean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::testing;
    use alloc::vec;
    use proptest::prelude::*;

    /// 32 gains that spread evenly over ±`spread` around `mean`, of who declares so many of 8 steps.
    fn measured(uid: u16, mean: f32, spread: f32, steps: u32) -> Evidence {
        let at = |i: u8| mean + spread * (f32::from(i) - 15.5) / 16.0;
        let gains: Vec<f32> = (0..32).map(at).collect();
        let mut one = testing::of_gains(0, Uid(uid), [gains.clone(), gains, Vec::new()]);
        if let Outcome::Measured { steps: made, .. } = &mut one.outcome {
            *made = steps;
        }
        one
    }

    fn key(uid: u16) -> Hotkey {
        testing::key(Uid(uid))
    }

    fn named(evidence: &[Evidence]) -> Vec<Hotkey> {
        let included: Vec<Uid> = evidence.iter().map(|one| one.uid).collect();
        fruitless(0, &included, evidence)
    }

    #[test]
    fn harm_noise_and_next_to_nothing_are_named_and_work_is_not() {
        let work = [1, 2, 3, 4].map(|uid| measured(uid, 0.1, 0.2, 8));
        assert_eq!(named(&work), []);
        let with = |other: Evidence| named(&[&work[..], &[other]].concat());
        assert_eq!(with(measured(5, -0.1, 0.2, 8)), [key(5)], "harm");
        assert_eq!(with(measured(5, 0.005, 0.2, 8)), [key(5)], "noise");
        assert_eq!(with(measured(5, 0.000_1, 0.000_2, 8)), [key(5)], "a crumb");
        assert_eq!(with(measured(5, 0.003, 0.001, 8)), [], "little, but clear");
        assert_eq!(with(measured(5, 0.02, 0.2, 8)), [], "unclear, but enough");
    }

    #[test]
    fn of_fewer_steps_less_is_asked() {
        let work = [1, 2, 3, 4].map(|uid| measured(uid, 0.1, 0.2, 8));
        let with = |steps| named(&[&work[..], &[measured(5, 0.005, 0.2, steps)]].concat());
        assert_eq!([with(8), with(6)], [[key(5)], [key(5)]]);
        assert_eq!(with(5), []);
    }

    #[test]
    fn who_came_late_in_a_warm_up_is_not_named() {
        // Its rate grows from step to step, and so does what they gain.
        let after = |steps: u16| f32::from(steps) / 512.0 * f32::from(steps + 1) / 513.0;
        let late = |(uid, steps): (u16, u16)| {
            let mut one = measured(uid, after(steps), after(steps), u32::from(steps));
            if let Outcome::Measured { of, .. } = &mut one.outcome {
                *of = 512;
            }
            one
        };
        let all = [(1, 512), (2, 512), (3, 400), (4, 1), (5, 3), (6, 80)].map(late);
        assert_eq!(named(&all), []);
    }

    #[test]
    fn who_declares_so_few_steps_that_it_has_few_windows_is_named_all_the_same() {
        let work = [1, 2, 3, 4].map(|uid| measured(uid, 0.1, 0.2, 8));
        let with = |own: usize, free: usize| {
            let mut harm = measured(5, -0.1, 0.2, 1);
            if let Outcome::Measured {
                assigned,
                unassigned,
                ..
            } = &mut harm.outcome
            {
                assigned.truncate(own);
                unassigned.truncate(free);
            }
            named(&[&work[..], &[harm]].concat())
        };
        assert_eq!([with(0, 32), with(4, 8)], [[key(5)], [key(5)]]);
        assert_eq!(with(4, 7), [], "too little was measured");
    }

    #[test]
    fn half_of_what_was_included_says_what_is_usual() {
        let (work, crumbs) = (
            [1, 2].map(|uid| measured(uid, 0.1, 0.2, 8)),
            [3, 4].map(|uid| measured(uid, 0.000_1, 0.000_2, 8)),
        );
        assert_eq!(
            named(&[work.clone(), crumbs.clone()].concat()),
            [3, 4].map(key)
        );
        // With one more they are the usual ones.
        let more = measured(5, 0.000_1, 0.000_2, 8);
        assert_eq!(named(&[&work[..], &crumbs, &[more]].concat()), []);
    }

    #[test]
    fn who_was_not_included_is_measured_by_those_who_were() {
        let work = [1, 2].map(|uid| measured(uid, 0.1, 0.2, 8));
        let others = [3, 4, 5].map(|uid| measured(uid, -0.1, 0.2, 8));
        let all = [&work[..], &others].concat();
        assert_eq!(fruitless(0, &[1, 2].map(Uid), &all), [3, 4, 5].map(key));
        assert_eq!(fruitless(1, &[1, 2].map(Uid), &all), [], "another round");
        assert_eq!(fruitless(0, &[], &all), [], "nothing was included");
    }

    #[test]
    fn where_nothing_is_clear_or_too_little_was_measured_nobody_is_named() {
        let unclear = [1, 2, 3].map(|uid| measured(uid, 0.01, 0.2, 8));
        let harm = measured(4, -0.1, 0.2, 8);
        let with_harm = [&unclear[..], core::slice::from_ref(&harm)].concat();
        assert_eq!(named(&with_harm), []);
        // Of five that were included two are measured.
        let work = [1, 2].map(|uid| measured(uid, 0.1, 0.2, 8));
        let included: Vec<Uid> = (1..=5).map(Uid).collect();
        assert_eq!(fruitless(0, &included, &[&work[..], &[harm]].concat()), []);
        let missed = Evidence {
            outcome: Outcome::Missed,
            ..measured(5, 0.0, 0.0, 8)
        };
        assert_eq!(named(&[vec![missed], work.to_vec()].concat()), []);
    }

    proptest! {
        /// Whatever others send, who gained clearly is named only beside a usual gain of 64 times as much.
        #[test]
        fn who_helped_clearly_is_safe_from_others(
            others in prop::collection::vec((-1f32..6.3, 0f32..0.5), 0..12),
        ) {
            let other = |(uid, (mean, spread)): (u16, (f32, f32))| measured(uid, mean, spread, 8);
            let mut all: Vec<Evidence> = (2..).zip(others).map(other).collect();
            all.push(measured(1, 0.1, 0.1, 8));
            prop_assert!(!named(&all).contains(&key(1)));
        }
    }
}
