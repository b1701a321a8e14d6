//! From a contribution to the one file that says it.

use cairn_primitives::{Compression, Layout};
use rayon::prelude::*;
use thiserror::Error;

use super::header::push_header;
use crate::bits::{BitWriter, RiceCost};
use crate::blocks::{checked_kept, Block, Entry, Grid, LayoutError, Plan, Strip};
use crate::contribution::{Contribution, MismatchError, SparseTensor};
use crate::level::Level;

/// What is wrong with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BlockFault {
    /// More or fewer values than the run's compression says.
    #[error("has another number of values than a block of its length must send")]
    WrongNumber,
    /// A magnitude is not a bfloat16.
    #[error("has a value that is no bfloat16 below 65,536")]
    NotALevel,
    /// More than two magnitudes.
    #[error("has more than two magnitudes")]
    ThirdLevel,
    /// −0 instead of 0.
    #[error("has a negative zero")]
    NegativeZero,
}

/// Why a contribution has no encoding.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// It does not go with the layout.
    #[error(transparent)]
    Mismatch(#[from] MismatchError),
    /// The mean loss is infinite, negative or not a number.
    #[error("the mean loss is not a finite number of at least 0: the training diverged")]
    MeanLoss,
    /// A block's values cannot be said.
    #[error("tensor {tensor}: a block {fault}; make contributions with `compress`")]
    Block {
        /// Name of the tensor.
        tensor: String,
        /// What is wrong with the block.
        fault: BlockFault,
    },
    /// A tensor takes 4 GiB or more.
    #[error("tensor {tensor} takes more than 4 GiB: keep fewer values per block")]
    TensorTooLong {
        /// Name of the tensor.
        tensor: String,
    },
}

impl From<LayoutError> for EncodeError {
    fn from(error: LayoutError) -> EncodeError {
        MismatchError::from(error).into()
    }
}

/// The file that says a contribution; there is only one. [`crate::decode`] undoes it.
///
/// # Errors
/// If the contribution does not go with the layout and compression, or is none that
/// [`crate::compress`] would make.
pub fn encode(
    contribution: &Contribution,
    layout: &Layout,
    compression: &Compression,
) -> Result<Vec<u8>, EncodeError> {
    let plan = Plan::new(layout)?;
    let kept = checked_kept(compression.kept_per_block)?;
    contribution.check(layout, &plan)?;
    if !contribution.header.has_a_loss() {
        return Err(EncodeError::MeanLoss);
    }
    let bodies: Vec<Result<Vec<u8>, BlockFault>> = contribution
        .tensors
        .par_iter()
        .zip(&plan.grids)
        .map(|(tensor, grid)| encode_tensor(*grid, kept, tensor))
        .collect();
    let mut bytes = Vec::new();
    push_header(&mut bytes, &contribution.header);
    let mut complete = Vec::with_capacity(bodies.len());
    for (body, tensor) in bodies.into_iter().zip(&layout.0) {
        let tensor = || tensor.name.clone();
        let body = body.map_err(|fault| EncodeError::Block {
            tensor: tensor(),
            fault,
        })?;
        let length = u32::try_from(body.len())
            .map_err(|_| EncodeError::TensorTooLong { tensor: tensor() })?;
        bytes.extend(length.to_le_bytes());
        complete.push(body);
    }
    bytes.reserve_exact(complete.iter().map(Vec::len).sum());
    complete.iter().for_each(|body| bytes.extend(body));
    Ok(bytes)
}

/// A tensor: the Rice parameter, then block by block.
fn encode_tensor(grid: Grid, kept: usize, tensor: &SparseTensor) -> Result<Vec<u8>, BlockFault> {
    let strips: Vec<(Strip, Vec<Entry>, RiceCost)> = (0..grid.strip_count())
        .into_par_iter()
        .map(|number| {
            let strip = grid.strip(number);
            let entries = entries_of(strip, kept, tensor)?;
            let mut cost = RiceCost::default();
            for (_, of_block) in strip.with_entries(kept, &entries) {
                gaps(of_block).for_each(|gap| cost.add(gap));
            }
            Ok((strip, entries, cost))
        })
        .collect::<Result<_, BlockFault>>()?;
    let cost = strips
        .iter()
        .fold(RiceCost::default(), |sum, (_, _, cost)| sum.merge(cost));
    let parameter = cost.best();
    let mut writer = BitWriter::after(vec![parameter as u8]);
    for (strip, entries, _) in &strips {
        for (block, of_block) in strip.with_entries(kept, entries) {
            encode_block(&mut writer, parameter, block, of_block)?;
        }
    }
    Ok(writer.finish())
}

/// The entries of a strip, block by block.
fn entries_of(strip: Strip, kept: usize, tensor: &SparseTensor) -> Result<Vec<Entry>, BlockFault> {
    let at = |limit: usize| {
        tensor
            .indices
            .partition_point(|index| (*index as usize) < limit)
    };
    let range = at(strip.start)..at(strip.start + strip.len());
    strip
        .to_blocks(kept, &tensor.indices[range.clone()], &tensor.values[range])
        .map_err(|_| BlockFault::WrongNumber)
}

/// How many places are left out before each entry of a block.
fn gaps(of_block: &[Entry]) -> impl Iterator<Item = u32> + '_ {
    of_block.iter().scan(0, |next, entry| {
        let gap = u32::from(entry.place) - *next;
        *next = u32::from(entry.place) + 1;
        Some(gap)
    })
}

/// A block: its levels, and each value's gap, sign and magnitude.
fn encode_block(
    writer: &mut BitWriter,
    parameter: u32,
    block: Block,
    of_block: &[Entry],
) -> Result<(), BlockFault> {
    debug_assert_eq!(block.keep, of_block.len());
    let (low, high) = levels(of_block)?;
    writer.push(low.bits(), Level::BITS);
    writer.push(high.bits(), Level::BITS);
    for (entry, gap) in of_block.iter().zip(gaps(of_block)) {
        let is_high = low < high && entry.value.abs() == high.to_f32();
        writer.push_rice(gap, parameter);
        writer.push(u32::from(entry.value.is_sign_negative()), 1);
        writer.push(u32::from(is_high), 1);
    }
    Ok(())
}

/// The lowest and the highest magnitude of a block, if there is none between them.
fn levels(of_block: &[Entry]) -> Result<(Level, Level), BlockFault> {
    let mut seen: Option<(Level, Level)> = None;
    for entry in of_block {
        let level = Level::of(entry.value).ok_or(BlockFault::NotALevel)?;
        if level == Level::ZERO && entry.value.is_sign_negative() {
            return Err(BlockFault::NegativeZero);
        }
        seen = Some(match seen {
            None => (level, level),
            Some((low, high)) if level == low || level == high => (low, high),
            Some((low, high)) if low == high => (low.min(level), high.max(level)),
            Some(_) => return Err(BlockFault::ThirdLevel),
        });
    }
    seen.ok_or(BlockFault::WrongNumber)
}
