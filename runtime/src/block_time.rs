//! How long a block takes: chosen at genesis, so that one runtime serves a development chain with a block
//! every two seconds and a network with one every six.

pub use pallet::*;

/// Keeps the length of a block.
#[frame_support::pallet]
pub mod pallet {
    use frame_support::pallet_prelude::*;

    /// Nothing to configure.
    #[pallet::config]
    pub trait Config: frame_system::Config {}

    /// The pallet.
    #[pallet::pallet]
    pub struct Pallet<T>(_);

    /// Milliseconds that a block takes where genesis says nothing else.
    #[pallet::type_value]
    pub fn SixSeconds() -> u64 {
        6_000
    }

    /// Milliseconds from one block to the next. Never changes after genesis: BABE's slots depend on it.
    #[pallet::storage]
    pub type Milliseconds<T> = StorageValue<_, u64, ValueQuery, SixSeconds>;

    /// The choice.
    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// Milliseconds from one block to the next; 0 means the usual six seconds.
        pub milliseconds: u64,
        #[serde(skip)]
        #[allow(missing_docs)]
        pub _marker: core::marker::PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            if self.milliseconds != 0 {
                Milliseconds::<T>::put(self.milliseconds);
            }
        }
    }

    /// Milliseconds from one block to the next, as a `Get`.
    pub struct Length<T>(core::marker::PhantomData<T>);

    impl<T: Config> Get<u64> for Length<T> {
        fn get() -> u64 {
            Milliseconds::<T>::get()
        }
    }

    /// Half of it, which is what the timestamp pallet calls the minimum period.
    pub struct HalfLength<T>(core::marker::PhantomData<T>);

    impl<T: Config> Get<u64> for HalfLength<T> {
        fn get() -> u64 {
            Milliseconds::<T>::get() / 2
        }
    }
}
