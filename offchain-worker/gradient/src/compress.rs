//! From a pseudo-gradient to a contribution, with error feedback.

use cairn_primitives::{Compression, Layout, Nano};
use rayon::prelude::*;
use thiserror::Error;

use crate::blocks::{checked_kept, split_place, Block, Entry, Grid, LayoutError, Plan, Strip};
use crate::contribution::{
    check_layout_hash, check_length, Contribution, Header, MismatchError, SparseTensor,
};
use crate::level::two_levels;
use crate::wire::{encode, EncodeError};

/// Why a pseudo-gradient could not be compressed. The error feedback is then as it was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
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
    #[error("β·error + pseudo-gradient is not finite at parameter {index}: the training diverged, go back to the round's weights")]
    NotFinite {
        /// Which parameter, in the flat vector.
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
/// With a = β · `error` + Δ: of each block the elements of largest |a| are sent (of equal ones those that
/// come first), each as its sign and the nearer of two magnitudes, the means of the smaller and of the
/// larger ones. `error` becomes a − sent, so that
/// new error + sent = β · old error + Δ, to the rounding of one `f32` operation: what is not sent now is
/// sent later.
///
/// Source: SparseLoCo (arXiv 2508.15706) with the quantiser's two levels per block instead of four per
/// tensor.
///
/// # Errors
/// If the parts do not go together or a is not finite; `error` is then unchanged.
pub fn compress(
    layout: &Layout,
    compression: &Compression,
    pseudo_gradient: &[f32],
    error: &mut [f32],
    header: Header,
) -> Result<(Contribution, Vec<u8>), CompressError> {
    let plan = Plan::new(layout)?;
    let kept = checked_kept(compression.kept_per_block)?;
    check_length(pseudo_gradient, &plan)?;
    check_length(error, &plan)?;
    check_layout_hash(&header, layout)?;
    if !header.has_a_loss() {
        return Err(EncodeError::MeanLoss.into());
    }
    let decay = compression.error_decay;
    if decay > Nano::ONE {
        return Err(CompressError::ErrorDecay { decay });
    }
    let beta = decay.to_f32();
    let not_finite = error
        .par_iter()
        .zip(pseudo_gradient)
        .position_first(|(error, delta)| !(beta * error + delta).is_finite());
    if let Some(index) = not_finite {
        return Err(CompressError::NotFinite { index });
    }
    let tensors = plan
        .split_mut(error)
        .into_par_iter()
        .zip(&plan.ranges)
        .zip(&plan.grids)
        .map(|((error, range), grid)| {
            compress_tensor(*grid, kept, beta, &pseudo_gradient[range.clone()], error)
        })
        .collect();
    let contribution = Contribution { header, tensors };
    let bytes = encode(&contribution, layout, compression)?;
    Ok((contribution, bytes))
}

fn compress_tensor(
    grid: Grid,
    kept: usize,
    beta: f32,
    delta: &[f32],
    error: &mut [f32],
) -> SparseTensor {
    let strips: Vec<Vec<Entry>> = error
        .par_chunks_mut(grid.strip_len())
        .zip(delta.par_chunks(grid.strip_len()))
        .enumerate()
        .map(|(number, (error, delta))| {
            for (error, delta) in error.iter_mut().zip(delta) {
                *error = beta * *error + delta;
            }
            let strip = grid.strip(number);
            let (mut entries, mut keys) = (Vec::new(), Vec::new());
            for block in strip.blocks(kept) {
                send_block(strip, block, error, &mut keys, &mut entries);
            }
            entries
        })
        .collect();
    let mut tensor = SparseTensor::default();
    for (strip, entries) in grid.strips().zip(&strips) {
        strip.to_flat(kept, entries, &mut tensor.indices, &mut tensor.values);
    }
    tensor
}

/// Picks and rounds what is sent of one block, and takes it out of the strip's accumulated values.
fn send_block(
    strip: Strip,
    block: Block,
    accumulated: &mut [f32],
    keys: &mut Vec<u64>,
    entries: &mut Vec<Entry>,
) {
    // Ascending keys are descending magnitudes, and ascending places where those are equal.
    keys.clear();
    for (row, line) in accumulated.chunks(strip.cols).enumerate() {
        let line = &line[block.col..block.col + block.width];
        keys.extend(line.iter().enumerate().map(|(col, value)| {
            let place = (row * block.width + col) as u64;
            u64::from(!value.abs().to_bits()) << 16 | place
        }));
    }
    if block.keep < block.len {
        keys.select_nth_unstable(block.keep);
    }
    let largest = &mut keys[..block.keep];
    largest.sort_unstable();
    let ascending: Vec<f32> = largest
        .iter()
        .rev()
        .map(|key| f32::from_bits(!((key >> 16) as u32)))
        .collect();
    let (low, high, threshold) = two_levels(&ascending);
    largest.sort_unstable_by_key(|key| *key as u16);
    for key in largest.iter() {
        let place = *key as u16;
        let (row, col) = split_place(place, block.width);
        let value = &mut accumulated[row * strip.cols + block.col + col];
        let level = if value.abs() >= threshold { high } else { low }.to_f32();
        // there is no −0 on the wire
        let sent = if level == 0.0 {
            0.0
        } else {
            level.copysign(*value)
        };
        *value -= sent;
        entries.push(Entry { place, value: sent });
    }
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
        .for_each(|(error, tensor)| {
            for (index, value) in tensor.indices.iter().zip(&tensor.values) {
                error[*index as usize] += value;
            }
        });
    Ok(())
}
