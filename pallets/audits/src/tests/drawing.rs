//! What is drawn when a round is settled, and what goes without a verdict.

use cairn_primitives::{
    traits::{Audits as _, Questions},
    AuditOutcome, AuditRules, Netuid, Uid, Verdicts,
};
use cairn_protocol::wages::Judged;
use frame_support::{assert_noop, dispatch::DispatchClass};

use crate::{mock::*, Agenda, Error, Event, OpenAudits, Outcomes, Passed, Passes, OPEN_ROUNDS};

const PROVEN: Judged = Judged {
    is_proven: true,
    undecided: None,
};

#[test]
fn what_is_drawn_is_open_with_three_auditors() {
    ExtBuilder.execute(|| {
        settle(&[Uid(10), Uid(11)]);
        let drawn = Event::Drawn {
            netuid: NET,
            round: ROUND,
            uids: vec![Uid(10), Uid(11)],
        };
        assert_eq!(events(), [drawn]);
        let audit = audit().expect("it is drawn");
        assert_eq!(
            (audit.hotkey.clone(), audit.due()),
            (hotkey(MINER), 1 + BLOCKS)
        );
        assert_eq!((audit.auditors.len(), audit.served), (3, None));
        assert_eq!(audit.longest, 20 * 100 + 2_048);
        assert_eq!(
            Audits::outcome(NET, ROUND, Uid(11)),
            Some(AuditOutcome::Open)
        );
        assert_eq!(Audits::outcome(NET, ROUND, Uid(12)), None);
    });
}

#[test]
fn where_cards_are_admitted_more_can_be_served() {
    ExtBuilder.execute(|| {
        let rules = AuditRules {
            tolerance: 1,
            ..RULES
        };
        settle_in(NET, ROUND, rules, &[MINER], &[Uid(0), Uid(1), Uid(2)]);
        let audit = audit().expect("it is drawn");
        assert_eq!(audit.longest, 32 * 100 + 2_048);
    });
}

#[test]
fn what_a_draw_costs_is_in_the_blocks_weight() {
    ExtBuilder.execute(|| {
        let used = || {
            System::block_weight()
                .get(DispatchClass::Mandatory)
                .ref_time()
        };
        let before = used();
        settle(&[Uid(10), Uid(11)]);
        use crate::WeightInfo;
        type W = crate::weights::SubstrateWeight<Test>;
        assert_eq!(used() - before, W::draw(6, 2).ref_time());
    });
}

#[test]
fn about_as_many_are_drawn_as_the_rate_says() {
    ExtBuilder.execute(|| {
        let rules = AuditRules {
            rate: AuditRules::EACH / 4,
            ..RULES
        };
        let mut drawn = 0;
        for netuid in 1..=50 {
            let proven = Passed {
                newest: 0,
                proven: Verdicts::from_uids((10..18).map(Uid)),
                ..Passed::default()
            };
            Passes::<Test>::insert(Netuid(netuid), proven);
            settle_in(
                Netuid(netuid),
                ROUND,
                rules,
                &[
                    Uid(10),
                    Uid(11),
                    Uid(12),
                    Uid(13),
                    Uid(14),
                    Uid(15),
                    Uid(16),
                    Uid(17),
                ],
                &[Uid(0)],
            );
            drawn += Audits::open_count(Netuid(netuid));
        }
        // Of 400 a quarter; five standard deviations are 43.
        assert!(drawn.abs_diff(100) < 43, "{drawn}");
    });
}

/// As many newcomers as there is room for, in round after round, leave none for others; the lot decides among equals.
#[test]
fn where_there_is_no_room_for_all_those_that_have_passed_come_first() {
    ExtBuilder.execute(|| {
        let all: Vec<Uid> = (10..18).map(Uid).collect();
        let (last, others) = all.split_last().expect("there are some");
        let (next, free) = (OPEN_ROUNDS, 5);
        for round in 1..next {
            settle_in(NET, round, RULES, &all, &[Uid(0)]);
        }
        settle_in(NET, 0, RULES, &all[..all.len() - free as usize], &[Uid(0)]);
        let passed = Passed {
            newest: next - 1,
            proven: Verdicts::from_uids([*last]),
            ..Passed::default()
        };
        Passes::<Test>::insert(NET, passed);
        settle_in(NET, next, RULES, &all, &[Uid(0)]);
        assert!(OpenAudits::<Test>::contains_key((NET, next, *last)));
        let of_others = others
            .iter()
            .filter(|uid| OpenAudits::<Test>::contains_key((NET, next, **uid)));
        assert_eq!(of_others.count() as u32, free - 1);
        // Auditors are told, so that they keep to the same order.
        let told = Audits::open_audits(NET).into_iter();
        let told: Vec<Uid> = told
            .filter(|audit| !audit.is_new)
            .map(|audit| audit.uid)
            .collect();
        assert_eq!(told, [*last]);
    });
}

#[test]
fn nobody_audits_what_its_own_coldkey_made() {
    ExtBuilder.execute(|| {
        for uid in [Uid(0), Uid(1), MINER] {
            World::owned(uid, stranger());
        }
        settle(&[MINER, Uid(11)]);
        let mut drawn = auditors();
        drawn.sort_unstable();
        assert_eq!(drawn, [Uid(2), Uid(3)], "there are no more");
        let other = OpenAudits::<Test>::get((NET, ROUND, Uid(11))).expect("it is drawn");
        assert_eq!(other.auditors.len(), 3);
    });
}

#[test]
fn where_nobody_can_audit_nothing_is_audited() {
    ExtBuilder.execute(|| {
        for uid in (0..4).map(Uid).chain([MINER]) {
            World::owned(uid, stranger());
        }
        settle(&[MINER]);
        assert_eq!((audit(), events()), (None, vec![]));
        assert_eq!(Audits::outcome(NET, ROUND, MINER), None);
    });
}

#[test]
fn no_more_are_open_than_a_few_rounds_include() {
    ExtBuilder.execute(|| {
        let most = OPEN_ROUNDS * 8;
        for round in 0..OPEN_ROUNDS + 2 {
            settle_in(
                NET,
                round,
                RULES,
                &[
                    Uid(10),
                    Uid(11),
                    Uid(12),
                    Uid(13),
                    Uid(14),
                    Uid(15),
                    Uid(16),
                    Uid(17),
                ],
                &[Uid(0), Uid(1), Uid(2)],
            );
        }
        assert_eq!(Audits::open_count(NET), most);
        assert_eq!(
            Outcomes::<Test>::iter_prefix(NET).count(),
            OPEN_ROUNDS as usize
        );
        settle_in(Netuid(2), 0, RULES, &[Uid(10)], &[Uid(0)]);
        assert_eq!(
            Audits::open_count(Netuid(2)),
            1,
            "others have room of their own"
        );
    });
}

#[test]
fn a_stopped_runs_audits_end_without_a_verdict() {
    ExtBuilder.audited(|| {
        Passes::<Test>::mutate_extant(NET, |passed| passed.note(Uid(12), PROVEN));
        let questions = Questions {
            newest: ROUND,
            proven: Verdicts::from_uids([Uid(12)]),
            open: [(MINER, ROUND)].into(),
        };
        assert_eq!(Audits::on_stopped(NET), Some(questions.clone()));
        assert_eq!(World::followed(), [Followed::Stopped(questions)]);
        assert_eq!(Audits::on_stopped(NET), None, "it is asked once");
        let gone = Error::<Test>::NoAudit;
        assert_noop!(open(), gone);
        assert!(Audits::open_audits(NET).is_empty());
        // One that is due before it is cleared has no consequences.
        run_to(100 + BLOCKS);
        assert_eq!((audit(), World::followed()), (None, vec![]));
        assert_eq!(
            Audits::outcome(NET, ROUND, MINER),
            Some(AuditOutcome::Undecided)
        );
        assert_eq!(Audits::clear(NET, 10), 0);
        settle_in(NET, ROUND + 1, RULES, &[MINER], &[Uid(0)]);
        assert_eq!(Audits::open_audits(NET).len(), 1, "another run");
    });
}

#[test]
fn what_a_stopped_run_left_is_removed_in_parts() {
    ExtBuilder.execute(|| {
        settle(&[Uid(10), Uid(11), Uid(12), Uid(13), Uid(14)]);
        settle_in(Netuid(2), ROUND, RULES, &[Uid(10)], &[Uid(0)]);
        Audits::on_stopped(NET);
        assert_eq!(Audits::clear(NET, 6), 6);
        assert_eq!(Audits::open_count(NET), 3);
        assert_eq!(Audits::clear(NET, 7), 9, "whole audits");
        assert_eq!(Audits::clear(NET, 6), 0);
        assert_eq!(Agenda::<Test>::iter_keys().count(), 1, "the other subnet's");
        assert_eq!(
            (Audits::forget(NET, ROUND), Audits::forget(NET, ROUND)),
            (1, 0)
        );
        assert_eq!(Outcomes::<Test>::iter_prefix(NET).count(), 0);
    });
}

/// An outcome of which the round went before it ended is not kept.
#[test]
fn what_is_forgotten_stays_forgotten() {
    ExtBuilder.audited(|| {
        assert_eq!(Audits::forget(NET, ROUND), 1);
        run_to(100 + BLOCKS);
        assert_eq!(Audits::outcome(NET, ROUND, MINER), None);
        assert_eq!(audit(), None);
    });
}
