//! Tests by subject. Each ends with the pallet's `try_state` and a count of the tokens.

mod creation;
mod dissolution;
mod hyperparameters;
mod leaving;
mod random;
mod readers;
mod registration;
mod replacement;
mod try_state;
