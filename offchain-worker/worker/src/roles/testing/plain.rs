//! Answers of a chain as plain values.

use cairn_chain::{AccountId, MemberInfo, RoundInfo, RunInfo, SubnetInfo};
use cairn_primitives::{api::Duty, Hyperparameters, Netuid, Phase, Role, Uid, H256};
use cairn_protocol::{assignment::round_seed, phase::Timetable};

use super::{fixture::config, PHASES};

/// The subnet of these answers.
const NETUID: Netuid = Netuid(7);

/// A subnet by default rules.
pub fn a_subnet() -> SubnetInfo {
    SubnetInfo {
        netuid: NETUID,
        owner: AccountId([9; 32]),
        created_at: 0,
        members: 2,
        registration_price: 0,
        dissolves_from: None,
        can_be_set_from: None,
        stake: 0,
        bonds: 0,
        has_run: true,
        is_clearing_run: false,
        hyperparameters: Hyperparameters::default(),
        announced: None,
    }
}

/// A member with nothing behind it.
pub fn a_member(uid: Uid, hotkey: AccountId) -> MemberInfo {
    MemberInfo {
        uid,
        hotkey,
        coldkey: hotkey,
        role: Duty::Miner,
        chosen_role: Role::Miner,
        role_can_be_set_from: None,
        takes_foreign_stake: true,
        swap: None,
        registered_at: 0,
        stake: 0,
        bond: 0,
        take: 0,
        incentive: 0,
        dividends: 0,
        last_paid: 0,
        earned: 0,
    }
}

/// A run in its round 0, with nobody in it.
pub fn a_run() -> RunInfo {
    RunInfo {
        config: config(),
        started_at: 1,
        round: RoundInfo {
            round: 0,
            times: Timetable::new(1, &PHASES).0,
            phase: Phase::Train,
            seed: round_seed(NETUID, 0, H256::zero()),
            pass: 0,
            cursor: 0,
            miners: Vec::new(),
            validators: Vec::new(),
            base: None,
        },
        oldest_round: 0,
        absent: Vec::new(),
        unawaited: Vec::new(),
        next: None,
    }
}
