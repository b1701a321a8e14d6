//! What is remembered of sources: who lied, and who did not answer. No clock: whoever asks says what time it is.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use cairn_store::{Fault, Report};

/// For how long a source that sent wrong bytes is not asked.
const LIED: Duration = Duration::from_secs(24 * 60 * 60);
/// For how long one is not asked that did not answer, at first; it doubles each time.
const SILENT: Duration = Duration::from_secs(15);
/// The most that it doubles.
const MOST_DOUBLINGS: u32 = 8;
/// Sources that are remembered at most.
const MOST: usize = 1_024;

/// Who is not asked, and until when.
#[derive(Debug, Default)]
pub struct Standing(BTreeMap<String, Fallen>);

#[derive(Clone, Copy, Debug)]
struct Fallen {
    /// How often in a row.
    times: u32,
    until: Instant,
}

impl Standing {
    /// Whether the source at an endpoint is asked now.
    pub fn is_asked(&self, endpoint: &str, now: Instant) -> bool {
        self.0
            .get(endpoint)
            .is_none_or(|fallen| fallen.until <= now)
    }

    /// How many are not asked now.
    pub fn passed_over(&self, now: Instant) -> usize {
        self.0.values().filter(|fallen| fallen.until > now).count()
    }

    /// Takes note of what was found at each endpoint in a fetch, and gives those that are not asked from now on, with
    /// the reason. Not to have a file is no fault.
    pub fn note<'a>(
        &mut self,
        found: impl IntoIterator<Item = (&'a str, &'a Report)>,
        now: Instant,
    ) -> Vec<(&'a str, &'a Fault)> {
        let mut fallen = Vec::new();
        for (endpoint, report) in found {
            let falls = match &report.fault {
                // What it should have, and how long that is, others said.
                Some(Fault::Absent { .. } | Fault::WrongLength { .. }) => None,
                Some(fault @ Fault::Lied { .. }) => {
                    let falls = self.fall(endpoint, now, |_| LIED);
                    falls.then_some(fault)
                }
                Some(fault) if report.passed_over => {
                    let falls = self.fall(endpoint, now, silence);
                    falls.then_some(fault)
                }
                _ if report.bytes > 0 => {
                    self.0.remove(endpoint);
                    None
                }
                _ => None,
            };
            fallen.extend(falls.map(|fault| (endpoint, fault)));
        }
        fallen
    }

    /// One is not asked for a while; whether it was asked until now, and there is room to remember it.
    fn fall(&mut self, endpoint: &str, now: Instant, length: impl Fn(u32) -> Duration) -> bool {
        if self.0.len() >= MOST {
            self.0.retain(|_, fallen| fallen.until > now);
        }
        // What was asked of it at the same time fails for the same reason.
        if !self.is_asked(endpoint, now) {
            return false;
        }
        let times = self.0.get(endpoint).map_or(0, |fallen| fallen.times);
        let until = now.checked_add(length(times)).unwrap_or(now);
        let fallen = Fallen {
            times: times.saturating_add(1),
            until,
        };
        let has_room = self.0.len() < MOST || self.0.contains_key(endpoint);
        if has_room {
            self.0.insert(endpoint.to_string(), fallen);
        }
        has_room
    }
}

fn silence(times: u32) -> Duration {
    SILENT.saturating_mul(1 << times.min(MOST_DOUBLINGS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(source: &str, bytes: u64, fault: Option<Fault>) -> Report {
        Report {
            source: source.into(),
            bytes,
            speed: None,
            passed_over: fault.is_some(),
            fault,
        }
    }

    /// Each source is at the endpoint of its name. Gives the names of those that are not asked from now on.
    fn note(standing: &mut Standing, reports: &[Report], now: Instant) -> Vec<String> {
        let found = reports
            .iter()
            .map(|report| (report.source.as_str(), report));
        let fallen = standing.note(found, now).into_iter();
        fallen.map(|(endpoint, _)| endpoint.to_string()).collect()
    }

    fn lied() -> Option<Fault> {
        let path = "a".to_string();
        Some(Fault::Lied { path, at: 0 })
    }

    fn stalled() -> Option<Fault> {
        let deadline = Duration::from_secs(1);
        Some(Fault::Stalled { deadline })
    }

    #[test]
    fn who_lied_is_not_asked_for_a_day_and_who_was_silent_for_a_moment() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        let absent = Some(Fault::Absent { path: "a".into() });
        let (path, found, expected) = ("a".to_string(), 1, 2);
        let longer = Some(Fault::WrongLength {
            path,
            found,
            expected,
        });
        let reports = [
            report("liar", 9, lied()),
            report("slow", 0, stalled()),
            report("new", 0, absent),
            report("good", 9, None),
            report("new", 0, longer),
        ];
        assert_eq!(note(&mut standing, &reports, now), ["liar", "slow"]);
        let asked = |standing: &Standing, after| {
            let at = now + Duration::from_secs(after);
            ["liar", "slow", "new", "good"].map(|one| standing.is_asked(one, at))
        };
        assert_eq!(asked(&standing, 0), [false, false, true, true]);
        assert_eq!(asked(&standing, 15), [false, true, true, true]);
        assert_eq!(asked(&standing, 24 * 60 * 60), [true; 4]);
    }

    #[test]
    fn silence_is_believed_longer_each_time_and_forgiven_at_once() {
        let (mut standing, mut now) = (Standing::default(), Instant::now());
        for times in 0..20 {
            // However much was asked of it at once.
            for fallen in [1, 0, 0] {
                let said = note(&mut standing, &[report("slow", 0, stalled())], now);
                assert_eq!(said.len(), fallen, "it is said once");
            }
            let length = Duration::from_secs(15 << times.min(8));
            now += length - Duration::from_secs(1);
            assert!(!standing.is_asked("slow", now));
            now += Duration::from_secs(1);
            assert!(standing.is_asked("slow", now));
        }
        note(&mut standing, &[report("slow", 1, None)], now);
        assert!(standing.is_asked("slow", now));
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        for number in 0..2 * MOST {
            note(
                &mut standing,
                &[report(&number.to_string(), 0, lied())],
                now,
            );
        }
        assert_eq!(standing.0.len(), MOST);
        assert!(!standing.is_asked("0", now));
    }
}
