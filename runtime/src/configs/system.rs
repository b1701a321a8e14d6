//! Blocks: their size, their weight, their time.

use cairn_primitives::{GENERIC_SS58_PREFIX, SS58_PREFIX};
use frame_support::{
    derive_impl,
    dispatch::DispatchClass,
    parameter_types,
    traits::Get,
    weights::{
        constants::{ParityDbWeight, WEIGHT_REF_TIME_PER_SECOND},
        Weight,
    },
};
use frame_system::limits::{BlockLength, BlockWeights};
use sp_runtime::{traits::AccountIdLookup, Perbill};
use sp_version::RuntimeVersion;

use crate::{
    block_time, AccountId, Babe, Balance, Block, BlockNumber, Hash, Nonce, PalletInfo, Runtime,
    RuntimeCall, RuntimeEvent, RuntimeOrigin, RuntimeTask, VERSION,
};

/// Share of a block that ordinary transactions may fill.
const NORMAL_DISPATCH_RATIO: Perbill = Perbill::from_percent(73);

/// The most bytes of a transaction that is not the sudo key's: a batch of some 800 transfers. A block takes a hundred
/// of them, and so does a pool.
pub const MAX_TRANSACTION_BYTES: u32 = 32 * 1024;

parameter_types! {
    pub const BlockHashCount: BlockNumber = 2_400;
    pub const Version: RuntimeVersion = VERSION;
    /// Two seconds of computation in a block.
    pub Weights: BlockWeights = BlockWeights::with_sensible_defaults(
        Weight::from_parts(2 * WEIGHT_REF_TIME_PER_SECOND, u64::MAX),
        NORMAL_DISPATCH_RATIO,
    );
    /// Five MiB.
    pub Length: BlockLength = BlockLength::builder()
        .max_length(5 * 1024 * 1024)
        .modify_max_length_for_class(DispatchClass::Normal, |max| *max = NORMAL_DISPATCH_RATIO * *max)
        .build();
}

/// The prefix of addresses: Cairn's own, but not on a chain for development.
///
/// Hardware wallets take it from the digest of the release's metadata, which no genesis has a part in: so it is what a
/// chain has that says nothing.
pub struct AddressPrefix;

impl Get<u16> for AddressPrefix {
    fn get() -> u16 {
        match crate::governance::Development::<Runtime>::get() {
            true => GENERIC_SS58_PREFIX,
            false => SS58_PREFIX,
        }
    }
}

#[derive_impl(frame_system::config_preludes::SolochainDefaultConfig)]
impl frame_system::Config for Runtime {
    type BaseCallFilter = crate::governance::filter::Allowed;
    type Block = Block;
    type AccountId = AccountId;
    type Nonce = Nonce;
    type Hash = Hash;
    type Lookup = AccountIdLookup<AccountId, ()>;
    type BlockHashCount = BlockHashCount;
    type BlockWeights = Weights;
    type BlockLength = Length;
    type DbWeight = ParityDbWeight;
    type Version = Version;
    type AccountData = pallet_balances::AccountData<Balance>;
    type SS58Prefix = AddressPrefix;
    type PostTransactions = crate::audit::EveryBlock;
    type MaxConsumers = frame_support::traits::ConstU32<16>;
}

impl block_time::Config for Runtime {}

impl crate::quota::Config for Runtime {
    type Work = crate::Training;
}

impl pallet_timestamp::Config for Runtime {
    type Moment = u64;
    type OnTimestampSet = Babe;
    type MinimumPeriod = block_time::HalfLength<Runtime>;
    type WeightInfo = pallet_timestamp::weights::SubstrateWeight<Runtime>;
}
