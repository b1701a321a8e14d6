//! The two clocks of this machine.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cairn_round::heard::Moment;
use tokio::time::Instant;

/// When this process began to look at them.
#[derive(Clone, Copy, Debug)]
pub struct Clocks(Instant);

impl Clocks {
    /// From now on.
    pub fn start() -> Clocks {
        Clocks(Instant::now())
    }

    /// What time it is by both.
    pub fn now(self) -> Moment {
        let dated = SystemTime::now().duration_since(UNIX_EPOCH);
        Moment {
            ran: milliseconds(self.0.elapsed()),
            dated: milliseconds(dated.unwrap_or_default()),
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
