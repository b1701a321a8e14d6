//! When a miner has what it earned.
//!
//! In a run that audits, work is in question until its audits are over, and all work of a miner is in question until
//! one of its audits has passed: it is *proven* then. What an epoch gives a miner is withheld
//! while anything that it was earned by is in question. Whoever loses an audit loses what is withheld, which goes back
//! to the miners' pot, and is not proven any more.
//!
//! An audit that nobody could decide releases nothing, or whoever keeps auditors busy would be paid for anything: what
//! a proven miner earned in its round and since is in question until its next audit is decided. All that it makes is
//! audited until then, or at a low rate a moment's quiet of its auditors would hold, and put at stake, the pay of many
//! rounds.
//!
//! What is in question when a miner leaves nothing will prove any more: it is lost in the same way. What is when the
//! run is stopped is burned: else a run's owner, and whom it knows, could be paid for anything by stopping in time, or
//! have what others lose by that.

use bounded_collections::{BoundedVec, ConstU32};
use cairn_primitives::{AuditOutcome, AuditRules, Balance, Questions, Round, Uid, Verdicts};
use codec::{Decode, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// Rounds that are told apart in what is withheld of a miner; with more, the oldest wait for those after them. One more
/// than audits are open of at once, since what an epoch gives comes in before what is over goes out; since one was left
/// undecided more may wait.
pub const WITHHELD_ROUNDS: u32 = AuditRules::OPEN_ROUNDS + 1;

/// What audits made of a member so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Whether the last one that was decided has passed.
    pub is_proven: bool,
    /// Of one that is proven: the oldest round of which an audit was left undecided since then.
    pub undecided: Option<Round>,
}

impl Judged {
    /// After an audit of its work in this round.
    pub fn after(self, round: Round, outcome: AuditOutcome) -> Judged {
        match outcome {
            AuditOutcome::Passed => Judged {
                is_proven: true,
                undecided: None,
            },
            AuditOutcome::Failed | AuditOutcome::Silent => Judged::default(),
            AuditOutcome::Undecided if self.is_proven => {
                let oldest = self.undecided.map_or(round, |known| known.min(round));
                Judged {
                    undecided: Some(oldest),
                    ..self
                }
            }
            // It is in question from the first round on, or the audit has not ended.
            AuditOutcome::Undecided | AuditOutcome::Open => self,
        }
    }
}

/// The first round in which a member's work is in question; `None` if none is.
pub fn in_question(questions: &Questions, uid: Uid) -> Option<Round> {
    match questions.proven.contains(uid) {
        false => Some(0),
        true => questions.open.get(&uid).copied(),
    }
}

/// Of members that were included, those that can still be paid for it once the run is stopped: whose work is not in
/// question.
pub fn still_paid(questions: &Questions, included: &Verdicts) -> Verdicts {
    let is_clear = |uid: &Uid| in_question(questions, *uid).is_none();
    Verdicts::from_uids(included.uids().filter(is_clear))
}

/// What becomes of what was withheld, in pebble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// The miner's own.
    pub due: Balance,
    /// The miners' pot's again.
    pub lost: Balance,
}

/// What a miner earned and does not have yet, in pebble.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Withheld {
    /// In which round or before, ascending, and how much; never nothing.
    parts: BoundedVec<(Round, Balance), ConstU32<WITHHELD_ROUNDS>>,
}

/// Amounts that together are more than a balance can be: a fault of the caller's, since they are part of what was
/// issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMuch;

impl Withheld {
    /// What an epoch gave, which was earned in rounds up to `newest`. Nothing changes if it is refused.
    ///
    /// # Errors
    /// [`TooMuch`].
    pub fn earn(&mut self, newest: Round, amount: Balance) -> Result<(), TooMuch> {
        self.total().checked_add(amount).ok_or(TooMuch)?;
        // Another run begins with round 0 again: nothing waits for rounds that it has yet to reach.
        for (round, _) in &mut self.parts {
            *round = (*round).min(newest);
        }
        if amount == 0 {
            return Ok(());
        }
        if self.parts.last().is_none_or(|(round, _)| *round != newest) {
            if self.parts.is_full() {
                self.join_oldest();
            }
            // There is room now.
            let _ = self.parts.try_push((newest, 0));
        }
        if let Some((_, sum)) = self.parts.iter_mut().last() {
            *sum = sum.saturating_add(amount);
        }
        Ok(())
    }

    /// Makes one part of the two oldest: what is the older one's waits for the other.
    fn join_oldest(&mut self) {
        if self.parts.len() < 2 {
            return;
        }
        let (_, oldest) = self.parts.remove(0);
        if let Some((_, next)) = self.parts.iter_mut().next() {
            *next = next.saturating_add(oldest);
        }
    }

    /// Takes out what was earned before round `in_question`, which is the first in which the miner's work is; all if
    /// none is.
    pub fn release(&mut self, in_question: Option<Round>) -> Balance {
        let is_due = |round: &Round| in_question.is_none_or(|first| *round < first);
        let mut due: Balance = 0;
        self.parts.retain(|(round, amount)| {
            if is_due(round) {
                due = due.saturating_add(*amount);
            }
            !is_due(round)
        });
        due
    }

    /// The miner leaves, or the run is stopped: what was earned before round `in_question` is due, and nothing will
    /// prove the rest.
    pub fn end(mut self, in_question: Option<Round>) -> Ended {
        let due = self.release(in_question);
        let lost = self.total();
        Ended { due, lost }
    }

    /// All that is withheld.
    pub fn total(&self) -> Balance {
        let add = |sum: Balance, (_, amount): &(Round, Balance)| sum.saturating_add(*amount);
        self.parts.iter().fold(0, add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::Verdicts;
    use proptest::prelude::*;

    fn questions(proven: &[u16], open: &[(u16, Round)]) -> Questions {
        Questions {
            newest: 9,
            proven: Verdicts::from_uids(proven.iter().copied().map(Uid)),
            open: open
                .iter()
                .map(|(uid, round)| (Uid(*uid), *round))
                .collect(),
        }
    }

    #[test]
    fn who_has_passed_no_audit_is_in_question_from_the_first_round_on() {
        let questions = questions(&[1, 2], &[(2, 7), (3, 8)]);
        let found = [0, 1, 2, 3].map(|uid| in_question(&questions, Uid(uid)));
        assert_eq!(found, [Some(0), None, Some(7), Some(0)]);
    }

    #[test]
    fn of_what_is_asked_of_a_member_the_oldest_round_counts() {
        let mut questions = questions(&[1, 2], &[(1, 7)]);
        for (uid, round) in [(1, 8), (1, 5), (1, 6), (2, 3)] {
            questions.ask(Uid(uid), round);
        }
        let found = [1, 2].map(|uid| in_question(&questions, Uid(uid)));
        assert_eq!(found, [Some(5), Some(3)]);
    }

    #[test]
    fn what_was_earned_before_the_work_in_question_is_released() {
        let mut withheld = Withheld::default();
        for (round, amount) in [(3, 5), (4, 7), (4, 2), (6, 1)] {
            assert_eq!(withheld.earn(round, amount), Ok(()));
        }
        assert_eq!(withheld.release(Some(0)), 0);
        assert_eq!(withheld.release(Some(4)), 5);
        assert_eq!(withheld.release(Some(5)), 9);
        assert_eq!((withheld.total(), withheld.release(None)), (1, 1));
        assert_eq!(withheld, Withheld::default());
    }

    #[test]
    fn what_is_in_question_when_the_run_is_stopped_is_lost_and_the_rest_is_due() {
        let mut withheld = Withheld::default();
        for (round, amount) in [(3, 5), (4, 7)] {
            assert_eq!(withheld.earn(round, amount), Ok(()));
        }
        let ends = |in_question| {
            let ended = withheld.clone().end(in_question);
            (ended.due, ended.lost)
        };
        let ways = [Some(0), Some(4), Some(5), None].map(ends);
        assert_eq!(ways, [(0, 12), (5, 7), (12, 0), (12, 0)]);
    }

    #[test]
    fn who_is_in_question_when_the_run_is_stopped_is_paid_for_none_of_its_rounds() {
        let questions = questions(&[1, 2, 5], &[(2, 7), (3, 8)]);
        let included = Verdicts::from_uids([1, 2, 3, 4].map(Uid));
        let paid: Vec<Uid> = still_paid(&questions, &included).uids().collect();
        assert_eq!(paid, [Uid(1)]);
    }

    #[test]
    fn what_was_earned_in_a_run_before_waits_for_no_round_of_the_next_one() {
        let mut withheld = Withheld::default();
        for (round, amount) in [(49, 5), (50, 7), (2, 1)] {
            assert_eq!(withheld.earn(round, amount), Ok(()));
        }
        assert_eq!(withheld.release(Some(2)), 0);
        assert_eq!(withheld.release(Some(3)), 13);
    }

    /// Or what an epoch gave would be joined, again and again, to what waits for a later round.
    #[test]
    fn of_as_many_rounds_as_audits_can_be_open_of_what_was_earned_before_is_paid_in_each_epoch() {
        let mut withheld = Withheld::default();
        for round in 0..4 * AuditRules::OPEN_ROUNDS {
            withheld.earn(round, 7).expect("it is little");
            let open = (round + 1).saturating_sub(AuditRules::OPEN_ROUNDS);
            let due = if round < AuditRules::OPEN_ROUNDS {
                0
            } else {
                7
            };
            assert_eq!(withheld.release(Some(open)), due, "in round {round}");
        }
        assert_eq!(withheld.total(), u64::from(AuditRules::OPEN_ROUNDS) * 7);
    }

    #[test]
    fn what_no_balance_can_be_is_refused() {
        let mut withheld = Withheld::default();
        assert_eq!(withheld.earn(1, Balance::MAX), Ok(()));
        let before = withheld.clone();
        assert_eq!(withheld.earn(2, 1), Err(TooMuch));
        assert_eq!(withheld, before);
    }

    const ENDS: [AuditOutcome; 4] = [
        AuditOutcome::Passed,
        AuditOutcome::Failed,
        AuditOutcome::Silent,
        AuditOutcome::Undecided,
    ];

    proptest! {
        /// Beside a model that forgets no audit: only one that is decided ends what the ones before left undecided.
        #[test]
        fn what_nobody_decided_is_in_question_until_the_next_audit_is_decided(
            audits in prop::collection::vec((0u32..20, prop::sample::select(ENDS.to_vec())), 0..40),
        ) {
            let mut judged = Judged::default();
            for (nth, (round, outcome)) in audits.iter().enumerate() {
                judged = judged.after(*round, *outcome);
                prop_assert_eq!(judged.after(0, AuditOutcome::Open), judged);
                let so_far = &audits[..=nth];
                let decided = so_far.iter().rposition(|(_, one)| *one != AuditOutcome::Undecided);
                let is_proven = decided.is_some_and(|at| so_far[at].1 == AuditOutcome::Passed);
                let since = &so_far[decided.map_or(0, |at| at + 1)..];
                let oldest = since.iter().map(|(round, _)| *round).min();

                let proven: &[u16] = if judged.is_proven { &[1] } else { &[] };
                let mut questions = questions(proven, &[]);
                if let Some(round) = judged.undecided {
                    questions.ask(Uid(1), round);
                }
                let expected = if is_proven { oldest } else { Some(0) };
                prop_assert_eq!(in_question(&questions, Uid(1)), expected);
                prop_assert!(is_proven || judged == Judged::default());
            }
        }

        /// Beside a model that forgets no round: no pebble is lost, and none comes before the model has it due.
        #[test]
        fn nothing_is_lost_and_nothing_comes_before_its_time(
            epochs in prop::collection::vec((0u32..3, 0u64..100, prop::option::of(0u32..40)), 0..60),
        ) {
            let (mut withheld, mut round) = (Withheld::default(), 0);
            let mut model: Vec<(Round, Balance)> = Vec::new();
            let (mut had, mut due) = (0, 0);
            for (rounds, amount, in_question) in epochs {
                round += rounds;
                withheld.earn(round, amount).expect("it fits");
                model.push((round, amount));
                had += withheld.release(in_question);
                let is_due = |of: Round| in_question.is_none_or(|first| of < first);
                due += model.iter().filter(|(of, _)| is_due(*of)).map(|(_, sum)| sum).sum::<Balance>();
                model.retain(|(of, _)| !is_due(*of));
                prop_assert!(had <= due, "it came too early");
                let waits: Balance = model.iter().map(|(_, sum)| sum).sum();
                prop_assert_eq!(due + waits, had + withheld.total());
                if in_question.is_none() {
                    prop_assert_eq!(withheld.total(), 0);
                }
            }
        }
    }
}
