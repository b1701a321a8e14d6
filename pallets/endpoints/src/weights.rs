//! What `pallet_endpoints` weighs. Set by hand from what it reads and writes and from what like calls of
//! `pallet_training` take, until it is measured: `make weights` then writes this file.

use core::marker::PhantomData;

use frame_support::{
    traits::Get,
    weights::{constants::ParityDbWeight, RuntimeDbWeight, Weight},
};

/// What the call weighs, and what is done when a member leaves.
pub trait WeightInfo {
    /// `set_endpoints`.
    fn set_endpoints() -> Weight;
    /// `on_left`.
    fn on_left() -> Weight;
}

/// Priced by the runtime's database.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn set_endpoints() -> Weight {
        set_endpoints(T::DbWeight::get())
    }

    fn on_left() -> Weight {
        on_left(T::DbWeight::get())
    }
}

/// Priced by ParityDB.
impl WeightInfo for () {
    fn set_endpoints() -> Weight {
        set_endpoints(ParityDbWeight::get())
    }

    fn on_left() -> Weight {
        on_left(ParityDbWeight::get())
    }
}

/// Reads the uid, whether the subnet is being dissolved, and what was named before; writes what is named now.
fn set_endpoints(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(45_000_000, 5_000).saturating_add(db.reads_writes(3, 1))
}

/// Writes what was named.
fn on_left(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(3_000_000, 0).saturating_add(db.writes(1))
}
