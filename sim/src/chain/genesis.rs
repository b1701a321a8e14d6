//! What the chain begins with: the development preset, with patches.

use cairn_runtime::{presets, RuntimeGenesisConfig};
use serde_json::Value;

/// Why there is no chain to begin with.
#[derive(Debug, thiserror::Error)]
#[error("the genesis cannot be built: {0}; report it with the command")]
pub struct GenesisError(String);

impl From<String> for GenesisError {
    fn from(why: String) -> GenesisError {
        GenesisError(why)
    }
}

/// Lays a patch over a genesis, as a node does with a preset.
fn lay_over(base: &mut Value, patch: Value) {
    match (base, patch) {
        (Value::Object(base), Value::Object(patch)) => {
            for (key, value) in patch {
                lay_over(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, patch) => *base = patch,
    }
}

/// The genesis of a development chain with these patches.
pub(super) fn genesis(patch: Value) -> Result<Vec<u8>, GenesisError> {
    let failed = |error: serde_json::Error| GenesisError(error.to_string());
    let preset = presets::get(&cairn_runtime::DEVELOPMENT_PRESET.into())
        .ok_or_else(|| GenesisError("there is no development preset".into()))?;
    let mut genesis = serde_json::to_value(RuntimeGenesisConfig::default()).map_err(failed)?;
    lay_over(
        &mut genesis,
        serde_json::from_slice(&preset).map_err(failed)?,
    );
    lay_over(&mut genesis, patch);
    Ok(genesis.to_string().into_bytes())
}
