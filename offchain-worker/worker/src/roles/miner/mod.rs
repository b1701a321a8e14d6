//! The miner: trains on what the chain assigns to it and contributes the difference.

mod ahead;
mod cheats;
mod make;
mod outgoing;
mod round_job;
mod serve;

use std::{path::PathBuf, sync::Arc};

use cairn_chain::MemberInfo;
use cairn_engine::Engine;
use cairn_primitives::{BlockNumber, Netuid, Round, RunConfig, SealedRoot, Served};
use cairn_round::{
    miner::{Done, Miner, Task},
    validator::Id,
    Held,
};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use self::{
    ahead::Fetching,
    make::Made,
    outgoing::Outgoing,
    round_job::{system_clock, Clock, Control, Order, Timing},
    serve::Asked,
};
use super::{
    apply::AtHand,
    chain::Chain,
    driver::{Desk, Ended, Jobs, Role},
    idle,
    jobs::{fetching, publishing},
    look::Looked,
    retention::may_be_asked_for,
    setup::{connect, work, WorkerOptions},
    state::{StateDir, Traces},
    RoleError, Status,
};
use crate::metrics::Stage;

/// How a miner behaves. All but the first are cheats, which a network has to stand: for devnets and tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Behaviour {
    /// Trains on what it is assigned.
    #[default]
    Honest,
    /// Trains nothing, sends well-formed random values, and serves nothing when it is audited.
    #[value(alias = "cheat")]
    Noise,
    /// Makes one inner step as long as all of a round's, claims to have made them all, and serves what it claims.
    Lazy,
    /// Makes all inner steps on text that nobody was assigned, and serves their states.
    Stranger,
    /// Trains nothing, sends again what another miner sent in the round before, and serves nothing.
    Copier,
}

impl Behaviour {
    /// The cheats, each once.
    pub const CHEATS: [Behaviour; 4] = [
        Behaviour::Noise,
        Behaviour::Lazy,
        Behaviour::Stranger,
        Behaviour::Copier,
    ];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Behaviour::Honest => "honest",
            Behaviour::Noise => "noise",
            Behaviour::Lazy => "lazy",
            Behaviour::Stranger => "stranger",
            Behaviour::Copier => "copier",
        }
    }

    /// How it makes the contribution of a round.
    async fn maker<C: Chain>(self, desk: &Desk<C>, round: Round) -> Result<Maker, RoleError> {
        Ok(match self {
            Behaviour::Honest => Box::new(make::make),
            Behaviour::Noise => Box::new(cheats::noise),
            Behaviour::Lazy => Box::new(cheats::lazy),
            Behaviour::Stranger => Box::new(cheats::stranger),
            Behaviour::Copier => {
                let found = cheats::found_of_another(desk, round).await?;
                Box::new(move |order, engine| cheats::copier(found, order, engine))
            }
        })
    }

    /// How it makes what it serves.
    fn opener(self) -> Opener {
        match self {
            Behaviour::Honest => serve::open,
            Behaviour::Noise | Behaviour::Copier => cheats::open_nothing,
            Behaviour::Lazy => cheats::open_claimed,
            Behaviour::Stranger => cheats::open_stranger,
        }
    }
}

/// Makes a contribution; `None` if there is none to make.
type Maker = Box<dyn FnOnce(&Order, &mut dyn Engine) -> Result<Option<Made>, RoleError> + Send>;

/// Makes the blob that is served of the inner steps of a contribution; `None` if there is none.
type Opener = fn(&mut dyn Engine, Asked) -> Result<Option<Vec<u8>>, RoleError>;

/// Mines until it is told to stop.
///
/// # Errors
/// What cannot be waited out; see [`RoleError`]. Nothing is lost: starting again goes on from the disk.
pub async fn run(options: WorkerOptions, behaviour: Behaviour) -> Result<(), RoleError> {
    match connect(&options).await? {
        Some(chain) => mine(chain, options, behaviour, system_clock()).await,
        None => Ok(()),
    }
}

/// Mines on any chain, by any clock.
pub(super) async fn mine<C: Chain>(
    chain: C,
    options: WorkerOptions,
    behaviour: Behaviour,
    clock: Clock,
) -> Result<(), RoleError> {
    work(chain, &options, |run, resumed| {
        let budget = match run.config.audits.rate {
            0 => 0,
            _ => options.keep_states,
        };
        let traces = StateDir::traces_in(&resumed.directory);
        let traces = Traces::open(&traces, budget, &run.config);
        let copies = StateDir::outgoing_in(&resumed.directory);
        let made = resumed.open.iter().chain(&resumed.ahead);
        // A crash may have come before it was stored: its machine says when to.
        let outgoing = made.map(|made| Outgoing::of(made, run.netuid, &copies).of_before());
        let outgoing = outgoing.collect();
        Ok(MinerRole {
            machine: Miner::new(run.hotkey.hotkey(), resumed.held, resumed.open)
                .ahead_with(resumed.ahead)
                .storing_again()
                .with_checkpoint_every(run.config.checkpoint_every)
                .serving(resumed.owed, resumed.shown)
                .serving_at(resumed.endpoints),
            outgoing,
            netuid: run.netuid,
            copies,
            traces,
            behaviour,
            control: Arc::default(),
            timing: Arc::new(Timing::new(clock.clone(), resumed.block)),
            fetching: Fetching::default(),
        })
    })
    .await
}

struct MinerRole {
    machine: Miner,
    /// The files of the contributions that are not settled yet, one a round.
    outgoing: Vec<Outgoing>,
    netuid: Netuid,
    /// Where copies of such files are kept.
    copies: PathBuf,
    /// Traced states of its work that may be audited.
    traces: Traces,
    behaviour: Behaviour,
    control: Arc<Control>,
    timing: Arc<Timing>,
    /// Files of others that are fetched before they are needed.
    fetching: Fetching,
}

/// How its own work ended.
enum Outcome {
    Trained(Box<round_job::Trained>),
    /// The contribution with this sealed root is stored, or that came to nothing.
    Stored(SealedRoot, bool),
    Nothing(Round),
    Served(Round, Option<Served>),
    Fetched(Round, Id, bool),
}

impl Role for MinerRole {
    type Machine = Miner;
    type Outcome = Outcome;

    const NAME: &'static str = "miner";
    const PART: idle::Part = idle::Part::Miner;
    const MEASURES: bool = false;

    fn machine(&mut self) -> &mut Miner {
        &mut self.machine
    }

    fn held(&self) -> Option<Held> {
        self.machine.held()
    }

    fn begin<C: Chain>(&mut self, task: Task, desk: &Desk<C>, jobs: &mut Jobs<Outcome>) {
        match task {
            Task::Train {
                round,
                uid,
                slot,
                plan,
                deadline,
                anew,
            } => {
                self.control.reset();
                let order = Order {
                    run: desk.run.clone(),
                    plan,
                    round,
                    uid,
                    slot,
                    deadline,
                    anew,
                    control: self.control.clone(),
                    timing: self.timing.clone(),
                    metrics: desk.reporter.metrics.clone(),
                    traces: self.traces.clone(),
                };
                let (desk, behaviour) = (desk.clone(), self.behaviour);
                let moves =
                    fetching(1, desk.run.max_len).saturating_add(publishing(desk.run.max_len));
                jobs.spawn_moving("training", moves, async move {
                    let _timer = desk.time(Stage::Train);
                    let maker = behaviour.maker(&desk, round).await?;
                    let trained = round_job::train(&desk, order, maker).await?;
                    Ok(Ended::Own(match trained {
                        Some(trained) => Outcome::Trained(Box::new(trained)),
                        None => Outcome::Nothing(round),
                    }))
                });
            }
            Task::TrainUntil(deadline) => self.control.finish_at(deadline),
            Task::Store(intent) => {
                Outgoing::of(&intent, self.netuid, &self.copies).store(desk, jobs)
            }
            Task::FinishTraining => self.control.finish(),
            Task::AbandonTraining => self.control.abandon(),
            Task::Serve(demand) => {
                let way = (self.behaviour.opener(), &self.traces);
                serve::begin(desk, jobs, demand, way);
            }
            Task::FetchAhead(sealed) => self.fetching.begin(desk, jobs, sealed),
            Task::StopFetching(round) => self.fetching.stop(round),
        }
    }

    fn ended(&mut self, outcome: Outcome, status: &mut Status) -> Result<Done, RoleError> {
        Ok(match outcome {
            Outcome::Stored(root, is_stored) => {
                let outgoing = self.outgoing.iter_mut().filter(|_| is_stored);
                outgoing.for_each(|one| one.note_stored(root));
                Done::Stored(root, is_stored)
            }
            Outcome::Nothing(round) => Done::NothingTrained(round),
            Outcome::Served(round, served) => Done::Served(round, served),
            Outcome::Fetched(round, id, is_here) => Done::Fetched { round, id, is_here },
            Outcome::Trained(trained) => {
                status.loss = Some(trained.loss);
                let round = trained.intent.round;
                self.outgoing.retain(|one| one.round() != round);
                let outgoing = Outgoing::of(&trained.intent, self.netuid, &self.copies);
                let (outgoing, done) = match trained.is_stored {
                    true => (outgoing, Done::Sealed(trained.intent)),
                    false => (outgoing.not_stored(), Done::Made(trained.intent)),
                };
                self.outgoing.push(outgoing);
                done
            }
        })
    }

    fn looked(&mut self, looked: &Looked, status: &mut Status) {
        if let Some(member) = &looked.member {
            status.uid = Some(member.uid);
        }
        for outgoing in &self.outgoing {
            outgoing.looked(looked);
        }
    }

    fn block(&mut self, number: BlockNumber) {
        self.timing.block(number);
    }

    fn tend<C: Chain>(&mut self, desk: &Desk<C>, jobs: &mut Jobs<Outcome>) {
        for outgoing in &self.outgoing {
            outgoing.tend(desk, jobs);
        }
        let held = self.machine.held().map(|held| held.round);
        let owed = self.machine.unserved().map(|owed| owed.round);
        let is_needed = |round| may_be_asked_for(round, held, owed);
        self.traces.retain(is_needed);
    }

    fn drain(&mut self, config: &RunConfig) {
        self.machine.drain(config);
    }

    fn at_hand(&self, _: Round) -> AtHand {
        // A miner opens what was included when it needs it.
        AtHand::new()
    }

    fn share(&self, round: Round, member: Option<&MemberInfo>) -> (bool, u16) {
        let mut outgoing = self.outgoing.iter();
        let committed = outgoing.any(|one| one.round() == round && one.may_be_committed());
        (committed, member.map_or(0, |member| member.incentive))
    }

    fn holds(&mut self, held: Held) {
        self.outgoing.retain(|one| one.round() >= held.round);
    }

    fn stop(&self) {
        self.control.abandon();
    }
}
