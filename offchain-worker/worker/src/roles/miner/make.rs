//! Making a contribution: inner steps, what is to be sent of them, sealing. Long computation, without I/O.

use cairn_engine::{Engine, EngineError, StepDone, Trained, Version};
use cairn_gradient::{seal, sealed_root, Header, Work};
use cairn_primitives::{key_hash, Commitment, EngineClass, ModelRoot, Secret, H256};
use cairn_round::{miner::Intent, plan::Plan};
use codec::Encode;

use super::round_job::Order;
use crate::roles::RoleError;

/// The windows of an inner step, by the round's plan, the miner's slot and the step's number.
pub(super) type Text = fn(&Plan, u64, u32) -> Vec<u64>;

/// What the chain assigns.
pub(super) const ASSIGNED: Text = Plan::of_step;

/// A contribution that is ready to be stored. What it changes is pending in the engine.
pub(super) struct Made {
    pub intent: Intent,
    pub sealed: Vec<u8>,
    pub trained: Trained,
}

/// Trains on what is assigned and makes a contribution; `None` if there was no time for a single step, or the round is
/// over.
pub(super) fn make(order: &Order, engine: &mut dyn Engine) -> Result<Option<Made>, RoleError> {
    make_of(ASSIGNED, order, engine)
}

/// The same of this text.
pub(super) fn make_of(
    text: Text,
    order: &Order,
    engine: &mut dyn Engine,
) -> Result<Option<Made>, RoleError> {
    let parent_root = engine.root(Version::Held)?;
    let trained = train(text, order, engine)?;
    let Some(trained) = trained.filter(|_| !order.control.is_abandoned()) else {
        return Ok(None);
    };
    let plain = engine.contribution(header(order, parent_root, &trained))?;
    seal_up(order, trained, plain, parent_root).map(Some)
}

fn train(
    text: Text,
    order: &Order,
    engine: &mut dyn Engine,
) -> Result<Option<Trained>, EngineError> {
    let inner = &order.run.config.inner;
    let steps = cairn_engine::Order {
        round: order.round,
        uid: order.uid,
        steps: u32::from(inner.steps),
    };
    let mut sequences = |step| order.run.windows(&text(&order.plan, order.slot, step));
    let mut began = None;
    let mut go_on = |done: Option<&StepDone>| {
        if let Some(done) = done {
            order.timing.stepped(began);
            order.metrics.stepped(done.step, steps.steps, done.loss);
        }
        began = Some(order.timing.now());
        let deadline = order.control.deadline(order.deadline);
        let has_time = order.timing.has_time(deadline);
        if done.is_none() && !has_time {
            order.timing.made_none();
        }
        !order.control.is_stopped() && has_time
    };
    let work = work(text, order, &engine.class());
    let mut keeper = order.traces.of(order.round, work);
    engine.train_keeping(&steps, &mut sequences, &mut go_on, &mut keeper)
}

/// What inner steps follow from, beside the state that they begin with: who makes them, with which release of this
/// program, the run, and their text. Nobody goes on with another release's steps: made again, they would have to have
/// the same bits.
fn work(text: Text, order: &Order, class: &EngineClass) -> H256 {
    let config = &order.run.config;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(class.text(), env!("CARGO_PKG_VERSION"), config).encode());
    for step in 0..u32::from(config.inner.steps) {
        hasher.update(&text(&order.plan, order.slot, step).encode());
    }
    H256(*hasher.finalize().as_bytes())
}

/// What a contribution of these steps says of itself, without what binds it to them.
pub(super) fn header(order: &Order, parent_root: ModelRoot, trained: &Trained) -> Header {
    let run = &order.run;
    Header {
        netuid: run.netuid,
        round: order.round,
        hotkey: run.hotkey.hotkey(),
        parent_root,
        layout_hash: run.layout_hash,
        inner_steps: trained.steps(),
        tokens: trained.tokens,
        mean_loss: trained.mean_loss(),
        work: Work::default(),
    }
}

/// Seals a file with a new key.
pub(super) fn seal_up(
    order: &Order,
    trained: Trained,
    plain: Vec<u8>,
    parent_root: ModelRoot,
) -> Result<Made, RoleError> {
    let mut key = [0u8; 32];
    getrandom::fill(&mut key).map_err(|error| RoleError::Random(error.to_string()))?;
    let mut sealed = plain;
    seal(&mut sealed, &key);
    let run = &order.run;
    let commitment = Commitment {
        parent_root,
        sealed_root: sealed_root(&sealed),
        length: sealed.len() as u64,
        key_hash: key_hash(run.netuid, order.round, &run.hotkey.hotkey(), &key),
    };
    let intent = Intent {
        round: order.round,
        commitment,
        key: Secret::new(key),
    };
    Ok(Made {
        intent,
        sealed,
        trained,
    })
}

#[cfg(test)]
#[path = "make_tests.rs"]
mod tests;
