//! From the workers' pseudo-gradients to the next weights, by each method.

use cairn_gradient::{encode, outer_step, Compressor, Contribution, Header, SparseTensor};
use cairn_primitives::{Compression, Layout, Nano, OuterStep, Uid, H256};

use crate::cell::{Cell, Method};

/// Bits of a value in Templar's format, by its authors' count: 12 for its place, 2 for itself.
const TEMPLAR_BITS: u64 = 14;

type Failed = Box<dyn std::error::Error>;

/// What workers and the outer step remember from round to round.
pub struct Exchange<'a> {
    cell: &'a Cell,
    layout: &'a Layout,
    /// One error feedback per worker.
    errors: Vec<Vec<f32>>,
    /// The outer momentum.
    velocity: Vec<f32>,
    /// Bytes that one worker has sent.
    pub bytes: u64,
}

impl<'a> Exchange<'a> {
    pub fn new(cell: &'a Cell, layout: &'a Layout) -> Exchange<'a> {
        let zeros = vec![0.0; layout.parameters()];
        Exchange {
            cell,
            layout,
            errors: vec![zeros.clone(); cell.workers],
            velocity: zeros,
            bytes: 0,
        }
    }

    /// Moves the weights by what the workers found in a round.
    pub fn round(
        &mut self,
        theta: &mut [f32],
        round: usize,
        deltas: &[Vec<f32>],
    ) -> Result<(), Failed> {
        let warm = match self.cell.outer_warmup {
            0 => 1.0,
            rounds => ((round + 1) as f64 / rounds as f64).min(1.0),
        };
        let rate = self.cell.outer_rate * warm;
        let before = theta.to_vec();
        match self.cell.method {
            // one step of the mean gradient has been taken by everybody
            Method::AdamW | Method::DiLoCo => {
                self.bytes += 4 * theta.len() as u64;
                mean(deltas, theta);
            }
            Method::Templar => self.templar(theta, deltas)?,
            Method::Cairn => self.cairn(theta, deltas)?,
        }
        // the methods step with rate 1; from there, rate and Nesterov momentum
        for ((theta, before), velocity) in theta.iter_mut().zip(&before).zip(&mut self.velocity) {
            let change = f64::from(before - *theta);
            let moved = self.cell.momentum * f64::from(*velocity) + change;
            *velocity = moved as f32;
            let nesterov = change + self.cell.momentum * moved;
            let change = if self.cell.momentum > 0.0 {
                nesterov
            } else {
                change
            };
            *theta = before - (rate * change) as f32;
        }
        Ok(())
    }

    fn cairn(&mut self, theta: &mut [f32], deltas: &[Vec<f32>]) -> Result<(), Failed> {
        let compression = self.compression()?;
        let mut contributions: Vec<(Uid, Contribution)> = Vec::new();
        for (worker, delta) in deltas.iter().enumerate() {
            let tensors = self.select(worker, delta)?;
            let contribution = Contribution {
                header: self.header(),
                tensors,
            };
            let file = encode(&contribution, self.layout, &compression)?;
            if worker == 0 {
                self.bytes += file.len() as u64;
            }
            contributions.push((worker as Uid, contribution));
        }
        let outer = OuterStep {
            learning_rate: Nano::ONE,
            rho: Nano::from_f64(self.cell.rho).ok_or("ρ is not from 0 to 1")?,
        };
        outer_step(theta, self.layout, &contributions, &outer)?;
        Ok(())
    }

    /// The same values, with Templar's quantiser and its mean over senders. A vector's values are selected as
    /// ours are; Templar sends all of them.
    fn templar(&mut self, theta: &mut [f32], deltas: &[Vec<f32>]) -> Result<(), Failed> {
        let parameters = theta.len();
        let (mut sums, mut senders) = (vec![0f32; parameters], vec![0u32; parameters]);
        let ranges: Vec<_> = self.layout.ranges().map(|(_, range)| range).collect();
        let mut sent: Vec<Vec<Vec<(usize, f32)>>> = vec![Vec::new(); ranges.len()];
        for (worker, delta) in deltas.iter().enumerate() {
            let tensors = self.select(worker, delta)?;
            for ((tensor, range), sent) in tensors.iter().zip(&ranges).zip(&mut sent) {
                let error = &mut self.errors[worker][range.clone()];
                tensor.add_to(error);
                let places: Vec<usize> = tensor.values().map(|(i, _)| i as usize).collect();
                let exact: Vec<f32> = places.iter().map(|place| error[*place]).collect();
                let rounded = quantised(&exact);
                for (place, value) in places.iter().zip(&rounded) {
                    error[*place] -= value;
                }
                if worker == 0 {
                    self.bytes += (places.len() as u64 * TEMPLAR_BITS).div_ceil(8);
                }
                sent.push(places.into_iter().zip(rounded).collect());
            }
        }
        for (sent, range) in sent.iter().zip(&ranges) {
            let norm = |values: &Vec<(usize, f32)>| {
                let sum: f64 = values.iter().map(|(_, v)| f64::from(*v).powi(2)).sum();
                sum.sqrt()
            };
            let norms: Vec<f64> = sent.iter().map(norm).collect();
            let mut sorted = norms.clone();
            sorted.sort_by(f64::total_cmp);
            let median = sorted[(sorted.len() - 1) / 2];
            for (values, norm) in sent.iter().zip(&norms) {
                let clip = (median / (norm + 1e-8)).min(1.0) as f32;
                for (place, value) in values {
                    sums[range.start + place] += clip * value;
                    senders[range.start + place] += 1;
                }
            }
        }
        for ((theta, sum), senders) in theta.iter_mut().zip(&sums).zip(&senders) {
            *theta -= sum / (*senders).max(1) as f32;
        }
        Ok(())
    }

    /// What a worker sends of each tensor; its error feedback keeps the rest.
    fn select(&mut self, worker: usize, delta: &[f32]) -> Result<Vec<SparseTensor>, Failed> {
        let compressor = Compressor::new(&self.compression()?)?;
        let error = &mut self.errors[worker];
        self.layout
            .ranges()
            .map(|(tensor, range)| {
                let sent =
                    compressor.tensor(tensor, &delta[range.clone()], &mut error[range.clone()])?;
                Ok(sent)
            })
            .collect()
    }

    fn compression(&self) -> Result<Compression, Failed> {
        Ok(Compression {
            kept_per_block: self.cell.kept_per_block,
            error_decay: Nano::from_f64(self.cell.error_decay).ok_or("β is not from 0 to 1")?,
        })
    }

    fn header(&self) -> Header {
        Header {
            netuid: 0,
            round: 0,
            hotkey: [0; 32],
            parent_root: H256::zero(),
            layout_hash: self.layout.hash(),
            inner_steps: self.cell.inner_steps as u32,
            tokens: 0,
            mean_loss: 0.0,
        }
    }
}

/// θ ← θ − the mean of the pseudo-gradients.
fn mean(deltas: &[Vec<f32>], theta: &mut [f32]) {
    let count = deltas.len() as f32;
    for (index, theta) in theta.iter_mut().enumerate() {
        let sum: f32 = deltas.iter().map(|delta| delta[index]).sum();
        *theta -= sum / count;
    }
}

/// Templar's quantiser: four bins of 1.5 standard deviations around the mean, and each bin's mean.
fn quantised(values: &[f32]) -> Vec<f32> {
    let count = values.len() as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    let variance = values
        .iter()
        .map(|v| (f64::from(*v) - mean).powi(2))
        .sum::<f64>()
        / (count - 1.0).max(1.0);
    let scale = match 1.5 * variance.sqrt() {
        scale if scale > 0.0 => scale,
        _ => 1.0,
    };
    let bin = |v: f32| {
        let bin = ((f64::from(v) - mean) / scale + 2.0).round_ties_even();
        bin.clamp(0.0, 3.0) as usize
    };
    let mut bins = [(0f64, 0f64); 4];
    for value in values {
        let (sum, members) = &mut bins[bin(*value)];
        *sum += f64::from(*value) - mean;
        *members += 1.0;
    }
    let rounded = |value: &f32| {
        let (sum, members) = bins[bin(*value)];
        (sum / members + mean) as f32
    };
    values.iter().map(rounded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templars_quantiser_is_templars() {
        // worked by hand: shift 0.0375, scale 4.93728
        let found = quantised(&[-4.0, -3.0, -2.5, -2.0, 2.0, 2.2, 2.6, 5.0]);
        let low = -3.166_667;
        let middle = 0.733_333;
        let expected = [low, low, low, middle, middle, middle, 3.8, 3.8];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
        assert_eq!(quantised(&[2.0]), [2.0]);
    }
}
