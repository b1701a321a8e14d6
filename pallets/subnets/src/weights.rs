//! What `pallet_subnets` weighs: measured, so do not edit. `make weights` writes this file.
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
    /// `create_subnet`.
    fn create_subnet() -> Weight;
    /// `set_hyperparameters`.
    fn set_hyperparameters() -> Weight;
    /// `withdraw_hyperparameters`.
    fn withdraw_hyperparameters() -> Weight;
    /// `set_role`.
    fn set_role() -> Weight;
    /// `register`, `m` from 1 to 256.
    fn register(m: u32) -> Weight;
    /// `announce_swap`.
    fn announce_swap() -> Weight;
    /// `cancel_swap`.
    fn cancel_swap() -> Weight;
    /// `finish_swap`.
    fn finish_swap() -> Weight;
    /// `leave`.
    fn leave() -> Weight;
    /// `dissolve_subnet`.
    fn dissolve_subnet() -> Weight;
    /// `look_for_dissolving`, `s` from 0 to 128.
    fn look_for_dissolving(s: u32) -> Weight;
    /// `dissolve`, `i` from 1 to 64.
    fn dissolve(i: u32) -> Weight;
}

/// Priced by the runtime's database.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn create_subnet() -> Weight {
        // The fastest run took 70_535_000 ps.
        Weight::from_parts(72_697_000, 39).saturating_add(T::DbWeight::get().reads_writes(8, 9))
    }

    fn set_hyperparameters() -> Weight {
        // The fastest run took 45_288_000 ps.
        Weight::from_parts(57_149_000, 617).saturating_add(T::DbWeight::get().reads_writes(9, 4))
    }

    fn withdraw_hyperparameters() -> Weight {
        // As `set_hyperparameters`, of which it does a part.
        Weight::from_parts(57_149_000, 617).saturating_add(T::DbWeight::get().reads_writes(6, 3))
    }

    fn set_role() -> Weight {
        // As `set_hyperparameters`, which does as much and more.
        Weight::from_parts(57_149_000, 617).saturating_add(T::DbWeight::get().reads_writes(7, 2))
    }

    fn register(m: u32) -> Weight {
        // The fastest run took 248_097_000 ps.
        // Of it 70_000_000 ps for the hotkey's signature.
        Weight::from_parts(284_626_722, 3_260)
            .saturating_add(T::DbWeight::get().reads_writes(18, 21))
            .saturating_add(Weight::from_parts(18_053_743, 188).saturating_mul(m.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(2, 0)
                    .saturating_mul(m.into()),
            )
    }

    fn announce_swap() -> Weight {
        // As `set_role` and the hotkey's signature.
        Weight::from_parts(137_149_000, 817).saturating_add(T::DbWeight::get().reads_writes(9, 2))
    }

    fn cancel_swap() -> Weight {
        // As `set_role`, which reads and writes as much.
        Weight::from_parts(57_149_000, 617).saturating_add(T::DbWeight::get().reads_writes(7, 2))
    }

    fn finish_swap() -> Weight {
        // As `leave`, and the keys of the new hotkey.
        Weight::from_parts(325_904_000, 16_811)
            .saturating_add(T::DbWeight::get().reads_writes(20, 22))
    }

    fn leave() -> Weight {
        // The fastest run took 270_991_000 ps.
        Weight::from_parts(285_904_000, 16_011)
            .saturating_add(T::DbWeight::get().reads_writes(13, 15))
    }

    fn dissolve_subnet() -> Weight {
        // The fastest run took 2_500_897_000 ps.
        Weight::from_parts(2_555_388_000, 12_783)
            .saturating_add(T::DbWeight::get().reads_writes(263, 10))
    }

    fn look_for_dissolving(s: u32) -> Weight {
        // The fastest run took 3_245_000 ps.
        Weight::from_parts(3_375_000, 8)
            .saturating_add(T::DbWeight::get().reads_writes(1, 0))
            .saturating_add(Weight::from_parts(7_275_767, 18).saturating_mul(s.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(1, 0)
                    .saturating_mul(s.into()),
            )
    }

    fn dissolve(i: u32) -> Weight {
        // The fastest run took 184_433_000 ps.
        Weight::from_parts(113_615_059, 261)
            .saturating_add(T::DbWeight::get().reads_writes(18, 3))
            .saturating_add(Weight::from_parts(67_269_926, 164).saturating_mul(i.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(3, 8)
                    .saturating_mul(i.into()),
            )
    }
}

/// Priced by ParityDB, for tests.
impl WeightInfo for () {
    fn create_subnet() -> Weight {
        // The fastest run took 70_535_000 ps.
        Weight::from_parts(72_697_000, 39).saturating_add(ParityDbWeight::get().reads_writes(8, 9))
    }

    fn set_hyperparameters() -> Weight {
        // The fastest run took 45_288_000 ps.
        Weight::from_parts(57_149_000, 617).saturating_add(ParityDbWeight::get().reads_writes(9, 4))
    }

    fn withdraw_hyperparameters() -> Weight {
        // As `set_hyperparameters`, of which it does a part.
        Weight::from_parts(57_149_000, 617).saturating_add(ParityDbWeight::get().reads_writes(6, 3))
    }

    fn set_role() -> Weight {
        // As `set_hyperparameters`, which does as much and more.
        Weight::from_parts(57_149_000, 617).saturating_add(ParityDbWeight::get().reads_writes(7, 2))
    }

    fn register(m: u32) -> Weight {
        // The fastest run took 248_097_000 ps.
        // Of it 70_000_000 ps for the hotkey's signature.
        Weight::from_parts(284_626_722, 3_260)
            .saturating_add(ParityDbWeight::get().reads_writes(18, 21))
            .saturating_add(Weight::from_parts(18_053_743, 188).saturating_mul(m.into()))
            .saturating_add(
                ParityDbWeight::get()
                    .reads_writes(2, 0)
                    .saturating_mul(m.into()),
            )
    }

    fn announce_swap() -> Weight {
        // As `set_role` and the hotkey's signature.
        Weight::from_parts(137_149_000, 817)
            .saturating_add(ParityDbWeight::get().reads_writes(9, 2))
    }

    fn cancel_swap() -> Weight {
        // As `set_role`, which reads and writes as much.
        Weight::from_parts(57_149_000, 617).saturating_add(ParityDbWeight::get().reads_writes(7, 2))
    }

    fn finish_swap() -> Weight {
        // As `leave`, and the keys of the new hotkey.
        Weight::from_parts(325_904_000, 16_811)
            .saturating_add(ParityDbWeight::get().reads_writes(20, 22))
    }

    fn leave() -> Weight {
        // The fastest run took 270_991_000 ps.
        Weight::from_parts(285_904_000, 16_011)
            .saturating_add(ParityDbWeight::get().reads_writes(13, 15))
    }

    fn dissolve_subnet() -> Weight {
        // The fastest run took 2_500_897_000 ps.
        Weight::from_parts(2_555_388_000, 12_783)
            .saturating_add(ParityDbWeight::get().reads_writes(263, 10))
    }

    fn look_for_dissolving(s: u32) -> Weight {
        // The fastest run took 3_245_000 ps.
        Weight::from_parts(3_375_000, 8)
            .saturating_add(ParityDbWeight::get().reads_writes(1, 0))
            .saturating_add(Weight::from_parts(7_275_767, 18).saturating_mul(s.into()))
            .saturating_add(
                ParityDbWeight::get()
                    .reads_writes(1, 0)
                    .saturating_mul(s.into()),
            )
    }

    fn dissolve(i: u32) -> Weight {
        // The fastest run took 184_433_000 ps.
        Weight::from_parts(113_615_059, 261)
            .saturating_add(ParityDbWeight::get().reads_writes(18, 3))
            .saturating_add(Weight::from_parts(67_269_926, 164).saturating_mul(i.into()))
            .saturating_add(
                ParityDbWeight::get()
                    .reads_writes(3, 8)
                    .saturating_mul(i.into()),
            )
    }
}
