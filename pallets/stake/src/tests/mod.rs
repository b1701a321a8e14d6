//! Tests by subject. Each ends with the pallet's `try_state` and a count of the tokens.

mod attacks;
mod bonds;
mod delegation;
mod dissolution;
mod foreign;
mod keys;
mod members;
mod moves;
mod random;
mod readers;
mod rewards;
mod slashing;
mod stake;
mod take;
mod transfers;
mod try_state;
mod withdrawals;
