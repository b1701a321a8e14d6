//! The namespace `audits_`: whether work is what it claims.

use cairn_primitives::PER_PAGE;
use cairn_runtime_api::AuditsApi;

use super::{
    method::{method, Method},
    parameters::{AFTER_AUDIT, AT, LIMIT, NETUID, ROUND, UID},
    unavailable,
};

const OPEN: (&str, &str) = (
    "audits_open",
    "The audits of a subnet that are not over, ascending by round and uid, from the first, or after the one of that round \
     and uid: at most `limit`, of which 0 counts as 1, and more than 256 as 256.",
);
const OUTCOME: (&str, &str) = (
    "audits_outcome",
    "How the audit of a contribution ended; null if it was not audited.",
);

/// The methods; the runtime answers.
pub fn methods(all: &mut Vec<Method>) {
    method(all, OPEN, &[NETUID, AFTER_AUDIT, LIMIT, AT], |call| {
        let (netuid, after) = (call.required()?, call.optional()?);
        let limit: Option<u32> = call.optional()?;
        let (api, at) = call.api()?;
        api.open(at, netuid, after, limit.unwrap_or(PER_PAGE))
            .map_err(unavailable)
    });
    method(all, OUTCOME, &[NETUID, ROUND, UID, AT], |call| {
        let (netuid, round, uid) = (call.required()?, call.required()?, call.required()?);
        let (api, at) = call.api()?;
        api.outcome(at, netuid, round, uid).map_err(unavailable)
    });
}
