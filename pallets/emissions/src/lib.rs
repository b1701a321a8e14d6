//! What the work was worth: issuance, scores, epochs, payouts and their history.
//!
//! # The idea
//!
//! Every block brings new tokens into being ([`schedule`]) and puts them into *pots*, three per subnet: one
//! for the owner, one for the miners, one for the validators. Subnets that train share a block's issuance
//! in proportion to a slow average of the stake on them. Every *tempo* blocks a subnet has an *epoch*: Yuma
//! consensus (crate [`yuma`]) turns the scores that validators have set into incentive for miners and
//! dividends for validators, and the pots are paid out by these shares.
//!
//! # Issuance, block by block
//!
//! 1. The stake average of each subnet moves 1/[`Config::StakeAverageWindow`] of the way to its stake.
//! 2. The block's reward follows from what is issued: 7,200 CRN a day, halving at 10.5 million, 15.75
//!    million and so on, 21 million at most.
//! 3. Subnets that work take parts of it in proportion to their averages: those of the governed list
//!    ([`Pallet::set_emitting`]) whose run had a round of late that was final and not null, with contributors and
//!    attesters of at least two coldkeys each ([`Work`](cairn_primitives::traits::Work)). If none of them has any
//!    stake, nothing is issued: an equal split would pay whoever creates subnets.
//! 4. A part is split 18 : 41 : 41 into the pots of owner, miners and validators. What rounding leaves of
//!    the split goes to the validators; what it leaves of the reward is not issued.
//!
//! # An epoch
//!
//! - **Validators** are the `max_validators` hotkeys with the most stake among those that chose to validate and have at
//!   least `min_validator_stake`. As in a round, what has leaked of their stake does not count, and those that are not
//!   expected have no say. One that has set no scores for `activity_cutoff` blocks does not vote, nor does one
//!   that did not reveal what it committed to in the tempo before the last.
//! - **Scores** that are older than the member they are on do not count for it, nor do bonds. Nor do scores on who
//!   was not included in a round since the last epoch.
//! - **Consensus** is Yuma2 or Yuma3, with or without liquid alpha, as the subnet's hyperparameters say.
//! - **Payouts**: miners' parts go to the free balance of the hotkeys' coldkeys, validators' to the stake
//!   on their hotkeys, the owner's pot to its free balance. Every pot is paid from itself alone. What
//!   rounding leaves and what cannot be delivered stays in its pot ([`Event::PayoutWaits`]), and so does the part of a
//!   validator's dividends for rounds that it did not attest.
//! - **What is in question is withheld.** In a run that audits, a miner has what it earned once the audits of the rounds
//!   that it was earned in are over, and once one of its audits has passed ([`Withheld`](cairn_protocol::wages)); an
//!   audit that nobody could decide is over once the next one is decided. Who loses an audit loses it to the miners'
//!   pot, and what is not over when the run is stopped is burned.
//! - **An idle subnet pays nobody.** If nobody has incentive, all three pots wait; what waited is paid over as many
//!   epochs as it waited ([`Late`](cairn_protocol::emission::Late)). If nobody was included, the epoch leaves shares
//!   and bonds as they are. Subtensor pays its
//!   validators by stake then; that would make an idle subnet a deposit account.
//! - A block runs at most one epoch, of the subnet that has waited longest.
//!
//! # Scores
//!
//! A validator says what each miner's work was worth as one row of scores, in any scale. Where the subnet's
//! hyperparameter `commit_reveal` is on, as it is by default, it first commits to the row
//! ([`Pallet::commit_scores`]) before one epoch and reveals it ([`Pallet::reveal_scores`]) before the next,
//! so that nobody can copy it in time. Where it is off, it sets the row in the open
//! ([`Pallet::set_scores`]). Each is free of fees if it would succeed. In one epoch, scores can be replaced
//! after [`Config::ScoresRateLimit`] blocks.
//!
//! # The end of a subnet
//!
//! When a subnet is dissolved, its pots are shared out as its last epoch's were, so that nothing that was
//! issued for work is lost; what is nobody's is burned. See [`Dissolve`](cairn_primitives::traits::Dissolve).
//!
//! # History
//!
//! What the last 64 epochs made of subnets and members is kept ([`Pallet::subnet_history`],
//! [`Pallet::member_history`]), and totals over all time.
//!
//! # The sum that always holds
//!
//! [`Issued`] = balances + stakes + unbonding stake + bonds + pots, to the pebble, checked by `do_try_state`; what is
//! withheld counts as pots. Moving tokens between these five changes nothing; issuing adds to `Issued` and to a pot at
//! once. Destroying tokens is the one thing that must be reported: through [`OnBurned`], and for what the balances
//! pallet destroys through the handlers [`BurnedCredit`] (dust) and [`FeesToAuthor`] (fees without a receiver). A
//! runtime must not offer calls that change the total issuance otherwise, such as the balances pallet's `burn`,
//! `force_set_balance` and `force_adjust_total_issuance`.
//!
//! At genesis `Issued` is what balances, stakes and bonds hold, so this pallet's genesis has to be built
//! after theirs.
//!
//! [`OnBurned`]: cairn_primitives::traits::OnBurned

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

mod accrual;
#[cfg(any(test, feature = "runtime-benchmarks"))]
pub mod benchmarking;
mod commits;
mod credits;
mod dissolution;
mod epoch;
mod history;
mod payout;
mod readers;
pub mod schedule;
mod try_state;
mod types;
mod voting;
mod wages;
#[allow(clippy::arithmetic_side_effects)] // Of numbers that are far from their ends.
pub mod weights;

#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;

pub use credits::{BurnedCredit, CreditOf, FeesToAuthor};
pub use pallet::*;
pub use types::{MemberRecord, Row, SubnetLedger, Vote};
pub use weights::WeightInfo;

#[allow(clippy::expect_used)] // FRAME's macros write them, and genesis has to fail.
#[frame_support::pallet]
pub mod pallet {
    use cairn_primitives::{
        api::{MemberEpoch, ScoresCommit, SubnetEpoch},
        traits::{Asked, Ledgers, Membership, Runs, Stakes, Work},
        Balance, BlockNumber, EpochIndex, Netuid, Salt, Served, Uid, H256,
    };
    use cairn_protocol::wages::Withheld;
    use frame_support::{pallet_prelude::*, traits::fungible};
    use frame_system::pallet_prelude::*;
    use sp_runtime::SaturatedConversion;

    use crate::{
        commits, schedule,
        types::{MemberRecord, Row, SubnetLedger, Vote},
        WeightInfo,
    };

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    /// The emissions pallet.
    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    /// What the pallet is built from.
    #[pallet::config]
    pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>> {
        /// Free balances, in pebble.
        type Currency: fungible::Mutate<Self::AccountId, Balance = Balance>
            + fungible::Balanced<Self::AccountId, Balance = Balance>;
        /// Who is in a subnet.
        type Membership: Membership<Self::AccountId>;
        /// Who stands behind whom.
        type Stakes: Stakes<Self::AccountId>;
        /// What is staked and bonded in all.
        type Ledgers: Ledgers;
        /// Which subnets train.
        type Runs: Runs;
        /// What came of it.
        type Work: Work;
        /// Whose work is in question.
        type Asked: Asked;
        /// Who says which subnets' runs emit.
        type Governance: EnsureOrigin<Self::RuntimeOrigin>;
        /// Time between two blocks, in milliseconds. No constant of the metadata: a runtime may keep it
        /// in storage.
        type MillisecsPerBlock: Get<u64>;
        /// Blocks over which the stake on a subnet is averaged: a change counts for 63 % after as many.
        #[pallet::constant]
        type StakeAverageWindow: Get<BlockNumber>;
        /// Blocks that a validator has to wait before it replaces its scores, or a commitment to them.
        #[pallet::constant]
        type ScoresRateLimit: Get<BlockNumber>;
        /// What calls and hooks weigh.
        type WeightInfo: WeightInfo;
        /// Sets up the other pallets for benchmarks.
        #[cfg(any(test, feature = "runtime-benchmarks"))]
        type BenchmarkHelper: crate::benchmarking::BenchmarkHelper;
    }

    /// What exists, in pebble: balances + stakes + unbonding stake + bonds + pots.
    #[pallet::storage]
    pub type Issued<T> = StorageValue<_, Balance, ValueQuery>;

    /// What all pots hold together, in pebble.
    #[pallet::storage]
    pub type TotalPots<T> = StorageValue<_, Balance, ValueQuery>;

    /// Pots, stake average and epochs of each subnet.
    #[pallet::storage]
    pub type SubnetLedgers<T> = StorageMap<_, Twox64Concat, Netuid, SubnetLedger>;

    /// The scores of each validator that count now.
    #[pallet::storage]
    pub type Votes<T> = StorageDoubleMap<_, Twox64Concat, Netuid, Twox64Concat, Uid, Vote>;

    /// Commitments to scores: (netuid, uid, number of the epoch modulo 2).
    #[pallet::storage]
    pub type Commits<T> = StorageNMap<
        _,
        (
            NMapKey<Twox64Concat, Netuid>,
            NMapKey<Twox64Concat, Uid>,
            NMapKey<Twox64Concat, u8>,
        ),
        ScoresCommit,
    >;

    /// The bonds of each validator after the last epoch, as shares of 65,535.
    #[pallet::storage]
    pub type Bonds<T> =
        StorageDoubleMap<_, Twox64Concat, Netuid, Twox64Concat, Uid, Row, ValueQuery>;

    /// What the last epoch made of each member. A member without a record has nothing yet.
    #[pallet::storage]
    pub type MemberRecords<T> =
        StorageDoubleMap<_, Twox64Concat, Netuid, Twox64Concat, Uid, MemberRecord>;

    /// What each hotkey was paid in each subnet over all time, in pebble.
    #[pallet::storage]
    pub type Earned<T: Config> = StorageDoubleMap<
        _,
        Twox64Concat,
        Netuid,
        Blake2_128Concat,
        T::AccountId,
        Balance,
        ValueQuery,
    >;

    /// What the last epochs of each subnet had and did: (netuid, number of the epoch modulo 64).
    #[pallet::storage]
    pub type SubnetHistory<T> =
        StorageDoubleMap<_, Twox64Concat, Netuid, Twox64Concat, u8, SubnetEpoch>;

    /// What the last epochs made of the members: (netuid, uid, number of the epoch modulo 64). Entries of
    /// epochs before the present member came are its predecessors'.
    #[pallet::storage]
    pub type MemberHistory<T> = StorageNMap<
        _,
        (
            NMapKey<Twox64Concat, Netuid>,
            NMapKey<Twox64Concat, Uid>,
            NMapKey<Twox64Concat, u8>,
        ),
        MemberEpoch,
    >;

    /// What each member earned as a miner and does not have yet; nothing of those of whom nothing is withheld.
    #[pallet::storage]
    pub type Wages<T> = StorageDoubleMap<_, Twox64Concat, Netuid, Twox64Concat, Uid, Withheld>;

    /// Of a subnet that is being dissolved: what the incentives and what the dividends of the members add up
    /// to that have not been paid their parts of the pots yet.
    #[pallet::storage]
    pub type Closing<T> = StorageMap<_, Twox64Concat, Netuid, (u32, u32), ValueQuery>;

    /// Whether runs emit of which nothing else was said: chosen at genesis.
    #[pallet::storage]
    pub type OpenToAll<T> = StorageValue<_, bool, ValueQuery>;

    /// Of which subnets was said whether their runs emit.
    #[pallet::storage]
    pub type Emitting<T> = StorageMap<_, Twox64Concat, Netuid, bool>;

    /// What is issued at genesis follows from the other pallets' genesis.
    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// Whether every subnet's run emits until something else is said of it. Otherwise none does.
        pub open: bool,
        /// Carries the runtime's type.
        #[serde(skip)]
        pub _config: core::marker::PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        /// # Panics
        ///
        /// If genesis holds more than the cap.
        fn build(&self) {
            let balances = <T::Currency as fungible::Inspect<T::AccountId>>::total_issuance();
            let issued = balances
                .checked_add(T::Ledgers::total_staked())
                .and_then(|sum| sum.checked_add(T::Ledgers::total_unbonding()))
                .and_then(|sum| sum.checked_add(T::Ledgers::total_bonded()))
                .filter(|issued| *issued <= schedule::CAP)
                .expect("genesis holds at most 21 million CRN: lower the balances of the preset");
            Issued::<T>::put(issued);
            OpenToAll::<T>::put(self.open);
        }
    }

    /// What happened. Amounts are in pebble.
    #[pallet::event]
    #[pallet::generate_deposit(pub(crate) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A validator set its scores.
        ScoresSet {
            /// The subnet.
            netuid: Netuid,
            /// The validator.
            uid: Uid,
        },
        /// A validator committed to scores that it can reveal after an epoch.
        ScoresCommitted {
            /// The subnet.
            netuid: Netuid,
            /// The validator.
            uid: Uid,
            /// The epoch's number.
            epoch: EpochIndex,
            /// The commitment.
            hash: H256,
        },
        /// A validator revealed scores to which it had committed before an epoch.
        ScoresRevealed {
            /// The subnet.
            netuid: Netuid,
            /// The validator.
            uid: Uid,
            /// The epoch's number.
            epoch: EpochIndex,
        },
        /// A subnet had an epoch, which paid this much.
        EpochRun {
            /// The subnet.
            netuid: Netuid,
            /// Paid to the owner.
            owner: Balance,
            /// Paid to miners.
            miners: Balance,
            /// Paid to validators.
            validators: Balance,
        },
        /// A subnet's epoch could not be computed, since a hyperparameter is out of its range. Its pots
        /// wait for the next one.
        EpochImpossible {
            /// The subnet.
            netuid: Netuid,
        },
        /// An epoch paid a member, or the end of a subnet did.
        Paid {
            /// The subnet.
            netuid: Netuid,
            /// The member.
            uid: Uid,
            /// Its key.
            hotkey: T::AccountId,
            /// Paid into its coldkey's free balance.
            as_miner: Balance,
            /// Added to the stake on it.
            as_validator: Balance,
        },
        /// A member lost what was withheld of it: it lost an audit, or left, or its run was stopped, while its work was
        /// in question. It is in the miners' pot again, or burned if the run was stopped.
        Forfeited {
            /// The subnet.
            netuid: Netuid,
            /// The member.
            uid: Uid,
            /// How much.
            amount: Balance,
        },
        /// The pots of a subnet that is being dissolved are closed: the members had been paid before.
        PotsClosed {
            /// The subnet.
            netuid: Netuid,
            /// Paid to the owner.
            owner: Balance,
            /// Burned: what belonged to nobody or could not be delivered.
            burned: Balance,
        },
        /// It was decided whether a subnet's run emits.
        EmittingSet {
            /// The subnet.
            netuid: Netuid,
            /// Whether it does.
            emits: bool,
        },
        /// A payout could not be delivered and stays in its pot.
        PayoutWaits {
            /// The subnet.
            netuid: Netuid,
            /// The hotkey that it is for, or the owner.
            account: T::AccountId,
            /// How much.
            amount: Balance,
            /// Why.
            reason: DispatchError,
        },
    }

    /// Why scores are refused. Nothing changes then.
    #[pallet::error]
    pub enum Error<T> {
        /// There is no subnet of this netuid.
        UnknownSubnet,
        /// The subnet is being dissolved: there will be no more epochs.
        SubnetDissolving,
        /// The signer is not a member of the subnet: sign with a registered hotkey.
        NotMember,
        /// The member is no validator, or the stake on its hotkey is below the subnet's `min_validator_stake`.
        NotAValidator,
        /// `ScoresRateLimit` blocks have not passed since the hotkey's last scores, or since the commitment
        /// that it would replace.
        TooSoon,
        /// All scores are zero.
        NoScores,
        /// A uid appears more than once.
        DuplicateUid,
        /// A uid belongs to no member of the subnet.
        NoSuchUid,
        /// A score is on the signer's own uid.
        SelfScore,
        /// The subnet hides scores at first: use `commit_scores`, and `reveal_scores` after the epoch.
        CommitRevealOn,
        /// The subnet's scores are set in the open: use `set_scores`.
        CommitRevealOff,
        /// Only scores before the subnet's next epoch can be committed to now.
        NotTheNextEpoch,
        /// The epoch before which the scores were committed has not run: others may still commit before it.
        RevealTooEarly,
        /// Another epoch has run since: the scores can no longer be revealed.
        RevealTooLate,
        /// The hotkey committed to nothing before this epoch.
        NoCommit,
        /// The scores were revealed before.
        AlreadyRevealed,
        /// Scores and salt differ from those that the hotkey committed to.
        NotWhatWasCommitted,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_initialize(now: BlockNumberFor<T>) -> Weight {
            let now: BlockNumber = now.saturated_into();
            let subnets = Self::accrue(now);
            let accrued = T::WeightInfo::accrue(subnets);
            let Some((netuid, hyperparameters)) = Self::most_overdue(now) else {
                return accrued;
            };
            let size = Self::run_epoch(netuid, &hyperparameters, now);
            let epoch = T::WeightInfo::epoch(size.members.into(), size.cells);
            accrued
                .saturating_add(epoch)
                .saturating_add(Self::wages_weight(size.members))
        }

        fn integrity_test() {
            assert!(T::MillisecsPerBlock::get() > 0, "blocks take time");
            assert!(
                T::StakeAverageWindow::get() > 0,
                "an average is over at least one block"
            );
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Sets the signer's scores on the members of a subnet, in place of those it set before, where
        /// scores are set in the open.
        ///
        /// The signer is a hotkey that validates there. `scores` are uids and scores in any order and any
        /// scale; zeros are left out of what is kept. Free of fees if it would succeed.
        ///
        /// # Errors
        ///
        /// [`Error::UnknownSubnet`], [`Error::SubnetDissolving`], [`Error::NotMember`], [`Error::NotAValidator`],
        /// [`Error::CommitRevealOn`], [`Error::TooSoon`], and for the row [`Error::DuplicateUid`],
        /// [`Error::SelfScore`], [`Error::NoSuchUid`], [`Error::NoScores`]. Emits [`Event::ScoresSet`].
        #[pallet::call_index(0)]
        #[pallet::weight((T::WeightInfo::set_scores(scores.len() as u32), DispatchClass::Operational))]
        #[pallet::feeless_if(|origin: &OriginFor<T>, netuid: &Netuid, scores: &Row| -> bool {
            ensure_signed(origin.clone())
                .is_ok_and(|hotkey| Pallet::<T>::check_vote(&hotkey, *netuid, scores).is_ok())
        })]
        pub fn set_scores(origin: OriginFor<T>, netuid: Netuid, scores: Row) -> DispatchResult {
            let hotkey = ensure_signed(origin)?;
            let (uid, vote) = Self::check_vote(&hotkey, netuid, &scores)?;
            Votes::<T>::insert(netuid, uid, vote);
            Self::deposit_event(Event::ScoresSet { netuid, uid });
            Ok(())
        }

        /// Commits the signer to scores that it can reveal once the subnet's next epoch, number `epoch`, has
        /// run, in place of what it committed to before this epoch.
        ///
        /// The signer is a hotkey that validates there. `hash` is
        /// [`scores_hash`](cairn_primitives::scores_hash) of the scores, the file of evidence that they follow from and
        /// a salt. Free of fees if it would succeed.
        ///
        /// # Errors
        ///
        /// [`Error::UnknownSubnet`], [`Error::SubnetDissolving`], [`Error::NotMember`], [`Error::NotAValidator`],
        /// [`Error::CommitRevealOff`], [`Error::NotTheNextEpoch`], [`Error::TooSoon`]. Emits
        /// [`Event::ScoresCommitted`].
        #[pallet::call_index(1)]
        #[pallet::weight((T::WeightInfo::commit_scores(), DispatchClass::Operational))]
        #[pallet::feeless_if(|origin: &OriginFor<T>, netuid: &Netuid, epoch: &EpochIndex, hash: &H256| -> bool {
            ensure_signed(origin.clone())
                .is_ok_and(|hotkey| Pallet::<T>::check_commit(&hotkey, *netuid, *epoch, *hash).is_ok())
        })]
        pub fn commit_scores(
            origin: OriginFor<T>,
            netuid: Netuid,
            epoch: EpochIndex,
            hash: H256,
        ) -> DispatchResult {
            let hotkey = ensure_signed(origin)?;
            let (uid, commit) = Self::check_commit(&hotkey, netuid, epoch, hash)?;
            Commits::<T>::insert((netuid, uid, commits::slot(epoch)), commit);
            Self::deposit_event(Event::ScoresCommitted {
                netuid,
                uid,
                epoch,
                hash,
            });
            Ok(())
        }

        /// Reveals the scores that the signer committed to before epoch `epoch`, which was the subnet's last.
        /// They count from the next epoch on, in place of those before them.
        ///
        /// `scores`, `evidence` and `salt` are what was hashed. Scores on members that have left since count for
        /// nobody. Root and length of the file of evidence stay with the scores, so that anybody can demand it of the
        /// signer's endpoints; what it says is not looked at here. Free of fees if it would succeed.
        ///
        /// # Errors
        ///
        /// [`Error::UnknownSubnet`], [`Error::SubnetDissolving`], [`Error::NotMember`], [`Error::NotAValidator`],
        /// [`Error::RevealTooEarly`], [`Error::RevealTooLate`], [`Error::NoCommit`],
        /// [`Error::AlreadyRevealed`], [`Error::NotWhatWasCommitted`], and for the row
        /// [`Error::DuplicateUid`], [`Error::SelfScore`], [`Error::NoSuchUid`] for a uid that no subnet has,
        /// [`Error::NoScores`]. Emits [`Event::ScoresRevealed`].
        #[pallet::call_index(2)]
        #[pallet::weight((T::WeightInfo::reveal_scores(scores.len() as u32), DispatchClass::Operational))]
        #[pallet::feeless_if(|origin: &OriginFor<T>, netuid: &Netuid, epoch: &EpochIndex, scores: &Row, evidence: &Served, salt: &Salt| -> bool {
            ensure_signed(origin.clone()).is_ok_and(|hotkey| {
                Pallet::<T>::check_reveal(&hotkey, *netuid, *epoch, scores, *evidence, salt).is_ok()
            })
        })]
        pub fn reveal_scores(
            origin: OriginFor<T>,
            netuid: Netuid,
            epoch: EpochIndex,
            scores: Row,
            evidence: Served,
            salt: Salt,
        ) -> DispatchResult {
            let hotkey = ensure_signed(origin)?;
            let (uid, vote, commit) =
                Self::check_reveal(&hotkey, netuid, epoch, &scores, evidence, &salt)?;
            Votes::<T>::insert(netuid, uid, vote);
            Commits::<T>::insert((netuid, uid, commits::slot(epoch)), commit);
            Self::deposit_event(Event::ScoresRevealed { netuid, uid, epoch });
            Ok(())
        }

        /// Decides whether a subnet's run emits: whether the subnet takes part in what blocks issue while it works.
        ///
        /// What is in its pots is paid out either way.
        ///
        /// # Errors
        ///
        /// `BadOrigin` for who does not govern, [`Error::UnknownSubnet`]. Emits [`Event::EmittingSet`].
        #[pallet::call_index(3)]
        #[pallet::weight(T::WeightInfo::set_emitting())]
        pub fn set_emitting(origin: OriginFor<T>, netuid: Netuid, emits: bool) -> DispatchResult {
            T::Governance::ensure_origin(origin)?;
            ensure!(
                T::Membership::hyperparameters(netuid).is_some(),
                Error::<T>::UnknownSubnet
            );
            Emitting::<T>::insert(netuid, emits);
            Self::deposit_event(Event::EmittingSet { netuid, emits });
            Ok(())
        }
    }
}
