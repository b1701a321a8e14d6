//! The command line.

use clap::{CommandFactory, FromArgMatches};
use sc_cli::{RunCmd, SubstrateCli};

use crate::{new_chain, pool};

/// Calls of one connection in a minute, unless somebody says otherwise: a worker makes some ten for each block.
const CALLS_A_MINUTE: &str = "3000";
/// Addresses for which that does not hold: workers on this machine are its own.
const THIS_MACHINE: [&str; 2] = ["127.0.0.0/8", "::1/128"];
/// Calls in one request.
const CALLS_AT_ONCE: &str = "100";

/// The node of the Cairn chain.
#[derive(Debug, clap::Parser)]
pub struct Cli {
    /// What to do instead of running the node.
    #[command(subcommand)]
    pub subcommand: Option<Subcommand>,

    /// How to run the node.
    #[clap(flatten)]
    pub run: RunCmd,
}

impl Cli {
    /// Reads the command line, with a default of our own for what the pool takes.
    pub fn read() -> Cli {
        let command = command();
        let read = command.try_get_matches();
        let cli = read.and_then(|matches| Cli::from_arg_matches(&matches));
        cli.unwrap_or_else(|error| error.exit())
    }
}

fn command() -> clap::Command {
    <Cli as SubstrateCli>::setup_command(<Cli as CommandFactory>::command())
        .mut_arg("pool_kbytes", |argument| {
            argument.default_value(pool::DEFAULT_KBYTES)
        })
        .mut_arg("rpc_rate_limit", |argument| {
            argument.default_value(CALLS_A_MINUTE)
        })
        .mut_arg("rpc_rate_limit_whitelisted_ips", |argument| {
            argument.default_values(THIS_MACHINE)
        })
        .mut_arg("rpc_max_batch_request_len", |argument| {
            argument.default_value(CALLS_AT_ONCE)
        })
}

/// What a node can do besides running.
#[derive(Debug, clap::Subcommand)]
#[allow(clippy::large_enum_variant)]
pub enum Subcommand {
    /// Make, inspect and insert keys.
    #[command(subcommand)]
    Key(sc_cli::KeySubcommand),

    /// Sign a message, such as the SHA-256 of a chain's specification.
    Sign(sc_cli::SignCmd),

    /// Check who signed a message.
    Verify(sc_cli::VerifyCmd),

    /// Begin a chain of one's own.
    #[command(subcommand)]
    Chain(new_chain::Command),

    /// Write a chain specification.
    ExportChainSpec(sc_cli::ExportChainSpecCmd),

    /// Validate blocks.
    CheckBlock(sc_cli::CheckBlockCmd),

    /// Export blocks.
    ExportBlocks(sc_cli::ExportBlocksCmd),

    /// Export the state of a block as a chain specification.
    ExportState(sc_cli::ExportStateCmd),

    /// Import blocks.
    ImportBlocks(sc_cli::ImportBlocksCmd),

    /// Remove the whole chain.
    PurgeChain(sc_cli::PurgeChainCmd),

    /// Revert the chain to a previous state.
    Revert(sc_cli::RevertCmd),

    /// Show what the database holds.
    ChainInfo(sc_cli::ChainInfoCmd),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> RunCmd {
        let all = ["cairn-node"].iter().chain(arguments);
        let matches = command().try_get_matches_from(all).expect("it is right");
        let cli = Cli::from_arg_matches(&matches).expect("it is right");
        cli.run
    }

    #[test]
    fn the_pool_takes_what_one_answer_holds_unless_somebody_says_otherwise() {
        command().debug_assert();
        let kbytes = |arguments: &[&str]| read(arguments).pool_config.pool_kbytes;
        assert_eq!(kbytes(&[]).to_string(), pool::DEFAULT_KBYTES);
        assert_eq!(kbytes(&["--pool-kbytes", "7"]), 7);
    }

    #[test]
    fn others_calls_are_limited_unless_somebody_says_otherwise() {
        let limits = |arguments: &[&str]| {
            let rpc = read(arguments).rpc_params;
            (
                rpc.rpc_rate_limit.map(u32::from),
                rpc.rpc_max_batch_request_len,
                rpc.rpc_rate_limit_whitelisted_ips.len(),
            )
        };
        assert_eq!(limits(&[]), (Some(3_000), Some(100), 2));
        let own = ["--rpc-rate-limit", "7", "--rpc-max-batch-request-len", "8"];
        assert_eq!(limits(&own), (Some(7), Some(8), 2));
        // Neither stands in the way of what it does not go with.
        limits(&["--rpc-disable-batch-requests"]);
        limits(&["--experimental-rpc-endpoint", "listen-addr=127.0.0.1:9944"]);
    }
}
