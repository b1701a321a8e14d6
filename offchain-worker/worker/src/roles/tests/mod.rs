//! Roles against a chain without a node.

mod cheats;
mod engine;
mod joining;
mod network;
mod replay;
mod waiting;
