//! The miner's machine.
//!
//! What must survive a crash is small: which round's weights the miner holds, and the [`Intent`], the one
//! contribution that it has made for that round. The worker writes the intent to disk *before* the first
//! commit is sent, so a miner that comes back either has no intent and may train, or has one and commits
//! exactly that. A commit that got lost, or that a re-organisation dropped, is sent again with the same
//! content as long as the training phase lasts.

use cairn_primitives::{BlockNumber, Commitment, ContributionKey, Phase, Round, H256};

use crate::{RoundView, Settlement};

/// A contribution that is stored and ready to be committed to, or has been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The round it was made for.
    pub round: Round,
    /// What goes on chain.
    pub commitment: Commitment,
    /// What opens it.
    pub key: ContributionKey,
}

/// What a miner is computing. One thing at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Nothing.
    Idle,
    /// Inner steps of this round, and making the contribution of them.
    Training(Round),
    /// The outer step of this round.
    Settling(Round),
    /// Fetching newer weights, since the chain no longer has what it takes to catch up step by step.
    Joining,
}

/// Where a miner stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miner {
    /// The round that begins with the weights that the miner holds. On disk.
    pub held: Round,
    /// The contribution made for round `held`. On disk.
    pub intent: Option<Intent>,
    /// What is being computed. Lost in a crash.
    pub work: Work,
    /// Whether training has been told to stop. Lost in a crash.
    pub stopping: bool,
    /// Whether a transaction is under way. Lost in a crash.
    pub submitting: bool,
    /// Whether training for round `held` has come to nothing and is not begun again. Lost in a crash.
    pub skipping: bool,
}

/// What the chain says of the miner's own commitment in the current round, at the best block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnCommitment {
    /// What it committed to.
    pub sealed_root: H256,
    /// Whether the key is out.
    pub revealed: bool,
}

/// What the chain says, as far as a miner depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The current round at the best block.
    pub round: RoundView,
    /// The miner's slot in it; `None` if it has no data in this round.
    pub slot: Option<u64>,
    /// The miner's own commitment in it.
    pub own: Option<OwnCommitment>,
    /// How round [`Miner::held`] was settled, at the finalised block.
    pub settled: Option<Settlement>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The chain moved on, or something ended and the chain is to be looked at again.
    Chain(View),
    /// A contribution is stored and the intent is on disk.
    Sealed(Intent),
    /// Training of this round ended without a contribution.
    NothingTrained(Round),
    /// The outer step of this round is on disk.
    Settled(Round),
    /// The outer step of this round could not be made now; it will be tried again.
    NotSettled(Round),
    /// Weights of this round were fetched and are on disk; what was open is void.
    Joined(Round),
    /// The transaction is in a block, or failed: the chain's next view tells.
    Submitted,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Train in this round on the data of `slot`, make, store and persist a contribution.
    Train {
        /// The round.
        round: Round,
        /// The miner's slot in it.
        slot: u64,
        /// The block at which to stop with what is there.
        deadline: BlockNumber,
    },
    /// Stop training after the present inner step and make a contribution of what is there.
    FinishTraining,
    /// Stop training: the round is over.
    AbandonTraining,
    /// Send the commitment.
    Commit(Intent),
    /// Send the key.
    Reveal {
        /// The round.
        round: Round,
        /// The key.
        key: ContributionKey,
    },
    /// Apply a settled round to the weights.
    Settle {
        /// Which and how.
        settlement: Settlement,
        /// Whether the miner's own contribution has to go back into the error feedback.
        put_back: bool,
    },
    /// Fetch newer weights.
    Join,
}

impl Miner {
    /// A miner that holds the weights of round `held`: new, or back from its disk.
    pub fn new(held: Round, intent: Option<Intent>) -> Miner {
        let intent = intent.filter(|intent| intent.round == held);
        Miner {
            held,
            intent,
            work: Work::Idle,
            stopping: false,
            submitting: false,
            skipping: false,
        }
    }

    /// What follows from `event` at block `now`.
    pub fn step(mut self, event: Event, now: BlockNumber) -> (Miner, Vec<Action>) {
        match event {
            Event::Chain(view) => return self.look(&view, now),
            Event::Sealed(intent) => {
                self.rest();
                if intent.round == self.held && self.intent.is_none() {
                    self.intent = Some(intent);
                }
            }
            Event::NothingTrained(round) => {
                self.rest();
                self.skipping |= round == self.held;
            }
            Event::NotSettled(_) => self.rest(),
            Event::Settled(round) if round == self.held => {
                self = Miner {
                    submitting: self.submitting,
                    ..Miner::new(round + 1, None)
                };
            }
            Event::Settled(_) => self.rest(),
            Event::Joined(round) => {
                self = Miner {
                    submitting: self.submitting,
                    ..Miner::new(round, None)
                };
            }
            Event::Submitted => self.submitting = false,
        }
        (self, Vec::new())
    }

    fn rest(&mut self) {
        self.work = Work::Idle;
        self.stopping = false;
    }

    fn look(mut self, view: &View, now: BlockNumber) -> (Miner, Vec<Action>) {
        let mut actions = Vec::new();
        let settled = view
            .settled
            .as_ref()
            .filter(|settled| settled.round == self.held);
        match self.work {
            Work::Idle => match settled {
                Some(settlement) => actions.extend(self.settle(settlement)),
                None if self.held < view.round.oldest => {
                    self.work = Work::Joining;
                    actions.push(Action::Join);
                }
                None => actions.extend(self.train(view, now)),
            },
            Work::Training(_) if !self.stopping => actions.extend(self.stop(view, settled, now)),
            Work::Training(_) | Work::Settling(_) | Work::Joining => {}
        }
        actions.extend(self.submit(view, now));
        (self, actions)
    }

    fn settle(&mut self, settlement: &Settlement) -> Option<Action> {
        self.work = Work::Settling(self.held);
        let put_back = self
            .intent
            .as_ref()
            .is_some_and(|intent| settlement.own != Some(intent.commitment.sealed_root));
        Some(Action::Settle {
            settlement: settlement.clone(),
            put_back,
        })
    }

    fn train(&mut self, view: &View, now: BlockNumber) -> Option<Action> {
        let deadline = view.round.training_deadline();
        let current = view.round.round == self.held && view.round.phase(now) == Phase::Train;
        // A commitment on chain without an intent here: another process has the same key, or the disk was
        // lost. Nothing can be added to it.
        let free = self.intent.is_none() && view.own.is_none() && !self.skipping;
        let slot = view.slot.filter(|_| current && free && now < deadline)?;
        self.work = Work::Training(self.held);
        Some(Action::Train {
            round: self.held,
            slot,
            deadline,
        })
    }

    fn stop(
        &mut self,
        view: &View,
        settled: Option<&Settlement>,
        now: BlockNumber,
    ) -> Option<Action> {
        let over = settled.is_some() || view.round.round > self.held;
        let late = view.round.round == self.held && now >= view.round.training_deadline();
        self.stopping = over || late;
        match (over, late) {
            (true, _) => Some(Action::AbandonTraining),
            (false, true) => Some(Action::FinishTraining),
            (false, false) => None,
        }
    }

    fn submit(&mut self, view: &View, now: BlockNumber) -> Option<Action> {
        let intent = self.intent.as_ref().filter(|_| !self.submitting)?;
        if view.round.round != intent.round {
            return None;
        }
        let action = match (view.round.next_phase(now), view.own) {
            (Phase::Train, None) => Action::Commit(intent.clone()),
            (Phase::Reveal, Some(own))
                if !own.revealed && own.sealed_root == intent.commitment.sealed_root =>
            {
                Action::Reveal {
                    round: intent.round,
                    key: intent.key,
                }
            }
            _ => return None,
        };
        self.submitting = true;
        Some(action)
    }
}
