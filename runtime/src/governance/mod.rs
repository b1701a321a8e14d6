//! Who may change what, and after which delay. `docs/governance.md` is this module for people.
//!
//! Nobody is root on a chain that is not for development: there is no sudo key, no track enacts as root, and nobody may
//! schedule. A referendum enacts with the [`Origin`] of its track, and each origin opens the few calls that name it.
//! What no origin opens cannot be changed but by a new runtime, which is a referendum of its own.
//!
//! | | |
//! |---|---|
//! | [`tracks`] | which origins there are, and what a referendum of each takes |
//! | [`rules`] | the numbers that a referendum may set, and between what limits |
//! | [`filter`] | the calls that no origin may make, root included |
//! | [`untouched`] | what stays as it is through every upgrade |

pub mod filter;
pub mod rules;
pub mod tracks;
pub mod untouched;

use cairn_primitives::{BlockNumber, H256};
use frame_support::traits::{EnsureOrigin, Get};
pub use pallet::*;
use sp_runtime::DispatchResult;

use tracks::DAY;

/// How long the council's word on a new runtime counts.
pub const ENDORSED_FOR: BlockNumber = 7 * DAY;
/// The most referenda that the council cancels within [`CANCELLED_FOR`].
pub const MOST_CANCELLED: u32 = 8;
/// How long a referendum that the council cancelled counts against [`MOST_CANCELLED`], and how long the council cannot
/// cancel the same proposal again.
pub const CANCELLED_FOR: BlockNumber = 90 * DAY;

/// How many blocks may lie between the session in which finality begins anew and the first vote: long enough for every
/// node to see on which chain that is, and less than a session of few blocks, since no other change of authorities is
/// taken up meanwhile.
pub const RESTART_AFTER: core::ops::RangeInclusive<BlockNumber> = 10..=30;

/// Finality, as this pallet needs it.
pub trait Finality {
    /// Has the authorities of the next session vote from `after` blocks on, whatever those before had voted. Nodes
    /// count their sets of authorities from `set` on; gives whether it may be that one.
    ///
    /// # Errors
    /// It cannot.
    fn restart(
        after: BlockNumber,
        last_final: BlockNumber,
        set: u64,
    ) -> Result<bool, sp_runtime::DispatchError>;
}

/// Referenda, as this pallet needs them.
pub trait Referenda {
    /// On which track a referendum is that is decided or will be enacted, and the hash of what it would do.
    fn subject(index: u32) -> Option<(u16, H256)>;

    /// Ends a referendum that is decided, or takes back what waits to be enacted.
    ///
    /// # Errors
    /// It is neither.
    fn cancel(index: u32) -> DispatchResult;
}

/// The origin of one track.
pub struct Track<const ID: u16>;

impl<const ID: u16, O> EnsureOrigin<O> for Track<ID>
where
    O: Into<Result<Origin, O>> + From<Origin>,
{
    type Success = ();

    fn try_origin(origin: O) -> Result<(), O> {
        origin.into().and_then(|origin| match origin.id() == ID {
            true => Ok(()),
            false => Err(O::from(origin)),
        })
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn try_successful_origin() -> Result<O, ()> {
        Origin::of(ID).map(O::from).ok_or(())
    }
}

/// What of a delay is left on this chain: the whole of it, unless the chain is for development.
pub fn paced<T: Config>(blocks: BlockNumber) -> BlockNumber {
    let hurry = Hurry::<T>::get().max(1);
    blocks.checked_div(hurry).unwrap_or(blocks).max(1)
}

/// A number of days, as a `Get` of blocks.
pub struct Days<T, const N: u32>(core::marker::PhantomData<T>);

impl<T: Config, const N: u32> Get<BlockNumber> for Days<T, N> {
    fn get() -> BlockNumber {
        paced::<T>(DAY.saturating_mul(N))
    }
}

/// Storage, calls, events and errors.
#[frame_support::pallet]
pub mod pallet {
    use cairn_primitives::BlockNumber;
    use frame_support::{pallet_prelude::*, traits::StorageVersion};
    use frame_system::{pallet_prelude::*, WeightInfo as _};

    use super::{
        rules::{Rule, Rules},
        tracks, untouched, Finality, Referenda, CANCELLED_FOR, ENDORSED_FOR, MOST_CANCELLED,
        RESTART_AFTER,
    };

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    /// What the pallet is given.
    #[pallet::config]
    pub trait Config: frame_system::Config<Hash = cairn_primitives::H256> {
        /// Two thirds of the council.
        type Council: EnsureOrigin<Self::RuntimeOrigin>;
        /// A referendum on [`tracks::RULES`].
        type SetsRules: EnsureOrigin<Self::RuntimeOrigin>;
        /// A referendum on [`tracks::UPGRADE`].
        type Upgrades: EnsureOrigin<Self::RuntimeOrigin>;
        /// A referendum on [`tracks::REPAIR`].
        type Repairs: EnsureOrigin<Self::RuntimeOrigin>;
        /// A referendum on [`tracks::CANCEL`].
        type Cancels: EnsureOrigin<Self::RuntimeOrigin>;
        /// The referenda.
        type Referenda: Referenda;
        /// Finality.
        type Finality: Finality;
        /// Whether somebody has the sudo key.
        type HasSudo: Get<bool>;
        /// Tasks that wait in the scheduler as root, and are not the referenda's own alarms.
        type RootWaits: Get<bool>;
    }

    /// The pallet.
    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    /// As what a referendum enacts: the origin of its track.
    #[pallet::origin]
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
    pub enum Origin {
        /// Decides which runs emit.
        Emission,
        /// Sets the numbers in [`Rules`].
        Rules,
        /// Fills the council's seats.
        Council,
        /// Authorises a new runtime.
        Upgrade,
        /// Authorises soon a new runtime that the council endorsed.
        Repair,
        /// Ends referenda, and takes back what they enact.
        Cancel,
        /// Adds and removes authorities.
        Authorities,
    }

    impl Origin {
        /// All of them, by the number of their track.
        pub const ALL: [Origin; 7] = [
            Origin::Emission,
            Origin::Rules,
            Origin::Council,
            Origin::Upgrade,
            Origin::Repair,
            Origin::Cancel,
            Origin::Authorities,
        ];

        /// The number of its track.
        pub fn id(self) -> u16 {
            self as u16
        }

        /// The origin of a track.
        pub fn of(id: u16) -> Option<Origin> {
            Origin::ALL.get(usize::from(id)).copied()
        }
    }

    /// Whether the chain is for development: somebody may have the sudo key.
    #[pallet::storage]
    pub type Development<T> = StorageValue<_, bool, ValueQuery>;

    /// By what delays are divided. More than 1 only on a chain for development.
    #[pallet::storage]
    pub type Hurry<T> = StorageValue<_, u32, ValueQuery>;

    /// The numbers that referenda set.
    #[pallet::storage]
    pub type CurrentRules<T> = StorageValue<_, Rules, ValueQuery>;

    /// The hash of the runtime that the council endorsed last, and when.
    #[pallet::storage]
    pub type Endorsed<T: Config> = StorageValue<_, (T::Hash, BlockNumberFor<T>)>;

    /// What the council cancelled, by the hash of what it would have done, and when.
    #[pallet::storage]
    pub type Cancelled<T: Config> = StorageValue<
        _,
        BoundedBTreeMap<T::Hash, BlockNumberFor<T>, ConstU32<MOST_CANCELLED>>,
        ValueQuery,
    >;

    /// The hash of what no upgrade changes, as genesis had it: [`untouched::constants`].
    #[pallet::storage]
    pub type Constants<T: Config> = StorageValue<_, T::Hash, ValueQuery>;

    /// What kind of chain it is.
    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// Whether the chain is for development. Only there may genesis name a sudo key, or hurry.
        pub development: bool,
        /// By what delays are divided; 0 is 1.
        pub hurry: u32,
        #[serde(skip)]
        #[allow(missing_docs)]
        pub _marker: core::marker::PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            assert!(
                self.development || !T::HasSudo::get(),
                "only a chain for development has a sudo key: leave `sudo.key` out, or set `governance.development`"
            );
            assert!(
                self.development || self.hurry <= 1,
                "only a chain for development hurries: leave `governance.hurry` out, or set `governance.development`"
            );
            Development::<T>::put(self.development);
            Hurry::<T>::put(self.hurry.max(1));
            Constants::<T>::put(untouched::constants());
        }
    }

    /// What happened.
    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A number was set.
        RuleSet {
            /// Which, and to what.
            rule: Rule,
        },
        /// The council endorsed a new runtime.
        UpgradeEndorsed {
            /// The hash of its code.
            code_hash: T::Hash,
        },
        /// A referendum, or what it would have enacted, was cancelled.
        Cancelled {
            /// Which.
            index: u32,
            /// Whether by the council, or else by stake.
            by_council: bool,
        },
        /// The authorities of the next session make blocks final without those before.
        FinalityRestarted {
            /// Blocks of that session after which they begin.
            after: BlockNumber,
            /// The block that all nodes have as final.
            last_final: BlockNumber,
        },
    }

    /// Why not.
    #[pallet::error]
    pub enum Error<T> {
        /// The number is outside of its limits: `docs/governance.md` lists them.
        RuleOutOfRange,
        /// The council has not endorsed this runtime, or too long ago.
        NotEndorsed,
        /// No such referendum is decided or waits to be enacted.
        NothingToCancel,
        /// The council cannot cancel referenda on its own seats, nor those that cancel.
        NotForTheCouncil,
        /// The council has cancelled this proposal before.
        CancelledBefore,
        /// The council has cancelled as many referenda as it may in this time.
        TooManyCancelled,
        /// The blocks to wait are fewer or more than [`RESTART_AFTER`], or the last final block or the set of
        /// authorities is one to come.
        RestartOutOfRange,
    }

    #[pallet::call]
    impl<T: Config> Pallet<T>
    where
        BlockNumberFor<T>: From<BlockNumber>,
    {
        /// Sets one of the [`Rules`].
        ///
        /// # Errors
        /// `BadOrigin` for all but a referendum on rules, [`Error::RuleOutOfRange`]. Emits [`Event::RuleSet`].
        #[pallet::call_index(0)]
        #[pallet::weight(T::DbWeight::get().reads_writes(1, 1))]
        pub fn set_rule(origin: OriginFor<T>, rule: Rule) -> DispatchResult {
            T::SetsRules::ensure_origin(origin)?;
            ensure!(rule.is_allowed(), Error::<T>::RuleOutOfRange);
            CurrentRules::<T>::mutate(|rules| rules.set(rule));
            Self::deposit_event(Event::RuleSet { rule });
            Ok(())
        }

        /// Authorises a new runtime. Anybody may then bring its code, by `System::apply_authorized_upgrade` without a
        /// signature; it has to have the same name and a higher version.
        ///
        /// # Errors
        /// `BadOrigin` for all but a referendum on upgrades or repairs, [`Error::NotEndorsed`] for a repair without the
        /// council. The system pallet emits its `UpgradeAuthorized`.
        #[pallet::call_index(1)]
        #[pallet::weight(T::SystemWeightInfo::authorize_upgrade().saturating_add(T::DbWeight::get().reads(1)))]
        pub fn authorize_upgrade(origin: OriginFor<T>, code_hash: T::Hash) -> DispatchResult {
            if T::Upgrades::ensure_origin(origin.clone()).is_err() {
                T::Repairs::ensure_origin(origin)?;
                ensure!(Self::is_endorsed(code_hash), Error::<T>::NotEndorsed);
            }
            frame_system::Pallet::<T>::do_authorize_upgrade(code_hash, true);
            Ok(())
        }

        /// Says that a new runtime should not wait for the usual delays: a referendum on repairs may authorise it
        /// within the next [`ENDORSED_FOR`] blocks. It takes the place of what was endorsed before.
        ///
        /// # Errors
        /// `BadOrigin` for all but two thirds of the council. Emits [`Event::UpgradeEndorsed`].
        #[pallet::call_index(2)]
        #[pallet::weight(T::DbWeight::get().writes(1))]
        pub fn endorse_upgrade(origin: OriginFor<T>, code_hash: T::Hash) -> DispatchResult {
            T::Council::ensure_origin(origin)?;
            Endorsed::<T>::put((code_hash, frame_system::Pallet::<T>::block_number()));
            Self::deposit_event(Event::UpgradeEndorsed { code_hash });
            Ok(())
        }

        /// Ends a referendum, or takes back what it would enact.
        ///
        /// A referendum that cancels may do so always. The council may not for its own seats and not for what cancels,
        /// once for the same proposal, and for [`MOST_CANCELLED`] referenda within [`CANCELLED_FOR`] blocks.
        ///
        /// # Errors
        /// `BadOrigin` for all others, and the pallet's errors but the first two. Emits [`Event::Cancelled`].
        #[pallet::call_index(3)]
        #[pallet::weight(
            <() as pallet_referenda::WeightInfo>::cancel()
                .saturating_add(<() as pallet_scheduler::WeightInfo>::cancel_named(64))
                .saturating_add(T::DbWeight::get().reads_writes(5, 1))
        )]
        pub fn cancel(origin: OriginFor<T>, index: u32) -> DispatchResult {
            let by_council = T::Cancels::ensure_origin(origin.clone()).is_err();
            let subject = T::Referenda::subject(index);
            if by_council {
                T::Council::ensure_origin(origin)?;
            }
            let (track, proposal) = subject.ok_or(Error::<T>::NothingToCancel)?;
            if by_council {
                Self::spend_cancellation(track, proposal)?;
            }
            T::Referenda::cancel(index)?;
            Self::deposit_event(Event::Cancelled { index, by_council });
            Ok(())
        }

        /// Has finality begin anew where so many authorities are lost that no block becomes final, and so no change of
        /// authorities: those of the next session vote, `after` blocks from its beginning on. `last_final` is the
        /// newest block that is final at all of their nodes, and `set` the number of the set of authorities that votes
        /// there: nodes never took up what was changed behind that block, and go on counting from it.
        ///
        /// # Errors
        /// `BadOrigin` for all but a referendum on repairs, [`Error::RestartOutOfRange`]. Emits
        /// [`Event::FinalityRestarted`].
        #[pallet::call_index(4)]
        #[pallet::weight(T::DbWeight::get().reads_writes(2, 2))]
        pub fn restart_finality(
            origin: OriginFor<T>,
            after: BlockNumber,
            last_final: BlockNumber,
            set: u64,
        ) -> DispatchResult {
            T::Repairs::ensure_origin(origin)?;
            let now = frame_system::Pallet::<T>::block_number();
            let is_in_range =
                RESTART_AFTER.contains(&after) && BlockNumberFor::<T>::from(last_final) < now;
            ensure!(is_in_range, Error::<T>::RestartOutOfRange);
            let is_known = T::Finality::restart(after, last_final, set)?;
            ensure!(is_known, Error::<T>::RestartOutOfRange);
            Self::deposit_event(Event::FinalityRestarted { after, last_final });
            Ok(())
        }
    }

    impl<T: Config> Pallet<T>
    where
        BlockNumberFor<T>: From<BlockNumber>,
    {
        /// Whether less than `blocks` have passed since `block`.
        fn is_within(block: BlockNumberFor<T>, blocks: BlockNumber) -> bool {
            let now = frame_system::Pallet::<T>::block_number();
            let passed = sp_runtime::Saturating::saturating_sub(now, block);
            passed < super::paced::<T>(blocks).into()
        }

        /// Whether the council's word on this code counts now.
        pub fn is_endorsed(code_hash: T::Hash) -> bool {
            Endorsed::<T>::get()
                .is_some_and(|(hash, at)| hash == code_hash && Self::is_within(at, ENDORSED_FOR))
        }

        /// Notes that the council cancels a proposal, if it still may.
        fn spend_cancellation(track: u16, proposal: T::Hash) -> DispatchResult {
            let its_own = [tracks::COUNCIL, tracks::CANCEL];
            ensure!(!its_own.contains(&track), Error::<T>::NotForTheCouncil);
            Cancelled::<T>::try_mutate(|cancelled| {
                cancelled.retain(|_, at| Self::is_within(*at, CANCELLED_FOR));
                ensure!(
                    !cancelled.contains_key(&proposal),
                    Error::<T>::CancelledBefore
                );
                let now = frame_system::Pallet::<T>::block_number();
                let noted = cancelled.try_insert(proposal, now);
                noted.map_err(|_| Error::<T>::TooManyCancelled)?;
                Ok(())
            })
        }

        /// Checks what holds after every block, and after every upgrade:
        ///
        /// - what no upgrade changes is as genesis had it;
        /// - outside of development nobody has the sudo key, nothing hurries, and nothing waits to be done as root;
        /// - every rule is within its limits;
        /// - the council's word and what it cancelled are not of the future.
        pub fn do_try_state() -> Result<(), sp_runtime::TryRuntimeError> {
            ensure!(
                Constants::<T>::get() == untouched::constants(),
                "a constant that no upgrade may change was changed"
            );
            if !Development::<T>::get() {
                ensure!(
                    !T::HasSudo::get(),
                    "there is a sudo key outside of development"
                );
                ensure!(
                    Hurry::<T>::get() <= 1,
                    "the chain hurries outside of development"
                );
                ensure!(!T::RootWaits::get(), "something waits to be done as root");
            }
            ensure!(
                CurrentRules::<T>::get().are_allowed(),
                "a rule is outside of its limits"
            );
            let now = frame_system::Pallet::<T>::block_number();
            let endorsed = Endorsed::<T>::get().map(|(_, at)| at);
            let cancelled = Cancelled::<T>::get();
            let mut times = endorsed.iter().chain(cancelled.values());
            ensure!(
                times.all(|at| *at <= now),
                "the council decided in the future"
            );
            Ok(())
        }
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T>
    where
        BlockNumberFor<T>: From<BlockNumber>,
    {
        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }
}
