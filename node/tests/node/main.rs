//! The node from outside: commands, blocks, JSON-RPC.

mod chain_new;
mod rpc;
mod running;
mod socket;
