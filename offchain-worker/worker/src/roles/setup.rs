//! What every role does around its loop: find the run, load its data, open the state and the engine; and begin anew
//! when the run is replaced.

use std::{
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc, Mutex, MutexGuard, PoisonError,
    },
    time::Duration,
};

use cairn_chain::{AccountId, Client, Keypair, Patience, RunInfo, Settings};
use cairn_data::UnseenText;
use cairn_engine::{Device, Engine};
use cairn_primitives::{BlockNumber, Netuid, Text, H256};
use cairn_round::{
    audit::{Demand, Shown, Verdict},
    heard::Heard,
    hidden_row::HiddenRow,
    miner::Intent,
    pledge::Pledge,
    Held,
};
use tokio::sync::watch;

use super::{
    chain::Chain,
    computing,
    driver::{wait_out, Desk, Driver, Role},
    heads::{HeadFollower, Heads},
    ledger::{Ledger, Line},
    progress::{Progress, Reporter},
    run::Run,
    sources::{Reach, Sources},
    state::{Debt, Identity, Saved, SharedState, StateDir, StatePlace},
    stores::Stores,
    waiting::{is_gone, why_no_run, Said},
    RoleError,
};
use crate::{metrics::Metrics, supervisor, unseen};

/// What a worker is told.
#[derive(Clone)]
pub struct WorkerOptions {
    /// The nodes, in the order in which they are asked.
    pub nodes: Vec<String>,
    /// The genesis hash of their chain, if it was said.
    pub genesis: Option<H256>,
    /// The subnet.
    pub netuid: Netuid,
    /// The key that signs the worker's transactions.
    pub hotkey: Keypair,
    /// Its stores.
    pub stores: Stores,
    /// Where its files can be had, and others' are fetched.
    pub reach: Reach,
    /// A validator's file of the run's text that miners do not have.
    pub unseen: Option<PathBuf>,
    /// Where the worker keeps what must survive.
    pub state: StatePlace,
    /// A miner keeps traced states of its work in so many bytes there, beside that.
    pub keep_states: u64,
    /// After this time without a new block the worker ends.
    pub stall_after: Duration,
    /// Where to compute.
    pub device: Device,
    /// The program that makes inner steps, if cairn does not.
    pub engine: Option<cairn_engine_process::Options>,
    /// Threads to compute with.
    pub threads: usize,
    /// Whether progress is JSON on standard output.
    pub json: bool,
    /// What takes note of all that it does.
    pub metrics: Arc<Metrics>,
    /// Becomes true when a miner is to make no more contributions, and to end once none of its can be audited.
    pub drain: watch::Receiver<bool>,
    /// Becomes true when it was told to, and none can be any more.
    pub drained: Arc<AtomicBool>,
    /// Becomes true when the worker is to stop.
    pub shutdown: watch::Receiver<bool>,
}

impl WorkerOptions {
    fn reporter(&self) -> Reporter {
        Reporter {
            json: self.json,
            metrics: self.metrics.clone(),
        }
    }

    /// Whether it was told to drain.
    fn is_draining(&self) -> bool {
        *self.drain.borrow()
    }

    /// Whether a worker that stopped for this reason begins anew, with the run that is there now. If so, says it.
    fn begins_again(&self, error: &RoleError) -> bool {
        let RoleError::RunReplaced { found, .. } = error else {
            return false;
        };
        let begins = self.state.has_room_for_another_run() && !self.is_draining();
        if begins {
            let started_at = *found;
            self.reporter().say(&Progress::AnotherRun { started_at });
        }
        begins
    }
}

/// What was on disk, for a role to go on from.
pub(super) struct Resumed {
    /// The parameters held.
    pub held: Option<Held>,
    /// The contribution that is not settled yet.
    pub open: Option<Intent>,
    /// The one made ahead, where rounds overlap.
    pub ahead: Option<Intent>,
    /// A validator's scores that are not revealed yet.
    pub hidden_rows: Vec<HiddenRow>,
    /// What a validator attests, or attested, in the last rounds.
    pub pledges: Vec<Pledge>,
    /// What is to be served of a round that was applied.
    pub owed: Option<Demand>,
    /// What a miner serves of the newest round that was audited.
    pub shown: Option<Shown>,
    /// What a validator found in audits that are not over.
    pub verdicts: Vec<Verdict>,
    /// The best block.
    pub block: BlockNumber,
    /// Where its files can be had.
    pub endpoints: Vec<Text>,
    /// The text that miners do not have, of who measures in a run that has one.
    pub unseen: Option<UnseenText>,
    /// Where the role may keep logs.
    pub directory: PathBuf,
}

/// The engine, shared with the jobs that compute.
pub(super) type SharedEngine = Arc<Mutex<Box<dyn Engine>>>;

/// Locks, also after a panic elsewhere: what is behind the lock is consistent after each of its methods.
pub(super) fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until it is time to stop. A sender that is gone says so too.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// Connects to the node; `None` if it is time to stop first.
pub(super) async fn connect(options: &WorkerOptions) -> Result<Option<Client>, RoleError> {
    // A commit that takes longer to get into a block is looked for and sent again.
    let settings = Settings {
        inclusion: Duration::from_secs(20),
        ..Settings::default()
    };
    let mut shutdown = options.shutdown.clone();
    tokio::select! {
        () = stopped(&mut shutdown) => Ok(None),
        chain = Client::connect_to(&options.nodes, options.genesis, settings, Patience::default()) => {
            let chain = chain?;
            if let [only] = &options.nodes[..] {
                tracing::info!(
                    "{only} is the only --node: what it says of the chain is believed, and nothing is done while it \
                     is away; name a second one"
                );
            }
            supervisor::ready(&format!("connected to {}", chain.url()));
            // What is signed later needs the runtime's metadata, which take a while from a node that is far away.
            let early = chain.clone();
            tokio::spawn(async move {
                if let Err(error) = early.prepare().await {
                    tracing::debug!("{error}");
                }
            });
            Ok(Some(chain))
        }
    }
}

/// Works for the subnet's run, and the one after it, until it is told to stop. `role` makes the role of what was on
/// disk.
pub(super) async fn work<C: Chain, R: Role>(
    chain: C,
    options: &WorkerOptions,
    role: impl Fn(&Run, Resumed) -> Result<R, RoleError>,
) -> Result<(), RoleError> {
    let mut shutdown = options.shutdown.clone();
    loop {
        let ready = tokio::select! {
            () = stopped(&mut shutdown) => return Ok(()),
            ready = begin(chain.clone(), options, &role) => ready?,
        };
        let Some((mut driver, mut follower)) = ready else {
            drained(options);
            return Ok(());
        };
        let result = tokio::select! {
            () = stopped(&mut shutdown) => {
                supervisor::stopping();
                Ok(())
            }
            result = driver.work(&mut follower, options.drain.clone()) => {
                result.inspect(|()| drained(options))
            }
        };
        driver.role.stop();
        driver.desk.sources.close().await;
        match result {
            Err(error) if options.begins_again(&error) => {}
            // Nothing of a run is audited once it is gone for good.
            Err(error @ RoleError::RunReplaced { .. }) if options.is_draining() => {
                let desk = &driver.desk;
                let is_gone = tokio::select! {
                    () = stopped(&mut shutdown) => return Ok(()),
                    is_gone = is_replaced(desk, &mut follower) => is_gone?,
                };
                if !is_gone {
                    return Err(error);
                }
                drained(options);
                return Ok(());
            }
            result => return result,
        }
    }
}

/// Waits until a final block, or the best one, decides whether the worker's run, in whose place the best block had
/// another one, is gone for good.
async fn is_replaced<C: Chain>(
    desk: &Desk<C>,
    follower: &mut HeadFollower,
) -> Result<bool, RoleError> {
    let (chain, run) = (&desk.chain, &desk.run);
    let mut heads = desk.heads;
    loop {
        if is_gone(chain, heads.finalized, (run.netuid, run.started_at)).await? {
            return Ok(true);
        }
        match chain.run(heads.best.hash, run.netuid).await {
            Ok(Some(found)) if found.started_at == run.started_at => return Ok(false),
            Ok(_) => {}
            Err(error) => wait_out(error.into())?,
        }
        heads = follower.next().await?;
        if follower.has_risen() {
            follower.is_alive();
        }
    }
}

/// Says that a worker which was told to drain owes nothing.
fn drained(options: &WorkerOptions) {
    options.drained.store(true, Ordering::Release);
    supervisor::stopping();
    options.reporter().say(&Progress::Drained);
}

/// Gets everything ready; nothing if it is to drain and there is no run.
async fn begin<C: Chain, R: Role>(
    chain: C,
    options: &WorkerOptions,
    role: impl Fn(&Run, Resumed) -> Result<R, RoleError>,
) -> Result<Option<(Driver<C, R>, HeadFollower)>, RoleError> {
    let mut follower = HeadFollower::new(&chain, options.stall_after).shown(&options.metrics);
    let Some((heads, info)) = find_run(&chain, &mut follower, options).await? else {
        return Ok(None);
    };
    let hotkey = AccountId::of(&options.hotkey);
    let loaded = Run::load(options.netuid, hotkey, &info, &options.stores);
    let slot = chain.block_time(heads.best.hash);
    let started_in = started_in(&chain, info.started_at);
    let (run, slot, started_in) = tokio::join!(loaded, slot, started_in);
    let (run, slot, started_in) = (run?, slot?, started_in?);
    *locked(&run.heard) = Heard::new(slot);
    let unseen = match R::MEASURES {
        true => unseen::read(&run, options.unseen.as_deref()).await?,
        false => None,
    };
    // The run's text may have taken hours, and a node does not keep the states of all blocks.
    let heads = follower.now().unwrap_or(heads);
    let identity = identity(&chain, &run, started_in);
    let (state, directory) = open_state(options, &run, identity)?;
    let at = heads.best.hash;
    let debts = computing::open_debts(state.debts(), &run.config.audits, info.round.round);
    let debts = computing::undecided(&chain, heads, &run, debts).await?;
    let asked = (run.as_ref(), R::MEASURES, &debts[..]);
    let mut engine = engine_of(&chain, at, options, asked).await?;
    let on_disk = load(&state, &run, engine.as_mut())?;
    let held = on_disk.held;
    if let Some(line) = &on_disk.last {
        options.metrics.paid(line);
    }
    let ledger = Ledger::open(&directory, on_disk.last.as_ref())?;
    let sources =
        Sources::new(&options.reach, &run.manifest.relays, &run.store, &directory).await?;
    let (block, endpoints) = (heads.best.number, sources.endpoints.clone());
    let resumed = on_disk.resumed(block, endpoints, unseen, directory.clone());
    let sources = Arc::new(sources);
    let role = role(&run, resumed)?;
    let desk = Desk {
        chain,
        key: options.hotkey.clone(),
        run,
        state: SharedState::new(state),
        engine: Arc::new(Mutex::new(engine)),
        reporter: options.reporter(),
        sources,
        heads,
    };
    let driver = Driver::new(desk, role, info, ledger, directory);
    if let Some(held) = held {
        driver.say_ready(held, true);
    }
    Ok(Some((driver, follower)))
}

/// What tells the state of this worker in this run, which was started in the block with this hash, from every other.
fn identity<C: Chain>(chain: &C, run: &Run, started_in: H256) -> Identity {
    Identity {
        genesis: chain.genesis(),
        netuid: run.netuid,
        started_at: run.started_at,
        started_in,
        initial_root: run.config.initial_root,
        hotkey: run.hotkey.hotkey(),
    }
}

/// Opens the state directory, says where it is, and watches the room that is left for it and for the store.
fn open_state(
    options: &WorkerOptions,
    run: &Run,
    identity: Identity,
) -> Result<(StateDir, PathBuf), RoleError> {
    let directory = options.state.of(&identity);
    let state = StateDir::open(&directory, identity)?;
    tracing::info!("state is in {}", directory.display());
    options.metrics.watch_disk("state", &directory);
    if let Some(path) = run.store.url().strip_prefix("file://") {
        options.metrics.watch_disk("store", Path::new(path));
    }
    Ok((state, directory))
}

/// Loads the run and the engine with what is on disk, and gives the rest of it.
fn load(state: &StateDir, run: &Run, engine: &mut dyn Engine) -> Result<OnDisk, RoleError> {
    let Some(saved) = state.load()? else {
        return Ok(OnDisk::default());
    };
    *locked(&run.norm) = saved.state.norm;
    *locked(&run.ends) = saved.ends.clone();
    resume(engine, saved)
}

/// What computes: the program that was named, or an engine of cairn's own. `measures`: for who measures contributions;
/// `debts`: what it may have to make again.
async fn engine_of<C: Chain>(
    chain: &C,
    at: H256,
    options: &WorkerOptions,
    (run, measures, debts): (&Run, bool, &[Debt]),
) -> Result<Box<dyn Engine>, RoleError> {
    let rules = &run.config.audits;
    if let Some(program) = &options.engine {
        return open_program(program, rules.rate > 0, options.threads, run);
    }
    let device = computing::device(options.device, rules, measures)?;
    let device = computing::backed(chain, at, run, (device, debts)).await?;
    let engine = open_engine(device, options.threads, run)?;
    computing::check_debts(debts, engine.class())?;
    Ok(engine)
}

/// Opens the engine for the run's model, and says which it is.
fn open_engine(device: Device, threads: usize, run: &Run) -> Result<Box<dyn Engine>, RoleError> {
    let (engine, no_card) = cairn_engine::open(device, &run.config, threads)?;
    match no_card {
        Some(reason) => tracing::info!("computing on {}: {reason}", engine.name()),
        None => tracing::info!("computing on {}", engine.name()),
    }
    Ok(engine)
}

/// Starts the program that makes inner steps, unless the work may be audited: nobody can replay its bits.
fn open_program(
    program: &cairn_engine_process::Options,
    is_audited: bool,
    threads: usize,
    run: &Run,
) -> Result<Box<dyn Engine>, RoleError> {
    if is_audited {
        return Err(RoleError::Run(
            "this run audits work, and another engine's cannot be replayed: start without --engine, on --device cpu, \
             or on a card if the run has a tolerance, or take part in a run without audits"
                .into(),
        ));
    }
    tracing::info!("starting the engine");
    let engine = cairn_engine_process::open(&run.config, program.clone(), threads)?;
    tracing::info!("computing on {}", engine.name());
    Ok(Box::new(engine))
}

/// What was on disk beside what the engine has loaded.
#[derive(Default)]
struct OnDisk {
    held: Option<Held>,
    open: Option<Intent>,
    ahead: Option<Intent>,
    last: Option<Line>,
    hidden_rows: Vec<HiddenRow>,
    pledges: Vec<Pledge>,
    owed: Option<Demand>,
    shown: Option<Shown>,
    verdicts: Vec<Verdict>,
}

impl OnDisk {
    /// The same with what a role finds beside it.
    fn resumed(
        self,
        block: BlockNumber,
        endpoints: Vec<Text>,
        unseen: Option<UnseenText>,
        directory: PathBuf,
    ) -> Resumed {
        Resumed {
            held: self.held,
            open: self.open,
            ahead: self.ahead,
            hidden_rows: self.hidden_rows,
            pledges: self.pledges,
            owed: self.owed,
            shown: self.shown,
            verdicts: self.verdicts,
            block,
            endpoints,
            unseen,
            directory,
        }
    }
}

/// Loads the engine with what was on disk.
fn resume(engine: &mut dyn Engine, saved: Saved) -> Result<OnDisk, RoleError> {
    let Saved {
        held,
        state,
        open,
        ahead,
        last,
        hidden_rows,
        pledges,
        ends: _,
        traced: _,
        owed,
        shown,
        verdicts,
    } = saved;
    let root = engine.load(state)?;
    if root != held.root {
        let what = format!(
            "the parameters on disk have the root {root:?}, the manifest says {:?}",
            held.root
        );
        return Err(RoleError::Broken(what));
    }
    Ok(OnDisk {
        held: Some(held),
        open,
        ahead,
        last,
        hidden_rows,
        pledges,
        owed,
        shown,
        verdicts,
    })
}

/// The hash of the block in which the run was started, which is final.
async fn started_in<C: Chain>(chain: &C, number: BlockNumber) -> Result<H256, RoleError> {
    let hash = chain.block_hash(number).await?;
    hash.ok_or_else(|| {
        let what = format!("the node does not know block {number}, in which the run was started");
        RoleError::Run(format!(
            "{what}: wait until it is in sync, then start again"
        ))
    })
}

/// Waits for the subnet's run to be on the finalised chain, and says so. Who drains waits for none, but for a node that
/// is not yet where a run was of which there is state here.
async fn find_run<C: Chain>(
    chain: &C,
    follower: &mut HeadFollower,
    options: &WorkerOptions,
) -> Result<Option<(Heads, RunInfo)>, RoleError> {
    let (mut said, mut behind) = (Said::default(), Said::default());
    loop {
        let heads = follower.next().await?;
        if follower.has_risen() {
            follower.is_alive();
        }
        if let Some(why) = is_behind(chain, heads, options) {
            if behind.is_due(&why, heads.best.number) {
                tracing::warn!("{why}");
            }
            continue;
        }
        match look_for_run(chain, heads, options, &mut said).await {
            Ok(Some(info)) => return Ok(Some((heads, info))),
            Ok(None) if options.is_draining() => return Ok(None),
            Ok(None) => {}
            Err(error) if error.is_transient() => tracing::warn!("{error}"),
            Err(error) => return Err(error),
        }
    }
}

/// Why a worker that drains does not go by what a node says of runs: by the state here there was a later one.
fn is_behind<C: Chain>(chain: &C, heads: Heads, options: &WorkerOptions) -> Option<String> {
    if !options.is_draining() {
        return None;
    }
    let own = (
        chain.genesis(),
        options.netuid,
        AccountId::of(&options.hotkey).hotkey(),
    );
    let (last, begun) = (heads.finalized.number, options.state.newest_run(own)?);
    let what = format!(
        "there is state here of a run that was started in block {begun}, and the node's last final block is {last}: \
         waiting until it is in sync"
    );
    (last < begun).then_some(what)
}

async fn look_for_run<C: Chain>(
    chain: &C,
    heads: Heads,
    options: &WorkerOptions,
    said: &mut Said,
) -> Result<Option<RunInfo>, RoleError> {
    if let Some(info) = chain.run(heads.finalized.hash, options.netuid).await? {
        return Ok(Some(info));
    }
    let reason = why_no_run(chain, heads, options.netuid, false).await?;
    if said.is_due(&reason, heads.best.number) {
        let block = heads.best.number;
        options.reporter().say(&Progress::Waiting { block, reason });
    }
    Ok(None)
}
