//! Products of matrices, to the bit.
//!
//! The rule, which anyone can implement: an element of A·B is Σₖ A\[i,k\]·B\[k,j\], with k in blocks of 256;
//! inside a block one chain of fused multiply-adds from zero in the order of k; the block sums added in
//! order, to what is already there if the product is to be added to it. An element's chain does not depend on
//! where its tile lies, so tiles may have any shape, and threads may cut the result anywhere. It is also the
//! rule of the crate `matrixmultiply` 0.3.11 on AVX2 with FMA and on AVX-512, which the tests use as a witness.
//!
//! The work is organised as Goto and van de Geijn have it (2008, ACM TOMS 34, 12): the right factor is packed
//! into panels of a tile's width, which all threads share; each thread packs some rows of the left factor into
//! panels of a tile's height that stay in its second-level cache, and a kernel ([`kernel`]) multiplies panel by
//! panel. A right factor that is used again and again is packed once ([`Right`]).

mod kernel;
mod pack;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::ops::Range;

use rayon::prelude::*;

pub use self::kernel::Kernels;
use self::kernel::{MOST_COLUMNS, MOST_ROWS};
pub use self::pack::Buffer;

/// Length of a chain: a longer inner dimension is cut into blocks of as many. Part of the arithmetic.
pub const BLOCK: usize = 256;
/// Rows of a left factor that are packed at once: with [`BLOCK`] numbers each they fill a fraction of a
/// second-level cache.
const CHUNK: usize = 168;
/// Numbers of a right factor that are packed at once, unless the caller keeps it packed: 16 MiB.
const PACKED: usize = 1 << 22;

thread_local! {
    /// Each thread's packed rows of a left factor.
    static LEFT: Cell<Buffer> = const { Cell::new(Buffer::EMPTY) };
    /// The right factor of the product that this thread deals out.
    static RIGHT: Cell<Right> = const { Cell::new(Right::EMPTY) };
}

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

    /// The columns of a range.
    pub fn columns(self, range: &Range<usize>) -> Matrix<'a> {
        self.t().rows(range.start, range.len()).t()
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

impl Start {
    /// What the sums of a block begin with: later blocks are added.
    fn of_block(self, inner: &Range<usize>) -> Start {
        if inner.start == 0 {
            self
        } else {
            Start::Present
        }
    }
}

/// A left factor as the kernels read it.
#[derive(Clone, Copy)]
pub struct Left<'a> {
    numbers: &'a [f32],
    rows: usize,
    k: usize,
    /// How far apart steps of the inner dimension lie; none if the factor is packed.
    stride: Option<usize>,
}

impl<'a> Left<'a> {
    /// Packs `a` into a buffer.
    pub fn pack(a: Matrix, kernels: &Kernels, buffer: &'a mut Buffer) -> Left<'a> {
        buffer.reach(a.rows * a.columns + pack::SPILL);
        pack::left(a, kernels.rows, buffer.numbers());
        Left {
            numbers: buffer.get(),
            rows: a.rows,
            k: a.columns,
            stride: None,
        }
    }

    /// A matrix whose columns lie in `numbers` as rows without gaps, `stride` apart: nothing to pack.
    pub fn columns(numbers: &'a [f32], rows: usize, k: usize, stride: usize) -> Left<'a> {
        assert!(
            fits(numbers.len(), k, rows, stride),
            "a left factor outside its slice"
        );
        Left {
            numbers,
            rows,
            k,
            stride: Some(stride),
        }
    }

    /// Steps of the inner dimension from `inner.start` on.
    fn steps(self, inner: &Range<usize>) -> Left<'a> {
        match self.stride {
            Some(stride) => Left {
                numbers: &self.numbers[(inner.start * stride).min(self.numbers.len())..],
                k: inner.len(),
                ..self
            },
            None => {
                assert!(inner.len() == self.k, "a packed factor is one block");
                self
            }
        }
    }

    /// Where a panel begins, and how far apart its steps lie.
    fn panel(&self, rows: &Range<usize>) -> (usize, usize) {
        match self.stride {
            Some(stride) => (rows.start, stride),
            None => (rows.start * self.k, rows.len()),
        }
    }
}

/// A right factor, packed: block after block of the inner dimension, in each panel after panel. So the panels that a
/// left factor's block meets lie side by side, and do not share a few sets of a cache.
pub struct Right {
    buffer: Buffer,
    k: usize,
    columns: usize,
}

impl Default for Right {
    fn default() -> Right {
        Right::EMPTY
    }
}

impl Right {
    /// Without room.
    pub const EMPTY: Right = Right {
        buffer: Buffer::EMPTY,
        k: 0,
        columns: 0,
    };

    /// Numbers that there is room for.
    pub fn numbers(&self) -> usize {
        self.buffer.get().len()
    }

    /// Makes room and takes the sizes of `b`.
    fn shape(&mut self, b: &Matrix, kernels: &Kernels) -> usize {
        (self.k, self.columns) = (b.rows, b.columns);
        let panels = b.columns.div_ceil(kernels.columns);
        self.buffer.reach(panels * kernels.columns * b.rows);
        panels * kernels.columns * b.rows
    }

    /// Packs `b` with all threads of the current pool.
    pub fn pack(&mut self, b: Matrix) {
        let kernels = Kernels::get();
        let (width, total) = (kernels.columns, self.shape(&b, kernels));
        if total == 0 {
            return;
        }
        // A few panels per task, so that a row of `b` is read in one piece.
        let panels = b.columns.div_ceil(width);
        let share = panels.div_ceil(rayon::current_num_threads()).min(8);
        let each = self.buffer.numbers()[..total].par_chunks_mut(panels * width * BLOCK);
        each.enumerate().for_each(|(block, to)| {
            let steps = (b.rows - block * BLOCK).min(BLOCK);
            let b = b.rows(block * BLOCK, steps);
            let tasks = to.par_chunks_mut(share * width * steps).enumerate();
            tasks.for_each(|(i, to)| {
                let columns = i * share * width..b.columns.min((i + 1) * share * width);
                pack::right(b.columns(&columns), width, to);
            });
        });
    }

    /// Packs `b` in this thread.
    pub fn pack_here(&mut self, b: Matrix, kernels: &Kernels) {
        let total = self.shape(&b, kernels);
        if total == 0 {
            return;
        }
        let each = self.buffer.numbers()[..total].chunks_mut(total / b.rows * BLOCK);
        for (steps, to) in blocks(b.rows).zip(each) {
            pack::right(b.rows(steps.start, steps.len()), kernels.columns, to);
        }
    }

    /// `a` times this into rows of `c` that begin `stride` elements apart, in this thread. Of this factor, as many
    /// rows are used as `a` has columns.
    pub fn product(&self, a: Matrix, c: &mut [f32], stride: usize, start: Start) {
        self.product_by(Kernels::get(), a, c, stride, start);
    }

    /// The same by certain kernels, for which this has been packed.
    fn product_by(&self, kernels: &Kernels, a: Matrix, c: &mut [f32], stride: usize, start: Start) {
        self.product_where(kernels, a, c, stride, start, |_, _| true);
    }

    /// The same, of the tiles only those that `wanted` asks for by their rows and columns.
    fn product_where(
        &self,
        kernels: &Kernels,
        a: Matrix,
        c: &mut [f32],
        stride: usize,
        start: Start,
        wanted: impl Fn(&Range<usize>, &Range<usize>) -> bool,
    ) {
        assert!(
            a.columns <= self.k && fits(c.len(), a.rows, self.columns, stride),
            "matrices that do not fit each other"
        );
        let mut buffer = LEFT.take();
        for rows in pack::panels(a.rows, CHUNK) {
            let first = (rows.start * stride).min(c.len());
            let c = &mut c[first..];
            for inner in blocks(a.columns) {
                let block = a.rows(rows.start, rows.len()).columns(&inner);
                let left = Left::pack(block, kernels, &mut buffer);
                let start = start.of_block(&inner);
                self.block(
                    kernels,
                    left,
                    &inner,
                    self.columns,
                    c,
                    stride,
                    start,
                    |tile, columns| {
                        let tile = rows.start + tile.start..rows.start + tile.end;
                        wanted(&tile, columns)
                    },
                );
            }
        }
        LEFT.set(buffer);
    }

    /// `left` times the first `columns` columns of this, and of these as many rows as `left` has columns, in this
    /// thread; of the tiles only those that `wanted` asks for by their rows and columns. The rest of `c` stays
    /// as it is.
    #[allow(clippy::too_many_arguments)] // A product has as many.
    pub fn tiles(
        &self,
        kernels: &Kernels,
        left: Left,
        columns: usize,
        c: &mut [f32],
        stride: usize,
        start: Start,
        wanted: impl Fn(&Range<usize>, &Range<usize>) -> bool,
    ) {
        assert!(
            left.k <= self.k
                && columns <= self.columns
                && fits(c.len(), left.rows, columns, stride),
            "matrices that do not fit each other"
        );
        for inner in blocks(left.k) {
            let (left, start) = (left.steps(&inner), start.of_block(&inner));
            self.block(kernels, left, &inner, columns, c, stride, start, &wanted);
        }
    }

    /// Panel `j` in steps of one block of the inner dimension, from its first on, and as much of what lies behind it:
    /// the next panel.
    fn steps(&self, kernels: &Kernels, inner: &Range<usize>, j: usize) -> (&[f32], &[f32]) {
        let (width, panels) = (kernels.columns, self.columns.div_ceil(kernels.columns));
        let (before, block) = (inner.start, BLOCK.min(self.k - inner.start));
        assert!(before.is_multiple_of(BLOCK) && inner.len() <= block && j < panels);
        let from = &self.buffer.get()[(before * panels + j * block) * width..];
        let (right, rest) = from.split_at(inner.len() * width);
        (right, &rest[..rest.len().min(right.len())])
    }

    /// One block of the inner dimension; the caller has made sure that `c` has all rows and columns.
    #[allow(clippy::too_many_arguments)] // A product has as many.
    fn block(
        &self,
        kernels: &Kernels,
        left: Left,
        inner: &Range<usize>,
        columns: usize,
        c: &mut [f32],
        stride: usize,
        start: Start,
        wanted: impl Fn(&Range<usize>, &Range<usize>) -> bool,
    ) {
        assert!(
            left.k == inner.len() && inner.end <= self.k,
            "another block"
        );
        let width = kernels.columns;
        let tiles = left.rows.div_ceil(kernels.rows).max(1);
        for j in 0..columns.div_ceil(width) {
            let columns = j * width..columns.min((j + 1) * width);
            let (right, next) = self.steps(kernels, inner, j);
            let mut next = next.chunks(next.len().div_ceil(tiles).max(1));
            for rows in pack::panels(left.rows, kernels.rows) {
                pack::fetch_numbers(next.next().unwrap_or_default());
                if rows.is_empty() || !wanted(&rows, &columns) {
                    continue;
                }
                let c = &mut c[rows.start * stride + columns.start..];
                tile(
                    kernels,
                    &left,
                    &rows,
                    right,
                    columns.len(),
                    c,
                    stride,
                    start,
                );
            }
        }
    }
}

/// Blocks of the inner dimension; one empty block if there is none, whose sums are zero.
fn blocks(k: usize) -> impl Iterator<Item = Range<usize>> {
    (0..k.div_ceil(BLOCK).max(1)).map(move |i| i * BLOCK..k.min((i + 1) * BLOCK))
}

/// One tile into the beginning of `c`.
#[allow(clippy::too_many_arguments)] // A product has as many.
#[inline(always)]
fn tile(
    kernels: &Kernels,
    left: &Left,
    rows: &Range<usize>,
    right: &[f32],
    width: usize,
    c: &mut [f32],
    stride: usize,
    start: Start,
) {
    let (from, step) = left.panel(rows);
    let (left, k) = (&left.numbers[from..], left.k);
    let kernel = kernels.tiles[rows.len() - 1];
    debug_assert!(fits(left.len(), k, rows.len(), step));
    debug_assert!(right.len() == k * kernels.columns);
    debug_assert!(fits(c.len(), rows.len(), width, stride));
    let add = matches!(start, Start::Present);
    if width == kernels.columns {
        // SAFETY: `left` has `k` steps of a panel's rows: `Left` is made so. `right` is one panel of `k` steps.
        // `block`'s callers assert that `c` has the tile. The CPU has what `Kernels` were chosen for.
        unsafe {
            kernel(
                k,
                left.as_ptr(),
                step,
                right.as_ptr(),
                c.as_mut_ptr(),
                stride,
                add,
            );
        }
        return;
    }
    let mut whole = [0f32; MOST_ROWS * MOST_COLUMNS];
    // SAFETY: as above; `whole` has room for any tile.
    unsafe {
        let to = whole.as_mut_ptr();
        kernel(
            k,
            left.as_ptr(),
            step,
            right.as_ptr(),
            to,
            MOST_COLUMNS,
            false,
        );
    }
    for (from, to) in whole
        .chunks_exact(MOST_COLUMNS)
        .zip(c.chunks_mut(stride))
        .take(rows.len())
    {
        for (to, from) in to[..width].iter_mut().zip(from) {
            *to = if add { *to + from } else { *from };
        }
    }
}

/// Whether a right factor of so many numbers is packed as a whole by [`parallel_product`].
pub fn is_packed_whole(numbers: usize) -> bool {
    numbers <= PACKED
}

/// `a`·`b` into `c`, whose rows lie without gaps, by all threads of the current pool.
pub fn parallel_product(a: Matrix, b: Matrix, c: &mut [f32], start: Start) {
    let n = b.columns;
    assert_eq!(c.len(), a.rows * n, "a result of another size");
    assert_eq!(a.columns, b.rows, "matrices that do not fit each other");
    if c.is_empty() {
        return;
    }
    let rows = share(a.rows);
    let mut right = RIGHT.take();
    let width = Kernels::get().columns;
    let at_once = (PACKED / b.rows.max(1)).max(1).next_multiple_of(width);
    for from in (0..n).step_by(at_once) {
        let columns = from..n.min(from + at_once);
        right.pack(b.columns(&columns));
        let packed = &right;
        let tasks = c.par_chunks_mut(rows * n).with_max_len(1).enumerate();
        tasks.for_each(|(i, c)| {
            let a = a.rows(i * rows, c.len() / n);
            packed.product(a, &mut c[from..], n, start);
        });
    }
    RIGHT.set(right);
}

/// `a`·`aᵀ` into `c`, by all threads of the current pool. An element and its mirror image have the same chain, so only
/// tiles that reach below the diagonal are computed, and the rest is copied.
pub fn parallel_square(a: Matrix, c: &mut [f32]) {
    let n = a.rows;
    assert_eq!(c.len(), n * n, "a result of another size");
    if c.is_empty() {
        return;
    }
    let rows = share(n);
    let mut right = RIGHT.take();
    let kernels = Kernels::get();
    let at_once = (PACKED / a.columns.max(1)).max(1);
    let at_once = at_once.next_multiple_of(kernels.columns);
    for from in (0..n).step_by(at_once) {
        let columns = from..n.min(from + at_once);
        right.pack(a.t().columns(&columns));
        let packed = &right;
        let tasks = c.par_chunks_mut(rows * n).with_max_len(1).enumerate();
        tasks.for_each(|(i, c)| {
            let first = i * rows;
            let a = a.rows(first, c.len() / n);
            let start = Start::Zero;
            packed.product_where(kernels, a, &mut c[from..], n, start, |tile, columns| {
                from + columns.start < first + tile.end
            });
        });
    }
    RIGHT.set(right);
    for row in 1..n {
        let (above, below) = c.split_at_mut(row * n);
        let mirrored = above[row..].iter_mut().step_by(n);
        for (to, from) in mirrored.zip(&below[..row]) {
            *to = *from;
        }
    }
}

/// Rows of a task, so that tasks are about equal, as many as threads or a multiple of that, and not larger than
/// what is packed at once.
pub fn share(rows: usize) -> usize {
    let threads = rayon::current_num_threads();
    let rounds = rows.div_ceil(threads * CHUNK).max(1);
    rows.div_ceil(threads * rounds).max(1)
}
