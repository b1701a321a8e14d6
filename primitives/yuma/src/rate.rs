//! How fast bonds move.
//!
//! Without liquid alpha one rate serves all bonds. With it, a bond moves the faster, the further its
//! validator is from where it should be: from consensus when it buys, from its own old bond when it sells.
//! The rate is a logistic curve between two bounds,
//!
//! a = low + σ(steepness/100 · (d − ½)) · (high − low), σ(x) = 1 / (1 + e⁻ˣ).
//!
//! σ is computed in integers and is within 2⁻³⁰ of the real number: e⁻ˣ is a product of three table entries,
//! for the integer part of x and for two times six bits after the point, and a parabola for the rest.

use crate::{share::Share, LiquidAlpha, Params};

/// The share of the target that goes into a bond; the rest stays as it was.
pub trait Rate {
    /// The rate of one bond: the validator's score on the member, the score that consensus allows, where
    /// the bond goes to and where it was.
    fn of(&self, score: Share, consensus: Share, target: Share, old: Share) -> Share;
}

/// The same rate for all bonds.
pub struct Same(Share);

impl Same {
    /// 1 − `bonds_moving_average` / 10⁶, of which the quotient is rounded down, so that the rate is rounded
    /// up.
    pub fn new(params: &Params) -> Same {
        let kept = Share::ratio(params.bonds_moving_average.into(), 1_000_000);
        Same(Share::ONE.minus(kept))
    }
}

impl Rate for Same {
    #[inline]
    fn of(&self, _: Share, _: Share, _: Share, _: Share) -> Share {
        self.0
    }
}

/// A rate for each bond.
pub struct Liquid {
    low: Share,
    range: Share,
    steepness: u64,
}

impl Liquid {
    pub fn new(alpha: &LiquidAlpha) -> Liquid {
        let low = Share::from_u16(alpha.low);
        Liquid {
            low,
            range: Share::from_u16(alpha.high).minus(low),
            steepness: alpha.steepness.into(),
        }
    }
}

impl Rate for Liquid {
    #[inline]
    fn of(&self, score: Share, consensus: Share, target: Share, old: Share) -> Share {
        let distance = match target >= old {
            true => score.minus(consensus),
            false => old.minus(target),
        };
        // Both are non-negative, and one of them is zero: below 2¹⁶ · 2³¹ / 100.
        let (above, below) = (distance.minus(HALF), HALF.minus(distance));
        let scaled = |part: Share| part.to_bits().wrapping_mul(self.steepness) / 100;
        let curve = match below.is_zero() {
            true => logistic(scaled(above)),
            false => Share::ONE.minus(logistic(scaled(below))),
        };
        self.low.plus(curve.times(self.range))
    }
}

const HALF: Share = Share::from_bits(1 << 31);

/// σ(x) for x ≥ 0, in units of 2⁻³². Beyond 20 it stays what it is at 20, as in the reference.
#[inline]
fn logistic(x: u64) -> Share {
    let denominator = Share::ONE.to_bits().wrapping_add(exp_minus(x).to_bits());
    // 2⁶⁴ / denominator without 2⁶⁴; the denominator is never zero.
    let quotient = denominator.wrapping_neg().checked_div(denominator);
    Share::from_bits(quotient.map_or(0, |quotient| quotient.wrapping_add(1)))
}

/// e⁻ˣ for x in units of 2⁻³², at least e⁻²⁰.
#[inline]
fn exp_minus(x: u64) -> Share {
    let x = x.min(20 << 32);
    let entry =
        |table: &[Share], index: u64| table.get(index as usize).copied().unwrap_or_default();
    let rest = Share::from_bits(x & 0xf_ffff);
    let parabola = Share::ONE
        .minus(rest)
        .plus(Share::from_bits(rest.times(rest).to_bits() / 2));
    entry(&WHOLES, x >> 32)
        .times(entry(&COARSE, x >> 26 & 63))
        .times(entry(&FINE, x >> 20 & 63))
        .times(parabola)
}

/// e⁻ᵏ.
const WHOLES: [Share; 21] = powers(0);
/// e^(−k/64).
const COARSE: [Share; 64] = powers(6);
/// e^(−k/4096).
const FINE: [Share; 64] = powers(12);

/// The powers of e^(−2⁻ˢ) for a step of s bits, from the series of e⁻ˣ in units of 2⁻⁶⁰.
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)] // only at compile time, where both are errors
const fn powers<const N: usize>(step: u32) -> [Share; N] {
    const ONE: u128 = 1 << 60;
    let (mut base, mut term, mut k) = (0, ONE, 0);
    while term > 0 {
        base = if k % 2 == 0 { base + term } else { base - term };
        k += 1;
        term = (term >> step) / k;
    }
    let mut powers = [Share::ZERO; N];
    let (mut power, mut k) = (ONE, 0);
    while k < N {
        powers[k] = Share::from_bits(((power + (1 << 27)) >> 28) as u64);
        power = (power * base) >> 60;
        k += 1;
    }
    powers
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: f64 = 4_294_967_296.0;

    fn real(share: Share) -> f64 {
        share.to_bits() as f64 / UNIT
    }

    fn share(real: f64) -> Share {
        Share::from_bits((real * UNIT).round() as u64)
    }

    #[test]
    fn the_curve_is_within_a_part_in_a_billion() {
        for step in 0..=200_000_u32 {
            let x = f64::from(step) / 10_000.0;
            let (got, expected) = (real(logistic((x * UNIT) as u64)), 1.0 / (1.0 + (-x).exp()));
            assert!(
                (got - expected).abs() < 1.0 / f64::from(1 << 30),
                "σ({x}) = {got}, not {expected}"
            );
        }
    }

    #[test]
    fn the_curve_rises_from_a_half_and_stops_at_20() {
        assert_eq!(logistic(0), HALF);
        assert_eq!(logistic(20 << 32), logistic(u64::MAX));
        assert!(logistic(20 << 32) < Share::ONE);
        let values: Vec<Share> = (0..=80).map(|x| logistic(x << 30)).collect();
        assert!(values.windows(2).all(|pair| pair[0] <= pair[1]));
    }

    #[test]
    fn the_rate_without_liquid_alpha_is_rounded_up() {
        let rate = |bonds_moving_average| {
            let params = Params {
                bonds_moving_average,
                ..Params::default()
            };
            Same::new(&params).0
        };
        assert_eq!(rate(900_000).to_bits(), 429_496_730);
        assert_eq!(rate(0), Share::ONE);
        assert_eq!(rate(1_000_000), Share::ZERO);
    }

    /// The rate by the formula, in floating point.
    fn formula(alpha: &LiquidAlpha, distance: f64) -> f64 {
        let (low, high) = (
            f64::from(alpha.low) / 65_535.0,
            f64::from(alpha.high) / 65_535.0,
        );
        let x = (f64::from(alpha.steepness) / 100.0 * (distance - 0.5)).clamp(-20.0, 20.0);
        low + (high - low) / (1.0 + (-x).exp())
    }

    #[test]
    fn the_rate_follows_the_formula_for_any_steepness() {
        for steepness in [0, 1, 100, 1_000, 5_000, u16::MAX] {
            let alpha = LiquidAlpha {
                low: 6_554,
                high: 60_000,
                steepness,
            };
            for step in 0..=1_000 {
                let distance = f64::from(step) / 1_000.0;
                let buying =
                    Liquid::new(&alpha).of(share(distance), Share::ZERO, Share::ONE, Share::ZERO);
                let error = (real(buying) - formula(&alpha, distance)).abs();
                // The distance itself is rounded to 2⁻³³, which the steepness multiplies.
                let allowed = 1e-9 + f64::from(steepness) / 100.0 / UNIT;
                assert!(
                    error < allowed,
                    "steepness {steepness}, distance {distance}: off by {error}"
                );
            }
        }
    }

    #[test]
    fn who_buys_is_measured_against_consensus_and_who_sells_against_its_bond() {
        let alpha = LiquidAlpha {
            low: 6_554,
            high: 19_661,
            steepness: 1_000,
        };
        let liquid = Liquid::new(&alpha);
        let rate = |score, consensus, old| {
            real(liquid.of(share(score), share(consensus), share(score), share(old)))
        };
        let near = |got: f64, distance: f64| (got - formula(&alpha, distance)).abs() < 1e-8;
        assert!(near(rate(0.9, 0.2, 0.4), 0.7));
        assert!(near(rate(0.2, 0.9, 0.1), 0.0));
        assert!(near(rate(0.2, 0.1, 0.8), 0.6));
        assert!(near(rate(0.5, 0.1, 0.5), 0.4));
    }
}
