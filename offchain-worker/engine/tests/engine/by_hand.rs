//! Rounds made by the parts: trainer and codec without an engine.

use cairn_gradient::{decode, encode, model_root, outer_step, select, Contribution, Header, Work};
use cairn_primitives::{Carried, EngineClass, Layout, ModelRoot, Netuid, RunConfig, Uid, H256};
use cairn_protocol::trace;
use cairn_trainer::{AdamState, Trainer};

use crate::fixture::{sequences, slices};

/// The trust of each contribution: all the same, which gives the bits of the code before there was trust.
pub const TRUST: u16 = 9;

/// A member's state, as vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub uid: Uid,
    pub parameters: Vec<f32>,
    pub adam: AdamState,
    pub feedback: Vec<f32>,
    /// Moments and feedback after its last contribution, until that is settled.
    sent: Option<(AdamState, Vec<f32>)>,
}

impl Member {
    pub fn new(uid: Uid, parameters: &[f32]) -> Member {
        Member {
            uid,
            parameters: parameters.to_vec(),
            adam: AdamState::new(parameters.len()),
            feedback: vec![0.0; parameters.len()],
            sent: None,
        }
    }

    /// The plain file of a round.
    pub fn contribute(&mut self, config: &RunConfig, round: u32, root: H256) -> Vec<u8> {
        let layout = Layout::of(&config.model);
        let mut trainer = Trainer::new(&config.model, 1).unwrap();
        let (mut after, mut losses) = (self.parameters.clone(), Vec::new());
        let before = carried(&self.adam, &self.feedback, 0);
        let (mut adam, mut feedback) = (self.adam.clone(), self.feedback.clone());
        let mut states = vec![traced(&after, &adam)];
        for step in 0..u32::from(config.inner.steps) {
            let batch = sequences(self.uid.get(), round, step);
            let loss = trainer.step(&mut after, &mut adam, &config.inner, &slices(&batch));
            losses.push(loss.unwrap());
            let done = losses.len() as u32;
            if trace::is_traced(done, config.inner.steps.into(), config.inner.trace_every) {
                states.push(traced(&after, &adam));
            }
        }
        let difference = self.parameters.iter().zip(&after).map(|(a, b)| a - b);
        let delta: Vec<f32> = difference.collect();
        let mut header = Header {
            netuid: Netuid(1),
            round,
            hotkey: [self.uid.get() as u8; 32].into(),
            parent_root: ModelRoot(root),
            layout_hash: layout.hash(),
            inner_steps: losses.len() as u32,
            tokens: losses.len() as u64 * 4 * u64::from(config.inner.sequence_length),
            mean_loss: losses.iter().sum::<f32>() / losses.len() as f32,
            work: Work::default(),
        };
        let compression = config.compression_of(self.uid, round);
        let tensors = select(&layout, &compression, &delta, &mut feedback).unwrap();
        header.work = Work {
            engine: EngineClass::CPU,
            before,
            after: Carried {
                steps: 0,
                ..carried(&adam, &feedback, 1)
            },
            trace: trace::root(&states),
        };
        self.sent = Some((adam, feedback));
        encode(&Contribution { header, tensors }, &layout, &compression).unwrap()
    }

    /// The outer step with these plain files. It goes on from its own contribution if that is one of them.
    pub fn apply(&mut self, config: &RunConfig, files: &[(Uid, &[u8])]) {
        let layout = Layout::of(&config.model);
        let decoded = |(uid, file): &(Uid, &[u8])| (*uid, TRUST, self::decoded(config, file));
        let included: Vec<(Uid, u16, Contribution)> = files.iter().map(decoded).collect();
        outer_step(&mut self.parameters, &layout, &included, &config.outer).unwrap();
        let is_included = files.iter().any(|(uid, _)| *uid == self.uid);
        if let Some(sent) = self.sent.take().filter(|_| is_included) {
            (self.adam, self.feedback) = sent;
        }
    }
}

/// The roots of what a member carries on; before any contribution there is nothing of which to take them.
fn carried(adam: &AdamState, feedback: &[f32], made: u64) -> Carried {
    if adam.step + made == 0 {
        return Carried::default();
    }
    Carried {
        first_moment: model_root(&adam.m).0,
        second_moment: model_root(&adam.v).0,
        feedback: model_root(feedback).0,
        steps: adam.step,
    }
}

/// What stands for a state in the trace.
pub fn traced(parameters: &[f32], adam: &AdamState) -> H256 {
    let of = |moment: &[f32]| match adam.step {
        0 => H256::zero(),
        _ => model_root(moment).0,
    };
    let state = trace::State {
        parameters: model_root(parameters).0,
        first_moment: of(&adam.m),
        second_moment: of(&adam.v),
        steps: adam.step,
    };
    state.hash()
}

fn decoded(config: &RunConfig, file: &[u8]) -> Contribution {
    let layout = Layout::of(&config.model);
    decode(file, &layout, &config.compression_of(Uid(0), 0)).unwrap()
}
