//! A chain for the worlds: rounds and epochs run, transactions get lost, blocks are undone.

use std::collections::BTreeMap;

use cairn_primitives::{
    blake2_256, BlockNumber, EpochIndex, ModelRoot, Phase, Round, Uid, Verdicts, H256,
};
use cairn_protocol::phase::{Attesting, Timetable};
use cairn_round::{
    hidden_row::{Committed, HiddenRow, Scoring},
    machine::{Question, Transaction},
    Held, Seen, Settlement, View,
};
use proptest::prelude::*;

use crate::common::{held_at, hotkey, settled, view, PHASES, VALIDATOR};

/// Rounds before the current one whose contributions the chain still has.
const KEPT: Round = 4;
/// Blocks between two epochs.
pub const TEMPO: BlockNumber = 20;
/// Blocks between two commitments to scores.
const RATE_LIMIT: BlockNumber = 3;

/// The chain's state after a block.
#[derive(Clone)]
pub struct State {
    pub number: BlockNumber,
    pub round: Round,
    start: BlockNumber,
    pub contributions: BTreeMap<Uid, Seen>,
    /// What the validator under test committed to, by round.
    pub promises: BTreeMap<Round, H256>,
    /// What it attested, by round.
    pub attestations: BTreeMap<Round, (Verdicts, ModelRoot)>,
    pub settled: BTreeMap<Round, Settlement>,
    /// The root with which each round began.
    pub roots: Vec<ModelRoot>,
    pub epoch: EpochIndex,
    /// All commitments to scores there ever were.
    pub commits: Vec<Committed>,
}

/// What the chain does.
#[derive(Clone, Debug)]
pub enum Turn {
    /// A block comes. It may leave transactions where they are, and what it settles may be a null round.
    Block { takes: bool, includes: bool },
    /// So many more blocks are final.
    Finalize(usize),
    /// So many blocks are undone, but for final ones.
    Reorganize { depth: usize, keeps_pool: bool },
}

/// Turns of a chain on which nothing can be relied upon.
pub fn turn() -> impl Strategy<Value = Turn> {
    let block = |(takes, includes)| Turn::Block { takes, includes };
    let undone = |(depth, keeps_pool)| Turn::Reorganize { depth, keeps_pool };
    prop_oneof![
        12 => (prop::bool::weighted(0.7), any::<bool>()).prop_map(block),
        4 => (1usize..6).prop_map(Turn::Finalize),
        1 => (1usize..6, any::<bool>()).prop_map(undone),
    ]
}

/// The root of the parameters after a round.
pub fn root_after(before: ModelRoot, settlement: &Settlement) -> ModelRoot {
    if settlement.included.is_empty() {
        return before;
    }
    let contents = settlement.included.iter();
    contents.fold(before, |root, one| {
        let content = one.seen.commitment.sealed_root;
        ModelRoot(blake2_256(&[*root.bytes(), *content.bytes()].concat()))
    })
}

impl State {
    fn oldest(&self) -> Round {
        self.round.saturating_sub(KEPT)
    }

    fn next(&self, includes: bool) -> State {
        let mut next = self.clone();
        next.number += 1;
        if next.number >= next.start + PHASES.round() {
            next.settle(includes);
        }
        if next.number >= (next.epoch + 1) * TEMPO {
            next.epoch += 1;
        }
        next
    }

    fn settle(&mut self, includes: bool) {
        let contributions = std::mem::take(&mut self.contributions).into_values();
        let is_included = |seen: &Seen| includes && seen.key.is_some();
        let included: Vec<Seen> = contributions.filter(is_included).collect();
        let settlement = settled(self.round, &included);
        let before = *self.roots.last().expect("the initial one");
        self.roots.push(root_after(before, &settlement));
        self.settled.insert(self.round, settlement);
        self.round += 1;
        self.start = self.number;
        let oldest = self.oldest();
        self.settled.retain(|round, _| *round >= oldest);
    }

    fn take(&mut self, signer: Uid, transaction: &Transaction) {
        let timetable = Timetable::new(self.start, &PHASES);
        let phase = timetable.phase(self.number);
        let attesting = timetable.attesting(self.number);
        match transaction {
            Transaction::Commit(round, commitment)
                if *round == self.round && phase == Phase::Train =>
            {
                self.contributions.entry(signer).or_insert(Seen {
                    uid: signer,
                    hotkey: hotkey(signer),
                    commitment: commitment.clone(),
                    key: None,
                });
            }
            Transaction::Reveal(round, key) if *round == self.round && phase == Phase::Reveal => {
                let seen = self.contributions.get_mut(&signer);
                let opens = |seen: &&mut Seen| seen.commitment.key_hash.0 == *key.expose();
                if let Some(seen) = seen.filter(opens) {
                    seen.key = Some(*key.expose());
                }
            }
            Transaction::CommitAttestation(pledge)
                if pledge.round == self.round && attesting == Attesting::Commit =>
            {
                self.promises.entry(pledge.round).or_insert(pledge.hash);
            }
            Transaction::Attest(pledge)
                if pledge.round == self.round
                    && attesting == Attesting::Open
                    && self.promises.get(&pledge.round) == Some(&pledge.hash) =>
            {
                let attestation = (pledge.verdicts.clone(), pledge.root);
                self.attestations.entry(pledge.round).or_insert(attestation);
            }
            Transaction::CommitScores(hidden_row) => self.commit_scores(hidden_row),
            Transaction::RevealScores(hidden_row) => {
                let is_due = hidden_row.epoch + 1 == self.epoch;
                let commits = self.commits.iter_mut().filter(|_| is_due);
                for commit in commits.filter(|commit| commit.hash == hidden_row.hash) {
                    commit.revealed = true;
                }
            }
            _ => {}
        }
    }

    fn commit_scores(&mut self, hidden_row: &HiddenRow) {
        let (epoch, at) = (self.epoch, self.number);
        let is_late = |commit: &Committed| commit.epoch == epoch && at < commit.at + RATE_LIMIT;
        if hidden_row.epoch != epoch || self.commits.iter().any(is_late) {
            return;
        }
        self.commits.retain(|commit| commit.epoch != epoch);
        self.commits.push(Committed {
            epoch,
            hash: hidden_row.hash,
            at,
            revealed: false,
        });
    }
}

/// All blocks of the present branch, and what waits to be taken into one.
pub struct Chain {
    blocks: Vec<State>,
    finalized: usize,
    pub pool: Vec<(Uid, Transaction)>,
}

impl Chain {
    pub fn new() -> Chain {
        let genesis = State {
            number: 0,
            round: 0,
            start: 0,
            contributions: BTreeMap::new(),
            promises: BTreeMap::new(),
            attestations: BTreeMap::new(),
            settled: BTreeMap::new(),
            roots: vec![held_at(0).root],
            epoch: 0,
            commits: Vec::new(),
        };
        Chain {
            blocks: vec![genesis],
            finalized: 0,
            pool: Vec::new(),
        }
    }

    pub fn best(&self) -> &State {
        self.blocks.last().expect("there is always a block")
    }

    pub fn finalized(&self) -> &State {
        &self.blocks[self.finalized]
    }

    pub fn turn(&mut self, turn: &Turn) {
        match turn {
            Turn::Block { takes, includes } => {
                let mut next = self.best().next(*includes);
                if *takes {
                    for (signer, transaction) in std::mem::take(&mut self.pool) {
                        next.take(signer, &transaction);
                    }
                }
                self.blocks.push(next);
            }
            Turn::Finalize(blocks) => {
                self.finalized = (self.finalized + blocks).min(self.blocks.len() - 1);
            }
            Turn::Reorganize { depth, keeps_pool } => {
                let kept = self.blocks.len().saturating_sub(*depth);
                self.blocks.truncate(kept.max(self.finalized + 1));
                if !keeps_pool {
                    self.pool.clear();
                }
            }
        }
    }

    /// Blocks in which nobody does anything, which all become final.
    pub fn go_on(&mut self, blocks: u32) {
        for _ in 0..blocks {
            self.turn(&Turn::Block {
                takes: true,
                includes: true,
            });
            self.turn(&Turn::Finalize(2));
        }
    }

    /// What the chain says now.
    pub fn answer(&self, question: Question) -> View {
        let best = self.best();
        let mut view = view(best.round, best.start);
        view.round.oldest = best.oldest();
        view.contributions = best.contributions.values().cloned().collect();
        for validator in &mut view.validators {
            validator.attested =
                validator.uid == VALIDATOR && best.attestations.contains_key(&best.round);
            let promise = best.promises.get(&best.round).copied();
            validator.committed = promise.filter(|_| !validator.attested);
        }
        view.settled = question.settled.and_then(|round| self.settlement(round));
        view.voting = question.voting.then(|| self.voting());
        view
    }

    /// The parameters that anybody can have who joins.
    pub fn newest(&self) -> Held {
        let round = self.finalized().round;
        let root = self.finalized().roots[round as usize];
        Held { round, root }
    }

    fn settlement(&self, round: Round) -> Option<Settlement> {
        let finalized = self.finalized();
        let root = |round: Round| finalized.roots.get(round as usize).copied();
        let settlement = finalized.settled.get(&round)?;
        Some(Settlement {
            before: root(round),
            after: root(round + 1).filter(|_| finalized.round > round + 1),
            ..settlement.clone()
        })
    }

    fn voting(&self) -> Scoring {
        let (epoch, commits) = (self.best().epoch, self.best().commits.iter());
        Scoring {
            commit_reveal: true,
            epoch,
            due: (epoch + 1) * TEMPO,
            rate_limit: RATE_LIMIT,
            commits: commits
                .filter(|it| it.epoch + 1 >= epoch)
                .copied()
                .collect(),
        }
    }
}
