//! The miner: trains on what the chain assigns to it and contributes the difference.

mod make;
mod round_job;
mod sendable;
mod settle;
mod view;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use cairn_chain::{AccountId, Client, Keypair, Patience, RunInfo, Settings};
use cairn_primitives::{BlockNumber, Netuid, Round};
use cairn_round::miner::{Action, Event, Intent, Miner};
use cairn_trainer::engine::{Device, Engine};
use tokio::{sync::watch, task::JoinSet};

use self::{
    make::Memory,
    round_job::{system_clock, Clock, Control, Order, Timing},
};
use super::{
    chain::{Chain, Transaction},
    heads::{HeadFollower, Heads},
    held::Held,
    idle,
    join::join,
    ledger::Ledger,
    progress::{Progress, Reporter},
    run::Run,
    setup::{begin, open_engine, save_weights, stopped, Common, Setup, SharedState},
    state::{Open, StatePlace},
    waiting::{why_no_run, Said},
    RoleError, Status,
};

/// How a miner behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// Trains.
    #[default]
    Honest,
    /// Contributes well-formed random values without training: what a network has to stand. For tests of
    /// networks.
    Cheat,
}

/// What a miner is told.
pub struct MinerOptions {
    /// The node.
    pub node_url: String,
    /// The subnet.
    pub netuid: Netuid,
    /// The key that signs the miner's work.
    pub hotkey: Keypair,
    /// The store, unless the run names one.
    pub store_url: String,
    /// Where the miner keeps what must survive.
    pub state: StatePlace,
    /// Where to train.
    pub device: Device,
    /// Threads to compute with.
    pub threads: usize,
    /// Whether progress is JSON on standard output.
    pub json: bool,
    /// Becomes true when the miner is to stop.
    pub shutdown: watch::Receiver<bool>,
    /// How it behaves.
    pub behaviour: Behaviour,
}

/// How long transactions may take to get into a block: a commit that takes longer is looked for and sent again.
pub(super) fn connection_settings() -> Settings {
    Settings {
        inclusion: std::time::Duration::from_secs(20),
        ..Settings::default()
    }
}

/// Mines until it is told to stop.
///
/// # Errors
/// What cannot be waited out; see [`RoleError`]. Nothing is lost: starting again goes on from the disk.
pub async fn run(options: MinerOptions) -> Result<(), RoleError> {
    let mut shutdown = options.shutdown.clone();
    let chain = tokio::select! {
        () = stopped(&mut shutdown) => return Ok(()),
        chain = Client::connect_with(
            &options.node_url,
            connection_settings(),
            Patience::default(),
        ) => chain?,
    };
    mine(chain, options, system_clock()).await
}

/// Mines on any chain, by any clock.
pub(super) async fn mine<C: Chain>(
    chain: C,
    options: MinerOptions,
    clock: Clock,
) -> Result<(), RoleError> {
    let mut shutdown = options.shutdown.clone();
    let common = Common {
        netuid: options.netuid,
        hotkey: options.hotkey.clone(),
        store_url: options.store_url.clone(),
        state: options.state.clone(),
        reporter: Reporter { json: options.json },
    };
    loop {
        let setup = tokio::select! {
            () = stopped(&mut shutdown) => return Ok(()),
            setup = begin(chain.clone(), &common) => setup?,
        };
        let (mut worker, mut follower) = Worker::new(setup, &options, clock.clone())?;
        let result = tokio::select! {
            () = stopped(&mut shutdown) => Ok(()),
            result = worker.work(&mut follower) => result,
        };
        worker.control.abandon();
        match result {
            Err(error) if common.begins_again(&error) => common.say_another_run(&error),
            result => return result,
        }
    }
}

/// What a job brought.
enum Done {
    Trained(Box<round_job::Trained>),
    NothingTrained(Round),
    Settled(Box<settle::Settled>),
    NotSettled(Round),
    Joined(Held),
    NotJoined,
    /// The block that has the transaction, if one has.
    Submitted(Option<BlockNumber>),
}

impl Done {
    /// Whether something may follow at once, seen from block `now`. What failed is tried again with the next
    /// block, and so is what went into a block that has not been seen yet.
    fn is_news(&self, now: BlockNumber) -> bool {
        match self {
            Done::NotSettled(_) | Done::NotJoined => false,
            Done::Submitted(block) => block.is_some_and(|block| block <= now),
            _ => true,
        }
    }
}

type Job = Result<Done, RoleError>;

struct Worker<C> {
    chain: C,
    run: Arc<Run>,
    key: Keypair,
    behaviour: Behaviour,
    state: SharedState,
    heads: Heads,
    info: RunInfo,
    machine: Miner,
    held: Held,
    memory: Memory,
    open: Option<Arc<Open>>,
    trainer: Arc<Mutex<Engine>>,
    control: Arc<Control>,
    timing: Arc<Timing>,
    jobs: JoinSet<Job>,
    ledger: Ledger,
    status: Status,
    directory: PathBuf,
    reporter: Reporter,
    idle: Said,
    waiting: Said,
}

impl<C: Chain> Worker<C> {
    fn new(
        setup: Setup<C>,
        options: &MinerOptions,
        clock: Clock,
    ) -> Result<(Worker<C>, HeadFollower), RoleError> {
        let Setup {
            chain,
            follower,
            heads,
            info,
            run,
            state,
            directory,
            held,
            saved,
        } = setup;
        let saved = saved.unwrap_or_else(|| super::state::Saved {
            round: held.round,
            root: held.root,
            theta: Vec::new(),
            adam: None,
            feedback: None,
            open: None,
            last: None,
            ballots: Vec::new(),
        });
        let ledger = Ledger::open(&directory, saved.last.as_ref())?;
        let status = Status {
            role: "miner".into(),
            uid: None,
            hotkey: run.hotkey,
            netuid: run.netuid,
            block: heads.best.number,
            round: held.round,
            state_root: held.root,
            loss: None,
            rounds_committed: ledger.committed,
            rounds_included: ledger.included,
            idle: None,
        };
        let intent = saved.open.as_ref().map(|open| Intent {
            round: open.round,
            commitment: open.commitment.clone(),
            key: open.key,
        });
        let worker = Worker {
            machine: Miner::new(held.round, intent),
            memory: Memory::new(saved.adam, saved.feedback, run.layout.parameters()),
            open: saved.open.map(Arc::new),
            trainer: Arc::new(Mutex::new(open_engine(
                options.device,
                &run,
                options.threads,
            )?)),
            control: Arc::default(),
            timing: Arc::new(Timing::new(clock, heads.best.number)),
            jobs: JoinSet::new(),
            directory,
            reporter: Reporter { json: options.json },
            idle: Said::default(),
            waiting: Said::default(),
            key: options.hotkey.clone(),
            behaviour: options.behaviour,
            chain,
            run,
            state,
            heads,
            info,
            held,
            ledger,
            status,
        };
        Ok((worker, follower))
    }

    async fn work(&mut self, follower: &mut HeadFollower) -> Result<(), RoleError> {
        let mut news = true;
        loop {
            if news {
                match self.look().await {
                    Err(error) if error.is_transient() => tracing::warn!("{error}"),
                    result => result?,
                }
            }
            tokio::select! {
                Some(done) = self.jobs.join_next() => news = self.ended(done??)?,
                heads = follower.next() => {
                    news = true;
                    self.heads = heads?;
                    self.timing.block(self.heads.best.number);
                }
            }
        }
    }

    /// Looks at the chain and does what follows.
    async fn look(&mut self) -> Result<(), RoleError> {
        let now = self.heads.best.number;
        let Some((info, view)) = self.view().await? else {
            return self.without_run(now).await;
        };
        self.waiting.clear();
        self.info = info;
        match view.slot {
            Some(_) => self.takes_part(),
            None => self.say_why_idle(now).await?,
        }
        for action in self.step(Event::Chain(view), now) {
            self.act(action);
        }
        self.status.block = now;
        self.status.write(&self.directory)
    }

    /// The run has gone: ends where waiting for another would be in vain, and says what is waited for else.
    async fn without_run(&mut self, now: BlockNumber) -> Result<(), RoleError> {
        self.control.abandon();
        let reason = why_no_run(&self.chain, self.heads, self.run.netuid, true).await?;
        if self.waiting.is_due(&reason, now) {
            self.reporter.say(&Progress::Waiting { block: now, reason });
        }
        Ok(())
    }

    fn takes_part(&mut self) {
        self.idle.clear();
        self.status.idle = None;
    }

    async fn say_why_idle(&mut self, now: BlockNumber) -> Result<(), RoleError> {
        let (at, part) = (self.heads.best.hash, idle::Part::Miner);
        let reason = idle::ask(&self.chain, at, now, &self.run, (&self.info, part)).await?;
        let round = self.info.round.round;
        if self.idle.is_due(&format!("{round} {reason}"), now) {
            let reason = reason.clone();
            self.reporter.say(&Progress::Idle { round, reason });
        }
        self.status.idle = Some(reason);
        Ok(())
    }

    fn step(&mut self, event: Event, now: u32) -> Vec<Action> {
        let (machine, actions) = self.machine.clone().step(event, now);
        self.machine = machine;
        actions
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Train {
                round,
                slot,
                deadline,
            } => self.train(round, slot, deadline),
            Action::FinishTraining => self.control.finish(),
            Action::AbandonTraining => self.control.abandon(),
            Action::Commit(intent) => {
                let said = Progress::Committed {
                    round: intent.round,
                    sealed_root: intent.commitment.sealed_root,
                };
                self.submit(Transaction::Commit(intent.round, intent.commitment), said);
            }
            Action::Reveal { round, key } => {
                self.submit(
                    Transaction::Reveal(round, key),
                    Progress::Revealed { round },
                );
            }
            Action::Settle {
                settlement,
                put_back,
            } => self.settle(settlement, put_back),
            Action::Join => self.join(),
        }
    }

    fn train(&mut self, round: Round, slot: u64, deadline: u32) {
        self.control.reset();
        let order = Order {
            run: self.run.clone(),
            plan: cairn_round::plan::Plan::new(self.run.netuid, &self.run.config, &self.info.round),
            behaviour: self.behaviour,
            held: self.held.clone(),
            slot,
            deadline,
            memory: self.memory.clone(),
            trainer: self.trainer.clone(),
            control: self.control.clone(),
            timing: self.timing.clone(),
            state: self.state.clone(),
        };
        debug_assert_eq!(round, self.held.round);
        self.jobs.spawn(async move {
            Ok(match round_job::train(order).await? {
                Some(trained) => Done::Trained(Box::new(trained)),
                None => Done::NothingTrained(round),
            })
        });
    }

    fn submit(&mut self, transaction: Transaction, said: Progress) {
        let (chain, key) = (self.chain.clone(), self.key.clone());
        let (netuid, reporter) = (self.run.netuid, self.reporter);
        self.jobs.spawn(async move {
            let block = match chain.submit(netuid, transaction, &key).await {
                Ok(block) => {
                    reporter.say(&said);
                    Some(block)
                }
                // The next view of the chain tells whether it is there and, if not, it is sent again.
                Err(error) => {
                    tracing::warn!("{error}");
                    None
                }
            };
            Ok(Done::Submitted(block))
        });
    }

    fn join(&mut self) {
        let (chain, run, at) = (
            self.chain.clone(),
            self.run.clone(),
            self.heads.finalized.hash,
        );
        let (info, state) = (self.info.clone(), self.state.clone());
        tracing::info!("too far behind to catch up round by round: fetching newer parameters");
        self.jobs.spawn(async move {
            match join(&chain, &run, at, &info).await {
                Ok(held) => {
                    save_weights(&state, &held)?;
                    Ok(Done::Joined(held))
                }
                Err(error) if error.is_transient() => {
                    tracing::warn!("{error}");
                    Ok(Done::NotJoined)
                }
                Err(error) => Err(error),
            }
        });
    }

    /// Takes what a job brought, and gives whether something may follow at once.
    fn ended(&mut self, done: Done) -> Result<bool, RoleError> {
        let now = self.heads.best.number;
        let news = done.is_news(now);
        let event = match done {
            Done::Trained(trained) => {
                self.reporter.say(&trained.said);
                self.status.loss = Some(trained.loss);
                self.memory = trained.memory;
                let open = trained.open;
                let intent = Intent {
                    round: open.round,
                    commitment: open.commitment.clone(),
                    key: open.key,
                };
                self.open = Some(Arc::new(open));
                Event::Sealed(intent)
            }
            Done::NothingTrained(round) => Event::NothingTrained(round),
            Done::Settled(settled) => {
                let round = self.held.round;
                self.take_settled(*settled)?;
                Event::Settled(round)
            }
            Done::NotSettled(round) => Event::NotSettled(round),
            Done::Joined(held) => {
                self.open = None;
                self.hold(held);
                Event::Joined(self.held.round)
            }
            Done::NotJoined => Event::NotSettled(self.held.round),
            Done::Submitted(_) => Event::Submitted,
        };
        self.step(event, now);
        Ok(news)
    }

    fn hold(&mut self, held: Held) {
        self.status.round = held.round;
        self.status.state_root = held.root;
        self.held = held;
    }

    /// The miner's account.
    fn hotkey(&self) -> AccountId {
        self.run.hotkey
    }
}
