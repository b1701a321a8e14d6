//! What systemd, or whoever else watches over a worker, is told: by `sd_notify(3)`, if it listens.

use sd_notify::NotifyState;

/// The worker has found its node and keys.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The chain moves and the worker looks at it: this feeds the watchdog.
pub fn alive(status: &str) {
    tell(&[NotifyState::Watchdog, NotifyState::Status(status)]);
}

/// The worker was asked to stop, and does.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the supervisor cannot be told");
    }
}
