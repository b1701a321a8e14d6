//! Virtual time, and what is to happen when. Of two things at one moment the one that was asked for first comes first.

use std::collections::BTreeMap;

/// Milliseconds since the simulation began.
pub type Millis = u64;

/// A virtual time in seconds.
pub fn seconds(millis: Millis) -> f64 {
    millis as f64 / 1_000.0
}

/// A queue of things to come.
#[derive(Debug)]
pub struct Clock<T> {
    now: Millis,
    asked: u64,
    queue: BTreeMap<(Millis, u64), T>,
}

impl<T> Default for Clock<T> {
    fn default() -> Clock<T> {
        Clock {
            now: 0,
            asked: 0,
            queue: BTreeMap::new(),
        }
    }
}

impl<T> Clock<T> {
    /// What time it is.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// `what` happens `delay` from now.
    pub fn after(&mut self, delay: Millis, what: T) {
        let at = (self.now.saturating_add(delay), self.asked);
        self.asked += 1;
        self.queue.insert(at, what);
    }

    /// Goes on to the next thing that happens.
    pub fn advance(&mut self) -> Option<T> {
        let ((at, _), what) = self.queue.pop_first()?;
        self.now = at;
        Some(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_happen_in_time_and_of_one_moment_in_the_order_asked_for() {
        let mut clock = Clock::default();
        clock.after(5, 'c');
        clock.after(3, 'a');
        clock.after(5, 'd');
        clock.after(3, 'b');
        let mut seen = Vec::new();
        while let Some(what) = clock.advance() {
            seen.push((clock.now(), what));
            if what == 'a' {
                clock.after(0, 'x');
            }
        }
        assert_eq!(seen, [(3, 'a'), (3, 'b'), (3, 'x'), (5, 'c'), (5, 'd')]);
    }
}
