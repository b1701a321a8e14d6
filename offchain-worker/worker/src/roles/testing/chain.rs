//! The chain that the tests' roles work on: the real runtime, on a thread of its own since its state stays on one.

use std::{
    future::Future,
    pin::pin,
    sync::{
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
        mpsc, Arc, Mutex,
    },
    task::Poll,
    thread,
    time::Duration,
};

use cairn_chain::{
    AccountId, AuditInfo, Block, BlockStream, ChainError, ContributionInfo, Keypair,
    MemberEndpoints, MemberInfo, RoundInfo, RunInfo, SubnetInfo,
};
use cairn_primitives::{
    api::{LineageEntry, Scoring, SettledRound},
    Balance, BlockNumber, Netuid, Phase, Role, Round, RunConfig, H256,
};
use cairn_protocol::phase::{Attesting, Timetable};
use cairn_round::machine::Transaction;
use cairn_sim::chain::{readers, AccountId as Account};
use codec::{Decode, Encode};
use futures::StreamExt;
use tokio::sync::{oneshot, watch};

use super::{
    node::{told, Node, Sent},
    state::State,
};
use crate::roles::chain::{Answer, Chain, Elsewhere};

/// A test gives up on an event after this.
const PATIENCE: Duration = Duration::from_secs(240);

/// What the node's thread is asked to do.
type Job = Box<dyn FnOnce(&mut Node) + Send>;

struct Shared {
    jobs: mpsc::Sender<Job>,
    /// What other nodes say.
    elsewhere: Mutex<Vec<(BlockNumber, RunInfo)>>,
    /// Milliseconds between two blocks by what it says. They come when a test says so, so by a clock they can have come
    /// at any time.
    block_time: AtomicU64,
    /// Blocks that come as soon as somebody asks for the hash of one.
    meanwhile: AtomicU32,
    /// Whether who looks at it waits for ever.
    is_silent: AtomicBool,
    head: watch::Sender<Block>,
    changes: watch::Sender<u64>,
    /// How often the answers that wait were let through, if they wait for that.
    trips: watch::Sender<Option<u32>>,
}

/// A chain in memory whose blocks come when a test says so, and are final at once.
#[derive(Clone)]
pub struct SimChain(Arc<Shared>);

impl SimChain {
    /// A chain without subnets.
    pub fn empty() -> SimChain {
        let (jobs, inbox) = mpsc::channel::<Job>();
        thread::spawn(move || {
            let mut node = Node::new();
            while let Ok(job) = inbox.recv() {
                job(&mut node);
            }
        });
        let genesis = Block {
            number: 0,
            hash: H256::zero(),
        };
        let (head, changes) = (watch::Sender::new(genesis), watch::Sender::new(0));
        let chain = SimChain(Arc::new(Shared {
            jobs,
            elsewhere: Mutex::default(),
            block_time: AtomicU64::new(0),
            meanwhile: AtomicU32::new(0),
            is_silent: AtomicBool::new(false),
            head,
            changes,
            trips: watch::Sender::new(None),
        }));
        chain.act(|_| ());
        chain
    }

    /// A chain with a subnet that has these members, whose uids are in this order, and this run. If there are a miner
    /// and a validator, the best block is the first one of round 0.
    pub fn with_run(config: RunConfig, miners: &[&str], validators: &[&str]) -> SimChain {
        let named = |names: &[&str], role: Role| -> Vec<(String, Role)> {
            let names = names.iter().map(|name| name.to_string());
            names.map(|name| (name, role)).collect()
        };
        let members = [
            named(miners, Role::Miner),
            named(validators, Role::Validator),
        ];
        let chain = SimChain::empty();
        chain.act(move |node| {
            node.found();
            node.register(&members.concat());
            node.start_run(config);
        });
        chain
    }

    /// Has the node do something.
    fn ask<R: Send + 'static>(&self, ask: impl FnOnce(&mut Node) -> R + Send + 'static) -> R {
        let (answer, answered) = mpsc::channel();
        let job: Job = Box::new(move |node: &mut Node| {
            let _ = answer.send(ask(node));
        });
        self.0.jobs.send(job).expect("the node is there");
        answered.recv().expect("the node answers")
    }

    /// Has the node make blocks, and tells of the last one.
    fn act(&self, act: impl FnOnce(&mut Node) + Send + 'static) {
        let best = self.ask(move |node| {
            act(node);
            node.best()
        });
        self.0.head.send_replace(best);
        self.changed();
    }

    fn changed(&self) {
        self.0.changes.send_modify(|count| *count += 1);
    }

    /// From now on another node says that this is the run at its best block, which has this number.
    pub fn elsewhere_is(&self, number: BlockNumber, run: RunInfo) {
        let mut elsewhere = self.0.elsewhere.lock().expect("nobody panicked");
        *elsewhere = vec![(number, run)];
    }

    /// From now on it says that there are so many milliseconds between two blocks.
    pub fn block_time_is(&self, milliseconds: u64) {
        self.0.block_time.store(milliseconds, Ordering::Relaxed);
    }

    /// So many blocks come once somebody has asked for the hash of one: while a worker that begins loads the run.
    pub fn comes_meanwhile(&self, blocks: u32) {
        self.0.meanwhile.store(blocks, Ordering::Relaxed);
    }

    /// From now on who looks at it waits for ever.
    pub fn answers_no_look(&self) {
        self.0.is_silent.store(true, Ordering::Relaxed);
    }

    /// Until a block comes, this node is where it was at this one: as one that is behind.
    pub fn falls_back(&self, number: BlockNumber) {
        let hash = self.ask(move |node| node.hash_of(number));
        let hash = hash.expect("it was made");
        self.0.head.send_replace(Block { number, hash });
        self.changed();
    }

    /// From now on answers wait until [`SimChain::trips`] lets them through.
    pub fn far(&self) {
        self.0.trips.send_replace(Some(0));
    }

    /// Lets all answers through that wait, until nothing more is asked and what was worked for is there: that, and how
    /// often it took.
    pub async fn trips<T>(&self, work: impl Future<Output = T>) -> (T, u32) {
        let mut work = pin!(work);
        let mut trips = 0;
        loop {
            if let Poll::Ready(found) = futures::poll!(work.as_mut()) {
                return (found, trips);
            }
            trips += 1;
            assert!(trips < 100, "it waits for something else");
            let through = |trips: &mut Option<u32>| *trips = trips.map(|trips| trips + 1);
            self.0.trips.send_modify(through);
            tokio::task::yield_now().await;
        }
    }

    /// Waits for an answer to come through.
    async fn trip(&self) {
        let mut trips = self.0.trips.subscribe();
        let is_far = trips.borrow_and_update().is_some();
        if is_far {
            trips.changed().await.expect("the chain is there");
        }
    }

    /// The best block.
    pub fn head(&self) -> Block {
        *self.0.head.borrow()
    }

    /// Where the chain is, and what was said.
    pub fn state(&self) -> State {
        self.ask(Node::state)
    }

    /// A new block.
    pub fn tick(&self) {
        self.act(Node::make);
    }

    /// So many new blocks, of which nobody hears before the last.
    pub fn pass(&self, blocks: u32) {
        self.act(move |node| (0..blocks).for_each(|_| node.make()));
    }

    /// Makes `name` a member, which takes a block.
    pub fn register(&self, name: &str, role: Role) {
        let member = [(name.to_string(), role)];
        self.act(move |node| node.register(&member));
    }

    /// Adds as much to a miner's bond as each has, which takes a block.
    pub fn bond(&self, name: &str) {
        let name = name.to_string();
        self.act(move |node| node.bond(&name));
    }

    /// A miner's bond at the best block, in pebble: what counts, and what is being withdrawn.
    pub fn bond_of(&self, name: &str) -> (Balance, Balance) {
        let name = name.to_string();
        self.ask(move |node| node.bond_of(&name))
    }

    /// Asks for a miner's bond back, which takes a block.
    pub fn unbond(&self, name: &str) {
        let name = name.to_string();
        self.act(move |node| node.unbond(&name));
    }

    /// Starts a run, once nothing is left of the last one.
    pub fn start_run(&self, config: RunConfig) {
        self.act(move |node| node.start_run(config));
    }

    /// Stops the run.
    pub fn stop_run(&self) {
        self.act(Node::stop_run);
    }

    /// Has another run in the place of this one. Nobody hears of the blocks in between.
    pub fn replace_run(&self, config: RunConfig) {
        self.act(move |node| {
            node.stop_run();
            node.start_run(config);
        });
    }

    /// Dissolves the subnet.
    pub fn dissolve(&self) {
        self.act(Node::dissolve);
    }

    /// Sends what this key signs. The answer comes with the block that it is in.
    pub fn send(
        &self,
        netuid: Netuid,
        transaction: Transaction,
        signer: &Keypair,
    ) -> oneshot::Receiver<Sent> {
        let (answer, answered) = oneshot::channel();
        let signer = signer.clone();
        self.ask(move |node| node.submit(netuid, transaction, &signer, answer));
        self.changed();
        answered
    }

    /// New blocks until the current round is in this phase; settling begins the next round.
    pub fn go_to(&self, phase: Phase) {
        let (_, begun) = self.ask(Node::round);
        for _ in begun.times.start..=begun.times.due {
            let (_, now) = self.ask(Node::round);
            if now.phase == phase || now.round != begun.round {
                return;
            }
            self.tick();
        }
    }

    /// New blocks until validators may open what they committed to.
    pub fn go_to_opening(&self) {
        let next = |(number, round): (BlockNumber, RoundInfo)| {
            Timetable(round.times).next_attesting(number)
        };
        while matches!(
            next(self.ask(Node::round)),
            Attesting::NotYet | Attesting::Commit
        ) {
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
            let State {
                number,
                round,
                refused,
                ..
            } = self.state();
            panic!(
                "waited in vain until {what}, at block {number} of round {round}; refused: {refused:?}"
            );
        }
    }

    /// What the state after a block answers.
    async fn read<T: Encode + 'static, U: Decode>(
        &self,
        at: H256,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> Answer<U> {
        self.trip().await;
        let answer = self.ask(move |node| node.read(at, question));
        let answer = answer.ok_or_else(|| ChainError::UnknownBlock {
            url: "the test's own node".into(),
            hash: at,
        })?;
        Ok(U::decode(&mut answer.as_slice()).expect("both have the same SCALE"))
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

impl Chain for SimChain {
    fn genesis(&self) -> H256 {
        H256::zero()
    }

    fn best_blocks(&self) -> BlockStream {
        self.stream()
    }

    fn finalized_blocks(&self) -> BlockStream {
        self.stream()
    }

    async fn block_hash(&self, number: BlockNumber) -> Answer<Option<H256>> {
        self.trip().await;
        let hash = self.ask(move |node| node.hash_of(number));
        let blocks = self.0.meanwhile.swap(0, Ordering::Relaxed);
        if blocks > 0 {
            self.pass(blocks);
        }
        Ok(hash)
    }

    async fn subnet(&self, at: H256, netuid: Netuid) -> Answer<Option<SubnetInfo>> {
        self.read(at, move || readers::subnet(netuid)).await
    }

    async fn run(&self, at: H256, netuid: Netuid) -> Answer<Option<RunInfo>> {
        self.read(at, move || readers::run(netuid)).await
    }

    async fn block_time(&self, at: H256) -> Answer<u64> {
        let said = self.0.block_time.load(Ordering::Relaxed);
        self.read(at, move || said).await
    }

    fn elsewhere(&self, _: Netuid) -> Elsewhere {
        let said = self.0.elsewhere.lock().expect("nobody panicked").clone();
        let said = said.into_iter().map(|(at, run)| (at, Some(run)));
        futures::stream::iter(said).boxed()
    }

    async fn round(&self, at: H256, netuid: Netuid, round: Round) -> Answer<Option<RoundInfo>> {
        self.read(at, move || readers::round(netuid, round)).await
    }

    async fn contributions(
        &self,
        at: H256,
        netuid: Netuid,
        round: Round,
    ) -> Answer<Vec<ContributionInfo>> {
        self.read(at, move || readers::contributions(netuid, round))
            .await
    }

    async fn settled(
        &self,
        at: H256,
        netuid: Netuid,
        round: Round,
    ) -> Answer<Option<SettledRound>> {
        self.read(at, move || readers::settled(netuid, round)).await
    }

    async fn audits(&self, at: H256, netuid: Netuid) -> Answer<Vec<AuditInfo>> {
        if self.0.is_silent.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        self.read(at, move || readers::open_audits(netuid)).await
    }

    async fn endpoints_of(
        &self,
        at: H256,
        netuid: Netuid,
        hotkeys: &[AccountId],
    ) -> Answer<Vec<MemberEndpoints>> {
        let hotkeys: Vec<Account> = told(hotkeys.to_vec());
        self.read(at, move || readers::endpoints_of(netuid, &hotkeys))
            .await
    }

    async fn lineage(&self, at: H256, netuid: Netuid, from: Round) -> Answer<Vec<LineageEntry>> {
        self.read(at, move || readers::lineage(netuid, from)).await
    }

    async fn member(
        &self,
        at: H256,
        netuid: Netuid,
        hotkey: AccountId,
    ) -> Answer<Option<MemberInfo>> {
        let hotkey: Account = told(hotkey);
        self.read(at, move || readers::member(netuid, &hotkey))
            .await
    }

    async fn members(&self, at: H256, netuid: Netuid) -> Answer<Vec<MemberInfo>> {
        self.read(at, move || readers::members(netuid)).await
    }

    async fn voting(&self, at: H256, netuid: Netuid, hotkey: AccountId) -> Answer<Option<Scoring>> {
        let hotkey: Account = told(hotkey);
        self.read(at, move || readers::voting(netuid, &hotkey))
            .await
    }

    async fn submit(
        &self,
        netuid: Netuid,
        transaction: Transaction,
        signer: &Keypair,
    ) -> Answer<BlockNumber> {
        let account = AccountId::of(signer);
        let sent = self.send(netuid, transaction, signer).await;
        sent.expect("the node answers")
            .map_err(|reason| ChainError::Rejected {
                call: "a call".into(),
                account,
                reason,
                remedy: "none",
            })
    }
}
