//! The end of a subnet.

use crate::{mock::*, Error, Event};
use cairn_primitives::{traits::Membership, BlockNumber, Hyperparameters, Netuid, Uid};
use frame_support::{assert_noop, assert_ok, dispatch::DispatchResult, traits::Hooks};
use sp_runtime::DispatchError;

fn dissolve(who: AccountId, netuid: Netuid) -> DispatchResult {
    Subnets::dissolve_subnet(RuntimeOrigin::signed(who), netuid)
}

/// Two subnets, of which the first has six members.
fn crowd() -> ExtBuilder {
    let mut builder = ExtBuilder::default()
        .subnet_with(|h| h.unbonding_period = 400)
        .subnet();
    for hotkey in 20..26 {
        builder = builder.member(Netuid(1), ALICE, hotkey);
    }
    builder.member(Netuid(2), ALICE, 20)
}

/// What a subnet that is dissolved at block 1 waits for.
const FROM: BlockNumber = 401;

fn block(number: BlockNumber) {
    System::set_block_number(number);
    Subnets::on_initialize(number);
    Subnets::do_try_state().unwrap();
}

#[test]
fn it_stops_at_once_waits_for_its_unbonding_period_and_goes_bit_by_bit() {
    crowd().build_and_execute(|| {
        Notes::keep(Netuid(1), 5);
        assert_ok!(dissolve(OWNER, Netuid(1)));
        assert_eq!(
            events(),
            [Event::SubnetDissolving {
                netuid: Netuid(1),
                from: FROM
            }]
        );
        assert_eq!(Notes::take(), [Note::Dissolving(Netuid(1))]);
        assert_eq!(<Subnets as Membership<u64>>::netuids(), [Netuid(2)]);
        assert!(<Subnets as Membership<u64>>::is_dissolving(Netuid(1)));
        assert_eq!(Subnets::dissolves_from(Netuid(1)), Some(FROM));
        assert_eq!(Subnets::all_netuids(), [Netuid(1), Netuid(2)]);

        block(FROM - 1);
        assert_eq!((Notes::kept(Netuid(1)), members(Netuid(1)).len()), (5, 6));
        block(FROM);
        assert_eq!((Notes::kept(Netuid(1)), members(Netuid(1)).len()), (1, 6));
        // One thing of the others', and three seats.
        block(FROM + 1);
        assert_eq!((Notes::kept(Netuid(1)), members(Netuid(1)).len()), (0, 3));
        assert_eq!(Notes::take().len(), 3, "seats are given up one by one");
        block(FROM + 2);
        assert_eq!(members(Netuid(1)).len(), 0);
        assert_eq!(
            events().last(),
            Some(&Event::SubnetDissolved { netuid: Netuid(1) })
        );

        assert_eq!(Subnets::subnet(Netuid(1)), None);
        assert_eq!(
            <Subnets as Membership<u64>>::hyperparameters(Netuid(1)),
            None
        );
        assert!(!<Subnets as Membership<u64>>::is_dissolving(Netuid(1)));
        assert_eq!(members(Netuid(2)), [(Uid(0), 20)]);
        assert_eq!(System::sufficients(&20), 1);
        assert_eq!(System::sufficients(&21), 0);
    });
}

#[test]
fn its_owner_and_root_may() {
    crowd().build_and_execute(|| {
        for who in [ALICE, 20] {
            assert_noop!(dissolve(who, Netuid(1)), Error::<Test>::NotSubnetOwner);
        }
        assert_noop!(dissolve(OWNER, Netuid(3)), Error::<Test>::UnknownSubnet);
        assert_noop!(
            Subnets::dissolve_subnet(RuntimeOrigin::none(), Netuid(1)),
            DispatchError::BadOrigin
        );
        assert_ok!(Subnets::dissolve_subnet(RuntimeOrigin::root(), Netuid(1)));
        assert_noop!(dissolve(OWNER, Netuid(1)), Error::<Test>::SubnetDissolving);
    });
}

#[test]
fn nothing_begins_on_it_any_more() {
    crowd().build_and_execute(|| {
        assert_ok!(dissolve(OWNER, Netuid(1)));
        let dissolving = || Error::<Test>::SubnetDissolving;
        let alice = || RuntimeOrigin::signed(ALICE);
        assert_noop!(register(ALICE, Netuid(1), 30, u64::MAX), dissolving());
        assert_noop!(Subnets::leave(alice(), Netuid(1), 20), dissolving());
        let owner = RuntimeOrigin::signed(OWNER);
        let rules = Hyperparameters::default();
        assert_noop!(
            Subnets::set_hyperparameters(owner, Netuid(1), rules),
            dissolving()
        );
        // Until nothing is left of it, all can be looked up.
        assert_eq!(<Subnets as Membership<u64>>::owner(Netuid(1)), Some(OWNER));
        assert_eq!(members(Netuid(1)).len(), 6);
    });
}

#[test]
fn its_netuid_is_never_used_again_and_its_place_only_when_it_is_gone() {
    ExtBuilder::default()
        .subnet()
        .subnet()
        .subnet()
        .subnet()
        .build_and_execute(|| {
            let create = || Subnets::create_subnet(RuntimeOrigin::signed(ALICE), u64::MAX);
            assert_ok!(dissolve(OWNER, Netuid(2)));
            assert_noop!(create(), Error::<Test>::TooManySubnets);
            let from = Subnets::dissolves_from(Netuid(2)).unwrap();
            block(from);
            assert_ok!(create());
            assert_eq!(
                <Subnets as Membership<u64>>::netuids(),
                [1, 3, 4, 5].map(Netuid)
            );
        });
}

#[test]
fn several_go_one_after_the_other() {
    crowd().build_and_execute(|| {
        assert_ok!(dissolve(OWNER, Netuid(1)));
        assert_ok!(dissolve(OWNER, Netuid(2)));
        let last = Subnets::dissolves_from(Netuid(2)).unwrap();
        let mut number = FROM.max(last);
        while !Subnets::all_netuids().is_empty() {
            block(number);
            number += 1;
            assert!(number < FROM.max(last) + 10, "it never ends");
        }
    });
}
