//! The miner's machine.
//!
//! What must survive a crash is small: which round's parameters the miner holds, and the [`Intent`], the one
//! contribution that it has made for that round, and where rounds overlap that for the next one. The worker writes an
//! intent to disk *before* the first commit is sent, so a miner that comes back either has no intent and may train,
//! or has one and commits exactly that. A commit that got lost, or that a re-organisation dropped, is sent again with
//! the same content as long as the training phase lasts.
//!
//! ```text
//!   one after the other    hold r > train r > commit to r, reveal it > r is settled > apply r > hold r + 1
//!   overlapping            hold r > train r + 1, while r is revealed, attested and settled > apply r > hold r + 1
//!                                   train r + 1 anew, if r does not include its own
//! ```
//!
//! Where rounds overlap, round r + 1 is trained on the parameters with which round r began, and goes on from moments
//! and error feedback as the contribution to r left them. That round is settled meanwhile; it is applied when the
//! training is over. So the parameters held are always those that the next training is for, and there is one set of
//! them.

mod task;

use cairn_primitives::{BlockNumber, Hotkey, Phase, Round, RunConfig, SealedRoot, Text};
use cairn_protocol::{audit, overlap};

use crate::{
    ahead::Ahead,
    audit::{Demand, Serving, Shown},
    course::{Course, Left, Work},
    drain::Draining,
    machine::{Action, Event, Gone, Held, Kind, Lack, Machine, Reason, Transaction},
    Settlement, View,
};

pub use task::{Done, Intent, Task};

/// Where a miner stands.
#[derive(Clone, Debug)]
pub struct Miner {
    hotkey: Hotkey,
    course: Course<Task>,
    /// The contribution made for the round held. On disk before it is committed to.
    intent: Option<Intent>,
    /// The one made for the round after it, where rounds overlap. On disk before it is committed to.
    ahead: Option<Intent>,
    /// Whether training has been told to stop. Lost in a crash, as is all that follows.
    stopping: bool,
    /// Whether it has been told so to be begun anew.
    restarting: bool,
    /// Whether its round had not begun when training did, so that nobody knew its deadline.
    is_open_ended: bool,
    /// The round in which training has come to nothing and is not begun again.
    skipped: Option<Round>,
    /// Rounds in which it may have committed to what it made: it sent that, or crashed since.
    sent: Vec<Round>,
    /// What is known to be stored of what it made.
    stored: Vec<SealedRoot>,
    /// What is being stored, and since which block.
    storing: Vec<(SealedRoot, BlockNumber)>,
    /// What its store did not take, or may have lost since: it is stored before it is committed to.
    wanting: Vec<SealedRoot>,
    /// What is audited of its work.
    serving: Serving,
    /// Whether its own work is to make what is audited again.
    is_serving: bool,
    /// How many blocks there were to train in, when it was too late in a round that did not wait for it.
    trained: Option<BlockNumber>,
    /// Files of the round held that are fetched before it is settled.
    fetching: Ahead,
    /// Its way out of the run, once it was told to drain.
    draining: Option<Draining>,
}

impl Miner {
    /// The miner with this hotkey: new, or back with what was on its disk.
    pub fn new(hotkey: Hotkey, held: Option<Held>, intent: Option<Intent>) -> Miner {
        let round = held.map(|held| held.round);
        let intent = intent.filter(|intent| Some(intent.round) == round);
        Miner {
            hotkey,
            course: Course::new(held),
            sent: intent.iter().map(|intent| intent.round).collect(),
            intent,
            ahead: None,
            stopping: false,
            restarting: false,
            is_open_ended: false,
            skipped: None,
            stored: Vec::new(),
            storing: Vec::new(),
            wanting: Vec::new(),
            serving: Serving::default(),
            is_serving: false,
            trained: None,
            fetching: Ahead::of(round),
            draining: None,
        }
    }

    /// The same, with what it had made for the round after the one held.
    pub fn ahead_with(mut self, ahead: Option<Intent>) -> Miner {
        let next = self.next_round();
        self.ahead = ahead.filter(|ahead| Some(ahead.round) == next);
        let rounds = self.ahead.iter().map(|ahead| ahead.round);
        self.sent.extend(rounds);
        self
    }

    /// The same, of which nobody knows whether what it made is stored.
    pub fn storing_again(mut self) -> Miner {
        let made = self.intent.iter().chain(&self.ahead);
        self.wanting = made.map(|made| made.commitment.sealed_root).collect();
        self
    }

    /// The same, with files that can be had at these endpoints.
    pub fn serving_at(mut self, endpoints: Vec<Text>) -> Self {
        self.course.serve_at(endpoints);
        self
    }

    /// The same in a run that has a checkpoint every so many rounds; where nobody says it, there is one as often as in
    /// a run that does not say it either.
    pub fn with_checkpoint_every(mut self, rounds: u8) -> Self {
        self.course.checkpoint_every(rounds);
        self
    }

    /// The same, with what is on its disk of an audit.
    pub fn serving(self, owed: Option<Demand>, shown: Option<Shown>) -> Miner {
        let serving = Serving::new(owed, shown);
        Miner { serving, ..self }
    }

    /// From now on it makes no more contributions: it finishes the one that it makes, and ends once no audit of its
    /// work can be open. To be told once.
    pub fn drain(&mut self, config: &RunConfig) {
        self.draining = Some(Draining::of(config));
        self.course.look_again();
    }

    /// The parameters that it holds.
    pub fn held(&self) -> Option<Held> {
        self.course.held()
    }

    /// What is still to be served of a round before the one held.
    pub fn unserved(&self) -> Option<Demand> {
        self.serving.unserved()
    }

    /// The contribution made for the round held.
    pub fn intent(&self) -> Option<&Intent> {
        self.intent.as_ref()
    }

    /// The contribution made for the round after the one held.
    pub fn ahead(&self) -> Option<&Intent> {
        self.ahead.as_ref()
    }

    fn next_round(&self) -> Option<Round> {
        self.course.round()?.checked_add(1)
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

    /// Other parameters are held: what was made ahead was made for the round that they begin.
    fn begin(&mut self, held: Held) {
        let made = self.ahead.take();
        self.intent = made.filter(|made| made.round == held.round);
        self.stopping = false;
        self.restarting = false;
        self.skipped = None;
        let own = self.intent.as_ref().map(|own| own.commitment.sealed_root);
        self.stored.retain(|root| Some(*root) == own);
        self.wanting.retain(|root| Some(*root) == own);
        self.sent.retain(|round| *round >= held.round);
        self.stop_fetching();
        self.fetching = Ahead::of(Some(held.round));
    }

    fn done(&mut self, done: Done, now: BlockNumber) {
        match done {
            // These run beside what is computed, and say nothing of how that ended.
            Done::Stored(root, is_stored) => return self.stored(root, is_stored, now),
            Done::Fetched { round, id, is_here } => {
                if self.fetching.ended(round, id, is_here, now) {
                    self.course.look_again();
                }
                return;
            }
            // It is tried again with the next block.
            Done::Served(_, None) => self.course.rest(),
            _ => self.rest(),
        }
        let restarts = std::mem::take(&mut self.restarting);
        match done {
            Done::Sealed(intent) => {
                self.stored.push(intent.commitment.sealed_root);
                self.sealed(intent);
            }
            Done::Made(intent) => {
                self.wanting.push(intent.commitment.sealed_root);
                self.sealed(intent);
            }
            Done::NothingTrained(_) if restarts => {}
            Done::NothingTrained(round) => self.skipped = Some(round),
            Done::Served(round, served) => {
                self.is_serving = false;
                self.serving.made(round, served);
            }
            Done::Stored(..) | Done::Fetched { .. } => {}
        }
    }

    fn stored(&mut self, root: SealedRoot, is_stored: bool, now: BlockNumber) {
        let since = self.storing.iter().find(|it| it.0 == root);
        let since = since.map(|it| it.1);
        self.storing.retain(|it| it.0 != root);
        // What came to nothing is tried again with the next block, which may have come meanwhile.
        if since.is_some_and(|since| since < now) {
            self.course.look_again();
        }
        if is_stored {
            self.wanting.retain(|wanting| *wanting != root);
            self.stored.push(root);
            self.course.look_again();
        }
    }

    fn sealed(&mut self, intent: Intent) {
        let round = Some(intent.round);
        let place = match round {
            round if round == self.course.round() => &mut self.intent,
            round if round == self.next_round() => &mut self.ahead,
            _ => return,
        };
        place.get_or_insert(intent);
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
        let next = view.next.as_ref();
        let next_slot = next.and_then(|next| next.slot_of(self.hotkey));
        let is_without = view.slot_of(self.hotkey).is_none() && next_slot.is_none();
        if is_without && self.draining.is_none() {
            self.course.act(Action::Explain(Lack::Part));
        }
        self.serving.look(view, self.hotkey, self.course.round());
        self.note_pace(view, now);
        if self.is_lost(view, now) {
            self.ahead = None;
        }
        self.store(view, now);
        if view.next.is_none() && self.is_over(view) {
            // Where rounds overlap, more of it can come while it trains.
            self.stop_fetching();
        }
        match *self.course.work() {
            Work::Idle => self.go_on(view, now),
            Work::Own(round) if !self.is_serving && !self.stopping => self.stop(round, view, now),
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
        match self.draining {
            // Who says that it is back is given data.
            Some(_) => self.course.name_endpoints(view, now),
            None => self.course.announce(view, self.hotkey, now),
        }
        for sealed in self.fetching.next(view, self.hotkey, now) {
            self.course.act(Action::Do(Task::FetchAhead(sealed)));
        }
        self.see_out(view);
    }

    /// Ends once it owes nothing any more, if it drains; until then it says what it owes.
    fn see_out(&mut self, view: &View) {
        let Some(draining) = &mut self.draining else {
            return;
        };
        // A node that is behind does not have what is known here to be final: of its audits it says nothing.
        let held = self.course.round();
        let is_behind = held.is_some_and(|held| view.round.round < held);
        let made = self.intent.iter().chain(&self.ahead);
        let made = made.map(|made| made.round);
        let making = match *self.course.work() {
            Work::Own(round) if !self.is_serving => Some(round),
            _ => None,
        };
        let made = made.chain(making);
        // Whether or not its round could be applied here.
        let made = made.filter(|made| view.round.round < audit::free_from(*made));
        let is_busy = matches!(self.course.work(), Work::Own(_) | Work::Keeping(_));
        if !is_behind {
            // Another state directory may have had the intent of what is on chain.
            draining.look(view, self.hotkey);
        }
        match draining.owed(view, self.hotkey, made.max()) {
            None if !is_behind && !is_busy && draining.is_settled(view) => {
                self.course.act(Action::Stop(Reason::Drained));
            }
            Some(owed) if draining.is_news(owed) => self.course.act(Action::Tell(owed)),
            _ => {}
        }
    }

    /// Whether the round held is settled.
    fn is_over(&self, view: &View) -> bool {
        let settled = view.settled.as_ref().map(|settled| settled.round);
        settled.is_some() && settled == self.course.round()
    }

    fn stop_fetching(&mut self) {
        if let Some(round) = self.fetching.end() {
            self.course.act(Action::Do(Task::StopFetching(round)));
        }
    }

    /// What is to be computed, if nothing is. Where rounds overlap, what is held is trained on before it is left, and
    /// what is owed of a round before is served, since what is audited of the round held takes its place on the disk.
    fn go_on(&mut self, view: &View, now: BlockNumber) {
        let task = self.to_train(view, now);
        let until = task.as_ref().map_or(now, |task| self.until(task, view));
        let comes_first = self.serving.comes_first(view, self.hotkey, (now, until));
        let is_kept = view.next.is_some() && task.is_some();
        let presses = is_kept && self.presses(view, (now, until));
        // What is drawn of the round held would take the place of what is owed of the one before.
        let would_forget = view.next.is_some() || self.serving.is_drawn(self.course.round());
        let is_owed = would_forget && self.serving.demand(view, self.hotkey, now).is_some();
        let is_left = (!is_kept || presses) && !is_owed;
        if is_left && self.is_over(view) {
            // What is missing is fetched with the outer step.
            self.stop_fetching();
        }
        let (hotkey, intent) = (self.hotkey, self.intent.as_ref());
        let is_included = |settlement: &Settlement| {
            let own = settlement.own(hotkey);
            intent.is_some_and(|intent| own == Some(intent.commitment.sealed_root))
        };
        let follows = is_left && self.course.follow(view, is_included);
        if let Some(task) = task.filter(|_| !follows && !comes_first && !presses) {
            self.train(task);
        }
        if self.course.is_idle() {
            self.serve(view, now);
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

    /// Where rounds overlap, what was made is stored beside what is computed; elsewhere, what its store did not take
    /// when it was made. After a crash nobody knows whether it is stored.
    fn store(&mut self, view: &View, now: BlockNumber) {
        for made in self.intent.iter().chain(&self.ahead) {
            let root = made.commitment.sealed_root;
            let mut storing = self.storing.iter();
            let is_begun = self.stored.contains(&root) || storing.any(|it| it.0 == root);
            let is_wanted = self.must_be_stored(&root, view) && self.is_of_use(made, view, now);
            if is_wanted && !is_begun {
                self.storing.push((root, now));
                self.course.act(Action::Do(Task::Store(made.clone())));
            }
        }
    }

    /// Whether a contribution is committed to only once it is known to be stored.
    fn must_be_stored(&self, root: &SealedRoot, view: &View) -> bool {
        view.next.is_some() || self.wanting.contains(root)
    }

    /// Whether somebody may still ask for a contribution: its round is not over, and it was committed to or can be.
    fn is_of_use(&self, made: &Intent, view: &View, now: BlockNumber) -> bool {
        let may_be_asked = || {
            let is_open = view.round.timetable().next_phase(now) == Phase::Train;
            view.next.is_some() || is_open || view.contribution_of(self.hotkey).is_some()
        };
        made.round >= view.round.round && may_be_asked()
    }

    /// Whether the contribution made for the round held is known not to be included in it, now or ever.
    fn is_lost(&self, view: &View, now: BlockNumber) -> bool {
        let own = self.intent.as_ref().filter(|_| view.next.is_some());
        let is_lost = |own: &Intent| {
            self.is_included(own, view) == Some(false) || self.is_too_late(own, view, now)
        };
        own.is_some_and(is_lost)
    }

    /// Whether a contribution was never committed to, and cannot be any more.
    fn is_too_late(&self, own: &Intent, view: &View, now: BlockNumber) -> bool {
        let is_over = view.round.certain.next_phase(now) != Phase::Train;
        let is_current = view.round.round == own.round && !self.sent.contains(&own.round);
        is_current && is_over && view.contribution_of(self.hotkey).is_none()
    }

    /// Whether the round held includes a contribution, if that is known.
    fn is_included(&self, made: &Intent, view: &View) -> Option<bool> {
        let settled = view.settled.as_ref();
        let settled = settled.filter(|settled| Some(settled.round) == self.course.round())?;
        Some(settled.own(self.hotkey) == Some(made.commitment.sealed_root))
    }

    /// What there is to train from the parameters held.
    fn to_train(&self, view: &View, now: BlockNumber) -> Option<Task> {
        let mut rounds = overlap::trained_from(self.course.round()?, view.next.is_some());
        rounds.find_map(|round| self.task(round, view, now))
    }

    /// Whether what is audited of the round held cannot wait for a training that may last until a block.
    fn presses(&self, view: &View, until: (BlockNumber, BlockNumber)) -> bool {
        let held = self.course.round();
        self.serving.presses(view, self.hotkey, held, until)
    }

    /// The same, or what is owed of a round that was applied: how long this training may last was not known when it
    /// began.
    fn cannot_wait(&self, view: &View, until: (BlockNumber, BlockNumber)) -> bool {
        self.presses(view, until) || self.serving.comes_first(view, self.hotkey, until)
    }

    /// Training for a round, if there is time, data and need for it.
    fn task(&self, round: Round, view: &View, now: BlockNumber) -> Option<Task> {
        let anew = self.is_lost(view, now);
        let mut made = self.intent.iter().chain(&self.ahead);
        let is_made = made.any(|made| made.round == round);
        let is_none = self.skipped == Some(round) || self.draining.is_some();
        if is_made || is_none || self.is_out(view) {
            return None;
        }
        let ((uid, slot), plan, deadline) = match round == view.round.round {
            true => {
                let deadline = self.deadline(view);
                let is_time = view.round.timetable().phase(now) == Phase::Train && now < deadline;
                // A commitment on chain without an intent here: another process has the same key, or the disk was
                // lost. Nothing can be added to it.
                let is_free = view.contribution_of(self.hotkey).is_none();
                let seat = view.seat_of(self.hotkey);
                let seat = seat.filter(|_| is_time && is_free)?;
                (seat, &view.plan, deadline)
            }
            false => {
                let next = view.next.as_ref().filter(|next| next.round == round)?;
                (next.seat_of(self.hotkey)?, &next.plan, BlockNumber::MAX)
            }
        };
        Some(Task::Train {
            round,
            uid,
            slot,
            plan: plan.clone(),
            deadline,
            anew,
        })
    }

    /// The block until which a training may last.
    fn until(&self, task: &Task, view: &View) -> BlockNumber {
        let (times, deadline) = (view.round.timetable(), self.deadline(view));
        match task {
            Task::Train { round, .. } if *round != view.round.round => {
                let longest = deadline.saturating_sub(times.start());
                times.due().saturating_add(longest)
            }
            _ => deadline,
        }
    }

    fn train(&mut self, task: Task) {
        let Task::Train {
            round,
            deadline,
            anew,
            ..
        } = task
        else {
            return;
        };
        self.is_open_ended = deadline == BlockNumber::MAX;
        if anew {
            self.intent = None;
        }
        self.course.begin(round, task);
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

    /// Sees to training for a round that is under way.
    fn stop(&mut self, round: Round, view: &View, now: BlockNumber) {
        let is_settled = view.settled.as_ref().is_some_and(|it| it.round == round);
        let deadline = self.deadline(view);
        if is_settled || view.round.round > round {
            self.abandon();
        } else if self.is_lost(view, now) {
            self.restarting = true;
            self.abandon();
        } else if view.round.round == round {
            let presses = view.next.is_some() && self.cannot_wait(view, (now, deadline));
            if now >= deadline || presses {
                self.stopping = true;
                self.course.act(Action::Do(Task::FinishTraining));
            } else if std::mem::take(&mut self.is_open_ended) {
                self.course.act(Action::Do(Task::TrainUntil(deadline)));
            }
        }
    }

    fn abandon(&mut self) {
        self.stopping = true;
        self.course.act(Action::Do(Task::AbandonTraining));
    }

    /// The contribution made for the current round.
    fn current(&self, view: &View) -> Option<&Intent> {
        let mut made = self.intent.iter().chain(&self.ahead);
        made.find(|made| made.round == view.round.round)
    }

    /// Whether a contribution may be committed to: what was made ahead is void unless the one is included that it goes
    /// on from.
    fn is_borne_out(&self, intent: &Intent, view: &View) -> bool {
        let from = self.intent.as_ref();
        let from = from.filter(|from| from.round != intent.round);
        from.is_none_or(|from| self.is_included(from, view) == Some(true))
    }

    fn may_commit(&self, intent: &Intent, view: &View) -> bool {
        let root = &intent.commitment.sealed_root;
        let is_stored = !self.must_be_stored(root, view) || self.stored.contains(root);
        is_stored && self.is_borne_out(intent, view) && !self.is_out(view)
    }

    /// Whether this miner has no part in what it was drawn for, since nobody expects it any more.
    fn is_out(&self, view: &View) -> bool {
        view.next.is_some() && view.is_absent(self.hotkey)
    }

    fn submit(&mut self, view: &View, now: BlockNumber) {
        let is_free = self.course.may_send(Kind::Contribution, now);
        let Some(intent) = self.current(view).filter(|_| is_free) else {
            return;
        };
        let own = view.contribution_of(self.hotkey);
        // A key that is out while others can still commit gives the work away, and a fork may bring that back.
        let is_certain = view.round.certain.next_phase(now) != Phase::Train;
        let transaction = match (view.round.timetable().next_phase(now), own) {
            (Phase::Train, None) if self.may_commit(intent, view) => {
                Transaction::Commit(intent.round, intent.commitment.clone())
            }
            (Phase::Reveal, Some(own))
                if is_certain
                    && own.key.is_none()
                    && own.commitment.sealed_root == intent.commitment.sealed_root =>
            {
                Transaction::Reveal(intent.round, intent.key)
            }
            _ => return,
        };
        if let Transaction::Commit(round, _) = &transaction {
            self.sent.push(*round);
        }
        self.course.send(transaction);
    }
}

impl Machine for Miner {
    type Done = Done;
    type Work = Task;

    fn handle(&mut self, event: Event<Done>, now: BlockNumber) {
        if matches!(event, Event::Joined(_)) && *self.course.work() == Work::Joining {
            // What was made is void, whichever round is joined.
            self.ahead = None;
        }
        let left = self.course.take(event, now);
        self.follow(left, now);
    }

    fn poll_action(&mut self) -> Option<Action<Task>> {
        self.course.poll(false)
    }
}
