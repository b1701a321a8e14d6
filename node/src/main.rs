//! The node of the Cairn chain: BABE and GRANDPA, ParityDB, JSON-RPC.
//!
//! ```text
//! cairn-node --dev --tmp                  # one authority, a block every two seconds, nothing kept
//! cairn-node --chain local --alice        # the first of several authorities, a block every six seconds
//! ```
//!
//! [`service`] puts the node together, [`rpc`] answers questions, [`chain_spec`] knows the networks.

// The errors are those of the client libraries.
#![allow(clippy::result_large_err)]

mod chain_spec;
mod cli;
mod command;
mod rpc;
mod service;

fn main() -> sc_cli::Result<()> {
    command::run()
}
