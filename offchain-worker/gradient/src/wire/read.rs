//! Reading a contribution tensor by tensor.

use std::io::{self, Read};

use cairn_primitives::{Compression, Layout};
use thiserror::Error;

use super::decode::{check_layout, check_length, decode_part, named, read_length};
use super::header::decode_header_of;
use super::{DecodeError, TensorFault, HEADER_LENGTH};
use crate::blocks::{Kept, Plan};
use crate::contribution::Header;
use crate::sparse::SparseTensor;

/// Why a contribution could not be read from a file.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file could not be read.
    #[error("the contribution cannot be read: {0}")]
    Io(#[from] io::Error),
    /// What was read is no contribution to this run.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// Reads a contribution from its opened file tensor by tensor, for models so large that a contribution should not be in
/// memory as a whole: a reader holds the bytes of one tensor's part.
///
/// Accepts exactly what [`crate::decode`] accepts, once [`Reader::finish`] has been called.
#[derive(Debug)]
pub struct Reader<'a, R> {
    source: R,
    layout: &'a Layout,
    plan: Plan,
    kept: Kept,
    header: Header,
    /// The tensor that comes next.
    next: usize,
    part: Vec<u8>,
    /// Whether all values were 0 so far.
    is_zero: bool,
}

impl<'a, R: Read> Reader<'a, R> {
    /// Reads the header. A file should be buffered ([`io::BufReader`]).
    ///
    /// # Errors
    /// If it cannot be read, or is not for this layout.
    pub fn new(
        mut source: R,
        layout: &'a Layout,
        compression: &Compression,
    ) -> Result<Reader<'a, R>, ReadError> {
        let mut bytes = Vec::with_capacity(HEADER_LENGTH);
        (&mut source)
            .take(HEADER_LENGTH as u64)
            .read_to_end(&mut bytes)?;
        let kept = Kept::of(compression).map_err(DecodeError::from)?;
        let header = decode_header_of(&bytes, kept)?;
        check_layout(&header, layout)?;
        let plan = Plan::new(layout).map_err(DecodeError::from)?;
        Ok(Reader {
            source,
            layout,
            plan,
            kept,
            header,
            next: 0,
            part: Vec::new(),
            is_zero: true,
        })
    }

    /// What the contribution says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The layout that it is read for.
    pub fn layout(&self) -> &'a Layout {
        self.layout
    }

    /// Reads the next tensor of the layout into `tensor`, whose memory is used again if there is one. `false` behind
    /// the last tensor.
    ///
    /// # Errors
    /// If the file cannot be read, or the tensor's part has a fault; the reader is then of no more use.
    pub fn tensor(&mut self, tensor: &mut Option<SparseTensor>) -> Result<bool, ReadError> {
        if !self.part()? {
            return Ok(false);
        }
        let number = self.next - 1;
        let Some(grid) = self.plan.grids.get(number).copied() else {
            return Ok(false);
        };
        let tensor = SparseTensor::reused(tensor, grid, self.kept);
        decode_part(&self.part, tensor).map_err(|fault| named(self.layout, number, fault))?;
        self.is_zero &= tensor.is_zero();
        Ok(true)
    }

    /// The bytes of the part that was read last.
    pub(super) fn last_part(&self) -> &[u8] {
        &self.part
    }

    /// Reads the bytes of the next tensor's part; `false` behind the last tensor.
    fn part(&mut self) -> Result<bool, ReadError> {
        let Some(grid) = self.plan.grids.get(self.next) else {
            return Ok(false);
        };
        let named = |fault| named(self.layout, self.next, fault);
        let length = read_length(|| next_byte(&mut self.source)).map_err(|error| match error {
            PartError::Io(error) => ReadError::Io(error),
            PartError::Fault(fault) => named(fault).into(),
        })?;
        check_length(length, grid, self.kept).map_err(named)?;
        self.part.clear();
        (&mut self.source)
            .take(length)
            .read_to_end(&mut self.part)?;
        if (self.part.len() as u64) < length {
            return Err(named(TensorFault::Missing).into());
        }
        self.next += 1;
        Ok(true)
    }

    /// Makes sure that all tensors have been read, and that nothing is behind them.
    ///
    /// # Errors
    /// If tensors that were not asked for have a fault, there are more bytes, or all values are 0.
    pub fn finish(mut self) -> Result<Header, ReadError> {
        let mut rest = None;
        while self.tensor(&mut rest)? {}
        match next_byte(&mut self.source) {
            Ok(_) => Err(DecodeError::TrailingBytes.into()),
            Err(PartError::Fault(_)) if self.is_zero => Err(DecodeError::Empty.into()),
            Err(PartError::Fault(_)) => Ok(self.header),
            Err(PartError::Io(error)) => Err(error.into()),
        }
    }
}

enum PartError {
    Io(io::Error),
    Fault(TensorFault),
}

impl From<TensorFault> for PartError {
    fn from(fault: TensorFault) -> PartError {
        PartError::Fault(fault)
    }
}

/// The next byte; [`TensorFault::Missing`] at the end.
fn next_byte(source: &mut impl Read) -> Result<u8, PartError> {
    let mut byte = [0];
    match source.read_exact(&mut byte) {
        Ok(()) => Ok(byte[0]),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(PartError::Fault(TensorFault::Missing))
        }
        Err(error) => Err(PartError::Io(error)),
    }
}
