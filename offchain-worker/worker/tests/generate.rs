//! `cairn run export`, and `cairn run generate` from what it wrote.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use cairn_data::TextTokenizer;
use cairn_inference::{scores, Model};
use cairn_trainer::{config, initial_parameters};
use serde_json::Value;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

fn cairn(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    command.args(["run"]).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The devnet's model, untrained but lively.
fn parameters() -> Vec<f32> {
    let shape = config::named("tiny").unwrap();
    let mut parameters = initial_parameters(&shape, 3);
    parameters.iter_mut().for_each(|x| *x *= 4.0);
    parameters
}

/// Exports it in a format.
fn export(directory: &Path, format: &str) -> String {
    export_to(directory, format, &["--format", format])
}

/// Exports it to a directory of this name.
fn export_to(directory: &Path, name: &str, more: &[&str]) -> String {
    let bytes: Vec<u8> = parameters().iter().flat_map(|x| x.to_le_bytes()).collect();
    let checkpoint = directory.join("checkpoint");
    std::fs::write(&checkpoint, bytes).unwrap();
    let out = directory.join(name);
    let store = format!("file://{}", directory.display());
    let (run, tokenizer) = (
        repository("chain-specs/run-tiny.toml"),
        repository("data/tokenizer.json"),
    );
    let paths = [&run, &checkpoint, &tokenizer, &out].map(|path| path.to_str().unwrap());
    let [run, checkpoint, tokenizer, out] = paths;
    let common = [
        "export",
        "--store",
        &store,
        "--file",
        run,
        "--checkpoint",
        checkpoint,
        "--tokenizer",
        tokenizer,
        "--out",
        out,
    ];
    let done = cairn(&[&common[..], more].concat());
    assert!(done.status.success(), "{}", said(&done));
    out.to_string()
}

fn generate(model: &str, more: &[&str]) -> Value {
    let common = [
        "generate",
        "--model",
        model,
        "--prompt",
        "Fellow citizens",
        "--json",
    ];
    let done = cairn(&[&common[..], more].concat());
    assert!(done.status.success(), "{}", said(&done));
    serde_json::from_slice(&done.stdout).unwrap()
}

#[test]
fn an_exported_model_goes_on_with_a_text_and_names_its_root() {
    let directory = tempfile::tempdir().unwrap();
    let model = export(directory.path(), "hugging-face");
    let mode = |name: &str| {
        let file = std::fs::metadata(Path::new(&model).join(name)).unwrap();
        std::os::unix::fs::PermissionsExt::mode(&file.permissions())
    };
    let weights = mode("model.safetensors");
    assert_eq!(
        weights,
        mode("config.json"),
        "who may read one may read all"
    );
    let greedy = generate(&model, &["--temperature", "0", "--max-tokens", "12"]);
    let root = format!("{:?}", cairn_gradient::model_root(&parameters()));
    assert_eq!(
        (&greedy["model_root"], &greedy["run"]),
        (&root.into(), &"tiny".into())
    );
    // The same tokens as without the command line.
    let tokenizer = TextTokenizer::read(&repository("data/tokenizer.json")).unwrap();
    let shape = config::named("tiny").unwrap();
    let ours = Model::new(&shape, &parameters(), 1).unwrap();
    let mut sequence = ours.sequence(128).unwrap();
    let mut next = tokenizer.encode(&["Fellow citizens"], 0).unwrap().concat();
    let mut tokens: Vec<u32> = Vec::new();
    for _ in 0..12 {
        let logits = ours.feed(&mut sequence, &next).unwrap();
        next = vec![scores::largest(logits).unwrap()];
        tokens.extend(&next);
    }
    assert_eq!(greedy["tokens"], serde_json::json!(tokens));
    assert_eq!(
        (&greedy["finish"], &greedy["prompt_tokens"]),
        (&"length".into(), &5.into())
    );

    // A seed that was drawn and told makes the same text again, on any number of threads.
    let drawn = generate(&model, &["--max-tokens", "20"]);
    let seed = drawn["seed"].to_string();
    let again = generate(
        &model,
        &["--max-tokens", "20", "--seed", &seed, "--threads", "1"],
    );
    assert_eq!(drawn["tokens"], again["tokens"]);
    // For people: the text and nothing else, which parameters made it beside it.
    let common = [
        "generate",
        "--model",
        &model,
        "--prompt",
        "Fellow citizens",
        "--seed",
        &seed,
    ];
    let shown = cairn(&[&common[..], &["--max-tokens", "20"]].concat());
    let text = String::from_utf8(shown.stdout.clone()).unwrap();
    assert!(text.starts_with("Fellow citizens"), "{text}");
    assert!(
        said(&shown).contains(greedy["model_root"].as_str().unwrap()),
        "{}",
        said(&shown)
    );
}

#[test]
fn a_model_in_several_files_is_the_same_model() {
    let directory = tempfile::tempdir().unwrap();
    let one = export(directory.path(), "hugging-face");
    let several = export_to(directory.path(), "several", &["--shard-bytes", "1000000"]);
    let names = |model: &str| {
        let entries = std::fs::read_dir(model).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    };
    let others = ["README.md", "cairn.json", "config.json"];
    let tokenizer = ["tokenizer.json", "tokenizer_config.json"];
    let expected = [&others[..], &["model.safetensors"], &tokenizer].concat();
    assert_eq!(names(&one), expected);
    // 918,656 numbers of four bytes.
    let parts: Vec<String> = (1..=4)
        .map(|i| format!("model-{i:05}-of-00004.safetensors"))
        .collect();
    let mut expected: Vec<&str> = others.to_vec();
    expected.extend(parts.iter().map(String::as_str));
    expected.push("model.safetensors.index.json");
    expected.extend(tokenizer);
    assert_eq!(names(&several), expected);
    let greedy = ["--temperature", "0", "--max-tokens", "12"];
    let (from_one, from_several) = (generate(&one, &greedy), generate(&several, &greedy));
    for same in ["model_root", "tokens"] {
        assert_eq!(from_one[same], from_several[same], "{same}");
    }
    let card = std::fs::read_to_string(Path::new(&several).join("README.md")).unwrap();
    let root = from_one["model_root"].as_str().unwrap();
    assert!(card.contains(root) && card.contains("# tiny"), "{card}");
    // A part of another model.
    let part = Path::new(&several).join(&parts[1]);
    let mut bytes = std::fs::read(&part).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&part, bytes).unwrap();
    let done = cairn(&["generate", "--model", &several, "--prompt", "x"]);
    assert!(
        said(&done).contains("export the model again"),
        "{}",
        said(&done)
    );
}

#[test]
fn a_model_that_cannot_be_used_is_told_in_a_line() {
    let directory = tempfile::tempdir().unwrap();
    let model = export(directory.path(), "hugging-face");
    let refused = |model: &str, more: &[&str]| {
        let common = ["generate", "--model", model, "--prompt", "x"];
        let done = cairn(&[&common[..], more].concat());
        assert!(!done.status.success());
        let line = said(&done);
        assert_eq!(line.trim_end().lines().count(), 1, "{line}");
        line
    };
    assert!(refused("/nowhere", &[]).contains("run export"));
    assert!(refused(&model, &["--temperature=-1"]).contains("temperature"));
    // Other parameters than the directory says.
    let said = Path::new(&model).join("cairn.json");
    let text = std::fs::read_to_string(&said).unwrap();
    let root = format!("{:?}", cairn_gradient::model_root(&parameters()));
    std::fs::write(
        &said,
        text.replace(&root, &format!("0x{}", "ab".repeat(32))),
    )
    .unwrap();
    assert!(refused(&model, &[]).contains(&root));
}

#[test]
fn a_file_for_llama_cpp_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let out = export(directory.path(), "gguf");
    let file = std::fs::read(Path::new(&out).join("model.gguf")).unwrap();
    assert_eq!(&file[..8], b"GGUF\x03\0\0\0");
    let has = |text: &str| file.windows(text.len()).any(|at| at == text.as_bytes());
    for text in [
        "token_embd.weight",
        "blk.3.ffn_down.weight",
        "tokenizer.ggml.merges",
        "<|end|>",
    ] {
        assert!(has(text), "{text}");
    }
    let root = format!("{:?}", cairn_gradient::model_root(&parameters()));
    assert!(has(&root), "it says which parameters it has");
}
