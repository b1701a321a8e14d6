//! How short and how long a contribution can be, known before one byte of it is read.

use cairn_primitives::{Compression, Layout};

use super::rice::{MAX_SHORT, PARAMETER_BYTES};
use super::HEADER_LENGTH;
use crate::blocks::{Grid, Kept, Plan, Turn};
use crate::level::Level;

/// Bits of a value's sign.
const SIGN: u64 = 1;
/// The most bits of a high level behind the first one, if the best parameter is at least as good as 15: the
/// difference, folded, is below 2¹⁶.
const MOST_HIGH: u64 = 17;
/// The most bits of a low level, likewise: the difference is below 2¹⁵.
const MOST_LOW: u64 = 16;

/// The length in bytes that no contribution of a run exceeds, whatever it says. 0 if there can be none,
/// because the layout has a tensor that is neither vector nor matrix or `kept_per_block` is not within
/// 1..=4,096. Where members take turns it is the same for all of them.
///
/// At 64 of 4,096 this is about 15 % above what a usual contribution takes.
pub fn max_encoded_len(layout: &Layout, compression: &Compression) -> u64 {
    let (Ok(plan), Ok(kept)) = (Plan::new(layout), Kept::of(compression)) else {
        return 0;
    };
    let most = |grid: &Grid| match kept {
        Kept::Largest(_) => most_part(grid, kept),
        Kept::Turn(Turn { of, .. }) => {
            let turns = (0..of).map(|number| Kept::Turn(Turn { number, of }));
            turns.map(|kept| most_part(grid, kept)).max().unwrap_or(0)
        }
    };
    let parts = plan.grids.iter().map(most);
    HEADER_LENGTH as u64 + parts.map(|part| length_bytes(part) + part).sum::<u64>()
}

/// Bytes of the length before a part.
pub(super) fn length_bytes(part: u64) -> u64 {
    u64::from(64 - (part | 1).leading_zeros()).div_ceil(7)
}

/// Bytes of a tensor's shortest part: every block has the same one level and gaps of nothing, which take one bit each
/// unless it is known which values are sent.
pub(super) fn least_part(grid: &Grid, kept: Kept) -> u64 {
    let gap = u64::from(!kept.is_known());
    let block = |keep: u64| 2 + keep * (gap + SIGN);
    let blocks = grid
        .sizes(kept)
        .map(|(count, b)| count * block(b.keep as u64));
    bytes(u64::from(Level::BITS) - 1 + blocks.sum::<u64>())
}

/// Bytes of a tensor's longest part.
pub(super) fn most_part(grid: &Grid, kept: Kept) -> u64 {
    let levels_and_signs: u64 = grid
        .sizes(kept)
        .map(|(count, b)| count * (MOST_HIGH + MOST_LOW + b.keep as u64 * SIGN))
        .sum();
    let first = MOST_HIGH - u64::from(Level::BITS);
    bytes(levels_and_signs - first + most_gaps(grid, kept) + most_runs(grid, kept))
}

/// A block's gaps add up to what it does not send at most, and so do their quotients; the best parameter is at
/// least as good as any. Where it is known which values are sent there are none.
fn most_gaps(grid: &Grid, kept: Kept) -> u64 {
    if kept.is_known() {
        return 0;
    }
    let with = |parameter: u32| -> u64 {
        let value = 1 + u64::from(parameter);
        let block = |keep: u64, len: u64| keep * value + ((len - keep) >> parameter);
        let sizes = grid.sizes(kept);
        sizes
            .map(|(count, b)| count * block(b.keep as u64, b.len as u64))
            .sum()
    };
    (0..=MAX_SHORT).map(with).min().unwrap_or(0)
}

/// With parameter 0 runs take a bit for each value and one for the end. One value alone has one level.
fn most_runs(grid: &Grid, kept: Kept) -> u64 {
    let block = |keep: usize| if keep > 1 { keep as u64 + 1 } else { 0 };
    grid.sizes(kept)
        .map(|(count, b)| count * block(b.keep))
        .sum()
}

/// The parameters and the bits.
fn bytes(bits: u64) -> u64 {
    PARAMETER_BYTES as u64 + bits.div_ceil(8)
}
