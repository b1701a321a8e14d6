//! The check of storage that every test ends with finds what is wrong.

use crate::{
    mock::*, Backers, Bond, Bonds, Position, Positions, StakePools, SubnetBonds, SubnetStake, Take,
    Takes, TotalBonded, TotalStaked, TotalUnbonding, UnbondingPools, Voided,
};
use cairn_primitives::{Netuid, CRN};
use frame_support::{
    assert_ok,
    storage::{with_transaction_unchecked, TransactionOutcome},
};
use share_pool::{Holding, Pool};
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

/// A pool and a holding of all of it.
fn pool(value: u64) -> (Pool, Holding) {
    let (mut pool, mut holding) = (Pool::default(), Holding::default());
    pool.deposit(&mut holding, value).unwrap();
    (pool, holding)
}

#[test]
fn of_positions() {
    ExtBuilder::default()
        .delegate(CAROL, Netuid(1), ALICE_HOT, CRN)
        .build_and_execute(|| {
            assert_eq!(verdict(|| ()), Ok(()));
            let key = (CAROL, Netuid(1), ALICE_HOT);
            finds("a position with nothing in it is kept", || {
                Positions::<Test>::insert((DAVE, Netuid(1), ALICE_HOT), Position::default());
            });
            finds("a hotkey does not list its backer", || {
                Backers::<Test>::remove((Netuid(1), ALICE_HOT, CAROL));
            });
            finds("a hotkey lists a backer that is none", || {
                Backers::<Test>::insert((Netuid(1), ALICE_HOT, DAVE), ());
            });
            finds("shares of a pool that is none", || {
                StakePools::<Test>::remove(Netuid(1), ALICE_HOT);
            });
            finds("void shares are kept for good", || {
                StakePools::<Test>::mutate(Netuid(1), ALICE_HOT, |pool| pool.slash(CRN));
            });
            finds("void shares of a pool that is none", || {
                Voided::<Test>::insert(Netuid(2), ALICE_HOT, None::<u64>);
            });
            let shares = "the shares in positions are not those of the pool";
            finds(shares, || {
                let staked = pool(CRN - 1).1;
                let position = Position {
                    staked,
                    ..Position::default()
                };
                Positions::<Test>::insert(key, position);
            });
            finds("a pool that was never used is kept", || {
                StakePools::<Test>::insert(Netuid(2), ALICE_HOT, Pool::default());
            });
            finds(shares, || {
                StakePools::<Test>::insert(Netuid(2), ALICE_HOT, pool(1).0);
            });
        });
}

#[test]
fn of_totals() {
    ExtBuilder::default()
        .delegate(CAROL, Netuid(1), ALICE_HOT, 2 * CRN)
        .build_and_execute(|| {
            let carol = RuntimeOrigin::signed(CAROL);
            assert_ok!(Stake::remove_stake(carol, Netuid(1), ALICE_HOT, Some(CRN)));
            finds("stakes do not add up to the total", || {
                TotalStaked::<Test>::put(CRN + 1)
            });
            finds("stakes do not add up to the stake of their subnet", || {
                SubnetStake::<Test>::swap(Netuid(1), Netuid(2));
            });
            let unbonding = "stakes that are being withdrawn do not add up to their total";
            finds(unbonding, || TotalUnbonding::<Test>::put(CRN + 1));
            finds("shares of a pool that is none", || {
                UnbondingPools::<Test>::remove(Netuid(1), ALICE_HOT)
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
        .bond(Netuid(1), ALICE_HOT, CRN)
        .build_and_execute(|| {
            let put = |hotkey, bond| Bonds::<Test>::insert(Netuid(1), hotkey, bond);
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
                SubnetBonds::<Test>::insert(Netuid(1), CRN + 1);
            });
            finds("the sum of all overflows", || {
                put(ALICE_HOT, bond(CRN, 0, 0));
                Bonds::<Test>::insert(Netuid(2), BOB_HOT, bond(0, u64::MAX, 1));
            });
            finds("the sum of a subnet overflows", || {
                put(BOB_HOT, bond(u64::MAX, 0, 0))
            });
        });
}

#[test]
fn of_takes() {
    ExtBuilder::default().build_and_execute(|| {
        let put = |hotkey, share, set_at| Takes::<Test>::insert(hotkey, Take { share, set_at });
        finds("the take of a hotkey without coldkey", || put(99, 0, 0));
        finds("a take was set in the future", || put(ALICE_HOT, 0, 2));
        finds("a take is above the highest", || {
            put(ALICE_HOT, MAX_TAKE + 1, 0)
        });
    });
}
