//! The validator's machine, scene by scene: files are fetched, opened, and vouched for.

use cairn_primitives::{BlockNumber, Commitment, Judgement, ModelRoot, Round, Uid, Witness, H256};
use cairn_round::{
    machine::{Kind, Lack, Transaction},
    validator::{Check, Claim, Done, Id, Opened, Task, Validator},
    Action, Attester, Event, Held, Seen, View,
};

use crate::common::{
    bytes, commitment, held_at, hotkey, over, pledge, sealed, seen, settled, view, with, Driven,
    Role, VALIDATOR,
};

pub fn validator(round: Round) -> Driven<Validator> {
    Validator::with(Some(held_at(round)))
}

pub fn fetch(round: Round, uid: Uid, content: u64) -> Action<Task> {
    Action::Do(Task::Fetch {
        round,
        uid,
        hotkey: hotkey(uid),
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
    let found = if is_good { Opened::Good } else { Opened::Bad };
    Event::Done(Done::Opened { round, id, found })
}

pub fn id(uid: Uid, content: u64) -> Id {
    (uid, sealed(content))
}

pub fn pledging(held: Held, good: &[Uid]) -> Action<Task> {
    judging(held, good, &[])
}

fn judging(held: Held, good: &[Uid], broken: &[Uid]) -> Action<Task> {
    Action::Do(Task::Pledge {
        round: held.round,
        root: held.root,
        verdicts: Judgement::new(good.iter().copied(), broken.iter().copied()),
        witness: Witness::default(),
    })
}

pub fn pledged(held: Held, good: &[Uid]) -> Event<Done> {
    Event::Done(Done::Pledged(pledge(held, good)))
}

fn committing(held: Held, good: &[Uid]) -> Action<Task> {
    Action::Send(Transaction::CommitAttestation(pledge(held, good)))
}

fn attest(held: Held, good: &[Uid]) -> Action<Task> {
    Action::Send(Transaction::Attest(pledge(held, good)))
}

/// The validator has committed to this hash.
fn committed(view: View, hash: H256) -> View {
    let own = |one: Attester| Attester {
        committed: (one.hotkey == hotkey(VALIDATOR)).then_some(hash),
        ..one
    };
    View {
        validators: view.validators.into_iter().map(own).collect(),
        ..view
    }
}

pub fn attested(view: View) -> View {
    let own = |one: Attester| Attester {
        attested: one.hotkey == hotkey(VALIDATOR),
        committed: None,
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
    let id = (seen.uid, seen.commitment.sealed_root);
    open(validator, view, id);
    validator.tell(opened(view.round.round, id, is_good), 107);
}

/// It begins to open this.
fn open(validator: &mut Driven<Validator>, view: &View, id: Id) {
    let round = view.round.round;
    validator.look(view.clone(), 107);
    validator.tell(fetched(round, id, true), 107);
    validator.look(view.clone(), 107);
    assert_eq!(validator.machine.check_of(id), Some(Check::Opening));
}

#[test]
fn a_round_from_beginning_to_end() {
    let mut validator = validator(0);
    let sealed = with(&[seen(Uid(1), 5, false)], view(0, 100));
    assert_eq!(validator.look(sealed.clone(), 103), [fetch(0, Uid(1), 5)]);
    assert_eq!(validator.look(sealed.clone(), 104), [], "it is under way");
    assert_eq!(validator.tell(fetched(0, id(Uid(1), 5), true), 104), []);
    assert_eq!(validator.look(sealed, 104), [], "there is no key yet");
    let revealed = with(&[seen(Uid(1), 5, true)], view(0, 100));
    let open = Action::Do(Task::Open(claim(0, Uid(1), 5)));
    assert_eq!(validator.look(revealed.clone(), 106), [open]);
    assert_eq!(validator.look(revealed.clone(), 106), [], "it is under way");
    assert_eq!(validator.tell(opened(0, id(Uid(1), 5), true), 107), []);
    assert_eq!(validator.look(revealed.clone(), 107), []);
    let pledging = pledging(held_at(0), &[Uid(1)]);
    assert_eq!(validator.look(revealed.clone(), 108), [pledging]);
    assert_eq!(validator.look(revealed.clone(), 108), [], "it is under way");
    validator.tell(pledged(held_at(0), &[Uid(1)]), 108);
    let commit = committing(held_at(0), &[Uid(1)]);
    assert_eq!(validator.look(revealed.clone(), 108), [commit]);
    assert_eq!(validator.look(revealed.clone(), 109), [], "it is under way");
    validator.tell(sent(Kind::Attestation, Some(109)), 109);
    let promised = committed(revealed.clone(), pledge(held_at(0), &[Uid(1)]).hash);
    assert_eq!(validator.look(promised.clone(), 109), [], "never early");
    let attest = attest(held_at(0), &[Uid(1)]);
    assert_eq!(validator.look(promised.clone(), 110), [attest]);
    assert_eq!(validator.look(promised, 111), [], "it is under way");
    validator.tell(sent(Kind::Attestation, Some(111)), 111);
    assert_eq!(validator.look(attested(revealed), 111), []);
    let end = settled(0, &[seen(Uid(1), 5, true)]);
    let apply = Action::Apply {
        settlement: end.clone(),
        is_included: false,
    };
    assert_eq!(validator.look(over(&end, 113), 113), [apply]);
}

#[test]
fn a_file_that_is_not_there_is_asked_for_again() {
    let mut validator = validator(0);
    let sealed = with(&[seen(Uid(1), 5, false)], view(0, 100));
    validator.look(sealed.clone(), 103);
    validator.tell(fetched(0, id(Uid(1), 5), false), 103);
    assert_eq!(
        validator.machine.check_of(id(Uid(1), 5)),
        Some(Check::Missing)
    );
    assert_eq!(validator.look(sealed, 104), [fetch(0, Uid(1), 5)]);
}

#[test]
fn what_is_not_checked_is_waited_for_until_the_deadline_and_then_left_out() {
    let mut validator = validator(0);
    let both = [seen(Uid(1), 5, true), seen(Uid(2), 6, true)];
    let view = with(&both, view(0, 100));
    check(&mut validator, &view, &both[0], true);
    assert_eq!(validator.look(view.clone(), 108), []);
    assert_eq!(validator.look(view, 109), [pledging(held_at(0), &[Uid(1)])]);
}

#[test]
fn bad_and_unrevealed_contributions_are_not_vouched_for() {
    let mut validator = validator(0);
    let all = [
        seen(Uid(1), 5, true),
        seen(Uid(2), 6, true),
        seen(Uid(3), 7, false),
    ];
    let view = with(&all, view(0, 100));
    check(&mut validator, &view, &all[0], false);
    check(&mut validator, &view, &all[1], true);
    assert_eq!(validator.machine.check_of(id(Uid(1), 5)), Some(Check::Bad));
    assert_eq!(validator.look(view, 109), [pledging(held_at(0), &[Uid(2)])]);
}

#[test]
fn broken_is_said_of_what_was_opened_and_is_so_for_all() {
    let mut validator = validator(0);
    let all = [1, 2, 3, 4].map(|uid| seen(Uid(uid), u64::from(uid) + 4, uid < 4));
    let view = with(&all, view(0, 100));
    for (seen, found) in all.iter().zip([Opened::Good, Opened::Broken, Opened::Bad]) {
        let (round, id) = (0, (seen.uid, seen.commitment.sealed_root));
        open(&mut validator, &view, id);
        validator.tell(Event::Done(Done::Opened { round, id, found }), 107);
    }
    let (held, good, broken) = (held_at(0), [Uid(1)], [Uid(2)]);
    let expected = [judging(held, &good, &broken)];
    assert_eq!(validator.look(view, 109), expected);
}

/// Neither good nor broken: it was opened as another length, or with another key, would have it.
#[test]
fn what_was_checked_beside_another_commitment_is_not_judged() {
    for found in [Opened::Good, Opened::Broken] {
        for is_same in [true, false] {
            let mut validator = validator(0);
            let first = seen(Uid(1), 5, true);
            let view_0 = with(std::slice::from_ref(&first), view(0, 100));
            let (round, id) = (0, id(Uid(1), 5));
            open(&mut validator, &view_0, id);
            validator.tell(Event::Done(Done::Opened { round, id, found }), 107);
            let mut now = first;
            if !is_same {
                now.commitment.length += 1;
            }
            let judged = [Uid(1)];
            let (good, broken): (&[Uid], &[Uid]) = match (is_same, found) {
                (true, Opened::Good) => (&judged, &[]),
                (true, _) => (&[], &judged),
                (false, _) => (&[], &[]),
            };
            let expected = [judging(held_at(0), good, broken)];
            assert_eq!(validator.look(with(&[now], view(0, 100)), 109), expected);
        }
    }
}

#[test]
fn another_content_after_a_reorganisation_is_checked_anew() {
    let mut validator = validator(0);
    let first = [seen(Uid(1), 5, true)];
    let before = with(&first, view(0, 100));
    check(&mut validator, &before, &first[0], true);
    let changed = with(&[seen(Uid(1), 9, true)], view(0, 100));
    assert_eq!(validator.look(changed.clone(), 108), [fetch(0, Uid(1), 9)]);
    assert_eq!(validator.look(changed, 109), [pledging(held_at(0), &[])]);
}

/// The same file, with another length or key beside it: what was seen first is what is checked.
#[test]
fn the_first_commitment_to_a_content_is_the_one_that_is_checked() {
    let mut validator = validator(0);
    validator.look(with(&[seen(Uid(1), 5, false)], view(0, 100)), 103);
    validator.tell(fetched(0, id(Uid(1), 5), true), 103);
    let mut other = seen(Uid(1), 5, true);
    other.hotkey = hotkey(Uid(77));
    other.commitment = Commitment {
        length: 99,
        key_hash: H256::repeat_byte(9),
        ..other.commitment
    };
    let open = Action::Do(Task::Open(claim(0, Uid(1), 5)));
    assert_eq!(validator.look(with(&[other], view(0, 100)), 106), [open]);
}

#[test]
fn answers_that_are_late_or_doubled_change_nothing() {
    let mut validator = validator(3);
    let view = with(&[seen(Uid(1), 5, true)], view(3, 100));
    let check = |validator: &Driven<Validator>| validator.machine.check_of(id(Uid(1), 5));
    validator.look(view.clone(), 107);
    validator.tell(opened(3, id(Uid(1), 5), true), 107);
    validator.tell(fetched(2, id(Uid(1), 5), true), 107);
    validator.tell(fetched(3, id(Uid(2), 5), true), 107);
    assert_eq!(check(&validator), Some(Check::Fetching));
    assert_eq!(validator.machine.check_of(id(Uid(2), 5)), None);
    validator.tell(fetched(3, id(Uid(1), 5), true), 107);
    validator.tell(fetched(3, id(Uid(1), 5), false), 107);
    assert_eq!(check(&validator), Some(Check::Fetched));
    validator.look(view, 107);
    validator.tell(opened(2, id(Uid(1), 5), true), 107);
    assert_eq!(check(&validator), Some(Check::Opening));
    validator.tell(opened(3, id(Uid(1), 5), false), 107);
    validator.tell(opened(3, id(Uid(1), 5), true), 107);
    assert_eq!(check(&validator), Some(Check::Bad));
}

#[test]
fn without_the_parameters_of_the_round_it_neither_checks_nor_attests() {
    for held in [0, 2] {
        let mut validator = validator(held);
        let view = with(&[seen(Uid(1), 5, true)], view(1, 100));
        assert_eq!(validator.look(view.clone(), 109), []);
        assert_eq!(validator.look(view, 111), []);
    }
}

#[test]
fn who_does_not_count_does_not_attest_and_says_why() {
    let mut validator = validator(0);
    let idle = View {
        validators: vec![Attester {
            uid: VALIDATOR,
            hotkey: hotkey(Uid(1)),
            committed: None,
            attested: false,
        }],
        ..view(0, 100)
    };
    let explain = Action::Explain(Lack::Part);
    assert_eq!(validator.look(idle, 109), [explain]);
}

#[test]
fn it_commits_in_the_first_half_and_attests_in_the_second() {
    for now in (100..108).chain(110..115) {
        assert_eq!(validator(0).look(view(0, 100), now), [], "at {now}");
    }
    for now in 108..110 {
        let pledging = [pledging(held_at(0), &[])];
        assert_eq!(validator(0).look(view(0, 100), now), pledging, "at {now}");
    }
    let promised = || committed(view(0, 100), pledge(held_at(0), &[]).hash);
    for now in (100..110).chain(112..115) {
        assert_eq!(bound(0).look(promised(), now), [], "at {now}");
    }
    for now in 110..112 {
        let attest = [attest(held_at(0), &[])];
        assert_eq!(bound(0).look(promised(), now), attest, "at {now}");
    }
}

/// A validator that has on disk what it attests in a round, and comes back.
fn bound(round: Round) -> Driven<Validator> {
    bound_to(round, &[])
}

/// The same, which found these good.
fn bound_to(round: Round, good: &[Uid]) -> Driven<Validator> {
    let held = held_at(round);
    let pledges = vec![pledge(held, good)];
    let initial = held_at(0).root;
    Driven::new(Validator::new(
        hotkey(VALIDATOR),
        initial,
        Some(held),
        pledges,
        vec![],
    ))
}

#[test]
fn what_is_on_disk_is_what_it_commits_to_and_attests_after_a_crash() {
    let seen = [seen(Uid(1), 5, true)];
    let view_0 = with(&seen, view(0, 100));
    let mut validator = bound(0);
    check(&mut validator, &view_0, &seen[0], true);
    let commit = [committing(held_at(0), &[])];
    assert_eq!(
        validator.look(view_0.clone(), 108),
        commit,
        "not what it finds now"
    );
    let promised = committed(view_0, pledge(held_at(0), &[]).hash);
    let attest = [attest(held_at(0), &[])];
    assert_eq!(bound(0).look(promised, 110).last(), Some(&attest[0]));
}

/// A re-organisation put another file under the uid that it called good, and it has opened that one: to attest what it is
/// bound to would be to call a broken file good.
#[test]
fn what_it_knows_to_be_broken_by_now_it_neither_commits_to_nor_attests() {
    let (held, good) = (held_at(0), [Uid(1)]);
    let other = seen(Uid(1), 6, true);
    let view_0 = with(std::slice::from_ref(&other), view(0, 100));
    let promised = committed(view_0.clone(), pledge(held, &good).hash);
    for (found, says) in [
        (Opened::Broken, false),
        (Opened::Bad, true),
        (Opened::Good, true),
    ] {
        let expected =
            |action: Action<Task>| says.then_some(action).into_iter().collect::<Vec<_>>();
        for (view, now, action) in [
            (&view_0, 108, committing(held, &good)),
            (&promised, 110, attest(held, &good)),
        ] {
            let mut validator = bound_to(0, &good);
            let (round, id) = (0, id(Uid(1), 6));
            open(&mut validator, &view_0, id);
            validator.tell(Event::Done(Done::Opened { round, id, found }), 107);
            assert_eq!(
                validator.look(view.clone(), now),
                expected(action),
                "{found:?}"
            );
        }
    }
}

/// Another process with the same key, or a disk that was lost.
#[test]
fn a_commitment_to_something_else_is_not_opened() {
    let other = committed(view(0, 100), H256::repeat_byte(9));
    assert_eq!(bound(0).look(other.clone(), 108), []);
    assert_eq!(bound(0).look(other.clone(), 110), []);
    assert_eq!(validator(0).look(other, 110), []);
}

#[test]
fn what_was_pledged_for_another_round_or_root_is_not_attested() {
    let mut validator = bound(0);
    let held = Held {
        round: 0,
        root: ModelRoot(H256::repeat_byte(9)),
    };
    let pledges = validator.machine.pledges().to_vec();
    let initial = held_at(0).root;
    validator = Driven::new(Validator::new(
        hotkey(VALIDATOR),
        initial,
        Some(held),
        pledges,
        vec![],
    ));
    assert_eq!(validator.look(view(0, 100), 108), [pledging(held, &[])]);
    let promised = committed(view(1, 100), pledge(held_at(0), &[]).hash);
    assert_eq!(self::validator(1).look(promised, 110), []);
}

#[test]
fn a_commitment_or_an_attestation_that_a_reorganisation_dropped_is_sent_again() {
    for block in [Some(109), None] {
        let mut validator = bound(0);
        validator.look(view(0, 100), 108);
        validator.tell(sent(Kind::Attestation, block), 109);
        let again = [committing(held_at(0), &[])];
        assert_eq!(validator.look(view(0, 100), 109), again);
        let promised = || committed(view(0, 100), pledge(held_at(0), &[]).hash);
        validator.tell(sent(Kind::Attestation, block), 109);
        validator.look(promised(), 110);
        validator.tell(sent(Kind::Attestation, block), 111);
        let again = [attest(held_at(0), &[])];
        assert_eq!(validator.look(promised(), 111), again);
    }
}

#[test]
fn the_end_of_other_transactions_is_not_that_of_the_attestation() {
    let mut validator = bound(0);
    validator.look(view(0, 100), 108);
    for kind in [Kind::Contribution, Kind::Presence, Kind::Scores] {
        validator.tell(sent(kind, Some(109)), 109);
        assert_eq!(validator.look(view(0, 100), 109), [], "it is under way");
    }
}

#[test]
fn who_has_attested_before_a_crash_does_not_attest_again() {
    assert_eq!(validator(0).look(attested(view(0, 100)), 109), []);
    assert_eq!(bound(0).look(attested(view(0, 100)), 110), []);
}
