//! What each call and each part of the hook costs, at the sizes that make it cost more.
//!
//! The pallets around this one are set up by [`BenchmarkHelper`], so that the measured reads are those of
//! the runtime that uses the scores.

// Sizes are those of this file, and what fails here fails a measurement, no block.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::expect_used
)]

use alloc::vec::Vec;

use cairn_primitives::{
    api::ScoresCommit,
    traits::{Membership, Stakes},
    BlockNumber, EpochIndex, Netuid, Pots, Salt, Served, Uid, CRN, MAX_MEMBERS, MAX_VALIDATORS,
};
use frame_benchmarking::v2::*;
use frame_support::{
    dispatch::CheckIfFeeless,
    traits::{Get, UnfilteredDispatchable},
};
use frame_system::RawOrigin;

use crate::{
    commits, Bonds, Call, Commits, Config, Emitting, Pallet, Row, SubnetLedger, SubnetLedgers,
    TotalPots, Vote, Votes,
};

/// Sets up the pallets that this one asks.
pub trait BenchmarkHelper {
    /// A new subnet with a run, with so many members that have the stake to validate, and so many others. All were
    /// included since the last epoch, which is work, and all validators attested every round.
    /// The validators have the lower uids. Creating another one is affordable a year of blocks later.
    fn subnet(validators: u32, others: u32, commit_reveal: bool) -> Netuid;
}

const SALT: Salt = [7; 32];
/// The epoch before which scores are committed.
const BEFORE: EpochIndex = 0;
/// Blocks after which another subnet is affordable.
const YEAR: BlockNumber = 5_256_000;
/// The longest row: scores on everybody but oneself.
const LONGEST_ROW: u32 = MAX_MEMBERS - 1;
/// Cells of scores that the validators but the first have at most in an epoch, so that a subnet with no
/// other members has room for them. Others follow from the cost of one.
const MOST_CELLS: u32 = (MAX_VALIDATORS - 1) * (MAX_VALIDATORS - 1);

fn to_block<T: Config>(block: BlockNumber) {
    frame_system::Pallet::<T>::set_block_number(block.into());
}

/// A new subnet that is paid.
fn subnet<T: Config>(validators: u32, others: u32, commit_reveal: bool) -> Netuid {
    let netuid = T::BenchmarkHelper::subnet(validators, others, commit_reveal);
    Emitting::<T>::insert(netuid, true);
    netuid
}

/// A full subnet, and its first validator.
fn full<T: Config>(commit_reveal: bool) -> Result<(Netuid, T::AccountId), BenchmarkError> {
    let netuid = subnet::<T>(MAX_VALIDATORS, MAX_MEMBERS - MAX_VALIDATORS, commit_reveal);
    let hotkey = T::Membership::hotkey(netuid, Uid(0)).ok_or("the helper made no members")?;
    SubnetLedgers::<T>::insert(netuid, SubnetLedger::new(Pallet::<T>::now()));
    Ok((netuid, hotkey))
}

/// Scores on so many members, the highest uid first: they have to be sorted.
fn descending(cells: u32) -> Row {
    Row::truncate_from((1..=cells as u16).rev().map(|uid| (Uid(uid), 1)).collect())
}

/// What a feeless call costs: the transaction extension asks whether it is free, then it runs.
fn ask_and_dispatch<T: Config>(call: Call<T>, hotkey: T::AccountId) -> Result<(), BenchmarkError> {
    let origin: T::RuntimeOrigin = RawOrigin::Signed(hotkey).into();
    if !call.is_feeless(&origin) {
        return Err("the call is not free".into());
    }
    call.dispatch_bypass_filter(origin)?;
    Ok(())
}

/// A subnet before an epoch in which everybody is paid: the first validator has most of the stake and weighs
/// everybody else; the others have `cells` of scores between them, and as many bonds.
fn before_an_epoch<T: Config>(
    members: u32,
    cells: u32,
) -> Result<(Netuid, BlockNumber), BenchmarkError> {
    let netuid = subnet::<T>(MAX_VALIDATORS, members - MAX_VALIDATORS, false);
    let came = Pallet::<T>::now();
    let mut ledger = SubnetLedger::new(came + 1);
    ledger.pots = Pots::of(1_000 * CRN);
    SubnetLedgers::<T>::insert(netuid, ledger);
    TotalPots::<T>::put(1_000 * CRN);

    let first = T::Membership::hotkey(netuid, Uid(0)).ok_or("the helper made no members")?;
    T::Stakes::reward(netuid, &first, 1_000_000 * CRN)?;
    let everybody = (1..members as u16).map(|uid| (Uid(uid), 1)).collect();
    keep::<T>(netuid, Uid(0), Row::truncate_from(everybody), came + 1);
    let others = MAX_VALIDATORS - 1;
    for uid in 1..=others {
        let length = cells / others + u32::from(uid <= cells % others);
        // Each begins elsewhere, so that all members are weighed.
        let start = uid * members / MAX_VALIDATORS;
        let mut row: Vec<(Uid, u16)> = (1..=length)
            .map(|step| (Uid(((start + step) % members) as u16), 1))
            .filter(|(to, _)| u32::from(to.get()) != uid)
            .collect();
        row.sort_unstable();
        if !row.is_empty() {
            keep::<T>(netuid, Uid(uid as u16), Row::truncate_from(row), came + 1);
        }
    }
    let tempo = T::Membership::hyperparameters(netuid)
        .ok_or("no subnet")?
        .tempo;
    let due = came + 1 + tempo;
    to_block::<T>(due);
    Ok((netuid, due))
}

/// Scores and bonds of a validator.
fn keep<T: Config>(netuid: Netuid, uid: Uid, row: Row, set_at: BlockNumber) {
    Bonds::<T>::insert(netuid, uid, row.clone());
    Votes::<T>::insert(
        netuid,
        uid,
        Vote {
            set_at,
            scores: row,
            evidence: None,
        },
    );
}

#[benchmarks]
mod benchmarks {
    use super::*;

    /// `c`: the cells of the row.
    #[benchmark]
    fn set_scores(c: Linear<1, { LONGEST_ROW }>) -> Result<(), BenchmarkError> {
        let (netuid, hotkey) = full::<T>(false)?;
        let scores = descending(c);
        let call = Call::<T>::set_scores { netuid, scores };
        #[block]
        {
            ask_and_dispatch(call, hotkey)?;
        }
        assert!(Votes::<T>::contains_key(netuid, Uid(0)));
        Ok(())
    }

    #[benchmark]
    fn commit_scores() -> Result<(), BenchmarkError> {
        let (netuid, hotkey) = full::<T>(true)?;
        let hash = [1; 32].into();
        let old = ScoresCommit {
            epoch: BEFORE,
            hash,
            at: Pallet::<T>::now(),
            revealed: false,
        };
        Commits::<T>::insert((netuid, Uid(0), commits::slot(BEFORE)), old);
        let later = Pallet::<T>::now() + T::ScoresRateLimit::get();
        to_block::<T>(later);
        let call = Call::<T>::commit_scores {
            netuid,
            epoch: BEFORE,
            hash,
        };
        #[block]
        {
            ask_and_dispatch(call, hotkey)?;
        }
        assert!(Pallet::<T>::commits_of(netuid, Uid(0))
            .iter()
            .any(|commit| commit.at == later));
        Ok(())
    }

    /// `c`: the cells of the row.
    #[benchmark]
    fn reveal_scores(c: Linear<1, { LONGEST_ROW }>) -> Result<(), BenchmarkError> {
        let (netuid, hotkey) = full::<T>(true)?;
        let (scores, salt) = (descending(c), SALT);
        let evidence = Served {
            root: [2; 32].into(),
            length: 1,
        };
        let commit = ScoresCommit {
            epoch: BEFORE,
            hash: commits::hash_of((netuid, BEFORE), &hotkey, &scores, evidence, &salt),
            at: Pallet::<T>::now(),
            revealed: false,
        };
        Commits::<T>::insert((netuid, Uid(0), commits::slot(BEFORE)), commit);
        SubnetLedgers::<T>::mutate(netuid, |ledger| {
            if let Some(ledger) = ledger {
                ledger.epochs = 1;
            }
        });
        let call = Call::<T>::reveal_scores {
            netuid,
            epoch: BEFORE,
            scores,
            evidence,
            salt,
        };
        #[block]
        {
            ask_and_dispatch(call, hotkey)?;
        }
        assert!(Votes::<T>::contains_key(netuid, Uid(0)));
        Ok(())
    }

    #[benchmark]
    fn set_emitting() -> Result<(), BenchmarkError> {
        let netuid = T::BenchmarkHelper::subnet(1, 0, true);
        let call = Call::<T>::set_emitting {
            netuid,
            emits: true,
        };
        #[block]
        {
            call.dispatch_bypass_filter(RawOrigin::Root.into())?;
        }
        assert_eq!(Emitting::<T>::get(netuid), Some(true));
        Ok(())
    }

    /// `s`: the subnets.
    #[benchmark]
    fn accrue(s: Linear<1, 64>) -> Result<(), BenchmarkError> {
        let mut now = Pallet::<T>::now();
        for _ in 0..s {
            now += YEAR;
            to_block::<T>(now);
            subnet::<T>(1, 0, true);
        }
        // Every subnet has a ledger, and none an epoch.
        Pallet::<T>::accrue(now);
        now += 1;
        to_block::<T>(now);
        let (subnets, due);
        #[block]
        {
            subnets = Pallet::<T>::accrue(now);
            due = Pallet::<T>::most_overdue(now);
        }
        assert_eq!((subnets, due), (s, None));
        assert!(TotalPots::<T>::get() > 0);
        Ok(())
    }

    /// `m`: the members. `c`: the cells of scores and bonds.
    #[benchmark]
    fn epoch(
        m: Linear<{ MAX_VALIDATORS }, { MAX_MEMBERS }>,
        c: Linear<0, { 2 * MOST_CELLS }>,
    ) -> Result<(), BenchmarkError> {
        let (netuid, now) = before_an_epoch::<T>(m, c / 2)?;
        let hyperparameters = T::Membership::hyperparameters(netuid).ok_or("no subnet")?;
        #[block]
        {
            Pallet::<T>::run_epoch(netuid, &hyperparameters, now);
        }
        let last = Pallet::<T>::member(netuid, Uid((m - 1) as u16));
        assert!(last.last_as_miner > 0, "everybody is paid");
        assert!(Pallet::<T>::member(netuid, Uid(0)).last_as_validator > 0);
        Ok(())
    }

    impl_benchmark_test_suite!(
        Pallet,
        crate::mock::ExtBuilder::default().build(),
        crate::mock::Test
    );
}
