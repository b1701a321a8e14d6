//! Whether the chain moves. Pure: whoever asks says what time it is.

use std::time::{Duration, Instant};

use cairn_primitives::BlockNumber;

/// A chain without a new block for longer does not move. After as long the worker says so in its log.
pub const STILL: Duration = Duration::from_secs(60);

/// When the chain last got further.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pulse(Option<(BlockNumber, Instant)>);

/// Whether the chain moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// No block was seen yet.
    Waiting,
    /// It does.
    Moves {
        /// Its highest block.
        block: BlockNumber,
        /// How long ago that came.
        ago: Duration,
    },
    /// It does not.
    Stands {
        /// Its highest block.
        block: BlockNumber,
        /// How long ago that came.
        ago: Duration,
    },
}

impl Pulse {
    /// The chain got further than ever before: to this block.
    pub fn beat(&mut self, block: BlockNumber, now: Instant) {
        self.0 = Some((block, now));
    }

    /// Whether the chain moves.
    pub fn health(&self, now: Instant) -> Health {
        let Some((block, since)) = self.0 else {
            return Health::Waiting;
        };
        let ago = now.saturating_duration_since(since);
        match ago < STILL {
            true => Health::Moves { block, ago },
            false => Health::Stands { block, ago },
        }
    }
}

impl Health {
    /// Whether all is well.
    pub fn is_good(self) -> bool {
        matches!(self, Health::Moves { .. })
    }
}

impl std::fmt::Display for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Health::Waiting => write!(f, "no block was seen yet: see whether the node is there"),
            Health::Moves { block, ago } => write!(f, "block {block}, {} s ago", ago.as_secs()),
            Health::Stands { block, ago } => write!(
                f,
                "no new block for {} s, none since block {block}: see whether the node is in sync",
                ago.as_secs()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_moves_while_blocks_come() {
        let begin = Instant::now();
        let mut pulse = Pulse::default();
        assert_eq!(pulse.health(begin), Health::Waiting);
        assert!(!pulse.health(begin).is_good());
        pulse.beat(7, begin);
        let almost = begin + STILL - Duration::from_nanos(1);
        assert!(pulse.health(almost).is_good());
        let still = pulse.health(begin + STILL);
        assert_eq!(
            still,
            Health::Stands {
                block: 7,
                ago: STILL
            }
        );
        assert!(still.to_string().contains("60 s, none since block 7"));
        pulse.beat(8, begin + STILL);
        assert!(pulse.health(begin + STILL).is_good());
    }
}
