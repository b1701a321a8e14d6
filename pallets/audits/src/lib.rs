//! Whether work is what it claims: audits of included contributions.
//!
//! # An audit, from the chain's eye
//!
//! | when | who | what |
//! |---|---|---|
//! | block S, which settles a round | the training pallet | tells what was included; some of it is drawn |
//! | stage *open* | the miner | [`open`](Pallet::open): the root of a blob that it serves |
//! | stage *commit* | its auditors | [`commit_verdict`](Pallet::commit_verdict): the hash of what they found |
//! | stage *reveal* | its auditors | [`reveal_verdict`](Pallet::reveal_verdict): what they found |
//! | the end of a stage | the hook | ends the audit, or begins a dispute |
//!
//! Each stage is as long as the run's configuration says. An audit ends with its first stage if the miner has served
//! nothing. It ends with its last if no auditor found that the work is false. If one did there is a *dispute*: all
//! other validators of the round are asked, too, those of the miner's coldkey aside. They have a stage to commit and one
//! to reveal, and then stake decides. So auditors that lie take no bond and save none, unless they are a third of it.
//!
//! Who lost an audit loses its whole bond and is not expected in rounds until it says that it is back; a share of the
//! bond goes to the coldkeys of the drawn auditors that said so. An auditor that revealed nothing, or something else
//! than a dispute decided, counts as one that missed a round.
//!
//! Where auditors could not decide nobody loses anything, but what a proven miner earned from that round on is in
//! question until its next audit is decided, and all that it makes is audited until then.
//!
//! A miner that leaves, or signs with another hotkey, is still bound by what it signed: an audit is of a hotkey, and
//! so is a bond. Its hotkey's account is held until the audit ends, so that it can serve. Of an auditor that left
//! nothing is expected.
//!
//! # Time
//!
//! The hook ends at most [`MaxEndsPerBlock`](Config::MaxEndsPerBlock) audits per block, those that waited longest
//! first. Between the end of the last stage and the hook nothing is accepted.
//!
//! # What is kept
//!
//! An audit while it is open, at most as many of a subnet as [`OPEN_ROUNDS`] rounds include, and the validators of its
//! round as long; how it ended for as long
//! as the training pallet keeps its round. When a run is stopped, its audits end without a verdict, and what is
//! withheld for the work that they were of is not paid.
//!
//! # Where to read on
//!
//! The rules are pure functions in [`cairn_protocol::audit`]. `drawing.rs` what the training pallet tells; `calls.rs`
//! what miners and auditors say; `ending.rs` the hook; `departures.rs` miners that leave; `readers.rs` the answers of
//! the runtime API; `try_state.rs` what always holds.

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
mod drawing;
mod ending;
mod readers;
mod try_state;
pub mod types;
pub mod weights;

#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;

pub use pallet::*;
pub use types::*;
pub use weights::WeightInfo;

/// Storage, calls, events, errors and hooks.
// FRAME's macros write `expect`s.
#[allow(clippy::expect_used)]
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use alloc::vec::Vec;
    use cairn_primitives::{
        traits::{Attendance, Membership, Slashing, Wages},
        AuditOutcome, Balance, BlockNumber, Finding, Netuid, Round, Salt, Served, Uid, H256,
    };
    use frame_support::{pallet_prelude::*, traits::StorageVersion};
    use frame_system::pallet_prelude::*;
    use sp_runtime::traits::SaturatedConversion;

    /// The version of what the pallet stores.
    pub(crate) const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    /// The audits pallet.
    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    /// What the pallet needs. An account must be 32 bytes: a finding's hash is over the hotkey's.
    #[pallet::config]
    pub trait Config: frame_system::Config<AccountId: AsRef<[u8; 32]>> {
        /// Whose a hotkey is.
        type Membership: Membership<Self::AccountId>;
        /// Takes the bond of whoever lost an audit.
        type Slashing: Slashing<Self::AccountId>;
        /// Told of who lost an audit, and of who did not do one.
        type Attendance: Attendance<Self::AccountId>;
        /// What is withheld of miners whose work is in question.
        type Wages: Wages;
        /// The most audits that one block ends; at least 1.
        #[pallet::constant]
        type MaxEndsPerBlock: Get<u32>;
        /// Weights of the calls and of the hook's parts.
        type WeightInfo: WeightInfo;
        /// Sets up the other pallets for benchmarks.
        #[cfg(any(test, feature = "runtime-benchmarks"))]
        type BenchmarkHelper: crate::benchmarking::BenchmarkHelper<Self::AccountId>;
    }

    /// By subnet, round and uid of the miner, the audits that are open.
    #[pallet::storage]
    pub type OpenAudits<T: Config> = StorageNMap<
        _,
        (
            NMapKey<Twox64Concat, Netuid>,
            NMapKey<Twox64Concat, Round>,
            NMapKey<Twox64Concat, Uid>,
        ),
        Audit<T::AccountId>,
    >;

    /// How many audits of each subnet are open, by round; nothing of subnets and rounds that have none.
    #[pallet::storage]
    pub type Counts<T: Config> = StorageMap<_, Twox64Concat, Netuid, Counted, ValueQuery>;

    /// By subnet and round, the validators of a round of which audits are open.
    #[pallet::storage]
    pub type ValidatorsOf<T: Config> =
        StorageDoubleMap<_, Twox64Concat, Netuid, Twox64Concat, Round, Validators<T::AccountId>>;

    /// By block, the audits that end at it, unless their miners serve something before.
    #[pallet::storage]
    pub type Agenda<T: Config> =
        StorageDoubleMap<_, Twox64Concat, BlockNumber, Twox64Concat, AuditId, ()>;

    /// The earliest block whose agenda may not be done yet.
    #[pallet::storage]
    pub type NextDue<T: Config> = StorageValue<_, BlockNumber>;

    /// By subnet and round, how the round's audits ended.
    #[pallet::storage]
    pub type Outcomes<T: Config> =
        StorageDoubleMap<_, Twox64Concat, Netuid, Twox64Concat, Round, RoundOutcomes>;

    /// Of each subnet whose run audits, whose work has passed, and of whom an audit was left undecided since.
    #[pallet::storage]
    pub type Passes<T: Config> = StorageMap<_, Twox64Concat, Netuid, Passed>;

    /// Subnets whose run was stopped and left open audits.
    #[pallet::storage]
    pub type Stopped<T: Config> = StorageMap<_, Twox64Concat, Netuid, ()>;

    /// What happened.
    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// These contributions of a settled round are audited.
        Drawn {
            /// The subnet.
            netuid: Netuid,
            /// The round.
            round: Round,
            /// Whose they are, ascending.
            uids: Vec<Uid>,
        },
        /// A miner serves what is audited of it.
        Opened {
            /// The subnet.
            netuid: Netuid,
            /// The round.
            round: Round,
            /// The miner.
            uid: Uid,
            /// What it serves.
            served: Served,
        },
        /// An auditor committed to what it found.
        VerdictCommitted {
            /// The subnet.
            netuid: Netuid,
            /// The round.
            round: Round,
            /// The miner.
            uid: Uid,
            /// The auditor.
            auditor: Uid,
        },
        /// An auditor revealed what it found.
        VerdictRevealed {
            /// The subnet.
            netuid: Netuid,
            /// The round.
            round: Round,
            /// The miner.
            uid: Uid,
            /// The auditor.
            auditor: Uid,
            /// What it found.
            finding: Finding,
        },
        /// An auditor found that the work is false: all validators of the round are asked.
        Disputed {
            /// The subnet.
            netuid: Netuid,
            /// The round.
            round: Round,
            /// The miner.
            uid: Uid,
        },
        /// An audit ended.
        Ended {
            /// The subnet.
            netuid: Netuid,
            /// The round.
            round: Round,
            /// The miner.
            uid: Uid,
            /// How.
            outcome: AuditOutcome,
            /// What was taken of the miner's bond, in pebble.
            slashed: Balance,
            /// What the miner had earned, was withheld, and went back to the miners' pot, in pebble.
            forfeited: Balance,
        },
    }

    /// Why a call was refused.
    #[pallet::error]
    pub enum Error<T> {
        /// No such contribution is being audited.
        NoAudit,
        /// The origin is not the hotkey that made the contribution.
        NotTheMiner,
        /// The origin is not among the auditors that were drawn.
        NotAnAuditor,
        /// The stage has not begun.
        TooEarly,
        /// The stage is over.
        TooLate,
        /// The miner has said already what it serves.
        AlreadyOpened,
        /// The miner has not said what it serves, so there is nothing to find out.
        NotOpened,
        /// A root or hash is zero, so it was never computed.
        ZeroHash,
        /// The blob has no bytes.
        EmptyBlob,
        /// The blob is longer than three vectors of the model and their proofs.
        BlobTooLong,
        /// The auditor has committed already.
        AlreadyCommitted,
        /// The auditor has not committed.
        NotCommitted,
        /// The auditor has revealed already.
        AlreadyRevealed,
        /// It is not what the auditor committed to: another finding or salt.
        NotAsCommitted,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        /// Ends audits that are due.
        fn on_initialize(now: BlockNumberFor<T>) -> Weight {
            Self::work_off_agenda(now.saturated_into())
        }

        fn integrity_test() {
            assert!(T::MaxEndsPerBlock::get() >= 1, "audits would never end");
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// The origin, whose contribution is audited, says by which root and with how many bytes it serves what
        /// [`cairn_protocol::audit::Opened`] describes. Once, in the stage *open*. Free of fees if it succeeds.
        #[pallet::call_index(0)]
        #[pallet::weight((T::WeightInfo::open(), DispatchClass::Operational))]
        #[pallet::feeless_if(|
            origin: &OriginFor<T>,
            netuid: &Netuid,
            round: &Round,
            uid: &Uid,
            served: &Served,
        | -> bool {
            Pallet::<T>::signer(origin).is_some_and(|who| {
                Pallet::<T>::check_open(&who, (*netuid, *round, *uid), served).is_ok()
            })
        })]
        pub fn open(
            origin: OriginFor<T>,
            netuid: Netuid,
            round: Round,
            uid: Uid,
            served: Served,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            let id = (netuid, round, uid);
            let audit = Self::check_open(&who, id, &served)?;
            Self::note_open(id, audit, served);
            Ok(())
        }

        /// Commits the origin, an auditor of this contribution, to what it found: `hash` is
        /// [`cairn_primitives::finding_hash`] of it. Once, in the stage *commit*. Free of fees if it succeeds.
        #[pallet::call_index(1)]
        #[pallet::weight((T::WeightInfo::commit_verdict(), DispatchClass::Operational))]
        #[pallet::feeless_if(|
            origin: &OriginFor<T>,
            netuid: &Netuid,
            round: &Round,
            uid: &Uid,
            hash: &H256,
        | -> bool {
            Pallet::<T>::signer(origin).is_some_and(|who| {
                Pallet::<T>::check_commit(&who, (*netuid, *round, *uid), *hash).is_ok()
            })
        })]
        pub fn commit_verdict(
            origin: OriginFor<T>,
            netuid: Netuid,
            round: Round,
            uid: Uid,
            hash: H256,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            let id = (netuid, round, uid);
            let (audit, auditor) = Self::check_commit(&who, id, hash)?;
            Self::note_commit(id, audit, auditor);
            Ok(())
        }

        /// The origin, an auditor of this contribution, reveals what it found and the salt that hid it. Once, in the
        /// stage *reveal*. Free of fees if it succeeds.
        #[pallet::call_index(2)]
        #[pallet::weight((T::WeightInfo::reveal_verdict(), DispatchClass::Operational))]
        #[pallet::feeless_if(|
            origin: &OriginFor<T>,
            netuid: &Netuid,
            round: &Round,
            uid: &Uid,
            finding: &Finding,
            salt: &Salt,
        | -> bool {
            Pallet::<T>::signer(origin).is_some_and(|who| {
                Pallet::<T>::check_reveal(&who, (*netuid, *round, *uid), *finding, salt).is_ok()
            })
        })]
        pub fn reveal_verdict(
            origin: OriginFor<T>,
            netuid: Netuid,
            round: Round,
            uid: Uid,
            finding: Finding,
            salt: Salt,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            let id = (netuid, round, uid);
            let (audit, auditor) = Self::check_reveal(&who, id, finding, &salt)?;
            Self::note_reveal(id, audit, auditor, finding);
            Ok(())
        }
    }

    impl<T: Config> Pallet<T> {
        fn signer(origin: &OriginFor<T>) -> Option<T::AccountId> {
            ensure_signed(origin.clone()).ok()
        }
    }
}
