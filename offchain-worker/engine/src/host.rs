//! The state of an engine whose numbers are in this process's memory, and all verbs that need no training.
//!
//! Every engine of this crate has one: the CPU's, which trains on it; the card's, so that a lost card costs a round and
//! no state. An adapter to an engine elsewhere wants one, too, since whatever others must agree on is computed here.

use std::{io, sync::Arc};

use cairn_gradient::{
    checked, encode, model_root, select, vector_hash, Checked, Contribution, Header, SparseTensor,
    Stepped, Work,
};
use cairn_primitives::{Carried, Compression, EngineClass, Layout, ModelRoot, RunConfig, H256};
use cairn_protocol::trace;
use cairn_trainer::AdamState;

use crate::{EngineError, Order, Part, Sent, Settlement, Shared, State, Trained, Version};

/// What an engine leaves to its host, or to an engine that has one: verbs of [`Engine`](crate::Engine) of which no step and no loss is a part.
macro_rules! left_to {
    ($host:ident) => {
        fn load(&mut self, state: State) -> Result<ModelRoot, EngineError> {
            self.$host.load(state)
        }

        fn root(&self, version: Version) -> Result<ModelRoot, EngineError> {
            self.$host.root(version)
        }

        fn optimizer_steps(&self, version: Version) -> Result<u64, EngineError> {
            self.$host.optimizer_steps(version)
        }

        fn norm(&self, version: Version) -> Result<Option<f64>, EngineError> {
            self.$host.norm(version)
        }

        fn snapshot(
            &self,
            version: Version,
            part: Part,
            sink: &mut dyn FnMut(&[f32]) -> io::Result<()>,
        ) -> Result<bool, EngineError> {
            self.$host.snapshot(version, part, sink)
        }

        fn shared(&self, version: Version, part: Part) -> Result<Option<Shared>, EngineError> {
            self.$host.shared(version, part)
        }

        fn keep(&mut self) -> Result<(), EngineError> {
            self.$host.keep()
        }

        fn discard(&mut self) {
            self.$host.discard();
        }

        fn forget_base(&mut self) {
            self.$host.forget_base();
        }
    };
}
pub(crate) use left_to;

/// States of one member of a run. `Steps` is what an engine keeps of inner steps until it is asked for what is to be
/// sent of them.
pub(crate) struct Host<Steps> {
    pub config: RunConfig,
    pub layout: Layout,
    held: Option<Held>,
    base: Option<Model>,
    pending: Pending<Steps>,
    /// Room for parameters after one contribution, while a round is measured.
    moved: Vec<f32>,
    /// From which parameters and by which file they are moved, if they are whole.
    moved_by: Option<(ModelRoot, H256)>,
}

/// Parameters and their root.
#[derive(Clone)]
pub(crate) struct Model {
    pub parameters: Arc<Vec<f32>>,
    pub root: ModelRoot,
}

/// What is held. Vectors are shared with whoever writes them to a disk: they are replaced, never changed.
pub(crate) struct Held {
    pub model: Model,
    pub optimizer: Option<Arc<AdamState>>,
    pub feedback: Option<Arc<Vec<f32>>>,
    pub norm: Option<f64>,
    sent: Option<Left>,
    /// The hashes of moments and error feedback, if they were made here.
    hashes: Option<Carried>,
}

impl Held {
    /// What the member carries from round to round.
    fn carried(&self) -> Carried {
        let hashed = || {
            let feedback = self.feedback.as_deref();
            carried(self.optimizer.as_deref(), feedback.map(Vec::as_slice))
        };
        self.hashes.unwrap_or_else(hashed)
    }
}

/// Where a contribution ended, as it is held.
struct Left {
    optimizer: Arc<AdamState>,
    feedback: Arc<Vec<f32>>,
    /// Their hashes, if it was made here.
    hashes: Option<Carried>,
}

impl From<Sent> for Left {
    fn from(sent: Sent) -> Left {
        Left {
            optimizer: Arc::new(sent.optimizer),
            feedback: Arc::new(sent.feedback),
            hashes: None,
        }
    }
}

/// What came of steps, before it is a file.
pub(crate) struct Made {
    pub class: EngineClass,
    pub trace: Vec<H256>,
    pub compression: Compression,
    pub tensors: Vec<SparseTensor>,
    pub optimizer: AdamState,
    pub feedback: Vec<f32>,
}

/// Steps of which a contribution is to be made.
pub(crate) struct Taken<Steps> {
    pub steps: Steps,
    pub trace: Vec<H256>,
    /// How it is made small.
    pub compression: Compression,
}

/// What waits for [`Host::keep`].
enum Pending<Steps> {
    Nothing,
    Steps {
        order: Order,
        trace: Vec<H256>,
        done: u32,
        steps: Steps,
    },
    Sent(Left),
    Settled {
        model: Model,
        norm: Option<f64>,
        /// Whether what was sent is carried on.
        is_included: bool,
    },
}

impl<Steps> Host<Steps> {
    /// Of a run; nothing is held yet.
    pub fn new(config: &RunConfig) -> Host<Steps> {
        Host {
            config: config.clone(),
            layout: Layout::of(&config.model),
            held: None,
            base: None,
            pending: Pending::Nothing,
            moved: Vec::new(),
            moved_by: None,
        }
    }

    pub fn load(&mut self, state: State) -> Result<ModelRoot, EngineError> {
        self.check_moments(&state)?;
        if let Some(feedback) = &state.feedback {
            self.check_length(Part::Feedback, feedback)?;
        }
        if let Some(sent) = &state.sent {
            self.check_optimizer(&sent.optimizer)?;
            self.check_length(Part::Feedback, &sent.feedback)?;
        }
        let root = model_root(&state.parameters);
        self.held = Some(Held {
            model: Model {
                parameters: Arc::new(state.parameters),
                root,
            },
            optimizer: state.optimizer.map(Arc::new),
            feedback: state.feedback.map(Arc::new),
            norm: state.norm,
            sent: state.sent.map(Left::from),
            hashes: None,
        });
        self.base = None;
        self.pending = Pending::Nothing;
        self.end_measuring();
        Ok(root)
    }

    /// Whether parameters and moments are as long as the model.
    pub fn check_moments(&self, state: &State) -> Result<(), EngineError> {
        self.check_length(Part::Parameters, &state.parameters)?;
        match &state.optimizer {
            Some(optimizer) => self.check_optimizer(optimizer),
            None => Ok(()),
        }
    }

    fn check_optimizer(&self, optimizer: &AdamState) -> Result<(), EngineError> {
        self.check_length(Part::FirstMoment, &optimizer.m)?;
        self.check_length(Part::SecondMoment, &optimizer.v)
    }

    fn check_length(&self, part: Part, vector: &[f32]) -> Result<(), EngineError> {
        let expected = match part {
            Part::SecondMoment => self.config.inner.matrices.second_moments(&self.layout),
            _ => self.layout.parameters(),
        };
        let found = vector.len();
        if found == expected {
            return Ok(());
        }
        let what = part.name();
        Err(EngineError::Foreign(format!(
            "{what} has {found} numbers where the run has {expected}: check which run it is from"
        )))
    }

    /// Moments to go on with: those, or the ones before the first step.
    pub fn begun(&self, optimizer: Option<&AdamState>) -> AdamState {
        let fresh = || AdamState::of(&self.layout, &self.config.inner);
        optimizer.cloned().unwrap_or_else(fresh)
    }

    /// What is held.
    pub fn held(&self, verb: &'static str) -> Result<&Held, EngineError> {
        let why = "nothing was loaded";
        self.held
            .as_ref()
            .ok_or(EngineError::OutOfTurn { verb, why })
    }

    /// What is held, for a verb that leaves something pending: nothing may be pending before it.
    pub fn free(&self, verb: &'static str) -> Result<&Held, EngineError> {
        let held = self.held(verb)?;
        match self.pending {
            Pending::Nothing => Ok(held),
            _ => Err(EngineError::OutOfTurn {
                verb,
                why: "what it did before is neither kept nor discarded",
            }),
        }
    }

    /// Steps were made.
    pub fn trained(&mut self, order: &Order, trained: &Trained, steps: Steps) {
        self.pending = Pending::Steps {
            order: *order,
            trace: trained.trace.clone(),
            done: trained.steps(),
            steps,
        };
    }

    /// The steps of which a contribution is to be made. From here on nothing is pending.
    pub fn take_steps(&mut self, header: &Header) -> Result<(Taken<Steps>, &Held), EngineError> {
        let verb = "make a contribution";
        let refused = |why| EngineError::OutOfTurn { verb, why };
        let held = match &self.held {
            Some(held) => held,
            None => return Err(refused("nothing was loaded")),
        };
        match std::mem::replace(&mut self.pending, Pending::Nothing) {
            Pending::Steps {
                order,
                trace,
                done,
                steps,
            } => {
                let said = (header.round, header.inner_steps, header.parent_root);
                if said == (order.round, done, held.model.root) {
                    let compression = self.config.compression_of(order.uid, order.round);
                    let taken = Taken {
                        steps,
                        trace,
                        compression,
                    };
                    return Ok((taken, held));
                }
                self.pending = Pending::Steps {
                    order,
                    trace,
                    done,
                    steps,
                };
                Err(refused("its header is of another round or other steps"))
            }
            other => {
                self.pending = other;
                Err(refused("no steps were made"))
            }
        }
    }

    /// The file of what was made, which is pending from here on.
    pub fn send(&mut self, header: Header, made: Made) -> Result<Vec<u8>, EngineError> {
        let before = self.held("make a contribution")?.carried();
        let after = carried(Some(&made.optimizer), Some(&made.feedback));
        let work = Work {
            engine: made.class,
            before,
            // the file has the steps before, and how many were made
            after: Carried { steps: 0, ..after },
            trace: trace::root(&made.trace),
        };
        let contribution = Contribution {
            header: Header { work, ..header },
            tensors: made.tensors,
        };
        let plain =
            encode(&contribution, &self.layout, &made.compression).map_err(EngineError::foreign)?;
        self.pending = Pending::Sent(Left {
            optimizer: Arc::new(made.optimizer),
            feedback: Arc::new(made.feedback),
            hashes: Some(after),
        });
        Ok(plain)
    }

    /// Makes sure that no steps are pending, whose numbers are where others would be computed.
    pub fn no_steps(&self, verb: &'static str) -> Result<(), EngineError> {
        match self.pending {
            Pending::Steps { .. } => Err(EngineError::OutOfTurn {
                verb,
                why: "no contribution was made of its steps",
            }),
            _ => Ok(()),
        }
    }

    pub fn settle(&mut self, settlement: &Settlement) -> Result<ModelRoot, EngineError> {
        self.end_measuring();
        let held = self.free("settle a round")?;
        let (model, norm) = self.stepped(held, settlement)?;
        let root = model.root;
        self.pending = Pending::Settled {
            model,
            norm,
            is_included: settlement.is_included,
        };
        Ok(root)
    }

    /// The model after a settled round, and the norm that holds then.
    fn stepped(
        &self,
        before: &Held,
        settlement: &Settlement,
    ) -> Result<(Model, Option<f64>), EngineError> {
        if settlement.included.is_empty() {
            return Ok((before.model.clone(), before.norm));
        }
        let mut parameters = before.model.parameters.as_ref().clone();
        let (layout, config) = (&self.layout, &self.config);
        let stepped = checked::outer_step(&mut parameters, layout, config, settlement.included)?;
        let Stepped { root, norm } = stepped;
        let parameters = Arc::new(parameters);
        Ok((Model { parameters, root }, norm))
    }

    pub fn keep(&mut self) -> Result<(), EngineError> {
        let verb = "keep what it did";
        let refused = |why| EngineError::OutOfTurn { verb, why };
        let held = match &mut self.held {
            Some(held) => held,
            None => return Err(refused("nothing was loaded")),
        };
        match std::mem::replace(&mut self.pending, Pending::Nothing) {
            Pending::Nothing => Err(refused("it did nothing")),
            steps @ Pending::Steps { .. } => {
                self.pending = steps;
                Err(refused("no contribution was made of its steps"))
            }
            Pending::Sent(sent) => {
                held.sent = Some(sent);
                Ok(())
            }
            Pending::Settled {
                model,
                norm,
                is_included,
            } => {
                self.base = Some(std::mem::replace(&mut held.model, model));
                held.norm = norm;
                if let Some(sent) = held.sent.take().filter(|_| is_included) {
                    held.optimizer = Some(sent.optimizer);
                    held.feedback = Some(sent.feedback);
                    held.hashes = sent.hashes;
                }
                Ok(())
            }
        }
    }

    pub fn discard(&mut self) {
        self.pending = Pending::Nothing;
    }

    pub fn forget_base(&mut self) {
        self.base = None;
        self.end_measuring();
    }

    /// Gives back what only measuring takes, as much memory as the parameters: for verbs that take memory themselves.
    pub fn end_measuring(&mut self) {
        (self.moved, self.moved_by) = (Vec::new(), None);
    }

    /// The parameters on which is measured.
    pub fn base(&self) -> Result<Model, EngineError> {
        let verb = "measure";
        self.no_steps(verb)?;
        let why = "no round was settled since a state was loaded";
        let base = self.base.clone();
        base.ok_or(EngineError::OutOfTurn { verb, why })
    }

    /// The parameters that followed the base.
    pub fn settled(&self) -> Result<Model, EngineError> {
        self.base()?;
        Ok(self.held("measure")?.model.clone())
    }

    /// Makes sure that a contribution is measured on the parameters that it was made from. Where rounds overlap it is
    /// measured on those that it is applied to, which are newer.
    pub fn check_base(&self, base: &Model, contribution: &Checked) -> Result<(), EngineError> {
        let (made_from, here) = (contribution.header().parent_root, base.root);
        if made_from == here || self.config.overlaps() {
            return Ok(());
        }
        Err(EngineError::Foreign(format!(
            "the contribution was made from parameters with root {made_from:?}, and the base has {here:?}: measure a round before the next is kept"
        )))
    }

    /// Parameters after an outer step with one contribution alone. They are kept until another one is asked for.
    pub fn moved(&mut self, base: &Model, contribution: &Checked) -> Result<&[f32], EngineError> {
        self.check_base(base, contribution)?;
        let by = Some((base.root, contribution.hash()));
        if self.moved_by != by {
            self.moved_by = None;
            let (layout, config, moved) = (&self.layout, &self.config, &mut self.moved);
            checked::outer_step_alone(&base.parameters, moved, layout, config, contribution)?;
            self.moved_by = by;
        }
        Ok(&self.moved)
    }

    pub fn root(&self, version: Version) -> Result<ModelRoot, EngineError> {
        Ok(self.view(version)?.model.root)
    }

    pub fn optimizer_steps(&self, version: Version) -> Result<u64, EngineError> {
        let optimizer = self.view(version)?.optimizer;
        Ok(optimizer.map_or(0, |optimizer| optimizer.step))
    }

    pub fn norm(&self, version: Version) -> Result<Option<f64>, EngineError> {
        Ok(self.view(version)?.norm)
    }

    pub fn snapshot(
        &self,
        version: Version,
        part: Part,
        sink: &mut dyn FnMut(&[f32]) -> io::Result<()>,
    ) -> Result<bool, EngineError> {
        match self.shared(version, part)? {
            Some(vector) => {
                sink(vector.numbers())?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    pub fn shared(&self, version: Version, part: Part) -> Result<Option<Shared>, EngineError> {
        let view = self.view(version)?;
        Ok(match part {
            Part::Parameters => Some(Shared::vector(&view.model.parameters)),
            Part::FirstMoment => view.optimizer.map(Shared::first),
            Part::SecondMoment => view.optimizer.map(Shared::second),
            Part::Feedback => view.feedback.map(Shared::vector),
        })
    }

    fn view(&self, version: Version) -> Result<View<'_>, EngineError> {
        let refused = |why| EngineError::OutOfTurn {
            verb: "show a state",
            why,
        };
        let held = self.held("show a state")?;
        let view = View {
            model: &held.model,
            optimizer: held.optimizer.as_ref(),
            feedback: held.feedback.as_ref(),
            norm: held.norm,
        };
        match (version, &self.pending) {
            (Version::Held, _) => Ok(view),
            (Version::Base, _) => match &self.base {
                Some(model) => Ok(View {
                    model,
                    optimizer: None,
                    feedback: None,
                    norm: None,
                }),
                None => Err(refused("there is no base")),
            },
            (Version::Sent, _) => match &held.sent {
                Some(sent) => Ok(view.carrying(Some(sent))),
                None => Err(refused("nothing was sent")),
            },
            (
                Version::Pending,
                Pending::Settled {
                    model,
                    norm,
                    is_included,
                },
            ) => Ok(View {
                model,
                norm: *norm,
                ..view.carrying(held.sent.as_ref().filter(|_| *is_included))
            }),
            (Version::Pending, Pending::Sent(sent)) => Ok(view.carrying(Some(sent))),
            (Version::Pending, _) => Err(refused("nothing is to be kept")),
        }
    }
}

/// A version, borrowed.
struct View<'a> {
    model: &'a Model,
    optimizer: Option<&'a Arc<AdamState>>,
    feedback: Option<&'a Arc<Vec<f32>>>,
    norm: Option<f64>,
}

impl<'a> View<'a> {
    /// With what was sent in place of what is held.
    fn carrying(self, sent: Option<&'a Left>) -> View<'a> {
        match sent {
            Some(sent) => View {
                optimizer: Some(&sent.optimizer),
                feedback: Some(&sent.feedback),
                ..self
            },
            None => self,
        }
    }
}

/// What is to be sent of steps that led from parameters to others, and the error feedback after it. No feedback is one
/// of zeros.
///
/// # Errors
///
/// [`EngineError::Foreign`] if vectors do not fit the layout, [`EngineError::Unsendable`] where they are no numbers.
pub(crate) fn compressed(
    (compression, layout): (&Compression, &Layout),
    (before, mut after): (&[f32], Vec<f32>),
    feedback: Option<Vec<f32>>,
) -> Result<(Vec<SparseTensor>, Vec<f32>), EngineError> {
    for (after, before) in after.iter_mut().zip(before) {
        *after = before - *after;
    }
    let mut feedback = feedback.unwrap_or_else(|| vec![0.0; after.len()]);
    let tensors = select(layout, compression, &after, &mut feedback)?;
    Ok((tensors, feedback))
}

/// What a member carries from round to round, by its vectors.
fn carried(optimizer: Option<&AdamState>, feedback: Option<&[f32]>) -> Carried {
    let (first_moment, second_moment) = moments(optimizer);
    Carried {
        first_moment,
        second_moment,
        feedback: feedback.map(vector_hash).unwrap_or_default(),
        steps: optimizer.map_or(0, |optimizer| optimizer.step),
    }
}

/// The hashes of the moments: zero before the first step.
fn moments(optimizer: Option<&AdamState>) -> (H256, H256) {
    let begun = optimizer.filter(|optimizer| optimizer.step > 0);
    begun.map_or_else(Default::default, |optimizer| {
        (vector_hash(&optimizer.m), vector_hash(&optimizer.v))
    })
}

/// What stands for a state between inner steps in a trace.
pub(crate) fn trace_state(parameters: &[f32], optimizer: Option<&AdamState>) -> trace::State {
    let (first_moment, second_moment) = moments(optimizer);
    trace::State {
        parameters: vector_hash(parameters),
        first_moment,
        second_moment,
        steps: optimizer.map_or(0, |optimizer| optimizer.step),
    }
}
