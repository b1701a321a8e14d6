//! Traced states of a miner's rounds, kept beside its training, so that what is audited of them need not be made again.
//!
//! Each is a file, named by its round and its number: what stands for the state in the trace, in SCALE, and behind it
//! parameters and moments as little-endian `f32`, if they may have to be served, and how the steps had come there
//! ([`super::begun`]). Nothing depends on these files. One that is not there, not whole, or damaged, is found out by the
//! hashes that were traced, which the manifest has; its steps are then made again. So nobody waits until they are on the
//! disk, and a crash costs no more than that work.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::{self, DirEntry, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use cairn_engine::{audit::Kept, Begun, Keeper, State, Trained};
use cairn_primitives::{InnerOptimizer, Round, RunConfig, H256};
use cairn_protocol::trace;
use codec::{Decode, Encode};

use super::{
    begun::{self, Course},
    files::write_numbers,
};
use crate::{metrics::disk::free_bytes, needs, roles::setup::locked};

/// Bytes of what stands for a state.
pub(super) const HEAD: u64 = needs::TRACED_HEAD;
/// So many bytes wait for the disk at most, or one state: what they hold in memory stays bounded.
const WAITING: u64 = 64 << 20;
/// How often the vectors of a state have to fit on the disk before one is kept: what the worker cannot do without is
/// written there, too.
const FREE: u64 = 8;
/// The same for those that are found at the start to stay: what was kept took some of that room itself.
const LEAST_FREE: u64 = FREE / 2;
/// After this time what was kept is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A state's round, and its number in the trace.
type Name = (Round, u32);

/// Bytes of what is kept of one state, behind what stands for it.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Of its vectors.
    pub vectors: u64,
    /// At most, of how its round's steps had come there.
    pub course: u64,
}

impl Sizes {
    /// Of a run.
    pub fn of(config: &RunConfig) -> Sizes {
        Sizes {
            vectors: needs::Vectors::of(config).steps(),
            course: needs::traced_course(config),
        }
    }

    fn both(self) -> u64 {
        self.vectors.saturating_add(self.course)
    }
}

/// How much is kept.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Bytes on the disk at most.
    budget: u64,
    sizes: Sizes,
}

impl Limits {
    /// Whether the vectors of one more state are kept: where files have so many bytes, of which so many wait for the
    /// disk, and so many are free there.
    fn have_room(self, kept: u64, waiting: u64, free: Option<u64>) -> bool {
        let Limits { budget, sizes } = self;
        let each = sizes.both();
        let fits = kept.saturating_add(HEAD).saturating_add(each) <= budget;
        let is_bounded = waiting == 0 || waiting.saturating_add(each) <= WAITING;
        let is_free = |free: u64| free.saturating_sub(waiting) >= each.saturating_mul(FREE);
        fits && is_bounded && free.is_none_or(is_free)
    }
}

/// Something to do on the disk.
enum Work {
    Write(Name, trace::State, Option<Box<Full>>),
    Remove(Name),
}

/// What is kept of a state where there is room for it.
struct Full {
    state: State,
    course: Option<Course>,
}

#[derive(Default)]
struct Queue {
    /// Bytes of the files that are there, or will be.
    files: BTreeMap<Name, u64>,
    work: VecDeque<Work>,
    /// Bytes that wait for the disk.
    waiting: u64,
    /// What is being written.
    writing: Option<Name>,
    /// Whether a thread does it.
    is_working: bool,
}

impl Queue {
    fn kept(&self) -> u64 {
        self.files.values().copied().fold(0, u64::saturating_add)
    }

    /// Whether a state is being written, or waits for that.
    fn is_to_come(&self, name: Name) -> bool {
        self.writing == Some(name) || self.has(name)
    }

    /// Whether a state waits to be written.
    fn has(&self, name: Name) -> bool {
        let is_it = |work: &Work| matches!(work, Work::Write(one, ..) if *one == name);
        self.work.iter().any(is_it)
    }
}

/// The traced states that are kept, shared.
#[derive(Clone)]
pub struct Traces(Arc<Inner>);

struct Inner {
    directory: PathBuf,
    limits: Limits,
    /// How the run's steps are made and traced.
    inner: InnerOptimizer,
    queue: Mutex<Queue>,
    /// Something was done, or there is nothing left to do.
    is_done: Condvar,
}

impl Traces {
    /// Those of a run in a directory, which is made if need be, and of which so many bytes are kept at most; none:
    /// nothing is kept.
    pub fn open(directory: &Path, budget: u64, config: &RunConfig) -> Traces {
        Traces::of_sizes(directory, budget, (Sizes::of(config), config.inner.clone()))
    }

    fn of_sizes(directory: &Path, budget: u64, (sizes, inner): (Sizes, InnerOptimizer)) -> Traces {
        if budget > 0 {
            if let Err(error) = fs::create_dir_all(directory) {
                let place = directory.display();
                tracing::warn!("no traced states are kept in {place}: {error}; what is audited is trained again");
            }
        }
        let mut queue = Queue {
            files: found(directory),
            ..Queue::default()
        };
        let has_room = |free: u64| free >= sizes.both().saturating_mul(LEAST_FREE);
        if queue.kept() > budget || !free_bytes(directory).is_none_or(has_room) {
            let files = std::mem::take(&mut queue.files);
            files
                .keys()
                .for_each(|name| remove(&place(directory, *name)));
        }
        Traces(Arc::new(Inner {
            directory: directory.to_path_buf(),
            limits: Limits { budget, sizes },
            inner,
            queue: Mutex::new(queue),
            is_done: Condvar::new(),
        }))
    }

    /// What keeps the states of a round that is trained from now on, by steps that follow from `work`: the engine, the
    /// run, and the text of each. Called within a runtime.
    pub fn of(&self, round: Round, work: H256) -> Keeping {
        Keeping {
            traces: self.clone(),
            round,
            work,
        }
    }

    /// The newest state of a round from which its steps can go on. Those after it go: they are made anew. Called within
    /// a runtime.
    fn begun(&self, round: Round, work: H256, first: &trace::State) -> Option<Begun> {
        let inner = (self.0.limits.sizes, &self.0.inner);
        let numbers: Vec<u32> = {
            let queue = locked(&self.0.queue);
            // What is still to come is not waited for: it is this process's own, of steps that it gave up.
            let is_it = |(name, bytes): &(&Name, &u64)| {
                name.0 == round && **bytes > HEAD && !queue.is_to_come(**name)
            };
            let own = queue.files.iter().filter(is_it);
            own.map(|((_, number), _)| *number).rev().collect()
        };
        let found = numbers.into_iter().find_map(|number| {
            let path = self.place((round, number));
            Some((number, begun::read(&path, inner, (work, first))?))
        });
        let last = found.as_ref().map(|(number, _)| *number);
        self.remove(|(of, number)| of == round && Some(number) > last);
        found.map(|(_, begun)| begun)
    }

    /// Removes the states of all other rounds. Called within a runtime.
    pub fn retain(&self, is_needed: impl Fn(Round) -> bool) {
        self.remove(|(round, _)| !is_needed(round));
    }

    fn remove(&self, is_over: impl Fn(Name) -> bool) {
        let mut queue = locked(&self.0.queue);
        let rest = queue.files.keys().copied().filter(|name| is_over(*name));
        let rest: Vec<Name> = rest.collect();
        for name in rest {
            queue.files.remove(&name);
            self.push(&mut queue, Work::Remove(name));
        }
    }

    /// A state as it lies on the disk, once it is there if it was to be kept; with what is there of its vectors if that is
    /// asked for. `None` if it cannot be had. That may take long.
    pub fn read(&self, round: Round, number: u32, with_vectors: bool) -> Option<Kept> {
        if !self.wait((round, number)) {
            return None;
        }
        let mut file = File::open(self.place((round, number))).ok()?;
        let mut head = [0u8; HEAD as usize];
        file.read_exact(&mut head).ok()?;
        let traced = trace::State::decode(&mut &head[..]).ok()?;
        let mut vectors = Vec::new();
        if with_vectors {
            let most = self.0.limits.sizes.vectors;
            vectors.reserve_exact(usize::try_from(most).ok()?);
            file.take(most).read_to_end(&mut vectors).ok()?;
        }
        Some(Kept { traced, vectors })
    }

    /// Waits until a state is written, if it is to be; whether it is kept.
    fn wait(&self, name: Name) -> bool {
        let is_to_come = |queue: &mut Queue| queue.is_to_come(name);
        let queue = locked(&self.0.queue);
        let waited = self
            .0
            .is_done
            .wait_timeout_while(queue, PATIENCE, is_to_come);
        let (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !queue.is_to_come(name) && queue.files.contains_key(&name)
    }

    fn place(&self, name: Name) -> PathBuf {
        place(&self.0.directory, name)
    }

    fn push(&self, queue: &mut Queue, work: Work) {
        queue.work.push_back(work);
        if !std::mem::replace(&mut queue.is_working, true) {
            let own = self.clone();
            tokio::task::spawn_blocking(move || own.work());
        }
    }

    fn work(&self) {
        while let Some(work) = self.next() {
            match work {
                Work::Remove(name) => remove(&self.place(name)),
                Work::Write(name, traced, full) => self.write(name, traced, full),
            }
        }
    }

    /// What is to be done next; with nothing, this thread does no more.
    fn next(&self) -> Option<Work> {
        let mut queue = locked(&self.0.queue);
        let next = queue.work.pop_front();
        queue.writing = match &next {
            Some(Work::Write(name, ..)) => Some(*name),
            _ => None,
        };
        queue.is_working = next.is_some();
        self.0.is_done.notify_all();
        next
    }

    fn write(&self, name: Name, traced: trace::State, full: Option<Box<Full>>) {
        let place = self.place(name);
        let written = write(&place, traced, full.as_deref());
        let bytes = full.map_or(0, |_| self.0.limits.sizes.both());
        let mut queue = locked(&self.0.queue);
        queue.waiting = queue.waiting.saturating_sub(bytes);
        if let Err(error) = written {
            // A later try at its round may keep it all the same.
            if !queue.has(name) {
                queue.files.remove(&name);
            }
            let place = place.display();
            tracing::warn!(
                "{place} is not kept: {error}; if it is audited, its steps are trained again"
            );
        }
    }
}

/// Keeps the states of one round.
pub struct Keeping {
    traces: Traces,
    round: Round,
    work: H256,
}

impl Keeper for Keeping {
    fn begun(&mut self, first: &trace::State) -> Option<Begun> {
        let begun = self.traces.begun(self.round, self.work, first)?;
        let (round, steps) = (self.round, begun.losses.len());
        tracing::info!("round {round} · going on after {steps} inner steps that were kept");
        Some(begun)
    }

    fn has_room(&mut self) -> bool {
        let Inner {
            directory, limits, ..
        } = &*self.traces.0;
        if limits.budget == 0 {
            return false;
        }
        let free = free_bytes(directory);
        let queue = locked(&self.traces.0.queue);
        limits.have_room(queue.kept(), queue.waiting, free)
    }

    fn keep(&mut self, so_far: &Trained, traced: trace::State, state: Option<State>) {
        let (limits, number) = (self.traces.0.limits, so_far.newest());
        let vectors = state.as_ref().map_or(0, |_| limits.sizes.both());
        let bytes = HEAD.saturating_add(vectors);
        let full = state.map(|state| {
            let course = Course::of(self.work, so_far, &state);
            Box::new(Full { state, course })
        });
        let mut queue = locked(&self.traces.0.queue);
        if queue.kept().saturating_add(bytes) > limits.budget {
            return;
        }
        let name = (self.round, number);
        queue.files.insert(name, bytes);
        queue.waiting = queue.waiting.saturating_add(vectors);
        let work = Work::Write(name, traced, full);
        self.traces.push(&mut queue, work);
    }
}

fn place(directory: &Path, (round, number): Name) -> PathBuf {
    directory.join(format!("{round}-{number}.bin"))
}

/// Writes a state under another name first, so that what has its name is whole. When it returns, the disk has it: what
/// the system still held in memory would not be bounded.
fn write(path: &Path, traced: trace::State, full: Option<&Full>) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let write = || {
        let mut file = File::create(&unfinished)?;
        file.write_all(&traced.encode())?;
        if let Some(Full { state, course }) = full {
            write_numbers(&mut file, &state.parameters)?;
            let moments = state.optimizer.iter().flat_map(|it| [&it.m, &it.v]);
            for vector in moments {
                write_numbers(&mut file, vector)?;
            }
            if let Some(course) = course {
                file.write_all(&course.bytes(&traced))?;
            }
        }
        file.sync_data()?;
        fs::rename(&unfinished, path)
    };
    let written = write();
    if written.is_err() {
        remove(&unfinished);
    }
    written
}

/// A file that stays is removed by the next start.
fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

/// The states in a directory, and their bytes. What was not finished is removed.
fn found(directory: &Path) -> BTreeMap<Name, u64> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let known = |entry: DirEntry| {
        let name = name(&entry.path());
        if name.is_none() {
            remove(&entry.path());
        }
        Some((name?, entry.metadata().ok()?.len()))
    };
    entries.filter_map(known).collect()
}

/// Which state is in a file with this name.
fn name(path: &Path) -> Option<Name> {
    let name = path.file_name()?.to_str()?;
    let (round, number) = name.strip_suffix(".bin")?.split_once('-')?;
    Some((round.parse().ok()?, number.parse().ok()?))
}

#[cfg(test)]
#[path = "traces_tests.rs"]
mod tests;
