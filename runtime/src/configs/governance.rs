//! The SDK's pallets of governance, and how ours is tied to them.

use cairn_primitives::{blake2_256, Balance, BlockNumber, CRN, H256};
use codec::Encode;
use frame_support::{
    parameter_types,
    traits::{
        fungible::HoldConsideration, schedule::v3::Named, AsEnsureOriginWithArg, ConstU32,
        Currency, EitherOf, EqualPrivilegeOnly, Get, Imbalance, LinearStoragePrice, OnUnbalanced,
    },
    weights::Weight,
};
use frame_system::{EnsureNever, EnsureRoot, EnsureSigned};
use pallet_collective::{EnsureProportionAtLeast, PrimeDefaultVote};
use pallet_referenda::ReferendumInfo;
use sp_runtime::{DispatchError, DispatchResult, Perbill};

use super::{
    accounts::deposit,
    system::{Weights, MAX_TRANSACTION_BYTES},
};
use crate::{
    governance::{
        self,
        tracks::{self, Tracks},
        Days, Origin, Track,
    },
    AccountId, Balances, Emissions, Grandpa, OriginCaller, Preimage, Referenda, Runtime,
    RuntimeCall, RuntimeEvent, RuntimeHoldReason, RuntimeOrigin, Scheduler, System,
};

/// Which of the SDK's collectives the council is.
pub type CouncilInstance = pallet_collective::Instance1;
/// Two thirds of the council's seats.
pub type TwoThirds = EnsureProportionAtLeast<AccountId, CouncilInstance, 2, 3>;

/// The council's seats.
pub const SEATS: u32 = 12;
/// The tasks that can wait for one block.
const TASKS: u32 = 64;

parameter_types! {
    pub const PreimageDepositBase: Balance = deposit(1, 40);
    pub const PreimageDepositByte: Balance = deposit(0, 1);
    pub const PreimageReason: RuntimeHoldReason =
        RuntimeHoldReason::Preimage(pallet_preimage::HoldReason::Preimage);
    /// What all tasks of a block may take of it, half a percent: nothing that is enacted comes near.
    pub ScheduledWeight: Weight = Perbill::from_parts(5_000_000) * Weights::get().max_block;
    /// What a motion of the council may weigh.
    pub MotionWeight: Weight = Perbill::from_percent(2) * Weights::get().max_block;
    pub const SubmissionDeposit: Balance = 10 * CRN;
}

impl pallet_preimage::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = pallet_preimage::weights::SubstrateWeight<Runtime>;
    type Currency = Balances;
    type ManagerOrigin = EnsureNever<()>;
    type Consideration = HoldConsideration<
        AccountId,
        Balances,
        PreimageReason,
        LinearStoragePrice<PreimageDepositBase, PreimageDepositByte, Balance>,
    >;
}

impl pallet_scheduler::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeOrigin = RuntimeOrigin;
    type PalletsOrigin = OriginCaller;
    type RuntimeCall = RuntimeCall;
    type MaximumWeight = ScheduledWeight;
    // Only referenda schedule.
    type ScheduleOrigin = EnsureNever<()>;
    type OriginPrivilegeCmp = EqualPrivilegeOnly;
    type MaxScheduledPerBlock = ConstU32<TASKS>;
    type WeightInfo = ShortPreimages;
    type Preimages = Preimage;
    type BlockNumberProvider = System;
}

/// What the SDK measured, for preimages that are no longer than a transaction may be: so long is whatever notes them.
/// A longer one, which the pallet asks for when it is checked, weighs as much.
pub struct ShortPreimages;

type Tasks = pallet_scheduler::weights::SubstrateWeight<Runtime>;

impl pallet_scheduler::WeightInfo for ShortPreimages {
    fn service_task_fetched(s: u32) -> Weight {
        Tasks::service_task_fetched(s.min(MAX_TRANSACTION_BYTES))
    }
    fn service_agendas_base() -> Weight {
        Tasks::service_agendas_base()
    }
    fn service_agenda_base(s: u32) -> Weight {
        Tasks::service_agenda_base(s)
    }
    fn service_task_base() -> Weight {
        Tasks::service_task_base()
    }
    fn service_task_named() -> Weight {
        Tasks::service_task_named()
    }
    fn service_task_periodic() -> Weight {
        Tasks::service_task_periodic()
    }
    fn execute_dispatch_signed() -> Weight {
        Tasks::execute_dispatch_signed()
    }
    fn execute_dispatch_unsigned() -> Weight {
        Tasks::execute_dispatch_unsigned()
    }
    fn schedule(s: u32) -> Weight {
        Tasks::schedule(s)
    }
    fn cancel(s: u32) -> Weight {
        Tasks::cancel(s)
    }
    fn schedule_named(s: u32) -> Weight {
        Tasks::schedule_named(s)
    }
    fn cancel_named(s: u32) -> Weight {
        Tasks::cancel_named(s)
    }
    fn schedule_retry(s: u32) -> Weight {
        Tasks::schedule_retry(s)
    }
    fn set_retry() -> Weight {
        Tasks::set_retry()
    }
    fn set_retry_named() -> Weight {
        Tasks::set_retry_named()
    }
    fn cancel_retry() -> Weight {
        Tasks::cancel_retry()
    }
    fn cancel_retry_named() -> Weight {
        Tasks::cancel_retry_named()
    }
}

impl pallet_referenda::Config for Runtime {
    type RuntimeCall = RuntimeCall;
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = pallet_referenda::weights::SubstrateWeight<Runtime>;
    type Scheduler = Scheduler;
    type Currency = Balances;
    type SubmitOrigin = AsEnsureOriginWithArg<EnsureSigned<AccountId>>;
    type CancelOrigin = Track<{ tracks::CANCEL }>;
    type KillOrigin = Track<{ tracks::CANCEL }>;
    type Slash = BurnedDeposit;
    type Votes = pallet_conviction_voting::VotesOf<Runtime>;
    type Tally = pallet_conviction_voting::TallyOf<Runtime>;
    type SubmissionDeposit = SubmissionDeposit;
    type MaxQueued = ConstU32<32>;
    type UndecidingTimeout = Days<Runtime, 14>;
    type AlarmInterval = ConstU32<1>;
    type Tracks = Tracks;
    type Preimages = Preimage;
    type BlockNumberProvider = System;
}

/// A deposit that is taken is burned, and the ledger of what was issued is told.
pub struct BurnedDeposit;

impl OnUnbalanced<<Balances as Currency<AccountId>>::NegativeImbalance> for BurnedDeposit {
    fn on_nonzero_unbalanced(taken: <Balances as Currency<AccountId>>::NegativeImbalance) {
        use cairn_primitives::traits::OnBurned;
        Emissions::on_burned(taken.peek());
    }
}

/// All that was issued, staked or not: whoever has little of it decides nothing while the rest is staked.
pub struct AllIssued;

impl Get<Balance> for AllIssued {
    fn get() -> Balance {
        pallet_emissions::Issued::<Runtime>::get()
    }
}

impl pallet_conviction_voting::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = pallet_conviction_voting::weights::SubstrateWeight<Runtime>;
    type Currency = Balances;
    type Polls = Referenda;
    type MaxTurnout = AllIssued;
    type MaxVotes = ConstU32<64>;
    // As long as the longest enactment.
    type VoteLockingPeriod = Days<Runtime, 7>;
    type BlockNumberProvider = System;
    type VotingHooks = ();
}

impl pallet_collective::Config<CouncilInstance> for Runtime {
    type RuntimeOrigin = RuntimeOrigin;
    type Proposal = RuntimeCall;
    type RuntimeEvent = RuntimeEvent;
    type MotionDuration = Days<Runtime, 5>;
    type MaxProposals = ConstU32<16>;
    type MaxMembers = ConstU32<SEATS>;
    type DefaultVote = PrimeDefaultVote;
    type WeightInfo = pallet_collective::weights::SubstrateWeight<Runtime>;
    type SetMembersOrigin = Track<{ tracks::COUNCIL }>;
    type MaxProposalWeight = MotionWeight;
    type DisapproveOrigin = Track<{ tracks::COUNCIL }>;
    type KillOrigin = Track<{ tracks::COUNCIL }>;
    type Consideration = ();
}

impl governance::Config for Runtime {
    type Council = TwoThirds;
    type SetsRules = Track<{ tracks::RULES }>;
    type Upgrades = Track<{ tracks::UPGRADE }>;
    type Repairs = Track<{ tracks::REPAIR }>;
    type Cancels = Track<{ tracks::CANCEL }>;
    type Referenda = Referenda;
    type Finality = Grandpa;
    type HasSudo = HasSudo;
    type RootWaits = RootWaits;
}

impl governance::Finality for Grandpa {
    fn restart(
        after: BlockNumber,
        last_final: BlockNumber,
        set: u64,
    ) -> Result<bool, DispatchError> {
        let counted = pallet_grandpa::CurrentSetId::<Runtime>::get();
        if set > counted {
            return Ok(false);
        }
        pallet_grandpa::CurrentSetId::<Runtime>::put(set);
        Grandpa::note_stalled(RuntimeOrigin::root(), after, last_final)?;
        Ok(true)
    }
}

/// Who decides which runs emit: a referendum and, where there is a sudo key, that.
pub type DecidesEmission = EitherOf<EnsureRoot<AccountId>, Track<{ tracks::EMISSION }>>;

/// Whether somebody has the sudo key.
pub struct HasSudo;

impl Get<bool> for HasSudo {
    fn get() -> bool {
        pallet_sudo::Key::<Runtime>::get().is_some()
    }
}

/// Whether a task waits that would be done as root and is not an alarm of the referenda's.
pub struct RootWaits;

impl Get<bool> for RootWaits {
    fn get() -> bool {
        use frame_support::traits::QueryPreimage;
        let root = OriginCaller::system(frame_system::RawOrigin::Root);
        let is_alarm = |call: &_| {
            let alarm = Preimage::peek::<RuntimeCall>(call);
            matches!(
                alarm,
                Ok((
                    RuntimeCall::Referenda(
                        pallet_referenda::Call::nudge_referendum { .. }
                            | pallet_referenda::Call::one_fewer_deciding { .. }
                    ),
                    _
                ))
            )
        };
        pallet_scheduler::Agenda::<Runtime>::iter_values()
            .flatten()
            .flatten()
            .any(|task| task.origin == root && !is_alarm(&task.call))
    }
}

/// The name under which a referendum's enactment waits in the scheduler.
fn enactment(index: u32) -> [u8; 32] {
    blake2_256(&(*b"assembly", "enactment", index).encode()).0
}

impl governance::Referenda for Referenda {
    fn subject(index: u32) -> Option<(u16, H256)> {
        let info = pallet_referenda::ReferendumInfoFor::<Runtime>::get(index)?;
        if let ReferendumInfo::Ongoing(status) = info {
            return Some((status.track, status.proposal.hash()));
        }
        let (block, place) = pallet_scheduler::Lookup::<Runtime>::get(enactment(index))?;
        let tasks = pallet_scheduler::Agenda::<Runtime>::get(block);
        let task = tasks.get(usize::try_from(place).ok()?)?.as_ref()?;
        match task.origin {
            OriginCaller::Governance(origin) => Some((origin.id(), task.call.hash())),
            _ => None,
        }
    }

    fn cancel(index: u32) -> DispatchResult {
        match Referenda::ensure_ongoing(index) {
            Ok(_) => Referenda::cancel(Origin::Cancel.into(), index),
            Err(_) => {
                let name = enactment(index);
                <Scheduler as Named<BlockNumber, RuntimeCall, OriginCaller>>::cancel_named(name)
            }
        }
    }
}
