//! An outer step whose contributions stay in their files.

use std::io::Read;

use cairn_primitives::{OuterStep, Uid};
use rayon::prelude::*;
use thiserror::Error;

use super::{apply::Step, in_order, OuterStepError, Stepped, Trust};
use crate::blocks::Grid;
use crate::contribution::MismatchError;
use crate::roots::RootHasher;
use crate::sparse::SparseTensor;
use crate::wire::{ReadError, Reader};

/// Why a streamed outer step ended early. The parameters of tensors before it have been stepped.
#[derive(Debug, Error)]
pub enum StreamError {
    /// The step, or a tensor's parameters.
    #[error(transparent)]
    Step(#[from] OuterStepError),
    /// A contribution cannot be read.
    #[error("the contribution of uid {uid}: {error}")]
    Read {
        /// Whose it is.
        uid: Uid,
        /// What is wrong with it.
        error: ReadError,
    },
    /// More tensors were stepped than the model has, or fewer.
    #[error("the step was taken over {found} of the model's {expected} tensors: step each once, in the layout's order")]
    Tensors {
        /// Tensors that were stepped.
        found: usize,
        /// Tensors of the layout.
        expected: usize,
    },
}

/// The [`outer_step`](crate::outer_step) tensor by tensor: R contributions are read from R files side by side, and
/// what is in memory is one tensor's part of each.
///
/// Gives the same bits. A fault in a file shows up in the middle, when parameters have already changed, so files
/// should have been checked before (a [`Reader`] run to its end does it), and the parameters be a copy.
#[derive(Debug)]
pub struct StreamedStep<'a, R> {
    step: Step,
    sources: Vec<Source<'a, R>>,
    hasher: RootHasher,
    next: usize,
}

#[derive(Debug)]
struct Source<'a, R> {
    uid: Uid,
    reader: Reader<'a, R>,
    tensor: Option<SparseTensor>,
    /// What of the square of its norm is in the tensors so far.
    energy: f64,
}

impl<'a, R: Read + Send> StreamedStep<'a, R> {
    /// Begins a step with the included contributions and their trust, which may come in any order, but all be for one
    /// layout.
    ///
    /// # Errors
    /// If a uid is there twice, trust is none or too much, ρ is above 1, or a contribution is for another layout than
    /// the first.
    pub fn new(
        contributions: Vec<(Uid, u16, Reader<'a, R>)>,
        outer: &OuterStep,
    ) -> Result<StreamedStep<'a, R>, OuterStepError> {
        let ordered = in_order(&contributions, |(uid, ..)| *uid)?;
        let trust = Trust::new(ordered.iter().map(|(uid, trust, _)| (*uid, *trust)))?;
        let step = Step::new(outer, trust)?;
        let mut sources: Vec<Source<'a, R>> = contributions
            .into_iter()
            .map(|(uid, _, reader)| Source {
                uid,
                reader,
                tensor: None,
                energy: 0.0,
            })
            .collect();
        sources.sort_by_key(|source| source.uid);
        let hash = |source: &Source<'a, R>| source.reader.header().layout_hash;
        if let Some((first, others)) = sources.split_first() {
            let expected = hash(first);
            if let Some(foreign) = others.iter().find(|source| hash(source) != expected) {
                let (uid, found) = (foreign.uid, hash(foreign));
                let error = MismatchError::ForeignLayout { found, expected };
                return Err(OuterStepError::Contribution { uid, error });
            }
        }
        Ok(StreamedStep {
            step,
            sources,
            hasher: RootHasher::default(),
            next: 0,
        })
    }

    /// Steps the parameters of the next tensor of the layout.
    ///
    /// # Errors
    /// See [`StreamError`]. These parameters are then unchanged, those of the tensors before are not.
    pub fn tensor(&mut self, theta: &mut [f32]) -> Result<(), StreamError> {
        let number = self.next;
        let grid = self.grid(theta.len())?;
        self.sources.par_iter_mut().try_for_each(|source| {
            let uid = source.uid;
            match source.reader.tensor(&mut source.tensor) {
                Ok(true) => Ok(()),
                Ok(false) => Err(StreamError::Tensors {
                    found: number + 1,
                    expected: number,
                }),
                Err(error) => Err(StreamError::Read { uid, error }),
            }
        })?;
        let sent: Vec<&SparseTensor> = self
            .sources
            .iter()
            .filter_map(|source| source.tensor.as_ref())
            .collect();
        match grid {
            Some(grid) => {
                let energies = self.step.tensor(grid, theta, &sent, Some(&mut self.hasher));
                for (source, energy) in self.sources.iter_mut().zip(energies) {
                    source.energy += energy;
                }
            }
            None => self.hasher.update(theta),
        }
        self.next += 1;
        Ok(())
    }

    /// The next tensor's grid; none if there are no contributions.
    fn grid(&self, found: usize) -> Result<Option<Grid>, StreamError> {
        let Some(source) = self.sources.first() else {
            return Ok(None);
        };
        let layout = source.reader.layout();
        let tensors = StreamError::Tensors {
            found: self.next + 1,
            expected: layout.0.len(),
        };
        let tensor = layout.0.get(self.next).ok_or(tensors)?;
        let grid = Grid::of(tensor).map_err(OuterStepError::Layout)?;
        let expected = grid.len();
        if found != expected {
            let error = MismatchError::VectorLength { found, expected };
            return Err(OuterStepError::Parameters(error).into());
        }
        Ok(Some(grid))
    }

    /// The model root of the new parameters, and the contributions' median norm.
    ///
    /// # Errors
    /// If tensors have not been stepped, or a contribution has bytes behind its last tensor, or is all zeros.
    pub fn finish(self) -> Result<Stepped, StreamError> {
        let energies = self.sources.iter().map(|source| source.energy);
        let norms: Vec<f64> = energies.map(f64::sqrt).collect();
        let median = self.step.lower_median(&norms);
        for Source { uid, reader, .. } in self.sources {
            let expected = reader.layout().0.len();
            if self.next != expected {
                let found = self.next;
                return Err(StreamError::Tensors { found, expected });
            }
            reader
                .finish()
                .map_err(|error| StreamError::Read { uid, error })?;
        }
        Ok(Stepped {
            root: self.hasher.finish(),
            norm: (!norms.is_empty()).then_some(median),
        })
    }
}
