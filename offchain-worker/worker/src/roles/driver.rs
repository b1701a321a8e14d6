//! The one loop of all roles: asks a role's machine what to do, starts it, and reports what came of it.
//!
//! Nothing is decided here. Jobs (a look at the chain, training, fetching, sending a transaction) run beside the
//! loop, so the loop itself never waits for them.

use std::{collections::VecDeque, path::PathBuf, sync::Arc};

use cairn_chain::{Keypair, MemberInfo, RunInfo};
use cairn_engine::Engine;
use cairn_primitives::{BlockNumber, Round, RunConfig};
use cairn_protocol::checkpoint;
use cairn_round::{
    audit::Demand,
    drain::Owed,
    machine::{Gone, Lack, Question, Reason, Transaction},
    Action, Event, Held, Machine, Settlement,
};
use tokio::{sync::watch, time::Instant};

use super::{
    apply::{self, AtHand},
    catch_up::CatchUp,
    chain::Chain,
    heads::{HeadFollower, Heads},
    idle,
    jobs::{fetching, joining, Patience, SENDING},
    join::{checkpoint_bytes, join},
    keep::{self, Kept},
    ledger::{Ledger, Line},
    look::{look, Guess, Looked},
    progress::{Progress, Reporter},
    retention::Pruned,
    run::Run,
    setup::SharedEngine,
    sources::Sources,
    state::SharedState,
    waiting::{is_gone, why_no_run, Said, SAY_AGAIN},
    RoleError, Status,
};
use crate::{
    metrics::{note::Timer, Failed, Metrics, Stage},
    shutdown::asked,
};

pub(super) use super::jobs::{Ended, Jobs};

/// What every job needs.
#[derive(Clone)]
pub(super) struct Desk<C> {
    pub chain: C,
    pub key: Keypair,
    pub run: Arc<Run>,
    pub state: SharedState,
    pub engine: SharedEngine,
    pub reporter: Reporter,
    /// Where files of others come from.
    pub sources: Arc<Sources>,
    /// Where the chain is.
    pub heads: Heads,
}

impl<C> Desk<C> {
    /// What takes note of how the work goes.
    pub fn metrics(&self) -> &Metrics {
        &self.reporter.metrics
    }

    /// Measures a stage until what is given is dropped.
    #[must_use = "dropped at once it measures nothing"]
    pub fn time(&self, stage: Stage) -> Timer {
        self.metrics().time(stage)
    }
}

/// A role: its machine, and how its own work is done.
pub(super) trait Role: Sized {
    /// Its decisions.
    type Machine: Machine;
    /// What its own work brings.
    type Outcome: Send + 'static;

    /// What it does, for `status.json`.
    const NAME: &'static str;
    /// What it does, for who has no part.
    const PART: idle::Part;
    /// Whether it measures contributions, for which the parameters before a round are needed.
    const MEASURES: bool;

    fn machine(&mut self) -> &mut Self::Machine;
    /// The parameters that its machine holds.
    fn held(&self) -> Option<Held>;
    /// Begins its own work.
    fn begin<C: Chain>(
        &mut self,
        work: <Self::Machine as Machine>::Work,
        desk: &Desk<C>,
        jobs: &mut Jobs<Self::Outcome>,
    );
    /// Takes what its own work brought.
    fn ended(
        &mut self,
        outcome: Self::Outcome,
        status: &mut Status,
    ) -> Result<<Self::Machine as Machine>::Done, RoleError>;
    /// Takes note of a view.
    fn looked(&mut self, looked: &Looked, status: &mut Status);
    /// A block has come.
    fn block(&mut self, number: BlockNumber);
    /// Sees to what it has stored, with each block.
    fn tend<C: Chain>(&mut self, _: &Desk<C>, _: &mut Jobs<Self::Outcome>) {}
    /// From now on it makes nothing more, and its machine ends once nothing of what it made is owed.
    fn drain(&mut self, _: &RunConfig) {}
    /// These are all that a round included.
    fn applied(&mut self, _: Round, _: AtHand) {}
    /// The checked contributions that it has of a round.
    fn at_hand(&self, round: Round) -> AtHand;
    /// Whether it committed to a contribution of a round, or attested in it; and its incentive, or its dividends.
    fn share(&self, round: Round, member: Option<&MemberInfo>) -> (bool, u16);
    /// Other parameters are in force.
    fn holds(&mut self, held: Held);
    /// The worker ends.
    fn stop(&self);
}

/// Drives a role.
pub(super) struct Driver<C, R: Role> {
    pub desk: Desk<C>,
    pub role: R,
    pub ledger: Ledger,
    pub status: Status,
    pub directory: PathBuf,
    jobs: Jobs<R::Outcome>,
    /// What the chain said of the run at the last look.
    info: RunInfo,
    /// This worker as a member when the round held had been settled.
    member: Option<MemberInfo>,
    /// Rounds that were kept, until they are on the disk.
    unwritten: VecDeque<Kept>,
    /// Whether the round that is being applied includes its own contribution.
    is_included: bool,
    /// Up to which rounds the own store has nothing any more.
    pruned: Arc<Pruned>,
    /// What is brought of rounds that were settled since the one held.
    catch_up: CatchUp,
    /// Whether there was nothing to do at the last look.
    lacks: bool,
    /// Whether it was told to drain.
    is_draining: bool,
    /// Whether it owes nothing any more since then.
    is_drained: bool,
    idle: Said,
    waiting: Said,
    /// Why the settled round cannot be applied.
    unapplied: Said,
}

impl<C: Chain, R: Role> Driver<C, R> {
    /// With what is at hand before the first look.
    pub fn new(
        desk: Desk<C>,
        role: R,
        info: RunInfo,
        ledger: Ledger,
        directory: PathBuf,
    ) -> Driver<C, R> {
        let status = Status {
            role: R::NAME.into(),
            uid: None,
            hotkey: desk.run.hotkey,
            netuid: desk.run.netuid,
            block: desk.heads.best.number,
            round: 0,
            model_root: desk.run.config.initial_root,
            loss: None,
            rounds_committed: ledger.committed,
            rounds_included: ledger.included,
            idle: None,
            drains_until: None,
        };
        Driver {
            desk,
            role,
            ledger,
            status,
            directory,
            jobs: Jobs::default(),
            info,
            member: None,
            unwritten: VecDeque::new(),
            is_included: false,
            pruned: Arc::default(),
            catch_up: CatchUp::default(),
            lacks: false,
            is_draining: false,
            is_drained: false,
            idle: Said::default(),
            waiting: Said::default(),
            unapplied: Said::default(),
        }
    }

    /// Works until something cannot be waited out, or until it was told to drain and owes nothing any more.
    pub async fn work(
        &mut self,
        follower: &mut HeadFollower,
        mut drain: watch::Receiver<bool>,
    ) -> Result<(), RoleError> {
        self.show_held();
        self.role.tend(&self.desk, &mut self.jobs);
        let patience = Patience::of(&self.desk.run.config, follower.limit());
        if *drain.borrow() {
            self.drain();
        }
        loop {
            self.act()?;
            if self.is_drained {
                return Ok(());
            }
            tokio::select! {
                () = asked(&mut drain), if !self.is_draining => self.drain(),
                Some(ended) = self.jobs.next() => self.ended(ended?)?,
                heads = follower.next() => {
                    self.desk.heads = heads?;
                    if follower.has_risen() {
                        self.jobs.block();
                        self.jobs.check(patience, Instant::now())?;
                        follower.is_alive();
                    }
                    self.desk.sources.check()?;
                    self.role.block(self.desk.heads.best.number);
                    self.role.tend(&self.desk, &mut self.jobs);
                    self.tell(Event::Moved);
                }
            }
        }
    }

    fn tell(&mut self, event: Event<<R::Machine as Machine>::Done>) {
        self.role
            .machine()
            .handle(event, self.desk.heads.best.number);
    }

    fn drain(&mut self) {
        self.is_draining = true;
        self.role.drain(&self.desk.run.config);
    }

    fn act(&mut self) -> Result<(), RoleError> {
        while let Some(action) = self.role.machine().poll_action() {
            match action {
                Action::Look(question) => self.look(question),
                Action::Send(transaction) => self.send(transaction),
                Action::Apply {
                    settlement,
                    is_included,
                } => self.apply(settlement, is_included),
                Action::Keep {
                    settlement,
                    held,
                    audited,
                } => self.keep(&settlement, held, audited),
                Action::Join => self.join(),
                Action::Explain(lack) => self.explain(lack),
                Action::Tell(owed) => self.say_owed(owed),
                Action::Stop(reason) => match self.error(reason) {
                    Some(error) => return Err(error),
                    None => self.is_drained = true,
                },
                Action::Do(work) => self.role.begin(work, &self.desk, &mut self.jobs),
            }
        }
        Ok(())
    }

    fn error(&self, reason: Reason) -> Option<RoleError> {
        Some(match reason {
            Reason::Diverged { round, here, chain } => RoleError::Diverged { round, here, chain },
            Reason::Replaced(found) => RoleError::RunReplaced {
                netuid: self.desk.run.netuid,
                expected: self.desk.run.started_at,
                found,
            },
            Reason::Drained => return None,
        })
    }

    fn look(&mut self, question: Question) {
        let desk = self.desk.clone();
        let asked = (question, Guess::of(&self.info, desk.run.hotkey));
        self.jobs.spawn("a look at the chain", async move {
            let _timer = desk.time(Stage::Look);
            Ok(
                match look(&desk.chain, &desk.run, desk.heads, asked).await {
                    Ok(Some(looked)) => Ended::Looked(Box::new(looked)),
                    Ok(None) => Ended::Gone(Gone::Stopped),
                    Err(RoleError::RunReplaced { found, .. }) => Ended::Gone(Gone::Replaced(found)),
                    Err(error) => {
                        wait_out(error)?;
                        Ended::NotLooked
                    }
                },
            )
        });
    }

    fn send(&mut self, transaction: Transaction) {
        let (desk, kind) = (self.desk.clone(), transaction.kind());
        let said = Progress::of(&transaction);
        let what = "sending a transaction";
        self.jobs.spawn_moving(what, SENDING, async move {
            let _timer = desk.time(Stage::Send);
            let netuid = desk.run.netuid;
            let sent = desk.chain.submit(netuid, transaction, &desk.key).await;
            match &sent {
                Ok(_) => desk.reporter.say(&said),
                // The chain's next view tells whether it is there.
                Err(error) => tracing::warn!("{error}"),
            }
            Ok(Ended::Sent(kind, sent.ok()))
        });
    }

    fn apply(&mut self, settlement: Settlement, is_included: bool) {
        let (desk, round) = (self.desk.clone(), settlement.round);
        let at_hand = self.role.at_hand(round);
        self.catch_up.applies(round);
        self.is_included = is_included;
        let files = settlement.included.len() as u64;
        let moves = fetching(files, desk.run.max_len);
        self.jobs.spawn_moving("the outer step", moves, async move {
            let _timer = desk.time(Stage::Apply);
            match apply::apply(&desk, &settlement, &at_hand, is_included).await {
                Ok((root, files)) => Ok(Ended::Applied(round, root, files)),
                Err(error) if error.is_transient() => {
                    Ok(Ended::NotApplied(round, error.to_string()))
                }
                Err(error) => Err(error),
            }
        });
    }

    fn keep(&mut self, settlement: &Settlement, held: Held, audited: Option<Demand>) {
        let (member, hotkey) = (self.member.as_ref(), self.desk.run.hotkey.hotkey());
        let (committed, incentive) = self.role.share(settlement.round, member);
        let line = Line {
            round: settlement.round,
            contributions: u16::try_from(settlement.included.len()).unwrap_or(u16::MAX),
            committed,
            included: settlement.own(hotkey).is_some(),
            incentive,
            earned: member.map_or(0, |member| member.earned),
            model_root: held.root,
        };
        let kept = Kept {
            held,
            line,
            included: settlement.uids(),
            is_included: self.is_included,
            audited,
            keeps_base: R::MEASURES,
            // Where rounds overlap, the next training does not wait for the disk.
            is_beside: !R::MEASURES && self.desk.run.config.overlaps(),
        };
        let desk = self.desk.clone();
        let keep = async move { keep::keep(desk, kept).await.map(Box::new).map(Ended::Kept) };
        self.jobs.spawn("putting parameters in force", keep);
    }

    fn join(&mut self) {
        let (desk, info) = (self.desk.clone(), self.info.clone());
        let held = self.role.held();
        if held.is_some() {
            tracing::info!("cannot catch up round by round: fetching newer parameters");
        }
        let goes_on =
            held.is_some_and(|held| !checkpoint::is_too_far_behind(held.round, info.oldest_round));
        let moves = joining(checkpoint_bytes(&desk.run));
        self.jobs
            .spawn_moving("getting parameters", moves, async move {
                let _timer = desk.time(Stage::Join);
                match join(&desk, &info, held).await {
                    Ok(held) => Ok(Ended::Joined(held)),
                    Err(RoleError::NoCheckpoint { .. }) if goes_on => {
                        tracing::warn!("nobody has newer parameters yet");
                        Ok(Ended::NotJoined)
                    }
                    Err(error) => {
                        wait_out(error)?;
                        Ok(Ended::NotJoined)
                    }
                }
            });
    }

    fn explain(&mut self, lack: Lack) {
        self.lacks = true;
        let (desk, info) = (self.desk.clone(), self.info.clone());
        let is_draining = self.is_draining;
        if lack == Lack::Run {
            self.role.stop();
        }
        self.jobs
            .spawn("asking why there is nothing to do", async move {
                let (chain, run) = (&desk.chain, &desk.run);
                let (heads, best) = (desk.heads, desk.heads.best);
                if is_draining && lack == Lack::Run {
                    let of_run = (run.netuid, run.started_at);
                    if is_gone(chain, heads.finalized, of_run).await? {
                        return Ok(Ended::Drained);
                    }
                }
                let why = match lack {
                    Lack::Part => {
                        idle::ask(chain, best.hash, best.number, run, (&info, R::PART)).await
                    }
                    Lack::Run => why_no_run(chain, heads, run.netuid, true).await,
                };
                Ok(match why {
                    Ok(reason) => Ended::Explained(lack, reason),
                    Err(error) => {
                        wait_out(error)?;
                        Ended::Nothing
                    }
                })
            });
    }

    /// Says what a worker that drains owes, and how long that takes.
    fn say_owed(&mut self, owed: Owed) {
        let desk = self.desk.clone();
        self.jobs.spawn_beside(async move {
            let best = desk.heads.best;
            let block_time = desk.chain.block_time(best.hash).await.ok();
            let said = Progress::draining(owed, best.number, block_time);
            desk.reporter.say(&said);
            Ok(Ended::Told(owed.until))
        });
    }

    /// Takes what a job brought, and tells the machine.
    fn ended(&mut self, ended: Ended<R::Outcome>) -> Result<(), RoleError> {
        match ended {
            Ended::Looked(looked) => return self.looked(*looked),
            Ended::Gone(gone) => self.tell(Event::Gone(gone)),
            Ended::NotLooked => {
                self.desk.metrics().failed(Failed::Look);
                self.tell(Event::NotLooked);
            }
            Ended::Explained(lack, reason) => self.explained(lack, reason),
            Ended::Told(until) => self.status.drains_until = Some(until),
            Ended::Drained => self.is_drained = true,
            Ended::Nothing => {}
            Ended::Sent(kind, block) => {
                if block.is_none() {
                    self.desk.metrics().failed(Failed::Send);
                }
                self.tell(Event::Sent { kind, block });
            }
            Ended::Applied(round, root, files) => {
                self.unapplied.clear();
                self.role.applied(round, files);
                self.tell(Event::Applied { round, root });
            }
            Ended::NotApplied(round, why) => {
                let why = format!("round {round} · cannot be applied yet: {why}");
                if self.unapplied.is_due(&why, self.desk.heads.best.number) {
                    tracing::warn!("{why} (said again every {SAY_AGAIN} blocks)");
                }
                self.desk.metrics().failed(Failed::Apply);
                self.tell(Event::NotApplied(round));
            }
            Ended::Kept(kept) => self.kept(*kept)?,
            Ended::Written(round) => self.written(round)?,
            Ended::Joined(held) => {
                self.role.holds(held);
                self.forget_ahead(held.round);
                self.tell(Event::Joined(held));
                self.show_held();
                self.say_ready(held, false);
            }
            Ended::NotJoined => {
                self.desk.metrics().failed(Failed::Join);
                self.tell(Event::NotJoined);
            }
            Ended::CaughtUp => self.catch_up.ended(),
            Ended::Own(outcome) => {
                let done = self.role.ended(outcome, &mut self.status)?;
                self.tell(Event::Done(done));
            }
        }
        Ok(())
    }

    fn looked(&mut self, looked: Looked) -> Result<(), RoleError> {
        self.waiting.clear();
        self.role.looked(&looked, &mut self.status);
        let Looked {
            view,
            info,
            member,
            block,
        } = looked;
        self.info = info;
        if view.settled.is_some() {
            self.member = member;
        }
        self.lacks = false;
        // What it says is of that block, whatever came since.
        let event = Event::Looked(Box::new(view));
        self.role.machine().handle(event, block);
        self.act()?;
        let (held, current) = (self.role.held(), self.info.round.round);
        self.catch_up
            .go_on(&self.desk, (held, current), &mut self.jobs);
        if !self.lacks {
            self.idle.clear();
            self.status.idle = None;
        }
        self.status.block = block;
        self.show_held();
        self.desk.metrics().looked(&self.status, &self.info);
        self.desk.sources.show(self.desk.metrics());
        if self.role.held().is_none() {
            return Ok(());
        }
        self.status.write(&self.directory)
    }

    fn explained(&mut self, lack: Lack, reason: String) {
        let now = self.desk.heads.best.number;
        match lack {
            Lack::Part => {
                let round = self.info.round.round;
                if self.idle.is_due(&format!("{round} {reason}"), now) {
                    let reason = reason.clone();
                    self.desk.reporter.say(&Progress::Idle { round, reason });
                }
                self.status.idle = Some(reason);
            }
            Lack::Run => {
                if self.waiting.is_due(&reason, now) {
                    let said = Progress::Waiting { block: now, reason };
                    self.desk.reporter.say(&said);
                }
            }
        }
    }

    fn kept(&mut self, kept: Kept) -> Result<(), RoleError> {
        let held = kept.held;
        let is_beside = kept.is_beside;
        self.unwritten.push_back(kept);
        match is_beside {
            true => self.await_written(held.round),
            false => self.written(held.round)?,
        }
        let is_due = checkpoint::is_due(held.round, self.desk.run.config.checkpoint_every);
        if is_due {
            self.prune();
        }
        // A run before this one may have audited.
        if is_due || self.desk.run.config.audits.rate > 0 {
            self.prune_audits();
        }
        self.role.holds(held);
        self.forget_ahead(held.round);
        self.tell(Event::Kept(held));
        self.show_held();
        Ok(())
    }

    /// Says when what was kept up to this round is on the disk.
    fn await_written(&mut self, round: Round) {
        let state = self.desk.state.clone();
        self.jobs.spawn("writing parameters", async move {
            tokio::task::spawn_blocking(move || state.written()).await??;
            Ok(Ended::Written(round))
        });
    }

    /// Says what became of the rounds up to this one, which are on the disk.
    fn written(&mut self, round: Round) -> Result<(), RoleError> {
        while let Some(kept) = self.unwritten.pop_front() {
            if kept.held.round > round {
                self.unwritten.push_front(kept);
                break;
            }
            self.ledger.append(&kept.line)?;
            self.desk.metrics().settled(&kept.line);
            self.status.rounds_committed = self.ledger.committed;
            self.status.rounds_included = self.ledger.included;
            self.desk.reporter.say(&Progress::Settled {
                round: kept.line.round,
                included: kept.included,
                model_root: kept.held.root,
                block: self.desk.heads.finalized.number,
            });
        }
        Ok(())
    }

    /// Removes what was fetched ahead of rounds that are over, and what came in part long before them.
    fn forget_ahead(&mut self, round: Round) {
        let sources = self.desk.sources.clone();
        self.jobs.spawn_beside(async move {
            sources.forget_ahead(round).await;
            sources.forget_before(round).await;
            Ok(Ended::Nothing)
        });
    }

    /// Removes from the own store what nobody can ask for any more.
    fn prune(&mut self) {
        let (desk, pruned) = (self.desk.clone(), self.pruned.clone());
        let oldest = self.info.oldest_round;
        self.jobs.spawn_beside(async move {
            let run = &desk.run;
            match pruned.prune(&run.store, run.netuid, oldest).await {
                Ok(0) => {}
                Ok(removed) => tracing::debug!("{removed} files of old rounds are removed"),
                Err(error) => tracing::warn!("old files stay: {error}"),
            }
            Ok(Ended::Nothing)
        });
    }

    /// Removes from the own store what was served for audits that are over.
    fn prune_audits(&mut self) {
        let (desk, pruned) = (self.desk.clone(), self.pruned.clone());
        let rounds = (self.info.oldest_round, self.info.round.round);
        self.jobs.spawn_beside(async move {
            let run = &desk.run;
            match pruned.prune_audits(&run.store, run.netuid, rounds).await {
                Ok(0) => {}
                Ok(removed) => tracing::debug!("{removed} files of old audits are removed"),
                Err(error) => tracing::warn!("files of old audits stay: {error}"),
            }
            Ok(Ended::Nothing)
        });
    }

    /// Says which parameters the worker goes on from.
    pub fn say_ready(&self, held: Held, resumed: bool) {
        self.desk.reporter.say(&Progress::Ready {
            round: held.round,
            model_root: held.root,
            resumed,
        });
    }

    fn show_held(&mut self) {
        if let Some(held) = self.role.held() {
            self.status.round = held.round;
            self.status.model_root = held.root;
        }
    }
}

/// Passes over what may be gone in a moment.
pub(super) fn wait_out(error: RoleError) -> Result<(), RoleError> {
    if error.is_transient() {
        tracing::warn!("{error}");
        return Ok(());
    }
    Err(error)
}

/// Locks the engine and lets `work` have it, on a thread that may take long.
pub(super) async fn with_engine<C, T: Send + 'static>(
    desk: &Desk<C>,
    work: impl FnOnce(&mut dyn Engine) -> Result<T, RoleError> + Send + 'static,
) -> Result<T, RoleError> {
    let engine = desk.engine.clone();
    tokio::task::spawn_blocking(move || work(super::setup::locked(&engine).as_mut())).await?
}
