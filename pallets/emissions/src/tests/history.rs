//! What is remembered of past epochs.

use cairn_primitives::{
    api::{MemberEpoch, SubnetEpoch},
    traits::OnMember,
    EpochIndex, Netuid, Pots, Uid, HISTORY_EPOCHS,
};

use crate::{mock::*, MemberHistory, SubnetHistory};

/// The block of an epoch of the usual subnet.
fn block(epoch: EpochIndex) -> u64 {
    12 + 10 * u64::from(epoch)
}

fn subnet_epochs(from: EpochIndex, limit: u32) -> (Vec<EpochIndex>, Option<EpochIndex>) {
    let page = Emissions::subnet_history(Netuid(1), from, limit).unwrap();
    (
        page.epochs.iter().map(|entry| entry.epoch).collect(),
        page.next,
    )
}

fn member_epochs(uid: Uid) -> Vec<MemberEpoch> {
    Emissions::member_history(Netuid(1), uid, 0, 64)
        .unwrap()
        .epochs
}

#[test]
fn an_epoch_is_remembered_as_it_was() {
    ExtBuilder::usual().build_and_execute(|| {
        vote(Netuid(1), Uid(0), &[(Uid(2), 3), (Uid(3), 1)]);
        run_to(block(0));
        let pots = Pots::of(11 * REWARD);
        let expected = SubnetEpoch {
            epoch: 0,
            block: 12,
            pots,
            paid: pots,
            members: 4,
            validators: 2,
            voters: 1,
        };
        assert_eq!(
            Emissions::subnet_history(Netuid(1), 0, 64).unwrap().epochs,
            [expected]
        );
        let expected = MemberEpoch {
            epoch: 0,
            block: 12,
            incentive: 49_151,
            dividends: 0,
            as_miner: 1_691_250_000,
            as_validator: 0,
        };
        assert_eq!(member_epochs(Uid(2)), [expected]);
        let validator = &member_epochs(Uid(0))[0];
        assert_eq!(
            (validator.dividends, validator.as_validator),
            (65_535, pots.validators)
        );
        // The other validator had no share in it.
        assert_eq!(member_epochs(Uid(1)), []);
    });
}

#[test]
fn histories_add_up_to_the_totals() {
    ExtBuilder::usual().build_and_execute(|| {
        vote(Netuid(1), Uid(0), &[(Uid(2), 3), (Uid(3), 1)]);
        run_to(block(9));
        let paid: u64 = member_epochs(Uid(2))
            .iter()
            .map(|epoch| epoch.as_miner)
            .sum();
        assert_eq!(paid, Emissions::member(Netuid(1), Uid(2)).earned_as_miner);
        let page = Emissions::subnet_history(Netuid(1), 0, 64).unwrap().epochs;
        let sum = page.iter().fold(Pots::default(), |sum, epoch| {
            sum.checked_add(&epoch.paid).unwrap()
        });
        assert_eq!(sum, Emissions::emission(Netuid(1)).unwrap().paid_to);
    });
}

#[test]
fn the_last_64_epochs_are_kept() {
    ExtBuilder::usual().build_and_execute(|| {
        vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
        run_to(block(HISTORY_EPOCHS + 4));
        let (epochs, next) = subnet_epochs(0, 64);
        assert_eq!(epochs, (5..69).collect::<Vec<_>>());
        assert_eq!(next, None);
        assert_eq!(member_epochs(Uid(2)).len(), 64);
        let kept = SubnetHistory::<Test>::iter_prefix(Netuid(1)).count();
        assert_eq!(kept, HISTORY_EPOCHS as usize);
        assert_eq!(
            MemberHistory::<Test>::iter_prefix((Netuid(1), Uid(2))).count(),
            kept
        );
    });
}

#[test]
fn an_epoch_that_gave_a_member_nothing_shows_nothing_older() {
    ExtBuilder::usual().build_and_execute(|| {
        vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
        run_to(block(0));
        vote(Netuid(1), Uid(0), &[(Uid(3), 1)]);
        run_to(block(HISTORY_EPOCHS));
        assert_eq!(member_epochs(Uid(2)), []);
        assert_eq!(member_epochs(Uid(3)).len(), 64);
    });
}

#[test]
fn pages_follow_each_other() {
    ExtBuilder::usual().build_and_execute(|| {
        run_to(block(4));
        assert_eq!(subnet_epochs(0, 2), (vec![0, 1], Some(2)));
        assert_eq!(subnet_epochs(2, 2), (vec![2, 3], Some(4)));
        assert_eq!(subnet_epochs(4, 2), (vec![4], None));
        assert_eq!(subnet_epochs(5, 2), (vec![], None));
        assert_eq!(subnet_epochs(u32::MAX, u32::MAX), (vec![], None));
        assert_eq!(subnet_epochs(0, 0), (vec![0], Some(1)), "at least one");
        assert_eq!(Emissions::subnet_history(Netuid(9), 0, 64), None);
        assert_eq!(Emissions::member_history(Netuid(1), Uid(9), 0, 64), None);
    });
}

#[test]
fn who_comes_has_no_history_and_what_the_hotkey_earned_stays() {
    ExtBuilder::usual().build_and_execute(|| {
        vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
        run_to(block(1));
        let earned = Emissions::earned(Netuid(1), &hotkey(Netuid(1), Uid(2)));
        World::change_subnet(Netuid(1), |subnet| {
            subnet.members.insert(Uid(2), (888, 22));
        });
        <Emissions as OnMember<AccountId>>::on_left(Netuid(1), Uid(2), &hotkey(Netuid(1), Uid(2)));
        assert_eq!(member_epochs(Uid(2)), []);
        assert_eq!(Emissions::member(Netuid(1), Uid(2)).earned(), 0);
        assert_eq!(
            Emissions::earned(Netuid(1), &hotkey(Netuid(1), Uid(2))),
            earned
        );
        run_to(block(1) + 1);
        vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
        run_to(block(2));
        let epochs: Vec<_> = member_epochs(Uid(2))
            .iter()
            .map(|epoch| epoch.epoch)
            .collect();
        assert_eq!(epochs, [2]);
    });
}
