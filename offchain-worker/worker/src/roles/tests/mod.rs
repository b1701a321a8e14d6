//! Roles against a chain without a node.

mod inspect;
mod joining;
mod network;
mod replay;
mod waiting;
