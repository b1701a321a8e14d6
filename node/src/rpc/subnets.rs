//! The namespace `subnets_`: which subnets there are and who is in them.

use std::sync::Arc;

use cairn_runtime::AccountId;
use cairn_runtime_api::SubnetsApi;
use jsonrpsee_substrate::{core::RegisterMethodError, RpcModule};

use super::{method, unavailable};
use crate::service::Client;

/// The methods; the runtime answers.
pub fn module(client: Arc<Client>) -> Result<RpcModule<Arc<Client>>, RegisterMethodError> {
    let mut module = RpcModule::new(client);
    let all = &mut module;
    // All subnets.
    method(all, "subnets_list", &["at"], |call| {
        let (api, at) = call.api()?;
        api.subnets(at).map_err(unavailable)
    })?;
    // One subnet; null if there is none of this number.
    method(all, "subnets_show", &["netuid", "at"], |call| {
        let netuid = call.required()?;
        let (api, at) = call.api()?;
        api.subnet(at, netuid).map_err(unavailable)
    })?;
    // Who is in a subnet, with role, stake, incentive and earnings.
    method(all, "subnets_members", &["netuid", "at"], |call| {
        let netuid = call.required()?;
        let (api, at) = call.api()?;
        api.members(at, netuid).map_err(unavailable)
    })?;
    // One member; null if the hotkey is none.
    method(all, "subnets_member", &["netuid", "hotkey", "at"], |call| {
        let (netuid, hotkey) = (call.required()?, call.required()?);
        let (api, at) = call.api()?;
        api.member(at, netuid, hotkey).map_err(unavailable)
    })?;
    positions(all)?;
    // Whose a hotkey is, where it is a member, and what its owner takes.
    method(all, "subnets_hotkey", &["hotkey", "at"], |call| {
        let hotkey = call.required()?;
        let (api, at) = call.api()?;
        api.hotkey(at, hotkey).map_err(unavailable)
    })?;
    // What creating a subnet costs now, in pebble.
    method(all, "subnets_creationPrice", &["at"], |call| {
        let (api, at) = call.api()?;
        // These two have no argument from which the account type could be inferred.
        let price = SubnetsApi::<_, AccountId>::creation_price(&*api, at);
        price.map(|price| price.to_string()).map_err(unavailable)
    })?;
    // Limits that hold for everybody.
    method(all, "subnets_limits", &["at"], |call| {
        let (api, at) = call.api()?;
        SubnetsApi::<_, AccountId>::limits(&*api, at).map_err(unavailable)
    })?;
    Ok(module)
}

fn positions(all: &mut RpcModule<Arc<Client>>) -> Result<(), RegisterMethodError> {
    // What a coldkey stands behind: at most 256 positions, from the first, or after the one on that subnet and
    // hotkey.
    method(
        all,
        "subnets_positions",
        &["coldkey", "after", "at"],
        |call| {
            let (coldkey, after) = (call.required()?, call.optional()?);
            let (api, at) = call.api()?;
            api.positions(at, coldkey, after).map_err(unavailable)
        },
    )?;
    // What a coldkey has on one hotkey in one subnet; null if it has nothing there.
    let names = &["coldkey", "netuid", "hotkey", "at"];
    method(all, "subnets_position", names, |call| {
        let (coldkey, netuid) = (call.required()?, call.required()?);
        let hotkey = call.required()?;
        let (api, at) = call.api()?;
        api.position(at, coldkey, netuid, hotkey)
            .map_err(unavailable)
    })
}
