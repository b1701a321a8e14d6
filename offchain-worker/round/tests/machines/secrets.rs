//! Nothing that is told, wanted or kept shows a secret.

use std::fmt::Debug;

use cairn_primitives::{Hotkey, Judgement, ModelRoot, Netuid, Secret, Served, Witness, H256};
use cairn_round::{
    hidden_row::{Committed, HiddenRow, Scoring},
    machine::Transaction,
    miner::{self, Intent, Miner},
    pledge::Pledge,
    validator::{self, Validator, Weighed},
    Action, Event, View,
};

use crate::common::{commitment, held_at, hotkey, seen, view, with, Driven, MINER, VALIDATOR};

const PLANTED: [u8; 32] = [0xa7; 32];

/// Whether somebody who prints it sees four planted bytes in a row, in one of the ways in which bytes are printed.
fn shows(thing: &impl Debug) -> bool {
    [
        format!("{thing:?}"),
        format!("{thing:#?}"),
        format!("{thing:x?}"),
    ]
    .iter()
    .map(|text| text.to_lowercase().replace([' ', '\n', ',', '_'], "|"))
    .map(|text| {
        text.split('|')
            .filter(|piece| !piece.is_empty())
            .collect::<String>()
    })
    .any(|text| {
        ["a7a7a7a7", "167167167167"]
            .iter()
            .any(|bytes| text.contains(bytes))
    })
}

fn hides(thing: &impl Debug) {
    assert!(!shows(thing), "{thing:?}");
}

#[test]
fn bytes_that_are_shown_are_found() {
    assert!(shows(&H256(PLANTED)));
    assert!(shows(&PLANTED));
    assert!(shows(&vec![Some(PLANTED)]));
    assert!(!shows(&H256([0xa8; 32])));
}

#[test]
fn the_key_of_a_contribution_is_not_shown() {
    let intent = Intent {
        round: 3,
        commitment: commitment(7),
        key: Secret::new(PLANTED),
    };
    let mut miner = Driven::new(Miner::new(hotkey(MINER), Some(held_at(3)), None));
    miner.look(view(3, 100), 100);
    let sealed = Event::Done(miner::Done::Sealed(intent.clone()));
    hides(&sealed);
    miner.tell(sealed, 101);
    hides(&miner.machine);
    let resumed = Miner::new(hotkey(MINER), Some(held_at(3)), Some(intent));
    hides(&resumed);
    let mut miner = Driven::new(resumed);
    let commit = miner.look(view(3, 100), 101);
    assert!(matches!(
        commit[..],
        [Action::Send(Transaction::Commit(..))]
    ));
    hides(&commit);
    miner.tell(crate::miner::sent(102), 102);
    let committed = with(&[seen(MINER, 7, false)], view(3, 100));
    miner.ask(106);
    let mut waiting = miner.machine.clone();
    cairn_round::Machine::handle(
        &mut waiting,
        Event::Looked(Box::new(committed.clone())),
        106,
    );
    hides(&waiting);
    let reveal = miner.tell(Event::Looked(Box::new(committed)), 106);
    assert!(matches!(
        reveal[..],
        [Action::Send(Transaction::Reveal(..))]
    ));
    hides(&reveal);
}

/// What a validator wants of a chain with these commitments.
fn wanted(
    validator: &Validator,
    epoch: u32,
    commits: Vec<Committed>,
) -> Vec<Action<validator::Task>> {
    let voting = Scoring {
        commit_reveal: true,
        epoch,
        due: 1_000,
        rate_limit: 0,
        commits,
    };
    let view = View {
        voting: Some(voting),
        ..view(3, 100)
    };
    let mut driven = Driven::new(validator.clone());
    driven.ask(105);
    let mut waiting = driven.machine.clone();
    cairn_round::Machine::handle(&mut waiting, Event::Looked(Box::new(view.clone())), 105);
    hides(&waiting);
    driven.tell(Event::Looked(Box::new(view)), 105)
}

#[test]
fn the_salt_of_a_pledge_is_not_shown() {
    let (voter, held) = ((Netuid(7), hotkey(VALIDATOR)), held_at(3));
    let salt = Secret::new(PLANTED);
    let pledge = Pledge::new(
        voter,
        3,
        held.root,
        Judgement::default(),
        Witness::default(),
        salt,
    );
    let pledged = Event::Done(validator::Done::Pledged(pledge.clone()));
    hides(&pledged);
    let mut told = Driven::new(Validator::new(
        Hotkey(voter.1.get()),
        ModelRoot::zero(),
        Some(held),
        vec![],
        vec![],
    ));
    told.tell(pledged, 108);
    hides(&told.machine);
    let commit = told.look(view(3, 100), 108);
    let committed = Transaction::CommitAttestation(pledge.clone());
    assert_eq!(commit, [Action::Send(committed)]);
    hides(&commit);
    hides(&Action::<validator::Task>::Send(Transaction::Attest(
        pledge,
    )));
}

#[test]
fn the_salt_of_a_hidden_row_is_not_shown() {
    let voter = (Netuid(7), hotkey(VALIDATOR));
    let (scores, evidence) = (vec![(MINER, 7)], Served::default());
    let hidden_row = HiddenRow::new(voter, 2, 4, scores, evidence, Secret::new(PLANTED));
    let weighed = Event::Done(validator::Done::Weighed(Weighed::Hidden(
        hidden_row.clone(),
    )));
    hides(&weighed);
    let (held, hash) = (Some(held_at(3)), hidden_row.hash);
    let mut told = Driven::new(Validator::new(
        Hotkey(voter.1.get()),
        ModelRoot::zero(),
        held,
        vec![],
        vec![],
    ));
    told.tell(weighed, 101);
    assert_eq!(
        told.machine.hidden_rows(),
        std::slice::from_ref(&hidden_row)
    );
    hides(&told.machine);
    let validator = Validator::new(
        Hotkey(voter.1.get()),
        ModelRoot::zero(),
        held,
        vec![],
        vec![hidden_row],
    );
    hides(&validator);
    let commit = wanted(&validator, 4, Vec::new());
    assert!(matches!(
        commit[..],
        [Action::Send(Transaction::CommitScores(_))]
    ));
    hides(&commit);
    let committed = Committed {
        epoch: 4,
        hash,
        at: 50,
        revealed: false,
    };
    let reveal = wanted(&validator, 5, vec![committed]);
    assert!(matches!(
        reveal[..],
        [Action::Send(Transaction::RevealScores(_))]
    ));
    hides(&reveal);
}
