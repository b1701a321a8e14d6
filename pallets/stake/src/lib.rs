//! Who stands behind whom: stake, and miners' bonds.
//!
//! # For newcomers
//!
//! A hotkey that validates speaks with the weight of the *stake* on it; a hotkey that mines puts up a *bond*
//! before the chain gives it data to train on. Both belong to the hotkey's coldkey, and both are kept for each
//! subnet by itself. For now only a hotkey's own coldkey can stake on it.
//!
//! # Calls, all signed by the hotkey's coldkey
//!
//! | call | does |
//! |---|---|
//! | [`add_stake`](pallet::Pallet::add_stake) | moves tokens from the coldkey's account to the stake on a member's hotkey |
//! | [`remove_stake`](pallet::Pallet::remove_stake) | moves them back, at once, whether or not the hotkey is still a member |
//! | [`add_bond`](pallet::Pallet::add_bond) | moves tokens from the coldkey's account to the bond of a member's hotkey |
//! | [`unbond`](pallet::Pallet::unbond) | asks for the whole bond back: it stops counting at once and is locked for `unbonding_period` blocks |
//! | [`withdraw_bond`](pallet::Pallet::withdraw_bond) | moves what is no longer locked to the coldkey's account |
//!
//! A member that leaves, or is replaced, keeps its stake and its bond; the chain asks for the bond back in its
//! stead.
//!
//! # Every token is in one ledger
//!
//! Staked and bonded tokens are not locked in an account: they are burned in the balances pallet and counted
//! here, in [`TotalStaked`](pallet::TotalStaked) or in [`TotalBonded`](pallet::TotalBonded), until they are
//! minted back. So an account's balance is what it can spend, and all that was ever issued and not destroyed is
//! balances + staked + bonded + the emissions pallet's pots. A coldkey's account keeps the existential deposit
//! when it stakes or bonds: no dust is lost on the way. A dividend comes out of a pot straight into the stake
//! ([`Stakes::reward`](cairn_primitives::traits::Stakes::reward)).
//!
//! # What this pallet does not do
//!
//! Stake can be moved from one hotkey to another at any time. Whoever counts stake over a period, as the
//! training pallet does for a round, has to take a snapshot.

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

mod ledger;
mod try_state;
pub mod weights;

#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;

pub use pallet::*;
pub use weights::WeightInfo;

use cairn_primitives::{Balance, BlockNumber, Netuid};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// A hotkey's bond in a subnet.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub struct Bond {
    /// What counts, in pebble.
    pub active: Balance,
    /// What was asked back and no longer counts, in pebble.
    pub unbonding: Balance,
    /// The block from which on `unbonding` can be withdrawn; 0 while there is none.
    pub release_at: BlockNumber,
}

/// Storage, calls, events and errors.
#[allow(clippy::expect_used)] // FRAME's macros write them.
#[frame_support::pallet]
pub mod pallet {
    use super::{Balance, BlockNumber, Bond, Netuid, WeightInfo};
    use cairn_primitives::traits::Membership;
    use frame_support::{
        pallet_prelude::*,
        traits::{fungible, StorageVersion},
    };
    use frame_system::pallet_prelude::*;

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    /// The pallet.
    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    /// What the runtime has to give.
    #[pallet::config]
    pub trait Config: frame_system::Config {
        /// The chain's token, in pebble.
        type Currency: fungible::Mutate<Self::AccountId, Balance = Balance>;
        /// Who is in which subnet, and which coldkey a hotkey belongs to.
        type Members: Membership<Self::AccountId>;
        /// The least that can be staked or bonded at a time, in pebble.
        #[pallet::constant]
        type MinimumAmount: Get<Balance>;
        /// What the calls weigh.
        type WeightInfo: WeightInfo;
    }

    /// Stake: (netuid, hotkey) to pebble. It outlives the hotkey's seat.
    #[pallet::storage]
    pub type StakeOn<T: Config> = StorageDoubleMap<
        _,
        Twox64Concat,
        Netuid,
        Blake2_128Concat,
        T::AccountId,
        Balance,
        ValueQuery,
    >;

    /// Stake on all hotkeys of a subnet, those without a seat included.
    #[pallet::storage]
    pub type SubnetStake<T> = StorageMap<_, Twox64Concat, Netuid, Balance, ValueQuery>;

    /// All stake.
    #[pallet::storage]
    pub type TotalStaked<T> = StorageValue<_, Balance, ValueQuery>;

    /// Bonds: (netuid, hotkey) to bond. One that is being withdrawn outlives the hotkey's seat.
    #[pallet::storage]
    pub type Bonds<T: Config> =
        StorageDoubleMap<_, Twox64Concat, Netuid, Blake2_128Concat, T::AccountId, Bond, ValueQuery>;

    /// Bonds of all hotkeys of a subnet that count.
    #[pallet::storage]
    pub type SubnetBonds<T> = StorageMap<_, Twox64Concat, Netuid, Balance, ValueQuery>;

    /// All bonds, those that are being withdrawn included.
    #[pallet::storage]
    pub type TotalBonded<T> = StorageValue<_, Balance, ValueQuery>;

    /// What happened.
    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A coldkey staked on its hotkey.
        StakeAdded {
            /// The subnet.
            netuid: Netuid,
            /// The hotkey.
            hotkey: T::AccountId,
            /// How much, in pebble.
            amount: Balance,
        },
        /// A coldkey took stake back.
        StakeRemoved {
            /// The subnet.
            netuid: Netuid,
            /// The hotkey.
            hotkey: T::AccountId,
            /// How much, in pebble.
            amount: Balance,
        },
        /// A coldkey bonded for its hotkey.
        BondAdded {
            /// The subnet.
            netuid: Netuid,
            /// The hotkey.
            hotkey: T::AccountId,
            /// How much, in pebble.
            amount: Balance,
        },
        /// A bond stopped counting: it was asked back, or its hotkey lost its seat.
        Unbonding {
            /// The subnet.
            netuid: Netuid,
            /// The hotkey.
            hotkey: T::AccountId,
            /// How much stopped counting, in pebble.
            amount: Balance,
            /// The block from which on all that is unbonding can be withdrawn.
            release_at: BlockNumber,
        },
        /// A coldkey took back what was unbonding.
        BondWithdrawn {
            /// The subnet.
            netuid: Netuid,
            /// The hotkey.
            hotkey: T::AccountId,
            /// How much, in pebble.
            amount: Balance,
        },
    }

    /// What can go wrong.
    #[pallet::error]
    pub enum Error<T> {
        /// Nobody has ever registered the hotkey.
        UnknownHotkey,
        /// The hotkey belongs to another coldkey.
        NotHotkeysColdkey,
        /// The hotkey has no seat on the subnet.
        NotMember,
        /// The amount is zero, or below the least that can be staked or bonded.
        AmountTooSmall,
        /// There is not that much stake on the hotkey.
        NotEnoughStake,
        /// The hotkey has no bond that counts.
        NothingBonded,
        /// The hotkey has no bond that is being withdrawn.
        NothingUnbonding,
        /// The bond is locked until the block that `unbond` announced.
        BondLocked,
        /// There is no subnet with this netuid.
        UnknownSubnet,
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
        /// Moves `amount` pebble, at least [`Config::MinimumAmount`], from the signer's account to the stake on
        /// its hotkey. The account keeps the existential deposit.
        ///
        /// Errors: [`Error::UnknownHotkey`], [`Error::NotHotkeysColdkey`], [`Error::NotMember`],
        /// [`Error::AmountTooSmall`], `Token::FundsUnavailable`. Event: [`Event::StakeAdded`].
        #[pallet::call_index(0)]
        #[pallet::weight(T::WeightInfo::add_stake())]
        pub fn add_stake(
            origin: OriginFor<T>,
            netuid: Netuid,
            hotkey: T::AccountId,
            amount: Balance,
        ) -> DispatchResult {
            let coldkey = Self::ensure_coldkey(origin, &hotkey)?;
            Self::ensure_can_add(netuid, &hotkey, amount)?;
            Self::take_from_account(&coldkey, amount)?;
            Self::increase_stake(netuid, &hotkey, amount)?;
            Self::deposit_event(Event::StakeAdded {
                netuid,
                hotkey,
                amount,
            });
            Ok(())
        }

        /// Moves `amount` pebble of the stake on the signer's hotkey back to the signer's account, whether or
        /// not the hotkey has a seat.
        ///
        /// Errors: [`Error::UnknownHotkey`], [`Error::NotHotkeysColdkey`], [`Error::AmountTooSmall`] if it is
        /// zero, [`Error::NotEnoughStake`]; `Token::BelowMinimum` if the signer's account is empty and would
        /// stay below the existential deposit. Event: [`Event::StakeRemoved`].
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::remove_stake())]
        pub fn remove_stake(
            origin: OriginFor<T>,
            netuid: Netuid,
            hotkey: T::AccountId,
            amount: Balance,
        ) -> DispatchResult {
            let coldkey = Self::ensure_coldkey(origin, &hotkey)?;
            ensure!(amount > 0, Error::<T>::AmountTooSmall);
            ensure!(
                StakeOn::<T>::get(netuid, &hotkey) >= amount,
                Error::<T>::NotEnoughStake
            );
            Self::return_to_account(&coldkey, amount)?;
            Self::decrease_stake(netuid, &hotkey, amount)?;
            Self::deposit_event(Event::StakeRemoved {
                netuid,
                hotkey,
                amount,
            });
            Ok(())
        }

        /// Moves `amount` pebble, at least [`Config::MinimumAmount`], from the signer's account to the bond of
        /// its hotkey. The account keeps the existential deposit.
        ///
        /// Errors: [`Error::UnknownHotkey`], [`Error::NotHotkeysColdkey`], [`Error::NotMember`],
        /// [`Error::AmountTooSmall`], `Token::FundsUnavailable`. Event: [`Event::BondAdded`].
        #[pallet::call_index(2)]
        #[pallet::weight(T::WeightInfo::add_bond())]
        pub fn add_bond(
            origin: OriginFor<T>,
            netuid: Netuid,
            hotkey: T::AccountId,
            amount: Balance,
        ) -> DispatchResult {
            let coldkey = Self::ensure_coldkey(origin, &hotkey)?;
            Self::ensure_can_add(netuid, &hotkey, amount)?;
            Self::take_from_account(&coldkey, amount)?;
            Self::increase_bond(netuid, &hotkey, amount)?;
            Self::deposit_event(Event::BondAdded {
                netuid,
                hotkey,
                amount,
            });
            Ok(())
        }

        /// Asks for the whole bond of the signer's hotkey back. It stops counting at once and can be withdrawn
        /// after the subnet's `unbonding_period`, as it is now. If part of the bond is unbonding already,
        /// everything is released together, at the later of the two blocks.
        ///
        /// Errors: [`Error::UnknownHotkey`], [`Error::NotHotkeysColdkey`], [`Error::NothingBonded`].
        /// Event: [`Event::Unbonding`].
        #[pallet::call_index(3)]
        #[pallet::weight(T::WeightInfo::unbond())]
        pub fn unbond(
            origin: OriginFor<T>,
            netuid: Netuid,
            hotkey: T::AccountId,
        ) -> DispatchResult {
            Self::ensure_coldkey(origin, &hotkey)?;
            Self::start_unbonding(netuid, &hotkey)
        }

        /// Moves what is unbonding and no longer locked to the signer's account.
        ///
        /// Errors: [`Error::UnknownHotkey`], [`Error::NotHotkeysColdkey`], [`Error::NothingUnbonding`],
        /// [`Error::BondLocked`]; `Token::BelowMinimum` if the signer's account is empty and would stay below
        /// the existential deposit. Event: [`Event::BondWithdrawn`].
        #[pallet::call_index(4)]
        #[pallet::weight(T::WeightInfo::withdraw_bond())]
        pub fn withdraw_bond(
            origin: OriginFor<T>,
            netuid: Netuid,
            hotkey: T::AccountId,
        ) -> DispatchResult {
            let coldkey = Self::ensure_coldkey(origin, &hotkey)?;
            let amount = Self::releasable(netuid, &hotkey)?;
            Self::return_to_account(&coldkey, amount)?;
            Self::release_bond(netuid, &hotkey)?;
            Self::deposit_event(Event::BondWithdrawn {
                netuid,
                hotkey,
                amount,
            });
            Ok(())
        }
    }
}
