//! Wallets and their phrases.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use super::{fails, works};

/// Gives a phrase to `cairn wallet restore`.
fn restore(directory: &str, name: &str, phrase: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_cairn"))
        .args([
            "wallet",
            "restore",
            name,
            "--plain",
            "--wallet-dir",
            directory,
            "--json",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cairn starts");
    let mut input = child.stdin.take().expect("piped");
    writeln!(input, "{phrase}").expect("it reads");
    drop(input);
    child.wait_with_output().expect("it ends")
}

#[test]
fn wallets_are_made_shown_and_never_overwritten() {
    let directory = tempfile::tempdir().expect("room");
    let at = directory.path().display().to_string();
    let made: serde_json::Value = serde_json::from_str(&works(&[
        "wallet",
        "new",
        "a",
        "--plain",
        "--wallet-dir",
        &at,
        "--json",
    ]))
    .expect("JSON");
    let phrase = made["mnemonic"].as_str().expect("a phrase");
    let shown = works(&["wallet", "show", "--wallet-dir", &at]);
    assert!(shown.contains(made["address"].as_str().expect("an address")));
    assert!(!shown.contains(phrase), "the phrase is shown once");
    fails(
        &["wallet", "new", "a", "--wallet-dir", &at],
        &["already", "another name"],
    );
    fails(
        &["wallet", "show", "b", "--wallet-dir", &at],
        &["no wallet `b`", "cairn wallet new b"],
    );
    let restored = restore(&at, "c", phrase);
    assert!(restored.status.success());
    let restored: serde_json::Value = serde_json::from_slice(&restored.stdout).expect("JSON");
    assert_eq!(restored["address"], made["address"]);
    let refused = restore(&at, "d", "twelve other words");
    let error = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        error.contains("not a wallet's phrase") && !error.contains("other words"),
        "{error}"
    );
    fails(&["subnet", "create"], &["--key", "--suri"]);
    fails(
        &["subnet", "create", "--suri", "not a phrase"],
        &["development keys only", "cairn wallet restore"],
    );
}
