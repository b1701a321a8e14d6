//! What of a worker survives a crash.
//!
//! A change is written as the worker's state directory writes it: all of it or nothing. It takes its time, and a crash
//! before the end leaves what was there before ([`Disk::write`] is called at the end). Whoever writes waits until the
//! system has put it on the disk ([`Disk::sync`]) before it goes on: a crash in between may take the change with it
//! ([`Disk::lose`]).

use std::rc::Rc;

use cairn_primitives::{ModelRoot, Round, H256};
use cairn_protocol::verdict::Ends;
use cairn_round::{
    audit::{Demand, Shown, Verdict},
    hidden_row::HiddenRow,
    machine::Transaction,
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
    /// The parameters that it was made from.
    pub theta: Rc<Theta>,
    /// The sealed file.
    pub copy: Rc<[u8]>,
}

/// The inner steps of a contribution.
#[derive(Clone, Debug, Default)]
pub struct Traced {
    /// The hashes of the traced states, in order.
    pub states: Vec<H256>,
    /// The windows of each step.
    pub windows: Vec<Vec<u64>>,
}

/// Inner steps of a round up to a traced state that was kept: who is killed goes on from there.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Which round.
    pub round: Round,
    /// The miner's slot in it.
    pub slot: u64,
    /// The root of the parameters that it began with.
    pub parent: ModelRoot,
    /// Moments and error feedback that it began with.
    pub memory: Rc<Memory>,
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
    /// The one to the round after it, where rounds overlap.
    pub ahead: Option<Open>,
    /// A miner's inner steps under way.
    pub kept: Option<Kept>,
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
    /// What was there before the first change that may be lost.
    synced: Option<Box<Content>>,
    writes: u64,
}

impl Disk {
    /// What is on it.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Changes, all at once.
    pub fn write(&mut self, change: impl FnOnce(&mut Content)) {
        let before = || Box::new(self.content.clone());
        self.synced.get_or_insert_with(before);
        change(&mut self.content);
        self.writes += 1;
    }

    /// Keeps inner steps: their file depends on nothing else, and is only there once it is whole.
    pub fn keep(&mut self, kept: Kept) {
        if let Some(synced) = &mut self.synced {
            synced.kept = Some(kept.clone());
        }
        self.content.kept = Some(kept);
    }

    /// What was changed so far survives a crash from now on.
    pub fn sync(&mut self) {
        self.synced = None;
    }

    /// A crash takes with it what was changed since the last [`Disk::sync`].
    pub fn lose(&mut self) {
        if let Some(synced) = self.synced.take() {
            self.content = *synced;
        }
    }

    /// Whether it has what a transaction binds its sender to, or opens, and has it after a crash, too.
    pub fn has(&self, transaction: &Transaction) -> bool {
        let synced = self.synced.as_deref();
        self.content.has(transaction) && synced.is_none_or(|content| content.has(transaction))
    }

    /// How often it was changed, changes that were lost included.
    pub fn writes(&self) -> u64 {
        self.writes
    }
}

impl Content {
    /// What is held.
    pub fn held(&self) -> Option<Held> {
        self.held.as_ref().map(|(held, _)| *held)
    }

    /// The contributions that are not settled yet.
    pub fn made(&self) -> impl Iterator<Item = &Open> {
        self.open.iter().chain(&self.ahead)
    }

    /// Whether it has what a transaction binds its sender to, or opens. What does neither needs nothing here.
    pub fn has(&self, transaction: &Transaction) -> bool {
        let mut intents = self.made().map(|open| &open.intent);
        match transaction {
            Transaction::Commit(round, commitment) => {
                intents.any(|intent| (intent.round, &intent.commitment) == (*round, commitment))
            }
            Transaction::Reveal(round, key) => {
                intents.any(|intent| (intent.round, intent.key) == (*round, *key))
            }
            Transaction::CommitAttestation(pledge) | Transaction::Attest(pledge) => {
                self.pledges.contains(pledge)
            }
            Transaction::OpenAudit(_, shown) => self.shown.as_ref() == Some(shown),
            Transaction::CommitVerdict(verdict) | Transaction::RevealVerdict(verdict) => {
                self.verdicts.contains(verdict)
            }
            Transaction::CommitScores(row) | Transaction::RevealScores(row) => {
                self.hidden_rows.contains(row)
            }
            Transaction::Here(_) | Transaction::SetEndpoints(_) | Transaction::SetScores(..) => {
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::{Commitment, ModelRoot, SealedRoot, Secret, Uid};

    fn round_of(disk: &Disk) -> Option<u32> {
        disk.content().shown.map(|shown| shown.round)
    }

    fn shown(round: u32) -> Option<Shown> {
        let served = cairn_primitives::Served {
            root: H256::zero(),
            length: 1,
        };
        Some(Shown { round, served })
    }

    #[test]
    fn a_crash_takes_all_that_is_not_synced_and_nothing_else() {
        let mut disk = Disk::default();
        disk.write(|content| content.shown = shown(1));
        disk.sync();
        for round in [2, 3] {
            disk.write(|content| content.shown = shown(round));
        }
        assert_eq!(round_of(&disk), Some(3), "who asks sees it at once");
        disk.lose();
        assert_eq!(round_of(&disk), Some(1));
        disk.lose();
        assert_eq!((round_of(&disk), disk.writes()), (Some(1), 3));
    }

    #[test]
    fn what_a_crash_may_take_does_not_count() {
        let shown = shown(1).expect("something is shown");
        let open = Transaction::OpenAudit(Uid(5), shown);
        let mut disk = Disk::default();
        assert!(!disk.has(&open));
        disk.write(|content| content.shown = Some(shown));
        assert!(!disk.has(&open), "it may be lost");
        disk.sync();
        assert!(disk.has(&open));
        disk.write(|content| content.shown = None);
        assert!(!disk.has(&open));
    }

    #[test]
    fn what_is_bound_or_opened_has_to_be_there() {
        let root = H256::repeat_byte(7);
        let commitment = Commitment {
            parent_root: ModelRoot(root),
            sealed_root: SealedRoot(root),
            length: 1,
            key_hash: root,
        };
        let key = Secret::new([8; 32]);
        let commit = |round| Transaction::Commit(round, commitment.clone());
        let mut content = Content::default();
        assert!(!content.has(&commit(4)) && content.has(&Transaction::Here(4)));
        content.open = Some(Open {
            intent: Intent {
                round: 4,
                commitment: commitment.clone(),
                key,
            },
            left: Rc::default(),
            traced: Rc::default(),
            theta: Rc::new(Theta {
                root: ModelRoot(root),
                values: Vec::new(),
            }),
            copy: Rc::new([]),
        });
        assert!(content.has(&commit(4)) && !content.has(&commit(5)));
        assert!(content.has(&Transaction::Reveal(4, key)));
        let other = Secret::new([9; 32]);
        assert!(!content.has(&Transaction::Reveal(4, other)));
    }
}
