//! What a miner serves when its work is audited, and what a validator finds when it audits.
//!
//! ```text
//!   miner:      own work drawn ──▶ Keep, with the state before ──▶ Train … ──▶ Serve ──▶ root on disk ──▶ OpenAudit
//!   validator:  drawn, and the blob is served ──▶ Audit ──▶ verdict on disk ──▶ CommitVerdict ──▶ RevealVerdict
//! ```
//!
//! A miner that was drawn keeps on disk what the round began with. It serves the states that it kept while it trained, or
//! makes them again from there: when it has made its next contribution, so that auditing takes no time from training,
//! or at once if there might be no time for it afterwards. A *verdict* is a finding with the salt that
//! hides it; it is on disk before the commitment to it is sent, so that a validator never commits to two.

use std::collections::BTreeMap;

use cairn_primitives::{
    api, finding_hash, BlockNumber, Finding, Hotkey, Netuid, Round, Secret, Served, Uid, H256,
};
use cairn_protocol::audit::Stage;
use serde::{Deserialize, Serialize};

use crate::{machine::Transaction, View};

/// How often a miner tries to make what is audited of its work.
const TRIES: u8 = 3;
/// With so many blocks left to commit to a verdict, what cannot be had counts as not served.
const LAST_BLOCKS: BlockNumber = 2;

/// An audit that is not over, as the chain has it.
pub type Audit = api::AuditInfo<Hotkey>;

/// The stage of an audit in the block after `now`, in which what is sent at best is.
pub fn next_stage(audit: &Audit, now: BlockNumber) -> Stage {
    let next = now.saturating_add(1);
    let ends = [
        (Stage::Open, audit.opens_until),
        (Stage::Commit, audit.commits_until),
        (Stage::Reveal, audit.reveals_until),
    ];
    let stage = ends.into_iter().find(|(_, end)| next < *end);
    stage.map_or(Stage::Over, |(stage, _)| stage)
}

/// Whether what cannot be had in block `now` counts as not served, since there is hardly time left to commit to that.
pub fn is_last(audit: &Audit, now: BlockNumber) -> bool {
    now.saturating_add(LAST_BLOCKS) >= audit.commits_until
}

/// What a miner serves of its contribution to a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The round.
    pub round: Round,
    /// The blob.
    pub served: Served,
}

/// Which states a miner has to make again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// The round.
    pub round: Round,
    /// The interval follows from this and from the steps that were made.
    pub drawn: u32,
}

/// What a miner knows of being audited.
#[derive(Clone, Debug, Default)]
pub struct Serving {
    /// What was drawn of the round that is to be applied.
    drawn: Option<Demand>,
    /// What is to be served of a round that was applied, and what it began with. On disk.
    owed: Option<Demand>,
    /// What is served of the newest round that was audited. On disk.
    shown: Option<Shown>,
    /// How often it came to nothing, and in which round.
    failed: (Round, u8),
}

impl Serving {
    /// With what is on disk.
    pub fn new(owed: Option<Demand>, shown: Option<Shown>) -> Serving {
        Serving {
            owed,
            shown,
            ..Serving::default()
        }
    }

    /// What is to be served of a round that was applied.
    pub fn owed(&self) -> Option<Demand> {
        self.owed
    }

    /// The same, unless it is served.
    pub fn unserved(&self) -> Option<Demand> {
        let is_shown = |owed: &Demand| self.shown.is_some_and(|shown| shown.round == owed.round);
        self.owed.filter(|owed| !is_shown(owed))
    }

    /// Takes note of what was drawn of the round held, of the miner with this hotkey.
    pub fn look(&mut self, view: &View, hotkey: Hotkey, held: Option<Round>) {
        let is_own = |audit: &&Audit| audit.hotkey == hotkey && Some(audit.round) == held;
        let own = view.audits.iter().find(is_own);
        let drawn = own.map(|audit| Demand {
            round: audit.round,
            drawn: audit.drawn,
        });
        self.drawn = drawn.or(self.drawn);
    }

    /// A round is to be put in force: what was drawn of it, so that the state with which it began is kept.
    pub fn keep(&mut self, round: Round) -> Option<Demand> {
        let drawn = self.drawn.take().filter(|drawn| drawn.round == round)?;
        self.owed = Some(drawn);
        self.owed
    }

    /// What is to be made now of the miner with this hotkey.
    pub fn demand(&self, view: &View, hotkey: Hotkey, now: BlockNumber) -> Option<Demand> {
        let owed = self.unserved()?;
        let has_failed = self.failed == (owed.round, TRIES);
        let is_open = |audit: &Audit| {
            (audit.round, audit.hotkey, audit.served) == (owed.round, hotkey, None)
                && next_stage(audit, now) == Stage::Open
        };
        let is_due = !has_failed && view.audits.iter().any(is_open);
        is_due.then_some(owed)
    }

    /// Whether something was drawn of the contribution to the round held.
    pub fn is_drawn(&self, held: Option<Round>) -> bool {
        held.is_some() && self.drawn.map(|drawn| drawn.round) == held
    }

    /// Whether what is to be made now comes before a training that may last until a block: it may take as long as that,
    /// and its stage could be over then. To serve nothing costs the bond, to train for less a part of a round.
    pub fn comes_first(
        &self,
        view: &View,
        hotkey: Hotkey,
        (now, until): (BlockNumber, BlockNumber),
    ) -> bool {
        let demand = self.demand(view, hotkey, now);
        demand.is_some_and(|demand| is_pressing(demand, view, hotkey, (now, until)))
    }

    /// Whether what was drawn of the round held, which is to be applied, cannot wait for a training that may last until
    /// a block: it is made once that round is applied, and that may take as long again.
    pub fn presses(
        &self,
        view: &View,
        hotkey: Hotkey,
        held: Option<Round>,
        (now, until): (BlockNumber, BlockNumber),
    ) -> bool {
        let drawn = self.drawn.filter(|drawn| Some(drawn.round) == held);
        drawn.is_some_and(|drawn| is_pressing(drawn, view, hotkey, (now, until)))
    }

    /// How making it ended.
    pub fn made(&mut self, round: Round, served: Option<Served>) {
        match served {
            Some(served) => self.shown = Some(Shown { round, served }),
            None if self.failed.0 == round => self.failed.1 = self.failed.1.saturating_add(1),
            None => self.failed = (round, 1),
        }
    }

    /// What is to be said to the chain.
    pub fn next(&self, view: &View, hotkey: Hotkey, now: BlockNumber) -> Option<Transaction> {
        let shown = self.shown?;
        let is_due = |audit: &&Audit| {
            (audit.round, audit.hotkey, audit.served) == (shown.round, hotkey, None)
                && next_stage(audit, now) == Stage::Open
        };
        let audit = view.audits.iter().find(is_due)?;
        Some(Transaction::OpenAudit(audit.uid, shown))
    }
}

/// Whether the first stage of an audit could be over if it is served after a training that may last until a block.
fn is_pressing(
    demand: Demand,
    view: &View,
    hotkey: Hotkey,
    (now, until): (BlockNumber, BlockNumber),
) -> bool {
    let made_after = until.saturating_add(until.saturating_sub(now));
    let is_it = |audit: &&Audit| (audit.round, audit.hotkey) == (demand.round, hotkey);
    let audit = view.audits.iter().find(is_it);
    audit.is_some_and(|audit| audit.opens_until <= made_after)
}

/// A finding, and what opens the commitment to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The round of the contribution that was audited.
    pub round: Round,
    /// Whose it was.
    pub uid: Uid,
    /// What was found.
    pub finding: Finding,
    /// The salt.
    pub salt: Secret,
    /// [`finding_hash`] of all that.
    pub hash: H256,
}

impl Verdict {
    /// A verdict of `hotkey` in subnet `netuid`. The salt must come from the system's random numbers.
    pub fn new(
        (netuid, hotkey): (Netuid, Hotkey),
        (round, uid): (Round, Uid),
        finding: Finding,
        salt: Secret,
    ) -> Verdict {
        Verdict {
            round,
            uid,
            finding,
            hash: finding_hash((netuid, round, uid), &hotkey, finding, salt.expose()),
            salt,
        }
    }

    /// Which contribution it is of.
    pub fn of(&self) -> (Round, Uid) {
        (self.round, self.uid)
    }
}

/// What there is to do for an auditor.
#[derive(Clone, Debug, PartialEq)]
pub enum Duty {
    /// Replay this, and put what was found on disk with a salt.
    Audit(Box<Audit>),
    /// Send this.
    Send(Transaction),
}

/// What an auditor is free to do.
#[derive(Clone, Copy, Debug)]
pub struct Free {
    /// It computes nothing else.
    pub to_replay: bool,
    /// Nothing of an audit is under way to the chain.
    pub to_send: bool,
}

/// What a validator knows of the audits that it was drawn for.
#[derive(Clone, Debug, Default)]
pub struct Auditing {
    /// What it found in audits that are not over. On disk.
    verdicts: Vec<Verdict>,
    /// What it is replaying.
    replaying: Option<(Round, Uid)>,
    /// How often it came to nothing, of what has no verdict.
    failed: BTreeMap<(Round, Uid), u32>,
}

impl Auditing {
    /// With what is on disk.
    pub fn new(verdicts: Vec<Verdict>) -> Auditing {
        Auditing {
            verdicts,
            ..Auditing::default()
        }
    }

    /// What it found in audits that are not over, oldest first.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// How replaying ended. What cannot be judged here, or not now, has no verdict, and comes after the rest.
    pub fn judged(&mut self, of: (Round, Uid), verdict: Option<Verdict>) {
        self.replaying = self.replaying.filter(|one| *one != of);
        if let Some(verdict) = verdict {
            self.failed.remove(&of);
            self.verdicts.push(verdict);
        } else {
            let times = self.failed.entry(of).or_default();
            *times = times.saturating_add(1);
        }
    }

    /// What there is to do for the auditor with this hotkey, which is free to replay or computes something else, and
    /// may send something or has to wait; to be asked until there is nothing. The oldest round comes first, in a round
    /// makers that have passed an audit, and then what has the lowest draw, for all auditors alike: what they come to
    /// is decided by all of them. What came to nothing comes after what did so less often, until its [last](is_last)
    /// blocks.
    pub fn next(
        &mut self,
        view: &View,
        hotkey: Hotkey,
        now: BlockNumber,
        free: Free,
    ) -> Option<Duty> {
        let is_open = |of: (Round, Uid)| {
            let mut audits = view.audits.iter();
            audits.any(|audit| (audit.round, audit.uid) == of)
        };
        self.verdicts.retain(|verdict| is_open(verdict.of()));
        self.replaying = self.replaying.filter(|of| is_open(*of));
        self.failed.retain(|of, _| is_open(*of));
        // Who has more to do than there is time for does first what the chain drew to be first. By uid it would be the
        // same members each time whose work nobody comes to: those that joined last. Newcomers, all of whose work is
        // audited, could fill that time with many seats; they have no pay before. And were what cannot be had tried
        // first each time, whoever serves nothing but a root would keep all from what others serve.
        let mut audits: Vec<&Audit> = view.audits.iter().collect();
        audits.sort_by_key(|audit| {
            let lot = (audit.round, audit.is_new, audit.drawn);
            (self.times_failed(audit, now), lot)
        });
        let mut audits = audits.into_iter();
        let found = audits.find_map(|audit| self.duty(audit, (hotkey, free), now));
        if let Some(Duty::Audit(audit)) = &found {
            self.replaying = Some((audit.round, audit.uid));
        }
        found
    }

    /// How often replaying came to nothing; in the last blocks that does not count.
    fn times_failed(&self, audit: &Audit, now: BlockNumber) -> u32 {
        let times = self.failed.get(&(audit.round, audit.uid));
        let times = times.filter(|_| !is_last(audit, now));
        times.copied().unwrap_or_default()
    }

    /// What there is to do in one audit.
    fn duty(
        &self,
        audit: &Audit,
        (hotkey, free): (Hotkey, Free),
        now: BlockNumber,
    ) -> Option<Duty> {
        let of = (audit.round, audit.uid);
        let own = audit.auditors.iter().find(|one| one.hotkey == hotkey)?;
        let verdict = self.verdicts.iter().find(|verdict| verdict.of() == of);
        let verdict = verdict.filter(|_| free.to_send);
        // In a dispute who was drawn has revealed already.
        let has_said = own.committed.is_some() || own.found.is_some();
        match next_stage(audit, now) {
            Stage::Open | Stage::Commit
                if !has_said && free.to_replay && self.may_replay(audit) =>
            {
                Some(Duty::Audit(Box::new(audit.clone())))
            }
            Stage::Commit if !has_said => {
                let verdict = verdict?.clone();
                Some(Duty::Send(Transaction::CommitVerdict(verdict)))
            }
            Stage::Reveal if own.found.is_none() => {
                let verdict = verdict.filter(|it| own.committed == Some(it.hash))?;
                Some(Duty::Send(Transaction::RevealVerdict(verdict.clone())))
            }
            _ => None,
        }
    }

    /// Whether there is something to replay that was not replayed: one at a time.
    fn may_replay(&self, audit: &Audit) -> bool {
        let of = (audit.round, audit.uid);
        let is_judged = self.verdicts.iter().any(|verdict| verdict.of() == of);
        audit.served.is_some() && self.replaying.is_none() && !is_judged
    }
}
