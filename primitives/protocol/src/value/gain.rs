//! What one contribution gained in its round.

use super::beyond;
use crate::limits::EXAM_LEAST;

/// Standard errors by which a gain has to be above zero before it counts.
const SIGNIFICANCE: f64 = 2.0;

/// A mean that was measured, and how well.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// The mean, in nats per token.
    pub mean: f64,
    /// Its squared standard error.
    pub squared_error: f64,
}

impl Estimate {
    /// Its standard error.
    pub fn error(&self) -> f64 {
        libm::sqrt(self.squared_error)
    }
}

/// The mean of a list of gains; `None` for fewer than two, or if one is not a number.
pub fn mean(gains: &[f32]) -> Option<Estimate> {
    let count = gains.len() as f64;
    if gains.len() < 2 || gains.iter().any(|gain| !gain.is_finite()) {
        return None;
    }
    let mean = gains.iter().map(|gain| f64::from(*gain)).sum::<f64>() / count;
    let squares: f64 = gains
        .iter()
        .map(|gain| f64::from(*gain) - mean)
        .map(|off| off * off)
        .sum();
    Some(Estimate {
        mean,
        squared_error: squares / (count - 1.0) / count,
    })
}

/// By how much the mean of `assigned` is above that of `unassigned`: the premium of having trained on one's own data.
pub fn difference(assigned: &[f32], unassigned: &[f32]) -> Option<Estimate> {
    let (own, free) = (mean(assigned)?, mean(unassigned)?);
    Some(Estimate {
        mean: own.mean - free.mean,
        squared_error: own.squared_error + free.squared_error,
    })
}

/// The premium of a round: by how much more a contribution was better than the settled parameters on windows that its
/// maker had to train on. Without those it is better than the parameters with which the round began.
pub fn premium_of(assigned: &[f32], unassigned: &[f32], settled: &[f32]) -> Option<Estimate> {
    difference(assigned, &beyond(unassigned, settled))
}

/// Whether there are enough windows of both kinds to prove anything.
pub(super) fn is_enough(assigned: &[f32], unassigned: &[f32]) -> bool {
    let least = usize::try_from(EXAM_LEAST).unwrap_or(usize::MAX);
    assigned.len().min(unassigned.len()) >= least
}

/// Whether a gain is above zero by more than chance.
pub(super) fn is_clear(gain: &Estimate) -> bool {
    gain.mean > SIGNIFICANCE * gain.error()
}

/// What a contribution gained, in nats per token; never negative. It is the mean on unassigned windows, if that is
/// clear of zero and there are enough windows of both kinds. A round that left no window unassigned shows nothing.
pub fn round_gain(assigned: &[f32], unassigned: &[f32]) -> f64 {
    let found = mean(unassigned).filter(|_| is_enough(assigned, unassigned));
    let clear = found.filter(is_clear);
    clear.map_or(0.0, |found| found.mean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// Gains that spread evenly over ±`spread` around `mean`.
    fn spread(mean: f32, spread: f32, count: usize) -> Vec<f32> {
        let at = |i: usize| mean + spread * (2.0 * (i as f32 + 0.5) / count as f32 - 1.0);
        (0..count).map(at).collect()
    }

    #[test]
    fn a_gain_within_noise_is_none() {
        let noise = spread(0.1, 1.0, 32);
        assert_eq!(round_gain(&noise, &noise), 0.0);
        let clear = spread(0.1, 0.1, 32);
        assert!((round_gain(&clear, &clear) - 0.1).abs() < 1e-6);
    }

    #[test]
    fn a_contribution_that_does_harm_gains_nothing() {
        let harm = spread(-0.1, 0.01, 32);
        assert_eq!(round_gain(&harm, &harm), 0.0);
    }

    #[test]
    fn too_few_windows_of_either_kind_show_nothing() {
        let (few, enough) = (spread(0.5, 0.01, 7), spread(0.5, 0.01, 8));
        assert_eq!(round_gain(&few, &enough), 0.0);
        assert_eq!(round_gain(&enough, &few), 0.0);
        assert_eq!(round_gain(&enough, &[]), 0.0);
        assert_eq!(round_gain(&enough, &[f32::NAN; 8]), 0.0);
        assert!(round_gain(&enough, &enough) > 0.49);
    }

    #[test]
    fn a_difference_has_the_errors_of_both() {
        let (own, free) = (spread(0.3, 0.1, 64), spread(0.2, 0.2, 32));
        let found = difference(&own, &free).expect("numbers");
        assert!((found.mean - 0.1).abs() < 1e-6);
        let errors = [mean(&own), mean(&free)].map(|one| one.expect("numbers").squared_error);
        assert_eq!(found.squared_error, errors[0] + errors[1]);
        assert_eq!(difference(&own, &[0.1]), None);
    }

    #[test]
    fn a_premium_is_held_against_what_the_settled_parameters_gained() {
        // What can be gained differs much from window to window, and what one gains beyond the others little.
        let (hard, little) = (spread(0.5, 0.4, 32), spread(0.0, 0.02, 32));
        let sum =
            |a: &[f32], b: &[f32]| -> Vec<f32> { a.iter().zip(b).map(|(a, b)| a + b).collect() };
        let free = sum(&hard, &little);
        let own = spread(0.05, 0.02, 32);
        let found = premium_of(&own, &free, &hard).expect("numbers");
        assert!((found.mean - 0.05).abs() < 1e-6 && found.error() < 0.01);
        // Alone it drowns in what differs between windows.
        let alone = premium_of(&sum(&own, &hard), &free, &[]).expect("numbers");
        assert!((alone.mean - 0.05).abs() < 1e-6 && alone.error() > 0.05);
    }

    proptest! {
        // What a contribution of random values does: losses move a little, either way.
        #[test]
        fn noise_around_zero_gains_next_to_nothing(noise in prop::collection::vec(-0.01f32..0.01, 64)) {
            let (assigned, unassigned) = noise.split_at(32);
            prop_assert!(round_gain(assigned, unassigned) < 0.01);
        }
    }
}
