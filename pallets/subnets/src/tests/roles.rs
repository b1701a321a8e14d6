//! What members are there for.

use crate::{mock::*, Error, Event};
use cairn_primitives::{traits::Membership, Netuid, Role, Uid};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::{DispatchError, DispatchResult};

fn choose(who: AccountId, hotkey: AccountId, role: Role) -> DispatchResult {
    Subnets::set_role(RuntimeOrigin::signed(who), Netuid(1), hotkey, role)
}

fn role(uid: Uid) -> Option<Role> {
    <Subnets as Membership<u64>>::role(Netuid(1), uid)
}

/// A subnet with a tempo of 20 and a miner of ALICE's.
fn with_miner() -> ExtBuilder {
    let builder = ExtBuilder::default().subnet_with(|h| (h.tempo, h.activity_cutoff) = (20, 40));
    builder.member(Netuid(1), ALICE, 20)
}

#[test]
fn a_member_is_what_its_coldkey_registered_it_as() {
    with_miner().build_and_execute(|| {
        assert_eq!(role(Uid(0)), Some(Role::Miner));
        assert_ok!(Subnets::register(
            RuntimeOrigin::signed(BOB),
            Netuid(1),
            30,
            Role::Validator,
            u64::MAX,
            signature(30, Netuid(1), BOB)
        ));
        assert_eq!((role(Uid(1)), role(Uid(2))), (Some(Role::Validator), None));
    });
}

#[test]
fn its_coldkey_chooses_again() {
    with_miner().build_and_execute(|| {
        assert_ok!(choose(ALICE, 20, Role::Validator));
        assert_eq!(
            events(),
            [Event::RoleSet {
                netuid: Netuid(1),
                uid: Uid(0),
                hotkey: 20,
                role: Role::Validator
            }]
        );
        assert_eq!(role(Uid(0)), Some(Role::Validator));
        assert_eq!(Notes::take(), [], "nobody came or left");
    });
}

#[test]
fn not_more_often_than_every_second_epoch() {
    with_miner().build_and_execute(|| {
        System::set_block_number(5);
        assert_eq!(Subnets::role_can_be_set_from(Netuid(1), Uid(0)), None);
        assert_ok!(choose(ALICE, 20, Role::Validator));
        assert_eq!(Subnets::role_can_be_set_from(Netuid(1), Uid(0)), Some(45));
        System::set_block_number(44);
        assert_noop!(choose(ALICE, 20, Role::Miner), Error::<Test>::RoleTooSoon);
        System::set_block_number(45);
        assert_noop!(
            choose(ALICE, 20, Role::Validator),
            Error::<Test>::RoleUnchanged
        );
        assert_ok!(choose(ALICE, 20, Role::Miner));
    });
}

#[test]
fn nobody_else_does() {
    with_miner().build_and_execute(|| {
        for who in [BOB, OWNER, 20] {
            assert_noop!(
                choose(who, 20, Role::Validator),
                Error::<Test>::NotHotkeysColdkey
            );
        }
        assert_noop!(choose(ALICE, 21, Role::Validator), Error::<Test>::NotMember);
        let on = |netuid| {
            let alice = RuntimeOrigin::signed(ALICE);
            Subnets::set_role(alice, netuid, 20, Role::Validator)
        };
        assert_noop!(on(Netuid(2)), Error::<Test>::UnknownSubnet);
        assert_noop!(
            Subnets::set_role(RuntimeOrigin::root(), Netuid(1), 20, Role::Validator),
            DispatchError::BadOrigin
        );
        assert_ok!(Subnets::dissolve_subnet(
            RuntimeOrigin::signed(OWNER),
            Netuid(1)
        ));
        assert_noop!(on(Netuid(1)), Error::<Test>::SubnetDissolving);
    });
}
