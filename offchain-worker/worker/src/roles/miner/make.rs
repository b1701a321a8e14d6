//! Making a contribution: inner steps, what is to be sent of them, sealing. Long computation, without I/O.

use cairn_engine::{Engine, EngineError, StepDone, Trained, Version};
use cairn_gradient::{compress, seal, sealed_root, Header, Work};
use cairn_primitives::{key_hash, Commitment, Secret, H256};
use cairn_round::miner::Intent;

use super::{round_job::Order, Behaviour};
use crate::roles::RoleError;

/// Largest random value of a cheat: about as far as honest inner steps move a parameter.
const CHEAT_SCALE: f32 = 5e-3;
/// The loss that a cheat claims, in nats.
const CHEAT_LOSS: f32 = 5.0;

/// A contribution that is ready to be stored. What it changes is pending in the engine.
pub(super) struct Made {
    pub intent: Intent,
    pub sealed: Vec<u8>,
    pub trained: Trained,
}

/// Trains and makes a contribution; `None` if there was no time for a single step, or the round is over.
pub(super) fn make(order: &Order, engine: &mut dyn Engine) -> Result<Option<Made>, RoleError> {
    let parent_root = engine.root(Version::Held)?;
    let trained = match order.behaviour {
        Behaviour::Honest => train(order, engine)?,
        Behaviour::Cheat => Some(claimed(order)),
    };
    let Some(trained) = trained.filter(|_| !order.control.is_abandoned()) else {
        return Ok(None);
    };
    let run = &order.run;
    let header = Header {
        netuid: run.netuid,
        round: order.round,
        hotkey: run.hotkey.0,
        parent_root,
        layout_hash: run.layout_hash,
        inner_steps: trained.steps(),
        tokens: trained.tokens,
        mean_loss: trained.mean_loss(),
        work: Work::default(),
    };
    let plain = match order.behaviour {
        Behaviour::Honest => engine.contribution(header)?,
        Behaviour::Cheat => invent(order, header)?,
    };
    let mut key = [0u8; 32];
    getrandom::fill(&mut key).map_err(|error| RoleError::Random(error.to_string()))?;
    Ok(Some(seal_up(order, trained, plain, parent_root, key)))
}

fn train(order: &Order, engine: &mut dyn Engine) -> Result<Option<Trained>, EngineError> {
    let inner = &order.run.config.inner;
    let steps = cairn_engine::Order {
        round: order.round,
        steps: u32::from(inner.steps),
    };
    let mut sequences = |step| order.run.windows(&order.plan.of_step(order.slot, step));
    let mut began = None;
    let mut go_on = |done: Option<&StepDone>| {
        if done.is_some() {
            order.timing.stepped(began);
        }
        began = Some(order.timing.now());
        !order.control.is_stopped() && order.timing.has_time(order.deadline)
    };
    engine.train(&steps, &mut sequences, &mut go_on)
}

/// What a cheat says that it did.
fn claimed(order: &Order) -> Trained {
    let config = &order.run.config;
    Trained {
        losses: vec![CHEAT_LOSS; usize::from(config.inner.steps)],
        tokens: config.windows_per_miner() * u64::from(config.inner.sequence_length),
        trace: Vec::new(),
    }
}

/// A file of random values, other ones in each round.
fn invent(order: &Order, header: Header) -> Result<Vec<u8>, RoleError> {
    let (run, mut random) = (&order.run, blake3::Hasher::new());
    random
        .update(&run.hotkey.0)
        .update(&order.round.to_le_bytes());
    let parameters = run.layout.parameters();
    let mut bytes = vec![0u8; parameters * 2];
    random.finalize_xof().fill(&mut bytes);
    let value = |pair: &[u8]| {
        let number = pair
            .iter()
            .fold(0u16, |number, byte| (number << 8) | u16::from(*byte));
        (f32::from(number) / f32::from(u16::MAX) * 2.0 - 1.0) * CHEAT_SCALE
    };
    let values: Vec<f32> = bytes.chunks_exact(2).map(value).collect();
    let compression = run.config.compression_in(order.round);
    let mut feedback = vec![0.0; parameters];
    let made = compress(&run.layout, &compression, &values, &mut feedback, header);
    let (_, plain) = made.map_err(|error| RoleError::Run(error.to_string()))?;
    Ok(plain)
}

fn seal_up(
    order: &Order,
    trained: Trained,
    plain: Vec<u8>,
    parent_root: H256,
    key: [u8; 32],
) -> Made {
    let mut sealed = plain;
    seal(&mut sealed, &key);
    let run = &order.run;
    let commitment = Commitment {
        parent_root,
        sealed_root: sealed_root(&sealed),
        length: sealed.len() as u64,
        key_hash: key_hash(run.netuid, order.round, &run.hotkey.0, &key),
    };
    let intent = Intent {
        round: order.round,
        commitment,
        key: Secret::new(key),
    };
    Made {
        intent,
        sealed,
        trained,
    }
}
