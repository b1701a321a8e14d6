use crate::{mock::*, Error, Event};
use cairn_primitives::{Netuid, Role, Uid};
use frame_support::{assert_noop, assert_ok, dispatch::DispatchResultWithPostInfo};
use sp_runtime::TokenError;

/// A full subnet of three strangers on hotkeys 20, 21 and 22, immune for ten blocks.
fn full() -> ExtBuilder {
    let builder = ExtBuilder::default().subnet_with(|h| {
        (h.max_members, h.max_validators) = (3, 3);
        h.immunity_period = 10;
    });
    builder
        .member(Netuid(1), ALICE, 20)
        .member(Netuid(1), ALICE, 21)
        .member(Netuid(1), ALICE, 22)
}

fn register(hotkey: AccountId) -> DispatchResultWithPostInfo {
    crate::mock::register(BOB, Netuid(1), hotkey, u64::MAX)
}

/// What each of the three was paid by the last epoch.
fn pay(amounts: [u64; 3]) {
    for (uid, amount) in amounts.into_iter().enumerate() {
        Notes::pay(Netuid(1), Uid(uid as u16), amount);
    }
}

#[test]
fn the_lowest_earner_goes() {
    full().build_and_execute(|| {
        System::set_block_number(11);
        pay([3, 1, 2]);
        let price = Subnets::price(Netuid(1)).unwrap();
        assert_ok!(register(30));
        assert_eq!(
            events(),
            [
                Event::MemberLeft {
                    netuid: Netuid(1),
                    uid: Uid(1),
                    hotkey: 21
                },
                Event::MemberJoined {
                    netuid: Netuid(1),
                    uid: Uid(1),
                    hotkey: 30,
                    coldkey: BOB,
                    price,
                    role: Role::Miner
                },
            ]
        );
        assert_eq!(
            Notes::take(),
            [
                Note::Left(Netuid(1), Uid(1), 21),
                Note::Joined(Netuid(1), Uid(1), 30)
            ]
        );
        assert_eq!(
            members(Netuid(1)),
            [(Uid(0), 20), (Uid(1), 30), (Uid(2), 22)]
        );
        assert_eq!((System::sufficients(&21), System::sufficients(&30)), (0, 1));
        assert!(!System::account_exists(&21));
    });
}

#[test]
fn among_equals_the_oldest_goes_then_the_lowest_uid() {
    full().build_and_execute(|| {
        System::set_block_number(11);
        assert_ok!(register(30)); // All came at block 1: uid 0.
        System::set_block_number(21);
        assert_ok!(register(31)); // Uids 1 and 2 are older than uid 0.
        System::set_block_number(31);
        assert_ok!(register(32));
        System::set_block_number(41);
        assert_ok!(register(33));
        assert_eq!(
            members(Netuid(1)),
            [(Uid(0), 33), (Uid(1), 31), (Uid(2), 32)]
        );
    });
}

#[test]
fn the_immune_stay_however_little_they_earn() {
    full().build_and_execute(|| {
        System::set_block_number(10);
        assert_noop!(register(30), Error::<Test>::SubnetFull);
        System::set_block_number(11);
        pay([1, 5, 5]);
        assert_ok!(register(30));
        pay([0, 5, 6]); // The newcomer earns least but has only just come.
        assert_ok!(register(31));
        assert_eq!(
            members(Netuid(1)),
            [(Uid(0), 30), (Uid(1), 31), (Uid(2), 22)]
        );
    });
}

#[test]
fn a_full_subnet_sells_nothing_when_all_are_immune() {
    full().build_and_execute(|| {
        let price = Subnets::price(Netuid(1));
        assert_noop!(register(30), Error::<Test>::SubnetFull);
        assert_eq!(Subnets::price(Netuid(1)), price);
    });
}

#[test]
fn the_owner_keeps_one_seat_and_only_one() {
    let builder = ExtBuilder::default().subnet_with(|h| {
        (h.max_members, h.max_validators) = (2, 2);
        h.immunity_period = 0;
    });
    builder
        .member(Netuid(1), OWNER, 20)
        .member(Netuid(1), OWNER, 21)
        .build_and_execute(|| {
            assert_ok!(register(30));
            assert_eq!(members(Netuid(1)), [(Uid(0), 20), (Uid(1), 30)]);
            Notes::pay(Netuid(1), Uid(1), 7);
            assert_ok!(register(31));
            assert_eq!(members(Netuid(1)), [(Uid(0), 20), (Uid(1), 31)]);
        });
}

#[test]
fn a_subnet_with_only_the_owners_seat_sells_nothing() {
    let builder = ExtBuilder::default().subnet_with(|h| {
        (h.max_members, h.max_validators) = (1, 1);
        h.immunity_period = 0;
    });
    builder.member(Netuid(1), OWNER, 20).build_and_execute(|| {
        assert_noop!(register(30), Error::<Test>::SubnetFull);
    });
}

#[test]
fn a_subnet_that_was_made_smaller_replaces_and_sends_nobody_away() {
    full().build_and_execute(|| {
        System::set_block_number(11);
        let mut h = Subnets::rules(Netuid(1)).unwrap();
        (h.max_members, h.max_validators) = (2, 2);
        assert_ok!(Subnets::set_hyperparameters(
            RuntimeOrigin::root(),
            Netuid(1),
            h
        ));
        pay([5, 5, 0]);
        assert_ok!(register(30));
        assert_eq!(
            members(Netuid(1)),
            [(Uid(0), 20), (Uid(1), 21), (Uid(2), 30)]
        );
        assert_ok!(Subnets::leave(RuntimeOrigin::signed(ALICE), Netuid(1), 20));
        assert_ok!(register(31)); // Two are left of at most two: still no free seat.
        assert_eq!(members(Netuid(1)), [(Uid(1), 31), (Uid(2), 30)]);
    });
}

#[test]
fn what_leans_on_a_hotkeys_account_does_not_keep_its_seat() {
    full()
        .balance(20, 2 * EXISTENTIAL_DEPOSIT)
        .build_and_execute(|| {
            System::set_block_number(11);
            System::inc_consumers(&20).unwrap();
            // The seat is no provider: what leans on the account has to lean on its balance.
            let all = 2 * EXISTENTIAL_DEPOSIT;
            assert_noop!(
                Balances::transfer_allow_death(RuntimeOrigin::signed(20), BOB, all),
                TokenError::Frozen
            );
            assert_ok!(register(30));
            assert_eq!(
                members(Netuid(1)),
                [(Uid(0), 30), (Uid(1), 21), (Uid(2), 22)]
            );
            assert_eq!(Balances::free_balance(20), all);
        });
}

#[test]
fn the_largest_subnet_fills_and_then_replaces() {
    let builder = ExtBuilder::default().subnet_with(|h| h.immunity_period = 5);
    builder.build_and_execute(|| {
        for hotkey in 1_000..1_256 {
            assert_ok!(register(hotkey));
        }
        assert_eq!(members(Netuid(1)).last(), Some(&(Uid(255), 1_255)));
        assert_noop!(register(2_000), Error::<Test>::SubnetFull);
        System::set_block_number(6);
        assert_ok!(register(2_000));
        assert_eq!(members(Netuid(1)).len(), 256);
    });
}
