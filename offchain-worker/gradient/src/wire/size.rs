//! How short and how long a contribution can be, known before one byte of it is read.

use cairn_primitives::{Compression, Layout};

use super::{HEADER_LENGTH, LENGTH_BYTES, LEVEL_BITS, VALUE_BITS};
use crate::bits::MAX_RICE;
use crate::blocks::{checked_kept, Grid, Plan};

/// The length in bytes that no contribution of a run exceeds, whatever it says. 0 if there can be none,
/// because the layout has a tensor that is neither vector nor matrix or `kept_per_block` is not within
/// 1..=4,096.
///
/// At 64 of 4,096 this is about 6 % above what a usual contribution takes.
pub fn max_encoded_len(layout: &Layout, compression: &Compression) -> u64 {
    match (Plan::new(layout), checked_kept(compression.kept_per_block)) {
        (Ok(plan), Ok(kept)) => most(&plan, kept),
        _ => 0,
    }
}

/// Bytes of the longest contribution.
pub(crate) fn most(plan: &Plan, kept: usize) -> u64 {
    prefix(plan)
        + plan
            .grids
            .iter()
            .map(|grid| bytes(most_bits(grid, kept)))
            .sum::<u64>()
}

/// Bytes of the shortest contribution.
pub(crate) fn least(plan: &Plan, kept: usize) -> u64 {
    prefix(plan)
        + plan
            .grids
            .iter()
            .map(|grid| least_tensor(grid, kept))
            .sum::<u64>()
}

/// Bytes of the shortest tensor: all gaps are 0, and take one bit each.
pub(crate) fn least_tensor(grid: &Grid, kept: usize) -> u64 {
    bytes(
        grid.blocks(kept)
            .map(|b| LEVEL_BITS + b.keep as u64 * (1 + VALUE_BITS))
            .sum(),
    )
}

/// Header and table of lengths.
fn prefix(plan: &Plan) -> u64 {
    (HEADER_LENGTH + LENGTH_BYTES * plan.grids.len()) as u64
}

/// The Rice parameter's byte, and the bits.
fn bytes(bits: u64) -> u64 {
    1 + bits.div_ceil(8)
}

/// A block's gaps add up to what it does not send at most, and so do their quotients; the best parameter
/// is at least as good as any.
fn most_bits(grid: &Grid, kept: usize) -> u64 {
    let with = |parameter: u32| -> u64 {
        let value = 1 + u64::from(parameter) + VALUE_BITS;
        let block = |keep: usize, len: usize| {
            LEVEL_BITS + keep as u64 * value + ((len - keep) as u64 >> parameter)
        };
        grid.blocks(kept).map(|b| block(b.keep, b.len)).sum()
    };
    (0..=MAX_RICE).map(with).min().unwrap_or(0)
}
