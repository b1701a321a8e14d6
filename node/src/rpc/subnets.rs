//! The namespace `subnets_`: which subnets there are and who is in them.

use std::sync::Arc;

use cairn_primitives::{
    api::{MemberInfo, Position, SubnetInfo},
    Netuid,
};
use cairn_runtime::{AccountId, Hash};
use cairn_runtime_api::SubnetsApi;
use jsonrpsee_substrate::{core::RpcResult, proc_macros::rpc};
use sp_api::ProvideRuntimeApi;

use super::{block, unavailable};
use crate::service::Client;

/// Which subnets there are and who is in them.
#[rpc(server, namespace = "subnets")]
pub trait Subnets {
    /// All subnets.
    #[method(name = "list")]
    fn list(&self, at: Option<Hash>) -> RpcResult<Vec<SubnetInfo<AccountId>>>;

    /// One subnet; null if there is none of this number.
    #[method(name = "show")]
    fn show(&self, netuid: Netuid, at: Option<Hash>) -> RpcResult<Option<SubnetInfo<AccountId>>>;

    /// Who is in a subnet, with role, stake, incentive and earnings.
    #[method(name = "members")]
    fn members(&self, netuid: Netuid, at: Option<Hash>) -> RpcResult<Vec<MemberInfo<AccountId>>>;

    /// One member; null if the hotkey is none.
    #[method(name = "member")]
    fn member(
        &self,
        netuid: Netuid,
        hotkey: AccountId,
        at: Option<Hash>,
    ) -> RpcResult<Option<MemberInfo<AccountId>>>;

    /// What a coldkey stands behind: at most 256 positions, from the first, or after the one on that subnet and
    /// hotkey.
    #[method(name = "positions")]
    fn positions(
        &self,
        coldkey: AccountId,
        after: Option<(Netuid, AccountId)>,
        at: Option<Hash>,
    ) -> RpcResult<Vec<Position<AccountId>>>;

    /// What a coldkey has on one hotkey in one subnet; null if it has nothing there.
    #[method(name = "position")]
    fn position(
        &self,
        coldkey: AccountId,
        netuid: Netuid,
        hotkey: AccountId,
        at: Option<Hash>,
    ) -> RpcResult<Option<Position<AccountId>>>;

    /// What creating a subnet costs now, in pebble.
    #[method(name = "creationPrice")]
    fn creation_price(&self, at: Option<Hash>) -> RpcResult<String>;
}

/// Answers from the runtime.
pub struct Rpc(pub Arc<Client>);

impl SubnetsServer for Rpc {
    fn list(&self, at: Option<Hash>) -> RpcResult<Vec<SubnetInfo<AccountId>>> {
        let at = block(&self.0, at);
        self.0.runtime_api().subnets(at).map_err(unavailable)
    }

    fn show(&self, netuid: Netuid, at: Option<Hash>) -> RpcResult<Option<SubnetInfo<AccountId>>> {
        let at = block(&self.0, at);
        self.0.runtime_api().subnet(at, netuid).map_err(unavailable)
    }

    fn members(&self, netuid: Netuid, at: Option<Hash>) -> RpcResult<Vec<MemberInfo<AccountId>>> {
        let at = block(&self.0, at);
        self.0
            .runtime_api()
            .members(at, netuid)
            .map_err(unavailable)
    }

    fn member(
        &self,
        netuid: Netuid,
        hotkey: AccountId,
        at: Option<Hash>,
    ) -> RpcResult<Option<MemberInfo<AccountId>>> {
        let at = block(&self.0, at);
        self.0
            .runtime_api()
            .member(at, netuid, hotkey)
            .map_err(unavailable)
    }

    fn positions(
        &self,
        coldkey: AccountId,
        after: Option<(Netuid, AccountId)>,
        at: Option<Hash>,
    ) -> RpcResult<Vec<Position<AccountId>>> {
        let at = block(&self.0, at);
        self.0
            .runtime_api()
            .positions(at, coldkey, after)
            .map_err(unavailable)
    }

    fn position(
        &self,
        coldkey: AccountId,
        netuid: Netuid,
        hotkey: AccountId,
        at: Option<Hash>,
    ) -> RpcResult<Option<Position<AccountId>>> {
        let at = block(&self.0, at);
        self.0
            .runtime_api()
            .position(at, coldkey, netuid, hotkey)
            .map_err(unavailable)
    }

    fn creation_price(&self, at: Option<Hash>) -> RpcResult<String> {
        let at = block(&self.0, at);
        let api = self.0.runtime_api();
        // `SubnetsApi::creation_price` has no argument from which the account type could be inferred.
        let price = SubnetsApi::<_, AccountId>::creation_price(&*api, at);
        price.map(|price| price.to_string()).map_err(unavailable)
    }
}
