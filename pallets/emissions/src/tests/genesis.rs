//! What is issued at the beginning.

use cairn_primitives::CRN;

use crate::{mock::*, schedule::CAP, Issued};

#[test]
fn what_balances_stakes_and_bonds_hold_is_issued() {
    ExtBuilder::usual()
        .balance(7, 3 * CRN)
        .bonded(2 * CRN)
        .build_and_execute(|| {
            let accounts = 5 * EXISTENTIAL_DEPOSIT;
            assert_eq!(
                Issued::<Test>::get(),
                accounts + 3 * CRN + 2 * CRN + 100 * CRN
            );
        });
}

#[test]
fn genesis_may_hold_the_cap() {
    ExtBuilder::default()
        .balance(7, CAP)
        .build_and_execute(|| assert_eq!(Issued::<Test>::get(), CAP));
}

#[test]
#[should_panic(expected = "genesis holds at most 21 million CRN")]
fn genesis_cannot_hold_more_than_the_cap() {
    ExtBuilder::default()
        .balance(7, CAP)
        .bonded(1)
        .build_and_execute(|| {});
}
