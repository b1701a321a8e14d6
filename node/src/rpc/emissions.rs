//! The namespace `emissions_`: what the work was worth.

use cairn_primitives::{
    api::{EpochPage, MemberEpoch, SubnetEpoch},
    Netuid, Uid, HISTORY_EPOCHS,
};
use cairn_runtime::{AccountId, Hash};
use cairn_runtime_api::EmissionsApi;
use codec::Decode;
use jsonrpsee_substrate::{core::RpcResult, types::ErrorObjectOwned};
use scale_info::TypeInfo;
use serde::Serialize;
use sp_api::ProvideRuntimeApi;

use super::{
    method::{method, Call, Method},
    no_member, no_subnet,
    parameters::{ACCOUNT, ANY_UID, AT, FROM_EPOCH, LIMIT, NETUID, UID},
    unavailable,
};
use crate::service::Client;

/// A page of epochs.
#[derive(Clone, Debug, Decode, TypeInfo, Serialize)]
#[serde(untagged)]
enum History {
    /// Of a subnet.
    Subnet(EpochPage<SubnetEpoch>),
    /// Of a member.
    Member(EpochPage<MemberEpoch>),
}

const SCHEDULE: (&str, &str) = ("emissions_schedule", "How the token comes into being.");
const ISSUANCE: (&str, &str) = ("emissions_issuance", "Where everything that was issued is.");
const SUBNET: (&str, &str) = (
    "emissions_subnet",
    "A subnet's emission: share, pots, epochs.",
);
const MEMBER: (&str, &str) = (
    "emissions_member",
    "A member: its shares in the last epoch, and what it earned.",
);
const OF_ACCOUNT: (&str, &str) = (
    "emissions_account",
    "What an account has and earned in which subnet, through the hotkeys that it owns, stands behind, or is: at most \
     256 of each. `subnets_positions` goes on where an account stands behind more, and `subnets_hotkeys` where it owns \
     more.",
);
const SCORES: (&str, &str) = (
    "emissions_scores",
    "The scores of each validator that count now, and the file of evidence that it committed to with them: its \
     endpoints serve it.",
);
const HISTORY: (&str, &str) = (
    "emissions_history",
    "The last 64 epochs of a subnet or, with a uid, of a member, oldest first, from number `from` on: at most `limit`, \
     of which 0 counts as 1. `next` is where the next page begins.",
);

/// The methods; the runtime answers.
pub fn methods(all: &mut Vec<Method>) {
    method(all, SCHEDULE, &[AT], |call| {
        let (api, at) = call.api()?;
        EmissionsApi::<_, AccountId>::schedule(&*api, at).map_err(unavailable)
    });
    method(all, ISSUANCE, &[AT], |call| {
        let (api, at) = call.api()?;
        EmissionsApi::<_, AccountId>::issuance(&*api, at).map_err(unavailable)
    });
    method(all, SUBNET, &[NETUID, AT], |call| {
        let netuid = call.required()?;
        let (api, at) = call.api()?;
        let emission = EmissionsApi::<_, AccountId>::emission(&*api, at, netuid);
        emission
            .map_err(unavailable)?
            .ok_or_else(|| no_subnet(netuid))
    });
    method(all, MEMBER, &[NETUID, UID, AT], |call| {
        let (netuid, uid) = (call.required()?, call.required()?);
        let (api, at) = call.api()?;
        let member = EmissionsApi::<_, AccountId>::member_emission(&*api, at, netuid, uid);
        match member.map_err(unavailable)? {
            Some(member) => Ok(member),
            None => Err(nobody(call.client, netuid, uid, at)),
        }
    });
    method(all, OF_ACCOUNT, &[ACCOUNT, AT], |call| {
        let account: AccountId = call.required()?;
        let (api, at) = call.api()?;
        api.account(at, account).map_err(unavailable)
    });
    method(all, SCORES, &[NETUID, AT], |call| {
        let netuid = call.required()?;
        let (api, at) = call.api()?;
        EmissionsApi::<_, AccountId>::scores(&*api, at, netuid).map_err(unavailable)
    });
    let parameters = &[NETUID, ANY_UID, FROM_EPOCH, LIMIT, AT];
    method(all, HISTORY, parameters, history);
}

fn history(call: &mut Call<'_>) -> RpcResult<History> {
    let (netuid, uid): (Netuid, Option<Uid>) = (call.required()?, call.optional()?);
    let (from, limit) = call.page(0, HISTORY_EPOCHS)?;
    let (api, at) = call.api()?;
    match uid {
        None => EmissionsApi::<_, AccountId>::subnet_history(&*api, at, netuid, from, limit)
            .map_err(unavailable)?
            .map(History::Subnet)
            .ok_or_else(|| no_subnet(netuid)),
        Some(uid) => {
            EmissionsApi::<_, AccountId>::member_history(&*api, at, netuid, uid, from, limit)
                .map_err(unavailable)?
                .map(History::Member)
                .ok_or_else(|| nobody(call.client, netuid, uid, at))
        }
    }
}

/// Why there is no such member: it may be the subnet that is not there.
fn nobody(client: &Client, netuid: Netuid, uid: Uid, at: Hash) -> ErrorObjectOwned {
    let api = client.runtime_api();
    match EmissionsApi::<_, AccountId>::emission(&*api, at, netuid) {
        Ok(Some(_)) => no_member(netuid, uid),
        Ok(None) => no_subnet(netuid),
        Err(error) => unavailable(error),
    }
}
