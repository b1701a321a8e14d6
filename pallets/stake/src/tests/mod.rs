//! Tests by subject. Each ends with the pallet's `try_state` and a count of the tokens.

mod bonds;
mod keys;
mod members;
mod random;
mod rewards;
mod stake;
mod try_state;
