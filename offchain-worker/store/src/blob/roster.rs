//! What is known of the sources during one fetch: how fast each is, and which were passed over and why. No clock.

use std::time::Duration;

use super::fault::Fault;

/// How much of the past a speed is taken from, at most.
const MEMORY: Duration = Duration::from_secs(8);

/// What was found of one source.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Its name.
    pub source: String,
    /// Good bytes that it brought, outboard included.
    pub bytes: u64,
    /// Bytes per second while it was asked, with what came of a group that is not checked yet; `None` if nothing came.
    pub speed: Option<f64>,
    /// Its last fault.
    pub fault: Option<Fault>,
    /// Whether it was passed over for the rest of the fetch, for that fault.
    pub passed_over: bool,
}

/// What happens to a source after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sentence {
    /// It is asked no more.
    Out,
    /// It is asked again after so many faults in a row.
    Again(u32),
}

#[derive(Debug)]
struct Member {
    report: Report,
    /// Time and bytes that its speed is taken from.
    busy: Duration,
    recent: f64,
    /// Faults since its last good group.
    strikes: u32,
}

/// All sources of a fetch.
#[derive(Debug)]
pub(crate) struct Roster {
    members: Vec<Member>,
    most_strikes: u32,
}

impl Roster {
    pub fn new<'a>(names: impl Iterator<Item = &'a str>, most_strikes: u32) -> Roster {
        let member = |name: &str| Member {
            report: Report {
                source: name.to_string(),
                bytes: 0,
                speed: None,
                fault: None,
                passed_over: false,
            },
            busy: Duration::ZERO,
            recent: 0.0,
            strikes: 0,
        };
        Roster {
            members: names.map(member).collect(),
            most_strikes,
        }
    }

    /// It brought good bytes, in so much time since the last ones.
    pub fn good(&mut self, who: usize, bytes: u64, took: Duration) {
        if let Some(member) = self.members.get_mut(who) {
            member.strikes = 0;
            // What is long past counts less: speeds change.
            if member.busy > MEMORY {
                member.busy /= 2;
                member.recent /= 2.0;
            }
            member.busy = member
                .busy
                .saturating_add(took)
                .max(Duration::from_micros(1));
            member.recent += bytes as f64;
            member.report.bytes = member.report.bytes.saturating_add(bytes);
            member.report.speed = Some(member.recent / member.busy.as_secs_f64());
        }
    }

    /// It brought so much, in so much time, of a group that is not whole yet: how fast it is, and nothing more.
    pub fn partly(&mut self, who: usize, bytes: u64, took: Duration) {
        if let Some(member) = self.members.get_mut(who) {
            let busy = member.busy.saturating_add(took);
            let seconds = busy.max(Duration::from_micros(1)).as_secs_f64();
            member.report.speed = Some((member.recent + bytes as f64) / seconds);
        }
    }

    /// It did something wrong. What cannot get better, and a stall while there are others, is out at once; the rest
    /// after several in a row.
    pub fn bad(&mut self, who: usize, fault: Fault) -> Sentence {
        let others = self.members.iter().enumerate();
        let has_others = others
            .filter(|(index, member)| *index != who && !member.report.passed_over)
            .count()
            > 0;
        let most = self.most_strikes;
        let Some(member) = self.members.get_mut(who) else {
            return Sentence::Out;
        };
        member.strikes = member.strikes.saturating_add(1);
        let is_stall = matches!(fault, Fault::Stalled { .. });
        let is_out = fault.is_final() || member.strikes >= most || (is_stall && has_others);
        member.report.fault = Some(fault);
        member.report.passed_over = is_out;
        match is_out {
            true => Sentence::Out,
            false => Sentence::Again(member.strikes),
        }
    }

    /// Whether it may be asked.
    pub fn is_in(&self, who: usize) -> bool {
        let member = self.members.get(who);
        member.is_some_and(|member| !member.report.passed_over)
    }

    /// Bytes per second.
    pub fn speed(&self, who: usize) -> Option<f64> {
        self.members.get(who).and_then(|member| member.report.speed)
    }

    /// Of those that may be asked and are not among `not`: one that was never asked, else the fastest.
    pub fn best(&self, not: &[usize]) -> Option<usize> {
        let asked = (0..self.members.len()).filter(|who| self.is_in(*who) && !not.contains(who));
        let rank = |who: &usize| self.speed(*who).unwrap_or(f64::MAX);
        // The first of equals, so that the caller's order counts.
        asked
            .rev()
            .max_by(|one, other| rank(one).total_cmp(&rank(other)))
    }

    /// What was found.
    pub fn reports(&self) -> Vec<Report> {
        self.members
            .iter()
            .map(|member| member.report.clone())
            .collect()
    }
}
