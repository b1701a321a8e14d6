//! The namespace `endpoints_`: where members' files can be had.

use cairn_runtime_api::EndpointsApi;

use super::{
    method::{method, Method},
    parameters::{AT, NETUID},
    unavailable,
};

const MEMBERS: (&str, &str) = (
    "endpoints_members",
    "What the members of a subnet have named.",
);

/// The methods; the runtime answers.
pub fn methods(all: &mut Vec<Method>) {
    method(all, MEMBERS, &[NETUID, AT], |call| {
        let netuid = call.required()?;
        let (api, at) = call.api()?;
        api.endpoints(at, netuid).map_err(unavailable)
    });
}
