//! A chain without a node, and a run small enough to be trained in a test.

mod chain;
mod fixture;

pub use chain::{FakeChain, State, NETUID, PHASES};
pub use fixture::{config_and_store, Network};
