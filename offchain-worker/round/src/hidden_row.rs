//! When a validator commits to its scores, and when it reveals them.
//!
//! ```text
//!   scored ──▶ Weigh ──▶ hidden row on disk ──▶ Commit ──▶ (the epoch runs) ──▶ Reveal
//! ```
//!
//! A *hidden row* is a row of scores with the salt that hides it. It is on disk before the commitment to it is
//! sent, so that a validator that is killed at any instant can still reveal. What is sent next follows from
//! the hidden_rows and from what the chain says alone: a commitment that a re-organisation dropped is sent again,
//! one that missed its epoch is made anew for the next, and a hidden row is revealed only once the chain says
//! that its epoch has run.

use cairn_primitives::{
    scores_hash, BlockNumber, EpochIndex, Hotkey, Netuid, Round, Secret, Served, Uid, H256,
};
use serde::{Deserialize, Serialize};

/// How often scores of one round, or one hidden row, are tried.
const ATTEMPTS: u8 = 3;
/// Hidden rows that are kept: of the epoch that can be revealed and of the one that can be committed to, each
/// with what it may have replaced.
const KEPT: usize = 4;
/// Blocks that must be left before an epoch beside the one in which a commitment is meant to be: what leaves late, or
/// waits for what was sent before it, is in a later one. A tempo is no shorter than five.
const SPARE: BlockNumber = 1;

/// A subnet's next epoch, and what a validator has committed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scoring {
    /// Whether scores are committed and revealed rather than set in the open.
    pub commit_reveal: bool,
    /// The number of the next epoch: what is committed now is committed before it.
    pub epoch: EpochIndex,
    /// The block at which that epoch is due.
    pub due: BlockNumber,
    /// Blocks between two rows of scores, or two commitments.
    pub rate_limit: BlockNumber,
    /// The validator's commitments, at most one for each of the last two epochs, ascending.
    pub commits: Vec<Committed>,
}

/// A commitment to scores as the chain has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The epoch before which it was made.
    pub epoch: EpochIndex,
    /// The hash.
    pub hash: H256,
    /// The block at which it was made.
    pub at: BlockNumber,
    /// Whether the scores are out.
    pub revealed: bool,
}

/// A row of scores, and what opens the commitment to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HiddenRow {
    /// The newest round that the scores are based on.
    pub round: Round,
    /// The number of the epoch before which they are committed.
    pub epoch: EpochIndex,
    /// The scores, ascending by uid.
    pub scores: Vec<(Uid, u16)>,
    /// The file of evidence from which they follow. It is served once they are revealed, and not before: whoever has it
    /// has them. Nor while the round after `round` goes on: whoever has it has most of what is attested in that one.
    #[serde(default)]
    pub evidence: Served,
    /// The salt.
    pub salt: Secret,
    /// [`scores_hash`] of all that.
    pub hash: H256,
}

impl HiddenRow {
    /// A hidden row of `hotkey` in subnet `netuid`. The salt must come from the system's random numbers.
    pub fn new(
        (netuid, hotkey): (Netuid, Hotkey),
        round: Round,
        epoch: EpochIndex,
        scores: Vec<(Uid, u16)>,
        evidence: Served,
        salt: Secret,
    ) -> HiddenRow {
        let hash = scores_hash(netuid, epoch, &hotkey, &scores, evidence, salt.expose());
        HiddenRow {
            round,
            epoch,
            scores,
            evidence,
            salt,
            hash,
        }
    }
}

/// The rows that the chain has seen revealed: anybody can demand the evidence of these.
pub fn revealed<'a>(
    kept: &'a [HiddenRow],
    commits: &'a [Committed],
) -> impl Iterator<Item = &'a HiddenRow> {
    kept.iter().filter(move |row| {
        let mut commits = commits.iter();
        commits.any(|commit| commit.hash == row.hash && commit.revealed)
    })
}

/// What to do about scores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Turn the evidence up to this round into scores: for a commitment before this epoch or, if the subnet
    /// hides none, to be set at once.
    Weigh(Round, Option<EpochIndex>),
    /// Commit to a hidden row that is on disk.
    Commit(HiddenRow),
    /// Reveal one.
    Reveal(HiddenRow),
}

/// Where a validator's scores stand. Only `kept` is on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HiddenRows {
    /// The hidden_rows that can still matter, oldest first.
    pub kept: Vec<HiddenRow>,
    /// The round whose scores are due, and how often they may still be tried.
    due: Option<(Round, u8)>,
    /// How often the newest hidden row may still be committed to.
    tries: u8,
    /// Whether a step is under way.
    busy: bool,
}

impl HiddenRows {
    /// With what is on disk.
    pub fn new(kept: Vec<HiddenRow>) -> HiddenRows {
        HiddenRows {
            kept,
            tries: ATTEMPTS,
            ..HiddenRows::default()
        }
    }

    /// A round was scored: scores are due.
    pub fn scored(&mut self, round: Round) {
        self.due = Some((round, ATTEMPTS));
    }

    /// A hidden row is on disk; none, if nothing has shown its worth.
    pub fn weighed(&mut self, hidden_row: Option<HiddenRow>) {
        self.busy = false;
        self.due = None;
        if let Some(hidden_row) = hidden_row {
            self.kept = with(&self.kept, hidden_row);
            self.tries = ATTEMPTS;
        }
    }

    /// A transaction is in a block, or was refused.
    pub fn sent(&mut self, accepted: bool) {
        self.busy = false;
        self.due = self.due.filter(|(_, left)| !accepted && *left > 0);
    }

    /// What to do next, as the chain is at block `now`. The answer is under way from then on.
    pub fn next(&mut self, voting: &Scoring, now: BlockNumber) -> Option<Step> {
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
            let reveal = self.reveal(voting);
            // A reveal that is late loses the row, so it is tried to the last. A commitment can be made anew.
            if reveal.is_some() || lands.saturating_add(SPARE) >= voting.due {
                reveal
            } else {
                self.commit(voting, lands)
                    .or_else(|| self.weigh(voting, lands))
            }
        } else {
            self.weigh_openly()
        };
        self.busy = step.is_some();
        step
    }

    /// Forgets what cannot be revealed any more. The newest hidden row, if its epoch ran without a commitment to
    /// it, is made again.
    fn tidy(&mut self, voting: &Scoring) {
        self.kept
            .retain(|hidden_row| hidden_row.epoch.saturating_add(1) >= voting.epoch);
        let on_chain =
            |hidden_row: &HiddenRow| voting.commits.iter().any(|it| it.hash == hidden_row.hash);
        let missed =
            |hidden_row: &mut HiddenRow| hidden_row.epoch < voting.epoch && !on_chain(hidden_row);
        if let Some(hidden_row) = self.kept.pop_if(missed) {
            self.due = self.due.or(Some((hidden_row.round, ATTEMPTS)));
        }
    }

    fn reveal(&self, voting: &Scoring) -> Option<Step> {
        let open = voting
            .commits
            .iter()
            .find(|commit| commit.epoch.saturating_add(1) == voting.epoch && !commit.revealed)?;
        let hidden_row = self.kept.iter().find(|it| it.hash == open.hash)?;
        Some(Step::Reveal(hidden_row.clone()))
    }

    fn commit(&mut self, voting: &Scoring, lands: BlockNumber) -> Option<Step> {
        let hidden_row = self.kept.last().filter(|it| it.epoch == voting.epoch)?;
        let committed = committed(voting);
        let is_there = committed.is_some_and(|commit| commit.hash == hidden_row.hash);
        if is_there || self.tries == 0 || !may_replace(committed, voting, lands) {
            return None;
        }
        self.tries -= 1;
        Some(Step::Commit(hidden_row.clone()))
    }

    fn weigh(&mut self, voting: &Scoring, lands: BlockNumber) -> Option<Step> {
        if !may_replace(committed(voting), voting, lands) {
            return None;
        }
        self.attempt()
            .map(|round| Step::Weigh(round, Some(voting.epoch)))
    }

    fn weigh_openly(&mut self) -> Option<Step> {
        self.attempt().map(|round| Step::Weigh(round, None))
    }

    /// The round whose scores are due, if they may still be tried.
    fn attempt(&mut self) -> Option<Round> {
        let (round, left) = self.due?;
        self.due = Some((round, left.checked_sub(1)?));
        Some(round)
    }
}

/// The hidden_rows that are kept once there is a new one.
pub fn with(kept: &[HiddenRow], hidden_row: HiddenRow) -> Vec<HiddenRow> {
    let dropped = (kept.len() + 1).saturating_sub(KEPT);
    kept.iter()
        .skip(dropped)
        .cloned()
        .chain([hidden_row])
        .collect()
}

/// The commitment before the next epoch.
fn committed(voting: &Scoring) -> Option<&Committed> {
    voting
        .commits
        .iter()
        .find(|commit| commit.epoch == voting.epoch)
}

/// Whether the chain takes another commitment in block `lands`.
fn may_replace(committed: Option<&Committed>, voting: &Scoring, lands: BlockNumber) -> bool {
    committed.is_none_or(|commit| lands >= commit.at.saturating_add(voting.rate_limit))
}
