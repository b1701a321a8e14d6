//! The call, as a check that only reads and a note that only writes. The check alone decides whether it is free of
//! fees.

use cairn_primitives::{traits::Membership, BlockNumber, Netuid, Uid};
use cairn_protocol::endpoint::{self, Refusal};
use frame_support::ensure;
use sp_runtime::traits::SaturatedConversion;

use crate::{Config, Endpoints, Error, Event, List, Named, Pallet};

impl<T: Config> Pallet<T> {
    fn now() -> BlockNumber {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }

    /// Whether `who` may name these now; under which uid.
    pub(crate) fn check_set(
        who: &T::AccountId,
        netuid: Netuid,
        endpoints: &List,
    ) -> Result<Uid, Error<T>> {
        let uid = T::Membership::uid(netuid, who).ok_or(Error::<T>::NotAMember)?;
        ensure!(
            !T::Membership::is_dissolving(netuid),
            Error::<T>::Dissolving
        );
        let set_at = Endpoints::<T>::get(netuid, uid).map(|named| named.set_at);
        endpoint::set(endpoints, set_at, Self::now())?;
        Ok(uid)
    }

    /// Writes down what a member named.
    pub(crate) fn note_set(netuid: Netuid, uid: Uid, endpoints: List) {
        let named = Named {
            endpoints: endpoints.clone(),
            set_at: Self::now(),
        };
        Endpoints::<T>::insert(netuid, uid, named);
        Self::deposit_event(Event::EndpointsSet {
            netuid,
            uid,
            endpoints,
        });
    }
}

impl<T> From<Refusal> for Error<T> {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooMany => Error::TooMany,
            Refusal::NotAnEndpoint => Error::NotAnEndpoint,
            Refusal::HasCredentials => Error::HasCredentials,
            Refusal::NamedTwice => Error::NamedTwice,
            Refusal::TooSoon => Error::TooSoon,
        }
    }
}
