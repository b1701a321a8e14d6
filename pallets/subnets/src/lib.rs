//! Which subnets there are, and who is in them.
//!
//! # For newcomers
//!
//! A *subnet* is a place where one model is trained. Whoever pays for it owns it. A *member* of a subnet is a
//! *hotkey*, a key that signs work, sitting on a numbered seat, its *uid*. The key that paid for the seat is
//! the hotkey's *coldkey*: it owns what the hotkey earns and never has to be on the machine that works. A
//! hotkey belongs to the coldkey that first registered it, for ever and on every subnet. It signs that it wants to
//! ([`cairn_protocol::registration`]): nobody can take another's hotkey. A member is a miner or a validator, as its
//! coldkey says.
//!
//! # Calls
//!
//! | call | by | does |
//! |---|---|---|
//! | [`create_subnet`](pallet::Pallet::create_subnet) | anyone | buys the next netuid at [`creation_price`](pallet::Pallet::creation_price) |
//! | [`set_hyperparameters`](pallet::Pallet::set_hyperparameters) | the subnet's owner, or root | sets all of a subnet's rules together, within the limits of [`limits`] and with notice; the owner not more often than every [`HyperparametersRateLimit`](pallet::Config::HyperparametersRateLimit) blocks |
//! | [`withdraw_hyperparameters`](pallet::Pallet::withdraw_hyperparameters) | the subnet's owner, or root | takes back rules that do not hold yet |
//! | [`register`](pallet::Pallet::register) | anyone | buys a seat for a hotkey at [`price`](pallet::Pallet::price), with that hotkey's signature |
//! | [`set_role`](pallet::Pallet::set_role) | the hotkey's coldkey | makes a member a miner or a validator |
//! | [`announce_swap`](pallet::Pallet::announce_swap), [`cancel_swap`](pallet::Pallet::cancel_swap), [`finish_swap`](pallet::Pallet::finish_swap) | the hotkey's coldkey | gives a member another hotkey, an unbonding period after it was announced |
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
//! Who registers on a full subnet takes the seat of the member whom the last epoch paid least; among equals the one
//! that came first goes, then the lowest uid. A member that came less than `immunity_period` blocks ago cannot be
//! replaced, and neither can the oldest of the owner's own hotkeys: the owner keeps one seat, not all of them. If
//! nobody can be replaced, the registration fails. An owner who lowers `max_members` below the number of members
//! sends nobody away: from then on newcomers replace.
//!
//! # Rules change with notice
//!
//! An owner who could change everything at once could hold others' stake hostage. What it sets holds only after
//! everybody who dislikes it can have left: after the present unbonding period or two tempos
//! ([`cairn_protocol::notice`]). Until then it can be read, replaced or withdrawn. Present and announced rules lie in
//! one [`Rules`], and whoever asks gets those that hold in the block: nothing has to be done when the time comes.
//! Root's rules hold at once, and so do an owner's while nobody has ever had a seat. Scores that are hidden stay so
//! while the subnet has a run.
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
mod rules;
mod swaps;
mod try_state;
pub mod types;
pub mod weights;

#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;

pub use pallet::*;
pub use types::{Announced, Member, Quote, Rules, Subnet, Swap};
pub use weights::WeightInfo;

/// Storage, calls, events and errors.
#[allow(clippy::expect_used)] // FRAME's macros write them.
#[frame_support::pallet]
pub mod pallet {
    use super::{
        types::{Member, Quote, Rules, Subnet, Swap},
        WeightInfo,
    };
    use cairn_primitives::{
        traits::{Dissolve, Incentives, OnBurned, OnMember, Runs},
        Balance, BlockNumber, Hyperparameters, Netuid, Role, Uid, MAX_MEMBERS,
    };
    use frame_support::{
        pallet_prelude::*,
        traits::{fungible, StorageVersion},
    };
    use frame_system::pallet_prelude::*;
    use sp_runtime::traits::{IdentifyAccount, Verify};

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
        /// Whether a subnet trains.
        type Runs: Runs;
        /// What a hotkey signs with.
        type Signature: Verify<Signer = Self::Signer> + Parameter;
        /// Who signs as an account.
        type Signer: IdentifyAccount<AccountId = Self::AccountId>;
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
        type BenchmarkHelper: crate::benchmarking::BenchmarkHelper<Self::AccountId, Self::Signature>;
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

    /// What the subnets' owners set: what holds, and what will.
    #[pallet::storage]
    pub type RulesOf<T> = StorageMap<_, Twox64Concat, Netuid, Rules, OptionQuery>;

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

    /// Members that are to have another hotkey: (netuid, uid) to which, and from when on.
    #[pallet::storage]
    pub type Swaps<T: Config> = StorageDoubleMap<
        _,
        Twox64Concat,
        Netuid,
        Twox64Concat,
        Uid,
        Swap<T::AccountId>,
        OptionQuery,
    >;

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
        /// A subnet's owner, or root, set its hyperparameters, and they hold.
        HyperparametersSet {
            /// The subnet.
            netuid: Netuid,
        },
        /// A subnet's owner announced hyperparameters. Those that it had announced before will not hold.
        HyperparametersAnnounced {
            /// The subnet.
            netuid: Netuid,
            /// The block from which on they hold.
            from: BlockNumber,
        },
        /// A subnet's owner, or root, took hyperparameters back that had been announced.
        HyperparametersWithdrawn {
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
            /// What the member is there for.
            role: Role,
        },
        /// A coldkey chose another role for its hotkey.
        RoleSet {
            /// The subnet.
            netuid: Netuid,
            /// The seat.
            uid: Uid,
            /// The hotkey.
            hotkey: T::AccountId,
            /// What it is there for from the next round and epoch on.
            role: Role,
        },
        /// A coldkey announced another hotkey for a member.
        SwapAnnounced {
            /// The subnet.
            netuid: Netuid,
            /// The seat.
            uid: Uid,
            /// The present hotkey.
            hotkey: T::AccountId,
            /// The one to come.
            to: T::AccountId,
            /// The block from which on it can come.
            from: BlockNumber,
        },
        /// A coldkey took back that a member is to have another hotkey.
        SwapCancelled {
            /// The subnet.
            netuid: Netuid,
            /// The seat.
            uid: Uid,
        },
        /// A member has another hotkey from this block on.
        HotkeySwapped {
            /// The subnet.
            netuid: Netuid,
            /// The seat.
            uid: Uid,
            /// The hotkey that it had.
            old: T::AccountId,
            /// The hotkey that it has.
            new: T::AccountId,
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
        /// No hyperparameters have been announced that do not hold yet.
        NothingAnnounced,
        /// The subnet has a run: until it is stopped its scores stay hidden.
        RunNeedsCommitReveal,
        /// The signature is not the hotkey's, or is for another chain, subnet or coldkey.
        BadHotkeySignature,
        /// The member has this role already.
        RoleUnchanged,
        /// The member's role was chosen less than two tempos ago.
        RoleTooSoon,
        /// Another hotkey has been announced for this member already: cancel that first.
        SwapAnnounced,
        /// No other hotkey has been announced for this member.
        NoSwapAnnounced,
        /// The announced hotkey has to wait for its block.
        SwapTooSoon,
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
        /// `min_validator_stake` or `min_miner_bond` would be more than twice what it is now: raise it in several steps.
        RaisedTooMuch,
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

        /// Sets all hyperparameters of a subnet: from [`cairn_protocol::notice::rules_from`] on, or at once if the
        /// origin is root or nobody has ever had a seat there. What was announced before is dropped. The price of a
        /// seat goes on from where it stands. A new `unbonding_period` holds for what is asked back afterwards.
        ///
        /// Errors: [`Error::UnknownSubnet`], [`Error::SubnetDissolving`], [`Error::NotSubnetOwner`] unless the signer
        /// is the owner or the origin root, [`Error::HyperparametersTooSoon`], which root passes over,
        /// [`Error::RunNeedsCommitReveal`], [`Error::UnbondingTooShort`], [`Error::RaisedTooMuch`] for what is
        /// announced, and one `…OutOfRange` for each group of limits in [`limits`](crate::limits).
        /// Event: [`Event::HyperparametersAnnounced`], or [`Event::HyperparametersSet`].
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::set_hyperparameters())]
        pub fn set_hyperparameters(
            origin: OriginFor<T>,
            netuid: Netuid,
            hyperparameters: Hyperparameters,
        ) -> DispatchResult {
            let signer = ensure_signed_or_root(origin)?;
            let subnet = Self::ensure_rules(netuid, signer.as_ref())?;
            let announces = signer.is_some() && subnet.was_joined;
            Self::ensure_may_be_set(netuid, &hyperparameters, announces)?;
            if signer.is_some() {
                Self::note_change(netuid)?;
            }
            if announces {
                return Self::announce(netuid, hyperparameters);
            }
            Self::put_in_force(netuid, hyperparameters)
        }

        /// Takes announced hyperparameters back, before they hold.
        ///
        /// Errors: [`Error::UnknownSubnet`], [`Error::SubnetDissolving`], [`Error::NotSubnetOwner`] unless the
        /// signer is the owner or the origin root, [`Error::NothingAnnounced`].
        /// Event: [`Event::HyperparametersWithdrawn`].
        #[pallet::call_index(5)]
        #[pallet::weight(T::WeightInfo::withdraw_hyperparameters())]
        pub fn withdraw_hyperparameters(origin: OriginFor<T>, netuid: Netuid) -> DispatchResult {
            let signer = ensure_signed_or_root(origin)?;
            Self::ensure_rules(netuid, signer.as_ref())?;
            Self::withdraw_announced(netuid)
        }

        /// Buys a seat for `hotkey`. The signer pays [`Pallet::price`], which is burned, and becomes the
        /// hotkey's coldkey if it has none. The hotkey gets the lowest free uid, or, on a full subnet, that of
        /// the member it replaces. The signer's account keeps the existential deposit.
        ///
        /// `role`: what it is there for. `max_price`: the most that the signer will pay, in pebble. `signature`: the
        /// hotkey's, over [`cairn_protocol::registration::payload`].
        ///
        /// Errors: [`Error::BadHotkeySignature`], [`Error::UnknownSubnet`], [`Error::SubnetDissolving`],
        /// [`Error::AlreadyMember`], [`Error::NotHotkeysColdkey`], [`Error::PriceTooHigh`], [`Error::SubnetFull`],
        /// `Token::FundsUnavailable`. Events: [`Event::MemberLeft`] if somebody was replaced,
        /// [`Event::MemberJoined`]. The weight is that of a full subnet; what a smaller one did not need is given
        /// back.
        #[pallet::call_index(2)]
        #[pallet::weight(T::WeightInfo::register(MAX_MEMBERS))]
        pub fn register(
            origin: OriginFor<T>,
            netuid: Netuid,
            hotkey: T::AccountId,
            role: Role,
            max_price: Balance,
            signature: T::Signature,
        ) -> DispatchResultWithPostInfo {
            let coldkey = ensure_signed(origin)?;
            ensure!(
                Self::is_hotkeys(&signature, netuid, &hotkey, &coldkey),
                Error::<T>::BadHotkeySignature
            );
            let members = Self::join(netuid, coldkey, hotkey, role, max_price)?;
            Ok(Some(T::WeightInfo::register(members)).into())
        }

        /// Makes a member a miner or a validator, from the next round and epoch on: the round and the epoch in progress
        /// go on as they began. Stake and bond stay.
        ///
        /// Errors: [`Error::UnknownSubnet`], [`Error::SubnetDissolving`], [`Error::NotMember`],
        /// [`Error::NotHotkeysColdkey`] unless the signer is the hotkey's coldkey, [`Error::RoleUnchanged`],
        /// [`Error::RoleTooSoon`] until [`cairn_protocol::notice::role_from`]. Event: [`Event::RoleSet`].
        #[pallet::call_index(6)]
        #[pallet::weight(T::WeightInfo::set_role())]
        pub fn set_role(
            origin: OriginFor<T>,
            netuid: Netuid,
            hotkey: T::AccountId,
            role: Role,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::open_subnet(netuid)?;
            let uid = Self::ensure_own_member(netuid, &who, &hotkey)?;
            Self::change_role(netuid, uid, role)?;
            Self::deposit_event(Event::RoleSet {
                netuid,
                uid,
                hotkey,
                role,
            });
            Ok(())
        }

        /// Announces that a member is to sign as the hotkey `to`, which signs as for [`Pallet::register`]. From
        /// [`cairn_protocol::notice::swap_from`] on [`Pallet::finish_swap`] does it.
        ///
        /// Errors: [`Error::UnknownSubnet`], [`Error::SubnetDissolving`], [`Error::NotMember`],
        /// [`Error::NotHotkeysColdkey`] unless the signer is the hotkey's coldkey and `to` nobody else's,
        /// [`Error::BadHotkeySignature`], [`Error::AlreadyMember`] if `to` has a seat, [`Error::SwapAnnounced`].
        /// Event: [`Event::SwapAnnounced`].
        #[pallet::call_index(7)]
        #[pallet::weight(T::WeightInfo::announce_swap())]
        pub fn announce_swap(
            origin: OriginFor<T>,
            netuid: Netuid,
            hotkey: T::AccountId,
            to: T::AccountId,
            signature: T::Signature,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::open_subnet(netuid)?;
            let uid = Self::ensure_own_member(netuid, &who, &hotkey)?;
            ensure!(
                Self::is_hotkeys(&signature, netuid, &to, &who),
                Error::<T>::BadHotkeySignature
            );
            Self::ensure_may_sit(netuid, &to, &who)?;
            let from = Self::note_swap(netuid, uid, to.clone())?;
            Self::deposit_event(Event::SwapAnnounced {
                netuid,
                uid,
                hotkey,
                to,
                from,
            });
            Ok(())
        }

        /// Takes back what [`Pallet::announce_swap`] announced.
        ///
        /// Errors: [`Error::UnknownSubnet`], [`Error::SubnetDissolving`], [`Error::NotMember`],
        /// [`Error::NotHotkeysColdkey`] unless the signer is the hotkey's coldkey, [`Error::NoSwapAnnounced`].
        /// Event: [`Event::SwapCancelled`].
        #[pallet::call_index(8)]
        #[pallet::weight(T::WeightInfo::cancel_swap())]
        pub fn cancel_swap(
            origin: OriginFor<T>,
            netuid: Netuid,
            hotkey: T::AccountId,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::open_subnet(netuid)?;
            let uid = Self::ensure_own_member(netuid, &who, &hotkey)?;
            Swaps::<T>::take(netuid, uid).ok_or(Error::<T>::NoSwapAnnounced)?;
            Self::deposit_event(Event::SwapCancelled { netuid, uid });
            Ok(())
        }

        /// Gives a member the hotkey that was announced for it. Seat, role and record stay, and so does what is kept by
        /// uid; the round in progress is forfeited. Bond and stake stay on the old hotkey and answer for what it
        /// signed: the bond is on its way back, as if that hotkey had left.
        ///
        /// Errors: [`Error::UnknownSubnet`], [`Error::SubnetDissolving`], [`Error::NotMember`],
        /// [`Error::NotHotkeysColdkey`] unless the signer is the hotkey's coldkey and the new one nobody else's,
        /// [`Error::NoSwapAnnounced`], [`Error::SwapTooSoon`], [`Error::AlreadyMember`] if the new hotkey has got a
        /// seat meanwhile. Event: [`Event::HotkeySwapped`].
        #[pallet::call_index(9)]
        #[pallet::weight(T::WeightInfo::finish_swap())]
        pub fn finish_swap(
            origin: OriginFor<T>,
            netuid: Netuid,
            hotkey: T::AccountId,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::open_subnet(netuid)?;
            let uid = Self::ensure_own_member(netuid, &who, &hotkey)?;
            Self::do_swap(netuid, uid, who, hotkey)
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
            let uid = Self::ensure_own_member(netuid, &who, &hotkey)?;
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
