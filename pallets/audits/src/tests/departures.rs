//! Miners that leave while they are audited can still be heard, until their audit ends.

use cairn_primitives::{traits::OnMember, Finding, Netuid, Uid};
use frame_support::assert_ok;

use crate::{mock::*, Counts, MOST_ROUNDS};

fn held() -> u32 {
    System::sufficients(&hotkey(MINER))
}

#[test]
fn who_leaves_is_heard_until_its_audit_ends() {
    ExtBuilder.audited(|| {
        Audits::on_left(NET, MINER, &hotkey(MINER));
        assert_eq!(held(), 1);
        assert_ok!(open());
        run_to(100 + BLOCKS);
        let first = auditors()[0];
        assert_ok!(commit(first, Finding::Passed));
        run_to(100 + 2 * BLOCKS);
        assert_ok!(reveal(first, Finding::Passed));
        assert_eq!(held(), 1);
        run_to(100 + 3 * BLOCKS);
        assert_eq!(held(), 0);
    });
}

#[test]
fn of_two_audits_each_holds_it_and_holds_it_once() {
    ExtBuilder.audited(|| {
        settle_in(NET, ROUND + 1, RULES, &[MINER, Uid(11)], &[Uid(0), Uid(1)]);
        settle_in(Netuid(2), ROUND, RULES, &[MINER], &[Uid(0), Uid(1)]);
        Audits::on_swapped(NET, MINER, &hotkey(MINER), &stranger());
        assert_eq!(held(), 2);
        // Whoever took over the uid has nothing to do with it.
        Audits::on_left(NET, MINER, &stranger());
        assert_eq!((held(), System::sufficients(&stranger())), (2, 0));
        run_to(100 + BLOCKS);
        assert_eq!(held(), 0);
    });
}

#[test]
fn a_stopped_run_lets_it_go() {
    use cairn_primitives::traits::Audits as _;
    ExtBuilder.audited(|| {
        Audits::on_left(NET, MINER, &hotkey(MINER));
        Audits::on_stopped(NET);
        Audits::clear(NET, 9);
        assert_eq!((held(), Counts::<Test>::iter().count()), (0, 0));
    });
}

#[test]
fn audits_of_so_many_rounds_are_open_at_most() {
    ExtBuilder.execute(|| {
        for round in 0..MOST_ROUNDS + 2 {
            settle_in(NET, round, RULES, &[MINER], &[Uid(0), Uid(1)]);
        }
        assert_eq!(Audits::open_count(NET), MOST_ROUNDS);
    });
}
