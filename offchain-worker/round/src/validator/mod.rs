//! The validator's machine.
//!
//! Sealed files are fetched as soon as their commitments are on chain and opened as soon as their keys are. When the
//! attest phase comes, what is left is to commit to what was found, and then to say it. Contributions of the round
//! before are measured meanwhile; that is broken off when it is time to attest.

mod task;

use std::collections::BTreeMap;

use cairn_primitives::{
    BlockNumber, Commitment, ContributionKey, Hotkey, Judgement, ModelRoot, Round, SealedRoot,
    Text, Uid, Witness,
};

use cairn_protocol::{limits::MOST_TRUST, overlap, phase::Attesting, value};

use crate::{
    audit::{Auditing, Duty, Free, Verdict},
    course::{Course, Left, Work},
    hidden_row::{HiddenRow, HiddenRows, Step},
    machine::{Action, Event, Gone, Held, Kind, Lack, Machine, Reason, Transaction},
    pledge::{self, Pledge},
    Attester, Seen, Settlement, View,
};

pub use task::{Check, Claim, Done, Found, Id, Measurement, Opened, Subject, Task, Weighed};

/// How often a validator whose run was replaced looks, and tries to write what it brought, before it ends without.
const REPLACED_LOOKS: u8 = 4;
/// Checkpoints that are written at a time while the run goes on: each is in memory until the store has it, and where
/// rounds are shorter than that takes, a later one does as well.
const MOST_WRITTEN: usize = 2;

/// What is known of one contribution.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    hotkey: Hotkey,
    commitment: Commitment,
    /// The key with which it was to be opened.
    key: Option<ContributionKey>,
    check: Check,
}

impl Known {
    /// Whether what was found of it is of what the chain has now: a re-organisation may have put the same file beside
    /// another length or key.
    fn is_of(&self, seen: &Seen) -> bool {
        let now = (seen.hotkey, &seen.commitment, seen.key);
        (self.hotkey, &self.commitment, self.key) == now
    }
}

/// Where a validator stands. Only what is held, the pledges and the hidden_rows are on disk; the chain knows the rest.
#[derive(Clone, Debug)]
pub struct Validator {
    hotkey: Hotkey,
    initial_root: ModelRoot,
    course: Course<Task>,
    /// The round before the one held, if its contributions can still be measured.
    measurable: Option<Measurement>,
    /// The last round that was kept, and the sealed roots of what it included.
    included: Option<(Round, Vec<SealedRoot>)>,
    /// Contributions of the round held.
    known: BTreeMap<Id, Known>,
    /// What it has committed to, or will, in the last rounds. On disk.
    pledges: Vec<Pledge>,
    /// The newest round for which this process has found out what to attest.
    attested: Option<Round>,
    /// The parameters before those held.
    before: Option<Held>,
    /// Parameters of which a checkpoint is being written.
    writing: Vec<Held>,
    /// Parameters of which a checkpoint is written.
    written: Vec<Held>,
    /// The run that has this one's place, and how often it was seen there.
    replaced: Option<(BlockNumber, u8)>,
    /// Whether measuring has been told to stop.
    stopping: bool,
    /// Whether a pledge is being put on disk.
    pledging: bool,
    /// The last round that was measured whole, and what shows it.
    witness: Option<(Round, Witness)>,
    /// The last kept round, if all that it included had the most trust: before anybody earned anything.
    unearned: Option<Round>,
    /// The last round that was measured, and the makers whose last contribution up to it helped too little.
    fruitless: Option<(Round, Vec<Hotkey>)>,
    /// The makers of what was last to be measured.
    tried: Vec<Hotkey>,
    /// Scores: what is due, and what can be revealed.
    hidden_rows: HiddenRows,
    /// Audits for which it was drawn.
    auditing: Auditing,
}

impl Validator {
    /// The validator with this hotkey in the run whose first parameters have `initial_root`: new, or back with what was
    /// on its disk.
    pub fn new(
        hotkey: Hotkey,
        initial_root: ModelRoot,
        held: Option<Held>,
        pledges: Vec<Pledge>,
        hidden_rows: Vec<HiddenRow>,
    ) -> Validator {
        Validator {
            hotkey,
            initial_root,
            course: Course::new(held),
            measurable: None,
            included: None,
            known: BTreeMap::new(),
            pledges,
            attested: None,
            before: None,
            writing: Vec::new(),
            written: Vec::new(),
            replaced: None,
            stopping: false,
            pledging: false,
            witness: None,
            unearned: None,
            fruitless: None,
            tried: Vec::new(),
            hidden_rows: HiddenRows::new(hidden_rows),
            auditing: Auditing::default(),
        }
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

    /// The same, with what is on its disk of audits.
    pub fn auditing(self, verdicts: Vec<Verdict>) -> Validator {
        let auditing = Auditing::new(verdicts);
        Validator { auditing, ..self }
    }

    /// What it found in audits that are not over, oldest first. On disk.
    pub fn verdicts(&self) -> &[Verdict] {
        self.auditing.verdicts()
    }

    /// The parameters that it holds.
    pub fn held(&self) -> Option<Held> {
        self.course.held()
    }

    /// What it is computing.
    pub fn work(&self) -> &Work {
        self.course.work()
    }

    /// The scores that can still matter, oldest first. On disk.
    pub fn hidden_rows(&self) -> &[HiddenRow] {
        &self.hidden_rows.kept
    }

    /// What it has committed to, or will, in the last rounds, oldest first. On disk.
    pub fn pledges(&self) -> &[Pledge] {
        &self.pledges
    }

    /// The newest round in which it attested, or tried to.
    pub fn attested(&self) -> Option<Round> {
        self.attested
    }

    /// How far a contribution of the round held has been checked.
    pub fn check_of(&self, id: Id) -> Option<Check> {
        self.known.get(&id).map(|known| known.check)
    }

    fn rest(&mut self) {
        self.course.rest();
        self.course.look_again();
        self.stopping = false;
    }

    /// Other parameters are held from now on.
    fn begin(&mut self, held: Held) {
        let is_next = |one: &Measurement| one.round.checked_add(1) == Some(held.round);
        self.measurable = self.measurable.take().filter(is_next);
        let has_followed = |one: &Held| one.round.checked_add(1) == Some(held.round);
        self.before = self.before.filter(has_followed);
        self.stopping = false;
        self.known.clear();
        // What was fetched is in the store already.
        let is_made = self.before.is_some() && self.writing.len() < MOST_WRITTEN;
        if is_made && self.course.has_checkpoint(held.round) {
            self.write_checkpoint(held);
        }
    }

    fn write_checkpoint(&mut self, held: Held) {
        self.writing.push(held);
        self.course.act(Action::Do(Task::WriteCheckpoint(held)));
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Fetched { round, id, is_here } => {
                let found = if is_here {
                    Check::Fetched
                } else {
                    Check::Missing
                };
                self.checked(round, id, Check::Fetching, found);
                if is_here {
                    self.course.look_again();
                }
            }
            Done::Opened { round, id, found } => {
                self.checked(round, id, Check::Opening, found.into());
                self.course.look_again();
            }
            Done::Pledged(pledge) => {
                self.pledging = false;
                self.attested = Some(pledge.round);
                self.pledges = pledge::with(&self.pledges, pledge);
                self.course.look_again();
            }
            Done::Measured(round, witness, fruitless) => {
                self.found_fruitless(round, fruitless);
                self.witness = witness.map(|witness| (round, witness)).or(self.witness);
                self.rest();
                self.hidden_rows.scored(round);
            }
            Done::Audited(of, verdict) => {
                // What came to nothing is tried again with the next block.
                if verdict.is_some() {
                    self.course.look_again();
                }
                self.auditing.judged(of, verdict);
            }
            Done::Weighed(weighed) => self.weighed(weighed),
            Done::Checkpoint(held, is_written) => self.checkpointed(held, is_written),
        }
    }

    fn checked(&mut self, round: Round, id: Id, from: Check, to: Check) {
        let is_held = Some(round) == self.course.round();
        let known = self.known.get_mut(&id).filter(|_| is_held);
        if let Some(known) = known.filter(|known| known.check == from) {
            known.check = to;
        }
    }

    fn weighed(&mut self, weighed: Weighed) {
        match weighed {
            Weighed::Unanswered => self.hidden_rows.sent(false),
            Weighed::Nothing => {
                self.hidden_rows.weighed(None);
                self.course.look_again();
            }
            Weighed::Hidden(hidden_row) => {
                self.hidden_rows.weighed(Some(hidden_row));
                self.course.look_again();
            }
            Weighed::Open(round, row) => {
                self.course.send(Transaction::SetScores(round, row));
            }
        }
    }

    fn checkpointed(&mut self, held: Held, is_written: bool) {
        self.writing.retain(|one| *one != held);
        if is_written {
            let ours = [self.before, self.held()];
            self.written.retain(|one| ours.contains(&Some(*one)));
            self.written.push(held);
        }
        self.stop_if_replaced();
    }

    /// Parameters that are to stay in the store and are not known to be there.
    fn unwritten(&self) -> Vec<Held> {
        let ours = self.before.into_iter().chain(self.held());
        // The first parameters can be computed by anyone.
        let ours = ours.filter(|held| held.root != self.initial_root);
        ours.filter(|held| !self.written.contains(held)).collect()
    }

    fn stop_if_replaced(&mut self) {
        let is_written = self.unwritten().is_empty();
        let is_over = |(_, looks): &(BlockNumber, u8)| is_written || *looks >= REPLACED_LOOKS;
        let replaced = self.replaced.filter(|_| self.writing.is_empty());
        if let Some((started_at, _)) = replaced.filter(is_over) {
            self.course.act(Action::Stop(Reason::Replaced(started_at)));
        }
    }

    /// The end of a run: what it brought stays in the store. Of the parameters held, and of those before them, which
    /// are the last final ones if nobody had attested the current round yet.
    fn gone(&mut self, gone: Gone) {
        if matches!(self.course.work(), Work::Own(_)) && !self.stopping {
            self.stopping = true;
            self.course.act(Action::Do(Task::StopMeasuring));
        }
        for held in self.unwritten() {
            if !self.writing.contains(&held) {
                self.write_checkpoint(held);
            }
        }
        match gone {
            Gone::Stopped => self.course.act(Action::Explain(Lack::Run)),
            Gone::Replaced(started_at) => {
                let looks = self.replaced.map_or(0, |(_, looks)| looks);
                self.replaced = Some((started_at, looks.saturating_add(1)));
                self.stop_if_replaced();
            }
        }
    }

    fn look(&mut self, view: &View, now: BlockNumber) {
        if view.validator(self.hotkey).is_none() {
            self.course.act(Action::Explain(Lack::Part));
        }
        if let Some(held) = self.held().filter(|held| held.round == view.round.round) {
            self.check(view, held);
            self.attest(view, held, now);
        }
        self.course.announce(view, self.hotkey, now);
        self.compute(view, now);
        self.audit(view, now);
        self.score(view, now);
    }

    /// Nothing waits for a replay.
    fn audit(&mut self, view: &View, now: BlockNumber) {
        let to_replay = self.course.is_idle();
        loop {
            let to_send = self.course.may_send(Kind::Audit, now);
            let free = Free { to_replay, to_send };
            match self.auditing.next(view, self.hotkey, now, free) {
                Some(Duty::Audit(audit)) => self.course.act(Action::Do(Task::Audit(audit))),
                Some(Duty::Send(transaction)) => self.course.send(transaction),
                None => return,
            }
        }
    }

    fn score(&mut self, view: &View, now: BlockNumber) {
        let voting = view.voting.as_ref();
        let voting = voting.filter(|_| self.course.may_send(Kind::Scores, now));
        match voting.and_then(|voting| self.hidden_rows.next(voting, now)) {
            Some(Step::Weigh(round, epoch)) => {
                let task = Task::Weigh { round, epoch };
                self.course.act(Action::Do(task));
            }
            Some(Step::Commit(row)) => self.course.send(Transaction::CommitScores(row)),
            Some(Step::Reveal(row)) => self.course.send(Transaction::RevealScores(row)),
            None => {}
        }
    }

    fn check(&mut self, view: &View, held: Held) {
        for seen in &view.contributions {
            let id = (seen.uid, seen.commitment.sealed_root);
            let known = self.known.entry(id).or_insert_with(|| Known {
                hotkey: seen.hotkey,
                commitment: seen.commitment.clone(),
                key: None,
                check: Check::Missing,
            });
            let task = match (known.check, seen.key) {
                (Check::Missing, _) => {
                    known.check = Check::Fetching;
                    Task::Fetch {
                        round: held.round,
                        uid: seen.uid,
                        hotkey: known.hotkey,
                        commitment: known.commitment.clone(),
                    }
                }
                (Check::Fetched, Some(key)) => {
                    known.check = Check::Opening;
                    known.key = Some(key);
                    Task::Open(Claim {
                        round: held.round,
                        uid: seen.uid,
                        hotkey: known.hotkey,
                        commitment: known.commitment.clone(),
                        key,
                        parent_root: overlap::base(held.root, view.base),
                    })
                }
                _ => continue,
            };
            self.course.act(Action::Do(task));
        }
    }

    fn attest(&mut self, view: &View, held: Held, now: BlockNumber) {
        let own = view.validator(self.hotkey).filter(|own| !own.attested);
        let is_free = !self.pledging && self.course.may_send(Kind::Attestation, now);
        let Some(own) = own.filter(|_| is_free) else {
            return;
        };
        let ours = |pledge: &&Pledge| (pledge.round, pledge.root) == (held.round, held.root);
        let pledge = self.pledges.iter().find(ours).cloned();
        if pledge
            .as_ref()
            .is_some_and(|it| self.knows_better(view, it))
        {
            return;
        }
        let action = match view.round.timetable().next_attesting(now) {
            Attesting::Commit => self.commit(view, held, own, pledge, now),
            Attesting::Open => pledge
                .filter(|pledge| own.committed == Some(pledge.hash))
                .map(|pledge| Action::Send(Transaction::Attest(pledge))),
            Attesting::NotYet | Attesting::Over => None,
        };
        match action {
            Some(Action::Send(transaction)) => self.course.send(transaction),
            Some(action) => {
                self.pledging = true;
                self.course.act(action);
            }
            None => {}
        }
    }

    /// Whether a pledge calls good what the chain, after a re-organisation, has under that uid now, and which was opened
    /// here and is broken, or was good beside another commitment or key. To attest that could cost a part of the stake;
    /// to say nothing costs the round.
    fn knows_better(&self, view: &View, pledge: &Pledge) -> bool {
        let mut vouched = view
            .contributions
            .iter()
            .filter(|seen| seen.key.is_some() && pledge.verdicts.contains(seen.uid));
        vouched.any(|seen| {
            let known = self.known.get(&(seen.uid, seen.commitment.sealed_root));
            known.is_some_and(|known| match known.check {
                Check::Broken => true,
                Check::Good => !known.is_of(seen),
                _ => false,
            })
        })
    }

    /// Commits to what is on disk; failing that, to what has been checked, once all is and what can be measured has
    /// been, or time is up.
    fn commit(
        &self,
        view: &View,
        held: Held,
        own: &Attester,
        pledge: Option<Pledge>,
        now: BlockNumber,
    ) -> Option<Action<Task>> {
        if own.committed.is_some() {
            return None;
        }
        if let Some(pledge) = pledge {
            return Some(Action::Send(Transaction::CommitAttestation(pledge)));
        }
        let check = |seen: &Seen| self.check_of((seen.uid, seen.commitment.sealed_root));
        let revealed = || view.contributions.iter().filter(|seen| seen.key.is_some());
        let is_known =
            |seen: &Seen| matches!(check(seen), Some(Check::Good | Check::Broken | Check::Bad));
        // The round waits for those for whom it waits, and they for what they measure.
        let is_measuring = self.measurable.is_some() || matches!(self.course.work(), Work::Own(_));
        let holds_back = is_measuring && view.is_awaited(self.hotkey);
        let is_done = revealed().all(is_known) && !holds_back;
        if !is_done && now < view.round.timetable().attest_deadline() {
            return None;
        }
        let (mut good, mut broken) = (Vec::new(), Vec::new());
        for seen in revealed().filter(|seen| self.was_checked(seen)) {
            match check(seen) {
                Some(Check::Good) if !self.was_fruitless(held.round, seen.hotkey) => {
                    good.push(seen.uid);
                }
                Some(Check::Broken) => broken.push(seen.uid),
                _ => {}
            }
        }
        let before = |(round, _): &(Round, Witness)| round.checked_add(1) == Some(held.round);
        let witness = self.witness.filter(before).map(|(_, witness)| witness);
        Some(Action::Do(Task::Pledge {
            round: held.round,
            root: held.root,
            verdicts: Judgement::new(good, broken),
            witness: witness.unwrap_or_default(),
        }))
    }

    /// Whether this very commitment and key are what was checked.
    fn was_checked(&self, seen: &Seen) -> bool {
        let known = self.known.get(&(seen.uid, seen.commitment.sealed_root));
        known.is_some_and(|known| known.is_of(seen))
    }

    /// These makers' contributions to a round helped too little. Whoever sat it out is still known for the one before.
    fn found_fruitless(&mut self, round: Round, mut makers: Vec<Hotkey>) {
        let known = self.fruitless.take();
        let before = known.filter(|(one, _)| one.checked_add(1) == Some(round));
        let before = before.into_iter().flat_map(|(_, makers)| makers);
        makers.extend(before.filter(|maker| !self.tried.contains(maker)));
        self.fruitless = Some((round, makers));
    }

    /// Whether what this maker contributed to the round before, or last before that, is known to have helped too
    /// little, while nobody has earned anything. Who does not know does not object.
    fn was_fruitless(&self, round: Round, maker: Hotkey) -> bool {
        let is_before = |one: Round| one.checked_add(1) == Some(round);
        let known = self.fruitless.as_ref();
        let known = known.filter(|(one, _)| is_before(*one) && self.unearned == Some(*one));
        known.is_some_and(|(_, makers)| makers.contains(&maker))
    }

    fn compute(&mut self, view: &View, now: BlockNumber) {
        let is_current = Some(view.round.round) == self.course.round();
        let may_measure = is_current && now < view.round.timetable().scoring_deadline();
        match self.course.work() {
            Work::Idle => {
                if self.course.follow(view, |_| false) {
                    return;
                }
                if let Some(measurement) = self.measurable.take_if(|_| may_measure) {
                    let good = |one: &&Subject| matches!(one.found, Found::Good(_));
                    let tried = measurement.subjects.iter().filter(good);
                    self.tried = tried.map(|one| one.hotkey).collect();
                    self.course
                        .begin(measurement.round, Task::Measure(measurement));
                }
            }
            Work::Own(_) if !may_measure && !self.stopping => {
                self.stopping = true;
                self.course.act(Action::Do(Task::StopMeasuring));
            }
            _ => {}
        }
    }

    fn follow(&mut self, left: Left<Done>, now: BlockNumber) {
        match left {
            Left::Nothing => {}
            Left::Look(view) => self.look(&view, now),
            Left::Gone(gone) => self.gone(gone),
            Left::Begin(held) => self.begin(held),
            Left::Keep(settlement, held) => self.keep(*settlement, held),
            Left::Done(done) => self.done(done),
        }
    }

    fn keep(&mut self, settlement: Settlement, held: Held) {
        self.measurable = self.measurement(&settlement);
        let mut included = settlement.included.iter();
        let is_unearned = included.all(|one| one.standing.trust == MOST_TRUST);
        self.unearned = is_unearned.then_some(settlement.round);
        self.included = Some((settlement.round, settlement.sealed_roots()));
        self.before = self.held();
        self.course.keep(settlement, held, None);
    }

    /// What can be measured of a round now that everybody has opened its contributions: all of it by whoever
    /// attested, and so can say what was missed.
    fn measurement(&self, settlement: &Settlement) -> Option<Measurement> {
        let has_attested = self.attested == Some(settlement.round);
        let included = |uid: Uid| {
            let mut seen = settlement.included.iter().map(|one| &one.seen);
            seen.find(|seen| seen.uid == uid)
        };
        let contribution = |uid: Uid| match included(uid) {
            // It was applied, so it is here, whenever it came.
            Some(seen) => Some(seen.commitment.sealed_root),
            None => self.good_of(uid),
        };
        let miners = settlement.miners.iter().map(|(uid, _)| *uid);
        let found = value::subjects(has_attested, miners, contribution);
        let subject = |subject: value::Subject<SealedRoot>| {
            let slot = usize::try_from(subject.slot).ok()?;
            let (uid, hotkey) = *settlement.miners.get(slot)?;
            Some(Subject {
                slot: subject.slot,
                uid,
                hotkey,
                found: subject.contribution.map_or(Found::Missed, Found::Good),
            })
        };
        let held = self.held().filter(|_| has_attested)?;
        let mut pledges = self.pledges.iter();
        let pledge = pledges.find(|pledge| pledge.round == settlement.round)?;
        let before = self.included.iter();
        let mut before = before.filter(|(round, _)| round.checked_add(1) == Some(settlement.round));
        Some(Measurement {
            round: settlement.round,
            root: held.root,
            plan: settlement.plan.clone(),
            exam: settlement.exam,
            salt: pledge.own_draw(),
            subjects: found.into_iter().filter_map(subject).collect(),
            included: settlement.uids(),
            trusts: settlement.trusts(),
            before: before
                .next()
                .map_or_else(Vec::new, |(_, roots)| roots.clone()),
        })
    }

    fn good(&self, uid: Uid, root: SealedRoot) -> Option<SealedRoot> {
        let known = self.known.get(&(uid, root))?;
        (known.check == Check::Good).then_some(root)
    }

    fn good_of(&self, uid: Uid) -> Option<SealedRoot> {
        let last = SealedRoot::from([0xff; 32]);
        let good = self.known.range((uid, SealedRoot::zero())..=(uid, last));
        good.rev()
            .find_map(|((uid, root), _)| self.good(*uid, *root))
    }
}

impl Machine for Validator {
    type Done = Done;
    type Work = Task;

    fn handle(&mut self, event: Event<Done>, now: BlockNumber) {
        if let Event::Sent { kind, block } = &event {
            if *kind == Kind::Scores {
                self.hidden_rows.sent(block.is_some());
            }
        }
        let left = self.course.take(event, now);
        self.follow(left, now);
    }

    fn poll_action(&mut self) -> Option<Action<Task>> {
        self.course.poll(true)
    }
}
