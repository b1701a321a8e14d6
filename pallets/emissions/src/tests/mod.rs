//! Tests by subject.

mod accrual;
mod attacks;
mod commits;
mod credits;
mod dissolution;
mod epochs;
mod genesis;
mod history;
mod members;
mod payouts;
mod promises;
mod readers;
mod schedule;
mod voting;
mod wages;
mod work;
