//! Whether there is time for another inner step before the commit deadline.

use cairn_primitives::BlockNumber;

/// How many of the last observations count.
const REMEMBERED: usize = 8;
/// How many a median takes: who has just come hears of some blocks at once.
const ENOUGH: usize = 5;

/// Measures blocks and inner steps. All times are milliseconds since any one moment.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    latest_block: Option<(BlockNumber, u64)>,
    block_times: Recent,
    step_times: Recent,
}

/// The last few durations.
#[derive(Clone, Debug, Default)]
struct Recent(Vec<u64>);

impl Recent {
    fn push(&mut self, value: u64) {
        if self.0.len() == REMEMBERED {
            self.0.remove(0);
        }
        self.0.push(value);
    }

    fn median(&self) -> Option<u64> {
        if self.0.len() < ENOUGH {
            return None;
        }
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }

    fn longest(&self) -> Option<u64> {
        self.0.iter().max().copied()
    }

    fn forget_longest(&mut self) {
        let longest = self.0.iter().enumerate().max_by_key(|(_, time)| **time);
        if let Some(at) = longest.map(|(at, _)| at) {
            self.0.remove(at);
        }
    }
}

impl Pace {
    /// Block `number` arrived at time `at`. Numbers that do not grow (a re-organisation) are passed over.
    pub fn observe_block(&mut self, number: BlockNumber, at: u64) {
        if let Some((before, then)) = self.latest_block {
            let blocks = u64::from(number.saturating_sub(before));
            if blocks == 0 {
                return;
            }
            self.block_times.push(at.saturating_sub(then) / blocks);
        }
        self.latest_block = Some((number, at));
    }

    /// An inner step took `duration`.
    pub fn observe_step(&mut self, duration: u64) {
        self.step_times.push(duration);
    }

    /// For want of time not one step was made in a round, and so none was measured: the longest of the recent steps is
    /// forgotten. If a machine stood still in one, that would end all training otherwise.
    pub fn forget_longest(&mut self) {
        self.step_times.forget_longest();
    }

    /// Typical time between blocks, once it has been seen often enough.
    pub fn block_time(&self) -> Option<u64> {
        self.block_times.median()
    }

    /// Whether a step that begins at time `at` ends before block `deadline` is due. Assumes the longest of
    /// the recent steps. While blocks or steps have not been measured, only the deadline itself counts.
    pub fn has_time(&self, deadline: BlockNumber, at: u64) -> bool {
        let Some((number, arrived)) = self.latest_block else {
            return true;
        };
        if number >= deadline {
            return false;
        }
        let (Some(block), Some(step)) = (self.block_time(), self.step_times.longest()) else {
            return true;
        };
        let due = arrived.saturating_add(block.saturating_mul(u64::from(deadline - number)));
        at.saturating_add(step) <= due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_second_blocks() -> Pace {
        let mut pace = Pace::default();
        for number in 0..6 {
            pace.observe_block(number, u64::from(number) * 2_000);
        }
        pace
    }

    #[test]
    fn a_step_that_fits_is_done_and_one_that_does_not_is_left() {
        let mut pace = two_second_blocks();
        pace.observe_step(1_500);
        // Block 5 came at 10,000, so block 7 is due at 14,000.
        assert!(pace.has_time(7, 12_500));
        assert!(!pace.has_time(7, 12_501));
    }

    #[test]
    fn the_slowest_recent_step_decides() {
        let mut pace = two_second_blocks();
        pace.observe_step(3_000);
        pace.observe_step(100);
        assert!(!pace.has_time(6, 9_500));
        for _ in 0..REMEMBERED {
            pace.observe_step(100);
        }
        assert!(pace.has_time(6, 9_500));
    }

    #[test]
    fn a_step_in_which_the_machine_stood_still_ends_no_training() {
        let mut pace = two_second_blocks();
        pace.observe_step(100);
        pace.observe_step(20_000);
        pace.observe_step(200);
        // Block 12 is due at 24,000, and no other step is made.
        assert!(!pace.has_time(12, 10_000));
        pace.forget_longest();
        assert!(pace.has_time(12, 23_800));
        assert!(!pace.has_time(12, 23_801));
    }

    #[test]
    fn unmeasured_only_the_deadline_counts() {
        let mut pace = Pace::default();
        assert!(pace.has_time(6, 0));
        pace.observe_block(5, 0);
        assert!(pace.has_time(6, 1_000_000));
        pace.observe_block(6, 10);
        assert!(!pace.has_time(6, 11));
    }

    #[test]
    fn missed_and_repeated_blocks_do_not_distort_the_block_time() {
        let mut pace = Pace::default();
        pace.observe_block(1, 0);
        pace.observe_block(4, 6_000);
        pace.observe_block(3, 6_100);
        pace.observe_block(4, 6_200);
        for number in 5..9 {
            pace.observe_block(number, u64::from(number) * 2_000 - 2_000);
        }
        assert_eq!(pace.block_time(), Some(2_000));
    }

    /// Who has just come hears of the last blocks at once, and must not take a block for a moment.
    #[test]
    fn blocks_that_come_at_once_at_first_end_no_training() {
        let mut pace = Pace::default();
        for (number, at) in [(1, 0), (2, 20), (3, 60)] {
            pace.observe_block(number, at);
            pace.observe_step(400);
            assert!(pace.has_time(12, at));
        }
        for number in 4..9 {
            pace.observe_block(number, 60 + u64::from(number - 3) * 2_000);
        }
        assert_eq!(pace.block_time(), Some(2_000));
    }
}
