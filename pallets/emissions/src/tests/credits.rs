//! Tokens destroyed by others.

use cairn_primitives::{traits::OnBurned, CRN};
use frame_support::{
    assert_ok,
    traits::{
        fungible::Balanced,
        tokens::{Fortitude, Precision, Preservation},
        Get, OnUnbalanced,
    },
};

use crate::{mock::*, BurnedCredit, CreditOf, FeesToAuthor, Issued};

struct Author<const ACCOUNT: AccountId>;

impl<const ACCOUNT: AccountId> Get<Option<AccountId>> for Author<ACCOUNT> {
    fn get() -> Option<AccountId> {
        (ACCOUNT > 0).then_some(ACCOUNT)
    }
}

fn withdraw(amount: u64) -> CreditOf<Test> {
    let (precision, fortitude) = (Precision::Exact, Fortitude::Polite);
    Balances::withdraw(&7, amount, precision, Preservation::Preserve, fortitude).unwrap()
}

fn rich() -> ExtBuilder {
    ExtBuilder::default()
        .balance(7, CRN)
        .balance(8, EXISTENTIAL_DEPOSIT)
}

#[test]
fn what_is_burned_is_no_longer_issued() {
    rich().build_and_execute(|| {
        let issued = Issued::<Test>::get();
        drop(withdraw(1_000));
        Emissions::on_burned(1_000);
        assert_eq!(Issued::<Test>::get(), issued - 1_000);
    });
}

#[test]
#[should_panic(expected = "more was burned than was ever issued")]
fn more_than_was_issued_cannot_be_burned() {
    rich().build_and_execute(|| Emissions::on_burned(2 * CRN));
}

#[test]
fn dust_is_no_longer_issued() {
    rich().build_and_execute(|| {
        let issued = Issued::<Test>::get();
        let rest = EXISTENTIAL_DEPOSIT - 1;
        assert_ok!(Balances::transfer_allow_death(
            RuntimeOrigin::signed(7),
            8,
            CRN - rest
        ));
        assert_eq!(Balances::free_balance(7), 0);
        assert_eq!(Issued::<Test>::get(), issued - rest);
    });
}

#[test]
fn a_burned_credit_is_no_longer_issued() {
    rich().build_and_execute(|| {
        let issued = Issued::<Test>::get();
        BurnedCredit::<Test>::on_unbalanced(withdraw(30));
        BurnedCredit::<Test>::on_unbalanced(CreditOf::<Test>::default());
        assert_eq!(Issued::<Test>::get(), issued - 30);
    });
}

#[test]
fn fees_and_tips_go_to_the_author() {
    rich().build_and_execute(|| {
        let issued = Issued::<Test>::get();
        let fee_and_tip = [withdraw(20), withdraw(10)].into_iter();
        FeesToAuthor::<Test, Author<8>>::on_unbalanceds(fee_and_tip);
        assert_eq!(Balances::free_balance(8), EXISTENTIAL_DEPOSIT + 30);
        assert_eq!(Issued::<Test>::get(), issued);
    });
}

#[test]
fn fees_that_nobody_can_receive_are_burned() {
    rich().build_and_execute(|| {
        let issued = Issued::<Test>::get();
        // No author, and an author without an account that the fee is too small for.
        FeesToAuthor::<Test, Author<0>>::on_unbalanced(withdraw(20));
        FeesToAuthor::<Test, Author<9>>::on_unbalanced(withdraw(10));
        assert_eq!(Issued::<Test>::get(), issued - 30);
        assert_eq!(Balances::free_balance(9), 0);
    });
}
