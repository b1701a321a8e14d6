//! What of a worker survives a crash.
//!
//! A change is written as the worker's state directory writes it: all of it or nothing. It takes its time, and a crash
//! before the end leaves what was there before ([`Disk::write`] is called at the end).

use std::rc::Rc;

use cairn_primitives::{SealedRoot, H256};
use cairn_protocol::verdict::Ends;
use cairn_round::{
    audit::{Demand, Shown, Verdict},
    hidden_row::{self, HiddenRow},
    miner::Intent,
    pledge::Pledge,
    scoring::Evidence,
    Held,
};

use crate::workshop::{Memory, Theta};

/// A contribution that was made.
#[derive(Clone, Debug)]
pub struct Open {
    /// What is committed to, and the key.
    pub intent: Intent,
    /// Its maker's moments and error feedback afterwards, which are carried on if it is included.
    pub left: Rc<Memory>,
    /// The inner steps that were made, whatever it claims.
    pub traced: Rc<Traced>,
}

/// The inner steps of a contribution.
#[derive(Clone, Debug, Default)]
pub struct Traced {
    /// The hashes of the traced states, in order.
    pub states: Vec<H256>,
    /// The windows of each step.
    pub windows: Vec<Vec<u64>>,
}

/// What is audited of a round that was applied, and what that began with.
#[derive(Clone, Debug)]
pub struct Audited {
    /// Which steps.
    pub demand: Demand,
    /// The inner steps of the contribution.
    pub traced: Rc<Traced>,
    /// The parameters before.
    pub theta: Rc<Theta>,
    /// Moments and error feedback before.
    pub memory: Rc<Memory>,
}

/// What is on a worker's disk.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// The parameters held.
    pub held: Option<(Held, Rc<Theta>)>,
    /// The median norm of the last round applied here that included anything.
    pub norm: Option<f64>,
    /// Where makers ended, as far as the rounds were seen here.
    pub ends: Ends,
    /// A miner's moments and error feedback.
    pub memory: Option<Rc<Memory>>,
    /// A miner's contribution to the round held.
    pub open: Option<Open>,
    /// What a validator attests, or attested, in the last rounds.
    pub pledges: Vec<Pledge>,
    /// What is to be served of a round that was applied.
    pub audited: Option<Audited>,
    /// What a miner serves of the newest round that was audited.
    pub shown: Option<Shown>,
    /// What a validator found in the last audits.
    pub verdicts: Vec<Verdict>,
    /// A validator's scores that can still matter.
    pub hidden_rows: Vec<HiddenRow>,
    /// A validator's evidence.
    pub evidence: Vec<Evidence>,
}

/// A disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    content: Content,
    writes: u64,
}

impl Disk {
    /// What is on it.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Changes, all at once.
    pub fn write(&mut self, change: impl FnOnce(&mut Content)) {
        change(&mut self.content);
        self.writes += 1;
    }

    /// How often it was changed.
    pub fn writes(&self) -> u64 {
        self.writes
    }
}

impl Content {
    /// What is held.
    pub fn held(&self) -> Option<Held> {
        self.held.as_ref().map(|(held, _)| *held)
    }

    /// The sealed root of the open contribution.
    pub fn open_root(&self) -> Option<SealedRoot> {
        self.open
            .as_ref()
            .map(|open| open.intent.commitment.sealed_root)
    }

    /// Keeps a hidden row beside those that can still matter.
    pub fn keep_hidden_row(&mut self, hidden_row: HiddenRow) {
        self.hidden_rows = hidden_row::with(&self.hidden_rows, hidden_row);
    }
}
