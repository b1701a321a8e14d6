//! The validator's machine.
//!
//! Sealed files are fetched as soon as their commitments are on chain and opened as soon as their keys are.
//! When the attest phase comes, what is left is one transaction. Scores of the round before are computed
//! while miners train, and dropped when that would get in the way of attesting.

use std::collections::BTreeMap;

use cairn_primitives::{api::Voting, BlockNumber, ContributionKey, Phase, Round, Uid, H256};

use crate::{
    ballot::{Ballot, Ballots, Step},
    RoundView, Settlement,
};

/// How far a contribution has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The sealed file is being fetched.
    Fetching,
    /// The sealed file is here and matches its root.
    Fetched,
    /// It is being opened and decoded.
    Opening,
    /// It can be vouched for.
    Good,
    /// It cannot.
    Bad,
}

/// What a validator is computing. One thing at a time; fetching and opening go on beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Nothing.
    Idle,
    /// Losses with and without the contributions of this round.
    Scoring(Round),
    /// The outer step of this round.
    Settling(Round),
    /// Fetching newer weights.
    Joining,
}

/// Where a validator stands. Only `held` and the ballots are on disk; the chain knows the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    /// The round that begins with the weights that the validator holds.
    pub held: Round,
    /// The round whose contributions can still be scored: the one before `held`, if its weights are at hand.
    pub to_score: Option<Round>,
    /// Contributions of round `held` by uid and sealed root, and how far they have been checked.
    pub checks: BTreeMap<(Uid, H256), Check>,
    /// What is being computed.
    pub work: Work,
    /// Whether scoring has been told to stop.
    pub stopping: bool,
    /// Whether an attestation is under way.
    pub attesting: bool,
    /// Weights: what is due, and what can be revealed.
    pub ballots: Ballots,
}

/// A contribution as the chain has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The miner.
    pub uid: Uid,
    /// BLAKE3 of the sealed file.
    pub sealed_root: H256,
    /// The key, once revealed.
    pub key: Option<ContributionKey>,
}

/// What the chain says, as far as a validator depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The current round at the best block.
    pub round: RoundView,
    /// Whether this validator has attested in it; `None` if it does not count in this round.
    pub attested: Option<bool>,
    /// Its contributions at the best block.
    pub contributions: Vec<Seen>,
    /// How round [`Validator::held`] was settled, at the finalised block.
    pub settled: Option<Settlement>,
    /// The subnet's next epoch and this validator's commitments to weights, at the best block.
    pub voting: Option<Voting>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The chain moved on, or something ended and the chain is to be looked at again.
    Chain(View),
    /// A sealed file is here and matches its root, or is not to be had now.
    Fetched(Round, Uid, H256, bool),
    /// A file was opened and is good, or is not.
    Opened(Round, Uid, H256, bool),
    /// The attestation is in a block, or failed: the chain's next view tells.
    AttestSubmitted,
    /// Scoring of this round ended, with evidence for what was measured.
    Scored(Round),
    /// Weights to commit to are on disk; none, if nothing has shown its worth.
    Weighed(Option<Ballot>),
    /// Weights, or a commitment to them, are in a block, or were refused.
    WeightsSubmitted(bool),
    /// The outer step of this round is on disk, and the weights before it are at hand.
    Settled(Round),
    /// The outer step of this round could not be made now; it will be tried again.
    NotSettled(Round),
    /// Weights of this round were fetched and are on disk.
    Joined(Round),
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Fetch a sealed file and compare its root.
    Fetch(Round, Seen),
    /// Open and check a file that is here.
    Open(Round, Seen),
    /// Send the attestation, with the root of the weights held.
    Attest {
        /// The round.
        round: Round,
        /// Whom to vouch for, ascending.
        good: Vec<Uid>,
    },
    /// Measure the contributions of this round.
    Score(Round),
    /// Stop measuring and keep what has been measured.
    StopScoring,
    /// Turn evidence into weights, commit to them, or reveal them.
    Vote(Step),
    /// Apply a settled round to the weights.
    Settle(Settlement),
    /// Fetch newer weights.
    Join,
}

impl Validator {
    /// A validator that holds the weights of round `held`: new, or back from its disk.
    pub fn new(held: Round) -> Validator {
        Validator {
            held,
            to_score: None,
            checks: BTreeMap::new(),
            work: Work::Idle,
            stopping: false,
            attesting: false,
            ballots: Ballots::new(Vec::new()),
        }
    }

    /// The same with ballots that were on its disk.
    pub fn with_ballots(held: Round, ballots: Vec<Ballot>) -> Validator {
        Validator {
            ballots: Ballots::new(ballots),
            ..Validator::new(held)
        }
    }

    /// What follows from `event` at block `now`.
    pub fn step(mut self, event: Event, now: BlockNumber) -> (Validator, Vec<Action>) {
        match event {
            Event::Chain(view) => return self.look(&view, now),
            Event::Fetched(round, uid, root, here) => self.fetched(round, (uid, root), here),
            Event::Opened(round, uid, root, good) => self.opened(round, (uid, root), good),
            Event::AttestSubmitted => self.attesting = false,
            Event::Scored(round) => {
                self.rest();
                self.to_score = None;
                self.ballots.scored(round);
            }
            Event::Weighed(ballot) => self.ballots.weighed(ballot),
            Event::WeightsSubmitted(accepted) => self.ballots.sent(accepted),
            Event::Settled(round) if round == self.held => {
                self.begin(round + 1);
                self.to_score = Some(round);
            }
            Event::Settled(_) | Event::NotSettled(_) => self.rest(),
            Event::Joined(round) => self.begin(round),
        }
        (self, Vec::new())
    }

    fn rest(&mut self) {
        self.work = Work::Idle;
        self.stopping = false;
    }

    fn begin(&mut self, held: Round) {
        self.rest();
        self.held = held;
        self.checks.clear();
        self.to_score = None;
    }

    fn fetched(&mut self, round: Round, id: (Uid, H256), here: bool) {
        if round != self.held || self.checks.get(&id) != Some(&Check::Fetching) {
            return;
        }
        if here {
            self.checks.insert(id, Check::Fetched);
        } else {
            // Forgotten, so that the next view asks for it again.
            self.checks.remove(&id);
        }
    }

    fn opened(&mut self, round: Round, id: (Uid, H256), good: bool) {
        if round == self.held && self.checks.get(&id) == Some(&Check::Opening) {
            self.checks
                .insert(id, if good { Check::Good } else { Check::Bad });
        }
    }

    fn look(mut self, view: &View, now: BlockNumber) -> (Validator, Vec<Action>) {
        let mut actions = Vec::new();
        if view.round.round == self.held {
            self.check(view, &mut actions);
            actions.extend(self.attest(view, now));
        }
        actions.extend(self.compute(view, now));
        let voting = view.voting.as_ref();
        let step = voting.and_then(|voting| self.ballots.next(voting, now));
        actions.extend(step.map(Action::Vote));
        (self, actions)
    }

    fn check(&mut self, view: &View, actions: &mut Vec<Action>) {
        for seen in &view.contributions {
            let id = (seen.uid, seen.sealed_root);
            match (self.checks.get(&id), seen.key) {
                (None, _) => {
                    self.checks.insert(id, Check::Fetching);
                    actions.push(Action::Fetch(self.held, *seen));
                }
                (Some(Check::Fetched), Some(_)) => {
                    self.checks.insert(id, Check::Opening);
                    actions.push(Action::Open(self.held, *seen));
                }
                _ => {}
            }
        }
    }

    fn attest(&mut self, view: &View, now: BlockNumber) -> Option<Action> {
        let due = view.round.next_phase(now) == Phase::Attest && view.attested == Some(false);
        if !due || self.attesting {
            return None;
        }
        let state = |seen: &Seen| self.checks.get(&(seen.uid, seen.sealed_root));
        let revealed = || view.contributions.iter().filter(|seen| seen.key.is_some());
        let complete = revealed().all(|seen| matches!(state(seen), Some(Check::Good | Check::Bad)));
        if !complete && now < view.round.attest_deadline() {
            return None;
        }
        let mut good: Vec<Uid> = revealed()
            .filter(|seen| state(seen) == Some(&Check::Good))
            .map(|seen| seen.uid)
            .collect();
        good.sort_unstable();
        self.attesting = true;
        Some(Action::Attest {
            round: self.held,
            good,
        })
    }

    fn compute(&mut self, view: &View, now: BlockNumber) -> Option<Action> {
        let settled = view
            .settled
            .as_ref()
            .filter(|settled| settled.round == self.held);
        let may_score = view.round.round == self.held && now < view.round.scoring_deadline();
        match self.work {
            Work::Idle => {
                if let Some(settlement) = settled {
                    self.work = Work::Settling(self.held);
                    return Some(Action::Settle(settlement.clone()));
                }
                if self.held < view.round.oldest {
                    self.work = Work::Joining;
                    return Some(Action::Join);
                }
                let round = self.to_score.filter(|_| may_score)?;
                self.work = Work::Scoring(round);
                Some(Action::Score(round))
            }
            Work::Scoring(_) if !may_score && !self.stopping => {
                self.stopping = true;
                Some(Action::StopScoring)
            }
            Work::Scoring(_) | Work::Settling(_) | Work::Joining => None,
        }
    }
}
