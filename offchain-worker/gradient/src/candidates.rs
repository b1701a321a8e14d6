//! Those of a block's elements among which the largest are.

use cairn_primitives::blocks::{HIGH, NEGATIVE, PLACE};

use crate::blocks::{BLOCK, BLOCK_SIDE};
use crate::level::{Level, Levels};
use crate::select::{magnitude, Chosen};
use crate::simd::{Lanes, SIGN};

/// Candidates that are added at once.
const AT_ONCE: usize = 8;
/// Elements of a block, and what may be added at once.
const ROOM: usize = BLOCK + BLOCK_SIDE;

/// Elements that reach a threshold.
pub(crate) struct Candidates {
    /// Their places, ascending, with their signs, and their magnitudes; and room behind the last of a whole block.
    pub(crate) codes: [u16; ROOM],
    magnitudes: [u32; ROOM],
    /// How many there are.
    pub(crate) count: usize,
}

impl Candidates {
    pub(crate) fn new() -> Candidates {
        Candidates {
            codes: [0; ROOM],
            magnitudes: [0; ROOM],
            count: 0,
        }
    }

    /// Adds a set of 64 elements, of which the first is at place `first`: some at once, so that how many there are is
    /// foreseen more often. Those too many are overwritten.
    #[inline(always)]
    pub(crate) fn add(&mut self, first: usize, mut set: u64, value: impl Fn(usize) -> f32) {
        let mut at = self.count;
        self.count += set.count_ones() as usize;
        while set != 0 {
            let codes = self.codes.get_mut(at..).unwrap_or_default();
            let magnitudes = self.magnitudes.get_mut(at..).unwrap_or_default();
            let (Some(codes), Some(magnitudes)) = (
                codes.first_chunk_mut::<AT_ONCE>(),
                magnitudes.first_chunk_mut::<AT_ONCE>(),
            ) else {
                return;
            };
            for (code, to) in codes.iter_mut().zip(magnitudes) {
                let place = set.trailing_zeros() as usize % BLOCK_SIDE;
                *code = (first + place) as u16;
                *to = value(place).to_bits();
                set &= set.wrapping_sub(1);
            }
            at += AT_ONCE;
        }
    }

    /// Adds one element.
    #[inline(always)]
    pub(crate) fn add_one(&mut self, place: u16, value: f32) {
        let to = (
            self.codes.get_mut(self.count),
            self.magnitudes.get_mut(self.count),
        );
        if let (Some(code), Some(to)) = to {
            *code = place | (value.to_bits() >> 16) as u16 & NEGATIVE;
            *to = magnitude(value);
            self.count += 1;
        }
    }

    /// Makes of a row of error feedback β times it and the pseudo-gradient, and [picks](Candidates::pick) of that.
    #[inline(always)]
    pub(crate) fn sum_and_pick<L: Lanes>(
        &mut self,
        (beta, error, delta): (f32, &mut [f32; BLOCK_SIDE], &[f32; BLOCK_SIDE]),
        first: u16,
        threshold: u32,
    ) {
        let magnitudes = self.magnitudes.get_mut(self.count..).unwrap_or_default();
        let codes = self.codes.get_mut(self.count..).unwrap_or_default();
        let to = (magnitudes.first_chunk_mut(), codes.first_chunk_mut());
        if let (Some(magnitudes), Some(codes)) = to {
            let to = (magnitudes, codes);
            self.count += L::sum_and_pick(beta, error, delta, first, threshold, to);
        }
    }

    /// Adds those of a row's elements, of which the first is at place `first`, that reach a threshold. Their signs are at
    /// their places at once.
    #[inline(always)]
    pub(crate) fn pick<L: Lanes>(&mut self, row: &[f32; BLOCK_SIDE], first: u16, threshold: u32) {
        let magnitudes = self.magnitudes.get_mut(self.count..).unwrap_or_default();
        let codes = self.codes.get_mut(self.count..).unwrap_or_default();
        let to = (magnitudes.first_chunk_mut(), codes.first_chunk_mut());
        if let (Some(magnitudes), Some(codes)) = to {
            self.count += L::pick(row, first, threshold, magnitudes, codes);
        }
    }

    /// The signs of those that were added go from where magnitudes will be to their places.
    #[inline(always)]
    pub(crate) fn part_signs(&mut self) {
        let codes = self.codes.iter_mut().zip(&mut self.magnitudes);
        for (code, bits) in codes.take(self.count) {
            *code |= (*bits >> 16) as u16 & NEGATIVE;
            *bits &= !SIGN;
        }
    }

    #[inline(always)]
    pub(crate) fn magnitudes(&self) -> &[u32] {
        &self.magnitudes[..self.count]
    }

    /// Whether more are as small as the smallest that is chosen than are chosen.
    #[inline(always)]
    pub(crate) fn are_more(&self, chosen: &Chosen) -> bool {
        let mut equal = 0u32;
        for one in self.magnitudes() {
            equal = equal.wrapping_add(u32::from(*one == chosen.smallest));
        }
        equal as usize > chosen.ties
    }

    /// Of those as small as the smallest that is chosen, leaves out all but the first that are chosen.
    #[inline(always)]
    pub(crate) fn leave_out(&mut self, chosen: &Chosen) {
        if !self.are_more(chosen) {
            return;
        }
        let (smallest, mut ties) = (chosen.smallest, chosen.ties);
        let mut left = 0;
        for at in 0..self.count {
            let (code, magnitude) = (self.codes[at], self.magnitudes[at]);
            if magnitude == smallest {
                if ties == 0 {
                    continue;
                }
                ties -= 1;
            }
            (self.codes[left], self.magnitudes[left]) = (code, magnitude);
            left += 1;
        }
        self.count = left;
    }

    /// Sends those that are chosen: writes their codes to `codes`, and what is left of them to the strip, to where `at`
    /// says that a place is. Of those as small as the smallest chosen there are no more than are
    /// [chosen](Candidates::leave_out).
    #[inline(always)]
    pub(crate) fn send<L: Lanes>(
        &mut self,
        chosen: &Chosen,
        strip: &mut [f32],
        at: impl Fn(usize) -> usize,
        codes: &mut [u16],
    ) {
        let (split, mut sent) = (Split::of(chosen), 0);
        let rows = self.magnitudes.as_chunks::<BLOCK_SIDE>().0.iter();
        for (number, magnitudes) in rows.enumerate() {
            let first = BLOCK_SIDE * number;
            let in_row = self.count.saturating_sub(first).min(BLOCK_SIDE);
            let of_row = self.codes.get(first..).unwrap_or_default();
            let Some(of_row) = of_row.first_chunk::<BLOCK_SIDE>().filter(|_| in_row > 0) else {
                break;
            };
            let (mut of_sent, mut left) = ([0; BLOCK_SIDE], [0; BLOCK_SIDE]);
            let all = magnitudes.iter().zip(of_row);
            for ((to, left), (magnitude, code)) in of_sent.iter_mut().zip(&mut left).zip(all) {
                (*to, *left) = split.value(*magnitude, (*code).into());
            }
            let set = L::at_least(magnitudes, chosen.smallest) & u64::MAX >> (BLOCK_SIDE - in_row);
            let (mut moved, mut of_moved) = ([0; BLOCK_SIDE], [0; BLOCK_SIDE]);
            let more = L::compress(&of_sent, set, &mut moved);
            L::compress(&left, set, &mut of_moved);
            for (code, left) in moved.iter().zip(of_moved).take(more) {
                if let Some(to) = strip.get_mut(at(*code as usize & usize::from(PLACE))) {
                    *to = f32::from_bits(left);
                }
            }
            // never beyond this row, which has been read
            let behind = self.codes.get_mut(sent..).unwrap_or_default();
            for (to, code) in behind.iter_mut().zip(moved) {
                *to = code as u16;
            }
            sent += more;
        }
        for (to, code) in codes.iter_mut().zip(&self.codes) {
            *to = *code;
        }
    }
}

/// What values are split into: what is sent of them, and what is left.
#[derive(Clone, Copy)]
struct Split {
    smallest: i32,
    threshold: i32,
    low: u32,
    high: u32,
    /// There is no −0 on the wire.
    sign_of_low: u32,
}

impl Split {
    #[inline(always)]
    fn of(chosen: &Chosen) -> Split {
        let Levels { low, high } = chosen.levels;
        Split {
            // magnitudes are below 2³¹, and CPUs compare signed integers
            smallest: chosen.smallest as i32,
            threshold: magnitude(chosen.threshold) as i32,
            low: low.to_f32().to_bits(),
            high: high.to_f32().to_bits(),
            sign_of_low: if low == Level::ZERO { 0 } else { SIGN },
        }
    }

    /// The code of a value with this magnitude, and with the place and sign of another code; and the bits of what is left of
    /// the value: all, if its magnitude is below the smallest chosen.
    #[inline(always)]
    fn value(&self, magnitude: u32, code: u32) -> (u32, u32) {
        // all ones, or none
        let mask = |is: bool| u32::from(is).wrapping_neg();
        let is_high = mask(magnitude as i32 >= self.threshold);
        let sign = code << 16 & SIGN;
        let of_sent = sign & (is_high | self.sign_of_low);
        let level = is_high & self.high | !is_high & self.low | of_sent;
        let sent = level & mask(magnitude as i32 >= self.smallest);
        let high = is_high & u32::from(HIGH);
        let code = code & u32::from(PLACE) | high | of_sent >> 16;
        let left = f32::from_bits(magnitude | sign) - f32::from_bits(sent);
        (code, left.to_bits())
    }
}
