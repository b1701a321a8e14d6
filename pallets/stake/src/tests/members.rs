//! What becomes of stake and bond when a hotkey loses its seat.

use crate::{mock::*, Bond, Event};
use cairn_primitives::{traits::Stakes, Netuid, CRN};
use frame_support::assert_ok;

#[test]
fn stake_stays_and_can_be_removed() {
    ExtBuilder::default()
        .stake(Netuid(1), ALICE_HOT, 5 * CRN)
        .build_and_execute(|| {
            Seats::leave(Netuid(1), ALICE_HOT);
            assert_eq!(events(), []);
            assert_eq!(
                <Stake as Stakes<u64>>::stake(Netuid(1), &ALICE_HOT),
                5 * CRN
            );
            let alice = || RuntimeOrigin::signed(ALICE);
            assert_ok!(Stake::remove_stake(alice(), Netuid(1), ALICE_HOT, None));
            System::set_block_number(1 + PERIOD);
            assert_ok!(Stake::withdraw_stake(alice(), Netuid(1), ALICE_HOT));
            assert_eq!(Balances::free_balance(ALICE), FUNDS);
        });
}

#[test]
fn the_bond_is_released_without_being_asked_for() {
    let builder = ExtBuilder::default()
        .bond(Netuid(1), ALICE_HOT, 5 * CRN)
        .bond(Netuid(2), ALICE_HOT, CRN);
    builder.build_and_execute(|| {
        Seats::leave(Netuid(1), ALICE_HOT);
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
        assert_eq!(<Stake as Stakes<u64>>::bond(Netuid(1), &ALICE_HOT), 0);
        assert_eq!(<Stake as Stakes<u64>>::bond(Netuid(2), &ALICE_HOT), CRN);
        System::set_block_number(release_at);
        assert_ok!(Stake::withdraw_bond(
            RuntimeOrigin::signed(ALICE),
            Netuid(1),
            ALICE_HOT
        ));
        assert_eq!(Balances::free_balance(ALICE), FUNDS - CRN);
    });
}

#[test]
fn a_bond_that_is_unbonding_already_keeps_its_release() {
    ExtBuilder::default()
        .bond(Netuid(1), ALICE_HOT, 5 * CRN)
        .build_and_execute(|| {
            assert_ok!(Stake::unbond(
                RuntimeOrigin::signed(ALICE),
                Netuid(1),
                ALICE_HOT
            ));
            System::set_block_number(50);
            events();
            Seats::leave(Netuid(1), ALICE_HOT);
            assert_eq!(events(), []);
            assert_eq!(Stake::bond_of(Netuid(1), &ALICE_HOT).release_at, 1 + PERIOD);
        });
}

#[test]
fn a_hotkey_that_comes_back_has_its_stake_but_not_its_bond() {
    let builder = ExtBuilder::default()
        .stake(Netuid(1), ALICE_HOT, 3 * CRN)
        .bond(Netuid(1), ALICE_HOT, 5 * CRN);
    builder.build_and_execute(|| {
        Seats::leave(Netuid(1), ALICE_HOT);
        Seats::sit(Netuid(1), ALICE, ALICE_HOT);
        assert_eq!(
            <Stake as Stakes<u64>>::stake(Netuid(1), &ALICE_HOT),
            3 * CRN
        );
        assert_eq!(
            Stake::bond_of(Netuid(1), &ALICE_HOT),
            Bond {
                active: 0,
                unbonding: 5 * CRN,
                release_at: 1 + PERIOD
            }
        );
    });
}
