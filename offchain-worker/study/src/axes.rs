//! Axes of matrices that follow from the settled steps, along which a step has few large values.
//!
//! Of a matrix of which S was settled in each round, the axes of a side are close to the eigenvectors of Σ γ^age · S Sᵀ
//! (of the other side SᵀS), largest first. One orthogonal iteration per round brings them there. Everybody knows the
//! settled steps, so axes cost no bytes.

use cairn_primitives::Layout;

/// Longer sides keep their own axes.
const LONGEST: usize = 128;
/// So much of the mean energy is added along every axis, so that those of no energy yet stay axes.
const FLOOR: f32 = 1e-3;
/// Numbers that are added side by side.
const LANES: usize = 16;

/// The axes of all tensors.
pub struct Axes {
    decay: f32,
    matrices: Vec<Option<Matrix>>,
}

struct Matrix {
    rows: usize,
    columns: usize,
    left: Option<Side>,
    right: Option<Side>,
}

/// Of one side of a matrix.
struct Side {
    size: usize,
    /// Σ γ^age · S Sᵀ.
    energy: Vec<f32>,
    /// One orthonormal axis per row.
    axes: Vec<f32>,
}

impl Axes {
    /// Those in which parameters come: nothing is settled yet. γ is `decay`.
    pub fn new(layout: &Layout, decay: f64) -> Axes {
        let matrix = |shape: &[u32]| match *shape {
            [rows, columns] => Some(Matrix::new(rows as usize, columns as usize)),
            _ => None,
        };
        Axes {
            decay: decay as f32,
            matrices: layout.0.iter().map(|t| matrix(&t.shape)).collect(),
        }
    }

    /// Values by place become values by axis.
    pub fn turn(&self, layout: &Layout, values: &mut [f32]) {
        for (matrix, (_, range)) in self.matrices.iter().zip(layout.ranges()) {
            if let Some(matrix) = matrix {
                matrix.turn(&mut values[range]);
            }
        }
    }

    /// Values by axis become values by place.
    pub fn back(&self, layout: &Layout, values: &mut [f32]) {
        for (matrix, (_, range)) in self.matrices.iter().zip(layout.ranges()) {
            if let Some(matrix) = matrix {
                matrix.back(&mut values[range]);
            }
        }
    }

    /// Takes in a settled step.
    pub fn learn(&mut self, layout: &Layout, step: &[f32]) {
        for (matrix, (_, range)) in self.matrices.iter_mut().zip(layout.ranges()) {
            if let Some(matrix) = matrix {
                matrix.learn(&step[range], self.decay);
            }
        }
    }
}

impl Matrix {
    fn new(rows: usize, columns: usize) -> Matrix {
        Matrix {
            rows,
            columns,
            left: Side::new(rows),
            right: Side::new(columns),
        }
    }

    fn turn(&self, values: &mut [f32]) {
        if let Some(left) = &self.left {
            values.copy_from_slice(&product(&left.axes, values, self.rows));
        }
        if let Some(right) = &self.right {
            let axes = transposed(&right.axes, self.columns);
            values.copy_from_slice(&product(values, &axes, self.columns));
        }
    }

    fn back(&self, values: &mut [f32]) {
        if let Some(left) = &self.left {
            let axes = transposed(&left.axes, self.rows);
            values.copy_from_slice(&product(&axes, values, self.rows));
        }
        if let Some(right) = &self.right {
            values.copy_from_slice(&product(values, &right.axes, self.columns));
        }
    }

    fn learn(&mut self, step: &[f32], decay: f32) {
        let across = transposed(step, self.columns);
        if let Some(left) = &mut self.left {
            left.learn(&product(step, &across, self.columns), decay);
        }
        if let Some(right) = &mut self.right {
            right.learn(&product(&across, step, self.rows), decay);
        }
    }
}

impl Side {
    fn new(size: usize) -> Option<Side> {
        let mut axes = vec![0.0; size * size];
        axes.iter_mut().step_by(size + 1).for_each(|one| *one = 1.0);
        (size <= LONGEST).then(|| Side {
            size,
            energy: vec![0.0; size * size],
            axes,
        })
    }

    fn learn(&mut self, square: &[f32], decay: f32) {
        let pairs = self.energy.iter_mut().zip(square);
        pairs.for_each(|(energy, square)| *energy = decay * *energy + square);
        let trace: f32 = self.energy.iter().step_by(self.size + 1).sum();
        if trace > 0.0 {
            let mut next = product(&self.axes, &self.energy, self.size);
            let floor = FLOOR * trace / self.size as f32;
            let pairs = next.iter_mut().zip(&self.axes);
            pairs.for_each(|(next, axis)| *next = (*next + floor * axis) / trace);
            // once more makes up for what the first time rounds
            orthonormal(&mut next, self.size);
            orthonormal(&mut next, self.size);
            self.axes = next;
        }
    }
}

/// Each row less what lies along the rows above it, with length one.
fn orthonormal(rows: &mut [f32], columns: usize) {
    for first in 0..rows.len() / columns {
        let (_, rest) = rows.split_at_mut(first * columns);
        let (row, below) = rest.split_at_mut(columns);
        let length = dot(row, row).sqrt().max(f32::MIN_POSITIVE);
        row.iter_mut().for_each(|x| *x /= length);
        for other in below.chunks_mut(columns) {
            let along = dot(row, other);
            let pairs = other.iter_mut().zip(row.iter());
            pairs.for_each(|(other, row)| *other -= along * row);
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

/// A matrix with `inner` columns times one with as many rows.
fn product(a: &[f32], b: &[f32], inner: usize) -> Vec<f32> {
    let columns = b.len() / inner;
    let mut all = vec![0.0; a.len() / inner * columns];
    for (row, sums) in a.chunks(inner).zip(all.chunks_mut(columns)) {
        for (a, b) in row.iter().zip(b.chunks(columns)) {
            sums.iter_mut().zip(b).for_each(|(sum, b)| *sum += a * b);
        }
    }
    all
}

fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    let column = |j: usize| matrix.iter().skip(j).step_by(columns);
    (0..columns).flat_map(column).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::Tensor;

    fn layout() -> Layout {
        let tensor = |name: &str, shape: &[u32]| Tensor {
            name: name.into(),
            shape: shape.to_vec(),
        };
        Layout(vec![
            tensor("matrix", &[12, 20]),
            tensor("long", &[200, 8]),
            tensor("vector", &[9]),
        ])
    }

    /// Rank one of each matrix, and a little of everything.
    fn step(seed: usize) -> Vec<f32> {
        let noise = |n: usize| (n.wrapping_mul(2_654_435_761) % 10_007) as f32 / 10_007.0 - 0.5;
        let one = |i: usize, columns: usize| {
            let (row, column) = (i / columns, i % columns);
            noise(row + 1) * noise(column + 900) + 1e-3 * noise(i + 5_000 * seed)
        };
        let matrices = (0..12 * 20).map(|i| one(i, 20));
        let long = (0..200 * 8).map(|i| one(i, 8));
        matrices
            .chain(long)
            .chain((0..9).map(|i| noise(i + seed)))
            .collect()
    }

    fn energy(values: &[f32]) -> f32 {
        values.iter().map(|x| x * x).sum()
    }

    /// What is turned comes back, keeps its length, and vectors stay as they are.
    #[test]
    fn turning_loses_nothing() {
        let layout = layout();
        let mut axes = Axes::new(&layout, 0.9);
        for seed in 0..4 {
            axes.learn(&layout, &step(seed));
        }
        let values = step(9);
        let mut turned = values.clone();
        axes.turn(&layout, &mut turned);
        assert!((energy(&turned) / energy(&values) - 1.0).abs() < 1e-4);
        assert!(turned != values && turned[1_840..] == values[1_840..]);
        axes.back(&layout, &mut turned);
        for (back, value) in turned.iter().zip(&values) {
            assert!((back - value).abs() < 1e-5, "{back} {value}");
        }
    }

    /// What always comes lies along the first axes of both sides; of a side that is too long, in the first column.
    #[test]
    fn what_is_settled_is_concentrated() {
        let layout = layout();
        let mut axes = Axes::new(&layout, 0.9);
        for seed in 0..4 {
            axes.learn(&layout, &step(seed));
        }
        let mut turned = step(9);
        axes.turn(&layout, &mut turned);
        let matrix = &turned[..240];
        assert!(matrix[0] * matrix[0] > 0.99 * energy(matrix));
        let first: Vec<f32> = turned[240..1_840].iter().step_by(8).copied().collect();
        assert!(energy(&first) > 0.99 * energy(&turned[240..1_840]));
    }

    /// Before anything is settled, and where nothing was, axes are those of the parameters.
    #[test]
    fn nothing_settled_turns_nothing() {
        let layout = layout();
        let mut axes = Axes::new(&layout, 0.9);
        axes.learn(&layout, &vec![0.0; 1_849]);
        let mut turned = step(1);
        axes.turn(&layout, &mut turned);
        assert_eq!(turned, step(1));
    }
}
