//! Those of a block's elements among which the largest are.

use cairn_primitives::blocks::{HIGH, NEGATIVE, PLACE};

use crate::blocks::{BLOCK, BLOCK_SIDE};
use crate::level::{Level, Levels};
use crate::select::{magnitude, Chosen, SIGN};
use crate::simd::Lanes;

/// Candidates that are added at once.
const AT_ONCE: usize = 8;
/// Elements of a block, and what may be added at once.
const ROOM: usize = BLOCK + BLOCK_SIDE;

/// Elements that reach a threshold.
pub(crate) struct Candidates {
    /// Their places, ascending, with their signs, and their magnitudes; and room behind the last of a whole block.
    pub(crate) codes: [u16; ROOM],
    magnitudes: [u32; ROOM],
    /// What is left of their values.
    pub(crate) left: [f32; ROOM],
    /// How many there are.
    pub(crate) count: usize,
}

impl Candidates {
    pub(crate) fn new() -> Candidates {
        Candidates {
            codes: [0; ROOM],
            magnitudes: [0; ROOM],
            left: [0.0; ROOM],
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

    /// Adds the magnitudes of a set of a row's elements, and nothing else of them.
    #[inline(always)]
    pub(crate) fn add_magnitudes<L: Lanes>(&mut self, row: &[u32; BLOCK_SIDE], set: u64) {
        let behind = self.magnitudes.get_mut(self.count..).unwrap_or_default();
        if let Some(to) = behind.first_chunk_mut::<BLOCK_SIDE>() {
            self.count += L::compress(row, set, to);
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
        let equal = |one: &&u32| **one == chosen.smallest;
        self.magnitudes().iter().filter(equal).count() > chosen.ties
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

    /// Marks what has the high level, and makes of all values what is left of them: of those that are not chosen, all.
    #[inline(always)]
    pub(crate) fn quantise(&mut self, chosen: &Chosen) {
        let threshold = magnitude(chosen.threshold);
        let Levels { low, high } = chosen.levels;
        // there is no −0 on the wire
        let sign_of_low = if low == Level::ZERO { 0 } else { SIGN };
        let [low, high] = [low, high].map(|level| level.to_f32().to_bits());
        let all = self.codes.iter_mut().zip(&self.magnitudes);
        for ((code, magnitude), left) in all.zip(&mut self.left).take(self.count) {
            // all ones, or none
            let is_high = u32::from(*magnitude >= threshold).wrapping_neg();
            let sign = u32::from(*code & NEGATIVE) << 16;
            let sent = sign & (is_high | sign_of_low);
            let level = is_high & high | !is_high & low | sent;
            *code = *code & PLACE | is_high as u16 & HIGH | (sent >> 16) as u16;
            let is_chosen = u32::from(*magnitude >= chosen.smallest).wrapping_neg();
            *left = f32::from_bits(*magnitude | sign) - f32::from_bits(level & is_chosen);
        }
    }

    /// The codes of those that are chosen.
    #[inline(always)]
    pub(crate) fn take(&self, chosen: &Chosen, codes: &mut [u16]) {
        let mut taken = 0;
        for (code, magnitude) in self.codes.iter().zip(self.magnitudes()) {
            // whether one is chosen is hard to predict, so it is no branch; behind the last there is no room
            if let Some(to) = codes.get_mut(taken) {
                *to = *code;
            }
            taken += usize::from(*magnitude >= chosen.smallest);
        }
    }
}
