//! The networks that the node knows by name.

use std::{io::ErrorKind, path::Path};

use cairn_primitives::GENERIC_SS58_PREFIX;
use cairn_runtime::{
    opaque::Block, presets, Hash, RuntimeGenesisConfig, DEVELOPMENT_PRESET, LOCAL_PRESET, VERSION,
    WASM_BINARY,
};
use sc_chain_spec::{construct_genesis_block, json_merge};
use sc_service::{ChainSpec as _, ChainType, Properties};
use serde_json::{json, Value};
use sp_core::storage::{well_known_keys::CODE, Storage};
use sp_runtime::{
    traits::{BlakeTwo256, Block as _, Hash as _},
    BuildStorage,
};

/// A specification without extensions.
pub type ChainSpec = sc_service::GenericChainSpec;

/// A specification in the making.
pub type ChainSpecBuilder = sc_chain_spec::ChainSpecBuilder;

/// How a named network's genesis is written down.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Genesis {
    /// As what differs from the defaults, for people.
    Readable,
    /// As the state itself, for a node.
    State,
}

/// What programs call the chain of `cairn devnet`.
pub const DEVNET: &str = "cairn_devnet";

/// The network called `id`: `dev`, `local`, `devnet`, or the path of a specification.
///
/// # Errors
/// What is wrong with the file.
pub fn load(id: &str, genesis: Genesis) -> Result<ChainSpec, String> {
    match id {
        "dev" => named(
            "Cairn Development",
            "cairn_dev",
            ChainType::Development,
            patch(DEVELOPMENT_PRESET)?,
            genesis,
        ),
        "devnet" => named(
            "Cairn Devnet",
            DEVNET,
            ChainType::Development,
            devnet()?,
            genesis,
        ),
        "" | "local" => named(
            "Cairn Local",
            "cairn_local",
            ChainType::Local,
            patch(LOCAL_PRESET)?,
            genesis,
        ),
        path => read(path),
    }
}

/// A specification from a file.
fn read(path: &str) -> Result<ChainSpec, String> {
    let file = Path::new(path);
    let is_empty = match std::fs::metadata(file) {
        Ok(found) if found.is_file() => found.len() == 0,
        Ok(_) => {
            return Err(format!(
                "{path} is no file: --chain takes dev, devnet, local, or a JSON file"
            ))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(format!(
                "there is no network or file `{path}`: --chain takes dev, devnet, local, or a JSON file"
            ))
        }
        Err(error) => return Err(format!("cannot read {path}: {error}")),
    };
    if is_empty {
        return Err(format!(
            "{path} is empty: write it with `cairn-node export-chain-spec`"
        ));
    }
    let spec = ChainSpec::from_json_file(file.into()).map_err(|error| wrong(path, &error))?;
    Ok(spec)
}

/// What a file is instead of a specification, without the words of the library that read it.
pub fn wrong(path: &str, error: &str) -> String {
    let why = error.split_once(": ").map_or(error, |(_, why)| why);
    format!(
        "{path} is no chain specification: {why}; correct it, or write one with `cairn-node export-chain-spec`"
    )
}

/// A network whose genesis is one of the runtime's presets, or nearly.
fn named(
    name: &str,
    id: &str,
    chain_type: ChainType,
    patch: Value,
    genesis: Genesis,
) -> Result<ChainSpec, String> {
    let title = Title {
        name,
        id,
        chain_type,
        ss58_prefix: GENERIC_SS58_PREFIX,
    };
    build(title, patch, genesis, |builder| builder)
}

/// What a network is called.
pub struct Title<'a> {
    /// By people.
    pub name: &'a str,
    /// By programs.
    pub id: &'a str,
    /// What it is for.
    pub chain_type: ChainType,
    /// What its addresses begin with.
    pub ss58_prefix: u16,
}

/// A network that begins with the defaults of this binary's runtime, changed by `patch`; `more` says what else is in
/// its specification.
///
/// # Errors
/// Why it cannot be built.
pub fn build(
    title: Title<'_>,
    patch: Value,
    genesis: Genesis,
    more: impl FnOnce(ChainSpecBuilder) -> ChainSpecBuilder,
) -> Result<ChainSpec, String> {
    let wasm = WASM_BINARY.ok_or(
        "this binary was built without the chain's WASM runtime (SKIP_WASM_BUILD was set): build it again without",
    )?;
    let builder = ChainSpec::builder(wasm, None)
        .with_name(title.name)
        .with_id(title.id)
        .with_chain_type(title.chain_type)
        .with_properties(properties(title.ss58_prefix))
        .with_genesis_config_patch(patch.clone());
    let mut spec = more(builder).build();
    if genesis == Genesis::State {
        spec.set_storage(state(patch, wasm)?);
    }
    Ok(spec)
}

/// The hash of a network's first block.
///
/// # Errors
/// Why its state cannot be built.
pub fn genesis_hash(spec: &ChainSpec) -> Result<Hash, String> {
    let storage = spec.build_storage()?;
    if !storage.children_default.is_empty() {
        return Err("the genesis has child tries, which no runtime of ours has".into());
    }
    let version = VERSION.state_version();
    let root = BlakeTwo256::trie_root(storage.top.into_iter().collect(), version);
    Ok(construct_genesis_block::<Block>(root, version).hash())
}

/// What a preset changes of the defaults.
fn patch(preset: &str) -> Result<Value, String> {
    let bytes = presets::get(&preset.into()).ok_or("the runtime does not have that preset")?;
    serde_json::from_slice(&bytes).map_err(|error| format!("the preset {preset}: {error}"))
}

/// The development chain with a block every second: of what a round of a small model takes, much is waiting for blocks.
fn devnet() -> Result<Value, String> {
    let mut patch = patch(DEVELOPMENT_PRESET)?;
    json_merge(
        &mut patch,
        json!({ "blockTime": { "milliseconds": 1_000 } }),
    );
    Ok(patch)
}

/// The state of block 0, built by this binary's own runtime. Asking the WASM one, which is the same code, would take
/// two compilations of it at each start, and tens of seconds.
pub fn state(patch: Value, wasm: &[u8]) -> Result<Storage, String> {
    let unread = |error: serde_json::Error| format!("the genesis of this network: {error}");
    let mut config = serde_json::to_value(RuntimeGenesisConfig::default()).map_err(unread)?;
    json_merge(&mut config, patch);
    let config: RuntimeGenesisConfig = serde_json::from_value(config).map_err(unread)?;
    let mut storage = config.build_storage()?;
    storage.top.insert(CODE.to_vec(), wasm.to_vec());
    Ok(storage)
}

/// What wallets need to know of the token.
fn properties(ss58_prefix: u16) -> Properties {
    let mut properties = Properties::new();
    properties.insert("tokenSymbol".into(), "CRN".into());
    properties.insert("tokenDecimals".into(), 9.into());
    properties.insert("ss58Format".into(), ss58_prefix.into());
    properties
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_specification_is_told_in_one_line() {
        let directory = std::env::temp_dir().join(format!("cairn-spec-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("it can be made");
        let file = directory.join("spec.json");
        let load = |text: &str| {
            std::fs::write(&file, text).expect("it can be written");
            load(&file.display().to_string(), Genesis::State)
        };
        for (text, word) in [
            ("", "is empty"),
            ("{", "line 1"),
            ("not JSON", "line 1 column 2"),
            ("{\"name\": 7}", "string"),
            ("{\"name\": \"x\"}", "missing field `id`"),
        ] {
            let error = load(text).err().expect("no specification");
            assert!(
                error.contains(word) && error.contains("spec.json"),
                "{error}"
            );
            assert!(
                error.lines().count() == 1 && error.contains("export-chain-spec"),
                "{error}"
            );
        }
        let error = super::load(&directory.display().to_string(), Genesis::State);
        assert!(error.err().expect("a directory").contains("is no file"));
        std::fs::remove_dir_all(&directory).expect("it is ours");
        let error = super::load("nowhere.json", Genesis::State)
            .err()
            .expect("no file");
        assert!(
            error.contains("nowhere.json") && error.contains("dev, devnet, local"),
            "{error}"
        );
    }

    #[test]
    fn a_devnet_is_a_development_chain_with_more_blocks() {
        let mut dev = patch(DEVELOPMENT_PRESET).expect("it is there");
        let devnet = devnet().expect("it is there");
        let milliseconds = |genesis: &Value| genesis["blockTime"]["milliseconds"].as_u64();
        assert_eq!(milliseconds(&dev), Some(2_000));
        assert_eq!(milliseconds(&devnet), Some(1_000));
        dev["blockTime"] = devnet["blockTime"].clone();
        assert_eq!(dev, devnet);
    }

    /// The genesis is the same whoever builds it: a chain's name is its hash.
    #[test]
    fn the_state_is_the_one_that_the_wasm_runtime_builds() {
        for preset in [DEVELOPMENT_PRESET, LOCAL_PRESET] {
            let patch = patch(preset).expect("it is there");
            let own = state(patch.clone(), &[]).expect("it builds");
            assert!(own.top.len() > 10, "{} keys", own.top.len());
            // A binary without the runtime has nothing to compare with.
            let Some(wasm) = WASM_BINARY else { return };
            let asked = ChainSpec::builder(wasm, None).with_genesis_config_patch(patch.clone());
            let asked = asked.build().build_storage().expect("it builds");
            let own = state(patch, wasm).expect("it builds");
            assert!(own.top == asked.top, "{preset}");
            assert_eq!(own.children_default.len(), asked.children_default.len());
        }
    }
}
