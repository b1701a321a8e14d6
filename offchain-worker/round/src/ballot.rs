//! When a validator commits to its weights, and when it reveals them.
//!
//! ```text
//!   scored ──▶ Weigh ──▶ ballot on disk ──▶ Commit ──▶ (the epoch runs) ──▶ Reveal
//! ```
//!
//! A *ballot* is a row of weights with the salt that hides it. It is on disk before the commitment to it is
//! sent, so that a validator that is killed at any instant can still reveal. What is sent next follows from
//! the ballots and from what the chain says alone: a commitment that a re-organisation dropped is sent again,
//! one that missed its epoch is made anew for the next, and a ballot is revealed only once the chain says
//! that its epoch has run.

use cairn_primitives::{weights_hash, BlockNumber, EpochIndex, Netuid, Round, Secret, Uid, H256};
use serde::{Deserialize, Serialize};

/// How often weights of one round, or one ballot, are tried.
const ATTEMPTS: u8 = 3;
/// Ballots that are kept: of the epoch that can be revealed and of the one that can be committed to, each
/// with what it may have replaced.
const KEPT: usize = 4;

/// A subnet's next epoch, and what a validator has committed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voting {
    /// Whether weights are committed and revealed rather than set in the open.
    pub commit_reveal: bool,
    /// The number of the next epoch: what is committed now is committed before it.
    pub epoch: EpochIndex,
    /// The block at which that epoch is due.
    pub due: BlockNumber,
    /// Blocks between two rows of weights, or two commitments.
    pub rate_limit: BlockNumber,
    /// The validator's commitments, at most one for each of the last two epochs, ascending.
    pub commits: Vec<Committed>,
}

/// A commitment to weights as the chain has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The epoch before which it was made.
    pub epoch: EpochIndex,
    /// The hash.
    pub hash: H256,
    /// The block at which it was made.
    pub at: BlockNumber,
    /// Whether the weights are out.
    pub revealed: bool,
}

/// A row of weights, and what opens the commitment to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ballot {
    /// The newest round that the weights are based on.
    pub round: Round,
    /// The number of the epoch before which they are committed.
    pub epoch: EpochIndex,
    /// The weights, ascending by uid.
    pub weights: Vec<(Uid, u16)>,
    /// The salt.
    pub salt: Secret,
    /// [`weights_hash`] of all that.
    pub hash: H256,
}

impl Ballot {
    /// A ballot of `hotkey` in subnet `netuid`. The salt must come from the system's random numbers.
    pub fn new(
        (netuid, hotkey): (Netuid, H256),
        round: Round,
        epoch: EpochIndex,
        weights: Vec<(Uid, u16)>,
        salt: Secret,
    ) -> Ballot {
        let hash = weights_hash(netuid, epoch, &hotkey.0, &weights, salt.expose());
        Ballot {
            round,
            epoch,
            weights,
            salt,
            hash,
        }
    }
}

/// What to do about weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Turn the evidence up to this round into weights: for a commitment before this epoch or, if the subnet
    /// hides none, to be set at once.
    Weigh(Round, Option<EpochIndex>),
    /// Commit to a ballot that is on disk.
    Commit(Ballot),
    /// Reveal one.
    Reveal(Ballot),
}

/// Where a validator's weights stand. Only `kept` is on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ballots {
    /// The ballots that can still matter, oldest first.
    pub kept: Vec<Ballot>,
    /// The round whose weights are due, and how often they may still be tried.
    due: Option<(Round, u8)>,
    /// How often the newest ballot may still be committed to.
    tries: u8,
    /// Whether a step is under way.
    busy: bool,
}

impl Ballots {
    /// With what is on disk.
    pub fn new(kept: Vec<Ballot>) -> Ballots {
        Ballots {
            kept,
            tries: ATTEMPTS,
            ..Ballots::default()
        }
    }

    /// A round was scored: weights are due.
    pub fn scored(&mut self, round: Round) {
        self.due = Some((round, ATTEMPTS));
    }

    /// A ballot is on disk; none, if nothing has shown its worth.
    pub fn weighed(&mut self, ballot: Option<Ballot>) {
        self.busy = false;
        self.due = None;
        if let Some(ballot) = ballot {
            self.kept = with(&self.kept, ballot);
            self.tries = ATTEMPTS;
        }
    }

    /// A transaction is in a block, or was refused.
    pub fn sent(&mut self, accepted: bool) {
        self.busy = false;
        self.due = self.due.filter(|(_, left)| !accepted && *left > 0);
    }

    /// What to do next, as the chain is at block `now`. The answer is under way from then on.
    pub fn next(&mut self, voting: &Voting, now: BlockNumber) -> Option<Step> {
        self.tidy(voting);
        if self.busy {
            return None;
        }
        let step = if voting.commit_reveal {
            // In the block of the epoch it would be too early or too late.
            let lands = now.saturating_add(1);
            if lands >= voting.due {
                return None;
            }
            self.reveal(voting)
                .or_else(|| self.commit(voting, lands))
                .or_else(|| self.weigh(voting, lands))
        } else {
            self.weigh_openly()
        };
        self.busy = step.is_some();
        step
    }

    /// Forgets what cannot be revealed any more. The newest ballot, if its epoch ran without a commitment to
    /// it, is made again.
    fn tidy(&mut self, voting: &Voting) {
        self.kept
            .retain(|ballot| ballot.epoch.saturating_add(1) >= voting.epoch);
        let on_chain = |ballot: &Ballot| voting.commits.iter().any(|it| it.hash == ballot.hash);
        let missed = |ballot: &mut Ballot| ballot.epoch < voting.epoch && !on_chain(ballot);
        if let Some(ballot) = self.kept.pop_if(missed) {
            self.due = self.due.or(Some((ballot.round, ATTEMPTS)));
        }
    }

    fn reveal(&self, voting: &Voting) -> Option<Step> {
        let open = voting
            .commits
            .iter()
            .find(|commit| commit.epoch.saturating_add(1) == voting.epoch && !commit.revealed)?;
        let ballot = self.kept.iter().find(|it| it.hash == open.hash)?;
        Some(Step::Reveal(ballot.clone()))
    }

    fn commit(&mut self, voting: &Voting, lands: BlockNumber) -> Option<Step> {
        let ballot = self.kept.last().filter(|it| it.epoch == voting.epoch)?;
        let committed = committed(voting);
        let is_there = committed.is_some_and(|commit| commit.hash == ballot.hash);
        if is_there || self.tries == 0 || !may_replace(committed, voting, lands) {
            return None;
        }
        self.tries -= 1;
        Some(Step::Commit(ballot.clone()))
    }

    fn weigh(&mut self, voting: &Voting, lands: BlockNumber) -> Option<Step> {
        if !may_replace(committed(voting), voting, lands) {
            return None;
        }
        self.attempt()
            .map(|round| Step::Weigh(round, Some(voting.epoch)))
    }

    fn weigh_openly(&mut self) -> Option<Step> {
        self.attempt().map(|round| Step::Weigh(round, None))
    }

    /// The round whose weights are due, if they may still be tried.
    fn attempt(&mut self) -> Option<Round> {
        let (round, left) = self.due?;
        self.due = Some((round, left.checked_sub(1)?));
        Some(round)
    }
}

/// The ballots that are kept once there is a new one.
pub fn with(kept: &[Ballot], ballot: Ballot) -> Vec<Ballot> {
    let dropped = (kept.len() + 1).saturating_sub(KEPT);
    kept.iter().skip(dropped).cloned().chain([ballot]).collect()
}

/// The commitment before the next epoch.
fn committed(voting: &Voting) -> Option<&Committed> {
    voting
        .commits
        .iter()
        .find(|commit| commit.epoch == voting.epoch)
}

/// Whether the chain takes another commitment in block `lands`.
fn may_replace(committed: Option<&Committed>, voting: &Voting, lands: BlockNumber) -> bool {
    committed.is_none_or(|commit| lands >= commit.at.saturating_add(voting.rate_limit))
}
