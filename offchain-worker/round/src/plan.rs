//! Who trains on which windows in a round, and on which windows validators measure the result.

use cairn_primitives::{
    api::RoundInfo,
    assignment::{pass_key, permute, unassigned, DataRange},
    blake2_256, Netuid, RunConfig, H256,
};
use codec::Encode;

/// The data of one round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    key: H256,
    windows: u64,
    range: DataRange,
    per_step: u64,
    per_miner: u64,
    miners: u64,
    seed: H256,
}

impl Plan {
    /// The plan of `round` in the run `config` on subnet `netuid`.
    pub fn new<AccountId>(
        netuid: Netuid,
        config: &RunConfig,
        round: &RoundInfo<AccountId>,
    ) -> Plan {
        Plan {
            key: pass_key(netuid, config.initial_root, round.pass),
            windows: config.data.windows,
            range: DataRange {
                pass: round.pass,
                cursor: round.cursor,
            },
            per_step: u64::from(config.inner.sequences),
            per_miner: config.windows_per_miner(),
            miners: round.miners.len() as u64,
            seed: round.seed,
        }
    }

    /// The windows of inner step `step` of slot `slot`.
    pub fn of_step(&self, slot: u64, step: u32) -> Vec<u64> {
        let begin = u64::from(step)
            .saturating_mul(self.per_step)
            .min(self.per_miner);
        let end = begin.saturating_add(self.per_step).min(self.per_miner);
        let first = self.first_of(slot);
        (begin..end)
            .map(|position| permute(self.key, self.windows, first + position))
            .collect()
    }

    /// At most `count` of the windows that slot `slot` was trained on in its first `steps` inner steps,
    /// drawn from the round's seed.
    pub fn sample_assigned(&self, slot: u64, steps: u32, count: u64) -> Vec<u64> {
        let done = u64::from(steps)
            .saturating_mul(self.per_step)
            .min(self.per_miner);
        let draw = blake2_256(&(b"cairn/assigned", self.seed, slot).encode());
        let first = self.first_of(slot);
        (0..count.min(done))
            .map(|index| permute(draw, done, index))
            .map(|position| permute(self.key, self.windows, first + position))
            .collect()
    }

    /// Position in the pass at which a slot's data begins.
    fn first_of(&self, slot: u64) -> u64 {
        self.range.cursor + slot * self.per_miner
    }

    /// At most `count` windows that the round assigned to nobody, drawn from its seed.
    pub fn sample_unassigned(&self, count: u64) -> Vec<u64> {
        let used = self.miners.saturating_mul(self.per_miner).min(self.windows);
        unassigned(self.key, self.windows, self.range, used, self.seed, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::assignment::windows_of;
    use std::collections::BTreeSet;

    fn plan() -> Plan {
        Plan {
            key: H256([7; 32]),
            windows: 1_000,
            range: DataRange {
                pass: 0,
                cursor: 100,
            },
            per_step: 4,
            per_miner: 20,
            miners: 3,
            seed: H256([9; 32]),
        }
    }

    fn all(plan: &Plan, slot: u64) -> BTreeSet<u64> {
        (0..5).flat_map(|step| plan.of_step(slot, step)).collect()
    }

    #[test]
    fn steps_partition_a_slots_windows() {
        let plan = plan();
        let expected: Vec<u64> =
            windows_of(plan.key, plan.windows, plan.range, plan.per_miner, 1).collect();
        let steps: Vec<u64> = (0..5).flat_map(|step| plan.of_step(1, step)).collect();
        assert_eq!(steps, expected);
        assert!(plan.of_step(1, 5).is_empty());
    }

    #[test]
    fn a_sample_of_assigned_windows_comes_from_the_steps_that_were_done() {
        let plan = plan();
        let done: BTreeSet<u64> = (0..3).flat_map(|step| plan.of_step(2, step)).collect();
        let sample: BTreeSet<u64> = plan.sample_assigned(2, 3, 8).into_iter().collect();
        assert_eq!(sample.len(), 8);
        assert!(sample.is_subset(&done));
        let whole: BTreeSet<u64> = plan.sample_assigned(2, 99, 99).into_iter().collect();
        assert_eq!(whole, all(&plan, 2));
    }

    #[test]
    fn unassigned_windows_are_nobodys() {
        let plan = plan();
        let used: BTreeSet<u64> = (0..3).flat_map(|slot| all(&plan, slot)).collect();
        let sample = plan.sample_unassigned(32);
        assert_eq!(sample.len(), 32);
        assert!(sample.iter().all(|window| !used.contains(window)));
    }
}
