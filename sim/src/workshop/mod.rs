//! What computes: one engine of `cairn-engine` for all members, since a member's state is on its disk and is loaded
//! when it is its turn. What two members would compute alike from the same input is computed once.

mod contribution;
mod run;
mod text;

use std::{collections::BTreeMap, rc::Rc, sync::Arc};

use cairn_engine::{audit, AdamState, Engine, EngineError, Settlement, State, Version};
use cairn_gradient::{
    checked, model_root, resemblance, vector_hash, Checked, Contribution, Resemblance,
};
use cairn_primitives::{
    Carried, Finding, Hotkey, Layout, ModelRoot, Netuid, RunConfig, SealedRoot, Standing, Uid, H256,
};
use cairn_protocol::{
    combination::Brought,
    verdict::{Before, Last},
};
use cairn_round::validator::Claim;

pub use contribution::{sealed_file, Label, Trained};
pub use run::{Costs, AUDITED_ONE_IN};

use crate::{
    disk::Traced,
    rng::Rng,
    settings::{Kind, Terms},
};
use text::Text;

/// Held-out windows of which the loss is told.
pub const HELD_OUT: u64 = 64;

/// Parameters and their root.
#[derive(Debug, PartialEq)]
pub struct Theta {
    /// Their root.
    pub root: ModelRoot,
    /// The parameters.
    pub values: Vec<f32>,
}

/// What a miner keeps from round to round beside the parameters; nothing at first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// The inner optimizer's moments.
    pub optimizer: Option<AdamState>,
    /// What earlier rounds left unsent.
    pub feedback: Option<Vec<f32>>,
}

impl Memory {
    fn state(&self, theta: &Theta) -> State {
        State {
            parameters: theta.values.clone(),
            optimizer: self.optimizer.clone(),
            feedback: self.feedback.clone(),
            norm: None,
            sent: None,
        }
    }

    /// The hashes of it, as a header states them; before any contribution there is nothing to hash.
    pub fn carried(&self) -> Carried {
        let moments = self.optimizer.as_ref().filter(|moments| moments.step > 0);
        let hash = |vector: Option<&Vec<f32>>| vector.map(|it| vector_hash(it)).unwrap_or_default();
        Carried {
            first_moment: hash(moments.map(|moments| &moments.m)),
            second_moment: hash(moments.map(|moments| &moments.v)),
            feedback: hash(self.feedback.as_ref()),
            steps: self.optimizer.as_ref().map_or(0, |moments| moments.step),
        }
    }
}

/// Losses that were asked for: on which parameters, after which contribution, on which windows.
type Asked = (ModelRoot, Option<SealedRoot>, Vec<u64>);

/// A file that was opened: its root, its maker, its key, and what it was held against.
type Sealed = (SealedRoot, Hotkey, [u8; 32], (Option<u64>, Last));

/// A contribution that was opened and is one.
#[derive(Debug)]
pub struct Opened {
    checked: Arc<Checked>,
    /// What it says of itself, and its values.
    pub contribution: Contribution,
}

/// A settled round: the parameters with which it began, and each included file with what it counts.
type Round = (ModelRoot, Vec<(SealedRoot, u16)>);

/// What a round led to.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The parameters.
    pub theta: Rc<Theta>,
    /// The median norm of the last round that included anything, if it was applied here.
    pub norm: Option<f64>,
}

/// A contribution to be applied: whose, what it counts, its sealed root, and itself.
pub type Gathered = (Uid, u16, SealedRoot, Rc<Opened>);

impl Opened {
    /// Inner steps that it claims.
    pub fn inner_steps(&self) -> u32 {
        self.contribution.header.inner_steps
    }

    /// It, as the rule asks that says what contributions count.
    pub fn brought(&self, standing: Standing) -> Brought {
        Brought {
            standing,
            steps: self.inner_steps(),
        }
    }
}

/// An engine and what was computed with it.
pub struct Workshop {
    engine: Box<dyn Engine>,
    run: RunConfig,
    costs: Costs,
    text: Text,
    layout: Layout,
    layout_hash: H256,
    initial: Rc<Theta>,
    applied: BTreeMap<Round, Option<Settled>>,
    measured: BTreeMap<Asked, Vec<f32>>,
    opened: BTreeMap<Sealed, Result<Rc<Opened>, bool>>,
}

impl Workshop {
    /// A workshop with an engine of this kind, and so many windows of data.
    ///
    /// # Errors
    /// [`EngineError`] if this machine cannot compute.
    pub fn new(kind: Kind, rng: &Rng, windows: u64, costs: Costs) -> Result<Workshop, EngineError> {
        Workshop::on(kind, rng, windows, costs, (None, 0))
    }

    /// The same with a run on these terms, of which training runs so many rounds ahead.
    ///
    /// # Errors
    /// [`EngineError`] if this machine cannot compute.
    pub fn on(
        kind: Kind,
        rng: &Rng,
        windows: u64,
        costs: Costs,
        terms: (Option<Terms>, u8),
    ) -> Result<Workshop, EngineError> {
        let made = run::make(kind, rng, windows, costs, terms)?;
        let layout = Layout::of(&made.run.model);
        let values = made.initial;
        let root = model_root(&values);
        Ok(Workshop {
            engine: made.engine,
            run: made.run,
            costs,
            text: made.text,
            layout_hash: layout.hash(),
            layout,
            initial: Rc::new(Theta { root, values }),
            applied: BTreeMap::new(),
            measured: BTreeMap::new(),
            opened: BTreeMap::new(),
        })
    }

    /// The run.
    pub fn run(&self) -> &RunConfig {
        &self.run
    }

    /// What things cost.
    pub fn costs(&self) -> Costs {
        self.costs
    }

    /// The first parameters.
    pub fn initial(&self) -> Rc<Theta> {
        self.initial.clone()
    }

    /// Parameters of a checkpoint.
    pub fn theta(&self, values: &[f32]) -> Rc<Theta> {
        Rc::new(Theta {
            root: model_root(values),
            values: values.to_vec(),
        })
    }

    /// Opens a sealed file whose root was compared, and checks that it is what the miner owes, by what is known of the
    /// rounds before.
    ///
    /// # Errors
    /// If it is not: whether it is broken, whoever looks.
    pub fn open(
        &mut self,
        netuid: u16,
        claim: &Claim,
        before: Before,
        sealed: &[u8],
    ) -> Result<Rc<Opened>, bool> {
        let norm = before.norm.map(f64::to_bits);
        let against = (norm, before.last);
        let name = (
            claim.commitment.sealed_root,
            claim.hotkey,
            claim.key,
            against,
        );
        if let Some(known) = self.opened.get(&name) {
            return known.clone();
        }
        let opened = self.check(netuid, claim, before, sealed).map(Rc::new);
        self.opened.insert(name, opened.clone());
        opened
    }

    fn check(
        &self,
        netuid: u16,
        claim: &Claim,
        before: Before,
        sealed: &[u8],
    ) -> Result<Opened, bool> {
        let terms = checked::Terms {
            netuid: Netuid(netuid),
            config: &self.run,
            layout: &self.layout,
        };
        let claim = checked::Claim {
            round: claim.round,
            hotkey: claim.hotkey,
            uid: claim.uid,
            commitment: claim.commitment.clone(),
            key: claim.key,
            parent_root: claim.parent_root,
            before,
        };
        let good = checked::check(&terms, &claim, sealed);
        let good = good.map_err(|refusal| refusal.is_broken())?;
        let contribution = good.decode(&self.layout);
        Ok(Opened {
            checked: Arc::new(good),
            contribution: contribution.map_err(|_| false)?,
        })
    }

    /// What a round that included these leads to.
    pub fn apply(&mut self, before: &Settled, included: &[Gathered]) -> Option<Settled> {
        if included.is_empty() {
            return Some(before.clone());
        }
        let theta = &before.theta;
        let roots = included.iter().map(|(_, count, root, _)| (*root, *count));
        let roots = roots.collect();
        let name = (theta.root, roots);
        if let Some(known) = self.applied.get(&name) {
            return known.clone();
        }
        let next = self.settle(theta, included).ok();
        self.applied.insert(name, next.clone());
        next
    }

    fn settle(&mut self, theta: &Theta, included: &[Gathered]) -> Result<Settled, EngineError> {
        let included: Vec<(Uid, u16, Arc<Checked>)> = included
            .iter()
            .map(|(uid, count, _, opened)| (*uid, *count, opened.checked.clone()))
            .collect();
        self.engine.load(State::new(theta.values.clone()))?;
        let root = self.engine.settle(&Settlement {
            included: &included,
            is_included: false,
        })?;
        let state = self.engine.state(Version::Pending)?;
        let values = state.parameters;
        Ok(Settled {
            theta: Rc::new(Theta { root, values }),
            norm: state.norm,
        })
    }

    /// The blob with which a miner opens an audit of a contribution that it made of these; `None` if it cannot.
    pub fn serve(
        &mut self,
        (theta, memory): (&Theta, &Memory),
        traced: &Traced,
        drawn: u32,
    ) -> Option<Vec<u8>> {
        let text = &self.text;
        let of = audit::Traced {
            steps: u32::try_from(traced.windows.len()).ok()?,
            states: &traced.states,
            every: self.run.inner.trace_every,
        };
        let mut sequences = |step: u32| {
            let windows = traced.windows.get(step as usize);
            windows.map_or_else(Vec::new, |windows| text.windows(windows))
        };
        let blob = audit::open(
            self.engine.as_mut(),
            memory.state(theta),
            of,
            drawn,
            &mut sequences,
        );
        blob.ok().flatten()
    }

    /// What a replay of what was served finds, of this contribution. `of_step` gives the windows of a step.
    pub fn audit(
        &mut self,
        opened: &Opened,
        drawn: u32,
        blob: &[u8],
        of_step: impl Fn(u32) -> Vec<u64>,
    ) -> Option<Finding> {
        let audited = audit::Audited::new(&opened.checked, &self.run, &self.layout, drawn);
        let text = &self.text;
        let mut sequences = |step| text.windows(&of_step(step));
        let found = audit::find(self.engine.as_mut(), &audited, blob, &mut sequences);
        found.ok().flatten()
    }

    /// The loss of each window on these parameters, or after an outer step with one contribution alone.
    pub fn losses(
        &mut self,
        theta: &Theta,
        alone: Option<(SealedRoot, Rc<Opened>)>,
        windows: &[u64],
    ) -> Vec<f32> {
        let root = alone.as_ref().map(|(root, _)| *root);
        let name = (theta.root, root, windows.to_vec());
        if let Some(known) = self.measured.get(&name) {
            return known.clone();
        }
        let alone = alone.map(|(_, opened)| opened.checked.clone());
        let found = self.measure(theta, alone.as_deref(), windows);
        // What cannot be measured is as bad as can be.
        let found = found.unwrap_or_else(|_| vec![f32::NAN; windows.len()]);
        self.measured.insert(name, found.clone());
        found
    }

    fn measure(
        &mut self,
        theta: &Theta,
        alone: Option<&Checked>,
        windows: &[u64],
    ) -> Result<Vec<f32>, EngineError> {
        if self.engine.root(Version::Base).ok() != Some(theta.root) {
            self.engine.load(State::new(theta.values.clone()))?;
            // A null round makes what is held the base.
            self.engine.settle(&Settlement {
                included: &[],
                is_included: false,
            })?;
            self.engine.keep()?;
        }
        let sequences = self.text.windows(windows);
        let found = self.engine.measure(alone, &sequences, &mut || true)?;
        Ok(found.unwrap_or_default())
    }

    /// What contributions have in common, with each other and with those of the round before.
    pub fn resemblance(&self, of: &[Rc<Opened>], before: &[Rc<Opened>]) -> Resemblance {
        let of: Vec<&Contribution> = of.iter().map(|one| &one.contribution).collect();
        let before: Vec<&Contribution> = before.iter().map(|one| &one.contribution).collect();
        let found = resemblance(&self.layout, &of, &before);
        // What was opened goes with the run's layout.
        found.unwrap_or(Resemblance {
            pairs: Vec::new(),
            with_before: Vec::new(),
        })
    }

    /// The mean loss of text that nobody trains on, in nats per token.
    pub fn held_out(&mut self, theta: &Theta) -> f64 {
        let first = self.run.data.windows;
        let windows: Vec<u64> = (first..first + HELD_OUT).collect();
        let losses = self.losses(theta, None, &windows);
        let sum: f64 = losses.iter().map(|loss| f64::from(*loss)).sum();
        sum / losses.len() as f64
    }
}
