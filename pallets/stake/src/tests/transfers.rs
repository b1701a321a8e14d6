//! Stake that changes hands where it is.

use crate::{mock::*, Error, Event};
use cairn_primitives::{traits::Stakes, Netuid, CRN};
use frame_support::{assert_noop, assert_ok, dispatch::DispatchResult};

fn give(to: u64, amount: impl Into<Option<u64>>) -> DispatchResult {
    Stake::transfer_stake(
        RuntimeOrigin::signed(CAROL),
        to,
        Netuid(1),
        ALICE_HOT,
        amount.into(),
    )
}

fn with_stake(test: impl FnOnce()) {
    ExtBuilder::default()
        .delegate(CAROL, Netuid(1), ALICE_HOT, 5 * CRN)
        .build_and_execute(test);
}

#[test]
fn it_goes_on_to_count() {
    with_stake(|| {
        assert_ok!(give(DAVE, 2 * CRN));
        assert_eq!(
            events(),
            [Event::StakeTransferred {
                from: CAROL,
                to: DAVE,
                netuid: Netuid(1),
                hotkey: ALICE_HOT,
                amount: 2 * CRN
            }]
        );
        assert_eq!(
            <Stake as Stakes<u64>>::stake(Netuid(1), &ALICE_HOT),
            5 * CRN
        );
        assert_eq!(staked(CAROL, Netuid(1), ALICE_HOT), 3 * CRN);
        assert_eq!(staked(DAVE, Netuid(1), ALICE_HOT), 2 * CRN);
        assert_ok!(give(DAVE, None));
        assert_eq!(staked(DAVE, Netuid(1), ALICE_HOT), 5 * CRN);
        assert_eq!(crate::Positions::<Test>::iter_keys().count(), 1);
    });
}

#[test]
fn what_waits_stays_with_who_asked_for_it() {
    with_stake(|| {
        let origin = RuntimeOrigin::signed(CAROL);
        assert_ok!(Stake::remove_stake(origin, Netuid(1), ALICE_HOT, Some(CRN)));
        assert_ok!(give(DAVE, None));
        assert_eq!(waiting(CAROL, Netuid(1), ALICE_HOT), [(CRN, 1 + PERIOD)]);
        assert_eq!(waiting(DAVE, Netuid(1), ALICE_HOT), []);
    });
}

#[test]
fn bad_transfers_change_nothing() {
    with_stake(|| {
        assert_noop!(give(CAROL, CRN), Error::<Test>::SameColdkey);
        assert_noop!(give(DAVE, 0), Error::<Test>::AmountIsZero);
        assert_noop!(give(DAVE, MINIMUM - 1), Error::<Test>::AmountTooSmall);
        assert_noop!(give(DAVE, 5 * CRN + 1), Error::<Test>::NotEnoughStake);
        assert_noop!(give(DAVE, u64::MAX), Error::<Test>::NotEnoughStake);
        assert_noop!(give(DAVE, 5 * CRN - 1), Error::<Test>::RemainderTooSmall);
        let elsewhere = |netuid| {
            Stake::transfer_stake(RuntimeOrigin::signed(CAROL), DAVE, netuid, ALICE_HOT, None)
        };
        assert_noop!(elsewhere(Netuid(2)), Error::<Test>::NotEnoughStake);
        assert_noop!(elsewhere(Netuid(3)), Error::<Test>::UnknownSubnet);
        Seats::dissolve(Netuid(1));
        assert_noop!(give(DAVE, CRN), Error::<Test>::SubnetDissolving);
    });
}
