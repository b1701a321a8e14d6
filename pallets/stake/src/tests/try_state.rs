//! The check of storage that every test ends with finds what is wrong.

use crate::{mock::*, Bond, Bonds, StakeOn, SubnetBonds, SubnetStake, TotalBonded, TotalStaked};
use cairn_primitives::CRN;
use frame_support::storage::{with_transaction_unchecked, TransactionOutcome};
use sp_runtime::TryRuntimeError;

/// What the check says after `spoil`; storage is as before afterwards.
fn verdict(spoil: impl FnOnce()) -> Result<(), TryRuntimeError> {
    with_transaction_unchecked(|| {
        spoil();
        TransactionOutcome::Rollback(Stake::do_try_state())
    })
}

fn finds(expected: &'static str, spoil: impl FnOnce()) {
    assert_eq!(verdict(spoil), Err(expected.into()));
}

#[test]
fn of_stakes() {
    ExtBuilder::default()
        .stake(1, ALICE_HOT, CRN)
        .build_and_execute(|| {
            assert_eq!(verdict(|| ()), Ok(()));
            finds("a stake of zero is kept", || {
                StakeOn::<Test>::insert(1, BOB_HOT, 0)
            });
            finds("stake on a hotkey without coldkey", || {
                StakeOn::<Test>::insert(1, 99, 1)
            });
            finds("stakes do not add up to the total", || {
                TotalStaked::<Test>::put(CRN + 1)
            });
            finds("stakes do not add up to the stake of their subnet", || {
                SubnetStake::<Test>::swap(1, 2);
            });
            finds("the sum of all overflows", || {
                StakeOn::<Test>::insert(2, BOB_HOT, u64::MAX)
            });
            finds("the sum of a subnet overflows", || {
                StakeOn::<Test>::insert(1, BOB_HOT, u64::MAX)
            });
        });
}

#[test]
fn of_bonds() {
    let bond = |active, unbonding, release_at| Bond {
        active,
        unbonding,
        release_at,
    };
    ExtBuilder::default()
        .bond(1, ALICE_HOT, CRN)
        .build_and_execute(|| {
            let put = |hotkey, bond| Bonds::<Test>::insert(1, hotkey, bond);
            finds("a bond of zero is kept", || put(BOB_HOT, Bond::default()));
            let release = "a release without a bond, or a bond without a release";
            finds(release, || put(ALICE_HOT, bond(CRN, 0, 1)));
            finds(release, || put(ALICE_HOT, bond(CRN, 1, 0)));
            finds("the bond of a hotkey without a seat counts", || {
                put(99, bond(1, 0, 0))
            });
            finds("the bond of a hotkey without coldkey", || {
                put(99, bond(0, 1, 1))
            });
            finds("bonds do not add up to the total", || {
                TotalBonded::<Test>::put(CRN + 1)
            });
            finds("bonds do not add up to the bonds of their subnet", || {
                SubnetBonds::<Test>::insert(1, CRN + 1);
            });
        });
}
