//! Models as `cairn run export` writes them for Hugging Face's `transformers`: shape and parameters.

use std::path::{Path, PathBuf};

use cairn_primitives::{Layout, ModelShape};
use cairn_trainer::{hugging_face, kernels};
use serde_json::Value;

use crate::weights_file;

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

/// Reads the shape and the parameters, in the order of [`Layout`], from a directory: from one file of parameters, or
/// from several with an index.
///
/// # Errors
///
/// [`FilesError`] names the file and what is wrong with it.
pub fn read(directory: &Path) -> Result<(ModelShape, Vec<f32>), FilesError> {
    let path = directory.join(hugging_face::CONFIG);
    let bytes = length(&path)?;
    if bytes > MAX_CONFIG_BYTES {
        return Err(unsuitable(&path, format!("it has {bytes} bytes")));
    }
    let config = std::fs::read(&path).map_err(unreadable(&path))?;
    let shape = shape(&config).map_err(|what| unsuitable(&path, what))?;
    let parameters = weights_file::read(directory, &Layout::of(&shape))?;
    Ok((shape, parameters))
}

/// The bytes that a file has.
pub(crate) fn length(path: &Path) -> Result<u64, FilesError> {
    let there = std::fs::metadata(path).map_err(unreadable(path))?;
    Ok(there.len())
}

/// What makes an error of the system one about this file.
pub(crate) fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> FilesError {
    let path = path.to_path_buf();
    move |error| FilesError::Unreadable { path, error }
}

/// The error that says what is wrong with a file.
pub(crate) fn unsuitable(path: &Path, what: String) -> FilesError {
    let path = path.to_path_buf();
    FilesError::Unsuitable { path, what }
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

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_trainer::{
        config,
        hugging_face::{Shards, SHARD_BYTES},
        initial_parameters,
    };

    /// A model in files of at most so many bytes of parameters.
    fn export(directory: &Path, tied: bool, most: u64) -> (ModelShape, Vec<f32>) {
        let shape = ModelShape {
            tied_embeddings: tied,
            ..config::named("tiny").unwrap()
        };
        let parameters = initial_parameters(&shape, 3);
        let config = hugging_face::config(&shape, Some(0)).to_string();
        std::fs::write(directory.join(hugging_face::CONFIG), config).unwrap();
        let shards = Shards::of(&shape, most);
        if let Some(index) = shards.index() {
            let path = directory.join(hugging_face::INDEX);
            std::fs::write(path, index.to_string()).unwrap();
        }
        for shard in shards.files() {
            let mut file = std::fs::File::create(directory.join(shard.name())).unwrap();
            shard.write(&parameters, &mut file).unwrap();
        }
        (shape, parameters)
    }

    #[test]
    fn what_was_exported_is_read_back() {
        for tied in [true, false] {
            let directory = tempfile::tempdir().unwrap();
            let (shape, parameters) = export(directory.path(), tied, SHARD_BYTES);
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
        let (shape, parameters) = export(directory.path(), true, SHARD_BYTES);
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
        export(directory.path(), true, SHARD_BYTES);
        let path = directory.path().join(hugging_face::WEIGHTS);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 4]).unwrap();
        assert!(error().contains("model.safetensors"), "{}", error());
        assert_eq!(parameters.len(), Layout::of(&shape).parameters());
    }

    #[test]
    fn several_files_are_read_as_one_and_what_is_wrong_with_one_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let (shape, parameters) = export(directory.path(), false, 300_000);
        let (found, numbers) = read(directory.path()).unwrap();
        assert!(found == shape && numbers == parameters);
        let error = || read(directory.path()).unwrap_err().to_string();
        let shards = Shards::of(&shape, 300_000);
        let second = shards.files()[1].name();
        let path = directory.path().join(second);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 4]).unwrap();
        assert!(error().contains(second), "{}", error());
        std::fs::remove_file(&path).unwrap();
        assert!(error().contains(second), "{}", error());
        std::fs::write(&path, &bytes).unwrap();
        // An index that sends a tensor to a file in which it is not.
        let path = directory.path().join(hugging_face::INDEX);
        let index = shards.index().unwrap().to_string();
        let norm = format!("\"model.norm.weight\":\"{second}\"");
        let at = index.find("\"model.norm.weight\"").unwrap();
        let end = at + index[at..].find(['}', ',']).unwrap();
        std::fs::write(&path, [&index[..at], &norm, &index[end..]].concat()).unwrap();
        assert!(error().contains("has no model.norm"), "{}", error());
        std::fs::write(&path, index).unwrap();
        assert!(read(directory.path()).is_ok());
    }
}
