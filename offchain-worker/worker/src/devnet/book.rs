//! What is known of each round so far. Facts come in no fixed order: the loss when it has been computed, the
//! stake when validators have attested.

use std::collections::BTreeMap;

use cairn_primitives::{
    api::{LineageEntry, SettledRound},
    ModelRoot, Round,
};

use super::report::RoundReport;

/// The rounds of a devnet.
pub struct Book {
    wanted: u32,
    rounds: Vec<Entry>,
    losses: BTreeMap<Round, f64>,
    shown: usize,
    bytes: Vec<u64>,
    /// Whether a round after the wanted ones was settled.
    passed: bool,
}

struct Entry {
    settled: SettledRound,
    seconds: f64,
    /// Root of the parameters after the round, as this program computed it.
    root: ModelRoot,
    lineage: Option<LineageEntry>,
}

impl Book {
    /// A book for this many rounds.
    pub fn new(wanted: u32) -> Book {
        Book {
            wanted,
            rounds: Vec::new(),
            losses: BTreeMap::new(),
            shown: 0,
            bytes: Vec::new(),
            passed: false,
        }
    }

    /// A round was settled, and this is the root of the parameters after it. Rounds come in order; those after
    /// the wanted ones are not written down. `sizes` are those of the included contributions in bytes.
    pub fn settled(&mut self, settled: SettledRound, root: ModelRoot, seconds: f64, sizes: &[u64]) {
        if self.rounds.len() < self.wanted as usize {
            self.bytes.extend_from_slice(sizes);
            self.rounds.push(Entry {
                settled,
                seconds,
                root,
                lineage: None,
            });
        } else {
            self.passed = true;
        }
    }

    /// What the chain says of the parameters with which a round began. An error, if they are not those that
    /// following the run gives.
    pub fn lineage(&mut self, entry: &LineageEntry) -> Result<(), Mismatch> {
        let Some(before) = entry.round.checked_sub(1) else {
            return Ok(());
        };
        let Some(known) = self.rounds.get_mut(before as usize) else {
            return Ok(());
        };
        if entry.is_final && entry.model_root != known.root {
            return Err(Mismatch {
                round: entry.round,
                chain: entry.model_root,
                here: known.root,
            });
        }
        known.lineage = Some(entry.clone());
        Ok(())
    }

    /// The held-out loss of the parameters with which a round began.
    pub fn loss(&mut self, round: Round, loss: f64) {
        self.losses.insert(round, loss);
    }

    /// The oldest round whose parameters' root is not final yet, among the settled ones that were not given yet.
    pub fn first_open(&self) -> Option<Round> {
        let mut unknown = (self.shown..).zip(self.rounds.iter().skip(self.shown));
        let (open, _) = unknown.find(|(_, entry)| !entry.is_final())?;
        Some(open as Round + 1)
    }

    /// Rounds of which everything is known and that were not given before, in order. Where a later round was
    /// settled without this one's root becoming final, it never will.
    pub fn ready(&mut self) -> Vec<RoundReport> {
        let ready: Vec<_> = (self.shown..self.rounds.len())
            .map_while(|round| self.report(round))
            .collect();
        self.shown += ready.len();
        ready
    }

    fn report(&self, index: usize) -> Option<RoundReport> {
        let entry = self.rounds.get(index)?;
        let loss = *self.losses.get(&(index as Round))?;
        let is_last = self.rounds.len() <= index + 1;
        if !entry.is_final() && is_last && !self.passed {
            return None;
        }
        let (attested_stake, total_stake) =
            entry
                .lineage
                .as_ref()
                .map_or((0, entry.settled.total_stake), |lineage| {
                    let agreed = lineage.model_root == entry.root;
                    (
                        if agreed { lineage.attested_stake } else { 0 },
                        lineage.total_stake,
                    )
                });
        Some(RoundReport {
            round: entry.settled.round,
            included: entry.settled.included.clone(),
            model_root: entry.root,
            attested_stake,
            total_stake,
            heldout_loss: loss,
            seconds: entry.seconds,
        })
    }

    /// Whether all wanted rounds are settled, the root of the last one's parameters is final or never will be, and
    /// their loss is known.
    pub fn is_complete(&self) -> bool {
        self.rounds.len() == self.wanted as usize
            && (self.passed || self.rounds.last().is_some_and(Entry::is_final))
            && self.shown == self.rounds.len()
            && self.final_loss().is_some()
    }

    /// Held-out loss of the parameters after the last wanted round.
    pub fn final_loss(&self) -> Option<f64> {
        self.losses.get(&self.wanted).copied()
    }

    /// Reports of all rounds.
    pub fn reports(&self) -> Vec<RoundReport> {
        (0..self.rounds.len())
            .filter_map(|round| self.report(round))
            .collect()
    }

    /// Mean size of the included contributions in bytes; 0 if there are none.
    pub fn bytes_per_contribution(&self) -> u64 {
        let count = self.bytes.len() as u64;
        self.bytes
            .iter()
            .sum::<u64>()
            .checked_div(count)
            .unwrap_or(0)
    }
}

impl Entry {
    fn is_final(&self) -> bool {
        self.lineage.as_ref().is_some_and(|entry| entry.is_final)
    }
}

/// The chain and this program came to different parameters.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("round {round} begins with the parameters {chain:?} on chain, but the settled rounds give {here:?}; keep the logs and the store (--keep) and report it")]
pub struct Mismatch {
    round: Round,
    chain: ModelRoot,
    here: ModelRoot,
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::{Uid, H256};

    const ROOT: ModelRoot = ModelRoot(H256::repeat_byte(1));

    fn settled(round: Round) -> SettledRound {
        SettledRound {
            exam: H256::zero(),
            round,
            settled_at: 9,
            included: vec![Uid(0)],
            trust: vec![u16::MAX],
            proven: vec![],
            attesting_stake: 9,
            total_stake: 10,
        }
    }

    fn entry(round: Round, model_root: ModelRoot, is_final: bool) -> LineageEntry {
        let (attested_stake, attesting_stake, total_stake) = (9, 9, 10);
        LineageEntry {
            round,
            model_root,
            attested_stake,
            attesting_stake,
            total_stake,
            is_final,
            loss: None,
        }
    }

    #[test]
    fn a_round_is_ready_when_all_of_it_is_known() {
        let mut book = Book::new(1);
        book.loss(0, 6.9);
        book.settled(settled(0), ROOT, 1.0, &[10, 20]);
        assert!(book.ready().is_empty());
        assert_eq!(book.first_open(), Some(1));
        book.lineage(&entry(1, ROOT, false)).unwrap();
        assert!(book.ready().is_empty());
        book.lineage(&entry(1, ROOT, true)).unwrap();
        assert_eq!(book.ready().len(), 1);
        assert!(book.ready().is_empty(), "given once");
        assert!(!book.is_complete());
        book.loss(1, 6.5);
        assert!(book.is_complete());
        assert_eq!(book.bytes_per_contribution(), 15);
        assert_eq!(book.reports()[0].attested_stake, 9);
    }

    #[test]
    fn other_parameters_on_chain_are_an_error_once_they_are_final() {
        let mut book = Book::new(1);
        book.settled(settled(0), ROOT, 1.0, &[]);
        assert_eq!(book.lineage(&entry(1, ModelRoot::zero(), false)), Ok(()));
        assert!(book.lineage(&entry(1, ModelRoot::zero(), true)).is_err());
    }

    #[test]
    fn a_round_whose_root_never_became_final_is_shown_with_what_it_has() {
        let mut book = Book::new(2);
        book.loss(0, 6.9);
        book.settled(settled(0), ROOT, 1.0, &[]);
        book.settled(settled(1), ROOT, 1.0, &[]);
        assert_eq!(book.ready()[0].attested_stake, 0);
    }

    #[test]
    fn a_last_round_whose_root_never_became_final_ends_it_all_the_same() {
        let mut book = Book::new(2);
        for round in 0..2 {
            book.loss(round, 6.9);
            book.settled(settled(round), ROOT, 1.0, &[]);
        }
        book.loss(2, 6.5);
        assert_eq!(book.ready().len(), 1);
        assert_eq!(book.first_open(), Some(2));
        assert!(!book.is_complete());
        book.settled(settled(2), ROOT, 1.0, &[]);
        assert_eq!(book.ready().len(), 1);
        assert!(book.is_complete());
        assert_eq!((book.first_open(), book.reports().len()), (None, 2));
    }

    #[test]
    fn rounds_after_the_wanted_ones_are_not_written_down() {
        let mut book = Book::new(1);
        book.settled(settled(0), ROOT, 1.0, &[]);
        book.settled(settled(1), ModelRoot::zero(), 1.0, &[5]);
        assert_eq!((book.rounds.len(), book.bytes_per_contribution()), (1, 0));
        assert!(book.reports().is_empty(), "its loss is not known");
    }
}
