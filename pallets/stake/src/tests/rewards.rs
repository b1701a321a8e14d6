//! Dividends: the take first, the rest to all in proportion.

use crate::{mock::*, Error, Event};
use cairn_primitives::{
    traits::{Ledgers, Stakes},
    Netuid, CRN,
};
use frame_support::{assert_noop, assert_ok};

#[test]
fn a_dividend_touches_no_account_and_raises_every_stake() {
    let builder = ExtBuilder::default().delegate(CAROL, Netuid(1), ALICE_HOT, 3 * CRN);
    builder
        .delegate(DAVE, Netuid(1), ALICE_HOT, CRN)
        .build_and_execute(|| {
            let alice = RuntimeOrigin::signed(ALICE);
            assert_ok!(Stake::set_take(alice, ALICE_HOT, 0));
            let issuance = Balances::total_issuance();
            events();
            assert_ok!(reward(Netuid(1), ALICE_HOT, 400));
            assert_eq!(events(), []);
            assert_eq!(staked(CAROL, Netuid(1), ALICE_HOT), 3 * CRN + 300);
            assert_eq!(staked(DAVE, Netuid(1), ALICE_HOT), CRN + 100);
            assert_eq!(
                <Stake as Stakes<u64>>::stake(Netuid(1), &ALICE_HOT),
                4 * CRN + 400
            );
            assert_eq!(
                <Stake as Stakes<u64>>::subnet_stake(Netuid(1)),
                4 * CRN + 400
            );
            assert_eq!(Stake::total_staked(), 4 * CRN + 400);
            assert_eq!(Balances::total_issuance(), issuance);
        });
}

#[test]
fn the_take_becomes_stake_of_the_hotkeys_coldkey() {
    ExtBuilder::default()
        .delegate(CAROL, Netuid(1), ALICE_HOT, 4 * CRN)
        .build_and_execute(|| {
            assert_ok!(reward(Netuid(1), ALICE_HOT, 65_535));
            assert_eq!(
                events(),
                [Event::TakePaid {
                    coldkey: ALICE,
                    netuid: Netuid(1),
                    hotkey: ALICE_HOT,
                    amount: MAX_TAKE.into()
                }]
            );
            // Rounded down: a share is not quite a whole number of pebble.
            assert_eq!(staked(ALICE, Netuid(1), ALICE_HOT), u64::from(MAX_TAKE) - 1);
            assert_eq!(
                staked(CAROL, Netuid(1), ALICE_HOT),
                4 * CRN + 65_535 - u64::from(MAX_TAKE)
            );
        });
}

#[test]
fn the_coldkey_earns_with_its_own_stake_like_anybody() {
    let builder = ExtBuilder::default().stake(Netuid(1), ALICE_HOT, CRN);
    builder
        .delegate(CAROL, Netuid(1), ALICE_HOT, CRN)
        .build_and_execute(|| {
            assert_ok!(reward(Netuid(1), ALICE_HOT, CRN));
            let take = CRN * u64::from(MAX_TAKE) / 65_535;
            let half = (CRN - take) / 2;
            assert!(staked(ALICE, Netuid(1), ALICE_HOT).abs_diff(CRN + half + take) <= 1);
            assert!(staked(CAROL, Netuid(1), ALICE_HOT).abs_diff(CRN + half) <= 1);
        });
}

#[test]
fn without_any_stake_all_goes_to_the_coldkey() {
    ExtBuilder::default().build_and_execute(|| {
        Seats::leave(Netuid(1), ALICE_HOT);
        assert_ok!(reward(Netuid(1), ALICE_HOT, 7));
        assert_eq!(staked(ALICE, Netuid(1), ALICE_HOT), 7);
    });
}

#[test]
fn a_dividend_of_nothing_leaves_no_trace() {
    ExtBuilder::default().build_and_execute(|| {
        assert_ok!(reward(Netuid(1), ALICE_HOT, 0));
        assert!(!crate::StakePools::<Test>::contains_key(
            Netuid(1),
            ALICE_HOT
        ));
    });
}

#[test]
fn nobody_could_take_back_what_a_stranger_was_rewarded() {
    ExtBuilder::default().build_and_execute(|| {
        assert_noop!(reward(Netuid(1), 99, 7), Error::<Test>::UnknownHotkey);
    });
}

#[test]
fn an_overflow_is_an_error_that_changes_nothing() {
    ExtBuilder::default()
        .stake(Netuid(1), ALICE_HOT, CRN)
        .build_and_execute(|| {
            for hotkey in [ALICE_HOT, BOB_HOT] {
                let before = sp_io::storage::root(sp_runtime::StateVersion::V1);
                let outcome = frame_support::storage::with_storage_layer(|| {
                    reward(Netuid(1), hotkey, u64::MAX)
                });
                assert!(outcome.is_err());
                assert_eq!(sp_io::storage::root(sp_runtime::StateVersion::V1), before);
            }
        });
}

/// A take that is less than one share costs goes to all.
#[test]
fn a_take_too_small_for_a_share_is_shared() {
    ExtBuilder::default()
        .delegate(CAROL, Netuid(1), ALICE_HOT, MINIMUM)
        .build_and_execute(|| {
            // A share costs more than a pebble now: 2²⁰ of them were made for each.
            assert_ok!(reward(Netuid(1), ALICE_HOT, MINIMUM << 24));
            let before = crate::StakePools::<Test>::get(Netuid(1), ALICE_HOT);
            events();
            assert_ok!(reward(Netuid(1), ALICE_HOT, 6));
            assert_eq!(events(), []);
            let after = crate::StakePools::<Test>::get(Netuid(1), ALICE_HOT);
            assert_eq!(after.shares(), before.shares());
            assert_eq!(after.value(), before.value() + 6);
        });
}
