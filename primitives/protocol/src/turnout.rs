//! For whom a round waits, and when a stage has done what it is for.
//!
//! A stage ends as soon as everybody for whom the round waits has done its part ([`crate::phase`]). It waits for the
//! members that are expected, but not for who held a round up of late: by not having done its part when the stage was
//! over, or by having done it later than the stage's floor after two thirds of the others. Such a member still has its
//! part, within what time the others leave it. So nobody can hold up rounds again and again, and nobody's time is cut
//! below the floor of a stage.
//!
//! If it would wait for nobody, it waits for all.

use alloc::vec::Vec;
use cairn_primitives::{BlockNumber, Uid, Verdicts};
use codec::{Decode, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

use crate::phase::{RoundStage, Timetable};

/// Who has yet to come in a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Awaited {
    /// Those who have not done their part.
    pub missing: Verdicts,
    /// How many there were.
    pub all: u32,
    /// The last block in which the last third is in time: set when the others have done theirs.
    pub prompt_until: Option<BlockNumber>,
}

impl Awaited {
    fn new(uids: impl IntoIterator<Item = Uid>) -> Awaited {
        let missing = Verdicts::from_uids(uids);
        Awaited {
            all: missing.count(),
            missing,
            prompt_until: None,
        }
    }

    /// One more is waited for.
    fn add(&mut self, uid: Uid) {
        self.missing = Verdicts::from_uids(self.missing.uids().chain(Some(uid)));
        self.all = self.all.saturating_add(1);
    }

    fn remove(&mut self, uid: Uid) -> bool {
        let was_missing = self.missing.contains(uid);
        if was_missing {
            self.missing = Verdicts::from_uids(self.missing.uids().filter(|one| *one != uid));
        }
        was_missing
    }

    /// A member does its part in block `now`; whoever does within `grace` blocks of two thirds is in time. Says whether
    /// it was waited for, and whether it held the others up.
    fn comes(&mut self, uid: Uid, now: BlockNumber, grace: BlockNumber) -> (bool, bool) {
        if !self.remove(uid) {
            return (false, false);
        }
        let is_late = self.prompt_until.is_some_and(|last| now > last);
        if self.missing.count().saturating_mul(3) <= self.all && self.prompt_until.is_none() {
            self.prompt_until = Some(now.saturating_add(grace));
        }
        (true, is_late)
    }
}

/// For whom a round waits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Turnout {
    /// Miners, to commit.
    pub commit: Awaited,
    /// Miners that have committed, to reveal.
    pub reveal: Awaited,
    /// Validators, to commit to what they attest.
    pub bind: Awaited,
    /// Validators that have, to open it.
    pub open: Awaited,
    /// Those that have done their part, but held the others up.
    pub late: Verdicts,
}

impl Turnout {
    /// That of a round with these miners and validators, of each of whom it is known whether rounds wait for it.
    pub fn new(
        miners: impl IntoIterator<Item = (Uid, bool)>,
        validators: impl IntoIterator<Item = (Uid, bool)>,
    ) -> Turnout {
        Turnout {
            commit: Awaited::new(awaited(miners)),
            bind: Awaited::new(awaited(validators)),
            ..Turnout::default()
        }
    }

    /// A member does its part of a stage in block `now`. Gives the round's times after that.
    pub fn comes(
        &mut self,
        uid: Uid,
        stage: RoundStage,
        now: BlockNumber,
        times: Timetable,
    ) -> Timetable {
        let grace = times.floor(stage);
        let (was_awaited, is_late) = self.of(stage).comes(uid, now, grace);
        if is_late {
            self.late = Verdicts::from_uids(self.late.uids().chain(Some(uid)));
        }
        if !was_awaited {
            return times;
        }
        match stage {
            RoundStage::Commit => self.reveal.add(uid),
            RoundStage::Bind => self.open.add(uid),
            RoundStage::Reveal | RoundStage::Open => {}
        }
        self.times(stage, now, times)
    }

    /// A member leaves in block `now`: nobody waits for it any more.
    pub fn leaves(&mut self, uid: Uid, now: BlockNumber, times: Timetable) -> Timetable {
        self.late = Verdicts::from_uids(self.late.uids().filter(|one| *one != uid));
        let mut after = times;
        for stage in RoundStage::ALL {
            let awaited = self.of(stage);
            if awaited.remove(uid) {
                awaited.all = awaited.all.saturating_sub(1);
                after = self.times(stage, now, after);
            }
        }
        after
    }

    /// Whether this member held the round up, which is over.
    pub fn held_up(&self, uid: Uid) -> bool {
        let stages = [&self.commit, &self.reveal, &self.bind, &self.open];
        self.late.contains(uid) || stages.iter().any(|stage| stage.missing.contains(uid))
    }

    /// The times after somebody for whom a stage waited has come or left: it is over if there is nobody left to wait for
    /// and somebody came.
    fn times(&mut self, stage: RoundStage, now: BlockNumber, times: Timetable) -> Timetable {
        let awaited = self.of(stage);
        match awaited.all > 0 && awaited.missing.count() == 0 {
            true => times.done(stage, now),
            false => times,
        }
    }

    fn of(&mut self, stage: RoundStage) -> &mut Awaited {
        match stage {
            RoundStage::Commit => &mut self.commit,
            RoundStage::Reveal => &mut self.reveal,
            RoundStage::Bind => &mut self.bind,
            RoundStage::Open => &mut self.open,
        }
    }
}

/// Those for whom a round waits; all, if that is nobody.
fn awaited(members: impl IntoIterator<Item = (Uid, bool)>) -> Vec<Uid> {
    let members: Vec<(Uid, bool)> = members.into_iter().collect();
    let nobody = !members.iter().any(|(_, waits)| *waits);
    let awaited = members.into_iter().filter(|(_, waits)| *waits || nobody);
    awaited.map(|(uid, _)| uid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{attendance::Absence, limits::UNAWAITED_ROUNDS};
    use cairn_primitives::Phases;
    use proptest::prelude::*;

    const PHASES: Phases = Phases {
        train: 40,
        reveal: 8,
        attest: 16,
        floor: 25,
    };

    fn round(miners: u16, validators: u16) -> (Turnout, Timetable) {
        let all = |count: u16| (0..count).map(|uid| (Uid(uid), true));
        let validators = (100..100 + validators).map(|uid| (Uid(uid), true));
        (
            Turnout::new(all(miners), validators),
            Timetable::new(1_000, &PHASES),
        )
    }

    #[test]
    fn a_round_in_which_all_come_is_as_long_as_they_take() {
        let (mut turnout, mut times) = round(3, 2);
        let mut now = 1_012;
        for uid in 0..3 {
            times = turnout.comes(Uid(uid), RoundStage::Commit, now, times);
        }
        assert_eq!(times.commit_deadline(), 1_013);
        now = 1_013;
        for uid in 0..3 {
            times = turnout.comes(Uid(uid), RoundStage::Reveal, now, times);
        }
        // A quarter of eight blocks is two.
        assert_eq!(times.end_of(cairn_primitives::Phase::Reveal), 1_015);
        for uid in [100, 101] {
            times = turnout.comes(Uid(uid), RoundStage::Bind, 1_016, times);
        }
        assert_eq!(times.opening(), 1_017);
        for uid in [100, 101] {
            times = turnout.comes(Uid(uid), RoundStage::Open, 1_018, times);
        }
        assert_eq!(times.due(), 1_019);
        let members = [0, 1, 2, 100, 101].map(Uid);
        assert!(!members.into_iter().any(|uid| turnout.held_up(uid)));
    }

    #[test]
    fn who_never_comes_costs_the_limit_and_is_known() {
        let (mut turnout, mut times) = round(3, 1);
        let limit = times.commit_deadline();
        for uid in 0..2 {
            times = turnout.comes(Uid(uid), RoundStage::Commit, 1_011, times);
        }
        assert_eq!(times.commit_deadline(), limit);
        // What the third did not commit to nobody waits for.
        for uid in 0..2 {
            times = turnout.comes(Uid(uid), RoundStage::Reveal, limit, times);
        }
        assert_eq!(times.end_of(cairn_primitives::Phase::Reveal), limit + 2);
        let late = [0, 1, 2].map(|uid| turnout.held_up(Uid(uid)));
        assert_eq!(late, [false, false, true]);
    }

    #[test]
    fn who_comes_long_after_the_others_holds_up_and_the_floor_apart_is_prompt() {
        for (after, held_up) in [(0, false), (10, false), (11, true)] {
            let (mut turnout, mut times) = round(3, 1);
            for uid in 0..2 {
                times = turnout.comes(Uid(uid), RoundStage::Commit, 1_015, times);
            }
            turnout.comes(Uid(2), RoundStage::Commit, 1_015 + after, times);
            assert_eq!(turnout.late.contains(Uid(2)), held_up, "{after}");
        }
    }

    #[test]
    fn a_round_waits_for_who_is_waited_for_or_for_all() {
        let times = Timetable::new(0, &PHASES);
        let known = [(Uid(1), true), (Uid(2), false)];
        let mut turnout = Turnout::new(known, [(Uid(9), true)]);
        let before = turnout.comes(Uid(2), RoundStage::Commit, 20, times);
        assert_eq!(before, times);
        let after = turnout.comes(Uid(1), RoundStage::Commit, 21, times);
        assert_eq!(after.commit_deadline(), 22);
        // Nor is the second one waited for when it has committed and does not reveal.
        let after = turnout.comes(Uid(1), RoundStage::Reveal, 22, after);
        assert_eq!(after.end_of(cairn_primitives::Phase::Reveal), 24);
        let mut all = Turnout::new([(Uid(1), false), (Uid(2), false)], []);
        assert_eq!(all.comes(Uid(2), RoundStage::Commit, 20, times), times);
        assert_ne!(all.comes(Uid(1), RoundStage::Commit, 20, times), times);
    }

    #[test]
    fn nobody_waits_for_who_leaves() {
        let (mut turnout, times) = round(2, 1);
        let times = turnout.comes(Uid(0), RoundStage::Commit, 1_012, times);
        let times = turnout.leaves(Uid(1), 1_013, times);
        assert_eq!(times.commit_deadline(), 1_014);
        assert!(!turnout.held_up(Uid(1)));
        let left = turnout.leaves(Uid(0), 1_013, times);
        assert_eq!(left, times, "nothing is done where nobody is left");
    }

    /// Rounds in which one of four miners plays for time in any way, and how many of them it held up by more than a
    /// grace.
    fn held_up(plays: &[u32]) -> usize {
        let mut absence = Absence::default();
        let mut held = 0;
        for delay in plays {
            let is_awaited = |uid: u16| uid > 0 || absence.is_awaited();
            let miners = (0..4).map(|uid| (Uid(uid), is_awaited(uid)));
            let mut turnout = Turnout::new(miners, []);
            let mut times = Timetable::new(0, &PHASES);
            for uid in 1..4 {
                times = turnout.comes(Uid(uid), RoundStage::Commit, 12, times);
            }
            let grace = times.floor(RoundStage::Commit);
            let comes = 12 + delay;
            let in_time = comes < times.commit_deadline();
            if in_time {
                times = turnout.comes(Uid(0), RoundStage::Commit, comes, times);
            }
            held += usize::from(times.commit_deadline() > 13 + grace);
            if in_time {
                let now = times.commit_deadline();
                turnout.comes(Uid(0), RoundStage::Reveal, now, times);
            }
            absence = absence.after(true).waited(turnout.held_up(Uid(0)), in_time);
        }
        held
    }

    proptest! {
        #[test]
        fn nobody_holds_up_rounds_again_and_again(plays in prop::collection::vec(0u32..40, 1..200)) {
            let most = plays.len().div_ceil(usize::from(UNAWAITED_ROUNDS) + 1);
            prop_assert!(held_up(&plays) <= most);
        }

        #[test]
        fn every_stage_is_between_its_floor_and_its_limit(
            steps in prop::collection::vec((0u16..6, 0usize..4, 0u32..6), 0..80),
        ) {
            let (mut turnout, limits) = round(3, 2);
            let (mut times, mut now) = (limits, limits.start());
            for (who, stage, wait) in steps {
                now += wait;
                let uid = Uid(if who < 3 { who } else { 97 + who });
                times = match who {
                    5 => turnout.leaves(Uid(who), now, times),
                    _ => turnout.comes(uid, RoundStage::ALL[stage], now, times),
                };
            }
            for stage in RoundStage::ALL {
                let length = |times: &Timetable| {
                    let (first, end) = times.bounds(stage);
                    end - first
                };
                prop_assert!(length(&times) >= limits.floor(stage));
                prop_assert!(length(&times) <= length(&limits));
            }
        }
    }
}
