//! A coldkey may refuse others' stake on its hotkey.

use crate::{mock::*, Error, Event};
use cairn_primitives::{traits::Stakes, Netuid, CRN};
use frame_support::{assert_noop, assert_ok, dispatch::DispatchResult};

fn allow(who: AccountId, allowed: bool) -> DispatchResult {
    Stake::set_foreign_stake(RuntimeOrigin::signed(who), ALICE_HOT, allowed)
}

fn add(who: AccountId, amount: u64) -> DispatchResult {
    Stake::add_stake(RuntimeOrigin::signed(who), Netuid(1), ALICE_HOT, amount)
}

fn on_alice() -> u64 {
    <Stake as Stakes<AccountId>>::stake(Netuid(1), &ALICE_HOT)
}

#[test]
fn who_refuses_is_staked_on_by_nobody_else() {
    ExtBuilder::default().build_and_execute(|| {
        assert!(Stake::takes_foreign_stake(&ALICE_HOT));
        assert_ok!(allow(ALICE, false));
        assert_eq!(
            events(),
            [Event::ForeignStakeSet {
                hotkey: ALICE_HOT,
                allowed: false
            }]
        );
        assert!(!Stake::takes_foreign_stake(&ALICE_HOT));
        assert_noop!(add(CAROL, CRN), Error::<Test>::ForeignStakeRefused);
        assert_ok!(add(ALICE, CRN));
        assert_eq!(on_alice(), CRN);
        assert_ok!(allow(ALICE, true));
        assert_ok!(add(CAROL, CRN));
    });
}

#[test]
fn only_its_coldkey_says_so() {
    ExtBuilder::default().build_and_execute(|| {
        for who in [BOB, ALICE_HOT] {
            assert_noop!(allow(who, false), Error::<Test>::NotHotkeysColdkey);
        }
        let unknown = Stake::set_foreign_stake(RuntimeOrigin::signed(ALICE), 99, false);
        assert_noop!(unknown, Error::<Test>::UnknownHotkey);
    });
}

#[test]
fn stake_that_is_there_stays_and_can_go() {
    let builder = ExtBuilder::default().delegate(CAROL, Netuid(1), ALICE_HOT, 5 * CRN);
    builder.build_and_execute(|| {
        assert_ok!(allow(ALICE, false));
        assert_eq!(on_alice(), 5 * CRN);
        let carol = || RuntimeOrigin::signed(CAROL);
        // It changes hands, which makes it no more.
        assert_ok!(Stake::transfer_stake(
            carol(),
            DAVE,
            Netuid(1),
            ALICE_HOT,
            Some(CRN)
        ));
        assert_ok!(Stake::remove_stake(carol(), Netuid(1), ALICE_HOT, None));
        assert_eq!(on_alice(), CRN);
    });
}

#[test]
fn stake_on_its_way_there_goes_to_the_account() {
    let builder = ExtBuilder::default().delegate(CAROL, Netuid(1), BOB_HOT, 5 * CRN);
    builder.build_and_execute(|| {
        let carol = || RuntimeOrigin::signed(CAROL);
        let go = |amount| {
            Stake::move_stake(
                carol(),
                Netuid(1),
                BOB_HOT,
                Netuid(1),
                ALICE_HOT,
                Some(amount),
            )
        };
        assert_ok!(go(2 * CRN));
        assert_ok!(allow(ALICE, false));
        assert_noop!(go(CRN), Error::<Test>::ForeignStakeRefused);
        let before = Balances::free_balance(CAROL);
        System::set_block_number(1 + PERIOD);
        assert_ok!(Stake::withdraw_stake(carol(), Netuid(1), BOB_HOT));
        assert_eq!(Balances::free_balance(CAROL), before + 2 * CRN);
        assert_eq!(on_alice(), 0);
    });
}
