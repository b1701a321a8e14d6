//! The two magnitudes of a block.
//!
//! A level is a non-negative bfloat16 below 65,536: the upper half of an `f32`, without the sign, in 15 bits.
//! It reaches down as far as an `f32`, so no scale has to be chosen for pseudo-gradients, however small; its
//! precision of one in 256 is far finer than the distance from a value to its level. It ends where no
//! pseudo-gradient can be in earnest, so that no sum of contributions, whoever sent them, can overflow the
//! parameters.

use cairn_primitives::blocks::LEVEL_LIMIT as LIMIT;

/// A non-negative bfloat16 below 65,536.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Level(u16);

impl Level {
    /// Bits that a level takes on the wire.
    pub(crate) const BITS: u32 = 15;
    /// The level 0.
    pub(crate) const ZERO: Level = Level(0);

    /// The level of these bits, unless they say 65,536 or more, infinity or no number.
    #[inline(always)]
    pub(crate) fn from_bits(bits: u32) -> Option<Level> {
        u16::try_from(bits)
            .ok()
            .filter(|bits| *bits < LIMIT)
            .map(Level)
    }

    /// Its bits.
    pub(crate) fn bits(self) -> u32 {
        u32::from(self.0)
    }

    /// The level next to a magnitude, the even one of two; the largest for whatever is above it.
    pub(crate) fn nearest(magnitude: f32) -> Level {
        let bits = magnitude.abs().to_bits();
        let rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
        Level((rounded as u16).min(LIMIT - 1))
    }

    /// The level that a value's magnitude is, if it is one.
    pub(crate) fn of(value: f32) -> Option<Level> {
        let bits = value.abs().to_bits();
        (bits & 0xFFFF == 0)
            .then(|| Level::from_bits(bits >> 16))
            .flatten()
    }

    /// Its value.
    pub(crate) fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
}

/// What a block's values can be: plus or minus one of two levels, which are equal if one is enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Levels {
    pub(crate) low: Level,
    pub(crate) high: Level,
}

impl Levels {
    /// Those of a pair of bits that was checked before.
    #[inline(always)]
    pub(crate) fn of([low, high]: [u16; 2]) -> Levels {
        let (low, high) = (Level(low), Level(high));
        Levels { low, high }
    }

    /// Their bits, the low level's first.
    #[inline(always)]
    pub(crate) fn pair(self) -> [u16; 2] {
        [self.low.0, self.high.0]
    }

    /// The sum of the squares of so many values: each product is exact in `f64`, their sum is rounded once.
    pub(crate) fn energy(self, lows: usize, highs: usize) -> f64 {
        let of = |level: Level, count: usize| {
            let level = f64::from(level.to_f32());
            count as f64 * (level * level)
        };
        of(self.low, lows) + of(self.high, highs)
    }
}

/// Where two levels part a block's magnitudes, in ascending order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parting {
    /// Minus the squared error that is left, up to a constant.
    pub(crate) gain: f64,
    /// How many there are below, and their sum.
    pub(crate) count: f64,
    pub(crate) below: f64,
    /// The first one above.
    pub(crate) above: f32,
}

impl Parting {
    /// The levels, and the magnitude from which the higher one stands for it, of `count` magnitudes with this sum.
    #[inline(always)]
    pub(crate) fn levels(&self, total: f64, count: usize) -> (Levels, f32) {
        let low = self.below / self.count;
        let high = (total - self.below) / (count as f64 - self.count);
        let (low, high) = (Level::nearest(low as f32), Level::nearest(high as f32));
        if low < high {
            return (Levels { low, high }, self.above);
        }
        one_level(total, count)
    }
}

/// One level for all, and no magnitude that is above it.
fn one_level(total: f64, count: usize) -> (Levels, f32) {
    let only = Level::nearest((total / (count as f64).max(1.0)) as f32);
    let (low, high) = (only, only);
    (Levels { low, high }, f32::INFINITY)
}

/// The two levels that stand for a block's magnitudes, and the magnitude from which the higher one does.
///
/// The split is the one that leaves the least squared error (two means in one dimension, found exactly by
/// trying every split); the levels are the means of its halves. `ascending` is not empty. One level alone
/// suffices if all magnitudes are equal or the two means round to the same level; the threshold is then
/// infinite.
pub(crate) fn two_levels(ascending: &[f32]) -> (Levels, f32) {
    let count = ascending.len() as f64;
    let total: f64 = ascending.iter().map(|m| f64::from(*m)).sum();
    let mut below = 0.0;
    let mut best: Option<Parting> = None;
    for (split, pair) in ascending.windows(2).enumerate() {
        below += f64::from(pair[0]);
        if pair[0] == pair[1] {
            continue;
        }
        let (low_count, above) = (split as f64 + 1.0, total - below);
        let (low, high) = (below / low_count, above / (count - low_count));
        let gain = below * low + above * high;
        if best.is_none_or(|best| gain > best.gain) {
            best = Some(Parting {
                gain,
                count: low_count,
                below,
                above: pair[1],
            });
        }
    }
    match best {
        Some(best) => best.levels(total, ascending.len()),
        None => one_level(total, ascending.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_round_to_the_nearest_even() {
        let nearest = |value: f32| Level::nearest(value).to_f32();
        assert_eq!(nearest(1.0), 1.0);
        // a bfloat16 has 7 bits behind the point: half way from 1 to 1 + 2⁻⁷ goes to the even 1
        assert_eq!(nearest(1.0 + 0.003_906_25), 1.0);
        assert_eq!(nearest(1.0 + 0.003_907), 1.007_812_5);
        assert_eq!(nearest(1.0 + 3.0 * 0.003_906_25), 1.015_625);
        assert_eq!(nearest(0.0), 0.0);
    }

    #[test]
    fn the_largest_magnitudes_are_cut_and_the_smallest_stay() {
        assert_eq!(Level::nearest(f32::MAX).to_f32(), 65_280.0);
        assert_eq!(Level::from_bits(0x4780), None);
        assert_eq!(Level::from_bits(0x7F80), None);
        assert_eq!(Level::from_bits(0x7FC0), None);
        assert_eq!(Level::from_bits(0x8000), None);
        // pseudo-gradients of 10⁻⁷ would be subnormal in half precision
        let small = 1e-7;
        assert!((Level::nearest(small).to_f32() / small - 1.0).abs() < 1.0 / 256.0);
    }

    #[test]
    fn only_levels_are_levels() {
        assert_eq!(Level::of(-1.5).map(Level::to_f32), Some(1.5));
        for value in [1.001, f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            assert_eq!(Level::of(value), None, "{value}");
        }
    }

    #[test]
    fn the_split_with_the_least_error_is_found() {
        let (levels, threshold) = two_levels(&[1.0, 1.0, 2.0, 7.0, 9.0]);
        assert_eq!((levels.high.to_f32(), threshold), (8.0, 7.0));
        assert_eq!(levels.low, Level::nearest(4.0 / 3.0));
    }

    #[test]
    fn one_level_is_enough_for_equal_magnitudes() {
        let (levels, threshold) = two_levels(&[3.0, 3.0]);
        assert_eq!((levels.low, threshold), (levels.high, f32::INFINITY));
        // so close that bfloat16 cannot tell them apart
        let (levels, threshold) = two_levels(&[1.0, 1.000_1]);
        let (low, high) = (levels.low.to_f32(), levels.high.to_f32());
        assert_eq!((low, high, threshold), (1.0, 1.0, f32::INFINITY));
    }

    #[test]
    fn energy_is_the_sum_of_squares() {
        let (levels, _) = two_levels(&[0.5, 2.0]);
        assert_eq!(levels.energy(3, 2), 3.0 * 0.25 + 2.0 * 4.0);
    }
}
