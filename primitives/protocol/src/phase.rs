//! What a block is there for, and until when something has to be done.
//!
//! Phases count from a round's recorded first block, one after the other: train, reveal, attest. The block after the
//! last one settles the round and is the first of the next one; it may come late, and until it comes nothing is
//! accepted. In the first half of the attest phase validators commit to what they attest, in the second they open it.

use cairn_primitives::{BlockNumber, Phase, Phases};

use crate::limits::{ATTEST_MARGIN, COMMIT_MARGIN, COMMIT_MARGIN_SHARE};

/// When a round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timetable {
    /// Its first block.
    pub start: BlockNumber,
    /// Lengths of its phases in blocks.
    pub phases: Phases,
}

/// What validators may do at a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attesting {
    /// Nothing: the attest phase has not begun.
    NotYet,
    /// Commit to what they attest: its first half.
    Commit,
    /// Open it: its second half.
    Open,
    /// Nothing: it is over.
    Over,
}

impl Timetable {
    /// The phase of block `now`.
    pub fn phase(&self, now: BlockNumber) -> Phase {
        let Phases { train, reveal, .. } = self.phases;
        let elapsed = now.saturating_sub(self.start);
        if elapsed < train {
            Phase::Train
        } else if elapsed < train.saturating_add(reveal) {
            Phase::Reveal
        } else if elapsed < self.phases.round() {
            Phase::Attest
        } else {
            Phase::Settle
        }
    }

    /// The phase in which a transaction finds itself that is sent at block `now`: that of the next block.
    pub fn next_phase(&self, now: BlockNumber) -> Phase {
        self.phase(now.saturating_add(1))
    }

    /// What validators may do at block `now`.
    pub fn attesting(&self, now: BlockNumber) -> Attesting {
        match self.phase(now) {
            Phase::Train | Phase::Reveal => Attesting::NotYet,
            Phase::Attest if now < self.opening() => Attesting::Commit,
            Phase::Attest => Attesting::Open,
            Phase::Settle => Attesting::Over,
        }
    }

    /// What a validator's transaction may do that is sent at block `now`.
    pub fn next_attesting(&self, now: BlockNumber) -> Attesting {
        self.attesting(now.saturating_add(1))
    }

    /// The first block of the attest phase's second half, which is the shorter one if they differ.
    pub fn opening(&self) -> BlockNumber {
        let Phases { train, reveal, .. } = self.phases;
        let first_half = self.phases.attest.div_ceil(2);
        self.start
            .saturating_add(train)
            .saturating_add(reveal)
            .saturating_add(first_half)
    }

    /// The block from which the round can be settled: that which settles it is the first of the next round.
    pub fn due(&self) -> BlockNumber {
        self.start.saturating_add(self.phases.round())
    }

    /// The first block that a phase does not have any more; of the settlement, which has no blocks, that of the round.
    pub fn end_of(&self, phase: Phase) -> BlockNumber {
        match phase {
            Phase::Train => self.commit_deadline(),
            Phase::Reveal => self.commit_deadline().saturating_add(self.phases.reveal),
            Phase::Attest | Phase::Settle => self.due(),
        }
    }

    /// The first block in which a commitment is refused.
    pub fn commit_deadline(&self) -> BlockNumber {
        self.start.saturating_add(self.phases.train)
    }

    /// The block at which training stops with what it has: time is left to compress, to upload, and for the commitment
    /// to get into a block.
    pub fn training_deadline(&self) -> BlockNumber {
        self.commit_deadline()
            .saturating_sub(commit_margin(&self.phases))
    }

    /// The block at which an attestation has to be committed to whatever is still missing: that gets into the next one,
    /// the last of the attest phase's first half.
    pub fn attest_deadline(&self) -> BlockNumber {
        let first_half = self.phases.attest.div_ceil(2);
        self.opening().saturating_sub(first_half.min(ATTEST_MARGIN))
    }

    /// The block at which scoring stops: keys are being revealed, and the processor is needed for opening what they
    /// belong to.
    pub fn scoring_deadline(&self) -> BlockNumber {
        self.commit_deadline()
    }
}

/// Blocks kept free between the end of training and the commit deadline: three, or a third of a short train phase.
/// One passes while the contribution is made and stored, one until the commitment is in a block, one is for bad luck.
pub fn commit_margin(phases: &Phases) -> BlockNumber {
    phases
        .train
        .checked_div(COMMIT_MARGIN_SHARE)
        .unwrap_or_default()
        .min(COMMIT_MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn timetable(start: u32, train: u32, reveal: u32, attest: u32) -> Timetable {
        Timetable {
            start,
            phases: Phases {
                train,
                reveal,
                attest,
            },
        }
    }

    #[test]
    fn a_phase_ends_where_the_next_begins() {
        let round = timetable(100, 12, 4, 5);
        for phase in [Phase::Train, Phase::Reveal, Phase::Attest] {
            let end = round.end_of(phase);
            assert_eq!(round.phase(end - 1), phase);
            assert_ne!(round.phase(end), phase);
        }
        assert_eq!(round.end_of(Phase::Settle), round.due());
    }

    #[test]
    fn deadlines_lie_inside_their_phases() {
        let round = timetable(100, 12, 4, 4);
        assert_eq!(round.training_deadline(), 109);
        assert_eq!(round.scoring_deadline(), 112);
        assert_eq!(round.opening(), 118);
        assert_eq!(round.attest_deadline(), 116);
        assert_eq!(round.due(), 120);
    }

    #[test]
    fn a_short_train_phase_keeps_two_thirds_of_its_blocks() {
        assert_eq!(timetable(100, 6, 1, 1).training_deadline(), 104);
        assert_eq!(timetable(100, 1, 1, 1).training_deadline(), 101);
    }

    proptest! {
        #[test]
        fn every_block_of_a_round_has_its_phase(
            start in 0u32..1_000, train in 1u32..50, reveal in 1u32..50, attest in 1u32..50,
        ) {
            let round = timetable(start, train, reveal, attest);
            let phases: Vec<Phase> = (start..round.due()).map(|now| round.phase(now)).collect();
            let of = |phase| phases.iter().filter(|found| **found == phase).count() as u32;
            prop_assert_eq!(of(Phase::Train), train);
            prop_assert_eq!(of(Phase::Reveal), reveal);
            prop_assert_eq!(of(Phase::Attest), attest);
            let rank = |phase: &Phase| match phase {
                Phase::Train => 0,
                Phase::Reveal => 1,
                Phase::Attest => 2,
                Phase::Settle => 3,
            };
            prop_assert!(phases.iter().map(rank).is_sorted());
            prop_assert_eq!(round.phase(round.due()), Phase::Settle);
        }

        #[test]
        fn validators_have_two_blocks_to_commit_and_two_to_open(
            start in 0u32..1_000, train in 1u32..50, reveal in 1u32..50,
            attest in Phases::MIN_ATTEST..50,
        ) {
            let round = timetable(start, train, reveal, attest);
            let found: Vec<Attesting> = (start..=round.due()).map(|now| round.attesting(now)).collect();
            let of = |what| found.iter().filter(|one| **one == what).count() as u32;
            prop_assert_eq!(of(Attesting::NotYet), train + reveal);
            prop_assert!(of(Attesting::Commit) >= 2 && of(Attesting::Open) >= 2);
            prop_assert_eq!(of(Attesting::Commit) + of(Attesting::Open), attest);
            prop_assert_eq!(of(Attesting::Over), 1);
        }

        #[test]
        fn what_is_sent_by_its_deadline_gets_into_its_phase(
            start in 0u32..1_000, train in 1u32..50, reveal in 1u32..50,
            attest in Phases::MIN_ATTEST..50,
        ) {
            let round = timetable(start, train, reveal, attest);
            prop_assert!(round.training_deadline() <= round.commit_deadline());
            prop_assert!(round.training_deadline() > start);
            prop_assert_eq!(round.phase(round.commit_deadline()), Phase::Reveal);
            prop_assert_eq!(round.next_attesting(round.attest_deadline()), Attesting::Commit);
            prop_assert_eq!(round.next_attesting(round.attest_deadline() + 1), Attesting::Open);
        }

        #[test]
        fn no_number_overflows(start: u32, now: u32, train: u32, reveal: u32, attest: u32) {
            let round = timetable(start, train, reveal, attest);
            round.next_phase(now);
            round.next_attesting(now);
            prop_assert!(round.training_deadline() <= round.due());
            prop_assert!(round.attest_deadline() <= round.opening() && round.opening() <= round.due());
        }
    }
}
