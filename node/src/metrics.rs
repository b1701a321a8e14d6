//! What the chain is about, for Prometheus: rounds, who attested, pots. It is served beside the client's own metrics,
//! where `--prometheus-port` says.
//!
//! The runtime answers as of each new best block. [`samples`] makes numbers of its answers, [`gauges`] shows them.

mod gauges;
mod samples;

use std::sync::Arc;

use cairn_primitives::{Netuid, PER_PAGE};
use cairn_runtime::{opaque::Block, AccountId};
use cairn_runtime_api::{EmissionsApi, SubnetsApi, TrainingApi};
use futures::{FutureExt, StreamExt};
use sc_client_api::BlockchainEvents;
use sp_api::{ApiError, ProvideRuntimeApi};
use substrate_prometheus_endpoint::{PrometheusError, Registry};

use self::{
    gauges::Gauges,
    samples::{of_chain, of_subnet, Sample, SubnetFacts},
};
use crate::service::Client;

type Hash = <Block as sp_runtime::traits::Block>::Hash;

/// Subnets that are shown, the first ones: each is a label, and labels cost whoever stores them.
const MOST_SUBNETS: u32 = PER_PAGE;
/// Rounds before the last one whose losses are looked at, should validators not have agreed on those since.
const LOSS_ROUNDS: u32 = 16;

/// Follows the best block for as long as the node runs.
///
/// # Errors
/// If a metric cannot be registered.
pub fn follow(
    client: Arc<Client>,
    registry: &Registry,
) -> Result<impl std::future::Future<Output = ()>, PrometheusError> {
    let mut gauges = Gauges::register(registry)?;
    Ok(async move {
        let mut imported = client.import_notification_stream();
        while let Some(mut block) = imported.next().await {
            // Of those that came meanwhile the last one that is the best counts.
            while let Some(Some(later)) = imported.next().now_or_never() {
                if later.is_new_best {
                    block = later;
                }
            }
            if !block.is_new_best {
                continue;
            }
            match look(&client, block.hash) {
                Ok(samples) => gauges.show(samples),
                Err(error) => log::debug!(target: "metrics", "the runtime did not answer: {error}"),
            }
        }
    })
}

/// Asks the runtime.
fn look(client: &Client, at: Hash) -> Result<Vec<Sample>, ApiError> {
    let api = client.runtime_api();
    let issuance = EmissionsApi::<_, AccountId>::issuance(&*api, at)?;
    let mut samples = of_chain(&issuance);
    let subnets = SubnetsApi::<_, AccountId>::subnets(&*api, at, Netuid(0), MOST_SUBNETS)?;
    for subnet in subnets {
        let netuid = subnet.netuid;
        let run = TrainingApi::<_, AccountId>::run(&*api, at, netuid)?;
        let last = run.as_ref().and_then(|run| run.round.round.checked_sub(1));
        let settled = match last {
            Some(last) => TrainingApi::<_, AccountId>::settled(&*api, at, netuid, last)?,
            None => None,
        };
        let lineage = match last.map(|last| last.saturating_sub(LOSS_ROUNDS)) {
            Some(from) => TrainingApi::<_, AccountId>::lineage(&*api, at, netuid, from)?,
            None => Vec::new(),
        };
        samples.extend(of_subnet(&SubnetFacts {
            subnet,
            run: run.map(|run| (run.round, run.absent.len())),
            settled,
            lineage,
            emission: EmissionsApi::<_, AccountId>::emission(&*api, at, netuid)?,
        }));
    }
    Ok(samples)
}

#[cfg(test)]
mod tests;
