//! The trainer: checks what it is given, then runs the model on its own threads.

use cairn_primitives::{InnerOptimizer, Layout, Matrices, ModelShape};

use crate::gemm::{parallel_product, Matrix, Start, BLOCK};
use crate::model::Model;
use crate::muon::{self, Both};
use crate::optimizer::{norm, AdamState, Update};
use crate::windows::{check_length, check_windows};
use crate::workspace::{parts, Batch, Keep, Workspace};

/// The most parameters that a model on the CPU may have: with gradient and moments, 16 bytes each.
const MAX_PARAMETERS: u128 = 1 << 34;
/// Tokens that [`Trainer::losses`] takes at once, to bound its memory.
const LOSS_TOKENS: usize = 4096;

/// Why something cannot be computed. Nothing has been changed when one of these is returned.
#[derive(Debug, thiserror::Error)]
pub enum TrainerError {
    /// The CPU would give other bits.
    #[error("this CPU lacks {missing}: training here would not give the same bits as elsewhere; use an x86-64 machine with AVX2 and FMA")]
    Cpu {
        /// What it lacks.
        missing: &'static str,
    },
    /// No model has such a shape.
    #[error("impossible model shape: {reason}; correct the run's configuration")]
    Shape {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No threads to compute with, or the system gave none.
    #[error(
        "cannot compute with {threads} threads: {reason}; ask for at least 1 and at most the CPU's"
    )]
    Threads {
        /// Threads asked for.
        threads: usize,
        /// What stood in the way.
        reason: String,
    },
    /// A part of a batch that would change the gradient's bits.
    #[error("parts of {windows} windows of {length} tokens would change the gradient's bits; take a multiple of {multiple} windows, or whole batches")]
    Accumulation {
        /// Windows of a part.
        windows: usize,
        /// Tokens of a window.
        length: usize,
        /// What the number of windows has to be a multiple of.
        multiple: usize,
    },
    /// A vector does not belong to this model.
    #[error("{what} has {found} numbers where the run has {expected}; check which run it is from")]
    Length {
        /// Which vector.
        what: &'static str,
        /// Numbers that it should have.
        expected: usize,
        /// Numbers it has.
        found: usize,
    },
    /// Nothing to train on.
    #[error("no windows were given; give at least one")]
    NoWindows,
    /// A window of the wrong length.
    #[error("window {window} has {found} tokens where {expected} were expected; cut windows with the run's sequence length")]
    Window {
        /// Which window.
        window: usize,
        /// Tokens expected.
        expected: usize,
        /// Tokens it has.
        found: usize,
    },
    /// Windows too short to predict anything or longer than the context.
    #[error("windows of {found} tokens do not fit a context of {context}; a window takes 2 to {context} + 1 tokens")]
    Context {
        /// Tokens in a window.
        found: usize,
        /// Tokens that the model can look at.
        context: u32,
    },
    /// A token that the model does not know.
    #[error("window {window} has token {token} at {position}, the vocabulary ends at {vocabulary}; use the run's tokenizer and data")]
    Token {
        /// Which window.
        window: usize,
        /// Where in it.
        position: usize,
        /// The token.
        token: u32,
        /// Size of the vocabulary.
        vocabulary: u32,
    },
    /// The loss or the gradient overflowed.
    #[error("loss {loss} with a gradient of norm {norm}: not finite; start from other parameters or lower the learning rate")]
    NotFinite {
        /// The mean loss.
        loss: f32,
        /// The gradient's norm.
        norm: f64,
    },
    /// What is to be sent overflowed.
    #[error("β·error + pseudo-gradient is not finite at element {index} of tensor {tensor}; the training diverged, go back to the round's parameters")]
    Unsendable {
        /// Name of the tensor.
        tensor: String,
        /// Which element of it.
        index: usize,
    },
    /// The card cannot, or not any more.
    #[error(transparent)]
    Cuda(#[from] crate::cuda::CudaError),
}

/// How a gradient is computed, which changes neither its value nor its bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Keep only each layer's input and compute the rest again in the backward pass: about a third more work, and
    /// memory for activations that hardly grows with the number of layers.
    pub recompute: bool,
    /// Compute so many windows at a time and add up their gradients; none: the whole batch at once.
    ///
    /// The sums over tokens are made in blocks of 256 tokens, so the tokens of a part must be a multiple of that:
    /// other parts are refused unless they are whole batches.
    pub windows_at_once: Option<usize>,
}

/// Computes losses and training steps of one model on threads of its own.
///
/// The trainer holds no parameters. Its buffers are kept between calls, and no result depends on what was computed
/// before: the same arguments give the same bits, with any number of threads.
pub struct Trainer {
    shape: ModelShape,
    model: Model,
    settings: Settings,
    layout: Layout,
    /// Where each tensor ends, and whether it is a matrix.
    tensors: Vec<(usize, bool)>,
    pieces: Vec<muon::Piece>,
    scratch: muon::Scratch,
    pool: rayon::ThreadPool,
    work: Workspace,
    gradient: Vec<f32>,
    norm_blocks: Vec<f64>,
}

impl Trainer {
    /// A trainer for models of `shape` on `threads` threads. Buffers are allocated by the first calls.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Cpu`] if the machine would give other bits, [`TrainerError::Shape`] if there is no such
    /// model, [`TrainerError::Threads`] if there are no threads.
    pub fn new(shape: &ModelShape, threads: usize) -> Result<Trainer, TrainerError> {
        crate::check_cpu()?;
        check_shape(shape).map_err(|reason| TrainerError::Shape { reason })?;
        let refused = |reason: String| TrainerError::Threads { threads, reason };
        if threads == 0 {
            return Err(refused("none".into()));
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("trainer-{i}"))
            .build()
            .map_err(|error| refused(error.to_string()))?;
        let layout = Layout::of(shape);
        Ok(Trainer {
            shape: shape.clone(),
            model: Model::new(shape),
            settings: Settings::default(),
            tensors: layout
                .ranges()
                .map(|(tensor, range)| (range.end, tensor.shape.len() == 2))
                .collect(),
            pieces: muon::pieces(&layout),
            scratch: muon::Scratch::default(),
            layout,
            pool,
            work: Workspace::default(),
            gradient: Vec::new(),
            norm_blocks: Vec::new(),
        })
    }

    /// The shape of the models that this trainer computes.
    pub fn shape(&self) -> &ModelShape {
        &self.shape
    }

    /// The same trainer with other settings.
    pub fn with_settings(mut self, settings: Settings) -> Trainer {
        self.settings = settings;
        self
    }

    /// Bytes of the buffers that the calls so far have allocated, the gradient's included; what each thread packs
    /// for itself (a few MiB) is not counted.
    pub fn buffer_bytes(&self) -> usize {
        let norm = 4 * self.gradient.capacity() + 8 * self.norm_blocks.capacity();
        self.work.bytes() + norm + self.scratch.bytes()
    }

    /// The mean cross-entropy of each window, in nats per token: a forward pass only. Windows all have the same
    /// number of tokens, of which all but the first are predicted. A window's loss does not depend on the others.
    ///
    /// # Errors
    ///
    /// [`TrainerError`] if `params` or a window does not fit the model. A loss that is not finite is returned as
    /// it is: the parameters of others may be bad.
    pub fn losses(&mut self, params: &[f32], windows: &[&[u32]]) -> Result<Vec<f32>, TrainerError> {
        let batch = self.check(params, windows)?;
        let length = batch.length;
        let Trainer {
            model, pool, work, ..
        } = self;
        work.load(windows);
        pool.install(|| {
            for part in parts(batch.rows(), (LOSS_TOKENS / length).max(1) * length) {
                let batch = Batch {
                    windows: part.len() / length,
                    length,
                };
                work.fit(model, batch, Keep::Nothing);
                model.forward(params, batch, &part, Keep::Nothing, work);
                model.losses(params, &part, work);
            }
        });
        Ok(work.losses.chunks(length).map(mean).collect())
    }

    /// The logits after each of some tokens: a row of the vocabulary for each.
    ///
    /// # Errors
    ///
    /// [`TrainerError`] if `params` or the tokens do not fit the model.
    pub fn logits(&mut self, params: &[f32], tokens: &[u32]) -> Result<Vec<f32>, TrainerError> {
        // A window has one token more than are fed in.
        let window = [tokens, &[0]].concat();
        let batch = self.check(params, &[&window])?;
        let Trainer {
            model, pool, work, ..
        } = self;
        work.load(&[&window]);
        let mut logits = vec![0.0; tokens.len() * model.vocabulary];
        pool.install(|| {
            let part = 0..batch.rows();
            work.fit(model, batch, Keep::Nothing);
            model.forward(params, batch, &part, Keep::Nothing, work);
            let rows = Matrix::new(&work.last, model.width);
            let head = model.head(params, tokens.len()).weight.t();
            parallel_product(rows, head, &mut logits, Start::Zero);
        });
        Ok(logits)
    }

    /// The mean cross-entropy over all tokens of the windows, in nats, and its gradient for every parameter,
    /// before clipping. Windows are as for [`Trainer::losses`].
    ///
    /// # Errors
    ///
    /// [`TrainerError`] if `params` or a window does not fit the model.
    pub fn gradient(
        &mut self,
        params: &[f32],
        windows: &[&[u32]],
    ) -> Result<(f32, &[f32]), TrainerError> {
        let batch = self.check(params, windows)?;
        let (at_once, keep) = (self.windows_at_once(batch)?, self.keep());
        let Trainer {
            model,
            pool,
            work,
            gradient,
            ..
        } = self;
        work.load(windows);
        gradient.resize(params.len(), 0.0);
        let length = batch.length;
        pool.install(|| {
            for part in parts(batch.rows(), at_once * length) {
                let batch = Batch {
                    windows: part.len() / length,
                    length,
                };
                work.fit(model, batch, keep);
                model.forward(params, batch, &part, keep, work);
                model.backward(params, batch, &part, keep, work, gradient);
            }
            model.finish(work, gradient);
        });
        Ok((mean(&self.work.losses), &self.gradient))
    }

    /// One inner step: the gradient of the mean loss over `windows`, clipped to `clip_norm`, then AdamW, and of the
    /// blocks' matrices what the run has for them, at the learning rate that
    /// [`learning_rate`](crate::optimizer::learning_rate) gives for `adam.step`, which goes up by one. Each window has
    /// `sequence_length` + 1 tokens; how many there are is the caller's to decide. Returns the mean loss before the
    /// step.
    ///
    /// # Errors
    ///
    /// [`TrainerError`] if something does not fit the model, or if loss or gradient are not finite; parameters and
    /// state are then as before.
    pub fn step(
        &mut self,
        params: &mut [f32],
        adam: &mut AdamState,
        optimizer: &InnerOptimizer,
        windows: &[&[u32]],
    ) -> Result<f32, TrainerError> {
        self.check_length("the optimizer's first moment", adam.m.len())?;
        let second = optimizer.matrices.second_moments(&self.layout);
        check_second_moment(adam.v.len(), second)?;
        let expected = (optimizer.sequence_length as usize).saturating_add(1);
        check_length(windows, expected)?;
        let (loss, _) = self.gradient(params, windows)?;
        let Trainer {
            pool,
            gradient,
            norm_blocks,
            tensors,
            pieces,
            scratch,
            ..
        } = self;
        let norm = pool.install(|| norm(gradient, norm_blocks));
        if !(loss.is_finite() && norm.is_finite()) {
            return Err(TrainerError::NotFinite { loss, norm });
        }
        let update = Update::new(optimizer, adam.step, norm);
        pool.install(|| match &optimizer.matrices {
            Matrices::AdamW => update.apply(params, &mut adam.m, &mut adam.v, gradient, tensors),
            Matrices::Muon(muon) => Both::new(update, optimizer, muon, adam.step)
                .apply(params, adam, gradient, pieces, scratch),
        });
        adam.step = adam.step.saturating_add(1);
        Ok(loss)
    }

    /// Runs something on the trainer's threads.
    pub(crate) fn install<R: Send>(&self, compute: impl FnOnce() -> R + Send) -> R {
        self.pool.install(compute)
    }

    fn keep(&self) -> Keep {
        if self.settings.recompute {
            Keep::Inputs
        } else {
            Keep::All
        }
    }

    /// How many windows of a batch are computed at once.
    fn windows_at_once(&self, batch: Batch) -> Result<usize, TrainerError> {
        let Some(windows) = self.settings.windows_at_once else {
            return Ok(batch.windows);
        };
        let length = batch.length;
        let even = windows > 0 && windows.saturating_mul(length).is_multiple_of(BLOCK);
        if windows >= batch.windows || even {
            return Ok(windows.min(batch.windows));
        }
        // The largest power of two in the length, up to the block's.
        let common = 1 << length.trailing_zeros().min(BLOCK.trailing_zeros());
        Err(TrainerError::Accumulation {
            windows,
            length,
            multiple: BLOCK / common,
        })
    }

    /// Whether parameters and windows fit the model, and the batch that the windows are.
    fn check(&self, params: &[f32], windows: &[&[u32]]) -> Result<Batch, TrainerError> {
        self.check_length("the vector of parameters", params.len())?;
        let length = check_windows(&self.shape, windows)?;
        Ok(Batch {
            windows: windows.len(),
            length,
        })
    }

    fn check_length(&self, what: &'static str, found: usize) -> Result<(), TrainerError> {
        if found == self.model.parameters {
            return Ok(());
        }
        Err(TrainerError::Length {
            what,
            expected: self.model.parameters,
            found,
        })
    }
}

/// Whether there are as many second moments as the run's optimizer keeps.
pub(crate) fn check_second_moment(found: usize, expected: usize) -> Result<(), TrainerError> {
    if found == expected {
        return Ok(());
    }
    Err(TrainerError::Length {
        what: "the optimizer's second moment",
        expected,
        found,
    })
}

/// What is wrong with a shape.
pub(crate) fn check_shape(shape: &ModelShape) -> Result<(), &'static str> {
    let sizes = [
        shape.d_model,
        shape.ffn,
        shape.vocabulary,
        shape.context,
        shape.rope_theta,
    ];
    let counts = [shape.layers, shape.heads, shape.kv_heads];
    if sizes.contains(&0) || counts.contains(&0) {
        return Err("a size is zero");
    }
    if !shape.d_model.is_multiple_of(u32::from(shape.heads)) {
        return Err("`heads` does not divide `d_model`");
    }
    if !shape.heads.is_multiple_of(shape.kv_heads) {
        return Err("`kv_heads` does not divide `heads`");
    }
    if !shape.head_dim().is_multiple_of(2) {
        return Err("the width of a head is odd");
    }
    let (d, ffn) = (u128::from(shape.d_model), u128::from(shape.ffn));
    let vocabulary = u128::from(shape.vocabulary);
    let per_layer = 4 * d * d + 3 * d * ffn + 2 * d;
    if u128::from(shape.layers) * per_layer + 2 * vocabulary * d > MAX_PARAMETERS {
        return Err("more than 2³⁴ parameters are too many for a CPU");
    }
    if shape.head_dim() as usize > BLOCK {
        return Err("a head is wider than 256");
    }
    Ok(())
}

/// The mean, summed in `f64` in index order.
fn mean(losses: &[f32]) -> f32 {
    let sum = losses.iter().fold(0f64, |sum, loss| sum + f64::from(*loss));
    (sum / losses.len() as f64) as f32
}
