//! The namespace `endpoints_`: where members' files can be had.

use cairn_primitives::{Uid, PER_PAGE};
use cairn_runtime_api::EndpointsApi;

use super::{
    method::{method, Method},
    parameters::{AT, FROM_UID, LIMIT, NETUID},
    unavailable,
};

const MEMBERS: (&str, &str) = (
    "endpoints_members",
    "What the members of a subnet have named, ascending by uid, from uid `from` on: of at most `limit`, of which 0 \
     counts as 1, and more than 256 as 256.",
);

/// The methods; the runtime answers.
pub fn methods(all: &mut Vec<Method>) {
    let parameters = &[NETUID, FROM_UID, LIMIT, AT];
    method(all, MEMBERS, parameters, |call| {
        let netuid = call.required()?;
        let (from, limit) = call.page(Uid(0), PER_PAGE)?;
        let (api, at) = call.api()?;
        api.endpoints(at, netuid, from, limit).map_err(unavailable)
    });
}
