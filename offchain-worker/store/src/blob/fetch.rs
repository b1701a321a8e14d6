//! Fetches a blob from several sources at once, checking it while it arrives.

use std::{
    future::Future,
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc, Mutex, MutexGuard, PoisonError,
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::watch, task::JoinSet, time::Instant};

use super::{
    fault::Fault,
    partial::{beside, make_outboard, Partial},
    plan::{stretch, Plan},
    roster::{Report, Roster, Sentence},
    source::{Pieces, Source},
    tree::{Tree, Walk, GROUP, PAIR},
};
use crate::paths;

/// The most groups that are checked and written in one go, if they have come already. Each go waits for another thread,
/// and on a machine whose cores are busy that takes as long as it takes a source to bring all of these.
pub(crate) const TOGETHER: usize = 16;

/// A blob, and where it lies in every source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Its path, one of [`paths`].
    pub path: String,
    /// BLAKE3 of its bytes.
    pub root: [u8; 32],
    /// Its length in bytes.
    pub length: u64,
}

impl Blob {
    /// The blob with this root under a prefix ([`paths::blob`]).
    pub fn new(prefix: &str, root: [u8; 32], length: u64) -> Blob {
        Blob {
            path: paths::blob(prefix, &root),
            root,
            length,
        }
    }
}

/// How much a source may get wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For the answer to a request, and then for each 16 KiB, also of a blob that is checked as a whole.
    pub deadline: Duration,
    /// Once a source brought nothing whole for so long, others that have nothing to do bring its next group too.
    pub late: Duration,
    /// Faults in a row after which a source is passed over, if asking again could help at all.
    pub strikes: u32,
    /// Pause after the first fault; it doubles with each further one.
    pub pause: Duration,
}

impl Default for Patience {
    /// 10 s, 1 s, 4 faults, 250 ms.
    fn default() -> Self {
        Patience {
            deadline: Duration::from_secs(10),
            late: Duration::from_secs(1),
            strikes: 4,
            pause: Duration::from_millis(250),
        }
    }
}

/// How much of a blob is there while it is fetched, and what was found of its sources so far, also where the fetch was
/// dropped before it ended. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Dials>);

#[derive(Debug, Default)]
struct Dials {
    bytes: AtomicU64,
    resumed: AtomicU64,
    roster: Mutex<Option<Arc<Mutex<Roster>>>>,
}

impl Meter {
    /// Good bytes on the disk.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Those of them that were there before; 0 until they were looked at.
    pub fn resumed(&self) -> u64 {
        self.0.resumed.load(Ordering::Relaxed)
    }

    /// What was found so far of each source, in the caller's order; empty before any was asked.
    pub fn reports(&self) -> Vec<Report> {
        let roster = locked(&self.0.roster).clone();
        roster.map_or_else(Vec::new, |roster| locked(&roster).reports())
    }

    fn begin(&self, resumed: u64) {
        self.0.resumed.store(resumed, Ordering::Relaxed);
        self.tell(resumed);
    }

    /// Several sources tell it at a time: the most is what is there.
    fn tell(&self, bytes: u64) {
        self.0.bytes.fetch_max(bytes, Ordering::Relaxed);
    }

    fn watch(&self, roster: &Arc<Mutex<Roster>>) {
        *locked(&self.0.roster) = Some(roster.clone());
    }
}

/// Locks, also after a panic elsewhere: what is behind these locks is consistent at any time.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A blob that was fetched.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Bytes that were on disk before, and are good.
    pub resumed: u64,
    /// Bytes of the blob that sources brought.
    pub fetched: u64,
    /// What was found of each source, in the caller's order.
    pub sources: Vec<Report>,
}

/// Why a blob was not fetched. What came stays on disk, and the next fetch goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No source is left.
    #[error("no source has {path} whole and good: {}", said(.sources))]
    NoSource {
        /// The blob's path.
        path: String,
        /// What was found of each source.
        sources: Vec<Report>,
    },
    /// Nothing can have that root and that length.
    #[error("{path} cannot have {length} bytes: correct the root or the length")]
    Impossible {
        /// The blob's path.
        path: String,
        /// The length that was asked for.
        length: u64,
    },
    /// Another fetch writes the same file.
    #[error("another process fetches {}: wait for it, or name another place", .into.display())]
    Busy {
        /// The file.
        into: PathBuf,
    },
    /// The disk did not do it.
    #[error("cannot write {}: {source}; free disk space or name another place", .into.display())]
    Disk {
        /// The file.
        into: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn said(sources: &[Report]) -> String {
    let one = |report: &Report| match &report.fault {
        Some(fault) => format!("{}: {fault}", report.source),
        None => format!("{}: asked for nothing", report.source),
    };
    match sources {
        [] => "none was named".into(),
        some => some.iter().map(one).collect::<Vec<_>>().join("; "),
    }
}

/// Fetches a blob into a file. Every group is checked before it is written, and no more than 16 groups for each source
/// are held in memory, beside what its connection has read ahead. A fetch that ended early, by a kill too, goes on
/// where it was. Nothing is at `into` until all of it is; its outboard lies beside it as `INTO.outboard` if it is
/// longer than [`super::SMALL`].
///
/// # Errors
/// [`FetchError`].
pub async fn fetch(
    blob: &Blob,
    sources: &[Arc<dyn Source>],
    into: &Path,
    patience: Patience,
) -> Result<Outcome, FetchError> {
    fetch_metered(blob, sources, into, patience, &Meter::default()).await
}

/// The same, with a meter that shows how far it is.
///
/// # Errors
/// [`FetchError`].
pub async fn fetch_metered(
    blob: &Blob,
    sources: &[Arc<dyn Source>],
    into: &Path,
    patience: Patience,
    meter: &Meter,
) -> Result<Outcome, FetchError> {
    let is_possible = |tree: &Tree| tree.length > 0 || tree.root == *blake3::hash(b"").as_bytes();
    let tree = Tree::new(blob.root, blob.length).filter(is_possible);
    let tree = tree.ok_or_else(|| FetchError::Impossible {
        path: blob.path.clone(),
        length: blob.length,
    })?;
    let disk = |source| FetchError::Disk {
        into: into.to_path_buf(),
        source,
    };
    let names = sources.iter().map(|source| source.name());
    let roster = Roster::new(names, patience.strikes);
    let path = into.to_path_buf();
    if off(move || is_there(&path, tree)).await.map_err(disk)? {
        meter.begin(tree.length);
        return Ok(Outcome {
            resumed: tree.length,
            fetched: 0,
            sources: roster.reports(),
        });
    }
    let path = into.to_path_buf();
    let partial = off(move || Partial::open(&path, tree))
        .await
        .map_err(disk)?;
    let partial = partial.ok_or_else(|| FetchError::Busy {
        into: into.to_path_buf(),
    })?;
    let roster = Arc::new(Mutex::new(roster));
    meter.watch(&roster);
    let work = Arc::new(Work {
        tree,
        path: blob.path.clone(),
        sources: sources.to_vec(),
        patience,
        partial,
        roster,
        plan: Mutex::new(Plan::new(Vec::new())),
        lately: Mutex::new(vec![Instant::now(); sources.len()]),
        changes: watch::channel(()).0,
        meter: meter.clone(),
    });
    let resumed = bring_all(&work).await.map_err(disk)?;
    let sources = work.roster().reports();
    let Some(resumed) = resumed else {
        let path = blob.path.clone();
        return Err(FetchError::NoSource { path, sources });
    };
    off(move || work.partial.finish()).await.map_err(disk)?;
    Ok(Outcome {
        resumed,
        fetched: tree.length - resumed,
        sources,
    })
}

/// Whether the blob is at its place already; its outboard is made if it has none.
fn is_there(into: &Path, tree: Tree) -> io::Result<bool> {
    match std::fs::metadata(into) {
        Ok(found) if found.is_file() && found.len() == tree.length => {}
        _ => return Ok(false),
    }
    let fresh = beside(into, ".outboard-new");
    let is_good = make_outboard(into, &fresh)? == tree;
    match (is_good, tree.is_small()) {
        (true, false) => std::fs::rename(&fresh, beside(into, ".outboard"))?,
        (false, false) => std::fs::remove_file(&fresh)?,
        (_, true) => {}
    }
    Ok(is_good)
}

/// Everything that the tasks of one fetch share.
struct Work {
    tree: Tree,
    path: String,
    sources: Vec<Arc<dyn Source>>,
    patience: Patience,
    partial: Partial,
    roster: Arc<Mutex<Roster>>,
    plan: Mutex<Plan>,
    /// When each source last began a stretch or brought a group.
    lately: Mutex<Vec<Instant>>,
    /// Told when a source without work should look again, and at the end.
    changes: watch::Sender<()>,
    meter: Meter,
}

/// Why a source stopped in the middle of a stretch.
enum Stop {
    Fault(Fault),
    Disk(io::Error),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Fault(fault)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Disk(error)
    }
}

/// Outboard first, then the groups. Gives the bytes that were on disk before; `None` if no source is left.
async fn bring_all(work: &Arc<Work>) -> io::Result<Option<u64>> {
    if !bring_outboard(work).await? {
        return Ok(None);
    }
    let at = work.clone();
    let (resumed, gaps) = off(move || {
        let resumed = at.partial.check_again()?;
        Ok((resumed, at.partial.gaps()))
    })
    .await?;
    work.meter.begin(resumed);
    *work.plan() = Plan::new(gaps);
    if work.tree.length == 0 {
        return Ok(Some(0));
    }
    let mut changes = work.changes.subscribe();
    let mut tasks = JoinSet::new();
    for who in 0..work.sources.len() {
        tasks.spawn(serve(work.clone(), who));
    }
    // Whoever still waits for a group that came from another ends with the set.
    while !work.plan().is_done() {
        tokio::select! {
            ended = tasks.join_next() => match ended {
                Some(ended) => ended.map_err(io::Error::other)??,
                None => break,
            },
            _ = changes.changed() => {}
        }
    }
    Ok(work.plan().is_done().then_some(resumed))
}

/// The outboard, in stretches: one from each source to measure it, then from the fastest. `false` if no source is left
/// that has it.
async fn bring_outboard(work: &Arc<Work>) -> io::Result<bool> {
    let at = work.clone();
    let mut walk = off(move || at.partial.outboard_so_far()).await?;
    // Not to have the outboard is no reason not to be asked for the blob.
    let mut without = Vec::new();
    while walk.wanted().is_some() {
        let Some(who) = work.roster().best(&without) else {
            return Ok(false);
        };
        match bring_pairs(work, who, &mut walk).await {
            Ok(()) => {}
            Err(Stop::Fault(Fault::Absent { .. })) => without.push(who),
            Err(Stop::Fault(fault)) => {
                let sentence = work.roster().bad(who, fault);
                work.pause(sentence).await;
            }
            Err(Stop::Disk(error)) => return Err(error),
        }
    }
    Ok(true)
}

/// A stretch of the outboard from one source.
async fn bring_pairs(work: &Arc<Work>, who: usize, walk: &mut Walk) -> Result<(), Stop> {
    let path = paths::outboard(&work.path);
    let begin = walk.pairs() * PAIR;
    let most = stretch(work.roster().speed(who)) * GROUP;
    // A source that was not measured yet is asked for little.
    let most = if work.roster().speed(who).is_none() {
        4 * GROUP
    } else {
        most
    };
    let end = work.tree.outboard_length().min(begin.saturating_add(most));
    let mut since = Instant::now();
    let mut pieces = work
        .ask(who, &path, begin..end, work.tree.outboard_length())
        .await?;
    while walk.pairs() * PAIR < end {
        let first = walk.pairs();
        let length = GROUP.min(end - first * PAIR);
        let bytes = work.in_time(pieces.next(length)).await?;
        for pair in bytes.as_chunks::<{ PAIR as usize }>().0 {
            if !walk.pair(pair) {
                let (at, good) = (first * PAIR, (walk.pairs() - first) * PAIR);
                work.partial.put_pairs(first, &bytes[..good as usize])?;
                return Err(Fault::Lied { path, at }.into());
            }
        }
        let at = work.clone();
        off(move || at.partial.put_pairs(first, &bytes)).await?;
        work.roster().good(who, length, since.elapsed());
        since = Instant::now();
    }
    Ok(())
}

/// One source's task: stretch after stretch, until nothing is missing or it is out.
async fn serve(work: Arc<Work>, who: usize) -> io::Result<()> {
    let mut changes = work.changes.subscribe();
    while work.roster().is_in(who) {
        changes.borrow_and_update();
        let taken = {
            let roster = work.roster();
            let mut plan = work.plan();
            if plan.is_done() {
                break;
            }
            let lately = work.lately();
            let late = work.patience.late;
            let is_late = |who: usize| lately.get(who).is_some_and(|it| it.elapsed() >= late);
            plan.take(who, |who| roster.speed(who), is_late)
        };
        let Some(groups) = taken else {
            // Looks again now and then: another may have become slow.
            let _ = tokio::time::timeout(work.patience.late, changes.changed()).await;
            continue;
        };
        let stop = bring_groups(&work, who, groups).await;
        work.plan().give_back(who);
        work.changes.send_replace(());
        match stop {
            Ok(()) => {}
            Err(Stop::Fault(fault)) => {
                let sentence = work.roster().bad(who, fault);
                work.pause(sentence).await;
            }
            Err(Stop::Disk(error)) => return Err(error),
        }
    }
    Ok(())
}

/// A stretch of groups from one source, until it is over or was taken by another.
async fn bring_groups(work: &Arc<Work>, who: usize, groups: Range<u64>) -> Result<(), Stop> {
    let bytes = work.tree.bytes_of(&groups);
    let mut since = Instant::now();
    work.was_here(who);
    let mut pieces = work.ask(who, &work.path, bytes, work.tree.length).await?;
    let mut next = groups.start;
    // A source that lies from the beginning is found out by its first group.
    let mut most = 1;
    // It ends where another took the rest, or brought a group of it.
    while let Some(end) = work.end_from(who, next) {
        let first = work.group(who, &mut pieces, next, since).await?;
        let (batch, fault) = at_hand(&work.tree, &mut pieces, next..end, (first, most));
        let (at, count) = (work.clone(), batch.len() as u64);
        let good = off(move || at.partial.put_groups(next, &batch)).await?;
        let brought = next..next + good;
        work.brought(who, &brought, since.elapsed());
        since = Instant::now();
        next = brought.end;
        if good < count {
            return Err(Stop::Fault(Fault::Lied {
                path: work.path.clone(),
                at: work.tree.bytes(next).start,
            }));
        }
        if let Some(fault) = fault {
            return Err(fault.into());
        }
        most = TOGETHER.min(most * 2);
    }
    Ok(())
}

/// The first of these groups and those after it that have come already, up to a number; and what went wrong with the
/// one after them, if it did.
fn at_hand(
    tree: &Tree,
    pieces: &mut Pieces,
    groups: Range<u64>,
    (first, most): (Bytes, usize),
) -> (Vec<Bytes>, Option<Fault>) {
    let mut batch = vec![first];
    for group in groups.skip(1).take(most - 1) {
        let bytes = tree.bytes(group);
        match pieces.at_hand(bytes.end - bytes.start) {
            Some(Ok(bytes)) => batch.push(bytes),
            Some(Err(fault)) => return (batch, Some(fault)),
            None => break,
        }
    }
    (batch, None)
}

impl Work {
    /// Asks a source for some bytes of a file that must have this length.
    async fn ask(
        &self,
        who: usize,
        path: &str,
        bytes: std::ops::Range<u64>,
        expected: u64,
    ) -> Result<Pieces, Fault> {
        let gone = || Fault::Failed {
            why: "it is gone".into(),
        };
        let source = self.sources.get(who).ok_or_else(gone)?;
        let begin = bytes.start;
        let reply = self.in_time(source.read(path, bytes)).await?;
        if reply.length != expected {
            return Err(Fault::WrongLength {
                path: path.to_string(),
                found: reply.length,
                expected,
            });
        }
        Ok(Pieces::new(reply.bytes, begin))
    }

    /// The next group from a source, which it began to bring at this time. A small blob is one group of up to 256 KiB:
    /// each 16 KiB of it has the deadline, so that a line is not too slow for a small blob and fast enough for a large
    /// one.
    async fn group(
        &self,
        who: usize,
        pieces: &mut Pieces,
        group: u64,
        since: Instant,
    ) -> Result<Bytes, Fault> {
        let bytes = self.tree.bytes(group);
        let length = bytes.end - bytes.start;
        let mut there = GROUP;
        while there < length {
            self.in_time(pieces.reach(there)).await?;
            self.roster().partly(who, there, since.elapsed());
            there = there.saturating_add(GROUP);
        }
        self.in_time(pieces.next(length)).await
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let deadline = self.patience.deadline;
        let ended = tokio::time::timeout(deadline, work).await;
        ended.unwrap_or(Err(Fault::Stalled { deadline }))
    }

    async fn pause(&self, sentence: Sentence) {
        if let Sentence::Again(strikes) = sentence {
            let doublings = strikes.saturating_sub(1).min(6);
            tokio::time::sleep(self.patience.pause.saturating_mul(1 << doublings)).await;
        }
    }

    /// Where a source's stretch ends, if this group is to come next from it.
    fn end_from(&self, who: usize, group: u64) -> Option<u64> {
        self.plan().end_from(who, group)
    }

    /// A source brought these groups, and they are on disk.
    fn brought(&self, who: usize, groups: &Range<u64>, took: Duration) {
        if groups.is_empty() {
            return;
        }
        let bytes = self.tree.bytes_of(groups);
        self.roster().good(who, bytes.end - bytes.start, took);
        self.was_here(who);
        self.meter.tell(self.partial.bytes());
        let mut plan = self.plan();
        for group in groups.clone() {
            plan.brought(group);
        }
        if plan.is_done() {
            self.changes.send_replace(());
        }
    }

    fn roster(&self) -> MutexGuard<'_, Roster> {
        locked(&self.roster)
    }

    fn was_here(&self, who: usize) {
        if let Some(lately) = self.lately().get_mut(who) {
            *lately = Instant::now();
        }
    }

    fn lately(&self) -> MutexGuard<'_, Vec<Instant>> {
        locked(&self.lately)
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        locked(&self.plan)
    }
}

/// Runs something that blocks off the async runtime.
pub(crate) async fn off<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}
