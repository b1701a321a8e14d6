//! Copies of factors in the order in which the kernels read them.
//!
//! A left factor becomes panels of a few rows, a right factor panels of some columns; inside a panel, what
//! belongs to one step of the inner dimension lies side by side.

use std::ops::Range;

use super::Matrix;

/// Numbers behind the end of a packed left factor that packing may write to.
pub const SPILL: usize = 8;

/// A cache line of numbers.
#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Numbers that begin at a cache line. They only ever grow; what is in them stays or becomes zero.
#[derive(Default)]
pub struct Buffer(Vec<Line>);

impl Buffer {
    /// Without room.
    pub const EMPTY: Buffer = Buffer(Vec::new());

    /// Makes room for `n` numbers.
    pub fn reach(&mut self, n: usize) {
        let lines = n.div_ceil(16);
        if self.0.len() < lines {
            // Without a copy of what is not needed any more.
            self.0 = Vec::new();
            self.0.resize(lines, Line::default());
        }
    }

    /// All of them, at least as many as were asked for.
    pub fn numbers(&mut self) -> &mut [f32] {
        let n = self.0.len() * 16;
        // SAFETY: a `Line` is sixteen numbers without padding.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), n) }
    }

    /// All of them, to read.
    pub fn get(&self) -> &[f32] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * 16) }
    }
}

/// The rows of each panel when `rows` rows are dealt to panels of at most `most` as evenly as possible.
pub fn panels(rows: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let count = rows.div_ceil(most).max(1);
    let (each, more) = (rows / count, rows % count);
    let start = move |i: usize| i * each + i.min(more);
    (0..count).map(move |i| start(i)..start(i + 1))
}

/// Steps of the inner dimension that are copied for one panel before the next panel's: their rows' pages are then still
/// at hand.
const STEPS: usize = 16;

/// Packs a left factor: panel after panel, in each for every column of `a` the elements of the panel's rows.
/// Panel *p* begins at its first row times the number of columns. `to` takes all elements and [`SPILL`] more.
pub fn left(a: Matrix, most: usize, to: &mut [f32]) {
    let k = a.columns;
    if a.column_stride == 1 {
        for panel in panels(a.rows, most) {
            let to = &mut to[panel.start * k..panel.end * k + SPILL];
            transpose(a.rows(panel.start, panel.len()), to, panel.len());
        }
        return;
    }
    let columns = a.t();
    for steps in (0..k).step_by(STEPS) {
        let count = STEPS.min(k - steps);
        if steps + 2 * STEPS <= k {
            fetch(columns.rows(steps + STEPS, STEPS));
        }
        for panel in panels(a.rows, most) {
            let from = columns.rows(steps, count).columns(&panel);
            side_by_side(
                from,
                &mut to[panel.start * k + steps * panel.len()..],
                panel.len(),
            );
        }
    }
}

/// Packs some panels of a right factor, in each for every row of `b` the elements in the panel's columns, then what
/// fills them up to `width`, which is left as it is or becomes anything. `to` is as long as that takes.
pub fn right(b: Matrix, width: usize, to: &mut [f32]) {
    let (k, columns) = (b.rows, b.columns);
    let panels = (0..columns)
        .step_by(width)
        .map(|start| start..columns.min(start + width));
    if b.row_stride == 1 {
        for (panel, to) in panels.zip(to.chunks_exact_mut(width * k)) {
            transpose(b.columns(&panel).t(), to, width);
        }
        return;
    }
    for steps in (0..k).step_by(STEPS) {
        let from = b.rows(steps, STEPS.min(k - steps));
        if steps + 2 * STEPS <= k {
            fetch(b.rows(steps + STEPS, STEPS));
        }
        for (panel, to) in panels.clone().zip(to.chunks_exact_mut(width * k)) {
            side_by_side(from.columns(&panel), &mut to[steps * width..], width);
        }
    }
}

/// Asks for rows that will be copied next: they lie too far apart for the CPU to foresee.
fn fetch(rows: Matrix) {
    #[cfg(target_arch = "x86_64")]
    for i in 0..rows.rows {
        for line in rows.data[i * rows.row_stride..][..rows.columns].chunks(16) {
            use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T0};
            // SAFETY: a prefetch has no effect on what a program computes, and the address is a valid one.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
        }
    }
}

/// Asks for numbers that will be needed soon, in the second-level cache.
#[inline(always)]
pub fn fetch_numbers(numbers: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in numbers.chunks(LINE) {
        use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T1};
        // SAFETY: a prefetch has no effect on what a program computes, and the address is a valid one.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) };
    }
}

/// Numbers in a cache line.
const LINE: usize = 16;

/// Row *i* of `from` goes to `to[i·stride..]`; rows are without gaps and of at most `stride` elements. What lies between
/// two rows in `to` may be overwritten.
fn side_by_side(from: Matrix, to: &mut [f32], stride: usize) {
    let mut done = 0;
    #[cfg(target_arch = "x86_64")]
    if from.columns <= 4 * x86::VECTOR && std::arch::is_x86_feature_detected!("avx2") {
        done = whole_vectors(from, to, stride);
    }
    let places = to.chunks_mut(stride).skip(done);
    for (i, to) in (done..from.rows).zip(places) {
        let row = &from.data[i * from.row_stride..][..from.columns];
        to[..from.columns].copy_from_slice(row);
    }
}

/// Copies first rows in whole vectors, as many rows as these stay in `from` and in what all rows fill of `to`; what a
/// row has too much is overwritten by the rows after it. Returns how many these are.
#[cfg(target_arch = "x86_64")]
fn whole_vectors(from: Matrix, to: &mut [f32], stride: usize) -> usize {
    let vectors = from.columns.div_ceil(x86::VECTOR).next_power_of_two();
    let most = |len: usize, apart: usize| match len.checked_sub(vectors * x86::VECTOR) {
        Some(left) => left / apart + 1,
        None => 0,
    };
    let filled = to
        .len()
        .min(from.rows.saturating_sub(1) * stride + from.columns);
    let rows = from.rows;
    let rows = rows
        .min(most(filled, stride))
        .min(most(from.data.len(), from.row_stride));
    let (from, apart, to) = (from.data.as_ptr(), from.row_stride, to.as_mut_ptr());
    // SAFETY: the CPU has AVX2, and the last row's vectors end within both slices.
    unsafe {
        match vectors {
            1 => x86::copy::<1>(rows, from, apart, to, stride),
            2 => x86::copy::<2>(rows, from, apart, to, stride),
            _ => x86::copy::<4>(rows, from, apart, to, stride),
        }
    }
    rows
}

/// Element (i, p) of `from` goes to `to[p·stride + i]`. Rows are without gaps between elements; there are at
/// most `stride` of them. Whatever `to` has beyond the last element may be overwritten, up to [`SPILL`].
fn transpose(from: Matrix, to: &mut [f32], stride: usize) {
    let (rows, k) = (from.rows, from.columns);
    let mut done = 0;
    #[cfg(target_arch = "x86_64")]
    if rows > 0 && k >= 8 && std::arch::is_x86_feature_detected!("avx2") {
        done = k - k % 8;
        let reach = (k - 1) * stride + rows.next_multiple_of(8);
        assert!(to.len() >= reach, "no room for what spills over");
        // SAFETY: the CPU has AVX2. Loads stay inside `from`, whose rows lie inside its slice: steps end at
        // `done` <= k, and rows beyond the last are read from the last. Stores end at `reach`.
        unsafe { x86::transpose(from, done, to.as_mut_ptr(), stride) };
    }
    for i in 0..rows {
        let row = &from.data[i * from.row_stride..][..k];
        for (p, x) in row.iter().enumerate().skip(done) {
            to[p * stride + i] = *x;
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Matrix, LINE};

    /// Numbers that are fetched ahead in each row.
    const AHEAD: usize = 64;
    /// Columns that are transposed of some rows before the next rows' turn.
    const SPAN: usize = 64;
    /// Numbers in a vector.
    pub const VECTOR: usize = 8;

    /// Copies `rows` rows of so many vectors, which begin so far apart here and there.
    #[target_feature(enable = "avx2")]
    pub unsafe fn copy<const VECTORS: usize>(
        rows: usize,
        from: *const f32,
        apart: usize,
        to: *mut f32,
        stride: usize,
    ) {
        for i in 0..rows {
            for at in (0..VECTORS).map(|vector| vector * VECTOR) {
                // SAFETY: see the caller.
                unsafe {
                    let vector = _mm256_loadu_ps(from.add(i * apart + at));
                    _mm256_storeu_ps(to.add(i * stride + at), vector);
                }
            }
        }
    }

    /// Transposes the first `k` columns, a multiple of eight, in squares of 8×8.
    ///
    /// A square with fewer than eight rows stores eight numbers all the same. What it stores too much lies where
    /// the next step's first rows go, or the next square's; so squares of later rows come first.
    #[target_feature(enable = "avx2")]
    pub unsafe fn transpose(from: Matrix, k: usize, to: *mut f32, stride: usize) {
        let last = from.rows - 1;
        for start in (0..k).step_by(SPAN) {
            for first in (0..from.rows).step_by(8).rev() {
                // SAFETY: see the caller.
                unsafe {
                    let row = |i: usize| (first + i).min(last) * from.row_stride + start;
                    let rows = std::array::from_fn(|i| from.data.as_ptr().add(row(i)));
                    let to = to.add(start * stride + first);
                    strip(rows, SPAN.min(k - start), to, stride);
                }
            }
        }
    }

    /// Transposes the first `k` columns, a multiple of eight, of eight rows.
    #[target_feature(enable = "avx2")]
    unsafe fn strip(rows: [*const f32; 8], k: usize, mut to: *mut f32, stride: usize) {
        for p in (0..k).step_by(8) {
            // SAFETY: see the caller of `transpose`.
            unsafe {
                if p % LINE == 0 {
                    // Rows are too many and too short for the CPU to foresee.
                    for row in rows {
                        _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(p + AHEAD).cast());
                    }
                }
                let square = rows.map(|row| _mm256_loadu_ps(row.add(p)));
                for column in turn(square) {
                    _mm256_storeu_ps(to, column);
                    to = to.wrapping_add(stride);
                }
            }
        }
    }

    /// The columns of eight rows.
    #[target_feature(enable = "avx2")]
    fn turn([a, b, c, d, e, f, g, h]: [__m256; 8]) -> [__m256; 8] {
        let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
        let (ef, gh) = (_mm256_unpacklo_ps(e, f), _mm256_unpacklo_ps(g, h));
        let (ab2, cd2) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
        let (ef2, gh2) = (_mm256_unpackhi_ps(e, f), _mm256_unpackhi_ps(g, h));
        // Of each half of eight numbers: columns 0 and 4, 1 and 5, 2 and 6, 3 and 7.
        let upper = [
            _mm256_shuffle_ps::<0x44>(ab, cd),
            _mm256_shuffle_ps::<0xee>(ab, cd),
            _mm256_shuffle_ps::<0x44>(ab2, cd2),
            _mm256_shuffle_ps::<0xee>(ab2, cd2),
        ];
        let lower = [
            _mm256_shuffle_ps::<0x44>(ef, gh),
            _mm256_shuffle_ps::<0xee>(ef, gh),
            _mm256_shuffle_ps::<0x44>(ef2, gh2),
            _mm256_shuffle_ps::<0xee>(ef2, gh2),
        ];
        let [a, b, c, d] = upper;
        let [e, f, g, h] = lower;
        [
            _mm256_permute2f128_ps::<0x20>(a, e),
            _mm256_permute2f128_ps::<0x20>(b, f),
            _mm256_permute2f128_ps::<0x20>(c, g),
            _mm256_permute2f128_ps::<0x20>(d, h),
            _mm256_permute2f128_ps::<0x31>(a, e),
            _mm256_permute2f128_ps::<0x31>(b, f),
            _mm256_permute2f128_ps::<0x31>(c, g),
            _mm256_permute2f128_ps::<0x31>(d, h),
        ]
    }
}
