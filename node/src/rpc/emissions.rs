//! The namespace `emissions_`: what the work was worth.

use std::sync::Arc;

use cairn_primitives::{
    api::{
        AccountEarning, EpochPage, Issuance, MemberEmission, MemberEpoch, Schedule, SubnetEmission,
        SubnetEpoch,
    },
    EpochIndex, Netuid, Uid, HISTORY_EPOCHS,
};
use cairn_runtime::{AccountId, Hash};
use cairn_runtime_api::EmissionsApi;
use jsonrpsee_substrate::{core::RpcResult, proc_macros::rpc};
use serde::Serialize;
use sp_api::ProvideRuntimeApi;

use super::{block, no_member, no_subnet, read_account, unavailable};
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
    fn subnet(&self, netuid: Netuid, at: Option<Hash>) -> RpcResult<SubnetEmission>;

    /// A member: its shares in the last epoch, and what it earned.
    #[method(name = "member")]
    fn member(
        &self,
        netuid: Netuid,
        uid: Uid,
        at: Option<Hash>,
    ) -> RpcResult<MemberEmission<AccountId>>;

    /// What an account has and earned in which subnet, through the hotkeys that it owns, stands behind, or is:
    /// at most 256 of each. `subnets_positions` goes on where an account stands behind more.
    #[method(name = "account")]
    fn account(
        &self,
        account: String,
        at: Option<Hash>,
    ) -> RpcResult<Vec<AccountEarning<AccountId>>>;

    /// The last 64 epochs of a subnet or, with a uid, of a member, oldest first: at most `limit` from number
    /// `from` on. `next` is where the next page begins.
    #[method(name = "history")]
    fn history(
        &self,
        netuid: Netuid,
        uid: Option<Uid>,
        from: Option<EpochIndex>,
        limit: Option<u32>,
        at: Option<Hash>,
    ) -> RpcResult<History>;
}

/// A page of epochs.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum History {
    /// Of a subnet.
    Subnet(EpochPage<SubnetEpoch>),
    /// Of a member.
    Member(EpochPage<MemberEpoch>),
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

    fn subnet(&self, netuid: Netuid, at: Option<Hash>) -> RpcResult<SubnetEmission> {
        let at = block(&self.0, at);
        let emission = self.0.runtime_api().emission(at, netuid);
        emission
            .map_err(unavailable)?
            .ok_or_else(|| no_subnet(netuid))
    }

    fn member(
        &self,
        netuid: Netuid,
        uid: Uid,
        at: Option<Hash>,
    ) -> RpcResult<MemberEmission<AccountId>> {
        let at = block(&self.0, at);
        let member = self.0.runtime_api().member_emission(at, netuid, uid);
        match member.map_err(unavailable)? {
            Some(member) => Ok(member),
            None => Err(self.nobody(netuid, uid, at)),
        }
    }

    fn account(
        &self,
        account: String,
        at: Option<Hash>,
    ) -> RpcResult<Vec<AccountEarning<AccountId>>> {
        let account = read_account(&account)?;
        let at = block(&self.0, at);
        self.0
            .runtime_api()
            .account(at, account)
            .map_err(unavailable)
    }

    fn history(
        &self,
        netuid: Netuid,
        uid: Option<Uid>,
        from: Option<EpochIndex>,
        limit: Option<u32>,
        at: Option<Hash>,
    ) -> RpcResult<History> {
        let at = block(&self.0, at);
        let (api, from) = (self.0.runtime_api(), from.unwrap_or(0));
        let limit = limit.unwrap_or(HISTORY_EPOCHS);
        match uid {
            None => api
                .subnet_history(at, netuid, from, limit)
                .map_err(unavailable)?
                .map(History::Subnet)
                .ok_or_else(|| no_subnet(netuid)),
            Some(uid) => api
                .member_history(at, netuid, uid, from, limit)
                .map_err(unavailable)?
                .map(History::Member)
                .ok_or_else(|| self.nobody(netuid, uid, at)),
        }
    }
}

impl Rpc {
    /// Why there is no such member: it may be the subnet that is not there.
    fn nobody(
        &self,
        netuid: Netuid,
        uid: Uid,
        at: Hash,
    ) -> jsonrpsee_substrate::types::ErrorObjectOwned {
        match self.0.runtime_api().emission(at, netuid) {
            Ok(Some(_)) => no_member(netuid, uid),
            Ok(None) => no_subnet(netuid),
            Err(error) => unavailable(error),
        }
    }
}
