//! For whom a round waits, and when a stage has done what it is for.
//!
//! A stage ends as soon as all who have a part in it have done it ([`crate::phase`]). It waits for the members that
//! are expected, but not for who held a round up of late: by not having done its part when the stage was over, or by
//! having done it later than a grace after two thirds of the others. For such members a stage goes on for a grace,
//! and no longer, after everybody else has come. A grace is the floor of the stage, or three blocks where that is
//! less. So no member of three or more can hold up rounds again and again, once a miner has earned something, and
//! nobody's time is cut below the floor of a stage.
//!
//! Of miners it waits for those that earned something in the last epoch: seats that only commit early neither hurry
//! nor hold up who works. Where none did it waits for all, and none of them is late: seats that commit at once would
//! make laggards of all who train, and then none of these would ever earn. If those for whom it would wait are less
//! than two thirds, of these miners by count and of the validators by stake, it waits for all of them: a round without
//! most of them would come to nothing.

use alloc::vec::Vec;
use cairn_primitives::{Balance, BlockNumber, Phases, Uid, Verdicts};
use codec::{Decode, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

use crate::{
    limits::GRACE_BLOCKS,
    phase::{floor, RoundStage, Timetable},
};

/// A member of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub uid: Uid,
    /// Whether rounds wait for it.
    pub is_awaited: bool,
    /// What it weighs among its like: a miner that earned something in the last epoch 1 and another nothing, a
    /// validator its stake.
    pub weight: Balance,
}

impl Member {
    /// A miner, and whether it earned something in the last epoch.
    pub fn miner(uid: Uid, is_awaited: bool, has_earned: bool) -> Member {
        Member {
            uid,
            is_awaited,
            weight: has_earned.into(),
        }
    }
}

/// Who has yet to come in a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Coming {
    /// Those for whom it waits, and who have not done their part.
    pub awaited: Verdicts,
    /// Those for whom it does not wait, and who have not done theirs.
    pub others: Verdicts,
    /// For how many it waits.
    pub all: u32,
    /// The stage's floor, in blocks.
    pub floor: BlockNumber,
    /// Whether somebody may be late: nobody is while no miner has shown that it works.
    pub knows_late: bool,
    /// The last block in which the last third is in time: set when the others have done theirs.
    pub prompt_until: Option<BlockNumber>,
}

impl Coming {
    fn new(members: impl IntoIterator<Item = Member>, floor: BlockNumber) -> Coming {
        let mut members: Vec<Member> = members.into_iter().collect();
        let knows_late = members.iter().any(|one| one.weight > 0);
        if !knows_late {
            let alike = |one: &mut Member| (one.weight, one.is_awaited) = (1, true);
            members.iter_mut().for_each(alike);
        }
        let weigh = |sum: u128, one: &Member| sum.saturating_add(one.weight.into());
        let all = members.iter().fold(0, weigh);
        let known = members.iter().filter(|one| one.is_awaited).fold(0, weigh);
        let too_few = known.saturating_mul(3) < all.saturating_mul(2);
        let (awaited, others): (Vec<_>, Vec<_>) = members
            .into_iter()
            .partition(|one| one.weight > 0 && (one.is_awaited || too_few));
        let set = |part: Vec<Member>| Verdicts::from_uids(part.into_iter().map(|one| one.uid));
        let awaited = set(awaited);
        Coming {
            all: awaited.count(),
            awaited,
            others: set(others),
            floor,
            knows_late,
            prompt_until: None,
        }
    }

    /// One more has a part.
    fn add(&mut self, uid: Uid, is_awaited: bool) {
        match is_awaited {
            true => {
                self.awaited = with(&self.awaited, uid);
                self.all = self.all.saturating_add(1);
            }
            false => self.others = with(&self.others, uid),
        }
    }

    /// A member does its part in block `now`. Says whether it was waited for and whether it held the others up; nothing
    /// of who has no part or has done it.
    fn comes(&mut self, uid: Uid, now: BlockNumber) -> Option<(bool, bool)> {
        if self.others.contains(uid) {
            self.others = without(&self.others, uid);
            return Some((false, false));
        }
        if !self.awaited.contains(uid) {
            return None;
        }
        self.awaited = without(&self.awaited, uid);
        let is_late = self.prompt_until.is_some_and(|last| now > last);
        let is_third_left = self.awaited.count().saturating_mul(3) <= self.all;
        if self.knows_late && is_third_left && self.prompt_until.is_none() {
            self.prompt_until = Some(now.saturating_add(self.grace()));
        }
        Some((true, is_late))
    }

    /// A member has no part any more. Says whether it had one to do.
    fn leaves(&mut self, uid: Uid) -> bool {
        if self.awaited.contains(uid) {
            self.all = self.all.saturating_sub(1);
            self.awaited = without(&self.awaited, uid);
            return true;
        }
        let was_missing = self.others.contains(uid);
        self.others = without(&self.others, uid);
        was_missing
    }

    fn grace(&self) -> BlockNumber {
        self.floor.max(GRACE_BLOCKS)
    }

    /// The times after somebody has come or left in block `now`: if there is nobody left to wait for, the stage is over
    /// now or, for the others, after a grace.
    fn times(&self, stage: RoundStage, now: BlockNumber, times: Timetable) -> Timetable {
        if times.stage(now) != Some(stage) {
            return times;
        }
        let (missing, others) = (self.awaited.count(), self.others.count());
        match (self.all, missing, others) {
            (0, ..) => times,
            (_, 0, 0) => times.done(stage, now, self.floor),
            (_, 0, _) => times.ends_by(stage, now.saturating_add(self.grace()), self.floor),
            _ => times,
        }
    }
}

/// For whom a round waits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Turnout {
    /// Miners, to commit.
    pub commit: Coming,
    /// Miners that have committed, to reveal.
    pub reveal: Coming,
    /// Validators, to commit to what they attest.
    pub bind: Coming,
    /// Validators that have, to open it.
    pub open: Coming,
    /// Those that have done their part, but held the others up.
    pub late: Verdicts,
    /// Those for whom the round does not wait.
    pub unawaited: Verdicts,
}

impl Turnout {
    /// That of a round of these phases with these miners and validators.
    pub fn new(
        phases: &Phases,
        miners: impl IntoIterator<Item = Member>,
        validators: impl IntoIterator<Item = Member>,
    ) -> Turnout {
        let commit = Coming::new(miners, floor(phases, RoundStage::Commit));
        let bind = Coming::new(validators, floor(phases, RoundStage::Bind));
        let nobody = |of: &Coming, stage| Coming {
            knows_late: of.knows_late,
            ..Coming::new([], floor(phases, stage))
        };
        let unawaited = commit.others.uids().chain(bind.others.uids());
        Turnout {
            unawaited: Verdicts::from_uids(unawaited),
            reveal: nobody(&commit, RoundStage::Reveal),
            open: nobody(&bind, RoundStage::Open),
            commit,
            bind,
            late: Verdicts::default(),
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
        let Some((was_awaited, is_late)) = self.of(stage).comes(uid, now) else {
            return times;
        };
        if is_late {
            self.late = with(&self.late, uid);
        }
        match stage {
            RoundStage::Commit => self.reveal.add(uid, was_awaited),
            RoundStage::Bind => self.open.add(uid, was_awaited),
            RoundStage::Reveal | RoundStage::Open => {}
        }
        self.of(stage).times(stage, now, times)
    }

    /// A member leaves in block `now`: nobody waits for it any more.
    pub fn leaves(&mut self, uid: Uid, now: BlockNumber, times: Timetable) -> Timetable {
        self.late = without(&self.late, uid);
        let mut after = times;
        for stage in RoundStage::ALL {
            let coming = self.of(stage);
            if coming.leaves(uid) {
                after = coming.times(stage, now, after);
            }
        }
        after
    }

    /// Whether this member held the round up, which is over.
    pub fn held_up(&self, uid: Uid) -> bool {
        let stages = [&self.commit, &self.reveal, &self.bind, &self.open];
        let is_missing = |stage: &&Coming| stage.knows_late && stage.awaited.contains(uid);
        self.late.contains(uid) || stages.iter().any(is_missing)
    }

    fn of(&mut self, stage: RoundStage) -> &mut Coming {
        match stage {
            RoundStage::Commit => &mut self.commit,
            RoundStage::Reveal => &mut self.reveal,
            RoundStage::Bind => &mut self.bind,
            RoundStage::Open => &mut self.open,
        }
    }
}

fn with(set: &Verdicts, uid: Uid) -> Verdicts {
    Verdicts::from_uids(set.uids().chain(Some(uid)))
}

fn without(set: &Verdicts, uid: Uid) -> Verdicts {
    Verdicts::from_uids(set.uids().filter(|one| *one != uid))
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
        let all = |count: u16| (0..count).map(|uid| Member::miner(Uid(uid), true, true));
        let validators = (100..100 + validators).map(|uid| Member::miner(Uid(uid), true, true));
        (
            Turnout::new(&PHASES, all(miners), validators),
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
    fn for_others_a_stage_goes_on_for_a_grace_and_no_longer() {
        let times = Timetable::new(0, &PHASES);
        let known = [0, 1, 2].map(|uid| Member::miner(Uid(uid), uid < 2, true));
        let mut turnout = Turnout::new(&PHASES, known, [Member::miner(Uid(9), true, true)]);
        turnout.comes(Uid(0), RoundStage::Commit, 14, times);
        let waits = turnout.comes(Uid(1), RoundStage::Commit, 15, times);
        assert_eq!(waits.commit_deadline(), 15 + 10 + 1);
        let mut none = turnout.clone();
        let came = turnout.comes(Uid(2), RoundStage::Commit, 17, waits);
        assert_eq!(came.commit_deadline(), 18);
        assert!(!turnout.held_up(Uid(2)) && !none.held_up(Uid(2)));
        // Who committed to nothing has nothing to reveal.
        let revealed = none.comes(Uid(0), RoundStage::Reveal, 26, waits);
        let revealed = none.comes(Uid(1), RoundStage::Reveal, 26, revealed);
        assert_eq!(revealed.end_of(cairn_primitives::Phase::Reveal), 28);
    }

    #[test]
    fn a_round_that_would_wait_for_too_few_waits_for_all() {
        let times = Timetable::new(0, &PHASES);
        // Of three, rounds wait for one: so they wait for all.
        let known = [0, 1, 2].map(|uid| Member::miner(Uid(uid), uid == 0, true));
        let mut all = Turnout::new(&PHASES, known, []);
        for uid in [0, 1] {
            let before = all.comes(Uid(uid), RoundStage::Commit, 20, times);
            assert_eq!(before, times);
        }
        let after = all.comes(Uid(2), RoundStage::Commit, 20, times);
        assert_eq!(after.commit_deadline(), 21);
        // Of validators stake counts: one with two thirds of it is enough.
        let staked = |uid, is_awaited, weight| Member {
            uid: Uid(uid),
            is_awaited,
            weight,
        };
        let few = |stake| [staked(7, true, stake), staked(8, false, 100)];
        let awaited = |stake| Turnout::new(&PHASES, [], few(stake)).bind.all;
        assert_eq!([199, 200].map(awaited), [2, 1]);
    }

    #[test]
    fn seats_that_earned_nothing_neither_hurry_nor_hold_up_those_that_did() {
        let times = Timetable::new(0, &PHASES);
        let known = [0, 1, 2, 3, 4].map(|uid| Member::miner(Uid(uid), uid != 1, uid < 2));
        let mut turnout = Turnout::new(&PHASES, known, []);
        // Of the two that earned one is not waited for: too few, so both are.
        assert_eq!((turnout.commit.all, turnout.commit.others.count()), (2, 3));
        let early = [2, 3, 4].into_iter().fold(times, |times, uid| {
            turnout.comes(Uid(uid), RoundStage::Commit, 1, times)
        });
        assert_eq!(early, times);
        let late = turnout.comes(Uid(0), RoundStage::Commit, 30, early);
        let late = turnout.comes(Uid(1), RoundStage::Commit, 31, late);
        assert_eq!(late.commit_deadline(), 32);
        assert!(!turnout.late.contains(Uid(0)) && !turnout.late.contains(Uid(1)));
    }

    #[test]
    fn before_anybody_earned_seats_that_commit_at_once_make_nobody_late() {
        let times = Timetable::new(0, &PHASES);
        // Sixteen seats that train nothing, and four miners for which rounds did not wait of late.
        let miners = (0..20).map(|uid| Member::miner(Uid(uid), uid < 16, false));
        let mut turnout = Turnout::new(&PHASES, miners, []);
        assert_eq!((turnout.commit.all, turnout.commit.others.count()), (20, 0));
        let at_once = (0..16).fold(times, |times, uid| {
            turnout.comes(Uid(uid), RoundStage::Commit, 1, times)
        });
        assert_eq!(at_once, times);
        let worked = (16..19).fold(times, |times, uid| {
            turnout.comes(Uid(uid), RoundStage::Commit, 30, times)
        });
        assert_eq!(worked, times);
        assert!(!(0..20).any(|uid| turnout.held_up(Uid(uid))));
        let all = turnout.comes(Uid(19), RoundStage::Commit, 31, times);
        assert_eq!(all.commit_deadline(), 32);
        // Nor is who then does not reveal.
        assert!(!(0..20).any(|uid| turnout.held_up(Uid(uid))));
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
            let miners = (0..4).map(|uid| Member::miner(Uid(uid), is_awaited(uid), true));
            let mut turnout = Turnout::new(&PHASES, miners, []);
            let mut times = Timetable::new(0, &PHASES);
            for uid in 1..4 {
                times = turnout.comes(Uid(uid), RoundStage::Commit, 12, times);
            }
            let grace = floor(&PHASES, RoundStage::Commit);
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
                    5 => turnout.leaves(Uid(1), now, times),
                    _ => turnout.comes(uid, RoundStage::ALL[stage], now, times),
                };
            }
            for stage in RoundStage::ALL {
                let (first, end) = times.bounds(stage);
                prop_assert!(end - first >= floor(&PHASES, stage));
                prop_assert!(end <= limits.bounds(stage).1);
            }
        }
    }
}
