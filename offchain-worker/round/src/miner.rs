//! The miner's machine.
//!
//! What must survive a crash is small: which round's parameters the miner holds, and the [`Intent`], the one
//! contribution that it has made for that round. The worker writes the intent to disk *before* the first
//! commit is sent, so a miner that comes back either has no intent and may train, or has one and commits
//! exactly that. A commit that got lost, or that a re-organisation dropped, is sent again with the same
//! content as long as the training phase lasts.

use cairn_primitives::{BlockNumber, Commitment, Hotkey, Phase, Round, Secret, Served, Text};
use serde::{Deserialize, Serialize};

use crate::{
    ahead::{Ahead, Sealed},
    audit::{Demand, Serving, Shown},
    course::{Course, Left, Work},
    machine::{Action, Event, Gone, Held, Kind, Lack, Machine, Reason, Transaction},
    plan::Plan,
    validator::Id,
    Settlement, View,
};

/// A contribution that is stored and ready to be committed to, or has been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The round it was made for.
    pub round: Round,
    /// What goes on chain.
    pub commitment: Commitment,
    /// What opens it.
    pub key: Secret,
}

/// A miner's own work.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Train in this round on the data of `slot`; make, store and persist a contribution.
    Train {
        /// The round.
        round: Round,
        /// The miner's slot in it.
        slot: u64,
        /// Which data that is.
        plan: Plan,
        /// The block at which to stop with what is there.
        deadline: BlockNumber,
    },
    /// Stop training after the present inner step and make a contribution of what is there.
    FinishTraining,
    /// Stop training: the round is over.
    AbandonTraining,
    /// Make states of a round again from what it began with, and store them for who audits it.
    Serve(Demand),
    /// Fetch a sealed file, so that it is here when its round is settled.
    FetchAhead(Sealed),
    /// End what is being fetched like that of this round, and of those before it: the rest is fetched as it is needed.
    StopFetching(Round),
}

/// How that ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// A contribution is stored and the intent is on disk.
    Sealed(Intent),
    /// Training of this round ended without a contribution.
    NothingTrained(Round),
    /// States of this round are stored and their root is on disk, or that came to nothing.
    Served(Round, Option<Served>),
    /// A sealed file is here and matches its root, or is not to be had now.
    Fetched {
        /// The round.
        round: Round,
        /// Which.
        id: Id,
        /// Whether it is here.
        is_here: bool,
    },
}

/// Where a miner stands.
#[derive(Clone, Debug)]
pub struct Miner {
    hotkey: Hotkey,
    course: Course<Task>,
    /// The contribution made for the round held. On disk.
    intent: Option<Intent>,
    /// Whether training has been told to stop. Lost in a crash, as is all that follows.
    stopping: bool,
    /// Whether training for the round held has come to nothing and is not begun again.
    skipping: bool,
    /// What is audited of its work.
    serving: Serving,
    /// Whether its own work is to make what is audited again.
    is_serving: bool,
    /// How many blocks there were to train in, when it was too late in a round that did not wait for it.
    trained: Option<BlockNumber>,
    /// Files of the round held that are fetched before it is settled.
    ahead: Ahead,
}

impl Miner {
    /// The miner with this hotkey: new, or back with what was on its disk.
    pub fn new(hotkey: Hotkey, held: Option<Held>, intent: Option<Intent>) -> Miner {
        let round = held.map(|held| held.round);
        Miner {
            hotkey,
            course: Course::new(held),
            intent: intent.filter(|intent| Some(intent.round) == round),
            stopping: false,
            skipping: false,
            serving: Serving::default(),
            is_serving: false,
            trained: None,
            ahead: Ahead::of(round),
        }
    }

    /// The same, with files that can be had at these endpoints.
    pub fn serving_at(mut self, endpoints: Vec<Text>) -> Self {
        self.course.serve_at(endpoints);
        self
    }

    /// The same, with what is on its disk of an audit.
    pub fn serving(self, owed: Option<Demand>, shown: Option<Shown>) -> Miner {
        let serving = Serving::new(owed, shown);
        Miner { serving, ..self }
    }

    /// The parameters that it holds.
    pub fn held(&self) -> Option<Held> {
        self.course.held()
    }

    /// The contribution made for the round held.
    pub fn intent(&self) -> Option<&Intent> {
        self.intent.as_ref()
    }

    /// What it is computing.
    pub fn work(&self) -> &Work {
        self.course.work()
    }

    fn rest(&mut self) {
        self.course.rest();
        self.course.look_again();
        self.stopping = false;
    }

    fn begin(&mut self, held: Held) {
        self.intent = None;
        self.stopping = false;
        self.skipping = false;
        self.stop_fetching();
        self.ahead = Ahead::of(Some(held.round));
    }

    fn done(&mut self, done: Done, now: BlockNumber) {
        match done {
            // It is tried again with the next block.
            Done::Served(_, None) => self.course.rest(),
            // It runs beside what is computed.
            Done::Fetched { .. } => {}
            _ => self.rest(),
        }
        match done {
            Done::Sealed(intent) => {
                let is_due = Some(intent.round) == self.course.round() && self.intent.is_none();
                if is_due {
                    self.intent = Some(intent);
                }
            }
            Done::NothingTrained(round) => {
                self.skipping |= Some(round) == self.course.round();
            }
            Done::Served(round, served) => {
                self.is_serving = false;
                self.serving.made(round, served);
            }
            Done::Fetched { round, id, is_here } => {
                if self.ahead.ended(round, id, is_here, now) {
                    self.course.look_again();
                }
            }
        }
    }

    fn gone(&mut self, gone: Gone) {
        if matches!(self.course.work(), Work::Own(_)) && !self.is_serving {
            self.abandon();
        }
        self.stop_fetching();
        self.course.act(match gone {
            Gone::Stopped => Action::Explain(Lack::Run),
            Gone::Replaced(started_at) => Action::Stop(Reason::Replaced(started_at)),
        });
    }

    fn look(&mut self, view: &View, now: BlockNumber) {
        if view.slot_of(self.hotkey).is_none() {
            self.course.act(Action::Explain(Lack::Part));
        }
        self.serving.look(view, self.hotkey, self.course.round());
        self.note_pace(view, now);
        let settled = view.settled.as_ref().map(|settlement| settlement.round);
        if settled.is_some() && settled == self.course.round() {
            self.stop_fetching();
        }
        match self.course.work() {
            Work::Idle => {
                let (hotkey, intent) = (self.hotkey, self.intent.as_ref());
                let is_included = |settlement: &Settlement| {
                    let own = settlement.own(hotkey);
                    intent.is_some_and(|intent| own == Some(intent.commitment.sealed_root))
                };
                let follows = self.course.follow(view, is_included);
                let until = self.deadline(view);
                if !follows && !self.serving.comes_first(view, self.hotkey, (now, until)) {
                    self.train(view, now);
                }
                if self.course.is_idle() {
                    self.serve(view, now);
                }
            }
            Work::Own(_) if !self.is_serving && !self.stopping => self.stop(view, now),
            _ => {}
        }
        if self.course.work() == &Work::Joining {
            // The round held will not be applied any more.
            self.stop_fetching();
        }
        self.submit(view, now);
        if self.course.may_send(Kind::Audit, now) {
            if let Some(transaction) = self.serving.next(view, self.hotkey, now) {
                self.course.send(transaction);
            }
        }
        self.course.announce(view, self.hotkey, now);
        for sealed in self.ahead.next(view, self.hotkey, now) {
            self.course.act(Action::Do(Task::FetchAhead(sealed)));
        }
    }

    fn stop_fetching(&mut self) {
        if let Some(round) = self.ahead.end() {
            self.course.act(Action::Do(Task::StopFetching(round)));
        }
    }

    fn follow(&mut self, left: Left<Done>, now: BlockNumber) {
        match left {
            Left::Nothing => {}
            Left::Look(view) => self.look(&view, now),
            Left::Gone(gone) => self.gone(gone),
            Left::Begin(held) => self.begin(held),
            Left::Keep(settlement, held) => {
                let audited = self.serving.keep(settlement.round);
                self.course.keep(*settlement, held, audited);
            }
            Left::Done(done) => self.done(done, now),
        }
    }

    /// Makes what is audited of a round that was applied, if anything is.
    fn serve(&mut self, view: &View, now: BlockNumber) {
        if let Some(demand) = self.serving.demand(view, self.hotkey, now) {
            self.is_serving = true;
            self.course.begin(demand.round, Task::Serve(demand));
        }
    }

    fn train(&mut self, view: &View, now: BlockNumber) {
        let Some(held) = self.course.round() else {
            return;
        };
        let deadline = self.deadline(view);
        let is_current =
            view.round.round == held && view.round.timetable().phase(now) == Phase::Train;
        // A commitment on chain without an intent here: another process has the same key, or the disk was
        // lost. Nothing can be added to it.
        let is_free =
            self.intent.is_none() && view.contribution_of(self.hotkey).is_none() && !self.skipping;
        let slot = view.slot_of(self.hotkey);
        let Some(slot) = slot.filter(|_| is_current && is_free && now < deadline) else {
            return;
        };
        let task = Task::Train {
            round: held,
            slot,
            plan: view.plan.clone(),
            deadline,
        };
        self.course.begin(held, task);
    }

    /// Notes how long others take, if this miner is slower and the round does not wait for it.
    fn note_pace(&mut self, view: &View, now: BlockNumber) {
        let times = view.round.timetable();
        if view.is_awaited(self.hotkey) {
            self.trained = None;
        } else if times.phase(now) != Phase::Train && view.contribution_of(self.hotkey).is_none() {
            let trained = times.commit_deadline().saturating_sub(times.start());
            self.trained = Some(trained);
        }
    }

    /// The block at which training stops with what it has: sooner, if it was too late before.
    fn deadline(&self, view: &View) -> BlockNumber {
        let times = view.round.timetable();
        let before = self.trained.map(|trained| times.trained_for(trained));
        before.unwrap_or(times).training_deadline()
    }

    fn stop(&mut self, view: &View, now: BlockNumber) {
        let Some(held) = self.course.round() else {
            return;
        };
        let is_settled = view.settled.as_ref().is_some_and(|it| it.round == held);
        if is_settled || view.round.round > held {
            self.abandon();
        } else if view.round.round == held && now >= self.deadline(view) {
            self.stopping = true;
            self.course.act(Action::Do(Task::FinishTraining));
        }
    }

    fn abandon(&mut self) {
        self.stopping = true;
        self.course.act(Action::Do(Task::AbandonTraining));
    }

    fn submit(&mut self, view: &View, now: BlockNumber) {
        let is_free = self.course.may_send(Kind::Contribution, now);
        let Some(intent) = self.intent.as_ref().filter(|_| is_free) else {
            return;
        };
        if view.round.round != intent.round {
            return;
        }
        let own = view.contribution_of(self.hotkey);
        // A key that is out while others can still commit gives the work away, and a fork may bring that back.
        let is_certain = view.round.certain.next_phase(now) != Phase::Train;
        let transaction = match (view.round.timetable().next_phase(now), own) {
            (Phase::Train, None) => Transaction::Commit(intent.round, intent.commitment.clone()),
            (Phase::Reveal, Some(own))
                if is_certain
                    && own.key.is_none()
                    && own.commitment.sealed_root == intent.commitment.sealed_root =>
            {
                Transaction::Reveal(intent.round, intent.key)
            }
            _ => return,
        };
        self.course.send(transaction);
    }
}

impl Machine for Miner {
    type Done = Done;
    type Work = Task;

    fn handle(&mut self, event: Event<Done>, now: BlockNumber) {
        let left = self.course.take(event, now);
        self.follow(left, now);
    }

    fn poll_action(&mut self) -> Option<Action<Task>> {
        self.course.poll(false)
    }
}
