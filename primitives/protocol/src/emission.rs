//! What a subnet is paid for, and when.
//!
//! A subnet takes part in what blocks issue only while it works: while a round became final and was not null, with
//! contributors of at least two coldkeys and attesters of at least two. Whoever was not included since the last epoch
//! has no incentive in it, and a validator's dividends shrink by the rounds that it did not attest. What waited for
//! the first scores is paid over as many epochs as it waited.

use alloc::vec::Vec;
use bounded_collections::{BoundedBTreeMap, ConstU32};
use cairn_primitives::{Balance, BlockNumber, Pots, Questions, Uid, Verdicts, MAX_MEMBERS};
use codec::{Decode, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

use crate::wages::still_paid;

/// Final rounds by which a validator's attendance is measured: bits of [`Attendance::attested`].
pub const ATTENDANCE_ROUNDS: u8 = 64;
/// Tempos in which no round was settled that the one before them stands for: a round may be longer than a tempo.
pub const HELD_TEMPOS: u8 = 8;

/// Whether a final round that is not null is work: by the coldkeys of whose contributions it includes, and of who
/// attested its final root. Of each there must be two different ones. Asks for no more of them than it needs.
pub fn is_work<Coldkey: PartialEq>(
    contributors: impl IntoIterator<Item = Coldkey>,
    attesters: impl IntoIterator<Item = Coldkey>,
) -> bool {
    is_several(contributors) && is_several(attesters)
}

fn is_several<Coldkey: PartialEq>(coldkeys: impl IntoIterator<Item = Coldkey>) -> bool {
    let mut coldkeys = coldkeys.into_iter();
    let first = coldkeys.next();
    first.is_some_and(|first| coldkeys.any(|coldkey| coldkey != first))
}

/// What a subnet did between two epochs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Tempo {
    /// Whether a round was settled.
    pub is_settled: bool,
    /// Whether one of them was work.
    pub is_work: bool,
    /// Whose contributions were included.
    pub included: Verdicts,
}

/// What a subnet did of late.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Record {
    /// Since the last epoch.
    pub now: Tempo,
    /// In the last tempo before it in which a round was settled.
    pub last: Tempo,
    /// Tempos without a settled round since then; at most [`HELD_TEMPOS`].
    pub held: u8,
}

impl Record {
    /// A round was settled: whether it was work, and whom it included.
    pub fn settled(&mut self, is_work: bool, included: impl IntoIterator<Item = Uid>) {
        self.now.is_settled = true;
        self.now.is_work |= is_work;
        let before: Vec<Uid> = self.now.included.uids().collect();
        self.now.included = Verdicts::from_uids(before.into_iter().chain(included));
    }

    /// An epoch has run: a new tempo begins.
    pub fn epoch(&mut self) {
        let now = core::mem::take(&mut self.now);
        if now.is_settled {
            (self.last, self.held) = (now, 0);
        } else if self.held < HELD_TEMPOS {
            self.held = self.held.saturating_add(1);
        } else {
            self.last = Tempo::default();
        }
    }

    /// Whether the subnet takes part in what a block issues.
    pub fn claims(&self) -> bool {
        self.now.is_work || self.last.is_work
    }

    /// Who can have incentive in an epoch now: those that the last tempo with a settled round included.
    pub fn included(&self) -> &Verdicts {
        match self.now.is_settled {
            true => &self.now.included,
            false => &self.last.included,
        }
    }

    /// The run is stopped: the subnet claims nothing for it any more, and whose work is in question has no incentive
    /// for it, since nothing will prove it. `questions` is `None` if the run did not audit.
    pub fn stopped(&mut self, questions: Option<&Questions>) {
        for tempo in [&mut self.now, &mut self.last] {
            tempo.is_work = false;
            if let Some(questions) = questions {
                tempo.included = still_paid(questions, &tempo.included);
            }
        }
    }

    /// A member left, and its successor inherits nothing.
    pub fn leaves(&mut self, uid: Uid) {
        for tempo in [&mut self.now, &mut self.last] {
            let stay: Vec<Uid> = tempo.included.uids().filter(|one| *one != uid).collect();
            tempo.included = Verdicts::from_uids(stay);
        }
    }
}

/// Which of the last final rounds a validator attested with their final root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Attendance {
    /// Final rounds since its first seat, at most [`ATTENDANCE_ROUNDS`].
    pub rounds: u8,
    /// A bit for each of them, the newest lowest.
    pub attested: u64,
}

impl Attendance {
    /// A round became final.
    pub fn note(&mut self, has_attested: bool) {
        self.rounds = self.rounds.saturating_add(1).min(ATTENDANCE_ROUNDS);
        self.attested = (self.attested << 1) | u64::from(has_attested);
    }

    /// The last final round counts as one that it did not attest.
    pub fn miss(&mut self) {
        self.attested &= !1;
    }

    /// How many it attested, and of how many.
    pub fn attended(&self) -> (u32, u32) {
        (self.attested.count_ones(), self.rounds.into())
    }
}

/// Of an amount the share that a validator is due which attested so many rounds of so many, rounded down; nothing of
/// none.
pub fn due_to(amount: Balance, (attested, rounds): (u32, u32)) -> Balance {
    let whole = u128::from(amount).saturating_mul(attested.into());
    let share = whole.checked_div(rounds.into()).unwrap_or(0);
    Balance::try_from(share).unwrap_or(amount).min(amount)
}

/// The attendance of a subnet's validators.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Attendances(pub BoundedBTreeMap<Uid, Attendance, ConstU32<MAX_MEMBERS>>);

impl Attendances {
    /// A round became final: who had a seat in it, and who of them attested its root. To be without a seat is to be
    /// absent; who was absent for as long as is looked back is forgotten.
    pub fn note(&mut self, seats: &[(Uid, bool)]) {
        let sits = |uid: &Uid| seats.iter().any(|(seat, _)| seat == uid);
        for (uid, attendance) in self.0.iter_mut() {
            if !sits(uid) {
                attendance.note(false);
            }
        }
        self.0.retain(|uid, attendance| {
            sits(uid) || attendance.attested > 0 || attendance.rounds < ATTENDANCE_ROUNDS
        });
        for (uid, has_attested) in seats {
            let mut attendance = self.0.get(uid).copied().unwrap_or_default();
            attendance.note(*has_attested);
            // There is room for all members.
            let _ = self.0.try_insert(*uid, attendance);
        }
    }
}

/// What of a subnet's pots has waited for scores, and over how many epochs it is still to be paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Late {
    /// What waited; part of the pots.
    pub pots: Pots,
    /// Epochs over which it is paid; zero if nothing waited.
    pub epochs: u32,
}

impl Late {
    /// What an epoch may pay of pots that hold this much: what came since the last one, and a part of what waited.
    pub fn payable(&self, pots: &Pots) -> Pots {
        pots.checked_sub(&self.rest()).unwrap_or(*pots)
    }

    /// After an epoch that paid.
    pub fn paid(&self) -> Late {
        let (pots, epochs) = (self.rest(), self.epochs.saturating_sub(1));
        match pots == Pots::default() {
            true => Late::default(),
            false => Late { pots, epochs },
        }
    }

    /// After an epoch in which nobody had incentive, with pots that hold this much. An epoch to which nothing came is
    /// not one that something waited for.
    pub fn waited(&self, pots: &Pots) -> Late {
        if *pots == Pots::default() {
            return Late::default();
        }
        let more = u32::from(*pots != self.pots);
        Late {
            pots: *pots,
            epochs: self.epochs.saturating_add(more),
        }
    }

    /// What is left of it after the next epoch that pays.
    fn rest(&self) -> Pots {
        let rest = |amount: Balance| {
            let part = amount.checked_div(self.epochs.into()).unwrap_or(amount);
            amount.saturating_sub(part)
        };
        Pots {
            owner: rest(self.pots.owner),
            miners: rest(self.pots.miners),
            validators: rest(self.pots.validators),
        }
    }
}

/// Whether scores that were chosen at block `set_at` still count in an epoch that is due at block `due`. A wait of the
/// epoch makes nobody's scores old.
pub fn is_recent(set_at: BlockNumber, due: BlockNumber, activity_cutoff: BlockNumber) -> bool {
    due.saturating_sub(set_at) <= activity_cutoff
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn work_takes_two_coldkeys_on_either_side() {
        assert!(is_work([1, 1, 2], [3, 4]));
        assert!(is_work([1, 2], [2, 1]));
        for (contributors, attesters) in [
            (&[1, 1][..], &[3, 4][..]),
            (&[1, 2], &[3, 3, 3]),
            (&[1], &[3, 4]),
            (&[], &[3, 4]),
            (&[1, 2], &[]),
        ] {
            assert!(!is_work(contributors, attesters));
        }
    }

    fn share(attendance: Attendance, amount: Balance) -> Balance {
        due_to(amount, attendance.attended())
    }

    fn uids(set: &Verdicts) -> Vec<Uid> {
        set.uids().collect()
    }

    fn some(uids: impl IntoIterator<Item = u8>) -> Vec<Uid> {
        uids.into_iter().map(|uid| Uid(uid.into())).collect()
    }

    #[test]
    fn work_is_claimed_for_its_tempo_and_the_next() {
        let mut record = Record::default();
        assert!(!record.claims());
        record.settled(true, some([3]));
        record.settled(false, some([1]));
        assert!(record.claims());
        assert_eq!(uids(record.included()), some([1, 3]));
        record.epoch();
        assert!(record.claims());
        record.settled(false, some([]));
        assert!(record.claims() && uids(record.included()).is_empty());
        record.epoch();
        assert!(!record.claims(), "a tempo with nothing but null rounds");
    }

    #[test]
    fn a_round_may_be_longer_than_a_tempo_but_not_for_ever() {
        let mut record = Record::default();
        record.settled(true, some([3]));
        for _ in 0..=HELD_TEMPOS {
            record.epoch();
            assert!(record.claims());
            assert_eq!(uids(record.included()), some([3]));
        }
        record.epoch();
        assert!(!record.claims() && uids(record.included()).is_empty());
    }

    #[test]
    fn who_takes_over_a_uid_was_not_included() {
        let mut record = Record::default();
        record.settled(true, some([3, 4]));
        record.epoch();
        record.settled(true, some([3]));
        record.leaves(some([3])[0]);
        assert!(uids(record.included()).is_empty());
        assert_eq!(uids(&record.last.included), some([4]));
    }

    #[test]
    fn attendance_looks_back_as_far_as_it_has_bits() {
        let mut attendance = Attendance::default();
        assert_eq!(share(attendance, 1_000), 0);
        attendance.note(true);
        assert_eq!(share(attendance, 1_000), 1_000);
        attendance.note(false);
        assert_eq!(share(attendance, 1_001), 500);
        for _ in 0..ATTENDANCE_ROUNDS {
            attendance.note(true);
        }
        assert_eq!(attendance.rounds, ATTENDANCE_ROUNDS);
        assert_eq!(share(attendance, u64::MAX), u64::MAX);
        attendance.note(false);
        assert_eq!(share(attendance, 64), 63);
    }

    #[test]
    fn without_a_seat_is_absent_until_it_is_forgotten() {
        let mut all = Attendances::default();
        let [a, b] = [1, 2].map(Uid);
        all.note(&[(a, true), (b, false)]);
        all.note(&[(b, true)]);
        assert_eq!((all.0[&a].rounds, share(all.0[&a], 100)), (2, 50));
        assert_eq!(share(all.0[&b], 100), 50);
        for _ in 0..ATTENDANCE_ROUNDS {
            all.note(&[(b, false)]);
        }
        assert_eq!(all.0.get(&a), None);
        assert_eq!(share(all.0[&b], 100), 0);
    }

    #[test]
    fn three_epochs_waited_are_paid_in_three() {
        let mut late = Late::default();
        let mut held = Pots::default();
        for epoch in 1..=3 {
            held = held.checked_add(&Pots::of(100)).expect("it fits");
            late = late.waited(&held);
            assert_eq!(late.epochs, epoch);
        }
        // Nothing comes, so nothing more waits.
        late = late.waited(&held);
        assert_eq!(late.epochs, 3);
        for _ in 0..3 {
            held = held.checked_add(&Pots::of(100)).expect("it fits");
            let pay = late.payable(&held);
            assert_eq!(pay, Pots::of(200));
            held = held.checked_sub(&pay).expect("it is there");
            late = late.paid();
        }
        assert_eq!((held, late), (Pots::default(), Late::default()));
    }

    #[test]
    fn scores_of_two_tempos_ago_count_whenever_the_epoch_comes() {
        assert!(is_recent(10, 30, 20) && !is_recent(9, 30, 20));
        assert!(is_recent(31, 30, 0));
    }

    proptest! {
        /// Whatever comes and whenever there are scores: nothing is lost, no epoch pays more of what waited than its
        /// part, and after as many paying epochs as it waited nothing of it is left.
        #[test]
        fn what_waited_is_paid_out_evenly(
            steps in prop::collection::vec((0u64..1_000_000_000_000, any::<bool>()), 1..60),
        ) {
            let (mut late, mut held) = (Late::default(), Pots::default());
            let (mut came, mut went) = (0u64, 0u64);
            for (amount, has_scores) in steps {
                held = held.checked_add(&Pots::of(amount)).expect("it fits");
                came += amount;
                if !has_scores {
                    late = late.waited(&held);
                    prop_assert_eq!(late.pots, held);
                    continue;
                }
                let pay = late.payable(&held);
                let paid = pay.total().expect("it fits");
                let waited = late.pots.total().expect("it fits");
                let part = waited.checked_div(late.epochs.into()).unwrap_or(0);
                prop_assert!(paid <= amount + part && paid + 3 >= amount + part, "{paid} of {amount} + {part}");
                went += paid;
                held = held.checked_sub(&pay).expect("never more than there is");
                late = late.paid();
                prop_assert_eq!(late.epochs == 0, late.pots == Pots::default());
            }
            prop_assert_eq!(came, went + held.total().expect("it fits"));
            for _ in 0..late.epochs {
                held = held.checked_sub(&late.payable(&held)).expect("never more than there is");
                late = late.paid();
            }
            prop_assert_eq!(held, Pots::default());
        }

        #[test]
        fn attendance_gives_at_most_all(amount: u64, seen in prop::collection::vec(any::<bool>(), 0..200)) {
            let mut attendance = Attendance::default();
            seen.iter().for_each(|one| attendance.note(*one));
            let looked_at = &seen[seen.len().saturating_sub(64)..];
            let ones = looked_at.iter().filter(|one| **one).count() as u128;
            let expected = (u128::from(amount) * ones).checked_div(looked_at.len() as u128);
            prop_assert_eq!(u128::from(share(attendance, amount)), expected.unwrap_or(0));
        }
    }
}
