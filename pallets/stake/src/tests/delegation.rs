//! Anybody stakes on anybody's hotkey.

use crate::{mock::*, Error};
use cairn_primitives::{traits::Stakes, Netuid, CRN};
use frame_support::{assert_noop, assert_ok};

#[test]
fn the_stakes_of_all_backers_count_together() {
    let builder = ExtBuilder::default().stake(Netuid(1), ALICE_HOT, CRN);
    builder
        .delegate(CAROL, Netuid(1), ALICE_HOT, 2 * CRN)
        .delegate(BOB, Netuid(1), ALICE_HOT, 4 * CRN)
        .build_and_execute(|| {
            assert_eq!(
                <Stake as Stakes<u64>>::stake(Netuid(1), &ALICE_HOT),
                7 * CRN
            );
            let positions = [ALICE, CAROL, BOB].map(|who| staked(who, Netuid(1), ALICE_HOT));
            assert_eq!(positions, [CRN, 2 * CRN, 4 * CRN]);
        });
}

#[test]
fn nobody_takes_what_another_staked() {
    ExtBuilder::default()
        .delegate(CAROL, Netuid(1), ALICE_HOT, 2 * CRN)
        .build_and_execute(|| {
            for who in [ALICE, BOB, ALICE_HOT] {
                let origin = || RuntimeOrigin::signed(who);
                for amount in [Some(CRN), None] {
                    assert_noop!(
                        Stake::remove_stake(origin(), Netuid(1), ALICE_HOT, amount),
                        Error::<Test>::NotEnoughStake
                    );
                    assert_noop!(
                        Stake::transfer_stake(origin(), DAVE, Netuid(1), ALICE_HOT, amount),
                        Error::<Test>::NotEnoughStake
                    );
                    assert_noop!(
                        Stake::move_stake(
                            origin(),
                            Netuid(1),
                            ALICE_HOT,
                            Netuid(1),
                            BOB_HOT,
                            amount
                        ),
                        Error::<Test>::NotEnoughStake
                    );
                }
            }
            assert_ok!(Stake::remove_stake(
                RuntimeOrigin::signed(CAROL),
                Netuid(1),
                ALICE_HOT,
                None
            ));
            System::set_block_number(1 + PERIOD);
            assert_noop!(
                Stake::withdraw_stake(RuntimeOrigin::signed(ALICE), Netuid(1), ALICE_HOT),
                Error::<Test>::NoStakeUnbonding
            );
        });
}

#[test]
fn stake_goes_only_where_somebody_sits() {
    ExtBuilder::default().build_and_execute(|| {
        let add =
            |netuid, hotkey| Stake::add_stake(RuntimeOrigin::signed(CAROL), netuid, hotkey, CRN);
        assert_noop!(add(Netuid(3), ALICE_HOT), Error::<Test>::UnknownSubnet);
        assert_noop!(add(Netuid(1), 99), Error::<Test>::NotMember);
        Seats::leave(Netuid(1), ALICE_HOT);
        assert_noop!(add(Netuid(1), ALICE_HOT), Error::<Test>::NotMember);
        assert_ok!(add(Netuid(2), ALICE_HOT));
    });
}
