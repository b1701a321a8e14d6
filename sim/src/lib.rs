//! The real runtime, and the machines of any number of members, their disks, stores, engines and network, under one
//! seeded virtual clock in one thread. The same seed gives the same run, to the bit.
//!
//! ```text
//!   member: machine ─▶ action ─▶ job ─▶ (virtual time) ─▶ event ─▶ machine     member/
//!   chain:  pool ─▶ block of the real runtime ─▶ best, finalised ─▶ members    chain/
//!   all that happens ─▶ checkers: money, lineage, at_most_once, …              checkers/
//! ```
//!
//! What is real: the runtime with its extensions, hooks and audits; the machines of `cairn-round`; scoring;
//! compression, sealing, decoding and the outer step of `cairn-gradient`; the engines of `cairn-engine`, of which the
//! CPU's trains. What is simulated: time, blocks' authors and finality, the pool's order, nodes, network, store,
//! disks, crashes.
//!
//! A member behaves as its machine says unless its [`behaviour`] does otherwise: an attack is a file there, and a row
//! of the table that [`attacks`] measures. [`churn`] and [`utilisation`] are tables of honest networks. No worker and
//! no node links this crate; the worker's tests run its roles against the [`chain`].

pub mod attacks;
pub mod behaviour;
pub mod chain;
pub mod checkers;
pub mod churn;
pub mod clock;
pub mod disk;
pub mod member;
pub mod meter;
pub mod network;
mod page;
pub mod rng;
pub mod settings;
pub mod spread;
pub mod store;
pub mod utilisation;
pub mod workshop;
pub mod world;
