//! From a contribution to the one file that says it.

use std::io::{self, Write};

use cairn_primitives::{Compression, Layout};
use rayon::prelude::*;
use thiserror::Error;

use super::block::{count, write, Short, Way};
use super::header::push_header;
use super::rice::{Costs, Parameters};
use super::{size, MAX_PART};
use crate::bits::BitWriter;
use crate::blocks::{Grid, Kept, LayoutError, Plan};
use crate::contribution::{check_layout_hash, Contribution, Header, MismatchError};
use crate::simd::{Kernel, Lanes, Simd};
use crate::sparse::SparseTensor;

/// Values that one thread writes at a time, about.
const PIECE: usize = 1 << 14;

/// Why a contribution has no encoding, or could not be written.
#[derive(Debug, Error)]
pub enum EncodeError {
    /// It does not go with the layout.
    #[error(transparent)]
    Mismatch(#[from] MismatchError),
    /// The mean loss is infinite, negative or not a number.
    #[error("the mean loss is not a finite number of at least 0: the training diverged")]
    MeanLoss,
    /// Every value is 0, so that nobody would take it for a contribution.
    #[error("there is nothing to send: all values are 0, as after no training")]
    Empty,
    /// A tensor takes 4 GiB or more.
    #[error("tensor {tensor} can take more than 4 GiB: keep fewer values per block")]
    TensorTooLong {
        /// Name of the tensor.
        tensor: String,
    },
    /// The file could not be written.
    #[error("the contribution cannot be written: {0}")]
    Io(#[from] io::Error),
}

impl From<LayoutError> for EncodeError {
    fn from(error: LayoutError) -> EncodeError {
        MismatchError::from(error).into()
    }
}

/// The file that says a contribution; there is only one. [`crate::decode`] undoes it.
///
/// # Errors
/// If the contribution does not go with the layout and compression, or says nothing.
pub fn encode(
    contribution: &Contribution,
    layout: &Layout,
    compression: &Compression,
) -> Result<Vec<u8>, EncodeError> {
    let header = contribution.header.clone();
    let mut writer = Writer::new(Vec::new(), header, layout, compression)?;
    for tensor in &contribution.tensors {
        writer.tensor(tensor)?;
    }
    writer.finish()
}

/// Writes a contribution tensor by tensor, for models so large that it should not be in memory as a whole.
#[derive(Debug)]
pub struct Writer<'a, W> {
    sink: W,
    layout: &'a Layout,
    plan: Plan,
    kept: Kept,
    /// The tensor that comes next.
    next: usize,
    /// Whether all values were 0 so far.
    is_zero: bool,
}

impl<'a, W: Write> Writer<'a, W> {
    /// Writes the header. A file should be buffered ([`io::BufWriter`]).
    ///
    /// # Errors
    /// If layout, compression and header do not go together, or writing fails.
    pub fn new(
        mut sink: W,
        header: Header,
        layout: &'a Layout,
        compression: &Compression,
    ) -> Result<Writer<'a, W>, EncodeError> {
        let plan = Plan::new(layout)?;
        let kept = Kept::of(compression)?;
        check_layout_hash(&header, layout)?;
        if !header.has_a_loss() {
            return Err(EncodeError::MeanLoss);
        }
        let too_long = |grid: &Grid| size::most_part(grid, kept) > MAX_PART;
        if let Some(number) = plan.grids.iter().position(too_long) {
            let tensor = layout.0.get(number).map(|tensor| tensor.name.clone());
            let tensor = tensor.unwrap_or_default();
            return Err(EncodeError::TensorTooLong { tensor });
        }
        let mut bytes = Vec::new();
        push_header(&mut bytes, &header, kept);
        sink.write_all(&bytes)?;
        Ok(Writer {
            sink,
            layout,
            plan,
            kept,
            next: 0,
            is_zero: true,
        })
    }

    /// Writes the next tensor of the layout. Gives the bytes that it takes.
    ///
    /// # Errors
    /// If it is not that tensor's, or writing fails.
    pub fn tensor(&mut self, tensor: &SparseTensor) -> Result<u64, EncodeError> {
        let fits = |grid: &Grid| *grid == tensor.grid() && self.kept == tensor.kept();
        if !self.plan.grids.get(self.next).is_some_and(fits) {
            return Err(self.misfit(self.next + 1));
        }
        self.next += 1;
        self.is_zero &= tensor.is_zero();
        let (parameters, bits) = encode_part(tensor);
        let parameters = parameters.to_bytes();
        let length = parameters.len() + bits.bytes().len();
        let mut prefix = Vec::new();
        push_length(&mut prefix, length as u64);
        prefix.extend(parameters);
        self.sink.write_all(&prefix)?;
        self.sink.write_all(bits.bytes())?;
        Ok((prefix.len() + bits.bytes().len()) as u64)
    }

    /// Makes sure that all tensors have been written, and gives back where to.
    ///
    /// # Errors
    /// If some are missing, all values are 0, or writing fails.
    pub fn finish(mut self) -> Result<W, EncodeError> {
        if self.next != self.plan.grids.len() {
            return Err(self.misfit(self.next));
        }
        if self.is_zero {
            return Err(EncodeError::Empty);
        }
        self.sink.flush()?;
        Ok(self.sink)
    }

    fn misfit(&self, found: usize) -> EncodeError {
        let expected = self.plan.grids.len();
        match self.layout.0.get(self.next) {
            Some(tensor) if found == self.next + 1 => MismatchError::Tensor {
                tensor: tensor.name.clone(),
            },
            _ => MismatchError::TensorCount { found, expected },
        }
        .into()
    }
}

fn push_length(bytes: &mut Vec<u8>, mut length: u64) {
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
}

/// A tensor's parameters and bits, filled up to whole bytes.
fn encode_part(tensor: &SparseTensor) -> (Parameters, BitWriter) {
    encode_part_at(Simd::best(), tensor)
}

/// In two passes over the values: the first finds the parameters, the second writes.
pub(super) fn encode_part_at(simd: Simd, tensor: &SparseTensor) -> (Parameters, BitWriter) {
    let pieces = pieces_of(tensor);
    let parameters = count_pieces(simd, tensor, &pieces).best();
    let written: Vec<BitWriter> = pieces
        .par_iter()
        .map(|piece| simd.run(Bits(tensor, *piece, parameters)))
        .collect();
    let mut written = written.into_iter();
    let mut bits = written.next().unwrap_or_default();
    written.for_each(|piece| bits.append(&piece));
    bits.fill_up();
    (parameters, bits)
}

/// What a tensor costs with every parameter.
pub(super) fn costs_of(tensor: &SparseTensor) -> Costs {
    count_pieces(Simd::best(), tensor, &pieces_of(tensor))
}

fn count_pieces(simd: Simd, tensor: &SparseTensor, pieces: &[(usize, usize)]) -> Costs {
    pieces
        .par_iter()
        .map(|piece| simd.run(Count(tensor, *piece)))
        .reduce(Costs::default, |sum, costs| sum.merge(&costs))
}

/// The first strip of each piece, and the one behind its last.
fn pieces_of(tensor: &SparseTensor) -> Vec<(usize, usize)> {
    let grid = tensor.grid();
    let per_strip = grid.strip(0).totals(tensor.kept()).1;
    let (strips, count) = (PIECE.div_ceil(per_strip.max(1)), grid.strip_count());
    (0..count)
        .step_by(strips)
        .map(|first| (first, count.min(first + strips)))
        .collect()
}

/// Calls `visit` for every block of some strips, with the high level of the block before.
macro_rules! for_blocks {
    ($tensor:expr, ($first:expr, $end:expr), |$before:ident, $levels:ident, $codes:ident| $visit:expr) => {
        let mut $before = match $first {
            0 => None,
            first => $tensor
                .strip(first - 1)
                .last()
                .map(|(_, levels, _)| levels.high),
        };
        for number in $first..$end {
            for (_, $levels, $codes) in $tensor.strip(number) {
                $visit;
                $before = Some($levels.high);
            }
        }
    };
}

/// Counts what some strips of a tensor cost.
struct Count<'a>(&'a SparseTensor, (usize, usize));

impl Kernel for Count<'_> {
    type Output = Costs;

    #[inline(always)]
    fn run<L: Lanes>(self) -> Costs {
        let Count(tensor, (first, end)) = self;
        let (mut costs, mut scratch) = (Costs::default(), Short::new());
        let is_known = tensor.kept().is_known();
        for_blocks!(tensor, (first, end), |before, levels, codes| count::<L>(
            &mut costs,
            &mut scratch,
            is_known,
            before,
            levels,
            codes
        ));
        costs
    }
}

/// Writes some strips of a tensor.
struct Bits<'a>(&'a SparseTensor, (usize, usize), Parameters);

impl Kernel for Bits<'_> {
    type Output = BitWriter;

    #[inline(always)]
    fn run<L: Lanes>(self) -> BitWriter {
        let Bits(tensor, (first, end), parameters) = self;
        let (mut bits, mut scratch) = (BitWriter::default(), Short::new());
        let kept = tensor.kept();
        let way = Way { parameters, kept };
        for_blocks!(tensor, (first, end), |before, levels, codes| write::<L>(
            &mut bits,
            &mut scratch,
            way,
            before,
            levels,
            codes
        ));
        bits
    }
}
