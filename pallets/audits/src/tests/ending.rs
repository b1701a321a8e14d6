//! How audits end, and what follows.

use cairn_primitives::{
    finding_hash,
    traits::{Asked, Audits as _, OnMember},
    AuditOutcome, AuditRules, Finding, Hotkey, Round, Uid, Verdicts,
};
use cairn_protocol::wages::in_question;
use frame_support::assert_ok;

use crate::{mock::*, Agenda, Counts, Event, Passed, Passes, ValidatorsOf, WeightInfo};

const YES: Finding = Finding::Passed;
const NO: Finding = Finding::Failed;
/// As many as are drawn.
const VALIDATORS: [Uid; 3] = [Uid(0), Uid(1), Uid(2)];

/// Goes through an audit in which its first auditors find this, and the next ones commit and keep quiet. Ends in the
/// block that ends it.
fn found(findings: &[Finding], quiet: usize) -> Vec<Uid> {
    let auditors = said(findings, quiet);
    assert!(audit().is_none());
    auditors
}

/// The same of an audit in which one found that the work is false: in that block all validators are asked, and who was
/// drawn and said nothing has missed it.
fn disputed(findings: &[Finding]) -> Vec<Uid> {
    let drawn = said(findings, 0);
    let (netuid, round, uid) = (NET, ROUND, MINER);
    assert_eq!(events(), [Event::Disputed { netuid, round, uid }]);
    let quiet = drawn[findings.len()..].iter().copied();
    let missed: Vec<Followed> = quiet.map(Followed::Missed).collect();
    assert_eq!(World::followed(), missed, "nothing else follows yet");
    let told = Audits::open_audits(NET).remove(0);
    let until = (told.opens_until, told.commits_until, told.reveals_until);
    let now = System::block_number();
    assert_eq!(until, (now, now + BLOCKS, now + 2 * BLOCKS));
    assert!(told.is_disputed);
    auditors()
}

/// Goes through a dispute in which these find this and all others say nothing more. Ends in the block that ends it.
fn settled(findings: &[(Uid, Finding)]) {
    let begin = System::block_number();
    for (auditor, finding) in findings {
        assert_ok!(commit(*auditor, *finding));
    }
    run_to(begin + BLOCKS);
    for (auditor, finding) in findings {
        assert_ok!(reveal(*auditor, *finding));
    }
    run_to(begin + 2 * BLOCKS - 1);
    assert!(audit().is_some(), "until the stage is over");
    next_block();
    assert!(audit().is_none());
}

/// Goes to the block after the last stage of those that are drawn.
fn said(findings: &[Finding], quiet: usize) -> Vec<Uid> {
    assert_ok!(open());
    let auditors = auditors();
    run_to(100 + BLOCKS);
    for (auditor, finding) in auditors.iter().zip(findings) {
        assert_ok!(commit(*auditor, *finding));
    }
    for auditor in auditors.iter().skip(findings.len()).take(quiet) {
        assert_ok!(commit(*auditor, NO));
    }
    run_to(100 + 2 * BLOCKS);
    for (auditor, finding) in auditors.iter().zip(findings) {
        assert_ok!(reveal(*auditor, *finding));
    }
    run_to(100 + 3 * BLOCKS - 1);
    assert!(audit().is_some(), "until the stage is over");
    next_block();
    auditors
}

fn ended(outcome: AuditOutcome, slashed: u64) {
    let event = Event::Ended {
        netuid: NET,
        round: ROUND,
        uid: MINER,
        outcome,
        slashed,
        forfeited: if slashed > 0 { FORFEITED } else { 0 },
    };
    assert_eq!(events(), [event]);
    assert_eq!(Audits::outcome(NET, ROUND, MINER), Some(outcome));
    assert_eq!(Counts::<Test>::iter().count(), 0);
    assert_eq!(Agenda::<Test>::iter_keys().count(), 0);
    assert_eq!(ValidatorsOf::<Test>::iter_keys().count(), 0);
}

#[test]
fn who_serves_nothing_loses_its_bond_and_nobody_earns_by_it() {
    ExtBuilder.audited(|| {
        run_to(100 + BLOCKS - 1);
        assert!(audit().is_some());
        next_block();
        let slashed = Followed::Slashed(hotkey(MINER), vec![]);
        let followed = [slashed, Followed::False(MINER), Followed::Forfeited(MINER)];
        assert_eq!(World::followed(), followed);
        ended(AuditOutcome::Silent, BOND);
    });
}

#[test]
fn honest_work_passes_and_nothing_follows() {
    ExtBuilder.audited(|| {
        found(&[YES, YES, YES], 0);
        assert_eq!(World::followed(), []);
        ended(AuditOutcome::Passed, 0);
    });
}

#[test]
fn false_work_costs_the_bond_for_those_who_said_so() {
    ExtBuilder.audited(|| {
        World::owned(auditors()[0], stranger());
        let auditors = disputed(&[NO, YES, NO]);
        settled(&[(auditors[3], NO)]);
        // Who was not drawn has no part of it; who found the work to be right has lost a round.
        let told = vec![stranger(), hotkey(auditors[2])];
        let slashed = Followed::Slashed(hotkey(MINER), told);
        let followed = [
            slashed,
            Followed::False(MINER),
            Followed::Forfeited(MINER),
            Followed::Missed(auditors[1]),
        ];
        assert_eq!(World::followed(), followed);
        ended(AuditOutcome::Failed, BOND);
    });
}

/// Or two friends among three would take an honest miner's bond, and two of a cheat's save it.
#[test]
fn those_that_were_drawn_are_outvoted_by_all() {
    ExtBuilder.execute(|| {
        run_to(100);
        let validators: Vec<Uid> = (0..10).map(Uid).collect();
        for (drawn, others, outcome, slashed) in [
            (NO, YES, AuditOutcome::Passed, 0),
            (YES, NO, AuditOutcome::Failed, BOND),
        ] {
            let start = System::block_number();
            settle_in(NET, ROUND, RULES, &[MINER], &validators);
            assert_ok!(open());
            let lying = auditors();
            run_to(start + BLOCKS);
            // One of the three is honest where they save a cheat, since else nobody asks.
            let of = |index: usize| match index {
                0 if drawn == YES => NO,
                _ => drawn,
            };
            for (index, auditor) in lying.iter().enumerate() {
                assert_ok!(commit(*auditor, of(index)));
            }
            run_to(start + 2 * BLOCKS);
            for (index, auditor) in lying.iter().enumerate() {
                assert_ok!(reveal(*auditor, of(index)));
            }
            run_to(start + 3 * BLOCKS);
            let asked: Vec<(Uid, Finding)> =
                auditors()[3..].iter().map(|uid| (*uid, others)).collect();
            assert_eq!(asked.len(), 7);
            World::followed();
            settled(&asked);
            ended(outcome, slashed);
            let missed = World::followed().into_iter();
            let missed: Vec<Followed> = missed
                .filter(|one| matches!(one, Followed::Missed(_)))
                .collect();
            let lied = lying
                .iter()
                .enumerate()
                .filter(|(index, _)| of(*index) == drawn);
            let expected: Vec<Followed> = lied.map(|(_, uid)| Followed::Missed(*uid)).collect();
            assert_eq!(missed, expected, "who lied has lost a round");
        }
    });
}

#[test]
fn in_a_dispute_stake_decides_and_not_heads() {
    ExtBuilder.execute(|| {
        run_to(100);
        World::staked(Uid(3), 7 * STAKE);
        settle(&[MINER]);
        // Whoever of the small ones was drawn finds this; the large one says the opposite, drawn or not.
        let of = |uid: Uid| if uid == Uid(3) { YES } else { NO };
        assert_ok!(open());
        let drawn = auditors();
        run_to(100 + BLOCKS);
        for uid in &drawn {
            assert_ok!(commit(*uid, of(*uid)));
        }
        run_to(100 + 2 * BLOCKS);
        for uid in &drawn {
            assert_ok!(reveal(*uid, of(*uid)));
        }
        run_to(100 + 3 * BLOCKS);
        let other = auditors()[3];
        World::followed();
        settled(&[(other, of(other))]);
        ended(AuditOutcome::Passed, 0);
    });
}

#[test]
fn of_a_dispute_without_most_of_the_stake_nothing_follows() {
    ExtBuilder.execute(|| {
        run_to(100);
        World::staked(Uid(9), 4 * STAKE);
        let validators = [Uid(0), Uid(1), Uid(2), Uid(9)];
        // The large one is drawn or not: it keeps quiet, and without it there is less than half.
        settle_in(NET, ROUND, RULES, &[MINER], &validators);
        assert_ok!(open());
        let small: Vec<Uid> = auditors()
            .into_iter()
            .filter(|uid| *uid != Uid(9))
            .collect();
        run_to(100 + BLOCKS);
        for uid in &small {
            assert_ok!(commit(*uid, NO));
        }
        run_to(100 + 2 * BLOCKS);
        for uid in &small {
            assert_ok!(reveal(*uid, NO));
        }
        run_to(100 + 3 * BLOCKS);
        World::followed();
        settled(&[]);
        ended(AuditOutcome::Undecided, 0);
        assert_eq!(asked(MINER), Some(0), "it has proven nothing by that");
    });
}

/// Nobody who audits a friend's work gets a say by a dispute about it, whoever's hotkey left meanwhile.
#[test]
fn nobody_of_the_miners_coldkey_is_asked_in_a_dispute() {
    ExtBuilder.execute(|| {
        run_to(100);
        World::owned(MINER, stranger());
        World::owned(Uid(3), stranger());
        settle_in(
            NET,
            ROUND,
            RULES,
            &[MINER],
            &(0..6).map(Uid).collect::<Vec<_>>(),
        );
        let all = disputed(&[NO, NO, NO]);
        assert_eq!(all.len(), 5);
        assert!(!all.contains(&Uid(3)));
    });
}

/// Whoever was drawn, committed and missed its stage can say it now; who has said it cannot say something else.
#[test]
fn who_is_late_is_heard_in_the_dispute_and_nobody_twice() {
    ExtBuilder.audited(|| {
        assert_ok!(open());
        let (one, late) = (auditors()[0], auditors()[1]);
        run_to(100 + BLOCKS);
        for uid in [one, late] {
            assert_ok!(commit(uid, NO));
        }
        run_to(100 + 2 * BLOCKS);
        assert_ok!(reveal(one, NO));
        run_to(100 + 3 * BLOCKS);
        assert!(commit(one, YES).is_err() && commit(late, YES).is_err());
        run_to(100 + 4 * BLOCKS);
        assert!(reveal(one, NO).is_err());
        assert_ok!(reveal(late, NO));
        run_to(100 + 5 * BLOCKS);
        // Two of four, of equal stake: half of it.
        assert_eq!(
            Audits::outcome(NET, ROUND, MINER),
            Some(AuditOutcome::Failed)
        );
    });
}

#[test]
fn of_a_dispute_nothing_stays_when_the_run_stops_and_it_goes_on_when_the_miner_leaves() {
    ExtBuilder.audited(|| {
        disputed(&[NO, NO, NO]);
        Audits::on_stopped(NET);
        assert_eq!(Audits::clear(NET, 10), 3);
        let outcome = Audits::outcome(NET, ROUND, MINER);
        assert_eq!(outcome, Some(AuditOutcome::Undecided));
        assert_eq!(
            (audit(), ValidatorsOf::<Test>::iter_keys().count()),
            (None, 0)
        );
    });
    ExtBuilder.audited(|| {
        let other = disputed(&[NO, NO, NO])[3];
        Audits::on_left(NET, MINER, &hotkey(MINER));
        assert_eq!(System::sufficients(&hotkey(MINER)), 1, "it can be heard");
        settled(&[(other, NO)]);
        let outcome = Audits::outcome(NET, ROUND, MINER);
        assert_eq!(outcome, Some(AuditOutcome::Failed));
        assert_eq!(System::sufficients(&hotkey(MINER)), 0);
    });
}

/// Where all were drawn nobody is left to ask.
#[test]
fn where_all_are_drawn_stake_decides_at_once() {
    ExtBuilder.execute(|| {
        run_to(100);
        World::staked(Uid(0), 7 * STAKE);
        settle_in(NET, ROUND, RULES, &[MINER], &VALIDATORS);
        goes_on(ROUND, Some(NO));
        ended(AuditOutcome::Failed, BOND);
    });
}

#[test]
fn one_that_passes_it_decides_where_the_others_keep_quiet_and_they_missed_it() {
    ExtBuilder.audited(|| {
        // One commits and reveals nothing, one does nothing.
        let auditors = found(&[YES], 1);
        let missed: Vec<_> = auditors[1..]
            .iter()
            .copied()
            .map(Followed::Missed)
            .collect();
        assert_eq!(World::followed(), missed);
        ended(AuditOutcome::Passed, 0);
    });
}

#[test]
fn one_that_fails_it_alone_decides_nothing() {
    ExtBuilder.audited(|| {
        disputed(&[NO]);
        settled(&[]);
        assert_eq!(World::followed(), [], "who was asked by it misses nothing");
        ended(AuditOutcome::Undecided, 0);
    });
}

#[test]
fn a_tie_or_nobody_decides_nothing() {
    ExtBuilder.audited(|| {
        disputed(&[NO, YES]);
        settled(&[]);
        assert_eq!(World::followed(), []);
        ended(AuditOutcome::Undecided, 0);
        assert_eq!(asked(MINER), Some(0), "it has proven nothing by that");
    });
    ExtBuilder.audited(|| {
        let auditors = found(&[], 2);
        let missed: Vec<_> = auditors.into_iter().map(Followed::Missed).collect();
        assert_eq!(World::followed(), missed);
        ended(AuditOutcome::Undecided, 0);
    });
}

/// Whether a member's work is in question, from which round on.
fn asked(uid: Uid) -> Option<Round> {
    in_question(&Audits::questions(NET).expect("its run audits"), uid)
}

#[test]
fn who_has_passed_is_proven_and_who_loses_is_not() {
    ExtBuilder.audited(|| {
        assert_eq!((asked(MINER), asked(Uid(99))), (Some(0), Some(0)));
        assert_eq!(Audits::proven(NET), Verdicts::default());
        found(&[YES, YES, YES], 0);
        assert_eq!((asked(MINER), asked(Uid(99))), (None, Some(0)));
        assert_eq!(Audits::proven(NET), Verdicts::from_uids([MINER]));
        assert_eq!(Audits::questions(NET).expect("it audits").newest, ROUND);
        // The next one is drawn at the run's rate, which is every one here, and is in question by itself.
        settle_in(NET, ROUND + 1, RULES, &[MINER], &[Uid(0), Uid(1), Uid(2)]);
        assert_eq!(asked(MINER), Some(ROUND + 1));
        run_to(200);
        World::followed();
        assert_eq!(asked(MINER), Some(0), "it was silent");
        assert_eq!(Audits::proven(NET), Verdicts::default());
    });
}

/// A round is settled, and its audit of [`MINER`] ends: its three auditors find this, or do nothing.
fn ends(round: Round, finding: Option<Finding>) {
    settle_in(NET, round, RULES, &[MINER], &VALIDATORS);
    goes_on(round, finding);
}

/// The same of a round that was settled in this block.
fn goes_on(round: Round, finding: Option<Finding>) {
    let (start, all) = (System::block_number(), VALIDATORS);
    assert_ok!(Audits::open(by(MINER), NET, round, MINER, SERVED));
    let said = |finding: Finding| all.map(|auditor| (auditor, finding));
    let said: Vec<(Uid, Finding)> = finding.map(said).into_iter().flatten().collect();
    run_to(start + BLOCKS);
    for (auditor, finding) in &said {
        let (at, key) = ((NET, round, MINER), hotkey(*auditor));
        let hash = finding_hash(at, &Hotkey::of(&key), *finding, &salt(*auditor));
        let who = by(*auditor);
        assert_ok!(Audits::commit_verdict(who, NET, round, MINER, hash));
    }
    run_to(start + 2 * BLOCKS);
    for (auditor, finding) in said {
        let (who, salt) = (by(auditor), salt(auditor));
        assert_ok!(Audits::reveal_verdict(
            who, NET, round, MINER, finding, salt
        ));
    }
    run_to(start + 3 * BLOCKS);
}

/// Or whoever keeps its auditors busy would be paid for anything.
#[test]
fn what_a_proven_miner_made_stays_in_question_until_an_audit_is_decided() {
    ExtBuilder.execute(|| {
        let proven = || Audits::proven(NET).contains(MINER);
        for (round, finding, is_proven, question) in [
            (0, None, false, Some(0)),
            (1, Some(YES), true, None),
            (2, None, true, Some(2)),
            (3, None, true, Some(2)),
            (4, Some(YES), true, None),
            (5, None, true, Some(5)),
            (6, Some(NO), false, Some(0)),
            (7, None, false, Some(0)),
            (8, Some(YES), true, None),
        ] {
            ends(round, finding);
            assert_eq!((proven(), asked(MINER)), (is_proven, question), "{round}");
        }
    });
}

/// Else at a low rate the pay of many rounds would wait for one audit, and be lost with it.
#[test]
fn whoever_waits_for_an_audit_that_is_decided_is_audited_whatever_the_rate() {
    ExtBuilder.execute(|| {
        let rules = AuditRules { rate: 1, ..RULES };
        let drawn = |round: Round| {
            settle_in(NET, round, rules, &[MINER], &VALIDATORS);
            let open = Audits::open_audits(NET).into_iter();
            open.map(|one| (one.round, one.is_new)).collect::<Vec<_>>()
        };
        ends(1, Some(YES));
        assert!(drawn(2).is_empty(), "one in 65,536");
        ends(3, None);
        for (round, finding) in [(4, None), (5, Some(YES))] {
            assert_eq!(drawn(round), [(round, false)], "it is no newcomer");
            goes_on(round, finding);
        }
        assert_eq!((drawn(6), asked(MINER)), (vec![], None));
    });
}

#[test]
fn what_nobody_decided_is_in_question_until_the_run_stops_and_of_no_successor() {
    ExtBuilder.execute(|| {
        for (round, finding) in [(1, Some(YES)), (2, None)] {
            ends(round, finding);
        }
        Audits::on_swapped(NET, MINER, &hotkey(MINER), &stranger());
        assert_eq!(asked(MINER), Some(2), "the member stays");
        let questions = Audits::on_stopped(NET).expect("it audits");
        assert_eq!(in_question(&questions, MINER), Some(2));
        ends(0, Some(YES));
        assert_eq!(asked(MINER), None, "another run");
        ends(1, None);
        Audits::on_left(NET, MINER, &hotkey(MINER));
        ends(2, Some(YES));
        assert_eq!(asked(MINER), None, "another member");
    });
}

/// Its own bond answers for what a member did that has left; its seat's next one has to do with neither end.
#[test]
fn an_audit_says_nothing_of_who_came_to_the_seat_since() {
    for (finding, outcome) in [(YES, AuditOutcome::Passed), (NO, AuditOutcome::Failed)] {
        ExtBuilder.audited(|| {
            World::came(MINER, System::block_number() + 1);
            said(&[finding; 3], 0);
            if finding == NO {
                settled(&[(auditors()[3], NO)]);
            }
            assert_eq!(Audits::outcome(NET, ROUND, MINER), Some(outcome));
            assert_eq!(asked(MINER), Some(0), "it has proven nothing itself");
            let forfeited = Followed::Forfeited(MINER);
            assert!(!World::followed().contains(&forfeited));
        });
    }
}

#[test]
fn whoever_has_proven_nothing_is_audited_whatever_the_rate() {
    ExtBuilder.execute(|| {
        let rules = AuditRules { rate: 1, ..RULES };
        let validators = [Uid(0), Uid(1), Uid(2)];
        settle_in(NET, ROUND, rules, &[Uid(10), Uid(11)], &validators);
        assert_eq!(Audits::open_count(NET), 2);
        let proven = Passed {
            newest: ROUND,
            proven: Verdicts::from_uids([Uid(10), Uid(11)]),
            ..Passed::default()
        };
        Passes::<Test>::insert(NET, proven);
        settle_in(NET, ROUND + 1, rules, &[Uid(10), Uid(11)], &validators);
        assert_eq!(Audits::open_count(NET), 2, "one in 65,536");
        Audits::on_left(NET, Uid(10), &hotkey(Uid(10)));
        settle_in(NET, ROUND + 2, rules, &[Uid(10), Uid(11)], &validators);
        assert_eq!(
            Audits::open_count(NET),
            3,
            "its successor has proven nothing"
        );
        Audits::on_stopped(NET);
        assert_eq!(Audits::questions(NET), None);
        assert_eq!(Audits::proven(NET), Verdicts::default());
    });
}

#[test]
fn a_block_ends_only_so_many_and_the_next_goes_on() {
    ExtBuilder.execute(|| {
        MaxEndsPerBlock::set(2);
        run_to(100);
        settle(&[Uid(10), Uid(11), Uid(12), Uid(13), Uid(14)]);
        run_to(104);
        type W = crate::weights::SubstrateWeight<Test>;
        let used = |ends: u64| W::on_initialize().saturating_add(W::end().saturating_mul(ends));
        assert_eq!(next_block(), used(2));
        assert_eq!(Audits::open_count(NET), 3);
        // Those that wait cannot be saved any more.
        for uid in 10..15 {
            assert!(Audits::open(by(Uid(uid)), NET, ROUND, Uid(uid), SERVED).is_err());
        }
        assert_eq!(
            (next_block(), next_block(), next_block()),
            (used(2), used(1), used(0))
        );
        assert_eq!(Counts::<Test>::iter().count(), 0);
    });
}
