//! `cairn run export` against Hugging Face's transformers.
//!
//! Needs Python with torch and transformers, several GB, in `$CAIRN_CACHE/venv`: `make venv` installs them. Where they
//! are missing the comparison is left out, unless `CAIRN_REQUIRE_VENV` is set, as `make test-peers` does.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use cairn_data::{train_tokenizer, Corpus, TextTokenizer};
use cairn_primitives::{Layout, ModelShape};
use cairn_trainer::{config, hugging_face::SHARD_BYTES, Trainer};

const TEXT: &str = "the cat sat on the mat , and the dog — überall — sat <|end|> on the log .";

/// What a tokenizer's file can switch on and training does not do.
fn with_more(tokenizer: &str) -> Vec<u8> {
    let mut file: serde_json::Value = serde_json::from_str(tokenizer).unwrap();
    file["truncation"] = serde_json::json!({
        "direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0,
    });
    file["padding"] = serde_json::json!({
        "strategy": {"Fixed": 64}, "direction": "Left", "pad_to_multiple_of": null,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "<|end|>",
    });
    file["post_processor"] =
        serde_json::json!({"type": "BertProcessing", "sep": ["<|end|>", 0], "cls": ["!", 1]});
    file["model"]["dropout"] = 0.5.into();
    serde_json::to_vec(&file).unwrap()
}

/// Python with transformers.
fn python() -> Option<PathBuf> {
    let cache = std::env::var_os("CAIRN_CACHE").map_or_else(
        || Path::new(&std::env::var_os("HOME").unwrap_or_default()).join(".cache/cairn"),
        PathBuf::from,
    );
    let python = cache.join("venv/bin/python");
    let found = Command::new(&python)
        .args(["-c", "import torch, transformers"])
        .output()
        .is_ok_and(|output| output.status.success());
    found.then_some(python)
}

/// Weights that differ from each other, so that nothing can be exchanged unseen; norms are not one.
fn weights(shape: &ModelShape) -> Vec<f32> {
    let mut state = 1u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let layout = Layout::of(shape);
    let numbers = layout.ranges().flat_map(|(tensor, range)| {
        let vector = tensor.shape.len() == 1;
        range.map(move |_| vector)
    });
    numbers
        .map(|vector| match vector {
            true => 1.0 + 0.5 * next(),
            false => 0.2 * next(),
        })
        .collect()
}

fn export(
    directory: &Path,
    tied: bool,
    shard_bytes: u64,
) -> (PathBuf, ModelShape, Vec<f32>, Vec<u8>) {
    let run = include_str!("../../../chain-specs/run-tiny.toml");
    let stated = format!("tied_embeddings = {tied}");
    let run = run.replace("tied_embeddings = true", &stated);
    let shape = ModelShape {
        tied_embeddings: tied,
        ..config::named("tiny").unwrap()
    };
    let weights = weights(&shape);
    let corpus = Corpus::new([TEXT, TEXT, "held out"].join("\u{1e}"), 0.1).unwrap();
    let tokenizer = train_tokenizer(&corpus, 300).unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = directory.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let bytes: Vec<u8> = weights.iter().flat_map(|w| w.to_le_bytes()).collect();
    let out = directory.join("model");
    let done = Command::new(env!("CARGO_BIN_EXE_cairn"))
        .args(["run", "export", "--json", "--store"])
        .arg(format!("file://{}", directory.display()))
        .arg("--file")
        .arg(file("run.toml", run.as_bytes()))
        .arg("--checkpoint")
        .arg(file("weights", &bytes))
        .arg("--tokenizer")
        .arg(file("tokenizer.json", &with_more(&tokenizer)))
        .arg("--out")
        .arg(&out)
        .args(["--shard-bytes", &shard_bytes.to_string()])
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let printed: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(printed["parameters"], weights.len());
    check_tokenizer(&out, &tokenizer);
    (out, shape, weights, tokenizer.into_bytes())
}

/// The exported tokenizer has nothing that training did not use.
fn check_tokenizer(out: &Path, trained: &str) {
    let read = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(out.join(name)).unwrap()).unwrap()
    };
    let mut trained: serde_json::Value = serde_json::from_str(trained).unwrap();
    // Nor is any token looked for in text: the model has it, and no merge leads there.
    trained["added_tokens"] = serde_json::json!([]);
    assert_eq!(read("tokenizer.json"), trained);
    let settings = read("tokenizer_config.json");
    assert_eq!(settings["split_special_tokens"], true, "text stays text");
    assert_eq!(
        settings["clean_up_tokenization_spaces"], false,
        "blanks stay"
    );
    assert_eq!(settings["eos_token"], "<|end|>");
    assert_eq!(settings["bos_token"], serde_json::Value::Null);
}

fn check(tied: bool, shard_bytes: u64) {
    let directory = tempfile::tempdir().unwrap();
    let (out, shape, weights, file) = export(directory.path(), tied, shard_bytes);
    let in_one = shard_bytes > 4 * weights.len() as u64;
    assert_eq!(out.join("model.safetensors").exists(), in_one);
    assert_eq!(out.join("model.safetensors.index.json").exists(), !in_one);
    let Some(python) = python() else {
        let required = std::env::var_os("CAIRN_REQUIRE_VENV").is_some();
        assert!(!required, "there is no transformers; run `make venv`");
        eprintln!("not compared: there is no transformers; `make venv` installs it");
        return;
    };
    let tokenizer = TextTokenizer::parse(&file).unwrap();
    let tokens = tokenizer.encode(&[TEXT], 0).unwrap().concat();
    assert!(tokens.len() > 10);
    let mut trainer = Trainer::new(&shape, 1).unwrap();
    let logits = trainer.logits(&weights, &tokens).unwrap();
    let rows: Vec<&[f32]> = logits.chunks(shape.vocabulary as usize).collect();
    let expected = serde_json::json!({ "text": TEXT, "tokens": tokens, "logits": rows });
    let path = directory.path().join("expected.json");
    std::fs::write(&path, serde_json::to_vec(&expected).unwrap()).unwrap();
    let done = Command::new(python)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/hugging-face/check.py"
        ))
        .args([&out, &path])
        .output()
        .unwrap();
    let (printed, error) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(done.status.success(), "{printed}{error}");
    assert!(printed.starts_with("LlamaForCausalLM: "), "{printed}");
}

#[test]
fn transformers_computes_the_same_logits() {
    check(true, SHARD_BYTES);
}

#[test]
fn transformers_computes_the_same_logits_with_a_head_of_its_own() {
    check(false, SHARD_BYTES);
}

#[test]
fn transformers_reads_several_files_as_one_model() {
    check(false, 300_000);
}

#[test]
fn nothing_is_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("precious"), "x").unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_cairn"))
        .args(["run", "export", "--store", "file:///nowhere", "--out"])
        .arg(directory.path())
        .output()
        .unwrap();
    assert!(!done.status.success());
    let error = String::from_utf8_lossy(&done.stderr);
    assert!(error.contains("is not empty"), "{error}");
}
