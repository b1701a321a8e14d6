//! The namespace `training_`: what is being trained.

use std::sync::Arc;

use cairn_runtime_api::TrainingApi;
use jsonrpsee_substrate::{core::RegisterMethodError, RpcModule};

use super::{method, unavailable};
use crate::service::Client;

/// The methods; the runtime answers.
pub fn module(client: Arc<Client>) -> Result<RpcModule<Arc<Client>>, RegisterMethodError> {
    let mut module = RpcModule::new(client);
    let all = &mut module;
    // The subnet's run and its current round; null if none was started.
    method(all, "training_run", &["netuid", "at"], |call| {
        let netuid = call.required()?;
        let (api, at) = call.api()?;
        api.run(at, netuid).map_err(unavailable)
    })?;
    // A round that is still kept.
    method(all, "training_round", &["netuid", "round", "at"], |call| {
        let (netuid, round) = (call.required()?, call.required()?);
        let (api, at) = call.api()?;
        api.round(at, netuid, round).map_err(unavailable)
    })?;
    // The commitments of a round.
    let names = &["netuid", "round", "at"];
    method(all, "training_contributions", names, |call| {
        let (netuid, round) = (call.required()?, call.required()?);
        let (api, at) = call.api()?;
        api.contributions(at, netuid, round).map_err(unavailable)
    })?;
    // How a round ended; null while it has not.
    method(all, "training_settled", names, |call| {
        let (netuid, round) = (call.required()?, call.required()?);
        let (api, at) = call.api()?;
        api.settled(at, netuid, round).map_err(unavailable)
    })?;
    // At most 256 model roots from round `from` on.
    method(all, "training_lineage", &["netuid", "from", "at"], |call| {
        let (netuid, from) = (call.required()?, call.required()?);
        let (api, at) = call.api()?;
        api.lineage(at, netuid, from).map_err(unavailable)
    })?;
    Ok(module)
}
