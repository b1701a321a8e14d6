//! The validator's machine, scene by scene: which parameters stay in the store.

use cairn_primitives::Round;
use cairn_round::{
    machine::{Gone, Lack, Reason},
    validator::{Done, Task, Validator},
    Action, Event, Held,
};

use crate::common::{held_at, hotkey, over, settled, view, Driven, Role, VALIDATOR};

const NOW: u32 = 105;

fn write(held: Held) -> Action<Task> {
    Action::Do(Task::WriteCheckpoint(held))
}

fn explain() -> Action<Task> {
    Action::Explain(Lack::Run)
}

fn stop() -> Action<Task> {
    Action::Stop(Reason::Replaced(200))
}

/// A round ends. Gives what is to be done once the parameters after it are in force.
fn follow(validator: &mut Driven<Validator>, round: Round) -> Vec<Action<Task>> {
    let root = held_at(round + 1).root;
    assert_eq!(
        validator.look(over(&settled(round, &[]), 100), NOW).len(),
        1
    );
    assert_eq!(validator.tell(Event::Applied { round, root }, NOW).len(), 1);
    validator.tell(Event::Kept(held_at(round + 1)), NOW)
}

/// A validator that came from the round before to this one, and has looked since.
fn came_to(round: Round) -> Driven<Validator> {
    let mut validator = Validator::with(Some(held_at(round - 1)));
    follow(&mut validator, round - 1);
    answer_all(&mut validator);
    validator
}

fn answer_all(validator: &mut Driven<Validator>) {
    while validator.asked.is_some() {
        let round = validator.machine.held().map_or(0, |held| held.round);
        let quiet = Event::Looked(Box::new(view(round, 100)));
        assert_eq!(validator.tell(quiet, NOW), []);
    }
}

fn gone(validator: &mut Driven<Validator>, gone: Gone) -> Vec<Action<Task>> {
    validator.ask(NOW);
    validator.tell(Event::Gone(gone), NOW)
}

fn written(held: Held, is_written: bool) -> Event<Done> {
    Event::Done(Done::Checkpoint(held, is_written))
}

#[test]
fn checkpoints_are_written_when_their_rounds_begin() {
    for (every, due) in [(None, [1, 5, 10]), (Some(4), [1, 4, 8])] {
        let mut validator = Validator::with(Some(held_at(0)));
        if let Some(every) = every {
            validator = Driven::new(validator.machine.with_checkpoint_every(every));
        }
        for round in 0..11 {
            let next = round + 1;
            let expected = match due.contains(&next) {
                true => vec![write(held_at(next))],
                false => vec![],
            };
            let done = follow(&mut validator, round);
            assert_eq!(done, expected, "after {round}, one every {every:?}");
            assert_eq!(validator.tell(written(held_at(next), true), NOW), []);
        }
    }
}

#[test]
fn a_store_that_is_slower_than_rounds_has_two_checkpoints_to_take_at_most() {
    let validator = Validator::with(Some(held_at(0)));
    let mut validator = Driven::new(validator.machine.with_checkpoint_every(1));
    assert_eq!(follow(&mut validator, 0), [write(held_at(1))]);
    assert_eq!(follow(&mut validator, 1), [write(held_at(2))]);
    assert_eq!(follow(&mut validator, 2), []);
    assert_eq!(validator.tell(written(held_at(1), false), NOW), []);
    assert_eq!(follow(&mut validator, 3), [write(held_at(4))]);
    assert_eq!(follow(&mut validator, 4), []);
}

#[test]
fn what_was_fetched_is_not_written_again() {
    let mut validator = Validator::with(None);
    assert_eq!(validator.look(view(6, 100), NOW), [Action::Join]);
    assert_eq!(validator.tell(Event::Joined(held_at(5)), NOW), []);
}

#[test]
fn a_run_that_ends_leaves_what_is_held_and_what_was_before() {
    let mut validator = came_to(3);
    let left = [write(held_at(2)), write(held_at(3)), explain()];
    assert_eq!(gone(&mut validator, Gone::Stopped), left);
    assert_eq!(
        gone(&mut validator, Gone::Stopped),
        [explain()],
        "under way"
    );
    for (round, then) in [(3, 2), (2, 3)] {
        let mut validator = came_to(3);
        gone(&mut validator, Gone::Stopped);
        validator.tell(written(held_at(round), true), NOW);
        assert_eq!(gone(&mut validator, Gone::Stopped), [explain()]);
        validator.tell(written(held_at(then), true), NOW);
        let after = gone(&mut validator, Gone::Stopped);
        assert_eq!(after, [explain()], "both are written, {round} first");
    }
}

#[test]
fn initial_parameters_are_not_written() {
    let mut validator = Validator::with(Some(held_at(0)));
    assert_eq!(gone(&mut validator, Gone::Stopped), [explain()]);
    let mut validator = came_to(1);
    validator.tell(written(held_at(1), true), NOW);
    assert_eq!(gone(&mut validator, Gone::Stopped), [explain()]);
    // After null rounds they are still the initial ones.
    let initial = held_at(2).root;
    let held = Some(held_at(2));
    let mut validator = Driven::new(Validator::new(
        hotkey(VALIDATOR),
        initial,
        held,
        vec![],
        vec![],
    ));
    follow(&mut validator, 2);
    let left = [write(held_at(3)), explain()];
    assert_eq!(gone(&mut validator, Gone::Stopped), left);
}

#[test]
fn what_a_restarted_validator_holds_is_left_too() {
    let mut validator = Validator::with(Some(held_at(7)));
    let left = [write(held_at(7)), explain()];
    assert_eq!(gone(&mut validator, Gone::Stopped), left);
}

#[test]
fn what_was_written_when_its_round_began_is_not_written_again() {
    let mut validator = Validator::with(Some(held_at(4)));
    assert_eq!(follow(&mut validator, 4), [write(held_at(5))]);
    answer_all(&mut validator);
    let mut busy = Driven::new(validator.machine.clone());
    let left = [write(held_at(4)), explain()];
    assert_eq!(gone(&mut busy, Gone::Stopped), left, "it is under way");
    validator.tell(written(held_at(5), true), NOW);
    assert_eq!(follow(&mut validator, 5), []);
    let left = [write(held_at(6)), explain()];
    assert_eq!(gone(&mut validator, Gone::Stopped), left);
}

#[test]
fn what_could_not_be_written_is_written_at_the_next_look() {
    for failed in [2, 3] {
        let mut validator = came_to(3);
        gone(&mut validator, Gone::Stopped);
        for round in [2, 3] {
            let after = validator.tell(written(held_at(round), round != failed), NOW);
            assert_eq!(after, []);
            assert_eq!(validator.asked, None, "not before the next block");
        }
        let again = [write(held_at(failed)), explain()];
        assert_eq!(gone(&mut validator, Gone::Stopped), again);
    }
}

#[test]
fn a_run_that_was_replaced_is_ended_when_all_is_written() {
    let mut validator = came_to(3);
    let replaced = Gone::Replaced(200);
    let left = [write(held_at(2)), write(held_at(3))];
    assert_eq!(gone(&mut validator, replaced), left);
    assert_eq!(validator.tell(written(held_at(2), true), NOW), []);
    assert_eq!(gone(&mut validator, replaced), [], "one is under way");
    assert_eq!(validator.tell(written(held_at(3), true), NOW), [stop()]);
}

#[test]
fn a_run_that_was_replaced_is_not_ended_while_something_could_not_be_written() {
    for [first, last] in [[2, 3], [3, 2]] {
        let mut validator = came_to(3);
        let replaced = Gone::Replaced(200);
        gone(&mut validator, replaced);
        assert_eq!(validator.tell(written(held_at(first), false), NOW), []);
        assert_eq!(validator.tell(written(held_at(last), true), NOW), []);
        assert_eq!(gone(&mut validator, replaced), [write(held_at(first))]);
        assert_eq!(validator.tell(written(held_at(first), true), NOW), [stop()]);
    }
}

#[test]
fn a_store_that_stays_away_does_not_keep_a_replaced_validator_for_ever() {
    let mut validator = came_to(3);
    let (replaced, lost) = (
        Gone::Replaced(200),
        [written(held_at(2), false), written(held_at(3), false)],
    );
    for look in 1..4 {
        assert_eq!(gone(&mut validator, replaced).len(), 2, "look {look}");
        for event in lost.clone() {
            assert_eq!(validator.tell(event, NOW), [], "look {look}");
        }
    }
    assert_eq!(gone(&mut validator, replaced).len(), 2);
    let [first, last] = lost;
    assert_eq!(validator.tell(first, NOW), []);
    assert_eq!(validator.tell(last, NOW), [stop()]);
}

#[test]
fn a_run_that_brought_nothing_is_ended_at_once_when_it_was_replaced() {
    let replaced = Gone::Replaced(200);
    let mut nothing = Validator::with(None);
    assert_eq!(gone(&mut nothing, replaced), [stop()]);
    let mut initial = Validator::with(Some(held_at(0)));
    assert_eq!(gone(&mut initial, replaced), [stop()]);
}

#[test]
fn a_checkpoint_that_is_being_written_is_waited_for() {
    let mut validator = came_to(1);
    assert_eq!(gone(&mut validator, Gone::Replaced(200)), []);
    assert_eq!(validator.tell(written(held_at(1), true), NOW), [stop()]);
}
