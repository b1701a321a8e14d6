use crate::{mock::*, Bond, Error, Event};
use cairn_primitives::{
    traits::{Ledgers, OnMember, Stakes},
    Netuid, Uid, CRN,
};
use frame_support::{assert_noop, assert_ok, dispatch::DispatchResult};
use sp_runtime::TokenError;

fn add(amount: u64) -> DispatchResult {
    Stake::add_bond(RuntimeOrigin::signed(ALICE), Netuid(1), ALICE_HOT, amount)
}

fn unbond() -> DispatchResult {
    Stake::unbond(RuntimeOrigin::signed(ALICE), Netuid(1), ALICE_HOT)
}

fn withdraw() -> DispatchResult {
    Stake::withdraw_bond(RuntimeOrigin::signed(ALICE), Netuid(1), ALICE_HOT)
}

fn counting() -> u64 {
    <Stake as Stakes<u64>>::bond(Netuid(1), &ALICE_HOT)
}

#[test]
fn a_bond_leaves_the_account_and_counts() {
    ExtBuilder::default()
        .bond(Netuid(1), BOB_HOT, 2 * CRN)
        .build_and_execute(|| {
            assert_ok!(add(5 * CRN));
            assert_eq!(
                events(),
                [Event::BondAdded {
                    netuid: Netuid(1),
                    hotkey: ALICE_HOT,
                    amount: 5 * CRN
                }]
            );
            assert_eq!(Balances::free_balance(ALICE), FUNDS - 5 * CRN);
            assert_eq!(counting(), 5 * CRN);
            assert_eq!(
                (
                    Stake::subnet_bonds(Netuid(1)),
                    Stake::subnet_bonds(Netuid(2))
                ),
                (7 * CRN, 0)
            );
            assert_eq!((Stake::total_staked(), Stake::total_bonded()), (0, 7 * CRN));
        });
}

#[test]
fn an_unbonding_bond_stops_counting_at_once_and_stays_locked() {
    ExtBuilder::default()
        .bond(Netuid(1), ALICE_HOT, 5 * CRN)
        .build_and_execute(|| {
            assert_ok!(unbond());
            let release_at = 1 + PERIOD;
            assert_eq!(
                events(),
                [Event::Unbonding {
                    netuid: Netuid(1),
                    hotkey: ALICE_HOT,
                    amount: 5 * CRN,
                    release_at
                }]
            );
            assert_eq!((counting(), Stake::subnet_bonds(Netuid(1))), (0, 0));
            assert_eq!(
                Stake::bond_of(Netuid(1), &ALICE_HOT),
                Bond {
                    active: 0,
                    unbonding: 5 * CRN,
                    release_at
                }
            );
            assert_eq!(Stake::total_bonded(), 5 * CRN);
            assert_eq!(Balances::free_balance(ALICE), FUNDS - 5 * CRN);
            System::set_block_number(release_at - 1);
            assert_noop!(withdraw(), Error::<Test>::BondLocked);
            System::set_block_number(release_at);
            assert_ok!(withdraw());
            assert_eq!(
                events(),
                [Event::BondWithdrawn {
                    netuid: Netuid(1),
                    hotkey: ALICE_HOT,
                    amount: 5 * CRN
                }]
            );
            assert_eq!(Balances::free_balance(ALICE), FUNDS);
            assert_eq!(Stake::total_bonded(), 0);
            assert!(!crate::Bonds::<Test>::contains_key(Netuid(1), ALICE_HOT));
        });
}

#[test]
fn a_bond_added_meanwhile_counts_and_is_not_withdrawn() {
    ExtBuilder::default()
        .bond(Netuid(1), ALICE_HOT, 5 * CRN)
        .build_and_execute(|| {
            assert_ok!(unbond());
            assert_ok!(add(2 * CRN));
            assert_eq!(counting(), 2 * CRN);
            System::set_block_number(1 + PERIOD);
            assert_ok!(withdraw());
            assert_eq!(
                Stake::bond_of(Netuid(1), &ALICE_HOT),
                Bond {
                    active: 2 * CRN,
                    unbonding: 0,
                    release_at: 0
                }
            );
            assert_eq!(Stake::total_bonded(), 2 * CRN);
        });
}

#[test]
fn what_is_asked_back_twice_is_released_together_at_the_later_block() {
    ExtBuilder::default()
        .bond(Netuid(1), ALICE_HOT, 5 * CRN)
        .build_and_execute(|| {
            assert_ok!(unbond());
            System::set_block_number(11);
            assert_ok!(add(2 * CRN));
            assert_ok!(unbond());
            let expected = Bond {
                active: 0,
                unbonding: 7 * CRN,
                release_at: 11 + PERIOD,
            };
            assert_eq!(Stake::bond_of(Netuid(1), &ALICE_HOT), expected);
            // A shorter period does not release what was locked for longer.
            Seats::set_unbonding_period(1);
            assert_ok!(add(CRN));
            assert_ok!(unbond());
            assert_eq!(
                Stake::bond_of(Netuid(1), &ALICE_HOT),
                Bond {
                    unbonding: 8 * CRN,
                    ..expected
                }
            );
            System::set_block_number(10 + PERIOD);
            assert_noop!(withdraw(), Error::<Test>::BondLocked);
            System::set_block_number(11 + PERIOD);
            assert_ok!(withdraw());
            assert_eq!(Balances::free_balance(ALICE), FUNDS);
        });
}

#[test]
fn a_longer_period_does_not_lock_what_was_asked_back_before() {
    ExtBuilder::default()
        .bond(Netuid(1), ALICE_HOT, 5 * CRN)
        .build_and_execute(|| {
            assert_ok!(unbond());
            Seats::set_unbonding_period(1_000_000);
            System::set_block_number(1 + PERIOD);
            assert_ok!(withdraw());
        });
}

#[test]
fn what_is_not_there_is_neither_asked_back_nor_withdrawn() {
    ExtBuilder::default()
        .bond(Netuid(2), ALICE_HOT, 5 * CRN)
        .build_and_execute(|| {
            assert_noop!(unbond(), Error::<Test>::NothingBonded);
            assert_noop!(withdraw(), Error::<Test>::NothingUnbonding);
            assert_ok!(add(CRN));
            assert_noop!(withdraw(), Error::<Test>::NothingUnbonding);
            assert_ok!(unbond());
            assert_noop!(unbond(), Error::<Test>::NothingBonded);
        });
}

#[test]
fn a_bond_has_a_minimum_and_leaves_the_existential_deposit() {
    ExtBuilder::default().build_and_execute(|| {
        assert_noop!(add(0), Error::<Test>::AmountIsZero);
        assert_noop!(add(MINIMUM - 1), Error::<Test>::AmountTooSmall);
        assert_noop!(
            add(FUNDS - EXISTENTIAL_DEPOSIT + 1),
            TokenError::FundsUnavailable
        );
        assert_ok!(add(FUNDS - EXISTENTIAL_DEPOSIT));
    });
}

#[test]
fn an_account_that_is_gone_comes_back_with_its_bond() {
    ExtBuilder::default()
        .bond(Netuid(1), ALICE_HOT, MINIMUM)
        .build_and_execute(|| {
            assert_ok!(unbond());
            System::set_block_number(1 + PERIOD);
            let all = Balances::free_balance(ALICE);
            assert_ok!(Balances::transfer_allow_death(
                RuntimeOrigin::signed(ALICE),
                BOB,
                all
            ));
            assert_ok!(withdraw());
            assert_eq!(Balances::free_balance(ALICE), MINIMUM);
        });
}

/// It answers for what the old hotkey signed, and the new one has to bond anew.
#[test]
fn a_bond_stays_with_the_hotkey_that_was_changed_for_another_and_is_on_its_way_back() {
    let builder = ExtBuilder::default().bond(Netuid(1), ALICE_HOT, 2 * CRN);
    builder.build_and_execute(|| {
        let swapped = <Stake as OnMember<u64>>::on_swapped;
        swapped(Netuid(1), Uid(ALICE_HOT as u16), &ALICE_HOT, &ALICE_HOT_2);
        assert_eq!(counting(), 0);
        let bond = Stake::bond_of(Netuid(1), &ALICE_HOT);
        assert_eq!((bond.unbonding, bond.release_at), (2 * CRN, 1 + PERIOD));
        assert_eq!(Stake::bond_of(Netuid(1), &ALICE_HOT_2), Bond::default());
    });
}
