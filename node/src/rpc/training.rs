//! The namespace `training_`: what is being trained.

use std::sync::Arc;

use cairn_primitives::{
    api::{ContributionInfo, LineageEntry, RoundInfo, RunInfo, SettledRound},
    Netuid, Round,
};
use cairn_runtime::{AccountId, Hash};
use cairn_runtime_api::TrainingApi;
use jsonrpsee_substrate::{core::RpcResult, proc_macros::rpc};
use sp_api::ProvideRuntimeApi;

use super::{block, unavailable};
use crate::service::Client;

/// What is being trained.
#[rpc(server, namespace = "training")]
pub trait Training {
    /// The subnet's run and its current round; null if none was started.
    #[method(name = "run")]
    fn run(&self, netuid: Netuid, at: Option<Hash>) -> RpcResult<Option<RunInfo<AccountId>>>;

    /// A round that is still kept.
    #[method(name = "round")]
    fn round(
        &self,
        netuid: Netuid,
        round: Round,
        at: Option<Hash>,
    ) -> RpcResult<Option<RoundInfo<AccountId>>>;

    /// The commitments of a round.
    #[method(name = "contributions")]
    fn contributions(
        &self,
        netuid: Netuid,
        round: Round,
        at: Option<Hash>,
    ) -> RpcResult<Vec<ContributionInfo<AccountId>>>;

    /// How a round ended; null while it has not.
    #[method(name = "settled")]
    fn settled(
        &self,
        netuid: Netuid,
        round: Round,
        at: Option<Hash>,
    ) -> RpcResult<Option<SettledRound>>;

    /// At most 256 state roots from round `from` on.
    #[method(name = "lineage")]
    fn lineage(
        &self,
        netuid: Netuid,
        from: Round,
        at: Option<Hash>,
    ) -> RpcResult<Vec<LineageEntry>>;
}

/// Answers from the runtime.
pub struct Rpc(pub Arc<Client>);

impl TrainingServer for Rpc {
    fn run(&self, netuid: Netuid, at: Option<Hash>) -> RpcResult<Option<RunInfo<AccountId>>> {
        let at = block(&self.0, at);
        self.0.runtime_api().run(at, netuid).map_err(unavailable)
    }

    fn round(
        &self,
        netuid: Netuid,
        round: Round,
        at: Option<Hash>,
    ) -> RpcResult<Option<RoundInfo<AccountId>>> {
        let at = block(&self.0, at);
        self.0
            .runtime_api()
            .round(at, netuid, round)
            .map_err(unavailable)
    }

    fn contributions(
        &self,
        netuid: Netuid,
        round: Round,
        at: Option<Hash>,
    ) -> RpcResult<Vec<ContributionInfo<AccountId>>> {
        let at = block(&self.0, at);
        self.0
            .runtime_api()
            .contributions(at, netuid, round)
            .map_err(unavailable)
    }

    fn settled(
        &self,
        netuid: Netuid,
        round: Round,
        at: Option<Hash>,
    ) -> RpcResult<Option<SettledRound>> {
        let at = block(&self.0, at);
        self.0
            .runtime_api()
            .settled(at, netuid, round)
            .map_err(unavailable)
    }

    fn lineage(
        &self,
        netuid: Netuid,
        from: Round,
        at: Option<Hash>,
    ) -> RpcResult<Vec<LineageEntry>> {
        let at = block(&self.0, at);
        self.0
            .runtime_api()
            .lineage(at, netuid, from)
            .map_err(unavailable)
    }
}
