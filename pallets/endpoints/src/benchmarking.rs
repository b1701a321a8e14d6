//! What the call costs, with as many endpoints as a member may name, each as long as it may be.

// What fails here fails a measurement, no block.
#![allow(clippy::expect_used, clippy::arithmetic_side_effects)]

use alloc::{format, vec::Vec};
use cairn_primitives::{traits::OnMember, Netuid, Text, Uid, MAX_ENDPOINTS};
use frame_benchmarking::v2::*;
use frame_support::{dispatch::CheckIfFeeless, traits::UnfilteredDispatchable};
use frame_system::RawOrigin;

use crate::{Call, Config, Endpoints, List, Pallet};

/// Sets up the pallets that this one asks.
pub trait BenchmarkHelper<AccountId> {
    /// A new subnet and its only member, uid 0.
    fn member() -> (Netuid, AccountId);
}

/// As many as may be named, each as long as may be.
pub fn longest() -> List {
    let one = |number: u32| {
        let text = format!("https://{number}.example/");
        Text::new(&format!("{text:x<256}")).expect("short")
    };
    let all: Vec<Text> = (0..MAX_ENDPOINTS).map(one).collect();
    all.try_into().expect("as many as may be")
}

#[benchmarks]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn set_endpoints() -> Result<(), BenchmarkError> {
        let (netuid, hotkey) = T::BenchmarkHelper::member();
        let call = Call::<T>::set_endpoints {
            netuid,
            endpoints: longest(),
        };
        let origin: <T as frame_system::Config>::RuntimeOrigin = RawOrigin::Signed(hotkey).into();
        #[block]
        {
            // The extension asks before the call runs.
            assert!(call.is_feeless(&origin));
            call.dispatch_bypass_filter(origin)?;
        }
        assert!(Endpoints::<T>::contains_key(netuid, Uid(0)));
        Ok(())
    }

    #[benchmark]
    fn on_left() -> Result<(), BenchmarkError> {
        let (netuid, hotkey) = T::BenchmarkHelper::member();
        Pallet::<T>::note_set(netuid, Uid(0), longest());
        #[block]
        {
            <Pallet<T> as OnMember<T::AccountId>>::on_left(netuid, Uid(0), &hotkey);
        }
        assert!(!Endpoints::<T>::contains_key(netuid, Uid(0)));
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::ExtBuilder.build(), crate::mock::Test);
}
