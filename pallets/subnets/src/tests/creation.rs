use crate::{mock::*, Error, Event, Subnet};
use cairn_primitives::{traits::Membership, Hyperparameters, Netuid};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::{DispatchError, TokenError};

#[test]
fn a_subnet_costs_its_price_and_belongs_to_its_buyer() {
    ExtBuilder::default().build_and_execute(|| {
        assert_ok!(Subnets::create_subnet(RuntimeOrigin::signed(ALICE), FLOOR));
        assert_eq!(
            events(),
            [Event::SubnetCreated {
                netuid: Netuid(1),
                owner: ALICE,
                price: FLOOR
            }]
        );
        assert_eq!(Balances::free_balance(ALICE), FUNDS - FLOOR);
        assert_eq!(Notes::burned(), FLOOR);
        assert_eq!(
            Subnets::subnet(Netuid(1)),
            Some(Subnet {
                owner: ALICE,
                created_at: 1,
                members: 0,
                was_joined: false
            })
        );
        assert_eq!(
            Subnets::hyperparameters(Netuid(1)),
            Some(Hyperparameters::default())
        );
        assert_eq!(
            Subnets::price(Netuid(1)),
            Some(Hyperparameters::default().min_registration_price)
        );
    });
}

#[test]
fn the_price_doubles_with_each_sale_and_falls_back_to_the_floor() {
    ExtBuilder::default().build_and_execute(|| {
        let buy = |price| Subnets::create_subnet(RuntimeOrigin::signed(ALICE), price);
        assert_eq!(Subnets::creation_price(), FLOOR);
        assert_ok!(buy(FLOOR));
        assert_eq!(Subnets::creation_price(), 2 * FLOOR);
        assert_ok!(buy(2 * FLOOR));
        assert_eq!(Subnets::creation_price(), 4 * FLOOR);
        System::set_block_number(1 + DECAY / 2);
        assert_eq!(Subnets::creation_price(), FLOOR * 5 / 2);
        System::set_block_number(1 + DECAY);
        assert_eq!(Subnets::creation_price(), FLOOR);
        System::set_block_number(u32::MAX);
        assert_eq!(Subnets::creation_price(), FLOOR);
        assert_eq!(
            <Subnets as Membership<u64>>::netuids(),
            [Netuid(1), Netuid(2)]
        );
    });
}

#[test]
fn nobody_pays_more_than_he_said() {
    ExtBuilder::default().build_and_execute(|| {
        let origin = RuntimeOrigin::signed(ALICE);
        assert_noop!(
            Subnets::create_subnet(origin, FLOOR - 1),
            Error::<Test>::PriceTooHigh
        );
    });
}

#[test]
fn the_buyer_needs_the_price_and_the_existential_deposit() {
    let builder = ExtBuilder::default().balance(9, FLOOR + EXISTENTIAL_DEPOSIT - 1);
    builder
        .balance(8, FLOOR + EXISTENTIAL_DEPOSIT)
        .build_and_execute(|| {
            assert_noop!(
                Subnets::create_subnet(RuntimeOrigin::signed(9), FLOOR),
                TokenError::FundsUnavailable
            );
            assert_ok!(Subnets::create_subnet(RuntimeOrigin::signed(8), FLOOR));
            assert_eq!(Balances::free_balance(8), EXISTENTIAL_DEPOSIT);
        });
}

#[test]
fn the_number_of_subnets_is_bounded() {
    ExtBuilder::default()
        .subnet()
        .subnet()
        .subnet()
        .subnet()
        .build_and_execute(|| {
            assert_noop!(
                Subnets::create_subnet(RuntimeOrigin::signed(ALICE), u64::MAX),
                Error::<Test>::TooManySubnets
            );
        });
}

#[test]
fn only_an_account_creates_a_subnet() {
    ExtBuilder::default().build_and_execute(|| {
        let root = RuntimeOrigin::root();
        assert_noop!(
            Subnets::create_subnet(root, u64::MAX),
            DispatchError::BadOrigin
        );
    });
}
