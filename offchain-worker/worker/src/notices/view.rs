//! What the chain says, at one block, of a member and of what its coldkey stands behind.

use std::collections::{BTreeMap, BTreeSet};

use cairn_chain::AccountId;
use cairn_primitives::{AuditOutcome, Balance, BlockNumber, EpochIndex, Netuid, Round, Uid};

/// All that notices are about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The block.
    pub block: BlockNumber,
    /// The member; `None` if the hotkey is none, or none any more.
    pub member: Option<Member>,
    /// Whether the subnet is full and the next newcomer takes this member's seat.
    pub goes_next: bool,
    /// The block in which the subnet's run was started; `None` if it has none.
    pub run: Option<BlockNumber>,
    /// Audits of the member's work that are not over, by their rounds.
    pub audits: BTreeSet<Round>,
    /// How audits ended that were open at the last look.
    pub outcomes: BTreeMap<Round, AuditOutcome>,
    /// What the coldkey stands behind, the member itself included.
    pub positions: BTreeMap<(Netuid, AccountId), Stake>,
    /// What friends of the coldkey have begun who say that its key is lost, by the number of their group.
    pub recoveries: BTreeMap<u32, Recovery>,
    /// Who acts for the coldkey, if it was recovered.
    pub inheritor: Option<AccountId>,
}

/// A recovery of the coldkey that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// By whom.
    pub by: AccountId,
    /// In which block.
    pub since: BlockNumber,
    /// The first block in which it can be finished.
    pub not_before: BlockNumber,
    /// Who acts for the coldkey then.
    pub inheritor: AccountId,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub uid: Uid,
    /// The block in which it came.
    pub registered_at: BlockNumber,
    /// Epochs of the subnet so far.
    pub epochs: EpochIndex,
    /// Of them, those at the end in which it was paid nothing, as far as the chain keeps them.
    pub dry: EpochIndex,
    /// Its bond that counts, in pebble.
    pub bond: Balance,
    /// Its bond that was asked back, in pebble.
    pub unbonding_bond: Balance,
    /// The block from which on that can be had; `None` if there is none.
    pub bond_release_at: Option<BlockNumber>,
    /// The hotkey that was announced in the place of its own, and the block from which on it can be.
    pub swap: Option<(AccountId, BlockNumber)>,
}

/// What a coldkey has on a hotkey.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stake {
    /// What counts, in pebble.
    pub staked: Balance,
    /// What was asked back, in pebble, and the block from which on it can be had.
    pub unbonding: Vec<(Balance, BlockNumber)>,
    /// Share of its dividends that the hotkey's coldkey takes, of 65,535.
    pub take: u16,
}
