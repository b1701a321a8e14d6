//! The networks that the node knows by name.

use std::{io::ErrorKind, path::Path};

use cairn_runtime::{presets, RuntimeGenesisConfig, DEVELOPMENT_PRESET, LOCAL_PRESET, WASM_BINARY};
use sc_chain_spec::json_merge;
use sc_service::{ChainSpec as _, ChainType, Properties};
use serde_json::Value;
use sp_core::storage::{well_known_keys::CODE, Storage};
use sp_runtime::BuildStorage;

/// A specification without extensions.
pub type ChainSpec = sc_service::GenericChainSpec;

/// How a named network's genesis is written down.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Genesis {
    /// As what differs from the defaults, for people.
    Readable,
    /// As the state itself, for a node.
    State,
}

/// The network called `id`: `dev`, `local`, or the path of a specification.
///
/// # Errors
/// What is wrong with the file.
pub fn load(id: &str, genesis: Genesis) -> Result<ChainSpec, String> {
    match id {
        "dev" => named(
            "Cairn Development",
            "cairn_dev",
            ChainType::Development,
            DEVELOPMENT_PRESET,
            genesis,
        ),
        "" | "local" => named(
            "Cairn Local",
            "cairn_local",
            ChainType::Local,
            LOCAL_PRESET,
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
                "{path} is no file: --chain takes dev, local, or a JSON file"
            ))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(format!(
                "there is no network or file `{path}`: --chain takes dev, local, or a JSON file"
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

/// A network whose genesis is one of the runtime's presets.
fn named(
    name: &str,
    id: &str,
    chain_type: ChainType,
    preset: &str,
    genesis: Genesis,
) -> Result<ChainSpec, String> {
    let wasm = WASM_BINARY.ok_or(
        "this binary was built without the chain's WASM runtime (SKIP_WASM_BUILD was set): build it again without",
    )?;
    let patch = patch(preset)?;
    let mut spec = ChainSpec::builder(wasm, None)
        .with_name(name)
        .with_id(id)
        .with_chain_type(chain_type)
        .with_properties(properties())
        .with_genesis_config_patch(patch.clone())
        .build();
    if genesis == Genesis::State {
        spec.set_storage(state(patch, wasm)?);
    }
    Ok(spec)
}

/// What a preset changes of the defaults.
fn patch(preset: &str) -> Result<Value, String> {
    let bytes = presets::get(&preset.into()).ok_or("the runtime does not have that preset")?;
    serde_json::from_slice(&bytes).map_err(|error| format!("the preset {preset}: {error}"))
}

/// The state of block 0, built by this binary's own runtime. Asking the WASM one, which is the same code, would take
/// two compilations of it at each start, and tens of seconds.
fn state(patch: Value, wasm: &[u8]) -> Result<Storage, String> {
    let unread = |error: serde_json::Error| format!("the genesis of this network: {error}");
    let mut config = serde_json::to_value(RuntimeGenesisConfig::default()).map_err(unread)?;
    json_merge(&mut config, patch);
    let config: RuntimeGenesisConfig = serde_json::from_value(config).map_err(unread)?;
    let mut storage = config.build_storage()?;
    storage.top.insert(CODE.to_vec(), wasm.to_vec());
    Ok(storage)
}

/// What wallets need to know of the token.
fn properties() -> Properties {
    let mut properties = Properties::new();
    properties.insert("tokenSymbol".into(), "CRN".into());
    properties.insert("tokenDecimals".into(), 9.into());
    properties.insert("ss58Format".into(), 42.into());
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
            error.contains("nowhere.json") && error.contains("dev, local"),
            "{error}"
        );
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
