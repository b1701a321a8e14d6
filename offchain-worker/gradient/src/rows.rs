//! Full blocks of which many values are sent, row by row.
//!
//! Where one value in eight is sent, hardly a vector of elements has none, so that each element is gone through once
//! more when it is known what is sent: that takes less time than to go from one value to the next.

use cairn_primitives::blocks::{HIGH, NEGATIVE};

use crate::blocks::{BLOCK, BLOCK_SIDE};
use crate::level::Level;
use crate::select::{Chosen, SIGN};
use crate::simd::Lanes;

/// Sends what is chosen of a block.
pub(crate) struct Sending {
    /// Codes, and room behind the last of a whole block.
    codes: [u32; BLOCK + BLOCK_SIDE],
}

impl Sending {
    pub(crate) fn new() -> Sending {
        Sending {
            codes: [0; BLOCK + BLOCK_SIDE],
        }
    }

    /// Writes the codes of a full block's chosen values to `codes`, in ascending order of their places, and leaves of
    /// each value what is not sent. The block begins at column `col` of the strip. More than the chosen may be as large
    /// as the smallest chosen, if `are_more`.
    #[inline(always)]
    pub(crate) fn send<L: Lanes>(
        &mut self,
        chosen: &Chosen,
        are_more: bool,
        strip: &mut [f32],
        (cols, col): (usize, usize),
        codes: &mut [u16],
    ) {
        let (mut count, mut ties) = (0, chosen.ties);
        let pattern = Pattern::of(chosen);
        for (number, row) in strip.chunks_mut(cols).enumerate() {
            let row = row.get_mut(col..).unwrap_or_default();
            let Some(row) = row.first_chunk_mut::<BLOCK_SIDE>() else {
                return;
            };
            let before = are_more.then_some(*row);
            let mut magnitudes = [0; BLOCK_SIDE];
            let mut of_row = [0; BLOCK_SIDE];
            let first = (number * BLOCK_SIDE) as u32;
            let all = row.iter_mut().zip(&mut magnitudes).zip(&mut of_row);
            for (place, ((value, magnitude), code)) in all.enumerate() {
                *magnitude = value.to_bits() & !SIGN;
                let (sent, of_value) = pattern.sent(*value);
                *value -= sent;
                *code = of_value | (first + place as u32);
            }
            let mut set = L::at_least(&magnitudes, chosen.smallest);
            if let Some(before) = before {
                let equal = set & !L::at_least(&magnitudes, chosen.smallest + 1);
                let beyond = behind_the_first(equal, &mut ties);
                set &= !beyond;
                for (place, (value, before)) in row.iter_mut().zip(before).enumerate() {
                    if beyond >> place & 1 == 1 {
                        *value = before;
                    }
                }
            }
            let behind = self.codes.get_mut(count..).unwrap_or_default();
            if let Some(to) = behind.first_chunk_mut::<BLOCK_SIDE>() {
                count += L::compress(&of_row, set, to);
            }
        }
        for (to, code) in codes.iter_mut().zip(&self.codes) {
            *to = *code as u16;
        }
    }
}

/// Of a set's elements all but the first few, of which so many fewer are left.
#[inline(always)]
fn behind_the_first(mut set: u64, few: &mut usize) -> u64 {
    while set != 0 && *few > 0 {
        set &= set - 1;
        *few -= 1;
    }
    set
}

/// What is sent for a value, as bits.
#[derive(Clone, Copy)]
struct Pattern {
    smallest: i32,
    threshold: i32,
    low: u32,
    high: u32,
    /// There is no −0 on the wire.
    sign_of_low: u32,
}

impl Pattern {
    #[inline(always)]
    fn of(chosen: &Chosen) -> Pattern {
        let [low, high] = [chosen.levels.low, chosen.levels.high];
        Pattern {
            // magnitudes are below 2³¹, and CPUs compare signed integers
            smallest: chosen.smallest as i32,
            threshold: chosen.threshold.to_bits() as i32,
            low: low.to_f32().to_bits(),
            high: high.to_f32().to_bits(),
            sign_of_low: if low == Level::ZERO { 0 } else { SIGN },
        }
    }

    /// What is sent of a value, 0 if it is not as large as the smallest chosen; and its code but for its place.
    #[inline(always)]
    fn sent(&self, value: f32) -> (f32, u32) {
        let magnitude = (value.to_bits() & !SIGN) as i32;
        // all ones, or none
        let mask = |is: bool| u32::from(is).wrapping_neg();
        let is_high = mask(magnitude >= self.threshold);
        let sign = value.to_bits() & SIGN & (is_high | self.sign_of_low);
        let level = is_high & self.high | !is_high & self.low | sign;
        let sent = level & mask(magnitude >= self.smallest);
        let code = is_high & u32::from(HIGH) | sign >> 16 & u32::from(NEGATIVE);
        (f32::from_bits(sent), code)
    }
}
