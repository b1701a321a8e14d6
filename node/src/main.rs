//! The node of the Cairn chain: BABE and GRANDPA, ParityDB, JSON-RPC.
//!
//! ```text
//! cairn-node --dev --tmp                  # one authority, a block every two seconds, nothing kept
//! cairn-node --chain local --alice        # the first of several authorities, a block every six seconds
//! ```
//!
//! [`running`] runs it, [`service`] puts it together, [`rpc`] answers questions, [`chain_spec`] knows the networks,
//! [`new_chain`] makes another, [`metrics`] shows it to Prometheus and [`supervisor`] tells systemd that it lives,
//! [`ports`] and [`pool`] look before anything is written, and [`error`] says what went wrong.

// The errors are those of the client libraries.
#![allow(clippy::result_large_err)]

mod address;
mod chain_spec;
mod cli;
mod command;
mod error;
mod executor;
mod metrics;
mod new_chain;
mod pool;
mod ports;
mod progress;
mod rpc;
mod running;
mod service;
mod supervisor;

use std::process::ExitCode;

fn main() -> ExitCode {
    match command::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            error::tell(&message);
            ExitCode::FAILURE
        }
    }
}
