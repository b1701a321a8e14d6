//! What must survive `kill -9`.
//!
//! A worker's state directory holds *pieces* (the parameters, AdamW's moments, the error feedback, the open
//! contribution) and a *manifest* that says which files they are in, with the BLAKE3 hash of each. A change
//! writes the new pieces under new names, then puts a new manifest in place of the old one by renaming it,
//! then removes what no manifest names any more. Whatever instant the plug is pulled, the directory is as
//! before the change or as after it; pieces of two rounds are never mixed.
//!
//! Where nobody waits for a change it is written beside all else, after those that were asked for before it
//! ([`SharedState`]). So the directory may be some changes behind the process; nothing that depends on a change leaves
//! the process before the change is on the disk.
//!
//! Traced states of the last rounds lie beside all that, and outside of it ([`Traces`]): what is audited of them is
//! served out of these files, or made again; and who was killed between two steps goes on from the newest.
//!
//! The manifest also says whose state it is, and a lock keeps a second process out: two processes with one
//! key could commit to two contributions in one round.

mod begun;
mod beside;
mod files;
mod place;
mod saved;
mod traces;

pub use beside::SharedState;
#[cfg(test)]
pub use files::LOCK;
pub use files::{Identity, StateError};
pub use place::{kept, Kept, StatePlace};
pub use saved::{Audited, Change, Debt, OpenChange, Saved, StateDir, Traced};
pub use traces::Traces;
