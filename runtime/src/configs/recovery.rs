//! Recovery of an account whose key is lost: friends that it named bear that out, and after a delay its inheritor acts
//! for it. Until then the account itself, if its key is not lost after all, ends the attempt.

use alloc::collections::BTreeMap;

use cairn_primitives::CRN;
use cairn_protocol::limits::{LEAST_RECOVERY_DELAY, MOST_RECOVERY_DELAY};
use frame_support::{
    ensure, parameter_types,
    traits::{fungible::HoldConsideration, ConstU32, LinearStoragePrice},
};
use pallet_recovery::{pallet::Attempt, FriendGroupOf, HoldReason};
use sp_runtime::TryRuntimeError;

use super::{accounts::deposit, money::BurnedDust};
use crate::{
    governance::paced, AccountId, Balance, Balances, Recovery, Runtime, RuntimeCall,
    RuntimeHoldReason, System,
};

/// The friends of one group.
pub const MOST_FRIENDS: u32 = 16;

parameter_types! {
    /// An entry, its key, and the deposit's own record.
    pub const RecoveryDepositBase: Balance = deposit(1, 76);
    pub const RecoveryDepositByte: Balance = deposit(0, 1);
    /// What whoever begins an attempt loses if the owner says that it is one on its money.
    pub const SecurityDeposit: Balance = 10 * CRN;
    pub const FriendGroupsReason: RuntimeHoldReason =
        RuntimeHoldReason::Recovery(HoldReason::FriendGroupsStorage);
    pub const AttemptReason: RuntimeHoldReason =
        RuntimeHoldReason::Recovery(HoldReason::AttemptStorage);
    pub const InheritorReason: RuntimeHoldReason =
        RuntimeHoldReason::Recovery(HoldReason::InheritorStorage);
}

/// What is held for what is kept.
type Held<Reason> = HoldConsideration<
    AccountId,
    Balances,
    Reason,
    LinearStoragePrice<RecoveryDepositBase, RecoveryDepositByte, Balance>,
>;

impl pallet_recovery::Config for Runtime {
    type RuntimeCall = RuntimeCall;
    type RuntimeHoldReason = RuntimeHoldReason;
    type BlockNumberProvider = System;
    type Currency = Balances;
    type FriendGroupsConsideration = Held<FriendGroupsReason>;
    type AttemptConsideration = Held<AttemptReason>;
    type InheritorConsideration = Held<InheritorReason>;
    type SecurityDeposit = SecurityDeposit;
    type Slash = BurnedDust;
    type MaxFriendsPerConfig = ConstU32<MOST_FRIENDS>;
    // Measured with more bytes of friends than there can be here.
    type WeightInfo = pallet_recovery::weights::SubstrateWeight<Runtime>;
}

/// Whether the delays of a group leave its owner time to object, and its friends a way back.
pub fn is_timely(group: &FriendGroupOf<Runtime>) -> bool {
    let delay = group.inheritance_delay;
    // What the chain's own delays are divided by is looked up only for what is short.
    let is_long = delay >= LEAST_RECOVERY_DELAY || delay >= paced::<Runtime>(LEAST_RECOVERY_DELAY);
    is_long && delay.max(group.cancel_delay) <= MOST_RECOVERY_DELAY
}

/// Checks that every attempt is of a group that is there, and that whoever began it has put down what it may lose, and
/// nobody anything else.
pub fn do_try_state() -> Result<(), TryRuntimeError> {
    let mut put_down: BTreeMap<AccountId, Balance> = BTreeMap::new();
    for (lost, group, (attempt, _, deposit)) in Attempt::<Runtime>::iter() {
        ensure!(
            Recovery::friend_group_of(&lost, group).is_ok(),
            "a recovery is of no group of friends"
        );
        let sum = put_down.entry(attempt.initiator).or_default();
        *sum = sum.saturating_add(deposit);
    }
    let reason = RuntimeHoldReason::Recovery(HoldReason::SecurityDeposit);
    for (who, holds) in pallet_balances::Holds::<Runtime>::iter() {
        for held in holds.iter().filter(|held| held.id == reason) {
            ensure!(
                put_down.remove(&who) == Some(held.amount),
                "what is held for recoveries is not what was put down"
            );
        }
    }
    ensure!(
        put_down.values().all(|sum| *sum == 0),
        "what was put down for recoveries is not held"
    );
    Ok(())
}
