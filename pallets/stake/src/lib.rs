//! Who stands behind whom: stake, delegation, miners' bonds, and what becomes of them when somebody cheats.
//!
//! # For newcomers
//!
//! A hotkey that validates speaks with the weight of the *stake* on it; a hotkey that mines puts up a *bond*
//! before the chain gives it data to train on. Both are kept for each subnet by itself. Anybody can stake on
//! anybody's hotkey, unless that hotkey's coldkey refuses it: whoever believes in a validator *delegates* to it and
//! earns with it. Only a hotkey's own coldkey can bond for it.
//!
//! # Calls, signed by a coldkey
//!
//! | call | does |
//! |---|---|
//! | [`add_stake`](pallet::Pallet::add_stake) | moves tokens from the signer's account to its stake on a member's hotkey |
//! | [`remove_stake`](pallet::Pallet::remove_stake) | asks for some of it, or all, back: it stops counting at once and is locked for `unbonding_period` blocks |
//! | [`withdraw_stake`](pallet::Pallet::withdraw_stake) | moves what is no longer locked to the signer's account, or where it was to move |
//! | [`move_stake`](pallet::Pallet::move_stake) | like `remove_stake`, but to be staked on another hotkey or subnet in the end |
//! | [`transfer_stake`](pallet::Pallet::transfer_stake) | gives some of it, or all, to another coldkey, where it stays staked |
//! | [`set_take`](pallet::Pallet::set_take) | sets what the signer takes of its hotkey's dividends |
//! | [`set_foreign_stake`](pallet::Pallet::set_foreign_stake) | says whether others may stake on the signer's hotkey; what is there stays |
//! | [`add_bond`](pallet::Pallet::add_bond) | moves tokens from the signer's account to the bond of its own hotkey |
//! | [`unbond`](pallet::Pallet::unbond) | asks for the whole bond back: it stops counting at once and is locked likewise |
//! | [`withdraw_bond`](pallet::Pallet::withdraw_bond) | moves what is no longer locked to the signer's account |
//!
//! A member that leaves, or is replaced, keeps its stake and its bond; the chain asks for the bond back in its
//! stead.
//!
//! # Dividends and the take
//!
//! All stake on one hotkey in one subnet is one pool of shares ([`share_pool`]). A dividend raises what every
//! share is worth, whoever holds it, and costs the chain the same whether two stand behind the hotkey or ten
//! thousand. Before that the hotkey's coldkey has its *take*: a share of the dividend, at most
//! [`Config::MaxTake`], which becomes stake of its own on the hotkey. It can be lowered
//! at any time. It can be raised only [`Config::TakeInterval`] blocks after it was
//! last set, and by [`Config::TakeStep`] at most, so that those who do not like it have
//! time to leave. Until it is set it is at the cap.
//!
//! # What is asked back waits
//!
//! Stake and bonds answer for what their hotkey did, so they leave only when it can no longer be called to account:
//! after the subnet's `unbonding_period`, which is no shorter than an audit can take and than the subnet's tempo.
//! Stake that waits earns nothing and counts nowhere, but can be slashed like the rest. So nobody can stake for
//! the one block in which dividends are paid, and nobody can leave before misbehaviour is detected. A move to
//! another hotkey or subnet waits as well: otherwise the same tokens could count twice in one round, or be in
//! safety before the audit. A position can wait for [`MAX_UNBONDING`] withdrawals at a time; those of one block
//! are one.
//!
//! # Slashing
//!
//! Other pallets punish a hotkey through [`Slashing`](cairn_primitives::traits::Slashing): its bond pays first,
//! then the stake on it, what waits to be withdrawn included, everybody in proportion. The reporter gets
//! [`Config::ReporterShare`], the rest is burned. However many stand behind a
//! hotkey, two numbers change: what its pools are worth. A slash of everything makes all shares void; what is kept
//! of them goes later, a few positions in each block that has room.
//!
//! # Every token is in one ledger
//!
//! Staked and bonded tokens are not locked in an account: they are burned in the balances pallet and counted
//! here, in [`TotalStaked`], [`TotalUnbonding`] or
//! [`TotalBonded`], until they are minted back. So an account's balance is what it can spend,
//! and all that was ever issued and not destroyed is balances + staked + unbonding + bonded + the emissions
//! pallet's pots. A coldkey's account keeps the existential deposit when it stakes or bonds: no dust is lost on
//! the way. A dividend comes out of a pot straight into the pool
//! ([`Stakes::reward`](cairn_primitives::traits::Stakes::reward)).
//!
//! # A subnet that is dissolved
//!
//! gives everything back: stake, stake that waits, and bonds, each to the account that it belongs to, without
//! being asked and some of it in each block ([`Dissolve`](cairn_primitives::traits::Dissolve)). What is too
//! little to open an account with is burned.
//!
//! # What this pallet does not do
//!
//! Stake comes at any time. Whoever counts stake over a period, as the training pallet does for a round, has to
//! take a snapshot.
//!
//! # Where to read on
//!
//! `ledger.rs` the pools and totals; `delegation.rs` stake that comes, goes and waits; `bonds.rs`; `take.rs`
//! dividends; `slashing.rs`; `voided.rs` what a slash of everything leaves; `dissolution.rs`; `readers.rs` what
//! others may ask; `try_state.rs` what always holds.

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
mod bonds;
mod delegation;
mod dissolution;
mod ledger;
mod readers;
mod slashing;
mod take;
mod try_state;
pub mod types;
mod voided;
pub mod weights;

#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;

pub use pallet::*;
pub use types::{Bond, Position, Take, Unbonding, MAX_UNBONDING};
pub use voided::SWEPT_PER_BLOCK;
pub use weights::WeightInfo;

/// Storage, calls, events and errors.
#[allow(clippy::expect_used)] // FRAME's macros write them.
#[frame_support::pallet]
pub mod pallet {
    use super::{ledger::minus, Bond, Position, Take, WeightInfo};
    use cairn_primitives::{
        traits::{Membership, OnBurned},
        Balance, BlockNumber, Netuid,
    };
    use frame_support::{
        pallet_prelude::*,
        traits::{fungible, StorageVersion},
    };
    use frame_system::pallet_prelude::*;
    use share_pool::Pool;
    use sp_runtime::Perbill;

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
        /// Told of what slashes destroy.
        type OnBurned: OnBurned;
        /// The least that can be staked or bonded at a time, and the least that can be left of a stake, in pebble.
        #[pallet::constant]
        type MinimumAmount: Get<Balance>;
        /// The highest take, of 65,535.
        #[pallet::constant]
        type MaxTake: Get<u16>;
        /// By how much a take can be raised at a time, of 65,535.
        #[pallet::constant]
        type TakeStep: Get<u16>;
        /// Blocks that a hotkey's coldkey has to wait after setting a take before it can raise it.
        #[pallet::constant]
        type TakeInterval: Get<BlockNumber>;
        /// What the reporter gets of a slash.
        #[pallet::constant]
        type ReporterShare: Get<Perbill>;
        /// What the calls weigh.
        type WeightInfo: WeightInfo;
        /// Sets up the other pallets for benchmarks.
        #[cfg(any(test, feature = "runtime-benchmarks"))]
        type BenchmarkHelper: crate::benchmarking::BenchmarkHelper<Self::AccountId>;
    }

    /// The stake on a hotkey that counts: (netuid, hotkey) to pool. It outlives the hotkey's seat.
    #[pallet::storage]
    pub type StakePools<T: Config> =
        StorageDoubleMap<_, Twox64Concat, Netuid, Blake2_128Concat, T::AccountId, Pool, ValueQuery>;

    /// The stake on a hotkey that is being withdrawn: (netuid, hotkey) to pool.
    #[pallet::storage]
    pub type UnbondingPools<T: Config> =
        StorageDoubleMap<_, Twox64Concat, Netuid, Blake2_128Concat, T::AccountId, Pool, ValueQuery>;

    /// Who has which shares of these pools: (coldkey, netuid, hotkey) to position.
    #[pallet::storage]
    pub type Positions<T: Config> = StorageNMap<
        _,
        (
            NMapKey<Blake2_128Concat, T::AccountId>,
            NMapKey<Twox64Concat, Netuid>,
            NMapKey<Blake2_128Concat, T::AccountId>,
        ),
        Position<T::AccountId>,
        ValueQuery,
    >;

    /// The keys of [`Positions`] in another order: (netuid, hotkey, coldkey).
    #[pallet::storage]
    pub type Backers<T: Config> = StorageNMap<
        _,
        (
            NMapKey<Twox64Concat, Netuid>,
            NMapKey<Blake2_128Concat, T::AccountId>,
            NMapKey<Blake2_128Concat, T::AccountId>,
        ),
        (),
        OptionQuery,
    >;

    /// Stake that counts on all hotkeys of a subnet, those without a seat included.
    #[pallet::storage]
    pub type SubnetStake<T> = StorageMap<_, Twox64Concat, Netuid, Balance, ValueQuery>;

    /// All stake that counts.
    #[pallet::storage]
    pub type TotalStaked<T> = StorageValue<_, Balance, ValueQuery>;

    /// All stake that is being withdrawn.
    #[pallet::storage]
    pub type TotalUnbonding<T> = StorageValue<_, Balance, ValueQuery>;

    /// The takes that were set.
    #[pallet::storage]
    pub type Takes<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, Take, OptionQuery>;

    /// Hotkeys on which only their own coldkey may stake.
    #[pallet::storage]
    pub type RefusesForeign<T: Config> =
        StorageMap<_, Blake2_128Concat, T::AccountId, (), OptionQuery>;

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

    /// Hotkeys of which a slash took everything, to the coldkey at which looking for void shares stopped.
    #[pallet::storage]
    pub type Voided<T: Config> = StorageDoubleMap<
        _,
        Twox64Concat,
        Netuid,
        Blake2_128Concat,
        T::AccountId,
        Option<T::AccountId>,
        OptionQuery,
    >;

    /// What happened. Amounts are in pebble.
    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A coldkey staked on a hotkey.
        StakeAdded {
            /// The coldkey.
            coldkey: T::AccountId,
            /// The subnet.
            netuid: Netuid,
            /// The hotkey.
            hotkey: T::AccountId,
            /// How much.
            amount: Balance,
        },
        /// A coldkey asked for stake back: it no longer counts.
        StakeUnbonding {
            /// The coldkey.
            coldkey: T::AccountId,
            /// The subnet.
            netuid: Netuid,
            /// The hotkey.
            hotkey: T::AccountId,
            /// How much.
            amount: Balance,
            /// The block from which on it can be withdrawn.
            release_at: BlockNumber,
            /// The subnet and hotkey that it moves to then; `None` if it goes to the account.
            moves_to: Option<(Netuid, T::AccountId)>,
        },
        /// A coldkey took back stake that it had asked for.
        StakeWithdrawn {
            /// The coldkey.
            coldkey: T::AccountId,
            /// The subnet.
            netuid: Netuid,
            /// The hotkey.
            hotkey: T::AccountId,
            /// How much; less than was asked for if the hotkey was slashed meanwhile.
            amount: Balance,
        },
        /// Stake that was to move has arrived.
        StakeMoved {
            /// The coldkey.
            coldkey: T::AccountId,
            /// The subnet that it left.
            netuid: Netuid,
            /// The hotkey that it left.
            hotkey: T::AccountId,
            /// The subnet where it is now.
            to_netuid: Netuid,
            /// The hotkey on which it is now.
            to_hotkey: T::AccountId,
            /// How much.
            amount: Balance,
        },
        /// A coldkey gave stake to another.
        StakeTransferred {
            /// The coldkey that gave it.
            from: T::AccountId,
            /// The coldkey that has it now.
            to: T::AccountId,
            /// The subnet.
            netuid: Netuid,
            /// The hotkey.
            hotkey: T::AccountId,
            /// How much.
            amount: Balance,
        },
        /// A hotkey's coldkey set its take.
        TakeSet {
            /// The hotkey.
            hotkey: T::AccountId,
            /// The share of dividends, of 65,535.
            take: u16,
        },
        /// A hotkey's coldkey said whether others may stake on it.
        ForeignStakeSet {
            /// The hotkey.
            hotkey: T::AccountId,
            /// Whether they may.
            allowed: bool,
        },
        /// A hotkey's coldkey had its take of a dividend, as stake of its own on the hotkey.
        TakePaid {
            /// The coldkey.
            coldkey: T::AccountId,
            /// The subnet.
            netuid: Netuid,
            /// The hotkey.
            hotkey: T::AccountId,
            /// How much.
            amount: Balance,
        },
        /// A coldkey bonded for its hotkey.
        BondAdded {
            /// The subnet.
            netuid: Netuid,
            /// The hotkey.
            hotkey: T::AccountId,
            /// How much.
            amount: Balance,
        },
        /// A bond stopped counting: it was asked back, or its hotkey lost its seat.
        Unbonding {
            /// The subnet.
            netuid: Netuid,
            /// The hotkey.
            hotkey: T::AccountId,
            /// How much stopped counting.
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
            /// How much.
            amount: Balance,
        },
        /// A hotkey was punished.
        Slashed {
            /// The subnet.
            netuid: Netuid,
            /// The hotkey.
            hotkey: T::AccountId,
            /// What its bond paid.
            bond: Balance,
            /// What the stake on it paid, all its stakers together.
            stake: Balance,
            /// What the reporter got; the rest of the two was burned.
            rewarded: Balance,
        },
        /// A subnet is being dissolved and gave back stake, what was being withdrawn included.
        StakeReturned {
            /// The coldkey.
            coldkey: T::AccountId,
            /// The subnet.
            netuid: Netuid,
            /// The hotkey.
            hotkey: T::AccountId,
            /// How much.
            amount: Balance,
        },
        /// A subnet is being dissolved and gave back a bond, what was being withdrawn included.
        BondReturned {
            /// The subnet.
            netuid: Netuid,
            /// The hotkey.
            hotkey: T::AccountId,
            /// How much.
            amount: Balance,
        },
        /// What a subnet gave back was too little to open the account that it belongs to, and was burned.
        ReturnBurned {
            /// The account.
            account: T::AccountId,
            /// How much.
            amount: Balance,
        },
    }

    /// What can go wrong.
    #[pallet::error]
    pub enum Error<T> {
        /// There is no subnet with this netuid.
        UnknownSubnet,
        /// The subnet is being dissolved: it gives everything back by itself.
        SubnetDissolving,
        /// Nobody has ever registered the hotkey.
        UnknownHotkey,
        /// The hotkey belongs to another coldkey.
        NotHotkeysColdkey,
        /// The hotkey has no slot in the subnet.
        NotMember,
        /// The hotkey's coldkey lets nobody else stake on it.
        ForeignStakeRefused,
        /// The amount is zero.
        AmountIsZero,
        /// The amount is below the least that can be staked or bonded.
        AmountTooSmall,
        /// What would be left is below the least that can be staked: leave more, or nothing.
        RemainderTooSmall,
        /// The signer does not have that much stake on the hotkey.
        NotEnoughStake,
        /// The stake would move to where it already is.
        SamePlace,
        /// The stake already belongs to that coldkey.
        SameColdkey,
        /// The amount is below the price of one share of the stake on the hotkey.
        LessThanAShare,
        /// Slashes have left too little of the stake on the hotkey to share it any further: stake on another one.
        PoolOutOfRange,
        /// The position has as many open withdrawals as it may have: withdraw what is released, or wait.
        UnbondingQueueFull,
        /// None of the signer's stake on the hotkey is being withdrawn.
        NoStakeUnbonding,
        /// All stake that is being withdrawn is locked until its release block.
        StakeLocked,
        /// The take is above `MaxTake`.
        TakeTooHigh,
        /// The take is raised by more than `TakeStep`.
        TakeStepTooLarge,
        /// The take was set less than `TakeInterval` blocks ago; until then it can only be lowered.
        TakeRaisedTooSoon,
        /// The take already has this value.
        TakeUnchanged,
        /// The hotkey has no bond that counts.
        NothingBonded,
        /// The hotkey has no bond that is being withdrawn.
        NothingUnbonding,
        /// The bond is locked until its release block.
        BondLocked,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn integrity_test() {
            assert!(T::TakeStep::get() > 0, "a take could never be raised");
            assert!(T::MinimumAmount::get() > 0, "positions must cost something");
        }

        /// Removes void shares.
        fn on_idle(_: BlockNumberFor<T>, room: Weight) -> Weight {
            Self::sweep_within(room)
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Moves `amount` pebble, at least [`Config::MinimumAmount`], from the signer's account to its stake on a
        /// member's hotkey, which may be anybody's. The account keeps the existential deposit.
        ///
        /// Errors: [`Error::UnknownSubnet`], [`Error::SubnetDissolving`], [`Error::NotMember`],
        /// [`Error::ForeignStakeRefused`], [`Error::AmountIsZero`], [`Error::AmountTooSmall`],
        /// [`Error::LessThanAShare`], [`Error::PoolOutOfRange`], `Token::FundsUnavailable`. Event:
        /// [`Event::StakeAdded`].
        #[pallet::call_index(0)]
        #[pallet::weight(T::WeightInfo::add_stake())]
        pub fn add_stake(
            origin: OriginFor<T>,
            netuid: Netuid,
            hotkey: T::AccountId,
            amount: Balance,
        ) -> DispatchResult {
            let coldkey = ensure_signed(origin)?;
            Self::ensure_can_add(netuid, &hotkey, amount)?;
            Self::ensure_takes_stake_of(&coldkey, &hotkey)?;
            Self::take_from_account(&coldkey, amount)?;
            let staked = Self::stake_on(&coldkey, netuid, &hotkey, amount)?;
            // Less than a share's price is left over, and nothing while a share is cheaper than a pebble.
            let (amount, rest) = (staked, minus(amount, staked)?);
            if rest > 0 {
                Self::return_to_account(&coldkey, rest)?;
            }
            Self::deposit_event(Event::StakeAdded {
                coldkey,
                netuid,
                hotkey,
                amount,
            });
            Ok(())
        }

        /// Asks for `amount` pebble of the signer's stake on a hotkey back, or for all of it, whether or not the
        /// hotkey has a seat. It stops counting at once and can be withdrawn after the subnet's
        /// `unbonding_period`, as it is now. What is left is nothing, or at least [`Config::MinimumAmount`].
        ///
        /// Errors: [`Error::UnknownSubnet`], [`Error::AmountIsZero`], [`Error::NotEnoughStake`],
        /// [`Error::RemainderTooSmall`], [`Error::UnbondingQueueFull`], [`Error::PoolOutOfRange`].
        /// Event: [`Event::StakeUnbonding`].
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::remove_stake())]
        pub fn remove_stake(
            origin: OriginFor<T>,
            netuid: Netuid,
            hotkey: T::AccountId,
            amount: Option<Balance>,
        ) -> DispatchResult {
            let coldkey = ensure_signed(origin)?;
            Self::start_withdrawal(coldkey, netuid, hotkey, amount, None)
        }

        /// Moves `amount` pebble, at least [`Config::MinimumAmount`], from the signer's account to the bond of
        /// its hotkey. The account keeps the existential deposit.
        ///
        /// Errors: [`Error::UnknownHotkey`], [`Error::NotHotkeysColdkey`], [`Error::UnknownSubnet`],
        /// [`Error::SubnetDissolving`], [`Error::NotMember`], [`Error::AmountIsZero`],
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

        /// Moves the signer's stake that was being withdrawn from a hotkey and is no longer locked: to the
        /// signer's account, or, what was asked for by [`Pallet::move_stake`], to where it was to move. If that
        /// hotkey or subnet no longer takes stake, it goes to the account.
        ///
        /// Errors: [`Error::NoStakeUnbonding`], [`Error::StakeLocked`]; `Token::BelowMinimum` if the signer's
        /// account is empty and would stay below the existential deposit. Events: [`Event::StakeWithdrawn`],
        /// [`Event::StakeMoved`].
        #[pallet::call_index(5)]
        #[pallet::weight(T::WeightInfo::withdraw_stake(super::MAX_UNBONDING))]
        pub fn withdraw_stake(
            origin: OriginFor<T>,
            netuid: Netuid,
            hotkey: T::AccountId,
        ) -> DispatchResultWithPostInfo {
            let coldkey = ensure_signed(origin)?;
            let released = Self::finish_withdrawals(coldkey, netuid, hotkey)?;
            Ok(Some(T::WeightInfo::withdraw_stake(released)).into())
        }

        /// Like [`Pallet::remove_stake`], but in the end the stake is on `to_hotkey` in `to_netuid`. It arrives
        /// with the first [`Pallet::withdraw_stake`] after its release.
        ///
        /// Errors: [`Error::SamePlace`], [`Error::UnknownSubnet`], [`Error::SubnetDissolving`],
        /// [`Error::NotMember`], [`Error::ForeignStakeRefused`], [`Error::AmountIsZero`], [`Error::AmountTooSmall`],
        /// [`Error::NotEnoughStake`], [`Error::RemainderTooSmall`], [`Error::UnbondingQueueFull`],
        /// [`Error::PoolOutOfRange`]. Event: [`Event::StakeUnbonding`].
        #[pallet::call_index(6)]
        #[pallet::weight(T::WeightInfo::move_stake())]
        pub fn move_stake(
            origin: OriginFor<T>,
            netuid: Netuid,
            hotkey: T::AccountId,
            to_netuid: Netuid,
            to_hotkey: T::AccountId,
            amount: Option<Balance>,
        ) -> DispatchResult {
            let coldkey = ensure_signed(origin)?;
            ensure!(
                (netuid, &hotkey) != (to_netuid, &to_hotkey),
                Error::<T>::SamePlace
            );
            Self::ensure_open(netuid)?;
            Self::ensure_takes_stake(to_netuid, &to_hotkey)?;
            Self::ensure_takes_stake_of(&coldkey, &to_hotkey)?;
            let moves_to = Some((to_netuid, to_hotkey));
            Self::start_withdrawal(coldkey, netuid, hotkey, amount, moves_to)
        }

        /// Gives `amount` pebble of the signer's stake on a hotkey, or all of it, to another coldkey. It stays
        /// where it is and goes on to count. Both have nothing then, or at least [`Config::MinimumAmount`].
        ///
        /// Errors: [`Error::SameColdkey`], [`Error::UnknownSubnet`], [`Error::SubnetDissolving`],
        /// [`Error::AmountIsZero`], [`Error::NotEnoughStake`], [`Error::RemainderTooSmall`],
        /// [`Error::AmountTooSmall`]. Event: [`Event::StakeTransferred`].
        #[pallet::call_index(7)]
        #[pallet::weight(T::WeightInfo::transfer_stake())]
        pub fn transfer_stake(
            origin: OriginFor<T>,
            to: T::AccountId,
            netuid: Netuid,
            hotkey: T::AccountId,
            amount: Option<Balance>,
        ) -> DispatchResult {
            let from = ensure_signed(origin)?;
            ensure!(from != to, Error::<T>::SameColdkey);
            Self::ensure_open(netuid)?;
            let amount = Self::hand_over(&from, &to, netuid, &hotkey, amount)?;
            Self::deposit_event(Event::StakeTransferred {
                from,
                to,
                netuid,
                hotkey,
                amount,
            });
            Ok(())
        }

        /// Sets the share of its hotkey's dividends, of 65,535, that the signer takes before those who stake on
        /// it get theirs. It holds for all subnets and from the next dividend on.
        ///
        /// Errors: [`Error::UnknownHotkey`], [`Error::NotHotkeysColdkey`], [`Error::TakeTooHigh`],
        /// [`Error::TakeUnchanged`]; to raise it, [`Error::TakeStepTooLarge`], [`Error::TakeRaisedTooSoon`].
        /// Event: [`Event::TakeSet`].
        #[pallet::call_index(8)]
        #[pallet::weight(T::WeightInfo::set_take())]
        pub fn set_take(origin: OriginFor<T>, hotkey: T::AccountId, take: u16) -> DispatchResult {
            Self::ensure_coldkey(origin, &hotkey)?;
            Self::change_take(&hotkey, take)?;
            Self::deposit_event(Event::TakeSet { hotkey, take });
            Ok(())
        }

        /// Says whether others than the signer may stake on its hotkey, on all subnets; at first they may. Stake that
        /// is there, or is handed over there, stays. Stake on its way there goes to its owner's account instead.
        ///
        /// Errors: [`Error::UnknownHotkey`], [`Error::NotHotkeysColdkey`]. Event: [`Event::ForeignStakeSet`].
        #[pallet::call_index(9)]
        #[pallet::weight(T::WeightInfo::set_foreign_stake())]
        pub fn set_foreign_stake(
            origin: OriginFor<T>,
            hotkey: T::AccountId,
            allowed: bool,
        ) -> DispatchResult {
            Self::ensure_coldkey(origin, &hotkey)?;
            if allowed {
                RefusesForeign::<T>::remove(&hotkey);
            } else {
                RefusesForeign::<T>::insert(&hotkey, ());
            }
            Self::deposit_event(Event::ForeignStakeSet { hotkey, allowed });
            Ok(())
        }
    }
}
