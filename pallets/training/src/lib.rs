//! What was done: runs, rounds, commitments, attestations, settled sets, the lineage of model roots.
//!
//! # A round, from the chain's eye
//!
//! A *run* is one model being trained on one subnet. The subnet's owner [starts](Pallet::start_run) it
//! with a [`RunConfig`] that is kept on chain in full. From then on it goes round after round, and no
//! transaction drives it: the chain's hook does.
//!
//! | when | who | what |
//! |---|---|---|
//! | block S | the hook | settles the round before; draws a seed; notes who takes part |
//! | train | miners | [`commit`](Pallet::commit): the hash of a sealed file, and of the key that opens it |
//! | reveal | miners | [`reveal`](Pallet::reveal): the key |
//! | attest, first half | validators | [`commit_attestation`](Pallet::commit_attestation): the hash of what they will attest |
//! | attest, second half | validators | [`attest`](Pallet::attest): which files they found good and which broken, and the root of the parameters they hold |
//! | block S + length | the hook | settles: which files make the next parameters, and what each counts |
//!
//! **Who takes part** is noted at block S and stays ([`Snapshot`]): the validators, which are the
//! members with the most stake, each with the stake it had at that block; and the miners, which are the
//! members with a bond that have not the stake to validate, shuffled into slots by the seed. A slot
//! says which part of the data a miner has to train on ([`cairn_protocol::assignment`]). A member
//! that leaves in mid-round takes what it said with it ([`OnMember`]). Who missed three rounds in a row is not
//! part of the next ones before it says that it is [`here`](Pallet::here). Where the run's rounds overlap, the miners
//! and their slots were noted when the round before began ([`Assignment`]); who can no longer mine at block S has no
//! part, and nobody has its slot instead.
//!
//! **Nobody can copy or back-date.** A commitment is accepted only in the train phase, once per miner,
//! and binds the miner to a file and to a key. The key is accepted only afterwards, and only if it
//! hashes to what was committed together with subnet, round and hotkey
//! ([`cairn_primitives::key_hash`]). In the same way a validator is bound to what it attests before it can see
//! what others do ([`cairn_primitives::attestation_hash`]).
//!
//! **One model.** With the verdicts each validator attests the model root of the parameters θ with which
//! the round began. The roots of all rounds are the run's *lineage*. A root is final if at least two
//! thirds of the attesting stake gave it, at least half of the snapshot's stake attested, and it does
//! not contradict what the chain knows: the first parameters have the configured root, and the parameters
//! after a null round are those before it. With a root goes the loss of its parameters, if more than half of the stake
//! that attested the next round states the same.
//!
//! Whoever attested another root than the final one is slashed at the settlement, without a judge; and so is whoever
//! called good what at least two thirds of the attesting stake found broken. From the third round in a row on that has
//! no final root, what counts of the stake of those who hold the run up halves with each
//! ([`cairn_protocol::attendance`]).
//!
//! **Settlement.** Included are the revealed contributions that started from the final root and that at
//! least two thirds of the attesting stake found good: those with the best incentive in the last epoch
//! first, up to `max_contributors`; among equals the lot decides. If there is no final root or nothing
//! qualifies, the round is *null*: θ stays.
//!
//! # Time
//!
//! A round's phases count from its recorded first block, and end as soon as all whom the round waits for have done what
//! they are for ([`cairn_protocol::turnout`]). The hook does at most
//! [`MaxTransitionsPerBlock`](Config::MaxTransitionsPerBlock) transitions per block, those that waited
//! longest first; so a transition can come a few blocks late, but is never left out, and between the
//! end of the attest phase and the transition nothing is accepted. A run's first round begins when the
//! subnet has at least one miner and one validator; until then the run waits. Later rounds without
//! either become null rounds.
//!
//! # What is kept
//!
//! Of a run's last [`HistoryRounds`](Config::HistoryRounds) rounds, the current one included,
//! everything; of its last [`LineageRounds`](Config::LineageRounds) settled rounds the lineage. Each
//! transition removes what it makes too old. A stopped run is removed over the following blocks, and
//! until that is done no other can be started; its configuration and its last final roots stay
//! ([`EndedRuns`]), so that the parameters it brought can still be found and checked. A subnet that is
//! dissolved stops its run at once, in the middle of a round if need be, and is not gone before the
//! run is.
//!
//! # Where to read on
//!
//! The rules of all this are pure functions in the crate `cairn-protocol`. Here is what is around them: storage,
//! parameters, events and hooks. `round.rs` the hook and the start of a round; `commitments.rs`, `attestation.rs` the
//! calls of miners and validators; `settlement.rs` the end of a round; `attendance.rs` what follows from it for those
//! who had a part; `record.rs` what a subnet is paid for; `audits.rs` what the audits pallet is told, and tells;
//! `stages.rs` parts of a round that end when all is done; `departures.rs` members, and subnets, that leave;
//! `history.rs` what is removed when; `readers.rs` the answers of the runtime API; `try_state.rs` what always holds.

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

mod attendance;
mod attestation;
mod audits;
#[cfg(any(test, feature = "runtime-benchmarks"))]
pub mod benchmarking;
mod commitments;
mod departures;
mod history;
mod readers;
mod record;
mod round;
mod settlement;
mod stages;
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

use cairn_primitives::{traits, ModelRoot};
#[cfg(doc)]
use cairn_primitives::{traits::OnMember, RunConfig};

/// Storage, calls, events, errors and hooks.
// FRAME's macros write `expect`s, and the enum of the calls, which a run's configuration makes large.
#[allow(clippy::expect_used, clippy::large_enum_variant)]
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use alloc::vec::Vec;
    use cairn_primitives::{
        traits::{Audits, Incentives, Membership, Slashing, Stakes},
        Balance, BlockNumber, Commitment, ContributionKey, Judgement, Netuid, Round, RunConfig,
        RunConfigError, Salt, Uid, Witness, H256,
    };
    use frame_support::{
        pallet_prelude::*,
        traits::{Randomness, StorageVersion},
    };
    use frame_system::pallet_prelude::*;
    use sp_runtime::traits::SaturatedConversion;

    /// The version of what the pallet stores.
    pub(crate) const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    /// The training pallet.
    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    /// What the pallet needs. An account must be 32 bytes: a key's hash is over the hotkey's.
    #[pallet::config]
    pub trait Config: frame_system::Config<AccountId: AsRef<[u8; 32]>> {
        /// What a round's seed and its exam are drawn from: nothing that the author of a block can choose.
        type Randomness: Randomness<H256, BlockNumberFor<Self>>;
        /// Who is in a subnet.
        type Membership: Membership<Self::AccountId>;
        /// Who stands behind whom.
        type Stakes: Stakes<Self::AccountId>;
        /// Takes from whoever attested a root that lost, or called good what it had not opened.
        type Slashing: Slashing<Self::AccountId>;
        /// What a member's work was worth: decides what its contribution counts, and who is included when there are
        /// too many.
        type Incentives: Incentives;
        /// Audits what rounds include.
        type Audits: Audits<Self::AccountId>;
        /// The longest sealed file that can be committed to, in bytes.
        #[pallet::constant]
        type MaxContributionBytes: Get<u64>;
        /// The number of rounds of which everything is kept, the current one included; at least 2.
        #[pallet::constant]
        type HistoryRounds: Get<Round>;
        /// The number of settled rounds of which the lineage is kept.
        #[pallet::constant]
        type LineageRounds: Get<Round>;
        /// The most rounds that one block settles and begins, and the most waiting runs that it looks
        /// at; at least 1.
        #[pallet::constant]
        type MaxTransitionsPerBlock: Get<u32>;
        /// Parameters of the calls and of the hook's parts.
        type WeightInfo: WeightInfo;
        /// Sets up the other pallets for benchmarks.
        #[cfg(any(test, feature = "runtime-benchmarks"))]
        type BenchmarkHelper: crate::benchmarking::BenchmarkHelper;
    }

    /// The configuration of each subnet's run.
    #[pallet::storage]
    pub type Configs<T: Config> = StorageMap<_, Twox64Concat, Netuid, RunConfig>;

    /// Where each subnet's run stands.
    #[pallet::storage]
    pub type Runs<T: Config> = StorageMap<_, Twox64Concat, Netuid, Run>;

    /// The runs that wait for their first miner and validator.
    #[pallet::storage]
    pub type Waiting<T: Config> = StorageMap<_, Twox64Concat, Netuid, ()>;

    /// The waiting run that was looked at last: the next look begins behind it.
    #[pallet::storage]
    pub type LastWaiter<T: Config> = StorageValue<_, Netuid>;

    /// By block, the runs whose round can be settled from that block on.
    #[pallet::storage]
    pub type Agenda<T: Config> =
        StorageDoubleMap<_, Twox64Concat, BlockNumber, Twox64Concat, Netuid, ()>;

    /// The earliest block whose agenda may not be done yet.
    #[pallet::storage]
    pub type NextDue<T: Config> = StorageValue<_, BlockNumber>;

    /// By subnet and round, what was fixed at the round's first block.
    #[pallet::storage]
    pub type Rounds<T: Config> =
        StorageDoubleMap<_, Twox64Concat, Netuid, Twox64Concat, Round, Snapshot<T::AccountId>>;

    /// By subnet and round, what was revealed and attested.
    #[pallet::storage]
    pub type Tallies<T: Config> =
        StorageDoubleMap<_, Twox64Concat, Netuid, Twox64Concat, Round, Tally, ValueQuery>;

    /// By subnet, round and uid, the commitments.
    #[pallet::storage]
    pub type Contributions<T: Config> = StorageNMap<
        _,
        (
            NMapKey<Twox64Concat, Netuid>,
            NMapKey<Twox64Concat, Round>,
            NMapKey<Twox64Concat, Uid>,
        ),
        Contribution<T::AccountId>,
    >;

    /// By subnet, round and uid, what validators committed to or attested.
    #[pallet::storage]
    pub type Attestations<T: Config> = StorageNMap<
        _,
        (
            NMapKey<Twox64Concat, Netuid>,
            NMapKey<Twox64Concat, Round>,
            NMapKey<Twox64Concat, Uid>,
        ),
        Statement,
    >;

    /// By subnet, what members of its run missed.
    #[pallet::storage]
    pub type AbsencesOf<T: Config> = StorageMap<_, Twox64Concat, Netuid, Absences, ValueQuery>;

    /// By subnet, for whom the current round waits.
    #[pallet::storage]
    pub type Turnouts<T: Config> = StorageMap<_, Twox64Concat, Netuid, Turnout, ValueQuery>;

    /// By subnet whose run's rounds overlap, who has to train on what in the next round.
    #[pallet::storage]
    pub type Assignments<T: Config> = StorageMap<_, Twox64Concat, Netuid, Assignment<T::AccountId>>;

    /// By subnet and round, how the round ended.
    #[pallet::storage]
    pub type Settlements<T: Config> =
        StorageDoubleMap<_, Twox64Concat, Netuid, Twox64Concat, Round, Settlement<T::AccountId>>;

    /// By subnet and round, the root of the parameters with which the round began.
    #[pallet::storage]
    pub type Lineage<T: Config> =
        StorageDoubleMap<_, Twox64Concat, Netuid, Twox64Concat, Round, Ancestor>;

    /// What is left of stopped runs.
    #[pallet::storage]
    pub type Clearing<T: Config> = StorageMap<_, Twox64Concat, Netuid, Remains>;

    /// What stays of each subnet's last stopped run: until the next one is stopped, or the subnet is gone.
    #[pallet::storage]
    pub type EndedRuns<T: Config> = StorageMap<_, Twox64Concat, Netuid, Ended>;

    /// What each subnet did of late.
    #[pallet::storage]
    pub type Records<T: Config> = StorageMap<_, Twox64Concat, Netuid, Record>;

    /// Which rounds each subnet's validators attested.
    #[pallet::storage]
    pub type Attended<T: Config> = StorageMap<_, Twox64Concat, Netuid, Attendances>;

    /// What happened.
    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A run was started. Its first round begins once there are a miner and a validator.
        RunStarted {
            /// The subnet.
            netuid: Netuid,
            /// The root of the first parameters.
            initial_root: ModelRoot,
        },
        /// A run was stopped, its current round with it.
        RunStopped {
            /// The subnet.
            netuid: Netuid,
        },
        /// Nothing is left of a stopped run: another can be started.
        RunCleared {
            /// The subnet.
            netuid: Netuid,
        },
        /// A round began.
        RoundStarted {
            /// The subnet.
            netuid: Netuid,
            /// The round.
            round: Round,
            /// What its slots were drawn from.
            seed: H256,
        },
        /// A miner committed to a contribution.
        Committed {
            /// The subnet.
            netuid: Netuid,
            /// The round.
            round: Round,
            /// The miner.
            uid: Uid,
        },
        /// A miner revealed the key of its contribution.
        Revealed {
            /// The subnet.
            netuid: Netuid,
            /// The round.
            round: Round,
            /// The miner.
            uid: Uid,
        },
        /// A validator committed to what it will attest.
        AttestationCommitted {
            /// The subnet.
            netuid: Netuid,
            /// The round.
            round: Round,
            /// The validator.
            uid: Uid,
        },
        /// A validator attested.
        Attested {
            /// The subnet.
            netuid: Netuid,
            /// The round.
            round: Round,
            /// The validator.
            uid: Uid,
            /// The root of the parameters that it began the round with.
            model_root: ModelRoot,
        },
        /// A miner left, and its contribution to the current round with it.
        ContributionDropped {
            /// The subnet.
            netuid: Netuid,
            /// The round.
            round: Round,
            /// The miner's uid.
            uid: Uid,
        },
        /// A validator left, and what it had said in the current round with it.
        AttestationDropped {
            /// The subnet.
            netuid: Netuid,
            /// The round.
            round: Round,
            /// The validator's uid.
            uid: Uid,
        },
        /// Two thirds of the attesting stake attested a root that the round cannot have begun with.
        RootRefused {
            /// The subnet.
            netuid: Netuid,
            /// The round.
            round: Round,
            /// What they attested.
            model_root: ModelRoot,
            /// What the parameters' root is.
            expected: ModelRoot,
        },
        /// A validator had attested another root than the final one.
        RootLost {
            /// The subnet.
            netuid: Netuid,
            /// The round.
            round: Round,
            /// The validator.
            uid: Uid,
            /// What it had attested.
            model_root: ModelRoot,
            /// What was taken from its bond and from the stake on it, in pebble.
            slashed: Balance,
        },
        /// A validator had called good what was found broken: it had not opened it.
        CalledUnseen {
            /// The subnet.
            netuid: Netuid,
            /// The round.
            round: Round,
            /// The validator.
            uid: Uid,
            /// The maker of what it had called good; of several the lowest.
            maker: Uid,
            /// What was taken from its bond and from the stake on it, in pebble.
            slashed: Balance,
        },
        /// A member missed so many rounds in a row that it is not expected before it says that it is back.
        MemberAbsent {
            /// The subnet.
            netuid: Netuid,
            /// The member.
            uid: Uid,
        },
        /// A member that was not expected is back, from the next round on.
        MemberBack {
            /// The subnet.
            netuid: Netuid,
            /// The member.
            uid: Uid,
        },
        /// A round was settled.
        RoundSettled {
            /// The subnet.
            netuid: Netuid,
            /// The round.
            round: Round,
            /// Whose contributions make the next parameters, ascending; empty in a null round.
            included: Vec<Uid>,
        },
    }

    /// Why a call was refused.
    #[pallet::error]
    pub enum Error<T> {
        /// There is no such subnet.
        UnknownSubnet,
        /// The subnet is being dissolved: nothing is trained there any more.
        SubnetDissolving,
        /// Only the subnet's owner may do this.
        NotSubnetOwner,
        /// The subnet has a run already: stop it first.
        RunExists,
        /// The subnet's last run is still being removed: try again after `RunCleared`.
        RunBeingCleared,
        /// The subnet's owner has announced that scores will be shown: wait until then, or withdraw it.
        CommitRevealEnds,
        /// The subnet has no run.
        NoRun,
        /// The run waits for its first miner and validator.
        RunNotBegun,
        /// Model: a dimension is zero, or `heads` does not divide `d_model`, or `kv_heads` not `heads`,
        /// or a head's width is odd.
        ImpossibleShape,
        /// No inner steps, no sequences, or sequences longer than the model's context.
        ImpossibleInnerSteps,
        /// A rate, decay or norm of the inner optimizer is outside its range.
        ImpossibleOptimizer,
        /// `kept_per_block` is not within 1..=4,096, the error's decay above 1, or members take no turns or more than 4,
        /// or take turns without keeping all values, with a decay of the error, or without audits.
        ImpossibleCompression,
        /// ρ is above 1, above one over the turns, or below a quarter, norms are clipped below the median or above twice
        /// it, the outer learning rate is zero, or tokens count in a run without audits.
        ImpossibleOuterStep,
        /// A phase has no blocks, the attest phase fewer than 4, or the round fewer than 10.
        PhasesTooShort,
        /// No contributors, or more than a subnet can have members.
        ImpossibleContributors,
        /// The audit rate is above 65,536, auditors are not odd or more than 15, a stage is shorter than 4 blocks or
        /// longer than a round or than 1,080, or no bond stands behind a card's work, or the tolerance is above
        /// 4,096, or of a run of Muon's, of one that traces fewer than each tenth state, or of one in which `beta2` is
        /// above 0.9999 or less than 0.0001 above the square of `beta1`, or that is zero.
        ImpossibleAudits,
        /// Fewer windows than one miner and the exam need for one round.
        TooLittleData,
        /// The initial model root is zero, which no parameters have.
        ZeroInitialRoot,
        /// This is not the run's current round.
        NotTheCurrentRound,
        /// The origin is not among the round's miners: bond, and wait for the next round.
        NotAMinerOfThisRound,
        /// The origin is not among the round's validators: stake, and wait for the next round.
        NotAValidatorOfThisRound,
        /// The train phase, or the first half of the attest phase, is over: commit in the next round.
        TooLateToCommit,
        /// The reveal phase has not begun: a key that is known now would open the contribution to
        /// copiers.
        TooEarlyToReveal,
        /// The reveal phase is over: the contribution does not count.
        TooLateToReveal,
        /// The attest phase, or its second half, has not begun.
        TooEarlyToAttest,
        /// The attest phase is over: the attestation is lost.
        TooLateToAttest,
        /// The member has committed in this round already.
        AlreadyCommitted,
        /// The sealed file has no bytes.
        EmptyContribution,
        /// The sealed file is longer than `MaxContributionBytes`.
        ContributionTooLong,
        /// A hash of the commitment is zero, so it was never computed.
        ZeroHash,
        /// The member has not committed in this round.
        NotCommitted,
        /// The miner has revealed already.
        AlreadyRevealed,
        /// The key is not the one committed to, or another hotkey's, subnet's or round's.
        WrongKey,
        /// The validator has attested in this round already.
        AlreadyAttested,
        /// The attestation is not what the validator committed to: another root, verdict or salt.
        NotAsCommitted,
        /// The attested model root is zero, which no parameters have.
        ZeroModelRoot,
        /// The attestation says of a contribution that it is good, and that it is broken.
        GoodAndBroken,
        /// The run's name, its store or its checkpoint is not printable text: control characters, escape codes,
        /// invisible characters and changes of the direction of writing are refused.
        UnprintableText,
        /// The model, or a phase, is larger than any worker has room or time for.
        TooLarge,
        /// The origin is no member of the subnet.
        NotAMember,
        /// The member is expected in the next round already.
        NotAbsent,
        /// Training is to run more than one round ahead.
        ImpossibleOverlap,
        /// No rounds, or too many, lie between two checkpoints.
        ImpossibleCheckpoints,
    }

    impl<T> From<RunConfigError> for Error<T> {
        fn from(error: RunConfigError) -> Self {
            match error {
                RunConfigError::ImpossibleShape => Error::ImpossibleShape,
                RunConfigError::ImpossibleInnerSteps => Error::ImpossibleInnerSteps,
                RunConfigError::ImpossibleOptimizer => Error::ImpossibleOptimizer,
                RunConfigError::ImpossibleCompression => Error::ImpossibleCompression,
                RunConfigError::ImpossibleOuterStep => Error::ImpossibleOuterStep,
                RunConfigError::PhasesTooShort => Error::PhasesTooShort,
                RunConfigError::ImpossibleContributors => Error::ImpossibleContributors,
                RunConfigError::ImpossibleAudits => Error::ImpossibleAudits,
                RunConfigError::TooLittleData => Error::TooLittleData,
                RunConfigError::UnprintableText => Error::UnprintableText,
                RunConfigError::TooLarge => Error::TooLarge,
                RunConfigError::ImpossibleOverlap => Error::ImpossibleOverlap,
                RunConfigError::ImpossibleCheckpoints => Error::ImpossibleCheckpoints,
            }
        }
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        /// Removes some of what stopped runs left, settles and begins rounds that are due, and begins
        /// the first round of runs that waited for it.
        fn on_initialize(now: BlockNumberFor<T>) -> Weight {
            Self::turn(now.saturated_into())
        }

        fn integrity_test() {
            assert!(
                T::HistoryRounds::get() >= 2,
                "the last settled round must be kept"
            );
            assert!(T::LineageRounds::get() >= 1, "the last root must be kept");
            assert!(
                T::LineageRounds::get() >= T::HistoryRounds::get(),
                "the base of every round that is kept must be kept"
            );
            assert!(
                T::MaxTransitionsPerBlock::get() >= 1,
                "rounds would never begin"
            );
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Starts a run. Only the subnet's owner may; a subnet has one run at a time.
        ///
        /// The first round begins in the first block from the next one on in which the subnet has a
        /// miner and a validator.
        #[pallet::call_index(0)]
        #[pallet::weight(T::WeightInfo::start_run())]
        pub fn start_run(
            origin: OriginFor<T>,
            netuid: Netuid,
            config: RunConfig,
        ) -> DispatchResult {
            Self::ensure_owner(origin, netuid)?;
            ensure!(!Runs::<T>::contains_key(netuid), Error::<T>::RunExists);
            ensure!(
                !Clearing::<T>::contains_key(netuid),
                Error::<T>::RunBeingCleared
            );
            Self::ensure_hides_scores(netuid)?;
            config.check().map_err(Error::<T>::from)?;
            let has_room = cairn_protocol::assignment::room(&config) > 0;
            ensure!(has_room, Error::<T>::TooLittleData);
            ensure!(!config.initial_root.is_zero(), Error::<T>::ZeroInitialRoot);
            Self::open_run(netuid, config);
            Ok(())
        }

        /// Stops the subnet's run. Only its owner may. The current round is not settled. What is kept of
        /// the rounds is removed over the following blocks; configuration and last final roots stay.
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::stop_run().saturating_add(Pallet::<T>::remembering()))]
        pub fn stop_run(origin: OriginFor<T>, netuid: Netuid) -> DispatchResult {
            Self::ensure_owner(origin, netuid)?;
            let run = Runs::<T>::take(netuid).ok_or(Error::<T>::NoRun)?;
            Self::close_run(netuid, run);
            Ok(())
        }

        /// Commits the origin, a miner of the current round, to a sealed contribution. Once, in the
        /// train phase. Free of fees if it succeeds.
        #[pallet::call_index(2)]
        #[pallet::weight((T::WeightInfo::commit().saturating_add(Pallet::<T>::coming()), DispatchClass::Operational))]
        #[pallet::feeless_if(|
            origin: &OriginFor<T>,
            netuid: &Netuid,
            round: &Round,
            commitment: &Commitment,
        | -> bool {
            Pallet::<T>::signer(origin).is_some_and(|who| {
                Pallet::<T>::check_commit(&who, *netuid, *round, commitment).is_ok()
            })
        })]
        pub fn commit(
            origin: OriginFor<T>,
            netuid: Netuid,
            round: Round,
            commitment: Commitment,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            let (uid, contribution) = Self::check_commit(&who, netuid, round, &commitment)?;
            Self::note_commitment((netuid, round, uid), contribution);
            Ok(())
        }

        /// Reveals the key of the origin's contribution. Once, in the reveal phase. Free of fees if it
        /// succeeds.
        #[pallet::call_index(3)]
        #[pallet::weight((T::WeightInfo::reveal().saturating_add(Pallet::<T>::coming()), DispatchClass::Operational))]
        #[pallet::feeless_if(|
            origin: &OriginFor<T>,
            netuid: &Netuid,
            round: &Round,
            key: &ContributionKey,
        | -> bool {
            Pallet::<T>::signer(origin).is_some_and(|who| {
                Pallet::<T>::check_reveal(&who, *netuid, *round, key).is_ok()
            })
        })]
        pub fn reveal(
            origin: OriginFor<T>,
            netuid: Netuid,
            round: Round,
            key: ContributionKey,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            let (uid, contribution) = Self::check_reveal(&who, netuid, round, &key)?;
            Self::note_key((netuid, round, uid), contribution)
        }

        /// The origin, a validator of the current round, says which contributions it found good and which broken, and
        /// the root of the parameters with which it began the round: what it committed to, and the salt that hid it.
        /// Once, in the second half of the attest phase. Free of fees if it succeeds.
        ///
        /// Verdicts on what was not revealed, or on what a miner took with it when it left, count for nothing. Who
        /// calls good what two thirds of the attesting stake say to be broken is slashed, and has not attended.
        ///
        /// `witness` is [`cairn_protocol::exam::witness`] of the round before, or nothing: where more than half of the
        /// attesting stake gives the same, whoever gives another has not attended the round, and the loss that it
        /// states is kept.
        #[pallet::call_index(4)]
        #[pallet::weight((
            T::WeightInfo::attest(verdicts.count()).saturating_add(Pallet::<T>::coming()),
            DispatchClass::Operational,
        ))]
        #[pallet::feeless_if(|
            origin: &OriginFor<T>,
            netuid: &Netuid,
            round: &Round,
            model_root: &ModelRoot,
            verdicts: &Judgement,
            witness: &Witness,
            salt: &Salt,
        | -> bool {
            let attestation = Attestation {
                model_root: *model_root,
                verdicts: verdicts.clone(),
                witness: *witness,
                salt: *salt,
            };
            Pallet::<T>::signer(origin).is_some_and(|who| {
                Pallet::<T>::check_attest(&who, *netuid, *round, &attestation).is_ok()
            })
        })]
        pub fn attest(
            origin: OriginFor<T>,
            netuid: Netuid,
            round: Round,
            model_root: ModelRoot,
            verdicts: Judgement,
            witness: Witness,
            salt: Salt,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            let attestation = Attestation {
                model_root,
                verdicts,
                witness,
                salt,
            };
            let (validator, tally) = Self::check_attest(&who, netuid, round, &attestation)?;
            Self::note_attestation(
                (netuid, round, validator.uid),
                validator.stake,
                tally,
                attestation,
            )
        }

        /// Commits the origin, a validator of the current round, to what it will attest: `hash` is
        /// [`cairn_primitives::attestation_hash`] of it. Once, in the first half of the attest phase. Free of fees if
        /// it succeeds.
        #[pallet::call_index(5)]
        #[pallet::weight((
            T::WeightInfo::commit_attestation().saturating_add(Pallet::<T>::coming()),
            DispatchClass::Operational,
        ))]
        #[pallet::feeless_if(|
            origin: &OriginFor<T>,
            netuid: &Netuid,
            round: &Round,
            hash: &H256,
        | -> bool {
            Pallet::<T>::signer(origin).is_some_and(|who| {
                Pallet::<T>::check_commit_attestation(&who, *netuid, *round, *hash).is_ok()
            })
        })]
        pub fn commit_attestation(
            origin: OriginFor<T>,
            netuid: Netuid,
            round: Round,
            hash: H256,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            let (at, said) = Self::check_commit_attestation(&who, netuid, round, hash)?;
            Self::note_commit_attestation(at, said);
            Ok(())
        }

        /// The origin, a member that missed too many rounds to be expected, is back: it has a part from the next round
        /// on, and one round to show it. Free of fees if it succeeds, which is at most once a round.
        #[pallet::call_index(6)]
        #[pallet::weight((T::WeightInfo::here(), DispatchClass::Operational))]
        #[pallet::feeless_if(|origin: &OriginFor<T>, netuid: &Netuid| -> bool {
            Pallet::<T>::signer(origin)
                .is_some_and(|who| Pallet::<T>::check_here(&who, *netuid).is_ok())
        })]
        pub fn here(origin: OriginFor<T>, netuid: Netuid) -> DispatchResult {
            let who = ensure_signed(origin)?;
            let (uid, back) = Self::check_here(&who, netuid)?;
            Self::note_here(netuid, uid, back);
            Ok(())
        }
    }

    impl<T: Config> Pallet<T> {
        fn ensure_owner(origin: OriginFor<T>, netuid: Netuid) -> DispatchResult {
            let who = ensure_signed(origin)?;
            let owner = T::Membership::owner(netuid).ok_or(Error::<T>::UnknownSubnet)?;
            ensure!(who == owner, Error::<T>::NotSubnetOwner);
            ensure!(
                !T::Membership::is_dissolving(netuid),
                Error::<T>::SubnetDissolving
            );
            Ok(())
        }

        /// Whether no rules wait for their time under which the run would lose what hides validators' scores.
        fn ensure_hides_scores(netuid: Netuid) -> DispatchResult {
            let announced = T::Membership::announced(netuid);
            if announced.is_none_or(|rules| rules.commit_reveal) {
                return Ok(());
            }
            let hidden = T::Membership::hyperparameters(netuid).is_some_and(|h| h.commit_reveal);
            ensure!(!hidden, Error::<T>::CommitRevealEnds);
            Ok(())
        }

        fn signer(origin: &OriginFor<T>) -> Option<T::AccountId> {
            ensure_signed(origin.clone()).ok()
        }
    }
}

impl<T: Config> traits::Runs for Pallet<T> {
    fn has_run(netuid: cairn_primitives::Netuid) -> bool {
        readers::is_kept(&Runs::<T>::hashed_key_for(netuid))
    }
}
