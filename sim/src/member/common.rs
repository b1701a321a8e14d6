//! What the driver does for both roles: looking, sending, applying, joining, and starting and losing a process.

use std::{convert::Infallible, rc::Rc};

use cairn_protocol::checkpoint::{self, Source};
use cairn_round::{
    machine::{Action, Gone, Question, Reason, Transaction},
    miner::Miner,
    validator::{Claim, Validator},
    Event, Held, Machine as _, Settlement,
};
use cairn_runtime::RuntimeCall;

use super::{Flight, Job, Machine, Process, Told};
use crate::{
    checkers::{Happening, Who},
    clock::Millis,
    engine::{Opened, Theta},
    settings::Role,
    world::{Next, World},
};

/// How long a question to the member's own node takes.
const LOOK: Millis = 25;
/// Between what is on disk and what the machine is told of it: a crash may come in between.
const TELLING: Millis = 5;
/// Blocks in which a transaction is looked for before it counts as lost.
const PATIENCE: u32 = 8;

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
        let member = &mut self.members[who];
        if member.role == Role::Outsider || !member.is_up {
            return;
        }
        let content = member.disk.content();
        let hotkey = member.hotkey.id();
        let held = content.held();
        let intent = content.open.as_ref().map(|open| open.intent.clone());
        member.process = Process {
            held: content.held.clone(),
            memory: content.memory.clone(),
            open: content.open.clone(),
            ..Process::default()
        };
        member.machine = Some(match member.role {
            Role::Validator => {
                let ballots = content.ballots.clone();
                Machine::Validator(Box::new(Validator::new(
                    hotkey,
                    initial_root,
                    held,
                    ballots,
                )))
            }
            _ => Machine::Miner(Box::new(Miner::new(hotkey, held, intent))),
        });
        self.poll(who);
    }

    /// A member's process is gone, with all that was not on disk.
    pub(crate) fn crash(&mut self, who: Who) {
        let member = &mut self.members[who];
        member.machine = None;
        member.incarnation += 1;
        member.process = Process::default();
    }

    /// Tells a member's machine something that no role's own work is part of, and does what it then wants.
    pub(crate) fn tell(&mut self, who: Who, event: Event<Infallible>) {
        let member = &mut self.members[who];
        let now = member.head.0.number;
        match &mut member.machine {
            Some(Machine::Miner(machine)) => machine.handle(lift(event), now),
            Some(Machine::Validator(machine)) => machine.handle(lift(event), now),
            None => {}
        }
        self.poll(who);
    }

    /// Does what a member's machine wants until it wants nothing.
    pub(crate) fn poll(&mut self, who: Who) {
        loop {
            match &mut self.members[who].machine {
                Some(Machine::Miner(machine)) => match machine.poll_action() {
                    Some(Action::Do(task)) => self.mine(who, task),
                    Some(action) => self.act(who, action),
                    None => return,
                },
                Some(Machine::Validator(machine)) => match machine.poll_action() {
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
            Action::Look(question) => self.begin(who, LOOK, Job::Look(question)),
            Action::Send(transaction) => self.send(who, transaction),
            Action::Apply {
                settlement,
                put_back,
            } => {
                let missing = self.missing(who, &settlement);
                let transfer = missing.saturating_mul(costs.contribution);
                let fetching = if missing == 0 {
                    0
                } else {
                    self.network.file(transfer)
                };
                let job = Job::Apply(Box::new(settlement), put_back);
                self.begin(who, costs.apply + fetching, job);
            }
            Action::Keep { held, .. } => self.begin(who, costs.write, Job::Keep(held)),
            Action::Join => {
                let fetching = self.network.file(costs.checkpoint);
                self.begin(who, fetching, Job::Join);
            }
            Action::Stop(reason) => self.stop(who, reason),
            // For people.
            Action::Explain(_) | Action::Do(_) => {}
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
            Job::Look(question) => self.looked(who, question),
            Job::NotSent(kind) => self.tell(who, Event::Sent { kind, block: None }),
            Job::Join => self.joined(who),
            Job::Apply(settlement, put_back) => self.applied(who, &settlement, put_back),
            Job::Keep(held) => self.kept(who, held),
            Job::KeepJoined(held, theta) => {
                self.members[who].disk.write(|content| {
                    content.held = Some((held, theta.clone()));
                    content.open = None;
                });
                self.members[who].process.held = Some((held, theta));
                self.begin(who, TELLING, Job::Tell(Told::Joined(held)));
            }
            Job::Tell(told) => self.told(who, told),
            Job::Step | Job::Store(_) | Job::KeepSealed(_) => self.mined(who, job),
            Job::Fetch(..) | Job::Open(_) | Job::Measure | Job::Weigh(..) | Job::Checkpoint(_) => {
                self.validated(who, job);
            }
        }
    }

    /// Something is on disk and is to be told.
    pub(crate) fn tell_soon(&mut self, who: Who, told: Told) {
        self.begin(who, TELLING, Job::Tell(told));
    }

    fn told(&mut self, who: Who, told: Told) {
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
            Told::Weighed(ballot) => self.weighed(who, *ballot),
        }
    }

    fn looked(&mut self, who: Who, question: Question) {
        if self.network.is_cut(who) {
            return self.tell(who, Event::NotLooked);
        }
        let member = &self.members[who];
        let hotkey = member.hotkey.account().clone();
        let view = self.chain.view(member.head, self.netuid, &hotkey, question);
        let event = match view {
            Some(Some(view)) => Event::Looked(Box::new(view)),
            Some(None) => Event::Gone(Gone::Stopped),
            None => Event::NotLooked,
        };
        self.tell(who, event);
    }

    fn send(&mut self, who: Who, transaction: Transaction) {
        let head = self.members[who].head.0;
        let view = self.chain.current(head, self.netuid).flatten();
        let kind = transaction.kind();
        let sent = self.members[who]
            .behaviour
            .sends(transaction, view.as_deref());
        let Some(transaction) = sent else {
            return self.begin(who, LOOK, Job::NotSent(kind));
        };
        if self.members[who].is_honest() {
            self.see(&Happening::Sent {
                who,
                transaction: &transaction,
            });
        }
        self.members[who].process.outbox.push_back(transaction);
        self.send_next(who);
    }

    /// Sends what waits, one after the other, so that nonces do not collide.
    fn send_next(&mut self, who: Who) {
        let member = &mut self.members[who];
        if member.process.flight.is_some() {
            return;
        }
        let Some(transaction) = member.process.outbox.pop_front() else {
            return;
        };
        let (kind, head, key) = (transaction.kind(), member.head.0, member.hotkey.clone());
        let call = call_of(self.netuid, transaction);
        let signed = self.chain.sign(head, &key, 0, 0, call);
        let Some(extrinsic) = signed.filter(|_| !self.network.is_cut(who)) else {
            return self.begin(who, LOOK, Job::NotSent(kind));
        };
        let id = crate::chain::name(&extrinsic);
        self.members[who].process.flight = Some(Flight {
            kind,
            id,
            sent_at: head.number,
        });
        let delay = self.network.message();
        self.clock.after(delay, Next::Reached(Box::new(extrinsic)));
    }

    /// Looks for what is under way in the chain that the member knows of.
    pub(crate) fn look_for_flight(&mut self, who: Who) {
        let member = &self.members[who];
        let Some(flight) = &member.process.flight else {
            return;
        };
        let head = member.head.0;
        let kind = flight.kind;
        let is_lost = head.number >= flight.sent_at.saturating_add(PATIENCE)
            || self.chain.pool.refusal(flight.id).is_some();
        let block = match self.chain.find(flight.id, head) {
            Some((number, None)) => Some(number),
            Some((_, Some(_))) => None,
            None if is_lost => None,
            None => return,
        };
        self.members[who].process.flight = None;
        self.tell(who, Event::Sent { kind, block });
        self.send_next(who);
    }

    /// How many of a settled round's files a member does not have.
    fn missing(&self, who: Who, settlement: &Settlement) -> u64 {
        let good = &self.members[who].process.good;
        let included = settlement.included.iter();
        let missing = included.filter(|seen| !good.contains_key(&seen.commitment.sealed_root));
        missing.count() as u64
    }

    /// A contribution of a settled round, fetched if need be.
    fn gather(&mut self, who: Who, settlement: &Settlement, held: Held) -> Option<Vec<Gathered>> {
        let mut found = Vec::new();
        for seen in &settlement.included {
            let root = seen.commitment.sealed_root;
            if let Some(known) = self.members[who].process.good.get(&root) {
                found.push((seen.uid, root, known.clone()));
                continue;
            }
            let sealed = self.store.get(root, self.clock.now());
            let sealed = sealed.filter(|_| !self.network.is_cut(who))?;
            let claim = Claim {
                round: settlement.round,
                uid: seen.uid,
                hotkey: seen.hotkey,
                commitment: seen.commitment.clone(),
                key: seen.key?,
                parent_root: held.root,
            };
            let opened = self.workshop.open(self.netuid, &claim, &sealed)?;
            found.push((seen.uid, root, opened));
        }
        Some(found)
    }

    fn applied(&mut self, who: Who, settlement: &Settlement, put_back: bool) {
        let round = settlement.round;
        let Some((held, theta)) = self.members[who].process.held.clone() else {
            return self.tell(who, Event::NotApplied(round));
        };
        let gathered = self.gather(who, settlement, held);
        let next = gathered.and_then(|included| self.workshop.apply(&theta, &included));
        let Some(next) = next else {
            return self.tell(who, Event::NotApplied(round));
        };
        let process = &self.members[who].process;
        let back = match (&process.memory, &process.open) {
            (Some(memory), Some(open)) if put_back => {
                Some(Rc::new(self.workshop.put_back(memory, open)))
            }
            _ => None,
        };
        let root = next.root;
        let pending = Some((round.saturating_add(1), next, back));
        self.members[who].process.pending = pending;
        self.tell(who, Event::Applied { round, root });
    }

    fn kept(&mut self, who: Who, held: Held) {
        let member = &mut self.members[who];
        let pending = member.process.pending.take();
        let Some((_, theta, back)) = pending.filter(|(round, ..)| *round == held.round) else {
            return;
        };
        member.disk.write(|content| {
            content.held = Some((held, theta.clone()));
            content.open = None;
            if let Some(back) = &back {
                content.memory = Some(back.clone());
            }
        });
        let process = &mut member.process;
        process.before = process.held.replace((held, theta));
        process.open = None;
        if let Some(back) = back {
            process.memory = Some(back);
        }
        self.tell_soon(who, Told::Kept(held));
    }

    fn joined(&mut self, who: Who) {
        let finalised = self.members[who].head.1;
        let vouched = self.chain.vouched(finalised, self.netuid);
        let vouched = vouched.filter(|_| !self.network.is_cut(who));
        let Some((oldest, roots)) = vouched else {
            return self.tell(who, Event::NotJoined);
        };
        let listed = self.store.checkpoints();
        let candidates = checkpoint::candidates(listed, roots, oldest);
        let sources = checkpoint::sources(None, &candidates, oldest).into_iter();
        let found = sources.filter_map(|source| self.parameters(source)).next();
        match found {
            Some((held, theta)) => {
                let write = self.workshop.costs().write;
                self.begin(who, write, Job::KeepJoined(held, theta));
            }
            None => self.tell(who, Event::NotJoined),
        }
    }
}

impl World {
    /// Parameters from where they can be had.
    fn parameters(&self, source: Source) -> Option<(Held, Rc<Theta>)> {
        match source {
            Source::Held(_) => None,
            Source::Checkpoint(round, root) => {
                let theta = self.workshop.theta(&self.store.checkpoint(round, root)?);
                (theta.root == root).then_some((Held { round, root }, theta))
            }
            Source::First => {
                let theta = self.workshop.initial();
                let root = theta.root;
                Some((Held { round: 0, root }, theta))
            }
        }
    }
}

/// A contribution to be applied.
type Gathered = (u16, cairn_primitives::H256, Rc<Opened>);

/// The call of a transaction.
fn call_of(netuid: u16, transaction: Transaction) -> RuntimeCall {
    use pallet_emissions::{Call as Emissions, Row};
    use pallet_training::Call as Training;
    match transaction {
        Transaction::Commit(round, commitment) => Training::commit {
            netuid,
            round,
            commitment,
        }
        .into(),
        Transaction::Reveal(round, key) => Training::reveal {
            netuid,
            round,
            key: *key.expose(),
        }
        .into(),
        Transaction::Attest(round, verdicts, model_root) => Training::attest {
            netuid,
            round,
            verdicts,
            model_root,
        }
        .into(),
        Transaction::SetWeights(_, row) => Emissions::set_weights {
            netuid,
            weights: Row::truncate_from(row),
        }
        .into(),
        Transaction::CommitWeights(ballot) => Emissions::commit_weights {
            netuid,
            epoch: ballot.epoch,
            hash: ballot.hash,
        }
        .into(),
        Transaction::RevealWeights(ballot) => Emissions::reveal_weights {
            netuid,
            epoch: ballot.epoch,
            weights: Row::truncate_from(ballot.weights),
            salt: *ballot.salt.expose(),
        }
        .into(),
    }
}
