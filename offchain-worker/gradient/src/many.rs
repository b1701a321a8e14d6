//! The largest of many magnitudes, and the two levels that stand for them, without putting them in order.
//!
//! Sorting takes two fifths of the time of compressing where one value in eight is sent, and hardly any of that order
//! is needed: which magnitude is the smallest that is sent, and at which of them the levels part. So magnitudes go into
//! buckets of neighbours, of which there is a number and a sum. Where the levels part can then be said up to a few
//! buckets, and only these are sorted.
//!
//! The result has the bits that sorting all of them gives. Sums of magnitudes are exact as long as the largest is not
//! too far above the smallest, whatever their order; where it is, nothing is said, and they are to be sorted.

use crate::blocks::BLOCK;
use crate::level::{Levels, Parting};
use crate::select::{sort_few, Chosen, INFINITE};
use crate::simd::Lanes;

/// Buckets.
const BUCKETS: usize = 64;
/// Magnitudes that are compared at once.
const ROW: usize = 64;
/// So many of a bucket are sorted by counting, in groups of so many.
const FEW: usize = 128;
const FEW_LANES: usize = 32;
/// From here on the edges of buckets might not be finite.
const HUGE: u32 = 0x7000_0000;
/// Binary digits of an `f32`.
const DIGITS: u32 = 24;
/// What the exponent of an `f32` of 1 has as bits, and that of an `f64`.
const BIAS: (u64, u64) = (127, 1_023);
/// By which part a bound has to be below the best gain for a bucket to be left out. Both are computed to a far smaller
/// part: what is summed is exact, and where a corner is not, its bucket is wide.
const MARGIN: f64 = 1e-9;

/// Magnitudes are dealt to so many lists of counts and sums, so that none waits for the one before it.
const WAYS: usize = 4;
/// Binary digits of a sum, below those of a count: together they are one number.
const DIGITS_OF_SUM: u32 = 50;

/// Magnitudes by bucket: how many, and their sum.
pub(crate) struct Buckets {
    counts: [u32; BUCKETS],
    sums: [f64; BUCKETS],
    /// Of each magnitude what it adds, and to which bucket.
    entries: [u64; BLOCK],
    buckets: [u32; BLOCK],
    /// Those of one bucket, and room behind the last of a whole block; in ascending order the first so many.
    listed: [u32; BLOCK + ROW],
    ascending: [u32; BLOCK],
    some: usize,
}

impl Buckets {
    pub(crate) fn new() -> Buckets {
        Buckets {
            counts: [0; BUCKETS],
            sums: [0.0; BUCKETS],
            entries: [0; BLOCK],
            buckets: [0; BLOCK],
            listed: [0; BLOCK + ROW],
            ascending: [0; BLOCK],
            some: 0,
        }
    }

    /// Those of the bucket that was listed last, in ascending order.
    #[inline(always)]
    fn some(&self) -> &[u32] {
        self.ascending.get(..self.some).unwrap_or_default()
    }

    /// The largest `keep` of some magnitudes; nothing, if they are to be sorted, as they are if some are not finite.
    #[inline(always)]
    pub(crate) fn choose<L: Lanes>(&mut self, magnitudes: &[u32], keep: usize) -> Option<Chosen> {
        let scale = Scale::of(magnitudes, keep)?;
        self.fill(scale, magnitudes);
        let (first, wanted) = self.first(keep)?;
        // of the first bucket only the largest
        self.list::<L>(magnitudes, scale, first);
        let of_first = self.some().get(self.some.checked_sub(wanted)?..)?;
        let smallest = *of_first.first()?;
        let chosen = Chosen {
            smallest,
            ties: of_first.iter().take_while(|one| **one == smallest).count(),
            levels: Levels::default(),
            threshold: f32::INFINITY,
        };
        let sum = of_first.iter().map(|one| value(*one)).sum();
        (self.counts[first], self.sums[first]) = (wanted as u32, sum);
        let steps = Steps::of(self, first, keep);
        let parting = self.part::<L>(magnitudes, scale, first, &steps)?;
        let (levels, threshold) = parting.levels(steps.total, keep);
        Some(Chosen {
            levels,
            threshold,
            ..chosen
        })
    }

    #[inline(always)]
    fn fill(&mut self, scale: Scale, magnitudes: &[u32]) {
        let all = self.entries.iter_mut().zip(&mut self.buckets);
        for ((entry, bucket), one) in all.zip(magnitudes) {
            (*entry, *bucket) = (scale.entry(*one), scale.bucket(*one));
        }
        let mut ways = [[0u64; BUCKETS]; WAYS];
        let entries = self
            .entries
            .get_mut(..magnitudes.len().next_multiple_of(WAYS));
        let entries = entries.unwrap_or_default();
        let beyond = entries.get_mut(magnitudes.len()..).unwrap_or_default();
        beyond.fill(0);
        let entries = entries.as_chunks::<WAYS>().0.iter();
        for (entries, buckets) in entries.zip(self.buckets.as_chunks::<WAYS>().0) {
            for ((way, entry), bucket) in ways.iter_mut().zip(entries).zip(buckets) {
                let to = &mut way[*bucket as usize % BUCKETS];
                *to = to.wrapping_add(*entry);
            }
        }
        let unit = scale.unit();
        for bucket in 0..BUCKETS {
            let entry = ways
                .iter()
                .fold(0, |sum, way| u64::wrapping_add(sum, way[bucket]));
            self.counts[bucket] = (entry >> DIGITS_OF_SUM) as u32;
            self.sums[bucket] = (entry & ((1 << DIGITS_OF_SUM) - 1)) as i64 as f64 * unit;
        }
    }

    /// The bucket with the smallest of the largest `keep`, and how many of it are among them.
    #[inline(always)]
    fn first(&self, keep: usize) -> Option<(usize, usize)> {
        let mut above = 0;
        for (bucket, count) in self.counts.iter().enumerate().rev() {
            let count = *count as usize;
            if above + count >= keep {
                return Some((bucket, keep - above));
            }
            above += count;
        }
        None
    }

    /// Lists all magnitudes of a bucket, in ascending order.
    #[inline(always)]
    fn list<L: Lanes>(&mut self, magnitudes: &[u32], scale: Scale, bucket: usize) {
        let [begin, end] = [bucket, bucket + 1].map(|bucket| scale.lowest_of(bucket));
        self.some = 0;
        let (rows, rest) = magnitudes.as_chunks::<ROW>();
        let mut last = [0; ROW];
        last[..rest.len()].copy_from_slice(rest);
        let of_rest = u64::MAX >> (ROW - rest.len()).min(ROW - 1);
        let of_rows = rows.iter().map(|row| (row, u64::MAX));
        let of_rest = (!rest.is_empty()).then_some((&last, of_rest));
        for (row, all) in of_rows.chain(of_rest) {
            let set = all & L::at_least(row, begin) & !L::at_least(row, end);
            let behind = self.listed.get_mut(self.some..).unwrap_or_default();
            if let Some(to) = behind.first_chunk_mut::<ROW>() {
                self.some += L::compress(row, set, to);
            }
        }
        let listed = self.listed.get(..self.some).unwrap_or_default();
        let ascending = self.ascending.get_mut(..self.some).unwrap_or_default();
        if self.some <= FEW {
            ascending.fill(0);
            sort_few::<FEW_LANES>(listed, ascending);
        } else {
            ascending.copy_from_slice(listed);
            ascending.sort_unstable();
        }
    }

    /// Where the two levels part: of all splits the one of the largest gain, the first of several.
    #[inline(always)]
    fn part<L: Lanes>(
        &mut self,
        magnitudes: &[u32],
        scale: Scale,
        first: usize,
        steps: &Steps,
    ) -> Option<Parting> {
        let most = steps.gains.iter().copied().fold(f64::MIN, larger);
        let bounds = steps.bounds(scale);
        let mut enough = nearly(most);
        let mut best: Option<Parting> = None;
        // what gains much leaves little to look at
        let promising = (first..BUCKETS).filter(|bucket| steps.number(*bucket) > 1.0);
        let promising = promising.max_by(|one, other| bounds[*one].total_cmp(&bounds[*other]));
        let others = (first..BUCKETS).filter(|bucket| Some(*bucket) != promising);
        for bucket in promising.into_iter().chain(others) {
            if steps.number(bucket) > 1.0 && bounds[bucket] >= enough {
                self.list::<L>(magnitudes, scale, bucket);
                self.try_within(bucket, steps, &mut best);
                enough = best.map_or(enough, |best| larger(enough, nearly(best.gain)));
            }
        }
        // between one bucket and the next one that has any
        let edge = (first..BUCKETS).find(|bucket| steps.gains[*bucket] >= most);
        let edge = edge.map(|bucket| (bucket, steps.counts[bucket + 1], steps.sums[bucket + 1]));
        if let Some((bucket, count, below)) = edge.filter(|(_, count, _)| *count < steps.count) {
            if steps.is_better(most, count, best.as_ref()) {
                let next = (bucket + 1..BUCKETS).find(|next| self.counts[*next] > 0)?;
                self.list::<L>(magnitudes, scale, next);
                let above = *self.some().first()?;
                steps.try_at(count, below, above, &mut best);
            }
        }
        best
    }

    /// The splits within a bucket, which was [listed](Buckets::list).
    #[inline(always)]
    fn try_within(&self, bucket: usize, steps: &Steps, best: &mut Option<Parting>) {
        // of the first bucket only the largest
        let beyond = self.some.saturating_sub(steps.number(bucket) as usize);
        let of_bucket = self.some().get(beyond..).unwrap_or_default();
        let (mut number, mut below) = (steps.counts[bucket], steps.sums[bucket]);
        for pair in of_bucket.windows(2) {
            (number, below) = (number + 1.0, below + value(pair[0]));
            if pair[0] != pair[1] {
                steps.try_at(number, below, pair[1], best);
            }
        }
    }
}

/// What a bound has to reach for its bucket to be looked at, if so much is gained elsewhere.
#[inline(always)]
fn nearly(gain: f64) -> f64 {
    gain - gain * MARGIN
}

/// How magnitudes are put into buckets.
#[derive(Clone, Copy)]
struct Scale {
    lowest: u32,
    shift: u32,
}

impl Scale {
    /// Of these magnitudes, if all sums of `keep` of them are exact.
    #[inline(always)]
    fn of(magnitudes: &[u32], keep: usize) -> Option<Scale> {
        let (mut lowest, mut largest) = (INFINITE, 0);
        for one in magnitudes {
            lowest = lowest.min(*one);
            largest = largest.max(*one);
        }
        if keep < 2 || keep > magnitudes.len() || magnitudes.len() > BLOCK || largest >= HUGE {
            return None;
        }
        let apart = exponent(largest).checked_sub(exponent(lowest))?;
        let carries = magnitudes.len().next_power_of_two().trailing_zeros();
        if lowest == largest || DIGITS + apart + carries > DIGITS_OF_SUM {
            return None;
        }
        let bits = u32::BITS - (largest - lowest).leading_zeros();
        Some(Scale {
            lowest,
            shift: bits.saturating_sub(BUCKETS.trailing_zeros()),
        })
    }

    #[inline(always)]
    fn bucket(&self, magnitude: u32) -> u32 {
        magnitude.wrapping_sub(self.lowest).wrapping_shr(self.shift)
    }

    /// One magnitude to be counted, and its multiple of the [unit](Scale::unit) to be added.
    #[inline(always)]
    fn entry(&self, magnitude: u32) -> u64 {
        let leading = u32::from(magnitude >= 1 << (DIGITS - 1)) << (DIGITS - 1);
        let digits = magnitude & ((1 << (DIGITS - 1)) - 1) | leading;
        let shift = exponent(magnitude).wrapping_sub(exponent(self.lowest));
        1 << DIGITS_OF_SUM | u64::from(digits).wrapping_shl(shift)
    }

    /// What all magnitudes are multiples of: the last digit of the lowest.
    #[inline(always)]
    fn unit(&self) -> f64 {
        let last = u64::from(exponent(self.lowest)) + BIAS.1 - BIAS.0 - u64::from(DIGITS - 1);
        f64::from_bits(last << (f64::MANTISSA_DIGITS - 1))
    }

    /// A magnitude that none of a bucket is below, or, of the bucket behind it, none reaches.
    #[inline(always)]
    fn edge(&self, bucket: usize) -> f64 {
        let above = (bucket as u32).wrapping_shl(self.shift);
        value(self.lowest.wrapping_add(above))
    }

    /// The same as bits, but for the bucket behind the last one no more than those of infinity.
    #[inline(always)]
    fn lowest_of(&self, bucket: usize) -> u32 {
        (self.lowest + ((bucket as u32) << self.shift)).min(INFINITE)
    }
}

/// The exponent of a magnitude, that of numbers without a leading digit as well.
#[inline(always)]
fn exponent(magnitude: u32) -> u32 {
    (magnitude >> (DIGITS - 1)).max(1)
}

/// What is below the end of each bucket, and what parting there gains.
struct Steps {
    /// How many, and their sum, from before the first bucket on.
    counts: [f64; BUCKETS + 1],
    sums: [f64; BUCKETS + 1],
    /// By bucket, at its end.
    gains: [f64; BUCKETS],
    count: f64,
    total: f64,
}

impl Steps {
    #[inline(always)]
    fn of(buckets: &Buckets, first: usize, keep: usize) -> Steps {
        let mut steps = Steps {
            counts: [0.0; BUCKETS + 1],
            sums: [0.0; BUCKETS + 1],
            gains: [f64::MIN; BUCKETS],
            count: keep as f64,
            total: 0.0,
        };
        let (mut count, mut sum) = (0.0, 0.0);
        for bucket in first..BUCKETS {
            count += f64::from(buckets.counts[bucket]);
            sum += buckets.sums[bucket];
            (steps.counts[bucket + 1], steps.sums[bucket + 1]) = (count, sum);
        }
        steps.total = sum;
        for bucket in 0..BUCKETS {
            let (count, sum) = (steps.counts[bucket + 1], steps.sums[bucket + 1]);
            let gain = steps.gain(count, sum);
            steps.gains[bucket] = if count > 0.0 && count < steps.count {
                gain
            } else {
                f64::MIN
            };
        }
        steps
    }

    /// Minus the squared error of parting behind so many with this sum, up to a constant: what [`Parting`] compares.
    #[inline(always)]
    fn gain(&self, count: f64, below: f64) -> f64 {
        let above = self.total - below;
        below * (below / count) + above * (above / (self.count - count))
    }

    /// What no split within a bucket gains more than.
    ///
    /// A gain is convex in the number and the sum below, so that within a triangle it is largest in a corner. The sums
    /// of a bucket's smallest lie in one: between its begin, its end, and the point that is reached from the begin by
    /// numbers that are as small as the bucket's can be, and from which the end is reached by numbers as large.
    #[inline(always)]
    fn bounds(&self, scale: Scale) -> [f64; BUCKETS] {
        let mut bounds = [0.0; BUCKETS];
        for (bucket, bound) in bounds.iter_mut().enumerate() {
            let [begin, end] = [self.counts[bucket], self.counts[bucket + 1]];
            let [below, with] = [self.sums[bucket], self.sums[bucket + 1]];
            let [low, high] = [scale.edge(bucket), scale.edge(bucket + 1)];
            let corner = (high * end - low * begin - (with - below)) / (high - low);
            let corner = larger(corner, begin);
            let corner = if corner < end { corner } else { end };
            let inside = self.gain(corner, below + low * (corner - begin));
            // where nothing is below or above, nothing is gained, and the quotient is no number
            *bound = if inside.is_nan() { f64::MIN } else { inside };
        }
        let mut at_begin = f64::MIN;
        for (bound, at_end) in bounds.iter_mut().zip(self.gains) {
            let all = larger(larger(*bound, at_begin), at_end);
            *bound = if all > f64::MIN { all } else { f64::MAX };
            at_begin = at_end;
        }
        bounds
    }

    /// Takes a split if it gains more than the best one so far.
    #[inline(always)]
    fn try_at(&self, count: f64, below: f64, above: u32, best: &mut Option<Parting>) {
        let parting = Parting {
            gain: self.gain(count, below),
            count,
            below,
            above: f32::from_bits(above),
        };
        if self.is_better(parting.gain, count, best.as_ref()) {
            *best = Some(parting);
        }
    }

    /// Whether a split behind so many gains more than another one, or as much and comes first.
    #[inline(always)]
    fn is_better(&self, gain: f64, count: f64, other: Option<&Parting>) -> bool {
        other.is_none_or(|other| gain > other.gain || (gain == other.gain && count < other.count))
    }

    /// How many a bucket has.
    #[inline(always)]
    fn number(&self, bucket: usize) -> f64 {
        self.counts[bucket + 1] - self.counts[bucket]
    }
}

/// The larger of two; the second if one is no number.
#[inline(always)]
fn larger(one: f64, other: f64) -> f64 {
    if one > other {
        one
    } else {
        other
    }
}

/// The magnitude of these bits.
#[inline(always)]
fn value(bits: u32) -> f64 {
    f64::from(f32::from_bits(bits))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::level::two_levels;
    use crate::simd::{Kernel, Simd};

    struct Choose<'a>(&'a [u32], usize);

    impl Kernel for Choose<'_> {
        type Output = Option<Chosen>;

        #[inline(always)]
        fn run<L: Lanes>(self) -> Option<Chosen> {
            let Choose(magnitudes, keep) = self;
            let mut buckets = Buckets::new();
            // of magnitudes before
            buckets.choose::<L>(&[1, 2, 3], 2);
            buckets.choose::<L>(magnitudes, keep)
        }
    }

    fn by_sorting(magnitudes: &[u32], keep: usize) -> Chosen {
        let mut ascending = magnitudes.to_vec();
        ascending.sort_unstable();
        let ascending = &ascending[magnitudes.len() - keep..];
        let values: Vec<f32> = ascending.iter().copied().map(f32::from_bits).collect();
        let (levels, threshold) = two_levels(&values);
        Chosen {
            smallest: ascending[0],
            ties: ascending.iter().filter(|one| **one == ascending[0]).count(),
            levels,
            threshold,
        }
    }

    /// Magnitudes as they are found, nearly alike, or with many that are the same.
    fn some() -> impl Strategy<Value = Vec<u32>> {
        let bell = |scale: f32| {
            let four = prop::array::uniform4(-1f32..1.0);
            four.prop_map(move |four| (scale * four.iter().sum::<f32>()).abs().to_bits())
        };
        let length = 2..1_500usize;
        prop_oneof![
            4 => prop::collection::vec(bell(1e-3), length.clone()),
            1 => prop::collection::vec(bell(1e-30), length.clone()),
            2 => prop::collection::vec((0u32..40).prop_map(|n| 0x3F80_0000 + n), length.clone()),
            2 => prop::collection::vec((1u32..9).prop_map(|n| (n as f32).to_bits()), length.clone()),
            1 => prop::collection::vec(0..INFINITE, length),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_024))]

        #[test]
        fn what_is_chosen_is_what_sorting_finds(
            mut magnitudes in some(),
            keep: prop::sample::Index,
            far: bool,
        ) {
            let keep = 1 + keep.index(magnitudes.len());
            if far {
                magnitudes.iter_mut().for_each(|one| *one = (*one).max(0x3000_0000));
            }
            for simd in Simd::all() {
                if let Some(found) = simd.run(Choose(&magnitudes, keep)) {
                    prop_assert_eq!(found, by_sorting(&magnitudes, keep), "{:?}", simd);
                }
            }
        }
    }

    /// So that the property above is one of something.
    #[test]
    fn what_is_found_in_training_is_not_left_to_sorting() {
        let mut state = 1u64;
        let mut unit = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        for keep in [129, 512, 1_000] {
            let bell = (0..BLOCK).map(|_| (unit() + unit() + unit()).abs().to_bits());
            let reached = bell.filter(|one| *one >= 0.3f32.to_bits());
            let magnitudes: Vec<u32> = reached.collect();
            let found = Simd::best().run(Choose(&magnitudes, keep));
            assert_eq!(found, Some(by_sorting(&magnitudes, keep)));
        }
        let far = [5, 0x3F80_0000, 0x4000_0000];
        assert_eq!(Simd::best().run(Choose(&far, 3)), None);
    }
}
