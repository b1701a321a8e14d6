//! What each pallet is told: [`system`] for blocks and weights, [`consensus`] for who makes them, [`money`]
//! for balances and fees, [`accounts`] for conveniences, [`cairn`] for our own.

pub mod accounts;
pub mod cairn;
pub mod consensus;
pub mod money;
pub mod system;
