//! Inner steps one after the other, and losses piece by piece, for as long as there is time.

use std::ops::Range;

use cairn_protocol::trace;
use cairn_trainer::AdamState;

use crate::{host::trace_state, EngineError, Keeper, Order, Sequences, State, StepDone, Trained};

/// Sequences that are measured between two looks at whether there is time.
pub(crate) const PIECE: usize = 8;

/// A look at the state between two steps.
pub(crate) struct Look {
    /// What stands for it in a trace.
    pub traced: trace::State,
    /// Its vectors, if they are to be kept and can be had.
    pub vectors: Option<(Vec<f32>, AdamState)>,
}

impl Look {
    /// Without vectors.
    pub fn only(traced: trace::State) -> Look {
        Look {
            traced,
            vectors: None,
        }
    }

    /// At vectors that the next steps change, so that what is to be kept is copied.
    pub fn at(parameters: &[f32], optimizer: &AdamState, keeps: bool) -> Look {
        Look {
            traced: trace_state(parameters, Some(optimizer)),
            vectors: keeps.then(|| (parameters.to_vec(), optimizer.clone())),
        }
    }
}

/// Inner steps under way.
pub(crate) trait Stepping {
    /// Makes one, and gives its mean loss.
    fn step(&mut self, batch: &[&[u32]]) -> Result<f32, EngineError>;

    /// A look at the state now, which is traced, after a step; with its vectors if they are to be kept.
    fn traced(&mut self, keeps: bool) -> Result<Look, EngineError>;

    /// The same of the state after the last step, which will be wanted itself.
    fn traced_last(&mut self, keeps: bool) -> Result<Look, EngineError> {
        self.traced(keeps)
    }

    /// Whether the vectors with which an interval ends are served, too: where nobody else makes them to the bit.
    fn serves_ends(&self) -> bool {
        false
    }

    /// Parameters and moments after the last, where no more are made. What is in this process is not copied.
    fn left(self) -> Result<(Vec<f32>, AdamState), EngineError>;
}

/// Makes steps for as long as there is time, and traces their states at a distance of `every`; `keeper` sees all but the
/// first. `begun` is what was made before, with the state from which `stepping` goes on.
pub(crate) fn steps(
    order: &Order,
    every: u16,
    sequences: &mut Sequences<'_, '_>,
    go_on: &mut dyn FnMut(Option<&StepDone>) -> bool,
    stepping: &mut impl Stepping,
    (begun, keeper): (Trained, &mut dyn Keeper),
) -> Result<Option<Trained>, EngineError> {
    let mut trained = begun;
    let first = trained.steps();
    let mut last = None;
    for number in first..order.steps {
        if !go_on(last.as_ref()) {
            return ended(trained, every, stepping, keeper);
        }
        // What lies between two looks at the time is a step, and a trace at most.
        if number > first && trace::is_traced(number, order.steps, every) {
            let keeps = keeper.has_room();
            note(&mut trained, stepping.traced(keeps)?, keeper);
        }
        let batch = sequences(number);
        let loss = stepping.step(&batch)?;
        trained.losses.push(loss);
        trained.tokens = trained.tokens.saturating_add(predicted(&batch));
        last = Some(StepDone { step: number, loss });
    }
    if last.is_some() {
        go_on(last.as_ref());
    }
    ended(trained, every, stepping, keeper)
}

/// Tokens that are predicted in a step: all of a sequence but the first.
pub(crate) fn predicted(batch: &[&[u32]]) -> u64 {
    let tokens = batch.iter().map(|one| one.len().saturating_sub(1) as u64);
    tokens.fold(0, u64::saturating_add)
}

/// The next state of a trace.
fn note(trained: &mut Trained, look: Look, keeper: &mut dyn Keeper) {
    trained.trace.push(look.traced.hash());
    let state = look.vectors.map(|(parameters, optimizer)| State {
        optimizer: Some(optimizer),
        ..State::new(parameters)
    });
    keeper.keep(trained, look.traced, state);
}

/// Steps that are over, with the last state traced; none if there was no step.
fn ended(
    mut trained: Trained,
    every: u16,
    stepping: &mut impl Stepping,
    keeper: &mut dyn Keeper,
) -> Result<Option<Trained>, EngineError> {
    let steps = trained.steps();
    if steps == 0 {
        return Ok(None);
    }
    if trained.trace.len() < trace::count(steps, every) as usize {
        let keeps = stepping.serves_ends() && keeper.has_room();
        note(&mut trained, stepping.traced_last(keeps)?, keeper);
    }
    Ok(Some(trained))
}

/// Makes the steps with these numbers, and gives the state after them.
pub(crate) fn replayed(
    steps: Range<u32>,
    sequences: &mut Sequences<'_, '_>,
    mut stepping: impl Stepping,
) -> Result<State, EngineError> {
    for number in steps {
        stepping.step(&sequences(number))?;
    }
    let (parameters, optimizer) = stepping.left()?;
    Ok(State {
        optimizer: Some(optimizer),
        ..State::new(parameters)
    })
}

/// Losses in pieces of [`PIECE`] for as long as there is time; `losses` measures a piece.
pub(crate) fn pieces(
    sequences: &[&[u32]],
    go_on: &mut dyn FnMut() -> bool,
    losses: impl FnMut(&[&[u32]]) -> Result<Vec<f32>, EngineError>,
) -> Result<Option<Vec<f32>>, EngineError> {
    pieces_of(PIECE, sequences, go_on, losses)
}

/// The same in pieces of so many sequences, 1 at least.
pub(crate) fn pieces_of(
    at_once: usize,
    sequences: &[&[u32]],
    go_on: &mut dyn FnMut() -> bool,
    mut losses: impl FnMut(&[&[u32]]) -> Result<Vec<f32>, EngineError>,
) -> Result<Option<Vec<f32>>, EngineError> {
    let mut all = Vec::with_capacity(sequences.len());
    for piece in sequences.chunks(at_once.max(1)) {
        if !go_on() {
            return Ok(None);
        }
        all.extend(losses(piece)?);
    }
    Ok(Some(all))
}
