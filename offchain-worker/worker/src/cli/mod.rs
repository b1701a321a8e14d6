//! The command line.
//!
//! One verb per thing that a person does. Every verb that prints for people prints the same facts with
//! `--json`. An option is taken from its flag, else from its `CAIRN_…` variable, else from the settings file
//! ([`settings`]), else from its default. Errors are one line on standard error, and the exit code is 1 (2 for
//! a command line that cannot be understood).

pub mod args;
mod bench;
mod data;
mod doctor;
mod emissions;
pub mod export;
mod gpu_selftest;
mod gradient;
mod look;
mod rules;
mod run;
pub mod settings;
mod stake;
mod subnet;
mod wallet;
mod work;

use std::{
    ffi::OsString,
    io::{IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use serde::Serialize;

use crate::{devnet, error::Failure};

/// Train a model together: mine, validate, run a whole network on this machine, inspect everything.
#[derive(Parser)]
#[command(
    name = "cairn",
    version,
    arg_required_else_help = true,
    after_help = "Examples:\n  cairn devnet                              a network that trains a small model on this machine\n  cairn wallet new miner\n  cairn mine --key miner --node ws://127.0.0.1:9944 --netuid 1 --store file:///srv/cairn\n  cairn status --netuid 1\n\nEvery option can be set by its flag, by a variable CAIRN_…, or in a TOML file (--config)."
)]
pub struct Cli {
    /// Read settings from this TOML file, or the one that CAIRN_CONFIG names: keys are the long names of options, tables
    /// the names of commands
    // Taken from arguments and environment before they are parsed (`settings::take_file`); here for the help.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run a whole network on this machine: a node, miners, validators; it trains a small model
    Devnet(Box<devnet::Options>),
    /// Train, and be paid for what the work was worth
    Mine(Box<work::Mine>),
    /// Check and score what miners contribute
    Validate(Box<work::Validate>),
    /// Show a subnet: its run, its round, its members
    Status(look::Status),
    /// Show how the token is issued, where it is, and who is paid what
    Emissions(Box<emissions::Emissions>),
    /// List, show, create, join, leave, configure or dissolve subnets
    #[command(subcommand)]
    Subnet(subnet::Subnet),
    /// Start, stop, show or export the run of a subnet
    #[command(subcommand)]
    Run(run::Run),
    /// Make and show keys; show and send an account's money
    #[command(subcommand)]
    Wallet(wallet::Wallet),
    /// Stake on validators, bond for miners, show what it earned
    #[command(subcommand)]
    Stake(stake::Stake),
    /// Turn text into training data for a run
    #[command(subcommand)]
    Data(data::Data),
    /// Inspect, make and read contribution files
    #[command(subcommand)]
    Gradient(gradient::Gradient),
    /// Benchmark this machine
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Show what this machine can train on, what is missing, and how to get it
    Doctor(doctor::Doctor),
    /// Check every GPU kernel against what it should compute, and time it
    GpuSelftest(gpu_selftest::GpuSelftest),
}

/// The whole program.
pub fn main() -> ExitCode {
    let cli = match parse(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(error) => return fail(&error),
    };
    log_to_stderr();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Failure::new(error, "free some memory or threads")),
    };
    // On the main thread: children die with the thread that started them.
    let outcome = runtime.block_on(run(cli.verb));
    // Computations that nobody waits for any more end with the process.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn parse(arguments: Vec<OsString>) -> Result<Cli, Failure> {
    let mut command = Cli::command();
    let (file, arguments) = settings::take_file(arguments);
    if let Some(file) = file {
        command = settings::read(command, &file)?;
    }
    let matches = command.get_matches_from(arguments);
    Cli::from_arg_matches(&matches).map_err(Failure::from)
}

async fn run(verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Devnet(options) => devnet::run(*options).await,
        Verb::Mine(mine) => mine.run().await,
        Verb::Validate(validate) => validate.run().await,
        Verb::Status(status) => status.run().await,
        Verb::Emissions(emissions) => emissions.run().await,
        Verb::Subnet(subnet) => subnet.run().await,
        Verb::Run(run) => run.run().await,
        Verb::Wallet(wallet) => wallet.run().await,
        Verb::Stake(stake) => stake.run().await,
        Verb::Data(data) => data.run().await,
        Verb::Gradient(gradient) => gradient.run(),
        Verb::Bench(bench) => bench.run().await,
        Verb::Doctor(doctor) => doctor.run().await,
        Verb::GpuSelftest(test) => test.run(),
    }
}

fn fail(error: &Failure) -> ExitCode {
    eprintln!("cairn: {error}");
    ExitCode::FAILURE
}

/// What is logged is chosen by `CAIRN_LOG` as `tracing`'s filters have it: `info`, `cairn_worker=debug`.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("CAIRN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,cairn_worker=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

/// Prints for people, or as JSON.
fn print<T: Serialize>(
    json: bool,
    value: &T,
    people: impl FnOnce(&T) -> String,
) -> Result<(), Failure> {
    let mut text = if json {
        serde_json::to_string_pretty(value)?
    } else {
        people(value)
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    // Whoever reads may have gone (`cairn status | head`); that is no error.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    /// Every command that does something has an example and `--json`, and every option a variable.
    #[test]
    fn every_command_has_examples_and_json() {
        fn visit(command: &clap::Command, path: &str) {
            let subcommands: Vec<_> = command
                .get_subcommands()
                .filter(|sub| sub.get_name() != "help")
                .collect();
            if subcommands.is_empty() {
                let help = command
                    .get_after_help()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                assert!(help.contains(&format!("  {path}")), "{path} has no example");
                let has = |name: &str| {
                    command
                        .get_arguments()
                        .any(|arg| arg.get_long() == Some(name))
                };
                assert!(has("json"), "{path} has no --json");
            }
            for sub in subcommands {
                visit(sub, &format!("{path} {}", sub.get_name()));
            }
        }
        visit(&Cli::command(), "cairn");
    }
}
