//! AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) with clipping and a learning-rate schedule.

use cairn_primitives::{InnerOptimizer, Layout};
use rayon::prelude::*;

use crate::math::sum_squares;

/// Elements whose squares are summed before the sums are added; part of the arithmetic.
const NORM_BLOCK: usize = 4096;
/// Elements per task of the update.
const UPDATE_BLOCK: usize = 16_384;
/// First bytes of a saved state.
const MAGIC: [u8; 8] = *b"cairnadw";
/// Version of the saved state.
const VERSION: u32 = 2;
/// Bytes before the moments: magic, version, steps done, numbers of the first moment, of the second.
const HEADER: usize = 8 + 4 + 8 + 8 + 8;
/// Bytes after the moments: BLAKE3 of all before.
const CHECKSUM: usize = 32;

/// What AdamW, and Muon in its place, remember from step to step.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamState {
    /// Running mean of the gradient, one per parameter; of Muon's matrices it is the momentum.
    pub m: Vec<f32>,
    /// Running mean of its square, one for each parameter that AdamW steps, in the layout's order without gaps.
    pub v: Vec<f32>,
    /// Steps done.
    pub step: u64,
}

/// Why bytes are not a saved optimizer state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The bytes begin otherwise.
    #[error(
        "not an optimizer state: its first bytes are wrong; delete it to start with a fresh one"
    )]
    Magic,
    /// Another version of the format.
    #[error("optimizer state of version {found}, this program reads {VERSION}; delete it to start with a fresh one")]
    Version {
        /// The version in the file.
        found: u32,
    },
    /// Cut off, or too long.
    #[error("optimizer state of {found} bytes where {expected} were expected; delete it to start with a fresh one")]
    Length {
        /// Bytes that the header announces, or that a header takes.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// The checksum at the end does not match.
    #[error("optimizer state is damaged: its checksum does not match; delete it to start with a fresh one")]
    Checksum,
}

impl AdamState {
    /// The state before the first step of a run's optimizer on a model of this layout.
    pub fn of(layout: &Layout, optimizer: &InnerOptimizer) -> AdamState {
        AdamState {
            m: vec![0.0; layout.parameters()],
            v: vec![0.0; optimizer.matrices.second_moments(layout)],
            step: 0,
        }
    }

    /// The state before the first step of AdamW on a model of `parameters` parameters.
    pub fn new(parameters: usize) -> AdamState {
        AdamState {
            m: vec![0.0; parameters],
            v: vec![0.0; parameters],
            step: 0,
        }
    }

    /// Saves the state: magic, version (u32), steps (u64), numbers of `m` (u64) and of `v` (u64), `m`, `v`, BLAKE3 of
    /// all that; numbers smallest byte first.
    pub fn to_bytes(&self) -> Vec<u8> {
        let moments = self.m.len() + self.v.len();
        let mut bytes = Vec::with_capacity(HEADER + 4 * moments + CHECKSUM);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.step.to_le_bytes());
        bytes.extend_from_slice(&(self.m.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&(self.v.len() as u64).to_le_bytes());
        for moment in self.m.iter().chain(&self.v) {
            bytes.extend_from_slice(&moment.to_le_bytes());
        }
        let checksum = blake3::hash(&bytes);
        bytes.extend_from_slice(checksum.as_bytes());
        bytes
    }

    /// Reads what [`AdamState::to_bytes`] wrote, and nothing else.
    ///
    /// # Errors
    ///
    /// [`StateError`] says which part is wrong; memory is allocated only for a file of the announced length.
    pub fn from_bytes(bytes: &[u8]) -> Result<AdamState, StateError> {
        let found = bytes.len() as u64;
        let short = StateError::Length {
            expected: (HEADER + CHECKSUM) as u64,
            found,
        };
        let (magic, rest) = bytes.split_first_chunk::<8>().ok_or(short.clone())?;
        if *magic != MAGIC {
            return Err(StateError::Magic);
        }
        let (version, rest) = rest.split_first_chunk::<4>().ok_or(short.clone())?;
        let version = u32::from_le_bytes(*version);
        if version != VERSION {
            return Err(StateError::Version { found: version });
        }
        let (step, rest) = rest.split_first_chunk::<8>().ok_or(short.clone())?;
        let (first, rest) = rest.split_first_chunk::<8>().ok_or(short.clone())?;
        let (second, rest) = rest.split_first_chunk::<8>().ok_or(short.clone())?;
        let first = u64::from_le_bytes(*first).saturating_mul(4);
        let moments = u64::from_le_bytes(*second)
            .saturating_mul(4)
            .saturating_add(first);
        let expected = moments.saturating_add((HEADER + CHECKSUM) as u64);
        if found != expected {
            return Err(StateError::Length { expected, found });
        }
        let (moments, checksum) = rest.split_last_chunk::<CHECKSUM>().ok_or(short)?;
        let hashed = bytes.len().saturating_sub(CHECKSUM);
        if blake3::hash(bytes.get(..hashed).unwrap_or_default()) != *checksum {
            return Err(StateError::Checksum);
        }
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        let (m, v) = moments.split_at(first.min(moments.len()));
        Ok(AdamState {
            m: floats(m),
            v: floats(v),
            step: u64::from_le_bytes(*step),
        })
    }
}

/// Little-endian numbers.
fn floats(bytes: &[u8]) -> Vec<f32> {
    let number = |bytes: &[u8]| bytes.try_into().map(f32::from_le_bytes).unwrap_or_default();
    bytes.chunks_exact(4).map(number).collect()
}

/// The learning rate of the step that comes after `done` steps: up in a straight line over
/// `warmup_steps` steps to `learning_rate`, then down along half a cosine to `final_rate`·`learning_rate` at
/// `total_steps`, where it stays.
pub fn learning_rate(optimizer: &InnerOptimizer, done: u64) -> f64 {
    let (peak, floor) = (
        optimizer.learning_rate.to_f64(),
        optimizer.final_rate.to_f64(),
    );
    let (warmup, total) = (
        u64::from(optimizer.warmup_steps),
        u64::from(optimizer.total_steps),
    );
    if done < warmup {
        return peak * (done + 1) as f64 / warmup as f64;
    }
    if done >= total {
        return peak * floor;
    }
    let progress = (done - warmup) as f64 / (total - warmup) as f64;
    let wave = 0.5 + 0.5 * libm::cos(std::f64::consts::PI * progress);
    peak * (floor + (1.0 - floor) * wave)
}

/// The Euclidean norm: squares summed in `f64` in blocks of 4,096, block sums added in order.
pub(crate) fn norm(gradient: &[f32], blocks: &mut Vec<f64>) -> f64 {
    gradient
        .par_chunks(NORM_BLOCK)
        .map(block_squares)
        .collect_into_vec(blocks);
    blocks.iter().fold(0.0, |sum, block| sum + block).sqrt()
}

wide! {
    fn block_squares(block: &[f32]) -> f64 {
        sum_squares(block)
    }
}

/// The numbers of one step's update.
#[derive(Clone, Copy)]
pub(crate) struct Update {
    /// Factor of the gradient: below 1 if it is clipped.
    clip: f32,
    beta1: f32,
    beta2: f32,
    /// Learning rate over the first moment's bias correction.
    rate: f32,
    /// One over the second moment's bias correction.
    correction: f32,
    epsilon: f32,
    /// What weight decay leaves of a matrix's element.
    kept: f32,
}

impl Update {
    /// The update after `done` steps, for a gradient of norm `norm`.
    pub(crate) fn new(optimizer: &InnerOptimizer, done: u64, norm: f64) -> Update {
        let (beta1, beta2) = (optimizer.beta1.to_f64(), optimizer.beta2.to_f64());
        let (rate, step) = (learning_rate(optimizer, done), done as f64 + 1.0);
        let limit = optimizer.clip_norm.to_f64();
        Update {
            clip: if norm > limit {
                (limit / norm) as f32
            } else {
                1.0
            },
            beta1: beta1 as f32,
            beta2: beta2 as f32,
            rate: (rate / (1.0 - libm::pow(beta1, step))) as f32,
            correction: (1.0 / (1.0 - libm::pow(beta2, step))) as f32,
            epsilon: optimizer.epsilon.to_f32(),
            kept: (1.0 - rate * optimizer.weight_decay.to_f64()) as f32,
        }
    }

    /// The factor of the gradient.
    pub(crate) fn clip(&self) -> f32 {
        self.clip
    }

    /// What weight decay leaves of a matrix's element.
    pub(crate) fn kept(&self) -> f32 {
        self.kept
    }

    /// Updates all parameters and their moments. `tensors` says where each tensor ends, and whether it is a matrix:
    /// only those decay.
    pub(crate) fn apply(
        self,
        parameters: &mut [f32],
        m: &mut [f32],
        v: &mut [f32],
        gradient: &[f32],
        tensors: &[(usize, bool)],
    ) {
        (
            parameters.par_chunks_mut(UPDATE_BLOCK),
            m.par_chunks_mut(UPDATE_BLOCK),
            v.par_chunks_mut(UPDATE_BLOCK),
            gradient.par_chunks(UPDATE_BLOCK),
        )
            .into_par_iter()
            .enumerate()
            .for_each(|(i, (parameters, m, v, gradient))| {
                let first = i * UPDATE_BLOCK;
                let mut from = 0;
                for (end, matrix) in &tensors[tensors.partition_point(|(end, _)| *end <= first)..] {
                    let to = parameters.len().min(end - first);
                    let update = Update {
                        kept: if *matrix { self.kept } else { 1.0 },
                        ..self
                    };
                    let at = from..to;
                    let (m, v) = (&mut m[at.clone()], &mut v[at.clone()]);
                    update_block(update, &mut parameters[at.clone()], m, v, &gradient[at]);
                    from = to;
                    if from == parameters.len() {
                        break;
                    }
                }
            });
    }
}

/// Steps of AdamW whose gradients are zero: moments and weights decay, and the first moment goes on moving parameters.
/// What steps with gradients come to beside that is what these gradients changed.
///
/// # Panics
/// If a vector is not as long as the layout.
pub fn idle_steps(
    layout: &Layout,
    optimizer: &InnerOptimizer,
    parameters: &mut [f32],
    state: &mut AdamState,
    steps: u32,
) {
    let none = [0.0; UPDATE_BLOCK];
    for _ in 0..steps {
        let all = Update::new(optimizer, state.step, 0.0);
        for (tensor, range) in layout.ranges() {
            let update = Update {
                kept: if tensor.shape.len() == 2 {
                    all.kept
                } else {
                    1.0
                },
                ..all
            };
            let (m, v) = (&mut state.m[range.clone()], &mut state.v[range.clone()]);
            (
                parameters[range].par_chunks_mut(UPDATE_BLOCK),
                m.par_chunks_mut(UPDATE_BLOCK),
                v.par_chunks_mut(UPDATE_BLOCK),
            )
                .into_par_iter()
                .for_each(|(parameters, m, v)| {
                    let gradient = &none[..parameters.len()];
                    update_block(update, parameters, m, v, gradient);
                });
        }
        state.step = state.step.saturating_add(1);
    }
}

wide! {
    fn update_block(u: Update, parameters: &mut [f32], m: &mut [f32], v: &mut [f32], gradient: &[f32]) {
        let moments = m.iter_mut().zip(v);
        for ((w, (m, v)), g) in parameters.iter_mut().zip(moments).zip(gradient) {
            let g = g * u.clip;
            *m = u.beta1 * *m + (1.0 - u.beta1) * g;
            *v = u.beta2 * *v + (1.0 - u.beta2) * (g * g);
            *w = *w * u.kept - u.rate * *m / ((*v * u.correction).sqrt() + u.epsilon);
        }
    }
}
