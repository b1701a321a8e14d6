//! Kernels of AVX-512.

use std::arch::x86_64::*;

use super::{Kernel, Kernels};
use crate::gemm::BLOCK;

/// Steps of the inner dimension that are fetched ahead.
const AHEAD: usize = 8;
/// Numbers in a vector.
const LANES: usize = 16;

/// Tiles of up to 14×32: 28 of 32 registers hold sums.
pub static KERNELS: Kernels = Kernels {
    rows: 14,
    columns: 2 * LANES,
    tiles: &[
        tile::<1>,
        tile::<2>,
        tile::<3>,
        tile::<4>,
        tile::<5>,
        tile::<6>,
        tile::<7>,
        tile::<8>,
        tile::<9>,
        tile::<10>,
        tile::<11>,
        tile::<12>,
        tile::<13>,
        tile::<14> as Kernel,
    ],
    by_rows: None,
    fetch_ahead: false,
};

/// A kernel of two vectors of columns.
#[allow(clippy::too_many_arguments)] // A kernel has as many.
#[target_feature(enable = "avx512f")]
unsafe fn tile<const ROWS: usize>(
    mut k: usize,
    mut a: *const f32,
    a_stride: usize,
    mut b: *const f32,
    mut from: *const f32,
    c: *mut f32,
    c_stride: usize,
    _ahead: *const f32,
) {
    // SAFETY: the caller guarantees that all elements named here exist.
    unsafe {
        for row in 0..ROWS {
            let from = if from.is_null() { c.cast_const() } else { from };
            let from = from.wrapping_add(row * c_stride).cast::<i8>();
            _mm_prefetch::<_MM_HINT_T0>(from);
            _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(64));
        }
        loop {
            let block = k.min(BLOCK);
            let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
            for _ in 0..block {
                // Both panels together do not fit the first cache.
                _mm_prefetch::<_MM_HINT_T0>(a.wrapping_add(AHEAD * a_stride).cast());
                let next = b.wrapping_add(AHEAD * 2 * LANES).cast::<i8>();
                _mm_prefetch::<_MM_HINT_T0>(next);
                _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(64));
                let (left, right) = (_mm512_loadu_ps(b), _mm512_loadu_ps(b.add(LANES)));
                #[allow(clippy::needless_range_loop)] // A row is a number of the factor, too.
                for row in 0..ROWS {
                    let x = _mm512_set1_ps(*a.add(row));
                    sums[row][0] = _mm512_fmadd_ps(x, left, sums[row][0]);
                    sums[row][1] = _mm512_fmadd_ps(x, right, sums[row][1]);
                }
                a = a.add(a_stride);
                b = b.add(2 * LANES);
            }
            for (row, [left, right]) in sums.into_iter().enumerate() {
                let (mut left, mut right) = (left, right);
                if !from.is_null() {
                    let from = from.add(row * c_stride);
                    left = _mm512_add_ps(_mm512_loadu_ps(from), left);
                    right = _mm512_add_ps(_mm512_loadu_ps(from.add(LANES)), right);
                }
                let c = c.add(row * c_stride);
                _mm512_storeu_ps(c, left);
                _mm512_storeu_ps(c.add(LANES), right);
            }
            k -= block;
            if k == 0 {
                return;
            }
            from = c;
        }
    }
}
