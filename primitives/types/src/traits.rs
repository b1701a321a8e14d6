//! The traits by which the pallets know each other. No pallet reads another's storage.

use alloc::{collections::BTreeMap, vec::Vec};
use sp_runtime::DispatchError;

use crate::{
    api::Position, AuditRules, Balance, BlockNumber, Hyperparameters, Netuid, Role, Round, Uid,
    Verdicts, H256,
};

pub use crate::Questions;

/// Who is in a subnet. Given by the subnets pallet.
pub trait Membership<AccountId> {
    /// All subnets that are at work, ascending: not those that are being dissolved.
    fn netuids() -> Vec<Netuid>;
    /// Whether the subnet is being dissolved. It still answers every other question until nothing is left of
    /// it; but nothing new may begin there, and no call is accepted that does not take money out.
    fn is_dissolving(_netuid: Netuid) -> bool {
        false
    }
    /// The subnet's hyperparameters; `None` if there is no such subnet.
    fn hyperparameters(netuid: Netuid) -> Option<Hyperparameters>;
    /// The hyperparameters that the subnet's owner has announced and that do not hold yet; `None` if there are none.
    fn announced(_netuid: Netuid) -> Option<Hyperparameters> {
        None
    }
    /// The coldkey that owns the subnet.
    fn owner(netuid: Netuid) -> Option<AccountId>;
    /// The uid of a hotkey.
    fn uid(netuid: Netuid, hotkey: &AccountId) -> Option<Uid>;
    /// The hotkey of a uid.
    fn hotkey(netuid: Netuid, uid: Uid) -> Option<AccountId>;
    /// The coldkey that registered the hotkey, on whichever subnet: it owns what the hotkey earns.
    fn coldkey(hotkey: &AccountId) -> Option<AccountId>;
    /// What the uid's present member is there for.
    fn role(netuid: Netuid, uid: Uid) -> Option<Role>;
    /// The block at which the uid's present member came.
    fn registered_at(netuid: Netuid, uid: Uid) -> Option<BlockNumber>;
    /// All members, ascending by uid; at most [`crate::MAX_MEMBERS`].
    fn members(netuid: Netuid) -> Vec<(Uid, AccountId)>;
}

/// Who stands behind whom. Given by the stake pallet.
pub trait Stakes<AccountId> {
    /// Stake on a hotkey in a subnet that counts: without what is being withdrawn.
    fn stake(netuid: Netuid, hotkey: &AccountId) -> Balance;
    /// Stake on all hotkeys of a subnet that counts.
    fn subnet_stake(netuid: Netuid) -> Balance;
    /// The bond of a hotkey that is not being withdrawn.
    fn bond(netuid: Netuid, hotkey: &AccountId) -> Balance;
    /// Adds a validator's dividend to the stake on its hotkey: the hotkey's take becomes stake of its coldkey,
    /// the rest raises what everybody's stake on it is worth. The amount leaves a pot; nothing is minted in
    /// balances.
    fn reward(netuid: Netuid, hotkey: &AccountId, amount: Balance) -> Result<(), DispatchError>;
}

/// What the stake pallet holds in all. Given by the stake pallet.
pub trait Ledgers {
    /// Stake on all hotkeys of all subnets that counts.
    fn total_staked() -> Balance;
    /// Stake on all hotkeys of all subnets that is being withdrawn and counts no more.
    fn total_unbonding() -> Balance;
    /// Bonds of all hotkeys of all subnets, those being withdrawn included.
    fn total_bonded() -> Balance;
}

/// What an account stands behind. Given by the stake pallet.
pub trait Positions<AccountId> {
    /// The next positions of a coldkey, at most `limit`, in an order of their own that does not change while
    /// none comes or goes: from the first one, or after the one on (netuid, hotkey).
    fn positions(
        coldkey: &AccountId,
        after: Option<(Netuid, AccountId)>,
        limit: u32,
    ) -> Vec<Position<AccountId>>;
    /// The coldkey's position on one hotkey in one subnet.
    fn position(
        coldkey: &AccountId,
        netuid: Netuid,
        hotkey: &AccountId,
    ) -> Option<Position<AccountId>>;
    /// Share of a hotkey's dividends that goes to its coldkey before its stakers get theirs, of 65,535.
    fn take(hotkey: &AccountId) -> u16;
}

/// Punishes. Given by the stake pallet.
pub trait Slashing<AccountId> {
    /// Takes `amount`, or as much as there is, from what stands behind a hotkey in a subnet: from its bond
    /// first, then from its stake, each with what is being withdrawn of it. The reporter gets its share, the
    /// rest is burned. Returns what was taken.
    fn slash(
        netuid: Netuid,
        hotkey: &AccountId,
        amount: Balance,
        reporter: Option<&AccountId>,
    ) -> Balance;
    /// Takes the whole bond of a hotkey in a subnet, with what is being withdrawn of it, and none of its stake. The
    /// reporters get the share of one, in equal parts; the rest is burned. Returns what was taken.
    fn slash_bond(netuid: Netuid, hotkey: &AccountId, reporters: &[AccountId]) -> Balance;
}

/// Gives back what a pallet keeps of a subnet that is being dissolved. A tuple does it one after the other.
pub trait Dissolve {
    /// The dissolution begins: what is in progress on the subnet ends without result. Called once, before
    /// [`Dissolve::dissolve`] and possibly many blocks before; bounded work.
    fn on_dissolving(_netuid: Netuid) {}
    /// Gives back or removes at most `limit` storage items of the subnet, and says how many; fewer than
    /// `limit` means that nothing is left. Called over and over until then, in blocks that need not follow one
    /// another, while the subnet and its members still answer to [`Membership`].
    fn dissolve(_netuid: Netuid, _limit: u32) -> u32 {
        0
    }
}

#[impl_trait_for_tuples::impl_for_tuples(4)]
impl Dissolve for Tuple {
    fn on_dissolving(netuid: Netuid) {
        for_tuples!( #( Tuple::on_dissolving(netuid); )* );
    }

    fn dissolve(netuid: Netuid, limit: u32) -> u32 {
        let mut done = 0u32;
        for_tuples!( #(
            let left = limit.saturating_sub(done);
            if left > 0 {
                done = done.saturating_add(Tuple::dissolve(netuid, left));
            }
        )* );
        done
    }
}

/// What a member's work was worth. Given by the emissions pallet.
pub trait Incentives {
    /// Incentive of the last epoch, of 65,535.
    fn incentive(netuid: Netuid, uid: Uid) -> u16;
    /// What the last epoch paid the member; the lowest is replaced when a subnet is full.
    fn last_paid(netuid: Netuid, uid: Uid) -> Balance;
    /// A run begins: until the next epoch nobody has incentive. Registers what that weighs.
    fn forget(netuid: Netuid);
}

/// Whether a subnet trains. Given by the training pallet.
pub trait Runs {
    /// Whether the subnet's owner has started a run.
    fn has_run(netuid: Netuid) -> bool;
}

/// What a subnet's members did of late. Given by the training pallet, told of epochs by the emissions pallet.
pub trait Work {
    /// Whether the subnet has worked of late: only then it takes part in what blocks issue.
    fn claims(netuid: Netuid) -> bool;
    /// Whose contributions were included since the last epoch, or before it while no round was settled since.
    fn included(netuid: Netuid) -> Verdicts;
    /// How many of the last final rounds each validator attested with the final root, and of how many. Who is not in
    /// the map attested none.
    fn attended(netuid: Netuid) -> BTreeMap<Uid, (u32, u32)>;
    /// What of each validator's stake, in pebble, would count in a round that began now. Who is not expected is not in
    /// the map.
    fn counted(netuid: Netuid, stakes: Vec<(Uid, Balance)>) -> BTreeMap<Uid, Balance>;
    /// An epoch has run: a new tempo begins.
    fn on_epoch(netuid: Netuid);
}

/// A round that was settled, as far as audits need it.
pub struct Settled<'a, AccountId> {
    /// The subnet.
    pub netuid: Netuid,
    /// The round.
    pub round: Round,
    /// What its audits are drawn from: nobody knew it at the reveals.
    pub seed: H256,
    /// How its run audits.
    pub rules: AuditRules,
    /// The most contributions that a round of the run includes.
    pub max_contributors: u16,
    /// Parameters of the run's model.
    pub parameters: u64,
    /// Whose contributions it included.
    pub included: &'a [(Uid, AccountId)],
    /// Its validators that have not left, with their stake in it, in pebble.
    pub validators: &'a [(Uid, AccountId, Balance)],
}

/// Audits what rounds included. Given by the audits pallet, told by the training pallet.
pub trait Audits<AccountId> {
    /// A round was settled: some of what it included is audited from now on. What this costs is added to the block's
    /// weight.
    fn on_settled(settled: Settled<'_, AccountId>);
    /// Members of whom an audit has ended without finding their work false; none where nothing is audited. Reads one
    /// item.
    fn proven(netuid: Netuid) -> Verdicts;
    /// The subnet's run is stopped: its open audits end without a verdict, once [`Audits::clear`] has removed them.
    /// Says whose work was in question, and stays so; `None` where nothing was audited.
    fn on_stopped(netuid: Netuid) -> Option<Questions>;
    /// A round is no longer kept: what is known of its audits goes. Says how many storage items went.
    fn forget(netuid: Netuid, round: Round) -> u32;
    /// Removes open audits of a stopped run, about `limit` storage items, and says how many; fewer than `limit` means
    /// that none is left.
    fn clear(netuid: Netuid, limit: u32) -> u32;
}

/// What audits leave open. Given by the audits pallet.
pub trait Asked {
    /// Whose work is in question; `None` where nothing is audited.
    fn questions(netuid: Netuid) -> Option<Questions>;
}

impl Asked for () {
    fn questions(_: Netuid) -> Option<Questions> {
        None
    }
}

/// What miners earned and do not have yet. Given by the emissions pallet, told by the audits pallet.
pub trait Wages {
    /// The member lost an audit, and with it what is withheld of it, which goes back to the miners' pot. Returns how
    /// much that was.
    fn forfeit(netuid: Netuid, uid: Uid) -> Balance;
    /// The subnet's run is stopped with these questions open: all members have what is withheld of them and not in
    /// question, and the rest is burned; who is in question has no incentive any more. What this costs is added to the
    /// block's weight.
    fn on_stopped(netuid: Netuid, questions: &Questions);
}

impl Wages for () {
    fn forfeit(_: Netuid, _: Uid) -> Balance {
        0
    }
    fn on_stopped(_: Netuid, _: &Questions) {}
}

impl<AccountId> Audits<AccountId> for () {
    fn on_settled(_: Settled<'_, AccountId>) {}
    fn proven(_: Netuid) -> Verdicts {
        Verdicts::default()
    }
    fn on_stopped(_: Netuid) -> Option<Questions> {
        None
    }
    fn forget(_: Netuid, _: Round) -> u32 {
        0
    }
    fn clear(_: Netuid, _: u32) -> u32 {
        0
    }
}

/// Who is expected in rounds. Given by the training pallet, told by the audits pallet.
pub trait Attendance<AccountId> {
    /// The work of a member, if it is still one, was not what it claimed: it is not expected until it says that it is
    /// back.
    fn on_false_work(netuid: Netuid, uid: Uid, hotkey: &AccountId);
    /// A validator, if it is still a member, owed an audit and revealed nothing, or what a dispute did not bear out: the
    /// last final round counts as one that it missed.
    fn on_missed_audit(netuid: Netuid, uid: Uid, hotkey: &AccountId);
}

/// Told what happens to a subnet's members, in the order of the tuple.
#[impl_trait_for_tuples::impl_for_tuples(5)]
pub trait OnMember<AccountId> {
    /// `hotkey` became `uid`.
    fn on_joined(_netuid: Netuid, _uid: Uid, _hotkey: &AccountId) {}
    /// `hotkey` left, or was replaced as, `uid`; whatever is kept by uid must go.
    fn on_left(_netuid: Netuid, _uid: Uid, _hotkey: &AccountId) {}
    /// The member `uid` signs as `new` from now on instead of as `old`; what is kept by uid stays.
    fn on_swapped(_netuid: Netuid, _uid: Uid, _old: &AccountId, _new: &AccountId) {}
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
