//! The outer step with one contribution alone: what a validator tries it out by.

use cairn_primitives::{blocks::PLACE, OuterStep, Uid};
use rayon::prelude::*;

use super::{apply::Step, OuterStepError, Trust};
use crate::level::Levels;
use crate::sparse::{SparseTensor, VALUE};

/// What a value sent moves its parameter by, where nobody else sent anything: t, f and d are 1 then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alone {
    /// α.
    rate: f32,
}

impl Alone {
    /// By the run's rule.
    ///
    /// # Errors
    /// As any outer step.
    pub(crate) fn new(outer: &OuterStep) -> Result<Alone, OuterStepError> {
        let one = Trust::new(std::iter::once((Uid(0), 1)))?;
        Step::new(outer, one)?;
        Ok(Alone {
            rate: outer.learning_rate.to_f32(),
        })
    }

    /// One tensor's parameters after the step, from those before. All have as many elements as the tensor.
    pub(crate) fn tensor(self, before: &[f32], sent: &SparseTensor, after: &mut [f32]) {
        let grid = sent.grid();
        let strip = grid.strip_len();
        let strips = after.par_chunks_mut(strip).zip(before.par_chunks(strip));
        strips.enumerate().for_each(|(number, (after, before))| {
            after.copy_from_slice(before);
            let cols = grid.strip(number).cols;
            for (block, levels, codes) in sent.strip(number) {
                let moves = self.moves(levels);
                for code in codes {
                    let place = usize::from(code & PLACE);
                    after[block.index(place, cols)] -= moves[usize::from(code >> VALUE)];
                }
            }
        });
    }

    /// α · Δ̄ of a block's four values: low, high, −low, −high. Sums begin with +0.
    fn moves(self, levels: Levels) -> [f32; 4] {
        let (low, high) = (levels.low.to_f32(), levels.high.to_f32());
        [low, high, -low, -high].map(|value| self.rate * (0.0 + value))
    }
}
