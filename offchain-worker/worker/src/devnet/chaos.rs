//! Rehearsed failures.

use std::fmt;

use cairn_primitives::{BlockNumber, Phase, Phases, Round};
use cairn_protocol::phase::{floor, RoundStage, Timetable};

use crate::error::Failure;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The first miner is killed, as by `kill -9`, in the middle of its training, and started again.
    KillMiner,
    /// The node is stopped in the middle of a round and started again.
    RestartNode,
    /// One more miner registers and joins.
    LateMiner,
    /// The node that workers ask is killed, as by `kill -9`, and stays away.
    KillNode,
    /// The node that workers ask is stopped as by `kill -STOP`: it takes connections and answers nothing any more.
    StallNode,
}

/// The kinds by their names.
const NAMES: [(&str, EventKind); 5] = [
    ("kill-miner", EventKind::KillMiner),
    ("restart-node", EventKind::RestartNode),
    ("late-miner", EventKind::LateMiner),
    ("kill-node", EventKind::KillNode),
    ("stall-node", EventKind::StallNode),
];

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
        let names: Vec<String> = NAMES.map(|(name, _)| format!("{name}@ROUND")).into();
        format!(
            "`{text}` is not an event; write one of {}",
            names.join(", ")
        )
    };
    let (name, round) = text.trim().split_once('@').ok_or_else(wrong)?;
    let kind = NAMES.iter().find(|(known, _)| *known == name);
    let (_, kind) = kind.ok_or_else(wrong)?;
    Ok(Event {
        kind: *kind,
        round: round.parse().map_err(|_| wrong())?,
    })
}

/// As it is written.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, kind)| *kind == self.kind);
        let name = name.map_or("", |(name, _)| name);
        write!(f, "{name}@{}", self.round)
    }
}

/// An error for a plan that cannot happen in `rounds` rounds with so many nodes.
pub fn check(events: &[Event], rounds: u32, nodes: u16) -> Result<(), Failure> {
    let takes_node = |event: &&Event| {
        let kinds = [EventKind::KillNode, EventKind::StallNode];
        kinds.contains(&event.kind)
    };
    let gone = events.iter().filter(takes_node).count();
    if gone >= usize::from(nodes) {
        return Err(Failure::new(
            format!("{gone} nodes cannot go of {nodes}: the one that makes blocks stays"),
            format!("add --nodes {}", gone.saturating_add(1)),
        ));
    }
    let last = rounds.saturating_sub(1);
    for (at, event) in events.iter().enumerate() {
        if event.round > last {
            let what =
                format!("{event} cannot happen: with --rounds {rounds} the last round is {last}");
            let remedy = format!("name a round up to {last}, or raise --rounds");
            return Err(Failure::new(what, remedy));
        }
        if event.kind == EventKind::LateMiner && event.round == 0 {
            return Err(Failure::new(
                format!("{event} cannot happen: who comes in round 0 is not late"),
                "raise --miners for one more from the beginning, or name a round from 1 on",
            ));
        }
        if events.iter().take(at).any(|earlier| earlier == event) {
            return Err(Failure::new(
                format!("{event} is planned twice: it can happen once in a round"),
                "leave one out, or name another round",
            ));
        }
    }
    Ok(())
}

impl Event {
    /// Whether it is time at block `now` of `round`, which has these times. Failures come in the middle of training,
    /// so that work is lost; a miner joins as soon as its round begins. What was missed is made up for.
    pub fn is_due(
        &self,
        round: Round,
        (phases, times): (&Phases, &Timetable),
        now: BlockNumber,
    ) -> bool {
        if round != self.round {
            return round > self.round;
        }
        match self.kind {
            EventKind::LateMiner => true,
            EventKind::KillMiner
            | EventKind::RestartNode
            | EventKind::KillNode
            | EventKind::StallNode => {
                // No later: training may be over then.
                let middle = times
                    .start()
                    .saturating_add(floor(phases, RoundStage::Commit));
                times.phase(now) != Phase::Train || now >= middle
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
    fn plans_that_cannot_happen_are_refused_with_the_reason() {
        let plan = |texts: &[&str]| -> Vec<Event> {
            texts.iter().map(|text| parse(text).unwrap()).collect()
        };
        let whole = [
            "kill-miner@0",
            "restart-node@2",
            "late-miner@1",
            "kill-miner@2",
        ];
        assert!(check(&plan(&whole), 3, 1).is_ok());
        assert!(check(&[], 1, 1).is_ok());
        let nodes = plan(&["kill-node@1", "stall-node@2"]);
        assert!(check(&nodes, 3, 3).is_ok());
        let few = check(&nodes, 3, 2).unwrap_err().to_string();
        assert!(few.contains("--nodes 3"), "{few}");
        for (events, rounds, why) in [
            (
                &["kill-miner@30"][..],
                3,
                "with --rounds 3 the last round is 2",
            ),
            (&["kill-miner@3"], 3, "kill-miner@3 cannot happen"),
            (
                &["kill-miner@0", "restart-node@1"],
                1,
                "restart-node@1 cannot happen",
            ),
            (&["late-miner@0"], 3, "who comes in round 0 is not late"),
            (&["late-miner@4294967295"], 3, "up to 2, or raise --rounds"),
            (
                &["kill-miner@1", "kill-miner@1"],
                3,
                "kill-miner@1 is planned twice",
            ),
            (
                &["late-miner@1", "kill-miner@1", "late-miner@1"],
                3,
                "late-miner@1 is planned twice",
            ),
        ] {
            let text = check(&plan(events), rounds, 1).unwrap_err().to_string();
            assert!(text.contains(why), "{text}");
        }
    }

    #[test]
    fn events_are_written_as_they_are_read() {
        for text in [
            "kill-miner@3",
            "restart-node@0",
            "late-miner@12",
            "kill-node@1",
            "stall-node@2",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
            assert_eq!(parse(&format!(" {text} ")), parse(text));
        }
    }

    #[test]
    fn failures_come_in_the_middle_of_training() {
        let phases = Phases {
            train: 10,
            reveal: 2,
            attest: 2,
            floor: 25,
        };
        let times = (&phases, &Timetable::new(100, &phases));
        let event = parse("kill-miner@3").unwrap();
        assert!(!event.is_due(2, times, 109));
        assert!(!event.is_due(3, times, 102));
        assert!(event.is_due(3, times, 103));
        assert!(event.is_due(4, times, 100));
        assert!(parse("late-miner@3").unwrap().is_due(3, times, 100));
    }
}
