//! Room on the disks of a worker's directories.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    time::Duration,
};

use nix::sys::statvfs::statvfs;
use tokio::{sync::watch, time::MissedTickBehavior};

use super::Metrics;
use crate::shutdown;

/// Directories by the names under which they are shown.
pub(super) type Places = BTreeMap<&'static str, PathBuf>;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(15);

/// Room on a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    /// What can still be written by who is not root.
    free: u64,
    size: u64,
}

/// Room on the disk of a directory; `None` if the system does not say.
fn room(directory: &Path) -> Option<Room> {
    let found = statvfs(directory).ok()?;
    let unit = found.fragment_size();
    Some(Room {
        free: unit.saturating_mul(found.blocks_available()),
        size: unit.saturating_mul(found.blocks()),
    })
}

/// What can still be written below a directory, in bytes; `None` if the system does not say.
pub(crate) fn free_bytes(directory: &Path) -> Option<u64> {
    room(directory).map(|room| room.free)
}

/// Looks again and again until `stop` turns true. A disk that does not answer holds nobody up but this.
pub async fn follow(metrics: Arc<Metrics>, mut stop: watch::Receiver<bool>) {
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown::asked(&mut stop) => return,
            _ = interval.tick() => {}
        }
        let metrics = metrics.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || metrics.look_at_disks()).await {
            tracing::debug!(%error, "disks");
        }
    }
}

impl Metrics {
    fn look_at_disks(&self) {
        let locked = self.disks.lock();
        let places = locked.unwrap_or_else(PoisonError::into_inner).clone();
        for (name, directory) in places {
            let Some(room) = room(&directory) else {
                continue;
            };
            let bytes = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
            let (free, size) = (&self.book.disk_free_bytes, &self.book.disk_size_bytes);
            free.with_label_values(&[name]).set(bytes(room.free));
            size.with_label_values(&[name]).set(bytes(room.size));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::Netuid;

    #[test]
    fn room_is_shown_where_there_is_a_directory() {
        let directory = tempfile::tempdir().unwrap();
        let found = room(directory.path()).unwrap();
        assert!(found.size > 0 && found.free <= found.size, "{found:?}");
        assert_eq!(room(&directory.path().join("none")), None);
        let metrics = Metrics::new("miner", Netuid(1)).unwrap();
        metrics.watch_disk("state", directory.path());
        metrics.watch_disk("store", &directory.path().join("none"));
        metrics.look_at_disks();
        let shown = metrics.exposition().unwrap();
        assert!(
            shown.contains("disk_free_bytes{directory=\"state\""),
            "{shown}"
        );
        assert!(!shown.contains("directory=\"store\""), "{shown}");
    }
}
