//! A layout, cut into the blocks of `cairn_primitives::blocks`.

use std::ops::Range;

use cairn_primitives::Layout;

pub(crate) use cairn_primitives::blocks::{Block, Grid, Strip};
pub use cairn_primitives::blocks::{Kept, LayoutError, Turn, BLOCK, BLOCK_SIDE};

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

#[cfg(test)]
mod tests {
    use cairn_primitives::Tensor;

    use super::*;

    fn plan(shapes: &[&[u32]]) -> Result<Plan, LayoutError> {
        let tensor = |shape: &&[u32]| Tensor {
            name: "t".into(),
            shape: shape.to_vec(),
        };
        Plan::new(&Layout(shapes.iter().map(tensor).collect()))
    }

    #[test]
    fn tensors_lie_behind_each_other_and_impossible_ones_are_refused() {
        let made = plan(&[&[70, 130], &[5]]).expect("possible");
        assert_eq!(made.ranges, [0..9_100, 9_100..9_105]);
        assert_eq!(made.parameters, 9_105);
        let error = plan(&[&[70, 130], &[0]]).expect_err("impossible");
        assert!(matches!(error, LayoutError::Shape { .. }), "{error}");
        let vast = plan(&[&[u32::MAX][..]; 16]).map(|plan| plan.parameters);
        assert_eq!(vast, Ok(16 * u32::MAX as usize));
    }
}
