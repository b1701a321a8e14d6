//! The state directory as a worker's jobs share it. Changes that nobody waits for are written by a thread of their own,
//! beside all else, in the order in which they were asked for.
//!
//! A crash takes with it what was not written yet, and all changes after that: the directory is then as it was before
//! some change, which is where a crash a little earlier would have left it. So what binds the worker to a change (a
//! commitment to a contribution) waits until it [is written](SharedState::written).

use std::{
    collections::VecDeque,
    io,
    panic::{catch_unwind, AssertUnwindSafe},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::{StateDir, StateError};
use crate::roles::setup::locked;

/// So many changes are under way at most while another is asked for: what they hold in memory stays bounded.
const MOST: u64 = 1;

/// A change, and how it is made.
type Write = Box<dyn FnOnce(&mut StateDir) -> Result<(), StateError> + Send>;

/// A state directory, shared.
#[derive(Clone)]
pub struct SharedState(Arc<Inner>);

struct Inner {
    directory: PathBuf,
    state: Mutex<StateDir>,
    queue: Mutex<Queue>,
    /// The queue is another.
    moved: Condvar,
}

/// What is written beside all else.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Write>,
    /// How many changes were ever asked for.
    asked: u64,
    /// And are on the disk.
    written: u64,
    /// Whether a thread writes.
    is_writing: bool,
    /// Why the first of them that failed did. Nothing is written after it.
    failed: Option<StateError>,
}

impl SharedState {
    /// Of a directory that is open.
    pub fn new(state: StateDir) -> SharedState {
        SharedState(Arc::new(Inner {
            directory: state.directory().to_path_buf(),
            state: Mutex::new(state),
            queue: Mutex::default(),
            moved: Condvar::new(),
        }))
    }

    /// Where a checkpoint is downloaded to. What lies there is checked again before it is used.
    pub fn joining(&self) -> PathBuf {
        self.0.directory.join("joining")
    }

    /// Where copies of the contributions that are open are kept.
    pub fn outgoing(&self) -> PathBuf {
        StateDir::outgoing_in(&self.0.directory)
    }

    /// Locks the directory, once all that was asked for is on the disk. That may take long.
    ///
    /// # Errors
    /// [`StateError`] if something of it could not be written.
    pub fn lock(&self) -> Result<MutexGuard<'_, StateDir>, StateError> {
        self.written()?;
        Ok(locked(&self.0.state))
    }

    /// Makes a change, after all that was asked for.
    ///
    /// # Errors
    /// As [`SharedState::lock`], and those of the change.
    pub fn write(
        &self,
        write: impl FnOnce(&mut StateDir) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let mut state = self.lock()?;
        write(&mut state)
    }

    /// Has a change made beside all else, after all that was asked for. Waits while two are under way. Called within a
    /// runtime.
    ///
    /// # Errors
    /// [`StateError`] if something that was asked for before could not be written.
    pub fn write_beside(
        &self,
        write: impl FnOnce(&mut StateDir) -> Result<(), StateError> + Send + 'static,
    ) -> Result<(), StateError> {
        let has_room = |queue: &Queue| queue.asked.saturating_sub(queue.written) <= MOST;
        let mut queue = self.until(has_room)?;
        queue.waiting.push_back(Box::new(write));
        queue.asked = queue.asked.saturating_add(1);
        if !std::mem::replace(&mut queue.is_writing, true) {
            let own = self.clone();
            tokio::task::spawn_blocking(move || own.write_waiting());
        }
        Ok(())
    }

    /// Waits until all that was asked for is on the disk, but not for what is asked for meanwhile: where the disk always
    /// has something to write, nobody would be done. That may take long.
    ///
    /// # Errors
    /// [`StateError`] if something of it could not be written.
    pub fn written(&self) -> Result<(), StateError> {
        let asked = locked(&self.0.queue).asked;
        self.until(|queue| queue.written >= asked).map(drop)
    }

    /// Waits until this is so of the queue.
    fn until(&self, is_so: impl Fn(&Queue) -> bool) -> Result<MutexGuard<'_, Queue>, StateError> {
        let waits = |queue: &mut Queue| queue.failed.is_none() && !is_so(queue);
        let queue = self.0.moved.wait_while(locked(&self.0.queue), waits);
        let queue = queue.unwrap_or_else(PoisonError::into_inner);
        match &queue.failed {
            Some(error) => Err(error.again()),
            None => Ok(queue),
        }
    }

    fn write_waiting(&self) {
        while let Some(write) = self.next() {
            // Whoever waits for this one hears of it, whatever happens.
            let all = AssertUnwindSafe(|| write(&mut locked(&self.0.state)));
            let written = catch_unwind(all).unwrap_or_else(|_| Err(self.broken()));
            let mut queue = locked(&self.0.queue);
            match written {
                Ok(()) => queue.written = queue.written.saturating_add(1),
                Err(error) => {
                    queue.failed = Some(error);
                    queue.waiting.clear();
                }
            }
            self.0.moved.notify_all();
        }
    }

    /// The thread that writes has a bug.
    fn broken(&self) -> StateError {
        StateError::Io {
            doing: "write",
            path: self.0.directory.clone(),
            source: io::Error::other("the thread that writes panicked"),
        }
    }

    /// The next change; with none, this thread writes no more.
    fn next(&self) -> Option<Write> {
        let mut queue = locked(&self.0.queue);
        let next = queue.waiting.pop_front();
        queue.is_writing = next.is_some();
        next
    }
}

#[cfg(test)]
#[path = "beside_tests.rs"]
mod tests;
