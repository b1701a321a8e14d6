//! What calls and hooks weigh.
//!
//! **These are estimates, not measurements.** Until benchmarks are generated they count the storage reads
//! and writes of the longest path, those behind the traits of other pallets included, priced by the
//! runtime's `DbWeight`, plus a generous amount of computing time. They err on the high side.

use core::marker::PhantomData;

use frame_support::{
    traits::Get,
    weights::{constants::RocksDbWeight, RuntimeDbWeight, Weight},
};

/// Weights of the pallet's calls and hooks.
pub trait WeightInfo {
    /// [`crate::Pallet::set_weights`] with a row of `cells`.
    fn set_weights(cells: u32) -> Weight;
    /// [`crate::Pallet::commit_weights`].
    fn commit_weights() -> Weight;
    /// [`crate::Pallet::reveal_weights`] with a row of `cells`.
    fn reveal_weights(cells: u32) -> Weight;
    /// A block's issuance, and looking for a due epoch, over `subnets`.
    fn accrue(subnets: u32) -> Weight;
    /// An epoch of `members`, of which the validators have `cells` of weights and bonds.
    fn epoch(members: u32, cells: u32) -> Weight;
}

/// Estimates priced by the runtime's `DbWeight`.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn set_weights(cells: u32) -> Weight {
        set_weights(T::DbWeight::get(), cells)
    }

    fn commit_weights() -> Weight {
        commit_weights(T::DbWeight::get())
    }

    fn reveal_weights(cells: u32) -> Weight {
        reveal_weights(T::DbWeight::get(), cells)
    }

    fn accrue(subnets: u32) -> Weight {
        accrue(T::DbWeight::get(), subnets)
    }

    fn epoch(members: u32, cells: u32) -> Weight {
        epoch(T::DbWeight::get(), members, cells)
    }
}

/// The same with RocksDB's prices, for tests.
impl WeightInfo for () {
    fn set_weights(cells: u32) -> Weight {
        set_weights(RocksDbWeight::get(), cells)
    }

    fn commit_weights() -> Weight {
        commit_weights(RocksDbWeight::get())
    }

    fn reveal_weights(cells: u32) -> Weight {
        reveal_weights(RocksDbWeight::get(), cells)
    }

    fn accrue(subnets: u32) -> Weight {
        accrue(RocksDbWeight::get(), subnets)
    }

    fn epoch(members: u32, cells: u32) -> Weight {
        epoch(RocksDbWeight::get(), members, cells)
    }
}

const MICROSECOND: u64 = 1_000_000;
/// Proof size of one read: a small value with its trie nodes.
const PROOF_PER_READ: u64 = 3_000;
/// Bytes of a row of weights or bonds: 256 cells of 4 bytes.
const ROW_BYTES: u64 = 1_100;

fn priced(db: RuntimeDbWeight, microseconds: u64, reads: u64, writes: u64) -> Weight {
    Weight::from_parts(
        microseconds.saturating_mul(MICROSECOND),
        reads.saturating_mul(PROOF_PER_READ),
    )
    .saturating_add(db.reads_writes(reads, writes))
}

/// Reads: hyperparameters, uid, stake, last vote, and the hotkey of each uid. Writes: the vote.
fn set_weights(db: RuntimeDbWeight, cells: u32) -> Weight {
    let cells = u64::from(cells);
    priced(db, 25 + cells, 4 + cells, 1).saturating_add(Weight::from_parts(0, ROW_BYTES))
}

/// Reads: hyperparameters, uid, stake, the subnet's ledger, the commitment before. Writes: the commitment.
fn commit_weights(db: RuntimeDbWeight) -> Weight {
    priced(db, 30, 5, 1)
}

/// Those of a commitment and of a row.
fn reveal_weights(db: RuntimeDbWeight, cells: u32) -> Weight {
    let cells = u64::from(cells);
    priced(db, 35 + cells, 5 + cells, 2).saturating_add(Weight::from_parts(0, ROW_BYTES))
}

/// Reads: the list of subnets, both totals, and per subnet its ledger, stake, run and, if an epoch may be
/// due, its hyperparameters. Writes: both totals and each ledger.
fn accrue(db: RuntimeDbWeight, subnets: u32) -> Weight {
    let subnets = u64::from(subnets);
    priced(db, 10 + 5 * subnets, 3 + 5 * subnets, 2 + subnets)
}

/// Per member reads of its hotkey, registration, stake, coldkey, account, record and earnings, and three
/// behind a reward; writes of the account, record, history, earnings and three behind a reward. Per validator
/// its vote and bonds. Per cell computing.
fn epoch(db: RuntimeDbWeight, members: u32, cells: u32) -> Weight {
    let (members, cells) = (u64::from(members), u64::from(cells));
    let validators = members.min(u64::from(cairn_primitives::MAX_VALIDATORS));
    let rows = Weight::from_parts(0, validators.saturating_mul(2 * ROW_BYTES));
    let reads = 8 + 10 * members + 2 * validators;
    let writes = 7 + 7 * members + validators;
    priced(db, 100 + 10 * members + 2 * cells, reads, writes).saturating_add(rows)
}
