//! From a pseudo-gradient to a contribution, with error feedback.

use cairn_primitives::{Compression, Layout, Nano, Tensor};
use rayon::prelude::*;
use thiserror::Error;

use crate::blocks::{Block, Grid, Kept, LayoutError, Plan, Strip, BLOCK, BLOCK_SIDE};
use crate::candidates::Candidates;
use crate::contribution::{check_layout_hash, check_length, Contribution, Header, MismatchError};
use crate::select::{Guessed, Passed, Selector, MANY};
use crate::simd::{Kernel, Lanes, Simd};
use crate::sparse::SparseTensor;
use crate::sums::Sums;
use crate::wire::{encode, EncodeError};

/// Blocks next to each other that are gone through together: some pages of each row, so that the CPU sees where it goes
/// on, and not more than its caches hold until the blocks are looked at again.
const GROUP: usize = 64;

/// The same where many values are sent: their candidates have to stay in those caches, too.
const GROUP_OF_MANY: usize = 16;

/// Why a pseudo-gradient could not be compressed.
#[derive(Debug, Error)]
pub enum CompressError {
    /// The layout, the vectors and the header do not go together.
    #[error(transparent)]
    Mismatch(#[from] MismatchError),
    /// The error's decay is above 1.
    #[error("the error feedback would grow by {} each round: set error_decay to 1 at most", .decay.to_f64())]
    ErrorDecay {
        /// What was asked for.
        decay: Nano,
    },
    /// The training diverged, or the error feedback is damaged.
    #[error("β·error + pseudo-gradient is not finite at element {index} of tensor {tensor}: the training diverged, go back to the round's parameters")]
    NotFinite {
        /// Name of the tensor.
        tensor: String,
        /// Which element of it.
        index: usize,
    },
    /// The contribution has no encoding.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl From<LayoutError> for CompressError {
    fn from(error: LayoutError) -> CompressError {
        MismatchError::from(error).into()
    }
}

/// Makes a contribution of a pseudo-gradient Δ = θ − θ′ (flat, in the layout's order), and its encoding.
///
/// [`select`] and [`encode`] in one go.
///
/// # Errors
/// If the parts do not go together or β · error + Δ is not finite; `error` is then unchanged. If there is nothing to
/// send.
pub fn compress(
    layout: &Layout,
    compression: &Compression,
    pseudo_gradient: &[f32],
    error: &mut [f32],
    header: Header,
) -> Result<(Contribution, Vec<u8>), CompressError> {
    check_layout_hash(&header, layout)?;
    if !header.has_a_loss() {
        return Err(EncodeError::MeanLoss.into());
    }
    let tensors = select(layout, compression, pseudo_gradient, error)?;
    let contribution = Contribution { header, tensors };
    let bytes = encode(&contribution, layout, compression)?;
    Ok((contribution, bytes))
}

/// What is sent of each tensor of a pseudo-gradient Δ = θ − θ′ (flat, in the layout's order): what a [`Compressor`]
/// does tensor by tensor, in one go.
///
/// # Errors
/// If the parts do not go together or β · error + Δ is not finite; `error` is then unchanged.
pub fn select(
    layout: &Layout,
    compression: &Compression,
    pseudo_gradient: &[f32],
    error: &mut [f32],
) -> Result<Vec<SparseTensor>, CompressError> {
    let compressor = Compressor::new(compression)?;
    let plan = Plan::new(layout)?;
    check_length(pseudo_gradient, &plan)?;
    check_length(error, &plan)?;
    let parts = || layout.0.iter().zip(&plan.ranges);
    for (tensor, range) in parts() {
        compressor.check_finite(
            tensor,
            &pseudo_gradient[range.clone()],
            &error[range.clone()],
        )?;
    }
    parts()
        .map(|(tensor, range)| {
            let delta = &pseudo_gradient[range.clone()];
            compressor.tensor(tensor, delta, &mut error[range.clone()])
        })
        .collect()
}

/// Chooses what is sent of each tensor, and remembers the rest in the error feedback.
///
/// With a = β · error + Δ: of each block the elements of largest |a| are sent (of equal ones those that
/// come first), each as its sign and the nearer of two magnitudes, the means of the smaller and of the
/// larger ones. The error becomes a − sent, so that new error + sent = β · old error + Δ, to the rounding of one `f32`
/// operation: what is not sent now is sent later. Where members take turns, those are sent whose turn it is, with
/// levels that are found in the same way.
///
/// Source: SparseLoCo (arXiv 2508.15706) with the quantiser's two levels per block instead of four per
/// tensor.
#[derive(Clone, Copy, Debug)]
pub struct Compressor {
    kept: Kept,
    beta: f32,
    simd: Simd,
}

impl Compressor {
    /// A compressor for a run.
    ///
    /// # Errors
    /// If `kept_per_block` is not within 1..=4,096, there is no such turn, or `error_decay` is above 1.
    pub fn new(compression: &Compression) -> Result<Compressor, CompressError> {
        let kept = Kept::of(compression)?;
        let decay = compression.error_decay;
        if decay > Nano::ONE {
            return Err(CompressError::ErrorDecay { decay });
        }
        Ok(Compressor {
            kept,
            beta: decay.to_f32(),
            simd: Simd::best(),
        })
    }

    /// The same at another level of SIMD.
    #[cfg(test)]
    pub(crate) fn at(self, simd: Simd) -> Compressor {
        Compressor { simd, ..self }
    }

    /// What is sent of a tensor. Both vectors have its elements, row by row.
    ///
    /// # Errors
    /// If the vectors have another length, which changes nothing; or if β · error + Δ is not finite, after which
    /// the tensor's error is of no more use.
    pub fn tensor(
        &self,
        tensor: &Tensor,
        delta: &[f32],
        error: &mut [f32],
    ) -> Result<SparseTensor, CompressError> {
        let mut strips = self.strips(tensor)?;
        strips.push(delta, error)?;
        strips.finish()
    }

    /// The same for a tensor that should not be in memory as a whole.
    ///
    /// # Errors
    /// If nothing can be sent of a tensor of this shape.
    pub fn strips<'a>(&self, tensor: &'a Tensor) -> Result<StripCompressor<'a>, CompressError> {
        let grid = Grid::of(tensor)?;
        Ok(StripCompressor {
            compressor: *self,
            tensor,
            grid,
            sparse: SparseTensor::blank(grid, self.kept),
            next: 0,
        })
    }

    fn check_finite(
        &self,
        tensor: &Tensor,
        delta: &[f32],
        error: &[f32],
    ) -> Result<(), CompressError> {
        let not_finite = error
            .par_iter()
            .zip(delta)
            .position_first(|(error, delta)| !(self.beta * error + delta).is_finite());
        match not_finite {
            Some(index) => Err(CompressError::NotFinite {
                tensor: tensor.name.clone(),
                index,
            }),
            None => Ok(()),
        }
    }
}

/// Compresses one tensor, a few rows of blocks at a time.
#[derive(Debug)]
pub struct StripCompressor<'a> {
    compressor: Compressor,
    tensor: &'a Tensor,
    grid: Grid,
    sparse: SparseTensor,
    /// The strip that comes next.
    next: usize,
}

impl StripCompressor<'_> {
    /// Pieces must have a multiple of so many elements, but for the last: 64 rows of a matrix, or 4,096 elements
    /// of a vector.
    pub fn strip_len(&self) -> usize {
        self.grid.strip_len()
    }

    /// Compresses the next elements.
    ///
    /// # Errors
    /// As [`Compressor::tensor`].
    pub fn push(&mut self, delta: &[f32], error: &mut [f32]) -> Result<(), CompressError> {
        let before = self.next * self.grid.strip_len();
        let left = self.grid.len().saturating_sub(before);
        let is_whole = delta.len() == left || delta.len().is_multiple_of(self.grid.strip_len());
        if delta.len() != error.len() || delta.len() > left || !is_whole {
            let (found, expected) = (delta.len().min(error.len()), left);
            return Err(MismatchError::VectorLength { found, expected }.into());
        }
        let Compressor { kept, beta, simd } = self.compressor;
        let length = self.grid.strip_len();
        let all_finite = self
            .sparse
            .strips_mut(self.next)
            .zip(delta.chunks(length).zip(error.chunks_mut(length)))
            .collect::<Vec<_>>()
            .into_par_iter()
            .map_init(
                || (Selector::new(), Vec::new()),
                |(selector, candidates), ((strip, codes, levels), (delta, error))| {
                    simd.run(Send {
                        selector,
                        candidates,
                        strip,
                        kept,
                        beta,
                        delta,
                        error,
                        codes,
                        levels,
                    })
                },
            )
            .reduce(|| true, |all, finite| all && finite);
        if !all_finite {
            let index = error.iter().position(|value| !value.is_finite());
            return Err(CompressError::NotFinite {
                tensor: self.tensor.name.clone(),
                index: before + index.unwrap_or(0),
            });
        }
        self.next += delta.len().div_ceil(length);
        Ok(())
    }

    /// What is sent of the tensor.
    ///
    /// # Errors
    /// If elements are missing.
    pub fn finish(self) -> Result<SparseTensor, CompressError> {
        if self.next == self.grid.strip_count() {
            return Ok(self.sparse);
        }
        let (found, expected) = (self.next * self.grid.strip_len(), self.grid.len());
        Err(MismatchError::VectorLength { found, expected }.into())
    }
}

/// Compresses a strip; `false` if not all of it is finite.
struct Send<'a> {
    /// Has seen other strips, or none: it makes no difference to what is found.
    selector: &'a mut Selector,
    candidates: &'a mut Vec<Candidates>,
    strip: Strip,
    kept: Kept,
    beta: f32,
    delta: &'a [f32],
    error: &'a mut [f32],
    codes: &'a mut [u16],
    levels: &'a mut [[u16; 2]],
}

impl Kernel for Send<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<L: Lanes>(self) -> bool {
        let mut passed = [Passed::NONE; GROUP];
        let (selector, cols, error) = (self.selector, self.strip.cols, self.error);
        let (mut codes, mut levels) = (self.codes, self.levels);
        let mut blocks = self.strip.blocks(self.kept);
        // the first block says what threshold to guess for those that follow
        let mut is_first = selector.is_new();
        let are_many = matches!(self.kept, Kept::Largest(MANY..));
        while !levels.is_empty() {
            let mut group = [Block::default(); GROUP];
            let size = match (is_first, are_many) {
                (true, _) => 1,
                (false, true) => GROUP_OF_MANY,
                (false, false) => GROUP,
            };
            is_first = false;
            let (of_group, behind) = levels.split_at_mut(size.min(levels.len()));
            levels = behind;
            let group = &mut group[..of_group.len()];
            group
                .iter_mut()
                .zip(&mut blocks)
                .for_each(|(to, b)| *to = b);
            let are_picked = are_many && group.first().is_some_and(is_full);
            let most = if are_picked { group.len() } else { 1 };
            self.candidates
                .resize_with(most.max(self.candidates.len()), Candidates::new);
            let guess = selector.guess();
            let sums = Sums {
                blocks: group,
                cols,
                beta: self.beta,
                delta: self.delta,
                error,
            };
            if are_picked {
                sums.pick::<L>(guess, &mut self.candidates[..most]);
            } else {
                sums.pass::<L>(guess, &mut passed);
            }
            for (number, (block, levels)) in group.iter().zip(of_group).enumerate() {
                let (of_block, behind) = codes.split_at_mut(block.keep);
                codes = behind;
                let (number, guessed) = match (self.kept, is_full(block)) {
                    (Kept::Turn(turn), _) => (0, Guessed::Known(turn)),
                    (_, true) if are_picked => (number, Guessed::Picked),
                    (_, true) => (0, Guessed::Passed(&passed[number])),
                    (_, false) => (0, Guessed::Nothing),
                };
                let candidates = &mut self.candidates[number];
                let found =
                    selector.send::<L>(candidates, (error, cols), *block, guessed, of_block);
                let Some(found) = found else {
                    return false;
                };
                *levels = found.pair();
            }
        }
        true
    }
}

/// Whether a block is one of a matrix that is not cut off.
#[inline(always)]
fn is_full(block: &Block) -> bool {
    block.len == BLOCK && block.width == BLOCK_SIDE
}

/// Adds a contribution that the round did not include back to the error feedback, so that it is sent again.
///
/// `error` is the flat vector that [`compress`] left; after this it is β · old error + Δ again, to the
/// rounding of two `f32` operations.
///
/// # Errors
/// If the contribution or the vector does not go with the layout; `error` is then unchanged.
pub fn put_back(
    error: &mut [f32],
    layout: &Layout,
    contribution: &Contribution,
) -> Result<(), MismatchError> {
    let plan = Plan::new(layout)?;
    check_length(error, &plan)?;
    contribution.check(layout, &plan)?;
    plan.split_mut(error)
        .into_par_iter()
        .zip(&contribution.tensors)
        .for_each(|(error, tensor)| tensor.add_to(error));
    Ok(())
}
