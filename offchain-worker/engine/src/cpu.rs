//! The reference: an engine on the CPU, with the same bits on every machine and any number of threads.

use std::io;

use cairn_gradient::{compress, Checked, Header};
use cairn_primitives::{RunConfig, H256};
use cairn_trainer::{AdamState, Trainer};

use crate::{
    host::{pieces, steps, Host},
    Engine, EngineError, Order, Part, Sequences, Settlement, State, StepDone, Trained, Version,
};

/// Trains on the CPU.
pub struct Cpu {
    trainer: Trainer,
    host: Host<Steps>,
}

/// Where inner steps led.
struct Steps {
    parameters: Vec<f32>,
    optimizer: AdamState,
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
}

impl Engine for Cpu {
    fn name(&self) -> String {
        Cpu::NAME.into()
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
        let mut parameters = held.model.parameters.as_ref().clone();
        let mut optimizer = held.optimizer.clone();
        let optimizer = optimizer.get_or_insert_with(|| AdamState::new(parameters.len()));
        let inner = &host.config.inner;
        let trained = steps(order, sequences, go_on, |batch| {
            Ok(trainer.step(&mut parameters, optimizer, inner, batch)?)
        })?;
        if let Some(trained) = &trained {
            let optimizer = std::mem::replace(optimizer, AdamState::new(0));
            host.trained(
                order,
                trained,
                Steps {
                    parameters,
                    optimizer,
                },
            );
        }
        Ok(trained)
    }

    fn contribution(&mut self, header: Header) -> Result<Vec<u8>, EngineError> {
        let (steps, held) = self.host.take_steps(&header)?;
        let mut pseudo_gradient = steps.parameters;
        for (after, before) in pseudo_gradient.iter_mut().zip(held.model.parameters.iter()) {
            *after = before - *after;
        }
        let feedback = held.feedback.clone();
        let mut feedback = feedback.unwrap_or_else(|| vec![0.0; pseudo_gradient.len()]);
        let Host { config, layout, .. } = &self.host;
        let compression = config.compression_in(header.round);
        let (_, plain) = compress(
            layout,
            &compression,
            &pseudo_gradient,
            &mut feedback,
            header,
        )?;
        self.host.sent(steps.optimizer, feedback);
        Ok(plain)
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
