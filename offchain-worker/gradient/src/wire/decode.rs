//! From a file to the contribution that it says, or to the name of what is wrong with it.
//!
//! The bytes come from strangers. What is allocated is bounded by the layout and, since a file is at least as
//! long as the least that its values take, by the file itself.

use cairn_primitives::{Compression, Layout, Tensor, H256};
use rayon::prelude::*;
use thiserror::Error;

use super::{header::decode_header, size, HEADER_LENGTH, LENGTH_BYTES};
use crate::bits::{BitReader, BitsError, RiceCost, MAX_RICE};
use crate::blocks::{checked_kept, Block, Entry, Grid, LayoutError, Plan};
use crate::contribution::{foreign_layout, Contribution, SparseTensor};
use crate::level::Level;

/// What is wrong with a tensor's bytes. Blocks are counted from 0, in the order in which they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TensorFault {
    /// The bytes end within a block.
    #[error("ends within block {block}")]
    Truncated {
        /// Which block.
        block: usize,
    },
    /// Fewer bytes than its values take at least.
    #[error("has {length} bytes, and needs {least} at least")]
    TooShort {
        /// Bytes that it has.
        length: u64,
        /// Bytes that it needs at least.
        least: u64,
    },
    /// The Rice parameter is above 11.
    #[error("has the Rice parameter {found}, above 11")]
    RiceParameter {
        /// The parameter.
        found: u8,
    },
    /// Another Rice parameter would have taken fewer bits, or as many and is lower.
    #[error("has the Rice parameter {found} where {best} is best")]
    RiceNotBest {
        /// The parameter.
        found: u32,
        /// What it had to be.
        best: u32,
    },
    /// A level is 65,536 or more, or not a number.
    #[error("has a level that is not below 65,536 in block {block}")]
    LevelTooLarge {
        /// Which block.
        block: usize,
    },
    /// The first level is above the second.
    #[error("has its levels in the wrong order in block {block}")]
    LevelsNotAscending {
        /// Which block.
        block: usize,
    },
    /// Two levels are given where one is never used.
    #[error("has a level that no value uses in block {block}")]
    LevelUnused {
        /// Which block.
        block: usize,
    },
    /// A magnitude bit is set where both levels are the same.
    #[error("tells equal levels apart in block {block}")]
    LevelsEqual {
        /// Which block.
        block: usize,
    },
    /// −0 instead of 0.
    #[error("has a negative zero in block {block}")]
    NegativeZero {
        /// Which block.
        block: usize,
    },
    /// An index is beyond its block's end.
    #[error("has an index outside of block {block}")]
    OutsideBlock {
        /// Which block.
        block: usize,
    },
    /// Bytes behind the last block.
    #[error("has bytes behind its last block")]
    TrailingBytes,
    /// The bits that fill up the last byte are not all zero.
    #[error("has padding bits that are not zero")]
    Padding,
}

/// Why bytes are no contribution to this run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Fewer bytes than a header has.
    #[error("{length} bytes are too few for a contribution's header of {HEADER_LENGTH}: fetch the whole file")]
    HeaderTruncated {
        /// Bytes that there are.
        length: usize,
    },
    /// The first bytes are not the format's.
    #[error(
        "this is no contribution, or was opened with the wrong key: it begins with {found:02x?}"
    )]
    Magic {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// A version of the format that this program does not know.
    #[error("the contribution has format version {found}, known is 1: update this program")]
    Version {
        /// The version.
        found: u16,
    },
    /// The mean loss is infinite, negative or not a number.
    #[error(
        "the header's mean loss is not a finite number of at least 0: refuse the contribution"
    )]
    MeanLoss,
    /// The layout or compression that it had to be decoded for cannot be.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// It is for another model.
    #[error("the contribution is for layout {found:?}, the run has {expected:?}: it belongs to another run")]
    ForeignLayout {
        /// What the header says.
        found: H256,
        /// The layout's hash.
        expected: H256,
    },
    /// Fewer bytes than any contribution to this run has.
    #[error("the contribution has {length} bytes, this run's have {least} at least: fetch the whole file")]
    TooShort {
        /// Bytes that there are.
        length: u64,
        /// Bytes of the shortest one.
        least: u64,
    },
    /// More bytes than any contribution to this run has.
    #[error("the contribution has {length} bytes, this run's have {most} at most: refuse it")]
    TooLong {
        /// Bytes that there are.
        length: u64,
        /// Bytes of the longest one.
        most: u64,
    },
    /// The tensors' lengths do not add up to the file's.
    #[error(
        "the tensors' lengths add up to {stated} bytes, {present} are there: the file is damaged"
    )]
    Lengths {
        /// What they add up to.
        stated: u64,
        /// Bytes behind the table.
        present: u64,
    },
    /// A tensor cannot be read.
    #[error("tensor {tensor} {fault}: refuse the contribution")]
    Tensor {
        /// Name of the tensor.
        tensor: String,
        /// What is wrong with it.
        fault: TensorFault,
    },
}

/// Reads a contribution from its opened file.
///
/// Succeeds for exactly the bytes that [`crate::encode`] makes: what was decoded encodes to the same bytes
/// again. Takes time linear in the length of `bytes`, once the layout's blocks have been counted.
///
/// # Errors
/// The first fault in the order of the file; each has a name of its own in [`DecodeError`] or
/// [`TensorFault`].
pub fn decode(
    bytes: &[u8],
    layout: &Layout,
    compression: &Compression,
) -> Result<Contribution, DecodeError> {
    let header = decode_header(bytes)?;
    if let Some((found, expected)) = foreign_layout(&header, layout) {
        return Err(DecodeError::ForeignLayout { found, expected });
    }
    let plan = Plan::new(layout)?;
    let kept = checked_kept(compression.kept_per_block)?;
    check_file_length(bytes, &plan, kept)?;
    let parts = split(bytes, plan.grids.len())?;
    let tensors: Vec<Result<SparseTensor, TensorFault>> = parts
        .par_iter()
        .zip(&plan.grids)
        .map(|(part, grid)| decode_tensor(*grid, kept, part))
        .collect();
    let tensors = tensors
        .into_iter()
        .zip(&layout.0)
        .map(named)
        .collect::<Result<_, _>>()?;
    Ok(Contribution { header, tensors })
}

/// A tensor's result, its fault with the tensor's name.
fn named<T>((result, tensor): (Result<T, TensorFault>, &Tensor)) -> Result<T, DecodeError> {
    result.map_err(|fault| DecodeError::Tensor {
        tensor: tensor.name.clone(),
        fault,
    })
}

fn check_file_length(bytes: &[u8], plan: &Plan, kept: usize) -> Result<(), DecodeError> {
    let length = bytes.len() as u64;
    let (least, most) = (size::least(plan, kept), size::most(plan, kept));
    if length < least {
        return Err(DecodeError::TooShort { length, least });
    }
    if length > most {
        return Err(DecodeError::TooLong { length, most });
    }
    Ok(())
}

/// The bytes of each tensor, cut by the table of lengths behind the header.
fn split(bytes: &[u8], tensors: usize) -> Result<Vec<&[u8]>, DecodeError> {
    let (table, mut rest) = bytes
        .get(HEADER_LENGTH..)
        .and_then(|behind| behind.split_at_checked(LENGTH_BYTES * tensors))
        .ok_or(DecodeError::HeaderTruncated {
            length: bytes.len(),
        })?;
    let present = rest.len() as u64;
    let lengths: Vec<u32> = table
        .chunks_exact(LENGTH_BYTES)
        .map(|field| {
            field
                .iter()
                .rev()
                .fold(0, |value, byte| value << 8 | u32::from(*byte))
        })
        .collect();
    let stated = lengths.iter().map(|length| u64::from(*length)).sum();
    let disagree = DecodeError::Lengths { stated, present };
    if stated != present {
        return Err(disagree);
    }
    let mut parts = Vec::with_capacity(tensors);
    for length in lengths {
        let (part, behind) = rest
            .split_at_checked(length as usize)
            .ok_or(disagree.clone())?;
        parts.push(part);
        rest = behind;
    }
    Ok(parts)
}

fn decode_tensor(grid: Grid, kept: usize, bytes: &[u8]) -> Result<SparseTensor, TensorFault> {
    let (length, least) = (bytes.len() as u64, size::least_tensor(&grid, kept));
    let Some((&found, bits)) = bytes.split_first().filter(|_| length >= least) else {
        return Err(TensorFault::TooShort { length, least });
    };
    let parameter = u32::from(found);
    if parameter > MAX_RICE {
        return Err(TensorFault::RiceParameter { found });
    }
    let mut reader = Reader {
        bits: BitReader::new(bits),
        parameter,
        cost: RiceCost::default(),
        block: 0,
    };
    let mut tensor = SparseTensor::default();
    let mut entries = Vec::new();
    for strip in grid.strips() {
        entries.clear();
        for block in strip.blocks(kept) {
            reader.block(block, &mut entries)?;
        }
        strip.to_flat(kept, &entries, &mut tensor.indices, &mut tensor.values);
    }
    reader.finish()?;
    Ok(tensor)
}

/// Reads one tensor's blocks.
struct Reader<'a> {
    bits: BitReader<'a>,
    parameter: u32,
    /// What the gaps would have cost with any parameter.
    cost: RiceCost,
    /// The number of the block that is being read.
    block: usize,
}

impl Reader<'_> {
    fn block(&mut self, block: Block, entries: &mut Vec<Entry>) -> Result<(), TensorFault> {
        let (low, high) = self.levels()?;
        let number = self.block;
        let mut next = 0u32;
        let mut used = [false; 2];
        for _ in 0..block.keep {
            let left = (block.len as u32).saturating_sub(next);
            let limit = left
                .checked_sub(1)
                .ok_or(TensorFault::OutsideBlock { block: number })?;
            let gap = self
                .bits
                .read_rice(self.parameter, limit)
                .map_err(|error| bits_fault(error, number))?;
            self.cost.add(gap);
            let (negative, is_high) = (self.bit()?, self.bit()?);
            let level = if is_high { high } else { low };
            if is_high && low == high {
                return Err(TensorFault::LevelsEqual { block: number });
            }
            if negative && level == Level::ZERO {
                return Err(TensorFault::NegativeZero { block: number });
            }
            used[usize::from(is_high)] = true;
            let value = if negative {
                -level.to_f32()
            } else {
                level.to_f32()
            };
            let place = (next + gap) as u16;
            entries.push(Entry { place, value });
            next += gap + 1;
        }
        if low < high && used != [true; 2] {
            return Err(TensorFault::LevelUnused { block: number });
        }
        self.block += 1;
        Ok(())
    }

    fn levels(&mut self) -> Result<(Level, Level), TensorFault> {
        let block = self.block;
        let mut level = || {
            let bits = self
                .bits
                .read(Level::BITS)
                .map_err(|error| bits_fault(error, block))?;
            Level::from_bits(bits).ok_or(TensorFault::LevelTooLarge { block })
        };
        let (low, high) = (level()?, level()?);
        if low > high {
            return Err(TensorFault::LevelsNotAscending { block });
        }
        Ok((low, high))
    }

    fn bit(&mut self) -> Result<bool, TensorFault> {
        let bit = self
            .bits
            .read(1)
            .map_err(|error| bits_fault(error, self.block))?;
        Ok(bit == 1)
    }

    fn finish(self) -> Result<(), TensorFault> {
        self.bits
            .finish()
            .map_err(|error| bits_fault(error, self.block))?;
        let (found, best) = (self.parameter, self.cost.best());
        if found != best {
            return Err(TensorFault::RiceNotBest { found, best });
        }
        Ok(())
    }
}

fn bits_fault(error: BitsError, block: usize) -> TensorFault {
    match error {
        BitsError::End => TensorFault::Truncated { block },
        BitsError::AboveLimit => TensorFault::OutsideBlock { block },
        BitsError::BytesLeft => TensorFault::TrailingBytes,
        BitsError::Padding => TensorFault::Padding,
    }
}
