//! What both roles do before their loop: find the run, load its data, open the state, get weights.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cairn_chain::{AccountId, Keypair, RunInfo};
use cairn_primitives::{BlockNumber, Netuid, H256};
use cairn_trainer::engine::{Device, Engine};
use tokio::sync::watch;

use super::{
    chain::Chain,
    heads::{HeadFollower, Heads},
    held::Held,
    join::join,
    progress::{Progress, Reporter},
    run::Run,
    state::{Change, Identity, Saved, StateDir, StatePlace},
    waiting::{why_no_run, Said},
    RoleError,
};

/// What both roles are told.
pub(super) struct Common {
    pub netuid: Netuid,
    pub hotkey: Keypair,
    pub store_url: String,
    pub state: StatePlace,
    pub reporter: Reporter,
}

impl Common {
    /// Whether a worker that stopped for this reason begins anew, with the run that is there now.
    pub fn begins_again(&self, error: &RoleError) -> bool {
        matches!(error, RoleError::RunReplaced { .. }) && self.state.has_room_for_another_run()
    }

    /// Says that it does.
    pub fn say_another_run(&self, error: &RoleError) {
        if let RoleError::RunReplaced { found, .. } = error {
            let started_at = *found;
            self.reporter.say(&Progress::AnotherRun { started_at });
        }
    }
}

/// Opens the device that a worker computes the run's model on, and says which it is.
pub(super) fn open_engine(device: Device, run: &Run, threads: usize) -> Result<Engine, RoleError> {
    let (engine, no_card) = Engine::open(device, &run.config.model, threads)?;
    match no_card {
        Some(reason) => tracing::info!("computing on {}: {reason}", engine.name()),
        None => tracing::info!("computing on {}", engine.name()),
    }
    Ok(engine)
}

/// The state directory, shared with the jobs that write it.
pub(super) type SharedState = Arc<Mutex<StateDir>>;

/// What both loops begin with.
pub(super) struct Setup<C> {
    pub chain: C,
    pub follower: HeadFollower,
    pub heads: Heads,
    pub info: RunInfo,
    pub run: Arc<Run>,
    pub state: SharedState,
    pub directory: PathBuf,
    pub held: Held,
    pub saved: Option<Saved>,
}

/// Locks, also after a panic elsewhere: what is behind the lock is consistent after each of its methods.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until it is time to stop. A sender that is gone says so too.
pub(super) async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// Gets everything ready.
pub(super) async fn begin<C: Chain>(chain: C, common: &Common) -> Result<Setup<C>, RoleError> {
    let mut follower = HeadFollower::new(&chain);
    let (heads, info) = find_run(&chain, &mut follower, common).await?;
    let hotkey = AccountId::of(&common.hotkey);
    let run = Run::load(common.netuid, hotkey, &info, &common.store_url).await?;
    let identity = Identity {
        genesis: chain.genesis(),
        netuid: run.netuid,
        started_at: run.started_at,
        started_in: started_in(&chain, run.started_at).await?,
        initial_root: run.config.initial_root,
        hotkey: H256(hotkey.0),
    };
    let directory = common.state.of(&identity);
    let state = StateDir::open(&directory, identity)?;
    tracing::info!("state is in {}", directory.display());
    let saved = state.load()?;
    let state: SharedState = Arc::new(Mutex::new(state));
    let held = match &saved {
        Some(saved) => Held {
            round: saved.round,
            theta: saved.theta.clone().into(),
            root: saved.root,
        },
        None => {
            let held = join(&chain, &run, heads.finalized.hash, &info).await?;
            save_weights(&state, &held)?;
            held
        }
    };
    common.reporter.say(&Progress::Ready {
        round: held.round,
        state_root: held.root,
        resumed: saved.is_some(),
    });
    Ok(Setup {
        chain,
        follower,
        heads,
        info,
        run,
        state,
        directory,
        held,
        saved,
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

/// Writes weights that were fetched: whatever was open is void.
pub(super) fn save_weights(state: &SharedState, held: &Held) -> Result<(), RoleError> {
    let weights = Some((held.round, held.root, held.theta.as_slice()));
    Ok(locked(state).save(&Change {
        weights,
        ..Change::default()
    })?)
}

/// Waits for the subnet's run to be on the finalised chain, and says so.
async fn find_run<C: Chain>(
    chain: &C,
    follower: &mut HeadFollower,
    common: &Common,
) -> Result<(Heads, RunInfo), RoleError> {
    let mut said = Said::default();
    loop {
        let heads = follower.next().await?;
        match look_for_run(chain, heads, common, &mut said).await {
            Ok(Some(info)) => return Ok((heads, info)),
            Ok(None) => {}
            Err(error) if error.is_transient() => tracing::warn!("{error}"),
            Err(error) => return Err(error),
        }
    }
}

async fn look_for_run<C: Chain>(
    chain: &C,
    heads: Heads,
    common: &Common,
    said: &mut Said,
) -> Result<Option<RunInfo>, RoleError> {
    if let Some(info) = chain.run(heads.finalized.hash, common.netuid).await? {
        return Ok(Some(info));
    }
    let reason = why_no_run(chain, heads, common.netuid, false).await?;
    if said.is_due(&reason, heads.best.number) {
        let block = heads.best.number;
        common.reporter.say(&Progress::Waiting { block, reason });
    }
    Ok(None)
}
