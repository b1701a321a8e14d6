//! What an engine holds, and how it is named when it is read.

use std::sync::Arc;

use cairn_protocol::trace;
use cairn_trainer::AdamState;

use crate::host::trace_state;

/// All that a member carries from round to round. Vectors are flat, in the order of the run's layout.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// θ, the model's parameters.
    pub parameters: Vec<f32>,
    /// The inner optimizer's moments; none before the first inner step.
    pub optimizer: Option<AdamState>,
    /// The error feedback: what earlier rounds left unsent. None before the first contribution.
    pub feedback: Option<Vec<f32>>,
    /// The median norm of the last applied round that included anything, as `cairn_gradient::Stepped` has it: what the
    /// contributions of the round at hand are held against. None for who has applied none.
    pub norm: Option<f64>,
    /// What the contribution made of these parameters left, until its round is settled.
    pub sent: Option<Sent>,
}

/// Where a contribution ended: what its maker carries on if it is included.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// The moments after its steps.
    pub optimizer: AdamState,
    /// The error feedback: what it did not send.
    pub feedback: Vec<f32>,
}

impl State {
    /// The state of a member that has done nothing yet.
    pub fn new(parameters: Vec<f32>) -> State {
        State {
            parameters,
            optimizer: None,
            feedback: None,
            norm: None,
            sent: None,
        }
    }

    /// What stands for it in a trace.
    pub fn traced(&self) -> trace::State {
        trace_state(&self.parameters, self.optimizer.as_ref())
    }
}

/// One vector of a state, shared with the engine that holds it: it stays as it is, whatever the engine does next.
/// Nothing is copied.
#[derive(Clone, Debug)]
pub struct Shared(Whole);

/// What it is, or is part of.
#[derive(Clone, Debug)]
enum Whole {
    Vector(Arc<Vec<f32>>),
    First(Arc<AdamState>),
    Second(Arc<AdamState>),
}

impl Shared {
    pub(crate) fn vector(vector: &Arc<Vec<f32>>) -> Shared {
        Shared(Whole::Vector(vector.clone()))
    }

    pub(crate) fn first(moments: &Arc<AdamState>) -> Shared {
        Shared(Whole::First(moments.clone()))
    }

    pub(crate) fn second(moments: &Arc<AdamState>) -> Shared {
        Shared(Whole::Second(moments.clone()))
    }

    /// Its numbers.
    pub fn numbers(&self) -> &[f32] {
        match &self.0 {
            Whole::Vector(vector) => vector.as_slice(),
            Whole::First(moments) => moments.m.as_slice(),
            Whole::Second(moments) => moments.v.as_slice(),
        }
    }
}

/// A vector that no engine holds.
impl From<Vec<f32>> for Shared {
    fn from(vector: Vec<f32>) -> Shared {
        Shared(Whole::Vector(Arc::new(vector)))
    }
}

/// Which of the states that an engine knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The parameters before the last settled round: what that round's contributions are measured on. It has no other
    /// parts.
    Base,
    /// The state itself.
    Held,
    /// What waits for [`keep`](crate::Engine::keep): the state after a settled round, or what a contribution left.
    /// Parts that would not change are those held.
    Pending,
    /// [`State::sent`], with the parameters held.
    Sent,
}

/// One vector of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// θ.
    Parameters,
    /// The optimizer's first moment.
    FirstMoment,
    /// The optimizer's second moment.
    SecondMoment,
    /// The error feedback.
    Feedback,
}

impl Part {
    /// What the part is called in errors.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::Parameters => "the vector of parameters",
            Part::FirstMoment => "the optimizer's first moment",
            Part::SecondMoment => "the optimizer's second moment",
            Part::Feedback => "the error feedback",
        }
    }
}
