//! What a trainer has on the card, and what is done with it.

use std::ops::Range;

use cairn_primitives::{
    blocks::{Kept, Turn},
    Compression, Layout, Matrices, Selected,
};

use super::{
    contribution::Contributions,
    device::{Buffer, Device},
    error::CudaError,
    graph::Captured,
    muon::{self, OnCard},
    ops::{Heads, Piece, Update},
    pass::{Parameters, Pass},
    plan::{norm_partials, pieces, Batch, Buffers},
    trainer::CudaOptions,
};
use crate::{model::Model, windows::mean_of};

/// Tokens that [`Open::losses`] takes at once.
const LOSS_TOKENS: usize = 16_384;
/// Of the free memory, what activations may take, in percent: cuBLASLt and the driver want some, too.
const SHARE_OF_FREE: usize = 95;

/// What is on the card. Memory is given back before the card is closed: fields are dropped in order.
pub(super) struct Open {
    plan: Option<Plan>,
    pub resident: Resident,
    contributions: Vec<Contributions>,
    pub device: Device,
}

/// What stays on the card between steps.
pub(super) struct Resident {
    pub parameters: Parameters,
    /// The moments of a shard of the parameters: of all, unless other cards have the rest.
    m: Buffer<f32>,
    v: Buffer<f32>,
    /// What steps the matrices of the blocks, if AdamW does not.
    muon: Option<OnCard>,
    /// Room for as many numbers as there are parameters, where the first moment is not: between steps only.
    room: Option<Buffer<f32>>,
    pieces: Buffer<Piece>,
    update: Buffer<Update>,
    partial: Buffer<f64>,
    /// The sum of a step's losses, and the norm of its gradient.
    pub report: Buffer<f64>,
    update_graph: Captured,
}

impl Resident {
    /// Where as many numbers as there are parameters have room, once [`Open::make_room`] was called.
    fn room(&self) -> &Buffer<f32> {
        self.room.as_ref().unwrap_or(&self.m)
    }
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
    /// Opens a card and reserves what stays: for the optimizer, what it needs for a shard of the flat vector. What is not
    /// AdamW's is not sharded.
    pub fn new(
        model: &Model,
        layout: &Layout,
        ordinal: usize,
        shard: Range<usize>,
        matrices: &Matrices,
    ) -> Result<Open, CudaError> {
        let head_width = Heads::kernel_width(model.width / model.queries);
        let head_width = head_width.ok_or(CudaError::Shape {
            reason: "its heads are wider than 128",
        })?;
        let device = Device::open(ordinal, head_width)?;
        let n = model.parameters;
        let (second, muon) = match matrices {
            Matrices::AdamW => (shard.len(), None),
            Matrices::Muon(_) => (
                matrices.second_moments(layout),
                Some(OnCard::new(&device, layout)?),
            ),
        };
        let pieces = pieces(layout, &shard, matrices);
        let resident = Resident {
            parameters: Parameters {
                values: device.buffer(n, "the parameters")?,
                rounded: device.buffer(n, "the parameters' rounded copy")?,
                gradient: device.buffer(n, "the gradient")?,
            },
            m: device.buffer(shard.len(), "the optimizer's first moment")?,
            v: device.buffer(second, "the optimizer's second moment")?,
            muon,
            room: None,
            pieces: device.uploaded(&pieces, "the optimizer's pieces")?,
            update: device.buffer(1, "the optimizer's numbers")?,
            partial: device.buffer(norm_partials(n), "the gradient's norm")?,
            report: device.buffer(2, "the step's report")?,
            update_graph: Captured::default(),
        };
        Ok(Open {
            plan: None,
            resident,
            contributions: Vec::new(),
            device,
        })
    }

    /// Copies parameters to the card.
    pub fn put_parameters(&mut self, model: &Model, params: &[f32]) -> Result<(), CudaError> {
        let parameters = &mut self.resident.parameters;
        self.device.upload(params, &mut parameters.values)?;
        self.round_parameters(model)
    }

    /// Copies parameters and moments to the card for steps.
    pub fn begin(
        &mut self,
        model: &Model,
        params: &[f32],
        (m, v): (&[f32], &[f32]),
    ) -> Result<(), CudaError> {
        self.device.bind()?;
        self.resident.room = None;
        self.put_parameters(model, params)?;
        self.device.upload(m, &mut self.resident.m)?;
        self.device.upload(v, &mut self.resident.v)
    }

    /// Makes room for as many numbers as there are parameters. Without moments of all, it is where activations were.
    fn make_room(&mut self) -> Result<(), CudaError> {
        let all = self.resident.parameters.values.len();
        if self.resident.m.len() < all && self.resident.room.is_none() {
            self.plan = None;
            self.device.synchronize("freeing a batch's memory")?;
            let room = self.device.buffer(all, "what is made of a round's steps")?;
            self.resident.room = Some(room);
        }
        Ok(())
    }

    /// Makes sure now that there will be room after the steps.
    pub fn try_room(&mut self) -> Result<(), CudaError> {
        self.make_room()?;
        self.resident.room = None;
        Ok(())
    }

    /// Keeps the parameters beside those in use.
    pub fn keep_parameters(&mut self) -> Result<(), CudaError> {
        self.make_room()?;
        let Resident {
            parameters,
            room,
            m,
            ..
        } = &mut self.resident;
        let room = room.as_mut().unwrap_or(m);
        self.device.copy(&parameters.values, room)
    }

    /// The parameters become those that were kept.
    pub fn return_parameters(&mut self) -> Result<(), CudaError> {
        let Resident {
            parameters,
            room,
            m,
            ..
        } = &mut self.resident;
        let room = room.as_ref().unwrap_or(m);
        self.device.copy(room, &mut parameters.values)
    }

    /// Makes the products see the parameters as they are now.
    pub fn round_parameters(&self, model: &Model) -> Result<(), CudaError> {
        let parameters = &self.resident.parameters;
        let (rounded, values) = (parameters.rounded.ptr(), parameters.values.ptr());
        self.device.round(rounded, values, model.parameters)
    }

    /// The moments that are here.
    pub fn moments(&self) -> Result<(Vec<f32>, Vec<f32>), CudaError> {
        let (m, v) = (&self.resident.m, &self.resident.v);
        Ok((self.device.downloaded(m)?, self.device.downloaded(v)?))
    }

    /// The blocks by which contributions are made and applied, listed on the card when they are first asked for; of
    /// each turn, since others' have to be tried out one after another.
    pub fn contributions(
        &mut self,
        layout: &Layout,
        kept: Kept,
    ) -> Result<(&Contributions, &Resident, &Device), CudaError> {
        let Open {
            contributions,
            resident,
            device,
            ..
        } = self;
        let known = contributions.iter().position(|one| one.kept() == kept);
        let at = match known {
            Some(at) => at,
            None => {
                if contributions.len() >= usize::from(Turn::MOST) {
                    contributions.clear();
                }
                contributions.push(Contributions::new(device, layout, kept)?);
                contributions.len() - 1
            }
        };
        Ok((&contributions[at], resident, device))
    }

    /// What is to be sent of `before` − the parameters, and of `error`; in place of it, what is left. None if something
    /// is not finite, and then there. The gradient and, on a card alone, the first moment are lost: their memory is
    /// used.
    pub fn select(
        &mut self,
        layout: &Layout,
        compression: &Compression,
        before: &[f32],
        error: &mut [f32],
    ) -> Result<Option<Vec<Selected>>, CudaError> {
        self.make_room()?;
        let Resident {
            parameters,
            room,
            m,
            ..
        } = &mut self.resident;
        self.device.upload(before, &mut parameters.gradient)?;
        self.device.upload(error, room.as_mut().unwrap_or(m))?;
        let kept = Kept::of(compression).map_err(super::contribution::impossible)?;
        let (contributions, resident, device) = self.contributions(layout, kept)?;
        let parameters = &resident.parameters;
        let (before, after) = (&parameters.gradient, &parameters.values);
        let beta = compression.error_decay.to_f32();
        let selected = contributions.select(device, before, after, resident.room(), beta)?;
        device.download(resident.room(), error)?;
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

    /// The windows' part of the gradient of the mean loss over `tokens` tokens, and the sum of their losses. `tokens`
    /// are those of all windows of the step, of which others may have some.
    pub fn accumulate(
        &mut self,
        model: &Model,
        options: CudaOptions,
        windows: &[&[u32]],
        tokens: usize,
    ) -> Result<(), CudaError> {
        self.device.clear(&self.resident.parameters.gradient)?;
        self.device.clear(&self.resident.report)?;
        let length = match windows.first() {
            Some(window) => window.len() - 1,
            None => return Ok(()),
        };
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
        let share = 1.0 / tokens as f32;
        if plan.share != share {
            (plan.share, plan.graph) = (share, Captured::default());
        }
        let device = &*device;
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

    /// Clips the gradient and updates the parameters, on a card alone; by Muon's numbers what is Muon's.
    pub fn update(
        &mut self,
        update: Update,
        numbers: Option<muon::Numbers>,
    ) -> Result<(), CudaError> {
        self.put_update(update)?;
        if let (Some(muon), Some(numbers)) = (&mut self.resident.muon, numbers) {
            muon.put(&self.device, numbers)?;
        }
        let all = 0..self.resident.parameters.values.len();
        let mut graph = std::mem::take(&mut self.resident.update_graph);
        let done = graph.run(&self.device, || {
            self.norm_of(all)?;
            self.adamw()?;
            self.muon()
        });
        self.resident.update_graph = graph;
        done
    }

    /// Copies the numbers of a step of AdamW to the card.
    pub fn put_update(&mut self, update: Update) -> Result<(), CudaError> {
        self.device.upload(&[update], &mut self.resident.update)
    }

    /// Reports the norm of a shard of the gradient.
    pub fn norm_of(&self, shard: Range<usize>) -> Result<(), CudaError> {
        let Resident {
            parameters,
            partial,
            report,
            ..
        } = &self.resident;
        let gradient = parameters.gradient.at(shard.start);
        let norm = report.at(1);
        self.device.norm(norm, partial.ptr(), gradient, shard.len())
    }

    /// A step of AdamW on what has moments here, by the numbers and the report that are on the card.
    pub fn adamw(&self) -> Result<(), CudaError> {
        let Resident {
            parameters,
            m,
            v,
            pieces,
            update,
            report,
            ..
        } = &self.resident;
        self.device.adamw(
            parameters.values.ptr(),
            parameters.rounded.ptr(),
            m.ptr(),
            v.ptr(),
            parameters.gradient.ptr(),
            (pieces.ptr(), pieces.len()),
            update.ptr(),
            report.at(1),
            report.at(0),
        )
    }

    /// A step of Muon on the matrices that are not AdamW's, if there are any, by the same numbers and report.
    fn muon(&self) -> Result<(), CudaError> {
        let Resident {
            parameters,
            m,
            partial,
            report,
            muon,
            ..
        } = &self.resident;
        match muon {
            Some(muon) => muon.step(&self.device, parameters, m, partial, report),
            None => Ok(()),
        }
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
