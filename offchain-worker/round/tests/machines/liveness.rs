//! When the chain is looked at: when it moved, at once after what ended well, with the next block after what
//! failed, and never twice at a time.

use cairn_primitives::{BlockNumber, Hotkey, Netuid, Secret, Served, Uid, H256};
use cairn_round::{
    hidden_row::HiddenRow,
    machine::{Gone, Kind, Lack, Question},
    miner::{self, Miner},
    validator::{self, Validator, Weighed},
    Action, Event, Held, View,
};

use crate::common::{
    held_at, intent, over, pledge, sealed, seen, settled, view, with, Driven, Role, MINER,
};

/// Too late to train, too early to reveal: nobody has anything to do.
const QUIET: BlockNumber = 105;

fn quiet() -> View {
    view(3, 100)
}

/// Takes the answer to the first look, after which there is none under way.
fn at_rest<R: Role>(held: Option<Held>) -> Driven<R> {
    let mut role = R::with(held);
    assert_eq!(role.drain(), []);
    assert!(role.tell(looked(quiet()), QUIET).is_empty() || held.is_none());
    assert_eq!(role.asked, None);
    role
}

fn looked<D>(view: View) -> Event<D> {
    Event::Looked(Box::new(view))
}

fn sent<D>(kind: Kind, block: Option<BlockNumber>) -> Event<D> {
    Event::Sent { kind, block }
}

fn a_new_machine<R: Role>() {
    let mut role = R::with(Some(held_at(3)));
    assert_eq!(role.drain(), []);
    let question = Question {
        settled: Some(3),
        voting: R::VOTES,
    };
    assert_eq!(role.asked, Some(question));
    let mut role = R::with(None);
    assert_eq!(role.drain(), []);
    assert_eq!(role.asked.and_then(|question| question.settled), None);
}

#[test]
fn a_new_machine_looks_at_once() {
    a_new_machine::<Miner>();
    a_new_machine::<Validator>();
}

fn one_at_a_time<R: Role>() {
    let mut role = at_rest::<R>(Some(held_at(3)));
    let asks = |role: &mut Driven<R>, event| {
        role.machine.handle(event, QUIET);
        let mut looks = 0;
        while let Some(action) = role.machine.poll_action() {
            assert!(matches!(action, Action::Look(_)), "{action:?}");
            looks += 1;
        }
        looks
    };
    assert_eq!(asks(&mut role, Event::Moved), 1);
    assert_eq!(asks(&mut role, Event::Moved), 0, "one is under way");
    assert_eq!(asks(&mut role, Event::Moved), 0, "one is under way");
    // What moved meanwhile is looked at once.
    assert_eq!(asks(&mut role, looked(quiet())), 1);
    assert_eq!(asks(&mut role, looked(quiet())), 0, "nothing moved");
}

#[test]
fn the_chain_is_looked_at_once_for_all_that_moved() {
    one_at_a_time::<Miner>();
    one_at_a_time::<Validator>();
}

/// Whether it waits for the next block after this, and looks then.
fn waits<R: Role>(role: &mut Driven<R>, event: Event<R::Done>) {
    let what = format!("{event:?}");
    assert_eq!(role.tell(event, QUIET), [], "{what}");
    assert_eq!(role.asked, None, "{what}");
    role.ask(QUIET + 1);
}

fn failures<R: Role>() {
    let mut role = at_rest::<R>(Some(held_at(3)));
    role.ask(QUIET);
    waits(&mut role, Event::NotLooked);
    for kind in [
        Kind::Contribution,
        Kind::Attestation,
        Kind::Presence,
        Kind::Scores,
    ] {
        waits(&mut at_rest::<R>(Some(held_at(3))), sent(kind, None));
        let unseen = sent(kind, Some(QUIET + 1));
        waits(&mut at_rest::<R>(Some(held_at(3))), unseen);
    }
    let mut joining = at_rest::<R>(None);
    waits(&mut joining, Event::NotJoined);
    let mut applying = at_rest::<R>(Some(held_at(3)));
    let end = over(&settled(3, &[seen(Uid(2), 5, true)]), 113);
    assert_eq!(applying.look(end, QUIET).len(), 1);
    waits(&mut applying, Event::NotApplied(3));
}

#[test]
fn what_failed_is_tried_again_with_the_next_block() {
    failures::<Miner>();
    failures::<Validator>();
}

#[test]
fn a_file_that_is_not_here_and_scores_without_an_answer_wait() {
    let mut validator = at_rest::<Validator>(Some(held_at(3)));
    let contributions = [seen(Uid(2), 5, false)];
    let fetch = validator.look(with(&contributions, quiet()), QUIET);
    assert_eq!(fetch.len(), 1);
    let fetched = validator::Done::Fetched {
        round: 3,
        id: (Uid(2), sealed(5)),
        is_here: false,
    };
    waits(&mut validator, Event::Done(fetched));
    let unanswered = validator::Done::Weighed(Weighed::Unanswered);
    let mut validator = at_rest::<Validator>(Some(held_at(3)));
    waits(&mut validator, Event::Done(unanswered));
}

/// Whether it looks at once after this.
fn looks<R: Role>(role: &mut Driven<R>, event: Event<R::Done>) {
    let what = format!("{event:?}");
    assert_eq!(role.tell(event, QUIET), [], "{what}");
    assert!(role.asked.is_some(), "{what}");
}

fn successes<R: Role>() {
    for kind in [
        Kind::Contribution,
        Kind::Attestation,
        Kind::Presence,
        Kind::Scores,
    ] {
        for block in [QUIET - 1, QUIET] {
            let seen = sent(kind, Some(block));
            looks(&mut at_rest::<R>(Some(held_at(3))), seen);
        }
    }
    looks(&mut at_rest::<R>(None), Event::Joined(held_at(3)));
    let mut role = at_rest::<R>(Some(held_at(3)));
    let end = over(&settled(3, &[seen(Uid(2), 5, true)]), 113);
    assert_eq!(role.look(end, QUIET).len(), 1);
    let applied = Event::Applied {
        round: 3,
        root: held_at(4).root,
    };
    assert_eq!(role.tell(applied, QUIET).len(), 1);
    looks(&mut role, Event::Kept(held_at(4)));
}

#[test]
fn what_ended_well_is_followed_by_a_look_at_once() {
    successes::<Miner>();
    successes::<Validator>();
}

#[test]
fn a_miner_looks_when_training_has_ended() {
    use miner::Done::{NothingTrained, Sealed};
    for done in [Sealed(intent(3, 7)), NothingTrained(3)] {
        let mut miner = at_rest::<Miner>(Some(held_at(3)));
        let train = miner.look(quiet(), 101);
        assert!(matches!(train[..], [Action::Do(miner::Task::Train { .. })]));
        looks(&mut miner, Event::Done(done));
    }
}

#[test]
fn a_validator_looks_when_its_own_work_ended_well() {
    let id = (Uid(2), sealed(5));
    let hidden_row = HiddenRow::new(
        (Netuid(7), Hotkey(H256::zero())),
        2,
        0,
        vec![(MINER, 7)],
        Served::default(),
        Secret::new([1; 32]),
    );
    let (round, is_here) = (3, true);
    for done in [
        validator::Done::Fetched { round, id, is_here },
        validator::Done::Opened {
            round,
            id,
            found: validator::Opened::Good,
        },
        validator::Done::Opened {
            round,
            id,
            found: validator::Opened::Broken,
        },
        validator::Done::Pledged(pledge(held_at(3), &[])),
        validator::Done::Measured(2, None, Vec::new()),
        validator::Done::Weighed(Weighed::Nothing),
        validator::Done::Weighed(Weighed::Hidden(hidden_row)),
    ] {
        looks(
            &mut at_rest::<Validator>(Some(held_at(3))),
            Event::Done(done),
        );
    }
}

fn an_answer_without_a_run<R: Role>() {
    let mut role = at_rest::<R>(Some(held_at(0)));
    role.ask(QUIET);
    let explain = [Action::Explain(Lack::Run)];
    assert_eq!(role.tell(Event::Gone(Gone::Stopped), QUIET), explain);
    assert_eq!(role.asked, None);
    role.ask(QUIET + 1);
}

#[test]
fn the_chain_is_asked_again_whether_there_is_a_run_when_it_moved() {
    an_answer_without_a_run::<Miner>();
    an_answer_without_a_run::<Validator>();
}
