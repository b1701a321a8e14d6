//! The namespace `audits_`: whether work is what it claims.

use cairn_runtime_api::AuditsApi;

use super::{
    method::{method, Method},
    parameters::{AT, NETUID, ROUND, UID},
    unavailable,
};

const OPEN: (&str, &str) = ("audits_open", "The audits of a subnet that are not over.");
const OUTCOME: (&str, &str) = (
    "audits_outcome",
    "How the audit of a contribution ended; null if it was not audited.",
);

/// The methods; the runtime answers.
pub fn methods(all: &mut Vec<Method>) {
    method(all, OPEN, &[NETUID, AT], |call| {
        let netuid = call.required()?;
        let (api, at) = call.api()?;
        api.open(at, netuid).map_err(unavailable)
    });
    method(all, OUTCOME, &[NETUID, ROUND, UID, AT], |call| {
        let (netuid, round, uid) = (call.required()?, call.required()?, call.required()?);
        let (api, at) = call.api()?;
        api.outcome(at, netuid, round, uid).map_err(unavailable)
    });
}
