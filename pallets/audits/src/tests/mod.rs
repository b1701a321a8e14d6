//! Tests by subject.

mod calls;
mod drawing;
mod ending;
mod feeless;
mod invariants;
