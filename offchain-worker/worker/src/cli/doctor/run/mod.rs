//! `cairn doctor --netuid`: what taking part in a run takes, measured here, and what to do where it does not go.

mod bond;
pub(in crate::cli) mod check;
mod files;
pub(in crate::cli) mod machine;
mod member;
mod nodes;
mod uplink;

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use cairn_chain::{
    AccountId, Block, Client, MemberEndpoints, MemberInfo, RoundInfo, RunInfo, SubnetInfo, View,
};
use cairn_engine::Device;
use cairn_primitives::{api::Duty, BlockNumber, Hotkey, Netuid, Role, Round, Text};
use cairn_protocol::endpoint;
use cairn_store::Store;
use clap::Args;
use serde::Serialize;

use self::{
    check::{Check, State},
    machine::Place,
    member::Seen,
    uplink::Need,
};
use super::super::{
    args::{numbered, KeepArg, KeyArgs, NodeArgs},
    look::no_subnet,
    reach::AskArgs,
};
use crate::{
    error::Failure,
    progress::progress,
    roles::{
        sources::{self, is_peer},
        state::StatePlace,
    },
};

/// What is measured, and with what a worker would be started.
#[derive(Args, Debug)]
#[command(next_help_heading = "What a run takes")]
pub struct RunArgs {
    /// Measure what it takes to take part in this subnet's run, and say what to do where that is too much
    #[arg(long, env = "CAIRN_NETUID", value_name = "NETUID", value_parser = numbered::<Netuid>())]
    netuid: Option<Netuid>,
    /// The member's hotkey, if it is not the key that is named: an address is enough, as on another machine
    #[arg(long, env = "CAIRN_HOTKEY", value_name = "ADDRESS|WALLET")]
    hotkey: Option<String>,
    #[command(flatten)]
    key: KeyArgs,
    /// The store that the worker is started with: a file is written there, read back and removed; if it is a directory,
    /// up to three validators are sent 4 MiB to see how fast this machine sends
    #[arg(long, env = "CAIRN_STORE", value_name = "URL")]
    store: Option<String>,
    /// Directory of the worker's state [default: below ~/.cairn/state]
    #[arg(long, env = "CAIRN_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,
    #[command(flatten)]
    keep: KeepArg,
    /// Where the worker computes: the first GPU if there is one, else the CPU (auto), or cpu, or cuda:N [default: auto
    /// for a miner, cpu for a validator]
    #[arg(long, env = "CAIRN_DEVICE", value_name = "DEVICE")]
    device: Option<Device>,
    /// Compute threads [default: one per core]
    #[arg(long, env = "CAIRN_THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Make inner steps for about so many seconds; what takes longer is scaled from one sequence
    #[arg(long, env = "CAIRN_SECONDS", default_value_t = 20, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=3600))]
    seconds: u16,
    #[command(flatten)]
    ask: AskArgs,
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct RunReport {
    netuid: Netuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    block: Option<BlockNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    round: Option<Round>,
    checks: Vec<Check>,
}

impl RunReport {
    /// For people.
    pub fn text(&self) -> String {
        let run = match (&self.name, self.round) {
            (Some(name), Some(round)) => format!("run `{name}`, round {round}"),
            _ => "no run".into(),
        };
        let block = self.block.map(|block| format!(", block {block}"));
        let head = format!(
            "subnet {}: {run}{}\n",
            self.netuid,
            block.unwrap_or_default()
        );
        let lines = self.checks.iter().map(Check::text);
        head + &lines.collect::<String>()
    }

    /// How many lines ask for something.
    pub fn to_fix(&self) -> usize {
        let to_fix = |check: &&Check| check.state == State::Fix;
        self.checks.iter().filter(to_fix).count()
    }
}

/// What the chain says, as of its best block.
struct Facts {
    block: Block,
    /// Milliseconds since 1970 at which its author made it.
    made: u64,
    every: Duration,
    subnet: SubnetInfo,
    run: Option<RunInfo>,
    /// The run's oldest round that the chain has kept.
    oldest: Option<RoundInfo>,
    members: Vec<MemberInfo>,
    endpoints: Vec<Text>,
    /// A peer of each other validator of the round that names one.
    validators: Vec<Text>,
}

impl Facts {
    async fn ask(
        client: &Client,
        netuid: Netuid,
        hotkey: Option<AccountId>,
    ) -> Result<Facts, Failure> {
        let block = client.best().await?;
        let view: View = client.at(block.hash);
        let subnet = view.subnet(netuid).await?;
        let run = view.run(netuid).await?;
        let oldest = match &run {
            Some(run) => view.round(netuid, run.oldest_round).await?,
            None => None,
        };
        let own = match hotkey {
            Some(hotkey) => view.endpoints_of(netuid, &[hotkey]).await?,
            None => Vec::new(),
        };
        let validators = match &run {
            Some(run) => validators(&view, netuid, run, hotkey).await?,
            None => Vec::new(),
        };
        Ok(Facts {
            block,
            made: view.made_at().await?,
            every: Duration::from_millis(view.block_time().await?),
            subnet: subnet.ok_or_else(|| no_subnet(netuid))?,
            run,
            oldest,
            members: view.members(netuid).await?,
            endpoints: own
                .into_iter()
                .flat_map(|member| member.endpoints)
                .collect(),
            validators,
        })
    }
}

/// A peer of each validator of the round that names one, `own` left out, in the order in which this member asks them.
async fn validators(
    view: &View,
    netuid: Netuid,
    run: &RunInfo,
    own: Option<AccountId>,
) -> Result<Vec<Text>, Failure> {
    // Who has no hotkey yet asks others than the next one who has none.
    let mut drawn = [0; 32];
    let _ = getrandom::fill(&mut drawn);
    let own = own.unwrap_or(AccountId(drawn)).hotkey();
    let all = run.round.validators.iter();
    let all: Vec<Hotkey> = all.map(|one| one.hotkey.hotkey()).collect();
    let others = endpoint::ask(&own, None, &all, &[]);
    let others: Vec<AccountId> = others.iter().map(|one| AccountId(one.0 .0)).collect();
    if others.is_empty() {
        return Ok(Vec::new());
    }
    let named = view.endpoints_of(netuid, &others).await?;
    let peer = |member: MemberEndpoints| member.endpoints.into_iter().find(is_peer);
    Ok(named.into_iter().filter_map(peer).collect())
}

impl RunArgs {
    /// Measures; `None` if no run was asked about.
    ///
    /// # Errors
    /// What keeps all of it from being measured: no such subnet, a key that is not there.
    pub async fn look(&self, node: &NodeArgs) -> Result<Option<RunReport>, Failure> {
        let Some(netuid) = self.netuid else {
            return Ok(None);
        };
        let hotkey = self.member()?;
        let asked = nodes::ask(&node.node, node.genesis).await;
        let mut report = RunReport {
            netuid,
            block: None,
            name: None,
            round: None,
            checks: Vec::new(),
        };
        let client = match node.connect().await {
            Ok(client) => client,
            Err(error) => {
                report.checks = nodes::judge(&asked, None);
                let remedy = "start a node, or name one that answers with --node";
                report
                    .checks
                    .push(Check::fix("chain", error.to_string(), remedy));
                return Ok(Some(report));
            }
        };
        let facts = Facts::ask(&client, netuid, hotkey).await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        report.block = Some(facts.block.number);
        report.checks = nodes::judge(&asked, Some(facts.every));
        report
            .checks
            .push(nodes::clock(now, facts.made, facts.every));
        report.checks.extend(self.of_member(&facts, hotkey).await);
        match &facts.run {
            None => {
                let remedy = "wait until the subnet's owner starts one; `cairn mine` waits, too";
                report
                    .checks
                    .push(Check::unknown("run", "the subnet has none", remedy));
            }
            Some(run) => {
                report.name = Some(run.config.name.to_text());
                report.round = Some(run.round.round);
                report
                    .checks
                    .extend(self.of_run(run, &facts, hotkey).await?);
            }
        }
        Ok(Some(report))
    }

    /// The hotkey of the member that is asked about, if one is named.
    fn member(&self) -> Result<Option<AccountId>, Failure> {
        match &self.hotkey {
            Some(hotkey) => self.key.account(hotkey).map(Some),
            None if self.key.is_named() => self.key.address().map(Some),
            None => Ok(None),
        }
    }

    /// Lines on the member.
    async fn of_member(&self, facts: &Facts, hotkey: Option<AccountId>) -> Vec<Check> {
        let Some(hotkey) = hotkey else {
            let remedy = "name it with --hotkey ADDRESS, or its wallet with --key";
            return vec![Check::unknown("role", "no hotkey was named", remedy)];
        };
        let seen = Seen {
            subnet: &facts.subnet,
            run: facts.run.as_ref(),
            members: &facts.members,
            now: facts.block.number,
            every: u64::try_from(facts.every.as_millis()).unwrap_or(u64::MAX),
        };
        let mut checks = seen.of(&hotkey);
        let member = facts.members.iter().find(|member| member.hotkey == hotkey);
        if let Some(member) = member {
            let (origin, config) = (self.ask.origin(), facts.run.as_ref().map(|run| &run.config));
            let own = self.store.as_deref();
            let (relays, left_out) = self.ask.relays(&facts.endpoints, config, own).await;
            checks.extend(files::left_out(left_out));
            let answered = files::ask(&facts.endpoints, origin, &relays).await;
            checks.extend(files::endpoints(&answered, member.chosen_role));
            checks.extend(files::outside(&facts.endpoints, origin));
        }
        checks
    }

    /// Lines on the run and this machine.
    async fn of_run(
        &self,
        run: &RunInfo,
        facts: &Facts,
        hotkey: Option<AccountId>,
    ) -> Result<Vec<Check>, Failure> {
        let member = facts.members.iter().find(|it| Some(it.hotkey) == hotkey);
        let duty = match member.map(|member| member.chosen_role) {
            Some(Role::Validator) => Duty::Validator,
            Some(Role::Miner) | None => Duty::Miner,
        };
        let mut checks = vec![bond::least(run, facts, hotkey)];
        checks.extend(self.of_machine(run, duty, facts.every).await?);
        match &self.store {
            None => checks.push(files::no_store(None)),
            Some(url) => match files::time(url, &run.config).await {
                Err(error) => checks.push(files::no_store(Some(&error))),
                Ok(timed) => {
                    checks.push(files::store(&timed, run, facts.every));
                    // A validator contributes nothing that others wait for.
                    if timed.is_directory && duty != Duty::Validator {
                        checks.push(self.uplink(run, facts).await);
                    }
                }
            },
        }
        checks.extend(self.disks(run, duty).await);
        Ok(checks)
    }

    /// What others fetch out of a store that is a directory, and how fast validators get what this machine sends.
    async fn uplink(&self, run: &RunInfo, facts: &Facts) -> Check {
        let (need, peers) = (Need::of(run, facts.every), &facts.validators);
        let (config, own) = (Some(&run.config), self.store.as_deref());
        let (relays, _) = self.ask.relays(peers, config, own).await;
        let _told = progress("sending a few MiB to validators", 0);
        let by = (self.ask.origin(), &relays);
        let probed = sources::uplink(peers, by, need.bits()).await;
        uplink::judge(&need, &probed)
    }

    /// The device with which a worker of this duty is started.
    fn asked_device(&self, duty: Duty) -> Device {
        let usual = match duty {
            Duty::Validator => Device::Cpu,
            Duty::Miner | Duty::Idle => Device::Auto,
        };
        self.device.unwrap_or(usual)
    }

    /// Memory and steps.
    async fn of_machine(
        &self,
        run: &RunInfo,
        duty: Duty,
        every: Duration,
    ) -> Result<Vec<Check>, Failure> {
        let config = run.config.clone();
        let memory = |device| {
            let needed = machine::memory_needed(&config, duty, device);
            machine::memory(needed, machine::memory_free())
        };
        let measures = duty == Duty::Validator;
        let asked = self.asked_device(duty);
        let device = match crate::roles::device(asked, &config.audits, measures) {
            Ok(device) => device,
            Err(error) => {
                let refused = Check::fix("steps", error.to_string(), "choose another --device");
                return Ok(vec![memory(Device::Cpu), refused]);
            }
        };
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.threads.map_or_else(cores, usize::from);
        let device = {
            let config = config.clone();
            let work = move || machine::chosen(device, &config, threads);
            tokio::task::spawn_blocking(work).await?
        };
        let memory = memory(device);
        // A card has memory of its own, and says itself if that is too little.
        if device == Device::Cpu && memory.state == State::Fix {
            let why = "not measured: the model does not fit";
            return Ok(vec![
                memory,
                Check::unknown("steps", why, "find memory first"),
            ]);
        }
        let bound = Duration::from_secs(self.seconds.into());
        let measured = {
            let _told = progress(format!("making inner steps for {} s", self.seconds), 0);
            let config = config.clone();
            let work = move || machine::pace(&config, (device, threads), bound);
            tokio::task::spawn_blocking(work).await?
        };
        let steps = match measured {
            Ok(pace) => machine::steps(&pace, &config, duty, every),
            Err(error) => Check::fix("steps", error.to_string(), "choose another --device"),
        };
        Ok(vec![memory, steps])
    }

    /// Room in the store, if it is a directory, and for the state.
    async fn disks(&self, run: &RunInfo, duty: Duty) -> Vec<Check> {
        let mut checks = Vec::new();
        let store = self.store.as_deref().and_then(|url| Store::open(url).ok());
        if let Some((store, directory)) = store.and_then(|it| Some((it.clone(), it.directory()?))) {
            let place = Place::at(&directory, used(&store, self.netuid).await);
            checks.push(machine::disk(
                "store disk",
                &place,
                machine::store_bound(&run.config, duty),
            ));
        }
        let state = self.state_dir.clone();
        let state = state.unwrap_or_else(StatePlace::default_directory);
        let place = Place::at(&state, 0);
        checks.push(machine::disk(
            "state disk",
            &place,
            machine::state_bound(&run.config, duty, self.keep.keep_states),
        ));
        checks
    }
}

/// Bytes of a subnet's files in a store; what cannot be listed counts nothing.
async fn used(store: &Store, netuid: Option<Netuid>) -> u64 {
    let netuid = netuid.map_or(0, Netuid::get);
    let mut sum = 0u64;
    for kind in ["contributions", "audits", "checkpoints", "evidence"] {
        let prefix: PathBuf = Path::new(kind).join(netuid.to_string());
        let listed = store
            .list(&prefix.to_string_lossy())
            .await
            .unwrap_or_default();
        sum = listed
            .iter()
            .fold(sum, |sum, file| sum.saturating_add(file.length));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        run: RunArgs,
    }

    #[test]
    fn an_address_is_enough_to_name_a_member() {
        let bob = AccountId::of(&cairn_chain::keypair("//Bob").unwrap());
        let named = |arguments: &[&str]| {
            let line = [&["doctor", "--netuid", "1"], arguments].concat();
            Line::try_parse_from(line).map(|line| line.run.member().unwrap())
        };
        assert_eq!(named(&[]).unwrap(), None);
        assert_eq!(named(&["--suri", "//Bob"]).unwrap(), Some(bob));
        let (address, key) = (bob.to_string(), ["--suri", "//Alice"]);
        let by_address = [&["--hotkey", address.as_str()], &key[..]].concat();
        assert_eq!(named(&by_address[..2]).unwrap(), Some(bob));
        assert_eq!(named(&by_address).unwrap(), Some(bob));
    }

    #[test]
    fn a_report_counts_what_is_to_be_done() {
        let report = RunReport {
            netuid: Netuid(3),
            block: Some(7),
            name: Some("tiny".into()),
            round: Some(2),
            checks: vec![
                Check::ok("node", "it answers"),
                Check::fix("bond", "too small", "add to it"),
                Check::unknown("uplink", "not measured", "measure it"),
            ],
        };
        assert_eq!(report.to_fix(), 1);
        let text = report.text();
        assert!(
            text.starts_with("subnet 3: run `tiny`, round 2, block 7\n"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 6);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["checks"][1]["do"], "add to it");
    }
}
