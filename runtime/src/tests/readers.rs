//! What somebody who was refused has to know: limits, whose a hotkey is, from which block on something can be done.

use cairn_primitives::{
    api::{Duty, Seat},
    BlockNumber, Hyperparameters, Netuid, Role, Uid, CRN,
};
use frame_support::{assert_noop, assert_ok};
use sp_keyring::Sr25519Keyring::{Alice, Bob, Eve};
use sp_runtime::traits::Dispatchable;

use super::chain::{on, register};
use crate::{presets, readers, AccountId, Runtime, RuntimeCall, RuntimeOrigin, System};

fn sent(call: impl Into<RuntimeCall>) -> Result<(), sp_runtime::DispatchError> {
    let signer = RuntimeOrigin::signed(Alice.to_account_id());
    let outcome = call.into().dispatch(signer);
    outcome.map(|_| ()).map_err(|failed| failed.error)
}

/// Runs a test on a subnet of Alice's on which Bob is her hotkey, to validate.
fn on_a_subnet(test: impl FnOnce(AccountId)) {
    on(presets::DEVELOPMENT_PRESET, || {
        let max_price = u64::MAX;
        assert_ok!(sent(pallet_subnets::Call::create_subnet { max_price }));
        let alice = Alice.to_account_id();
        assert_ok!(sent(register(Netuid(1), Bob, Role::Validator, &alice)));
        test(Bob.to_account_id());
    });
}

#[test]
fn when_hyperparameters_can_be_set_again_is_told() {
    on_a_subnet(|_| {
        let set = || {
            sent(pallet_subnets::Call::set_hyperparameters {
                netuid: Netuid(1),
                hyperparameters: Hyperparameters::default(),
            })
        };
        let told = || {
            readers::subnet(Netuid(1))
                .expect("it is there")
                .can_be_set_from
        };
        assert_eq!(told(), None);
        assert_ok!(set());
        let from = told().expect("not so soon");
        assert_eq!(from, 1 + readers::limits().hyperparameters_interval);
        System::set_block_number(from - 1);
        assert_noop!(
            set(),
            pallet_subnets::Error::<Runtime>::HyperparametersTooSoon
        );
        System::set_block_number(from);
        assert_eq!(told(), None);
        assert_ok!(set());
    });
}

#[test]
fn whose_a_hotkey_is_and_what_it_may_take_is_told() {
    on_a_subnet(|bob| {
        let nobody = readers::hotkey(Eve.to_account_id());
        assert_eq!((nobody.coldkey, nobody.seats.len()), (None, 0));
        let told = || readers::hotkey(bob.clone());
        assert_eq!(told().coldkey, Some(Alice.to_account_id()));
        assert_eq!(
            told().seats,
            [Seat {
                netuid: Netuid(1),
                uid: Uid(0)
            }]
        );
        let limits = readers::limits();
        assert_eq!(
            (told().take, told().highest_take_now),
            (limits.max_take, limits.max_take)
        );
        let set = |take| {
            let hotkey = bob.clone();
            sent(pallet_stake::Call::set_take { hotkey, take })
        };
        assert_ok!(set(1_000));
        let from = told().take_can_rise_from.expect("not so soon");
        assert_eq!(
            (from, told().highest_take_now),
            (1 + limits.take_interval, 1_000)
        );
        assert_noop!(
            set(1_001),
            pallet_stake::Error::<Runtime>::TakeRaisedTooSoon
        );
        System::set_block_number(from);
        let highest = told().highest_take_now;
        assert_eq!(
            (told().take_can_rise_from, highest),
            (None, 1_000 + limits.take_step)
        );
        assert_noop!(
            set(highest + 1),
            pallet_stake::Error::<Runtime>::TakeStepTooLarge
        );
        assert_ok!(set(highest));
    });
}

#[test]
fn when_a_bond_comes_back_is_told() {
    on_a_subnet(|hotkey| {
        let (netuid, amount) = (Netuid(1), 20 * CRN);
        let told = || readers::account(&Alice.to_account_id()).remove(0);
        let bond = pallet_stake::Call::add_bond {
            netuid,
            hotkey: hotkey.clone(),
            amount,
        };
        assert_ok!(sent(bond));
        assert_eq!((told().unbonding_bond, told().bond_release_at), (0, None));
        let hotkey = || hotkey.clone();
        assert_ok!(sent(pallet_stake::Call::unbond {
            netuid,
            hotkey: hotkey()
        }));
        assert_eq!((told().bond, told().unbonding_bond), (amount, amount));
        let from = told().bond_release_at.expect("it is locked");
        let withdraw = || {
            sent(pallet_stake::Call::withdraw_bond {
                netuid,
                hotkey: hotkey(),
            })
        };
        System::set_block_number(from - 1);
        assert_noop!(withdraw(), pallet_stake::Error::<Runtime>::BondLocked);
        System::set_block_number(from);
        assert_ok!(withdraw());
    });
}

#[test]
fn limits_are_those_that_the_calls_keep() {
    on_a_subnet(|hotkey| {
        let limits = readers::limits();
        assert_eq!((limits.existential_deposit, limits.max_subnets), (500, 128));
        let bond = |amount| {
            sent(pallet_stake::Call::add_bond {
                netuid: Netuid(1),
                hotkey: hotkey.clone(),
                amount,
            })
        };
        let too_small = pallet_stake::Error::<Runtime>::AmountTooSmall;
        assert_noop!(bond(limits.minimum_stake - 1), too_small);
        assert_ok!(bond(limits.minimum_stake));
        let with = |unbonding_period| Hyperparameters {
            unbonding_period,
            ..Hyperparameters::default()
        };
        let least = limits.audit_window.max(Hyperparameters::default().tempo);
        assert_eq!(with(least).check(limits.audit_window), Ok(()));
        let fault = with(least - 1)
            .check(limits.audit_window)
            .expect_err("too short");
        assert_eq!(
            (fault.name, fault.least),
            ("unbonding_period", least.into())
        );
        let set = |period| {
            sent(pallet_subnets::Call::set_hyperparameters {
                netuid: Netuid(1),
                hyperparameters: with(period),
            })
        };
        assert_noop!(
            set(least - 1),
            pallet_subnets::Error::<Runtime>::UnbondingTooShort
        );
        assert_ok!(set(least));
    });
}

#[test]
fn rules_that_will_hold_are_told_with_their_block() {
    on_a_subnet(|_| {
        let told = || readers::subnet(Netuid(1)).expect("it is there");
        assert_eq!(told().announced, None);
        let present = told().hyperparameters;
        let hyperparameters = Hyperparameters {
            unbonding_period: present.unbonding_period / 2,
            ..present.clone()
        };
        let set = pallet_subnets::Call::set_hyperparameters {
            netuid: Netuid(1),
            hyperparameters: hyperparameters.clone(),
        };
        assert_ok!(sent(set));
        let announced = told().announced.expect("it was announced");
        assert_eq!(announced.from, 1 + present.unbonding_period);
        assert_eq!(
            (&announced.hyperparameters, told().hyperparameters),
            (&hyperparameters, present)
        );
        System::set_block_number(announced.from);
        assert_eq!(
            (told().announced, told().hyperparameters),
            (None, hyperparameters)
        );
    });
}

/// Who asks stake back while a longer lock is announced leaves under the present one.
#[test]
fn who_dislikes_announced_rules_leaves_under_the_present_ones() {
    on_a_subnet(|hotkey| {
        let present = Hyperparameters {
            unbonding_period: 1_000,
            ..Hyperparameters::default()
        };
        let set = |hyperparameters| pallet_subnets::Call::set_hyperparameters {
            netuid: Netuid(1),
            hyperparameters,
        };
        let at_once = RuntimeCall::from(set(present.clone()));
        assert_ok!(at_once.dispatch(RuntimeOrigin::root()));
        let add = pallet_stake::Call::add_stake {
            netuid: Netuid(1),
            hotkey: hotkey.clone(),
            amount: 10 * CRN,
        };
        assert_ok!(sent(add));
        let longer = Hyperparameters {
            unbonding_period: 4 * present.unbonding_period,
            ..present.clone()
        };
        assert_ok!(sent(set(longer)));
        let ask_back = || {
            let remove = pallet_stake::Call::remove_stake {
                netuid: Netuid(1),
                hotkey: hotkey.clone(),
                amount: Some(CRN),
            };
            assert_ok!(sent(remove));
            let position = readers::position(&Alice.to_account_id(), Netuid(1), &hotkey);
            let unbonding = position.expect("it has some").unbonding;
            unbonding.last().expect("it was asked back").release_at
        };
        let from: BlockNumber = 1 + present.unbonding_period;
        assert_eq!(ask_back(), from);
        System::set_block_number(from - 1);
        assert_eq!(ask_back(), from - 1 + present.unbonding_period);
        System::set_block_number(from);
        assert_eq!(ask_back(), from + 4 * present.unbonding_period);
    });
}

#[test]
fn a_signature_of_another_key_registers_nobody() {
    on_a_subnet(|_| {
        let (alice, bob) = (Alice.to_account_id(), Bob.to_account_id());
        let forged = |call: RuntimeCall| match call {
            RuntimeCall::Subnets(pallet_subnets::Call::register { signature, .. }) => {
                pallet_subnets::Call::<Runtime>::register {
                    netuid: Netuid(1),
                    hotkey: Eve.to_account_id(),
                    role: Role::Miner,
                    max_price: u64::MAX,
                    signature,
                }
            }
            _ => unreachable!("it was made so"),
        };
        for signed in [
            register(Netuid(1), Bob, Role::Miner, &alice),
            register(Netuid(1), Eve, Role::Miner, &bob),
            register(Netuid(2), Eve, Role::Miner, &alice),
        ] {
            assert_noop!(
                sent(forged(signed)),
                pallet_subnets::Error::<Runtime>::BadHotkeySignature
            );
        }
        assert_ok!(sent(forged(register(Netuid(1), Eve, Role::Miner, &alice))));
    });
}

#[test]
fn a_validator_without_a_seat_does_not_mine_instead() {
    on_a_subnet(|bob| {
        let set = pallet_subnets::Call::set_hyperparameters {
            netuid: Netuid(1),
            hyperparameters: Hyperparameters {
                max_validators: 1,
                min_validator_stake: 10 * CRN,
                min_miner_bond: 10 * CRN,
                ..Hyperparameters::default()
            },
        };
        // With members, the owner would have to give notice.
        assert_ok!(RuntimeCall::from(set).dispatch(RuntimeOrigin::root()));
        let (alice, eve) = (Alice.to_account_id(), Eve.to_account_id());
        assert_ok!(sent(register(Netuid(1), Eve, Role::Validator, &alice)));
        let stake = |hotkey: &AccountId, amount| {
            sent(pallet_stake::Call::add_stake {
                netuid: Netuid(1),
                hotkey: hotkey.clone(),
                amount,
            })
        };
        let duties = || {
            let members = readers::members(Netuid(1)).into_iter();
            let duties: Vec<Duty> = members.map(|member| member.role).collect();
            let one_by_one = [&bob, &eve].map(|hotkey| {
                let member = readers::member(Netuid(1), hotkey);
                member.expect("it is one").role
            });
            assert_eq!(duties, one_by_one);
            one_by_one
        };
        assert_eq!(duties(), [Duty::Idle, Duty::Idle]);
        assert_ok!(stake(&bob, 10 * CRN));
        assert_eq!(duties(), [Duty::Validator, Duty::Idle]);
        // Eve sits once she has more, and Bob, who has a bond as well, does not mine instead.
        assert_ok!(sent(pallet_stake::Call::add_bond {
            netuid: Netuid(1),
            hotkey: bob.clone(),
            amount: 10 * CRN,
        }));
        assert_ok!(stake(&eve, 11 * CRN));
        assert_eq!(duties(), [Duty::Idle, Duty::Validator]);
        // Unless his coldkey says so.
        let set_role = |role| {
            sent(pallet_subnets::Call::set_role {
                netuid: Netuid(1),
                hotkey: bob.clone(),
                role,
            })
        };
        assert_ok!(set_role(Role::Miner));
        assert_eq!(duties(), [Duty::Miner, Duty::Validator]);
        let member = readers::member(Netuid(1), &bob).expect("it is one");
        let again = 1 + 2 * Hyperparameters::default().tempo;
        assert_eq!(
            (member.chosen_role, member.role_can_be_set_from),
            (Role::Miner, Some(again))
        );
        let too_soon = pallet_subnets::Error::<Runtime>::RoleTooSoon;
        assert_noop!(set_role(Role::Validator), too_soon);
    });
}
