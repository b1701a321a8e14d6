//! Emission only for work, and only to who did it.

use cairn_primitives::{traits::Dissolve, Balance, Netuid, Pots, Uid, CRN};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::DispatchError;

use crate::{mock::*, Bonds, Emitting, Error, Event, Issued, SubnetLedgers, TotalPots};

fn ledger() -> crate::SubnetLedger {
    SubnetLedgers::<Test>::get(Netuid(1)).unwrap()
}

fn paid() -> Balance {
    ledger().paid.total().unwrap()
}

#[test]
fn a_subnet_that_does_not_work_leaves_its_share_to_those_that_do() {
    ExtBuilder::default()
        .subnet(Netuid(1))
        .validator(Netuid(1), Uid(0), CRN)
        .subnet(Netuid(2))
        .validator(Netuid(2), Uid(0), 99 * CRN)
        .with(Netuid(2), |subnet| subnet.works = false)
        .build_and_execute(|| {
            run_to(2);
            assert_eq!(ledger().pots.total(), Some(REWARD));
            let idle = Emissions::emission(Netuid(2)).unwrap();
            assert_eq!((idle.share, idle.works, idle.emits), (0, false, true));
            // With nobody left that works, nothing is issued.
            World::change_subnet(Netuid(1), |subnet| subnet.works = false);
            let issued = Issued::<Test>::get();
            run_to(5);
            assert_eq!(
                (Issued::<Test>::get(), TotalPots::<Test>::get()),
                (issued, REWARD)
            );
        });
}

#[test]
fn only_runs_of_the_list_emit() {
    ExtBuilder::usual().build_and_execute(|| {
        let member = RuntimeOrigin::signed(owner(Netuid(1)));
        let refused = Emissions::set_emitting(member, Netuid(1), false);
        assert_noop!(refused, DispatchError::BadOrigin);
        let unknown = Emissions::set_emitting(RuntimeOrigin::root(), Netuid(9), true);
        assert_noop!(unknown, Error::<Test>::UnknownSubnet);

        System::reset_events();
        assert_ok!(Emissions::set_emitting(
            RuntimeOrigin::root(),
            Netuid(1),
            false
        ));
        let set = Event::EmittingSet {
            netuid: Netuid(1),
            emits: false,
        };
        assert_eq!(events(), [set]);
        run_to(5);
        assert_eq!(TotalPots::<Test>::get(), 0);
        assert_ok!(Emissions::set_emitting(
            RuntimeOrigin::root(),
            Netuid(1),
            true
        ));
        run_to(6);
        assert_eq!(TotalPots::<Test>::get(), REWARD);
        // On a chain that is not open, who is not on the list does not emit.
        crate::OpenToAll::<Test>::put(false);
        run_to(7);
        assert_eq!(TotalPots::<Test>::get(), 2 * REWARD);
        Emitting::<Test>::remove(Netuid(1));
        run_to(8);
        assert_eq!(TotalPots::<Test>::get(), 2 * REWARD);
        assert!(!Emissions::emission(Netuid(1)).unwrap().emits);
    });
}

#[test]
fn the_list_forgets_a_subnet_that_ends() {
    ExtBuilder::usual().build_and_execute(|| {
        assert_ok!(Emissions::set_emitting(
            RuntimeOrigin::root(),
            Netuid(1),
            true
        ));
        run_to(3);
        World::change_subnet(Netuid(1), |subnet| subnet.dissolving = true);
        <Emissions as Dissolve>::on_dissolving(Netuid(1));
        while <Emissions as Dissolve>::dissolve(Netuid(1), 1) == 1 {}
        assert_eq!(Emitting::<Test>::get(Netuid(1)), None);
    });
}

#[test]
fn who_was_not_included_has_no_incentive() {
    ExtBuilder::usual()
        .with(Netuid(1), |subnet| subnet.left_out = vec![Uid(3)])
        .build_and_execute(|| {
            vote(Netuid(1), Uid(0), &[(Uid(2), 1), (Uid(3), 9)]);
            vote(Netuid(1), Uid(1), &[(Uid(3), 1)]);
            run_to(12);
            let incentive = |uid| Emissions::member(Netuid(1), uid).incentive;
            assert_eq!((incentive(Uid(2)), incentive(Uid(3))), (65_535, 0));
            assert_eq!(Emissions::member(Netuid(1), Uid(3)).earned(), 0);
            World::change_subnet(Netuid(1), |subnet| assert_eq!(subnet.tempos, 1));
        });
}

#[test]
fn an_epoch_without_anybody_included_changes_no_shares() {
    ExtBuilder::usual().build_and_execute(|| {
        vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
        vote(Netuid(1), Uid(1), &[(Uid(2), 1)]);
        run_to(12);
        let before = (
            Emissions::member(Netuid(1), Uid(2)),
            Bonds::<Test>::get(Netuid(1), Uid(0)),
            paid(),
        );
        World::change_subnet(Netuid(1), |subnet| {
            subnet.left_out = vec![Uid(0), Uid(1), Uid(2), Uid(3)]
        });
        run_to(22);
        let nothing = Event::EpochRun {
            netuid: Netuid(1),
            owner: 0,
            miners: 0,
            validators: 0,
        };
        assert_eq!(events(), [nothing]);
        let after = (
            Emissions::member(Netuid(1), Uid(2)),
            Bonds::<Test>::get(Netuid(1), Uid(0)),
            paid(),
        );
        assert_eq!(after, before);
        assert_eq!(ledger().pots, Pots::of(REWARD * 10));
    });
}

#[test]
fn dividends_shrink_by_what_was_not_attested() {
    ExtBuilder::usual()
        .with(Netuid(1), |subnet| {
            subnet.attended = [(Uid(0), (64, 64)), (Uid(1), (16, 64))].into()
        })
        .build_and_execute(|| {
            vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
            vote(Netuid(1), Uid(1), &[(Uid(2), 1)]);
            run_to(12);
            let pot = Pots::of(REWARD * 11).validators;
            let whole = [pot / 10 * 6, pot / 10 * 4];
            let last = |uid| Emissions::member(Netuid(1), uid).last_as_validator;
            assert_eq!([last(Uid(0)), last(Uid(1))], [whole[0], whole[1] / 4]);
            let dividends = |uid| Emissions::member(Netuid(1), uid).dividends;
            assert_eq!([dividends(Uid(0)), dividends(Uid(1))], [39_320, 26_213 / 4]);
            // It stays in the pot, for all who attest.
            assert_eq!(ledger().pots.validators, pot - whole[0] - whole[1] / 4);
            World::change_subnet(Netuid(1), |subnet| {
                subnet.attended.insert(Uid(1), (0, 64));
            });
            run_to(22);
            assert_eq!(last(Uid(1)), 0);
            assert_eq!(Emissions::member(Netuid(1), Uid(1)).dividends, 0);
        });
}

#[test]
fn what_waited_for_the_first_scores_is_paid_bit_by_bit() {
    ExtBuilder::usual().build_and_execute(|| {
        run_to(32);
        let waits = Emissions::emission(Netuid(1)).unwrap();
        assert_eq!((waits.late, waits.late_epochs), (31 * REWARD, 3));
        let mut before = 0;
        for (epoch, late) in [(42, 2), (52, 1), (62, 0)] {
            run_to(epoch - 1);
            vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
            vote(Netuid(1), Uid(1), &[(Uid(2), 1)]);
            run_to(epoch);
            // Its own ten blocks, and a third of the 31 before.
            let got = paid() - before;
            let due = 10 * REWARD + 31 * REWARD / 3;
            assert!(got <= due + 3 && got + 3 >= due, "{got} of {due}");
            assert_eq!(Emissions::emission(Netuid(1)).unwrap().late_epochs, late);
            before = paid();
        }
        run_to(72);
        assert!((10 * REWARD).abs_diff(paid() - before) < 3);
    });
}

/// A subnet of one's own, in which a validator weighs one's second hotkey and nothing is trained.
#[test]
fn who_deals_with_itself_is_paid_nothing() {
    ExtBuilder::usual()
        .with(Netuid(1), |subnet| {
            subnet.works = false;
            subnet.left_out = vec![Uid(0), Uid(1), Uid(2), Uid(3)];
        })
        .build_and_execute(|| {
            vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
            run_to(42);
            assert_eq!((paid(), TotalPots::<Test>::get()), (0, 0));
        });
}

/// Validator 0 has 60 CRN and weighs miner 2, validator 1 has 40 and weighs miner 3. Whether an epoch gives each of
/// the miners something, if rounds count this of validator 0's stake.
fn given_with(counted: Option<Balance>) -> [bool; 2] {
    let mut given = [false; 2];
    ExtBuilder::usual().build_and_execute(|| {
        vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
        vote(Netuid(1), Uid(1), &[(Uid(3), 1)]);
        World::change_subnet(Netuid(1), |subnet| {
            subnet.counted = [(Uid(0), counted)].into();
        });
        run_to(12);
        given = [2, 3].map(|uid| Emissions::member(Netuid(1), Uid(uid)).incentive > 0);
    });
    given
}

#[test]
fn scores_weigh_as_much_stake_as_rounds_count() {
    assert_eq!(given_with(Some(60 * CRN)), [true, false]);
    assert_eq!(given_with(Some(20 * CRN)), [false, true]);
    assert_eq!(given_with(None), [false, true]);
}

#[test]
fn who_is_not_expected_leaves_its_seat_to_others_and_keeps_its_bonds_where_one_is_left() {
    for (seats, keeps) in [(1, false), (2, true)] {
        ExtBuilder::usual().build_and_execute(|| {
            for uid in [Uid(0), Uid(1)] {
                vote(Netuid(1), uid, &[(Uid(2), 1)]);
            }
            run_to(12);
            assert!(Bonds::<Test>::contains_key(Netuid(1), Uid(0)));
            World::change_subnet(Netuid(1), |subnet| {
                subnet.hyperparameters.max_validators = seats;
                subnet.counted = [(Uid(0), None)].into();
            });
            vote(Netuid(1), Uid(1), &[(Uid(3), 1)]);
            run_to(22);
            let given = [2, 3].map(|uid| Emissions::member(Netuid(1), Uid(uid)).incentive > 0);
            assert_eq!(given, [false, true], "only who is expected has a say");
            assert_eq!(Bonds::<Test>::contains_key(Netuid(1), Uid(0)), keeps);
        });
    }
}
