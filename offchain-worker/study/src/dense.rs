//! Codes that send something of every value, with how many bits an entropy coder would take for it.
//!
//! They are prototypes: values are rounded as such a code would round them, and bits are counted, not written.

use cairn_primitives::Tensor;
use serde::{Deserialize, Serialize};

/// Values that share a level.
const BLOCK: usize = 4_096;
/// Bits of a level.
const LEVEL: f64 = 16.0;

/// How all values of a tensor are rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Code {
    /// Not at all: 32 bits each.
    #[default]
    None,
    /// Sign and one of two magnitudes per block.
    Two,
    /// The sign, and a level per row and column.
    Sign,
    /// Up, down, or nothing where a value is below so many root mean squares of its block.
    Three(f64),
}

/// What a code makes of a tensor's values, and the bits that it takes.
pub fn rounded(code: Code, tensor: &Tensor, values: &[f32]) -> (Vec<f32>, f64) {
    match (code, &tensor.shape[..]) {
        (Code::None, _) => (values.to_vec(), 32.0 * values.len() as f64),
        (Code::Sign, [_, columns]) => sign(values, *columns as usize),
        // a vector has no rows
        (Code::Two | Code::Sign, _) => by_blocks(values, two),
        (Code::Three(zone), _) => by_blocks(values, |block| three(block, zone)),
    }
}

fn by_blocks(values: &[f32], code: impl Fn(&[f32]) -> (Vec<f32>, f64)) -> (Vec<f32>, f64) {
    let (mut all, mut bits) = (Vec::with_capacity(values.len()), 0.0);
    for block in values.chunks(BLOCK) {
        let (rounded, taken) = code(block);
        all.extend(rounded);
        bits += taken;
    }
    (all, bits)
}

/// Magnitudes above and below their mean, each with its own mean.
fn two(block: &[f32]) -> (Vec<f32>, f64) {
    let limit = mean(block.iter().map(|x| x.abs()));
    let is_high = |x: &f32| x.abs() >= limit;
    let high = mean(block.iter().filter(|x| is_high(x)).map(|x| x.abs()));
    let low = mean(block.iter().filter(|x| !is_high(x)).map(|x| x.abs()));
    let level = |x: &f32| if is_high(x) { high } else { low };
    let highs = block.iter().filter(|x| is_high(x)).count();
    let count = block.len() as f64;
    let bits = count * (1.0 + entropy(&[highs, block.len() - highs])) + 2.0 * LEVEL;
    let rounded = block.iter().map(|x| level(x).copysign(*x));
    (rounded.collect(), bits)
}

/// Magnitudes in the zone become nothing, the others their mean.
fn three(block: &[f32], zone: f64) -> (Vec<f32>, f64) {
    let squares = mean(block.iter().map(|x| x * x));
    let limit = (zone * f64::from(squares).sqrt()) as f32;
    let is_sent = |x: &f32| x.abs() > limit;
    let level = mean(block.iter().filter(|x| is_sent(x)).map(|x| x.abs()));
    let up = block.iter().filter(|x| is_sent(x) && **x > 0.0).count();
    let down = block.iter().filter(|x| is_sent(x) && **x < 0.0).count();
    let nothing = block.len() - up - down;
    let bits = block.len() as f64 * entropy(&[up, down, nothing]) + LEVEL;
    let rounded = block.iter().map(|x| match is_sent(x) {
        true => level.copysign(*x),
        false => 0.0,
    });
    (rounded.collect(), bits)
}

/// The mean magnitude of a row times that of a column over that of all.
fn sign(values: &[f32], columns: usize) -> (Vec<f32>, f64) {
    let rows: Vec<f32> = values
        .chunks(columns)
        .map(|row| mean(row.iter().map(|x| x.abs())))
        .collect();
    let column = |j: usize| mean(values.iter().skip(j).step_by(columns).map(|x| x.abs()));
    let by_column: Vec<f32> = (0..columns).map(column).collect();
    let all = mean(rows.iter().copied()).max(f32::MIN_POSITIVE);
    let rounded = values.chunks(columns).zip(&rows).flat_map(|(row, level)| {
        let levels = by_column.iter().map(move |column| level * column / all);
        row.iter().zip(levels).map(|(x, level)| level.copysign(*x))
    });
    let bits = values.len() as f64 + LEVEL * (rows.len() + columns) as f64;
    (rounded.collect(), bits)
}

/// The mean of numbers; zero if there are none.
fn mean(numbers: impl Iterator<Item = f32>) -> f32 {
    let add = |(sum, count): (f64, f64), x: f32| (sum + f64::from(x), count + 1.0);
    let (sum, count) = numbers.fold((0.0, 0.0), add);
    if count == 0.0 {
        return 0.0;
    }
    (sum / count) as f32
}

/// Bits of a symbol that comes so often.
fn entropy(counts: &[usize]) -> f64 {
    let all = counts.iter().sum::<usize>() as f64;
    let bits = |count: &usize| match count {
        0 => 0.0,
        count => {
            let share = *count as f64 / all;
            -share * share.log2()
        }
    };
    counts.iter().map(bits).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[u32]) -> Tensor {
        Tensor {
            name: "some".into(),
            shape: shape.to_vec(),
        }
    }

    #[test]
    fn signs_keep_rows_and_columns() {
        // rows of means 1 and 3, columns of means 1 and 3
        let values = [-0.5, 1.5, 1.5, -4.5];
        let (rounded, bits) = rounded(Code::Sign, &tensor(&[2, 2]), &values);
        assert_eq!(rounded, values);
        assert_eq!(bits, 4.0 + 16.0 * 4.0);
    }

    #[test]
    fn three_levels_have_a_zone() {
        let values = [0.1, -0.1, 3.0, -1.0, 0.0, 0.0, 0.2, -0.2];
        let (rounded, bits) = rounded(Code::Three(0.5), &tensor(&[8]), &values);
        assert_eq!(rounded, [0.0, 0.0, 2.0, -2.0, 0.0, 0.0, 0.0, 0.0]);
        let of = |share: f64| -share * share.log2();
        let expected = 8.0 * (2.0 * of(0.125) + of(0.75)) + 16.0;
        assert!((bits - expected).abs() < 1e-9);
    }

    #[test]
    fn two_levels_split_at_the_mean() {
        let values = [1.0, -1.0, 3.0, -5.0];
        let (rounded, bits) = rounded(Code::Two, &tensor(&[4]), &values);
        assert_eq!(rounded, [1.0, -1.0, 4.0, -4.0]);
        assert_eq!(bits, 4.0 * 2.0 + 32.0);
    }

    #[test]
    fn nothing_costs_next_to_nothing() {
        let (rounded, bits) = rounded(Code::Three(1.0), &tensor(&[4]), &[0.0; 4]);
        assert_eq!((rounded, bits), (vec![0.0; 4], 16.0));
    }
}
