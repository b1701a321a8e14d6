//! Handlers that keep `Issued` true when tokens are destroyed outside of this pallet.
//!
//! A dropped credit lowers the total issuance of balances and tells nobody. The runtime hands such credits
//! to these handlers instead:
//!
//! ```text
//! impl pallet_balances::Config for Runtime {
//!     type DustRemoval = pallet_emissions::BurnedCredit<Runtime>;
//! }
//! impl pallet_transaction_payment::Config for Runtime {
//!     type OnChargeTransaction =
//!         FungibleAdapter<Balances, pallet_emissions::FeesToAuthor<Runtime, BlockAuthor>>;
//! }
//! ```

use core::marker::PhantomData;

use cairn_primitives::traits::OnBurned;
use frame_support::traits::{
    fungible::{Balanced, Credit},
    Get, Imbalance, OnUnbalanced,
};

use crate::pallet::{Config, Pallet};

/// Tokens that left an account and have not arrived anywhere yet.
pub type CreditOf<T> = Credit<<T as frame_system::Config>::AccountId, <T as Config>::Currency>;

/// Burns what it is given, and takes it out of `Issued`: for dust.
pub struct BurnedCredit<T>(PhantomData<T>);

impl<T: Config> OnUnbalanced<CreditOf<T>> for BurnedCredit<T> {
    fn on_nonzero_unbalanced(credit: CreditOf<T>) {
        let amount = credit.peek();
        drop(credit);
        Pallet::<T>::on_burned(amount);
    }
}

/// Pays fees and tips to the block's author. What the author cannot receive, or if there is none, is burned.
pub struct FeesToAuthor<T, Author>(PhantomData<(T, Author)>);

impl<T: Config, Author: Get<Option<T::AccountId>>> OnUnbalanced<CreditOf<T>>
    for FeesToAuthor<T, Author>
{
    fn on_nonzero_unbalanced(credit: CreditOf<T>) {
        let refused = match Author::get() {
            Some(author) => T::Currency::resolve(&author, credit).err(),
            None => Some(credit),
        };
        if let Some(credit) = refused {
            BurnedCredit::<T>::on_unbalanced(credit);
        }
    }
}
