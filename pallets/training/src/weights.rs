//! Weights: estimates on the safe side, from counted storage reads and writes, until benchmarks
//! generate them.
//!
//! Each function counts every storage item that the code touches once at its worst case, and adds a
//! fixed time for hashing, sorting and decoding. Items of a block's overlay are counted as if they came
//! from the database.

use core::marker::PhantomData;

use frame_support::{traits::Get, weights::Weight};

/// Weights of the calls and of the hook's parts.
pub trait WeightInfo {
    /// [`start_run`](crate::Pallet::start_run).
    fn start_run() -> Weight;
    /// [`stop_run`](crate::Pallet::stop_run).
    fn stop_run() -> Weight;
    /// [`commit`](crate::Pallet::commit), the look at whether it is free of fees included.
    fn commit() -> Weight;
    /// [`reveal`](crate::Pallet::reveal), the look at whether it is free of fees included.
    fn reveal() -> Weight;
    /// [`attest`](crate::Pallet::attest), the look at whether it is free of fees included.
    /// `verdicts`: the contributions that it calls good.
    fn attest(verdicts: u32) -> Weight;
    /// A member that leaves in mid-round: part of the weight of whatever call makes it leave.
    fn on_left() -> Weight;
    /// The hook in a block in which nothing is due.
    fn on_initialize() -> Weight;
    /// Settling a round with `contributions` revealed ones.
    fn settle(contributions: u32) -> Weight;
    /// Beginning a round, or finding that it cannot begin, in a subnet of `members`.
    fn begin(members: u32) -> Weight;
    /// Removing `items` of old rounds.
    fn prune(items: u32) -> Weight;
}

/// Time in picoseconds of a call beside its storage: decoding a snapshot of 256 miners and hashing.
const CALL: u64 = 60_000_000;
/// Time in picoseconds per member, contribution or removed item beside its storage.
const ITEM: u64 = 2_000_000;

fn time(picoseconds: u64) -> Weight {
    Weight::from_parts(picoseconds, 0)
}

fn items(count: u32) -> Weight {
    time(ITEM).saturating_mul(u64::from(count))
}

/// The weights with the runtime's costs of reading and writing.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn start_run() -> Weight {
        // Owner, run, clearing; configuration, run, waiting.
        time(CALL).saturating_add(T::DbWeight::get().reads_writes(3, 3))
    }

    fn stop_run() -> Weight {
        // Owner, run; configuration, run, waiting, agenda, clearing.
        time(CALL).saturating_add(T::DbWeight::get().reads_writes(2, 5))
    }

    fn commit() -> Weight {
        // Run, snapshot, tally, contribution; contribution.
        time(CALL.saturating_mul(2)).saturating_add(T::DbWeight::get().reads_writes(5, 2))
    }

    fn reveal() -> Weight {
        // Run, snapshot, tally, contribution; tally, contribution.
        time(CALL.saturating_mul(2)).saturating_add(T::DbWeight::get().reads_writes(4, 2))
    }

    fn attest(verdicts: u32) -> Weight {
        // Run, snapshot, tally, attestation; tally, attestation; verdicts, looked up twice.
        time(CALL.saturating_mul(3))
            .saturating_add(items(verdicts))
            .saturating_add(T::DbWeight::get().reads_writes(4, 2))
    }

    fn on_left() -> Weight {
        // Run, snapshot, tally, contribution or attestation; tally, contribution.
        time(CALL.saturating_mul(2)).saturating_add(T::DbWeight::get().reads_writes(4, 3))
    }

    fn on_initialize() -> Weight {
        // Clearing; next due twice, 16 blocks' agendas; last waiter, two looks at the waiting; two
        // writes.
        time(CALL).saturating_add(T::DbWeight::get().reads_writes(22, 2))
    }

    fn settle(contributions: u32) -> Weight {
        // Run, configuration, tally; settlement, lineage. Each: contribution, incentive.
        time(CALL)
            .saturating_add(items(contributions))
            .saturating_add(T::DbWeight::get().reads_writes(3, 2))
            .saturating_add(
                T::DbWeight::get()
                    .reads(2)
                    .saturating_mul(u64::from(contributions)),
            )
    }

    fn begin(members: u32) -> Weight {
        // Hyperparameters, randomness, parent hash, run, configuration; snapshot, tally, agenda, run,
        // waiting, agenda. Each: hotkey, stake (two items), bond.
        time(CALL)
            .saturating_add(items(members))
            .saturating_add(T::DbWeight::get().reads_writes(5, 6))
            .saturating_add(
                T::DbWeight::get()
                    .reads(4)
                    .saturating_mul(u64::from(members)),
            )
    }

    fn prune(count: u32) -> Weight {
        items(count).saturating_add(
            T::DbWeight::get()
                .reads_writes(1, 1)
                .saturating_mul(u64::from(count)),
        )
    }
}
