//! The miner's machine against a chain that re-organises and a miner that crashes, in any order.

use std::collections::BTreeMap;

use cairn_primitives::{BlockNumber, Round, SealedRoot};
use cairn_round::{
    machine::{Kind, Transaction},
    miner::{Done, Intent, Miner, Task},
    Action, Event, Held, Settlement, View,
};
use proptest::prelude::*;

use crate::{
    chain::{root_after, turn, Chain, Turn},
    common::{held_at, hotkey, intent, plan, Driven, MINER, PHASES},
};

/// What a miner computes. One thing at a time.
#[derive(Clone, Debug)]
enum Job {
    Train(Round),
    Apply(Settlement),
    Keep(Held),
    Join,
}

/// A chain, a miner's disk, and the miner.
struct World {
    chain: Chain,
    disk: (Held, Option<Intent>),
    job: Option<Job>,
    submitting: bool,
    miner: Driven<Miner>,
    /// What the chain answers, read when it was asked, and the block at which that was.
    answer: Option<(View, BlockNumber)>,
    /// The last view that the miner was given.
    seen: Option<View>,
    contents: u64,
    committed: BTreeMap<Round, SealedRoot>,
}

#[derive(Clone, Debug)]
enum Happening {
    Chain(Turn),
    /// The chain's answer arrives, or none does. `now` is then when it was read, or when it arrives.
    Answer {
        fails: bool,
        as_read: bool,
    },
    JobEnds {
        succeeds: bool,
    },
    /// What was sent is in a block so far ahead of the best one, or was not seen into one.
    SubmitEnds(Option<BlockNumber>),
    /// The process dies, and is started again after so many blocks.
    Crash {
        after_saving: bool,
        away: u32,
    },
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::*;
    let answer = |(fails, as_read)| Answer { fails, as_read };
    let away = prop_oneof![4 => 0u32..3, 1 => 0u32..100];
    let crash = |(after_saving, away)| Crash { after_saving, away };
    prop_oneof![
        32 => turn().prop_map(Chain),
        24 => (prop::bool::weighted(0.1), any::<bool>()).prop_map(answer),
        14 => prop::bool::weighted(0.9).prop_map(|succeeds| JobEnds { succeeds }),
        8 => prop::option::weighted(0.8, 0u32..2).prop_map(SubmitEnds),
        1 => (any::<bool>(), away).prop_map(crash),
    ]
}

impl World {
    fn new() -> World {
        let mut world = World {
            chain: Chain::new(),
            disk: (held_at(0), None),
            job: None,
            submitting: false,
            miner: Driven::new(Miner::new(hotkey(MINER), Some(held_at(0)), None)),
            answer: None,
            seen: None,
            contents: 0,
            committed: BTreeMap::new(),
        };
        world.start();
        world
    }

    /// A miner that was not there before, or has crashed.
    fn start(&mut self) {
        let (held, intent) = self.disk.clone();
        self.job = None;
        self.submitting = false;
        self.answer = None;
        self.miner = Driven::new(Miner::new(hotkey(MINER), Some(held), intent));
        assert_eq!(self.miner.drain(), [], "nothing is known of the chain yet");
        self.read();
    }

    /// The chain is read when the miner asks for it, and only then.
    fn read(&mut self) {
        if let (Some(question), None) = (self.miner.asked, &self.answer) {
            let view = self.chain.answer(question);
            self.answer = Some((view, self.chain.best().number));
        }
    }

    fn tell(&mut self, event: Event<Done>, now: BlockNumber) {
        for action in self.miner.tell(event, now) {
            self.act(action);
        }
        self.read();
    }

    fn happen(&mut self, happening: &Happening) {
        let now = self.chain.best().number;
        match happening {
            Happening::Chain(turn) => {
                self.chain.turn(turn);
                self.tell(Event::Moved, self.chain.best().number);
                assert!(self.answer.is_some(), "it does not look though it moved");
            }
            Happening::Answer { fails, as_read } => self.answer(*fails, *as_read),
            Happening::JobEnds { succeeds } => {
                let event = self.job.take().and_then(|job| self.end(job, *succeeds));
                event.into_iter().for_each(|event| self.tell(event, now));
            }
            Happening::SubmitEnds(ahead) => {
                if std::mem::take(&mut self.submitting) {
                    let kind = Kind::Contribution;
                    let block = ahead.map(|ahead| now + ahead);
                    self.tell(Event::Sent { kind, block }, now);
                }
            }
            Happening::Crash { after_saving, away } => {
                if let Some(job) = self.job.take().filter(|_| *after_saving) {
                    self.end(job, true);
                }
                self.chain.go_on(*away);
                self.start();
            }
        }
    }

    fn answer(&mut self, fails: bool, as_read: bool) {
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

    /// What a job writes to disk, and reports then.
    fn end(&mut self, job: Job, succeeds: bool) -> Option<Event<Done>> {
        Some(match job {
            Job::Train(round) if !succeeds => Event::Done(Done::NothingTrained(round)),
            Job::Train(round) => {
                self.contents += 1;
                let made = intent(round, self.contents);
                assert_eq!(self.disk.0.round, round);
                assert_eq!(self.disk.1.replace(made.clone()), None, "made two");
                Event::Done(Done::Sealed(made))
            }
            Job::Apply(settlement) if !succeeds => Event::NotApplied(settlement.round),
            Job::Apply(settlement) => Event::Applied {
                round: settlement.round,
                root: root_after(self.disk.0.root, &settlement),
            },
            // What cannot be written ends the process.
            Job::Keep(_) if !succeeds => {
                self.start();
                return None;
            }
            Job::Keep(held) => {
                self.disk = (held, None);
                Event::Kept(held)
            }
            Job::Join => {
                let newest = self.chain.newest();
                if !succeeds || newest.round <= self.disk.0.round {
                    return Some(Event::NotJoined);
                }
                self.disk = (newest, None);
                Event::Joined(newest)
            }
        })
    }

    fn begin(&mut self, job: Job) {
        assert!(self.job.is_none(), "{job:?} while there is {:?}", self.job);
        self.job = Some(job);
    }

    fn act(&mut self, action: Action<Task>) {
        match action {
            Action::Do(Task::Train {
                round,
                slot,
                plan: data,
                deadline: _,
            }) => {
                assert_eq!((slot, &data), (1, &plan(round)));
                assert_eq!((self.disk.0.round, &self.disk.1), (round, &None));
                self.begin(Job::Train(round));
            }
            Action::Do(Task::Serve(_)) => panic!("nothing is audited here"),
            Action::Do(Task::FinishTraining | Task::AbandonTraining) => {
                assert!(matches!(self.job, Some(Job::Train(_))));
            }
            Action::Apply {
                settlement,
                is_included,
            } => {
                let made = self.disk.1.as_ref();
                let made = made.map(|intent| intent.commitment.sealed_root);
                let is_own = made.is_some() && made == settlement.own(hotkey(MINER));
                assert_eq!(is_included, is_own);
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
            Action::Send(transaction) => self.send(transaction),
            Action::Look(_) | Action::Explain(_) | Action::Stop(_) => {
                unreachable!("{action:?}")
            }
        }
    }

    fn send(&mut self, transaction: Transaction) {
        assert!(!self.submitting, "two under way");
        let made = self.disk.1.as_ref().expect("sent before it was on disk");
        match &transaction {
            Transaction::Commit(round, commitment) => {
                assert_eq!((*round, commitment), (made.round, &made.commitment));
                let root = commitment.sealed_root;
                let first = *self.committed.entry(*round).or_insert(root);
                assert_eq!(first, root, "two contents in round {round}");
            }
            Transaction::Reveal(round, key) => {
                assert_eq!((*round, key), (made.round, &made.key));
                let view = self.seen.as_ref().expect("nothing is sent unseen");
                assert_eq!(view.round.round, *round);
                let own = view.contribution_of(hotkey(MINER)).expect("it is there");
                assert_eq!(own.commitment, made.commitment, "the key of another one");
            }
            other => unreachable!("{other:?}"),
        }
        self.submitting = true;
        self.chain.pool.push((MINER, transaction));
    }

    /// All that is under way ends, this way, until there is nothing left; the chain stays where it is.
    fn rest(&mut self, well: bool) {
        for _ in 0..24 {
            if self.answer.is_none() && self.job.is_none() {
                return;
            }
            self.answer(!well, true);
            self.happen(&Happening::JobEnds { succeeds: well });
        }
        panic!("it does not come to rest");
    }

    /// A chain that goes on, takes transactions and finalises.
    fn quiet_blocks(&mut self, blocks: BlockNumber) {
        for _ in 0..blocks {
            self.happen(&Happening::Chain(Turn::Block {
                takes: true,
                includes: true,
            }));
            self.happen(&Happening::Chain(Turn::Finalize(6)));
            self.happen(&Happening::SubmitEnds(Some(0)));
            self.rest(true);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    // The promises are asserted where the world acts.
    #[test]
    fn whatever_happens_the_promises_hold(
        happenings in prop::collection::vec(happening(), 1..600)
    ) {
        let mut world = World::new();
        for happening in &happenings {
            world.happen(happening);
        }
        world.rest(false);
    }

    // It comes on from wherever it is.
    #[test]
    fn in_quiet_times_it_catches_up_and_is_included(
        happenings in prop::collection::vec(happening(), 0..300)
    ) {
        let mut world = World::new();
        for happening in &happenings {
            world.happen(happening);
        }
        world.quiet_blocks(8 * PHASES.round());
        let best = world.chain.best();
        prop_assert!(best.round - world.disk.0.round <= 1);
        let newest = &best.settled[&(best.round - 1)];
        prop_assert!(newest.own(hotkey(MINER)).is_some());
    }
}

#[test]
fn on_a_quiet_chain_it_is_in_every_round() {
    let mut world = World::new();
    world.rest(true);
    for round in 0..6 {
        world.quiet_blocks(PHASES.round());
        let settled = &world.chain.best().settled[&round];
        assert!(settled.own(hotkey(MINER)).is_some(), "round {round}");
    }
}
