//! What always holds, after every block.

use cairn_primitives::traits::Membership;
use cairn_protocol::endpoint;
use frame_support::ensure;
use sp_runtime::{traits::SaturatedConversion, TryRuntimeError};

use crate::{Config, Endpoints, Pallet};

impl<T: Config> Pallet<T> {
    /// Checks everything that the pallet promises of its storage.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        let now = frame_system::Pallet::<T>::block_number().saturated_into();
        for (netuid, uid, named) in Endpoints::<T>::iter() {
            ensure!(
                T::Membership::hotkey(netuid, uid).is_some(),
                "endpoints of nobody"
            );
            ensure!(
                endpoint::set(&named.endpoints, None, now).is_ok(),
                "endpoints that nobody may name"
            );
            ensure!(named.set_at <= now, "endpoints of a later block");
        }
        Ok(())
    }
}
