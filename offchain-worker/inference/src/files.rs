//! Models as `cairn run export` writes them for Hugging Face's `transformers`: shape and parameters.

use std::path::{Path, PathBuf};

use cairn_primitives::{Layout, ModelShape};
use cairn_trainer::{hugging_face, kernels};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// The largest `config.json` that is read, in bytes.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Why a directory cannot be used as a model.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file cannot be read.
    #[error("cannot read {path}: {error}; name a directory that `cairn run export` wrote")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// A file says something else than a model that can be computed here.
    #[error("{path}: {what}; export the model again with `cairn run export`")]
    Unsuitable {
        /// The file.
        path: PathBuf,
        /// What does not suit.
        what: String,
    },
}

/// Reads the shape and the parameters, in the order of [`Layout`], from a directory.
///
/// # Errors
///
/// [`FilesError`] names the file and what is wrong with it.
pub fn read(directory: &Path) -> Result<(ModelShape, Vec<f32>), FilesError> {
    let path = directory.join(hugging_face::CONFIG);
    let unreadable = |path: &Path| {
        let path = path.to_path_buf();
        move |error| FilesError::Unreadable { path, error }
    };
    let unsuitable = |path: &Path, what: String| FilesError::Unsuitable {
        path: path.to_path_buf(),
        what,
    };
    let length = std::fs::metadata(&path).map_err(unreadable(&path))?.len();
    if length > MAX_CONFIG_BYTES {
        return Err(unsuitable(&path, format!("it has {length} bytes")));
    }
    let config = std::fs::read(&path).map_err(unreadable(&path))?;
    let shape = shape(&config).map_err(|what| unsuitable(&path, what))?;
    let path = directory.join(hugging_face::WEIGHTS);
    let weights = std::fs::read(&path).map_err(unreadable(&path))?;
    let parameters = parameters(&shape, &weights).map_err(|what| unsuitable(&path, what))?;
    Ok((shape, parameters))
}

/// The shape that a `config.json` states.
fn shape(config: &[u8]) -> Result<ModelShape, String> {
    let config: Value = serde_json::from_slice(config).map_err(|error| error.to_string())?;
    let number = |name: &str| {
        let found = config.get(name).and_then(Value::as_u64);
        let found = found.and_then(|n| u32::try_from(n).ok());
        found.ok_or(format!("`{name}` is no whole number"))
    };
    let small =
        |name: &str| u16::try_from(number(name)?).map_err(|_| format!("`{name}` is too large"));
    if config.get("model_type").and_then(Value::as_str) != Some("llama") {
        return Err("`model_type` is not `llama`".into());
    }
    for (name, expected) in [
        ("hidden_act", Value::from("silu")),
        ("attention_bias", Value::from(false)),
        ("mlp_bias", Value::from(false)),
    ] {
        if config.get(name) != Some(&expected) {
            return Err(format!("`{name}` is not {expected}"));
        }
    }
    // As a number: others write it with other digits.
    let epsilon = config.get("rms_norm_eps").and_then(Value::as_f64);
    if epsilon != Some(kernels::EPSILON) {
        return Err(format!("`rms_norm_eps` is not {}", kernels::EPSILON));
    }
    let rope = config.get("rope_parameters");
    let kind = rope.and_then(|rope| rope.get("rope_type"));
    if kind.and_then(Value::as_str) != Some("default") {
        return Err("`rope_type` is not `default`".into());
    }
    let theta = rope.and_then(|rope| rope.get("rope_theta")?.as_f64());
    let theta = theta
        .filter(|theta| theta.fract() == 0.0 && *theta >= 1.0 && *theta <= f64::from(u32::MAX));
    let tied = config.get("tie_word_embeddings").and_then(Value::as_bool);
    let shape = ModelShape {
        layers: small("num_hidden_layers")?,
        d_model: number("hidden_size")?,
        heads: small("num_attention_heads")?,
        kv_heads: small("num_key_value_heads")?,
        ffn: number("intermediate_size")?,
        vocabulary: number("vocab_size")?,
        context: number("max_position_embeddings")?,
        rope_theta: theta.ok_or("`rope_theta` is no whole number")? as u32,
        tied_embeddings: tied.ok_or("`tie_word_embeddings` is not stated")?,
    };
    kernels::check(&shape).map_err(|error| error.to_string())?;
    match number("head_dim")? == shape.head_dim() {
        true => Ok(shape),
        false => Err("`head_dim` is not the width through the heads".into()),
    }
}

/// The parameters in a safetensors file, each tensor where [`Layout`] has it.
fn parameters(shape: &ModelShape, file: &[u8]) -> Result<Vec<f32>, String> {
    let file = SafeTensors::deserialize(file).map_err(|error| error.to_string())?;
    let layout = Layout::of(shape);
    if file.len() != layout.0.len() {
        let (found, expected) = (file.len(), layout.0.len());
        return Err(format!("it has {found} tensors, the model {expected}"));
    }
    // Tensor by tensor: what a configuration claims, the file may not have.
    let mut parameters = Vec::new();
    for tensor in &layout.0 {
        let name = &tensor.name;
        let found = file.tensor(name).map_err(|error| error.to_string())?;
        let expected: Vec<usize> = tensor.shape.iter().map(|n| *n as usize).collect();
        if found.dtype() != Dtype::F32 || found.shape() != expected {
            let (kind, shape) = (found.dtype(), found.shape());
            return Err(format!(
                "{name} is {kind:?} {shape:?}, and should be F32 {expected:?}"
            ));
        }
        let numbers = found.data().as_chunks::<4>().0;
        parameters.extend(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)));
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_trainer::{config, initial_parameters};

    fn export(directory: &Path, tied: bool) -> (ModelShape, Vec<f32>) {
        let shape = ModelShape {
            tied_embeddings: tied,
            ..config::named("tiny").unwrap()
        };
        let parameters = initial_parameters(&shape, 3);
        let config = hugging_face::config(&shape, Some(0)).to_string();
        std::fs::write(directory.join(hugging_face::CONFIG), config).unwrap();
        let path = directory.join(hugging_face::WEIGHTS);
        hugging_face::write_parameters(&shape, &parameters, &path).unwrap();
        (shape, parameters)
    }

    #[test]
    fn what_was_exported_is_read_back() {
        for tied in [true, false] {
            let directory = tempfile::tempdir().unwrap();
            let (shape, parameters) = export(directory.path(), tied);
            let (found, numbers) = read(directory.path()).unwrap();
            assert_eq!(found, shape);
            assert!(numbers == parameters);
        }
    }

    #[test]
    fn what_is_missing_or_of_another_model_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let error = || read(directory.path()).unwrap_err().to_string();
        assert!(error().contains("config.json"), "{}", error());
        let (shape, parameters) = export(directory.path(), true);
        let config = hugging_face::config(&shape, Some(0)).to_string();
        let others = config.replace("\"rms_norm_eps\":0.00001", "\"rms_norm_eps\":1e-05");
        assert_ne!(others, config);
        let path = directory.path().join(hugging_face::CONFIG);
        std::fs::write(&path, others).unwrap();
        assert_eq!(read(directory.path()).unwrap().0, shape);
        for (from, to, named) in [
            ("\"silu\"", "\"gelu\"", "hidden_act"),
            (":0.00001", ":1e-6", "rms_norm_eps"),
            ("\"default\"", "\"llama3\"", "rope_type"),
            ("\"hidden_size\":128", "\"hidden_size\":-1", "hidden_size"),
            ("\"hidden_size\":128", "\"hidden_size\":127", "heads"),
            (
                "\"num_hidden_layers\":4",
                "\"num_hidden_layers\":3",
                "tensors",
            ),
            ("\"vocab_size\":1024", "\"vocab_size\":1025", "embed_tokens"),
        ] {
            let config = hugging_face::config(&shape, Some(0)).to_string();
            assert!(config.contains(from), "{config}");
            let path = directory.path().join(hugging_face::CONFIG);
            std::fs::write(path, config.replace(from, to)).unwrap();
            assert!(error().contains(named), "{named}: {}", error());
        }
        export(directory.path(), true);
        let path = directory.path().join(hugging_face::WEIGHTS);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 4]).unwrap();
        assert!(error().contains("model.safetensors"), "{}", error());
        assert_eq!(parameters.len(), Layout::of(&shape).parameters());
    }
}
