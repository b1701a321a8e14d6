//! The validator's machine against a chain that re-organises, files that come late, and a validator that crashes.

use std::collections::{BTreeMap, BTreeSet};

use cairn_primitives::{
    BlockNumber, ModelRoot, Netuid, Round, SealedRoot, Secret, Uid, Verdicts, H256,
};
use cairn_protocol::checkpoint;
use cairn_round::{
    hidden_row::{self, HiddenRow},
    machine::{Kind, Transaction},
    pledge::{self, Pledge},
    validator::{Done, Found, Id, Measurement, Task, Validator, Weighed},
    Action, Event, Held, Settlement, View,
};
use proptest::prelude::*;

use crate::{
    chain::{root_after, turn, Chain, Turn},
    common::{bytes, commitment, held_at, hotkey, plan, Driven, VALIDATOR},
};

/// What a validator does beside waiting.
#[derive(Clone, Debug)]
pub enum Job {
    Apply(Settlement),
    Keep(Held),
    Join,
    Own(Task),
}

impl Job {
    /// Whether it needs the processor, of which there is one.
    fn computes(&self) -> bool {
        match self {
            Job::Apply(_) | Job::Keep(_) | Job::Join | Job::Own(Task::Measure(_)) => true,
            Job::Own(_) => false,
        }
    }
}

/// A chain, a validator's disk, and the validator.
pub struct World {
    pub chain: Chain,
    pub disk: (Held, Vec<HiddenRow>),
    pledges: Vec<Pledge>,
    pub jobs: Vec<Job>,
    sending: BTreeSet<Kind>,
    validator: Driven<Validator>,
    /// What the chain answers, read when it was asked, and the block at which that was.
    pub answer: Option<(View, BlockNumber)>,
    /// The last view that the validator was given.
    seen: Option<View>,
    /// What this process opened and found good, by round.
    good: BTreeSet<(Round, Id)>,
    /// The rounds for which this process found out what to attest.
    attested: BTreeSet<Round>,
    /// What any process committed to, by round.
    promised: BTreeMap<Round, H256>,
    numbers: u64,
}

#[derive(Clone, Debug)]
pub enum Happening {
    Chain(Turn),
    /// The chain's answer arrives, or none does. `now` is then when it was read, or when it arrives.
    Answer {
        fails: bool,
        as_read: bool,
    },
    /// A miner commits to something that is good, or is not.
    Commit(Uid, bool),
    /// A miner reveals.
    Reveal(Uid),
    /// One of the jobs ends.
    JobEnds {
        which: usize,
        succeeds: bool,
    },
    /// What was sent is in a block so far ahead of the best one, or was not seen into one.
    SubmitEnds(Kind, Option<BlockNumber>),
    /// The process dies, and is started again after so many blocks.
    Crash {
        after_saving: bool,
        away: u32,
    },
}

pub fn happening() -> impl Strategy<Value = Happening> {
    use Happening::*;
    let answer = |(fails, as_read)| Answer { fails, as_read };
    let away = prop_oneof![4 => 0u32..3, 1 => 0u32..100];
    let crash = |(after_saving, away)| Crash { after_saving, away };
    let ends = |(which, succeeds)| JobEnds { which, succeeds };
    let kind = prop_oneof![Just(Kind::Attestation), Just(Kind::Scores)];
    let submitted = |(kind, block)| SubmitEnds(kind, block);
    prop_oneof![
        32 => turn().prop_map(Chain),
        24 => (prop::bool::weighted(0.1), any::<bool>()).prop_map(answer),
        6 => ((1u16..4).prop_map(Uid), prop::bool::weighted(0.7)).prop_map(|(uid, good)| Commit(uid, good)),
        12 => (1u16..4).prop_map(|uid| Reveal(Uid(uid))),
        36 => (0usize..8, prop::bool::weighted(0.8)).prop_map(ends),
        8 => (kind, prop::option::weighted(0.8, 0u32..2)).prop_map(submitted),
        1 => (any::<bool>(), away).prop_map(crash),
    ]
}

/// What shows that this round was measured.
fn witness_of(round: Round) -> H256 {
    bytes(70_000 + u64::from(round))
}

/// Every second content is bad.
fn is_good(root: SealedRoot) -> bool {
    root.0.to_low_u64_be().is_multiple_of(2)
}

fn machine((held, hidden_rows): (Held, Vec<HiddenRow>), pledges: Vec<Pledge>) -> Driven<Validator> {
    let initial = held_at(0).root;
    let machine = Validator::new(hotkey(VALIDATOR), initial, Some(held), pledges, hidden_rows);
    Driven::new(machine)
}

impl World {
    pub fn new() -> World {
        let disk = (held_at(0), Vec::new());
        let mut world = World {
            chain: Chain::new(),
            validator: machine(disk.clone(), Vec::new()),
            disk,
            pledges: Vec::new(),
            jobs: Vec::new(),
            sending: BTreeSet::new(),
            answer: None,
            seen: None,
            good: BTreeSet::new(),
            attested: BTreeSet::new(),
            promised: BTreeMap::new(),
            numbers: 0,
        };
        world.start();
        world
    }

    /// A validator that was not there before, or has crashed.
    fn start(&mut self) {
        self.jobs.clear();
        self.sending.clear();
        self.good.clear();
        self.attested.clear();
        self.answer = None;
        self.validator = machine(self.disk.clone(), self.pledges.clone());
        assert_eq!(self.validator.drain(), [], "nothing is known of the chain");
        self.read();
    }

    /// The chain is read when the validator asks for it, and only then.
    fn read(&mut self) {
        if let (Some(question), None) = (self.validator.asked, &self.answer) {
            let view = self.chain.answer(question);
            self.answer = Some((view, self.chain.best().number));
        }
    }

    fn tell(&mut self, event: Event<Done>, now: BlockNumber) {
        for action in self.validator.tell(event, now) {
            self.act(action);
        }
        self.read();
    }

    pub fn happen(&mut self, happening: &Happening) {
        let now = self.chain.best().number;
        match happening {
            Happening::Chain(turn) => {
                self.chain.turn(turn);
                self.tell(Event::Moved, self.chain.best().number);
                assert!(self.answer.is_some(), "it does not look though it moved");
            }
            Happening::Answer { fails, as_read } => self.answer(*fails, *as_read),
            Happening::Commit(uid, is_good) => {
                self.numbers += 1;
                let content = 2 * self.numbers + u64::from(!is_good);
                let round = self.chain.best().round;
                let commit = Transaction::Commit(round, commitment(content));
                self.chain.pool.push((*uid, commit));
            }
            Happening::Reveal(uid) => {
                let best = self.chain.best();
                if let Some(seen) = best.contributions.get(uid) {
                    let key = Secret::new(*seen.commitment.sealed_root.bytes());
                    let reveal = Transaction::Reveal(best.round, key);
                    self.chain.pool.push((*uid, reveal));
                }
            }
            Happening::JobEnds { which, succeeds } => self.job_ends(*which, *succeeds),
            Happening::SubmitEnds(kind, ahead) => {
                if self.sending.remove(kind) {
                    let (kind, block) = (*kind, ahead.map(|ahead| now + ahead));
                    self.tell(Event::Sent { kind, block }, now);
                }
            }
            Happening::Crash { after_saving, away } => {
                for job in std::mem::take(&mut self.jobs) {
                    if *after_saving {
                        self.end(job, true);
                    }
                }
                self.chain.go_on(*away);
                self.start();
            }
        }
    }

    pub fn answer(&mut self, fails: bool, as_read: bool) {
        let now = self.chain.best().number;
        let Some((view, read_at)) = self.answer.take() else {
            return;
        };
        if fails {
            return self.tell(Event::NotLooked, now);
        }
        self.seen = Some(view.clone());
        let now = if as_read { read_at } else { now };
        self.tell(Event::Looked(Box::new(view)), now);
    }

    fn job_ends(&mut self, which: usize, succeeds: bool) {
        if self.jobs.is_empty() {
            return;
        }
        let job = self.jobs.remove(which % self.jobs.len());
        if !succeeds && matches!(job, Job::Keep(_) | Job::Own(Task::Pledge { .. })) {
            // What cannot be written ends the process.
            return self.start();
        }
        if let Some(event) = self.end(job, succeeds) {
            if let Event::Done(Done::Opened {
                round,
                id,
                is_good: true,
            }) = &event
            {
                self.good.insert((*round, *id));
            }
            self.tell(event, self.chain.best().number);
        }
    }

    /// What a job writes to disk, and reports then.
    fn end(&mut self, job: Job, succeeds: bool) -> Option<Event<Done>> {
        Some(match job {
            Job::Own(task) => Event::Done(self.end_own(task, succeeds)?),
            Job::Apply(settlement) if !succeeds => Event::NotApplied(settlement.round),
            Job::Apply(settlement) => Event::Applied {
                round: settlement.round,
                root: root_after(self.disk.0.root, &settlement),
            },
            Job::Keep(held) => {
                self.disk.0 = held;
                Event::Kept(held)
            }
            Job::Join => {
                let newest = self.chain.newest();
                if !succeeds || newest.round <= self.disk.0.round {
                    return Some(Event::NotJoined);
                }
                self.disk.0 = newest;
                Event::Joined(newest)
            }
        })
    }

    fn end_own(&mut self, task: Task, succeeds: bool) -> Option<Done> {
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
                is_here: succeeds,
            },
            Task::Open(claim) => Done::Opened {
                round: claim.round,
                id: (claim.uid, claim.commitment.sealed_root),
                is_good: is_good(claim.commitment.sealed_root),
            },
            Task::Pledge {
                round,
                root,
                verdicts,
                witness,
            } => {
                self.numbers += 1;
                let (voter, salt) = ((Netuid(7), hotkey(VALIDATOR)), bytes(self.numbers).0);
                let salt = Secret::new(salt);
                let pledge = Pledge::new(voter, round, root, verdicts, witness, salt);
                self.pledges = pledge::with(&self.pledges, pledge.clone());
                Done::Pledged(pledge)
            }
            Task::Measure(measurement) => {
                let round = measurement.round;
                // Sometimes time runs out.
                self.numbers += 1;
                let is_whole = succeeds && !self.numbers.is_multiple_of(3);
                Done::Measured(round, is_whole.then(|| witness_of(round)))
            }
            Task::Weigh { .. } if !succeeds => Done::Weighed(Weighed::Unanswered),
            Task::Weigh { round, epoch } => {
                self.numbers += 1;
                let (voter, salt) = ((Netuid(7), hotkey(VALIDATOR)), bytes(self.numbers).0);
                let epoch = epoch.expect("this subnet hides scores");
                let hidden_row =
                    HiddenRow::new(voter, round, epoch, vec![(Uid(1), 7)], Secret::new(salt));
                let kept = self.validator.machine.hidden_rows();
                self.disk.1 = hidden_row::with(kept, hidden_row.clone());
                Done::Weighed(Weighed::Hidden(hidden_row))
            }
            Task::WriteCheckpoint(held) => Done::Checkpoint(held, succeeds),
            Task::StopMeasuring => return None,
        })
    }

    fn begin(&mut self, job: Job) {
        let busy = self.jobs.iter().find(|job| job.computes());
        assert!(!job.computes() || busy.is_none(), "{job:?} beside {busy:?}");
        self.jobs.push(job);
    }

    fn act(&mut self, action: Action<Task>) {
        match action {
            Action::Apply {
                settlement,
                is_included: false,
            } => {
                assert_eq!(settlement.round, self.disk.0.round, "in order");
                self.begin(Job::Apply(settlement));
            }
            Action::Keep {
                settlement, held, ..
            } => {
                assert_eq!(settlement.round, self.disk.0.round, "in order");
                assert_eq!(held.round, settlement.round + 1, "each once");
                let root = self.chain.finalized().roots[held.round as usize];
                assert_eq!(held.root, root);
                self.begin(Job::Keep(held));
            }
            Action::Join => self.begin(Job::Join),
            Action::Do(Task::StopMeasuring) => {
                let measures = |job: &Job| matches!(job, Job::Own(Task::Measure(_)));
                assert!(self.jobs.iter().any(measures));
            }
            Action::Do(task) => {
                match &task {
                    Task::Measure(measurement) => self.check_measurement(measurement),
                    Task::Pledge {
                        round,
                        root,
                        verdicts,
                        witness,
                    } => {
                        let before = round.checked_sub(1).map(witness_of);
                        assert!(witness.is_zero() || Some(*witness) == before);
                        self.check_pledge(*round, verdicts, *root);
                        self.attested.insert(*round);
                    }
                    Task::WriteCheckpoint(held) => {
                        assert_eq!(*held, self.disk.0);
                        assert!(checkpoint::is_due(held.round));
                    }
                    _ => {}
                }
                self.begin(Job::Own(task));
            }
            Action::Send(transaction) => self.send(transaction),
            other => unreachable!("{other:?}"),
        }
    }

    /// Nothing is measured but what was good or included, by whoever attested.
    fn check_measurement(&self, measurement: &Measurement) {
        let round = measurement.round;
        assert!(self.attested.contains(&round));
        assert_eq!(measurement.plan, plan(round));
        assert_eq!(round + 1, self.disk.0.round);
        for subject in &measurement.subjects {
            if let Found::Good(root) = subject.found {
                let is_good = self.good.contains(&(round, (subject.uid, root)));
                assert!(is_good || measurement.included.contains(&subject.uid));
            }
        }
    }

    fn send(&mut self, transaction: Transaction) {
        assert!(self.sending.insert(transaction.kind()), "two under way");
        let view = self.seen.as_ref().expect("nothing is sent unseen");
        let voting = view.voting.as_ref().expect("it was asked for");
        match &transaction {
            Transaction::CommitAttestation(pledge) => {
                assert!(self.pledges.contains(pledge), "before it was on disk");
                let known = *self.promised.entry(pledge.round).or_insert(pledge.hash);
                assert_eq!(known, pledge.hash, "bound to two things");
            }
            Transaction::Attest(pledge) => {
                assert_eq!(view.round.round, pledge.round);
                let known = self.promised.get(&pledge.round);
                assert_eq!(known, Some(&pledge.hash), "it committed to something else");
                let own = &view.validators[0];
                assert_eq!((own.attested, own.committed), (false, Some(pledge.hash)));
            }
            Transaction::CommitScores(hidden_row) => {
                assert!(
                    self.disk.1.contains(hidden_row),
                    "committed before it was on disk"
                );
                assert_eq!(hidden_row.epoch, voting.epoch);
            }
            Transaction::RevealScores(hidden_row) => {
                assert!(self.disk.1.contains(hidden_row));
                assert_eq!(hidden_row.epoch + 1, voting.epoch, "its epoch has not run");
                let open = voting.commits.iter().find(|it| it.hash == hidden_row.hash);
                assert!(open.is_some_and(|commit| !commit.revealed));
            }
            other => unreachable!("{other:?}"),
        }
        self.chain.pool.push((VALIDATOR, transaction));
    }

    /// It holds the round's parameters, is not bound yet as far as it can know, and has found good, when it was opened,
    /// whatever it vouches for and is on chain.
    fn check_pledge(&self, round: Round, verdicts: &Verdicts, root: ModelRoot) {
        let view = self.seen.as_ref().expect("nothing is sent unseen");
        assert_eq!(Held { round, root }, self.disk.0);
        assert_eq!(view.round.round, round);
        assert!(view
            .validators
            .iter()
            .all(|one| !one.attested && one.committed.is_none()));
        assert!(
            self.pledges.iter().all(|one| one.round != round),
            "it has one"
        );
        let revealed: BTreeMap<Uid, Id> = view
            .contributions
            .iter()
            .filter(|seen| seen.key.is_some())
            .map(|seen| (seen.uid, (seen.uid, seen.commitment.sealed_root)))
            .collect();
        for uid in verdicts.uids() {
            assert!(self.good.contains(&(round, revealed[&uid])));
        }
    }

    /// All that is under way ends, this way, until there is nothing left; the chain stays where it is.
    pub fn rest(&mut self, well: bool) {
        for _ in 0..60 {
            if self.answer.is_none() && self.jobs.is_empty() {
                return;
            }
            self.answer(!well, true);
            self.job_ends(0, well);
        }
        panic!("it does not come to rest");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    // The promises are asserted where the world acts.
    #[test]
    fn whatever_happens_the_promises_hold(
        happenings in prop::collection::vec(happening(), 1..800)
    ) {
        let mut world = World::new();
        for happening in &happenings {
            world.happen(happening);
        }
        world.rest(false);
    }
}
