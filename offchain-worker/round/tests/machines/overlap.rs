//! The miner's machine where rounds overlap, scene by scene.

use cairn_primitives::{BlockNumber, Round, Served, Uid, H256};
use cairn_round::{
    audit::{Audit, Demand},
    machine::Transaction,
    miner::{Done, Intent, Miner, Task},
    Action, Event, Next, Settlement, View,
};

use crate::{
    common::{
        held_at, hotkey, intent, miners, over, plan, sealed, seen, settled, view, with, Driven,
        MINER,
    },
    miner::sent,
};

/// No round has such a block.
const NEVER: BlockNumber = BlockNumber::MAX;

/// The same where the next round is drawn.
fn ahead(view: View) -> View {
    let round = view.round.round + 1;
    let next = Next {
        round,
        plan: plan(round),
        miners: miners(),
    };
    View {
        next: Some(next),
        ..view
    }
}

fn train(round: Round, deadline: BlockNumber, anew: bool) -> Action<Task> {
    Action::Do(Task::Train {
        round,
        uid: MINER,
        slot: 1,
        plan: plan(round),
        deadline,
        anew,
    })
}

fn commit(intent: &Intent) -> Action<Task> {
    Action::Send(Transaction::Commit(intent.round, intent.commitment.clone()))
}

fn apply(settlement: &Settlement, is_included: bool) -> Action<Task> {
    Action::Apply {
        settlement: settlement.clone(),
        is_included,
    }
}

/// Round 3 with the miner's commitment to 7, which is revealed.
fn revealed() -> View {
    ahead(with(&[seen(MINER, 7, true)], view(3, 100)))
}

/// How round 3 ended: with the miner's contribution, or without it.
fn end(is_included: bool) -> Settlement {
    let own = seen(MINER, 7, true);
    settled(
        3,
        if is_included {
            std::slice::from_ref(&own)
        } else {
            &[]
        },
    )
}

/// A miner that holds what round 3 began with, has revealed its contribution to it, and trains round 4.
fn training() -> Driven<Miner> {
    let machine = Miner::new(hotkey(MINER), Some(held_at(3)), Some(intent(3, 7)));
    let mut miner = Driven::new(machine);
    // After a crash nobody knows whether it is stored.
    let store = Action::Do(Task::Store(intent(3, 7)));
    let both = [store, train(4, NEVER, false)];
    assert_eq!(miner.look(revealed(), 107), both);
    miner
}

/// The same when that contribution is made.
fn made() -> Driven<Miner> {
    let mut miner = training();
    let done = Event::Done(Done::Sealed(intent(4, 8)));
    assert_eq!(miner.tell(done, 110), []);
    assert_eq!(miner.machine.intent(), Some(&intent(3, 7)));
    assert_eq!(miner.machine.ahead(), Some(&intent(4, 8)));
    miner
}

#[test]
fn the_next_round_is_trained_while_one_is_settled_and_applied_afterwards() {
    let mut miner = made();
    assert_eq!(miner.look(revealed(), 111), [], "two rounds ahead");
    let (apply, commit) = (apply(&end(true), true), commit(&intent(4, 8)));
    let over = ahead(over(&end(true), 113));
    assert_eq!(miner.look(over, 113), [apply, commit]);
    let root = held_at(4).root;
    miner.tell(Event::Applied { round: 3, root }, 113);
    miner.tell(Event::Kept(held_at(4)), 114);
    assert_eq!(miner.machine.intent(), Some(&intent(4, 8)));
    assert_eq!(miner.machine.ahead(), None);
    miner.tell(sent(114), 114);
    let committed = ahead(with(&[seen(MINER, 8, false)], view(4, 113)));
    assert_eq!(miner.look(committed, 114), [train(5, NEVER, false)]);
}

#[test]
fn what_is_made_is_stored_while_the_next_round_is_trained_and_then_committed_to() {
    let machine = Miner::new(hotkey(MINER), Some(held_at(0)), None);
    let mut miner = Driven::new(machine);
    let now = || ahead(view(0, 100));
    miner.look(now(), 100);
    miner.tell(Event::Done(Done::Made(intent(0, 7))), 101);
    let store = Action::Do(Task::Store(intent(0, 7)));
    let both = [store.clone(), train(1, NEVER, false)];
    assert_eq!(miner.look(now(), 101), both);
    assert_eq!(miner.look(now(), 102), [], "it is not stored");
    let stored = |well| Event::Done(Done::Stored(sealed(7), well));
    miner.tell(stored(false), 102);
    assert_eq!(miner.look(now(), 103), [store], "again");
    miner.tell(stored(true), 103);
    assert_eq!(miner.look(now(), 103), [commit(&intent(0, 7))]);
}

#[test]
fn the_first_parameters_are_trained_on_twice() {
    let machine = Miner::new(hotkey(MINER), Some(held_at(0)), None);
    let mut miner = Driven::new(machine);
    let now = || ahead(view(0, 100));
    assert_eq!(miner.look(now(), 100), [train(0, 104, false)]);
    miner.tell(Event::Done(Done::Sealed(intent(0, 7))), 102);
    let both = [train(1, NEVER, false), commit(&intent(0, 7))];
    assert_eq!(miner.look(now(), 102), both);
    miner.tell(Event::Done(Done::Sealed(intent(1, 8))), 103);
    assert_eq!(miner.look(now(), 103), [], "round 0 is not settled");
}

#[test]
fn training_ahead_has_a_deadline_once_its_round_has_begun() {
    let mut miner = training();
    let begun = || ahead(over(&end(true), 113));
    assert_eq!(
        miner.look(begun(), 113),
        [Action::Do(Task::TrainUntil(117))]
    );
    assert_eq!(miner.look(begun(), 114), [], "it is told once");
    let finish = [Action::Do(Task::FinishTraining)];
    assert_eq!(miner.look(begun(), 117), finish);
}

#[test]
fn who_was_not_included_trains_anew_while_there_is_time() {
    let over = || ahead(over(&end(false), 113));
    let abandon = [Action::Do(Task::AbandonTraining)];
    for (now, then) in [(114, train(4, 117, true)), (117, apply(&end(false), false))] {
        let mut miner = training();
        assert_eq!(miner.look(over(), 113), abandon);
        miner.tell(Event::Done(Done::NothingTrained(4)), 113);
        assert_eq!(miner.look(over(), now), [then]);
    }
}

/// What is fetched beside it may end between that it is told to stop and that it has.
#[test]
fn a_file_that_comes_while_training_stops_keeps_nobody_from_training_anew() {
    let over = || ahead(over(&end(false), 113));
    let mut miner = training();
    let theirs = seen(Uid(2), 5, true);
    let id = (theirs.uid, theirs.commitment.sealed_root);
    let now = ahead(with(&[seen(MINER, 7, true), theirs], view(3, 100)));
    let asked = miner.look(now, 108);
    let is_fetch = |action: &Action<Task>| matches!(action, Action::Do(Task::FetchAhead(_)));
    assert!(asked.len() == 1 && asked.iter().all(is_fetch), "{asked:?}");
    let abandon = [Action::Do(Task::AbandonTraining)];
    assert_eq!(miner.look(over(), 113), abandon);
    let (round, is_here) = (3, true);
    miner.tell(Event::Done(Done::Fetched { round, id, is_here }), 113);
    miner.tell(Event::Done(Done::NothingTrained(4)), 113);
    assert_eq!(miner.look(over(), 114), [train(4, 117, true)]);
}

#[test]
fn what_goes_on_from_a_contribution_that_was_not_included_is_never_committed_to() {
    let mut miner = made();
    // Nobody knows yet.
    assert_eq!(miner.look(ahead(view(4, 113)), 113), []);
    let over = || ahead(over(&end(false), 113));
    assert_eq!(miner.look(over(), 114), [train(4, 117, true)]);
    assert_eq!(
        (miner.machine.intent(), miner.machine.ahead()),
        (None, None)
    );
    miner.tell(Event::Done(Done::Sealed(intent(4, 9))), 116);
    let (apply, commit) = (apply(&end(false), false), commit(&intent(4, 9)));
    assert_eq!(miner.look(over(), 116), [apply, commit]);
    let root = held_at(4).root;
    miner.tell(Event::Applied { round: 3, root }, 117);
    miner.tell(Event::Kept(held_at(4)), 117);
    assert_eq!(miner.machine.intent(), Some(&intent(4, 9)));
}

#[test]
fn what_comes_too_late_to_be_committed_to_is_gone_on_from_by_nothing() {
    let machine = Miner::new(hotkey(MINER), Some(held_at(0)), None);
    let mut miner = Driven::new(machine);
    let now = || ahead(view(0, 100));
    miner.look(now(), 100);
    miner.tell(Event::Done(Done::Sealed(intent(0, 7))), 105);
    assert_eq!(miner.look(now(), 105), [train(1, NEVER, true)]);
    assert_eq!(miner.machine.intent(), None);
    // Whether it was committed to before a crash only the chain can tell.
    let machine = Miner::new(hotkey(MINER), Some(held_at(0)), Some(intent(0, 7)));
    let mut miner = Driven::new(machine);
    let store = Action::Do(Task::Store(intent(0, 7)));
    let both = [store, train(1, NEVER, false)];
    assert_eq!(miner.look(now(), 105), both);
}

#[test]
fn who_made_nothing_commits_ahead_of_the_settlement() {
    let machine = Miner::new(hotkey(MINER), Some(held_at(3)), None);
    let machine = machine.ahead_with(Some(intent(4, 8)));
    let mut miner = Driven::new(machine);
    let store = Action::Do(Task::Store(intent(4, 8)));
    assert_eq!(miner.look(ahead(view(4, 113)), 113), [store]);
    miner.tell(Event::Done(Done::Stored(sealed(8), true)), 113);
    let now = miner.look(ahead(view(4, 113)), 113);
    assert_eq!(now, [commit(&intent(4, 8))]);
}

#[test]
fn after_a_crash_both_contributions_are_there() {
    let back = || {
        let machine = Miner::new(hotkey(MINER), Some(held_at(3)), Some(intent(3, 7)));
        Driven::new(machine.ahead_with(Some(intent(4, 8))))
    };
    let store = |round, content| Action::Do(Task::Store(intent(round, content)));
    let committed = ahead(with(&[seen(MINER, 7, false)], view(3, 100)));
    let reveal = Action::Send(Transaction::Reveal(3, intent(3, 7).key));
    let all = [store(3, 7), store(4, 8), reveal];
    assert_eq!(back().look(committed, 106), all);
    let over = ahead(over(&end(true), 113));
    let mut miner = back();
    let both = [store(4, 8), apply(&end(true), true)];
    assert_eq!(miner.look(over.clone(), 113), both);
    miner.tell(Event::Done(Done::Stored(sealed(8), true)), 113);
    assert_eq!(miner.look(over, 113), [commit(&intent(4, 8))]);
    for round in [3, 5] {
        let machine = Miner::new(hotkey(MINER), Some(held_at(3)), None);
        let machine = machine.ahead_with(Some(intent(round, 8)));
        assert_eq!(machine.ahead(), None, "{round}");
    }
}

#[test]
fn who_is_not_expected_any_more_has_no_part_in_what_it_was_drawn_for() {
    let mut over = ahead(over(&end(true), 113));
    over.absent = vec![hotkey(MINER)];
    assert_eq!(made().look(over, 113), [apply(&end(true), true)]);
    let machine = Miner::new(hotkey(MINER), Some(held_at(4)), None);
    let mut now = ahead(view(4, 113));
    now.absent = vec![hotkey(MINER)];
    let back = Action::Send(Transaction::Here(4));
    assert_eq!(Driven::new(machine).look(now, 113), [back]);
}

#[test]
fn who_joins_afresh_forgets_what_it_made_ahead() {
    let mut miner = made();
    let mut far = ahead(view(50, 1_000));
    far.round.oldest = 4;
    assert_eq!(miner.look(far, 1_000), [Action::Join]);
    miner.tell(Event::Joined(held_at(4)), 1_001);
    assert_eq!(
        (miner.machine.intent(), miner.machine.ahead()),
        (None, None)
    );
}

#[test]
fn who_holds_what_the_round_began_with_is_too_late_for_it_and_trains_the_next() {
    let machine = Miner::new(hotkey(MINER), Some(held_at(3)), None);
    let mut miner = Driven::new(machine);
    let now = miner.look(ahead(view(3, 100)), 101);
    assert_eq!(now, [train(4, NEVER, false)]);
}

/// The audit of the miner's contribution to round 3: what is served has to be there before this block.
fn audit(opens_until: BlockNumber) -> Audit {
    Audit {
        round: 3,
        uid: MINER,
        hotkey: hotkey(MINER),
        opens_until,
        commits_until: opens_until + 8,
        reveals_until: opens_until + 16,
        drawn: 4,
        is_new: false,
        is_disputed: false,
        longest: 1_000,
        served: None,
        auditors: Vec::new(),
    }
}

#[test]
fn training_gives_way_to_an_audit_that_cannot_wait() {
    for (opens_until, expected) in [
        (122, Action::Do(Task::TrainUntil(117))),
        (121, Action::Do(Task::FinishTraining)),
    ] {
        let mut over = ahead(over(&end(true), 113));
        over.audits = vec![audit(opens_until)];
        assert_eq!(training().look(over, 113), [expected], "{opens_until}");
    }
    // Where nothing is trained yet, what is audited is kept first.
    let machine = Miner::new(hotkey(MINER), Some(held_at(3)), Some(intent(3, 7)));
    let mut miner = Driven::new(machine);
    let mut over = ahead(over(&end(true), 113));
    over.audits = vec![audit(121)];
    // Round 3 is over: there is nothing to be stored for it.
    assert_eq!(miner.look(over, 113), [apply(&end(true), true)]);
    let root = held_at(4).root;
    let kept = miner.tell(Event::Applied { round: 3, root }, 113);
    let demand = Some(Demand { round: 3, drawn: 4 });
    assert!(matches!(&kept[..], [Action::Keep { audited, .. }] if *audited == demand));
}

/// What the miner owes of round 3.
const OWED: Demand = Demand { round: 3, drawn: 4 };

/// A miner that has applied round 3 and made its contribution to round 4.
fn owing() -> Miner {
    let machine = Miner::new(hotkey(MINER), Some(held_at(4)), Some(intent(4, 8)));
    machine.serving(Some(OWED), None)
}

/// Whoever has not passed an audit yet is audited in each round.
#[test]
fn what_is_owed_of_a_round_is_served_before_the_next_is_applied() {
    let mut miner = Driven::new(owing().ahead_with(Some(intent(5, 9))));
    let end = settled(4, &[seen(MINER, 8, true)]);
    let newer = Audit {
        round: 4,
        ..audit(150)
    };
    let mut over = ahead(over(&end, 126));
    over.audits = vec![audit(140), newer];
    let store = Action::Do(Task::Store(intent(5, 9)));
    let serve = Action::Do(Task::Serve(OWED));
    assert_eq!(miner.look(over.clone(), 126), [store, serve]);
    let served = Served {
        root: H256([7; 32]),
        length: 9,
    };
    miner.tell(Event::Done(Done::Served(3, Some(served))), 127);
    let actions = miner.look(over, 127);
    assert!(actions.contains(&apply(&end, true)), "{actions:?}");
    let root = held_at(5).root;
    let kept = miner.tell(Event::Applied { round: 4, root }, 127);
    let demand = Some(Demand { round: 4, drawn: 4 });
    assert!(matches!(&kept[..], [Action::Keep { audited, .. }] if *audited == demand));
}

/// Nobody knew when it would begin, nor how long it would take.
#[test]
fn training_gives_way_to_what_is_owed_once_its_deadline_is_known() {
    for (opens_until, expected) in [
        (149, Action::Do(Task::TrainUntil(144))),
        (148, Action::Do(Task::FinishTraining)),
    ] {
        let mut miner = Driven::new(owing());
        let own = seen(MINER, 8, true);
        let mut now = ahead(with(std::slice::from_ref(&own), view(4, 113)));
        now.audits = vec![audit(opens_until)];
        let store = Action::Do(Task::Store(intent(4, 8)));
        assert_eq!(miner.look(now, 114), [store, train(5, NEVER, false)]);
        let mut over = ahead(over(&settled(4, &[own]), 140));
        over.audits = vec![audit(opens_until)];
        assert_eq!(miner.look(over, 140), [expected], "{opens_until}");
    }
}
