//! What both roles do before their loop: find the run, load its data, open the state, get weights.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cairn_chain::{AccountId, Keypair, RunInfo};
use cairn_primitives::{Netuid, H256};
use cairn_trainer::engine::{Device, Engine};
use tokio::sync::watch;

use super::{
    chain::Chain,
    heads::{HeadFollower, Heads},
    held::Held,
    join::join,
    progress::{Progress, Reporter},
    run::Run,
    state::{Change, Identity, Saved, StateDir},
    RoleError,
};

/// What both roles are told.
pub(super) struct Common {
    pub netuid: Netuid,
    pub hotkey: Keypair,
    pub store_url: String,
    pub state_dir: PathBuf,
    pub reporter: Reporter,
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
    let (heads, info) = find_run(&chain, &mut follower, common.netuid).await?;
    let hotkey = AccountId::of(&common.hotkey);
    let run = Run::load(common.netuid, hotkey, &info, &common.store_url).await?;
    let identity = Identity {
        genesis: chain.genesis(),
        netuid: run.netuid,
        started_at: run.started_at,
        initial_root: run.config.initial_root,
        hotkey: H256(hotkey.0),
    };
    let state = StateDir::open(&common.state_dir, identity)?;
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
        held,
        saved,
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

/// Waits for the subnet's run to be on the finalised chain.
async fn find_run<C: Chain>(
    chain: &C,
    follower: &mut HeadFollower,
    netuid: Netuid,
) -> Result<(Heads, RunInfo), RoleError> {
    let mut told = false;
    loop {
        let heads = follower.next().await?;
        match chain.run(heads.finalized.hash, netuid).await {
            Ok(Some(info)) => return Ok((heads, info)),
            Ok(None) if !told => {
                tracing::info!("waiting for the run of subnet {netuid} to begin");
                told = true;
            }
            Ok(None) => {}
            Err(error) => {
                let error = RoleError::from(error);
                if !error.is_transient() {
                    return Err(error);
                }
                tracing::warn!("{error}");
            }
        }
    }
}
