//! How a tensor is cut into blocks, and how many values of a block are sent.
//!
//! A matrix is cut into blocks of 64 × 64, a vector into blocks of 4,096; at the right and lower edges they
//! are shorter. Both are the same thing here: a grid of rows and columns, of which a vector is one row.
//! A row of blocks is a *strip*, which is a contiguous piece of the tensor.

use std::ops::Range;

use cairn_primitives::{Layout, Tensor};
use thiserror::Error;

/// Elements of a full block.
pub const BLOCK: usize = 4_096;
/// Rows and columns of a matrix's full block.
pub const BLOCK_SIDE: usize = 64;

/// Why no contribution can be made for a layout.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// Neither a vector nor a matrix, or without elements.
    #[error("tensor {tensor} has shape {shape:?}: only vectors and matrices with elements can be contributed to")]
    Shape {
        /// Name of the tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<u32>,
    },
    /// More elements than an index of 32 bits can tell apart.
    #[error("tensor {tensor} has more than 2^32 elements: split it into several tensors")]
    TensorTooLarge {
        /// Name of the tensor.
        tensor: String,
    },
    /// More parameters than this machine can address.
    #[error("the layout has more parameters than this machine can address: use a 64-bit machine")]
    ModelTooLarge,
    /// `kept_per_block` is not within 1..=4,096.
    #[error("{kept} values kept per block of 4096: choose from 1 to 4096")]
    Kept {
        /// What was asked for.
        kept: u16,
    },
}

/// A layout, checked and cut into blocks.
#[derive(Debug)]
pub(crate) struct Plan {
    /// One grid per tensor, in the layout's order.
    pub(crate) grids: Vec<Grid>,
    /// Where each tensor lies in the flat vector.
    pub(crate) ranges: Vec<Range<usize>>,
    /// Number of parameters.
    pub(crate) parameters: usize,
}

impl Plan {
    pub(crate) fn new(layout: &Layout) -> Result<Plan, LayoutError> {
        let (mut grids, mut ranges, mut end) = (Vec::new(), Vec::new(), 0usize);
        for tensor in &layout.0 {
            let grid = Grid::of(tensor)?;
            let start = end;
            end = end
                .checked_add(grid.len())
                .filter(|end| *end <= isize::MAX as usize)
                .ok_or(LayoutError::ModelTooLarge)?;
            grids.push(grid);
            ranges.push(start..end);
        }
        Ok(Plan {
            grids,
            ranges,
            parameters: end,
        })
    }

    /// The tensors' parts of a flat vector, which must have as many elements as the layout.
    pub(crate) fn split_mut<'a>(&self, mut flat: &'a mut [f32]) -> Vec<&'a mut [f32]> {
        let mut parts = Vec::with_capacity(self.grids.len());
        for grid in &self.grids {
            let (part, rest) = flat.split_at_mut(grid.len());
            parts.push(part);
            flat = rest;
        }
        parts
    }
}

/// `kept_per_block` of a run's compression, if it can be.
pub(crate) fn checked_kept(kept: u16) -> Result<usize, LayoutError> {
    match usize::from(kept) {
        count @ 1..=BLOCK => Ok(count),
        _ => Err(LayoutError::Kept { kept }),
    }
}

/// A tensor seen as rows and columns of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    rows: usize,
    cols: usize,
    block_rows: usize,
    block_cols: usize,
}

impl Grid {
    fn of(tensor: &Tensor) -> Result<Grid, LayoutError> {
        let (rows, cols, block_rows, block_cols) = match tensor.shape.as_slice() {
            [n] if *n > 0 => (1, *n, 1, BLOCK),
            [n, m] if *n > 0 && *m > 0 => (*n, *m, BLOCK_SIDE, BLOCK_SIDE),
            _ => {
                return Err(LayoutError::Shape {
                    tensor: tensor.name.clone(),
                    shape: tensor.shape.clone(),
                })
            }
        };
        let len = u64::from(rows) * u64::from(cols);
        if len > 1 << 32 || usize::try_from(len).is_err() {
            let tensor = tensor.name.clone();
            return Err(LayoutError::TensorTooLarge { tensor });
        }
        Ok(Grid {
            rows: rows as usize,
            cols: cols as usize,
            block_rows,
            block_cols,
        })
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.rows * self.cols
    }

    /// Elements of every strip but the last, which may have fewer.
    pub(crate) fn strip_len(&self) -> usize {
        self.block_rows * self.cols
    }

    /// Number of strips.
    pub(crate) fn strip_count(&self) -> usize {
        self.rows.div_ceil(self.block_rows)
    }

    /// Strip `number`, counted from the top.
    pub(crate) fn strip(&self, number: usize) -> Strip {
        let first_row = number * self.block_rows;
        Strip {
            start: first_row * self.cols,
            rows: self.block_rows.min(self.rows.saturating_sub(first_row)),
            cols: self.cols,
            block_cols: self.block_cols,
        }
    }

    /// All strips from the top.
    pub(crate) fn strips(&self) -> impl Iterator<Item = Strip> + '_ {
        (0..self.strip_count()).map(|number| self.strip(number))
    }

    /// All blocks in the order in which they are sent: strip by strip, each from the left.
    pub(crate) fn blocks(&self, kept: usize) -> impl Iterator<Item = Block> + '_ {
        self.strips().flat_map(move |strip| strip.blocks(kept))
    }
}

/// A row of blocks: a contiguous piece of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Strip {
    /// Index of its first element within the tensor.
    pub(crate) start: usize,
    rows: usize,
    /// Elements from one row to the next.
    pub(crate) cols: usize,
    block_cols: usize,
}

/// A block of a strip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Its first column.
    pub(crate) col: usize,
    /// Its columns.
    pub(crate) width: usize,
    /// Its elements.
    pub(crate) len: usize,
    /// How many of them are sent.
    pub(crate) keep: usize,
}

/// A value that is sent, by its place within its block (row by row).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Entry {
    pub(crate) place: u16,
    pub(crate) value: f32,
}

impl Strip {
    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.rows * self.cols
    }

    /// Its blocks from the left. Of a block of `len` elements, max(1, round(len · kept / 4096)) are sent.
    pub(crate) fn blocks(self, kept: usize) -> impl Iterator<Item = Block> {
        (0..self.cols).step_by(self.block_cols).map(move |col| {
            let width = self.block_cols.min(self.cols - col);
            let len = self.rows * width;
            let keep = ((len * kept + BLOCK / 2) / BLOCK).max(1);
            Block {
                col,
                width,
                len,
                keep,
            }
        })
    }

    /// Appends the strip's entries, given block by block, in ascending order of their index in the tensor.
    ///
    /// A counting sort by rows: blocks come from the left and are themselves row by row, so that within a
    /// row the columns are already in order.
    pub(crate) fn to_flat(
        self,
        kept: usize,
        entries: &[Entry],
        indices: &mut Vec<u32>,
        values: &mut Vec<f32>,
    ) {
        let mut next = vec![0usize; self.rows + 1];
        for (block, of_block) in self.with_entries(kept, entries) {
            for entry in of_block {
                next[usize::from(entry.place) / block.width + 1] += 1;
            }
        }
        for row in 1..next.len() {
            next[row] += next[row - 1];
        }
        let before = indices.len();
        indices.resize(before + entries.len(), 0);
        values.resize(before + entries.len(), 0.0);
        for (block, of_block) in self.with_entries(kept, entries) {
            for entry in of_block {
                let (row, col) = split_place(entry.place, block.width);
                let at = before + next[row];
                next[row] += 1;
                indices[at] = (self.start + row * self.cols + block.col + col) as u32;
                values[at] = entry.value;
            }
        }
    }

    /// The strip's entries block by block, from those given in ascending order of their index in the
    /// tensor, which must lie within the strip. If a block would get another number of entries than it has
    /// to send: that block's number within the strip.
    pub(crate) fn to_blocks(
        self,
        kept: usize,
        indices: &[u32],
        values: &[f32],
    ) -> Result<Vec<Entry>, usize> {
        let blocks: Vec<Block> = self.blocks(kept).collect();
        let ends: Vec<usize> = blocks
            .iter()
            .scan(0, |end, block| {
                *end += block.keep;
                Some(*end)
            })
            .collect();
        let mut next: Vec<usize> = blocks
            .iter()
            .zip(&ends)
            .map(|(b, end)| end - b.keep)
            .collect();
        let mut entries = vec![Entry::default(); ends.last().copied().unwrap_or(0)];
        for (index, value) in indices.iter().zip(values) {
            let within = *index as usize - self.start;
            let (row, col) = (within / self.cols, within % self.cols);
            let number = col / self.block_cols;
            if next[number] == ends[number] {
                return Err(number);
            }
            let block = blocks[number];
            let place = row * block.width + col - block.col;
            entries[next[number]] = Entry {
                place: place as u16,
                value: *value,
            };
            next[number] += 1;
        }
        match next.iter().zip(&ends).position(|(next, end)| next != end) {
            Some(short) => Err(short),
            None => Ok(entries),
        }
    }

    /// The blocks, each with its part of `entries`.
    pub(crate) fn with_entries(
        self,
        kept: usize,
        entries: &[Entry],
    ) -> impl Iterator<Item = (Block, &[Entry])> {
        let mut start = 0;
        self.blocks(kept).map(move |block| {
            let of_block = &entries[start..start + block.keep];
            start += block.keep;
            (block, of_block)
        })
    }
}

/// Row and column of a place within a block of this width.
pub(crate) fn split_place(place: u16, width: usize) -> (usize, usize) {
    (usize::from(place) / width, usize::from(place) % width)
}

#[cfg(test)]
mod tests {
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
        let blocks: Vec<Block> = grid(&[70, 130]).blocks(64).collect();
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
        let sizes: Vec<_> = grid(&[9_000])
            .blocks(32)
            .map(|b| (b.col, b.len, b.keep))
            .collect();
        // 808 · 32 / 4096 = 6.3
        assert_eq!(sizes, [(0, 4_096, 32), (4_096, 4_096, 32), (8_192, 808, 6)]);
    }

    #[test]
    fn halves_are_rounded_up() {
        let keeps = |n| grid(&[n]).blocks(64).map(|b| b.keep).collect::<Vec<_>>();
        assert_eq!(
            (keeps(95), keeps(96), keeps(97)),
            (vec![1], vec![2], vec![2])
        );
    }

    #[test]
    fn elements_are_found_in_their_blocks_and_back() {
        let grid = grid(&[70, 130]);
        let (mut indices, mut values) = (Vec::new(), Vec::new());
        for strip in grid.strips() {
            let all: Vec<u32> = (strip.start..strip.start + strip.len())
                .map(|i| i as u32)
                .collect();
            let as_values: Vec<f32> = all.iter().map(|i| *i as f32).collect();
            let entries = strip
                .to_blocks(BLOCK, &all, &as_values)
                .expect("all are sent");
            if strip.start == 0 {
                // element (1, 65) is in the second block, row 1, column 1
                assert_eq!(
                    (entries[4_096 + 65].place, entries[4_096 + 65].value),
                    (65, 195.0)
                );
            }
            strip.to_flat(BLOCK, &entries, &mut indices, &mut values);
        }
        let all: Vec<u32> = (0..70 * 130).collect();
        assert_eq!(indices, all);
        assert!(values
            .iter()
            .zip(&all)
            .all(|(value, index)| *value == *index as f32));
    }

    #[test]
    fn a_block_with_the_wrong_number_of_entries_is_named() {
        let strip = grid(&[64, 128]).strip(0);
        // one value per block: the second has none, or the first has two
        assert_eq!(strip.to_blocks(1, &[3], &[1.0]), Err(1));
        assert_eq!(strip.to_blocks(1, &[3, 4], &[1.0; 2]), Err(0));
    }

    #[test]
    fn impossible_tensors_are_refused() {
        for shape in [&[][..], &[0], &[3, 0], &[0, 3], &[2, 2, 2]] {
            let error = Plan::new(&Layout(vec![tensor(shape)])).expect_err("impossible");
            assert!(matches!(error, LayoutError::Shape { .. }), "{error}");
        }
        let error = Plan::new(&Layout(vec![tensor(&[1 << 16, (1 << 16) + 1])]));
        assert!(matches!(error, Err(LayoutError::TensorTooLarge { .. })));
        let vast = Layout(vec![tensor(&[u32::MAX]); 16]);
        assert_eq!(
            Plan::new(&vast).map(|plan| plan.parameters),
            Ok(16 * u32::MAX as usize)
        );
        assert_eq!(checked_kept(0), Err(LayoutError::Kept { kept: 0 }));
        assert_eq!(checked_kept(4_097), Err(LayoutError::Kept { kept: 4_097 }));
        assert_eq!(checked_kept(4_096), Ok(4_096));
    }
}
