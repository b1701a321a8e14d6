//! The outer step of one tensor.

use cairn_primitives::{blocks::PLACE, Nano, OuterStep};
use rayon::prelude::*;

use super::OuterStepError;
use crate::blocks::{Block, Grid, BLOCK};
use crate::level::{Level, Levels};
use crate::roots::RootHasher;
use crate::simd::{Kernel, Lanes, Simd};
use crate::sparse::{SparseTensor, VALUE};

/// Elements that are stepped, on all threads, before they are hashed while they are still in the cache.
const PIECE: usize = 1 << 20;

/// The settings of an outer step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// α.
    rate: f32,
    /// ⌈ρR⌉, and 1 at least: what m_i is where there is a Δ̄.
    least_divisor: f32,
    simd: Simd,
}

impl Step {
    pub(crate) fn new(outer: &OuterStep, contributions: usize) -> Result<Step, OuterStepError> {
        if outer.rho > Nano::ONE {
            return Err(OuterStepError::Rho { rho: outer.rho });
        }
        if contributions > usize::from(u16::MAX) {
            return Err(OuterStepError::TooMany { contributions });
        }
        // exact in `f32`, since ρ ≤ 1
        let scaled = u128::from(outer.rho.0) * contributions as u128;
        let least = scaled.div_ceil(u128::from(Nano::ONE.0)).max(1);
        Ok(Step {
            rate: outer.learning_rate.to_f32(),
            least_divisor: least as f32,
            simd: Simd::best(),
        })
    }

    /// The same at another level of SIMD.
    #[cfg(test)]
    pub(crate) fn at(self, simd: Simd) -> Step {
        Step { simd, ..self }
    }

    /// Steps one tensor's weights by what was sent of it, in ascending order of uid.
    pub(crate) fn tensor(
        &self,
        grid: Grid,
        theta: &mut [f32],
        sent: &[&SparseTensor],
        mut hasher: Option<&mut RootHasher>,
    ) {
        let shares = shares_of(sent);
        let strip = grid.strip_len();
        let strips = PIECE.div_ceil(strip).max(rayon::current_num_threads());
        for (number, piece) in theta.chunks_mut(strips * strip).enumerate() {
            if !shares.is_empty() {
                piece
                    .par_chunks_mut(strip)
                    .enumerate()
                    .for_each(|(at, theta)| {
                        self.simd.run(Apply {
                            step: self,
                            cols: grid.strip(number * strips + at).cols,
                            strip: number * strips + at,
                            shares: &shares,
                            theta,
                        });
                    });
            }
            if let Some(hasher) = &mut hasher {
                hasher.update(piece);
            }
        }
    }
}

/// What one contribution adds to a tensor.
struct Share<'a> {
    tensor: &'a SparseTensor,
    clip: f32,
}

/// All contributions' shares, clipped to the lower median of their norms.
fn shares_of<'a>(sent: &[&'a SparseTensor]) -> Vec<Share<'a>> {
    let norms: Vec<f64> = sent.par_iter().map(|tensor| tensor.norm()).collect();
    let median = lower_median(&norms);
    let clip = |norm: f64| {
        if norm <= median {
            1.0
        } else {
            (median / norm) as f32
        }
    };
    let share = |(tensor, norm): (&&'a SparseTensor, &f64)| Share {
        tensor,
        clip: clip(*norm),
    };
    sent.iter().zip(&norms).map(share).collect()
}

/// The middle one, or the lower of the two in the middle; 0 of none.
fn lower_median(norms: &[f64]) -> f64 {
    let mut ascending = norms.to_vec();
    ascending.sort_by(f64::total_cmp);
    let middle = ascending.get(ascending.len().saturating_sub(1) / 2);
    middle.copied().unwrap_or(0.0)
}

/// Steps one strip, block by block.
struct Apply<'a> {
    step: &'a Step,
    strip: usize,
    cols: usize,
    shares: &'a [Share<'a>],
    theta: &'a mut [f32],
}

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let mut parts: Vec<_> = self
            .shares
            .iter()
            .map(|share| (share.clip, share.tensor.strip(self.strip)))
            .collect();
        let (mut sums, mut senders) = ([0f32; BLOCK], [0u16; BLOCK]);
        // every contribution has the same blocks
        loop {
            let mut of_block = None;
            for (clip, blocks) in &mut parts {
                let Some((block, levels, codes)) = blocks.next() else {
                    return;
                };
                if of_block.is_none() {
                    prefetch::<L>(block, self.cols, self.theta);
                    sums[..block.len].fill(0.0);
                    senders[..block.len].fill(0);
                }
                of_block = Some(block);
                add(*clip, levels, codes, &mut sums, &mut senders);
            }
            let Some(block) = of_block else {
                return;
            };
            self.step
                .block(block, self.cols, self.theta, &sums, &senders);
        }
    }
}

/// Asks for a block's weights, which are needed when all contributions have been added.
#[inline(always)]
fn prefetch<L: Lanes>(block: Block, cols: usize, theta: &[f32]) {
    for row in 0..block.len / block.width.max(1) {
        let start = row * cols + block.col;
        L::prefetch(&theta[start..start + block.width]);
    }
}

/// Adds what one contribution sends of a block.
#[inline(always)]
fn add(
    clip: f32,
    levels: Levels,
    codes: &[u16],
    sums: &mut [f32; BLOCK],
    senders: &mut [u16; BLOCK],
) {
    // the product of f and ±v is ± the product of f and v
    let clipped = |level: Level| clip * level.to_f32();
    let (low, high) = (clipped(levels.low), clipped(levels.high));
    // looked up, for no branch can foresee which of the four comes next
    let values = [low, high, -low, -high];
    for code in codes {
        let place = usize::from(code & PLACE);
        sums[place] += values[usize::from(code >> VALUE)];
        senders[place] += 1;
    }
}

impl Step {
    /// Moves a block's weights. Where nobody sent anything the sum is +0, and θ − 0 is θ.
    #[inline(always)]
    fn block(
        &self,
        block: Block,
        cols: usize,
        theta: &mut [f32],
        sums: &[f32; BLOCK],
        senders: &[u16; BLOCK],
    ) {
        let rows = sums[..block.len].chunks_exact(block.width);
        let rows = rows.zip(senders[..block.len].chunks_exact(block.width));
        for (row, (sums, senders)) in rows.enumerate() {
            let start = row * cols + block.col;
            let theta = &mut theta[start..start + block.width];
            for ((theta, sum), senders) in theta.iter_mut().zip(sums).zip(senders) {
                let inverse = 1.0 / f32::from(*senders).max(self.least_divisor);
                let mean = sum * inverse;
                *theta -= self.rate * mean;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_median_of_even_and_odd_numbers() {
        assert_eq!(lower_median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(lower_median(&[4.0, 1.0, 3.0, 2.0]), 2.0);
        assert_eq!(lower_median(&[5.0, 4.0]), 4.0);
        assert_eq!(lower_median(&[7.0]), 7.0);
    }

    #[test]
    fn rho_times_contributions_is_rounded_up() {
        let least = |rho, contributions| {
            let outer = OuterStep {
                learning_rate: Nano::ONE,
                rho: Nano(rho),
            };
            Step::new(&outer, contributions).map(|step| step.least_divisor)
        };
        // none sent, or one: as if ρ were 0
        assert_eq!(least(0, 7), Ok(1.0));
        assert_eq!(least(1, 7), Ok(1.0));
        assert_eq!(least(500_000_000, 4), Ok(2.0));
        assert_eq!(least(500_000_000, 5), Ok(3.0));
        assert_eq!(least(1_000_000_000, 256), Ok(256.0));
    }
}
