//! The traits by which the pallets know each other. No pallet reads another's storage.

use alloc::vec::Vec;
use sp_runtime::DispatchError;

use crate::{Balance, BlockNumber, Hyperparameters, Netuid, Uid};

/// Who is in a subnet. Given by the subnets pallet.
pub trait Membership<AccountId> {
    /// All subnets, ascending.
    fn netuids() -> Vec<Netuid>;
    /// The subnet's hyperparameters; `None` if there is no such subnet.
    fn hyperparameters(netuid: Netuid) -> Option<Hyperparameters>;
    /// The coldkey that owns the subnet.
    fn owner(netuid: Netuid) -> Option<AccountId>;
    /// The uid of a hotkey.
    fn uid(netuid: Netuid, hotkey: &AccountId) -> Option<Uid>;
    /// The hotkey of a uid.
    fn hotkey(netuid: Netuid, uid: Uid) -> Option<AccountId>;
    /// The coldkey that registered the hotkey, on whichever subnet: it owns what the hotkey earns.
    fn coldkey(hotkey: &AccountId) -> Option<AccountId>;
    /// The block at which the uid's present member came.
    fn registered_at(netuid: Netuid, uid: Uid) -> Option<BlockNumber>;
    /// All members, ascending by uid; at most [`crate::MAX_MEMBERS`].
    fn members(netuid: Netuid) -> Vec<(Uid, AccountId)>;
}

/// Who stands behind whom. Given by the stake pallet.
pub trait Stakes<AccountId> {
    /// Stake on a hotkey in a subnet.
    fn stake(netuid: Netuid, hotkey: &AccountId) -> Balance;
    /// Stake on all hotkeys of a subnet.
    fn subnet_stake(netuid: Netuid) -> Balance;
    /// The bond of a hotkey that is not being withdrawn.
    fn bond(netuid: Netuid, hotkey: &AccountId) -> Balance;
    /// Adds a validator's dividend to the stake on its hotkey. The amount leaves a pot; nothing is minted
    /// in balances.
    fn reward(netuid: Netuid, hotkey: &AccountId, amount: Balance) -> Result<(), DispatchError>;
}

/// What the stake pallet holds in all. Given by the stake pallet.
pub trait Ledgers {
    /// Stake on all hotkeys of all subnets.
    fn total_staked() -> Balance;
    /// Bonds of all hotkeys of all subnets, those being withdrawn included.
    fn total_bonded() -> Balance;
}

/// What a member's work was worth. Given by the emissions pallet.
pub trait Incentives {
    /// Incentive of the last epoch, of 65,535.
    fn incentive(netuid: Netuid, uid: Uid) -> u16;
    /// What the last epoch paid the member; the lowest is replaced when a subnet is full.
    fn last_paid(netuid: Netuid, uid: Uid) -> Balance;
}

/// Whether a subnet trains. Given by the training pallet.
pub trait Runs {
    /// Whether the subnet's owner has started a run.
    fn has_run(netuid: Netuid) -> bool;
}

/// Told what happens to a subnet's members, in the order of the tuple.
#[impl_trait_for_tuples::impl_for_tuples(4)]
pub trait OnMember<AccountId> {
    /// `hotkey` became `uid`.
    fn on_joined(_netuid: Netuid, _uid: Uid, _hotkey: &AccountId) {}
    /// `hotkey` left, or was replaced as, `uid`; whatever is kept by uid must go.
    fn on_left(_netuid: Netuid, _uid: Uid, _hotkey: &AccountId) {}
}

/// Told of what is taken out of existence, so that issued stays the sum of all ledgers. Given by the
/// emissions pallet.
pub trait OnBurned {
    /// `amount` pebble were burned.
    fn on_burned(amount: Balance);
}

impl OnBurned for () {
    fn on_burned(_: Balance) {}
}
