//! What `pallet_stake` weighs: measured, so do not edit. `make weights` writes this file.
//!
//! Measured in WASM on AMD EPYC: 12 sizes of each component, 10 runs of each.
//! Times are picoseconds and hold the reads from an in-memory trie; what the database costs is added by
//! `DbWeight`.

use core::marker::PhantomData;

use frame_support::{
    traits::Get,
    weights::{constants::ParityDbWeight, Weight},
};

/// What calls and the parts of hooks weigh.
pub trait WeightInfo {
    /// `add_stake`.
    fn add_stake() -> Weight;
    /// `remove_stake`.
    fn remove_stake() -> Weight;
    /// `add_bond`.
    fn add_bond() -> Weight;
    /// `unbond`.
    fn unbond() -> Weight;
    /// `withdraw_bond`.
    fn withdraw_bond() -> Weight;
    /// `withdraw_stake`, `e` from 1 to 8.
    fn withdraw_stake(e: u32) -> Weight;
    /// `move_stake`.
    fn move_stake() -> Weight;
    /// `transfer_stake`.
    fn transfer_stake() -> Weight;
    /// `set_take`.
    fn set_take() -> Weight;
    /// `set_foreign_stake`.
    fn set_foreign_stake() -> Weight;
    /// `sweep`, `p` from 0 to 16.
    fn sweep(p: u32) -> Weight;
}

/// Priced by the runtime's database.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn add_stake() -> Weight {
        // The fastest run took 119_878_000 ps; who may stake there is counted on top.
        Weight::from_parts(126_061_000, 844).saturating_add(T::DbWeight::get().reads_writes(11, 6))
    }

    fn remove_stake() -> Weight {
        // The fastest run took 85_096_000 ps.
        Weight::from_parts(89_683_000, 985).saturating_add(T::DbWeight::get().reads_writes(7, 7))
    }

    fn add_bond() -> Weight {
        // The fastest run took 87_409_000 ps.
        Weight::from_parts(90_074_000, 487).saturating_add(T::DbWeight::get().reads_writes(8, 4))
    }

    fn unbond() -> Weight {
        // The fastest run took 47_851_000 ps.
        Weight::from_parts(48_643_000, 545).saturating_add(T::DbWeight::get().reads_writes(5, 3))
    }

    fn withdraw_bond() -> Weight {
        // The fastest run took 81_200_000 ps.
        Weight::from_parts(83_113_000, 516).saturating_add(T::DbWeight::get().reads_writes(5, 4))
    }

    fn withdraw_stake(e: u32) -> Weight {
        // The fastest run took 133_407_000 ps; who may stake there is counted on top.
        Weight::from_parts(68_001_922, 806)
            .saturating_add(T::DbWeight::get().reads_writes(8, 6))
            .saturating_add(Weight::from_parts(71_777_063, 195).saturating_mul(e.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(6, 3)
                    .saturating_mul(e.into()),
            )
    }

    fn move_stake() -> Weight {
        // The fastest run took 107_379_000 ps; who may stake there is counted on top.
        Weight::from_parts(115_716_000, 1_225)
            .saturating_add(T::DbWeight::get().reads_writes(12, 7))
    }

    fn transfer_stake() -> Weight {
        // The fastest run took 87_830_000 ps.
        Weight::from_parts(89_122_000, 596).saturating_add(T::DbWeight::get().reads_writes(6, 4))
    }

    fn set_take() -> Weight {
        // The fastest run took 28_082_000 ps.
        Weight::from_parts(28_623_000, 344).saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }

    fn set_foreign_stake() -> Weight {
        // As `set_take`, which reads and writes as much.
        Weight::from_parts(28_623_000, 344).saturating_add(T::DbWeight::get().reads_writes(2, 1))
    }

    fn sweep(p: u32) -> Weight {
        // The fastest run took 34_592_000 ps.
        Weight::from_parts(42_469_894, 263)
            .saturating_add(T::DbWeight::get().reads_writes(5, 1))
            .saturating_add(Weight::from_parts(35_061_557, 195).saturating_mul(p.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(2, 2)
                    .saturating_mul(p.into()),
            )
    }
}

/// Priced by ParityDB, for tests.
impl WeightInfo for () {
    fn add_stake() -> Weight {
        // The fastest run took 119_878_000 ps; who may stake there is counted on top.
        Weight::from_parts(126_061_000, 844)
            .saturating_add(ParityDbWeight::get().reads_writes(11, 6))
    }

    fn remove_stake() -> Weight {
        // The fastest run took 85_096_000 ps.
        Weight::from_parts(89_683_000, 985).saturating_add(ParityDbWeight::get().reads_writes(7, 7))
    }

    fn add_bond() -> Weight {
        // The fastest run took 87_409_000 ps.
        Weight::from_parts(90_074_000, 487).saturating_add(ParityDbWeight::get().reads_writes(8, 4))
    }

    fn unbond() -> Weight {
        // The fastest run took 47_851_000 ps.
        Weight::from_parts(48_643_000, 545).saturating_add(ParityDbWeight::get().reads_writes(5, 3))
    }

    fn withdraw_bond() -> Weight {
        // The fastest run took 81_200_000 ps.
        Weight::from_parts(83_113_000, 516).saturating_add(ParityDbWeight::get().reads_writes(5, 4))
    }

    fn withdraw_stake(e: u32) -> Weight {
        // The fastest run took 133_407_000 ps; who may stake there is counted on top.
        Weight::from_parts(68_001_922, 806)
            .saturating_add(ParityDbWeight::get().reads_writes(8, 6))
            .saturating_add(Weight::from_parts(71_777_063, 195).saturating_mul(e.into()))
            .saturating_add(
                ParityDbWeight::get()
                    .reads_writes(6, 3)
                    .saturating_mul(e.into()),
            )
    }

    fn move_stake() -> Weight {
        // The fastest run took 107_379_000 ps; who may stake there is counted on top.
        Weight::from_parts(115_716_000, 1_225)
            .saturating_add(ParityDbWeight::get().reads_writes(12, 7))
    }

    fn transfer_stake() -> Weight {
        // The fastest run took 87_830_000 ps.
        Weight::from_parts(89_122_000, 596).saturating_add(ParityDbWeight::get().reads_writes(6, 4))
    }

    fn set_take() -> Weight {
        // The fastest run took 28_082_000 ps.
        Weight::from_parts(28_623_000, 344).saturating_add(ParityDbWeight::get().reads_writes(2, 1))
    }

    fn set_foreign_stake() -> Weight {
        // As `set_take`, which reads and writes as much.
        Weight::from_parts(28_623_000, 344).saturating_add(ParityDbWeight::get().reads_writes(2, 1))
    }

    fn sweep(p: u32) -> Weight {
        // The fastest run took 34_592_000 ps.
        Weight::from_parts(42_469_894, 263)
            .saturating_add(ParityDbWeight::get().reads_writes(5, 1))
            .saturating_add(Weight::from_parts(35_061_557, 195).saturating_mul(p.into()))
            .saturating_add(
                ParityDbWeight::get()
                    .reads_writes(2, 2)
                    .saturating_mul(p.into()),
            )
    }
}
