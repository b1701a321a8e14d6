//! The training pallet's rules in a hundred lines, with blocks that come when a test says so.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use cairn_chain::{
    AccountId, Block, BlockStream, ChainError, ContributionInfo, Keypair, MemberInfo, RoundInfo,
    RunInfo, SubnetInfo,
};
use cairn_primitives::{
    api::{Attester, LineageEntry, Role, SettledRound, Voting, WeightsCommit},
    assignment::round_seed,
    weights_hash, BlockNumber, EpochIndex, Hyperparameters, Netuid, Phase, Phases, Round,
    RunConfig, Uid, Verdicts, H256,
};
use futures::StreamExt;
use tokio::sync::watch;

use crate::roles::{
    chain::{Answer, Chain, Transaction},
    setup::locked,
};

pub const NETUID: Netuid = 7;
pub const PHASES: Phases = Phases {
    train: 6,
    reveal: 2,
    attest: 4,
};

/// Blocks between two epochs: as many as a round has. They come a block before the reveal phase.
const TEMPO: BlockNumber = 12;
const FIRST_EPOCH: BlockNumber = 6;

/// A test gives up on an event after this.
const PATIENCE: Duration = Duration::from_secs(240);

/// The weights that a validator sets.
pub type Weights = Vec<(Uid, u16)>;

/// The chain after its best block.
#[derive(Clone)]
pub struct State {
    pub config: RunConfig,
    /// Whether there is such a subnet, whether it has a run, since which block, and from which on it is dissolved.
    pub exists: bool,
    pub has_run: bool,
    pub started_at: u32,
    pub dissolves_from: Option<u32>,
    pub number: u32,
    pub round: Round,
    pub start: u32,
    pub oldest: Round,
    pub miners: Vec<(Uid, AccountId)>,
    pub validators: Vec<(Uid, AccountId)>,
    /// The miners of a round, as it began.
    pub slots: BTreeMap<Round, Vec<(Uid, AccountId)>>,
    pub contributions: BTreeMap<Round, Vec<ContributionInfo>>,
    pub attested: BTreeMap<Round, BTreeMap<Uid, (Verdicts, H256)>>,
    pub settled: BTreeMap<Round, SettledRound>,
    /// Weights that were revealed: in which round, by whom, and what.
    pub weights: Vec<(Round, Uid, Weights)>,
    /// Commitments to weights: in which round, by whom, and what.
    pub hidden: Vec<(Round, Uid, WeightsCommit)>,
    /// What was turned away.
    pub refused: Vec<String>,
}

/// A subnet by default rules.
pub fn a_subnet() -> SubnetInfo {
    SubnetInfo {
        netuid: NETUID,
        owner: AccountId([9; 32]),
        created_at: 0,
        members: 2,
        registration_price: 0,
        dissolves_from: None,
        can_be_set_from: None,
        stake: 0,
        bonds: 0,
        has_run: true,
        is_clearing_run: false,
        hyperparameters: Hyperparameters::default(),
    }
}

/// A member with nothing behind it.
pub fn a_member(uid: Uid, hotkey: AccountId) -> MemberInfo {
    MemberInfo {
        uid,
        hotkey,
        coldkey: hotkey,
        role: Role::Miner,
        registered_at: 0,
        stake: 0,
        bond: 0,
        take: 0,
        incentive: 0,
        dividends: 0,
        last_paid: 0,
        earned: 0,
    }
}

/// A run in its round 0, with nobody in it.
pub fn a_run() -> RunInfo {
    let chain = FakeChain::new(super::fixture::config());
    let state = chain.state();
    RunInfo {
        config: state.config.clone(),
        started_at: 1,
        round: state.round_info(0),
        oldest_round: 0,
    }
}

struct Shared {
    states: Mutex<Vec<State>>,
    head: watch::Sender<Block>,
    changes: watch::Sender<u64>,
}

/// A chain whose blocks are final at once.
#[derive(Clone)]
pub struct FakeChain(Arc<Shared>);

fn block(number: u32) -> Block {
    Block {
        number,
        hash: H256::from_low_u64_be(u64::from(number)),
    }
}

impl FakeChain {
    pub fn new(config: RunConfig) -> FakeChain {
        let state = State {
            config,
            exists: true,
            has_run: true,
            started_at: 1,
            dissolves_from: None,
            number: 1,
            round: 0,
            start: 1,
            oldest: 0,
            miners: Vec::new(),
            validators: Vec::new(),
            slots: BTreeMap::new(),
            contributions: BTreeMap::new(),
            attested: BTreeMap::new(),
            settled: BTreeMap::new(),
            weights: Vec::new(),
            hidden: Vec::new(),
            refused: Vec::new(),
        };
        // Blocks 0 and 1 have the same state.
        let states = Mutex::new(vec![state.clone(), state]);
        let (head, changes) = (watch::Sender::new(block(1)), watch::Sender::new(0));
        FakeChain(Arc::new(Shared {
            states,
            head,
            changes,
        }))
    }

    /// The state after the best block.
    pub fn state(&self) -> State {
        locked(&self.0.states)
            .last()
            .cloned()
            .expect("there is a genesis")
    }

    /// Changes the state after the best block.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(
            locked(&self.0.states)
                .last_mut()
                .expect("there is a genesis"),
        );
        self.0.changes.send_modify(|count| *count += 1);
        result
    }

    /// A new block.
    pub fn tick(&self) {
        let number = {
            let mut states = locked(&self.0.states);
            let mut next = states.last().cloned().expect("there is a genesis");
            next.advance();
            states.push(next.clone());
            next.number
        };
        self.0.head.send_replace(block(number));
        self.0.changes.send_modify(|count| *count += 1);
    }

    /// New blocks until the current round is in this phase; settling begins the next round.
    pub fn go_to(&self, phase: Phase) {
        let round = self.state().round;
        for _ in 0..PHASES.round() {
            let state = self.state();
            if state.phase() == phase || state.round != round {
                return;
            }
            self.tick();
        }
    }

    /// Waits until something is so.
    pub async fn until(&self, what: &str, is_so: impl Fn(&State) -> bool) {
        let mut changes = self.0.changes.subscribe();
        let wait = async {
            while !is_so(&self.state()) {
                changes.changed().await.expect("the chain is there");
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!(
                "waited in vain until {what}; refused: {:?}",
                self.state().refused
            );
        }
    }

    fn at(&self, at: H256) -> State {
        let number = at.to_low_u64_be() as usize;
        locked(&self.0.states)
            .get(number)
            .cloned()
            .expect("a block that there was")
    }

    fn stream(&self) -> BlockStream {
        let receiver = self.0.head.subscribe();
        let next = |(mut receiver, first): (watch::Receiver<Block>, bool)| async move {
            if !first {
                receiver.changed().await.ok()?;
            }
            let block = *receiver.borrow_and_update();
            Some((Ok::<_, ChainError>(block), (receiver, false)))
        };
        futures::stream::unfold((receiver, true), next).boxed()
    }
}

impl State {
    pub fn phase(&self) -> Phase {
        PHASES.at(self.start, self.number)
    }

    /// The number of the next epoch.
    pub fn epoch(&self) -> EpochIndex {
        (self.number + TEMPO - FIRST_EPOCH) / TEMPO
    }

    pub fn contributions_of(&self, round: Round) -> &[ContributionInfo] {
        self.contributions.get(&round).map_or(&[], Vec::as_slice)
    }

    /// The root with the most votes and whether two thirds have it.
    fn root_of(&self, round: Round) -> Option<(H256, bool)> {
        let votes = self.attested.get(&round)?;
        let mut counts: BTreeMap<H256, usize> = BTreeMap::new();
        for (_, root) in votes.values() {
            *counts.entry(*root).or_default() += 1;
        }
        let (root, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        Some((root, count * 3 >= votes.len() * 2))
    }

    fn advance(&mut self) {
        if self.number == self.start {
            self.slots
                .entry(self.round)
                .or_insert_with(|| self.miners.clone());
        }
        self.number += 1;
        if self.number < self.start + PHASES.round() {
            return;
        }
        let votes = self.attested.get(&self.round).cloned().unwrap_or_default();
        let root = self.root_of(self.round).filter(|(_, is_final)| *is_final);
        let good = |entry: &&ContributionInfo| {
            let support = votes
                .values()
                .filter(|(good, _)| good.contains(entry.uid))
                .count();
            root.is_some_and(|(root, _)| entry.commitment.parent_root == root)
                && support * 3 >= votes.len() * 2
        };
        let included = self
            .contributions_of(self.round)
            .iter()
            .filter(good)
            .map(|entry| entry.uid);
        let settled = SettledRound {
            round: self.round,
            settled_at: self.number,
            included: included.collect(),
            attesting_stake: votes.len() as u64,
            total_stake: self.validators.len() as u64,
        };
        self.settled.insert(self.round, settled);
        self.round += 1;
        self.start = self.number;
        self.slots.insert(self.round, self.miners.clone());
    }

    fn round_info(&self, round: Round) -> RoundInfo {
        let miners = self.slots.get(&round).unwrap_or(&self.miners).clone();
        let need = self.config.windows_per_miner() * 8;
        let attested = self.attested.get(&round);
        let attester = |(uid, hotkey): &(Uid, AccountId)| Attester {
            uid: *uid,
            hotkey: *hotkey,
            stake: 1,
            attested: attested.is_some_and(|votes| votes.contains_key(uid)),
        };
        RoundInfo {
            round,
            start: self.start,
            phase: self.phase(),
            seed: round_seed(NETUID, round, H256::zero()),
            pass: 0,
            cursor: u64::from(round) * need,
            miners,
            validators: self.validators.iter().map(attester).collect(),
        }
    }

    /// The epoch that a transaction in the next block is before.
    fn next_blocks_epoch(&self) -> EpochIndex {
        (self.number + 1 + TEMPO - FIRST_EPOCH) / TEMPO
    }

    fn take(&mut self, transaction: Transaction, hotkey: AccountId) -> Result<(), String> {
        let in_phase = |phase: Phase, round: Round| {
            // A transaction is in the next block.
            let next = PHASES.at(self.start, self.number + 1);
            let right = next == phase && self.round == round;
            right.then_some(()).ok_or(format!(
                "{transaction:?} in {:?} of {}",
                self.phase(),
                self.round
            ))
        };
        let uid_in = |members: &[(Uid, AccountId)]| {
            members
                .iter()
                .find(|(_, key)| *key == hotkey)
                .map(|(uid, _)| *uid)
        };
        match transaction.clone() {
            Transaction::Commit(round, commitment) => {
                in_phase(Phase::Train, round)?;
                let uid = uid_in(&self.miners).ok_or("commit by a stranger")?;
                let entries = self.contributions.entry(round).or_default();
                if entries.iter().any(|entry| entry.uid == uid) {
                    return Err(format!("uid {uid} committed twice in {round}"));
                }
                let key = None;
                entries.push(ContributionInfo {
                    uid,
                    hotkey,
                    commitment,
                    key,
                    support: 0,
                });
                entries.sort_by_key(|entry| entry.uid);
            }
            Transaction::Reveal(round, key) => {
                in_phase(Phase::Reveal, round)?;
                let entries = self.contributions.entry(round).or_default();
                let entry = entries.iter_mut().find(|entry| entry.hotkey == hotkey);
                let entry = entry.ok_or("reveal without commit")?;
                let hash = cairn_primitives::key_hash(NETUID, round, &hotkey.0, &key);
                if entry.commitment.key_hash != hash {
                    return Err("wrong key".into());
                }
                entry.key = Some(key);
            }
            Transaction::Attest(round, verdicts, root) => {
                in_phase(Phase::Attest, round)?;
                let uid = uid_in(&self.validators).ok_or("attested by a stranger")?;
                let votes = self.attested.entry(round).or_default();
                if votes.insert(uid, (verdicts, root)).is_some() {
                    return Err("attested twice".into());
                }
            }
            Transaction::SetWeights(_) => return Err("weights are hidden".into()),
            Transaction::CommitWeights(ballot) => {
                let uid = uid_in(&self.validators).ok_or("weights by a stranger")?;
                if ballot.epoch != self.next_blocks_epoch() {
                    return Err(format!("{transaction:?} in the wrong epoch"));
                }
                let commit = WeightsCommit {
                    epoch: ballot.epoch,
                    hash: ballot.hash,
                    at: self.number + 1,
                    revealed: false,
                };
                self.hidden.push((self.round, uid, commit));
            }
            Transaction::RevealWeights(ballot) => {
                let uid = uid_in(&self.validators).ok_or("weights by a stranger")?;
                let hash = weights_hash(
                    NETUID,
                    ballot.epoch,
                    &hotkey.0,
                    &ballot.weights,
                    &ballot.salt.0,
                );
                let in_time = ballot.epoch + 1 == self.next_blocks_epoch();
                let open = self
                    .hidden
                    .iter_mut()
                    .find(|(_, by, commit)| *by == uid && commit.hash == hash && !commit.revealed);
                let (_, _, commit) = open
                    .filter(|_| in_time)
                    .ok_or(format!("{transaction:?} at {}", self.number))?;
                commit.revealed = true;
                self.weights.push((self.round, uid, ballot.weights));
            }
        }
        Ok(())
    }
}

impl Chain for FakeChain {
    fn genesis(&self) -> H256 {
        H256([0xc0; 32])
    }

    fn best_blocks(&self) -> BlockStream {
        self.stream()
    }

    fn finalized_blocks(&self) -> BlockStream {
        self.stream()
    }

    async fn block_hash(&self, number: BlockNumber) -> Answer<Option<H256>> {
        Ok(Some(block(number).hash))
    }

    async fn subnet(&self, at: H256, _: Netuid) -> Answer<Option<SubnetInfo>> {
        let state = self.at(at);
        Ok(state.exists.then(|| SubnetInfo {
            has_run: state.has_run,
            dissolves_from: state.dissolves_from,
            ..a_subnet()
        }))
    }

    async fn run(&self, at: H256, _: Netuid) -> Answer<Option<RunInfo>> {
        let state = self.at(at);
        Ok(state.has_run.then(|| RunInfo {
            config: state.config.clone(),
            started_at: state.started_at,
            round: state.round_info(state.round),
            oldest_round: state.oldest,
        }))
    }

    async fn round(&self, at: H256, _: Netuid, round: Round) -> Answer<Option<RoundInfo>> {
        Ok(Some(self.at(at).round_info(round)))
    }

    async fn contributions(
        &self,
        at: H256,
        _: Netuid,
        round: Round,
    ) -> Answer<Vec<ContributionInfo>> {
        Ok(self.at(at).contributions_of(round).to_vec())
    }

    async fn settled(&self, at: H256, _: Netuid, round: Round) -> Answer<Option<SettledRound>> {
        Ok(self.at(at).settled.get(&round).cloned())
    }

    async fn lineage(&self, at: H256, _: Netuid, from: Round) -> Answer<Vec<LineageEntry>> {
        let state = self.at(at);
        let entry = |round: Round| {
            let (state_root, is_final) = state.root_of(round)?;
            Some(LineageEntry {
                round,
                state_root,
                attested_stake: 1,
                attesting_stake: 1,
                total_stake: 1,
                is_final,
            })
        };
        Ok((from..state.round).filter_map(entry).collect())
    }

    async fn member(
        &self,
        at: H256,
        netuid: Netuid,
        hotkey: AccountId,
    ) -> Answer<Option<MemberInfo>> {
        let members = self.members(at, netuid).await?;
        Ok(members.into_iter().find(|member| member.hotkey == hotkey))
    }

    async fn members(&self, at: H256, _: Netuid) -> Answer<Vec<MemberInfo>> {
        let state = self.at(at);
        let member = |(uid, hotkey): &(Uid, AccountId)| a_member(*uid, *hotkey);
        Ok(state
            .miners
            .iter()
            .chain(&state.validators)
            .map(member)
            .collect())
    }

    async fn voting(&self, at: H256, _: Netuid, hotkey: AccountId) -> Answer<Option<Voting>> {
        let state = self.at(at);
        let uid = state.validators.iter().find(|(_, key)| *key == hotkey);
        let uid = uid.map(|(uid, _)| *uid);
        let own = state.hidden.iter().filter(|(_, by, _)| Some(*by) == uid);
        Ok(Some(Voting {
            commit_reveal: true,
            epoch: state.epoch(),
            due: state.epoch() * TEMPO + FIRST_EPOCH,
            rate_limit: 1,
            commits: own.map(|(_, _, commit)| commit.clone()).collect(),
        }))
    }

    async fn submit(&self, _: Netuid, transaction: Transaction, signer: &Keypair) -> Answer<u32> {
        let account = AccountId::of(signer);
        let taken = self.change(|state| {
            let taken = state.take(transaction, account).map(|()| state.number);
            state.refused.extend(taken.as_ref().err().cloned());
            taken
        });
        taken.map_err(|reason| ChainError::Rejected {
            call: "a call".into(),
            account,
            reason,
            remedy: "none",
        })
    }
}
