//! A run's data set and first parameters in a store: finding, fetching, checking.

use bytes::Bytes;
use cairn_data::{DataSet, DataSetMaker, Manifest, TextTokenizer, MAX_MANIFEST_BYTES};
use cairn_gradient::model_root;
use cairn_primitives::{InitialParameters, Layout, RunConfig, H256};
use cairn_store::{paths, Store};

use crate::{error::Failure, parameters::of_store, prepare::check_window, unseen};

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

/// Has a run's manifest name these relays instead of its own, if any are given, and gives those that it then names.
/// The manifest with them is put into the store if `writes`; its root goes into the configuration in any case.
pub async fn name_relays(
    config: &mut RunConfig,
    relays: Option<Vec<String>>,
    store: &Store,
    writes: bool,
) -> Result<Vec<String>, Failure> {
    let mut manifest = manifest(store, config.data.manifest_root).await?;
    let Some(relays) = relays.filter(|relays| *relays != manifest.relays) else {
        return Ok(manifest.relays);
    };
    manifest.relays = relays;
    let bytes = manifest.to_bytes()?;
    config.data.manifest_root = manifest.root()?;
    if writes {
        store.put_blob(paths::DATA, bytes.into()).await?;
    }
    Ok(manifest.relays)
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

/// The data set of a manifest, every byte of it checked. Beside its tokens one shard's file is held.
pub async fn load(store: &Store, manifest: &Manifest) -> Result<DataSet, Failure> {
    let mut data = DataSetMaker::new(manifest);
    while let Some(shard) = data.wanted() {
        let length = manifest.file_length(shard);
        let file = store.get_blob(paths::DATA, &shard.root.0, length).await?;
        data.take(&file)?;
    }
    Ok(data.finish())
}

/// The same from the store that a run names. Where a worker's own store is a directory and another one, what is not in
/// it yet is put there, shard by shard: so a start that was cut off goes on where it was, and the next one fetches
/// nothing.
pub async fn load_into(
    own: &Store,
    named: &Store,
    manifest: &Manifest,
) -> Result<DataSet, Failure> {
    if own.directory().is_none() || own.url() == named.url() {
        return load(named, manifest).await;
    }
    let mut data = DataSetMaker::new(manifest);
    while let Some(shard) = data.wanted() {
        let length = manifest.file_length(shard);
        let file = kept(own, named, shard.root, length).await?;
        data.take(&file)?;
    }
    Ok(data.finish())
}

/// A shard from the own store; if it is not there, or damaged, from the other one, and then it is kept.
async fn kept(own: &Store, named: &Store, root: H256, length: u64) -> Result<Bytes, Failure> {
    if let Ok(bytes) = own.get_blob(paths::DATA, &root.0, length).await {
        return Ok(bytes);
    }
    let bytes = named.get_blob(paths::DATA, &root.0, length).await?;
    // Without it the next start fetches it again.
    if let Err(error) = own.put_blob(paths::DATA, bytes.clone()).await {
        tracing::warn!("the run's text is not kept: {error}");
    }
    Ok(bytes)
}

/// The root of the store's manifest, if there is exactly one data set. The same data set with relays in its manifest is
/// no other one: then it is the manifest without them.
async fn only_manifest(store: &Store) -> Result<H256, Failure> {
    let mut found = Vec::new();
    for entry in store.list(paths::DATA).await? {
        if entry.length > MAX_MANIFEST_BYTES as u64 {
            continue;
        }
        let bytes = store.get(&entry.path, MAX_MANIFEST_BYTES as u64).await?;
        if let Ok(mut manifest) = Manifest::from_bytes(&bytes) {
            let root = manifest.root()?;
            manifest.relays.clear();
            found.push((root, manifest.root()?));
        }
    }
    let is_there = |plain: &H256| found.iter().any(|(root, _)| root == plain);
    let counts = |(root, plain): &&(H256, H256)| root == plain || !is_there(plain);
    let found: Vec<H256> = found.iter().filter(counts).map(|(root, _)| *root).collect();
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
            let (parameters, _) = of_store(store, &path.to_text(), expected).await?;
            Ok(parameters)
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

#[cfg(test)]
mod tests {
    use cairn_data::cut;
    use cairn_store::SMALL;

    use super::*;
    use crate::roles::testing::config_and_store;

    fn relays(of: &[&str]) -> Option<Vec<String>> {
        Some(of.iter().map(ToString::to_string).collect())
    }

    #[tokio::test]
    async fn a_run_names_relays_by_its_manifest() {
        let directory = tempfile::tempdir().unwrap();
        let (mut config, store) = config_and_store(directory.path()).await;
        let without = config.data.manifest_root;
        let named = name_relays(&mut config, None, &store, true).await.unwrap();
        assert_eq!((named, config.data.manifest_root), (vec![], without));
        // Who only looks writes nothing.
        let one = relays(&["https://relay.example"]);
        let named = name_relays(&mut config, one.clone(), &store, false).await;
        assert_eq!(named.unwrap(), ["https://relay.example"]);
        let with = config.data.manifest_root;
        assert_ne!(with, without);
        assert!(manifest(&store, with).await.is_err());
        config.data.manifest_root = without;
        name_relays(&mut config, one, &store, true).await.unwrap();
        assert_eq!(config.data.manifest_root, with);
        let found = manifest(&store, with).await.unwrap();
        assert_eq!(found.relays, ["https://relay.example"]);
        assert_eq!(found.train, manifest(&store, without).await.unwrap().train);
        // The data set is still the only one, and is taken without them.
        assert_eq!(only_manifest(&store).await.unwrap(), without);
        let none = name_relays(&mut config, relays(&[]), &store, true).await;
        assert_eq!(
            (none.unwrap(), config.data.manifest_root),
            (vec![], without)
        );
        let wrong = relays(&["http://relay.example"]);
        let error = name_relays(&mut config, wrong, &store, true).await;
        assert!(error.unwrap_err().to_string().contains("relay 1"));
        assert_eq!(config.data.manifest_root, without);
    }

    /// A store may have a shard without any hashes beside it, however long it is: `cairn data prepare` puts none there.
    #[tokio::test]
    async fn a_long_shard_is_kept_in_the_own_store_and_mended_there() {
        let (named, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let named = Store::create_in(named.path()).unwrap();
        let own = Store::create_in(own.path()).unwrap();
        let tokens: Vec<u32> = (0..200_000).map(|at| at % 100).collect();
        let mut manifest = Manifest::new("long", 100, H256::zero());
        for shard in cut(&tokens, 100) {
            let (info, bytes) = shard.unwrap();
            assert!(bytes.len() as u64 > SMALL);
            manifest.train.push(info);
            named.put_blob(paths::DATA, bytes.into()).await.unwrap();
        }
        let shard = &manifest.train[0];
        let (root, length) = (shard.root.0, manifest.file_length(shard));
        for _ in 0..2 {
            let data = load_into(&own, &named, &manifest).await.unwrap();
            assert_eq!(data.train_tokens(), 200_000);
            own.get_blob(paths::DATA, &root, length).await.unwrap();
            let damaged = Bytes::from(vec![7; length as usize]);
            let path = paths::blob(paths::DATA, &root);
            own.put(&path, damaged).await.unwrap();
        }
        load_into(&own, &named, &manifest).await.unwrap();
        // Nobody is asked for what is there.
        let nobody = Store::open("http://127.0.0.1:1/nobody").unwrap();
        load_into(&own, &nobody, &manifest).await.unwrap();
    }
}
