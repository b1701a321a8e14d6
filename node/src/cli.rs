//! The command line.

use clap::{CommandFactory, FromArgMatches};
use sc_cli::{RunCmd, SubstrateCli};

use crate::pool;

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
}

/// What a node can do besides running.
#[derive(Debug, clap::Subcommand)]
#[allow(clippy::large_enum_variant)]
pub enum Subcommand {
    /// Make, inspect and insert keys.
    #[command(subcommand)]
    Key(sc_cli::KeySubcommand),

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

    #[test]
    fn the_pool_takes_what_one_answer_holds_unless_somebody_says_otherwise() {
        command().debug_assert();
        let kbytes = |arguments: &[&str]| {
            let all = ["cairn-node"].iter().chain(arguments);
            let matches = command().try_get_matches_from(all).expect("it is right");
            let cli = Cli::from_arg_matches(&matches).expect("it is right");
            cli.run.pool_config.pool_kbytes
        };
        assert_eq!(kbytes(&[]).to_string(), pool::DEFAULT_KBYTES);
        assert_eq!(kbytes(&["--pool-kbytes", "7"]), 7);
    }
}
