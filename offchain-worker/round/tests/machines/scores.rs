//! The validator's machine, scene by scene: evidence becomes scores on chain.

use cairn_primitives::{EpochIndex, Netuid, Round, Secret, Served, Uid};
use cairn_round::{
    hidden_row::{Committed, HiddenRow, Scoring},
    machine::{Kind, Transaction},
    validator::{Done, Task, Validator, Weighed},
    Action, Event, View,
};

use crate::{
    checks::sent,
    common::{held_at, hotkey, in_the_open, view, Driven, Role, VALIDATOR},
};

/// Between training and revealing, where there is nothing else to do.
const NOW: u32 = 105;

fn open() -> View {
    View {
        voting: Some(in_the_open()),
        ..view(5, 100)
    }
}

fn hidden(epoch: EpochIndex, commits: &[Committed]) -> View {
    let voting = Scoring {
        commit_reveal: true,
        epoch,
        due: 1_000,
        rate_limit: 0,
        commits: commits.to_vec(),
    };
    View {
        voting: Some(voting),
        ..view(5, 100)
    }
}

fn row() -> Vec<(Uid, u16)> {
    vec![(Uid(1), 7), (Uid(3), 9)]
}

fn hidden_row(round: Round, epoch: EpochIndex) -> HiddenRow {
    let salt = Secret::new([7; 32]);
    let (voter, evidence) = ((Netuid(7), hotkey(VALIDATOR)), Served::default());
    HiddenRow::new(voter, round, epoch, row(), evidence, salt)
}

fn committed(hidden_row: &HiddenRow, revealed: bool) -> Committed {
    Committed {
        epoch: hidden_row.epoch,
        hash: hidden_row.hash,
        at: 50,
        revealed,
    }
}

fn weigh(round: Round, epoch: Option<EpochIndex>) -> Action<Task> {
    Action::Do(Task::Weigh { round, epoch })
}

fn weighed(weighed: Weighed) -> Event<Done> {
    Event::Done(Done::Weighed(weighed))
}

fn refused() -> Event<Done> {
    sent(Kind::Scores, None)
}

/// A validator that has measured round 4.
fn measured() -> Driven<Validator> {
    let mut validator = Validator::with(Some(held_at(5)));
    let done = Done::Measured(4, None, Vec::new());
    validator.tell(Event::Done(done), NOW);
    validator
}

#[test]
fn without_evidence_there_is_nothing_to_weigh() {
    let mut validator = Validator::with(Some(held_at(5)));
    assert_eq!(validator.look(open(), NOW), []);
    assert_eq!(validator.look(hidden(4, &[]), NOW), []);
}

#[test]
fn in_the_open_scores_are_set_at_once() {
    let mut validator = measured();
    assert_eq!(validator.look(open(), NOW), [weigh(4, None)]);
    assert_eq!(validator.look(open(), NOW), [], "it is under way");
    let set = Action::Send(Transaction::SetScores(4, row()));
    let event = weighed(Weighed::Open(4, row()));
    assert_eq!(validator.tell(event, NOW), [set]);
    assert_eq!(validator.look(open(), NOW), [], "it is under way");
    validator.tell(sent(Kind::Scores, Some(NOW)), NOW);
    assert_eq!(validator.look(open(), NOW), []);
}

#[test]
fn hidden_scores_are_committed_and_revealed_after_their_epoch() {
    let mut validator = measured();
    assert_eq!(validator.look(hidden(4, &[]), NOW), [weigh(4, Some(4))]);
    let hidden_row = hidden_row(4, 4);
    validator.tell(weighed(Weighed::Hidden(hidden_row.clone())), NOW);
    assert_eq!(
        validator.machine.hidden_rows(),
        std::slice::from_ref(&hidden_row)
    );
    let commit = Action::Send(Transaction::CommitScores(hidden_row.clone()));
    assert_eq!(validator.look(hidden(4, &[]), NOW), [commit]);
    assert_eq!(validator.look(hidden(4, &[]), NOW), [], "it is under way");
    validator.tell(sent(Kind::Scores, Some(NOW)), NOW);
    let there = [committed(&hidden_row, false)];
    assert_eq!(validator.look(hidden(4, &there), NOW), [], "never early");
    let reveal = Action::Send(Transaction::RevealScores(hidden_row.clone()));
    assert_eq!(validator.look(hidden(5, &there), NOW), [reveal]);
    validator.tell(sent(Kind::Scores, Some(NOW)), NOW);
    let revealed = [committed(&hidden_row, true)];
    assert_eq!(validator.look(hidden(5, &revealed), NOW), []);
    assert_eq!(validator.look(hidden(6, &[]), NOW), []);
    assert_eq!(
        validator.machine.hidden_rows(),
        [],
        "it cannot matter any more"
    );
}

#[test]
fn a_validator_that_comes_back_reveals_what_it_committed_to() {
    let hidden_row = hidden_row(4, 4);
    let there = [committed(&hidden_row, false)];
    let (held, hidden_rows) = (Some(held_at(5)), vec![hidden_row.clone()]);
    let machine = Validator::new(
        hotkey(VALIDATOR),
        held_at(0).root,
        held,
        vec![],
        hidden_rows,
    );
    let reveal = Action::Send(Transaction::RevealScores(hidden_row));
    assert_eq!(Driven::new(machine).look(hidden(5, &there), NOW), [reveal]);
}

#[test]
fn when_nothing_has_shown_its_worth_scores_stay() {
    let mut validator = measured();
    assert_eq!(validator.look(open(), NOW), [weigh(4, None)]);
    assert_eq!(validator.tell(weighed(Weighed::Nothing), NOW), []);
    assert_eq!(validator.look(open(), NOW), []);
}

/// What happens to scores three times, until they are given up.
fn three_times(voting: View, epoch: Option<EpochIndex>, fail: fn(&mut Driven<Validator>)) {
    let mut validator = measured();
    for attempt in 0..3 {
        let weigh = [weigh(4, epoch)];
        assert_eq!(validator.look(voting.clone(), NOW), weigh, "{attempt}");
        fail(&mut validator);
    }
    assert_eq!(validator.look(voting.clone(), NOW), []);
    // The next round's evidence is weighed, as if nothing had happened.
    let done = Done::Measured(5, None, Vec::new());
    validator.tell(Event::Done(done), NOW);
    assert_eq!(validator.look(voting, NOW), [weigh(5, epoch)]);
}

#[test]
fn without_an_answer_scores_are_tried_three_times() {
    let unanswered = |validator: &mut Driven<Validator>| {
        assert_eq!(validator.tell(weighed(Weighed::Unanswered), NOW), []);
    };
    three_times(open(), None, unanswered);
    three_times(hidden(4, &[]), Some(4), unanswered);
}

#[test]
fn scores_that_are_refused_are_tried_three_times() {
    three_times(open(), None, |validator| {
        let sends = validator.tell(weighed(Weighed::Open(4, row())), NOW);
        assert!(matches!(sends[..], [Action::Send(_)]));
        assert_eq!(validator.tell(refused(), NOW), []);
    });
}

#[test]
fn a_commitment_that_is_refused_is_tried_three_times() {
    let mut validator = measured();
    validator.look(hidden(4, &[]), NOW);
    let hidden_row = hidden_row(4, 4);
    validator.tell(weighed(Weighed::Hidden(hidden_row.clone())), NOW);
    for attempt in 0..3 {
        let commit = [Action::Send(Transaction::CommitScores(hidden_row.clone()))];
        assert_eq!(validator.look(hidden(4, &[]), NOW), commit, "{attempt}");
        validator.tell(refused(), NOW);
    }
    assert_eq!(validator.look(hidden(4, &[]), NOW), []);
}

#[test]
fn the_end_of_other_transactions_is_not_that_of_the_scores() {
    let mut validator = measured();
    validator.look(open(), NOW);
    for kind in [Kind::Contribution, Kind::Attestation] {
        validator.tell(sent(kind, Some(NOW)), NOW);
        assert_eq!(validator.look(open(), NOW), [], "it is under way");
    }
}
