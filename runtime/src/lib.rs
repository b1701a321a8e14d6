//! The runtime of the Cairn chain: Substrate's pallets for blocks, sessions and balances, and five of our
//! own, which stand on each other in this order:
//!
//! | pallet | answers |
//! |---|---|
//! | [`pallet_subnets`] | who is in |
//! | [`pallet_stake`] | who stands behind whom |
//! | [`pallet_training`] | what was done |
//! | [`pallet_audits`] | whether it was |
//! | [`pallet_endpoints`] | where its files can be had |
//! | [`pallet_emissions`] | what it was worth |
//!
//! They know each other only through the traits of `cairn_primitives::traits`; [`configs::cairn`] ties them
//! together. [`apis`] answers the node's questions, [`presets`] are the chains that genesis knows by name.

#![cfg_attr(not(feature = "std"), no_std)]
#![recursion_limit = "256"]
// The runtime macros write public items that nobody documents.
#![allow(missing_docs)]

extern crate alloc;

#[cfg(feature = "std")]
include!(concat!(env!("OUT_DIR"), "/wasm_binary.rs"));

#[cfg(feature = "runtime-benchmarks")]
#[macro_use]
pub mod benchmarking;

pub mod apis;
pub mod audit;
pub mod authorities;
pub mod block_time;
pub mod configs;
pub mod duties;
pub mod extensions;
pub mod fees;
pub mod governance;
pub mod presets;
pub mod quota;
pub mod readers;

#[cfg(test)]
mod tests;

pub use apis::RuntimeApi;
pub use cairn_primitives::{Balance, BlockNumber};
pub use presets::{DEVELOPMENT_PRESET, LOCAL_PRESET};

use alloc::{borrow::Cow, vec::Vec};
use sp_runtime::{
    generic, impl_opaque_keys,
    traits::{BlakeTwo256, IdentifyAccount, Verify},
    MultiAddress, MultiSignature,
};
use sp_version::RuntimeVersion;

/// How a transaction is signed.
pub type Signature = MultiSignature;
/// An account.
pub type AccountId = <<Signature as Verify>::Signer as IdentifyAccount>::AccountId;
/// How an account is named in a transaction.
pub type Address = MultiAddress<AccountId, ()>;
/// Number of an account's transactions.
pub type Nonce = u32;
/// A hash.
pub type Hash = sp_core::H256;
/// A block's header.
pub type Header = generic::Header<BlockNumber, BlakeTwo256>;
/// A block.
pub type Block = generic::Block<Header, UncheckedExtrinsic>;

/// What every transaction is checked for. Fees are skipped for calls that say so.
pub type TxExtension = (
    frame_system::CheckNonZeroSender<Runtime>,
    frame_system::CheckSpecVersion<Runtime>,
    frame_system::CheckTxVersion<Runtime>,
    frame_system::CheckGenesis<Runtime>,
    frame_system::CheckEra<Runtime>,
    extensions::InTurn,
    frame_system::CheckWeight<Runtime>,
    extensions::FreeOrPaid,
    extensions::CheckMetadataHash<Runtime>,
    frame_system::WeightReclaim<Runtime>,
);
/// A transaction.
pub type UncheckedExtrinsic =
    generic::UncheckedExtrinsic<Address, RuntimeCall, Signature, TxExtension>;
/// What is signed.
pub type SignedPayload = generic::SignedPayload<RuntimeCall, TxExtension>;
/// What an upgrade changes in storage before its first block, in this order. No chain has run an older version.
pub type Migrations = ();
/// Runs blocks.
pub type Executive = frame_executive::Executive<
    Runtime,
    Block,
    frame_system::ChainContext<Runtime>,
    Runtime,
    AllPalletsWithSystem,
    Migrations,
>;

/// Types that the node uses without knowing the runtime's calls.
pub mod opaque {
    use super::*;
    pub use sp_runtime::OpaqueExtrinsic as UncheckedExtrinsic;

    /// A block whose transactions are bytes.
    pub type Block = generic::Block<Header, UncheckedExtrinsic>;
}

impl_opaque_keys! {
    /// The keys with which an authority makes and finalises blocks.
    pub struct SessionKeys {
        pub babe: Babe,
        pub grandpa: Grandpa,
    }
}

/// Which runtime this is.
#[sp_version::runtime_version]
pub const VERSION: RuntimeVersion = RuntimeVersion {
    spec_name: Cow::Borrowed("cairn"),
    impl_name: Cow::Borrowed("cairn-node"),
    authoring_version: 1,
    spec_version: 1,
    impl_version: 1,
    apis: apis::RUNTIME_API_VERSIONS,
    transaction_version: 1,
    system_version: 1,
};

#[frame_support::runtime]
mod runtime {
    #[runtime::runtime]
    #[runtime::derive(
        RuntimeCall,
        RuntimeEvent,
        RuntimeError,
        RuntimeOrigin,
        RuntimeFreezeReason,
        RuntimeHoldReason,
        RuntimeSlashReason,
        RuntimeLockId,
        RuntimeTask,
        RuntimeViewFunction
    )]
    pub struct Runtime;

    #[runtime::pallet_index(0)]
    pub type System = frame_system;
    #[runtime::pallet_index(1)]
    pub type BlockTime = crate::block_time;
    #[runtime::pallet_index(2)]
    pub type Timestamp = pallet_timestamp;
    #[runtime::pallet_index(3)]
    pub type Babe = pallet_babe;
    #[runtime::pallet_index(4)]
    pub type Authorship = pallet_authorship;
    #[runtime::pallet_index(5)]
    pub type Balances = pallet_balances;
    #[runtime::pallet_index(6)]
    pub type TransactionPayment = pallet_transaction_payment;
    #[runtime::pallet_index(7)]
    pub type SkipFeelessPayment = pallet_skip_feeless_payment;
    #[runtime::pallet_index(8)]
    pub type Session = pallet_session;
    #[runtime::pallet_index(9)]
    pub type Grandpa = pallet_grandpa;
    #[runtime::pallet_index(10)]
    pub type Quota = crate::quota;

    #[runtime::pallet_index(16)]
    pub type Sudo = pallet_sudo;
    #[runtime::pallet_index(17)]
    pub type Utility = pallet_utility;
    #[runtime::pallet_index(18)]
    pub type Proxy = pallet_proxy;
    #[runtime::pallet_index(19)]
    pub type Multisig = pallet_multisig;
    #[runtime::pallet_index(20)]
    pub type Preimage = pallet_preimage;
    #[runtime::pallet_index(21)]
    pub type Scheduler = pallet_scheduler;
    #[runtime::pallet_index(22)]
    pub type Referenda = pallet_referenda;
    #[runtime::pallet_index(23)]
    pub type ConvictionVoting = pallet_conviction_voting;
    #[runtime::pallet_index(24)]
    pub type Council = pallet_collective<Instance1>;
    #[runtime::pallet_index(25)]
    pub type Governance = crate::governance;
    #[runtime::pallet_index(26)]
    pub type Authorities = crate::authorities;
    #[runtime::pallet_index(27)]
    pub type Historical = pallet_session::historical;
    #[runtime::pallet_index(28)]
    pub type Offences = pallet_offences;
    #[runtime::pallet_index(29)]
    pub type Recovery = pallet_recovery;

    #[runtime::pallet_index(32)]
    pub type Subnets = pallet_subnets;
    #[runtime::pallet_index(33)]
    pub type Stake = pallet_stake;
    #[runtime::pallet_index(34)]
    pub type Training = pallet_training;
    #[runtime::pallet_index(35)]
    pub type Emissions = pallet_emissions;
    #[runtime::pallet_index(36)]
    pub type Audits = pallet_audits;
    #[runtime::pallet_index(37)]
    pub type Endpoints = pallet_endpoints;
}
