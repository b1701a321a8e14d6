//! The check of storage that every test ends with finds what is wrong.

use crate::{
    mock::*, Announced, CreationQuote, Dissolving, Error, Hotkeys, HyperparametersSetAt,
    LastNetuid, Member, Members, Netuids, Quote, RegistrationQuote, Rules, RulesOf, Swap, Swaps,
    Uids,
};
use cairn_primitives::{Hyperparameters, Netuid, Role, Uid};
use frame_support::storage::{with_transaction_unchecked, TransactionOutcome};
use sp_runtime::TryRuntimeError;

/// What the check says after `spoil`; storage is as before afterwards.
fn verdict(spoil: impl FnOnce()) -> Result<(), TryRuntimeError> {
    with_transaction_unchecked(|| {
        spoil();
        TransactionOutcome::Rollback(Subnets::do_try_state())
    })
}

fn finds(expected: &'static str, spoil: impl FnOnce()) {
    assert_eq!(verdict(spoil), Err(expected.into()));
}

fn with_member(test: impl FnOnce()) {
    ExtBuilder::default()
        .subnet()
        .subnet()
        .member(Netuid(1), ALICE, 20)
        .build_and_execute(test);
}

#[test]
fn of_subnets() {
    with_member(|| {
        assert_eq!(verdict(|| ()), Ok(()));
        finds("more subnets than allowed", || {
            let subnet = crate::Subnets::<Test>::get(Netuid(1)).unwrap();
            (3..6)
                .for_each(|netuid| crate::Subnets::<Test>::insert(Netuid(netuid), subnet.clone()));
        });
        finds("subnets do not match their list", || {
            Netuids::<Test>::mutate(|list| list.truncate(1))
        });
        finds("a subnet is listed twice", || {
            Dissolving::<Test>::insert(Netuid(1), 1)
        });
        finds("the subnets at work are not in order", || {
            Netuids::<Test>::mutate(|list| list.as_mut().reverse())
        });
        finds("a netuid that was never sold", || {
            LastNetuid::<Test>::put(Netuid(1))
        });
        finds("a change of an unknown subnet", || {
            HyperparametersSetAt::<Test>::insert(Netuid(7), 1)
        });
        finds("a change in the future", || {
            HyperparametersSetAt::<Test>::insert(Netuid(1), 2)
        });
        finds("hyperparameters of an unknown subnet", || {
            RulesOf::<Test>::insert(Netuid(7), Rules::only(Hyperparameters::default()));
        });
        finds("a price of an unknown subnet", || {
            RegistrationQuote::<Test>::insert(Netuid(7), Quote { price: 1, at: 1 });
        });
        finds("a listed subnet has no record", || {
            crate::Subnets::<Test>::swap(Netuid(2), Netuid(3));
            HyperparametersSetAt::<Test>::remove(Netuid(2));
            LastNetuid::<Test>::put(Netuid(3));
        });
        finds("a subnet was sold in the future", || {
            CreationQuote::<Test>::put(Quote { price: 1, at: 2 });
        });
        finds("a subnet is dated in the future", || {
            RegistrationQuote::<Test>::insert(Netuid(1), Quote { price: 1, at: 2 });
        });
        let bad = Hyperparameters {
            tempo: 0,
            ..Default::default()
        };
        let found = verdict(|| RulesOf::<Test>::insert(Netuid(1), Rules::only(bad.clone())));
        assert_eq!(found, Err(Error::<Test>::TempoOutOfRange.into()));
        let announced =
            |rules| move |kept: &mut Rules| kept.announced = Some(Announced { from: 9, rules });
        let found = verdict(|| RulesOf::<Test>::mutate_extant(Netuid(1), announced(bad)));
        assert_eq!(found, Err(Error::<Test>::TempoOutOfRange.into()));
        finds("rules were announced where there is nobody to tell", || {
            RulesOf::<Test>::mutate_extant(Netuid(2), announced(Hyperparameters::default()))
        });
        finds("a subnet with members that nobody joined", || {
            crate::Subnets::<Test>::mutate(Netuid(1), |subnet| {
                subnet.as_mut().unwrap().was_joined = false
            });
        });
    });
}

#[test]
fn of_members() {
    let member = |hotkey, coldkey, registered_at| Member {
        hotkey,
        coldkey,
        registered_at,
        role: Role::Miner,
        role_set_at: None,
    };
    with_member(|| {
        finds("a uid is out of range", || {
            Members::<Test>::swap(Netuid(1), Uid(0), Netuid(1), Uid(256))
        });
        finds("uids and members are not inverse", || {
            Uids::<Test>::insert(Netuid(1), 20, Uid(1))
        });
        finds("uids and members do not match", || {
            Uids::<Test>::insert(Netuid(1), 21, Uid(0))
        });
        finds("members of an unknown subnet", || {
            Members::<Test>::insert(Netuid(7), Uid(0), member(20, ALICE, 1));
        });
        finds("a member's coldkey is not its hotkey's", || {
            Members::<Test>::insert(Netuid(1), Uid(0), member(20, BOB, 1));
        });
        finds("a member came in the future", || {
            Members::<Test>::insert(Netuid(1), Uid(0), member(20, ALICE, 2));
        });
        finds("a swap of no member", || {
            Swaps::<Test>::insert(Netuid(1), Uid(7), Swap { to: 30, from: 1 });
        });
        finds("a member is to have the hotkey that it has", || {
            Swaps::<Test>::insert(Netuid(1), Uid(0), Swap { to: 20, from: 1 });
        });
        finds("a role was chosen in the future", || {
            Members::<Test>::mutate(Netuid(1), Uid(0), |member| {
                member.as_mut().unwrap().role_set_at = Some(2)
            });
        });
        finds("a subnet does not count its members", || {
            crate::Subnets::<Test>::mutate(Netuid(1), |subnet| {
                subnet.as_mut().unwrap().members = 2
            });
        });
    });
}

#[test]
fn of_keys() {
    with_member(|| {
        finds("a coldkey does not list its hotkey", || {
            Hotkeys::<Test>::remove(ALICE, 20)
        });
        finds("a coldkey lists a foreign hotkey", || {
            Hotkeys::<Test>::insert(ALICE, 21, ())
        });
        finds("a member's hotkey lacks a system reference", || {
            System::dec_sufficients(&20);
        });
    });
}
