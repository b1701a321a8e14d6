//! What the node answers over JSON-RPC: Substrate's usual namespaces, and `subnets_`, `training_`,
//! `audits_`, `endpoints_` and `emissions_`, which are a thin skin over the runtime APIs of the same names.
//!
//! `rpc.discover` answers what methods of ours there are, in OpenRPC; docs/openrpc.json is that.
//!
//! Every method of ours takes an optional block hash last; without one the best block answers. Only a subscription
//! takes none: it follows the best block. Parameters are a list, or an object by name. Amounts are strings of pebble
//! (10⁻⁹ CRN).
//!
//! Lists that can be long come in pages: `limit` says how long one may be, and `from` where it begins, which for the
//! next page is one after the last number of this one.
//! What is not numbered goes on `after` the last item of the page before.
//!
//! Errors have these codes:
//!
//! | code | means |
//! |---|---|
//! | 1 | the state of that block is not kept here |
//! | 2 | there is no such subnet |
//! | 3 | there is no such member |
//! | 4 | this is no address |
//! | -32602 | another parameter is not what it should be: the message names it, and what is expected |

mod audits;
mod document;
mod emissions;
mod endpoints;
mod following;
mod method;
mod parameters;
mod schema;
mod subnets;
mod training;

use std::sync::Arc;

use cairn_primitives::{Netuid, Uid};
use cairn_runtime::{opaque::Block, AccountId, Hash};
use following::Following;
use jsonrpsee_substrate::{types::ErrorObjectOwned, RpcModule};
use method::Method;
use sc_consensus_babe::BabeWorkerHandle;
use sc_consensus_grandpa as grandpa;
use sp_keystore::KeystorePtr;

use crate::{
    address,
    service::{Backend, Client, Pool, SelectChain},
};

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
    use pallet_transaction_payment_rpc::{TransactionPayment, TransactionPaymentApiServer};
    use sc_consensus_babe_rpc::{Babe, BabeApiServer};
    use sc_consensus_grandpa_rpc::{Grandpa as GrandpaRpc, GrandpaApiServer};
    use substrate_frame_rpc_system::{System, SystemApiServer};

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
    let news = following::news(&client, &executor);
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
    let mut ours = RpcModule::new(client.clone());
    for method in methods() {
        method.register(&mut ours)?;
    }
    Following::new(news, client).register(&mut ours)?;
    let document = document::document();
    ours.register_method("rpc.discover", move |_, _, _| {
        Ok::<_, ErrorObjectOwned>(document.clone())
    })?;
    module.merge(ours)?;
    Ok(module)
}

/// All methods of ours.
fn methods() -> Vec<Method> {
    let mut all = Vec::new();
    subnets::methods(&mut all);
    training::methods(&mut all);
    audits::methods(&mut all);
    endpoints::methods(&mut all);
    emissions::methods(&mut all);
    all
}

/// The runtime could not be asked: most often the state of that block is no longer kept.
fn unavailable(error: impl std::fmt::Display) -> ErrorObjectOwned {
    failure(
        1,
        format!(
            "cannot read that block's state: {error}; ask for a newer block or an archive node"
        ),
    )
}

/// There is no such subnet.
fn no_subnet(netuid: Netuid) -> ErrorObjectOwned {
    failure(
        2,
        format!("there is no subnet {netuid}; subnets_list names them all"),
    )
}

/// There is no such member.
fn no_member(netuid: Netuid, uid: Uid) -> ErrorObjectOwned {
    failure(
        3,
        format!("there is no uid {uid} in subnet {netuid}; subnets_members names its members"),
    )
}

/// Reads an account.
fn read_account(text: &str) -> Result<AccountId, ErrorObjectOwned> {
    address::read(text).ok_or_else(|| {
        // What is quoted comes from outside: not at any length.
        let shown: String = text.chars().take(64).collect();
        failure(
            4,
            format!(
                "`{shown}` is not an address of this chain: addresses are SS58 and begin with 5 or cr"
            ),
        )
    })
}

fn failure(code: i32, message: String) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(code, message, None::<()>)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_account_is_refused_with_a_code_of_its_own() {
        for text in ["", "Alice", &"5".repeat(10_000)] {
            let error = read_account(text).expect_err(text);
            assert_eq!(error.code(), 4);
            assert!(error.message().contains("SS58") && error.message().len() < 200);
        }
    }
}
