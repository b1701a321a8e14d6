//! Balances, and what a transaction costs.

use frame_support::{
    parameter_types,
    traits::{
        fungible::{Balanced, Credit},
        ConstU32, ConstU8, Imbalance, OnUnbalanced, VariantCountOf,
    },
    weights::{Weight, WeightToFee},
};
use pallet_transaction_payment::{FungibleAdapter, Multiplier, TargetedFeeAdjustment};
use sp_runtime::{traits::One, FixedPointNumber, Perquintill};

use crate::{
    AccountId, Authorship, Balance, Balances, Runtime, RuntimeEvent, RuntimeFreezeReason,
    RuntimeHoldReason, System,
};

parameter_types! {
    /// 500 pebble: low enough for any payout, high enough that dust is not worth keeping.
    pub const ExistentialDeposit: Balance = 500;
    /// Ordinary transactions that fill a quarter of their share of blocks: above it, what computation costs rises.
    pub const UsualLoad: Perquintill = Perquintill::from_percent(25);
    /// With full blocks it doubles in 12,300 blocks, about twenty hours: the pace of Polkadot.
    pub AdjustmentVariable: Multiplier = Multiplier::saturating_from_rational(75, 1_000_000);
    /// It never falls below the price that is written here.
    pub LeastMultiplier: Multiplier = Multiplier::one();
    pub MostMultiplier: Multiplier = Multiplier::saturating_from_integer(100_000);
}

impl pallet_balances::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeHoldReason = RuntimeHoldReason;
    type RuntimeFreezeReason = RuntimeFreezeReason;
    type Balance = Balance;
    type DustRemoval = BurnedDust;
    type ExistentialDeposit = ExistentialDeposit;
    type AccountStore = System;
    type ReserveIdentifier = [u8; 8];
    type FreezeIdentifier = RuntimeFreezeReason;
    type MaxLocks = ConstU32<50>;
    type MaxReserves = ConstU32<50>;
    type MaxFreezes = VariantCountOf<RuntimeFreezeReason>;
    type WeightInfo = pallet_balances::weights::SubstrateWeight<Runtime>;
    type DoneSlashHandler = ();
}

/// Dust is burned, and the ledger of what was issued is told.
pub struct BurnedDust;

impl OnUnbalanced<Credit<AccountId, Balances>> for BurnedDust {
    fn on_nonzero_unbalanced(dust: Credit<AccountId, Balances>) {
        use cairn_primitives::traits::OnBurned;
        crate::Emissions::on_burned(dust.peek());
    }
}

/// Fees and tips go to the block's author; without one they are burned.
pub struct ToAuthor;

impl OnUnbalanced<Credit<AccountId, Balances>> for ToAuthor {
    fn on_nonzero_unbalanced(fee: Credit<AccountId, Balances>) {
        let refused = match Authorship::author() {
            Some(author) => Balances::resolve(&author, fee).err(),
            None => Some(fee),
        };
        if let Some(fee) = refused {
            BurnedDust::on_nonzero_unbalanced(fee);
        }
    }
}

/// One pebble for a thousand picoseconds of computation: a transfer costs about 0.0002 CRN.
pub struct PebblePerNanosecond;

impl WeightToFee for PebblePerNanosecond {
    type Balance = Balance;

    fn weight_to_fee(weight: &Weight) -> Balance {
        weight.ref_time() / 1_000
    }
}

/// A hundred pebble for a byte, and the square of the bytes over 32: a transfer pays less for its length than for its
/// computation, 32 KiB cost 0.037 CRN, and a megabyte costs 34. To fill what ordinary transactions have of a block
/// costs 0.4 CRN at least, whatever they are.
pub struct DearBytes;

impl WeightToFee for DearBytes {
    type Balance = Balance;

    fn weight_to_fee(length: &Weight) -> Balance {
        let bytes = length.ref_time();
        let square = bytes.saturating_mul(bytes) / 32;
        bytes.saturating_mul(100).saturating_add(square)
    }
}

impl pallet_transaction_payment::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type OnChargeTransaction = FungibleAdapter<Balances, ToAuthor>;
    type WeightToFee = PebblePerNanosecond;
    type LengthToFee = DearBytes;
    type FeeMultiplierUpdate = TargetedFeeAdjustment<
        Runtime,
        UsualLoad,
        AdjustmentVariable,
        LeastMultiplier,
        MostMultiplier,
    >;
    type OperationalFeeMultiplier = ConstU8<5>;
    type WeightInfo = pallet_transaction_payment::weights::SubstrateWeight<Runtime>;
}

impl pallet_skip_feeless_payment::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
}
