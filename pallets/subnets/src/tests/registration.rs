use crate::{mock::*, Error, Event, Member, WeightInfo};
use cairn_primitives::{traits::Membership, Netuid, Role, Uid, CRN};
use frame_support::{assert_noop, assert_ok, dispatch::DispatchResultWithPostInfo};
use sp_runtime::{testing::TestSignature, DispatchError, TokenError};

#[test]
fn a_seat_costs_its_price_and_the_hotkey_needs_no_balance() {
    ExtBuilder::default()
        .subnet_with(|h| h.min_registration_price = CRN)
        .build_and_execute(|| {
            let burned = Notes::burned();
            assert_ok!(register(ALICE, Netuid(1), 20, CRN));
            assert_eq!(
                events(),
                [Event::MemberJoined {
                    netuid: Netuid(1),
                    uid: Uid(0),
                    hotkey: 20,
                    coldkey: ALICE,
                    price: CRN,
                    role: Role::Miner
                }]
            );
            assert_eq!(Notes::take(), [Note::Joined(Netuid(1), Uid(0), 20)]);
            assert_eq!(Balances::free_balance(ALICE), FUNDS - CRN);
            assert_eq!(Notes::burned(), burned + CRN);
            assert_eq!(
                Subnets::member(Netuid(1), Uid(0)),
                Some(Member {
                    hotkey: 20,
                    coldkey: ALICE,
                    registered_at: 1,
                    role: Role::Miner,
                    role_set_at: None
                })
            );
            assert_eq!(Subnets::subnet(Netuid(1)).unwrap().members, 1);
            assert_eq!(
                <Subnets as Membership<u64>>::uid(Netuid(1), &20),
                Some(Uid(0))
            );
            // What `CheckNonce` asks of an account without a balance.
            assert_eq!(
                (Balances::free_balance(20), System::sufficients(&20)),
                (0, 1)
            );
            assert!(System::account_exists(&20));
        });
}

#[test]
fn the_price_jumps_with_a_sale_decays_and_stays_within_its_ends() {
    let builder = ExtBuilder::default().subnet_with(|h| {
        h.min_registration_price = CRN;
        h.max_registration_price = 3 * CRN / 2;
    });
    builder.build_and_execute(|| {
        let buy = |hotkey| register(ALICE, Netuid(1), hotkey, u64::MAX);
        assert_ok!(buy(20));
        assert_eq!(Subnets::price(Netuid(1)), Some(1_260_000_000));
        assert_ok!(buy(21));
        assert_eq!(Subnets::price(Netuid(1)), Some(1_500_000_000)); // 1.26² = 1.5876 is above the highest.
        System::set_block_number(181);
        assert_eq!(Subnets::price(Netuid(1)), Some(1_060_660_171)); // 1.5 / √2 after half a half-life.
        System::set_block_number(361);
        assert_eq!(Subnets::price(Netuid(1)), Some(CRN)); // 0.75 is below the lowest.
    });
}

#[test]
fn nobody_pays_more_than_he_said() {
    ExtBuilder::default()
        .subnet_with(|h| h.min_registration_price = CRN)
        .build_and_execute(|| {
            assert_noop!(
                register(ALICE, Netuid(1), 20, CRN - 1),
                Error::<Test>::PriceTooHigh
            );
        });
}

#[test]
fn the_buyer_needs_the_price_and_the_existential_deposit() {
    let builder = ExtBuilder::default()
        .subnet_with(|h| h.min_registration_price = CRN)
        .balance(9, CRN + EXISTENTIAL_DEPOSIT - 1);
    builder.build_and_execute(|| {
        assert_noop!(
            register(9, Netuid(1), 20, CRN),
            TokenError::FundsUnavailable
        );
    });
}

#[test]
fn a_hotkey_sits_once_on_a_subnet_but_on_several_subnets() {
    let builder = ExtBuilder::default()
        .subnet()
        .subnet()
        .member(Netuid(1), ALICE, 20);
    builder.build_and_execute(|| {
        let register = |netuid| register(ALICE, netuid, 20, u64::MAX);
        assert_noop!(register(Netuid(1)), Error::<Test>::AlreadyMember);
        assert_ok!(register(Netuid(2)));
        assert_eq!(
            (members(Netuid(1)), members(Netuid(2))),
            (vec![(Uid(0), 20)], vec![(Uid(0), 20)])
        );
        assert_eq!(System::sufficients(&20), 2);
        assert_eq!(Subnets::hotkeys(&ALICE, None, 10), [20]);
    });
}

#[test]
fn a_hotkey_belongs_to_its_first_coldkey_for_ever() {
    let builder = ExtBuilder::default()
        .subnet()
        .subnet()
        .member(Netuid(1), ALICE, 20);
    builder.build_and_execute(|| {
        assert_noop!(
            register(BOB, Netuid(2), 20, u64::MAX),
            Error::<Test>::NotHotkeysColdkey
        );
        assert_ok!(Subnets::leave(RuntimeOrigin::signed(ALICE), Netuid(1), 20));
        assert_noop!(
            register(BOB, Netuid(1), 20, u64::MAX),
            Error::<Test>::NotHotkeysColdkey
        );
        assert_eq!(<Subnets as Membership<u64>>::coldkey(&20), Some(ALICE));
        assert_ok!(register(ALICE, Netuid(1), 20, u64::MAX));
    });
}

#[test]
fn there_are_no_seats_on_a_subnet_that_is_not_there() {
    ExtBuilder::default().subnet().build_and_execute(|| {
        for netuid in [0, 2] {
            assert_noop!(
                register(ALICE, Netuid(netuid), 20, u64::MAX),
                Error::<Test>::UnknownSubnet
            );
        }
        assert_noop!(
            Subnets::register(
                RuntimeOrigin::root(),
                Netuid(1),
                20,
                Role::Miner,
                u64::MAX,
                signature(20, Netuid(1), ALICE)
            ),
            DispatchError::BadOrigin
        );
    });
}

#[test]
fn the_lowest_free_uid_is_given() {
    let mut builder = ExtBuilder::default().subnet();
    for hotkey in 20..25 {
        builder = builder.member(Netuid(1), ALICE, hotkey);
    }
    builder.build_and_execute(|| {
        for hotkey in [23, 21] {
            assert_ok!(Subnets::leave(
                RuntimeOrigin::signed(ALICE),
                Netuid(1),
                hotkey
            ));
        }
        for hotkey in [30, 31, 32] {
            assert_ok!(register(BOB, Netuid(1), hotkey, u64::MAX));
        }
        assert_eq!(
            members(Netuid(1)),
            [
                (Uid(0), 20),
                (Uid(1), 30),
                (Uid(2), 22),
                (Uid(3), 31),
                (Uid(4), 24),
                (Uid(5), 32)
            ]
        );
    });
}

#[test]
fn a_small_subnet_is_charged_less_than_a_full_one() {
    ExtBuilder::default()
        .subnet()
        .member(Netuid(1), ALICE, 20)
        .build_and_execute(|| {
            let post = register(BOB, Netuid(1), 30, u64::MAX).unwrap();
            let weights = |members| <Test as crate::Config>::WeightInfo::register(members);
            assert_eq!(post.actual_weight, Some(weights(1)));
            assert!(weights(1).all_lt(weights(256)));
        });
}

/// What BOB gets who registers ALICE's hotkey 20 on subnet 1 with a signature that he found.
fn squat(signature: TestSignature) -> DispatchResultWithPostInfo {
    let bob = RuntimeOrigin::signed(BOB);
    Subnets::register(bob, Netuid(1), 20, Role::Miner, u64::MAX, signature)
}

#[test]
fn nobody_registers_anothers_hotkey() {
    ExtBuilder::default().subnet().build_and_execute(|| {
        let not_his = [
            ("his own", signature(BOB, Netuid(1), BOB)),
            ("another hotkey's", signature(21, Netuid(1), BOB)),
            (
                "what the hotkey signed for ALICE",
                signature(20, Netuid(1), ALICE),
            ),
            (
                "what it signed for another subnet",
                signature(20, Netuid(2), BOB),
            ),
            (
                "what it signed otherwise",
                TestSignature(20, b"hello".to_vec()),
            ),
        ];
        for (whose, signature) in not_his {
            assert!(squat(signature.clone()).is_err(), "{whose}");
            assert_noop!(squat(signature), Error::<Test>::BadHotkeySignature);
        }
        assert_ok!(register(ALICE, Netuid(1), 20, u64::MAX));
        assert_eq!(<Subnets as Membership<u64>>::coldkey(&20), Some(ALICE));
    });
}

#[test]
fn a_signature_for_another_chain_is_none() {
    ExtBuilder::default().subnet().build_and_execute(|| {
        let signed = signature(20, Netuid(1), BOB);
        let genesis = frame_system::BlockHash::<Test>::get(0);
        frame_system::BlockHash::<Test>::insert(0, sp_core::H256::repeat_byte(7));
        assert_noop!(squat(signed.clone()), Error::<Test>::BadHotkeySignature);
        frame_system::BlockHash::<Test>::insert(0, genesis);
        assert_ok!(squat(signed));
    });
}

#[test]
fn what_was_signed_is_good_again_after_leaving() {
    ExtBuilder::default().subnet().build_and_execute(|| {
        let signed = signature(20, Netuid(1), BOB);
        assert_ok!(squat(signed.clone()));
        assert_ok!(Subnets::leave(RuntimeOrigin::signed(BOB), Netuid(1), 20));
        assert_ok!(squat(signed));
    });
}
