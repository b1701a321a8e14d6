//! What each call and the hook cost, at the sizes that make them cost more.
//!
//! What the other pallets do when a member comes or goes, or a subnet ends, is measured with them:
//! [`BenchmarkHelper`] makes it as much as it can be.

// Sizes are those of this file, and what fails here fails a measurement, no block.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::expect_used
)]

use cairn_primitives::{
    Balance, BlockNumber, Hyperparameters, Netuid, Role, Uid, CRN, MAX_MEMBERS,
};
use frame_benchmarking::v2::*;
use frame_support::traits::fungible::Mutate;
use frame_system::RawOrigin;

use crate::{
    pallet::{
        AuditWindow, Call, Config, Dissolving, Members, Pallet, RulesOf, Subnets, Swaps, Uids,
    },
    Member, Rules, Swap,
};

/// Sets up the pallets that this one tells of what happens, and signs.
pub trait BenchmarkHelper<AccountId, Signature> {
    /// A new hotkey that can sign.
    fn signing_hotkey() -> AccountId;
    /// Signs as such a hotkey.
    fn sign(hotkey: &AccountId, payload: &[u8]) -> Signature;
    /// `amount` pebble, which benchmarks may burn, were issued.
    fn issued(amount: Balance);
    /// Makes the other pallets keep as much as they can of every member of a subnet, in the middle of a round in
    /// which all have taken part. The first quarter of the uids are validators.
    fn occupy(netuid: Netuid);
}

/// Blocks after which any price is at its floor.
const YEAR: BlockNumber = 5_256_000;

/// An account that can pay any price here.
fn rich<T: Config>(name: &'static str) -> T::AccountId {
    let who: T::AccountId = account(name, 0, 0);
    let wealth = 1_000_000 * CRN;
    T::Currency::set_balance(&who, wealth);
    T::BenchmarkHelper::issued(wealth);
    who
}

fn to_block<T: Config>(block: BlockNumber) {
    frame_system::Pallet::<T>::set_block_number(block.into());
}

/// A new subnet with so many members, whose hotkeys are `hotkey(uid)`, and its owner.
fn subnet<T: Config>(members: u32) -> Result<(T::AccountId, Netuid), BenchmarkError> {
    to_block::<T>(Pallet::<T>::now() + YEAR);
    let owner = rich::<T>("owner");
    let coldkey = rich::<T>("coldkey");
    let netuid = Pallet::<T>::next_netuid()?;
    Pallet::<T>::create_subnet(RawOrigin::Signed(owner.clone()).into(), Balance::MAX)?;
    let rules = Hyperparameters {
        max_members: MAX_MEMBERS as u16,
        unbonding_period: AuditWindow::<T>::get().max(7_200),
        ..Hyperparameters::default()
    };
    RulesOf::<T>::insert(netuid, Rules::only(rules));
    let mut record = Subnets::<T>::get(netuid).ok_or("it was just created")?;
    for uid in 0..members {
        let member = Member {
            hotkey: hotkey::<T>(uid),
            coldkey: coldkey.clone(),
            registered_at: Pallet::<T>::now(),
            role: Role::Miner,
            role_set_at: None,
        };
        Pallet::<T>::seat(netuid, Uid(uid as u16), &mut record, member)?;
    }
    Subnets::<T>::insert(netuid, record);
    Ok((owner, netuid))
}

/// Announces other rules for a subnet that has a member.
fn announce<T: Config>(netuid: Netuid) -> Result<Hyperparameters, BenchmarkError> {
    let rules = Pallet::<T>::rules(netuid).ok_or("it was just founded")?;
    let rules = Hyperparameters {
        tempo: 100,
        ..rules
    };
    Pallet::<T>::announce(netuid, rules.clone())?;
    Ok(rules)
}

fn hotkey<T: Config>(uid: u32) -> T::AccountId {
    account("hotkey", uid, 0)
}

#[benchmarks]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn create_subnet() -> Result<(), BenchmarkError> {
        let owner = rich::<T>("owner");
        let netuid = Pallet::<T>::next_netuid()?;
        #[extrinsic_call]
        _(RawOrigin::Signed(owner), Balance::MAX);
        assert!(Subnets::<T>::contains_key(netuid));
        Ok(())
    }

    #[benchmark]
    fn set_hyperparameters() -> Result<(), BenchmarkError> {
        // Others were announced before, and hold by now.
        let (owner, netuid) = subnet::<T>(1)?;
        let rules = announce::<T>(netuid)?;
        to_block::<T>(Pallet::<T>::now() + YEAR);
        let rules = Hyperparameters {
            tempo: 400,
            ..rules
        };
        #[extrinsic_call]
        _(RawOrigin::Signed(owner), netuid, rules.clone());
        let announced = Pallet::<T>::announced_rules(netuid);
        assert_eq!(announced.map(|announced| announced.rules), Some(rules));
        Ok(())
    }

    #[benchmark]
    fn withdraw_hyperparameters() -> Result<(), BenchmarkError> {
        let (owner, netuid) = subnet::<T>(1)?;
        announce::<T>(netuid)?;
        #[extrinsic_call]
        _(RawOrigin::Signed(owner), netuid);
        assert_eq!(Pallet::<T>::announced_rules(netuid), None);
        Ok(())
    }

    #[benchmark]
    fn set_role() -> Result<(), BenchmarkError> {
        let (_, netuid) = subnet::<T>(1)?;
        Members::<T>::mutate(netuid, Uid(0), |member| {
            if let Some(member) = member {
                member.role_set_at = Some(0);
            }
        });
        let coldkey = account("coldkey", 0, 0);
        #[extrinsic_call]
        _(
            RawOrigin::Signed(coldkey),
            netuid,
            hotkey::<T>(0),
            Role::Validator,
        );
        let member = Members::<T>::get(netuid, Uid(0)).ok_or("it sits there")?;
        assert_eq!(member.role, Role::Validator);
        Ok(())
    }

    /// The subnet is full, so that somebody is replaced: the first, who attested in the round in progress.
    #[benchmark]
    fn register(m: Linear<1, MAX_MEMBERS>) -> Result<(), BenchmarkError> {
        let (_, netuid) = subnet::<T>(m)?;
        T::BenchmarkHelper::occupy(netuid);
        // Announced rules that hold by now, which the sale writes down.
        RulesOf::<T>::mutate_extant(netuid, |rules| rules.present.max_members = m as u16);
        announce::<T>(netuid)?;
        to_block::<T>(Pallet::<T>::now() + YEAR);
        let (payer, newcomer) = (rich::<T>("payer"), T::BenchmarkHelper::signing_hotkey());
        let payload = Pallet::<T>::registration_payload(netuid, &payer);
        let signature = T::BenchmarkHelper::sign(&newcomer, &payload);
        #[extrinsic_call]
        _(
            RawOrigin::Signed(payer),
            netuid,
            newcomer.clone(),
            Role::Miner,
            Balance::MAX,
            signature,
        );
        assert!(Uids::<T>::contains_key(netuid, newcomer));
        assert!(!Uids::<T>::contains_key(netuid, hotkey::<T>(0)));
        Ok(())
    }

    #[benchmark]
    fn announce_swap() -> Result<(), BenchmarkError> {
        let (_, netuid) = subnet::<T>(1)?;
        let coldkey: T::AccountId = account("coldkey", 0, 0);
        let new = T::BenchmarkHelper::signing_hotkey();
        let payload = Pallet::<T>::registration_payload(netuid, &coldkey);
        let signature = T::BenchmarkHelper::sign(&new, &payload);
        #[extrinsic_call]
        _(
            RawOrigin::Signed(coldkey),
            netuid,
            hotkey::<T>(0),
            new,
            signature,
        );
        assert!(Swaps::<T>::contains_key(netuid, Uid(0)));
        Ok(())
    }

    #[benchmark]
    fn cancel_swap() -> Result<(), BenchmarkError> {
        let (_, netuid) = subnet::<T>(1)?;
        Pallet::<T>::note_swap(netuid, Uid(0), hotkey::<T>(1))?;
        let coldkey = account("coldkey", 0, 0);
        #[extrinsic_call]
        _(RawOrigin::Signed(coldkey), netuid, hotkey::<T>(0));
        assert!(!Swaps::<T>::contains_key(netuid, Uid(0)));
        Ok(())
    }

    /// The first of a full subnet, who attested in the round in progress.
    #[benchmark]
    fn finish_swap() -> Result<(), BenchmarkError> {
        let (_, netuid) = subnet::<T>(MAX_MEMBERS)?;
        T::BenchmarkHelper::occupy(netuid);
        let new = hotkey::<T>(MAX_MEMBERS);
        Swaps::<T>::insert(
            netuid,
            Uid(0),
            Swap {
                to: new.clone(),
                from: 0,
            },
        );
        let coldkey = account("coldkey", 0, 0);
        #[extrinsic_call]
        _(RawOrigin::Signed(coldkey), netuid, hotkey::<T>(0));
        assert_eq!(Uids::<T>::get(netuid, new), Some(Uid(0)));
        Ok(())
    }

    /// The first of a full subnet, who attested in the round in progress.
    #[benchmark]
    fn leave() -> Result<(), BenchmarkError> {
        let (_, netuid) = subnet::<T>(MAX_MEMBERS)?;
        T::BenchmarkHelper::occupy(netuid);
        let coldkey = account("coldkey", 0, 0);
        #[extrinsic_call]
        _(RawOrigin::Signed(coldkey), netuid, hotkey::<T>(0));
        assert!(!Members::<T>::contains_key(netuid, Uid(0)));
        Ok(())
    }

    #[benchmark]
    fn dissolve_subnet() -> Result<(), BenchmarkError> {
        let (owner, netuid) = subnet::<T>(MAX_MEMBERS)?;
        T::BenchmarkHelper::occupy(netuid);
        #[extrinsic_call]
        _(RawOrigin::Signed(owner), netuid);
        assert!(Dissolving::<T>::contains_key(netuid));
        Ok(())
    }

    /// None of them is due yet.
    #[benchmark]
    fn look_for_dissolving(s: Linear<0, 128>) -> Result<(), BenchmarkError> {
        for netuid in 0..s {
            Dissolving::<T>::insert(Netuid(netuid as u16), BlockNumber::MAX);
        }
        #[block]
        {
            Pallet::<T>::dissolve_some(1);
        }
        Ok(())
    }

    /// Seats: of all that is given back they have the most writes, since every pallet is told.
    #[benchmark]
    fn dissolve(i: Linear<1, 64>) -> Result<(), BenchmarkError> {
        let (_, netuid) = subnet::<T>(i)?;
        Pallet::<T>::start_dissolution(netuid)?;
        to_block::<T>(Pallet::<T>::now() + YEAR);
        // What the others keep is gone.
        while <T::Dissolve as cairn_primitives::traits::Dissolve>::dissolve(netuid, 1) > 0 {}
        #[block]
        {
            Pallet::<T>::dissolve_some(i);
        }
        assert_eq!(Members::<T>::iter_prefix(netuid).count(), 0);
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::for_benchmarks(), crate::mock::Test);
}
