//! A matrix of parameters, packed for products with a few rows.

use cairn_trainer::kernels::{columns, Matrix, Right, Start};
use rayon::prelude::*;

/// Multiply-adds below which a product is not worth a second thread.
const ALONE: usize = 1 << 16;

/// A matrix `[outputs, inputs]`, cut into as many parts as there are threads, each of some outputs.
pub struct Weights {
    inputs: usize,
    outputs: usize,
    /// Outputs of each part but the last.
    share: usize,
    parts: Vec<Right>,
}

impl Weights {
    /// Packs rows of `inputs` parameters, for the threads of the current pool.
    pub fn pack(parameters: &[f32], inputs: usize) -> Weights {
        let matrix = Matrix::new(parameters, inputs);
        let outputs = parameters.len() / inputs;
        let share = outputs.div_ceil(rayon::current_num_threads());
        let share = share.next_multiple_of(columns());
        let parts = (0..outputs).step_by(share).map(|from| {
            let mut part = Right::EMPTY;
            part.pack(matrix.rows(from, share.min(outputs - from)).t());
            part
        });
        Weights {
            inputs,
            outputs,
            share,
            parts: parts.collect(),
        }
    }

    /// Bytes of the packed numbers.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|part| 4 * part.numbers()).sum()
    }

    /// The products of rows of `inputs` numbers with this, into rows of `outputs` numbers or added to them. The
    /// threads of the current pool share the outputs of a single row, and the rows of several.
    pub fn apply(&self, x: &[f32], y: &mut [f32], start: Start) {
        let rows = x.len() / self.inputs;
        if self.inputs * self.outputs * rows < ALONE {
            self.rows(x, y, start);
        } else if rows == 1 {
            let parts = y
                .par_chunks_mut(self.share)
                .zip(&self.parts)
                .with_max_len(1);
            parts.for_each(|(y, part)| {
                let width = y.len();
                part.product(Matrix::new(x, self.inputs), y, width, start);
            });
        } else {
            let share = rows.div_ceil(rayon::current_num_threads());
            let x = x.par_chunks(share * self.inputs);
            let tasks = x
                .zip(y.par_chunks_mut(share * self.outputs))
                .with_max_len(1);
            tasks.for_each(|(x, y)| self.rows(x, y, start));
        }
    }

    /// The same in this thread.
    fn rows(&self, x: &[f32], y: &mut [f32], start: Start) {
        let x = Matrix::new(x, self.inputs);
        for (i, part) in self.parts.iter().enumerate() {
            part.product(x, &mut y[i * self.share..], self.outputs, start);
        }
    }
}
