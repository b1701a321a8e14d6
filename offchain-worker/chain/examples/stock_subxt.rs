//! A stock subxt against a Cairn node: it knows nothing of Cairn but what the metadata says. `make clients` runs it
//! beside the clients of `tests/clients` and reads one line of JSON for each step.

use std::{error::Error, future::Future, time::Duration};

use serde_json::{json, Value as Json};
use subxt::{
    client::ClientAtBlock,
    config::SubstrateConfig,
    dynamic,
    ext::scale_decode::DecodeAsType,
    rpcs::{client::RpcParams, rpc_params, RpcClient},
    utils::{AccountId32, H256},
    OnlineClient,
};
use subxt_signer::{sr25519::Keypair, SecretUri};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Deadline of a step.
const STEP: Duration = Duration::from_secs(60);

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct Subnet {
    owner: AccountId32,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct Run {
    config: RunConfig,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct StoredRun {
    started_at: u32,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct RunConfig {
    name: Vec<u8>,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct Schedule {
    cap: u64,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct Account {
    data: AccountData,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct AccountData {
    free: u64,
}

/// What there is on the chain, and the connections to it.
struct Client {
    world: Json,
    rpc: RpcClient,
    api: OnlineClient<SubstrateConfig>,
}

fn same<T: PartialEq + std::fmt::Debug>(found: T, wanted: T, what: &str) -> Outcome<()> {
    match found == wanted {
        true => Ok(()),
        false => Err(format!("{what} is {found:?}, not {wanted:?}").into()),
    }
}

/// The pebble in the first eight bytes of an answer in SCALE.
fn first_pebble(answer: &str) -> Outcome<u64> {
    let bytes = hex::decode(answer.trim_start_matches("0x"))?;
    let first = bytes.first_chunk().ok_or("the answer is too short")?;
    Ok(u64::from_le_bytes(*first))
}

impl Client {
    async fn connect(world: &Json) -> Outcome<Client> {
        let url = world["ws"].as_str().ok_or("no url")?;
        let rpc = RpcClient::from_insecure_url(url).await?;
        let api = OnlineClient::from_rpc_client(rpc.clone()).await?;
        let world = world.clone();
        let client = Client { world, rpc, api };
        let genesis = format!("{:?}", client.api.genesis_hash());
        same(genesis.as_str(), client.text("genesis")?, "the genesis")?;
        let spec = client.ask("state_getRuntimeVersion", rpc_params![]).await?;
        same(&spec["specName"], &json!("cairn"), "the name")?;
        let properties = client.ask("system_properties", rpc_params![]).await?;
        same(&properties["tokenSymbol"], &json!("CRN"), "the token")?;
        Ok(client)
    }

    fn text(&self, name: &str) -> Outcome<&str> {
        let found = self.world[name].as_str();
        found.ok_or_else(|| format!("no {name}").into())
    }

    fn netuid(&self) -> Outcome<u16> {
        let found = self.world["netuid"].as_u64().ok_or("no netuid")?;
        Ok(found.try_into()?)
    }

    fn account(&self, name: &str) -> Outcome<AccountId32> {
        Ok(self.text(name)?.parse()?)
    }

    async fn ask(&self, method: &str, params: RpcParams) -> Outcome<Json> {
        Ok(self.rpc.request(method, params).await?)
    }

    async fn storage(&self) -> Outcome<String> {
        let at = self.api.at_current_block().await?;
        let subnets = dynamic::storage::<(u16,), Subnet>("Subnets", "Subnets");
        let subnet = at.storage().fetch(subnets, (self.netuid()?,)).await?;
        same(subnet.decode()?.owner, self.account("owner")?, "the owner")?;
        let coldkeys = dynamic::storage::<([u8; 32],), AccountId32>("Subnets", "Coldkeys");
        let key = (self.account("hotkey")?.0,);
        let coldkey = at.storage().fetch(coldkeys, key).await?.decode()?;
        same(coldkey, self.account("owner")?, "the coldkey")?;
        let runs = dynamic::storage::<(u16,), StoredRun>("Training", "Runs");
        let mut runs = at.storage().iter(runs, ()).await?;
        let mut numbers = Vec::new();
        while let Some(run) = runs.next().await {
            let run = run?;
            numbers.push(run.key()?.decode()?.0);
            let started = run.value().decode()?.started_at;
            same(started > 0, true, "that the run was started")?;
        }
        same(numbers, vec![self.netuid()?], "the subnets with a run")?;
        Ok("Subnets.Subnets, Subnets.Coldkeys, Training.Runs".into())
    }

    async fn runtime_api(&self) -> Outcome<String> {
        let at = self.api.at_current_block().await?;
        let call =
            dynamic::runtime_api_call::<_, Vec<Subnet>>("SubnetsApi", "subnets", (0u16, 256u32));
        let subnets = at.runtime_apis().call(call).await?;
        let owner = subnets.into_iter().next().map(|subnet| subnet.owner);
        same(owner, Some(self.account("owner")?), "the owner")?;
        let netuid = (self.netuid()?,);
        let call = dynamic::runtime_api_call::<_, Option<Run>>("TrainingApi", "run", netuid);
        let run = at.runtime_apis().call(call).await?.ok_or("no run")?;
        let name = String::from_utf8(run.config.name)?;
        same(name.as_str(), self.text("run")?, "the run's name")?;
        let call = dynamic::runtime_api_call::<_, Schedule>("EmissionsApi", "schedule", ());
        let cap = at.runtime_apis().call(call).await?.cap;
        same(cap, self.text("cap")?.parse()?, "the cap")?;
        Ok("SubnetsApi.subnets, TrainingApi.run, EmissionsApi.schedule".into())
    }

    async fn state_call(&self) -> Outcome<String> {
        let call = async |method: &str, input: &str| -> Outcome<String> {
            let answer = self.ask("state_call", rpc_params![method, input]).await?;
            Ok(answer.as_str().ok_or("no bytes")?.to_string())
        };
        let price = call("SubnetsApi_creation_price", "0x").await?;
        same(
            first_pebble(&price)? > 0,
            true,
            "that a subnet costs something",
        )?;
        let run = call("TrainingApi_run", "0x0200").await?;
        same(run.as_str(), "0x00", "the run of subnet 2")?;
        let schedule = call("EmissionsApi_schedule", "0x").await?;
        same(
            first_pebble(&schedule)?,
            self.text("cap")?.parse()?,
            "the cap",
        )?;
        Ok("SubnetsApi_creation_price, TrainingApi_run, EmissionsApi_schedule".into())
    }

    async fn rpc(&self) -> Outcome<String> {
        let subnets = self.ask("subnets_list", rpc_params![]).await?;
        same(&subnets[0]["owner"], &self.world["owner"], "the owner")?;
        let run = self
            .ask("training_run", rpc_params![self.netuid()?])
            .await?;
        same(&run["config"]["name"], &self.world["run"], "the run's name")?;
        let schedule = self.ask("emissions_schedule", rpc_params![]).await?;
        same(&schedule["cap"], &self.world["cap"], "the cap")?;
        Ok("subnets_list, training_run, emissions_schedule".into())
    }

    /// Gives the block that has the transfer.
    async fn transfer(&self) -> Outcome<H256> {
        let sender = Keypair::from_uri(&self.text("sender")?.parse::<SecretUri>()?)?;
        let to: subxt::utils::MultiAddress<AccountId32, ()> = self.account("to")?.into();
        let amount: u64 = self.text("amount")?.parse()?;
        let call = dynamic::transaction("Balances", "transfer_keep_alive", (to, amount));
        let at = self.api.at_current_block().await?;
        let mut transactions = at.transactions();
        let sent = transactions.sign_and_submit_then_watch_default(&call, &sender);
        let included = sent.await?.wait_for_finalized().await?;
        let block = included.block_hash();
        let events = included.wait_for_success().await?;
        let arrived = events
            .iter()
            .filter_map(Result::ok)
            .any(|event| (event.pallet_name(), event.event_name()) == ("Balances", "Transfer"));
        same(arrived, true, "that there is a Balances.Transfer")?;
        let accounts = dynamic::storage::<([u8; 32],), Account>("System", "Account");
        let at = self.api.at_block(block).await?;
        let to = (self.account("to")?.0,);
        let account = at.storage().fetch(accounts, to).await?.decode()?;
        same(account.data.free, amount, "what arrived")?;
        Ok(block)
    }

    async fn block(&self, block: H256) -> Outcome<String> {
        let at: ClientAtBlock<_, _> = self.api.at_block(block).await?;
        let extrinsics = at.extrinsics().fetch().await?;
        let mut calls = Vec::new();
        for extrinsic in extrinsics.iter() {
            let extrinsic = extrinsic?;
            calls.push(format!(
                "{}.{}",
                extrinsic.pallet_name(),
                extrinsic.call_name()
            ));
        }
        for wanted in ["Timestamp.set", "Balances.transfer_keep_alive"] {
            let there = calls.iter().any(|call| call == wanted);
            same(there, true, &format!("that {wanted} is among {calls:?}"))?;
        }
        Ok(calls.join(", "))
    }

    async fn heads(&self) -> Outcome<String> {
        let finalized = self.api.stream_blocks().await?;
        let best = self.api.stream_best_blocks().await?;
        for (mut blocks, wanted) in [(finalized, 2), (best, 3)] {
            let mut last = None;
            for _ in 0..wanted {
                let number = blocks.next().await.ok_or("the stream ended")??.number();
                same(
                    Some(number) > last,
                    true,
                    "that heads come one after the other",
                )?;
                last = Some(number);
            }
        }
        Ok("3 heads".into())
    }
}

/// Does a step within its deadline and says how it went.
async fn step<T>(name: &str, action: impl Future<Output = Outcome<(T, String)>>) -> Option<T> {
    let outcome = match tokio::time::timeout(STEP, action).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("no answer in {} s", STEP.as_secs()).into()),
    };
    let (ok, detail, value) = match outcome {
        Ok((value, detail)) => (true, detail, Some(value)),
        Err(error) => (false, error.to_string(), None),
    };
    let version = std::env::var("CAIRN_CLIENT_VERSION").unwrap_or_default();
    let line = json!({
        "client": "subxt", "version": version, "step": name, "ok": ok, "detail": detail,
    });
    println!("{line}");
    value
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let world = std::env::var_os("CAIRN_WORLD").ok_or("make clients runs this")?;
    let world: Json = serde_json::from_slice(&std::fs::read(world)?)?;
    let connected = async {
        let client = Client::connect(&world).await?;
        Ok((client, "name, genesis, token".to_string()))
    };
    let Some(client) = step("connect", connected).await else {
        return Ok(());
    };
    let plain = |detail: Outcome<String>| detail.map(|detail| ((), detail));
    step("storage", async { plain(client.storage().await) }).await;
    step("runtime-api", async { plain(client.runtime_api().await) }).await;
    step("state-call", async { plain(client.state_call().await) }).await;
    step("rpc", async { plain(client.rpc().await) }).await;
    let sent = async {
        let block = client.transfer().await?;
        Ok((block, "signed, in a block, arrived".to_string()))
    };
    let block = step("transfer", sent).await;
    step("block", async {
        let block = block.ok_or("no transfer to look for")?;
        plain(client.block(block).await)
    })
    .await;
    step("heads", async { plain(client.heads().await) }).await;
    Ok(())
}
