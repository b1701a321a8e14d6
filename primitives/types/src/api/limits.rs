//! What the chain allows, and whose a hotkey is: what somebody has to know to be told why a call was refused.

use alloc::vec::Vec;
use codec::{Decode, Encode};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

use super::pebble;
use crate::{Balance, BlockNumber, Netuid, Uid};

/// A place in a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct Seat {
    /// The subnet.
    pub netuid: Netuid,
    /// The number there.
    pub uid: Uid,
}

/// A hotkey: whose it is, where it is a member, and what its owner takes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct HotkeyInfo<AccountId> {
    /// The hotkey.
    pub hotkey: AccountId,
    /// The coldkey that first registered it and owns it for ever; null if nobody has.
    pub coldkey: Option<AccountId>,
    /// Where it is a member, ascending by subnet.
    pub seats: Vec<Seat>,
    /// Share of its dividends that its coldkey takes, of 65,535.
    pub take: u16,
    /// The highest take that can be set now, of 65,535.
    pub highest_take_now: u16,
    /// The block from which on the take can be raised; null if it can be now. It can be lowered at any time.
    pub take_can_rise_from: Option<BlockNumber>,
}

/// Limits that hold for everybody on this chain.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo, Serialize, Deserialize)]
pub struct Limits {
    /// What an account has to keep so that it is not closed.
    #[serde(with = "pebble")]
    pub existential_deposit: Balance,
    /// The least that can be staked or bonded at a time, and the least that can be left of a stake.
    #[serde(with = "pebble")]
    pub minimum_stake: Balance,
    /// The most withdrawals that one position can wait for at a time.
    pub max_unbonding: u32,
    /// The highest take, of 65,535.
    pub max_take: u16,
    /// By how much a take can be raised at a time, of 65,535.
    pub take_step: u16,
    /// Blocks between setting a take and raising it.
    pub take_interval: BlockNumber,
    /// Blocks between two changes of a subnet's hyperparameters by its owner.
    pub hyperparameters_interval: BlockNumber,
    /// Blocks for which work can be checked: no `unbonding_period` can be shorter.
    pub audit_window: BlockNumber,
    /// The most subnets at a time, those that are being dissolved included.
    pub max_subnets: u32,
    /// The most bytes of one transaction that anybody signs.
    pub max_transaction_bytes: u32,
}
