//! The reference: an engine on the CPU, with the same bits on every machine and any number of threads.

use std::{io, ops::Range};

use cairn_gradient::{select, Checked, Header};
use cairn_primitives::{EngineClass, InnerOptimizer, Layout, RunConfig, H256};
use cairn_trainer::{AdamState, Settings, Trainer, SUM_BLOCK};

use crate::{
    host::{traced, Host, Made},
    work::{pieces, replayed, steps, Stepping},
    Engine, EngineError, Order, Part, Sequences, Settlement, State, StepDone, Trained, Version,
};

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

    fn traced(&mut self) -> Result<H256, EngineError> {
        Ok(traced(&self.steps.parameters, &self.steps.optimizer))
    }

    fn led_to(self) -> Result<(Vec<f32>, AdamState), EngineError> {
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
        let trainer = Trainer::new(&config.model, threads)?;
        let host = Host::new(config);
        let settings = Settings {
            windows_at_once: windows_at_once(config, &host.layout, threads),
            ..Settings::default()
        };
        Ok(Cpu {
            trainer: trainer.with_settings(settings),
            host,
        })
    }

    /// [`Engine::contribution`] of steps that an engine of this class made.
    pub(crate) fn contribution_as(
        &mut self,
        class: EngineClass,
        header: Header,
    ) -> Result<Vec<u8>, EngineError> {
        let (steps, trace, held) = self.host.take_steps(&header)?;
        let mut pseudo_gradient = steps.parameters;
        for (after, before) in pseudo_gradient.iter_mut().zip(held.model.parameters.iter()) {
            *after = before - *after;
        }
        let feedback = held.feedback.clone();
        let mut feedback = feedback.unwrap_or_else(|| vec![0.0; pseudo_gradient.len()]);
        let Host { config, layout, .. } = &self.host;
        let compression = config.compression_in(header.round);
        let tensors = select(layout, &compression, &pseudo_gradient, &mut feedback)?;
        let made = Made {
            class,
            trace,
            tensors,
            optimizer: steps.optimizer,
            feedback,
        };
        self.host.send(header, made)
    }
}

/// From so many parameters on memory is short.
const LARGE: usize = 1 << 24;
/// Tokens that keep a thread busy.
const TOKENS: usize = 512;

/// How many sequences of a step are computed at a time: of a large model not more than keep the threads busy, since
/// what is kept of them for the backward pass is larger than the model.
fn windows_at_once(config: &RunConfig, layout: &Layout, threads: usize) -> Option<usize> {
    let length = config.inner.sequence_length as usize;
    if layout.parameters() < LARGE || length == 0 {
        return None;
    }
    // Sums over tokens are made by blocks: a part has whole ones.
    let common = 1 << length.trailing_zeros().min(SUM_BLOCK.trailing_zeros());
    let even = SUM_BLOCK / common;
    let busy = TOKENS.saturating_mul(threads) / length;
    Some((busy / even).max(1).saturating_mul(even))
}

impl Engine for Cpu {
    fn name(&self) -> String {
        Cpu::NAME.into()
    }

    fn class(&self) -> EngineClass {
        EngineClass::CPU
    }

    fn load(&mut self, state: State) -> Result<H256, EngineError> {
        self.host.load(state)
    }

    fn root(&self, version: Version) -> Result<H256, EngineError> {
        self.host.root(version)
    }

    fn optimizer_steps(&self, version: Version) -> Result<u64, EngineError> {
        self.host.optimizer_steps(version)
    }

    fn norm(&self, version: Version) -> Result<Option<f64>, EngineError> {
        self.host.norm(version)
    }

    fn snapshot(
        &self,
        version: Version,
        part: Part,
        sink: &mut dyn FnMut(&[f32]) -> io::Result<()>,
    ) -> Result<bool, EngineError> {
        self.host.snapshot(version, part, sink)
    }

    fn train(
        &mut self,
        order: &Order,
        sequences: &mut Sequences<'_, '_>,
        go_on: &mut dyn FnMut(Option<&StepDone>) -> bool,
    ) -> Result<Option<Trained>, EngineError> {
        let Cpu { trainer, host } = self;
        let held = host.free("train")?;
        let inner = &host.config.inner;
        let mut stepping = OnCpu {
            trainer,
            inner,
            steps: Steps {
                parameters: held.model.parameters.to_vec(),
                optimizer: host.begun(held.optimizer.as_ref()),
            },
        };
        let trained = steps(order, inner.trace_every, sequences, go_on, &mut stepping)?;
        let made = stepping.steps;
        // What follows needs the memory, and no gradient.
        trainer.release();
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
        before: State,
        steps: Range<u32>,
        sequences: &mut Sequences<'_, '_>,
    ) -> Result<State, EngineError> {
        let Cpu { trainer, host } = self;
        host.no_steps("replay")?;
        host.check_moments(&before)?;
        let stepping = OnCpu {
            trainer: &mut *trainer,
            inner: &host.config.inner,
            steps: Steps {
                parameters: before.parameters,
                optimizer: before.optimizer.unwrap_or_else(|| host.begun(None)),
            },
        };
        let led_to = replayed(steps, sequences, stepping);
        trainer.release();
        led_to
    }

    fn settle(&mut self, settlement: &Settlement) -> Result<H256, EngineError> {
        self.host.settle(settlement)
    }

    fn keep(&mut self) -> Result<(), EngineError> {
        self.host.keep()
    }

    fn discard(&mut self) {
        self.host.discard();
    }

    fn forget_base(&mut self) {
        self.host.forget_base();
    }

    fn measure(
        &mut self,
        contribution: Option<&Checked>,
        sequences: &[&[u32]],
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<f32>>, EngineError> {
        let Cpu { trainer, host } = self;
        let base = host.base()?;
        let moved = match contribution {
            Some(contribution) => Some(host.moved(&base, contribution)?),
            None => None,
        };
        let parameters = moved.as_deref().unwrap_or(&base.parameters);
        pieces(sequences, go_on, |piece| {
            Ok(trainer.losses(parameters, piece)?)
        })
    }
}
