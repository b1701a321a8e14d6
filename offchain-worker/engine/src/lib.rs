//! What computes a round: one trait with the round's verbs, and the engines that implement it.
//!
//! An [`Engine`] owns the state of one member of a run: the model's parameters, the inner optimizer's moments and the
//! error feedback. A role never asks which engine it has. It says what a round needs, and gets plain data back:
//!
//! | verb | what happens | afterwards |
//! |---|---|---|
//! | [`load`](Engine::load) | the state is replaced | held |
//! | [`train`](Engine::train) | inner steps from the held parameters | pending |
//! | [`train_keeping`](Engine::train_keeping) | the same, shows what it traces, and goes on from what was kept | pending |
//! | [`contribution`](Engine::contribution) | the file of what is to be sent of those steps | pending |
//! | [`settle`](Engine::settle) | the outer step of a settled round; gives the new model root | pending |
//! | [`keep`](Engine::keep), [`discard`](Engine::discard) | what is pending becomes the state, or is forgotten | held |
//! | [`measure`](Engine::measure) | losses at the base, or after an outer step with one contribution | as before |
//! | [`measure_settled`](Engine::measure_settled) | losses at the held parameters, beside those | as before |
//! | [`snapshot`](Engine::snapshot) | the state, piece by piece | as before |
//! | [`shared`](Engine::shared) | a vector of the state, which stays while the engine goes on | as before |
//! | [`replay`](Engine::replay) | others' inner steps once more, from their state | as before |
//!
//! # What can be relied on
//!
//! - A verb that fails leaves the held state as it was. What was pending is gone if the verb worked on it.
//! - Only [`keep`](Engine::keep) changes the state. A role writes what is pending to its disk, then keeps it.
//! - Everything that others must agree on (the file for given steps, the outer step, the model root) has the bits of
//!   the crate `cairn-gradient`, on every engine. The steps themselves have the same bits on every [`Cpu`], and on a
//!   card agree within the tolerance that `docs/gpu.md` states.
//! - Verbs are coarse and their arguments are plain data or callbacks, so that an engine may live in another process or
//!   use several cards. The model crosses the border by `load` and `snapshot` only.
//!
//! Invariant: this crate knows no chain, no store, no round machine and no clock. A role measures time in its
//! callbacks.

pub mod audit;
#[cfg(feature = "cost")]
pub mod cost;
mod cpu;
mod cuda;
mod elsewhere;
mod engine;
mod error;
mod host;
mod open;
mod outside;
mod served;
mod start;
mod state;
mod work;

pub use cairn_trainer::{engine::Device, AdamState};
pub use cpu::Cpu;
pub use cuda::Cuda;
pub use elsewhere::{Arithmetic, Copied, Elsewhere, Origin};
pub use engine::{Begun, Engine, Keeper, Order, Sequences, Settlement, StepDone, Trained};
pub use error::EngineError;
pub use open::{open, CPU};
pub use outside::Outside;
pub use start::is_on_the_way;
pub use state::{Part, Sent, Shared, State, Version};
