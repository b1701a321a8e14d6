//! Causal grouped-query attention (Ainslie et al. 2023, arXiv 2305.13245).
//!
//! Sequences are divided among the threads. Within one, queries come in blocks of 64, and a block looks only
//! at keys up to its own last one. The backward pass computes the probabilities again from the row's largest
//! score and the sum of its exponentials, as Flash Attention does (Dao et al. 2022, arXiv 2205.14135), so
//! that no matrix of `length`² elements is kept.

use rayon::prelude::*;

use crate::gemm::{product, Matrix, Start};
use crate::math::{dot, exp_sum, max};

/// Queries per block; part of the arithmetic.
const BLOCK: usize = 64;

/// How heads lie in a row: queries, then keys, then values.
#[derive(Clone, Copy)]
pub struct Heads {
    /// Number of query heads.
    pub queries: usize,
    /// Number of key heads, and of value heads.
    pub keys: usize,
    /// Numbers in a head.
    pub width: usize,
    /// Positions in a sequence.
    pub length: usize,
}

/// One sequence's part of a buffer.
struct Sequence<'a> {
    qkv: &'a [f32],
    maxima: &'a [f32],
    rates: &'a [f32],
    output: &'a [f32],
    doutput: &'a [f32],
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

    /// Numbers that one sequence's computation needs for itself.
    pub fn scratch(&self) -> usize {
        2 * BLOCK.min(self.length) * self.length
    }

    /// Where in a row the keys that query head `head` looks at begin.
    fn key(&self, head: usize) -> usize {
        (self.queries + head * self.keys / self.queries) * self.width
    }

    /// Where in a row the values for query head `head` begin.
    fn value(&self, head: usize) -> usize {
        self.key(head) + self.keys * self.width
    }

    /// The head that begins at `at` in each row of `rows`.
    fn head<'a>(&self, rows: &'a [f32], at: usize, stride: usize) -> Matrix<'a> {
        Matrix::strided(&rows[at..], self.length, self.width, stride)
    }

    fn scale(&self) -> f32 {
        (1.0 / (self.width as f64).sqrt()) as f32
    }

    /// Start and end of each block of queries.
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> {
        let length = self.length;
        (0..length)
            .step_by(BLOCK)
            .map(move |start| (start, length.min(start + BLOCK)))
    }

    /// Attends; of each sequence, head and position keeps the largest score in `maxima` and one over the sum
    /// of exponentials in `rates`.
    pub fn forward(
        &self,
        qkv: &[f32],
        output: &mut [f32],
        maxima: &mut [f32],
        rates: &mut [f32],
        scratch: &mut [f32],
    ) {
        let (rows, stats) = (self.length, self.length * self.queries);
        let outputs = output.par_chunks_exact_mut(rows * self.out());
        let kept = maxima
            .par_chunks_exact_mut(stats)
            .zip(rates.par_chunks_exact_mut(stats));
        let scratch = scratch.par_chunks_exact_mut(self.scratch());
        let inputs = qkv.par_chunks_exact(rows * self.row());
        outputs.zip(kept).zip(scratch).zip(inputs).for_each(
            |(((output, (maxima, rates)), scratch), qkv)| {
                self.sequence(qkv, output, maxima, rates, scratch);
            },
        );
    }

    fn sequence(
        &self,
        qkv: &[f32],
        output: &mut [f32],
        maxima: &mut [f32],
        rates: &mut [f32],
        scratch: &mut [f32],
    ) {
        let (row, out, length) = (self.row(), self.out(), self.length);
        for head in 0..self.queries {
            let queries = self.head(qkv, head * self.width, row);
            let keys = self.head(qkv, self.key(head), row);
            let values = self.head(qkv, self.value(head), row);
            for (start, end) in self.blocks() {
                let scores = &mut scratch[..(end - start) * end];
                let block = queries.rows(start, end - start);
                product(block, keys.rows(0, end).t(), scores, end, Start::Zero);
                let kept = head * length + start..head * length + end;
                softmax(
                    scores,
                    end,
                    self.scale(),
                    &mut maxima[kept.clone()],
                    &mut rates[kept],
                );
                let to = &mut output[start * out + head * self.width..];
                product(
                    Matrix::new(scores, end),
                    values.rows(0, end),
                    to,
                    out,
                    Start::Zero,
                );
            }
        }
    }

    /// The gradient of queries, keys and values, overwritten, given that of the output.
    #[allow(clippy::too_many_arguments)] // Everything that the forward pass kept.
    pub fn backward(
        &self,
        doutput: &[f32],
        qkv: &[f32],
        output: &[f32],
        maxima: &[f32],
        rates: &[f32],
        dqkv: &mut [f32],
        scratch: &mut [f32],
    ) {
        let (rows, stats) = (self.length, self.length * self.queries);
        let kept = maxima
            .par_chunks_exact(stats)
            .zip(rates.par_chunks_exact(stats));
        let (out, row) = (rows * self.out(), rows * self.row());
        let outputs = output
            .par_chunks_exact(out)
            .zip(doutput.par_chunks_exact(out));
        let inputs = qkv.par_chunks_exact(row).zip(kept).zip(outputs);
        let results = dqkv.par_chunks_exact_mut(row);
        let scratch = scratch.par_chunks_exact_mut(self.scratch());
        results.zip(scratch).zip(inputs).for_each(
            |((dqkv, scratch), ((qkv, (maxima, rates)), (output, doutput)))| {
                let sequence = Sequence {
                    qkv,
                    maxima,
                    rates,
                    output,
                    doutput,
                };
                self.sequence_backward(&sequence, dqkv, scratch);
            },
        );
    }

    fn sequence_backward(&self, s: &Sequence, dqkv: &mut [f32], scratch: &mut [f32]) {
        dqkv.fill(0.0);
        let (scores, dscores) = scratch.split_at_mut(self.scratch() / 2);
        for head in 0..self.queries {
            for (start, end) in self.blocks() {
                let n = (end - start) * end;
                self.block_backward(
                    s,
                    head,
                    (start, end),
                    dqkv,
                    &mut scores[..n],
                    &mut dscores[..n],
                );
            }
        }
    }

    fn block_backward(
        &self,
        s: &Sequence,
        head: usize,
        (start, end): (usize, usize),
        dqkv: &mut [f32],
        scores: &mut [f32],
        dscores: &mut [f32],
    ) {
        let (row, out, rows) = (self.row(), self.out(), end - start);
        let (q, k, v) = (head * self.width, self.key(head), self.value(head));
        let queries = self.head(s.qkv, q, row).rows(start, rows);
        let keys = self.head(s.qkv, k, row).rows(0, end);
        let values = self.head(s.qkv, v, row).rows(0, end);
        let doutput = self.head(s.doutput, q, out).rows(start, rows);

        product(queries, keys.t(), scores, end, Start::Zero);
        let kept = head * self.length + start..head * self.length + end;
        softmax_again(
            scores,
            end,
            self.scale(),
            &s.maxima[kept.clone()],
            &s.rates[kept],
        );
        let probabilities = Matrix::new(scores, end);
        product(
            probabilities.t(),
            doutput,
            &mut dqkv[v..],
            row,
            Start::Present,
        );

        product(doutput, values.t(), dscores, end, Start::Zero);
        for i in 0..rows {
            let at = (start + i) * out + q..(start + i) * out + q + self.width;
            let (p, dp) = (
                &scores[i * end..(i + 1) * end],
                &mut dscores[i * end..(i + 1) * end],
            );
            score_gradient(p, dp, &s.doutput[at.clone()], &s.output[at], self.scale());
        }
        let dscores = Matrix::new(dscores, end);
        product(
            dscores,
            keys,
            &mut dqkv[start * row + q..],
            row,
            Start::Zero,
        );
        product(dscores.t(), queries, &mut dqkv[k..], row, Start::Present);
    }
}

wide! {
    /// Softmax of rows of `end` scores of which the last `rows` positions are the rows' own.
    fn softmax(scores: &mut [f32], end: usize, scale: f32, maxima: &mut [f32], rates: &mut [f32]) {
        let start = end - maxima.len();
        let rows = scores.chunks_exact_mut(end).zip(maxima.iter_mut().zip(rates)).enumerate();
        for (i, (row, (largest, rate))) in rows {
            let (visible, hidden) = row.split_at_mut(start + i + 1);
            *largest = max(visible);
            *rate = 1.0 / exp_sum(visible, *largest, scale);
            for x in visible {
                *x *= *rate;
            }
            hidden.fill(0.0);
        }
    }
}

wide! {
    /// The same probabilities from what was kept of them.
    fn softmax_again(scores: &mut [f32], end: usize, scale: f32, maxima: &[f32], rates: &[f32]) {
        let start = end - maxima.len();
        let rows = scores.chunks_exact_mut(end).zip(maxima.iter().zip(rates)).enumerate();
        for (i, (row, (largest, rate))) in rows {
            let (visible, hidden) = row.split_at_mut(start + i + 1);
            for x in visible {
                *x = crate::math::exp((*x - largest) * scale) * rate;
            }
            hidden.fill(0.0);
        }
    }
}

wide! {
    /// Turns the gradient of a row's probabilities into that of its scores: p·(dp − Σ p·dp)·scale. The sum is
    /// the product of the row's output with its gradient.
    fn score_gradient(p: &[f32], dp: &mut [f32], doutput: &[f32], output: &[f32], scale: f32) {
        let mean = dot(doutput, output);
        for (dp, p) in dp.iter_mut().zip(p) {
            *dp = p * (*dp - mean) * scale;
        }
    }
}
