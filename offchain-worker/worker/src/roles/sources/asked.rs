//! A source that is asked, and what is remembered of it once a fetch is over, however that ended.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use cairn_store::{Fault, Meter, Report, Source};

use super::standing::Standing;
use crate::roles::setup::locked;

/// Bytes a second below which a source holds up a file that did not come in time, if another one shows that the line
/// can do more, or none is there to share it with.
const TRICKLE: f64 = 4_096.0;

/// A source, the endpoint of the chain at which it is, and where it is remembered.
#[derive(Clone)]
pub(in crate::roles) struct Asked {
    pub endpoint: String,
    pub source: Arc<dyn Source>,
    pub standing: Arc<Mutex<Standing>>,
}

/// Takes note of how each source does in a fetch, when it is dropped: so what was found before the fetch was told to
/// end, or ran out of time, is not lost.
pub(in crate::roles) struct Notes<'a> {
    asked: &'a [Asked],
    /// How many sources come before them in the fetch: stores that the owner named, of which nothing is remembered.
    before: usize,
    meter: Meter,
    end: End,
}

/// How a fetch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Somebody else had no more use for it. What a source brought until then says nothing good of it.
    Cut,
    /// By itself.
    Itself,
    /// After the time that all of it may take.
    Late(Duration),
}

impl<'a> Notes<'a> {
    /// Of these sources, which come after so many others in the fetch.
    pub fn new(asked: &'a [Asked], before: usize) -> Notes<'a> {
        Notes {
            asked,
            before,
            meter: Meter::default(),
            end: End::Cut,
        }
    }

    /// What to fetch with.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The fetch ended by itself, well or not.
    pub fn ended(&mut self) {
        self.end = End::Itself;
    }

    /// It was given up after this time.
    pub fn late(&mut self, limit: Duration) {
        self.end = End::Late(limit);
    }
}

impl Drop for Notes<'_> {
    fn drop(&mut self) {
        let reports = self.meter.reports();
        for (one, report) in self.asked.iter().zip(reports.iter().skip(self.before)) {
            let Some(report) = self.end.taken(report, &reports) else {
                continue;
            };
            let found = [(one.endpoint.as_str(), &report)];
            let fallen = locked(&one.standing).note(found, Instant::now());
            for (endpoint, fault) in fallen {
                say(endpoint, fault);
            }
        }
    }
}

impl End {
    /// What a report, which is one of all of these, says after such an end, if anything.
    fn taken(self, report: &Report, all: &[Report]) -> Option<Report> {
        match self {
            End::Cut => report.fault.is_some().then(|| report.clone()),
            End::Itself => Some(report.clone()),
            End::Late(limit) => Some(after(limit, report, all)),
        }
    }
}

/// The report of a source in a fetch that was given up: one that brought next to nothing while it was asked is what it
/// was given up for. Where all that send are slow, that may be the own line. What came of a small blob is not checked
/// before all of it is there, so only its speed shows that anything came.
fn after(limit: Duration, report: &Report, all: &[Report]) -> Report {
    let was_asked = |one: &Report| one.speed.is_some() || one.fault.is_some();
    let is_slow = |one: &Report| one.speed.is_none_or(|speed| speed < TRICKLE);
    let is_sending = |one: &&Report| one.speed.is_some() && !one.passed_over;
    let sending = || all.iter().filter(is_sending);
    let asked = all.iter().filter(|one| was_asked(one)).count();
    let is_alone = match sending().count() {
        // The own line may have been down: then none of several is to blame.
        0 => asked <= 1,
        number => number == 1,
    };
    let is_to_blame = is_slow(report) && (is_alone || sending().any(|one| !is_slow(one)));
    if report.passed_over || !was_asked(report) || !is_to_blame {
        return report.clone();
    }
    let fault = report.fault.clone();
    Report {
        fault: fault.or(Some(Fault::Stalled { deadline: limit })),
        passed_over: true,
        ..report.clone()
    }
}

fn say(endpoint: &str, fault: &Fault) {
    match fault {
        Fault::Lied { .. } => tracing::warn!("{endpoint} is not asked for a day: {fault}"),
        _ => tracing::info!("{endpoint} is not asked for a while: {fault}"),
    }
}

#[cfg(test)]
impl Asked {
    /// One of which nothing is remembered.
    pub fn new(endpoint: &str, source: Arc<dyn Source>) -> Asked {
        Asked {
            endpoint: endpoint.into(),
            source,
            standing: Arc::default(),
        }
    }

    /// Whether it would be asked now.
    pub fn is_asked(&self) -> bool {
        locked(&self.standing).is_asked(&self.endpoint, Instant::now())
    }
}

#[cfg(test)]
#[path = "asked_tests.rs"]
mod tests;
