//! Inner steps made by another program: PyTorch on several cards, or anything that speaks the engine protocol.
//!
//! [`open`] starts the program, and gives a [`cairn_engine::Engine`] that trains there and does everything else here.
//! `docs/engine-protocol.md` is the border: a Unix socket for messages, flat files for parameters, moments and tokens.
//!
//! # What can be relied on
//!
//! - Nothing that the program says is believed: a message is bounded and checked, a file has the length that it must
//!   have, numbers are finite. What it computed may be wrong, and costs one round's work then.
//! - Every verb has a deadline. A late answer, a wrong one, or a program that ended gives a typed error. The program is
//!   killed with its whole process group, and started anew for the next round.
//! - It does not outlive this: it is killed when the engine is dropped, and ends when the socket closes.

mod border;
mod bulk;
mod engine;
mod error;
mod launch;
mod message;
mod process;

pub use engine::{open, Process};
pub use error::{FaultKind, ProcessError};
pub use launch::{Deadlines, Launch, Options};
