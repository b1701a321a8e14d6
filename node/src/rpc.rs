//! What the node answers over JSON-RPC: Substrate's usual namespaces, and `subnets_`, `training_`,
//! `audits_`, `endpoints_` and `emissions_`, which are a thin skin over the runtime APIs of the same names.
//!
//! Every method of ours takes an optional block hash last; without one the best block answers. Parameters are a list,
//! or an object by name. Amounts are strings of pebble (10⁻⁹ CRN). Errors have these codes:
//!
//! | code | means |
//! |---|---|
//! | 1 | the state of that block is not kept here |
//! | 2 | there is no such subnet |
//! | 3 | there is no such member |
//! | 4 | this is no address |
//! | -32602 | another parameter is not what it should be: the message names it, and what is expected |

mod audits;
mod emissions;
mod endpoints;
mod parameters;
mod subnets;
mod training;

use std::sync::Arc;

use cairn_primitives::{Netuid, Uid};
use cairn_runtime::{opaque::Block, AccountId, Hash};
use jsonrpsee_substrate::{
    core::{RegisterMethodError, RpcResult},
    types::{ErrorObjectOwned, Params},
    RpcModule,
};
use parameters::{Parameter, Parameters};
use sc_consensus_babe::BabeWorkerHandle;
use sc_consensus_grandpa as grandpa;
use serde::Serialize;
use sp_api::{ApiRef, ProvideRuntimeApi};
use sp_blockchain::HeaderBackend;
use sp_core::crypto::Ss58Codec;
use sp_keystore::KeystorePtr;

use crate::service::{Backend, Client, Pool, SelectChain};

/// What the runtime answers.
type Api = <Client as ProvideRuntimeApi<Block>>::Api;

/// The prefix of this chain's addresses.
const SS58_PREFIX: u16 = 42;

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
    module.merge(subnets::module(client.clone())?)?;
    module.merge(training::module(client.clone())?)?;
    module.merge(audits::module(client.clone())?)?;
    module.merge(endpoints::module(client.clone())?)?;
    module.merge(emissions::module(client)?)?;
    Ok(module)
}

/// A call of a method of ours.
struct Call<'a> {
    client: &'a Client,
    parameters: Parameters,
}

impl<'a> Call<'a> {
    /// The next parameter, which has to be there.
    fn required<T: Parameter>(&mut self) -> RpcResult<T> {
        self.parameters.required()
    }

    /// The next parameter, which may be null or left out.
    fn optional<T: Parameter>(&mut self) -> RpcResult<Option<T>> {
        self.parameters.optional()
    }

    /// The last parameter of every method: who is asked, and the block to answer from.
    fn api(&mut self) -> RpcResult<(ApiRef<'a, Api>, Hash)> {
        let at = self.optional()?;
        let at = at.unwrap_or_else(|| self.client.info().best_hash);
        Ok((self.client.runtime_api(), at))
    }
}

/// Adds a method that has these parameters.
fn method<Answer: Serialize + Clone + 'static>(
    module: &mut RpcModule<Arc<Client>>,
    name: &'static str,
    parameters: &'static [&'static str],
    answer: impl Fn(&mut Call<'_>) -> RpcResult<Answer> + Send + Sync + 'static,
) -> Result<(), RegisterMethodError> {
    let called = move |params: Params<'_>, client: &Arc<Client>, _: &_| -> RpcResult<Answer> {
        let parameters = Parameters::new(&params, parameters)?;
        answer(&mut Call { client, parameters })
    };
    module.register_method(name, called).map(|_| ())
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

/// Reads an account: an SS58 address with the prefix 42, or 0x and 64 hexadecimal digits.
fn read_account(text: &str) -> Result<AccountId, ErrorObjectOwned> {
    let hexadecimal = text.starts_with("0x").then(|| text.parse().ok());
    hexadecimal
        .unwrap_or_else(|| {
            let (account, prefix) = AccountId::from_ss58check_with_version(text).ok()?;
            (u16::from(prefix) == SS58_PREFIX).then_some(account)
        })
        .ok_or_else(|| {
            // What is quoted comes from outside: not at any length.
            let shown: String = text.chars().take(64).collect();
            failure(
                4,
                format!("`{shown}` is not an address of this chain: addresses are SS58 and begin with 5"),
            )
        })
}

fn failure(code: i32, message: String) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(code, message, None::<()>)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    const ALICE_HEX: &str = "0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";

    #[test]
    fn an_account_is_an_address_or_a_public_key() {
        let alice = read_account(ALICE).expect("an address");
        assert_eq!(read_account(ALICE_HEX), Ok(alice));
    }

    #[test]
    fn what_is_no_account_is_refused_with_a_code_of_its_own() {
        let elsewhere = "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5";
        let long = "5".repeat(10_000);
        for text in [
            "",
            "Alice",
            &ALICE[1..],
            &ALICE_HEX[..20],
            "0x",
            elsewhere,
            &long,
        ] {
            let error = read_account(text).expect_err(text);
            assert_eq!(error.code(), 4);
            assert!(error.message().contains("SS58") && error.message().len() < 200);
        }
    }
}
