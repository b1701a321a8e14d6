//! What happens to what is kept by uid when members come and go.

use cairn_primitives::{
    traits::{Incentives, OnMember},
    Netuid, Uid,
};

use crate::{mock::*, Bonds, MemberRecords, Votes};

/// The usual subnet after an epoch.
fn after_an_epoch(test: impl FnOnce()) {
    ExtBuilder::usual().build_and_execute(|| {
        vote(Netuid(1), Uid(0), &[(Uid(1), 1), (Uid(2), 1)]);
        run_to(12);
        test();
    });
}

fn leave(uid: Uid) {
    World::change_subnet(Netuid(1), |subnet| {
        subnet.members.remove(&uid);
    });
    <Emissions as OnMember<AccountId>>::on_left(Netuid(1), uid, &hotkey(Netuid(1), uid));
}

#[test]
fn incentive_and_last_payout_can_be_asked() {
    after_an_epoch(|| {
        assert_eq!(Emissions::incentive(Netuid(1), Uid(2)), 32_767);
        assert_eq!(
            Emissions::last_paid(Netuid(1), Uid(2)),
            Emissions::member(Netuid(1), Uid(2)).earned()
        );
        assert_eq!(
            (
                Emissions::incentive(Netuid(1), Uid(9)),
                Emissions::last_paid(Netuid(9), Uid(0))
            ),
            (0, 0)
        );
    });
}

#[test]
fn who_leaves_takes_scores_bonds_and_record_along() {
    after_an_epoch(|| {
        leave(Uid(0));
        assert_eq!(Votes::<Test>::get(Netuid(1), Uid(0)), None);
        assert!(Bonds::<Test>::get(Netuid(1), Uid(0)).is_empty());
        assert_eq!(MemberRecords::<Test>::get(Netuid(1), Uid(0)), None);
        // The epoch after it finds nobody's vote.
        run_to(22);
        assert_eq!(Emissions::incentive(Netuid(1), Uid(2)), 0);
    });
}

#[test]
fn what_a_hotkey_earned_is_remembered() {
    after_an_epoch(|| {
        let earned = Emissions::earned(Netuid(1), &hotkey(Netuid(1), Uid(2)));
        assert!(earned > 0);
        leave(Uid(2));
        assert_eq!(Emissions::member(Netuid(1), Uid(2)), Default::default());
        assert_eq!(
            Emissions::earned(Netuid(1), &hotkey(Netuid(1), Uid(2))),
            earned
        );
    });
}

#[test]
fn scores_on_who_left_pay_nobody() {
    after_an_epoch(|| {
        leave(Uid(2));
        run_to(22);
        // All of the score is on the one that stayed.
        assert_eq!(Emissions::incentive(Netuid(1), Uid(1)), 65_535);
        let uids: Vec<Uid> = Bonds::<Test>::get(Netuid(1), Uid(0))
            .iter()
            .map(|bond| bond.0)
            .collect();
        assert_eq!(uids, [Uid(1)]);
    });
}

#[test]
fn who_comes_begins_with_nothing() {
    after_an_epoch(|| {
        leave(Uid(2));
        World::change_subnet(Netuid(1), |subnet| {
            subnet.members.insert(Uid(2), (888, 12));
        });
        <Emissions as OnMember<AccountId>>::on_joined(Netuid(1), Uid(2), &888);
        assert_eq!(Emissions::member(Netuid(1), Uid(2)), Default::default());
        run_to(22);
        assert_eq!(Emissions::incentive(Netuid(1), Uid(2)), 0);
        assert_eq!(Emissions::earned(Netuid(1), &888), 0);
    });
}

#[test]
fn who_changes_its_hotkey_keeps_what_is_kept_by_uid_and_what_it_earned() {
    after_an_epoch(|| {
        let (old, new) = (hotkey(Netuid(1), Uid(2)), 888);
        let (record, earned) = (
            Emissions::member(Netuid(1), Uid(2)),
            Emissions::earned(Netuid(1), &old),
        );
        assert!(earned > 0);
        World::change_subnet(Netuid(1), |subnet| {
            subnet.members.insert(Uid(2), (new, 0));
        });
        <Emissions as OnMember<AccountId>>::on_swapped(Netuid(1), Uid(2), &old, &new);
        assert_eq!(Emissions::member(Netuid(1), Uid(2)), record);
        assert_eq!(
            (
                Emissions::earned(Netuid(1), &old),
                Emissions::earned(Netuid(1), &new)
            ),
            (0, earned)
        );
    });
}
