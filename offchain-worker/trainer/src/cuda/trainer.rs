//! The trainer on a card: the same losses, gradients and steps as the CPU's.

use cairn_primitives::{InnerOptimizer, ModelShape};
use cudarc::driver::{
    sys::{CUgraphInstantiate_flags, CUstreamCaptureMode},
    CudaGraph,
};

use super::{
    device::{Buffer, Device},
    error::CudaError,
    model::{Pass, Weights},
    ops::{Heads, Piece, Update},
    plan::{norm_partials, Batch, Buffers, Model},
};
use crate::{
    optimizer::learning_rate,
    windows::{check_windows, mean_of},
    AdamState, TrainerError,
};

/// Tokens that [`CudaTrainer::losses`] takes at once.
const LOSS_TOKENS: usize = 16_384;
/// Of the free memory, what activations may take, in percent: cuBLASLt and the driver want some, too.
const SHARE_OF_FREE: usize = 95;

/// How to use a card.
#[derive(Clone, Copy, Debug, Default)]
pub struct CudaOptions {
    /// Which card.
    pub ordinal: usize,
    /// Keep only each layer's input and compute the rest again on the way back, even where memory would
    /// suffice without.
    pub recompute: bool,
    /// The most windows computed at once; as many as fit, if not given. A step of more adds up their gradients.
    pub windows_at_once: Option<usize>,
}

/// Computes losses and training steps of one model on a card.
///
/// Products are of bfloat16 with float accumulation; weights, moments, gradients and the residual stream are
/// float. On one model of card, with one version of driver, NVRTC and cuBLAS, the same arguments give the same
/// bits; they agree with the CPU's within bfloat16's rounding.
pub struct CudaTrainer {
    shape: ModelShape,
    model: Model,
    options: CudaOptions,
    /// Nothing after the card was lost, until the next call opens it again.
    open: Option<Open>,
    gradient: Vec<f32>,
}

/// What is on the card. Memory is given back before the card is closed: fields are dropped in order.
struct Open {
    plan: Option<Plan>,
    resident: Resident,
    device: Device,
}

/// What stays on the card between steps.
struct Resident {
    weights: Weights,
    m: Buffer<f32>,
    v: Buffer<f32>,
    pieces: Buffer<Piece>,
    update: Buffer<Update>,
    partial: Buffer<f64>,
    /// The sum of a step's losses, and the norm of its gradient.
    report: Buffer<f64>,
    update_graph: Captured,
}

/// How a batch is computed, and the memory for it.
struct Plan {
    /// Windows and tokens per window that this is for.
    asked: (usize, usize),
    batch: Batch,
    buffers: Buffers,
    /// The pass, and the share that its gradients have.
    graph: Captured,
    share: f32,
}

/// A sequence of launches that is recorded the second time it is made, and replayed from then on. The first time
/// libraries load what they need, which a recording does not allow.
#[derive(Default)]
struct Captured {
    seen: bool,
    graph: Option<CudaGraph>,
}

// SAFETY: a graph may be used by one thread at a time, and is used through `&mut`.
unsafe impl Send for Captured {}

impl Captured {
    fn run(
        &mut self,
        device: &Device,
        launches: impl FnOnce() -> Result<(), CudaError>,
    ) -> Result<(), CudaError> {
        let replaying = |error| CudaError::driver("replaying a graph", error);
        if let Some(graph) = &self.graph {
            return graph.launch().map_err(replaying);
        }
        if !self.seen {
            self.seen = true;
            return launches();
        }
        let capturing = |error| CudaError::driver("recording a graph", error);
        let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        device.stream.begin_capture(mode).map_err(capturing)?;
        let launched = launches();
        // Ended in any case, or the stream could not be used again.
        let graph = device.stream.end_capture(CUgraphInstantiate_flags(0));
        launched?;
        match graph.map_err(capturing)? {
            Some(graph) => {
                let launched = graph.launch();
                self.graph = Some(graph);
                launched.map_err(replaying)
            }
            None => Ok(()),
        }
    }
}

impl CudaTrainer {
    /// Opens a card for models of `shape`, and reserves memory for weights, gradient and moments: 18 bytes per
    /// parameter.
    ///
    /// # Errors
    ///
    /// [`CudaError`], which says what is missing.
    pub fn new(shape: &ModelShape, options: CudaOptions) -> Result<CudaTrainer, CudaError> {
        let model = Model::new(shape)?;
        let open = Open::new(&model, options)?;
        Ok(CudaTrainer {
            shape: shape.clone(),
            model,
            options,
            open: Some(open),
            gradient: Vec::new(),
        })
    }

    /// The shape of the models that this trainer computes.
    pub fn shape(&self) -> &ModelShape {
        &self.shape
    }

    /// The name of the card, if it is not lost.
    pub fn card(&self) -> Option<&str> {
        self.open
            .as_ref()
            .map(|open| open.device.card().name.as_str())
    }

    /// The mean cross-entropy of each window, in nats per token, as [`Trainer::losses`](crate::Trainer::losses).
    ///
    /// # Errors
    ///
    /// [`TrainerError`] if something does not fit the model, or the card fails.
    pub fn losses(&mut self, params: &[f32], windows: &[&[u32]]) -> Result<Vec<f32>, TrainerError> {
        let length = self.check(params, windows)?;
        self.with_card(|open, model, options| open.losses(model, options, params, windows, length))
    }

    /// The mean cross-entropy over all tokens of the windows and its gradient for every parameter, as
    /// [`Trainer::gradient`](crate::Trainer::gradient).
    ///
    /// # Errors
    ///
    /// [`TrainerError`] if something does not fit the model, or the card fails.
    pub fn gradient(
        &mut self,
        params: &[f32],
        windows: &[&[u32]],
    ) -> Result<(f32, &[f32]), TrainerError> {
        self.check(params, windows)?;
        let mut gradient = std::mem::take(&mut self.gradient);
        gradient.resize(params.len(), 0.0);
        let loss = self.with_card(|open, model, options| {
            open.put_weights(model, params)?;
            open.accumulate(model, options, windows)?;
            let Open {
                resident, device, ..
            } = open;
            device.download(&resident.weights.gradient, &mut gradient)?;
            let [loss, _] = open.report()?;
            Ok(mean_of(loss, tokens(windows)))
        });
        self.gradient = gradient;
        Ok((loss?, &self.gradient))
    }

    /// One inner step, as [`Trainer::step`](crate::Trainer::step). Weights and moments go to the card and back;
    /// for more than one step use [`CudaTrainer::begin`].
    ///
    /// # Errors
    ///
    /// [`TrainerError`] if something does not fit the model, if loss or gradient are not finite, or if the card
    /// fails; weights and state are then as before.
    pub fn step(
        &mut self,
        params: &mut [f32],
        adam: &mut AdamState,
        optimizer: &InnerOptimizer,
        windows: &[&[u32]],
    ) -> Result<f32, TrainerError> {
        let mut steps = self.begin(params, adam)?;
        let loss = steps.step(optimizer, windows)?;
        let (new_params, new_adam) = steps.finish()?;
        params.copy_from_slice(&new_params);
        *adam = new_adam;
        Ok(loss)
    }

    /// Copies weights and moments to the card for a number of steps.
    ///
    /// # Errors
    ///
    /// [`TrainerError`] if they do not fit the model, or the card fails.
    pub fn begin(&mut self, params: &[f32], adam: &AdamState) -> Result<Steps<'_>, TrainerError> {
        self.check_length("the vector of weights", params.len())?;
        self.check_length("the optimizer's first moment", adam.m.len())?;
        self.check_length("the optimizer's second moment", adam.v.len())?;
        self.with_card(|open, model, _| {
            open.put_weights(model, params)?;
            let Open {
                resident, device, ..
            } = open;
            device.upload(&adam.m, &mut resident.m)?;
            device.upload(&adam.v, &mut resident.v)
        })?;
        Ok(Steps {
            done: adam.step,
            trainer: self,
        })
    }

    /// Does something with the card, which is opened if it was lost; forgets it if it is lost now.
    fn with_card<T>(
        &mut self,
        work: impl FnOnce(&mut Open, &Model, CudaOptions) -> Result<T, CudaError>,
    ) -> Result<T, TrainerError> {
        let open = match &mut self.open {
            Some(open) => open,
            place => place.insert(Open::new(&self.model, self.options)?),
        };
        let result = work(open, &self.model, self.options);
        if matches!(&result, Err(error) if error.is_lost()) {
            self.open = None;
        }
        result.map_err(TrainerError::from)
    }

    /// Whether weights and windows fit the model, and how many tokens of a window are fed in.
    fn check(&self, params: &[f32], windows: &[&[u32]]) -> Result<usize, TrainerError> {
        self.check_length("the vector of weights", params.len())?;
        check_windows(&self.shape, windows)
    }

    fn check_length(&self, what: &'static str, found: usize) -> Result<(), TrainerError> {
        let expected = self.model.parameters;
        if found == expected {
            return Ok(());
        }
        Err(TrainerError::Length {
            what,
            expected,
            found,
        })
    }
}

/// Steps on weights that are on the card. What the caller gave stays as it is; [`Steps::finish`] brings back what
/// became of it.
pub struct Steps<'a> {
    trainer: &'a mut CudaTrainer,
    /// Steps that the optimizer has done.
    done: u64,
}

impl Steps<'_> {
    /// One step: gradient, clipping, AdamW. Returns the mean loss before it.
    ///
    /// # Errors
    ///
    /// [`TrainerError`] if windows do not fit the model, if loss or gradient are not finite (the weights on the
    /// card are then as before the step), or if the card fails: all steps since
    /// [`CudaTrainer::begin`] are then lost, and what the caller gave to it is the newest state there is.
    pub fn step(
        &mut self,
        optimizer: &InnerOptimizer,
        windows: &[&[u32]],
    ) -> Result<f32, TrainerError> {
        let expected = (optimizer.sequence_length as usize).saturating_add(1);
        if let Some(window) = windows.iter().position(|tokens| tokens.len() != expected) {
            let found = windows[window].len();
            return Err(TrainerError::Window {
                window,
                expected,
                found,
            });
        }
        check_windows(&self.trainer.shape, windows)?;
        if self.trainer.open.is_none() {
            return Err(TrainerError::Cuda(lost_before()));
        }
        let update = update(optimizer, self.done);
        let [loss, norm] = self.trainer.with_card(|open, model, options| {
            open.accumulate(model, options, windows)?;
            open.update(model, update)?;
            open.report()
        })?;
        let loss = mean_of(loss, tokens(windows));
        if !(loss.is_finite() && norm.is_finite()) {
            return Err(TrainerError::NotFinite { loss, norm });
        }
        self.done = self.done.saturating_add(1);
        Ok(loss)
    }

    /// Weights and optimizer state after the steps.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Cuda`] if the card is lost.
    pub fn finish(self) -> Result<(Vec<f32>, AdamState), TrainerError> {
        if self.trainer.open.is_none() {
            return Err(TrainerError::Cuda(lost_before()));
        }
        let step = self.done;
        self.trainer.with_card(|open, _, _| {
            let Open {
                resident, device, ..
            } = open;
            let params = device.downloaded(&resident.weights.values)?;
            let m = device.downloaded(&resident.m)?;
            let v = device.downloaded(&resident.v)?;
            Ok((params, AdamState { m, v, step }))
        })
    }
}

fn lost_before() -> CudaError {
    CudaError::Lost {
        doing: "an earlier step",
        error: "see the error before".into(),
    }
}

/// The tokens that windows predict.
fn tokens(windows: &[&[u32]]) -> usize {
    windows.iter().map(|window| window.len() - 1).sum()
}

/// The numbers of the update after `done` steps; the CPU's, to the bit.
pub(crate) fn update(optimizer: &InnerOptimizer, done: u64) -> Update {
    let (beta1, beta2) = (optimizer.beta1.to_f64(), optimizer.beta2.to_f64());
    let (rate, step) = (learning_rate(optimizer, done), done as f64 + 1.0);
    Update {
        clip_norm: optimizer.clip_norm.to_f64(),
        beta1: beta1 as f32,
        beta2: beta2 as f32,
        rate: (rate / (1.0 - libm::pow(beta1, step))) as f32,
        correction: (1.0 / (1.0 - libm::pow(beta2, step))) as f32,
        epsilon: optimizer.epsilon.to_f32(),
        kept: (1.0 - rate * optimizer.weight_decay.to_f64()) as f32,
    }
}

impl Open {
    fn new(model: &Model, options: CudaOptions) -> Result<Open, CudaError> {
        let head_width = Heads::kernel_width(model.width / model.queries);
        let head_width = head_width.ok_or(CudaError::Shape {
            reason: "its heads are wider than 128",
        })?;
        let device = Device::open(options.ordinal, head_width)?;
        let n = model.parameters;
        let resident = Resident {
            weights: Weights {
                values: device.buffer(n, "the weights")?,
                rounded: device.buffer(n, "the weights' rounded copy")?,
                gradient: device.buffer(n, "the gradient")?,
            },
            m: device.buffer(n, "the optimizer's first moment")?,
            v: device.buffer(n, "the optimizer's second moment")?,
            pieces: device.uploaded(&model.pieces, "the optimizer's pieces")?,
            update: device.buffer(1, "the optimizer's numbers")?,
            partial: device.buffer(norm_partials(n), "the gradient's norm")?,
            report: device.buffer(2, "the step's report")?,
            update_graph: Captured::default(),
        };
        Ok(Open {
            plan: None,
            resident,
            device,
        })
    }

    fn put_weights(&mut self, model: &Model, params: &[f32]) -> Result<(), CudaError> {
        let weights = &mut self.resident.weights;
        self.device.upload(params, &mut weights.values)?;
        let (rounded, values) = (weights.rounded.ptr(), weights.values.ptr());
        self.device.round(rounded, values, model.parameters)
    }

    /// Makes the plan fit `windows` windows of `length` tokens.
    fn fit(
        &mut self,
        model: &Model,
        options: CudaOptions,
        windows: usize,
        length: usize,
    ) -> Result<(), CudaError> {
        let asked = (windows, length);
        if self.plan.as_ref().is_some_and(|plan| plan.asked == asked) {
            return Ok(());
        }
        // What the old plan had is free again before the new one is made.
        self.plan = None;
        self.device.synchronize("freeing a batch's memory")?;
        let batch = self.choose(model, options, windows, length)?;
        self.plan = Some(Plan {
            asked,
            batch,
            buffers: Buffers::new(&self.device, model, batch)?,
            graph: Captured::default(),
            share: 0.0,
        });
        Ok(())
    }

    /// As many windows at once as fit, without computing anything twice if possible; always a divisor of all,
    /// so that every part is the same graph.
    fn choose(
        &self,
        model: &Model,
        options: CudaOptions,
        windows: usize,
        length: usize,
    ) -> Result<Batch, CudaError> {
        let free = self.device.memory()?.0 / 100 * SHARE_OF_FREE;
        let most = options.windows_at_once.unwrap_or(windows).max(1);
        let divisors = || {
            (1..=windows.min(most))
                .rev()
                .filter(|n| windows.is_multiple_of(*n))
        };
        let batch = |windows, recompute| Batch {
            windows,
            length,
            recompute,
        };
        let fitting = [options.recompute, true]
            .into_iter()
            .flat_map(|recompute| divisors().map(move |windows| batch(windows, recompute)))
            .find(|batch| batch.bytes(model) <= free);
        // If nothing fits, reserving the least of all says by how much.
        Ok(fitting.unwrap_or(batch(1, true)))
    }

    /// The gradient of the mean loss over all windows, and the sum of their losses.
    fn accumulate(
        &mut self,
        model: &Model,
        options: CudaOptions,
        windows: &[&[u32]],
    ) -> Result<(), CudaError> {
        let length = windows.first().map_or(0, |window| window.len() - 1);
        self.fit(model, options, windows.len(), length)?;
        let Open {
            plan,
            resident,
            device,
        } = self;
        let Some(plan) = plan else {
            return Ok(());
        };
        let share = 1.0 / tokens(windows) as f32;
        if plan.share != share {
            (plan.share, plan.graph) = (share, Captured::default());
        }
        let device = &*device;
        device.clear(&resident.weights.gradient)?;
        device.clear(&resident.report)?;
        for part in windows.chunks(plan.batch.windows) {
            plan.buffers.load(device, part)?;
            let pass = Pass {
                device,
                model,
                weights: &resident.weights,
                buffers: &plan.buffers,
                batch: plan.batch,
            };
            let losses = plan.buffers.losses.ptr();
            plan.graph.run(device, || {
                pass.forward(true)?;
                pass.backward(share)?;
                device.add_losses(resident.report.ptr(), losses, plan.batch.rows())
            })?;
        }
        Ok(())
    }

    /// Clips the gradient and updates the weights.
    fn update(&mut self, model: &Model, update: Update) -> Result<(), CudaError> {
        let Open {
            resident, device, ..
        } = self;
        device.upload(&[update], &mut resident.update)?;
        let Resident {
            weights,
            m,
            v,
            pieces,
            update,
            partial,
            report,
            update_graph,
        } = resident;
        let (loss, norm) = (report.at(0), report.at(1));
        update_graph.run(device, || {
            let gradient = weights.gradient.ptr();
            device.norm(norm, partial.ptr(), gradient, model.parameters)?;
            device.adamw(
                weights.values.ptr(),
                weights.rounded.ptr(),
                m.ptr(),
                v.ptr(),
                gradient,
                (pieces.ptr(), pieces.len()),
                update.ptr(),
                norm,
                loss,
            )
        })
    }

    /// The sum of the losses, and the gradient's norm.
    fn report(&self) -> Result<[f64; 2], CudaError> {
        let mut report = [0f64; 2];
        self.device.download(&self.resident.report, &mut report)?;
        Ok(report)
    }

    fn losses(
        &mut self,
        model: &Model,
        options: CudaOptions,
        params: &[f32],
        windows: &[&[u32]],
        length: usize,
    ) -> Result<Vec<f32>, CudaError> {
        self.put_weights(model, params)?;
        let mut losses = Vec::with_capacity(windows.len());
        let options = CudaOptions {
            recompute: true,
            ..options
        };
        for windows in windows.chunks((LOSS_TOKENS / length).max(1)) {
            self.fit(model, options, windows.len(), length)?;
            let Some(plan) = &mut self.plan else {
                continue;
            };
            for part in windows.chunks(plan.batch.windows) {
                plan.buffers.load(&self.device, part)?;
                let pass = Pass {
                    device: &self.device,
                    model,
                    weights: &self.resident.weights,
                    buffers: &plan.buffers,
                    batch: plan.batch,
                };
                pass.forward(false)?;
                pass.losses()?;
                let each = self.device.downloaded(&plan.buffers.losses)?;
                let sum = |window: &[f32]| window.iter().map(|loss| f64::from(*loss)).sum::<f64>();
                losses.extend(each.chunks(length).map(|one| mean_of(sum(one), length)));
            }
        }
        Ok(losses)
    }
}
