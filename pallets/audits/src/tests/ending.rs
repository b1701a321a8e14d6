//! How audits end, and what follows.

use cairn_primitives::{AuditOutcome, Finding, Uid};
use frame_support::assert_ok;

use crate::{mock::*, Agenda, Counts, Event, WeightInfo};

const YES: Finding = Finding::Passed;
const NO: Finding = Finding::Failed;

/// Goes through an audit in which its first auditors find this, and the next ones commit and keep quiet. Ends in the
/// block that ends it.
fn found(findings: &[Finding], quiet: usize) -> Vec<Uid> {
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
    assert!(audit().is_none());
    auditors
}

fn ended(outcome: AuditOutcome, slashed: u64) {
    let event = Event::Ended {
        netuid: NET,
        round: ROUND,
        uid: MINER,
        outcome,
        slashed,
    };
    assert_eq!(events(), [event]);
    assert_eq!(Audits::outcome(NET, ROUND, MINER), Some(outcome));
    assert_eq!(Counts::<Test>::iter().count(), 0);
    assert_eq!(Agenda::<Test>::iter_keys().count(), 0);
}

#[test]
fn who_serves_nothing_loses_its_bond_and_nobody_earns_by_it() {
    ExtBuilder.audited(|| {
        run_to(100 + BLOCKS - 1);
        assert!(audit().is_some());
        next_block();
        let slashed = Followed::Slashed(hotkey(MINER), vec![]);
        assert_eq!(World::followed(), [slashed, Followed::False(MINER)]);
        ended(AuditOutcome::Silent, BOND);
    });
}

#[test]
fn honest_work_passes_and_nothing_follows() {
    ExtBuilder.audited(|| {
        found(&[YES, YES, NO], 0);
        assert_eq!(World::followed(), []);
        ended(AuditOutcome::Passed, 0);
    });
}

#[test]
fn false_work_costs_the_bond_for_those_who_said_so() {
    ExtBuilder.audited(|| {
        World::owned(auditors()[0], stranger());
        let auditors = found(&[NO, YES, NO], 0);
        let told = vec![stranger(), hotkey(auditors[2])];
        let slashed = Followed::Slashed(hotkey(MINER), told);
        assert_eq!(World::followed(), [slashed, Followed::False(MINER)]);
        ended(AuditOutcome::Failed, BOND);
    });
}

#[test]
fn one_that_reveals_decides_and_the_others_missed_it() {
    ExtBuilder.audited(|| {
        // One commits and reveals nothing, one does nothing.
        let auditors = found(&[NO], 1);
        let told = vec![hotkey(auditors[0])];
        let expected = [
            Followed::Slashed(hotkey(MINER), told),
            Followed::False(MINER),
            Followed::Missed(auditors[1]),
            Followed::Missed(auditors[2]),
        ];
        assert_eq!(World::followed(), expected);
        ended(AuditOutcome::Failed, BOND);
    });
}

#[test]
fn a_tie_or_nobody_decides_nothing() {
    ExtBuilder.audited(|| {
        let auditors = found(&[NO, YES], 0);
        assert_eq!(World::followed(), [Followed::Missed(auditors[2])]);
        ended(AuditOutcome::Undecided, 0);
    });
    ExtBuilder.audited(|| {
        let auditors = found(&[], 2);
        let missed: Vec<_> = auditors.into_iter().map(Followed::Missed).collect();
        assert_eq!(World::followed(), missed);
        ended(AuditOutcome::Undecided, 0);
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
