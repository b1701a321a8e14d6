//! Rounds made by the parts: trainer and codec without an engine.

use cairn_gradient::{compress, decode, outer_step, put_back, Contribution, Header};
use cairn_primitives::{Layout, RunConfig, Uid, H256};
use cairn_trainer::{AdamState, Trainer};

use crate::fixture::{sequences, slices};

/// A member's state, as vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub uid: Uid,
    pub parameters: Vec<f32>,
    pub adam: AdamState,
    pub feedback: Vec<f32>,
}

impl Member {
    pub fn new(uid: Uid, parameters: &[f32]) -> Member {
        Member {
            uid,
            parameters: parameters.to_vec(),
            adam: AdamState::new(parameters.len()),
            feedback: vec![0.0; parameters.len()],
        }
    }

    /// The plain file of a round; moments and feedback are those after it.
    pub fn contribute(&mut self, config: &RunConfig, round: u32, root: H256) -> Vec<u8> {
        let layout = Layout::of(&config.model);
        let mut trainer = Trainer::new(&config.model, 1).unwrap();
        let (mut after, mut losses) = (self.parameters.clone(), Vec::new());
        for step in 0..u32::from(config.inner.steps) {
            let batch = sequences(self.uid, round, step);
            let loss = trainer.step(&mut after, &mut self.adam, &config.inner, &slices(&batch));
            losses.push(loss.unwrap());
        }
        let difference = self.parameters.iter().zip(&after).map(|(a, b)| a - b);
        let delta: Vec<f32> = difference.collect();
        let header = Header {
            netuid: 1,
            round,
            hotkey: [self.uid as u8; 32],
            parent_root: root,
            layout_hash: layout.hash(),
            inner_steps: losses.len() as u32,
            tokens: losses.len() as u64 * 4 * u64::from(config.inner.sequence_length),
            mean_loss: losses.iter().sum::<f32>() / losses.len() as f32,
        };
        let compression = config.compression_in(round);
        let made = compress(&layout, &compression, &delta, &mut self.feedback, header);
        made.unwrap().1
    }

    /// The outer step with these plain files.
    pub fn apply(&mut self, config: &RunConfig, files: &[(Uid, &[u8])]) {
        let layout = Layout::of(&config.model);
        let decoded = |(uid, file): &(Uid, &[u8])| (*uid, self::decoded(config, file));
        let included: Vec<(Uid, Contribution)> = files.iter().map(decoded).collect();
        outer_step(&mut self.parameters, &layout, &included, &config.outer).unwrap();
    }

    /// Takes back what was not included.
    pub fn take_back(&mut self, config: &RunConfig, file: &[u8]) {
        let layout = Layout::of(&config.model);
        put_back(&mut self.feedback, &layout, &decoded(config, file)).unwrap();
    }
}

fn decoded(config: &RunConfig, file: &[u8]) -> Contribution {
    let layout = Layout::of(&config.model);
    decode(file, &layout, &config.compression_in(0)).unwrap()
}
