//! An engine on an NVIDIA card, or on several of one machine.
//!
//! Steps are made, and what is sent of them is selected, on the card; the outer step and the root are the CPU's. The
//! held state is in the host's memory, too, so that a lost card costs a round's steps and nothing else. Between steps
//! and contribution parameters stay on the card, and so does the base for as long as only measuring goes on. Several
//! cards make steps together; everything else is the first one's.

use std::{borrow::Cow, io, ops::Range};

use cairn_gradient::{Checked, Header, SparseTensor};
use cairn_primitives::{
    blocks::Kept, Compression, EngineClass, InnerOptimizer, Layout, ModelRoot, RunConfig, Selected,
    Uid,
};
use cairn_trainer::{
    cuda::{
        contribution::{OuterRule, Share},
        CudaOptions, CudaTrainer, Sending, Steps,
    },
    AdamState,
};

use crate::{
    host::{left_to, trace_state, Host, Made, Model, Taken},
    start::Start,
    work::{pieces, replayed, steps, Look, Stepping},
    Engine, EngineError, Keeper, Order, Part, Sequences, Settlement, Shared, State, StepDone,
    Trained, Version,
};

/// Trains on a card.
pub struct Cuda {
    card: CudaTrainer,
    host: Host<OnCard>,
    /// The root of the parameters that the card was given to measure.
    measured: Option<ModelRoot>,
}

/// The parameters after the steps are on the card.
struct OnCard;

/// Inner steps on a card.
struct Under<'a> {
    steps: Steps<'a>,
    inner: &'a InnerOptimizer,
}

impl Stepping for Under<'_> {
    fn step(&mut self, batch: &[&[u32]]) -> Result<f32, EngineError> {
        Ok(self.steps.step(self.inner, batch)?)
    }

    fn traced(&mut self, keeps: bool) -> Result<Look, EngineError> {
        let (parameters, optimizer) = self.steps.copied()?;
        Ok(Look {
            traced: trace_state(&parameters, Some(&optimizer)),
            vectors: keeps.then_some((parameters, optimizer)),
        })
    }

    fn serves_ends(&self) -> bool {
        true
    }

    fn left(mut self) -> Result<(Vec<f32>, AdamState), EngineError> {
        Ok(self.steps.copied()?)
    }
}

impl Cuda {
    /// Opens a card, or several, for a run.
    ///
    /// # Errors
    ///
    /// [`EngineError`], which says what is missing; [`EngineError::Matrices`] of several cards if the run's matrices are
    /// Muon's.
    pub fn new(config: &RunConfig, options: CudaOptions) -> Result<Cuda, EngineError> {
        let options = CudaOptions {
            matrices: config.inner.matrices,
            ..options
        };
        let opened = CudaTrainer::new(&config.model, options);
        let card = opened.map_err(|error| EngineError::from(error).unopened())?;
        Ok(Cuda {
            card,
            host: Host::new(config),
            measured: None,
        })
    }
}

impl Engine for Cuda {
    fn name(&self) -> String {
        let card = self.card.card();
        card.unwrap_or_else(|| "a GPU that was lost".into())
    }

    fn class(&self) -> EngineClass {
        EngineClass::cuda(&self.card.card().unwrap_or_default())
    }

    left_to!(host);

    fn train_keeping(
        &mut self,
        order: &Order,
        sequences: &mut Sequences<'_, '_>,
        go_on: &mut dyn FnMut(Option<&StepDone>) -> bool,
        keeper: &mut dyn Keeper,
    ) -> Result<Option<Trained>, EngineError> {
        let Cuda { card, host, .. } = self;
        let held = host.free("train")?;
        let parameters = held.model.parameters.as_slice();
        let inner = &host.config.inner;
        let mut start;
        let mut stepping = {
            let optimizer = begun(held.optimizer.as_deref(), host);
            // Of what the host holds, so nothing has to cross for it.
            let first = trace_state(parameters, Some(&*optimizer));
            start = Start::of((host, first), order, sequences, keeper);
            let (parameters, optimizer) = start.vectors().unwrap_or((parameters, &*optimizer));
            Under {
                steps: card.begin(parameters, optimizer)?,
                inner,
            }
        };
        // The card has its vectors now.
        start.take();
        let (every, begun) = (inner.trace_every, (start.trained, keeper));
        let trained = steps(order, every, sequences, go_on, &mut stepping, begun)?;
        if let Some(trained) = &trained {
            host.trained(order, trained, OnCard);
        }
        Ok(trained)
    }

    fn contribution(&mut self, header: Header) -> Result<Vec<u8>, EngineError> {
        let class = self.class();
        let Cuda { card, host, .. } = self;
        let (taken, held) = host.take_steps(&header)?;
        let Taken {
            steps: OnCard,
            trace,
            compression,
        } = taken;
        let gone = || EngineError::DeviceLost("the GPU lost the steps of this round".into());
        let steps = card.steps().ok_or_else(gone)?;
        let parameters = held.model.parameters.as_slice();
        let sending = match &held.feedback {
            Some(feedback) => steps.select(parameters, feedback, &compression)?,
            None => steps.select(parameters, &vec![0.0; parameters.len()], &compression)?,
        };
        let Sending {
            selected,
            error,
            adam,
        } = sending;
        let tensors = sparse(&host.layout, &compression, selected)?;
        let made = Made {
            class,
            trace,
            compression,
            tensors,
            optimizer: adam,
            feedback: error,
        };
        host.send(header, made)
    }

    fn replay(
        &mut self,
        before: &State,
        steps: Range<u32>,
        sequences: &mut Sequences<'_, '_>,
    ) -> Result<State, EngineError> {
        let Cuda {
            card,
            host,
            measured,
        } = self;
        host.no_steps("replay")?;
        host.check_moments(before)?;
        *measured = None;
        let parameters = &before.parameters;
        let optimizer = begun(before.optimizer.as_ref(), host);
        let stepping = Under {
            steps: card.begin(parameters, &optimizer)?,
            inner: &host.config.inner,
        };
        replayed(steps, sequences, stepping)
    }

    fn settle(&mut self, settlement: &Settlement) -> Result<ModelRoot, EngineError> {
        self.host.settle(settlement)
    }

    fn measure(
        &mut self,
        contribution: Option<&Checked>,
        sequences: &[&[u32]],
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<f32>>, EngineError> {
        let base = self.host.base()?;
        if let Some(contribution) = contribution {
            self.host.check_base(&base, contribution)?;
        }
        self.losses(&base, contribution, sequences, go_on)
    }

    fn measure_settled(
        &mut self,
        sequences: &[&[u32]],
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<f32>>, EngineError> {
        let settled = self.host.settled()?;
        self.losses(&settled, None, sequences, go_on)
    }
}

impl Cuda {
    /// Losses at a model, or after an outer step from it with one contribution alone.
    fn losses(
        &mut self,
        model: &Model,
        contribution: Option<&Checked>,
        sequences: &[&[u32]],
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<f32>>, EngineError> {
        self.put(model)?;
        let Cuda { card, host, .. } = self;
        let gone = || EngineError::DeviceLost("the GPU lost what was to be measured".into());
        let mut trial = card.trial_under_way().ok_or_else(gone)?;
        let compression = match contribution {
            Some(checked) => *checked.compression(),
            None => host.config.compression_of(Uid(0), 0),
        };
        let kept = Kept::of(&compression).map_err(EngineError::foreign)?;
        let contribution = match contribution {
            Some(checked) => Some(checked.decode(&host.layout)?),
            None => None,
        };
        let tensors = contribution.iter().flat_map(|one| &one.tensors);
        let tensors: Vec<&Selected> = tensors.map(SparseTensor::selected).collect();
        // Alone, a contribution's norm is the median, its trust 1, and ⌈ρT⌉ is 1 whatever ρ.
        let factors = vec![1.0; tensors.len()];
        let share = Share {
            tensors: &tensors,
            factors: &factors,
            trust: 1,
        };
        let rule = OuterRule {
            rate: host.config.outer.learning_rate.to_f32(),
            least: 1,
        };
        let shares = if tensors.is_empty() {
            &[][..]
        } else {
            &[share]
        };
        trial.step(kept, shares, rule)?;
        pieces(sequences, go_on, |piece| Ok(trial.losses(piece)?))
    }

    /// Copies a model to the card, unless it is there.
    fn put(&mut self, model: &Model) -> Result<(), EngineError> {
        let is_there = self.measured == Some(model.root) && self.card.trial_under_way().is_some();
        if !is_there {
            self.measured = None;
            self.card.trial(&model.parameters)?;
            self.measured = Some(model.root);
        }
        Ok(())
    }
}

/// Moments to begin steps from: these, of which no copy is made, or those before the first step.
fn begun<'a>(optimizer: Option<&'a AdamState>, host: &Host<OnCard>) -> Cow<'a, AdamState> {
    let fresh = || AdamState::of(&host.layout, &host.config.inner);
    optimizer.map_or_else(|| Cow::Owned(fresh()), Cow::Borrowed)
}

/// What a card selected, which is checked: a card can break without saying so.
fn sparse(
    layout: &Layout,
    compression: &Compression,
    selected: Vec<Selected>,
) -> Result<Vec<SparseTensor>, EngineError> {
    let broken = |error: &dyn std::fmt::Display| {
        EngineError::Device(format!(
            "the GPU selected values that cannot be sent ({error}); look at `nvidia-smi` and the kernel log"
        ))
    };
    let tensors = layout.0.iter().zip(selected);
    tensors
        .map(|(tensor, selected)| SparseTensor::from_selected(tensor, compression, selected))
        .collect::<Result<_, _>>()
        .map_err(|error| broken(&error))
}
