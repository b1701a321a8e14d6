//! Who takes part in a devnet: keys, registration, processes.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use cairn_chain::{AccountId, Call, Client, Keypair};
use cairn_engine::Device;
use cairn_primitives::{Balance, Netuid, Role, Uid, CRN, H256};
use cairn_store::Store;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::{buckets::Buckets, options::Transport};
use crate::{
    cli::member::sign_registration,
    error::Failure,
    process::Process,
    roles::{Behaviour, Status},
};

/// What a member's coldkey gets from Alice.
const FUNDS: Balance = 300 * CRN;
/// What it puts behind its hotkey: a validator's stake, a miner's bond.
const STAKE: Balance = 100 * CRN;
const BOND: Balance = 10 * CRN;
/// The most that it pays for its uid.
const MAX_PRICE: Balance = 50 * CRN;

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Trains.
    Miner,
    /// Checks and scores.
    Validator,
    /// Mines without doing what it has to: a miner whose [`Behaviour`] is not honest.
    Cheat,
}

/// The kind of the devnet's `nth` cheat, from 0, and which of its kind it is, from 1: the kinds take turns.
pub fn cheat(nth: u16) -> (Behaviour, u16) {
    let kinds = Behaviour::CHEATS;
    let kind = kinds.into_iter().cycle().nth(usize::from(nth));
    let before = usize::from(nth) / kinds.len();
    let number = u16::try_from(before).unwrap_or(u16::MAX).saturating_add(1);
    (kind.unwrap_or(Behaviour::Noise), number)
}

/// A member and its worker.
pub struct Member {
    /// Such as `miner-1` or `noise-1`.
    pub name: String,
    /// What it does.
    pub part: Part,
    /// How: all but cheats are honest.
    pub behaviour: Behaviour,
    /// Its number, once registered.
    pub uid: Option<Uid>,
    /// Whether it came after the run had begun.
    pub late: bool,
    cold: Keypair,
    hot: Keypair,
    suri: String,
    state: PathBuf,
    /// Where its own store is, if it has one.
    store: PathBuf,
    log: PathBuf,
    process: Option<Process>,
}

/// What all workers of a devnet are started with.
pub struct Common {
    /// The nodes' addresses, in the order in which they are asked.
    pub nodes: Vec<String>,
    /// Hash of block 0.
    pub genesis: H256,
    /// The subnet.
    pub netuid: Netuid,
    /// The shared store's URL.
    pub store: String,
    /// The file of a text that miners do not have, for validators.
    pub unseen: Option<PathBuf>,
    /// How files go from member to member.
    pub transport: Transport,
    /// The buckets, if they are the devnet's own.
    pub buckets: Option<Buckets>,
    /// Threads of each worker.
    pub threads: u16,
    /// What each worker computes on.
    pub device: Device,
    /// Whether each worker serves its metrics.
    pub serves_metrics: bool,
}

impl Common {
    /// How a member's worker reaches others' files.
    fn reach(&self, name: &str) -> Vec<String> {
        // All of it is on this machine.
        let trusting = ["--trust-endpoints", "--trust-run-store"].map(String::from);
        let reached = match (&self.buckets, self.transport) {
            (Some(buckets), _) => ["--endpoint".into(), buckets.endpoint(name)].to_vec(),
            (None, Transport::P2p) => ["--p2p", "--p2p-bind", "127.0.0.1:0"]
                .map(String::from)
                .to_vec(),
            (None, Transport::File | Transport::S3) => return Vec::new(),
        };
        [&trusting[..], &reached[..]].concat()
    }

    /// How a member's worker shows what it does: at a free port, which its log names.
    fn shown(&self) -> &'static [&'static str] {
        match self.serves_metrics {
            true => &["--metrics", "0"],
            false => &[],
        }
    }
}

impl Member {
    /// A miner.
    pub fn miner(number: u16, directory: &Path) -> Result<Member, Failure> {
        Member::new(Part::Miner, "miner", number, directory)
    }

    /// A miner that comes after the run has begun.
    pub fn late_miner(number: u16, directory: &Path) -> Result<Member, Failure> {
        Ok(Member {
            late: true,
            ..Member::new(Part::Miner, "late-miner", number, directory)?
        })
    }

    /// A validator.
    pub fn validator(number: u16, directory: &Path) -> Result<Member, Failure> {
        Member::new(Part::Validator, "validator", number, directory)
    }

    /// The devnet's `nth` cheat, from 0.
    pub fn cheat(nth: u16, directory: &Path) -> Result<Member, Failure> {
        let (behaviour, number) = cheat(nth);
        Ok(Member {
            behaviour,
            ..Member::new(Part::Cheat, behaviour.name(), number, directory)?
        })
    }

    /// A member with keys of its own, derived from the development phrase: nobody's secret.
    fn new(part: Part, kind: &str, number: u16, directory: &Path) -> Result<Member, Failure> {
        let name = format!("{kind}-{number}");
        let suri = format!("//Cairn//{name}//hot");
        Ok(Member {
            cold: cairn_chain::keypair(&format!("//Cairn//{name}//cold"))?,
            hot: cairn_chain::keypair(&suri)?,
            state: directory.join("members").join(&name),
            store: directory.join("stores").join(&name),
            log: directory.join("logs").join(format!("{name}.log")),
            name,
            part,
            behaviour: Behaviour::Honest,
            late: false,
            suri,
            uid: None,
            process: None,
        })
    }

    /// Its hotkey's account.
    pub fn hotkey(&self) -> AccountId {
        AccountId::of(&self.hot)
    }

    /// What gives its coldkey the money that it needs.
    pub fn fund(&self) -> Call {
        Call::transfer(&AccountId::of(&self.cold), FUNDS)
    }

    /// Registers its hotkey and puts stake or bond behind it.
    pub async fn register(&mut self, client: &Client, netuid: Netuid) -> Result<(), Failure> {
        let hotkey = self.hotkey();
        let (role, behind) = match self.part {
            Part::Validator => (Role::Validator, Call::add_stake(netuid, &hotkey, STAKE)),
            Part::Miner | Part::Cheat => (Role::Miner, Call::add_bond(netuid, &hotkey, BOND)),
        };
        let coldkey = AccountId::of(&self.cold);
        let signature = sign_registration(&self.hot, client.genesis_hash(), netuid, &coldkey);
        let join = Call::register(netuid, &hotkey, role, MAX_PRICE, &signature);
        let calls = vec![join, behind];
        let included = client.submit(&Call::batch_all(calls), &self.cold).await?;
        let member = client
            .at(included.block.hash)
            .member(netuid, &hotkey)
            .await?;
        self.uid = member.map(|member| member.uid);
        Ok(())
    }

    /// Starts its worker.
    pub fn start(&mut self, common: &Common) -> Result<(), Failure> {
        let program = std::env::current_exe().map_err(|error| {
            Failure::new(format!("cannot find this program: {error}"), "reinstall it")
        })?;
        let mut command = Command::new(program);
        command.arg(if self.part == Part::Validator {
            "validate"
        } else {
            "mine"
        });
        if let (Part::Validator, Some(unseen)) = (self.part, &common.unseen) {
            command.arg("--unseen").arg(unseen);
        }
        if self.part == Part::Cheat {
            command.args(["--behaviour", self.behaviour.name()]);
        }
        command
            .args(["--device", &common.device.to_string()])
            .args([
                "--node",
                &common.nodes.join(","),
                "--store",
                &self.url(common)?,
            ])
            .args(common.reach(&self.name))
            .args(common.shown())
            .args(["--genesis", &format!("{:?}", common.genesis)])
            .args([
                "--netuid",
                &common.netuid.to_string(),
                "--threads",
                &common.threads.to_string(),
            ])
            .arg("--state-dir")
            .arg(&self.state);
        self.surround(&mut command, common);
        self.process = Some(Process::start(&self.name, command, &self.log)?);
        Ok(())
    }

    /// A worker of the devnet takes nothing from its surroundings, and no secret of it is in the process list.
    fn surround(&self, command: &mut Command, common: &Common) {
        let own_buckets = common.buckets.as_ref();
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let is_ours = text.starts_with("CAIRN_") && text != "CAIRN_LOG";
            let is_of_buckets = text.starts_with("AWS_") || text.starts_with("SSL_CERT_");
            if is_ours || (is_of_buckets && own_buckets.is_some()) {
                command.env_remove(&name);
            }
        }
        command.env("CAIRN_SURI", &self.suri);
        command.env("RAYON_NUM_THREADS", common.threads.to_string());
        if let Some(buckets) = own_buckets {
            command.envs(buckets.variables(&self.name));
        }
    }

    /// The URL of the store that its worker writes to.
    fn url(&self, common: &Common) -> Result<String, Failure> {
        match (&common.buckets, common.transport) {
            (Some(buckets), _) => {
                // A bucket is there before somebody writes to it.
                buckets.files(&self.name)?;
                Ok(buckets.url(&self.name))
            }
            (None, Transport::File | Transport::S3) => Ok(common.store.clone()),
            (None, Transport::P2p) => Ok(Store::create_in(&self.store)?.url().to_string()),
        }
    }

    /// That store, for the devnet to read.
    pub fn files(&self, common: &Common) -> Result<Store, Failure> {
        match &common.buckets {
            Some(buckets) => Ok(buckets.files(&self.name)?),
            None => Ok(Store::open(&self.url(common)?)?),
        }
    }

    /// Kills its worker as `kill -9` does, and starts it again.
    pub async fn kill_and_restart(&mut self, common: &Common) -> Result<(), Failure> {
        if let Some(process) = &mut self.process {
            process.kill().await;
        }
        self.start(common)
    }

    /// An error if its worker has ended.
    pub fn check(&mut self) -> Result<(), Failure> {
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        match process.ended() {
            None => Ok(()),
            Some(status) => Err(process.why_ended(status)),
        }
    }

    /// What its worker last wrote of itself.
    pub fn status(&self) -> Option<Status> {
        Status::read(&self.state)
    }

    /// Asks its worker to stop, without waiting.
    pub fn ask_to_stop(&self) {
        if let Some(process) = &self.process {
            process.ask_to_stop();
        }
    }

    /// Stops its worker, and kills it after `grace`.
    pub async fn stop(&mut self, grace: Duration) {
        if let Some(mut process) = self.process.take() {
            process.stop(grace).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cheats_of_all_kinds_take_turns() {
        let directory = Path::new("nowhere");
        let cheats = (0..6).map(|nth| Member::cheat(nth, directory).unwrap());
        let (names, parts): (Vec<_>, Vec<_>) =
            cheats.map(|member| (member.name, member.part)).unzip();
        let expected = [
            "noise-1",
            "lazy-1",
            "stranger-1",
            "copier-1",
            "noise-2",
            "lazy-2",
        ];
        assert_eq!(names, expected);
        assert_eq!(parts, [Part::Cheat; 6]);
    }

    #[test]
    fn members_have_names_of_their_own_and_only_cheats_are_not_honest() {
        let directory = Path::new("nowhere");
        let members = [
            Member::miner(1, directory),
            Member::late_miner(1, directory),
            Member::validator(1, directory),
        ];
        let members = members.map(|member| member.unwrap());
        let names = members.each_ref().map(|member| member.name.as_str());
        assert_eq!(names, ["miner-1", "late-miner-1", "validator-1"]);
        assert_eq!(
            members.each_ref().map(|member| member.late),
            [false, true, false]
        );
        let is_honest = |member: &Member| member.behaviour == Behaviour::Honest;
        assert!(members.iter().all(is_honest));
        assert!(!is_honest(&Member::cheat(0, directory).unwrap()));
    }
}
