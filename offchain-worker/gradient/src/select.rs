//! The largest magnitudes of a block, exactly.
//!
//! Sorting 4,096 magnitudes to find 64 would take most of the time of compressing. Instead a threshold is
//! guessed that lets some more through than are wanted: the blocks before say which. What reaches it is found while
//! the magnitudes are in the CPU's registers anyway, and only that is looked at again. If a guess let too few or too
//! many through, a better threshold is searched for; comparing and counting is what SIMD does best. What is selected
//! does not depend on the thresholds tried. Where many are wanted, what passes is taken out of the registers at once,
//! and not put in order: see [`Candidates`] and [`Buckets`].

use crate::blocks::{Block, Turn, BLOCK, BLOCK_SIDE};
use crate::candidates::Candidates;
use crate::level::{two_levels, Levels};
use crate::many::Buckets;
use crate::simd::Lanes;

/// The bits of infinity: all finite magnitudes are below.
pub(crate) const INFINITE: u32 = 0x7F80_0000;
/// The first step by which a threshold is changed: an eighth of it.
const STEP: u32 = 1 << 20;
/// Blocks that the threshold aimed at remembers.
const MEMORY: u64 = 16;
/// Thresholds are alike if one is at most half of a power of two above the other.
const ALIKE: u64 = 1 << 22;
/// From so many on that are wanted they are not sorted.
pub(crate) const MANY: usize = 128;
/// So many numbers are sorted by counting, in groups of so many.
const FEW: usize = 256;
const LANES: usize = 64;

/// The magnitude of a number as bits: their order is that of the magnitudes.
#[inline(always)]
pub(crate) fn magnitude(value: f32) -> u32 {
    value.abs().to_bits()
}

/// Where in a strip a block's elements are.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) strip: &'a [f32],
    /// Elements from one row of the strip to the next.
    pub(crate) cols: usize,
    pub(crate) block: Block,
}

impl View<'_> {
    #[inline(always)]
    fn is_finite(&self) -> bool {
        let columns = self.block.col..self.block.col + self.block.width;
        let mut rows = self.strip.chunks(self.cols);
        rows.all(|row| {
            let row = row.get(columns.clone()).unwrap_or_default();
            let largest = row
                .iter()
                .fold(0, |largest, value| magnitude(*value).max(largest));
            largest < INFINITE
        })
    }
}

/// The elements of a block that reach a threshold: of each row a set of columns. Only for blocks whose rows are
/// full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passed {
    pub(crate) rows: [u64; BLOCK_SIDE],
}

impl Passed {
    pub(crate) const NONE: Passed = Passed {
        rows: [0; BLOCK_SIDE],
    };

    #[inline(always)]
    fn count(&self) -> usize {
        self.rows.iter().map(|row| row.count_ones() as usize).sum()
    }
}

/// What is known of a block by its [guessed](Selector::guess) threshold, or another one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Guessed<'a> {
    /// Nothing.
    Nothing,
    /// Which elements of a full block reach it.
    Passed(&'a Passed),
    /// What is sent of a full block is looked for in the candidates, which are those that reach it.
    Picked,
    /// Nothing, and nothing has to be: all is sent whose turn it is.
    Known(Turn),
}

/// The magnitudes of one block, as bits.
struct Magnitudes {
    /// Element after element, and zeros behind them up to a multiple of 64.
    bits: [[u32; BLOCK_SIDE]; BLOCK / BLOCK_SIDE],
    /// How many elements there are.
    len: usize,
}

impl Magnitudes {
    #[inline(always)]
    fn fill(&mut self, view: View) {
        let View { strip, cols, block } = view;
        let rows = strip
            .chunks(cols)
            .map(|row| &row[block.col..][..block.width]);
        let bits = self.bits.as_flattened_mut().chunks_mut(block.width);
        for (bits, row) in bits.zip(rows) {
            for (bits, value) in bits.iter_mut().zip(row) {
                *bits = magnitude(*value);
            }
        }
        let end = block.len.next_multiple_of(BLOCK_SIDE);
        self.bits.as_flattened_mut()[block.len..end].fill(0);
        self.len = block.len;
    }

    #[inline(always)]
    fn rows(&self) -> &[[u32; BLOCK_SIDE]] {
        &self.bits[..self.len.div_ceil(BLOCK_SIDE)]
    }
}

/// What is to be known of a block to send the largest of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Chosen {
    /// The smallest magnitude that is sent, and how many of those as large are.
    pub(crate) smallest: u32,
    pub(crate) ties: usize,
    /// What stands for them, and the magnitude from which the high level does.
    pub(crate) levels: Levels,
    pub(crate) threshold: f32,
}

/// Selects from block after block.
pub(crate) struct Selector {
    /// What is looked at if a guess was wrong.
    magnitudes: Magnitudes,
    sorted: Vec<u32>,
    buckets: Buckets,
    /// A threshold that as many as are aimed at reached in the last blocks, about.
    aim: u32,
}

impl Selector {
    pub(crate) fn new() -> Selector {
        Selector {
            magnitudes: Magnitudes {
                bits: [[0; BLOCK_SIDE]; BLOCK / BLOCK_SIDE],
                len: 0,
            },
            sorted: Vec::new(),
            buckets: Buckets::new(),
            aim: 0,
        }
    }

    /// Whether it has selected nothing yet.
    pub(crate) fn is_new(&self) -> bool {
        self.aim == 0
    }

    /// A threshold that will let some more of the next blocks' elements through than are wanted, if they are like those
    /// before.
    pub(crate) fn guess(&self) -> u32 {
        self.aim.clamp(1, INFINITE)
    }

    /// Sends of a block of a strip as many values as `codes` has room for: those of largest magnitude, of equal ones those
    /// that come first. Their codes go there in ascending order of their places, the strip keeps what is left of them, and
    /// the result are their levels. Nothing, if not all of those sent are finite.
    #[inline(always)]
    pub(crate) fn send<L: Lanes>(
        &mut self,
        candidates: &mut Candidates,
        (strip, cols): (&mut [f32], usize),
        block: Block,
        guessed: Guessed,
        codes: &mut [u16],
    ) -> Option<Levels> {
        let keep = codes.len();
        let view = View { strip, cols, block };
        if !self.gather::<L>(candidates, view, guessed, keep) {
            return None;
        }
        let chosen = self.choose::<L>(candidates.magnitudes(), keep)?;
        candidates.leave_out(&chosen);
        if block.width == BLOCK_SIDE {
            let index = |place| {
                let row = usize::wrapping_mul(place / BLOCK_SIDE, cols).wrapping_add(block.col);
                row.wrapping_add(place % BLOCK_SIDE)
            };
            candidates.send::<L>(&chosen, strip, index, codes);
        } else {
            candidates.send::<L>(&chosen, strip, |place| block.index(place, cols), codes);
        }
        Some(chosen.levels)
    }

    /// Finds elements among which the `keep` of largest magnitude are, or those whose turn it is: `false` if there is
    /// one that is not finite among those that nobody looks at again.
    #[inline(always)]
    fn gather<L: Lanes>(
        &mut self,
        candidates: &mut Candidates,
        view: View,
        guessed: Guessed,
        keep: usize,
    ) -> bool {
        let are_enough = |count| (keep..=most(keep)).contains(&count);
        match guessed {
            Guessed::Picked if are_enough(candidates.count) => {}
            Guessed::Picked => {
                self.magnitudes.fill(view);
                let threshold = self.threshold::<L>(keep);
                candidates.count = 0;
                for (number, row) in view.strip.chunks(view.cols).enumerate() {
                    let row = row.get(view.block.col..).unwrap_or_default();
                    if let Some(row) = row.first_chunk() {
                        candidates.pick::<L>(row, (number * BLOCK_SIDE) as u16, threshold);
                    }
                }
            }
            Guessed::Passed(passed) if are_enough(passed.count()) => {
                collect_passed(candidates, view, passed);
            }
            Guessed::Passed(_) | Guessed::Nothing => self.search::<L>(candidates, view, keep),
            Guessed::Known(turn) => {
                let View { strip, cols, block } = view;
                candidates.count = 0;
                for place in turn.places(block) {
                    let value = strip.get(block.index(place.into(), cols));
                    candidates.add_one(place, value.copied().unwrap_or_default());
                }
                return view.is_finite();
            }
        }
        true
    }

    /// What is to be known of the largest `keep` of the candidates, and what is learnt from it for those that follow.
    #[inline(always)]
    fn choose<L: Lanes>(&mut self, candidates: &[u32], keep: usize) -> Option<Chosen> {
        let many = match keep >= MANY {
            true => self.buckets.choose::<L>(candidates, keep),
            false => None,
        };
        let chosen = match many {
            Some(chosen) => chosen,
            None => self.sorted(candidates, keep)?,
        };
        self.learn(candidates, keep, chosen.smallest);
        Some(chosen)
    }

    /// What is to be known of the largest `keep` of the candidates, by sorting them.
    #[inline(always)]
    fn sorted(&mut self, candidates: &[u32], keep: usize) -> Option<Chosen> {
        self.sort(candidates, keep);
        let (smallest, largest) = (*self.sorted.first()?, *self.sorted.last()?);
        if largest >= INFINITE {
            return None;
        }
        let (levels, threshold) = two_levels(bytemuck::cast_slice(&self.sorted));
        let equal = self.sorted.iter().take_while(|one| **one == smallest);
        Some(Chosen {
            smallest,
            ties: equal.count(),
            levels,
            threshold,
        })
    }

    /// Sorts the largest `keep` of the candidates' magnitudes.
    #[inline(always)]
    fn sort(&mut self, candidates: &[u32], keep: usize) {
        let excess = candidates.len() - keep;
        self.sorted.clear();
        if candidates.len() <= FEW {
            self.sorted.resize(candidates.len(), 0);
            sort_few::<LANES>(candidates, &mut self.sorted);
            self.sorted.drain(..excess);
        } else {
            self.sorted.extend_from_slice(candidates);
            self.sorted.select_nth_unstable(excess);
            self.sorted.drain(..excess);
            self.sorted.sort_unstable();
        }
    }

    /// Aims at a threshold that as many reach as are wanted and the [surplus], if the next blocks are like this one, of
    /// which `smallest` is the smallest that is selected.
    #[inline(always)]
    fn learn(&mut self, candidates: &[u32], keep: usize, smallest: u32) {
        let mut lowest = smallest;
        for one in candidates {
            lowest = lowest.min(*one);
        }
        // as if as many lay in every interval as in the one from the lowest candidate to the smallest selected
        let excess = candidates.len() - keep;
        let below = u64::from(smallest - lowest) * surplus(keep) as u64 / excess.max(1) as u64;
        let here = u64::from(smallest).saturating_sub(below);
        let aim = u64::from(self.aim);
        let is_alike = here.abs_diff(aim) < ALIKE;
        let aim = match is_alike {
            true => (aim * (MEMORY - 1) + here) / MEMORY,
            // the first block, or another part of the model
            false => here,
        };
        self.aim = aim as u32;
    }

    /// Finds a threshold and what passes it.
    #[inline(always)]
    fn search<L: Lanes>(&mut self, candidates: &mut Candidates, view: View, keep: usize) {
        self.magnitudes.fill(view);
        let threshold = self.threshold::<L>(keep);
        self.collect::<L>(candidates, view, threshold);
        candidates.part_signs();
    }

    /// A threshold that `keep` magnitudes or more reach, and, if possible, not many more.
    #[inline(always)]
    fn threshold<L: Lanes>(&self, keep: usize) -> u32 {
        if keep >= self.magnitudes.len {
            return 0;
        }
        let (rows, most) = (self.magnitudes.rows(), most(keep));
        // enough reach `low`, too few reach `high`
        let (mut low, mut high, mut step) = (0, INFINITE + 1, STEP);
        let mut next = self.guess();
        loop {
            let count = count::<L>(rows, next);
            if count >= keep {
                low = next;
                if count <= most {
                    return low;
                }
            } else {
                high = next;
            }
            if high - low <= 1 {
                return low;
            }
            // widening steps until the threshold lies between two tried ones, then halving
            let middle = low + (high - low) / 2;
            next = if count >= keep {
                middle.min(low.saturating_add(step))
            } else {
                middle.max(high.saturating_sub(step))
            };
            step = step.saturating_mul(2);
        }
    }

    #[inline(always)]
    fn collect<L: Lanes>(&self, candidates: &mut Candidates, view: View, threshold: u32) {
        let Magnitudes { bits, len } = &self.magnitudes;
        candidates.count = 0;
        for (number, row) in bits.iter().enumerate().take(len.div_ceil(BLOCK_SIDE)) {
            let first = number * BLOCK_SIDE;
            let mut set = L::at_least(row, threshold);
            if len - first < BLOCK_SIDE {
                set &= (1 << (len - first)) - 1;
            }
            let value = |place| view.strip[view.block.index(first + place, view.cols)];
            candidates.add(first, set, value);
        }
    }
}

#[inline(always)]
fn collect_passed(candidates: &mut Candidates, view: View, passed: &Passed) {
    candidates.count = 0;
    let rows = view.strip.chunks(view.cols);
    for (number, (row, set)) in rows.zip(passed.rows).enumerate() {
        let row = &row[view.block.col..][..BLOCK_SIDE];
        let value = |place: usize| row[place];
        candidates.add(number * BLOCK_SIDE, set, value);
    }
    candidates.part_signs();
}

/// Sorts by counting for each number how many are below it: the work of a square, but all of it for SIMD. `sorted` has
/// zeros.
#[inline(always)]
pub(crate) fn sort_few<const LANES: usize>(numbers: &[u32], sorted: &mut [u32]) {
    for some in numbers.chunks(LANES) {
        let mut lanes = [0; LANES];
        lanes[..some.len()].copy_from_slice(some);
        let mut below = [0u32; LANES];
        for number in numbers {
            for (count, lane) in below.iter_mut().zip(&lanes) {
                *count = count.wrapping_add(u32::from(lane > number));
            }
        }
        for (number, place) in some.iter().zip(below) {
            if let Some(to) = sorted.get_mut(place as usize) {
                *to = *number;
            }
        }
    }
    // equal numbers took one place of several
    let mut before = 0;
    for number in sorted {
        before = before.max(*number);
        *number = before;
    }
}

/// How many more than are wanted are let through, so that there are enough in almost every block: of many a smaller
/// part, since their number varies less.
fn surplus(keep: usize) -> usize {
    if keep < MANY {
        keep
    } else {
        keep * 3 / 8
    }
}

/// How many candidates are not too many.
fn most(keep: usize) -> usize {
    4 * keep
}

/// How many magnitudes reach a threshold.
#[inline(always)]
fn count<L: Lanes>(rows: &[[u32; BLOCK_SIDE]], threshold: u32) -> usize {
    let mut count = 0;
    for row in rows {
        count += L::at_least(row, threshold).count_ones() as usize;
    }
    count
}

#[cfg(test)]
mod tests {
    use cairn_primitives::blocks::{HIGH, NEGATIVE};

    use super::*;
    use crate::level::Level;
    use crate::simd::{Kernel, Simd};
    use crate::sparse::value_of;
    use proptest::prelude::*;

    struct Select<'a>(&'a mut Selector, View<'a>, Option<u32>, usize);

    impl Kernel for Select<'_> {
        type Output = (Vec<u16>, Levels, Vec<f32>);

        #[inline(always)]
        fn run<L: Lanes>(self) -> Self::Output {
            let Select(selector, view, threshold, keep) = self;
            let View { strip, cols, block } = view;
            let (mut places, mut left) = (vec![0; keep], strip.to_vec());
            // of another block
            let mut candidates = Candidates::new();
            candidates.pick::<L>(&[f32::MAX; BLOCK_SIDE], 0, 0);
            let (mut passed, mut guessed) = (Passed::NONE, Guessed::Nothing);
            if let Some(threshold) = threshold {
                candidates.count = 0;
                let rows = strip.chunks(cols).zip(&mut passed.rows).enumerate();
                for (number, (row, passed)) in rows {
                    let row = row[block.col..].first_chunk().expect("full");
                    *passed = L::at_least(&row.map(magnitude), threshold);
                    if keep >= MANY {
                        candidates.pick::<L>(row, (number * BLOCK_SIDE) as u16, threshold);
                    }
                }
                guessed = match keep >= MANY {
                    true => Guessed::Picked,
                    false => Guessed::Passed(&passed),
                };
            }
            let strip = (&mut left[..], cols);
            let levels = selector.send::<L>(&mut candidates, strip, block, guessed, &mut places);
            let levels = levels.expect("finite");
            let of_block = (0..block.len).map(|place| block.index(place, cols));
            (places, levels, of_block.map(|at| left[at]).collect())
        }
    }

    fn by_sorting(values: &[f32], keep: usize) -> (Vec<u16>, Levels, Vec<f32>) {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by_key(|place| (!magnitude(values[*place]), *place));
        order.truncate(keep);
        let mut largest: Vec<f32> = order.iter().map(|place| values[*place].abs()).collect();
        largest.sort_by(f32::total_cmp);
        let (levels, threshold) = two_levels(&largest);
        order.sort_unstable();
        let code = |place: usize| {
            let value = values[place];
            let high = u16::from(value.abs() >= threshold) * HIGH;
            let is_zero = high == 0 && levels.low == Level::ZERO;
            let sign = u16::from(value.is_sign_negative() && !is_zero) * NEGATIVE;
            place as u16 | high | sign
        };
        let codes: Vec<u16> = order.iter().copied().map(code).collect();
        let mut left = values.to_vec();
        for (place, code) in order.iter().zip(&codes) {
            left[*place] -= value_of(*code, levels);
        }
        (codes, levels, left)
    }

    /// The bits of what is left, too: a zero has a sign.
    fn with_bits(
        (codes, levels, left): (Vec<u16>, Levels, Vec<f32>),
    ) -> (Vec<u16>, Levels, Vec<u32>) {
        (codes, levels, left.into_iter().map(f32::to_bits).collect())
    }

    fn some_magnitude() -> impl Strategy<Value = u32> {
        prop_oneof![
            4 => 0..INFINITE,
            4 => (-1f32..1.0).prop_map(|value| value.abs().to_bits()),
            1 => Just(0u32),
            1 => Just(1.0f32.to_bits()),
            1 => Just(INFINITE - 1),
        ]
    }

    /// Numbers of those magnitudes, of either sign.
    fn signed(magnitudes: &[u32]) -> Vec<f32> {
        let sign = |place: usize| (place as u32 % 3 % 2) << 31;
        let numbers = magnitudes.iter().enumerate();
        numbers
            .map(|(place, bits)| f32::from_bits(bits | sign(place)))
            .collect()
    }

    fn row(magnitudes: &[u32]) -> Block {
        Block {
            col: 0,
            width: magnitudes.len(),
            len: magnitudes.len(),
            keep: 0,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn exactly_the_largest_are_selected(
            magnitudes in prop_oneof![
                prop::collection::vec(some_magnitude(), 1..=BLOCK),
                prop::collection::vec((0u32..4).prop_map(|n| n * 1_000), 1..=BLOCK),
            ],
            keep: prop::sample::Index,
            few in 1usize..=64,
            aim in 0..=INFINITE,
        ) {
            let strip = signed(&magnitudes);
            let view = View { strip: &strip, cols: strip.len(), block: row(&magnitudes) };
            for keep in [1 + keep.index(magnitudes.len()), few.min(magnitudes.len())] {
                let expected = with_bits(by_sorting(&signed(&magnitudes), keep));
                for simd in Simd::all() {
                    let mut selector = Selector::new();
                    // leftovers of another block
                    selector.magnitudes.bits = [[INFINITE - 1; BLOCK_SIDE]; BLOCK / BLOCK_SIDE];
                    selector.aim = aim;
                    let found = with_bits(simd.run(Select(&mut selector, view, None, keep)));
                    prop_assert_eq!(&found, &expected, "{:?}", simd);
                }
            }
        }

        #[test]
        fn whatever_was_guessed_the_same_are_selected(
            magnitudes in prop::collection::vec(some_magnitude(), BLOCK),
            keep in prop_oneof![1usize..=128, 1..=BLOCK],
            guess: prop::sample::Index,
            left in 0usize..3,
        ) {
            let cols = (left + 2) * BLOCK_SIDE;
            let block = Block { col: left * BLOCK_SIDE, width: BLOCK_SIDE, len: BLOCK, keep };
            let mut strip = vec![f32::MAX; BLOCK_SIDE * cols];
            for (row, numbers) in strip.chunks_mut(cols).zip(signed(&magnitudes).chunks(BLOCK_SIDE)) {
                row[block.col..][..BLOCK_SIDE].copy_from_slice(numbers);
            }
            let expected = with_bits(by_sorting(&signed(&magnitudes), keep));
            let mut ascending = magnitudes.clone();
            ascending.sort_unstable();
            let around = BLOCK.saturating_sub(keep + guess.index(4 * keep));
            for threshold in [ascending[guess.index(BLOCK)], ascending[around], 1, INFINITE] {
                for simd in Simd::all() {
                    let view = View { strip: &strip, cols, block };
                    let mut selector = Selector::new();
                    let found = with_bits(simd.run(Select(&mut selector, view, Some(threshold), keep)));
                    prop_assert_eq!(&found, &expected, "{:?}", simd);
                }
            }
        }

        #[test]
        fn few_numbers_are_sorted(mut numbers in prop::collection::vec(prop_oneof![0u32..9, any::<u32>()], 0..=FEW)) {
            let mut sorted = vec![0; numbers.len()];
            sort_few::<LANES>(&numbers, &mut sorted);
            numbers.sort_unstable();
            prop_assert_eq!(sorted, numbers);
        }
    }
}
