//! Roles against a chain without a node.

mod card;
mod inspect;
mod joining;
mod network;
