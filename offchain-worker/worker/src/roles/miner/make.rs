//! Making a contribution: inner steps, compression, sealing. Long computation, without I/O.

use std::sync::Arc;

use cairn_gradient::{seal, sealed_root, Header};
use cairn_primitives::{key_hash, Commitment};
use cairn_trainer::{engine::Engine, AdamState};

use super::{
    round_job::Order,
    sendable::{Encoded, Sendable},
    Behaviour,
};
use crate::roles::{setup::locked, state::Open, RoleError};

/// Largest random value of a cheat: about as far as honest inner steps move a weight.
const CHEAT_SCALE: f32 = 5e-3;
/// The loss that a cheat claims, in nats.
const CHEAT_LOSS: f32 = 5.0;

/// What a miner keeps from round to round beside the weights.
#[derive(Clone)]
pub(super) struct Memory {
    /// AdamW's moments.
    pub adam: Arc<AdamState>,
    /// What earlier rounds left unsent.
    pub feedback: Arc<Vec<f32>>,
}

impl Memory {
    /// What was on disk, or nothing yet.
    pub fn new(adam: Option<AdamState>, feedback: Option<Vec<f32>>, parameters: usize) -> Memory {
        Memory {
            adam: Arc::new(adam.unwrap_or_else(|| AdamState::new(parameters))),
            feedback: Arc::new(feedback.unwrap_or_else(|| vec![0.0; parameters])),
        }
    }
}

/// A contribution that is ready to be stored.
pub(super) struct Made {
    pub memory: Memory,
    pub open: Open,
    pub sealed: Vec<u8>,
    pub steps: u32,
    pub tokens: u64,
    pub first_loss: f32,
    pub last_loss: f32,
}

/// The work of the inner steps.
struct Work {
    brought: Sendable,
    losses: Vec<f32>,
    tokens: u64,
}

/// Trains and makes a contribution; `None` if there was no time for a single step, or the round is over.
pub(super) fn make(order: &Order) -> Result<Option<Made>, RoleError> {
    let work = match order.behaviour {
        Behaviour::Honest => train(order, &mut locked(&order.trainer))?,
        Behaviour::Cheat => Some(invent(order)),
    };
    let Some(work) = work.filter(|_| !order.control.is_abandoned()) else {
        return Ok(None);
    };
    seal_up(order, work).map(Some)
}

fn train(order: &Order, trainer: &mut Engine) -> Result<Option<Work>, RoleError> {
    let inner = &order.run.config.inner;
    // A card that fails in mid-round takes the round's steps with it, and nothing that is held here.
    let mut steps = trainer.begin(&order.held.theta, &order.memory.adam)?;
    let (mut losses, mut tokens) = (Vec::new(), 0u64);
    for step in 0..u32::from(inner.steps) {
        if order.control.is_stopped() || !order.timing.has_time(order.deadline) {
            break;
        }
        let windows = order.run.windows(&order.plan.of_step(order.slot, step));
        let loss = order.timing.step(|| steps.step(inner, &windows))?;
        losses.push(loss);
        tokens += windows.len() as u64 * u64::from(inner.sequence_length);
    }
    if losses.is_empty() {
        return Ok(None);
    }
    Ok(Some(Work {
        brought: Sendable::of(steps, &order.run, &order.held, &order.memory.feedback)?,
        losses,
        tokens,
    }))
}

/// Random values in place of training, other ones in each round.
fn invent(order: &Order) -> Work {
    let inner = &order.run.config.inner;
    let mut random = blake3::Hasher::new();
    random
        .update(&order.run.hotkey.0)
        .update(&order.held.round.to_le_bytes());
    let mut bytes = vec![0u8; order.held.theta.len() * 2];
    random.finalize_xof().fill(&mut bytes);
    let value = |pair: &[u8]| {
        let number = pair
            .iter()
            .fold(0u16, |number, byte| (number << 8) | u16::from(*byte));
        (f32::from(number) / f32::from(u16::MAX) * 2.0 - 1.0) * CHEAT_SCALE
    };
    Work {
        brought: Sendable::Dense {
            pseudo_gradient: bytes.chunks_exact(2).map(value).collect(),
            adam: order.memory.adam.as_ref().clone(),
        },
        losses: vec![CHEAT_LOSS; usize::from(inner.steps)],
        tokens: order.run.config.windows_per_miner() * u64::from(inner.sequence_length),
    }
}

fn seal_up(order: &Order, work: Work) -> Result<Made, RoleError> {
    let (run, round) = (&order.run, order.held.round);
    let Work {
        brought,
        losses,
        tokens,
    } = work;
    let header = Header {
        netuid: run.netuid,
        round,
        hotkey: run.hotkey.0,
        parent_root: order.held.root,
        layout_hash: run.layout_hash,
        inner_steps: losses.len() as u32,
        tokens,
        mean_loss: losses.iter().sum::<f32>() / losses.len() as f32,
    };
    let Encoded {
        plain,
        feedback,
        adam,
    } = brought.encode(run, &order.memory.feedback, header)?;
    let mut key = [0u8; 32];
    getrandom::fill(&mut key).map_err(|error| RoleError::Random(error.to_string()))?;
    let mut sealed = plain.clone();
    seal(&mut sealed, &key);
    let commitment = Commitment {
        parent_root: order.held.root,
        sealed_root: sealed_root(&sealed),
        length: sealed.len() as u64,
        key_hash: key_hash(run.netuid, round, &run.hotkey.0, &key),
    };
    Ok(Made {
        memory: Memory {
            adam: Arc::new(adam),
            feedback: Arc::new(feedback),
        },
        open: Open {
            round,
            commitment,
            key,
            plain,
        },
        sealed,
        steps: losses.len() as u32,
        tokens,
        first_loss: losses.first().copied().unwrap_or_default(),
        last_loss: losses.last().copied().unwrap_or_default(),
    })
}
