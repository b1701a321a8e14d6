//! The validator's machine, scene by scene and in any order of events.

use cairn_primitives::{api::Voting, Phases, Round, Uid, H256};
use cairn_round::{
    ballot::Step,
    validator::{Action, Check, Event, Seen, Validator, View, Work},
    RoundView, Settlement,
};
use proptest::prelude::*;

/// Train 100..106, reveal 106..109, attest 109..113.
const PHASES: Phases = Phases {
    train: 6,
    reveal: 3,
    attest: 4,
};

fn seen(uid: Uid, revealed: bool) -> Seen {
    Seen {
        uid,
        sealed_root: root(uid),
        key: revealed.then_some([uid as u8; 32]),
    }
}

fn root(uid: Uid) -> H256 {
    H256([uid as u8; 32])
}

fn view(round: Round, start: u32, contributions: Vec<Seen>) -> View {
    let round = RoundView {
        round,
        start,
        phases: PHASES,
        oldest: 0,
    };
    View {
        round,
        attested: Some(false),
        contributions,
        settled: None,
        voting: Some(in_the_open()),
    }
}

fn in_the_open() -> Voting {
    Voting {
        commit_reveal: false,
        epoch: 0,
        due: 0,
        rate_limit: 0,
        commits: Vec::new(),
    }
}

fn weigh(round: Round) -> Action {
    Action::Vote(Step::Weigh(round, None))
}

fn step(validator: &mut Validator, event: Event, now: u32) -> Vec<Action> {
    let (next, actions) = validator.clone().step(event, now);
    *validator = next;
    actions
}

fn settled(round: Round) -> Option<Settlement> {
    Some(Settlement {
        round,
        included: vec![1],
        own: None,
    })
}

#[test]
fn a_round_from_beginning_to_end() {
    let mut validator = Validator::new(0);
    let sealed = view(0, 100, vec![seen(1, false)]);
    let fetch = Action::Fetch(0, seen(1, false));
    assert_eq!(
        step(&mut validator, Event::Chain(sealed.clone()), 103),
        [fetch]
    );
    assert_eq!(step(&mut validator, Event::Chain(sealed), 104), []);
    step(&mut validator, Event::Fetched(0, 1, root(1), true), 104);
    let revealed = view(0, 100, vec![seen(1, true)]);
    let open = Action::Open(0, seen(1, true));
    assert_eq!(
        step(&mut validator, Event::Chain(revealed.clone()), 106),
        [open]
    );
    step(&mut validator, Event::Opened(0, 1, root(1), true), 107);
    assert_eq!(
        step(&mut validator, Event::Chain(revealed.clone()), 107),
        []
    );
    let attest = Action::Attest {
        round: 0,
        good: vec![1],
    };
    assert_eq!(
        step(&mut validator, Event::Chain(revealed.clone()), 108),
        [attest]
    );
    assert_eq!(
        step(&mut validator, Event::Chain(revealed), 110),
        [],
        "it is under way"
    );
    step(&mut validator, Event::AttestSubmitted, 110);
    let attested = View {
        attested: Some(true),
        ..view(0, 100, vec![seen(1, true)])
    };
    assert_eq!(step(&mut validator, Event::Chain(attested), 110), []);
    let over = View {
        settled: settled(0),
        ..view(1, 113, vec![])
    };
    let settle = Action::Settle(settled(0).expect("it is"));
    assert_eq!(step(&mut validator, Event::Chain(over), 113), [settle]);
    step(&mut validator, Event::Settled(0), 113);
    let next = view(1, 113, vec![]);
    assert_eq!(
        step(&mut validator, Event::Chain(next.clone()), 114),
        [Action::Score(0)]
    );
    step(&mut validator, Event::Scored(0), 115);
    assert_eq!(
        step(&mut validator, Event::Chain(next.clone()), 115),
        [weigh(0)]
    );
    step(&mut validator, Event::WeightsSubmitted(true), 116);
    assert_eq!(step(&mut validator, Event::Chain(next), 116), []);
}

#[test]
fn a_file_that_is_not_there_is_asked_for_again() {
    let mut validator = Validator::new(0);
    let sealed = view(0, 100, vec![seen(1, false)]);
    step(&mut validator, Event::Chain(sealed.clone()), 103);
    step(&mut validator, Event::Fetched(0, 1, root(1), false), 103);
    let again = Action::Fetch(0, seen(1, false));
    assert_eq!(step(&mut validator, Event::Chain(sealed), 104), [again]);
}

#[test]
fn what_is_not_checked_is_waited_for_until_the_deadline_and_then_left_out() {
    let mut validator = Validator::new(0);
    let both = view(0, 100, vec![seen(1, true), seen(2, true)]);
    step(&mut validator, Event::Chain(both.clone()), 107);
    step(&mut validator, Event::Fetched(0, 1, root(1), true), 107);
    step(&mut validator, Event::Chain(both.clone()), 107);
    step(&mut validator, Event::Opened(0, 1, root(1), true), 108);
    for now in [109, 110] {
        assert_eq!(
            step(&mut validator, Event::Chain(both.clone()), now),
            [],
            "at {now}"
        );
    }
    let attest = Action::Attest {
        round: 0,
        good: vec![1],
    };
    assert_eq!(step(&mut validator, Event::Chain(both), 111), [attest]);
}

#[test]
fn bad_and_unrevealed_contributions_are_not_vouched_for() {
    let mut validator = Validator::new(0);
    let all = view(0, 100, vec![seen(1, true), seen(2, true), seen(3, false)]);
    step(&mut validator, Event::Chain(all.clone()), 107);
    for uid in 1..=3 {
        step(&mut validator, Event::Fetched(0, uid, root(uid), true), 107);
    }
    step(&mut validator, Event::Chain(all.clone()), 108);
    step(&mut validator, Event::Opened(0, 1, root(1), false), 108);
    step(&mut validator, Event::Opened(0, 2, root(2), true), 108);
    let attest = Action::Attest {
        round: 0,
        good: vec![2],
    };
    assert_eq!(step(&mut validator, Event::Chain(all), 109), [attest]);
}

#[test]
fn another_content_after_a_reorganisation_is_checked_anew() {
    let mut validator = Validator::new(0);
    step(
        &mut validator,
        Event::Chain(view(0, 100, vec![seen(1, true)])),
        107,
    );
    step(&mut validator, Event::Fetched(0, 1, root(1), true), 107);
    step(
        &mut validator,
        Event::Chain(view(0, 100, vec![seen(1, true)])),
        107,
    );
    step(&mut validator, Event::Opened(0, 1, root(1), true), 107);
    let other = Seen {
        sealed_root: root(9),
        ..seen(1, true)
    };
    let changed = view(0, 100, vec![other]);
    let fetch = Action::Fetch(0, other);
    assert_eq!(
        step(&mut validator, Event::Chain(changed.clone()), 108),
        [fetch]
    );
    let attest = Action::Attest {
        round: 0,
        good: vec![],
    };
    assert_eq!(step(&mut validator, Event::Chain(changed), 111), [attest]);
}

#[test]
fn without_the_weights_of_the_round_it_does_not_attest() {
    let mut validator = Validator::new(0);
    assert_eq!(
        step(
            &mut validator,
            Event::Chain(view(1, 100, vec![seen(1, true)])),
            110
        ),
        []
    );
}

#[test]
fn who_does_not_count_does_not_attest() {
    let mut validator = Validator::new(0);
    let idle = View {
        attested: None,
        ..view(0, 100, vec![])
    };
    assert_eq!(step(&mut validator, Event::Chain(idle), 110), []);
}

#[test]
fn an_attestation_that_a_reorganisation_dropped_is_sent_again() {
    let mut validator = Validator::new(0);
    step(&mut validator, Event::Chain(view(0, 100, vec![])), 109);
    step(&mut validator, Event::AttestSubmitted, 110);
    let attest = Action::Attest {
        round: 0,
        good: vec![],
    };
    assert_eq!(
        step(&mut validator, Event::Chain(view(0, 100, vec![])), 110),
        [attest]
    );
}

#[test]
fn scoring_stops_for_the_attestation_and_weights_are_set_from_what_there_is() {
    let mut validator = Validator {
        to_score: Some(4),
        ..Validator::new(5)
    };
    assert_eq!(
        step(&mut validator, Event::Chain(view(5, 100, vec![])), 101),
        [Action::Score(4)]
    );
    assert_eq!(
        step(&mut validator, Event::Chain(view(5, 100, vec![])), 105),
        []
    );
    let late = step(&mut validator, Event::Chain(view(5, 100, vec![])), 106);
    assert_eq!(late, [Action::StopScoring]);
    assert_eq!(
        step(&mut validator, Event::Chain(view(5, 100, vec![])), 106),
        []
    );
    step(&mut validator, Event::Scored(4), 106);
    let set = step(&mut validator, Event::Chain(view(5, 100, vec![])), 106);
    assert_eq!(set, [weigh(4)]);
}

#[test]
fn scoring_is_not_begun_late() {
    let mut validator = Validator {
        to_score: Some(4),
        ..Validator::new(5)
    };
    assert_eq!(
        step(&mut validator, Event::Chain(view(5, 100, vec![])), 106),
        []
    );
}

#[test]
fn weights_are_tried_three_times() {
    let mut validator = Validator::new(5);
    step(&mut validator, Event::Scored(4), 101);
    for _ in 0..3 {
        let set = step(&mut validator, Event::Chain(view(5, 100, vec![])), 102);
        assert_eq!(set, [weigh(4)]);
        step(&mut validator, Event::WeightsSubmitted(false), 102);
    }
    assert_eq!(
        step(&mut validator, Event::Chain(view(5, 100, vec![])), 103),
        []
    );
}

#[test]
fn who_is_far_behind_joins_afresh() {
    let mut validator = Validator::new(3);
    let mut far = view(50, 1_000, vec![]);
    far.round.oldest = 40;
    assert_eq!(
        step(&mut validator, Event::Chain(far), 1_000),
        [Action::Join]
    );
    step(&mut validator, Event::Joined(45), 1_001);
    assert_eq!((validator.held, validator.work), (45, Work::Idle));
}

fn any_event() -> impl Strategy<Value = Event> {
    let contributions =
        prop::collection::vec((1u16..3, prop::bool::weighted(0.8)), 0..4).prop_map(|list| {
            let mut list: Vec<Seen> = list
                .into_iter()
                .map(|(uid, open)| seen(uid, open))
                .collect();
            list.sort_by_key(|seen| seen.uid);
            list.dedup_by_key(|seen| seen.uid);
            list
        });
    let chain = (
        0u32..2,
        contributions,
        prop::option::weighted(0.9, prop::bool::weighted(0.1)),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(round, contributions, attested, over)| {
            let settled = (over && round > 0).then(|| settled(round - 1)).flatten();
            Event::Chain(View {
                attested,
                settled,
                ..view(round, round * 13, contributions)
            })
        });
    prop_oneof![
        20 => chain,
        10 => (0u32..2, 1u16..3, any::<bool>())
            .prop_map(|(round, uid, here)| Event::Fetched(round, uid, root(uid), here)),
        10 => (0u32..2, 1u16..3, any::<bool>())
            .prop_map(|(round, uid, good)| Event::Opened(round, uid, root(uid), good)),
        3 => Just(Event::AttestSubmitted),
        1 => (0u32..2).prop_map(Event::Scored),
        1 => any::<bool>().prop_map(Event::WeightsSubmitted),
        1 => (0u32..2).prop_map(Event::Settled),
    ]
}

proptest! {
    #[test]
    fn it_only_vouches_for_what_was_opened_and_found_good(
        events in prop::collection::vec((any_event(), prop_oneof![0u32..26, 8u32..12]), 1..200)
    ) {
        let mut validator = Validator::new(0);
        let mut good = std::collections::BTreeSet::new();
        let mut under_way = false;
        for (event, now) in events {
            match &event {
                // The first answer to a question that was asked is the one that counts.
                Event::Opened(round, uid, root, true)
                    if *round == validator.held
                        && validator.checks.get(&(*uid, *root)) == Some(&Check::Opening) =>
                {
                    good.insert((*round, *uid));
                }
                Event::AttestSubmitted => under_way = false,
                _ => {}
            }
            let view = match &event { Event::Chain(view) => Some(view.clone()), _ => None };
            for action in step(&mut validator, event, now) {
                if let Action::Attest { round, good: vouched } = action {
                    let view = view.clone().expect("only a view of the chain makes it act");
                    prop_assert_eq!(round, validator.held);
                    prop_assert_eq!(view.round.round, round);
                    prop_assert_eq!(view.attested, Some(false));
                    prop_assert!(!under_way, "two at a time");
                    under_way = true;
                    for uid in vouched {
                        prop_assert!(good.contains(&(round, uid)));
                        let revealed = |seen: &Seen| seen.uid == uid && seen.key.is_some();
                        prop_assert!(view.contributions.iter().any(revealed));
                    }
                }
            }
        }
    }
}
