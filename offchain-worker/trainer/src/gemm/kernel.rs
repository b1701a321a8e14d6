//! The innermost loops: a tile of a few rows and some vectors of columns, kept in registers over one block of
//! the inner dimension.
//!
//! Vectors lie along the columns and never along the sum, so a tile's shape changes no element's bits. Each
//! kernel exists for every number of rows up to its largest, so no row is computed for nothing.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use crate::cpu::Simd;

/// Most rows and columns that a tile of any kernel has.
pub const MOST_ROWS: usize = 14;
/// See [`MOST_ROWS`].
pub const MOST_COLUMNS: usize = 32;

/// Computes a tile: Σₖ a\[k·`a_stride` + i\]·b\[k·columns + j\] over `k` steps, in each block of [`super::BLOCK`]
/// steps one chain of fused multiply-adds from zero per element. The first block's are added to
/// from\[i·`c_stride` + j\] unless `from` is null, later ones to the sum so far; it is left in c\[i·`c_stride` + j\]. A
/// kernel for rows reads a\[i·`a_stride` + k\] in place of the former. Numbers from `ahead` on are needed next.
///
/// # Safety
///
/// All of these elements but those at `ahead` must exist, nobody else may use those of `c`, `from` may be `c`, and the
/// CPU must have the kernel's instructions.
pub type Kernel = unsafe fn(
    k: usize,
    a: *const f32,
    a_stride: usize,
    b: *const f32,
    from: *const f32,
    c: *mut f32,
    c_stride: usize,
    ahead: *const f32,
);

/// The kernels of an instruction set.
pub struct Kernels {
    /// Most rows of a tile.
    pub rows: usize,
    /// Columns of a tile.
    pub columns: usize,
    /// The kernel for 1, 2, … rows.
    pub tiles: &'static [Kernel],
    /// The same for left factors that lie by rows, if they need no packing to be read as fast.
    pub by_rows: Option<&'static [Kernel]>,
    /// Whether they fetch what is needed next by themselves.
    pub fetch_ahead: bool,
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
            Simd::Avx512 => &avx512::KERNELS,
            #[cfg(target_arch = "x86_64")]
            Simd::Avx2 => &avx2::KERNELS,
            #[cfg(not(target_arch = "x86_64"))]
            _ => unreachable!("`check_cpu` turns such machines away"),
        }
    }
}
