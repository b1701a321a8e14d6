//! A subnet that is dissolved gives everything back, some of it at a time.

use crate::{mock::*, Error, Event};
use cairn_primitives::{
    traits::{Ledgers, OnMember},
    Netuid, Uid, CRN,
};
use frame_support::{assert_noop, assert_ok};

fn crowd() -> ExtBuilder {
    ExtBuilder::default()
        .stake(Netuid(1), ALICE_HOT, 2 * CRN)
        .delegate(CAROL, Netuid(1), ALICE_HOT, 3 * CRN)
        .delegate(CAROL, Netuid(1), BOB_HOT, 4 * CRN)
        .stake(Netuid(2), ALICE_HOT, 5 * CRN)
        .bond(Netuid(1), ALICE_HOT, 6 * CRN)
        .bond(Netuid(1), BOB_HOT, 7 * CRN)
        .bond(Netuid(2), BOB_HOT, 8 * CRN)
}

#[test]
fn everybody_gets_back_what_is_his() {
    crowd().build_and_execute(|| {
        assert_ok!(reward(Netuid(1), BOB_HOT, 1_000));
        let carol = RuntimeOrigin::signed(CAROL);
        assert_ok!(Stake::remove_stake(carol, Netuid(1), ALICE_HOT, Some(CRN)));
        assert_ok!(Stake::unbond(
            RuntimeOrigin::signed(BOB),
            Netuid(1),
            BOB_HOT
        ));
        events();
        // Four positions (BOB's is his take) and two bonds.
        assert_eq!(give_everything_back(Netuid(1), 100), 6);
        let has = Balances::free_balance;
        assert_eq!(has(ALICE), FUNDS - 5 * CRN);
        assert_eq!(has(BOB) + has(CAROL), 2 * FUNDS - 8 * CRN + 1_000);
        assert!(has(BOB).abs_diff(FUNDS - 8 * CRN + 179) <= 1);
        // On the other subnet everything is as it was.
        assert_eq!(
            (
                Stake::total_staked(),
                Stake::total_unbonding(),
                Stake::total_bonded()
            ),
            (5 * CRN, 0, 8 * CRN)
        );
        assert_eq!(events().len(), 6);
        assert_eq!(crate::SubnetStake::<Test>::iter().count(), 1);
        assert_eq!(crate::SubnetBonds::<Test>::iter().count(), 1);
    });
}

#[test]
fn a_little_at_a_time_is_the_same() {
    crowd().build_and_execute(|| {
        assert_eq!(give_everything_back(Netuid(1), 1), 5);
        let has = [ALICE, BOB, CAROL].map(Balances::free_balance);
        assert_eq!(has, [FUNDS - 5 * CRN, FUNDS - 8 * CRN, FUNDS]);
    });
}

#[test]
fn pools_that_were_slashed_to_nothing_go_too() {
    crowd().build_and_execute(|| {
        slash(Netuid(1), ALICE_HOT, u64::MAX);
        give_everything_back(Netuid(1), 3);
        assert_eq!(crate::StakePools::<Test>::iter_prefix(Netuid(1)).count(), 0);
        assert_eq!(crate::Positions::<Test>::iter_keys().count(), 1);
    });
}

#[test]
fn what_is_too_little_for_an_account_is_burned() {
    ExtBuilder::default()
        .delegate(CAROL, Netuid(1), ALICE_HOT, CRN)
        .build_and_execute(|| {
            let all = Balances::free_balance(CAROL);
            let carol = RuntimeOrigin::signed(CAROL);
            assert_ok!(Balances::transfer_allow_death(carol, DAVE, all));
            slash(Netuid(1), ALICE_HOT, CRN - 7);
            let before = burned();
            events();
            give_everything_back(Netuid(1), 10);
            assert_eq!(
                events(),
                [Event::ReturnBurned {
                    account: CAROL,
                    amount: 7
                }]
            );
            assert_eq!(burned(), before + 7);
            assert!(!System::account_exists(&CAROL));
        });
}

#[test]
fn nothing_new_begins_while_it_goes_on_but_money_gets_out() {
    crowd().build_and_execute(|| {
        let carol = || RuntimeOrigin::signed(CAROL);
        assert_ok!(Stake::remove_stake(
            carol(),
            Netuid(1),
            ALICE_HOT,
            Some(CRN)
        ));
        Seats::dissolve(Netuid(1));
        let dissolving = || Error::<Test>::SubnetDissolving;
        let alice = || RuntimeOrigin::signed(ALICE);
        assert_noop!(
            Stake::add_stake(carol(), Netuid(1), ALICE_HOT, CRN),
            dissolving()
        );
        assert_noop!(
            Stake::add_bond(alice(), Netuid(1), ALICE_HOT, CRN),
            dissolving()
        );
        assert_noop!(
            Stake::move_stake(carol(), Netuid(1), ALICE_HOT, Netuid(2), ALICE_HOT, None),
            dissolving()
        );
        assert_noop!(
            Stake::transfer_stake(carol(), DAVE, Netuid(1), ALICE_HOT, None),
            dissolving()
        );
        assert_ok!(Stake::remove_stake(carol(), Netuid(1), BOB_HOT, None));
        assert_ok!(Stake::unbond(alice(), Netuid(1), ALICE_HOT));
        System::set_block_number(1 + PERIOD);
        assert_ok!(Stake::withdraw_stake(carol(), Netuid(1), ALICE_HOT));
        assert_ok!(Stake::withdraw_stake(carol(), Netuid(1), BOB_HOT));
        assert_ok!(Stake::withdraw_bond(alice(), Netuid(1), ALICE_HOT));
        assert_eq!(Balances::free_balance(CAROL), FUNDS - 2 * CRN);
    });
}

#[test]
fn members_that_leave_afterwards_have_nothing_left_to_release() {
    crowd().build_and_execute(|| {
        give_everything_back(Netuid(1), 10);
        events();
        <Stake as OnMember<u64>>::on_left(Netuid(1), Uid(10), &ALICE_HOT);
        assert_eq!(events(), []);
    });
}
