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
use crate::metrics::{Metrics, Stage};
use crate::roles::{
    chain::Chain,
    driver::{with_engine, Desk, Ended, Jobs},
    jobs::publishing,
    look::settlement,
    run::Run,
    state::{Change, Traced, Traces},
    RoleError,
};

/// Takes what is audited from what was kept of it, or makes it again, from what the round began with; stores it, and puts
/// its root on disk.
pub(super) fn begin<C: Chain>(
    desk: &Desk<C>,
    jobs: &mut Jobs<Outcome>,
    demand: Demand,
    (opener, traces): (Opener, &Traces),
) {
    let (desk, traces) = (desk.clone(), traces.clone());
    let (parameters, rules) = (desk.run.layout.parameters(), &desk.run.config.audits);
    let longest = cairn_protocol::audit::longest(parameters as u64, rules);
    let moves = publishing(longest);
    jobs.spawn_moving("serving an audit", moves, async move {
        let _timer = desk.time(Stage::Serve);
        let round = demand.round;
        let served = without_failures(round, serve(&desk, demand, (opener, traces)).await)?;
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
    (opener, traces): (Opener, Traces),
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
    let metrics = desk.reporter.metrics.clone();
    let blob = with_engine(desk, move |engine| {
        let asked = Asked {
            run: &run,
            round,
            plan: &settled.plan,
            slot: slot as u64,
            before,
            traced: &audited.traced,
            drawn: demand.drawn,
            kept: &traces,
            metrics: &metrics,
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
    pub round: Round,
    pub plan: &'a Plan,
    pub slot: u64,
    /// With which the round began.
    pub before: State,
    pub traced: &'a Traced,
    /// The interval follows from this.
    pub drawn: u32,
    /// What was kept of its states.
    pub kept: &'a Traces,
    /// What takes note of steps that are made again.
    pub metrics: &'a Metrics,
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
    let traced = audit::Traced {
        steps: asked.traced.steps,
        states: &asked.traced.states,
        every: run.config.inner.trace_every,
    };
    let (class, drawn) = (engine.class(), asked.drawn);
    let mut kept = |number, is_shown| asked.kept.read(asked.round, number, is_shown);
    let kept = audit::open_kept(class, &asked.before, traced, drawn, &mut kept);
    if kept.is_some() {
        return Ok(kept);
    }
    let mut steps = 0u64;
    let mut sequences = |step| {
        steps = steps.saturating_add(1);
        run.windows(&text(plan, slot, step))
    };
    let made = audit::open(engine, asked.before, traced, drawn, &mut sequences);
    asked.metrics.made_again(steps);
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
