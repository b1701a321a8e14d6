//! Tests by subject.

mod attestation;
mod commitments;
mod departures;
mod feeless;
mod history;
mod invariants;
mod readers;
mod rounds;
mod runs;
mod settlement;
