//! What each pallet is told: [`system`] for blocks and weights, [`consensus`] for who makes them, [`money`]
//! for balances and fees, [`accounts`] for conveniences, [`recovery`] for lost keys, [`cairn`] for our own,
//! [`governance`] for who may change what.

pub mod accounts;
pub mod cairn;
pub mod consensus;
pub mod governance;
pub mod money;
pub mod recovery;
pub mod system;
