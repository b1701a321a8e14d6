//! The validator's machine, scene by scene: files are fetched, opened, and vouched for.

use cairn_primitives::{BlockNumber, Commitment, Round, Uid, Verdicts, H256};
use cairn_round::{
    machine::{Kind, Lack, Transaction},
    validator::{Check, Claim, Done, Id, Task, Validator},
    Action, Attester, Event, Held, Seen, View,
};

use crate::common::{
    bytes, commitment, held_at, hotkey, over, seen, settled, view, with, Driven, Role, VALIDATOR,
};

pub fn validator(round: Round) -> Driven<Validator> {
    Validator::with(Some(held_at(round)))
}

pub fn fetch(round: Round, uid: Uid, content: u64) -> Action<Task> {
    Action::Do(Task::Fetch {
        round,
        uid,
        commitment: commitment(content),
    })
}

fn claim(round: Round, uid: Uid, content: u64) -> Claim {
    Claim {
        round,
        uid,
        hotkey: hotkey(uid),
        commitment: commitment(content),
        key: bytes(content).0,
        parent_root: held_at(round).root,
    }
}

pub fn fetched(round: Round, id: Id, is_here: bool) -> Event<Done> {
    Event::Done(Done::Fetched { round, id, is_here })
}

pub fn opened(round: Round, id: Id, is_good: bool) -> Event<Done> {
    Event::Done(Done::Opened { round, id, is_good })
}

pub fn id(uid: Uid, content: u64) -> Id {
    (uid, bytes(content))
}

pub fn attest(held: Held, good: &[Uid]) -> Action<Task> {
    let verdicts = Verdicts::from_uids(good.iter().copied());
    Action::Send(Transaction::Attest(held.round, verdicts, held.root))
}

pub fn attested(view: View) -> View {
    let own = |one: Attester| Attester {
        attested: one.hotkey == hotkey(VALIDATOR),
        ..one
    };
    View {
        validators: view.validators.into_iter().map(own).collect(),
        ..view
    }
}

pub fn sent(kind: Kind, block: Option<BlockNumber>) -> Event<Done> {
    Event::Sent { kind, block }
}

/// It has this, which is revealed, checked with this result.
pub fn check(validator: &mut Driven<Validator>, view: &View, seen: &Seen, is_good: bool) {
    let round = view.round.round;
    let id = (seen.uid, seen.commitment.sealed_root);
    validator.look(view.clone(), 107);
    validator.tell(fetched(round, id, true), 107);
    validator.look(view.clone(), 107);
    assert_eq!(validator.machine.check_of(id), Some(Check::Opening));
    validator.tell(opened(round, id, is_good), 107);
}

#[test]
fn a_round_from_beginning_to_end() {
    let mut validator = validator(0);
    let sealed = with(&[seen(1, 5, false)], view(0, 100));
    assert_eq!(validator.look(sealed.clone(), 103), [fetch(0, 1, 5)]);
    assert_eq!(validator.look(sealed.clone(), 104), [], "it is under way");
    assert_eq!(validator.tell(fetched(0, id(1, 5), true), 104), []);
    assert_eq!(validator.look(sealed, 104), [], "there is no key yet");
    let revealed = with(&[seen(1, 5, true)], view(0, 100));
    let open = Action::Do(Task::Open(claim(0, 1, 5)));
    assert_eq!(validator.look(revealed.clone(), 106), [open]);
    assert_eq!(validator.look(revealed.clone(), 106), [], "it is under way");
    assert_eq!(validator.tell(opened(0, id(1, 5), true), 107), []);
    assert_eq!(validator.look(revealed.clone(), 107), []);
    let attest = attest(held_at(0), &[1]);
    assert_eq!(validator.look(revealed.clone(), 108), [attest]);
    assert_eq!(validator.look(revealed.clone(), 110), [], "it is under way");
    validator.tell(sent(Kind::Attestation, Some(110)), 110);
    assert_eq!(validator.look(attested(revealed), 110), []);
    let end = settled(0, &[seen(1, 5, true)]);
    let apply = Action::Apply {
        settlement: end.clone(),
        put_back: false,
    };
    assert_eq!(validator.look(over(&end, 113), 113), [apply]);
}

#[test]
fn a_file_that_is_not_there_is_asked_for_again() {
    let mut validator = validator(0);
    let sealed = with(&[seen(1, 5, false)], view(0, 100));
    validator.look(sealed.clone(), 103);
    validator.tell(fetched(0, id(1, 5), false), 103);
    assert_eq!(validator.machine.check_of(id(1, 5)), Some(Check::Missing));
    assert_eq!(validator.look(sealed, 104), [fetch(0, 1, 5)]);
}

#[test]
fn what_is_not_checked_is_waited_for_until_the_deadline_and_then_left_out() {
    let mut validator = validator(0);
    let both = [seen(1, 5, true), seen(2, 6, true)];
    let view = with(&both, view(0, 100));
    check(&mut validator, &view, &both[0], true);
    for now in [108, 109, 110] {
        assert_eq!(validator.look(view.clone(), now), [], "at {now}");
    }
    assert_eq!(validator.look(view, 111), [attest(held_at(0), &[1])]);
}

#[test]
fn bad_and_unrevealed_contributions_are_not_vouched_for() {
    let mut validator = validator(0);
    let all = [seen(1, 5, true), seen(2, 6, true), seen(3, 7, false)];
    let view = with(&all, view(0, 100));
    check(&mut validator, &view, &all[0], false);
    check(&mut validator, &view, &all[1], true);
    assert_eq!(validator.machine.check_of(id(1, 5)), Some(Check::Bad));
    assert_eq!(validator.look(view, 109), [attest(held_at(0), &[2])]);
}

#[test]
fn another_content_after_a_reorganisation_is_checked_anew() {
    let mut validator = validator(0);
    let first = [seen(1, 5, true)];
    let before = with(&first, view(0, 100));
    check(&mut validator, &before, &first[0], true);
    let changed = with(&[seen(1, 9, true)], view(0, 100));
    assert_eq!(validator.look(changed.clone(), 108), [fetch(0, 1, 9)]);
    assert_eq!(validator.look(changed, 111), [attest(held_at(0), &[])]);
}

/// The same file, with another length or key beside it: what was seen first is what is checked.
#[test]
fn the_first_commitment_to_a_content_is_the_one_that_is_checked() {
    let mut validator = validator(0);
    validator.look(with(&[seen(1, 5, false)], view(0, 100)), 103);
    validator.tell(fetched(0, id(1, 5), true), 103);
    let mut other = seen(1, 5, true);
    other.hotkey = hotkey(77);
    other.commitment = Commitment {
        length: 99,
        key_hash: H256::repeat_byte(9),
        ..other.commitment
    };
    let open = Action::Do(Task::Open(claim(0, 1, 5)));
    assert_eq!(validator.look(with(&[other], view(0, 100)), 106), [open]);
}

#[test]
fn answers_that_are_late_or_doubled_change_nothing() {
    let mut validator = validator(3);
    let view = with(&[seen(1, 5, true)], view(3, 100));
    let check = |validator: &Driven<Validator>| validator.machine.check_of(id(1, 5));
    validator.look(view.clone(), 107);
    validator.tell(opened(3, id(1, 5), true), 107);
    validator.tell(fetched(2, id(1, 5), true), 107);
    validator.tell(fetched(3, id(2, 5), true), 107);
    assert_eq!(check(&validator), Some(Check::Fetching));
    assert_eq!(validator.machine.check_of(id(2, 5)), None);
    validator.tell(fetched(3, id(1, 5), true), 107);
    validator.tell(fetched(3, id(1, 5), false), 107);
    assert_eq!(check(&validator), Some(Check::Fetched));
    validator.look(view, 107);
    validator.tell(opened(2, id(1, 5), true), 107);
    assert_eq!(check(&validator), Some(Check::Opening));
    validator.tell(opened(3, id(1, 5), false), 107);
    validator.tell(opened(3, id(1, 5), true), 107);
    assert_eq!(check(&validator), Some(Check::Bad));
}

#[test]
fn without_the_parameters_of_the_round_it_neither_checks_nor_attests() {
    for held in [0, 2] {
        let mut validator = validator(held);
        let view = with(&[seen(1, 5, true)], view(1, 100));
        assert_eq!(validator.look(view, 111), []);
    }
}

#[test]
fn who_does_not_count_does_not_attest_and_says_why() {
    let mut validator = validator(0);
    let idle = View {
        validators: vec![Attester {
            uid: VALIDATOR,
            hotkey: hotkey(1),
            attested: false,
        }],
        ..view(0, 100)
    };
    let explain = Action::Explain(Lack::Part);
    assert_eq!(validator.look(idle, 111), [explain]);
}

#[test]
fn nothing_is_attested_outside_its_phase() {
    for now in (100..108).chain(112..115) {
        assert_eq!(validator(0).look(view(0, 100), now), [], "at {now}");
    }
    for now in 108..112 {
        let attest = [attest(held_at(0), &[])];
        assert_eq!(validator(0).look(view(0, 100), now), attest, "at {now}");
    }
}

#[test]
fn an_attestation_that_a_reorganisation_dropped_is_sent_again() {
    for block in [Some(110), None] {
        let mut validator = validator(0);
        validator.look(view(0, 100), 109);
        validator.tell(sent(Kind::Attestation, block), 110);
        let again = [attest(held_at(0), &[])];
        assert_eq!(validator.look(view(0, 100), 110), again);
    }
}

#[test]
fn the_end_of_other_transactions_is_not_that_of_the_attestation() {
    let mut validator = validator(0);
    validator.look(view(0, 100), 109);
    for kind in [Kind::Contribution, Kind::Weights] {
        validator.tell(sent(kind, Some(110)), 110);
        assert_eq!(validator.look(view(0, 100), 110), [], "it is under way");
    }
}

#[test]
fn who_has_attested_before_a_crash_does_not_attest_again() {
    assert_eq!(validator(0).look(attested(view(0, 100)), 110), []);
}
