//! Kernels of AVX2 with fused multiply-adds.
//!
//! The loop over the inner dimension is written in the CPU's own words: of sixteen registers all are taken, and a
//! compiler that loads ahead of a step, as it does where steps are written out, has none left and keeps sums in memory.

use std::arch::asm;
use std::arch::x86_64::*;

use super::{Kernel, Kernels};
use crate::gemm::BLOCK;

/// Steps of the inner dimension that are written out one after another.
const STEPS: usize = 8;
/// Numbers in a vector.
const LANES: usize = 8;
/// Most rows of a tile.
const ROWS: usize = 6;

/// Tiles of up to 6×16: 12 of 16 registers hold sums.
pub static KERNELS: Kernels = Kernels {
    rows: ROWS,
    columns: 2 * LANES,
    tiles: &[
        columns::tile_1,
        columns::tile_2,
        columns::tile_3,
        columns::tile_4,
        columns::tile_5,
        columns::tile_6 as Kernel,
    ],
    by_rows: Some(&[
        rows::tile_1,
        rows::tile_2,
        rows::tile_3,
        rows::tile_4,
        rows::tile_5,
        rows::tile_6 as Kernel,
    ]),
    fetch_ahead: true,
};

/// Two vectors of sums for each row.
type Sums = [[__m256; 2]; ROWS];

/// The register of a row's first or second vector of sums.
macro_rules! sum {
    (0, 0) => {
        "ymm0"
    };
    (0, 1) => {
        "ymm1"
    };
    (1, 0) => {
        "ymm2"
    };
    (1, 1) => {
        "ymm3"
    };
    (2, 0) => {
        "ymm4"
    };
    (2, 1) => {
        "ymm5"
    };
    (3, 0) => {
        "ymm6"
    };
    (3, 1) => {
        "ymm7"
    };
    (4, 0) => {
        "ymm8"
    };
    (4, 1) => {
        "ymm9"
    };
    (5, 0) => {
        "ymm10"
    };
    (5, 1) => {
        "ymm11"
    };
}

/// Where the number of a row and a step is, in a left factor that lies by columns; `a` goes along with the steps.
macro_rules! by_columns {
    (0, $step:tt) => {
        "{a}"
    };
    (1, $step:tt) => {
        "{a} + 4"
    };
    (2, $step:tt) => {
        "{a} + 8"
    };
    (3, $step:tt) => {
        "{a} + 12"
    };
    (4, $step:tt) => {
        "{a} + 16"
    };
    (5, $step:tt) => {
        "{a} + 20"
    };
}

/// The same in one that lies by rows; `d` is where the fourth row is.
macro_rules! by_rows {
    (0, $step:tt) => {
        concat!("{a} + 4*", $step)
    };
    (1, $step:tt) => {
        concat!("{a} + {apart} + 4*", $step)
    };
    (2, $step:tt) => {
        concat!("{a} + 2*{apart} + 4*", $step)
    };
    (3, $step:tt) => {
        concat!("{d} + 4*", $step)
    };
    (4, $step:tt) => {
        concat!("{d} + {apart} + 4*", $step)
    };
    (5, $step:tt) => {
        concat!("{d} + 2*{apart} + 4*", $step)
    };
}

/// What comes after a step.
macro_rules! after_step {
    (by_columns) => {
        "add {a}, {apart}"
    };
    (by_rows) => {
        ""
    };
}

/// What comes after so many steps.
macro_rules! after_steps {
    (by_columns, $steps:literal) => {
        ""
    };
    (by_rows, $steps:literal) => {
        concat!("add {a}, 4*", $steps, "\n", "add {d}, 4*", $steps)
    };
}

/// What is fetched before steps: of a left factor by columns the steps after these, by rows the next panel's.
macro_rules! fetch {
    (by_columns) => {
        concat!(
            "lea {next}, [{a} + 8*{apart}]\n",
            "prefetcht0 byte ptr [{next}]\n",
            "prefetcht0 byte ptr [{next} + 64]\n",
            "prefetcht0 byte ptr [{next} + 128]",
        )
    };
    (by_rows) => {
        concat!(
            "lea {next}, [{a} + {panel}]\n",
            "prefetcht0 byte ptr [{next}]\n",
            "prefetcht0 byte ptr [{next} + {apart}]\n",
            "prefetcht0 byte ptr [{next} + 2*{apart}]\n",
            "lea {next}, [{d} + {panel}]\n",
            "prefetcht0 byte ptr [{next}]\n",
            "prefetcht0 byte ptr [{next} + {apart}]\n",
            "prefetcht0 byte ptr [{next} + 2*{apart}]",
        )
    };
}

/// A row's two fused multiply-adds of a step.
macro_rules! multiply {
    ($lie:ident, $row:tt, $step:tt, $x:literal) => {
        concat!(
            "vbroadcastss ",
            $x,
            ", dword ptr [",
            $lie!($row, $step),
            "]\n",
            "vfmadd231ps ",
            sum!($row, 0),
            ", ",
            $x,
            ", ymm12\n",
            "vfmadd231ps ",
            sum!($row, 1),
            ", ",
            $x,
            ", ymm13\n",
        )
    };
}

/// A step of all rows.
macro_rules! step {
    ($lie:ident, $step:tt, $($row:tt $x:literal),*) => {
        concat!(
            "vmovups ymm12, ymmword ptr [{b} + 64*", $step, "]\n",
            "vmovups ymm13, ymmword ptr [{b} + 64*", $step, " + 32]\n",
            $(multiply!($lie, $row, $step, $x),)*
            after_step!($lie),
        )
    };
}

/// A loop of `$count` turns, with the registers that it uses.
macro_rules! turns {
    (
        $count:expr, $a:ident, $d:ident, $b:ident, $apart:expr, $panel:expr, $ahead:ident, $sums:ident,
        $($text:expr),*
    ) => {
        asm!(
            // Not all of these are used by all.
            "/* {d} {apart} {panel} {next} {ahead} */",
            "2:",
            $($text,)*
            "dec {count}",
            "jnz 2b",
            a = inout(reg) $a,
            d = inout(reg) $d,
            b = inout(reg) $b,
            count = inout(reg) $count => _,
            apart = in(reg) $apart,
            panel = in(reg) $panel,
            ahead = inout(reg) $ahead,
            next = out(reg) _,
            inout("ymm0") $sums[0][0],
            inout("ymm1") $sums[0][1],
            inout("ymm2") $sums[1][0],
            inout("ymm3") $sums[1][1],
            inout("ymm4") $sums[2][0],
            inout("ymm5") $sums[2][1],
            inout("ymm6") $sums[3][0],
            inout("ymm7") $sums[3][1],
            inout("ymm8") $sums[4][0],
            inout("ymm9") $sums[4][1],
            inout("ymm10") $sums[5][0],
            inout("ymm11") $sums[5][1],
            out("ymm12") _,
            out("ymm13") _,
            out("ymm14") _,
            out("ymm15") _,
            options(nostack, readonly)
        )
    };
}

/// Writes the kernel for some rows.
macro_rules! tile {
    ($lie:ident, $name:ident, $rows:literal, $($row:tt $x:literal),*) => {
        #[allow(clippy::too_many_arguments)] // A kernel has as many.
        #[target_feature(enable = "avx2,fma")]
        pub unsafe fn $name(
            mut k: usize,
            mut a: *const f32,
            a_stride: usize,
            mut b: *const f32,
            mut from: *const f32,
            c: *mut f32,
            c_stride: usize,
            mut ahead: *const f32,
        ) {
            let mut d = a.wrapping_add(3 * a_stride);
            let (apart, panel) = (4 * a_stride, 4 * $rows * a_stride);
            // SAFETY: the caller guarantees that all elements named here exist.
            unsafe {
                fetch::<$rows>(if from.is_null() { c.cast_const() } else { from }, c_stride);
                loop {
                    let block = k.min(BLOCK);
                    let mut sums: Sums = [[_mm256_setzero_ps(); 2]; ROWS];
                    if block >= STEPS {
                        turns!(
                            block / STEPS, a, d, b, apart, panel, ahead, sums,
                            fetch!($lie),
                            step!($lie, 0, $($row $x),*),
                            step!($lie, 1, $($row $x),*),
                            step!($lie, 2, $($row $x),*),
                            step!($lie, 3, $($row $x),*),
                            step!($lie, 4, $($row $x),*),
                            step!($lie, 5, $($row $x),*),
                            step!($lie, 6, $($row $x),*),
                            step!($lie, 7, $($row $x),*),
                            "add {b}, 64*8",
                            "prefetcht1 byte ptr [{ahead}]",
                            "add {ahead}, 64",
                            after_steps!($lie, 8)
                        );
                    }
                    if !block.is_multiple_of(STEPS) {
                        turns!(
                            block % STEPS, a, d, b, apart, panel, ahead, sums,
                            step!($lie, 0, $($row $x),*),
                            "add {b}, 64",
                            after_steps!($lie, 1)
                        );
                    }
                    store::<$rows>(sums, from, c, c_stride);
                    k -= block;
                    if k == 0 {
                        return;
                    }
                    from = c;
                }
            }
        }
    };
}

/// Writes the kernels of a left factor that lies so.
macro_rules! tiles {
    ($lie:ident) => {
        tile!($lie, tile_1, 1, 0 "ymm14");
        tile!($lie, tile_2, 2, 0 "ymm14", 1 "ymm15");
        tile!($lie, tile_3, 3, 0 "ymm14", 1 "ymm15", 2 "ymm14");
        tile!($lie, tile_4, 4, 0 "ymm14", 1 "ymm15", 2 "ymm14", 3 "ymm15");
        tile!($lie, tile_5, 5, 0 "ymm14", 1 "ymm15", 2 "ymm14", 3 "ymm15", 4 "ymm14");
        tile!($lie, tile_6, 6, 0 "ymm14", 1 "ymm15", 2 "ymm14", 3 "ymm15", 4 "ymm14", 5 "ymm15");
    };
}

/// Kernels for what lies by columns.
mod columns {
    use super::*;
    tiles!(by_columns);
}

/// Kernels for what lies by rows.
mod rows {
    use super::*;
    tiles!(by_rows);
}

/// Asks for what sums will be added to.
#[inline(always)]
unsafe fn fetch<const COUNT: usize>(c: *const f32, c_stride: usize) {
    for row in 0..COUNT {
        let c = c.wrapping_add(row * c_stride);
        // SAFETY: a prefetch has no effect on what a program computes.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(c.cast());
            _mm_prefetch::<_MM_HINT_T0>(c.wrapping_add(2 * LANES - 1).cast());
        }
    }
}

/// Writes the sums of so many rows, added to `from` unless that is null.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn store<const COUNT: usize>(sums: Sums, from: *const f32, c: *mut f32, c_stride: usize) {
    for (row, sums) in sums.into_iter().enumerate().take(COUNT) {
        for (i, sum) in sums.into_iter().enumerate() {
            let at = row * c_stride + i * LANES;
            // SAFETY: the caller guarantees that these elements exist.
            unsafe {
                let sum = match from.is_null() {
                    true => sum,
                    false => _mm256_add_ps(_mm256_loadu_ps(from.add(at)), sum),
                };
                _mm256_storeu_ps(c.add(at), sum);
            }
        }
    }
}
