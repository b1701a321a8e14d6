//! The largest values of the whole model, wherever they are, with how many bits an entropy coder would take for them.
//!
//! A prototype: places and values are those that such a code would send, and bits are counted, not written. Each
//! tensor's values are rounded to two levels. A square of a matrix says how many values it has, and which of the
//! choices of so many places it is.

use cairn_primitives::{Layout, Tensor};

use crate::axes::Axes;
use crate::scatter::{placed, scatter, Values};

/// The side of a square; vectors are cut into pieces of as many values as a square.
const SIDE: usize = 32;
/// Bits of a tensor's two levels.
const LEVELS: f64 = 32.0;

/// What is taken in a round of what workers have found.
pub struct Taken<'a> {
    pub layout: &'a Layout,
    /// Along which values are, if not by place.
    pub axes: Option<&'a Axes>,
    /// β.
    pub beta: f32,
    /// Values of a worker.
    pub count: usize,
}

/// What comes of a round.
pub struct Round {
    /// What each worker sent, by tensor.
    pub sent: Vec<Vec<Values>>,
    /// The step that all take, by place.
    pub step: Vec<f32>,
    /// Of one worker.
    pub bytes: u64,
    /// How much of what workers had they sent, by squares.
    pub share: f64,
}

impl Taken<'_> {
    /// What workers send, and the step that follows: the mean over senders, or over so many of all.
    pub fn round(&self, errors: &mut [Vec<f32>], deltas: &[Vec<f32>], rho: f64) -> Round {
        let mut share = 0.0;
        let mut sent = Vec::with_capacity(deltas.len());
        for (error, delta) in errors.iter_mut().zip(deltas) {
            sent.push(self.of(error, delta));
            let all = self.spread(&sent[sent.len() - 1]);
            let had: Vec<f32> = error.iter().zip(&all).map(|(a, b)| a + b).collect();
            share += 1.0 - squares_of(error) / squares_of(&had).max(f64::MIN_POSITIVE);
        }
        let mut step = vec![0.0; self.layout.parameters()];
        scatter(&mut step, self.layout, &sent, rho);
        step.iter_mut().for_each(|step| *step = -*step);
        self.back(&mut step);
        Round {
            bytes: (bits(self.layout, &sent[0]) / 8.0).ceil() as u64,
            share: share / deltas.len() as f64,
            sent,
            step,
        }
    }

    /// What a worker sends of what it has found, by tensor; its error feedback keeps the rest.
    fn of(&self, error: &mut [f32], delta: &[f32]) -> Vec<Values> {
        let pairs = error.iter_mut().zip(delta);
        pairs.for_each(|(error, delta)| *error = self.beta * *error + delta);
        if let Some(axes) = self.axes {
            axes.turn(self.layout, error);
        }
        let sent = largest(self.layout, error, self.count);
        for (values, (_, range)) in sent.iter().zip(self.layout.ranges()) {
            let error = &mut error[range];
            for (place, value) in values {
                error[*place] -= value;
            }
        }
        self.back(error);
        sent
    }

    /// What was sent, at its places in the model.
    pub fn spread(&self, sent: &[Values]) -> Vec<f32> {
        let tensors = sent.iter().map(|values| values.iter().copied());
        let mut all = placed(self.layout, tensors);
        self.back(&mut all);
        all
    }

    /// Values along axes become values by place.
    pub fn back(&self, values: &mut [f32]) {
        if let Some(axes) = self.axes {
            axes.back(self.layout, values);
        }
    }
}

fn squares_of(numbers: &[f32]) -> f64 {
    numbers.iter().map(|x| f64::from(*x).powi(2)).sum()
}

/// The values of largest magnitude, rounded, by tensor; among equal ones the first.
fn largest(layout: &Layout, values: &[f32], count: usize) -> Vec<Values> {
    let mut places: Vec<usize> = (0..values.len()).collect();
    let larger = |a: &usize, b: &usize| {
        let by_size = values[*b].abs().total_cmp(&values[*a].abs());
        by_size.then(a.cmp(b))
    };
    if count < places.len() {
        places.select_nth_unstable_by(count, larger);
        places.truncate(count);
    }
    places.retain(|place| values[*place] != 0.0);
    places.sort_unstable();
    let mut rest = &places[..];
    let mut of_each = Vec::with_capacity(layout.0.len());
    for (_, range) in layout.ranges() {
        let (own, others) = rest.split_at(rest.partition_point(|place| *place < range.end));
        rest = others;
        let exact = own
            .iter()
            .map(|place| (place - range.start, values[*place]));
        of_each.push(two_levels(exact.collect()));
    }
    of_each
}

/// The smaller magnitudes become their mean and the larger ones theirs, split where that is nearest.
fn two_levels(mut values: Values) -> Values {
    let mut sizes: Vec<f64> = values.iter().map(|(_, x)| f64::from(x.abs())).collect();
    sizes.sort_unstable_by(f64::total_cmp);
    let all: f64 = sizes.iter().sum();
    let (mut best, mut low_sum) = ((f64::MIN, 0.0, 0.0, 0.0), 0.0);
    for (lower, size) in sizes.iter().enumerate() {
        // with the least squared error the squares of the sums over their counts are most
        let (count, others) = (lower as f64, (sizes.len() - lower) as f64);
        let low = if lower == 0 { 0.0 } else { low_sum / count };
        let high = (all - low_sum) / others;
        let gain = count * low * low + others * high * high;
        if gain > best.0 {
            best = (gain, *size, low, high);
        }
        low_sum += size;
    }
    let (_, limit, low, high) = best;
    for (_, value) in &mut values {
        let level = if f64::from(value.abs()) < limit {
            low
        } else {
            high
        };
        *value = (level as f32).copysign(*value);
    }
    values
}

/// Bits of what a worker sends.
fn bits(layout: &Layout, sent: &[Values]) -> f64 {
    let of_each = layout.0.iter().zip(sent);
    of_each
        .map(|(tensor, values)| of_tensor(tensor, values))
        .sum()
}

fn of_tensor(tensor: &Tensor, values: &Values) -> f64 {
    let (square, sizes) = squares(tensor);
    let mut counts = vec![0usize; sizes.len()];
    values
        .iter()
        .for_each(|(place, _)| counts[square(*place)] += 1);
    let pairs = sizes.iter().zip(&counts);
    let places: f64 = pairs.map(|(size, count)| choice(*size, *count)).sum();
    let places = places + rice(&counts);
    let most = values.iter().map(|(_, x)| x.abs()).fold(0.0, f32::max);
    let high = values.iter().filter(|(_, x)| x.abs() == most).count();
    match values.len() {
        0 => places,
        signs => places + signs as f64 + choice(signs, high) + LEVELS,
    }
}

/// The square in which a place is, and how many places each square has.
fn squares(tensor: &Tensor) -> (impl Fn(usize) -> usize, Vec<usize>) {
    let (rows, columns) = match tensor.shape[..] {
        [rows, columns] => (rows as usize, columns as usize),
        _ => (tensor.len().div_ceil(SIDE), SIDE),
    };
    let across = columns.div_ceil(SIDE);
    let square = move |place: usize| place / columns / SIDE * across + place % columns / SIDE;
    let mut sizes = vec![0; rows.div_ceil(SIDE) * across];
    (0..tensor.len()).for_each(|place| sizes[square(place)] += 1);
    (square, sizes)
}

/// Bits of numbers in the Rice code that suits them best, and of its parameter.
fn rice(numbers: &[usize]) -> f64 {
    let taken = |parameter: usize| -> usize {
        let bits = numbers.iter().map(|n| (n >> parameter) + 1 + parameter);
        bits.sum()
    };
    let least = (0..16).map(taken).min().unwrap_or(0);
    4.0 + least as f64
}

/// Bits of one of the choices of `count` among `size`.
fn choice(size: usize, count: usize) -> f64 {
    let few = count.min(size - count);
    (0..few)
        .map(|i| ((size - i) as f64 / (few - i) as f64).log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        let tensor = |name: &str, shape: &[u32]| Tensor {
            name: name.into(),
            shape: shape.to_vec(),
        };
        Layout(vec![tensor("matrix", &[40, 33]), tensor("vector", &[5])])
    }

    #[test]
    fn the_largest_of_all_are_sent_wherever_they_are() {
        let mut values = vec![0.0; 40 * 33 + 5];
        (values[7], values[1_000], values[1_319]) = (-4.0, 1.0, 0.5);
        (values[1_320], values[1_324]) = (2.0, -0.5);
        let sent = largest(&layout(), &values, 3);
        assert_eq!(sent, [vec![(7, -4.0), (1_000, 1.0)], vec![(0, 2.0)]]);
        // of equal ones the first; of nothing, nothing
        let sent = largest(&layout(), &values, 4);
        assert_eq!(sent[0], [(7, -4.0), (1_000, 0.75), (1_319, 0.75)]);
        let sent = largest(&layout(), &values, 1_000);
        assert_eq!(sent[1], [(0, 2.0), (4, -0.5)]);
    }

    #[test]
    fn levels_are_the_means_of_two_parts() {
        let exact = vec![(0, 1.0), (1, -9.0), (2, -3.0), (3, 11.0)];
        let expected = [(0, 2.0), (1, -10.0), (2, -2.0), (3, 10.0)];
        assert_eq!(two_levels(exact), expected);
        assert_eq!(two_levels(vec![(3, -1.0); 2]), [(3, -1.0); 2]);
        assert_eq!(two_levels(Vec::new()), []);
    }

    #[test]
    fn choices_by_hand() {
        assert_eq!((choice(4, 0), choice(4, 4)), (0.0, 0.0));
        assert!((choice(5, 2) - 10f64.log2()).abs() < 1e-9);
        assert!((choice(6, 4) - 15f64.log2()).abs() < 1e-9);
    }

    /// Squares of 32 × 32, 32, 8 × 32 and 8 places; two values in the first, one in the last.
    #[test]
    fn bits_by_hand() {
        let last = 39 * 33 + 32;
        let values = vec![(0, 1.0), (1, 3.0), (last, -3.0)];
        let counts = 4.0 + (3.0 + 1.0 + 1.0 + 2.0);
        let places = choice(1_024, 2) + 3.0;
        let expected = counts + places + 3.0 + 3f64.log2() + 32.0;
        let sent = [values, Vec::new()];
        // the vector's four bits and its one count of nothing
        assert!((bits(&layout(), &sent) - expected - 5.0).abs() < 1e-9);
    }
}
