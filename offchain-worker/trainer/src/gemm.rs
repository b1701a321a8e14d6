//! Products of matrices, to the bit.
//!
//! The rule, which anyone can implement: an element of A·B is Σₖ A\[i,k\]·B\[k,j\], with k in blocks of 256;
//! inside a block one chain of fused multiply-adds from zero in the order of k; the block sums added in
//! order, to zero or to what is already there. `matrixmultiply` 0.3.11 computes it so on AVX2 with FMA and on
//! AVX-512, and the tests below hold it to that. An element's chain does not depend on where its tile lies,
//! so threads may cut the rows of the result anywhere.

use rayon::prelude::*;

/// A matrix somewhere in a slice.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `columns` elements without gaps, as many as there are.
    pub fn new(data: &'a [f32], columns: usize) -> Matrix<'a> {
        Matrix::strided(data, data.len() / columns, columns, columns)
    }

    /// Rows that begin `stride` elements apart.
    pub fn strided(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Matrix<'a> {
        assert!(
            fits(data.len(), rows, columns, stride),
            "a matrix outside its slice"
        );
        Matrix {
            data,
            rows,
            columns,
            row_stride: stride,
            column_stride: 1,
        }
    }

    /// The transpose, of the same elements.
    pub fn t(self) -> Matrix<'a> {
        Matrix {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// `rows` rows from `start` on.
    pub fn rows(self, start: usize, rows: usize) -> Matrix<'a> {
        assert!(start + rows <= self.rows, "rows outside their matrix");
        // An empty block at the end may begin where the slice already ends.
        let from = (start * self.row_stride).min(self.data.len());
        Matrix {
            data: &self.data[from..],
            rows,
            ..self
        }
    }
}

/// Whether `rows` rows of `columns` elements, `stride` apart, lie within `len` elements.
fn fits(len: usize, rows: usize, columns: usize, stride: usize) -> bool {
    rows == 0 || columns == 0 || (columns <= stride && (rows - 1) * stride + columns <= len)
}

/// What the sums of a product begin with.
#[derive(Clone, Copy)]
pub enum Start {
    /// Zero: what was there is overwritten.
    Zero,
    /// What is there: the product is added to it.
    Present,
}

/// `a`·`b` into rows of `c` that begin `stride` elements apart, in this thread.
pub fn product(a: Matrix, b: Matrix, c: &mut [f32], stride: usize, start: Start) {
    let (m, k, n) = (a.rows, a.columns, b.columns);
    assert!(
        k == b.rows && fits(c.len(), m, n, stride),
        "matrices that do not fit each other"
    );
    let beta = match start {
        Start::Zero => 0.0,
        Start::Present => 1.0,
    };
    // SAFETY: `Matrix` and the assertion above guarantee that all three lie within their slices; the rows
    // of `c` do not overlap, since `n <= stride`.
    unsafe {
        matrixmultiply::sgemm(
            m,
            k,
            n,
            1.0,
            a.data.as_ptr(),
            a.row_stride as isize,
            a.column_stride as isize,
            b.data.as_ptr(),
            b.row_stride as isize,
            b.column_stride as isize,
            beta,
            c.as_mut_ptr(),
            stride as isize,
            1,
        );
    }
}

/// `a`·`b` into `c`, whose rows lie without gaps, cut by rows among the threads of the current pool.
pub fn parallel_product(a: Matrix, b: Matrix, c: &mut [f32], start: Start) {
    let n = b.columns;
    assert_eq!(c.len(), a.rows * n, "a result of another size");
    // The kernel works on eight or sixteen rows at once.
    let rows = a
        .rows
        .div_ceil(rayon::current_num_threads())
        .next_multiple_of(16);
    if rows >= a.rows {
        return product(a, b, c, n, start);
    }
    c.par_chunks_mut(rows * n).enumerate().for_each(|(i, c)| {
        product(a.rows(i * rows, c.len() / n), b, c, n, start);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers in −1..1 that need all their bits.
    fn numbers(n: usize, mut state: u64) -> Vec<f32> {
        let next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        std::iter::repeat_with(next).take(n).collect()
    }

    /// The rule of the module's front page, word by word.
    fn by_the_rule(a: impl Fn(usize) -> f32, b: impl Fn(usize) -> f32, k: usize, c: f32) -> f32 {
        let block =
            |start: usize| (start..k.min(start + 256)).fold(0f32, |sum, i| a(i).mul_add(b(i), sum));
        (0..k)
            .step_by(256)
            .map(block)
            .fold(c, |sum, block| sum + block)
    }

    const SHAPES: [(usize, usize, usize); 10] = [
        (1, 1, 1),
        (7, 2, 3),
        (33, 7, 1025),
        (64, 64, 64),
        (100, 72, 200),
        (1, 512, 512),
        (130, 1, 700),
        (2, 2, 2000),
        (48, 1030, 257),
        (269, 21, 40),
    ];

    fn check(threads: usize, start: Start) {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        for (m, n, k) in SHAPES {
            let (a, b, c) = (numbers(m * k, 1), numbers(k * n, 2), numbers(m * n, 3));
            for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
                let left = if ta {
                    Matrix::new(&a, m).t()
                } else {
                    Matrix::new(&a, k)
                };
                let right = if tb {
                    Matrix::new(&b, k).t()
                } else {
                    Matrix::new(&b, n)
                };
                let mut ours = c.clone();
                pool.install(|| parallel_product(left, right, &mut ours, start));
                for (place, ours) in ours.iter().enumerate() {
                    let (i, j) = (place / n, place % n);
                    let at = |p| a[if ta { p * m + i } else { i * k + p }];
                    let bt = |p| b[if tb { j * k + p } else { p * n + j }];
                    let first = if matches!(start, Start::Present) {
                        c[place]
                    } else {
                        0.0
                    };
                    let expected = by_the_rule(at, bt, k, first);
                    assert_eq!(
                        ours.to_bits(),
                        expected.to_bits(),
                        "{m}×{n}×{k} {ta} {tb} at {place}"
                    );
                }
            }
        }
    }

    #[test]
    fn products_follow_the_rule_to_the_bit() {
        check(1, Start::Zero);
    }

    #[test]
    fn sums_follow_the_rule_to_the_bit() {
        check(1, Start::Present);
    }

    #[test]
    fn threads_change_no_bit() {
        check(3, Start::Zero);
        check(2, Start::Present);
    }

    #[test]
    #[should_panic(expected = "a matrix outside its slice")]
    fn a_matrix_outside_its_slice_is_refused() {
        Matrix::strided(&[0.0; 10], 3, 4, 4);
    }
}
