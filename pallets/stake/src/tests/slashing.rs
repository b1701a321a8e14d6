//! Punishment: from the bond first, then from all who stake, also from those who are leaving.

use crate::{mock::*, Bond, Event, WeightInfo, SWEPT_PER_BLOCK};
use cairn_primitives::{
    traits::{Ledgers, Slashing, Stakes},
    Netuid, CRN,
};
use frame_support::{assert_ok, traits::Hooks, weights::Weight};

#[test]
fn the_bond_pays_the_reporter_and_the_rest_is_burned() {
    let builder = ExtBuilder::default().bond(Netuid(1), ALICE_HOT, 5 * CRN);
    builder
        .stake(Netuid(1), ALICE_HOT, CRN)
        .build_and_execute(|| {
            assert_eq!(slash(Netuid(1), ALICE_HOT, 2 * CRN), 2 * CRN);
            let rewarded = CRN / 5;
            assert_eq!(
                events(),
                [Event::Slashed {
                    netuid: Netuid(1),
                    hotkey: ALICE_HOT,
                    bond: 2 * CRN,
                    stake: 0,
                    rewarded
                }]
            );
            assert_eq!(Balances::free_balance(DAVE), FUNDS + rewarded);
            assert_eq!(burned(), 2 * CRN - rewarded);
            assert_eq!(Stake::bond_of(Netuid(1), &ALICE_HOT).active, 3 * CRN);
            assert_eq!(Stake::subnet_bonds(Netuid(1)), 3 * CRN);
            assert_eq!(Stake::total_bonded(), 3 * CRN);
            assert_eq!(<Stake as Stakes<u64>>::stake(Netuid(1), &ALICE_HOT), CRN);
        });
}

#[test]
fn a_bond_that_is_being_withdrawn_pays_too() {
    ExtBuilder::default()
        .bond(Netuid(1), ALICE_HOT, 5 * CRN)
        .build_and_execute(|| {
            let alice = || RuntimeOrigin::signed(ALICE);
            assert_ok!(Stake::unbond(alice(), Netuid(1), ALICE_HOT));
            assert_ok!(Stake::add_bond(alice(), Netuid(1), ALICE_HOT, CRN));
            assert_eq!(slash(Netuid(1), ALICE_HOT, 3 * CRN), 3 * CRN);
            let left = Bond {
                active: 0,
                unbonding: 3 * CRN,
                release_at: 1 + PERIOD,
            };
            assert_eq!(Stake::bond_of(Netuid(1), &ALICE_HOT), left);
            assert_eq!(slash(Netuid(1), ALICE_HOT, 3 * CRN), 3 * CRN);
            assert!(!crate::Bonds::<Test>::contains_key(Netuid(1), ALICE_HOT));
        });
}

#[test]
fn a_whole_bond_is_taken_and_shared_out_among_those_who_told() {
    let builder = ExtBuilder::default().bond(Netuid(1), ALICE_HOT, 5 * CRN + 10);
    builder
        .stake(Netuid(1), ALICE_HOT, CRN)
        .build_and_execute(|| {
            let alice = || RuntimeOrigin::signed(ALICE);
            assert_ok!(Stake::unbond(alice(), Netuid(1), ALICE_HOT));
            assert_ok!(Stake::add_bond(alice(), Netuid(1), ALICE_HOT, CRN));
            let taken =
                <Stake as Slashing<_>>::slash_bond(Netuid(1), &ALICE_HOT, &[DAVE, CAROL, DAVE]);
            assert_eq!(taken, 6 * CRN + 10);
            assert!(!crate::Bonds::<Test>::contains_key(Netuid(1), ALICE_HOT));
            assert_eq!(<Stake as Stakes<u64>>::stake(Netuid(1), &ALICE_HOT), CRN);
            // A tenth is 600,000,001: what does not divide by three is burned with the rest.
            let each = 200_000_000;
            assert_eq!(Balances::free_balance(DAVE), FUNDS + 2 * each);
            assert_eq!(Balances::free_balance(CAROL), FUNDS + each);
            assert_eq!(burned(), 6 * CRN + 10 - 3 * each);
            assert_eq!(
                <Stake as Slashing<_>>::slash_bond(Netuid(1), &ALICE_HOT, &[DAVE]),
                0
            );
        });
}

#[test]
fn a_whole_bond_of_which_nobody_told_is_burned() {
    ExtBuilder::default()
        .bond(Netuid(1), ALICE_HOT, 5 * CRN)
        .build_and_execute(|| {
            let taken = <Stake as Slashing<_>>::slash_bond(Netuid(1), &ALICE_HOT, &[]);
            assert_eq!((taken, burned()), (5 * CRN, 5 * CRN));
        });
}

#[test]
fn what_the_bond_does_not_cover_all_stakers_pay_in_proportion() {
    let builder =
        ExtBuilder::default()
            .bond(Netuid(1), ALICE_HOT, CRN)
            .stake(Netuid(1), ALICE_HOT, 2 * CRN);
    builder
        .delegate(CAROL, Netuid(1), ALICE_HOT, 6 * CRN)
        .stake(Netuid(2), ALICE_HOT, 7 * CRN)
        .stake(Netuid(1), BOB_HOT, 9 * CRN)
        .build_and_execute(|| {
            assert_eq!(slash(Netuid(1), ALICE_HOT, 5 * CRN), 5 * CRN);
            assert_eq!(staked(ALICE, Netuid(1), ALICE_HOT), CRN);
            assert_eq!(staked(CAROL, Netuid(1), ALICE_HOT), 3 * CRN);
            // On other subnets, and on other hotkeys, nobody pays.
            assert_eq!(staked(ALICE, Netuid(2), ALICE_HOT), 7 * CRN);
            assert_eq!(staked(BOB, Netuid(1), BOB_HOT), 9 * CRN);
            assert_eq!(Stake::total_staked(), 20 * CRN);
        });
}

#[test]
fn who_is_leaving_pays_like_who_stays() {
    let builder = ExtBuilder::default().delegate(CAROL, Netuid(1), ALICE_HOT, 6 * CRN);
    builder
        .delegate(BOB, Netuid(1), ALICE_HOT, 2 * CRN)
        .build_and_execute(|| {
            let carol = || RuntimeOrigin::signed(CAROL);
            assert_ok!(Stake::remove_stake(
                carol(),
                Netuid(1),
                ALICE_HOT,
                Some(3 * CRN)
            ));
            System::set_block_number(2);
            assert_ok!(Stake::remove_stake(carol(), Netuid(1), ALICE_HOT, None));
            assert_eq!(slash(Netuid(1), ALICE_HOT, 4 * CRN), 4 * CRN);
            assert_eq!(
                waiting(CAROL, Netuid(1), ALICE_HOT),
                [(3 * CRN / 2, 1 + PERIOD), (3 * CRN / 2, 2 + PERIOD)]
            );
            assert_eq!(staked(BOB, Netuid(1), ALICE_HOT), CRN);
            System::set_block_number(2 + PERIOD);
            assert_ok!(Stake::withdraw_stake(carol(), Netuid(1), ALICE_HOT));
            assert_eq!(Balances::free_balance(CAROL), FUNDS - 3 * CRN);
        });
}

#[test]
fn no_more_is_taken_than_there_is_and_the_place_can_be_used_again() {
    let builder =
        ExtBuilder::default()
            .bond(Netuid(1), ALICE_HOT, CRN)
            .stake(Netuid(1), ALICE_HOT, 2 * CRN);
    builder
        .delegate(CAROL, Netuid(1), ALICE_HOT, 6 * CRN)
        .build_and_execute(|| {
            let carol = || RuntimeOrigin::signed(CAROL);
            assert_ok!(Stake::remove_stake(
                carol(),
                Netuid(1),
                ALICE_HOT,
                Some(CRN)
            ));
            assert_eq!(slash(Netuid(1), ALICE_HOT, u64::MAX), 9 * CRN);
            assert_eq!((Stake::total_staked(), Stake::total_unbonding()), (0, 0));
            assert_eq!(staked(CAROL, Netuid(1), ALICE_HOT), 0);
            assert_eq!(waiting(CAROL, Netuid(1), ALICE_HOT), [(0, 1 + PERIOD)]);
            // Old shares are void; new ones are worth what they cost.
            assert_ok!(Stake::add_stake(carol(), Netuid(1), ALICE_HOT, CRN));
            assert_eq!(staked(CAROL, Netuid(1), ALICE_HOT), CRN);
            assert_eq!(staked(ALICE, Netuid(1), ALICE_HOT), 0);
            System::set_block_number(1 + PERIOD);
            assert_ok!(Stake::withdraw_stake(carol(), Netuid(1), ALICE_HOT));
            assert_eq!(waiting(CAROL, Netuid(1), ALICE_HOT), []);
            assert_eq!(Balances::free_balance(CAROL), FUNDS - 7 * CRN);
        });
}

/// A hotkey with 40 backers, one of whom is leaving, of which everything was taken.
fn ruined() -> ExtBuilder {
    (100..140).fold(ExtBuilder::default(), |built, coldkey| {
        built
            .balance_of_another(coldkey, FUNDS)
            .delegate(coldkey, Netuid(1), ALICE_HOT, CRN)
    })
}

fn kept() -> usize {
    crate::Positions::<Test>::iter_keys().count()
}

#[test]
fn void_shares_go_when_a_block_has_room() {
    ruined().build_and_execute(|| {
        let leaving = RuntimeOrigin::signed(100);
        assert_ok!(Stake::remove_stake(leaving, Netuid(1), ALICE_HOT, None));
        assert_eq!(slash(Netuid(1), ALICE_HOT, u64::MAX), 40 * CRN);
        // Who comes back before is not taken for who has lost everything.
        let back = RuntimeOrigin::signed(101);
        assert_ok!(Stake::add_stake(back, Netuid(1), ALICE_HOT, 2 * CRN));
        assert_eq!(kept(), 40);
        for _ in 0..3 {
            let before = kept();
            Stake::on_idle(1, Weight::MAX);
            assert!(before - kept() <= SWEPT_PER_BLOCK as usize);
            Stake::do_try_state().unwrap();
        }
        assert_eq!(kept(), 1);
        assert_eq!(staked(101, Netuid(1), ALICE_HOT), 2 * CRN);
        assert_eq!(crate::Voided::<Test>::iter().count(), 0);
    });
}

#[test]
fn a_block_without_room_leaves_void_shares_where_they_are() {
    ruined().build_and_execute(|| {
        slash(Netuid(1), ALICE_HOT, u64::MAX);
        let sweep = <Test as crate::Config>::WeightInfo::sweep;
        assert_eq!(Stake::on_idle(1, Weight::zero()), Weight::zero());
        assert_eq!(Stake::on_idle(1, sweep(0)), sweep(0));
        assert_eq!(kept(), 40);
        assert_eq!(Stake::on_idle(1, sweep(3)), sweep(3));
        assert_eq!(kept(), 37);
        // Ruined again meanwhile: it begins from the front.
        let back = RuntimeOrigin::signed(100);
        assert_ok!(Stake::add_stake(back, Netuid(1), ALICE_HOT, CRN));
        slash(Netuid(1), ALICE_HOT, u64::MAX);
        for _ in 0..3 {
            Stake::on_idle(1, Weight::MAX);
        }
        assert_eq!(kept(), 0);
    });
}

#[test]
fn a_subnet_that_ends_takes_void_shares_with_it() {
    ruined().build_and_execute(|| {
        slash(Netuid(1), ALICE_HOT, u64::MAX);
        Stake::on_idle(1, Weight::MAX);
        // 24 positions, and the pools.
        assert_eq!(give_everything_back(Netuid(1), 7), 25);
        assert_eq!(kept(), 0);
        assert_eq!(crate::Voided::<Test>::iter().count(), 0);
        assert_eq!(crate::StakePools::<Test>::iter().count(), 0);
    });
}

#[test]
fn nothing_is_taken_of_nothing() {
    ExtBuilder::default()
        .stake(Netuid(1), ALICE_HOT, CRN)
        .build_and_execute(|| {
            assert_eq!(slash(Netuid(1), ALICE_HOT, 0), 0);
            assert_eq!(slash(Netuid(2), ALICE_HOT, CRN), 0);
            assert_eq!(slash(Netuid(1), 99, CRN), 0);
            assert_eq!(slash(Netuid(9), ALICE_HOT, CRN), 0);
            assert_eq!(events(), []);
        });
}

#[test]
fn without_a_reporter_or_an_account_for_it_all_is_burned() {
    ExtBuilder::default()
        .stake(Netuid(1), ALICE_HOT, CRN)
        .build_and_execute(|| {
            let slash = <Stake as Slashing<u64>>::slash;
            assert_eq!(slash(Netuid(1), &ALICE_HOT, 100, None), 100);
            assert_eq!(burned(), 100);
            // A tenth of this is less than an account has to hold.
            let little = 10 * EXISTENTIAL_DEPOSIT - 10;
            assert_eq!(slash(Netuid(1), &ALICE_HOT, little, Some(&77)), little);
            assert_eq!(burned(), 100 + little);
        });
}
