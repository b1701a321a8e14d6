//! An engine whose inner steps are made elsewhere: in another program, on several cards or machines.
//!
//! What makes them is untrusted arithmetic. It gets parameters and sequences, and gives parameters and moments back,
//! which are looked at before anything is done with them. The state, what is sent of the steps, the outer step, the
//! root, measuring and replays are the [`Cpu`]'s. So whatever it does, everybody still holds the same bits, and what it
//! spoils is one round's work.

use std::{io, ops::Range};

use cairn_gradient::{Checked, Header};
use cairn_primitives::{EngineClass, ModelRoot, ModelShape, RunConfig};
use cairn_protocol::trace;
use cairn_trainer::{optimizer::learning_rate, AdamState};

use crate::{
    cpu::Steps,
    host::{left_to, trace_state},
    outside::{broken, hashed, read},
    start::Start,
    work::{steps, Look, Stepping},
    Cpu, Engine, EngineError, Keeper, Order, Outside, Part, Sequences, Settlement, Shared, State,
    StepDone, Trained, Version,
};

/// Where steps begin.
pub struct Origin<'a> {
    /// θ.
    pub parameters: &'a [f32],
    /// The moments; none before the first step of all.
    pub optimizer: Option<&'a AdamState>,
    /// The hashes of both.
    pub hashes: trace::State,
}

/// What an engine elsewhere has, as it says, and where it put it. Vectors are flat, in the order of the run's layout.
pub struct Copied {
    /// θ.
    pub parameters: Box<dyn Outside>,
    /// The optimizer's first moment.
    pub first: Box<dyn Outside>,
    /// The optimizer's second moment.
    pub second: Box<dyn Outside>,
}

impl Copied {
    /// Reads all of it: so many parameters, and moments after so many steps.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if something cannot be read, or has other lengths or numbers than it can have.
    pub fn read(&self, parameters: usize, done: u64) -> Result<(Vec<f32>, AdamState), EngineError> {
        let read = |part, vector: &dyn Outside| read(part, vector, parameters);
        let found = read(Part::Parameters, &*self.parameters)?;
        let optimizer = AdamState {
            m: read(Part::FirstMoment, &*self.first)?,
            v: read(Part::SecondMoment, &*self.second)?,
            step: done,
        };
        Ok((found, optimizer))
    }

    /// The hashes of the same, after one step at least. Nothing of it is held.
    fn hashes(&self, parameters: usize, done: u64) -> Result<trace::State, EngineError> {
        let hash = |part, vector: &dyn Outside| hashed(part, vector, parameters);
        Ok(trace::State {
            parameters: hash(Part::Parameters, &*self.parameters)?,
            first_moment: hash(Part::FirstMoment, &*self.first)?,
            second_moment: hash(Part::SecondMoment, &*self.second)?,
            steps: done,
        })
    }
}

/// Makes inner steps of one run somewhere. Nobody trusts its numbers.
///
/// After an error it has nothing under way, and the next [`begin`](Arithmetic::begin) may go well.
pub trait Arithmetic: Send {
    /// What it computes on, for people.
    fn name(&self) -> String;

    /// Which engines give the same bits for the same steps.
    fn class(&self) -> EngineClass;

    /// Begins steps. What was under way is forgotten.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if it cannot.
    fn begin(&mut self, origin: &Origin) -> Result<(), EngineError>;

    /// Makes one step at a learning rate, and gives the mean loss before it, in nats per token. All sequences have the
    /// same number of tokens, of which all but the first are predicted.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if it cannot.
    fn step(&mut self, learning_rate: f64, sequences: &[&[u32]]) -> Result<f32, EngineError>;

    /// Puts parameters and moments as they are now where they can be read. They stay as they are there.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if they are lost.
    fn copied(&mut self) -> Result<Copied, EngineError>;

    /// No more steps come. The moments last [copied](Arithmetic::copied) have these hashes: if the next steps begin
    /// from them, they need not come again.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if it cannot.
    fn finish(&mut self, hashes: &trace::State) -> Result<(), EngineError>;

    /// Steps under way, if there are any, are of no use.
    fn forget(&mut self);
}

/// Trains elsewhere, and does everything else on the CPU.
pub struct Elsewhere<A> {
    arithmetic: A,
    cpu: Cpu,
}

impl<A: Arithmetic> Elsewhere<A> {
    /// For a run, with `threads` threads for what is measured and replayed here.
    ///
    /// # Errors
    ///
    /// [`EngineError::Matrices`] if the run's matrices are not AdamW's, which is what is made elsewhere; else as
    /// [`Cpu::new`].
    pub fn new(
        config: &RunConfig,
        threads: usize,
        arithmetic: A,
    ) -> Result<Elsewhere<A>, EngineError> {
        EngineError::only_adamw(config, "an engine in another program")?;
        Ok(Elsewhere {
            arithmetic,
            cpu: Cpu::new(config, threads)?,
        })
    }

    /// What makes the steps.
    pub fn arithmetic(&self) -> &A {
        &self.arithmetic
    }
}

/// Inner steps under way elsewhere.
struct Away<'a, A> {
    arithmetic: &'a mut A,
    config: &'a RunConfig,
    parameters: usize,
    /// Steps that the optimizer has done.
    done: u64,
    /// The state after the last step, once it was traced.
    last: Option<(Steps, trace::State)>,
}

impl<A: Arithmetic> Stepping for Away<'_, A> {
    fn step(&mut self, batch: &[&[u32]]) -> Result<f32, EngineError> {
        self.last = None;
        let inner = &self.config.inner;
        check_sequences(&self.config.model, inner.sequence_length, batch)?;
        let rate = learning_rate(inner, self.done);
        let loss = self.arithmetic.step(rate, batch)?;
        // a contribution's header has neither
        if !loss.is_finite() || loss.is_sign_negative() {
            return Err(broken(&format!("a loss of {loss}")));
        }
        self.done = self.done.saturating_add(1);
        Ok(loss)
    }

    // No vectors: nobody replays these steps, so a run that audits takes no such engine.
    fn traced(&mut self, _: bool) -> Result<Look, EngineError> {
        let there = self.arithmetic.copied()?;
        Ok(Look::only(there.hashes(self.parameters, self.done)?))
    }

    fn traced_last(&mut self, _: bool) -> Result<Look, EngineError> {
        let last = self.look()?;
        let traced = last.1;
        self.last = Some(last);
        Ok(Look::only(traced))
    }

    fn left(self) -> Result<(Vec<f32>, AdamState), EngineError> {
        self.arithmetic.copied()?.read(self.parameters, self.done)
    }
}

impl<A: Arithmetic> Away<'_, A> {
    /// The state now.
    fn look(&mut self) -> Result<(Steps, trace::State), EngineError> {
        // What was copied is gone with the statement.
        let (parameters, optimizer) = self.arithmetic.copied()?.read(self.parameters, self.done)?;
        let hashes = trace_state(&parameters, Some(&optimizer));
        Ok((
            Steps {
                parameters,
                optimizer,
            },
            hashes,
        ))
    }
}

/// Sequences that the CPU would not take are taken nowhere.
fn check_sequences(
    shape: &ModelShape,
    length: u32,
    sequences: &[&[u32]],
) -> Result<(), EngineError> {
    let foreign = |what: String| Err(EngineError::Foreign(what));
    if sequences.is_empty() {
        return foreign("a step without sequences: give at least one".into());
    }
    if length > shape.context {
        let context = shape.context;
        return foreign(format!(
            "sequences of {length} tokens do not fit a context of {context}"
        ));
    }
    for (number, sequence) in sequences.iter().enumerate() {
        let (found, expected) = (sequence.len() as u64, u64::from(length).saturating_add(1));
        if found != expected {
            return foreign(format!(
                "sequence {number} has {found} tokens where {expected} were expected"
            ));
        }
        if let Some(token) = sequence.iter().find(|token| **token >= shape.vocabulary) {
            let end = shape.vocabulary;
            return foreign(format!(
                "sequence {number} has token {token}, the vocabulary ends at {end}: use the run's data"
            ));
        }
    }
    Ok(())
}

impl<A: Arithmetic> Engine for Elsewhere<A> {
    fn name(&self) -> String {
        self.arithmetic.name()
    }

    fn class(&self) -> EngineClass {
        self.arithmetic.class()
    }

    left_to!(cpu);

    fn train_keeping(
        &mut self,
        order: &Order,
        sequences: &mut Sequences<'_, '_>,
        go_on: &mut dyn FnMut(Option<&StepDone>) -> bool,
        keeper: &mut dyn Keeper,
    ) -> Result<Option<Trained>, EngineError> {
        let made = self.steps(order, sequences, go_on, keeper);
        match made {
            Ok(Some((trained, steps))) => {
                self.cpu.host.trained(order, &trained, steps);
                Ok(Some(trained))
            }
            Ok(None) => {
                self.arithmetic.forget();
                Ok(None)
            }
            Err(error) => {
                self.arithmetic.forget();
                Err(error)
            }
        }
    }

    fn contribution(&mut self, header: Header) -> Result<Vec<u8>, EngineError> {
        self.cpu.contribution_as(self.arithmetic.class(), header)
    }

    fn settle(&mut self, settlement: &Settlement) -> Result<ModelRoot, EngineError> {
        self.cpu.settle(settlement)
    }

    fn measure(
        &mut self,
        contribution: Option<&Checked>,
        sequences: &[&[u32]],
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<f32>>, EngineError> {
        self.cpu.measure(contribution, sequences, go_on)
    }

    fn measure_settled(
        &mut self,
        sequences: &[&[u32]],
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<f32>>, EngineError> {
        self.cpu.measure_settled(sequences, go_on)
    }

    fn replay(
        &mut self,
        before: &State,
        steps: Range<u32>,
        sequences: &mut Sequences<'_, '_>,
    ) -> Result<State, EngineError> {
        self.cpu.replay(before, steps, sequences)
    }
}

impl<A: Arithmetic> Elsewhere<A> {
    /// Steps from what is held, and where they led.
    fn steps(
        &mut self,
        order: &Order,
        sequences: &mut Sequences<'_, '_>,
        go_on: &mut dyn FnMut(Option<&StepDone>) -> bool,
        keeper: &mut dyn Keeper,
    ) -> Result<Option<(Trained, Steps)>, EngineError> {
        let Elsewhere { arithmetic, cpu } = self;
        let held = cpu.host.free("train")?;
        let parameters = held.model.parameters.as_slice();
        let optimizer = held.optimizer.as_deref().filter(|begun| begun.step > 0);
        let hashes = trace_state(parameters, optimizer);
        arithmetic.begin(&Origin {
            parameters,
            optimizer,
            hashes,
        })?;
        let config = &cpu.host.config;
        let mut away = Away {
            arithmetic,
            config,
            parameters: parameters.len(),
            done: optimizer.map_or(0, |begun| begun.step),
            last: None,
        };
        // Nothing is kept of what is made elsewhere.
        let begun = (Start::first(hashes).trained, keeper);
        let every = config.inner.trace_every;
        let Some(trained) = steps(order, every, sequences, go_on, &mut away, begun)? else {
            return Ok(None);
        };
        let (made, hashes) = match away.last.take() {
            Some(last) => last,
            None => away.look()?,
        };
        away.arithmetic.finish(&hashes)?;
        Ok(Some((trained, made)))
    }
}
