//! Calls that move money: stake, bonds and balances.

use cairn_primitives::{traits::Positions, Balance, Netuid, CRN};
use frame_support::traits::fungible::Inspect;

use super::{coldkey, hotkey, COLDKEYS};
use crate::{
    tests::{
        chain::Actor,
        play::steps::{Amount, Move, What},
    },
    AccountId, Balances, RuntimeCall, Stake,
};

fn pebble(amount: Amount, signer: Actor, has: Option<Balance>) -> Balance {
    let has = has.unwrap_or_else(|| <Balances as Inspect<AccountId>>::balance(&signer.account()));
    match amount {
        Amount::Nothing => 0,
        Amount::Pebble(n) => n.into(),
        Amount::Crn(n) => Balance::from(n) * CRN,
        Amount::Share(part) => (u128::from(has) * u128::from(part) / 255) as Balance,
        Amount::Everything => has,
        Amount::MoreThanExists => Balance::MAX,
    }
}

/// Stake comes from the hotkey's own coldkey or, every other time, from somebody who delegates.
pub fn stake(one: &Move) -> (Actor, RuntimeCall) {
    use pallet_stake::Call;
    let (netuid, key, other) = (Netuid(one.net), hotkey(one.hotkey), hotkey(one.other));
    let (own, hotkey) = (coldkey(key), key.account());
    let backer = if one.other.is_multiple_of(2) {
        own
    } else {
        Actor(one.other % COLDKEYS)
    };
    let position = <Stake as Positions<AccountId>>::position(&backer.account(), netuid, &hotkey);
    let staked = position.map_or(0, |position| position.staked);
    let some = |all: bool| (!all).then(|| pebble(one.amount, backer, Some(staked)));
    let new = pebble(one.amount, backer, None);
    let (by, call) = match one.what {
        What::AddStake => (
            backer,
            Call::add_stake {
                netuid,
                hotkey,
                amount: new,
            },
        ),
        What::RemoveStake { all } => (
            backer,
            Call::remove_stake {
                netuid,
                hotkey,
                amount: some(all),
            },
        ),
        What::WithdrawStake => (backer, Call::withdraw_stake { netuid, hotkey }),
        What::MoveStake { all } => {
            let (to_netuid, to_hotkey, amount) = (Netuid(one.to_net), other.account(), some(all));
            (
                backer,
                Call::move_stake {
                    netuid,
                    hotkey,
                    to_netuid,
                    to_hotkey,
                    amount,
                },
            )
        }
        What::TransferStake { all } => {
            let (to, amount) = (Actor(one.other % COLDKEYS).account(), some(all));
            (
                own,
                Call::transfer_stake {
                    to,
                    netuid,
                    hotkey,
                    amount,
                },
            )
        }
        What::SetTake { take } => (own, Call::set_take { hotkey, take }),
        What::SetForeignStake { allowed } => (own, Call::set_foreign_stake { hotkey, allowed }),
        What::AddBond => (
            own,
            Call::add_bond {
                netuid,
                hotkey,
                amount: new,
            },
        ),
        What::Unbond => (own, Call::unbond { netuid, hotkey }),
        _ => (own, Call::withdraw_bond { netuid, hotkey }),
    };
    (by, RuntimeCall::Stake(call))
}

pub fn balances(one: &Move) -> (Actor, RuntimeCall) {
    use pallet_balances::Call;
    let by = Actor(one.other % COLDKEYS);
    let value = pebble(one.amount, by, None);
    let dest = hotkey(one.hotkey).account().into();
    let call = match one.what {
        What::Transfer {
            all: true,
            keep_alive,
        } => Call::transfer_all { dest, keep_alive },
        What::Transfer {
            keep_alive: true, ..
        } => Call::transfer_keep_alive { dest, value },
        What::Transfer { .. } => Call::transfer_allow_death { dest, value },
        _ => Call::burn {
            value,
            keep_alive: true,
        },
    };
    (by, RuntimeCall::Balances(call))
}
