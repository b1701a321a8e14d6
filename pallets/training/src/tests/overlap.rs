//! Rounds that are trained ahead: what is drawn when, who keeps a slot, and what contributions are made from.

use std::collections::{BTreeMap, BTreeSet};

use cairn_primitives::{api::NextRound, ModelRoot, Netuid, Role, Round, RunConfig, Uid, H256};
use cairn_protocol::{
    assignment::{DataRange, Plan, RoundData},
    exam::least_free,
};
use frame_support::{assert_noop, assert_ok};

use crate::{mock::*, AbsencesOf, Assignments, Error, Rounds, Tallies};

/// The roots of the parameters with which rounds 1 and 2 begin.
const ONE: ModelRoot = ModelRoot(H256([21; 32]));
const TWO: ModelRoot = ModelRoot(H256([22; 32]));
const VALIDATORS: [Uid; 3] = [Uid(0), Uid(1), Uid(2)];

fn overlapping() -> RunConfig {
    RunConfig {
        overlap: 1,
        ..config()
    }
}

fn usual() -> ExtBuilder {
    ExtBuilder::default()
        .subnet(NET)
        .validators(NET, &[100, 100, 100])
        .miners(NET, 3)
        .run(NET, overlapping())
}

fn next() -> NextRound<AccountId> {
    let run = Training::run_info(NET).expect("there is a run");
    run.next.expect("the next round is drawn")
}

/// A whole round in which these miners commit to what they made from `base`, and all validators attest `root`.
fn a_round(miners: &[Uid], base: ModelRoot, root: ModelRoot) {
    let round = Training::run_info(NET).expect("there is a run").round.round;
    let start = start();
    for uid in miners {
        assert_ok!(commit(NET, round, *uid, base));
    }
    run_to(start + 4);
    for uid in miners {
        assert_ok!(reveal(NET, round, *uid));
    }
    run_to(start + 6);
    for uid in VALIDATORS {
        assert_ok!(commit_attestation(NET, round, uid, miners, root));
    }
    run_to(start + 8);
    for uid in VALIDATORS {
        assert_ok!(open(NET, round, uid, miners, root));
    }
    run_to(start + ROUND);
}

/// All windows that a round assigns.
fn windows(pass: u32, cursor: u64, miners: u64) -> BTreeSet<u64> {
    let range = DataRange { pass, cursor };
    let plan = Plan::new(NET, &overlapping(), RoundData { range, miners });
    let steps = 0..plan.inner_steps();
    let slots = steps.flat_map(|step| (0..miners).map(move |slot| (slot, step)));
    slots
        .flat_map(|(slot, step)| plan.of_step(slot, step))
        .collect()
}

fn uids(miners: &[(Uid, AccountId)]) -> BTreeSet<Uid> {
    miners.iter().map(|(uid, _)| *uid).collect()
}

fn included(round: Round) -> Vec<Uid> {
    let settled = Training::settled(NET, round);
    settled.expect("the round is settled").included
}

fn newcomer(netuid: Netuid, uid: Uid, role: Role) {
    let (stake, bond) = match role {
        Role::Miner => (0, MIN_BOND),
        Role::Validator => (MIN_STAKE, 0),
    };
    let member = Member {
        hotkey: hotkey(netuid, Uid(uid.get() + 100)),
        role,
        stake,
        bond,
        incentive: 0,
    };
    World::change(netuid, |subnet| subnet.members.insert(uid, member));
}

#[test]
fn a_round_has_the_slots_and_the_data_that_were_drawn_a_round_before() {
    usual().execute(|| {
        let mut seen = BTreeSet::new();
        for round in 0..3 {
            let drawn = next();
            let now = Training::round_info(NET, round).expect("it goes on");
            assert_eq!((drawn.round, now.round), (round + 1, round));
            // No window comes twice, whether a round was drawn ahead or not.
            let of_now = windows(now.pass, now.cursor, now.miners.len() as u64);
            assert_eq!(of_now.len(), 18);
            assert!(of_now.is_disjoint(&seen), "round {round}");
            seen.extend(of_now);
            run_to(start() + ROUND);
            let began = Training::round_info(NET, round + 1).expect("it began");
            assert_eq!((began.pass, began.cursor), (drawn.pass, drawn.cursor));
            assert_eq!((began.seed, began.miners), (drawn.seed, drawn.miners));
        }
    });
}

/// Five miners, and room for two of them beside the exam.
#[test]
fn a_round_that_is_drawn_ahead_leaves_room_for_its_exam_too() {
    let mut scarce = overlapping();
    let per_miner = scarce.windows_per_miner();
    scarce.data.windows = least_free(per_miner) + 2 * per_miner;
    let built = ExtBuilder::default().subnet(NET).validators(NET, &[100]);
    built.miners(NET, 5).run(NET, scarce).execute(|| {
        for round in 0..3 {
            let now = Training::round_info(NET, round).expect("it goes on");
            assert_eq!((now.miners.len(), next().miners.len()), (2, 2));
            run_to(start() + ROUND);
        }
    });
}

/// A round is drawn before the one before it is settled, so that a seat may have both.
#[test]
fn who_is_never_included_has_a_slot_before_others_twice_at_most() {
    let mut scarce = overlapping();
    let per_miner = scarce.windows_per_miner();
    scarce.data.windows = least_free(per_miner) + per_miner;
    let built = ExtBuilder::default().subnet(NET);
    let built = built.validators(NET, &[100, 100, 100]).miners(NET, 4);
    built.run(NET, scarce).execute(|| {
        let mut had: BTreeMap<Uid, usize> = BTreeMap::new();
        for _ in 0..7 {
            let now = Training::run_info(NET).expect("there is a run").round;
            let (round, uid, start) = (now.round, now.miners[0].0, start());
            *had.entry(uid).or_default() += 1;
            assert!(had.values().all(|times| *times <= 2), "{had:?}");
            if had.len() == 4 {
                return;
            }
            assert_ok!(commit(NET, round, uid, ROOT));
            run_to(start + 6);
            for validator in VALIDATORS {
                assert_ok!(commit_attestation(NET, round, validator, &[], ROOT));
            }
            run_to(start + 8);
            for validator in VALIDATORS {
                assert_ok!(open(NET, round, validator, &[], ROOT));
            }
            run_to(start + ROUND);
        }
        panic!("one never had a slot: {had:?}");
    });
}

#[test]
fn a_run_whose_rounds_do_not_overlap_draws_nothing_ahead() {
    ExtBuilder::usual().execute(|| {
        assert_eq!(Training::run_info(NET).expect("there is a run").next, None);
        run_to(start() + ROUND);
        assert_eq!(Assignments::<Test>::iter().count(), 0);
        assert_eq!(Training::round_info(NET, 1).expect("it began").base, None);
    });
}

#[test]
fn contributions_are_made_from_what_the_round_before_began_with() {
    usual().execute(|| {
        let base = |round| Training::round_info(NET, round).expect("it began").base;
        let miners = [10, 11].map(Uid);
        assert_eq!(base(0), None);
        a_round(&miners, ROOT, ROOT);
        assert_eq!((included(0), base(1)), (miners.to_vec(), Some(ROOT)));
        a_round(&miners, ROOT, ONE);
        assert_eq!((included(1), base(2)), (miners.to_vec(), Some(ONE)));
        // What is made from the newest parameters is a round too late.
        a_round(&miners, TWO, TWO);
        assert_eq!((included(2), base(3)), (vec![], Some(TWO)));
    });
}

#[test]
fn after_a_round_without_a_final_root_the_base_is_what_the_next_one_begins_with() {
    usual().execute(|| {
        let miners = [10, 11, 12].map(Uid);
        a_round(&miners, ROOT, ROOT);
        // Nobody attests round 1: what it began with is not final, and stays.
        run_to(start() + ROUND);
        assert_eq!(Training::round_info(NET, 2).expect("it began").base, None);
        a_round(&miners, ONE, ONE);
        assert_eq!(included(2), miners);
    });
}

#[test]
fn who_left_since_keeps_no_slot_and_who_came_waits_a_round_more() {
    usual().execute(|| {
        let drawn = next();
        assert_eq!(uids(&drawn.miners), [10, 11, 12].map(Uid).into());
        World::leave(NET, Uid(11));
        newcomer(NET, Uid(11), Role::Validator);
        newcomer(NET, Uid(13), Role::Miner);
        run_to(start() + ROUND);
        // Slots are positions, so that of who left stays empty; its number has no part under another hotkey.
        let snapshot = Rounds::<Test>::get(NET, 1).expect("it began");
        assert_eq!(snapshot.miners.to_vec(), drawn.miners);
        assert!(snapshot.validators.iter().all(|one| one.uid != Uid(11)));
        let departed = Tallies::<Test>::get(NET, 1).departed;
        assert_eq!(departed.uids().collect::<Vec<_>>(), [Uid(11)]);
        for uid in [11, 13].map(Uid) {
            let refused = Error::<Test>::NotAMinerOfThisRound;
            assert_noop!(commit(NET, 1, uid, ROOT), refused);
        }
        assert_eq!(uids(&next().miners), [10, 12, 13].map(Uid).into());
        // The others have all committed: nobody waits for who is gone.
        run_to(start() + ROUND);
        let snapshot = Rounds::<Test>::get(NET, 2).expect("it began");
        assert!(snapshot.validators.iter().any(|one| one.uid == Uid(11)));
        assert_eq!(uids(&snapshot.miners), [10, 12, 13].map(Uid).into());
    });
}

#[test]
fn who_cannot_mine_any_more_has_no_part() {
    usual().execute(|| {
        World::change(NET, |subnet| {
            let member = subnet.members.get_mut(&Uid(12)).expect("a miner");
            (member.role, member.stake) = (Role::Validator, MIN_STAKE);
        });
        run_to(start() + ROUND);
        let validates = |round| {
            let snapshot = Rounds::<Test>::get(NET, round).expect("it began");
            snapshot.validators.iter().any(|one| one.uid == Uid(12))
        };
        assert!(!validates(1));
        assert_noop!(
            commit(NET, 1, Uid(12), ROOT),
            Error::<Test>::NotAMinerOfThisRound
        );
        run_to(start() + ROUND);
        assert!(validates(2));
    });
}

/// Else it could have a slot drawn ahead of others again and again, and never work.
#[test]
fn who_cannot_mine_any_more_but_keeps_its_seat_was_left_out() {
    usual().execute(|| {
        let bond = |bond| {
            World::change(NET, |subnet| {
                subnet.members.get_mut(&Uid(12)).expect("a miner").bond = bond;
            });
        };
        let left_out = || {
            let known = AbsencesOf::<Test>::get(NET);
            [10, 11, 12].map(|uid| known.get(&Uid(uid)).is_some_and(|one| one.left_out))
        };
        bond(0);
        World::leave(NET, Uid(11));
        newcomer(NET, Uid(11), Role::Miner);
        a_round(&[10, 12].map(Uid), ROOT, ROOT);
        assert_eq!(left_out(), [false; 3], "it had a part in this one");
        let departed = Tallies::<Test>::get(NET, 1).departed;
        assert_eq!(departed.uids().collect::<Vec<_>>(), [Uid(11), Uid(12)]);
        bond(MIN_BOND);
        a_round(&[Uid(10)], ROOT, ONE);
        assert_eq!(left_out(), [false, false, true]);
    });
}

#[test]
fn nothing_drawn_ahead_outlives_the_run() {
    usual().execute(|| {
        assert_eq!(Assignments::<Test>::iter().count(), 1);
        assert_ok!(Training::stop_run(by(owner(NET)), NET));
        assert_eq!(Assignments::<Test>::iter().count(), 0);
    });
}
