//! How long to go on trying.

use std::time::Duration;

/// When to try again, and when to give up. Pure: it is told how often and how long it was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Pause after the first failure; it doubles with each one.
    pub first: Duration,
    /// Longest pause.
    pub longest: Duration,
    /// After this time, nothing is tried again.
    pub total: Duration,
}

impl Default for Patience {
    /// 200 ms at first, at most 5 s, two minutes in all: enough for a node to restart.
    fn default() -> Self {
        Patience {
            first: Duration::from_millis(200),
            longest: Duration::from_secs(5),
            total: Duration::from_secs(120),
        }
    }
}

impl Patience {
    /// Trying once.
    pub const NONE: Patience = Patience {
        first: Duration::ZERO,
        longest: Duration::ZERO,
        total: Duration::ZERO,
    };

    /// The pause before trying again after `failures` of them in `elapsed`; `None` to give up.
    pub fn pause(&self, failures: u32, elapsed: Duration) -> Option<Duration> {
        let doublings = failures.saturating_sub(1).min(31);
        let pause = self.first.saturating_mul(1 << doublings).min(self.longest);
        (elapsed.saturating_add(pause) < self.total).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        first: Duration::from_millis(100),
        longest: Duration::from_secs(1),
        total: Duration::from_secs(10),
    };

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses: Vec<_> = (1..=6)
            .map(|failures| {
                PATIENCE
                    .pause(failures, Duration::ZERO)
                    .unwrap()
                    .as_millis()
            })
            .collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(
            PATIENCE.pause(u32::MAX, Duration::ZERO),
            Some(Duration::from_secs(1))
        );
    }

    #[test]
    fn patience_ends() {
        assert_eq!(
            PATIENCE.pause(9, Duration::from_millis(8_999)),
            Some(Duration::from_secs(1))
        );
        assert_eq!(PATIENCE.pause(9, Duration::from_secs(9)), None);
        assert_eq!(PATIENCE.pause(1, Duration::MAX), None);
        assert_eq!(Patience::NONE.pause(1, Duration::ZERO), None);
    }
}
