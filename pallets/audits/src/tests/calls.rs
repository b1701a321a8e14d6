//! What miners and auditors may say, and when.

use cairn_primitives::{Finding, Served, Uid, H256};
use frame_support::{assert_noop, assert_ok};

use crate::{mock::*, Error, Event, Said};

#[test]
fn a_miner_serves_in_time_and_once() {
    ExtBuilder.audited(|| {
        run_to(100 + BLOCKS - 1);
        assert_ok!(open());
        let opened = Event::Opened {
            netuid: NET,
            round: ROUND,
            uid: MINER,
            served: SERVED,
        };
        assert_eq!(events(), [opened]);
        assert_noop!(open(), Error::<Test>::AlreadyOpened);
        assert_eq!(audit().expect("it goes on").due(), 100 + 3 * BLOCKS);
    });
}

#[test]
fn only_the_miner_serves_and_only_what_can_be() {
    ExtBuilder.audited(|| {
        let serve = |uid, served| Audits::open(by(uid), NET, ROUND, MINER, served);
        assert_noop!(serve(Uid(0), SERVED), Error::<Test>::NotTheMiner);
        let of = |root, length| Served { root, length };
        assert_noop!(serve(MINER, of(H256::zero(), 5)), Error::<Test>::ZeroHash);
        assert_noop!(serve(MINER, of(SERVED.root, 0)), Error::<Test>::EmptyBlob);
        let most = audit().expect("it is open").longest;
        assert_noop!(
            serve(MINER, of(SERVED.root, most + 1)),
            Error::<Test>::BlobTooLong
        );
        assert_ok!(serve(MINER, of(SERVED.root, most)));
        let none = Audits::open(by(MINER), NET, ROUND + 1, MINER, SERVED);
        assert_noop!(none, Error::<Test>::NoAudit);
    });
}

#[test]
fn auditors_commit_and_reveal_in_their_stages() {
    ExtBuilder.audited(|| {
        let found = Finding::Passed;
        let first = auditors()[0];
        assert_noop!(commit(first, found), Error::<Test>::TooEarly);
        assert_ok!(open());
        run_to(100 + BLOCKS);
        assert_noop!(reveal(first, found), Error::<Test>::TooEarly);
        assert_ok!(commit(first, found));
        assert_noop!(commit(first, found), Error::<Test>::AlreadyCommitted);
        run_to(100 + 2 * BLOCKS);
        assert_noop!(commit(auditors()[1], found), Error::<Test>::TooLate);
        assert_noop!(reveal(auditors()[1], found), Error::<Test>::NotCommitted);
        assert_noop!(
            reveal(first, Finding::Failed),
            Error::<Test>::NotAsCommitted
        );
        assert_ok!(reveal(first, found));
        let revealed = Event::VerdictRevealed {
            netuid: NET,
            round: ROUND,
            uid: MINER,
            auditor: first,
            finding: found,
        };
        assert_eq!(events().pop(), Some(revealed));
        assert_noop!(reveal(first, found), Error::<Test>::AlreadyRevealed);
        let said = audit().expect("it is open").auditors[0].said;
        assert_eq!(said, Some(Said::Revealed(found)));
    });
}

#[test]
fn only_who_was_drawn_audits() {
    ExtBuilder.audited(|| {
        assert_ok!(open());
        run_to(100 + BLOCKS);
        let other = (0..4)
            .map(Uid)
            .find(|uid| !auditors().contains(uid))
            .expect("of four");
        for uid in [other, MINER, Uid(77)] {
            assert_noop!(commit(uid, Finding::Passed), Error::<Test>::NotAnAuditor);
        }
    });
}

/// A copied commitment opens nothing for the copier.
#[test]
fn a_copied_verdict_is_worth_nothing() {
    ExtBuilder.audited(|| {
        assert_ok!(open());
        run_to(100 + BLOCKS);
        let (first, second) = (auditors()[0], auditors()[1]);
        let copied = hash(first, Finding::Failed);
        assert_ok!(Audits::commit_verdict(
            by(second),
            NET,
            ROUND,
            MINER,
            copied
        ));
        run_to(100 + 2 * BLOCKS);
        let reveal =
            Audits::reveal_verdict(by(second), NET, ROUND, MINER, Finding::Failed, salt(first));
        assert_noop!(reveal, Error::<Test>::NotAsCommitted);
    });
}

#[test]
fn an_open_audit_is_told_with_what_was_said() {
    ExtBuilder.audited(|| {
        let told = || Audits::open_audits(NET).remove(0);
        let until = |audit: &cairn_primitives::api::AuditInfo<_>| {
            (audit.opens_until, audit.commits_until, audit.reveals_until)
        };
        assert_eq!(until(&told()), (105, 110, 115));
        assert_eq!(
            (told().round, told().uid, told().served),
            (ROUND, MINER, None)
        );
        assert_ok!(open());
        assert_eq!(told().served, Some(SERVED));
        run_to(105);
        let first = auditors()[0];
        assert_ok!(commit(first, Finding::Failed));
        let said = |audit: cairn_primitives::api::AuditInfo<_>| {
            let one = audit.auditors[0].clone();
            (one.uid, one.committed, one.found)
        };
        let hash = hash(first, Finding::Failed);
        assert_eq!(said(told()), (first, Some(hash), None));
        run_to(110);
        assert_ok!(reveal(first, Finding::Failed));
        assert_eq!(said(told()), (first, None, Some(Finding::Failed)));
        // All validators are asked, those first that have said it.
        run_to(115);
        assert_eq!(until(&told()), (115, 120, 125));
        assert!(told().is_disputed && told().auditors.len() == 4);
        assert_eq!(said(told()), (first, None, Some(Finding::Failed)));
        run_to(125);
        assert!(Audits::open_audits(NET).is_empty());
    });
}
