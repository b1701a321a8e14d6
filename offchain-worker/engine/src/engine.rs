//! The trait: a round's verbs.

use std::{io, ops::Range, sync::Arc};

use cairn_gradient::{Checked, Header};
use cairn_primitives::{EngineClass, ModelRoot, Round, Uid, H256};
use cairn_protocol::trace;

use crate::{AdamState, EngineError, Part, Sent, Shared, State, Version};

/// Which steps to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The round that they are for.
    pub round: Round,
    /// Who makes them; with the round that decides how what they bring is made small.
    pub uid: Uid,
    /// The most inner steps.
    pub steps: u32,
}

/// Gives the sequences of an inner step, by the step's number from 0. Each has `sequence_length` + 1 tokens.
pub type Sequences<'f, 't> = dyn FnMut(u32) -> Vec<&'t [u32]> + 'f;

/// An inner step that was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepDone {
    /// Its number within the round, from 0.
    pub step: u32,
    /// The mean loss before it, in nats per token.
    pub loss: f32,
}

/// What inner steps were made.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// The mean loss before each step, in nats per token; one at least.
    pub losses: Vec<f32>,
    /// Tokens that were predicted.
    pub tokens: u64,
    /// The hashes of the traced states, in order: as the rule `trace` of `cairn-protocol` has them.
    pub trace: Vec<H256>,
}

impl Trained {
    /// Inner steps made.
    pub fn steps(&self) -> u32 {
        u32::try_from(self.losses.len()).unwrap_or(u32::MAX)
    }

    /// The number of the newest traced state: the one before the first step has 0.
    pub fn newest(&self) -> u32 {
        u32::try_from(self.trace.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// The mean of the steps' losses, summed in order; what a contribution's header states.
    pub fn mean_loss(&self) -> f32 {
        self.losses.iter().sum::<f32>() / self.losses.len() as f32
    }
}

/// Steps of a round that were made before, up to a traced state that was kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Begun {
    /// The mean loss before each step, in nats per token.
    pub losses: Vec<f32>,
    /// The hashes of the traced states, in order: the last is that of `state`.
    pub trace: Vec<H256>,
    /// Parameters and moments after those steps.
    pub state: State,
}

/// Keeps traced states while steps are made, so that what is audited of them need not be made again, and who was
/// stopped between them goes on from there.
pub trait Keeper {
    /// Steps of the same round that were made and kept before, if there are any; asked for once, before the first step.
    /// `first` is the state with which the round begins. What does not follow from it is not gone on with: the steps are
    /// made from the first on.
    fn begun(&mut self, _first: &trace::State) -> Option<Begun> {
        None
    }

    /// Whether it has room for the vectors of one more state.
    fn has_room(&mut self) -> bool;

    /// A state was traced: the last of those in `so_far`. `traced` stands for it; `state` has its parameters and moments,
    /// if there was room for them and they may have to be served. The state before the first step is not among them: it
    /// is what the round begins with. Whoever trains waits for this.
    fn keep(&mut self, so_far: &Trained, traced: trace::State, state: Option<State>);
}

/// Keeps nothing.
struct Nothing;

impl Keeper for Nothing {
    fn has_room(&mut self) -> bool {
        false
    }

    fn keep(&mut self, _: &Trained, _: trace::State, _: Option<State>) {}
}

/// A settled round, as it is applied.
#[derive(Clone, Copy, Debug)]
pub struct Settlement<'a> {
    /// The included contributions, who made them and what each counts (1 at least), as
    /// [`counted`](cairn_gradient::checked::counted) has it, in any order.
    /// None: a null round, parameters stay.
    pub included: &'a [(Uid, u16, Arc<Checked>)],
    /// Whether the member's own contribution is among them. If it is, the member carries on what it
    /// [sent](State::sent); else that is forgotten, and the next contribution goes on from where the last included
    /// one ended.
    pub is_included: bool,
}

/// Computes the rounds of one run, and owns the state that they change.
pub trait Engine: Send {
    /// What it computes on, for people.
    fn name(&self) -> String;

    /// Which engines give the same bits for the same steps.
    fn class(&self) -> EngineClass;

    /// Replaces the state, and gives the model root. Base and what is pending are forgotten.
    ///
    /// # Errors
    ///
    /// [`EngineError::Foreign`] if a vector has another length than the run's model.
    fn load(&mut self, state: State) -> Result<ModelRoot, EngineError>;

    /// The model root: BLAKE3 of a version's parameters, as `cairn_gradient::model_root` has it.
    ///
    /// # Errors
    ///
    /// [`EngineError::OutOfTurn`] if there is no such version.
    fn root(&self, version: Version) -> Result<ModelRoot, EngineError>;

    /// Inner steps that a version's optimizer has done.
    ///
    /// # Errors
    ///
    /// [`EngineError::OutOfTurn`] if there is no such version.
    fn optimizer_steps(&self, version: Version) -> Result<u64, EngineError>;

    /// [`State::norm`] of a version.
    ///
    /// # Errors
    ///
    /// [`EngineError::OutOfTurn`] if there is no such version.
    fn norm(&self, version: Version) -> Result<Option<f64>, EngineError>;

    /// Hands one part of a version to `sink`, from its beginning, in pieces of any length. `false` if the version has
    /// no such part.
    ///
    /// # Errors
    ///
    /// [`EngineError::OutOfTurn`] if there is no such version, [`EngineError::Sink`] if `sink` fails.
    fn snapshot(
        &self,
        version: Version,
        part: Part,
        sink: &mut dyn FnMut(&[f32]) -> io::Result<()>,
    ) -> Result<bool, EngineError>;

    /// One part of a version, which stays as it is for as long as somebody has it, whatever the engine does next: so it
    /// can be written to a disk while the engine trains. `None` if the version has no such part.
    ///
    /// # Errors
    ///
    /// [`EngineError::OutOfTurn`] if there is no such version.
    fn shared(&self, version: Version, part: Part) -> Result<Option<Shared>, EngineError>;

    /// Makes inner steps from the held parameters. The result is pending until [`Engine::contribution`] asks for it.
    ///
    /// `go_on` is called before each step with the step before it, none at first, and says whether there is time; and
    /// once more after the last step, when its answer changes nothing. `None` if no step was made.
    ///
    /// # Errors
    ///
    /// [`EngineError`]; nothing is pending then.
    fn train(
        &mut self,
        order: &Order,
        sequences: &mut Sequences<'_, '_>,
        go_on: &mut dyn FnMut(Option<&StepDone>) -> bool,
    ) -> Result<Option<Trained>, EngineError> {
        self.train_keeping(order, sequences, go_on, &mut Nothing)
    }

    /// The same, and shows each state that it traces to `keeper`; goes on from what that kept of the round before.
    ///
    /// # Errors
    ///
    /// As [`Engine::train`].
    fn train_keeping(
        &mut self,
        order: &Order,
        sequences: &mut Sequences<'_, '_>,
        go_on: &mut dyn FnMut(Option<&StepDone>) -> bool,
        keeper: &mut dyn Keeper,
    ) -> Result<Option<Trained>, EngineError>;

    /// The plain file of what is to be sent of the steps just made. The error feedback takes the rest. Moments and
    /// feedback are pending, and [`State::sent`] once they are kept: what is held stays until the round is settled.
    /// What `header` says of the [`Work`](cairn_gradient::Work) is replaced by what was done.
    ///
    /// # Errors
    ///
    /// [`EngineError::OutOfTurn`] if no steps are pending, or `header` states another round, parent root or number of
    /// steps, which changes nothing; else [`EngineError`], after which nothing is pending.
    fn contribution(&mut self, header: Header) -> Result<Vec<u8>, EngineError>;

    /// Applies a settled round to the held state, and gives the root of the new parameters; all of it is pending, so
    /// that roots can be compared first. The bits are those of `cairn_gradient::outer_step`.
    ///
    /// # Errors
    ///
    /// [`EngineError`]; nothing is pending then.
    fn settle(&mut self, settlement: &Settlement) -> Result<ModelRoot, EngineError>;

    /// Makes what is pending the state. After [`Engine::settle`] the parameters before become the base.
    ///
    /// # Errors
    ///
    /// [`EngineError::OutOfTurn`] if there is nothing to keep.
    fn keep(&mut self) -> Result<(), EngineError>;

    /// Forgets what is pending, if anything is.
    fn discard(&mut self);

    /// Forgets the base, which takes as much memory as the parameters. For who measures nothing.
    fn forget_base(&mut self);

    /// The mean loss of each sequence, in nats per token, at the base; or, with a contribution, at the base after an
    /// outer step with that contribution alone. All sequences have the same number of tokens. A loss may be infinite or
    /// no number: others' contributions may be bad.
    ///
    /// Before each piece of a few sequences `go_on` says whether there is time; `None` if there was not.
    ///
    /// # Errors
    ///
    /// [`EngineError::OutOfTurn`] if there is no base, or steps are pending; [`EngineError::Foreign`] if the
    /// contribution was made from other parameters than the base.
    fn measure(
        &mut self,
        contribution: Option<&Checked>,
        sequences: &[&[u32]],
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<f32>>, EngineError>;

    /// The same at the held parameters: those that the round made of all contributions, while its base is there.
    ///
    /// # Errors
    ///
    /// [`EngineError::OutOfTurn`] if there is no base, or steps are pending.
    fn measure_settled(
        &mut self,
        sequences: &[&[u32]],
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<f32>>, EngineError>;

    /// Makes the inner steps with these numbers again, from the state before them, and gives parameters and moments
    /// after them: of [`State::traced`] a miner must have traced the hash, to the bit if it was the same
    /// [`class`](Engine::class). `before` has parameters and moments; its other parts are not looked at. What is
    /// held, or pending, stays.
    ///
    /// # Errors
    ///
    /// [`EngineError::OutOfTurn`] if steps are pending; [`EngineError::Foreign`] if a vector has another length than
    /// the run's model; else [`EngineError`].
    fn replay(
        &mut self,
        before: &State,
        steps: Range<u32>,
        sequences: &mut Sequences<'_, '_>,
    ) -> Result<State, EngineError>;

    /// A whole version in memory: for small models and for tests.
    ///
    /// # Errors
    ///
    /// As [`Engine::snapshot`].
    fn state(&self, version: Version) -> Result<State, EngineError> {
        let read = |version, part| -> Result<Option<Vec<f32>>, EngineError> {
            let mut all = Vec::new();
            let mut sink = |piece: &[f32]| {
                all.extend_from_slice(piece);
                Ok(())
            };
            let there = self.snapshot(version, part, &mut sink)?;
            Ok(there.then_some(all))
        };
        let carry = |version| -> Result<(Option<AdamState>, Option<Vec<f32>>), EngineError> {
            let step = self.optimizer_steps(version)?;
            let moments = read(version, Part::FirstMoment)?.zip(read(version, Part::SecondMoment)?);
            let optimizer = moments.map(|(m, v)| AdamState { m, v, step });
            Ok((optimizer, read(version, Part::Feedback)?))
        };
        let (optimizer, feedback) = carry(version)?;
        let sent = match version {
            Version::Held => carry(Version::Sent).ok(),
            _ => None,
        };
        Ok(State {
            parameters: read(version, Part::Parameters)?.unwrap_or_default(),
            optimizer,
            feedback,
            norm: self.norm(version)?,
            sent: sent.and_then(|(optimizer, feedback)| {
                Some(Sent {
                    optimizer: optimizer?,
                    feedback: feedback?,
                })
            }),
        })
    }
}
