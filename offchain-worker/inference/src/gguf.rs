//! Models as llama.cpp loads them: one file in the format GGUF, version 3, all numbers `f32`.
//!
//! llama.cpp rotates a head's numbers 2i and 2i + 1 against each other, where ours rotate number i of the first half
//! against number i of the second. So the rows of q and k are dealt out anew, which changes no score. A head that
//! shares the embedding's parameters is not written: llama.cpp takes the embedding then.

use std::io::{self, Write};

use cairn_primitives::{Layout, ModelShape};
use cairn_trainer::kernels;
use serde_json::Value;

/// The name of a model's file.
pub const FILE: &str = "model.gguf";
const VERSION: u32 = 3;
/// Where tensors begin: at multiples of so many bytes, which is the format's default.
const ALIGNMENT: u64 = 32;
/// The number of `f32` among the format's types of tensors.
const F32: u32 = 0;

/// Why there is no such file of a model.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// The file cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The parameters are not of this shape.
    #[error("there are {found} parameters where the model has {expected}; check which run they are from")]
    Length {
        /// The model's parameters.
        expected: usize,
        /// Numbers that were given.
        found: usize,
    },
    /// llama.cpp has no tokenizer that does the same as this one.
    #[error("llama.cpp cannot do what the tokenizer does: {0}; export without --format gguf")]
    Tokenizer(String),
}

/// How text becomes tokens: what llama.cpp calls the tokenizer `gpt2` with the pre-tokenizer `gpt-2`, a byte-level
/// BPE over the pieces that GPT-2's regular expression cuts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    /// The tokens' names, in the alphabet of bytes; what the tokenizer does not have is filled up.
    tokens: Vec<String>,
    /// Tokens that the tokenizer has.
    known: usize,
    merges: Vec<String>,
    end: u32,
}

impl Vocabulary {
    /// The vocabulary of a `tokenizer.json`, filled up to the model's `size`. `end` is the token that ends a document.
    ///
    /// # Errors
    ///
    /// [`GgufError::Tokenizer`] if llama.cpp would make other tokens of some texts.
    pub fn of(tokenizer: &[u8], size: u32, end: u32) -> Result<Vocabulary, GgufError> {
        let no = |what: &str| GgufError::Tokenizer(what.into());
        let file: Value =
            serde_json::from_slice(tokenizer).map_err(|error| no(&error.to_string()))?;
        check(&file).map_err(no)?;
        let mut tokens = vec![None; size as usize];
        let model = file.get("model").and_then(|model| model.get("vocab"));
        let model = model
            .and_then(Value::as_object)
            .ok_or(no("it has no vocabulary"))?;
        let added = file.get("added_tokens").and_then(Value::as_array);
        let added = added.into_iter().flatten().filter_map(|token| {
            let name = token.get("content")?.as_str()?;
            Some((name.to_string(), token.get("id")?.clone()))
        });
        let named = model.iter().map(|(name, id)| (name.clone(), id.clone()));
        let mut known = 0usize;
        for (name, id) in named.chain(added) {
            let place = id.as_u64().and_then(|id| usize::try_from(id).ok());
            let place = place.and_then(|id| tokens.get_mut(id));
            let place = place.ok_or(no("it has more tokens than the model"))?;
            known = known.saturating_add(usize::from(place.is_none()));
            *place = Some(name);
        }
        if tokens.iter().take(known).any(Option::is_none) {
            return Err(no("its tokens' numbers have a gap"));
        }
        let tokens = (0..).zip(tokens).map(|(id, name): (usize, _)| {
            // Names that no text can become, each its own.
            name.unwrap_or(format!("[PAD{id}]"))
        });
        Ok(Vocabulary {
            tokens: tokens.collect(),
            known,
            merges: merges(&file).ok_or(no("its merges are no pairs"))?,
            end,
        })
    }

    fn kinds(&self) -> Vec<i32> {
        let kind = |id: usize| match id {
            // In the format's numbers: control, normal, unused.
            id if id == self.end as usize => 3,
            id if id < self.known => 1,
            _ => 5,
        };
        (0..self.tokens.len()).map(kind).collect()
    }
}

/// Whether a tokenizer does what llama.cpp's `gpt2` does.
fn check(file: &Value) -> Result<(), &'static str> {
    let is_set = |part: &Value, name: &str| match part.get(name) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    };
    let kind = |part: &Value| part.get("type").and_then(Value::as_str).map(String::from);
    if is_set(file, "normalizer") {
        return Err("it changes text before it cuts it");
    }
    let pre = file.get("pre_tokenizer").unwrap_or(&Value::Null);
    // Left out, a text is cut by the regular expression.
    let cuts = pre.get("use_regex").and_then(Value::as_bool) != Some(false);
    if kind(pre).as_deref() != Some("ByteLevel") || !cuts || is_set(pre, "add_prefix_space") {
        return Err("it cuts text another way than GPT-2's");
    }
    let model = file.get("model").unwrap_or(&Value::Null);
    let more = [
        "continuing_subword_prefix",
        "end_of_word_suffix",
        "byte_fallback",
        "ignore_merges",
        "unk_token",
    ];
    if kind(model).as_deref() != Some("BPE") || more.iter().any(|name| is_set(model, name)) {
        return Err("it is no plain byte-level BPE");
    }
    Ok(())
}

/// Pairs of tokens that become one, earlier ones first, with a blank between.
fn merges(file: &Value) -> Option<Vec<String>> {
    let list = file.get("model")?.get("merges")?.as_array()?;
    let pair = |merge: &Value| match merge {
        Value::String(pair) => Some(pair.clone()),
        Value::Array(pair) => match pair.as_slice() {
            [first, second] => Some(format!("{} {}", first.as_str()?, second.as_str()?)),
            _ => None,
        },
        _ => None,
    };
    list.iter().map(pair).collect()
}

/// A value beside a key.
enum Meta<'a> {
    Number(u32),
    Real(f32),
    Flag(bool),
    Text(&'a str),
    Numbers(Vec<i32>),
    Texts(&'a [String]),
}

/// Writes a model called `name` with a `description`, and how text becomes its tokens if that is known.
///
/// # Errors
///
/// [`GgufError`] if the parameters, in the order of [`Layout`], are not of this shape, or cannot be written.
pub fn write(
    shape: &ModelShape,
    params: &[f32],
    [name, description]: [&str; 2],
    vocabulary: Option<&Vocabulary>,
    out: &mut impl Write,
) -> Result<(), GgufError> {
    let layout = Layout::of(shape);
    let (expected, found) = (layout.parameters(), params.len());
    if expected != found {
        return Err(GgufError::Length { expected, found });
    }
    out.write_all(&header(shape, [name, description], vocabulary))?;
    for (tensor, range) in layout.ranges() {
        let values = params.get(range).unwrap_or_default();
        match heads(shape, &tensor.name) {
            Some(heads) => {
                let width = shape.head_dim() as usize;
                write_turned(values, heads, width, shape.d_model as usize, out)?;
            }
            None => write_numbers(values, out)?,
        }
        let left = padding(4 * values.len() as u64);
        out.write_all(&vec![0; left as usize])?;
    }
    Ok(out.flush()?)
}

/// All that comes before the numbers.
fn header(shape: &ModelShape, names: [&str; 2], vocabulary: Option<&Vocabulary>) -> Vec<u8> {
    let layout = Layout::of(shape);
    let metadata = metadata(shape, names, vocabulary);
    let mut header = b"GGUF".to_vec();
    header.extend(VERSION.to_le_bytes());
    header.extend((layout.0.len() as u64).to_le_bytes());
    header.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in &metadata {
        put_text(&mut header, key);
        put_meta(&mut header, value);
    }
    let mut offset = 0u64;
    for tensor in &layout.0 {
        put_text(&mut header, &theirs(&tensor.name));
        header.extend((tensor.shape.len() as u32).to_le_bytes());
        // Theirs begin with the dimension that lies closest.
        for size in tensor.shape.iter().rev() {
            header.extend(u64::from(*size).to_le_bytes());
        }
        header.extend(F32.to_le_bytes());
        header.extend(offset.to_le_bytes());
        let bytes = 4 * tensor.len() as u64;
        offset += bytes + padding(bytes);
    }
    let left = padding(header.len() as u64);
    header.resize(header.len() + left as usize, 0);
    header
}

fn metadata<'a>(
    shape: &ModelShape,
    [name, description]: [&'a str; 2],
    vocabulary: Option<&'a Vocabulary>,
) -> Vec<(&'static str, Meta<'a>)> {
    let mut metadata = vec![
        ("general.architecture", Meta::Text("llama")),
        ("general.name", Meta::Text(name)),
        ("general.description", Meta::Text(description)),
        ("general.alignment", Meta::Number(ALIGNMENT as u32)),
        ("general.file_type", Meta::Number(F32)),
        ("llama.block_count", Meta::Number(shape.layers.into())),
        ("llama.context_length", Meta::Number(shape.context)),
        ("llama.embedding_length", Meta::Number(shape.d_model)),
        ("llama.feed_forward_length", Meta::Number(shape.ffn)),
        (
            "llama.attention.head_count",
            Meta::Number(shape.heads.into()),
        ),
        (
            "llama.attention.head_count_kv",
            Meta::Number(shape.kv_heads.into()),
        ),
        (
            "llama.attention.layer_norm_rms_epsilon",
            Meta::Real(kernels::EPSILON as f32),
        ),
        ("llama.rope.dimension_count", Meta::Number(shape.head_dim())),
        ("llama.rope.freq_base", Meta::Real(shape.rope_theta as f32)),
        ("llama.vocab_size", Meta::Number(shape.vocabulary)),
    ];
    match vocabulary {
        None => metadata.push(("tokenizer.ggml.model", Meta::Text("no_vocab"))),
        Some(vocabulary) => metadata.extend([
            ("tokenizer.ggml.model", Meta::Text("gpt2")),
            ("tokenizer.ggml.pre", Meta::Text("gpt-2")),
            ("tokenizer.ggml.tokens", Meta::Texts(&vocabulary.tokens)),
            (
                "tokenizer.ggml.token_type",
                Meta::Numbers(vocabulary.kinds()),
            ),
            ("tokenizer.ggml.merges", Meta::Texts(&vocabulary.merges)),
            ("tokenizer.ggml.eos_token_id", Meta::Number(vocabulary.end)),
            ("tokenizer.ggml.add_bos_token", Meta::Flag(false)),
            ("tokenizer.ggml.add_eos_token", Meta::Flag(false)),
        ]),
    }
    metadata
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// A value, after the number of its type.
fn put_meta(bytes: &mut Vec<u8>, value: &Meta) {
    let mut number = |n: u32| bytes.extend(n.to_le_bytes());
    match value {
        Meta::Number(n) => {
            number(4);
            number(*n);
        }
        Meta::Real(x) => {
            number(6);
            number(x.to_bits());
        }
        Meta::Flag(flag) => {
            number(7);
            bytes.push(u8::from(*flag));
        }
        Meta::Text(text) => {
            number(8);
            put_text(bytes, text);
        }
        Meta::Numbers(list) => {
            number(9);
            number(5);
            bytes.extend((list.len() as u64).to_le_bytes());
            list.iter().for_each(|n| bytes.extend(n.to_le_bytes()));
        }
        Meta::Texts(list) => {
            number(9);
            number(8);
            bytes.extend((list.len() as u64).to_le_bytes());
            list.iter().for_each(|text| put_text(bytes, text));
        }
    }
}

/// What llama.cpp calls a tensor of ours.
fn theirs(name: &str) -> String {
    let name = name.strip_suffix(".weight").unwrap_or(name);
    let Some((layer, part)) = name
        .strip_prefix("model.layers.")
        .and_then(|rest| rest.split_once('.'))
    else {
        let name = match name {
            "model.embed_tokens" => "token_embd",
            "model.norm" => "output_norm",
            "lm_head" => "output",
            other => other,
        };
        return format!("{name}.weight");
    };
    let part = match part {
        "input_layernorm" => "attn_norm",
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.o_proj" => "attn_output",
        "post_attention_layernorm" => "ffn_norm",
        "mlp.gate_proj" => "ffn_gate",
        "mlp.up_proj" => "ffn_up",
        "mlp.down_proj" => "ffn_down",
        other => other,
    };
    format!("blk.{layer}.{part}.weight")
}

/// The heads of a tensor whose rows are rotated.
fn heads(shape: &ModelShape, name: &str) -> Option<usize> {
    if name.ends_with("q_proj.weight") {
        return Some(shape.heads.into());
    }
    name.ends_with("k_proj.weight")
        .then_some(shape.kv_heads.into())
}

/// Bytes up to where the next tensor begins.
fn padding(length: u64) -> u64 {
    length.next_multiple_of(ALIGNMENT) - length
}

/// Writes the rows of heads of `width` rows of `inputs` numbers such that row i of a head's first half and row i of its
/// second come one after the other.
fn write_turned(
    values: &[f32],
    heads: usize,
    width: usize,
    inputs: usize,
    out: &mut impl Write,
) -> io::Result<()> {
    for head in values.chunks_exact(width * inputs).take(heads) {
        let (first, second) = head.split_at(head.len() / 2);
        for (a, b) in first.chunks_exact(inputs).zip(second.chunks_exact(inputs)) {
            write_numbers(a, out)?;
            write_numbers(b, out)?;
        }
    }
    Ok(())
}

fn write_numbers(values: &[f32], out: &mut impl Write) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(4 * values.len().min(4096));
    for values in values.chunks(4096) {
        bytes.clear();
        values.iter().for_each(|x| bytes.extend(x.to_le_bytes()));
        out.write_all(&bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_trainer::{config, initial_parameters};

    /// A byte-level BPE of five tokens.
    const TOKENIZER: &str = r#"{
        "normalizer": null, "added_tokens": [{"id": 0, "content": "<|end|>", "special": true}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "unk_token": null, "byte_fallback": false,
            "vocab": {"<|end|>": 0, "a": 1, "b": 2, "\u0120": 3, "ab": 4}, "merges": [["a", "b"]]}
    }"#;

    fn small(tied: bool) -> ModelShape {
        ModelShape {
            layers: 2,
            d_model: 8,
            heads: 2,
            kv_heads: 1,
            ffn: 12,
            vocabulary: 7,
            context: 16,
            rope_theta: 500_000,
            tied_embeddings: tied,
        }
    }

    fn file(tied: bool) -> (Vec<u8>, usize) {
        let shape = small(tied);
        let params = initial_parameters(&shape, 1);
        let vocabulary = Vocabulary::of(TOKENIZER.as_bytes(), 7, 0).unwrap();
        let (mut bytes, names) = (Vec::new(), ["small", "a model"]);
        write(&shape, &params, names, Some(&vocabulary), &mut bytes).unwrap();
        (bytes, header(&shape, names, Some(&vocabulary)).len())
    }

    /// Byte for byte: what llama.cpp was seen to load.
    #[test]
    fn the_bytes_are_those_that_were_seen_to_load() {
        let (bytes, header) = file(true);
        assert_eq!(&bytes[..8], b"GGUF\x03\0\0\0");
        assert_eq!(bytes[8..16], 20u64.to_le_bytes(), "tensors");
        assert_eq!(bytes[16..24], 23u64.to_le_bytes(), "keys");
        assert_eq!(header % 32, 0);
        let hash = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
        assert_eq!(hash(&bytes[..header]), GOLDEN_HEADER);
        assert_eq!(hash(&bytes), GOLDEN_FILE);
    }

    const GOLDEN_HEADER: &str = "94a6e68893b77b714b51bd38d3c42c1a9ab6a460d1892aaf986b9c15d29b8449";
    const GOLDEN_FILE: &str = "4837557a7c182da400a68a394f298b9a84eac355faf1c64dd73e449d02f3f88f";

    #[test]
    fn a_head_of_its_own_is_written_and_a_shared_one_is_not() {
        let has = |bytes: &[u8], name: &[u8]| bytes.windows(name.len()).any(|at| at == name);
        // With its length in front: others end likewise.
        let output = b"\x0d\0\0\0\0\0\0\0output.weight";
        assert!(!has(&file(true).0, output));
        assert!(has(&file(false).0, output));
    }

    #[test]
    fn every_tensor_has_a_name_of_theirs() {
        let mut names: Vec<_> = Layout::of(&small(false))
            .0
            .iter()
            .map(|tensor| theirs(&tensor.name))
            .collect();
        assert_eq!(names[0], "token_embd.weight");
        assert_eq!(names[12], "blk.1.attn_k.weight");
        assert_eq!(names[18], "blk.1.ffn_down.weight");
        assert_eq!(names[20], "output.weight");
        assert!(!names
            .iter()
            .any(|name| name.contains("proj") || name.contains("model")));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 21);
    }

    #[test]
    fn rows_that_are_rotated_come_in_pairs() {
        let mut bytes = Vec::new();
        // Two heads of four rows of one number.
        let rows: Vec<f32> = (0..8).map(|i| i as f32).collect();
        write_turned(&rows, 2, 4, 1, &mut bytes).unwrap();
        let numbers = bytes.as_chunks::<4>().0.iter();
        let numbers: Vec<f32> = numbers.map(|bytes| f32::from_le_bytes(*bytes)).collect();
        assert_eq!(numbers, [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
    }

    #[test]
    fn a_vocabulary_is_filled_up_to_the_models() {
        let vocabulary = Vocabulary::of(TOKENIZER.as_bytes(), 7, 0).unwrap();
        assert_eq!(
            vocabulary.tokens,
            ["<|end|>", "a", "b", "\u{120}", "ab", "[PAD5]", "[PAD6]"]
        );
        assert_eq!(vocabulary.kinds(), [3, 1, 1, 1, 1, 5, 5]);
        assert_eq!(vocabulary.merges, ["a b"]);
        let strings = TOKENIZER.replace(r#"["a", "b"]"#, r#""a b""#);
        let same = Vocabulary::of(strings.as_bytes(), 7, 0).unwrap();
        assert_eq!(same, vocabulary);
    }

    #[test]
    fn what_llama_cpp_would_do_otherwise_is_refused() {
        for (from, to, named) in [
            (
                r#""normalizer": null"#,
                r#""normalizer": {"type": "NFC"}"#,
                "changes text",
            ),
            (r#""use_regex": true"#, r#""use_regex": false"#, "cuts text"),
            (
                r#""add_prefix_space": false"#,
                r#""add_prefix_space": true"#,
                "cuts text",
            ),
            (r#""BPE""#, r#""Unigram""#, "BPE"),
            (
                r#""byte_fallback": false"#,
                r#""byte_fallback": true"#,
                "BPE",
            ),
            (r#""ab": 4"#, r#""ab": 7"#, "more tokens"),
            (r#""ab": 4"#, r#""ab": 5"#, "gap"),
            (r#"["a", "b"]"#, r#"["a"]"#, "merges"),
        ] {
            assert!(TOKENIZER.contains(from), "{from}");
            let file = TOKENIZER.replace(from, to);
            let error = Vocabulary::of(file.as_bytes(), 7, 0)
                .unwrap_err()
                .to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn parameters_of_another_shape_are_refused() {
        let shape = config::named("tiny").unwrap();
        let refused = write(&shape, &[0.0; 3], ["", ""], None, &mut Vec::new());
        assert!(matches!(refused, Err(GgufError::Length { found: 3, .. })));
    }
}
