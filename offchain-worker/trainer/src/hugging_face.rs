//! Models in the form that Hugging Face's `LlamaForCausalLM` loads as it is.
//!
//! Names and shapes of tensors are those of [`Layout`], which takes them from there. Rotary positions pair the two
//! halves of a head, as Hugging Face has it too, so the rows of q and k stay in their order.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use cairn_primitives::{Layout, ModelShape};
use safetensors::{Dtype, SafeTensorError, View};
use serde_json::{json, Value};

/// The file of the parameters.
pub const WEIGHTS: &str = "model.safetensors";
/// The file of the shape.
pub const CONFIG: &str = "config.json";
/// The file that maps text to tokens.
pub const TOKENIZER: &str = "tokenizer.json";
/// The file that says how the tokenizer is used.
pub const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

/// A tensor of the flat vector.
struct Tensor<'a> {
    shape: Vec<usize>,
    values: &'a [f32],
}

impl View for Tensor<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.values.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        4 * self.values.len()
    }
}

/// Writes parameters, in the order of [`Layout`], as a safetensors file.
///
/// # Errors
///
/// [`SafeTensorError`] if the file cannot be written, or if `params` are not of this shape.
pub fn write_parameters(
    shape: &ModelShape,
    params: &[f32],
    path: &Path,
) -> Result<(), SafeTensorError> {
    let layout = Layout::of(shape);
    if params.len() != layout.parameters() {
        return Err(SafeTensorError::TensorInvalidInfo);
    }
    let tensors = layout.ranges().map(|(tensor, range)| {
        let shape = tensor.shape.iter().map(|n| *n as usize).collect();
        let values = &params[range];
        (tensor.name.clone(), Tensor { shape, values })
    });
    let format = HashMap::from([("format".into(), "pt".into())]);
    safetensors::serialize_to_file(tensors, Some(format), path)
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

    #[test]
    fn a_file_has_every_tensor_under_its_name() {
        let shape = named::named("tiny").unwrap();
        let params = initial_parameters(&shape, 3);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(WEIGHTS);
        write_parameters(&shape, &params, &path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
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
    fn parameters_of_another_shape_are_refused() {
        let shape = named::named("tiny").unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(WEIGHTS);
        assert!(write_parameters(&shape, &[0.0; 3], &path).is_err());
        assert!(!path.exists());
    }
}
