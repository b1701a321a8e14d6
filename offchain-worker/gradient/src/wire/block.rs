//! How one block is written.
//!
//! In this order: its high level, its low level, its values' gaps and signs, and, where the levels differ, which of
//! the values have the high one. Where it is known which values are sent there are no gaps.

use cairn_primitives::blocks::{HIGH, NEGATIVE, PLACE};

use super::rice::{Costs, Parameters};
use crate::bits::{BitReader, BitWriter};
use crate::blocks::{Block, Kept, BLOCK};
use crate::level::{Level, Levels};
use crate::simd::Lanes;

/// Values that are looked at at once.
const LANES: usize = 64;
/// Signs that are written or read at once.
const SIGNS: usize = 32;

/// Gaps or runs of one block; they add up to less than 4,096.
pub(super) struct Short {
    numbers: [u16; BLOCK],
    len: usize,
    /// Behind which values runs begin: the first is no value, and there is room behind those of a whole block.
    behind: [u32; 1 + BLOCK + LANES],
}

impl Short {
    pub(super) fn new() -> Short {
        Short {
            numbers: [0; BLOCK],
            len: 0,
            behind: [0; 1 + BLOCK + LANES],
        }
    }

    #[inline(always)]
    fn push(&mut self, number: u16) {
        if let Some(place) = self.numbers.get_mut(self.len) {
            *place = number;
            self.len += 1;
        }
    }

    #[inline(always)]
    fn of(&self) -> &[u16] {
        &self.numbers[..self.len]
    }

    /// How many places are left out before each value.
    #[inline(always)]
    fn set_to_gaps(&mut self, codes: &[u16]) {
        self.len = codes.len().min(BLOCK);
        let Some((first, _)) = codes.split_first() else {
            return;
        };
        self.numbers[0] = first & PLACE;
        for (gap, pair) in self.numbers[1..].iter_mut().zip(codes.windows(2)) {
            *gap = (pair[1] & PLACE)
                .wrapping_sub(pair[0] & PLACE)
                .wrapping_sub(1);
        }
    }

    /// How many low values come before each high one, and behind the last.
    #[inline(always)]
    fn set_to_runs<L: Lanes>(&mut self, codes: &[u16]) {
        // behind each high value, and behind a place before all
        let mut highs = 0;
        for (first, some) in (1..).step_by(LANES).zip(codes.chunks(LANES)) {
            let (mut is_high, mut behind) = ([0; LANES], [0; LANES]);
            for (is_high, code) in is_high.iter_mut().zip(some) {
                *is_high = u32::from(code & HIGH);
            }
            for (place, behind) in behind.iter_mut().enumerate() {
                *behind = u32::wrapping_add(first, place as u32);
            }
            let set = L::at_least(&is_high, u32::from(HIGH));
            let to = self.behind.get_mut(1 + highs..).unwrap_or_default();
            if let Some(to) = to.first_chunk_mut() {
                highs += L::compress(&behind, set, to);
            }
        }
        let pairs = self.behind.iter().zip(&self.behind[1..]);
        for (run, (before, behind)) in self.numbers.iter_mut().zip(pairs).take(highs) {
            *run = behind.wrapping_sub(*before).wrapping_sub(1) as u16;
        }
        self.len = highs;
        let last = self.behind.get(highs).copied().unwrap_or_default();
        let run = codes.len() as u16 - last as u16;
        if run > 0 {
            self.push(run);
        }
    }
}

/// A difference as a number that is not negative: 0, −1, 1, −2 … become 0, 1, 2, 3 …
#[inline(always)]
fn folded(difference: i32) -> u32 {
    (difference << 1 ^ difference >> 31) as u32
}

#[inline(always)]
fn unfolded(number: u32) -> i32 {
    (number >> 1) as i32 ^ -((number & 1) as i32)
}

/// The high level's difference to the one of the block before.
#[inline(always)]
fn high_number(levels: Levels, before: Level) -> u32 {
    folded(levels.high.bits() as i32 - before.bits() as i32)
}

#[inline(always)]
fn low_number(levels: Levels) -> u32 {
    levels.high.bits() - levels.low.bits()
}

/// How all blocks of a tensor are written.
#[derive(Clone, Copy)]
pub(super) struct Way {
    pub(super) parameters: Parameters,
    /// If it is known which values these are, there are no gaps.
    pub(super) kept: Kept,
}

/// Counts what a block costs. `before` is the high level of the block before, if there is one; `is_known` says that no
/// places are said.
#[inline(always)]
pub(super) fn count<L: Lanes>(
    costs: &mut Costs,
    scratch: &mut Short,
    is_known: bool,
    before: Option<Level>,
    levels: Levels,
    codes: &[u16],
) {
    if let Some(before) = before {
        costs.high.add(high_number(levels, before));
    }
    costs.low.add(low_number(levels));
    if !is_known {
        scratch.set_to_gaps(codes);
        costs.gap.add_short(scratch.of());
    }
    if levels.low < levels.high {
        scratch.set_to_runs::<L>(codes);
        costs.run.add_short(scratch.of());
    }
}

/// Writes a block.
#[inline(always)]
pub(super) fn write<L: Lanes>(
    bits: &mut BitWriter,
    scratch: &mut Short,
    Way { parameters, kept }: Way,
    before: Option<Level>,
    levels: Levels,
    codes: &[u16],
) {
    match before {
        None => bits.push(levels.high.bits(), Level::BITS),
        Some(before) => bits.push_rice(high_number(levels, before), parameters.high),
    }
    bits.push_rice(low_number(levels), parameters.low);
    match kept.is_known() {
        true => write_signs(bits, codes),
        false => write_gaps_and_signs(bits, scratch, parameters, codes),
    }
    if levels.low < levels.high {
        scratch.set_to_runs::<L>(codes);
        bits.push_rices(parameters.run, scratch.of());
    }
}

#[inline(always)]
fn write_signs(bits: &mut BitWriter, codes: &[u16]) {
    for some in codes.chunks(SIGNS) {
        let add = |signs: u32, code: &u16| signs << 1 | u32::from(code / NEGATIVE);
        bits.push(some.iter().fold(0, add), some.len() as u32);
    }
}

/// A gap with the sign behind it is a number of a larger parameter.
#[inline(always)]
fn write_gaps_and_signs(
    bits: &mut BitWriter,
    scratch: &mut Short,
    parameters: Parameters,
    codes: &[u16],
) {
    scratch.set_to_gaps(codes);
    for (gap, code) in scratch.numbers.iter_mut().zip(codes) {
        *gap = (*gap << 1) | (code / NEGATIVE);
    }
    bits.push_rices(parameters.gap + 1, scratch.of());
}

/// What can be wrong within a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    LevelTooLarge,
    LevelUnused,
    RunTooLong,
    NegativeZero,
    OutsideBlock,
}

/// Reads a block into `codes`, one per value, and counts what it costs. Zeros behind the end of `bits` may be taken for
/// part of it.
#[inline(always)]
pub(super) fn read(
    bits: &mut BitReader,
    costs: &mut Costs,
    scratch: &mut Short,
    Way { parameters, kept }: Way,
    before: Option<Level>,
    block: Block,
    codes: &mut [u16],
) -> Result<Levels, Fault> {
    let levels = read_levels(bits, costs, parameters, before)?;
    match kept {
        Kept::Largest(BLOCK) => read_signs(bits, codes),
        Kept::Turn(turn) => {
            read_signs(bits, codes);
            for (code, place) in codes.iter_mut().zip(turn.places(block)) {
                *code = *code & NEGATIVE | place;
            }
        }
        Kept::Largest(_) => {
            read_gaps_and_signs(bits, parameters, block, codes)?;
            scratch.set_to_gaps(codes);
            costs.gap.add_short(scratch.of());
        }
    }
    if levels.low < levels.high {
        read_runs(bits, scratch, parameters, codes)?;
        costs.run.add_short(scratch.of());
    }
    let is_negative_zero = |code: &u16| code & (HIGH | NEGATIVE) == NEGATIVE;
    if levels.low == Level::ZERO && codes.iter().any(is_negative_zero) {
        return Err(Fault::NegativeZero);
    }
    Ok(levels)
}

/// As many places as there are codes, with a sign each.
#[inline(always)]
fn read_signs(bits: &mut BitReader, codes: &mut [u16]) {
    let mut place = 0;
    for some in codes.chunks_mut(SIGNS) {
        let count = some.len() as u32;
        let mut signs = bits.read(count).wrapping_shl(SIGNS as u32 - count);
        for code in some {
            *code = (place & PLACE) | ((signs >> 31) as u16 * NEGATIVE);
            signs <<= 1;
            place = place.wrapping_add(1);
        }
    }
}

#[inline(always)]
fn read_gaps_and_signs(
    bits: &mut BitReader,
    parameters: Parameters,
    block: Block,
    codes: &mut [u16],
) -> Result<(), Fault> {
    let mut next = 0;
    let mut take = |code: &mut u16, gap_and_sign: u32| {
        let place = next + (gap_and_sign >> 1);
        *code = place as u16 & PLACE | (gap_and_sign as u16 & 1) << 15;
        next = place + 1;
    };
    let (fours, rest) = codes.as_chunks_mut::<4>();
    for four in fours {
        let numbers = bits.read_rices::<4>(parameters.gap, 1);
        for (code, number) in four.iter_mut().zip(numbers) {
            take(code, number);
        }
    }
    for code in rest {
        take(code, bits.read_rice(parameters.gap, 1));
    }
    match next as usize > block.len {
        true => Err(Fault::OutsideBlock),
        false => Ok(()),
    }
}

#[inline(always)]
fn read_levels(
    bits: &mut BitReader,
    costs: &mut Costs,
    parameters: Parameters,
    before: Option<Level>,
) -> Result<Levels, Fault> {
    let high = match before {
        None => i64::from(bits.read(Level::BITS)),
        Some(before) => {
            let number = bits.read_rice(parameters.high, 0);
            costs.high.add(number);
            i64::from(before.bits()) + i64::from(unfolded(number))
        }
    };
    let level = |bits: i64| {
        let bits = u32::try_from(bits).ok();
        bits.and_then(Level::from_bits).ok_or(Fault::LevelTooLarge)
    };
    let below = bits.read_rice(parameters.low, 0);
    costs.low.add(below);
    Ok(Levels {
        high: level(high)?,
        low: level(high - i64::from(below))?,
    })
}

/// Marks the values of the high level; `runs` gets the runs of low ones.
#[inline(always)]
fn read_runs(
    bits: &mut BitReader,
    runs: &mut Short,
    parameters: Parameters,
    codes: &mut [u16],
) -> Result<(), Fault> {
    runs.len = 0;
    let (mut at, mut highs) = (0usize, 0usize);
    let mut is_too_long = false;
    while at < codes.len() {
        bits.read_rices_while(parameters.run, |run| {
            let run = run as usize;
            is_too_long = run > codes.len() - at;
            if is_too_long {
                return false;
            }
            runs.push(run as u16);
            at += run;
            if let Some(code) = codes.get_mut(at) {
                *code |= HIGH;
                highs += 1;
            }
            at += 1;
            at < codes.len()
        });
        if is_too_long {
            return Err(Fault::RunTooLong);
        }
    }
    if highs == 0 || highs == codes.len() {
        return Err(Fault::LevelUnused);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn differences_are_folded_and_unfolded(difference in -40_000i32..40_000) {
            prop_assert_eq!(unfolded(folded(difference)), difference);
            prop_assert!(folded(difference) <= 2 * difference.unsigned_abs());
        }
    }
}
