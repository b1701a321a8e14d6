//! What is compressed and written is what the rules say, done one by one: by sorting whole blocks, trying every split,
//! and writing bit after bit.

use cairn_primitives::{
    blocks::{HIGH, NEGATIVE, PLACE},
    Compression, Nano, Tensor,
};
use proptest::prelude::*;

use crate::blocks::{Block, Grid, Kept, Turn};
use crate::level::Level;
use crate::select::INFINITE;
use crate::simd::Simd;
use crate::wire::encode_part_at;
use crate::{CompressError, Compressor};

/// Kinds of numbers.
const KINDS: u64 = 8;

/// A number of some kind, of either sign, made of random bits.
fn number(kind: u64, random: u64) -> f32 {
    let (upper, sign) = ((random >> 32) as u32, (random as u32) << 31);
    let magnitude = match kind % KINDS {
        // bell-shaped
        0 => {
            let unit = |shift: u32| (random >> shift & 0xFFFF) as f32 / 65_536.0 - 0.5;
            (1e-3 * (unit(16) + unit(32) + unit(48))).abs().to_bits()
        }
        // a few that are the same, zeros among them
        1 => ((upper % 5) as f32).to_bits(),
        // hardly anything but zeros
        2 => (u32::from(upper.is_multiple_of(9)) as f32).to_bits(),
        // subnormal
        3 => upper % 0x0080_0000,
        // subnormal or a little above, many alike
        4 => upper % 64 * 0x0004_0000,
        // next to each other
        5 => 0x3F80_0000 + upper % 200,
        // of every size
        6 => upper % INFINITE,
        // some of each
        _ => return number((random >> 8) % 7, random.rotate_left(7)),
    };
    f32::from_bits(magnitude | sign)
}

fn numbers(count: usize, kind: u64, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    };
    (0..count).map(|_| number(kind, next())).collect()
}

/// What is sent of a tensor, and what is left of it.
#[derive(PartialEq)]
struct Sent {
    codes: Vec<u16>,
    levels: Vec<[u16; 2]>,
    /// The error's bits.
    error: Vec<u32>,
}

/// Compresses what was accumulated, block by block.
fn compressed(grid: Grid, kept: Kept, mut accumulated: Vec<f32>) -> Sent {
    let (mut codes, mut levels) = (Vec::new(), Vec::new());
    for strip in grid.strips() {
        for block in strip.blocks(kept) {
            let index = |place: usize| strip.start + block.index(place, strip.cols);
            let order = match kept {
                Kept::Largest(_) => by_magnitude(block, |place| accumulated[index(place)].abs()),
                Kept::Turn(turn) => in_turn(block, turn),
            };
            let mut largest: Vec<f32> =
                order.iter().map(|p| accumulated[index(*p)].abs()).collect();
            largest.sort_by(f32::total_cmp);
            let ([low, high], threshold) = levels_of(&largest);
            let mut places = order;
            places.sort_unstable();
            for place in places {
                let value = &mut accumulated[index(place)];
                let is_high = value.abs() >= threshold;
                let level = if is_high { high } else { low };
                let is_negative = value.is_sign_negative() && level > Level::ZERO;
                let sent = if is_negative {
                    -level.to_f32()
                } else {
                    level.to_f32()
                };
                *value -= sent;
                let high_bit = if is_high { HIGH } else { 0 };
                codes.push(place as u16 | high_bit | if is_negative { NEGATIVE } else { 0 });
            }
            levels.push([low.bits() as u16, high.bits() as u16]);
        }
    }
    Sent {
        codes,
        levels,
        error: accumulated.into_iter().map(f32::to_bits).collect(),
    }
}

/// The places of a block's largest magnitudes, the largest first, of equal ones those that come first.
fn by_magnitude(block: Block, magnitude: impl Fn(usize) -> f32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..block.len).collect();
    order.sort_by(|one, other| magnitude(*other).total_cmp(&magnitude(*one)));
    order.truncate(block.keep);
    order
}

/// The places of a block that have a turn: of one that has none, one.
fn in_turn(block: Block, turn: Turn) -> Vec<usize> {
    let (number, of) = (usize::from(turn.number), usize::from(turn.of));
    let diagonal = |place: &usize| place / block.width + place % block.width;
    let own = (0..block.len).filter(|place| diagonal(place) % of == number);
    let own: Vec<usize> = own.collect();
    match own.is_empty() {
        true => vec![number % block.len],
        false => own,
    }
}

/// The two levels of ascending magnitudes, and from where on the high one stands.
fn levels_of(ascending: &[f32]) -> ([Level; 2], f32) {
    let sum = |some: &[f32]| some.iter().fold(0.0, |sum, one| sum + f64::from(*one));
    let (count, total) = (ascending.len() as f64, sum(ascending));
    let (mut below, mut most, mut best) = (0.0, f64::NEG_INFINITY, None);
    for at in 1..ascending.len() {
        below += f64::from(ascending[at - 1]);
        let above = total - below;
        let (low, high) = (below / at as f64, above / (count - at as f64));
        let gain = below * low + above * high;
        if ascending[at - 1] < ascending[at] && gain > most {
            most = gain;
            best = Some((low, high, ascending[at]));
        }
    }
    if let Some((low, high, threshold)) = best {
        let [low, high] = [low, high].map(|mean| Level::nearest(mean as f32));
        if low < high {
            return ([low, high], threshold);
        }
    }
    ([Level::nearest((total / count) as f32); 2], f32::INFINITY)
}

/// A piece of a part.
enum Written {
    /// A number in so many bits.
    Plain(u32, u32),
    /// Of which kind a number is, and the number, in the Rice code of that kind's parameter.
    Rice(usize, u32),
}

/// What a part says, in order: numbers of 0 gaps, 1 runs, 2 high levels, 3 low levels, and bits as they are.
fn said(grid: Grid, kept: Kept, sent: &Sent) -> Vec<Written> {
    let mut said = Vec::new();
    let (mut codes, mut before) = (sent.codes.as_slice(), None);
    for (block, [low, high]) in grid.blocks(kept).zip(&sent.levels) {
        let (of_block, behind) = codes.split_at(block.keep);
        codes = behind;
        said.push(match before {
            None => Written::Plain(u32::from(*high), 15),
            Some(before) => {
                let more = i32::from(*high) - i32::from(before);
                let folded = if more < 0 { -2 * more - 1 } else { 2 * more };
                Written::Rice(2, folded as u32)
            }
        });
        before = Some(*high);
        said.push(Written::Rice(3, u32::from(high - low)));
        let mut next = 0;
        for code in of_block {
            // of a whole block every place comes, in a turn those that have it, so none is said
            if matches!(kept, Kept::Largest(..4_096)) {
                said.push(Written::Rice(0, u32::from((code & PLACE) - next)));
            }
            said.push(Written::Plain(u32::from(code & NEGATIVE > 0), 1));
            next = (code & PLACE) + 1;
        }
        let mut run = 0;
        for code in of_block.iter().filter(|_| low < high) {
            if code & HIGH > 0 {
                said.push(Written::Rice(1, run));
                run = 0;
            } else {
                run += 1;
            }
        }
        if run > 0 {
            said.push(Written::Rice(1, run));
        }
    }
    said
}

/// A tensor's part without its length: four parameters, then all bits.
fn written(said: &[Written]) -> Vec<u8> {
    let parameter = |of: usize, most: u32| {
        let length = |parameter: u32| -> u64 {
            let each = said.iter().map(|one| match one {
                Written::Rice(code, number) if *code == of => (number >> parameter) + 1 + parameter,
                _ => 0,
            });
            each.map(u64::from).sum()
        };
        (0..=most).min_by_key(|one| length(*one)).expect("some")
    };
    let parameters = [(0, 11), (1, 11), (2, 15), (3, 15)].map(|(of, most)| parameter(of, most));
    let mut bits: Vec<bool> = Vec::new();
    let plain = |bits: &mut Vec<bool>, number: u32, count: u32| {
        bits.extend((0..count).rev().map(|place| number >> place & 1 > 0));
    };
    parameters.iter().for_each(|one| plain(&mut bits, *one, 4));
    for one in said {
        match one {
            Written::Plain(number, count) => plain(&mut bits, *number, *count),
            Written::Rice(code, number) => {
                let parameter = parameters[*code];
                bits.extend((0..number >> parameter).map(|_| true));
                bits.push(false);
                plain(&mut bits, *number, parameter);
            }
        }
    }
    let byte = |bits: &[bool]| {
        let numbered = (0..8).rev().zip(bits);
        numbered.fold(0u8, |byte, (place, bit)| byte | u8::from(*bit) << place)
    };
    bits.chunks(8).map(byte).collect()
}

fn any_shape() -> impl Strategy<Value = Vec<u32>> {
    prop_oneof![
        2 => (1u32..9_000).prop_map(|n| vec![n]),
        4 => (1u32..140, 1u32..140).prop_map(|(n, m)| vec![n, m]),
        4 => (1u32..3, 1u32..4, 0u32..70).prop_map(|(n, m, more)| vec![64 * n, 64 * m + more]),
        // more blocks next to each other than are gone through together
        1 => (64u32..70, 4_090u32..4_230).prop_map(|(n, m)| vec![n, m]),
    ]
}

/// How much is sent, of every kind, and with β.
pub(crate) fn any_compression() -> impl Strategy<Value = Compression> {
    let kept = prop_oneof![1u16..=140, 120u16..=1_100, 1u16..=4_096, Just(4_096)];
    let turns = (2..=Turn::MOST).prop_flat_map(|of| (0..of, Just(of)));
    let turns = turns.prop_map(|(number, of)| (4_096, Some(Turn { number, of })));
    let any = prop_oneof![3 => kept.prop_map(|kept| (kept, None)), 1 => turns];
    any.prop_map(|(kept_per_block, turn)| Compression {
        kept_per_block,
        error_decay: Nano(950_000_000),
        turn,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_fast_is_what_is_done_one_by_one(
        shape in any_shape(),
        compression in any_compression(),
        kind in 0..KINDS,
        has_error: bool,
        seed: u64,
    ) {
        let tensor = Tensor { name: "t".into(), shape };
        let (grid, beta) = (Grid::of(&tensor).unwrap(), compression.error_decay.to_f32());
        let delta = numbers(grid.len(), kind, seed);
        let old = match has_error {
            true => numbers(grid.len(), kind, !seed),
            // what is accumulated is then Δ, to the sign of its zeros
            false => vec![-0.0; grid.len()],
        };
        let accumulated: Vec<f32> = old.iter().zip(&delta).map(|(e, d)| beta * e + d).collect();
        prop_assume!(accumulated.iter().all(|value| value.is_finite()));
        let kept = Kept::of(&compression).unwrap();
        let expected = compressed(grid, kept, accumulated);
        let bytes = written(&said(grid, kept, &expected));
        for simd in Simd::all() {
            let compressor = Compressor::new(&compression).unwrap().at(simd);
            let mut error = old.clone();
            let sent = compressor.tensor(&tensor, &delta, &mut error).unwrap();
            let found = Sent {
                codes: sent.codes().to_vec(),
                levels: sent.levels().collect(),
                error: error.into_iter().map(f32::to_bits).collect(),
            };
            prop_assert!(found == expected, "{:?}", simd);
            prop_assert!(encode_part_at(simd, &sent) == bytes, "{:?}", simd);
        }
    }

    #[test]
    fn what_is_not_finite_is_found_however_much_is_sent(
        shape in any_shape(),
        compression in any_compression(),
        kind in 0..6u64,
        at: prop::sample::Index,
        bad in prop::sample::select(vec![f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY]),
        in_error: bool,
        seed: u64,
    ) {
        let tensor = Tensor { name: "t".into(), shape };
        let grid = Grid::of(&tensor).unwrap();
        let at = at.index(grid.len());
        for simd in Simd::all() {
            let mut delta = numbers(grid.len(), kind, seed);
            let mut error = numbers(grid.len(), kind, !seed);
            let to = if in_error { &mut error } else { &mut delta };
            to[at] = bad;
            let compressor = Compressor::new(&compression).unwrap().at(simd);
            let found = match compressor.tensor(&tensor, &delta, &mut error) {
                Err(CompressError::NotFinite { index, .. }) => Some(index),
                _ => None,
            };
            prop_assert_eq!(found, Some(at), "{:?}", simd);
        }
    }
}
