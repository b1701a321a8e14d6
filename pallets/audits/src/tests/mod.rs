//! Tests by subject.

mod calls;
mod departures;
mod drawing;
mod ending;
mod feeless;
mod invariants;
