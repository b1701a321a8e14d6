//! What is told, once, and what is not.

use cairn_primitives::Uid;

use super::*;
use crate::notices::view::Recovery;

const CRN: Balance = 1_000_000_000;
const PLACE: (Netuid, AccountId) = (Netuid(1), AccountId([5; 32]));

fn view() -> View {
    View {
        block: 100,
        member: Some(Member {
            uid: Uid(3),
            registered_at: 10,
            epochs: 9,
            dry: 0,
            bond: 10 * CRN,
            unbonding_bond: 0,
            bond_release_at: None,
            swap: None,
        }),
        run: Some(20),
        positions: [(PLACE, stake(50 * CRN, &[], 100))].into(),
        ..View::default()
    }
}

fn stake(staked: Balance, unbonding: &[(Balance, BlockNumber)], take: u16) -> Stake {
    Stake {
        staked,
        unbonding: unbonding.to_vec(),
        take,
    }
}

/// The view ten blocks later, changed.
fn later(before: &View, change: impl FnOnce(&mut View)) -> View {
    let mut view = before.clone();
    view.block += 10;
    view.outcomes.clear();
    change(&mut view);
    view
}

fn told(before: &View, change: impl FnOnce(&mut View)) -> Vec<Happening> {
    happened(Some(before), &later(before, change), 3)
}

fn member(view: &mut View) -> &mut Member {
    view.member.as_mut().unwrap()
}

#[test]
fn nothing_is_told_while_nothing_happens() {
    assert_eq!(told(&view(), |_| {}), []);
    // What is earned raises stake, what is scored changes nothing.
    let earned = |view: &mut View| view.positions.get_mut(&PLACE).unwrap().staked += CRN;
    assert_eq!(told(&view(), earned), []);
    assert_eq!(happened(None, &view(), 3), []);
}

#[test]
fn who_goes_next_is_told_once_and_again_after_it_was_safe() {
    let safe = view();
    let next = later(&safe, |view| view.goes_next = true);
    assert_eq!(
        happened(Some(&safe), &next, 3),
        [Happening::AboutToBeReplaced]
    );
    assert_eq!(told(&next, |_| {}), []);
    assert_eq!(told(&next, |view| view.goes_next = false), []);
    // After a restart somebody has to know.
    assert_eq!(happened(None, &next, 3), [Happening::AboutToBeReplaced]);
    let gone = told(&next, |view| {
        view.goes_next = false;
        view.member = None;
    });
    assert_eq!(gone, [Happening::Replaced]);
}

#[test]
fn an_owner_is_told_that_somebody_says_that_its_key_is_lost() {
    let recovery = |since: u32| Recovery {
        by: AccountId([1; 32]),
        since,
        not_before: since + 40,
        inheritor: AccountId([2; 32]),
    };
    let begun = |since: u32| Happening::RecoveryBegun {
        by: AccountId([1; 32]),
        inheritor: AccountId([2; 32]),
        group: 1,
        not_before: since + 40,
    };
    let now = later(&view(), |view| {
        view.recoveries.insert(1, recovery(103));
    });
    assert_eq!(happened(Some(&view()), &now, 3), [begun(103)]);
    let text = begun(103).to_string();
    assert!(text.contains("before block 143"), "{text}");
    // Once, but again by whoever starts late, and if it was stopped and begun anew.
    assert_eq!(told(&now, |_| {}), []);
    assert_eq!(happened(None, &now, 3), [begun(103)]);
    let anew = told(&now, |view| {
        view.recoveries.insert(1, recovery(118));
    });
    assert_eq!(anew, [begun(118)]);
    assert_eq!(told(&now, |view| view.recoveries.clear()), []);

    let inheritor = AccountId([2; 32]);
    let inherited = later(&now, |view| {
        view.recoveries.clear();
        view.inheritor = Some(inheritor);
    });
    let recovered = [Happening::Recovered { inheritor }];
    assert_eq!(happened(Some(&now), &inherited, 3), recovered);
    assert_eq!(told(&inherited, |_| {}), []);
    assert_eq!(told(&inherited, |view| view.inheritor = None), []);
    assert_eq!(happened(None, &inherited, 3), []);
}

#[test]
fn an_owner_is_told_that_another_hotkey_was_announced() {
    let to = AccountId([8; 32]);
    let announced = later(&view(), |view| member(view).swap = Some((to, 150)));
    let is_told = [Happening::SwapAnnounced { to, from: 150 }];
    assert_eq!(happened(Some(&view()), &announced, 3), is_told);
    assert_eq!(told(&announced, |_| {}), []);
    assert_eq!(happened(None, &announced, 3), is_told);
    assert_eq!(told(&announced, |view| member(view).swap = None), []);
    // Taken back and announced anew between two looks.
    let anew = told(&announced, |view| member(view).swap = Some((to, 155)));
    assert_eq!(anew, [Happening::SwapAnnounced { to, from: 155 }]);
}

#[test]
fn epochs_without_reward_are_told_when_there_are_so_many() {
    let dry = |epochs| later(&view(), |view| member(view).dry = epochs);
    assert_eq!(happened(Some(&dry(1)), &dry(2), 3), []);
    let third = happened(Some(&dry(2)), &dry(3), 3);
    assert_eq!(third, [Happening::NoReward { epochs: 3 }]);
    assert_eq!(happened(Some(&dry(3)), &dry(4), 3), []);
    // Who looks late sees more at once.
    let late = happened(Some(&dry(0)), &dry(9), 3);
    assert_eq!(late, [Happening::NoReward { epochs: 9 }]);
    assert_eq!(happened(Some(&dry(0)), &dry(9), 0), []);
}

#[test]
fn a_take_that_rises_is_told_and_one_that_falls_is_not() {
    let take = |to: u16| {
        told(&view(), |view| {
            view.positions.get_mut(&PLACE).unwrap().take = to
        })
    };
    let (on, hotkey) = PLACE;
    let (from, to) = (100, 101);
    assert_eq!(
        take(to),
        [Happening::TakeRaised {
            on,
            hotkey,
            from,
            to
        }]
    );
    assert_eq!(take(99), []);
    // Nobody's take was raised whom it did not stand behind before.
    let new = told(&view(), |view| {
        view.positions
            .insert((Netuid(2), PLACE.1), stake(CRN, &[], 9_000));
    });
    assert_eq!(new, []);
}

#[test]
fn what_is_gone_and_was_not_asked_back_was_slashed() {
    let (on, hotkey) = PLACE;
    let position = |staked, unbonding: &[(Balance, BlockNumber)]| {
        told(&view(), |view| {
            view.positions.insert(PLACE, stake(staked, unbonding, 100));
        })
    };
    let amount = 5 * CRN;
    assert_eq!(
        position(45 * CRN, &[]),
        [Happening::StakeSlashed { on, hotkey, amount }]
    );
    assert_eq!(position(45 * CRN, &[(5 * CRN, 900)]), []);
    let both = position(40 * CRN, &[(5 * CRN, 900)]);
    assert_eq!(both, [Happening::StakeSlashed { on, hotkey, amount }]);
    // What was asked back before was fetched, and as much was asked back anew.
    let mut before = view();
    before
        .positions
        .insert(PLACE, stake(50 * CRN, &[(5 * CRN, 90)], 100));
    let again = |staked| {
        told(&before, |view| {
            view.positions
                .insert(PLACE, stake(staked, &[(5 * CRN, 900)], 100));
        })
    };
    assert_eq!(again(45 * CRN), []);
    assert_eq!(
        again(40 * CRN),
        [Happening::StakeSlashed { on, hotkey, amount }]
    );
    // A share that was rounded.
    assert_eq!(position(50 * CRN - 3, &[]), []);
    // All of it was withdrawn.
    assert_eq!(told(&view(), |view| view.positions.clear()), []);

    let bond = |bond, unbonding| {
        told(&view(), |view| {
            (member(view).bond, member(view).unbonding_bond) = (bond, unbonding);
            member(view).bond_release_at = (unbonding > 0).then_some(900);
        })
    };
    let amount = 10 * CRN;
    assert_eq!(bond(0, 0), [Happening::BondSlashed { amount }]);
    assert_eq!(bond(0, 10 * CRN), []);
    // Another member on a new seat.
    let again = told(&view(), |view| {
        (member(view).bond, member(view).registered_at) = (0, 105);
    });
    assert_eq!(again, []);
}

#[test]
fn what_was_asked_back_is_told_in_the_block_in_which_it_can_be_had() {
    let mut before = view();
    let parts = [(CRN, 90), (2 * CRN, 105), (3 * CRN, 110), (4 * CRN, 111)];
    before.positions.insert(PLACE, stake(CRN, &parts, 100));
    let (on, hotkey) = PLACE;
    let amount = 5 * CRN;
    let released = Happening::UnbondingReleased { on, hotkey, amount };
    assert_eq!(told(&before, |_| {}), std::slice::from_ref(&released));
    // Somebody was quick.
    let fetched = told(&before, |view| {
        view.positions
            .insert(PLACE, stake(CRN, &[(4 * CRN, 111)], 100));
    });
    assert_eq!(fetched, [released]);
    let mut before = view();
    (
        member(&mut before).unbonding_bond,
        member(&mut before).bond_release_at,
    ) = (CRN, Some(104));
    let amount = CRN;
    assert_eq!(told(&before, |_| {}), [Happening::BondReleased { amount }]);
}

#[test]
fn runs_come_and_go() {
    assert_eq!(
        told(&view(), |view| view.run = None),
        [Happening::RunStopped]
    );
    let other = told(&view(), |view| view.run = Some(105));
    assert_eq!(other, [Happening::RunStarted { started_at: 105 }]);
    let without = later(&view(), |view| view.run = None);
    let first = told(&without, |view| view.run = Some(130));
    assert_eq!(first, [Happening::RunStarted { started_at: 130 }]);
}

#[test]
fn audits_are_told_when_they_are_drawn_and_when_they_fail() {
    let open = later(&view(), |view| view.audits = [4].into());
    let drawn = happened(Some(&view()), &open, 3);
    assert_eq!(drawn, [Happening::AuditDrawn { round: 4 }]);
    let ended = |outcome| {
        told(&open, |view| {
            view.audits.clear();
            view.outcomes = [(4, outcome)].into();
        })
    };
    for outcome in [AuditOutcome::Failed, AuditOutcome::Silent] {
        assert_eq!(
            ended(outcome),
            [Happening::AuditFailed { round: 4, outcome }]
        );
    }
    for outcome in [AuditOutcome::Passed, AuditOutcome::Undecided] {
        assert_eq!(ended(outcome), []);
    }
}

#[test]
fn all_of_it_reads_as_one_line_and_has_a_name() {
    let (on, hotkey, amount, round) = (Netuid(1), PLACE.1, CRN, 4);
    let outcome = AuditOutcome::Silent;
    for happening in [
        Happening::AboutToBeReplaced,
        Happening::Replaced,
        Happening::NoReward { epochs: 3 },
        Happening::TakeRaised {
            on,
            hotkey,
            from: 1,
            to: 2,
        },
        Happening::StakeSlashed { on, hotkey, amount },
        Happening::BondSlashed { amount },
        Happening::UnbondingReleased { on, hotkey, amount },
        Happening::BondReleased { amount },
        Happening::RunStopped,
        Happening::RunStarted { started_at: 1 },
        Happening::AuditDrawn { round },
        Happening::AuditFailed { round, outcome },
    ] {
        let line = happening.to_string();
        assert!(!line.contains('\n') && line.len() > 15, "{line}");
        let json = serde_json::to_value(&happening).unwrap();
        assert!(json["event"].is_string(), "{json}");
    }
    let slashed = serde_json::to_value(Happening::BondSlashed { amount }).unwrap();
    assert_eq!(
        slashed,
        serde_json::json!({"event": "bond_slashed", "amount": "1000000000"})
    );
}
