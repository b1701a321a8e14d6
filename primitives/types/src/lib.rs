//! The words that Cairn's chain and its off-chain worker both use.
//!
//! Everything here is data: what a run is ([`RunConfig`]), how a commitment binds a key ([`key_hash`]), what a
//! contribution says of itself ([`Header`]), how a model's parameters lie in one flat vector ([`Layout`]), and the
//! answers of the runtime APIs ([`api`]). The rules over this data are in the crate `cairn-protocol`.
//!
//! Units: amounts are in *pebble*, 10⁹ of which are one CRN; times are in blocks; real numbers on chain are
//! [`Nano`], integers in units of 10⁻⁹.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub mod api;
pub mod audit;
pub mod blocks;
pub mod combination;
pub mod commitment;
pub mod header;
pub mod hyperparameters;
pub mod identity;
pub mod layout;
pub mod limits;
pub mod matrices;
pub mod nano;
pub mod pots;
pub mod questions;
pub mod role;
pub mod run;
pub mod secret;
pub mod text;
#[cfg(feature = "frame")]
pub mod traits;
pub mod verdicts;
pub mod witness;

pub use audit::{AuditOutcome, AuditRules, Finding, Served, MAX_AUDITORS};
pub use blocks::{LayoutError, Selected};
pub use combination::{Combination, Standing};
pub use commitment::{
    attestation_hash, finding_hash, key_hash, scores_hash, Commitment, ContributionKey, Salt,
};
pub use header::{Carried, EngineClass, Header, Work};
pub use hyperparameters::{BondsRule, Hyperparameters};
pub use identity::{Hotkey, ModelRoot, Netuid, SealedRoot, Uid};
pub use layout::{Layout, Tensor};
pub use limits::{Group, OutOfLimits};
pub use matrices::{Matrices, Muon};
pub use nano::{Nano, NanoError};
pub use pots::Pots;
pub use primitive_types::H256;
pub use questions::Questions;
pub use role::{Role, UnknownRole};
pub use run::{
    Compression, CompressionSchedule, DataSet, InitialParameters, InnerOptimizer, ModelShape,
    OuterStep, Phase, Phases, RoundTimes, RunConfig, RunConfigError,
};
pub use secret::Secret;
pub use text::{check_printable, Text, TextFault};
pub use verdicts::{Judgement, Verdicts};
pub use witness::{nats, MicroNats, Witness};

/// A round's number within its run, from 0.
pub type Round = u32;
/// How many epochs a subnet has had before: the number of its next epoch, from 0.
pub type EpochIndex = u32;
/// A block's number.
pub type BlockNumber = u32;
/// An amount of the chain's token, in pebble (10⁻⁹ CRN).
pub type Balance = u64;

/// One CRN in pebble.
pub const CRN: Balance = 1_000_000_000;
/// The SS58 prefix of addresses on a Cairn chain. No network of the registry, which is closed, has it.
/// Such an address begins with `cr`.
pub const SS58_PREFIX: u16 = 11_077;
/// The prefix on a chain for development, and of addresses where no chain is known: that of no particular network.
/// Such an address begins with `5`.
pub const GENERIC_SS58_PREFIX: u16 = 42;
/// The most members a subnet can have.
pub const MAX_MEMBERS: u32 = 256;
/// The most endpoints that a member can name.
pub const MAX_ENDPOINTS: u32 = 4;
/// The most validators a subnet can have.
pub const MAX_VALIDATORS: u32 = 64;
/// Epochs of a subnet whose outcome the chain keeps.
pub const HISTORY_EPOCHS: EpochIndex = 64;
/// The most of a list of subnets, members, contributions or positions that the chain tells in one answer.
pub const PER_PAGE: u32 = 256;

// Who is not told of pages misses nobody.
const _: () = assert!(MAX_MEMBERS <= PER_PAGE);

/// BLAKE2b with 32 bytes of output, the hash by which the chain identifies things.
pub fn blake2_256(data: &[u8]) -> H256 {
    let hash = blake2b_simd::Params::new().hash_length(32).hash(data);
    H256::from_slice(hash.as_bytes())
}
