//! The miner: trains on what the chain assigns to it and contributes the difference.

mod make;
mod round_job;
mod serve;

use std::sync::Arc;

use cairn_chain::MemberInfo;
use cairn_primitives::{BlockNumber, Round, Served, H256};
use cairn_round::{
    miner::{Done, Miner, Task},
    Held,
};

use self::round_job::{system_clock, Clock, Control, Order, Timing};
use super::{
    apply::AtHand,
    chain::Chain,
    driver::{Desk, Ended, Jobs, Role},
    idle,
    look::Looked,
    setup::{connect, work, WorkerOptions},
    RoleError, Status,
};

/// How a miner behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// Trains.
    #[default]
    Honest,
    /// Contributes well-formed random values without training: what a network has to stand. For tests of
    /// networks.
    Cheat,
}

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
        let open = resumed.open.as_ref().map(|intent| intent.round);
        Ok(MinerRole {
            machine: Miner::new(H256(run.hotkey.0), resumed.held, resumed.open)
                .serving(resumed.owed, resumed.shown),
            open,
            behaviour,
            control: Arc::default(),
            timing: Arc::new(Timing::new(clock.clone(), resumed.block)),
        })
    })
    .await
}

struct MinerRole {
    machine: Miner,
    /// The round of the contribution that is not settled yet.
    open: Option<Round>,
    behaviour: Behaviour,
    control: Arc<Control>,
    timing: Arc<Timing>,
}

/// How its own work ended.
enum Outcome {
    Trained(Box<round_job::Trained>),
    Nothing(Round),
    Served(Round, Option<Served>),
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
                slot,
                plan,
                deadline,
            } => {
                self.control.reset();
                let order = Order {
                    run: desk.run.clone(),
                    plan,
                    behaviour: self.behaviour,
                    round,
                    slot,
                    deadline,
                    control: self.control.clone(),
                    timing: self.timing.clone(),
                };
                let desk = desk.clone();
                jobs.spawn(async move {
                    Ok(Ended::Own(match round_job::train(&desk, order).await? {
                        Some(trained) => Outcome::Trained(Box::new(trained)),
                        None => Outcome::Nothing(round),
                    }))
                });
            }
            Task::FinishTraining => self.control.finish(),
            Task::AbandonTraining => self.control.abandon(),
            Task::Serve(demand) => serve::begin(desk, jobs, demand),
        }
    }

    fn ended(&mut self, outcome: Outcome, status: &mut Status) -> Result<Done, RoleError> {
        Ok(match outcome {
            Outcome::Nothing(round) => Done::NothingTrained(round),
            Outcome::Served(round, served) => Done::Served(round, served),
            Outcome::Trained(trained) => {
                status.loss = Some(trained.loss);
                self.open = Some(trained.intent.round);
                Done::Sealed(trained.intent)
            }
        })
    }

    fn looked(&mut self, looked: &Looked, status: &mut Status) {
        if let Some(member) = &looked.member {
            status.uid = Some(member.uid);
        }
    }

    fn block(&mut self, number: BlockNumber) {
        self.timing.block(number);
    }

    fn at_hand(&self, _: Round) -> AtHand {
        // A miner fetches what was included when it needs it.
        AtHand::new()
    }

    fn share(&self, round: Round, member: Option<&MemberInfo>) -> (bool, u16) {
        let committed = self.open == Some(round);
        (committed, member.map_or(0, |member| member.incentive))
    }

    fn holds(&mut self, _: Held) {
        self.open = None;
    }

    fn stop(&self) {
        self.control.abandon();
    }
}
