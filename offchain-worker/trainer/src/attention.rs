//! Causal grouped-query attention (Ainslie et al. 2023, arXiv 2305.13245), a block of queries at a time.
//!
//! A task is one key head of one sequence with all query heads that look at it. Queries come in blocks of 64, and a
//! block looks only at keys up to its own last one; tiles of scores that the mask would hide are not computed.
//! The backward pass computes the probabilities again from each row's largest score and the sum of its
//! exponentials, as Flash Attention does (Dao et al. 2022, arXiv 2205.14135): what is kept grows with the length,
//! not with its square.
//!
//! Order of the sums: a query's exponentials are added in the order of the keys; its output is the product of the
//! unnormalised exponentials with the values, times one over that sum. The gradients of a key and a value are
//! chains over 64 queries, added block after block, query head after query head.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

use crate::gemm::{Buffer, Kernels, Left, Matrix, Right, Start};
use crate::math::{dot, exp};
use crate::rope::{Angles, Turn};

/// Queries per block; part of the arithmetic.
pub const BLOCK: usize = 64;

/// How heads lie in a row: queries, then keys, then values.
#[derive(Clone, Copy)]
pub struct Heads {
    /// Number of query heads.
    pub queries: usize,
    /// Number of key heads, and of value heads.
    pub keys: usize,
    /// Numbers in a head, at most 256.
    pub width: usize,
    /// Positions in a sequence.
    pub length: usize,
}

/// What the forward pass leaves for the backward pass, of all sequences.
#[derive(Clone, Copy)]
pub struct Kept<'a> {
    /// Rows of queries, keys and values.
    pub qkv: &'a [f32],
    /// Rows of the output.
    pub output: &'a [f32],
    /// Of each sequence, head and position the largest score.
    pub maxima: &'a [f32],
    /// One over the sum of exponentials, likewise.
    pub rates: &'a [f32],
}

/// What a thread needs for itself.
struct Scratch {
    keys: Buffer,
    left: Buffer,
    scores: Buffer,
    dscores: Buffer,
    block: Buffer,
    dkeys: Buffer,
    dvalues: Buffer,
    rights: [Right; 5],
}

impl Scratch {
    const EMPTY: Scratch = Scratch {
        keys: Buffer::EMPTY,
        left: Buffer::EMPTY,
        scores: Buffer::EMPTY,
        dscores: Buffer::EMPTY,
        block: Buffer::EMPTY,
        dkeys: Buffer::EMPTY,
        dvalues: Buffer::EMPTY,
        rights: [Right::EMPTY; 5],
    };
}

thread_local! {
    static SCRATCH: Cell<Scratch> = const { Cell::new(Scratch::EMPTY) };
}

/// Rows of which several threads write different columns.
struct Shared<'a> {
    start: *mut f32,
    length: usize,
    owner: PhantomData<&'a mut [f32]>,
}

// SAFETY: parts are only taken by `Shared::part`, whose callers take different ones.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    fn new(numbers: &'a mut [f32]) -> Shared<'a> {
        Shared {
            start: numbers.as_mut_ptr(),
            length: numbers.len(),
            owner: PhantomData,
        }
    }

    /// Writes `from` to where `at` begins.
    ///
    /// # Safety
    ///
    /// No other thread may write there.
    unsafe fn write(&self, at: usize, from: &[f32]) {
        assert!(at + from.len() <= self.length, "outside the rows");
        // SAFETY: in bounds, and nobody else's.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), self.start.add(at), from.len()) };
    }
}

/// One key head of one sequence.
#[derive(Clone, Copy)]
struct Task {
    sequence: usize,
    key: usize,
}

impl Heads {
    /// Width of a row of queries, keys and values.
    pub fn row(&self) -> usize {
        (self.queries + 2 * self.keys) * self.width
    }

    /// Width of a row of the output.
    pub fn out(&self) -> usize {
        self.queries * self.width
    }

    /// Query heads that look at the same key head.
    fn group(&self) -> usize {
        self.queries / self.keys
    }

    /// The task of that number.
    fn task(&self, number: usize) -> Task {
        Task {
            sequence: number / self.keys,
            key: number % self.keys,
        }
    }

    /// Where query head `head`, key head `key` and its values begin in a row.
    fn query_at(&self, head: usize) -> usize {
        head * self.width
    }

    fn key_at(&self, key: usize) -> usize {
        (self.queries + key) * self.width
    }

    fn value_at(&self, key: usize) -> usize {
        (self.queries + self.keys + key) * self.width
    }

    /// `positions` of the head that begins at `at` in each row of `rows`.
    fn head<'a>(
        &self,
        rows: &'a [f32],
        task: Task,
        at: usize,
        row: usize,
        positions: Range<usize>,
    ) -> Matrix<'a> {
        let first = (task.sequence * self.length + positions.start) * row + at;
        Matrix::strided(&rows[first..], positions.len(), self.width, row)
    }

    fn scale(&self) -> f32 {
        (1.0 / (self.width as f64).sqrt()) as f32
    }

    /// The positions of each block of queries.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let length = self.length;
        (0..length)
            .step_by(BLOCK)
            .map(move |start| start..length.min(start + BLOCK))
    }

    /// Attends; of each sequence, head and position keeps the largest score in `maxima` and one over the sum
    /// of exponentials in `rates`.
    pub fn forward(&self, qkv: &[f32], output: &mut [f32], maxima: &mut [f32], rates: &mut [f32]) {
        let stats = self.group() * self.length;
        let output = Shared::new(output);
        let kept = maxima
            .par_chunks_exact_mut(stats)
            .zip(rates.par_chunks_exact_mut(stats));
        kept.with_max_len(1)
            .enumerate()
            .for_each(|(number, (maxima, rates))| {
                let mut scratch = SCRATCH.replace(Scratch::EMPTY);
                self.attend(self.task(number), qkv, &output, maxima, rates, &mut scratch);
                SCRATCH.set(scratch);
            });
    }

    fn attend(
        &self,
        task: Task,
        qkv: &[f32],
        output: &Shared,
        maxima: &mut [f32],
        rates: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let (kernels, row, all) = (Kernels::get(), self.row(), 0..self.length);
        let [values, queries, ..] = &mut scratch.rights;
        let keys = self.head(qkv, task, self.key_at(task.key), row, all.clone());
        let keys = Left::of(keys, kernels, &mut scratch.keys);
        let packed = self.head(qkv, task, self.value_at(task.key), row, all);
        values.pack_here(packed, kernels);
        scratch.scores.reach(self.length * BLOCK);
        scratch.block.reach(BLOCK * self.width);
        let (scores, block) = (scratch.scores.numbers(), scratch.block.numbers());
        let stats = maxima
            .chunks_exact_mut(self.length)
            .zip(rates.chunks_exact_mut(self.length));
        for (i, (maxima, rates)) in stats.enumerate() {
            let at = self.query_at(task.key * self.group() + i);
            for positions in self.blocks() {
                let (start, end, n) = (positions.start, positions.end, positions.len());
                let own = self.head(qkv, task, at, row, positions.clone());
                queries.pack_here(own.t(), kernels);
                // Scores lie by keys: what the values are multiplied with needs no packing then.
                queries.tiles(
                    kernels,
                    keys,
                    n,
                    scores,
                    BLOCK,
                    Start::Zero,
                    |keys, queries| keys.start < start + queries.end,
                );
                let stats = (&mut maxima[positions.clone()], &mut rates[positions]);
                exponentials(scores, start, self.scale(), stats.0, stats.1);
                let left = Left::columns(scores, n, end, BLOCK);
                values.tiles(
                    kernels,
                    left,
                    self.width,
                    block,
                    self.width,
                    Start::Zero,
                    |_, _| true,
                );
                scale_rows(&mut block[..n * self.width], &stats.1[..n]);
                for (i, from) in block.chunks_exact(self.width).take(n).enumerate() {
                    let to = (task.sequence * self.length + start + i) * self.out() + at;
                    // SAFETY: these columns are this task's.
                    unsafe { output.write(to, from) };
                }
            }
        }
    }

    /// The gradient of queries, keys and values before their rotation, overwritten, given that of the output.
    pub fn backward(&self, doutput: &[f32], kept: Kept, angles: &Angles, dqkv: &mut [f32]) {
        let tasks = kept.output.len() / (self.length * self.out()) * self.keys;
        let dqkv = Shared::new(dqkv);
        let tasks = (0..tasks).into_par_iter().with_max_len(1);
        tasks.for_each(|number| {
            let mut scratch = SCRATCH.replace(Scratch::EMPTY);
            self.attend_backward(
                self.task(number),
                doutput,
                kept,
                angles,
                &dqkv,
                &mut scratch,
            );
            SCRATCH.set(scratch);
        });
    }

    fn attend_backward(
        &self,
        task: Task,
        doutput: &[f32],
        kept: Kept,
        angles: &Angles,
        dqkv: &Shared,
        scratch: &mut Scratch,
    ) {
        let (kernels, row, all) = (Kernels::get(), self.row(), 0..self.length);
        let keys = self.head(kept.qkv, task, self.key_at(task.key), row, all.clone());
        let values = self.head(kept.qkv, task, self.value_at(task.key), row, all);
        scratch.rights[0].pack_here(keys.t(), kernels);
        scratch.rights[1].pack_here(values.t(), kernels);
        scratch.rights[2].pack_here(keys, kernels);
        let numbers = self.length * self.width;
        for sums in [&mut scratch.dkeys, &mut scratch.dvalues] {
            sums.reach(numbers);
            sums.numbers()[..numbers].fill(0.0);
        }
        for head in task.key * self.group()..(task.key + 1) * self.group() {
            for positions in self.blocks() {
                self.block_backward(task, head, positions.clone(), doutput, kept, scratch);
                let dqueries = &mut scratch.block.numbers()[..positions.len() * self.width];
                angles.turn(dqueries, self.width, positions.start, Turn::Back);
                self.write(task, self.query_at(head), positions.start, dqueries, dqkv);
            }
        }
        let dkeys = &mut scratch.dkeys.numbers()[..numbers];
        angles.turn(dkeys, self.width, 0, Turn::Back);
        self.write(task, self.key_at(task.key), 0, dkeys, dqkv);
        let dvalues = &scratch.dvalues.numbers()[..numbers];
        self.write(task, self.value_at(task.key), 0, dvalues, dqkv);
    }

    /// Writes rows of a head's width to the task's own columns from `at` on, from position `first` on.
    fn write(&self, task: Task, at: usize, first: usize, from: &[f32], to: &Shared) {
        for (i, from) in from.chunks_exact(self.width).enumerate() {
            let place = (task.sequence * self.length + first + i) * self.row() + at;
            // SAFETY: a key head's columns, its values' and its queries' belong to one task only.
            unsafe { to.write(place, from) };
        }
    }

    /// One block of queries: adds to the gradients of keys and values, and leaves that of the queries in
    /// `scratch.block`.
    fn block_backward(
        &self,
        task: Task,
        head: usize,
        positions: Range<usize>,
        doutput: &[f32],
        kept: Kept,
        scratch: &mut Scratch,
    ) {
        let kernels = Kernels::get();
        let (start, end, n) = (positions.start, positions.end, positions.len());
        let (at, out, width) = (self.query_at(head), self.out(), self.width);
        // Not a power of two, or the rows of a tile would share a few sets of the cache.
        let stride = end.next_multiple_of(16) + 16;
        let queries = self.head(kept.qkv, task, at, self.row(), positions.clone());
        let doutputs = self.head(doutput, task, at, out, positions.clone());
        let [keys_t, values_t, keys, right, right2] = &mut scratch.rights;
        let visible = |rows: &Range<usize>, keys: &Range<usize>| keys.start < start + rows.end;
        scratch.scores.reach(BLOCK * (self.length + 32));
        scratch.dscores.reach(BLOCK * (self.length + 32));
        scratch.block.reach(BLOCK * width);
        let (scores, dscores) = (scratch.scores.numbers(), scratch.dscores.numbers());

        let left = Left::of(queries, kernels, &mut scratch.left);
        keys_t.tiles(kernels, left, end, scores, stride, Start::Zero, visible);
        let left = Left::of(doutputs, kernels, &mut scratch.left);
        values_t.tiles(kernels, left, end, dscores, stride, Start::Zero, visible);

        let stats = (task.sequence * self.queries + head) * self.length;
        for (i, position) in positions.enumerate() {
            let place = (task.sequence * self.length + position) * out + at;
            let mean = row_dot(
                &doutput[place..place + width],
                &kept.output[place..place + width],
            );
            let row = i * stride..i * stride + end;
            score_gradient(
                &mut scores[row.clone()],
                &mut dscores[row],
                position + 1,
                [
                    kept.maxima[stats + position],
                    kept.rates[stats + position],
                    mean,
                    self.scale(),
                ],
            );
        }

        right.pack_here(doutputs, kernels);
        let probabilities = Left::columns(scores, end, n, stride);
        let dvalues = scratch.dvalues.numbers();
        right.tiles(
            kernels,
            probabilities,
            width,
            dvalues,
            width,
            Start::Present,
            |_, _| true,
        );
        right2.pack_here(queries, kernels);
        let left = Left::columns(dscores, end, n, stride);
        let dkeys = scratch.dkeys.numbers();
        right2.tiles(
            kernels,
            left,
            width,
            dkeys,
            width,
            Start::Present,
            |_, _| true,
        );
        let dscores = Matrix::strided(dscores, n, end, stride);
        keys.product(dscores, scratch.block.numbers(), width, Start::Zero);
    }
}

wide! {
    /// Replaces scores, rows of keys with a column for each query, by exp((score − the query's largest)·scale),
    /// or by zero where the key comes after the query. Query *i* is at position `start` + *i*.
    fn exponentials(scores: &mut [f32], start: usize, scale: f32, maxima: &mut [f32], rates: &mut [f32]) {
        let n = maxima.len();
        let (mut largest, mut sums) = ([f32::NEG_INFINITY; BLOCK], [0f32; BLOCK]);
        let (before, own) = scores[..(start + n) * BLOCK].split_at_mut(start * BLOCK);
        for row in before.as_chunks::<BLOCK>().0 {
            for (largest, x) in largest.iter_mut().zip(row) {
                *largest = if *x > *largest { *x } else { *largest };
            }
        }
        for (key, row) in own.as_chunks::<BLOCK>().0.iter().enumerate() {
            for (i, (largest, x)) in largest.iter_mut().zip(row).enumerate() {
                *largest = if i >= key && *x > *largest { *x } else { *largest };
            }
        }
        for row in before.as_chunks_mut::<BLOCK>().0 {
            for ((x, largest), sum) in row.iter_mut().zip(&largest).zip(&mut sums) {
                *x = exp((*x - largest) * scale);
                *sum += *x;
            }
        }
        for (key, row) in own.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
            for (i, ((x, largest), sum)) in row.iter_mut().zip(&largest).zip(&mut sums).enumerate() {
                let e = exp((*x - largest) * scale);
                *x = if i >= key { e } else { 0.0 };
                *sum += *x;
            }
        }
        maxima.copy_from_slice(&largest[..n]);
        for (rate, sum) in rates.iter_mut().zip(&sums) {
            *rate = 1.0 / sum;
        }
    }
}

wide! {
    /// Multiplies each row by its rate.
    fn scale_rows(rows: &mut [f32], rates: &[f32]) {
        let width = rows.len() / rates.len();
        for (row, rate) in rows.chunks_exact_mut(width).zip(rates) {
            for x in row {
                *x *= rate;
            }
        }
    }
}

wide! {
    fn row_dot(a: &[f32], b: &[f32]) -> f32 {
        dot(a, b)
    }
}

wide! {
    /// Turns a query's scores into its probabilities p, and the gradient dp of these into that of the scores:
    /// p·(dp − Σ p·dp)·scale. The sum is the product of the query's output with its gradient, `mean`. What
    /// comes after the first `visible` keys becomes zero in both.
    fn score_gradient(scores: &mut [f32], dscores: &mut [f32], visible: usize, numbers: [f32; 4]) {
        let [largest, rate, mean, scale] = numbers;
        let (scores, hidden) = scores.split_at_mut(visible);
        hidden.fill(0.0);
        let (dscores, hidden) = dscores.split_at_mut(visible);
        hidden.fill(0.0);
        for (p, dp) in scores.iter_mut().zip(dscores) {
            *p = exp((*p - largest) * scale) * rate;
            *dp = *p * (*dp - mean) * scale;
        }
    }
}
