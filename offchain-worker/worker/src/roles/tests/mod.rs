//! Roles against the real runtime, without a node.

#[cfg(feature = "p2p")]
mod apart;
mod cards;
mod cheats;
mod drain;
mod elsewhere;
mod engine;
mod evidence;
mod joining;
mod kept;
mod liars;
mod network;
mod overlap;
mod repair;
mod replay;
mod resuming;
mod serving;
mod stuck;
mod unseen;
mod waiting;
mod witness;
