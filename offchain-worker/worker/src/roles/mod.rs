//! What `cairn mine` and `cairn validate` run.
//!
//! Both roles are one loop: wait until the chain has a new block or a job has ended, read a view of the chain,
//! ask the role's machine in `cairn-round` what to do, start what it says. Jobs (training, fetching, sending
//! a transaction) run beside the loop and report back to it, so the loop itself never waits for them.
//!
//! | part | does |
//! |---|---|
//! | [`chain`] | what a role needs of the chain, as a trait, so that it can be tested without a node |
//! | [`heads`] | the best and the finalised block as they move |
//! | [`run`] | the run's configuration, layout and data, loaded and checked |
//! | [`state`] | what must survive `kill -9` |
//! | [`join`] | weights for who comes late |
//! | [`held`] | the weights held, and the outer step |
//! | [`inspect`] | opening and checking a contribution |
//! | [`waiting`], [`idle`] | why there is nothing to do, and when it is said |
//! | [`ledger`], [`status`], [`progress`] | what is told to people and programs |
//! | [`miner`], [`validator`] | the two loops |

pub mod chain;
mod error;
pub mod heads;
pub mod held;
pub mod idle;
pub mod inspect;
pub mod join;
pub mod ledger;
pub mod miner;
pub mod progress;
pub mod run;
mod setup;
pub mod state;
pub mod status;
pub mod validator;
pub mod waiting;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use error::RoleError;
pub use miner::{Behaviour, MinerOptions};
pub use status::Status;
pub use validator::ValidatorOptions;
