//! Models in the form that Hugging Face's `LlamaForCausalLM` loads as it is.
//!
//! Names and shapes of tensors are those of [`Layout`], which takes them from there. Rotary positions pair the two
//! halves of a head, as Hugging Face has it too, so the rows of q and k stay in their order.

use std::{
    collections::HashMap,
    io::{self, Write},
    ops::Range,
};

use cairn_primitives::{Layout, ModelShape, Tensor};
use safetensors::{
    tensor::{Metadata, TensorInfo},
    Dtype, SafeTensorError,
};
use serde_json::{json, Map, Value};

/// The file of the parameters, where one holds them all.
pub const WEIGHTS: &str = "model.safetensors";
/// The file that says in which of several files each tensor is.
pub const INDEX: &str = "model.safetensors.index.json";
/// The file of the shape.
pub const CONFIG: &str = "config.json";
/// The file that maps text to tokens.
pub const TOKENIZER: &str = "tokenizer.json";
/// The file that says how the tokenizer is used.
pub const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// The page that people read first.
pub const CARD: &str = "README.md";
/// Bytes of parameters in a file at most, unless one tensor alone has more: 5 GB.
pub const SHARD_BYTES: u64 = 5_000_000_000;

/// Bytes of a number.
const NUMBER: u64 = 4;
/// Numbers that are made bytes at once.
const AT_ONCE: usize = 1 << 14;
/// Headers are filled up to a multiple of so many bytes.
const ALIGNED: usize = 8;

/// How a model's parameters are dealt out to files: in the order of [`Layout`], each tensor whole.
pub struct Shards(Vec<Shard>);

/// One file of parameters.
pub struct Shard {
    name: String,
    /// Its tensors, and where each lies in the flat vector.
    tensors: Vec<(Tensor, Range<usize>)>,
}

impl Shards {
    /// The files of a model, none with more than `most` bytes of parameters unless one tensor alone has more.
    pub fn of(shape: &ModelShape, most: u64) -> Shards {
        let mut files: Vec<Vec<(Tensor, Range<usize>)>> = Vec::new();
        let mut filled = 0u64;
        for (tensor, range) in Layout::of(shape).ranges() {
            let bytes = range.len() as u64 * NUMBER;
            let tensor = (tensor.clone(), range);
            match files.last_mut() {
                Some(last) if filled.saturating_add(bytes) <= most => {
                    last.push(tensor);
                    filled += bytes;
                }
                _ => {
                    files.push(vec![tensor]);
                    filled = bytes;
                }
            }
        }
        let all = files.len();
        let named = files.into_iter().enumerate().map(|(i, tensors)| Shard {
            name: match all {
                1 => WEIGHTS.into(),
                _ => format!("model-{:05}-of-{all:05}.safetensors", i + 1),
            },
            tensors,
        });
        Shards(named.collect())
    }

    /// The files, in order.
    pub fn files(&self) -> &[Shard] {
        &self.0
    }

    /// The content of [`INDEX`], if there are several files.
    pub fn index(&self) -> Option<Value> {
        if self.0.len() == 1 {
            return None;
        }
        let of = |shard: &Shard| {
            let file = Value::from(shard.name.as_str());
            let tensors = shard.tensors.iter();
            let named = tensors.map(|(tensor, _)| (tensor.name.clone(), file.clone()));
            named.collect::<Vec<_>>()
        };
        let map: Map<String, Value> = self.0.iter().flat_map(of).collect();
        let bytes: u64 = self.0.iter().map(Shard::bytes).sum();
        Some(json!({
            "metadata": { "total_parameters": bytes / NUMBER, "total_size": bytes },
            "weight_map": map,
        }))
    }
}

impl Shard {
    /// What the file is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of its parameters.
    pub fn bytes(&self) -> u64 {
        let tensors = self.tensors.iter();
        tensors.map(|(_, range)| range.len() as u64 * NUMBER).sum()
    }

    /// Writes it as a safetensors file, a few numbers at a time. `params` are all of the model's, in the order of
    /// [`Layout`].
    ///
    /// # Errors
    ///
    /// [`SafeTensorError`] if it cannot be written, or if `params` do not reach as far as the file's tensors.
    pub fn write(&self, params: &[f32], out: &mut impl Write) -> Result<(), SafeTensorError> {
        let last = self.tensors.last().map_or(0, |(_, range)| range.end);
        if params.len() < last {
            return Err(SafeTensorError::TensorInvalidInfo);
        }
        let header = self.header()?;
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        for (_, range) in &self.tensors {
            write_numbers(&params[range.clone()], out)?;
        }
        Ok(())
    }

    /// What the file begins with, after its length.
    fn header(&self) -> Result<Vec<u8>, SafeTensorError> {
        let first = self.tensors.first().map_or(0, |(_, range)| range.start);
        let place = |at: usize| (at - first) * NUMBER as usize;
        let tensors = self.tensors.iter().map(|(tensor, range)| {
            let info = TensorInfo {
                dtype: Dtype::F32,
                shape: tensor.shape.iter().map(|n| *n as usize).collect(),
                data_offsets: (place(range.start), place(range.end)),
            };
            (tensor.name.clone(), info)
        });
        let format = HashMap::from([("format".into(), "pt".into())]);
        let metadata = Metadata::new(Some(format), tensors.collect())?;
        let mut header = serde_json::to_vec(&metadata)?;
        header.resize(header.len().next_multiple_of(ALIGNED), b' ');
        Ok(header)
    }
}

/// Writes numbers in little-endian order.
fn write_numbers(numbers: &[f32], out: &mut impl Write) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(AT_ONCE * NUMBER as usize);
    for numbers in numbers.chunks(AT_ONCE) {
        bytes.clear();
        bytes.extend(numbers.iter().flat_map(|x| x.to_le_bytes()));
        out.write_all(&bytes)?;
    }
    Ok(())
}

/// The content of `config.json`; `end` is the token that ends a document.
pub fn config(shape: &ModelShape, end: Option<u32>) -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape.d_model,
        "intermediate_size": shape.ffn,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim(),
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.context,
        "hidden_act": "silu",
        "rms_norm_eps": crate::norm::EPSILON_F64,
        "rope_theta": f64::from(shape.rope_theta),
        "rope_parameters": { "rope_type": "default", "rope_theta": f64::from(shape.rope_theta) },
        "attention_bias": false,
        "mlp_bias": false,
        "tie_word_embeddings": shape.tied_embeddings,
        "bos_token_id": Value::Null,
        "eos_token_id": end,
        "initializer_range": 0.02,
        "torch_dtype": "float32",
        "use_cache": true,
    })
}

/// The content of `tokenizer_config.json`: text is encoded as it was for training, with nothing in front or behind.
///
/// `end` is the name of the token that ends a document. Without `split_special_tokens` a text with that name in it
/// would become the token; without the other setting, decoding would take blanks out of the text.
pub fn tokenizer_config(shape: &ModelShape, end: &str) -> Value {
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": end,
        "model_max_length": shape.context,
        "split_special_tokens": true,
        "clean_up_tokenization_spaces": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config as named, initial_parameters};

    /// A shard as it is written.
    fn written(shard: &Shard, params: &[f32]) -> Vec<u8> {
        let mut bytes = Vec::new();
        shard.write(params, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_file_has_every_tensor_under_its_name() {
        let shape = named::named("tiny").unwrap();
        let params = initial_parameters(&shape, 3);
        let shards = Shards::of(&shape, SHARD_BYTES);
        assert!(shards.index().is_none());
        let [whole] = shards.files() else {
            panic!("one file holds it");
        };
        assert_eq!(whole.name(), WEIGHTS);
        let bytes = written(whole, &params);
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let layout = Layout::of(&shape);
        assert_eq!(file.len(), layout.0.len());
        for (tensor, range) in layout.ranges() {
            let found = file.tensor(&tensor.name).unwrap();
            let expected: Vec<u8> = params[range].iter().flat_map(|x| x.to_le_bytes()).collect();
            assert_eq!(found.data(), expected, "{}", tensor.name);
        }
    }

    #[test]
    fn shards_have_each_tensor_once_and_the_index_says_where() {
        let shape = named::named("tiny").unwrap();
        let params = initial_parameters(&shape, 3);
        // Smaller than the embedding of 1,024 times 128 numbers, which has a file to itself then.
        let most = 300_000;
        let shards = Shards::of(&shape, most);
        let index = shards.index().unwrap();
        let layout = Layout::of(&shape);
        assert_eq!(index["metadata"]["total_size"], 4 * layout.parameters());
        let map = index["weight_map"].as_object().unwrap();
        assert_eq!(map.len(), layout.0.len());
        let all = shards.files().len();
        assert!(all > 4);
        let mut found = 0;
        for (i, shard) in shards.files().iter().enumerate() {
            let name = format!("model-{:05}-of-{all:05}.safetensors", i + 1);
            assert_eq!(shard.name(), name);
            assert!(shard.bytes() <= most || shard.tensors.len() == 1, "{name}");
            let bytes = written(shard, &params);
            let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
            for (tensor, range) in layout.ranges() {
                if map[&tensor.name] == name {
                    found += 1;
                    let expected = params[range].iter().flat_map(|x| x.to_le_bytes());
                    let data = file.tensor(&tensor.name).unwrap().data();
                    assert!(data.iter().copied().eq(expected), "{}", tensor.name);
                }
            }
            let in_map = map.values().filter(|file| **file == name).count();
            assert_eq!(file.len(), in_map);
        }
        assert_eq!(found, layout.0.len());
        assert_eq!(shards.files()[0].bytes(), 4 * 1_024 * 128);
    }

    #[test]
    fn parameters_of_another_shape_are_refused() {
        let shape = named::named("tiny").unwrap();
        let shards = Shards::of(&shape, SHARD_BYTES);
        let mut bytes = Vec::new();
        assert!(shards.files()[0].write(&[0.0; 3], &mut bytes).is_err());
        assert!(bytes.is_empty());
    }
}
