//! The validator's machine with any views, in any order, files that come late, and a validator that crashes.

use std::collections::{BTreeMap, BTreeSet};

use cairn_primitives::{
    BlockNumber, Judgement, ModelRoot, Netuid, Round, RunConfig, SealedRoot, Secret, Served, Uid,
    Witness, H256,
};
use cairn_protocol::checkpoint;
use cairn_round::{
    hidden_row::{self, Committed, HiddenRow, Scoring},
    machine::{Kind, Transaction},
    pledge::{self, Pledge},
    validator::{Done, Found, Id, Measurement, Opened, Task, Validator, Weighed},
    Action, Event, Held, View,
};
use proptest::prelude::*;

use crate::{
    common::{bytes, held_at, hotkey, plan, Driven, VALIDATOR},
    views::{lives, next, told, Glimpse, Told, FIRST},
};

/// What a validator does beside waiting.
#[derive(Clone, Debug)]
enum Job {
    Apply(Round),
    Keep(Held),
    Join,
    Own(Box<Task>),
}

impl Job {
    /// Whether it needs the processor, of which there is one.
    fn computes(&self) -> bool {
        !matches!(self, Job::Own(task) if !matches!(**task, Task::Measure(_)))
    }

    /// Whether the machine stops if it fails.
    fn writes_state(&self) -> bool {
        match self {
            Job::Keep(_) => true,
            Job::Own(task) => matches!(**task, Task::Pledge { .. }),
            Job::Apply(_) | Job::Join => false,
        }
    }
}

/// A validator, its disk, and what it has seen and done.
struct Run {
    validator: Driven<Validator>,
    held: Held,
    rows: Vec<HiddenRow>,
    pledges: Vec<Pledge>,
    jobs: Vec<Job>,
    sending: BTreeSet<Kind>,
    seen: Option<View>,
    now: BlockNumber,
    /// What this process opened and found good, by round.
    good: BTreeSet<(Round, Id)>,
    /// What it opened and found broken.
    broken: BTreeSet<(Round, Id)>,
    /// The rounds for which this process found out what to attest.
    attested: BTreeSet<Round>,
    /// What any process committed to, by round.
    promised: BTreeMap<Round, H256>,
    numbers: u64,
    /// What it ever did.
    did: BTreeSet<&'static str>,
}

/// What shows that this round was measured.
fn witness_of(round: Round) -> Witness {
    Witness {
        gains: bytes(70_000 + u64::from(round)),
        loss: 5_000_000 + round,
    }
}

/// Every second content is good, and of the others every second one broken.
fn found(root: SealedRoot) -> Opened {
    match root.0.to_low_u64_be() % 4 {
        0 | 2 => Opened::Good,
        1 => Opened::Broken,
        _ => Opened::Bad,
    }
}

impl Run {
    fn new() -> Run {
        let held = held_at(FIRST);
        let mut run = Run {
            validator: Driven::new(machine(held, &[], &[])),
            held,
            rows: Vec::new(),
            pledges: Vec::new(),
            jobs: Vec::new(),
            sending: BTreeSet::new(),
            seen: None,
            now: 0,
            good: BTreeSet::new(),
            broken: BTreeSet::new(),
            attested: BTreeSet::new(),
            promised: BTreeMap::new(),
            numbers: 0,
            did: BTreeSet::new(),
        };
        run.start();
        run
    }

    /// A validator that was not there before, or has crashed.
    fn start(&mut self) {
        self.jobs.clear();
        self.sending.clear();
        self.good.clear();
        self.broken.clear();
        self.attested.clear();
        self.seen = None;
        self.validator = Driven::new(machine(self.held, &self.pledges, &self.rows));
        assert_eq!(self.validator.drain(), [], "nothing is known of the chain");
    }

    fn tell(&mut self, event: Event<Done>) {
        for action in self.validator.tell(event, self.now) {
            self.act(action);
        }
    }

    fn hear(&mut self, told: &Told) {
        match told {
            Told::Moved => {
                self.tell(Event::Moved);
                let asked = self.validator.asked;
                assert!(asked.is_some(), "it does not look though it moved");
            }
            Told::Answer(glimpse) => self.answer(glimpse.as_ref()),
            Told::Ends(which, well) => self.end(*which, *well),
            Told::Sent(kind, block) => {
                if self.sending.remove(kind) {
                    let (kind, block) = (*kind, *block);
                    self.tell(Event::Sent { kind, block });
                }
            }
            Told::Crash(after_writing) => {
                for job in std::mem::take(&mut self.jobs) {
                    if *after_writing {
                        self.write(job, true);
                    }
                }
                self.start();
            }
        }
    }

    fn answer(&mut self, glimpse: Option<&Glimpse>) {
        let Some(question) = self.validator.asked else {
            return;
        };
        let Some(glimpse) = glimpse else {
            return self.tell(Event::NotLooked);
        };
        let (mut view, now) = glimpse.of(self.held, question, 10 + self.numbers % 2);
        let round = view.round.round;
        let mut pledges = self.pledges.iter();
        let pledge = pledges.find(|pledge| pledge.round == round);
        let own = &mut view.validators[0];
        (own.committed, own.attested) = match glimpse.attester {
            0 => (None, false),
            1 => (pledge.map(|pledge| pledge.hash), false),
            2 => (Some(bytes(9)), false),
            _ => (None, true),
        };
        view.voting = question.voting.then(|| self.voting(glimpse));
        (self.seen, self.now) = (Some(view.clone()), now);
        self.tell(Event::Looked(Box::new(view)));
    }

    /// What the chain has of the rows on disk.
    fn voting(&self, glimpse: &Glimpse) -> Scoring {
        let epochs = (glimpse.epoch - 1..=glimpse.epoch).zip(&glimpse.scores);
        let commits = epochs.filter_map(|(epoch, (is_there, revealed))| {
            let row = self.rows.iter().rfind(|row| row.epoch == epoch)?;
            let (hash, at, revealed) = (row.hash, 90, *revealed);
            is_there.then_some(Committed {
                epoch,
                hash,
                at,
                revealed,
            })
        });
        Scoring {
            commit_reveal: true,
            epoch: glimpse.epoch,
            due: 1_000,
            rate_limit: 3,
            commits: commits.collect(),
        }
    }

    fn end(&mut self, which: usize, well: bool) {
        if self.jobs.is_empty() {
            return;
        }
        let job = self.jobs.remove(which % self.jobs.len());
        if !well && job.writes_state() {
            // What cannot be written ends the process.
            return self.start();
        }
        let Some(event) = self.write(job, well) else {
            return;
        };
        if let Event::Done(Done::Opened { round, id, found }) = &event {
            match found {
                Opened::Good => self.good.insert((*round, *id)),
                Opened::Broken => self.broken.insert((*round, *id)),
                Opened::Bad => false,
            };
        }
        self.tell(event);
    }

    /// What a job writes to disk, and reports then.
    fn write(&mut self, job: Job, well: bool) -> Option<Event<Done>> {
        Some(match job {
            Job::Own(task) => Event::Done(self.write_own(*task, well)?),
            Job::Apply(round) if !well => Event::NotApplied(round),
            Job::Apply(round) => Event::Applied {
                round,
                root: next(round).root,
            },
            Job::Keep(held) => {
                self.held = held;
                Event::Kept(held)
            }
            Job::Join if !well => Event::NotJoined,
            Job::Join => {
                self.held = held_at(self.held.round + 3);
                Event::Joined(self.held)
            }
        })
    }

    fn write_own(&mut self, task: Task, well: bool) -> Option<Done> {
        self.numbers += 1;
        let (voter, salt) = ((Netuid(7), hotkey(VALIDATOR)), bytes(self.numbers).0);
        let salt = Secret::new(salt);
        Some(match task {
            Task::Audit(_) => panic!("nothing is audited here"),
            Task::Fetch {
                round,
                uid,
                commitment,
                ..
            } => Done::Fetched {
                round,
                id: (uid, commitment.sealed_root),
                is_here: well,
            },
            Task::Open(claim) => Done::Opened {
                round: claim.round,
                id: (claim.uid, claim.commitment.sealed_root),
                found: found(claim.commitment.sealed_root),
            },
            Task::Pledge {
                round,
                root,
                verdicts,
                witness,
            } => {
                let pledge = Pledge::new(voter, round, root, verdicts, witness, salt);
                self.pledges = pledge::with(&self.pledges, pledge.clone());
                Done::Pledged(pledge)
            }
            Task::Measure(measurement) => {
                let round = measurement.round;
                // Sometimes time runs out.
                let is_whole = well && !self.numbers.is_multiple_of(3);
                let witness = is_whole.then(|| witness_of(round));
                Done::Measured(round, witness, Vec::new())
            }
            Task::Weigh { .. } if !well => Done::Weighed(Weighed::Unanswered),
            Task::Weigh { round, epoch } => {
                let epoch = epoch.expect("this subnet hides scores");
                let row = HiddenRow::new(
                    voter,
                    round,
                    epoch,
                    vec![(Uid(1), 7)],
                    Served::default(),
                    salt,
                );
                let kept = self.validator.machine.hidden_rows();
                self.rows = hidden_row::with(kept, row.clone());
                Done::Weighed(Weighed::Hidden(row))
            }
            Task::WriteCheckpoint(held) => Done::Checkpoint(held, well),
            Task::StopMeasuring => return None,
        })
    }

    fn begin(&mut self, job: Job) {
        let busy = self.jobs.iter().find(|job| job.computes());
        assert!(!job.computes() || busy.is_none(), "{job:?} beside {busy:?}");
        self.jobs.push(job);
    }

    fn view(&self) -> &View {
        self.seen.as_ref().expect("nothing is done unseen")
    }

    fn act(&mut self, action: Action<Task>) {
        self.did.insert(name(&action));
        match action {
            Action::Apply {
                settlement,
                is_included: false,
            } => {
                assert_eq!(settlement.round, self.held.round, "in order");
                assert_eq!(self.view().settled.as_ref(), Some(&settlement));
                self.begin(Job::Apply(settlement.round));
            }
            Action::Keep {
                settlement,
                held,
                audited,
            } => {
                assert_eq!(settlement.round, self.held.round, "in order");
                assert_eq!((held, audited), (next(self.held.round), None));
                self.begin(Job::Keep(held));
            }
            Action::Join => {
                let (seen, held) = (self.view().round, self.held.round);
                assert!(seen.oldest > held || seen.round > held + 1);
                self.begin(Job::Join);
            }
            Action::Do(Task::StopMeasuring) => {
                let measures =
                    |job: &Job| matches!(job, Job::Own(task) if matches!(**task, Task::Measure(_)));
                assert!(self.jobs.iter().any(measures));
            }
            Action::Do(task) => {
                self.check(&task);
                self.begin(Job::Own(Box::new(task)));
            }
            Action::Send(transaction) => self.send(&transaction),
            other => unreachable!("{other:?}"),
        }
    }

    fn check(&mut self, task: &Task) {
        match task {
            Task::Measure(measurement) => self.check_measurement(measurement),
            Task::Pledge {
                round,
                root,
                verdicts,
                witness,
            } => {
                let before = round.checked_sub(1).map(witness_of);
                assert!(*witness == Witness::default() || Some(*witness) == before);
                self.check_pledge(*round, verdicts, *root);
                self.attested.insert(*round);
            }
            Task::WriteCheckpoint(held) => {
                assert_eq!(*held, self.held);
                assert!(checkpoint::is_due(
                    held.round,
                    RunConfig::USUAL_CHECKPOINT_EVERY
                ));
            }
            Task::Weigh { epoch, .. } => {
                let next = self.view().voting.as_ref().map(|voting| voting.epoch);
                assert_eq!(*epoch, next);
                let weighs = |job: &Job| matches!(job, Job::Own(task) if matches!(**task, Task::Weigh { .. }));
                let is_busy = self.jobs.iter().any(weighs) || self.sending.contains(&Kind::Scores);
                assert!(!is_busy, "two steps at a time");
            }
            _ => {}
        }
    }

    /// Nothing is measured but what was good or included, by whoever attested.
    fn check_measurement(&self, measurement: &Measurement) {
        let round = measurement.round;
        assert!(self.attested.contains(&round));
        assert_eq!(measurement.plan, plan(round));
        assert_eq!(round + 1, self.held.round);
        for subject in &measurement.subjects {
            if let Found::Good(root) = subject.found {
                let is_good = self.good.contains(&(round, (subject.uid, root)));
                assert!(is_good || measurement.included.contains(&subject.uid));
            }
        }
    }

    /// It holds the round's parameters, is not bound yet as far as it can know, and has found good, when it was opened,
    /// whatever it vouches for, and broken whatever it calls so, and is on chain.
    fn check_pledge(&self, round: Round, verdicts: &Judgement, root: ModelRoot) {
        let view = self.view();
        assert_eq!(Held { round, root }, self.held);
        assert_eq!(view.round.round, round);
        let own = &view.validators[0];
        assert_eq!((own.attested, own.committed), (false, None));
        let is_bound = self.pledges.iter().any(|one| one.round == round);
        assert!(!is_bound, "it has one");
        let revealed = view.contributions.iter().filter(|seen| seen.key.is_some());
        let revealed: BTreeMap<Uid, Id> = revealed
            .map(|seen| (seen.uid, (seen.uid, seen.commitment.sealed_root)))
            .collect();
        for uid in verdicts.good.uids() {
            assert!(self.good.contains(&(round, revealed[&uid])));
        }
        for uid in verdicts.broken.uids() {
            assert!(self.broken.contains(&(round, revealed[&uid])));
        }
    }

    fn send(&mut self, transaction: &Transaction) {
        assert!(self.sending.insert(transaction.kind()), "two under way");
        let view = self.seen.as_ref().expect("nothing is sent unseen");
        let voting = view.voting.as_ref().expect("it was asked for");
        match transaction {
            Transaction::CommitAttestation(pledge) => {
                assert!(self.pledges.contains(pledge), "before it was on disk");
                let known = *self.promised.entry(pledge.round).or_insert(pledge.hash);
                assert_eq!(known, pledge.hash, "bound to two things");
            }
            Transaction::Attest(pledge) => {
                assert!(self.pledges.contains(pledge), "before it was on disk");
                assert_eq!(view.round.round, pledge.round);
                let own = &view.validators[0];
                assert_eq!((own.attested, own.committed), (false, Some(pledge.hash)));
            }
            Transaction::CommitScores(row) => {
                assert!(self.rows.contains(row), "before it was on disk");
                assert_eq!(row.epoch, voting.epoch);
            }
            Transaction::RevealScores(row) => {
                assert!(self.rows.contains(row), "before it was on disk");
                assert_eq!(row.epoch + 1, voting.epoch, "its epoch has not run");
                let open = voting.commits.iter().find(|it| it.hash == row.hash);
                assert!(open.is_some_and(|commit| !commit.revealed));
            }
            other => unreachable!("{other:?}"),
        }
    }

    /// All that is under way fails, until there is nothing left.
    fn rest(&mut self) {
        for _ in 0..200 {
            if self.validator.asked.is_none() && self.jobs.is_empty() {
                return;
            }
            self.answer(None);
            self.end(0, false);
        }
        panic!("it does not come to rest");
    }
}

fn machine(held: Held, pledges: &[Pledge], rows: &[HiddenRow]) -> Validator {
    let (pledges, rows) = (pledges.to_vec(), rows.to_vec());
    Validator::new(
        hotkey(VALIDATOR),
        held_at(0).root,
        Some(held),
        pledges,
        rows,
    )
}

fn name(action: &Action<Task>) -> &'static str {
    match action {
        Action::Do(Task::Open(_)) => "open",
        Action::Do(Task::Pledge { .. }) => "pledge",
        Action::Do(Task::Measure(_)) => "measure",
        Action::Do(Task::Weigh { .. }) => "weigh",
        Action::Apply { .. } => "apply",
        Action::Keep { .. } => "keep",
        Action::Join => "join",
        Action::Send(Transaction::CommitAttestation(_)) => "commit to an attestation",
        Action::Send(Transaction::Attest(_)) => "attest",
        Action::Send(Transaction::CommitScores(_)) => "commit to scores",
        Action::Send(Transaction::RevealScores(_)) => "reveal scores",
        _ => "another thing",
    }
}

/// So that the property below is one of something.
#[test]
fn it_comes_to_do_all_of_which_it_promises_something() {
    let mut did = BTreeSet::new();
    for life in lives(400) {
        let mut run = Run::new();
        life.iter().for_each(|told| run.hear(told));
        did.append(&mut run.did);
    }
    let all = [
        "open",
        "pledge",
        "measure",
        "weigh",
        "apply",
        "keep",
        "join",
        "commit to an attestation",
        "attest",
        "commit to scores",
        "reveal scores",
    ];
    for one in all {
        assert!(did.contains(one), "it never does {one}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    // The promises are asserted where it acts.
    #[test]
    fn whatever_it_sees_its_promises_hold(all in prop::collection::vec(told(), 1..600)) {
        let mut run = Run::new();
        for told in &all {
            run.hear(told);
        }
        run.rest();
    }
}
