//! What a server has done.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::answer::Stop;

/// What a server has done since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Connections that are open.
    pub connections: usize,
    /// Most that were open at once.
    pub most_connections: usize,
    /// Connections that were let in.
    pub admitted: u64,
    /// Requests under way.
    pub requests: usize,
    /// Most that were under way at once.
    pub most_requests: usize,
    /// Requests that were answered to the end, also by "absent".
    pub replies: u64,
    /// Bytes of files that were handed to the network.
    pub bytes: u64,
    /// Probes that were taken to their end; those that were refused are replies and nothing else.
    pub probes: u64,
    /// Bytes of probes that came and were thrown away, also of those that broke off.
    pub probed: u64,
    /// Connections that were not let in: no room, not admitted, no handshake in time.
    pub refused: u64,
    /// Connections that were closed for a request that no honest peer writes.
    pub malformed: u64,
    /// Connections that were closed because the peer did not go on.
    pub stalled: u64,
}

/// Counts, from many tasks.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Counts>);

impl Tally {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self) -> Counts {
        *self.counts()
    }

    /// How many connections there are now.
    pub fn connections(&self, now: usize) {
        let mut counts = self.counts();
        counts.connections = now;
        counts.most_connections = counts.most_connections.max(now);
    }

    pub fn admitted(&self) {
        let mut counts = self.counts();
        counts.admitted = counts.admitted.saturating_add(1);
    }

    pub fn begins(&self) {
        let mut counts = self.counts();
        counts.requests = counts.requests.saturating_add(1);
        counts.most_requests = counts.most_requests.max(counts.requests);
    }

    pub fn ends(&self) {
        let mut counts = self.counts();
        counts.requests = counts.requests.saturating_sub(1);
    }

    pub fn replied(&self) {
        let mut counts = self.counts();
        counts.replies = counts.replies.saturating_add(1);
    }

    pub fn sent(&self, bytes: u64) {
        let mut counts = self.counts();
        counts.bytes = counts.bytes.saturating_add(bytes);
    }

    pub fn probed(&self, bytes: u64) {
        let mut counts = self.counts();
        counts.probed = counts.probed.saturating_add(bytes);
    }

    pub fn took(&self) {
        let mut counts = self.counts();
        counts.probes = counts.probes.saturating_add(1);
    }

    pub fn refused(&self) {
        let mut counts = self.counts();
        counts.refused = counts.refused.saturating_add(1);
    }

    pub fn stopped(&self, why: &Stop) {
        let mut counts = self.counts();
        match why {
            Stop::Frame(_) => counts.malformed = counts.malformed.saturating_add(1),
            Stop::Stalled => counts.stalled = counts.stalled.saturating_add(1),
            Stop::Left | Stop::LeftProbe | Stop::Disk(_) => {}
        }
    }
}
