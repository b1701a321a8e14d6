//! Calls about scores, and what validators do about theirs.

use cairn_primitives::{
    scores_hash,
    traits::{Membership, Stakes},
    Hotkey, Netuid, Role, Served, Uid, H256,
};
use pallet_emissions::Row;

use super::hotkey;
use crate::{
    tests::{
        chain::Actor,
        play::steps::{Move, What},
    },
    AccountId, Runtime, RuntimeCall, Stake, Subnets,
};

/// The file of evidence of all rows.
const FILE: Served = Served {
    root: H256([8; 32]),
    length: 9,
};

pub fn emissions(one: &Move) -> (Actor, RuntimeCall) {
    let (netuid, by) = (Netuid(one.net), hotkey(one.hotkey));
    let call = match &one.what {
        What::SetScores { row } => pallet_emissions::Call::set_scores {
            netuid,
            scores: row.clone().try_into().unwrap_or_default(),
        },
        What::RevealScores { wrong_salt } => reveal_scores(netuid, by, u8::from(*wrong_salt)),
        _ => commit_scores(netuid, by),
    };
    (by, RuntimeCall::Emissions(call))
}

/// The number of the subnet's next epoch.
fn next_epoch(netuid: Netuid) -> u32 {
    pallet_emissions::SubnetLedgers::<Runtime>::get(netuid).map_or(0, |ledger| ledger.epochs)
}

/// A member's usual scores on the others: more for higher uids.
fn usual_scores(netuid: Netuid, by: Actor) -> Row {
    let others = Subnets::members(netuid)
        .into_iter()
        .filter(|(_, key)| *key != by.account());
    let row: Vec<(Uid, u16)> = others.map(|(uid, _)| (uid, 100 + uid.get())).collect();
    row.try_into().unwrap_or_default()
}

fn commit_scores(netuid: Netuid, by: Actor) -> pallet_emissions::Call<Runtime> {
    let (epoch, account) = (next_epoch(netuid), by.account());
    let scores = usual_scores(netuid, by);
    let hash = scores_hash(
        netuid,
        epoch,
        &Hotkey::of(&account),
        &scores,
        FILE,
        &[by.0; 32],
    );
    pallet_emissions::Call::commit_scores {
        netuid,
        epoch,
        hash,
    }
}

/// Reveals what [`commit_scores`] committed to before the last epoch.
fn reveal_scores(netuid: Netuid, by: Actor, twist: u8) -> pallet_emissions::Call<Runtime> {
    pallet_emissions::Call::reveal_scores {
        netuid,
        epoch: next_epoch(netuid).saturating_sub(1),
        scores: usual_scores(netuid, by),
        evidence: FILE,
        salt: [by.0 ^ twist; 32],
    }
}

/// What every validator does about its scores: by commit and reveal, or in the open.
pub fn scores(netuid: Netuid) -> Vec<(Actor, RuntimeCall)> {
    let Some(rules) = Subnets::hyperparameters(netuid) else {
        return Vec::new();
    };
    let stake = |key: &AccountId| <Stake as Stakes<AccountId>>::stake(netuid, key);
    let mut calls = Vec::new();
    for (uid, key) in Subnets::members(netuid) {
        let validates = Subnets::role(netuid, uid) == Some(Role::Validator)
            && stake(&key) >= rules.min_validator_stake;
        let Some(by) = Actor::of(&key).filter(|_| validates) else {
            continue;
        };
        if rules.commit_reveal {
            calls.push((by, reveal_scores(netuid, by, 0)));
            calls.push((by, commit_scores(netuid, by)));
        } else {
            let scores = usual_scores(netuid, by);
            calls.push((by, pallet_emissions::Call::set_scores { netuid, scores }));
        }
    }
    calls
        .into_iter()
        .map(|(by, call)| (by, RuntimeCall::Emissions(call)))
        .collect()
}
