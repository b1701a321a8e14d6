//! One cell, from first parameters to held-out loss.

use std::ops::Range;
use std::time::Instant;

use cairn_primitives::{InnerOptimizer, Layout, Matrices, ModelShape, Muon, Nano};
use cairn_trainer::{config, initial_parameters, optimizer::learning_rate, AdamState, Trainer};
use serde::{Deserialize, Serialize};

use crate::cell::{After, Cell, Inner, Method, Moments};
use crate::corpus::{Text, LENGTH};
use crate::delay::{subtract, Bases};
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
    /// The same on the way there, after so many rounds; with a delay also where the last training ends, at which
    /// time so many rounds are not applied yet.
    #[serde(default)]
    pub on_the_way: Vec<(usize, f64)>,
    /// The same of the mean of the parameters after each of the last so many rounds: a twentieth, a tenth and a fifth
    /// of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub averaged: Vec<(usize, f64)>,
    /// Bytes that a worker sent per token that it trained on; of one that is not slow.
    pub bytes_per_token: f64,
    /// How much of what workers had they sent, by squares, in the mean of rounds and workers; of values anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<f64>,
    pub seconds: f64,
}

/// Trains a cell.
pub fn run(cell: &Cell, text: &Text) -> Result<Finished, Failed> {
    if let Some(fault) = cell.fault() {
        return Err(format!("{}: {fault}", cell.name()).into());
    }
    let start = Instant::now();
    let shape = config::named("tiny").ok_or("no model of that name")?;
    let layout = Layout::of(&shape);
    let mut training = Training::new(cell, text, &shape, &layout)?;
    match cell.method {
        Method::AdamW => training.every_step()?,
        _ => training.by_rounds()?,
    }
    let tokens_of = |steps: usize| (cell.rounds * steps * cell.windows * LENGTH) as u64;
    let steps = (0..cell.workers).map(|worker| cell.steps_of(worker));
    Ok(Finished {
        name: cell.name(),
        cell: cell.clone(),
        parameters: layout.parameters(),
        tokens: tokens_of(steps.sum()),
        held_out_loss: training.loss()?,
        averaged: training.averaged()?,
        on_the_way: training.on_the_way,
        bytes_per_token: training.exchange.bytes as f64 / tokens_of(cell.inner_steps) as f64,
        taken: (training.exchange.taken > 0.0)
            .then(|| training.exchange.taken / cell.rounds as f64),
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// A cell on its way.
struct Training<'a> {
    cell: &'a Cell,
    text: &'a Text,
    layout: &'a Layout,
    trainer: Trainer,
    exchange: Exchange<'a>,
    theta: Vec<f32>,
    on_the_way: Vec<(usize, f64)>,
    means: Vec<Mean>,
    /// The steps before each round, and all of them.
    starts: Vec<usize>,
}

impl<'a> Training<'a> {
    /// A cell before its first round, of a model of a shape and that shape's layout.
    fn new(
        cell: &'a Cell,
        text: &'a Text,
        shape: &ModelShape,
        layout: &'a Layout,
    ) -> Result<Training<'a>, Failed> {
        Ok(Training {
            cell,
            text,
            layout,
            trainer: Trainer::new(shape, 1)?,
            exchange: Exchange::new(cell, layout),
            theta: initial_parameters(shape, cell.seed),
            on_the_way: Vec::new(),
            means: Mean::of_the_last(cell.rounds, layout.parameters()),
            starts: starts(cell)?,
        })
    }

    /// Data-parallel AdamW: one step of all workers' windows, whose mean gradient everybody gets.
    fn every_step(&mut self) -> Result<(), Failed> {
        let optimizer = optimizer(self.cell, self.cell.workers)?;
        let mut adam = AdamState::of(self.layout, &optimizer);
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
    ///
    /// With a delay a worker goes on from what its last contribution left, moments and error feedback, but from
    /// parameters so many rounds old. What it finds is applied to the newest ones, in the order of the rounds; so it
    /// makes no difference that each is applied here before the next begins.
    fn by_rounds(&mut self) -> Result<(), Failed> {
        let optimizer = optimizer(self.cell, 1)?;
        let mut moments: Vec<AdamState> = (0..self.cell.workers)
            .map(|_| AdamState::of(self.layout, &optimizer))
            .collect();
        let mut bases = Bases::new(self.cell);
        for round in 0..self.cell.rounds {
            let base = bases.begin(&self.theta);
            let mut deltas = Vec::with_capacity(self.cell.workers);
            for (worker, adam) in moments.iter_mut().enumerate() {
                let start = self.exchange.start(worker, &base);
                let mut params = start.clone();
                for step in self.steps_of(round).take(self.most_of(worker)) {
                    let windows = windows_of(self.cell, self.text, worker, step);
                    self.trainer.step(&mut params, adam, &optimizer, &windows)?;
                }
                let delta = start.iter().zip(&params).map(|(a, b)| a - b);
                deltas.push(self.sent(delta.collect(), adam));
            }
            self.exchange.path = self
                .steps_of(round)
                .map(|step| rate(&optimizer, step))
                .sum();
            self.exchange.round(&mut self.theta, round, &deltas)?;
            self.settle(&mut moments);
            self.measure(round)?;
        }
        Ok(())
    }

    /// What becomes of the workers' moments after a round.
    fn settle(&mut self, moments: &mut [AdamState]) {
        if self.cell.moments == Moments::Mean {
            let numbers = moments[0].m.len() + moments[0].v.len();
            self.exchange.bytes += 4 * numbers as u64;
            make_equal(moments, |adam| &mut adam.m);
            make_equal(moments, |adam| &mut adam.v);
        }
    }

    /// What a worker tells of a round: its pseudo-gradient, or of the blocks' matrices the momentum.
    fn sent(&self, mut delta: Vec<f32>, adam: &AdamState) -> Vec<f32> {
        if matches!(self.cell.after, After::Muon(_)) {
            let of_blocks = self.layout.ranges().filter(|(t, _)| t.is_of_a_block());
            for (_, range) in of_blocks {
                delta[range.clone()].copy_from_slice(&adam.m[range]);
            }
        }
        delta
    }

    fn steps_of(&self, round: usize) -> Range<usize> {
        self.starts[round]..self.starts[round + 1]
    }

    /// The most steps that a worker makes of a round's.
    fn most_of(&self, worker: usize) -> usize {
        match self.cell.evened == 0.0 {
            true => self.cell.steps_of(worker),
            false => usize::MAX,
        }
    }

    /// Writes down the loss on the way, after 10, 20, 40 … rounds, and with a delay where the last training ends.
    fn measure(&mut self, round: usize) -> Result<(), Failed> {
        let done = round + 1;
        for mean in &mut self.means {
            mean.add(round, self.cell.rounds, &self.theta);
        }
        let doubled =
            done.is_multiple_of(FIRST_MEASURED) && (done / FIRST_MEASURED).is_power_of_two();
        let trained = done + self.cell.delay == self.cell.rounds;
        if (doubled || trained) && done < self.cell.rounds {
            let loss = self.loss()?;
            self.on_the_way.push((done, loss));
        }
        Ok(())
    }

    fn loss(&mut self) -> Result<f64, Failed> {
        held_out(&mut self.trainer, &self.theta, self.text)
    }

    /// The losses of the means over the last rounds.
    fn averaged(&mut self) -> Result<Vec<(usize, f64)>, Failed> {
        let mut losses = Vec::new();
        for mean in std::mem::take(&mut self.means) {
            let loss = held_out(&mut self.trainer, &mean.parameters(), self.text)?;
            losses.push((mean.rounds, loss));
        }
        Ok(losses)
    }
}

/// The mean loss on text that nobody trained on.
fn held_out(trainer: &mut Trainer, theta: &[f32], text: &Text) -> Result<f64, Failed> {
    let losses = trainer.losses(theta, &text.measured())?;
    Ok(losses.iter().map(|l| f64::from(*l)).sum::<f64>() / losses.len() as f64)
}

/// Each worker's numbers become the means of all.
fn make_equal(moments: &mut [AdamState], of: impl Fn(&mut AdamState) -> &mut Vec<f32>) {
    let share = 1.0 / moments.len() as f32;
    let mut mean = vec![0.0; of(&mut moments[0]).len()];
    for adam in moments.iter_mut() {
        subtract(&mut mean, -share, of(adam));
    }
    moments
        .iter_mut()
        .for_each(|adam| of(adam).copy_from_slice(&mean));
}

/// The mean of the parameters after each of the last rounds.
struct Mean {
    /// How many.
    rounds: usize,
    sum: Vec<f64>,
}

impl Mean {
    /// Over a twentieth, a tenth and a fifth of all rounds, where that is more than one.
    fn of_the_last(rounds: usize, parameters: usize) -> Vec<Mean> {
        let parts = [20, 10, 5].map(|part| rounds / part);
        let means = parts.into_iter().filter(|rounds| *rounds > 1);
        means
            .map(|rounds| Mean {
                rounds,
                sum: vec![0.0; parameters],
            })
            .collect()
    }

    /// Adds the parameters after a round, if it is one of the last.
    fn add(&mut self, round: usize, of: usize, theta: &[f32]) {
        if round + self.rounds < of {
            return;
        }
        for (sum, theta) in self.sum.iter_mut().zip(theta) {
            *sum += f64::from(*theta);
        }
    }

    fn parameters(&self) -> Vec<f32> {
        let count = self.rounds as f64;
        self.sum.iter().map(|sum| (sum / count) as f32).collect()
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

/// The steps before each round, and all of them: rounds share evenly what the steps' rates, to a power, add up to.
/// Each has one step at least.
fn starts(cell: &Cell) -> Result<Vec<usize>, Failed> {
    let optimizer = optimizer(cell, 1)?;
    let steps = cell.rounds * cell.inner_steps;
    let weigh = |step| rate(&optimizer, step).powf(cell.evened);
    let all: f64 = (0..steps).map(weigh).sum();
    let (mut starts, mut done) = (vec![0], 0.0);
    for step in 0..steps {
        done += weigh(step);
        let (rounds, made) = (starts.len(), step + 1);
        let least = all * rounds as f64 / cell.rounds as f64;
        let left = cell.rounds.saturating_sub(rounds);
        let is_full = done >= least * (1.0 - 1e-9) && steps - made >= left;
        if rounds <= cell.rounds && (is_full || steps - made == left) {
            starts.push(made);
        }
    }
    Ok(starts)
}

/// The learning rate of a step.
fn rate(optimizer: &InnerOptimizer, step: usize) -> f64 {
    learning_rate(optimizer, step as u64)
}

fn optimizer(cell: &Cell, batches: usize) -> Result<InnerOptimizer, Failed> {
    let nano = |value| Nano::from_f64(value).ok_or("a setting is negative");
    let steps = cell.rounds * cell.inner_steps;
    Ok(InnerOptimizer {
        steps: cell.inner_steps as u16,
        sequences: (batches * cell.windows) as u16,
        sequence_length: LENGTH as u32,
        learning_rate: nano(cell.inner_rate)?,
        final_rate: nano(cell.final_rate.unwrap_or(0.1))?,
        warmup_steps: (steps / 10) as u32,
        total_steps: steps as u32,
        beta1: nano(0.9)?,
        beta2: nano(0.95)?,
        epsilon: nano(1e-8)?,
        weight_decay: nano(0.1)?,
        clip_norm: nano(1.0)?,
        trace_every: 1,
        matrices: match cell.inner {
            Inner::AdamW => Matrices::AdamW,
            Inner::Muon => Matrices::Muon(Muon {
                rms: nano(cell.rms.unwrap_or(0.2))?,
                ..Muon::default()
            }),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{base, cairn, diloco};
    use crate::overlap::late;

    /// Some thousand parameters.
    fn shape() -> ModelShape {
        ModelShape {
            layers: 2,
            d_model: 12,
            heads: 3,
            kv_heads: 1,
            ffn: 10,
            vocabulary: 16,
            context: LENGTH as u32,
            rope_theta: 10_000,
            tied_embeddings: true,
        }
    }

    fn text() -> Text {
        let tokens = |windows: u32| {
            let numbers = 0..windows * LENGTH as u32 + 1;
            numbers.map(|n| n.wrapping_mul(2_654_435_761) >> 28)
        };
        Text::of(tokens(64).collect(), tokens(2).collect())
    }

    /// A sparse cell that remembers much, and one with momentum outside.
    fn cells() -> [Cell; 2] {
        [cairn(2, 2, 5, 64, 0.5), diloco(2, 2, 5)].map(|cell| Cell { windows: 1, ..cell })
    }

    /// The parameters with which each round begins, and the last; `base` says with which of them it is made.
    ///
    /// Workers keep moments and error feedback, and each round is applied to the newest parameters.
    fn played(cell: &Cell, text: &Text, base: impl Fn(usize) -> usize) -> Vec<Vec<f32>> {
        let layout = Layout::of(&shape());
        let mut trainer = Trainer::new(&shape(), 1).unwrap();
        let mut exchange = Exchange::new(cell, &layout);
        let optimizer = optimizer(cell, 1).unwrap();
        let mut moments = vec![AdamState::of(&layout, &optimizer); cell.workers];
        let mut thetas = vec![initial_parameters(&shape(), cell.seed)];
        for round in 0..cell.rounds {
            let mut deltas: Vec<Vec<f32>> = Vec::new();
            for (worker, adam) in moments.iter_mut().enumerate() {
                let mut params = thetas[base(round)].clone();
                for step in round * cell.inner_steps..(round + 1) * cell.inner_steps {
                    let windows = windows_of(cell, text, worker, step);
                    let step = trainer.step(&mut params, adam, &optimizer, &windows);
                    step.unwrap();
                }
                let pairs = thetas[base(round)].iter().zip(&params);
                deltas.push(pairs.map(|(base, after)| base - after).collect());
            }
            let mut theta = thetas[round].clone();
            exchange.round(&mut theta, round, &deltas).unwrap();
            thetas.push(theta);
        }
        thetas
    }

    /// The parameters at the end, and the losses on the way.
    fn trained(cell: &Cell, text: &Text) -> (Vec<f32>, Vec<(usize, f64)>) {
        let layout = Layout::of(&shape());
        let mut training = Training::new(cell, text, &shape(), &layout).unwrap();
        training.by_rounds().unwrap();
        (training.theta, training.on_the_way)
    }

    #[test]
    fn without_a_delay_a_round_is_made_from_the_parameters_with_which_it_begins() {
        let text = text();
        for cell in cells() {
            let mut thetas = played(&cell, &text, |round| round);
            let (theta, on_the_way) = trained(&cell, &text);
            assert!(thetas.pop() == Some(theta), "{cell:?}");
            assert!(on_the_way.is_empty());
        }
    }

    /// Rounds 0 and 1 are made from the first parameters. When the last training ends all rounds but the last are
    /// applied, and it is applied after that.
    #[test]
    fn with_a_delay_of_one_a_round_is_made_from_those_with_which_the_one_before_it_began() {
        let text = text();
        for cell in cells() {
            let at_once = trained(&cell, &text).0;
            let late = late(cell);
            let thetas = played(&late, &text, |round| [0, 0, 1, 2, 3][round]);
            let (theta, on_the_way) = trained(&late, &text);
            assert!(thetas[5] == theta && theta != at_once, "{late:?}");
            let mut trainer = Trainer::new(&shape(), 1).unwrap();
            let loss = held_out(&mut trainer, &thetas[4], &text).unwrap();
            assert_eq!(on_the_way, [(4, loss)]);
        }
    }

    /// Rounds end where they always did, or have fewer steps where the rate is high; every step is in one.
    #[test]
    fn rounds_are_evened_by_their_rates() {
        let mut cell = cairn(4, 15, 40, 96, 0.0);
        let even: Vec<usize> = (0..=40).map(|round| 15 * round).collect();
        assert_eq!(starts(&cell).unwrap(), even);
        assert_eq!(starts(&cairn(4, 1, 3, 96, 0.0)).unwrap(), [0, 1, 2, 3]);
        cell.evened = 1.0;
        let starts = starts(&cell).unwrap();
        assert_eq!((starts.len(), starts[0], starts[40]), (41, 0, 600));
        let optimizer = optimizer(&cell, 1).unwrap();
        let path = |first, last| {
            (first..last)
                .map(|step| rate(&optimizer, step))
                .sum::<f64>()
        };
        let mean = path(0, 600) / 40.0;
        for pair in starts.windows(2) {
            let off = path(pair[0], pair[1]) - mean;
            // a step more or less
            assert!(off.abs() <= cell.inner_rate, "{pair:?}: {off} of {mean}");
        }
        let steps: Vec<usize> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(steps[5] < 15 && steps[39] > 30, "{steps:?}");
    }

    /// With mean moments all workers go on with the same, and only what is sent besides is counted.
    #[test]
    fn moments_are_made_equal() {
        let adam = |m: [f32; 2], v| AdamState {
            m: m.to_vec(),
            v: vec![v],
            step: 3,
        };
        let text = text();
        let layout = Layout::of(&shape());
        let mut cell = cells()[0].clone();
        let settled = |cell: &Cell| {
            let mut moments = vec![adam([1.0, -4.0], 2.0), adam([3.0, 4.0], 8.0)];
            let mut training = Training::new(cell, &text, &shape(), &layout).unwrap();
            training.settle(&mut moments);
            (moments, training.exchange.bytes)
        };
        let own = vec![adam([1.0, -4.0], 2.0), adam([3.0, 4.0], 8.0)];
        assert_eq!(settled(&cell), (own, 0));
        cell.moments = Moments::Mean;
        assert_eq!(settled(&cell), (vec![adam([2.0, 0.0], 5.0); 2], 12));
    }

    /// Alone, and with all of what it sent, it begins where it would without a delay.
    #[test]
    fn an_eager_worker_alone_is_not_late() {
        let text = text();
        let at_once = Cell {
            windows: 1,
            ..base(Method::DiLoCo, 1, 2, 5)
        };
        let late = late(at_once.clone());
        let eager = Cell {
            eager: 1.0,
            ..late.clone()
        };
        let [at_once, late, eager] = [at_once, late, eager].map(|cell| trained(&cell, &text).0);
        assert!(eager == at_once && late != at_once);
    }

    #[test]
    fn what_cannot_be_late_is_not_trained() {
        let cell = late(crate::grid::adamw(2, 2, 2));
        let refused = run(&cell, &text()).map(|finished| finished.name);
        assert!(refused.is_err_and(|error| error.to_string().contains("`delay`")));
    }

    #[test]
    fn means_are_of_the_last_rounds() {
        let mut means = Mean::of_the_last(20, 1);
        for round in 0..20 {
            for mean in &mut means {
                mean.add(round, 20, &[round as f32]);
            }
        }
        let found: Vec<_> = means
            .iter()
            .map(|m| (m.rounds, m.parameters()[0]))
            .collect();
        assert_eq!(found, [(2, 18.5), (4, 17.5)]);
    }
}
