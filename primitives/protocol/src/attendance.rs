//! Who is expected in a round, and whose stake counts in full.
//!
//! A member that misses three rounds in a row is not expected: a miner is not assigned, a validator has no seat and
//! is not part of the quorum, until it says that it is back. It then has one round to show it. The same goes for a
//! miner whose work an audit found to be false.
//!
//! A miner of which a round that became final includes nothing is expected all the same, but where slots are scarce
//! others come first ([`crate::assignment`]).
//!
//! A member that held a round up is expected all the same, but rounds do not wait for it ([`crate::turnout`]) before it
//! was in time in 32 of them.
//!
//! A deadlock resolves itself. With each round that has no final root, what counts of the stake of validators that were
//! absent halves, and from the second in a row on that of those that were alone with another root, until the others are
//! a quorum that agrees. Whoever then attests the final root counts in full again. Were it the first, a false root that
//! leads while others are cut off for a round would lead in the next one, too.

use cairn_primitives::{Balance, ModelRoot, Round};
use codec::{Decode, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

use crate::limits::{ALONE_ROUNDS, MISSED_ROUNDS, UNAWAITED_ROUNDS};

/// What a member missed of the last rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Absence {
    /// Rounds in a row in which it had a part and did not take it.
    pub missed: u8,
    /// How often what counts of its stake has been halved.
    pub halved: u8,
    /// Rounds in which it has to be in time before rounds wait for it again.
    pub unawaited: u8,
    /// Whether nothing of a miner was included in the last round with a final root in which it had a slot.
    pub left_out: bool,
}

impl Absence {
    /// Whether the member is expected in the next round.
    pub fn is_expected(&self) -> bool {
        self.missed < MISSED_ROUNDS
    }

    /// Whether rounds wait for it.
    pub fn is_awaited(&self) -> bool {
        self.unawaited == 0
    }

    /// Whether there is anything to remember.
    pub fn is_nothing(&self) -> bool {
        *self == Absence::default()
    }

    /// After a round in which the member had a part. Who stopped being expected in the middle of it is not by having
    /// taken it.
    pub fn after(self, took_part: bool) -> Absence {
        if !self.is_expected() {
            return self;
        }
        let missed = match took_part {
            true => 0,
            false => self.missed.saturating_add(1).min(MISSED_ROUNDS),
        };
        Absence { missed, ..self }
    }

    /// After a round that it held up, or in which it was in time, or neither.
    pub fn waited(self, held_up: bool, in_time: bool) -> Absence {
        let unawaited = match (held_up, in_time) {
            (true, _) => UNAWAITED_ROUNDS,
            (false, true) => self.unawaited.saturating_sub(1),
            (false, false) => self.unawaited,
        };
        Absence { unawaited, ..self }
    }

    /// After a round with a final root, in which a miner had a slot: whether what it made was included.
    pub fn included(self, is_included: bool) -> Absence {
        let left_out = !is_included;
        Absence { left_out, ..self }
    }

    /// After an audit has found its work to be false: it is not expected.
    pub fn out(self) -> Absence {
        let missed = MISSED_ROUNDS;
        Absence { missed, ..self }
    }

    /// After the member has said that it is back: it is expected, and has one round to show it. `None` if it was
    /// expected already.
    pub fn back(self) -> Option<Absence> {
        let missed = MISSED_ROUNDS.saturating_sub(1);
        (!self.is_expected()).then_some(Absence { missed, ..self })
    }

    /// What counts of a validator's stake, in pebble: at least 1 of what is more than nothing.
    pub fn counted(&self, stake: Balance) -> Balance {
        let counted = stake.checked_shr(u32::from(self.halved)).unwrap_or(0);
        counted.max(stake.min(1))
    }

    /// What counts of a validator's stake, in pebble, in rounds and in epochs alike: `None` while it is not expected.
    pub fn weight(&self, stake: Balance) -> Option<Balance> {
        self.is_expected().then(|| self.counted(stake))
    }

    /// After a round in which a validator was expected: `decided` is the root that is final, `led` the one that leads
    /// while none is, `undecided` how many rounds in a row now have no final root, and `said` what the validator
    /// attested.
    pub fn leak(
        self,
        decided: Option<ModelRoot>,
        led: ModelRoot,
        undecided: Round,
        said: Option<ModelRoot>,
    ) -> Absence {
        let halved = match decided {
            Some(root) if said == Some(root) => 0,
            None if said.is_none() || (undecided >= ALONE_ROUNDS && said != Some(led)) => {
                self.halved.saturating_add(1)
            }
            _ => self.halved,
        };
        Absence { halved, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        attestation::tests::{attestation, root, tally},
        lineage::Ancestor,
    };
    use proptest::prelude::*;

    #[test]
    fn who_misses_three_in_a_row_is_not_expected_until_it_is_back() {
        let mut absence = Absence::default();
        for took_part in [false, false, true, false, false] {
            absence = absence.after(took_part);
            assert!(absence.is_expected());
            assert_eq!(absence.back(), None);
        }
        absence = absence.after(false);
        assert!(!absence.is_expected());
        let back = absence.back().expect("it was not expected");
        assert!(back.is_expected());
        assert!(!back.after(false).is_expected(), "one round to show it");
        assert!(back.after(true).is_nothing());
    }

    #[test]
    fn who_held_a_round_up_is_not_waited_for_until_it_was_in_time_for_long() {
        let mut absence = Absence::default().waited(true, true);
        for _ in 0..UNAWAITED_ROUNDS {
            assert!(!absence.is_awaited() && absence.is_expected());
            absence = absence.waited(false, false).waited(false, true);
        }
        assert!(absence.is_awaited() && absence.is_nothing());
    }

    #[test]
    fn who_was_left_out_is_expected_and_remembered_until_it_is_included() {
        let absence = Absence::default().included(false).after(true);
        assert!(absence.is_expected() && !absence.is_nothing());
        assert!(absence.included(true).is_nothing());
    }

    #[test]
    fn who_is_out_comes_back_like_others() {
        let out = Absence::default().out();
        assert!(!out.is_expected());
        assert_eq!(
            out.after(true),
            out,
            "in the round in which it was found out"
        );
        let back = out.back().expect("it was not expected");
        assert!(back.is_expected() && back.after(true).is_nothing());
    }

    #[test]
    fn stake_that_is_there_never_counts_nothing() {
        let halved = |halved| Absence {
            halved,
            ..Absence::default()
        };
        assert_eq!(halved(0).counted(100), 100);
        assert_eq!(halved(3).counted(100), 12);
        assert_eq!(halved(255).counted(u64::MAX), 1);
        assert_eq!(halved(7).counted(0), 0);
    }

    #[test]
    fn stake_leaks_with_each_undecided_round_and_all_comes_back() {
        let leaks = |undecided, said| {
            let leaks = Absence::default().leak(None, root(1), undecided, said);
            leaks.halved
        };
        assert_eq!([1, 2, 3].map(|undecided| leaks(undecided, None)), [1; 3]);
        let alone = [1, 2, 3].map(|undecided| leaks(undecided, Some(root(2))));
        assert_eq!(alone, [0, 1, 1]);
        let low = Absence {
            halved: 4,
            ..Absence::default()
        };
        let other = low.leak(Some(root(1)), root(1), 0, Some(root(2)));
        assert_eq!(other.halved, 4);
        assert_eq!(low.leak(None, root(1), 9, Some(root(1))).halved, 4);
        let same = low.leak(Some(root(1)), root(1), 0, Some(root(1)));
        assert_eq!(same.halved, 0);
    }

    /// Rounds without a final root if everybody goes on saying what it says; `None` attests nothing.
    fn rounds_to_agree(voters: &[(Option<u8>, Balance)]) -> Round {
        let mut absences = vec![Absence::default(); voters.len()];
        for undecided in 1..200 {
            let counted = |at: usize| absences[at].counted(voters[at].1);
            let expected = |at: &usize| absences[*at].is_expected();
            let present: Vec<usize> = (0..voters.len()).filter(expected).collect();
            let stakes: Vec<Balance> = present.iter().map(|at| counted(*at)).collect();
            let mut tally = tally(&stakes, &[]);
            for at in &present {
                if let Some(number) = voters[*at].0 {
                    let said = attestation(number, &[]);
                    tally.add(&said, counted(*at)).expect("it fits");
                }
            }
            let ancestor = Ancestor::of(None, &tally);
            if ancestor.is_final {
                return undecided - 1;
            }
            for at in present {
                let said = voters[at].0.map(root);
                let after = absences[at].after(said.is_some());
                absences[at] = after.leak(None, ancestor.model_root, undecided, said);
            }
        }
        panic!("it never ends: {voters:?}");
    }

    #[test]
    fn a_third_with_another_root_stops_two_rounds_and_half_that_sleeps_one() {
        assert_eq!(rounds_to_agree(&[(Some(1), 66), (Some(2), 34)]), 2);
        assert_eq!(rounds_to_agree(&[(Some(1), 50), (Some(2), 50)]), 2);
        assert_eq!(rounds_to_agree(&[(Some(1), 49), (None, 51)]), 1);
        assert_eq!(rounds_to_agree(&[(Some(1), 67), (Some(2), 33)]), 0);
        let three = [(Some(1), 34), (Some(2), 33), (Some(3), 33)];
        assert_eq!(rounds_to_agree(&three), 3);
    }

    /// A root of 35 of 100 leads while 30 are cut off: they lose half, and those that have the right root nothing, so
    /// that with the others back the right one leads.
    #[test]
    fn a_false_root_that_leads_for_a_round_does_not_lead_in_the_next() {
        let said = [(Some(root(2)), 35u64), (None, 30), (Some(root(1)), 35)];
        let after = |(said, stake): (Option<ModelRoot>, Balance)| {
            let absence = Absence::default().leak(None, root(2), 1, said);
            absence.counted(stake)
        };
        assert_eq!(said.map(after), [35, 15, 35]);
    }

    proptest! {
        #[test]
        fn every_deadlock_ends_while_somebody_attests(
            first in 1u64..1_000_000,
            voters in prop::collection::vec((prop::option::of(1u8..5), 1u64..1_000_000), 0..20),
        ) {
            let mut voters = voters;
            voters.push((Some(1), first));
            // The leading root has at least a quarter of what attests, or the sleepers are gone: a few halvings do it.
            prop_assert!(rounds_to_agree(&voters) <= 12);
        }

        #[test]
        fn halving_never_adds(stake: u64, halved: u8) {
            let now = Absence { halved, ..Absence::default() };
            let then = Absence { halved: halved.saturating_add(1), ..now };
            prop_assert!(then.counted(stake) <= now.counted(stake));
            prop_assert!(now.counted(stake) <= stake);
        }
    }
}
