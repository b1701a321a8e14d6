//! Tests by subject.

mod attendance;
mod attestation;
mod audits;
mod commitments;
mod departures;
mod feeless;
mod history;
mod invariants;
mod overlap;
mod readers;
mod record;
mod rounds;
mod runs;
mod settlement;
mod stages;
