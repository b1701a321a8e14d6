//! The runtime APIs behind the RPC namespaces `subnets_`, `training_`, `audits_`, `endpoints_` and
//! `emissions_`.
//!
//! Each answers from the state of one block and is a plain read. Lists are bounded by what the chain keeps, and those
//! that take a `limit` come in pages: of 1 to 256, and the next page begins one after the last number of this one.

#![cfg_attr(not(feature = "std"), no_std)]
// The macro writes the bounds of type parameters twice.
#![allow(clippy::multiple_bound_locations)]

extern crate alloc;

use alloc::vec::Vec;
use cairn_primitives::{
    api::{
        AccountEarning, AuditInfo, ContributionInfo, EndedRun, EpochPage, HotkeyInfo, Issuance,
        Limits, LineageEntry, MemberEmission, MemberEndpoints, MemberEpoch, MemberInfo, Position,
        RoundInfo, RunInfo, Schedule, Scoring, SettledRound, SubnetEmission, SubnetEpoch,
        SubnetInfo, ValidatorScores,
    },
    AuditOutcome, Balance, EpochIndex, Netuid, Round, Uid,
};
use codec::Codec;

sp_api::decl_runtime_apis! {
    /// Which subnets there are and who is in them.
    pub trait SubnetsApi<AccountId: Codec> {
        /// At most `limit` of all subnets, ascending, from number `from` on.
        fn subnets(from: Netuid, limit: u32) -> Vec<SubnetInfo<AccountId>>;
        /// One subnet.
        fn subnet(netuid: Netuid) -> Option<SubnetInfo<AccountId>>;
        /// At most `limit` of its members, ascending, from uid `from` on.
        fn members(netuid: Netuid, from: Uid, limit: u32) -> Vec<MemberInfo<AccountId>>;
        /// The member with this hotkey.
        fn member(netuid: Netuid, hotkey: AccountId) -> Option<MemberInfo<AccountId>>;
        /// What creating a subnet costs now.
        fn creation_price() -> Balance;
        /// Whose a hotkey is, where it is a member, and what its owner takes.
        fn hotkey(hotkey: AccountId) -> HotkeyInfo<AccountId>;
        /// The hotkeys that a coldkey owns: at most 256, from the first or after this one, in an order of their own.
        fn hotkeys(coldkey: AccountId, after: Option<AccountId>) -> Vec<AccountId>;
        /// Limits that hold for everybody.
        fn limits() -> Limits;
        /// What a coldkey stands behind: at most 256 positions, from the first or after the one on that subnet and
        /// hotkey, in an order of their own.
        fn positions(
            coldkey: AccountId,
            after: Option<(Netuid, AccountId)>,
        ) -> Vec<Position<AccountId>>;
        /// What a coldkey has on one hotkey in one subnet.
        fn position(
            coldkey: AccountId,
            netuid: Netuid,
            hotkey: AccountId,
        ) -> Option<Position<AccountId>>;
    }

    /// What is being trained.
    pub trait TrainingApi<AccountId: Codec> {
        /// The subnet's run.
        fn run(netuid: Netuid) -> Option<RunInfo<AccountId>>;
        /// A round that is still kept.
        fn round(netuid: Netuid, round: Round) -> Option<RoundInfo<AccountId>>;
        /// At most `limit` of the commitments of a round, ascending by uid, from uid `from` on.
        fn contributions(
            netuid: Netuid,
            round: Round,
            from: Uid,
            limit: u32,
        ) -> Vec<ContributionInfo<AccountId>>;
        /// How a round ended; `None` while it has not, or if it is no longer kept.
        fn settled(netuid: Netuid, round: Round) -> Option<SettledRound>;
        /// At most 256 entries of the lineage, from round `from` on.
        fn lineage(netuid: Netuid, from: Round) -> Vec<LineageEntry>;
        /// The subnet's last stopped run; `None` if none was stopped.
        fn ended_run(netuid: Netuid) -> Option<EndedRun>;
    }

    /// Whether work is what it claims.
    pub trait AuditsApi<AccountId: Codec> {
        /// At most `limit` of the open audits of a subnet, ascending by round and uid, from the first, or after the one
        /// of that round and uid.
        fn open(
            netuid: Netuid,
            after: Option<(Round, Uid)>,
            limit: u32,
        ) -> Vec<AuditInfo<AccountId>>;
        /// How the audit of a contribution ended; `None` if it was not audited, or if its round is no longer kept.
        fn outcome(netuid: Netuid, round: Round, uid: Uid) -> Option<AuditOutcome>;
    }

    /// Where its files can be had.
    pub trait EndpointsApi<AccountId: Codec> {
        /// The endpoints that members of a subnet have named, ascending by uid, from uid `from` on: of at most `limit`
        /// members; nothing of who named none.
        fn endpoints(netuid: Netuid, from: Uid, limit: u32) -> Vec<MemberEndpoints<AccountId>>;
        /// What those of these hotkeys that are members have named, in this order; of 16 hotkeys at most.
        fn endpoints_of(netuid: Netuid, hotkeys: Vec<AccountId>) -> Vec<MemberEndpoints<AccountId>>;
    }

    /// Whether the chain's books are right. Only runtimes built for development answer: it reads the whole
    /// state.
    pub trait AuditApi {
        /// What is issued is the sum of balances, stakes, unbonding stakes, bonds and pots, and the storage of every
        /// pallet is as it promises; otherwise the first thing that is not.
        fn audit() -> Result<(), Vec<u8>>;
    }

    /// What it was worth.
    pub trait EmissionsApi<AccountId: Codec> {
        /// How the token comes into being.
        fn schedule() -> Schedule;
        /// Where everything that was issued is.
        fn issuance() -> Issuance;
        /// A subnet's emission.
        fn emission(netuid: Netuid) -> Option<SubnetEmission>;
        /// A member and what it earned; `None` if there is no such member.
        fn member_emission(netuid: Netuid, uid: Uid) -> Option<MemberEmission<AccountId>>;
        /// At most `limit` of the last 64 epochs of a subnet, from number `from` on; `None` if there is no
        /// such subnet.
        fn subnet_history(
            netuid: Netuid,
            from: EpochIndex,
            limit: u32,
        ) -> Option<EpochPage<SubnetEpoch>>;
        /// At most `limit` of the last 64 epochs of a subnet, from number `from` on, in which a member had a
        /// share or was paid; `None` if there is no such member.
        fn member_history(
            netuid: Netuid,
            uid: Uid,
            from: EpochIndex,
            limit: u32,
        ) -> Option<EpochPage<MemberEpoch>>;
        /// What the validator with this hotkey has to know to set its scores; `None` if there is no such
        /// subnet.
        fn voting(netuid: Netuid, hotkey: AccountId) -> Option<Scoring>;
        /// The scores of each validator of a subnet that count now, ascending by uid, with what it committed to as
        /// evidence of them.
        fn scores(netuid: Netuid) -> Vec<ValidatorScores<AccountId>>;
        /// What an account has and earned in each subnet through the hotkeys that it owns, stands behind, or is:
        /// at most 256 that it stands behind, and as many that it owns (`positions` and `hotkeys` go on from there).
        fn account(account: AccountId) -> Vec<AccountEarning<AccountId>>;
    }
}
