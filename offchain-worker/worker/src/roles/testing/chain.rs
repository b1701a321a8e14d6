//! A chain by the protocol's rules, with blocks that come when a test says so.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use cairn_chain::{
    AccountId, AuditInfo, Block, BlockStream, ChainError, ContributionInfo, Keypair,
    MemberEndpoints, MemberInfo, RoundInfo, RunInfo, SubnetInfo,
};
use cairn_primitives::{
    api::{Attester, Duty, LineageEntry, ScoresCommit, Scoring, SettledRound},
    scores_hash, BlockNumber, Commitment, ContributionKey, EpochIndex, Hyperparameters, ModelRoot,
    Netuid, Phase, Phases, Role, Round, RunConfig, Text, Uid, Verdicts, H256,
};
use cairn_protocol::{
    assignment::round_seed,
    attestation::{self, Attestation, Statement, Tally},
    commitment::{self, Contribution},
    eligibility::member_of,
    endpoint,
    exam::exam,
    lineage::Ancestor,
    phase::{Attesting, Timetable},
    settlement::settle,
};
use cairn_round::{hidden_row::HiddenRow, machine::Transaction, pledge::Pledge};
use futures::StreamExt;
use tokio::sync::watch;

use crate::roles::{
    chain::{Answer, Chain},
    setup::locked,
};

pub const NETUID: Netuid = Netuid(7);
pub const PHASES: Phases = Phases {
    train: 6,
    reveal: 2,
    // Long enough for files to be opened before the machine's deadline, though blocks come in no time.
    attest: 8,
    floor: 100,
};

/// Blocks between two epochs: as many as a round has. They come a block before the reveal phase.
const TEMPO: BlockNumber = 16;
const FIRST_EPOCH: BlockNumber = 6;

/// A test gives up on an event after this.
const PATIENCE: Duration = Duration::from_secs(240);

/// What each validator's attestation counts.
const STAKE: u64 = 1;

/// Members and their keys.
type Members = Vec<(Uid, AccountId)>;

/// The scores that a validator sets.
pub type Scores = Vec<(Uid, u16)>;

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
    pub miners: Members,
    pub validators: Members,
    /// The miners and validators of a round, as it began.
    pub snapshots: BTreeMap<Round, (Members, Members)>,
    /// Incentive of the last epoch, of 65,535; none where nothing is said.
    pub incentives: BTreeMap<Uid, u16>,
    pub contributions: BTreeMap<Round, Vec<ContributionInfo>>,
    pub attested: BTreeMap<Round, BTreeMap<Uid, (Verdicts, ModelRoot)>>,
    /// What validators attested to have measured.
    pub witnesses: BTreeMap<Round, BTreeMap<Uid, H256>>,
    /// What validators committed to attest.
    pub promised: BTreeMap<Round, BTreeMap<Uid, H256>>,
    pub settled: BTreeMap<Round, SettledRound>,
    pub lineage: BTreeMap<Round, Ancestor>,
    /// The root that the present round's parameters must have, where the chain knows it.
    pub expected: Option<ModelRoot>,
    /// Scores that were revealed: in which round, by whom, and what.
    pub scores: Vec<(Round, Uid, Scores)>,
    /// What members named as their endpoints, and when.
    pub endpoints: BTreeMap<Uid, (Vec<Text>, BlockNumber)>,
    /// Commitments to scores: in which round, by whom, and what.
    pub hidden: Vec<(Round, Uid, ScoresCommit)>,
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
        announced: None,
    }
}

/// A member with nothing behind it.
pub fn a_member(uid: Uid, hotkey: AccountId) -> MemberInfo {
    MemberInfo {
        uid,
        hotkey,
        coldkey: hotkey,
        role: Duty::Miner,
        chosen_role: Role::Miner,
        role_can_be_set_from: None,
        takes_foreign_stake: true,
        swap: None,
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
        absent: Vec::new(),
        unawaited: Vec::new(),
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
            expected: Some(config.initial_root),
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
            snapshots: BTreeMap::new(),
            incentives: BTreeMap::new(),
            lineage: BTreeMap::new(),
            contributions: BTreeMap::new(),
            attested: BTreeMap::new(),
            witnesses: BTreeMap::new(),
            promised: BTreeMap::new(),
            settled: BTreeMap::new(),
            scores: Vec::new(),
            endpoints: BTreeMap::new(),
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

    /// New blocks until validators may open what they committed to.
    pub fn go_to_opening(&self) {
        let is_next =
            |state: State| state.timetable().next_attesting(state.number) == Attesting::Open;
        while !is_next(self.state()) && self.state().phase() != Phase::Settle {
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
    fn timetable(&self) -> Timetable {
        Timetable::new(self.start, &PHASES)
    }

    pub fn phase(&self) -> Phase {
        self.timetable().phase(self.number)
    }

    /// The number of the next epoch.
    pub fn epoch(&self) -> EpochIndex {
        (self.number + TEMPO - FIRST_EPOCH) / TEMPO
    }

    pub fn contributions_of(&self, round: Round) -> &[ContributionInfo] {
        self.contributions.get(&round).map_or(&[], Vec::as_slice)
    }

    /// The members of a round, as it began.
    fn members_of(&self, round: Round) -> (&Members, &Members) {
        match self.snapshots.get(&round) {
            Some((miners, validators)) => (miners, validators),
            None => (&self.miners, &self.validators),
        }
    }

    /// What a miner committed to in a round, as the rules have it.
    fn contribution(&self, round: Round, uid: Uid) -> Option<Contribution<AccountId>> {
        let mut entries = self.contributions_of(round).iter();
        let entry = entries.find(|entry| entry.uid == uid)?;
        Some(Contribution {
            hotkey: entry.hotkey,
            commitment: entry.commitment.clone(),
            key: entry.key,
        })
    }

    fn tally(&self, round: Round) -> Tally {
        let (_, validators) = self.members_of(round);
        let mut tally = Tally::new(validators.iter().map(|_| STAKE));
        let revealed = self.contributions_of(round).iter();
        for entry in revealed.filter(|entry| entry.key.is_some()) {
            tally.reveal(entry.uid).expect("there is room");
        }
        for (verdicts, root) in self
            .attested
            .get(&round)
            .into_iter()
            .flat_map(|a| a.values())
        {
            let attestation = Attestation {
                model_root: *root,
                verdicts: verdicts.clone(),
                witness: H256::zero(),
                salt: [0; 32],
            };
            tally.add(&attestation, STAKE).expect("there is room");
        }
        tally
    }

    fn note_members(&mut self) {
        let members = || (self.miners.clone(), self.validators.clone());
        self.snapshots.entry(self.round).or_insert_with(members);
    }

    fn advance(&mut self) {
        if self.number == self.start {
            self.note_members();
        }
        self.number += 1;
        if self.number < self.timetable().due() {
            return;
        }
        let (round, tally) = (self.round, self.tally(self.round));
        let settled = settle(
            &tally,
            self.expected,
            self.config.max_contributors,
            |uid| self.contribution(round, uid),
            |uid| self.incentives.get(&uid).copied().unwrap_or(0),
        );
        let included = settled.included.iter().map(|one| one.uid).collect();
        let trust = settled.included.iter().map(|one| one.trust).collect();
        self.expected = settled.expected;
        self.lineage.insert(round, settled.ancestor);
        let ended = SettledRound {
            round,
            settled_at: self.number,
            included,
            trust,
            exam: exam(NETUID, round, H256::zero()),
            attesting_stake: tally.attesting_stake,
            total_stake: tally.total_stake,
        };
        self.settled.insert(round, ended);
        self.round += 1;
        self.start = self.number;
        self.note_members();
    }

    fn round_info(&self, round: Round) -> RoundInfo {
        let (miners, validators) = self.members_of(round);
        let need = self.config.windows_per_miner() * 8;
        let attested = self.attested.get(&round);
        let attester = |(uid, hotkey): &(Uid, AccountId)| Attester {
            uid: *uid,
            hotkey: *hotkey,
            stake: STAKE,
            committed: self.promise(round, *uid),
            attested: attested.is_some_and(|votes| votes.contains_key(uid)),
        };
        RoundInfo {
            round,
            times: self.timetable().0,
            phase: self.phase(),
            seed: round_seed(NETUID, round, H256::zero()),
            pass: 0,
            cursor: u64::from(round) * need,
            miners: miners.clone(),
            validators: validators.iter().map(attester).collect(),
        }
    }

    /// What a validator has committed to attest and not attested yet.
    fn promise(&self, round: Round, uid: Uid) -> Option<H256> {
        let attested = self.attested.get(&round);
        let promise = self.promised.get(&round)?.get(&uid).copied();
        promise.filter(|_| !attested.is_some_and(|votes| votes.contains_key(&uid)))
    }

    /// The epoch that a transaction in the next block is before.
    fn next_blocks_epoch(&self) -> EpochIndex {
        (self.number + 1 + TEMPO - FIRST_EPOCH) / TEMPO
    }

    /// Takes a transaction into the next block, or says why not.
    fn take(&mut self, transaction: Transaction, hotkey: AccountId) -> Result<(), String> {
        let what = format!("{transaction:?} in {:?} of {}", self.phase(), self.round);
        let taken = match transaction {
            Transaction::Commit(round, commitment) => self.commit(round, hotkey, commitment),
            Transaction::Reveal(round, key) => self.reveal(round, hotkey, *key.expose()),
            Transaction::CommitAttestation(pledge) => self.commit_attestation(hotkey, pledge),
            Transaction::Attest(pledge) => self.attest(hotkey, pledge),
            Transaction::Here(_) => Err("nobody is missed here".into()),
            Transaction::SetEndpoints(endpoints) => self.set_endpoints(hotkey, endpoints),
            Transaction::OpenAudit(..)
            | Transaction::CommitVerdict(_)
            | Transaction::RevealVerdict(_) => Err("nothing is audited here".into()),
            Transaction::SetScores(..) => Err("scores are hidden".into()),
            Transaction::CommitScores(hidden_row) => self.hide_scores(hotkey, hidden_row),
            Transaction::RevealScores(hidden_row) => self.reveal_scores(hotkey, hidden_row),
        };
        taken.map_err(|reason| format!("{what}: {reason}"))
    }

    /// The phase in which a transaction finds itself that is sent now.
    fn next_phase(&self) -> Phase {
        self.timetable().next_phase(self.number)
    }

    fn ensure_current(&self, round: Round) -> Result<(), String> {
        let is_current = round == self.round;
        is_current.then_some(()).ok_or("another round".into())
    }

    fn commit(&mut self, round: Round, who: AccountId, made: Commitment) -> Result<(), String> {
        self.ensure_current(round)?;
        let uid = uid_in(self.members_of(round).0, who)?;
        let known = self.contribution(round, uid);
        let made = commitment::commit(self.next_phase(), known.as_ref(), who, made, u64::MAX)
            .map_err(|refusal| format!("{refusal:?}"))?;
        let entries = self.contributions.entry(round).or_default();
        entries.push(ContributionInfo {
            uid,
            hotkey: made.hotkey,
            commitment: made.commitment,
            key: made.key,
            support: 0,
        });
        entries.sort_by_key(|entry| entry.uid);
        Ok(())
    }

    fn reveal(&mut self, round: Round, who: AccountId, key: ContributionKey) -> Result<(), String> {
        self.ensure_current(round)?;
        let uid = uid_in(self.members_of(round).0, who)?;
        let known = self.contribution(round, uid);
        let made = commitment::reveal(
            self.next_phase(),
            known,
            (NETUID, round, &who.hotkey()),
            key,
        )
        .map_err(|refusal| format!("{refusal:?}"))?;
        let entries = self.contributions.entry(round).or_default();
        for entry in entries.iter_mut().filter(|entry| entry.uid == uid) {
            entry.key = made.key;
        }
        Ok(())
    }

    fn commit_attestation(&mut self, who: AccountId, pledge: Pledge) -> Result<(), String> {
        self.ensure_current(pledge.round)?;
        let uid = uid_in(self.members_of(pledge.round).1, who)?;
        let attesting = self.timetable().next_attesting(self.number);
        let promised = self.promised.entry(pledge.round).or_default();
        let known = promised.get(&uid).map(|hash| Statement::Committed(*hash));
        attestation::commit(attesting, known.as_ref(), pledge.hash)
            .map_err(|refusal| format!("{refusal:?}"))?;
        promised.insert(uid, pledge.hash);
        Ok(())
    }

    fn attest(&mut self, who: AccountId, pledge: Pledge) -> Result<(), String> {
        let round = pledge.round;
        self.ensure_current(round)?;
        let uid = uid_in(self.members_of(round).1, who)?;
        let attesting = self.timetable().next_attesting(self.number);
        let known = self.promise(round, uid).map(Statement::Committed);
        let said = Attestation {
            model_root: pledge.root,
            verdicts: pledge.verdicts.clone(),
            witness: pledge.witness,
            salt: *pledge.salt.expose(),
        };
        attestation::check(
            attesting,
            known.as_ref(),
            (NETUID, round, &who.hotkey()),
            &said,
        )
        .map_err(|refusal| format!("{refusal:?}"))?;
        let attested = self.attested.entry(round).or_default();
        attested.insert(uid, (pledge.verdicts, pledge.root));
        let witnesses = self.witnesses.entry(round).or_default();
        witnesses.insert(uid, pledge.witness);
        Ok(())
    }

    fn set_endpoints(&mut self, who: AccountId, endpoints: Vec<Text>) -> Result<(), String> {
        let uid = self.seat_of(who).ok_or("a stranger")?;
        let set_at = self.endpoints.get(&uid).map(|(_, block)| *block);
        let lands = self.number.saturating_add(1);
        endpoint::set(&endpoints, set_at, lands).map_err(|refusal| format!("{refusal:?}"))?;
        self.endpoints.insert(uid, (endpoints, lands));
        Ok(())
    }

    fn seat_of(&self, who: AccountId) -> Option<Uid> {
        let mut members = self.miners.iter().chain(&self.validators);
        members.find(|(_, key)| *key == who).map(|(uid, _)| *uid)
    }

    fn hide_scores(&mut self, who: AccountId, hidden_row: HiddenRow) -> Result<(), String> {
        let uid = uid_in(&self.validators, who)?;
        if hidden_row.epoch != self.next_blocks_epoch() {
            return Err("the wrong epoch".into());
        }
        let commit = ScoresCommit {
            epoch: hidden_row.epoch,
            hash: hidden_row.hash,
            at: self.number + 1,
            revealed: false,
        };
        self.hidden.push((self.round, uid, commit));
        Ok(())
    }

    fn reveal_scores(&mut self, who: AccountId, hidden_row: HiddenRow) -> Result<(), String> {
        let uid = uid_in(&self.validators, who)?;
        if hidden_row.epoch + 1 != self.next_blocks_epoch() {
            return Err("the wrong epoch".into());
        }
        let (salt, scores) = (hidden_row.salt.expose(), &hidden_row.scores);
        let hash = scores_hash(NETUID, hidden_row.epoch, &who.hotkey(), scores, salt);
        let is_it = |commit: &ScoresCommit| commit.hash == hash && !commit.revealed;
        let mut hidden = self.hidden.iter_mut();
        let commit = hidden.find(|(_, by, commit)| *by == uid && is_it(commit));
        commit.ok_or("it was not committed to")?.2.revealed = true;
        self.scores.push((self.round, uid, hidden_row.scores));
        Ok(())
    }
}

fn uid_in(members: &Members, who: AccountId) -> Result<Uid, String> {
    let members = members.iter().map(|(uid, key)| (*uid, key));
    member_of(members, &Verdicts::default(), &who).ok_or("a stranger".into())
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
            absent: Vec::new(),
            unawaited: Vec::new(),
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

    async fn audits(&self, _: H256, _: Netuid) -> Answer<Vec<AuditInfo>> {
        Ok(Vec::new())
    }

    async fn endpoints_of(
        &self,
        at: H256,
        _: Netuid,
        hotkeys: &[AccountId],
    ) -> Answer<Vec<MemberEndpoints>> {
        let state = self.at(at);
        let of = |hotkey: &AccountId| {
            let uid = state.seat_of(*hotkey)?;
            let named = state.endpoints.get(&uid);
            Some(MemberEndpoints {
                uid,
                hotkey: *hotkey,
                endpoints: named.map_or_else(Vec::new, |(endpoints, _)| endpoints.clone()),
                set_at: named.map(|(_, block)| *block),
            })
        };
        Ok(hotkeys.iter().filter_map(of).collect())
    }

    async fn lineage(&self, at: H256, _: Netuid, from: Round) -> Answer<Vec<LineageEntry>> {
        let state = self.at(at);
        let entry = |round: Round| {
            let ancestor = state.lineage.get(&round)?;
            Some(LineageEntry {
                round,
                model_root: ancestor.model_root,
                attested_stake: ancestor.attested_stake,
                attesting_stake: ancestor.attesting_stake,
                total_stake: ancestor.total_stake,
                is_final: ancestor.is_final,
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

    async fn voting(&self, at: H256, _: Netuid, hotkey: AccountId) -> Answer<Option<Scoring>> {
        let state = self.at(at);
        let uid = state.validators.iter().find(|(_, key)| *key == hotkey);
        let uid = uid.map(|(uid, _)| *uid);
        let own = state.hidden.iter().filter(|(_, by, _)| Some(*by) == uid);
        Ok(Some(Scoring {
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
            let taken = state.take(transaction, account).map(|()| state.number + 1);
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
