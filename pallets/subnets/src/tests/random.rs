//! Random calls by a handful of keys: whatever happens, storage stays sound and no token is lost.

use crate::mock::*;
use cairn_primitives::{Hyperparameters, Nano, Netuid, Role, Uid};
use frame_support::traits::Hooks;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Create {
        who: AccountId,
        max_price: u64,
    },
    Set {
        who: AccountId,
        netuid: Netuid,
        hyperparameters: Hyperparameters,
    },
    Register {
        who: AccountId,
        netuid: Netuid,
        hotkey: AccountId,
        max_price: u64,
    },
    SetRole {
        who: AccountId,
        netuid: Netuid,
        hotkey: AccountId,
        role: Role,
    },
    Withdraw {
        who: AccountId,
        netuid: Netuid,
    },
    Swap {
        who: AccountId,
        netuid: Netuid,
        hotkey: AccountId,
        /// Announced; none: finished.
        to: Option<AccountId>,
    },
    Leave {
        who: AccountId,
        netuid: Netuid,
        hotkey: AccountId,
    },
    Dissolve {
        who: AccountId,
        netuid: Netuid,
    },
    Pay {
        netuid: Netuid,
        uid: Uid,
        amount: u64,
    },
    Wait {
        blocks: u32,
    },
}

fn coldkey() -> impl Strategy<Value = AccountId> {
    OWNER..=BOB + 1 // The last one has nothing.
}

/// Hotkeys, among them one that is also a coldkey.
fn hotkey() -> impl Strategy<Value = AccountId> {
    prop_oneof![19 => 20..30u64, 1 => Just(ALICE)]
}

fn max_price() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(u64::MAX), 1 => any::<u64>()]
}

fn hyperparameters() -> impl Strategy<Value = Hyperparameters> {
    let ranges = (
        1..5u16,
        0..40u32,
        900_000..2_000_000_000u64,
        1..100u32,
        900_000_000..9_000_000_000u64,
    );
    ranges.prop_map(
        |(max_members, immunity_period, price, half_life, factor)| Hyperparameters {
            max_members,
            max_validators: 1,
            immunity_period,
            min_registration_price: price,
            registration_half_life: half_life,
            registration_price_factor: Nano(factor),
            ..Default::default()
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let netuid = (0u16..4).prop_map(Netuid);
    prop_oneof![
        1 => (coldkey(), max_price()).prop_map(|(who, max_price)| Step::Create { who, max_price }),
        2 => (coldkey(), netuid.clone(), hyperparameters()).prop_map(
            |(who, netuid, hyperparameters)| Step::Set { who, netuid, hyperparameters }
        ),
        10 => (coldkey(), netuid.clone(), hotkey(), max_price()).prop_map(
            |(who, netuid, hotkey, max_price)| Step::Register { who, netuid, hotkey, max_price }
        ),
        3 => (coldkey(), netuid.clone(), hotkey(), any::<bool>()).prop_map(|(who, netuid, hotkey, validates)| {
            let role = if validates { Role::Validator } else { Role::Miner };
            Step::SetRole { who, netuid, hotkey, role }
        }),
        1 => (coldkey(), netuid.clone()).prop_map(|(who, netuid)| Step::Withdraw { who, netuid }),
        3 => (coldkey(), netuid.clone(), hotkey(), prop::option::of(hotkey()))
            .prop_map(|(who, netuid, hotkey, to)| Step::Swap { who, netuid, hotkey, to }),
        3 => (coldkey(), netuid.clone(), hotkey())
            .prop_map(|(who, netuid, hotkey)| Step::Leave { who, netuid, hotkey }),
        1 => (coldkey(), netuid.clone()).prop_map(|(who, netuid)| Step::Dissolve { who, netuid }),
        2 => (netuid, (0u16..5).prop_map(Uid), any::<u64>())
            .prop_map(|(netuid, uid, amount)| Step::Pay { netuid, uid, amount }),
        3 => (1..200u32).prop_map(|blocks| Step::Wait { blocks }),
    ]
}

/// Plays a step; an error must leave storage as it was.
fn play(step: Step) {
    let before = sp_io::storage::root(sp_runtime::StateVersion::V1);
    let signed = RuntimeOrigin::signed;
    let failed = match step {
        Step::Create { who, max_price } => Subnets::create_subnet(signed(who), max_price).is_err(),
        Step::Set {
            who,
            netuid,
            hyperparameters,
        } => Subnets::set_hyperparameters(signed(who), netuid, hyperparameters).is_err(),
        Step::Register {
            who,
            netuid,
            hotkey,
            max_price,
        } => register(who, netuid, hotkey, max_price).is_err(),
        Step::SetRole {
            who,
            netuid,
            hotkey,
            role,
        } => Subnets::set_role(signed(who), netuid, hotkey, role).is_err(),
        Step::Withdraw { who, netuid } => {
            Subnets::withdraw_hyperparameters(signed(who), netuid).is_err()
        }
        Step::Swap {
            who,
            netuid,
            hotkey,
            to,
        } => match to {
            Some(to) => {
                let signature = signature(to, netuid, who);
                Subnets::announce_swap(signed(who), netuid, hotkey, to, signature).is_err()
            }
            None => Subnets::finish_swap(signed(who), netuid, hotkey).is_err(),
        },
        Step::Leave {
            who,
            netuid,
            hotkey,
        } => Subnets::leave(signed(who), netuid, hotkey).is_err(),
        Step::Dissolve { who, netuid } => Subnets::dissolve_subnet(signed(who), netuid).is_err(),
        Step::Pay {
            netuid,
            uid,
            amount,
        } => {
            Notes::pay(netuid, uid, amount);
            false
        }
        Step::Wait { blocks } => {
            let prices = (Subnets::price(Netuid(1)), Subnets::creation_price());
            let rules = Subnets::rules(Netuid(1));
            System::set_block_number(System::block_number() + blocks);
            // Rules that hold by now may have another lowest price.
            let same = Subnets::rules(Netuid(1)) == rules;
            assert!(!same || Subnets::price(Netuid(1)) <= prices.0);
            assert!(Subnets::creation_price() <= prices.1);
            Subnets::on_initialize(System::block_number());
            false
        }
    };
    if failed {
        assert_eq!(sp_io::storage::root(sp_runtime::StateVersion::V1), before);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_calls_keep_storage_sound(steps in prop::collection::vec(step(), 1..80)) {
        ExtBuilder::default().subnet_with(|h| h.max_members = 64).build_and_execute(|| {
            let issued = Balances::total_issuance() + Notes::burned();
            for step in steps {
                play(step);
                Subnets::do_try_state().unwrap();
                assert_eq!(Balances::total_issuance() + Notes::burned(), issued);
            }
        });
    }
}
