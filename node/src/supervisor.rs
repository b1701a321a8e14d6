//! What systemd, or whoever else watches over a node, is told: by `sd_notify(3)`, if it listens.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt};
use sc_client_api::BlockchainEvents;
use sd_notify::NotifyState;
use sp_consensus::SyncOracle;

use crate::service::Client;

/// Between two looks at whether the node still fetches what it lacks.
const INTERVAL: Duration = Duration::from_secs(30);

/// The node runs.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// It was asked to stop, and does.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Feeds the watchdog for as long as the node runs: with each block that it imports, and while it is behind the others,
/// because to fetch a state or to verify an old chain takes longer than any block.
pub async fn feed(client: Arc<Client>, sync: Arc<dyn SyncOracle + Send + Sync>) {
    let mut imported = client.every_import_notification_stream().fuse();
    loop {
        let mut wait = std::pin::pin!(tokio::time::sleep(INTERVAL).fuse());
        futures::select! {
            block = imported.next() => match block {
                Some(block) => alive(&format!("at block {}", block.header.number)),
                None => return,
            },
            () = wait => if sync.is_major_syncing() {
                alive("behind the others");
            },
        }
    }
}

fn alive(status: &str) {
    tell(&[NotifyState::Watchdog, NotifyState::Status(status)]);
}

fn tell(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!(target: "supervisor", "it cannot be told: {error}");
    }
}
