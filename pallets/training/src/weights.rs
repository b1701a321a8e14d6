//! What `pallet_training` weighs: measured, so do not edit. `make weights` writes this file.
//!
//! Measured in WASM on AMD EPYC: 12 sizes of each component, 10 runs of each.
//! What the record of work adds to `settle` and `on_left` is estimated until the next measurement.
//! Times are picoseconds and hold the reads from an in-memory trie; what the database costs is added by
//! `DbWeight`.

use core::marker::PhantomData;

use frame_support::{
    traits::Get,
    weights::{constants::ParityDbWeight, Weight},
};

/// What calls and the parts of hooks weigh.
pub trait WeightInfo {
    /// `start_run`.
    fn start_run() -> Weight;
    /// `stop_run`.
    fn stop_run() -> Weight;
    /// `commit`.
    fn commit() -> Weight;
    /// `reveal`.
    fn reveal() -> Weight;
    /// `attest`, `v` from 0 to 192.
    fn attest(v: u32) -> Weight;
    /// `commit_attestation`.
    fn commit_attestation() -> Weight;
    /// `here`.
    fn here() -> Weight;
    /// `on_left`.
    fn on_left() -> Weight;
    /// `on_initialize`.
    fn on_initialize() -> Weight;
    /// `settle`, `c` from 0 to 192.
    fn settle(c: u32) -> Weight;
    /// `attend`, `m` from 2 to 256.
    fn attend(m: u32) -> Weight;
    /// `slash_lost_roots`, `v` from 1 to 63.
    fn slash_lost_roots(v: u32) -> Weight;
    /// `begin`, `m` from 2 to 256.
    fn begin(m: u32) -> Weight;
    /// `begin_ahead`, `m` from 2 to 256.
    fn begin_ahead(m: u32) -> Weight;
    /// `prune`, `i` from 3 to 259.
    fn prune(i: u32) -> Weight;
}

/// Priced by the runtime's database.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn start_run() -> Weight {
        // The fastest run took 40_721_000 ps; announced rules are counted on top.
        Weight::from_parts(46_052_000, 391).saturating_add(T::DbWeight::get().reads_writes(5, 3))
    }

    fn stop_run() -> Weight {
        // The fastest run took 39_589_000 ps.
        Weight::from_parts(40_229_000, 555).saturating_add(T::DbWeight::get().reads_writes(3, 6))
    }

    fn commit() -> Weight {
        // The fastest run took 99_708_000 ps.
        Weight::from_parts(104_255_000, 9_586).saturating_add(T::DbWeight::get().reads_writes(4, 1))
    }

    fn reveal() -> Weight {
        // The fastest run took 166_987_000 ps.
        Weight::from_parts(183_142_000, 12_470)
            .saturating_add(T::DbWeight::get().reads_writes(4, 2))
    }

    fn attest(v: u32) -> Weight {
        // The fastest run took 151_214_000 ps.
        Weight::from_parts(165_772_089, 12_294)
            .saturating_add(T::DbWeight::get().reads_writes(4, 2))
            .saturating_add(Weight::from_parts(172_197, 0).saturating_mul(v.into()))
    }

    fn commit_attestation() -> Weight {
        // Set by hand from `commit` and `attest`, until it is measured.
        Weight::from_parts(120_000_000, 12_294)
            .saturating_add(T::DbWeight::get().reads_writes(4, 1))
    }

    fn here() -> Weight {
        // Set by hand from `commit`, until it is measured.
        Weight::from_parts(60_000_000, 2_048).saturating_add(T::DbWeight::get().reads_writes(3, 1))
    }

    fn on_left() -> Weight {
        // The fastest run took 115_861_000 ps.
        Weight::from_parts(174_214_000, 15_242)
            .saturating_add(T::DbWeight::get().reads_writes(6, 4))
    }

    fn on_initialize() -> Weight {
        // The fastest run took 108_320_000 ps.
        Weight::from_parts(109_703_000, 8).saturating_add(T::DbWeight::get().reads_writes(20, 1))
    }

    fn settle(c: u32) -> Weight {
        // The fastest run took 70_014_000 ps.
        Weight::from_parts(1_746_919_688, 21_429)
            .saturating_add(T::DbWeight::get().reads_writes(134, 4))
            .saturating_add(Weight::from_parts(23_747_274, 297).saturating_mul(c.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(3, 0)
                    .saturating_mul(c.into()),
            )
    }

    fn attend(m: u32) -> Weight {
        // Set by hand: a read of each member's statement, contribution or seat, until it is measured.
        Weight::from_parts(90_000_000, 24_242)
            .saturating_add(T::DbWeight::get().reads_writes(4, 1))
            .saturating_add(Weight::from_parts(6_000_000, 101).saturating_mul(m.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(1, 0)
                    .saturating_mul(m.into()),
            )
    }

    fn slash_lost_roots(v: u32) -> Weight {
        // Set by hand: what a slash reads and writes, until it is measured.
        Weight::from_parts(30_000_000, 0)
            .saturating_add(T::DbWeight::get().reads_writes(3, 3))
            .saturating_add(Weight::from_parts(90_000_000, 900).saturating_mul(v.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(5, 3)
                    .saturating_mul(v.into()),
            )
    }

    fn begin(m: u32) -> Weight {
        // The fastest run took 97_394_000 ps; the role and the pay of a member are counted on top.
        Weight::from_parts(141_151_999, 1_070)
            .saturating_add(T::DbWeight::get().reads_writes(8, 4))
            .saturating_add(Weight::from_parts(30_088_287, 243).saturating_mul(m.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(5, 0)
                    .saturating_mul(m.into()),
            )
    }

    fn begin_ahead(m: u32) -> Weight {
        // Set by hand from `begin`, until it is measured: another draw, and what was drawn ahead.
        Weight::from_parts(250_000_000, 12_000)
            .saturating_add(T::DbWeight::get().reads_writes(13, 6))
            .saturating_add(Weight::from_parts(40_000_000, 280).saturating_mul(m.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(6, 0)
                    .saturating_mul(m.into()),
            )
    }

    fn prune(i: u32) -> Weight {
        // The fastest run took 23_044_000 ps.
        Weight::from_parts(234_921_017, 51)
            .saturating_add(T::DbWeight::get().reads_writes(1, 0))
            .saturating_add(Weight::from_parts(7_265_820, 34).saturating_mul(i.into()))
            .saturating_add(
                T::DbWeight::get()
                    .reads_writes(0, 1)
                    .saturating_mul(i.into()),
            )
    }
}

/// Priced by ParityDB, for tests.
impl WeightInfo for () {
    fn start_run() -> Weight {
        // The fastest run took 40_721_000 ps; announced rules are counted on top.
        Weight::from_parts(46_052_000, 391).saturating_add(ParityDbWeight::get().reads_writes(5, 3))
    }

    fn stop_run() -> Weight {
        // The fastest run took 39_589_000 ps.
        Weight::from_parts(40_229_000, 555).saturating_add(ParityDbWeight::get().reads_writes(3, 6))
    }

    fn commit() -> Weight {
        // The fastest run took 99_708_000 ps.
        Weight::from_parts(104_255_000, 9_586)
            .saturating_add(ParityDbWeight::get().reads_writes(4, 1))
    }

    fn reveal() -> Weight {
        // The fastest run took 166_987_000 ps.
        Weight::from_parts(183_142_000, 12_470)
            .saturating_add(ParityDbWeight::get().reads_writes(4, 2))
    }

    fn attest(v: u32) -> Weight {
        // The fastest run took 151_214_000 ps.
        Weight::from_parts(165_772_089, 12_294)
            .saturating_add(ParityDbWeight::get().reads_writes(4, 2))
            .saturating_add(Weight::from_parts(172_197, 0).saturating_mul(v.into()))
    }

    fn commit_attestation() -> Weight {
        // Set by hand from `commit` and `attest`, until it is measured.
        Weight::from_parts(120_000_000, 12_294)
            .saturating_add(ParityDbWeight::get().reads_writes(4, 1))
    }

    fn here() -> Weight {
        // Set by hand from `commit`, until it is measured.
        Weight::from_parts(60_000_000, 2_048)
            .saturating_add(ParityDbWeight::get().reads_writes(3, 1))
    }

    fn on_left() -> Weight {
        // The fastest run took 115_861_000 ps.
        Weight::from_parts(174_214_000, 15_242)
            .saturating_add(ParityDbWeight::get().reads_writes(6, 4))
    }

    fn on_initialize() -> Weight {
        // The fastest run took 108_320_000 ps.
        Weight::from_parts(109_703_000, 8).saturating_add(ParityDbWeight::get().reads_writes(20, 1))
    }

    fn settle(c: u32) -> Weight {
        // The fastest run took 70_014_000 ps.
        Weight::from_parts(1_746_919_688, 21_429)
            .saturating_add(ParityDbWeight::get().reads_writes(134, 4))
            .saturating_add(Weight::from_parts(23_747_274, 297).saturating_mul(c.into()))
            .saturating_add(
                ParityDbWeight::get()
                    .reads_writes(3, 0)
                    .saturating_mul(c.into()),
            )
    }

    fn attend(m: u32) -> Weight {
        // Set by hand: a read of each member's statement, contribution or seat, until it is measured.
        Weight::from_parts(90_000_000, 24_242)
            .saturating_add(ParityDbWeight::get().reads_writes(4, 1))
            .saturating_add(Weight::from_parts(6_000_000, 101).saturating_mul(m.into()))
            .saturating_add(
                ParityDbWeight::get()
                    .reads_writes(1, 0)
                    .saturating_mul(m.into()),
            )
    }

    fn slash_lost_roots(v: u32) -> Weight {
        // Set by hand: what a slash reads and writes, until it is measured.
        Weight::from_parts(30_000_000, 0)
            .saturating_add(ParityDbWeight::get().reads_writes(3, 3))
            .saturating_add(Weight::from_parts(90_000_000, 900).saturating_mul(v.into()))
            .saturating_add(
                ParityDbWeight::get()
                    .reads_writes(5, 3)
                    .saturating_mul(v.into()),
            )
    }

    fn begin(m: u32) -> Weight {
        // The fastest run took 97_394_000 ps; the role and the pay of a member are counted on top.
        Weight::from_parts(141_151_999, 1_070)
            .saturating_add(ParityDbWeight::get().reads_writes(8, 4))
            .saturating_add(Weight::from_parts(30_088_287, 243).saturating_mul(m.into()))
            .saturating_add(
                ParityDbWeight::get()
                    .reads_writes(5, 0)
                    .saturating_mul(m.into()),
            )
    }

    fn begin_ahead(m: u32) -> Weight {
        // Set by hand from `begin`, until it is measured: another draw, and what was drawn ahead.
        Weight::from_parts(250_000_000, 12_000)
            .saturating_add(ParityDbWeight::get().reads_writes(13, 6))
            .saturating_add(Weight::from_parts(40_000_000, 280).saturating_mul(m.into()))
            .saturating_add(
                ParityDbWeight::get()
                    .reads_writes(6, 0)
                    .saturating_mul(m.into()),
            )
    }

    fn prune(i: u32) -> Weight {
        // The fastest run took 23_044_000 ps.
        Weight::from_parts(234_921_017, 51)
            .saturating_add(ParityDbWeight::get().reads_writes(1, 0))
            .saturating_add(Weight::from_parts(7_265_820, 34).saturating_mul(i.into()))
            .saturating_add(
                ParityDbWeight::get()
                    .reads_writes(0, 1)
                    .saturating_mul(i.into()),
            )
    }
}
