//! `cairn validate`, and `cairn validate explain`.

use std::path::PathBuf;

use cairn_primitives::{Round, Uid};
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};

use super::{
    args::{numbered, JsonArg, NetuidArg},
    evidence::{explain, find, Explained},
    print, work,
};
use crate::error::Failure;

/// `cairn validate`, by itself or with a verb of its own.
pub enum Validate {
    /// Validates.
    Work(Box<work::Validate>),
    /// Shows how a score came about.
    Explain(Explain),
}

#[derive(Subcommand)]
enum Verb {
    /// Show how a miner's score came about, from this validator's log of evidence, and what would raise it
    Explain(Explain),
}

/// `cairn validate explain`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  cairn validate explain --uid 3\n  cairn validate explain --round 12 --uid 3 --netuid 2\n  cairn validate explain --uid 3 --state-dir /var/lib/cairn/bob --json"
)]
pub struct Explain {
    /// Number of the miner
    #[arg(long, env = "CAIRN_UID", value_name = "UID", value_parser = numbered::<Uid>())]
    uid: Uid,
    /// The newest round that the score looks at [default: the newest one that was measured]
    #[arg(long, env = "CAIRN_ROUND", value_name = "ROUND")]
    round: Option<Round>,
    /// State directory of the validator [default: of those of the subnet below ~/.cairn/state the one that scored last]
    #[arg(long, env = "CAIRN_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,
    #[command(flatten)]
    netuid: NetuidArg,
    #[command(flatten)]
    json: JsonArg,
}

impl Args for Validate {
    fn augment_args(command: Command) -> Command {
        let command = work::Validate::augment_args(command);
        Verb::augment_subcommands(command)
            .subcommand_required(false)
            .arg_required_else_help(false)
            .subcommand_negates_reqs(true)
            .args_conflicts_with_subcommands(true)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Validate::augment_args(command)
    }
}

impl FromArgMatches for Validate {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Validate, clap::Error> {
        Validate::from_arg_matches_mut(&mut matches.clone())
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Validate, clap::Error> {
        if matches.subcommand_name().is_some() {
            let Verb::Explain(explain) = Verb::from_arg_matches_mut(matches)?;
            return Ok(Validate::Explain(explain));
        }
        let work = work::Validate::from_arg_matches_mut(matches)?;
        Ok(Validate::Work(Box::new(work)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Validate::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Validate {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Validate::Work(work) => work.run().await,
            Validate::Explain(explain) => explain.run(),
        }
    }
}

impl Explain {
    /// Does it.
    pub fn run(self) -> Result<(), Failure> {
        let (uid, netuid) = (self.uid, self.netuid.netuid);
        let log = find(self.state_dir.as_deref(), netuid).ok_or_else(|| {
            Failure::new(
                format!("there is no validator's evidence of subnet {netuid} here"),
                "name a validator's state directory with --state-dir, or ask the chain with `cairn why`",
            )
        })?;
        let explained = explain(&log, self.round, uid)?.ok_or_else(|| {
            Failure::new(
                format!(
                    "{} says nothing of uid {uid} in those rounds",
                    log.display()
                ),
                "`cairn status` lists the members; a score looks at 16 rounds",
            )
        })?;
        print(self.json.json, &explained, Explained::text)
    }
}
