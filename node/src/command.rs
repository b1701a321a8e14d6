//! From the command line to the thing that does it.

use cairn_runtime::opaque::Block;
use sc_cli::{CliConfiguration, ExportChainSpecCmd, Runner, SubstrateCli};
use sc_service::PartialComponents;

use crate::{
    chain_spec::{self, Genesis},
    cli::{Cli, Subcommand},
    error::{explain, Place},
    progress, running, service,
};

impl SubstrateCli for Cli {
    fn impl_name() -> String {
        "Cairn Node".into()
    }

    fn impl_version() -> String {
        env!("SUBSTRATE_CLI_IMPL_VERSION").into()
    }

    fn description() -> String {
        env!("CARGO_PKG_DESCRIPTION").into()
    }

    fn author() -> String {
        env!("CARGO_PKG_AUTHORS").into()
    }

    fn support_url() -> String {
        concat!(env!("CARGO_PKG_REPOSITORY"), "/issues").into()
    }

    fn copyright_start_year() -> i32 {
        2026
    }

    fn load_spec(&self, id: &str) -> Result<Box<dyn sc_service::ChainSpec>, String> {
        Ok(Box::new(chain_spec::load(id, Genesis::State)?))
    }
}

/// Reads the command line and does what it says.
///
/// # Errors
/// What went wrong and what to do, in one line.
pub fn run() -> Result<(), String> {
    let cli = Cli::read();
    match &cli.subcommand {
        None => running::run(&cli),
        Some(Subcommand::Key(cmd)) => cmd.run(&cli).map_err(|error| explain(&error, None)),
        Some(Subcommand::Sign(cmd)) => cmd.run().map_err(|error| explain(&error, None)),
        Some(Subcommand::Verify(cmd)) => cmd.run().map_err(|error| explain(&error, None)),
        Some(Subcommand::Chain(cmd)) => cmd.run(),
        Some(Subcommand::ExportChainSpec(cmd)) => export_spec(cmd),
        Some(Subcommand::CheckBlock(cmd)) => on_database(&cli, cmd, Needs::Chain, |runner| {
            runner.async_run(|config| {
                let PartialComponents {
                    client,
                    task_manager,
                    import_queue,
                    ..
                } = partial(&config)?;
                Ok((cmd.run(client, import_queue), task_manager))
            })
        }),
        Some(Subcommand::ExportBlocks(cmd)) => on_database(&cli, cmd, Needs::Chain, |runner| {
            runner.async_run(|config| {
                let PartialComponents {
                    client,
                    task_manager,
                    ..
                } = partial(&config)?;
                Ok((cmd.run(client, config.database), task_manager))
            })
        }),
        Some(Subcommand::ExportState(cmd)) => on_database(&cli, cmd, Needs::Chain, |runner| {
            runner.async_run(|config| {
                let PartialComponents {
                    client,
                    task_manager,
                    ..
                } = partial(&config)?;
                Ok((cmd.run(client, config.chain_spec), task_manager))
            })
        }),
        Some(Subcommand::ImportBlocks(cmd)) => on_database(&cli, cmd, Needs::Nothing, |runner| {
            runner.async_run(|config| {
                let PartialComponents {
                    client,
                    task_manager,
                    import_queue,
                    ..
                } = partial(&config)?;
                Ok((cmd.run(client, import_queue), task_manager))
            })
        }),
        Some(Subcommand::PurgeChain(cmd)) => on_database(&cli, cmd, Needs::Nothing, |runner| {
            runner.sync_run(|config| cmd.run(config.database))
        }),
        Some(Subcommand::Revert(cmd)) => {
            on_database(&cli, cmd, Needs::Chain, |runner| revert(cmd, runner))
        }
        Some(Subcommand::ChainInfo(cmd)) => on_database(&cli, cmd, Needs::Chain, |runner| {
            runner.sync_run(|config| cmd.run::<Block>(&config))
        }),
    }
}

/// What a command on the database finds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// A chain, which it reads or changes.
    Chain,
    /// Nothing: it makes one.
    Nothing,
}

/// Runs a command on the database; what goes wrong is told with its place.
fn on_database<Command: CliConfiguration>(
    cli: &Cli,
    command: &Command,
    needs: Needs,
    run: impl FnOnce(Runner<Cli>) -> sc_cli::Result<()>,
) -> Result<(), String> {
    let runner = cli
        .create_runner(command)
        .map_err(|error| explain(&error, Some(&Place::of_flags(command.shared_params()))))?;
    let network = command.shared_params().chain.clone().unwrap_or_default();
    let place = Place::of(runner.config(), &network);
    if needs == Needs::Chain {
        place.exists()?;
    }
    run(runner).map_err(|error| explain(&error, Some(&place)))
}

/// The parts that a command on the database needs; they take a while.
fn partial(config: &sc_service::Configuration) -> sc_cli::Result<service::Partial> {
    let opening = "opening the database, compiling the runtime";
    let parts = progress::during(opening, progress::log, || service::new_partial(config));
    Ok(parts?)
}

/// Writes a specification: for people, unless it is to be raw.
fn export_spec(cmd: &ExportChainSpecCmd) -> Result<(), String> {
    let genesis = match cmd.raw {
        true => Genesis::State,
        false => Genesis::Readable,
    };
    let writing = "building the genesis and writing it down";
    progress::during(writing, progress::tell, || {
        let spec = chain_spec::load(&cmd.chain, genesis)?;
        cmd.run(Box::new(spec)).map_err(|error| match &cmd.output {
            Some(path) => format!("cannot write {}: {}", path.display(), explain(&error, None)),
            None => explain(&error, None),
        })
    })
}

fn revert(cmd: &sc_cli::RevertCmd, runner: Runner<Cli>) -> sc_cli::Result<()> {
    runner.async_run(|config| {
        let PartialComponents {
            client,
            task_manager,
            backend,
            ..
        } = partial(&config)?;
        let consensus_too = Box::new(|client: std::sync::Arc<service::Client>, backend, blocks| {
            sc_consensus_babe::revert(client.clone(), backend, blocks)?;
            sc_consensus_grandpa::revert(client, blocks)?;
            Ok(())
        });
        Ok((cmd.run(client, backend, Some(consensus_too)), task_manager))
    })
}
