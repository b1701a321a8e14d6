//! Tests by subject.

mod accrual;
mod credits;
mod epochs;
mod genesis;
mod members;
mod payouts;
mod promises;
mod readers;
mod schedule;
mod voting;
