//! Calls of subnets and of who is in them.

use cairn_primitives::{Balance, Hyperparameters, Netuid, Role};

use super::{coldkey, hotkey, owner, COLDKEYS};
use crate::{
    tests::{
        chain::Actor,
        play::steps::{Move, What},
    },
    RuntimeCall,
};

/// Rules under which much happens in few blocks.
fn rules(tempo: u8, max_members: u8, periods: u8, wrong: bool) -> Hyperparameters {
    Hyperparameters {
        commit_reveal: periods % 2 == 1,
        tempo: if wrong { 0 } else { 5 + u32::from(tempo % 32) },
        max_members: 2 + u16::from(max_members % 12),
        max_validators: 2,
        immunity_period: u32::from(periods % 16),
        activity_cutoff: 1 + u32::from(periods % 10),
        unbonding_period: 5 + u32::from(periods % 16),
        registration_half_life: 1 + u32::from(periods),
        ..Hyperparameters::default()
    }
}

pub fn subnets(one: &Move) -> (Actor, RuntimeCall) {
    use pallet_subnets::Call;
    let (netuid, key) = (Netuid(one.net), hotkey(one.hotkey));
    let max_price = Balance::MAX;
    let (by, call) = match &one.what {
        What::CreateSubnet => (
            Actor(one.other % COLDKEYS),
            Call::create_subnet { max_price },
        ),
        What::Register { validates } => {
            let by = coldkey(key);
            let call = Call::register {
                netuid,
                hotkey: key.account(),
                role: role(*validates),
                max_price,
                signature: key.registers(netuid, &by.account()),
            };
            (by, call)
        }
        What::SetRole { validates } => {
            let call = Call::set_role {
                netuid,
                hotkey: key.account(),
                role: role(*validates),
            };
            (coldkey(key), call)
        }
        What::WithdrawHyperparameters => (owner(netuid), Call::withdraw_hyperparameters { netuid }),
        What::SetHyperparameters {
            tempo,
            max_members,
            periods,
            wrong,
        } => {
            let hyperparameters = rules(*tempo, *max_members, *periods, *wrong);
            (
                owner(netuid),
                Call::set_hyperparameters {
                    netuid,
                    hyperparameters,
                },
            )
        }
        What::DissolveSubnet => (owner(netuid), Call::dissolve_subnet { netuid }),
        _ => (
            coldkey(key),
            Call::leave {
                netuid,
                hotkey: key.account(),
            },
        ),
    };
    (by, RuntimeCall::Subnets(call))
}

pub fn swaps(one: &Move) -> (Actor, RuntimeCall) {
    use pallet_subnets::Call;
    let (netuid, key, other) = (one.net, hotkey(one.hotkey), hotkey(one.other));
    let (by, hotkey) = (coldkey(key), key.account());
    let call = match one.what {
        What::AnnounceSwap => Call::announce_swap {
            netuid: Netuid(netuid),
            hotkey,
            to: other.account(),
            signature: other.registers(Netuid(netuid), &by.account()),
        },
        What::CancelSwap => Call::cancel_swap {
            netuid: Netuid(netuid),
            hotkey,
        },
        _ => Call::finish_swap {
            netuid: Netuid(netuid),
            hotkey,
        },
    };
    (by, RuntimeCall::Subnets(call))
}

fn role(validates: bool) -> Role {
    match validates {
        true => Role::Validator,
        false => Role::Miner,
    }
}
