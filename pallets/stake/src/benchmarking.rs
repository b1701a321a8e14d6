//! What each call costs, in the worst case and at the sizes that make it cost more.

// Sizes are those of this file, and what fails here fails a measurement, no block.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::expect_used
)]

use alloc::vec::Vec;
use cairn_primitives::{traits::Slashing, Balance, BlockNumber, Netuid};
use frame_benchmarking::v2::*;
use frame_support::traits::{fungible::Mutate, Get};
use frame_system::RawOrigin;

use crate::{
    pallet::{Bonds, Call, Config, Pallet, Positions, Takes, Voided},
    types::MAX_UNBONDING,
    SWEPT_PER_BLOCK,
};

/// Sets up the subnets pallet, which this one can only ask.
pub trait BenchmarkHelper<AccountId> {
    /// A new subnet, on which these hotkeys of a coldkey have seats. What that costs is not the coldkey's.
    fn subnet(coldkey: &AccountId, hotkeys: &[AccountId]) -> Netuid;
}

/// What is staked or bonded at a time: a hundred times the least.
fn amount<T: Config>() -> Balance {
    T::MinimumAmount::get() * 100
}

/// An account with enough for everything here.
fn rich<T: Config>(name: &'static str) -> T::AccountId {
    let who: T::AccountId = account(name, 0, 0);
    T::Currency::set_balance(&who, amount::<T>() * 10_000);
    who
}

fn to_block<T: Config>(block: BlockNumber) {
    frame_system::Pallet::<T>::set_block_number(block.into());
}

/// A coldkey, and its hotkeys on a subnet.
fn seats<T: Config>(hotkeys: u32) -> (T::AccountId, Netuid, Vec<T::AccountId>) {
    let coldkey = rich::<T>("coldkey");
    let hotkeys: Vec<T::AccountId> = (0..hotkeys).map(|n| account("hotkey", n, 0)).collect();
    let netuid = T::BenchmarkHelper::subnet(&coldkey, &hotkeys);
    to_block::<T>(1);
    (coldkey, netuid, hotkeys)
}

/// A coldkey that stakes on one of these hotkeys.
fn backer<T: Config>(
    netuid: Netuid,
    hotkey: &T::AccountId,
) -> Result<T::AccountId, BenchmarkError> {
    let who = rich::<T>("backer");
    let origin = RawOrigin::Signed(who.clone()).into();
    Pallet::<T>::add_stake(origin, netuid, hotkey.clone(), amount::<T>() * 100)?;
    Ok(who)
}

#[benchmarks]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn add_stake() -> Result<(), BenchmarkError> {
        let (_, netuid, hotkeys) = seats::<T>(1);
        let hotkey = hotkeys[0].clone();
        // A pool that is not empty: shares have a price.
        backer::<T>(netuid, &hotkey)?;
        let who = rich::<T>("newcomer");
        #[extrinsic_call]
        _(
            RawOrigin::Signed(who.clone()),
            netuid,
            hotkey.clone(),
            amount::<T>(),
        );
        assert!(Positions::<T>::contains_key((who, netuid, hotkey)));
        Ok(())
    }

    #[benchmark]
    fn remove_stake() -> Result<(), BenchmarkError> {
        let (_, netuid, hotkeys) = seats::<T>(1);
        let hotkey = hotkeys[0].clone();
        let who = backer::<T>(netuid, &hotkey)?;
        let origin = RawOrigin::Signed(who.clone());
        for block in 1..MAX_UNBONDING {
            to_block::<T>(block);
            let part = Some(amount::<T>());
            Pallet::<T>::remove_stake(origin.clone().into(), netuid, hotkey.clone(), part)?;
        }
        to_block::<T>(MAX_UNBONDING);
        #[extrinsic_call]
        _(origin, netuid, hotkey.clone(), Some(amount::<T>()));
        let queue = Positions::<T>::get((who, netuid, hotkey)).unbonding;
        assert_eq!(queue.len(), MAX_UNBONDING as usize);
        Ok(())
    }

    #[benchmark]
    fn add_bond() -> Result<(), BenchmarkError> {
        let (coldkey, netuid, hotkeys) = seats::<T>(1);
        let hotkey = hotkeys[0].clone();
        #[extrinsic_call]
        _(
            RawOrigin::Signed(coldkey),
            netuid,
            hotkey.clone(),
            amount::<T>(),
        );
        assert_eq!(Bonds::<T>::get(netuid, hotkey).active, amount::<T>());
        Ok(())
    }

    #[benchmark]
    fn unbond() -> Result<(), BenchmarkError> {
        let (coldkey, netuid, hotkeys) = seats::<T>(1);
        let hotkey = hotkeys[0].clone();
        let origin = RawOrigin::Signed(coldkey);
        Pallet::<T>::add_bond(origin.clone().into(), netuid, hotkey.clone(), amount::<T>())?;
        #[extrinsic_call]
        _(origin, netuid, hotkey.clone());
        assert_eq!(Bonds::<T>::get(netuid, hotkey).active, 0);
        Ok(())
    }

    #[benchmark]
    fn withdraw_bond() -> Result<(), BenchmarkError> {
        let (coldkey, netuid, hotkeys) = seats::<T>(1);
        let hotkey = hotkeys[0].clone();
        let origin = RawOrigin::Signed(coldkey);
        Pallet::<T>::add_bond(origin.clone().into(), netuid, hotkey.clone(), amount::<T>())?;
        Pallet::<T>::unbond(origin.clone().into(), netuid, hotkey.clone())?;
        to_block::<T>(Bonds::<T>::get(netuid, &hotkey).release_at);
        #[extrinsic_call]
        _(origin, netuid, hotkey.clone());
        assert!(!Bonds::<T>::contains_key(netuid, hotkey));
        Ok(())
    }

    /// Each entry of the queue goes to another hotkey.
    #[benchmark]
    fn withdraw_stake(e: Linear<1, MAX_UNBONDING>) -> Result<(), BenchmarkError> {
        let (_, netuid, hotkeys) = seats::<T>(e + 1);
        let hotkey = hotkeys[0].clone();
        let who = backer::<T>(netuid, &hotkey)?;
        let origin = RawOrigin::Signed(who.clone());
        for to in hotkeys.iter().skip(1) {
            let (from, part) = (hotkey.clone(), Some(amount::<T>()));
            let origin = origin.clone().into();
            Pallet::<T>::move_stake(origin, netuid, from, netuid, to.clone(), part)?;
        }
        let queue = Positions::<T>::get((&who, netuid, &hotkey)).unbonding;
        assert_eq!(queue.len(), e as usize);
        to_block::<T>(queue[0].release_at);
        #[extrinsic_call]
        _(origin, netuid, hotkey.clone());
        for to in hotkeys.into_iter().skip(1) {
            assert!(Positions::<T>::contains_key((&who, netuid, to)));
        }
        Ok(())
    }

    #[benchmark]
    fn move_stake() -> Result<(), BenchmarkError> {
        let (_, netuid, hotkeys) = seats::<T>(2);
        let (from, to) = (hotkeys[0].clone(), hotkeys[1].clone());
        let who = backer::<T>(netuid, &from)?;
        let origin = RawOrigin::Signed(who.clone());
        for block in 1..MAX_UNBONDING {
            to_block::<T>(block);
            let part = Some(amount::<T>());
            Pallet::<T>::remove_stake(origin.clone().into(), netuid, from.clone(), part)?;
        }
        to_block::<T>(MAX_UNBONDING);
        #[extrinsic_call]
        _(
            origin,
            netuid,
            from.clone(),
            netuid,
            to,
            Some(amount::<T>()),
        );
        let queue = Positions::<T>::get((who, netuid, from)).unbonding;
        assert_eq!(queue.len(), MAX_UNBONDING as usize);
        Ok(())
    }

    #[benchmark]
    fn transfer_stake() -> Result<(), BenchmarkError> {
        let (coldkey, netuid, hotkeys) = seats::<T>(1);
        let hotkey = hotkeys[0].clone();
        let who = backer::<T>(netuid, &hotkey)?;
        let part = Some(amount::<T>());
        #[extrinsic_call]
        _(
            RawOrigin::Signed(who),
            coldkey.clone(),
            netuid,
            hotkey.clone(),
            part,
        );
        assert!(Positions::<T>::contains_key((coldkey, netuid, hotkey)));
        Ok(())
    }

    #[benchmark]
    fn set_foreign_stake() -> Result<(), BenchmarkError> {
        let (coldkey, _, hotkeys) = seats::<T>(1);
        let hotkey = hotkeys[0].clone();
        #[extrinsic_call]
        _(RawOrigin::Signed(coldkey), hotkey.clone(), false);
        assert!(!Pallet::<T>::takes_foreign_stake(&hotkey));
        Ok(())
    }

    #[benchmark]
    fn set_take() -> Result<(), BenchmarkError> {
        let (coldkey, _, hotkeys) = seats::<T>(1);
        let hotkey = hotkeys[0].clone();
        let origin = RawOrigin::Signed(coldkey);
        Pallet::<T>::set_take(origin.clone().into(), hotkey.clone(), 0)?;
        to_block::<T>(1 + T::TakeInterval::get());
        #[extrinsic_call]
        _(origin, hotkey.clone(), T::TakeStep::get());
        assert_eq!(
            Takes::<T>::get(hotkey).map(|take| take.share),
            Some(T::TakeStep::get())
        );
        Ok(())
    }

    /// `p`: the positions with void shares, and nothing else, on a hotkey that is done with then.
    #[benchmark]
    fn sweep(p: Linear<0, SWEPT_PER_BLOCK>) -> Result<(), BenchmarkError> {
        let (_, netuid, hotkeys) = seats::<T>(1);
        let hotkey = hotkeys[0].clone();
        // Without backers nothing can be slashed.
        Voided::<T>::insert(netuid, &hotkey, None::<T::AccountId>);
        for index in 0..p {
            let who: T::AccountId = account("backer", index, 0);
            T::Currency::set_balance(&who, amount::<T>() * 10);
            let origin = RawOrigin::Signed(who).into();
            Pallet::<T>::add_stake(origin, netuid, hotkey.clone(), amount::<T>())?;
        }
        <Pallet<T> as Slashing<T::AccountId>>::slash(netuid, &hotkey, Balance::MAX, None);
        let swept;
        #[block]
        {
            swept = Pallet::<T>::sweep(p + 1);
        }
        assert_eq!(swept, p);
        assert!(Voided::<T>::iter().next().is_none() && Positions::<T>::iter().next().is_none());
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::for_benchmarks(), crate::mock::Test);
}
