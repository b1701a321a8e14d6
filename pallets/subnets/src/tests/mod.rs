//! Tests by subject. Each ends with the pallet's `try_state` and a count of the tokens.

mod creation;
mod dissolution;
mod hyperparameters;
mod leaving;
mod notice;
mod random;
mod readers;
mod registration;
mod replacement;
mod roles;
mod swaps;
mod try_state;
