//! One cell, from first weights to held-out loss.

use std::time::Instant;

use cairn_primitives::{InnerOptimizer, Layout, Nano};
use cairn_trainer::{config, initial_weights, AdamState, Trainer};
use serde::{Deserialize, Serialize};

use crate::cell::{Cell, Method};
use crate::corpus::{Text, LENGTH};
use crate::methods::Exchange;
use crate::Failed;

/// The first round after which the loss is measured; from there whenever the rounds have doubled.
const FIRST_MEASURED: usize = 10;

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
    /// The same on the way there, after so many rounds.
    #[serde(default)]
    pub on_the_way: Vec<(usize, f64)>,
    /// Bytes that a worker sent per token that it trained on.
    pub bytes_per_token: f64,
    pub seconds: f64,
}

/// Trains a cell.
pub fn run(cell: &Cell, text: &Text) -> Result<Finished, Failed> {
    let start = Instant::now();
    let shape = config::named("tiny").ok_or("no model of that name")?;
    let layout = Layout::of(&shape);
    let mut training = Training {
        cell,
        text,
        trainer: Trainer::new(&shape, 1)?,
        exchange: Exchange::new(cell, &layout),
        theta: initial_weights(&shape, cell.seed),
        on_the_way: Vec::new(),
    };
    match cell.method {
        Method::AdamW => training.every_step()?,
        _ => training.by_rounds()?,
    }
    let of_a_worker = (cell.rounds * cell.inner_steps * cell.windows * LENGTH) as u64;
    Ok(Finished {
        name: cell.name(),
        cell: cell.clone(),
        parameters: layout.parameters(),
        tokens: cell.workers as u64 * of_a_worker,
        held_out_loss: training.loss()?,
        on_the_way: training.on_the_way,
        bytes_per_token: training.exchange.bytes as f64 / of_a_worker as f64,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// A cell on its way.
struct Training<'a> {
    cell: &'a Cell,
    text: &'a Text,
    trainer: Trainer,
    exchange: Exchange<'a>,
    theta: Vec<f32>,
    on_the_way: Vec<(usize, f64)>,
}

impl Training<'_> {
    /// Data-parallel AdamW: one step of all workers' windows, whose mean gradient everybody gets.
    fn every_step(&mut self) -> Result<(), Failed> {
        let mut adam = AdamState::new(self.theta.len());
        let optimizer = optimizer(self.cell, self.cell.workers)?;
        for round in 0..self.cell.rounds {
            for step in self.steps_of(round) {
                let windows: Vec<&[u32]> = (0..self.cell.workers)
                    .flat_map(|worker| windows_of(self.cell, self.text, worker, step))
                    .collect();
                self.trainer
                    .step(&mut self.theta, &mut adam, &optimizer, &windows)?;
                self.exchange.bytes += 4 * self.theta.len() as u64;
            }
            self.measure(round)?;
        }
        Ok(())
    }

    /// Rounds of inner steps, each worker with moments of its own that it keeps.
    fn by_rounds(&mut self) -> Result<(), Failed> {
        let mut moments: Vec<AdamState> = (0..self.cell.workers)
            .map(|_| AdamState::new(self.theta.len()))
            .collect();
        let optimizer = optimizer(self.cell, 1)?;
        for round in 0..self.cell.rounds {
            let mut deltas = Vec::with_capacity(self.cell.workers);
            for (worker, adam) in moments.iter_mut().enumerate() {
                let start = self.exchange.start(worker, &self.theta);
                let mut params = start.clone();
                for step in self.steps_of(round) {
                    let windows = windows_of(self.cell, self.text, worker, step);
                    self.trainer.step(&mut params, adam, &optimizer, &windows)?;
                }
                let delta = start.iter().zip(&params).map(|(a, b)| a - b);
                deltas.push(delta.collect());
            }
            self.exchange.round(&mut self.theta, round, &deltas)?;
            self.measure(round)?;
        }
        Ok(())
    }

    fn steps_of(&self, round: usize) -> std::ops::Range<usize> {
        round * self.cell.inner_steps..(round + 1) * self.cell.inner_steps
    }

    /// Writes down the loss on the way, after 10, 20, 40 … rounds.
    fn measure(&mut self, round: usize) -> Result<(), Failed> {
        let done = round + 1;
        let doubled =
            done.is_multiple_of(FIRST_MEASURED) && (done / FIRST_MEASURED).is_power_of_two();
        if doubled && done < self.cell.rounds {
            let loss = self.loss()?;
            self.on_the_way.push((done, loss));
        }
        Ok(())
    }

    fn loss(&mut self) -> Result<f64, Failed> {
        let losses = self.trainer.losses(&self.theta, &self.text.measured())?;
        Ok(losses.iter().map(|l| f64::from(*l)).sum::<f64>() / losses.len() as f64)
    }
}

/// What a worker trains on in a step; no two workers or steps share a window within a pass, and a seed has an order
/// of its own.
fn windows_of<'a>(cell: &Cell, text: &'a Text, worker: usize, step: usize) -> Vec<&'a [u32]> {
    let first = (step * cell.workers + worker) * cell.windows;
    let shift = 7_919 * cell.seed as usize;
    (first..first + cell.windows)
        .map(|number| text.window(number + shift))
        .collect()
}

fn optimizer(cell: &Cell, batches: usize) -> Result<InnerOptimizer, Failed> {
    let nano = |value| Nano::from_f64(value).ok_or("a setting is negative");
    let steps = cell.rounds * cell.inner_steps;
    Ok(InnerOptimizer {
        steps: cell.inner_steps as u16,
        sequences: (batches * cell.windows) as u16,
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
