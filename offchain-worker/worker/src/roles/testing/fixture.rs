//! A small run, its store, and the workers of a test.

use std::{
    fs::File,
    path::PathBuf,
    sync::{atomic::AtomicBool, Arc},
    time::Duration,
};

use bytes::Bytes;
use cairn_chain::{AccountId, Keypair};
use cairn_data::{Manifest, Shard, ShardInfo, TokenWidth};
use cairn_engine::Device;
use cairn_gradient::model_root;
use cairn_primitives::{
    AuditRules, Commitment, CompressionSchedule, DataSet, InitialParameters, InnerOptimizer,
    ModelShape, Nano, OuterStep, Round, RunConfig, Text, H256,
};
use cairn_store::{paths, Store, StoreError};
use nix::fcntl::{Flock, FlockArg};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle};

use super::{
    node::{hotkey, NETUID, PHASES},
    SimChain,
};
use crate::{
    metrics::Metrics,
    roles::{
        miner::mine,
        sources::{PeerOptions, Reach},
        state::{StatePlace, LOCK},
        stores::Stores,
        validator::validate,
        Behaviour, RoleError, WorkerOptions,
    },
};

const VOCABULARY: u32 = 32;
const LENGTH: u32 = 16;

/// Text of which the next token can mostly be told from the last one.
fn tokens() -> Vec<u32> {
    let mut state = 1u64;
    let mut token = 0u32;
    let next = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let random = (state >> 33) as u32;
        token = if random.is_multiple_of(8) {
            random / 8 % VOCABULARY
        } else {
            (token * 5 + 1) % VOCABULARY
        };
        token
    };
    (0..40_000).map(next).collect()
}

fn nano(value: f64) -> Nano {
    Nano::from_f64(value).expect("a number")
}

/// A run whose model learns something within a few steps.
pub fn config() -> RunConfig {
    let model = ModelShape {
        layers: 1,
        d_model: 16,
        heads: 2,
        kv_heads: 1,
        ffn: 32,
        vocabulary: VOCABULARY,
        context: LENGTH,
        rope_theta: 10_000,
        tied_embeddings: true,
    };
    RunConfig {
        name: Text::new("test").expect("short"),
        initial_root: model_root(&cairn_trainer::initial_parameters(&model, 1)),
        initial_parameters: InitialParameters::Seed(1),
        model,
        data: DataSet {
            manifest_root: H256::zero(),
            tokenizer_root: H256::zero(),
            store: Text::default(),
            windows: (tokens().len() as u64 - 1) / u64::from(LENGTH),
        },
        inner: InnerOptimizer {
            steps: 6,
            sequences: 8,
            sequence_length: LENGTH,
            learning_rate: nano(0.02),
            final_rate: nano(1.0),
            warmup_steps: 0,
            total_steps: 24,
            beta1: nano(0.9),
            beta2: nano(0.95),
            epsilon: nano(1e-8),
            weight_decay: nano(0.0),
            clip_norm: nano(1.0),
            trace_every: 1,
            matrices: Default::default(),
        },
        compression: CompressionSchedule {
            turns: CompressionSchedule::usual_turns(),
            kept_per_block: 512,
            error_decay: nano(0.5),
            final_error_decay: Some(nano(0.95)),
        },
        outer: OuterStep {
            learning_rate: nano(1.0),
            rho: nano(1.0),
            clip: OuterStep::USUAL_CLIP,
            combine: Default::default(),
        },
        phases: PHASES,
        max_contributors: 16,
        audits: AuditRules::default(),
        overlap: 0,
        checkpoint_every: RunConfig::USUAL_CHECKPOINT_EVERY,
    }
}

/// The run, and the store with its data.
pub async fn config_and_store(directory: &std::path::Path) -> (RunConfig, Store) {
    let store = Store::create_in(directory).expect("a directory");
    let shard = Shard {
        width: TokenWidth::of(VOCABULARY),
        tokens: tokens(),
    };
    let shard = shard.to_bytes().expect("small tokens");
    let mut manifest = Manifest::new("a test", VOCABULARY, H256::zero());
    manifest.train.push(ShardInfo::of(&shard).expect("a shard"));
    store
        .put_blob(paths::DATA, shard.into())
        .await
        .expect("room");
    let manifest_root = manifest.root().expect("a manifest");
    let manifest = manifest.to_bytes().expect("a manifest");
    store
        .put_blob(paths::DATA, manifest.into())
        .await
        .expect("room");
    let mut config = config();
    config.data.manifest_root = manifest_root;
    config.check().expect("a possible run");
    (config, store)
}

/// What a member published, as a store has it.
pub async fn sealed_file(
    store: &Store,
    round: Round,
    commitment: &Commitment,
) -> Result<Bytes, StoreError> {
    let prefix = paths::contributions(NETUID.get(), round);
    let root = commitment.sealed_root.bytes();
    store.get_blob(&prefix, root, commitment.length).await
}

/// A chain, a store, and workers that run as tasks.
pub struct Network {
    pub chain: SimChain,
    pub store: Store,
    directory: TempDir,
    workers: Vec<Worker>,
    by_run: bool,
    /// In how many bytes miners keep traced states.
    keep_states: u64,
    /// Whether each worker has a store of its own, and is a peer.
    apart: bool,
}

struct Worker {
    name: String,
    metrics: Arc<Metrics>,
    task: JoinHandle<Result<(), RoleError>>,
    reins: Reins,
}

/// How a worker is told something.
struct Reins {
    shutdown: watch::Sender<bool>,
    drain: watch::Sender<bool>,
    drained: Arc<AtomicBool>,
}

impl Network {
    /// A run that nobody is a member for.
    pub async fn new() -> Network {
        Network::of(&[], &[]).await
    }

    /// A run with these members, whose uids are in this order. If there are both, its round 0 has begun.
    pub async fn of(miners: &[&str], validators: &[&str]) -> Network {
        Network::with(miners, validators, |_, _| {}).await
    }

    /// The same of a run that is changed before it is started.
    pub async fn with(
        miners: &[&str],
        validators: &[&str],
        change: impl FnOnce(&mut RunConfig, &Store),
    ) -> Network {
        Network::on(|mut config, store| {
            change(&mut config, store);
            SimChain::with_run(config, miners, validators)
        })
        .await
    }

    /// A chain that has no subnet.
    pub async fn nowhere() -> Network {
        Network::on(|_, _| SimChain::empty()).await
    }

    async fn on(chain: impl FnOnce(RunConfig, &Store) -> SimChain) -> Network {
        let directory = tempfile::tempdir().expect("a directory");
        let (config, store) = config_and_store(&directory.path().join("store")).await;
        Network {
            chain: chain(config, &store),
            store,
            directory,
            workers: Vec::new(),
            by_run: false,
            keep_states: 1 << 30,
            apart: false,
        }
    }

    /// A run whose members have a store each, and reach the others' as peers only.
    pub async fn apart(miners: &[&str], validators: &[&str]) -> Network {
        let named = |config: &mut RunConfig, store: &Store| {
            config.data.store = Text::new(store.url()).expect("short");
        };
        let mut network = Network::with(miners, validators, named).await;
        network.apart = true;
        network
    }

    pub fn key(name: &str) -> Keypair {
        hotkey(name)
    }

    pub fn account(name: &str) -> AccountId {
        AccountId::of(&Network::key(name))
    }

    /// From now on, workers have a directory for each run.
    pub fn state_by_run(&mut self) {
        self.by_run = true;
    }

    /// From now on, miners keep traced states in so many bytes.
    pub fn keep_states(&mut self, bytes: u64) {
        self.keep_states = bytes;
    }

    fn place(&self, name: &str) -> StatePlace {
        match self.by_run {
            true => StatePlace::Under(self.state_dir(name)),
            false => StatePlace::Named(self.state_dir(name)),
        }
    }

    /// The store of a worker that lives apart.
    pub fn store_of(&self, name: &str) -> Store {
        Store::create_in(&self.directory.path().join(format!("store of {name}"))).expect("room")
    }

    fn stores_of(&self, name: &str) -> (Stores, Reach) {
        if !self.apart {
            return (self.stores(), Reach::default());
        }
        let stores = Stores {
            url: self.store_of(name).url().to_string(),
            trusts_run: true,
        };
        let peer = PeerOptions {
            bind: vec![(std::net::Ipv4Addr::LOCALHOST, 0).into()],
            ..PeerOptions::default()
        };
        let reach = Reach {
            trusts_endpoints: true,
            peer: Some(peer),
            ..Reach::default()
        };
        (stores, reach)
    }

    /// Where a worker keeps its state.
    pub fn state_dir(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What workers are told of stores.
    pub fn stores(&self) -> Stores {
        Stores::at(self.store.url())
    }

    /// Starts a miner; the chain has to know it as a member.
    pub fn mine(&mut self, name: &str, behaviour: Behaviour) {
        self.mine_on(Device::Cpu, name, behaviour);
    }

    fn options(&self, device: Device, name: &str) -> (Reins, WorkerOptions) {
        let (stops, shutdown) = watch::channel(false);
        let (drains, drain) = watch::channel(false);
        let drained = Arc::new(AtomicBool::new(false));
        let (stores, reach) = self.stores_of(name);
        let options = WorkerOptions {
            nodes: Vec::new(),
            genesis: None,
            netuid: NETUID,
            hotkey: Network::key(name),
            stores,
            reach,
            unseen: None,
            state: self.place(name),
            keep_states: self.keep_states,
            stall_after: Duration::from_secs(3_600),
            device,
            engine: None,
            threads: 1,
            json: false,
            metrics: Arc::new(Metrics::new("worker", NETUID).expect("names")),
            drain,
            drained: drained.clone(),
            shutdown,
        };
        let reins = Reins {
            shutdown: stops,
            drain: drains,
            drained,
        };
        (reins, options)
    }

    /// The same on another device.
    pub fn mine_on(&mut self, device: Device, name: &str, behaviour: Behaviour) {
        let options = self.options(device, name);
        self.mine_as(options, name, behaviour);
    }

    /// An honest one whose steps a program makes.
    pub fn mine_with(&mut self, engine: cairn_engine_process::Options, name: &str) {
        let (reins, mut options) = self.options(Device::Cpu, name);
        options.engine = Some(engine);
        self.mine_as((reins, options), name, Behaviour::Honest);
    }

    /// An honest one that names these endpoints beside its own.
    pub fn mine_at(&mut self, endpoints: Vec<Text>, name: &str) {
        let (reins, mut options) = self.options(Device::Cpu, name);
        options.reach.endpoints = endpoints;
        self.mine_as((reins, options), name, Behaviour::Honest);
    }

    fn mine_as(
        &mut self,
        (reins, options): (Reins, WorkerOptions),
        name: &str,
        behaviour: Behaviour,
    ) {
        let metrics = options.metrics.clone();
        // A clock that stands still: there is always time for another step.
        let work = mine(self.chain.clone(), options, behaviour, Arc::new(|| 0));
        let task = tokio::spawn(work);
        self.workers.push(Worker {
            name: name.into(),
            metrics,
            task,
            reins,
        });
    }

    /// An honest one that was told to drain before it was started.
    pub fn mine_drained(&mut self, name: &str) {
        let (reins, options) = self.options(Device::Cpu, name);
        reins.drain.send_replace(true);
        self.mine_as((reins, options), name, Behaviour::Honest);
    }

    /// Tells a worker to drain: of several of that name the last one.
    pub fn drain(&self, name: &str) {
        let mut newest = self.workers.iter().rev();
        let worker = newest.find(|worker| worker.name == name).expect("started");
        worker.reins.drain.send_replace(true);
    }

    /// What becomes true once that worker has drained.
    pub fn drained(&self, name: &str) -> Arc<AtomicBool> {
        let mut newest = self.workers.iter().rev();
        let worker = newest.find(|worker| worker.name == name).expect("started");
        worker.reins.drained.clone()
    }

    /// Starts a validator.
    pub fn validate(&mut self, name: &str) {
        self.validate_on(Device::Cpu, name);
    }

    /// The same on another device.
    pub fn validate_on(&mut self, device: Device, name: &str) {
        let options = self.options(device, name);
        self.validate_as(options, name);
    }

    /// The same with a file of a text that miners do not have.
    pub fn validate_with(&mut self, unseen: PathBuf, name: &str) {
        let (reins, mut options) = self.options(Device::Cpu, name);
        options.unseen = Some(unseen);
        self.validate_as((reins, options), name);
    }

    fn validate_as(&mut self, (reins, options): (Reins, WorkerOptions), name: &str) {
        let metrics = options.metrics.clone();
        let task = tokio::spawn(validate(self.chain.clone(), options));
        self.workers.push(Worker {
            name: name.into(),
            metrics,
            task,
            reins,
        });
    }

    /// Bytes of files that a worker fetched from other members since it was started.
    pub fn fetched_from_members(&self, name: &str) -> u64 {
        self.counted(name, ["fetched_bytes_total", "from=\"members\""])
    }

    /// Inner steps that a miner made again to serve what was audited, since it was started.
    pub fn made_again(&self, name: &str) -> u64 {
        self.counted(name, ["replayed_steps_total", "role="])
    }

    /// The highest block that a worker has seen since it was started.
    pub fn best_block(&self, name: &str) -> u64 {
        self.counted(name, ["best_block", ""])
    }

    /// How often a worker's store did not take what it was to publish, since it was started.
    pub fn failed_to_publish(&self, name: &str) -> u64 {
        self.counted(name, ["failures_total", "kind=\"publish\""])
    }

    /// The one of a worker's counters in whose line all of this is.
    fn counted(&self, name: &str, what: [&str; 2]) -> u64 {
        let worker = self.workers.iter().find(|worker| worker.name == name);
        let shown = worker.expect("started").metrics.exposition();
        let shown = shown.expect("text");
        let mut lines = shown.lines().filter(|line| !line.starts_with('#'));
        let line = lines.find(|line| what.iter().all(|what| line.contains(what)));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        value.expect("a number")
    }

    /// Drops a worker as `kill -9` would: no word to it.
    pub async fn kill(&mut self, name: &str) {
        let index = self
            .workers
            .iter()
            .position(|worker| worker.name == name)
            .expect("started");
        let worker = self.workers.remove(index);
        worker.task.abort();
        let _ = worker.task.await;
        self.until_unlocked(name).await;
    }

    /// Waits until nothing holds a worker's state any more. The end of a process ends all of its threads at once; that
    /// of a task lets a thread that computes go on to its end, and hold the lock until then.
    pub async fn until_unlocked(&self, name: &str) {
        let directory = self.state_dir(name);
        let below = std::fs::read_dir(&directory).into_iter().flatten();
        let below = below.map(|entry| entry.expect("readable").path());
        let locks = below.chain([directory.clone()]).map(|at| at.join(LOCK));
        for lock in locks.filter(|lock| lock.is_file()) {
            let file = File::options().write(true).open(&lock).expect("a file");
            let wait = move || Flock::lock(file, FlockArg::LockExclusive).map(drop);
            let waited = tokio::task::spawn_blocking(wait).await.expect("no panic");
            waited.expect("the lock");
        }
    }

    /// Waits until a worker (of several of that name the last one) has stopped by itself, and gives the
    /// reason.
    pub async fn end(&mut self, name: &str) -> Result<(), RoleError> {
        let index = self
            .workers
            .iter()
            .rposition(|worker| worker.name == name)
            .expect("started");
        let worker = self.workers.remove(index);
        worker.task.await.expect("no panic")
    }

    /// Tells all workers to stop and waits until they have.
    pub async fn stop(mut self) {
        for worker in self.workers.drain(..) {
            let _ = worker.reins.shutdown.send(true);
            worker.task.await.expect("no panic").expect("no error");
        }
    }
}
