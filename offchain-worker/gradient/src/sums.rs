//! Error feedback and pseudo-gradient are added, and what of the sums is worth a second look is found on the way.

use crate::blocks::{Block, BLOCK_SIDE};
use crate::candidates::Candidates;
use crate::select::{magnitude, Passed};
use crate::simd::Lanes;

/// error ← β · error + Δ in blocks of a strip that are next to each other.
///
/// Row by row through all of them: rows lie far apart, and, where they are a power of two long, those of one block
/// share so few places of the CPU's caches that they would drive each other out.
pub(crate) struct Sums<'a> {
    pub(crate) blocks: &'a [Block],
    /// Elements from one row of the strip to the next.
    pub(crate) cols: usize,
    pub(crate) beta: f32,
    pub(crate) delta: &'a [f32],
    pub(crate) error: &'a mut [f32],
}

impl Sums<'_> {
    /// Each block's candidates, in their order, become those of its elements that reach a threshold. All blocks have
    /// rows of 64 elements, but for those behind the last candidates.
    #[inline(always)]
    pub(crate) fn pick<L: Lanes>(self, threshold: u32, candidates: &mut [Candidates]) {
        let beta = self.beta;
        candidates.iter_mut().for_each(|some| some.count = 0);
        self.rows::<L>(|row, number, error, delta| {
            if let Some(candidates) = candidates.get_mut(number) {
                let first = (row * BLOCK_SIDE) as u16;
                candidates.sum_and_pick::<L>((beta, error, delta), first, threshold);
            }
        });
    }

    /// Finds which elements of full blocks reach a threshold.
    #[inline(always)]
    pub(crate) fn pass<L: Lanes>(self, threshold: u32, passed: &mut [Passed]) {
        let beta = self.beta;
        self.rows::<L>(|row, number, error, delta| {
            let mut magnitudes = [0; BLOCK_SIDE];
            for ((error, delta), to) in error.iter_mut().zip(delta).zip(&mut magnitudes) {
                *error = beta * *error + delta;
                *to = magnitude(*error);
            }
            // a vector's block has no use for it
            if let Some(passed) = passed.get_mut(number) {
                passed.rows[row] = L::at_least(&magnitudes, threshold);
            }
        });
    }

    /// Gives `each` 64 elements of a row at a time, with the numbers of row and block, to be added there. What is left of
    /// a row is added here.
    #[inline(always)]
    fn rows<L: Lanes>(
        self,
        mut each: impl FnMut(usize, usize, &mut [f32; BLOCK_SIDE], &[f32; BLOCK_SIDE]),
    ) {
        let (Some(first), Some(last)) = (self.blocks.first(), self.blocks.last()) else {
            return;
        };
        let (start, end) = (first.col, last.col + last.width);
        for row in 0..first.len / first.width {
            let at = row * self.cols + start..row * self.cols + end;
            let (error, errors_behind) = self.error.split_at_mut(at.end);
            let (delta, deltas_behind) = self.delta.split_at(at.end);
            let (errors, rest) = error[at.start..].as_chunks_mut::<BLOCK_SIDE>();
            let (deltas, rest_of_deltas) = delta[at.start..].as_chunks::<BLOCK_SIDE>();
            for (number, (error, delta)) in errors.iter_mut().zip(deltas).enumerate() {
                // the same of the next row
                let ahead = self.cols - (end - start) + number * BLOCK_SIDE;
                for behind in [&*errors_behind, deltas_behind] {
                    L::prefetch(behind.get(ahead..ahead + BLOCK_SIDE).unwrap_or_default());
                }
                each(row, number, error, delta);
            }
            for (error, delta) in rest.iter_mut().zip(rest_of_deltas) {
                *error = self.beta * *error + delta;
            }
        }
    }
}
