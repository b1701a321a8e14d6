//! Covenant-72B's setting, as far as it is published, and what our own work costs in it.
//!
//! From Covenant-72B's paper (arXiv 2603.08163): parameters, inner steps, sequences, the 20 minutes in which they are
//! computed on eight B200, contributors, and the two bandwidths. From docs/contribution.md: the bytes of a contribution
//! and the time of one core that it takes to make and to apply one, measured layer by layer. Assumed: the cores and the
//! disk of a contributor's host, which nobody published.

use cairn_primitives::{AuditRules, BlockNumber, Combination, Phases};

use crate::{clock::Millis, network::Lines, settings::Terms, workshop::Costs};

/// Parameters of the model.
pub const PARAMETERS: u64 = 72_747_327_488;
/// Inner steps of a round.
pub const STEPS: u16 = 30;
/// Sequences of an inner step, of 2,048 tokens.
pub const SEQUENCES: u16 = 192;
/// The inner steps of a round: 20 minutes.
pub const TRAINING: Millis = 1_200_000;
/// A contribution, in bytes: 80 layers of 16,075,411, and the embedding and the head, 212.9 times below their `f32`.
pub const CONTRIBUTION: u64 = 1_366_727_427;
/// Making a contribution, in milliseconds of one core.
const ENCODE: u64 = 93_000;
/// Decoding twenty contributions, the outer step and the model root, in milliseconds of one core.
const APPLY_TWENTY: u64 = 259_000;
/// Parts of that in each of the twenty contributions, and in what is done once, as a layer of the model has them.
const EACH: u64 = 139;
const ONCE: u64 = 164;
/// Milliseconds from one block to the next: the runtime's usual ones.
pub const BLOCK: Millis = 6_000;

/// A line of Covenant's contributors, in one of two readings.
pub struct Reading {
    /// Its name.
    pub name: &'static str,
    /// What it is, for people.
    pub what: &'static str,
    /// In bytes a second.
    pub lines: Lines,
}

/// As the paper prints its bandwidths, and as its times suggest that they were meant.
pub static READINGS: [Reading; 2] = [
    Reading {
        name: "Mb/s",
        what: "110 Mb/s up and 500 Mb/s down, as printed",
        lines: Lines {
            up: 13_750_000,
            down: 62_500_000,
        },
    },
    Reading {
        name: "MB/s",
        what: "110 MB/s up and 500 MB/s down, the same numbers read as megabytes",
        lines: Lines {
            up: 110_000_000,
            down: 500_000_000,
        },
    },
];

/// What is assumed of a member's host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// Cores.
    pub cores: u64,
    /// Bytes a second that its disk writes.
    pub disk: u64,
}

fn time_of(bytes: u64, rate: u64) -> Millis {
    bytes.saturating_mul(1_000) / rate.max(1)
}

impl Host {
    /// What work costs here if a round includes so many contributions.
    pub fn costs(&self, contributors: u64) -> Costs {
        let cores = self.cores.max(1);
        let parts = contributors * EACH + 20 * ONCE;
        let all = 20 * (EACH + ONCE);
        let step = TRAINING / u64::from(STEPS);
        Costs {
            step,
            seal: ENCODE / cores,
            open: APPLY_TWENTY * EACH / all / cores,
            apply: APPLY_TWENTY * parts / all / cores,
            // A forward pass is a third of a training step.
            window: step / u64::from(SEQUENCES) / 3,
            write: time_of(PARAMETERS * 4, self.disk),
            carry: time_of(PARAMETERS * 12, self.disk),
            contribution: CONTRIBUTION,
            // Nobody joins, and what validators write runs beside.
            checkpoint: 0,
        }
    }
}

/// So many milliseconds and a quarter more, in blocks, and a few blocks.
fn limit(time: Millis) -> BlockNumber {
    let blocks = (time + time / 4).div_ceil(BLOCK) + 8;
    BlockNumber::try_from(blocks).unwrap_or(BlockNumber::MAX)
}

/// The run's terms: each phase may last a quarter longer than its work should take. They end when that is done.
pub fn terms(costs: &Costs, lines: Lines, contributors: u64) -> Terms {
    let files = contributors * costs.contribution;
    let fetching = time_of(files, lines.down);
    let applying = fetching + costs.apply + costs.write;
    let making = costs.seal + time_of(costs.contribution, lines.up) + costs.carry;
    Terms {
        phases: Phases {
            train: limit(applying + TRAINING + making),
            reveal: 12,
            attest: 2 * limit(fetching),
            floor: 1,
        },
        steps: STEPS,
        sequences: SEQUENCES,
        audits: AuditRules::default(),
        combine: Combination::Trust,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Host = Host {
        cores: 100,
        disk: 1_000_000_000,
    };

    #[test]
    fn costs_are_those_of_the_pages() {
        let costs = HOST.costs(20);
        assert_eq!((costs.step, costs.window), (40_000, 69));
        assert_eq!((costs.seal, costs.apply), (930, 2_590));
        assert_eq!((costs.write, costs.carry), (290_989, 872_967));
        // A twentieth of what decoding twenty takes: 1.39 of 3.03.
        assert_eq!(costs.open, 59);
        assert_eq!(HOST.costs(0).apply, 2_590 * 164 / 303);
        assert_eq!(CONTRIBUTION, 80 * 16_075_411 + 80_694_547);
    }

    #[test]
    fn phases_have_time_for_what_is_to_be_done() {
        let costs = HOST.costs(20);
        let terms = terms(&costs, READINGS[0].lines, 20);
        // 27.3 GB at 62.5 MB/s are 437 s.
        assert_eq!(terms.phases.attest, 2 * (92 + 8));
        // With the 1,200 s, 99 s of upload, 1,164 s of a slow disk, and 3 s: 2,904 s and a quarter.
        assert_eq!(terms.phases.train, 606 + 8);
        assert_eq!(terms.audits.rate, 0);
        let most = Phases::MAX_PHASE;
        assert!(terms.phases.train < most && terms.phases.attest < most);
    }
}
