//! The reference: an engine on the CPU, with the same bits on every machine and any number of threads.

use std::{io, ops::Range};

use cairn_gradient::{Checked, Header};
use cairn_primitives::{EngineClass, InnerOptimizer, ModelRoot, RunConfig};
use cairn_trainer::{AdamState, Trainer};

use crate::{
    host::{compressed, left_to, trace_state, Host, Made, Taken},
    start::Start,
    work::{pieces_of, replayed, steps, Look, Stepping, PIECE},
    Engine, EngineError, Keeper, Order, Part, Sequences, Settlement, Shared, State, StepDone,
    Trained, Version,
};

/// Tokens of short sequences that are measured in one piece.
const TOKENS: usize = 2048;

/// How many sequences are measured in one piece: matrices are packed for each, so of short ones twice as many.
fn at_once(sequences: &[&[u32]]) -> usize {
    let length = sequences.first().map_or(0, |one| one.len());
    let fed = length.saturating_sub(1).max(1);
    (TOKENS / fed).clamp(PIECE, 2 * PIECE)
}

/// Trains on the CPU.
pub struct Cpu {
    trainer: Trainer,
    pub(crate) host: Host<Steps>,
}

/// Where inner steps led.
pub(crate) struct Steps {
    pub parameters: Vec<f32>,
    pub optimizer: AdamState,
}

/// Inner steps on vectors of this process.
struct OnCpu<'a> {
    trainer: &'a mut Trainer,
    inner: &'a InnerOptimizer,
    steps: Steps,
}

impl Stepping for OnCpu<'_> {
    fn step(&mut self, batch: &[&[u32]]) -> Result<f32, EngineError> {
        let Steps {
            parameters,
            optimizer,
        } = &mut self.steps;
        Ok(self
            .trainer
            .step(parameters, optimizer, self.inner, batch)?)
    }

    fn traced(&mut self, keeps: bool) -> Result<Look, EngineError> {
        let Steps {
            parameters,
            optimizer,
        } = &self.steps;
        Ok(Look::at(parameters, optimizer, keeps))
    }

    fn left(self) -> Result<(Vec<f32>, AdamState), EngineError> {
        Ok((self.steps.parameters, self.steps.optimizer))
    }
}

impl Cpu {
    /// What [`Engine::name`] is.
    pub const NAME: &'static str = "the CPU";

    /// For a run, with `threads` threads for training. Compression, outer step and hashing use rayon's current pool.
    ///
    /// # Errors
    ///
    /// [`EngineError::Unavailable`] if the CPU would give other bits or there are no threads,
    /// [`EngineError::Foreign`] if no model has such a shape.
    pub fn new(config: &RunConfig, threads: usize) -> Result<Cpu, EngineError> {
        Ok(Cpu {
            trainer: Trainer::new(&config.model, threads)?,
            host: Host::new(config),
        })
    }

    /// [`Engine::contribution`] of steps that an engine of this class made.
    pub(crate) fn contribution_as(
        &mut self,
        class: EngineClass,
        header: Header,
    ) -> Result<Vec<u8>, EngineError> {
        let (taken, held) = self.host.take_steps(&header)?;
        let before = held.model.parameters.clone();
        let feedback = held.feedback.as_deref().cloned();
        let Taken {
            steps,
            trace,
            compression,
        } = taken;
        let ways = (before.as_slice(), steps.parameters);
        let run = (&compression, &self.host.layout);
        let (tensors, feedback) = compressed(run, ways, feedback)?;
        let made = Made {
            class,
            trace,
            compression,
            tensors,
            optimizer: steps.optimizer,
            feedback,
        };
        self.host.send(header, made)
    }
}

impl Engine for Cpu {
    fn name(&self) -> String {
        Cpu::NAME.into()
    }

    fn class(&self) -> EngineClass {
        EngineClass::CPU
    }

    left_to!(host);

    fn train_keeping(
        &mut self,
        order: &Order,
        sequences: &mut Sequences<'_, '_>,
        go_on: &mut dyn FnMut(Option<&StepDone>) -> bool,
        keeper: &mut dyn Keeper,
    ) -> Result<Option<Trained>, EngineError> {
        let Cpu { trainer, host } = self;
        host.end_measuring();
        let held = host.free("train")?;
        let inner = &host.config.inner;
        let first = trace_state(&held.model.parameters, held.optimizer.as_deref());
        let mut start = Start::of((host, first), order, sequences, keeper);
        let (parameters, optimizer) = start.take().unwrap_or_else(|| {
            let parameters = held.model.parameters.to_vec();
            (parameters, host.begun(held.optimizer.as_deref()))
        });
        let mut stepping = OnCpu {
            trainer,
            inner,
            steps: Steps {
                parameters,
                optimizer,
            },
        };
        let (every, begun) = (inner.trace_every, (start.trained, keeper));
        let trained = steps(order, every, sequences, go_on, &mut stepping, begun)?;
        let made = stepping.steps;
        if let Some(trained) = &trained {
            host.trained(order, trained, made);
        }
        Ok(trained)
    }

    fn contribution(&mut self, header: Header) -> Result<Vec<u8>, EngineError> {
        self.contribution_as(EngineClass::CPU, header)
    }

    fn replay(
        &mut self,
        before: &State,
        steps: Range<u32>,
        sequences: &mut Sequences<'_, '_>,
    ) -> Result<State, EngineError> {
        let Cpu { trainer, host } = self;
        host.no_steps("replay")?;
        host.check_moments(before)?;
        host.end_measuring();
        let stepping = OnCpu {
            trainer,
            inner: &host.config.inner,
            steps: Steps {
                parameters: before.parameters.clone(),
                optimizer: host.begun(before.optimizer.as_ref()),
            },
        };
        replayed(steps, sequences, stepping)
    }

    fn settle(&mut self, settlement: &Settlement) -> Result<ModelRoot, EngineError> {
        self.host.settle(settlement)
    }

    fn measure(
        &mut self,
        contribution: Option<&Checked>,
        sequences: &[&[u32]],
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<f32>>, EngineError> {
        let Cpu { trainer, host } = self;
        let base = host.base()?;
        let parameters: &[f32] = match contribution {
            Some(contribution) => host.moved(&base, contribution)?,
            None => &base.parameters,
        };
        pieces_of(at_once(sequences), sequences, go_on, |piece| {
            Ok(trainer.losses(parameters, piece)?)
        })
    }

    fn measure_settled(
        &mut self,
        sequences: &[&[u32]],
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<f32>>, EngineError> {
        let Cpu { trainer, host } = self;
        let settled = host.settled()?;
        pieces_of(at_once(sequences), sequences, go_on, |piece| {
            Ok(trainer.losses(&settled.parameters, piece)?)
        })
    }
}
