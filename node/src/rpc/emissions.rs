//! The namespace `emissions_`: what the work was worth.

use std::sync::Arc;

use cairn_primitives::{
    api::{AccountEarning, Issuance, Schedule, SubnetEmission},
    Netuid,
};
use cairn_runtime::{AccountId, Hash};
use cairn_runtime_api::EmissionsApi;
use jsonrpsee_substrate::{core::RpcResult, proc_macros::rpc};
use sp_api::ProvideRuntimeApi;

use super::{block, unavailable};
use crate::service::Client;

/// What the work was worth.
#[rpc(server, namespace = "emissions")]
pub trait Emissions {
    /// How the token comes into being.
    #[method(name = "schedule")]
    fn schedule(&self, at: Option<Hash>) -> RpcResult<Schedule>;

    /// Where everything that was issued is.
    #[method(name = "issuance")]
    fn issuance(&self, at: Option<Hash>) -> RpcResult<Issuance>;

    /// A subnet's emission: share, pots, epochs.
    #[method(name = "subnet")]
    fn subnet(&self, netuid: Netuid, at: Option<Hash>) -> RpcResult<Option<SubnetEmission>>;

    /// What an account earned in which subnet, through the hotkeys it owns or as a hotkey itself.
    #[method(name = "account")]
    fn account(
        &self,
        account: AccountId,
        at: Option<Hash>,
    ) -> RpcResult<Vec<AccountEarning<AccountId>>>;
}

/// Answers from the runtime.
pub struct Rpc(pub Arc<Client>);

impl EmissionsServer for Rpc {
    fn schedule(&self, at: Option<Hash>) -> RpcResult<Schedule> {
        let at = block(&self.0, at);
        self.0.runtime_api().schedule(at).map_err(unavailable)
    }

    fn issuance(&self, at: Option<Hash>) -> RpcResult<Issuance> {
        let at = block(&self.0, at);
        self.0.runtime_api().issuance(at).map_err(unavailable)
    }

    fn subnet(&self, netuid: Netuid, at: Option<Hash>) -> RpcResult<Option<SubnetEmission>> {
        let at = block(&self.0, at);
        self.0
            .runtime_api()
            .emission(at, netuid)
            .map_err(unavailable)
    }

    fn account(
        &self,
        account: AccountId,
        at: Option<Hash>,
    ) -> RpcResult<Vec<AccountEarning<AccountId>>> {
        let at = block(&self.0, at);
        self.0
            .runtime_api()
            .account(at, account)
            .map_err(unavailable)
    }
}
