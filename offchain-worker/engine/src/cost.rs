//! An engine that follows a cost model and trains nothing: for tests, and for simulations of many members.
//!
//! It keeps the protocol's truths to the bit: files, outer steps and roots are real, of a model as small as the run's
//! configuration makes it. In place of a network there is a bowl: a hidden point t, drawn from a seed, and for each
//! sequence a point a little beside it. The loss of a sequence grows with the distance from its point, and a step goes
//! part of the way to the mean point of its sequences. So honest work lowers the loss, most on what it was done on, and
//! invented work does not.
//!
//! What work would take is added up in a [`Meter`], which a simulator reads instead of a clock.

use std::{
    io,
    ops::Range,
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc,
    },
};

use cairn_gradient::{Checked, Header};
use cairn_primitives::{EngineClass, ModelRoot, RunConfig};
use cairn_trainer::AdamState;

use crate::{
    host::{compressed, left_to, trace_state, Host, Made, Taken},
    start::Start,
    work::{pieces, replayed, steps, Look, Stepping},
    Engine, EngineError, Keeper, Order, Part, Sequences, Settlement, Shared, State, StepDone,
    Trained, Version,
};

/// The loss at a sequence's point, in nats.
const LEAST_LOSS: f64 = 2.0;
/// How much higher it is far away, in nats.
const HEIGHT: f64 = 8.0;
/// The mean square of the distance at which half of the height is reached.
const HALF_WAY: f64 = 0.05;
/// The largest coordinate of t.
const FAR: f32 = 0.05;
/// The largest distance of a sequence's point from t, per coordinate.
const BESIDE: f32 = 0.02;
/// Which part of the way a step goes.
const PACE: f32 = 0.05;

/// What work takes, and what comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// An inner step, in microseconds.
    pub step: u64,
    /// Measuring one sequence, in microseconds.
    pub sequence: u64,
    /// Applying one contribution, in microseconds.
    pub contribution: u64,
    /// A contribution's file, in bytes, for a simulator's network; the files that are made are as long as the
    /// configured model makes them.
    pub file: u64,
}

/// Microseconds of work that an engine would have taken so far.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<AtomicU64>);

impl Meter {
    /// The sum so far.
    pub fn microseconds(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, each: u64, count: usize) {
        let more = each.saturating_mul(count as u64);
        let sum = self.microseconds().saturating_add(more);
        self.0.store(sum, Ordering::Relaxed);
    }
}

/// Follows a cost model.
pub struct Cost {
    host: Host<Steps>,
    costs: Costs,
    meter: Meter,
    /// t.
    point: Vec<f32>,
}

/// Where inner steps led.
struct Steps {
    parameters: Vec<f32>,
    optimizer: AdamState,
}

/// Inner steps under way.
struct Walk<'a> {
    costs: &'a Costs,
    meter: &'a Meter,
    point: &'a [f32],
    steps: Steps,
}

impl Stepping for Walk<'_> {
    fn step(&mut self, batch: &[&[u32]]) -> Result<f32, EngineError> {
        self.meter.add(self.costs.step, 1);
        let loss = step(&mut self.steps.parameters, self.point, batch)?;
        let done = &mut self.steps.optimizer.step;
        *done = done.saturating_add(1);
        Ok(loss)
    }

    fn traced(&mut self, keeps: bool) -> Result<Look, EngineError> {
        let Steps {
            parameters,
            optimizer,
        } = &self.steps;
        Ok(Look::at(parameters, optimizer, keeps))
    }

    fn left(self) -> Result<(Vec<f32>, AdamState), EngineError> {
        Ok((self.steps.parameters, self.steps.optimizer))
    }
}

impl Steps {
    /// Before the first: of the optimizer there is nothing but how many it has done.
    fn new(parameters: &[f32], host: &Host<Steps>, optimizer: Option<&AdamState>) -> Steps {
        Steps {
            parameters: parameters.to_vec(),
            optimizer: AdamState {
                step: optimizer.map_or(0, |optimizer| optimizer.step),
                ..host.begun(None)
            },
        }
    }
}

impl Cost {
    /// For a run. Members whose engines have the same seed work towards the same point.
    pub fn new(config: &RunConfig, costs: Costs, seed: u64) -> Cost {
        let host = Host::new(config);
        let mut source = blake3::Hasher::new();
        source.update(b"point").update(&seed.to_le_bytes());
        let point = numbers(source, FAR, host.layout.parameters());
        Cost {
            host,
            costs,
            meter: Meter::default(),
            point,
        }
    }

    /// What its work takes.
    pub fn costs(&self) -> Costs {
        self.costs
    }

    /// Adds up what its work would have taken.
    pub fn meter(&self) -> Meter {
        self.meter.clone()
    }
}

impl Engine for Cost {
    fn name(&self) -> String {
        "a cost model".into()
    }

    fn class(&self) -> EngineClass {
        EngineClass::CPU
    }

    left_to!(host);

    fn train_keeping(
        &mut self,
        order: &Order,
        sequences: &mut Sequences<'_, '_>,
        go_on: &mut dyn FnMut(Option<&StepDone>) -> bool,
        keeper: &mut dyn Keeper,
    ) -> Result<Option<Trained>, EngineError> {
        let Cost {
            host,
            costs,
            meter,
            point,
        } = self;
        let held = host.free("train")?;
        let made = Steps::new(&held.model.parameters, host, held.optimizer.as_deref());
        let first = trace_state(&made.parameters, Some(&made.optimizer));
        let mut start = Start::of((host, first), order, sequences, keeper);
        let kept = start.take().map(|(parameters, optimizer)| Steps {
            parameters,
            optimizer,
        });
        let mut walk = Walk {
            costs,
            meter,
            point,
            steps: kept.unwrap_or(made),
        };
        let (every, begun) = (host.config.inner.trace_every, (start.trained, keeper));
        let trained = steps(order, every, sequences, go_on, &mut walk, begun)?;
        let made = walk.steps;
        if let Some(trained) = &trained {
            host.trained(order, trained, made);
        }
        Ok(trained)
    }

    fn contribution(&mut self, header: Header) -> Result<Vec<u8>, EngineError> {
        let (taken, held) = self.host.take_steps(&header)?;
        let before = held.model.parameters.clone();
        let feedback = held.feedback.as_deref().cloned();
        let Taken {
            steps,
            trace,
            compression,
        } = taken;
        let ways = (before.as_slice(), steps.parameters);
        let run = (&compression, &self.host.layout);
        let (tensors, feedback) = compressed(run, ways, feedback)?;
        let made = Made {
            class: EngineClass::CPU,
            trace,
            compression,
            tensors,
            optimizer: steps.optimizer,
            feedback,
        };
        self.host.send(header, made)
    }

    fn replay(
        &mut self,
        before: &State,
        steps: Range<u32>,
        sequences: &mut Sequences<'_, '_>,
    ) -> Result<State, EngineError> {
        self.host.no_steps("replay")?;
        self.host.check_moments(before)?;
        let walk = Walk {
            costs: &self.costs,
            meter: &self.meter,
            point: &self.point,
            steps: Steps::new(&before.parameters, &self.host, before.optimizer.as_ref()),
        };
        replayed(steps, sequences, walk)
    }

    fn settle(&mut self, settlement: &Settlement) -> Result<ModelRoot, EngineError> {
        self.meter
            .add(self.costs.contribution, settlement.included.len());
        self.host.settle(settlement)
    }

    fn measure(
        &mut self,
        contribution: Option<&Checked>,
        sequences: &[&[u32]],
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<f32>>, EngineError> {
        let base = self.host.base()?;
        let Cost {
            host,
            meter,
            costs,
            point,
        } = self;
        let parameters: &[f32] = match contribution {
            Some(contribution) => host.moved(&base, contribution)?,
            None => &base.parameters,
        };
        losses((meter, costs, point), parameters, sequences, go_on)
    }

    fn measure_settled(
        &mut self,
        sequences: &[&[u32]],
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<f32>>, EngineError> {
        let settled = self.host.settled()?;
        let by = (&self.meter, &self.costs, self.point.as_slice());
        losses(by, &settled.parameters, sequences, go_on)
    }
}

/// Losses of sequences; their costs go to the meter.
fn losses(
    (meter, costs, point): (&Meter, &Costs, &[f32]),
    parameters: &[f32],
    sequences: &[&[u32]],
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Option<Vec<f32>>, EngineError> {
    pieces(sequences, go_on, |piece| {
        meter.add(costs.sequence, piece.len());
        let loss = |sequence: &&[u32]| loss(parameters, point, sequence);
        Ok(piece.iter().map(loss).collect())
    })
}

/// Goes part of the way to the mean point of a batch; gives the mean loss before.
fn step(parameters: &mut [f32], point: &[f32], batch: &[&[u32]]) -> Result<f32, EngineError> {
    if batch.is_empty() {
        return Err(EngineError::foreign("an inner step without sequences"));
    }
    let (share, mut total) = (1.0 / batch.len() as f32, 0f64);
    let mut mean = vec![0f32; parameters.len()];
    for sequence in batch {
        total += f64::from(loss(parameters, point, sequence));
        for (mean, beside) in mean.iter_mut().zip(beside(sequence, parameters.len())) {
            *mean += share * beside;
        }
    }
    for ((at, point), beside) in parameters.iter_mut().zip(point).zip(mean) {
        *at += PACE * (point + beside - *at);
    }
    Ok((total / batch.len() as f64) as f32)
}

/// The loss of a sequence, in nats.
fn loss(parameters: &[f32], point: &[f32], sequence: &[u32]) -> f32 {
    let beside = beside(sequence, parameters.len());
    let apart = parameters.iter().zip(point).zip(beside);
    let square = |((at, point), beside): ((&f32, &f32), f32)| {
        let apart = f64::from(at - (point + beside));
        apart * apart
    };
    let distance = apart.map(square).sum::<f64>() / parameters.len() as f64;
    (LEAST_LOSS + HEIGHT * distance / (distance + HALF_WAY)) as f32
}

/// Where a sequence's point lies, from t.
fn beside(sequence: &[u32], count: usize) -> Vec<f32> {
    let mut source = blake3::Hasher::new();
    source.update(b"beside");
    for token in sequence {
        source.update(&token.to_le_bytes());
    }
    numbers(source, BESIDE, count)
}

/// Numbers between −`most` and `most`.
fn numbers(source: blake3::Hasher, most: f32, count: usize) -> Vec<f32> {
    let mut bytes = vec![0u8; count.saturating_mul(2)];
    source.finalize_xof().fill(&mut bytes);
    let (pairs, _) = bytes.as_chunks::<2>();
    let number = |pair: &[u8; 2]| f32::from(u16::from_le_bytes(*pair)) / f32::from(u16::MAX);
    pairs
        .iter()
        .map(|pair| (number(pair) * 2.0 - 1.0) * most)
        .collect()
}
