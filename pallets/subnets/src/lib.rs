//! Which subnets there are, and who is in them.
//!
//! # For newcomers
//!
//! A *subnet* is a place where one model is trained. Whoever pays for it owns it. A *member* of a subnet is a
//! *hotkey*, a key that signs work, sitting on a numbered seat, its *uid*. The key that paid for the seat is
//! the hotkey's *coldkey*: it owns what the hotkey earns and never has to be on the machine that works. A
//! hotkey belongs to the coldkey that first registered it, for ever and on every subnet.
//!
//! # Calls
//!
//! | call | by | does |
//! |---|---|---|
//! | [`create_subnet`](pallet::Pallet::create_subnet) | anyone | buys the next netuid at [`creation_price`](pallet::Pallet::creation_price) |
//! | [`set_hyperparameters`](pallet::Pallet::set_hyperparameters) | the subnet's owner, or root | sets all of a subnet's rules at once, within the limits of [`limits`]; the owner not more often than every [`HyperparametersRateLimit`](pallet::Config::HyperparametersRateLimit) blocks |
//! | [`register`](pallet::Pallet::register) | anyone | buys a seat for a hotkey at [`price`](pallet::Pallet::price) |
//! | [`leave`](pallet::Pallet::leave) | the hotkey's coldkey | gives the seat up |
//! | [`dissolve_subnet`](pallet::Pallet::dissolve_subnet) | the subnet's owner, or root | ends the subnet and gives everything on it back |
//!
//! # Prices
//!
//! Both prices are burned, and both find their level by themselves ([`prices`]). The price of a subnet doubles
//! with each sale and falls in a straight line to a floor within
//! [`CreationPriceDecay`](pallet::Config::CreationPriceDecay) blocks. The price of a seat is multiplied by
//! `registration_price_factor` with each sale and halves every `registration_half_life` blocks, between
//! `min_registration_price` and `max_registration_price`. Nothing is written for a price to fall: it is
//! computed from the last sale when it is asked for. A buyer states the most that it will pay, so that a sale
//! that gets in first cannot surprise it.
//!
//! # A full subnet
//!
//! Who registers on a full subnet takes the seat of the member whom the last epoch paid least; among equals
//! the one that came first goes, then the lowest uid. A member that came less than `immunity_period` blocks
//! ago cannot be replaced, and neither can the oldest of the owner's own hotkeys: the owner keeps one seat,
//! not all of them. If nobody can be replaced, the registration fails. An owner who lowers `max_members` below the number of
//! members sends nobody away: from then on newcomers replace.
//!
//! # The end of a subnet
//!
//! Who dissolves a subnet stops it at once: nobody joins, its run is stopped in the middle of a round, it earns
//! nothing more and has no more epochs, and every call that would begin something there is refused. Then it waits
//! for its `unbonding_period`, because until then an audit can still find out what somebody did, and bonds and
//! stake have to be there to answer for it. After that each block gives a bounded number of things back
//! ([`Config::DissolvedPerBlock`]): first the pots, by what the last epoch
//! found, then stake and bonds, then the seats. Nobody has to ask. When nothing is left of it the subnet is gone.
//! A netuid is never given to another subnet: what was signed or stored for one cannot be mistaken for another's.
//!
//! # The audit window
//!
//! Work can be checked for [`AuditWindow`] blocks after it was done, a number that genesis
//! sets. No subnet's `unbonding_period` can be shorter, nor shorter than its `tempo`: stake that comes for one
//! epoch has to stay for the time of the next.
//!
//! # Hotkeys need no balance
//!
//! A member's hotkey holds a *sufficient reference* in the system pallet, without which an account with no
//! balance could send no transaction. It is not a provider reference, because a provider reference cannot be
//! taken back while something else, such as session keys, leans on it, and so a member could make itself
//! irreplaceable.
//!
//! # Who is told
//!
//! Other pallets learn of members through [`OnMember`](cairn_primitives::traits::OnMember) and ask through
//! [`Membership`](cairn_primitives::traits::Membership); what was burned is reported to
//! [`OnBurned`](cairn_primitives::traits::OnBurned).

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
mod dissolution;
pub mod limits;
mod members;
pub mod prices;
mod try_state;
pub mod weights;

#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;

pub use pallet::*;
pub use weights::WeightInfo;

use cairn_primitives::{Balance, BlockNumber, Netuid, Uid};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// A subnet.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Subnet<AccountId> {
    /// The coldkey that owns it.
    pub owner: AccountId,
    /// The block at which it was created.
    pub created_at: BlockNumber,
    /// Number of members.
    pub members: u16,
}

/// A member of a subnet.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Member<AccountId> {
    /// The key that signs its work.
    pub hotkey: AccountId,
    /// The key that owns what it earns.
    pub coldkey: AccountId,
    /// The block at which it took its seat.
    pub registered_at: BlockNumber,
}

/// A price as it stood right after a sale.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub struct Quote {
    /// The price, in pebble.
    pub price: Balance,
    /// The block of the sale.
    pub at: BlockNumber,
}

/// Storage, calls, events and errors.
#[allow(clippy::expect_used)] // FRAME's macros write them.
#[frame_support::pallet]
pub mod pallet {
    use super::{Balance, BlockNumber, Member, Netuid, Quote, Subnet, Uid, WeightInfo};
    use crate::limits;
    use cairn_primitives::{
        traits::{Dissolve, Incentives, OnBurned, OnMember},
        Hyperparameters, MAX_MEMBERS,
    };
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
        /// Told of every price that was burned.
        type OnBurned: OnBurned;
        /// Told of members that come and go.
        type OnMember: OnMember<Self::AccountId>;
        /// What the last epoch paid each member.
        type Incentives: Incentives;
        /// Those who keep something of a subnet, in the order in which they give it back.
        type Dissolve: Dissolve;
        /// The most subnets that there can be at a time, those that are being dissolved included.
        #[pallet::constant]
        type MaxSubnets: Get<u32>;
        /// The lowest price of a subnet, in pebble.
        #[pallet::constant]
        type CreationPriceFloor: Get<Balance>;
        /// Blocks in which the price of a subnet falls from twice the last sale to the floor.
        #[pallet::constant]
        type CreationPriceDecay: Get<BlockNumber>;
        /// Blocks for which work can be checked after it was done, where genesis says nothing else.
        #[pallet::constant]
        type DefaultAuditWindow: Get<BlockNumber>;
        /// Blocks that a subnet's owner has to wait between two changes of its hyperparameters.
        #[pallet::constant]
        type HyperparametersRateLimit: Get<BlockNumber>;
        /// How many things a block gives back of subnets that are being dissolved; at least 1.
        #[pallet::constant]
        type DissolvedPerBlock: Get<u32>;
        /// What the calls and the hook weigh.
        type WeightInfo: WeightInfo;
        /// Sets up the other pallets for benchmarks.
        #[cfg(any(test, feature = "runtime-benchmarks"))]
        type BenchmarkHelper: crate::benchmarking::BenchmarkHelper;
    }

    /// The last netuid that was sold: they count from 1, and none is used twice.
    #[pallet::storage]
    pub type LastNetuid<T> = StorageValue<_, Netuid, ValueQuery>;

    /// The netuids of the subnets that are at work, ascending.
    #[pallet::storage]
    pub type Netuids<T: Config> = StorageValue<_, BoundedVec<Netuid, T::MaxSubnets>, ValueQuery>;

    /// The subnets, those that are being dissolved included.
    #[pallet::storage]
    pub type Subnets<T: Config> =
        CountedStorageMap<_, Twox64Concat, Netuid, Subnet<T::AccountId>, OptionQuery>;

    /// The subnets that are being dissolved, with the block from which on they give everything back.
    #[pallet::storage]
    pub type Dissolving<T> = StorageMap<_, Twox64Concat, Netuid, BlockNumber, OptionQuery>;

    /// Blocks for which work can be checked after it was done. Set at genesis.
    #[pallet::storage]
    pub type AuditWindow<T: Config> =
        StorageValue<_, BlockNumber, ValueQuery, <T as Config>::DefaultAuditWindow>;

    /// What the subnets' owners set.
    #[pallet::storage]
    pub type HyperparametersOf<T> =
        StorageMap<_, Twox64Concat, Netuid, Hyperparameters, OptionQuery>;

    /// The block at which a subnet's owner set them last.
    #[pallet::storage]
    pub type HyperparametersSetAt<T> =
        StorageMap<_, Twox64Concat, Netuid, BlockNumber, OptionQuery>;

    /// The price of a seat after the last sale on a subnet, from which today's is computed.
    #[pallet::storage]
    pub type RegistrationQuote<T> = StorageMap<_, Twox64Concat, Netuid, Quote, OptionQuery>;

    /// The price of a subnet after the last sale, from which today's is computed.
    #[pallet::storage]
    pub type CreationQuote<T> = StorageValue<_, Quote, OptionQuery>;

    /// Who sits where: (netuid, uid) to member.
    #[pallet::storage]
    pub type Members<T: Config> = StorageDoubleMap<
        _,
        Twox64Concat,
        Netuid,
        Twox64Concat,
        Uid,
        Member<T::AccountId>,
        OptionQuery,
    >;

    /// The inverse of [`Members`]: (netuid, hotkey) to uid.
    #[pallet::storage]
    pub type Uids<T: Config> =
        StorageDoubleMap<_, Twox64Concat, Netuid, Blake2_128Concat, T::AccountId, Uid, OptionQuery>;

    /// The coldkey that a hotkey belongs to. Never changes, never goes; each entry was paid for with a
    /// registration.
    #[pallet::storage]
    pub type Coldkeys<T: Config> =
        StorageMap<_, Blake2_128Concat, T::AccountId, T::AccountId, OptionQuery>;

    /// The inverse of [`Coldkeys`]: (coldkey, hotkey).
    #[pallet::storage]
    pub type Hotkeys<T: Config> = StorageDoubleMap<
        _,
        Blake2_128Concat,
        T::AccountId,
        Blake2_128Concat,
        T::AccountId,
        (),
        OptionQuery,
    >;

    /// What can be chosen.
    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// Blocks for which work can be checked after it was done; 0 means the usual number.
        pub audit_window: BlockNumber,
        /// Carries the runtime's type.
        #[serde(skip)]
        pub _config: core::marker::PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            if self.audit_window != 0 {
                AuditWindow::<T>::put(self.audit_window);
            }
        }
    }

    /// What happened.
    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A subnet was created.
        SubnetCreated {
            /// Its number.
            netuid: Netuid,
            /// The coldkey that paid for it and owns it.
            owner: T::AccountId,
            /// What was burned, in pebble.
            price: Balance,
        },
        /// A subnet's owner, or root, set its hyperparameters.
        HyperparametersSet {
            /// The subnet.
            netuid: Netuid,
        },
        /// A hotkey took a seat.
        MemberJoined {
            /// The subnet.
            netuid: Netuid,
            /// The seat.
            uid: Uid,
            /// The hotkey.
            hotkey: T::AccountId,
            /// The coldkey that paid and owns the hotkey.
            coldkey: T::AccountId,
            /// What was burned, in pebble.
            price: Balance,
        },
        /// A hotkey lost its seat: it left, or was replaced.
        MemberLeft {
            /// The subnet.
            netuid: Netuid,
            /// The seat.
            uid: Uid,
            /// The hotkey.
            hotkey: T::AccountId,
        },
        /// A subnet ended. It gives everything back from this block on.
        SubnetDissolving {
            /// The subnet.
            netuid: Netuid,
            /// The block.
            from: BlockNumber,
        },
        /// Nothing is left of a subnet.
        SubnetDissolved {
            /// The netuid that it had.
            netuid: Netuid,
        },
    }

    /// What can go wrong.
    #[pallet::error]
    pub enum Error<T> {
        /// There are as many subnets as the chain allows.
        TooManySubnets,
        /// There is no subnet with this netuid.
        UnknownSubnet,
        /// The subnet is being dissolved: it gives everything back by itself.
        SubnetDissolving,
        /// Only the subnet's owner may do this.
        NotSubnetOwner,
        /// The owner set hyperparameters less than `HyperparametersRateLimit` blocks ago.
        HyperparametersTooSoon,
        /// The price is above the `max_price` of the call. Ask for the price again.
        PriceTooHigh,
        /// The hotkey already has a slot in this subnet.
        AlreadyMember,
        /// The hotkey has no slot in this subnet.
        NotMember,
        /// The hotkey belongs to another coldkey.
        NotHotkeysColdkey,
        /// All slots are taken, and no member can be replaced now.
        SubnetFull,
        /// `tempo` is out of range.
        TempoOutOfRange,
        /// `max_members` or `max_validators` is out of range.
        SeatsOutOfRange,
        /// `immunity_period`, `activity_cutoff` or `unbonding_period` is out of range.
        PeriodOutOfRange,
        /// `unbonding_period` is shorter than the chain's audit window, or than `tempo`.
        UnbondingTooShort,
        /// `kappa` or `bonds_moving_average` is out of range, or `liquid_alpha_low` above `liquid_alpha_high`.
        ConsensusOutOfRange,
        /// `min_validator_stake` or `min_miner_bond` is out of range.
        StakeOutOfRange,
        /// A registration price, its half-life or its factor is out of range.
        PriceOutOfRange,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        /// Gives back some of what there was on subnets that are being dissolved.
        fn on_initialize(_: BlockNumberFor<T>) -> Weight {
            Self::dissolve_some(T::DissolvedPerBlock::get())
        }

        fn integrity_test() {
            assert!(
                T::DissolvedPerBlock::get() > 0,
                "a dissolution would never end"
            );
            assert!(
                T::DefaultAuditWindow::get() <= Hyperparameters::default().unbonding_period,
                "the default hyperparameters must be within the limits"
            );
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Buys the next free netuid. The signer pays [`Pallet::creation_price`], which is burned, and owns the
        /// subnet; its hyperparameters are the defaults. The signer's account keeps the existential deposit.
        ///
        /// `max_price`: the most that the signer will pay, in pebble.
        ///
        /// Errors: [`Error::TooManySubnets`], [`Error::PriceTooHigh`], `Token::FundsUnavailable`.
        /// Event: [`Event::SubnetCreated`].
        #[pallet::call_index(0)]
        #[pallet::weight(T::WeightInfo::create_subnet())]
        pub fn create_subnet(origin: OriginFor<T>, max_price: Balance) -> DispatchResult {
            let owner = ensure_signed(origin)?;
            let netuid = Self::next_netuid()?;
            let price = Self::creation_price();
            Self::burn_price(&owner, price, max_price)?;
            Self::found(netuid, &owner, price)?;
            Self::deposit_event(Event::SubnetCreated {
                netuid,
                owner,
                price,
            });
            Ok(())
        }

        /// Sets all hyperparameters of a subnet. The price of a seat goes on from where it stands. A new
        /// `unbonding_period` holds for what is asked back afterwards.
        ///
        /// Errors: [`Error::UnknownSubnet`], [`Error::SubnetDissolving`], [`Error::NotSubnetOwner`] unless the
        /// signer is the owner or the origin root, [`Error::HyperparametersTooSoon`], which root passes over,
        /// [`Error::UnbondingTooShort`], and one `…OutOfRange` for each group of limits in [`limits`].
        /// Event: [`Event::HyperparametersSet`].
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::set_hyperparameters())]
        pub fn set_hyperparameters(
            origin: OriginFor<T>,
            netuid: Netuid,
            hyperparameters: Hyperparameters,
        ) -> DispatchResult {
            let signer = ensure_signed_or_root(origin)?;
            Self::ensure_rules(netuid, signer.as_ref())?;
            limits::check::<T>(&hyperparameters)?;
            if signer.is_some() {
                Self::note_change(netuid)?;
            }
            Self::change_hyperparameters(netuid, hyperparameters)?;
            Self::deposit_event(Event::HyperparametersSet { netuid });
            Ok(())
        }

        /// Buys a seat for `hotkey`. The signer pays [`Pallet::price`], which is burned, and becomes the
        /// hotkey's coldkey if it has none. The hotkey gets the lowest free uid, or, on a full subnet, that of
        /// the member it replaces. The signer's account keeps the existential deposit.
        ///
        /// `max_price`: the most that the signer will pay, in pebble.
        ///
        /// Errors: [`Error::UnknownSubnet`], [`Error::SubnetDissolving`], [`Error::AlreadyMember`],
        /// [`Error::NotHotkeysColdkey`], [`Error::PriceTooHigh`], [`Error::SubnetFull`],
        /// `Token::FundsUnavailable`. Events: [`Event::MemberLeft`] if somebody was replaced, [`Event::MemberJoined`]. The weight is that of a
        /// full subnet; what a smaller one did not need is given back.
        #[pallet::call_index(2)]
        #[pallet::weight(T::WeightInfo::register(MAX_MEMBERS))]
        pub fn register(
            origin: OriginFor<T>,
            netuid: Netuid,
            hotkey: T::AccountId,
            max_price: Balance,
        ) -> DispatchResultWithPostInfo {
            let coldkey = ensure_signed(origin)?;
            let mut subnet = Self::open_subnet(netuid)?;
            let weight = T::WeightInfo::register(u32::from(subnet.members));
            ensure!(
                !Uids::<T>::contains_key(netuid, &hotkey),
                Error::<T>::AlreadyMember
            );
            let owner = Coldkeys::<T>::get(&hotkey);
            ensure!(
                owner.is_none_or(|owner| owner == coldkey),
                Error::<T>::NotHotkeysColdkey
            );
            let (uid, sitting) = Self::find_seat(netuid, &subnet)?;
            let price = Self::sell_seat(netuid, &coldkey, max_price)?;
            if let Some(member) = sitting {
                Self::unseat(netuid, uid, &mut subnet, &member.hotkey)?;
            }
            Self::seat(netuid, uid, &mut subnet, &hotkey, &coldkey)?;
            Subnets::<T>::insert(netuid, subnet);
            Self::deposit_event(Event::MemberJoined {
                netuid,
                uid,
                hotkey: hotkey.clone(),
                coldkey,
                price,
            });
            T::OnMember::on_joined(netuid, uid, &hotkey);
            Ok(Some(weight).into())
        }

        /// Gives a hotkey's seat up. What was paid for it is gone; stake and bond stay with the stake pallet,
        /// which begins to release the bond.
        ///
        /// Errors: [`Error::UnknownSubnet`], [`Error::SubnetDissolving`], [`Error::NotMember`],
        /// [`Error::NotHotkeysColdkey`] unless the signer is the hotkey's coldkey. Event: [`Event::MemberLeft`].
        #[pallet::call_index(3)]
        #[pallet::weight(T::WeightInfo::leave())]
        pub fn leave(origin: OriginFor<T>, netuid: Netuid, hotkey: T::AccountId) -> DispatchResult {
            let who = ensure_signed(origin)?;
            let mut subnet = Self::open_subnet(netuid)?;
            let uid = Uids::<T>::get(netuid, &hotkey).ok_or(Error::<T>::NotMember)?;
            let coldkey = Coldkeys::<T>::get(&hotkey).ok_or(Error::<T>::NotMember)?;
            ensure!(coldkey == who, Error::<T>::NotHotkeysColdkey);
            Self::unseat(netuid, uid, &mut subnet, &hotkey)?;
            Subnets::<T>::insert(netuid, subnet);
            Ok(())
        }

        /// Ends a subnet. It stops at once; after its `unbonding_period` everything on it goes back to whom it
        /// belongs, some of it in each block, and then it is gone. There is no way back.
        ///
        /// Errors: [`Error::UnknownSubnet`], [`Error::SubnetDissolving`], [`Error::NotSubnetOwner`] unless the
        /// signer is the owner or the origin root. Event: [`Event::SubnetDissolving`], and in the end
        /// [`Event::SubnetDissolved`].
        #[pallet::call_index(4)]
        #[pallet::weight(T::WeightInfo::dissolve_subnet())]
        pub fn dissolve_subnet(origin: OriginFor<T>, netuid: Netuid) -> DispatchResult {
            let signer = ensure_signed_or_root(origin)?;
            Self::ensure_rules(netuid, signer.as_ref())?;
            Self::start_dissolution(netuid)
        }
    }
}
