//! Settings, and the file that they may come from.

use std::process::Command;

use super::{fails, works};

#[test]
fn settings_come_from_flags_then_variables_then_the_file() {
    let directory = tempfile::tempdir().expect("room");
    let file = directory.path().join("cairn.toml");
    let status = |variable: Option<&str>, flag: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
        command
            .args(["status", "--config"])
            .arg(&file)
            .args(flag)
            .env_remove("CAIRN_NODE");
        variable.map(|node| command.env("CAIRN_NODE", node));
        String::from_utf8(command.output().expect("starts").stderr).expect("UTF-8")
    };
    std::fs::write(&file, "node = \"ws://127.0.0.1:2\"").expect("room");
    assert!(status(None, &[]).contains("127.0.0.1:2"));
    assert!(status(Some("ws://127.0.0.1:3"), &[]).contains("127.0.0.1:3"));
    assert!(
        status(Some("ws://127.0.0.1:3"), &["--node", "ws://127.0.0.1:1"]).contains("127.0.0.1:1")
    );
    std::fs::write(&file, "nod = \"x\"").expect("room");
    assert!(status(None, &[]).contains("unknown key `nod`"));
}

/// `--config` is the settings file everywhere but behind `bench train`.
#[test]
fn a_model_and_a_settings_file_are_told_apart() {
    let directory = tempfile::tempdir().expect("room");
    let file = directory.path().join("cairn.toml");
    std::fs::write(&file, "[bench.train]\nseq = 7").expect("room");
    let file = file.display().to_string();
    let facts = |before: &[&str], model: &[&str]| -> serde_json::Value {
        let train: Vec<&str> = [before, &["bench", "train", "--dry-run", "--json"], model].concat();
        serde_json::from_str(&works(&train)).expect("JSON")
    };
    let asked =
        |facts: &serde_json::Value| (facts["config"].clone(), facts["sequence_length"].clone());
    let model = ["--config", "tiny"];
    assert_eq!(asked(&facts(&[], &model)), ("tiny".into(), 512.into()));
    let with_file = ["--config", &file];
    assert_eq!(asked(&facts(&with_file, &model)), ("tiny".into(), 7.into()));
    assert_eq!(asked(&facts(&with_file, &[])), ("10m".into(), 7.into()));
    let behind = ["bench", "train", "--config", &file];
    fails(&behind, &["no model", "before the verb"]);
}
