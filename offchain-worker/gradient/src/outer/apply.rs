//! The outer step of one tensor.

use cairn_primitives::{blocks::PLACE, Nano, OuterStep};
use rayon::prelude::*;

use super::{trust::Trust, OuterStepError};
use crate::blocks::{Block, Grid, BLOCK};
use crate::level::{Level, Levels};
use crate::roots::RootHasher;
use crate::simd::{Kernel, Lanes, Simd};
use crate::sparse::{SparseTensor, VALUE};

/// Elements that are stepped, on all threads, before they are hashed while they are still in the cache.
const PIECE: usize = 1 << 20;

/// The settings of an outer step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// α.
    rate: f32,
    /// c.
    clip: f64,
    /// t of each contribution, in ascending order of uid.
    trust: Trust,
    /// ⌈ρT⌉, and 1 at least, which a sum of trust is where there is a Δ̄.
    least_divisor: f32,
    simd: Simd,
}

impl Step {
    /// By the run's rule, with the contributions' trust.
    pub(crate) fn new(outer: &OuterStep, trust: Trust) -> Result<Step, OuterStepError> {
        if outer.rho > Nano::ONE {
            return Err(OuterStepError::Rho { rho: outer.rho });
        }
        // exact in `f32`, since ρ ≤ 1 and T < 2²⁴
        let scaled = u128::from(outer.rho.0) * u128::from(trust.sum());
        let least = scaled.div_ceil(u128::from(Nano::ONE.0)).max(1);
        Ok(Step {
            rate: outer.learning_rate.to_f32(),
            clip: outer.clip.to_f64(),
            trust,
            least_divisor: least as f32,
            simd: Simd::best(),
        })
    }

    /// The same at another level of SIMD.
    #[cfg(test)]
    pub(crate) fn at(self, simd: Simd) -> Step {
        Step { simd, ..self }
    }

    /// Steps one tensor's parameters by what was sent of it, in ascending order of uid. Gives the
    /// [energy](SparseTensor::energy) of each.
    pub(crate) fn tensor(
        &self,
        grid: Grid,
        theta: &mut [f32],
        sent: &[&SparseTensor],
        mut hasher: Option<&mut RootHasher>,
    ) -> Vec<f64> {
        let energies: Vec<f64> = sent.par_iter().map(|tensor| tensor.energy()).collect();
        let shares = self.shares(sent, &energies);
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
        energies
    }

    /// The contributions' median of these norms, by trust.
    pub(crate) fn lower_median(&self, norms: &[f64]) -> f64 {
        self.trust.lower_median(norms)
    }

    /// All contributions' shares, clipped to c times the lower median of their norms.
    fn shares<'a>(&self, sent: &[&'a SparseTensor], energies: &[f64]) -> Vec<Share<'a>> {
        let norms: Vec<f64> = energies.iter().map(|energy| energy.sqrt()).collect();
        let most = self.clip * self.trust.lower_median(&norms);
        let share = |((tensor, norm), trust): ((&&'a SparseTensor, &f64), &u16)| {
            let clip = if *norm <= most {
                1.0
            } else {
                (most / norm) as f32
            };
            let trust = f32::from(*trust);
            Share {
                tensor,
                factor: trust * clip,
                trust,
            }
        };
        let trusted = sent.iter().zip(&norms).zip(self.trust.each());
        trusted.map(share).collect()
    }
}

/// What one contribution adds to a tensor.
struct Share<'a> {
    tensor: &'a SparseTensor,
    /// t · f.
    factor: f32,
    /// t.
    trust: f32,
}

/// What was added up for one element; both numbers in one place, since they are read and written together.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Sum {
    /// s.
    value: f32,
    /// Σ t of its senders: integers below 2²⁴, which `f32` holds exactly.
    trust: f32,
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
            .map(|share| (share.factor, share.trust, share.tensor.strip(self.strip)))
            .collect();
        let mut sums = [Sum::default(); BLOCK];
        // every contribution has the same blocks
        loop {
            let mut of_block = None;
            for (factor, trust, blocks) in &mut parts {
                let Some((block, levels, codes)) = blocks.next() else {
                    return;
                };
                if of_block.is_none() {
                    prefetch::<L>(block, self.cols, self.theta);
                    sums[..block.len].fill(Sum::default());
                }
                of_block = Some(block);
                let values = values_of(*factor, levels);
                add(values, *trust, codes, &mut sums);
            }
            let Some(block) = of_block else {
                return;
            };
            self.step.block(block, self.cols, self.theta, &sums);
        }
    }
}

/// Asks for a block's parameters, which are needed when all contributions have been added.
#[inline(always)]
fn prefetch<L: Lanes>(block: Block, cols: usize, theta: &[f32]) {
    for row in 0..block.len / block.width.max(1) {
        let start = row * cols + block.col;
        L::prefetch(&theta[start..start + block.width]);
    }
}

/// A factor times each of a block's four values.
#[inline(always)]
fn values_of(factor: f32, levels: Levels) -> [f32; 4] {
    // the product of a factor and ±v is ± the product of it and v
    let of = |level: Level| factor * level.to_f32();
    let (low, high) = (of(levels.low), of(levels.high));
    [low, high, -low, -high]
}

/// Adds what one contribution sends of a block, and its trust.
#[inline(always)]
fn add(values: [f32; 4], trust: f32, codes: &[u16], sums: &mut [Sum; BLOCK]) {
    for code in codes {
        let place = usize::from(code & PLACE);
        // looked up, for no branch can foresee which of the four comes next
        let sum = &mut sums[place];
        sum.value += values[usize::from(code >> VALUE)];
        sum.trust += trust;
    }
}

impl Step {
    /// Moves a block's parameters. Where nobody sent anything the sum is +0, and θ − 0 is θ.
    #[inline(always)]
    fn block(&self, block: Block, cols: usize, theta: &mut [f32], sums: &[Sum; BLOCK]) {
        let rows = sums[..block.len].chunks_exact(block.width);
        for (row, sums) in rows.enumerate() {
            let start = row * cols + block.col;
            let theta = &mut theta[start..start + block.width];
            for (theta, sum) in theta.iter_mut().zip(sums) {
                let inverse = 1.0 / sum.trust.max(self.least_divisor);
                let mean = sum.value * inverse;
                *theta -= self.rate * mean;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use cairn_primitives::Uid;

    use super::*;

    #[test]
    fn rho_times_the_trust_is_rounded_up() {
        let least = |rho, trusts: &[u16]| {
            let outer = OuterStep {
                learning_rate: Nano::ONE,
                rho: Nano(rho),
                clip: OuterStep::USUAL_CLIP,
                combine: Default::default(),
            };
            let trust = Trust::new(trusts.iter().map(|trust| (Uid(0), *trust)))?;
            Step::new(&outer, trust).map(|step| step.least_divisor)
        };
        // none sent, or one: as if ρ were 0
        assert_eq!(least(0, &[1; 7]), Ok(1.0));
        assert_eq!(least(1, &[1; 7]), Ok(1.0));
        assert_eq!(least(500_000_000, &[1; 4]), Ok(2.0));
        assert_eq!(least(500_000_000, &[9; 5]), Ok(3.0));
        assert_eq!(least(1_000_000_000, &[1; 256]), Ok(256.0));
        assert_eq!(least(250_000_000, &[2, 3, 4]), Ok(3.0));
        let most: Vec<u16> = (0..256).map(|uid| 65_535 - uid % 2).collect();
        assert_eq!(least(1_000_000_000, &most), Ok(16_776_832.0));
    }
}
