//! The command line.
//!
//! One verb per thing that a person does. Every verb that prints for people prints the same facts with
//! `--json`. An option is taken from its flag, else from its `CAIRN_…` variable, else from the settings file
//! ([`settings`]), else from its default. Errors are one line on standard error, and the exit code is 1 (2 for
//! a command line that cannot be understood).

pub mod args;
mod bench;
pub mod checkpoint;
mod dashboard;
mod data;
pub(crate) mod demand;
mod doctor;
mod emissions;
mod endpoints;
mod engine_args;
mod eval;
pub(crate) mod evidence;
pub mod export;
mod governance;
mod gpu_selftest;
mod gradient;
mod least_bond;
mod look;
mod manual;
pub mod member;
pub(crate) mod model;
mod onlookers;
#[cfg(test)]
mod pages_tests;
mod passphrase;
mod purse;
mod reach;
mod receipt;
mod refusal;
mod rules;
mod run;
mod serve;
pub mod settings;
mod signer;
mod stake;
mod subnet;
mod swap;
mod transaction;
mod usage;
mod validate;
mod wallet;
mod why;
mod work;

use std::{ffi::OsString, io::IsTerminal, path::PathBuf, process::ExitCode};

use clap::{FromArgMatches, Parser, Subcommand};
use tracing_subscriber::{field::MakeExt, fmt::format::debug_fn};

pub(crate) use crate::output::print;
use crate::{devnet, error::Failure, output, printable::printable, shutdown};

/// Train a model together: mine, validate, run a whole network on this machine, inspect everything.
#[derive(Parser)]
#[command(
    name = "cairn",
    version,
    arg_required_else_help = true,
    after_help = "Examples:\n  cairn devnet                              a network that trains a small model on this machine\n  cairn wallet new miner\n  cairn mine --key miner --node ws://127.0.0.1:9944 --netuid 1 --store file:///srv/cairn\n  cairn status --netuid 1\n\nEvery option can be set by its flag, by a variable CAIRN_…, or in a TOML file (--config):\n  cairn --config cairn.toml status\n\n  # cairn.toml: a key is the long name of an option; a table holds those of one command\n  node = \"ws://127.0.0.1:9944\"\n  [mine]\n  key = \"miner\"\n  store = \"file:///srv/cairn\""
)]
pub struct Cli {
    /// Read settings from this TOML file, or the one that CAIRN_CONFIG names: keys are the long names of options,
    /// tables the names of commands
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
    Validate(validate::Validate),
    /// Show what a miner did in the last rounds, what became of it, and what would raise its score
    Why(why::Why),
    /// Show a subnet: its run, its round, its members
    Status(look::Status),
    /// Serve a page that shows in a browser, live, what a node's chain does
    Dashboard(dashboard::Dashboard),
    /// Show how the token is issued, where it is, and who is paid what
    Emissions(Box<emissions::Emissions>),
    /// List, show, create, join, leave, configure or dissolve subnets
    #[command(
        subcommand,
        after_help = "Examples:\n  cairn subnet ls\n  cairn subnet price\n  cairn subnet register --key owner --hotkey miner --netuid 1"
    )]
    Subnet(subnet::Subnet),
    /// Start, stop, show or export the run of a subnet, or go on with a text
    #[command(
        subcommand,
        after_help = "Examples:\n  cairn run show --netuid 1\n  cairn run start --help"
    )]
    Run(run::Run),
    /// Serve a trained model over HTTP, as OpenAI's interface for completions has it
    Serve(Box<serve::Serve>),
    /// Have lm-evaluation-harness ask a run's newest model, and show what became of it over rounds
    Eval(Box<eval::Eval>),
    /// Make and show keys; show and send an account's money
    #[command(
        subcommand,
        after_help = "Examples:\n  cairn wallet new miner\n  cairn wallet balance miner\n  cairn wallet send --key owner --to miner 25"
    )]
    Wallet(wallet::Wallet),
    /// Show, sign and send a transaction whose key is where there is no network
    #[command(
        subcommand,
        after_help = "Examples:\n  cairn wallet send --from 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY --to owner 25 --unsigned-to send.json\n  cairn transaction sign send.json --key savings --out signed.json\n  cairn transaction send signed.json\n\nThe second command needs no node. Any command that sends one transaction takes --unsigned-to."
    )]
    Transaction(transaction::Transaction),
    /// Stake on validators, bond for miners, show what it earned
    #[command(
        subcommand,
        after_help = "Examples:\n  cairn stake show --key savings\n  cairn stake bond --key owner --hotkey miner --netuid 1 10"
    )]
    Stake(stake::Stake),
    /// List, propose and vote on changes of the chain's rules
    #[command(
        subcommand,
        after_help = "Examples:\n  cairn governance list\n  cairn governance vote --key savings --aye 3 1000"
    )]
    Governance(governance::Governance),
    /// Turn text into training data for a run
    #[command(
        subcommand,
        after_help = "Examples:\n  cairn data tokenizer --help\n  cairn data prepare --help"
    )]
    Data(data::Data),
    /// Inspect, make and read contribution files
    #[command(
        subcommand,
        after_help = "Examples:\n  cairn gradient inspect contribution.crnc"
    )]
    Gradient(gradient::Gradient),
    /// Benchmark this machine
    #[command(subcommand, after_help = "Examples:\n  cairn bench train --help")]
    Bench(bench::Bench),
    /// Show what this machine can train on, what is missing, and how to get it
    Doctor(doctor::Doctor),
    /// Check every GPU kernel against what it should compute, and time it
    GpuSelftest(gpu_selftest::GpuSelftest),
    /// Print the completion script of a shell
    #[command(
        after_help = "Examples:\n  cairn completions bash > ~/.local/share/bash-completion/completions/cairn\n  cairn completions zsh > ~/.zfunc/_cairn\n  cairn completions fish > ~/.config/fish/completions/cairn.fish"
    )]
    Completions(manual::Completions),
    /// Write a manual page for every command
    #[command(
        after_help = "Examples:\n  cairn man ~/.local/share/man/man1\n  cairn man /tmp/cairn && man /tmp/cairn/cairn-mine.1"
    )]
    Man(manual::Manual),
}

/// The whole program.
pub fn main() -> ExitCode {
    settings::forget_empty_variables();
    if std::env::var_os("CAIRN_SIMD").is_some_and(|simd| simd == "avx2") {
        cairn_gradient::without_avx512();
    }
    passphrase::take_from_environment();
    let cli = match parse(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(code) => return code,
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
    match code_of(outcome).and_then(|code| output::complete().map(|()| code)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(&error),
    }
}

/// The exit code, where nothing failed.
fn code_of(outcome: Result<(), Failure>) -> Result<u8, Failure> {
    match outcome {
        Ok(()) => Ok(0),
        Err(failure) if failure.is_end() => Ok(0),
        Err(failure) if failure.is_stop() => Ok(shutdown::STOPPED),
        Err(failure) => Err(failure),
    }
}

/// The command line, settings applied; the exit code where there is nothing to do, or nothing that can be.
fn parse(arguments: Vec<OsString>) -> Result<Cli, ExitCode> {
    let mut command = usage::command();
    let (file, arguments) = settings::take_file(arguments);
    if let Some(file) = file {
        command = settings::read(command, &file).map_err(|error| fail(&error))?;
    }
    let matches = command.try_get_matches_from_mut(arguments);
    let parsed = matches.and_then(|matches| Cli::from_arg_matches(&matches));
    parsed.map_err(|error| usage::end(&error.format(&mut command)))
}

async fn run(verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Devnet(options) => devnet::run(*options).await,
        Verb::Mine(mine) => mine.run().await,
        Verb::Validate(validate) => validate.run().await,
        Verb::Why(why) => why.run().await,
        Verb::Status(status) => status.run().await,
        Verb::Dashboard(dashboard) => dashboard.run().await,
        Verb::Emissions(emissions) => emissions.run().await,
        Verb::Subnet(subnet) => subnet.run().await,
        Verb::Run(run) => run.run().await,
        Verb::Serve(serve) => serve.run().await,
        Verb::Eval(eval) => eval.run().await,
        Verb::Wallet(wallet) => wallet.run().await,
        Verb::Transaction(transaction) => transaction.run().await,
        Verb::Stake(stake) => stake.run().await,
        Verb::Governance(governance) => governance.run().await,
        Verb::Data(data) => data.run().await,
        Verb::Gradient(gradient) => gradient.run(),
        Verb::Bench(bench) => bench.run().await,
        Verb::Doctor(doctor) => doctor.run().await,
        Verb::GpuSelftest(test) => test.run(),
        Verb::Completions(completions) => completions.run(),
        Verb::Man(manual) => manual.run(),
    }
}

fn fail(error: &Failure) -> ExitCode {
    output::say(&format!("cairn: {error}"));
    ExitCode::FAILURE
}

/// What is logged without `CAIRN_LOG`. QUIC's library warns of each connection whose other end was killed.
const USUALLY_LOGGED: &str = "warn,cairn_worker=info,noq_proto=error";

/// What is logged is chosen by `CAIRN_LOG` as `tracing`'s filters have it: `info`, `cairn_worker=debug`.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("CAIRN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(USUALLY_LOGGED));
    // Names on chain and messages of nodes are in the logs as well.
    let fields = debug_fn(|writer, field, value| match field.name() {
        "message" => writer.write_str(&printable(&format!("{value:?}"))),
        // What the `log` crate adds of its own.
        name if name.starts_with("log.") => Ok(()),
        name => write!(writer, "{name}={}", printable(&format!("{value:?}"))),
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .fmt_fields(fields.delimited(" "))
        .with_writer(|| output::Logs)
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_tell_what_is_done_from_what_was_stopped_or_failed() {
        assert_eq!(code_of(Ok(())).ok(), Some(0));
        assert_eq!(code_of(Err(Failure::ended())).ok(), Some(0));
        assert_eq!(code_of(Err(Failure::stopped())).ok(), Some(143));
        let failure = code_of(Err(Failure::new("it is gone", "look")));
        assert_eq!(failure.unwrap_err().to_string(), "it is gone; look");
    }

    #[test]
    fn the_command_line_is_well_formed() {
        usage::command().debug_assert();
    }

    /// Verbs whose output is a script or files for other programs.
    const WITHOUT_JSON: [&str; 2] = ["cairn completions", "cairn man"];

    fn visit(command: &clap::Command, path: &str, check: &impl Fn(&clap::Command, &str)) {
        check(command, path);
        let below = command.get_subcommands();
        for sub in below.filter(|sub| sub.get_name() != "help") {
            visit(sub, &format!("{path} {}", sub.get_name()), check);
        }
    }

    fn examples(command: &clap::Command) -> Vec<String> {
        let help = command.get_after_help().map(ToString::to_string);
        let help = help.unwrap_or_default();
        let lines = help.lines().filter_map(|line| line.strip_prefix("  "));
        lines
            .filter(|line| line.starts_with("cairn "))
            .map(String::from)
            .collect()
    }

    /// Every command has an example, and every one that does something `--json`.
    #[test]
    fn every_command_has_examples_and_json() {
        visit(&usage::command(), "cairn", &|command, path| {
            let own = examples(command);
            let own = own.iter().filter(|line| line.starts_with(path));
            assert!(own.count() > 0, "{path} has no example");
            let mut arguments = command.get_arguments();
            let json = arguments.any(|argument| argument.get_long() == Some("json"));
            let leaf = command.get_subcommands().count() == 0;
            assert!(
                !leaf || json || WITHOUT_JSON.contains(&path),
                "{path} has no --json"
            );
        });
    }

    /// Examples are command lines that are understood.
    #[test]
    fn every_example_is_a_command_line() {
        let wrong = std::cell::RefCell::new(Vec::new());
        visit(&usage::command(), "cairn", &|command, _| {
            for line in examples(command) {
                // Up to what explains it, or what a shell does with it.
                let end = ["   ", " <", " >", " &&", " |"]
                    .iter()
                    .filter_map(|mark| line.find(mark))
                    .min();
                let words = line.get(..end.unwrap_or(line.len())).unwrap_or_default();
                let words = words.replace("0x2a…", &format!("0x{}", "2a".repeat(32)));
                let arguments = words.split_whitespace().map(OsString::from).collect();
                let (_, arguments) = settings::take_file(arguments);
                match usage::command().try_get_matches_from(arguments) {
                    Err(error) if error.use_stderr() => {
                        wrong.borrow_mut().push(format!("{line}: {error}"));
                    }
                    _ => {}
                }
            }
        });
        let wrong = wrong.into_inner();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
