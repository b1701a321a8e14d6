//! Views of a chain that nobody re-enacts: each is drawn by itself, so that rounds jump, commitments come and go, and
//! what was settled is settled otherwise. What the real chain does with whole networks is in `cairn-sim`.

use cairn_primitives::{BlockNumber, Phases, Round, Uid};
use cairn_protocol::phase::Timetable;
use cairn_round::{
    machine::{Kind, Question},
    Held, Seen, View,
};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

use crate::common::{held_at, seen, settled, view, with, MINER, PHASES};

/// The block at which every round begins.
const START: BlockNumber = 100;
/// The round that is held at first.
pub const FIRST: Round = 5;

/// What the chain has of the miner under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    Nothing,
    /// What it made last.
    Made,
    /// The same, with its key.
    Revealed,
    /// Something that another process made.
    Another,
}

/// A view of a round near the one held.
#[derive(Clone, Debug)]
pub struct Glimpse {
    /// None: the round before the one held.
    ahead: Round,
    /// Blocks since the round began.
    at: BlockNumber,
    /// Whether it is final when the round's phases are.
    is_certain: bool,
    /// Whether the chain no longer has the round held.
    is_gone: bool,
    own: Own,
    /// What two other miners committed to, and whether it is revealed.
    others: Vec<(u64, bool)>,
    /// Whether the round that was asked for has ended, or another; and what that included of the miner's.
    settled: Option<(bool, Own)>,
    /// What the validator under test has done: nothing, or committed to what it has pledged, or to something else, or
    /// attested.
    pub attester: u8,
    /// The next epoch.
    pub epoch: u32,
    /// Whether the validator's commitments to scores of these epochs are there, and are revealed.
    pub scores: Vec<(bool, bool)>,
}

/// What a machine is told.
#[derive(Clone, Debug)]
pub enum Told {
    Moved,
    /// The chain answers, or does not.
    Answer(Option<Glimpse>),
    /// Something that was begun ends, well or not.
    Ends(usize, bool),
    /// What was sent is in a block so far from the best one, or was not seen into one.
    Sent(Kind, Option<BlockNumber>),
    /// The process dies, after what it computes is written or before, and is started again.
    Crash(bool),
}

fn own() -> impl Strategy<Value = Own> {
    prop_oneof![
        4 => Just(Own::Nothing),
        4 => Just(Own::Made),
        1 => Just(Own::Revealed),
        1 => Just(Own::Another),
    ]
}

fn glimpse() -> impl Strategy<Value = Glimpse> {
    let round = (
        prop_oneof![1 => Just(0u32), 8 => Just(1u32), 2 => 2u32..5],
        0..PHASES.round() + 2,
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.05),
    );
    let others = prop::collection::vec((0u64..4, any::<bool>()), 0..3);
    let settled = prop::option::weighted(0.3, (prop::bool::weighted(0.8), own()));
    let scores = prop::collection::vec((any::<bool>(), any::<bool>()), 2);
    let rest = (own(), others, settled, 0u8..4, 3u32..6, scores);
    (round, rest).prop_map(|(round, rest)| {
        let (ahead, at, is_certain, is_gone) = round;
        let (own, others, settled, attester, epoch, scores) = rest;
        Glimpse {
            ahead,
            at,
            is_certain,
            is_gone,
            own,
            others,
            settled,
            attester,
            epoch,
            scores,
        }
    })
}

pub fn told() -> impl Strategy<Value = Told> {
    let kinds = prop_oneof![
        Just(Kind::Contribution),
        Just(Kind::Attestation),
        Just(Kind::Scores),
    ];
    let block = prop::option::weighted(0.8, START..START + PHASES.round() + 4);
    prop_oneof![
        8 => Just(Told::Moved),
        16 => prop::option::weighted(0.9, glimpse()).prop_map(Told::Answer),
        16 => (0usize..8, prop::bool::weighted(0.8)).prop_map(|(which, well)| Told::Ends(which, well)),
        8 => (kinds, block).prop_map(|(kind, block)| Told::Sent(kind, block)),
        1 => any::<bool>().prop_map(Told::Crash),
    ]
}

/// What machines are told in so many lives, the same each time.
pub fn lives(count: usize) -> impl Iterator<Item = Vec<Told>> {
    let mut runner = TestRunner::deterministic();
    let life = prop::collection::vec(told(), 400);
    (0..count).map(move |_| {
        let life = life.new_tree(&mut runner);
        life.expect("nothing is left out").current()
    })
}

impl Glimpse {
    /// The view of whoever holds this, asked this, and made this content last; and its block.
    pub fn of(&self, held: Held, question: Question, made: u64) -> (View, BlockNumber) {
        let round = (held.round + self.ahead).saturating_sub(1);
        let mut all = self.own_of(self.own, made);
        let others = [Uid(2), Uid(3)].into_iter().zip(&self.others);
        all.extend(others.map(|(uid, (content, revealed))| seen(uid, *content, *revealed)));
        let mut view = with(&all, view(round, START));
        if self.is_gone {
            view.round.oldest = held.round + 1;
        }
        if !self.is_certain {
            let longer = Phases {
                train: 2 * PHASES.train,
                ..PHASES
            };
            view.round.certain = Timetable::new(START, &longer);
        }
        let asked = question.settled.zip(self.settled);
        view.settled = asked.map(|(asked, (is_it, own))| {
            let round = if is_it { asked } else { asked + 1 };
            settled(round, &self.own_of(own, made))
        });
        (view, START + self.at)
    }

    fn own_of(&self, own: Own, made: u64) -> Vec<Seen> {
        match own {
            Own::Nothing => Vec::new(),
            Own::Made => vec![seen(MINER, made, false)],
            Own::Revealed => vec![seen(MINER, made, true)],
            Own::Another => vec![seen(MINER, 1_000_000, false)],
        }
    }
}

/// What is held after a round; of each round one root.
pub fn next(round: Round) -> Held {
    held_at(round + 1)
}
