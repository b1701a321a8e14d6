//! The validator's machine, scene by scene: what is measured of a round, and when.

use cairn_primitives::{Hotkey, Round, Uid, Verdicts, Witness};
use cairn_protocol::limits::MOST_TRUST;
use cairn_round::{
    machine::{Gone, Lack},
    validator::{Done, Found, Measurement, Subject, Task, Validator},
    Action, Event, Seen, Settlement, View,
};

use crate::{
    checks::{check, pledged, pledging, validator},
    common::{
        bytes, exam_of, held_at, hotkey, in_the_open, over, plan, pledge, sealed, seen, settled,
        view, with, Driven, MINERS, VALIDATOR,
    },
};

/// A round ends like that, and its parameters are kept.
fn keep(validator: &mut Driven<Validator>, end: &Settlement) {
    let apply = Action::Apply {
        settlement: end.clone(),
        is_included: false,
    };
    assert_eq!(validator.look(over(end, 113), 113), [apply]);
    let (round, root) = (end.round, held_at(end.round + 1).root);
    validator.tell(Event::Applied { round, root }, 113);
    validator.tell(Event::Kept(held_at(round + 1)), 113);
}

/// What is measured of round 0 by a validator that found these contributions like that, and attested.
fn measured(found: &[(Seen, bool)], included: &[Seen]) -> Vec<Action<Task>> {
    let mut validator = validator(0);
    let all: Vec<Seen> = found.iter().map(|(seen, _)| seen.clone()).collect();
    let view_0 = with(&all, view(0, 100));
    for (seen, is_good) in found {
        check(&mut validator, &view_0, seen, *is_good);
    }
    let good = found.iter().filter(|(_, is_good)| *is_good);
    let good: Vec<Uid> = good.map(|(seen, _)| seen.uid).collect();
    assert_eq!(validator.look(view_0, 109), [pledging(held_at(0), &good)]);
    validator.tell(pledged(held_at(0), &good), 109);
    keep(&mut validator, &settled(0, included));
    validator.look(view(1, 113), 114)
}

/// What a slot's miner contributed.
#[derive(Clone, Copy)]
enum What {
    /// This content.
    Good(u64),
    Missed,
}
use What::{Good, Missed};

fn measurement(round: Round, found: [What; 3], included: &[Uid]) -> Action<Task> {
    after(round, found, included, &[])
}

/// The same after a round that included these contents.
fn after(round: Round, found: [What; 3], included: &[Uid], before: &[u64]) -> Action<Task> {
    let subject = |((slot, uid), found): ((u64, Uid), What)| Subject {
        slot,
        uid,
        hotkey: hotkey(uid),
        found: match found {
            Good(content) => Found::Good(sealed(content)),
            Missed => Found::Missed,
        },
    };
    Action::Do(Task::Measure(Measurement {
        round,
        root: held_at(round).root,
        plan: plan(round),
        exam: exam_of(round),
        salt: pledge(held_at(round), &[]).own_draw(),
        subjects: (0..).zip(MINERS).zip(found).map(subject).collect(),
        included: included.to_vec(),
        trusts: vec![MOST_TRUST; included.len()],
        before: before.iter().map(|content| sealed(*content)).collect(),
    }))
}

#[test]
fn what_was_good_is_measured_and_what_was_not_is_missed() {
    let found = [
        (seen(Uid(2), 6, true), true),
        (seen(Uid(3), 7, true), false),
    ];
    let included = [seen(Uid(2), 6, true)];
    for included in [&included[..], &[]] {
        let uids: Vec<Uid> = included.iter().map(|seen| seen.uid).collect();
        let expected = measurement(0, [Good(6), Missed, Missed], &uids);
        assert_eq!(measured(&found, included), [expected]);
    }
}

#[test]
fn what_others_found_good_is_measured_though_it_was_not_found_good_here_in_time() {
    let found = [(seen(Uid(2), 6, true), false)];
    let included = [seen(Uid(1), 5, true), seen(Uid(2), 6, true)];
    let expected = measurement(0, [Good(6), Good(5), Missed], &[Uid(1), Uid(2)]);
    assert_eq!(measured(&found, &included), [expected]);
}

#[test]
fn what_was_good_in_the_round_before_does_not_count() {
    let mut validator = validator(0);
    let before = seen(Uid(2), 6, true);
    let view_0 = with(std::slice::from_ref(&before), view(0, 100));
    check(&mut validator, &view_0, &before, true);
    keep(&mut validator, &settled(0, &[before]));
    assert_eq!(validator.look(view(1, 113), 122).len(), 1, "it pledges");
    validator.tell(pledged(held_at(1), &[]), 122);
    keep(&mut validator, &settled(1, &[]));
    let of = after(1, [Missed; 3], &[], &[6]);
    assert_eq!(validator.look(view(2, 126), 127), [of]);
}

/// A miner that committed to two contents, on two branches of the chain.
#[test]
fn what_is_measured_of_who_was_included_is_what_was_included() {
    for [included, other] in [[6, 8], [8, 6]] {
        let mut validator = validator(0);
        for content in [other, included] {
            let seen = seen(Uid(2), content, true);
            let view = with(std::slice::from_ref(&seen), view(0, 100));
            check(&mut validator, &view, &seen, true);
        }
        validator.look(with(&[seen(Uid(2), included, true)], view(0, 100)), 109);
        validator.tell(pledged(held_at(0), &[Uid(2)]), 109);
        keep(&mut validator, &settled(0, &[seen(Uid(2), included, true)]));
        let of = measurement(0, [Good(included), Missed, Missed], &[Uid(2)]);
        assert_eq!(validator.look(view(1, 113), 114), [of]);
    }
    let found = [(seen(Uid(2), 8, true), true)];
    let expected = measurement(0, [Good(6), Missed, Missed], &[Uid(2)]);
    assert_eq!(measured(&found, &[seen(Uid(2), 6, true)]), [expected]);
}

/// What shows that a round was measured.
fn shown() -> Witness {
    Witness {
        gains: bytes(77),
        loss: 5_000_000,
    }
}

#[test]
fn what_shows_that_a_round_was_measured_is_attested_in_the_next_one_alone() {
    for (measured, expected) in [(0, shown()), (9, Witness::default())] {
        let mut validator = validator(1);
        let done = Done::Measured(measured, Some(shown()), Vec::new());
        validator.tell(Event::Done(done), 113);
        let pledges = validator.look(view(1, 113), 122);
        let [Action::Do(Task::Pledge { witness, .. })] = pledges.as_slice() else {
            panic!("it pledges: {pledges:?}");
        };
        assert_eq!(*witness, expected);
    }
}

/// What is called good of two contributions to round 1 that were opened well. Of their makers the second one's helped too
/// little in a round that was measured; round 0 included both with this trust of the first.
fn called_good(trust: u16, fruitless_in: Round) -> Verdicts {
    let mut validator = validator(0);
    let mut end = settled(0, &[seen(Uid(2), 6, true), seen(Uid(3), 7, true)]);
    end.included[0].standing.trust = trust;
    keep(&mut validator, &end);
    let contributions = [seen(Uid(2), 8, true), seen(Uid(3), 9, true)];
    let view_1 = with(&contributions, view(1, 113));
    for seen in &contributions {
        check(&mut validator, &view_1, seen, true);
    }
    let done = Done::Measured(fruitless_in, None, vec![hotkey(Uid(3))]);
    validator.tell(Event::Done(done), 121);
    let pledges = validator.look(view_1, 122);
    let [Action::Do(Task::Pledge { verdicts, .. })] = pledges.as_slice() else {
        panic!("it pledges: {pledges:?}");
    };
    verdicts.good.clone()
}

#[test]
fn before_anybody_earned_who_helped_too_little_is_not_called_good_in_the_next_round() {
    let both = Verdicts::from_uids([2, 3].map(Uid));
    assert_eq!(called_good(u16::MAX, 0), Verdicts::from_uids([Uid(2)]));
    assert_eq!(called_good(1, 0), both, "somebody earned something");
    assert_eq!(called_good(u16::MAX, 9), both, "that was another round");
}

/// A round with these contributions, all of them good, is attested, settled and measured: of these makers they helped
/// too little.
fn passes(validator: &mut Driven<Validator>, round: Round, all: &[Seen], fruitless: &[Hotkey]) {
    let start = 100 + 13 * round;
    let view_now = with(all, view(round, start));
    for seen in all {
        check(validator, &view_now, seen, true);
    }
    validator.look(view_now, start + 9);
    let uids: Vec<Uid> = all.iter().map(|seen| seen.uid).collect();
    validator.tell(pledged(held_at(round), &uids), start + 9);
    keep(validator, &settled(round, all));
    let actions = validator.look(view(round + 1, start + 13), start + 14);
    assert!(
        matches!(actions.as_slice(), [Action::Do(Task::Measure(_))]),
        "it measures: {actions:?}"
    );
    let done = Done::Measured(round, None, fruitless.to_vec());
    validator.tell(Event::Done(done), start + 15);
}

#[test]
fn who_helped_too_little_and_sat_a_round_out_is_not_called_good_after_it() {
    let both = [seen(Uid(2), 6, true), seen(Uid(3), 7, true)];
    let [work, other] = &both;
    for (in_round_1, expected) in [
        (std::slice::from_ref(work), vec![Uid(2)]),
        (&both[..], vec![Uid(2), Uid(3)]),
        (std::slice::from_ref(other), vec![Uid(2), Uid(3)]),
    ] {
        let mut validator = validator(0);
        passes(&mut validator, 0, &both, &[hotkey(Uid(3))]);
        passes(&mut validator, 1, in_round_1, &[]);
        let view_2 = with(&both, view(2, 126));
        for seen in &both {
            check(&mut validator, &view_2, seen, true);
        }
        let pledges = validator.look(view_2, 135);
        assert_eq!(pledges, [pledging(held_at(2), &expected)]);
    }
}

#[test]
fn who_did_not_attest_measures_nothing() {
    let mut validator = validator(0);
    let seen = seen(Uid(2), 6, true);
    let view_0 = with(std::slice::from_ref(&seen), view(0, 100));
    check(&mut validator, &view_0, &seen, true);
    keep(&mut validator, &settled(0, &[seen]));
    assert_eq!(validator.look(view(1, 113), 114), []);
}

#[test]
fn who_attested_another_round_measures_nothing() {
    let mut validator = validator(0);
    let pledging = pledging(held_at(0), &[]);
    assert_eq!(validator.look(view(0, 100), 109), [pledging]);
    validator.tell(pledged(held_at(0), &[]), 109);
    keep(&mut validator, &settled(0, &[]));
    // Round 1 passes without a look; its end is seen at once.
    keep(&mut validator, &settled(1, &[]));
    assert_eq!(validator.look(view(2, 126), 127), []);
}

/// A validator that has round 0 to measure and is about to look at block 114.
fn about_to_measure() -> Driven<Validator> {
    let mut validator = validator(0);
    validator.look(view(0, 100), 109);
    validator.tell(pledged(held_at(0), &[]), 109);
    keep(&mut validator, &settled(0, &[]));
    validator
}

fn nothing_came() -> Action<Task> {
    measurement(0, [Missed; 3], &[])
}

#[test]
fn measuring_stops_for_the_attestation_and_scores_are_made_of_what_there_is() {
    let mut validator = about_to_measure();
    assert_eq!(validator.look(view(1, 113), 114), [nothing_came()]);
    assert_eq!(validator.look(view(1, 113), 120), []);
    let stop = Action::Do(Task::StopMeasuring);
    assert_eq!(validator.look(view(1, 113), 121), [stop]);
    assert_eq!(validator.look(view(1, 113), 121), [], "it is told once");
    // What was measured until then is a part of what is attested.
    let done = Done::Measured(0, Some(shown()), Vec::new());
    validator.tell(Event::Done(done), 121);
    let pledges = validator.look(view(1, 113), 122);
    let [Action::Do(Task::Pledge { witness, .. })] = pledges.as_slice() else {
        panic!("it pledges: {pledges:?}");
    };
    assert_eq!(*witness, shown());
    let open = View {
        voting: Some(in_the_open()),
        ..view(1, 113)
    };
    let weigh = Action::Do(Task::Weigh {
        round: 0,
        epoch: None,
    });
    assert_eq!(validator.look(open, 122), [weigh]);
}

#[test]
fn measuring_delays_an_attestation_until_its_deadline_while_the_round_waits() {
    let mut validator = about_to_measure();
    assert_eq!(validator.look(view(1, 113), 114), [nothing_came()]);
    assert_eq!(validator.look(view(1, 113), 120), []);
    let unawaited = View {
        unawaited: vec![hotkey(VALIDATOR)],
        ..view(1, 113)
    };
    let pledges = pledging(held_at(1), &[]);
    let mut other = about_to_measure();
    assert_eq!(other.look(view(1, 113), 114), [nothing_came()]);
    let stop = Action::Do(Task::StopMeasuring);
    assert_eq!(other.look(unawaited, 121), [pledges, stop.clone()]);
    assert_eq!(validator.look(view(1, 113), 121), [stop]);
    let pledging = pledging(held_at(1), &[]);
    assert_eq!(validator.look(view(1, 113), 122), [pledging]);
}

#[test]
fn measuring_is_not_begun_late_nor_in_another_round() {
    let pledges = || pledging(held_at(1), &[]);
    assert_eq!(about_to_measure().look(view(1, 113), 122), [pledges()]);
    assert_eq!(about_to_measure().look(view(2, 126), 127), []);
    let mut validator = about_to_measure();
    assert_eq!(validator.look(view(1, 113), 122), [pledges()]);
    let of = nothing_came();
    assert_eq!(validator.look(view(1, 113), 118), [of], "it is kept");
}

#[test]
fn a_round_is_measured_once() {
    let mut validator = about_to_measure();
    assert_eq!(validator.look(view(1, 113), 114), [nothing_came()]);
    let done = Done::Measured(0, None, Vec::new());
    validator.tell(Event::Done(done), 115);
    assert_eq!(validator.look(view(1, 113), 115), []);
}

#[test]
fn measuring_stops_when_the_run_is_gone() {
    let explain = Action::Explain(Lack::Run);
    let mut validator = about_to_measure();
    validator.look(view(1, 113), 114);
    validator.ask(115);
    let actions = validator.tell(Event::Gone(Gone::Stopped), 115);
    assert_eq!(actions.first(), Some(&Action::Do(Task::StopMeasuring)));
    assert_eq!(actions.last(), Some(&explain));
    validator.ask(116);
    let actions = validator.tell(Event::Gone(Gone::Stopped), 116);
    assert!(
        !actions.contains(&Action::Do(Task::StopMeasuring)),
        "it is told once"
    );
}
