//! Rehearsed failures.

use cairn_primitives::{Phase, Phases, Round};

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The first miner is killed, as by `kill -9`, in the middle of its training, and started again.
    KillMiner,
    /// The node is stopped in the middle of a round and started again.
    RestartNode,
    /// One more miner registers and joins.
    LateMiner,
}

/// Something that happens in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// When.
    pub round: Round,
}

/// Reads `kill-miner@3` and its like.
pub fn parse(text: &str) -> Result<Event, String> {
    let wrong = || {
        format!(
            "`{text}` is not an event; write kill-miner@ROUND, restart-node@ROUND or late-miner@ROUND"
        )
    };
    let (name, round) = text.split_once('@').ok_or_else(wrong)?;
    let kind = match name {
        "kill-miner" => EventKind::KillMiner,
        "restart-node" => EventKind::RestartNode,
        "late-miner" => EventKind::LateMiner,
        _ => return Err(wrong()),
    };
    Ok(Event {
        kind,
        round: round.parse().map_err(|_| wrong())?,
    })
}

impl Event {
    /// Whether it is time, `elapsed` blocks into `round`. Failures come in the middle of training, so that
    /// work is lost; a miner joins as soon as its round begins. What was missed is made up for.
    pub fn is_due(&self, round: Round, phases: &Phases, elapsed: u32) -> bool {
        if round != self.round {
            return round > self.round;
        }
        match self.kind {
            EventKind::LateMiner => true,
            EventKind::KillMiner | EventKind::RestartNode => {
                phases.at(0, elapsed) != Phase::Train || elapsed >= phases.train / 2
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read() {
        let event = Event {
            kind: EventKind::KillMiner,
            round: 3,
        };
        assert_eq!(parse("kill-miner@3"), Ok(event));
        for wrong in [
            "",
            "kill-miner",
            "kill-miner@",
            "kill-miner@x",
            "flood@2",
            "late-miner@-1",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn failures_come_in_the_middle_of_training() {
        let phases = Phases {
            train: 10,
            reveal: 2,
            attest: 2,
        };
        let event = parse("kill-miner@3").unwrap();
        assert!(!event.is_due(2, &phases, 9));
        assert!(!event.is_due(3, &phases, 4));
        assert!(event.is_due(3, &phases, 5));
        assert!(event.is_due(4, &phases, 0));
        assert!(parse("late-miner@3").unwrap().is_due(3, &phases, 0));
    }
}
