//! The answers of the runtime API.

use alloc::vec::Vec;
use cairn_primitives::{api::MemberEndpoints, traits::Membership, Netuid, Uid};

use crate::{Config, Endpoints, Named, Pallet};

/// The most hotkeys of which one answer is.
const MOST_HOTKEYS: usize = 16;

impl<T: Config> Pallet<T> {
    /// What the members of a subnet have named, ascending by uid; nothing of who named none.
    pub fn endpoints(netuid: Netuid) -> Vec<MemberEndpoints<T::AccountId>> {
        let member = |(uid, named): (Uid, Named)| {
            Some(MemberEndpoints {
                uid,
                hotkey: T::Membership::hotkey(netuid, uid)?,
                endpoints: named.endpoints.into_inner(),
                set_at: Some(named.set_at),
            })
        };
        let named = Endpoints::<T>::iter_prefix(netuid);
        let mut all: Vec<_> = named
            .filter(|(_, named)| !named.endpoints.is_empty())
            .filter_map(member)
            .collect();
        all.sort_by_key(|member| member.uid);
        all
    }

    /// What those of these hotkeys that are members have named, in this order; of the first 16.
    pub fn endpoints_of(
        netuid: Netuid,
        hotkeys: &[T::AccountId],
    ) -> Vec<MemberEndpoints<T::AccountId>> {
        let member = |hotkey: &T::AccountId| {
            let uid = T::Membership::uid(netuid, hotkey)?;
            let named = Endpoints::<T>::get(netuid, uid);
            Some(MemberEndpoints {
                uid,
                hotkey: hotkey.clone(),
                set_at: named.as_ref().map(|named| named.set_at),
                endpoints: named.map_or_else(Vec::new, |named| named.endpoints.into_inner()),
            })
        };
        let asked = hotkeys.iter().take(MOST_HOTKEYS);
        asked.filter_map(member).collect()
    }
}
