//! The miner's machine against a chain that re-organises and a miner that crashes, in any order.

use std::collections::BTreeMap;

use cairn_primitives::{Commitment, Phase, Phases, Round, H256};
use cairn_round::{
    miner::{Action, Event, Intent, Miner, OwnCommitment, View},
    RoundView, Settlement,
};
use proptest::prelude::*;

const PHASES: Phases = Phases {
    train: 6,
    reveal: 3,
    attest: 2,
};

fn intent(round: Round, content: u8) -> Intent {
    let root = |byte| H256([byte; 32]);
    let commitment = Commitment {
        parent_root: root(0),
        sealed_root: root(content),
        length: 1,
        key_hash: root(content),
    };
    Intent {
        round,
        commitment,
        key: [content; 32],
    }
}

/// Steps and gives the new machine and what it wants.
fn step(miner: &mut Miner, event: Event, now: u32) -> Vec<Action> {
    let (next, actions) = miner.clone().step(event, now);
    *miner = next;
    actions
}

/// The chain's state after a block.
#[derive(Clone, Default)]
struct State {
    number: u32,
    round: Round,
    start: u32,
    own: BTreeMap<Round, (H256, bool)>,
    settled: BTreeMap<Round, Settlement>,
}

/// A chain, a miner's disk, and the miner.
struct World {
    blocks: Vec<State>,
    finalized: usize,
    pool: Vec<Action>,
    disk: (Round, Option<Intent>),
    job: Option<Action>,
    submitting: bool,
    miner: Miner,
    contents: u8,
    committed: BTreeMap<Round, H256>,
    applied: Vec<Round>,
}

#[derive(Clone, Debug)]
enum Happening {
    Block {
        takes_transactions: bool,
        includes_own: bool,
    },
    Finalize(usize),
    Reorganize {
        depth: usize,
        keeps_pool: bool,
    },
    JobEnds {
        succeeds: bool,
    },
    SubmitEnds,
    Crash {
        after_saving: bool,
    },
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::*;
    prop_oneof![
        8 => (any::<bool>(), any::<bool>())
            .prop_map(|(takes_transactions, includes_own)| Block { takes_transactions, includes_own }),
        4 => (1usize..6).prop_map(Finalize),
        1 => (1usize..5, any::<bool>())
            .prop_map(|(depth, keeps_pool)| Reorganize { depth, keeps_pool }),
        4 => prop::bool::weighted(0.9).prop_map(|succeeds| JobEnds { succeeds }),
        3 => Just(SubmitEnds),
        1 => any::<bool>().prop_map(|after_saving| Crash { after_saving }),
    ]
}

impl World {
    fn new() -> World {
        World {
            blocks: vec![State::default()],
            finalized: 0,
            pool: Vec::new(),
            disk: (0, None),
            job: None,
            submitting: false,
            miner: Miner::new(0, None),
            contents: 0,
            committed: BTreeMap::new(),
            applied: Vec::new(),
        }
    }

    fn best(&self) -> &State {
        self.blocks.last().expect("there is always a block")
    }

    fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Block {
                takes_transactions,
                includes_own,
            } => {
                self.block(*takes_transactions, *includes_own);
            }
            Happening::Finalize(blocks) => {
                self.finalized = (self.finalized + blocks).min(self.blocks.len() - 1);
            }
            Happening::Reorganize { depth, keeps_pool } => {
                let kept = self
                    .blocks
                    .len()
                    .saturating_sub(*depth)
                    .max(self.finalized + 1);
                self.blocks.truncate(kept);
                if !keeps_pool {
                    self.pool.clear();
                }
            }
            Happening::JobEnds { succeeds } => self.job_ends(*succeeds),
            Happening::SubmitEnds => {
                if std::mem::take(&mut self.submitting) {
                    self.tell(Event::Submitted);
                }
            }
            Happening::Crash { after_saving } => {
                if let (true, Some(job)) = (*after_saving, self.job.clone()) {
                    self.save(&job);
                }
                self.job = None;
                self.submitting = false;
                self.miner = Miner::new(self.disk.0, self.disk.1.clone());
            }
        }
        self.look();
    }

    fn block(&mut self, takes_transactions: bool, includes_own: bool) {
        let mut next = self.best().clone();
        next.number += 1;
        if next.number >= next.start + PHASES.round() {
            let own = next
                .own
                .get(&next.round)
                .filter(|(_, revealed)| *revealed && includes_own);
            let own = own.map(|(root, _)| *root);
            let included = if own.is_some() { vec![1] } else { vec![] };
            let settlement = Settlement {
                round: next.round,
                included,
                own,
            };
            next.settled.insert(next.round, settlement);
            next.round += 1;
            next.start = next.number;
        }
        if takes_transactions {
            for transaction in std::mem::take(&mut self.pool) {
                next.take(&transaction);
            }
        }
        self.blocks.push(next);
    }

    /// What a job writes to disk before it reports.
    fn save(&mut self, job: &Action) -> Option<Event> {
        match job {
            Action::Train { round, .. } => {
                self.contents += 1;
                let made = intent(*round, self.contents);
                assert_eq!(
                    self.disk,
                    (*round, None),
                    "trained with a contribution on disk"
                );
                self.disk.1 = Some(made.clone());
                Some(Event::Sealed(made))
            }
            Action::Settle { settlement, .. } => {
                let round = settlement.round;
                assert_eq!(self.disk.0, round);
                self.applied.push(round);
                self.disk = (round + 1, None);
                Some(Event::Settled(round))
            }
            _ => None,
        }
    }

    fn job_ends(&mut self, succeeds: bool) {
        let Some(job) = self.job.take() else { return };
        let event = if succeeds {
            self.save(&job)
        } else {
            match job {
                Action::Train { round, .. } => Some(Event::NothingTrained(round)),
                Action::Settle { settlement, .. } => Some(Event::NotSettled(settlement.round)),
                _ => None,
            }
        };
        if let Some(event) = event {
            self.tell(event);
        }
    }

    fn tell(&mut self, event: Event) {
        let now = self.best().number;
        let actions = step(&mut self.miner, event, now);
        assert!(actions.is_empty(), "only a view of the chain makes it act");
    }

    fn look(&mut self) {
        let (best, held) = (self.best().clone(), self.miner.held);
        let own = best.own.get(&best.round).copied();
        let view = View {
            round: RoundView {
                round: best.round,
                start: best.start,
                phases: PHASES,
                oldest: 0,
            },
            slot: Some(0),
            own: own.map(|(sealed_root, revealed)| OwnCommitment {
                sealed_root,
                revealed,
            }),
            settled: self.blocks[self.finalized].settled.get(&held).cloned(),
        };
        for action in step(&mut self.miner, Event::Chain(view), best.number) {
            self.act(action, &best);
        }
    }

    fn act(&mut self, action: Action, best: &State) {
        match &action {
            Action::Train { .. } => {
                assert!(self.job.is_none(), "one job at a time");
                self.job = Some(action);
            }
            Action::Settle {
                settlement,
                put_back,
            } => {
                assert!(self.job.is_none(), "one job at a time");
                let made = self
                    .disk
                    .1
                    .as_ref()
                    .map(|intent| intent.commitment.sealed_root);
                assert_eq!(*put_back, made.is_some() && made != settlement.own);
                self.job = Some(action);
            }
            Action::Commit(intent) => {
                let root = intent.commitment.sealed_root;
                let first = *self.committed.entry(intent.round).or_insert(root);
                assert_eq!(first, root, "two contents in round {}", intent.round);
                assert_eq!(
                    self.disk.1.as_ref(),
                    Some(intent),
                    "committed before it was on disk"
                );
                self.submitting = true;
                self.pool.push(action);
            }
            Action::Reveal { round, key } => {
                let (root, _) = best.own[round];
                assert_eq!(
                    root,
                    H256(*key),
                    "revealed another key than that of its commitment"
                );
                self.submitting = true;
                self.pool.push(action);
            }
            Action::FinishTraining | Action::AbandonTraining => {
                assert!(matches!(self.job, Some(Action::Train { .. })));
            }
            Action::Join => unreachable!("this chain keeps everything"),
        }
    }
}

impl State {
    fn take(&mut self, transaction: &Action) {
        let phase = PHASES.at(self.start, self.number);
        match transaction {
            Action::Commit(intent) if intent.round == self.round && phase == Phase::Train => {
                self.own
                    .entry(self.round)
                    .or_insert((intent.commitment.sealed_root, false));
            }
            Action::Reveal { round, key } if *round == self.round && phase == Phase::Reveal => {
                if let Some((root, revealed)) = self.own.get_mut(round) {
                    *revealed |= *root == H256(*key);
                }
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happens_the_promises_hold(happenings in prop::collection::vec(happening(), 1..200)) {
        let mut world = World::new();
        for happening in &happenings {
            world.happen(happening);
        }
        let in_order: Vec<Round> = (0..world.applied.len() as Round).collect();
        prop_assert_eq!(&world.applied, &in_order, "each round once and in order");
    }

    // A chain that goes on, takes transactions and finalises brings the miner on, from wherever it is.
    #[test]
    fn in_quiet_times_it_catches_up_and_is_included(
        happenings in prop::collection::vec(happening(), 0..120)
    ) {
        let mut world = World::new();
        for happening in &happenings {
            world.happen(happening);
        }
        for _ in 0..8 * PHASES.round() {
            world.happen(&Happening::Block { takes_transactions: true, includes_own: true });
            world.happen(&Happening::Finalize(6));
            world.happen(&Happening::JobEnds { succeeds: true });
            world.happen(&Happening::SubmitEnds);
        }
        prop_assert!(world.best().round - world.miner.held <= 1);
        let newest = world.best().round - 1;
        prop_assert!(world.best().settled[&newest].own.is_some());
    }
}
