//! The namespace `audits_`: whether work is what it claims.

use std::sync::Arc;

use cairn_runtime_api::AuditsApi;
use jsonrpsee_substrate::{core::RegisterMethodError, RpcModule};

use super::{method, unavailable};
use crate::service::Client;

/// The methods; the runtime answers.
pub fn module(client: Arc<Client>) -> Result<RpcModule<Arc<Client>>, RegisterMethodError> {
    let mut module = RpcModule::new(client);
    let all = &mut module;
    // The open audits of a subnet.
    method(all, "audits_open", &["netuid", "at"], |call| {
        let netuid = call.required()?;
        let (api, at) = call.api()?;
        api.open(at, netuid).map_err(unavailable)
    })?;
    // How the audit of a contribution ended; null if it was not audited.
    let names = &["netuid", "round", "uid", "at"];
    method(all, "audits_outcome", names, |call| {
        let (netuid, round, uid) = (call.required()?, call.required()?, call.required()?);
        let (api, at) = call.api()?;
        api.outcome(at, netuid, round, uid).map_err(unavailable)
    })?;
    Ok(module)
}
