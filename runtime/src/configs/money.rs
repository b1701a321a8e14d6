//! Balances, and what a transaction costs.

use frame_support::{
    dispatch::DispatchClass,
    parameter_types,
    traits::{
        fungible::{Balanced, Credit},
        ConstU32, ConstU8, Imbalance, OnUnbalanced, VariantCountOf,
    },
    weights::{Weight, WeightToFee},
};
use pallet_transaction_payment::{FungibleAdapter, Multiplier, MultiplierUpdate};
use sp_runtime::{
    traits::{Convert, One, Saturating},
    FixedPointNumber, Perquintill,
};

use super::system::{Length, Weights};
use crate::{
    AccountId, Authorship, Balance, Balances, Runtime, RuntimeEvent, RuntimeFreezeReason,
    RuntimeHoldReason, System, TransactionPayment,
};

parameter_types! {
    /// 500 pebble: low enough for any payout, high enough that dust is not worth keeping.
    pub const ExistentialDeposit: Balance = 500;
    /// Ordinary transactions that fill a quarter of their share of blocks: above it, prices rise.
    pub const UsualLoad: Perquintill = Perquintill::from_percent(25);
    /// With full blocks it doubles in 12,300 blocks, about twenty hours: the pace of Polkadot.
    pub AdjustmentVariable: Multiplier = Multiplier::saturating_from_rational(75, 1_000_000);
    /// They never fall below what is written here.
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
/// costs 0.4 CRN at least, whatever they are; and it costs more the longer it goes on ([`FollowsLoad`]).
pub struct DearBytes;

impl WeightToFee for DearBytes {
    type Balance = Balance;

    fn weight_to_fee(length: &Weight) -> Balance {
        let bytes = length.ref_time();
        let square = bytes.saturating_mul(bytes) / 32;
        let quiet = bytes.saturating_mul(100).saturating_add(square);
        TransactionPayment::next_fee_multiplier().saturating_mul_int(quiet)
    }
}

/// Prices by load, as the library's own rule has it, but of what is scarcer in a block: what ordinary transactions
/// compute, or bytes. A block that is full of bytes is almost empty by its computation.
pub struct FollowsLoad;

impl FollowsLoad {
    /// How full the block is.
    fn fullness() -> Perquintill {
        let weight = Weights::get().get(DispatchClass::Normal).max_total;
        let most = weight.unwrap_or(Weights::get().max_block).ref_time();
        let computed = System::block_weight().get(DispatchClass::Normal).ref_time();
        let room = *Length::get().max.get(DispatchClass::Normal);
        let computed = Perquintill::from_rational(computed, most.max(1));
        computed.max(Perquintill::from_rational(
            u64::from(System::block_size()),
            u64::from(room).max(1),
        ))
    }
}

impl Convert<Multiplier, Multiplier> for FollowsLoad {
    // Each block by v·d and half its square, where d is how much fuller it was than usual.
    fn convert(before: Multiplier) -> Multiplier {
        let (fullness, usual) = (Self::fullness(), UsualLoad::get());
        let apart = Multiplier::from(fullness.max(usual) - fullness.min(usual));
        let step = AdjustmentVariable::get().saturating_mul(apart);
        let grown = Multiplier::one()
            .saturating_add(step.saturating_mul(step) / Multiplier::saturating_from_integer(2));
        let factor = match fullness >= usual {
            true => grown.saturating_add(step),
            false => grown.saturating_sub(step),
        };
        let next = before.max(Self::min()).saturating_mul(factor);
        next.clamp(Self::min(), Self::max())
    }
}

impl MultiplierUpdate for FollowsLoad {
    fn min() -> Multiplier {
        LeastMultiplier::get()
    }

    fn max() -> Multiplier {
        MostMultiplier::get()
    }

    fn target() -> Perquintill {
        UsualLoad::get()
    }

    fn variability() -> Multiplier {
        AdjustmentVariable::get()
    }
}

impl pallet_transaction_payment::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type OnChargeTransaction = FungibleAdapter<Balances, ToAuthor>;
    type WeightToFee = PebblePerNanosecond;
    type LengthToFee = DearBytes;
    type FeeMultiplierUpdate = FollowsLoad;
    type OperationalFeeMultiplier = ConstU8<5>;
    type WeightInfo = pallet_transaction_payment::weights::SubstrateWeight<Runtime>;
}

impl pallet_skip_feeless_payment::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
}
