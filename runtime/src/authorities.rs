//! Who makes and finalises blocks: a list that genesis begins and governance changes, by one account in a session.
//!
//! An account has to have registered its session keys before it can be added, and changes them itself, by
//! `Session::set_keys`. A change holds from the session after the next on, which is when BABE and GRANDPA have heard of
//! it. There are never fewer than [`LEAST`], so that one of them can fail; a chain that began with fewer can only grow.
//!
//! Whoever is proven to have made two blocks in one slot, or voted for two in one round, does nothing until the set
//! changes, and is off the list, unless there would be too few: then governance has to find another first.

pub use pallet::*;

/// The fewest authorities that a removal leaves: of four, finality bears one that fails.
pub const LEAST: u32 = 4;

/// Storage, calls, events and errors.
#[frame_support::pallet]
pub mod pallet {
    use alloc::vec::Vec;
    use frame_support::{pallet_prelude::*, traits::StorageVersion};
    use frame_system::pallet_prelude::*;
    use pallet_session::{historical, SessionManager};
    use sp_runtime::Perbill;
    use sp_staking::offence::{OffenceDetails, OffenceSeverity, OnOffenceHandler};

    use super::LEAST;

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    /// What the pallet is given.
    #[pallet::config]
    pub trait Config:
        frame_system::Config
        + pallet_session::Config<ValidatorId = <Self as frame_system::Config>::AccountId>
        + historical::Config<FullIdentification = ()>
    {
        /// Who changes the list.
        type Governs: EnsureOrigin<Self::RuntimeOrigin>;
        /// The most authorities.
        type Most: Get<u32>;
        /// How many sessions back an authority's keys can be proven to be its own.
        type KeptSessions: Get<u64>;
    }

    /// The pallet.
    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    /// The authorities, as they shall be, ascending.
    #[pallet::storage]
    pub type Authorities<T: Config> =
        StorageValue<_, BoundedVec<T::AccountId, <T as Config>::Most>, ValueQuery>;

    /// The session in which the list was changed last.
    #[pallet::storage]
    pub type ChangedIn<T> = StorageValue<_, u32>;

    /// Whether the list was changed since sessions heard of it.
    #[pallet::storage]
    pub type IsNew<T> = StorageValue<_, bool, ValueQuery>;

    /// Nothing to choose: the list begins with those that the session pallet's genesis names.
    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        #[serde(skip)]
        #[allow(missing_docs)]
        pub _marker: core::marker::PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            let mut first = pallet_session::Validators::<T>::get();
            first.sort();
            first.dedup();
            let list = BoundedVec::try_from(first);
            assert!(
                list.is_ok(),
                "the session's genesis names too many authorities"
            );
            Authorities::<T>::put(list.unwrap_or_default());
            // So that the next session has a root by which keys are proven.
            IsNew::<T>::put(true);
        }
    }

    /// What happened.
    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// An account will be an authority.
        Added {
            /// Which.
            authority: T::AccountId,
        },
        /// An account will be none any more.
        Removed {
            /// Which.
            authority: T::AccountId,
        },
        /// An authority was proven to have equivocated. It does nothing until the set changes.
        Equivocated {
            /// Which.
            authority: T::AccountId,
            /// Whether it is off the list.
            removed: bool,
        },
    }

    /// Why not.
    #[pallet::error]
    pub enum Error<T> {
        /// It is an authority already.
        IsOne,
        /// It is no authority.
        IsNone,
        /// It has registered no session keys: it does so by `Session::set_keys`.
        NoKeys,
        /// There are as many as there can be.
        TooMany,
        /// There would be too few.
        TooFew,
        /// The list was changed in this session: it can be in the next.
        ChangedThisSession,
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Makes an account an authority.
        ///
        /// # Errors
        /// `BadOrigin` for who does not govern, and the pallet's errors. Emits [`Event::Added`].
        #[pallet::call_index(0)]
        #[pallet::weight(T::DbWeight::get().reads_writes(5, 3))]
        pub fn add(origin: OriginFor<T>, authority: T::AccountId) -> DispatchResult {
            T::Governs::ensure_origin(origin)?;
            ensure!(
                pallet_session::NextKeys::<T>::contains_key(&authority),
                Error::<T>::NoKeys
            );
            Self::change(|list| {
                let place = list
                    .binary_search(&authority)
                    .err()
                    .ok_or(Error::<T>::IsOne)?;
                let added = list.try_insert(place, authority.clone());
                added.map_err(|_| Error::<T>::TooMany)
            })?;
            Self::deposit_event(Event::Added { authority });
            Ok(())
        }

        /// Makes an account an authority no longer.
        ///
        /// # Errors
        /// `BadOrigin` for who does not govern, and the pallet's errors. Emits [`Event::Removed`].
        #[pallet::call_index(1)]
        #[pallet::weight(T::DbWeight::get().reads_writes(5, 3))]
        pub fn remove(origin: OriginFor<T>, authority: T::AccountId) -> DispatchResult {
            T::Governs::ensure_origin(origin)?;
            Self::change(|list| {
                let place = list
                    .binary_search(&authority)
                    .map_err(|_| Error::<T>::IsNone)?;
                let left = u32::try_from(list.len()).unwrap_or(u32::MAX);
                ensure!(left > LEAST, Error::<T>::TooFew);
                list.remove(place);
                Ok(())
            })?;
            Self::deposit_event(Event::Removed { authority });
            Ok(())
        }
    }

    impl<T: Config> Pallet<T> {
        /// Changes the list, once in a session.
        fn change(
            by: impl FnOnce(&mut BoundedVec<T::AccountId, <T as Config>::Most>) -> Result<(), Error<T>>,
        ) -> DispatchResult {
            let session = pallet_session::CurrentIndex::<T>::get();
            ensure!(
                ChangedIn::<T>::get() != Some(session),
                Error::<T>::ChangedThisSession
            );
            Authorities::<T>::try_mutate(by)?;
            ChangedIn::<T>::put(session);
            IsNew::<T>::put(true);
            Ok(())
        }

        /// Checks what holds after every block: the list is ascending, nobody is in it twice, it is not empty, and
        /// who is in it has keys; it was not changed in a session to come.
        pub fn do_try_state() -> Result<(), sp_runtime::TryRuntimeError> {
            let list = Authorities::<T>::get();
            ensure!(!list.is_empty(), "there is no authority");
            ensure!(
                list.windows(2).all(|pair| pair[0] < pair[1]),
                "the authorities are not ascending"
            );
            let session = pallet_session::CurrentIndex::<T>::get();
            ensure!(
                ChangedIn::<T>::get().is_none_or(|changed| changed <= session),
                "the authorities were changed in the future"
            );
            ensure!(
                list.iter().all(pallet_session::NextKeys::<T>::contains_key),
                "an authority has no keys"
            );
            Ok(())
        }
    }

    impl<T: Config> Pallet<T> {
        /// Takes an authority off the list that was proven to have equivocated, if that leaves enough.
        fn expel(authority: &T::AccountId) -> bool {
            let removed = Authorities::<T>::mutate(|list| {
                let left = u32::try_from(list.len()).unwrap_or(u32::MAX);
                let place = list.binary_search(authority).ok();
                match place.filter(|_| left > LEAST) {
                    Some(place) => {
                        list.remove(place);
                        true
                    }
                    None => false,
                }
            });
            if removed {
                IsNew::<T>::put(true);
            }
            removed
        }
    }

    impl<T: Config> OnOffenceHandler<T::AccountId, historical::IdentificationTuple<T>, Weight>
        for Pallet<T>
    {
        fn on_offence(
            offenders: &[OffenceDetails<T::AccountId, historical::IdentificationTuple<T>>],
            _: &[Perbill],
            _: u32,
        ) -> Weight {
            let mut weight = Weight::zero();
            for offence in offenders {
                let (authority, ()) = offence.offender.clone();
                let removed = Self::expel(&authority);
                let worst = OffenceSeverity::max_severity();
                pallet_session::Pallet::<T>::report_offence(authority.clone(), worst);
                Self::deposit_event(Event::Equivocated { authority, removed });
                weight.saturating_accrue(T::DbWeight::get().reads_writes(4, 3));
            }
            weight
        }
    }

    impl<T: Config> historical::SessionManager<T::AccountId, ()> for Pallet<T> {
        fn new_session(index: u32) -> Option<Vec<(T::AccountId, ())>> {
            let list = <Self as SessionManager<_>>::new_session(index)?;
            Some(list.into_iter().map(|authority| (authority, ())).collect())
        }

        fn start_session(index: u32) {
            let kept = u32::try_from(T::KeptSessions::get()).unwrap_or(u32::MAX);
            historical::Pallet::<T>::prune_up_to(index.saturating_sub(kept));
        }

        fn end_session(_: u32) {}
    }

    impl<T: Config> SessionManager<T::AccountId> for Pallet<T> {
        // Only what is new: each answer makes GRANDPA change its set.
        fn new_session(_: u32) -> Option<Vec<T::AccountId>> {
            IsNew::<T>::take().then(|| Authorities::<T>::get().into_inner())
        }

        fn end_session(_: u32) {}

        fn start_session(_: u32) {}
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }
}
