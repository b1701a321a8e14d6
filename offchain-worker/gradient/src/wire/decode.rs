//! From a file to the contribution that it says, or to the name of what is wrong with it.
//!
//! The bytes come from strangers. What is allocated is bounded by the layout and, since a part is at least as
//! long as the least that its values take, by the file itself.

use cairn_primitives::{Compression, Layout, H256};
use rayon::prelude::*;
use thiserror::Error;

use super::block::{read, Fault, Short, Way};
use super::header::decode_header_of;
use super::rice::{Code, Costs, Parameters, CODES, PARAMETER_BYTES};
use super::{size, HEADER_LENGTH, MAX_LENGTH_BYTES};
use crate::bits::{BitReader, EndError};
use crate::blocks::{Grid, Kept, LayoutError, Plan};
use crate::contribution::{foreign_layout, Contribution, Header};
use crate::simd::{Kernel, Lanes, Simd};
use crate::sparse::SparseTensor;

/// What is wrong with a tensor's part of the file. Blocks are counted from 0, in the order in which they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TensorFault {
    /// The file ends before the part, or within its length.
    #[error("is missing: the file ends before it")]
    Missing,
    /// The length before the part is not written as short as it can be.
    #[error("has a length that could be written shorter")]
    LengthNotShortest,
    /// Fewer bytes than its values take at least.
    #[error("has {length} bytes, and needs {least} at least")]
    TooShort {
        /// Bytes that it has.
        length: u64,
        /// Bytes that it needs at least.
        least: u64,
    },
    /// More bytes than its values can take.
    #[error("has {length} bytes, and can have {most} at most")]
    TooLong {
        /// Bytes that it has.
        length: u64,
        /// Bytes that it can have at most.
        most: u64,
    },
    /// The bytes end within a block.
    #[error("ends within block {block}")]
    Truncated {
        /// Which block.
        block: usize,
    },
    /// Another Rice parameter would have taken fewer bits, or as many and is lower.
    #[error("has the Rice parameter {found} for its {code} where {best} is best")]
    RiceNotBest {
        /// Of which code.
        code: Code,
        /// The parameter.
        found: u32,
        /// What it had to be.
        best: u32,
    },
    /// A level is 65,536 or more, or below 0.
    #[error("has a level that is not from 0 to 65,280 in block {block}")]
    LevelTooLarge {
        /// Which block.
        block: usize,
    },
    /// Two levels are given where one is never used.
    #[error("has a level that no value uses in block {block}")]
    LevelUnused {
        /// Which block.
        block: usize,
    },
    /// More values are of the low level than there are values.
    #[error("has a run beyond the end of block {block}")]
    RunTooLong {
        /// Which block.
        block: usize,
    },
    /// −0 instead of 0.
    #[error("has a negative zero in block {block}")]
    NegativeZero {
        /// Which block.
        block: usize,
    },
    /// A value is beyond its block's end.
    #[error("has a value outside of block {block}")]
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
        "this is not a contribution, or it was opened with the wrong key: it begins with {found:02x?}"
    )]
    Magic {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// A version of the format that this program does not know.
    #[error("the contribution has format version {found}, this program reads {} and {}: use the version of this program that made it", super::VERSION, super::VERSION_OF_ALL)]
    Version {
        /// The version.
        found: u16,
    },
    /// The version of the format of runs that send all values, or of those that do not.
    #[error("the contribution has format version {found}, with as many values as the run keeps it is {expected}: refuse the contribution")]
    ForeignVersion {
        /// What the header says.
        found: u16,
        /// The run's.
        expected: u16,
    },
    /// The mean loss is infinite, negative or not a number.
    #[error(
        "the header's mean loss is not a finite number of at least 0: refuse the contribution"
    )]
    MeanLoss,
    /// What computed it is neither the CPU nor a card of some model.
    #[error("the header names no engine: refuse the contribution")]
    Engine,
    /// Every value is 0.
    #[error("the contribution says nothing: all its values are 0: refuse it")]
    Empty,
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
    /// A tensor cannot be read.
    #[error("tensor {tensor} {fault}: refuse the contribution")]
    Tensor {
        /// Name of the tensor.
        tensor: String,
        /// What is wrong with it.
        fault: TensorFault,
    },
    /// Bytes behind the last tensor's part.
    #[error("there are bytes behind the last tensor: refuse the contribution")]
    TrailingBytes,
}

/// Reads a contribution from its opened file.
///
/// Succeeds for exactly the bytes that [`crate::encode`] makes: what was decoded encodes to the same bytes
/// again. Takes time linear in the length of `bytes`. A [`crate::Reader`] does the same tensor by tensor, and
/// [`verify`] only asks whether it would succeed.
///
/// # Errors
/// Each fault has a name of its own in [`DecodeError`] or [`TensorFault`].
pub fn decode(
    bytes: &[u8],
    layout: &Layout,
    compression: &Compression,
) -> Result<Contribution, DecodeError> {
    let Parts {
        header,
        plan,
        kept,
        parts,
    } = Parts::of(bytes, layout, compression)?;
    let tensors: Vec<Result<SparseTensor, TensorFault>> = parts
        .par_iter()
        .zip(&plan.grids)
        .map(|(part, grid)| {
            let mut tensor = SparseTensor::blank(*grid, kept);
            decode_part(part, &mut tensor).map(|()| tensor)
        })
        .collect();
    let tensors = tensors
        .into_iter()
        .enumerate()
        .map(|(number, tensor)| tensor.map_err(|fault| named(layout, number, fault)))
        .collect::<Result<Vec<_>, _>>()?;
    if tensors.iter().all(SparseTensor::is_zero) {
        return Err(DecodeError::Empty);
    }
    Ok(Contribution { header, tensors })
}

/// What is known of a contribution that would be decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// What it says of itself.
    pub header: Header,
    /// Its Euclidean norm over all tensors: the root of their [energies](SparseTensor::energy), added up in `f64` in
    /// the layout's order. Above 0.
    pub norm: f64,
}

/// Whether [`decode`] would succeed, with header and norm if so. What it allocates is one tensor per thread, so that
/// a file can be checked, kept as it is, and read tensor by tensor when its round is applied.
///
/// # Errors
/// As [`decode`].
pub fn verify(
    bytes: &[u8],
    layout: &Layout,
    compression: &Compression,
) -> Result<Verified, DecodeError> {
    let Parts {
        header,
        plan,
        kept,
        parts,
    } = Parts::of(bytes, layout, compression)?;
    let energies: Vec<Result<f64, DecodeError>> = parts
        .par_iter()
        .zip(&plan.grids)
        .enumerate()
        .map_init(
            || None,
            |scratch, (number, (part, grid))| {
                let tensor = SparseTensor::reused(scratch, *grid, kept);
                let read = decode_part(part, tensor);
                read.map_err(|fault| named(layout, number, fault))?;
                Ok(tensor.energy())
            },
        )
        .collect();
    let mut sum = 0.0;
    for energy in energies {
        sum += energy?;
    }
    // no square of a level is too small for an `f64`
    if sum == 0.0 {
        return Err(DecodeError::Empty);
    }
    let norm = f64::sqrt(sum);
    Ok(Verified { header, norm })
}

/// A file taken apart, but for the parts themselves.
struct Parts<'a> {
    header: Header,
    plan: Plan,
    kept: Kept,
    parts: Vec<&'a [u8]>,
}

impl<'a> Parts<'a> {
    fn of(
        bytes: &'a [u8],
        layout: &Layout,
        compression: &Compression,
    ) -> Result<Parts<'a>, DecodeError> {
        let kept = Kept::of(compression)?;
        let header = decode_header_of(bytes, kept)?;
        check_layout(&header, layout)?;
        let plan = Plan::new(layout)?;
        let parts = split(bytes, layout, &plan, kept)?;
        Ok(Parts {
            header,
            plan,
            kept,
            parts,
        })
    }
}

/// Whether the header is for this layout.
pub(super) fn check_layout(header: &Header, layout: &Layout) -> Result<(), DecodeError> {
    match foreign_layout(header, layout) {
        Some((found, expected)) => Err(DecodeError::ForeignLayout { found, expected }),
        None => Ok(()),
    }
}

/// A fault with the name of its tensor.
pub(super) fn named(layout: &Layout, number: usize, fault: TensorFault) -> DecodeError {
    let tensor = layout.0.get(number).map(|tensor| tensor.name.clone());
    DecodeError::Tensor {
        tensor: tensor.unwrap_or_default(),
        fault,
    }
}

/// The parts of the tensors.
fn split<'a>(
    bytes: &'a [u8],
    layout: &Layout,
    plan: &Plan,
    kept: Kept,
) -> Result<Vec<&'a [u8]>, DecodeError> {
    let mut rest = bytes.get(HEADER_LENGTH..).unwrap_or_default();
    let mut parts = Vec::with_capacity(plan.grids.len());
    for (number, grid) in plan.grids.iter().enumerate() {
        let part = take_part(&mut rest, grid, kept);
        parts.push(part.map_err(|fault| named(layout, number, fault))?);
    }
    if rest.is_empty() {
        Ok(parts)
    } else {
        Err(DecodeError::TrailingBytes)
    }
}

fn take_part<'a>(rest: &mut &'a [u8], grid: &Grid, kept: Kept) -> Result<&'a [u8], TensorFault> {
    let mut next = || {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        Some(*byte)
    };
    let length = read_length(|| next().ok_or(TensorFault::Missing))?;
    check_length(length, grid, kept)?;
    let part = usize::try_from(length).ok();
    let (part, behind) = part
        .and_then(|length| rest.split_at_checked(length))
        .ok_or(TensorFault::Missing)?;
    *rest = behind;
    Ok(part)
}

/// The length before a part: seven bits per byte, the lowest first; the top bit says that more follow (LEB128).
pub(super) fn read_length<E: From<TensorFault>>(
    mut next: impl FnMut() -> Result<u8, E>,
) -> Result<u64, E> {
    let mut length = 0;
    for number in 0..MAX_LENGTH_BYTES {
        let byte = next()?;
        length |= u64::from(byte & 0x7F) << (7 * number);
        if byte & 0x80 == 0 {
            let is_shortest = number == 0 || byte != 0;
            return if is_shortest {
                Ok(length)
            } else {
                Err(TensorFault::LengthNotShortest.into())
            };
        }
    }
    Err(TensorFault::LengthNotShortest.into())
}

/// Whether a tensor's part can be of this length, before a byte of it is read or memory for it taken.
pub(super) fn check_length(length: u64, grid: &Grid, kept: Kept) -> Result<(), TensorFault> {
    let (least, most) = (size::least_part(grid, kept), size::most_part(grid, kept));
    if length < least {
        return Err(TensorFault::TooShort { length, least });
    }
    if length > most {
        return Err(TensorFault::TooLong { length, most });
    }
    Ok(())
}

/// Reads a tensor's part into `tensor`, whose grid and number of values say what has to be there.
pub(super) fn decode_part(part: &[u8], tensor: &mut SparseTensor) -> Result<(), TensorFault> {
    decode_part_at(Simd::best(), part, tensor)
}

/// The same at a level of SIMD.
pub(crate) fn decode_part_at(
    simd: Simd,
    part: &[u8],
    tensor: &mut SparseTensor,
) -> Result<(), TensorFault> {
    let (found, bits) = split_parameters(part);
    let (costs, bits) = simd.run(Blocks {
        bits: BitReader::new(bits),
        parameters: found,
        tensor,
    })?;
    bits.finish().map_err(|error| match error {
        EndError::BytesLeft => TensorFault::TrailingBytes,
        EndError::Padding => TensorFault::Padding,
    })?;
    let best = costs.best();
    match CODES
        .iter()
        .find(|code| found.of(**code) != best.of(**code))
    {
        Some(code) => Err(TensorFault::RiceNotBest {
            code: *code,
            found: found.of(*code),
            best: best.of(*code),
        }),
        None => Ok(()),
    }
}

/// The parameters and the bits behind them.
pub(super) fn split_parameters(part: &[u8]) -> (Parameters, &[u8]) {
    match part.split_first_chunk::<PARAMETER_BYTES>() {
        Some((parameters, bits)) => (Parameters::from_bytes(*parameters), bits),
        None => (Parameters::default(), &[]),
    }
}

/// Reads all blocks of a tensor.
struct Blocks<'a> {
    bits: BitReader<'a>,
    parameters: Parameters,
    tensor: &'a mut SparseTensor,
}

impl<'a> Kernel for Blocks<'a> {
    type Output = Result<(Costs, BitReader<'a>), TensorFault>;

    #[inline(always)]
    fn run<L: Lanes>(self) -> Self::Output {
        let Blocks {
            mut bits,
            parameters,
            tensor,
        } = self;
        let (mut costs, mut scratch) = (Costs::default(), Short::new());
        let (mut before, mut number) = (None, 0);
        let kept = tensor.kept();
        let way = Way { parameters, kept };
        for (strip, mut codes, levels) in tensor.strips_mut(0) {
            for (block, levels) in strip.blocks(kept).zip(levels) {
                let (of_block, behind) = codes.split_at_mut(block.keep);
                codes = behind;
                let found = read(
                    &mut bits,
                    &mut costs,
                    &mut scratch,
                    way,
                    before,
                    block,
                    of_block,
                );
                if bits.is_past_end() {
                    return Err(TensorFault::Truncated { block: number });
                }
                let found = found.map_err(|fault| at_block(fault, number))?;
                *levels = found.pair();
                before = Some(found.high);
                number += 1;
            }
        }
        Ok((costs, bits))
    }
}

#[cold]
fn at_block(fault: Fault, block: usize) -> TensorFault {
    match fault {
        Fault::LevelTooLarge => TensorFault::LevelTooLarge { block },
        Fault::LevelUnused => TensorFault::LevelUnused { block },
        Fault::RunTooLong => TensorFault::RunTooLong { block },
        Fault::NegativeZero => TensorFault::NegativeZero { block },
        Fault::OutsideBlock => TensorFault::OutsideBlock { block },
    }
}
