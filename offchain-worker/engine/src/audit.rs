//! Serving what is audited, and replaying what was served.
//!
//! What goes from one to the other is a blob: [`Opened`], and behind it the vectors of the first of two traced
//! states. Who audits makes the steps between them again.

use cairn_gradient::Header;
use cairn_primitives::{Finding, Layout, RunConfig, H256};
use cairn_protocol::{
    audit::{interval, Opened, Proof},
    trace,
};
use codec::{Decode, Encode};

use crate::{AdamState, Engine, EngineError, Sequences, State};

/// The inner steps of a contribution, as its maker knows them.
#[derive(Clone, Copy, Debug)]
pub struct Traced<'a> {
    /// How many were made.
    pub steps: u32,
    /// The hashes of the traced states, in order.
    pub states: &'a [H256],
    /// The run's `trace_every`.
    pub every: u16,
}

/// The blob that the maker of a contribution serves for an audit that was `drawn`: made again from the state with
/// which the contribution began, of which parameters and moments are looked at. `None` if nothing was trained.
///
/// # Errors
/// [`EngineError::Foreign`] if the states do not come out as they were traced; those of [`Engine::replay`].
pub fn open(
    engine: &mut dyn Engine,
    before: State,
    traced: Traced<'_>,
    drawn: u32,
    sequences: &mut Sequences<'_, '_>,
) -> Result<Option<Vec<u8>>, EngineError> {
    let proofs = |number| proof(traced.states, number);
    let Some(interval) = interval(drawn, traced.steps, traced.every) else {
        return Ok(None);
    };
    let next = interval.number.saturating_add(1);
    let (Some(begin_proof), Some(end_proof)) = (proofs(interval.number), proofs(next)) else {
        return Ok(None);
    };
    let begin = match interval.begin {
        0 => before,
        steps => engine.replay(before, 0..steps, sequences)?,
    };
    let end = engine.replay(begin.clone(), interval.begin..interval.end, sequences)?;
    let opened = Opened {
        begin: begin.traced(),
        end: end.traced(),
        begin_proof,
        end_proof,
    };
    drop(end);
    is_as_traced(&opened.begin, traced.states, interval.number)?;
    is_as_traced(&opened.end, traced.states, next)?;
    let mut blob = opened.encode();
    for (vector, hash) in vectors(begin, &opened) {
        if !hash.is_zero() {
            blob.extend(vector.iter().flat_map(|number| number.to_le_bytes()));
        }
    }
    Ok(Some(blob))
}

fn proof(states: &[H256], number: u32) -> Option<Proof> {
    Proof::try_from(trace::proof(states, number)?).ok()
}

fn is_as_traced(state: &trace::State, states: &[H256], number: u32) -> Result<(), EngineError> {
    let known = usize::try_from(number).ok().and_then(|at| states.get(at));
    match known == Some(&state.hash()) {
        true => Ok(()),
        false => Err(EngineError::Foreign(format!(
            "made again, the state with number {number} has another hash than when it was traced: \
             check this machine's memory"
        ))),
    }
}

/// The vectors of a blob, each with its hash; each is gone once it was looked at.
fn vectors(begin: State, opened: &Opened) -> impl Iterator<Item = (Vec<f32>, H256)> {
    let (m, v) = begin
        .optimizer
        .map(|optimizer| (optimizer.m, optimizer.v))
        .unwrap_or_default();
    let hashes = &opened.begin;
    [
        (begin.parameters, hashes.parameters),
        (m, hashes.first_moment),
        (v, hashes.second_moment),
    ]
    .into_iter()
}

/// What is audited: a contribution of a model of so many parameters, and what was drawn of it.
#[derive(Clone, Copy, Debug)]
pub struct Audited<'a> {
    /// The contribution's header.
    pub header: &'a Header,
    /// The run's `trace_every`.
    pub every: u16,
    /// The interval follows from this.
    pub drawn: u32,
    /// Parameters of the run's model.
    pub parameters: usize,
    /// Numbers of its optimizer's second moment.
    pub second_moments: usize,
}

impl<'a> Audited<'a> {
    /// Of a contribution with this header to a run, of which this was drawn.
    pub fn new(header: &'a Header, config: &RunConfig, layout: &Layout, drawn: u32) -> Audited<'a> {
        Audited {
            header,
            every: config.inner.trace_every,
            drawn,
            parameters: layout.parameters(),
            second_moments: config.inner.matrices.second_moments(layout),
        }
    }
}

/// Replays what was served; `blob` is dropped once it was read, since a model's state is not small. `None` if this engine does not give the bits of the one that the header names, so that
/// nothing can be said.
///
/// # Errors
/// Those of [`Engine::replay`] that are this engine's fault; what others served is at worst a failed audit.
pub fn find(
    engine: &mut dyn Engine,
    audited: &Audited,
    blob: impl AsRef<[u8]>,
    sequences: &mut Sequences<'_, '_>,
) -> Result<Option<Finding>, EngineError> {
    if audited.header.work.engine != engine.class() {
        return Ok(None);
    }
    let steps = audited.header.inner_steps;
    let Some(interval) = interval(audited.drawn, steps, audited.every) else {
        return Ok(Some(Finding::Failed));
    };
    let found = read(blob.as_ref(), audited);
    drop(blob);
    let Some((opened, begin)) = found else {
        return Ok(Some(Finding::Failed));
    };
    let fits = opened.check(audited.header, audited.every, interval);
    if fits.is_err() || begin.traced() != opened.begin {
        return Ok(Some(Finding::Failed));
    }
    match engine.replay(begin, interval.begin..interval.end, sequences) {
        Ok(end) if end.traced() == opened.end => Ok(Some(Finding::Passed)),
        Ok(_) => Ok(Some(Finding::Failed)),
        // Steps from there lead nowhere: whoever claims to have made them did not.
        Err(error) if error.is_divergence() => Ok(Some(Finding::Failed)),
        Err(error) => Err(error),
    }
}

/// What a blob holds; `None` if it is none of a model of so many parameters and moments.
fn read(blob: &[u8], audited: &Audited) -> Option<(Opened, State)> {
    let mut rest = blob;
    let opened = Opened::decode(&mut rest).ok()?;
    let (all, second) = (audited.parameters, audited.second_moments);
    let mut take = |hash: H256, count: usize| -> Option<Vec<f32>> {
        if hash.is_zero() {
            return Some(vec![0.0; count]);
        }
        let (vector, after) = rest.split_at_checked(count.checked_mul(4)?)?;
        rest = after;
        let numbers = vector.chunks_exact(4).filter_map(|it| it.try_into().ok());
        Some(numbers.map(f32::from_le_bytes).collect())
    };
    let hashes = opened.begin;
    let found = take(hashes.parameters, all)?;
    let optimizer = AdamState {
        m: take(hashes.first_moment, all)?,
        v: take(hashes.second_moment, second)?,
        step: hashes.steps,
    };
    let state = State {
        optimizer: Some(optimizer),
        ..State::new(found)
    };
    rest.is_empty().then_some((opened, state))
}
