//! A chain in the test's own process, and a run small enough to be trained in a test.

mod chain;
mod fixture;
mod node;
mod plain;
mod state;

pub use chain::SimChain;
pub use fixture::{config, config_and_store, sealed_file, Network};
pub use node::{BOND, KEPT, NETUID, PHASES};
pub use plain::{a_member, a_run, a_subnet};
pub use state::State;
