//! Where members' files can be had.
//!
//! # For newcomers
//!
//! The chain names every file by its root and keeps none. Whoever needs one has to know whom to ask. A member says
//! with its hotkey where it serves: a few *endpoints*, each a short text, such as `https://mirror.example/run` or
//! `iroh://ID?at=203.0.113.7:4433`. The rules are [`cairn_protocol::endpoint`]'s.
//!
//! # Calls
//!
//! | call | by | does |
//! |---|---|---|
//! | [`set_endpoints`](pallet::Pallet::set_endpoints) | a member's hotkey | replaces all that it named before, not more often than every [`ENDPOINTS_EVERY`](cairn_protocol::limits::ENDPOINTS_EVERY) blocks; free of fees |
//!
//! # What is kept
//!
//! Only what present members named, at most [`MAX_ENDPOINTS`] texts of each. It goes
//! when the member leaves, is replaced, or signs with another hotkey, which names its own.
//!
//! Invariant: nothing on chain depends on an endpoint.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

extern crate alloc;

#[cfg(any(test, feature = "runtime-benchmarks"))]
pub mod benchmarking;
mod calls;
mod departures;
mod readers;
mod try_state;
pub mod weights;

#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;

use cairn_primitives::{BlockNumber, Text, MAX_ENDPOINTS};
use codec::{Decode, Encode, MaxEncodedLen};
use frame_support::{traits::ConstU32, BoundedVec};
use scale_info::TypeInfo;

pub use pallet::*;
pub use weights::WeightInfo;

/// What a member may name.
pub type List = BoundedVec<Text, ConstU32<MAX_ENDPOINTS>>;

/// What a member named, and when.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Named {
    /// Its endpoints; it may have none any more.
    pub endpoints: List,
    /// The block in which it named them.
    pub set_at: BlockNumber,
}

/// Storage, the call, events and errors.
// FRAME's macros write `expect`s.
#[allow(clippy::expect_used)]
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use cairn_primitives::{traits::Membership, Netuid, Uid};
    use frame_support::{pallet_prelude::*, traits::StorageVersion};
    use frame_system::pallet_prelude::*;

    /// The version of what the pallet stores.
    pub(crate) const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    /// The endpoints pallet.
    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    /// What the pallet needs.
    #[pallet::config]
    pub trait Config: frame_system::Config {
        /// Who is a member.
        type Membership: Membership<Self::AccountId>;
        /// Weights of the call and of what is done when a member leaves.
        type WeightInfo: WeightInfo;
        /// Sets up the other pallets for benchmarks.
        #[cfg(any(test, feature = "runtime-benchmarks"))]
        type BenchmarkHelper: crate::benchmarking::BenchmarkHelper<Self::AccountId>;
    }

    /// By subnet and uid, what members named.
    #[pallet::storage]
    pub type Endpoints<T: Config> =
        StorageDoubleMap<_, Twox64Concat, Netuid, Twox64Concat, Uid, Named>;

    /// What happened.
    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A member's files can be had there.
        EndpointsSet {
            /// The subnet.
            netuid: Netuid,
            /// The member.
            uid: Uid,
            /// Where: all that it names now.
            endpoints: List,
        },
    }

    /// Why a call was refused.
    #[pallet::error]
    pub enum Error<T> {
        /// The origin is no member of the subnet.
        NotAMember,
        /// The subnet is being dissolved.
        Dissolving,
        /// More endpoints than a member may name.
        TooMany,
        /// An endpoint is not printable, or begins neither with `https://` nor with `iroh://`.
        NotAnEndpoint,
        /// An endpoint carries a user or a password, which would be known to all.
        HasCredentials,
        /// An endpoint is named twice.
        NamedTwice,
        /// The last endpoints were set too short a time ago.
        TooSoon,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// The origin, a member, says where its files can be had; none, if nowhere any more. Free of fees if it
        /// succeeds.
        #[pallet::call_index(0)]
        #[pallet::weight((T::WeightInfo::set_endpoints(), DispatchClass::Operational))]
        #[pallet::feeless_if(|
            origin: &OriginFor<T>,
            netuid: &Netuid,
            endpoints: &List,
        | -> bool {
            let who = ensure_signed(origin.clone());
            who.is_ok_and(|who| Pallet::<T>::check_set(&who, *netuid, endpoints).is_ok())
        })]
        pub fn set_endpoints(
            origin: OriginFor<T>,
            netuid: Netuid,
            endpoints: List,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            let uid = Self::check_set(&who, netuid, &endpoints)?;
            Self::note_set(netuid, uid, endpoints);
            Ok(())
        }
    }
}
