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
//! panel. A right factor that is used again and again is packed once ([`Right`]). A left factor that kernels read as
//! fast where it lies is not packed at all ([`Left::of`]).

mod kernel;
mod pack;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::ops::Range;

use rayon::prelude::*;

pub use self::kernel::Kernels;
use self::kernel::{Kernel, MOST_COLUMNS, MOST_ROWS};
pub use self::pack::Buffer;

/// Length of a chain: a longer inner dimension is cut into blocks of as many. Part of the arithmetic.
pub const BLOCK: usize = 256;
/// Rows of a left factor that are packed at once: with [`BLOCK`] and [`SHORT`] numbers each at most they fill a fraction
/// of a second-level cache.
const CHUNK: usize = 168;
/// A shorter block at the end of an inner dimension is computed together with the one before it.
const SHORT: usize = 128;
/// Numbers between rows, 4 KiB, a multiple of which crowds a cache.
const CROWDED: usize = 1_024;
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
pub enum Start<'a> {
    /// Zero: what was there is overwritten.
    Zero,
    /// What is there: the product is added to it.
    Present,
    /// These numbers, which lie as the product will: what was there is overwritten.
    From(&'a [f32]),
}

impl<'a> Start<'a> {
    /// What the sums of a block begin with: later blocks are added.
    fn of_block(self, inner: &Range<usize>) -> Start<'a> {
        if inner.start == 0 {
            self
        } else {
            Start::Present
        }
    }

    /// The same of the part that begins at `place`.
    fn at(self, place: usize) -> Start<'a> {
        match self {
            Start::From(numbers) => Start::From(&numbers[place.min(numbers.len())..]),
            other => other,
        }
    }

    /// Whether there is a number for each of so many rows and columns.
    fn reaches(self, rows: usize, columns: usize, stride: usize) -> bool {
        match self {
            Start::From(numbers) => fits(numbers.len(), rows, columns, stride),
            _ => true,
        }
    }
}

/// A left factor as the kernels read it.
#[derive(Clone, Copy)]
pub struct Left<'a> {
    numbers: &'a [f32],
    rows: usize,
    k: usize,
    lie: Lie,
}

/// How the numbers of a left factor lie.
#[derive(Clone, Copy)]
enum Lie {
    /// Packed.
    Packed,
    /// Steps of the inner dimension so far apart, without gaps between rows.
    Columns(usize),
    /// Rows so far apart, without gaps between steps.
    Rows(usize),
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
            lie: Lie::Packed,
        }
    }

    /// `a` as it lies if kernels read that as fast, otherwise packed into a buffer.
    pub fn of(a: Matrix<'a>, kernels: &Kernels, buffer: &'a mut Buffer) -> Left<'a> {
        // Rows that lie a multiple of so much apart would share a few sets of a cache.
        let crowded = a.row_stride.is_multiple_of(CROWDED);
        if kernels.by_rows.is_none() || a.column_stride != 1 || crowded || a.columns == 0 {
            return Left::pack(a, kernels, buffer);
        }
        Left {
            numbers: a.data,
            rows: a.rows,
            k: a.columns,
            lie: Lie::Rows(a.row_stride),
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
            lie: Lie::Columns(stride),
        }
    }

    /// Steps of the inner dimension from `inner.start` on.
    fn steps(self, inner: &Range<usize>) -> Left<'a> {
        let first = match self.lie {
            Lie::Columns(stride) => inner.start * stride,
            Lie::Rows(_) => inner.start,
            Lie::Packed => {
                assert!(inner.len() == self.k, "a packed factor is one block");
                0
            }
        };
        Left {
            numbers: &self.numbers[first.min(self.numbers.len())..],
            k: inner.len(),
            ..self
        }
    }

    /// Where a panel begins, how far apart its steps lie, or its rows, and the kernels that read it.
    fn panel(&self, kernels: &Kernels, rows: &Range<usize>) -> (usize, usize, &'static [Kernel]) {
        match (self.lie, kernels.by_rows) {
            (Lie::Rows(stride), Some(by_rows)) => (rows.start * stride, stride, by_rows),
            (Lie::Columns(stride), _) => (rows.start, stride, kernels.tiles),
            _ => (rows.start * self.k, rows.len(), kernels.tiles),
        }
    }
}

/// A right factor, packed: group after group of blocks of the inner dimension (`groups`), in each panel after panel.
/// So the panels that a left factor's group meets lie side by side, and do not share a few sets of a cache.
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
        let last = groups(b.rows).last().map_or(0, |group| group.start);
        let (whole, last) = self.buffer.numbers()[..total].split_at_mut(last * panels * width);
        let whole = whole.par_chunks_mut(panels * width * BLOCK);
        let each = whole.chain(rayon::iter::once(last));
        each.enumerate().for_each(|(group, to)| {
            let steps = to.len() / (panels * width);
            let b = b.rows(group * BLOCK, steps);
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
        for steps in groups(b.rows) {
            let to = &mut self.buffer.numbers()[total / b.rows * steps.start..]
                [..total / b.rows * steps.len()];
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
            a.columns <= self.k
                && fits(c.len(), a.rows, self.columns, stride)
                && start.reaches(a.rows, self.columns, stride),
            "matrices that do not fit each other"
        );
        let mut buffer = LEFT.take();
        for rows in pack::panels(a.rows, CHUNK) {
            let first = (rows.start * stride).min(c.len());
            let c = &mut c[first..];
            let chunk = a.rows(rows.start, rows.len());
            for inner in self.groups(a.columns) {
                let left = Left::of(chunk.columns(&inner), kernels, &mut buffer);
                let start = start.at(first).of_block(&inner);
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

    /// The groups of blocks in which this is packed, as far as `k` reaches; one empty group if there is none.
    fn groups(&self, k: usize) -> impl Iterator<Item = Range<usize>> {
        let reached = groups(self.k).filter(move |group| group.start < k.max(1));
        reached.map(move |group| group.start..group.end.min(k))
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
                && fits(c.len(), left.rows, columns, stride)
                && start.reaches(left.rows, columns, stride),
            "matrices that do not fit each other"
        );
        for inner in self.groups(left.k) {
            let (left, start) = (left.steps(&inner), start.of_block(&inner));
            self.block(kernels, left, &inner, columns, c, stride, start, &wanted);
        }
    }

    /// Panel `j` in steps of one group of blocks, from its first on, and as much of what lies behind it: the next one.
    fn steps(&self, kernels: &Kernels, inner: &Range<usize>, j: usize) -> (&[f32], &[f32]) {
        let (width, panels) = (kernels.columns, self.columns.div_ceil(kernels.columns));
        let group = group(self.k, inner.start);
        assert!(group.start == inner.start && inner.end <= group.end && j < panels);
        let from = &self.buffer.get()[(group.start * panels + j * group.len()) * width..];
        let (right, rest) = from.split_at(inner.len() * width);
        (right, &rest[..rest.len().min(right.len())])
    }

    /// One group of blocks of the inner dimension; the caller has made sure that `c` has all rows and columns.
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
                // After the last one what is at hand: addresses that are nowhere cost more than they are worth.
                let ahead = next.next().unwrap_or(right);
                if !kernels.fetch_ahead {
                    pack::fetch_numbers(ahead);
                }
                if rows.is_empty() || !wanted(&rows, &columns) {
                    continue;
                }
                let place = rows.start * stride + columns.start;
                let (c, start) = (&mut c[place..], start.at(place));
                tile(
                    kernels,
                    &left,
                    &rows,
                    right,
                    columns.len(),
                    c,
                    stride,
                    start,
                    ahead,
                );
            }
        }
    }
}

/// The blocks of an inner dimension of `k` by groups: the last one has a short block at the end beside the block before
/// it. One empty group if there is none.
fn groups(k: usize) -> impl Iterator<Item = Range<usize>> {
    let whole = (k.saturating_sub(SHORT)).div_ceil(BLOCK).max(1);
    (0..whole).map(move |i| group(k, i * BLOCK))
}

/// The group that begins at `start`.
fn group(k: usize, start: usize) -> Range<usize> {
    let end = start + BLOCK;
    start..if end + SHORT >= k { k } else { end }
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
    ahead: &[f32],
) {
    let (from, step, tiles) = left.panel(kernels, rows);
    let (left, k) = (&left.numbers[from..], left.k);
    let kernel = tiles[rows.len() - 1];
    debug_assert!(right.len() == k * kernels.columns);
    debug_assert!(fits(c.len(), rows.len(), width, stride));
    debug_assert!(start.reaches(rows.len(), width, stride));
    let (left, right, ahead) = (left.as_ptr(), right.as_ptr(), ahead.as_ptr());
    if width == kernels.columns {
        let c = c.as_mut_ptr();
        let from = match start {
            Start::Zero => std::ptr::null(),
            Start::Present => c.cast_const(),
            Start::From(numbers) => numbers.as_ptr(),
        };
        // SAFETY: `left` has `k` steps of a panel's rows: `Left` is made so. `right` is one panel of `k` steps.
        // `block`'s callers assert that `c` has the tile, and `start`. The CPU has what `Kernels` were chosen for.
        unsafe { kernel(k, left, step, right, from, c, stride, ahead) };
        return;
    }
    let mut whole = [0f32; MOST_ROWS * MOST_COLUMNS];
    let present = match start {
        Start::Zero => None,
        Start::Present => Some(&*c),
        Start::From(numbers) => Some(numbers),
    };
    if let Some(present) = present {
        let each = whole.chunks_exact_mut(MOST_COLUMNS);
        for (to, from) in each.zip(present.chunks(stride)).take(rows.len()) {
            to[..width].copy_from_slice(&from[..width]);
        }
    }
    let to = whole.as_mut_ptr();
    let from = present.map_or(std::ptr::null(), |_| to.cast_const());
    // SAFETY: as above; `whole` has room for any tile.
    unsafe { kernel(k, left, step, right, from, to, MOST_COLUMNS, ahead) };
    let each = whole.chunks_exact(MOST_COLUMNS);
    for (from, to) in each.zip(c.chunks_mut(stride)).take(rows.len()) {
        to[..width].copy_from_slice(&from[..width]);
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
    assert!(start.reaches(a.rows, n, n), "too few to start from");
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
            let start = start.at(i * rows * n + from);
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
