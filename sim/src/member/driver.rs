//! What the driver does for both roles: starting and losing a process, telling its machine what happened, and
//! beginning what the machine then wants.

use std::{convert::Infallible, rc::Rc};

use cairn_primitives::{BlockNumber, Phase};
use cairn_protocol::{phase::Timetable, verdict::Ends};
use cairn_round::{
    heard::{Heard, Moment},
    machine::{Action, Gone, Question, Reason},
    miner::Miner,
    validator::Validator,
    Event, Machine as _, Settlement, View,
};

use super::{Job, Machine, Process, Told};
use crate::{
    checkers::{sight::Sight, Happening, One, Who},
    clock::Millis,
    meter::Part,
    network::Way,
    settings::Role,
    world::{Next, World, BLOCK_TIME},
};

/// How long a question to the member's own node takes.
pub(super) const LOOK: Millis = 25;
/// Between what is on disk and what the machine is told of it: a crash may come in between.
pub(super) const TELLING: Millis = 5;
/// The longest that a look takes in bad weather.
const SLOWEST_LOOK: Millis = 3 * BLOCK_TIME;

/// What is over when a machine is told this.
fn ended_by(event: &Event<Infallible>) -> Option<One> {
    match event {
        Event::Looked(_) | Event::Gone(_) | Event::NotLooked => Some(One::Look),
        Event::Sent { kind, .. } => Some(One::Transaction(*kind)),
        Event::Applied { .. }
        | Event::NotApplied(_)
        | Event::Kept(_)
        | Event::Joined(_)
        | Event::NotJoined => Some(One::Computation),
        Event::Moved => None,
        Event::Done(never) => match *never {},
    }
}

/// An event that no role's own work is part of.
fn lift<D>(event: Event<Infallible>) -> Event<D> {
    match event {
        Event::Moved => Event::Moved,
        Event::Looked(view) => Event::Looked(view),
        Event::Gone(gone) => Event::Gone(gone),
        Event::NotLooked => Event::NotLooked,
        Event::Sent { kind, block } => Event::Sent { kind, block },
        Event::Applied { round, root } => Event::Applied { round, root },
        Event::NotApplied(round) => Event::NotApplied(round),
        Event::Kept(held) => Event::Kept(held),
        Event::Joined(held) => Event::Joined(held),
        Event::NotJoined => Event::NotJoined,
        Event::Done(never) => match never {},
    }
}

impl World {
    /// Begins a job that ends `after` from now, if the process still lives then.
    pub(crate) fn begin(&mut self, who: Who, after: Millis, job: Job) {
        let incarnation = self.members[who].incarnation;
        let next = Next::Ended {
            who,
            incarnation,
            job,
        };
        self.clock.after(after, next);
    }

    /// Starts a member's process with what is on its disk.
    pub(crate) fn start(&mut self, who: Who) {
        let initial_root = self.workshop.initial().root;
        let every = self.workshop.run().checkpoint_every;
        let block_time = self.settings.block_time;
        let member = &mut self.members[who];
        if member.role == Role::Outsider || !member.is_up {
            return;
        }
        let content = member.disk.content();
        let hotkey = member.hotkey.id();
        let held = content.held();
        let intent = content.open.as_ref().map(|open| open.intent.clone());
        let ahead = content.ahead.as_ref().map(|ahead| ahead.intent.clone());
        let shown = content.shown;
        let owed = content.audited.as_ref().map(|audited| audited.demand);
        member.process = Process {
            held: content.held.clone(),
            norm: content.norm,
            ends: content.ends.clone(),
            memory: content.memory.clone(),
            open: content.open.clone(),
            ahead: content.ahead.clone(),
            heard: Heard::new(block_time),
            ..Process::default()
        };
        member.machine = Some(match member.role {
            Role::Validator => {
                let (pledges, hidden_rows) = (content.pledges.clone(), content.hidden_rows.clone());
                let validator = Validator::new(hotkey, initial_root, held, pledges, hidden_rows)
                    .with_checkpoint_every(every);
                let verdicts = content.verdicts.clone();
                Machine::Validator(Box::new(validator.auditing(verdicts)))
            }
            _ => {
                let miner = Miner::new(hotkey, held, intent)
                    .with_checkpoint_every(every)
                    .ahead_with(ahead);
                Machine::Miner(Box::new(miner.serving(owed, shown)))
            }
        });
        self.poll(who);
    }

    /// A member's process is gone, with all that was not on disk.
    pub(crate) fn crash(&mut self, who: Who) {
        let member = &mut self.members[who];
        member.machine = None;
        member.incarnation += 1;
        member.process = Process::default();
        self.network.hang_up(who);
        self.meter.dies(who, self.clock.now());
    }

    /// Tells a member's machine something that no role's own work is part of, and does what it then wants.
    pub(crate) fn tell(&mut self, who: Who, event: Event<Infallible>) {
        let now = self.members[who].head.0.number;
        self.tell_of(who, event, now);
    }

    /// The same of something that was so at block `now`.
    fn tell_of(&mut self, who: Who, event: Event<Infallible>, now: BlockNumber) {
        if let Some(one) = ended_by(&event) {
            self.see(&Happening::Over { who, one });
        }
        if let Event::Looked(view) = &event {
            let seen = Sight::of(view, self.members[who].hotkey.id(), now);
            self.note_scores(who, &seen);
            self.members[who].process.seen = Rc::new(seen);
        }
        match &mut self.members[who].machine {
            Some(Machine::Miner(machine)) => machine.handle(lift(event), now),
            Some(Machine::Validator(machine)) => machine.handle(lift(event), now),
            None => {}
        }
        self.poll(who);
    }

    /// Does what a member's machine wants until it wants nothing, or its process dies before that.
    pub(crate) fn poll(&mut self, who: Who) {
        loop {
            match &mut self.members[who].machine {
                Some(Machine::Miner(machine)) => match machine.poll_action() {
                    Some(_) if self.breaks(who) => return,
                    Some(Action::Do(task)) => self.mine(who, task),
                    Some(action) => self.act(who, action),
                    None => return,
                },
                Some(Machine::Validator(machine)) => match machine.poll_action() {
                    Some(_) if self.breaks(who) => return,
                    Some(Action::Do(task)) => self.validate(who, task),
                    Some(action) => self.act(who, action),
                    None => return,
                },
                None => return,
            }
        }
    }

    fn act<W>(&mut self, who: Who, action: Action<W>) {
        let costs = self.workshop.costs();
        match action {
            Action::Look(question) => self.look(who, question),
            Action::Send(transaction) => {
                let one = One::Transaction(transaction.kind());
                self.see(&Happening::Begun { who, one });
                self.send(who, transaction);
            }
            Action::Apply {
                settlement,
                is_included,
            } => self.apply(who, settlement, is_included),
            Action::Keep { held, audited, .. } => {
                self.computes(who);
                let time = match self.writes_beside(who) {
                    true => self.until_room(who),
                    false => costs.write,
                };
                self.notes(who, Part::Keep, 0, time);
                self.begin(who, time, Job::Keep(held, audited));
            }
            Action::Join => {
                self.computes(who);
                let fetching = self.file(who, Way::Down, costs.checkpoint, 0);
                self.moves(who, Part::Fetch, 0, fetching);
                self.begin(who, fetching, Job::Join);
            }
            Action::Stop(reason) => self.stop(who, reason),
            // For people.
            Action::Explain(_) | Action::Tell(_) | Action::Do(_) => {}
        }
    }

    /// A machine has something begun that takes its processor.
    pub(super) fn computes(&mut self, who: Who) {
        let one = One::Computation;
        self.see(&Happening::Begun { who, one });
    }

    /// What a machine has computed is told to it.
    pub(super) fn has_computed(&mut self, who: Who) {
        let one = One::Computation;
        self.see(&Happening::Over { who, one });
    }

    fn apply(&mut self, who: Who, settlement: Settlement, is_included: bool) {
        self.computes(who);
        let member = &self.members[who];
        if member.is_honest() {
            let process = &member.process;
            let own = process.open.as_ref().map(|open| &open.intent);
            let happening = Happening::Applies {
                who,
                round: settlement.round,
                held: process.held.as_ref().map(|(held, _)| *held),
                is_included,
                made: own.map(|intent| intent.commitment.sealed_root),
                included: settlement.own(member.hotkey.id()),
            };
            self.see(&happening);
        }
        let costs = self.workshop.costs();
        let missing = self.missing(who, &settlement);
        let transfer = missing.saturating_mul(costs.contribution);
        let fetching = if missing == 0 {
            0
        } else {
            self.file(who, Way::Down, transfer, 0)
        };
        self.moves(who, Part::Fetch, 0, fetching);
        self.notes(who, Part::Apply, fetching, costs.apply);
        let job = Job::Apply(Box::new(settlement), is_included);
        self.begin(who, costs.apply + fetching, job);
    }

    /// Asks the chain: usually it answers in no time; in bad weather what it says is old when it comes.
    fn look(&mut self, who: Who, question: Question) {
        let one = One::Look;
        self.see(&Happening::Begun { who, one });
        let slow = self.weather().slow;
        if self.members[who].is_honest() && self.weather_rng.chance(slow) {
            let (event, now) = self.answer(who, question);
            let delay = self.weather_rng.within(LOOK, SLOWEST_LOOK);
            self.begin(who, delay, Job::Answer(Box::new(event), now));
        } else {
            self.begin(who, LOOK, Job::Look(question));
        }
    }

    fn stop(&mut self, who: Who, reason: Reason) {
        self.see(&Happening::Stopped { who, reason });
        self.crash(who);
        self.members[who].is_stopped = true;
    }

    /// A job of the present incarnation ended.
    pub(crate) fn ended(&mut self, who: Who, job: Job) {
        match job {
            Job::Look(question) => {
                let (event, now) = self.answer(who, question);
                self.tell_of(who, event, now);
            }
            Job::Answer(event, now) => self.tell_of(who, *event, now),
            Job::NotSent(kind) => self.tell(who, Event::Sent { kind, block: None }),
            Job::Join => self.joined(who),
            Job::Apply(settlement, is_included) => self.applied(who, &settlement, is_included),
            Job::Keep(held, audited) => self.kept(who, held, audited),
            Job::KeepJoined(held, theta) => {
                self.write_at_once(who);
                let ends = Ends::from_round(held.round);
                let member = &mut self.members[who];
                let process = &mut member.process;
                // Whether an open contribution was included is not known: its maker begins from nothing.
                let made = [process.open.take(), process.ahead.take()];
                if made.iter().any(Option::is_some) {
                    process.memory = None;
                }
                let memory = process.memory.clone();
                member.disk.write(|content| {
                    content.held = Some((held, theta.clone()));
                    (content.norm, content.ends) = (None, ends.clone());
                    (content.open, content.ahead, content.memory) = (None, None, memory);
                });
                process.held = Some((held, theta));
                (process.norm, process.ends) = (None, ends);
                self.tell_soon(who, Told::Joined(held));
            }
            Job::Tell(told) => self.told(who, told),
            Job::Step | Job::Store(_) | Job::Seal(_) | Job::KeepSealed(_) => self.mined(who, job),
            Job::Write(ticket) => self.written(who, ticket),
            Job::Upload(root) => self.uploaded(who, root),
            Job::Serve(demand) => self.served(who, demand),
            Job::FetchAhead(sealed) => self.fetched_ahead(who, &sealed),
            Job::Audit(audit) => self.audited(who, &audit),
            Job::Fetch(..)
            | Job::Open(_)
            | Job::Pledge(..)
            | Job::Measure
            | Job::Weigh(..)
            | Job::Checkpoint(_) => {
                self.validated(who, job);
            }
        }
    }

    /// Something was written and is to be told once it is on disk, if the process lives until then.
    pub(crate) fn tell_soon(&mut self, who: Who, told: Told) {
        if !self.breaks(who) {
            self.begin(who, TELLING, Job::Tell(told));
        }
    }

    fn told(&mut self, who: Who, told: Told) {
        self.members[who].disk.sync();
        match told {
            Told::Kept(held) => {
                self.see(&Happening::Kept { who, held });
                let process = &mut self.members[who].process;
                process.files.clear();
                self.tell(who, Event::Kept(held));
            }
            Told::Joined(held) => {
                self.see(&Happening::Joined { who, held });
                self.tell(who, Event::Joined(held));
            }
            Told::Sealed(made) => self.sealed(who, made),
            told @ (Told::KeptBeside(_) | Told::SealedBeside(..)) => self.told_written(who, &told),
            Told::Pledged(pledge) => self.pledged(who, *pledge),
            Told::Weighed(hidden_row) => self.weighed(who, *hidden_row),
            Told::Served(round, served) => self.told_served(who, round, served),
            Told::Audited(of, verdict) => self.told_audited(who, of, verdict),
        }
    }

    /// What the chain answers now, and as of which block.
    fn answer(&mut self, who: Who, question: Question) -> (Event<Infallible>, BlockNumber) {
        let unanswered = self.weather().unanswered;
        let member = &self.members[who];
        let (head, is_honest) = (member.head, member.is_honest());
        let hotkey = member.hotkey.account().clone();
        let fails = is_honest && self.weather_rng.chance(unanswered);
        if fails || self.network.is_cut(who) {
            return (Event::NotLooked, head.0.number);
        }
        let view = self.chain.view(head, self.netuid, &hotkey, question);
        let event = match view {
            Some(Some(mut view)) => {
                if is_honest {
                    self.doubt(who, &mut view, head.0.number);
                }
                Event::Looked(Box::new(view))
            }
            Some(None) => Event::Gone(Gone::Stopped),
            None => Event::NotLooked,
        };
        (event, head.0.number)
    }

    /// What a worker with one node makes of what that says: a key is kept while training cannot be over by its own
    /// clock.
    fn doubt(&mut self, who: Who, view: &mut View, now: BlockNumber) {
        let (ran, phases) = (self.clock.now(), self.workshop.run().phases);
        let at = Moment { ran, dated: ran };
        let times = view.round.timetable();
        if times.due() <= times.start() {
            return;
        }
        let member = &mut self.members[who];
        let heard = &mut member.process.heard;
        heard.note((view.round.round, times.start()), now, at);
        let own = view.contribution_of(member.hotkey.id());
        let would_show = times.next_phase(now) == Phase::Reveal
            && view.round.certain.next_phase(now) != Phase::Train
            && own.is_some_and(|own| own.key.is_none());
        if would_show && !heard.can_be_over(times, &phases, at) {
            view.round.certain = Timetable::new(now.saturating_add(1), &phases);
        }
    }
}
