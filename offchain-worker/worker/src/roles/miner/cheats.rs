//! Cheats, which a network has to stand: how each makes its contribution, and what it serves when that is audited.
//!
//! | cheat | what it saves | found out by |
//! |---|---|---|
//! | `noise` | all work | its gain, which is none; an audit, in which it serves nothing |
//! | `lazy` | all inner steps but one | an audit, wherever its interval lies not in that step alone; its premium |
//! | `stranger` | fetching what it is assigned | its premium, which is none; an audit: other text leads elsewhere |
//! | `copier` | all work | resemblance to the last round's step; its premium; an audit, in which it serves nothing |

use std::cmp::Reverse;

use cairn_engine::{Engine, EngineError, State, Trained, Version};
use cairn_gradient::{compress, encode, Contribution, Work};
use cairn_primitives::{Carried, Round, H256};
use cairn_protocol::{
    audit::{interval, Opened, Proof},
    exam::Seeds,
    trace,
    verdict::Before,
};
use cairn_round::{plan::Plan, validator::Claim, Settlement};
use codec::Encode;

use super::{
    make::{header, make_of, seal_up, Made, ASSIGNED},
    round_job::Order,
    serve::{open_of, Asked},
};
use crate::roles::{chain::Chain, driver::Desk, inspect, look::settlement, run::Run, RoleError};

/// Largest random value of a cheat: about as far as honest inner steps move a parameter.
const NOISE_SCALE: f32 = 5e-3;
/// The loss that is claimed of steps that were not made, in nats.
const CLAIMED_LOSS: f32 = 5.0;
/// A stranger's text follows from this.
const TASTE: H256 = H256([7; 32]);

/// Random values, other ones in each round.
pub(super) fn noise(order: &Order, engine: &mut dyn Engine) -> Result<Option<Made>, RoleError> {
    bring(
        order,
        engine,
        &invented(order),
        (claimed(order, Vec::new()), Work::default()),
    )
}

fn invented(order: &Order) -> Vec<f32> {
    let (run, mut random) = (&order.run, blake3::Hasher::new());
    random
        .update(&run.hotkey.0)
        .update(&order.round.to_le_bytes());
    let mut bytes = vec![0u8; run.layout.parameters().saturating_mul(2)];
    random.finalize_xof().fill(&mut bytes);
    let value = |pair: &[u8]| {
        let number = pair
            .iter()
            .fold(0u16, |number, byte| (number << 8) | u16::from(*byte));
        (f32::from(number) / f32::from(u16::MAX) * 2.0 - 1.0) * NOISE_SCALE
    };
    bytes.chunks_exact(2).map(value).collect()
}

/// All inner steps of a round, as a cheat says that it made them.
fn claimed(order: &Order, trace: Vec<H256>) -> Trained {
    let config = &order.run.config;
    let tokens = config.windows_per_miner();
    Trained {
        losses: vec![CLAIMED_LOSS; usize::from(config.inner.steps)],
        tokens: tokens.saturating_mul(u64::from(config.inner.sequence_length)),
        trace,
    }
}

/// A contribution of these values, with what it claims to come from. Nothing of it is carried on.
fn bring(
    order: &Order,
    engine: &mut dyn Engine,
    values: &[f32],
    (trained, work): (Trained, Work),
) -> Result<Option<Made>, RoleError> {
    if order.control.is_abandoned() {
        return Ok(None);
    }
    let (run, parent_root) = (&order.run, engine.root(Version::Held)?);
    let mut header = header(order, parent_root, &trained);
    header.work = work;
    let compression = run.config.compression_of(order.uid, order.round);
    let mut feedback = vec![0.0; values.len()];
    let made = compress(&run.layout, &compression, values, &mut feedback, header);
    let (_, plain) = made.map_err(|error| RoleError::Run(error.to_string()))?;
    seal_up(order, trained, plain, parent_root).map(Some)
}

/// Nothing is served.
pub(super) fn open_nothing(_: &mut dyn Engine, _: Asked) -> Result<Option<Vec<u8>>, RoleError> {
    Ok(None)
}

/// What one step changes, times all steps of a round. The state after it is claimed for all later ones.
pub(super) fn lazy(order: &Order, engine: &mut dyn Engine) -> Result<Option<Made>, RoleError> {
    let inner = &order.run.config.inner;
    let steps = u32::from(inner.steps);
    let held = engine.state(Version::Held)?.parameters;
    let only = OneStep::make(engine, held, &order.run, (&order.plan, order.slot))?;
    let trace = only.trace(steps, inner.trace_every);
    let end = only.at(steps);
    let work = Work {
        engine: engine.class(),
        before: Carried::default(),
        after: Carried {
            first_moment: end.first_moment,
            second_moment: end.second_moment,
            feedback: H256::zero(),
            steps: end.steps,
        },
        trace: trace::root(&trace),
    };
    let values = only.stretched(inner.steps);
    bring(order, engine, &values, (claimed(order, trace), work))
}

/// The only step that a lazy miner makes in a round, with moments of zero before it.
struct OneStep {
    before: State,
    after: State,
}

impl OneStep {
    fn make(
        engine: &mut dyn Engine,
        parameters: Vec<f32>,
        run: &Run,
        (plan, slot): (&Plan, u64),
    ) -> Result<OneStep, EngineError> {
        let before = State::new(parameters);
        let mut sequences = |step| run.windows(&ASSIGNED(plan, slot, step));
        let after = engine.replay(&before, 0..1, &mut sequences)?;
        Ok(OneStep { before, after })
    }

    /// What is claimed after so many steps.
    fn at(&self, steps: u32) -> trace::State {
        match steps {
            0 => self.before.traced(),
            _ => trace::State {
                steps: u64::from(steps),
                ..self.after.traced()
            },
        }
    }

    /// The hashes of what is claimed, for a trace.
    fn trace(&self, steps: u32, every: u16) -> Vec<H256> {
        let (begin, end) = (self.at(0), self.at(steps));
        let after = |number: u32| number.saturating_mul(u32::from(every)).min(steps);
        let states = (0..trace::count(steps, every)).map(|number| match after(number) {
            0 => begin.hash(),
            done => trace::State {
                steps: u64::from(done),
                ..end
            }
            .hash(),
        });
        states.collect()
    }

    /// The vectors of what is claimed after so many steps, as they are served.
    fn vectors(&self, steps: u32) -> Vec<u8> {
        let state = if steps == 0 {
            &self.before
        } else {
            &self.after
        };
        let moments = state.optimizer.iter().flat_map(|it| [&it.m, &it.v]);
        let vectors = [&state.parameters].into_iter().chain(moments);
        vectors.flatten().flat_map(|it| it.to_le_bytes()).collect()
    }

    /// What it changes, so many times.
    fn stretched(&self, times: u16) -> Vec<f32> {
        let (before, after) = (&self.before.parameters, &self.after.parameters);
        let pairs = before.iter().zip(after);
        pairs.map(|(a, b)| (a - b) * f32::from(times)).collect()
    }
}

/// The claimed states at both ends of the interval: all that can be seen without a replay is right.
pub(super) fn open_claimed(
    engine: &mut dyn Engine,
    asked: Asked,
) -> Result<Option<Vec<u8>>, RoleError> {
    let Asked {
        run,
        plan,
        slot,
        traced,
        ..
    } = asked;
    let every = run.config.inner.trace_every;
    let Some(interval) = interval(asked.drawn, traced.steps, every) else {
        return Ok(None);
    };
    let next = interval.number.saturating_add(1);
    let proof = |number| Proof::try_from(trace::proof(&traced.states, number)?).ok();
    let (Some(begin_proof), Some(end_proof)) = (proof(interval.number), proof(next)) else {
        return Ok(None);
    };
    let only = OneStep::make(engine, asked.before.parameters, run, (plan, slot))?;
    let opened = Opened {
        begin: only.at(interval.begin),
        end: only.at(interval.end),
        begin_proof,
        end_proof,
    };
    let mut blob = opened.encode();
    blob.extend(only.vectors(interval.begin));
    if engine.class().is_card() {
        blob.extend(only.vectors(interval.end));
    }
    if interval.begin > 0 && interval.is_last(traced.steps) {
        // What the file was made of. There is no error feedback.
        let parameters = only.before.parameters.iter();
        blob.extend(parameters.flat_map(|number| number.to_le_bytes()));
    }
    Ok(Some(blob))
}

/// All inner steps, on a stranger's text.
pub(super) fn stranger(order: &Order, engine: &mut dyn Engine) -> Result<Option<Made>, RoleError> {
    make_of(own_text, order, engine)
}

/// The states of a stranger's steps.
pub(super) fn open_stranger(
    engine: &mut dyn Engine,
    asked: Asked,
) -> Result<Option<Vec<u8>>, RoleError> {
    open_of(own_text, engine, asked)
}

/// Windows that the round assigned to nobody, others in each round; its neighbour's if all are assigned.
fn own_text(plan: &Plan, slot: u64, step: u32) -> Vec<u64> {
    let assigned = ASSIGNED(plan, slot, step).len();
    let all = assigned.saturating_mul(usize::try_from(plan.inner_steps()).unwrap_or(usize::MAX));
    let seeds = Seeds {
        common: TASTE,
        own: None,
    };
    let free = plan.sample_unassigned(&seeds, all as u64);
    if free.is_empty() {
        return ASSIGNED(plan, slot.wrapping_add(1), step);
    }
    let before = assigned.saturating_mul(usize::try_from(step).unwrap_or(usize::MAX));
    let from = free.into_iter().cycle().skip(before);
    from.take(assigned).collect()
}

/// What another miner sent in the round before, under this miner's name; `None` if nothing was found.
pub(super) fn copier(
    found: Option<Contribution>,
    order: &Order,
    engine: &mut dyn Engine,
) -> Result<Option<Made>, RoleError> {
    let Some(found) = found.filter(|_| !order.control.is_abandoned()) else {
        return Ok(None);
    };
    let (run, parent_root) = (&order.run, engine.root(Version::Held)?);
    let trained = claimed(order, Vec::new());
    let copy = Contribution {
        header: header(order, parent_root, &trained),
        ..found
    };
    let compression = run.config.compression_of(order.uid, order.round);
    // What another one sent in its turn cannot be sent in this one's.
    let Ok(plain) = encode(&copy, &run.layout, &compression) else {
        return Ok(None);
    };
    seal_up(order, trained, plain, parent_root).map(Some)
}

/// Of what the round before included, what counted most and is not by this miner; `None` if it cannot be had.
pub(super) async fn found_of_another<C: Chain>(
    desk: &Desk<C>,
    round: Round,
) -> Result<Option<Contribution>, RoleError> {
    let Some(before) = round.checked_sub(1) else {
        return Ok(None);
    };
    let at = desk.heads.finalized.hash;
    let found = match settlement(&desk.chain, &desk.run, at, before).await {
        Ok(Some(settled)) => found_in(desk, &settled).await,
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    match found {
        Err(error) if error.is_transient() => {
            tracing::warn!("round {round} · nothing to copy: {error}");
            Ok(None)
        }
        found => found,
    }
}

async fn found_in<C: Chain>(
    desk: &Desk<C>,
    settled: &Settlement,
) -> Result<Option<Contribution>, RoleError> {
    let run = desk.run.clone();
    let others = settled.included.iter();
    let others = others.filter(|one| one.seen.hotkey != run.hotkey.hotkey());
    let most = others.max_by_key(|one| (one.standing.trust, Reverse(one.seen.uid)));
    let Some((seen, key)) = most.and_then(|one| Some((one.seen.clone(), one.seen.key?))) else {
        return Ok(None);
    };
    let sealed = inspect::fetch(desk, settled.round, seen.hotkey, &seen.commitment).await?;
    let claim = Claim {
        round: settled.round,
        uid: seen.uid,
        hotkey: seen.hotkey,
        parent_root: seen.commitment.parent_root,
        commitment: seen.commitment,
        key,
    };
    let opened = tokio::task::spawn_blocking(move || {
        let checked = inspect::check(&run, &claim, Before::default(), &sealed).ok()?;
        checked.decode(&run.layout).ok()
    });
    Ok(opened.await?)
}

#[cfg(test)]
#[path = "cheats_tests.rs"]
pub(super) mod tests;
