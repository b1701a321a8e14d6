//! A run's data set and first parameters in a store: finding, fetching, checking.

use std::collections::HashMap;

use bytes::Bytes;
use cairn_data::{DataSet, Manifest, TextTokenizer, MAX_MANIFEST_BYTES};
use cairn_gradient::model_root;
use cairn_primitives::{InitialParameters, Layout, RunConfig, H256};
use cairn_store::{paths, Store};

use crate::{error::Failure, prepare::check_window, unseen};

/// The largest tokenizer file that is read, in bytes.
const MAX_TOKENIZER_BYTES: u64 = 64 << 20;

/// What a run configuration says of its data.
pub struct Wanted {
    /// The manifest; `None`: the only one in the store.
    pub manifest_root: Option<H256>,
    /// The tokenizer; `None`: the manifest's.
    pub tokenizer_root: Option<H256>,
    /// Number of windows; `None`: as many as there are.
    pub windows: Option<u64>,
}

/// Fills in the configuration's data, after reading and checking all of it.
pub async fn fill(
    config: &mut RunConfig,
    wanted: &Wanted,
    store: &Store,
    chosen: Option<H256>,
) -> Result<(), Failure> {
    let root = match wanted.manifest_root.or(chosen) {
        Some(root) => root,
        None => only_manifest(store).await?,
    };
    let manifest = manifest(store, root).await?;
    if let Some(stated) = wanted
        .tokenizer_root
        .filter(|stated| *stated != manifest.tokenizer)
    {
        let what = format!(
            "tokenizer_root is {stated:?}, but the data was prepared with {:?}",
            manifest.tokenizer
        );
        return Err(Failure::new(what, "correct it, or leave it out"));
    }
    if manifest.vocabulary > config.model.vocabulary {
        let what = format!(
            "the data has {} tokens, the model's vocabulary {}",
            manifest.vocabulary, config.model.vocabulary
        );
        return Err(Failure::new(
            what,
            "enlarge [model] vocabulary, or prepare with a smaller tokenizer",
        ));
    }
    check_tokenizer(store, &manifest).await?;
    let data = load(store, &manifest).await?;
    let length = config.inner.sequence_length;
    let windows = data.windows(length);
    check_window("to train on", data.train_tokens(), windows, length)?;
    let heldout = (data.heldout_tokens(), data.heldout_windows(length));
    check_window("held out", heldout.0, heldout.1, length)?;
    unseen::check_named(&manifest, length, store).await?;
    if let Some(stated) = wanted.windows.filter(|stated| *stated != windows) {
        let what = format!("windows is {stated}, but the data set has {windows}");
        return Err(Failure::new(what, "correct it, or leave it out"));
    }
    config.data.manifest_root = root;
    config.data.tokenizer_root = manifest.tokenizer;
    config.data.windows = windows;
    Ok(())
}

/// The manifest with this root.
pub async fn manifest(store: &Store, root: H256) -> Result<Manifest, Failure> {
    let bytes = store
        .get_blob(paths::DATA, &root.0, MAX_MANIFEST_BYTES as u64)
        .await?;
    Ok(Manifest::from_verified(&bytes, root)?)
}

/// The tokenizer with this root.
pub async fn tokenizer(store: &Store, root: H256) -> Result<Bytes, Failure> {
    let bytes = store
        .get_blob(paths::DATA, &root.0, MAX_TOKENIZER_BYTES)
        .await?;
    Ok(bytes)
}

/// Makes sure that the tokenizer is there and has the tokens that the manifest says.
async fn check_tokenizer(store: &Store, manifest: &Manifest) -> Result<(), Failure> {
    let file = tokenizer(store, manifest.tokenizer).await?;
    let (found, expected) = (
        TextTokenizer::parse(&file)?.vocabulary(),
        manifest.vocabulary,
    );
    if found == expected {
        return Ok(());
    }
    let what = format!("the data was prepared for {expected} tokens, its tokenizer has {found}");
    Err(Failure::new(
        what,
        "prepare it again with `cairn data prepare`",
    ))
}

/// The data set of a manifest, every byte of it checked.
pub async fn load(store: &Store, manifest: &Manifest) -> Result<DataSet, Failure> {
    let mut files: HashMap<H256, Bytes> = HashMap::new();
    for shard in manifest.shards() {
        let bytes = store
            .get_blob(paths::DATA, &shard.root.0, manifest.file_length(shard))
            .await?;
        files.insert(shard.root, bytes);
    }
    Ok(DataSet::new(manifest, |root| files.get(&root))?)
}

/// The root of the store's manifest, if there is exactly one.
async fn only_manifest(store: &Store) -> Result<H256, Failure> {
    let mut found = Vec::new();
    for entry in store.list(paths::DATA).await? {
        if entry.length > MAX_MANIFEST_BYTES as u64 {
            continue;
        }
        let bytes = store.get(&entry.path, MAX_MANIFEST_BYTES as u64).await?;
        if let Ok(manifest) = Manifest::from_bytes(&bytes) {
            found.push(manifest.root()?);
        }
    }
    match found.as_slice() {
        [root] => Ok(*root),
        [] => Err(Failure::new(
            format!("there is no data set in the store {}", store.url()),
            "put one there with `cairn data prepare`",
        )),
        several => Err(Failure::new(
            format!(
                "there are {} data sets in the store {}",
                several.len(),
                store.url()
            ),
            format!(
                "choose one with --manifest: {}",
                several
                    .iter()
                    .map(|root| format!("{root:?}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        )),
    }
}

/// The parameters with which a run begins.
pub async fn initial_parameters(config: &RunConfig, store: &Store) -> Result<Vec<f32>, Failure> {
    match &config.initial_parameters {
        InitialParameters::Seed(seed) => {
            Ok(cairn_trainer::initial_parameters(&config.model, *seed))
        }
        InitialParameters::Checkpoint(path) => {
            let expected = Layout::of(&config.model).parameters() as u64 * 4;
            let bytes = store.get(&path.to_text(), expected).await?;
            if bytes.len() as u64 != expected {
                let what = format!(
                    "the checkpoint {} has {} bytes, the model {expected}",
                    path.to_text(),
                    bytes.len()
                );
                return Err(Failure::new(what, "name a checkpoint of this model"));
            }
            let numbers = bytes
                .chunks_exact(4)
                .filter_map(|number| number.try_into().ok());
            Ok(numbers.map(f32::from_le_bytes).collect())
        }
    }
}

/// The first parameters of a run that is on chain, checked against their root.
pub async fn verified_parameters(config: &RunConfig, store: &Store) -> Result<Vec<f32>, Failure> {
    let parameters = initial_parameters(config, store).await?;
    let found = model_root(&parameters);
    if found != config.initial_root {
        let what = format!(
            "the initial parameters hash to {found:?}, the chain says {:?}",
            config.initial_root
        );
        return Err(Failure::new(
            what,
            "use a worker of the release with which the run was started",
        ));
    }
    Ok(parameters)
}
