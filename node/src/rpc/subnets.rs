//! The namespace `subnets_`: which subnets there are and who is in them.

use cairn_primitives::{Netuid, Uid, PER_PAGE};
use cairn_runtime::AccountId;
use cairn_runtime_api::SubnetsApi;

use super::{
    method::{method, Method},
    parameters::{AFTER, AFTER_HOTKEY, AT, COLDKEY, FROM_NETUID, FROM_UID, HOTKEY, LIMIT, NETUID},
    unavailable,
};

const LIST: (&str, &str) = (
    "subnets_list",
    "All subnets, ascending, from number `from` on: at most `limit`, of which 0 counts as 1, and more than 256 as 256.",
);
const SHOW: (&str, &str) = (
    "subnets_show",
    "One subnet; null if there is none of this number.",
);
const MEMBERS: (&str, &str) = (
    "subnets_members",
    "Who is in a subnet, ascending by uid, from uid `from` on, with role, stake, incentive and earnings: at most \
     `limit`, of which 0 counts as 1, and more than 256 as 256.",
);
const MEMBER: (&str, &str) = ("subnets_member", "One member; null if the hotkey is none.");
const POSITIONS: (&str, &str) = (
    "subnets_positions",
    "What a coldkey stands behind: at most 256 positions, from the first, or after the one on that subnet and hotkey.",
);
const POSITION: (&str, &str) = (
    "subnets_position",
    "What a coldkey has on one hotkey in one subnet; null if it has nothing there.",
);
const OF_HOTKEY: (&str, &str) = (
    "subnets_hotkey",
    "Whose a hotkey is, where it is a member, and what its owner takes.",
);
const HOTKEYS: (&str, &str) = (
    "subnets_hotkeys",
    "The hotkeys that a coldkey owns: at most 256, from the first, or after this one.",
);
const CREATION_PRICE: (&str, &str) = (
    "subnets_creationPrice",
    "What creating a subnet costs now, in pebble.",
);
const LIMITS: (&str, &str) = ("subnets_limits", "Limits that hold for everybody.");

/// The methods; the runtime answers.
pub fn methods(all: &mut Vec<Method>) {
    lists(all);
    method(all, SHOW, &[NETUID, AT], |call| {
        let netuid = call.required()?;
        let (api, at) = call.api()?;
        api.subnet(at, netuid).map_err(unavailable)
    });
    method(all, MEMBER, &[NETUID, HOTKEY, AT], |call| {
        let (netuid, hotkey) = (call.required()?, call.required()?);
        let (api, at) = call.api()?;
        api.member(at, netuid, hotkey).map_err(unavailable)
    });
    positions(all);
    method(all, HOTKEYS, &[COLDKEY, AFTER_HOTKEY, AT], |call| {
        let (coldkey, after) = (call.required()?, call.optional()?);
        let (api, at) = call.api()?;
        api.hotkeys(at, coldkey, after).map_err(unavailable)
    });
    method(all, OF_HOTKEY, &[HOTKEY, AT], |call| {
        let hotkey = call.required()?;
        let (api, at) = call.api()?;
        api.hotkey(at, hotkey).map_err(unavailable)
    });
    method(all, CREATION_PRICE, &[AT], |call| {
        let (api, at) = call.api()?;
        // These two have no argument from which the account type could be inferred.
        let price = SubnetsApi::<_, AccountId>::creation_price(&*api, at);
        price.map(|price| price.to_string()).map_err(unavailable)
    });
    method(all, LIMITS, &[AT], |call| {
        let (api, at) = call.api()?;
        SubnetsApi::<_, AccountId>::limits(&*api, at).map_err(unavailable)
    });
}

fn lists(all: &mut Vec<Method>) {
    method(all, LIST, &[FROM_NETUID, LIMIT, AT], |call| {
        let (from, limit) = call.page(Netuid(0), PER_PAGE)?;
        let (api, at) = call.api()?;
        api.subnets(at, from, limit).map_err(unavailable)
    });
    let parameters = &[NETUID, FROM_UID, LIMIT, AT];
    method(all, MEMBERS, parameters, |call| {
        let netuid = call.required()?;
        let (from, limit) = call.page(Uid(0), PER_PAGE)?;
        let (api, at) = call.api()?;
        api.members(at, netuid, from, limit).map_err(unavailable)
    });
}

fn positions(all: &mut Vec<Method>) {
    method(all, POSITIONS, &[COLDKEY, AFTER, AT], |call| {
        let (coldkey, after) = (call.required()?, call.optional()?);
        let (api, at) = call.api()?;
        api.positions(at, coldkey, after).map_err(unavailable)
    });
    method(all, POSITION, &[COLDKEY, NETUID, HOTKEY, AT], |call| {
        let (coldkey, netuid) = (call.required()?, call.required()?);
        let hotkey = call.required()?;
        let (api, at) = call.api()?;
        api.position(at, coldkey, netuid, hotkey)
            .map_err(unavailable)
    });
}
