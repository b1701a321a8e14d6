//! A chain without a node, and a run small enough to be trained in a test.

mod chain;
mod fixture;

pub use chain::{a_member, a_run, a_subnet, FakeChain, State, NETUID, PHASES};
pub use fixture::{config_and_store, sealed_file, Network};
