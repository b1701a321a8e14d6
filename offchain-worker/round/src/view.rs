//! What the chain says of one moment, as far as a worker's decisions depend on it.

use cairn_primitives::{BlockNumber, Phase, Phases, Round, Uid, H256};
use serde::{Deserialize, Serialize};

/// The current round of the run, read at the best block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundView {
    /// Its number.
    pub round: Round,
    /// Its first block.
    pub start: BlockNumber,
    /// Lengths of its phases.
    pub phases: Phases,
    /// The oldest round whose contributions the chain still has.
    pub oldest: Round,
}

impl RoundView {
    /// The phase of block `now`.
    pub fn phase(&self, now: BlockNumber) -> Phase {
        self.phases.at(self.start, now)
    }

    /// The phase in which a transaction finds itself that is sent at block `now`: that of the next block.
    pub fn next_phase(&self, now: BlockNumber) -> Phase {
        self.phase(now.saturating_add(1))
    }

    /// The first block in which a commit is refused.
    pub fn commit_deadline(&self) -> BlockNumber {
        self.start.saturating_add(self.phases.train)
    }

    /// The block at which training stops with what it has: time is left to compress, to upload, and for
    /// the commit to get into a block.
    pub fn training_deadline(&self) -> BlockNumber {
        self.commit_deadline()
            .saturating_sub(commit_margin(&self.phases))
    }

    /// The block at which an attestation has to be sent whatever is still missing: it gets into the next one,
    /// the last of the attest phase.
    pub fn attest_deadline(&self) -> BlockNumber {
        let end = self.start.saturating_add(self.phases.round());
        end.saturating_sub(self.phases.attest.min(2))
    }

    /// The block at which scoring stops: keys are being revealed, and the processor is needed for opening
    /// what they belong to.
    pub fn scoring_deadline(&self) -> BlockNumber {
        self.commit_deadline()
    }
}

/// Blocks kept free between the end of training and the commit deadline: three, or a third of a short
/// training phase. One passes while the contribution is made and stored, one until the commit is in a block,
/// one is for bad luck.
pub fn commit_margin(phases: &Phases) -> BlockNumber {
    (phases.train / 3).min(3)
}

/// How a round ended, read at the finalised block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// Its number.
    pub round: Round,
    /// Uids of the included contributions, ascending. Empty in a null round.
    pub included: Vec<Uid>,
    /// Sealed root of this worker's own contribution, if it is among them.
    pub own: Option<H256>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(train: u32, reveal: u32, attest: u32) -> RoundView {
        RoundView {
            round: 0,
            start: 100,
            phases: Phases {
                train,
                reveal,
                attest,
            },
            oldest: 0,
        }
    }

    #[test]
    fn deadlines_lie_inside_their_phases() {
        let round = view(12, 4, 4);
        assert_eq!(round.training_deadline(), 109);
        assert_eq!(round.scoring_deadline(), 112);
        assert_eq!(round.attest_deadline(), 118);
    }

    #[test]
    fn a_short_training_phase_keeps_two_thirds_of_its_blocks() {
        assert_eq!(view(6, 1, 1).training_deadline(), 104);
        assert_eq!(view(1, 1, 1).training_deadline(), 101);
    }
}
