//! Whatever the sources do, each group comes once.

use proptest::prelude::*;

use super::super::{
    fault::Fault,
    fetch::TOGETHER,
    plan::{stretch, Plan},
    roster::{Roster, Sentence},
};
use std::time::Duration;

/// What a source does next.
#[derive(Clone, Copy, Debug)]
enum Event {
    Take,
    Bring,
    GiveBack,
}

fn events() -> impl Strategy<Value = Vec<(usize, Event)>> {
    let event = prop_oneof![
        2 => Just(Event::Take),
        8 => Just(Event::Bring),
        1 => Just(Event::GiveBack),
    ];
    prop::collection::vec((0usize..4, event), 0..3_000)
}

/// Of one gap.
fn plan_of(gap: std::ops::Range<u64>) -> Plan {
    Plan::new(vec![gap])
}

/// Nobody is late.
fn never(_: usize) -> bool {
    false
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_missing_group_comes_and_none_twice(
        present in prop::collection::vec(any::<bool>(), 1..900),
        speeds in prop::array::uniform4(prop::option::of(0.0f64..1e9)),
        late: [bool; 4],
        events in events(),
    ) {
        let mut bitmap = super::super::bitmap::Bitmap::new(present.len() as u64);
        for (group, is_there) in present.iter().enumerate() {
            bitmap.put(group as u64, *is_there);
        }
        let mut plan = Plan::new(bitmap.gaps());
        let mut came = present.clone();
        let mut bring = |plan: &mut Plan, who: usize| {
            if let Some(group) = plan.next(who) {
                assert!(!came[group as usize], "group {group} was asked for when it was there");
                came[group as usize] = true;
                plan.brought(group);
            }
        };
        for (who, event) in events {
            match event {
                Event::Take => if plan.next(who).is_none() {
                    plan.take(who, |who| speeds[who], |who| late[who]);
                },
                Event::Bring => bring(&mut plan, who),
                Event::GiveBack => plan.give_back(who),
            }
        }
        // Whatever happened, one source that goes on ends it.
        for who in 1..4 {
            plan.give_back(who);
        }
        for _ in 0..2 * present.len() + 1 {
            if plan.next(0).is_none() {
                plan.take(0, |who| speeds[who], |who| late[who]);
            }
            bring(&mut plan, 0);
        }
        prop_assert!(plan.is_done());
        prop_assert!(came.iter().all(|came| *came));
    }
}

#[test]
fn who_is_idle_takes_the_back_of_the_slowest() {
    let speeds = [Some(30e6), Some(10e6), Some(1e6)];
    let mut plan = plan_of(0..4_000);
    // The slow one has all of it, from when it seemed fast.
    assert_eq!(plan.take(2, |_| Some(1e12), never), Some(0..4_000));
    let first = plan.take(0, |who| speeds[who], never).unwrap();
    assert_eq!(first.end, 4_000);
    // In the ratio 30 : 1, so that both end together.
    assert_eq!(first.end - first.start, 4_000 * 30 / 31);
    let second = plan.take(1, |who| speeds[who], never).unwrap();
    assert!(second.end - second.start < first.end - first.start);
}

#[test]
fn a_group_that_is_under_way_is_brought_by_another_too_only_if_it_is_late() {
    let mut plan = plan_of(0..1);
    let fast = |_| Some(1e9);
    assert_eq!(plan.take(0, |_| None, never), Some(0..1));
    assert_eq!(plan.take(1, fast, never), None);
    assert_eq!(plan.take(1, fast, |who| who == 0), Some(0..1));
    // Two are enough while one of them is in time.
    assert_eq!(plan.take(2, fast, |who| who == 0), None);
    // Or two that trickle would keep a small blob from whoever asks.
    assert_eq!(plan.take(2, fast, |who| who < 2), Some(0..1));
    // Two of them give up: the third still has it.
    plan.give_back(0);
    plan.give_back(1);
    assert!(!plan.is_done());
    assert_eq!(plan.take(3, fast, never), None);
    plan.brought(0);
    assert!(plan.is_done() && plan.next(1).is_none());
}

#[test]
fn who_is_late_loses_all_but_the_group_under_way() {
    let mut plan = plan_of(0..10);
    // Too few to be worth it, from a source that is in time.
    assert_eq!(plan.take(0, |_| Some(1e9), never), Some(0..10));
    assert_eq!(plan.take(1, |_| Some(1e9), never), None);
    let rest = plan.take(1, |_| Some(1e9), |who| who == 0).unwrap();
    assert!(rest.start >= 1 && rest.end == 10, "{rest:?}");
}

#[test]
fn who_is_in_time_keeps_what_may_be_on_its_way_to_the_disk() {
    let speeds = [Some(1e6), Some(1e12)];
    let taken = |late: fn(usize) -> bool| {
        let mut plan = plan_of(0..100);
        assert_eq!(plan.take(0, |who| speeds[who], never), Some(0..100));
        plan.take(1, |who| speeds[who], late).unwrap()
    };
    assert_eq!(taken(never), TOGETHER as u64..100);
    assert_eq!(taken(|who| who == 0), 1..100);
}

#[test]
fn stretches_have_bounds() {
    assert_eq!(stretch(None), 64);
    assert_eq!(stretch(Some(f64::NAN)), 64);
    assert_eq!(stretch(Some(25e6)), 6_103);
    assert_eq!(stretch(Some(f64::INFINITY)), 16_384);
}

#[test]
fn a_lie_is_the_last_thing_that_is_heard_and_a_break_is_forgiven() {
    let lie = Fault::Lied {
        path: "a".into(),
        at: 0,
    };
    let cut = Fault::Cut { at: 0 };
    let mut roster = Roster::new(["a", "b", "c"].into_iter(), 3);
    assert_eq!(roster.bad(0, lie.clone()), Sentence::Out);
    assert!(!roster.is_in(0));
    for _ in 0..5 {
        assert_eq!(roster.bad(1, cut.clone()), Sentence::Again(1));
        assert_eq!(roster.bad(1, cut.clone()), Sentence::Again(2));
        roster.good(1, 1, Duration::from_millis(1));
    }
    roster.bad(1, cut.clone());
    roster.bad(1, cut.clone());
    assert_eq!(roster.bad(1, cut), Sentence::Out);
    let reports = roster.reports();
    assert_eq!(reports[0].fault, Some(lie));
    assert!(reports[1].passed_over && !reports[2].passed_over);
}

#[test]
fn who_stalls_is_passed_over_unless_there_is_nobody_else() {
    let stall = Fault::Stalled {
        deadline: Duration::from_secs(1),
    };
    let mut roster = Roster::new(["a", "b"].into_iter(), 3);
    assert_eq!(roster.bad(0, stall.clone()), Sentence::Out);
    assert_eq!(roster.bad(1, stall.clone()), Sentence::Again(1));
    assert_eq!(roster.bad(1, stall.clone()), Sentence::Again(2));
    assert_eq!(roster.bad(1, stall), Sentence::Out);
}

#[test]
fn who_was_not_asked_yet_is_asked_and_then_the_fastest() {
    let mut roster = Roster::new(["a", "b", "c"].into_iter(), 3);
    assert_eq!(roster.best(&[]), Some(0));
    roster.good(0, 1_000, Duration::from_secs(1));
    assert_eq!(roster.best(&[]), Some(1));
    roster.good(1, 5_000, Duration::from_secs(1));
    roster.good(2, 2_000, Duration::from_secs(1));
    assert_eq!(roster.best(&[]), Some(1));
    assert_eq!(roster.best(&[1]), Some(2));
    // A source that becomes slow is not carried by its past.
    for _ in 0..20 {
        roster.good(1, 100, Duration::from_secs(4));
    }
    assert_eq!(roster.best(&[]), Some(2));
}
