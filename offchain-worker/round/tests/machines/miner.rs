//! The miner's machine, scene by scene.

use cairn_primitives::{BlockNumber, Round, Secret, Uid};
use cairn_round::{
    ahead::{Sealed, Whom},
    course::Work,
    machine::{Gone, Kind, Lack, Reason, Transaction},
    miner::{Done, Intent, Miner, Task},
    Action, Attester, Event, RoundView, Seen, View,
};

use crate::common::{
    bytes, held_at, hotkey, intent, over, plan, seen, settled, view, with, Driven, MINER,
};

type Actions = Vec<Action<Task>>;

fn miner(round: Round, made: Option<Intent>) -> Driven<Miner> {
    Driven::new(Miner::new(hotkey(MINER), Some(held_at(round)), made))
}

fn train(round: Round, deadline: BlockNumber) -> Action<Task> {
    Action::Do(Task::Train {
        round,
        uid: MINER,
        slot: 1,
        plan: plan(round),
        deadline,
        anew: false,
    })
}

fn commit(intent: &Intent) -> Action<Task> {
    Action::Send(Transaction::Commit(intent.round, intent.commitment.clone()))
}

fn reveal(intent: &Intent) -> Action<Task> {
    Action::Send(Transaction::Reveal(intent.round, intent.key))
}

pub fn sent<D>(block: BlockNumber) -> Event<D> {
    Event::Sent {
        kind: Kind::Contribution,
        block: Some(block),
    }
}

fn own(content: u64, revealed: bool, view: View) -> View {
    with(&[seen(MINER, content, revealed)], view)
}

#[test]
fn a_round_from_beginning_to_end() {
    let mut miner = miner(0, None);
    assert_eq!(miner.look(view(0, 100), 101), [train(0, 104)]);
    assert_eq!(miner.look(view(0, 100), 102), []);
    assert_eq!(miner.tell(Event::Done(Done::Sealed(intent(0, 7))), 102), []);
    assert_eq!(miner.machine.intent(), Some(&intent(0, 7)));
    assert_eq!(miner.look(view(0, 100), 103), [commit(&intent(0, 7))]);
    assert_eq!(miner.look(view(0, 100), 103), [], "it is under way");
    miner.tell(sent(104), 104);
    let committed = own(7, false, view(0, 100));
    assert_eq!(miner.look(committed.clone(), 104), []);
    let reveal = Action::Send(Transaction::Reveal(0, Secret::new(bytes(7).0)));
    assert_eq!(miner.look(committed.clone(), 105), [reveal]);
    assert_eq!(miner.look(committed, 106), [], "it is under way");
    miner.tell(sent(107), 107);
    assert_eq!(miner.look(own(7, true, view(0, 100)), 108), []);
    let end = settled(0, &[seen(MINER, 7, true)]);
    let apply = Action::Apply {
        settlement: end.clone(),
        is_included: true,
    };
    assert_eq!(miner.look(over(&end, 113), 113), [apply]);
    miner.tell(
        Event::Applied {
            round: 0,
            root: held_at(1).root,
        },
        113,
    );
    assert_eq!(miner.machine.intent(), Some(&intent(0, 7)), "until then");
    miner.tell(Event::Kept(held_at(1)), 113);
    assert_eq!(miner.machine.held(), Some(held_at(1)));
    assert_eq!(miner.machine.intent(), None);
    assert_eq!(miner.look(view(1, 113), 114), [train(1, 117)]);
}

/// A look at the block before may have begun before the transaction was in one, and ends later.
#[test]
fn a_late_view_of_an_older_block_sends_nothing_again() {
    let mut miner = miner(0, Some(intent(0, 7)));
    assert_eq!(miner.look(view(0, 100), 103), [commit(&intent(0, 7))]);
    miner.tell(sent(104), 103);
    assert_eq!(miner.look(view(0, 100), 103), [], "it is in the next block");
    let undone = miner.look(view(0, 100), 104);
    assert_eq!(undone, [commit(&intent(0, 7))], "that block was undone");
}

#[test]
fn training_ends_before_the_commit_deadline() {
    let mut miner = miner(0, None);
    miner.look(view(0, 100), 100);
    assert_eq!(miner.look(view(0, 100), 103), []);
    let finish = [Action::Do(Task::FinishTraining)];
    assert_eq!(miner.look(view(0, 100), 104), finish);
    assert_eq!(miner.look(view(0, 100), 105), [], "it is told once");
}

#[test]
fn training_of_a_round_that_is_over_is_abandoned() {
    let abandon = [Action::Do(Task::AbandonTraining)];
    for over in [view(1, 113), over(&settled(0, &[]), 113)] {
        let mut miner = miner(0, None);
        miner.look(view(0, 100), 100);
        assert_eq!(miner.look(over.clone(), 113), abandon);
        assert_eq!(miner.look(over, 114), [], "it is told once");
        assert_eq!(miner.machine.work(), &Work::Own(0), "until it has ended");
    }
}

/// All have committed by block 102.
fn cut(view: View) -> View {
    let times = view.round.times.trained_for(3);
    let round = RoundView {
        times,
        ..view.round
    };
    View { round, ..view }
}

#[test]
fn a_key_is_kept_back_until_it_is_certain_that_nobody_can_commit() {
    let mut miner = miner(0, Some(intent(0, 7)));
    assert_eq!(miner.look(view(0, 100), 100), [commit(&intent(0, 7))]);
    miner.tell(sent(101), 101);
    let committed = own(7, false, cut(view(0, 100)));
    assert_eq!(miner.look(committed.clone(), 102), [], "a fork may undo it");
    let certain = RoundView {
        certain: committed.round.times,
        ..committed.round
    };
    let certain = View {
        round: certain,
        ..committed
    };
    assert_eq!(miner.look(certain, 102), [reveal(&intent(0, 7))]);
}

#[test]
fn a_limit_is_certain_before_it_is_final() {
    let mut miner = miner(0, Some(intent(0, 7)));
    let committed = own(7, false, view(0, 100));
    assert_eq!(miner.look(committed.clone(), 104), []);
    assert_eq!(miner.look(committed, 105), [reveal(&intent(0, 7))]);
}

#[test]
fn who_was_too_late_in_a_round_that_did_not_wait_trains_as_long_as_the_others_did() {
    let unawaited = |view: View| View {
        unawaited: vec![hotkey(MINER)],
        ..view
    };
    // Nothing is known of the others, or it came in time.
    let in_time = unawaited(own(7, false, cut(view(0, 100))));
    for before in [None, Some(in_time)] {
        let mut miner = miner(1, None);
        if let Some(before) = before {
            miner.look(before, 104);
        }
        let now = miner.look(unawaited(view(1, 113)), 113);
        assert_eq!(now, [train(1, 117)]);
    }
    let mut late = miner(1, None);
    late.look(unawaited(cut(view(0, 100))), 104);
    assert_eq!(late.look(unawaited(view(1, 113)), 113), [train(1, 115)]);
    let finish = [Action::Do(Task::FinishTraining)];
    assert_eq!(late.look(unawaited(view(1, 113)), 115), finish);
    // It has been forgotten once rounds wait for it again.
    let mut back = miner(1, None);
    back.look(unawaited(cut(view(0, 100))), 104);
    assert_eq!(back.look(view(1, 113), 113), [train(1, 117)]);
}

#[test]
fn it_is_not_begun_when_it_would_be_too_late() {
    assert_eq!(miner(0, None).look(view(0, 100), 103), [train(0, 104)]);
    assert_eq!(miner(0, None).look(view(0, 100), 104), []);
}

#[test]
fn it_is_not_begun_in_another_round() {
    assert_eq!(miner(3, None).look(view(4, 100), 101), []);
    assert_eq!(miner(3, None).look(view(2, 100), 101), []);
}

#[test]
fn a_round_that_came_to_nothing_is_not_tried_again() {
    let mut miner = miner(0, None);
    miner.look(view(0, 100), 100);
    miner.tell(Event::Done(Done::NothingTrained(0)), 101);
    assert_eq!(miner.look(view(0, 100), 101), []);
    miner.look(over(&settled(0, &[]), 113), 113);
    let (round, root) = (0, held_at(1).root);
    miner.tell(Event::Applied { round, root }, 113);
    miner.tell(Event::Kept(held_at(1)), 113);
    assert_eq!(miner.look(view(1, 113), 113), [train(1, 117)]);
}

#[test]
fn who_has_no_slot_waits_and_says_why() {
    let without = View {
        miners: vec![(Uid(2), hotkey(Uid(2)))],
        ..view(0, 100)
    };
    let explain: Actions = vec![Action::Explain(Lack::Part)];
    assert_eq!(miner(0, None).look(without, 100), explain);
}

/// The uid may have belonged to another one before: only the hotkey tells who it is.
#[test]
fn slot_commitment_and_inclusion_are_found_by_the_hotkey() {
    const OTHER: Uid = Uid(200);
    let another_uid = Seen {
        uid: OTHER,
        ..seen(MINER, 7, false)
    };
    let anothers = Seen {
        hotkey: hotkey(Uid(5)),
        ..seen(MINER, 8, false)
    };
    let mut shuffled = with(std::slice::from_ref(&anothers), view(0, 100));
    shuffled.miners = vec![
        (MINER, hotkey(Uid(5))),
        (Uid(3), hotkey(Uid(3))),
        (OTHER, hotkey(MINER)),
    ];
    let train = Action::Do(Task::Train {
        round: 0,
        uid: OTHER,
        slot: 2,
        plan: plan(0),
        deadline: 104,
        anew: false,
    });
    let fetch = Action::Do(Task::FetchAhead(Sealed {
        round: 0,
        id: (anothers.uid, anothers.commitment.sealed_root),
        hotkey: anothers.hotkey,
        commitment: anothers.commitment.clone(),
        whom: Whom::NotItsLine,
    }));
    let begun = [train, fetch.clone()];
    assert_eq!(miner(0, None).look(shuffled.clone(), 100), begun);
    let mut back = miner(0, Some(intent(0, 7)));
    let made = [commit(&intent(0, 7)), fetch.clone()];
    assert_eq!(back.look(shuffled.clone(), 101), made);
    shuffled.contributions.push(another_uid.clone());
    let committed = miner(0, Some(intent(0, 7))).look(shuffled, 101);
    assert_eq!(committed, [fetch]);
    for (seen, expected) in [(another_uid, true), (anothers, false)] {
        let end = settled(0, &[seen]);
        let actions = miner(0, Some(intent(0, 7))).look(over(&end, 113), 113);
        assert!(
            matches!(actions[..], [Action::Apply { is_included, .. }] if is_included == expected),
            "{actions:?}"
        );
    }
}

#[test]
fn after_a_crash_the_same_content_is_committed() {
    let mut miner = miner(3, Some(intent(3, 7)));
    assert_eq!(miner.look(view(3, 100), 101), [commit(&intent(3, 7))]);
}

#[test]
fn a_contribution_for_another_round_than_that_held_is_forgotten() {
    for round in [2, 4] {
        let mut miner = miner(3, Some(intent(round, 7)));
        assert_eq!(miner.machine.intent(), None);
        assert_eq!(miner.look(view(3, 100), 101), [train(3, 104)]);
    }
}

#[test]
fn a_contribution_is_not_replaced_and_not_taken_late() {
    let mut miner = miner(3, Some(intent(3, 7)));
    miner.tell(Event::Done(Done::Sealed(intent(3, 8))), 101);
    assert_eq!(miner.machine.intent(), Some(&intent(3, 7)));
    let mut miner = self::miner(3, None);
    miner.tell(Event::Done(Done::Sealed(intent(2, 8))), 101);
    assert_eq!(miner.machine.intent(), None);
}

#[test]
fn what_the_store_did_not_take_is_stored_before_it_is_committed_to() {
    let store = [Action::Do(Task::Store(intent(3, 7)))];
    let root = intent(3, 7).commitment.sealed_root;
    let stored = |well| Event::Done(Done::Stored(root, well));
    let refused = || {
        let mut miner = miner(3, None);
        miner.look(view(3, 100), 100);
        miner.tell(Event::Done(Done::Made(intent(3, 7))), 102);
        assert_eq!(miner.look(view(3, 100), 102), store);
        assert_eq!(miner.look(view(3, 100), 103), [], "it is under way");
        miner
    };
    let mut again = refused();
    quiet(&mut again, 103);
    assert_eq!(again.tell(stored(false), 103), []);
    assert!(again.asked.is_some(), "a block has come since it was begun");
    assert_eq!(again.look(view(3, 100), 103), store);
    quiet(&mut again, 103);
    assert_eq!(again.tell(stored(false), 103), []);
    assert_eq!(again.asked, None, "not twice in a block");
    assert_eq!(again.look(view(3, 100), 104), store);
    again.tell(stored(true), 104);
    assert_eq!(again.look(view(3, 100), 104), [commit(&intent(3, 7))]);
    // When nobody can commit any more, nobody needs it.
    let mut late = refused();
    late.tell(stored(false), 105);
    assert_eq!(late.look(view(3, 100), 105), []);
}

/// The chain does not answer what it was asked, and nothing is asked again.
fn quiet(miner: &mut Driven<Miner>, now: BlockNumber) {
    if miner.asked.is_some() {
        assert_eq!(miner.tell(Event::NotLooked, now), []);
    }
    assert_eq!(miner.asked, None);
}

#[test]
fn what_may_be_lost_since_a_crash_is_looked_for_before_it_is_committed_to() {
    let back = || {
        let made = Some(intent(3, 7));
        let machine = Miner::new(hotkey(MINER), Some(held_at(3)), made);
        Driven::new(machine.storing_again())
    };
    let store = Action::Do(Task::Store(intent(3, 7)));
    let mut miner = back();
    assert_eq!(miner.look(view(3, 100), 101), std::slice::from_ref(&store));
    let root = intent(3, 7).commitment.sealed_root;
    miner.tell(Event::Done(Done::Stored(root, true)), 101);
    assert_eq!(miner.look(view(3, 100), 101), [commit(&intent(3, 7))]);
    // What is on chain is asked for until the round is over; what is not, nobody needs.
    let committed = own(7, false, view(3, 100));
    assert_eq!(back().look(committed, 106), [store, reveal(&intent(3, 7))]);
    assert_eq!(back().look(view(3, 100), 106), []);
}

#[test]
fn a_commit_that_a_reorganisation_dropped_is_sent_again() {
    let mut miner = miner(3, Some(intent(3, 7)));
    miner.look(view(3, 100), 101);
    miner.tell(sent(102), 102);
    assert_eq!(miner.look(own(7, false, view(3, 100)), 102), []);
    assert_eq!(miner.look(view(3, 100), 102), [commit(&intent(3, 7))]);
}

#[test]
fn a_commit_that_was_not_seen_into_a_block_is_sent_again() {
    let mut miner = miner(3, Some(intent(3, 7)));
    miner.look(view(3, 100), 101);
    let kind = Kind::Contribution;
    assert_eq!(miner.tell(Event::Sent { kind, block: None }, 102), []);
    assert_eq!(miner.look(view(3, 100), 103), [commit(&intent(3, 7))]);
}

#[test]
fn the_end_of_other_transactions_is_not_that_of_the_commit() {
    let mut miner = miner(3, Some(intent(3, 7)));
    miner.look(view(3, 100), 101);
    for kind in [Kind::Attestation, Kind::Scores] {
        let block = Some(101);
        miner.tell(Event::Sent { kind, block }, 101);
        assert_eq!(miner.look(view(3, 100), 101), [], "it is under way");
    }
}

#[test]
fn nothing_is_committed_that_would_land_after_training() {
    let mut late = miner(3, Some(intent(3, 7)));
    assert_eq!(late.look(view(3, 100), 105), []);
    let mut early = miner(3, Some(intent(3, 7)));
    assert_eq!(early.look(view(3, 100), 104), [commit(&intent(3, 7))]);
}

#[test]
fn the_key_of_something_else_on_chain_is_not_revealed() {
    let mut miner = miner(3, Some(intent(3, 7)));
    assert_eq!(miner.look(own(8, false, view(3, 100)), 107), []);
}

#[test]
fn nothing_is_revealed_outside_its_phase() {
    let mut miner = miner(3, Some(intent(3, 7)));
    for now in (100..105).chain(108..114) {
        let committed = own(7, false, view(3, 100));
        assert_eq!(miner.look(committed, now), [], "at {now}");
    }
}

#[test]
fn a_commitment_without_an_intent_is_left_alone() {
    let unknown = own(7, false, view(3, 100));
    assert_eq!(miner(3, None).look(unknown, 100), []);
}

#[test]
fn what_was_included_is_carried_on() {
    let made = || Some(intent(0, 7));
    for (made, included, is_included) in [
        (made(), None, false),
        (made(), Some(8), false),
        (made(), Some(7), true),
        (None, None, false),
        (None, Some(7), false),
    ] {
        let mut miner = miner(0, made);
        let others = [seen(Uid(2), 5, true)];
        let own = included.map(|content| seen(MINER, content, true));
        for others in [&others[..], &[]] {
            let included: Vec<Seen> = own.iter().chain(others).cloned().collect();
            let settlement = settled(0, &included);
            let apply = Action::Apply {
                settlement: settlement.clone(),
                is_included,
            };
            assert_eq!(miner.look(over(&settlement, 113), 113), [apply]);
            miner.tell(Event::NotApplied(0), 113);
        }
    }
}

#[test]
fn who_joins_afresh_forgets_what_it_made() {
    let mut miner = miner(3, Some(intent(3, 7)));
    let mut far = view(50, 1_000);
    far.round.oldest = 40;
    assert_eq!(miner.look(far, 1_000), [Action::Join]);
    miner.tell(Event::Joined(held_at(45)), 1_001);
    assert_eq!(miner.machine.held(), Some(held_at(45)));
    assert_eq!(miner.machine.intent(), None);
}

#[test]
fn training_for_a_run_that_is_gone_is_abandoned() {
    let abandon = Action::Do(Task::AbandonTraining);
    let stop = Action::Stop(Reason::Replaced(200));
    for (gone, then) in [
        (Gone::Stopped, Action::Explain(Lack::Run)),
        (Gone::Replaced(200), stop),
    ] {
        let mut idle = miner(0, Some(intent(0, 7)));
        idle.ask(101);
        let told = idle.tell(Event::Gone(gone), 101);
        assert_eq!(told, std::slice::from_ref(&then));
        let mut training = miner(0, None);
        training.look(view(0, 100), 100);
        training.ask(101);
        let actions = training.tell(Event::Gone(gone), 101);
        assert_eq!(actions, [abandon.clone(), then]);
        assert_eq!(training.machine.work(), &Work::Own(0));
        training.tell(Event::Done(Done::NothingTrained(0)), 101);
        assert_eq!(training.machine.work(), &Work::Idle);
    }
}

#[test]
fn a_validator_of_the_same_hotkey_is_no_part_of_the_miners() {
    let mut only_attests = view(0, 100);
    only_attests.miners = Vec::new();
    only_attests.validators = vec![Attester {
        uid: MINER,
        hotkey: hotkey(MINER),
        committed: None,
        attested: false,
    }];
    let explain: Actions = vec![Action::Explain(Lack::Part)];
    assert_eq!(miner(0, None).look(only_attests, 100), explain);
}
