//! Parameters for who comes late.
//!
//! The newest checkpoint in a store whose root the chain's lineage has as final; failing that the run's first
//! parameters, and these at once if less has to be sent then. From there the worker's loop applies the rounds that were
//! settled since, one after the other, and compares the root after each with the lineage: the same way that everybody
//! goes.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use cairn_chain::RunInfo;
use cairn_engine::{Part, State, Version};
use cairn_primitives::{InitialParameters, ModelRoot, Round, H256};
use cairn_protocol::{
    checkpoint::{self, Source as From},
    limits::{CHECKPOINT_ATTEMPTS, MOST_REPLAYED},
    verdict::Ends,
};
use cairn_round::Held;
use cairn_store::{fetch_metered, paths, Blob, Fault, Outcome, Patience, Source, Store};
use futures::future::{join_all, try_join_all};
use tokio::time::Instant;

use super::{
    chain::Chain,
    driver::{with_engine, Desk},
    look::settlement,
    run::Run,
    setup::locked,
    sources::{self, Asked, Notes},
    state::{Change, OpenChange},
    RoleError,
};
use crate::{parameters, shards};

/// For a checkpoint: this, and a second for each MiB, is a window. After one of them another checkpoint is tried unless
/// this one comes so fast that it is whole within [`WINDOWS`] of them.
const LEAST: Duration = Duration::from_secs(60);
/// The most windows.
pub(super) const WINDOWS: u64 = 10;
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
    let bytes = parameters::as_bytes(parameters);
    run.store.publish(&prefix, bytes).await?;
    Ok(true)
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
        // What is void is not copied.
        let has_open = state.lock()?.has_open();
        let known = match has_open || engine.optimizer_steps(Version::Sent).is_ok() {
            true => None,
            false => engine.state(Version::Held).ok(),
        };
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
/// download that was cut off goes on; nothing is left there afterwards, and nothing of what is not tried any more.
/// Stores are asked, and these others. Who says that it has one and does not bring it is not asked again, so that liars
/// hold nobody up for longer than there are others.
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
    let mut tried = BTreeSet::new();
    loop {
        let claims = there(run, &finals, &others).await?;
        let listed = claims.iter().map(|claim| (claim.round, claim.root));
        let candidates = checkpoint::candidates(listed, finals.iter().copied(), oldest);
        tried.extend(candidates.iter().map(|(round, _)| *round));
        forget_others(place, &tried).await;
        if begins_first(chain, run, at, (&claims, oldest)).await {
            match shards::verified_parameters(&run.config, &run.data_store).await {
                Ok(parameters) => return Ok((first(run), parameters)),
                Err(error) => tracing::warn!("{error}; a checkpoint is fetched"),
            }
        }
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
                    return Ok((first(run), parameters));
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

/// Removes below `place` what came of checkpoints of other rounds than these.
async fn forget_others(place: &Path, tried: &BTreeSet<Round>) {
    let Ok(mut entries) = tokio::fs::read_dir(place).await else {
        return;
    };
    while let Ok(Some(entry)) = entries.next_entry().await {
        let name = entry.file_name();
        // What is not whole has an ending after its round.
        let round = name.to_str().and_then(|name| name.split('.').next());
        let round = round.and_then(|round| round.parse::<Round>().ok());
        if round.is_none_or(|round| tried.contains(&round)) {
            continue;
        }
        if let Err(error) = tokio::fs::remove_file(entry.path()).await {
            tracing::debug!("{} stays: {error}", entry.path().display());
        }
    }
}

/// What is held with the run's first parameters.
fn first(run: &Run) -> Held {
    Held {
        round: 0,
        root: run.config.initial_root,
    }
}

/// Whether the run's first parameters, which are at hand, and all rounds before the newest checkpoint have to be sent
/// less than that checkpoint, which only other members say to have, and no store has one that is tried: what is in a
/// store is there.
async fn begins_first<C: Chain>(
    chain: &C,
    run: &Run,
    at: H256,
    (claims, oldest): (&[Claim], Round),
) -> bool {
    let is_at_hand = matches!(run.config.initial_parameters, InitialParameters::Seed(_));
    if !is_at_hand || oldest != 0 || claims.iter().any(|claim| claim.by.is_empty()) {
        return false;
    }
    let newest = claims.first();
    let Some(newest) = newest.filter(|claim| claim.round <= MOST_REPLAYED) else {
        return false;
    };
    let asked = (0..newest.round).map(|round| settlement(chain, run, at, round));
    let asked: Vec<_> = asked.collect();
    let Ok(settled) = try_join_all(asked).await else {
        return false;
    };
    let mut included: u64 = 0;
    for settlement in settled {
        let Some(settlement) = settlement else {
            return false;
        };
        let lengths = settlement.included.iter();
        let lengths = lengths.map(|one| one.seen.commitment.length);
        included = lengths.fold(included, u64::saturating_add);
    }
    checkpoint::begins_first((newest.round, checkpoint_bytes(run)), included)
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
pub(super) fn checkpoint_bytes(run: &Run) -> u64 {
    (run.layout.parameters() as u64).saturating_mul(4)
}

/// The newest checkpoints of rounds with final roots that somebody says to have, as many as are tried. Nothing is
/// listed, which not every store can: the chain names every root. As many are asked about at a time as are tried.
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
    for some in due.chunks(CHECKPOINT_ATTEMPTS) {
        let asked = some.iter();
        let asked = asked.map(|(round, root)| whose(run, (others, &answering[..]), *round, *root));
        let asked: Vec<_> = asked.collect();
        let mut silent = BTreeSet::new();
        for (claim, did_not_answer) in try_join_all(asked).await? {
            found.extend(claim);
            silent.extend(did_not_answer);
        }
        if found.len() >= CHECKPOINT_ATTEMPTS {
            break;
        }
        answering.retain(|at| !silent.contains(at));
    }
    found.truncate(CHECKPOINT_ATTEMPTS);
    Ok(found)
}

/// Who has the checkpoint of a round, if anybody has it; and who of the others did not answer.
async fn whose(
    run: &Run,
    (others, answering): (&[Asked], &[usize]),
    round: Round,
    root: ModelRoot,
) -> Result<(Option<Claim>, Vec<usize>), RoleError> {
    let prefix = paths::checkpoints(run.netuid.get(), round);
    if in_a_store(run, &prefix, &root).await? {
        let by = Vec::new();
        return Ok((Some(Claim { round, root, by }), Vec::new()));
    }
    let (path, length) = (paths::blob(&prefix, root.bytes()), checkpoint_bytes(run));
    let answers = who_has(others, answering, &path, length).await;
    let those = |is_it: fn(&Result<bool, Fault>) -> bool| -> Vec<usize> {
        let those = answers.iter().filter(|(_, answer)| is_it(answer));
        those.map(|(at, _)| *at).collect()
    };
    let (by, silent) = (those(|it| matches!(it, Ok(true))), those(Result::is_err));
    let is_there = !by.is_empty();
    Ok((is_there.then_some(Claim { round, root, by }), silent))
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

/// What those that answer say, each by its place: whether they have a file.
async fn who_has(
    others: &[Asked],
    answering: &[usize],
    path: &str,
    length: u64,
) -> Vec<(usize, Result<bool, Fault>)> {
    let asked = answering
        .iter()
        .filter_map(|at| Some((*at, others.get(*at)?)));
    let asked = asked.map(|(at, one)| async move {
        let answer = sources::has(one.source.as_ref(), path, length).await;
        (at, answer)
    });
    join_all(asked).await
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
        Ok(parameters) => {
            // Others that were begun are of no use any more.
            if let Err(error) = tokio::fs::remove_dir_all(place).await {
                tracing::debug!("{} stays: {error}", place.display());
            }
            Some(parameters)
        }
        Err(error) => {
            tracing::warn!("the checkpoint of round {round}: {error}; passed over");
            None
        }
    }
}

/// How long a checkpoint may take. No clock.
#[derive(Debug)]
struct Pace {
    length: u64,
    window: Duration,
    /// Windows that are over.
    over: u32,
    /// Bytes that were there at the end of the last one.
    before: u64,
}

impl Pace {
    /// Of a checkpoint of this length.
    fn of(length: u64) -> Pace {
        Pace {
            length,
            window: LEAST.saturating_add(Duration::from_secs(length >> 20)),
            over: 0,
            before: 0,
        }
    }

    /// So many bytes were there before it began: they did not come in any window.
    fn begins_at(&mut self, resumed: u64) {
        self.before = self.before.max(resumed);
    }

    /// Whether to go on, where so many bytes are there after this time: in the middle of a window, or if the rest comes
    /// in those that are left as fast as in the last one.
    fn goes_on(&mut self, there: u64, after: Duration) -> bool {
        if after < self.window.saturating_mul(self.over.saturating_add(1)) {
            return true;
        }
        self.over = self.over.saturating_add(1);
        let came = there.saturating_sub(self.before);
        self.before = there;
        let more = WINDOWS.saturating_sub(self.over.into());
        self.length.saturating_sub(there) <= came.saturating_mul(more)
    }
}

/// Fetches, says now and then how far that is, and gives up on what comes too slowly.
async fn told(
    blob: &Blob,
    sources: &[Arc<dyn Source>],
    into: &Path,
    notes: &mut Notes<'_>,
) -> Result<Outcome, String> {
    let mut pace = Pace::of(blob.length);
    let meter = notes.meter().clone();
    let fetched = fetch_metered(blob, sources, into, Patience::default(), &meter);
    tokio::pin!(fetched);
    let (began, mut before) = (Instant::now(), None);
    loop {
        tokio::select! {
            ended = &mut fetched => {
                notes.ended();
                return ended.map_err(|error| error.to_string());
            }
            () = tokio::time::sleep(SAY_EVERY) => {
                let there = meter.bytes();
                // What was there from the beginning took no time.
                let first = *before.get_or_insert((there, began.elapsed()));
                tracing::info!("{}", how_far(blob.length, first, (there, began.elapsed())));
                pace.begins_at(meter.resumed());
                if !pace.goes_on(there, began.elapsed()) {
                    notes.late(began.elapsed());
                    let seconds = began.elapsed().as_secs();
                    return Err(format!("it did not come in {seconds} s; what came stays"));
                }
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

/// Brings a checkpoint to its place, and gives its parameters.
async fn download(
    run: &Run,
    held: Held,
    place: &Path,
    others: &[Asked],
) -> Result<Vec<f32>, String> {
    let length = checkpoint_bytes(run);
    let blob = Blob::new(
        &paths::checkpoints(run.netuid.get(), held.round),
        *held.root.bytes(),
        length,
    );
    let into = place.join(held.round.to_string());
    let mut sources: Vec<_> = run.stores().map(Store::source).collect();
    let mut notes = Notes::new(others, sources.len());
    sources.extend(others.iter().map(|one| one.source.clone()));
    let fetched = told(&blob, &sources, &into, &mut notes).await;
    drop(notes);
    let fetched = fetched?;
    if fetched.resumed > 0 {
        let (had, all) = (fetched.resumed >> 20, length >> 20);
        tracing::info!("the download went on where it was: {had} of {all} MiB were there");
    }
    let read = move || parameters::fetched(&into, length, held.root);
    let read = tokio::task::spawn_blocking(read).await;
    read.unwrap_or_else(|error| Err(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use async_trait::async_trait;
    use bytes::Bytes;
    use cairn_store::Reply;
    use futures::StreamExt;

    use super::*;

    /// Whether each window's end is passed, where so many bytes of a thousand come in each.
    fn passed(came: &[u64]) -> Vec<bool> {
        let mut pace = Pace::of(1_000);
        let (window, mut there) = (pace.window, 0u64);
        let ends = (1u32..).zip(came);
        ends.map(|(number, came)| {
            there += *came;
            let end = window * number;
            assert!(pace.goes_on(there, end - Duration::from_secs(1)));
            pace.goes_on(there, end)
        })
        .collect()
    }

    #[test]
    fn a_checkpoint_is_waited_for_as_long_as_it_comes_fast_enough() {
        assert_eq!(passed(&[0]), [false]);
        // A tenth in each of ten windows, and a little less.
        assert_eq!(passed(&[100; 10]), [true; 10]);
        assert_eq!(passed(&[99]), [false]);
        // What came fast at first does not make up for what stalls.
        assert_eq!(passed(&[500, 0]), [true, false]);
        assert_eq!(passed(&[500, 63]), [true, true]);
        assert_eq!(passed(&[500, 55]), [true, false]);
        // No longer than ten windows, whatever is missing then.
        let mut late = [100; 10];
        late[9] = 99;
        assert_eq!(passed(&late)[8..], [true, false]);
        // What was there before does not make up for it either.
        let mut resumed = Pace::of(1_000);
        resumed.begins_at(900);
        let end = resumed.window;
        assert!(!resumed.goes_on(900, end));
        assert_eq!(Pace::of(5 << 20).window, LEAST + Duration::from_secs(5));
    }

    #[tokio::test]
    async fn what_came_of_checkpoints_that_are_not_tried_any_more_is_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        let place = directory.path().join("joining");
        let tried = BTreeSet::from([5, 35]);
        // It need not be there.
        forget_others(&place, &tried).await;
        std::fs::create_dir(&place).expect("room");
        let stays = ["35.partial", "5", "5.outboard", "5.partial", "lock"];
        for name in ["3.outboard", "3.partial", "30", "355.partial"] {
            std::fs::write(place.join(name), "some").expect("room");
        }
        for name in stays {
            std::fs::write(place.join(name), "some").expect("room");
        }
        forget_others(&place, &tried).await;
        let left = std::fs::read_dir(&place).expect("it is there");
        let left = left.map(|entry| entry.expect("readable").file_name());
        let mut left: Vec<_> = left.collect();
        left.sort_unstable();
        assert_eq!(left, stays);
    }

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

    /// A member that has a checkpoint, and sends 16 KiB of it in 4.9 s: each in time, and too few.
    #[derive(Debug)]
    struct Trickles(Arc<dyn Source>);

    #[async_trait]
    impl Source for Trickles {
        fn name(&self) -> &str {
            "a member"
        }

        async fn read(&self, path: &str, bytes: Range<u64>) -> Result<Reply, Fault> {
            let reply = self.0.read(path, bytes).await?;
            let slowly = |chunk: Result<Bytes, Fault>| async move {
                let length = chunk.as_ref().map_or(0, |chunk| chunk.len() as u32);
                tokio::time::sleep(Duration::from_micros(300) * length).await;
                chunk
            };
            Ok(Reply {
                length: reply.length,
                bytes: reply.bytes.then(slowly).boxed(),
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_checkpoint_that_trickles_is_given_up_and_gone_on_with_from_another() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::create_in(&directory.path().join("store")).expect("room");
        let length: u64 = 4 << 20;
        let bytes = vec![7u8; length as usize];
        let root = store.publish(paths::DATA, bytes).await.expect("room");
        let blob = Blob::new(paths::DATA, root, length);
        let into = directory.path().join("checkpoint");
        let slow: Arc<dyn Source> = Arc::new(Trickles(store.source()));
        let asked = [Asked::new("https://slow.example", slow.clone())];
        let mut notes = Notes::new(&asked, 0);
        let given_up = told(&blob, &[slow], &into, &mut notes).await;
        let why = given_up.expect_err("it is too slow");
        assert!(why.contains("what came stays"), "{why}");
        drop(notes);
        assert!(!asked[0].is_asked());
        assert!(!into.exists());
        let asked = [Asked::new("https://good.example", store.source())];
        let mut notes = Notes::new(&asked, 0);
        let mut whole = told(&blob, &[store.source()], &into, &mut notes).await;
        // What was given up lets go of its place once the disk has what it was writing.
        for _ in 0..100 {
            match &whole {
                Err(why) if why.contains("another process") => {}
                _ => break,
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            whole = told(&blob, &[store.source()], &into, &mut notes).await;
        }
        let whole = whole.expect("it has all of it");
        drop(notes);
        assert!(whole.resumed > 0 && whole.resumed + whole.fetched == length);
        assert!(asked[0].is_asked() && into.exists());
    }
}
