//! A devnet from its first process to its last round.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use cairn_chain::{Block, Client, View};
use cairn_primitives::{ModelRoot, Netuid, Round, RunConfig};
use cairn_protocol::phase::Timetable;
use futures::{
    future::{join_all, try_join_all},
    StreamExt,
};
use tokio::time::MissedTickBehavior;

use super::{
    audit::audit,
    book::Book,
    buckets::{self, Buckets},
    chaos::{Event, EventKind},
    loss::Meter,
    members::{Common, Member, Part},
    node::Node,
    options::Options,
    report::{
        self, adds_up, AuditReport, DataReport, MemberReport, ModelReport, Report, RoundReport,
    },
    screen::{self, Screen},
    setting, GRACE,
};
use crate::{
    amount::{counted, thousands},
    error::Failure,
    follower::Follower,
    new_file::NewFile,
    prepare::Prepared,
    progress::progress,
    roles::Behaviour,
    table::short,
};

/// How often the processes are looked at.
const TICK: Duration = Duration::from_millis(500);
/// After this time without a new block something is wrong: a devnet's node makes one every few seconds, and is there
/// again sooner when it is restarted on a busy machine.
const STALL: Duration = Duration::from_secs(300);
/// How long the workers may take to hold the last parameters, in ticks.
const LAST_TICKS: u32 = 120;

/// A devnet and the processes that it started.
pub struct Devnet {
    options: Options,
    directory: PathBuf,
    screen: Screen,
    events: Vec<Event>,
    node: Option<Node>,
    /// Nodes that follow it, in the order in which workers ask them.
    followers: Vec<Node>,
    /// Those of them that stand still.
    still: Vec<Node>,
    members: Vec<Member>,
    /// What serves the members' buckets, if they are the devnet's own. It is there until the members have stopped.
    server: Option<buckets::Server>,
}

/// What is being watched.
struct Watched {
    client: Client,
    common: Common,
    follower: Follower,
    meter: Meter,
    book: Book,
    prepared: Prepared,
    round_began: Instant,
    block_came: Instant,
    /// Roots that workers hold of the last parameters, by name.
    roots: BTreeMap<String, ModelRoot>,
}

impl Devnet {
    /// A devnet that has not begun.
    pub fn new(options: Options, directory: PathBuf) -> Devnet {
        let (screen, events) = (Screen::new(), options.events());
        Devnet {
            options,
            directory,
            screen,
            events,
            node: None,
            followers: Vec::new(),
            still: Vec::new(),
            members: Vec::new(),
            server: None,
        }
    }

    /// Runs until all rounds are over.
    pub async fn run(&mut self) -> Result<Report, Failure> {
        let mut watched = self.set_up().await?;
        self.watch(&mut watched).await?;
        if let Some(event) = self.events.first() {
            let what = format!("{event} was not rehearsed: the rounds ended before");
            return Err(Failure::new(what, "report this, with the command line"));
        }
        self.report(watched).await
    }

    /// Stops every process: first all are asked, then each is waited for, so that one that is slow costs
    /// the others no time. Nodes go after the workers, who say goodbye to them, and the first node last.
    pub async fn stop(&mut self) {
        self.screen.progress("stopping");
        // What stands still hears nothing, and ends by force alone.
        for node in &mut self.still {
            node.process().kill().await;
        }
        for member in &self.members {
            member.ask_to_stop();
        }
        for member in &mut self.members {
            member.stop(GRACE).await;
        }
        for node in &mut self.followers {
            node.process().ask_to_stop();
        }
        for mut node in self.nodes() {
            node.process().stop(GRACE).await;
        }
        drop(self.server.take());
    }

    /// Takes all nodes: first those that stand still, which end by force alone.
    fn nodes(&mut self) -> Vec<Node> {
        let mut nodes = std::mem::take(&mut self.still);
        nodes.append(&mut self.followers);
        nodes.extend(self.node.take());
        nodes
    }

    /// Stops every process at once, and kills what does not end within `grace`.
    pub async fn abandon(&mut self, grace: Duration) {
        let mut nodes = self.nodes();
        let members = self.members.iter_mut().map(|member| member.stop(grace));
        let nodes = nodes.iter_mut().map(|node| node.process().stop(grace));
        tokio::join!(join_all(members), join_all(nodes));
        drop(self.server.take());
    }

    /// Shows the end of the story, writes the report, and says so if something is wrong.
    pub fn finish(&self, report: &Report) -> Result<(), Failure> {
        let to_stdout = self
            .options
            .json
            .as_ref()
            .is_some_and(|path| path.as_os_str() == "-");
        self.screen.say(screen::summary(report).trim_end());
        if let Some(path) = &self.options.json {
            let text = serde_json::to_string_pretty(report)? + "\n";
            if to_stdout {
                self.screen.say(text.trim_end());
            } else {
                NewFile::write(path, text.as_bytes())?;
            }
        }
        verdict(report)
    }

    async fn set_up(&mut self) -> Result<Watched, Failure> {
        let options = self.options.clone();
        let run = setting::run_file(&options)?;
        self.announce()?;
        let buckets = self.serve_buckets().await?;
        let node = Node::start(options.node_bin.as_deref(), &self.directory)?;
        self.screen.fact(
            "node",
            &format!("{}, log {}", node.url(), node.log().display()),
        );
        let node = self.node.insert(node);

        let sequence_length = run.sequence_length();
        let prepared = setting::data(&options, &self.directory, buckets.as_ref(), sequence_length);
        let (store, prepared) = prepared.await?;
        self.screen.fact(
            "data",
            &format!(
                "{} bytes, {} tokens, {} of them held out",
                thousands(prepared.bytes),
                thousands(prepared.tokens),
                thousands(prepared.heldout_tokens)
            ),
        );
        let found = (&store, prepared.manifest_root);
        let checked = setting::checked(run, &options, found, buckets.as_ref());
        let (config, parameters, data) = checked.await?;
        let meter = Meter::new(&config.model, data, sequence_length, options.loss_windows)?;
        meter.ask(0, &parameters);
        self.screen.fact(
            "model",
            &format!(
                "{} parameters, initial root {}",
                thousands(parameters.len() as u64),
                short(&config.initial_root)
            ),
        );

        let told = progress("waiting for the node to answer", 0);
        let client = node.connect().await?;
        drop(told);
        self.follow(&client).await?;
        let netuid = self.register(&client, &config).await?;
        self.screen.fact(
            "subnet",
            &format!(
                "{netuid}, a round of at most {} blocks",
                config.phases.round()
            ),
        );
        let common = Common {
            nodes: self.urls(),
            genesis: client.genesis_hash(),
            netuid,
            store: store.url().to_string(),
            unseen: prepared.unseen.as_ref().map(|made| made.file.clone()),
            transport: options.transport,
            buckets,
            threads: options.threads,
            device: options.device,
            serves_metrics: options.serve_metrics,
        };
        let mut stores = vec![store];
        for member in &mut self.members {
            member.start(&common)?;
            stores.push(member.files(&common)?);
        }
        // Last, so that the first round does not go by while workers start.
        let told = progress("starting the run", 0);
        setting::start_run(&client, netuid, &config).await?;
        drop(told);
        Ok(Watched {
            follower: Follower::new(netuid, config, stores, parameters),
            client,
            common,
            meter,
            book: Book::new(options.rounds),
            prepared,
            round_began: Instant::now(),
            block_came: Instant::now(),
            roots: BTreeMap::new(),
        })
    }

    /// Makes the directories, and says what begins.
    fn announce(&self) -> Result<(), Failure> {
        let options = &self.options;
        for part in ["logs", "members"] {
            std::fs::create_dir_all(self.directory.join(part))?;
        }
        self.screen.say(&format!(
            "a network on this machine: {}, {}, {}, {}; Ctrl-C stops all of it",
            counted(options.miners, "miner"),
            counted(options.validators, "validator"),
            cheats(options.cheats),
            counted(options.rounds, "round"),
        ));
        Ok(())
    }

    /// Makes the members, and funds and registers them in a new subnet.
    async fn register(&mut self, client: &Client, config: &RunConfig) -> Result<Netuid, Failure> {
        self.enrol()?;
        let _told = progress("funding and registering everybody", 0);
        setting::fund(client, &self.members.iter().collect::<Vec<_>>()).await?;
        let netuid = setting::create_subnet(client, config).await?;
        let members = self.members.iter_mut();
        let joining = members.map(|member| member.register(client, netuid));
        try_join_all(joining).await?;
        Ok(netuid)
    }

    /// Starts the server of the members' buckets, if they are the devnet's own, and gives what is to be known of it.
    async fn serve_buckets(&mut self) -> Result<Option<Buckets>, Failure> {
        if !self.options.serves_buckets() {
            return Ok(None);
        }
        let server = buckets::Server::start(&self.directory).await?;
        let buckets = server.buckets().clone();
        let (address, below) = (buckets.address(), buckets.directory().display().to_string());
        self.screen
            .fact("buckets", &format!("{address}, files in {below}"));
        self.server = Some(server);
        Ok(Some(buckets))
    }

    /// Starts the nodes that follow the first.
    async fn follow(&mut self, client: &Client) -> Result<(), Failure> {
        let peer_id = client.peer_id().await?;
        for number in 2..=self.options.nodes {
            let Some(first) = &self.node else { break };
            let mut node = first.follower(number, &peer_id)?;
            self.screen.fact(
                node.name(),
                &format!("{}, log {}", node.url(), node.log().display()),
            );
            node.connect().await?;
            self.followers.push(node);
        }
        Ok(())
    }

    /// The nodes' addresses: those that can be spared first.
    fn urls(&self) -> Vec<String> {
        let nodes = self.followers.iter().chain(&self.node);
        nodes.map(Node::url).collect()
    }

    /// Makes the members that are there from the beginning.
    fn enrol(&mut self) -> Result<(), Failure> {
        let (o, directory) = (&self.options, &self.directory);
        let miners = (1..=o.miners).map(|number| Member::miner(number, directory));
        let cheats = (0..o.cheats).map(|nth| Member::cheat(nth, directory));
        let validators = (1..=o.validators).map(|number| Member::validator(number, directory));
        let all: Result<Vec<Member>, Failure> = miners.chain(cheats).chain(validators).collect();
        self.members = all?;
        Ok(())
    }

    async fn watch(&mut self, watched: &mut Watched) -> Result<(), Failure> {
        let mut blocks = watched.client.best_blocks();
        let mut ticks = tokio::time::interval(TICK);
        // Those that went by during a long look are not made up for.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut left = LAST_TICKS;
        loop {
            tokio::select! {
                block = blocks.next() => match block {
                    Some(Ok(block)) => {
                        self.look(watched, block).await?;
                        watched.block_came = Instant::now();
                    }
                    Some(Err(error)) if !error.is_transient() => return Err(error.into()),
                    Some(Err(_)) | None => self.check()?,
                },
                answer = watched.meter.answer() => {
                    let (round, loss) = answer?;
                    watched.book.loss(round, loss);
                }
                _ = ticks.tick() => {
                    self.check()?;
                    let log = self.node.as_ref().map(Node::log).unwrap_or_default();
                    ensure_it_moves(watched.block_came.elapsed(), &log)?;
                    self.sample(watched);
                    left = left.saturating_sub(u32::from(watched.book.is_complete()));
                }
            }
            for round in watched.book.ready() {
                self.screen.round(&round);
            }
            let mut members = self.members.iter();
            let all_hold_them = members.all(|member| watched.roots.contains_key(&member.name));
            if watched.book.is_complete() && (all_hold_them || left == 0) {
                return Ok(());
            }
        }
    }

    /// A new block: whether its books are right, what has been settled and attested, and what is to be
    /// rehearsed.
    async fn look(&mut self, watched: &mut Watched, block: Block) -> Result<(), Failure> {
        let netuid = watched.common.netuid;
        let view = watched.client.at(block.hash);
        audit(&view, block).await?;
        let Some(run) = view.run(netuid).await? else {
            return Ok(());
        };
        let (round, times) = (run.round.round, Timetable(run.round.times));
        while watched.follower.round() < round {
            let Some(settled) = view.settled(netuid, watched.follower.round()).await? else {
                break;
            };
            let sizes = watched.follower.advance(&view, &settled).await?;
            let seconds = report::rounded(watched.round_began.elapsed());
            watched.round_began = Instant::now();
            let root = watched.follower.root();
            watched.book.settled(settled, root, seconds, &sizes);
            if watched.follower.round() <= self.options.rounds {
                watched
                    .meter
                    .ask(watched.follower.round(), watched.follower.parameters());
            }
        }
        if let Some(open) = watched.book.first_open() {
            for entry in view.lineage(netuid, open).await? {
                watched.book.lineage(&entry)?;
            }
        }
        let elapsed = block.number.saturating_sub(times.start());
        let whole = times.due().saturating_sub(times.start());
        self.screen.progress(&format!(
            "round {round}: {:?}, block {} of {}",
            run.round.phase,
            elapsed.saturating_add(1).min(whole),
            whole
        ));
        let (due, later): (Vec<Event>, Vec<Event>) = self
            .events
            .iter()
            .copied()
            .partition(|event| event.is_due(round, (&run.config.phases, &times), block.number));
        self.events = later;
        for event in due {
            self.rehearse(watched, event, round).await?;
        }
        Ok(())
    }

    async fn rehearse(
        &mut self,
        watched: &mut Watched,
        event: Event,
        round: Round,
    ) -> Result<(), Failure> {
        match event.kind {
            EventKind::KillMiner => {
                if let Some(miner) = self
                    .members
                    .iter_mut()
                    .find(|member| member.part == Part::Miner)
                {
                    self.screen.say(&format!(
                        "       round {round}: kill -9 {}, and start it again",
                        miner.name
                    ));
                    miner.kill_and_restart(&watched.common).await?;
                }
            }
            EventKind::RestartNode => {
                self.screen.say(&format!(
                    "       round {round}: stop the node, and start it again"
                ));
                if let Some(node) = &mut self.node {
                    node.restart().await?;
                }
            }
            EventKind::KillNode | EventKind::StallNode if self.followers.is_empty() => {}
            EventKind::KillNode => {
                let mut node = self.followers.remove(0);
                self.screen
                    .say(&format!("       round {round}: kill -9 {}", node.name()));
                node.process().kill().await;
            }
            EventKind::StallNode => {
                let mut node = self.followers.remove(0);
                self.screen
                    .say(&format!("       round {round}: kill -STOP {}", node.name()));
                node.process().stand_still();
                self.still.push(node);
            }
            EventKind::LateMiner => {
                let number = self.members.iter().filter(|member| member.late).count() as u16 + 1;
                let mut miner = Member::late_miner(number, &self.directory)?;
                self.screen
                    .say(&format!("       round {round}: {} joins", miner.name));
                setting::fund_late(&watched.client, &miner).await?;
                miner
                    .register(&watched.client, watched.common.netuid)
                    .await?;
                miner.start(&watched.common)?;
                watched.follower.look_in(miner.files(&watched.common)?);
                self.members.push(miner);
            }
        }
        Ok(())
    }

    /// An error, if a process has ended.
    fn check(&mut self) -> Result<(), Failure> {
        for node in self.node.iter_mut().chain(&mut self.followers) {
            if let Some(status) = node.process().ended() {
                return Err(node.process().why_ended(status));
            }
        }
        self.members.iter_mut().try_for_each(Member::check)
    }

    /// Notes who holds the parameters after the last round.
    fn sample(&self, watched: &mut Watched) {
        for member in &self.members {
            if let Some(status) = member
                .status()
                .filter(|status| status.round == self.options.rounds)
            {
                watched.roots.insert(member.name.clone(), status.model_root);
            }
        }
    }

    async fn report(&self, watched: Watched) -> Result<Report, Failure> {
        let view = watched.client.at_best().await?;
        let on_chain = view.members(watched.common.netuid).await?;
        let rounds = watched.book.reports();
        let mut members = Vec::new();
        for info in on_chain {
            let member = self
                .members
                .iter()
                .find(|member| member.hotkey() == info.hotkey);
            let Some(member) = member else { continue };
            let included = rounds
                .iter()
                .filter(|round| round.included.contains(&info.uid))
                .count();
            let held = watched.roots.get(&member.name).copied();
            let emission = view.member_emission(watched.common.netuid, info.uid);
            let withheld = emission.await?.map_or(0, |emission| emission.withheld);
            members.push(MemberReport {
                uid: info.uid,
                hotkey: info.hotkey,
                role: member.part,
                behaviour: member.behaviour,
                earned: info.earned,
                withheld,
                bond: info.bond,
                rounds_included: included as u64,
                model_root: held.or_else(|| member.status().map(|status| status.model_root)),
            });
        }
        let audits = audits(&view, watched.common.netuid, &rounds).await?;
        let layout = watched.follower.layout();
        Ok(Report {
            rounds,
            members,
            audits,
            issuance: view.issuance().await?.into(),
            model: ModelReport {
                parameters: layout.parameters() as u64,
                layout_hash: layout.hash(),
            },
            data: DataReport {
                bytes: watched.prepared.bytes,
                tokens: watched.prepared.tokens,
                heldout_tokens: watched.prepared.heldout_tokens,
            },
            final_heldout_loss: watched.book.final_loss().unwrap_or(f64::NAN),
            store_bytes_per_contribution: watched.book.bytes_per_contribution(),
            wall_seconds: 0.0,
        })
    }
}

/// So many cheats, and of which kinds.
fn cheats(count: u16) -> String {
    let kinds = Behaviour::CHEATS.map(Behaviour::name);
    let kinds: Vec<&str> = kinds.into_iter().take(usize::from(count)).collect();
    let counted = counted(count, "cheat");
    match kinds.is_empty() {
        true => counted,
        false => format!("{counted} ({})", kinds.join(", ")),
    }
}

/// An error, if there was no new block for too long.
fn ensure_it_moves(silent: Duration, log: &Path) -> Result<(), Failure> {
    match silent < STALL {
        true => Ok(()),
        false => Err(Failure::new(
            format!("there was no new block for {} s", silent.as_secs()),
            format!("see the node's log, {}", log.display()),
        )),
    }
}

/// How the audits of these rounds ended.
async fn audits(
    view: &View,
    netuid: Netuid,
    rounds: &[RoundReport],
) -> Result<Vec<AuditReport>, Failure> {
    let mut found = Vec::new();
    for round in rounds {
        for uid in &round.included {
            let outcome = view.audit_outcome(netuid, round.round, *uid).await?;
            found.extend(outcome.map(|outcome| AuditReport {
                round: round.round,
                uid: *uid,
                outcome,
            }));
        }
    }
    Ok(found)
}

/// Whether the promises were kept: amounts add up, and everybody holds the same parameters.
fn verdict(report: &Report) -> Result<(), Failure> {
    if !adds_up(&report.issuance) {
        return Err(Failure::new(
            "issued is not the sum of its parts",
            "report this, with the JSON",
        ));
    }
    let last = report.rounds.last().map(|round| round.model_root);
    let differs = |member: &&MemberReport| member.role != Part::Cheat && member.model_root != last;
    match report.members.iter().find(differs) {
        None => Ok(()),
        Some(member) => Err(Failure::new(
            format!(
                "member {} does not hold the parameters of the last round",
                member.uid
            ),
            "see its log (--keep)",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::report::tests::sample, *};

    #[test]
    fn the_kinds_of_cheats_are_told() {
        assert_eq!(cheats(0), "0 cheats");
        assert_eq!(cheats(1), "1 cheat (noise)");
        assert_eq!(cheats(5), "5 cheats (noise, lazy, stranger, copier)");
    }

    #[test]
    fn a_chain_that_stands_still_ends_a_devnet() {
        let log = Path::new("logs/node.log");
        assert!(ensure_it_moves(STALL - TICK, log).is_ok());
        let error = ensure_it_moves(STALL, log).unwrap_err().to_string();
        assert!(error.contains("no new block for 300 s"), "{error}");
        assert!(error.contains("logs/node.log"), "{error}");
    }

    #[test]
    fn broken_promises_are_failures() {
        assert!(verdict(&sample()).is_ok());
        let mut report = sample();
        report.issuance.issued += 1;
        assert!(verdict(&report).is_err());
        let mut report = sample();
        report.members[0].model_root = Some(ModelRoot::zero());
        assert!(verdict(&report)
            .unwrap_err()
            .to_string()
            .contains("member 0"));
    }
}
