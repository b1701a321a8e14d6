//! Roles against a chain without a node.

mod joining;
mod network;
mod replay;
mod waiting;
