//! The validator: fetches, checks, attests, and scores what miners contribute.

mod checks;
mod end;
mod measure;
mod settle;
mod trial;
mod view;
mod weights;

use std::{
    path::PathBuf,
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc, Mutex,
    },
};

use cairn_chain::{Client, Keypair, Patience, RunInfo};
use cairn_primitives::{BlockNumber, Netuid, Round, Uid, Verdicts, H256};
use cairn_round::{
    ballot::Ballot,
    scoring::Evidence,
    validator::{Action, Event, Validator},
};
use cairn_trainer::engine::{Device, Engine};
use tokio::{sync::watch, task::JoinSet};

use self::{checks::Checks, measure::Scorable};
use super::{
    chain::{Chain, Transaction},
    heads::{HeadFollower, Heads},
    held::Held,
    idle,
    join::join,
    ledger::{Ledger, Log},
    miner::connection_settings,
    progress::{Progress, Reporter},
    run::Run,
    setup::{begin, open_engine, save_weights, stopped, Common, Setup, SharedState},
    state::StatePlace,
    waiting::{why_no_run, Said},
    RoleError, Status,
};

/// What a validator is told.
pub struct ValidatorOptions {
    /// The node.
    pub node_url: String,
    /// The subnet.
    pub netuid: Netuid,
    /// The key that signs the validator's work.
    pub hotkey: Keypair,
    /// The store, unless the run names one.
    pub store_url: String,
    /// Where the validator keeps what must survive.
    pub state: StatePlace,
    /// Where to measure losses.
    pub device: Device,
    /// Threads to compute with.
    pub threads: usize,
    /// Whether progress is JSON on standard output.
    pub json: bool,
    /// Becomes true when the validator is to stop.
    pub shutdown: watch::Receiver<bool>,
}

/// Validates until it is told to stop.
///
/// # Errors
/// What cannot be waited out; see [`RoleError`]. Nothing is lost: starting again goes on from the disk.
pub async fn run(options: ValidatorOptions) -> Result<(), RoleError> {
    let mut shutdown = options.shutdown.clone();
    let chain = tokio::select! {
        () = stopped(&mut shutdown) => return Ok(()),
        chain = Client::connect_with(
            &options.node_url,
            connection_settings(),
            Patience::default(),
        ) => chain?,
    };
    validate(chain, options).await
}

/// Validates on any chain.
pub(super) async fn validate<C: Chain>(
    chain: C,
    options: ValidatorOptions,
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
        let (mut worker, mut follower) = Worker::new(setup, &options)?;
        let result = tokio::select! {
            () = stopped(&mut shutdown) => Ok(()),
            result = worker.work(&mut follower) => result,
        };
        worker.stop.store(true, Ordering::Relaxed);
        match result {
            Err(error) if common.begins_again(&error) => common.say_another_run(&error),
            result => return result,
        }
    }
}

/// What a job brought.
enum Done {
    Fetched(Round, Uid, H256, Option<bytes::Bytes>),
    Opened(Round, Uid, H256, Option<Arc<crate::checked::Checked>>),
    AttestSubmitted,
    Scored(Round, Vec<Evidence>),
    Weighed(Option<Ballot>),
    WeightsSubmitted(bool),
    Settled(Box<settle::Settled>),
    NotSettled(Round),
    Joined(Held),
    NotJoined,
}

impl Done {
    fn is_news(&self) -> bool {
        !matches!(
            self,
            Done::Fetched(.., None)
                | Done::AttestSubmitted
                | Done::WeightsSubmitted(_)
                | Done::NotSettled(_)
                | Done::NotJoined
        )
    }
}

type Job = Result<Done, RoleError>;

struct Worker<C> {
    chain: C,
    run: Arc<Run>,
    key: Keypair,
    state: SharedState,
    heads: Heads,
    machine: Validator,
    held: Held,
    /// The weights before those held, if this validator had them.
    before: Option<Held>,
    /// Whether the weights of a run that was stopped are in the store.
    left: bool,
    checks: Checks,
    scorable: Option<Scorable>,
    trainer: Arc<Mutex<Engine>>,
    stop: Arc<AtomicBool>,
    jobs: JoinSet<Job>,
    ledger: Ledger,
    evidence: Vec<Evidence>,
    evidence_log: Log<Evidence>,
    attested: Option<Round>,
    status: Status,
    directory: PathBuf,
    reporter: Reporter,
    idle: Said,
    waiting: Said,
}

impl<C: Chain> Worker<C> {
    fn new(
        setup: Setup<C>,
        options: &ValidatorOptions,
    ) -> Result<(Worker<C>, HeadFollower), RoleError> {
        let Setup {
            chain,
            follower,
            heads,
            run,
            state,
            directory,
            held,
            saved,
            ..
        } = setup;
        let (last, ballots) =
            saved.map_or_else(Default::default, |saved| (saved.last, saved.ballots));
        let ledger = Ledger::open(&directory, last.as_ref())?;
        let mut evidence = Vec::new();
        let evidence_log = Log::open(&directory.join("evidence.jsonl"), |item| {
            evidence.push(item);
        })?;
        weights::forget_old(&mut evidence);
        let status = Status {
            role: "validator".into(),
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
        let worker = Worker {
            machine: Validator::with_ballots(held.round, ballots),
            before: None,
            left: false,
            checks: Checks::default(),
            scorable: None,
            trainer: Arc::new(Mutex::new(open_engine(
                options.device,
                &run,
                options.threads,
            )?)),
            stop: Arc::default(),
            jobs: JoinSet::new(),
            attested: None,
            directory,
            reporter: Reporter { json: options.json },
            idle: Said::default(),
            waiting: Said::default(),
            key: options.hotkey.clone(),
            chain,
            run,
            state,
            heads,
            held,
            ledger,
            evidence,
            evidence_log,
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
        self.checks.saw(self.held.round, &view, now);
        match view.attested {
            Some(_) => self.takes_part(),
            None => self.say_why_idle(now, &info).await?,
        }
        for action in self.step(Event::Chain(view), now) {
            self.act(action, &info);
        }
        self.status.block = now;
        self.status.write(&self.directory)
    }

    /// The run has gone: ends where waiting for another would be in vain, and says what is waited for else.
    async fn without_run(&mut self, now: BlockNumber) -> Result<(), RoleError> {
        self.stop.store(true, Ordering::Relaxed);
        self.leave_checkpoints().await;
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

    async fn say_why_idle(&mut self, now: BlockNumber, info: &RunInfo) -> Result<(), RoleError> {
        let (at, part) = (self.heads.best.hash, idle::Part::Validator);
        let reason = idle::ask(&self.chain, at, now, &self.run, (info, part)).await?;
        let round = info.round.round;
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

    fn act(&mut self, action: Action, info: &RunInfo) {
        match action {
            Action::Fetch(round, seen) => self.fetch(round, seen),
            Action::Open(round, seen) => self.open(round, seen),
            Action::Attest { round, good } => self.attest(round, good),
            Action::Score(round) => self.score(round),
            Action::StopScoring => self.stop.store(true, Ordering::Relaxed),
            Action::Vote(step) => self.vote(step),
            Action::Settle(settlement) => self.settle(settlement),
            Action::Join => self.join(info.clone()),
        }
    }

    fn attest(&mut self, round: Round, good: Vec<Uid>) {
        self.attested = Some(round);
        let verdicts = Verdicts::from_uids(good.iter().copied());
        let root = self.held.root;
        let said = Progress::Attested {
            round,
            good,
            state_root: root,
        };
        let (chain, key) = (self.chain.clone(), self.key.clone());
        let (netuid, reporter) = (self.run.netuid, self.reporter);
        self.jobs.spawn(async move {
            match chain
                .submit(netuid, Transaction::Attest(round, verdicts, root), &key)
                .await
            {
                Ok(_) => reporter.say(&said),
                Err(error) => tracing::warn!("{error}"),
            }
            Ok(Done::AttestSubmitted)
        });
    }

    fn join(&mut self, info: RunInfo) {
        let (chain, run, at) = (
            self.chain.clone(),
            self.run.clone(),
            self.heads.finalized.hash,
        );
        let state = self.state.clone();
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

    /// Takes what a job brought. Gives whether something may follow at once; what failed is tried again with
    /// the next block, not sooner.
    fn ended(&mut self, done: Done) -> Result<bool, RoleError> {
        let now = self.heads.best.number;
        let news = done.is_news();
        let event = match done {
            Done::Fetched(round, uid, root, file) => {
                let here = file.is_some();
                self.checks.fetched(round, (uid, root), file);
                Event::Fetched(round, uid, root, here)
            }
            Done::Opened(round, uid, root, contribution) => {
                let good = contribution.is_some();
                self.checks.opened(round, (uid, root), contribution);
                Event::Opened(round, uid, root, good)
            }
            Done::AttestSubmitted => Event::AttestSubmitted,
            Done::Scored(round, evidence) => {
                self.take_evidence(evidence)?;
                Event::Scored(round)
            }
            Done::Weighed(ballot) => Event::Weighed(ballot),
            Done::WeightsSubmitted(accepted) => Event::WeightsSubmitted(accepted),
            Done::Settled(settled) => {
                let round = self.held.round;
                self.take_settled(*settled)?;
                Event::Settled(round)
            }
            Done::NotSettled(round) => Event::NotSettled(round),
            Done::Joined(held) => {
                self.scorable = None;
                self.hold(held);
                Event::Joined(self.held.round)
            }
            Done::NotJoined => Event::NotSettled(self.held.round),
        };
        self.step(event, now);
        Ok(news)
    }

    fn hold(&mut self, held: Held) {
        self.status.round = held.round;
        self.status.state_root = held.root;
        self.checks = Checks::default();
        self.before = Some(std::mem::replace(&mut self.held, held));
        self.left = false;
    }
}
