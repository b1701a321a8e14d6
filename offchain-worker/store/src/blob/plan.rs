//! Who brings which groups. No clock and no I/O: speeds are handed in.
//!
//! Each source has one stretch at a time and brings it from the front. One that has nothing to do takes from the
//! longest stretch that nobody has; if there is none, it takes the back of the stretch that would take longest, so that
//! all end together. If only a group is left of that and its source is late with it, both bring it, and the first one
//! counts: so a slow source holds nobody up.

use std::{collections::BTreeMap, ops::Range};

use super::{fetch::TOGETHER, tree::GROUP};

/// A stretch is what a source brings in about this many seconds, so that its latency hardly counts.
const SECONDS: f64 = 4.0;

/// The first stretch, and the shortest: 1 MiB.
const SHORTEST: u64 = 64;

/// The longest: 256 MiB.
const LONGEST: u64 = 16_384;

/// Less than this is taken from another only if it would take it more than [`SLOW`] seconds: whatever is under way to
/// the other is lost.
const WORTH_TAKING: u64 = 16;

/// Seconds.
const SLOW: f64 = 1.0;

/// Groups of a stretch for a source of this speed in bytes per second.
pub(crate) fn stretch(speed: Option<f64>) -> u64 {
    let groups = speed.unwrap_or(0.0) * SECONDS / GROUP as f64;
    // A float beyond the range becomes the nearest integer.
    (groups as u64).clamp(SHORTEST, LONGEST)
}

/// Which groups are missing, and who brings which.
#[derive(Debug)]
pub(crate) struct Plan {
    free: Vec<Range<u64>>,
    taken: BTreeMap<usize, Range<u64>>,
}

impl Plan {
    /// Of what is missing.
    pub fn new(missing: Vec<Range<u64>>) -> Plan {
        Plan {
            free: missing,
            taken: BTreeMap::new(),
        }
    }

    /// Whether nothing is missing.
    pub fn is_done(&self) -> bool {
        self.free.is_empty() && self.taken.is_empty()
    }

    /// A stretch for a source that has none; `None` if there is nothing for it now. `speed` is in bytes per second.
    /// `is_late` says whether a source brought nothing for a while.
    pub fn take(
        &mut self,
        who: usize,
        speed: impl Fn(usize) -> Option<f64>,
        is_late: impl Fn(usize) -> bool,
    ) -> Option<Range<u64>> {
        self.give_back(who);
        let longest = (0..self.free.len()).max_by_key(|index| length(&self.free[*index]));
        let stretch = match longest {
            Some(index) => self.cut(index, stretch(speed(who))),
            None => match self.steal(speed(who), &speed, &is_late) {
                Some(stretch) => stretch,
                None => self.double(is_late)?,
            },
        };
        self.taken.insert(who, stretch.clone());
        Some(stretch)
    }

    /// The group that is to come next from a source; `None` if its stretch is over, or was taken by another.
    pub fn next(&self, who: usize) -> Option<u64> {
        self.taken.get(&who).map(|stretch| stretch.start)
    }

    /// Where the stretch of a source ends, if this group is to come next from it.
    pub fn end_from(&self, who: usize, group: u64) -> Option<u64> {
        let is_next = self.next(who) == Some(group);
        let stretch = self.taken.get(&who).filter(|_| is_next);
        stretch.map(|stretch| stretch.end)
    }

    /// A group has come. Whoever else was to bring it next need not.
    pub fn brought(&mut self, group: u64) {
        self.taken.retain(|_, stretch| {
            if stretch.start == group {
                stretch.start += 1;
            }
            !stretch.is_empty()
        });
    }

    /// A source does not bring the rest of its stretch.
    pub fn give_back(&mut self, who: usize) {
        let Some(mut stretch) = self.taken.remove(&who) else {
            return;
        };
        // The group under way may be another's too.
        if self
            .taken
            .values()
            .any(|other| other.start == stretch.start)
        {
            stretch.start += 1;
        }
        if !stretch.is_empty() {
            self.free.push(stretch);
        }
    }

    /// The first groups of a free stretch.
    fn cut(&mut self, index: usize, most: u64) -> Range<u64> {
        let stretch = self.free.swap_remove(index);
        let middle = stretch.end.min(stretch.start.saturating_add(most));
        if middle < stretch.end {
            self.free.push(middle..stretch.end);
        }
        stretch.start..middle
    }

    /// The back of the stretch that would take longest. Its source keeps at least the group that is under way, and if
    /// it is in time as many as may be at hand together: those may be on their way to the disk.
    fn steal(
        &mut self,
        mine: Option<f64>,
        speed: &impl Fn(usize) -> Option<f64>,
        is_late: &impl Fn(usize) -> bool,
    ) -> Option<Range<u64>> {
        let seconds = |who: usize, stretch: &Range<u64>| match speed(who) {
            Some(speed) if speed > 0.0 => length(stretch) as f64 * GROUP as f64 / speed,
            _ => f64::MAX,
        };
        let slowest = self
            .taken
            .iter()
            .map(|(who, stretch)| (*who, seconds(*who, stretch), length(stretch)))
            .filter(|(who, seconds, length)| {
                let is_slow = *seconds > SLOW || is_late(*who);
                *length > 1 && (*length >= WORTH_TAKING || is_slow)
            })
            .max_by(|one, other| one.1.total_cmp(&other.1))?;
        let (victim, _, length) = slowest;
        let (mine, theirs) = (
            mine.unwrap_or(1.0).max(1.0),
            speed(victim).unwrap_or(1.0).max(1.0),
        );
        let share = (length as f64 * mine / (mine + theirs)) as u64;
        let kept = match is_late(victim) || length <= TOGETHER as u64 {
            true => 1,
            false => TOGETHER as u64,
        };
        let stretch = self.taken.get_mut(&victim)?;
        let middle = stretch.end - share.clamp(1, length - kept);
        let back = middle..stretch.end;
        stretch.end = middle;
        Some(back)
    }

    /// The group that a source is late with, if all others that bring it are, too.
    fn double(&self, is_late: impl Fn(usize) -> bool) -> Option<Range<u64>> {
        let are_late = |group| {
            let mut takers = self.taken.iter();
            takers.all(|(who, other)| other.start != group || is_late(*who))
        };
        let late = self.taken.values().find(|taken| are_late(taken.start));
        late.map(|taken| taken.start..taken.start.saturating_add(1))
    }
}

fn length(stretch: &Range<u64>) -> u64 {
    stretch.end.saturating_sub(stretch.start)
}
