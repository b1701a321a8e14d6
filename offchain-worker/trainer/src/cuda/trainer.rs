//! The trainer on a card: the same losses, gradients and steps as the CPU's.

use std::time::Duration;

use cairn_primitives::{Compression, InnerOptimizer, Layout, Matrices, ModelShape, Selected};

use super::{
    error::CudaError, muon::Numbers, open::Open, ops::Update, peak::peak_flops, plan, ranks::Cards,
};
use crate::{
    model::Model,
    optimizer::learning_rate,
    trainer::check_second_moment,
    windows::{check_length, check_windows, mean_of, tokens_of},
    AdamState, TrainerError,
};

/// How to use a card, or several.
#[derive(Clone, Copy, Debug, Default)]
pub struct CudaOptions {
    /// Which card; of several the first.
    pub ordinal: usize,
    /// So many cards behind it make steps with it.
    pub others: usize,
    /// Keep only each layer's input and compute the rest again on the way back, even where memory would
    /// suffice without.
    pub recompute: bool,
    /// The most windows computed at once; as many as fit, if not given. A step of more adds up their gradients.
    pub windows_at_once: Option<usize>,
    /// Of several cards: the most numbers of a gradient's shard that cross to a card from each other at once; 4 Mi if
    /// not given. No bit depends on it.
    pub crossing: Option<usize>,
    /// What steps the matrices of the blocks: Muon only on one card. Of Muon's numbers those count that a step is given.
    pub matrices: Matrices,
    /// Of several cards: how long one waits for the others; 300 s if not given.
    pub deadline: Option<Duration>,
}

impl CudaOptions {
    /// Cards that make steps together.
    pub fn ranks(&self) -> usize {
        self.others.saturating_add(1)
    }
}

/// Computes losses and training steps of one model on a card, or steps on several and all else on the first of them.
///
/// Products are of bfloat16 with float accumulation; parameters, moments, gradients and the residual stream are
/// float. On one model of card, with one version of driver, NVRTC and cuBLAS, the same arguments give the same
/// bits; they agree with the CPU's within bfloat16's rounding. The number of cards is one of the arguments.
pub struct CudaTrainer {
    shape: ModelShape,
    layout: Layout,
    model: Model,
    options: CudaOptions,
    /// Nothing after the card was lost, until the next call opens it again.
    open: Option<Cards>,
    /// What has been put on the card and goes on there.
    under_way: UnderWay,
    gradient: Vec<f32>,
}

/// Work that goes on with what is on the card. One at a time: each uses the memory of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnderWay {
    /// Nothing, or it was lost.
    Nothing,
    /// Steps, of which the optimizer has done so many in all.
    Steps { done: u64 },
    /// A trial.
    Trial,
}

impl CudaTrainer {
    /// Opens a card for models of `shape`, and reserves memory for parameters, gradient and moments: 18 bytes per
    /// parameter. With Muon it is 4 less for each of the blocks' matrices' elements, and at most 14 more for each of the
    /// largest one's. On N cards it is 10 + 8/N, and 4 more on the first for what is made of a round's steps.
    ///
    /// # Errors
    ///
    /// [`CudaError`], which says what is missing.
    pub fn new(shape: &ModelShape, options: CudaOptions) -> Result<CudaTrainer, CudaError> {
        let (model, layout) = (plan::model(shape)?, Layout::of(shape));
        let open = Cards::open(&model, &layout, options)?;
        Ok(CudaTrainer {
            shape: shape.clone(),
            layout,
            model,
            options,
            open: Some(open),
            under_way: UnderWay::Nothing,
            gradient: Vec::new(),
        })
    }

    /// The shape of the models that this trainer computes.
    pub fn shape(&self) -> &ModelShape {
        &self.shape
    }

    /// The name of the card, if it is not lost; of several with their number.
    pub fn card(&self) -> Option<String> {
        self.open.as_ref().map(Cards::name)
    }

    /// Bytes of the card's memory, of several the first's, that are taken by all that was computed so far; what others
    /// take meanwhile counts, too.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Cuda`] if the card does not answer.
    pub fn memory_taken(&mut self) -> Result<usize, TrainerError> {
        self.with_card(|open, _, _| {
            let free = open.device.memory()?.0;
            Ok(open.device.card().free.saturating_sub(free))
        })
    }

    /// What products of large matrices reach on the card, in floating-point operations per second; of several what they
    /// reach on the first, for each of them.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Cuda`] if it has no memory left for them, or fails.
    pub fn peak_flops(&mut self) -> Result<f64, TrainerError> {
        self.with_card(|open, _, options| Ok(peak_flops(&open.device)? * options.ranks() as f64))
    }

    /// The mean cross-entropy of each window, in nats per token, as [`Trainer::losses`](crate::Trainer::losses).
    ///
    /// # Errors
    ///
    /// [`TrainerError`] if something does not fit the model, or the card fails.
    pub fn losses(&mut self, params: &[f32], windows: &[&[u32]]) -> Result<Vec<f32>, TrainerError> {
        let length = self.check(params, windows)?;
        self.under_way = UnderWay::Nothing;
        self.with_card(|open, model, options| {
            open.put_parameters(model, params)?;
            open.losses(model, options, windows, length)
        })
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
        self.under_way = UnderWay::Nothing;
        let mut gradient = std::mem::take(&mut self.gradient);
        gradient.resize(params.len(), 0.0);
        let loss = self.with_card(|open, model, options| {
            open.put_parameters(model, params)?;
            open.accumulate(model, options, windows, tokens_of(windows))?;
            open.device
                .download(&open.resident.parameters.gradient, &mut gradient)?;
            let [loss, _] = open.report()?;
            Ok(mean_of(loss, tokens_of(windows)))
        });
        self.gradient = gradient;
        Ok((loss?, &self.gradient))
    }

    /// One inner step, as [`Trainer::step`](crate::Trainer::step). Parameters and moments go to the card and back;
    /// for more than one step use [`CudaTrainer::begin`].
    ///
    /// # Errors
    ///
    /// [`TrainerError`] if something does not fit the model, if loss or gradient are not finite, or if the card
    /// fails; parameters and state are then as before.
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

    /// Copies parameters and moments to the card for a number of steps.
    ///
    /// # Errors
    ///
    /// [`TrainerError`] if they do not fit the model, or the card fails.
    pub fn begin(&mut self, params: &[f32], adam: &AdamState) -> Result<Steps<'_>, TrainerError> {
        self.check_length("the vector of parameters", params.len())?;
        self.check_length("the optimizer's first moment", adam.m.len())?;
        self.check_second_moment(&self.options.matrices, adam.v.len())?;
        self.under_way = UnderWay::Nothing;
        self.with_cards(|cards, model| cards.begin(model, params, adam))?;
        self.under_way = UnderWay::Steps { done: adam.step };
        Ok(Steps { trainer: self })
    }

    /// The steps that [`CudaTrainer::begin`] began, unless something else was computed since or the card was lost.
    pub fn steps(&mut self) -> Option<Steps<'_>> {
        match self.under_way {
            UnderWay::Steps { .. } => Some(Steps { trainer: self }),
            UnderWay::Nothing | UnderWay::Trial => None,
        }
    }

    /// Does something with the first card, which is opened if it was lost; forgets it if it is lost now. That it cannot
    /// be opened any more is [`CudaError::Broken`].
    pub(super) fn with_card<T>(
        &mut self,
        work: impl FnOnce(&mut Open, &Model, CudaOptions) -> Result<T, CudaError>,
    ) -> Result<T, TrainerError> {
        let options = self.options;
        self.with_cards(|cards, model| work(cards.first_mut(), model, options))
    }

    /// The same with all cards.
    fn with_cards<T>(
        &mut self,
        work: impl FnOnce(&mut Cards, &Model) -> Result<T, CudaError>,
    ) -> Result<T, TrainerError> {
        let open = match &mut self.open {
            Some(open) => open,
            place => {
                let opened = Cards::open(&self.model, &self.layout, self.options);
                place.insert(opened.map_err(CudaError::anew)?)
            }
        };
        let bound = open.first().device.bind();
        let result = bound.and_then(|()| work(open, &self.model));
        // Of several, one that failed leaves the others in the middle of something.
        let is_over =
            |error: &CudaError| error.is_lost() || matches!(error, CudaError::OnCard { .. });
        if matches!(&result, Err(error) if is_over(error)) {
            self.open = None;
            self.under_way = UnderWay::Nothing;
        }
        result.map_err(TrainerError::from)
    }

    /// Steps that the optimizer has done, if they are still on the card.
    fn done(&self) -> Result<u64, TrainerError> {
        match self.under_way {
            UnderWay::Steps { done } => Ok(done),
            UnderWay::Nothing | UnderWay::Trial => Err(TrainerError::Cuda(lost())),
        }
    }

    /// Whether parameters and windows fit the model, and how many tokens of a window are fed in.
    fn check(&self, params: &[f32], windows: &[&[u32]]) -> Result<usize, TrainerError> {
        self.check_length("the vector of parameters", params.len())?;
        self.check_windows(windows)
    }

    pub(super) fn check_windows(&self, windows: &[&[u32]]) -> Result<usize, TrainerError> {
        check_windows(&self.shape, windows)
    }

    pub(super) fn set_under_way(&mut self, work: UnderWay) {
        self.under_way = work;
    }

    pub(super) fn is_on_trial(&self) -> bool {
        self.under_way == UnderWay::Trial
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether so many second moments are those of a run whose matrices are stepped so.
    fn check_second_moment(&self, matrices: &Matrices, found: usize) -> Result<(), TrainerError> {
        check_second_moment(found, matrices.second_moments(&self.layout))
    }

    pub(super) fn check_length(
        &self,
        what: &'static str,
        found: usize,
    ) -> Result<(), TrainerError> {
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

/// What was put on the card is not there any more.
pub(super) fn lost() -> CudaError {
    CudaError::Lost {
        doing: "an earlier step",
        error: "see the error before".into(),
    }
}

/// Steps on parameters that are on the card. What the caller gave stays as it is; [`Steps::finish`] brings back what
/// became of it.
pub struct Steps<'a> {
    trainer: &'a mut CudaTrainer,
}

impl Steps<'_> {
    /// One step: gradient, clipping, AdamW, and of the blocks' matrices what the run has for them. Returns the mean loss
    /// before it.
    ///
    /// # Errors
    ///
    /// [`TrainerError`] if windows do not fit the model, if the card was opened for other matrices
    /// ([`CudaOptions::matrices`]), if loss or gradient are not finite (the parameters on the card are then as before
    /// the step), or if the card fails: all steps since [`CudaTrainer::begin`] are then lost, and what the caller gave to
    /// it is the newest state there is.
    pub fn step(
        &mut self,
        optimizer: &InnerOptimizer,
        windows: &[&[u32]],
    ) -> Result<f32, TrainerError> {
        let expected = (optimizer.sequence_length as usize).saturating_add(1);
        check_length(windows, expected)?;
        check_windows(&self.trainer.shape, windows)?;
        let opened = &self.trainer.options.matrices;
        let second = opened.second_moments(&self.trainer.layout);
        self.trainer
            .check_second_moment(&optimizer.matrices, second)?;
        let done = self.trainer.done()?;
        let update = update(optimizer, done);
        let numbers = match &optimizer.matrices {
            Matrices::AdamW => None,
            Matrices::Muon(muon) => Some(Numbers::new(optimizer, muon, done)),
        };
        let [loss, norm] = self
            .trainer
            .with_cards(|cards, model| cards.step(model, windows, update, numbers))?;
        let loss = mean_of(loss, tokens_of(windows));
        if !(loss.is_finite() && norm.is_finite()) {
            return Err(TrainerError::NotFinite { loss, norm });
        }
        let done = done.saturating_add(1);
        self.trainer.under_way = UnderWay::Steps { done };
        Ok(loss)
    }

    /// Parameters and optimizer state after the steps.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Cuda`] if the card is lost.
    pub fn finish(mut self) -> Result<(Vec<f32>, AdamState), TrainerError> {
        self.copied()
    }

    /// Parameters and optimizer state after the steps so far; more may follow.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Cuda`] if the card is lost.
    pub fn copied(&mut self) -> Result<(Vec<f32>, AdamState), TrainerError> {
        let step = self.trainer.done()?;
        self.trainer.with_cards(|cards, _| {
            let first = cards.first();
            let params = first.device.downloaded(&first.resident.parameters.values)?;
            Ok((params, cards.adam(step)?))
        })
    }

    /// What is to be sent of the pseudo-gradient, `before` less the parameters after the steps, and of the error
    /// feedback of earlier rounds: selected and rounded on the card, so that no parameters come back. The bits are
    /// those of `cairn_gradient::compress`.
    ///
    /// # Errors
    ///
    /// [`TrainerError`] if something does not fit the model or is not finite, or if the card fails.
    pub fn select(
        self,
        before: &[f32],
        error: &[f32],
        compression: &Compression,
    ) -> Result<Sending, TrainerError> {
        let Steps { trainer } = self;
        let done = trainer.done()?;
        trainer.check_length("the vector of parameters", before.len())?;
        trainer.check_length("the error feedback", error.len())?;
        let layout = trainer.layout.clone();
        // The memory of the moments is used for the selection.
        trainer.under_way = UnderWay::Nothing;
        let mut error = error.to_vec();
        let (selected, adam) = trainer.with_cards(|cards, _| {
            let adam = cards.adam(done)?;
            let selected = cards
                .first_mut()
                .select(&layout, compression, before, &mut error)?;
            Ok((selected, adam))
        })?;
        match selected {
            Some(selected) => Ok(Sending {
                selected,
                error,
                adam,
            }),
            None => Err(unsendable(&layout, &error)),
        }
    }
}

/// What a round's steps brought.
#[derive(Clone, Debug, PartialEq)]
pub struct Sending {
    /// What is sent of each tensor, in the layout's order.
    pub selected: Vec<Selected>,
    /// The error feedback: what is not sent.
    pub error: Vec<f32>,
    /// The optimizer's state.
    pub adam: AdamState,
}

/// Names the first element that is not finite.
fn unsendable(layout: &Layout, accumulated: &[f32]) -> TrainerError {
    let at = accumulated.iter().position(|value| !value.is_finite());
    let at = at.unwrap_or_default();
    let of = layout.ranges().find(|(_, range)| range.contains(&at));
    let (tensor, index) = of.map_or_else(Default::default, |(tensor, range)| {
        (tensor.name.clone(), at - range.start)
    });
    TrainerError::Unsendable { tensor, index }
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
