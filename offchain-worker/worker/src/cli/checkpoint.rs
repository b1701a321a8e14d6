//! Which parameters of a run a command is about, and where they are found.

use std::{collections::BTreeMap, path::PathBuf};

use cairn_data::{root, TextTokenizer};
use cairn_primitives::{
    BlockNumber, Layout, ModelRoot, ModelShape, Netuid, Round, RunConfig, H256,
};
use cairn_store::{paths, Store, StoreError};
use clap::Args;

use super::args::{NetuidArg, NodeArgs};
use crate::{
    error::Failure,
    parameters::{of_file, of_store, Rooted},
    progress::progress,
    roles::chain::Chain,
    run_file::RunFile,
    serving::Origin,
    shards,
};

/// Which parameters.
#[derive(Args, Debug)]
pub struct CheckpointArgs {
    /// Parameters to use: a file, or a path in the store [default: the newest whose root is final on chain]
    #[arg(long, env = "CAIRN_CHECKPOINT", value_name = "PATH")]
    checkpoint: Option<String>,
    /// Take the model from this run configuration instead of asking the chain; needs --checkpoint
    #[arg(
        long,
        env = "CAIRN_RUN_FILE",
        value_name = "FILE",
        requires = "checkpoint"
    )]
    file: Option<PathBuf>,
    /// Use the run that was stopped last, although another goes on
    #[arg(long, env = "CAIRN_STOPPED", value_parser = clap::builder::BoolishValueParser::new())]
    stopped: bool,
    /// The model's tokenizer.json [default: the run's, from the store]
    #[arg(long, env = "CAIRN_TOKENIZER", value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    #[command(flatten)]
    netuid: NetuidArg,
    #[command(flatten)]
    node: NodeArgs,
}

/// Parameters that were found.
pub struct Found {
    /// The model's shape.
    pub shape: ModelShape,
    /// Its parameters, in the order of its layout.
    pub parameters: Vec<f32>,
    /// Its tokenizer, if that is known.
    pub tokenizer: Option<TextTokenizer>,
    /// Where they come from.
    pub origin: Origin,
    /// How they were trained.
    pub about: About,
}

/// What is known of a run besides its parameters.
#[derive(Clone, Debug)]
pub struct About {
    /// The genesis hash of the chain, if that was asked.
    pub genesis: Option<H256>,
    /// The run's configuration, without its data: a file may leave that out.
    pub config: RunConfig,
    /// The root of its data's manifest, if that is known.
    pub manifest_root: Option<H256>,
    /// The root of its tokenizer, if that is known.
    pub tokenizer_root: Option<H256>,
    /// Windows of its data, if that is known.
    pub windows: Option<u64>,
}

/// What is known of a run.
pub(crate) struct Known {
    about: About,
    /// What the chain has of it.
    on_chain: Option<OnChain>,
}

impl From<OnChain> for Known {
    fn from(on_chain: OnChain) -> Known {
        let data = &on_chain.config.data;
        let about = About {
            genesis: Some(on_chain.genesis),
            config: on_chain.config.clone(),
            manifest_root: Some(data.manifest_root),
            tokenizer_root: Some(data.tokenizer_root),
            windows: Some(data.windows),
        };
        let on_chain = Some(on_chain);
        Known { about, on_chain }
    }
}

/// What the chain has of a run, or kept of one that was stopped.
pub(crate) struct OnChain {
    genesis: H256,
    config: RunConfig,
    /// The block at which it was stopped.
    stopped_at: Option<BlockNumber>,
    /// Final roots and the rounds that began with them, the newest first.
    roots: Vec<(Round, ModelRoot)>,
}

impl OnChain {
    /// The run that goes on on a subnet, after the block `at`.
    ///
    /// # Errors
    /// If the chain does not answer.
    pub(crate) async fn live<C: Chain>(
        chain: &C,
        at: H256,
        netuid: Netuid,
    ) -> Result<Option<OnChain>, Failure> {
        let Some(run) = chain.run(at, netuid).await? else {
            return Ok(None);
        };
        let lineage = chain.lineage(at, netuid, run.oldest_round).await?;
        let known = lineage.iter().rev().filter(|entry| entry.is_final);
        Ok(Some(OnChain {
            genesis: chain.genesis(),
            config: run.config,
            stopped_at: None,
            roots: known.map(|entry| (entry.round, entry.model_root)).collect(),
        }))
    }
}

impl CheckpointArgs {
    /// Finds them, in the store and on chain.
    ///
    /// # Errors
    /// If there is no such run or no such checkpoint, or if something in the store is not what it should be.
    pub async fn find(&self, store: &Store) -> Result<Found, Failure> {
        self.find_of(store, self.known().await?).await
    }

    /// The same of a run of which this is known.
    pub(crate) async fn find_of(&self, store: &Store, known: Known) -> Result<Found, Failure> {
        let tokenizer = self.tokenizer(store, &known).await?;
        let (round, (parameters, model_root)) = {
            let _told = progress("reading the parameters", 0);
            self.parameters(store, &known).await?
        };
        let on_chain = known.on_chain.as_ref();
        let origin = Origin {
            run: Some(known.about.config.name.to_text()),
            netuid: on_chain.map(|_| self.netuid.netuid),
            round,
            model_root,
            stopped_at: on_chain.and_then(|run| run.stopped_at),
        };
        Ok(Found {
            shape: known.about.config.model.clone(),
            parameters,
            tokenizer,
            origin,
            about: known.about,
        })
    }

    /// Whether nothing says which parameters are meant: then the newest are, and newer ones may come.
    pub fn follows(&self) -> bool {
        self.checkpoint.is_none() && !self.stopped
    }

    /// The root of the newest parameters in the store whose root is final on chain, if they are newer than those with
    /// the root `held`. They are not read.
    ///
    /// # Errors
    /// If the chain or the store does not answer.
    pub async fn newer_than(
        &self,
        store: &Store,
        held: ModelRoot,
    ) -> Result<Option<ModelRoot>, Failure> {
        self.newer_of(store, &self.on_chain().await?, held).await
    }

    /// The same of a run of which the chain has this.
    pub(crate) async fn newer_of(
        &self,
        store: &Store,
        run: &OnChain,
        held: ModelRoot,
    ) -> Result<Option<ModelRoot>, Failure> {
        let files = files(store, self.netuid.netuid).await?;
        Ok(newer(&run.roots, &files, held))
    }

    async fn known(&self) -> Result<Known, Failure> {
        if let Some(file) = &self.file {
            let file = RunFile::read(file)?;
            let about = About {
                genesis: None,
                config: file.unfilled(),
                manifest_root: file.manifest_root(),
                tokenizer_root: file.tokenizer_root(),
                windows: file.windows(),
            };
            let on_chain = None;
            return Ok(Known { about, on_chain });
        }
        Ok(Known::from(self.on_chain().await?))
    }

    /// The subnet's run, or the one that was stopped last.
    async fn on_chain(&self) -> Result<OnChain, Failure> {
        let netuid: Netuid = self.netuid.netuid;
        let client = self.node.connect().await?;
        let view = client.at_best().await?;
        if view.subnet(netuid).await?.is_none() {
            return Err(Failure::new(
                format!("there is no subnet {netuid}"),
                "name another with --netuid (`cairn subnet ls` lists them), or, if it was dissolved, its run file \
                 and a checkpoint with --file and --checkpoint",
            ));
        }
        if !self.stopped {
            if let Some(run) = OnChain::live(&client, view.block_hash(), netuid).await? {
                return Ok(run);
            }
        }
        let ended = view.ended_run(netuid).await?.ok_or_else(|| {
            let what = match self.stopped {
                true => format!("no run was ever stopped on subnet {netuid}"),
                false => format!("subnet {netuid} has never had a run"),
            };
            Failure::new(
                what,
                "see `cairn run show`, or name a run with --file and --checkpoint",
            )
        })?;
        let roots = ended.final_roots.iter();
        Ok(OnChain {
            genesis: client.genesis_hash(),
            roots: roots.map(|known| (known.round, known.model_root)).collect(),
            stopped_at: Some(ended.stopped_at),
            config: ended.config,
        })
    }

    /// The tokenizer with which the run's data was prepared.
    async fn tokenizer(
        &self,
        store: &Store,
        known: &Known,
    ) -> Result<Option<TextTokenizer>, Failure> {
        let tokenizer = match (&self.tokenizer, known.about.tokenizer_root) {
            (Some(path), expected) => {
                let tokenizer = TextTokenizer::read(path)?;
                let roots = [root(tokenizer.file()), root(&std::fs::read(path)?)];
                if let Some(expected) = expected.filter(|expected| !roots.contains(expected)) {
                    let what = format!(
                        "{} is not the run's tokenizer, which has the root {expected:?}",
                        path.display()
                    );
                    return Err(Failure::new(
                        what,
                        "leave --tokenizer out to take it from the store",
                    ));
                }
                tokenizer
            }
            (None, Some(root)) => TextTokenizer::parse(&shards::tokenizer(store, root).await?)?,
            (None, None) => return Ok(None),
        };
        let (found, most) = (tokenizer.vocabulary(), known.about.config.model.vocabulary);
        if found > most {
            let what = format!("the tokenizer has {found} tokens, the model knows {most}");
            return Err(Failure::new(
                what,
                "name the run's tokenizer with --tokenizer",
            ));
        }
        Ok(Some(tokenizer))
    }

    /// The parameters, and the round that began with them if that is known.
    async fn parameters(
        &self,
        store: &Store,
        known: &Known,
    ) -> Result<(Option<Round>, Rooted), Failure> {
        let netuid = self.netuid.netuid;
        let expected = Layout::of(&known.about.config.model).parameters() as u64 * 4;
        if let Some(path) = &self.checkpoint {
            let file = PathBuf::from(path);
            let parameters = match file.is_file() {
                true => tokio::task::spawn_blocking(move || of_file(&file, expected)).await??,
                false => of_store(store, path, expected).await?,
            };
            let round = paths::parse_checkpoint(netuid.get(), path).map(|(round, _)| round);
            return Ok((round, parameters));
        }
        let Some(run) = &known.on_chain else {
            return Err(Failure::new(
                "no parameters are named",
                "name them with --checkpoint",
            ));
        };
        let (round, parameters) = newest(store, netuid, run, expected).await?;
        Ok((Some(round), parameters))
    }
}

/// The newest parameters in the store whose root is final on chain. The same parameters may lie there under another
/// round's number: null rounds leave them as they are.
async fn newest(
    store: &Store,
    netuid: Netuid,
    run: &OnChain,
    expected: u64,
) -> Result<(Round, Rooted), Failure> {
    let files = files(store, netuid).await?;
    for (round, root) in &run.roots {
        let Some(file) = files.get(root.bytes()) else {
            continue;
        };
        let prefix = paths::checkpoints(netuid.get(), *file);
        match blob(store, &prefix, *root, expected).await {
            Ok(parameters) => return Ok((*round, parameters)),
            Err(error) => tracing::warn!("{error}; passed over"),
        }
    }
    // Nothing was learned yet, or ever: the parameters are the first ones, which the configuration describes.
    match run.roots.first() {
        Some((round, root)) if *root == run.config.initial_root => {
            let parameters = shards::verified_parameters(&run.config, store).await?;
            Ok((*round, (parameters, *root)))
        }
        _ => Err(no_checkpoint(store, netuid, run)),
    }
}

/// The checkpoints in the store: the round of each root's.
async fn files(store: &Store, netuid: Netuid) -> Result<BTreeMap<[u8; 32], Round>, Failure> {
    let listed = store.list(&paths::all_checkpoints(netuid.get())).await?;
    let listed = listed
        .iter()
        .filter_map(|entry| paths::parse_checkpoint(netuid.get(), &entry.path));
    Ok(listed.map(|(round, root)| (root, round)).collect())
}

/// The newest root, of those before `held`, that has a file. `roots` has the newest first.
fn newer(
    roots: &[(Round, ModelRoot)],
    files: &BTreeMap<[u8; 32], Round>,
    held: ModelRoot,
) -> Option<ModelRoot> {
    let roots = roots.iter().map(|(_, root)| *root);
    let mut newer = roots.take_while(|root| *root != held);
    newer.find(|root| files.contains_key(root.bytes()))
}

fn no_checkpoint(store: &Store, netuid: Netuid, run: &OnChain) -> Failure {
    let newest = run.roots.first().map_or(String::new(), |(round, root)| {
        format!(" (the newest would be checkpoints/{netuid}/{round}-{root:?})").replace("-0x", "-")
    });
    let what = format!(
        "the store {} has no checkpoint of subnet {netuid} whose root is final on chain{newest}",
        store.url()
    );
    let remedy = match run.stopped_at {
        None => "wait for the next one, or name one with --checkpoint",
        Some(_) => {
            "name the run's own store with --store, or one of its checkpoints with --checkpoint"
        }
    };
    Failure::new(what, remedy)
}

/// The parameters of a blob, whose root is compared.
async fn blob(
    store: &Store,
    prefix: &str,
    root: ModelRoot,
    expected: u64,
) -> Result<Rooted, Failure> {
    let path = paths::blob(prefix, root.bytes());
    let Some(directory) = store.directory() else {
        let (parameters, found) = of_store(store, &path, expected).await?;
        if found != root {
            let (store, found) = (store.url().to_string(), hex::encode(found.bytes()));
            return Err(StoreError::RootMismatch { store, path, found }.into());
        }
        return Ok((parameters, root));
    };
    let path = directory.join(path);
    let read = move || {
        let (parameters, found) = of_file(&path, expected)?;
        match found == root {
            true => Ok((parameters, root)),
            false => {
                let what = format!("{} has the root {found:?}", path.display());
                Err(Failure::new(
                    what,
                    "delete it, and let a validator publish it again",
                ))
            }
        }
    };
    tokio::task::spawn_blocking(read).await?
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use cairn_gradient::model_root;
    use cairn_primitives::InitialParameters;
    use cairn_trainer::initial_parameters;

    use super::*;

    const NETUID: Netuid = Netuid(3);

    /// A store, and what the chain kept of a stopped run whose first parameters are those of seed 1.
    async fn stopped(directory: &Path, roots: &[(Round, ModelRoot)]) -> (Store, OnChain) {
        let store = Store::create_in(directory).unwrap();
        let config = crate::run_file::example();
        let on_chain = OnChain {
            genesis: H256::zero(),
            config,
            stopped_at: Some(9),
            roots: roots.to_vec(),
        };
        (store, on_chain)
    }

    /// Puts parameters into the store as those of a round, and gives their root.
    async fn put(store: &Store, round: Round, parameters: &[f32]) -> ModelRoot {
        let bytes: Vec<u8> = parameters.iter().flat_map(|x| x.to_le_bytes()).collect();
        let prefix = paths::checkpoints(NETUID.get(), round);
        ModelRoot::from(store.put_blob(&prefix, bytes.into()).await.unwrap())
    }

    fn length(run: &OnChain) -> u64 {
        Layout::of(&run.config.model).parameters() as u64 * 4
    }

    #[tokio::test]
    async fn a_stopped_runs_newest_final_parameters_are_found_under_any_rounds_number() {
        let directory = tempfile::tempdir().unwrap();
        let (store, mut run) = stopped(directory.path(), &[]).await;
        let (old, new, other) = (
            parameters(&run, 2),
            parameters(&run, 3),
            parameters(&run, 4),
        );
        // Round 7 was a null round: its parameters are those of round 6, and lie under that number.
        let (old_root, new_root) = (put(&store, 5, &old).await, put(&store, 6, &new).await);
        put(&store, 8, &other).await;
        run.roots = vec![(7, new_root), (6, new_root), (5, old_root)];
        let found = newest(&store, NETUID, &run, length(&run)).await.unwrap();
        assert_eq!((found.0, found.1 .0 == new), (7, true));
        // A damaged file is passed over.
        let name = paths::blob(&paths::checkpoints(NETUID.get(), 6), new_root.bytes());
        std::fs::write(directory.path().join(name), b"damaged").unwrap();
        let found = newest(&store, NETUID, &run, length(&run)).await.unwrap();
        assert_eq!((found.0, found.1 .0 == old), (5, true));
    }

    #[tokio::test]
    async fn a_run_that_learned_nothing_has_its_first_parameters() {
        let directory = tempfile::tempdir().unwrap();
        let (store, mut run) = stopped(directory.path(), &[]).await;
        let InitialParameters::Seed(seed) = run.config.initial_parameters else {
            panic!("the example begins from a seed");
        };
        let first = parameters(&run, seed);
        run.config.initial_root = model_root(&first);
        run.roots = vec![(4, run.config.initial_root)];
        let found = newest(&store, NETUID, &run, length(&run)).await.unwrap();
        assert_eq!((found.0, found.1 .0 == first), (4, true));
    }

    #[test]
    fn what_is_newer_is_final_and_in_the_store() {
        let root = |n: u8| ModelRoot(H256([n; 32]));
        // Rounds 5 and 6 began with the same parameters.
        let roots = [(7, root(4)), (6, root(3)), (5, root(3)), (4, root(2))];
        let files = |roots: &[u8]| -> BTreeMap<[u8; 32], Round> {
            roots.iter().map(|n| ([*n; 32], 1)).collect()
        };
        for (there, held, expected) in [
            (&[2, 3, 4][..], 2, Some(4)),
            (&[2, 3][..], 2, Some(3)),
            (&[2, 3, 4][..], 4, None),
            (&[2][..], 2, None),
            (&[][..], 2, None),
            // One that is not final on chain.
            (&[2, 9][..], 2, None),
            // What is held is older than what the chain remembers, or of another run.
            (&[2][..], 1, Some(2)),
        ] {
            let found = newer(&roots, &files(there), root(held));
            assert_eq!(found, expected.map(root), "{there:?} {held}");
        }
    }

    #[tokio::test]
    async fn parameters_that_are_nowhere_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let (store, mut run) = stopped(directory.path(), &[(4, ModelRoot(H256([0xab; 32])))]).await;
        let error = |run: OnChain| async move {
            let result = newest(&store, NETUID, &run, length(&run)).await;
            result.unwrap_err().to_string()
        };
        run.config.initial_root = ModelRoot(H256([1; 32]));
        let error = error(run).await;
        assert!(
            error.contains("checkpoints/3/4-abab") && error.contains("--store"),
            "{error}"
        );
    }

    fn parameters(run: &OnChain, seed: u64) -> Vec<f32> {
        initial_parameters(&run.config.model, seed)
    }
}
