//! Stages that end when all that they are for has been done.

use cairn_primitives::{Phase, RoundTimes, Uid};
use cairn_protocol::limits::UNAWAITED_ROUNDS;
use frame_support::{assert_noop, assert_ok};

use crate::{mock::*, AbsencesOf, Agenda, Error, Runs};

/// Three validators and three miners, of whose stages a quarter always passes: 4 of 16 blocks to train, 1 of 2 to do
/// anything else.
fn hurried() -> ExtBuilder {
    let mut config = with_floor(25);
    config.phases.train = 16;
    ExtBuilder::default()
        .subnet(NET)
        .validators(NET, &[100, 100, 100])
        .miners(NET, 3)
        .earning()
        .run(NET, config)
}

const MINERS: [Uid; 3] = [Uid(10), Uid(11), Uid(12)];
const VALIDATORS: [Uid; 3] = [Uid(0), Uid(1), Uid(2)];

fn times() -> RoundTimes {
    Runs::<Test>::get(NET).expect("a run").times
}

fn phase() -> Phase {
    Training::run_info(NET).expect("a run").round.phase
}

/// All do their part in the first block in which they can.
fn hurry(miners: &[Uid], validators: &[Uid]) {
    let round = Training::run_info(NET).expect("a run").round.round;
    for uid in miners {
        assert_ok!(commit(NET, round, *uid, ROOT));
    }
    run_to(times().reveal);
    for uid in miners {
        assert_ok!(reveal(NET, round, *uid));
    }
    run_to(times().attest);
    for uid in validators {
        assert_ok!(commit_attestation(NET, round, *uid, miners, ROOT));
    }
    run_to(times().open);
    for uid in validators {
        assert_ok!(open(NET, round, *uid, miners, ROOT));
    }
    run_to(times().due);
}

#[test]
fn a_round_is_over_when_all_is_done() {
    hurried().execute(|| {
        let start = start();
        hurry(&MINERS, &VALIDATORS);
        let settled = Training::settled(NET, 0).expect("it is over");
        assert_eq!(settled.included, MINERS);
        assert_eq!(settled.settled_at, start + 4 + 3);
        assert!(AbsencesOf::<Test>::get(NET).is_empty());
        assert_eq!(
            (Training::run_info(NET).unwrap().round.round, phase()),
            (1, Phase::Train)
        );
    });
}

#[test]
fn the_agenda_follows_the_round() {
    hurried().execute(|| {
        let due = times().due;
        for uid in MINERS {
            assert!(Agenda::<Test>::contains_key(due, NET));
            assert_ok!(commit(NET, 0, uid, ROOT));
        }
        assert_eq!(phase(), Phase::Train, "not in the same block");
        assert_eq!(times().reveal, times().start + 4);
        assert_eq!(
            times().due,
            due,
            "the other stages have the time that is left"
        );
        assert_noop!(reveal(NET, 0, Uid(10)), Error::<Test>::TooEarlyToReveal);
        run_to(times().reveal);
        assert_eq!(phase(), Phase::Reveal);
        assert_ok!(reveal(NET, 0, Uid(10)));
        assert_ok!(Training::stop_run(by(owner(NET)), NET));
        assert_eq!(Agenda::<Test>::iter().count(), 0);
    });
}

#[test]
fn who_does_not_come_costs_the_others_one_round() {
    hurried().execute(|| {
        hurry(&MINERS, &VALIDATORS);
        let start = times().start;
        let two = &MINERS[..2];
        hurry(two, &VALIDATORS);
        // The whole train phase; nobody waits for the key of what was not committed to.
        let settled_at = |round| Training::settled(NET, round).unwrap().settled_at;
        assert_eq!(settled_at(1), start + 16 + 3);
        let unawaited = Training::run_info(NET).unwrap().unawaited;
        assert_eq!(unawaited, [(Uid(12), hotkey(NET, Uid(12)))]);
        let start = times().start;
        hurry(two, &VALIDATORS);
        // A grace after the block in which the others came: it might come.
        assert_eq!(settled_at(2), start + 1 + 4 + 3);
    });
}

#[test]
fn before_anybody_earned_a_round_waits_for_all_and_nobody_is_late() {
    let mut config = with_floor(25);
    config.phases.train = 16;
    let built = ExtBuilder::default().subnet(NET).validators(NET, &[100]);
    built.miners(NET, 3).run(NET, config).execute(|| {
        let start = times().start;
        hurry(&MINERS[..2], &VALIDATORS[..1]);
        assert_eq!(
            Training::settled(NET, 0).unwrap().settled_at,
            start + 16 + 3
        );
        assert!(Training::run_info(NET).unwrap().unawaited.is_empty());
    });
}

#[test]
fn who_held_a_round_up_has_its_part_and_is_waited_for_again_in_the_end() {
    hurried().execute(|| {
        hurry(&MINERS, &VALIDATORS);
        hurry(&MINERS[..2], &VALIDATORS);
        for left in (1..=UNAWAITED_ROUNDS).rev() {
            let absence = AbsencesOf::<Test>::get(NET)[&Uid(12)];
            assert_eq!(absence.unawaited, left);
            // First, since the others do not wait.
            let order = [Uid(12), Uid(10), Uid(11)];
            hurry(&order, &VALIDATORS);
        }
        assert!(AbsencesOf::<Test>::get(NET).is_empty());
    });
}

#[test]
fn nobody_waits_for_who_has_left() {
    hurried().execute(|| {
        let before = times().reveal;
        assert_ok!(commit(NET, 0, Uid(10), ROOT));
        assert_ok!(commit(NET, 0, Uid(11), ROOT));
        assert_eq!(times().reveal, before);
        World::leave(NET, Uid(12));
        assert_eq!(times().reveal, before - 12);
        Training::do_try_state().unwrap();
        run_to(times().reveal);
        assert_ok!(reveal(NET, 0, Uid(10)));
        World::leave(NET, Uid(11));
        assert_eq!(phase(), Phase::Reveal);
        next_block();
        assert_eq!(phase(), Phase::Attest);
    });
}

#[test]
fn a_run_whose_floor_is_the_whole_takes_as_long_as_ever() {
    ExtBuilder::usual().execute(|| {
        let (start, before) = (start(), times());
        hurry(&MINERS, &VALIDATORS);
        assert_eq!(Training::settled(NET, 0).unwrap().settled_at, start + ROUND);
        assert_eq!(before.due, start + ROUND);
    });
}
