//! What a trainer has on the card, and what is done with it.

use cairn_primitives::{Compression, Layout, Selected};

use super::{
    contribution::Contributions,
    device::{Buffer, Device},
    error::CudaError,
    graph::Captured,
    ops::{Heads, Piece, Update},
    pass::{Parameters, Pass},
    plan::{norm_partials, pieces, Batch, Buffers},
    trainer::CudaOptions,
};
use crate::{
    model::Model,
    windows::{mean_of, tokens_of},
    AdamState,
};

/// Tokens that [`Open::losses`] takes at once.
const LOSS_TOKENS: usize = 16_384;
/// Of the free memory, what activations may take, in percent: cuBLASLt and the driver want some, too.
const SHARE_OF_FREE: usize = 95;

/// What is on the card. Memory is given back before the card is closed: fields are dropped in order.
pub(super) struct Open {
    plan: Option<Plan>,
    pub resident: Resident,
    contributions: Option<Contributions>,
    pub device: Device,
}

/// What stays on the card between steps.
pub(super) struct Resident {
    pub parameters: Parameters,
    pub m: Buffer<f32>,
    pub v: Buffer<f32>,
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

impl Open {
    /// Opens a card and reserves what stays.
    pub fn new(model: &Model, layout: &Layout, options: CudaOptions) -> Result<Open, CudaError> {
        let head_width = Heads::kernel_width(model.width / model.queries);
        let head_width = head_width.ok_or(CudaError::Shape {
            reason: "its heads are wider than 128",
        })?;
        let device = Device::open(options.ordinal, head_width)?;
        let n = model.parameters;
        let resident = Resident {
            parameters: Parameters {
                values: device.buffer(n, "the parameters")?,
                rounded: device.buffer(n, "the parameters' rounded copy")?,
                gradient: device.buffer(n, "the gradient")?,
            },
            m: device.buffer(n, "the optimizer's first moment")?,
            v: device.buffer(n, "the optimizer's second moment")?,
            pieces: device.uploaded(&pieces(layout), "the optimizer's pieces")?,
            update: device.buffer(1, "the optimizer's numbers")?,
            partial: device.buffer(norm_partials(n), "the gradient's norm")?,
            report: device.buffer(2, "the step's report")?,
            update_graph: Captured::default(),
        };
        Ok(Open {
            plan: None,
            resident,
            contributions: None,
            device,
        })
    }

    /// Copies parameters to the card.
    pub fn put_parameters(&mut self, model: &Model, params: &[f32]) -> Result<(), CudaError> {
        let parameters = &mut self.resident.parameters;
        self.device.upload(params, &mut parameters.values)?;
        self.round_parameters(model)
    }

    /// Keeps the parameters where the first moment would be.
    pub fn keep_parameters(&mut self) -> Result<(), CudaError> {
        let Resident { parameters, m, .. } = &mut self.resident;
        self.device.copy(&parameters.values, m)
    }

    /// The parameters become those that were kept.
    pub fn return_parameters(&mut self) -> Result<(), CudaError> {
        let Resident { parameters, m, .. } = &mut self.resident;
        self.device.copy(m, &mut parameters.values)
    }

    /// Makes the products see the parameters as they are now.
    pub fn round_parameters(&self, model: &Model) -> Result<(), CudaError> {
        let parameters = &self.resident.parameters;
        let (rounded, values) = (parameters.rounded.ptr(), parameters.values.ptr());
        self.device.round(rounded, values, model.parameters)
    }

    /// The optimizer's state after `step` steps.
    pub fn adam(&self, step: u64) -> Result<AdamState, CudaError> {
        let (m, v) = (&self.resident.m, &self.resident.v);
        let (m, v) = (self.device.downloaded(m)?, self.device.downloaded(v)?);
        Ok(AdamState { m, v, step })
    }

    /// The blocks by which contributions are made and applied, listed on the card when they are first asked for.
    pub fn contributions(
        &mut self,
        layout: &Layout,
        kept: u16,
    ) -> Result<(&Contributions, &Resident, &Device), CudaError> {
        let Open {
            contributions,
            resident,
            device,
            ..
        } = self;
        let known = contributions.take().filter(|known| known.kept() == kept);
        let known = match known {
            Some(known) => known,
            None => Contributions::new(device, layout, kept)?,
        };
        Ok((contributions.insert(known), resident, device))
    }

    /// What is to be sent of `before` − the parameters, and of `error`; in place of it, what is left. None if something
    /// is not finite, and then there. The gradient and the first moment are lost: their memory is used.
    pub fn select(
        &mut self,
        layout: &Layout,
        compression: &Compression,
        before: &[f32],
        error: &mut [f32],
    ) -> Result<Option<Vec<Selected>>, CudaError> {
        let Resident { parameters, m, .. } = &mut self.resident;
        self.device.upload(before, &mut parameters.gradient)?;
        self.device.upload(error, m)?;
        let kept = compression.kept_per_block;
        let (contributions, Resident { parameters, m, .. }, device) =
            self.contributions(layout, kept)?;
        let (before, after) = (&parameters.gradient, &parameters.values);
        let beta = compression.error_decay.to_f32();
        let selected = contributions.select(device, before, after, m, beta)?;
        device.download(m, error)?;
        Ok(selected)
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
    pub fn accumulate(
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
            ..
        } = self;
        let Some(plan) = plan else {
            return Ok(());
        };
        let share = 1.0 / tokens_of(windows) as f32;
        if plan.share != share {
            (plan.share, plan.graph) = (share, Captured::default());
        }
        let device = &*device;
        device.clear(&resident.parameters.gradient)?;
        device.clear(&resident.report)?;
        for part in windows.chunks(plan.batch.windows) {
            plan.buffers.load(device, part)?;
            let pass = Pass {
                device,
                model,
                parameters: &resident.parameters,
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

    /// Clips the gradient and updates the parameters.
    pub fn update(&mut self, model: &Model, update: Update) -> Result<(), CudaError> {
        let Open {
            resident, device, ..
        } = self;
        device.upload(&[update], &mut resident.update)?;
        let Resident {
            parameters,
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
            let gradient = parameters.gradient.ptr();
            device.norm(norm, partial.ptr(), gradient, model.parameters)?;
            device.adamw(
                parameters.values.ptr(),
                parameters.rounded.ptr(),
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
    pub fn report(&self) -> Result<[f64; 2], CudaError> {
        let mut report = [0f64; 2];
        self.device.download(&self.resident.report, &mut report)?;
        Ok(report)
    }

    /// The mean loss of each window, of `length` tokens, with the parameters on the card.
    pub fn losses(
        &mut self,
        model: &Model,
        options: CudaOptions,
        windows: &[&[u32]],
        length: usize,
    ) -> Result<Vec<f32>, CudaError> {
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
                    parameters: &self.resident.parameters,
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
