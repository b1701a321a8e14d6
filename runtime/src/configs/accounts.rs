//! Conveniences for accounts: batches, proxies, multisignatures, and the key that may do everything.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{
    parameter_types,
    traits::{ConstU32, InstanceFilter},
};
use scale_info::TypeInfo;
use sp_runtime::traits::BlakeTwo256;

use crate::{Balance, Balances, OriginCaller, Runtime, RuntimeCall, RuntimeEvent, System};

/// Deposit for what an account keeps in storage: a thousandth of a CRN an item, a pebble·1,000 a byte.
pub(super) const fn deposit(items: u32, bytes: u32) -> Balance {
    items as Balance * cairn_primitives::CRN / 1_000 + bytes as Balance * 1_000
}

impl pallet_sudo::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type WeightInfo = pallet_sudo::weights::SubstrateWeight<Runtime>;
}

impl pallet_utility::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type PalletsOrigin = OriginCaller;
    type WeightInfo = pallet_utility::weights::SubstrateWeight<Runtime>;
}

parameter_types! {
    pub const MultisigDepositBase: Balance = deposit(1, 88);
    pub const MultisigDepositFactor: Balance = deposit(0, 32);
    pub const ProxyDepositBase: Balance = deposit(1, 8);
    pub const ProxyDepositFactor: Balance = deposit(0, 33);
    pub const AnnouncementDepositBase: Balance = deposit(1, 8);
    pub const AnnouncementDepositFactor: Balance = deposit(0, 66);
}

impl pallet_multisig::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type Currency = Balances;
    type DepositBase = MultisigDepositBase;
    type DepositFactor = MultisigDepositFactor;
    type MaxSignatories = ConstU32<100>;
    type WeightInfo = pallet_multisig::weights::SubstrateWeight<Runtime>;
    type BlockNumberProvider = System;
}

/// What a proxy may do in an account's name. Each kind is a list of what it may, never of what it may not.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub enum ProxyKind {
    /// Everything.
    #[default]
    Any,
    /// Add, move and remove stake and bonds, so that they come back to the account or stay its own; never give them
    /// to another.
    Staking,
    /// Register hotkeys and let them leave.
    Registration,
    /// What a subnet's owner does from day to day: hyperparameters and runs. Not its end.
    Ownership,
    /// Vote in referenda, and take votes back. Not give the votes to another.
    Voting,
}

impl InstanceFilter<RuntimeCall> for ProxyKind {
    fn filter(&self, call: &RuntimeCall) -> bool {
        match self {
            ProxyKind::Any => true,
            ProxyKind::Staking => matches!(
                call,
                RuntimeCall::Stake(
                    pallet_stake::Call::add_stake { .. }
                        | pallet_stake::Call::remove_stake { .. }
                        | pallet_stake::Call::withdraw_stake { .. }
                        | pallet_stake::Call::move_stake { .. }
                        | pallet_stake::Call::add_bond { .. }
                        | pallet_stake::Call::unbond { .. }
                        | pallet_stake::Call::withdraw_bond { .. }
                )
            ),
            ProxyKind::Registration => matches!(
                call,
                RuntimeCall::Subnets(
                    pallet_subnets::Call::register { .. }
                        | pallet_subnets::Call::leave { .. }
                        | pallet_subnets::Call::set_role { .. }
                        | pallet_subnets::Call::announce_swap { .. }
                        | pallet_subnets::Call::cancel_swap { .. }
                        | pallet_subnets::Call::finish_swap { .. }
                )
            ),
            ProxyKind::Ownership => matches!(
                call,
                RuntimeCall::Subnets(
                    pallet_subnets::Call::set_hyperparameters { .. }
                        | pallet_subnets::Call::withdraw_hyperparameters { .. }
                ) | RuntimeCall::Training(
                    pallet_training::Call::start_run { .. }
                        | pallet_training::Call::stop_run { .. }
                )
            ),
            ProxyKind::Voting => matches!(
                call,
                RuntimeCall::ConvictionVoting(
                    pallet_conviction_voting::Call::vote { .. }
                        | pallet_conviction_voting::Call::remove_vote { .. }
                        | pallet_conviction_voting::Call::unlock { .. }
                )
            ),
        }
    }

    fn is_superset(&self, other: &Self) -> bool {
        *self == ProxyKind::Any || self == other
    }
}

impl pallet_proxy::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type Currency = Balances;
    type ProxyType = ProxyKind;
    type ProxyDepositBase = ProxyDepositBase;
    type ProxyDepositFactor = ProxyDepositFactor;
    type MaxProxies = ConstU32<32>;
    type WeightInfo = pallet_proxy::weights::SubstrateWeight<Runtime>;
    type MaxPending = ConstU32<32>;
    type CallHasher = BlakeTwo256;
    type AnnouncementDepositBase = AnnouncementDepositBase;
    type AnnouncementDepositFactor = AnnouncementDepositFactor;
    type BlockNumberProvider = System;
}
