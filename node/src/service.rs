//! Puts the node together: client, transaction pool, BABE, GRANDPA, network, RPC.

use std::{sync::Arc, time::Duration};

use cairn_runtime::{opaque::Block, RuntimeApi};
use futures::FutureExt;
use sc_client_api::{Backend as _, BlockBackend};
use sc_consensus_babe::{BabeBlockImport, BabeLink, BabeWorkerHandle, SlotProportion};
use sc_consensus_grandpa as grandpa;
use sc_consensus_slots::BackoffAuthoringOnFinalizedHeadLagging;
use sc_network::{
    config::{NetworkBackendType, NetworkConfiguration},
    Litep2pNetworkBackend,
};
use sc_service::{
    error::Error as ServiceError, ChainType, Configuration, TaskManager, WarpSyncConfig,
};
use sc_telemetry::{Telemetry, TelemetryWorker};
use sc_transaction_pool_api::OffchainTransactionPoolFactory;
use sp_consensus_babe::inherents::BabeCreateInherentDataProviders;

use crate::{
    chain_spec::DEVNET,
    executor::{self, Executor},
    metrics,
    ports::speaks_webrtc,
    rpc, supervisor,
};

/// The full client.
pub type Client = sc_service::TFullClient<Block, RuntimeApi, Executor>;
/// Where blocks and state are kept.
pub type Backend = sc_service::TFullBackend<Block>;
/// The fork choice: the longest chain.
pub type SelectChain = sc_consensus::LongestChain<Backend, Block>;
/// Transactions that wait for a block.
pub type Pool = sc_transaction_pool::TransactionPoolHandle<Block, Client>;
type GrandpaImport = grandpa::GrandpaBlockImport<Backend, Block, Client, SelectChain>;
type InherentProviders = BabeCreateInherentDataProviders<Block>;
type BlockImport = BabeBlockImport<Block, Client, GrandpaImport, InherentProviders, SelectChain>;
type GrandpaLink = grandpa::LinkHalf<Block, Client, SelectChain>;

/// How many blocks apart GRANDPA's justifications are kept.
const JUSTIFICATION_PERIOD: u32 = 512;

/// Where nothing becomes final there is a block in this many slots at the least: what helps then is a referendum, and
/// that takes thousands of blocks.
const MOST_SLOTS_TO_A_BLOCK: u32 = 4;

/// What only the full service needs of the partial one.
pub struct Consensus {
    block_import: BlockImport,
    babe_link: BabeLink<Block>,
    babe_worker: BabeWorkerHandle<Block>,
    grandpa_link: GrandpaLink,
    telemetry: Option<Telemetry>,
}

/// The parts of a node that the commands on its database share with a running node.
pub type Partial = sc_service::PartialComponents<
    Client,
    Backend,
    SelectChain,
    sc_consensus::DefaultImportQueue<Block>,
    Pool,
    Consensus,
>;

/// Everything up to, but without, network and authorship.
pub fn new_partial(config: &Configuration) -> Result<Partial, ServiceError> {
    let telemetry = config
        .telemetry_endpoints
        .clone()
        .filter(|endpoints| !endpoints.is_empty())
        .map(|endpoints| -> Result<_, sc_telemetry::Error> {
            let worker = TelemetryWorker::new(16)?;
            let telemetry = worker.handle().new_telemetry(endpoints);
            Ok((worker, telemetry))
        })
        .transpose()?;
    let executor = executor::new(config);
    let (client, backend, keystore_container, task_manager) =
        sc_service::new_full_parts::<Block, RuntimeApi, _>(
            config,
            telemetry.as_ref().map(|(_, telemetry)| telemetry.handle()),
            executor,
            Vec::new(),
        )?;
    let client = Arc::new(client);
    let telemetry = telemetry.map(|(worker, telemetry)| {
        task_manager
            .spawn_handle()
            .spawn("telemetry", None, worker.run());
        telemetry
    });
    let select_chain = SelectChain::new(backend.clone());
    let transaction_pool = Arc::from(
        sc_transaction_pool::Builder::new(
            task_manager.spawn_essential_handle(),
            client.clone(),
            config.role.is_authority().into(),
        )
        .with_options(config.transaction_pool.clone())
        .with_prometheus(config.prometheus_registry())
        .build(),
    );
    let (grandpa_import, grandpa_link) = grandpa::block_import(
        client.clone(),
        JUSTIFICATION_PERIOD,
        &client,
        select_chain.clone(),
        telemetry.as_ref().map(Telemetry::handle),
    )?;
    let babe_config = sc_consensus_babe::configuration(&*client)?;
    let slot_duration = babe_config.slot_duration();
    let inherents: InherentProviders = Arc::new(move |_, _| {
        let timestamp = sp_timestamp::InherentDataProvider::from_system_time();
        let slot =
            sp_consensus_babe::inherents::InherentDataProvider::from_timestamp_and_slot_duration(
                *timestamp,
                slot_duration,
            );
        async move { Ok((slot, timestamp)) }.boxed()
    });
    let (block_import, babe_link) = sc_consensus_babe::block_import(
        babe_config,
        grandpa_import.clone(),
        client.clone(),
        inherents,
        select_chain.clone(),
        OffchainTransactionPoolFactory::new(transaction_pool.clone()),
    )?;
    let (import_queue, babe_worker) =
        sc_consensus_babe::import_queue(sc_consensus_babe::ImportQueueParams {
            link: babe_link.clone(),
            block_import: block_import.clone(),
            justification_import: Some(Box::new(grandpa_import)),
            client: client.clone(),
            slot_duration,
            spawner: &task_manager.spawn_essential_handle(),
            registry: config.prometheus_registry(),
            telemetry: telemetry.as_ref().map(Telemetry::handle),
        })?;
    Ok(Partial {
        client,
        backend,
        task_manager,
        keystore_container,
        select_chain,
        import_queue,
        transaction_pool,
        other: Consensus {
            block_import,
            babe_link,
            babe_worker,
            grandpa_link,
            telemetry,
        },
    })
}

/// WebRTC needs a TLS library in C, which this node does not have (`patches/README.md`).
fn refuse_webrtc(network: &NetworkConfiguration) -> Result<(), ServiceError> {
    let addresses = network
        .listen_addresses
        .iter()
        .chain(&network.public_addresses);
    match addresses.clone().find(|address| speaks_webrtc(address)) {
        Some(address) => Err(ServiceError::Other(format!(
            "this node does not speak WebRTC: leave {address} out, or listen on a tcp or a ws address"
        ))),
        None => Ok(()),
    }
}

/// A running node.
pub fn new_full(config: Configuration) -> Result<TaskManager, ServiceError> {
    if !matches!(config.network.network_backend, NetworkBackendType::Litep2p) {
        return Err(ServiceError::Other(
            "this node supports litep2p only: leave out --network-backend".into(),
        ));
    }
    refuse_webrtc(&config.network)?;
    let Partial {
        client,
        backend,
        mut task_manager,
        import_queue,
        keystore_container,
        select_chain,
        transaction_pool,
        other:
            Consensus {
                block_import,
                babe_link,
                babe_worker,
                grandpa_link,
                mut telemetry,
            },
    } = new_partial(&config)?;

    let metrics = <Litep2pNetworkBackend as sc_network::NetworkBackend<
        Block,
        cairn_runtime::Hash,
    >>::register_notification_metrics(config.prometheus_registry());
    let mut net_config =
        sc_network::config::FullNetworkConfiguration::<_, _, Litep2pNetworkBackend>::new(
            &config.network,
            config.prometheus_registry().cloned(),
        );
    let genesis_hash = client.block_hash(0)?.ok_or_else(|| {
        ServiceError::Other("the database holds no genesis block: purge the chain".into())
    })?;
    let grandpa_protocol = grandpa::protocol_standard_name(&genesis_hash, &config.chain_spec);
    let (grandpa_set, grandpa_notifications) =
        grandpa::grandpa_peers_set_config::<Block, Litep2pNetworkBackend>(
            grandpa_protocol.clone(),
            metrics.clone(),
            net_config.peer_store_handle(),
        );
    net_config.add_notification_protocol(grandpa_set);
    let warp_sync = Arc::new(grandpa::warp_proof::NetworkProvider::new(
        backend.clone(),
        grandpa_link.shared_authority_set().clone(),
        Default::default(),
    ));
    let (network, system_rpc_tx, tx_handler_controller, sync_service, _bitswap) =
        sc_service::build_network(sc_service::BuildNetworkParams {
            config: &config,
            net_config,
            client: client.clone(),
            transaction_pool: transaction_pool.clone(),
            spawn_handle: task_manager.spawn_handle(),
            spawn_essential_handle: task_manager.spawn_essential_handle(),
            import_queue,
            block_announce_validator_builder: None,
            warp_sync_config: Some(WarpSyncConfig::WithProvider(warp_sync)),
            block_relay: None,
            metrics,
            gap_sync_body_policy: None,
        })?;

    if config.offchain_worker.enabled {
        let workers = sc_offchain::OffchainWorkers::new(sc_offchain::OffchainWorkerOptions {
            runtime_api_provider: client.clone(),
            keystore: Some(keystore_container.keystore()),
            offchain_db: backend.offchain_storage(),
            transaction_pool: Some(OffchainTransactionPoolFactory::new(
                transaction_pool.clone(),
            )),
            network_provider: Arc::new(network.clone()),
            is_validator: config.role.is_authority(),
            enable_http_requests: false,
            custom_extensions: |_| Vec::new(),
        })?;
        task_manager.spawn_handle().spawn(
            "offchain-workers-runner",
            "offchain-work",
            workers
                .run(client.clone(), task_manager.spawn_handle())
                .boxed(),
        );
    }

    if let Some(registry) = config.prometheus_registry() {
        let shown = metrics::follow(client.clone(), registry)?;
        let spawner = task_manager.spawn_handle();
        spawner.spawn_blocking("chain-metrics", None, shown);
    }
    let fed = supervisor::feed(client.clone(), Arc::new(sync_service.clone()));
    let spawner = task_manager.spawn_handle();
    spawner.spawn("supervisor", None, fed);

    let role = config.role;
    let force_authoring = config.force_authoring;
    let is_development = config.chain_spec.chain_type() == ChainType::Development;
    let is_devnet = config.chain_spec.id() == DEVNET;
    let grandpa_enabled = !config.disable_grandpa;
    let name = config.network.node_name.clone();
    let prometheus = config.prometheus_registry().cloned();
    let keystore = keystore_container.keystore();
    let shared_voter_state = grandpa::SharedVoterState::empty();
    let rpc_builder = {
        let (client, pool, select_chain) = (
            client.clone(),
            transaction_pool.clone(),
            select_chain.clone(),
        );
        let keystore = keystore.clone();
        let grandpa = rpc::Grandpa {
            voter_state: shared_voter_state.clone(),
            authority_set: grandpa_link.shared_authority_set().clone(),
            justifications: grandpa_link.justification_stream(),
            finality: grandpa::FinalityProofProvider::new_for_service(
                backend.clone(),
                Some(grandpa_link.shared_authority_set().clone()),
            ),
        };
        Box::new(move |executor| {
            rpc::create(rpc::Deps {
                client: client.clone(),
                pool: pool.clone(),
                select_chain: select_chain.clone(),
                keystore: keystore.clone(),
                babe_worker: babe_worker.clone(),
                grandpa: grandpa.clone(),
                executor,
            })
            .map_err(Into::into)
        })
    };
    let _rpc_handlers = sc_service::spawn_tasks(sc_service::SpawnTasksParams {
        config,
        client: client.clone(),
        backend,
        task_manager: &mut task_manager,
        keystore: keystore.clone(),
        transaction_pool: transaction_pool.clone(),
        rpc_builder,
        network: network.clone(),
        system_rpc_tx,
        tx_handler_controller,
        sync_service: sync_service.clone(),
        telemetry: telemetry.as_mut(),
        tracing_execute_block: None,
    })?;

    if role.is_authority() {
        let proposer = sc_basic_authorship::ProposerFactory::new(
            task_manager.spawn_handle(),
            client.clone(),
            transaction_pool.clone(),
            prometheus.as_ref(),
            telemetry.as_ref().map(Telemetry::handle),
        );
        let slot_duration = babe_link.config().slot_duration();
        let babe = sc_consensus_babe::start_babe(sc_consensus_babe::BabeParams {
            keystore: keystore.clone(),
            client,
            select_chain,
            env: proposer,
            block_import,
            sync_oracle: sync_service.clone(),
            justification_sync_link: sync_service.clone(),
            create_inherent_data_providers: move |_, ()| async move {
                let timestamp = sp_timestamp::InherentDataProvider::from_system_time();
                let slot =
                    sp_consensus_babe::inherents::InherentDataProvider::from_timestamp_and_slot_duration(
                        *timestamp,
                        slot_duration,
                    );
                Ok((slot, timestamp))
            },
            force_authoring,
            backoff_authoring_blocks: Some(backoff()),
            babe_link,
            block_proposal_slot_portion: SlotProportion::new(0.5),
            max_block_proposal_slot_portion: None,
            telemetry: telemetry.as_ref().map(Telemetry::handle),
        })?;
        task_manager.spawn_essential_handle().spawn_blocking(
            "babe-proposer",
            Some("block-authoring"),
            babe,
        );
    }

    if grandpa_enabled {
        let voter = grandpa::run_grandpa_voter(grandpa::GrandpaParams {
            config: grandpa::Config {
                gossip_duration: gossip_duration(is_devnet),
                justification_generation_period: JUSTIFICATION_PERIOD,
                name: Some(name),
                observer_enabled: false,
                keystore: role.is_authority().then_some(keystore),
                local_role: role,
                telemetry: telemetry.as_ref().map(Telemetry::handle),
                protocol_name: grandpa_protocol,
            },
            link: grandpa_link,
            network,
            sync: Arc::new(sync_service),
            notification_service: grandpa_notifications,
            voting_rule: voting_rules(is_development).build(),
            prometheus_registry: prometheus,
            shared_voter_state,
            telemetry: telemetry.as_ref().map(Telemetry::handle),
            offchain_tx_pool_factory: OffchainTransactionPoolFactory::new(transaction_pool),
        })?;
        task_manager
            .spawn_essential_handle()
            .spawn_blocking("grandpa-voter", None, voter);
    }
    Ok(task_manager)
}

/// How much slower blocks come the longer none becomes final.
fn backoff() -> BackoffAuthoringOnFinalizedHeadLagging<u32> {
    BackoffAuthoringOnFinalizedHeadLagging {
        // It waits for so many, and takes the next one.
        max_interval: MOST_SLOTS_TO_A_BLOCK.saturating_sub(1),
        ..Default::default()
    }
}

/// How long what is gossiped takes to reach all: a round of votes takes four times as long, and each leaves a record.
/// Elsewhere as usual; on a devnet, which lives for minutes, one authority votes, and nobody has to be waited for.
fn gossip_duration(is_devnet: bool) -> Duration {
    Duration::from_millis(match is_devnet {
        true => 100,
        false => 333,
    })
}

/// Which blocks are voted for: as everywhere two behind the best one, which may still be replaced; on a development
/// chain, where one authority makes all, that one.
fn voting_rules(is_development: bool) -> grandpa::VotingRulesBuilder<Block, Client> {
    match is_development {
        true => grandpa::VotingRulesBuilder::new(),
        false => grandpa::VotingRulesBuilder::default(),
    }
}

#[cfg(test)]
mod tests {
    use sc_consensus_slots::BackoffAuthoringBlocksStrategy;

    use super::*;

    #[test]
    fn without_finality_there_is_a_block_in_four_slots() {
        let head = 100;
        let waits =
            |slot: u64| backoff().should_backoff(1_000, head.into(), 0, slot.into(), "test");
        let most = u64::from(MOST_SLOTS_TO_A_BLOCK);
        assert!(waits(head + most - 1) && !waits(head + most));
    }
}
