//! What can be asked of a devnet.

use std::path::PathBuf;

use cairn_engine::Device;
use cairn_primitives::{Hyperparameters, Round};
use clap::{builder::BoolishValueParser, Args};

use super::chaos::{self, Event, EventKind};
use crate::error::Failure;

/// How files go from member to member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Transport {
    /// By one directory.
    File,
    /// From peer to peer.
    P2p,
    /// By buckets: one of each member's own, or one that --store names.
    S3,
}

impl Transport {
    /// Without being told: as over the internet, if this build has peers.
    const USUAL: Transport = match cfg!(feature = "p2p") {
        true => Transport::P2p,
        false => Transport::File,
    };
}

/// `cairn devnet`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  cairn devnet\n  cairn devnet --rounds 3 --miners 2 --validators 1 --cheats 0\n  cairn devnet --json report.json --keep /tmp/devnet\n  cairn devnet --cheats 4                                           one cheat of each kind\n  cairn devnet --chaos kill-miner@3,restart-node@4,late-miner@5     rehearse failures\n  cairn devnet --transport file                                     all members share one directory\n  cairn devnet --transport s3                                       every member has its own bucket\n  cairn devnet --transport s3 --store s3://bucket/devnet            every member uses this bucket\n  cairn devnet --nodes 3 --chaos kill-node@2,stall-node@4           workers go on with another node\n  cairn devnet --rounds 2 --device cuda:0                           train and score on a GPU\n\nWhile it runs, its node can be asked like any other: the address is in the first lines."
)]
pub struct Options {
    /// Rounds to run
    #[arg(long, env = "CAIRN_ROUNDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rounds: u32,

    /// Honest miners: with less than two of all members that train, or of validators, nobody is paid
    #[arg(long, env = "CAIRN_MINERS", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub miners: u16,

    /// Validators
    #[arg(long, env = "CAIRN_VALIDATORS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub validators: u16,

    /// Miners that cheat, of four kinds in turn: noise trains nothing, lazy makes one inner step and claims all,
    /// stranger trains on other text than it is assigned, copier sends again what another sent
    #[arg(long, env = "CAIRN_CHEATS", default_value_t = 1, value_parser = clap::value_parser!(u16).range(0..=64))]
    pub cheats: u16,

    /// How files go from member to member: from peer to peer, each with a store of its own; by buckets, of a server
    /// that is started, too, in which each writes its own and reads all; or by one directory that all share
    #[arg(long, env = "CAIRN_TRANSPORT", value_enum, default_value_t = Transport::USUAL)]
    pub transport: Transport,

    /// With --transport s3: one bucket for all instead, as s3://BUCKET/PREFIX, with the variables AWS_… of
    /// docs/operators.md; no server is started, and the devnet's files stay in it. With other transports it is not
    /// used: a devnet makes its other stores itself
    #[arg(long, env = "CAIRN_STORE", value_name = "URL")]
    pub store: Option<String>,

    /// Nodes: the first makes blocks, the others follow it, and workers ask those first
    #[arg(long, env = "CAIRN_NODES", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=8))]
    pub nodes: u16,

    /// Write a report to this file when the rounds are over; `-` is standard output
    #[arg(long, env = "CAIRN_REPORT", value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Keep everything in this directory: logs, keys, store, workers' state
    #[arg(long, env = "CAIRN_KEEP", value_name = "DIR")]
    pub keep: Option<PathBuf>,

    /// The node's binary [default: cairn-node beside cairn, else on the PATH]
    #[arg(long, env = "CAIRN_NODE_BIN", value_name = "FILE")]
    pub node_bin: Option<PathBuf>,

    /// Let one more miner join in this round
    #[arg(long, env = "CAIRN_LATE_MINER_AT", value_name = "ROUND")]
    pub late_miner_at: Option<Round>,

    /// Rehearse failures: kill-miner@ROUND, restart-node@ROUND, late-miner@ROUND, and with more --nodes kill-node@ROUND
    /// and stall-node@ROUND, separated by commas
    #[arg(long, env = "CAIRN_CHAOS", value_delimiter = ',', value_parser = chaos::parse, value_name = "EVENTS")]
    pub chaos: Vec<Event>,

    /// The run's configuration [default: chain-specs/run-tiny.toml, which is built in]
    #[arg(long, env = "CAIRN_RUN_FILE", value_name = "FILE")]
    pub run: Option<PathBuf>,

    /// How many rounds training runs ahead of the outer step: 1 has miners train the next round while one is revealed
    /// and attested [default: what the run's configuration says]
    #[arg(long, env = "CAIRN_OVERLAP", value_name = "N", value_parser = clap::value_parser!(u8).range(0..=1))]
    pub overlap: Option<u8>,

    /// Text to train on [default: the State of the Union addresses, which are built in]
    #[arg(
        long,
        env = "CAIRN_CORPUS",
        value_name = "FILE",
        requires = "tokenizer"
    )]
    pub corpus: Option<PathBuf>,

    /// Tokenizer of the text
    #[arg(
        long,
        env = "CAIRN_TOKENIZER",
        value_name = "FILE",
        requires = "corpus"
    )]
    pub tokenizer: Option<PathBuf>,

    /// Text that miners do not have, in a file like the corpus: validators measure contributions on it, too
    #[arg(long, env = "CAIRN_UNSEEN_CORPUS", value_name = "FILE")]
    pub unseen_corpus: Option<PathBuf>,

    /// Threads of each worker
    #[arg(long, env = "CAIRN_THREADS", default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: u16,

    /// Device on which miners train and validators score: on another than the CPU nothing is audited, since what a GPU
    /// trained cannot be replayed to the bit
    #[arg(long, env = "CAIRN_DEVICE", default_value_t = Device::Cpu, value_name = "DEVICE")]
    pub device: Device,

    /// Windows of held-out text on which the loss is measured, spread evenly
    #[arg(long, env = "CAIRN_LOSS_WINDOWS", default_value_t = 128, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub loss_windows: u64,

    /// Have each worker serve its metrics on this machine: its log says where
    #[arg(long, env = "CAIRN_SERVE_METRICS", value_parser = BoolishValueParser::new())]
    pub serve_metrics: bool,
}

impl Options {
    /// An error for what cannot be done.
    pub fn check(&self) -> Result<(), Failure> {
        chaos::check(&self.events(), self.rounds, self.nodes)?;
        if let Some(url) = self.bucket().filter(|url| !url.starts_with("s3://")) {
            let what = format!("--store {url} is no bucket");
            let remedy = "name one as s3://BUCKET/PREFIX, or leave --store out for a server of the devnet's own";
            return Err(Failure::new(what, remedy));
        }
        let members = [self.miners, self.cheats, self.validators]
            .map(u32::from)
            .iter()
            .sum::<u32>()
            .saturating_add(self.late_miners());
        let most = u32::from(Hyperparameters::default().max_members);
        if members > most {
            let what = format!("{members} members are too many: a subnet has at most {most}");
            return Err(Failure::new(
                what,
                "lower --miners, --validators or --cheats",
            ));
        }
        Ok(())
    }

    /// The bucket, if files go by one for all. A store that is set for other commands, too, is none of the devnet's.
    pub fn bucket(&self) -> Option<&str> {
        let is_used = self.transport == Transport::S3;
        self.store.as_deref().filter(|_| is_used)
    }

    /// Whether files go by buckets of a server that the devnet starts.
    pub fn serves_buckets(&self) -> bool {
        self.transport == Transport::S3 && self.store.is_none()
    }

    fn late_miners(&self) -> u32 {
        let late = self
            .events()
            .into_iter()
            .filter(|event| event.kind == EventKind::LateMiner);
        u32::try_from(late.count()).unwrap_or(u32::MAX)
    }

    /// All rehearsed failures.
    pub fn events(&self) -> Vec<Event> {
        let late = self.late_miner_at.map(|round| Event {
            kind: EventKind::LateMiner,
            round,
        });
        self.chaos.iter().copied().chain(late).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn one_cheat_is_the_default_and_more_can_be_asked_for() {
        let cheats = |arguments: &[&str]| {
            let line = [&["devnet"], arguments].concat();
            Line::try_parse_from(line).map(|line| line.options.cheats)
        };
        assert_eq!(cheats(&[]).unwrap(), 1);
        assert_eq!(cheats(&["--cheats", "4"]).unwrap(), 4);
        assert_eq!(cheats(&["--cheats", "0"]).unwrap(), 0);
        assert!(cheats(&["--cheats", "65"]).is_err());
    }

    #[test]
    fn metrics_are_served_where_that_is_asked_for() {
        let serves = |arguments: &[&str]| {
            let line = [&["devnet"], arguments].concat();
            Line::try_parse_from(line).map(|line| line.options.serve_metrics)
        };
        assert!(!serves(&[]).unwrap());
        assert!(serves(&["--serve-metrics"]).unwrap());
    }

    #[test]
    fn a_store_is_used_as_a_bucket_alone() {
        let of = |arguments: &[&str]| {
            let line = [&["devnet"], arguments].concat();
            Line::try_parse_from(line).map(|line| line.options)
        };
        let elsewhere = of(&["--store", "file:///srv/cairn"]).unwrap();
        assert!(elsewhere.check().is_ok());
        assert_eq!(elsewhere.bucket(), None);
        let bucket = of(&["--transport", "s3", "--store", "s3://bucket/devnet"]).unwrap();
        assert!(bucket.check().is_ok());
        assert_eq!(bucket.bucket(), Some("s3://bucket/devnet"));
        assert!(!bucket.serves_buckets() && !elsewhere.serves_buckets());
        let own = of(&["--transport", "s3"]).unwrap();
        assert!(own.check().is_ok() && own.serves_buckets());
        assert_eq!(own.bucket(), None);
        let none = of(&["--transport", "s3", "--store", "file:///x"]).unwrap();
        let error = none.check().unwrap_err().to_string();
        assert!(error.contains("file:///x is no bucket"), "{error}");
    }
}
