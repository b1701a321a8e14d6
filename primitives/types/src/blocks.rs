//! What a contribution says of a tensor: how it is cut into blocks, how many values of a block are sent, and as what.
//!
//! A matrix is cut into blocks of 64 × 64, a vector into blocks of 4,096; at the right and lower edges they
//! are shorter. A *strip* is what threads share out among themselves: a row of a matrix's blocks, or one block
//! of a vector. It is a contiguous piece of the tensor. Since the number of values that a block sends depends
//! on its size alone, a strip's values are found without looking at those before it.
//!
//! Of each block there are two *levels*, magnitudes as the upper halves of an `f32`; and of each value that is sent a
//! *code*, which says its place in the block, its sign, and which level it has.
//!
//! Sent are so many values of a block as the run says, those of largest magnitude; or, where members take turns, all
//! those whose [`Turn`] it is.

use alloc::{string::String, vec::Vec};
use core::fmt;

use crate::{Compression, Tensor};

/// Elements of a full block.
pub const BLOCK: usize = 4_096;
/// Rows and columns of a matrix's full block.
pub const BLOCK_SIDE: usize = 64;
/// The bits of a code that say a value's place within its block, row by row with the block's own width.
pub const PLACE: u16 = 0x0FFF;
/// The bit of a code that says that a value has the block's high level.
pub const HIGH: u16 = 1 << 14;
/// The bit of a code that says that a value is negative.
pub const NEGATIVE: u16 = 1 << 15;
/// The upper half of 65,536, above all levels.
pub const LEVEL_LIMIT: u16 = 0x4780;

/// What is sent of one tensor. Whoever selects makes one, on whatever device; the codec checks it and writes it down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// A code for each value, block by block, within a block in ascending order of place.
    pub codes: Vec<u16>,
    /// The levels of each block, the low one first.
    pub levels: Vec<[u16; 2]>,
}

/// Why no contribution can be made for a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// Neither a vector nor a matrix, or without elements.
    Shape {
        /// Name of the tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<u32>,
    },
    /// More elements than an index of 32 bits can tell apart.
    TensorTooLarge {
        /// Name of the tensor.
        tensor: String,
    },
    /// More parameters than this machine can address.
    ModelTooLarge,
    /// `kept_per_block` is not within 1..=4,096.
    Kept {
        /// What was asked for.
        kept: u16,
    },
    /// No turn that there is, or one in which not all values are sent.
    Turn {
        /// What was asked for.
        turn: Turn,
    },
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LayoutError::Shape { tensor, shape } => write!(
                f,
                "tensor {tensor} has shape {shape:?}: only vectors and matrices with elements can be contributed to"
            ),
            LayoutError::TensorTooLarge { tensor } => write!(
                f,
                "tensor {tensor} has more than 2^32 elements: split it into several tensors"
            ),
            LayoutError::ModelTooLarge => f.write_str(
                "the layout has more parameters than this machine can address: use a 64-bit machine",
            ),
            LayoutError::Kept { kept } => {
                write!(f, "{kept} values kept per block of 4096: choose from 1 to 4096")
            }
            LayoutError::Turn { turn } => write!(
                f,
                "turn {} of {}: take one below that, of {} at most, and keep 4096 values",
                turn.number,
                turn.of,
                Turn::MOST
            ),
        }
    }
}

impl core::error::Error for LayoutError {}

/// `kept_per_block` of a run's compression, if it can be.
///
/// # Errors
/// [`LayoutError::Kept`].
#[inline]
pub fn checked_kept(kept: u16) -> Result<usize, LayoutError> {
    match usize::from(kept) {
        count @ 1..=BLOCK => Ok(count),
        _ => Err(LayoutError::Kept { kept }),
    }
}

/// Which of a block's values are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// So many of 4,096: those of largest magnitude. From 1 to [`BLOCK`].
    Largest(usize),
    /// All whose turn it is.
    Turn(Turn),
}

impl Kept {
    /// Of a compression.
    ///
    /// # Errors
    /// [`LayoutError::Kept`] or [`LayoutError::Turn`].
    #[inline]
    pub fn of(compression: &Compression) -> Result<Kept, LayoutError> {
        let kept = checked_kept(compression.kept_per_block)?;
        match compression.turn {
            None => Ok(Kept::Largest(kept)),
            Some(turn) if kept == BLOCK && turn.is_possible() => Ok(Kept::Turn(turn)),
            Some(turn) => Err(LayoutError::Turn { turn }),
        }
    }

    /// Whether no place has to be said, since it is known which values are sent.
    #[inline]
    pub fn is_known(self) -> bool {
        matches!(self, Kept::Largest(BLOCK) | Kept::Turn(_))
    }

    /// How many values a block of so many rows and columns sends: 1 at least.
    #[inline]
    fn count(self, rows: usize, width: usize) -> usize {
        match self {
            Kept::Largest(kept) => ((rows * width * kept + BLOCK / 2) / BLOCK).max(1),
            Kept::Turn(turn) => turn.count(rows, width),
        }
    }
}

/// Which values a member sends in a round in which others send the rest: of each block those whose row and column
/// there add up to `number`, but for multiples of `of`. A block that has none sends one all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Below `of`.
    pub number: u8,
    /// How many turns there are: from 2 to [`Turn::MOST`].
    pub of: u8,
}

impl Turn {
    /// The most turns: one over [`OuterStep::MIN_RHO`](crate::OuterStep::MIN_RHO), below which a value would not move
    /// by the mean of those that send it.
    pub const MOST: u8 = 4;

    /// That of a member in a round: the next one in the next round.
    #[inline]
    pub fn in_round(uid: crate::Uid, round: crate::Round, of: u8) -> Turn {
        let sum = u64::from(uid.0) + u64::from(round);
        // below `of`, which fits
        let number = sum.checked_rem(of.into()).unwrap_or(0) as u8;
        Turn { number, of }
    }

    fn is_possible(self) -> bool {
        (2..=Turn::MOST).contains(&self.of) && self.number < self.of
    }

    /// The first column of a row that is sent, if the row is long enough.
    #[inline(always)]
    fn first(self, row: usize) -> usize {
        let of = usize::from(self.of);
        (usize::from(self.number) + of - row % of) % of
    }

    /// Of a row that has so many columns.
    #[inline(always)]
    fn of_row(self, row: usize, width: usize) -> usize {
        width
            .saturating_sub(self.first(row))
            .div_ceil(usize::from(self.of))
    }

    fn count(self, rows: usize, width: usize) -> usize {
        // as many rows as there are turns have each column once
        let whole = rows / usize::from(self.of) * width;
        let rest = 0..rows % usize::from(self.of);
        let rest: usize = rest.map(|row| self.of_row(row, width)).sum();
        (whole + rest).max(1)
    }

    /// The places of a block that are sent, ascending.
    #[inline(always)]
    pub fn places(self, block: Block) -> impl Iterator<Item = u16> {
        let (len, width) = (block.len, block.width.max(1));
        let of_rows = (0..len / width).flat_map(move |row| {
            let columns = (self.first(row)..width).step_by(self.of.into());
            columns.map(move |column| (row * width + column) as u16)
        });
        let has_none = (0..len / width).all(|row| self.of_row(row, width) == 0);
        let alone = has_none.then_some(usize::from(self.number) % len.max(1));
        alone.map(|place| place as u16).into_iter().chain(of_rows)
    }
}

/// A tensor seen as strips of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    len: usize,
    /// Elements from one row to the next; of a vector, a block's.
    cols: usize,
    block_rows: usize,
    block_cols: usize,
}

impl Grid {
    /// Of a tensor.
    ///
    /// # Errors
    /// If nothing can be sent of a tensor of this shape.
    #[inline]
    pub fn of(tensor: &Tensor) -> Result<Grid, LayoutError> {
        let name = || tensor.name.clone();
        let (rows, cols, block_rows, block_cols) = match tensor.shape.as_slice() {
            [n] if *n > 0 => (1, *n, 1, BLOCK),
            [n, m] if *n > 0 && *m > 0 => (*n, *m, BLOCK_SIDE, BLOCK_SIDE),
            shape => {
                return Err(LayoutError::Shape {
                    tensor: name(),
                    shape: shape.to_vec(),
                })
            }
        };
        let len = u64::from(rows) * u64::from(cols);
        let fits = len <= 1 << 32;
        let len = usize::try_from(len).ok().filter(|_| fits);
        let len = len.ok_or_else(|| LayoutError::TensorTooLarge { tensor: name() })?;
        let cols = if block_rows == 1 {
            BLOCK
        } else {
            cols as usize
        };
        Ok(Grid {
            len,
            cols,
            block_rows,
            block_cols,
        })
    }

    /// Number of elements; never 0.
    #[inline]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Elements of every strip but the last, which may have fewer.
    #[inline]
    pub fn strip_len(&self) -> usize {
        self.block_rows * self.cols
    }

    /// Number of strips.
    #[inline]
    pub fn strip_count(&self) -> usize {
        self.len.div_ceil(self.strip_len())
    }

    /// Strip `number`, counted from the top.
    #[inline]
    pub fn strip(&self, number: usize) -> Strip {
        let start = number * self.strip_len();
        let len = self.strip_len().min(self.len.saturating_sub(start));
        let cols = self.cols.min(len);
        Strip {
            start,
            rows: len / cols.max(1),
            cols,
            block_cols: self.block_cols,
        }
    }

    /// All strips from the top.
    #[inline]
    pub fn strips(&self) -> impl Iterator<Item = Strip> + '_ {
        (0..self.strip_count()).map(|number| self.strip(number))
    }

    /// All blocks in the order in which they are sent: strip by strip, each from the left.
    #[inline]
    pub fn blocks(&self, kept: Kept) -> impl Iterator<Item = Block> + '_ {
        self.strips().flat_map(move |strip| strip.blocks(kept))
    }

    /// The block in which an element of the tensor is, by its number, and its place there.
    #[inline]
    pub fn place(&self, index: usize) -> Option<(usize, u16)> {
        if index >= self.len {
            return None;
        }
        let number = index / self.strip_len();
        let strip = self.strip(number);
        let within = index - strip.start;
        let (row, col) = (within / strip.cols, within % strip.cols);
        let before = number * self.strip(0).totals(Kept::Largest(1)).0;
        let (block, col) = (col / self.block_cols, col % self.block_cols);
        let width = self.block_cols.min(strip.cols - block * self.block_cols);
        Some((before + block, (row * width + col) as u16))
    }

    /// How many blocks there are of each size.
    #[inline]
    pub fn sizes(&self, kept: Kept) -> impl Iterator<Item = (u64, Block)> {
        let full = self.strip_count().saturating_sub(1);
        [(full, self.strip(0)), (1, self.strip(full))]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .flat_map(move |(count, strip)| {
                strip
                    .sizes(kept)
                    .map(move |(more, block)| ((count * more) as u64, block))
            })
    }

    /// Number of blocks, and of values that they send together.
    #[inline]
    pub fn totals(&self, kept: Kept) -> (usize, usize) {
        let last = self.strip_count() - 1;
        let (blocks, values) = self.strip(0).totals(kept);
        let (last_blocks, last_values) = self.strip(last).totals(kept);
        (last * blocks + last_blocks, last * values + last_values)
    }
}

/// A row of a matrix's blocks, or one block of a vector: a contiguous piece of the tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strip {
    /// Index of its first element within the tensor.
    pub start: usize,
    rows: usize,
    /// Elements from one row to the next.
    pub cols: usize,
    block_cols: usize,
}

/// A block of a strip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Its first column.
    pub col: usize,
    /// Its columns.
    pub width: usize,
    /// Its elements.
    pub len: usize,
    /// How many of them are sent.
    pub keep: usize,
}

impl Strip {
    #[inline]
    fn block(&self, col: usize, kept: Kept) -> Block {
        let width = self.block_cols.min(self.cols - col);
        Block {
            col,
            width,
            len: self.rows * width,
            keep: kept.count(self.rows, width),
        }
    }

    /// Its blocks from the left. Of a block of `len` elements, max(1, round(len · kept / 4096)) of the largest are
    /// sent, or those whose turn it is.
    #[inline]
    pub fn blocks(self, kept: Kept) -> impl Iterator<Item = Block> {
        (0..self.cols)
            .step_by(self.block_cols)
            .map(move |col| self.block(col, kept))
    }

    /// How many blocks it has of each size.
    #[inline]
    fn sizes(self, kept: Kept) -> impl Iterator<Item = (usize, Block)> {
        let full = self.cols / self.block_cols;
        let edge = full * self.block_cols;
        [(full, 0), (usize::from(edge < self.cols), edge)]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(move |(count, col)| (count, self.block(col, kept)))
    }

    /// Number of blocks, and of values that they send together.
    #[inline]
    pub fn totals(self, kept: Kept) -> (usize, usize) {
        self.sizes(kept)
            .fold((0, 0), |(blocks, values), (count, block)| {
                (blocks + count, values + count * block.keep)
            })
    }
}

impl Block {
    /// The index within its strip of a place within the block (row by row).
    #[inline(always)]
    pub fn index(&self, place: usize, cols: usize) -> usize {
        // full blocks are the usual case, and division by a constant is cheap
        let (row, col) = if self.width == BLOCK_SIDE {
            (place / BLOCK_SIDE, place % BLOCK_SIDE)
        } else {
            (place / self.width, place % self.width)
        };
        row * cols + self.col + col
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn grid(shape: &[u32]) -> Grid {
        Grid::of(&tensor(shape)).expect("a possible shape")
    }

    fn tensor(shape: &[u32]) -> Tensor {
        Tensor {
            name: "t".into(),
            shape: shape.to_vec(),
        }
    }

    #[test]
    fn edges_get_short_blocks_and_their_share_of_values() {
        let blocks: Vec<Block> = grid(&[70, 130]).blocks(Kept::Largest(64)).collect();
        let sizes: Vec<_> = blocks
            .iter()
            .map(|b| (b.col, b.width, b.len, b.keep))
            .collect();
        let expected = [
            (0, 64, 4_096, 64),
            (64, 64, 4_096, 64),
            (128, 2, 128, 2),
            (0, 64, 384, 6),
            (64, 64, 384, 6),
            (128, 2, 12, 1), // 0.1875 rounds to 0, but one at least
        ];
        assert_eq!(sizes, expected);
    }

    #[test]
    fn a_vector_is_cut_into_blocks_of_4096() {
        let grid = grid(&[9_000]);
        let sizes: Vec<_> = grid
            .blocks(Kept::Largest(32))
            .map(|b| (b.col, b.len, b.keep))
            .collect();
        // 808 · 32 / 4096 = 6.3
        assert_eq!(sizes, [(0, 4_096, 32), (0, 4_096, 32), (0, 808, 6)]);
        let starts: Vec<_> = grid.strips().map(|strip| strip.start).collect();
        assert_eq!(starts, [0, 4_096, 8_192]);
    }

    #[test]
    fn halves_are_rounded_up() {
        let keeps = |n| {
            grid(&[n])
                .blocks(Kept::Largest(64))
                .map(|b| b.keep)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (keeps(95), keeps(96), keeps(97)),
            (vec![1], vec![2], vec![2])
        );
    }

    #[test]
    fn totals_and_sizes_are_those_of_the_blocks() {
        for shape in [
            &[1][..],
            &[4_096],
            &[9_000],
            &[64, 64],
            &[70, 130],
            &[3, 500],
            &[200, 9],
        ] {
            let turns =
                (2..=Turn::MOST).flat_map(|of| (0..of).map(move |number| Turn { number, of }));
            let kinds = [1, 64, 4_096].map(Kept::Largest).into_iter();
            for kept in kinds.chain(turns.map(Kept::Turn)) {
                let grid = grid(shape);
                let values = grid.blocks(kept).map(|block| block.keep).sum();
                let blocks = grid.blocks(kept).count();
                assert_eq!(grid.totals(kept), (blocks, values), "{shape:?}");
                let of_size = |block: &Block| {
                    let same = |b: &Block| (b.len, b.keep) == (block.len, block.keep);
                    let sizes = grid.sizes(kept).filter(|(_, b)| same(b));
                    let counted = grid.blocks(kept).filter(same).count() as u64;
                    sizes.map(|(count, _)| count).sum::<u64>() == counted
                };
                assert!(grid.blocks(kept).all(|block| of_size(&block)), "{shape:?}");
                let lengths: usize = grid.strips().map(|s| s.rows * s.cols).sum();
                assert_eq!(lengths, grid.len());
            }
        }
    }

    /// Each value has one turn, but that of a block with fewer than there are turns.
    #[test]
    fn turns_are_all_values_once() {
        for of in 2..=Turn::MOST {
            for shape in [&[70, 130][..], &[9_000], &[3, 5], &[1], &[2, 1]] {
                let mut seen = vec![0; grid(shape).len()];
                for number in 0..of {
                    let turn = Turn { number, of };
                    let mut before = 0;
                    for strip in grid(shape).strips() {
                        for block in strip.blocks(Kept::Turn(turn)) {
                            let places: Vec<u16> = turn.places(block).collect();
                            assert!(places.is_sorted() && places.len() == block.keep);
                            for place in places {
                                let index = strip.start + block.index(place.into(), strip.cols);
                                seen[index] += 1;
                                before += 1;
                            }
                        }
                    }
                    assert_eq!(grid(shape).totals(Kept::Turn(turn)).1, before);
                }
                let is_small = seen.len() < usize::from(of) + 1;
                assert!(seen.iter().all(|times| *times >= 1), "{shape:?} {of}");
                assert!(is_small || seen.iter().all(|times| *times == 1));
            }
        }
        // Row 1, column 2 of a block is the third of four turns' together.
        let turn = Turn { number: 3, of: 4 };
        let block = grid(&[64, 64]).blocks(Kept::Turn(turn)).next();
        let block = block.expect("one block");
        let places: Vec<u16> = turn.places(block).take(17).collect();
        assert_eq!(places[..3], [3, 7, 11]);
        assert_eq!((block.keep, places[16]), (1_024, 64 + 2));
    }

    #[test]
    fn a_member_has_another_turn_in_each_round() {
        let of = |uid, round| Turn::in_round(crate::Uid(uid), round, 4).number;
        assert_eq!([of(0, 0), of(1, 0), of(2, 3), of(0, 5)], [0, 1, 1, 1]);
        assert_eq!(of(u16::MAX, u32::MAX), 2);
    }

    #[test]
    fn impossible_turns_are_refused() {
        let kept = |kept_per_block, number, of| {
            Kept::of(&Compression {
                kept_per_block,
                error_decay: crate::Nano(0),
                turn: Some(Turn { number, of }),
            })
        };
        assert!(kept(4_096, 3, 4).is_ok_and(Kept::is_known));
        for (all, number, of) in [(4_095, 0, 2), (4_096, 0, 1), (4_096, 0, 5), (4_096, 2, 2)] {
            assert!(matches!(
                kept(all, number, of),
                Err(LayoutError::Turn { .. })
            ));
        }
    }

    #[test]
    fn every_element_has_one_place() {
        for shape in [&[70, 130][..], &[9_000], &[3, 5]] {
            let grid = grid(shape);
            let (mut seen, mut number) = (vec![false; grid.len()], 0);
            for strip in grid.strips() {
                for block in strip.blocks(Kept::Largest(BLOCK)) {
                    for place in 0..block.len {
                        let index = strip.start + block.index(place, strip.cols);
                        assert!(!std::mem::replace(&mut seen[index], true));
                        assert_eq!(grid.place(index), Some((number, place as u16)));
                    }
                    number += 1;
                }
            }
            assert!(seen.iter().all(|seen| *seen));
            assert_eq!(grid.place(grid.len()), None);
        }
        // element (1, 65) is in the second block, row 1, column 1
        let strip = grid(&[70, 130]).strip(0);
        let second = strip
            .blocks(Kept::Largest(1))
            .nth(1)
            .expect("three of them");
        assert_eq!(second.index(65, strip.cols), 130 + 65);
    }

    #[test]
    fn impossible_tensors_are_refused() {
        for shape in [&[][..], &[0], &[3, 0], &[0, 3], &[2, 2, 2]] {
            let error = Grid::of(&tensor(shape)).expect_err("impossible");
            assert!(matches!(error, LayoutError::Shape { .. }), "{error}");
        }
        let error = Grid::of(&tensor(&[1 << 16, (1 << 16) + 1]));
        assert!(matches!(error, Err(LayoutError::TensorTooLarge { .. })));
        assert_eq!(checked_kept(0), Err(LayoutError::Kept { kept: 0 }));
        assert_eq!(checked_kept(4_097), Err(LayoutError::Kept { kept: 4_097 }));
        assert_eq!(checked_kept(4_096), Ok(4_096));
    }
}
