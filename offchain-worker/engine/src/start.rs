//! Where the steps of a round begin: at the held state, or where a process that is gone had come to.

use cairn_primitives::{InnerOptimizer, RunConfig};
use cairn_protocol::trace::{self, count};
use cairn_trainer::AdamState;

use crate::{host::Host, work::predicted, Begun, Keeper, Order, Sequences, State, Trained};

/// The steps that are there already, and the state after them.
pub(crate) struct Start {
    /// None at first.
    pub trained: Trained,
    /// None: the one that is held.
    state: Option<State>,
}

impl Start {
    /// Of a round that begins with the state `first`, which `host` holds.
    pub fn of<Steps>(
        (host, first): (&Host<Steps>, trace::State),
        order: &Order,
        sequences: &mut Sequences<'_, '_>,
        keeper: &mut dyn Keeper,
    ) -> Start {
        let follows = |begun: &Begun| {
            let has_lengths = host.check_moments(&begun.state).is_ok();
            has_lengths && follows(begun, first, order, &host.config)
        };
        let Some(begun) = keeper.begun(&first).filter(follows) else {
            return Start::first(first);
        };
        let Begun {
            losses,
            trace,
            state,
        } = begun;
        let mut trained = Trained {
            losses,
            tokens: 0,
            trace,
        };
        for number in 0..trained.steps() {
            let tokens = predicted(&sequences(number));
            trained.tokens = trained.tokens.saturating_add(tokens);
        }
        Start {
            trained,
            state: Some(state),
        }
    }

    /// At the first state.
    pub fn first(state: trace::State) -> Start {
        Start {
            trained: Trained {
                losses: Vec::new(),
                tokens: 0,
                trace: vec![state.hash()],
            },
            state: None,
        }
    }

    /// The vectors to go on from, if they are not those held.
    pub fn vectors(&self) -> Option<(&[f32], &AdamState)> {
        let state = self.state.as_ref()?;
        Some((&state.parameters, state.optimizer.as_ref()?))
    }

    /// The same, taken.
    pub fn take(&mut self) -> Option<(Vec<f32>, AdamState)> {
        let state = self.state.take()?;
        Some((state.parameters, state.optimizer?))
    }
}

/// Whether the state after `done` of `all` inner steps, one at least, is one that a round of so many traces: who ends
/// before that traces its last state, too, and no other steps may follow there.
pub fn is_on_the_way(done: u32, all: u32, inner: &InnerOptimizer) -> bool {
    done > 0 && trace::is_traced(done, all, inner.trace_every)
}

/// Whether steps that were kept lead from the first state of a round to a later one that it traces, as far as can be
/// told without making them again.
fn follows(begun: &Begun, first: trace::State, order: &Order, config: &RunConfig) -> bool {
    let Begun {
        losses,
        trace,
        state,
    } = begun;
    let done = u32::try_from(losses.len()).unwrap_or(u32::MAX);
    let can_go_on = done <= order.steps && is_on_the_way(done, order.steps, &config.inner);
    let is_traced = trace.len() == count(done, config.inner.trace_every) as usize;
    if !can_go_on || !is_traced || state.optimizer.is_none() {
        return false;
    }
    let reached = state.traced();
    reached.steps == first.steps.saturating_add(done.into())
        && trace.first() == Some(&first.hash())
        && trace.last() == Some(&reached.hash())
        && losses.iter().all(|loss| loss.is_finite())
}
