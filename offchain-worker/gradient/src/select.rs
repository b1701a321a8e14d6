//! The largest magnitudes of a block, exactly.
//!
//! Sorting 4,096 magnitudes to find 64 would take most of the time of compressing. Instead a threshold is
//! looked for that lets a few more through than are wanted; comparing and counting is what SIMD does best, and
//! the block before had nearly the same threshold. Only what passes it is sorted. What is selected does not
//! depend on the thresholds tried.

use crate::blocks::{BLOCK, BLOCK_SIDE};
use crate::simd::Lanes;

/// The bits of infinity: all finite magnitudes are below.
pub(crate) const INFINITE: u32 = 0x7F80_0000;
/// The first step by which a threshold is changed: an eighth of it.
const STEP: u32 = 1 << 20;

/// The magnitudes of one block, as bits: their order is that of the numbers.
#[derive(Clone)]
pub(crate) struct Magnitudes {
    /// Element after element, and zeros behind them up to a multiple of 64.
    bits: [[u32; BLOCK_SIDE]; BLOCK / BLOCK_SIDE],
    /// How many elements there are.
    len: usize,
}

impl Magnitudes {
    pub(crate) fn new() -> Magnitudes {
        Magnitudes {
            bits: [[0; BLOCK_SIDE]; BLOCK / BLOCK_SIDE],
            len: 0,
        }
    }

    /// Makes room for a block of so many elements, which are to be filled in.
    #[inline(always)]
    pub(crate) fn reset(&mut self, len: usize) {
        let end = len.next_multiple_of(BLOCK_SIDE);
        self.bits.as_flattened_mut()[len..end].fill(0);
        self.len = len;
    }

    /// The elements.
    #[inline(always)]
    pub(crate) fn bits_mut(&mut self) -> &mut [u32] {
        &mut self.bits.as_flattened_mut()[..self.len]
    }

    #[inline(always)]
    fn rows(&self) -> &[[u32; BLOCK_SIDE]] {
        &self.bits[..self.len.div_ceil(BLOCK_SIDE)]
    }
}

/// Selects from block after block.
pub(crate) struct Selector {
    /// Places of what passed the threshold, ascending, and their magnitudes.
    places: [u16; BLOCK],
    passed: [u32; BLOCK],
    /// How many passed.
    count: usize,
    sorted: Vec<u32>,
    /// The smallest magnitude selected in the last block.
    last: u32,
}

impl Selector {
    pub(crate) fn new() -> Selector {
        Selector {
            places: [0; BLOCK],
            passed: [0; BLOCK],
            count: 0,
            sorted: Vec::new(),
            last: 0,
        }
    }

    /// Selects as many magnitudes as `places` has room for: the largest, of equal ones those that come first.
    /// Their places go there in ascending order; the result are the magnitudes, ascending too.
    #[inline(always)]
    pub(crate) fn select<L: Lanes>(&mut self, block: &Magnitudes, places: &mut [u16]) -> &[u32] {
        let keep = places.len();
        let threshold = if keep < block.len {
            self.threshold::<L>(block.rows(), keep)
        } else {
            0
        };
        self.collect::<L>(block, threshold);
        self.sorted.clear();
        let passed = &self.passed[..self.count];
        self.sorted.extend_from_slice(passed);
        let excess = self.sorted.len() - keep;
        if excess > keep {
            self.sorted.select_nth_unstable(excess);
            self.sorted.drain(..excess);
            self.sorted.sort_unstable();
        } else {
            self.sorted.sort_unstable();
            self.sorted.drain(..excess);
        }
        let smallest = self.sorted.first().copied().unwrap_or(0);
        self.last = smallest;
        let mut equal = self.sorted.iter().take_while(|m| **m == smallest).count();
        let mut chosen = 0;
        for (place, magnitude) in self.places.iter().zip(passed) {
            // whether a candidate is chosen is hard to predict, so it is no branch
            if let Some(to) = places.get_mut(chosen) {
                *to = *place;
            }
            let tie = usize::from(*magnitude == smallest) & usize::from(equal > 0);
            equal -= tie;
            chosen += usize::from(*magnitude > smallest) | tie;
        }
        &self.sorted
    }

    /// A threshold that `keep` magnitudes or more reach, and, if possible, not many more.
    #[inline(always)]
    fn threshold<L: Lanes>(&self, rows: &[[u32; BLOCK_SIDE]], keep: usize) -> u32 {
        let most = keep + keep / 2 + 16;
        // enough reach `low`, too few reach `high`
        let (mut low, mut high, mut step) = (0, INFINITE + 1, STEP);
        let mut next = self.last.saturating_sub(STEP / 8).clamp(1, INFINITE);
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
    fn collect<L: Lanes>(&mut self, block: &Magnitudes, threshold: u32) {
        self.count = 0;
        for (number, row) in block.rows().iter().enumerate() {
            let first = number * BLOCK_SIDE;
            let mut set = L::at_least(row, threshold);
            if block.len - first < BLOCK_SIDE {
                set &= (1 << (block.len - first)) - 1;
            }
            while set != 0 {
                let place = set.trailing_zeros() as usize % BLOCK_SIDE;
                // never more than the block has elements
                let at = self.count % BLOCK;
                self.places[at] = (first + place) as u16;
                self.passed[at] = row[place];
                self.count += 1;
                set &= set - 1;
            }
        }
    }
}

/// How many magnitudes reach a threshold.
#[inline(always)]
fn count<L: Lanes>(rows: &[[u32; BLOCK_SIDE]], threshold: u32) -> usize {
    rows.iter()
        .map(|row| L::at_least(row, threshold).count_ones() as usize)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Kernel, Simd};
    use proptest::prelude::*;

    struct Select<'a>(&'a mut Selector, &'a Magnitudes, usize);

    impl Kernel for Select<'_> {
        type Output = (Vec<u16>, Vec<u32>);

        #[inline(always)]
        fn run<L: Lanes>(self) -> Self::Output {
            let mut places = vec![0; self.2];
            let largest = self.0.select::<L>(self.1, &mut places).to_vec();
            (places, largest)
        }
    }

    fn by_sorting(magnitudes: &[u32], keep: usize) -> (Vec<u16>, Vec<u32>) {
        let mut order: Vec<usize> = (0..magnitudes.len()).collect();
        order.sort_by_key(|place| (!magnitudes[*place], *place));
        order.truncate(keep);
        let mut places: Vec<u16> = order.iter().map(|place| *place as u16).collect();
        places.sort_unstable();
        let mut largest: Vec<u32> = order.iter().map(|place| magnitudes[*place]).collect();
        largest.sort_unstable();
        (places, largest)
    }

    fn magnitude() -> impl Strategy<Value = u32> {
        prop_oneof![
            4 => 0..INFINITE,
            4 => (-1f32..1.0).prop_map(|value| value.abs().to_bits()),
            1 => Just(0u32),
            1 => Just(1.0f32.to_bits()),
            1 => Just(INFINITE - 1),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn exactly_the_largest_are_selected(
            magnitudes in prop_oneof![
                prop::collection::vec(magnitude(), 1..=BLOCK),
                prop::collection::vec((0u32..4).prop_map(|n| n * 1_000), 1..=BLOCK),
            ],
            keep: prop::sample::Index,
            few in 1usize..=64,
            last in 0..=INFINITE,
        ) {
            for keep in [1 + keep.index(magnitudes.len()), few.min(magnitudes.len())] {
                let expected = by_sorting(&magnitudes, keep);
                for simd in Simd::all() {
                    let mut block = Magnitudes::new();
                    // leftovers of another block
                    block.reset(BLOCK);
                    block.bits_mut().fill(INFINITE - 1);
                    block.reset(magnitudes.len());
                    block.bits_mut().copy_from_slice(&magnitudes);
                    let mut selector = Selector::new();
                    selector.last = last;
                    let found = simd.run(Select(&mut selector, &block, keep));
                    prop_assert_eq!(&found, &expected, "{:?}", simd);
                }
            }
        }
    }
}
