//! Where the chain is, as a test looks at it.

use std::collections::BTreeMap;

use cairn_chain::{
    AuditInfo, ContributionInfo, MemberEndpoints, RunInfo, SubnetInfo, ValidatorScores,
};
use cairn_primitives::{
    api::{ScoresCommit, SettledRound},
    BlockNumber, EpochIndex, ModelRoot, Round, Uid, Verdicts, Witness, H256,
};
use cairn_protocol::attestation::Statement;
use cairn_sim::chain::{readers, reads};

use super::node::{told, NETUID};

/// Rounds before the current one that are looked at.
const LOOK_BACK: Round = 8;

/// The scores that a validator sets.
type Scores = Vec<(Uid, u16)>;

/// The chain as of the best block, and what was said in it, with all that waits for the next block and will be in it.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The best block's number.
    pub number: BlockNumber,
    /// The current round there; 0 before the first one.
    pub round: Round,
    pub subnet: Option<SubnetInfo>,
    pub run: Option<RunInfo>,
    pub contributions: BTreeMap<Round, Vec<ContributionInfo>>,
    /// What validators attested.
    pub attested: BTreeMap<Round, BTreeMap<Uid, (Verdicts, ModelRoot)>>,
    /// What they attested to have measured.
    pub witnesses: BTreeMap<Round, BTreeMap<Uid, Witness>>,
    /// What they committed to attest and have not attested.
    pub promised: BTreeMap<Round, BTreeMap<Uid, H256>>,
    pub settled: BTreeMap<Round, SettledRound>,
    /// The scores of each validator that count: those that it revealed last.
    pub scores: BTreeMap<Uid, Scores>,
    /// The same with what they committed to as evidence.
    pub rows: Vec<ValidatorScores>,
    /// Commitments to scores, of the last two epochs.
    pub hidden: Vec<(Uid, ScoresCommit)>,
    /// The number of the next epoch.
    pub epoch: EpochIndex,
    /// The audits that are not over.
    pub audits: Vec<AuditInfo>,
    /// What members named as their endpoints.
    pub endpoints: Vec<MemberEndpoints>,
    /// What was refused, by the pool or in a block.
    pub refused: Vec<String>,
}

impl State {
    /// The run that there has to be.
    pub fn run(&self) -> &RunInfo {
        self.run.as_ref().expect("the subnet has a run")
    }

    pub fn contributions_of(&self, round: Round) -> &[ContributionInfo] {
        self.contributions.get(&round).map_or(&[], Vec::as_slice)
    }

    /// How many validators committed to scores in the current round.
    pub fn hidden_now(&self) -> usize {
        let start = self.run().round.times.start;
        let of_now = self.hidden.iter().filter(|(_, one)| one.at > start);
        of_now.count()
    }

    /// The same with what was said. To be asked where the state after the next block is.
    pub(super) fn soon(mut self) -> State {
        for round in self.round.saturating_sub(LOOK_BACK)..=self.round {
            self.look_at(round);
        }
        self.scores = reads::scores(NETUID);
        self.rows = told(readers::scores(NETUID));
        self.audits = told(readers::open_audits(NETUID));
        self.endpoints = told(readers::endpoints(NETUID));
        for member in readers::members(NETUID) {
            let scoring = readers::voting(NETUID, &member.hotkey).expect("it is a member");
            self.epoch = scoring.epoch;
            let commits = scoring.commits.into_iter();
            self.hidden.extend(commits.map(|one| (member.uid, one)));
        }
        self
    }

    fn look_at(&mut self, round: Round) {
        let made: Vec<ContributionInfo> = told(readers::contributions(NETUID, round));
        if !made.is_empty() {
            self.contributions.insert(round, made);
        }
        for (uid, statement) in reads::statements(NETUID, round) {
            match statement {
                Statement::Committed(hash) => {
                    let promised = self.promised.entry(round).or_default();
                    promised.insert(uid, hash);
                }
                Statement::Attested(said) => {
                    let witnesses = self.witnesses.entry(round).or_default();
                    witnesses.insert(uid, said.witness);
                    let attested = self.attested.entry(round).or_default();
                    attested.insert(uid, (said.verdicts.good, said.model_root));
                }
            }
        }
        if let Some(settled) = readers::settled(NETUID, round) {
            self.settled.insert(round, settled);
        }
    }
}
