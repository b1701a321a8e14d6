//! Who makes and finalises blocks: authorities that genesis names and governance changes. A session is a BABE epoch.

use frame_support::{
    parameter_types,
    traits::{ConstU32, ConstU64},
};
use frame_system::offchain::{CreateBare, CreateTransactionBase};
use pallet_session::historical;
use sp_runtime::traits::{Convert, ConvertInto, OpaqueKeys};

use crate::{
    block_time,
    governance::{tracks, Track},
    AccountId, Babe, Balance, Balances, Historical, Offences, Runtime, RuntimeCall, RuntimeEvent,
    SessionKeys, UncheckedExtrinsic,
};

/// Slots of a BABE epoch.
pub const EPOCH_SLOTS: u64 = 200;
/// The most authorities.
pub const MAX_AUTHORITIES: u32 = 100;

/// Sessions for which an equivocation can be proven: two days of blocks of six seconds.
pub const KEPT_SESSIONS: u64 = 144;

/// Every slot has an author: a primary one by lottery, else a secondary one by rota.
pub const BABE_GENESIS_EPOCH_CONFIG: sp_consensus_babe::BabeEpochConfiguration =
    sp_consensus_babe::BabeEpochConfiguration {
        c: (1, 4),
        allowed_slots: sp_consensus_babe::AllowedSlots::PrimaryAndSecondaryVRFSlots,
    };

parameter_types! {
    /// Blocks in which the report of an equivocation is taken: as long as it can be proven.
    pub const ReportLongevity: u64 = KEPT_SESSIONS * EPOCH_SLOTS;
}

impl pallet_babe::Config for Runtime {
    type EpochDuration = ConstU64<EPOCH_SLOTS>;
    type ExpectedBlockTime = block_time::Length<Runtime>;
    type EpochChangeTrigger = pallet_babe::ExternalTrigger;
    type DisabledValidators = crate::Session;
    type WeightInfo = ();
    type MaxAuthorities = ConstU32<MAX_AUTHORITIES>;
    type MaxNominators = ConstU32<0>;
    type KeyOwnerProof = sp_session::MembershipProof;
    type EquivocationReportSystem =
        pallet_babe::EquivocationReportSystem<Runtime, Offences, Historical, ReportLongevity>;
}

impl pallet_grandpa::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = ();
    type MaxAuthorities = ConstU32<MAX_AUTHORITIES>;
    type MaxNominators = ConstU32<0>;
    type MaxSetIdSessionEntries = ConstU64<KEPT_SESSIONS>;
    type KeyOwnerProof = sp_session::MembershipProof;
    type EquivocationReportSystem =
        pallet_grandpa::EquivocationReportSystem<Runtime, Offences, Historical, ReportLongevity>;
}

impl pallet_authorship::Config for Runtime {
    type FindAuthor = pallet_session::FindAccountFromAuthorIndex<Runtime, Babe>;
    type EventHandler = ();
}

/// Whoever is asked for is an authority, and there is no more to say of one.
pub struct Nothing;

impl Convert<AccountId, Option<()>> for Nothing {
    fn convert(_: AccountId) -> Option<()> {
        Some(())
    }
}

impl historical::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type FullIdentification = ();
    type FullIdentificationOf = Nothing;
}

impl pallet_offences::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type IdentificationTuple = historical::IdentificationTuple<Runtime>;
    type OnOffenceHandler = crate::Authorities;
}

impl<C> CreateTransactionBase<C> for Runtime
where
    RuntimeCall: From<C>,
{
    type Extrinsic = UncheckedExtrinsic;
    type RuntimeCall = RuntimeCall;
}

impl<C> CreateBare<C> for Runtime
where
    RuntimeCall: From<C>,
{
    fn create_bare(call: RuntimeCall) -> UncheckedExtrinsic {
        UncheckedExtrinsic::new_bare(call)
    }
}

impl crate::authorities::Config for Runtime {
    type Governs = Track<{ tracks::AUTHORITIES }>;
    type Most = ConstU32<MAX_AUTHORITIES>;
    type KeptSessions = ConstU64<KEPT_SESSIONS>;
}

parameter_types! {
    /// What an authority holds for the storage of its keys.
    pub const KeyDeposit: Balance = cairn_primitives::CRN;
}

impl pallet_session::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type ValidatorId = AccountId;
    type ValidatorIdOf = ConvertInto;
    type ShouldEndSession = Babe;
    type NextSessionRotation = Babe;
    type SessionManager = historical::NoteHistoricalRoot<Runtime, crate::Authorities>;
    type SessionHandler = <SessionKeys as OpaqueKeys>::KeyTypeIdProviders;
    type Keys = SessionKeys;
    // An authority that is proven to have equivocated does nothing until the set changes, unless a third is so.
    type DisablingStrategy = pallet_session::disabling::UpToLimitDisablingStrategy<3>;
    type WeightInfo = pallet_session::weights::SubstrateWeight<Runtime>;
    type Currency = Balances;
    type KeyDeposit = KeyDeposit;
}
