//! What a block is there for, and until when something has to be done.
//!
//! A round begins with its recorded first block and has four stages, one after the other: train, reveal, and the two
//! halves of the attest phase, in the first of which validators commit to what they attest, and in the second open it.
//! The block after the last one settles the round and is the first of the next one; it may come late, and until it
//! comes nothing is accepted.
//!
//! The run's configuration gives each stage its longest time. A stage ends sooner if all that it is for has been done
//! ([`crate::turnout`]), though never before a share of that time is over that the configuration gives, too: the floor.

use cairn_primitives::{BlockNumber, Phase, Phases, RoundTimes};

use crate::limits::{ATTEST_MARGIN, COMMIT_MARGIN, COMMIT_MARGIN_SHARE};

/// When a round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timetable(pub RoundTimes);

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

/// What a part of a round is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundStage {
    /// Miners commit to what they trained.
    Commit,
    /// Miners reveal.
    Reveal,
    /// Validators commit to what they attest.
    Bind,
    /// Validators open it.
    Open,
}

impl RoundStage {
    /// All, in order.
    pub const ALL: [RoundStage; 4] = [
        RoundStage::Commit,
        RoundStage::Reveal,
        RoundStage::Bind,
        RoundStage::Open,
    ];
}

/// The blocks of a stage that pass however early all is done: the run's share of its longest time, rounded up.
pub fn floor(phases: &Phases, stage: RoundStage) -> BlockNumber {
    let (first, end) = Timetable::new(0, phases).bounds(stage);
    let longest = end.saturating_sub(first);
    phases.floor_of(longest)
}

impl Timetable {
    /// The times of a round with this first block, if every stage takes its longest.
    pub fn new(start: BlockNumber, phases: &Phases) -> Timetable {
        let reveal = start.saturating_add(phases.train);
        let attest = reveal.saturating_add(phases.reveal);
        Timetable(RoundTimes {
            start,
            reveal,
            attest,
            open: attest.saturating_add(phases.attest.div_ceil(2)),
            due: attest.saturating_add(phases.attest),
        })
    }

    /// The phase of block `now`.
    pub fn phase(&self, now: BlockNumber) -> Phase {
        let RoundTimes {
            reveal,
            attest,
            due,
            ..
        } = self.0;
        if now < reveal {
            Phase::Train
        } else if now < attest {
            Phase::Reveal
        } else if now < due {
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
        self.0.open
    }

    /// The block from which the round can be settled: that which settles it is the first of the next round.
    pub fn due(&self) -> BlockNumber {
        self.0.due
    }

    /// Its first block.
    pub fn start(&self) -> BlockNumber {
        self.0.start
    }

    /// The first block that a phase does not have any more; of the settlement, which has no blocks, that of the round.
    pub fn end_of(&self, phase: Phase) -> BlockNumber {
        match phase {
            Phase::Train => self.0.reveal,
            Phase::Reveal => self.0.attest,
            Phase::Attest | Phase::Settle => self.0.due,
        }
    }

    /// The first block in which a commitment is refused.
    pub fn commit_deadline(&self) -> BlockNumber {
        self.0.reveal
    }

    /// The block at which training stops with what it has: time is left to compress, to upload, and for the commitment
    /// to get into a block. Three blocks before the deadline, or a third of a short train phase: one passes while the
    /// contribution is made and stored, one until the commitment is in a block, one is for bad luck.
    pub fn training_deadline(&self) -> BlockNumber {
        let train = self.0.reveal.saturating_sub(self.0.start);
        let share = train.checked_div(COMMIT_MARGIN_SHARE).unwrap_or_default();
        self.0.reveal.saturating_sub(share.min(COMMIT_MARGIN))
    }

    /// The block at which an attestation has to be committed to whatever is still missing: that gets into the next one,
    /// the last of the attest phase's first half.
    pub fn attest_deadline(&self) -> BlockNumber {
        let first_half = self.0.open.saturating_sub(self.0.attest);
        self.0.open.saturating_sub(first_half.min(ATTEST_MARGIN))
    }

    /// The block at which scoring stops, one before the attestation is committed to: what shows that a round was measured
    /// is a part of that.
    pub fn scoring_deadline(&self) -> BlockNumber {
        self.attest_deadline().saturating_sub(1)
    }

    /// The stage of block `now`; `None` when the round is over.
    pub fn stage(&self, now: BlockNumber) -> Option<RoundStage> {
        RoundStage::ALL
            .into_iter()
            .find(|stage| now < self.bounds(*stage).1)
    }

    /// The times if the train phase takes this many blocks and no longer than here, and at least a block.
    pub fn trained_for(self, blocks: BlockNumber) -> Timetable {
        let reveal = self.0.start.saturating_add(blocks.max(1));
        let reveal = reveal.min(self.0.reveal);
        Timetable(RoundTimes { reveal, ..self.0 })
    }

    /// A stage's first block, and the first that it does not have any more.
    pub fn bounds(&self, stage: RoundStage) -> (BlockNumber, BlockNumber) {
        let RoundTimes {
            start,
            reveal,
            attest,
            open,
            due,
        } = self.0;
        match stage {
            RoundStage::Commit => (start, reveal),
            RoundStage::Reveal => (reveal, attest),
            RoundStage::Bind => (attest, open),
            RoundStage::Open => (open, due),
        }
    }

    /// The times after all that the present stage is for was done in block `now`: the next stage begins with the next
    /// block, or after this one's floor. It ends when it would have ended, so what one stage leaves the next ones may
    /// use.
    pub fn done(self, stage: RoundStage, now: BlockNumber, floor: BlockNumber) -> Timetable {
        let (first, end) = self.bounds(stage);
        match now >= first && now < end {
            true => self.ends_by(stage, now, floor),
            false => self,
        }
    }

    /// The times if block `last` is the last of a stage, unless its floor is later or it ends sooner already.
    pub fn ends_by(self, stage: RoundStage, last: BlockNumber, floor: BlockNumber) -> Timetable {
        let (first, end) = self.bounds(stage);
        let least = first.saturating_add(floor);
        let sooner = last.saturating_add(1).max(least).min(end);
        let mut times = self.0;
        match stage {
            RoundStage::Commit => times.reveal = sooner,
            RoundStage::Reveal => times.attest = sooner,
            RoundStage::Bind => times.open = sooner,
            RoundStage::Open => times.due = sooner,
        }
        Timetable(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn timetable(start: u32, train: u32, reveal: u32, attest: u32) -> Timetable {
        Timetable::new(
            start,
            &Phases {
                train,
                reveal,
                attest,
                floor: 25,
            },
        )
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
        assert_eq!(round.scoring_deadline(), 115);
        assert_eq!(round.opening(), 118);
        assert_eq!(round.attest_deadline(), 116);
        assert_eq!(round.due(), 120);
    }

    #[test]
    fn a_short_train_phase_keeps_two_thirds_of_its_blocks() {
        assert_eq!(timetable(100, 6, 1, 1).training_deadline(), 104);
        assert_eq!(timetable(100, 1, 1, 1).training_deadline(), 101);
    }

    #[test]
    fn what_is_done_ends_a_stage_and_leaves_the_next_ones_more_time() {
        let round = timetable(100, 12, 4, 5);
        let times = |round: Timetable| {
            let RoundTimes {
                reveal,
                attest,
                open,
                due,
                ..
            } = round.0;
            [reveal, attest, open, due]
        };
        assert_eq!(times(round), [112, 116, 119, 121]);
        // Not before a quarter of its time.
        let early = round.done(RoundStage::Commit, 100, 3);
        assert_eq!(times(early), [103, 116, 119, 121]);
        let trained = round.done(RoundStage::Commit, 105, 3);
        assert_eq!(times(trained), [106, 116, 119, 121]);
        assert_eq!(
            trained.done(RoundStage::Commit, 106, 3),
            trained,
            "it is over"
        );
        let revealed = trained.done(RoundStage::Reveal, 106, 1);
        assert_eq!(times(revealed), [106, 107, 119, 121]);
        let bound = revealed.done(RoundStage::Bind, 108, 1);
        assert_eq!(times(bound), [106, 107, 109, 121]);
        let opened = bound.done(RoundStage::Open, 109, 1);
        assert_eq!(times(opened), [106, 107, 109, 110]);
        // In the last block there is nothing to be gained.
        assert_eq!(round.done(RoundStage::Commit, 111, 3), round);
    }

    proptest! {
        #[test]
        fn a_stage_that_ends_sooner_takes_nothing_from_the_others(
            start in 0u32..1_000, train in 1u32..50, reveal in 1u32..50,
            attest in Phases::MIN_ATTEST..50, after in 0u32..200,
        ) {
            let round = timetable(start, train, reveal, attest);
            let phases = Phases { train, reveal, attest, floor: 25 };
            let now = start + after;
            for stage in RoundStage::ALL {
                let floor_of = |stage| floor(&phases, stage);
                let floors = RoundStage::ALL.map(floor_of);
                prop_assert_eq!(floors.iter().sum::<BlockNumber>(), phases.shortest());
                let cut = round.done(stage, now, floor_of(stage));
                for other in RoundStage::ALL {
                    let (before, after) = (round.bounds(other), cut.bounds(other));
                    prop_assert!(after.0 <= before.0 && after.1 <= before.1);
                    let length = after.1 - after.0;
                    prop_assert!(length >= floor_of(other));
                    prop_assert!(other == stage || length >= before.1 - before.0);
                }
                // What has begun does not begin again, and the present block stays in its stage.
                if let Some(present) = round.stage(now) {
                    prop_assert_eq!(cut.stage(now), Some(present));
                }
            }
        }

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
