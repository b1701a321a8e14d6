//! Sparse matrices: a row per validator, a column per member.

use alloc::{vec, vec::Vec};

use crate::fixed::Fixed;

/// Column and value; values are never zero.
pub type Cell = (usize, Fixed);

/// A sparse matrix. The cells of a row are ascending by column; what is not listed is zero.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// Cells by row.
    pub rows: Vec<Vec<Cell>>,
    /// Number of columns.
    pub columns: usize,
}

impl Matrix {
    /// Each value replaced by `change(row, column, value)`; what becomes zero is no longer listed.
    pub fn map(&self, change: impl Fn(usize, usize, Fixed) -> Fixed) -> Matrix {
        let row = |(row, cells): (usize, &Vec<Cell>)| {
            let changed = cells
                .iter()
                .map(|&(column, value)| (column, change(row, column, value)));
            changed.filter(|(_, value)| !value.is_zero()).collect()
        };
        Matrix {
            rows: self.rows.iter().enumerate().map(row).collect(),
            columns: self.columns,
        }
    }

    /// `combine(self, other)` on the union of the cells of both: a cell that only one of them lists is
    /// zero in the other. What becomes zero is not listed.
    pub fn merge(&self, other: &Matrix, combine: impl Fn(Fixed, Fixed) -> Fixed) -> Matrix {
        let rows = self
            .rows
            .iter()
            .zip(&other.rows)
            .map(|(a, b)| merge_rows(a, b, &combine));
        Matrix {
            rows: rows.collect(),
            columns: self.columns,
        }
    }

    /// Each row divided by its sum.
    pub fn rows_normalised(&self) -> Matrix {
        let sums: Vec<Fixed> = self
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| cell.1).sum())
            .collect();
        self.map(|row, _, value| value.over(at(&sums, row)))
    }

    /// Each column divided by its sum.
    pub fn columns_normalised(&self) -> Matrix {
        let sums = self.fold_columns(Fixed::plus);
        self.map(|_, column, value| value.over(at(&sums, column)))
    }

    /// Each column divided by its largest value.
    pub fn columns_upscaled(&self) -> Matrix {
        let largest = self.fold_columns(Fixed::max);
        self.map(|_, column, value| value.over(at(&largest, column)))
    }

    /// Per column the sum over rows of `factors[row] · value`.
    pub fn weighted_column_sums(&self, factors: &[Fixed]) -> Vec<Fixed> {
        self.map(|row, _, value| value.times(at(factors, row)))
            .fold_columns(Fixed::plus)
    }

    /// Per row the sum over columns of `factors[column] · value`.
    pub fn weighted_row_sums(&self, factors: &[Fixed]) -> Vec<Fixed> {
        let sum = |row: &Vec<Cell>| {
            row.iter()
                .map(|&(column, value)| value.times(at(factors, column)))
                .sum()
        };
        self.rows.iter().map(sum).collect()
    }

    fn fold_columns(&self, fold: impl Fn(Fixed, Fixed) -> Fixed) -> Vec<Fixed> {
        let mut folded = vec![Fixed::ZERO; self.columns];
        for &(column, value) in self.rows.iter().flatten() {
            if let Some(slot) = folded.get_mut(column) {
                *slot = fold(*slot, value);
            }
        }
        folded
    }
}

/// The number at `index`; beyond the end everything is zero.
pub fn at(numbers: &[Fixed], index: usize) -> Fixed {
    numbers.get(index).copied().unwrap_or_default()
}

fn merge_rows(a: &[Cell], b: &[Cell], combine: &impl Fn(Fixed, Fixed) -> Fixed) -> Vec<Cell> {
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    let mut merged = Vec::with_capacity(a.len().max(b.len()));
    loop {
        let column = match (a.peek(), b.peek()) {
            (Some(left), Some(right)) => left.0.min(right.0),
            (Some(cell), None) | (None, Some(cell)) => cell.0,
            (None, None) => return merged,
        };
        let left = a
            .next_if(|cell| cell.0 == column)
            .map_or(Fixed::ZERO, |cell| cell.1);
        let right = b
            .next_if(|cell| cell.0 == column)
            .map_or(Fixed::ZERO, |cell| cell.1);
        let value = combine(left, right);
        if !value.is_zero() {
            merged.push((column, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[&[(usize, u16)]]) -> Matrix {
        let row = |row: &&[(usize, u16)]| {
            row.iter()
                .map(|&(column, value)| (column, Fixed::from_u16(value)))
                .collect()
        };
        Matrix {
            rows: rows.iter().map(row).collect(),
            columns: 4,
        }
    }

    #[test]
    fn a_merge_covers_the_union_of_cells() {
        let (a, b) = (
            matrix(&[&[(0, 1), (2, 5)]]),
            matrix(&[&[(1, 7), (2, 1), (3, 9)]]),
        );
        assert_eq!(
            a.merge(&b, Fixed::plus).rows,
            matrix(&[&[(0, 1), (1, 7), (2, 6), (3, 9)]]).rows
        );
        assert_eq!(
            a.merge(&b, Fixed::minus).rows,
            matrix(&[&[(0, 1), (2, 4)]]).rows
        );
    }

    #[test]
    fn columns_add_up_to_one_or_to_nothing() {
        let normalised = matrix(&[&[(0, 1), (3, 3)], &[(0, 3)]]).columns_normalised();
        let quarters = |n| Fixed::ratio(n, 4);
        assert_eq!(
            normalised.rows,
            [
                vec![(0, quarters(1)), (3, Fixed::ONE)],
                vec![(0, quarters(3))]
            ]
        );
    }

    #[test]
    fn sums_are_weighted() {
        let sample = matrix(&[&[(0, 2), (1, 4)], &[(1, 6)]]);
        let half = Fixed::ratio(1, 2);
        let numbers = |numbers: &[u16]| numbers.iter().map(|&n| Fixed::from_u16(n)).collect();
        let (columns, rows): (Vec<Fixed>, Vec<Fixed>) = (numbers(&[1, 5, 0, 0]), numbers(&[2, 3]));
        assert_eq!(sample.weighted_column_sums(&[half, half]), columns);
        assert_eq!(sample.weighted_row_sums(&[Fixed::ZERO, half]), rows);
    }
}
