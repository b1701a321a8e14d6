//! Rules change with notice.

use crate::{mock::*, Error, Event, RulesOf};
use cairn_primitives::{traits::Membership, BlockNumber, Hyperparameters, Netuid, CRN};
use frame_support::{assert_noop, assert_ok, traits::Hooks};
use sp_runtime::{DispatchError, DispatchResult};

/// The rules of the subnet below.
fn old() -> Hyperparameters {
    Hyperparameters {
        tempo: 20,
        activity_cutoff: 40,
        unbonding_period: 100,
        min_registration_price: CRN,
        ..Hyperparameters::default()
    }
}

/// A subnet with a member.
fn joined() -> ExtBuilder {
    let builder = ExtBuilder::default().subnet_with(|h| *h = old());
    builder.member(Netuid(1), ALICE, 20)
}

fn set(change: impl FnOnce(&mut Hyperparameters)) -> DispatchResult {
    let mut rules = Subnets::rules(Netuid(1)).unwrap();
    change(&mut rules);
    Subnets::set_hyperparameters(RuntimeOrigin::signed(OWNER), Netuid(1), rules)
}

fn withdraw(who: AccountId) -> DispatchResult {
    Subnets::withdraw_hyperparameters(RuntimeOrigin::signed(who), Netuid(1))
}

/// What holds, as everybody asks for it.
fn unbonding() -> BlockNumber {
    let rules = <Subnets as Membership<u64>>::hyperparameters(Netuid(1));
    rules.unwrap().unbonding_period
}

#[test]
fn what_the_owner_sets_holds_when_everybody_can_have_left() {
    joined().build_and_execute(|| {
        assert_ok!(set(|h| h.unbonding_period = 7_000));
        assert_eq!(
            events(),
            [Event::HyperparametersAnnounced {
                netuid: Netuid(1),
                from: 101
            }]
        );
        let announced = Subnets::announced_rules(Netuid(1)).unwrap();
        assert_eq!(
            (announced.from, announced.rules.unbonding_period),
            (101, 7_000)
        );
        System::set_block_number(100);
        assert_eq!(unbonding(), 100);
        assert!(<Subnets as Membership<u64>>::announced(Netuid(1)).is_some());
        System::set_block_number(101);
        assert_eq!(unbonding(), 7_000);
        assert_eq!(<Subnets as Membership<u64>>::announced(Netuid(1)), None);
        // A way back has to be announced for as long as the rules of then say.
        assert_ok!(set(|h| h.unbonding_period = 100));
        assert_eq!(
            Subnets::announced_rules(Netuid(1)).unwrap().from,
            101 + 7_000
        );
        assert_eq!(unbonding(), 7_000);
    });
}

#[test]
fn what_is_asked_of_members_at_most_doubles_in_an_announcement() {
    joined().build_and_execute(|| {
        let (stake, bond) = (5 * CRN, 3 * CRN);
        let mut asking = old();
        (asking.min_validator_stake, asking.min_miner_bond) = (stake, bond);
        assert_ok!(Subnets::put_in_force(Netuid(1), asking));
        let too_much = Error::<Test>::RaisedTooMuch;
        assert_noop!(set(|h| h.min_validator_stake = 2 * stake + 1), too_much);
        let too_much = Error::<Test>::RaisedTooMuch;
        assert_noop!(set(|h| h.min_miner_bond = 2 * bond + 1), too_much);
        assert_ok!(set(|h| {
            h.min_validator_stake = 2 * stake;
            h.min_miner_bond = 2 * bond;
        }));
    });
}

#[test]
fn two_tempos_are_the_least_notice() {
    let builder = ExtBuilder::default()
        .subnet_with(|h| (h.tempo, h.activity_cutoff, h.unbonding_period) = (90, 10, 100));
    builder.member(Netuid(1), ALICE, 20).build_and_execute(|| {
        assert_ok!(set(|h| h.tempo = 5));
        assert_eq!(Subnets::announced_rules(Netuid(1)).unwrap().from, 181);
    });
}

#[test]
fn nobody_has_to_be_told_where_nobody_ever_was() {
    let builder = ExtBuilder::default().subnet_with(|h| *h = old());
    builder.build_and_execute(|| {
        assert_ok!(set(|h| h.unbonding_period = 200));
        assert_eq!(events(), [Event::HyperparametersSet { netuid: Netuid(1) }]);
        assert_eq!(unbonding(), 200);
        // Who left may still have stake there.
        assert_ok!(register(ALICE, Netuid(1), 20, u64::MAX));
        assert_ok!(Subnets::leave(RuntimeOrigin::signed(ALICE), Netuid(1), 20));
        assert_ok!(set(|h| h.unbonding_period = 300));
        assert_eq!(unbonding(), 200);
    });
}

#[test]
fn the_owner_may_think_better_of_it() {
    joined().build_and_execute(|| {
        assert_noop!(withdraw(OWNER), Error::<Test>::NothingAnnounced);
        assert_ok!(set(|h| h.unbonding_period = 7_000));
        assert_noop!(withdraw(ALICE), Error::<Test>::NotSubnetOwner);
        assert_noop!(
            Subnets::withdraw_hyperparameters(RuntimeOrigin::none(), Netuid(1)),
            DispatchError::BadOrigin
        );
        assert_noop!(
            Subnets::withdraw_hyperparameters(RuntimeOrigin::signed(OWNER), Netuid(2)),
            Error::<Test>::UnknownSubnet
        );
        events();
        assert_ok!(withdraw(OWNER));
        assert_eq!(
            events(),
            [Event::HyperparametersWithdrawn { netuid: Netuid(1) }]
        );
        System::set_block_number(500);
        assert_eq!(unbonding(), 100);
        // What holds already cannot be taken back.
        assert_ok!(set(|h| h.unbonding_period = 7_000));
        System::set_block_number(600);
        assert_eq!(unbonding(), 7_000);
        assert_noop!(withdraw(OWNER), Error::<Test>::NothingAnnounced);
    });
}

#[test]
fn a_later_notice_takes_the_place_of_an_earlier_one() {
    joined().build_and_execute(|| {
        assert_ok!(set(|h| h.unbonding_period = 7_000));
        System::set_block_number(60);
        assert_ok!(set(|h| h.tempo = 25));
        System::set_block_number(101);
        assert_eq!(unbonding(), 100);
        System::set_block_number(160);
        assert_eq!(
            (unbonding(), Subnets::rules(Netuid(1)).unwrap().tempo),
            (100, 25)
        );
    });
}

#[test]
fn root_sets_them_at_once_whatever_was_announced() {
    joined().build_and_execute(|| {
        assert_ok!(set(|h| h.unbonding_period = 7_000));
        let rules = Hyperparameters {
            unbonding_period: 150,
            ..old()
        };
        assert_ok!(Subnets::set_hyperparameters(
            RuntimeOrigin::root(),
            Netuid(1),
            rules
        ));
        assert_eq!(
            (unbonding(), Subnets::announced_rules(Netuid(1))),
            (150, None)
        );
        System::set_block_number(500);
        assert_eq!(unbonding(), 150);
    });
}

#[test]
fn weights_stay_hidden_during_a_run() {
    joined().build_and_execute(|| {
        HasRun::set(true);
        assert_noop!(
            set(|h| h.commit_reveal = false),
            Error::<Test>::RunNeedsCommitReveal
        );
        assert_ok!(set(|h| h.kappa = 40_000));
        HasRun::set(false);
        assert_ok!(set(|h| h.commit_reveal = false));
        System::set_block_number(101);
        // Where they are shown, nothing is uncovered.
        HasRun::set(true);
        assert_ok!(set(|h| h.kappa = 41_000));
    });
}

#[test]
fn a_seat_sold_under_new_rules_has_their_price_and_raises_it_by_their_factor() {
    joined().build_and_execute(|| {
        System::set_block_number(3_601);
        assert_eq!(Subnets::price(Netuid(1)), Some(CRN));
        assert_ok!(set(|h| {
            h.min_registration_price = 8 * CRN;
            h.registration_half_life = 10;
        }));
        System::set_block_number(3_700);
        assert_eq!(Subnets::price(Netuid(1)), Some(CRN));
        System::set_block_number(3_701);
        assert_eq!(Subnets::price(Netuid(1)), Some(8 * CRN));
        assert_ok!(register(BOB, Netuid(1), 30, 8 * CRN));
        let raised = 8 * CRN / 100 * 126;
        assert_eq!(Subnets::price(Netuid(1)), Some(raised));
        assert_eq!(RulesOf::<Test>::get(Netuid(1)).unwrap().announced, None);
        System::set_block_number(3_702);
        let later = Subnets::price(Netuid(1)).unwrap();
        assert!(later < raised && later > raised / 10 * 9, "{later}");
    });
}

#[test]
fn the_price_falls_by_the_old_half_life_until_the_new_one_holds() {
    let builder = ExtBuilder::default().subnet_with(|h| {
        *h = old();
        h.max_registration_price = 1_000 * CRN;
        h.registration_half_life = 100;
        h.registration_price_factor = cairn_primitives::Nano(8_000_000_000);
    });
    builder.member(Netuid(1), ALICE, 20).build_and_execute(|| {
        assert_eq!(Subnets::price(Netuid(1)), Some(8 * CRN));
        assert_ok!(set(|h| h.registration_half_life = 10));
        System::set_block_number(101);
        assert_eq!(Subnets::price(Netuid(1)), Some(4 * CRN));
        System::set_block_number(111);
        assert_eq!(Subnets::price(Netuid(1)), Some(2 * CRN));
        // Writing down what holds moves no price.
        assert_ok!(set(|h| h.tempo = 21));
        assert_eq!(Subnets::price(Netuid(1)), Some(2 * CRN));
    });
}

#[test]
fn a_dissolution_waits_by_the_rules_that_hold_and_nothing_changes_after_it() {
    joined().build_and_execute(|| {
        assert_ok!(set(|h| h.unbonding_period = 7_000));
        System::set_block_number(50);
        assert_ok!(Subnets::dissolve_subnet(
            RuntimeOrigin::signed(OWNER),
            Netuid(1)
        ));
        assert_eq!(Subnets::dissolves_from(Netuid(1)), Some(150));
        assert_noop!(withdraw(OWNER), Error::<Test>::SubnetDissolving);
        System::set_block_number(120);
        assert_eq!(unbonding(), 100);
        System::set_block_number(150);
        Subnets::on_initialize(150);
        assert_eq!(Subnets::subnet(Netuid(1)), None);
    });
}
