//! The namespace `training_`: what is being trained.

use cairn_primitives::{Uid, PER_PAGE};
use cairn_runtime_api::TrainingApi;

use super::{
    method::{method, Method},
    parameters::{AT, FROM_ROUND, FROM_UID, LIMIT, NETUID, ROUND},
    unavailable,
};

const RUN: (&str, &str) = (
    "training_run",
    "The subnet's run and its current round; null if none was started.",
);
const OF_ROUND: (&str, &str) = (
    "training_round",
    "A round that is still kept; null if there is none of this number, or no more.",
);
const CONTRIBUTIONS: (&str, &str) = (
    "training_contributions",
    "The commitments of a round, ascending by uid, from uid `from` on: at most `limit`, of which 0 counts as 1, and \
     more than 256 as 256.",
);
const SETTLED: (&str, &str) = (
    "training_settled",
    "How a round ended; null while it has not.",
);
const LINEAGE: (&str, &str) = (
    "training_lineage",
    "At most 256 model roots from round `from` on.",
);

/// The methods; the runtime answers.
pub fn methods(all: &mut Vec<Method>) {
    method(all, RUN, &[NETUID, AT], |call| {
        let netuid = call.required()?;
        let (api, at) = call.api()?;
        api.run(at, netuid).map_err(unavailable)
    });
    method(all, OF_ROUND, &[NETUID, ROUND, AT], |call| {
        let (netuid, round) = (call.required()?, call.required()?);
        let (api, at) = call.api()?;
        api.round(at, netuid, round).map_err(unavailable)
    });
    let parameters = &[NETUID, ROUND, FROM_UID, LIMIT, AT];
    method(all, CONTRIBUTIONS, parameters, |call| {
        let (netuid, round) = (call.required()?, call.required()?);
        let (from, limit) = call.page(Uid(0), PER_PAGE)?;
        let (api, at) = call.api()?;
        api.contributions(at, netuid, round, from, limit)
            .map_err(unavailable)
    });
    method(all, SETTLED, &[NETUID, ROUND, AT], |call| {
        let (netuid, round) = (call.required()?, call.required()?);
        let (api, at) = call.api()?;
        api.settled(at, netuid, round).map_err(unavailable)
    });
    method(all, LINEAGE, &[NETUID, FROM_ROUND, AT], |call| {
        let (netuid, from) = (call.required()?, call.required()?);
        let (api, at) = call.api()?;
        api.lineage(at, netuid, from).map_err(unavailable)
    });
}
