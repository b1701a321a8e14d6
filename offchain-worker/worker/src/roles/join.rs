//! Parameters for who comes late.
//!
//! The newest checkpoint in a store whose root the chain's lineage has as final; failing that the run's first
//! parameters. From there the worker's loop applies the rounds that were settled since, one after the other, and
//! compares the root after each with the lineage: the same way that everybody goes.

use std::{path::Path, sync::Arc, time::Duration};

use cairn_chain::RunInfo;
use cairn_engine::{Part, State, Version};
use cairn_primitives::{Round, H256};
use cairn_protocol::{
    checkpoint::{self, Source as From},
    limits::CHECKPOINT_ATTEMPTS,
    verdict::Ends,
};
use cairn_round::Held;
use cairn_store::{fetch, paths, Blob, Patience, Source, Store};

use super::{
    chain::Chain,
    driver::{with_engine, Desk},
    run::Run,
    setup::locked,
    sources,
    state::{floats, read, Change, OpenChange},
    RoleError,
};
use crate::shards;

/// For a checkpoint: this, and a second for each MiB, before another one is tried.
const LEAST: Duration = Duration::from_secs(60);

/// Writes a checkpoint of the parameters held, or of those before them. Its name is the model root, since that is the
/// hash of its bytes. `false` if the engine no longer has them.
///
/// # Errors
/// Those of engine and store.
pub(super) async fn write_checkpoint<C: Send + 'static>(
    desk: &Desk<C>,
    held: Held,
) -> Result<bool, RoleError> {
    let run = &desk.run;
    let prefix = paths::checkpoints(run.netuid.get(), held.round);
    if run.store.has_blob(&prefix, &held.root.0).await? {
        return Ok(true);
    }
    let bytes = with_engine(desk, move |engine| {
        for version in [Version::Held, Version::Base] {
            if engine.root(version).ok() == Some(held.root) {
                return Ok(read(engine, version, Part::Parameters)?);
            }
        }
        Ok(None)
    })
    .await?;
    let Some(bytes) = bytes else {
        return Ok(false);
    };
    run.store.publish(&prefix, bytes).await?;
    Ok(true)
}

/// Loads the newest parameters to be had that the chain vouches for, as of the finalised block, and puts them on
/// disk. What is known of the optimizer and of the error feedback stays, unless a contribution is open: nobody here
/// knows then from which of two states its maker has to go on, and from nothing everybody may.
///
/// # Errors
/// [`RoleError::NoCheckpoint`] if the chain no longer keeps what follows the parameters that there are,
/// [`RoleError::Run`] if the run's first parameters do not come out as the chain has them.
pub(super) async fn join<C: Chain>(desk: &Desk<C>, info: &RunInfo) -> Result<Held, RoleError> {
    let at = desk.heads.finalized.hash;
    let place = locked(&desk.state).joining();
    let others = sources::validators(desk, &info.round.validators).await;
    let (held, parameters) = newest(&desk.chain, &desk.run, at, info, (&place, &others)).await?;
    let (state, run) = (desk.state.clone(), desk.run.clone());
    with_engine(desk, move |engine| {
        let known = engine.state(Version::Held).ok();
        let known = known.filter(|known| known.sent.is_none());
        let begins_anew = known.is_none();
        let (optimizer, feedback) = known.map_or((None, None), |it| (it.optimizer, it.feedback));
        let root = engine.load(State {
            parameters,
            optimizer,
            feedback,
            // It follows from the files of a round that was not applied here.
            norm: None,
            sent: None,
        })?;
        let ends = Ends::from_round(held.round);
        if root != held.root {
            let what = format!(
                "parameters with the root {root:?} were taken for {:?}",
                held.root
            );
            return Err(RoleError::Broken(what));
        }
        locked(&state).save(&Change {
            held: Some(held),
            parameters: read(engine, Version::Held, Part::Parameters)?,
            begins_anew,
            ends: Some(&ends),
            // Whatever was open is void.
            open: OpenChange::Void,
            ..Change::default()
        })?;
        *locked(&run.norm) = None;
        *locked(&run.ends) = ends;
        Ok(held)
    })
    .await
}

/// The newest parameters to be had that the chain vouches for. A checkpoint is downloaded below `place`, where a
/// download that was cut off goes on; nothing is left there afterwards. Stores are asked, and these others.
pub(super) async fn newest<C: Chain>(
    chain: &C,
    run: &Run,
    at: H256,
    info: &RunInfo,
    (place, others): (&Path, &[Arc<dyn Source>]),
) -> Result<(Held, Vec<f32>), RoleError> {
    let oldest = info.oldest_round;
    let from = checkpoint::first_looked_at(info.round.round, oldest);
    let lineage = chain.lineage(at, run.netuid, from).await?;
    let finals = lineage.iter().filter(|entry| entry.is_final);
    let finals = finals.map(|entry| (entry.round, entry.model_root));
    let finals: Vec<(Round, H256)> = finals.collect();
    let there = there(run, &finals, others).await?;
    let candidates = checkpoint::candidates(there, finals, oldest);
    for source in checkpoint::sources(None, &candidates, oldest) {
        match source {
            From::Held(_) => {}
            From::Checkpoint(round, root) => {
                let held = Held { round, root };
                if let Some(parameters) = read_checkpoint(run, held, place, others).await {
                    return Ok((held, parameters));
                }
            }
            From::First => {
                let parameters = shards::verified_parameters(&run.config, &run.data_store).await?;
                let root = run.config.initial_root;
                return Ok((Held { round: 0, root }, parameters));
            }
        }
    }
    Err(RoleError::NoCheckpoint {
        netuid: run.netuid,
        oldest,
        store: run.store.url().to_string(),
    })
}

/// Bytes of a checkpoint.
fn bytes_of(run: &Run) -> u64 {
    (run.layout.parameters() as u64).saturating_mul(4)
}

/// The newest checkpoints of rounds with final roots that somebody has, as many as are tried. Nothing is listed, which
/// not every store can: the chain names every root.
pub(super) async fn there(
    run: &Run,
    finals: &[(Round, H256)],
    others: &[Arc<dyn Source>],
) -> Result<Vec<(Round, H256)>, RoleError> {
    let mut due: Vec<(Round, H256)> = finals
        .iter()
        .filter(|(round, _)| checkpoint::is_due(*round))
        .copied()
        .collect();
    due.sort_unstable_by(|a, b| b.cmp(a));
    let mut found = Vec::new();
    let mut answering = others.to_vec();
    for (round, root) in due {
        let prefix = paths::checkpoints(run.netuid.get(), round);
        let mut is_there = false;
        for store in run.stores() {
            let is_own = store.url() == run.store.url();
            match store.has_blob(&prefix, &root.0).await {
                Ok(false) => {}
                Ok(true) => {
                    is_there = true;
                    break;
                }
                Err(error) if is_own => return Err(error.into()),
                // A stranger's store that fails keeps nobody from joining.
                Err(error) => tracing::warn!("{error}; passed over"),
            }
        }
        let (path, length) = (paths::blob(&prefix, &root.0), bytes_of(run));
        if !is_there {
            is_there = somebody_has(&mut answering, &path, length).await;
        }
        found.extend(is_there.then_some((round, root)));
        if found.len() == CHECKPOINT_ATTEMPTS {
            break;
        }
    }
    Ok(found)
}

/// Whether one of these has a file. Who does not answer is not asked again.
async fn somebody_has(answering: &mut Vec<Arc<dyn Source>>, path: &str, length: u64) -> bool {
    let asked = answering.iter();
    let asked = asked.map(|one| sources::has(one.as_ref(), path, length));
    let answers = futures::future::join_all(asked).await;
    let mut answered = answers.iter().map(Result::is_ok);
    answering.retain(|_| answered.next().unwrap_or(false));
    answers.into_iter().any(|answer| answer.unwrap_or(false))
}

/// A checkpoint, if it is there and of this run's model. It is checked while it arrives.
pub(super) async fn read_checkpoint(
    run: &Run,
    held: Held,
    place: &Path,
    others: &[Arc<dyn Source>],
) -> Option<Vec<f32>> {
    let round = held.round;
    match download(run, held, place, others).await {
        Ok(file) => {
            // Others that were begun are of no use any more.
            if let Err(error) = tokio::fs::remove_dir_all(place).await {
                tracing::debug!("{} stays: {error}", place.display());
            }
            Some(floats(&file))
        }
        Err(error) => {
            tracing::warn!("the checkpoint of round {round}: {error}; passed over");
            None
        }
    }
}

async fn download(
    run: &Run,
    held: Held,
    place: &Path,
    others: &[Arc<dyn Source>],
) -> Result<Vec<u8>, String> {
    let length = bytes_of(run);
    let blob = Blob::new(
        &paths::checkpoints(run.netuid.get(), held.round),
        held.root.0,
        length,
    );
    let into = place.join(held.round.to_string());
    let stores = run.stores().map(Store::source);
    let sources: Vec<_> = stores.chain(others.iter().cloned()).collect();
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let limit = LEAST.saturating_add(Duration::from_secs(length >> 20));
    let fetched = fetch(&blob, &sources, &into, Patience::default());
    let fetched = tokio::time::timeout(limit, fetched).await.map_err(|_| {
        let seconds = limit.as_secs();
        format!("it did not come in {seconds} s; what came stays")
    })?;
    let fetched = fetched.map_err(|error| said(&error))?;
    if fetched.resumed > 0 {
        let (had, all) = (fetched.resumed >> 20, length >> 20);
        tracing::info!("the download went on where it was: {had} of {all} MiB were there");
    }
    tokio::fs::read(&into).await.map_err(|error| said(&error))
}
