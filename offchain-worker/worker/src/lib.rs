//! The off-chain worker of Cairn, and its command line `cairn`.
//!
//! A *miner* trains the model of a subnet's run on the data that the chain assigns to it and contributes the
//! difference; a *validator* checks and scores what miners contribute. Both are [`roles`]. Everything else
//! here is what a person needs around them: [`wallet`]s, a run's data in a store ([`prepare`], [`shards`]) and beside
//! it ([`unseen`]), its configuration ([`run_file`]), a whole network on one machine ([`devnet`]), and the commands
//! that show and change things ([`cli`]).
//!
//! How the parts hang together: `cairn-round` decides, `cairn-trainer` trains, `cairn-data` makes tokens of text,
//! `cairn-gradient` compresses and adds up, `cairn-store` keeps files, `cairn-chain` talks to a node, `cairn-keys`
//! knows key files. This crate is where they meet clocks, processes and people.

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod amount;
pub mod chart;
pub mod cli;
pub mod dashboard;
pub mod devnet;
pub mod display;
pub mod error;
pub mod follower;
pub mod http;
pub mod metrics;
pub mod needs;
pub mod new_file;
pub mod notices;
pub mod output;
mod parameters;
pub mod prepare;
pub mod printable;
pub mod process;
pub mod progress;
pub mod roles;
pub mod run_file;
pub mod run_rules;
pub mod scoring;
pub mod serving;
pub mod shards;
pub mod shutdown;
pub mod supervisor;
pub mod table;
pub mod unseen;
pub mod wallet;
