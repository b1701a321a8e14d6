//! A miner's own work: inner steps, a sealed contribution, the intent on disk.

use std::rc::Rc;

use cairn_primitives::{Round, SealedRoot};
use cairn_protocol::trace::is_traced;
use cairn_round::{
    ahead::Sealed,
    machine::{Machine as _, Transaction},
    miner::{Done, Task},
    Event, Held,
};

use super::{driver::TELLING, writing::Change, Job, Machine, Made, Told, Training};
use crate::{
    behaviour::Lesson,
    checkers::{Happening, Who},
    disk::{Kept, Open},
    meter::Part,
    network::Way,
    store::Fault,
    workshop::{Label, Memory, Theta, Trained},
    world::World,
};

impl World {
    /// Begins what a miner's machine wants.
    pub(crate) fn mine(&mut self, who: Who, task: Task) {
        match task {
            Task::Train {
                round,
                uid,
                slot,
                plan,
                deadline,
                anew,
            } => {
                if anew {
                    self.forget_made(who);
                }
                let inner = u32::from(self.workshop.run().inner.steps);
                let most = self.members[who].behaviour.steps(round, inner);
                self.computes(who);
                if self.members[who].process.held.is_none() {
                    return self.done_mining(who, Done::NothingTrained(round));
                }
                let windows = self.kept_before(who, round, slot);
                let training = Training {
                    round,
                    uid,
                    slot,
                    plan,
                    deadline,
                    most,
                    windows,
                    is_last: false,
                    is_making: false,
                    is_abandoned: false,
                };
                self.members[who].process.training = Some(training);
                self.next_step(who);
            }
            Task::Serve(demand) => {
                self.computes(who);
                self.serve(who, demand);
            }
            Task::TrainUntil(deadline) => {
                if let Some(training) = &mut self.members[who].process.training {
                    training.deadline = deadline;
                }
            }
            Task::Store(intent) => self.upload(who, intent.commitment.sealed_root),
            Task::FinishTraining => {
                if let Some(training) = &mut self.members[who].process.training {
                    training.is_last = true;
                }
            }
            Task::AbandonTraining => self.abandon(who),
            Task::FetchAhead(sealed) => {
                let fetching = self.fetch_sealed(who, sealed.id.1, Part::Ahead);
                self.begin(who, fetching, Job::FetchAhead(Box::new(sealed)));
            }
            // It takes its line until it ends, and what is needed then comes after it.
            Task::StopFetching(_) => {}
        }
    }

    /// The windows of the steps of a round that a process before this one made and kept.
    fn kept_before(&mut self, who: Who, round: Round, slot: u64) -> Vec<Vec<u64>> {
        let memory = self.memory_of(who);
        let member = &self.members[who];
        let held = member.process.held.as_ref().map(|(held, _)| held.root);
        let is_it = |kept: &&Kept| {
            (kept.round, kept.slot, Some(kept.parent)) == (round, slot, held)
                && kept.memory == memory
        };
        let kept = member.disk.content().kept.as_ref().filter(is_it);
        kept.map(|kept| kept.windows.clone()).unwrap_or_default()
    }

    /// Keeps the newest traced state but the one just reached, which is still being written; where work is audited, as
    /// `cairn mine` does.
    fn keep_steps(&mut self, who: Who) {
        let run = self.workshop.run();
        let (every, audits) = (run.inner.trace_every, run.audits.rate);
        let memory = self.memory_of(who);
        let member = &mut self.members[who];
        let (Some(training), Some((held, _))) = (&member.process.training, &member.process.held)
        else {
            return;
        };
        let written = training.windows.len().saturating_sub(1) as u32;
        let is_kept = written > 0 && is_traced(written, training.most, every);
        if audits == 0 || !is_kept || !member.is_honest() {
            return;
        }
        let windows = training.windows.iter().take(written as usize);
        member.disk.keep(Kept {
            round: training.round,
            slot: training.slot,
            parent: held.root,
            memory,
            windows: windows.cloned().collect(),
        });
    }

    /// Training ends without a contribution. Where rounds overlap it may be begun anew at once, so its step ends first.
    fn abandon(&mut self, who: Who) {
        let overlaps = self.workshop.run().overlaps();
        let training = self.members[who].process.training.as_mut();
        if let Some(training) = training.filter(|it| overlaps && !it.is_making) {
            training.is_abandoned = true;
            return;
        }
        if let Some(training) = self.members[who].process.training.take() {
            self.done_mining(who, Done::NothingTrained(training.round));
        }
    }

    /// What a miner goes on from: where rounds overlap, from what its newest contribution left.
    fn memory_of(&mut self, who: Who) -> Rc<Memory> {
        let process = &mut self.members[who].process;
        if let Some(open) = &process.open {
            return open.left.clone();
        }
        process.memory.get_or_insert_default().clone()
    }

    /// What was not settled is void.
    fn forget_made(&mut self, who: Who) {
        self.write_at_once(who);
        let member = &mut self.members[who];
        (member.process.open, member.process.ahead) = (None, None);
        member.disk.write(|content| {
            (content.open, content.ahead) = (None, None);
        });
    }

    /// Sends the copy of a contribution to the store, beside what is computed.
    fn upload(&mut self, who: Who, root: SealedRoot) {
        let costs = self.workshop.costs();
        let transfer = self.file(who, Way::Up, costs.contribution, 0);
        self.moves(who, Part::Upload, 0, transfer);
        self.begin(who, transfer, Job::Upload(root));
    }

    /// It is there, unless the member was cut off.
    pub(super) fn uploaded(&mut self, who: Who, root: SealedRoot) {
        let member = &self.members[who];
        let is_it = |open: &&Open| open.intent.commitment.sealed_root == root;
        let mut made = member.process.open.iter().chain(&member.process.ahead);
        let open = made.find(is_it);
        let commit = open.map(|open| {
            let intent = &open.intent;
            Transaction::Commit(intent.round, intent.commitment.clone())
        });
        // It may be committed to then: the intent is on the disk first, with what is carried on.
        if commit.is_some_and(|commit| !member.disk.has(&commit)) {
            let wait = self.until_written(who).saturating_add(TELLING);
            return self.begin(who, wait, Job::Upload(root));
        }
        let copy = open.map(|open| open.copy.clone());
        let is_cut = self.network.is_cut(who);
        let is_stored = copy.is_some() && !is_cut;
        if let Some(copy) = copy.filter(|_| is_stored && member.behaviour.uploads()) {
            self.store.put(root.0, copy);
            self.perhaps_spoil(who, root);
        }
        self.tell_miner(who, Done::Stored(root, is_stored));
    }

    pub(super) fn done_mining(&mut self, who: Who, done: Done) {
        self.has_computed(who);
        self.tell_miner(who, done);
    }

    /// A file that was fetched ahead is here, or is not to be had.
    pub(super) fn fetched_ahead(&mut self, who: Who, sealed: &Sealed) {
        let (round, id) = (sealed.round, sealed.id);
        let found = self.store.get(id.1 .0, self.clock.now());
        let found = found.filter(|_| !self.network.is_cut(who));
        let is_here = found.is_some();
        let process = &mut self.members[who].process;
        let held = process.held.as_ref().map(|(held, _)| held.round);
        // Nobody asks a miner for it, so it is no copy that others could have.
        if let Some(bytes) = found.filter(|_| held == Some(round)) {
            process.files.insert(id, bytes);
        }
        self.tell_miner(who, Done::Fetched { round, id, is_here });
    }

    fn tell_miner(&mut self, who: Who, done: Done) {
        let member = &mut self.members[who];
        if let Some(Machine::Miner(machine)) = &mut member.machine {
            machine.handle(Event::Done(done), member.head.0.number);
        }
        self.poll(who);
    }

    /// Another inner step, if there is time for one, or what is there becomes a contribution.
    fn next_step(&mut self, who: Who) {
        let now = self.clock.now();
        let process = &mut self.members[who].process;
        let Some(training) = &process.training else {
            return;
        };
        let (round, done) = (training.round, training.windows.len() as u32);
        let goes_on = done < training.most
            && !training.is_last
            && process.pace.has_time(training.deadline, now);
        if goes_on {
            let step = self.workshop.costs().step;
            self.meter.steps(round);
            self.notes(who, Part::Train, 0, step);
            return self.begin(who, step, Job::Step);
        }
        if done == 0 {
            process.training = None;
            return self.done_mining(who, Done::NothingTrained(round));
        }
        self.make(who);
    }

    /// A job of a miner ended.
    pub(crate) fn mined(&mut self, who: Who, job: Job) {
        match job {
            Job::Step => self.stepped(who),
            Job::Store(made) => self.stored(who, made),
            Job::Seal(made) => self.sealed_beside(who, made),
            Job::KeepSealed(made) => {
                // Abandoned meanwhile: what is on disk belongs to a round that is over.
                let round = made.open.intent.round;
                if !self.is_making(who, round) {
                    return;
                }
                self.put_sealed(who, &made);
                self.tell_soon(who, Told::Sealed(made));
            }
            _ => {}
        }
    }

    /// A contribution is written while its maker goes on. What is written takes no memory of its own, so it is on the
    /// disk before what the next one leaves takes its place.
    fn sealed_beside(&mut self, who: Who, made: Made) {
        if !self.is_making(who, made.open.intent.round) {
            return;
        }
        let wait = self.until_written(who);
        if wait > 0 {
            self.moves(who, Part::Carry, 0, wait);
            return self.begin(who, wait, Job::Seal(made));
        }
        let carry = self.workshop.costs().carry;
        let change = Change::Sealed(Box::new(made.clone()));
        self.write_beside(who, carry, change);
        self.sealed(who, made);
    }

    /// Whether the contribution to this round is being made: it was not abandoned meanwhile, nor begun anew.
    fn is_making(&self, who: Who, round: Round) -> bool {
        let training = self.members[who].process.training.as_ref();
        training.is_some_and(|training| training.is_making && training.round == round)
    }

    fn stepped(&mut self, who: Who) {
        let Some(mut training) = self.members[who].process.training.take() else {
            return;
        };
        if training.is_abandoned {
            return self.done_mining(who, Done::NothingTrained(training.round));
        }
        let windows = self.with_lesson(who, &training, |behaviour, lesson, _| {
            behaviour.windows(lesson, training.windows.len() as u32)
        });
        training.windows.push(windows);
        let step = self.workshop.costs().step;
        let process = &mut self.members[who].process;
        process.pace.observe_step(step);
        process.training = Some(training);
        self.keep_steps(who);
        self.next_step(who);
    }

    /// Asks a member's behaviour about the round that it trains in.
    fn with_lesson<R>(
        &mut self,
        who: Who,
        training: &Training,
        ask: impl FnOnce(&mut dyn crate::behaviour::Behaviour, &Lesson, &mut crate::rng::Rng) -> R,
    ) -> R
    where
        R: Default,
    {
        let run = self.workshop.run();
        let member = &mut self.members[who];
        let Some((_, theta)) = &member.process.held else {
            return R::default();
        };
        let before = member.process.before.as_ref();
        let lesson = Lesson {
            round: training.round,
            slot: training.slot,
            plan: &training.plan,
            steps: u32::from(run.inner.steps),
            sequences: u64::from(run.inner.sequences),
            windows: run.data.windows,
            theta,
            before: before.map(|(_, theta)| theta.as_ref()),
        };
        let mut rng = self
            .rng
            .fork_at(&member.name, u64::from(training.round))
            .fork("behaviour");
        ask(member.behaviour.as_mut(), &lesson, &mut rng)
    }

    /// Makes a contribution of the steps that were done.
    fn make(&mut self, who: Who) {
        let Some(mut training) = self.members[who].process.training.take() else {
            return;
        };
        training.is_making = true;
        let round = training.round;
        let Some((held, theta)) = self.members[who].process.held.clone() else {
            return self.done_mining(who, Done::NothingTrained(round));
        };
        let member = &self.members[who];
        let label = Label {
            netuid: self.netuid.get(),
            hotkey: member.hotkey.id(),
            uid: training.uid,
            held: Held { round, ..held },
        };
        // A crash before this is on disk makes another key, and so does making it anew: what was not committed to may
        // differ.
        let made_before = match self.workshop.run().overlaps() {
            true => member.disk.writes() | u64::from(member.incarnation) << 32,
            false => u64::from(member.incarnation),
        };
        let mut draw = self
            .rng
            .fork_at(&member.name, u64::from(round))
            .fork_at("key", made_before);
        let trained = if member.is_honest() {
            let memory = self.memory_of(who);
            self.workshop
                .train(label, &theta, &memory, &training.windows)
        } else {
            self.forge(who, label, &theta, &training)
        };
        let Some(trained) = trained else {
            return self.done_mining(who, Done::NothingTrained(round));
        };
        let (open, sealed) = trained.seal(draw.secret(), theta);
        self.members[who].process.training = Some(training);
        let costs = self.workshop.costs();
        if self.workshop.run().overlaps() {
            // Its copy is stored while the next round is trained.
            self.notes(who, Part::Seal, 0, costs.seal);
            let made = Made { open, sealed };
            return self.begin(who, costs.seal, Job::Seal(made));
        }
        let transfer = self.file(who, Way::Up, costs.contribution, costs.seal);
        self.notes(who, Part::Seal, 0, costs.seal);
        self.moves(who, Part::Upload, costs.seal, transfer);
        let made = Made { open, sealed };
        self.begin(who, costs.seal + transfer, Job::Store(made));
    }

    /// What an attacker sends: what it brings in place of what its steps found, with the steps that it claims. If that
    /// is what they found, and so many were made, the engine makes its file, which an audit can follow.
    fn forge(
        &mut self,
        who: Who,
        label: Label,
        theta: &Theta,
        training: &Training,
    ) -> Option<Trained> {
        let memory = self.memory_of(who);
        // So that what training finds has nothing in it that was left unsent before.
        let moments = Memory {
            feedback: None,
            ..Memory::clone(&memory)
        };
        let trained = self
            .workshop
            .train(label, theta, &moments, &training.windows)?;
        let found = self.workshop.found(&trained)?;
        let values = found.clone();
        let brought = self.with_lesson(who, training, |behaviour, lesson, rng| {
            behaviour.brings(lesson, values, rng)
        });
        let most = u32::from(self.workshop.run().inner.steps);
        let done = training.windows.len() as u32;
        let claimed = self.members[who].behaviour.claims(done).min(most);
        if claimed == done && brought == found {
            return self
                .workshop
                .train(label, theta, &memory, &training.windows);
        }
        self.workshop.by_hand(&trained, claimed, &brought, &memory)
    }

    fn stored(&mut self, who: Who, made: Made) {
        let round = made.open.intent.round;
        let member = &self.members[who];
        let is_due = member.process.training.as_ref().map(|it| it.round) == Some(round);
        if !is_due {
            return;
        }
        if self.network.is_cut(who) {
            self.members[who].process.training = None;
            return self.done_mining(who, Done::NothingTrained(round));
        }
        let root = made.open.intent.commitment.sealed_root;
        if member.behaviour.uploads() {
            self.store.put(root.0, made.sealed.clone());
            self.perhaps_spoil(who, root);
        }
        let carry = self.workshop.costs().carry;
        self.notes(who, Part::Carry, 0, carry);
        self.begin(who, carry, Job::KeepSealed(made));
    }

    /// Something may be wrong with what was stored.
    fn perhaps_spoil(&mut self, who: Who, root: SealedRoot) {
        let weather = self.weather();
        if !self.weather_rng.chance(weather.spoilt) {
            return;
        }
        let until = self.clock.now() + self.weather_rng.within(1_000, 60_000);
        let fault = match self.weather_rng.below(3) {
            0 => Fault::Missing(until),
            1 => Fault::Corrupt(until),
            _ => Fault::Slow(self.weather_rng.within(2, 50) as u32),
        };
        self.store.spoil(root.0, fault);
        self.see(&Happening::Disturbed { who, is_over: true });
    }

    /// The intent to commit is on disk, or on its way there.
    pub(crate) fn sealed(&mut self, who: Who, made: Made) {
        let intent = made.open.intent.clone();
        let process = &mut self.members[who].process;
        process.training = None;
        let held = process.held.as_ref().map(|(held, _)| held.round);
        let place = match held < Some(intent.round) {
            true => &mut process.ahead,
            false => &mut process.open,
        };
        *place = Some(made.open);
        if self.workshop.run().overlaps() {
            return self.done_mining(who, Done::Made(intent));
        }
        self.see(&Happening::Sealed {
            who,
            round: intent.round,
            root: intent.commitment.sealed_root,
        });
        self.done_mining(who, Done::Sealed(intent));
    }
}
