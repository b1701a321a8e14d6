//! What happens to what is kept by uid when members come and go.

use cairn_primitives::traits::{Incentives, OnMember};

use crate::{mock::*, Bonds, MemberRecords, Votes};

/// The usual subnet after an epoch.
fn after_an_epoch(test: impl FnOnce()) {
    ExtBuilder::usual().build_and_execute(|| {
        vote(1, 0, &[(1, 1), (2, 1)]);
        run_to(12);
        test();
    });
}

fn leave(uid: u16) {
    World::change_subnet(1, |subnet| {
        subnet.members.remove(&uid);
    });
    <Emissions as OnMember<AccountId>>::on_left(1, uid, &hotkey(1, uid));
}

#[test]
fn incentive_and_last_payout_can_be_asked() {
    after_an_epoch(|| {
        assert_eq!(Emissions::incentive(1, 2), 32_767);
        assert_eq!(Emissions::last_paid(1, 2), Emissions::member(1, 2).earned());
        assert_eq!(
            (Emissions::incentive(1, 9), Emissions::last_paid(9, 0)),
            (0, 0)
        );
    });
}

#[test]
fn who_leaves_takes_scores_bonds_and_record_along() {
    after_an_epoch(|| {
        leave(0);
        assert_eq!(Votes::<Test>::get(1, 0), None);
        assert!(Bonds::<Test>::get(1, 0).is_empty());
        assert_eq!(MemberRecords::<Test>::get(1, 0), None);
        // The epoch after it finds nobody's vote.
        run_to(22);
        assert_eq!(Emissions::incentive(1, 2), 0);
    });
}

#[test]
fn what_a_hotkey_earned_is_remembered() {
    after_an_epoch(|| {
        let earned = Emissions::earned(1, &hotkey(1, 2));
        assert!(earned > 0);
        leave(2);
        assert_eq!(Emissions::member(1, 2), Default::default());
        assert_eq!(Emissions::earned(1, &hotkey(1, 2)), earned);
    });
}

#[test]
fn scores_on_who_left_pay_nobody() {
    after_an_epoch(|| {
        leave(2);
        run_to(22);
        // All of the score is on the one that stayed.
        assert_eq!(Emissions::incentive(1, 1), 65_535);
        let uids: Vec<u16> = Bonds::<Test>::get(1, 0).iter().map(|bond| bond.0).collect();
        assert_eq!(uids, [1]);
    });
}

#[test]
fn who_comes_begins_with_nothing() {
    after_an_epoch(|| {
        leave(2);
        World::change_subnet(1, |subnet| {
            subnet.members.insert(2, (888, 12));
        });
        <Emissions as OnMember<AccountId>>::on_joined(1, 2, &888);
        assert_eq!(Emissions::member(1, 2), Default::default());
        run_to(22);
        assert_eq!(Emissions::incentive(1, 2), 0);
        assert_eq!(Emissions::earned(1, &888), 0);
    });
}

#[test]
fn who_changes_its_hotkey_keeps_what_is_kept_by_uid_and_what_it_earned() {
    after_an_epoch(|| {
        let (old, new) = (hotkey(1, 2), 888);
        let (record, earned) = (Emissions::member(1, 2), Emissions::earned(1, &old));
        assert!(earned > 0);
        World::change_subnet(1, |subnet| {
            subnet.members.insert(2, (new, 0));
        });
        <Emissions as OnMember<AccountId>>::on_swapped(1, 2, &old, &new);
        assert_eq!(Emissions::member(1, 2), record);
        assert_eq!(
            (Emissions::earned(1, &old), Emissions::earned(1, &new)),
            (0, earned)
        );
    });
}
