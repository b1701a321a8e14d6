//! What the node answers over JSON-RPC: Substrate's usual namespaces, and `subnets_`, `training_` and
//! `emissions_`, which are a thin skin over the runtime APIs of the same names.
//!
//! Every method of ours takes an optional block hash last; without one the best block answers. Amounts are
//! strings of pebble (10⁻⁹ CRN).

mod emissions;
mod subnets;
mod training;

use std::sync::Arc;

use cairn_runtime::{opaque::Block, Hash};
use jsonrpsee_substrate::{types::ErrorObjectOwned, RpcModule};
use sc_consensus_babe::BabeWorkerHandle;
use sc_consensus_grandpa as grandpa;
use sp_blockchain::HeaderBackend;
use sp_keystore::KeystorePtr;

use crate::service::{Backend, Client, Pool, SelectChain};

/// What finality questions need.
#[derive(Clone)]
pub struct Grandpa {
    /// The state of the voting round.
    pub voter_state: grandpa::SharedVoterState,
    /// Who votes.
    pub authority_set: grandpa::SharedAuthoritySet<Hash, u32>,
    /// Justifications as they come.
    pub justifications: grandpa::GrandpaJustificationStream<Block>,
    /// Proofs of finality.
    pub finality: Arc<grandpa::FinalityProofProvider<Backend, Block>>,
}

/// What the methods need.
pub struct Deps {
    /// The client.
    pub client: Arc<Client>,
    /// The transaction pool.
    pub pool: Arc<Pool>,
    /// The fork choice.
    pub select_chain: SelectChain,
    /// The node's keys.
    pub keystore: KeystorePtr,
    /// Asks BABE about its epochs.
    pub babe_worker: BabeWorkerHandle<Block>,
    /// Finality.
    pub grandpa: Grandpa,
    /// Runs subscriptions.
    pub executor: sc_rpc::SubscriptionTaskExecutor,
}

/// All methods.
pub fn create(deps: Deps) -> Result<RpcModule<()>, Box<dyn std::error::Error + Send + Sync>> {
    use emissions::EmissionsServer;
    use pallet_transaction_payment_rpc::{TransactionPayment, TransactionPaymentApiServer};
    use sc_consensus_babe_rpc::{Babe, BabeApiServer};
    use sc_consensus_grandpa_rpc::{Grandpa as GrandpaRpc, GrandpaApiServer};
    use subnets::SubnetsServer;
    use substrate_frame_rpc_system::{System, SystemApiServer};
    use training::TrainingServer;

    let Deps {
        client,
        pool,
        select_chain,
        keystore,
        babe_worker,
        grandpa,
        executor,
    } = deps;
    let mut module = RpcModule::new(());
    module.merge(System::new(client.clone(), pool).into_rpc())?;
    module.merge(TransactionPayment::new(client.clone()).into_rpc())?;
    module.merge(Babe::new(client.clone(), babe_worker, keystore, select_chain).into_rpc())?;
    module.merge(
        GrandpaRpc::new(
            executor,
            grandpa.authority_set,
            grandpa.voter_state,
            grandpa.justifications,
            grandpa.finality,
        )
        .into_rpc(),
    )?;
    module.merge(subnets::Rpc(client.clone()).into_rpc())?;
    module.merge(training::Rpc(client.clone()).into_rpc())?;
    module.merge(emissions::Rpc(client).into_rpc())?;
    Ok(module)
}

/// The block to answer from.
fn block(client: &Client, at: Option<Hash>) -> Hash {
    at.unwrap_or_else(|| client.info().best_hash)
}

/// The runtime could not be asked: most often the state of that block is no longer kept.
fn unavailable(error: impl std::fmt::Display) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(
        1,
        format!(
            "cannot read that block's state: {error}; ask for a newer block or an archive node"
        ),
        None::<()>,
    )
}
