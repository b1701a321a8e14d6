//! `cairn mine` and `cairn validate`.

use std::{
    path::PathBuf,
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc,
    },
    time::Duration,
};

use cairn_chain::AccountId;
use cairn_engine::Device;
use clap::{builder::BoolishValueParser, Args};
use tokio::sync::watch;

use super::{
    args::{JsonArg, KeepArg, KeyArgs, NetuidArg, NodeArgs, StoreArg},
    engine_args::EngineArgs,
    onlookers::OnlookersArgs,
    reach::ReachArgs,
};
use crate::{
    display::{self, screen::Around, Screen, Whose},
    error::Failure,
    metrics::Metrics,
    roles::{
        idle::Part, miner, state::StatePlace, stores::Stores, validator, Behaviour, WorkerOptions,
    },
    shutdown,
};

/// What both roles need.
#[derive(Args, Debug)]
pub struct Work {
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    netuid: NetuidArg,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    store: StoreArg,
    /// Read the run's data from whatever store the run names, a directory or a private address too
    #[arg(long, env = "CAIRN_TRUST_RUN_STORE", value_parser = BoolishValueParser::new())]
    trust_run_store: bool,
    #[command(flatten)]
    reach: ReachArgs,
    /// Directory of the worker's state in one run [default: one per chain, subnet, run and hotkey, below
    /// ~/.cairn/state; `cairn doctor` lists them]
    #[arg(long, env = "CAIRN_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// End with an error after this many seconds without a new block, so that a supervisor starts the worker again; and
    /// at the earliest then if a part of its work does not end
    #[arg(long, env = "CAIRN_STALL_AFTER", default_value_t = 600, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(60..))]
    stall_after: u32,
    /// Compute threads [default: one per core]
    #[arg(long, env = "CAIRN_THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    #[command(flatten)]
    onlookers: OnlookersArgs,
    /// Write lines on a terminal, too, in place of a display that is kept up to date
    // Not `plain`: in the environment and in the settings file that keeps keys in plain text.
    #[arg(long, env = "CAIRN_NO_DISPLAY", value_parser = BoolishValueParser::new())]
    no_display: bool,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn mine`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  cairn mine --key miner --netuid 1 --store file:///srv/cairn\n  cairn mine --key miner --device cuda:0 --store file:///srv/cairn\n  cairn mine --key miner --engine torch --gpus 8 --device cuda --store file:///srv/cairn\n  cairn mine --suri //Charlie --threads 4 --state-dir /var/lib/cairn/charlie --store file:///srv/cairn\n  cairn mine --key miner --store file:///srv/cairn --drain --json"
)]
pub struct Mine {
    #[command(flatten)]
    work: Work,
    #[command(flatten)]
    engine: EngineArgs,
    /// Make no contribution, answer audits of those that were made, and end once none can be open any more; SIGUSR1
    /// has a miner at work do so
    #[arg(long, env = "CAIRN_DRAIN", value_parser = BoolishValueParser::new())]
    drain: bool,
    #[command(flatten)]
    keep: KeepArg,
    /// How to behave: all but `honest` are cheats, to rehearse on a devnet
    #[arg(long, env = "CAIRN_BEHAVIOUR", value_enum, default_value_t = Behaviour::Honest, hide = true)]
    behaviour: Behaviour,
}

/// `cairn validate`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  cairn validate --key validator --netuid 1 --store file:///srv/cairn\n  cairn validate --suri //Bob --state-dir /var/lib/cairn/bob --store file:///srv/cairn --json"
)]
pub struct Validate {
    #[command(flatten)]
    work: Work,
    /// Where to measure losses: cpu, so that all validators measure the same, or auto, or cuda:N for large models
    #[arg(long, env = "CAIRN_DEVICE", default_value_t = Device::Cpu, value_name = "DEVICE")]
    device: Device,
    /// The run's text that miners do not have, if it has one: the subnet's owner gives the file to validators
    #[arg(long, env = "CAIRN_UNSEEN", value_name = "FILE")]
    unseen: Option<PathBuf>,
}

/// After this time a worker that was asked to stop has stopped, come what may: what it keeps is whole at any instant.
const DEADLINE: Duration = Duration::from_millis(1_800);

impl Work {
    /// Finds out what was left to defaults, and that the node is there and of the right chain.
    async fn prepare(&self, part: Part) -> Result<(Prepared, Screen), Failure> {
        let hotkey = self.key.keypair()?;
        self.node.connect().await?;
        let state = match &self.state_dir {
            Some(directory) => StatePlace::Named(directory.clone()),
            None => StatePlace::Under(StatePlace::default_directory()),
        };
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.threads.map_or_else(cores, usize::from);
        let screen = Screen::new();
        let close = screen.closer();
        let drained = Arc::new(AtomicBool::new(false));
        let has_drained = drained.clone();
        // One that has drained ends with 0.
        let code = move || match part {
            Part::Miner if !has_drained.load(Ordering::Acquire) => i32::from(shutdown::STOPPED),
            Part::Miner | Part::Validator => 0,
        };
        let shutdown = shutdown::watch_with_deadline(DEADLINE, code, move || {
            close();
            tracing::info!("asked to stop: stopping; a restart continues from the state on disk");
        });
        let chain = (&self.node, self.netuid);
        let account = AccountId::of(&hotkey);
        let worker = (part.name(), account);
        let metrics = self.onlookers.begin(chain, worker, &shutdown).await?;
        if Around::here(self.no_display || self.json.json).has_display() {
            self.display(&screen, (part, account), &metrics, shutdown.clone());
        }
        let prepared = Prepared {
            metrics,
            hotkey,
            state,
            threads,
            drained,
            shutdown,
        };
        Ok((prepared, screen))
    }

    /// Begins to show the work on the terminal. Without a display it goes on, and writes lines.
    fn display(
        &self,
        screen: &Screen,
        (part, hotkey): (Part, AccountId),
        metrics: &Metrics,
        stop: watch::Receiver<bool>,
    ) {
        let whose = Whose {
            nodes: self.node.node.clone(),
            genesis: self.node.genesis,
            netuid: self.netuid.netuid,
            hotkey,
        };
        if let Err(error) = display::begin(screen, part, whose, metrics, stop) {
            tracing::warn!("there is no display: {error}");
        }
    }
}

struct Prepared {
    hotkey: cairn_chain::Keypair,
    state: StatePlace,
    threads: usize,
    metrics: Arc<Metrics>,
    drained: Arc<AtomicBool>,
    shutdown: watch::Receiver<bool>,
}

impl Prepared {
    fn options(self, work: Work, device: Device) -> WorkerOptions {
        WorkerOptions {
            genesis: work.node.genesis,
            nodes: work.node.node,
            netuid: work.netuid.netuid,
            hotkey: self.hotkey,
            stores: Stores {
                url: work.store.store,
                trusts_run: work.trust_run_store,
            },
            reach: work.reach.into(),
            unseen: None,
            state: self.state,
            keep_states: 0,
            stall_after: Duration::from_secs(work.stall_after.into()),
            device,
            engine: None,
            threads: self.threads,
            json: work.json.json,
            metrics: self.metrics,
            // Never: nobody is there to say so.
            drain: watch::channel(false).1,
            drained: self.drained,
            shutdown: self.shutdown,
        }
    }
}

impl Validate {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        if matches!(self.device, Device::Cards { .. }) {
            return Err(Failure::new(
                "losses are measured on one GPU",
                "name one of them: --device cuda:0",
            ));
        }
        let (prepared, screen) = self.work.prepare(Part::Validator).await?;
        let options = WorkerOptions {
            unseen: self.unseen,
            ..prepared.options(self.work, self.device)
        };
        let ended = validator::run(options).await;
        screen.close();
        Ok(ended?)
    }
}

impl Mine {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        let (device, engine) = self.engine.chosen()?;
        // Before all else: a signal that nobody listens for ends the process.
        let drain = shutdown::watch_for_drain(self.drain);
        let (prepared, screen) = self.work.prepare(Part::Miner).await?;
        let (stop, drained) = (prepared.shutdown.clone(), prepared.drained.clone());
        let options = WorkerOptions {
            engine,
            drain,
            keep_states: self.keep.keep_states,
            ..prepared.options(self.work, device)
        };
        let ended = miner::run(options, self.behaviour).await;
        screen.close();
        ended?;
        // The signal may have come while one that has drained closed what it had open.
        let is_stopped = *stop.borrow() && !drained.load(Ordering::Acquire);
        match is_stopped {
            true => Err(Failure::stopped()),
            false => Ok(()),
        }
    }
}
