//! Serving what is audited of this miner's work.

use bytes::Bytes;
use cairn_engine::{audit, Engine};
use cairn_primitives::{Round, Served, H256};
use cairn_round::audit::{Demand, Shown};
use cairn_store::paths;

use super::{
    make::{Text, ASSIGNED},
    Opener, Outcome,
};
use crate::roles::{
    chain::Chain,
    driver::{with_engine, Desk, Ended, Jobs},
    run::Run,
    setup::locked,
    state::{Change, Traced},
    RoleError,
};

/// Makes what is audited again, from the state that is held until the round is applied; stores it, and puts its root on
/// disk.
pub(super) fn begin<C: Chain>(
    desk: &Desk<C>,
    jobs: &mut Jobs<Outcome>,
    demand: Demand,
    traced: Traced,
    opener: Opener,
) {
    let desk = desk.clone();
    jobs.spawn(async move {
        let round = demand.round;
        let served = match serve(&desk, demand, traced, opener).await {
            Ok(served) => served,
            Err(error) if error.is_transient() => {
                tracing::warn!("round {round} · its audit is not served yet: {error}");
                None
            }
            Err(RoleError::Engine(error)) => {
                tracing::error!("round {round} · its audit cannot be served: {error}");
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Ended::Own(Outcome::Served(round, served)))
    });
}

async fn serve<C: Chain>(
    desk: &Desk<C>,
    demand: Demand,
    traced: Traced,
    opener: Opener,
) -> Result<Option<Served>, RoleError> {
    let (run, round) = (desk.run.clone(), demand.round);
    let blob = with_engine(desk, move |engine| {
        engine.discard();
        opener(engine, &run, &demand, &traced)
    })
    .await?;
    match blob {
        Some(blob) => Ok(Some(put(desk, round, blob.into()).await?)),
        None => Ok(None),
    }
}

/// The blob of steps on what was assigned.
pub(super) fn open(
    engine: &mut dyn Engine,
    run: &Run,
    demand: &Demand,
    traced: &Traced,
) -> Result<Option<Vec<u8>>, RoleError> {
    open_of(ASSIGNED, engine, run, demand, traced)
}

/// The blob of steps on this text.
pub(super) fn open_of(
    text: Text,
    engine: &mut dyn Engine,
    run: &Run,
    demand: &Demand,
    traced: &Traced,
) -> Result<Option<Vec<u8>>, RoleError> {
    let mut sequences = |step| run.windows(&text(&demand.plan, demand.slot, step));
    let traced = audit::Traced {
        steps: traced.steps,
        states: &traced.states,
        every: run.config.inner.trace_every,
    };
    Ok(audit::open(engine, traced, demand.drawn, &mut sequences)?)
}

/// Stores a blob, and says on disk that it is served.
async fn put<C: Chain>(desk: &Desk<C>, round: Round, blob: Bytes) -> Result<Served, RoleError> {
    let served = Served {
        root: H256(*blake3::hash(&blob).as_bytes()),
        length: blob.len() as u64,
    };
    let prefix = paths::audits(desk.run.netuid, round);
    desk.run.store.put_blob(&prefix, blob).await?;
    let state = desk.state.clone();
    let saved = tokio::task::spawn_blocking(move || {
        locked(&state).save(&Change {
            shown: Some(Shown { round, served }),
            ..Change::default()
        })
    });
    saved.await??;
    Ok(served)
}
