//! Codes that send something of every value, with how many bits an entropy coder would take for it.
//!
//! They are prototypes: values are rounded as such a code would round them, and bits are counted, not written.

use cairn_primitives::{Layout, Tensor};
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

/// A worker that sends something of all values, or of all that are its own.
pub struct Sender<'a> {
    pub layout: &'a Layout,
    pub code: Code,
    /// β.
    pub beta: f32,
    /// Which of how many workers it is, where each value has one sender.
    pub share: Option<(usize, usize)>,
}

impl Sender<'_> {
    /// What it sends of what it has found, and the bits that it takes; its error feedback keeps the rest of that.
    pub fn send(&self, error: &mut [f32], delta: &[f32]) -> (Vec<f32>, f64) {
        let (mut sent, mut bits) = (vec![0.0; delta.len()], 0.0);
        for (tensor, range) in self.layout.ranges() {
            let (error, delta) = (&mut error[range.clone()], &delta[range.clone()]);
            let own = self.own(tensor);
            let fed = own
                .iter()
                .map(|place| self.beta * error[*place] + delta[*place]);
            let fed: Vec<f32> = fed.collect();
            let (rounded, taken) = rounded(self.code, tensor, &fed);
            error.fill(0.0);
            for ((place, fed), rounded) in own.iter().zip(&fed).zip(rounded) {
                error[*place] = fed - rounded;
                sent[range.start + place] = rounded;
            }
            bits += taken;
        }
        (sent, bits)
    }

    /// Of a matrix every so manieth diagonal, of a vector every so manieth value.
    fn own(&self, tensor: &Tensor) -> Vec<usize> {
        let (number, workers) = self.share.unwrap_or((0, 1));
        let columns = tensor
            .shape
            .get(1)
            .map_or(tensor.len(), |columns| *columns as usize);
        let is_own = |place: &usize| (place / columns + place) % workers == number;
        (0..tensor.len()).filter(is_own).collect()
    }
}

/// What a code makes of a tensor's values, and the bits that it takes.
fn rounded(code: Code, tensor: &Tensor, values: &[f32]) -> (Vec<f32>, f64) {
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
    use crate::cell::{Cell, Method, Shares};
    use crate::grid::base;
    use crate::methods::Exchange;

    fn tensor(shape: &[u32]) -> Tensor {
        Tensor {
            name: "some".into(),
            shape: shape.to_vec(),
        }
    }

    /// Each value has one sender, of as many values as others have to one; who sends it keeps what it rounds away.
    #[test]
    fn shares_are_all_values_once() {
        let layout = Layout(vec![tensor(&[4, 8]), tensor(&[8])]);
        let delta: Vec<f32> = (1..=40).map(|n| n as f32).collect();
        let send = |share, code, error: &mut [f32]| {
            let layout = &layout;
            let beta = 0.5;
            Sender {
                layout,
                code,
                beta,
                share,
            }
            .send(error, &delta)
        };
        let mut sum = vec![0.0; 40];
        for number in 0..4 {
            let mut error = vec![2.0; 40];
            let (sent, bits) = send(Some((number, 4)), Code::None, &mut error);
            let count = sent.iter().filter(|x| **x != 0.0).count();
            assert!(count == 10 && bits == 320.0);
            assert_eq!(error, [0.0; 40]);
            sum.iter_mut()
                .zip(&sent)
                .for_each(|(sum, sent)| *sum += sent);
        }
        let (all, _) = send(None, Code::None, &mut [2.0; 40]);
        assert_eq!(sum, all);
        assert!(all
            .iter()
            .zip(&delta)
            .all(|(sent, delta)| sent - delta == 1.0));
        let mut error = vec![0.0; 40];
        let (sent, _) = send(Some((1, 4)), Code::Two, &mut error);
        for ((error, sent), delta) in error.iter().zip(&sent).zip(&delta) {
            assert!(*sent == 0.0 && *error == 0.0 || sent + error == *delta);
        }
    }

    /// All take what each value's sender sent whole; in turn another one sends it in each round.
    #[test]
    fn what_has_one_sender_is_taken_whole() {
        let layout = Layout(vec![tensor(&[4, 8])]);
        let deltas: Vec<Vec<f32>> = (1..=4).map(|worker| vec![worker as f32; 32]).collect();
        for (shares, is_same) in [(Shares::Own, true), (Shares::Turns, false)] {
            let cell = Cell {
                shares,
                ..base(Method::Dense, 4, 1, 2)
            };
            let mut exchange = Exchange::new(&cell, &layout);
            let (mut theta, mut senders) = (vec![0.0; 32], Vec::new());
            for round in 0..2 {
                let before = theta.clone();
                exchange.round(&mut theta, round, &deltas).unwrap();
                let step = before.iter().zip(&theta).map(|(a, b)| a - b);
                senders.push(step.collect::<Vec<f32>>());
            }
            for worker in 1..=4 {
                let count = senders[0].iter().filter(|x| **x == worker as f32).count();
                assert_eq!(count, 8);
            }
            let pairs = senders[0].iter().zip(&senders[1]);
            assert!(pairs
                .into_iter()
                .all(|(first, second)| (first == second) == is_same));
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
