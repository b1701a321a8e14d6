//! The miner's machine with any views, in any order, and a miner that crashes.

use std::collections::{BTreeMap, BTreeSet};

use cairn_primitives::{BlockNumber, Phase, Round, SealedRoot};
use cairn_round::{
    ahead::{Sealed, AT_ONCE, MOST_OF_ONE},
    machine::{Kind, Transaction},
    miner::{Done, Intent, Miner, Task},
    validator::Id,
    Action, Event, Held, View,
};
use proptest::prelude::*;

use crate::{
    common::{held_at, hotkey, intent, plan, Driven, MINER},
    views::{lives, next, told, Glimpse, Told, FIRST},
};

/// What a miner computes. One thing at a time.
#[derive(Clone, Debug)]
enum Job {
    Train(Round),
    Apply(Round),
    Keep(Held),
    Join,
}

/// A miner, its disk, and what it has seen.
struct Run {
    miner: Driven<Miner>,
    disk: (Held, Option<Intent>),
    job: Option<Job>,
    /// What is being fetched before it is needed.
    fetching: BTreeSet<(Round, Id)>,
    /// What this process was to fetch of the round held.
    fetched: BTreeSet<Id>,
    is_sending: bool,
    seen: Option<View>,
    now: BlockNumber,
    contents: u64,
    committed: BTreeMap<Round, SealedRoot>,
    /// What it ever did.
    did: BTreeSet<&'static str>,
}

impl Run {
    fn new() -> Run {
        let held = held_at(FIRST);
        let mut run = Run {
            miner: Driven::new(Miner::new(hotkey(MINER), Some(held), None)),
            disk: (held, None),
            job: None,
            fetching: BTreeSet::new(),
            fetched: BTreeSet::new(),
            is_sending: false,
            seen: None,
            now: 0,
            contents: 10,
            committed: BTreeMap::new(),
            did: BTreeSet::new(),
        };
        run.start();
        run
    }

    /// A miner that was not there before, or has crashed.
    fn start(&mut self) {
        (self.job, self.is_sending, self.seen) = (None, false, None);
        self.fetching.clear();
        self.fetched.clear();
        let (held, intent) = self.disk.clone();
        self.miner = Driven::new(Miner::new(hotkey(MINER), Some(held), intent));
        assert_eq!(self.miner.drain(), [], "nothing is known of the chain yet");
    }

    fn tell(&mut self, event: Event<Done>) {
        for action in self.miner.tell(event, self.now) {
            self.act(action);
        }
    }

    fn hear(&mut self, told: &Told) {
        match told {
            Told::Moved => {
                self.tell(Event::Moved);
                assert!(
                    self.miner.asked.is_some(),
                    "it does not look though it moved"
                );
            }
            Told::Answer(glimpse) => self.answer(glimpse.as_ref()),
            Told::Ends(which, well) => match self.fetching.iter().nth(*which).copied() {
                Some(file) => self.end_fetching(file, *well),
                None => self.end(*well),
            },
            Told::Sent(kind, block) => {
                if *kind == Kind::Contribution && std::mem::take(&mut self.is_sending) {
                    let (kind, block) = (*kind, *block);
                    self.tell(Event::Sent { kind, block });
                }
            }
            Told::Crash(after_writing) => {
                if let Some(job) = self.job.take().filter(|_| *after_writing) {
                    self.write(job, true);
                }
                self.start();
            }
        }
    }

    fn answer(&mut self, glimpse: Option<&Glimpse>) {
        let Some(question) = self.miner.asked else {
            return;
        };
        let Some(glimpse) = glimpse else {
            return self.tell(Event::NotLooked);
        };
        let (view, now) = glimpse.of(self.disk.0, question, self.contents);
        (self.seen, self.now) = (Some(view.clone()), now);
        self.tell(Event::Looked(Box::new(view)));
    }

    fn end(&mut self, well: bool) {
        let Some(job) = self.job.take() else {
            return;
        };
        if !well && matches!(job, Job::Keep(_)) {
            // What cannot be written ends the process.
            return self.start();
        }
        let event = self.write(job, well);
        self.tell(event);
    }

    fn end_fetching(&mut self, (round, id): (Round, Id), is_here: bool) {
        self.fetching.remove(&(round, id));
        self.tell(Event::Done(Done::Fetched { round, id, is_here }));
    }

    fn fetch(&mut self, sealed: Sealed) {
        let held = self.disk.0.round;
        assert_eq!(sealed.round, held);
        assert_ne!(sealed.hotkey, hotkey(MINER), "its own is here");
        let settled = self.view().settled.as_ref();
        assert!(settled.is_none_or(|it| it.round != held), "too late");
        assert!(
            self.fetching.insert((held, sealed.id)),
            "it is fetched already"
        );
        let of_round = self.fetching.iter().filter(|(round, _)| *round == held);
        assert!(of_round.count() <= AT_ONCE);
        self.fetched.insert(sealed.id);
        let of_one = self.fetched.iter().filter(|(uid, _)| *uid == sealed.id.0);
        assert!(of_one.count() <= MOST_OF_ONE);
    }

    /// What a job writes to disk, and reports then.
    fn write(&mut self, job: Job, well: bool) -> Event<Done> {
        match job {
            Job::Train(round) if !well => Event::Done(Done::NothingTrained(round)),
            Job::Train(round) => {
                self.contents += 1;
                let made = intent(round, self.contents);
                assert_eq!(self.disk.0.round, round);
                assert_eq!(self.disk.1.replace(made.clone()), None, "made two");
                Event::Done(Done::Sealed(made))
            }
            Job::Apply(round) if !well => Event::NotApplied(round),
            Job::Apply(round) => Event::Applied {
                round,
                root: next(round).root,
            },
            Job::Keep(held) => {
                self.disk = (held, None);
                self.fetched.clear();
                Event::Kept(held)
            }
            Job::Join if !well => Event::NotJoined,
            Job::Join => {
                let held = held_at(self.disk.0.round + 3);
                self.disk = (held, None);
                self.fetched.clear();
                Event::Joined(held)
            }
        }
    }

    fn begin(&mut self, job: Job) {
        assert!(self.job.is_none(), "{job:?} while there is {:?}", self.job);
        self.job = Some(job);
    }

    fn view(&self) -> &View {
        self.seen.as_ref().expect("nothing is done unseen")
    }

    fn act(&mut self, action: Action<Task>) {
        self.did.insert(name(&action));
        let (held, made) = (self.disk.0, self.disk.1.as_ref());
        match action {
            Action::Do(Task::Train {
                round,
                uid,
                slot,
                plan: data,
                deadline: _,
                anew,
            }) => {
                assert!(!anew, "rounds do not overlap");
                assert_eq!((uid, slot, data), (MINER, 1, plan(round)));
                assert_eq!((held.round, made), (round, None));
                assert_eq!(self.view().round.round, round);
                self.begin(Job::Train(round));
            }
            Action::Do(Task::FinishTraining | Task::AbandonTraining) => {
                assert!(matches!(self.job, Some(Job::Train(_))));
            }
            Action::Do(Task::FetchAhead(sealed)) => self.fetch(sealed),
            Action::Do(Task::StopFetching(round)) => {
                assert!(self.fetching.iter().any(|(of, _)| *of == round));
            }
            Action::Apply {
                settlement,
                is_included,
            } => {
                let made = made.map(|intent| intent.commitment.sealed_root);
                let is_own = made.is_some() && made == settlement.own(hotkey(MINER));
                assert_eq!(is_included, is_own);
                assert_eq!(settlement.round, held.round, "in order");
                assert_eq!(self.view().settled.as_ref(), Some(&settlement));
                self.begin(Job::Apply(settlement.round));
            }
            Action::Keep {
                settlement,
                held: after,
                audited,
            } => {
                assert_eq!(settlement.round, held.round, "in order");
                assert_eq!((after, audited), (next(held.round), None));
                self.begin(Job::Keep(after));
            }
            Action::Join => {
                let seen = self.view().round;
                assert!(seen.oldest > held.round || seen.round > held.round + 1);
                self.begin(Job::Join);
            }
            Action::Send(transaction) => self.send(&transaction),
            other => unreachable!("{other:?}"),
        }
    }

    fn send(&mut self, transaction: &Transaction) {
        assert!(
            !std::mem::replace(&mut self.is_sending, true),
            "two under way"
        );
        let made = self.disk.1.as_ref().expect("sent before it was on disk");
        let view = self.seen.as_ref().expect("nothing is sent unseen");
        assert_eq!(view.round.round, made.round);
        match transaction {
            Transaction::Commit(round, commitment) => {
                assert_eq!((*round, commitment), (made.round, &made.commitment));
                assert!(view.contribution_of(hotkey(MINER)).is_none());
                let root = commitment.sealed_root;
                let first = *self.committed.entry(*round).or_insert(root);
                assert_eq!(first, root, "two contents in round {round}");
            }
            Transaction::Reveal(round, key) => {
                assert_eq!((*round, *key), (made.round, made.key));
                let own = view.contribution_of(hotkey(MINER)).expect("it is there");
                assert_eq!(own.commitment, made.commitment, "the key of another one");
                assert_eq!(own.key, None, "it is out");
                let is_over = view.round.certain.next_phase(self.now) != Phase::Train;
                assert!(is_over, "others can commit");
            }
            other => unreachable!("{other:?}"),
        }
    }

    /// All that is under way fails, until there is nothing left.
    fn rest(&mut self) {
        for _ in 0..24 {
            if self.miner.asked.is_none() && self.job.is_none() {
                return;
            }
            self.answer(None);
            self.end(false);
        }
        panic!("it does not come to rest");
    }
}

fn name(action: &Action<Task>) -> &'static str {
    match action {
        Action::Do(Task::Train { .. }) => "train",
        Action::Do(Task::FetchAhead(_)) => "fetch ahead",
        Action::Do(Task::StopFetching(_)) => "stop fetching",
        Action::Apply {
            is_included: true, ..
        } => "apply its own",
        Action::Apply { .. } => "apply",
        Action::Keep { .. } => "keep",
        Action::Join => "join",
        Action::Send(Transaction::Commit(..)) => "commit",
        Action::Send(Transaction::Reveal(..)) => "reveal",
        _ => "another thing",
    }
}

/// So that the property below is one of something.
#[test]
fn it_comes_to_do_all_of_which_it_promises_something() {
    let mut did = BTreeSet::new();
    for life in lives(100) {
        let mut run = Run::new();
        life.iter().for_each(|told| run.hear(told));
        did.append(&mut run.did);
    }
    let all = [
        "train",
        "fetch ahead",
        "stop fetching",
        "apply its own",
        "apply",
        "keep",
        "join",
        "commit",
        "reveal",
    ];
    for one in all {
        assert!(did.contains(one), "it never does {one}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    // The promises are asserted where it acts.
    #[test]
    fn whatever_it_sees_its_promises_hold(all in prop::collection::vec(told(), 1..400)) {
        let mut run = Run::new();
        for told in &all {
            run.hear(told);
        }
        run.rest();
    }
}
