//! `cairn validate`, and `cairn validate explain`.

use std::path::{Path, PathBuf};

use cairn_primitives::{Round, Uid};
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};

use super::{
    args::{numbered, JsonArg, NetuidArg, NodeArgs},
    demand::{a_validator, unserved, DemandArgs, Demanded, OnChain, Question, Whom},
    evidence::{explain, find, Explained},
    look::{no_run, no_subnet},
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
    /// Show how a miner's score came about, and what would raise it: from a validator's log on this machine, or from
    /// the evidence that validators serve to anybody
    Explain(Explain),
}

/// `cairn validate explain`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  cairn validate explain --uid 3\n  cairn validate explain --round 12 --uid 3 --netuid 2\n  cairn validate explain --uid 3 --validator 0\n  cairn validate explain --uid 3 --state-dir /var/lib/cairn/bob --json\n\nWhere no validator of the subnet keeps its state on this machine, or one is named, it is demanded of them: the chain has the\nroot of the evidence to which each committed with the scores that count now, and its endpoints serve the file."
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
    /// Demand the evidence of this validator, whatever is on this machine [default: of all that committed to some]
    #[arg(long, env = "CAIRN_VALIDATOR", value_name = "UID|ADDRESS", value_parser = a_validator)]
    validator: Option<Whom>,
    #[command(flatten)]
    netuid: NetuidArg,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
    #[command(flatten)]
    demand: DemandArgs,
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
            Validate::Explain(explain) => explain.run().await,
        }
    }
}

impl Explain {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        let (netuid, state_dir) = (self.netuid.netuid, self.state_dir.as_deref());
        let log = match self.validator {
            Some(_) => None,
            None => find(state_dir, netuid),
        };
        match (log, state_dir) {
            (Some(log), _) => self.by_log(&log),
            (None, Some(directory)) if self.validator.is_none() => Err(Failure::new(
                format!(
                    "there is no validator's evidence of subnet {netuid} in {}",
                    directory.display()
                ),
                "name a validator's state directory, or leave it out to demand evidence of validators",
            )),
            (None, _) => self.by_validators().await,
        }
    }

    /// From a log on this machine.
    fn by_log(&self, log: &Path) -> Result<(), Failure> {
        let uid = self.uid;
        let explained = explain(log, self.round, uid)?.ok_or_else(|| {
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

    /// From what validators serve.
    async fn by_validators(&self) -> Result<(), Failure> {
        let (uid, netuid) = (self.uid, self.netuid.netuid);
        let view = self.node.connect().await?.at_best().await?;
        let subnet = view.subnet(netuid).await?;
        let subnet = subnet.ok_or_else(|| no_subnet(netuid))?;
        let run = view.run(netuid).await?.ok_or_else(|| no_run(&subnet))?;
        let chain = OnChain::read(&view, netuid).await?;
        let question = Question {
            uid,
            round: self.round,
            whom: self.validator,
        };
        let demanded = self.demand.demand(&chain, &run.config, question).await?;
        if let Some(failure) = unserved(netuid, &demanded) {
            return Err(failure);
        }
        print(self.json.json, &demanded, |all: &Vec<Demanded>| {
            all.iter().map(|one| one.text(uid)).collect()
        })
    }
}
