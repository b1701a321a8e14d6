//! Roles against a chain without a node.

#[cfg(feature = "p2p")]
mod apart;
mod cheats;
mod engine;
mod joining;
mod network;
mod replay;
mod waiting;
