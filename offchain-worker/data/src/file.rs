//! A tokenizer's file, reduced to what maps text to tokens and back.
//!
//! A `tokenizer.json` can also switch on what is no mapping: cutting and filling up sequences, tokens in front
//! and behind, random merges, tokens that are found in text. Whoever trains and whoever uses the model must do the
//! same, so all of that is switched off in the file itself, and the file that results is the one that is published.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{json, Map, Value};
use tokenizers::Tokenizer;

use crate::TokenizerError;

/// Names under which the token that ends a document is looked for, the first that exists.
pub(crate) const ENDS: [&str; 4] = ["<|end|>", "<|endoftext|>", "<|end_of_text|>", "</s>"];

/// A file without what is no mapping.
pub(crate) struct Plain {
    /// The file's content: the bytes that were given, if they needed no change.
    pub bytes: Vec<u8>,
    /// The tokenizer that these bytes make.
    pub tokenizer: Tokenizer,
    /// What was switched off, in the words of the file.
    pub left_out: Vec<&'static str>,
    /// The token that ends a document.
    pub end: u32,
    /// Number of tokens: they are 0 to this, less one.
    pub vocabulary: u32,
    /// The tokens that have a meaning of their own, which no text may become.
    pub reserved: BTreeMap<u32, String>,
}

impl Plain {
    /// Reads a tokenizer's file.
    pub fn parse(bytes: &[u8]) -> Result<Plain, TokenizerError> {
        let mut file: Value = serde_json::from_slice(bytes).map_err(no_tokenizer)?;
        let given = file.clone();
        let mut left_out = switch_off(&mut file);
        // Without them the model alone speaks, and its own numbers are seen.
        let added = take_added(&mut file)?;
        let model = build(&file)?;
        let vocabulary = check_numbers(&model, &added)?;
        let (end, end_name) = find_end(&model, &added)?;
        let (published, reserved) = publish(added, end, &end_name, &mut left_out);
        if let Some(file) = file.as_object_mut() {
            file.insert("added_tokens".into(), published);
        }
        let mut tokenizer = build(&file)?;
        check_places(&tokenizer, &file)?;
        tokenizer.set_encode_special_tokens(true);
        let bytes = match file == given {
            true => bytes.to_vec(),
            false => serde_json::to_vec(&file).map_err(no_tokenizer)?,
        };
        Ok(Plain {
            bytes,
            tokenizer,
            left_out,
            end,
            vocabulary,
            reserved,
        })
    }

    /// The file for those who use the model. Where the model itself can hold the added tokens they are moved into
    /// it, so that no program looks for them in text; elsewhere it is the file as it is.
    pub fn exported(&self) -> Result<Vec<u8>, TokenizerError> {
        let mut file: Value = serde_json::from_slice(&self.bytes).map_err(no_tokenizer)?;
        let Some(names) = move_into_model(&mut file) else {
            return Ok(self.bytes.clone());
        };
        let bytes = serde_json::to_vec(&file).map_err(no_tokenizer)?;
        let moved = Tokenizer::from_bytes(&bytes).map_err(no_tokenizer)?;
        let tokens = |tokenizer: &Tokenizer, text: &str| {
            let encoded = tokenizer.encode(text, true).map_err(no_tokenizer)?;
            Ok::<_, TokenizerError>(encoded.get_ids().to_vec())
        };
        for name in names {
            if tokens(&moved, &name)? != tokens(&self.tokenizer, &name)? {
                return Ok(self.bytes.clone());
            }
        }
        Ok(bytes)
    }

    /// How the file changes text on its way, for people who look for the cause of a loss.
    pub fn parts(&self) -> String {
        let file: Value = serde_json::from_slice(&self.bytes).unwrap_or_default();
        let part = |name: &str, words: &str| format!("{words} {}", kinds(file.get(name)));
        [
            part("normalizer", "normalizer"),
            part("pre_tokenizer", "pre-tokenizer"),
            part("decoder", "decoder"),
        ]
        .join(", ")
    }
}

/// A token that the file adds to its model's.
struct Added {
    id: u32,
    content: String,
    fields: Map<String, Value>,
}

impl Added {
    fn flag(&self, name: &str) -> bool {
        self.fields.get(name).and_then(Value::as_bool) == Some(true)
    }
}

/// Switches off what is no mapping, and names it.
fn switch_off(file: &mut Value) -> Vec<&'static str> {
    let mut left_out = Vec::new();
    for name in ["truncation", "padding", "post_processor"] {
        if clear(file, name) {
            left_out.push(name);
        }
    }
    let random = file
        .get_mut("model")
        .is_some_and(|model| clear(model, "dropout"));
    if random {
        left_out.push("dropout");
    }
    left_out
}

/// Makes a field null, and says whether it was anything else.
fn clear(object: &mut Value, name: &str) -> bool {
    match object.get_mut(name) {
        None | Some(Value::Null) => false,
        Some(value) => {
            *value = Value::Null;
            true
        }
    }
}

/// Takes the added tokens out of the file, ascending.
fn take_added(file: &mut Value) -> Result<Vec<Added>, TokenizerError> {
    let list = match file.get_mut("added_tokens").map(Value::take) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(no_tokenizer("added_tokens is no list")),
    };
    let mut added = Vec::new();
    for token in list {
        let Value::Object(fields) = token else {
            return Err(no_tokenizer("an added token is no object"));
        };
        let id = fields.get("id").and_then(Value::as_u64);
        let content = fields.get("content").and_then(Value::as_str);
        let (Some(Ok(id)), Some(content)) = (id.map(u32::try_from), content) else {
            return Err(no_tokenizer("an added token has no id or no content"));
        };
        let content = content.to_string();
        added.push(Added {
            id,
            content,
            fields,
        });
    }
    added.sort_by_key(|token| token.id);
    if let Some(file) = file.as_object_mut() {
        file.insert("added_tokens".into(), json!([]));
    }
    Ok(added)
}

fn build(file: &Value) -> Result<Tokenizer, TokenizerError> {
    let bytes = serde_json::to_vec(file).map_err(no_tokenizer)?;
    Tokenizer::from_bytes(bytes).map_err(no_tokenizer)
}

/// Makes sure that the tokens have the numbers 0 to N - 1, each once, and gives N.
fn check_numbers(model: &Tokenizer, added: &[Added]) -> Result<u32, TokenizerError> {
    let mut names: BTreeMap<u32, String> = BTreeMap::new();
    let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
    let known = model.get_vocab(false).into_iter();
    let more = added.iter().map(|token| (token.content.clone(), token.id));
    for (name, id) in known.chain(more) {
        if let Some(first) = numbers
            .insert(name.clone(), id)
            .filter(|other| *other != id)
        {
            let second = id;
            return Err(TokenizerError::TwoIds {
                name,
                first,
                second,
            });
        }
        if let Some(first) = names
            .insert(id, name.clone())
            .filter(|other| *other != name)
        {
            let second = name;
            return Err(TokenizerError::TwoTokens { id, first, second });
        }
    }
    let Some((largest, name)) = names.last_key_value() else {
        return Err(TokenizerError::NoTokens);
    };
    let count = names.len() as u64;
    if u64::from(*largest) + 1 != count {
        let missing = names.keys().zip(0u32..).find(|(id, place)| **id != *place);
        return Err(TokenizerError::Gap {
            count,
            missing: missing.map_or(0, |(_, place)| place),
            largest: *largest,
            name: name.clone(),
        });
    }
    u32::try_from(count).map_err(|_| no_tokenizer("more than 2^32 tokens"))
}

/// The token that ends a document.
fn find_end(model: &Tokenizer, added: &[Added]) -> Result<(u32, String), TokenizerError> {
    let id = |name: &str| {
        let added = added.iter().find(|token| token.content == name);
        added
            .map(|token| token.id)
            .or_else(|| model.token_to_id(name))
    };
    let found = ENDS
        .iter()
        .find_map(|name| Some((id(name)?, name.to_string())));
    found.ok_or(TokenizerError::NoEnd)
}

/// The added tokens as they are published: none is ever looked for in text. Also gives those that text may not
/// become, whichever way.
fn publish(
    mut added: Vec<Added>,
    end: u32,
    end_name: &str,
    left_out: &mut Vec<&'static str>,
) -> (Value, BTreeMap<u32, String>) {
    if !added.iter().any(|token| token.id == end) {
        added.push(Added {
            id: end,
            content: end_name.into(),
            fields: Map::new(),
        });
        added.sort_by_key(|token| token.id);
    }
    let reserved = added
        .iter()
        .filter(|token| token.flag("special") || token.id == end);
    let reserved = reserved
        .map(|token| (token.id, token.content.clone()))
        .collect();
    let searched = |token: &Added| !token.flag("special") && token.id != end;
    if added.iter().any(searched) {
        left_out.push("added_tokens in text");
    }
    let list = added.into_iter().map(|token| {
        let mut fields = token.fields;
        fields.insert("id".into(), token.id.into());
        fields.insert("content".into(), token.content.into());
        for off in ["single_word", "lstrip", "rstrip", "normalized"] {
            fields.insert(off.into(), false.into());
        }
        // Who encodes text as text leaves special tokens alone, and only these.
        fields.insert("special".into(), true.into());
        Value::Object(fields)
    });
    (Value::Array(list.collect()), reserved)
}

/// Moves the added tokens into the vocabulary of a BPE, which makes tokens of single characters and merges only, and
/// gives their names. `None`, and nothing is moved, if the model could make one of them of text after all.
fn move_into_model(file: &mut Value) -> Option<Vec<String>> {
    let model = file.get("model")?;
    let is_set = |name: &str| match model.get(name) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    };
    let reaching = [
        "ignore_merges",
        "continuing_subword_prefix",
        "end_of_word_suffix",
    ];
    let kind = model.get("type").and_then(Value::as_str);
    if kind != Some("BPE") || reaching.into_iter().any(is_set) {
        return None;
    }
    let bytes_are_tokens = is_set("byte_fallback");
    let added = file.get("added_tokens")?.as_array()?.iter();
    let added: Vec<(String, Value)> = added
        .map(|token| {
            Some((
                token.get("content")?.as_str()?.to_string(),
                token.get("id")?.clone(),
            ))
        })
        .collect::<Option<_>>()?;
    if added
        .iter()
        .any(|(name, _)| bytes_are_tokens && name.starts_with("<0x"))
    {
        return None;
    }
    let vocabulary = file.get_mut("model")?.get_mut("vocab")?.as_object_mut()?;
    vocabulary.extend(added.iter().cloned());
    file.as_object_mut()?
        .insert("added_tokens".into(), json!([]));
    Some(added.into_iter().map(|(name, _)| name).collect())
}

/// Makes sure that the tokenizer took the numbers that the file gives: it counts by itself.
fn check_places(tokenizer: &Tokenizer, file: &Value) -> Result<(), TokenizerError> {
    let added = file.get("added_tokens").and_then(Value::as_array);
    for token in added.into_iter().flatten() {
        let name = token
            .get("content")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let id = token.get("id").and_then(Value::as_u64);
        let found = tokenizer.token_to_id(name);
        if found.map(u64::from) != id {
            return Err(TokenizerError::Moved {
                name: name.into(),
                id: id.unwrap_or_default(),
                found,
            });
        }
    }
    Ok(())
}

/// The types of a part of the file, those of a sequence one by one.
fn kinds(part: Option<&Value>) -> String {
    fn collect(part: &Value, into: &mut BTreeSet<String>) {
        match part.get("type").and_then(Value::as_str) {
            Some("Sequence") => {
                let lists = ["normalizers", "pretokenizers", "decoders"];
                let lists = lists.iter().filter_map(|name| part.get(name)?.as_array());
                lists.flatten().for_each(|part| collect(part, into));
            }
            Some(kind) => {
                let prefixed = part.get("add_prefix_space").and_then(Value::as_bool) == Some(true);
                let suffix = if prefixed { " (add_prefix_space)" } else { "" };
                into.insert(format!("{kind}{suffix}"));
            }
            None => {}
        }
    }
    let mut found = BTreeSet::new();
    if let Some(part) = part {
        collect(part, &mut found);
    }
    match found.is_empty() {
        true => "none".into(),
        false => found.into_iter().collect::<Vec<_>>().join("+"),
    }
}

fn no_tokenizer(reason: impl std::fmt::Display) -> TokenizerError {
    let reason = reason.to_string();
    TokenizerError::NoTokenizer { reason }
}
