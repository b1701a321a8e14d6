//! Balances, and what a transaction costs.

use frame_support::{
    parameter_types,
    traits::{
        fungible::{Balanced, Credit},
        ConstU32, ConstU8, Imbalance, OnUnbalanced, VariantCountOf,
    },
    weights::{Weight, WeightToFee},
};
use pallet_transaction_payment::{ConstFeeMultiplier, FungibleAdapter, Multiplier};
use sp_runtime::traits::One;

use crate::{
    AccountId, Authorship, Balance, Balances, Runtime, RuntimeEvent, RuntimeFreezeReason,
    RuntimeHoldReason, System,
};

parameter_types! {
    /// 500 pebble: low enough for any payout, high enough that dust is not worth keeping.
    pub const ExistentialDeposit: Balance = 500;
    pub FeeMultiplier: Multiplier = Multiplier::one();
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

/// One pebble for a byte, and the square of the bytes over 32: a transfer pays next to nothing for its length, 32 KiB
/// cost 0.034 CRN, and a megabyte costs 34.
pub struct DearBytes;

impl WeightToFee for DearBytes {
    type Balance = Balance;

    fn weight_to_fee(length: &Weight) -> Balance {
        let bytes = length.ref_time();
        bytes.saturating_add(bytes.saturating_mul(bytes) / 32)
    }
}

impl pallet_transaction_payment::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type OnChargeTransaction = FungibleAdapter<Balances, ToAuthor>;
    type WeightToFee = PebblePerNanosecond;
    type LengthToFee = DearBytes;
    type FeeMultiplierUpdate = ConstFeeMultiplier<FeeMultiplier>;
    type OperationalFeeMultiplier = ConstU8<5>;
    type WeightInfo = pallet_transaction_payment::weights::SubstrateWeight<Runtime>;
}

impl pallet_skip_feeless_payment::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
}
