//! Serving what is audited of this miner's work.

use bytes::Bytes;
use cairn_engine::{audit, Engine, EngineError, State};
use cairn_primitives::{Round, Served, H256};
use cairn_round::{
    audit::{Demand, Shown},
    plan::Plan,
    Settlement,
};
use cairn_store::paths;

use super::{
    make::{Text, ASSIGNED},
    Opener, Outcome,
};
use crate::metrics::Stage;
use crate::roles::{
    chain::Chain,
    driver::{with_engine, Desk, Ended, Jobs, PUBLISHES},
    jobs::moving,
    look::settlement,
    run::Run,
    state::{Change, Traced},
    RoleError,
};

/// Makes what is audited again, from what the round began with; stores it, and puts its root on disk.
pub(super) fn begin<C: Chain>(
    desk: &Desk<C>,
    jobs: &mut Jobs<Outcome>,
    demand: Demand,
    opener: Opener,
) {
    let desk = desk.clone();
    let (parameters, rules) = (desk.run.layout.parameters(), &desk.run.config.audits);
    let longest = cairn_protocol::audit::longest(parameters as u64, rules);
    let moves = moving(PUBLISHES, longest);
    jobs.spawn_moving("serving an audit", moves, async move {
        let _timer = desk.time(Stage::Serve);
        let round = demand.round;
        let served = without_failures(round, serve(&desk, demand, opener).await)?;
        Ok(Ended::Own(Outcome::Served(round, served)))
    });
}

/// What is served; nothing where that failed and the miner goes on all the same. It does not where only another process
/// can use the device: that one finds on disk what it has to serve.
fn without_failures(
    round: Round,
    served: Result<Option<Served>, RoleError>,
) -> Result<Option<Served>, RoleError> {
    match served {
        Err(error) if error.is_transient() => {
            tracing::warn!("round {round} · its audit is not served yet: {error}");
            Ok(None)
        }
        Err(RoleError::Engine(error)) if !matches!(error, EngineError::Broken(_)) => {
            tracing::error!("round {round} · its audit cannot be served: {error}");
            Ok(None)
        }
        served => served,
    }
}

async fn serve<C: Chain>(
    desk: &Desk<C>,
    demand: Demand,
    opener: Opener,
) -> Result<Option<Served>, RoleError> {
    let (run, round) = (desk.run.clone(), demand.round);
    let (at, hotkey) = (desk.heads.finalized.hash, run.hotkey.hotkey());
    let settled = settlement(&desk.chain, &run, at, round).await?;
    let slot_of = |settled: &Settlement| {
        let mut miners = settled.miners.iter();
        miners.position(|(_, miner)| *miner == hotkey)
    };
    let state = desk.state.clone();
    let kept = tokio::task::spawn_blocking(move || state.lock()?.audited()).await??;
    let kept = kept.filter(|(audited, _)| audited.demand == demand);
    let (Some(settled), Some((audited, before))) = (settled, kept) else {
        return Ok(None);
    };
    let Some(slot) = slot_of(&settled) else {
        return Ok(None);
    };
    let blob = with_engine(desk, move |engine| {
        let asked = Asked {
            run: &run,
            plan: &settled.plan,
            slot: slot as u64,
            before,
            traced: &audited.traced,
            drawn: demand.drawn,
        };
        opener(engine, asked)
    })
    .await?;
    match blob {
        Some(blob) => Ok(Some(put(desk, round, blob.into()).await?)),
        None => Ok(None),
    }
}

/// What is asked of this miner's contribution to a round.
pub(super) struct Asked<'a> {
    pub run: &'a Run,
    pub plan: &'a Plan,
    pub slot: u64,
    /// With which the round began.
    pub before: State,
    pub traced: &'a Traced,
    /// The interval follows from this.
    pub drawn: u32,
}

/// The blob of steps on what was assigned.
pub(super) fn open(engine: &mut dyn Engine, asked: Asked) -> Result<Option<Vec<u8>>, RoleError> {
    open_of(ASSIGNED, engine, asked)
}

/// The blob of steps on this text.
pub(super) fn open_of(
    text: Text,
    engine: &mut dyn Engine,
    asked: Asked,
) -> Result<Option<Vec<u8>>, RoleError> {
    let Asked {
        run, plan, slot, ..
    } = asked;
    let mut sequences = |step| run.windows(&text(plan, slot, step));
    let traced = audit::Traced {
        steps: asked.traced.steps,
        states: &asked.traced.states,
        every: run.config.inner.trace_every,
    };
    let made = audit::open(engine, asked.before, traced, asked.drawn, &mut sequences);
    Ok(made?)
}

/// Stores a blob, and says on disk that it is served.
async fn put<C: Chain>(desk: &Desk<C>, round: Round, blob: Bytes) -> Result<Served, RoleError> {
    let served = Served {
        root: H256(*blake3::hash(&blob).as_bytes()),
        length: blob.len() as u64,
    };
    let prefix = paths::audits(desk.run.netuid.get(), round);
    desk.run.store.publish(&prefix, blob).await?;
    let state = desk.state.clone();
    let saved = tokio::task::spawn_blocking(move || {
        state.lock()?.save(&Change {
            shown: Some(Shown { round, served }),
            ..Change::default()
        })
    });
    saved.await??;
    Ok(served)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_another_process_ends_a_miner() {
        let after = |error: EngineError| without_failures(7, Err(RoleError::Engine(error)));
        for error in [
            EngineError::DeviceLost("lost".into()),
            EngineError::Foreign("of another run".into()),
        ] {
            assert!(matches!(after(error), Ok(None)));
        }
        let ended = after(EngineError::Broken("started again".into()));
        assert!(matches!(
            ended,
            Err(RoleError::Engine(EngineError::Broken(_)))
        ));
    }
}
