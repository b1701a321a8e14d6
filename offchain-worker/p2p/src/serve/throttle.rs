//! Bytes per second, of everybody together.

use std::time::Duration;

use tokio::{sync::Mutex, time::Instant};

/// Lets bytes through at a rate, in the order in which they come.
#[derive(Debug)]
pub(crate) struct Throttle {
    /// Bytes per second; `None` for no limit.
    rate: Option<u64>,
    /// When the next byte may go.
    next: Mutex<Instant>,
}

impl Throttle {
    pub fn new(rate: Option<u64>) -> Throttle {
        Throttle {
            rate: rate.map(|rate| rate.max(1)),
            next: Mutex::new(Instant::now()),
        }
    }

    /// Comes back when so many bytes may go.
    ///
    /// Who waits has reserved nothing, but has a place in the lock's queue: who gives up leaves it, and takes nothing
    /// from those behind.
    pub async fn pass(&self, bytes: u64) {
        let Some(rate) = self.rate else {
            return;
        };
        let micros = bytes.saturating_mul(1_000_000).checked_div(rate);
        let takes = Duration::from_micros(micros.unwrap_or_default());
        let mut next = self.next.lock().await;
        let due = (*next).max(Instant::now());
        tokio::time::sleep_until(due).await;
        *next = due.checked_add(takes).unwrap_or(due);
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_lets_a_second_s_bytes_through() {
        let begin = Instant::now();
        let throttle = Throttle::new(Some(1_000));
        for _ in 0..50 {
            throttle.pass(100).await;
        }
        // The fiftieth goes when the other forty-nine are through.
        let took = begin.elapsed().as_millis();
        assert!((4_900..=4_960).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_takes_nothing() {
        let throttle = Throttle::new(Some(1_000));
        throttle.pass(1_000).await;
        let begin = Instant::now();
        for _ in 0..50 {
            let gives_up = tokio::time::timeout(Duration::ZERO, throttle.pass(1_000)).await;
            assert!(gives_up.is_err());
        }
        throttle.pass(1).await;
        let took = begin.elapsed().as_millis();
        assert!((900..=1_100).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_nothing_waits() {
        let begin = Instant::now();
        Throttle::new(None).pass(u64::MAX).await;
        assert_eq!(begin.elapsed(), Duration::ZERO);
        // A rate of nothing is slow, and no division by it.
        Throttle::new(Some(0)).pass(u64::MAX).await;
    }
}
