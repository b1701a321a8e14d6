//! Which probes are taken: one at a time, and few. No I/O, no clock.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    limits::{Limits, HOUR},
    PeerId,
};

/// The probes of all peers.
#[derive(Debug)]
pub(crate) struct Probes {
    most: usize,
    pause: Duration,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    /// Whether one is under way.
    is_busy: bool,
    /// Those of the last hour, the oldest first; never more than are taken in an hour.
    last: VecDeque<(Instant, PeerId)>,
}

/// A probe that is under way, until this is dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Mutex<Taken>>);

impl Drop for Permit {
    fn drop(&mut self) {
        locked(&self.0).is_busy = false;
    }
}

fn locked(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Probes {
    pub fn new(limits: &Limits) -> Probes {
        Probes {
            most: limits.probes,
            pause: limits.probe_pause.min(HOUR),
            taken: Arc::default(),
        }
    }

    /// Lets a peer's probe begin, if it may. What it comes to, it counts.
    pub fn begin(&self, peer: &PeerId, now: Instant) -> Option<Permit> {
        let mut taken = locked(&self.taken);
        let within = |at: Instant, time: Duration| now.saturating_duration_since(at) < time;
        taken.last.retain(|(at, _)| within(*at, HOUR));
        let is_early = |(at, who): &(Instant, PeerId)| who == peer && within(*at, self.pause);
        if taken.is_busy || taken.last.len() >= self.most || taken.last.iter().any(is_early) {
            return None;
        }
        taken.is_busy = true;
        taken.last.push_back((now, *peer));
        drop(taken);
        Some(Permit(self.taken.clone()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn peer(number: u8) -> PeerId {
        PeerId([number; 32])
    }

    fn probes(probes: usize, probe_pause: Duration) -> Probes {
        Probes::new(&Limits {
            probes,
            probe_pause,
            ..Limits::default()
        })
    }

    #[test]
    fn one_is_under_way_and_the_next_may_begin_when_it_is_over() {
        let (probes, now) = (probes(9, Duration::ZERO), Instant::now());
        let first = probes.begin(&peer(1), now);
        assert!(first.is_some());
        assert!(probes.begin(&peer(2), now).is_none());
        drop(first);
        assert!(probes.begin(&peer(2), now).is_some());
    }

    #[test]
    fn a_peer_waits_and_another_does_not_have_to() {
        let (probes, now) = (probes(9, 10 * MINUTE), Instant::now());
        let may = |number: u8, after: Duration| probes.begin(&peer(number), now + after).is_some();
        assert!(may(1, Duration::ZERO));
        assert!(!may(1, 10 * MINUTE - Duration::from_millis(1)));
        assert!(may(2, 10 * MINUTE - Duration::from_millis(1)));
        assert!(may(1, 10 * MINUTE));
    }

    #[test]
    fn all_together_have_so_many_in_an_hour() {
        let (probes, now) = (probes(3, Duration::ZERO), Instant::now());
        let may = |number: u8, minutes: u32| {
            let begun = probes.begin(&peer(number), now + minutes * MINUTE);
            begun.is_some()
        };
        for number in 0..3 {
            assert!(may(number, number.into()));
        }
        assert!(!may(9, 59));
        assert!(may(9, 60));
        assert!(!may(8, 60));
        assert!(may(8, 61));
    }

    #[test]
    fn where_none_are_taken_none_begins() {
        assert!(probes(0, Duration::ZERO)
            .begin(&peer(1), Instant::now())
            .is_none());
    }

    proptest! {
        #[test]
        fn there_are_never_too_many(
            most in 0usize..5,
            pause in 0u64..7_200,
            asked in proptest::collection::vec((0u8..4, 0u64..1_800), 0..100),
        ) {
            let probes = probes(most, Duration::from_secs(pause));
            let (mut now, mut begun) = (Instant::now(), Vec::new());
            for (number, later) in asked {
                now += Duration::from_secs(later);
                if probes.begin(&peer(number), now).is_some() {
                    begun.push((now, number));
                }
                let last = begun.iter().filter(|(at, _)| now - *at < HOUR);
                prop_assert!(last.clone().count() <= most);
                let pause = Duration::from_secs(pause).min(HOUR);
                let of_each = |who: u8| last.clone().filter(move |(at, it)| *it == who && now - *at < pause);
                prop_assert!((0..4).all(|who| of_each(who).count() <= 1));
                prop_assert!(locked(&probes.taken).last.len() <= most);
            }
        }
    }
}
