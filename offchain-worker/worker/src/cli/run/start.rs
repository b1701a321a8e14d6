//! `cairn run start`: what is checked before a run goes on chain, and what is said of it.

use std::path::PathBuf;

use cairn_chain::{AccountId, Call, Client, Patience, RunInfo, Settings, SubnetInfo};
use cairn_data::check_relays;
use cairn_primitives::{BlockNumber, Netuid, RunConfig, H256};
use cairn_store::{
    guard::{self, Origin},
    Store,
};
use clap::Args;
use serde::Serialize;

use super::{
    super::{
        args::{parse_hash, JsonArg, KeyArgs, NetuidArg, NodeArgs, StoreArg},
        look::no_subnet,
        print,
        reach::relays,
        refusal::Asked,
        signer::Signer,
    },
    describe,
};
use crate::{error::Failure, roles::idle::waits_for, run_file::RunFile, shards, unseen};

/// `cairn run start`.
#[derive(Args, Debug)]
pub struct Start {
    /// The run's configuration
    #[arg(long, env = "CAIRN_RUN_FILE", value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    store: StoreArg,
    /// Root of the data set's manifest; needed if the file does not name it and the store has several
    #[arg(long, env = "CAIRN_MANIFEST", value_name = "HASH", value_parser = parse_hash)]
    manifest: Option<H256>,
    /// A relay by which the run's peers reach each other where no port is open, up to 4, or none: it goes into the data
    /// set's manifest [default: what the file says, or else the manifest]
    #[arg(long, env = "CAIRN_RELAY", value_name = "URL", value_delimiter = ',')]
    relay: Vec<String>,
    /// Only check the configuration, its data and, if a node answers, the subnet; start nothing
    #[arg(long, env = "CAIRN_CHECK", value_parser = clap::builder::BoolishValueParser::new())]
    check: bool,
    #[command(flatten)]
    netuid: NetuidArg,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Serialize)]
struct Started {
    netuid: Netuid,
    started: bool,
    parameters: u64,
    relays: Vec<String>,
    config: RunConfig,
    chain: OnChain,
}

/// What the chain said before.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum OnChain {
    /// The subnet takes the run.
    Checked {
        /// The block as of which.
        block: BlockNumber,
        /// The key that may start it.
        owner: AccountId,
        /// Whether the key that signs is the owner's; null if none was named.
        owned: Option<bool>,
        /// What the run's first round would wait for; null if for nothing.
        waits_for: Option<String>,
    },
    /// Nobody was asked.
    NotAsked {
        /// Why.
        why: String,
    },
}

impl Start {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        let netuid = self.netuid.netuid;
        let signer = self.signer()?;
        let store = Store::open(&self.store.store)?;
        let file = RunFile::read(&self.file)?;
        let relays = self.relays(&file)?;
        let client = self.connect().await?;
        // What the chain says takes a moment; reading all of the data may take long.
        let chain = match &client {
            Ok(client) => on_chain(client, netuid, signer.as_ref()).await?,
            Err(why) => OnChain::NotAsked { why: why.clone() },
        };
        let (mut config, parameters) = file.resolve(&store, self.manifest).await?;
        self.check_named_store(&config).await?;
        let relays = shards::name_relays(&mut config, relays, &store, !self.check).await?;
        // Those of a manifest that somebody else made, too.
        check_public(&relays)?;
        if !self.check {
            self.check_named_manifest(&config).await?;
        }
        if let (false, Ok(client), Some(signer)) = (self.check, &client, &signer) {
            let asked = Asked::new(client, signer).on(netuid);
            asked.submit(&Call::start_run(netuid, &config)).await?;
        }
        let started = Started {
            netuid,
            started: !self.check,
            parameters: parameters.len() as u64,
            relays,
            config,
            chain,
        };
        print(self.json.json, &started, Started::text)
    }

    /// The key that signs. A check does not need one.
    fn signer(&self) -> Result<Option<Signer>, Failure> {
        if self.check && !self.key.is_named() {
            return Ok(None);
        }
        self.key.signer().map(Some)
    }

    /// The node; for a check, a node that is down is no error, but said.
    async fn connect(&self) -> Result<Result<Client, String>, Failure> {
        match Client::connect_to(
            &self.node.node,
            self.node.genesis,
            Settings::default(),
            Patience::NONE,
        )
        .await
        {
            Ok(client) => Ok(Ok(client)),
            Err(error) if self.check && error.is_transient() => Ok(Err(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// The relays that the run's manifest is to name; `None` for those that it names.
    fn relays(&self, file: &RunFile) -> Result<Option<Vec<String>>, Failure> {
        let named = relays(&self.relay).or_else(|| file.relays().map(<[String]>::to_vec));
        let Some(named) = named else {
            return Ok(None);
        };
        check_relays(&named)?;
        check_public(&named)?;
        Ok(Some(named))
    }

    /// The store where the file says that workers read the data, if that is another one.
    fn named_store(&self, config: &RunConfig) -> Option<String> {
        let named = config.data.store.to_text();
        (!named.is_empty() && named != self.store.store).then_some(named)
    }

    /// Workers read the manifest where the file says: what relays made of it must be there as well.
    async fn check_named_manifest(&self, config: &RunConfig) -> Result<(), Failure> {
        let Some(named) = self.named_store(config) else {
            return Ok(());
        };
        let read = async {
            let store = Store::open(&named)?;
            let manifest = shards::manifest(&store, config.data.manifest_root).await;
            manifest.map(|_| ())
        };
        let doing = "the manifest that names the relays, in [data] store: copy it there";
        read.await
            .map_err(|error: Failure| Failure::during(doing, error))
    }

    /// Workers read the data where the file says: it must be there as well.
    async fn check_named_store(&self, config: &RunConfig) -> Result<(), Failure> {
        let Some(named) = self.named_store(config) else {
            return Ok(());
        };
        let read = async {
            let store = Store::open(&named)?;
            let manifest = shards::manifest(&store, config.data.manifest_root).await?;
            unseen::check_named(&manifest, config.inner.sequence_length, &store).await?;
            shards::load(&store, &manifest).await.map(|_| ())
        };
        let doing = "[data] store, from which workers read";
        read.await
            .map_err(|error: Failure| Failure::during(doing, error))
    }
}

/// A run sends members to public hosts only.
fn check_public(relays: &[String]) -> Result<(), Failure> {
    let is_inside = |url: &&String| guard::check(url, Origin::Chain).is_err();
    let Some(url) = relays.iter().find(is_inside) else {
        return Ok(());
    };
    let what = format!("the relay {url} is no public host, and a run sends members to no other");
    let remedy =
        "name others by --relay, or none, and have members name it themselves, by --p2p-relay";
    Err(Failure::new(what, remedy))
}

/// Asks whether the run can be started now.
async fn on_chain(
    client: &Client,
    netuid: Netuid,
    signer: Option<&Signer>,
) -> Result<OnChain, Failure> {
    let best = client.best().await?;
    let view = client.at(best.hash);
    let subnet = view.subnet(netuid).await?;
    let subnet = subnet.ok_or_else(|| no_subnet(netuid))?;
    let signer = signer.map(Signer::account);
    refuse(&subnet, view.run(netuid).await?.as_ref(), signer)?;
    Ok(OnChain::Checked {
        block: best.number,
        owner: subnet.owner,
        owned: signer.map(|signer| signer == subnet.owner),
        waits_for: waits_for(&subnet, &view.members(netuid).await?),
    })
}

/// Why the chain would not take a run there.
fn refuse(
    subnet: &SubnetInfo,
    run: Option<&RunInfo>,
    signer: Option<AccountId>,
) -> Result<(), Failure> {
    let netuid = subnet.netuid;
    if let Some(from) = subnet.dissolves_from {
        let what = format!("subnet {netuid} is being dissolved, from block {from} on");
        return Err(Failure::new(what, "start the run on another subnet"));
    }
    if let Some(signer) = signer.filter(|signer| *signer != subnet.owner) {
        let what = format!(
            "subnet {netuid} is owned by {}, not by {signer}",
            subnet.owner
        );
        return Err(Failure::new(what, "name the owner's wallet with --key"));
    }
    if let Some(run) = run {
        let what = format!(
            "subnet {netuid} has the run `{}` since block {}",
            run.config.name.to_text(),
            run.started_at
        );
        let remedy = format!("stop it first: `cairn run stop --netuid {netuid}`");
        return Err(Failure::new(what, remedy));
    }
    if subnet.is_clearing_run {
        let what = format!("subnet {netuid} is still removing what its last run left");
        return Err(Failure::new(what, "try again in a few blocks"));
    }
    Ok(())
}

impl Started {
    fn text(&self) -> String {
        let (name, netuid) = (self.config.name.to_text(), self.netuid);
        let mut text = match (&self.chain, self.started) {
            (_, true) => format!("run `{name}` started on subnet {netuid}\n"),
            (OnChain::Checked { block, .. }, false) => {
                format!("run `{name}` could be started on subnet {netuid}, as of block {block}\n")
            }
            (OnChain::NotAsked { why }, false) => format!(
                "run `{name}` fits its data\n\
                 the chain was NOT asked whether subnet {netuid} takes it: {why}\n"
            ),
        };
        if let OnChain::Checked {
            owner,
            owned,
            waits_for,
            ..
        } = &self.chain
        {
            if owned.is_none() {
                text += &format!(
                    "only its owner {owner} can; name the key with --key to have it checked\n"
                );
            }
            text += &match waits_for {
                Some(what) => format!("its first round waits for {what}\n"),
                None => "its first round begins in the block after its start\n".into(),
            };
        }
        text += &describe(&self.config);
        if !self.relays.is_empty() {
            text += &format!("  relays       {}\n", self.relays.join(", "));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roles::testing::{a_run, a_subnet};

    fn owner() -> AccountId {
        a_subnet().owner
    }

    #[test]
    fn a_subnet_of_ones_own_without_a_run_takes_one() {
        assert!(refuse(&a_subnet(), None, Some(owner())).is_ok());
        assert!(refuse(&a_subnet(), None, None).is_ok());
    }

    #[test]
    fn a_run_sends_nobody_to_relays_inside_a_network() {
        let of =
            |urls: &[&str]| check_public(&urls.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert!(of(&[]).is_ok() && of(&["https://relay.example"]).is_ok());
        for inside in [
            "https://10.0.0.1",
            "https://127.0.0.1",
            "http://relay.example",
        ] {
            let text = of(&["https://relay.example", inside])
                .unwrap_err()
                .to_string();
            assert!(text.contains(inside) && text.contains("--relay"), "{text}");
        }
    }

    #[test]
    fn what_the_chain_would_refuse_is_said_with_names() {
        let dissolving = SubnetInfo {
            dissolves_from: Some(77),
            ..a_subnet()
        };
        let clearing = SubnetInfo {
            is_clearing_run: true,
            ..a_subnet()
        };
        let other = AccountId([1; 32]);
        let cases = [
            (refuse(&clearing, None, None), "what its last run left"),
            (
                refuse(&dissolving, None, None),
                "being dissolved, from block 77",
            ),
            (refuse(&a_subnet(), None, Some(other)), "is owned by"),
            (
                refuse(&a_subnet(), Some(&a_run()), None),
                "has the run `test` since block 1",
            ),
        ];
        for (refused, words) in cases {
            let text = refused.unwrap_err().to_string();
            assert!(text.contains("subnet 7") && text.contains(words), "{text}");
        }
    }

    #[test]
    fn a_check_that_did_not_ask_the_chain_says_so() {
        let started = |chain| Started {
            netuid: Netuid(99),
            started: false,
            parameters: 1,
            relays: vec!["https://relay.example".into()],
            config: a_run().config,
            chain,
        };
        let why = "no node answers".to_string();
        let text = started(OnChain::NotAsked { why }).text();
        assert!(
            text.contains("NOT asked") && !text.contains("could be started"),
            "{text}"
        );
        assert!(
            text.ends_with("relays       https://relay.example\n"),
            "{text}"
        );
        let checked = OnChain::Checked {
            block: 5,
            owner: owner(),
            owned: None,
            waits_for: Some("a miner".into()),
        };
        let text = started(checked).text();
        assert!(
            text.contains("could be started on subnet 99, as of block 5"),
            "{text}"
        );
        assert!(
            text.contains("only its owner") && text.contains("waits for a miner"),
            "{text}"
        );
    }
}
