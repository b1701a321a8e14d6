//! How fast training steps are on this machine.

use std::time::{Duration, Instant};

use cairn_primitives::{InnerOptimizer, ModelShape, Nano};
use rayon::prelude::*;
use serde::Serialize;

use crate::config::Needs;
use crate::cuda::{CudaError, CudaOptions, CudaTrainer};
use crate::engine::{Device, Engine};
use crate::gemm::{parallel_product, Matrix, Start};
use crate::{initial_parameters, AdamState, Settings, Trainer, TrainerError};

/// Rows and columns of the matrices by which the peak is measured.
const PEAK: usize = 1_024;
/// How long the peak is measured.
const PEAK_TIME: Duration = Duration::from_secs(1);
/// Parameters that are hashed at a time.
const PART: usize = 1 << 18;
/// Steps before the first that is timed: buffers are allocated by the first, a card's graph is recorded by the second.
const WARMUP: usize = 2;

/// What is timed.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The model.
    pub shape: ModelShape,
    /// Tokens of a window that are predicted.
    pub length: usize,
    /// Windows of a step.
    pub windows: usize,
    /// What computes.
    pub device: Device,
    /// Threads of the CPU.
    pub threads: usize,
    /// Timed steps; the median is reported.
    pub steps: usize,
    /// How the gradient is computed.
    pub settings: Settings,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// What computed.
    pub computed_on: String,
    /// Median time of a step: forward, backward, clipping, AdamW.
    pub seconds_per_step: f64,
    /// Predicted tokens in that time.
    pub tokens_per_s: f64,
    /// Floating-point operations of the model in that time, as [`Needs`] counts them.
    pub flops_per_s: f64,
    /// What a loop of products of large matrices reaches with the same threads, or on the same card; of several cards
    /// so many times what the first reaches.
    pub peak_flops_per_s: f64,
    /// The quotient of the two.
    pub share_of_peak: f64,
    /// BLAKE3 of the parameters after the steps, little-endian: the same steps on the same device have the same.
    pub root: String,
    /// Mean loss before the first and the last step, on tokens drawn at random.
    pub losses: [f32; 2],
    /// Bytes of parameters, moments, gradient and buffers; of a card's memory, of several the first's, all that
    /// is taken.
    pub buffer_bytes: u64,
    /// The most of the host's memory that the process had so far, in bytes, if the system says.
    pub peak_memory: Option<u64>,
}

impl Plan {
    /// Trains on random tokens and measures.
    ///
    /// # Errors
    ///
    /// [`TrainerError`] if there is no such model, the windows are longer than its context, there are no threads, or
    /// the card cannot be used.
    pub fn measure(&self) -> Result<Measured, TrainerError> {
        let mut engine = self.open()?;
        let computed_on = engine.name();
        let (seconds, losses, root) = self.steps(&mut engine)?;
        let peak_memory = peak_memory();
        let state = 12 * Needs::of(&self.shape, 1, 1).parameters;
        let (buffer_bytes, peak) = match engine {
            Engine::Cpu(trainer) => {
                let bytes = state + trainer.buffer_bytes() as u64;
                (bytes, trainer.install(peak_flops))
            }
            Engine::Cuda(mut card) => (card.memory_taken()? as u64, card.peak_flops()?),
        };
        let per_token = Needs::of(&self.shape, self.windows, self.length).flops_per_token as f64;
        let tokens_per_s = (self.windows * self.length) as f64 / seconds;
        Ok(Measured {
            computed_on,
            seconds_per_step: seconds,
            tokens_per_s,
            flops_per_s: tokens_per_s * per_token,
            peak_flops_per_s: peak,
            share_of_peak: tokens_per_s * per_token / peak,
            root,
            losses,
            buffer_bytes,
            peak_memory,
        })
    }

    /// The device, with the plan's settings.
    fn open(&self) -> Result<Engine, TrainerError> {
        let cpu = || -> Result<Engine, TrainerError> {
            let trainer = Trainer::new(&self.shape, self.threads)?;
            Ok(Engine::Cpu(Box::new(trainer.with_settings(self.settings))))
        };
        let cards = |ordinal, count: usize| -> Result<Engine, CudaError> {
            let options = CudaOptions {
                ordinal,
                others: count.saturating_sub(1),
                recompute: self.settings.recompute,
                windows_at_once: self.settings.windows_at_once,
                ..CudaOptions::default()
            };
            let card = CudaTrainer::new(&self.shape, options)?;
            Ok(Engine::Cuda(Box::new(card)))
        };
        match self.device {
            Device::Cpu => cpu(),
            Device::Cuda(ordinal) => Ok(cards(ordinal, 1)?),
            Device::Cards { first, count } => Ok(cards(first, count)?),
            Device::Auto => cards(0, 1).or_else(|_| cpu()),
        }
    }

    /// The median time of a step, the losses before the first and the last, and the root of the parameters after it.
    fn steps(&self, engine: &mut Engine) -> Result<(f64, [f32; 2], String), TrainerError> {
        let tokens = tokens(self.windows * (self.length + 1), self.shape.vocabulary);
        let windows: Vec<&[u32]> = tokens.chunks_exact(self.length + 1).collect();
        let optimizer = optimizer(self.length);
        let parameters = initial_parameters(&self.shape, 0);
        let mut steps = engine.begin(&parameters, &AdamState::new(parameters.len()))?;
        // The steps have their own; on a card nothing is left here.
        drop(parameters);
        let (mut times, mut losses) = (Vec::new(), Vec::new());
        for step in 0..WARMUP + self.steps.max(1) {
            let start = Instant::now();
            losses.push(steps.step(&optimizer, &windows)?);
            if step >= WARMUP {
                times.push(start.elapsed().as_secs_f64());
            }
        }
        times.sort_by(f64::total_cmp);
        let (parameters, _) = steps.finish()?;
        let mut hasher = blake3::Hasher::new();
        for part in parameters.chunks(PART) {
            let bytes: Vec<u8> = part.iter().flat_map(|value| value.to_le_bytes()).collect();
            hasher.update_rayon(&bytes);
        }
        Ok((
            times[times.len() / 2],
            [losses[0], losses[losses.len() - 1]],
            format!("0x{}", hasher.finalize().to_hex()),
        ))
    }
}

/// The best rate of products of large matrices, in floating-point operations per second, by the threads of the current
/// pool.
fn peak_flops() -> f64 {
    let (a, b) = (vec![0.5f32; PEAK * PEAK], vec![0.25f32; PEAK * PEAK]);
    let mut c = vec![0f32; PEAK * PEAK];
    c.par_iter_mut().for_each(|c| *c = 0.0);
    let (begin, mut best) = (Instant::now(), f64::INFINITY);
    while begin.elapsed() < PEAK_TIME {
        let start = Instant::now();
        let (a, b) = (Matrix::new(&a, PEAK), Matrix::new(&b, PEAK));
        parallel_product(a, b, &mut c, Start::Zero);
        best = best.min(start.elapsed().as_secs_f64());
    }
    2.0 * (PEAK as f64).powi(3) / best
}

/// Tokens below `vocabulary` from a linear congruential generator.
fn tokens(count: usize, vocabulary: u32) -> Vec<u32> {
    let mut state = 1u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % u64::from(vocabulary.max(1))) as u32
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Ordinary AdamW.
fn optimizer(length: usize) -> InnerOptimizer {
    let nano = |value: f64| Nano::from_f64(value).unwrap_or(Nano::ONE);
    InnerOptimizer {
        steps: 1,
        sequences: 1,
        sequence_length: length as u32,
        learning_rate: nano(1e-3),
        final_rate: nano(1.0),
        warmup_steps: 0,
        total_steps: 1,
        beta1: nano(0.9),
        beta2: nano(0.95),
        epsilon: nano(1e-8),
        weight_decay: nano(0.1),
        clip_norm: nano(1.0),
        trace_every: 1,
        matrices: Default::default(),
    }
}

/// The most memory that this process ever had resident, in bytes; none if the system does not say.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_is_of_steps_that_learn() {
        let plan = Plan {
            shape: crate::config::named("tiny").unwrap(),
            length: 32,
            windows: 2,
            device: Device::Cpu,
            threads: 1,
            steps: 4,
            settings: Settings::default(),
        };
        let measured = plan.measure().unwrap();
        let again = plan.measure().unwrap();
        assert_eq!(
            (again.root.as_str(), again.root.len()),
            (measured.root.as_str(), 66)
        );
        let other = Plan {
            steps: 5,
            ..plan.clone()
        };
        assert_ne!(other.measure().unwrap().root, measured.root);
        let [first, last] = measured.losses;
        assert!(last < first - 0.1, "{first} to {last}");
        assert!(measured.tokens_per_s > 0.0 && measured.share_of_peak > 0.0);
        let needs = Needs::of(&plan.shape, 2, 32);
        let known = needs.parameter_bytes + needs.gradient + needs.moments + needs.activations;
        assert!(measured.buffer_bytes > known, "{known}");
    }
}
