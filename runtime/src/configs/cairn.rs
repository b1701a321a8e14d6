//! How our pallets are tied together: each is given the others only as the traits it asks for.

use cairn_primitives::{blake2_256, Balance, BlockNumber, Round, CRN};
use cairn_protocol::limits::{HISTORY_ROUNDS, LINEAGE_ROUNDS};
use codec::Encode;
use frame_support::{
    parameter_types,
    traits::{ConstU32, Randomness},
};
use sp_runtime::{traits::Verify, Perbill};

use crate::{
    block_time,
    governance::rules::{
        CreationPriceDecay, CreationPriceFloor, HyperparametersRateLimit, ScoresRateLimit,
    },
    Audits, Balances, Emissions, Endpoints, Hash, Runtime, Signature, Stake, Subnets, Training,
};

parameter_types! {
    pub const MaxSubnets: u32 = 128;
    /// Twelve hours of blocks of six seconds.
    pub const DefaultAuditWindow: BlockNumber = 7_200;
    /// A subnet of 256 members with ten thousand positions is given back in half an hour.
    pub const DissolvedPerBlock: u32 = 32;
    /// A thousandth of a CRN: below it, storage costs more than the stake is worth.
    pub const MinimumStake: Balance = CRN / 1_000;
    /// 18 % of 65,535.
    pub const MaxTake: u16 = 11_796;
    /// One percent of 65,535, a week of blocks of six seconds after the last change.
    pub const TakeStep: u16 = 655;
    pub const TakeInterval: BlockNumber = 7 * 14_400;
    pub const ReporterShare: Perbill = Perbill::from_percent(10);
    pub const MaxContributionBytes: u64 = 16 << 30;
    pub const HistoryRounds: Round = HISTORY_ROUNDS;
    pub const LineageRounds: Round = LINEAGE_ROUNDS;
    /// Blocks over which the stake average that splits emission between subnets moves: about a day.
    pub const StakeAverageWindow: BlockNumber = 14_400;
}

impl pallet_subnets::Config for Runtime {
    type Currency = Balances;
    type OnBurned = Emissions;
    // What is withheld of a member goes by its audits, so before these forget it.
    type OnMember = (Stake, Training, Emissions, Audits, Endpoints);
    type Incentives = Emissions;
    type Runs = Training;
    type Signature = Signature;
    type Signer = <Signature as Verify>::Signer;
    // Pots become stake before stake is given back.
    type Dissolve = (Training, Emissions, Stake);
    type MaxSubnets = MaxSubnets;
    type CreationPriceFloor = CreationPriceFloor;
    type CreationPriceDecay = CreationPriceDecay;
    type DefaultAuditWindow = DefaultAuditWindow;
    type HyperparametersRateLimit = HyperparametersRateLimit;
    type DissolvedPerBlock = DissolvedPerBlock;
    type WeightInfo = pallet_subnets::weights::SubstrateWeight<Runtime>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = crate::benchmarking::People;
}

impl pallet_stake::Config for Runtime {
    type Currency = Balances;
    type Members = Subnets;
    type OnBurned = Emissions;
    type MinimumAmount = MinimumStake;
    type MaxTake = MaxTake;
    type TakeStep = TakeStep;
    type TakeInterval = TakeInterval;
    type ReporterShare = ReporterShare;
    type WeightInfo = pallet_stake::weights::SubstrateWeight<Runtime>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = crate::benchmarking::People;
}

impl pallet_training::Config for Runtime {
    type Randomness = RoundRandomness;
    type Membership = Subnets;
    type Stakes = Stake;
    type Slashing = Stake;
    type Incentives = Emissions;
    type Audits = Audits;
    type MaxContributionBytes = MaxContributionBytes;
    type HistoryRounds = HistoryRounds;
    type LineageRounds = LineageRounds;
    type MaxTransitionsPerBlock = ConstU32<2>;
    type WeightInfo = pallet_training::weights::SubstrateWeight<Runtime>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = crate::benchmarking::People;
}

impl pallet_audits::Config for Runtime {
    type Membership = Subnets;
    type Slashing = Stake;
    type Attendance = Training;
    type Wages = Emissions;
    type MaxEndsPerBlock = ConstU32<9>;
    type WeightInfo = pallet_audits::weights::SubstrateWeight<Runtime>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = crate::benchmarking::People;
}

impl pallet_endpoints::Config for Runtime {
    type Membership = Subnets;
    type WeightInfo = pallet_endpoints::weights::SubstrateWeight<Runtime>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = crate::benchmarking::People;
}

impl pallet_emissions::Config for Runtime {
    type Currency = Balances;
    type Membership = Subnets;
    type Stakes = Stake;
    type Ledgers = Stake;
    type Runs = Training;
    type Work = Training;
    type Asked = Audits;
    type Governance = super::governance::DecidesEmission;
    type MillisecsPerBlock = block_time::Length<Runtime>;
    type StakeAverageWindow = StakeAverageWindow;
    type ScoresRateLimit = ScoresRateLimit;
    type WeightInfo = pallet_emissions::weights::SubstrateWeight<Runtime>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = crate::benchmarking::People;
}

/// BABE's randomness of the last epoch, which nobody can bias any more, mixed with the parent block's VRF
/// output, which nobody could know before that block.
pub struct RoundRandomness;

impl Randomness<Hash, BlockNumber> for RoundRandomness {
    fn random(subject: &[u8]) -> (Hash, BlockNumber) {
        let (epoch, known_since) =
            pallet_babe::RandomnessFromOneEpochAgo::<Runtime>::random(subject);
        let (parent, _) = pallet_babe::ParentBlockRandomness::<Runtime>::random(subject);
        (blake2_256(&(epoch, parent).encode()), known_since)
    }
}
