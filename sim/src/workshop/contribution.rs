//! Making contributions: by the engine, as every honest miner does, or by hand, as an attacker may.

use std::rc::Rc;

use cairn_engine::{AdamState, EngineError, Order, Version};
use cairn_gradient::{compress, decode, put_back, seal, sealed_root, Header, Work};
use cairn_primitives::{key_hash, Carried, Commitment, Hotkey, Netuid, Secret, Uid};
use cairn_round::{miner::Intent, Held};

use super::{Memory, Theta, Workshop};
use crate::disk::{Open, Traced};

/// What a contribution to be made is for.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// The subnet.
    pub netuid: u16,
    /// The miner's hotkey.
    pub hotkey: Hotkey,
    /// Its uid in the round.
    pub uid: Uid,
    /// The round, and the root of the parameters that it is made from.
    pub held: Held,
}

/// What training brought.
#[derive(Clone, Debug)]
pub struct Trained {
    header: Header,
    uid: Uid,
    /// The file before it is sealed.
    pub plain: Vec<u8>,
    /// Moments and error feedback afterwards.
    pub memory: Memory,
    /// The inner steps.
    traced: Rc<Traced>,
}

impl Workshop {
    /// Inner steps on these windows, from what a miner holds and remembers, and the file of what is to be sent.
    /// `None` if nothing comes of it.
    pub fn train(
        &mut self,
        label: Label,
        theta: &Theta,
        memory: &Memory,
        windows: &[Vec<u64>],
    ) -> Option<Trained> {
        let trained = self.steps(label, theta, memory, windows);
        // Or it would refuse to train again.
        self.engine.discard();
        trained.ok().flatten()
    }

    fn steps(
        &mut self,
        label: Label,
        theta: &Theta,
        memory: &Memory,
        windows: &[Vec<u64>],
    ) -> Result<Option<Trained>, EngineError> {
        self.engine.load(memory.state(theta))?;
        let order = Order {
            round: label.held.round,
            uid: label.uid,
            steps: windows.len() as u32,
        };
        let text = &self.text;
        let mut sequences = |step: u32| {
            let windows = windows.get(step as usize);
            windows.map_or_else(Vec::new, |windows| text.windows(windows))
        };
        let trained = self.engine.train(&order, &mut sequences, &mut |_| true)?;
        let Some(trained) = trained else {
            return Ok(None);
        };
        let header = Header {
            netuid: Netuid(label.netuid),
            round: label.held.round,
            hotkey: label.hotkey,
            parent_root: label.held.root,
            layout_hash: self.layout_hash,
            inner_steps: trained.steps(),
            tokens: trained.tokens,
            mean_loss: trained.mean_loss(),
            // The engine says what it did; who makes a file by hand says nothing.
            work: Work::default(),
        };
        let traced = Traced {
            states: trained.trace,
            windows: windows.to_vec(),
        };
        let plain = self.engine.contribution(header.clone())?;
        let after = self.engine.state(Version::Pending)?;
        let memory = Memory {
            optimizer: after.optimizer,
            feedback: after.feedback,
        };
        Ok(Some(Trained {
            header,
            uid: label.uid,
            plain,
            memory,
            traced: Rc::new(traced),
        }))
    }

    /// The pseudo-gradient that training found, if nothing was left unsent before it: what was sent, and what was left.
    pub fn found(&self, trained: &Trained) -> Option<Vec<f32>> {
        let compression = self.run.compression_of(trained.uid, trained.header.round);
        let sent = decode(&trained.plain, &self.layout, &compression).ok()?;
        let mut found = trained.memory.feedback.clone()?;
        put_back(&mut found, &self.layout, &sent).ok()?;
        Some(found)
    }

    /// Makes a file by hand that claims so many steps, with these values in place of what training found. `None` if
    /// they are not to be sent: not finite, or too large.
    pub fn by_hand(
        &self,
        trained: &Trained,
        claimed: u32,
        values: &[f32],
        memory: &Memory,
    ) -> Option<Trained> {
        let inner = &self.run.inner;
        let a_step = u64::from(inner.sequences) * u64::from(inner.sequence_length);
        let mut header = Header {
            inner_steps: claimed,
            tokens: u64::from(claimed) * a_step,
            ..trained.header.clone()
        };
        let compression = self.run.compression_of(trained.uid, header.round);
        let made = |header: &Header| {
            let feedback = memory.feedback.clone();
            let mut feedback = feedback.unwrap_or_else(|| vec![0.0; values.len()]);
            let header = header.clone();
            let made = compress(&self.layout, &compression, values, &mut feedback, header);
            Some((made.ok()?.1, feedback))
        };
        let steps = memory.carried().steps + u64::from(claimed);
        let optimizer = trained.memory.optimizer.clone();
        let memory_after = Memory {
            optimizer: optimizer.map(|moments| AdamState {
                step: steps,
                ..moments
            }),
            feedback: Some(made(&header)?.1),
        };
        // It lies of its steps, and not of where it ended: that would be found out in the next round.
        header.work.before = memory.carried();
        header.work.after = Carried {
            steps: 0,
            ..memory_after.carried()
        };
        let (plain, _) = made(&header)?;
        let memory = memory_after;
        Some(Trained {
            uid: trained.uid,
            header,
            plain,
            memory,
            traced: trained.traced.clone(),
        })
    }
}

impl Trained {
    /// Seals the file, which was made from `theta`, with a key: what is committed to, and what is stored.
    pub fn seal(self, key: [u8; 32], theta: Rc<Theta>) -> (Open, Rc<[u8]>) {
        let (commitment, sealed) = sealed_file(&self.header, &self.plain, &key);
        let intent = Intent {
            round: self.header.round,
            commitment,
            key: Secret::new(key),
        };
        let left = Rc::new(self.memory);
        let traced = self.traced;
        let sealed: Rc<[u8]> = sealed.into();
        let open = Open {
            intent,
            left,
            traced,
            theta,
            copy: sealed.clone(),
        };
        (open, sealed)
    }
}

/// Seals a file with a key, and says what is to be committed to.
pub fn sealed_file(header: &Header, plain: &[u8], key: &[u8; 32]) -> (Commitment, Vec<u8>) {
    let mut sealed = plain.to_vec();
    seal(&mut sealed, key);
    let commitment = Commitment {
        parent_root: header.parent_root,
        sealed_root: sealed_root(&sealed),
        length: sealed.len() as u64,
        key_hash: key_hash(header.netuid, header.round, &header.hotkey, key),
    };
    (commitment, sealed)
}
