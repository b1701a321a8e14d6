//! The networks that the node knows by name.

use cairn_runtime::{DEVELOPMENT_PRESET, LOCAL_PRESET, WASM_BINARY};
use sc_service::{ChainType, Properties};

/// A specification without extensions.
pub type ChainSpec = sc_service::GenericChainSpec;

/// The network called `id`: `dev`, `local`, or the path of a specification.
pub fn load(id: &str) -> Result<ChainSpec, String> {
    match id {
        "dev" => preset(
            "Cairn Development",
            "cairn_dev",
            ChainType::Development,
            DEVELOPMENT_PRESET,
        ),
        "" | "local" => preset("Cairn Local", "cairn_local", ChainType::Local, LOCAL_PRESET),
        path => ChainSpec::from_json_file(path.into()),
    }
}

/// A network whose genesis is one of the runtime's presets.
fn preset(name: &str, id: &str, chain_type: ChainType, preset: &str) -> Result<ChainSpec, String> {
    let wasm = WASM_BINARY.ok_or(
        "this binary was built without the chain's WASM runtime (SKIP_WASM_BUILD was set): build it again without",
    )?;
    Ok(ChainSpec::builder(wasm, None)
        .with_name(name)
        .with_id(id)
        .with_chain_type(chain_type)
        .with_properties(properties())
        .with_genesis_config_preset_name(preset)
        .build())
}

/// What wallets need to know of the token.
fn properties() -> Properties {
    let mut properties = Properties::new();
    properties.insert("tokenSymbol".into(), "CRN".into());
    properties.insert("tokenDecimals".into(), 9.into());
    properties.insert("ss58Format".into(), 42.into());
    properties
}
