//! One cell, from first weights to held-out loss.

use std::time::Instant;

use cairn_primitives::{InnerOptimizer, Layout, ModelShape, Nano};
use cairn_trainer::{config, initial_weights, AdamState, Trainer};
use serde::{Deserialize, Serialize};

use crate::cell::{Cell, Method};
use crate::corpus::{Text, LENGTH};
use crate::methods::Exchange;

/// Windows of one worker's inner step.
const WINDOWS: usize = 16;

type Failed = Box<dyn std::error::Error>;

/// Where a cell ended.
#[derive(Debug, Serialize, Deserialize)]
pub struct Finished {
    pub name: String,
    pub cell: Cell,
    pub parameters: usize,
    /// Tokens that all workers trained on together.
    pub tokens: u64,
    /// Mean cross-entropy on text that nobody trained on, in nats.
    pub held_out_loss: f64,
    /// Bytes that a worker sent per token that it trained on.
    pub bytes_per_token: f64,
    pub seconds: f64,
}

/// Trains a cell.
pub fn run(cell: &Cell, text: &Text, threads: usize) -> Result<Finished, Failed> {
    let start = Instant::now();
    let shape = config::named("tiny").ok_or("no model of that name")?;
    let layout = Layout::of(&shape);
    let mut trainer = Trainer::new(&shape, threads)?;
    let mut exchange = Exchange::new(cell, &layout);
    let theta = match cell.method {
        Method::AdamW => every_step(cell, text, &shape, &mut trainer, &mut exchange)?,
        _ => by_rounds(cell, text, &shape, &mut trainer, &mut exchange)?,
    };
    let losses = trainer.losses(&theta, &text.measured())?;
    let held_out_loss = losses.iter().map(|l| f64::from(*l)).sum::<f64>() / losses.len() as f64;
    let of_a_worker = (cell.rounds * cell.inner_steps * WINDOWS * LENGTH) as u64;
    Ok(Finished {
        name: cell.name(),
        cell: cell.clone(),
        parameters: layout.parameters(),
        tokens: cell.workers as u64 * of_a_worker,
        held_out_loss,
        bytes_per_token: exchange.bytes as f64 / of_a_worker as f64,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// Data-parallel AdamW: one step of all workers' windows, whose mean gradient everybody gets.
fn every_step(
    cell: &Cell,
    text: &Text,
    shape: &ModelShape,
    trainer: &mut Trainer,
    exchange: &mut Exchange,
) -> Result<Vec<f32>, Failed> {
    let mut theta = initial_weights(shape, cell.seed);
    let mut adam = AdamState::new(theta.len());
    let optimizer = optimizer(cell, cell.workers)?;
    for step in 0..cell.rounds * cell.inner_steps {
        let windows: Vec<&[u32]> = (0..cell.workers)
            .flat_map(|worker| windows_of(cell, text, worker, step))
            .collect();
        trainer.step(&mut theta, &mut adam, &optimizer, &windows)?;
        exchange.bytes += 4 * theta.len() as u64;
    }
    Ok(theta)
}

/// Rounds of inner steps, each worker with moments of its own that it keeps.
fn by_rounds(
    cell: &Cell,
    text: &Text,
    shape: &ModelShape,
    trainer: &mut Trainer,
    exchange: &mut Exchange,
) -> Result<Vec<f32>, Failed> {
    let mut theta = initial_weights(shape, cell.seed);
    let mut moments: Vec<AdamState> = (0..cell.workers)
        .map(|_| AdamState::new(theta.len()))
        .collect();
    let optimizer = optimizer(cell, 1)?;
    for round in 0..cell.rounds {
        let mut deltas = Vec::with_capacity(cell.workers);
        for (worker, adam) in moments.iter_mut().enumerate() {
            let mut params = theta.clone();
            for step in round * cell.inner_steps..(round + 1) * cell.inner_steps {
                let windows = windows_of(cell, text, worker, step);
                trainer.step(&mut params, adam, &optimizer, &windows)?;
            }
            let delta = theta.iter().zip(&params).map(|(a, b)| a - b);
            deltas.push(delta.collect());
        }
        exchange.round(&mut theta, round, &deltas)?;
    }
    Ok(theta)
}

/// What a worker trains on in a step; no two workers or steps share a window within a pass.
fn windows_of<'a>(cell: &Cell, text: &'a Text, worker: usize, step: usize) -> Vec<&'a [u32]> {
    let first = (step * cell.workers + worker) * WINDOWS;
    (first..first + WINDOWS)
        .map(|number| text.window(number))
        .collect()
}

fn optimizer(cell: &Cell, batches: usize) -> Result<InnerOptimizer, Failed> {
    let nano = |value| Nano::from_f64(value).ok_or("a setting is negative");
    let steps = cell.rounds * cell.inner_steps;
    Ok(InnerOptimizer {
        steps: cell.inner_steps as u16,
        sequences: (batches * WINDOWS) as u16,
        sequence_length: LENGTH as u32,
        learning_rate: nano(cell.inner_rate)?,
        final_rate: nano(0.1)?,
        warmup_steps: (steps / 10) as u32,
        total_steps: steps as u32,
        beta1: nano(0.9)?,
        beta2: nano(0.95)?,
        epsilon: nano(1e-8)?,
        weight_decay: nano(0.1)?,
        clip_norm: nano(1.0)?,
    })
}
