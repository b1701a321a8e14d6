//! What `pallet_audits` weighs. Set by hand from what the calls and the hook read and write and from what like calls of
//! `pallet_training` take, until it is measured: `make weights` then writes this file.

use core::marker::PhantomData;

use frame_support::{
    traits::Get,
    weights::{constants::ParityDbWeight, RuntimeDbWeight, Weight},
};

/// What calls and the parts of hooks weigh.
pub trait WeightInfo {
    /// `open`.
    fn open() -> Weight;
    /// `commit_verdict`.
    fn commit_verdict() -> Weight;
    /// `reveal_verdict`.
    fn reveal_verdict() -> Weight;
    /// `on_left`, with an audit in each round.
    fn on_left() -> Weight;
    /// `on_initialize`.
    fn on_initialize() -> Weight;
    /// `draw`, `m` from 2 to 256 members of a round, `a` audits from 0 to 192.
    fn draw(m: u32, a: u32) -> Weight;
    /// `end` of one audit, at its worst.
    fn end() -> Weight;
}

/// Priced by the runtime's database.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn open() -> Weight {
        open(T::DbWeight::get())
    }

    fn commit_verdict() -> Weight {
        say(T::DbWeight::get())
    }

    fn reveal_verdict() -> Weight {
        say(T::DbWeight::get())
    }

    fn on_left() -> Weight {
        on_left(T::DbWeight::get())
    }

    fn on_initialize() -> Weight {
        on_initialize(T::DbWeight::get())
    }

    fn draw(m: u32, a: u32) -> Weight {
        draw(T::DbWeight::get(), m, a)
    }

    fn end() -> Weight {
        end(T::DbWeight::get())
    }
}

/// Priced by ParityDB, for tests.
impl WeightInfo for () {
    fn open() -> Weight {
        open(ParityDbWeight::get())
    }

    fn commit_verdict() -> Weight {
        say(ParityDbWeight::get())
    }

    fn reveal_verdict() -> Weight {
        say(ParityDbWeight::get())
    }

    fn on_left() -> Weight {
        on_left(ParityDbWeight::get())
    }

    fn on_initialize() -> Weight {
        on_initialize(ParityDbWeight::get())
    }

    fn draw(m: u32, a: u32) -> Weight {
        draw(ParityDbWeight::get(), m, a)
    }

    fn end() -> Weight {
        end(ParityDbWeight::get())
    }
}

fn open(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(90_000_000, 4_096).saturating_add(db.reads_writes(3, 3))
}

/// An audit that names all validators of its round.
fn say(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(150_000_000, 8_192).saturating_add(db.reads_writes(3, 1))
}

/// Audits of 14 rounds, and an account.
fn on_left(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(200_000_000, 0).saturating_add(db.reads_writes(17, 16))
}

/// The agenda of sixteen blocks, of which nothing is left.
fn on_initialize(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(100_000_000, 0).saturating_add(db.reads_writes(17, 1))
}

/// A coldkey of each member; of each audit the draws of up to 15 auditors.
fn draw(db: RuntimeDbWeight, m: u32, a: u32) -> Weight {
    let member = Weight::from_parts(8_000_000, 0).saturating_add(db.reads_writes(1, 0));
    let audit = Weight::from_parts(80_000_000, 0).saturating_add(db.reads_writes(0, 2));
    Weight::from_parts(40_000_000, 0)
        .saturating_add(db.reads_writes(3, 5))
        .saturating_add(member.saturating_mul(m.into()))
        .saturating_add(audit.saturating_mul(a.into()))
}

/// A bond that is shared out among 15, and the attendances of all validators that a dispute can have. Not measured since
/// there are disputes: what it took with 15 auditors, the round's validators, and a hotkey of each of the other 49.
fn end(db: RuntimeDbWeight) -> Weight {
    Weight::from_parts(800_000_000, 0).saturating_add(db.reads_writes(104, 34))
}
