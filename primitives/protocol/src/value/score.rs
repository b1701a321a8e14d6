//! From evidence to scores, and how each came about.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use cairn_primitives::{Hotkey, Round, Uid};
#[cfg(feature = "serde")]
use serde::Serialize;

use super::{
    counts, evidence::is_within, factor, gain::is_enough, is_sure, premium, premium_of, round_gain,
    Estimate, Evidence, Outcome,
};
use crate::{
    limits::{GRACE_ROUNDS, VALUE_ROUNDS},
    unseen,
};

/// A miner: its uid, which can pass to somebody else, and its hotkey.
pub type Miner = (Uid, Hotkey);

/// How a miner's score came about.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize))]
pub struct Account {
    /// The first round of which there is evidence.
    pub first: Round,
    /// How far it has proven to train on its own data, in standard errors.
    pub premium: f64,
    /// Whether it is a newcomer that need not have proven it yet.
    pub is_new: bool,
    /// Which share of its gains counts for that.
    pub factor: f64,
    /// What it did in the rounds of which the score is a mean, ascending.
    pub rounds: Vec<Part>,
    /// Over how many rounds the mean is.
    pub over: Round,
    /// The score: a mean of shares in what all gained.
    pub score: f64,
}

/// What a miner did in a round, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize))]
pub struct Part {
    /// The round.
    pub round: Round,
    /// What can be said of it.
    pub found: Found,
    /// What it gained on unassigned windows, in nats per token.
    pub gain: f64,
    /// By how much it gained more on assigned ones, and the standard error of that.
    pub premium: f64,
    /// The standard error of the premium; zero if none was measured.
    pub error: f64,
    /// What it gained on text that miners do not have, in nats per token; none where that was not measured.
    pub unseen: Option<f64>,
    /// Which share of its gain counts for that, beside those of others: all of it where there is no such text.
    pub holds: f64,
    /// The share of a round's inner steps that it declares.
    pub steps: f64,
    /// Contributions that share one score, its own included.
    pub alike: u16,
    /// Whether it repeats what the round before changed.
    pub repeats: bool,
    /// Its share in what all gained in this round.
    pub share: f64,
}

/// What can be said of a miner's part in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Found {
    /// It delivered nothing good, or had no part.
    Missed,
    /// It was measured.
    Measured,
    /// It delivered, and was not measured.
    Unmeasured,
}

impl Part {
    /// What evidence says of a round, before shares are known.
    fn of(round: Round, outcome: &Outcome) -> Part {
        let nothing = Part {
            round,
            found: Found::Missed,
            gain: 0.0,
            premium: 0.0,
            error: 0.0,
            unseen: None,
            holds: 1.0,
            steps: 0.0,
            alike: 1,
            repeats: false,
            share: 0.0,
        };
        match outcome {
            Outcome::Missed => nothing,
            Outcome::Unmeasured => Part {
                found: Found::Unmeasured,
                ..nothing
            },
            Outcome::Measured {
                steps,
                of,
                alike,
                repeats,
                assigned,
                unassigned,
                settled,
                unseen,
            } => {
                let enough = is_enough(assigned, unassigned);
                let own = premium_of(assigned, unassigned, settled).filter(|_| enough);
                Part {
                    found: Found::Measured,
                    gain: round_gain(assigned, unassigned),
                    premium: own.map_or(0.0, |own| own.mean),
                    error: own.map_or(0.0, |own| own.error()),
                    unseen: unseen::gain(unseen),
                    steps: (f64::from(*steps) / f64::from((*of).max(1))).min(1.0),
                    alike: (*alike).max(1),
                    repeats: *repeats,
                    ..nothing
                }
            }
        }
    }

    /// What it is worth beside the others of the round, before it is known whether its maker trained on its own data.
    fn worth(&self) -> f64 {
        if self.repeats {
            0.0
        } else {
            self.gain * self.steps / f64::from(self.alike)
        }
    }

    /// What was proven in this round.
    fn proof(&self) -> Option<Estimate> {
        (self.error > 0.0).then_some(Estimate {
            mean: self.premium,
            squared_error: self.error * self.error,
        })
    }

    /// The order in which evidence of one round that was logged twice is preferred: what is worth less.
    fn rank(&self) -> (Found, [u64; 5]) {
        let [worth, gain, premium, error] =
            [self.worth(), self.gain, self.premium, self.error].map(ascending);
        // What was not measured on the text holds in full.
        let unseen = self.unseen.map_or(u64::MAX, ascending);
        (self.found, [worth, gain, premium, error, unseen])
    }
}

/// Whether evidence of a round is preferred to other evidence of the same: it is worth less.
pub(super) fn is_less(one: &Evidence, other: &Evidence) -> bool {
    let rank = |of: &Evidence| Part::of(of.round, &of.outcome).rank();
    rank(one) < rank(other)
}

/// Bits that rise with a number, from below zero on.
fn ascending(number: f64) -> u64 {
    const SIGN: u64 = 1 << 63;
    let bits = number.to_bits();
    if bits & SIGN == 0 {
        bits | SIGN
    } else {
        !bits
    }
}

/// Those of whom the rounds before this one say beyond doubt that they train on their own data.
pub fn proven(evidence: &[Evidence], round: Round) -> BTreeSet<Miner> {
    let Some(newest) = round.checked_sub(1) else {
        return BTreeSet::new();
    };
    let accounts = accounts(evidence, newest).into_iter();
    accounts
        .filter_map(|(miner, account)| is_sure(account.premium).then_some(miner))
        .collect()
}

/// How the scores of all miners in the evidence came about, as of round `newest`, by uid and hotkey.
pub fn accounts(evidence: &[Evidence], newest: Round) -> BTreeMap<Miner, Account> {
    let known = known(evidence, newest);
    let looked_at: BTreeSet<Round> = known
        .values()
        .flat_map(|parts| parts.keys().copied())
        .collect();
    let premiums: BTreeMap<Miner, f64> = known
        .iter()
        .map(|(miner, parts)| (*miner, premium(parts.values().filter_map(Part::proof))))
        .collect();
    let best = premiums.values().fold(0.0, |best: f64, one| best.max(*one));
    let mut accounts = BTreeMap::new();
    for (miner, parts) in &known {
        let Some(first) = parts.keys().next().copied() else {
            continue;
        };
        let premium = premiums.get(miner).copied().unwrap_or_default();
        let is_new = is_within(first, newest, GRACE_ROUNDS);
        let rounds = looked_at
            .iter()
            .filter(|round| **round >= first && is_within(**round, newest, VALUE_ROUNDS))
            .map(|round| {
                let part = parts.get(round).copied();
                part.unwrap_or_else(|| Part::of(*round, &Outcome::Missed))
            });
        let account = Account {
            first,
            premium,
            is_new,
            factor: factor(premium, best, is_new),
            rounds: rounds.collect(),
            over: 0,
            score: 0.0,
        };
        accounts.insert(*miner, account);
    }
    share_out(&mut accounts);
    accounts
}

/// Scores of all miners in the evidence, as of round `newest`, by uid and hotkey: none is negative, and all together
/// are at most as many as there are rounds to a mean.
pub fn scores(evidence: &[Evidence], newest: Round) -> BTreeMap<Miner, f64> {
    let accounts = accounts(evidence, newest).into_iter();
    accounts
        .map(|(miner, account)| (miner, account.score))
        .collect()
}

/// What evidence says of each miner's rounds. What was logged twice counts once, at its lower value.
fn known(evidence: &[Evidence], newest: Round) -> BTreeMap<Miner, BTreeMap<Round, Part>> {
    let mut known: BTreeMap<Miner, BTreeMap<Round, Part>> = BTreeMap::new();
    for item in evidence.iter().filter(|item| counts(item.round, newest)) {
        let part = Part::of(item.round, &item.outcome);
        let rounds = known.entry((item.uid, item.hotkey)).or_default();
        rounds
            .entry(item.round)
            .and_modify(|known| {
                if part.rank() < known.rank() {
                    *known = part;
                }
            })
            .or_insert(part);
    }
    known
}

/// What a round has to share out.
#[derive(Default)]
struct Pot {
    worth: f64,
    measured: f64,
    unmeasured: f64,
}

/// As far as each gain holds on text that miners do not have.
fn hold(accounts: &mut BTreeMap<Miner, Account>) {
    let mut ratios: BTreeMap<Round, Vec<(f64, f64)>> = BTreeMap::new();
    for account in accounts.values() {
        for part in &account.rounds {
            if let Some(ratio) = unseen::ratio(part.gain, part.unseen) {
                let weight = part.worth() * account.factor;
                ratios.entry(part.round).or_default().push((ratio, weight));
            }
        }
    }
    let usual = |(round, ratios)| Some((round, unseen::usual(ratios)?));
    let usual: BTreeMap<Round, f64> = ratios.into_iter().filter_map(usual).collect();
    for account in accounts.values_mut() {
        for part in &mut account.rounds {
            let ratio = unseen::ratio(part.gain, part.unseen);
            part.holds = unseen::holds(ratio, usual.get(&part.round).copied());
        }
    }
}

/// Shares of each round, and their means.
///
/// A share in the round's sum, and not a ratio to its median: every round then weighs the same, however much or little
/// is still to be gained in it, and whoever holds many seats cannot choose what the others are compared with.
fn share_out(accounts: &mut BTreeMap<Miner, Account>) {
    hold(accounts);
    let mut pots: BTreeMap<Round, Pot> = BTreeMap::new();
    for account in accounts.values() {
        for part in &account.rounds {
            let pot = pots.entry(part.round).or_default();
            pot.worth += part.worth() * part.holds * account.factor;
            match part.found {
                Found::Measured => pot.measured += 1.0,
                Found::Unmeasured => pot.unmeasured += 1.0,
                Found::Missed => {}
            }
        }
    }
    for account in accounts.values_mut() {
        let (mut sum, mut over) = (0.0, 0u32);
        for part in &mut account.rounds {
            if let Some(pot) = pots.get(&part.round).filter(|pot| pot.worth > 0.0) {
                // Who was measured by chance does not have the shares of who was not.
                let there = pot.measured / (pot.measured + pot.unmeasured);
                part.share = part.worth() * part.holds * account.factor / pot.worth * there;
            }
            sum += part.share;
            if part.found != Found::Unmeasured {
                over = over.saturating_add(1);
            }
        }
        account.over = over.max(GRACE_ROUNDS);
        account.score = sum / f64::from(account.over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{
        advice,
        testing::{around, key, measured},
        Advice,
    };
    use alloc::vec;
    use proptest::prelude::*;

    /// With something changed of what was measured.
    fn but(mut evidence: Evidence, change: impl Fn(&mut u32, &mut u16, &mut bool)) -> Evidence {
        if let Outcome::Measured {
            steps,
            alike,
            repeats,
            ..
        } = &mut evidence.outcome
        {
            change(steps, alike, repeats);
        }
        evidence
    }

    fn missed(round: Round, uid: Uid) -> Evidence {
        Evidence {
            outcome: Outcome::Missed,
            ..measured(round, uid, 0.0, 0.0)
        }
    }

    fn miner(uid: Uid) -> Miner {
        (uid, key(uid))
    }

    fn score(evidence: &[Evidence], newest: Round, uid: Uid) -> f64 {
        let found = scores(evidence, newest);
        found.get(&miner(uid)).copied().unwrap_or(0.0)
    }

    /// Two honest miners in rounds 0 to 15.
    fn two() -> Vec<Evidence> {
        let both = |round| [1, 2].map(|uid| measured(round, Uid(uid), 0.2, 0.02));
        (0..16).flat_map(both).collect()
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6
    }

    #[test]
    fn equal_miners_have_equal_shares_and_a_round_is_shared_out_once() {
        assert!(near(score(&two(), 15, Uid(1)), 0.5) && near(score(&two(), 15, Uid(2)), 0.5));
    }

    #[test]
    fn early_rounds_in_which_more_is_gained_weigh_no_more() {
        let of = |round: Round| {
            let gain = 0.6 / (1 + round) as f32;
            // The first one stops after four rounds.
            let one = if round < 4 {
                measured(round, Uid(1), gain, 0.02)
            } else {
                missed(round, Uid(1))
            };
            [one, measured(round, Uid(2), gain, 0.02)]
        };
        let log: Vec<Evidence> = (0..8).flat_map(of).collect();
        assert!(near(score(&log, 7, Uid(1)), 0.25) && near(score(&log, 7, Uid(2)), 0.75));
    }

    #[test]
    fn a_round_of_no_evidence_of_a_miner_counts_as_zero_from_its_first_on() {
        let mut log: Vec<Evidence> = (0..16)
            .map(|round| measured(round, Uid(1), 0.2, 0.02))
            .collect();
        log.extend([0, 8].map(|round| measured(round, Uid(2), 0.2, 0.02)));
        // One round of eight, forever: an eighth of what a round's share is.
        assert!(near(score(&log, 15, Uid(2)), 0.5 / 8.0));
        // Whoever is new is not measured against rounds before it came.
        let late = |round: Round| (round >= 10).then(|| measured(round, Uid(3), 0.2, 0.02));
        log.extend((0..16).filter_map(late));
        assert_eq!(accounts(&log, 15)[&miner(Uid(3))].over, 6);
    }

    #[test]
    fn a_newcomers_first_round_is_not_its_mean() {
        let log = [measured(0, Uid(1), 0.2, 0.02)];
        assert!(near(score(&log, 0, Uid(1)), 0.25));
    }

    #[test]
    fn a_round_that_was_not_looked_at_counts_for_nobody() {
        let log: Vec<Evidence> = two().into_iter().filter(|one| one.round % 2 == 0).collect();
        assert!(near(score(&log, 15, Uid(1)), 0.5));
    }

    #[test]
    fn what_could_not_be_measured_counts_for_nobody() {
        let mut log = two();
        for one in log
            .iter_mut()
            .filter(|one| one.uid == Uid(2) && one.round > 11)
        {
            one.outcome = Outcome::Unmeasured;
        }
        assert!(near(score(&log, 15, Uid(1)), 0.5), "no more than its share");
        assert!(near(score(&log, 15, Uid(2)), 0.5));
        assert_eq!(accounts(&log, 15)[&miner(Uid(2))].over, 4);
    }

    #[test]
    fn who_has_no_premium_has_nothing_once_others_have() {
        let mut log = two();
        log.extend((0..16).map(|round| measured(round, Uid(3), 0.4, 0.0)));
        assert_eq!(score(&log, 15, Uid(3)), 0.0);
        assert!(near(score(&log, 15, Uid(1)), 0.5));
        assert_eq!(
            advice(&accounts(&log, 15)[&miner(Uid(3))]),
            [Advice::Unproven]
        );
    }

    #[test]
    fn a_newcomer_counts_half_before_it_has_proven_anything() {
        let mut log = two();
        log.extend((12..16).map(|round| measured(round, Uid(3), 0.2, 0.0)));
        let account = &accounts(&log, 15)[&miner(Uid(3))];
        assert!(account.is_new && near(account.factor, 0.5));
        assert!(near(account.score, 0.2), "half beside two wholes");
        assert_eq!(advice(account), [Advice::New]);
    }

    #[test]
    fn where_nobody_can_be_told_apart_everybody_has_a_share() {
        let all = |round| [1, 2, 3].map(|uid| measured(round, Uid(uid), 0.2, 0.0));
        let log: Vec<Evidence> = (0..12).flat_map(all).collect();
        for uid in 1..=3 {
            assert!(near(score(&log, 11, Uid(uid)), 1.0 / 3.0));
        }
    }

    #[test]
    fn what_was_logged_twice_counts_at_what_holds_least() {
        let on_text = |found: Option<f32>| {
            let mut one = measured(0, Uid(1), 0.2, 0.02);
            if let Outcome::Measured { unseen, .. } = &mut one.outcome {
                unseen.extend(found.map(around).into_iter().flatten());
            }
            one
        };
        let rising = [Some(-0.2), Some(-0.1), Some(0.0), Some(0.1), None];
        for pair in rising.windows(2) {
            let (low, high) = (on_text(pair[0]), on_text(pair[1]));
            for log in [[low.clone(), high.clone()], [high, low.clone()]] {
                let part = accounts(&log, 0)[&miner(Uid(1))].rounds[0];
                assert_eq!(part.unseen, Part::of(0, &low.outcome).unseen, "{pair:?}");
            }
        }
    }

    #[test]
    fn likes_share_one_score() {
        let mut log = two();
        log.extend(
            (0..16).map(|round| but(measured(round, Uid(3), 0.2, 0.02), |_, alike, _| *alike = 2)),
        );
        log.extend(
            (0..16).map(|round| but(measured(round, Uid(4), 0.2, 0.02), |_, alike, _| *alike = 2)),
        );
        let found = [1, 2, 3, 4].map(|uid| score(&log, 15, Uid(uid)));
        let (whole, half) = (1.0 / 3.0, 1.0 / 6.0);
        for (found, expected) in found.into_iter().zip([whole, whole, half, half]) {
            assert!(near(found, expected));
        }
        assert_eq!(
            advice(&accounts(&log, 15)[&miner(Uid(3))]),
            [Advice::Alike(8)]
        );
    }

    #[test]
    fn what_repeats_the_last_round_is_worth_nothing() {
        let mut log = two();
        log.extend((0..16).map(|round| {
            but(measured(round, Uid(3), 0.9, 0.02), |_, _, repeats| {
                *repeats = true
            })
        }));
        assert_eq!(score(&log, 15, Uid(3)), 0.0);
        assert_eq!(
            advice(&accounts(&log, 15)[&miner(Uid(3))]),
            [Advice::Repeats(8)]
        );
    }

    #[test]
    fn a_gain_counts_as_far_as_steps_were_declared() {
        let mut log = two();
        for one in log.iter_mut().filter(|one| one.uid == Uid(2)) {
            *one = but(one.clone(), |steps, _, _| *steps = 4);
        }
        assert!(near(score(&log, 15, Uid(1)), 2.0 / 3.0));
        assert_eq!(
            advice(&accounts(&log, 15)[&miner(Uid(2))]),
            [Advice::FewSteps(0.5)]
        );
        for one in &mut log {
            *one = but(one.clone(), |steps, _, _| *steps = 99);
        }
        assert!(
            near(score(&log, 15, Uid(1)), 0.5),
            "not beyond a whole round"
        );
    }

    #[test]
    fn evidence_ages_out() {
        let old = [measured(1, Uid(5), 0.2, 0.02)];
        assert_eq!(score(&old, 9, Uid(5)), 0.0);
        assert!(score(&old, 8, Uid(5)) > 0.0);
        assert!(scores(&old, 17).is_empty());
    }

    fn any_evidence() -> impl Strategy<Value = Evidence> {
        let fields = (0u32..20, 0u16..4, -1.0f32..1.0, -0.1f32..0.1, 0u8..8);
        fields.prop_map(|(round, uid, gain, premium, kind)| match kind {
            0 => missed(round, Uid(uid)),
            1 => Evidence {
                outcome: Outcome::Unmeasured,
                ..missed(round, Uid(uid))
            },
            kind => but(
                measured(round, Uid(uid), gain, premium),
                |steps, alike, repeats| {
                    *steps = u32::from(kind);
                    *alike = u16::from(kind / 4 + 1);
                    *repeats = kind == 7;
                },
            ),
        })
    }

    /// A log in which each miner has at most one entry a round.
    fn any_log() -> impl Strategy<Value = Vec<Evidence>> {
        prop::collection::vec(any_evidence(), 1..60).prop_map(|log| {
            let by: BTreeMap<(Round, Uid), Evidence> = log
                .into_iter()
                .map(|one| ((one.round, one.uid), one))
                .collect();
            by.into_values().collect()
        })
    }

    proptest! {
        #[test]
        fn the_order_of_evidence_is_irrelevant(
            (log, shuffled) in prop::collection::vec(any_evidence(), 0..60)
                .prop_flat_map(|log| (Just(log.clone()), Just(log).prop_shuffle()))
        ) {
            prop_assert_eq!(scores(&log, 19), scores(&shuffled, 19));
        }

        #[test]
        fn scores_are_shares(
            log in prop::collection::vec(any_evidence(), 0..60), newest in 0u32..30,
        ) {
            let accounts = accounts(&log, newest);
            for account in accounts.values() {
                prop_assert!((0.0..=1.0 + 1e-9).contains(&account.score));
            }
            let mut rounds: BTreeMap<Round, f64> = BTreeMap::new();
            for part in accounts.values().flat_map(|account| &account.rounds) {
                *rounds.entry(part.round).or_default() += part.share;
            }
            prop_assert!(rounds.values().all(|sum| *sum <= 1.0 + 1e-9));
        }

        #[test]
        fn a_miss_never_raises_a_score(log in any_log(), round in 0u32..20, uid in 0u16..4) {
            prop_assume!(!log.iter().any(|one| (one.round, one.uid) == (round, Uid(uid))));
            let before = score(&log, 19, Uid(uid));
            let with = [log, vec![missed(round, Uid(uid))]].concat();
            prop_assert!(score(&with, 19, Uid(uid)) <= before + 1e-12);
        }

        #[test]
        fn more_gain_never_lowers_a_score(log in any_log(), more in 0.0f32..0.5) {
            let uid = log[0].uid;
            let before = score(&log, 19, uid);
            let mut better = log.clone();
            for one in better.iter_mut().filter(|one| one.uid == uid) {
                if let Outcome::Measured { assigned, unassigned, .. } = &mut one.outcome {
                    assigned.iter_mut().chain(unassigned).for_each(|gain| *gain += more);
                }
            }
            prop_assert!(score(&better, 19, uid) >= before - 1e-3);
        }
    }
}
