//! What is sent of one tensor.

use std::ops::Range;

use cairn_primitives::{
    blocks::{Selected, HIGH, NEGATIVE, PLACE},
    Compression, Tensor,
};
use thiserror::Error;

use crate::blocks::{Block, Grid, Kept, LayoutError, Strip};
use crate::level::{Level, Levels};

/// From here on a code is the number of one of four values: low, high, −low, −high.
pub(crate) const VALUE: u32 = 14;

/// What is sent of one tensor: of each block its two levels, and of each value its place, sign and level.
///
/// Takes 2 bytes per value and 4 per block, 1/124 of the tensor at 64 of 4,096. Whatever is in one has an
/// encoding, and only one.
///
/// Blocks come in the order in which they are sent ([`BLOCK`](crate::BLOCK)), a block's values in ascending
/// order of their place. A value is a *code*: bits 0 to 11 are its place within the block (row by row, with
/// the block's own width), bit 14 is set if it has the block's high level, bit 15 if it is negative.
#[derive(Clone, Debug, PartialEq)]
pub struct SparseTensor {
    grid: Grid,
    kept: Kept,
    selected: Selected,
}

/// Why values cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BlockFault {
    /// More or fewer values than the run's compression says.
    #[error("has another number of values than a block of its length must send")]
    WrongNumber,
    /// A value is at or beyond the end.
    #[error("has a value outside of it")]
    Outside,
    /// A value is not behind the one before it.
    #[error("has values that are not in ascending order")]
    NotAscending,
    /// A value has another turn, or one whose turn it is is missing.
    #[error("has other values than those whose turn it is")]
    OutOfTurn,
    /// A magnitude is not a bfloat16.
    #[error("has a value that is not a bfloat16 below 65,536")]
    NotALevel,
    /// More than two magnitudes.
    #[error("has more than two magnitudes")]
    ThirdLevel,
    /// The low level is above the high one.
    #[error("has its levels in the wrong order")]
    LevelsNotAscending,
    /// Two levels, one of which no value has; or equal ones that are told apart.
    #[error("has a level that no value has")]
    LevelUnused,
    /// −0 instead of 0.
    #[error("has a negative zero")]
    NegativeZero,
}

/// Why there is no such [`SparseTensor`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SparseError {
    /// Nothing can be sent of such a tensor, or not so much.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A block's values cannot be sent.
    #[error("tensor {tensor}: block {block} {fault}; make contributions with `compress`")]
    Block {
        /// Name of the tensor.
        tensor: String,
        /// Which block, from 0.
        block: usize,
        /// What is wrong with it.
        fault: BlockFault,
    },
}

impl SparseTensor {
    /// Zeros at the first places, to be overwritten.
    pub(crate) fn blank(grid: Grid, kept: Kept) -> SparseTensor {
        let (blocks, values) = grid.totals(kept);
        SparseTensor {
            grid,
            kept,
            selected: Selected {
                codes: vec![0; values],
                levels: vec![[0; 2]; blocks],
            },
        }
    }

    /// The same in the memory of another, if there is one.
    pub(crate) fn reused(
        slot: &mut Option<SparseTensor>,
        grid: Grid,
        kept: Kept,
    ) -> &mut SparseTensor {
        match slot {
            Some(tensor) => {
                tensor.reset(grid, kept);
                tensor
            }
            None => slot.insert(SparseTensor::blank(grid, kept)),
        }
    }

    /// The same for another tensor, in the memory of this one.
    fn reset(&mut self, grid: Grid, kept: Kept) {
        let (blocks, values) = grid.totals(kept);
        (self.grid, self.kept) = (grid, kept);
        self.selected.codes.clear();
        self.selected.codes.resize(values, 0);
        self.selected.levels.clear();
        self.selected.levels.resize(blocks, [0; 2]);
    }

    /// A tensor's contribution from what was selected of it, wherever that was done.
    ///
    /// # Errors
    /// If there is no such contribution; see [`SparseError`].
    pub fn from_selected(
        tensor: &Tensor,
        compression: &Compression,
        selected: Selected,
    ) -> Result<SparseTensor, SparseError> {
        let (grid, kept) = (Grid::of(tensor)?, Kept::of(compression)?);
        let named = |block: usize, fault: BlockFault| SparseError::Block {
            tensor: tensor.name.clone(),
            block,
            fault,
        };
        let (blocks, values) = grid.totals(kept);
        if selected.codes.len() != values || selected.levels.len() != blocks {
            return Err(named(0, BlockFault::WrongNumber));
        }
        let is_level = |bits: &u16| Level::from_bits(u32::from(*bits)).is_some();
        let is_no_pair = |pair: &[u16; 2]| !pair.iter().all(is_level);
        if let Some(block) = selected.levels.iter().position(is_no_pair) {
            return Err(named(block, BlockFault::NotALevel));
        }
        let made = SparseTensor {
            grid,
            kept,
            selected,
        };
        let mut number = 0;
        for strip in 0..made.grid.strip_count() {
            for (block, levels, codes) in made.strip(strip) {
                check_block(kept, block, levels, codes).map_err(|fault| named(number, fault))?;
                number += 1;
            }
        }
        Ok(made)
    }

    /// A tensor's contribution from values and their indices within the tensor (row by row), which may come in any
    /// order.
    ///
    /// # Errors
    /// If there is no such contribution; see [`SparseError`].
    pub fn from_values(
        tensor: &Tensor,
        compression: &Compression,
        values: &[(u32, f32)],
    ) -> Result<SparseTensor, SparseError> {
        let (grid, kept) = (Grid::of(tensor)?, Kept::of(compression)?);
        let fault = |block: usize, fault: BlockFault| SparseError::Block {
            tensor: tensor.name.clone(),
            block,
            fault,
        };
        let mut placed: Vec<(usize, u16, f32)> = Vec::with_capacity(values.len());
        for (index, value) in values {
            let (block, place) = grid
                .place(*index as usize)
                .ok_or_else(|| fault(grid.totals(kept).0, BlockFault::Outside))?;
            placed.push((block, place, *value));
        }
        placed.sort_by_key(|(block, place, _)| (*block, *place));
        let mut codes = Vec::with_capacity(placed.len());
        let mut levels = Vec::new();
        for (number, block) in grid.blocks(kept).enumerate() {
            let behind = placed.partition_point(|(of, ..)| *of <= number);
            let before = placed.partition_point(|(of, ..)| *of < number);
            let of_block = placed.get(before..behind).unwrap_or_default();
            if of_block.len() != block.keep {
                return Err(fault(number, BlockFault::WrongNumber));
            }
            let pair = levels_of(of_block.iter().map(|(.., value)| *value))
                .map_err(|found| fault(number, found))?;
            for (_, place, value) in of_block {
                let high = pair.low < pair.high && value.abs() == pair.high.to_f32();
                let sign = if value.is_sign_negative() {
                    NEGATIVE
                } else {
                    0
                };
                codes.push(place | sign | if high { HIGH } else { 0 });
            }
            levels.push(pair.pair());
        }
        SparseTensor::from_selected(tensor, compression, Selected { codes, levels })
    }

    pub(crate) fn grid(&self) -> Grid {
        self.grid
    }

    pub(crate) fn kept(&self) -> Kept {
        self.kept
    }

    /// Elements of the tensor.
    pub fn elements(&self) -> usize {
        self.grid.len()
    }

    /// Whether all values are 0.
    pub fn is_zero(&self) -> bool {
        self.selected.levels.iter().all(|[_, high]| *high == 0)
    }

    /// What is sent.
    pub fn selected(&self) -> &Selected {
        &self.selected
    }

    /// The values' codes.
    pub fn codes(&self) -> &[u16] {
        &self.selected.codes
    }

    /// The blocks' levels, each as the upper half of an `f32`, the low one first.
    pub fn levels(&self) -> impl ExactSizeIterator<Item = [u16; 2]> + '_ {
        self.selected.levels.iter().copied()
    }

    /// The codes and levels, cut into those of each strip but the last, and its.
    pub(crate) fn strips_mut(
        &mut self,
        first: usize,
    ) -> impl Iterator<Item = (Strip, &mut [u16], &mut [[u16; 2]])> {
        let (grid, kept) = (self.grid, self.kept);
        let (blocks, values) = grid.strip(0).totals(kept);
        let Selected { codes, levels } = &mut self.selected;
        let codes = codes.chunks_mut(values).skip(first);
        let levels = levels.chunks_mut(blocks).skip(first);
        let numbered = (first..).zip(codes.zip(levels));
        numbered.map(move |(number, (codes, levels))| (grid.strip(number), codes, levels))
    }

    /// The blocks of one strip.
    pub(crate) fn strip(&self, number: usize) -> impl Iterator<Item = (Block, Levels, &[u16])> {
        let strip = self.grid.strip(number);
        let (blocks, values) = self.grid.strip(0).totals(self.kept);
        let Selected { codes, levels } = &self.selected;
        let mut codes = codes.get(number * values..).unwrap_or_default();
        let levels = levels.get(number * blocks..).unwrap_or_default();
        strip
            .blocks(self.kept)
            .zip(levels)
            .map(move |(block, levels)| {
                let (of_block, behind) = codes.split_at(block.keep);
                codes = behind;
                (block, Levels::of(*levels), of_block)
            })
    }

    /// All values with their indices within the tensor (row by row), in the order in which they are sent.
    pub fn values(&self) -> impl Iterator<Item = (u32, f32)> + '_ {
        (0..self.grid.strip_count()).flat_map(move |number| {
            let at = self.grid.strip(number);
            self.strip(number).flat_map(move |(block, levels, codes)| {
                codes.iter().map(move |code| {
                    let index = at.start + block.index(usize::from(code & PLACE), at.cols);
                    (index as u32, value_of(*code, levels))
                })
            })
        })
    }

    /// Adds the values to those of a tensor, each to its element.
    ///
    /// # Panics
    /// If `dense` has fewer elements than the tensor.
    pub fn add_to(&self, dense: &mut [f32]) {
        for (index, value) in self.values() {
            dense[index as usize] += value;
        }
    }

    /// The Euclidean norm: the root of the [energy](SparseTensor::energy).
    pub fn norm(&self) -> f64 {
        f64::sqrt(self.energy())
    }

    /// The sum of the squares, in `f64` over blocks, in the order in which they are sent; what a block adds is
    /// lows · low² + highs · high², where each product is exact.
    pub fn energy(&self) -> f64 {
        let mut sum = 0.0;
        for number in 0..self.grid.strip_count() {
            for (block, levels, codes) in self.strip(number) {
                let highs = codes.iter().filter(|code| *code & HIGH != 0).count();
                sum += levels.energy(block.keep - highs, highs);
            }
        }
        sum
    }
}

/// What a code means.
#[inline(always)]
pub(crate) fn value_of(code: u16, levels: Levels) -> f32 {
    let level = if code & HIGH != 0 {
        levels.high
    } else {
        levels.low
    };
    with_sign(level.to_f32(), code)
}

/// The magnitude with the sign that the code says.
#[inline(always)]
pub(crate) fn with_sign(magnitude: f32, code: u16) -> f32 {
    f32::from_bits(magnitude.to_bits() ^ (u32::from(code & NEGATIVE) << 16))
}

/// Whether a block's values are one of those that are sent.
fn check_block(kept: Kept, block: Block, levels: Levels, codes: &[u16]) -> Result<(), BlockFault> {
    if levels.low > levels.high {
        return Err(BlockFault::LevelsNotAscending);
    }
    if let Kept::Turn(turn) = kept {
        if !turn.places(block).eq(codes.iter().map(|code| code & PLACE)) {
            return Err(BlockFault::OutOfTurn);
        }
    }
    let mut places: Option<Range<u16>> = None;
    for code in codes {
        let place = code & PLACE;
        if usize::from(place) >= block.len || code & !(PLACE | HIGH | NEGATIVE) != 0 {
            return Err(BlockFault::Outside);
        }
        if places.as_ref().is_some_and(|seen| place < seen.end) {
            return Err(BlockFault::NotAscending);
        }
        places = Some(0..place + 1);
        if value_of(*code, levels).to_bits() == (-0f32).to_bits() {
            return Err(BlockFault::NegativeZero);
        }
    }
    let highs = codes.iter().filter(|code| *code & HIGH != 0).count();
    let expected = if levels.low < levels.high {
        1..codes.len()
    } else {
        0..1
    };
    if expected.contains(&highs) {
        Ok(())
    } else {
        Err(BlockFault::LevelUnused)
    }
}

/// The lowest and the highest magnitude, if there is none between them.
fn levels_of(values: impl Iterator<Item = f32>) -> Result<Levels, BlockFault> {
    let mut seen: Option<(Level, Level)> = None;
    for value in values {
        let level = Level::of(value).ok_or(BlockFault::NotALevel)?;
        seen = Some(match seen {
            None => (level, level),
            Some((low, high)) if level == low || level == high => (low, high),
            Some((low, high)) if low == high => (low.min(level), high.max(level)),
            Some(_) => return Err(BlockFault::ThirdLevel),
        });
    }
    let (low, high) = seen.ok_or(BlockFault::WrongNumber)?;
    Ok(Levels { low, high })
}
