//! What miners prove of where they trained, by rounds: honest ones, and cheats.

use std::collections::{BTreeMap, BTreeSet};

use cairn_primitives::{Round, Uid};
use cairn_protocol::value::{accounts, factor, Evidence};

use crate::world::{MemberResult, RunResult};

/// Rounds after which is told what was proven.
pub(super) const AFTER: [Round; 7] = [1, 2, 3, 4, 6, 8, 12];

/// Premiums of miners as validators find them, by how many rounds were measured.
#[derive(Clone, Debug, Default)]
pub(super) struct Proofs(BTreeMap<Round, Vec<f64>>);

/// What premiums amount to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Proof {
    /// Their median, in standard errors.
    pub median: f64,
    /// The share of them by which a miner's gains count for something.
    pub counting: f64,
    /// The share of them by which they count in full.
    pub full: f64,
}

impl Proofs {
    /// Adds what the honest validators of a network found of the miners that are meant.
    pub fn note(&mut self, run: &RunResult, is_meant: impl Fn(&MemberResult) -> bool) {
        let members = run.members.iter();
        let meant = members.filter(|member| member.role == "miner" && is_meant(member));
        let meant: BTreeSet<Uid> = meant.filter_map(|member| member.uid).collect();
        for evidence in &run.evidence {
            self.note_evidence(evidence, &meant, run.rounds.len());
        }
    }

    /// Adds what one validator found in so many rounds. The last of them is settled, and not measured yet.
    fn note_evidence(&mut self, evidence: &[Evidence], meant: &BTreeSet<Uid>, rounds: usize) {
        let is_measured = |after: &Round| (*after as usize) < rounds;
        for after in AFTER.into_iter().filter(is_measured) {
            let found = accounts(evidence, after.saturating_sub(1)).into_iter();
            let found = found.filter(|((uid, _), _)| meant.contains(uid));
            let premiums = found.map(|(_, account)| account.premium);
            self.0.entry(after).or_default().extend(premiums);
        }
    }

    /// What they amount to after so many rounds; `None` if there are none.
    pub fn after(&self, rounds: Round) -> Option<Proof> {
        let mut premiums = self.0.get(&rounds)?.clone();
        premiums.sort_by(f64::total_cmp);
        let (low, high) = (premiums.len().checked_sub(1)? / 2, premiums.len() / 2);
        let share = |counts: fn(f64) -> bool| {
            let counting = premiums.iter().filter(|one| counts(proven(**one)));
            counting.count() as f64 / premiums.len() as f64
        };
        Some(Proof {
            median: (premiums.get(low)? + premiums.get(high)?) / 2.0,
            counting: share(|proven| proven > 0.0),
            full: share(|proven| proven >= 1.0),
        })
    }
}

/// Which share of a miner's gains counts by its premium alone: beside somebody who has proven as much as can be, and
/// past the rounds of grace.
fn proven(premium: f64) -> f64 {
    factor(premium, f64::INFINITY, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::{Hotkey, H256};
    use cairn_protocol::value::Outcome;

    /// By how much a miner gained on its own windows is spread evenly around `mean`, on others' around nothing.
    fn measured(round: Round, uid: u16, mean: f32) -> Evidence {
        let spread = |mean: f32| (0..32).map(move |i| mean + (i as f32 - 15.5) / 32.0);
        Evidence {
            round,
            uid: Uid(uid),
            hotkey: Hotkey(H256([uid as u8; 32])),
            outcome: Outcome::Measured {
                steps: 8,
                of: 8,
                alike: 1,
                repeats: false,
                assigned: spread(mean).collect(),
                unassigned: spread(0.0).collect(),
                settled: Vec::new(),
                unseen: Vec::new(),
            },
        }
    }

    #[test]
    fn what_is_proven_grows_with_rounds_and_is_told_of_those_who_are_meant() {
        // One miner gains more on its own windows by a standard error and a half in each round, another one nothing.
        let log = (0..8).flat_map(|round| [measured(round, 1, 0.11), measured(round, 2, 0.0)]);
        let log: Vec<Evidence> = log.collect();
        let of = |uid: u16| {
            let mut proofs = Proofs::default();
            proofs.note_evidence(&log, &[Uid(uid)].into(), 9);
            proofs
        };
        let (honest, cheat) = (of(1), of(2));
        let [first, fourth, eighth] =
            [1, 4, 8].map(|rounds| honest.after(rounds).expect("it was measured"));
        assert!(first.median > 1.0 && first.median < 2.0, "{first:?}");
        assert!((fourth.median - 2.0 * first.median).abs() < 1e-6);
        assert_eq!((first.counting, first.full), (1.0, 0.0));
        assert_eq!((eighth.counting, eighth.full), (1.0, 1.0));
        let nothing = Proof {
            median: 0.0,
            counting: 0.0,
            full: 0.0,
        };
        assert_eq!(cheat.after(8), Some(nothing));
        // A round that is not measured yet shows nothing.
        assert_eq!(honest.after(12), None);
        assert_eq!(Proofs::default().after(1), None);
    }

    #[test]
    fn the_median_of_two_is_between_them() {
        let proofs = Proofs([(2, vec![4.0, 0.5])].into());
        let proof = proofs.after(2).expect("two");
        assert_eq!((proof.median, proof.counting, proof.full), (2.25, 0.5, 0.5));
    }
}
