//! What both roles decide alike: when to look at the chain, which parameters to hold, and that one thing is computed
//! at a time.
//!
//! ```text
//!   nothing held ──Join──▶ held r ──(round r is settled)──▶ Apply ──▶ Keep ──▶ held r + 1
//!        ▲                   │                                │
//!        ├──(too far behind)─┘                                │
//!        └──(it cannot be applied, and a checkpoint is newer)─┘
//! ```
//!
//! **Liveness.** The chain is looked at when it moved, and at once when something ended well. What failed is tried
//! again with the next block, not sooner.

use std::collections::VecDeque;

use cairn_primitives::{BlockNumber, Hotkey, ModelRoot, Round, RunConfig, Text};
use cairn_protocol::{
    checkpoint::{is_due, is_passed_over, is_too_far_behind},
    endpoint, lineage,
};

use crate::{
    audit::Demand,
    machine::{Action, Event, Gone, Held, Kind, Question, Reason, Transaction},
    outbox::Outbox,
    Settlement, View,
};

/// What is being computed. One thing at a time.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Nothing.
    Idle,
    /// The role's own work on this round.
    Own(Round),
    /// An outer step.
    Applying(Box<Settlement>),
    /// The parameters after a round are being put in force.
    Keeping(Round),
    /// Newer parameters are being fetched.
    Joining,
}

/// Where a worker is on its course.
#[derive(Clone, Debug)]
pub struct Course<W> {
    held: Option<Held>,
    /// Rounds from one checkpoint to the next.
    checkpoint_every: u8,
    work: Work,
    /// How often in a row the round held could not be applied.
    unapplied: u8,
    looking: bool,
    /// The round that the last look asked about.
    asked: Option<Round>,
    news: bool,
    /// What it has sent.
    outbox: Outbox,
    /// Where its files can be had.
    endpoints: Vec<Text>,
    actions: VecDeque<Action<W>>,
}

/// What is left to the role of an event that the course has taken.
#[derive(Clone, Debug, PartialEq)]
pub enum Left<D> {
    /// Nothing.
    Nothing,
    /// To decide what a view means for it.
    Look(Box<View>),
    /// That the run is gone.
    Gone(Gone),
    /// That other parameters are held: those after a round, or fetched ones.
    Begin(Held),
    /// That an outer step was computed and may be kept.
    Keep(Box<Settlement>, Held),
    /// What became of its own work.
    Done(D),
}

impl<W> Course<W> {
    /// With what is on disk.
    pub fn new(held: Option<Held>) -> Course<W> {
        Course {
            held,
            checkpoint_every: RunConfig::USUAL_CHECKPOINT_EVERY,
            work: Work::Idle,
            unapplied: 0,
            looking: false,
            asked: None,
            news: true,
            outbox: Outbox::default(),
            endpoints: Vec::new(),
            actions: VecDeque::new(),
        }
    }

    /// Where its files can be had, which the chain is to say.
    pub fn serve_at(&mut self, endpoints: Vec<Text>) {
        self.endpoints = endpoints;
    }

    /// In a run that has a checkpoint every so many rounds.
    pub fn checkpoint_every(&mut self, rounds: u8) {
        self.checkpoint_every = rounds;
    }

    /// Whether a checkpoint of the parameters with which `round` begins is to be written.
    pub fn has_checkpoint(&self, round: Round) -> bool {
        is_due(round, self.checkpoint_every)
    }

    /// The parameters held.
    pub fn held(&self) -> Option<Held> {
        self.held
    }

    /// The round that begins with the parameters held.
    pub fn round(&self) -> Option<Round> {
        self.held.map(|held| held.round)
    }

    /// What is being computed.
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// Whether nothing is being computed.
    pub fn is_idle(&self) -> bool {
        self.work == Work::Idle
    }

    /// Begins the role's own work on `round`.
    pub fn begin(&mut self, round: Round, work: W) {
        self.work = Work::Own(round);
        self.act(Action::Do(work));
    }

    /// The role's own work has ended.
    pub fn rest(&mut self) {
        if matches!(self.work, Work::Own(_)) {
            self.work = Work::Idle;
        }
    }

    /// Something may follow at once.
    pub fn look_again(&mut self) {
        self.news = true;
    }

    /// Puts an action behind those that are there.
    pub fn act(&mut self, action: Action<W>) {
        self.actions.push_back(action);
    }

    /// Whether a transaction of this kind may be sent on account of a view of block `now`.
    pub fn may_send(&self, kind: Kind, now: BlockNumber) -> bool {
        self.outbox.is_free(kind, now)
    }

    /// Sends a transaction. Of its kind none may be sent until this one can be seen on chain.
    pub fn send(&mut self, transaction: Transaction) {
        self.outbox.send(transaction.kind());
        self.act(Action::Send(transaction));
    }

    /// The next action: what was decided, then a look at the chain if there is reason for one.
    pub fn poll(&mut self, voting: bool) -> Option<Action<W>> {
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        if !self.news || self.looking {
            return None;
        }
        self.news = false;
        self.looking = true;
        self.asked = self.round();
        Some(Action::Look(Question {
            settled: self.asked,
            voting,
        }))
    }

    /// Takes what happened, and gives what is left to the role.
    pub fn take<D>(&mut self, event: Event<D>, now: BlockNumber) -> Left<D> {
        match event {
            Event::Moved => self.news = true,
            Event::Looked(view) => {
                self.looking = false;
                return Left::Look(view);
            }
            Event::Gone(gone) => {
                self.looking = false;
                return Left::Gone(gone);
            }
            Event::NotLooked => self.looking = false,
            // What went into a block that has not been seen yet is looked for when it comes.
            Event::Sent { kind, block } => {
                self.outbox.sent(kind, block, now);
                self.news |= block.is_some_and(|block| block <= now);
            }
            Event::Applied { round, root } => return self.applied(round, root),
            Event::NotApplied(round) => {
                if self.is_applying(round) {
                    self.work = Work::Idle;
                    self.unapplied = self.unapplied.saturating_add(1);
                }
            }
            Event::Kept(held) => {
                let expected = held.round.checked_sub(1).map(Work::Keeping);
                if expected.as_ref() == Some(&self.work) {
                    return self.hold(held);
                }
            }
            Event::Joined(held) => {
                if self.work == Work::Joining {
                    return self.hold(held);
                }
            }
            Event::NotJoined => {
                if self.work == Work::Joining {
                    self.work = Work::Idle;
                }
            }
            Event::Done(done) => return Left::Done(done),
        }
        Left::Nothing
    }

    /// What the chain's view asks of whoever computes nothing: to join, or to apply the round held; `is_included`
    /// says whether that includes the worker's own contribution. `false` if neither.
    pub fn follow(&mut self, view: &View, is_included: impl FnOnce(&Settlement) -> bool) -> bool {
        let settled = view.settled.as_ref();
        let settled = settled.filter(|settled| Some(settled.round) == self.round());
        match (self.held, settled) {
            (Some(held), Some(settlement)) => {
                if let Some(reason) = contradiction(held, settlement.before) {
                    self.act(Action::Stop(reason));
                    return true;
                }
                let (current, every) = (view.round.round, self.checkpoint_every);
                if is_passed_over(held.round, current, every, self.unapplied) {
                    // If nothing newer is to be had, it tries again to apply this one.
                    self.unapplied = 0;
                    return self.join();
                }
                self.work = Work::Applying(Box::new(settlement.clone()));
                self.act(Action::Apply {
                    settlement: settlement.clone(),
                    is_included: is_included(settlement),
                });
                true
            }
            (Some(held), None) if !is_too_far_behind(held.round, view.round.oldest) => false,
            // Of the round held nothing was asked: it may still be there.
            (Some(held), None) if self.asked != Some(held.round) => false,
            _ => self.join(),
        }
    }

    /// Looks for newer parameters.
    fn join(&mut self) -> bool {
        self.work = Work::Joining;
        self.act(Action::Join);
        true
    }

    /// Says what a member says unasked: that it is back, and where its files can be had.
    pub fn announce(&mut self, view: &View, hotkey: Hotkey, now: BlockNumber) {
        self.come_back(view, hotkey, now);
        self.name_endpoints(view, now);
    }

    /// Names its endpoints, if the chain has others of it and takes these now.
    pub fn name_endpoints(&mut self, view: &View, now: BlockNumber) {
        let Some(named) = view.named.as_ref() else {
            return;
        };
        let lands = now.saturating_add(1);
        let is_taken = endpoint::set(&self.endpoints, named.set_at, lands).is_ok();
        let is_new = named.endpoints != self.endpoints;
        if is_new && is_taken && self.may_send(Kind::Endpoints, now) {
            self.send(Transaction::SetEndpoints(self.endpoints.clone()));
        }
    }

    /// Says that this member is back, if nobody expects it and it holds what the current round begins with.
    fn come_back(&mut self, view: &View, hotkey: Hotkey, now: BlockNumber) {
        let round = view.round.round;
        let is_back = view.is_absent(hotkey) && self.round() == Some(round);
        if is_back && self.may_send(Kind::Presence, now) {
            self.send(Transaction::Here(round));
        }
    }

    /// Puts checked parameters in force; `audited` is what was drawn of the worker's own contribution.
    pub fn keep(&mut self, settlement: Settlement, held: Held, audited: Option<Demand>) {
        self.work = Work::Keeping(settlement.round);
        self.act(Action::Keep {
            settlement,
            held,
            audited,
        });
    }

    fn is_applying(&self, round: Round) -> bool {
        matches!(&self.work, Work::Applying(settlement) if settlement.round == round)
    }

    fn applied<D>(&mut self, round: Round, root: ModelRoot) -> Left<D> {
        match std::mem::replace(&mut self.work, Work::Idle) {
            Work::Applying(settlement) if settlement.round == round => {
                self.check_next(*settlement, root)
            }
            other => {
                self.work = other;
                Left::Nothing
            }
        }
    }

    /// Compares the parameters after a round with what the chain has decided, if it has.
    fn check_next<D>(&mut self, settlement: Settlement, root: ModelRoot) -> Left<D> {
        let next = Held {
            round: settlement.round.saturating_add(1),
            root,
        };
        match contradiction(next, settlement.after) {
            Some(reason) => {
                self.act(Action::Stop(reason));
                Left::Nothing
            }
            None => Left::Keep(Box::new(settlement), next),
        }
    }

    fn hold<D>(&mut self, held: Held) -> Left<D> {
        self.held = Some(held);
        self.work = Work::Idle;
        self.unapplied = 0;
        self.news = true;
        Left::Begin(held)
    }
}

/// Why parameters cannot be kept, if a root that is final on chain is another.
fn contradiction(held: Held, vouched: Option<ModelRoot>) -> Option<Reason> {
    let finals = vouched.map(|root| (held.round, root));
    let chain = lineage::contradiction(held.round, held.root, finals)?;
    Some(Reason::Diverged {
        round: held.round,
        here: held.root,
        chain,
    })
}
