//! What `pallet_emissions` weighs: measured, so do not edit. `make weights` writes this file.
//!
//! Measured in WASM on AMD EPYC: 12 sizes of each component, 10 runs of each.
//! What the record of work adds to `accrue` and `epoch`, and what a file of evidence beside a row of scores adds to
//! `reveal_scores` and `epoch`, is estimated until the next measurement, and more than needed.
//! Times are picoseconds and hold the reads from an in-memory trie; what the database costs is added by
//! `DbWeight`.

use core::marker::PhantomData;

use frame_support::{
    traits::Get,
    weights::{constants::ParityDbWeight, Weight},
};

/// What calls and the parts of hooks weigh.
pub trait WeightInfo {
    /// `set_scores`, `c` from 1 to 255.
    fn set_scores(c: u32) -> Weight;
    /// `commit_scores`.
    fn commit_scores() -> Weight;
    /// `reveal_scores`, `c` from 1 to 255.
    fn reveal_scores(c: u32) -> Weight;
    /// `set_emitting`.
    fn set_emitting() -> Weight;
    /// `accrue`, `s` from 1 to 64.
    fn accrue(s: u32) -> Weight;
    /// `epoch`, `m` from 64 to 256 and `c` from 0 to 7938.
    fn epoch(m: u32, c: u32) -> Weight;
}

/// Priced by the runtime's database.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn set_scores(c: u32) -> Weight {
        // The fastest run took 126_838_000 ps.
        Weight::from_parts(98_421_010, 6_799)
            .saturating_add(T::DbWeight::get().reads_writes(6, 1))
            .saturating_add(Weight::from_parts(10_376_920, 73).saturating_mul(c.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(1, 0)
                    .saturating_mul(c.into()),
            )
    }

    fn commit_scores() -> Weight {
        // The fastest run took 151_945_000 ps.
        Weight::from_parts(235_158_000, 2_416).saturating_add(T::DbWeight::get().reads_writes(7, 1))
    }

    fn reveal_scores(c: u32) -> Weight {
        // The fastest run took 194_959_000 ps.
        Weight::from_parts(480_000_000, 7_100)
            .saturating_add(T::DbWeight::get().reads_writes(7, 2))
            .saturating_add(Weight::from_parts(16_143_678, 73).saturating_mul(c.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(1, 0)
                    .saturating_mul(c.into()),
            )
    }

    fn set_emitting() -> Weight {
        // Estimated, not measured yet.
        Weight::from_parts(32_000_000, 250).saturating_add(T::DbWeight::get().reads_writes(1, 1))
    }

    fn accrue(s: u32) -> Weight {
        // The fastest run took 41_882_000 ps.
        Weight::from_parts(30_982_074, 630)
            .saturating_add(T::DbWeight::get().reads_writes(5, 2))
            .saturating_add(Weight::from_parts(36_417_047, 341).saturating_mul(s.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(6, 1)
                    .saturating_mul(s.into()),
            )
    }

    fn epoch(m: u32, c: u32) -> Weight {
        // The fastest run took 11_240_232_000 ps; the role of a member is counted on top.
        Weight::from_parts(5_610_000_000, 24_000)
            .saturating_add(T::DbWeight::get().reads_writes(315, 158))
            .saturating_add(Weight::from_parts(94_423_594, 266).saturating_mul(m.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(6, 3)
                    .saturating_mul(m.into()),
            )
            .saturating_add(Weight::from_parts(104_258, 4).saturating_mul(c.into()))
    }
}

/// Priced by ParityDB, for tests.
impl WeightInfo for () {
    fn set_scores(c: u32) -> Weight {
        // The fastest run took 126_838_000 ps.
        Weight::from_parts(98_421_010, 6_799)
            .saturating_add(ParityDbWeight::get().reads_writes(6, 1))
            .saturating_add(Weight::from_parts(10_376_920, 73).saturating_mul(c.into()))
            .saturating_add(
                ParityDbWeight::get()
                    .reads_writes(1, 0)
                    .saturating_mul(c.into()),
            )
    }

    fn commit_scores() -> Weight {
        // The fastest run took 151_945_000 ps.
        Weight::from_parts(235_158_000, 2_416)
            .saturating_add(ParityDbWeight::get().reads_writes(7, 1))
    }

    fn reveal_scores(c: u32) -> Weight {
        // The fastest run took 194_959_000 ps.
        Weight::from_parts(480_000_000, 7_100)
            .saturating_add(ParityDbWeight::get().reads_writes(7, 2))
            .saturating_add(Weight::from_parts(16_143_678, 73).saturating_mul(c.into()))
            .saturating_add(
                ParityDbWeight::get()
                    .reads_writes(1, 0)
                    .saturating_mul(c.into()),
            )
    }

    fn set_emitting() -> Weight {
        // Estimated, not measured yet.
        Weight::from_parts(32_000_000, 250).saturating_add(ParityDbWeight::get().reads_writes(1, 1))
    }

    fn accrue(s: u32) -> Weight {
        // The fastest run took 41_882_000 ps.
        Weight::from_parts(30_982_074, 630)
            .saturating_add(ParityDbWeight::get().reads_writes(5, 2))
            .saturating_add(Weight::from_parts(36_417_047, 341).saturating_mul(s.into()))
            .saturating_add(
                ParityDbWeight::get()
                    .reads_writes(6, 1)
                    .saturating_mul(s.into()),
            )
    }

    fn epoch(m: u32, c: u32) -> Weight {
        // The fastest run took 11_240_232_000 ps; the role of a member is counted on top.
        Weight::from_parts(5_610_000_000, 24_000)
            .saturating_add(ParityDbWeight::get().reads_writes(315, 158))
            .saturating_add(Weight::from_parts(94_423_594, 266).saturating_mul(m.into()))
            .saturating_add(
                ParityDbWeight::get()
                    .reads_writes(6, 3)
                    .saturating_mul(m.into()),
            )
            .saturating_add(Weight::from_parts(104_258, 4).saturating_mul(c.into()))
    }
}
