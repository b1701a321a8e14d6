//! The namespace `endpoints_`: where members' files can be had.

use std::sync::Arc;

use cairn_runtime_api::EndpointsApi;
use jsonrpsee_substrate::{core::RegisterMethodError, RpcModule};

use super::{method, unavailable};
use crate::service::Client;

/// The methods; the runtime answers.
pub fn module(client: Arc<Client>) -> Result<RpcModule<Arc<Client>>, RegisterMethodError> {
    let mut module = RpcModule::new(client);
    let all = &mut module;
    // What the members of a subnet have named.
    method(all, "endpoints_members", &["netuid", "at"], |call| {
        let netuid = call.required()?;
        let (api, at) = call.api()?;
        api.endpoints(at, netuid).map_err(unavailable)
    })?;
    Ok(module)
}
