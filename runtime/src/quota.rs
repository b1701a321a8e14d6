//! How many free calls a block takes of each subnet, so that none fills with free calls what is kept for all.

use cairn_primitives::traits::Work;
pub use pallet::*;

/// Free calls that a block takes of a subnet that works: of each member one.
pub const OF_WHO_WORKS: u32 = cairn_primitives::MAX_MEMBERS;
/// Free calls that a block takes of any other subnet.
pub const OF_OTHERS: u32 = 64;

/// Counts the free calls of the block.
#[frame_support::pallet]
pub mod pallet {
    use cairn_primitives::Netuid;
    use frame_support::pallet_prelude::*;
    use frame_system::pallet_prelude::*;

    /// The bound is that of the subnets.
    #[pallet::config]
    pub trait Config: frame_system::Config + pallet_subnets::Config {
        /// Which subnets work.
        type Work: cairn_primitives::traits::Work;
    }

    /// The pallet.
    #[pallet::pallet]
    pub struct Pallet<T>(_);

    /// Free calls in this block so far, by subnet. Empty between blocks.
    #[pallet::storage]
    pub type Taken<T: Config> = StorageValue<
        _,
        BoundedBTreeMap<Netuid, u32, <T as pallet_subnets::Config>::MaxSubnets>,
        ValueQuery,
    >;

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_initialize(_: BlockNumberFor<T>) -> Weight {
            // What the end of the block costs.
            T::DbWeight::get().writes(1)
        }

        fn on_finalize(_: BlockNumberFor<T>) {
            Taken::<T>::kill();
        }
    }

    /// The block has as many free calls of the subnet as it takes.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Full;

    impl<T: Config> Pallet<T> {
        /// Takes a place for a free call of a subnet.
        ///
        /// # Errors
        /// [`Full`].
        pub fn take(netuid: Netuid) -> Result<(), Full> {
            let most = super::of::<T>(netuid);
            Taken::<T>::try_mutate(|taken| {
                let places = taken.get(&netuid).copied().unwrap_or(0);
                if places >= most {
                    return Err(Full);
                }
                let more = taken.try_insert(netuid, places.saturating_add(1));
                more.map(|_| ()).map_err(|_| Full)
            })
        }
    }
}

/// How many free calls a block takes of this subnet.
fn of<T: Config>(netuid: cairn_primitives::Netuid) -> u32 {
    match <T as Config>::Work::claims(netuid) {
        true => OF_WHO_WORKS,
        false => OF_OTHERS,
    }
}
