//! What a member does that nobody expects any more: it says that it is back, once it holds what the round begins with.

use cairn_primitives::BlockNumber;
use cairn_round::{
    machine::{Kind, Transaction},
    miner::Miner,
    validator::Validator,
    Action, Event, View,
};

use crate::common::{held_at, hotkey, view, Driven, Role, MINER, VALIDATOR};

const NOW: BlockNumber = 103;

fn absent() -> View {
    View {
        absent: [MINER, VALIDATOR].map(hotkey).to_vec(),
        ..view(3, 100)
    }
}

/// Whether it says so now.
fn says<R: Role>(role: &mut Driven<R>, view: View) -> bool {
    let actions = role.look(view, NOW);
    let here = |action: &&Action<R::Work>| **action == Action::Send(Transaction::Here(3));
    actions.iter().filter(here).count() == 1
}

fn whoever_is_back_says_so<R: Role>() {
    assert!(
        !says(&mut R::with(Some(held_at(3))), view(3, 100)),
        "it is expected"
    );
    let mut role = R::with(Some(held_at(3)));
    assert!(says(&mut role, absent()));
    assert!(!says(&mut role, absent()), "it is under way");
    let kind = Kind::Presence;
    role.tell(Event::Sent { kind, block: None }, NOW);
    assert!(says(&mut role, absent()), "it was lost");
    let block = Some(NOW);
    role.tell(Event::Sent { kind, block }, NOW);
    assert!(!says(&mut role, view(3, 100)), "it is expected again");
    for held in [None, Some(held_at(2))] {
        assert!(!says(&mut R::with(held), absent()), "it is not ready");
    }
}

#[test]
fn a_miner_says_that_it_is_back() {
    whoever_is_back_says_so::<Miner>();
}

#[test]
fn a_validator_says_that_it_is_back() {
    whoever_is_back_says_so::<Validator>();
}
