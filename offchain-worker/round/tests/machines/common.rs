//! How the tests tell a machine what happened, and the small world of their scenes.
//!
//! A round of the scenes begins at block 100: it trains until 106, reveals until 109, attests until 113.

use std::fmt::Debug;

use cairn_primitives::{
    BlockNumber, Commitment, Hotkey, Judgement, ModelRoot, Netuid, Phases, Round, SealedRoot,
    Secret, Standing, Uid, Witness, H256,
};
use cairn_protocol::phase::Timetable;
use cairn_round::{
    course::Work, hidden_row::Scoring, machine::Question, miner::Intent, miner::Miner, plan::Plan,
    pledge::Pledge, validator::Validator, Action, Attester, Event, Held, Included, Machine,
    RoundView, Seen, Settlement, View,
};

use crate::parameters::{data, run};

pub const PHASES: Phases = Phases {
    train: 6,
    reveal: 3,
    attest: 4,
    floor: 100,
};
/// The miner under test.
pub const MINER: Uid = Uid(1);
/// The validator under test.
pub const VALIDATOR: Uid = Uid(9);
/// All miners, in the order of their slots.
pub const MINERS: [Uid; 3] = [Uid(2), MINER, Uid(3)];

/// A machine and whoever drives it.
pub struct Driven<M: Machine> {
    pub machine: M,
    /// What the chain was asked and has not answered yet.
    pub asked: Option<Question>,
}

impl<M: Machine> Driven<M> {
    pub fn new(machine: M) -> Driven<M> {
        Driven {
            machine,
            asked: None,
        }
    }

    /// All actions that there are, but for a look at the chain, which is noted. Never two looks at a time.
    pub fn drain(&mut self) -> Vec<Action<M::Work>> {
        let mut actions = Vec::new();
        while let Some(action) = self.machine.poll_action() {
            if let Action::Look(question) = action {
                assert_eq!(self.asked.replace(question), None, "two looks at a time");
            } else {
                actions.push(action);
            }
        }
        actions
    }

    /// Tells what happened, and gives all that is to be done.
    pub fn tell(&mut self, event: Event<M::Done>, now: BlockNumber) -> Vec<Action<M::Work>> {
        if let Event::Looked(_) | Event::Gone(_) | Event::NotLooked = event {
            assert!(self.asked.take().is_some(), "the chain was not asked");
        }
        self.machine.handle(event, now);
        self.drain()
    }

    /// Has it ask the chain.
    pub fn ask(&mut self, now: BlockNumber) {
        assert!(self.tell(Event::Moved, now).is_empty());
        assert!(self.asked.is_some(), "it did not ask");
    }

    /// The chain moves, is asked, and answers.
    pub fn look(&mut self, view: View, now: BlockNumber) -> Vec<Action<M::Work>> {
        self.ask(now);
        self.tell(Event::Looked(Box::new(view)), now)
    }
}

/// What both roles have, for tests of what they decide alike.
pub trait Role: Machine<Work: Debug + PartialEq, Done: Debug> {
    const VOTES: bool;
    fn with(held: Option<Held>) -> Driven<Self>
    where
        Self: Sized;
    fn held(&self) -> Option<Held>;
    fn work(&self) -> &Work;
}

impl Role for Miner {
    const VOTES: bool = false;
    fn with(held: Option<Held>) -> Driven<Miner> {
        Driven::new(Miner::new(hotkey(MINER), held, None))
    }
    fn held(&self) -> Option<Held> {
        Miner::held(self)
    }
    fn work(&self) -> &Work {
        Miner::work(self)
    }
}

impl Role for Validator {
    const VOTES: bool = true;
    fn with(held: Option<Held>) -> Driven<Validator> {
        let machine = Validator::new(hotkey(VALIDATOR), held_at(0).root, held, vec![], vec![]);
        Driven::new(machine)
    }
    fn held(&self) -> Option<Held> {
        Validator::held(self)
    }
    fn work(&self) -> &Work {
        Validator::work(self)
    }
}

pub fn hotkey(uid: Uid) -> Hotkey {
    Hotkey(H256::from_low_u64_be(100 + u64::from(uid.get())))
}

/// The sealed root of a content.
pub fn sealed(content: u64) -> SealedRoot {
    SealedRoot(bytes(content))
}

/// The key of a content.
pub fn bytes(content: u64) -> H256 {
    H256::from_low_u64_be(content)
}

pub fn commitment(content: u64) -> Commitment {
    Commitment {
        parent_root: ModelRoot::zero(),
        sealed_root: sealed(content),
        length: 1,
        key_hash: bytes(content),
    }
}

pub fn intent(round: Round, content: u64) -> Intent {
    Intent {
        round,
        commitment: commitment(content),
        key: Secret::new(bytes(content).0),
    }
}

/// What `uid` committed to.
pub fn seen(uid: Uid, content: u64, revealed: bool) -> Seen {
    Seen {
        uid,
        hotkey: hotkey(uid),
        commitment: commitment(content),
        key: revealed.then(|| bytes(content).0),
    }
}

/// The parameters with which a round begins.
pub fn held_at(round: Round) -> Held {
    Held {
        round,
        root: ModelRoot(H256::from_low_u64_be(1_000 + u64::from(round))),
    }
}

/// Who trains on what in a round; another one in each.
pub fn plan(round: Round) -> Plan {
    Plan::new(Netuid(7), &run(), data(round))
}

pub fn miners() -> Vec<(Uid, Hotkey)> {
    MINERS.iter().map(|uid| (*uid, hotkey(*uid))).collect()
}

/// The chain while `round` runs, in which nobody has done anything yet.
pub fn view(round: Round, start: BlockNumber) -> View {
    View {
        round: RoundView {
            round,
            times: Timetable::new(start, &PHASES),
            certain: Timetable::new(start, &PHASES),
            at_final: Some(round),
            oldest: 0,
        },
        plan: plan(round),
        miners: miners(),
        base: None,
        next: None,
        validators: vec![Attester {
            uid: VALIDATOR,
            hotkey: hotkey(VALIDATOR),
            committed: None,
            attested: false,
        }],
        absent: Vec::new(),
        unawaited: Vec::new(),
        contributions: Vec::new(),
        audits: Vec::new(),
        settled: None,
        named: None,
        voting: None,
    }
}

/// The same, with contributions.
pub fn with(contributions: &[Seen], view: View) -> View {
    View {
        contributions: contributions.to_vec(),
        ..view
    }
}

/// What the contributions of `round` are measured on.
pub fn exam_of(round: Round) -> H256 {
    H256::from_low_u64_be(1_000 + u64::from(round))
}

fn alike(seen: Seen) -> Included {
    Included {
        seen,
        standing: Standing {
            trust: u16::MAX,
            is_proven: false,
        },
    }
}

/// What the validator under test keeps on disk before it commits to these verdicts in the round held.
pub fn pledge(held: Held, good: &[Uid]) -> Pledge {
    let voter = (Netuid(7), hotkey(VALIDATOR));
    let verdicts = Judgement::new(good.iter().copied(), []);
    let salt = Secret::new(bytes(900 + u64::from(held.round)).0);
    Pledge::new(
        voter,
        held.round,
        held.root,
        verdicts,
        Witness::default(),
        salt,
    )
}

/// The end of `round`, which included these.
pub fn settled(round: Round, included: &[Seen]) -> Settlement {
    Settlement {
        round,
        included: included.iter().cloned().map(alike).collect(),
        miners: miners(),
        plan: plan(round),
        exam: exam_of(round),
        base: None,
        before: None,
        after: None,
    }
}

/// The chain after `round` has ended like that.
pub fn over(settlement: &Settlement, start: BlockNumber) -> View {
    View {
        settled: Some(settlement.clone()),
        ..view(settlement.round + 1, start)
    }
}

/// A subnet without secrets, in which scores are set in the open.
pub fn in_the_open() -> Scoring {
    Scoring {
        commit_reveal: false,
        epoch: 0,
        due: 0,
        rate_limit: 0,
        commits: Vec::new(),
    }
}
