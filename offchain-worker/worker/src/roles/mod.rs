//! What `cairn mine` and `cairn validate` run.
//!
//! Both roles are one loop (`driver`): wait until the chain has a new block or a job has ended, tell the role's
//! machine in `cairn-round`, do what it says. Jobs (a look at the chain, training, fetching, sending a transaction)
//! run beside the loop and report back to it, so the loop itself never waits for them. Nothing is decided here.
//!
//! | part | does |
//! |---|---|
//! | [`chain`] | what a role needs of the chain, as a trait, so that it can be tested without a node |
//! | [`heads`] | the best and the finalised block as they move |
//! | [`run`] | the run's configuration, layout and data, loaded and checked |
//! | [`state`] | what must survive `kill -9` |
//! | `jobs` | what is under way, and since when |
//! | `look` | one look at the chain |
//! | [`sources`] | where files of others come from |
//! | `join` | parameters for who comes late |
//! | `retention` | what is removed from the own store, and which traced states a miner keeps |
//! | `apply`, `keep` | the outer step, and putting it in force |
//! | [`inspect`] | opening and checking a contribution |
//! | [`waiting`], [`idle`] | why there is nothing to do, and when it is said |
//! | [`ledger`], [`status`], [`progress`] | what is told to people and programs |
//! | [`miner`], [`validator`] | the work of each role |

mod ahead;
mod apply;
mod catch_up;
pub mod chain;
mod clocks;
mod computing;
mod driver;
mod error;
pub mod heads;
pub mod idle;
pub mod inspect;
mod jobs;
mod join;
mod keep;
pub mod ledger;
mod look;
pub mod miner;
pub mod progress;
mod retention;
pub mod run;
mod setup;
pub mod sources;
pub mod state;
pub mod status;
pub mod stores;
pub mod validator;
pub mod waiting;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(crate) use computing::device;
pub use error::RoleError;
pub use miner::Behaviour;
pub(crate) use retention::AUDITED_ROUNDS;
pub use setup::WorkerOptions;
pub use status::Status;
pub(crate) use validator::KEPT_EPOCHS;
