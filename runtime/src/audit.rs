//! Whether the chain's books are right.
//!
//! What is issued is the sum of all places where it can be. The ledgers keep totals of these places, so that
//! one comparison of a few numbers says whether a block kept that sum: every block makes it
//! ([`EveryBlock`]). That each total is the sum of its entries, and all else that the pallets promise of
//! their storage, takes a look at the whole state ([`everything`]): tests do it after every block, and a
//! runtime that was built for development answers it to whoever asks (feature `audit`).

use cairn_primitives::api::Issuance;
use frame_support::{defensive, ensure, traits::PostTransactions};
use sp_runtime::TryRuntimeError;

use crate::{
    configs::recovery, readers, Audits, Authorities, Emissions, Endpoints, Governance, Runtime,
    Stake, Subnets, System, Training,
};

/// Whether all that was issued is somewhere, and nothing else is anywhere.
pub fn money() -> Result<(), TryRuntimeError> {
    let Issuance {
        issued,
        balances,
        stakes,
        unbonding,
        bonds,
        pots,
    } = readers::issuance();
    let places = [balances, stakes, unbonding, bonds, pots];
    let sum: u128 = places.into_iter().map(u128::from).sum();
    ensure!(
        sum == u128::from(issued),
        "issued is not balances + stakes + unbonding + bonds + pots"
    );
    Ok(())
}

/// Everything that the pallets promise of their storage. Reads all of it.
pub fn everything() -> Result<(), TryRuntimeError> {
    money()?;
    Subnets::do_try_state()?;
    Stake::do_try_state()?;
    Training::do_try_state()?;
    Audits::do_try_state()?;
    Endpoints::do_try_state()?;
    Emissions::do_try_state()?;
    Governance::do_try_state()?;
    Authorities::do_try_state()?;
    recovery::do_try_state()
}

/// Compares the totals after the last transaction of every block. A difference is an error in the node's
/// log; in a build with debug assertions, which tests are, it is a panic.
pub struct EveryBlock;

impl PostTransactions for EveryBlock {
    fn post_transactions() {
        if let Err(error) = money() {
            defensive!("the books are wrong", error);
        }
        // Issued, the balances' issuance, staked, unbonding, bonded, pots.
        System::register_extra_weight_unchecked(
            <Runtime as frame_system::Config>::DbWeight::get().reads(6),
            frame_support::dispatch::DispatchClass::Mandatory,
        );
    }
}
