//! Parameters for who comes late.
//!
//! The newest checkpoint in a store whose root the chain's lineage has as final; failing that the run's first
//! parameters. From there the worker's loop applies the rounds that were settled since, one after the other, and
//! compares the root after each with the lineage: the same way that everybody goes.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use cairn_chain::RunInfo;
use cairn_engine::{Part, Shared, State, Version};
use cairn_primitives::{ModelRoot, Round, H256};
use cairn_protocol::{
    checkpoint::{self, Source as From},
    limits::CHECKPOINT_ATTEMPTS,
    verdict::Ends,
};
use cairn_round::Held;
use cairn_store::{
    fetch_metered, paths, Blob, FetchError, Meter, Outcome, Patience, Source, Store,
};

use super::{
    chain::Chain,
    driver::{with_engine, Desk},
    run::Run,
    setup::locked,
    sources::{self, Asked, Notes},
    state::{floats, Change, OpenChange},
    RoleError,
};
use crate::shards;

/// For a checkpoint: this, and a second for each MiB, before another one is tried.
const LEAST: Duration = Duration::from_secs(60);
/// How often it is said how far a checkpoint is.
const SAY_EVERY: Duration = Duration::from_secs(10);

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
    if run.store.has_blob(&prefix, held.root.bytes()).await? {
        return Ok(true);
    }
    let parameters = with_engine(desk, move |engine| {
        for version in [Version::Held, Version::Base] {
            if engine.root(version).ok() == Some(held.root) {
                return Ok(engine.shared(version, Part::Parameters)?);
            }
        }
        Ok(None)
    })
    .await?;
    let Some(parameters) = parameters else {
        return Ok(false);
    };
    let bytes = tokio::task::spawn_blocking(move || little_endian(&parameters)).await?;
    run.store.publish(&prefix, bytes).await?;
    Ok(true)
}

/// A vector's numbers as little-endian bytes.
fn little_endian(vector: &Shared) -> Vec<u8> {
    let numbers = vector.numbers();
    let mut bytes = Vec::with_capacity(size_of_val(numbers));
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    bytes
}

/// Loads the newest parameters to be had that the chain vouches for, as of the finalised block, and puts them on
/// disk: newer ones than its `own`, if any are held. What is known of the optimizer and of the error feedback stays,
/// unless a contribution is open: nobody here knows then from which of two states its maker has to go on, and from
/// nothing everybody may.
///
/// # Errors
/// [`RoleError::NoCheckpoint`] if the chain no longer keeps what follows the parameters that there are, or none of them
/// are newer, [`RoleError::Run`] if the run's first parameters do not come out as the chain has them.
pub(super) async fn join<C: Chain>(
    desk: &Desk<C>,
    info: &RunInfo,
    own: Option<Held>,
) -> Result<Held, RoleError> {
    let newer = own.map_or(0, |own| own.round.saturating_add(1));
    let info = &RunInfo {
        oldest_round: info.oldest_round.max(newer),
        ..info.clone()
    };
    let at = desk.heads.finalized.hash;
    let place = desk.state.joining();
    let others = sources::validators(desk, &info.round.validators).await;
    let (held, parameters) = newest(&desk.chain, &desk.run, at, info, (&place, &others)).await?;
    let (state, run) = (desk.state.clone(), desk.run.clone());
    with_engine(desk, move |engine| {
        let known = engine.state(Version::Held).ok();
        let has_open = state.lock()?.has_open();
        let known = known.filter(|known| known.sent.is_none() && !has_open);
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
        state.lock()?.save(&Change {
            held: Some(held),
            parameters: engine.shared(Version::Held, Part::Parameters)?,
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
/// download that was cut off goes on; nothing is left there afterwards. Stores are asked, and these others. Who says
/// that it has one and does not bring it is not asked again, so that liars hold nobody up for longer than there are
/// others.
pub(super) async fn newest<C: Chain>(
    chain: &C,
    run: &Run,
    at: H256,
    info: &RunInfo,
    (place, others): (&Path, &[Asked]),
) -> Result<(Held, Vec<f32>), RoleError> {
    let oldest = info.oldest_round;
    let from = checkpoint::first_looked_at(info.round.round, oldest);
    let lineage = chain.lineage(at, run.netuid, from).await?;
    let finals = lineage.iter().filter(|entry| entry.is_final);
    let finals = finals.map(|entry| (entry.round, entry.model_root));
    let finals: Vec<(Round, ModelRoot)> = finals.collect();
    let mut others = others.to_vec();
    loop {
        let claims = there(run, &finals, &others).await?;
        let listed = claims.iter().map(|claim| (claim.round, claim.root));
        let candidates = checkpoint::candidates(listed, finals.iter().copied(), oldest);
        let mut fallen = BTreeSet::new();
        for source in checkpoint::sources(None, &candidates, oldest) {
            match source {
                From::Checkpoint(round, root) => {
                    let held = Held { round, root };
                    if let Some(parameters) = read_checkpoint(run, held, place, &others).await {
                        return Ok((held, parameters));
                    }
                    let claim = claims.iter().find(|claim| claim.round == round);
                    fallen.extend(claim.into_iter().flat_map(|claim| &claim.by).copied());
                }
                From::First if fallen.is_empty() => {
                    let parameters =
                        shards::verified_parameters(&run.config, &run.data_store).await?;
                    let root = run.config.initial_root;
                    return Ok((Held { round: 0, root }, parameters));
                }
                From::First | From::Held(_) => {}
            }
        }
        if fallen.is_empty() {
            return Err(RoleError::NoCheckpoint {
                netuid: run.netuid,
                oldest,
                store: run.store.url().to_string(),
            });
        }
        tracing::warn!(
            "{} of {} members said that they had checkpoints and brought none: they are not asked again",
            fallen.len(),
            others.len()
        );
        let mut number = 0..others.len();
        others.retain(|_| number.next().is_some_and(|it| !fallen.contains(&it)));
    }
}

/// A checkpoint that is said to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// Its round.
    pub round: Round,
    /// Its root.
    pub root: ModelRoot,
    /// Who of the others says so, by its place; nobody if a store has it.
    pub by: Vec<usize>,
}

/// Bytes of a checkpoint.
fn bytes_of(run: &Run) -> u64 {
    (run.layout.parameters() as u64).saturating_mul(4)
}

/// The newest checkpoints of rounds with final roots that somebody says to have, as many as are tried. Nothing is
/// listed, which not every store can: the chain names every root.
pub(super) async fn there(
    run: &Run,
    finals: &[(Round, ModelRoot)],
    others: &[Asked],
) -> Result<Vec<Claim>, RoleError> {
    let due = finals
        .iter()
        .filter(|(round, _)| checkpoint::is_due(*round, run.config.checkpoint_every));
    let mut due: Vec<(Round, ModelRoot)> = due.copied().collect();
    due.sort_unstable_by(|a, b| b.cmp(a));
    let mut found = Vec::new();
    let mut answering: Vec<usize> = (0..others.len()).collect();
    for (round, root) in due {
        let prefix = paths::checkpoints(run.netuid.get(), round);
        let mut by = Vec::new();
        let is_there = in_a_store(run, &prefix, &root).await?;
        if !is_there {
            let (path, length) = (paths::blob(&prefix, root.bytes()), bytes_of(run));
            by = who_has(others, &mut answering, &path, length).await;
        }
        if is_there || !by.is_empty() {
            found.push(Claim { round, root, by });
        }
        if found.len() == CHECKPOINT_ATTEMPTS {
            break;
        }
    }
    Ok(found)
}

/// Whether one of the run's stores has a file of this name.
async fn in_a_store(run: &Run, prefix: &str, root: &ModelRoot) -> Result<bool, RoleError> {
    for store in run.stores() {
        let is_own = store.url() == run.store.url();
        match store.has_blob(prefix, root.bytes()).await {
            Ok(false) => {}
            Ok(true) => return Ok(true),
            Err(error) if is_own => return Err(error.into()),
            // A stranger's store that fails keeps nobody from joining.
            Err(error) => tracing::warn!("{error}; passed over"),
        }
    }
    Ok(false)
}

/// Who of those that answer says that it has a file. Who does not answer is not asked again.
async fn who_has(
    others: &[Asked],
    answering: &mut Vec<usize>,
    path: &str,
    length: u64,
) -> Vec<usize> {
    let asked = answering
        .iter()
        .filter_map(|at| Some((*at, others.get(*at)?)));
    let asked = asked.map(|(at, one)| async move {
        let answer = sources::has(one.source.as_ref(), path, length).await;
        (at, answer)
    });
    let answers = futures::future::join_all(asked).await;
    *answering = answers
        .iter()
        .filter(|(_, answer)| answer.is_ok())
        .map(|(at, _)| *at)
        .collect();
    let has = answers
        .into_iter()
        .filter(|(_, answer)| matches!(answer, Ok(true)));
    has.map(|(at, _)| at).collect()
}

/// A checkpoint, if it is there and of this run's model. It is checked while it arrives.
pub(super) async fn read_checkpoint(
    run: &Run,
    held: Held,
    place: &Path,
    others: &[Asked],
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

/// Fetches, and says now and then how far that is.
async fn told(
    blob: &Blob,
    sources: &[Arc<dyn Source>],
    into: &Path,
    meter: &Meter,
) -> Result<Outcome, FetchError> {
    let fetched = fetch_metered(blob, sources, into, Patience::default(), meter);
    tokio::pin!(fetched);
    let (began, mut before) = (Instant::now(), None);
    loop {
        tokio::select! {
            ended = &mut fetched => return ended,
            () = tokio::time::sleep(SAY_EVERY) => {
                let there = meter.bytes();
                // What was there from the beginning took no time.
                let first = *before.get_or_insert((there, began.elapsed()));
                tracing::info!("{}", how_far(blob.length, first, (there, began.elapsed())));
            }
        }
    }
}

/// How far a download is, from what was there at a moment and what is there now.
fn how_far(length: u64, (before, at): (u64, Duration), (there, now): (u64, Duration)) -> String {
    let (mebibytes, all) = (there >> 20, length >> 20);
    let percent = there.saturating_mul(100).checked_div(length).unwrap_or(100);
    let far = format!("joining: {mebibytes} of {all} MiB of a checkpoint are here, {percent} %");
    let came = there.saturating_sub(before) as f64;
    let rate = came / now.saturating_sub(at).as_secs_f64();
    if rate.is_finite() && rate > 0.0 {
        let left = length.saturating_sub(there) as f64 / rate;
        let rate = rate / 1_048_576.0;
        format!("{far}; {rate:.1} MiB a second, about {left:.0} s more")
    } else {
        far
    }
}

async fn download(
    run: &Run,
    held: Held,
    place: &Path,
    others: &[Asked],
) -> Result<Vec<u8>, String> {
    let length = bytes_of(run);
    let blob = Blob::new(
        &paths::checkpoints(run.netuid.get(), held.round),
        *held.root.bytes(),
        length,
    );
    let into = place.join(held.round.to_string());
    let mut sources: Vec<_> = run.stores().map(Store::source).collect();
    let mut notes = Notes::new(others, sources.len());
    sources.extend(others.iter().map(|one| one.source.clone()));
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let limit = LEAST.saturating_add(Duration::from_secs(length >> 20));
    let fetched = told(&blob, &sources, &into, notes.meter());
    let fetched = tokio::time::timeout(limit, fetched).await;
    match &fetched {
        Ok(_) => notes.ended(),
        Err(_) => notes.late(limit),
    }
    drop(notes);
    let fetched = fetched.map_err(|_| {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_a_checkpoint_is_and_how_long_it_takes_is_said() {
        let seconds = Duration::from_secs;
        let (length, before) = (1_000 << 20, (200 << 20, seconds(10)));
        let far = "joining: 200 of 1000 MiB of a checkpoint are here, 20 %";
        assert_eq!(how_far(length, before, before), far);
        // What was there when it began is in no rate.
        let now = (400 << 20, seconds(30));
        let far = "joining: 400 of 1000 MiB of a checkpoint are here, 40 %";
        let whole = format!("{far}; 10.0 MiB a second, about 60 s more");
        assert_eq!(how_far(length, before, now), whole);
        // Nothing comes.
        let now = (200 << 20, seconds(30));
        assert!(!how_far(length, before, now).contains("second"));
        assert!(how_far(0, (0, seconds(0)), (0, seconds(1))).contains("100 %"));
    }
}
