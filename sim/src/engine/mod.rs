//! What computes. Two engines stand behind one trait: [`tiny`], a real model on text in which there is something to learn,
//! and [`cost`], a bowl in place of a model, whose steps cost virtual time and next to no real time. Compressing, sealing,
//! opening and the outer step are those of `cairn-gradient` for both.

pub mod cost;
pub mod tiny;

use std::{collections::BTreeMap, rc::Rc};

use cairn_gradient::{
    checked, compress, decode, model_root, outer_step_and_root, put_back, seal, sealed_root,
    Contribution, Header,
};
use cairn_primitives::{
    key_hash, Commitment, CompressionSchedule, DataSet, InitialWeights, InnerOptimizer, Layout,
    ModelShape, Nano, OuterStep, Phases, RunConfig, Secret, Text, Uid, H256,
};
use cairn_round::{miner::Intent, validator::Claim, Held};
use cairn_trainer::AdamState;

use crate::{clock::Millis, disk::Open};

/// Held-out windows of which the loss is told.
pub const HELD_OUT: u64 = 64;

/// Parameters and their root.
#[derive(Debug, PartialEq)]
pub struct Theta {
    /// Their root.
    pub root: H256,
    /// The parameters.
    pub values: Vec<f32>,
}

/// What a miner keeps from round to round beside the parameters.
#[derive(Clone, Debug)]
pub struct Memory {
    /// AdamW's moments.
    pub adam: AdamState,
    /// What earlier rounds left unsent.
    pub feedback: Vec<f32>,
}

/// Inner steps under way.
#[derive(Clone, Debug)]
pub struct Steps {
    /// The parameters after the steps so far.
    pub values: Vec<f32>,
    /// The moments after them.
    pub adam: AdamState,
    /// The losses of the steps.
    pub losses: Vec<f32>,
}

/// How long things take, and how large they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// An inner step.
    pub step: Millis,
    /// Compressing and sealing.
    pub seal: Millis,
    /// Opening and checking a contribution.
    pub open: Millis,
    /// An outer step.
    pub apply: Millis,
    /// The loss of a window.
    pub window: Millis,
    /// Writing to disk.
    pub write: Millis,
    /// Bytes of a contribution, as far as its transfer is concerned.
    pub contribution: u64,
    /// Bytes of a checkpoint.
    pub checkpoint: u64,
}

/// A model and its data.
pub trait Engine {
    /// The run: model, data, optimizer.
    fn run(&self) -> &RunConfig;
    /// What it costs.
    fn costs(&self) -> Costs;
    /// The first parameters.
    fn initial(&self) -> Vec<f32>;
    /// One inner step on these windows; gives the loss before it, in nats.
    fn step(&mut self, steps: &mut Steps, windows: &[u64]) -> f32;
    /// The loss of each window, in nats per token. Windows from the run's number of windows on are held out: nobody is
    /// ever assigned one.
    fn losses(&mut self, values: &[f32], windows: &[u64]) -> Vec<f32>;
}

/// Losses that were asked for: on which parameters, after which contribution, on which windows.
type Asked = (H256, Option<H256>, Vec<u64>);

/// A contribution that was opened and is one.
#[derive(Debug)]
pub struct Opened {
    /// What it says of itself, and its values.
    pub contribution: Contribution,
    /// Digest of its values, by which copies are told.
    pub digest: H256,
}

/// An engine and what was computed with it. What two members compute of the same is computed once.
pub struct Workshop {
    engine: Box<dyn Engine>,
    layout: Layout,
    layout_hash: H256,
    initial: Rc<Theta>,
    applied: BTreeMap<(H256, Vec<H256>), Option<Rc<Theta>>>,
    measured: BTreeMap<Asked, Vec<f32>>,
    opened: BTreeMap<(H256, H256, [u8; 32]), Option<Rc<Opened>>>,
}

/// What a contribution to be made is for.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// The subnet.
    pub netuid: u16,
    /// The miner's hotkey.
    pub hotkey: H256,
    /// The round and the parameters with which it began.
    pub held: Held,
    /// Inner steps that are claimed.
    pub steps: u32,
    /// Their mean loss.
    pub loss: f32,
}

impl Workshop {
    /// A workshop with this engine.
    pub fn new(engine: Box<dyn Engine>) -> Workshop {
        let values = engine.initial();
        let layout = Layout::of(&engine.run().model);
        let layout_hash = layout.hash();
        let root = model_root(&values);
        Workshop {
            engine,
            layout,
            layout_hash,
            initial: Rc::new(Theta { root, values }),
            applied: BTreeMap::new(),
            measured: BTreeMap::new(),
            opened: BTreeMap::new(),
        }
    }

    /// The run.
    pub fn run(&self) -> &RunConfig {
        self.engine.run()
    }

    /// What things cost.
    pub fn costs(&self) -> Costs {
        self.engine.costs()
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

    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        self.layout.parameters()
    }

    /// What a new miner remembers: nothing.
    pub fn fresh(&self) -> Rc<Memory> {
        let parameters = self.parameters();
        Rc::new(Memory {
            adam: AdamState::new(parameters),
            feedback: vec![0.0; parameters],
        })
    }

    /// Begins inner steps.
    pub fn begin(&self, theta: &Theta, memory: &Memory) -> Steps {
        Steps {
            values: theta.values.clone(),
            adam: memory.adam.clone(),
            losses: Vec::new(),
        }
    }

    /// One inner step.
    pub fn step(&mut self, steps: &mut Steps, windows: &[u64]) {
        let loss = self.engine.step(steps, windows);
        steps.losses.push(loss);
    }

    /// Makes a sealed contribution. `None` if the values are not to be sent: not finite, or too large.
    pub fn make(
        &self,
        label: Label,
        pseudo_gradient: &[f32],
        memory: &Memory,
        key: [u8; 32],
    ) -> Option<(Open, Vec<f32>, Rc<[u8]>)> {
        let run = self.engine.run();
        let sequences = u64::from(label.steps) * u64::from(run.inner.sequences);
        let header = Header {
            netuid: label.netuid,
            round: label.held.round,
            hotkey: label.hotkey.0,
            parent_root: label.held.root,
            layout_hash: self.layout_hash,
            inner_steps: label.steps,
            tokens: sequences * u64::from(run.inner.sequence_length),
            mean_loss: label.loss,
        };
        let compression = run.compression_in(label.held.round);
        let mut feedback = memory.feedback.clone();
        let made = compress(
            &self.layout,
            &compression,
            pseudo_gradient,
            &mut feedback,
            header,
        );
        let (_, plain) = made.ok()?;
        let mut sealed = plain.clone();
        seal(&mut sealed, &key);
        let commitment = Commitment {
            parent_root: label.held.root,
            sealed_root: sealed_root(&sealed),
            length: sealed.len() as u64,
            key_hash: key_hash(label.netuid, label.held.round, &label.hotkey.0, &key),
        };
        let intent = Intent {
            round: label.held.round,
            commitment,
            key: Secret::new(key),
        };
        let open = Open {
            intent,
            plain: plain.into(),
        };
        Some((open, feedback, sealed.into()))
    }

    /// Opens a sealed file whose root was compared, and checks that it is what the miner owes.
    pub fn open(&mut self, netuid: u16, claim: &Claim, sealed: &[u8]) -> Option<Rc<Opened>> {
        let name = (claim.commitment.sealed_root, claim.hotkey, claim.key);
        if let Some(known) = self.opened.get(&name) {
            return known.clone();
        }
        let opened = self.check(netuid, claim, sealed).map(Rc::new);
        self.opened.insert(name, opened.clone());
        opened
    }

    fn check(&self, netuid: u16, claim: &Claim, sealed: &[u8]) -> Option<Opened> {
        let terms = checked::Terms {
            netuid,
            config: self.engine.run(),
            layout: &self.layout,
        };
        let claim = checked::Claim {
            round: claim.round,
            hotkey: claim.hotkey.0,
            commitment: claim.commitment.clone(),
            key: claim.key,
            parent_root: claim.parent_root,
        };
        let good = checked::check(&terms, &claim, sealed).ok()?;
        let contribution = good.decode(&self.layout, self.engine.run()).ok()?;
        let digest = digest(&contribution);
        Some(Opened {
            contribution,
            digest,
        })
    }

    /// The parameters after a round that included these, each with its sealed root.
    pub fn apply(
        &mut self,
        theta: &Rc<Theta>,
        included: &[(Uid, H256, Rc<Opened>)],
    ) -> Option<Rc<Theta>> {
        if included.is_empty() {
            return Some(theta.clone());
        }
        let roots = included.iter().map(|(_, root, _)| *root).collect();
        let name = (theta.root, roots);
        if let Some(known) = self.applied.get(&name) {
            return known.clone();
        }
        let contributions: Vec<(Uid, Contribution)> = included
            .iter()
            .map(|(uid, _, opened)| (*uid, opened.contribution.clone()))
            .collect();
        let mut values = theta.values.clone();
        let outer = &self.engine.run().outer;
        let root = outer_step_and_root(&mut values, &self.layout, &contributions, outer).ok();
        let next = root.map(|root| Rc::new(Theta { root, values }));
        self.applied.insert(name, next.clone());
        next
    }

    /// The error feedback with a contribution back in it.
    pub fn put_back(&self, memory: &Memory, open: &Open) -> Memory {
        let mut next = memory.clone();
        let compression = self.engine.run().compression_in(open.intent.round);
        if let Ok(contribution) = decode(&open.plain, &self.layout, &compression) {
            // Its own file is of the run's layout.
            let _ = put_back(&mut next.feedback, &self.layout, &contribution);
        }
        next
    }

    /// The loss of each window on these parameters, or after an outer step with one contribution alone.
    pub fn losses(
        &mut self,
        theta: &Rc<Theta>,
        alone: Option<(H256, Rc<Opened>)>,
        windows: &[u64],
    ) -> Vec<f32> {
        let root = alone.as_ref().map(|(root, _)| *root);
        let name = (theta.root, root, windows.to_vec());
        if let Some(known) = self.measured.get(&name) {
            return known.clone();
        }
        let after = match alone {
            Some((root, opened)) => self.apply(theta, &[(0, root, opened)]),
            None => Some(theta.clone()),
        };
        // What cannot be applied changes nothing.
        let after = after.unwrap_or_else(|| theta.clone());
        let found = self.engine.losses(&after.values, windows);
        self.measured.insert(name, found.clone());
        found
    }

    /// The mean loss of text that nobody trains on, in nats per token.
    pub fn held_out(&mut self, theta: &Theta) -> f64 {
        let first = self.engine.run().data.windows;
        let windows: Vec<u64> = (first..first + HELD_OUT).collect();
        let losses = self.engine.losses(&theta.values, &windows);
        let sum: f64 = losses.iter().map(|loss| f64::from(*loss)).sum();
        sum / losses.len() as f64
    }
}

/// Digest of a contribution's values, whoever sent them.
fn digest(contribution: &Contribution) -> H256 {
    let mut hasher = blake3::Hasher::new();
    for tensor in &contribution.tensors {
        let levels = tensor.levels().flatten().map(u16::to_le_bytes);
        let codes = tensor.codes().iter().map(|code| code.to_le_bytes());
        hasher.update(&(tensor.codes().len() as u64).to_le_bytes());
        for bytes in levels.chain(codes) {
            hasher.update(&bytes);
        }
    }
    H256(*hasher.finalize().as_bytes())
}

/// A run of a model whose first parameters have this root. What rounds are like is the same for both engines.
fn run_of(
    model: ModelShape,
    windows: u64,
    initial_root: H256,
    inner: InnerOptimizer,
    kept_per_block: u16,
) -> RunConfig {
    RunConfig {
        name: Text::default(),
        model,
        initial_weights: InitialWeights::Seed(1),
        initial_root,
        data: DataSet {
            manifest_root: H256::zero(),
            tokenizer_root: H256::zero(),
            store: Text::default(),
            windows,
        },
        inner,
        compression: CompressionSchedule {
            kept_per_block,
            error_decay: Nano(900_000_000),
            final_error_decay: None,
        },
        outer: OuterStep {
            learning_rate: Nano::ONE,
            rho: Nano::ONE,
        },
        phases: Phases {
            train: 7,
            reveal: 2,
            attest: 3,
        },
        max_contributors: 64,
    }
}
