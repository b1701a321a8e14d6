//! Where a member's files can be had: it says so once, and again when that is somewhere else.

use cairn_primitives::{BlockNumber, Text};
use cairn_protocol::limits::ENDPOINTS_EVERY;
use cairn_round::{
    machine::{Kind, Transaction},
    miner::Miner,
    validator::Validator,
    Action, Event, Named, View,
};

use crate::common::{held_at, hotkey, view, Driven, MINER, VALIDATOR};

const NOW: BlockNumber = 103;

fn texts(texts: &[&str]) -> Vec<Text> {
    texts
        .iter()
        .map(|text| Text::new(text).expect("short"))
        .collect()
}

/// The chain has these of it, named in this block; `None` if it is no member.
fn with(named: Option<(&[&str], Option<BlockNumber>)>) -> View {
    View {
        named: named.map(|(endpoints, set_at)| Named {
            endpoints: texts(endpoints),
            set_at,
        }),
        ..view(3, 100)
    }
}

fn miner(endpoints: &[&str]) -> Driven<Miner> {
    let miner = Miner::new(hotkey(MINER), Some(held_at(3)), None);
    Driven::new(miner.serving_at(texts(endpoints)))
}

/// What it names on account of this view.
fn named<W>(actions: Vec<Action<W>>) -> Vec<Vec<Text>> {
    let named = actions.into_iter().filter_map(|action| match action {
        Action::Send(Transaction::SetEndpoints(endpoints)) => Some(endpoints),
        _ => None,
    });
    named.collect()
}

const MIRROR: &str = "https://mirror.example/run";
const PEER: &str = "iroh://00ff?at=203.0.113.7:4433";

#[test]
fn a_member_says_where_its_files_are_once() {
    let mut one = miner(&[MIRROR]);
    assert_eq!(
        named(one.look(with(Some((&[], None))), NOW)),
        [texts(&[MIRROR])]
    );
    assert!(
        named(one.look(with(Some((&[], None))), NOW)).is_empty(),
        "it is under way"
    );
    let kind = Kind::Endpoints;
    one.tell(Event::Sent { kind, block: None }, NOW);
    assert_eq!(
        named(one.look(with(Some((&[], None))), NOW)).len(),
        1,
        "it was lost"
    );
    one.tell(
        Event::Sent {
            kind,
            block: Some(NOW + 1),
        },
        NOW,
    );
    let there = with(Some((&[MIRROR], Some(NOW + 1))));
    assert!(named(one.look(there, NOW + 1)).is_empty(), "it is there");
}

#[test]
fn a_validator_does_too() {
    let held = Some(held_at(3));
    let root = held_at(0).root;
    let validator = Validator::new(hotkey(VALIDATOR), root, held, Vec::new(), Vec::new());
    let mut one = Driven::new(validator.serving_at(texts(&[PEER])));
    assert_eq!(
        named(one.look(with(Some((&[], None))), NOW)),
        [texts(&[PEER])]
    );
}

#[test]
fn who_moves_says_so_as_soon_as_the_chain_takes_it() {
    for now in [&[PEER][..], &[]] {
        let mut one = miner(now);
        let before = || with(Some((&[MIRROR], Some(90))));
        let soonest = 90 + ENDPOINTS_EVERY - 1;
        assert!(
            named(one.look(before(), soonest - 1)).is_empty(),
            "too soon"
        );
        assert_eq!(named(one.look(before(), soonest)), [texts(now)]);
    }
}

#[test]
fn who_is_no_member_or_has_nothing_to_say_says_nothing() {
    assert!(named(miner(&[MIRROR]).look(with(None), NOW)).is_empty());
    assert!(named(miner(&[]).look(with(Some((&[], None))), NOW)).is_empty());
}
