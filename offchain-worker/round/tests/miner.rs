//! The miner's machine, scene by scene.

use cairn_primitives::{Commitment, Phases, Round, H256};
use cairn_round::{
    miner::{Action, Event, Intent, Miner, OwnCommitment, View, Work},
    RoundView, Settlement,
};

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

fn view(round: Round, start: u32) -> View {
    let round = RoundView {
        round,
        start,
        phases: PHASES,
        oldest: 0,
    };
    View {
        round,
        slot: Some(0),
        own: None,
        settled: None,
    }
}

fn own(content: u8, revealed: bool) -> Option<OwnCommitment> {
    Some(OwnCommitment {
        sealed_root: H256([content; 32]),
        revealed,
    })
}

fn settled(round: Round, own: Option<u8>) -> Option<Settlement> {
    let included = if own.is_some() { vec![1] } else { vec![] };
    Some(Settlement {
        round,
        included,
        own: own.map(|content| H256([content; 32])),
    })
}

/// Steps and gives the new machine and what it wants.
fn step(miner: &mut Miner, event: Event, now: u32) -> Vec<Action> {
    let (next, actions) = miner.clone().step(event, now);
    *miner = next;
    actions
}

#[test]
fn a_round_from_beginning_to_end() {
    let mut miner = Miner::new(0, None);
    let train = Action::Train {
        round: 0,
        slot: 0,
        deadline: 104,
    };
    assert_eq!(step(&mut miner, Event::Chain(view(0, 100)), 101), [train]);
    assert_eq!(step(&mut miner, Event::Chain(view(0, 100)), 102), []);
    assert_eq!(step(&mut miner, Event::Sealed(intent(0, 7)), 102), []);
    let commit = Action::Commit(intent(0, 7));
    assert_eq!(step(&mut miner, Event::Chain(view(0, 100)), 103), [commit]);
    step(&mut miner, Event::Submitted, 104);
    let committed = View {
        own: own(7, false),
        ..view(0, 100)
    };
    assert_eq!(step(&mut miner, Event::Chain(committed.clone()), 104), []);
    let reveal = Action::Reveal {
        round: 0,
        key: [7; 32],
    };
    assert_eq!(step(&mut miner, Event::Chain(committed), 106), [reveal]);
    step(&mut miner, Event::Submitted, 107);
    let revealed = View {
        own: own(7, true),
        ..view(0, 100)
    };
    assert_eq!(step(&mut miner, Event::Chain(revealed), 108), []);
    let over = View {
        settled: settled(0, Some(7)),
        ..view(1, 111)
    };
    let settle = Action::Settle {
        settlement: settled(0, Some(7)).expect("it is"),
        put_back: false,
    };
    assert_eq!(step(&mut miner, Event::Chain(over), 111), [settle]);
    step(&mut miner, Event::Settled(0), 111);
    assert_eq!(
        (miner.held, &miner.intent, miner.work),
        (1, &None, Work::Idle)
    );
}

#[test]
fn training_ends_before_the_commit_deadline() {
    let mut miner = Miner::new(0, None);
    step(&mut miner, Event::Chain(view(0, 100)), 100);
    assert_eq!(
        step(&mut miner, Event::Chain(view(0, 100)), 104),
        [Action::FinishTraining]
    );
    assert_eq!(step(&mut miner, Event::Chain(view(0, 100)), 105), []);
}

#[test]
fn training_of_a_round_that_is_over_is_abandoned() {
    let mut miner = Miner::new(0, None);
    step(&mut miner, Event::Chain(view(0, 100)), 100);
    assert_eq!(
        step(&mut miner, Event::Chain(view(1, 111)), 111),
        [Action::AbandonTraining]
    );
}

#[test]
fn it_is_not_begun_when_it_would_be_too_late() {
    let mut miner = Miner::new(0, None);
    assert_eq!(step(&mut miner, Event::Chain(view(0, 100)), 104), []);
}

#[test]
fn a_round_that_came_to_nothing_is_not_tried_again() {
    let mut miner = Miner::new(0, None);
    step(&mut miner, Event::Chain(view(0, 100)), 100);
    step(&mut miner, Event::NothingTrained(0), 101);
    assert_eq!(step(&mut miner, Event::Chain(view(0, 100)), 101), []);
    step(
        &mut miner,
        Event::Chain(View {
            settled: settled(0, None),
            ..view(1, 111)
        }),
        111,
    );
    step(&mut miner, Event::Settled(0), 111);
    let train = Action::Train {
        round: 1,
        slot: 0,
        deadline: 115,
    };
    assert_eq!(step(&mut miner, Event::Chain(view(1, 111)), 111), [train]);
}

#[test]
fn who_has_no_slot_waits() {
    let mut miner = Miner::new(0, None);
    let without = View {
        slot: None,
        ..view(0, 100)
    };
    assert_eq!(step(&mut miner, Event::Chain(without), 100), []);
}

#[test]
fn after_a_crash_the_same_content_is_committed() {
    let mut miner = Miner::new(3, Some(intent(3, 7)));
    let commit = Action::Commit(intent(3, 7));
    assert_eq!(step(&mut miner, Event::Chain(view(3, 100)), 101), [commit]);
}

#[test]
fn a_commit_that_a_reorganisation_dropped_is_sent_again() {
    let mut miner = Miner::new(3, Some(intent(3, 7)));
    step(&mut miner, Event::Chain(view(3, 100)), 101);
    step(&mut miner, Event::Submitted, 102);
    step(
        &mut miner,
        Event::Chain(View {
            own: own(7, false),
            ..view(3, 100)
        }),
        102,
    );
    let commit = Action::Commit(intent(3, 7));
    assert_eq!(step(&mut miner, Event::Chain(view(3, 100)), 102), [commit]);
}

#[test]
fn the_key_of_something_else_on_chain_is_not_revealed() {
    let mut miner = Miner::new(3, Some(intent(3, 7)));
    let foreign = View {
        own: own(8, false),
        ..view(3, 100)
    };
    assert_eq!(step(&mut miner, Event::Chain(foreign), 107), []);
}

#[test]
fn nothing_is_revealed_before_its_time() {
    let mut miner = Miner::new(3, Some(intent(3, 7)));
    for now in (100..105).chain(108..111) {
        let committed = View {
            own: own(7, false),
            ..view(3, 100)
        };
        assert_eq!(
            step(&mut miner, Event::Chain(committed), now),
            [],
            "at {now}"
        );
    }
}

#[test]
fn a_commitment_without_an_intent_is_left_alone() {
    let mut miner = Miner::new(3, None);
    let unknown = View {
        own: own(7, false),
        ..view(3, 100)
    };
    assert_eq!(step(&mut miner, Event::Chain(unknown), 100), []);
}

#[test]
fn what_was_not_included_is_put_back() {
    for (included, put_back) in [(None, true), (Some(8), true), (Some(7), false)] {
        let mut miner = Miner::new(0, Some(intent(0, 7)));
        let over = View {
            settled: settled(0, included),
            ..view(1, 111)
        };
        let settlement = settled(0, included).expect("it is");
        let settle = Action::Settle {
            settlement,
            put_back,
        };
        assert_eq!(step(&mut miner, Event::Chain(over), 111), [settle]);
    }
}

#[test]
fn who_is_far_behind_joins_afresh() {
    let mut miner = Miner::new(3, Some(intent(3, 7)));
    let mut far = view(50, 1_000);
    far.round.oldest = 40;
    assert_eq!(
        step(&mut miner, Event::Chain(far.clone()), 1_000),
        [Action::Join]
    );
    assert_eq!(step(&mut miner, Event::Chain(far), 1_001), []);
    step(&mut miner, Event::Joined(45), 1_002);
    assert_eq!((miner.held, miner.intent), (45, None));
}
