//! Serving what is audited, and replaying what was served.
//!
//! What goes from one to the other is a blob: [`Opened`], and behind it the vectors of the first of two traced
//! states. Who audits makes the steps between them again. Of the last steps the file was made, so behind those vectors
//! are what it was made of beside them, and who audits makes the file again, too.
//!
//! A CPU's steps are compared to the bit, by their hashes. A card's are not the CPU's, so of a card the vectors of the
//! second state are served, too, and a CPU compares them with its own by the rule [`cairn_protocol::tolerance`]. The
//! file is made of the second state that was served, to the bit.

use cairn_gradient::{encode, vector_hash, vector_hash_of_bytes, Checked, Contribution, Header};
use cairn_primitives::{
    Compression, EngineClass, Finding, InnerOptimizer, Layout, Matrices, RunConfig, H256,
};
use cairn_protocol::{
    audit::{interval, Interval, Opened, Proof},
    tolerance::{are_moments_possible, Distances, Vectors},
    trace,
};
use cairn_trainer::idle_steps;
use codec::Encode;

pub use crate::served::{Incoming, Served};
use crate::{
    host::compressed,
    served::{Parts, Source},
    AdamState, Engine, EngineError, Sequences, State,
};

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
/// which the contribution began, of which parameters, moments and error feedback are looked at. `None` if nothing was
/// trained.
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
    let Some((interval, begin_proof, end_proof)) = drawn_of(traced, drawn) else {
        return Ok(None);
    };
    let next = interval.number.saturating_add(1);
    let later = match interval.begin {
        0 => None,
        steps => Some(engine.replay(&before, 0..steps, sequences)?),
    };
    let begin = later.as_ref().unwrap_or(&before);
    let end = engine.replay(begin, interval.begin..interval.end, sequences)?;
    let opened = Opened {
        begin: begin.traced(),
        end: end.traced(),
        begin_proof,
        end_proof,
    };
    is_as_traced(&opened.begin, traced.states, interval.number)?;
    is_as_traced(&opened.end, traced.states, next)?;
    // What was put is held as bytes alone, and what is not served is not held.
    let end = engine.class().is_card().then_some(end);
    let mut blob = opened.encode();
    put_state(&mut blob, begin, &opened.begin);
    drop(later);
    if let Some(end) = end {
        put_state(&mut blob, &end, &opened.end);
    }
    put_source(&mut blob, &before, interval, traced.steps);
    Ok(Some(blob))
}

/// A traced state that was kept while the steps were made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What stands for it in the trace.
    pub traced: trace::State,
    /// Parameters and both moments, as little-endian `f32`, if they were kept: as they are served.
    pub vectors: Vec<u8>,
}

impl Kept {
    /// Whether the vectors are there, as long as the parameters, and have the hashes of the state.
    fn is_whole(&self, parameters: usize) -> bool {
        let mut rest = self.vectors.as_slice();
        let state = &self.traced;
        if next(&mut rest, state.parameters, parameters).is_none()
            || next(&mut rest, state.first_moment, parameters).is_none()
        {
            return false;
        }
        let seconds = rest.len() / 4;
        next(&mut rest, state.second_moment, seconds).is_some() && rest.is_empty()
    }
}

/// The blob of [`open`], of states that were kept, so that no step is made again. `kept` gives the state with a number
/// in the trace; with its vectors if it is so asked. `class` is that of the engine that made the steps. `None` if
/// something that is served was not kept, or is not what was traced.
pub fn open_kept(
    class: EngineClass,
    before: &State,
    traced: Traced<'_>,
    drawn: u32,
    kept: &mut dyn FnMut(u32, bool) -> Option<Kept>,
) -> Option<Vec<u8>> {
    let (interval, begin_proof, end_proof) = drawn_of(traced, drawn)?;
    let (shows_end, length) = (class.is_card(), before.parameters.len());
    let mut one = |number, is_shown| {
        let kept = kept(number, is_shown)?;
        is_as_traced(&kept.traced, traced.states, number).ok()?;
        (!is_shown || kept.is_whole(length)).then_some(kept)
    };
    let end = one(interval.number.saturating_add(1), shows_end)?;
    let later = match interval.begin {
        0 => None,
        _ => Some(one(interval.number, true)?),
    };
    let begin = match &later {
        Some(later) => later.traced,
        None => before.traced(),
    };
    is_as_traced(&begin, traced.states, interval.number).ok()?;
    let opened = Opened {
        begin,
        end: end.traced,
        begin_proof,
        end_proof,
    };
    let mut blob = opened.encode();
    match later {
        Some(later) => blob.extend(later.vectors),
        None => put_state(&mut blob, before, &begin),
    }
    if shows_end {
        blob.extend(end.vectors);
    }
    put_source(&mut blob, before, interval, traced.steps);
    Some(blob)
}

/// The interval that was drawn, and what shows that the states at its ends are traced. `None` if nothing was trained.
fn drawn_of(traced: Traced<'_>, drawn: u32) -> Option<(Interval, Proof, Proof)> {
    let interval = interval(drawn, traced.steps, traced.every)?;
    let begin = proof(traced.states, interval.number)?;
    let end = proof(traced.states, interval.number.saturating_add(1))?;
    Some((interval, begin, end))
}

/// Of the last interval puts what the file was made of beside the states: the parameters with which the round began,
/// unless they are those of the interval's first state, and the error feedback.
fn put_source(blob: &mut Vec<u8>, before: &State, interval: Interval, steps: u32) {
    if interval.is_last(steps) {
        let first = (interval.begin > 0).then_some(before.parameters.as_slice());
        let file = first.into_iter().chain(before.feedback.as_deref());
        file.for_each(|vector| put(blob, vector));
    }
}

fn put(blob: &mut Vec<u8>, vector: &[f32]) {
    blob.reserve_exact(size_of_val(vector));
    blob.extend(vector.iter().flat_map(|number| number.to_le_bytes()));
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
             compute it on the device and driver of then, or check this machine's memory"
        ))),
    }
}

/// Puts those vectors of a state that have a hash.
fn put_state(blob: &mut Vec<u8>, state: &State, traced: &trace::State) {
    let (m, v) = match &state.optimizer {
        Some(optimizer) => (optimizer.m.as_slice(), optimizer.v.as_slice()),
        None => (&[][..], &[][..]),
    };
    let vectors = [
        (state.parameters.as_slice(), traced.parameters),
        (m, traced.first_moment),
        (v, traced.second_moment),
    ];
    for (vector, hash) in vectors {
        if !hash.is_zero() {
            put(blob, vector);
        }
    }
}

/// What is audited: a contribution to a run, and what was drawn of it.
#[derive(Clone, Copy, Debug)]
pub struct Audited<'a> {
    /// What the contribution says of itself.
    pub header: &'a Header,
    /// Its bytes, before they were sealed.
    pub file: &'a [u8],
    /// How it was made small.
    pub compression: &'a Compression,
    /// The run's configuration.
    pub config: &'a RunConfig,
    /// Of the run's model.
    pub layout: &'a Layout,
    /// The interval follows from this.
    pub drawn: u32,
}

impl<'a> Audited<'a> {
    /// A contribution that is what it had to be.
    pub fn new(
        checked: &'a Checked,
        config: &'a RunConfig,
        layout: &'a Layout,
        drawn: u32,
    ) -> Audited<'a> {
        Audited {
            header: checked.header(),
            file: checked.file(),
            compression: checked.compression(),
            config,
            layout,
            drawn,
        }
    }

    /// The interval, if any steps were made.
    pub(crate) fn interval(&self) -> Option<Interval> {
        let every = self.config.inner.trace_every;
        interval(self.drawn, self.header.inner_steps, every)
    }

    /// Whether the file is what comes of these parameters before and after the steps, and of this error feedback.
    fn is_file_of(&self, source: Source, end: Vec<f32>) -> bool {
        let (header, run) = (self.header.clone(), (self.compression, self.layout));
        let ways = (source.parameters.as_slice(), end);
        let Ok((tensors, left)) = compressed(run, ways, source.feedback) else {
            // Nothing could be sent of them.
            return false;
        };
        let is_left = vector_hash(&left) == header.work.after.feedback;
        let made = encode(
            &Contribution { header, tensors },
            self.layout,
            self.compression,
        );
        is_left && made.is_ok_and(|made| made == self.file)
    }
}

/// What [`judge`] finds of a blob that is there as a whole. One that is given away is gone once its numbers are held,
/// before the first step.
///
/// # Errors
/// Those of [`judge`].
pub fn find(
    engine: &mut dyn Engine,
    audited: &Audited,
    blob: impl AsRef<[u8]>,
    sequences: &mut Sequences<'_, '_>,
) -> Result<Option<Finding>, EngineError> {
    let mut incoming = Incoming::of(audited);
    incoming.take(blob.as_ref());
    drop(blob);
    judge(engine, audited, incoming.finish(), sequences)
}

/// Replays what was served. `None` if this engine does not give the bits of the one that the header names, nor is a CPU
/// in a run that admits a card's within a tolerance, so that nothing can be said.
///
/// # Errors
/// Those of [`Engine::replay`] that are this engine's fault; what others served is at worst a failed audit.
pub fn judge(
    engine: &mut dyn Engine,
    audited: &Audited,
    served: Served,
    sequences: &mut Sequences<'_, '_>,
) -> Result<Option<Finding>, EngineError> {
    let Some(measure) = Measure::of(engine, audited) else {
        return Ok(None);
    };
    let Some(parts) = served.0 else {
        return Ok(Some(Finding::Failed));
    };
    let Parts {
        interval,
        opened,
        begin,
        end: shown,
        source,
    } = parts;
    if let Measure::Within(_) = measure {
        let inner = &audited.config.inner;
        let mut states = [Some(&begin), shown.as_ref()].into_iter().flatten();
        if !states.all(|state| has_possible_moments(inner, state)) {
            return Ok(Some(Finding::Failed));
        }
    }
    let replayed = match engine.replay(&begin, interval.begin..interval.end, sequences) {
        Ok(replayed) => replayed,
        // Steps from there lead nowhere: whoever claims to have made them did not.
        Err(error) if error.is_divergence() => return Ok(Some(Finding::Failed)),
        Err(error) => return Err(error),
    };
    let (follows, end) = match (measure, shown) {
        (Measure::Bits, _) => (replayed.traced() == opened.end, replayed),
        (Measure::Within(tolerance), Some(shown)) => {
            let (run, steps) = ((audited.config, audited.layout), interval.steps());
            let distances = distances(run, begin, steps, (&replayed, &shown));
            (distances.are_within(tolerance), shown)
        }
        (Measure::Within(_), None) => return Ok(Some(Finding::Failed)),
    };
    let is_made = |source| audited.is_file_of(source, end.parameters);
    Ok(Some(match follows && source.is_none_or(is_made) {
        true => Finding::Passed,
        false => Finding::Failed,
    }))
}

/// By what a replay is compared with what was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    /// The same bits.
    Bits,
    /// So many of 65,536 of what changes.
    Within(u16),
}

impl Measure {
    /// Of work that this engine is to replay; `None` if it cannot judge it.
    fn of(engine: &dyn Engine, audited: &Audited) -> Option<Measure> {
        let (made, own) = (audited.header.work.engine, engine.class());
        let rules = &audited.config.audits;
        let is_adamws = audited.config.inner.matrices == Matrices::AdamW;
        match made == own {
            true => Some(Measure::Bits),
            false if made.is_card() && own.is_exact() && rules.admits_cards() && is_adamws => {
                Some(Measure::Within(rules.tolerance))
            }
            false => None,
        }
    }
}

/// How far two states lie apart to which as many steps of AdamW led from the same one: what was replayed, and what was
/// served. Vectors are as long as the run's, whose matrices are AdamW's.
pub fn distances(
    (config, layout): (&RunConfig, &Layout),
    begin: State,
    steps: u32,
    (replayed, served): (&State, &State),
) -> Distances {
    let mut parameters = begin.parameters;
    let fresh = || AdamState::of(layout, &config.inner);
    let mut optimizer = begin.optimizer.unwrap_or_else(fresh);
    idle_steps(
        layout,
        &config.inner,
        &mut parameters,
        &mut optimizer,
        steps,
    );
    let idle = State {
        optimizer: Some(optimizer),
        ..State::new(parameters)
    };
    Distances::of(vectors(&idle), vectors(replayed), vectors(served))
}

/// What the rule compares of a state.
fn vectors(state: &State) -> Vectors<'_> {
    let (first_moment, second_moment) = match &state.optimizer {
        Some(optimizer) => (optimizer.m.as_slice(), optimizer.v.as_slice()),
        None => (&[][..], &[][..]),
    };
    Vectors {
        parameters: &state.parameters,
        first_moment,
        second_moment,
    }
}

/// Whether AdamW can have come to a state's moments.
fn has_possible_moments(inner: &InnerOptimizer, state: &State) -> bool {
    let steps = state.optimizer.as_ref().map_or(0, |one| one.step);
    are_moments_possible(inner, vectors(state), steps)
}

/// The bytes of the next vector, if it has this hash; nothing where the hash is zero, which stands for no bytes.
fn next<'a>(rest: &mut &'a [u8], hash: H256, count: usize) -> Option<Option<&'a [u8]>> {
    if hash.is_zero() {
        return Some(None);
    }
    let (vector, after) = rest.split_at_checked(count.checked_mul(4)?)?;
    *rest = after;
    (vector_hash_of_bytes(vector) == hash).then_some(Some(vector))
}
