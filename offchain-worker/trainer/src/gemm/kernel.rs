//! The innermost loops: a tile of a few rows and some vectors of columns, kept in registers over one block of
//! the inner dimension.
//!
//! Vectors lie along the columns and never along the sum, so a tile's shape changes no element's bits. Each
//! kernel exists for every number of rows up to its largest, so no row is computed for nothing.

use crate::cpu::Simd;

/// Most rows and columns that a tile of any kernel has.
pub const MOST_ROWS: usize = 14;
/// See [`MOST_ROWS`].
pub const MOST_COLUMNS: usize = 32;

/// Steps of the inner dimension that are fetched ahead.
const AHEAD: usize = 8;

/// Computes a tile: Σₖ a\[k·`a_stride` + i\]·b\[k·columns + j\] over `k` steps, one chain of fused multiply-adds
/// from zero per element, into c\[i·`c_stride` + j\], or added to it.
///
/// # Safety
///
/// All of these elements must exist, nobody else may use those of `c`, and the CPU must have the kernel's
/// instructions.
pub type Kernel = unsafe fn(
    k: usize,
    a: *const f32,
    a_stride: usize,
    b: *const f32,
    c: *mut f32,
    c_stride: usize,
    add: bool,
);

/// The kernels of an instruction set.
pub struct Kernels {
    /// Most rows of a tile.
    pub rows: usize,
    /// Columns of a tile.
    pub columns: usize,
    /// The kernel for 1, 2, … rows.
    pub tiles: &'static [Kernel],
}

impl Kernels {
    /// The best that this CPU has.
    pub fn get() -> &'static Kernels {
        Kernels::of(Simd::get())
    }

    /// Those of an instruction set, which the CPU must have.
    pub fn of(simd: Simd) -> &'static Kernels {
        match simd {
            #[cfg(target_arch = "x86_64")]
            Simd::Avx512 => &x86::AVX512,
            #[cfg(target_arch = "x86_64")]
            Simd::Avx2 => &x86::AVX2,
            #[cfg(not(target_arch = "x86_64"))]
            _ => unreachable!("`check_cpu` turns such machines away"),
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Kernel, Kernels, AHEAD};

    /// Tiles of up to 14×32: 28 of 32 registers hold sums.
    pub static AVX512: Kernels = Kernels {
        rows: 14,
        columns: 32,
        tiles: &[
            avx512::<1>,
            avx512::<2>,
            avx512::<3>,
            avx512::<4>,
            avx512::<5>,
            avx512::<6>,
            avx512::<7>,
            avx512::<8>,
            avx512::<9>,
            avx512::<10>,
            avx512::<11>,
            avx512::<12>,
            avx512::<13>,
            avx512::<14> as Kernel,
        ],
    };

    /// Tiles of up to 6×16: 12 of 16 registers hold sums.
    pub static AVX2: Kernels = Kernels {
        rows: 6,
        columns: 16,
        tiles: &[
            avx2::<1>,
            avx2::<2>,
            avx2::<3>,
            avx2::<4>,
            avx2::<5>,
            avx2::<6> as Kernel,
        ],
    };

    /// Writes the body of a kernel of two vectors of columns.
    macro_rules! tile {
        ($name:ident, $feature:literal, $lanes:literal, $zero:ident, $load:ident, $store:ident, $splat:ident, $fma:ident, $add:ident) => {
            #[target_feature(enable = $feature)]
            unsafe fn $name<const ROWS: usize>(
                k: usize,
                a: *const f32,
                a_stride: usize,
                b: *const f32,
                c: *mut f32,
                c_stride: usize,
                add: bool,
            ) {
                // SAFETY: the caller guarantees that all elements named here exist.
                unsafe {
                    for row in 0..ROWS {
                        let c = c.add(row * c_stride).cast::<i8>();
                        _mm_prefetch::<_MM_HINT_T0>(c);
                        _mm_prefetch::<_MM_HINT_T0>(c.add(64));
                    }
                    let mut sums = [[$zero(); 2]; ROWS];
                    let (mut a, mut b) = (a, b);
                    for _ in 0..k {
                        // Both panels together do not fit the first cache.
                        _mm_prefetch::<_MM_HINT_T0>(a.wrapping_add(AHEAD * a_stride).cast());
                        let next = b.wrapping_add(AHEAD * 2 * $lanes).cast::<i8>();
                        _mm_prefetch::<_MM_HINT_T0>(next);
                        _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(64));
                        let (left, right) = ($load(b), $load(b.add($lanes)));
                        for row in 0..ROWS {
                            let x = $splat(*a.add(row));
                            sums[row][0] = $fma(x, left, sums[row][0]);
                            sums[row][1] = $fma(x, right, sums[row][1]);
                        }
                        a = a.add(a_stride);
                        b = b.add(2 * $lanes);
                    }
                    for (row, [left, right]) in sums.into_iter().enumerate() {
                        let c = c.add(row * c_stride);
                        if add {
                            $store(c, $add($load(c), left));
                            $store(c.add($lanes), $add($load(c.add($lanes)), right));
                        } else {
                            $store(c, left);
                            $store(c.add($lanes), right);
                        }
                    }
                }
            }
        };
    }

    tile!(
        avx512,
        "avx512f",
        16,
        _mm512_setzero_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_set1_ps,
        _mm512_fmadd_ps,
        _mm512_add_ps
    );
    tile!(
        avx2,
        "avx2,fma",
        8,
        _mm256_setzero_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_set1_ps,
        _mm256_fmadd_ps,
        _mm256_add_ps
    );
}
